"""Campaigns against their hold-out, the balance of contacts and the programme's scorecard, by the SQL and by the slow
references: while a campaign runs, after it, with late files, on going back in time, and built anew."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.chain import STORES, Chain
from tests.conftest import new_warehouse
from tests.reference.campaigns import campaign_performance
from tests.reference.contacts import contact_balance_weekly
from tests.reference.scorecard import RATES, programme_scorecard_quarterly

pytestmark = pytest.mark.services

OPENED = date(2025, 1, 1)
STARTS, ENDS = date(2025, 10, 6), date(2025, 10, 19)
MEMBERS = 640
WHILE_IT_RUNS, AFTER_IT, MUCH_LATER = date(2025, 10, 12), date(2025, 10, 26), date(2025, 12, 1)
STORE_IDS = [store["store_id"] for store in STORES[:2]]


def days(number: int) -> timedelta:
    return timedelta(days=number)


CAMPAIGNS = {"drawn": (STARTS, ENDS), "small": (STARTS, None), "to_come": (MUCH_LATER + days(1), None)}
# what a piece costs: told, not told, and not in the list at all
UNIT_COSTS = {"shirt": Decimal("12.5"), "hat": None}
SKUS = ("shirt", "hat", "sock", "shirt")
# coupon, redeemed on, face value, who pays
COUPONS = (
    ("D1", date(2025, 3, 31), Decimal("10.50"), "head_office"),
    ("D2", date(2025, 4, 1), Decimal(20), "brand"),
    ("D3", date(2025, 10, 12), Decimal(5), None),
    ("D4", date(2025, 10, 13), None, "head_office"),
    ("D5", date(2025, 10, 13), Decimal(7), "brand"),
    ("D6", None, Decimal(99), "head_office"),
    ("D7", date(2025, 12, 2), Decimal(3), "store"),
)
# card or account, benefit, used on, its own cost, what the tier of that day says
BENEFIT_USES = (
    ("C020", "cake", date(2025, 6, 30), None, Decimal("30.125")),
    ("C020", "cake", date(2025, 7, 1), None, Decimal(45)),
    ("C020", "parking", date(2025, 7, 1), Decimal("0"), Decimal(8)),
    ("A000", "parking", date(2025, 10, 1), Decimal("9.99"), None),
    ("C021", "cake", date(2025, 10, 1), None, None),
    ("nobody", "parking", date(2025, 10, 2), Decimal(4), None),
    ("C020", "cake", date(2025, 12, 31), None, Decimal(45)),
)


class Told:
    """What was sold, assigned and said: rows of the feeds, and what the references are told of them."""

    def __init__(self) -> None:
        self.dice = random.Random(5)  # noqa: S311  (seeded, no secret)
        self.sales: list[tuple[str, date, int, date | None]] = []
        self.late: list[tuple[str, date, int, date | None]] = []
        self.assignments: list[tuple[str, str, str, date]] = []
        self.contacts: list[dict[str, Any]] = []
        self.states: list[dict[str, Any]] = []
        self.reached: dict[str, list[tuple[str, datetime]]] = {}
        for number in range(MEMBERS):
            self._live(f"C{number:03d}", held_out=number % 5 < 2)
        # two that stood otherwise than was known when the campaign began, and one who bought in it
        self.late += [("C001", date(2025, 9, 1), 70, None), ("C002", date(2025, 9, 30), 70, None)]
        self.late.append(("C003", date(2025, 10, 7), 70, None))
        # A000 is C000's account. Put in twice: held out, and treated on the same day; first treated, later held out
        self.assignments += [("drawn", "A000", "treated", STARTS - days(1)), ("small", "A000", "treated", STARTS)]
        self.assignments += [("small", "C000", "hold_out", STARTS + days(3)), ("small", "C004", "hold_out", STARTS)]
        self.assignments += [("to_come", "C010", "treated", STARTS), ("nobody_told", "C010", "treated", STARTS)]
        self.assignments.append(("drawn", "nobody", "treated", STARTS))

    def _live(self, card: str, *, held_out: bool) -> None:
        dice = self.dice
        for _ in range(dice.choice((0, 1, 1, 2, 5))):
            bought = OPENED + days(dice.randrange(10, (STARTS - OPENED).days))
            came_back = bought + days(dice.randrange(1, 60)) if dice.random() < 0.1 else None
            self.sales.append((card, bought, dice.randrange(10, 90), came_back))
        self.assignments.append(
            ("drawn", card, "hold_out" if held_out else "treated", STARTS - days(1) + days(5 * (dice.random() < 0.02)))
        )
        if dice.random() < (0.2 if held_out else 0.4):
            bought = STARTS + days(dice.randrange(-2, 40))
            came_back = bought + days(dice.randrange(1, 20)) if dice.random() < 0.2 else None
            self.sales.append((card, bought, dice.randrange(10, 90), came_back))
        started = STARTS + days(dice.randrange(-40, 40))
        for _ in range(dice.choice((0, 0, 1, 2, 8)) if not held_out or dice.random() < 0.1 else 0):
            self._contact(card, started + days(dice.randrange(12)))

    def _contact(self, card: str, day: date) -> None:
        dice = self.dice
        contact_id = f"K{len(self.contacts):05d}"
        planned = datetime.combine(day, time(9))
        sent = planned + days(dice.choice((0, 0, 0, 1))) + timedelta(minutes=dice.randrange(300))
        channel = dice.choice(("wechat", "sms", "call", "in_store"))
        self.contacts.append(
            {
                "contact_id": contact_id,
                "member": dice.choice((card, card, card, card, "nobody")),
                "store_id": dice.choice((*STORE_IDS, *STORE_IDS, "S9", None)),
                "channel": channel,
                "intent": dice.choice(("care", "sell")),
                "campaign_id": dice.choice(("drawn", "small", None)),
                "created_at": planned.isoformat(),
            }
        )
        states = [("selected", planned)]
        if channel != "in_store" and dice.random() < 0.95:
            states.append(("sent", sent))
            states.append(("delivered" if dice.random() < 0.8 else "failed", sent + timedelta(minutes=1)))
        if dice.random() < 0.3:
            states.append(("arrived", sent + days(dice.choice((1, 13, 14, 15)))))
        self.reached[contact_id] = states
        self.states += [
            {"contact_id": contact_id, "state": state, "at": moment.isoformat()} for state, moment in states
        ]


@pytest.fixture(scope="module")
def told() -> Told:
    return Told()


@pytest.fixture(scope="module")
def chain(server_home: Path, told: Told) -> Iterator[Chain]:
    with new_warehouse(server_home) as settings:
        chain = Chain(settings, OPENED)
        chain.deliver(
            "pos",
            "enrolments",
            OPENED,
            *(
                {"card_no": f"C{number:03d}", "store_id": "S1", "enrolled_at": f"{OPENED}T09:00:00"}
                for number in range(MEMBERS)
            ),
        )
        chain.deliver(
            "pos", "member_status", OPENED, {"card_no": "C007", "status": "staff", "at": f"{OPENED}T10:00:00"}
        )
        moment = f"{OPENED}T10:00:00"
        account = {"account_id": "A000", "created_at": moment, "updated_at": moment}
        link = {"account_id": "A000", "card_no": "C000", "valid_from": moment, "recorded_at": moment, "method": "scan"}
        chain.deliver("app", "accounts", OPENED, account)
        chain.deliver("app", "identity_links", OPENED, link)
        sell(chain, told.sales)
        for campaign, (starts_on, ends_on) in CAMPAIGNS.items():
            chain.deliver(
                "app", "campaigns", OPENED, {"campaign_id": campaign, "starts_on": starts_on, "ends_on": ends_on}
            )
        deliver_costs(chain)
        by_day: dict[tuple[str, date], list[dict[str, Any]]] = defaultdict(list)
        for campaign, identifier, arm, day in told.assignments:
            row = {"campaign_id": campaign, "member": identifier, "arm": arm, "assigned_at": f"{day}T08:00:00"}
            by_day["campaign_assignments", day].append(row)
        for contact in told.contacts:
            by_day["contacts", date.fromisoformat(contact["created_at"][:10])].append(contact)
        for state in told.states:
            by_day["contact_states", date.fromisoformat(state["at"][:10])].append(state)
        for (feed, day), rows in sorted(by_day.items()):
            chain.deliver("app", feed, day, *rows)
        yield chain


def deliver_costs(chain: Chain) -> None:
    """What goods, coupons, points and benefits cost."""
    goods = ({"sku": sku, "name": sku, "unit_cost": cost} for sku, cost in UNIT_COSTS.items())
    chain.deliver("reference", "products", OPENED, *goods)
    benefits = (("gold", "cake", "30.125"), ("diamond", "cake", "45"), ("gold", "parking", "8"))
    chain.deliver(
        "reference",
        "benefits",
        OPENED,
        *({"tier": tier, "benefit": benefit, "unit_cost": cost} for tier, benefit, cost in benefits),
    )
    for tier, since in (("gold", OPENED), ("diamond", date(2025, 7, 1))):
        chain.deliver("pos", "member_tiers", since, {"card_no": "C020", "tier": tier, "valid_from": since})
    for coupon, redeemed_on, face_value, funding in COUPONS:
        row = {"coupon_id": coupon, "card_no": "C030", "face_value": face_value, "funding": funding}
        row |= {"issued_at": f"{OPENED}T09:00:00", "updated_at": f"{redeemed_on or OPENED}T12:00:00"}
        row["redeemed_at"] = f"{redeemed_on}T12:00:00" if redeemed_on else None
        chain.deliver("app", "coupons", redeemed_on or OPENED, row)
    for identifier, benefit, used_on, cost, _ in BENEFIT_USES:
        who = {"account_id" if identifier == "A000" else "card_no": identifier}
        used = who | {"benefit": benefit, "used_at": f"{used_on}T10:00:00", "cost": cost}
        chain.deliver("app", "benefit_uses", used_on, used)
    for number, day in enumerate((date(2025, 3, 31), date(2025, 4, 1), date(2025, 11, 30))):
        entry = {"entry_id": f"E{number}", "card_no": "C031", "type": "earn", "points": 1000 * (number + 1)}
        chain.deliver("app", "points_entries", day, entry | {"at": f"{day}T10:00:00"})


def sell(chain: Chain, sales: list[tuple[str, date, int, date | None]], delivered: date | None = None) -> None:
    """Each sale, and the return of those that came back, in a batch a day."""
    by_day: dict[date, list[tuple[dict[str, Any], dict[str, Any]]]] = defaultdict(list)
    for number, (card, bought, amount, came_back) in enumerate(sales):
        key = {"store_id": STORE_IDS[number % 2], "register_id": "1"}
        for kind, day, sign in (("sale", bought, 1), ("return", came_back, -1)):
            if day:
                of_day = key | {"business_date": day, "receipt_no": f"{kind}/{card}/{bought}/{number}"}
                of_day |= {"receipt_type": kind}
                receipt = of_day | {"sold_at": f"{day}T12:00:00", "member_card_no": card, "net_amount": sign * amount}
                if kind == "return":
                    receipt |= {
                        "original_receipt_no": f"sale/{card}/{bought}/{number}",
                        "original_business_date": bought,
                    }
                line = of_day | {"line_no": 1, "sku": SKUS[number % 4], "quantity": sign, "net_amount": sign * amount}
                by_day[delivered or day].append((receipt, line))
    for day, rows in sorted(by_day.items()):
        chain.deliver("pos", "receipts", day, *(receipt for receipt, _ in rows))
        chain.deliver("pos", "receipt_lines", day, *(line for _, line in rows))


def published(chain: Chain, table: str, said: pd.DataFrame, key: int) -> None:
    rows = [tuple(None if pd.isna(cell) else cell for cell in row) for row in said.itertuples(index=False)]
    order = ", ".join(map(str, range(1, key + 1)))
    assert chain.read(f"select {', '.join(said.columns)} from bi.{table} order by {order}") == sorted(
        rows, key=lambda row: row[:key]
    )


def campaigns_agree(chain: Chain, told: Told, as_of: date, *, with_late: bool) -> None:
    sales = [*told.sales, *(told.late if with_late else [])]
    purchase_days: dict[str, set[date]] = defaultdict(set)
    spent: dict[tuple[str, date], Decimal] = defaultdict(Decimal)
    for card, bought, amount, came_back in sales:
        if bought > as_of:
            continue
        spent[card, bought] += amount
        if came_back and came_back <= as_of:
            spent[card, came_back] -= amount
        else:
            purchase_days[card].add(bought)
    whose = {f"C{number:03d}": f"C{number:03d}" for number in range(MEMBERS)} | {"A000": "C000"}
    stages = {
        (member, day): stage
        for member, day, stage in chain.read(
            "select member_id, day::date, stage_code from bi.member_stage_history"
            f" cross join generate_series(date '{OPENED}', date '{min(as_of, ENDS)}', interval '1 day') as day"
            " where day >= valid_from and day < valid_to"
        )
    }
    said = campaign_performance(
        CAMPAIGNS,
        [
            (campaign, identifier, arm, day, whose.get(identifier))
            for campaign, identifier, arm, day in told.assignments
            if day <= as_of
        ],
        {
            (contact["campaign_id"], contact["member"])
            for contact in told.contacts
            if made_at(told, contact, as_of) is not None
        },
        lambda member, day: stages.get((member, day)),
        purchase_days,
        spent,
        as_of,
    )
    published(chain, "campaign_performance", said, 2)


def made_at(told: Told, contact: dict[str, Any], as_of: date) -> datetime | None:
    """When it was sent, or the member came."""
    at = states_of(told, contact, as_of)
    return at.get("sent", at.get("arrived"))


def states_of(told: Told, contact: dict[str, Any], as_of: date) -> dict[str, datetime]:
    reached = told.reached[contact["contact_id"]]
    return {state: moment for state, moment in reached if moment.date() <= as_of}


def contacts_agree(chain: Chain, told: Told, as_of: date, first_day: date) -> None:
    rows = []
    for contact in told.contacts:
        if datetime.fromisoformat(contact["created_at"]).date() > as_of:
            continue
        at = states_of(told, contact, as_of)
        made = at.get("sent", at.get("arrived"))
        rows.append(
            contact
            | {
                "member_id": None if contact["member"] == "nobody" else contact["member"],
                "made_on": made.date() if made else None,
                "made_at": made,
                "is_reached": "delivered" in at or "arrived" in at,
                "is_sent": "sent" in at,
                "arrived_on": at["arrived"].date() if "arrived" in at else None,
            }
        )
    stores = {store["store_id"]: store["region"] for store in STORES}
    published(chain, "contact_balance_weekly", contact_balance_weekly(rows, stores, as_of, first_day), 3)


def scorecard_agrees(chain: Chain, told: Told, as_of: date, *, with_late: bool) -> None:
    lines = []
    for batch in (told.sales, told.late if with_late else []):
        for number, (_, bought, amount, came_back) in enumerate(batch):
            cost = UNIT_COSTS.get(SKUS[number % 4])
            lines += [
                (day, Decimal(sign * amount), Decimal(sign), cost)
                for day, sign in ((bought, 1), (came_back, -1))
                if day
            ]
    columns = ("campaign_id", "arm", "members", "net_amount", "is_final")
    performance = chain.read(f"select {', '.join(columns)} from bi.campaign_performance")
    kpis = chain.read(f"select period_start, {', '.join(RATES)} from bi.kpi_quarterly where level = 'hq'")
    said = programme_scorecard_quarterly(
        min(day for day, *_ in kpis),
        as_of,
        CAMPAIGNS,
        [dict(zip(columns, row, strict=True)) for row in performance],
        lines,
        dict(chain.read("select cohort_month, cost_amount from bi.points_cohort")),
        [(redeemed_on, face_value, funding) for _, redeemed_on, face_value, funding in COUPONS if redeemed_on],
        [(used_on, cost, unit_cost) for _, _, used_on, cost, unit_cost in BENEFIT_USES],
        {quarter: dict(zip(RATES, rates, strict=True)) for quarter, *rates in kpis},
    )
    published(chain, "programme_scorecard_quarterly", said, 1)


def test_campaigns_and_contacts_are_what_the_references_say_whatever_comes_later(chain: Chain, told: Told) -> None:
    first_day = min(bought for _, bought, _, _ in told.sales)

    def agree(as_of: date, *, with_late: bool) -> None:
        chain.publish(as_of)
        campaigns_agree(chain, told, as_of, with_late=with_late)
        contacts_agree(chain, told, as_of, first_day)
        scorecard_agrees(chain, told, as_of, with_late=with_late)

    agree(WHILE_IT_RUNS, with_late=False)
    agree(AFTER_IT, with_late=False)
    ((uplift, low, high),) = chain.read(
        "select uplift, ci_low, ci_high from bi.campaign_performance where campaign_id = 'drawn' and arm = 'treated'"
    )
    assert low < uplift < high
    sell(chain, told.late, MUCH_LATER)
    agree(MUCH_LATER, with_late=True)
    assert chain.read(
        "select 1 from bi.campaign_performance where campaign_id = 'drawn' and uplift is distinct from"
        f" {uplift} and arm = 'treated'"
    )
    # "drawn" proves something, "small" does not; all four kinds of cost are there
    ((*parts, net),) = chain.read(
        "select campaigns, campaigns_left_out, incremental_margin_amount, points_cost_amount, coupon_cost_amount,"
        " benefit_cost_amount, net_benefit_amount from bi.programme_scorecard_quarterly"
        " where quarter_start = '2025-10-01'"
    )
    campaigns, left_out, margin, *costs = parts
    assert (campaigns, left_out, net) == (1, 1, margin - sum(costs))
    assert all(costs)
    # who was held out and contacted by mistake stays held out
    ((contacted,),) = chain.read(
        "select contacted from bi.campaign_performance where campaign_id = 'drawn' and arm = 'hold_out'"
    )
    assert contacted > 0
    ((too_much,),) = chain.read(
        "select sum(over_contact_member_days) from bi.contact_balance_weekly where level = 'hq'"
    )
    assert too_much > 50
    # what is known by now counts, also as of a day before it was delivered
    agree(AFTER_IT, with_late=True)
    content = chain.content()
    chain.publish(AFTER_IT, full_refresh=True)
    assert chain.content() == content
