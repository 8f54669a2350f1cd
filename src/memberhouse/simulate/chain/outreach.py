"""What the chain says to its members: campaigns with a hold-out, coupons, contacts and what comes of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from memberhouse.simulate.chain.clock import HOUR, Clock
from memberhouse.simulate.chain.columns import Columns, Later, size, taken
from memberhouse.simulate.chain.people import People, stable_hash
from memberhouse.simulate.chain.plan import NEVER, Array, Plan
from memberhouse.simulate.chain.tills import NOBODY, SALE, Day, Tills
from memberhouse.simulate.tables import constant, money

Tables = dict[str, list[dict[str, Any]]]

FIRST_CAMPAIGN, EVERY, LENGTH = 10, 21, 14
HOLD_OUT = 0.1
_AUDIENCE = 0.14
# The campaigns in turn: type, whom it is for (by stage), factor on the rate of those treated, face value
# of its coupon (yuan, 0: none), intent.
_KINDS = (
    ("wake_up", ("at_risk", "dormant"), 1.6, 50, "sell"),
    ("member_day", ("active",), 1.25, 0, "sell"),
    ("new_arrivals", ("active", "at_risk"), 1.0, 0, "sell"),
    ("first_purchase", ("never",), 1.4, 30, "sell"),
    ("care_month", ("active", "at_risk", "dormant"), 1.1, 0, "care"),
)
# By days since the last purchase; never: none yet.
STAGES = ("never", "active", "at_risk", "dormant", "churned")

WECHAT, SMS, CALL, IN_STORE, MOMENTS = range(5)
_CHANNELS = pa.array(["wechat", "sms", "call", "in_store", "moments"])
SELECTED, SENT, DELIVERED, FAILED, READ, REPLIED, ACCEPT, DEFER, OBJECTION, REFUSE, SILENT, APPOINTED = range(12)
ARRIVED, PURCHASED = 12, 13
_STATES = pa.array(
    ["selected", "sent", "delivered", "failed", "read", "replied", "accept", "defer", "objection", "refuse", "silent"]
    + ["appointed", "arrived", "purchased"]
)
_OBJECTIONS = pa.array(["price", "size", "distance", "no_need", None])
_NO_OBJECTION = 4
_CONTACTS_A_DAY = 1_000_000
_TEMPLATES = ("T-WAKE", "T-DAY", "T-NEW", "T-FIRST", "T-CARE", "T-AFTER", "T-BIRTHDAY", "T-MOMENTS")
_AFTER_SALES, _BIRTHDAY, _MOMENTS = 5, 6, 7
_OCCASIONS = pa.array(["after_sales", "birthday", None])
_FOLLOW_DAYS = 14


@dataclass
class Campaign:
    """A campaign and its truth. factor: on the daily probability of the treated, from first to last day.

    bought_treated, bought_held_out: purchase days of each arm within the campaign, as they came out.
    """

    number: int
    campaign_type: str
    intent: str
    first: int
    last: int
    factor: float
    face_value: int
    treated: Array = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    held_out: Array = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    bought_treated: int = 0
    bought_held_out: int = 0

    @property
    def campaign_id(self) -> str:
        return f"C{self.number + 1:03d}"


class Outreach:
    """Campaigns, coupons and contacts. multiplier: what campaigns multiply each one's rate by today."""

    def __init__(self, plan: Plan, people: People, tills: Tills, clock: Clock) -> None:
        self.plan, self.people, self.tills, self.clock = plan, people, tills, clock
        self.campaigns: list[Campaign] = []
        self.multiplier = np.ones(people.total, dtype=np.float32)
        total = people.total
        self._coupon = np.full(total, -1, dtype=np.int64)
        self._coupon_campaign = np.full(total, -1, dtype=np.int16)
        self._coupon_face = np.zeros(total, dtype=np.int16)
        self._coupon_issued = np.zeros(total, dtype=np.int64)
        self._coupon_until = np.full(total, -1, dtype=np.int32)
        self._coupons = 0
        self._open_contact = np.full(total, -1, dtype=np.int64)
        self._open_until = np.full(total, -1, dtype=np.int32)
        self._to_contact = Later(plan.days)
        self._silent = Later(plan.days)
        self._contacts = 0
        self._redeemed: Columns | None = None
        self.refused: Array = np.empty(0, dtype=np.int64)

    # ---------------------------------------------------------------- before the day's trade

    def begin(self, day: Day, tables: Tables) -> None:
        """Start and end campaigns; the multiplier is that of the day from here on."""
        self._contacts = 0
        self._redeemed = None
        number = day.number
        ended = [campaign for campaign in self.campaigns if campaign.last == number - 1]
        starts = number >= FIRST_CAMPAIGN and (number - FIRST_CAMPAIGN) % EVERY == 0
        if starts:
            self._start(day, tables)
        if starts or ended:
            self.multiplier[:] = 1
            for campaign in self.running(number):
                self.multiplier[campaign.treated] *= campaign.factor

    def running(self, day: int) -> list[Campaign]:
        return [campaign for campaign in self.campaigns[-3:] if campaign.first <= day <= campaign.last]

    def _start(self, day: Day, tables: Tables) -> None:
        number = len(self.campaigns)
        kind, stages, factor, face_value, intent = _KINDS[number % len(_KINDS)]
        campaign = Campaign(number, kind, intent, day.number, day.number + LENGTH - 1, factor, face_value)
        self.campaigns.append(campaign)
        stage = self._stages(day.number)
        joined = len(stage)
        wanted = np.flatnonzero(np.isin(stage, [STAGES.index(each) for each in stages]) & ~self.people.out[:joined])
        share = min(_AUDIENCE * joined / max(len(wanted), 1), 1.0)
        audience = wanted[day.chance.random(len(wanted)) < share]
        held = np.zeros(len(audience), dtype=bool)
        order = stable_hash(audience, number + 100)
        for one in np.unique(stage[audience]):
            here = np.flatnonzero(stage[audience] == one)
            held[here[np.argsort(order[here])[: round(len(here) * HOLD_OUT)]]] = True
        campaign.treated, campaign.held_out = audience[~held], audience[held]
        at = day.start + 8 * HOUR
        tables["campaigns"].append(self._campaign_row(campaign, day, at))
        if len(audience):
            tables["campaign_assignments"].append(
                {
                    "campaign_id": constant(campaign.campaign_id, len(audience)),
                    "member": self.people.member(audience),
                    "arm": pc.if_else(pa.array(held), "hold_out", "treated"),
                    "assigned_at": self.clock.iso(np.full(len(audience), at)),
                }
            )
        if face_value:
            issued = np.full(len(campaign.treated), at)
            self._issue(day, campaign.treated, number, face_value, campaign.last + 7, issued, tables)
        recency = day.number - self.people.last_buy[campaign.treated].astype(np.int64)
        rung = np.where(kind == "wake_up", np.searchsorted([120, 180], recency, side="right") + 1, 0)
        contact = {
            "who": campaign.treated,
            "campaign": np.full(len(rung), number),
            "rung": rung,
            "template": np.full(len(rung), number % len(_KINDS)),
            "occasion": np.full(len(rung), 2),
            "sells": np.full(len(rung), intent == "sell"),
        }
        self._to_contact.put(day.number + day.chance.integers(0, 4, len(rung)), contact)

    def _stages(self, day: int) -> Array:
        people = self.people
        last = people.last_buy[: people.joined_by(day - 1)].astype(np.int64)
        return np.where(last == -NEVER, 0, 1 + np.searchsorted([60, 180, 365], day - last, side="right"))

    def _campaign_row(self, campaign: Campaign, day: Day, at: int) -> dict[str, Any]:
        return {
            "campaign_id": [campaign.campaign_id],
            "name": [f"{campaign.campaign_type} {campaign.number + 1}"],
            "type": [campaign.campaign_type],
            "starts_on": [self.plan.date_of(campaign.first)],
            "ends_on": [self.plan.date_of(campaign.last)],
            "intent": [campaign.intent],
            "updated_at": self.clock.iso(np.array([at])),
        }

    # ---------------------------------------------------------------- coupons

    def welcome(self, day: Day, newcomers: Array, tables: Tables) -> None:
        """A third of those who join get a coupon."""
        chosen = newcomers[day.chance.random(len(newcomers)) < 0.33]
        self._issue(day, chosen, -1, 20, day.number + 45, self.people.enrol_at[chosen] + 600, tables)

    def _issue(
        self, day: Day, who: Array, campaign: int, face_value: int, until: int, at: Array, tables: Tables
    ) -> None:
        """A coupon to each who holds none that is still good."""
        free = (self._coupon[who] < 0) | (self._coupon_until[who] < day.number)
        who, at = who[free], at[free]
        if not len(who):
            return
        self._coupon[who] = self._coupons + np.arange(len(who))
        self._coupons += len(who)
        self._coupon_campaign[who] = campaign
        self._coupon_face[who] = face_value
        self._coupon_issued[who] = at
        self._coupon_until[who] = until
        tables["coupons"].append(self._coupon_rows(who, at))

    def redeem(self, day: Day) -> None:
        """Half of the purchases for which a coupon is good use it: it comes off the dearest line."""
        receipts, lines = day.receipts, day.lines
        member = receipts["member"]
        known = np.maximum(member, 0)
        good = (receipts["kind"] == SALE) & ~receipts["voided"] & ~receipts["training"] & (receipts["ident"] != NOBODY)
        good &= (self._coupon_until[known] >= day.number) & (self._coupon[known] >= 0)
        good &= (receipts["net"] >= self._coupon_face[known] * 300) & (day.chance.random(size(receipts)) < 0.5)
        # not before it was issued
        good &= receipts["at"] > self._coupon_issued[known]
        where = np.flatnonzero(good)
        where = where[np.unique(member[where], return_index=True)[1]]
        if not len(where):
            return
        first = np.searchsorted(lines["receipt"], np.arange(size(receipts)), side="left")
        order = np.lexsort((lines["line_no"], -lines["net"], lines["receipt"]))
        dearest = order[first[where]]
        off = np.minimum(self._coupon_face[member[where]].astype(np.int64) * 100, lines["net"][dearest])
        lines["discount"][dearest] += off
        lines["net"][dearest] -= off
        receipts["couponed"][where] = True
        self.tills.add_up(day)
        self._redeemed = {"basket": receipts["basket"][where]}

    def redeemed_rows(self, day: Day, tables: Tables) -> None:
        """The coupons that were used, with their receipt."""
        if self._redeemed is None:
            return
        receipts = day.receipts
        where = np.flatnonzero(receipts["couponed"])
        who = receipts["member"][where]
        rows = self._coupon_rows(who, receipts["at"][where] + 5)
        rows["redeemed_at"] = self.clock.iso(receipts["at"][where])
        rows |= self.tills.key(day, taken(receipts, where))
        self._coupon[who] = -1
        tables["coupons"].append(rows)

    def _coupon_rows(self, who: Array, updated: Array) -> dict[str, Any]:
        campaign = self._coupon_campaign[who].astype(np.int64)
        names = [each.campaign_id for each in self.campaigns] + [None]
        return {
            "coupon_id": pc.binary_join_element_wise(
                "K", pa.array(self._coupon[who] + 10_000_000).cast(pa.string()), ""
            ),
            "campaign_id": pa.array(names, pa.string()).take(
                pa.array(np.where(campaign < 0, len(names) - 1, campaign))
            ),
            **self.people.who(who),
            "face_value": money(self._coupon_face[who].astype(np.int64) * 100),
            "funding": pc.if_else(pa.array(campaign < 0), "head_office", "brand"),
            "issued_at": self.clock.iso(self._coupon_issued[who]),
            "valid_to": pa.array(
                (np.datetime64(self.plan.first_day) + self._coupon_until[who]).astype("datetime64[D]")
            ),
            "updated_at": self.clock.iso(updated),
        }

    # ---------------------------------------------------------------- contacts

    def contact(self, day: Day, tables: Tables) -> None:
        """The day's contacts: of campaigns, after a purchase, and of stores to nobody in particular."""
        chance, people = day.chance, self.people
        due = self._to_contact.due(day.number)
        self.refused = np.empty(0, dtype=np.int64)
        rows = due if due is not None else _no_contacts()
        rows = taken(rows, ~people.out[rows["who"]])
        count = size(rows)
        # the first channel that the member allowed; without one the store waits until the member comes
        allowed = people.consents[rows["who"]]
        wanted = np.searchsorted([0.6, 0.85], chance.random(count), side="right")
        channel = np.select(
            [(allowed >> wanted) & 1 == 1, allowed & 1 == 1, allowed & 2 == 2, allowed & 4 == 4],
            [wanted, WECHAT, SMS, CALL],
            IN_STORE,
        )
        home = people.home[rows["who"]].astype(np.int64)
        at = day.some_time(count, 9, 12)
        contact = self._ids(day, count)
        self._land_contacts(day, tables, rows, contact, channel, home, people.carer[rows["who"]].astype(np.int64), at)
        self._circuit(day, tables, rows["who"], contact, channel, at)
        self._moments(day, tables)

    def _moments(self, day: Day, tables: Tables) -> None:
        """朋友圈: a post has no recipients."""
        in_turn = np.arange(len(day.trades)) % 7 == day.number % 7
        stores = np.flatnonzero(day.trades & in_turn & (self.tills.stores.weight > 0))
        rows = _no_contacts(len(stores))
        rows["template"][:] = _MOMENTS
        contact = self._ids(day, len(stores))
        at = day.some_time(len(stores), 10, 18)
        channel = np.full(len(stores), MOMENTS)
        self._land_contacts(day, tables, rows, contact, channel, stores, day.someone(stores), at)
        self._land_states(tables, contact, np.full(len(stores), SENT), at + 60)

    def _ids(self, day: Day, rows: int) -> Array:
        self._contacts += rows
        return day.number * _CONTACTS_A_DAY + self._contacts - rows + np.arange(rows)

    def _land_contacts(
        self,
        day: Day,
        tables: Tables,
        rows: Columns,
        contact: Array,
        channel: Array,
        stores: Array,
        staff: Array,
        at: Array,
    ) -> None:
        if not len(contact):
            return
        campaigns = pa.array([each.campaign_id for each in self.campaigns] + [None], pa.string())
        templates = pa.array(list(_TEMPLATES))
        no_campaign = np.where(rows["campaign"] < 0, len(self.campaigns), rows["campaign"])
        gone = np.where(staff < 0, len(self.tills.staff_ids) - 1, staff)
        tables["contacts"].append(
            {
                "contact_id": _contact_ids(contact),
                "member": self.people.member(rows["who"]),
                "staff_id": self.tills.staff_ids.take(pa.array(gone)),
                "store_id": self.tills.store_ids.take(pa.array(stores)),
                "channel": _CHANNELS.take(pa.array(channel)),
                "intent": pc.if_else(pa.array(rows["sells"]), "sell", "care"),
                "template_id": templates.take(pa.array(rows["template"])),
                "campaign_id": campaigns.take(pa.array(no_campaign)),
                "rung": pa.array(rows["rung"], mask=rows["rung"] == 0),
                "occasion": _OCCASIONS.take(pa.array(rows["occasion"])),
                "self_reported": pa.array((channel == CALL) | (channel == IN_STORE)),
                "created_at": self.clock.iso(at),
            }
        )

    def _circuit(self, day: Day, tables: Tables, who: Array, contact: Array, channel: Array, at: Array) -> None:
        """From selected to appointed, each step with its chance; who never answers is silent two days later."""
        chance = day.chance
        rows = len(who)
        lot = chance.random((4, rows))
        sent = channel != IN_STORE
        delivered = sent & (lot[0] < np.where(channel == CALL, 0.7, 0.95))
        read = delivered & (lot[1] < np.array([0.7, 0.45, 1.0, 0.0, 0.0])[channel])
        replied = read & (lot[2] < np.array([0.35, 0.12, 0.9, 0.0, 0.0])[channel])
        answer = np.array([ACCEPT, DEFER, OBJECTION, REFUSE])[np.searchsorted([0.4, 0.65, 0.88], lot[3], side="right")]
        appointed = replied & (answer == ACCEPT) & (chance.random(rows) < 0.6)
        reads = at + 700 + (chance.exponential(5000, rows)).astype(np.int64) % (5 * HOUR)
        everyone = np.ones(rows, dtype=bool)
        objection = np.where(answer == OBJECTION, chance.integers(0, 4, rows), _NO_OBJECTION)
        for reached, state, when in (
            (everyone, SELECTED, at),
            (sent, SENT, at + 600),
            (delivered, DELIVERED, at + 630),
            (sent & ~delivered, FAILED, at + 640),
            (read, READ, reads),
            (replied, REPLIED, reads + 300),
            (replied, answer, reads + 420),
            (appointed, APPOINTED, reads + 600),
        ):
            states = np.broadcast_to(np.asarray(state), (rows,))
            self._land_states(tables, contact[reached], states[reached], when[reached], objection[reached])
        silent = delivered & ~replied
        self._silent.put(np.full(int(silent.sum()), day.number + 2), {"contact": contact[silent]})
        due = self._silent.due(day.number)
        if due is not None:
            self._land_states(tables, due["contact"], np.full(size(due), SILENT), day.some_time(size(due), 9, 20))
        followed = replied & (answer <= DEFER)
        self._open_contact[who[followed]] = contact[followed]
        self._open_until[who[followed]] = day.number + _FOLLOW_DAYS
        self.refused = who[replied & (answer == REFUSE)]

    def answer(self, day: Day, tables: Tables) -> None:
        """Those who were invited and come: arrived and purchased. A seventh of the purchases gets a care
        contact on the next day."""
        receipts, people = day.receipts, self.people
        in_store = (receipts["kind"] == SALE) & ~receipts["voided"] & ~receipts["training"]
        in_store &= (
            (receipts["store"] != self.tills.stores.app) & (receipts["ident"] != NOBODY) & (receipts["member"] >= 0)
        )
        where = np.flatnonzero(in_store)
        who, first = np.unique(receipts["member"][where], return_index=True)
        at = receipts["at"][where[first]]
        came = (self._open_contact[who] >= 0) & (self._open_until[who] >= day.number)
        # who was invited today may have been to the store before
        came &= self._open_contact[who] < day.number * _CONTACTS_A_DAY
        contact = self._open_contact[who[came]]
        self._land_states(tables, contact, np.full(len(contact), ARRIVED), at[came] - 900)
        self._land_states(tables, contact, np.full(len(contact), PURCHASED), at[came])
        self._open_contact[who[came]] = -1
        thanked = who[day.chance.random(len(who)) < 0.14]
        tomorrow = self.plan.date_of(day.number + 1)
        joined = people.joined_by(day.number)
        born = people.birthday_on[:joined] == tomorrow.month * 100 + tomorrow.day
        born = np.flatnonzero(born & (people.last_buy[:joined] > day.number - 365))
        for chosen, template, occasion in ((thanked, _AFTER_SALES, 0), (born, _BIRTHDAY, 1)):
            rows = _no_contacts(len(chosen))
            rows["who"] = chosen
            rows["template"][:] = template
            rows["occasion"][:] = occasion
            self._to_contact.put(np.full(len(chosen), day.number + 1), rows)

    def _land_states(
        self, tables: Tables, contact: Array, state: Array, at: Array, objection: Array | None = None
    ) -> None:
        if not len(contact):
            return
        code = np.full(len(contact), _NO_OBJECTION) if objection is None else objection
        code = np.where(state == OBJECTION, code, _NO_OBJECTION)
        tables["contact_states"].append(
            {
                "contact_id": _contact_ids(contact),
                "state": _STATES.take(pa.array(state)),
                "at": self.clock.iso(at),
                "objection_code": _OBJECTIONS.take(pa.array(code)),
            }
        )


def templates(day: int) -> dict[str, Any] | None:
    """What is said, by scene: all on the first day, a new version of one every quarter of a year."""
    quarter, into = divmod(day, 91)
    if into:
        return None
    names = [_TEMPLATES[quarter % len(_TEMPLATES)]] if quarter else list(_TEMPLATES)
    version = 2 + (quarter - 1) // len(_TEMPLATES) if quarter else 1
    return {
        "template_id": names,
        "version": [version] * len(names),
        "scene": [name.removeprefix("T-").lower() for name in names],
        "channel": ["moments" if name == "T-MOMENTS" else "wechat" for name in names],
        "text": [f"亲爱的会员，您好！（{name} 第{version}版）" for name in names],
    }


def _no_contacts(rows: int = 0) -> Columns:
    return {
        "who": np.full(rows, -1),
        "campaign": np.full(rows, -1),
        "rung": np.zeros(rows, dtype=np.int64),
        "template": np.zeros(rows, dtype=np.int64),
        "occasion": np.full(rows, 2),
        "sells": np.zeros(rows, dtype=bool),
    }


def _contact_ids(numbers: Array) -> pa.Array:
    return pc.binary_join_element_wise("N", pa.array(numbers).cast(pa.string()), "")
