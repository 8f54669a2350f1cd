"""What the demo refuses before it starts anything, and what it lands where. What it does is in tests/end_to_end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from memberhouse.errors import MemberhouseError
from memberhouse.extract import RESOURCES
from memberhouse.landing import find_batches
from memberhouse.local import app_backend, demo
from memberhouse.local.processes import Program
from memberhouse.settings import PROJECT_ROOT, Settings

REAL = demo.DATA_SETS["complete-journey"]()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(tmp_path / "home", None, PROJECT_ROOT)


def test_a_landing_folder_of_somebodys_own_data_is_left_alone(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMBERHOUSE_LANDING", str(tmp_path / "our-tills"))
    with pytest.raises(MemberhouseError, match="names another folder"):
        demo.run(settings, REAL)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_name_of_a_landing_folder_is_none(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMBERHOUSE_LANDING", "")
    assert demo._landing(settings, REAL) == settings.home / "landing"


@pytest.mark.parametrize("holds", ["of our own", f"of {demo.simulated_chain().name}"])
def test_a_home_with_other_data_is_left_alone(settings: Settings, holds: str) -> None:
    landing = settings.home / "landing"
    landing.mkdir(parents=True)
    (landing / ".landed").write_text(holds.removeprefix("of "))
    with pytest.raises(MemberhouseError, match="holds other data"):
        demo.run(settings, REAL)
    assert [path.name for path in settings.home.iterdir()] == ["landing"]


def test_the_days_are_history_and_then_each_day_to_the_end_of_the_year() -> None:
    assert [str(day) for day in REAL.days] == ["2017-12-23", *(f"2017-12-{day}" for day in range(24, 32))]


def test_what_the_app_knows_of_the_last_days_is_with_its_back_end_and_nowhere_else(settings: Settings) -> None:
    data_set = demo.simulated_chain(members=200, days=20, daily=3)
    settings.home.mkdir()
    landing, back_end = settings.home / "landing", app_backend.folder(settings)
    demo._land(settings, data_set, landing, lambda line: None)
    of_app = {(batch.feed, batch.business_date) for batch in find_batches(back_end)}
    assert {day for _, day in of_app} == set(data_set.days[1:])
    assert {"accounts", "coupons", "receipts", "tenders"} <= {feed for feed, _ in of_app}
    left = [batch for batch in find_batches(landing) if batch.feed in RESOURCES]
    assert max(batch.business_date for batch in left if batch.source == "app") == data_set.history_until
    assert max(batch.business_date for batch in left if batch.source == "pos") == data_set.last_day  # the tills'
    assert not [batch for batch in left if batch.store_id == "APP" and batch.business_date > data_set.history_until]


@pytest.mark.services
def test_a_stand_in_that_read_its_shelves_before_all_was_landed_is_stopped(settings: Settings) -> None:
    app_backend.set_clock(settings, datetime(2026, 6, 1, tzinfo=UTC))
    app_backend.up(settings)
    try:
        running = Program.recorded(app_backend.folder(settings) / "record.json")
        assert running
        assert running.alive()
        data_set = demo.simulated_chain(members=50, days=10, daily=2)
        demo._land(settings, data_set, settings.home / "landing", lambda line: None)
        assert not running.alive()
    finally:
        app_backend.down(settings)


@pytest.fixture
def happened(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> list[tuple[str, str]]:
    """What a demo asks for that has published nothing yet, without a service: step and date, in their order."""
    told: list[tuple[str, str]] = []

    def note(step: str) -> Callable[..., None]:
        return lambda *asked, **how: told.append((step, next((f"{a:%m-%d}" for a in asked if isinstance(a, date)), "")))

    settings.home.mkdir()
    for place, name in ((demo, "_start_warehouse"), (demo, "_land"), (demo.airflow, "up"), (demo, "wait_for_dags")):
        monkeypatch.setattr(place, name, lambda *asked: None)
    monkeypatch.setattr(demo.airflow, "Api", lambda settings: None)
    monkeypatch.setattr(demo, "runs", lambda api, dag_id: [])
    monkeypatch.setattr(demo, "published_as_of", lambda settings: None)
    monkeypatch.setattr(demo, "_reports", lambda *asked, **how: [])
    monkeypatch.setattr(demo, "_summary", lambda *asked: [])
    monkeypatch.setattr(app_backend, "set_clock", note("clock"))
    monkeypatch.setattr(app_backend, "up", note("stand-in"))
    monkeypatch.setattr(demo, "run_day", note("day"))
    return told


CHAIN = demo.simulated_chain(daily=2)


def test_the_stand_in_knows_the_time_before_it_starts_and_before_each_day(
    settings: Settings, happened: list[tuple[str, str]]
) -> None:
    demo.run(settings, CHAIN, lambda line: None)
    assert happened == [
        ("clock", "06-26"),
        ("stand-in", ""),
        *[step for day in (26, 27, 28) for step in (("clock", f"06-{day}"), ("day", f"06-{day}"))],
    ]


def test_a_day_that_was_published_meanwhile_is_not_run(
    settings: Settings, happened: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the build of an interrupted demo that was not there yet when it was looked for."""

    def published(settings: Settings) -> date | None:
        return CHAIN.days[1] if ("day", "06-26") in happened else None

    monkeypatch.setattr(demo, "published_as_of", published)
    said: list[str] = []
    demo.run(settings, CHAIN, said.append)
    assert [day for step, day in happened if step == "day"] == ["06-26", "06-28"]
    assert any("2026-06-27 was published meanwhile" in line for line in said)
