"""The store compass, by hand: five malls of the north that differ in one thing, and those that can't be compared."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.chain import Chain
from tests.conftest import new_warehouse
from tests.operations.given import expected, table, written

pytestmark = pytest.mark.services

FIRST_MONDAY, WEEKS = date(2025, 9, 1), 14
LAST_MONDAY = FIRST_MONDAY + timedelta(weeks=WEEKS - 1)
AS_OF = LAST_MONDAY + timedelta(days=6)

# Each store rings up ten receipts a week; on `two` of them are two shirts of 100, on the others one.
GIVEN = """
| store    | region | first week | two | what is special              |
|----------|--------|------------|-----|------------------------------|
| A        | north  | 1          | 2   | seldom sells a second piece  |
| B        | north  | 1          | 5   | has a counter at the door    |
| C        | north  | 1          | 6   |                              |
| D        | north  | 1          | 4   |                              |
| E        | north  | 2          | 5   | thirteen weeks old           |
| new      | north  | 3          | 9   | twelve weeks old             |
| reopened | north  | 1          | 9   | was closed for four weeks    |
| painted  | north  | 1          | 5   | was closed for 27 days       |
| south    | south  | 1          | 1   | nobody beside it             |
| W        | west   | 1          | 1   | three peers                  |
| X        | west   | 1          | 5   | three peers                  |
| Y        | west   | 1          | 5   | three peers                  |
| Z        | west   | 1          | 5   | three peers                  |
"""


@pytest.fixture(scope="module")
def chain(server_home: Path) -> Iterator[Chain]:
    given = table(GIVEN)
    opened = {row["store"]: FIRST_MONDAY + timedelta(weeks=int(row["first week"]) - 1) for row in given}
    stores = [
        {
            "store_id": row["store"],
            "region": row["region"],
            "format": "mall",
            "timezone": "Asia/Shanghai",
            "day_cutoff": "00:00",
            "opened_on": opened[row["store"]],
        }
        for row in given
    ]
    with new_warehouse(server_home) as settings:
        chain = Chain(settings, FIRST_MONDAY, stores)
        last_closed = FIRST_MONDAY + timedelta(weeks=6) - timedelta(days=1)
        chain.deliver(
            "reference",
            "store_closures",
            FIRST_MONDAY,
            {"store_id": "reopened", "closed_from": last_closed - timedelta(days=27), "closed_to": last_closed},
            {"store_id": "painted", "closed_from": last_closed - timedelta(days=26), "closed_to": last_closed},
        )
        for row in given:
            for week in range(int(row["first week"]) - 1, WEEKS):
                ring_up(chain, row["store"], FIRST_MONDAY + timedelta(weeks=week, days=4), int(row["two"]))
        counted = {"store_id": "B", "business_date": LAST_MONDAY, "hour": 12, "visitors": 50}
        chain.deliver("pos", "footfall", LAST_MONDAY, counted, of_store="B")
        chain.publish(AS_OF)
        yield chain


def ring_up(chain: Chain, store: str, day: date, two: int, receipts: int = 10) -> None:
    """Receipts of a store's day, so many of them with two pieces."""
    key = {"store_id": store, "register_id": "1", "business_date": day, "receipt_type": "sale"}
    rung: list[dict[str, Any]] = []
    lines: list[dict[str, Any]] = []
    for number in range(receipts):
        units = 2 if number < two else 1
        receipt = key | {"receipt_no": f"{store}/{day}/{number}"}
        rung.append(receipt | {"sold_at": f"{day}T12:00:00", "net_amount": 100 * units})
        lines.append(
            receipt | {"line_no": 1, "sku": "shirt", "quantity": units, "unit_price": 100, "net_amount": 100 * units}
        )
    chain.deliver("pos", "receipts", day, *rung, of_store=store)
    chain.deliver("pos", "receipt_lines", day, *lines, of_store=store)


def compass(chain: Chain, columns: str, where: str) -> list[dict[str, str]]:
    names = columns.replace(" ", "").split(",")
    rows = chain.read(f"select {columns} from bi.store_compass_weekly where week_start = '{LAST_MONDAY}' and {where}")
    return written(dict(zip(names, row, strict=True)) for row in rows)


def test_a_store_is_held_against_the_middle_of_its_peers(chain: Chain) -> None:
    """A sells a second piece on 2 of 10 receipts; the middle of B, C, D, E and painted is 5 of 10. Three more pieces of
    100 a week are 300. Who opened or reopened within thirteen weeks is no peer and has none; south has none at all."""
    columns = "store_id, value, quarter_value, peers, peer_median, peer_percentile, gap_amount, why_not_compared"
    assert compass(chain, columns, "indicator = 'attach_rate'") == expected(
        """
        | store_id | value | quarter_value | peers | peer_median | peer_percentile | gap_amount | why_not_compared               |
        |----------|-------|---------------|-------|-------------|-----------------|------------|--------------------------------|
        | A        | 0.2   | 0.2           | 5     | 0.5         | 0               | 300        |                                |
        | B        | 0.5   | 0.5           | 5     | 0.5         | 0.6             | 0          |                                |
        | C        | 0.6   | 0.6           | 5     | 0.5         | 1               | -100       |                                |
        | D        | 0.4   | 0.4           | 5     | 0.5         | 0.2             | 100        |                                |
        | E        | 0.5   | 0.5           | 5     | 0.5         | 0.6             | 0          |                                |
        | painted  | 0.5   | 0.5           | 5     | 0.5         | 0.6             | 0          |                                |
        | new      | 0.9   | 0.9           |       |             |                 |            | opened less than 13 weeks ago   |
        | reopened | 0.9   | 0.9           |       |             |                 |            | reopened less than 13 weeks ago |
        | south    | 0.1   | 0.1           |       |             |                 |            | too few peers                   |
        | W        | 0.1   | 0.1           |       |             |                 |            | too few peers                   |
        | X        | 0.5   | 0.5           |       |             |                 |            | too few peers                   |
        | Y        | 0.5   | 0.5           |       |             |                 |            | too few peers                   |
        | Z        | 0.5   | 0.5           |       |             |                 |            | too few peers                   |
        """  # noqa: E501  (a table)
    )


def test_the_lever_with_the_largest_gap_is_named_and_none_where_there_is_no_gap(chain: Chain) -> None:
    assert compass(chain, "store_id, indicator, gap_amount", "is_weakest") == expected(
        """
        | store_id | indicator   | gap_amount |
        |----------|-------------|------------|
        | A        | attach_rate | 300        |
        | D        | attach_rate | 100        |
        """
    )


def test_without_a_counter_at_the_door_nothing_is_known_of_traffic(chain: Chain) -> None:
    """Fifty came into B, and ten bought. Nobody else counts, so there is nobody to compare with."""
    columns = "store_id, indicator, value, why_not_compared"
    assert compass(chain, columns, "direction = 'traffic' and store_id in ('A', 'B')") == expected(
        """
        | store_id | indicator       | value | why_not_compared |
        |----------|-----------------|-------|------------------|
        | A        | visitors        |       | no figure        |
        | A        | conversion_rate |       | no figure        |
        | B        | visitors        | 50    | too few peers    |
        | B        | conversion_rate | 0.2   | too few peers    |
        """
    )


def test_with_four_peers_a_store_is_compared(chain: Chain) -> None:
    """In the week before the last E is twelve weeks old: B, C, D and painted are left for A."""
    found = chain.read(
        "select store_id, peers, why_not_compared from bi.store_compass_weekly where indicator = 'attach_rate'"
        f" and week_start = '{LAST_MONDAY - timedelta(weeks=1)}' and store_id in ('A', 'E') order by 1"
    )
    assert found == [("A", 4, None), ("E", None, "opened less than 13 weeks ago")]


def test_a_week_that_is_not_over_has_no_compass_and_late_receipts_change_the_weeks_that_look_back_on_them(
    chain: Chain,
) -> None:
    ring_up(chain, "A", AS_OF + timedelta(days=1), two=10)
    chain.publish(AS_OF + timedelta(days=1))
    assert chain.read("select max(week_start) from bi.store_compass_weekly") == [(LAST_MONDAY,)]
    before = dict(compass_of(chain, "A"))
    ring_up(chain, "A", FIRST_MONDAY + timedelta(weeks=5), two=10)
    chain.publish(AS_OF + timedelta(days=1))
    after = dict(compass_of(chain, "A"))
    changed = {week for week, value in after.items() if value != before[week]}
    assert changed == {FIRST_MONDAY + timedelta(weeks=week) for week in range(5, WEEKS)}
    content = chain.content()
    chain.publish(AS_OF + timedelta(days=1), full_refresh=True)
    assert chain.content() == content


def compass_of(chain: Chain, store: str) -> list[tuple[date, Any]]:
    return [
        (week, value)
        for week, value in chain.read(
            "select week_start, quarter_value from bi.store_compass_weekly"
            f" where store_id = '{store}' and indicator = 'attach_rate'"
        )
    ]
