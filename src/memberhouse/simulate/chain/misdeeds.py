"""What people of a messy chain do that they should not, as entries of the ledger. All of it loads."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from memberhouse.landing.manifest import EVERY_STORE
from memberhouse.simulate.chain.columns import Columns
from memberhouse.simulate.chain.landing import batch_name, produced_at
from memberhouse.simulate.chain.mess import Fault
from memberhouse.simulate.chain.people import People
from memberhouse.simulate.chain.world import Staff, Stores


def misdeeds(people: People, staff: Staff, stores: Stores, unmerged: Columns | None) -> Iterator[Fault]:
    """Enrolments invented by one member of staff, staff phones, backdated enrolments, a shared card, merged
    and unmerged accounts."""
    fraud, plan = people.fraud, people.plan

    def entry(kind: str, source: str, feed: str, day: int, key: str, rows: int = 1, remark: str = "") -> Fault:
        business_date = plan.date_of(day)
        return Fault(
            kind=kind,
            source=source,
            feed=feed,
            business_date=business_date,
            store_id=EVERY_STORE,
            batch=batch_name(feed, business_date, EVERY_STORE),
            file="",
            line_no=None,
            key=key,
            outcome="loaded",
            rows=rows,
            amount=None,
            delivered_on=produced_at(business_date).date(),
            remark=remark,
        )

    def named(who: int) -> str:
        text: str = people.member(np.array([who]))[0].as_py()
        return text

    yield entry(
        "enrolled_by_one_staff",
        "pos",
        "enrolments",
        fraud.burst_day,
        staff.ids[fraud.burst_staff],
        len(fraud.burst),
        f"at {stores.ids[fraud.burst_store]}; nobody buys",
    )
    for who, one in fraud.staff_phones.items():
        yield entry("staff_phone", "pos", "enrolments", int(people.enrol_day[who]), named(who), 1, staff.ids[one])
    for who, days in fraud.backdated.items():
        yield entry("backdated", "pos", "enrolments", int(people.enrol_day[who]), named(who), 1, f"by {days} days")
    yield entry(
        "shared_card", "pos", "receipts", fraud.shared_day, named(fraud.shared_card), 10, "10 receipts in a day"
    )
    for who in np.flatnonzero((people.merge_day < plan.days) & (people.status == 0)).tolist():
        second = people.account_id(np.array([who]), np.array([True]))[0].as_py()
        yield entry(
            "merged", "app", "identity_links", int(people.merge_day[who]), second, 1, f"into {named(who)}'s account"
        )
    if unmerged is not None:
        who = int(unmerged["who"][0])
        second = people.account_id(np.array([who]), np.array([True]))[0].as_py()
        yield entry("unmerged", "app", "identity_links", int(people.merge_day[who]) + 12, second)
