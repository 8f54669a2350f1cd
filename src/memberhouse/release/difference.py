"""What changed between two published releases: rows that came, went or changed, and the cells of the latter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

from memberhouse import db
from memberhouse.errors import MemberhouseError
from memberhouse.settings import Settings


@dataclass(frozen=True)
class Cell:
    """One cell of a row that is in both releases. key: column -> value of what identifies the row."""

    table: str
    key: dict[str, Any]
    column: str
    old: str | None
    new: str | None

    def __str__(self) -> str:
        place = " ".join(f"{name}={value}" for name, value in self.key.items())
        old, new = ("(empty)" if value is None else value for value in (self.old, self.new))
        return f"{place}  {self.column}: {old} → {new}"


@dataclass(frozen=True)
class TableDifference:
    """How many rows of a table came, went and changed, and the first of the changed cells."""

    table: str
    came: int
    went: int
    changed: int
    cells: list[Cell] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.table}: {self.came:,} rows came, {self.went:,} went, {self.changed:,} changed"


def diff(
    settings: Settings, old_release: int, new_release: int, *, table: str | None = None, limit: int | None = 20
) -> list[TableDifference]:
    """Compare two published releases, a table at a time; tables that are alike are left out.

    table: only this one. limit: how many changed cells to give of each table; None: all. A group that was not
    published in one of them answers as its newest release before it. Raises MemberhouseError when a release was never
    published or is pruned, or when there is no such table. Stored marts cost what changed in between; views over other
    marts are read whole, twice.
    """
    with db.connect(settings) as conn:
        conn.execute("set local timezone = 'UTC'")
        found = [
            _compare(conn, mart, old_release, new_release, limit)
            for mart in _marts(conn, table, old_release, new_release)
        ]
        conn.rollback()
    return [difference for difference in found if difference.came or difference.went or difference.changed]


@dataclass(frozen=True)
class _Mart:
    """A published table; old and new: its group's release for each of those that are compared, None for a view."""

    name: str
    key: Sequence[str]
    old: int | None
    new: int | None


def _marts(conn: psycopg.Connection, table: str | None, old_release: int, new_release: int) -> Iterator[_Mart]:
    stored = conn.execute(
        """
        select t.table_name, t.unique_key, t.group_name
        from release.versioned_table as t
        where
            t.is_published
            and t.table_name = coalesce(%(table)s, t.table_name)
            -- what left the project since is not published any more
            and t.last_release_id >= (select max(p.release_id) from release.publication as p)
        order by t.table_name
        """,
        {"table": table},
    ).fetchall()
    views = conn.execute(
        "select v.view_name, v.unique_key from release.published_view as v"
        " where v.view_name = coalesce(%(table)s, v.view_name) order by v.view_name",
        {"table": table},
    ).fetchall()
    if not stored and not views:
        raise MemberhouseError(
            f"There is no published table {table!r} that can be compared."
            if table
            else "Nothing is published yet, so there is nothing to compare.",
            "docs/metrics.md lists the tables",
        )
    # views are of any group
    groups = {group for _, _, group in stored} if stored and not views else _groups(conn)
    at = {
        (release_id, group): _visible(conn, release_id, group)
        for release_id in (old_release, new_release)
        for group in groups
    }
    for name, key, group in stored:
        yield _Mart(name, key, at[old_release, group], at[new_release, group])
    for name, key in views:
        yield _Mart(name, key, None, None)


def _groups(conn: psycopg.Connection) -> set[str]:
    return {group for (group,) in conn.execute("select distinct group_name from release.versioned_table")}


def _visible(conn: psycopg.Connection, release_id: int, group: str) -> int:
    try:
        with conn.transaction():
            conn.execute("select set_config('memberhouse.release', %s, true)", (str(release_id),))
            row = conn.execute("select release.visible(%s)", (group,)).fetchone()
            conn.execute("select set_config('memberhouse.release', '', true)")
    except psycopg.errors.RaiseException as error:
        raise MemberhouseError(
            f"Release {release_id} can't be compared: {error.diag.message_primary}.",
            "“memberhouse releases” lists what was published",
        ) from error
    return int(row[0]) if row else 0


def _compare(
    conn: psycopg.Connection, mart: _Mart, old_release: int, new_release: int, limit: int | None
) -> TableDifference:
    columns = [
        name
        for (name,) in conn.execute(
            "select column_name from information_schema.columns where table_schema = 'bi' and table_name = %s"
            " order by ordinal_position",
            (mart.name,),
        ).fetchall()
    ]
    values = [name for name in columns if name not in mart.key]
    for side, release_id, own, other in (
        ("diff_old", old_release, mart.old, mart.new),
        ("diff_new", new_release, mart.new, mart.old),
    ):
        conn.execute(sql.SQL("drop table if exists {}").format(sql.Identifier(side)))
        conn.execute("select set_config('memberhouse.release', %s, true)", (str(release_id),))
        conn.execute(
            sql.SQL("create temporary table {} on commit drop as select {} from {}").format(
                sql.Identifier(side),
                sql.SQL(", ").join(map(sql.Identifier, columns)),
                sql.Identifier("bi", mart.name) if own is None or other is None else _rows(mart.name, own, other),
            )
        )
        conn.execute(sql.SQL("analyze {}").format(sql.Identifier(side)))
    conn.execute("drop table if exists diff_row")
    conn.execute(
        sql.SQL(
            """
            create temporary table diff_row on commit drop as
            select
                {keys},
                old.{first} is null as has_come,
                new.{first} is null as has_gone,
                to_jsonb(old) as old_cells,
                to_jsonb(new) as new_cells
            from diff_old as old
            full join diff_new as new on {same}
            where to_jsonb(old) is distinct from to_jsonb(new)
            """
        ).format(
            keys=sql.SQL(", ").join(
                sql.SQL("coalesce(old.{0}, new.{0}) as {0}").format(sql.Identifier(name)) for name in mart.key
            ),
            first=sql.Identifier(mart.key[0]),
            same=sql.SQL(" and ").join(sql.SQL("old.{0} = new.{0}").format(sql.Identifier(name)) for name in mart.key),
        )
    )
    counts = conn.execute(
        "select count(*) filter (where has_come), count(*) filter (where has_gone),"
        " count(*) filter (where not has_come and not has_gone) from diff_row"
    ).fetchone()
    assert counts is not None  # noqa: S101  (an aggregate has a row)
    cells = conn.execute(
        sql.SQL(
            """
            select {keys}, cell.name, old_cells ->> cell.name, new_cells ->> cell.name
            from diff_row
            cross join unnest(%(values)s::text[]) with ordinality as cell (name, place)
            where not has_come and not has_gone and old_cells ->> cell.name is distinct from new_cells ->> cell.name
            order by {keys}, cell.place
            limit %(limit)s
            """
        ).format(keys=sql.SQL(", ").join(map(sql.Identifier, mart.key))),
        {"values": values, "limit": limit},
    ).fetchall()
    came, went, changed = counts
    return TableDifference(
        mart.name,
        came,
        went,
        changed,
        [
            Cell(mart.name, dict(zip(mart.key, row, strict=False)), row[-3], row[-2], row[-1])  # the key comes first
            for row in cells
        ],
    )


def _rows(name: str, own: int, other: int) -> sql.Composed:
    """The row versions that are valid in one release and not in the other, found by when they came and went."""
    low, high = sorted((own, other))
    bound = sql.SQL("_to_release" if own == low else "_from_release")
    return sql.SQL(
        "history.{table} where _from_release <= {own} and _to_release > {own} and {bound} > {low} and {bound} <= {high}"
    ).format(
        table=sql.Identifier(name),
        own=sql.Literal(own),
        bound=bound,
        low=sql.Literal(low),
        high=sql.Literal(high),
    )
