"""The feeds' raw tables, made from their declarations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import sql

from memberhouse.sources.contract import Feed, Kind
from memberhouse.sources.feeds import FEEDS

# Domains rather than numeric(14, 2): a type modifier rounds in silence, a domain's check refuses the
# value, and COPY reports a refused value with its line and column. NaN and the infinities are outside
# every range. scale() comes first because it is cheap; only 1.500 needs the rounding.
_DOMAINS: Mapping[str, str] = {
    "money": ("numeric check (value between -1e12 and 1e12 and (scale(value) <= 2 or value = round(value, 2)))"),
    "price": ("numeric check (value between -1e12 and 1e12 and (scale(value) <= 4 or value = round(value, 4)))"),
    "quantity": ("numeric check (value between -1e9 and 1e9 and (scale(value) <= 3 or value = round(value, 3)))"),
    "iso_timestamp": (
        r"text check (value ~ '^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d(:?\d\d)?)?$'"
        " and pg_input_is_valid(value, 'timestamptz'))"
    ),
    "timezone": (
        "text check (value ~ '^[A-Za-z_]+(/[A-Za-z0-9_+-]+)*$'"
        " and pg_input_is_valid('2000-01-01 00:00 ' || value, 'timestamptz'))"
    ),
}

# A batch's rows lie together, so the index on _batch_id is a BRIN: it costs a load next to nothing,
# where a b-tree took a quarter of its time.
PAGES_PER_RANGE = 16

_SQL_TYPES: Mapping[Kind, str] = {
    "text": "text",
    "note": "text",
    "date": "date",
    "timestamp": "raw.iso_timestamp",
    "time": "time",
    "timezone": "raw.timezone",
    "integer": "integer",
    "money": "raw.money",
    "price": "raw.price",
    "quantity": "raw.quantity",
    "boolean": "boolean",
    "choice": "text",
    "json": "jsonb",
}


def ensure_raw_tables(conn: psycopg.Connection[Any]) -> None:
    """Create what is missing of ``raw.<source>__<feed>``: tables, columns, domains. Safe at any time.

    Each table has the feed's columns (a token where the column is personal), and ``_batch_id``, ``_file_no`` (place of
    the file in its manifest, from 1) and ``_line_no`` (physical line in that file; the header is line 1).
    Undeclared columns of the files join the table as ``x_<name> text`` when first seen.
    """
    # Looked at before anything is touched: even "if not exists" waits for, and blocks, a running load.
    if _complete(conn):
        return
    with conn.transaction():
        conn.execute("select pg_advisory_xact_lock(hashtextextended('memberhouse raw tables', 0))")
        if _complete(conn):
            return
        conn.execute("set local client_min_messages = warning")
        for name, definition in _DOMAINS.items():
            if conn.execute("select to_regtype(%s)", (f"raw.{name}",)).fetchone() == (None,):
                conn.execute(f"create domain raw.{name} as {definition}".encode())
        for feed in FEEDS.values():
            table = sql.Identifier("raw", feed.raw_table)
            conn.execute(
                sql.SQL(
                    "create table if not exists {} (_batch_id bigint not null, _file_no smallint not null,"
                    " _line_no integer not null)"
                ).format(table)
            )
            conn.execute(
                sql.SQL(
                    "create index if not exists {} on {} using brin (_batch_id) with (pages_per_range = {})"
                ).format(sql.Identifier(feed.batch_index), table, sql.Literal(PAGES_PER_RANGE))
            )
            for column in feed.columns:
                sql_type = "text" if column.personal else _SQL_TYPES[column.kind]
                conn.execute(
                    sql.SQL("alter table {} add column if not exists {} {}").format(
                        table, sql.Identifier(column.raw_name), sql.SQL(sql_type)
                    )
                )
            for name, definition in _lookups(feed).items():
                conn.execute(f"create index if not exists {name} on raw.{feed.raw_table} {definition}".encode())
            if feed.once:
                conn.execute(
                    sql.SQL("create index if not exists {} on {} ({})").format(
                        sql.Identifier(f"{feed.raw_table}__key"),
                        table,
                        sql.SQL(", ".join(f"({term})" for term in identity_terms(feed))),
                    )
                )


def identity_terms(feed: Feed, of: str = "") -> list[str]:
    """The feed's identity as SQL expressions that are never NULL, as the index of a feed has them of which a
    row counts once. of: the row's name and a dot. Columns that may be empty are text."""
    columns = {column.name: column for column in feed.columns}
    return [f"{of}{name}" if columns[name].required else f"coalesce({of}{name}, '')" for name in feed.identity]


def _lookups(feed: Feed) -> dict[str, str]:
    """Indexes of the feed by name, as SQL from "using" on."""
    indexes: dict[str, str] = {
        f"{feed.raw_table}__by_{column}": f"({column}) where {column} is not null" for column in feed.lookups
    }
    if feed.by_date:
        indexes[f"{feed.raw_table}__by_date"] = "using brin (business_date) with (pages_per_range = 16)"
    return indexes


def _complete(conn: psycopg.Connection[Any]) -> bool:
    present = _present_columns(conn)
    indexes = {name for (name,) in conn.execute("select indexname from pg_indexes where schemaname = 'raw'").fetchall()}
    return all(
        {column.raw_name for column in feed.columns} <= present.get(feed.raw_table, set())
        and _lookups(feed).keys() <= indexes
        for feed in FEEDS.values()
    )


def ensure_extra_columns(conn: psycopg.Connection[Any], feed: Feed, names: Mapping[str, str]) -> None:
    """Give the feed's raw table columns for what files hold beyond the contract.

    names: column name in the table → its SQL type.
    """
    present = _present_columns(conn).get(feed.raw_table, set())
    for name, sql_type in names.items():
        if name not in present:
            conn.execute(
                sql.SQL("alter table {} add column if not exists {} {}").format(
                    sql.Identifier("raw", feed.raw_table), sql.Identifier(name), sql.SQL(sql_type)
                )
            )


def _present_columns(conn: psycopg.Connection[Any]) -> dict[str, set[str]]:
    rows = conn.execute(
        "select c.relname, array_agg(a.attname::text) from pg_class as c"
        " join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped"
        " where c.relnamespace = to_regnamespace('raw') and c.relkind in ('r', 'p') group by c.relname"
    ).fetchall()
    return {table: set(columns) for table, columns in rows}
