"""What the demo refuses before it starts anything. What it does is in tests/end_to_end."""

from __future__ import annotations

from pathlib import Path

import pytest

from memberhouse.errors import MemberhouseError
from memberhouse.local import demo
from memberhouse.settings import PROJECT_ROOT, Settings


def test_a_landing_folder_of_somebodys_own_data_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMBERHOUSE_LANDING", str(tmp_path / "our-tills"))
    with pytest.raises(MemberhouseError, match="names another folder"):
        demo.run(Settings(tmp_path / "home", None, PROJECT_ROOT))
    assert list(tmp_path.iterdir()) == []


def test_the_days_are_history_and_then_each_day_to_the_end_of_the_year() -> None:
    assert [str(day) for day in demo.DAYS] == ["2017-12-23", *(f"2017-12-{day}" for day in range(24, 32))]
