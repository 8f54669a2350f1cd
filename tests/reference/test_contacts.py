"""The reference of contacts against weeks small enough to check by hand: the boundaries, at n−1, n, n+1."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from .contacts import contact_balance_weekly
from .day_by_day import week_start

MONDAY = date(2018, 3, 5)
SUNDAY = date(2018, 3, 11)
LATER = date(2018, 8, 1)

NUMBERS = [
    "contacts",
    "contacts_sent",
    "contacts_reached",
    "arrived_14d",
    "care_contacts_90",
    "sell_contacts_90",
    "contacted_member_days",
    "over_contact_member_days",
]


def days(number: int) -> timedelta:
    return timedelta(days=number)


@dataclass
class Contacts:
    """Collects contacts; ``rows(as_of)`` tells what the reference makes of them, by week and level."""

    contacts: list[dict[str, Any]] = field(default_factory=list)
    stores: dict[str, str | None] = field(default_factory=lambda: {"A": "north", "B": None, "C": "north"})

    def tells(self, member: str | None, on: date | None, store: str | None = "A", **more: Any) -> Contacts:
        """A message of care at noon that reached nobody (``hour=`` and whatever a contact has for another)."""
        noon = datetime.combine(on or MONDAY, time(more.pop("hour", 12)))
        self.contacts.append(
            {
                "contact_id": f"{len(self.contacts) + 1:04d}",
                "member_id": member,
                "store_id": store,
                "channel": "sms",
                "intent": "care",
                "made_on": on,
                "made_at": noon,
                "is_reached": False,
                "is_sent": True,
                "arrived_on": None,
            }
            | more
        )
        return self

    def sells(self, member: str, on: date, store: str | None = "A", **more: Any) -> Contacts:
        return self.tells(member, on, store, intent="sell", **more)

    def rows(self, as_of: date = SUNDAY, first_day: date = MONDAY) -> dict[tuple[date, str, str], dict[str, Any]]:
        table = contact_balance_weekly(self.contacts, self.stores, as_of, first_day)
        rows = [dict(zip(table.columns, row, strict=True)) for row in table.itertuples(index=False, name=None)]
        found = {(row["week_start"], row["level"], row["level_id"]): row for row in rows}
        assert len(found) == len(rows)
        return found

    def hq(self, monday: date = MONDAY, as_of: date = SUNDAY) -> dict[str, Any]:
        """Head office's row of a week, with zeros where there is none."""
        return self.rows(as_of).get((monday, "hq", "hq"), dict.fromkeys(NUMBERS, 0))


@pytest.fixture
def story() -> Contacts:
    return Contacts()


# ----------------------------------------------------------------------------------------------------- the rows


def test_a_week_of_a_store(story: Contacts) -> None:
    story.tells("came", MONDAY, is_reached=True, arrived_on=MONDAY + days(3))
    story.sells("came", MONDAY + days(2)).sells("came", SUNDAY, is_reached=True)
    story.tells("met", SUNDAY, is_sent=False, is_reached=True, arrived_on=SUNDAY)
    story.tells("of_another_store", SUNDAY, "B")
    found = story.rows()
    assert found[MONDAY, "store", "A"] == {
        "week_start": MONDAY,
        "level": "store",
        "level_id": "A",
        "contacts": 4,
        "contacts_sent": 3,
        "contacts_reached": 3,
        "arrived_14d": 1,
        "care_contacts_90": 2,
        "sell_contacts_90": 2,
        "care_to_sell_ratio": Decimal("1.000000"),
        "contacted_member_days": 4,
        "over_contact_member_days": 1,
        "reach_rate": Decimal("0.750000"),
        "invite_return_rate": Decimal("0.333333"),
        "over_contact_rate": Decimal("0.250000"),
        "is_final": False,
    }
    assert str(found[MONDAY, "store", "A"]["care_to_sell_ratio"]) == "1.000000"
    assert list(found) == [
        (MONDAY, "store", "A"),
        (MONDAY, "store", "B"),
        (MONDAY, "region", "north"),
        (MONDAY, "hq", "hq"),
    ]
    assert [found[MONDAY, "hq", "hq"][column] for column in NUMBERS] == [5, 4, 3, 1, 3, 2, 5, 1]


def test_of_nothing_there_is_no_rate(story: Contacts) -> None:
    story.tells("met", MONDAY - days(1)).tells("met", MONDAY + days(7), is_sent=False)
    found = story.rows(MONDAY + days(13), MONDAY)
    rates = ["care_to_sell_ratio", "reach_rate", "invite_return_rate", "over_contact_rate"]
    assert [found[MONDAY, "hq", "hq"][rate] for rate in rates] == [None, None, None, None]
    assert [found[MONDAY + days(7), "hq", "hq"][rate] for rate in rates] == [None, 0, None, 0]
    story.sells("met", MONDAY)
    assert story.hq()["care_to_sell_ratio"] == 1


def test_without_contacts_there_is_no_row(story: Contacts) -> None:
    assert story.rows() == {}
    story.stores = {}
    story.tells("a_member", MONDAY)
    assert story.rows() == {}


@pytest.mark.parametrize(("as_of", "is_final"), [(13, False), (14, True), (15, True)])
def test_a_week_is_final_a_fortnight_later(story: Contacts, as_of: int, is_final: bool) -> None:
    story.tells("a_member", MONDAY)
    assert story.hq(as_of=SUNDAY + days(as_of))["is_final"] == is_final


@pytest.mark.parametrize(
    ("made_on", "contacts"), [(MONDAY - days(1), 0), (MONDAY, 1), (SUNDAY, 1), (SUNDAY + days(1), 0)]
)
def test_a_week_goes_from_monday_to_sunday(story: Contacts, made_on: date, contacts: int) -> None:
    story.tells("a_member", made_on, is_reached=True, arrived_on=made_on)
    row = story.hq(as_of=LATER)
    assert [row[column] for column in NUMBERS if "90" not in column] == [contacts] * 5 + [0]


@pytest.mark.parametrize(("made_on", "contacts"), [(1, 1), (2, 1), (3, 0)])
def test_what_is_after_the_as_of_date_has_not_happened(story: Contacts, made_on: int, contacts: int) -> None:
    story.sells("a_member", MONDAY).sells("a_member", MONDAY + days(made_on))
    row = story.hq(as_of=MONDAY + days(2))
    assert row["contacts"] == row["contacted_member_days"] == row["sell_contacts_90"] == 1 + contacts
    assert row["over_contact_member_days"] == contacts


@pytest.mark.parametrize("first_day", [MONDAY, MONDAY + days(1), SUNDAY])
def test_the_first_week_is_a_whole_one(story: Contacts, first_day: date) -> None:
    story.tells("a_member", MONDAY - days(1)).tells("a_member", MONDAY)
    found = story.rows(SUNDAY + days(1), first_day)
    assert sorted({week for week, _, _ in found}) == [MONDAY, MONDAY + days(7)]
    assert (found[MONDAY, "hq", "hq"]["contacts"], found[MONDAY, "hq", "hq"]["care_contacts_90"]) == (1, 2)


def test_of_nobody_known_not_made_and_of_no_store(story: Contacts) -> None:
    story.tells(None, MONDAY).tells("a_member", None).tells("a_member", MONDAY, "closed_long_ago")
    story.tells("a_member", MONDAY, None)
    assert story.rows() == {}


# ------------------------------------------------------------------------------------------- what came of them


@pytest.mark.parametrize(("arrived", "number"), [(None, 0), (-1, 1), (0, 1), (13, 1), (14, 1), (15, 0)])
def test_who_came_within_a_fortnight(story: Contacts, arrived: int | None, number: int) -> None:
    story.tells("a_member", SUNDAY, arrived_on=None if arrived is None else SUNDAY + days(arrived))
    story.tells("met", SUNDAY, is_sent=False, arrived_on=SUNDAY)
    row = story.hq(as_of=LATER)
    assert (row["arrived_14d"], row["contacts_sent"], row["invite_return_rate"]) == (number, 1, number)


def test_who_was_met_was_reached_like_others(story: Contacts) -> None:
    story.tells("met", MONDAY, is_sent=False, is_reached=True).tells("written_to", MONDAY, is_reached=True)
    story.tells("did_not_read", MONDAY)
    assert (story.hq()["contacts_reached"], story.hq()["reach_rate"]) == (2, Decimal("0.666667"))


# --------------------------------------------------------------------------------------------- of care and to sell


@pytest.mark.parametrize(("back", "number"), [(88, 1), (89, 1), (90, 0)])
def test_care_and_sell_are_those_of_ninety_days(story: Contacts, back: int, number: int) -> None:
    story.tells("a_member", SUNDAY - days(back)).sells("another", SUNDAY - days(back))
    row = story.hq()
    assert (row["care_contacts_90"], row["sell_contacts_90"], row["contacts"]) == (number, number, 0)


@pytest.mark.parametrize(("back", "number"), [(88, 1), (89, 1), (90, 0)])
def test_the_ninety_days_of_an_unfinished_week_end_with_the_as_of_date(story: Contacts, back: int, number: int) -> None:
    tuesday = MONDAY + days(1)
    story.tells("a_member", tuesday - days(back)).sells("another", tuesday - days(back))
    row = story.hq(as_of=tuesday)
    assert (row["care_contacts_90"], row["sell_contacts_90"]) == (number, number)


def test_what_is_neither_care_nor_to_sell_is_in_neither(story: Contacts) -> None:
    story.tells("a_member", MONDAY, intent="survey").sells("a_member", MONDAY).sells("a_member", MONDAY)
    story.tells("a_member", MONDAY).sells("a_member", MONDAY)
    row = story.hq()
    assert [row[column] for column in NUMBERS] == [5, 5, 0, 0, 1, 3, 1, 1]
    assert row["care_to_sell_ratio"] == Decimal("0.333333")


# ---------------------------------------------------------------------------------------------------- too often


@pytest.mark.parametrize(("back", "over"), [(0, 1), (1, 1), (5, 1), (6, 1), (7, 0)])
def test_two_offers_within_a_week_are_too_many(story: Contacts, back: int, over: int) -> None:
    story.sells("a_member", SUNDAY).sells("a_member", SUNDAY - days(back))
    row = story.hq()
    assert row["over_contact_member_days"] == over
    assert row["contacted_member_days"] == (2 if 0 < back < 7 else 1)


@pytest.mark.parametrize(("offers", "over"), [(0, 0), (1, 0), (2, 1)])
def test_only_offers_are_too_many_when_two(story: Contacts, offers: int, over: int) -> None:
    for number in range(3):
        story.tells("a_member", SUNDAY, intent="sell" if number < offers else "care")
    assert story.hq()["over_contact_member_days"] == over


@pytest.mark.parametrize("intent", ["care", "sell"])
@pytest.mark.parametrize(("earlier", "over"), [(2, 0), (3, 0), (4, 1)])
@pytest.mark.parametrize("back", [28, 29, 30])
def test_five_contacts_within_thirty_days_are_too_many(
    story: Contacts, back: int, earlier: int, over: int, intent: str
) -> None:
    story.tells("a_member", SUNDAY, intent=intent).tells("a_member", SUNDAY - days(back), intent=intent)
    for number in range(1, earlier):
        story.tells("a_member", SUNDAY - days(7 * number))
    assert story.hq()["over_contact_member_days"] == (over if back < 30 else 0)


def test_a_second_offer_makes_its_day_too_much_and_not_the_one_before(story: Contacts) -> None:
    story.sells("a_member", MONDAY).sells("a_member", MONDAY + days(1)).tells("a_member", MONDAY + days(7))
    story.tells("a_member", MONDAY + days(8))
    assert story.hq(as_of=LATER)["over_contact_member_days"] == 1
    # seven days from Monday on are over on the next Monday, and the two offers are never both in the seven days again
    following = story.hq(MONDAY + days(7), LATER)
    assert (following["contacted_member_days"], following["over_contact_member_days"]) == (2, 0)


def test_a_word_of_care_on_a_day_after_too_many_offers_is_too_much(story: Contacts) -> None:
    story.sells("a_member", MONDAY).sells("a_member", MONDAY + days(1)).tells("a_member", MONDAY + days(6))
    assert story.hq()["over_contact_member_days"] == 2


def test_the_day_is_judged_with_all_that_came_on_it(story: Contacts) -> None:
    story.tells("a_member", MONDAY, hour=9).sells("a_member", MONDAY, "B", hour=10).sells("a_member", MONDAY, "B")
    found = story.rows()
    assert found[MONDAY, "store", "A"]["over_contact_member_days"] == 1
    assert found[MONDAY, "store", "B"]["over_contact_member_days"] == 0


@pytest.mark.parametrize("store", ["A", "B", "closed_long_ago", None])
def test_whichever_store_made_them_they_are_too_many(story: Contacts, store: str | None) -> None:
    story.sells("a_member", MONDAY, store).sells("a_member", SUNDAY, "A").sells("another", MONDAY, "A")
    row = story.rows()[MONDAY, "store", "A"]
    assert row["over_contact_member_days"] == 1


def test_members_are_judged_one_by_one(story: Contacts) -> None:
    for name in ("one", "two", "three", "four", "five"):
        story.sells(name, SUNDAY)
    assert (story.hq()["contacted_member_days"], story.hq()["over_contact_member_days"]) == (5, 0)


@pytest.mark.parametrize("nobody", [None, "a_member"])
@pytest.mark.parametrize("made_on", [None, MONDAY])
def test_what_was_not_made_or_of_nobody_known_is_not_too_much(
    story: Contacts, nobody: str | None, made_on: date | None
) -> None:
    story.sells("a_member", SUNDAY).tells(nobody, made_on, intent="sell")
    assert story.hq()["over_contact_member_days"] == (1 if nobody and made_on else 0)


# ------------------------------------------------------------------------------------------------ whose day it is


def days_by_level(story: Contacts) -> dict[tuple[str, str], int]:
    return {key[1:]: row["contacted_member_days"] for key, row in story.rows().items()}


@pytest.mark.parametrize("is_turned", [False, True])
def test_a_day_is_the_first_stores(story: Contacts, is_turned: bool) -> None:
    story.tells("a_member", MONDAY, "B", hour=11).tells("a_member", MONDAY, "A", hour=10)
    story.tells("a_member", MONDAY, "C", hour=12).tells("a_member", MONDAY, "A", hour=13)
    if is_turned:
        story.contacts.reverse()
    assert days_by_level(story) == {
        ("store", "A"): 1,
        ("store", "B"): 0,
        ("store", "C"): 0,
        ("region", "north"): 1,
        ("hq", "hq"): 1,
    }


@pytest.mark.parametrize("is_turned", [False, True])
def test_of_one_moment_the_lower_number_is_the_first(story: Contacts, is_turned: bool) -> None:
    story.tells("a_member", MONDAY, "B", contact_id="2").tells("a_member", MONDAY, "A", contact_id="1")
    story.tells("a_member", MONDAY, "C", contact_id="3")
    if is_turned:
        story.contacts.reverse()
    assert [days_by_level(story)["store", store] for store in "ABC"] == [1, 0, 0]


@pytest.mark.parametrize("store", ["closed_long_ago", None])
@pytest.mark.parametrize(("hour", "number"), [(11, 0), (13, 1)])
def test_a_day_that_a_store_began_that_is_not_counted_is_nobodys(
    story: Contacts, store: str | None, hour: int, number: int
) -> None:
    story.sells("a_member", MONDAY, store, hour=hour).sells("a_member", MONDAY, "A", hour=12)
    row = story.hq()
    assert [row["contacts"], row["contacted_member_days"], row["over_contact_member_days"]] == [1, number, number]
    assert row["over_contact_rate"] == (1 if number else None)


def test_a_region_is_its_stores_and_a_store_without_one_is_in_none(story: Contacts) -> None:
    story.tells("one", MONDAY, "A").tells("two", MONDAY, "C").tells("three", MONDAY, "B")
    found = {key[1:]: row["contacts"] for key, row in story.rows().items()}
    assert found == {
        ("store", "A"): 1,
        ("store", "B"): 1,
        ("store", "C"): 1,
        ("region", "north"): 2,
        ("hq", "hq"): 3,
    }


# ------------------------------------------------------------------------------------------------------ identities


@st.composite
def stories(draw: st.DrawFn) -> Contacts:
    """A few members in a few weeks, so that contacts meet."""
    story = Contacts()
    for _ in range(draw(st.integers(min_value=0, max_value=25))):
        on = MONDAY + days(draw(st.integers(min_value=0, max_value=34)))
        story.tells(
            draw(st.sampled_from(["one", "two", "three"])),
            on,
            draw(st.sampled_from(["A", "B", "C", "D", "closed_long_ago", None])),
            hour=draw(st.integers(min_value=9, max_value=11)),
            intent=draw(st.sampled_from(["care", "sell"])),
            is_reached=draw(st.booleans()),
            is_sent=draw(st.booleans()),
            arrived_on=draw(st.sampled_from([None, on, on + days(14), on + days(15)])),
        )
    story.stores["D"] = "south"
    return story


@given(stories(), st.randoms(use_true_random=False))
def test_the_order_in_which_contacts_are_told_does_not_matter(story: Contacts, random: Any) -> None:
    found = story.rows(LATER)
    random.shuffle(story.contacts)
    assert story.rows(LATER) == found


@given(stories())
def test_stores_add_up_and_weeks_do(story: Contacts) -> None:
    found = story.rows(LATER)

    def total(level: str, column: str) -> int:
        return sum(row[column] for key, row in found.items() if key[1] == level)

    for column in NUMBERS:
        assert total("store", column) == total("hq", column)
        assert total("region", column) == sum(
            row[column] for key, row in found.items() if key[1] == "store" and story.stores[key[2]] is not None
        )
    counting = [contact for contact in story.contacts if contact["store_id"] in story.stores]
    assert total("hq", "contacts") == len(counting)
    assert total("hq", "contacts_reached") == sum(contact["is_reached"] for contact in counting)
    for row in found.values():
        assert row["over_contact_member_days"] <= row["contacted_member_days"] <= row["contacts"]
        assert row["arrived_14d"] <= row["contacts_sent"] <= row["contacts"]


@given(stories())
def test_with_every_store_counted_every_day_of_a_member_is_somebodys(story: Contacts) -> None:
    for contact in story.contacts:
        contact["store_id"] = contact["store_id"] if contact["store_id"] in story.stores else "D"
    found = story.rows(LATER)
    pairs = {(contact["member_id"], contact["made_on"]) for contact in story.contacts}
    for week in {week_start(day) for _, day in pairs}:
        of_week = [day for _, day in pairs if week_start(day) == week]
        assert found[week, "hq", "hq"]["contacted_member_days"] == len(of_week)


@given(stories())
def test_a_contact_more_makes_no_day_less_than_too_much(story: Contacts) -> None:
    def over() -> int:
        rows = story.rows(LATER)
        return sum(row["over_contact_member_days"] for key, row in rows.items() if key[1] == "hq")

    before = over()
    story.sells("one", MONDAY + days(17), "A", hour=23)
    assert before <= over()
