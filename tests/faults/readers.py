"""Readers in a loop against a publisher: does anyone see two releases at once, or wait for anyone?

`watch` builds, publishes and rolls back releases of two marts that must tie, while eight readers read them, each
in a process of its own. In every release all units are the same number, so that a mixture shows.
"""

from __future__ import annotations

import json
import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import psycopg
from psycopg import pq
from tests.shop import Shop

from memberhouse import db, release
from memberhouse.settings import PROJECT_ROOT, Settings

SHELVES, SKUS = 20, 50

_TOTAL = """
{{ config(unique_key=['shelf']) }}
select shelf, sum(units)::bigint as units, count(*)::bigint as skus from {{ source('public', 'shelf') }} group by shelf
"""
_TOTAL_SCHEMA = """
version: 2
models:
  - name: shelf_total
    description: One row per shelf.
    columns:
      - {name: shelf, data_type: text}
      - {name: units, data_type: bigint}
      - {name: skus, data_type: bigint}
"""

# least, most and sum of the one mart, sum and count of the other
_STOCK = "select min(units), max(units), sum(units) from bi.shelf_stock"
_SUM = "select sum(units), sum(skus) from bi.shelf_total"
_BOTH = f"select * from ({_STOCK}) as stock, ({_SUM}) as total"

# Quick readers pause as a person or a dashboard does: without it they measure who gets a processor.
_PAUSE = 0.01  # seconds
_SLOW = 2.0  # seconds for which the slow reader holds its snapshot

_WAIT = re.compile(
    r"process (?P<pid>\d+) still waiting for (?P<mode>\w+) on .+ holding the lock: (?P<holders>\d+(, \d+)*)\."
)

READERS = ("statement",) * 4 + ("pair",) * 3 + ("slow",)


class TwoMarts(Shop):
    """The shop with a second mart, which must tie with the first."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        super().__init__(settings, folder)
        (self._models / "shelf_total.sql").write_text(_TOTAL)
        (self._models / "_shelf_total.yml").write_text(_TOTAL_SCHEMA)

    def stock_all(self, units: int) -> None:
        """The same number of units of everything."""
        self.stock(*((f"S{n // SKUS}", f"sku {n % SKUS}", units) for n in range(SHELVES * SKUS)))


@dataclass(frozen=True)
class Span:
    """Milliseconds: the shortest, the middle and the longest."""

    least: float
    middle: float
    most: float

    @classmethod
    def of(cls, milliseconds: list[float]) -> Span:
        return cls(*(round(value, 1) for value in (min(milliseconds), median(milliseconds), max(milliseconds))))

    def __str__(self) -> str:
        return f"{self.least} / {self.middle} / {self.most} ms"


@dataclass(frozen=True)
class Watched:
    """What the readers met, and how long everything took.

    reads: how often was read. mixes, errors: what must not be. releases_seen: by each reader. lock_waits: log
    lines of sessions that waited for a reader's lock, or readers that waited for one. waits: a statement of a
    quick reader. pointer: the transaction that moves the pointer, in the database; publish, rollback: the whole
    call, with its connections and its entries in the ledger.
    """

    reads: int
    mixes: list[str]
    errors: list[str]
    releases_seen: list[int]
    lock_waits: list[str]
    waits: Span
    pointer: Span
    publish: Span
    rollback: Span

    def __str__(self) -> str:
        return (
            f"{self.reads} reads, {len(self.mixes)} mixed, {len(self.errors)} errors, {len(self.lock_waits)} waits for"
            f" locks; a quick reader waits {self.waits}, the pointer moves in {self.pointer};"
            f" publish {self.publish}, rollback {self.rollback} (least / middle / most)"
        )


def watch(shop: TwoMarts, releases: int, rollback_every: int = 1) -> Watched:
    """Build and publish that many releases under eight readers, and roll back after every so many of them."""
    shop.stock_all(1)
    shop.publish()
    pointer_times: list[float] = []
    times: dict[str, list[float]] = {"publish": [], "rollback": []}
    with _told_of_lock_waits(shop.settings) as lock_waits, _pointer_times(pointer_times):
        readers = [_start(kind, shop.settings) for kind in READERS]
        try:
            for number in range(2, releases + 2):
                shop.stock_all(number)
                shop.judge(shop.build())
                _timed(times["publish"], lambda: release.publish(shop.settings, unpin=True))
                if number % rollback_every == 0:
                    time.sleep(0.05)  # long enough for readers to see it
                    _timed(times["rollback"], lambda: release.rollback(shop.settings))
        finally:
            told = [_stop(reader) for reader in readers]
    pids = {reader["backend"] for reader in told}
    return Watched(
        reads=sum(reader["reads"] for reader in told),
        mixes=[mix for reader in told for mix in reader["mixes"]],
        errors=[error for reader in told for error in reader["errors"]],
        releases_seen=[reader["releases"] for reader in told],
        lock_waits=[wait for wait in lock_waits if _is_about(wait, pids)],
        waits=Span.of([wait for reader in told for wait in reader["waits"]]),
        pointer=Span.of(pointer_times),
        publish=Span.of(times["publish"]),
        rollback=Span.of(times["rollback"]),
    )


def _is_about(wait: str, readers: set[int]) -> bool:
    """Whether a reader waited, or somebody waited for one: readers only share access, which one kind of lock minds.

    The log names every holder, whether it is in the way or not.
    """
    found = _WAIT.search(wait)
    if not found:
        return True
    holders = set(map(int, found["holders"].split(",")))
    return int(found["pid"]) in readers or (found["mode"] == "AccessExclusiveLock" and bool(holders & readers))


def _timed(times: list[float], action: Any) -> None:
    begun = time.perf_counter()
    action()
    times.append((time.perf_counter() - begun) * 1000)


@contextmanager
def _pointer_times(times: list[float]) -> Iterator[None]:
    """Time every transaction that moves the pointer, from its first statement to its commit."""
    commit = psycopg.Connection.commit

    def timed(conn: psycopg.Connection) -> None:
        age = None
        if conn.info.transaction_status == pq.TransactionStatus.INTRANS:
            age = conn.execute(
                "select extract(epoch from clock_timestamp() - now())::float8 * 1000 from release.current"
                " where pg_xact_status(xmin::text::xid8) = 'in progress'"
            ).fetchone()
        begun = time.perf_counter()
        commit(conn)
        if age:
            times.append(age[0] + (time.perf_counter() - begun) * 1000)

    psycopg.Connection.commit = timed  # type: ignore[method-assign]
    try:
        yield
    finally:
        psycopg.Connection.commit = commit  # type: ignore[method-assign]


@contextmanager
def _told_of_lock_waits(settings: Settings) -> Iterator[list[str]]:
    """Collects what the server's log says of sessions that waited for a lock longer than a few milliseconds."""
    name = (settings.database_url or "").rsplit("/", 1)[1]
    told: list[str] = []
    with db.connect(settings, autocommit=True) as conn:
        conn.execute(f"alter database {name} set log_lock_waits = on".encode())
        conn.execute(f"alter database {name} set deadlock_timeout = '5ms'".encode())
        ((data,),) = conn.execute("show data_directory").fetchall()
    log = Path(data).with_name("server.log")
    begin = log.stat().st_size
    yield told
    with log.open(encoding="utf-8", errors="replace") as file:
        file.seek(begin)
        lines = file.read().splitlines()
    for line, detail in pairwise([*lines, ""]):
        if f" {name} " in line and "still waiting for" in line:
            told.append(f"{line.split('LOG:')[-1].strip()} {detail.split('DETAIL:')[-1].strip()}")


def _start(kind: str, settings: Settings) -> subprocess.Popen[str]:
    reader = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.readers", kind],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=PROJECT_ROOT,
        env={**os.environ, "DATABASE_URL": settings.database_url or "", "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert reader.stdout is not None
    assert reader.stdout.readline() == "reading\n"
    return reader


def _stop(reader: subprocess.Popen[str]) -> dict[str, Any]:
    output, _ = reader.communicate("", timeout=60)
    told: dict[str, Any] = json.loads(output)
    return told


def read(kind: str) -> None:
    """A reader's process: reads until its standard input ends, then tells what it met."""
    reads, mixes, errors, waits, releases = 0, [], [], [], set()
    with db.connect(Settings.from_env(), autocommit=True) as conn:
        db.as_bi_role(conn)
        print("reading", flush=True)
        while not select.select([sys.stdin], [], [], 0 if kind == "slow" else _PAUSE)[0]:
            begun = time.perf_counter()
            try:
                if kind == "statement":
                    seen = conn.execute(_BOTH).fetchone()
                else:
                    with conn.transaction():
                        conn.execute("set transaction isolation level repeatable read")
                        stock = conn.execute(_STOCK).fetchone()
                        if kind == "slow":
                            conn.execute("select pg_sleep(%s)", (_SLOW,))
                        seen = (*(stock or ()), *(conn.execute(_SUM).fetchone() or ()))
            except psycopg.Error as error:
                errors.append(f"{type(error).__name__}: {error}")
                break
            waits.append((time.perf_counter() - begun) * 1000)
            reads += 1
            least, most, units, total, skus = map(int, seen or ())
            releases.add(least)
            if not (least == most and units == total == least * skus and skus == SHELVES * SKUS):
                mixes.append(f"{kind}: {seen}")
        backend = conn.info.backend_pid
    print(
        json.dumps(
            {
                "backend": backend,
                "reads": reads,
                "mixes": mixes,
                "errors": errors,
                "releases": len(releases),
                "waits": [] if kind == "slow" else waits,
            }
        )
    )


if __name__ == "__main__":
    read(sys.argv[1])
