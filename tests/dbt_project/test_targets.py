"""Targets by week and what was reached of them, by the SQL and by the slow reference: revised in mid-month, told twice,
with late files of the year before, on going back in time, and built anew."""

from __future__ import annotations

import csv
import random
from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.chain import STORES, Chain
from tests.conftest import new_warehouse
from tests.reference.targets import target_attainment_weekly, target_decomposition

from memberhouse.settings import PROJECT_ROOT

pytestmark = pytest.mark.services

OPENED = date(2024, 9, 10)
MID_WEEK, LATER, LATEST = date(2025, 9, 17), date(2025, 10, 12), date(2025, 11, 5)
LATE, LATE_AMOUNT = date(2024, 10, 9), 5000  # what S2 sold then is told a year late
STORE_IDS = ["S1", "S2"]  # nobody sells in the app


def days(number: int) -> timedelta:
    return timedelta(days=number)


def target(store: str | None, period: str, start: date, metric: str, value: str, **more: Any) -> dict[str, Any]:
    return {"store_id": store, "period_type": period, "period_start": start, "metric": metric, "value": value} | more


SALES = "net_sales_amount"
SEPTEMBER, OCTOBER, NOVEMBER = (date(2025, month, 1) for month in (9, 10, 11))
# by the day on which they were delivered
TOLD = {
    date(2025, 8, 20): [
        target("S1", "month", SEPTEMBER, SALES, "30000.01"),
        target("S2", "month", SEPTEMBER, SALES, "20000"),
        target("APP", "month", SEPTEMBER, SALES, "1000"),  # it has no year before: each day the same
        target(None, "month", SEPTEMBER, SALES, "60000", revision=0),
        target("S1", "month", SEPTEMBER, "sale_receipts", "100.5"),
        target("S2", "quarter", date(2025, 7, 1), SALES, "90000"),  # half of it lies before anything is known
        target("S1", "year", date(2025, 1, 1), "new_members", "100"),
        target("S1", "month", SEPTEMBER, "average_ticket_amount", "55.5"),
        target("S1", "month", SEPTEMBER, "churn_rate", "0.05"),  # says nothing of a week
        target("S1", "week", date(2025, 9, 15), "churn_rate", "0.01"),
        target("S1", "month", SEPTEMBER, "weather", "20"),
        target("S1", "month", SEPTEMBER, SALES, "999", staff_id="E1"),
        target("S1", "month", SEPTEMBER, SALES, "999", stage_code="S08"),
        target("S9", "month", SEPTEMBER, SALES, "999"),  # a store that nobody knows
    ],
    date(2025, 9, 10): [
        target("S1", "month", SEPTEMBER, SALES, "35000", revision=1),  # raised in mid-month
        target("S2", "month", SEPTEMBER, SALES, "21000"),  # the first one, corrected
    ],
    date(2025, 9, 15): [target("S1", "week", date(2025, 9, 15), SALES, "7777.77")],
    # told when the month had begun, with a day in it for the month's first; the chain has none of its own
    date(2025, 10, 3): [
        *(target(store, "month", date(2025, 10, 3), SALES, "12345.67") for store in (*STORE_IDS, "APP")),
        target("S1", "month", OCTOBER, "average_ticket_amount", "60"),
        target("S1", "quarter", OCTOBER, SALES, "70000"),
        target("S2", "month", NOVEMBER, SALES, "0"),
    ],
    date(2025, 10, 6): [target("S2", "month", OCTOBER, SALES, "10000", revision=2)],
    date(2025, 10, 7): [target("S2", "month", OCTOBER, SALES, "11000", revision=1)],
}


def sales() -> dict[tuple[str, date], int]:
    """Net sales by store and day: none on some days, and once less than nothing."""
    dice = random.Random(8)  # noqa: S311  (seeded, no secret)
    sold = {
        (store, OPENED + days(number)): dice.choice((0, dice.randrange(1, 900)))
        for store in STORE_IDS
        for number in range((LATEST - OPENED).days + 1)
    }
    return {place: amount for place, amount in sold.items() if amount} | {("S1", date(2024, 9, 12)): -70}


def sell(chain: Chain, sold: dict[tuple[str, date], int], delivered: date | None = None) -> None:
    by_month: dict[date, list[tuple[dict[str, Any], dict[str, Any]]]] = defaultdict(list)
    for (store, day), amount in sorted(sold.items()):
        kind, sign = ("sale", 1) if amount > 0 else ("return", -1)
        key = {"store_id": store, "register_id": "1", "business_date": day, "receipt_no": "1", "receipt_type": kind}
        receipt = key | {"sold_at": f"{day}T12:00:00", "net_amount": amount}
        line = key | {"line_no": 1, "sku": "shirt", "quantity": sign, "net_amount": amount}
        by_month[delivered or day].append((receipt, line))
    for day, rows in by_month.items():
        chain.deliver("pos", "receipts", day, *(receipt for receipt, _ in rows))
        chain.deliver("pos", "receipt_lines", day, *(line for _, line in rows))


@pytest.fixture(scope="module")
def chain(server_home: Path) -> Iterator[Chain]:
    with new_warehouse(server_home) as settings:
        chain = Chain(settings, OPENED)
        enrolled = [("S1", date(2025, 9, 16)), ("S1", date(2025, 9, 2)), ("S2", date(2025, 10, 1))]
        for number, (store, day) in enumerate(enrolled):
            row = {"card_no": f"C{number}", "store_id": store, "enrolled_at": f"{day}T09:00:00"}
            chain.deliver("pos", "enrolments", day, row)
        sell(chain, {place: amount for place, amount in sales().items() if place != ("S2", LATE)})
        for day, targets in TOLD.items():
            chain.deliver("reference", "targets", day, *targets)
        yield chain


def kinds() -> dict[str, tuple[str, Decimal]]:
    with (PROJECT_ROOT / "dbt_project" / "seeds" / "target_metrics.csv").open(encoding="utf-8", newline="") as file:
        return {row["metric"]: (row["kind"], Decimal(row["unit"])) for row in csv.DictReader(file)}


def agree(chain: Chain, as_of: date, *, with_late: bool) -> None:
    chain.publish(as_of)
    in_time = {place: amount for place, amount in sales().items() if place != ("S2", LATE)}
    late = {("S2", LATE): LATE_AMOUNT} if with_late else {}
    sold = {place: Decimal(amount) for place, amount in (in_time | late).items() if place[1] <= as_of}
    order = count()
    told = [
        row | {"value": Decimal(row["value"]), "delivered_on": day, "order": next(order)}
        for day, rows in TOLD.items()
        for row in rows
    ]
    told = [{"staff_id": None, "stage_code": None, "revision": None} | row for row in told]
    observed_from = min(day for _, day in sold)
    decomposition = target_decomposition(told, kinds(), sold, observed_from, as_of)
    assert_published(chain, "target_decomposition", decomposition, 7)
    said = target_attainment_weekly(
        decomposition, kinds(), kpis(chain), {row["store_id"]: row["region"] for row in STORES}
    )
    assert_published(chain, "target_attainment_weekly", said, 4)


def kpis(chain: Chain) -> dict[tuple[date, str, str], dict[str, Any]]:
    """What kpi_weekly says, which has a reference of its own."""
    rows = chain.read("select week_start, level, level_id, to_jsonb(kpi) from bi.kpi_weekly as kpi")
    found = {}
    for week, level, level_id, columns in rows:
        found[week, level, level_id] = {
            name: Decimal(str(value)) if isinstance(value, int | float) and not isinstance(value, bool) else value
            for name, value in columns.items()
        } | {"days_elapsed": columns["days_elapsed"]}
    return found


def assert_published(chain: Chain, table: str, said: pd.DataFrame, key: int) -> None:
    rows = [tuple(None if pd.isna(cell) else cell for cell in row) for row in said.itertuples(index=False)]
    assert rows
    order = ", ".join(map(str, range(1, key + 1)))
    published = chain.read(f"select {', '.join(said.columns)} from bi.{table} order by {order}")
    assert published == sorted(rows, key=lambda row: row[:key])


def test_targets_are_what_the_reference_says_whatever_comes_later(chain: Chain) -> None:
    agree(chain, MID_WEEK, with_late=False)
    agree(chain, LATER, with_late=False)
    before = chain.read(
        "select * from bi.target_attainment_weekly where week_start < date '2025-09-29' order by 1, 2, 3, 4"
    )
    sell(chain, {("S2", LATE): LATE_AMOUNT}, LATEST)
    agree(chain, LATEST, with_late=True)
    # what was revised or sold later changed no week before
    assert before == chain.read(
        "select * from bi.target_attainment_weekly where week_start < date '2025-09-29' order by 1, 2, 3, 4"
    )
    # what is known by now counts, also as of a day before it was delivered
    agree(chain, LATER, with_late=True)
    content = chain.content()
    chain.publish(LATER, full_refresh=True)
    assert chain.content() == content


def test_a_revision_changes_no_week_that_began_before_it(chain: Chain) -> None:
    told = chain.read(
        "select week_start, revision from bi.target_decomposition"
        " where level_id = 'S1' and metric = 'net_sales_amount' and is_in_force"
        " and period_start = '2025-09-01' and period_type = 'month' order by 1"
    )
    mondays = [date(2025, 9, 1) + days(7 * number) for number in range(5)]
    assert told == list(zip(mondays, (0, 0, 1, 1, 1), strict=True))


def test_the_weeks_of_a_target_add_up_to_it(chain: Chain) -> None:
    assert (
        chain.read(
            "select level_id, metric, period_start, revision from bi.target_decomposition where kind = 'flow'"
            " group by level_id, metric, period_type, period_start, revision, parent_value"
            " having sum(target_value) <> parent_value"
        )
        == []
    )
