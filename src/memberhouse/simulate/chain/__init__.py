"""A simulated chain for clothing, mother and baby (服装、母婴), as landed batches of every feed.

What is simulated, which truth is written beside it and what a messy chain plants is described in
docs/simulated-chain.md.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa

from memberhouse.simulate.chain import outreach as saying
from memberhouse.simulate.chain.clock import Clock
from memberhouse.simulate.chain.landing import Lander
from memberhouse.simulate.chain.life import Life
from memberhouse.simulate.chain.loyalty import Points, Tiers
from memberhouse.simulate.chain.mess import Mess
from memberhouse.simulate.chain.misdeeds import misdeeds
from memberhouse.simulate.chain.office import Office
from memberhouse.simulate.chain.outreach import Outreach, Tables
from memberhouse.simulate.chain.people import People
from memberhouse.simulate.chain.plan import DAY, DEFAULT_UNTIL, Plan
from memberhouse.simulate.chain.tills import Day, Tills
from memberhouse.simulate.chain.truth import FOLDER, Truth
from memberhouse.simulate.chain.world import POP_UP, day_factors, make_calendar, make_products, make_staff, make_stores
from memberhouse.sources.feeds import FEEDS

__all__ = ["DEFAULT_UNTIL", "Plan", "write_chain"]


def write_chain(
    out: Path,
    *,
    members: int,
    days: int,
    seed: int,
    messy: bool = False,
    until: date = DEFAULT_UNTIL,
    store_days: int = 7,
    progress: Callable[[str], None] | None = None,
) -> Plan:
    """Write a chain of `members` over the `days` up to `until` as landed batches under `out`, and the truth
    under ``<out>/truth``. The same arguments give the same bytes.

    members: who have joined by the last date, a third of them before the first. messy: with planted faults,
    each in the ledger. store_days: how many of the last dates come as one batch a store. progress: told
    every 50 dates. Memory is bounded by the members and one day's rows, not by the dates.
    """
    plan = Plan(members, days, seed, messy, until, store_days)
    tell = progress or (lambda message: None)
    chain = _Chain(out, plan)
    for day in range(days):
        chain.live(day)
        if (day + 1) % 50 == 0 or day + 1 == days:
            tell(f"wrote {day + 1} of {days} business dates")
    chain.truth.write(out, chain.lander, chain.outreach)
    if messy:
        tell("planting faults")
        _plant(chain, out, tell)
    return plan


def _plant(chain: _Chain, out: Path, tell: Callable[[str], None]) -> None:
    """What people did already, and what happens to the files."""
    mess = Mess(out, chain.plan, chain.lander)
    stores = chain.stores
    mess.plant(int(stores.opened[stores.ids.index(POP_UP)]))
    for fault in misdeeds(chain.people, chain.staff, stores, chain.life.unmerged):
        mess.note(fault)
    mess.write(out / FOLDER)
    if mess.without_room:
        tell(f"too small a chain for: {', '.join(sorted(set(mess.without_room)))}")


class _Chain:
    """All parts together, and the order in which a day passes."""

    def __init__(self, out: Path, plan: Plan) -> None:
        self.plan = plan
        self.stores = make_stores(plan)
        self.staff = make_staff(plan, self.stores)
        products, calendar = make_products(plan), make_calendar(plan)
        self.clock = Clock(self.stores.zones, plan.first_day, plan.until)
        self.people = People(plan, self.stores, self.staff)
        self.lander = Lander(out, plan)
        self.office = Office(plan, self.stores, self.staff, products, calendar, self.lander)
        self.tills = Tills(
            plan, self.stores, self.staff, products, self.people, self.clock, day_factors(plan, calendar)
        )
        self.points = Points(plan, self.people, self.tills, self.clock)
        self.tiers = Tiers(plan, self.people)
        self.outreach = Outreach(plan, self.people, self.tills, self.clock)
        self.life = Life(plan, self.stores, self.staff, self.people, self.tills, self.tiers, self.points, self.clock)
        self.truth = Truth(plan, self.stores, self.people, self.tills)

    def live(self, number: int) -> None:
        """One business date: head office, the members, the tills, the programme; then its batches."""
        chance = self.plan.chance(DAY, number)
        trades = self.stores.open_on(number)
        crew = self.staff.working(number, self.stores.app + 1)
        midnights = self.clock.midnights(self.plan.date_of(number))
        day = Day(number, chance, midnights, trades, crew, {}, {})
        tables: Tables = defaultdict(list)
        self.office.deliver(number)
        self.points.begin(day)
        newcomers = self.life.join(day, tables)
        if number == 0:
            self.points.open_balances(day, chance)
            tables["member_tiers"].append(self.tiers.opening(chance))
        self.life.accounts(day, tables)
        self.life.second_cards(day, tables)
        self.life.changes(day, tables)
        self.outreach.begin(day, tables)
        self.outreach.welcome(day, newcomers, tables)
        self.outreach.contact(day, tables)
        self.tills.trade(day, self.tills.buyers(number, self.outreach.multiplier, chance), newcomers)
        self.outreach.redeem(day)
        self.tills.void(day)
        self.points.pay(day)
        self.points.earn(day)
        self.tills.plan_returns(day)
        self.outreach.redeemed_rows(day, tables)
        self.outreach.answer(day, tables)
        self.life.events(day, tables)
        self.life.after_trade(day, self.outreach.refused, tables)
        for name, rows in (
            ("templates", saying.templates(number)),
            ("points_entries", self.points.rows(day)),
            ("member_tiers", self.tiers.judge(day, newcomers)),
        ):
            if rows is not None:
                tables[name].append(rows)
        self.truth.see(day, self.outreach)
        self._land(day, tables)

    def _land(self, day: Day, tables: Tables) -> None:
        tills, ids = self.tills, self.stores.ids
        # a store that has not opened, or has closed for good, sends nothing; one that is shut for a while
        # sends a header
        there = (self.stores.opened <= day.number) & (self.stores.closed > day.number)
        sending = [ids[store] for store in range(len(ids)) if there[store]]
        z_totals = tills.z_totals(day)
        for feed, rows in (
            ("receipts", tills.receipt_rows(day)),
            ("receipt_lines", tills.line_rows(day)),
            ("tenders", tills.tender_rows(day, tills.tenders(day))),
            ("z_totals", tills.z_rows(day, z_totals)),
            ("footfall", tills.footfall_rows(day)),
        ):
            self.lander.stores(feed, day.number, rows, sending)
        for source, feed, columns in _joined(tables):
            self.lander.chain(source, feed, day.number, columns)


def _joined(tables: Tables) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The day's rows by feed, in the order of the contract, each feed's pieces as one."""
    for source, feed in FEEDS:
        pieces = tables.get(feed)
        if pieces:
            whole = pa.concat_tables([pa.table(piece) for piece in pieces], promote_options="default")
            yield source, feed, dict(zip(whole.column_names, whole.columns, strict=True))
