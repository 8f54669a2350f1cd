"""What the demo refuses before it starts anything, and what it lands where. What it does is in tests/end_to_end."""

from __future__ import annotations

from pathlib import Path

import pytest

from memberhouse.errors import MemberhouseError
from memberhouse.extract import RESOURCES
from memberhouse.landing import find_batches
from memberhouse.local import app_backend, demo
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
