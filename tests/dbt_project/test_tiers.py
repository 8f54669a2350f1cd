"""Tiers, at random and in stories: against the slow reference, and against a build that computes everything anew.

Three programmes, by the shipped rules, by fed ones, and by fed ones with tiers of other names, are delivered and
published in three steps; a fifth of all rows come late. Spend lies on the thresholds and beside them, orders come back
on the days around the 30th, and what is bought near the end of a tier or of its grace is bought on the days around it.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pandas as pd
import pytest
from tests.chain import STORES, Chain
from tests.conftest import new_warehouse
from tests.reference import day_by_day, tiers
from tests.reference.identity import Identity
from tests.reference.tiers import Rule

from memberhouse import db

pytestmark = pytest.mark.services

OPENED = date(2023, 1, 2)
STEPS = (date(2024, 2, 29), date(2025, 3, 31), date(2025, 6, 11))
AS_OF = STEPS[-1]
LIES_BACK = date(2025, 3, 2)
# some of what happens later is delivered, too
LAST_DAY = AS_OF + timedelta(days=15)
# Monday to Sunday of the first week has no sale but this
FIRST_SALE = OPENED + timedelta(days=4)
Row = tuple[str, str, date, dict[str, Any]]

FED = (
    Rule("silver", date(2023, 6, 1), 0),
    Rule("gold", date(2023, 6, 1), 500_000, purchase_days=2, grace_days=10),
    Rule("diamond", date(2023, 6, 1), 900_000, tenure_days=100, grace_days=0),
    Rule("gold", date(2024, 9, 15), 300_000, engagement=1, grace_days=31),
    Rule("jade", date(2024, 9, 15), 0, tenure_days=365, purchase_days=1),
)
# of the shipped rules only the first two are known to the fed ones; one has a name of its own
RENAMED = (
    Rule("wood", date(2023, 8, 1), 0),
    Rule("gold", date(2023, 8, 1), 500_000),
    Rule("stone", date(2023, 8, 1), 100_000, engagement=2),
)


def at(day: date, clock: str = "12:00:00") -> str:
    return f"{day}T{clock}+08:00"


def days(number: int) -> timedelta:
    return timedelta(days=number)


def money(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d}" if cents >= 0 else f"-{money(-cents)}"


def ring(
    receipt_type: str, receipt_no: str, day: date, cents: int, units: int = 1, clock: str = "12:00:00", **more: Any
) -> list[Row]:
    """The rows of a receipt of one line; ``more`` are other columns of the receipt."""
    key = {
        "store_id": "S1",
        "register_id": "1",
        "business_date": day,
        "receipt_no": receipt_no,
        "receipt_type": receipt_type,
    }
    receipt = key | {"sold_at": f"{day}T{clock}", "net_amount": money(cents)} | more
    line = key | {"line_no": 1, "sku": "coat", "quantity": units, "unit_price": 1, "net_amount": money(cents)}
    return [("pos", "receipts", day, receipt), ("pos", "receipt_lines", day, line)]


def take_back(receipt_no: str, day: date, sold: tuple[str, date], cents: int, units: int = 1, **more: Any) -> list[Row]:
    named = {"original_receipt_no": sold[0], "original_business_date": sold[1]}
    return ring("return", receipt_no, day, -cents, -units, **named, **more)


def enrolment(card: str, day: date) -> Row:
    return ("pos", "enrolments", max(day, OPENED), {"card_no": card, "store_id": "S1", "enrolled_at": at(day)})


def told(card: str, tier: str, day: date, delivered: date | None = None, reason: str = "told") -> Row:
    row = {"card_no": card, "tier": tier, "valid_from": day, "reason": reason}
    return ("pos", "member_tiers", delivered or max(day - days(1), OPENED), row)


def joined(name: str, gone: str, kept: str, day: date) -> list[Row]:
    """A card's account merged into the account of another card."""
    rows: list[Row] = []
    for account, card in ((f"{name}AG", gone), (f"{name}AK", kept)):
        opened = {"account_id": account, "created_at": at(OPENED), "updated_at": at(OPENED)}
        rows.append(("app", "accounts", OPENED, opened))
        rows.append(("app", "identity_links", OPENED, link(account, card, None, OPENED)))
    return [*rows, ("app", "identity_links", day, link(f"{name}AG", None, f"{name}AK", day))]


def link(account: str, card: str | None, survivor: str | None, day: date) -> dict[str, Any]:
    return {
        "account_id": account,
        "card_no": card,
        "survivor_account_id": survivor,
        "valid_from": at(day),
        "recorded_at": at(day),
        "method": "merge" if survivor else "scan",
    }


# ------------------------------------------------------------------------------------------ at random


EDGES = (
    1,
    99_999,
    100_000,
    250_000,
    299_999,
    300_000,
    499_999,
    500_000,
    500_001,
    900_000,
    1_499_999,
    1_500_000,
    2_000_000,
)


def random_member(dice: random.Random, name: str, spread: tuple[str, ...]) -> list[Row]:
    """A member of one card, or of two that are merged some day, with its purchases, returns, statuses and tiers."""

    def some_day(begin: date = OPENED, end: date = LAST_DAY) -> date:
        return begin + days(dice.randrange((end - begin).days))

    cards = [f"{name}C"] if dice.random() < 0.8 else [f"{name}C", f"{name}D"]
    rows = [
        enrolment(card, dice.choice((OPENED - days(500), OPENED, some_day(end=AS_OF - days(400))))) for card in cards
    ]
    if len(cards) > 1:
        rows += joined(name, *dice.sample(cards, 2), some_day())
    else:
        opened = {"account_id": f"{name}AG", "created_at": at(OPENED), "updated_at": at(OPENED)}
        rows.append(("app", "accounts", OPENED, opened))
        rows.append(("app", "identity_links", OPENED, link(f"{name}AG", cards[0], None, OPENED)))
    bought_on = [some_day(FIRST_SALE) for _ in range(dice.randint(0, 5))]
    for anchor in list(bought_on):
        end = tiers.valid_until(anchor)
        near = [anchor, anchor + days(7), end, *(end + days(step) for step in (-1, 1, 9, 10, 11, 29, 30, 31, 32, 62))]
        bought_on += dice.sample(near, dice.randint(0, 3))
    for number, day in enumerate(bought_on):
        no, cents, units = f"{name}{number}", dice.choice(EDGES), dice.choice((1, 1, 1, 2))
        clock = f"{dice.randrange(8, 22):02d}:{dice.randrange(60):02d}:{dice.randrange(60):02d}"
        named = {"member_card_no": dice.choice(cards)} if dice.random() < 0.9 else {"account_id": f"{name}AG"}
        staff = {"is_staff_sale": True} if dice.random() < 0.03 else {}
        rows += ring("sale", no, day, cents, units, clock, **named, **staff)
        if dice.random() < 0.4:
            back = day + days(dice.choice((0, 1, 1, 2, 28, 29, 30, 30, 31, 32, 90)))
            by = named if dice.random() < 0.85 else {}
            if units == 2 and dice.random() < 0.5:
                rows += take_back(f"{no}half", day + days(1), (no, day), cents // 2, **by)
                rows += take_back(f"{no}rest", back + days(1), (no, day), cents - cents // 2, **by)
            else:
                rows += take_back(f"{no}back", back, (no, day), cents, units, **by)
    for _ in range(dice.choice((0, 0, 0, 1, 4))):
        row = {"event_id": f"{name}{dice.random()}", "account_id": f"{name}AG", "at": at(some_day())}
        rows.append(("app", "events", some_day(), row | {"name": dice.choice(("review", "review", "open"))}))
    for card in cards:
        if dice.random() < 0.1:
            closed = some_day()
            rows.append(("pos", "member_status", closed, {"card_no": card, "status": "closed", "at": at(closed)}))
            if dice.random() < 0.5:
                rows.append(
                    (
                        "pos",
                        "member_status",
                        closed,
                        {"card_no": card, "status": "reopened", "at": at(closed + days(40))},
                    )
                )
        for _ in range(dice.choice((0, 1, 1, 2, 3))):
            begin = some_day(OPENED - days(400), AS_OF + days(40))
            rows.append(told(card, dice.choice(spread), begin))
            if dice.random() < 0.2:
                rows.append(told(card, dice.choice(spread), begin, begin + days(400)))
    return rows


class Programme:
    """A chain delivered in steps, and what the reference makes of what was delivered."""

    def __init__(self, chain: Chain, fed: tuple[Rule, ...], dice: random.Random, members: int) -> None:
        self.chain, self.fed = chain, fed
        spread = ("silver", "gold", "diamond", "gold", "platinum", *sorted({rule.tier for rule in fed}))
        rows = [row for number in range(members) for row in random_member(dice, f"m{number}:", spread)]
        steps = range(len(STEPS))
        self.steps: dict[int, list[Row]] = defaultdict(list)
        for row in [*stories(), *rows]:
            on_time = next((step for step in steps if row[2] <= STEPS[step]), steps[-1])
            self.steps[on_time if dice.random() < 0.8 else dice.choice([s for s in steps if s >= on_time])].append(row)
        # rules change in the second step
        self.steps[0] += [self.rule(rule, OPENED) for rule in fed[:3]]
        self.steps[1] += [self.rule(rule, STEPS[0]) for rule in fed[3:]]
        catalogue = [{"name": "review", "is_deliberate": True}, {"name": "open", "is_deliberate": False}]
        self.steps[0] += [("reference", "event_catalogue", OPENED, row) for row in catalogue]

    @staticmethod
    def rule(rule: Rule, delivered: date) -> Row:
        row = {
            "valid_from": rule.valid_from,
            "tier": rule.tier,
            "spend_365": money(rule.spend_cents),
            "purchase_days_365": rule.purchase_days or None,
            "tenure_days": rule.tenure_days or None,
            "engagement_30": rule.engagement or None,
            "grace_days": rule.grace_days,
        }
        return ("reference", "tier_rules", delivered, row)

    def deliver(self, step: int) -> None:
        for place in sorted({row[:3] for row in self.steps[step]}):
            self.chain.deliver(*place, *(row[3] for row in self.steps[step] if row[:3] == place))

    def reference(self) -> tiers.Members:
        """Who the members are and what they did, as known on the last as-of date."""
        delivered = self.chain.delivered
        feeds = {feed: delivered[feed] for feed in ("enrolments", "accounts", "identity_links")}
        identity = Identity(STORES, AS_OF, **feeds)
        receipts, lines = self.chain.frame("receipts"), self.chain.frame("receipt_lines")
        receipts = receipts[receipts["business_date"] <= AS_OF].reset_index(drop=True)
        lines = lines[lines["business_date"] <= AS_OF].reset_index(drop=True)
        deliberate = {row["name"] for row in delivered["event_catalogue"] if row["is_deliberate"]}
        deeds = defaultdict(list)
        for row in delivered["events"]:
            day = pd.Timestamp(row["at"]).date()
            if row["name"] in deliberate and day <= AS_OF:
                deeds[identity.whose("account", row["account_id"], day) or ""].append(day)
        return tiers.Members(
            identity,
            day_by_day.judge_receipts(identity.named(receipts), lines),
            AS_OF,
            tiers.Book(self.fed),
            sold_at={
                tuple(row[column] for column in day_by_day.RECEIPT_KEY): pd.Timestamp(row["sold_at"])
                for row in receipts.to_dict("records")
            },
            told=[
                tiers.Told(row["card_no"], row["tier"], row["valid_from"], row["reason"])
                for row in sorted(delivered["member_tiers"], key=lambda row: row["entered_on"])
            ],
            deeds=deeds,
            said=identity.said(self.chain.frame("member_status", ("card_no", "status", "at"))),
        )


def published(fed: tuple[Rule, ...], seed: int, members: int, home: Any) -> Iterator[Programme]:
    with new_warehouse(home) as settings:
        chain = Chain(settings, OPENED)
        programme = Programme(chain, fed, random.Random(seed), members)  # noqa: S311  (seeded, no secret)
        for step, as_of in enumerate(STEPS):
            programme.deliver(step)
            chain.releases.append(chain.publish(as_of))
        yield programme


@pytest.fixture(scope="module")
def shipped(server_home: Any) -> Iterator[Programme]:
    yield from published((), 11, 90, server_home)


@pytest.fixture(scope="module")
def fed(server_home: Any) -> Iterator[Programme]:
    yield from published(FED, 12, 70, server_home)


@pytest.fixture(scope="module")
def renamed(server_home: Any) -> Iterator[Programme]:
    yield from published(RENAMED, 13, 50, server_home)


@pytest.fixture(params=["shipped", "fed", pytest.param("renamed", marks=pytest.mark.full)])
def programme(request: pytest.FixtureRequest) -> Programme:
    found: Programme = request.getfixturevalue(request.param)
    return found


def test_each_member_has_on_each_day_the_tiers_of_the_reference(programme: Programme) -> None:
    reference = programme.reference()
    rows = programme.chain.read(
        "select history.member_id, valid_from, valid_to, tier, expected_tier, in_grace, expected_reason,"
        " expected_since, next_review_on, receipt.receipt_no"
        " from bi.tier_history as history left join bi.fct_receipt as receipt"
        " on history.promoted_by_receipt_id = receipt.receipt_id order by 1, 2"
    )
    seen: dict[str, dict[date, tuple[Any, ...]]] = defaultdict(dict)
    for member_id, begin, end, *values in rows:
        for day in range((min(end, AS_OF + days(1)) - begin).days):
            assert begin + days(day) not in seen[member_id], (member_id, begin)
            seen[member_id][begin + days(day)] = tuple(values)
    assert set(seen) == set(reference.members)
    reasons = set()
    for member_id, member in reference.members.items():
        stood = {
            day: (
                standing.tier,
                due and due.tier,
                bool(due and due.in_grace),
                due and due.reason,
                due and due.since,
                due and due.next_review_on,
                due and due.receipt_no,
            )
            for day, standing in reference.by_day(member_id)
            for due in (standing.expected,)
        }
        assert seen[member_id] == stood, member_id
        assert max(stood, default=None) in {None, AS_OF, member.merged_on - days(1)}
        reasons |= {values[3] for values in stood.values()}
    assert reasons >= {"enrolled", "upgraded", "kept", "grace", "downgraded", "reversed"}


def test_mismatches_and_monthly_moves_are_those_of_the_reference(programme: Programme) -> None:
    reference = programme.reference()
    history = programme.chain.read("select member_id, valid_from, valid_to, tier, expected_tier from bi.tier_history")
    valid = {member_id for member_id in reference.members if reference.is_valid(member_id, AS_OF)}
    differing = {
        (member_id, tier, expected)
        for member_id, begin, end, tier, expected in history
        if begin <= AS_OF < end and member_id in valid and tier not in {expected, tiers.NOT_FED}
    }
    mismatches = programme.chain.read("select member_id, tier, expected_tier, differs_since from bi.tier_mismatch")
    assert {tuple(row[:3]) for row in mismatches} == differing
    assert len(mismatches) == len(differing) > 5
    since: dict[str, date] = {}
    for member_id, begin, _, *tiers_of_day in sorted(history):
        before = [row for row in history if row[0] == member_id and row[2] == begin]
        if not before or list(before[0][3:]) != tiers_of_day:
            since[member_id] = begin
    assert {row[0]: row[3] for row in mismatches} == {member_id: since[member_id] for member_id, *_ in differing}

    counts = reference.migration_monthly()
    rows = programme.chain.read("select month_start, from_tier, to_tier, members from bi.tier_migration_monthly")
    assert {tuple(row[:3]): row[3] for row in rows} == counts
    assert any(to == "X" for _, _, to in counts)


def test_the_tier_of_a_member_is_that_of_the_source(programme: Programme) -> None:
    rows = programme.chain.read(
        "select count(*) filter (where members.tier = coalesce(history.tier, 'not_fed')), count(*) from bi.dim_member"
        " as members left join bi.tier_history as history"
        " on members.member_id = history.member_id and history.valid_to = '9999-12-31'"
    )
    assert rows[0][0] == rows[0][1] > 30


def assert_anew_is_the_same(chain: Chain, as_of: date, *touched: int) -> None:
    """What builds of what was touched came to is what a build of everything comes to."""
    with db.connect(chain.settings) as conn:
        full = conn.execute(
            "select release_id from release.release where full_because is not null and release_id = any(%s)",
            (list(touched),),
        ).fetchall()
    assert full == []
    content = chain.content()
    release_id = chain.publish(as_of, full_refresh=True)
    assert chain.written_by(release_id) == {}
    assert chain.content() == content


def test_a_build_that_computes_everything_anew_writes_nothing(programme: Programme) -> None:
    assert_anew_is_the_same(programme.chain, AS_OF, *programme.chain.releases[1:])


# ------------------------------------------------------------------------------------------ stories

SPRING, SPRING_END, SPRING_GRACE = date(2023, 3, 15), date(2024, 3, 31), date(2024, 4, 30)


def bought(card: str, number: int, day: date, cents: int) -> list[Row]:
    return ring("sale", f"{card}:{number}", day, cents, member_card_no=card)


def returned(card: str, number: int, sold: date, day: date, cents: int) -> list[Row]:
    return take_back(f"{card}:{number}:back", day, (f"{card}:{number}", sold), cents, member_card_no=card)


def stories() -> list[Row]:
    """Every row of the stories; the first word of a card is the story's name."""
    rows = ring("sale", "first sale of all", FIRST_SALE, 100)
    for cents in (499_999, 500_000, 500_001):
        rows += [enrolment(f"threshold {cents}", SPRING), *bought(f"threshold {cents}", 1, SPRING, cents)]
    for after in (29, 30, 31):
        card = f"returned {after}"
        rows += [enrolment(card, SPRING), *bought(card, 1, SPRING, 600_000)]
        rows += returned(card, 1, SPRING, SPRING + days(after), 600_000)
        card = f"grace {after}"
        rows += [enrolment(card, SPRING), *bought(card, 1, SPRING, 500_000)]
        rows += bought(card, 2, SPRING_END + days(after), 500_000)
    for day in (date(2023, 2, 10), date(2024, 2, 29)):
        rows += [enrolment(f"leap {day}", day), *bought(f"leap {day}", 1, day, 500_000)]
    rows += [enrolment("step", SPRING), *bought("step", 1, SPRING, 2_000_000)]
    rows += [enrolment("both", SPRING), *bought("both", 1, SPRING, 600_000)]
    rows += bought("both", 2, SPRING + days(10), 1_500_000)
    rows += returned("both", 1, SPRING, SPRING + days(15), 600_000)
    rows += returned("both", 2, SPRING + days(10), SPRING + days(20), 1_500_000)
    # a third order keeps the spend where it was
    rows += [enrolment("still", SPRING), *bought("still", 1, SPRING, 600_000)]
    rows += [*bought("still", 2, SPRING + days(5), 500_000), *returned("still", 1, SPRING, SPRING + days(9), 600_000)]
    # only one of two pieces
    rows += [enrolment("half", SPRING), *ring("sale", "half:1", SPRING, 600_000, 2, member_card_no="half")]
    rows += take_back("half:1:back", SPRING + days(9), ("half:1", SPRING), 300_000, member_card_no="half")
    # gold from before the first sales, earned on 2022-05-20
    rows += [enrolment("opening", date(2020, 1, 1)), told("opening", "gold", date(2022, 5, 21))]
    # gold with the card that goes, silver with the one that stays; reviewed later
    merged = SPRING + days(60)
    rows += [enrolment("merged kept", SPRING), enrolment("merged gone", SPRING + days(1))]
    rows += [told("merged kept", "silver", SPRING), told("merged gone", "gold", SPRING + days(1))]
    rows += [told("merged kept", "silver", SPRING + days(30)), told("merged kept", "diamond", merged + days(90))]
    rows += [
        *joined("merged ", "merged gone", "merged kept", merged),
        told("merged kept", "silver", merged + days(200)),
    ]
    return rows


def tale(programme: Programme, card: str, since: date = FIRST_SALE) -> list[tuple[Any, ...]]:
    """(from, expected tier, in grace, why) of each interval of the expected tier."""
    return programme.chain.read(
        "select distinct expected_since, expected_tier, in_grace, expected_reason from bi.tier_history"
        f" where member_id = '{card}' and expected_since >= '{since}' order by 1"
    )


NEXT_DAY = SPRING + days(1)


@pytest.mark.parametrize(("cents", "is_gold"), [(499_999, False), (500_000, True), (500_001, True)])
def test_gold_begins_the_day_after_the_spend_reaches_5000(shipped: Programme, cents: int, is_gold: bool) -> None:
    expected = [(SPRING, "silver", False, "enrolled")]
    if is_gold:
        expected += [
            (NEXT_DAY, "gold", False, "upgraded"),
            (date(2024, 4, 1), "gold", True, "grace"),
            (date(2024, 5, 1), "silver", False, "downgraded"),
        ]
    assert tale(shipped, f"threshold {cents}") == expected


@pytest.mark.parametrize("after", [29, 30, 31])
def test_returning_the_promoting_order_within_30_days_reverses_the_upgrade_from_that_day(
    shipped: Programme, after: int
) -> None:
    end = [(SPRING + days(after), "silver", False, "reversed")]
    if after == 31:
        end = [(date(2024, 4, 1), "gold", True, "grace"), (date(2024, 5, 1), "silver", False, "downgraded")]
    begin = [(SPRING, "silver", False, "enrolled"), (NEXT_DAY, "gold", False, "upgraded")]
    assert tale(shipped, f"returned {after}") == begin + end


@pytest.mark.parametrize("day_of_grace", [29, 30, 31])
def test_a_tier_is_kept_until_the_30th_day_of_grace(shipped: Programme, day_of_grace: int) -> None:
    day = SPRING_END + days(day_of_grace)
    assert (day_of_grace <= 30) == (day <= SPRING_GRACE)
    expected = [
        (day + days(1), "gold", False, "kept"),
        (date(2025, 5, 1), "gold", True, "grace"),
        (date(2025, 5, 31), "silver", False, "downgraded"),
    ]
    if day_of_grace == 31:
        # for a day it is lost, and then earned anew
        expected = [
            (date(2024, 5, 1), "silver", False, "downgraded"),
            (date(2024, 5, 2), "gold", False, "upgraded"),
            (date(2025, 6, 1), "gold", True, "grace"),
        ]
    assert tale(shipped, f"grace {day_of_grace}", date(2024, 4, 1)) == [
        (date(2024, 4, 1), "gold", True, "grace"),
        *expected,
    ]


@pytest.mark.parametrize(
    ("day", "grace_from"), [(date(2023, 2, 10), date(2024, 3, 1)), (date(2024, 2, 29), date(2025, 3, 1))]
)
def test_a_tier_ends_with_february_however_long_it_is(shipped: Programme, day: date, grace_from: date) -> None:
    assert tale(shipped, f"leap {day}", day + days(1)) == [
        (day + days(1), "gold", False, "upgraded"),
        (grace_from, "gold", True, "grace"),
        (grace_from + days(30), "silver", False, "downgraded"),
    ]


def test_a_tier_is_lost_one_step_at_a_time(shipped: Programme) -> None:
    assert tale(shipped, "step", NEXT_DAY) == [
        (NEXT_DAY, "diamond", False, "upgraded"),
        (date(2024, 4, 1), "diamond", True, "grace"),
        (date(2024, 5, 1), "gold", False, "downgraded"),
        (date(2025, 5, 1), "gold", True, "grace"),
        (date(2025, 5, 31), "silver", False, "downgraded"),
    ]


def test_when_both_promoting_orders_come_back_both_upgrades_are_reversed(shipped: Programme) -> None:
    assert tale(shipped, "both", NEXT_DAY) == [
        (NEXT_DAY, "gold", False, "upgraded"),
        (SPRING + days(11), "diamond", False, "upgraded"),
        (SPRING + days(20), "silver", False, "reversed"),
    ]


@pytest.mark.parametrize("card", ["still", "half"])
def test_an_upgrade_stays_when_the_spend_still_reaches_it_or_some_of_the_order_is_kept(
    shipped: Programme, card: str
) -> None:
    assert tale(shipped, card, NEXT_DAY)[:2] == [
        (NEXT_DAY, "gold", False, "upgraded"),
        (date(2024, 4, 1), "gold", True, "grace"),
    ]


def test_a_tier_from_before_the_first_sales_is_taken_as_given_until_its_review(shipped: Programme) -> None:
    assert tale(shipped, "opening") == [
        (FIRST_SALE, "gold", False, "opening"),
        (date(2023, 6, 1), "gold", True, "grace"),
        (date(2023, 7, 1), "silver", False, "downgraded"),
    ]
    assert shipped.chain.read("select tier, expected_tier from bi.tier_mismatch where member_id = 'opening'") == [
        ("gold", "silver")
    ]


def test_after_a_merge_the_higher_tier_counts_until_the_source_reviews_the_member(shipped: Programme) -> None:
    merged = SPRING + days(60)
    rows = shipped.chain.read(
        "select min(valid_from), tier from bi.tier_history where member_id = 'merged kept' group by tier order by 1"
    )
    assert rows == [(SPRING, "silver"), (NEXT_DAY, "gold"), (merged + days(90), "diamond")]
    assert shipped.chain.read(
        "select tier from bi.tier_history where member_id = 'merged kept' and valid_to = '9999-12-31'"
    ) == [("silver",)]
    # the one that went is a member until the merge
    assert shipped.chain.read("select max(valid_to) from bi.tier_history where member_id = 'merged gone'") == [
        (merged,)
    ]


def test_a_build_of_a_date_that_lies_back_is_the_same_as_anew(shipped: Programme) -> None:
    """Among the last tests: what follows reads no story."""
    assert_anew_is_the_same(shipped.chain, LIES_BACK, shipped.chain.publish(LIES_BACK))


def test_a_day_on_which_nothing_falls_due_writes_no_tier(shipped: Programme) -> None:
    due = {
        row[0]
        for row in shipped.chain.read(f"select next_change_on from bi.tier_history where next_change_on > '{AS_OF}'")
    }
    told_on = {row["valid_from"] for row in shipped.chain.delivered["member_tiers"]}
    sold_on = {row["business_date"] for row in shipped.chain.delivered["receipts"]}
    quiet = next(day for step in range(1, 200) if (day := AS_OF + days(step)) not in due | told_on | sold_on)
    shipped.chain.publish(quiet - days(1))
    release_id = shipped.chain.publish(quiet)
    written = shipped.chain.written_by(release_id)
    assert not {"tier_history", "int_tiers__periods"} & set(written)
