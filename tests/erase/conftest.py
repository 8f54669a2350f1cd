"""What a warehouse and its folders hold, told so that it can be compared and searched."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from memberhouse import db
from memberhouse.settings import Settings

# Views that tell of batches and releases, and not of members.
_OF_NOW = ("freshness", "release_history")


def totals(settings: Settings) -> dict[tuple[int, str], tuple[Any, ...]]:
    """The number of rows and the sum of every numeric column of each view in ``bi``, in each published release."""
    found = {}
    with db.connect(settings) as conn:
        views = conn.execute(
            "select table_name, array_agg(column_name::text order by ordinal_position)"
            " filter (where data_type in ('integer', 'bigint', 'smallint', 'numeric', 'double precision'))"
            " from information_schema.columns where table_schema = 'bi' and table_name <> all(%s)"
            " group by table_name order by table_name",
            (list(_OF_NOW),),
        ).fetchall()
        releases = conn.execute("select distinct release_id from release.publication order by 1").fetchall()
        for (release_id,) in releases:
            conn.execute("select set_config('memberhouse.release', %s, false)", (str(release_id),))
            for view, numbers in views:
                sums = [sql.SQL("sum({})").format(sql.Identifier(number)) for number in numbers or ()]
                found[release_id, view] = conn.execute(
                    sql.SQL("select {} from {}").format(
                        sql.SQL(", ").join([sql.SQL("count(*)"), *sums]), sql.Identifier("bi", view)
                    )
                ).fetchone()
    return found


def texts(settings: Settings, *folders: Path) -> Iterator[tuple[str, str]]:
    """Everything in the database and in the folders, unpacked: where, and what."""
    with db.connect(settings) as conn:
        relations = conn.execute(
            "select format('%I.%I', n.nspname, c.relname) from pg_class as c"
            " join pg_namespace as n on n.oid = c.relnamespace"
            " where c.relkind in ('r', 'v', 'm') and n.nspname !~ '^(pg_|information_schema)'"
        ).fetchall()
        relations += [("pg_catalog.pg_stats",)]
        for (relation,) in relations:
            try:
                for (row,) in conn.execute(f"select t::text from {relation} as t".encode()).fetchall():
                    yield relation, row
            except psycopg.errors.UndefinedFunction:  # a view over a relation that has gone
                conn.rollback()
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file():
                content = path.read_bytes()
                if path.suffix == ".gz":
                    try:
                        content = gzip.decompress(content)
                    except (OSError, EOFError):
                        continue
                for encoding in ("utf-8", "gb18030"):
                    yield str(path), content.decode(encoding, errors="replace")


def where_left(settings: Settings, words: set[str], *folders: Path) -> set[str]:
    """The places in which one of the words stands, in capitals or not."""
    small = {word.lower() for word in words}
    return {f"{word} in {where}" for where, text in texts(settings, *folders) for word in small if word in text.lower()}


def rows_of(path: Path) -> list[dict[str, Any]]:
    """The rows of a landed JSON lines file."""
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [json.loads(line) for line in content.splitlines()]
