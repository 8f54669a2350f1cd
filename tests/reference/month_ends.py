"""The members who bought within a year, at the close of each month: scored, concentrated, and how often they come.

Nothing here knows the warehouse's SQL. Of every month that is over it takes the rows of `stages_by_day` of the
month's last day; the survival curve is that of ``scipy.stats.ecdf``.

How to use it::

    observed_from = min(facts["business_date"])
    rfm_grid(daily, scores, groups, observed_from)
    member_concentration_monthly(daily, stores, observed_from)
    purchase_cycle_monthly(daily, facts, stores, observed_from)

Readings of the words, fixed here:

* a month is over when its last day is the as-of date (the last day of ``daily``) or earlier; the first one is that of
  ``observed_from``;
* the members are those who are valid and have a purchase day of the last 365 days, both as that close saw it: a
  purchase that came back later still counted. Recency, frequency and money are that close's, too;
* a score is the highest whose ``from_value`` is reached: for recency more days are a lower score. Money below zero
  is scored as zero, and counted as it is;
* a quarter with a threshold of zero has no rows, either;
* a store is the service store at that close; a level without such a member has no row;
* the purchase cycle looks back from the as-of date: a purchase day that came back in full by then never was. Its
  gaps are those that end in the 365 days that end with the month's last day, wherever they began; its survival curve
  begins anew on each purchase day of these 365 days and ends with the month.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

import pandas as pd
from scipy.stats import CensoredData, ecdf

from .cohorts import money, purchase_days, quotient, rounded, table_of
from .day_by_day import periods, regions

YEAR = timedelta(days=365)
HALF = 0.5 + 1e-9  # the library reckons in floats: what is a half may come out a little above it


def _month_ends(daily: pd.DataFrame, observed_from: date) -> Iterator[tuple[date, date, pd.DataFrame]]:
    """(first day, last day, the members who bought within a year, at its close) of each month that is over."""
    for start, last, close in periods(daily, "month", observed_from):
        if last == close:
            at_the_close = daily[daily["day"] == last]
            yield start, last, at_the_close[at_the_close["is_valid"] & (at_the_close["n365"] >= 1)]


def _levels(members: pd.DataFrame, stores: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """(level, level_id, its members) of each store and region that has any, and of head office."""
    region_of = regions(stores)
    for store_id, of_store in members.groupby("service_store_id", sort=True):
        yield "store", str(store_id), of_store
    for region, of_region in members.groupby(
        members["service_store_id"].map(lambda store_id: region_of.get(store_id, "not_fed")), sort=True
    ):
        yield "region", str(region), of_region
    if len(members):
        yield "hq", "hq", members


# ------------------------------------------------------------------------------------------------------- scores


def score(scores: pd.DataFrame, dimension: str, value: int | Fraction) -> int:
    """The score of a value; ``scores`` as in the seed rfm_scores, numbers as they are written there."""
    reached = [
        (Fraction(str(row["from_value"])), int(row["score"]))
        for row in scores.to_dict("records")
        if row["dimension"] == dimension and value >= Fraction(str(row["from_value"]))
    ]
    return max(reached)[1]


def rfm_grid(daily: pd.DataFrame, scores: pd.DataFrame, groups: pd.DataFrame, observed_from: date) -> pd.DataFrame:
    """Each month that is over × the scores that somebody has; ``groups`` as in the seed rfm_groups."""
    rows = []
    for start, last, members in _month_ends(daily, observed_from):
        cells: dict[tuple[int, int, int], list[int]] = {}
        for row in members.to_dict("records"):
            threshold = row["loyal_threshold_cents"]
            if pd.isna(threshold) or threshold <= 0:
                continue
            spend = int(row["spend365_cents"])
            r = score(scores, "r", int(row["r"]))
            f = score(scores, "f", int(row["n365"]))
            m = score(scores, "m", Fraction(max(spend, 0), int(threshold)))
            cells.setdefault((r, f, m), []).append(spend)
        for (r, f, m), spends in sorted(cells.items()):
            group = _group(groups, r >= 4, f >= 4, m >= 4)
            rows.append(
                {
                    "month_start": start,
                    "as_of_date": last,
                    "r_score": r,
                    "f_score": f,
                    "m_score": m,
                    "group_code": group["group_code"],
                    "group_name": group["name_en"],
                    "group_name_zh": group["name_zh"],
                    "members": len(spends),
                    "net_amount": money(sum(spends)),
                }
            )
    return table_of(
        rows,
        [
            "month_start",
            "as_of_date",
            "r_score",
            "f_score",
            "m_score",
            "group_code",
            "group_name",
            "group_name_zh",
            "members",
            "net_amount",
        ],
    )


def _group(groups: pd.DataFrame, is_recent: bool, is_frequent: bool, is_valuable: bool) -> Mapping[Any, Any]:
    (found,) = [
        row
        for row in groups.to_dict("records")
        if (_says_yes(row["is_recent"]), _says_yes(row["is_frequent"]), _says_yes(row["is_valuable"]))
        == (is_recent, is_frequent, is_valuable)
    ]
    return found


def _says_yes(value: Any) -> bool:
    return str(value).lower() == "true"


# ------------------------------------------------------------------------------------------------ concentration


def member_concentration_monthly(daily: pd.DataFrame, stores: pd.DataFrame, observed_from: date) -> pd.DataFrame:
    """Each month that is over × each level with somebody who bought within a year."""
    rows = []
    for start, _, members in _month_ends(daily, observed_from):
        for level, level_id, of_level in _levels(members, stores):
            spends = sorted(map(int, of_level["spend365_cents"]), reverse=True)
            top = spends[: -(-len(spends) // 10)]  # a tenth, rounded up
            days = int(of_level["n365"].sum())
            rows.append(
                {
                    "month_start": start,
                    "level": level,
                    "level_id": level_id,
                    "purchasers_365": len(spends),
                    "purchase_days_365": days,
                    "net_amount_365": money(sum(spends)),
                    "top_decile_net_amount": money(sum(top)),
                    "top_decile_share": quotient(sum(top), sum(spends), 6),
                    "purchase_frequency": quotient(days, len(spends), 4),
                }
            )
    return table_of(
        rows,
        [
            "month_start",
            "level",
            "level_id",
            "purchasers_365",
            "purchase_days_365",
            "net_amount_365",
            "top_decile_net_amount",
            "top_decile_share",
            "purchase_frequency",
        ],
    )


# -------------------------------------------------------------------------------------------------- how often


def percentile(numbers: Sequence[int], part: Fraction) -> Fraction | None:
    """percentile_cont: what lies at that part of the way from the smallest to the largest; None of nothing."""
    if not numbers:
        return None
    ordered = sorted(numbers)
    place = part * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def km_median(waits: Sequence[tuple[int, bool]]) -> int | None:
    """The smallest number of days by which, by Kaplan–Meier, at least half have come again; None: never.

    waits: days until the next purchase and True, or until the look at it ended and False.
    """
    came = [days for days, has_come in waits if has_come]
    left = [days for days, has_come in waits if not has_come]
    survival = ecdf(CensoredData(uncensored=came, right=left)).sf
    reached = survival.quantiles[survival.probabilities <= HALF]
    return int(reached[0]) if len(reached) else None


def purchase_cycle_monthly(
    daily: pd.DataFrame, facts: pd.DataFrame, stores: pd.DataFrame, observed_from: date
) -> pd.DataFrame:
    """Each month that is over × each level with a purchase day, by a member who bought within a year."""
    bought = purchase_days(facts, daily["day"].max())
    rows = []
    for start, last, members in _month_ends(daily, observed_from):
        for level, level_id, of_level in _levels(members, stores):
            gaps: list[int] = []
            waits: list[tuple[int, bool]] = []
            for card in of_level["card_no"]:
                days = bought.get(card, [])
                days = days[: bisect_right(days, last)]
                first = bisect_left(days, last - YEAR + timedelta(days=1))
                for place in range(first, len(days)):
                    if place > 0:
                        gaps.append((days[place] - days[place - 1]).days)
                    came_again = place + 1 < len(days)
                    waits.append((((days[place + 1] if came_again else last) - days[place]).days, came_again))
            if not waits:
                continue
            quartiles = [percentile(gaps, Fraction(part, 4)) for part in (1, 2, 3)]
            p25, median, p75 = (None if value is None else rounded(value, 1) for value in quartiles)
            rows.append(
                {
                    "month_start": start,
                    "level": level,
                    "level_id": level_id,
                    "gaps": len(gaps),
                    "p25_days": p25,
                    "median_days": median,
                    "p75_days": p75,
                    "km_median_days": km_median(waits),
                }
            )
    return table_of(
        rows, ["month_start", "level", "level_id", "gaps", "p25_days", "median_days", "p75_days", "km_median_days"]
    )
