"""Targets, the slow way: each told one spread over its weeks by the days of a year ago, and what was reached of it.

Nothing here knows the warehouse's SQL. It goes through the told targets one by one, through the days of each period
one by one, and answers tables with the columns that are published.

How to use it::

    weeks = target_decomposition(targets, kinds, sold, observed_from, as_of)
    target_attainment_weekly(weeks, kinds, kpi, stores)

``targets`` holds the rows of the feed as delivered; ``order`` of a row is larger the later it was delivered.
``kinds`` says of each metric that can have a target its kind (flow, standing, period) and its unit; ``sold`` the net
sales of each store and day with receipts, up to the as-of date; ``kpi`` what the KPIs say of each week that has begun,
by (week_start, level, level_id), in the targets' own units (not cents); ``stores`` the region of each store, or None.
Days are ``datetime.date``, money and rates ``Decimal`` with the published places, rounded half away from zero; what is
empty is None.

Readings of the words, fixed here:

* days told in two rows that lie in the same period are the same period; a target of a metric without a kind, of a
  member of staff or of a stage is none of these here;
* a value with more than four places is rounded to four before it is spread;
* a revision that was delivered again has its newest value in all weeks, also in those that began before;
* for the chain the net sales of a day are added up over all stores that sold, whether the KPIs know them or not, and
  only their sum counts as zero when it is below zero;
* bringing down is towards less, below zero, too: of -10 over three equal weeks the first two get -3, the last one -4;
* the last week of the period gets what is left below one unit, though nothing were sold in its days a year before;
* nothing is asked of the day of delivery but what is in force: a target that comes after its period is spread like
  any other, and it is in force if there was none before;
* rows of one type cover a week when they have its seven days together; finer rows that cover only a part of the week
  count for nothing in it;
* a "stores" row adds up the stores that have a row of their own in that week: which the KPIs know, too. Head office has
  one also when only one store has a target; it asks for no region;
* rate and gap are of the actual value and the target as they are published, with four places; of a target below zero
  the rate is simply the quotient.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from math import floor
from typing import Any

import pandas as pd

from .cohorts import A_WEEK, last_day_of, month_of, months_later, rounded, table_of
from .day_by_day import ONE_DAY, quarter_start, week_start

A_YEAR_OF_WEEKS = timedelta(days=364)
FINEST_FIRST = ("week", "month", "quarter", "year")

HQ = ("hq", "hq")

Kinds = Mapping[str, tuple[str, Decimal]]
Weeks = dict[date, list[date]]


# ------------------------------------------------------------------------------------------------- days of periods


def first_day_of_period(period_type: str, day: date) -> date:
    """The first day of the week, month, quarter or year that holds ``day``."""
    return {
        "week": week_start(day),
        "month": month_of(day),
        "quarter": quarter_start(day),
        "year": date(day.year, 1, 1),
    }[period_type]


def last_day_of_period(period_type: str, first: date) -> date:
    if period_type == "week":
        return first + A_WEEK - ONE_DAY
    months = {"month": 1, "quarter": 3, "year": 12}[period_type]
    return last_day_of(months_later(first, months - 1))


def weeks_of_period(period_type: str, first: date) -> Weeks:
    """The days of a period by the Monday of their week, all in order."""
    weeks: Weeks = {}
    day = first
    while day <= last_day_of_period(period_type, first):
        weeks.setdefault(week_start(day), []).append(day)
        day += ONE_DAY
    return weeks


# ------------------------------------------------------------------------------------------------ what was told


@dataclass(frozen=True)
class Told:
    """One revision of one target: its newest value, and when it was delivered first."""

    level: str
    level_id: str
    metric: str
    period_type: str
    period_start: date
    revision: int
    delivered_on: date
    value: Decimal


def told_targets(targets: Iterable[Mapping[str, Any]], kinds: Kinds) -> list[Told]:
    """The targets that are spread, each revision once."""
    delivered: dict[tuple[str, str, str, str, date, int], list[Mapping[str, Any]]] = defaultdict(list)
    for row in sorted(targets, key=lambda row: row["order"]):
        if row["staff_id"] is not None or row["stage_code"] is not None or row["metric"] not in kinds:
            continue
        if kinds[row["metric"]][0] == "period" and row["period_type"] != "week":
            continue
        level, level_id = HQ if row["store_id"] is None else ("store", row["store_id"])
        first = first_day_of_period(row["period_type"], row["period_start"])
        delivered[level, level_id, row["metric"], row["period_type"], first, row["revision"] or 0].append(row)
    return [
        Told(*key, rows[0]["delivered_on"], rounded(Fraction(rows[-1]["value"]), 4))
        for key, rows in sorted(delivered.items())
    ]


def in_force(revisions: Collection[Told], on: date) -> Told:
    """Of the revisions of one target, the one that counts for a week of which ``on`` is its first day."""
    known = [told for told in revisions if told.delivered_on <= on]
    if known:
        return max(known, key=lambda told: told.revision)
    return min(revisions, key=lambda told: (told.delivered_on, told.revision))


# ---------------------------------------------------------------------------------------------- spread over weeks


def shares_of_days(
    days: Sequence[date], sales: Mapping[date, Fraction], observed_from: date, as_of: date
) -> dict[date, Fraction]:
    """Which part of a period's target each of its days has; all days together have one."""
    a_year_before = [day - A_YEAR_OF_WEEKS for day in days]
    weights = [max(sales.get(day, Fraction(0)), Fraction(0)) for day in a_year_before]
    was_observed = observed_from <= a_year_before[0] and a_year_before[-1] <= as_of
    if not was_observed or sum(weights) == 0:
        weights = [Fraction(1) for _ in days]
    total = sum(weights)
    return {day: weight / total for day, weight in zip(days, weights, strict=True)}


def spread(value: Decimal, unit: Decimal, parts: Sequence[Fraction]) -> list[Decimal]:
    """The value in as many parts: whole units by the largest remainders, what is left below one unit to the last."""
    exact = [Fraction(value) / Fraction(unit) * part for part in parts]
    units = [floor(one) for one in exact]
    missing = floor(Fraction(value) / Fraction(unit)) - sum(units)
    largest_first = sorted(range(len(parts)), key=lambda place: (units[place] - exact[place], place))
    for place in largest_first[:missing]:
        units[place] += 1
    spread_values = [unit * number for number in units]
    spread_values[-1] += value - sum(spread_values)
    return spread_values


def flow_to_date(target_value: Decimal, days: Sequence[date], shares: Mapping[date, Fraction], as_of: date) -> Decimal:
    """How much of a week's target belongs to the days that are over."""
    elapsed = [day for day in days if day <= as_of]
    if len(elapsed) == len(days):
        return target_value
    if not elapsed:
        return Decimal(0)
    in_all = sum(shares[day] for day in days)
    part = sum(shares[day] for day in elapsed) / in_all if in_all else Fraction(len(elapsed), len(days))
    return rounded(Fraction(target_value) * part, 2)


def _sales_by_day(sold: Mapping[tuple[str, date], Decimal]) -> dict[tuple[str, str], dict[date, Fraction]]:
    """By level and level_id, the net sales of each day."""
    sales: dict[tuple[str, str], dict[date, Fraction]] = defaultdict(lambda: defaultdict(Fraction))
    for (store_id, day), amount in sold.items():
        sales["store", store_id][day] += Fraction(amount)
        sales[HQ][day] += Fraction(amount)
    return sales


def _four_places(value: Decimal | Fraction) -> Decimal:
    return rounded(Fraction(value), 4)


def target_decomposition(
    targets: Iterable[Mapping[str, Any]],
    kinds: Kinds,
    sold: Mapping[tuple[str, date], Decimal],
    observed_from: date,
    as_of: date,
) -> pd.DataFrame:
    """Every told revision of a target × every week that shares a day with its period."""
    sales = _sales_by_day(sold)
    revisions_of: dict[tuple[Any, ...], list[Told]] = defaultdict(list)
    for told in told_targets(targets, kinds):
        revisions_of[told.level, told.level_id, told.metric, told.period_type, told.period_start].append(told)

    rows = []
    for revisions in revisions_of.values():
        for told in revisions:
            kind, unit = kinds[told.metric]
            weeks = weeks_of_period(told.period_type, told.period_start)
            all_days = [day for days in weeks.values() for day in days]
            shares = shares_of_days(all_days, sales.get((told.level, told.level_id), {}), observed_from, as_of)
            parts = [sum((shares[day] for day in days), Fraction(0)) for days in weeks.values()]
            values = spread(told.value, unit, parts) if kind == "flow" else [told.value for _ in weeks]
            for (monday, days), value in zip(weeks.items(), values, strict=True):
                if kind == "flow":
                    to_date = flow_to_date(value, days, shares, as_of)
                else:
                    to_date = value if days[0] <= as_of else Decimal(0)
                rows.append(
                    {
                        "level": told.level,
                        "level_id": told.level_id,
                        "metric": told.metric,
                        "period_type": told.period_type,
                        "period_start": told.period_start,
                        "revision": told.revision,
                        "week_start": monday,
                        "days": len(days),
                        "delivered_on": told.delivered_on,
                        "parent_value": told.value,
                        "target_value": _four_places(value),
                        "target_to_date": _four_places(to_date),
                        "is_in_force": told == in_force(revisions, days[0]),
                    }
                )
    return table_of(
        rows,
        [
            "level",
            "level_id",
            "metric",
            "period_type",
            "period_start",
            "revision",
            "week_start",
            "days",
            "delivered_on",
            "parent_value",
            "target_value",
            "target_to_date",
            "is_in_force",
        ],
    )


# ------------------------------------------------------------------------------------------- target and attainment


@dataclass(frozen=True)
class Target:
    """What a week is to reach: as a whole, and by now."""

    whole: Decimal
    to_date: Decimal


def target_of_week(rows: Sequence[Mapping[Any, Any]], kind: str) -> Target | None:
    """Of the rows in force for one level, metric and week: the finest type that covers the week says it."""
    for period_type in FINEST_FIRST:
        of_type = [row for row in rows if row["period_type"] == period_type]
        if sum(row["days"] for row in of_type) == 7:
            if kind != "flow":
                # the Sunday is in the period that begins last
                of_type = [max(of_type, key=lambda row: row["period_start"])]
            return Target(
                sum((row["target_value"] for row in of_type), Decimal(0)),
                sum((row["target_to_date"] for row in of_type), Decimal(0)),
            )
    return None


def _exact(value: Any) -> Fraction | None:
    return None if pd.isna(value) else Fraction(str(value))


def target_attainment_weekly(
    decomposition: pd.DataFrame,
    kinds: Kinds,
    kpi: Mapping[tuple[date, str, str], Mapping[str, Any]],
    stores: Mapping[str, str | None],
) -> pd.DataFrame:
    """Week that has begun × level × metric, where there is a target."""
    told: dict[tuple[date, str, str, str], list[Mapping[Any, Any]]] = defaultdict(list)
    for row in decomposition.to_dict("records"):
        if row["is_in_force"]:
            told[row["week_start"], row["level"], row["level_id"], row["metric"]].append(row)

    rows = []

    def tell(
        key: tuple[date, str, str],
        metric: str,
        basis: str,
        number: int | None,
        target: Target,
        actual: Fraction | None,
    ) -> None:
        actual_value = None if actual is None else _four_places(actual)
        rate = gap = None
        if actual_value is not None:
            if target.to_date != 0:
                rate = rounded(Fraction(actual_value) / Fraction(target.to_date), 6)
            gap = actual_value - target.to_date
        rows.append(
            {
                "week_start": key[0],
                "level": key[1],
                "level_id": key[2],
                "metric": metric,
                "basis": basis,
                "stores": number,
                "target_value": target.whole,
                "target_to_date": target.to_date,
                "actual_value": actual_value,
                "attainment_rate": rate,
                "gap_value": gap,
                "days_elapsed": kpi[key]["days_elapsed"],
                "is_complete": kpi[key]["is_complete"],
            }
        )

    def told_of(key: tuple[date, str, str], metric: str) -> Target | None:
        return target_of_week(told.get((*key, metric), []), kinds[metric][0])

    def tell_sum(key: tuple[date, str, str], metric: str, of_stores: Mapping[str, Target]) -> None:
        whole = sum((target.whole for target in of_stores.values()), Decimal(0))
        to_date = sum((target.to_date for target in of_stores.values()), Decimal(0))
        actual = sum((_exact(kpi[key[0], "store", store][metric]) or Fraction(0) for store in of_stores), Fraction(0))
        tell(key, metric, "stores", len(of_stores), Target(whole, to_date), actual)

    for monday in sorted({week for week, _, _ in kpi}):
        for metric in sorted(kinds):
            of_stores: dict[str, Target] = {}
            for store_id in sorted(stores):
                key = (monday, "store", store_id)
                target = told_of(key, metric) if key in kpi else None
                if target is not None:
                    of_stores[store_id] = target
                    tell(key, metric, "told", 1, target, _exact(kpi[key][metric]))

            if kinds[metric][0] == "flow":
                for region in sorted({region for region in stores.values() if region is not None}):
                    key = (monday, "region", region)
                    here = {store: target for store, target in of_stores.items() if stores[store] == region}
                    if here and key in kpi:
                        tell_sum(key, metric, here)

            key = (monday, *HQ)
            if key in kpi:
                target = told_of(key, metric)
                if target is not None:
                    tell(key, metric, "told", None, target, _exact(kpi[key][metric]))
                elif of_stores and kinds[metric][0] == "flow":
                    tell_sum(key, metric, of_stores)
    return table_of(
        rows,
        [
            "week_start",
            "level",
            "level_id",
            "metric",
            "basis",
            "stores",
            "target_value",
            "target_to_date",
            "actual_value",
            "attainment_rate",
            "gap_value",
            "days_elapsed",
            "is_complete",
        ],
    )
