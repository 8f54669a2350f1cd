"""What the tills and the app sell on a day: receipts, lines, tenders, closing totals, footfall."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from memberhouse.simulate.chain.clock import DAY_SECONDS, HOUR, Clock
from memberhouse.simulate.chain.columns import Columns, Later, size, stacked, taken
from memberhouse.simulate.chain.people import ACCOUNT, IN_STORE, People
from memberhouse.simulate.chain.plan import Array, Plan
from memberhouse.simulate.chain.world import GROUPS, MEMBER_DAY, POP_UP, Products, Staff, Stores
from memberhouse.simulate.tables import constant, money

SALE, RETURN, EXCHANGE, VOID = range(4)
TYPES = pa.array(["sale", "return", "exchange", "void"])
# By what a receipt names its member.
NOBODY, BY_CARD, BY_PHONE, BY_ACCOUNT, BY_SECOND_CARD, BY_SECOND_ACCOUNT = range(6)
CASH, BANK_CARD, WECHAT, ALIPAY, POINTS, STORED_VALUE = range(6)
TENDERS = pa.array(["cash", "card", "wechat", "alipay", "points", "stored_value"])

ANONYMOUS_SHARE = 0.45
APP_SHARE = 0.28
FIRST_PURCHASE_SHARE = 0.7
RETURN_SHARE = 0.045
UNLINKED_SHARE = 0.05
_SHOPS_OPEN, _SHOPS_CLOSE = 10 * HOUR, 22 * HOUR
_LATE_CLOSE = 26 * HOUR + 50 * 60
_HOURS = np.arange(10, 22)
# The share of a day's visitors by hour, 10 to 21.
_HOUR_SHARE = np.array([3, 5, 7, 7, 8, 9, 10, 11, 12, 12, 10, 6]) / 100


@dataclass
class Day:
    """A trading day. receipts and lines are columns; `receipt` of a line is its receipt's place.

    midnights: the instant at which the date begins, by zone. crew: who works, as `Staff.working` has it.
    """

    number: int
    chance: np.random.Generator
    midnights: Array
    trades: Array
    crew: tuple[Array, Array, Array]
    receipts: Columns
    lines: Columns

    @property
    def start(self) -> int:
        """The instant at which the date begins in the head office's zone."""
        return int(self.midnights[0])

    def someone(self, stores: Array) -> Array:
        """A member of staff of each store; −1 where nobody works."""
        here, starts, count = self.crew
        if not len(here):
            return np.full(len(stores), -1)
        place = starts[stores] + (self.chance.random(len(stores)) * count[stores]).astype(int)
        return np.where(count[stores] > 0, here[np.minimum(place, len(here) - 1)], -1)

    def some_time(self, rows: int, first_hour: float, last_hour: float) -> Array:
        """Instants between two hours of the head office's clock."""
        return self.start + (self.chance.uniform(first_hour, last_hour, rows) * HOUR).astype(np.int64)


class Tills:
    """Sells, day by day, and remembers what will come back."""

    def __init__(
        self, plan: Plan, stores: Stores, staff: Staff, products: Products, people: People, clock: Clock, factors: Array
    ) -> None:
        self.plan, self.stores, self.products, self.people, self.clock = plan, stores, products, people, clock
        self.factors = factors
        self.zone = np.array([clock.zones.index(zone) for zone in stores.zones])
        self.store_ids = pa.array(stores.ids)
        self.staff_ids = pa.array([*staff.ids, None])
        self.skus = pa.array(products.skus)
        self._back = Later(plan.days)
        self._back_lines: dict[int, Columns] = {}
        self._baskets_sold = 0
        self._outlet = np.array(
            [each == "outlet" for each in stores.formats] + [False] * (len(stores.ids) - len(stores.formats))
        )

    # ---------------------------------------------------------------- who buys

    def buyers(self, day: int, multiplier: Array, chance: np.random.Generator) -> Array:
        """Who of those who joined before buys today: the rate times the day's and the campaigns' factor."""
        people = self.people
        joined = people.joined_by(day - 1)
        probability = people.rate[:joined] * (multiplier[:joined] * np.float32(self.factors[day]))
        active = (people.drop_day[:joined] > day) & ~people.out[:joined]
        return np.flatnonzero((chance.random(joined, dtype=np.float32) < probability) & active)

    def trade(self, day: Day, buyers: Array, newcomers: Array) -> None:
        """Fill the day with receipts: of `buyers`, first ones of `newcomers`, of people unknown, returns."""
        chance = day.chance
        drafts = [self._member_sales(day, buyers), self._first_sales(day, newcomers), self._other_sales(day)]
        again = taken(drafts[0], chance.random(size(drafts[0])) < 0.03)
        # a bill split in two, for a coupon each
        again["at"] = again["at"] + 120
        sales = stacked([*drafts, again])
        sales["basket"] = self._baskets_sold + np.arange(size(sales))
        self._baskets_sold += size(sales)
        lines = self._baskets(day, sales)
        back, back_lines = self._what_comes_back(day, size(sales))
        receipts = stacked([sales, back]) if back else sales
        all_lines = stacked([lines, back_lines]) if back_lines else lines
        self._number(day, receipts, all_lines)

    def _member_sales(self, day: Day, buyers: Array) -> Columns:
        chance, people = day.chance, self.people
        rows = len(buyers)
        has_account = people.account_day[buyers] <= day.number
        in_app = has_account & (chance.random(rows) < np.where(people.kind[buyers] == ACCOUNT, 0.8, APP_SHARE))
        store = np.where(chance.random(rows) < 0.88, people.home[buyers], self._any_store(day, rows))
        store = np.where(day.trades[store] & (store != self.stores.app), store, self._any_store(day, rows))
        return self._draft(day, np.where(in_app, self.stores.app, store), buyers)

    def _first_sales(self, day: Day, newcomers: Array) -> Columns:
        """Those who join in a store mostly buy at once."""
        people = self.people
        here = newcomers[(people.channel[newcomers] == IN_STORE) & ~np.isin(newcomers, people.fraud.burst)]
        here = here[~np.isin(here, list(people.fraud.backdated))]
        here = here[day.chance.random(len(here)) < FIRST_PURCHASE_SHARE]
        draft = self._draft(day, people.home[here].astype(np.int64), here)
        draft["at"] = people.enrol_at[here] + day.chance.integers(60, 1800, len(here))
        return draft

    def _other_sales(self, day: Day) -> Columns:
        """People whom nobody knows, staff, wholesale, training; in a messy chain a pop-up and a shared card."""
        chance = day.chance
        expected = ANONYMOUS_SHARE * self.factors[day.number] * (self.plan.members * 0.009 + 4)
        rows = int(chance.poisson(expected))
        draft = self._draft(day, self._any_store(day, rows), np.full(rows, -1))
        lot = chance.random(rows)
        draft["training"] = lot < 0.006
        draft["staff_sale"] = (lot >= 0.006) & (lot < 0.022)
        draft["wholesale"] = (lot >= 0.022) & (lot < 0.027)
        pieces = [draft]
        if self.plan.messy:
            pop_up = self.stores.ids.index(POP_UP)
            if day.trades[pop_up]:
                pieces.append(self._draft(day, np.array([pop_up]), np.array([-1])))
            fraud = self.people.fraud
            if fraud.shared_day == day.number:
                shared = self._draft(day, np.full(10, fraud.burst_store), np.full(10, fraud.shared_card))
                shared["ident"][:] = BY_CARD if self.people.kind[fraud.shared_card] < ACCOUNT else BY_ACCOUNT
                pieces.append(shared)
        return stacked(pieces)

    def _any_store(self, day: Day, rows: int) -> Array:
        """Open stores by weight; the app when all are closed."""
        weight = np.cumsum(np.where(day.trades, self.stores.weight, 0.0))
        if weight[-1] == 0:
            return np.full(rows, self.stores.app)
        drawn: Array = np.searchsorted(weight, day.chance.random(rows) * weight[-1], side="right")
        return drawn

    def _draft(self, day: Day, store: Array, member: Array) -> Columns:
        chance, people = day.chance, self.people
        rows = len(store)
        in_app = store == self.stores.app
        seconds = _SHOPS_OPEN + (chance.beta(2.4, 1.7, rows) * (_SHOPS_CLOSE - _SHOPS_OPEN)).astype(np.int64)
        late = self.stores.late[store] & (chance.random(rows) < 0.15)
        seconds = np.where(late, chance.integers(_SHOPS_CLOSE, _LATE_CLOSE, rows), seconds)
        seconds = np.where(in_app, chance.integers(7 * HOUR, DAY_SECONDS - 300, rows), seconds)
        known = np.maximum(member, 0)
        lot = chance.random(rows)
        second = chance.random(rows)
        second_account = (people.second_account_day[known] <= day.number) & (people.merge_day[known] > day.number)
        ident = np.select(
            [
                member < 0,
                in_app & second_account & (second < 0.6),
                in_app,
                (people.kind[known] == ACCOUNT) & (lot < 0.9),
                (people.kind[known] == ACCOUNT) | (lot >= 0.96),
                lot >= 0.93,
                (people.second_card_day[known] <= day.number) & (second < 0.5),
            ],
            [NOBODY, BY_SECOND_ACCOUNT, BY_ACCOUNT, BY_ACCOUNT, NOBODY, BY_PHONE, BY_SECOND_CARD],
            BY_CARD,
        )
        nothing = np.full(rows, -1)
        no = np.zeros(rows, dtype=bool)
        return {
            "store": store.astype(np.int64),
            "at": day.midnights[self.zone[store]] + seconds,
            "member": member.astype(np.int64),
            "ident": ident,
            "kind": np.full(rows, SALE),
            "training": no,
            "staff_sale": no,
            "wholesale": no,
            "orig_day": nothing,
            "orig_store": nothing,
            "orig_register": nothing,
            "orig_number": nothing,
            "earned_entry": nothing,
            "earned": np.zeros(rows, dtype=np.int64),
            "basket": nothing,
        }

    # ---------------------------------------------------------------- what they buy

    def _baskets(self, day: Day, sales: Columns) -> Columns:
        chance, products, people = day.chance, self.products, self.people
        rows = size(sales)
        lines_each = np.where(sales["wholesale"], 6, np.minimum(1 + chance.poisson(1.15, rows), 9))
        receipt = np.repeat(np.arange(rows), lines_each)
        count = len(receipt)
        member = sales["member"][receipt]
        likes = np.where(member >= 0, people.group[np.maximum(member, 0)], -1)
        any_group = np.searchsorted([0.4, 0.6], chance.random(count), side="right")
        group = np.where((likes >= 0) & (chance.random(count) < 0.7), likes, any_group)
        reach = np.concatenate([[0.0], np.cumsum(self._appeal(day.number))])
        ends = np.searchsorted(products.group[: products.bag], np.arange(GROUPS), side="right")
        low, high = reach[np.concatenate([[0], ends[:-1]])][group], reach[ends][group]
        sku = np.searchsorted(reach, low + chance.random(count) * (high - low), side="right") - 1
        quantity = np.where(
            products.staple[sku], 1 + chance.binomial(3, 0.35, count), 1 + (chance.random(count) < 0.05)
        )
        quantity = np.where(sales["wholesale"][receipt], quantity * 10, quantity)
        off = np.array([0, 10, 20, 30])[np.searchsorted([0.55, 0.75, 0.92], chance.random(rows), side="right")]
        off = off + np.where(self._outlet[sales["store"]], 20, 0)
        if self.plan.date_of(day.number).day == MEMBER_DAY:
            off = np.where(sales["member"] >= 0, np.maximum(off, 12), off)
        off = np.where(sales["staff_sale"], 40, np.where(sales["wholesale"], 35, off))
        price = products.price[sku]
        discount = (price * quantity * off[receipt] + 50) // 100
        in_app = sales["store"] == self.stores.app
        extras = [
            (np.flatnonzero(~in_app & (chance.random(rows) < 0.2)), products.bag),
            (np.flatnonzero(in_app & (chance.random(rows) < 0.3)), products.freight),
            (np.flatnonzero(chance.random(rows) < 0.006), products.gift_card),
        ]
        pieces = [_lines(receipt, sku, quantity, price, discount)]
        for who, extra in extras:
            one = np.ones(len(who), dtype=np.int64)
            pieces.append(_lines(who, one * extra, one, one * products.price[extra], one * 0))
        lines = stacked(pieces)
        lines["merchandise"] = products.group[lines["sku"]] >= 0
        lines["staff"] = day.someone(sales["store"][lines["receipt"]])
        return lines

    def _appeal(self, day: int) -> Array:
        """How much each product sells on the day."""
        products = self.products
        summer = 3 <= self.plan.date_of(day).month <= 8
        appeal = np.where(products.season == 0, 1.0, np.where((products.season == 1) == summer, 1.5, 0.25))
        appeal = appeal * np.where(products.staple, 2.5, 1.0) * np.where(products.focus, 1.6, 1.0)
        return np.where(products.launched <= day, appeal, 0.0)[: products.bag]

    # ---------------------------------------------------------------- what comes back

    def _what_comes_back(self, day: Day, first: int) -> tuple[Columns | None, Columns | None]:
        """Returns and exchanges that are due: receipts, and lines whose receipt places begin at `first`."""
        due = self._back.due(day.number)
        due_lines = self._back_lines.pop(day.number, None)
        if due is None or due_lines is None:
            return None, None
        rows = size(due)
        elsewhere = ~day.trades[due["store"]]
        due["store"] = np.where(elsewhere, self._any_store(day, rows), due["store"])
        zone = self.zone[due["store"]]
        due["at"] = day.midnights[zone] + day.chance.integers(_SHOPS_OPEN + HOUR, _SHOPS_CLOSE, rows)
        order = np.argsort(due["basket"])
        due_lines["receipt"] = first + order[np.searchsorted(due["basket"][order], due_lines.pop("basket"))]
        due_lines["staff"] = day.someone(due["store"][due_lines["receipt"] - first])
        return due, due_lines

    def plan_returns(self, day: Day) -> None:
        """Some of today's sales come back within 25 days, in part or in full, or are exchanged. Receipts
        paid with points and redeemed coupons stay: what the chain does with those is not simulated."""
        chance, receipts, lines = day.chance, day.receipts, day.lines
        rows = size(receipts)
        eligible = (receipts["kind"] == SALE) & ~receipts["voided"] & ~receipts["training"]
        eligible &= (receipts["points_paid"] == 0) & ~receipts["couponed"] & (receipts["net"] > 0)
        chosen = np.flatnonzero(eligible & (chance.random(rows) < RETURN_SHARE))
        if not len(chosen):
            return
        exchange = chance.random(len(chosen)) < 0.2
        whole = chance.random(len(chosen)) < 0.6
        # brought back without the receipt: nothing says of which sale, and no points are taken back
        unlinked = chance.random(len(chosen)) < UNLINKED_SHARE
        back = taken(receipts, chosen)
        originals = {
            "orig_day": np.where(unlinked, -1, day.number),
            "orig_store": back["store"],
            "orig_register": back["register"],
            "orig_number": back["number"],
            "earned": np.where(unlinked, 0, back["earned"]),
            "kind": np.where(exchange, EXCHANGE, RETURN),
        }
        # an order of the app goes back to the app
        draft = {name: back[name] for name in _DRAFT} | originals
        due = day.number + chance.integers(1, 26, len(chosen))
        place = np.full(rows, -1)
        place[chosen] = np.arange(len(chosen))
        of = place[lines["receipt"]]
        comes = (of >= 0) & lines["merchandise"]
        comes &= whole[of] | (chance.random(len(of)) < 0.5) | (lines["line_no"] == 1)
        comes &= ~exchange[of] | (lines["line_no"] == 1)
        mine = taken(lines, comes)
        of = of[comes]
        some = np.isin(np.arange(len(chosen)), of)
        returned = {
            "basket": draft["basket"][of],
            "sku": mine["sku"],
            "quantity": -mine["quantity"],
            "price": mine["price"],
            "discount": -mine["discount"],
            "net": -mine["net"],
            "merchandise": mine["merchandise"],
            "returns_line": np.where(unlinked[of], 0, mine["line_no"]),
            "staff": mine["staff"],
        }
        swapped = exchange[of]
        instead = taken(returned, swapped)
        # mostly another colour or size at the same price, now and then something dearer
        dearer = chance.random(int(swapped.sum())) < 0.3
        for name in ("quantity", "discount", "net"):
            instead[name] = -instead[name]
        instead["sku"] = np.clip(instead["sku"] + 1, 0, self.products.bag - 1)
        instead["price"] = instead["price"] + np.where(dearer, 5_000, 0)
        instead["net"] = instead["quantity"] * instead["price"] - instead["discount"]
        instead["returns_line"] = np.zeros(len(dearer), dtype=np.int64)
        due_of_line = due[np.concatenate([of, of[swapped]])]
        self._back.put(due[some], taken(draft, some))
        both = stacked([returned, instead])
        for when in np.unique(due_of_line).tolist():
            piece = taken(both, due_of_line == when)
            if when in self._back_lines:
                piece = stacked([self._back_lines[when], piece])
            self._back_lines[when] = piece

    # ---------------------------------------------------------------- numbers, totals, payment

    def _number(self, day: Day, receipts: Columns, lines: Columns) -> None:
        """Give receipts their till and number in the order of time, lines theirs, and put both in order."""
        chance, stores = day.chance, self.stores
        rows = size(receipts)
        register = 1 + (chance.random(rows) * stores.registers[receipts["store"]]).astype(np.int64)
        order = np.lexsort((receipts["basket"], receipts["at"], register, receipts["store"]))
        receipts = taken(receipts, order)
        register = register[order]
        till = receipts["store"] * 10 + register
        first = np.searchsorted(till, till, side="left")
        receipts["register"] = register
        receipts["number"] = np.arange(rows) - first + 1
        receipts["cashier"] = day.someone(receipts["store"])
        receipts["voided"] = (receipts["kind"] == SALE) & (chance.random(rows) < 0.004)
        receipts["couponed"] = np.zeros(rows, dtype=bool)
        receipts["points_paid"] = np.zeros(rows, dtype=np.int64)
        place = np.empty(rows, dtype=np.int64)
        place[order] = np.arange(rows)
        lines["receipt"] = place[lines["receipt"]]
        lines = taken(lines, np.argsort(lines["receipt"], kind="stable"))
        begins = np.searchsorted(lines["receipt"], lines["receipt"], side="left")
        lines["line_no"] = np.arange(size(lines)) - begins + 1
        day.receipts, day.lines = receipts, lines
        self.add_up(day)

    def add_up(self, day: Day) -> None:
        """Receipts' totals from their lines."""
        rows = size(day.receipts)
        for name in ("discount", "net"):
            day.receipts[name] = _sums(day.lines["receipt"], day.lines[name], rows)
        day.receipts["gross"] = day.receipts["net"] + day.receipts["discount"]

    def void(self, day: Day) -> None:
        """A void for each voided receipt: the same key and lines, what it says negated."""
        voided = np.flatnonzero(day.receipts["voided"])
        if not len(voided):
            return
        rows = size(day.receipts)
        void = taken(day.receipts, voided)
        void["kind"] = np.full(len(voided), VOID)
        void["at"] = void["at"] + 60
        place = np.full(rows, -1)
        place[voided] = rows + np.arange(len(voided))
        lines = taken(day.lines, place[day.lines["receipt"]] >= 0)
        lines["receipt"] = place[lines["receipt"]]
        for name in ("gross", "discount", "net"):
            void[name] = -void[name]
        for name in ("quantity", "discount", "net"):
            lines[name] = -lines[name]
        order = np.argsort(np.concatenate([np.arange(rows), voided]), kind="stable")
        receipts = taken(stacked([day.receipts, void]), order)
        back = np.empty(len(order), dtype=np.int64)
        back[order] = np.arange(len(order))
        both = stacked([day.lines, lines])
        both["receipt"] = back[both["receipt"]]
        day.receipts, day.lines = receipts, taken(both, np.argsort(both["receipt"], kind="stable"))

    def tenders(self, day: Day) -> Columns:
        """Means of payment whose sum is each receipt's total, to the cent."""
        chance, receipts = day.chance, day.receipts
        rows = size(receipts)
        kind = np.array([WECHAT, ALIPAY, BANK_CARD, CASH, STORED_VALUE])[
            np.searchsorted([0.5, 0.75, 0.9, 0.97], chance.random(rows), side="right")
        ]
        in_app = receipts["store"] == self.stores.app
        kind = np.where(in_app & ((kind == CASH) | (kind == BANK_CARD)), WECHAT, kind)
        rest = receipts["net"] - receipts["points_paid"]
        split = (
            (receipts["kind"] == SALE) & ~receipts["voided"] & ~in_app & (rest > 5_000) & (chance.random(rows) < 0.03)
        )
        cash = np.where(split, rest // 3 // 100 * 100, 0)
        everyone = np.arange(rows)
        by_points = np.flatnonzero(receipts["points_paid"] > 0)
        in_cash = np.flatnonzero(cash > 0)
        tenders = {
            "receipt": np.concatenate([everyone, by_points, in_cash]),
            "type": np.concatenate([kind, np.full(len(by_points), POINTS), np.full(len(in_cash), CASH)]),
            "amount": np.concatenate([rest - cash, receipts["points_paid"][by_points], cash[in_cash]]),
        }
        tenders = taken(tenders, np.argsort(tenders["receipt"], kind="stable"))
        begins = np.searchsorted(tenders["receipt"], tenders["receipt"], side="left")
        tenders["tender_no"] = np.arange(size(tenders)) - begins + 1
        return tenders

    # ---------------------------------------------------------------- as it is landed

    def key(self, day: Day, receipts: Columns) -> dict[str, Any]:
        return {
            "store_id": self.store_ids.take(pa.array(receipts["store"])),
            "register_id": pa.array(receipts["register"]),
            "business_date": constant(self.plan.date_of(day.number), size(receipts)),
            "receipt_no": pa.array(receipts["number"] + 100_000),
            "receipt_type": TYPES.take(pa.array(receipts["kind"])),
        }

    def receipt_rows(self, day: Day) -> dict[str, Any]:
        receipts, people = day.receipts, self.people
        rows = size(receipts)
        known, ident = np.maximum(receipts["member"], 0), receipts["ident"]
        in_app = pa.array(receipts["store"] == self.stores.app)
        returned = pa.array(receipts["orig_day"] < 0)
        second = ident == BY_SECOND_ACCOUNT
        card = pc.case_when(
            pc.make_struct(pa.array(ident == BY_CARD), pa.array(ident == BY_SECOND_CARD)),
            people.card_no(known),
            people.second_card_no(known),
        )
        by_account = pa.array((ident == BY_ACCOUNT) | second)
        original = {
            "original_receipt_no": pa.array(receipts["orig_number"] + 100_000),
            "original_business_date": pa.array(
                (np.datetime64(self.plan.first_day) + receipts["orig_day"]).astype("datetime64[D]")
            ),
            "original_store_id": self.store_ids.take(pa.array(np.maximum(receipts["orig_store"], 0))),
            "original_register_id": pa.array(receipts["orig_register"]),
        }
        return {
            **self.key(day, receipts),
            "revision": constant(0, rows),
            "sold_at": self.clock.iso(receipts["at"], self.zone[receipts["store"]]),
            "cashier_id": self.staff_ids.take(pa.array(_last_for_none(receipts["cashier"], self.staff_ids))),
            "member_card_no": card,
            "member_phone": pc.if_else(pa.array(ident == BY_PHONE), people.phone(known), None),
            "account_id": pc.if_else(by_account, people.account_id(known, second), None),
            "channel": pc.if_else(
                in_app, pc.if_else(pa.array(receipts["number"] % 4 == 0), "mini_program", "app"), "store"
            ),
            "is_training": pa.array(receipts["training"]),
            "is_staff_sale": pa.array(receipts["staff_sale"]),
            "is_wholesale": pa.array(receipts["wholesale"]),
            **{name: pc.if_else(returned, None, column) for name, column in original.items()},
            "gross_amount": money(receipts["gross"]),
            "discount_amount": money(receipts["discount"]),
            "net_amount": money(receipts["net"]),
        }

    def line_rows(self, day: Day) -> dict[str, Any]:
        lines = day.lines
        return {
            **self.key(day, taken(day.receipts, lines["receipt"])),
            "line_no": pa.array(lines["line_no"]),
            "sku": self.skus.take(pa.array(lines["sku"])),
            "quantity": pa.array(lines["quantity"]),
            "unit_price": money(lines["price"]),
            "discount_amount": money(lines["discount"]),
            "net_amount": money(lines["net"]),
            "staff_id": self.staff_ids.take(pa.array(_last_for_none(lines["staff"], self.staff_ids))),
            "is_merchandise": pa.array(lines["merchandise"]),
            "returns_line_no": pa.array(lines["returns_line"], mask=lines["returns_line"] == 0),
        }

    def tender_rows(self, day: Day, tenders: Columns) -> dict[str, Any]:
        return {
            **self.key(day, taken(day.receipts, tenders["receipt"])),
            "tender_no": pa.array(tenders["tender_no"]),
            "tender_type": TENDERS.take(pa.array(tenders["type"])),
            "amount": money(tenders["amount"]),
            "is_settled": constant(True, size(tenders)),
        }

    def z_totals(self, day: Day) -> Columns:
        """By open till: receipts that are sale, return or exchange, not voided, not training, and their net."""
        receipts = day.receipts
        store = np.repeat(np.arange(len(self.stores.ids)), np.where(day.trades, self.stores.registers, 0))
        begins = np.searchsorted(store, store, side="left")
        tills = store * 10 + np.arange(len(store)) - begins + 1
        counts = (receipts["kind"] != VOID) & ~receipts["voided"] & ~receipts["training"]
        place = np.searchsorted(tills, (receipts["store"] * 10 + receipts["register"])[counts])
        return {
            "store": store,
            "register": tills - store * 10,
            "receipts": _sums(place, np.ones(len(place), dtype=np.int64), len(tills)),
            "net": _sums(place, receipts["net"][counts], len(tills)),
        }

    def z_rows(self, day: Day, totals: Columns) -> dict[str, Any]:
        return {
            "store_id": self.store_ids.take(pa.array(totals["store"])),
            "register_id": pa.array(totals["register"]),
            "business_date": constant(self.plan.date_of(day.number), size(totals)),
            "receipts": pa.array(totals["receipts"]),
            "net_amount": money(totals["net"]),
        }

    def footfall_rows(self, day: Day) -> dict[str, Any]:
        """Visitors by hour, where a store has a counter: about a fifth of them buy."""
        counted = np.flatnonzero(day.trades & self.stores.counted)
        receipts = np.bincount(day.receipts["store"], minlength=len(self.stores.ids))[counted]
        expected = (receipts + 1)[:, None] * 5 * _HOUR_SHARE[None, :]
        return {
            "store_id": self.store_ids.take(pa.array(np.repeat(counted, len(_HOURS)))),
            "business_date": constant(self.plan.date_of(day.number), len(counted) * len(_HOURS)),
            "hour": pa.array(np.tile(_HOURS, len(counted))),
            "visitors": pa.array(day.chance.poisson(expected).ravel()),
        }


_DRAFT = (
    "store",
    "at",
    "member",
    "ident",
    "kind",
    "training",
    "staff_sale",
    "wholesale",
    "orig_day",
    "orig_store",
    "orig_register",
    "orig_number",
    "earned_entry",
    "earned",
    "basket",
)


def _lines(receipt: Array, sku: Array, quantity: Array, price: Array, discount: Array) -> Columns:
    rows = len(receipt)
    return {
        "receipt": receipt,
        "sku": sku,
        "quantity": quantity.astype(np.int64),
        "price": price,
        "discount": discount,
        "net": quantity * price - discount,
        "merchandise": np.ones(rows, dtype=bool),
        "returns_line": np.zeros(rows, dtype=np.int64),
        "staff": np.full(rows, -1),
    }


def _sums(place: Array, values: Array, rows: int) -> Array:
    """Sums by place, in whole numbers."""
    sums = np.zeros(rows, dtype=np.int64)
    np.add.at(sums, place, values)
    return sums


def _last_for_none(numbers: Array, names: pa.Array) -> Array:
    return np.where(numbers < 0, len(names) - 1, numbers)
