"""Quarantined rows that are tried again, because their cause may be gone: a store is known now, a rule
changed, a row they contradicted was taken back.

Only rows that reached the raw table can be tried; what a file got wrong is mended by another file.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from memberhouse.errors import MemberhouseError
from memberhouse.landing import Manifest
from memberhouse.load import accounts, beside, checks
from memberhouse.sources.contract import Feed
from memberhouse.sources.feeds import FEEDS

# What a stores file can mend.
REASONS_OF_STORES = ("unknown_store", "wrong_business_date", "ambiguous_time")

_WAITING = """
    select rejected.batch_id
    from quarantine.rejected_row as rejected
    inner join ops.batch as batch on batch.batch_id = rejected.batch_id and batch.state = 'loaded'
    where rejected.replayed_at is null and rejected.row is not null
        and (%(reasons)s::text[] is null or rejected.reason_code = any(%(reasons)s))
    group by rejected.batch_id
    order by rejected.batch_id
"""


@dataclass(frozen=True)
class Replayed:
    """tried: rows tried again. loaded: rows now in ``raw``. duplicate: rows that repeat a loaded one."""

    tried: int = 0
    loaded: int = 0
    duplicate: int = 0

    def __add__(self, other: Replayed) -> Replayed:
        return Replayed(self.tried + other.tried, self.loaded + other.loaded, self.duplicate + other.duplicate)


@dataclass(frozen=True)
class _Row:
    rejected_row_id: int
    row: dict[str, Any]


def replay(conn: psycopg.Connection[Any], reasons: Collection[str] | None = None) -> Replayed:
    """Try the quarantined rows of loaded batches again, each batch in a transaction of its own.

    reasons: only rows with these reason codes. conn: autocommit. A row that still breaks a check stays in
    quarantine as it is.
    """
    waiting = conn.execute(_WAITING, {"reasons": list(reasons) if reasons is not None else None}).fetchall()
    done = Replayed()
    for (batch_id,) in waiting:
        done += _replay_batch(conn, batch_id, reasons)
    return done


def _replay_batch(conn: psycopg.Connection[Any], batch_id: int, reasons: Collection[str] | None) -> Replayed:
    batch = conn.execute(
        "select source, feed, business_date, store_id, manifest from ops.batch where batch_id = %s", (batch_id,)
    ).fetchone()
    if batch is None or (batch[0], batch[1]) not in FEEDS:
        return Replayed()
    source, feed_name, day, store_id, manifest = batch
    feed = FEEDS[source, feed_name]
    with conn.transaction():
        beside.hold(conn, source, feed_name, day, feed)
        # it may have been superseded while this waited
        if (
            conn.execute("select from ops.batch where batch_id = %s and state = 'loaded'", (batch_id,)).fetchone()
            is None
        ):
            return Replayed()
        rows = _waiting_rows(conn, batch_id, reasons)
        # for the time of the trial the rows are a batch of their own, so that they alone are looked at
        trial = -batch_id
        _put_in(conn, feed, trial, rows.values())
        broken = checks.broken_rows(conn, feed, trial, Manifest.model_validate(manifest))
        checks.take_out(conn, feed, [finding.row_id for finding in broken])
        near = beside.batches_beside(conn, feed, day, store_id)
        repeats = checks.repeated_rows(conn, feed, trial, near, within=True)
        checks.take_out(conn, feed, [repeat.row_id for repeat in repeats])
        twins = [
            replace(repeat, of_batch_id=batch_id) if repeat.of_batch_id == trial else repeat
            for repeat in repeats
            if repeat.identical
        ]
        duplicate = {(twin.file_no, twin.line_no) for twin in twins}
        out = {(finding.file_no, finding.line_no) for finding in broken}
        out |= {(repeat.file_no, repeat.line_no) for repeat in repeats}
        loaded = rows.keys() - out
        moved = conn.execute(
            sql.SQL("update {} set _batch_id = %s where _batch_id = %s").format(sql.Identifier("raw", feed.raw_table)),
            (batch_id, trial),
        )
        if moved.rowcount != len(loaded):
            raise MemberhouseError(
                f"Of {len(loaded)} rows of batch {batch_id} that are in order now, {moved.rowcount} were found again;"
                " nothing was changed.",
                f"Replay them again; if it stays so: reindex index raw.{feed.batch_index}",
            )
        checks.keep_repeats(conn, batch_id, twins)
        for places, outcome in ((loaded, "loaded"), (duplicate, "duplicate")):
            accounts.rebook(conn, feed, batch_id, [rows[place].row for place in places], "quarantined", outcome)
        conn.execute(
            "update quarantine.rejected_row set replayed_at = clock_timestamp() where rejected_row_id = any(%s)",
            ([rows[place].rejected_row_id for place in loaded | duplicate],),
        )
        return Replayed(len(rows), len(loaded), len(duplicate))


def _waiting_rows(
    conn: psycopg.Connection[Any], batch_id: int, reasons: Collection[str] | None
) -> dict[tuple[int, int], _Row]:
    """By file and line."""
    rows = conn.execute(
        "select rejected_row_id, row from quarantine.rejected_row where batch_id = %(batch_id)s"
        " and replayed_at is null and row is not null"
        " and (%(reasons)s::text[] is null or reason_code = any(%(reasons)s)) order by rejected_row_id",
        {"batch_id": batch_id, "reasons": list(reasons) if reasons is not None else None},
    ).fetchall()
    return {(row["_file_no"], row["_line_no"]): _Row(rejected_row_id, row) for rejected_row_id, row in rows}


def _put_in(conn: psycopg.Connection[Any], feed: Feed, batch_id: int, rows: Iterable[_Row]) -> None:
    conn.execute(
        sql.SQL("insert into {table} select * from jsonb_populate_recordset(null::{table}, %s)").format(
            table=sql.Identifier("raw", feed.raw_table)
        ),
        (Jsonb([row.row | {"_batch_id": batch_id} for row in rows]),),
    )
