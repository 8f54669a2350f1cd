"""The facts of a simulated messy chain against its truth: nothing lost, nothing twice, built in parts or at once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.chain import publish
from tests.conftest import new_warehouse

from memberhouse import db, release
from memberhouse.load import load_landed
from memberhouse.settings import Settings
from memberhouse.simulate.chain import DEFAULT_UNTIL, write_chain

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def messy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("messy facts") / "landing"
    write_chain(folder, members=1500, days=60, seed=11, messy=True)
    return folder


@pytest.fixture(scope="module")
def built(messy: Path, server_home: Path) -> Iterator[Settings]:
    """Published up to nine days before the end, then to the end; what was refused for unknown stores is tried again."""
    with new_warehouse(server_home) as settings:
        load_landed(settings, messy, until=DEFAULT_UNTIL - timedelta(days=9))
        publish(settings, DEFAULT_UNTIL - timedelta(days=9))
        load_landed(settings, messy)
        load_landed(settings, messy)
        publish(settings, DEFAULT_UNTIL)
        yield settings


def read(settings: Settings, statement: str) -> list[tuple[Any, ...]]:
    with db.connect(settings) as conn:
        db.as_bi_role(conn)
        return conn.execute(statement.encode()).fetchall()


def truth(messy: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(messy / "truth" / name, dtype=str, keep_default_na=False)


def test_each_fact_has_the_rows_that_were_landed_sound(messy: Path, built: Settings) -> None:
    landed = truth(messy, "feeds.csv.gz").set_index("feed")["rows"].astype(int)
    facts = {
        "contacts": "select count(*) from bi.fct_contact",
        "events": "select sum(events) from bi.fct_app_event_day",
        "points_entries": "select count(*) from bi.fct_points_entry",
        "referrals": "select count(*) from bi.fct_referral",
        "campaigns": "select count(*) from bi.dim_campaign",
        "templates": "select count(*) from bi.dim_template",
        "event_catalogue": "select count(*) from bi.dim_app_event",
    }
    assert {feed: read(built, statement)[0][0] for feed, statement in facts.items()} == dict(landed[list(facts)])
    versions = {"coupons": "coupon_id", "feedback": "ticket_id"}
    for feed, key in versions.items():
        ((distinct, held),) = read_raw(
            built,
            f"select count(distinct fed.{key}), (select count(*) from marts.fct_{feed.removesuffix('s')})"
            f" from raw.app__{feed} as fed inner join ops.batch on batch_id = _batch_id and state = 'loaded'",
        )
        assert distinct == held < landed[feed]


def read_raw(settings: Settings, statement: str) -> list[tuple[Any, ...]]:
    with db.connect(settings) as conn:
        return conn.execute(statement.encode()).fetchall()


def test_what_was_paid_is_what_was_sold(messy: Path, built: Settings) -> None:
    totals = truth(messy, "totals.csv.gz").set_index("what")["value"].map(Decimal)
    ((receipts, tenders, amount),) = read(
        built, "select count(distinct receipt_id), count(*), sum(amount) from bi.fct_tender"
    )
    assert (receipts, amount) == (totals["receipts"], totals["z_net"])
    assert tenders > receipts
    days = truth(messy, "store_days.csv.gz")
    days = days[days["receipts"] != "0"]
    paid = read(built, "select business_date::text, store_id, sum(amount) from bi.fct_tender group by 1, 2")
    assert sorted(paid) == sorted(zip(days["business_date"], days["store_id"], days["z_net"].map(Decimal), strict=True))
    assert read_raw(built, "select 1 from intermediate.int_audit__tenders where abs(gap_amount) > 0.01") == []


def test_points_are_all_there_and_nobody_is_overdrawn(built: Settings) -> None:
    """The simulated ledger names its lots and lets none fall below zero."""
    ((entered,),) = read_raw(
        built,
        "select sum(points) from raw.app__points_entries inner join ops.batch on batch_id = _batch_id"
        " where state = 'loaded'",
    )
    ((open_points, overdrawn, redeemed),) = read(
        built,
        "select sum(open_points), count(*) filter (where open_points < 0), sum(redeemed_points) from bi.points_lot",
    )
    assert (open_points, overdrawn) == (entered, 0)
    assert redeemed == -read(built, "select sum(points) from bi.fct_points_entry where entry_type = 'redeem'")[0][0]
    # paid with: a hundred points a yuan
    assert redeemed == 100 * read(built, "select sum(amount) from bi.fct_tender where tender_type = 'points'")[0][0]


def test_every_member_is_enrolled_once(messy: Path, built: Settings) -> None:
    enrolled = read(
        built,
        "select member_id, enrolled_on from bi.dim_member where enrolled_on is not null and merged_on is null"
        " order by 1",
    )
    assert (
        read(built, "select member_id, enrolled_on from bi.fct_enrolment where is_members_first order by 1") == enrolled
    )
    faults = truth(messy, "ledger.csv")
    late = faults[(faults["kind"] == "backdated") & (faults["remark"].isin(["by 5 days", "by 29 days", "by 30 days"]))]
    backdated = dict(read(built, "select identifier, days_backdated from bi.fct_enrolment"))
    assert [f"by {backdated[card]} days" for card in late["key"]] == list(late["remark"])
    assert len(late) == 3


def test_the_shared_card_is_flagged(messy: Path, built: Settings) -> None:
    faults = truth(messy, "ledger.csv")
    shared = faults[faults["kind"] == "shared_card"][["key", "business_date"]].itertuples(index=False, name=None)
    flagged = read(built, "select member_id, first_suspect_on::text from bi.member_flags where is_suspect_shared")
    assert flagged == list(shared)


def test_redeemed_coupons_lead_to_their_receipt(built: Settings) -> None:
    ((redeemed, found),) = read(
        built,
        "select count(*), count(receipt.receipt_id) from bi.fct_coupon as coupon"
        " left join bi.fct_receipt as receipt on coupon.receipt_id = receipt.receipt_id"
        " where is_redeemed",
    )
    assert redeemed == found > 50


def test_built_in_parts_or_anew_it_is_the_same(built: Settings) -> None:
    with db.connect(built) as conn:
        before = release.content_hash(conn)
    publish(built, DEFAULT_UNTIL, full_refresh=True)
    with db.connect(built) as conn:
        assert release.content_hash(conn) == before
