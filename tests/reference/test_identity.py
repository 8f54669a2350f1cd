"""The reference of who is who, against histories small enough to check by hand."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from .day_by_day import judge_receipts, stages_by_day
from .identity import OPEN_END, Identity, Member
from .stories import DAY_0, Story, day

STORES = Story().stores


def at(number: int) -> str:
    return f"{day(number)}T12:00:00+08:00"


def card(number: str, since: int = 0, **more: Any) -> dict[str, Any]:
    return {"card_no": number, "store_id": "A", "enrolled_at": at(since)} | more


def account(number: str, since: int = 0, **more: Any) -> dict[str, Any]:
    return {"account_id": number, "created_at": at(since), "updated_at": at(since)} | more


def link(account_id: str, card_no: str | None, begin: int, end: int | None = None, **more: Any) -> dict[str, Any]:
    row = {"account_id": account_id, "card_no": card_no, "valid_from": at(begin), "recorded_at": at(begin)}
    return row | {"valid_to": None if end is None else at(end)} | more


def known_at(as_of: int, **feeds: Any) -> Identity:
    return Identity(STORES, day(as_of), **feeds)


def test_without_links_each_card_and_account_is_a_member() -> None:
    identity = known_at(9, enrolments=[card("C", 2)], accounts=[account("A", 1), account("B", 1, member_since=at(3))])
    assert identity.members() == [
        Member("A", day(1), OPEN_END, "APP"),
        Member("B", day(1), day(3), "APP"),
        Member("C", day(2), day(2), "A"),
    ]


@pytest.mark.parametrize(("as_of", "member"), [(4, "A"), (5, "C"), (6, "C")])
def test_a_link_brings_all_history_once_it_is_there(as_of: int, member: str) -> None:
    identity = known_at(as_of, enrolments=[card("C")], accounts=[account("A")], identity_links=[link("A", "C", 5)])
    assert [identity.whose("account", "A", day(on)) for on in (0, as_of)] == [member, member]
    assert [found.member_id for found in identity.members()] == (["C"] if member == "C" else ["A", "C"])


def test_an_ended_link_holds_for_its_own_days() -> None:
    identity = known_at(9, enrolments=[card("C")], accounts=[account("A")], identity_links=[link("A", "C", 3, 6)])
    assert [identity.whose("account", "A", day(on)) for on in (2, 3, 5, 6)] == ["A", "C", "C", "A"]


def test_a_merge_keeps_the_survivors_card_and_the_earlier_enrolment() -> None:
    links = [link("M", "early", 1), link("S", "late", 2), link("M", None, 5, survivor_account_id="S")]
    people = {"enrolments": [card("early", 0), card("late", 1)], "accounts": [account("M"), account("S")]}
    identity = known_at(9, identity_links=links, **people)
    assert identity.members() == [
        Member("early", DAY_0, DAY_0, "A", merged_on=day(5)),
        Member("late", DAY_0, DAY_0, "A"),
    ]
    assert identity.whose("card", "early", day(0)) == "late"
    ended = links[2] | {"valid_to": at(7), "recorded_at": at(7)}
    assert known_at(9, identity_links=[*links, ended], **people).members() == [
        Member("early", DAY_0, DAY_0, "A"),
        Member("late", day(0), day(1), "A"),
    ]


@pytest.mark.parametrize(("on", "holder"), [(-1, None), (0, "old"), (4, "old"), (5, "new"), (6, "new"), (8, None)])
def test_a_phone_is_its_last_holders(on: int, holder: str | None) -> None:
    accounts = [account("new", 5, phone_token="P"), account("new", 5, updated_at=at(8), phone_token="Q")]
    identity = known_at(9, enrolments=[card("old", 0, phone_token="P")], accounts=accounts)
    assert identity.whose("phone_token", "P", day(on)) == holder


@pytest.mark.parametrize(("claimed", "member"), [(-1, ""), (0, "A"), (29, "A"), (30, "A"), (31, "")])
def test_a_claim_counts_for_30_days(claimed: int, member: str) -> None:
    story = Story()
    receipt_no = story.buys("", DAY_0)
    claims = [{"account_id": "A", **story.receipts[0], "receipt_no": receipt_no, "claimed_at": at(claimed)}]
    identity = known_at(60, accounts=[account("A", -1)], receipt_claims=claims)
    assert identity.named(pd.DataFrame(story.receipts))["member_card_no"].tolist() == [member]


@pytest.mark.parametrize(("late", "members"), [(29, ["C", "old"]), (30, ["C", "old"]), (31, ["old"])])
def test_an_enrolment_entered_late_is_held(late: int, members: list[str]) -> None:
    entries = [card("C", 0, entered_on=day(late)), card("old", -900, entered_on=day(0))]
    assert [member.member_id for member in known_at(60, enrolments=entries).members()] == members


def test_a_prospect_becomes_a_member_and_a_merged_one_is_excluded() -> None:
    story = Story()
    story.buys("", DAY_0, account_id="A")
    story.buys("C", day(3))
    identity = known_at(
        6,
        enrolments=[card("C", 2), card("D", 1)],
        accounts=[account("A"), account("B")],
        identity_links=[link("A", "C", 2), link("B", "D", 2), link("B", None, 4, survivor_account_id="A")],
    )
    facts = judge_receipts(identity.named(pd.DataFrame(story.receipts)), pd.DataFrame(story.lines))
    nothing_said = pd.DataFrame(columns=["card_no", "status", "at"])
    daily = stages_by_day(facts, pd.DataFrame(), nothing_said, story.store_frame, day(6), identity=identity)

    def path(member: str) -> list[tuple[int, str]]:
        mine = daily[daily["card_no"] == member]
        return [((on - DAY_0).days, stage) for on, stage in zip(mine["day"], mine["stage_code"], strict=True)]

    # D's enrolment on day 1 is the survivor's
    assert path("C") == [(0, "S01"), (1, "S03"), (2, "S03"), (3, "S04"), (4, "S04"), (5, "S04"), (6, "S04")]
    assert path("D") == [(1, "S02"), (2, "S02"), (3, "S02"), (4, "X"), (5, "X"), (6, "X")]
