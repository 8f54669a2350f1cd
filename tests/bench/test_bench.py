"""The benchmark measures what it says; how fast anything is, is no matter for a test."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from tests.bench import on_duckdb
from tests.bench.__main__ import main
from tests.bench.builds import Run, against_tenth
from tests.bench.figures import Figure, in_turn, ratios
from tests.bench.history import Size
from tests.bench.on_duckdb import Model
from tests.bench.page import chart, page, table


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


def test_a_page_comments_on_its_own_figures() -> None:
    comments = "## What limits them\n\n**B0.** Its words.\n\nMore of them.\n\n**B1.** Those of another.\n"
    written = page([figure(0.5)], {}, "chart.svg", comments, ["another.md"])
    assert "## What limits them\n\n**B0.** Its words.\n\nMore of them.\n" in written
    assert "Those of another" not in written
    assert "- Another run: [another.md](another.md)" in written


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
    # the memory over another client's may be nothing, and then it is now above and now below it
    assert all(value > 0 for entry in figures if entry["unit"] == "×" for value in entry["values"])
    written = (tmp_path / f"{measured.stem}.md").read_text()
    (drawn,) = tmp_path.glob("*.svg")
    assert f"]({drawn.name})" in written
    assert "What limits them" in written


@pytest.mark.services
def test_builds_are_compared_on_a_small_history(tmp_path: Path) -> None:
    only = ["B5", "B6", "B8"]
    assert main(["--lines", "20000", "--rounds", "1", "--only", *only, "--out", str(tmp_path)]) == 0
    (measured,) = tmp_path.glob("*.json")
    figures = json.loads(measured.read_text())["figures"]
    assert [entry["name"] for entry in figures] == ["B5", "B6", "B6", "B8", "B8"]
    assert all(value > 0 for entry in figures for value in entry["values"])
    assert "marts equal in rows and sums" in (tmp_path / f"{measured.stem}.md").read_text()


@pytest.mark.full
@pytest.mark.services
def test_a_day_is_compared_with_the_same_day_at_a_tenth_of_the_history(tmp_path: Path) -> None:
    assert main(["--lines", "20000", "--rounds", "1", "--only", "B7", "--out", str(tmp_path)]) == 0
    (written,) = tmp_path.glob("*-b7.md")
    assert "| load |" in written.read_text()


def ran(name: str, begun: int, ended: int) -> Model:
    midnight = datetime(2026, 3, 2)
    return Model(name, "marts", "rebuilt", "", midnight + timedelta(seconds=begun), midnight + timedelta(seconds=ended))


def test_models_that_run_at_once_count_once() -> None:
    at_once = [ran("one", 0, 4), ran("two", 1, 3), ran("three", 3, 6), ran("after a pause", 10, 11)]
    assert Run({}, at_once).model_seconds == 7.0


def test_a_day_is_held_against_the_same_day_step_by_step_and_model_by_model() -> None:
    days = [Run({"load": 1.0, "build": 5.0}, [ran("fast", 0, 1), ran("slow", 1, 4)])]
    of_tenth = [Run({"load": 1.0, "build": 3.0}, [ran("fast", 0, 1), ran("slow", 1, 2)])]
    whole, models = against_tenth(Size.of(2_000_000, extra_days=1), days, of_tenth)
    assert list(whole.values) == [1.5]
    assert list(models.values) == [2.0]
    assert list(whole.details[1:]) == [
        ("load", "1.00", "1.00"),
        ("build", "5.00", "3.00"),
        ("slow", "3.00", "1.00"),
        ("fast", "1.00", "1.00"),
    ]


def test_days_are_as_large_and_as_late_at_a_tenth_of_the_history() -> None:
    size = Size.of(20_000_000, extra_days=3)
    assert (size.days, size.members, size.late_days) == (1_000, 1_000_000, 30)
    assert size.tenth.lines // size.tenth.days == size.lines // size.days
    assert (size.tenth.stores, size.tenth.late_days) == (size.stores, size.late_days)
    assert Size.of(20_000, extra_days=1).late_days < Size.of(20_000, extra_days=1).tenth.days


@pytest.mark.parametrize(
    ("postgres", "expected"),
    [
        ("select 2 = any(array(select x from (values (1), (2)) as v (x)))", True),
        ("select percentile_cont(0.5) within group (order by x) from (values (1), (2)) as v (x)", 1.5),
        ("select to_char(date '2027-01-01', 'IYYY-\"W\"IW')", "2026-W53"),
        ("select (4.30 / nullif(4, 0)::numeric)::numeric(14, 2)", Decimal("1.08")),
        (
            "select (timestamptz '2026-03-02 19:59:00+00' at time zone 'Asia/Shanghai' - time '04:00')::date",
            date(2026, 3, 2),
        ),
        (
            "select count(*) from (select unnest(range_agg(daterange(f, t))) as period from (values"
            " (date '2026-01-01', date '2026-01-05'), (date '2026-01-05', date '2026-01-07'),"
            " (date '2026-01-09', date '2026-01-10'), (date '2026-01-02', date '2026-01-03')) as v (f, t)) as p",
            2,
        ),
        (
            "select max(upper(period)) from (select unnest(datemultirange(daterange(date '2026-01-01',"
            " date '2026-01-09')) - range_agg(daterange(f, t))) as period"
            " from (values (date '2026-01-05', date '2026-01-12')) as v (f, t)) as p",
            date(2026, 1, 5),
        ),
        ("select coalesce(range_agg(daterange(f, t)) @> date '2026-01-05', false) from (values"
         " (date '2026-01-01', date '2026-01-05'), (date '2026-01-05', date '2026-01-06')) as v (f, t)", True),
    ],
)  # fmt: skip
def test_what_means_another_thing_in_duckdb_is_rewritten(postgres: str, expected: object) -> None:
    with duckdb.connect() as conn:
        on_duckdb.prepare(conn)
        translated = on_duckdb.translate(postgres, constant=lambda select: None)
        assert conn.execute(translated).fetchall() == [(expected,)]
