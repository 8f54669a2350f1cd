"""Members who buy and leave as BG/NBD and gamma-gamma say, by known parameters, and what they do afterwards."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def simulate(
    members: int,
    *,
    seed: int,
    bgnbd: tuple[float, float, float, float] = (0.8, 6.0, 0.9, 2.5),
    amounts: tuple[float, float, float] = (6.0, 4.0, 90.0),
    weeks: int = 78,
    holdout_weeks: int = 26,
    whole_days: bool = False,
) -> pd.DataFrame:
    """Histories of members whose first purchase lay in the first half of the weeks, and the hold-out after them.

    bgnbd: r, alpha, a, b, in weeks; amounts: p, q, v. whole_days: days are counted whole, as in a warehouse, and not to
    the moment; several purchases of a day are still several.
    """
    random = np.random.default_rng(seed)
    r, alpha, a, b = bgnbd
    p, q, v = amounts
    age = random.uniform(weeks / 2, weeks, members)
    if whole_days:
        age = np.round(age * 7) / 7
    rate = random.gamma(r, 1 / alpha, members)
    leaves = random.beta(a, b, members)
    scale = random.gamma(q, 1 / v, members)
    repeats, holdout = np.zeros(members), np.zeros(members)
    recency, clock = np.zeros(members), np.zeros(members)
    alive: NDArray[np.bool_] = np.ones(members, dtype=bool)
    while alive.any():
        clock[alive] += random.exponential(1 / rate[alive])
        alive &= clock <= age + holdout_weeks
        before = alive & (clock <= age)
        repeats += before
        recency = np.where(before, clock, recency)
        holdout += alive & ~before
        alive &= random.uniform(size=members) >= leaves
    if whole_days:
        recency = np.floor(recency * 7) / 7
    return pd.DataFrame(
        {
            "repeat_days": repeats,
            "recency_days": recency * 7,
            "age_days": age * 7,
            "average_amount": random.gamma(p * (repeats + 1), 1 / scale) / (repeats + 1),
            "holdout_days": holdout,
            "holdout_amount": np.where(holdout > 0, random.gamma(p * np.maximum(holdout, 1), 1 / scale), 0),
        }
    )
