"""The slow, independent reading of a points ledger: lots are emptied one entry and one point's owner at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

OVERDRAWN = "(overdrawn)"

Entry = Mapping[str, Any]


def open_points(entries: Sequence[Entry]) -> dict[str, int]:
    """Open points by lot of one holder whose entries these are; what no lot could give is OVERDRAWN, and negative."""
    return {name: lot.given - sum(points for _, _, points in lot.taken) for name, lot in lots(entries).items()}


@dataclass
class Lot:
    """given: points put into it, net of reversals; taken: (entry type, when, points) of what was taken from it."""

    opened: Any
    given: int = 0
    taken: list[tuple[str, Any, int]] = field(default_factory=list)


def lots(entries: Sequence[Entry]) -> dict[str, Lot]:
    """The lots of one holder, from the entries' own words alone.

    entries: entry_id, type, points, lot_id, reversed_entry_id, at (comparable), of one holder. A lot in which nothing
    was ever left has given 0; what no lot could give is taken from OVERDRAWN.
    """
    by_id = {entry["entry_id"]: entry for entry in entries}
    worth = {entry["entry_id"]: entry["points"] for entry in entries}
    for entry in entries:
        undone = _undone_in_the_end(entry, by_id)
        if undone is not None:
            worth[undone] += entry["points"]
            del worth[entry["entry_id"]]
    in_order = sorted((by_id[entry_id] for entry_id in worth), key=lambda entry: (entry["at"], entry["entry_id"]))
    found: dict[str, Lot] = {}
    left: dict[str, int] = {}
    for entry in in_order:
        points = worth[entry["entry_id"]]
        if entry["points"] > 0 or points > 0:
            name = entry["lot_id"] or entry["entry_id"]
            lot = found.setdefault(name, Lot(entry["at"]))
            lot.given += max(points, 0)
            left[name] = left.get(name, 0) + max(points, 0)
    oldest_first = sorted(found, key=lambda name: (found[name].opened, name))

    def take(name: str, entry: Entry, wanted: int) -> int:
        taken = min(wanted, left[name])
        if taken:
            left[name] -= taken
            found[name].taken.append((entry["type"], entry["at"], taken))
        return taken

    takes = [(entry, -worth[entry["entry_id"]]) for entry in in_order if worth[entry["entry_id"]] < 0]
    unmet = [
        (entry, points - (take(entry["lot_id"], entry, points) if entry["lot_id"] in found else 0))
        for entry, points in takes
    ]
    for entry, points in unmet:
        for name in oldest_first:
            points -= take(name, entry, points)
        if points:
            found.setdefault(OVERDRAWN, Lot(None)).taken.append((entry["type"], entry["at"], points))
    return found


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
