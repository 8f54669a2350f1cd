"""Rows as arrays by name, and rows that wait for a later day."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from memberhouse.simulate.chain.plan import Array

Columns = dict[str, Array]


def taken(columns: Columns, places: Array) -> Columns:
    """The rows at these places, or where a mask is true."""
    return {name: values[places] for name, values in columns.items()}


def stacked(pieces: Iterable[Columns]) -> Columns:
    """The rows of all pieces, which have the same names, one after the other."""
    each = list(pieces)
    return {name: np.concatenate([piece[name] for piece in each]) for name in each[0]}


def size(columns: Columns) -> int:
    return len(next(iter(columns.values())))


class Later:
    """Rows that wait for their day. What is due after the last day is dropped."""

    def __init__(self, days: int) -> None:
        self._days = days
        self._waiting: dict[int, list[Columns]] = defaultdict(list)

    def put(self, due: Array, rows: Columns) -> None:
        """Let each row wait for the day in `due`."""
        for day in np.unique(due).tolist():
            if day < self._days:
                self._waiting[day].append(taken(rows, due == day))

    def due(self, day: int) -> Columns | None:
        """The rows of the day, in the order in which they came; None if there are none."""
        pieces = self._waiting.pop(day, None)
        return stacked(pieces) if pieces else None
