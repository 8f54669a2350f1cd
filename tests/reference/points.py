"""The slow, independent reading of a points ledger: lots are emptied one entry and one point's owner at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

OVERDRAWN = "(overdrawn)"

Entry = Mapping[str, Any]


def open_points(entries: Sequence[Entry]) -> dict[str, int]:
    """Open points by lot of one holder whose entries these are, from the entry's own words alone.

    entries: entry_id, type, points, lot_id, reversed_entry_id, at (comparable), of one holder. A lot in which
    nothing was ever left has 0; what no lot could give stands in OVERDRAWN, negative.
    """
    by_id = {entry["entry_id"]: entry for entry in entries}
    worth = {entry["entry_id"]: entry["points"] for entry in entries}
    for entry in entries:
        undone = _undone_in_the_end(entry, by_id)
        if undone is not None:
            worth[undone] += entry["points"]
            del worth[entry["entry_id"]]
    in_order = sorted((by_id[entry_id] for entry_id in worth), key=lambda entry: (entry["at"], entry["entry_id"]))
    lots: dict[str, int] = {}
    opened: dict[str, Any] = {}
    for entry in in_order:
        points = worth[entry["entry_id"]]
        if entry["points"] > 0 or points > 0:
            lot = entry["lot_id"] or entry["entry_id"]
            lots[lot] = lots.get(lot, 0) + max(points, 0)
            opened.setdefault(lot, entry["at"])
    oldest_first = sorted(lots, key=lambda lot: (opened[lot], lot))
    wanted = [(entry["lot_id"], -worth[entry["entry_id"]]) for entry in in_order if worth[entry["entry_id"]] < 0]
    unmet = []
    for lot, points in wanted:
        taken = min(points, lots.get(lot, 0)) if lot else 0
        if taken:
            lots[lot] -= taken
        unmet.append(points - taken)
    for points in unmet:
        left = points
        for lot in oldest_first:
            taken = min(left, lots[lot])
            lots[lot] -= taken
            left -= taken
        if left:
            lots[OVERDRAWN] = lots.get(OVERDRAWN, 0) - left
    return lots


def _undone_in_the_end(entry: Entry, by_id: Mapping[str, Entry]) -> str | None:
    """The entry that a reversal takes back, through reversals of reversals; None when it takes back none, or
    when they take one another back in a circle."""
    seen: list[str] = []
    here = entry
    while here["entry_id"] not in seen:
        seen.append(here["entry_id"])
        named = by_id.get(here["reversed_entry_id"]) if here["type"] == "reverse" else None
        if named is None or named is here:
            return None if here is entry else str(here["entry_id"])
        here = named
    return None
