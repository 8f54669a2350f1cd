"""What members like, what they have at home, and what goes with what: small stories, by hand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from tests.chain import Chain
from tests.conftest import new_warehouse
from tests.operations.given import expected, table, written

pytestmark = pytest.mark.services

OPENED, AS_OF = date(2025, 9, 1), date(2026, 3, 31)

PRODUCTS = """
| sku    | category | size | colour | is_focus |
|--------|----------|------|--------|----------|
| top S  | tops     | S    | pink   | yes      |
| top M  | tops     | M    | pink   |          |
| blue M | tops     | M    | blue   |          |
| shoe   | shoes    | 24   | white  | yes      |
| hat    | hats     |      |        |          |
"""
# A receipt with a minus brings goods back.
GIVEN = """
| receipt | day        | member | sku    | units | price | discount |
|---------|------------|--------|--------|-------|-------|----------|
| 1       | 2025-09-02 | Anna   | top S  | 1     | 100   | 0        |
| 2       | 2026-03-01 | Anna   | shoe   | 1     | 49    | 0        |
| 3       | 2026-03-02 | Anna   | top M  | 1     | 60    | 0        |
| 3       | 2026-03-02 | Anna   | top S  | 1     | 20    | 0        |
| 4       | 2026-03-12 | Anna   | top M  | -1    | 60    | 0        |
| 5       | 2025-10-01 | Ben    | top S  | 1     | 100   | 0        |
| 6       | 2026-03-30 | Ben    | shoe   | 1     | 50    | 0        |
| 7       | 2026-03-30 | Carla  | hat    | 2     | 50    | 60       |
| 8       | 2026-02-28 | Carla  | hat    | 1     | 70    | 30       |
| 9       | 2026-03-10 | Carla  | socks  | 1     | 40    | 0        |
| 10      | 2026-03-01 | Dora   | hat    | 1     | 71    | 29       |
| 11      | 2026-03-11 | Dora   | hat    | 1     | 71    | 29       |
| 12      | 2026-03-21 | Dora   | blue M | 1     | 71    | 29       |
| 13      | 2026-03-21 |        | shoe   | 1     | 50    | 0        |
"""


@pytest.fixture(scope="module")
def chain(server_home: Path) -> Iterator[Chain]:
    with new_warehouse(server_home) as settings:
        chain = Chain(settings, OPENED)
        goods = [row | {"name": row["sku"], "is_focus": row["is_focus"] == "yes"} for row in table(PRODUCTS)]
        chain.deliver(
            "reference", "products", OPENED, *({n: v if v != "" else None for n, v in g.items()} for g in goods)
        )
        for card in ("Anna", "Ben", "Carla", "Dora"):
            chain.deliver(
                "pos", "enrolments", OPENED, {"card_no": card, "store_id": "S1", "enrolled_at": f"{OPENED}T09:00:00"}
            )
        ring_up(chain, GIVEN)
        chain.publish(AS_OF)
        yield chain


def ring_up(chain: Chain, given: str) -> None:
    """Receipts of a table: lines with one number and day are one receipt."""
    receipts: dict[tuple[str, str, str], list[dict[str, str]]] = {}
    for row in table(given):
        receipts.setdefault((row["receipt"], row["day"], row["member"]), []).append(row)
    for (number, day, member), rows in receipts.items():
        lines = [
            {
                "sku": row["sku"],
                "quantity": int(row["units"]),
                "unit_price": Decimal(row["price"]),
                "discount_amount": Decimal(row["discount"]),
                "net_amount": int(row["units"]) * Decimal(row["price"]),
            }
            for row in rows
        ]
        kind = "sale" if lines[0]["quantity"] > 0 else "return"
        chain.ring(kind, number, date.fromisoformat(day), lines, member_card_no=member or None)


def read(chain: Chain, table_name: str, columns: str, where: str = "true") -> list[dict[str, str]]:
    names = columns.replace(" ", "").split(",")
    rows = chain.read(f"select {columns} from bi.{table_name} where {where}")
    return written(dict(zip(names, row, strict=True)) for row in rows)


def test_what_came_back_is_not_in_the_wardrobe(chain: Chain) -> None:
    """Anna took the second top back: its slot is empty. Of the first one she has two. Nobody knows of socks."""
    assert read(chain, "member_wardrobe", "member_id, category, size, colour, units_kept, last_bought_on") == expected(
        """
        | member_id | category | size    | colour  | units_kept | last_bought_on |
        |-----------|----------|---------|---------|------------|----------------|
        | Anna      | tops     | S       | pink    | 2          | 2026-03-02     |
        | Anna      | shoes    | 24      | white   | 1          | 2026-03-01     |
        | Ben       | tops     | S       | pink    | 1          | 2025-10-01     |
        | Ben       | shoes    | 24      | white   | 1          | 2026-03-30     |
        | Carla     | hats     | unknown | unknown | 3          | 2026-03-30     |
        | Carla     | unknown  | unknown | unknown | 1          | 2026-03-10     |
        | Dora      | hats     | unknown | unknown | 2          | 2026-03-11     |
        | Dora      | tops     | M       | blue    | 1          | 2026-03-21     |
        """
    )


def test_what_a_member_likes(chain: Chain) -> None:
    """Anna's top of 100 lies 180 days before the shoes of 49, so it weighs 50, and 20 more were spent on tops lately:
    tops. Ben came twice only. Carla saved 90 of 300 on what she bought, which is 30 %; Dora 29 %."""
    columns = "member_id, purchase_days, cycle_days, top_category, top_size, is_price_sensitive"
    assert read(chain, "member_preference", columns) == expected(
        """
        | member_id | purchase_days | cycle_days | top_category | top_size | is_price_sensitive |
        |-----------|---------------|------------|--------------|----------|--------------------|
        | Anna      | 3             | 90.5       | tops         | S        | no                 |
        | Carla     | 3             | 15         | hats         |          | yes                |
        | Dora      | 3             | 10         | hats         |          | no                 |
        """
    )


def test_a_late_receipt_changes_the_member_it_speaks_of_and_a_full_build_nothing(chain: Chain) -> None:
    """Ben's third purchase makes a preference; by then the top is old."""
    ring_up(
        chain,
        """
        | receipt | day        | member | sku  | units | price | discount |
        |---------|------------|--------|------|-------|-------|----------|
        | 14      | 2026-03-15 | Ben    | shoe | 1     | 30    | 0        |
        """,
    )
    release_id = chain.publish(AS_OF + timedelta(days=1))
    assert chain.written_by(release_id)["member_preference"] == 1
    ((category, share),) = chain.read(
        "select top_category, top_category_share from bi.member_preference where member_id = 'Ben'"
    )
    top, shoes = 100 * 2 ** (-180 / 180), 50 + 30 * 2 ** (-15 / 180)
    assert category == "shoes"
    assert float(share) == pytest.approx(shoes / (top + shoes), abs=1e-6)
    content = chain.content()
    chain.publish(AS_OF + timedelta(days=1), full_refresh=True)
    assert chain.content() == content


def test_what_goes_with_what_is_told_from_fifty_receipts_on(server_home: Path) -> None:
    """In spring fifty receipts have tops and fifty have shoes, twenty of them both. In summer 49 have tops in the
    north, and one in the south: enough for the whole chain, and for the north when one comes late."""
    with new_warehouse(server_home) as settings:
        chain = Chain(settings, OPENED)
        chain.deliver(
            "reference", "products", OPENED, {"sku": "top", "category": "tops"}, {"sku": "shoe", "category": "shoes"}
        )
        number = 0
        for day, baskets in (
            (date(2026, 3, 1), {("top",): 30, ("shoe",): 30, ("top", "shoe", "shoe"): 20, ("socks",): 20}),
            (date(2026, 6, 1), {("top",): 29, ("shoe",): 30, ("top", "shoe"): 20}),
        ):
            for basket, times in baskets.items():
                for _ in range(times):
                    number += 1
                    lines = [{"sku": sku, "quantity": 1, "unit_price": 10, "net_amount": 10} for sku in basket]
                    chain.ring("sale", str(number), day, lines)
        top = [{"sku": "top", "quantity": 1, "unit_price": 10, "net_amount": 10}]
        chain.ring("sale", "south", date(2026, 6, 1), top, store="S2")
        chain.publish(date(2026, 6, 2))
        columns = "season, level_id, category, with_category, receipts_with_both, support, confidence, lift"
        assert read(chain, "attach_pair", columns) == expected(
            """
            | season | level_id | category | with_category | receipts_with_both | support | confidence | lift |
            |--------|----------|----------|---------------|--------------------|---------|------------|------|
            | spring | north    | tops     | shoes         | 20                 | 0.2     | 0.4        | 0.8  |
            | spring | north    | shoes    | tops          | 20                 | 0.2     | 0.4        | 0.8  |
            | spring | hq       | tops     | shoes         | 20                 | 0.2     | 0.4        | 0.8  |
            | spring | hq       | shoes    | tops          | 20                 | 0.2     | 0.4        | 0.8  |
            | summer | hq       | tops     | shoes         | 20                 | 0.25    | 0.4        | 0.64 |
            | summer | hq       | shoes    | tops          | 20                 | 0.25    | 0.4        | 0.64 |
            """
        )
        chain.ring("sale", "late", date(2026, 6, 1), top, delivered=date(2026, 6, 2))
        chain.publish(date(2026, 6, 2))
        assert read(chain, "attach_pair", columns, "season = 'summer' and category = 'tops'") == expected(
            """
            | season | level_id | category | with_category | receipts_with_both | support  | confidence | lift     |
            |--------|----------|----------|---------------|--------------------|----------|------------|----------|
            | summer | north    | tops     | shoes         | 20                 | 0.25     | 0.4        | 0.64     |
            | summer | hq       | tops     | shoes         | 20                 | 0.246914 | 0.392157 | 0.635294 |
            """
        )
        content = chain.content()
        chain.publish(date(2026, 6, 2), full_refresh=True)
        assert chain.content() == content


def test_every_stage_has_a_play_for_each_of_three_roles(chain: Chain) -> None:
    found = chain.read(
        "select stage.stage_code, array_agg(play.role order by play.role) from bi.dim_stage as stage"
        " left join bi.stage_playbook as play using (stage_code) where stage.stage_code <> 'X' group by 1"
    )
    assert {tuple(roles) for _, roles in found} == {("head_office", "staff", "store_manager")}
    assert len(found) == 10


OFFERED = """
| receipt | day        | member | sku  | units | price | discount |
|---------|------------|--------|------|-------|-------|----------|
| 1       | 2026-02-10 | Anna   | top  | 1     | 100   | 0        |
| 2       | 2026-02-11 | Ben    | top  | 1     | 100   | 0        |
| 2       | 2026-02-11 | Ben    | shoe | 1     | 50    | 0        |
| 3       | 2026-01-01 | Carla  | hat  | 1     | 20    | 0        |
| 4       | 2026-01-11 | Carla  | hat  | 1     | 20    | 0        |
| 5       | 2026-01-21 | Carla  | hat  | 1     | 20    | 0        |
| 6       | 2026-01-01 | Dora   | hat  | 1     | 20    | 0        |
| 7       | 2026-02-01 | Dora   | hat  | 1     | 20    | 0        |
| 8       | 2026-03-03 | Dora   | hat  | 1     | 20    | 0        |
| 9       | 2026-02-20 | Emil   | top  | 1     | 100   | 0        |
| 10      | 2026-02-20 | Emil   | shoe | 1     | 50    | 0        |
| 11      | 2026-03-01 | Emil   | shoe | -1    | 50    | 0        |
"""


def test_what_to_offer_next_and_why(server_home: Path) -> None:
    """In winter tops and shoes were bought together by 60 % more often than by chance. Anna has a top and no shoes, and
    Emil took his shoes back; Ben has both. Carla buys hats every ten days and had her last one in January; Dora every
    month, so hers is not used up before April."""
    with new_warehouse(server_home) as settings:
        chain = Chain(settings, OPENED)
        products = [
            {"sku": "top", "category": "tops"},
            {"sku": "shoe", "category": "shoes", "launched_on": "2026-02-01"},
            {"sku": "focus shoe", "category": "shoes", "launched_on": "2025-02-01", "is_focus": True},
            {"sku": "hat", "category": "hats"},
        ]
        named = ({"name": row["sku"], "is_focus": False, "launched_on": None} | row for row in products)
        chain.deliver("reference", "products", OPENED, *named)
        for card in ("Anna", "Ben", "Carla", "Dora", "Emil"):
            row = {"card_no": card, "store_id": "S1", "enrolled_at": f"{OPENED}T09:00:00"}
            chain.deliver("pos", "enrolments", OPENED, row)
        for number in range(100):
            skus = (
                ("top", "shoe") if number < 40 else ("top",) if number < 50 else ("shoe",) if number < 60 else ("hat",)
            )
            lines = [{"sku": sku, "quantity": 1, "unit_price": 10, "net_amount": 10} for sku in skus]
            chain.ring("sale", f"stranger {number}", date(2026, 1, 5), lines)
        ring_up(chain, OFFERED)
        chain.publish(date(2026, 3, 5))
        columns = "member_id, place, category, sku, reason, because_of, offer_from"
        in_march = """
            | member_id | place | category | sku        | reason    | because_of | offer_from |
            |-----------|-------|----------|------------|-----------|------------|------------|
            | Anna      | 1     | shoes    | focus shoe | goes with | tops       | 2026-02-10 |
            | Carla     | 1     | hats     | hat        | used up   | hats       | 2026-01-31 |
            | Emil      | 1     | shoes    | focus shoe | goes with | tops       | 2026-02-20 |
            """
        assert read(chain, "product_match", columns) == expected(in_march)
        quiet = chain.publish(date(2026, 4, 2))
        assert read(chain, "product_match", columns) == expected(in_march)
        assert "int_operations__offers" not in chain.written_by(quiet)
        quiet = chain.publish(date(2026, 4, 3))
        assert "int_operations__offers" not in chain.written_by(quiet)
        by_april = "            | Dora      | 1     | hats     | hat        | used up   | hats       | 2026-04-03 |\n"
        assert read(chain, "product_match", columns) == expected(in_march + by_april)
        content = chain.content()
        chain.publish(date(2026, 4, 3), full_refresh=True)
        assert chain.content() == content
