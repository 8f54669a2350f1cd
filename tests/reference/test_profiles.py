"""The reference of profiles against members small enough to check by hand: the boundaries, at n−1, n and n+1."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from .day_by_day import as_published, kpi
from .identity import Identity
from .profiles import FIELDS, Profile, Profiles
from .stories import DAY_0, Story, day
from .test_identity import account, at, card, known_at, link

NOTHING = Profile(frozenset(), False)
ALL_CHANNELS = ("wechat", "sms", "call", "email", "in_store", "moments", "video")
ADDRESSES = {
    "phone_token": "P",
    "phone_verified": True,
    "email_token": "E",
    "email_verified": True,
    "wechat_openid_token": "W",
}


def consent(channel: str, on: int, granted: bool = True, account_id: str | None = "A", **more: Any) -> dict[str, Any]:
    row = {"account_id": account_id, "card_no": None, "purpose": "marketing", "channel": channel}
    return row | {"granted": granted, "at": at(on)} | more


def update(number: str, on: int, **more: Any) -> dict[str, Any]:
    """A version of an account that was created on day 0."""
    return account(number, 0, updated_at=at(on)) | more


def profiles(
    accounts: list[dict[str, Any]], consents: list[dict[str, Any]] | None = None, as_of: int = 60, **feeds: Any
) -> Profiles:
    return Profiles(known_at(as_of, accounts=accounts, **feeds), accounts, consents or [])


def profile(said: Profiles, on: int, member: str = "A") -> Profile:
    return said.on(day(on)).get(member, NOTHING)


def filled(said: Profiles, on: int, member: str = "A") -> set[str]:
    return set(profile(said, on, member).filled)


def contactable(said: Profiles, on: int, member: str = "A") -> bool:
    return profile(said, on, member).is_contactable


# ------------------------------------------------------------------------------------------ which fields are filled


@pytest.mark.parametrize(
    ("column", "field"),
    [("name_token", "name"), ("gender", "gender"), ("birthday_token", "birthday"), ("city", "city")],
)
@pytest.mark.parametrize(("value", "is_filled"), [("x", True), (" x ", True), ("", False), (" ", False), (None, False)])
def test_a_field_is_filled_when_it_is_neither_empty_nor_blank(
    column: str, field: str, value: str | None, is_filled: bool
) -> None:
    said = {field} if is_filled else set()
    assert filled(profiles([account("A", **{column: value})]), 0) == said
    assert filled(profiles([], enrolments=[card("C", **{column: value})]), 0, "C") == said


@pytest.mark.parametrize(("phone", "verified"), [("P", False), ("P", None), (" ", True), (None, True)])
def test_a_phone_is_filled_by_an_account_that_has_a_verified_one(phone: str | None, verified: bool | None) -> None:
    accounts = [account("A", phone_token=phone, phone_verified=verified)]
    assert filled(profiles(accounts), 0) == set()
    assert filled(profiles([account("A", phone_token="P", phone_verified=True)]), 0) == {"phone"}


def test_the_phone_of_a_slip_is_not_verified() -> None:
    slip = card("C", phone_token="P", phone_verified=True, name_token="N")
    said = profiles([], [consent("sms", 0, account_id=None, card_no="C")], enrolments=[slip])
    assert profile(said, 0, "C") == Profile(frozenset({"name"}), False)


def test_what_is_not_required_fills_nothing() -> None:
    assert filled(profiles([account("A", occupation="x", email_token="E", email_verified=True)]), 0) == set()


@pytest.mark.parametrize(("on", "said"), [(-1, set()), (0, {"city"}), (4, {"city"}), (5, {"gender"}), (6, {"gender"})])
def test_a_version_counts_until_the_next_which_says_everything_anew(on: int, said: set[str]) -> None:
    versions = [update("A", 0, city="x"), update("A", 5, gender="f")]
    assert filled(profiles(versions), on) == said
    assert filled(profiles(versions[::-1]), on) == said


def test_of_versions_of_one_day_the_last_by_its_moment_counts() -> None:
    earlier = account("A", updated_at=f"{day(1)}T09:59:59+08:00", gender="f")
    later = account("A", updated_at=f"{day(1)}T02:00:00Z", city="x")  # ten o'clock there
    assert filled(profiles([earlier, later]), 1) == filled(profiles([later, earlier]), 1) == {"city"}


def test_of_versions_of_one_moment_the_last_delivered_counts() -> None:
    one = account("A", updated_at="2018-01-10T10:00:00+08:00", gender="f")
    same = account("A", updated_at="2018-01-10T02:00:00Z", city="x")
    assert filled(profiles([one, same]), 0) == {"city"}
    assert filled(profiles([same, one]), 0) == {"gender"}


@pytest.mark.parametrize(("moment", "since"), [("15:59:59Z", 0), ("16:00:00Z", 1), ("23:59:59", 0), ("00:00:00", 0)])
def test_the_day_of_a_version_is_that_of_the_apps_clock(moment: str, since: int) -> None:
    said = profiles([account("A", -1, updated_at=f"{DAY_0}T{moment}", city="x")])
    assert [filled(said, on) for on in (since - 1, since)] == [set(), {"city"}]


@pytest.mark.parametrize(("on", "said"), [(2, set()), (3, {"name"}), (4, {"name"}), (60, {"name"})])
def test_a_slip_counts_from_the_enrolment_on_for_ever(on: int, said: set[str]) -> None:
    assert filled(profiles([], enrolments=[card("C", 3, name_token="N")]), on, "C") == said


@pytest.mark.parametrize(("late", "said"), [(29, {"name"}), (30, {"name"}), (31, set())])
def test_the_slip_of_a_held_enrolment_does_not_count(late: int, said: set[str]) -> None:
    slips = [card("C", 0, entered_on=day(late), name_token="N"), card("old", -900, entered_on=day(0))]
    accounts, links = [account("A")], [link("A", "C", 0)]
    assert filled(profiles(accounts, enrolments=slips, identity_links=links), 60, "C" if said else "A") == said


def test_of_two_enrolments_of_a_card_the_earlier_one_counts() -> None:
    slips = [card("C", 3, city="x"), card("C", 1, gender="f")]
    said = profiles([], enrolments=slips)
    assert [filled(said, on, "C") for on in (0, 1, 3, 4)] == [set(), {"gender"}, {"gender"}, {"gender"}]


# ----------------------------------------------------------------------------------------- of which member it is


def test_a_field_is_filled_by_any_of_a_members_identifiers() -> None:
    accounts = [account("A", city="x"), update("B", 2, **ADDRESSES)]
    links = [link("A", "C", 0), link("B", None, 0, survivor_account_id="A")]
    slips = [card("C", 1, name_token="N", city="y")]
    said = profiles(accounts + [account("B")], enrolments=slips, identity_links=links)
    assert [filled(said, on, "C") for on in (0, 1, 2)] == [{"city"}, {"name", "city"}, {"name", "city", "phone"}]
    assert set(said.on(day(2))) == {"C"}


@pytest.mark.parametrize(("on", "member"), [(2, "A"), (3, "C"), (5, "C"), (6, "A")])
def test_a_statement_is_that_members_whose_the_identifier_is_on_the_day(on: int, member: str) -> None:
    said = profiles(
        [account("A", city="x", **ADDRESSES)],
        [consent("sms", 4)],
        enrolments=[card("C", name_token="N")],
        identity_links=[link("A", "C", 3, 6)],
    )
    other = {"A": "C", "C": "A"}[member]
    assert {"city", "phone"} <= filled(said, on, member)
    assert not {"city", "phone"} & filled(said, on, other)
    # the consent of day 4 stays C's, the phone does not
    assert [contactable(said, on, who) for who in ("A", "C")] == [False, on == 5]


def test_what_was_merged_into_another_is_the_survivors_on_earlier_days_too() -> None:
    links = [link("M", "early", 1), link("S", "late", 2), link("M", None, 5, survivor_account_id="S")]
    said = profiles(
        [account("M", city="x", **ADDRESSES), account("S")],
        [consent("call", 0, account_id=None, card_no="early")],
        enrolments=[card("early"), card("late", 1)],
        identity_links=links,
    )
    assert said.on(day(3)) == {"late": Profile(frozenset({"city", "phone"}), True)}


# -------------------------------------------------------------------------------------------- who may be contacted


@pytest.mark.parametrize("channel", ALL_CHANNELS)
@pytest.mark.parametrize(
    ("without", "not_by"),
    [
        ({}, ()),
        ({"phone_token": None}, ("sms", "call")),
        ({"phone_token": " "}, ("sms", "call")),
        ({"phone_verified": False}, ("sms", "call")),
        ({"phone_verified": None}, ("sms", "call")),
        ({"email_token": None}, ("email",)),
        ({"email_verified": False}, ("email",)),
        ({"email_verified": None}, ("email",)),
        ({"wechat_openid_token": ""}, ("wechat",)),
    ],
)
def test_contactable_by_a_channel_that_has_both_consent_and_address(
    channel: str, without: dict[str, Any], not_by: tuple[str, ...]
) -> None:
    accounts = [account("A", **(ADDRESSES | without))]
    expected = channel in ("sms", "call", "email", "wechat") and channel not in not_by
    assert contactable(profiles(accounts, [consent(channel, 0)]), 0) is expected
    assert not contactable(profiles(accounts, [consent(channel, 0, purpose="service")]), 0)
    assert not contactable(profiles(accounts, [consent(channel, 0, granted=False)]), 0)


def test_nobody_is_contactable_without_a_consent() -> None:
    assert not contactable(profiles([account("A", **ADDRESSES)]), 60)


def test_the_consent_may_be_told_before_the_address_and_before_anybody_enrolled() -> None:
    accounts = [account("A", 0, wechat_openid_token=None), update("A", 4, wechat_openid_token="W")]
    said = profiles(accounts, [consent("wechat", -5)])
    assert [contactable(said, on) for on in (3, 4, 5)] == [False, True, True]


@pytest.mark.parametrize(("on", "may"), [(1, False), (2, True), (4, True), (5, False), (7, False), (8, True)])
def test_a_consent_holds_from_its_day_until_the_next(on: int, may: bool) -> None:
    consents = [consent("sms", 2), consent("sms", 5, granted=False), consent("sms", 8)]
    assert contactable(profiles([account("A", **ADDRESSES)], consents), on) is may
    assert contactable(profiles([account("A", **ADDRESSES)], consents[::-1]), on) is may


@pytest.mark.parametrize(
    ("taken_back", "may"), [("03:59:59Z", True), ("04:00:00Z", False), ("04:00:01Z", False), ("15:59:59Z", False)]
)
def test_the_last_of_a_day_decides_and_at_one_moment_taking_back_wins(taken_back: str, may: bool) -> None:
    given_at_noon = consent("sms", 1)
    back = consent("sms", 1, granted=False, at=f"{day(1)}T{taken_back}")
    for consents in ([given_at_noon, back], [back, given_at_noon]):
        assert contactable(profiles([account("A", **ADDRESSES)], consents), 1) is may


def test_taking_back_one_channel_leaves_the_others() -> None:
    consents = [consent("sms", 1), consent("email", 1), consent("sms", 2, granted=False)]
    accounts = [account("A", **ADDRESSES), update("A", 3, **(ADDRESSES | {"email_verified": False}))]
    said = profiles(accounts, consents)
    assert [contactable(said, on) for on in (1, 2, 3)] == [True, True, False]


def test_a_consent_through_one_identifier_is_taken_back_through_another() -> None:
    consents = [consent("sms", 1), consent("sms", 2, granted=False, account_id=None, card_no="C")]
    said = profiles([account("A", **ADDRESSES)], consents, enrolments=[card("C")], identity_links=[link("A", "C", 0)])
    assert [contactable(said, on, "C") for on in (1, 2)] == [True, False]


@pytest.mark.parametrize(("card_no", "member"), [("C", "C"), (None, "A"), ("nobody's", "A")])
def test_a_consent_of_both_is_whose_the_card_is_and_else_whose_the_account_is(card_no: str | None, member: str) -> None:
    accounts = [account("A", **ADDRESSES), account("B", **ADDRESSES)]
    said = profiles(
        accounts,
        [consent("sms", 1, card_no=card_no)],
        enrolments=[card("C")],
        identity_links=[link("B", "C", 0)],
    )
    assert {who for who, one in said.on(day(1)).items() if one.is_contactable} == {member}


def test_a_consent_of_nobodys_identifier_counts_nowhere() -> None:
    said = profiles([account("A", **ADDRESSES)], [consent("sms", 1, account_id="nobody's")])
    assert said.on(day(1)) == {"A": Profile(frozenset({"phone"}), False)}


def test_a_consent_after_the_as_of_date_has_no_effect_on_earlier_closes() -> None:
    consents = [consent("sms", 1), consent("sms", 61, granted=False)]
    assert contactable(profiles([account("A", **ADDRESSES)], consents, as_of=60), 60)


# --------------------------------------------------------------------------------------------- in the KPI tables


def kpis_of(story: Story, as_of: date, kind: str = "week", **feeds: Any) -> list[dict[str, Any]]:
    accounts = feeds.get("accounts", [])
    consents = feeds.pop("consents", [])
    identity = Identity(story.stores, as_of, enrolments=story.enrolments, **feeds)
    daily = story.daily(as_of, identity=identity)
    said = Profiles(identity, accounts, consents)
    return as_published(kpi(daily, story.facts, story.store_frame, kind, profiles=said.on)).to_dict("records")


COLUMNS = ("valid_members", "contactable_members", "filled_fields", "consent_reach", "info_completeness")


def figures(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[column] for column in COLUMNS)


@pytest.fixture
def three_members() -> Story:
    """C and D in store A, E in store B; C's slip has two fields, E's one."""
    story = Story().enrols("C", DAY_0).enrols("D", DAY_0).enrols("E", DAY_0, "B")
    story.enrolments[0] |= {"name_token": "N", "city": "x"}
    story.enrolments[2] |= {"gender": "f"}
    story.buys("C", DAY_0)
    return story


def test_members_are_counted_at_the_close_where_they_are_served(three_members: Story) -> None:
    accounts = [account("A", **ADDRESSES), account("P", city="x", **ADDRESSES)]  # P has not enrolled
    rows = kpis_of(
        three_members,
        DAY_0 + timedelta(days=4),  # the Sunday
        accounts=accounts,
        identity_links=[link("A", "D", 0)],
        consents=[consent("sms", 3), consent("sms", 3, account_id="P")],
    )
    found = {row["level_id"]: figures(row) for row in rows}
    assert found == {
        "A": (2, 1, 3, Decimal("0.500000"), Decimal("0.300000")),
        "B": (1, 0, 1, Decimal("0.000000"), Decimal("0.200000")),
        "north": (2, 1, 3, Decimal("0.500000"), Decimal("0.300000")),
        "not_fed": (1, 0, 1, Decimal("0.000000"), Decimal("0.200000")),
        "hq": (3, 1, 4, Decimal("0.333333"), Decimal("0.266667")),
    }


@pytest.mark.parametrize(
    ("on", "weekly"), [(4, [(1, 4), (1, 4)]), (5, [(0, 3), (1, 4)]), (11, [(0, 3), (1, 4)]), (12, [(0, 3), (0, 3)])]
)
def test_what_counts_is_the_state_at_the_close(three_members: Story, on: int, weekly: list[tuple[int, int]]) -> None:
    versions = [update("A", on, **ADDRESSES), account("A")]
    feeds = {"accounts": versions, "identity_links": [link("A", "D", 0)], "consents": [consent("call", -3)]}
    rows = [row for row in kpis_of(three_members, day(11), **feeds) if row["level"] == "hq"]
    assert [(row["contactable_members"], row["filled_fields"]) for row in rows] == weekly
    (month,) = [row for row in kpis_of(three_members, day(11), "month", **feeds) if row["level"] == "hq"]
    assert (month["contactable_members"], month["filled_fields"]) == weekly[-1]


@pytest.mark.parametrize(("closed_on", "left"), [(3, (2, 0, 2)), (4, (2, 0, 2)), (5, (3, 1, 5))])
def test_only_members_who_are_valid_at_the_close_count(
    three_members: Story, closed_on: int, left: tuple[int, int, int]
) -> None:
    story = three_members.says("C", "closed", day(closed_on))
    story.enrolments[1] |= {"name_token": "N"}
    feeds = {"accounts": [account("A", **ADDRESSES)], "identity_links": [link("A", "C", 0)]}
    (row,) = [row for row in kpis_of(story, day(4), consents=[consent("sms", 0)], **feeds) if row["level"] == "hq"]
    assert (row["valid_members"], row["contactable_members"], row["filled_fields"]) == left


def test_without_profiles_nothing_is_filled_and_nobody_contactable(three_members: Story) -> None:
    (row,) = as_published(three_members.kpi(DAY_0))[-1:].to_dict("records")
    assert figures(row) == (3, 0, 0, Decimal("0.000000"), Decimal("0.000000"))


def test_without_a_member_there_is_no_rate(three_members: Story) -> None:
    three_members.stores.append({"store_id": "Z", "region": "z", "timezone": "Asia/Shanghai", "day_cutoff": None})
    rows = {row["level_id"]: row for row in kpis_of(three_members, DAY_0)}
    assert figures(rows["Z"]) == (0, 0, 0, None, None)


# ------------------------------------------------------------------------------------------------ what always holds


NUMBERS = st.integers(0, 9)
SOME = st.sampled_from(("x", "", None))
VERSIONS = st.builds(
    lambda number, on, hour, said, proved: (
        account(number, -1, updated_at=f"{day(on)}T{hour + 10}:00:00+08:00")
        | dict(zip(("name_token", "phone_token", "gender", "city", "wechat_openid_token"), said, strict=True))
        | {"phone_verified": proved}
    ),
    st.sampled_from("AB"),
    NUMBERS,
    NUMBERS,
    st.tuples(SOME, SOME, SOME, SOME, SOME),
    st.sampled_from((True, False, None)),
)
CONSENTS = st.builds(
    lambda channel, on, hour, granted, number: consent(
        channel, on, granted, number, at=f"{day(on)}T{hour + 10}:00:00+08:00"
    ),
    st.sampled_from(("sms", "wechat", "video")),
    NUMBERS,
    st.integers(0, 1),
    st.booleans(),
    st.sampled_from("AB"),
)
LINKS = st.builds(
    lambda number, card_no, begin, length, told: link(
        number, card_no, begin, None if length is None else begin + length, recorded_at=at(begin + told)
    ),
    st.sampled_from("AB"),
    st.sampled_from("CD"),
    NUMBERS,
    st.sampled_from((None, 1, 2, 5)),
    st.integers(0, 2),
)


@given(st.lists(LINKS, max_size=4))
def test_between_two_turns_an_identifier_is_one_members(links: list[dict[str, Any]]) -> None:
    identity = known_at(
        20, accounts=[account("A", -1), account("B", -1)], enrolments=[card("C", -1)], identity_links=links
    )
    for id_ in (("account", "A"), ("account", "B"), ("card", "C"), ("card", "D")):
        turns = identity.turns(id_)
        changed = [on for on in range(-1, 20) if identity.whose(*id_, day(on)) != identity.whose(*id_, day(on - 1))]
        assert {day(on) for on in changed} <= set(turns)


@given(st.lists(VERSIONS, max_size=6), st.lists(CONSENTS, max_size=6), st.lists(LINKS, max_size=3), NUMBERS)
def test_nobody_has_said_more_than_all_that_was_said(
    versions: list[dict[str, Any]], consents: list[dict[str, Any]], links: list[dict[str, Any]], on: int
) -> None:
    slips = [card("C", -1, city="x"), card("D", -1, birthday_token="B")]
    said = profiles(versions, consents, enrolments=slips, identity_links=links).on(day(on))
    assert {name for one in said.values() for name in one.filled} <= set(FIELDS)
    # nobody's slip is lost, and whoever may be contacted by sms has a verified phone
    assert sum("birthday" in one.filled for one in said.values()) == 1
    has_openid = any(version["wechat_openid_token"] == "x" for version in versions)
    assert all("phone" in one.filled or has_openid for one in said.values() if one.is_contactable)


@given(st.lists(CONSENTS, max_size=6), st.randoms(use_true_random=False), NUMBERS)
def test_the_order_in_which_consents_are_delivered_is_of_no_matter(
    consents: list[dict[str, Any]], dice: Any, on: int
) -> None:
    accounts = [account("A", -1, **ADDRESSES), account("B", -1, **ADDRESSES)]
    shuffled = list(consents)
    dice.shuffle(shuffled)
    assert profiles(accounts, consents).on(day(on)) == profiles(accounts, shuffled).on(day(on))


@given(st.lists(VERSIONS, max_size=8), st.lists(CONSENTS, max_size=6), NUMBERS)
def test_what_comes_after_a_close_leaves_it_alone(
    versions: list[dict[str, Any]], consents: list[dict[str, Any]], on: int
) -> None:
    def by_then(rows: list[dict[str, Any]], column: str) -> list[dict[str, Any]]:
        return [row for row in rows if row[column] < f"{day(on + 1)}"]

    earlier = profiles(by_then(versions, "updated_at"), by_then(consents, "at"))
    assert profiles(versions, consents).on(day(on)) == earlier.on(day(on))
