"""What head office delivers: stores, products and staff when they change, the calendar, the programme's
rules, targets and the stores' weekly notes."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from memberhouse.simulate.chain.landing import Lander
from memberhouse.simulate.chain.life import BENEFITS, EVENTS
from memberhouse.simulate.chain.loyalty import EXPIRY_MONTHS, GRACE_DAYS, TIER_SPEND, TIERS
from memberhouse.simulate.chain.plan import NEVER, Array, Plan
from memberhouse.simulate.chain.world import (
    POP_UP,
    POP_UP_UNKNOWN_DAYS,
    Event,
    Products,
    Staff,
    Stores,
)
from memberhouse.simulate.tables import money

_PILOT_STORES = 6
_PHASES = (
    ("plan", "本周目标：唤醒名单全部联系一遍"),
    ("do", "已完成电话邀约"),
    ("check", "周三检查：到店率低于目标"),
    ("act", "下周改用券，负责人店长"),
)
# Closures are announced so many days ahead.
_ANNOUNCED = 30


class Office:
    """Delivers the reference feeds day by day: on the first day all, later what changed."""

    def __init__(
        self, plan: Plan, stores: Stores, staff: Staff, products: Products, calendar: list[Event], lander: Lander
    ) -> None:
        self.plan, self.stores, self.staff, self.products = plan, stores, staff, products
        self.calendar, self.lander = calendar, lander

    def deliver(self, day: int) -> None:
        if day == 0:
            self._rules()
        stores = self.stores
        known_later = int(stores.opened[stores.ids.index(POP_UP)]) + POP_UP_UNKNOWN_DAYS if POP_UP in stores.ids else -1
        if day == 0 or day == known_later or day in stores.closed:
            self._land("stores", day, self._store_rows(day, known_later))
        first_days = {max(first - _ANNOUNCED, 0) for _, first, _ in stores.closures}
        if day in first_days:
            self._land("store_closures", day, self._closure_rows(day))
        if day == 0 or day in self.staff.joined or day in self.staff.left:
            self._land("staff", day, self._staff_rows(day))
        if day == 0 or day in self.products.launched:
            self._land("products", day, self._product_rows(day))
        when = self.plan.date_of(day)
        if day == 0 or when.day == 1:
            self._land("targets", day, self._target_rows(when.replace(day=1), 0))
        if when.day == 15 and when.month % 3 == 1:
            self._land("targets", day, self._target_rows(when.replace(day=1), 1))
        if when.weekday() == 0:
            self._land("ops_notes", day, self._note_rows(when))

    def _land(self, feed: str, day: int, rows: dict[str, Any]) -> None:
        self.lander.chain("reference", feed, day, rows)

    def _date(self, day: int) -> date | None:
        return None if abs(day) >= NEVER else self.plan.date_of(int(day))

    def _store_rows(self, day: int, known_later: int) -> dict[str, Any]:
        stores = self.stores
        here = [store for store in range(stores.app) if stores.ids[store] != POP_UP or day >= known_later]
        return {
            "store_id": [stores.ids[store] for store in here],
            "name": [stores.names[store] for store in here],
            "region": [stores.regions[store] for store in here],
            "city": [stores.cities[store] for store in here],
            "format": [stores.formats[store] for store in here],
            "timezone": [stores.zones[store] for store in here],
            "day_cutoff": ["04:00" if stores.late[store] else "00:00" for store in here],
            "opened_on": [self._date(int(stores.opened[store])) for store in here],
            # a store's last day; told when it has closed
            "closed_on": pa.array(
                [self._date(int(stores.closed[store]) - 1) if stores.closed[store] <= day else None for store in here],
                pa.date32(),
            ),
            "supervisor_id": [stores.supervisors[store] for store in here],
        }

    def _closure_rows(self, day: int) -> dict[str, Any]:
        announced = [closure for closure in self.stores.closures if closure[1] - _ANNOUNCED <= day]
        return {
            "store_id": [self.stores.ids[store] for store, _, _ in announced],
            "closed_from": [self.plan.date_of(first) for _, first, _ in announced],
            "closed_to": [self.plan.date_of(last) for _, _, last in announced],
        }

    def _staff_rows(self, day: int) -> dict[str, Any]:
        staff = self.staff
        here = np.flatnonzero(staff.joined <= day).tolist()
        return {
            "staff_id": [staff.ids[one] for one in here],
            "name": [staff.names[one] for one in here],
            "store_id": pa.array(
                [self.stores.ids[staff.stores[one]] if staff.stores[one] >= 0 else None for one in here], pa.string()
            ),
            "role": [staff.roles[one] for one in here],
            "joined_on": [self._date(int(staff.joined[one])) for one in here],
            "left_on": pa.array(
                [self._date(int(staff.left[one])) if staff.left[one] <= day else None for one in here], pa.date32()
            ),
            "phone": [staff.phones[one] for one in here],
        }

    def _product_rows(self, day: int) -> dict[str, Any]:
        products = self.products
        here = np.flatnonzero(products.launched <= day)

        def texts(values: list[str]) -> pa.Array:
            return pa.array([values[one] or None for one in here.tolist()], pa.string())

        return {
            "sku": texts(products.skus),
            "name": texts(products.names),
            "category": texts(products.categories),
            "subcategory": texts(products.subcategories),
            "brand": ["Memberhouse"] * len(here),
            "size": texts(products.sizes),
            "colour": texts(products.colours),
            "season": texts(products.seasons),
            "list_price": money(products.price[here]),
            "unit_cost": money(products.cost[here]),
            "launched_on": pa.array(
                (np.datetime64(self.plan.first_day) + products.launched[here]).astype("datetime64[D]")
            ),
            "is_focus": pa.array(products.focus[here]),
        }

    def _target_rows(self, month: date, revision: int) -> dict[str, Any]:
        """Net sales and new members by store and month; every second store's are raised in mid-quarter."""
        stores = [store for store in range(self.stores.app) if self.stores.weight[store] > 0]
        if revision:
            stores = stores[::2]
        weight = self.stores.weight[stores] / self.stores.weight.sum()
        sales: Array = np.rint(weight * self.plan.members * (1.05 if revision else 1.0) * 300).astype(np.int64)
        recruits: Array = np.rint(weight * self.plan.members * 0.02 + 1).astype(np.int64)
        ids = [self.stores.ids[store] for store in stores]
        return {
            "store_id": pa.array([None, *ids, *ids], pa.string()),
            "period_type": ["month"] * (2 * len(ids) + 1),
            "period_start": [month] * (2 * len(ids) + 1),
            "metric": ["net_sales_amount"] * (len(ids) + 1) + ["new_members"] * len(ids),
            "value": money(np.concatenate([[sales.sum()], sales, recruits]) * 100),
            "revision": [revision] * (2 * len(ids) + 1),
        }

    def _note_rows(self, monday: date) -> dict[str, Any]:
        ids = self.stores.ids[:_PILOT_STORES]
        return {
            "store_id": [store for store in ids for _ in _PHASES],
            "week_start": [monday - timedelta(days=7)] * len(ids) * len(_PHASES),
            "phase": [phase for phase, _ in _PHASES] * len(ids),
            "text": [text for _, text in _PHASES] * len(ids),
        }

    def _rules(self) -> None:
        first, ids = self.plan.first_day, TIERS.to_pylist()
        self._land(
            "event_catalogue",
            0,
            {
                "name": [event[0] for event in EVENTS],
                "is_deliberate": [event[1] for event in EVENTS],
                "funnel_step": pa.array([event[2] for event in EVENTS], pa.string()),
                "category": [event[3] for event in EVENTS],
            },
        )
        self._land(
            "calendar",
            0,
            {
                "date": [event.day for event in self.calendar],
                "event_type": [event.event_type for event in self.calendar],
                "event_name": [event.name for event in self.calendar],
                "scope": pa.array([event.scope for event in self.calendar], pa.string()),
            },
        )
        begins = date(first.year - 3, 1, 1)
        self._land(
            "points_rules",
            0,
            {
                "valid_from": [begins],
                "earn_per_amount": money(np.array([100])),
                "unit_cost": money(np.array([1])),
                "breakage_rate": money(np.array([15])),
                "expiry_months": [EXPIRY_MONTHS],
            },
        )
        self._land(
            "tier_rules",
            0,
            {
                "valid_from": [begins] * len(ids),
                "tier": ids,
                "spend_365": money(TIER_SPEND),
                "grace_days": [GRACE_DAYS] * len(ids),
            },
        )
        self._land(
            "benefits",
            0,
            {
                "tier": [tier for tier, _, _ in BENEFITS],
                "benefit": [benefit for _, benefit, _ in BENEFITS],
                "unit_cost": money(np.array([round(cost * 100) for _, _, cost in BENEFITS])),
            },
        )
