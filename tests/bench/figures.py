"""What a benchmark gives: figures with their spread, measured against something in the same run."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Figure:
    """One measured thing.

    name: such as ``B1``. what, against: in words. unit: ``×`` for a ratio, else ms, s or MB. values: one a
    round. goal, at_most: the goal and its direction. seconds: the times behind a ratio, by side, for orientation.
    details: a table of what it is made of, its head first.
    """

    name: str
    what: str
    against: str
    unit: str
    values: Sequence[float]
    goal: float
    at_most: bool
    seconds: Mapping[str, Sequence[float]] = field(default_factory=dict)
    remarks: str = ""
    details: Sequence[tuple[str, ...]] = ()

    @property
    def middle(self) -> float:
        """The median, which is the figure to quote."""
        return median(self.values)

    @property
    def is_met(self) -> bool:
        """Whether the median reaches the goal."""
        return self.middle <= self.goal if self.at_most else self.middle >= self.goal

    def as_json(self) -> dict[str, Any]:
        """Everything that was measured."""
        return {
            "name": self.name,
            "what": self.what,
            "against": self.against,
            "unit": self.unit,
            "min": min(self.values),
            "median": self.middle,
            "max": max(self.values),
            "values": list(self.values),
            "goal": f"{'at most' if self.at_most else 'at least'} {self.goal} {self.unit}",
            "met": self.is_met,
            "seconds": {side: list(times) for side, times in self.seconds.items()},
            "remarks": self.remarks,
            "details": [list(row) for row in self.details],
        }


def in_turn(rounds: int, sides: Mapping[str, Callable[[], float | None]]) -> dict[str, list[float]]:
    """Run the sides A B A B …, and return each one's seconds, a round each, after a round that does not count.

    A side that does not want all of itself timed returns its seconds.
    """
    times: dict[str, list[float]] = {side: [] for side in sides}
    for number in range(rounds + 1):
        for side, run in sides.items():
            begun = time.perf_counter()
            own = run()
            taken = own if own is not None else time.perf_counter() - begun
            if number:
                times[side].append(taken)
    return times


def ratios(over: Sequence[float], under: Sequence[float], factor: float = 1.0) -> list[float]:
    """Round by round, so that a machine that slows down slows both."""
    return [factor * above / below for above, below in zip(over, under, strict=True)]
