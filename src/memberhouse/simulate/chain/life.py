"""What members do beside buying: join, open accounts, link them, allow and forbid, look around in the
app, complain, bring friends, leave."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from memberhouse.simulate.chain.clock import DAY_SECONDS, HOUR, Clock
from memberhouse.simulate.chain.columns import Columns, Later, size, taken
from memberhouse.simulate.chain.loyalty import SILVER, Points, Tiers
from memberhouse.simulate.chain.outreach import Tables
from memberhouse.simulate.chain.people import (
    ACCOUNT,
    ACTIVE,
    CHANNELS,
    CLOSED,
    CONSENT_CHANNELS,
    IN_APP,
    IN_STORE,
    METHODS,
    PROSPECT,
    REFERRAL,
    STATUSES,
    TEST,
    People,
)
from memberhouse.simulate.chain.plan import Array, Plan
from memberhouse.simulate.chain.tills import NOBODY, RETURN, SALE, Day, Tills
from memberhouse.simulate.chain.world import Staff, Stores
from memberhouse.simulate.tables import constant, money

_CITIES = pa.array(["上海", "杭州", "南京", "苏州", "广州", "深圳", "北京", "成都", "重庆", "悉尼"])
_LINK_METHODS = pa.array(["scan", "claim", "staff"])
# name, whether the member meant to do it, step of the funnel, category, share of events
EVENTS = (
    ("app_open", True, "visit", "session", 0.24),
    ("view_product", True, "interest", "browsing", 0.34),
    ("search", True, "interest", "browsing", 0.10),
    ("add_to_cart", True, "intent", "browsing", 0.08),
    ("coupon_view", True, "intent", "programme", 0.05),
    ("check_in", True, None, "programme", 0.05),
    ("share", True, None, "social", 0.02),
    ("push_received", False, None, "push", 0.12),
)
_EVENTS_A_DAY = 0.035
BENEFITS = (
    ("silver", "birthday_points", 2.0),
    ("gold", "birthday_gift", 18.0),
    ("gold", "free_alteration", 12.0),
    ("diamond", "birthday_gift", 45.0),
    ("diamond", "free_alteration", 12.0),
    ("diamond", "private_fitting", 30.0),
)
_STEPS = pa.array(["appointment", "preparation", "welcome", "inquiry", "matching", "closing", "follow_up"])
_STEP_AT = np.array([-3 * HOUR, -HOUR, -2400, -2100, -1500, 0])
_COMPLAINTS = pa.array(["quality", "service", "size", "delivery"])
_LAPSES = pa.array(["moved", "price", "baby_grown", "other_brand", "unknown"])
# Per member and day.
_CLOSES, _REVOKES, _MOVES, _FORGETS = 0.00012, 0.0002, 0.00008, 0.00004
_UNDONE = pa.array([None, "reopened", "unblocked", "not_staff", None])
_IDS_A_DAY = 1_000_000


class Life:
    """The day of the members beside the tills."""

    def __init__(
        self,
        plan: Plan,
        stores: Stores,
        staff: Staff,
        people: People,
        tills: Tills,
        tiers: Tiers,
        points: Points,
        clock: Clock,
    ) -> None:
        self.plan, self.stores, self.staff, self.people = plan, stores, staff, people
        self.tills, self.tiers, self.points, self.clock = tills, tiers, points, clock
        self._claims, self._tickets = Later(plan.days), Later(plan.days)
        self._answers, self._verifying, self._follow_ups = Later(plan.days), Later(plan.days), Later(plan.days)
        self._comes_back, self._unmerge = Later(plan.days), Later(plan.days)
        self._visits = self._ticket_no = 0
        self._event_share = np.cumsum([event[-1] for event in EVENTS])[:-1]
        self._event_names = pa.array([event[0] for event in EVENTS])
        self.unmerged: Columns | None = None

    # ---------------------------------------------------------------- joining

    def join(self, day: Day, tables: Tables) -> Array:
        """Who joins on the day; on the first also those who joined before. Returns those of the day itself."""
        people = self.people
        if day.number == 0:
            self._enrol(day, np.arange(people.existing), tables)
        newcomers = people.joining.on(day.number)
        newcomers = newcomers[newcomers >= people.existing]
        self._enrol(day, newcomers, tables)
        return newcomers

    def _enrol(self, day: Day, who: Array, tables: Tables) -> None:
        if not len(who):
            return
        chance, people, fraud = day.chance, self.people, self.people.fraud
        rows = len(who)
        existing = people.enrol_day[who] < 0
        open_then = day.trades.copy()
        if not open_then[: self.stores.app].any():
            open_then = (self.stores.opened <= day.number) & (self.stores.closed > day.number)
        weight = np.cumsum(np.where(open_then, self.stores.weight, 0.0))
        home = np.searchsorted(weight, chance.random(rows) * weight[-1], side="right")
        burst = np.isin(who, fraud.burst)
        home = np.where(burst, fraud.burst_store, home)
        account_only = people.kind[who] == ACCOUNT
        by_app = people.channel[who] == IN_APP
        people.home[who] = np.where(account_only, self.stores.app, home)
        people.recruit[who] = np.where(by_app, self.stores.app, home)
        someone = np.where(account_only, -1, day.someone(home))
        someone = np.where(burst, fraud.burst_staff, someone)
        people.carer[who] = someone
        people.recruiter[who] = np.where(people.channel[who] == IN_STORE, someone, -1)
        seconds = (chance.uniform(10.5, 20, rows) * HOUR).astype(np.int64)
        zone = self.tills.zone[people.recruit[who]]
        backdated = np.array([fraud.backdated.get(int(each), 0) for each in who]) if fraud.backdated else 0
        days_ago = np.where(existing, -people.enrol_day[who].astype(np.int64), backdated)
        people.enrol_at[who] = day.midnights[zone] + seconds - days_ago * DAY_SECONDS
        carded = who[people.kind[who] < ACCOUNT]
        if len(carded):
            tables["enrolments"].append(self._enrolment_rows(carded, people.card_no(carded), people.enrol_at[carded]))
        self._allow(who, people.enrol_at[who] + 120, chance, tables)
        brought = who[(people.method[who] == REFERRAL) & ~existing]
        before = people.joined_by(day.number - 1)
        if len(brought) and before:
            by = chance.integers(0, before, len(brought))
            tables["referrals"].append(
                {
                    "referral_id": _ids("R", brought),
                    "referrer": people.member(by),
                    "referee": people.member(brought),
                    "at": self.clock.iso(people.enrol_at[brought] + 60),
                }
            )

    def _enrolment_rows(self, who: Array, cards: pa.Array, at: Array) -> dict[str, Any]:
        people = self.people
        recruiter = np.where(people.recruiter[who] < 0, len(self.staff.ids), people.recruiter[who])
        zone = self.tills.zone[people.recruit[who]]
        method = people.method[who]
        return {
            "card_no": cards,
            "phone": people.phone(who),
            "enrolled_at": self.clock.iso(at, zone),
            "store_id": self.tills.store_ids.take(pa.array(people.recruit[who])),
            "staff_id": self.tills.staff_ids.take(pa.array(recruiter)),
            "channel": CHANNELS.take(pa.array(people.channel[who])),
            "method": METHODS.take(pa.array(method)),
            "offer_code": pc.if_else(
                pa.array(method == REFERRAL), "FRIEND20", pc.if_else(pa.array(who % 3 == 0), "WELCOME", None)
            ),
            "name": people.name(who),
            "gender": people.gender(who),
            "birthday": people.birthday(who),
            "city": _CITIES.take(pa.array(people.home[who].astype(np.int64) % len(_CITIES))),
        }

    def second_cards(self, day: Day, tables: Tables) -> None:
        """Some are given a second card by mistake; it is linked to their account on the same day."""
        who = self._still(self.people.second_cards.on(day.number))
        if not len(who):
            return
        at = day.some_time(len(who), 11, 19)
        cards = self.people.second_card_no(who)
        tables["enrolments"].append(self._enrolment_rows(who, cards, at))
        tables["identity_links"].append(self._link_rows(who, cards, at + 900, at + 900, 2))

    # ---------------------------------------------------------------- accounts

    def accounts(self, day: Day, tables: Tables) -> None:
        """Accounts opened, made members', verified; links with cards; second accounts and their merging."""
        chance, people = day.chance, self.people
        opened = people.opening_account.on(day.number)
        before = people.account_day[opened] < 0
        # an account that comes with joining is opened in the same minute; a prospect's at any time of the day
        joins = people.account_day[opened] == people.enrol_day[opened]
        at = np.where(joins, people.enrol_at[opened], day.some_time(len(opened), 8, 23))
        ago = np.where(before & ~joins, -people.account_day[opened].astype(np.int64), 0)
        at = at - ago * DAY_SECONDS
        people.account_at[opened] = at
        self._account_rows(opened, at, at, day, tables)
        prospect = people.kind[opened] == PROSPECT
        self._allow(opened[prospect], at[prospect] + 60, chance, tables)
        later = opened[~people.verified[opened] & (chance.random(len(opened)) < 0.5)]
        self._verifying.put(day.number + chance.integers(1, 60, len(later)), {"who": later})
        joined = people.joining.on(day.number)
        became = joined[(people.kind[joined] == ACCOUNT) & (people.account_day[joined] < people.enrol_day[joined])]
        became = became[people.account_day[became] >= 0]
        verified = self._verifying.due(day.number)
        changed = became if verified is None else np.unique(np.concatenate([became, self._still(verified["who"])]))
        if verified is not None:
            people.verified[verified["who"]] = True
        self._update(day, changed, tables)
        self._link(day, tables)

    def _update(self, day: Day, who: Array, tables: Tables) -> None:
        """A new version of these accounts."""
        if len(who):
            people = self.people
            created = people.account_at[who]
            self._account_rows(who, created, np.maximum(day.some_time(len(who), 21, 23), created + 1), day, tables)

    def _account_rows(self, who: Array, created: Array, updated: Array, day: Day, tables: Tables) -> None:
        if not len(who):
            return
        people = self.people
        enrolled = (people.kind[who] == ACCOUNT) & (people.enrol_day[who] <= day.number)
        status = people.status[who]
        tables["accounts"].append(
            {
                "account_id": people.account_id(who),
                "phone": people.phone(who),
                "email": people.email(who),
                "wechat_openid": people.openid(who),
                "created_at": self.clock.iso(created),
                "updated_at": self.clock.iso(updated),
                "member_since": self.clock.iso(np.where(enrolled, people.enrol_at[who], -1)),
                "status": STATUSES.take(pa.array(status)),
                "status_at": self.clock.iso(np.where(status == ACTIVE, created, updated)),
                "name": people.name(who),
                "gender": people.gender(who),
                "birthday": people.birthday(who),
                "city": _CITIES.take(pa.array(np.maximum(people.home[who], 0).astype(np.int64) % len(_CITIES))),
                "occupation": people.occupation(who),
                "phone_verified": pa.array(people.verified[who]),
                "email_verified": constant(False, len(who)),
            }
        )

    def _link(self, day: Day, tables: Tables) -> None:
        chance, people = day.chance, self.people
        who = self._still(people.linking.on(day.number))
        if len(who):
            ago = np.where(people.link_day[who] < 0, -people.link_day[who].astype(np.int64), 0)
            at = day.some_time(len(who), 23, 23.9) - ago * DAY_SECONDS
            method = np.searchsorted([0.55, 0.8], chance.random(len(who)), side="right")
            tables["identity_links"].append(self._link_rows(who, people.card_no(who), at, at, method))
        who = self._still(people.second_accounts.on(day.number))
        if len(who):
            at = day.some_time(len(who), 7, 7.1)
            second = np.ones(len(who), dtype=bool)
            self._account_rows(who, at, at, day, tables)
            tables["accounts"][-1]["account_id"] = people.account_id(who, second)
            tables["accounts"][-1]["wechat_openid"] = people.openid(who + people.total)
        who = self._still(people.merging.on(day.number))
        if len(who):
            at = day.some_time(len(who), 6, 6.9)
            tables["identity_links"].append(self._merge_rows(who, at, at, np.full(len(who), -1)))
            if self.plan.messy and self.unmerged is None:
                one = {"who": who[:1], "at": at[:1]}
                self._unmerge.put(np.array([day.number + 12]), one)
        due = self._unmerge.due(day.number)
        if due is not None:
            ends = day.some_time(size(due), 9, 10)
            tables["identity_links"].append(self._merge_rows(due["who"], due["at"], ends, ends))
            self.unmerged = due

    def _link_rows(
        self, who: Array, cards: pa.Array, valid_from: Array, recorded: Array, method: Any
    ) -> dict[str, Any]:
        return {
            "account_id": self.people.account_id(who),
            "card_no": cards,
            "valid_from": self.clock.iso(valid_from),
            "recorded_at": self.clock.iso(recorded),
            "method": _LINK_METHODS.take(pa.array(np.broadcast_to(np.asarray(method), who.shape))),
        }

    def _merge_rows(self, who: Array, valid_from: Array, recorded: Array, valid_to: Array) -> dict[str, Any]:
        people = self.people
        return {
            "account_id": people.account_id(who, np.ones(len(who), dtype=bool)),
            "valid_from": self.clock.iso(valid_from),
            "valid_to": self.clock.iso(valid_to),
            "recorded_at": self.clock.iso(recorded),
            "method": constant("merge", len(who)),
            "survivor_account_id": people.account_id(who),
        }

    def _still(self, who: Array) -> Array:
        return who[~self.people.out[who]]

    # ---------------------------------------------------------------- consent

    def _allow(self, who: Array, at: Array, chance: np.random.Generator, tables: Tables) -> None:
        """Consent to be told of offers, channel by channel."""
        people = self.people
        for bit, (channel, share) in enumerate(zip(CONSENT_CHANNELS, (0.72, 0.6, 0.25), strict=True)):
            yes = chance.random(len(who)) < share
            people.consents[who[yes]] |= 1 << bit
            self._consent_rows(who[yes], channel, True, at[yes], tables)

    def _consent_rows(self, who: Array, channel: str, granted: bool, at: Array, tables: Tables) -> None:
        if len(who):
            tables["consents"].append(
                {
                    **self.people.who(who),
                    "purpose": constant("marketing", len(who)),
                    "channel": constant(channel, len(who)),
                    "granted": constant(granted, len(who)),
                    "at": self.clock.iso(at),
                }
            )

    # ---------------------------------------------------------------- the members' quiet changes

    def changes(self, day: Day, tables: Tables) -> None:
        """Consents taken back, members who leave, come back or are blocked, transfers to other stores."""
        people = self.people
        joined = people.joined_by(day.number - 1)
        for bit, channel in enumerate(CONSENT_CHANNELS):
            who = self._some(day, joined, _REVOKES)
            who = who[(people.consents[who] >> bit) & 1 == 1]
            people.consents[who] &= np.uint8(0xFF - (1 << bit))
            self._consent_rows(who, channel, False, day.some_time(len(who), 9, 20), tables)
        self._status(day, joined, tables)
        self._transfers(day, joined, tables)

    def _some(self, day: Day, joined: int, share: float) -> Array:
        """Some of those who joined, each at most once, and none who left."""
        count = int(day.chance.poisson(joined * share))
        return self._still(np.unique(day.chance.integers(0, max(joined, 1), count if joined else 0)))

    def _status(self, day: Day, joined: int, tables: Tables) -> None:
        chance, people = day.chance, self.people
        leaving = self._some(day, joined, _CLOSES)
        states = np.searchsorted([0.7, 0.9, 0.95], chance.random(len(leaving)), side="right") + CLOSED
        again = (chance.random(len(leaving)) < 0.15) & (states != TEST)
        wait = chance.integers(5, 60, len(leaving))
        back = self._comes_back.due(day.number)
        returning = back["who"] if back is not None else leaving[:0]
        undone = back["state"] if back is not None else states[:0]
        people.status[leaving] = states
        people.status[returning] = ACTIVE
        self._comes_back.put(day.number + wait[again], {"who": leaving[again], "state": states[again]})
        who = np.concatenate([leaving, returning])
        words = pa.concat_arrays([STATUSES.take(pa.array(states)), _UNDONE.take(pa.array(undone))])
        carded = people.kind[who] < ACCOUNT
        if carded.any():
            tables["member_status"].append(
                {
                    "card_no": people.card_no(who[carded]),
                    "status": words.filter(pa.array(carded)),
                    "at": self.clock.iso(day.some_time(int(carded.sum()), 9, 20)),
                }
            )
        self._update(day, who[(people.kind[who] == ACCOUNT) & (people.account_day[who] <= day.number)], tables)

    def _transfers(self, day: Day, joined: int, tables: Tables) -> None:
        """Members move, their store closes for good, or their adviser leaves."""
        people, stores = self.people, self.stores
        cared = (people.carer[:joined] >= 0) & ~people.out[:joined]
        moving = self._some(day, joined, _MOVES)
        moving = moving[cared[moving]]
        shut = np.flatnonzero(stores.closed == day.number)
        gone = np.flatnonzero(self.staff.left == day.number)
        homeless = np.flatnonzero(cared & np.isin(people.home[:joined], shut)) if len(shut) else shut
        alone = np.flatnonzero(cared & np.isin(people.carer[:joined], gone)) if len(gone) else gone
        away = np.unique(np.concatenate([moving, homeless]))
        there = np.flatnonzero(day.trades & (stores.weight > 0))
        if len(away) and len(there):
            people.home[away] = there[day.chance.integers(0, len(there), len(away))]
        who = np.unique(np.concatenate([away, alone]))
        if not len(who) or not len(there):
            return
        people.carer[who] = day.someone(people.home[who].astype(np.int64))
        who = who[people.kind[who] < ACCOUNT]
        carer = np.where(people.carer[who] < 0, len(self.staff.ids), people.carer[who])
        tables["member_assignments"].append(
            {
                "card_no": people.card_no(who),
                "service_store_id": self.tills.store_ids.take(pa.array(people.home[who])),
                "service_staff_id": self.tills.staff_ids.take(pa.array(carer)),
                "valid_from": constant(self.plan.date_of(day.number), len(who)),
            }
        )

    # ---------------------------------------------------------------- in the app

    def events(self, day: Day, tables: Tables) -> None:
        """What those with an account do in the app: more of those who are still buying."""
        chance, people = day.chance, self.people
        count = int(chance.poisson(people.total * _EVENTS_A_DAY))
        who = chance.integers(0, people.total, count)
        lively = (people.drop_day[who] > day.number) | (chance.random(count) < 0.12)
        who = who[(people.account_day[who] < day.number) & lively & ~people.out[who]]
        if not len(who):
            return
        at = np.sort(day.some_time(len(who), 7, 23.95))
        event = np.searchsorted(self._event_share, chance.random(len(who)), side="right")
        sku = self.tills.skus.take(pa.array(chance.integers(0, self.tills.products.bag, len(who))))
        seconds = pa.array(chance.integers(2, 240, len(who))).cast(pa.string())
        looking = pc.binary_join_element_wise('{"sku": "', sku, '", "seconds": ', seconds, "}", "")
        opening = pc.binary_join_element_wise('{"version": "5.', pc.utf8_slice_codeunits(seconds, 0, 1), '"}', "")
        tables["events"].append(
            {
                "event_id": _ids("V", day.number * _IDS_A_DAY * 10 + np.arange(len(who))),
                "account_id": people.account_id(who),
                "name": self._event_names.take(pa.array(event)),
                "at": self.clock.iso(at),
                "properties": pc.if_else(
                    pa.array((event == 1) | (event == 3)), looking, pc.if_else(pa.array(event == 0), opening, None)
                ),
            }
        )

    # ---------------------------------------------------------------- after the day's trade

    def after_trade(self, day: Day, refused: Array, tables: Tables) -> None:
        """Claims, visits in seven steps, uses of benefits, surveys, complaints, reasons to lapse."""
        self._claim(day, tables)
        self._serve(day, tables)
        self._benefits(day, tables)
        self._feedback(day, refused, tables)

    def _claim(self, day: Day, tables: Tables) -> None:
        """Who forgot the card may claim the receipt in the app: within 30 days, and a few too late."""
        chance, people, receipts = day.chance, self.people, day.receipts
        member = np.maximum(receipts["member"], 0)
        may = (receipts["member"] >= 0) & (receipts["ident"] == NOBODY) & (receipts["kind"] == SALE)
        may &= ~receipts["voided"] & (people.account_day[member] < day.number) & (chance.random(size(receipts)) < 0.5)
        where = np.flatnonzero(may)
        wait = np.where(
            chance.random(len(where)) < 0.9, chance.integers(1, 31, len(where)), chance.integers(31, 41, len(where))
        )
        forgotten = taken(receipts, where)
        names = ("store", "register", "number", "kind", "member")
        claim = {name: forgotten[name] for name in names} | {"day": np.full(len(where), day.number)}
        self._claims.put(day.number + wait, claim)
        due = self._claims.due(day.number)
        if due is not None:
            dates = (np.datetime64(self.plan.first_day) + due["day"]).astype("datetime64[D]")
            tables["receipt_claims"].append(
                {
                    "account_id": people.account_id(due["member"]),
                    **self.tills.key(day, due),
                    "business_date": pa.array(dates),
                    "claimed_at": self.clock.iso(day.some_time(size(due), 9, 22)),
                }
            )

    def _serve(self, day: Day, tables: Tables) -> None:
        """Some visits of gold and diamond members are served in seven steps; the last comes a day later."""
        chance, receipts = day.chance, day.receipts
        known = np.maximum(receipts["member"], 0)
        served = (receipts["kind"] == SALE) & (receipts["ident"] != NOBODY) & ~receipts["voided"]
        served &= (receipts["store"] != self.stores.app) & (receipts["member"] >= 0) & ~receipts["training"]
        served &= chance.random(size(receipts)) < np.where(self.tiers.tier[known] > SILVER, 0.35, 0.02)
        where = np.flatnonzero(served)
        rows = len(where)
        visit = self._visits + np.arange(rows)
        self._visits += rows
        done = chance.random((rows, len(_STEPS))) < np.array([0.5, 0.85, 0.97, 0.9, 0.85, 1.0, 0.6])
        row, step = np.nonzero(done[:, :6])
        visits = {
            "visit": visit,
            "store": receipts["store"][where],
            "staff": receipts["cashier"][where],
            "member": receipts["member"][where],
        }
        self._step_rows(taken(visits, row), step, receipts["at"][where[row]] + _STEP_AT[step], tables)
        later = done[:, 6]
        self._follow_ups.put(np.full(int(later.sum()), day.number + 1), taken(visits, later))
        due = self._follow_ups.due(day.number)
        if due is not None:
            self._step_rows(due, np.full(size(due), 6), day.some_time(size(due), 10, 20), tables)

    def _step_rows(self, visits: Columns, step: Array, at: Array, tables: Tables) -> None:
        if not len(step):
            return
        staff = np.where(visits["staff"] < 0, len(self.staff.ids), visits["staff"])
        tables["service_steps"].append(
            {
                "visit_id": _ids("B", visits["visit"] + 1),
                "store_id": self.tills.store_ids.take(pa.array(visits["store"])),
                "staff_id": self.tills.staff_ids.take(pa.array(staff)),
                "member": self.people.member(visits["member"]),
                "step": _STEPS.take(pa.array(step)),
                "at": self.clock.iso(at),
            }
        )

    def _benefits(self, day: Day, tables: Tables) -> None:
        who = self._some(day, self.people.joined_by(day.number - 1), 0.004)
        who = who[self.tiers.tier[who] > SILVER]
        if not len(who):
            return
        tier = self.tiers.tier[who]
        offered = [
            [place for place, each in enumerate(BENEFITS) if each[0] == name] for name in ("silver", "gold", "diamond")
        ]
        lot = day.chance.random(len(who))
        chosen = [
            offered[level][int(draw * len(offered[level]))]
            for level, draw in zip(tier.tolist(), lot.tolist(), strict=True)
        ]
        tables["benefit_uses"].append(
            {
                **self.people.who(who),
                "benefit": [BENEFITS[place][1] for place in chosen],
                "used_at": self.clock.iso(day.some_time(len(who), 10, 21)),
                "cost": money(np.array([round(BENEFITS[place][2] * 100) for place in chosen])),
            }
        )

    def _feedback(self, day: Day, refused: Array, tables: Tables) -> None:
        chance, receipts = day.chance, day.receipts
        bought = (
            (receipts["kind"] == SALE) & (receipts["ident"] != NOBODY) & ~receipts["voided"] & (receipts["member"] >= 0)
        )
        asked = receipts["member"][bought & (chance.random(size(receipts)) < 0.04)]
        self._ask(day, asked, "nps", 3)
        reviewers = receipts["member"][bought & (chance.random(size(receipts)) < 0.02)]
        self._ask(day, reviewers, "review", 2)
        returned = (receipts["kind"] == RETURN) & (receipts["ident"] != NOBODY) & (receipts["member"] >= 0)
        unhappy = receipts["member"][returned & (chance.random(size(receipts)) < 0.2)]
        self._ask(day, unhappy, "complaint", 0)
        self._ask(day, refused[chance.random(len(refused)) < 0.5], "lapse_reason", 0)
        opened = self._tickets.due(day.number)
        if opened is not None:
            rows = size(opened)
            opened["opened"] = day.some_time(rows, 9, 14)
            opened["ticket"] = self._ticket_no + np.arange(rows)
            self._ticket_no += rows
            slow = opened["kind"] == "complaint"
            nothing = np.full(rows, -1)
            responded = np.where(slow, nothing, opened["opened"] + 60)
            self._ticket_rows(opened, responded, responded, opened["opened"] + 60, tables)
            waiting = taken(opened, slow)
            self._answers.put(day.number + chance.integers(1, 6, int(slow.sum())), waiting)
        answered = self._answers.due(day.number)
        if answered is not None:
            rows = size(answered)
            responded = day.some_time(rows, 9, 12)
            self._ticket_rows(answered, responded, responded + 2 * HOUR, responded + 2 * HOUR, tables)
            sorry = np.unique(answered["member"])
            self.points.adjust(day, sorry, 200, np.full(len(sorry), day.start + 15 * HOUR))

    def _ask(self, day: Day, who: Array, kind: str, days: int) -> None:
        if len(who):
            score = day.chance.choice(11, len(who), p=[0.02, 0.01, 0.02, 0.02, 0.03, 0.05, 0.08, 0.14, 0.22, 0.21, 0.2])
            rows = {"member": who, "kind": np.full(len(who), kind, dtype="<U12"), "score": score}
            self._tickets.put(np.full(len(who), day.number + days), rows)

    def _ticket_rows(self, tickets: Columns, responded: Array, closed: Array, updated: Array, tables: Tables) -> None:
        kind = tickets["kind"]
        scored = (kind == "nps") | (kind == "review")
        score = np.where(kind == "review", 1 + tickets["score"] * 4 // 10, tickets["score"])
        reasons = pc.if_else(
            pa.array(kind == "complaint"),
            _COMPLAINTS.take(pa.array(tickets["score"] % len(_COMPLAINTS))),
            _LAPSES.take(pa.array(tickets["score"] % len(_LAPSES))),
        )
        tables["feedback"].append(
            {
                "ticket_id": _ids("F", tickets["ticket"] + 1),
                "member": self.people.member(tickets["member"]),
                "kind": pa.array(kind.tolist(), pa.string()),
                "score": pa.array(score, mask=~scored),
                "reason_code": pc.if_else(pa.array(scored), None, reasons),
                "opened_at": self.clock.iso(tickets["opened"]),
                "first_response_at": self.clock.iso(responded),
                "closed_at": self.clock.iso(closed),
                "updated_at": self.clock.iso(updated),
            }
        )


def _ids(letter: str, numbers: Array) -> pa.Array:
    return pc.binary_join_element_wise(letter, pa.array(numbers).cast(pa.string()), "")
