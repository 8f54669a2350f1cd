"""B9 and B10: publishing under readers, and what reading through release validity costs."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

import psycopg
from tests.bench.figures import Figure, Progress, in_turn, ratios
from tests.faults.readers import TwoMarts, watch
from tests.shop import Shop

from memberhouse import db
from memberhouse.local import postgres
from memberhouse.settings import PROJECT_ROOT, Settings

RELEASES = 50
_LATER_RELEASES = 10  # each replaces one row in a hundred
_KEYS = 2_000

# A mart as wide as most: two keys, measures, dates, words.
_WIDE = {
    "shelf": "shelf",
    "sku": "sku",
    "units": "units",
    "counted_on": "date '2026-03-02' - units % 90",
    "list_price": "(units % 2500 / 100.0)::numeric(14, 2)",
    "unit_cost": "(units % 1700 / 100.0)::numeric(14, 2)",
    "category": "'category ' || units % 40",
    "brand": "'brand ' || units % 300",
    "is_focus": "units % 20 = 0",
    "first_seen_on": "date '2025-03-02' - units % 300",
    "checked_by": "'staff ' || units % 80",
    "facings": "units % 9",
}
_TYPES = (
    "text", "text", "integer", "date", "numeric(14, 2)", "numeric(14, 2)",
    "text", "text", "boolean", "date", "text", "integer",
)  # fmt: skip

_names = count(1)


def publishing(home: Path, folder: Path, tell: Progress) -> list[Figure]:
    """B9: 50 releases published and rolled back under eight readers."""
    tell(f"B9: {RELEASES} releases built, published and rolled back under eight readers")
    seen = watch(TwoMarts(_new(home, "readers"), folder / "readers"), releases=RELEASES)
    if seen.errors or seen.mixes or seen.lock_waits:
        raise RuntimeError(f"readers were disturbed: {seen}: {[*seen.errors, *seen.mixes, *seen.lock_waits][:3]}")
    remarks = f"{seen.reads:,} reads, 0 errors, 0 mixed, 0 waits for a lock"
    pointer, call, wait = seen.pointer, seen.publish, seen.waits
    return [
        Figure("B9", "publish and roll back, in the database", "", "ms", list(vars(pointer).values()), 5, True),
        Figure("B9", "a whole publish call, connections and ledger too", "", "ms", list(vars(call).values()), 50, True),
        Figure(
            "B9", "longest wait of a quick reader", "", "ms", [wait.most], 100, True, remarks=f"{remarks}; all: {wait}"
        ),
    ]


def through_validity(home: Path, folder: Path, rows: int, rounds: int, tell: Progress) -> list[Figure]:
    """B10: a mart with eleven releases behind it, read through its view and as a plain table of the same rows."""
    tell(f"B10: {rows:,} rows in {_LATER_RELEASES + 1} releases; {rounds} rounds")
    (folder / "validity").mkdir()
    shop = Shop(_new(home, "validity"), folder / "validity")
    shop.declare(
        dict(zip(_WIDE, _TYPES, strict=True)), select=", ".join(f"{sql} as {name}" for name, sql in _WIDE.items())
    )
    shop.sql(
        "insert into shelf select 'shelf ' || n / 500, 'sku ' || n %% 500, n from generate_series(0, %s - 1) as n",
        [rows],
    )
    shop.publish()
    for number in range(_LATER_RELEASES):
        shop.sql("update shelf set units = units + 1 where units %% 100 = %s", [number * 7])
        shop.publish()
    shop.sql("create table plain as select * from bi.shelf_stock")
    shop.sql("create unique index on plain (shelf, sku)")
    shop.sql("create table other as select shelf, sku, units %% 7 as weight from plain")
    shop.sql("create unique index on other (shelf, sku)")
    shop.sql(f"create table wanted as select shelf, sku from plain order by md5(shelf || sku) limit {_KEYS}")  # noqa: S608  (our own names)
    shop.sql("grant usage on schema public to memberhouse_bi; grant select on plain, other, wanted to memberhouse_bi")
    with db.connect(shop.settings, autocommit=True) as conn:
        conn.execute("vacuum analyze")
        db.as_bi_role(conn)
        return [
            _compared(conn, what, run, rounds)
            for what, run in {
                "scan": _statement("select shelf, sum(units), count(*) from {} group by shelf order by shelf"),
                f"{_KEYS:,} keys in a statement": _statement(
                    "select sum(units) from {} inner join public.wanted using (shelf, sku)"
                ),
                "join of all rows": _statement(
                    "select sum(units::bigint * weight) from {} inner join public.other using (shelf, sku)"
                ),
            }.items()
        ]


Read = Callable[[psycopg.Connection, str], object]


def _compared(conn: psycopg.Connection, what: str, read: Read, rounds: int) -> Figure:
    if read(conn, "bi.shelf_stock") != read(conn, "public.plain"):
        raise RuntimeError(f"{what}: the view and the plain table differ")
    times = in_turn(
        rounds,
        {"plain": lambda: _seconds(conn, read, "public.plain"), "bi": lambda: _seconds(conn, read, "bi.shelf_stock")},
    )
    return Figure(
        "B10",
        f"reading bi: {what}",
        "the same rows in a plain table",
        "×",
        ratios(times["bi"], times["plain"]),
        1.25,
        at_most=True,
        seconds=times,
    )


def _seconds(conn: psycopg.Connection, read: Read, table: str) -> float:
    begun = time.perf_counter()
    read(conn, table)
    return time.perf_counter() - begun


def _statement(text: str) -> Read:
    return lambda conn, table: conn.execute(text.replace("{}", table).encode()).fetchall()


def _new(home: Path, name: str) -> Settings:
    return Settings(home, postgres.create_database(home, f"bench_{name}_{next(_names)}"), PROJECT_ROOT)
