"""The page docs/sources.md: contracts.md, then what the feeds' declarations say.

``python -m memberhouse.sources.page docs/sources.md`` writes it; a test fails when it is not current.
"""

from __future__ import annotations

import sys
from importlib import resources
from itertools import groupby
from pathlib import Path

from memberhouse.sources.contract import Column, Feed
from memberhouse.sources.feeds import FEEDS

_SOURCES = {
    "reference": "Reference data: from head office, the whole list each time",
    "pos": "Points of sale: a batch a store, or one for the whole chain, a business date",
    "app": "The app's back end",
}


def contracts_page() -> str:
    """The page's text, in Markdown."""
    opening = resources.files("memberhouse.sources") / "contracts.md"
    # its links lead from where it lies; the page lies in docs
    parts = [opening.read_text(encoding="utf-8").replace("](../../../docs/", "](")]
    for source, feeds in groupby(FEEDS.values(), key=lambda feed: feed.source):
        parts.append(f"## {_SOURCES[source]}\n")
        parts.extend(_feed(feed) for feed in feeds)
    return "\n".join(parts)


def _feed(feed: Feed) -> str:
    facts = [f"Key: {_names(feed.key)}."]
    if feed.version:
        facts.append(f"Version: {_names([feed.version])}.")
    if feed.once:
        facts.append("A row counts once, on whatever date it comes again.")
    if feed.money:
        facts.append(f"Control totals over {_names([feed.money])}.")
    rules = [f"- `{rule.code}`: {rule.sentence}." for rule in feed.rules]
    return "\n".join(
        [
            f"### {feed.source}/{feed.name}",
            "",
            f"{feed.meaning[0].upper()}{feed.meaning[1:]}. {' '.join(facts)}",
            "",
            "| Column | Kind | Required | Notes |",
            "|---|---|---|---|",
            *(_column(column) for column in feed.columns),
            *(["", "Quarantined:", "", *rules] if rules else []),
            "",
        ]
    )


def _column(column: Column) -> str:
    notes = [column.meaning] if column.meaning else []
    if column.choices:
        notes.append(", ".join(f"`{choice}`" for choice in column.choices))
    return f"| `{column.name}` | {column.kind} | {'yes' if column.required else ''} | {'; '.join(notes)} |"


def _names(names: tuple[str, ...] | list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(contracts_page(), encoding="utf-8")
