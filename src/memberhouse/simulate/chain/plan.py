"""How large the simulated chain is, over which dates, and where its chance comes from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

DEFAULT_UNTIL = date(2026, 6, 30)
# Later than any date of the simulation, as a day number.
NEVER = 1_000_000

# A stream of chance for each part of the world, so that one part can change and the others stay.
WORLD, PEOPLE, DAY, MESS = range(4)


@dataclass(frozen=True)
class Plan:
    """members: people who join by the last date. days: business dates. store_days: how many of the last
    dates come as one batch a store. messy: whether fraud, late reference data and damage are planted."""

    members: int
    days: int
    seed: int
    messy: bool = False
    until: date = DEFAULT_UNTIL
    store_days: int = 7

    @property
    def first_day(self) -> date:
        return self.until - timedelta(days=self.days - 1)

    @property
    def stores(self) -> int:
        """A store for 333 members; 6 at least, 300 at most."""
        return min(max(round(self.members / 333), 6), 300)

    def date_of(self, day: int) -> date:
        """The business date of a day number; day 0 is the first date."""
        return self.first_day + timedelta(days=day)

    def day_of(self, when: date) -> int:
        return (when - self.first_day).days

    def chance(self, part: int, number: int = 0) -> np.random.Generator:
        """The random numbers of one part of the world: the same for the same seed."""
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(part, number)))
