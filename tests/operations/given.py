"""Stories as tables that a business person can read: what is given, and what is expected then."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any


def table(text: str) -> list[dict[str, str]]:
    """The rows of a table whose cells stand between bars, the first row naming them; a line of dashes is left out."""
    lines = [line.strip() for line in text.strip().splitlines()]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if set(line) - set("|-: ")]
    names, *rows = cells
    for row in rows:
        assert len(row) == len(names), f"{len(row)} cells, {len(names)} columns: {row}"
    return [dict(zip(names, row, strict=True)) for row in rows]


def written(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Rows that were read, as they are written in a table: in order of their cells."""
    found = [{name: _written(value) for name, value in row.items()} for row in rows]
    return sorted(found, key=lambda row: list(row.values()))


def expected(text: str) -> list[dict[str, str]]:
    """A table as `written` writes it."""
    return sorted(table(text), key=lambda row: list(row.values()))


def _written(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    if isinstance(value, date | datetime):
        return value.isoformat()
    return str(value)
