"""The report's charts as SVG text. Same input, same bytes; no fonts, scripts or links are pulled in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from html import escape
from typing import Any

import altair as alt
import vl_convert

FONT = "system-ui, 'Segoe UI', 'Noto Sans', 'Noto Sans CJK SC', 'PingFang SC', 'Microsoft YaHei', sans-serif"
INK, MUTED, RULE = "#1f2a37", "#5b6675", "#e3e7ec"

# Paul Tol's "muted" scheme: told apart with any of the usual colour-vision deficiencies. A stage has its
# colour everywhere; grey is for those whom nothing is measured of.
STAGE_COLOURS = {
    "S01": "#999933",
    "S02": "#a7adb5",
    "S03": "#88ccee",
    "S04": "#44aa99",
    "S05": "#117733",
    "S06": "#332288",
    "S07": "#aa4499",
    "S08": "#ddcc77",
    "S09": "#cc6677",
    "S10": "#882255",
    "X": "#dddddd",
}
MEMBER_COLOUR, ANONYMOUS_COLOUR = "#117733", "#a7adb5"
PREDICTED_COLOUR = "#aa4499"


@dataclass(frozen=True)
class Size:
    """A chart's plot area in pixels, and how many week labels fit below it."""

    name: str
    width: int
    height: int
    labels: int


# The page shows the one that fits the window: beside a table or across the page, or on a telephone.
BESIDE = (Size("wide", 620, 300, 13), Size("narrow", 280, 240, 5))
ACROSS = (Size("wide", 1060, 200, 26), Size("narrow", 280, 180, 5))


def stage_mix(shares: Sequence[tuple[date, str, int]], stages: Sequence[str], size: Size, alternative: str) -> str:
    """One stacked bar a week: the share of members by stage, the first of ``stages`` at the bottom.

    shares: (Monday, stage code, members).
    """
    order = {stage: place for place, stage in enumerate(stages)}
    rows = [
        {"week": _week(monday), "stage": stage, "members": members, "place": order[stage]}
        for monday, stage, members in shares
        if stage in order
    ]
    chart = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_bar(stroke="white", strokeWidth=0.7)
        .encode(
            x=_weeks([monday for monday, _, _ in shares], size),
            y=alt.Y("members:Q").stack("normalize").axis(format="%", title=None, tickCount=5),
            color=alt.Color("stage:N", legend=None).scale(
                domain=list(stages), range=[STAGE_COLOURS[stage] for stage in stages]
            ),
            order=alt.Order("place:Q"),
        )
    )
    return _svg(chart, size, alternative)


def net_sales(weeks: Sequence[tuple[date, Decimal, Decimal, bool]], size: Size, alternative: str) -> str:
    """One bar a week: net sales of members below, anonymous above; faint while the week is incomplete.

    weeks: (Monday, of members, anonymous, is_complete).
    """
    rows = [
        {"week": _week(monday), "place": place, "whose": whose, "amount": float(amount), "solid": complete}
        for monday, member, anonymous, complete in weeks
        for place, (whose, amount) in enumerate((("member", member), ("anonymous", anonymous)))
    ]
    chart = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_bar()
        .encode(
            x=_weeks([monday for monday, *_ in weeks], size),
            y=alt.Y("amount:Q").axis(format=",.0f", title=None, tickCount=5),
            color=alt.Color("whose:N", legend=None).scale(
                domain=["member", "anonymous"], range=[MEMBER_COLOUR, ANONYMOUS_COLOUR]
            ),
            opacity=alt.Opacity("solid:N", legend=None).scale(domain=[True, False], range=[1, 0.35]),
            order=alt.Order("place:Q"),
        )
    )
    return _svg(chart, size, alternative)


def calibration(groups: Sequence[tuple[int, float, float]], size: Size, alternative: str) -> str:
    """Two lines over the number of repeat purchase days before a hold-out: the purchase days of a member in it that a
    model predicted, dashed, and those that came.

    groups: (repeat purchase days, predicted, actual), a row each of bi.value_calibration; the last stands for that many
    or more.
    """
    most = max(repeats for repeats, *_ in groups)
    names = [f"{repeats}+" if repeats == most else str(repeats) for repeats, *_ in groups]
    rows = [
        {"repeats": name, "days": days, "which": which}
        for name, (_, predicted, actual) in zip(names, groups, strict=True)
        for which, days in (("predicted", predicted), ("actual", actual))
    ]
    which = alt.Color("which:N").scale(domain=["predicted", "actual"], range=[PREDICTED_COLOUR, MEMBER_COLOUR])
    chart = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_line(point=True)
        .encode(
            x=alt.X("repeats:O").sort(names).axis(title="repeat purchase days before", labelAngle=0),
            y=alt.Y("days:Q").axis(title="purchase days in the hold-out, a member", tickCount=5),
            color=which.legend(title=None, orient="top"),
            strokeDash=alt.StrokeDash("which:N", legend=None).scale(
                domain=["predicted", "actual"], range=[[5, 4], [1, 0]]
            ),
        )
    )
    return _svg(chart, size, alternative)


def trend(values: Sequence[Decimal], alternative: str) -> str:
    """A small line without axes; its own lowest and highest value span its height."""
    width, height, margin = 160, 34, 4
    low, high = min(values), max(values)
    step = (width - 2 * margin) / (len(values) - 1)

    def point(place: int, value: Decimal) -> str:
        share = 0.5 if high == low else float((value - low) / (high - low))
        return f"{margin + place * step:.1f},{height - margin - share * (height - 2 * margin):.1f}"

    points = [point(place, value) for place, value in enumerate(values)]
    last_x, last_y = points[-1].split(",")
    return (
        f'<svg class="trend" role="img" aria-label="{escape(alternative)}" viewBox="0 0 {width} {height}">'
        f'<polyline points="{" ".join(points)}" fill="none" stroke="{MUTED}" stroke-width="1.5"/>'
        f'<circle cx="{last_x}" cy="{last_y}" r="3" fill="{INK}"/></svg>'
    )


def _week(monday: date) -> str:
    return f"{monday:%G-W%V}"


def _weeks(mondays: Sequence[date], size: Size) -> alt.X:
    names = [_week(monday) for monday in sorted(set(mondays))]
    every = max(1, -(-len(names) // size.labels))
    labelled = names[::-1][::every][::-1]  # the report's own week is always named
    return (
        alt.X("week:O")
        .sort(names)
        .axis(
            title=None,
            values=labelled,
            labelAngle=0,
            labelExpr="slice(datum.label, 5)",
        )
        .scale(paddingInner=0.18, paddingOuter=0.05)
    )


def _svg(chart: alt.Chart, size: Size, alternative: str) -> str:
    config: dict[str, Any] = {
        "aria": False,
        "background": "transparent",
        "font": FONT,
        "view": {"stroke": None},
        "axis": {
            "labelColor": MUTED,
            "labelFontSize": 12,
            "domainColor": RULE,
            "tickColor": RULE,
            "gridColor": RULE,
        },
        "axisX": {"grid": False, "ticks": False, "labelPadding": 6},
    }
    specification = chart.properties(width=size.width, height=size.height).configure(**config).to_dict()
    svg = vl_convert.vegalite_to_svg(specification)
    # what it shows is said once, for those who do not see it; the marks have nothing to add
    return svg.replace("<svg ", f'<svg role="img" aria-label="{escape(alternative)}" ', 1)
