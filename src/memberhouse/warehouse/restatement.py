"""The log of restatements: which published cells of time that is over a build changes, and because of what.

A mart says in its dbt model (``meta: restated:``, told in ``macros/versioned.sql``) which day is the last that a row
speaks of, and which models know what lies behind it. A build's own changes are found by the indexes on
``_from_release`` and ``_to_release`` of ``history.<mart>``, so this costs what changed and not what there is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import psycopg
from psycopg import sql

# Of a table that is restated in more rows one sentence is logged instead of every cell: nobody reads them one by one,
# and `memberhouse diff` still tells them.
MOST_ROWS = 50_000

OTHER = "other"
CHANGED_RULES = "changed rules"


@dataclass(frozen=True)
class _Mart:
    """A versioned table whose restatements are told. until: the as-of date of its group's release before."""

    name: str
    group_name: str
    until: date
    rules_changed: bool
    table: str
    over_by: str
    key: Mapping[str, str]
    values: Mapping[str, str]
    causes: Sequence[str]


def record_restatements(conn: psycopg.Connection, release_id: int) -> int:
    """Fill ``release.restatement`` for the release that is being built, and return the number of its rows.

    Called once its models are there. A group of which nothing is published has nothing to restate. The caller commits.
    """
    conn.execute("set local timezone = 'UTC'")  # moments are told as text
    conn.execute("delete from release.restatement where release_id = %s", (release_id,))
    for mart in _marts(conn, release_id):
        rows = _find_rows(conn, release_id, mart)
        if not rows:
            continue
        if mart.rules_changed or rows > MOST_ROWS:
            _tell_in_a_sentence(conn, release_id, mart)
        else:
            _find_causes(conn, mart)
            _tell_cells(conn, release_id, mart)
    row = conn.execute("select count(*) from release.restatement where release_id = %s", (release_id,)).fetchone()
    return row[0] if row else 0


def _marts(conn: psycopg.Connection, release_id: int) -> list[_Mart]:
    rows = conn.execute(
        """
        select
            t.table_name, t.group_name, before.as_of_date, before.project_sha256 <> building.project_sha256, t.restated
        from release.versioned_table as t
        inner join release.base_group as g on t.group_name = g.group_name
        inner join release.release as before on g.release_id = before.release_id
        inner join release.release as building on building.release_id = t.last_release_id
        where t.last_release_id = %s and t.restated is not null
        order by t.table_name
        """,
        (release_id,),
    ).fetchall()
    return [
        _Mart(name, group_name, until, rules_changed, **restated)
        for name, group_name, until, rules_changed, restated in rows
    ]


def _find_rows(conn: psycopg.Connection, release_id: int, mart: _Mart) -> int:
    """Put the restated rows into the temporary table restated_row: key, old_cells and new_cells; return how many."""
    conn.execute("drop table if exists restated_row")
    conn.execute(
        sql.SQL(
            """
            create temporary table restated_row on commit drop as
            with after as (
                {after}
            ),
            before as (
                {before}
            )
            select row_number() over () as row_no, {key}, before.cells as old_cells, after.cells as new_cells
            from after
            full join before using ({key})
            where before.cells is distinct from after.cells
            """
        ).format(
            after=_side(mart, "open", "_from_release", release_id),
            before=_side(mart, "closed", "_to_release", release_id),
            key=sql.SQL(", ").join(map(sql.Identifier, mart.key)),
        )
    )
    row = conn.execute("select count(*) from restated_row").fetchone()
    return row[0] if row else 0


def _side(mart: _Mart, partition: str, bound: str, release_id: int) -> sql.Composed:
    """The rows that the build wrote (open) or replaced (closed) of days that were over, as the model tells them."""
    return sql.SQL(
        """
        select {key}, (select to_jsonb(cell) from (select {cells}) as cell) as cells
        from {table}
        cross join (select {until}::date as published_until) as before
        where {bound} = {release_id} and ({over_by}) <= published_until
        """
    ).format(
        key=sql.SQL(", ").join(
            sql.SQL("{} as {}").format(sql.SQL(expression), sql.Identifier(name))
            for name, expression in mart.key.items()
        ),
        cells=sql.SQL(", ").join(
            sql.SQL("{} as {}").format(sql.SQL(expression), sql.Identifier(name))
            for name, expression in mart.values.items()
        ),
        table=sql.Identifier("history", f"{mart.name}__{partition}"),
        until=sql.Literal(mart.until),
        bound=sql.Identifier(bound),
        release_id=sql.Literal(release_id),
        over_by=sql.SQL(mart.over_by),
    )


def _find_causes(conn: psycopg.Connection, mart: _Mart) -> None:
    """Put what lies behind the restated rows into restated_cause: row, columns (null: all of them), cause, batch.

    A model of causes is joined by the columns of the key that it has.
    """
    conn.execute("drop table if exists restated_cause")
    conn.execute(
        "create temporary table restated_cause (row_no bigint, column_names text[], cause text, batch_id bigint)"
        " on commit drop"
    )
    for model in mart.causes:
        columns = {
            name
            for (name,) in conn.execute(
                "select column_name from information_schema.columns where table_schema = 'intermediate'"
                " and table_name = %s",
                (model,),
            ).fetchall()
        }
        conn.execute(
            sql.SQL(
                """
                insert into restated_cause
                select distinct row.row_no, {columns}, behind.cause, behind.batch_id
                from restated_row as row
                inner join {model} as behind on {same}
                """
            ).format(
                columns=sql.SQL("behind.column_names" if "column_names" in columns else "null::text[]"),
                model=sql.Identifier("intermediate", model),
                same=sql.SQL(" and ").join(
                    sql.SQL("row.{0} = behind.{0}").format(sql.Identifier(name)) for name in mart.key if name in columns
                ),
            )
        )
    conn.execute("create index on restated_cause (row_no)")
    conn.execute("analyze restated_cause")


def _tell_cells(conn: psycopg.Connection, release_id: int, mart: _Mart) -> None:
    conn.execute(
        sql.SQL(
            """
            insert into release.restatement (
                release_id, group_name, table_name, grain_key, column_name, old_value, new_value,
                cause, source_batch_ids
            )
            select
                %(release_id)s,
                %(group_name)s,
                %(table)s,
                jsonb_build_object({key}),
                cell.name,
                row.old_cells ->> cell.name,
                row.new_cells ->> cell.name,
                coalesce(behind.causes, %(other)s),
                coalesce(behind.batch_ids, '{{}}')
            from restated_row as row
            cross join unnest(%(columns)s::text[]) with ordinality as cell (name, place)
            left join lateral (
                select
                    string_agg(distinct cause.cause, '; ' order by cause.cause) as causes,
                    array_agg(distinct cause.batch_id order by cause.batch_id)
                        filter (where cause.batch_id is not null) as batch_ids
                from restated_cause as cause
                where cause.row_no = row.row_no and (cause.column_names is null or cell.name = any(cause.column_names))
            ) as behind on true
            where row.old_cells ->> cell.name is distinct from row.new_cells ->> cell.name
            order by row.row_no, cell.place
            """
        ).format(
            key=sql.SQL(", ").join(
                sql.SQL("{}, row.{}").format(sql.Literal(name), sql.Identifier(name)) for name in mart.key
            )
        ),
        {
            "release_id": release_id,
            "group_name": mart.group_name,
            "table": mart.table,
            "other": OTHER,
            "columns": list(mart.values),
        },
    )


def _tell_in_a_sentence(conn: psycopg.Connection, release_id: int, mart: _Mart) -> None:
    """One line for the whole table; the batches are those that changed since, unless the rules did."""
    conn.execute(
        """
        insert into release.restatement (
            release_id, group_name, table_name, grain_key, column_name, new_value, cause, source_batch_ids
        )
        select
            %(release_id)s,
            %(group_name)s,
            %(table)s,
            '{}',
            '*',
            concat_ws(
                ', ',
                count(*) filter (where old_cells is null) || ' rows came',
                count(*) filter (where new_cells is null) || ' went',
                count(*) filter (where old_cells is not null and new_cells is not null) || ' changed'
            ),
            case when %(rules_changed)s then %(changed_rules)s else 'many at once' end,
            case
                when %(rules_changed)s then '{}'
                else coalesce(
                    (select array_agg(b.batch_id order by b.batch_id) from ops.batch as b where b.change_no > (
                        select base.batch_change_no from release.base
                    ) and b.state = 'loaded'),
                    '{}'
                )
            end
        from restated_row
        """,
        {
            "release_id": release_id,
            "group_name": mart.group_name,
            "table": mart.table,
            "rules_changed": mart.rules_changed,
            "changed_rules": CHANGED_RULES,
        },
    )
