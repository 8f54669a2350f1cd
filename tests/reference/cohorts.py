"""Cohorts, the slow way: one life after the other, and the members of each month or week counted.

Nothing here knows the warehouse's SQL. It takes what `day_by_day` knows at the close of the as-of date, which is the
last day of ``daily``, and answers tables with the columns that are published.

How to use it::

    observed_from = min(facts["business_date"])
    recruited_by = {member.member_id: member.service_store_id for member in identity.members()}
    members = lives(daily, facts, observed_from, recruited_by, moments_of_sale(receipts, stores))
    cohort_retention(members, as_of), cohort_value(members, as_of), purchase_ladder(members)
    new_member_90d(members, as_of), second_purchase_90d(members, as_of)

Days are ``datetime.date``, money and rates ``Decimal`` with the published places, rounded half away from zero; what
is empty is None.

Readings of the words, fixed here:

* a member is in the cohorts when it enrolled on or after ``observed_from`` and by the as-of date, was not merged
  away, and is at the as-of date neither staff nor test nor blocked; a closed account stays, unless it is one of
  these, too;
* a purchase day is one with a receipt that qualified at sale and has not come back in full by the as-of date. It
  counts wherever it lies, before the enrolment, too: a first purchase may be earlier than the enrolment, and a cohort
  month earlier than the first enrolment;
* money is that of all sale, return and exchange receipts by their own business date, but for staff sales and
  wholesale, whether or not the member was valid on that day. It is of the whole cohort, not only of those who bought
  in the month: a return that came in a later month lowers that month. Money before the first purchase month (of a
  purchase that came back) is in no row;
* a period is over when its last day is the as-of date or earlier: days are looked at by their close;
* of receipts on the first purchase day only those that still count say which store made it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pandas as pd

from .day_by_day import ONE_DAY, RECEIPT_KEY, _days, _stands_at, _texts, week_start

STEPS = ("enrolled", "1st", "2nd", "3rd", "4th+")
A_WEEK = timedelta(days=7)


@dataclass(frozen=True)
class Life:
    """What is known of a member of the cohorts at the as-of date.

    purchase_days: those that still count, in order; first_store: that of the first of them; cents_by_month: net sales
    by the first day of the month.
    """

    member_id: str
    enrolled_on: date
    recruited_by: str
    purchase_days: tuple[date, ...]
    first_store: str | None
    cents_by_month: Mapping[date, int]


# ------------------------------------------------------------------------------------- of numbers and of months


def quotient(over: int | Fraction, under: int, places: int) -> Decimal | None:
    """The quotient with that many places, rounded half away from zero as Postgres rounds; None over nothing."""
    return None if under == 0 else rounded(Fraction(over) / under, places)


def rounded(value: Fraction, places: int) -> Decimal:
    """Half away from zero."""
    whole = int(abs(value) * 10**places + Fraction(1, 2))
    return Decimal(whole if value >= 0 else -whole).scaleb(-places)


def money(cents: int) -> Decimal:
    """Cents as an amount with two places."""
    return Decimal(int(cents)).scaleb(-2)


def month_of(day: date) -> date:
    """The first day of the month that holds ``day``."""
    return day.replace(day=1)


def months_later(month: date, number: int) -> date:
    """The first day of the month that comes ``number`` months later."""
    months = month.year * 12 + month.month - 1 + number
    return date(months // 12, months % 12 + 1, 1)


def last_day_of(month: date) -> date:
    return months_later(month, 1) - ONE_DAY


def months_between(earlier: date, later: date) -> int:
    return (later.year - earlier.year) * 12 + later.month - earlier.month


def table_of(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> pd.DataFrame:
    """The rows as they are: pandas makes neither floats of numbers nor a NaN of what is empty."""
    return pd.DataFrame([[row[column] for column in columns] for row in rows], columns=list(columns), dtype=object)


# --------------------------------------------------------------------------------------------------- the members


def moments_of_sale(receipts: pd.DataFrame, stores: pd.DataFrame) -> dict[tuple[Any, ...], pd.Timestamp]:
    """When each receipt was sold, by its key; a time without a zone is that of the store's clock."""
    zones = {str(row["store_id"]): row.get("timezone") or "UTC" for row in stores.to_dict("records")}
    keys = [
        _days(receipts[column]) if column == "business_date" else _texts(receipts, column) for column in RECEIPT_KEY
    ]
    moments = {}
    revisions = receipts["revision"] if "revision" in receipts else pd.Series(0, index=receipts.index)
    for _, *key, sold_at in sorted(zip(revisions, *keys, receipts["sold_at"], strict=True), key=lambda row: row[0]):
        if not pd.isna(sold_at):
            moment = pd.Timestamp(sold_at)
            if moment.tzinfo is None:
                # an hour that the clocks skip is an hour later, one that they repeat is the second
                moment = moment.tz_localize(
                    zones.get(str(key[0]), "UTC"), ambiguous=False, nonexistent=pd.Timedelta(hours=1)
                )
            moments[tuple(key)] = moment
    return moments


def that_still_count(facts: pd.DataFrame, as_of: date) -> pd.DataFrame:
    """The receipts that qualified at sale and have not come back in full by the close of ``as_of``."""
    sold = facts[facts["qualifies_at_sale"] & (facts["business_date"] <= as_of)]
    return sold[_stands_at(sold["stopped_on"], as_of)]


def purchase_days(facts: pd.DataFrame, as_of: date) -> dict[str, list[date]]:
    """By card, the days on which it bought something that it still has at the close of ``as_of``, in order."""
    days: dict[str, set[date]] = defaultdict(set)
    for card, day in that_still_count(facts, as_of)[["card_no", "business_date"]].itertuples(index=False):
        days[card].add(day)
    return {card: sorted(on) for card, on in days.items() if card}


def lives(
    daily: pd.DataFrame,
    facts: pd.DataFrame,
    observed_from: date,
    recruited_by: Mapping[str, str],
    sold_at: Mapping[tuple[Any, ...], pd.Timestamp],
) -> list[Life]:
    """The members that are in the cohorts, at the close of the last day of ``daily``.

    recruited_by: the recruiting store of each member; sold_at: the moment of each receipt by its key, which is asked
    only where several stores sold on the day of the first purchase.
    """
    if not len(daily):
        return []
    as_of = daily["day"].max()
    at_the_close = daily[daily["day"] == as_of]
    in_cohorts = at_the_close[
        (at_the_close["enrolled_on"] >= observed_from)
        & (at_the_close["enrolled_on"] <= as_of)
        & (at_the_close["merged_on"] > as_of)
        & ~at_the_close[["is_staff", "is_test", "is_blocked"]].any(axis=1)
    ]
    days = purchase_days(facts, as_of)

    bought = defaultdict(list)
    for receipt in that_still_count(facts, as_of).to_dict("records"):
        bought[receipt["card_no"], receipt["business_date"]].append(receipt)

    def store_of(card: str, day: date) -> str:
        receipts = bought[card, day]
        if len({receipt["store_id"] for receipt in receipts}) > 1:
            receipts.sort(key=lambda receipt: sold_at[tuple(receipt[column] for column in RECEIPT_KEY)])
        return str(receipts[0]["store_id"])

    cents: dict[str, dict[date, int]] = defaultdict(lambda: defaultdict(int))
    booked = facts[
        (facts["business_date"] <= as_of)
        & facts["receipt_type"].isin(["sale", "return", "exchange"])
        & ~facts["is_staff_sale"]
        & ~facts["is_wholesale"]
    ]
    for card, day, net in booked[["card_no", "business_date", "net_cents"]].itertuples(index=False):
        cents[card][month_of(day)] += int(net)

    return [
        Life(
            card,
            enrolled_on,
            recruited_by[card],
            tuple(days.get(card, ())),
            store_of(card, days[card][0]) if card in days else None,
            dict(cents[card]),
        )
        for card, enrolled_on in in_cohorts[["card_no", "enrolled_on"]].itertuples(index=False)
    ]


def _grouped(members: Iterable[Life], group_of: Callable[[Life], Any]) -> list[tuple[Any, list[Life]]]:
    """The members by what the function says of them, in order."""
    groups: dict[Any, list[Life]] = defaultdict(list)
    for member in members:
        groups[group_of(member)].append(member)
    return sorted(groups.items())


# --------------------------------------------------------------------------------- cohorts of the first purchase


def cohort_retention(members: Iterable[Life], as_of: date) -> pd.DataFrame:
    """Every month with first-time buyers × every month from then to the as-of date's."""
    rows = []
    for cohort, of_cohort in _by_first_purchase_month(members):
        for number in range(months_between(cohort, as_of) + 1):
            month = months_later(cohort, number)
            active = sum(any(month_of(day) == month for day in member.purchase_days) for member in of_cohort)
            rows.append(
                {
                    "cohort_month": cohort,
                    "active_month": month,
                    "month_number": number,
                    "cohort_members": len(of_cohort),
                    "active_members": active,
                    "net_amount": money(sum(member.cents_by_month.get(month, 0) for member in of_cohort)),
                    "retention_rate": quotient(active, len(of_cohort), 6),
                    "is_over": last_day_of(month) <= as_of,
                }
            )
    return table_of(
        rows,
        [
            "cohort_month",
            "active_month",
            "month_number",
            "cohort_members",
            "active_members",
            "net_amount",
            "retention_rate",
            "is_over",
        ],
    )


def cohort_value(members: Iterable[Life], as_of: date) -> pd.DataFrame:
    """Every month with first-time buyers, and their money of months 0 to 11."""
    rows = []
    for cohort, of_cohort in _by_first_purchase_month(members):
        months = [months_later(cohort, number) for number in range(12)]
        cents = sum(member.cents_by_month.get(month, 0) for member in of_cohort for month in months)
        is_final = last_day_of(months[-1]) <= as_of
        rows.append(
            {
                "cohort_month": cohort,
                "cohort_members": len(of_cohort),
                "net_amount_12m": money(cents),
                "is_final": is_final,
                "value_12m_amount": quotient(Fraction(cents, 100), len(of_cohort), 2) if is_final else None,
            }
        )
    return table_of(rows, ["cohort_month", "cohort_members", "net_amount_12m", "is_final", "value_12m_amount"])


def _by_first_purchase_month(members: Iterable[Life]) -> list[tuple[date, list[Life]]]:
    buyers = [member for member in members if member.purchase_days]
    return _grouped(buyers, lambda member: month_of(member.purchase_days[0]))


def second_purchase_90d(members: Iterable[Life], as_of: date) -> pd.DataFrame:
    """Week of the first purchase × the store that made it, where somebody bought for the first time."""
    rows = []
    buyers = [member for member in members if member.purchase_days]
    for (week, store_id), of_week in _grouped(buyers, lambda one: (week_start(one.purchase_days[0]), one.first_store)):
        came_again = sum(
            any(1 <= (day - member.purchase_days[0]).days <= 90 for day in member.purchase_days) for member in of_week
        )
        sunday = week + A_WEEK - ONE_DAY
        is_mature = sunday + timedelta(days=90) <= as_of
        rows.append(
            {
                "cohort_week": week,
                "store_id": store_id,
                "first_buyers": len(of_week),
                "second_purchase_90d": came_again,
                "is_mature": is_mature,
                "is_final": sunday + timedelta(days=90 + 30) <= as_of,
                "second_purchase_rate": quotient(came_again, len(of_week), 6) if is_mature else None,
            }
        )
    return table_of(
        rows,
        [
            "cohort_week",
            "store_id",
            "first_buyers",
            "second_purchase_90d",
            "is_mature",
            "is_final",
            "second_purchase_rate",
        ],
    )


# -------------------------------------------------------------------------------------- cohorts of the enrolment


def purchase_ladder(members: Iterable[Life]) -> pd.DataFrame:
    """Every month with an enrolment × the five steps; a step's number is the purchase days that it takes."""
    rows = []
    for cohort, of_cohort in _grouped(members, lambda member: month_of(member.enrolled_on)):
        for number, step in enumerate(STEPS):
            rows.append(
                {
                    "cohort_month": cohort,
                    "step": step,
                    "step_number": number,
                    "members": sum(len(member.purchase_days) >= number for member in of_cohort),
                    "cohort_members": len(of_cohort),
                }
            )
    return table_of(rows, ["cohort_month", "step", "step_number", "members", "cohort_members"])


def new_member_90d(members: Iterable[Life], as_of: date) -> pd.DataFrame:
    """Week of the enrolment × recruiting store, where somebody enrolled."""
    rows = []
    for (week, store_id), of_week in _grouped(members, lambda one: (week_start(one.enrolled_on), one.recruited_by)):
        bought = sum(
            any(0 <= (day - member.enrolled_on).days <= 90 for day in member.purchase_days) for member in of_week
        )
        is_final = week + A_WEEK - ONE_DAY + timedelta(days=90) <= as_of
        rows.append(
            {
                "cohort_week": week,
                "store_id": store_id,
                "enrolled": len(of_week),
                "first_purchase_90d": bought,
                "is_final": is_final,
                "first_purchase_rate": quotient(bought, len(of_week), 6) if is_final else None,
            }
        )
    return table_of(
        rows, ["cohort_week", "store_id", "enrolled", "first_purchase_90d", "is_final", "first_purchase_rate"]
    )
