"""What holds of every warehouse, whatever was loaded: each row and each cent is accounted for."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

from memberhouse import db
from memberhouse.settings import Settings
from memberhouse.sources.contract import Feed
from memberhouse.sources.feeds import FEEDS

# Each finds the batches that break a promise, and must find none.
_BROKEN_BATCHES = {
    "its counts are not those of its balances": """
        select batch.batch_id
        from ops.batch
        left join ops.load_balance as balance using (batch_id)
        where batch.state in ('loaded', 'superseded')
        group by batch.batch_id
        having batch.rows_in <> coalesce(sum(rows), 0)
            or batch.rows_loaded <> coalesce(sum(rows) filter (where outcome = 'loaded'), 0)
            or batch.rows_quarantined <> coalesce(sum(rows) filter (where outcome = 'quarantined'), 0)
            or batch.rows_duplicate <> coalesce(sum(rows) filter (where outcome = 'duplicate'), 0)
    """,
    "its quarantined rows are not in the quarantine": """
        select batch.batch_id
        from ops.batch
        left join quarantine.rejected_row using (batch_id)
        group by batch.batch_id
        having count(rejected_row_id) filter (where replayed_at is null) <> rows_quarantined
    """,
    "a file has other rows or money than its manifest states": """
        select batch.batch_id
        from ops.batch
        cross join jsonb_to_recordset(manifest -> 'files') as stated (name text, rows bigint, amount_total numeric)
        left join ops.load_file as read on read.batch_id = batch.batch_id and read.file_name = stated.name
        where state in ('loaded', 'superseded') and (
            coalesce(read.rows_in, 0) <> stated.rows
            or coalesce(read.amount_in, 0) <> stated.amount_total and read.rows_without_amount = 0
        )
    """,
}


def assert_conserved(settings: Settings) -> None:
    """Rows and money: in = loaded + quarantined + duplicate = what the manifest states, and what is
    booked as loaded is what lies in ``raw``; nothing of a refused batch does."""
    with db.connect(settings) as conn:
        assert losses(conn) == []


def losses(conn: psycopg.Connection[Any]) -> list[str]:
    """A line for each promise that is broken, with where; none when all is accounted for."""
    found = [(promise, conn.execute(statement.encode()).fetchall()) for promise, statement in _BROKEN_BATCHES.items()]
    found += [
        (f"raw.{feed.raw_table} is not what is booked", _booked_is_not_held(conn, feed)) for feed in FEEDS.values()
    ]
    return [f"{promise}: {where}" for promise, where in found if where]


def _booked_is_not_held(conn: psycopg.Connection[Any], feed: Feed) -> list[tuple[Any, ...]]:
    """Batch, store, business date, rows and money that are only in the books or only in the raw table."""

    def column(name: str | None, sql_type: str) -> sql.Composable:
        return sql.Identifier(name) if name else sql.SQL("null::" + sql_type)

    return conn.execute(
        sql.SQL(
            """
            with booked as (
                select batch_id, balance.store_id, balance.business_date, sum(rows) as rows, sum(amount) as amount
                from ops.load_balance as balance
                join ops.batch using (batch_id)
                where outcome = 'loaded' and state <> 'refused' and source = %s and feed = %s
                group by 1, 2, 3
                having sum(rows) <> 0
            ),
            held as (
                select _batch_id, {store}, {day}, count(*), sum({money})
                from {table}
                group by 1, 2, 3
            )
            (table booked except table held) union all (table held except table booked)
            """
        ).format(
            store=column(feed.store, "text"),
            day=column("business_date" if feed.column("business_date") else None, "date"),
            money=column(feed.money, "numeric"),
            table=sql.Identifier("raw", feed.raw_table),
        ),
        (feed.source, feed.name),
    ).fetchall()
