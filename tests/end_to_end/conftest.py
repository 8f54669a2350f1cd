"""The real Airflow over the real sample, published up to its eve; its last day, first wrong, then right."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import LAST_DAY, copy_of
from tests.gate.conftest import LastDay, times_100
from tests.late_sales import land_late_sale

from memberhouse import db, gate, release
from memberhouse import warehouse as building
from memberhouse.errors import MemberhouseError
from memberhouse.load import load_landed
from memberhouse.local import airflow, daily
from memberhouse.settings import Settings
from memberhouse.simulate.complete_journey import STORE_ZONE

_AMOUNTS = {
    "receipts": ["gross_amount", "discount_amount", "net_amount"],
    "receipt_lines": ["unit_price", "discount_amount", "net_amount"],
}


Build = tuple[str, dict[str, str]]


@dataclass
class Day:
    """A business date that went through the scheduler.

    error: what the caller was told, if it failed. said: its progress lines. before, after: what `bi`
    answered. largest: the store that was tampered with. builds: the runs of build_warehouse by then that had
    something to build, each with its tasks' states.
    """

    settings: Settings
    largest: str
    before: dict[str, str]
    after: dict[str, str] = field(default_factory=dict)
    error: MemberhouseError | None = None
    said: list[str] = field(default_factory=list)
    builds: list[Build] = field(default_factory=list)

    def newest_build(self) -> tuple[str, dict[str, str]]:
        """The newest run of build_warehouse by then that had something to build: its id, and its tasks' states."""
        return self.builds[-1]


_RUNNING = pytest.StashKey[Settings]()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """After the last test here Airflow stops: it would take processor time from all that come after it."""
    settings = item.session.stash.get(_RUNNING, None)
    if settings and (nextitem is None or nextitem.path.parent != item.path.parent):
        airflow.down(settings)


@pytest.fixture(scope="session")
def _running(_eve_database: Settings, sample_landing: Path, request: pytest.FixtureRequest) -> Iterator[Settings]:
    home = Path(tempfile.mkdtemp(prefix="memberhouse-e2e-"))
    shutil.copy(_eve_database.home / "vault.key", home)  # the database's tokens are made with it
    database = copy_of(_eve_database).database_url
    settings = Settings(home, database, _eve_database.project_root)
    shutil.copytree(sample_landing, home / "landing")
    for feed in ("receipts", "receipt_lines"):
        shutil.rmtree(home / "landing/pos" / feed / LAST_DAY.isoformat())
    environment = {
        "MEMBERHOUSE_LAST_BUSINESS_DATE": LAST_DAY.isoformat(),
        "MEMBERHOUSE_HEAD_OFFICE_ZONE": STORE_ZONE,
    }
    (home / airflow.ENVIRONMENT_FILE).write_text(json.dumps(environment))
    request.session.stash[_RUNNING] = settings
    airflow.up(settings)
    daily.wait_for_dags(airflow.Api(settings), ["ingest_pos", "ingest_app", "build_warehouse"])
    yield settings
    airflow.down(settings)
    shutil.rmtree(home)


@pytest.fixture(scope="session")
def held_day(_running: Settings, sample_landing: Path) -> Day:
    """31 December with the largest store's amounts a hundredfold."""
    last_day = LastDay(_running.home / "landing", sample_landing)
    largest = last_day.store_by_sales(largest=True)
    last_day.land(lambda feed, rows: times_100(rows, largest, _AMOUNTS[feed]))
    return _run(_running, largest)


@pytest.fixture(scope="session")
def published_day(held_day: Day, sample_landing: Path) -> Day:
    """31 December again, as a revision that corrects it."""
    LastDay(held_day.settings.home / "landing", sample_landing).land(revision=1)
    return _run(held_day.settings, held_day.largest)


def _run(settings: Settings, largest: str) -> Day:
    day = Day(settings, largest, before=content(settings))
    try:
        daily.run_day(settings, airflow.Api(settings), LAST_DAY, STORE_ZONE, day.said.append)
    except MemberhouseError as error:
        day.error = error
    _wait_until(lambda: not _unfinished(settings, "build_warehouse"), "the builds have ended")
    day.after = content(settings)
    day.builds = builds(settings)
    return day


def builds(settings: Settings) -> list[Build]:
    """The runs of build_warehouse in their order, with their tasks' states; without those that found nothing new."""
    api = airflow.Api(settings)
    path = "dags/build_warehouse/dagRuns"
    runs = []
    for run in api.get(path, order_by="run_after", limit=100)["dag_runs"]:
        tasks = api.get(f"{path}/{run['dag_run_id']}/taskInstances")["task_instances"]
        states = {task["task_id"]: task["state"] for task in tasks}
        if states.get("build") != "skipped":
            runs.append((run["dag_run_id"], states))
    return runs


def content(settings: Settings) -> dict[str, str]:
    with db.connect(settings) as connection:
        return release.content_hash(connection)


def rows(settings: Settings, query: str) -> list[tuple[Any, ...]]:
    """What the warehouse answers to its owner."""
    with db.connect(settings) as connection:
        return connection.execute(query).fetchall()


@dataclass
class AtOnce:
    """A backfill, the daily run and a run on the command line that were started at the same moment.

    one_after_the_other: what `bi` answers when the same batches go in one by one. command_line: what was
    said there. builds: the runs of build_warehouse that it took.
    """

    settings: Settings
    one_after_the_other: dict[str, str]
    command_line: str
    builds: list[Build]


@pytest.fixture(scope="session")
def at_once(published_day: Day) -> AtOnce:
    """Sales of three days came late. Two days are backfilled, the last day's run starts again, and so does all of it
    on the command line."""
    settings = published_day.settings
    landing = settings.home / "landing"
    days = [LAST_DAY - timedelta(days=n) for n in (3, 2, 1)]
    for number, day in enumerate(days, 1):
        land_late_sale(landing, settings, day, Decimal(number))
    for dag_id in ("weekly_member_report", "fit_member_value"):  # a database in use can't be copied
        _wait_until(lambda dag_id=dag_id: not _unfinished(settings, dag_id), f"{dag_id} has ended")
    one_after_the_other = _one_after_the_other(settings, landing, until=(days[1], LAST_DAY))
    before = len(builds(settings))

    api = airflow.Api(settings)
    for dag_id in ("ingest_pos", "ingest_app"):
        body = {"dag_id": dag_id, "from_date": f"{days[0]}T00:00:00-05:00", "to_date": f"{days[1]}T23:00:00-05:00"}
        api.post("backfills", {**body, "max_active_runs": 2})
        api.post(f"dags/{dag_id}/dagRuns/business_date__{LAST_DAY}/clear", {"dry_run": False})
    # it waits for the lock that the scheduler's build holds, and has it before that run's gate
    _wait_until(lambda: _is_building(settings), "a build goes on")
    program = [sys.executable, "-c", "from memberhouse.cli import main; main()"]
    command_line = subprocess.run(
        [*program, "run", str(landing), "--as-of", str(LAST_DAY)],
        env={**os.environ, "DATABASE_URL": settings.database_url or "", "MEMBERHOUSE_HOME": str(settings.home)},
        capture_output=True,
        text=True,
        check=True,
    )
    for dag_id in ("ingest_pos", "ingest_app", "build_warehouse"):
        _wait_until(lambda dag_id=dag_id: not _unfinished(settings, dag_id), f"{dag_id} has ended")
    return AtOnce(settings, one_after_the_other, command_line.stdout, builds(settings)[before:])


def _one_after_the_other(settings: Settings, landing: Path, until: tuple[date, ...]) -> dict[str, str]:
    copy = copy_of(settings)
    for day in until:
        load_landed(copy, landing, until=day)
        building.build(copy, day, or_later=True)
        for verdict in gate.evaluate(copy):
            assert verdict.verdict == "passed", verdict.reason
        release.publish(copy)
    return content(copy)


def _unfinished(settings: Settings, dag_id: str) -> list[Any]:
    """What is still queued or running of a DAG, and events that will start it."""
    api = airflow.Api(settings)
    runs = api.get(f"dags/{dag_id}/dagRuns", order_by="-run_after", limit=100)["dag_runs"]
    events = api.get(f"dags/{dag_id}/assets/queuedEvents")["queued_events"]
    return events + [run for run in runs if run["state"] in ("queued", "running")]


def _is_building(settings: Settings) -> bool:
    return rows(settings, "select 1 from release.release where state = 'building'") != []


def _wait_until(ready: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 600
    while not ready():
        assert time.monotonic() < end, f"waited in vain until {what}"
        time.sleep(0.5)
