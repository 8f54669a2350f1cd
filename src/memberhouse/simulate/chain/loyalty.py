"""The programme's accounts of each member: points in monthly lots, and tiers by the spend of 365 days."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from memberhouse.simulate.chain.clock import Clock
from memberhouse.simulate.chain.columns import Columns, size, stacked, taken
from memberhouse.simulate.chain.people import ACCOUNT, People
from memberhouse.simulate.chain.plan import NEVER, Array, Plan
from memberhouse.simulate.chain.tills import NOBODY, RETURN, SALE, Day, Tills

EARN, REDEEM, EXPIRE, ADJUST, REVERSE = range(5)
_TYPES = pa.array(["earn", "redeem", "expire", "adjust", "reverse"])
# The lots of the months in which points are still good, and of the current month.
EXPIRY_MONTHS = 12
_LOTS = EXPIRY_MONTHS + 1
POINTS_PER_YUAN = 100
_ENTRIES_A_DAY = 10_000_000


class Points:
    """The ledger: who earns what is net of a purchase in yuan, as points of the month's lot. A lot expires
    at the end of the twelfth month after its own; the oldest points are paid with first. Nobody's lot
    falls below zero: of a return no more is taken back than the lot still has."""

    def __init__(self, plan: Plan, people: People, tills: Tills, clock: Clock) -> None:
        self.plan, self.people, self.tills, self.clock = plan, people, tills, clock
        self._lots = np.zeros((people.total, _LOTS), dtype=np.int32)
        self._entries: list[Columns] = []
        self._number = 0

    def begin(self, day: Day) -> None:
        """Open the day; on the first of a month let the oldest lot expire."""
        self._entries = []
        self._number = 0
        if self.plan.date_of(day.number).day == 1:
            lot = self._month(day.number) % _LOTS
            who = np.flatnonzero(self._lots[:, lot] > 0)
            # the lot of twelve months ago lies where this month's will
            self._enter(
                day,
                EXPIRE,
                who,
                -self._lots[who, lot],
                np.full(len(who), day.start + 300),
                self._month(day.number) - _LOTS,
            )
            self._lots[who, lot] = 0

    def open_balances(self, day: Day, chance: np.random.Generator) -> None:
        """What existing members bring along."""
        who = np.arange(self.people.existing)
        who = who[chance.random(len(who)) < 0.7]
        points = chance.gamma(1.2, 260, len(who)).astype(np.int32)
        who, points = who[points > 0], points[points > 0]
        self._give(day, ADJUST, who, points, np.full(len(who), day.start + 60))

    def adjust(self, day: Day, who: Array, points: int, at: Array) -> None:
        """Give points as an apology."""
        self._give(day, ADJUST, who, np.full(len(who), points, dtype=np.int32), at)

    def pay(self, day: Day) -> None:
        """Some members pay up to a fifth of a purchase with points, the oldest first."""
        receipts = day.receipts
        member = receipts["member"]
        may = _counts(receipts) & (day.chance.random(size(receipts)) < 0.15)
        # one receipt a member and day
        where = np.flatnonzero(may)
        where = where[np.unique(member[where], return_index=True)[1]]
        balance = self._lots[member[where]].sum(axis=1)
        yuan = np.minimum(balance // POINTS_PER_YUAN, receipts["net"][where] // 500)
        where, yuan = where[yuan >= 2], yuan[yuan >= 2]
        receipts["points_paid"][where] = yuan * 100
        who, left = member[where], yuan * POINTS_PER_YUAN
        month = self._month(day.number)
        for age in range(_LOTS - 1, -1, -1):
            lot = (month - age) % _LOTS
            take = np.minimum(left, self._lots[who, lot])
            some = take > 0
            self._lots[who[some], lot] -= take[some].astype(np.int32)
            left = left - take
            self._enter(day, REDEEM, who[some], -take[some], receipts["at"][where[some]], month - age, where[some])

    def earn(self, day: Day) -> None:
        """A point a yuan of what a member's sales come to, and back from what members return."""
        receipts = day.receipts
        member = receipts["member"]
        points = receipts["net"] // 100
        where = np.flatnonzero(_counts(receipts) & (points > 0))
        receipts["earned"][where] = points[where]
        receipts["earned_entry"][where] = day.number * _ENTRIES_A_DAY + self._number + np.arange(len(where))
        self._give(day, EARN, member[where], points[where].astype(np.int32), receipts["at"][where] + 30, where)
        back = np.flatnonzero((receipts["kind"] == RETURN) & (receipts["earned"] > 0))
        months = np.array([self._month(int(each)) for each in receipts["orig_day"][back]], dtype=np.int64)
        lots = months % _LOTS
        # two returns of one member on one day draw on one lot: one after the other
        for place in range(len(back)):
            who = member[back[place]]
            take = min(
                -int(points[back[place]]), int(receipts["earned"][back[place]]), int(self._lots[who, lots[place]])
            )
            if take > 0:
                one = back[place : place + 1]
                self._lots[who, lots[place]] -= take
                self._enter(
                    day, REVERSE, member[one], np.array([-take]), receipts["at"][one] + 30, int(months[place]), one
                )

    def rows(self, day: Day) -> dict[str, Any] | None:
        """The day's entries; None without any."""
        if not self._entries:
            return None
        entries = stacked(self._entries)
        # a day can have entries and no receipt at all
        where = entries["where"]
        with_receipt = np.flatnonzero(where >= 0)
        place = np.cumsum(where >= 0) - 1
        receipts = taken(day.receipts, where[with_receipt])
        of_receipt = pa.array(place, mask=where < 0)
        reversed_entry = np.full(size(entries), -1)
        reversed_entry[with_receipt] = receipts["earned_entry"]
        reversed_entry[entries["type"] != REVERSE] = -1
        who = self.people.who(entries["who"])
        lot = pc.binary_join_element_wise(
            self.people.member(entries["who"]), "-", pa.array(_month_number(entries["month"])).cast(pa.string()), ""
        )
        return {
            "entry_id": _entry_ids(day.number * _ENTRIES_A_DAY + np.arange(size(entries))),
            **who,
            "type": _TYPES.take(pa.array(entries["type"])),
            "points": pa.array(entries["points"]),
            "lot_id": lot,
            **{name: column.take(of_receipt) for name, column in self.tills.key(day, receipts).items()},
            "reversed_entry_id": pc.if_else(pa.array(reversed_entry >= 0), _entry_ids(reversed_entry), None),
            "at": self.clock.iso(entries["at"]),
        }

    def _give(
        self, day: Day, entry_type: int, who: Array, points: Array, at: Array, where: Array | None = None
    ) -> None:
        month = self._month(day.number)
        np.add.at(self._lots[:, month % _LOTS], who, points)
        self._enter(day, entry_type, who, points, at, month, where)

    def _enter(
        self, day: Day, entry_type: int, who: Array, points: Array, at: Array, month: int, where: Array | None = None
    ) -> None:
        rows = len(who)
        if not rows:
            return
        self._number += rows
        self._entries.append(
            {
                "type": np.full(rows, entry_type),
                "who": who.astype(np.int64),
                "points": points.astype(np.int64),
                "at": at,
                "month": np.full(rows, month),
                "where": np.full(rows, -1) if where is None else where,
            }
        )

    def _month(self, day: int) -> int:
        when = self.plan.date_of(day)
        return when.year * 12 + when.month - 1


def _counts(receipts: Columns) -> Any:
    """Whether a receipt is a member's purchase in the eyes of the programme."""
    plain = ~receipts["voided"] & ~receipts["training"]
    return (receipts["kind"] == SALE) & (receipts["ident"] != NOBODY) & (receipts["net"] > 0) & plain


def _month_number(months: Array) -> Array:
    number: Array = months // 12 * 100 + months % 12 + 1
    return number


def _entry_ids(numbers: Array) -> pa.Array:
    return pc.binary_join_element_wise("P", pa.array(numbers).cast(pa.string()), "")


SILVER, GOLD, DIAMOND = range(3)
TIERS = pa.array(["silver", "gold", "diamond"])
# Net spend of 365 days, in cents.
TIER_SPEND = np.array([0, 500_000, 2_000_000])
GRACE_DAYS = 30
_REVERSAL_DAYS = 30
ENROLLED, OPENING, UPGRADE, KEPT, DOWNGRADE, RETURNED = range(6)
_REASONS = pa.array(["enrolled", "opening", "upgrade", "kept", "downgrade", "returned"])


class Tiers:
    """Silver, gold, diamond (银卡, 金卡, 钻石卡), judged each night; of those who have a card.

    Gold and diamond are good for twelve months, to the end of the month; then they are kept when the spend
    still reaches them, and after 30 days of grace lost by one step. An order that brought the upgrade and
    comes back within 30 days takes it back.
    """

    def __init__(self, plan: Plan, people: People) -> None:
        self.plan, self.people = plan, people
        self.tier = np.zeros(people.total, dtype=np.int8)
        self._until = np.full(people.total, NEVER, dtype=np.int32)
        self._since = np.full(people.total, -NEVER, dtype=np.int32)
        self._spend = np.zeros(people.total, dtype=np.int64)
        self._days: deque[tuple[Array, Array]] = deque()

    def opening(self, chance: np.random.Generator) -> dict[str, Any]:
        """The tiers that existing members bring along, by what they buy in a year."""
        people = self.people
        who = np.flatnonzero(people.kind[: people.existing] < ACCOUNT)
        spend = people.rate[who] * 365 * 36_000 * (people.drop_day[who] > -60)
        self.tier[who] = np.searchsorted(TIER_SPEND, spend, side="right") - 1
        above = who[self.tier[who] > SILVER]
        self._until[above] = self._month_ends(chance.integers(0, 360, len(above)))
        since = np.where(
            self.tier[who] > SILVER, np.maximum(self._until[who] - 365, people.enrol_day[who]), people.enrol_day[who]
        )
        return self._rows(who, np.minimum(since, -1), np.full(len(who), OPENING))

    def judge(self, day: Day, newcomers: Array) -> dict[str, Any] | None:
        """The day's changes: of who joined, bought, returned, or whose twelve months or grace are over."""
        people, receipts = self.people, day.receipts
        counted = (receipts["ident"] != NOBODY) & (receipts["kind"] != 3) & ~receipts["voided"] & ~receipts["training"]
        member, net = receipts["member"][counted], receipts["net"][counted]
        np.add.at(self._spend, member, net)
        self._days.append((member.astype(np.int32), net.astype(np.int32)))
        if len(self._days) > 365:
            before, amount = self._days.popleft()
            np.subtract.at(self._spend, before, amount)
        touched = np.unique(member)
        touched = touched[people.kind[touched] < ACCOUNT]
        earned = (np.searchsorted(TIER_SPEND, np.maximum(self._spend[touched], 0), side="right") - 1).astype(np.int8)
        up = earned > self.tier[touched]
        fresh = day.number - self._since[touched] <= _REVERSAL_DAYS
        back = (earned < self.tier[touched]) & fresh & np.isin(touched, member[net < 0])
        joined = people.joined_by(day.number)
        over = np.flatnonzero(self._until[:joined] == day.number)
        over = over[~np.isin(over, touched[up | back])]
        still = self._spend[over] >= TIER_SPEND[self.tier[over]]
        graced = np.flatnonzero(self._until[:joined] == day.number - GRACE_DAYS)
        graced = graced[~np.isin(graced, np.concatenate([touched[up | back], over]))]
        late = self._spend[graced] >= TIER_SPEND[self.tier[graced]]
        kept = np.concatenate([over[still], graced[late]])
        down = graced[~late]
        self.tier[touched[up | back]] = earned[up | back]
        self.tier[down] -= 1
        self._since[touched[up]] = day.number
        self._since[touched[back]] = -NEVER
        renewed = np.concatenate([touched[up], kept, down])
        self._until[renewed] = self._month_ends(np.full(len(renewed), day.number + 365))
        self._until[touched[back]] = self._month_ends(np.full(int(back.sum()), day.number + 365))
        self._until[self.tier == SILVER] = NEVER
        silver = newcomers[people.kind[newcomers] < ACCOUNT]
        tomorrow = np.concatenate([touched[up], touched[back], kept, down])
        if not len(silver) + len(tomorrow):
            return None
        reasons = [ENROLLED] * len(silver) + [UPGRADE] * int(up.sum()) + [RETURNED] * int(back.sum())
        reasons += [KEPT] * len(kept) + [DOWNGRADE] * len(down)
        # who joins is silver on the day, whatever the night brings
        tiers = np.concatenate([np.zeros(len(silver), dtype=np.int8), self.tier[tomorrow]])
        valid_from = np.concatenate([np.full(len(silver), day.number), np.full(len(tomorrow), day.number + 1)])
        return self._rows(np.concatenate([silver, tomorrow]), valid_from, np.array(reasons), tiers)

    def _rows(self, who: Array, valid_from: Array, reasons: Array, tiers: Array | None = None) -> dict[str, Any]:
        return {
            "card_no": self.people.card_no(who),
            "tier": TIERS.take(pa.array(self.tier[who] if tiers is None else tiers)),
            "valid_from": pa.array((np.datetime64(self.plan.first_day) + valid_from).astype("datetime64[D]")),
            "reason": _REASONS.take(pa.array(reasons)),
        }

    def _month_ends(self, days: Array) -> Array:
        """The last day of each day's month, as day numbers."""
        first = np.datetime64(self.plan.first_day)
        months = (first + days.astype("timedelta64[D]")).astype("datetime64[M]") + 1
        ends: Array = (months.astype("datetime64[D]") - first).astype(np.int64) - 1
        return ends
