"""Builds of what changed = builds of everything = the day-by-day reference, on random histories in random orders."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.differential.__main__ import EVIDENCE, campaign, page
from tests.differential.deliveries import order_of
from tests.differential.histories import FIRST, LAST, LEAP_DAY, SHOP, Row, histories

from memberhouse.settings import PROJECT_ROOT
from memberhouse.sources.feeds import FEEDS

SEED = 20261122
MEMBERS, ORDERS = 500, 12


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return histories(SEED, MEMBERS)


# ------------------------------------------------------------------------------------------ what is tried at all


def test_a_seed_always_stands_for_the_same_histories_and_orders(rows: list[Row]) -> None:
    assert histories(SEED, MEMBERS) == rows
    assert order_of(SEED, 3, rows) == order_of(SEED, 3, rows)
    assert order_of(SEED, 3, rows) != order_of(SEED, 4, rows)


def test_another_process_tries_the_same() -> None:
    """One that hashes texts and dates in another way: an order of a set must not show."""
    told = "from tests.differential.test_differential import *; print(told_of(histories(SEED, 20)))"
    said = [
        subprocess.run(
            [sys.executable, "-c", told],
            env=os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            cwd=PROJECT_ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for hash_seed in ("1", "2")
    ]
    assert said == [told_of(histories(SEED, 20))] * 2


def told_of(rows: list[Row]) -> str:
    """A fingerprint of histories and of an order of theirs."""
    return hashlib.sha256(repr((rows, order_of(SEED, 3, rows))).encode()).hexdigest()


def test_a_family_is_the_same_whatever_others_there_are(rows: list[Row]) -> None:
    few = histories(SEED, 5)
    assert few == [row for row in rows if row.family == SHOP or row.family < "f0005"]


def test_the_histories_miss_nothing_that_can_happen(rows: list[Row]) -> None:
    feeds = Counter(row.feed for row in rows)
    assert set(feeds) == {
        *("stores", "products", "enrolments", "member_status", "member_assignments", "receipts", "receipt_lines"),
        *("accounts", "identity_links", "receipt_claims", "tier_rules", "member_tiers", "calendar"),
    }
    receipts = [row.content for row in rows if row.feed == "receipts"]
    assert {row["receipt_type"] for row in receipts} == {"sale", "return", "exchange", "void"}
    for flag in ("is_training", "is_staff_sale", "is_wholesale", "revision", "account_id", "member_phone"):
        assert any(row.get(flag) for row in receipts), flag
    returns = [row for row in receipts if row["receipt_type"] == "return"]
    assert any(row.get("original_receipt_no") for row in returns)
    assert any(not row.get("original_receipt_no") for row in returns)
    statuses = {row.content["status"] for row in rows if row.feed == "member_status"}
    assert statuses == {"closed", "reopened", "blocked", "unblocked", "staff", "not_staff", "test"}
    links = [row.content for row in rows if row.feed == "identity_links"]
    assert any(row["survivor_account_id"] for row in links)
    assert any(row["valid_to"] for row in links if row["survivor_account_id"])
    planned = [row for row in rows if row.feed == "member_assignments" and row.content["valid_from"] > row.delivered_on]
    assert planned
    assert {row.content["store_id"] for row in rows if row.feed == "receipts"} == {"S1", "S2", "S3", "S4", "APP"}
    assert {row.get("channel") for row in receipts} == {"store", "app", "mini_program", None}
    assert LEAP_DAY in {row.content["business_date"] for row in rows if row.feed == "receipts"}
    assert (LAST - FIRST).days > 2.4 * 365


@pytest.mark.parametrize("number", range(ORDERS))
def test_every_order_delivers_the_same_in_the_end(rows: list[Row], number: int) -> None:
    order = order_of(SEED, number, rows)
    delivered = [row for row, _ in order.in_force(len(order.as_of) - 1)]
    assert Counter(map(str, delivered)) == Counter(map(str, rows))
    assert order.as_of[-1] == LAST
    assert {(batch.source, batch.feed) for batch in order.batches} <= set(FEEDS)


def test_the_orders_bring_things_late_early_wrong_and_in_many_cuts(rows: list[Row]) -> None:
    orders = [order_of(SEED, number, rows) for number in range(ORDERS)]
    late = [
        (order.as_of[batch.step] - batch.business_date).days
        for order in orders
        for batch in order.batches
        if batch.step and order.as_of[batch.step - 1] > batch.business_date
    ]
    assert min(late) < 30
    assert max(late) > 300
    assert any(batch.business_date > order.as_of[batch.step] for order in orders for batch in order.batches)
    assert any(
        later < earlier for order in orders for earlier, later in zip(order.as_of, order.as_of[1:], strict=False)
    )
    assert {batch.name for order in orders for batch in order.batches} == {
        *("whole", "own", "one", "two"),
        *("first", "again"),
    }
    replaced = [(order, batch) for order in orders for batch in order.batches if batch.name == "first"]
    later_than_its_revision = [
        batch
        for order, batch in replaced
        if any(other.place == batch.place and other.revision and other.step < batch.step for other in order.batches)
    ]
    assert len(replaced) > len(later_than_its_revision) > 0


# ------------------------------------------------------------------------------------------ and what comes of it


@pytest.mark.services
def test_one_order_of_few_members(server_home: Path) -> None:
    (tried,) = campaign(server_home, SEED, 40, [1], steps=3)
    assert tried.held, tried
    assert tried.published_members > 40
    assert tried.erased


BROKEN = {
    "a status reaches nobody": (
        "models/intermediate/members/int_members__touched_ids.sql",
        "batches.feed = 'member_status'",
        "batches.feed = 'no such feed'",
    ),
    "what the as-of date uncovers is not looked at": (
        "models/intermediate/release/int_release__changed_batches.sql",
        ") > least(",
        ") > greatest(date '9999-01-01', ",
    ),
    "day 90 is one day early": ("seeds/stage_rules.csv", "true,1,,90,180,", "true,1,,91,180,"),
    "a member's cycle is half of it": ("seeds/adaptive_bands.csv", "at_risk,2,", "at_risk,1,"),
}


@pytest.mark.full
@pytest.mark.services
@pytest.mark.parametrize("broken", BROKEN)
def test_what_is_wrong_is_seen_and_told_with_its_member(server_home: Path, broken: str) -> None:
    def spoil(project: Path) -> None:
        file, right, wrong = BROKEN[broken]
        text = (project / file).read_text(encoding="utf-8")
        assert right in text
        (project / file).write_text(text.replace(right, wrong), encoding="utf-8")

    (tried,) = campaign(server_home, SEED, 60, [1], steps=3, spoil=spoil)
    assert not tried.held
    assert f"seed {SEED}, order 1" in tried.violations[0]
    assert "what was landed of its family" in tried.violations[0]


@pytest.mark.full
@pytest.mark.services
def test_many_orders_of_many_members(server_home: Path) -> None:
    """Writes the page docs/evidence/differential-<date>.md."""
    tried = []
    for each in campaign(server_home, SEED, MEMBERS, range(ORDERS)):
        print(each, flush=True)
        tried.append(each)
    command = f"python -m tests.differential --orders {ORDERS} --members {MEMBERS} --seed {SEED}"
    (EVIDENCE / f"differential-{datetime.now(UTC):%Y-%m-%d}.md").write_text(page(tried, command), encoding="utf-8")
    assert [each.number for each in tried if not each.held] == []
    assert min(each.published_members for each in tried) >= MEMBERS
