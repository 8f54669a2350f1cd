"""The demo of the simulated chain, small: history from files, then days through Airflow with the app over HTTP."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from memberhouse import db
from memberhouse.local import airflow, app_backend, demo, postgres
from memberhouse.settings import PROJECT_ROOT, Settings

pytestmark = [pytest.mark.services, pytest.mark.full]

CHAIN = demo.simulated_chain(members=400, days=60, daily=2)


@dataclass(frozen=True)
class Shown:
    settings: Settings
    first: list[str]
    again: list[str]


@pytest.fixture(scope="module")
def shown() -> Iterator[Shown]:
    """The demo, everything stopped, and the demo again."""
    folder = Path(tempfile.mkdtemp(prefix="memberhouse-demo-"))
    folder.chmod(0o755)
    settings = Settings(folder / "home", None, PROJECT_ROOT)
    first: list[str] = []
    again: list[str] = []
    try:
        demo.run(settings, CHAIN, first.append)
        airflow.down(settings)
        app_backend.down(settings)
        demo.run(settings, CHAIN, again.append)
        yield Shown(settings, first, again)
    finally:
        airflow.down(settings)
        app_backend.down(settings)
        postgres.stop(settings.home)
        shutil.rmtree(folder)


def test_each_day_is_published_and_the_second_time_there_is_nothing_to_do(shown: Shown) -> None:
    published = [line.split("published as of ")[1][:10] for line in shown.first if "published as of" in line]
    assert published == [str(day) for day in CHAIN.days]
    assert any(f"everything up to {CHAIN.last_day} is published already" in line for line in shown.again)
    key_numbers = [line for line in shown.first if "receipt lines" in line]
    assert key_numbers
    assert key_numbers == [line for line in shown.again if "receipt lines" in line]


def test_there_is_a_report_in_each_language(shown: Shown) -> None:
    names = sorted(path.name for path in (shown.settings.home / "reports").iterdir())
    assert names == [f"member-report-2026-W26.{lang}.html" for lang in ("en", "zh")]


def test_the_apps_last_days_came_over_http_and_count_once(shown: Shown) -> None:
    with db.connect(shown.settings) as conn:
        extracted = conn.execute(
            "select feed, sum(rows_loaded) from ops.batch where manifest ? 'extract' and state = 'loaded'"
            " group by feed having sum(rows_loaded) > 0"
        ).fetchall()
        assert {"receipts", "receipt_lines", "accounts", "points_entries", "events"} <= {feed for feed, _ in extracted}
        days = conn.execute(
            "select distinct business_date from bi.fct_receipt where store_id = 'APP' and business_date > %s",
            (CHAIN.history_until,),
        ).fetchall()
        assert {day for (day,) in days} == set(CHAIN.days[1:])
        twice = conn.execute("select entry_id from raw.app__points_entries group by 1 having count(*) > 1").fetchall()
        assert twice == []
