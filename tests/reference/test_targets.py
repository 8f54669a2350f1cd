"""The reference of the targets against periods small enough to check by hand: the boundaries, at n−1, n, n+1."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from math import floor
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from .targets import (
    first_day_of_period,
    spread,
    target_attainment_weekly,
    target_decomposition,
    weeks_of_period,
)

CENT, ONE = Decimal("0.01"), Decimal(1)
KINDS = {
    "net_sales": ("flow", CENT),
    "enrolled": ("flow", ONE),
    "active_members": ("standing", ONE),
    "repeat_rate": ("period", CENT),
}

MONDAY = date(2018, 1, 22)
MONTH = date(2018, 2, 1)  # a Thursday; the month ends on a Wednesday
MONTHS_WEEKS = [date(2018, 1, 29), date(2018, 2, 5), date(2018, 2, 12), date(2018, 2, 19), date(2018, 2, 26)]
MONTHS_DAYS = [4, 7, 7, 7, 3]
LONG_AGO, LONG_AFTER = date(2015, 1, 1), date(2030, 1, 1)
NEVER_SOLD: dict[tuple[str, date], Decimal] = {}


def days(number: int) -> timedelta:
    return timedelta(days=number)


def amounts(*texts: str) -> list[Decimal]:
    return [Decimal(text) for text in texts]


class Feed:
    """Collects told targets, one delivery after the other."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def tells(
        self,
        value: str | int,
        metric: str = "net_sales",
        store: str | None = "A",
        period: tuple[str, date] = ("week", MONDAY),
        revision: int | None = 0,
        on: date = LONG_AGO,
        staff: str | None = None,
        stage: str | None = None,
    ) -> Feed:
        self.rows.append(
            {
                "store_id": store,
                "staff_id": staff,
                "stage_code": stage,
                "period_type": period[0],
                "period_start": period[1],
                "metric": metric,
                "value": Decimal(value),
                "revision": revision,
                "delivered_on": on,
                "order": (on, len(self.rows)),
            }
        )
        return self

    def weeks(
        self,
        sold: Mapping[tuple[str, date], Decimal] = NEVER_SOLD,
        observed_from: date = LONG_AGO,
        as_of: date = LONG_AFTER,
    ) -> pd.DataFrame:
        return target_decomposition(self.rows, KINDS, sold, observed_from, as_of)

    def rows_of_weeks(self, **more: Any) -> list[dict[Any, Any]]:
        return self.weeks(**more).to_dict("records")


@pytest.fixture
def feed() -> Feed:
    return Feed()


def column(rows: Iterable[Mapping[Any, Any]], name: str) -> list[Any]:
    return [row[name] for row in rows]


def sold_a_year_before(amounts_of_days: Mapping[date, str | int], store: str = "A") -> dict[tuple[str, date], Decimal]:
    return {(store, day - days(364)): Decimal(amount) for day, amount in amounts_of_days.items()}


# ------------------------------------------------------------------------------------------------- days of periods


@pytest.mark.parametrize(
    ("period_type", "day", "first"),
    [
        ("week", date(2018, 1, 21), date(2018, 1, 15)),
        ("week", date(2018, 1, 22), date(2018, 1, 22)),
        ("week", date(2018, 1, 23), date(2018, 1, 22)),
        ("month", date(2018, 2, 28), date(2018, 2, 1)),
        ("month", date(2018, 3, 1), date(2018, 3, 1)),
        ("quarter", date(2018, 6, 30), date(2018, 4, 1)),
        ("quarter", date(2018, 7, 1), date(2018, 7, 1)),
        ("year", date(2018, 12, 31), date(2018, 1, 1)),
        ("year", date(2019, 1, 1), date(2019, 1, 1)),
    ],
)
def test_a_day_within_a_period_means_the_period(feed: Feed, period_type: str, day: date, first: date) -> None:
    assert first_day_of_period(period_type, day) == first
    assert set(column(feed.tells(7, period=(period_type, day)).rows_of_weeks(), "period_start")) == {first}


@pytest.mark.parametrize(
    ("period_type", "first", "weeks", "in_the_first", "in_the_last", "in_all"),
    [
        ("week", MONDAY, 1, 7, 7, 7),
        ("month", MONTH, 5, 4, 3, 28),
        ("month", date(2016, 2, 1), 5, 7, 1, 29),  # of a leap year
        ("month", date(2021, 2, 1), 4, 7, 7, 28),
        ("quarter", date(2018, 1, 1), 13, 7, 6, 90),
        ("quarter", date(2018, 10, 1), 14, 7, 1, 92),
        ("year", date(2018, 1, 1), 53, 7, 1, 365),
        ("year", date(2016, 1, 1), 53, 3, 6, 366),
    ],
)
def test_a_period_has_the_weeks_that_share_a_day_with_it(
    period_type: str, first: date, weeks: int, in_the_first: int, in_the_last: int, in_all: int
) -> None:
    found = weeks_of_period(period_type, first)
    counts = [len(of_week) for of_week in found.values()]
    assert (len(found), counts[0], counts[-1], sum(counts)) == (weeks, in_the_first, in_the_last, in_all)
    assert set(counts[1:-1]) <= {7}
    assert all(monday <= day <= monday + days(6) for monday, of_week in found.items() for day in of_week)


# ------------------------------------------------------------------------------------------------ what was told


def test_a_week_of_a_month_tells_all_that_is_published(feed: Feed) -> None:
    feed.tells(280, period=("month", MONTH), revision=2, on=date(2018, 1, 15))
    first = feed.rows_of_weeks(as_of=MONTH)[0]
    assert first == {
        "level": "store",
        "level_id": "A",
        "metric": "net_sales",
        "period_type": "month",
        "period_start": MONTH,
        "revision": 2,
        "week_start": date(2018, 1, 29),
        "days": 4,
        "delivered_on": date(2018, 1, 15),
        "parent_value": Decimal(280),
        "target_value": Decimal(40),
        "target_to_date": Decimal(10),
        "is_in_force": True,
    }
    published = [str(first[name]) for name in ("parent_value", "target_value", "target_to_date")]
    assert published == ["280.0000", "40.0000", "10.0000"]


def test_a_target_without_a_store_is_head_offices(feed: Feed) -> None:
    row = feed.tells(7, store=None).rows_of_weeks()[0]
    assert (row["level"], row["level_id"]) == ("hq", "hq")


def test_targets_of_staff_of_stages_and_of_other_metrics_are_left_out(feed: Feed) -> None:
    feed.tells(4).tells(3, metric="likes")
    for staff, stage in (("someone", None), (None, "S03"), ("someone", "S03")):
        feed.tells(1, staff=staff, stage=stage)  # later, and would be the newest value
        assert column(feed.rows_of_weeks(), "parent_value") == [4]
    assert list(Feed().weeks().columns) == list(feed.weeks().columns)


@pytest.mark.parametrize(
    ("metric", "types"),
    [
        ("net_sales", {"week", "month", "quarter", "year"}),
        ("active_members", {"week", "month", "quarter", "year"}),
        ("repeat_rate", {"week"}),
    ],
)
def test_what_is_of_a_period_is_told_for_weeks_only(feed: Feed, metric: str, types: set[str]) -> None:
    for period_type in ("week", "month", "quarter", "year"):
        feed.tells(1, metric, period=(period_type, date(2018, 1, 1)))
    assert set(column(feed.rows_of_weeks(), "period_type")) == types


def test_a_revision_told_twice_has_the_newest_value_and_the_first_day(feed: Feed) -> None:
    feed.tells(10, on=MONDAY - days(9)).tells(20, on=MONDAY - days(5)).tells(15, on=MONDAY + days(3), revision=None)
    for told in (feed.rows, feed.rows[::-1]):
        (row,) = target_decomposition(told, KINDS, {}, LONG_AGO, LONG_AFTER).to_dict("records")
        assert (row["revision"], row["parent_value"], row["target_value"]) == (0, 15, 15)
        assert row["delivered_on"] == MONDAY - days(9)


def test_days_of_one_month_tell_the_same_target(feed: Feed) -> None:
    feed.tells(10, period=("month", MONTH + days(3))).tells(20, period=("month", MONTH + days(27)))
    assert set(column(feed.rows_of_weeks(), "parent_value")) == {20}
    assert len(feed.rows_of_weeks()) == 5


# ------------------------------------------------------------------------------------------------- what is in force


@pytest.mark.parametrize(("late", "in_force"), [(-1, 1), (0, 1), (1, 0)])
def test_a_revision_counts_when_it_comes_by_the_first_day(feed: Feed, late: int, in_force: int) -> None:
    feed.tells(10, on=MONDAY - days(30)).tells(20, revision=1, on=MONDAY + days(late))
    assert [row["revision"] for row in feed.rows_of_weeks() if row["is_in_force"]] == [in_force]


@pytest.mark.parametrize(
    ("delivered_on", "in_force"),
    [
        (MONTH - days(1), [1, 1, 1, 1, 1]),
        (MONTH, [1, 1, 1, 1, 1]),  # the first day of the month, not the Monday before it
        (MONTH + days(1), [0, 1, 1, 1, 1]),
        (date(2018, 2, 11), [0, 0, 1, 1, 1]),
        (date(2018, 2, 12), [0, 0, 1, 1, 1]),
        (date(2018, 2, 13), [0, 0, 0, 1, 1]),
        (date(2018, 2, 26), [0, 0, 0, 0, 1]),
        (date(2018, 2, 27), [0, 0, 0, 0, 0]),
    ],
)
def test_a_revision_never_changes_the_weeks_before_it(feed: Feed, delivered_on: date, in_force: list[int]) -> None:
    month = ("month", MONTH)
    feed.tells(10, period=month, on=MONTH - days(30)).tells(20, period=month, revision=1, on=delivered_on)
    told = [(row["week_start"], row["revision"]) for row in feed.rows_of_weeks() if row["is_in_force"]]
    assert sorted(told) == list(zip(MONTHS_WEEKS, in_force, strict=True))


@pytest.mark.parametrize(
    ("delivered", "in_force"),
    [
        ({0: -2, 1: -3}, 1),  # the higher revision, though the other one came later
        ({0: 2, 1: 1}, 1),  # nothing was there in time: what came first
        ({0: 1, 1: 1}, 0),  # on the same day: the lower one
        ({0: 1, 1: 0, 2: 2}, 1),
    ],
)
def test_of_several_revisions_one_is_in_force(feed: Feed, delivered: dict[int, int], in_force: int) -> None:
    for revision, late in delivered.items():
        feed.tells(10, revision=revision, on=MONDAY + days(late))
    assert [row["revision"] for row in feed.rows_of_weeks() if row["is_in_force"]] == [in_force]


def test_a_revision_told_again_in_time_is_not_late(feed: Feed) -> None:
    feed.tells(10, on=MONDAY - days(5)).tells(20, revision=1, on=MONDAY).tells(30, revision=1, on=MONDAY + days(2))
    assert [row["target_value"] for row in feed.rows_of_weeks() if row["is_in_force"]] == [30]


def test_targets_of_other_stores_metrics_and_periods_are_in_force_beside_each_other(feed: Feed) -> None:
    feed.tells(1, revision=0).tells(2, revision=1, store="B").tells(3, revision=2, store=None)
    feed.tells(4, revision=3, metric="enrolled").tells(5, revision=4, period=("week", MONDAY + days(7)))
    feed.tells(6, revision=5, period=("month", MONDAY))
    rows = feed.rows_of_weeks()
    assert len(rows) == 5 + 5
    assert all(column(rows, "is_in_force"))


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(-10, 40)), min_size=1, max_size=8))
def test_exactly_one_revision_is_in_force_in_each_week(told: list[tuple[int, int]]) -> None:
    feed = Feed()
    for revision, late in sorted(told, key=lambda one: one[1]):
        feed.tells(10, period=("month", MONTH), revision=revision, on=MONTH + days(late))
    in_force = [row["week_start"] for row in feed.rows_of_weeks() if row["is_in_force"]]
    assert sorted(in_force) == MONTHS_WEEKS


# ---------------------------------------------------------------------------------------------- spread over weeks


def test_without_sales_a_year_before_each_day_gets_the_same(feed: Feed) -> None:
    rows = feed.tells(280, period=("month", MONTH)).rows_of_weeks()
    assert column(rows, "week_start") == MONTHS_WEEKS
    assert column(rows, "days") == MONTHS_DAYS
    assert column(rows, "target_value") == [40, 70, 70, 70, 30]


def test_a_day_gets_its_share_of_the_same_weekday_a_year_before(feed: Feed) -> None:
    feed.tells(100, period=("month", MONTH))
    # 4 February is the last day of the first week, 5 February the first of the second; the month ends on the 28th
    sold = sold_a_year_before({date(2018, 2, 4): 1, date(2018, 2, 5): 2, date(2018, 2, 28): 1})
    assert column(feed.rows_of_weeks(sold=sold), "target_value") == [25, 50, 0, 0, 25]
    assert date(2018, 2, 5) - days(364) == date(2017, 2, 6)  # a Monday, too
    # the days next to the month say nothing
    sold |= sold_a_year_before({date(2018, 1, 31): 100, date(2018, 3, 1): 100})
    assert column(feed.rows_of_weeks(sold=sold), "target_value") == [25, 50, 0, 0, 25]


@pytest.mark.parametrize(("amount", "values"), [(-1, [0, 100]), (0, [0, 100]), (100, [50, 50])])
def test_a_day_below_zero_counts_as_zero(feed: Feed, amount: int, values: list[int]) -> None:
    feed.tells(100, period=("month", MONTH))
    sold = sold_a_year_before({date(2018, 2, 4): amount, date(2018, 2, 5): 100})
    assert column(feed.rows_of_weeks(sold=sold), "target_value")[:2] == values


def test_when_all_days_are_below_zero_each_gets_the_same(feed: Feed) -> None:
    sold = sold_a_year_before({date(2018, 2, 4): -5, date(2018, 2, 5): 0})
    rows = feed.tells(280, period=("month", MONTH)).rows_of_weeks(sold=sold)
    assert column(rows, "target_value") == [40, 70, 70, 70, 30]


def test_the_chain_is_spread_by_the_days_of_all_stores_together(feed: Feed) -> None:
    for store in ("A", "B", None):
        feed.tells(100, store=store, period=("month", MONTH))
    # on the first day the stores sold 3 and gave back 2, which is 1
    sold = sold_a_year_before({MONTH: 3, date(2018, 2, 5): 1}) | sold_a_year_before(
        {MONTH: -2, date(2018, 2, 28): 2}, "B"
    )
    values: dict[str, list[Decimal]] = {}
    for row in feed.rows_of_weeks(sold=sold):
        values.setdefault(row["level_id"], []).append(row["target_value"])
    assert values == {"hq": [25, 25, 0, 0, 50], "A": [75, 25, 0, 0, 0], "B": [0, 0, 0, 0, 100]}


@pytest.mark.parametrize(("begins", "is_by_sales"), [(-1, True), (0, True), (1, False)])
def test_last_year_must_be_observed_from_its_first_day(feed: Feed, begins: int, is_by_sales: bool) -> None:
    sold = sold_a_year_before({date(2018, 2, 5): 1})
    observed_from = MONTH - days(364) + days(begins)
    rows = feed.tells(280, period=("month", MONTH)).rows_of_weeks(sold=sold, observed_from=observed_from)
    assert column(rows, "target_value") == ([0, 280, 0, 0, 0] if is_by_sales else [40, 70, 70, 70, 30])


@pytest.mark.parametrize(("ends", "is_by_sales"), [(-1, False), (0, True), (1, True)])
def test_last_year_must_be_observed_to_its_last_day(feed: Feed, ends: int, is_by_sales: bool) -> None:
    sold = sold_a_year_before({date(2018, 2, 5): 1})
    as_of = date(2018, 2, 28) - days(364) + days(ends)
    rows = feed.tells(280, period=("month", MONTH)).rows_of_weeks(sold=sold, as_of=as_of)
    assert column(rows, "target_value") == ([0, 280, 0, 0, 0] if is_by_sales else [40, 70, 70, 70, 30])
    assert column(rows, "target_to_date") == [0] * 5  # the month has not begun


def test_cents_that_are_missing_go_to_the_largest_remainders(feed: Feed) -> None:
    # 1.00 by 4, 7, 7, 7, 3 of 28 days: 14.29, 25.00 three times, 10.71 cents
    rows = feed.tells(1, period=("month", MONTH)).rows_of_weeks()
    assert column(rows, "target_value") == amounts("0.14", "0.25", "0.25", "0.25", "0.11")
    # 1 member: 0.14, 0.25 three times, 0.11: of equal remainders the earlier week
    rows = Feed().tells(1, "enrolled", period=("month", MONTH)).rows_of_weeks()
    assert column(rows, "target_value") == [0, 1, 0, 0, 0]
    # 6 members: 0.86, 1.5 three times, 0.64: three missing, the first, the last and one of the equal ones
    rows = Feed().tells(6, "enrolled", period=("month", MONTH)).rows_of_weeks()
    assert column(rows, "target_value") == [1, 2, 1, 1, 1]


THIRDS = [Fraction(1, 3)] * 3


@pytest.mark.parametrize(
    ("value", "unit", "values"),
    [
        ("8", ONE, ["3", "3", "2"]),
        ("9", ONE, ["3", "3", "3"]),
        ("10", ONE, ["4", "3", "3"]),
        ("10.5", ONE, ["4", "3", "3.5"]),  # the half goes to the last one
        ("0.5", ONE, ["0", "0", "0.5"]),
        ("0.0199", CENT, ["0.01", "0", "0.0099"]),
        ("0", ONE, ["0", "0", "0"]),
        ("-8", ONE, ["-2", "-3", "-3"]),
        ("-10", ONE, ["-3", "-3", "-4"]),
        ("-0.5", ONE, ["0", "0", "-0.5"]),
    ],
)
def test_whole_units_are_spread_and_the_last_part_gets_what_is_below_one(
    value: str, unit: Decimal, values: list[str]
) -> None:
    assert spread(Decimal(value), unit, THIRDS) == amounts(*values)


def test_the_last_week_gets_what_is_below_one_unit_though_it_sold_nothing(feed: Feed) -> None:
    sold = sold_a_year_before({MONTH: 1})
    rows = feed.tells("2.7", "enrolled", period=("month", MONTH)).rows_of_weeks(sold=sold)
    assert column(rows, "target_value") == amounts("2", "0", "0", "0", "0.7")


@pytest.mark.parametrize(("value", "parent"), [("1.00004", "1.0000"), ("1.00005", "1.0001"), ("-1.00005", "-1.0001")])
def test_a_value_is_told_with_four_places(feed: Feed, value: str, parent: str) -> None:
    rows = feed.tells(value, period=("month", MONTH)).rows_of_weeks()
    assert {str(told) for told in column(rows, "parent_value")} == {parent}
    assert sum(column(rows, "target_value")) == Decimal(parent)


VALUES = st.decimals(min_value=-(10**9), max_value=10**9, places=4)
SALES = st.dictionaries(
    st.tuples(st.sampled_from("AB"), st.dates(date(2017, 1, 25), date(2017, 3, 8))),
    st.decimals(min_value=-1000, max_value=1000, places=2),
    max_size=30,
)


@given(
    VALUES,
    st.sampled_from(["net_sales", "enrolled"]),
    st.sampled_from(["A", None]),
    st.sampled_from(["week", "month", "quarter"]),
    SALES,
)
def test_the_weeks_add_up_to_what_was_told(
    value: Decimal, metric: str, store: str | None, period_type: str, sold: dict[tuple[str, date], Decimal]
) -> None:
    feed = Feed().tells(str(value), metric, store, (period_type, MONTH))
    rows = feed.rows_of_weeks(sold=sold)
    assert sum(column(rows, "target_value")) == value
    assert column(rows, "target_to_date") == column(rows, "target_value")  # all is over
    assert all(week_value % KINDS[metric][1] == 0 for week_value in column(rows, "target_value")[:-1])
    # the shares are those of the days, whatever is measured in them
    assert sum(column(rows, "days")) == {"week": 7, "month": 28, "quarter": 90}[period_type]


@given(VALUES, st.sampled_from([CENT, ONE]), st.lists(st.integers(0, 50), min_size=1, max_size=20).filter(any))
def test_no_part_is_further_from_its_share_than_one_unit(value: Decimal, unit: Decimal, weights: list[int]) -> None:
    parts = [Fraction(weight, sum(weights)) for weight in weights]
    found = spread(value, unit, parts)
    assert sum(found) == value
    below_one = value - unit * floor(Fraction(value) / Fraction(unit))
    found[-1] -= below_one
    for part, got in zip(parts, found, strict=True):
        assert abs(Fraction(got) - Fraction(value) * part) < Fraction(unit)


# ------------------------------------------------------------------------------------------- what is to be there by now


@pytest.mark.parametrize(
    ("as_of", "to_date"),
    [
        (MONTH - days(1), [0, 0, 0, 0, 0]),  # the week has begun, the month has not
        (MONTH, [10, 0, 0, 0, 0]),
        (date(2018, 2, 3), [30, 0, 0, 0, 0]),
        (date(2018, 2, 4), [40, 0, 0, 0, 0]),
        (date(2018, 2, 5), [40, 10, 0, 0, 0]),
        (date(2018, 2, 25), [40, 70, 70, 70, 0]),
        (date(2018, 2, 27), [40, 70, 70, 70, 20]),
        (date(2018, 2, 28), [40, 70, 70, 70, 30]),
        (date(2018, 3, 1), [40, 70, 70, 70, 30]),
    ],
)
def test_by_now_the_days_that_are_over_count(feed: Feed, as_of: date, to_date: list[int]) -> None:
    rows = feed.tells(280, period=("month", MONTH)).rows_of_weeks(as_of=as_of)
    assert column(rows, "target_to_date") == to_date


@pytest.mark.parametrize(("elapsed", "to_date"), [(0, "0"), (1, "0.20"), (2, "0.50"), (3, "1"), (7, "1")])
def test_by_now_days_count_by_their_share_of_last_year(feed: Feed, elapsed: int, to_date: str) -> None:
    sold = sold_a_year_before({MONDAY: 2, MONDAY + days(1): 3, MONDAY + days(2): 5})
    rows = feed.tells(1).rows_of_weeks(sold=sold, as_of=MONDAY + days(elapsed - 1))
    assert column(rows, "target_to_date") == amounts(to_date)


@pytest.mark.parametrize(("elapsed", "to_date"), [(1, "0.23"), (2, "0.47"), (3, "0.7")])
def test_by_now_days_count_equally_in_a_week_without_sales(feed: Feed, elapsed: int, to_date: str) -> None:
    sold = sold_a_year_before({MONTH: 1})
    as_of = date(2018, 2, 25) + days(elapsed)
    rows = feed.tells("2.7", "enrolled", period=("month", MONTH)).rows_of_weeks(sold=sold, as_of=as_of)
    # of the 0.7 that is below one member a third, two thirds, all
    assert column(rows, "target_to_date") == amounts("2", "0", "0", "0", to_date)


@pytest.mark.parametrize(
    ("value", "to_date"), [("0.08", "0.04"), ("0.09", "0.05"), ("0.11", "0.06"), ("-0.09", "-0.05")]
)
def test_by_now_half_a_cent_is_rounded_away_from_zero(feed: Feed, value: str, to_date: str) -> None:
    sold = sold_a_year_before({MONDAY: 1, MONDAY + days(1): 1})
    rows = feed.tells(value).rows_of_weeks(sold=sold, as_of=MONDAY)
    assert column(rows, "target_to_date") == amounts(to_date)


def test_a_week_that_is_over_keeps_what_is_below_a_cent(feed: Feed) -> None:
    assert column(feed.tells("1.2345").rows_of_weeks(as_of=MONDAY + days(6)), "target_to_date") == amounts("1.2345")
    # six sevenths
    assert column(feed.rows_of_weeks(as_of=MONDAY + days(5)), "target_to_date") == amounts("1.06")


@pytest.mark.parametrize(
    ("as_of", "to_date"),
    [
        (MONTH - days(1), [0, 0, 0, 0, 0]),  # the week has begun, the month has not
        (MONTH, [90, 0, 0, 0, 0]),
        (date(2018, 2, 4), [90, 0, 0, 0, 0]),
        (date(2018, 2, 5), [90, 90, 0, 0, 0]),
        (date(2018, 2, 26), [90, 90, 90, 90, 90]),
    ],
)
def test_what_stands_is_to_stand_in_each_week_that_has_begun(feed: Feed, as_of: date, to_date: list[int]) -> None:
    rows = feed.tells(90, "active_members", period=("month", MONTH)).rows_of_weeks(as_of=as_of)
    assert column(rows, "target_value") == [90] * 5
    assert column(rows, "target_to_date") == to_date
    assert column(rows, "days") == MONTHS_DAYS


@pytest.mark.parametrize(("begun", "to_date"), [(-1, "0"), (0, "0.25"), (1, "0.25")])
def test_a_rate_is_asked_for_from_the_weeks_first_day(feed: Feed, begun: int, to_date: str) -> None:
    (row,) = feed.tells("0.25", "repeat_rate").rows_of_weeks(as_of=MONDAY + days(begun))
    assert (row["target_value"], row["target_to_date"]) == (Decimal("0.25"), Decimal(to_date))


# ------------------------------------------------------------------------------------------- target and attainment

STORES = {"A": "north", "B": "north", "C": "south", "D": None}
EVERYWHERE = [
    *(("store", store) for store in STORES),
    ("region", "north"),
    ("region", "south"),
    ("hq", "hq"),
]


class Kpis:
    """What the KPIs say of some weeks; of each metric 1 in each store, unless told otherwise."""

    def __init__(self, *mondays: date) -> None:
        self.rows: dict[tuple[date, str, str], dict[str, Any]] = {
            (monday, level, level_id): {"days_elapsed": 7, "is_complete": True} | dict.fromkeys(KINDS, ONE)
            for monday in mondays or (MONDAY,)
            for level, level_id in EVERYWHERE
        }

    def say(self, level_id: str, metric: str, value: Any, monday: date = MONDAY) -> Kpis:
        (key,) = (key for key in self.rows if (key[0], key[2]) == (monday, level_id))
        self.rows[key][metric] = value
        return self

    def against(self, feed: Feed, stores: Mapping[str, str | None] = STORES, **more: Any) -> list[dict[Any, Any]]:
        return target_attainment_weekly(feed.weeks(**more), KINDS, self.rows, stores).to_dict("records")


def by_level_id(rows: Iterable[Mapping[Any, Any]], *names: str) -> dict[str, Any]:
    rows = list(rows)
    found = {row["level_id"]: tuple(row[name] for name in names) for row in rows}
    assert len(found) == len(rows)
    return found


def test_a_store_is_held_against_what_it_was_told(feed: Feed) -> None:
    kpis = Kpis().say("A", "net_sales", Decimal("50"))
    kpis.rows[MONDAY, "store", "A"] |= {"days_elapsed": 4, "is_complete": False}
    row = kpis.against(feed.tells(140), as_of=MONDAY + days(3))[0]
    assert row == {
        "week_start": MONDAY,
        "level": "store",
        "level_id": "A",
        "metric": "net_sales",
        "basis": "told",
        "stores": 1,
        "target_value": Decimal(140),
        "target_to_date": Decimal(80),
        "actual_value": Decimal(50),
        "attainment_rate": Decimal("0.625"),
        "gap_value": Decimal(-30),
        "days_elapsed": 4,
        "is_complete": False,
    }
    assert [str(row[name]) for name in ("target_value", "target_to_date", "actual_value", "gap_value")] == [
        "140.0000",
        "80.0000",
        "50.0000",
        "-30.0000",
    ]
    assert str(row["attainment_rate"]) == "0.625000"


def test_regions_and_head_office_add_up_the_stores_that_have_a_target(feed: Feed) -> None:
    feed.tells(10, store="A").tells(20, store="C").tells(40, store="D")
    kpis = Kpis()
    for store, reached in {"A": 5, "B": 100, "C": 7, "D": 9}.items():
        kpis.say(store, "net_sales", Decimal(reached))
    rows = kpis.against(feed)
    assert by_level_id(rows, "basis", "stores", "target_value", "actual_value") == {
        "A": ("told", 1, 10, 5),
        "C": ("told", 1, 20, 7),
        "D": ("told", 1, 40, 9),  # in no region
        "north": ("stores", 1, 10, 5),  # B has no target, and what it reached is left out
        "south": ("stores", 1, 20, 7),
        "hq": ("stores", 3, 70, 21),
    }
    assert by_level_id(rows, "attainment_rate", "gap_value")["hq"] == (Decimal("0.3"), -49)


def test_a_region_adds_up_its_stores(feed: Feed) -> None:
    feed.tells(10, store="A").tells(20, store="B")
    rows = Kpis().against(feed, as_of=MONDAY)
    found = by_level_id(rows, "stores", "target_value", "target_to_date", "actual_value")
    # 1.43 and 2.86
    assert found["north"] == (2, 30, Decimal("4.29"), 2)


@pytest.mark.parametrize("told_too", [False, True])
def test_head_offices_own_target_goes_before_the_stores(feed: Feed, told_too: bool) -> None:
    feed.tells(10, store="A").tells(20, store="B")
    if told_too:
        feed.tells(100, store=None)
    found = by_level_id(Kpis().say("hq", "net_sales", Decimal(77)).against(feed), "basis", "stores", "target_value")
    assert found["hq"] == (("told", None, 100) if told_too else ("stores", 2, 30))
    assert found["north"] == ("stores", 2, 30)


def test_head_offices_own_target_is_held_against_head_offices_own_value(feed: Feed) -> None:
    kpis = Kpis().say("hq", "net_sales", Decimal(77))
    found = by_level_id(kpis.against(feed.tells(100, store=None)), "actual_value", "attainment_rate")
    assert found == {"hq": (77, Decimal("0.77"))}  # no store, no region


@pytest.mark.parametrize("metric", ["active_members", "repeat_rate"])
def test_what_stands_and_rates_are_not_added_up(feed: Feed, metric: str) -> None:
    feed.tells(1, metric, store="A").tells(2, metric, store="B")
    assert set(by_level_id(Kpis().against(feed))) == {"A", "B"}
    feed.tells(3, metric, store=None)
    assert by_level_id(Kpis().against(feed), "basis", "target_value")["hq"] == ("told", 3)


@pytest.mark.parametrize(
    ("told", "target"),
    [
        (["week", "month", "quarter", "year"], 1),
        (["month", "quarter", "year"], 2),
        (["quarter", "year"], 3),
        (["year"], 4),
        (["year", "week"], 1),
    ],
)
def test_the_finest_period_that_is_told_counts(feed: Feed, told: list[str], target: int) -> None:
    values = {"week": 1, "month": 2, "quarter": 3, "year": 4}
    for period_type in told:
        feed.tells(values[period_type], "active_members", period=(period_type, MONDAY))
    assert by_level_id(Kpis().against(feed), "target_value") == {"A": (target,)}


SHARED = date(2018, 1, 29)  # a week with three days of January and four of February
JANUARY, FEBRUARY = ("month", date(2018, 1, 1)), ("month", MONTH)


@pytest.mark.parametrize(
    ("as_of", "to_date"), [(date(2018, 1, 31), 30), (date(2018, 2, 1), 50), (date(2018, 2, 4), 110)]
)
def test_a_week_of_two_months_adds_up_both_parts(feed: Feed, as_of: date, to_date: int) -> None:
    feed.tells(310, period=JANUARY).tells(560, period=FEBRUARY)
    found = by_level_id(Kpis(SHARED).against(feed, as_of=as_of), "target_value", "target_to_date")
    assert found["A"] == (30 + 80, to_date)


@pytest.mark.parametrize("metric", ["net_sales", "active_members"])
def test_a_week_of_which_one_month_is_missing_goes_to_the_quarter(feed: Feed, metric: str) -> None:
    feed.tells(560, metric, period=FEBRUARY)
    assert Kpis(SHARED).against(feed) == []
    feed.tells(900, metric, period=("quarter", MONTH))
    (expected,) = (
        row["target_value"] for row in feed.rows_of_weeks() if row["week_start"] == SHARED and row["days"] == 7
    )
    assert by_level_id(Kpis(SHARED).against(feed), "target_value")["A"] == (expected,)


@pytest.mark.parametrize(("as_of", "to_date"), [(date(2018, 1, 31), 0), (date(2018, 2, 1), 70)])
def test_what_stands_is_that_of_the_sunday(feed: Feed, as_of: date, to_date: int) -> None:
    feed.tells(50, "active_members", period=JANUARY).tells(70, "active_members", period=FEBRUARY)
    found = by_level_id(Kpis(SHARED).against(feed, as_of=as_of), "target_value", "target_to_date")
    assert found == {"A": (70, to_date)}


def test_only_what_is_in_force_is_held_against_it(feed: Feed) -> None:
    feed.tells(10).tells(20, revision=1, on=MONDAY).tells(30, revision=2, on=MONDAY + days(1))
    assert by_level_id(Kpis().against(feed), "target_value")["A"] == (20,)


def test_a_week_of_two_months_takes_each_months_revision_in_force(feed: Feed) -> None:
    feed.tells(310, period=JANUARY).tells(560, period=FEBRUARY)
    # by the first of February, which is a Thursday: too late for January's part, in time for February's
    feed.tells(620, period=JANUARY, revision=1, on=MONTH).tells(280, period=FEBRUARY, revision=1, on=MONTH)
    assert by_level_id(Kpis(SHARED).against(feed), "target_value")["A"] == (30 + 40,)


def test_a_store_without_kpis_in_a_week_is_in_no_row_of_it_and_in_no_sum(feed: Feed) -> None:
    feed.tells(10, store="A").tells(20, store="B").tells(40, store="C")
    kpis = Kpis()
    del kpis.rows[MONDAY, "store", "A"], kpis.rows[MONDAY, "region", "south"]
    found = by_level_id(kpis.against(feed), "stores", "target_value")
    assert found == {"B": (1, 20), "C": (1, 40), "north": (1, 20), "hq": (2, 60)}


def test_weeks_and_stores_that_the_kpis_do_not_know_have_no_row(feed: Feed) -> None:
    feed.tells(10).tells(20, period=("week", MONDAY + days(7))).tells(40, store="gone")
    rows = Kpis().against(feed)
    assert {row["week_start"] for row in rows} == {MONDAY}
    assert by_level_id(rows, "target_value") == {"A": (10,), "north": (10,), "hq": (10,)}
    two_weeks = Kpis(MONDAY, MONDAY + days(7)).against(feed)
    assert [row["target_value"] for row in two_weeks if row["level"] == "hq"] == [10, 20]


@pytest.mark.parametrize(("target", "rate", "gap"), [(-4, "-0.25", 5), (0, None, 1), (4, "0.25", -3)])
def test_of_a_target_of_nothing_there_is_no_rate(feed: Feed, target: int, rate: str | None, gap: int) -> None:
    found = by_level_id(Kpis().against(feed.tells(target)), "attainment_rate", "gap_value")
    assert found["A"] == (None if rate is None else Decimal(rate), gap)


def test_a_week_to_come_by_now_has_a_gap_and_no_rate(feed: Feed) -> None:
    found = by_level_id(Kpis().against(feed.tells(7), as_of=MONDAY - days(1)), "attainment_rate", "gap_value")
    assert found["A"] == (None, 1)


@pytest.mark.parametrize("empty", [None, float("nan")])
def test_a_value_that_is_empty_stays_empty_but_in_a_sum(feed: Feed, empty: Any) -> None:
    feed.tells(10, store="A").tells(10, store="B")
    kpis = Kpis().say("A", "net_sales", empty).say("B", "net_sales", Decimal(5))
    found = by_level_id(kpis.against(feed), "actual_value", "attainment_rate", "gap_value")
    assert found["A"] == (None, None, None)
    assert found["B"] == (5, Decimal("0.5"), -5)
    assert found["north"] == found["hq"] == (5, Decimal("0.25"), -15)
    feed.tells(100, store=None)
    kpis.say("hq", "net_sales", empty)
    assert by_level_id(kpis.against(feed), "actual_value", "attainment_rate", "gap_value")["hq"] == (None, None, None)


@pytest.mark.parametrize(
    ("reached", "rate"), [("1", "0.333333"), ("2", "0.666667"), ("-2", "-0.666667"), ("0.0000015", "0.000000")]
)
def test_rates_have_six_places_of_what_is_published(feed: Feed, reached: str, rate: str) -> None:
    found = by_level_id(Kpis().say("A", "net_sales", Decimal(reached)).against(feed.tells(3)), "attainment_rate")
    assert str(found["A"][0]) == rate


def test_half_of_the_last_place_is_rounded_away_from_zero(feed: Feed) -> None:
    # 1 of 128 is 0.0078125, of 64 is 0.015625
    for target, rate in ((128, "0.007813"), (-128, "-0.007813"), (64, "0.015625")):
        assert by_level_id(Kpis().against(Feed().tells(target)), "attainment_rate")["A"] == (Decimal(rate),)
    kpis = Kpis().say("A", "repeat_rate", Decimal("0.12345"))
    found = by_level_id(kpis.against(feed.tells("0.1", "repeat_rate")), "actual_value", "attainment_rate")
    assert found["A"] == (Decimal("0.1235"), Decimal("1.235"))


@given(
    st.dictionaries(
        st.sampled_from(sorted(STORES)), st.decimals(min_value=0, max_value=10**6, places=2), min_size=1, max_size=4
    ),
    st.lists(st.one_of(st.none(), st.integers(-1000, 1000)), min_size=4, max_size=4),
    st.integers(0, 7),
)
def test_what_is_added_up_is_what_the_stores_rows_say(
    told: dict[str, Decimal], reached: list[int | None], elapsed: int
) -> None:
    feed, kpis = Feed(), Kpis()
    for store, value in told.items():
        feed.tells(str(value), store=store)
    for store, number in zip(sorted(STORES), reached, strict=True):
        kpis.say(store, "net_sales", number)
    rows = kpis.against(feed, as_of=MONDAY + days(elapsed - 1))
    of_stores = [row for row in rows if row["level"] == "store"]
    assert {row["level_id"] for row in of_stores} == set(told)
    for row in rows:
        if row["level"] == "store":
            continue
        added = [one for one in of_stores if row["level"] == "hq" or STORES[one["level_id"]] == row["level_id"]]
        assert row["stores"] == len(added) > 0
        for name in ("target_value", "target_to_date", "actual_value"):
            assert row[name] == sum(one[name] or 0 for one in added)
        assert row["gap_value"] == row["actual_value"] - row["target_to_date"]


def test_nothing_told_is_an_empty_table_with_all_columns(feed: Feed) -> None:
    nothing = target_attainment_weekly(feed.weeks(), KINDS, Kpis().rows, STORES)
    something = target_attainment_weekly(feed.tells(1).weeks(), KINDS, Kpis().rows, STORES)
    assert (len(nothing), len(something)) == (0, 3)
    assert list(nothing.columns) == list(something.columns)
