"""What dbt does around the models: what it leaves in the process, and its connections."""

from __future__ import annotations

from typing import Any

import pytest
from dbt.adapters.base import impl
from dbt.adapters.postgres.connections import PostgresConnectionManager
from tests.shop import Shop

from memberhouse.warehouse import dbt

pytestmark = pytest.mark.services

VIEW = "{{ config(materialized='view', schema='intermediate', contract={'enforced': false}) }} select 1 as one"


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names under which connections were opened."""
    names = []
    open_one = PostgresConnectionManager.open

    def counted(connection: Any) -> Any:
        names.append(connection.name)
        return open_one(connection)

    monkeypatch.setattr(PostgresConnectionManager, "open", staticmethod(counted))
    return names


@pytest.fixture
def shop_of_many_models(shop: Shop) -> Shop:
    for number in range(20):
        (shop.settings.project_root / "dbt_project" / "models" / f"view_{number}.sql").write_text(VIEW)
    shop.stock(("A", "bread", 1))
    return shop


def test_a_process_that_made_many_builds_carries_nothing_of_them(shop: Shop):
    """dbt-adapters adds a flag to its defaults with each run, and each flag costs a walk through the whole stack."""
    before = list(impl.DEFAULT_BASE_BEHAVIOR_FLAGS)
    shop.stock(("A", "bread", 1))
    shop.build()
    assert before == impl.DEFAULT_BASE_BEHAVIOR_FLAGS


def test_models_share_the_connection_of_their_thread(shop_of_many_models: Shop, opened: list[str]):
    """dbt-postgres opens one for every model and test, each of which reads the catalogue anew."""
    shop_of_many_models.build()
    assert len(opened) < 10, opened


def test_a_connection_that_was_lost_after_a_model_is_opened_again(
    shop_of_many_models: Shop, opened: list[str], monkeypatch: pytest.MonkeyPatch
):
    keep = dbt._keep_connection
    lost = []

    def lose(manager: Any) -> None:
        connection = manager.get_if_exists()
        if str(connection.name).startswith("model.") and connection.state == "open":
            connection.handle.close()
            lost.append(connection.name)
        keep(manager)

    monkeypatch.setattr(dbt, "_keep_connection", lose)
    shop_of_many_models.publish()
    assert len(lost) > 20
    assert len(opened) >= len(lost)
    assert shop_of_many_models.read() == [("A", "bread", 1)]
