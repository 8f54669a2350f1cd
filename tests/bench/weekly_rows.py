"""B6: a member's stages as intervals, against a row for each member and week.

Both are made from the purchase days of the same build, by the same rules, and carry the same figures. The intervals
know every day, past and to come; the rows know the closes of the weeks.
"""

from __future__ import annotations

import time
from pathlib import Path

import psycopg
import sqlglot
from sqlglot import exp
from tests.bench import on_duckdb
from tests.bench.figures import Figure, Progress

from memberhouse import db
from memberhouse.settings import Settings

# From purchase days to intervals.
_MODELS = (
    "int_lifecycle__epochs",
    "int_lifecycle__purchases",
    "int_lifecycle__states",
    "int_lifecycle__ruled",
    "int_lifecycle__stages",
)
_SQL = Path(__file__).with_name("weekly_rows.sql")


def compare(settings: Settings, target: Path, tell: Progress) -> list[Figure]:
    """Seconds and bytes; target: where dbt left a full build."""
    models = {model.name: model.sql for model in on_duckdb.models_of_last_build(target)}
    with db.connect(settings, autocommit=True) as conn:
        closes = [row[0] for row in conn.execute("select closing_on from marts.week_close order by 1").fetchall()]
        tell(f"B6: the stages as intervals, and as rows of {len(closes)} weeks")
        intervals = _intervals(conn, models)
        rows = _rows(conn, _rules(models["int_lifecycle__ruled"]), closes)
        _refuse_other_stages(conn)
        sizes = [_bytes(conn, table) for table in ("member_stage", "member_week")]
        counts = [_count(conn, table) for table in ("member_stage", "member_week")]
        conn.execute("drop table bench.member_stage, bench.member_week")
    remarks = f"{counts[0]:,} intervals, {counts[1]:,} rows of {len(closes)} weeks; the same stages at every close"
    seconds = {"intervals": [intervals], "rows": [rows]}
    return [
        Figure(
            "B6",
            "stage history by intervals: as many times as long",
            "a row a member and week",
            "×",
            [rows / intervals],
            30,
            at_most=False,
            seconds=seconds,
            remarks=remarks,
        ),
        Figure(
            "B6",
            "the same: as many times as many bytes",
            "a row a member and week",
            "×",
            [sizes[1] / sizes[0]],
            30,
            at_most=False,
            remarks=f"{sizes[0] / 2**20:,.1f} MB of intervals, {sizes[1] / 2**20:,.1f} MB of rows, each with its key",
        ),
    ]


def _intervals(conn: psycopg.Connection, models: dict[str, str]) -> float:
    """Seconds of the models, each into a table, and of the key on the last one."""
    begun = time.perf_counter()
    for name in _MODELS:
        conn.execute(f"create table bench.{name} as {models[name]}".encode())
    conn.execute(f"create unique index on bench.{_MODELS[-1]} (member_id, valid_from)".encode())
    taken = time.perf_counter() - begun
    conn.execute(f"drop table {', '.join(f'bench.{name}' for name in _MODELS[:-1])}".encode())
    conn.execute(f"alter table bench.{_MODELS[-1]} rename to member_stage".encode())
    return taken


def _rows(conn: psycopg.Connection, rules: str, closes: list[object]) -> float:
    """Seconds of a week after the other, and of the key."""
    statement = _SQL.read_text().replace("{rules}", rules).encode()
    begun = time.perf_counter()
    conn.execute(
        "create table bench.member_week (member_id text, closing_on date, stage_code text, rule_id text,"
        " days_since_purchase integer, purchase_days integer, purchase_days_365 integer,"
        " spend_365_amount numeric(14, 2), gap_days integer, loyal_threshold_amount numeric(14, 2))"
    )
    for closing_on in closes:
        conn.execute(statement, {"closing_on": closing_on})
    conn.execute("create unique index on bench.member_week (member_id, closing_on)")
    return time.perf_counter() - begun


def _rules(ruled: str) -> str:
    """The CASE by which the models find the rule that holds."""
    for alias in sqlglot.parse_one(ruled, read="postgres").find_all(exp.Alias):
        if alias.alias == "rule_id" and isinstance(alias.this, exp.Case):
            return alias.this.sql(dialect="postgres")
    raise RuntimeError("int_lifecycle__ruled has no CASE called rule_id any more")


def _refuse_other_stages(conn: psycopg.Connection) -> None:
    differing = conn.execute(
        """
        select rows.closing_on, rows.member_id, rows.stage_code, intervals.stage_code
        from bench.member_week as rows
        left join bench.member_stage as intervals
            on
                rows.member_id = intervals.member_id
                and rows.closing_on >= intervals.valid_from
                and rows.closing_on < intervals.valid_to
        where rows.stage_code is distinct from intervals.stage_code
        limit 3
        """
    ).fetchall()
    if differing:
        raise RuntimeError(f"the two sides differ, which is no comparison: {differing}")


def _bytes(conn: psycopg.Connection, table: str) -> int:
    ((size,),) = conn.execute("select pg_total_relation_size(%s)", (f"bench.{table}",)).fetchall()
    return int(size)


def _count(conn: psycopg.Connection, table: str) -> int:
    ((count,),) = conn.execute(f"select count(*) from bench.{table}".encode()).fetchall()
    return int(count)
