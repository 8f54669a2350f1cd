"""Random histories of members: everything that tills and app would ever write about them, right or revised.

A family is a few cards and accounts that may be one person's. Each has its own dice, seeded by the campaign's seed and
the family's name, so a family's rows are the same whatever other families there are: a mismatch is told again with that
family alone.

A row is dated by its batch (`delivered_on`), which is part of the history: by it enrolments are held or not, and
repeated lines are newer or older. When the batch arrives, and with which others, is decided elsewhere (`deliveries`).
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

FIRST = date(2023, 11, 6)
LAST = date(2026, 4, 14)  # a Tuesday, in the second quarter: two and a half years, ten quarters and a leap day
LEAP_DAY = date(2024, 2, 29)

STORES: tuple[dict[str, Any], ...] = (
    {"store_id": "S1", "region": "north", "timezone": "Asia/Shanghai", "day_cutoff": "00:00"},
    {"store_id": "S2", "region": "south", "timezone": "Asia/Shanghai", "day_cutoff": "04:00"},
    {"store_id": "S3", "region": "south", "timezone": "Europe/Berlin", "day_cutoff": "04:00"},
    {"store_id": "S4", "region": None, "timezone": "America/New_York", "day_cutoff": "02:00"},
    {"store_id": "APP", "region": "online", "timezone": "Asia/Shanghai", "day_cutoff": "00:00"},
)
SHOPS = ("S1", "S2", "S3", "S4")
# offsets that a till may write; an hour off in half of the year, as tills are
OFFSETS = {"S1": "+08:00", "S2": "+08:00", "S3": "+01:00", "S4": "-05:00", "APP": "+08:00"}
PRODUCTS = {
    "shirt": "clothing",
    "coat": "clothing",
    "shoes": "shoes",
    "milk": "baby",
    "diapers": "baby",
    "toy": "toys",
    "bag": None,
}
PRICES = {"shirt": 199, "coat": 899, "shoes": 459, "milk": 328, "diapers": 129, "toy": 79, "bag": 1}
# what a tier asks for; the second half of them replaces the first
TIER_RULES: tuple[dict[str, Any], ...] = (
    {"valid_from": FIRST, "tier": "silver", "spend_365": 0, "grace_days": 30},
    {"valid_from": FIRST, "tier": "gold", "spend_365": 1500, "grace_days": 30},
    {"valid_from": FIRST, "tier": "diamond", "spend_365": 5000, "purchase_days_365": 3, "grace_days": 10},
    {"valid_from": date(2025, 2, 1), "tier": "gold", "spend_365": 2000, "grace_days": 30},
    {"valid_from": date(2025, 2, 1), "tier": "diamond", "spend_365": 4000, "tenure_days": 60, "grace_days": 0},
)
TIERS_TOLD = ("silver", "gold", "diamond", "platinum")
# days on both sides of every edge that a rule has
EDGES = (1, 29, 30, 31, 44, 45, 46, 60, 89, 90, 91, 92, 179, 180, 181, 182, 359, 360, 364, 365, 366, 367)

Content = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """A row of a feed as it is landed, in the batch of a business date."""

    source: str
    feed: str
    delivered_on: date
    content: Content
    family: str

    def __str__(self) -> str:
        told = ", ".join(f"{name}={value}" for name, value in self.content.items() if value is not None)
        return f"{self.source}/{self.feed}/{self.delivered_on}: {told}"


def days(number: int) -> timedelta:
    return timedelta(days=number)


MEMBER_DAYS = [date(2024, 9, 28), *(date(2024, month, 8) for month in (10, 12)), date(2025, 5, 8), date(2025, 9, 8)]
SHOP = "shop"  # the family of what is no member's


def chain_rows() -> list[Row]:
    """What is no family's: stores and products, the members from before, and sales to nobody."""
    rows = [Row("reference", "stores", FIRST, dict(store), SHOP) for store in STORES]
    # a store moves to another region, and one is opened
    moved = [dict(store) | ({"region": "west"} if store["store_id"] == "S4" else {}) for store in STORES]
    opened = {"store_id": "S5", "region": "west", "timezone": "Asia/Shanghai", "day_cutoff": "00:00"}
    rows += [Row("reference", "stores", date(2025, 6, 1), store, SHOP) for store in (*moved, opened)]
    rows += [
        Row("reference", "products", FIRST, {"sku": sku, "category": category}, SHOP)
        for sku, category in PRODUCTS.items()
    ]
    # what a product is can change
    rows.append(Row("reference", "products", date(2025, 3, 1), {"sku": "toy", "category": "baby"}, SHOP))
    # a member day is called off and another one is, a festival is one region's, a birthday one store's
    rows += [Row("reference", "calendar", FIRST, _event(day, "member_day"), SHOP) for day in MEMBER_DAYS]
    rows += [Row("reference", "calendar", date(2025, 3, 1), _event(day, "member_day"), SHOP) for day in MEMBER_DAYS[1:]]
    rows += [
        Row("reference", "calendar", date(2025, 3, 1), _event(day, kind, scope), SHOP)
        for day, kind, scope in (
            (date(2024, 10, 24), "holiday", "north"),
            (date(2024, 10, 30), "anniversary", "S1"),
            (date(2025, 2, 8), "member_day", None),
        )
    ]
    rows += [Row("reference", "tier_rules", rule["valid_from"], dict(rule), SHOP) for rule in TIER_RULES]
    rows.append(Row("pos", "enrolments", FIRST, _enrolled("before", "S1", date(2023, 3, 1), "12:00:00"), SHOP))
    till = _Till(random.Random(0), "")  # noqa: S311  (seeded, no secret)
    till.sell(FIRST, "S1", {}, lines=1)
    # two months in which each day's sales are landed
    for number in range(60):
        till.sell(date(2024, 9, 1) + days(number), "S1", {}, lines=1, delivered_late=0)
    return rows + [Row(row.source, row.feed, row.delivered_on, row.content, SHOP) for row in till.rows]


def _event(day: date, kind: str, scope: str | None = None) -> Content:
    return {"date": day, "event_type": kind, "event_name": kind} | ({"scope": scope} if scope else {})


def family_rows(seed: int, name: str) -> list[Row]:
    """All rows of one family."""
    return _Family(random.Random(f"{seed}/{name}"), name).rows()  # noqa: S311  (seeded, no secret)


def histories(seed: int, members: int) -> list[Row]:
    """The rows of as many families as members are asked for; most are one member, few are none or several."""
    rows = chain_rows()
    for number in range(members):
        rows += family_rows(seed, f"f{number:04d}")
    return rows


# --------------------------------------------------------------------------------------------- a family


@dataclass
class _Family:
    dice: random.Random
    name: str
    used: set[date] = field(default_factory=set)

    def rows(self) -> list[Row]:
        dice = self.dice
        kind = dice.choices(("card", "card and account", "account", "two cards", "anything"), (50, 18, 8, 12, 12))[0]
        cards, accounts = {
            "card": (1, 0),
            "card and account": (1, 1),
            "account": (0, 1),
            "two cards": (2, 2),
            "anything": (dice.randint(0, 3), dice.randint(0, 3)),
        }[kind]
        self.cards = [f"{self.name}C{number}" for number in range(cards)]
        self.accounts = [f"{self.name}A{number}" for number in range(accounts)]
        self.phones = [f"139{int(self.name[1:]):04d}{number:04d}" for number in range(3)]
        self.openids = [f"{self.name}O{number}" for number in range(2)]
        self.found: list[Row] = []
        # more of them early than late, so that there is time for something to happen
        self.begun = FIRST + days(min(dice.randrange((LAST - FIRST).days - 20) for _ in range(2)))
        for card in self.cards:
            self.enrol(card)
            self.say(card)
            self.assign(card)
        for account in self.accounts:
            self.register(account)
        self.link(kind)
        self.shop()
        for card in self.cards:
            self.be_told(card)
        return self.found

    # ------------------------------------------------------------------ dates

    def maybe(self, value: Any, share: float = 0.5) -> Any:
        return value if self.dice.random() < share else None

    def some_day(self) -> date:
        """A day of the family's time; some lie beyond the last as-of date."""
        return self.begun + days(self.dice.randrange((LAST - self.begun).days + 20))

    def a_new_day(self) -> date:
        """One on which nothing of the kind that must not tie is dated yet."""
        while (day := self.some_day()) in self.used:
            pass
        self.used.add(day)
        return day

    def delivered(self, day: date, *late: int) -> date:
        """The business date of the batch that brings it: mostly the day's own, or its week's last."""
        if self.dice.random() < 0.6:
            day += days(6 - day.weekday())
        return day + days(self.dice.choice((0, 0, 0, 0, *late)))

    def moment(self, day: date, store: str) -> str:
        """A moment of a business date, or near its edge; with an offset, or without where the clock is plain."""
        if self.dice.random() < 0.5:
            return f"{day}T{self.dice.choice((12, 18, 23))}:{self.dice.randrange(60):02d}:{self.dice.randrange(60):02d}"
        hour = self.dice.choice((0, 1, 2, 3, 4, 5, 22, 23))
        return f"{day}T{hour:02d}:{self.dice.randrange(60):02d}:{self.dice.randrange(60):02d}{OFFSETS[store]}"

    def add(self, source: str, feed: str, delivered_on: date, content: Content) -> None:
        self.found.append(Row(source, feed, delivered_on, content, self.name))

    # ------------------------------------------------------------------ who they are

    def enrol(self, card: str) -> None:
        for number in range(self.dice.choices((1, 2, 0), (90, 6, 4))[0]):
            day = self.begun if number == 0 else self.some_day()
            store = self.dice.choice(SHOPS)
            phone = self.maybe(self.dice.choice(self.phones))
            row = _enrolled(card, store, day, "", phone) | {"enrolled_at": self.moment(day, store)}
            # a day on which the card is not delivered otherwise; 31 days late is held, 30 is not
            late = self.dice.choice((0, 0, 0, 0, 0, 0, 1, 7, 29, 30, 31)) + 100 * number
            self.add("pos", "enrolments", day + days(late + 1), row)
            if self.dice.random() < 0.05:
                self.add("pos", "enrolments", day + days(late + 3), row)

    def say(self, card: str) -> None:
        changes = {
            "left": ("closed",),
            "left and came back": ("closed", "reopened"),
            "blocked": ("blocked", "unblocked"),
            "staff": ("staff", "not_staff"),
            "test": ("test",),
            "much": ("closed", "blocked", "reopened", "unblocked", "staff", "not_staff", "closed"),
        }
        kind = self.dice.choices(("nothing", *changes), (70, 8, 8, 5, 4, 2, 3))[0]
        day = self.some_day()
        for number, status in enumerate(changes.get(kind, ())):
            at = f"{day}T{8 + number:02d}:{self.dice.randrange(60):02d}:{self.dice.randrange(60):02d}"
            row = {"card_no": card, "status": status, "at": at}
            self.add("pos", "member_status", self.delivered(day, 1, 20, 100), row)
            day += days(self.dice.choice((0, 1, 7, 30, 120)))

    def assign(self, card: str) -> None:
        for _ in range(self.dice.choices((0, 1, 2, 3), (70, 16, 9, 5))[0]):
            day = self.a_new_day()
            row = {"card_no": card, "service_store_id": self.dice.choice(SHOPS), "valid_from": day}
            # planned, at once, or long after
            entered = max(day + days(self.dice.choice((-45, -7, 0, 0, 0, 1, 40))), FIRST)
            self.add("pos", "member_assignments", entered, row)
            if self.dice.random() < 0.15:
                other = row | {"service_store_id": self.dice.choice(SHOPS)}
                self.add("pos", "member_assignments", entered + days(self.dice.choice((1, 10, 60))), other)

    def be_told(self, card: str) -> None:
        """What the till says of the card's tier, some of it corrected later."""
        dice = self.dice
        told_days = {self.some_day() - days(dice.choice((0, 0, 400))) for _ in range(dice.choice((0, 0, 1, 2, 3)))}
        for day in sorted(told_days):
            row = {"card_no": card, "tier": dice.choice(TIERS_TOLD), "valid_from": day, "reason": "told"}
            told_on = max(self.delivered(day, 1, 30), FIRST)
            self.add("pos", "member_tiers", told_on, row)
            if dice.random() < 0.2:
                other = row | {"tier": dice.choice(TIERS_TOLD)}
                self.add("pos", "member_tiers", told_on + days(dice.choice((1, 10, 200))), other)

    def register(self, account: str) -> None:
        dice = self.dice
        created = self.some_day()
        since = self.maybe(self.some_day(), 0.6)
        for number in range(dice.choice((1, 1, 2, 3))):
            changed = created + days(number * dice.choice((1, 40, 150)) + number)
            if dice.random() < 0.3:
                since = since or changed
            row = {
                "account_id": account,
                "created_at": f"{created}T10:00:00+08:00",
                "updated_at": f"{changed}T{10 + number}:{dice.randrange(60):02d}:30+08:00",
                "member_since": since and f"{since}T10:00:00+08:00",
                "phone": self.maybe(dice.choice(self.phones), 0.7),
                "wechat_openid": self.maybe(dice.choice(self.openids)),
                "phone_verified": dice.choice((None, True, True, False)),
                "status": dice.choices((None, "active", "closed", "blocked", "staff", "test"), (20, 60, 8, 5, 4, 3))[0],
                "status_at": self.maybe(f"{changed - days(dice.choice((0, 3)))}T09:00:00+08:00"),
            }
            # nothing is written after its batch was produced
            written = max([changed, *([since] if since else [])])
            self.add("app", "accounts", self.delivered(written, 1, 15), row)

    def link(self, kind: str) -> None:
        dice = self.dice
        if kind == "card and account" and dice.random() < 0.8:
            self.record_link(self.accounts[0], card=self.cards[0])
        elif kind == "two cards":
            for account, card in zip(self.accounts, self.cards, strict=True):
                self.record_link(account, card=card)
            self.record_link(self.accounts[0], survivor=self.accounts[1], ends=0.35)
        elif kind == "anything":
            for account in self.accounts:
                for _ in range(dice.choice((0, 1, 1, 2))):
                    others = [other for other in self.accounts if other != account]
                    survivor = self.maybe(dice.choice(others), 0.4) if others else None
                    card = dice.choice(self.cards) if self.cards and not survivor else None
                    if card or survivor:
                        self.record_link(account, card=card, survivor=survivor, ends=0.3)

    def record_link(
        self, account: str, *, card: str | None = None, survivor: str | None = None, ends: float = 0.1
    ) -> None:
        """A link that may be recorded anew later: ended, ended when it began (it never was), or without an end."""
        dice = self.dice
        begin = self.a_new_day()
        row = {
            "account_id": account,
            "card_no": card,
            "survivor_account_id": survivor,
            "valid_from": f"{begin}T{dice.choice((0, 11, 23)):02d}:{dice.randrange(60):02d}:00+08:00",
            # an end that is known beforehand
            "valid_to": self.maybe(f"{begin + days(dice.choice((1, 60, 200)))}T12:00:00+08:00", ends / 2),
            "recorded_at": f"{begin + days(1)}T09:{dice.randrange(60):02d}:00+08:00",
            "method": "merge" if survivor else "scan",
        }
        self.add("app", "identity_links", self.delivered(begin + days(1), 2, 30), row)
        if dice.random() < ends:
            later = begin + days(dice.choice((3, 40, 150)))
            end = dice.choice(
                (row["valid_from"], None, f"{later}T23:30:00+08:00", f"{later + days(50)}T01:00:00+08:00")
            )
            again = row | {"valid_to": end, "recorded_at": f"{later + days(1)}T09:00:00+08:00"}
            self.add("app", "identity_links", self.delivered(later + days(1), 5), again)

    # ------------------------------------------------------------------ what they buy

    def shop(self) -> None:
        dice = self.dice
        till = _Till(dice, self.name)
        rhythm = dice.choice((5, 15, 30, 45, 80, 120, 200))
        day = self.begun + days(dice.choice((-40, -1, 0, 0, 0, 0, 1, 30, 89, 90, 91)))
        if dice.random() < 0.04:
            day = LEAP_DAY
        home = dice.choice(SHOPS)
        for _ in range(dice.choice((0, 1, 1, 2, 3, 4, 6, 8, 10, 14, 20))):
            if day > LAST + days(10):
                break
            if day >= FIRST:
                for _ in range(dice.choices((1, 2), (88, 12))[0]):
                    store = dice.choice((home, home, home, *SHOPS, "APP"))
                    sold = till.sell(day, store, self.named())
                    self.claim(sold)
            day += days(dice.choice(EDGES) if dice.random() < 0.35 else max(1, round(rhythm * dice.uniform(0.3, 1.7))))
        self.found += till.rows

    def named(self) -> Content:
        """By what the member is named at the till, if at all."""
        choices: list[Content] = [{"member_card_no": card} for card in self.cards * 4]
        choices += [{"account_id": account} for account in self.accounts * 2]
        choices += [{"member_phone": phone} for phone in self.phones[:2]]
        choices += [{"member_card_no": f"{self.name}unknown"}, {}]
        return self.dice.choice(choices)

    def claim(self, sold: Mapping[str, Any]) -> None:
        named = {"member_card_no", "account_id", "member_phone"} & sold.keys()
        for account in self.accounts:
            if self.dice.random() < (0.1 if named else 0.6):
                claimed = sold["business_date"] + days(self.dice.choice((0, 1, 5, 29, 30, 31)))
                row = {"account_id": account, "claimed_at": f"{claimed}T15:00:00+08:00"}
                row |= {name: sold[name] for name in KEY}
                self.add("app", "receipt_claims", self.delivered(claimed, 1), row)


KEY = ("store_id", "register_id", "business_date", "receipt_no", "receipt_type")


def _enrolled(card: str, store: str, day: date, clock: str, phone: str | None = None) -> Content:
    return {"card_no": card, "store_id": store, "enrolled_at": f"{day}T{clock}", "phone": phone}


# ------------------------------------------------------------------------------------------------ a till


class _Till:
    """Rings receipts, and what later befalls them, into rows."""

    def __init__(self, dice: random.Random, name: str) -> None:
        self.dice, self.name = dice, name
        self.rows: list[Row] = []
        self._number = 0

    def sell(
        self, day: date, store: str, named: Content, lines: int | None = None, delivered_late: int | None = None
    ) -> Content:
        """A sale and, if it is a family's, by chance its void, returns, exchange, revision or repetition."""
        dice = self.dice
        items = [self._item() for _ in range(lines or dice.choices((1, 2, 3), (60, 30, 10))[0])]
        flags = {flag: True for flag, share in FLAGS.items() if self.name and dice.random() < share}
        sold = self._ring("sale", day, store, items, named | flags, delivered_late=delivered_late)
        if not self.name:
            return sold
        happens = dice.random()
        if happens < 0.03:
            self._ring("void", day, store, [], named, receipt_no=sold["receipt_no"], late=dice.choice((0, 0, 2)))
        elif happens < 0.19:
            self._come_back(sold, items, named)
        elif happens < 0.24:
            given, taken = self._item(-1), self._item()
            self._ring("exchange", day + days(dice.choice((0, 3, 20))), store, [given, taken], named | _of(sold))
        elif happens < 0.28:
            self._revise(sold, items, named)
        elif happens < 0.33:
            self._repeat(sold)
        elif happens < 0.35:  # a return that names no sale, or one that nobody knows
            unknown = {"original_receipt_no": "?", "original_business_date": day} if dice.random() < 0.5 else {}
            self._ring("return", day + days(dice.choice((0, 5))), store, [self._item(-1)], named | unknown)
        return sold

    def _item(self, sign: int = 1) -> Content:
        sku = self.dice.choice(list(PRICES))
        quantity = sign * self.dice.choice((1, 1, 1, 2, 3))
        discount = self.dice.choice((0, 0, 0, 10)) if sku != "bag" else 0
        price = PRICES[sku] + self.dice.choice((0, 0.5, 0.25))
        net = round(quantity * price - discount, 2) if sign > 0 else round(quantity * price, 2)
        item = {"sku": sku, "quantity": quantity, "unit_price": price, "net_amount": net}
        return item | ({"is_merchandise": False} if sku == "bag" else {})

    def _come_back(self, sold: Content, items: list[Content], named: Content) -> None:
        """The whole of it, at once or in two goes, or a part."""
        dice = self.dice
        after = dice.choice((0, 1, 5, 14, 29, 30, 31, 60, 89, 90, 91, 180, 200, 365))
        back = [item | {"quantity": -item["quantity"], "net_amount": -item["net_amount"]} for item in items]
        store = dice.choice((sold["store_id"], sold["store_id"], *SHOPS))
        whose = dice.choice((named, named, {}))
        how = dice.choice(("whole", "whole", "whole", "in two goes", "in part"))
        day = sold["business_date"] + days(after)
        if how == "whole" or (how == "in two goes" and len(back) < 2):
            self._ring("return", day, store, back, whose | _of(sold))
            return
        self._ring("return", day, store, back[:1], whose | _of(sold))
        if how == "in two goes":
            self._ring("return", day + days(dice.choice((0, 7, 30))), store, back[1:], whose | _of(sold))

    def _revise(self, sold: Content, items: list[Content], named: Content) -> None:
        """The receipt again, with a higher revision: of somebody else, of another kind, or with other lines."""
        dice = self.dice
        change = dice.choice(("nobody", "staff", "training", "lines"))
        again = dict(sold) | {"revision": 1}
        if change == "nobody":
            again = {name: value for name, value in again.items() if name not in named}
        elif change != "lines":
            again[f"is_{change}_sale" if change == "staff" else f"is_{change}"] = True
        later = self.rows[-1].delivered_on + days(dice.choice((4, 5, 9)))
        self._add("receipts", later, again)
        if change == "lines":
            for number, item in enumerate(items, 1):
                other = {"quantity": item["quantity"] + 1, "net_amount": round(item["net_amount"] + 100, 2)}
                self._add(
                    "receipt_lines", later, {name: sold[name] for name in KEY} | {"line_no": number} | item | other
                )

    def _repeat(self, sold: Content) -> None:
        """The same rows again, in the batch of the same date or of a later one."""
        later = self.dice.choice((0, 0, 1, 3))
        for row in [row for row in self.rows if row.content["receipt_no"] == sold["receipt_no"]]:
            self._add(row.feed, row.delivered_on + days(later), row.content)

    def _ring(
        self,
        receipt_type: str,
        day: date,
        store: str,
        items: list[Content],
        more: Content,
        *,
        receipt_no: str | None = None,
        late: int | None = None,
        delivered_late: int | None = None,
    ) -> Content:
        """late: days after those that it takes anyway; delivered_late: days after the business date, at all."""
        dice = self.dice
        self._number += 1
        key: Content = dict(
            zip(KEY, (store, "1", day, receipt_no or f"{self.name}-{self._number}", receipt_type), strict=True)
        )
        # before the cut-off it is still yesterday's business
        cutoff = next(int(row["day_cutoff"][:2]) for row in STORES if row["store_id"] == store)
        early = cutoff > 0 and dice.random() < 0.2
        # one after the other, so that no two of a day are of the same moment
        minute = f"{self._number % 60:02d}:00"
        clock = (
            f"{day + days(1)}T{dice.randrange(cutoff):02d}:{minute}{OFFSETS[store]}" if early else f"{day}T12:{minute}"
        )
        if late is None:
            late = dice.choices((0, 1, 9, 40), (92, 3, 3, 2))[0]
        snap = 6 - day.weekday() if dice.random() < 0.6 else 1
        delivered_on = day + days(snap + late if delivered_late is None else delivered_late)
        channel = ("app", "mini_program")[self._number % 2] if store == "APP" else ("store", None)[self._number % 2]
        more = more | ({"channel": channel} if channel else {})
        self._add(
            "receipts",
            delivered_on,
            key | {"sold_at": clock, "net_amount": round(sum(item["net_amount"] for item in items), 2)} | more,
        )
        for number, item in enumerate(items, 1):
            self._add("receipt_lines", delivered_on, key | {"line_no": number} | item)
        return key | {name: value for name, value in self.rows[-1 - len(items)].content.items() if name not in key}

    def _add(self, feed: str, delivered_on: date, content: Content) -> None:
        self.rows.append(Row("pos", feed, delivered_on, content, self.name))


FLAGS = {"is_training": 0.015, "is_staff_sale": 0.02, "is_wholesale": 0.015}


def _of(sold: Content) -> Content:
    return {f"original_{name}": sold[name] for name in ("receipt_no", "business_date", "store_id", "register_id")}
