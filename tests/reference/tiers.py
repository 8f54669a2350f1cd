"""Tiers, the slow way: each member's tier on each day, by the source system and by the rules.

Nothing here knows the warehouse's SQL. A member's days are walked one by one. On each, everything that was bought,
returned and done so far is added up anew, and the rules are applied as they are written down in words: first what the
day itself brings (an order that brought the tier comes back; the rules no longer know the tier), then the night.

Readings of the words that they leave open, fixed here:

* what is earned on a day holds from the next day on, because it is judged in the night;
* a tier is valid for twelve months from the day it was earned, to the end of that month, and judged at its close;
* the days of grace follow; the first night in grace on which the tier is reached again keeps it, for twelve months
  from then; after the last one it is one step less, for twelve months from then;
* the first tier, which asks for nothing, never ends;
* the order that brought a tier is the last one of its day by which the spend rose to what the tier asks for; what was
  reached by anything else has no order;
* it was returned when nothing of it is kept; that takes the tier away when the spend no longer reaches it, down to the
  last tier below that the spend reaches or whose own order was not returned in time, with the validity that it had;
* before the first sales are known nothing is expected; who was a member before them begins with the source's tier.
"""

from __future__ import annotations

import calendar
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache
from typing import Any

import pandas as pd
from tests.reference.day_by_day import RECEIPT_KEY
from tests.reference.identity import OPEN_END, Identity, Said

ONE_DAY = timedelta(days=1)
ALWAYS = date(1, 1, 1)
NO_TIER = "none"
NOT_FED = "not_fed"
WINDOW, ENGAGEMENT_WINDOW, REVERSAL_DAYS, VALID_MONTHS = 365, 30, 30, 12


@dataclass(frozen=True)
class Rule:
    """What a tier asks for from a date on; money in cents."""

    tier: str
    valid_from: date
    spend_cents: int
    purchase_days: int = 0
    tenure_days: int = 0
    engagement: int = 0
    grace_days: int = 30

    @property
    def asks_nothing(self) -> bool:
        return max(self.spend_cents, self.purchase_days, self.tenure_days, self.engagement) <= 0


SHIPPED = (
    Rule("silver", date(2000, 1, 1), 0),
    Rule("gold", date(2000, 1, 1), 500_000),
    Rule("diamond", date(2000, 1, 1), 2_000_000),
)


@dataclass(frozen=True)
class Order:
    """A receipt with money: in cents, less than 0 where more came back; gone_on: when the last of it came back."""

    receipt_no: str
    day: date
    place_in_day: Any
    cents: int
    gone_on: date | None = None


@dataclass
class Life:
    """What is known of a member by the as-of date. purchases: each purchase day, and until when it counts."""

    enrolled_on: date
    orders: Sequence[Order] = ()
    purchases: Sequence[tuple[date, date]] = ()
    deeds: Sequence[date] = ()
    left_on: date = date(9999, 12, 31)


class Book:
    """The rules: those that are fed, from their first date on; the shipped ones before."""

    def __init__(self, fed: Sequence[Rule] = (), shipped: Sequence[Rule] = SHIPPED) -> None:
        self._fed, self._shipped = fed, shipped
        self._fed_from = min((rule.valid_from for rule in fed), default=date.max)
        last = {rule.tier: rule for rule in sorted([*self._old(), *fed], key=lambda rule: rule.valid_from)}
        ladder = sorted(
            last.values(),
            key=lambda rule: (rule.spend_cents, rule.purchase_days, rule.tenure_days, rule.engagement, rule.tier),
        )
        self.ladder = [NO_TIER, *(rule.tier for rule in ladder)]
        self._days: dict[date, dict[str, Rule]] = {}

    def _old(self) -> list[Rule]:
        return [rule for rule in self._shipped if rule.valid_from < self._fed_from]

    def on(self, day: date) -> dict[str, Rule]:
        """The rule of each tier on a day, the lowest tier first."""
        if day not in self._days:
            self._days[day] = self._look_up(day)
        return self._days[day]

    def _look_up(self, day: date) -> dict[str, Rule]:
        said = self._fed if day >= self._fed_from else self._shipped
        in_force = {
            rule.tier: rule for rule in sorted(said, key=lambda rule: rule.valid_from) if rule.valid_from <= day
        }
        return {tier: in_force[tier] for tier in self.ladder if tier in in_force}

    def place(self, tier: str) -> int:
        return self.ladder.index(tier)

    def one_step_down(self, tier: str, day: date) -> str:
        below = [other for other in self.on(day) if self.place(other) < self.place(tier)]
        return below[-1] if below else NO_TIER


def valid_until(day: date) -> date:
    """Twelve months on, the end of the month."""
    year, month = day.year + (day.month - 1 + VALID_MONTHS) // 12, (day.month - 1 + VALID_MONTHS) % 12 + 1
    return date(year, month, calendar.monthrange(year, month)[1])


@dataclass
class Held:
    """A tier that is had. until: its last day (None: it never ends); grace_to: the last day of grace, in grace."""

    tier: str
    since: date
    reason: str
    until: date | None = None
    grace_to: date | None = None
    order: Order | None = None
    below: Held | None = field(default=None, repr=False)

    def was_returned(self, day: date) -> bool:
        """Whether the order that brought it had come back by then, soon enough."""
        gone_on = self.order.gone_on if self.order else None
        return gone_on is not None and gone_on <= day and (gone_on - self.order.day).days <= REVERSAL_DAYS


@dataclass(frozen=True)
class Expected:
    """What is expected on a day."""

    tier: str
    in_grace: bool
    reason: str
    since: date
    receipt_no: str | None
    next_review_on: date | None


def spend(life: Life, day: date) -> int:
    return sum(order.cents for order in life.orders if 0 <= (day - order.day).days < WINDOW)


def reached(life: Life, book: Book, day: date) -> str:
    """The highest tier all of whose conditions hold at the close of the day."""
    money = max(spend(life, day), 0)
    bought = sum(1 for on, until in life.purchases if 0 <= (day - on).days < WINDOW and day < until)
    done = sum(1 for on in life.deeds if 0 <= (day - on).days < ENGAGEMENT_WINDOW)
    best = NO_TIER
    for tier, rule in book.on(day).items():
        if (
            money >= rule.spend_cents
            and bought >= rule.purchase_days
            and (day - life.enrolled_on).days >= rule.tenure_days
            and done >= rule.engagement
        ):
            best = tier
    return best


def order_that_brought(life: Life, asked: int, day: date) -> Order | None:
    """The last order of the day by which the spend rose to what is asked."""
    of_day = sorted((order for order in life.orders if order.day == day), key=lambda order: order.place_in_day)
    money = spend(life, day) - sum(order.cents for order in of_day)
    found = None
    for order in of_day:
        if money < asked <= money + order.cents:
            found = order
        money += order.cents
    return found


def _earned(book: Book, tier: str, day: date, since: date, reason: str) -> Held:
    rule = book.on(day).get(tier)
    return Held(tier, since, reason, None if rule is None or rule.asks_nothing else valid_until(day))


def _opening(book: Book, life: Life, first_day: date, brought: tuple[str, date] | None) -> Held:
    begin = max(life.enrolled_on, first_day)
    free = [tier for tier, rule in book.on(begin).items() if rule.asks_nothing]
    held = Held(free[-1] if free else NO_TIER, begin, "enrolled")
    if life.enrolled_on < first_day and brought and brought[0] in book.on(begin):
        tier, told_on = brought
        if book.place(tier) > book.place(held.tier):
            held = Held(tier, begin, "opening")
            if not book.on(begin)[tier].asks_nothing:
                held.until = valid_until(told_on - ONE_DAY)
                while held.until < begin:
                    held.until = valid_until(held.until)
    return held


def _after_return(held: Held, book: Book, now: str, day: date) -> Held:
    place = book.place
    while held.below and held.was_returned(day) and place(now) < place(held.tier):
        held = held.below
    grace = book.on(day)[held.tier].grace_days if held.tier in book.on(day) else 0
    if place(now) > place(held.tier) or (place(now) == place(held.tier) and held.until and day > held.until):
        return _earned(book, now, day, day, "reversed")
    if held.until is None or day <= held.until:
        return Held(held.tier, day, "reversed", held.until, None, held.order, held.below)
    if day <= held.until + grace * ONE_DAY:
        return Held(held.tier, day, "reversed", held.until, held.until + grace * ONE_DAY, held.order, held.below)
    return _earned(book, book.one_step_down(held.tier, day), day, day, "reversed")


def _night(held: Held, life: Life, book: Book, now: str, day: date) -> Held:
    """What is had from the next day on."""
    place, tomorrow = book.place, day + ONE_DAY
    if place(now) > place(held.tier):
        up = _earned(book, now, day, tomorrow, "upgraded")
        rule = book.on(day)[now]
        if not rule.asks_nothing:
            up.order = order_that_brought(life, rule.spend_cents, day)
        up.below = held
        return up
    if held.grace_to is not None:
        if now == held.tier:
            return _earned(book, now, day, tomorrow, "kept")
        if day == held.grace_to:
            return _earned(book, book.one_step_down(held.tier, day), day, tomorrow, "downgraded")
    elif held.until == day:
        grace = book.on(day)[held.tier].grace_days
        if now == held.tier:
            return _earned(book, now, day, tomorrow, "kept")
        if grace > 0:
            return Held(held.tier, tomorrow, "grace", held.until, held.until + grace * ONE_DAY)
        return _earned(book, book.one_step_down(held.tier, day), day, tomorrow, "downgraded")
    return held


def expected_by_day(
    life: Life, book: Book, first_day: date, as_of: date, brought: tuple[str, date] | None = None
) -> Iterator[tuple[date, Expected]]:
    """Each day on which something is expected. brought: the source's tier as sales begin, and since when."""
    held = _opening(book, life, first_day, brought)
    day = held.since
    while day <= min(as_of, life.left_on - ONE_DAY):
        now = reached(life, book, day)
        is_back = held.order is not None and held.order.gone_on == day and held.was_returned(day)
        if is_back and day > held.order.day and book.place(now) < book.place(held.tier) and held.tier in book.on(day):
            held = _after_return(held, book, now, day)
        if held.tier != NO_TIER and held.tier not in book.on(day):
            held = _earned(book, now, day, day, "rules_changed")
        yield (
            day,
            Expected(
                held.tier,
                held.grace_to is not None,
                held.reason,
                held.since,
                held.order.receipt_no if held.order and held.reason == "upgraded" else None,
                held.grace_to or held.until,
            ),
        )
        held = _night(held, life, book, now, day)
        day += ONE_DAY


# ------------------------------------------------------------------------------------------ the source's tier


@dataclass(frozen=True)
class Told:
    """What the source said of a card: a tier from a day on."""

    card_no: str
    tier: str
    valid_from: date
    reason: str | None = None


def source_tier(
    told: Sequence[Told],
    whose: Mapping[str, Callable[[date], bool]],
    joined_on: Mapping[str, date],
    places: Mapping[str, int],
    day: date,
) -> Told | None:
    """What counts of a member on a day: the highest of what was said last of each of its cards, unless something was
    said later of another card, after the two were joined.

    told: of the member's cards, in the order in which it was delivered; whose: for each card a function that says
    whether it is the member's on a day; places: of tiers, the higher the more.
    """
    last: dict[str, Told] = {}
    for row in told:
        if row.valid_from <= day and (row.card_no not in last or row.valid_from >= last[row.card_no].valid_from):
            last[row.card_no] = row
    counted = []
    for row in last.values():
        if not whose[row.card_no](day):
            continue
        joined = joined_on.get(row.card_no, ALWAYS)
        reviewed = any(
            other.card_no != row.card_no
            and row.valid_from < other.valid_from <= day
            and other.valid_from >= max(joined, joined_on.get(other.card_no, ALWAYS))
            and whose[other.card_no](other.valid_from)
            for other in told
        )
        if not reviewed:
            counted.append(row)
    return max(counted, key=lambda row: (places[row.tier], row.valid_from), default=None)


# ------------------------------------------------------------------------------------------------ of all members


@dataclass(frozen=True)
class Standing:
    """A member's tier on a day, by the source system and by the rules (None: nothing is expected)."""

    tier: str
    expected: Expected | None


class Members:
    """The tiers of all members, from what is known of them at the close of ``as_of``.

    facts: judged receipts with their member's id for card number, as `judge_receipts` answers them; sold_at: the
    moment of each, by its key; told: in the order in which it was delivered; deeds: by member, the days of what it
    did deliberately; said: what was said of members, in order.
    """

    def __init__(
        self,
        identity: Identity,
        facts: pd.DataFrame,
        as_of: date,
        book: Book,
        *,
        sold_at: Mapping[tuple[Any, ...], pd.Timestamp],
        told: Sequence[Told] = (),
        deeds: Mapping[str, Sequence[date]] | None = None,
        said: Sequence[Said] = (),
    ) -> None:
        self.book, self._identity, self._as_of, self._said = book, identity, as_of, said
        self._facts = facts[~facts["is_staff_sale"] & ~facts["is_wholesale"]]
        self._sold_at, self._deeds = sold_at, deeds or {}
        self.first_day = min(facts["business_date"])
        # prospects, too: the source may say something of their cards
        self.members = {
            member.member_id: member
            for member in identity.members()
            if member.enrolled_on < member.merged_on or member.enrolled_on > as_of
        }
        told = [row for row in told if row.valid_from <= as_of]
        self._told_of: dict[str, list[Told]] = defaultdict(list)
        for row in told:
            for holder in identity.holders(row.card_no):
                self._told_of[holder].append(row)
        self._joined_on = {
            member.member_id: member.merged_on for member in identity.members() if member.merged_on != OPEN_END
        }
        unknown = sorted({row.tier for row in told} - set(book.ladder))
        self._places = {tier: place for place, tier in enumerate([*unknown, *book.ladder])}

    def life(self, member_id: str) -> Life:
        mine = self._facts[self._facts["card_no"] == member_id]
        rows = mine.to_dict("records")
        orders = [
            Order(
                row["receipt_no"],
                row["business_date"],
                self._sold_at[tuple(row[column] for column in RECEIPT_KEY)],
                row["net_cents"],
                row["stopped_on"],
            )
            for row in rows
        ]
        until: dict[date, date] = {}
        for row in rows:
            day = row["business_date"]
            if row["qualifies_at_sale"]:
                until[day] = max(until.get(day, day), row["stopped_on"] or OPEN_END)
        member = self.members[member_id]
        deeds = self._deeds.get(member_id, ())
        return Life(member.enrolled_on, orders, list(until.items()), deeds, member.merged_on)

    def source(self, member_id: str, day: date) -> Told | None:
        """What the source said last that counts on a day."""
        mine = self._told_of[member_id]
        whose = {card: self._is_of(card, member_id) for card in {row.card_no for row in mine}}
        return source_tier(mine, whose, self._joined_on, self._places, day)

    def _is_of(self, card_no: str, member_id: str) -> Callable[[date], bool]:
        return lambda day: self._whose(card_no, day) == member_id

    @cache  # noqa: B019  (lives as long as what it remembers)
    def _whose(self, card_no: str, day: date) -> str | None:
        return self._identity.whose("card", card_no, day)

    def expected(self, member_id: str) -> dict[date, Expected]:
        if self.members[member_id].enrolled_on > self._as_of:
            return {}
        brought = self.source(member_id, self.first_day)
        begun = None
        if brought:
            since = self.first_day
            while (before := self.source(member_id, since - ONE_DAY)) and before.tier == brought.tier:
                since -= ONE_DAY
            begun = (brought.tier, since)
        return dict(expected_by_day(self.life(member_id), self.book, self.first_day, self._as_of, begun))

    def by_day(self, member_id: str) -> Iterator[tuple[date, Standing]]:
        """Each day on which something was told or is expected of a member, or nothing of who is one."""
        member, expected = self.members[member_id], self.expected(member_id)
        day = min([member.enrolled_on, *(row.valid_from for row in self._told_of[member_id])])
        while day < min(self._as_of + ONE_DAY, member.merged_on):
            source = self.source(member_id, day)
            if source or day >= member.enrolled_on:
                yield day, Standing(source.tier if source else NOT_FED, expected.get(day))
            day += ONE_DAY

    def is_valid(self, member_id: str, day: date) -> bool:
        """Whether it is a member on the day, and neither left nor flagged."""
        member = self.members[member_id]
        flags = set()
        for entry in self._said:
            if entry.member_id == member_id and entry.day <= day:
                (flags.add if entry.is_set else flags.discard)((entry.of, entry.flag))
        return member.enrolled_on <= day < member.merged_on and not flags

    def migration_monthly(self) -> dict[tuple[date, str, str], int]:
        """How many members went from which tier to which, by month: NEW and X stand for no valid member."""
        counts: dict[tuple[date, str, str], int] = defaultdict(int)
        month = self.first_day.replace(day=1)
        while month <= self._as_of:
            following = (month + timedelta(days=31)).replace(day=1)
            opening, closing = month - ONE_DAY, min(following - ONE_DAY, self._as_of)
            for member_id in self.members:
                stands = []
                for day in (opening, closing):
                    tier = self.source(member_id, day)
                    stands.append((tier.tier if tier else NOT_FED) if self.is_valid(member_id, day) else None)
                if stands != [None, None]:
                    counts[month, stands[0] or "NEW", stands[1] or "X"] += 1
            month = following
        return counts
