"""A dry run: landed batches against the contracts, by the loader itself, in a database of its own.

The warehouse gives its list of stores and takes nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import psycopg
from psycopg import sql

from memberhouse import db
from memberhouse.errors import MemberhouseError
from memberhouse.landing.root import AnyPath
from memberhouse.load.report import BatchResult, LoadReport
from memberhouse.settings import Settings

_EXAMPLES_SHOWN = 3
_SCRATCH = "memberhouse_dry_run_"


@dataclass(frozen=True)
class Complaint:
    """Rows of one feed that would be quarantined for one reason. examples: file, line and the reason in full."""

    feed: str
    reason_code: str
    column: str | None
    rows: int
    examples: tuple[str, ...]


@dataclass(frozen=True)
class Validation:
    """What a load of the folder would do.

    feeds: feed → batches and rows in, loaded, quarantined, duplicate. complaints: the most rows first.
    refused: batches of which nothing would be loaded. remarks: what is beyond the contract, and how often.
    """

    feeds: dict[str, tuple[int, int, int, int, int]]
    complaints: list[Complaint]
    refused: list[BatchResult]
    report: LoadReport

    @property
    def is_sound(self) -> bool:
        """Whether every row of every batch would be loaded, or is there twice."""
        return not self.refused and not self.complaints

    def lines(self) -> Iterator[str]:
        """The report for a person."""
        if not self.feeds and not self.refused:
            yield "No landed batch was found: a batch is <source>/<feed>/<date>/<store or all>/<batch>/manifest.json."
            return
        width = max([len(feed) for feed in self.feeds] + [4])
        yield f"{'feed':<{width}}  {'batches':>8} {'rows':>12} {'good':>12} {'quarantined':>12} {'twice':>10}"
        for feed, (batches, *rows) in self.feeds.items():
            yield f"{feed:<{width}}  {batches:>8,} {rows[0]:>12,} {rows[1]:>12,} {rows[2]:>12,} {rows[3]:>10,}"
        for result in self.refused:
            yield f"\nRefused, nothing would be loaded: {result.batch}"
            yield f"  {result.reason}"
            yield f"  What to do: {result.next_action}"
        for complaint in self.complaints:
            of_column = f", column {complaint.column}" if complaint.column else ""
            yield f"\nQuarantined: {complaint.rows:,} rows of {complaint.feed}: {complaint.reason_code}{of_column}"
            yield from (f"  {example}" for example in complaint.examples)
        remarks = sorted({remark for result in self.report.loaded for remark in result.remarks})
        if remarks:
            yield "\nBeyond the contract:"
            yield from (f"  {remark}" for remark in remarks)
        yield "\nThe folder meets the contracts." if self.is_sound else "\nContracts: docs/sources.md"


def validate(settings: Settings, folder: AnyPath, progress: Callable[[str], None] | None = None) -> Validation:
    """Say what a load of every landed batch below `folder` would do, as if none was loaded yet.

    Raises MemberhouseError where the database's role may not create a database.
    """
    from memberhouse.load.loader import load_landed

    with _scratch(settings) as scratch:
        report = load_landed(scratch, folder, progress=progress)
        with db.connect(scratch) as conn:
            feeds = {
                row[0]: (row[1], row[2], row[3], row[4], row[5])
                for row in conn.execute(
                    "select source || '/' || feed, count(*), sum(rows_in)::bigint, sum(rows_loaded)::bigint,"
                    " sum(rows_quarantined)::bigint, sum(rows_duplicate)::bigint from ops.batch"
                    " where state <> 'refused' group by 1 order by 1"
                )
            }
            complaints = [
                Complaint(row[0], row[1], row[2], row[3], tuple(row[4]))
                for row in conn.execute(
                    "select source || '/' || feed, reason_code, column_name, count(*),"
                    " (array_agg(file_name || ', line ' || line_no || ': ' || reason order by rejected_row_id))[:%s]"
                    " from quarantine.rejected_row where replayed_at is null group by 1, 2, 3 order by 4 desc, 1, 2, 3",
                    (_EXAMPLES_SHOWN,),
                )
            ]
    return Validation(feeds, complaints, report.refused, report)


def _drop_leftovers(conn: psycopg.Connection[Any]) -> None:
    """What a killed dry run left: it may hold personal data."""
    for (name,) in conn.execute(
        "select datname from pg_database where starts_with(datname, %s)"
        " and not exists (select 1 from pg_stat_activity as a where a.datname = pg_database.datname)",
        (_SCRATCH,),
    ).fetchall():
        try:
            conn.execute(sql.SQL("drop database if exists {}").format(sql.Identifier(name)))
        except (psycopg.errors.ObjectInUse, psycopg.errors.InsufficientPrivilege):
            continue  # of a dry run that is just beginning, or somebody else's


@contextmanager
def _scratch(settings: Settings) -> Iterator[Settings]:
    """Settings of an empty database beside the warehouse's, with its stores; gone afterwards."""
    url = db.database_url(settings)
    name = f"{_SCRATCH}{secrets.token_hex(6)}"
    with psycopg.connect(url, autocommit=True) as conn:
        _drop_leftovers(conn)
        stores: list[tuple[object, ...]] = []
        try:
            if conn.execute("select to_regclass('ops.known_store')").fetchone() != (None,):
                stores = conn.execute("select store_id, timezone, day_cutoff from ops.known_store").fetchall()
            conn.execute(sql.SQL("create database {} template template0").format(sql.Identifier(name)))
        except psycopg.errors.InsufficientPrivilege as error:
            raise MemberhouseError(
                "A dry run reads the warehouse's stores and loads into a database of its own, which this role may"
                f" not: {str(error).splitlines()[0]}.",
                "Use the warehouse's owner and grant it createdb, or another server: without DATABASE_URL it is the"
                " embedded one.",
            ) from error
        try:
            scratch = replace(
                settings, database_url=psycopg.conninfo.make_conninfo(url, dbname=name), alert_webhook=None
            )
            with db.connect(scratch) as other:
                db.ensure_schema(other)
                with other.cursor() as cursor:
                    cursor.executemany("insert into ops.known_store values (%s, %s, %s)", stores)
            yield scratch
        finally:
            conn.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))
