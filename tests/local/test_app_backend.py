"""The stand-in as a program of its own: its clock, its token, and what a kill leaves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from tests.back_end import MINUTE, NOW, coupon

from memberhouse.cli import cli
from memberhouse.errors import MemberhouseError
from memberhouse.landing import NewFile, write_batch
from memberhouse.local import app_backend, postgres
from memberhouse.settings import PROJECT_ROOT, Settings


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    settings = Settings(tmp_path / "home", None, PROJECT_ROOT)
    yield settings
    app_backend.down(settings)


@pytest.fixture
def with_coupons(settings: Settings) -> Settings:
    """A coupon of `NOW`, and one of a day later."""
    for number, moment in enumerate((NOW, NOW + timedelta(days=1))):
        write_batch(
            app_backend.folder(settings), source="app", feed="coupons", business_date=date(2026, 3, 2 + number),
            name="one", files=[NewFile("coupons.jsonl", json.dumps(coupon(number, moment)).encode() + b"\n", 1)],
            produced_at=moment,
        )  # fmt: skip
    return settings


def served(settings: Settings) -> tuple[int, datetime]:
    """How many coupons there are, by what clock."""
    back_end = app_backend.address(settings)
    answer = httpx.get(f"{back_end.url}/v1/coupons", headers={"Authorization": f"Bearer {back_end.token}"}).json()
    return len(answer["data"]), datetime.fromisoformat(answer["as_of"])


@pytest.mark.services
def test_it_starts_at_the_time_that_it_was_told_last(with_coupons: Settings) -> None:
    app_backend.set_clock(with_coupons, NOW + MINUTE)
    app_backend.up(with_coupons)
    assert served(with_coupons) == (1, NOW + MINUTE)
    later = NOW + timedelta(days=2)
    app_backend.set_clock(with_coupons, later)
    assert served(with_coupons) == (2, later)
    app_backend.down(with_coupons)
    app_backend.up(with_coupons)
    assert served(with_coupons) == (2, later)


@pytest.mark.services
def test_one_that_can_not_be_told_the_time_is_named(with_coupons: Settings) -> None:
    app_backend.set_clock(with_coupons, NOW)
    app_backend.up(with_coupons)
    (app_backend.folder(with_coupons) / "token").write_text("another token")
    with pytest.raises(MemberhouseError, match="was not told that it is 2026-03-03T04:01:00.*401") as caught:
        app_backend.set_clock(with_coupons, NOW + MINUTE)
    assert "starts at that time" in caught.value.next_action


def test_without_a_time_it_does_not_start(settings: Settings) -> None:
    with pytest.raises(MemberhouseError, match="no time to start at"):
        app_backend.up(settings)
    assert not (app_backend.folder(settings) / "record.json").exists()


@pytest.mark.services
@pytest.mark.parametrize("has_time", [True, False])
def test_the_services_command_starts_it_where_its_clock_was_set(
    warehouse: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_time: bool
) -> None:
    settings = replace(warehouse, home=tmp_path)
    app_backend.address(settings)
    if has_time:
        app_backend.set_clock(settings, NOW)
    started: list[Any] = []
    monkeypatch.setattr(Settings, "from_env", lambda: settings)
    monkeypatch.setattr("memberhouse.local.airflow.up", lambda settings, progress: "Airflow: up")
    monkeypatch.setattr(app_backend, "up", started.append)
    assert CliRunner().invoke(cli, ["up", "--airflow"]).exit_code == 0
    assert started == ([settings] if has_time else [])


def test_a_kill_while_address_and_token_are_chosen_leaves_nothing_half(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*ports: Any) -> int:
        raise KeyboardInterrupt

    for victim in ((postgres, "free_port"), (Path, "replace"), (app_backend, "write_private")):
        with monkeypatch.context() as patch:
            patch.setattr(*victim, killed)
            with pytest.raises(KeyboardInterrupt):
                app_backend.address(settings)
    chosen = app_backend.address(settings)
    assert len(chosen.token) > 30
    assert app_backend.address(settings) == chosen
