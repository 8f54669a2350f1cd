"""The reference of the cohorts against histories small enough to check by hand: the boundaries, at n−1, n and n+1."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pandas as pd
import pytest

from .cohorts import (
    Life,
    cohort_retention,
    cohort_value,
    lives,
    moments_of_sale,
    months_between,
    months_later,
    new_member_90d,
    purchase_ladder,
    quotient,
    rounded,
    second_purchase_90d,
)
from .day_by_day import RECEIPT_KEY, judge_receipts, stages_by_day
from .identity import Identity
from .stories import DAY_0, Story, day

JANUARY, FEBRUARY, MARCH = date(2018, 1, 1), date(2018, 2, 1), date(2018, 3, 1)
MONDAY, SUNDAY = date(2018, 1, 8), date(2018, 1, 14)  # of the week of day 0


@pytest.fixture
def story() -> Story:
    """Somebody nobody knows buys on day 0, the first business date."""
    story = Story()
    story.buys("", DAY_0)
    return story


def known(story: Story, as_of: date) -> list[Life]:
    """The members of the cohorts at the close of a day."""
    facts = story.facts
    recruited_by = {row["card_no"]: row["store_id"] for row in story.enrolments}
    receipts = pd.DataFrame(story.receipts).reindex(columns=[*RECEIPT_KEY, "sold_at"])
    moments = moments_of_sale(receipts, story.store_frame)
    return lives(story.daily(as_of), facts, min(facts["business_date"]), recruited_by, moments)


def names(members: list[Life]) -> set[str]:
    return {member.member_id for member in members}


def rows_of(table: pd.DataFrame) -> list[tuple[Any, ...]]:
    return list(table.itertuples(index=False, name=None))


def amount(text: str) -> Decimal:
    return Decimal(text)


# ------------------------------------------------------------------------------------------------- small things


@pytest.mark.parametrize(
    ("over", "under", "places", "text"),
    [
        (1, 3, 6, "0.333333"),
        (2, 3, 6, "0.666667"),
        (1, 1, 6, "1.000000"),
        (Fraction(1001, 100), 2, 2, "5.01"),
        (Fraction(-1001, 100), 2, 2, "-5.01"),
        (Fraction(1000, 100), 3, 2, "3.33"),
        (1, 4, 1, "0.3"),
    ],
)
def test_a_quotient_is_rounded_half_away_from_zero(over: int | Fraction, under: int, places: int, text: str) -> None:
    assert str(quotient(over, under, places)) == text


def test_nothing_is_divided_by_nothing() -> None:
    assert quotient(1, 0, 6) is None
    assert rounded(Fraction(0), 2) == 0


def test_months_are_counted_across_years() -> None:
    assert [months_later(date(2018, 1, 1), number) for number in (0, 11, 12)] == [
        date(2018, 1, 1),
        date(2018, 12, 1),
        date(2019, 1, 1),
    ]
    assert months_between(date(2017, 11, 30), date(2018, 1, 1)) == 2


# --------------------------------------------------------------------------------------------- who is in a cohort


@pytest.mark.parametrize(("enrolled", "is_in"), [(-1, False), (0, True), (1, True)])
def test_who_enrolled_before_the_first_business_date_is_in_no_cohort(story: Story, enrolled: int, is_in: bool) -> None:
    story.enrols("enrolled around the first business date", day(enrolled))
    assert bool(known(story, day(5))) is is_in


@pytest.mark.parametrize(("enrolled", "is_in"), [(4, True), (5, True), (6, False)])
def test_who_enrols_after_the_as_of_date_is_in_no_cohort_yet(story: Story, enrolled: int, is_in: bool) -> None:
    story.enrols("enrolled around the as of date", day(enrolled))
    assert bool(known(story, day(5))) is is_in


def test_closed_stays_and_staff_test_and_blocked_are_out(story: Story) -> None:
    said = {
        "closed_after_buying": ["closed"],
        "staff_later": ["staff"],
        "blocked_later": ["blocked"],
        "test_later": ["test"],
        "blocked_and_let_back": ["blocked", "unblocked"],
        "was_staff_once": ["staff", "not_staff"],
        "closed_and_blocked": ["closed", "blocked"],
        "nothing_was_said": [],
    }
    for name, statuses in said.items():
        story.enrols(name, DAY_0).buys(name, DAY_0)
        for number, status in enumerate(statuses):
            story.says(name, status, day(5 + number))
    assert names(known(story, day(9))) == {
        "closed_after_buying",
        "blocked_and_let_back",
        "was_staff_once",
        "nothing_was_said",
    }
    assert names(known(story, day(4))) == set(said)


@pytest.mark.parametrize(("as_of", "members"), [(4, {"kept", "merged_away"}), (5, {"kept"}), (6, {"kept"})])
def test_who_was_merged_away_is_out_from_the_day_of_the_merge(story: Story, as_of: int, members: set[str]) -> None:
    story.enrols("merged_away", DAY_0).enrols("kept", day(1))
    story.buys("merged_away", DAY_0)

    def linked(account: str, begin: int, **other: str) -> dict[str, Any]:
        moment = f"{day(begin)}T12:00:00+08:00"
        row = {"account_id": account, "card_no": None, "valid_from": moment, "recorded_at": moment, "valid_to": None}
        return row | other

    since = f"{DAY_0}T12:00:00+08:00"
    identity = Identity(
        story.stores,
        day(as_of),
        enrolments=story.enrolments,
        accounts=[{"account_id": account, "created_at": since, "updated_at": since} for account in ("M", "S")],
        identity_links=[
            linked("M", 0, card_no="merged_away"),
            linked("S", 1, card_no="kept"),
            linked("M", 5, survivor_account_id="S"),
        ],
    )
    facts = judge_receipts(identity.named(pd.DataFrame(story.receipts)), pd.DataFrame(story.lines))
    statuses = pd.DataFrame(columns=["card_no", "status", "at"])
    daily = stages_by_day(facts, pd.DataFrame(), statuses, story.store_frame, day(as_of), identity=identity)
    recruited_by = {member.member_id: member.service_store_id for member in identity.members()}
    found = {member.member_id: member for member in lives(daily, facts, DAY_0, recruited_by, {})}
    assert set(found) == members
    # what the one bought is the other's, and so is the earlier enrolment
    assert found["kept"].purchase_days == ((DAY_0,) if as_of >= 5 else ())
    assert found["kept"].enrolled_on == (DAY_0 if as_of >= 5 else day(1))


@pytest.mark.parametrize(("as_of", "is_in"), [(4, False), (5, True), (6, True)])
def test_a_prospect_is_in_no_cohort_until_it_enrols(story: Story, as_of: int, is_in: bool) -> None:
    since = f"{DAY_0}T12:00:00+08:00"
    account = {"account_id": "joined_on_day_5", "created_at": since, "updated_at": since}
    account |= {"member_since": f"{day(5)}T12:00:00+08:00"}
    identity = Identity(story.stores, day(as_of), accounts=[account])
    statuses = pd.DataFrame(columns=["card_no", "status", "at"])
    daily = stages_by_day(story.facts, pd.DataFrame(), statuses, story.store_frame, day(as_of), identity=identity)
    assert len(daily) == as_of + 1  # known since day 0
    assert bool(lives(daily, story.facts, DAY_0, {"joined_on_day_5": "APP"}, {})) is is_in


# ------------------------------------------------------------------------------------------------------ retention


def test_a_cohort_has_every_month_up_to_the_as_of_date_with_zeros(story: Story) -> None:
    story.enrols("came_back_in_february", DAY_0).enrols("bought_once_on_the_last_of_january", DAY_0)
    story.enrols("never_bought", DAY_0)
    story.buys("came_back_in_february", DAY_0, 10)
    story.buys("bought_once_on_the_last_of_january", date(2018, 1, 31), 20)
    story.buys("came_back_in_february", date(2018, 2, 1), 5)
    story.buys("came_back_in_february", date(2018, 2, 28), 5)
    half = amount("0.5")
    expected = [
        (JANUARY, JANUARY, 0, 2, 2, amount("30"), amount("1"), True),
        (JANUARY, FEBRUARY, 1, 2, 1, amount("10"), half, True),
        (JANUARY, MARCH, 2, 2, 0, amount("0"), amount("0"), False),
    ]
    table = cohort_retention(known(story, date(2018, 3, 30)), date(2018, 3, 30))
    assert rows_of(table) == expected
    assert [str(value) for value in table["net_amount"]] == ["30.00", "10.00", "0.00"]
    assert [str(value) for value in table["retention_rate"]] == ["1.000000", "0.500000", "0.000000"]
    # on the last day of March it is over; the day after, April has begun
    over = [row.is_over for row in cohort_retention(known(story, date(2018, 3, 31)), date(2018, 3, 31)).itertuples()]
    assert over == [True, True, True]
    april = cohort_retention(known(story, date(2018, 4, 1)), date(2018, 4, 1))
    assert rows_of(april)[-1][1:5] == (date(2018, 4, 1), 3, 2, 0)


@pytest.mark.parametrize(
    ("as_of", "cohort"),
    [
        (date(2018, 2, 2), JANUARY),
        (date(2018, 2, 3), None),
        (date(2018, 2, 4), None),
        (date(2018, 3, 4), None),
        (date(2018, 3, 5), MARCH),
    ],
)
def test_a_purchase_that_came_back_in_full_never_was(story: Story, as_of: date, cohort: date | None) -> None:
    name = "returned_the_first_purchase_in_full"
    story.enrols(name, DAY_0)
    bought = story.buys(name, date(2018, 1, 12), 10)
    story.gives_back(name, bought, date(2018, 1, 12), date(2018, 2, 3), 10)
    story.buys(name, date(2018, 3, 5), 7)
    table = cohort_retention(known(story, as_of), as_of)
    assert set(table["cohort_month"]) == ({cohort} if cohort else set())
    if cohort == MARCH:  # neither January's money nor what was given back in February is in a row
        assert rows_of(table) == [(MARCH, MARCH, 0, 1, 1, amount("7"), amount("1"), False)]


def test_a_partial_return_leaves_the_purchase_and_lowers_the_month_it_came_in(story: Story) -> None:
    name = "gave_one_of_two_back"
    story.enrols(name, DAY_0)
    bought = story.buys(name, DAY_0, 20, units=2)
    story.gives_back(name, bought, DAY_0, date(2018, 2, 1), 10)
    table = cohort_retention(known(story, date(2018, 2, 2)), date(2018, 2, 2))
    assert [row[4:6] for row in rows_of(table)] == [(1, amount("20")), (0, amount("-10"))]


def test_money_is_of_sales_returns_and_exchanges_whenever_but_not_of_staff_sales_and_wholesale(story: Story) -> None:
    name = "closed_in_between"
    story.enrols(name, DAY_0)
    story.buys(name, DAY_0, 10)
    story.says(name, "closed", day(2))
    story.buys(name, day(3), 4)
    story.exchanges(name, day(4), 3, 5)
    story.buys(name, day(5), 1000, is_staff_sale=True)
    story.buys(name, day(5), 2000, is_wholesale=True)
    story.buys(name, day(5), 4000, is_training=True)
    story.voids(story.buys(name, day(5), 8000), day(5))
    story.buys(name, day(7), 16000)
    ((*_, members, active, net, _, _),) = rows_of(cohort_retention(known(story, day(6)), day(6)))
    assert (members, active, net) == (1, 1, amount("16"))
    (member,) = known(story, day(6))
    assert member.purchase_days == (DAY_0, day(3))


def test_a_first_purchase_may_lie_before_the_enrolment(story: Story) -> None:
    name = "claimed_what_it_bought_before_it_enrolled"
    story.enrols(name, date(2018, 2, 2))
    story.buys(name, date(2018, 1, 31))
    members = known(story, date(2018, 2, 5))
    assert [row[:5] for row in rows_of(cohort_retention(members, date(2018, 2, 5)))] == [
        (JANUARY, JANUARY, 0, 1, 1),
        (JANUARY, FEBRUARY, 1, 1, 0),
    ]
    assert [row[0] for row in rows_of(purchase_ladder(members))] == [FEBRUARY] * 5


# ---------------------------------------------------------------------------------------------------------- value


def test_value_is_of_months_0_to_11_and_empty_until_they_are_over(story: Story) -> None:
    story.enrols("bought_at_both_ends", DAY_0).enrols("bought_once", DAY_0)
    story.buys("bought_at_both_ends", date(2018, 1, 31), 5)
    story.buys("bought_once", date(2018, 1, 31), 5)
    story.buys("bought_at_both_ends", date(2018, 12, 31), 0.01)
    story.buys("bought_at_both_ends", date(2019, 1, 1), 500)

    def value(as_of: date) -> tuple[Any, ...]:
        ((_, *row),) = rows_of(cohort_value(known(story, as_of), as_of))
        return tuple(row)

    assert value(date(2018, 12, 30)) == (2, amount("10"), False, None)
    assert value(date(2018, 12, 31)) == (2, amount("10.01"), True, amount("5.01"))  # half a cent up
    assert value(date(2019, 1, 1)) == (2, amount("10.01"), True, amount("5.01"))


# --------------------------------------------------------------------------------------------------------- ladder


def test_the_ladder_counts_those_who_got_at_least_that_far(story: Story) -> None:
    for name, times in {
        "never_bought": 0,
        "once": 1,
        "twice": 2,
        "thrice": 3,
        "four_times": 4,
        "five_times": 5,
    }.items():
        story.enrols(name, DAY_0)
        for number in range(times):
            story.buys(name, day(number))
            story.buys(name, day(number))  # the same day does not count again
    story.enrols("in_february", date(2018, 2, 1))
    table = purchase_ladder(known(story, date(2018, 2, 3)))
    assert rows_of(table) == [
        (JANUARY, "enrolled", 0, 6, 6),
        (JANUARY, "1st", 1, 5, 6),
        (JANUARY, "2nd", 2, 4, 6),
        (JANUARY, "3rd", 3, 3, 6),
        (JANUARY, "4th+", 4, 2, 6),
        (FEBRUARY, "enrolled", 0, 1, 1),
        (FEBRUARY, "1st", 1, 0, 1),
        (FEBRUARY, "2nd", 2, 0, 1),
        (FEBRUARY, "3rd", 3, 0, 1),
        (FEBRUARY, "4th+", 4, 0, 1),
    ]


def test_a_step_is_lost_with_the_purchase_that_came_back(story: Story) -> None:
    story.enrols("returned_the_second", DAY_0)
    story.buys("returned_the_second", DAY_0)
    second = story.buys("returned_the_second", day(3))
    story.gives_back("returned_the_second", second, day(3), day(6))
    reached = [
        [members for *_, members, _ in rows_of(purchase_ladder(known(story, as_of)))] for as_of in (day(5), day(6))
    ]
    assert reached == [[1, 1, 1, 0, 0], [1, 1, 0, 0, 0]]


# ------------------------------------------------------------------------------------------------- new members


@pytest.mark.parametrize(
    ("story_of", "bought_on", "counts"),
    [
        ("bought_the_day_before_it_enrolled", -1, 0),
        ("bought_on_the_day", 0, 1),
        ("came_on_day_89", 89, 1),
        ("came_on_day_90", 90, 1),
        ("came_on_day_91", 91, 0),
    ],
)
def test_a_new_member_buys_by_day_90(story: Story, story_of: str, bought_on: int, counts: int) -> None:
    enrolled = day(1)
    story.enrols(story_of, enrolled, store="B")
    story.buys(story_of, enrolled + timedelta(days=bought_on))
    as_of = day(200)
    assert rows_of(new_member_90d(known(story, as_of), as_of)) == [(MONDAY, "B", 1, counts, True, amount(f"{counts}"))]


@pytest.mark.parametrize(("after_sunday", "is_final"), [(89, False), (90, True), (91, True)])
def test_new_members_are_final_90_days_after_their_sunday(story: Story, after_sunday: int, is_final: bool) -> None:
    for name, on, store in (
        ("on_sunday", SUNDAY, "A"),
        ("on_day_0", DAY_0, "A"),
        ("on_wednesday_too", DAY_0, "A"),
        ("in_another_store", DAY_0, "B"),
        ("on_the_next_monday", SUNDAY + timedelta(days=1), "A"),
    ):
        story.enrols(name, on, store)
    story.buys("on_sunday", SUNDAY, store="B")  # where it bought says nothing
    as_of = SUNDAY + timedelta(days=after_sunday)
    table = rows_of(new_member_90d(known(story, as_of), as_of))
    assert table == [
        (MONDAY, "A", 3, 1, is_final, amount("0.333333") if is_final else None),
        (MONDAY, "B", 1, 0, is_final, amount("0") if is_final else None),
        (SUNDAY + timedelta(days=1), "A", 1, 0, False, None),
    ]


def test_who_returned_everything_did_not_buy_within_90_days(story: Story) -> None:
    story.enrols("returned_the_first_purchase_in_full", DAY_0)
    bought = story.buys("returned_the_first_purchase_in_full", day(5))
    story.gives_back("returned_the_first_purchase_in_full", bought, day(5), day(100))
    counted = [rows_of(new_member_90d(known(story, day(on)), day(on)))[0][3] for on in (99, 100)]
    assert counted == [1, 0]


# ----------------------------------------------------------------------------------------------- second purchase


@pytest.mark.parametrize(
    ("story_of", "days_later", "counts"),
    [
        ("bought_twice_on_the_first_day", 0, 0),
        ("came_back_on_day_1", 1, 1),
        ("came_back_on_day_89", 89, 1),
        ("came_back_on_day_90", 90, 1),
        ("came_back_on_day_91", 91, 0),
    ],
)
def test_a_second_purchase_is_made_1_to_90_days_later(
    story: Story, story_of: str, days_later: int, counts: int
) -> None:
    story.enrols(story_of, DAY_0)
    story.buys(story_of, day(2), store="B")
    story.buys(story_of, day(2 + days_later), store="B")
    as_of = day(300)
    expected = [(MONDAY, "B", 1, counts, True, True, amount(f"{counts}"))]
    assert rows_of(second_purchase_90d(known(story, as_of), as_of)) == expected


@pytest.mark.parametrize(
    ("after_sunday", "is_mature", "is_final"),
    [
        (89, False, False),
        (90, True, False),
        (91, True, False),
        (119, True, False),
        (120, True, True),
        (121, True, True),
    ],
)
def test_second_purchases_are_mature_after_90_days_and_final_after_120(
    story: Story, after_sunday: int, is_mature: bool, is_final: bool
) -> None:
    for name in ("came_back", "did_not", "did_not_either"):
        story.enrols(name, DAY_0).buys(name, DAY_0)
    story.buys("came_back", day(30))
    as_of = SUNDAY + timedelta(days=after_sunday)
    rate = amount("0.333333") if is_mature else None
    expected = [(MONDAY, "A", 3, 1, is_mature, is_final, rate)]
    assert rows_of(second_purchase_90d(known(story, as_of), as_of)) == expected


def test_the_store_is_that_of_the_first_receipt_of_the_day_that_still_counts(story: Story) -> None:
    name = "bought_in_two_stores_on_the_first_day"
    story.enrols(name, DAY_0)
    story.buys(name, day(1), store="A", sold_at=f"{day(1)}T12:00:01")
    early = story.buys(name, day(1), store="B", sold_at=f"{day(1)}T12:00:00")
    story.buys(name, day(1), store="A", sold_at=f"{day(1)}T08:00:00", is_staff_sale=True)  # does not qualify
    story.gives_back(name, early, day(1), day(9), store="B")
    stores = [
        [row[1] for row in rows_of(second_purchase_90d(known(story, as_of), as_of))] for as_of in (day(8), day(9))
    ]
    assert stores == [["B"], ["A"]]


def test_moments_are_compared_whatever_the_stores_clock_says() -> None:
    stores = pd.DataFrame({"store_id": ["here", "there"], "timezone": ["Asia/Shanghai", "America/New_York"]})
    receipt = {"register_id": "1", "business_date": DAY_0, "receipt_no": "1", "receipt_type": "sale"}
    receipts = pd.DataFrame(
        [
            receipt | {"store_id": "here", "sold_at": "2018-01-10T12:00:00"},
            receipt | {"store_id": "there", "sold_at": "2018-01-10T00:00:00"},
            receipt | {"store_id": "there", "receipt_no": "2", "sold_at": "2018-03-11T02:30:00"},
            receipt | {"store_id": "there", "receipt_no": "3", "sold_at": "2018-01-10T12:00:00+08:00"},
        ]
    )
    here, there, skipped, with_zone = moments_of_sale(receipts, stores).values()
    assert (there - here) == pd.Timedelta(hours=1)
    assert skipped == pd.Timestamp("2018-03-11T03:30:00-04:00")
    assert with_zone == here


def test_a_second_purchase_that_came_back_makes_none_and_a_first_one_moves_the_week(story: Story) -> None:
    story.enrols("returned_the_first", DAY_0).enrols("returned_the_second", DAY_0)
    first = story.buys("returned_the_first", DAY_0)
    story.buys("returned_the_first", day(14))
    story.gives_back("returned_the_first", first, DAY_0, day(20))
    story.buys("returned_the_second", DAY_0)
    second = story.buys("returned_the_second", day(14))
    story.gives_back("returned_the_second", second, day(14), day(20))
    before, after = (rows_of(second_purchase_90d(known(story, as_of), as_of)) for as_of in (day(19), day(20)))
    assert [row[:4] for row in before] == [(MONDAY, "A", 2, 2)]
    assert [row[:4] for row in after] == [(MONDAY, "A", 1, 0), (MONDAY + timedelta(days=14), "A", 1, 0)]


def test_without_anybody_there_are_columns_and_no_rows(story: Story) -> None:
    nobody = known(story, day(3))
    for table in (
        cohort_retention(nobody, day(3)),
        cohort_value(nobody, day(3)),
        purchase_ladder(nobody),
        new_member_90d(nobody, day(3)),
        second_purchase_90d(nobody, day(3)),
    ):
        assert len(table) == 0
        assert len(table.columns) >= 5
