"""The real Airflow over the real sample, published up to its eve; its last day, first wrong, then right."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import LAST_DAY, copy_of
from tests.gate.conftest import LastDay, times_100

from memberhouse import db, release
from memberhouse.errors import MemberhouseError
from memberhouse.local import airflow, demo
from memberhouse.settings import Settings

_AMOUNTS = {
    "receipts": ["gross_amount", "discount_amount", "net_amount"],
    "receipt_lines": ["unit_price", "discount_amount", "net_amount"],
}


@dataclass
class Day:
    """A business date that went through the scheduler.

    error: what the caller was told, if it failed. said: its progress lines. before, after: what `bi`
    answered. largest: the store that was tampered with.
    """

    settings: Settings
    largest: str
    before: dict[str, str]
    after: dict[str, str] = field(default_factory=dict)
    error: MemberhouseError | None = None
    said: list[str] = field(default_factory=list)

    def newest_build(self) -> tuple[str, dict[str, str]]:
        """The newest run of build_warehouse: its id, and its tasks' states."""
        api = airflow.Api(self.settings)
        path = "dags/build_warehouse/dagRuns"
        run_id = api.get(path, order_by="-run_after", limit=1)["dag_runs"][0]["dag_run_id"]
        tasks = api.get(f"{path}/{run_id}/taskInstances")["task_instances"]
        return run_id, {task["task_id"]: task["state"] for task in tasks}


@pytest.fixture(scope="session")
def _running(_eve_database: Settings, sample_landing: Path) -> Iterator[Settings]:
    home = Path(tempfile.mkdtemp(prefix="memberhouse-e2e-"))
    database = copy_of(_eve_database, "end_to_end").database_url
    settings = Settings(home, database, _eve_database.project_root)
    shutil.copytree(sample_landing, home / "landing")
    for feed in ("receipts", "receipt_lines"):
        shutil.rmtree(home / "landing/pos" / feed / LAST_DAY.isoformat())
    (home / airflow.LAST_BUSINESS_DATE_FILE).write_text(LAST_DAY.isoformat())
    airflow.up(settings)
    demo.wait_for_dags(airflow.Api(settings), ["ingest_pos", "ingest_app", "build_warehouse"])
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
    day = Day(settings, largest, before=_content(settings))
    try:
        demo.run_day(settings, airflow.Api(settings), LAST_DAY, day.said.append)
    except MemberhouseError as error:
        day.error = error
    day.after = _content(settings)
    return day


def _content(settings: Settings) -> dict[str, str]:
    with db.connect(settings) as connection:
        return release.content_hash(connection)


def rows(settings: Settings, query: str) -> list[tuple[Any, ...]]:
    """What the warehouse answers to its owner."""
    with db.connect(settings) as connection:
        return connection.execute(query).fetchall()
