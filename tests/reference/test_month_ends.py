"""The reference of the tables of month ends against histories small enough to check by hand, at n−1, n and n+1."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from .month_ends import (
    km_median,
    member_concentration_monthly,
    percentile,
    purchase_cycle_monthly,
    rfm_grid,
    score,
)
from .stories import DAY_0, Story, day

SEEDS = Path(__file__).parents[2] / "dbt_project" / "seeds"
JANUARY, FEBRUARY = date(2018, 1, 1), date(2018, 2, 1)
END_OF_JANUARY, END_OF_FEBRUARY = date(2018, 1, 31), date(2018, 2, 28)
HUNDRED = {JANUARY: 100_00, date(2018, 4, 1): 100_00, date(2018, 7, 1): 100_00}  # loyal thresholds


@pytest.fixture(scope="module")
def scores() -> pd.DataFrame:
    return pd.read_csv(SEEDS / "rfm_scores.csv", dtype=str)


@pytest.fixture(scope="module")
def groups() -> pd.DataFrame:
    return pd.read_csv(SEEDS / "rfm_groups.csv")


@pytest.fixture
def story() -> Story:
    """Somebody nobody knows buys on day 0, the first business date."""
    story = Story()
    story.buys("", DAY_0)
    return story


def rows_of(table: pd.DataFrame) -> list[tuple[Any, ...]]:
    return list(table.itertuples(index=False, name=None))


def amount(text: str) -> Decimal:
    return Decimal(text)


# -------------------------------------------------------------------------------------------------------- scores


@pytest.mark.parametrize(
    ("dimension", "from_value", "found"),
    [
        ("r", 30, [5, 4, 4]),
        ("r", 60, [4, 3, 3]),
        ("r", 90, [3, 2, 2]),
        ("r", 180, [2, 1, 1]),
        ("f", 2, [1, 2, 3]),
        ("f", 3, [2, 3, 4]),
        ("f", 4, [3, 4, 4]),
        ("f", 8, [4, 5, 5]),
        ("m", Fraction(1, 10), [1, 2, 2]),
        ("m", Fraction(1, 4), [2, 3, 3]),
        ("m", Fraction(1, 2), [3, 4, 4]),
        ("m", Fraction(1), [4, 5, 5]),
    ],
)
def test_a_score_begins_at_its_from_value(
    scores: pd.DataFrame, dimension: str, from_value: int | Fraction, found: list[int]
) -> None:
    step = Fraction(1, 10_000) if dimension == "m" else 1  # a cent of a threshold of a hundred
    assert [score(scores, dimension, from_value + step * number) for number in (-1, 0, 1)] == found


def test_a_group_is_named_by_its_capital_letters(groups: pd.DataFrame) -> None:
    flags = groups[["is_recent", "is_frequent", "is_valuable"]].itertuples(index=False)
    # the codes are in the order R, F, M
    letters = ["".join(c.upper() if up else c for c, up in zip("rfm", row, strict=True)) for row in flags]
    assert letters == list(groups["group_code"])
    assert len(set(letters)) == 8


def cells(
    story: Story,
    as_of: date,
    scores: pd.DataFrame,
    groups: pd.DataFrame,
    thresholds: Mapping[date, int | None] = HUNDRED,
) -> list[tuple[Any, ...]]:
    daily = story.daily(as_of, frozen_thresholds=thresholds)
    return rows_of(rfm_grid(daily, scores, groups, DAY_0))


def test_members_are_scored_at_the_months_last_close(story: Story, scores: pd.DataFrame, groups: pd.DataFrame) -> None:
    story.enrols("spent_a_cent_less_than_half_the_threshold", DAY_0).enrols("spent_half_the_threshold", DAY_0)
    story.enrols("spent_half_the_threshold_too", DAY_0).enrols("bought_on_four_days", DAY_0)
    story.enrols("gave_back_more_than_it_bought", DAY_0).enrols("never_bought", DAY_0)
    story.enrols("closed_on_the_last_day", DAY_0).says("closed_on_the_last_day", "closed", END_OF_JANUARY)
    story.buys("closed_on_the_last_day", DAY_0, 500)
    story.buys("spent_a_cent_less_than_half_the_threshold", DAY_0, 49.99)
    story.buys("spent_half_the_threshold", DAY_0, 50)
    story.buys("spent_half_the_threshold_too", DAY_0, 99.99)
    for number in range(4):
        story.buys("bought_on_four_days", day(number), 25)
    story.buys("gave_back_more_than_it_bought", DAY_0, 10)
    story.gives_back("gave_back_more_than_it_bought", "unknown", day(-9), day(2), 30)
    expected = [
        (JANUARY, END_OF_JANUARY, 5, 1, 1, "Rfm", "general development", "一般发展", 1, amount("-20")),
        (JANUARY, END_OF_JANUARY, 5, 1, 3, "Rfm", "general development", "一般发展", 1, amount("49.99")),
        (JANUARY, END_OF_JANUARY, 5, 1, 4, "RfM", "key development", "重要发展", 2, amount("149.99")),
        (JANUARY, END_OF_JANUARY, 5, 4, 5, "RFM", "key value", "重要价值", 1, amount("100")),
    ]
    assert cells(story, END_OF_JANUARY, scores, groups) == expected
    # a month that is not over is not scored
    assert cells(story, END_OF_JANUARY - timedelta(days=1), scores, groups) == []
    assert cells(story, END_OF_JANUARY + timedelta(days=1), scores, groups) == expected


def test_recency_ages_from_month_to_month_until_the_year_is_over(
    story: Story, scores: pd.DataFrame, groups: pd.DataFrame
) -> None:
    story.enrols("bought_once", DAY_0).buys("bought_once", date(2018, 1, 29), 10)
    every = {date(2018 + number // 4, 3 * (number % 4) + 1, 1): 100_00 for number in range(6)}
    table = cells(story, date(2019, 2, 28), scores, groups, every)
    # 2, 30, 61, 91, 122, 152, 183 days and so on; 336 on 31 December; on 31 January it is more than a year
    assert [(row[0].month, row[2]) for row in table] == [
        (1, 5),
        (2, 4),
        (3, 3),
        (4, 2),
        (5, 2),
        (6, 2),
        *((month, 1) for month in range(7, 13)),
    ]


def test_a_quarter_without_a_threshold_or_with_one_of_zero_has_no_rows(
    story: Story, scores: pd.DataFrame, groups: pd.DataFrame
) -> None:
    story.enrols("bought_once", DAY_0).buys("bought_once", DAY_0, 10)
    found = [
        [row[0] for row in cells(story, date(2018, 4, 30), scores, groups, thresholds)]
        for thresholds in (
            {JANUARY: None, date(2018, 4, 1): 1},
            {JANUARY: 0, date(2018, 4, 1): 1},
            {JANUARY: 1, date(2018, 4, 1): None},
        )
    ]
    assert found == [[date(2018, 4, 1)], [date(2018, 4, 1)], [JANUARY, FEBRUARY, date(2018, 3, 1)]]


# ------------------------------------------------------------------------------------------------- concentration


def concentration(story: Story, as_of: date, **more: Any) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    table = member_concentration_monthly(story.daily(as_of, **more), story.store_frame, DAY_0)
    return {row[:3]: row[3:] for row in rows_of(table)}


@pytest.mark.parametrize(("buyers", "top"), [(1, 1), (9, 1), (10, 1), (11, 2), (20, 2), (21, 3)])
def test_the_top_tenth_is_rounded_up_to_a_whole_member(story: Story, buyers: int, top: int) -> None:
    for number in range(buyers):
        story.enrols(f"{number:02d}", DAY_0).buys(f"{number:02d}", DAY_0, 100 if number < 5 else 1)
    total = 100 * min(buyers, 5) + max(buyers - 5, 0)
    share = amount(str(round(100 * top / total, 6)))
    found = concentration(story, END_OF_JANUARY)[JANUARY, "hq", "hq"]
    assert found == (buyers, buyers, amount(f"{total}"), amount(f"{100 * top}"), share, amount("1"))


def test_every_level_has_its_own_members_and_its_own_top(story: Story) -> None:
    story.stores.append({"store_id": "C", "region": "", "timezone": "Asia/Shanghai", "day_cutoff": "04:00"})
    story.stores.append({"store_id": "D", "region": "north", "timezone": "Asia/Shanghai", "day_cutoff": "04:00"})
    for store in "ABCD":
        story.enrols(f"of_{store}", DAY_0, store=store)
    for name, spent in {"of_A": 10, "of_B": 20, "of_C": 30}.items():
        story.buys(name, DAY_0, spent, store="D")  # where it bought says nothing
    story.buys("of_C", day(3), 3)
    found = concentration(story, END_OF_JANUARY)
    one, whole = amount("1"), amount("1")
    assert found == {
        (JANUARY, "store", "A"): (1, 1, amount("10"), amount("10"), whole, one),
        (JANUARY, "store", "B"): (1, 1, amount("20"), amount("20"), whole, one),
        (JANUARY, "store", "C"): (1, 2, amount("33"), amount("33"), whole, amount("2")),
        (JANUARY, "region", "north"): (1, 1, amount("10"), amount("10"), whole, one),
        (JANUARY, "region", "not_fed"): (2, 3, amount("53"), amount("33"), amount("0.622642"), amount("1.5")),
        (JANUARY, "hq", "hq"): (3, 4, amount("63"), amount("33"), amount("0.523810"), amount("1.3333")),
    }


def test_the_store_is_the_one_that_looks_after_the_member_at_the_months_end(story: Story) -> None:
    story.enrols("moved_in_february", DAY_0).buys("moved_in_february", DAY_0)
    moved = pd.DataFrame(
        [("moved_in_february", "B", END_OF_FEBRUARY)], columns=["card_no", "service_store_id", "valid_from"]
    )
    found = concentration(story, END_OF_FEBRUARY, member_assignments=moved)
    assert [place for place in found if place[1] == "store"] == [(JANUARY, "store", "A"), (FEBRUARY, "store", "B")]


def test_a_purchase_that_came_back_later_was_one_at_the_months_end(story: Story) -> None:
    name = "returned_in_february"
    story.enrols(name, DAY_0)
    story.gives_back(name, story.buys(name, DAY_0, 10), DAY_0, date(2018, 2, 1), 10)
    found = concentration(story, END_OF_FEBRUARY)
    assert set(found) == {(JANUARY, *level) for level in (("store", "A"), ("region", "north"), ("hq", "hq"))}
    assert found[JANUARY, "hq", "hq"][:3] == (1, 1, amount("10"))


def test_a_share_of_nothing_is_empty(story: Story) -> None:
    name = "gave_as_much_back_as_it_bought"
    story.enrols(name, DAY_0).buys(name, DAY_0, 10)
    story.gives_back(name, "unknown", day(-9), day(2), 10)
    expected = (1, 1, amount("0"), amount("0"), None, amount("1"))
    assert concentration(story, END_OF_JANUARY)[JANUARY, "hq", "hq"] == expected


@pytest.mark.parametrize(
    ("bought_on", "months"),
    [(date(2018, 1, 31), 12), (date(2018, 2, 1), 12), (date(2018, 1, 30), 12)],
)
def test_a_buyer_is_counted_for_365_days(story: Story, bought_on: date, months: int) -> None:
    """On 31 January 2019 a purchase of 31 January 2018 is 365 days ago: one too many."""
    story.enrols("bought_once", DAY_0).buys("bought_once", bought_on)
    found = concentration(story, date(2019, 1, 31))
    counted = [month for month, level, _ in found if level == "hq"]
    assert len(counted) == months
    assert (date(2019, 1, 1) in counted) is (bought_on > date(2018, 1, 31))


# ------------------------------------------------------------------------------------------------- purchase cycle


def cycle(story: Story, as_of: date, level: str = "hq") -> dict[date, tuple[Any, ...]]:
    """(gaps, quartiles, Kaplan–Meier median) by month, of a level."""
    table = purchase_cycle_monthly(story.daily(as_of), story.facts, story.store_frame, DAY_0)
    return {row[0]: row[3:] for row in rows_of(table) if row[1] == level}


@pytest.mark.parametrize(
    ("numbers", "quartiles"),
    [([], [None] * 3), ([7], [7, 7, 7]), ([2, 1], [1.25, 1.5, 1.75]), ([1, 2, 4, 8, 16], [2, 4, 8])],
)
def test_a_percentile_lies_between_its_neighbours(numbers: list[int], quartiles: list[float | None]) -> None:
    assert [percentile(numbers, Fraction(part, 4)) for part in (1, 2, 3)] == quartiles


@pytest.mark.parametrize(
    ("waits", "median"),
    [
        ([(5, True)], 5),
        ([(5, False)], None),
        ([(0, False)], None),
        ([(5, True), (9, False)], 5),  # exactly a half is enough
        ([(5, True), (9, False), (9, False)], None),
        ([(1, True), (2, True), (3, False), (3, False)], 2),  # 3/4 × 2/3
        ([(1, True), (1, False), (2, True), (3, False)], 2),  # who leaves on day 1 was there on day 1: 3/4 × 1/2
        ([(1, True), (1, False), (2, False), (3, False)], None),
        ([(0, False), (4, True), (6, False)], 4),
    ],
)
def test_the_median_wait_is_the_first_by_which_half_came_again(
    waits: list[tuple[int, bool]], median: int | None
) -> None:
    assert km_median(waits) == median


def exact_median(waits: list[tuple[int, bool]]) -> int | None:
    """The product-limit estimate in whole numbers."""
    survival = Fraction(1)
    for days in sorted({days for days, came in waits if came}):
        waited = sum(other >= days for other, _ in waits)
        came = sum(other == days and event for other, event in waits)
        survival *= Fraction(waited - came, waited)
        if survival <= Fraction(1, 2):
            return days
    return None


def test_the_librarys_floats_find_the_exact_median() -> None:
    chance = random.Random(7)  # noqa: S311  (the same histories every time; guards nothing)
    for _ in range(150):
        waits = [(chance.randint(0, 12), chance.random() < 0.6) for _ in range(chance.randint(1, 24))]
        assert km_median(waits) == exact_median(waits), waits


def test_the_cycle_is_the_median_gap_and_the_wait_counts_who_has_not_come_yet(story: Story) -> None:
    story.enrols("came_after_10_and_20_days", DAY_0)
    for number in (0, 10, 30):
        story.buys("came_after_10_and_20_days", day(number))
    found = cycle(story, END_OF_FEBRUARY)
    # January: 10 days, then 11 days without; February: 10, 20, and 19 without
    assert found == {
        JANUARY: (1, amount("10"), amount("10"), amount("10"), 10),
        FEBRUARY: (2, amount("12.5"), amount("15"), amount("17.5"), 20),
    }
    assert cycle(story, END_OF_FEBRUARY, "store") == cycle(story, END_OF_FEBRUARY, "region") == found


def test_quartiles_have_one_place_rounded_half_up(story: Story) -> None:
    story.enrols("came_after_1_and_2_days", DAY_0)
    for number in (0, 1, 3):
        story.buys("came_after_1_and_2_days", day(number))
    assert [str(value) for value in cycle(story, END_OF_JANUARY)[JANUARY][1:4]] == ["1.3", "1.5", "1.8"]


def test_who_bought_once_has_no_gap_but_waits(story: Story) -> None:
    story.enrols("bought_once", DAY_0).buys("bought_once", DAY_0)
    assert cycle(story, END_OF_JANUARY) == {JANUARY: (0, None, None, None, None)}


@pytest.mark.parametrize(("second", "median"), [(20, 20), (21, 21), (22, None)])
def test_who_comes_on_the_months_last_day_came_and_who_comes_after_it_did_not_yet(
    story: Story, second: int, median: int | None
) -> None:
    """Day 21 is 31 January."""
    story.enrols("came_at_the_months_end", DAY_0)
    for number in (0, second):
        story.buys("came_at_the_months_end", day(number))
    gaps, *_, wait = cycle(story, END_OF_FEBRUARY)[JANUARY]
    assert (gaps, wait) == (1 if median else 0, median)


@pytest.mark.parametrize(("earlier", "gaps"), [(363, 2), (364, 2), (365, 1), (366, 1)])
def test_gaps_are_those_that_end_in_the_last_365_days_wherever_they_began(
    story: Story, earlier: int, gaps: int
) -> None:
    last = date(2019, 3, 31)
    story.enrols("long_with_us", DAY_0)
    bought_on = (last - timedelta(days=400), last - timedelta(days=earlier), last - timedelta(days=100))
    for on in bought_on:
        story.buys("long_with_us", on)
    count, *_, wait = cycle(story, last)[date(2019, 3, 1)]
    # the waits begin in the 365 days, too: of an earlier purchase only the last one is left, 100 days without another
    assert (count, wait) == (gaps, earlier - 100 if gaps == 2 else None)


def test_a_purchase_that_came_back_since_never_was(story: Story) -> None:
    name = "returned_the_middle_one_in_february"
    story.enrols(name, DAY_0)
    story.buys(name, DAY_0)
    middle = story.buys(name, day(4))
    story.buys(name, day(10))
    returned_on = date(2018, 2, 10)
    story.gives_back(name, middle, day(4), returned_on)
    assert cycle(story, returned_on - timedelta(days=1))[JANUARY][0] == 2
    assert cycle(story, returned_on)[JANUARY][:3] == (1, amount("10"), amount("10"))


def test_a_level_whose_purchases_all_came_back_has_no_row_though_it_had_buyers(story: Story) -> None:
    name = "returned_the_only_purchase"
    story.enrols(name, DAY_0).enrols("bought_in_the_other_store", DAY_0, store="B")
    story.buys("bought_in_the_other_store", DAY_0)
    story.gives_back(name, story.buys(name, DAY_0), DAY_0, date(2018, 2, 1))
    as_of = date(2018, 2, 1)
    table = purchase_cycle_monthly(story.daily(as_of), story.facts, story.store_frame, DAY_0)
    assert [row[1:3] for row in rows_of(table)] == [("store", "B"), ("region", "not_fed"), ("hq", "hq")]
    assert (JANUARY, "store", "A") in concentration(story, as_of)


def test_who_is_not_valid_at_the_months_end_has_no_cycle_then(story: Story) -> None:
    story.enrols("closed_in_february", DAY_0).says("closed_in_february", "closed", END_OF_FEBRUARY)
    for number in (0, 5):
        story.buys("closed_in_february", day(number))
    assert list(cycle(story, END_OF_FEBRUARY)) == [JANUARY]
