"""The charts: drawn anew they are the same bytes, and they show every week and stage."""

from __future__ import annotations

import re
from datetime import date, timedelta
from decimal import Decimal

import pytest

from memberhouse.reports import charts
from memberhouse.reports.weekly_data import WeeklyReport
from memberhouse.reports.weekly_page import render


def test_the_same_figures_give_the_same_bytes(ordinary_week: WeeklyReport) -> None:
    assert render(ordinary_week, "zh") == render(ordinary_week, "zh")


def test_a_bar_piece_for_each_week_and_stage_and_the_last_week_is_named() -> None:
    mondays = [date(2017, 10, 9) + timedelta(days=7 * n) for n in range(12)]
    shares = [(monday, stage, 5) for monday in mondays for stage in ("S03", "S05", "X")]
    for size in charts.BESIDE:
        svg = charts.stage_mix(shares, ["S03", "S05"], size, "5 < 6 & 7")
        for stage, pieces in (("S03", 12), ("S05", 12), ("X", 0)):
            assert len(re.findall(f'<path [^>]*fill="{charts.STAGE_COLOURS[stage]}"', svg)) == pieces
        assert ">W52<" in svg
        assert 'aria-label="5 &lt; 6 &amp; 7"' in svg


def test_incomplete_weeks_are_faint() -> None:
    weeks = [
        (date(2017, 12, 18), Decimal(5), Decimal(1), True),
        (date(2017, 12, 25), Decimal(2), Decimal(1), False),
    ]
    svg = charts.net_sales(weeks, charts.ACROSS[0], "sales")
    assert len(re.findall(r'opacity="0.35"', svg)) == 2
    assert len(re.findall(r'<path [^>]*opacity="1"', svg)) == 2


def test_a_calibration_has_a_point_for_each_group_and_line_and_its_last_group_is_that_many_or_more() -> None:
    svg = charts.calibration([(0, 0.2, 0.2), (1, 0.5, 0.7), (7, 6.2, 6.4)], charts.ACROSS[1], "predicted & actual")
    for colour in (charts.PREDICTED_COLOUR, charts.MEMBER_COLOUR):
        assert len(re.findall(f'<path [^>]*fill="{colour}"', svg)) == 3 + 1  # the legend has one, too
    assert all(f">{label}<" in svg for label in ("0", "1", "7+", "predicted", "actual"))
    assert 'aria-label="predicted &amp; actual"' in svg


@pytest.mark.parametrize("values", [(1, 2, 3), (2, 2, 2)])
def test_a_trend_stays_within_its_frame(values: tuple[int, ...]) -> None:
    svg = charts.trend([Decimal(value) for value in values], "trend")
    points = [tuple(map(float, point.split(","))) for point in svg.split('points="')[1].split('"')[0].split()]
    assert len(points) == 3
    assert all(0 <= x <= 160 and 0 <= y <= 34 for x, y in points)


def test_stage_colours_are_told_apart_without_colour_vision() -> None:
    """Neighbours in a bar differ in lightness or in blue against yellow, which everybody sees."""

    def seen(colour: str) -> tuple[float, float]:
        red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue, blue - (red + green) / 2

    stages = [stage for stage in charts.STAGE_COLOURS if stage not in ("S01", "X")]
    for below, above in zip(stages, stages[1:], strict=False):
        (light, blue), (light_above, blue_above) = (seen(charts.STAGE_COLOURS[stage]) for stage in (below, above))
        assert max(abs(light - light_above), abs(blue - blue_above)) > 0.12, (below, above)
