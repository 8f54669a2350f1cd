"""A connection that is lost in the middle of a build is no fault of a model, and nobody builds without the lock."""

from __future__ import annotations

import psycopg
import pytest
from tests.shop import Shop

from memberhouse import ledger, warehouse
from memberhouse.errors import DatabaseLost

pytestmark = pytest.mark.services

BREAD = ("A", "bread", 3)
COLUMNS = {"shelf": "text", "sku": "text", "units": "integer"}

END_OWN_SESSION = "pg_terminate_backend(pg_backend_pid())"
END_OTHERS = (
    "(select bool_and(pg_terminate_backend(pid)) from pg_stat_activity"
    " where datname = current_database() and pid <> pg_backend_pid())"
)


def end_sessions(shop: Shop, which: str) -> None:
    """A model that ends sessions when it is computed."""
    shop.declare(COLUMNS, select=f"shelf, sku, case when {which} then units else 0 end as units")


@pytest.mark.parametrize("which", [END_OWN_SESSION, END_OTHERS], ids=["the model's", "all others"])
def test_a_build_that_lost_its_connection_says_so_and_is_simply_run_again(shop: Shop, which: str):
    shop.stock(BREAD)
    first = shop.publish()
    shop.stock(("A", "bread", 4))
    end_sessions(shop, which)
    with pytest.raises(DatabaseLost) as lost:
        shop.build()
    assert "the connection to the database was lost: " in lost.value.message
    assert "build again" in lost.value.next_action
    assert "Database not reached" in lost.value.next_action
    trouble = ledger.last_trouble(shop.settings)
    assert trouble is not None
    assert (trouble.step, trouble.state) == ("build", "failed")
    assert shop.read() == [BREAD]
    shop.declare(COLUMNS)
    second = shop.publish()
    assert shop.history() == [(*BREAD, first, second), ("A", "bread", 4, second, 2_147_483_647)]
    assert shop.sql("select release_id from release.release where state = 'building'") == []
    assert ledger.last_trouble(shop.settings) is None


def test_who_lost_the_build_lock_does_not_build(shop: Shop):
    shop.stock(BREAD)
    with warehouse.build_lock(shop.settings):
        shop.build()
        shop.sql(f"select {END_OTHERS}")
        with pytest.raises(psycopg.OperationalError):
            shop.build()
    assert shop.sql("select count(*) from release.release") == [(1,)]


def test_a_step_tells_what_went_wrong_in_it_and_not_that_the_ledger_is_out_of_reach(shop: Shop):
    def stumble() -> None:
        with ledger.step(shop.settings, "load", "a folder"):
            shop.sql("update pg_database set datallowconn = false where datname = current_database()")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        stumble()
