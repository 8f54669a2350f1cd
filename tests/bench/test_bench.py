"""The benchmark measures what it says; how fast anything is, is no matter for a test."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.bench.__main__ import main
from tests.bench.figures import Figure, in_turn, ratios
from tests.bench.page import chart, table


def figure(*values: float, goal: float = 0.5, at_most: bool = False) -> Figure:
    return Figure("B0", "a thing", "another", "×", values, goal, at_most)


@pytest.mark.parametrize(
    ("measured", "met"),
    [
        (figure(0.4, 0.5, 0.9), True),
        (figure(0.4, 0.49, 0.9), False),
        (figure(0.1, 0.5, 0.9, at_most=True), True),
        (figure(0.1, 0.51, 0.9, at_most=True), False),
    ],
)
def test_the_median_reaches_the_goal_or_not(measured: Figure, met: bool) -> None:
    assert measured.is_met is met
    assert measured.as_json()["met"] is met
    assert table([measured])[-1].endswith("| yes |" if met else "| no |")


def test_the_sides_take_turns_and_the_first_round_does_not_count() -> None:
    turns: list[str] = []
    own = iter([100.0, 1.0, 2.0])

    def timed() -> float:
        turns.append("own")
        return next(own)

    times = in_turn(2, {"own": timed, "whole": lambda: turns.append("whole")})
    assert turns == ["own", "whole"] * 3
    assert times["own"] == [1.0, 2.0]
    assert len(times["whole"]) == 2


def test_ratios_are_of_the_same_round() -> None:
    assert ratios([2.0, 9.0], [4.0, 3.0], factor=2.0) == [1.0, 6.0]


def test_the_chart_names_each_figure() -> None:
    svg = chart([figure(0.4, 0.5), figure(3.0, at_most=True)])
    assert svg.startswith("<svg")
    assert "a thing" in svg
    assert "3.00 ×" in svg


@pytest.mark.services
def test_a_small_run_leaves_a_page_its_chart_and_the_figures(tmp_path: Path) -> None:
    assert main(["--lines", "20000", "--rounds", "1", "--only", "B1", "B2", "B3", "B4", "--out", str(tmp_path)]) == 0
    (measured,) = tmp_path.glob("*.json")
    figures = json.loads(measured.read_text())["figures"]
    assert [entry["name"] for entry in figures] == ["B1", "B1", "B2", "B2", "B2", "B3", "B4", "B4"]
    assert all(value > 0 for entry in figures for value in entry["values"])
    page = (tmp_path / "README.md").read_text()
    (drawn,) = tmp_path.glob("*.svg")
    assert f"]({drawn.name})" in page
    assert "What limits them" in page
