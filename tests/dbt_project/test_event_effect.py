"""What an event brought, by the SQL and by the slow reference: before its week is over, after it, and when late files
and another calendar change what it is compared with."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.chain import STORES, Chain
from tests.conftest import new_warehouse
from tests.reference import day_by_day
from tests.reference.sales import member_day_effect

pytestmark = pytest.mark.services

OPENED = date(2026, 1, 5)  # a Monday
MISSING = OPENED + timedelta(days=9)
MEMBER_DAY = OPENED + timedelta(days=7 * 7 + 3)
LAST = MEMBER_DAY + timedelta(days=9)
CLOSURES = ("store_id", "closed_from", "closed_to")


def event(day: date, kind: str, scope: str | None = None) -> dict[str, Any]:
    return {"date": day, "event_type": kind, "event_name": kind, "scope": scope}


# a holiday that is only one region's takes a week from what the others are compared with
CALENDAR = [event(MEMBER_DAY, "member_day"), event(OPENED + timedelta(days=15), "holiday", "north")]
MOVED = [event(MEMBER_DAY, "member_day"), event(OPENED + timedelta(days=22), "holiday", "S2")]


def sell_a_day(chain: Chain, day: date) -> None:
    """Some receipts of each store, in one batch of the whole chain."""
    dice = random.Random(f"{day}")  # noqa: S311  (seeded, no secret)
    receipts, lines = [], []
    for store in STORES:
        for number in range(dice.randrange(3)):
            amount = dice.randrange(10, 500) * (3 if day == MEMBER_DAY else 1)
            key = {"store_id": store["store_id"], "register_id": "1", "business_date": day}
            key |= {"receipt_no": f"{day}/{number}", "receipt_type": "sale"}
            receipts.append(key | {"sold_at": f"{day}T12:00:00", "net_amount": amount})
            lines.append(
                key | {"line_no": 1, "sku": "shirt", "quantity": 1, "unit_price": amount, "net_amount": amount}
            )
    # a day without a sale was delivered, too
    nothing = {"store_id": "S1", "register_id": "9", "business_date": day, "receipt_no": "0", "receipt_type": "sale"}
    receipts.append(nothing | {"sold_at": f"{day}T12:00:00", "net_amount": 0})
    lines.append(nothing | {"line_no": 1, "sku": "bag", "quantity": 1, "net_amount": 0, "is_merchandise": False})
    chain.deliver("pos", "receipts", day, *receipts)
    chain.deliver("pos", "receipt_lines", day, *lines)


@pytest.fixture(scope="module")
def chain(server_home: Path) -> Iterator[Chain]:
    with new_warehouse(server_home) as settings:
        chain = Chain(settings, OPENED)
        chain.deliver("reference", "calendar", OPENED, *CALENDAR)
        closed = dict(zip(CLOSURES, ("S2", OPENED + timedelta(days=30), OPENED + timedelta(days=30)), strict=True))
        chain.deliver("reference", "store_closures", OPENED, closed)
        enrolled = {"card_no": "C", "store_id": "S1", "enrolled_at": f"{OPENED}T09:00:00"}
        chain.deliver("pos", "enrolments", OPENED, enrolled)
        for number in range((LAST - OPENED).days + 1):
            if OPENED + timedelta(days=number) != MISSING:
                sell_a_day(chain, OPENED + timedelta(days=number))
        yield chain


def agree(chain: Chain, as_of: date, calendar: list[dict[str, Any]], *, missing: bool) -> dict[str, int]:
    """Published as of a date, it is the reference; the stores of each event, at head office."""
    chain.publish(as_of)
    receipts = chain.frame("receipts")
    facts = day_by_day.judge_receipts(receipts[receipts["business_date"] <= as_of], chain.frame("receipt_lines"))
    stores, closures = chain.frame("stores"), chain.frame("store_closures")
    daily = day_by_day.stages_by_day(facts, chain.frame("enrolments"), pd.DataFrame(), stores, as_of)
    delivered = {("all", day) for day in set(receipts["business_date"]) if not (missing and day == MISSING)}
    untold = day_by_day.uncovered(delivered, stores, closures, OPENED, as_of)
    untold |= day_by_day.closed(stores, closures, OPENED, as_of)
    said = member_day_effect(facts, stores, pd.DataFrame(calendar), as_of, daily, untold)
    columns = ", ".join(said.columns)
    published = chain.read(f"select {columns} from bi.member_day_effect order by 1, 2, 3, 4, 5")
    rows = [tuple(None if pd.isna(cell) else cell for cell in row) for row in said.itertuples(index=False)]
    assert published == sorted(rows, key=lambda row: row[:5])
    at_hq = said[said["level"] == "hq"]
    return dict(zip(at_hq["event_type"], at_hq["stores"], strict=True))


def test_an_event_is_what_the_reference_says_whatever_comes_later(chain: Chain) -> None:
    # S2 was closed on a day, S1 and S2 have events in their weeks, and of one week a day is missing
    assert agree(chain, MEMBER_DAY + timedelta(days=6), CALENDAR, missing=True) == {"member_day": 3}
    assert agree(chain, MEMBER_DAY + timedelta(days=7), CALENDAR, missing=True) == {"member_day": 3}
    before = chain.read("select * from bi.member_day_effect order by 1, 4, 5")
    assert agree(chain, LAST, CALENDAR, missing=True) == {"member_day": 3}
    assert chain.read("select * from bi.member_day_effect order by 1, 4, 5") == before
    sell_a_day(chain, MISSING)
    chain.deliver("reference", "calendar", LAST, *MOVED)
    assert agree(chain, LAST, MOVED, missing=False) == {"member_day": 3}
    content = chain.content()
    chain.publish(LAST, full_refresh=True)
    assert chain.content() == content
