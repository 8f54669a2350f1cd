"""B11: what a daily run takes beyond its SQL, through the running Airflow on the real sample.

The work itself is the time in which at least one statement of the warehouse was running, seen by looking at
``pg_stat_activity`` a hundred times a second. All the rest of a run, from its trigger to its publication, is
orchestration: scheduling, starting processes, importing libraries, reading files, planning the build.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

from tests.bench.figures import Figure, Progress

from memberhouse import db, gate, release, warehouse
from memberhouse.load import load_landed
from memberhouse.local import airflow, daily, postgres
from memberhouse.settings import PROJECT_ROOT, Settings
from memberhouse.simulate.complete_journey import STORE_ZONE, write_sample

_LOOK = 0.01  # seconds
_LAST_DAY = date(2017, 12, 31)


def overhead(folder: Path, days: int, tell: Progress) -> list[Figure]:
    """B11: the sample's last days, one by one through the scheduler, after a first one that does not count."""
    home = folder / "daily"
    home.mkdir()
    settings = Settings(home, None, PROJECT_ROOT)
    last_days = [_LAST_DAY - timedelta(days=number) for number in reversed(range(days + 1))]
    eve = last_days[0] - timedelta(days=1)
    tell(f"B11: the sample until {eve}, then {days + 1} daily runs through Airflow")
    write_sample(home / "landing")
    load_landed(settings, home / "landing", until=eve, streams=2)
    warehouse.build(settings, eve)
    gate.evaluate(settings)
    release.publish(settings)
    environment = {"MEMBERHOUSE_LAST_BUSINESS_DATE": f"{_LAST_DAY}", "MEMBERHOUSE_HEAD_OFFICE_ZONE": STORE_ZONE}
    (home / airflow.ENVIRONMENT_FILE).write_text(json.dumps(environment))
    airflow.up(settings)
    try:
        api = airflow.Api(settings)
        daily.wait_for_dags(api, ["ingest_pos", "ingest_app", "build_warehouse"])
        measured = [_run(settings, api, day, tell) for day in last_days][1:]
    finally:
        airflow.down(settings)
        postgres.stop(home)
    over = [whole - work for whole, work in measured]
    times = {"whole run": [whole for whole, _ in measured], "SQL": [work for _, work in measured]}
    return [
        Figure("B11", "a daily run beyond its SQL", "", "s", over, 30, at_most=True, seconds=times),
        Figure(
            "B11",
            "the same",
            "the SQL itself, at the sample's size",
            "×",
            [rest / work for rest, (_, work) in zip(over, measured, strict=True)],
            1.0,
            at_most=True,
            seconds=times,
        ),
    ]


def _run(settings: Settings, api: airflow.Api, day: date, tell: Progress) -> tuple[float, float]:
    """Seconds of the whole run, and of the SQL in it."""
    begun = time.monotonic()
    with _sql_time(settings) as looks:
        daily.run_day(settings, api, day, STORE_ZONE, tell)
    whole = time.monotonic() - begun
    return whole, whole * sum(looks) / len(looks)


@contextmanager
def _sql_time(settings: Settings) -> Iterator[list[bool]]:
    """Collects, a hundred times a second, whether a statement of the warehouse is running."""
    looks: list[bool] = []
    done = threading.Event()

    def look() -> None:
        with db.connect(settings, autocommit=True) as conn:
            while not done.wait(_LOOK):
                (row,) = conn.execute(
                    "select count(*) > 0 from pg_stat_activity where datname = current_database()"
                    " and backend_type = 'client backend' and state = 'active' and pid <> pg_backend_pid()"
                    " and wait_event_type is distinct from 'Lock'"
                ).fetchall()
                looks.append(row[0])

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield looks
    finally:
        done.set()
        thread.join()
