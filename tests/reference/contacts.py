"""Contacts, the slow way: how often members were written to, called and spoken to, and whether it was too often.

Nothing here knows the warehouse's SQL. It goes through weeks, stores and contacts one by one, and answers a table with
the columns that are published.

How to use it::

    contact_balance_weekly(contacts, stores, as_of, first_day)

``contacts`` holds mappings with contact_id, member_id (None: nobody known), store_id, channel, intent (``care`` or
``sell``), made_on (None: not made), made_at, is_reached, is_sent (False: met in the store) and arrived_on (None: did
not come), as they are known at the as-of date. ``stores`` holds the region, or None, by store_id.

Days are ``datetime.date``, rates ``Decimal`` with the published places, rounded half away from zero; what is empty is
None.

Readings of the words, fixed here:

* a contact of nobody known, one that was not made and one that was made after the as-of date count nowhere; one of a
  store that is not in ``stores``, or of none, counts only for what is too often, and for which contact was the first;
* weeks are whole ones: the first holds the days before ``first_day``, too, and what looks back (90, 30 and 7 days)
  looks at all contacts that there are, however early;
* a week without a contact has a row as long as one was made in the 90 days that end with its close;
* what is too often on a day is judged by the whole day, contacts that came after its first one among them, and by the
  contacts, not the days with one: two on one day are two;
* a pair of member and day counts for one store only, also in a region and for head office: where its first contact is
  of a store of another region, or of none, it is not counted again;
* who came before the contact was made has come no later than fourteen days after it;
* the ratio of care to sell has six places, as the rates have.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, timedelta
from typing import Any

import pandas as pd

from .cohorts import A_WEEK, quotient, table_of
from .day_by_day import ONE_DAY, week_start

Contact = Mapping[str, Any]

ARRIVAL_DAYS = timedelta(days=14)
BALANCE_DAYS = timedelta(days=90)
SELL_CAP, SELL_CAP_DAYS = 1, timedelta(days=7)
CAP, CAP_DAYS = 4, timedelta(days=30)


@dataclass(frozen=True)
class Counts:
    """What is counted of a store, a region or head office in a week."""

    contacts: int = 0
    contacts_sent: int = 0
    contacts_reached: int = 0
    arrived_14d: int = 0
    care_contacts_90: int = 0
    sell_contacts_90: int = 0
    contacted_member_days: int = 0
    over_contact_member_days: int = 0


def added(counts: Sequence[Counts]) -> Counts:
    """Each of the numbers, added up."""
    return Counts(**{field.name: sum(getattr(one, field.name) for one in counts) for field in fields(Counts)})


def levels(stores: Mapping[str, str | None]) -> list[tuple[str, str, list[str]]]:
    """(level, level_id, its stores): each store, each region that has a name, head office."""
    of_region = defaultdict(list)
    for store_id, region in sorted(stores.items()):
        if region is not None:
            of_region[region].append(store_id)
    return [
        *(("store", store_id, [store_id]) for store_id in sorted(stores)),
        *(("region", region, of_region[region]) for region in sorted(of_region)),
        ("hq", "hq", sorted(stores)),
    ]


def within(contacts: Iterable[Contact], last_day: date, length: timedelta) -> list[Contact]:
    """Those that were made in so many days, the last one included."""
    return [contact for contact in contacts if last_day - length < contact["made_on"] <= last_day]


def is_over(of_member: Sequence[Contact], day: date) -> bool:
    """Whether a member, all of whose contacts these are, had heard too often by the close of a day."""
    sell = [contact for contact in within(of_member, day, SELL_CAP_DAYS) if contact["intent"] == "sell"]
    return len(sell) > SELL_CAP or len(within(of_member, day, CAP_DAYS)) > CAP


@dataclass(frozen=True)
class MemberDay:
    """A day on which a member was contacted: the store that did it first, and whether it was too often."""

    day: date
    store_id: str | None
    is_over: bool


def member_days(contacts: Iterable[Contact]) -> list[MemberDay]:
    """Every pair of a member and a day with a contact to it."""
    of_members: dict[str, list[Contact]] = defaultdict(list)
    for contact in contacts:
        of_members[contact["member_id"]].append(contact)
    found = []
    for of_member in of_members.values():
        for day in sorted({contact["made_on"] for contact in of_member}):
            of_day = [contact for contact in of_member if contact["made_on"] == day]
            first = min(of_day, key=lambda contact: (contact["made_at"], contact["contact_id"]))
            found.append(MemberDay(day, first["store_id"], is_over(of_member, day)))
    return found


def counts_of(contacts: Sequence[Contact], days: Sequence[MemberDay], monday: date, close: date) -> Counts:
    """A store's week: of its contacts, and of the pairs that count for it."""
    made = [contact for contact in contacts if monday <= contact["made_on"] <= close]
    sent = [contact for contact in made if contact["is_sent"]]
    arrived = [
        contact
        for contact in sent
        if contact["arrived_on"] is not None and contact["arrived_on"] <= contact["made_on"] + ARRIVAL_DAYS
    ]
    recent = within(contacts, close, BALANCE_DAYS)
    pairs = [pair for pair in days if monday <= pair.day <= close]
    return Counts(
        contacts=len(made),
        contacts_sent=len(sent),
        contacts_reached=sum(bool(contact["is_reached"]) for contact in made),
        arrived_14d=len(arrived),
        care_contacts_90=sum(contact["intent"] == "care" for contact in recent),
        sell_contacts_90=sum(contact["intent"] == "sell" for contact in recent),
        contacted_member_days=len(pairs),
        over_contact_member_days=sum(pair.is_over for pair in pairs),
    )


def contact_balance_weekly(
    contacts: Iterable[Contact], stores: Mapping[str, str | None], as_of: date, first_day: date
) -> pd.DataFrame:
    """Week × level, where anything is counted: what was made, what came of it, and whether it was too often."""
    counting = [
        contact
        for contact in contacts
        if contact["member_id"] is not None and contact["made_on"] is not None and contact["made_on"] <= as_of
    ]
    pairs = member_days(counting)
    contacts_of = {store: [contact for contact in counting if contact["store_id"] == store] for store in stores}
    pairs_of = {store: [pair for pair in pairs if pair.store_id == store] for store in stores}

    rows = []
    monday = week_start(first_day)
    while monday <= as_of:
        sunday = monday + A_WEEK - ONE_DAY
        close = min(sunday, as_of)
        of_stores = {store: counts_of(contacts_of[store], pairs_of[store], monday, close) for store in stores}
        for level, level_id, of_level in levels(stores):
            counts = added([of_stores[store] for store in of_level])
            if counts == Counts():
                continue
            rows.append(
                {
                    "week_start": monday,
                    "level": level,
                    "level_id": level_id,
                    "contacts": counts.contacts,
                    "contacts_sent": counts.contacts_sent,
                    "contacts_reached": counts.contacts_reached,
                    "arrived_14d": counts.arrived_14d,
                    "care_contacts_90": counts.care_contacts_90,
                    "sell_contacts_90": counts.sell_contacts_90,
                    "care_to_sell_ratio": quotient(counts.care_contacts_90, counts.sell_contacts_90, 6),
                    "contacted_member_days": counts.contacted_member_days,
                    "over_contact_member_days": counts.over_contact_member_days,
                    "reach_rate": quotient(counts.contacts_reached, counts.contacts, 6),
                    "invite_return_rate": quotient(counts.arrived_14d, counts.contacts_sent, 6),
                    "over_contact_rate": quotient(counts.over_contact_member_days, counts.contacted_member_days, 6),
                    "is_final": sunday + ARRIVAL_DAYS <= as_of,
                }
            )
        monday += A_WEEK
    return table_of(
        rows,
        [
            "week_start",
            "level",
            "level_id",
            "contacts",
            "contacts_sent",
            "contacts_reached",
            "arrived_14d",
            "care_contacts_90",
            "sell_contacts_90",
            "care_to_sell_ratio",
            "contacted_member_days",
            "over_contact_member_days",
            "reach_rate",
            "invite_return_rate",
            "over_contact_rate",
            "is_final",
        ],
    )
