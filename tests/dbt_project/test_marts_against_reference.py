"""The published marts against the slow reference: every member, every day, every week of the real sample."""

from __future__ import annotations

from datetime import date

import pandas as pd
import psycopg
import pytest
from tests.reference import cohorts, day_by_day
from tests.reference.kpi_tables import kpi_tables

from memberhouse import db
from memberhouse.settings import Settings

pytestmark = pytest.mark.services

# engaged_members_30 adds up too, and the sample has no events; nobody moves between its stores
ADDITIVE = [
    "opening_members",
    "new_members",
    "closing_members",
    "valid_members",
    "active_members",
    "churn_base",
    "purchasers_365",
    "repeat_purchasers_365",
    "purchasing_members",
    "sale_receipts",
    "sale_receipts_member",
    "sale_receipts_multi_unit",
    "sale_units",
    "sale_net_amount",
    "sale_net_amount_member",
    "sale_gross_amount",
    "net_sales_amount",
    "net_sales_member_amount",
]
EVERY_PERIOD = " union all ".join(
    f"select {', '.join(['period_type', 'period_start', 'level', *ADDITIVE])} from bi.kpi_{kind}"
    for kind in ("weekly", "monthly", "quarterly", "yearly")
)
AS_OF = date(2017, 12, 31)


@pytest.fixture(scope="module")
def conn(published_sample: Settings):
    with db.connect(published_sample) as connection:
        yield connection


@pytest.fixture(scope="module")
def facts(conn) -> pd.DataFrame:
    return day_by_day.judge_receipts(_active(conn, "pos__receipts"), _active(conn, "pos__receipt_lines"))


@pytest.fixture(scope="module")
def daily(conn, facts) -> pd.DataFrame:
    return day_by_day.stages_by_day(
        facts,
        _active(conn, "pos__enrolments"),
        _active(conn, "pos__member_status"),
        _active(conn, "reference__stores"),
        AS_OF,
    )


def test_every_member_is_in_the_reference_stage_on_every_day(conn, daily):
    published = _read(conn, "select member_id, stage_code, valid_from, valid_to from bi.member_stage_history")
    expected = day_by_day.intervals(daily).rename(columns={"card_no": "member_id"})
    _assert_same_rows(published, expected, ["member_id", "valid_from"])
    # 2,469 members from their enrolment to the last day of the year
    assert len(daily) > 2_469 * 300


def test_stage_mix_of_every_week_is_the_reference(conn, daily):
    published = _read(
        conn,
        "select week_start, store_id, stage_code, sum(members)::int as members from bi.stage_mix_weekly"
        " group by week_start, store_id, stage_code",
    )
    expected = day_by_day.stage_mix_weekly(daily)
    assert published["week_start"].nunique() == 53
    _assert_same_rows(published, expected, ["week_start", "store_id", "stage_code"])


def test_stage_migration_of_every_week_is_the_reference(conn, daily):
    published = _read(conn, "select week_start, from_stage, to_stage, members from bi.stage_migration_weekly")
    _assert_same_rows(published, day_by_day.stage_migration_weekly(daily), ["week_start", "from_stage", "to_stage"])


def test_every_kpi_table_is_the_reference_in_every_row_and_column(conn, daily, facts):
    stores, enrolments = _active(conn, "reference__stores"), _active(conn, "pos__enrolments")
    recruited_by = {member.member_id: member.service_store_id for member in day_by_day._members(enrolments, stores)}
    sold_at = cohorts.moments_of_sale(_active(conn, "pos__receipts"), stores)
    delivered = set(
        _read(conn, "select store_id, business_date from ops.batch where feed = 'receipts'").itertuples(
            index=False, name=None
        )
    )
    closures, calendar = _active(conn, "reference__store_closures"), _active(conn, "reference__calendar")
    rows = {}
    for table, expected, key in kpi_tables(daily, facts, stores, recruited_by, sold_at, delivered, closures, calendar):
        published = _read(conn, f"select * from bi.{table}")
        if len(expected) or len(published):
            _assert_same_rows(published, expected, key, table)
        rows[table] = len(expected)
    # 457 stores, one region (not fed) and head office in each period
    periods = {"kpi_weekly": 53, "kpi_monthly": 12, "kpi_quarterly": 4, "kpi_yearly": 1}
    assert {table: count for table, count in rows.items() if table in periods} == {
        table: 459 * count for table, count in periods.items()
    }
    # the sample has no calendar
    assert {table for table, count in rows.items() if not count} == {"member_day_effect"}


@pytest.mark.parametrize("column", ADDITIVE)
def test_stores_and_regions_add_up_to_head_office(conn, column):
    sums = _read(
        conn,
        f"select period_type, period_start, level, sum({column})::numeric as total from ({EVERY_PERIOD}) as kpi"
        " group by period_type, period_start, level",
    ).pivot(index=["period_type", "period_start"], columns="level", values="total")
    assert (sums["store"] == sums["hq"]).all()
    assert (sums["region"] == sums["hq"]).all()
    assert sums["hq"].sum() > 0


def test_totals_are_those_of_the_source(conn):
    (row,) = conn.execute(
        "select (select count(*) from bi.fct_receipt_line), (select count(*) from bi.fct_receipt),"
        " (select count(*) from bi.dim_member), (select sum(net_amount) from bi.fct_receipt_line)::text"
    ).fetchall()
    assert row == (1_469_307, 155_848, 2_469, "4596039.58")


def test_what_a_year_cannot_show_is_said_and_never_zero(conn):
    rows = conn.execute(
        "select count(*), count(churned_lapse), count(churn_rate), count(churn_rate) filter (where churn_rate = 0),"
        " count(*) filter (where caveats like '%churn: not observable yet%') from bi.kpi_weekly"
    ).fetchone()
    assert rows[0] == rows[4] > 0
    assert rows[1] == rows[2] == rows[3] == 0


def _active(conn: psycopg.Connection, table: str) -> pd.DataFrame:
    return _read(
        conn,
        f"select fed.* from raw.{table} as fed"
        " inner join ops.batch on fed._batch_id = batch.batch_id and batch.state = 'loaded'",
    )


def _read(conn: psycopg.Connection, statement: str) -> pd.DataFrame:
    cursor = conn.execute(statement)
    return pd.DataFrame(cursor.fetchall(), columns=[column.name for column in cursor.description])


def _assert_same_rows(published: pd.DataFrame, expected: pd.DataFrame, key: list[str], table: str = "") -> None:
    """Equal cell by cell; the message shows the first rows that differ, side by side."""
    columns = list(expected.columns)
    left = published[columns].astype(object).where(published[columns].notna(), None)
    right = expected.astype(object).where(expected.notna(), None)
    merged = left.merge(right, on=key, how="outer", suffixes=("_published", "_expected"), indicator=True)
    assert (merged["_merge"] == "both").all(), f"{table}\n" + merged[merged["_merge"] != "both"].head(10).to_string()
    for column in columns:
        if column in key:
            continue
        one, other = merged[f"{column}_published"], merged[f"{column}_expected"]
        differs = ~((one == other) | (one.isna() & other.isna()))
        assert not differs.any(), (
            f"{table} {column}: {int(differs.sum())} of {len(merged)} rows differ\n"
            + merged.loc[differs, [*key, f"{column}_published", f"{column}_expected"]].head(10).to_string()
        )
    assert len(merged) > 0
