"""The facts beside receipts, in stories and at random, delivered out of order in four steps.

After every other step everything is computed anew, which must change nothing; what readers see then is compared with
what the stories say, and the points of random ledgers with a slow reading of them.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from tests.chain import Chain
from tests.conftest import new_warehouse
from tests.reference.points import OVERDRAWN, open_points

from memberhouse import db
from memberhouse.settings import Settings

pytestmark = pytest.mark.services

OPENED = date(2026, 1, 5)
STEPS = (date(2026, 2, 1), date(2026, 3, 1), date(2026, 4, 12), date(2026, 5, 10))
AS_OF = STEPS[-1]
DAY = date(2026, 1, 12)

Row = dict[str, Any]


class FactsChain(Chain):
    """rewritten: the rows that each build of everything wrote after a step's own. gone: a batch to be taken back."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, OPENED)
        self.rewritten: list[dict[str, int]] = []
        self.gone: int | None = None


def at(day: date, clock: str = "12:00:00") -> str:
    return f"{day}T{clock}+08:00"


def days(number: int) -> timedelta:
    return timedelta(days=number)


def enrolment(card: str, day: date, **more: Any) -> Row:
    return {"card_no": card, "store_id": "S1", "enrolled_at": at(day)} | more


def account(account_id: str, created: date, **more: Any) -> Row:
    return {"account_id": account_id, "created_at": at(created), "updated_at": at(created)} | more


def link(account_id: str, card: str | None, begin: date, **more: Any) -> Row:
    row = {"account_id": account_id, "card_no": card, "valid_from": at(begin), "recorded_at": at(begin)}
    return row | {"method": "merge" if "survivor_account_id" in more else "scan"} | more


def receipt_key(receipt_no: str, day: date, receipt_type: str = "sale", store: str = "S1") -> Row:
    place = {"store_id": store, "register_id": "1", "business_date": day}
    return place | {"receipt_no": receipt_no, "receipt_type": receipt_type}


def tender(
    receipt_no: str,
    day: date,
    number: int,
    kind: str,
    amount: int,
    receipt_type: str = "sale",
    store: str = "S1",
) -> Row:
    paid = {"tender_no": number, "tender_type": kind, "amount": amount, "is_settled": True}
    return receipt_key(receipt_no, day, receipt_type, store) | paid


def entry(entry_id: str, kind: str, points: int, day: date, **more: Any) -> Row:
    """An entry of the points ledger; ``more`` says whose it is, and its lot, receipt or what it reverses."""
    return {"entry_id": entry_id, "type": kind, "points": points, "at": at(day)} | more


def contact(contact_id: str, member: str | None, day: date, **more: Any) -> Row:
    row = {"contact_id": contact_id, "member": member, "created_at": at(day), "store_id": "S1"}
    return row | {"channel": "wechat", "intent": "care"} | more


def state(contact_id: str, name: str, day: date, clock: str = "12:00:00", **more: Any) -> Row:
    return {"contact_id": contact_id, "state": name, "at": at(day, clock)} | more


def event(event_id: str, account_id: str | None, name: str, day: date, clock: str = "12:00:00") -> Row:
    return {"event_id": event_id, "account_id": account_id, "name": name, "at": at(day, clock)}


# ------------------------------------------------------------------------------------------ stories: receipts


def split_tender(chain: FactsChain, step: int) -> None:
    if step == 0:
        chain.deliver("pos", "enrolments", DAY, enrolment("split:C", DAY))
        chain.sell("split:1", DAY, amount=100, member_card_no="split:C")
        chain.deliver(
            "pos",
            "tenders",
            DAY,
            tender("split:1", DAY, 1, "cash", 40),
            tender("split:1", DAY, 2, "points", 25),
            tender("split:1", DAY, 3, "stored_value", 35),
        )
        # a training receipt and what nobody rang up have no tender
        chain.sell("split:training", DAY, is_training=True)
        chain.deliver(
            "pos", "tenders", DAY, tender("split:training", DAY, 1, "cash", 10), tender("split:no", DAY, 1, "cash", 10)
        )


def tenders_before_their_receipt_and_of_a_void(chain: FactsChain, step: int) -> None:
    day = DAY + days(2)
    if step == 0:
        chain.deliver("pos", "tenders", day, tender("late:1", day, 1, "wechat", 10))
        chain.sell("void:1", day)
        chain.deliver("pos", "tenders", day, tender("void:1", day, 1, "wechat", 10))
    if step == 1:
        chain.sell("late:1", day, delivered=STEPS[1])
        void = receipt_key("void:1", day, "void") | {"sold_at": f"{day}T12:30:00", "net_amount": -10}
        chain.deliver("pos", "receipts", STEPS[1], void)


def tenders_resent(chain: FactsChain, step: int) -> None:
    """The same tender by another means: the later delivery counts."""
    day = DAY + days(3)
    if step == 0:
        chain.sell("resent:1", day, amount=30)
        chain.deliver("pos", "tenders", day, tender("resent:1", day, 1, "cash", 30))
    if step == 2:
        chain.deliver("pos", "tenders", STEPS[2], tender("resent:1", day, 1, "alipay", 30))


def returned_and_exchanged(chain: FactsChain, step: int) -> None:
    sold, back = DAY + days(4), DAY + days(9)
    if step == 0:
        chain.deliver("pos", "enrolments", DAY, enrolment("back:C", DAY))
        for number in ("1", "2"):
            chain.sell(f"back:{number}", sold, amount=50, member_card_no="back:C")
            chain.deliver("pos", "tenders", sold, tender(f"back:{number}", sold, 1, "card", 50))
        earned = [
            entry(f"back:e{number}", "earn", 50, sold, card_no="back:C", **receipt_key(f"back:{number}", sold))
            for number in ("1", "2")
        ]
        chain.deliver("app", "points_entries", sold, *earned)
    if step == 1:
        chain.take_back("back:r", back, ("back:1", sold), amount=50, member_card_no="back:C")
        undone = receipt_key("back:r", back, "return") | {"reversed_entry_id": "back:e1"}
        chain.deliver("app", "points_entries", back, entry("back:e3", "reverse", -50, back, card_no="back:C", **undone))
        swap = receipt_key("back:x", back, "exchange") | {"sold_at": f"{back}T13:00:00", "net_amount": 20}
        named = {"member_card_no": "back:C", "original_receipt_no": "back:2", "original_business_date": sold}
        chain.deliver("pos", "receipts", back, swap | named)
        chain.deliver(
            "pos",
            "tenders",
            back,
            tender("back:r", back, 1, "card", -50, "return"),
            tender("back:x", back, 1, "cash", 20, "exchange"),
        )


# ------------------------------------------------------------------------------------------ stories: who


def unknown_then_linked(chain: FactsChain, step: int) -> None:
    """What an account did before anybody knew whose it is joins the card when the two are linked."""
    if step == 0:
        named = {"account_id": "linked:A"}
        chain.sell("linked:1", DAY, **named)
        chain.deliver("pos", "tenders", DAY, tender("linked:1", DAY, 1, "cash", 10))
        chain.deliver("app", "points_entries", DAY, entry("linked:e1", "earn", 10, DAY, **named))
        chain.deliver("app", "coupons", DAY, {"coupon_id": "linked:k", "issued_at": at(DAY)} | named)
        chain.deliver("app", "contacts", DAY, contact("linked:n", "linked:A", DAY))
        chain.deliver("app", "events", DAY, event("linked:v1", "linked:A", "open", DAY))
        chain.deliver(
            "app", "feedback", DAY, {"ticket_id": "linked:f", "member": "linked:A", "kind": "nps", "opened_at": at(DAY)}
        )
        referral = {"referral_id": "linked:r", "referrer": "linked:A", "referee": "linked:C2", "at": at(DAY)}
        chain.deliver("app", "referrals", DAY, referral)
    if step == 1:
        chain.deliver("pos", "enrolments", STEPS[1], enrolment("linked:C", STEPS[1] - days(3)))
        chain.deliver("app", "accounts", STEPS[1], account("linked:A", STEPS[1] - days(2)))
        chain.deliver("app", "identity_links", STEPS[1], link("linked:A", "linked:C", STEPS[1] - days(1)))
    if step == 2:
        chain.deliver("pos", "enrolments", STEPS[2], enrolment("linked:C2", STEPS[2]))


def merged_and_unmerged(chain: FactsChain, step: int) -> None:
    """Lots of both ids stand in one row, the oldest first; when the merge is taken back everything is as before."""
    merge = link("merged:M", None, STEPS[1] - days(5), survivor_account_id="merged:S")
    if step == 0:
        chain.deliver("app", "accounts", DAY, account("merged:M", DAY), account("merged:S", DAY))
        chain.deliver(
            "app",
            "points_entries",
            DAY,
            entry("merged:e1", "earn", 100, DAY, account_id="merged:M"),
            entry("merged:e2", "earn", 100, DAY + days(1), account_id="merged:S"),
            entry("merged:e3", "earn", 100, DAY + days(2), account_id="merged:M"),
            entry("merged:e4", "redeem", -150, DAY + days(3), account_id="merged:S"),
        )
    if step == 1:
        chain.deliver("app", "identity_links", STEPS[1], merge)
    if step == 2:
        undone = {"valid_to": merge["valid_from"], "recorded_at": at(STEPS[2])}
        chain.deliver("app", "identity_links", STEPS[2], merge | undone)


def enrolled_again_backdated_and_held(chain: FactsChain, step: int) -> None:
    if step == 0:
        chain.deliver("pos", "enrolments", OPENED, enrolment("from before", date(2024, 11, 1)))
        chain.deliver("app", "accounts", DAY, account("enrol:A", DAY, member_since=at(DAY)), account("enrol:P", DAY))
    if step == 1:
        late = STEPS[1]
        joined = {"staff_id": "E7", "channel": "store", "method": "paper"}
        chain.deliver(
            "pos",
            "enrolments",
            late,
            enrolment("enrol:C", late - days(10), **joined),
            enrolment("enrol:held", late - days(31)),
        )
        chain.deliver("app", "identity_links", late, link("enrol:A", "enrol:C", late))
        prospect = {"updated_at": at(late), "member_since": at(late - days(3))}
        chain.deliver("app", "accounts", late, account("enrol:P", DAY) | prospect)


# ------------------------------------------------------------------------------------------ stories: programme


def points_of_every_kind(chain: FactsChain, step: int) -> None:
    who = {"card_no": "points:C"}
    if step == 0:
        chain.deliver("pos", "enrolments", DAY, enrolment("points:C", DAY))
        chain.deliver(
            "app",
            "points_entries",
            DAY,
            entry("points:1", "earn", 100, DAY, lot_id="points:jan", **who),
            entry("points:2", "earn", 20, DAY + days(3), lot_id="points:jan", **who),
            entry("points:3", "adjust", 50, DAY + days(5), **who),
            # named, so the younger lot gives it
            entry("points:4", "redeem", -30, DAY + days(6), lot_id="points:3", **who),
        )
    if step == 1:
        day = date(2026, 2, 10)
        chain.deliver(
            "app",
            "points_entries",
            day,
            entry("points:5", "earn", 40, day, **who),
            entry("points:6", "redeem", -130, day + days(1), **who),
            entry("points:7", "redeem", -15, day + days(2), **who),
        )
        # dated before all others: the oldest lot from now on
        chain.deliver("app", "points_entries", STEPS[1], entry("points:0", "earn", 5, DAY - days(1), **who))
    if step == 2:
        # what a reversed entry took is there again, and of what it gave only a part is taken back
        chain.deliver(
            "app",
            "points_entries",
            STEPS[2],
            entry("points:8", "reverse", 130, STEPS[2], reversed_entry_id="points:6", **who),
            entry("points:9", "reverse", -15, STEPS[2], reversed_entry_id="points:5", **who),
        )
    if step == 3:
        expired = entry("points:x", "expire", -105, STEPS[3], lot_id="points:jan", **who)
        chain.deliver("app", "points_entries", STEPS[3], expired)
        chain.deliver("app", "points_entries", STEPS[3], entry("over:1", "redeem", -7, STEPS[3], card_no="nobody's"))


def rules_of_points(chain: FactsChain, step: int) -> None:
    """Head office's first rule comes late, and is in force from an earlier date."""
    if step == 2:
        rule = {"valid_from": date(2026, 2, 1), "earn_per_amount": 1, "unit_cost": "0.02", "breakage_rate": "0.1"}
        chain.deliver("reference", "points_rules", STEPS[2], rule | {"expiry_months": 2})


def points_taken_back_with_their_batch(chain: FactsChain, step: int) -> None:
    if step == 0:
        chain.deliver("app", "points_entries", DAY, entry("gone:1", "earn", 5, DAY, card_no="gone:C"))
        chain.gone = chain.deliver("app", "points_entries", DAY, entry("gone:2", "earn", 7, DAY, card_no="gone:C"))
    if step == 1:
        assert chain.gone
        chain.supersede(chain.gone)


def coupon_issued_and_redeemed(chain: FactsChain, step: int) -> None:
    issued = {"coupon_id": "coupon:1", "account_id": "merged:S", "campaign_id": "K1", "face_value": "20"}
    issued |= {"funding": "brand", "issued_at": at(DAY), "valid_to": DAY + days(30)}
    used = DAY + days(25)
    if step == 0:
        starts = {"campaign_id": "K1", "name": "spring", "starts_on": DAY, "intent": "sell"}
        chain.deliver("app", "campaigns", DAY, starts)
        chain.deliver("app", "coupons", DAY, issued | {"updated_at": at(DAY)})
        chain.deliver("app", "coupons", DAY, {"coupon_id": "coupon:2", "redeemed_at": at(DAY), "card_no": "split:C"})
        # told early: the redemption is of a day that this release does not know
        redeemed = {"redeemed_at": at(used), "updated_at": at(used)} | receipt_key("coupon:r", used)
        chain.deliver("app", "coupons", used, issued | redeemed)
    if step == 1:
        chain.sell("coupon:r", used, account_id="merged:S")
        ends = {"campaign_id": "K1", "name": "spring", "starts_on": DAY, "ends_on": AS_OF, "updated_at": at(STEPS[1])}
        chain.deliver("app", "campaigns", STEPS[1], ends | {"intent": "sell"})
        # an older version comes later, and changes nothing
        chain.deliver("app", "coupons", STEPS[1], issued | {"updated_at": at(DAY + days(1)), "face_value": "25"})


def shared_card(chain: FactsChain, step: int) -> None:
    if step == 0:
        for card in ("nine", "eight", "dense", "loose"):
            chain.deliver("pos", "enrolments", DAY, enrolment(f"shared:{card}", DAY))
        for number in range(8):
            chain.sell(f"eight:{number}", DAY, member_card_no="shared:eight")
            chain.sell(f"nine:{number}", DAY, member_card_no="shared:nine")
    if step == 1:
        chain.sell("nine:8", DAY, member_card_no="shared:nine", delivered=STEPS[1])
        # 26 purchase days: in 30 days, and in 31
        for number in range(26):
            for card, stretched in (("dense", 4), ("loose", 5)):
                day = STEPS[0] - days(10) + days(number + (stretched if number else 0))
                chain.sell(f"{card}:{number}", day, member_card_no=f"shared:{card}")
    if step == 3:
        chain.take_back("nine:r", STEPS[3], ("nine:0", DAY), member_card_no="shared:nine")


# ------------------------------------------------------------------------------------------ stories: the app


def contacted_in_steps(chain: FactsChain, step: int) -> None:
    if step == 0:
        chain.deliver("app", "contacts", DAY, contact("contact:1", "split:C", DAY, rung=2, staff_id="E1"))
        # by the store's clock, which begins its day at 04:00
        night = {"created_at": at(DAY, "01:00:00"), "store_id": "S2", "member": None, "channel": "moments"}
        chain.deliver("app", "contacts", DAY, contact("contact:2", None, DAY) | night)
        chain.deliver("app", "contact_states", DAY, state("contact:1", "read", DAY, "15:00:00"))
    if step == 1:
        chain.deliver(
            "app",
            "contact_states",
            DAY,
            state("contact:1", "selected", DAY),
            state("contact:1", "sent", DAY, "12:10:00"),
            # two states of one moment: the one further along counts
            state("contact:1", "replied", DAY, "16:00:00"),
            state("contact:1", "objection", DAY, "16:00:00", objection_code="price"),
            state("contact:1", "read", DAY, "18:00:00"),
            state("contact:3", "sent", DAY),
        )
    if step == 2:
        chain.deliver("app", "contact_states", STEPS[2], state("contact:1", "purchased", STEPS[2]))
        chain.deliver("app", "contacts", STEPS[2], contact("contact:3", "split:C", DAY))


def events_that_overlap(chain: FactsChain, step: int) -> None:
    if step == 0:
        catalogue = ({"name": "open", "is_deliberate": True}, {"name": "push", "is_deliberate": False})
        chain.deliver("reference", "event_catalogue", DAY, *catalogue)
        chain.deliver(
            "app",
            "events",
            DAY,
            event("event:1", "merged:S", "open", DAY),
            event("event:2", "merged:S", "push", DAY),
            event("event:3", "merged:S", "new", DAY),
            event("event:4", None, "open", DAY),
            event("event:5", "merged:S", "open", DAY + days(1), "00:10:00"),
        )
    if step == 1:
        chain.deliver("app", "events", STEPS[1], event("event:6", "merged:S", "open", DAY, "23:59:00"))
    if step == 2:
        now = ({"name": "push", "is_deliberate": True}, {"name": "new", "is_deliberate": True})
        chain.deliver("reference", "event_catalogue", STEPS[2], *now)


def feedback_answered(chain: FactsChain, step: int) -> None:
    opened = {"ticket_id": "ticket:1", "member": "split:C", "kind": "complaint", "reason_code": "size"}
    opened |= {"opened_at": at(DAY)}
    if step == 0:
        chain.deliver("app", "feedback", DAY, opened | {"updated_at": at(DAY)})
    if step == 1:
        answered = {"first_response_at": at(DAY + days(1)), "updated_at": at(DAY + days(1))}
        # closed on a day that only the next release knows
        closed = {"closed_at": at(STEPS[1] + days(1)), "updated_at": at(STEPS[1] + days(1))}
        chain.deliver("app", "feedback", STEPS[1], opened | answered, opened | answered | closed)


def told_by_head_office(chain: FactsChain, step: int) -> None:
    if step == 0:
        adviser = {"staff_id": "E1", "name_token": "token", "store_id": "S1", "role": "adviser", "joined_on": OPENED}
        chain.deliver("reference", "staff", DAY, adviser)
        chain.deliver("app", "templates", DAY, {"template_id": "T1", "version": 1, "scene": "care", "text": "hello"})
    if step == 1:
        chain.deliver("reference", "staff", STEPS[1], {"staff_id": "E1", "store_id": "S2", "left_on": STEPS[1]})
        chain.deliver("app", "templates", STEPS[1], {"template_id": "T1", "version": 2, "text": "good day"})


STORIES = (
    split_tender,
    tenders_before_their_receipt_and_of_a_void,
    tenders_resent,
    returned_and_exchanged,
    unknown_then_linked,
    merged_and_unmerged,
    enrolled_again_backdated_and_held,
    points_of_every_kind,
    rules_of_points,
    points_taken_back_with_their_batch,
    coupon_issued_and_redeemed,
    shared_card,
    contacted_in_steps,
    events_that_overlap,
    feedback_answered,
    told_by_head_office,
)


# ------------------------------------------------------------------------------------------ at random


def random_family(dice: random.Random, name: str) -> list[tuple[str, str, date, Row]]:
    """Rows (source, feed, business date, row) of some cards and accounts, what they bought and what the app has."""

    def some_day() -> date:
        return OPENED + days(dice.randrange((AS_OF - OPENED).days + 8))

    def moment(day: date) -> str:
        return at(day, f"{dice.choice((0, 3, 12, 23)):02d}:{dice.randrange(60):02d}:{dice.randrange(60):02d}")

    def maybe(value: Any, share: float = 0.5) -> Any:
        return value if dice.random() < share else None

    cards = [f"{name}c{number}" for number in range(dice.randint(1, 3))]
    accounts = [f"{name}a{number}" for number in range(dice.randint(1, 3))]
    rows: list[tuple[str, str, date, Row]] = []

    def add(source: str, feed: str, day: date, row: Row) -> None:
        rows.append((source, feed, day, row))

    def who() -> Row:
        return {"card_no": maybe(dice.choice([*cards, f"{name}x"])), "account_id": maybe(dice.choice(accounts), 0.7)}

    for card in cards:
        if dice.random() < 0.7:
            day = some_day()
            add("pos", "enrolments", day + days(dice.choice((0, 1, 20, 40))), enrolment(card, day))
    for account_id in accounts:
        if dice.random() < 0.8:
            created = some_day()
            opened = account(account_id, created, updated_at=at(created + days(3)))
            add("app", "accounts", created + days(3), opened | {"member_since": maybe(at(created + days(3)))})
        if dice.random() < 0.6:
            begin = some_day()
            others = [other for other in accounts if other != account_id]
            if others and dice.random() < 0.5:
                row = link(account_id, None, begin, survivor_account_id=dice.choice(others))
            else:
                row = link(account_id, dice.choice(cards), begin)
            add("app", "identity_links", begin, row)
            if dice.random() < 0.4:
                end = {
                    "valid_to": dice.choice((row["valid_from"], at(begin + days(9)))),
                    "recorded_at": at(begin + days(9)),
                }
                add("app", "identity_links", begin + days(9), row | end)
    for number in range(dice.randint(0, 4)):
        day, no, amount = some_day(), f"{name}{number}", dice.randint(2, 9) * 10
        named = {"member_card_no": maybe(dice.choice(cards)), "account_id": maybe(dice.choice(accounts))}
        receipt = receipt_key(no, day) | {"sold_at": f"{day}T12:00:00", "net_amount": amount} | named
        line = receipt_key(no, day) | {"line_no": 1, "sku": "shirt", "quantity": 1, "net_amount": amount}
        add("pos", "receipts", day, receipt)
        add("pos", "receipt_lines", day, line)
        for tender_no, share in enumerate((10, amount - 10), 1):
            kind = dice.choice(("cash", "points"))
            add("pos", "tenders", day + days(dice.choice((0, 0, 5))), tender(no, day, tender_no, kind, share))
        coupon = {"coupon_id": no, "issued_at": maybe(moment(day)), "redeemed_at": maybe(moment(day + days(9)))}
        coupon |= {"updated_at": maybe(moment(day + days(9)))} | receipt_key(no, day) | who()
        add("app", "coupons", day + days(9), coupon)
        member = dice.choice([*cards, *accounts, None])
        add("app", "contacts", day, contact(no, member, day, store_id=dice.choice(("S1", "S2", None))))
        for name_of_state in dice.sample(["selected", "sent", "read", "replied", "silent"], 3):
            later = day + days(dice.choice((0, 1, 30)))
            add("app", "contact_states", later, {"contact_id": no, "state": name_of_state, "at": moment(later)})
        for event_no in range(4):
            when = day + days(dice.choice((0, 0, 1)))
            happened = event(f"{no}-{event_no}", dice.choice([*accounts, None]), dice.choice(("open", "push")), when)
            add("app", "events", when, happened | {"at": moment(when)})
        ticket = {"ticket_id": no, "member": member, "kind": "nps", "opened_at": moment(day)}
        for version in range(2):
            answered = {"closed_at": maybe(moment(day + days(version))), "updated_at": moment(day + days(version))}
            add("app", "feedback", day + days(version), ticket | answered)
        referral = {"referral_id": no, "referrer": dice.choice(accounts), "referee": dice.choice([*cards, *accounts])}
        add("app", "referrals", day, referral | {"at": moment(day)})
    return rows + random_ledger(dice, name, who)


def random_ledger(dice: random.Random, name: str, who: Any) -> list[tuple[str, str, date, Row]]:
    """A ledger that does what ledgers should not, too: reversals of reversals, of nothing, of another's entry, of more
    than was entered, in a circle; lots that nobody opened; more taken than given."""
    rows = []
    ids: list[str] = []
    lots = [f"{name}lot{number}" for number in range(3)]
    for number in range(dice.choice((0, 3, 12, 25))):
        day = OPENED + days(dice.randrange((AS_OF - OPENED).days + 5))
        entry_id = f"{name}e{number:02d}"
        kind = dice.choice(("earn", "earn", "earn", "redeem", "redeem", "expire", "adjust", "reverse"))
        points = dice.randint(1, 40)
        if kind in ("redeem", "expire") or (kind in ("adjust", "reverse") and dice.random() < 0.5):
            points = -points
        undoes = dice.choice([*ids, entry_id, f"{name}e{number + 1:02d}", "nothing"]) if kind == "reverse" else None
        row = entry(entry_id, kind, points, day, lot_id=dice.choice([None, *lots]), reversed_entry_id=undoes)
        # a few moments only, so that some entries share one
        row |= {"at": at(day, dice.choice(("09:00:00", "12:00:00")))} | who()
        rows.append(("app", "points_entries", day, row))
        ids.append(entry_id)
    return rows


@pytest.fixture(scope="module")
def chain(server_home: Path) -> Iterator[FactsChain]:
    """The stories and forty random families, published in four steps; every other one is followed by a build that
    computes all anew. chain.releases: the first release of each step."""
    with new_warehouse(server_home) as settings:
        chain = FactsChain(settings)
        chain.sell("opening", OPENED)
        dice = random.Random(23)  # noqa: S311  (seeded, no secret)
        families = [row for number in range(40) for row in random_family(dice, f"f{number:02d}")]
        dice.shuffle(families)
        batches: list[int] = []
        for step, as_of in enumerate(STEPS):
            for story in STORIES:
                story(chain, step)
            share = sorted(families[step :: len(STEPS)], key=lambda row: row[:3])
            for place, rows in groupby(share, key=lambda row: row[:3]):
                batch = chain.deliver(*place, *(row[3] for row in rows))
                if place[:2] != ("pos", "receipts"):
                    batches.append(batch or 0)
            for batch in dice.sample(batches, 12 if step else 0):
                batches.remove(batch)
                chain.supersede(batch)
            chain.releases.append(chain.publish(as_of))
            if step % 2:
                chain.rewritten.append(chain.written_by(chain.publish(as_of, full_refresh=True)))
        yield chain


def test_what_was_touched_comes_to_what_everything_computed_anew_comes_to(chain: FactsChain) -> None:
    assert chain.rewritten == [{}] * (len(STEPS) // 2)


@pytest.mark.parametrize(
    "mart",
    ["fct_tender", "fct_enrolment", "fct_contact", "fct_app_event_day", "fct_referral", "fct_feedback", "fct_coupon"]
    + ["fct_points_entry", "points_lot", "member_flags", "dim_staff", "dim_campaign", "dim_template", "dim_app_event"],
)
def test_each_mart_was_restated_in_every_direction(chain: FactsChain, mart: str) -> None:
    """Otherwise the comparison with a build of everything says little."""
    small = mart.startswith("dim_")
    with db.connect(chain.settings) as conn:
        for sign in ("_from_release", "_to_release"):
            (steps,) = conn.execute(
                f'select count(distinct {sign}) from history."{mart}" where {sign} < 2147483647'.encode()
            ).fetchone()
            assert steps >= (1 if small or sign == "_to_release" else 3), sign


# ------------------------------------------------------------------------------------------ receipts


def tenders(chain: FactsChain, story: str, release_id: int | None = None) -> list[tuple[Any, ...]]:
    return chain.read(
        "select receipt_no, tender_no, tender_type, amount::integer, tender.member_id from bi.fct_tender as tender"
        f" inner join bi.fct_receipt using (receipt_id) where receipt_no like '{story}:%' order by 1, 2",
        release_id,
    )


def test_a_split_tender_does_not_multiply_its_receipt(chain: FactsChain) -> None:
    assert tenders(chain, "split") == [
        ("split:1", 1, "cash", 40, "split:C"),
        ("split:1", 2, "points", 25, "split:C"),
        ("split:1", 3, "stored_value", 35, "split:C"),
    ]
    assert chain.read("select count(*), sum(net_amount) from bi.fct_receipt where receipt_no like 'split:%'") == [
        (1, Decimal(100))
    ]


def test_tenders_come_and_go_with_their_receipt(chain: FactsChain) -> None:
    first, second, *_ = chain.releases
    assert tenders(chain, "late", first) == []
    assert tenders(chain, "late", second) == tenders(chain, "late") == [("late:1", 1, "wechat", 10, None)]
    assert tenders(chain, "void", first) == [("void:1", 1, "wechat", 10, None)]
    assert tenders(chain, "void", second) == []
    orphans = "select 1 from bi.fct_tender where receipt_id not in (select receipt_id from bi.fct_receipt)"
    assert chain.read(orphans) == []


def test_a_tender_that_is_sent_again_counts_once_as_sent_last(chain: FactsChain) -> None:
    assert tenders(chain, "resent", chain.releases[0]) == [("resent:1", 1, "cash", 30, None)]
    assert tenders(chain, "resent") == [("resent:1", 1, "alipay", 30, None)]


def test_returns_and_exchanges_are_paid_out_and_lead_to_their_sale(chain: FactsChain) -> None:
    rows = chain.read(
        "select receipt.receipt_no, receipt.receipt_type, tender.amount::integer, sold.receipt_no"
        " from bi.fct_tender as tender inner join bi.fct_receipt as receipt using (receipt_id)"
        " left join bi.fct_receipt as sold on receipt.original_receipt_id = sold.receipt_id"
        " where receipt.receipt_no like 'back:%' order by 1"
    )
    assert rows == [
        ("back:1", "sale", 50, None),
        ("back:2", "sale", 50, None),
        ("back:r", "return", -50, "back:1"),
        ("back:x", "exchange", 20, "back:2"),
    ]
    points = chain.read(
        "select entry_id, entry.points, receipt_no from bi.fct_points_entry as entry"
        " left join bi.fct_receipt using (receipt_id) where entry_id like 'back:%' order by 1"
    )
    assert points == [("back:e1", 50, "back:1"), ("back:e2", 50, "back:2"), ("back:e3", -50, "back:r")]
    assert lots(chain, "back:C") == [("back:e1", 50, 50, 0, 0, 0, 0), ("back:e2", 50, 0, 0, 0, 0, 50)]


def test_the_audit_knows_the_gap_of_each_receipt_whose_store_was_fed(chain: FactsChain) -> None:
    """Of the last build, which computed everything."""
    with db.connect(chain.settings) as conn:
        audited = conn.execute(
            "select receipt_no, tenders, gap_amount from intermediate.int_audit__tenders"
            " inner join marts.fct_receipt using (receipt_id) where receipt_no ~ '^(split|late|back|opening)'"
            " order by 1"
        ).fetchall()
    # nobody sent tenders of the opening's day
    assert audited == [
        ("back:1", 1, 0),
        ("back:2", 1, 0),
        ("back:r", 1, 0),
        ("back:x", 1, 0),
        ("late:1", 1, 0),
        ("split:1", 3, 0),
    ]


# ------------------------------------------------------------------------------------------ who


def test_what_an_unknown_account_did_joins_the_member_it_turns_out_to_be(chain: FactsChain) -> None:
    facts = {
        "fct_tender": "receipt_id = (select receipt_id from bi.fct_receipt where receipt_no = 'linked:1')",
        "fct_points_entry": "entry_id = 'linked:e1'",
        "points_lot": "lot_id = 'linked:e1'",
        "fct_coupon": "coupon_id = 'linked:k'",
        "fct_contact": "contact_id = 'linked:n'",
        "fct_app_event_day": "account_id = 'linked:A'",
        "fct_feedback": "ticket_id = 'linked:f'",
    }
    for mart, condition in facts.items():
        statement = f"select member_id from bi.{mart} where {condition}"
        assert chain.read(statement, chain.releases[0]) == [(None,)], mart
        assert chain.read(statement, chain.releases[1]) == chain.read(statement) == [("linked:C",)], mart
    referral = (
        "select referrer_member_id, referee_member_id, is_self from bi.fct_referral where referral_id = 'linked:r'"
    )
    seen = [chain.read(referral, release_id) for release_id in chain.releases]
    assert seen[0] == [(None, None, False)]
    assert seen[1] == [("linked:C", None, False)]
    assert seen[2] == [("linked:C", "linked:C2", False)]


def test_enrolments_that_count(chain: FactsChain) -> None:
    statement = (
        "select identifier, member_id, is_members_first, store_id, staff_id, channel, method, enrolled_on, entered_on,"
        " days_backdated from bi.fct_enrolment where identifier like 'enrol:%' order by 1"
    )
    of_app = ("APP", None, "app", None, DAY, DAY, 0)
    assert chain.read(statement, chain.releases[0]) == [("enrol:A", "enrol:A", True, *of_app)]
    late = STEPS[1]
    assert chain.read(statement) == [
        # the account joined first: its card is no new member
        ("enrol:A", "enrol:C", True, *of_app),
        ("enrol:C", "enrol:C", False, "S1", "E7", "store", "paper", late - days(10), late, 10),
        ("enrol:P", "enrol:P", True, "APP", None, "app", None, late - days(3), late, 3),
    ]
    first_of_each = "select count(*) filter (where is_members_first), count(distinct member_id) from bi.fct_enrolment"
    ((first, members),) = chain.read(first_of_each)
    assert first == members > 50
    differing = (
        "select 1 from bi.fct_enrolment as enrolment inner join bi.dim_member using (member_id)"
        " where is_members_first and dim_member.enrolled_on is distinct from enrolment.enrolled_on"
    )
    assert chain.read(differing) == []


# ------------------------------------------------------------------------------------------ points


def lots(chain: FactsChain, holder: str, release_id: int | None = None) -> list[tuple[Any, ...]]:
    """lot, earned, reversed, redeemed, expired, deducted, open"""
    return chain.read(
        "select lot_id, earned_points, reversed_points, redeemed_points, expired_points, deducted_points, open_points"
        f" from bi.points_lot where holder_id = '{holder}' order by earned_on, lot_id",
        release_id,
    )


def test_points_are_taken_from_the_lot_that_is_named_else_from_the_oldest(chain: FactsChain) -> None:
    first, second, third, last = chain.releases
    assert lots(chain, "points:C", first) == [
        ("points:jan", 120, 0, 0, 0, 0, 120),
        ("points:3", 50, 0, 30, 0, 0, 20),
    ]
    assert lots(chain, "points:C", second) == [
        ("points:0", 5, 0, 5, 0, 0, 0),
        ("points:jan", 120, 0, 120, 0, 0, 0),
        ("points:3", 50, 0, 50, 0, 0, 0),
        ("points:5", 40, 0, 0, 0, 0, 40),
    ]
    # the redemption of 130 never was; 15 more were redeemed of the oldest
    assert lots(chain, "points:C", third) == [
        ("points:0", 5, 0, 5, 0, 0, 0),
        ("points:jan", 120, 0, 10, 0, 0, 110),
        ("points:3", 50, 0, 30, 0, 0, 20),
        ("points:5", 40, 15, 0, 0, 0, 25),
    ]
    # what is named comes first: the lot expires with all that it has, and pays less
    assert lots(chain, "points:C", last) == [
        ("points:0", 5, 0, 5, 0, 0, 0),
        ("points:jan", 120, 0, 10, 105, 0, 5),
        ("points:3", 50, 0, 30, 0, 0, 20),
        ("points:5", 40, 15, 0, 0, 0, 25),
    ]


def test_lots_of_merged_members_are_one_row_the_oldest_first_until_they_are_unmerged(chain: FactsChain) -> None:
    first, second, third, _ = chain.releases
    apart = {
        "merged:M": [("merged:e1", 100, 0, 0, 0, 0, 100), ("merged:e3", 100, 0, 0, 0, 0, 100)],
        "merged:S": [("(overdrawn)", 0, 0, 50, 0, 0, -50), ("merged:e2", 100, 0, 100, 0, 0, 0)],
    }
    for release_id in (first, third):
        assert {holder: sorted(lots(chain, holder, release_id)) for holder in apart} == apart
    assert lots(chain, "merged:M", second) == []
    assert lots(chain, "merged:S", second) == [
        ("merged:e1", 100, 0, 100, 0, 0, 0),
        ("merged:e2", 100, 0, 50, 0, 0, 50),
        ("merged:e3", 100, 0, 0, 0, 0, 100),
    ]


def test_lots_expire_by_the_rule_of_the_day_on_which_they_were_earned(chain: FactsChain) -> None:
    statement = "select lot_id, expires_on from bi.points_lot where holder_id = 'points:C' order by earned_on, lot_id"
    before, after = chain.read(statement, chain.releases[1]), chain.read(statement)
    end = date(2027, 1, 31)
    assert before == [("points:0", end), ("points:jan", end), ("points:3", end), ("points:5", date(2027, 2, 28))]
    assert after == [*before[:3], ("points:5", date(2026, 4, 30))]
    rules = "select valid_from, valid_to, expiry_months, is_default from bi.points_rule order by 1"
    assert chain.read(rules) == [
        (date(1900, 1, 1), date(2026, 2, 1), 12, True),
        (date(2026, 2, 1), date(9999, 12, 31), 2, False),
    ]


def test_what_nobody_gave_is_overdrawn_and_says_so(chain: FactsChain) -> None:
    statement = "select lot_id, earned_on, expires_on, open_points, is_overdrawn from bi.points_lot where holder_id = "
    assert chain.read(statement + "'nobody''s'") == [(OVERDRAWN, None, None, -7, True)]


def test_points_go_with_their_batch(chain: FactsChain) -> None:
    assert lots(chain, "gone:C", chain.releases[0]) == [("gone:1", 5, 0, 0, 0, 0, 5), ("gone:2", 7, 0, 0, 0, 0, 7)]
    assert lots(chain, "gone:C") == [("gone:1", 5, 0, 0, 0, 0, 5)]


def test_open_points_are_the_sum_of_all_entries_and_negative_only_where_the_ledger_is(chain: FactsChain) -> None:
    for release_id in chain.releases:
        balances = dict(
            chain.read("select holder_id, sum(points) from bi.fct_points_entry group by 1 order by 1", release_id)
        )
        by_lots = dict(chain.read("select holder_id, sum(open_points) from bi.points_lot group by 1", release_id))
        assert {holder: by_lots.get(holder, 0) for holder in balances} == balances
        negative = chain.read("select holder_id, lot_id from bi.points_lot where open_points < 0", release_id)
        assert {lot for _, lot in negative} <= {OVERDRAWN}
        assert {holder for holder, _ in negative} == {holder for holder, points in balances.items() if points < 0}
    assert len(balances) > 40
    assert len(negative) > 5


def test_lots_hold_what_a_slow_reading_of_the_ledger_leaves_in_them(chain: FactsChain) -> None:
    names = ("holder_id", "entry_id", "type", "points", "lot_id", "reversed_entry_id", "at")
    entries = [
        dict(zip(names, row, strict=True))
        for row in chain.read(
            "select holder_id, entry_id, entry_type, points, lot_id, reversed_entry_id, entered_at"
            " from bi.fct_points_entry order by holder_id"
        )
    ]
    seen = chain.read("select holder_id, lot_id, open_points from bi.points_lot")
    checked = 0
    for holder, mine in groupby(entries, key=lambda row: row["holder_id"]):
        assert {lot: points for whose, lot, points in seen if whose == holder} == open_points(list(mine)), holder
        checked += 1
    assert checked > 40


# ------------------------------------------------------------------------------------------ coupons, flags


def test_a_coupon_is_its_newest_version_as_far_as_it_has_happened(chain: FactsChain) -> None:
    statement = (
        "select coupon_id, fct_coupon.member_id, face_value_amount, funding, issued_on, is_redeemed, redeemed_on,"
        " receipt_no from bi.fct_coupon left join bi.fct_receipt using (receipt_id) where coupon_id like 'coupon:%'"
        " order by 1"
    )
    issued = ("coupon:1", "merged:S", Decimal(20), "brand", DAY)
    told = ("coupon:2", "split:C", None, None, None, True, DAY, None)
    assert chain.read(statement, chain.releases[0]) == [(*issued, False, None, None), told]
    assert chain.read(statement) == [(*issued, True, DAY + days(25), "coupon:r"), told]


def test_a_card_that_is_used_too_much_is_flagged_and_stays_in_all_figures(chain: FactsChain) -> None:
    statement = (
        "select member_id, is_suspect_shared, most_receipts_in_a_day, most_purchase_days_in_window, suspect_days"
        " from bi.member_flags where member_id like 'shared:%' order by 1"
    )
    dense, loose = ("shared:dense", True, 1, 26, 1), ("shared:loose", False, 1, 25, 0)
    eight = ("shared:eight", False, 8, 1, 0)
    assert chain.read(statement, chain.releases[0]) == [eight, ("shared:nine", False, 8, 1, 0)]
    assert chain.read(statement, chain.releases[2]) == [dense, eight, loose, ("shared:nine", True, 9, 1, 1)]
    # what came back had been bought with the card
    assert chain.read(statement) == chain.read(statement, chain.releases[2])
    assert chain.read("select count(*) from bi.fct_receipt where member_id = 'shared:nine' and is_member_receipt") == [
        (10,)
    ]


# ------------------------------------------------------------------------------------------ the app


def test_a_contact_has_its_newest_state_and_the_first_time_of_each(chain: FactsChain) -> None:
    statement = (
        "select state, objection_code, selected_at is not null, sent_at is not null,"
        " to_char(read_at at time zone 'Asia/Shanghai', 'HH24:MI'), purchased_at is not null, rung"
        " from bi.fct_contact where contact_id = 'contact:1'"
    )
    first, second, third, _ = chain.releases
    assert chain.read(statement, first) == [("read", None, False, False, "15:00", False, 2)]
    assert chain.read(statement, second) == [("read", "price", True, True, "15:00", False, 2)]
    assert chain.read(statement, third) == [("purchased", "price", True, True, "15:00", True, 2)]
    others = "select contact_id, business_date, member_id, state from bi.fct_contact where contact_id ~ '^contact:[23]'"
    assert sorted(chain.read(others)) == [
        ("contact:2", DAY - days(1), None, None),
        ("contact:3", DAY, "split:C", "sent"),
    ]


def test_events_of_a_day_are_counted_over_all_batches_that_bring_them(chain: FactsChain) -> None:
    statement = (
        "select business_date, event_name, events, is_deliberate from bi.fct_app_event_day"
        " where account_id = 'merged:S' order by 1, 2"
    )
    next_day = (DAY + days(1), "open", 1, True)
    unknown, push = (DAY, "new", 1, False), (DAY, "push", 1, False)
    assert chain.read(statement, chain.releases[0]) == [unknown, (DAY, "open", 1, True), push, next_day]
    assert chain.read(statement, chain.releases[1]) == [unknown, (DAY, "open", 2, True), push, next_day]
    assert chain.read(statement) == [
        (DAY, "new", 1, True),
        (DAY, "open", 2, True),
        (DAY, "push", 1, True),
        next_day,
    ]


def test_feedback_is_answered_and_closed_when_it_is(chain: FactsChain) -> None:
    statement = "select first_response_hours, close_hours from bi.fct_feedback where ticket_id = 'ticket:1'"
    first, second, third, _ = chain.releases
    assert chain.read(statement, first) == [(None, None)]
    assert chain.read(statement, second) == [(Decimal(24), None)]
    assert chain.read(statement, third) == [(Decimal(24), Decimal(24 * (STEPS[1] - DAY).days + 24))]


def test_small_lists_are_as_told_last_and_name_nobody(chain: FactsChain) -> None:
    assert chain.read("select staff_id, store_id, left_on from bi.dim_staff") == [("E1", "S2", STEPS[1])]
    with db.connect(chain.settings) as conn:
        columns = conn.execute(
            "select column_name from information_schema.columns where table_schema = 'bi' and table_name = 'dim_staff'"
        ).fetchall()
    assert not {name for (name,) in columns if "name" in name or "phone" in name}
    assert chain.read("select template_id, version, is_newest from bi.dim_template order by version") == [
        ("T1", 1, False),
        ("T1", 2, True),
    ]
    campaign = "select campaign_name, intent, starts_on, ends_on from bi.dim_campaign"
    assert chain.read(campaign, chain.releases[0]) == [("spring", "sell", DAY, None)]
    assert chain.read(campaign) == [("spring", "sell", DAY, AS_OF)]


# ------------------------------------------------------------------------------------------ back and forth


def test_a_release_of_an_earlier_date_knows_nothing_later(chain: FactsChain) -> None:
    # the lists of March are of what was known in March: made again in May from all that came since, they differ
    made_once = {"repurchase_list", "repurchase_ops_weekly", "segment_target_weekly"}
    lists = f"select * from bi.repurchase_list where week_start <= '{STEPS[1]}' order by week_start, member_id"
    before, lists_before = chain.content(), chain.read(lists)
    chain.publish(STEPS[1])
    latest = {
        "fct_contact": "greatest(business_date, (state_at at time zone 'Asia/Shanghai')::date)",
        "fct_app_event_day": "business_date",
        "fct_coupon": "greatest(issued_on, redeemed_on)",
        "fct_points_entry": "business_date",
        "points_lot": "earned_on",
        "fct_enrolment": "enrolled_on",
        "fct_referral": "business_date",
        "fct_feedback": "greatest(business_date, (closed_at at time zone 'Asia/Shanghai')::date)",
        "fct_tender": "business_date",
        "member_flags": "last_suspect_on",
        "repurchase_list": "week_start - 1",
        "segment_target_weekly": "week_start - 1",
    }
    for mart, day in latest.items():
        assert chain.read(f"select max({day}) from bi.{mart}")[0][0] <= STEPS[1], mart
    assert chain.written_by(chain.publish(STEPS[1], full_refresh=True)) == {}
    chain.publish(AS_OF)
    after = chain.content()
    assert {mart for mart in before if before[mart] != after[mart]} <= made_once
    assert after.keys() == before.keys()
    assert lists_before
    assert chain.read(lists) == lists_before
