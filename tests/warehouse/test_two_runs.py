"""Two runs at once end as one after the other would: whatever falls between whose build, gate and publication."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.load.conftest import Till, lines
from tests.shop import DAY, Shop

from memberhouse import db, gate, ledger, release
from memberhouse import warehouse as building
from memberhouse.load import delivered_until, record_delivery
from memberhouse.settings import PROJECT_ROOT, Settings
from memberhouse.warehouse import Overtaken
from memberhouse.warehouse.dbt import NodeResult

pytestmark = pytest.mark.services

SUITE = """
import great_expectations.expectations as gxe
GROUP = "core"
SUITES = {"marts.shelf_stock": [gxe.ExpectColumnValuesToNotBeNull(column="sku", severity="critical")]}
"""


class Run:
    """A run of its own process: build, then gate, then publish, each on the release that it built."""

    def __init__(self, shop: Shop, *stock: tuple[str, str, int]) -> None:
        self._shop, self._stock = shop, stock
        self.release_id = 0
        self.overtaken: tuple[str, str] | None = None

    def step(self, name: str) -> None:
        if self.overtaken:
            return
        try:
            if name == "build":
                self._shop.stock(*self._stock)
                self.release_id = self._shop.build()
            elif name == "gate":
                assert {verdict.verdict for verdict in gate.evaluate(self._shop.settings, self.release_id)} == {
                    "passed"
                }
            else:
                release.publish(self._shop.settings, self.release_id)
        except Overtaken as overtaken:
            self.overtaken = (name, overtaken.message)


@pytest.fixture
def judged_shop(shop: Shop) -> Shop:
    (shop.settings.project_root / "expectations").mkdir()
    (shop.settings.project_root / "expectations/core.py").write_text(SUITE)
    shop.stock(("A", "tea", 1))
    shop.publish()
    return shop


@pytest.mark.parametrize(
    ("order", "overtaken_at"),
    [
        ("build gate publish BUILD GATE PUBLISH", None),
        ("build BUILD gate GATE publish PUBLISH", "gate"),
        ("build BUILD GATE PUBLISH gate publish", "gate"),
        ("build gate BUILD publish GATE PUBLISH", "publish"),
    ],
)
def test_the_newer_run_is_published_and_the_older_one_ends_as_overtaken(
    judged_shop: Shop, order: str, overtaken_at: str | None
) -> None:
    older = Run(judged_shop, ("A", "tea", 2), ("B", "rice", 1))
    newer = Run(judged_shop, ("A", "tea", 2), ("B", "rice", 5), ("C", "salt", 1))
    for name in order.split():
        (newer if name.isupper() else older).step(name.lower())

    assert judged_shop.read() == [("A", "tea", 2), ("B", "rice", 5), ("C", "salt", 1)]
    assert judged_shop.read(1) == [("A", "tea", 1)]
    assert judged_shop.sql("select release_id from release.current") == [(newer.release_id,)]
    assert newer.overtaken is None
    told = (
        f"Release {older.release_id} was overtaken by release {newer.release_id} as of {DAY}, which was built from"
        " the same batches and later ones."
    )
    assert older.overtaken == ((overtaken_at, told) if overtaken_at else None)
    assert judged_shop.sql("select * from ops.alert") == []
    assert ledger.last_trouble(judged_shop.settings) is None


def test_what_is_out_is_not_overtaken_by_a_build_that_follows(judged_shop: Shop) -> None:
    """A task that was cleared and runs again finds its work done."""
    published = judged_shop.publish()
    judged_shop.build()
    assert gate.evaluate(judged_shop.settings, published) == []
    assert release.publish(judged_shop.settings, published) == []


def test_the_database_itself_refuses_an_overtaken_release(judged_shop: Shop) -> None:
    passed = judged_shop.build()
    judged_shop.judge(passed)
    newer = judged_shop.build()
    with pytest.raises(psycopg.errors.RaiseException, match=f"release {passed} was overtaken"):
        judged_shop.sql(f"update release.current set release_id = {passed}")
    judged_shop.judge(newer)
    judged_shop.sql(f"update release.current set release_id = {newer}")
    assert judged_shop.sql("select release_id from release.current") == [(newer,)]
    judged_shop.build()
    judged_shop.sql("update release.current set release_id = 1, is_pinned = true")


# ---------------------------------------------------------------- the as-of date

EARLIER, LATER = date(2026, 3, 1), date(2026, 3, 9)


@pytest.fixture
def dbt_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    done = NodeResult("model.tiny.nothing", "model", "success", 0.0, 0, "")
    monkeypatch.setattr("memberhouse.warehouse.dbt.invoke", lambda *args, **how: [done])


@pytest.mark.usefixtures("dbt_does_nothing")
@pytest.mark.parametrize(
    ("fate_of_the_later_one", "built"),
    [
        ("published", LATER),
        ("passed", LATER),
        ("not judged", LATER),
        ("held", EARLIER),
        ("failed", EARLIER),
        ("killed", EARLIER),
        ("rolled back", DAY),
    ],
)
def test_an_automatic_build_goes_back_behind_no_date_that_is_out_or_on_its_way(
    warehouse: Settings, fate_of_the_later_one: str, built: date
) -> None:
    with db.connect(warehouse) as conn:
        db.ensure_schema(conn)
    if fate_of_the_later_one == "rolled back":
        _publish(warehouse, building.build(warehouse, DAY))
    later = building.build(warehouse, LATER)
    if fate_of_the_later_one in ("failed", "killed"):
        state = {"failed": "failed", "killed": "building"}[fate_of_the_later_one]
        with db.connect(warehouse) as conn:
            conn.execute("update release.release set state = %s where release_id = %s", (state, later))
    elif fate_of_the_later_one in ("published", "rolled back"):
        _publish(warehouse, later)
    elif fate_of_the_later_one != "not judged":
        _judge(warehouse, later, fate_of_the_later_one)
    if fate_of_the_later_one == "rolled back":
        release.rollback(warehouse)

    automatic = building.build(warehouse, EARLIER, or_later=True)
    assert building.as_of_date(warehouse, automatic) == built
    asked_for = building.build(warehouse, EARLIER)
    assert building.as_of_date(warehouse, asked_for) == EARLIER


def _judge(settings: Settings, release_id: int, verdict: str) -> None:
    with db.connect(settings) as conn:
        conn.execute(
            "insert into release.verdict (release_id, group_name, verdict, reason, checks_evaluated, checks_failed)"
            " values (%s, 'core', %s, 'by hand', 1, %s)",
            (release_id, verdict, int(verdict == "held")),
        )


def _publish(settings: Settings, release_id: int) -> None:
    _judge(settings, release_id, "passed")
    release.publish(settings, release_id)


@pytest.mark.usefixtures("dbt_does_nothing")
def test_there_is_news_when_a_later_day_or_a_batch_or_another_project_came(warehouse: Settings, tmp_path: Path) -> None:
    till = Till(tmp_path / "landing", warehouse)
    till.drop_stores("S1")
    till.drop(lines(10))
    till.load()
    assert building.has_news(warehouse, DAY)
    candidate = building.build(warehouse, DAY)
    assert building.has_news(warehouse, DAY)
    _judge(warehouse, candidate, "held")
    assert not building.has_news(warehouse, DAY)
    _publish(warehouse, building.build(warehouse, DAY))
    assert not building.has_news(warehouse, DAY)
    assert not building.has_news(warehouse, EARLIER)
    assert building.has_news(warehouse, LATER)
    shutil.copytree(PROJECT_ROOT / "dbt_project/seeds", tmp_path / "dbt_project/seeds")
    shutil.copy(PROJECT_ROOT / "dbt_project/dbt_project.yml", tmp_path / "dbt_project")
    assert building.has_news(replace(warehouse, project_root=tmp_path), DAY)

    till.drop(lines(10), name="again")
    till.drop(lines(3).replace(str(DAY), str(LATER)), day=LATER)
    till.load()
    assert not building.has_news(warehouse, DAY)
    till.drop(lines(11), revision=1)
    till.load()
    assert building.has_news(warehouse, DAY)


@pytest.mark.usefixtures("dbt_does_nothing")
@pytest.mark.parametrize(("duplicates", "news"), [(2, False), (1, True)])
def test_what_the_overlap_of_an_extraction_brings_again_is_no_news(
    warehouse: Settings, duplicates: int, news: bool
) -> None:
    with db.connect(warehouse) as conn:
        db.ensure_schema(conn)
    _publish(warehouse, building.build(warehouse, DAY))
    with db.connect(warehouse) as conn:
        conn.execute(
            "insert into ops.batch (source, feed, business_date, store_id, batch_name, state, rows_in, rows_loaded,"
            " rows_duplicate, manifest) values ('pos', 'receipts', %s, 'APP', 'overlap', 'loaded', 2, %s, %s, %s)",
            (DAY, 2 - duplicates, duplicates, '{"extract": {"resource": "receipts"}}'),
        )
    assert building.has_news(warehouse, DAY) is news


def test_a_day_is_delivered_when_every_source_was_loaded_up_to_it(till_of_all_sources: Till) -> None:
    till = till_of_all_sources

    def delivered() -> date | None:
        return delivered_until(till.warehouse, ("pos", "app"))

    till.load(sources=("pos", "reference"), until=DAY)
    assert delivered() is None
    till.load(sources=("app",), until=EARLIER)
    assert delivered() == EARLIER
    till.load(sources=("app",))
    assert delivered() == EARLIER
    till.load(sources=("app",), until=LATER)
    assert delivered() == DAY
    till.load(sources=("pos", "reference"), until=EARLIER)
    assert delivered() == DAY


def test_one_of_several_parts_is_no_delivery_and_all_of_them_are_when_that_is_recorded(
    till_of_all_sources: Till,
) -> None:
    till = till_of_all_sources
    for number in range(2):
        till.load(sources=("pos",), until=DAY, part=(number, 2))
    assert delivered_until(till.warehouse, ("pos",)) is None
    record_delivery(till.warehouse, ("pos",), DAY)
    assert delivered_until(till.warehouse, ("pos",)) == DAY


def test_a_delivery_says_nothing_of_a_load_that_went_wrong(till_of_all_sources: Till) -> None:
    assert till_of_all_sources.load(sources=("pos",), until=DAY).refused
    record_delivery(till_of_all_sources.warehouse, ("pos",), DAY)
    trouble = ledger.last_trouble(till_of_all_sources.warehouse)
    assert trouble is not None
    assert trouble.step == "load"


@pytest.fixture
def till_of_all_sources(warehouse: Settings, tmp_path: Path) -> Till:
    till = Till(tmp_path / "landing", warehouse)
    till.drop_stores("S1")
    till.drop("not,a,header\n")
    return till


# ---------------------------------------------------------------- a load beside a build


@pytest.mark.usefixtures("dbt_does_nothing")
def test_a_build_begins_when_no_batch_is_half_loaded_and_no_batch_comes_before_it_ends(
    warehouse: Settings, tmp_path: Path
) -> None:
    """A number of a batch that is committed behind a higher one would never be seen as new; a batch that
    comes halfway is in some models and not in others."""
    till = Till(tmp_path / "landing", warehouse)
    till.drop_stores("S1")
    till.drop(lines(10))
    with db.connect(warehouse) as conn:
        db.ensure_schema(conn)
    with db.connect(warehouse) as loader:
        loader.execute("select pg_advisory_xact_lock_shared(%s)", (db.RAW_LOCK,))
        with _meanwhile(lambda: building.build(warehouse, DAY)):
            _wait_until_somebody_waits(warehouse)
            assert till.query("select * from release.release") == []
            loader.commit()
    assert till.query("select state from release.release") == [("built",)]
    with db.connect(warehouse) as builder:
        builder.execute("select pg_advisory_lock(%s)", (db.RAW_LOCK,))
        builder.commit()
        with _meanwhile(till.load):
            _wait_until_somebody_waits(warehouse)
            assert till.query("select * from ops.batch") == []
            builder.execute("select pg_advisory_unlock(%s)", (db.RAW_LOCK,))
    assert len(till.active_lines()) == 10


@contextmanager
def _meanwhile(work: Callable[[], Any]) -> Iterator[None]:
    thread = threading.Thread(target=work)
    thread.start()
    yield
    thread.join()


def _wait_until_somebody_waits(settings: Settings) -> None:
    end = time.monotonic() + 60
    with db.connect(settings, autocommit=True) as conn:
        while not conn.execute(
            "select 1 from pg_locks where locktype = 'advisory' and objid = %s and not granted"
            " and database = (select oid from pg_database where datname = current_database())",
            (db.RAW_LOCK,),
        ).fetchone():
            assert time.monotonic() < end, "nobody waits"
            time.sleep(0.05)
