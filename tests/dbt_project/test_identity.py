"""Who is who, in stories and at random: links, merges, reassigned phones and claims that come late, or are taken back.

The chain of the first fixture is delivered and published in four steps, so each later step restates receipts of old
dates; what comes of it is compared with the slow reference and with a build that computes everything anew.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pandas as pd
import pytest
from tests.chain import STORES, Chain, publish
from tests.conftest import new_warehouse
from tests.load.conftest import Till
from tests.reference import day_by_day
from tests.reference.identity import OPEN_END, Identity

from memberhouse import db
from memberhouse.warehouse import dbt

pytestmark = pytest.mark.services

OPENED = date(2025, 1, 6)
STEPS = (date(2025, 9, 30), date(2025, 11, 3), date(2025, 12, 1), date(2026, 1, 12))
AS_OF = STEPS[-1]
DAY = date(2025, 6, 2)


def at(day: date, clock: str = "12:00:00") -> str:
    return f"{day}T{clock}+08:00"


def days(number: int) -> timedelta:
    return timedelta(days=number)


def enrolment(card: str, day: date, **more: Any) -> dict[str, Any]:
    return {"card_no": card, "store_id": "S1", "enrolled_at": at(day)} | more


def account(account_id: str, created: date, **more: Any) -> dict[str, Any]:
    return {"account_id": account_id, "created_at": at(created), "updated_at": at(created)} | more


def link(account_id: str, card: str | None, begin: date, **more: Any) -> dict[str, Any]:
    row = {"account_id": account_id, "card_no": card, "valid_from": at(begin), "recorded_at": at(begin)}
    return row | {"method": "merge" if "survivor_account_id" in more else "scan"} | more


def claim(account_id: str, receipt_no: str, sold: date, claimed: date) -> dict[str, Any]:
    key = {
        "store_id": "S1",
        "register_id": "1",
        "business_date": sold,
        "receipt_no": receipt_no,
        "receipt_type": "sale",
    }
    return {"account_id": account_id} | key | {"claimed_at": at(claimed)}


# ------------------------------------------------------------------------------------------ stories


def app_and_card_linked_later(chain: Chain, step: int) -> None:
    if step == 0:
        chain.deliver("pos", "enrolments", DAY, enrolment("linked:C", DAY))
        chain.deliver("app", "accounts", DAY, account("linked:A", DAY - days(30)))
        chain.sell("linked:1", DAY + days(5), member_card_no="linked:C")
        chain.sell("linked:2", DAY + days(20), account_id="linked:A")
        chain.sell("linked:3", DAY - days(3), account_id="linked:A")
    if step == 2:
        chain.deliver("app", "identity_links", STEPS[2], link("linked:A", "linked:C", STEPS[2] - days(2)))


def merged_after_purchases(chain: Chain, step: int) -> None:
    if step == 0:
        chain.deliver("pos", "enrolments", DAY, enrolment("merged:CM", DAY), enrolment("merged:CS", DAY + days(10)))
        chain.deliver("app", "accounts", DAY, account("merged:M", DAY), account("merged:S", DAY))
        chain.deliver(
            "app", "identity_links", DAY, link("merged:M", "merged:CM", DAY), link("merged:S", "merged:CS", DAY)
        )
        chain.sell("merged:1", DAY + days(12), member_card_no="merged:CM")
        chain.sell("merged:2", DAY + days(12), member_card_no="merged:CS", store="S2")
        chain.sell("merged:3", DAY + days(40), account_id="merged:M")
    if step == 1:
        chain.deliver(
            "app", "identity_links", STEPS[1], link("merged:M", None, STEPS[1], survivor_account_id="merged:S")
        )


def phone_reassigned(chain: Chain, step: int) -> None:
    if step == 0:
        chain.deliver("pos", "enrolments", DAY, enrolment("phone:old", DAY, phone_token="phone:P"))
        for number, day in enumerate((-1, 0, 1, 99, 100, 101)):
            chain.sell(f"phone:{number}", DAY + days(day), member_phone_token="phone:P")
    if step == 1:
        chain.deliver("app", "accounts", STEPS[1], account("phone:new", DAY + days(100), phone_token="phone:P"))


def claims_on_the_edge(chain: Chain, step: int) -> None:
    if step == 0:
        chain.deliver("app", "accounts", DAY, account("claim:A", DAY, member_since=at(DAY)))
        for number in (29, 30, 31):
            chain.sell(f"claim:{number}", DAY + days(60))
        chain.sell("claim:not anonymous", DAY + days(60), member_card_no="linked:C")
    if step == 3:
        sold = DAY + days(60)
        claims = [claim("claim:A", f"claim:{number}", sold, sold + days(number)) for number in (29, 30, 31)]
        chain.deliver(
            "app", "receipt_claims", STEPS[3], *claims, claim("claim:A", "claim:not anonymous", sold, sold + days(1))
        )


def enrolled_far_back(chain: Chain, step: int) -> None:
    if step == 0:
        chain.sell("late:1", DAY, member_card_no="late:30")
        chain.sell("late:2", DAY, member_card_no="late:31")
    if step == 1:
        chain.deliver(
            "pos",
            "enrolments",
            STEPS[1],
            enrolment("late:30", STEPS[1] - days(30)),
            enrolment("late:31", STEPS[1] - days(31)),
        )


def returned_before_the_sale_is_known(chain: Chain, step: int) -> None:
    if step == 0:
        for receipt_no, sold in (
            ("back:late", "sold:late"),
            ("back:never", "sold:never"),
            ("back:nothing", None),
            ("back:test", "sold:test"),
            ("back:known", "sold:known"),
        ):
            chain.take_back(receipt_no, DAY + days(9), sold and (sold, DAY + days(2)))
        chain.sell("sold:known", DAY + days(2))
        chain.deliver("pos", "enrolments", DAY, enrolment("returned:T", DAY))
        chain.sell("sold:test", DAY + days(2), member_card_no="returned:T")
    if step == 1:
        chain.sell("sold:late", DAY + days(2), delivered=STEPS[1])
    if step == 2:
        status = {"card_no": "returned:T", "status": "test", "at": at(DAY)}
        chain.deliver("pos", "member_status", STEPS[2], status)


def returned_by_a_test(chain: Chain, step: int) -> None:
    """On days on which nothing else happens, so that nothing else touches them."""
    if step == 0:
        chain.deliver("pos", "enrolments", DAY, enrolment("tester:C", DAY))
        chain.sell("tester:sold", DAY + days(31))
        chain.take_back("tester:back", DAY + days(39), ("tester:sold", DAY + days(31)), member_card_no="tester:C")
    if step == 2:
        status = {"card_no": "tester:C", "status": "test", "at": at(DAY)}
        chain.deliver("pos", "member_status", STEPS[2], status)


STORIES = (
    app_and_card_linked_later,
    merged_after_purchases,
    phone_reassigned,
    claims_on_the_edge,
    enrolled_far_back,
    returned_before_the_sale_is_known,
    returned_by_a_test,
)


# ------------------------------------------------------------------------------------------ at random


def random_family(dice: random.Random, name: str) -> list[tuple[str, str, date, dict[str, Any]]]:
    """Rows (source, feed, business date, row) of a few cards and accounts that may be anybody's."""

    def some_day() -> date:
        return OPENED + days(dice.randrange((AS_OF - OPENED).days + 20))

    def moment(day: date) -> str:
        return at(day, f"{dice.choice((0, 2, 3, 4, 12, 23)):02d}:{dice.randrange(60):02d}:{dice.randrange(60):02d}")

    def maybe(value: Any, share: float = 0.5) -> Any:
        return value if dice.random() < share else None

    cards = [f"{name}C{number}" for number in range(dice.randint(0, 3))]
    accounts = [f"{name}A{number}" for number in range(dice.randint(0, 3))]
    phones, openids = [f"{name}P{n}" for n in range(2)], [f"{name}O{n}" for n in range(2)]
    rows: list[tuple[str, str, date, dict[str, Any]]] = []
    for card in cards:
        for _ in range(dice.choice((0, 1, 1, 1, 2))):
            day = some_day()
            row = enrolment(card, day, phone_token=maybe(dice.choice(phones)), store_id=dice.choice(("S1", "S2")))
            rows.append(
                ("pos", "enrolments", day + days(dice.choice((0, 1, 30, 31, 32))), row | {"enrolled_at": moment(day)})
            )
        for status in dice.sample(
            ["closed", "reopened", "staff", "blocked", "unblocked", "test"], dice.choice((0, 0, 1, 2))
        ):
            day = some_day()
            rows.append(("pos", "member_status", day, {"card_no": card, "status": status, "at": moment(day)}))
    for account_id in accounts:
        created, since = some_day(), maybe(some_day())
        for number in range(dice.randint(1, 3)):
            changed = created + days(40 * number)
            row = {
                "account_id": account_id,
                "created_at": at(created),
                "updated_at": moment(changed),
                "member_since": since and at(since),
                "phone_token": maybe(dice.choice(phones), 0.7),
                "wechat_openid_token": maybe(dice.choice(openids)),
                "phone_verified": dice.choice((None, True, True, False)),
                "status": dice.choice((None, "active", "active", "active", "closed", "blocked", "staff", "test")),
                "status_at": maybe(moment(changed - days(dice.choice((0, 3))))),
            }
            rows.append(("app", "accounts", changed, row))
        for _ in range(dice.choice((0, 1, 1, 2))):
            begin = some_day()
            others = [other for other in accounts if other != account_id]
            survivor = maybe(dice.choice(others)) if others else None
            card = dice.choice(cards) if cards and (survivor is None or dice.random() < 0.2) else None
            if card is None and survivor is None:
                continue
            row = {
                "account_id": account_id,
                "card_no": card,
                "survivor_account_id": survivor,
                "valid_from": moment(begin),
                "valid_to": maybe(at(begin + days(dice.choice((1, 60, 200)))), 0.3),
                "recorded_at": moment(begin + days(1)),
                "method": "merge" if survivor else "scan",
            }
            rows.append(("app", "identity_links", begin, row))
            if dice.random() < 0.3:
                end = dice.choice((row["valid_from"], None, at(begin + days(90), "23:59:59")))
                later = row | {"valid_to": end, "recorded_at": moment(begin + days(100))}
                rows.append(("app", "identity_links", begin + days(100), later))
    for number in range(dice.randint(3, 12)):
        day, no = some_day(), f"{name}{number}"
        receipt = {
            "store_id": "S1",
            "register_id": "1",
            "business_date": day,
            "receipt_no": no,
            "receipt_type": "sale",
            "sold_at": f"{day}T12:00:00",
            "net_amount": 10,
            "member_card_no": maybe(dice.choice([*cards, f"{name}unknown"]), 0.3),
            "account_id": maybe(dice.choice([*accounts, f"{name}unknown"]), 0.3),
            "member_phone_token": maybe(dice.choice(phones), 0.3),
        }
        rows.append(("pos", "receipts", day, receipt))
        line = {column: receipt[column] for column in day_by_day.RECEIPT_KEY}
        rows.append(
            ("pos", "receipt_lines", day, line | {"line_no": 1, "sku": "shirt", "quantity": 1, "net_amount": 10})
        )
        for account_id in accounts:
            if dice.random() < 0.3:
                claimed = day + days(dice.choice((-1, 0, 1, 29, 30, 31)))
                rows.append(("app", "receipt_claims", claimed, claim(account_id, no, day, claimed)))
    return rows


@pytest.fixture(scope="module")
def chain(server_home) -> Iterator[Chain]:
    """The stories and seventy random families, delivered in any order and published in four steps."""
    with new_warehouse(server_home) as settings:
        chain = Chain(settings, OPENED)
        chain.deliver("pos", "enrolments", OPENED, enrolment("from before", date(2024, 11, 1)))
        chain.sell("opening", OPENED)
        dice = random.Random(7)  # noqa: S311  (seeded, no secret)
        families = [row for number in range(70) for row in random_family(dice, f"f{number}:")]
        dice.shuffle(families)
        for step, as_of in enumerate(STEPS):
            for story in STORIES:
                story(chain, step)
            share = families[step :: len(STEPS)]
            for place in sorted({row[:3] for row in share}):
                chain.deliver(*place, *(row[3] for row in share if row[:3] == place))
            chain.releases.append(chain.publish(as_of))
        yield chain


@pytest.fixture(scope="module")
def identity(chain: Chain) -> Identity:
    feeds = {feed: chain.delivered[feed] for feed in ("enrolments", "accounts", "identity_links", "receipt_claims")}
    return Identity(STORES, AS_OF, **feeds)


def test_a_build_that_computes_everything_anew_writes_nothing(chain: Chain) -> None:
    content = chain.content()
    release_id = chain.publish(AS_OF, full_refresh=True)
    assert chain.written_by(release_id) == {}
    assert chain.content() == content


def test_each_identifier_is_on_each_day_whose_the_reference_says(chain: Chain, identity: Identity) -> None:
    rows = chain.read("select identifier_kind, identifier, member_id, valid_from, valid_to from bi.bridge_identity")
    named = {(row[0], row[1]) for row in rows}
    named |= {("card", row["member_card_no"]) for row in chain.delivered["receipts"] if row.get("member_card_no")}
    for kind, identifier in named:
        periods = [row[2:] for row in rows if row[:2] == (kind, identifier)]
        edges = {
            edge + days(step) for _, *both in periods for edge in both for step in (-1, 0) if OPENED < edge <= AS_OF
        }
        for day in edges | {OPENED, AS_OF}:
            published = [member for member, begin, end in periods if begin <= day < end]
            expected = identity.whose(kind, identifier, day)
            assert published == ([expected] if expected else []), (kind, identifier, day)
    assert len(named) > 300


def test_members_are_those_of_the_reference(chain: Chain, identity: Identity) -> None:
    published = chain.read("select member_id, enrolled_on, service_store_id, merged_on from bi.dim_member order by 1")
    expected = [
        (
            member.member_id,
            None if member.enrolled_on == OPEN_END else member.enrolled_on,
            member.service_store_id,
            None if member.merged_on == OPEN_END else member.merged_on,
        )
        for member in identity.members()
    ]
    assert sorted(published) == sorted(expected)
    assert sum(row[3] is not None for row in published) > 10
    assert sum(row[1] is None for row in published) > 10


def test_receipts_and_stages_are_those_of_the_reference(chain: Chain, identity: Identity) -> None:
    statuses = chain.frame("member_status", ("card_no", "status", "at"))
    said_tests = [said for said in identity.said(statuses) if said.flag == "test"]

    def was_test(member: str, day: date) -> bool:
        ids = set()
        for said in said_tests:
            if said.member_id == member and said.day <= day:
                (ids.add if said.is_set else ids.discard)(said.of)
        return bool(ids)

    facts = day_by_day.judge_receipts(identity.named(chain.frame("receipts")), chain.frame("receipt_lines"))
    counted = [
        row.business_date <= AS_OF and not was_test(row.card_no, row.business_date) for row in facts.itertuples()
    ]
    facts = facts[counted].reset_index(drop=True)
    with db.connect(chain.settings) as conn:
        frozen = {
            quarter: None if amount is None else int(amount * 100)
            for quarter, amount in conn.execute(
                "select quarter_start, loyal_threshold_amount from release.frozen_loyal_threshold"
            ).fetchall()
        }
    daily = day_by_day.stages_by_day(
        facts,
        chain.frame("enrolments"),
        statuses,
        pd.DataFrame(STORES),
        AS_OF,
        frozen_thresholds=frozen,
        identity=identity,
    )
    published = dict(chain.read("select receipt_no, member_id from bi.fct_receipt"))
    expected = {row.receipt_no: row.card_no or None for row in facts.itertuples()}
    assert published == expected
    stages = chain.read("select member_id, stage_code, valid_from, valid_to from bi.member_stage_history")
    intervals = [tuple(row) for row in day_by_day.intervals(daily).itertuples(index=False)]
    assert sorted(stages) == sorted(intervals)
    assert {stage for _, stage, _, _ in stages} >= {"X", "S01", "S02", "S03", "S04", "S08"}
    kpi = day_by_day.kpi_weekly(daily, facts, pd.DataFrame(STORES), since=OPENED)
    hq = kpi[kpi["level"] == "hq"][["week_start", "opening_members", "valid_members", "new_members", "purchasers_365"]]
    assert sorted(
        chain.read(
            "select week_start, opening_members, valid_members, new_members, purchasers_365 from bi.kpi_weekly"
            " where level = 'hq'"
        )
    ) == sorted(tuple(row) for row in hq.itertuples(index=False))


# ------------------------------------------------------------------------------------------ the stories' ends


def receipts_of(chain: Chain, story: str, release_id: int | None = None) -> dict[str, str | None]:
    rows = chain.read(f"select receipt_no, member_id from bi.fct_receipt where receipt_no like '{story}:%'", release_id)
    return {number.split(":")[1]: member and member.split(":")[1] for number, member in rows}


def test_a_link_brings_the_accounts_history_to_the_card_in_the_latest_release_only(chain: Chain) -> None:
    assert receipts_of(chain, "linked", 1) == {"1": "C", "2": "A", "3": "A"}
    assert receipts_of(chain, "linked") == {"1": "C", "2": "C", "3": "C"}
    assert chain.read(
        "select member_id, stage_code from bi.member_stage_history"
        " where member_id like 'linked:%' and valid_from <= '2025-06-07' order by valid_from"
    ) == [
        ("linked:C", "S01"),
        ("linked:C", "S03"),
        ("linked:C", "S04"),
    ]


def test_a_merge_brings_history_under_the_survivor_and_excludes_the_other_from_its_day_on(chain: Chain) -> None:
    assert receipts_of(chain, "merged", 1) == {"1": "CM", "2": "CS", "3": "CM"}
    assert receipts_of(chain, "merged") == {"1": "CS", "2": "CS", "3": "CS"}
    rows = chain.read(
        "select member_id, enrolled_on, merged_on, merged_into, purchase_days, stage_code, is_valid from bi.dim_member"
        " where member_id like 'merged:%' order by 1"
    )
    assert rows == [
        ("merged:CM", DAY, STEPS[1], "merged:CS", 0, "X", False),
        # two receipts of one day are one purchase day, and the earlier enrolment is the survivor's
        ("merged:CS", DAY, None, None, 2, "S09", True),
    ]


def test_a_reassigned_phone_names_the_new_holder_from_the_day_it_is_seen_with_it(chain: Chain) -> None:
    before = {"0": None, "1": "old", "2": "old", "3": "old", "4": "old", "5": "old"}
    assert receipts_of(chain, "phone", 1) == before
    assert receipts_of(chain, "phone") == before | {"4": "new", "5": "new"}


def test_a_claim_counts_until_the_30th_day_and_takes_nothing_from_a_card(chain: Chain) -> None:
    assert set(receipts_of(chain, "claim", 3).values()) == {None, "C"}
    assert receipts_of(chain, "claim") == {"29": "A", "30": "A", "31": None, "not anonymous": "C"}


def test_a_return_says_whether_its_sale_is_known(chain: Chain) -> None:
    statement = "select receipt_no from bi.fct_receipt where is_sale_unknown order by receipt_no"
    always = [("back:never",), ("back:nothing",)]
    first, second, third, last = chain.releases
    assert chain.read(statement, first) == [("back:late",), *always]
    assert chain.read(statement, second) == always
    assert chain.read(statement, third) == chain.read(statement, last) == [*always, ("back:test",)]


def test_a_sale_qualifies_again_when_who_returned_it_turns_out_to_be_a_test(chain: Chain) -> None:
    statement = "select is_qualifying, unqualified_on from bi.fct_receipt where receipt_no = 'tester:sold'"
    _, second, third, last = chain.releases
    assert chain.read(statement, second) == [(False, DAY + days(39))]
    assert chain.read(statement, third) == chain.read(statement, last) == [(True, None)]


def test_an_enrolment_entered_after_more_than_30_days_waits_for_approval(chain: Chain) -> None:
    assert receipts_of(chain, "late", 1) == {"1": None, "2": None}
    assert receipts_of(chain, "late") == {"1": "30", "2": None}
    with db.connect(chain.settings) as conn:
        held = conn.execute("select card_no from intermediate.int_audit__held_enrolments where card_no like 'late:%'")
        assert held.fetchall() == [("late:31",)]


# ------------------------------------------------------------------------------------------ merged and unmerged


def test_unmerging_restores_exactly(server_home) -> None:
    """Whether the merge is taken back or ends on a day."""
    with new_warehouse(server_home) as settings:
        chain = Chain(settings, OPENED)
        for pair in ("taken back", "ended"):
            chain.deliver(
                "pos", "enrolments", OPENED, enrolment(f"{pair}:CM", DAY), enrolment(f"{pair}:CS", DAY + days(9))
            )
            chain.deliver("app", "accounts", DAY, account(f"{pair}:M", DAY), account(f"{pair}:S", DAY))
            chain.deliver("app", "identity_links", DAY, link(f"{pair}:M", f"{pair}:CM", DAY))
            for number, day in enumerate((20, 60, 80)):
                chain.sell(f"{pair}:{number}", DAY + days(day), member_card_no=f"{pair}:CM")
                chain.sell(f"{pair}:s{number}", DAY + days(day), account_id=f"{pair}:S")
        chain.publish(AS_OF)
        before = chain.content()

        merges = {
            pair: link(f"{pair}:M", None, DAY + days(50), survivor_account_id=f"{pair}:S")
            for pair in ("taken back", "ended")
        }
        chain.deliver("app", "identity_links", AS_OF, *merges.values())
        chain.publish(AS_OF)
        changed = {view for view, content in chain.content().items() if content != before[view]}
        assert {"bridge_identity", "dim_member", "fct_receipt", "fct_purchase_day", "member_stage_history"} <= changed

        recorded = {"recorded_at": at(AS_OF)}
        chain.deliver(
            "app", "identity_links", AS_OF, merges["taken back"] | {"valid_to": at(DAY + days(50))} | recorded
        )
        chain.deliver("app", "identity_links", AS_OF, merges["ended"] | {"valid_to": at(DAY + days(70))} | recorded)
        chain.publish(AS_OF)
        assert chain.content() == before


# ------------------------------------------------------------------------------------------ as files bring it


def test_a_phone_is_one_token_in_whatever_feed_it_is_written(server_home, tmp_path) -> None:
    with new_warehouse(server_home) as settings:
        till = Till(tmp_path, settings)
        till.drop_stores("S1", day=DAY)
        till.drop(
            f"card_no,store_id,enrolled_at,phone\nC1,S1,{at(DAY)},13800138000\nC2,S1,{at(DAY)},13900139000\n",
            feed="enrolments",
            day=DAY,
        )
        opened = account("A1", DAY + days(3), phone="+86 139 0013 9000", wechat_openid="openid")
        content = json.dumps(opened) + "\n"
        till.drop(content, source="app", feed="accounts", day=DAY + days(3), file="accounts.jsonl.gz", rows=1)
        for number, (sold, phone) in enumerate(
            ((DAY, "13800138000"), (DAY + days(2), "139-0013-9000"), (DAY + days(3), "13900139000"))
        ):
            till.drop(
                "store_id,register_id,business_date,receipt_no,receipt_type,sold_at,member_phone,net_amount\n"
                f"S1,1,{sold},R{number},sale,{at(sold)},{phone},10\n",
                feed="receipts",
                day=sold,
            )
        report = till.load()
        assert report.refused == []
        publish(settings, DAY + days(3))
        assert sorted(till.query("select receipt_no, member_id from bi.fct_receipt")) == [
            ("R0", "C1"),
            ("R1", "C2"),
            ("R2", "A1"),
        ]
        kinds = till.query("select identifier_kind, count(*) from bi.bridge_identity group by 1 order by 1")
        assert kinds == [("account", 1), ("card", 2), ("openid_token", 1), ("phone_token", 3)]
        assert till.query("select * from bi.bridge_identity where identifier ~ '1380013|1390013|openid$'") == []


# ------------------------------------------------------------------------------------------ the guards, seen red


@pytest.mark.parametrize(
    ("guard", "damage"),
    [
        (
            "assert_an_identifier_is_one_members_at_a_time",
            "update history.bridge_identity__open set valid_from = valid_from - 1 where identifier = 'phone:P'"
            " and member_id = 'phone:new'",
        ),
        (
            "assert_an_identifier_is_one_members_at_a_time",
            "update history.bridge_identity__open set valid_to = valid_from where identifier = 'linked:C'",
        ),
        (
            "assert_members_merged_away_have_no_purchases",
            "update history.fct_receipt__open set member_id = 'merged:CM' where receipt_no = 'merged:1'",
        ),
        (
            "assert_members_merged_away_have_no_purchases",
            "update history.bridge_identity__open set member_id = 'merged:CM' where identifier = 'merged:CM'",
        ),
        (
            "assert_survivors_of_merges_go_on",
            "update history.dim_member__open set enrolled_on = enrolled_on + 1 where member_id = 'merged:CS'",
        ),
        (
            "assert_survivors_of_merges_go_on",
            "update history.dim_member__open set merged_on = enrolled_on where member_id = 'merged:CS'",
        ),
        (
            "assert_prospects_are_those_not_enrolled",
            "update history.int_members__members__open set enrolled_on = null where member_id = 'merged:CS'",
        ),
        (
            "assert_prospects_are_those_not_enrolled",
            "update history.int_lifecycle__stages__open set stage_code = 'S01' where member_id = 'merged:CS'",
        ),
        (
            "relationships_fct_receipt_member_id__member_id__ref_dim_member_",
            "delete from history.dim_member__open where member_id = 'merged:CS'",
        ),
        (
            "relationships_bridge_identity_member_id__member_id__ref_dim_member_",
            "delete from history.dim_member__open where member_id = 'merged:CS'",
        ),
    ],
)
def test_each_guard_sees_its_damage(chain: Chain, guard: str, damage: str) -> None:
    def statuses() -> list[str]:
        return [result.status for result in dbt.invoke(chain.settings, "test", "--select", guard)]

    assert statuses() == ["pass"]
    table = damage.split("history.")[1].split(" ")[0]
    with db.connect(chain.settings) as conn:
        conn.execute(f'create table public.sound as select * from history."{table}"'.encode())
        conn.execute(damage.encode())
    try:
        assert statuses() == ["fail"]
    finally:
        with db.connect(chain.settings) as conn:
            conn.execute(f'delete from history."{table}"'.encode())
            conn.execute(f'insert into history."{table}" select * from public.sound'.encode())
            conn.execute("drop table public.sound")
