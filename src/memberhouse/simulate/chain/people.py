"""The people: when they join, how often they buy, when they stop, and by what they are known.

Kept in arrays over people, in the order in which they join; prospects, who never join, come last.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from memberhouse.simulate.chain.plan import NEVER, PEOPLE, Array, Plan
from memberhouse.simulate.chain.world import GROUPS, Staff, Stores, people_names

CARD, CARD_AND_ACCOUNT, ACCOUNT, PROSPECT = range(4)
IN_STORE, IN_APP, IN_MINI_PROGRAM = range(3)
CHANNELS = pa.array(["store", "app", "mini_program"])
METHODS = pa.array(["tablet", "scan", "referral", "self"])
TABLET, SCAN, REFERRAL, SELF = range(4)
ACTIVE, CLOSED, BLOCKED, STAFF, TEST = range(5)
STATUSES = pa.array(["active", "closed", "blocked", "staff", "test"])
GENDERS = pa.array(["female", "male", None])
OCCUPATIONS = pa.array(["teacher", "office", "nurse", "civil_servant", "self_employed", "full_time_parent", None, None])
# Channels of consent: a bit each.
CONSENT_CHANNELS = ("wechat", "sms", "call")

MEAN_RATE = 1 / 48
RATE_SHAPE = 1.1
DROP_OUT_SHAPE = 1.6
DROP_OUT_SCALE = 420.0
PROSPECT_SHARE = 0.05

_FIRST_CARD = 6_600_000_000
_FIRST_SECOND_CARD = 6_700_000_000
_FIRST_ACCOUNT = 10_000_000
_FIRST_SECOND_ACCOUNT = 20_000_000
# Invented: a prime number of phone numbers, visited in an order that looks like chance.
_PHONES, _PHONE_STEP = 799_999_999, 387_420_489


@dataclass
class Fraud:
    """What the messy chain's people do that they should not. People by their number, staff too."""

    burst: Array = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    burst_day: int = NEVER
    burst_store: int = 0
    burst_staff: int = 0
    staff_phones: dict[int, int] = field(default_factory=dict)
    backdated: dict[int, int] = field(default_factory=dict)
    shared_card: int = -1
    shared_day: int = NEVER


class Agenda:
    """Which people have something on which day. Days before the first are on the first."""

    def __init__(self, days: Array, number_of_days: int) -> None:
        counted = np.clip(days, 0, number_of_days)
        self._order = np.argsort(counted, kind="stable").astype(np.int32)
        self._starts = np.searchsorted(counted[self._order], np.arange(number_of_days + 1))

    def on(self, day: int) -> Array:
        return np.sort(self._order[self._starts[day] : self._starts[day + 1]]).astype(np.int64)


class People:
    """The state of everyone, an array each.

    enrol_day: when they join (negative: before the first date). drop_day: the day from which they never
    buy again. rate: probability of buying on an average day while active. kind: by what they are known.
    status: who is closed, blocked, staff or test does not buy. account_at, enrol_at: the instants.
    """

    def __init__(self, plan: Plan, stores: Stores, staff: Staff) -> None:
        chance = plan.chance(PEOPLE)
        members = plan.members
        total = members + max(round(members * PROSPECT_SHARE), 1)
        self.plan, self.members, self.total = plan, members, total
        existing = members // 3
        self.existing = existing
        enrol = np.concatenate(
            [
                np.sort(chance.integers(-900, 0, existing)),
                np.sort(chance.integers(0, plan.days, members - existing)),
                np.full(total - members, NEVER),
            ]
        )
        self.fraud = Fraud()
        if plan.messy:
            enrol = self._plant_fraud(enrol, stores, staff)
        self.enrol_day = enrol.astype(np.int32)
        self.rate = np.minimum(chance.gamma(RATE_SHAPE, MEAN_RATE / RATE_SHAPE, total), 0.5).astype(np.float32)
        hazard = chance.gamma(DROP_OUT_SHAPE, 1 / DROP_OUT_SHAPE / DROP_OUT_SCALE, total)
        lifetime = np.minimum(chance.exponential(1.0, total) / np.maximum(hazard, 1e-6), 100_000)
        self.drop_day = (enrol + 1 + lifetime).astype(np.int32)
        kind = chance.choice(3, total, p=[0.42, 0.46, 0.12])
        kind[members:] = PROSPECT
        kind[self.fraud.burst] = CARD
        kind[list(self.fraud.backdated)] = CARD
        self.kind = kind.astype(np.int8)
        self.channel = np.where(
            kind == CARD,
            IN_STORE,
            np.where(kind == ACCOUNT, IN_APP, chance.choice(3, total, p=[0.7, 0.05, 0.25])),
        ).astype(np.int8)
        self.method = np.where(
            self.channel == IN_STORE, np.where(chance.random(total) < 0.7, TABLET, SCAN), SELF
        ).astype(np.int8)
        self.method[(chance.random(total) < 0.07) & (np.arange(total) > 0)] = REFERRAL
        # an account is opened on joining in the app, else within months; some are prospects for a while before
        later = np.where(self.channel == IN_STORE, chance.exponential(60, total).astype(int), 0)
        before = np.where(chance.random(total) < 0.15, chance.integers(1, 120, total), 0)
        opened = np.where(before > 0, enrol - before, enrol + later)
        opened[members:] = chance.integers(-300, plan.days, total - members)
        self.account_day = np.where(kind == CARD, NEVER, opened).astype(np.int32)
        linked = np.maximum(opened, enrol) + np.where(
            chance.random(total) < 0.7, 0, chance.exponential(45, total).astype(int)
        )
        never_linked = chance.random(total) < 0.1
        self.link_day = np.where((kind == CARD_AND_ACCOUNT) & ~never_linked, linked, NEVER).astype(np.int32)
        # a second account or card, made by mistake, and the day on which the accounts are merged
        second = (self.link_day < NEVER) & (chance.random(total) < 0.012)
        self.second_account_day = np.where(
            second, np.maximum(self.link_day, 0) + chance.integers(5, 60, total), NEVER
        ).astype(np.int32)
        self.merge_day = np.where(second, self.second_account_day + chance.integers(10, 90, total), NEVER).astype(
            np.int32
        )
        if plan.messy:
            # one merge at least, in time to be taken back
            known = np.flatnonzero(self.link_day < 0)[:1]
            self.second_account_day[known], self.merge_day[known] = plan.days // 4, plan.days // 3
            second[known] = True
        second_card = (self.link_day < NEVER) & ~second & (chance.random(total) < 0.006)
        self.second_card_day = np.where(
            second_card, np.maximum(self.link_day, 0) + chance.integers(5, 90, total), NEVER
        ).astype(np.int32)
        self.group = chance.choice(GROUPS, total, p=[0.4, 0.2, 0.4]).astype(np.int8)
        self.enrol_at = np.full(total, -1, dtype=np.int64)
        self.recruit = np.full(total, -1, dtype=np.int16)
        self.home = np.full(total, -1, dtype=np.int16)
        self.recruiter = np.full(total, -1, dtype=np.int32)
        self.carer = np.full(total, -1, dtype=np.int32)
        self.account_at = np.full(total, -1, dtype=np.int64)
        self.status = np.zeros(total, dtype=np.int8)
        self.verified = chance.random(total) < 0.8
        self.last_buy = np.full(total, -NEVER, dtype=np.int32)
        self.consents = np.zeros(total, dtype=np.uint8)
        self.bought_days = np.zeros(total, dtype=np.int32)
        self.receipts = np.zeros(total, dtype=np.int32)
        self.net = np.zeros(total, dtype=np.int64)
        self.birthday_on = _month_and_day(np.arange(total))
        self._phone = np.arange(total, dtype=np.int64)
        self._reassign_phones(chance)
        self._staff_phones = staff.phones
        self.joining = Agenda(self.enrol_day, plan.days)
        self.opening_account = Agenda(self.account_day, plan.days)
        self.linking = Agenda(self.link_day, plan.days)
        self.second_accounts = Agenda(self.second_account_day, plan.days)
        self.merging = Agenda(self.merge_day, plan.days)
        self.second_cards = Agenda(self.second_card_day, plan.days)

    @property
    def out(self) -> Array:
        """Who is closed, blocked, staff or test at the moment."""
        return self.status > ACTIVE

    def joined_by(self, day: int) -> int:
        """How many have joined by the close of the day: the first so many."""
        return int(np.searchsorted(self.enrol_day[: self.members], day, side="right"))

    def _reassign_phones(self, chance: np.random.Generator) -> None:
        """A carrier gives numbers of people who stopped coming to people who join later."""
        count = self.members // 400
        gone = np.flatnonzero((self.drop_day < self.plan.days) & (self.enrol_day < 0))
        holders = chance.permutation(gone)[:count]
        newcomers = chance.permutation(np.arange(self.existing, self.members))[: len(holders)]
        good = self.enrol_day[newcomers] > self.drop_day[holders[: len(newcomers)]] + 30
        self._phone[newcomers[good]] = holders[: len(newcomers)][good]

    def _plant_fraud(self, enrol: Array, stores: Stores, staff: Staff) -> Array:
        chance = self.plan.chance(PEOPLE, 1)
        fraud = self.fraud
        new = np.arange(self.existing, self.members)
        fraud.burst_day = self.plan.days // 2
        fraud.burst_store = int(np.argmax(np.where(stores.opened < 0, stores.weight, 0)))
        here, starts, count = staff.working(fraud.burst_day, stores.app + 1)
        fraud.burst_staff = int(here[starts[fraud.burst_store] + count[fraud.burst_store] - 1])
        enrol = enrol.copy()
        size = min(24, len(new) // 4)
        enrol[chance.permutation(new)[:size]] = fraud.burst_day
        enrol[new] = np.sort(enrol[new])
        same_day = np.flatnonzero(enrol == fraud.burst_day)
        fraud.burst = same_day[:size]
        others = chance.permutation(np.setdiff1d(new, same_day))
        fraud.staff_phones = {int(who): int(chance.integers(0, len(staff.phones))) for who in others[:3]}
        fraud.backdated = dict(zip((int(who) for who in others[3:7]), (5, 29, 30, 45), strict=False))
        fraud.shared_day = self.plan.days * 2 // 5
        fraud.shared_card = int(chance.integers(0, max(self.existing, 1)))
        return enrol

    # ---------------------------------------------------------------- by what they are known

    def card_no(self, who: Array) -> pa.Array:
        """The card number; empty for those who have none."""
        return pa.array(who.astype(np.int64) + _FIRST_CARD, mask=self.kind[who] >= ACCOUNT).cast(pa.string())

    def account_id(self, who: Array, second: Array | None = None) -> pa.Array:
        """The account's number, or where `second` the number of the second account, whoever has one."""
        first = np.where(second, _FIRST_SECOND_ACCOUNT, _FIRST_ACCOUNT) if second is not None else _FIRST_ACCOUNT
        return pc.binary_join_element_wise("A", pa.array(who.astype(np.int64) + first).cast(pa.string()), "")

    def second_card_no(self, who: Array) -> pa.Array:
        return pa.array(who.astype(np.int64) + _FIRST_SECOND_CARD).cast(pa.string())

    def member(self, who: Array) -> pa.Array:
        """Card number, or account id for those without a card; empty for −1."""
        known = np.maximum(who, 0)
        by_card = pa.array(self.kind[known] < ACCOUNT)
        named = pc.if_else(by_card, self.card_no(known), self.account_id(known))
        return pc.if_else(pa.array(who >= 0), named, None)

    def who(self, who: Array) -> dict[str, Any]:
        """The columns account_id and card_no: the card where there is one."""
        has_card = pa.array(self.kind[who] < ACCOUNT)
        return {"account_id": pc.if_else(has_card, None, self.account_id(who)), "card_no": self.card_no(who)}

    # ---------------------------------------------------------------- personal columns

    def phone(self, who: Array) -> pa.Array:
        numbers = 13_000_000_000 + self._phone[who] * _PHONE_STEP % _PHONES
        texts = pa.array(numbers).cast(pa.string())
        if self.fraud.staff_phones:
            planted = [self.fraud.staff_phones.get(int(each), -1) for each in who]
            if max(planted, default=-1) >= 0:
                staff = [self._staff_phones[each] if each >= 0 else None for each in planted]
                texts = pc.coalesce(pa.array(staff, pa.string()), texts)
        return texts

    def name(self, who: Array) -> pa.Array:
        return pa.array(people_names(stable_hash(who, 1) % 100_000), pa.string())

    def gender(self, who: Array) -> pa.Array:
        return GENDERS.take(pa.array(np.searchsorted([70, 92], stable_hash(who, 2) % 100, side="right")))

    def birthday(self, who: Array) -> pa.Array:
        """1960 to 2005; a sixth is empty, some say 1900-01-01, which tills write for unknown."""
        days, unknown, empty = _born(who)
        return pa.array(np.where(unknown, -25_567, days).astype("datetime64[D]"), mask=empty).cast(pa.date32())

    def occupation(self, who: Array) -> pa.Array:
        return OCCUPATIONS.take(pa.array((stable_hash(who, 4) % len(OCCUPATIONS)).astype(np.int64)))

    def email(self, who: Array) -> pa.Array:
        """A fifth gives one."""
        texts = pc.binary_join_element_wise("member", pa.array(who).cast(pa.string()), "@example.com", "")
        return pc.if_else(pa.array(stable_hash(who, 5) % 5 == 0), texts, None)

    def openid(self, who: Array) -> pa.Array:
        return pc.binary_join_element_wise("o", pa.array(stable_hash(who, 6)).cast(pa.string()), "")


def _born(who: Array) -> tuple[Array, Array, Array]:
    """Days since 1970; whether the till wrote its word for unknown; whether it wrote nothing."""
    chance = stable_hash(who, 3)
    days = (chance % 16_000).astype(np.int64) - 3650
    return days, (chance >> np.uint64(20)) % 50 == 0, (chance >> np.uint64(30)) % 6 == 0


def _month_and_day(who: Array) -> Array:
    """The birthday as month × 100 + day; 0 where it is not known."""
    days, unknown, empty = _born(who)
    dates = days.astype("datetime64[D]")
    months = dates.astype("datetime64[M]")
    of_month = (dates - months.astype("datetime64[D]")).astype(np.int64) + 1
    month = months.astype(np.int64) % 12 + 1
    return np.where(unknown | empty, 0, month * 100 + of_month).astype(np.int16)


def stable_hash(numbers: Array, salt: int) -> Array:
    """A number of 64 bits for each number: SplitMix64, the same on every machine."""
    mixed = numbers.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(salt * 0x94D049BB133111EB % (1 << 64))
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
