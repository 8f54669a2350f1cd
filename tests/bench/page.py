"""The benchmark's page: a table of ratios, a chart, and the settings under which it was measured."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from statistics import median

import altair as alt
import vl_convert
from tests.bench.figures import Figure

from memberhouse.reports.charts import FONT, INK, MUTED, RULE

_MET, _MISSED = "#117733", "#cc6677"


def table(figures: Sequence[Figure]) -> list[str]:
    """Markdown lines: a figure a row."""
    lines = [
        "| # | What | Against | Goal | Min | **Median** | Max | Reached |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for figure in figures:
        least, most = min(figure.values), max(figure.values)
        goal = f"{'≤' if figure.at_most else '≥'} {figure.goal:g} {figure.unit}"
        lines.append(
            f"| {figure.name} | {figure.what} | {figure.against or '–'} | {goal} | {least:.2f} |"
            f" **{figure.middle:.2f} {figure.unit}** | {most:.2f} | {'yes' if figure.is_met else 'no'} |"
        )
    return lines


def page(
    figures: Sequence[Figure],
    settings: Mapping[str, str],
    chart_name: str,
    comments: str,
    others: Sequence[str] = (),
) -> str:
    """The whole Markdown page. others: pages of other runs that lie beside it."""
    seconds = [
        f"| {figure.name} | {figure.what} | {side} | {min(times):.2f} | {median(times):.2f} | {max(times):.2f} |"
        for figure in figures
        for side, times in figure.seconds.items()
    ]
    remarks = [f"- {figure.name}, {figure.what}: {figure.remarks}" for figure in figures if figure.remarks]
    details = [line for figure in figures if figure.details for line in _details(figure)]
    return "\n".join(
        [
            "# Benchmarks",
            "",
            "`make bench` measures all of this in one run, the sides in turn (A B A B …), on data it makes itself, and",
            "writes this page. Machines are shared and noisy: compare ratios, and quote medians.",
            "",
            f"![How far each figure is from its goal]({chart_name})",
            "",
            *table(figures),
            "",
            *remarks,
            "",
            *(f"- Another run: [{name}]({name})" for name in others),
            *([""] if others else []),
            "## Settings",
            "",
            *(f"- {name}: {value}" for name, value in settings.items()),
            "",
            "## Seconds behind the ratios, for orientation only",
            "",
            "| # | What | Side | Min | Median | Max |",
            "|---|---|---|---|---|---|",
            *dict.fromkeys(seconds),
            "",
            *details,
            _of_those(comments, figures),
            "",
        ]
    )


def _of_those(comments: str, figures: Sequence[Figure]) -> str:
    """The comments whose paragraph begins with the number of a figure, below their heading."""
    head, *paragraphs = re.split(r"^(?=\*\*B\d+\.\*\*)", comments.strip(), flags=re.MULTILINE)
    names = {f"**{figure.name}.**" for figure in figures}
    return "".join([head, *(text for text in paragraphs if text.split(maxsplit=1)[0] in names)]).strip()


def _details(figure: Figure) -> list[str]:
    head, *rows = figure.details
    return [
        f"{figure.name}, {figure.what}:",
        "",
        f"| {' | '.join(head)} |",
        f"|{'---|' * len(head)}",
        *(f"| {' | '.join(row)} |" for row in rows),
        "",
    ]


def chart(figures: Sequence[Figure]) -> str:
    """SVG: each figure as a share of its goal, from its least to its most, turned so that right is better."""
    rows = []
    for place, figure in enumerate(figures):
        shares = [figure.goal / value if figure.at_most else value / figure.goal for value in figure.values]
        share = figure.goal / figure.middle if figure.at_most else figure.middle / figure.goal
        rows.append(
            {
                "figure": f"{figure.name}  {figure.what}",
                "place": place,
                "share": share,
                "least": min(shares),
                "most": max(shares),
                "label": f"{figure.middle:.2f} {figure.unit}",
                "met": figure.is_met,
            }
        )
    base = alt.Chart(alt.InlineData(values=rows)).encode(
        y=alt.Y("figure:N", sort=alt.SortField("place"), title=None, axis=alt.Axis(labelLimit=420, ticks=False))
    )
    scale = alt.Scale(type="log", nice=False, padding=20)
    colour = alt.condition(alt.datum.met, alt.value(_MET), alt.value(_MISSED))
    title = "times its goal, logarithmic: right of the line is better than the goal"
    spread = base.mark_rule(strokeWidth=3).encode(
        x=alt.X("least:Q", scale=scale, title=title), x2="most:Q", color=colour
    )
    middle = base.mark_point(filled=True, size=90).encode(x=alt.X("share:Q", scale=scale), color=colour)
    label = base.mark_text(dy=-10, color=INK, font=FONT).encode(x=alt.X("share:Q", scale=scale), text="label:N")
    goal = alt.Chart(alt.InlineData(values=[{"goal": 1}])).mark_rule(color=INK, strokeDash=[4, 3]).encode(x="goal:Q")
    drawn = (
        alt.layer(goal, spread, middle, label)
        .properties(width=560, height=34 * len(rows))
        .configure(font=FONT)
        .configure_axis(labelColor=INK, titleColor=MUTED, gridColor=RULE, domainColor=RULE)
        .configure_view(stroke=None)
    )
    svg: str = vl_convert.vegalite_to_svg(drawn.to_dict())
    return svg
