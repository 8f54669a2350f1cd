"""B1, B3 and B4: from landed files to typed, checked, quarantined ``raw``, against a COPY of the same file.

The floor is ``COPY`` of the file into an unlogged table of text columns, by the same client, over the same
connection: nothing typed, nothing checked. One row in a hundred is bad, in four ways that only a look at the value
finds: words for an amount or a quantity, the 31st of February, NaN.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from statistics import median

import psycopg
from tests.bench.figures import Figure, Progress, in_turn, ratios

from memberhouse import db
from memberhouse.landing import NewFile, write_batch
from memberhouse.load import load_landed
from memberhouse.local import postgres
from memberhouse.settings import PROJECT_ROOT, Settings
from memberhouse.sources.raw_tables import ensure_raw_tables

FIRST_DAY = date(2026, 3, 2)
STORES = 200
_PIECE = 1 << 18
_COLUMNS = (
    "store_id,register_id,business_date,receipt_no,receipt_type,line_no,sku,quantity,unit_price,discount_amount,"
    "net_amount,staff_id,is_merchandise,returns_line_no"
)

_names = count(1)


def land_stores(root: Path) -> None:
    """A chain of 200 stores."""
    rows = "".join(f"S{store:03d},Asia/Shanghai,00:00\n" for store in range(STORES))
    write_batch(
        root,
        source="reference",
        feed="stores",
        business_date=date(2026, 1, 1),
        name="stores",
        files=[NewFile("stores.csv", f"store_id,timezone,day_cutoff\n{rows}".encode(), STORES)],
        produced_at=datetime(2026, 1, 2, tzinfo=UTC),
    )


def land_lines(root: Path, lines: int, day: date = FIRST_DAY, seed: int = 1) -> Path:
    """A day's receipt lines of all stores in one uncompressed file, one in a hundred bad; returns the file."""
    chance = random.Random(f"{seed} {day}")  # noqa: S311  (it has to be the same every time)
    rows = [_COLUMNS]
    receipt = 0
    while len(rows) <= lines:
        receipt += 1
        head = f"S{receipt % STORES:03d},{receipt % 4 + 1},{day},{receipt:08d},sale"
        for number in range(1, min(chance.randint(1, 18), lines + 1 - len(rows)) + 1):
            quantity = chance.choice((1, 1, 1, 1, 2, 3))
            price = chance.randint(50, 2500)
            discount = price * quantity * chance.choice((0, 0, 0, 10, 20)) // 100
            cells = [f"{quantity}", f"{price / 100:.2f}", f"{discount / 100:.2f}"]
            net = f"{(price * quantity - discount) / 100:.2f}"
            start = head
            if chance.random() < 0.01:
                kind = chance.randrange(4)
                if kind == 0:
                    net = "abc"
                elif kind == 1:
                    start = head.replace(str(day), "2026-02-31")
                elif kind == 2:
                    cells[0] = "x"
                else:
                    net = "NaN"
            sku = 1_000_000 + 7 * chance.randrange(20_000)
            rows.append(f"{start},{number},{sku},{','.join(cells)},{net},C{receipt % 900},true,")
    rows.append("")
    folder = write_batch(
        root,
        source="pos",
        feed="receipt_lines",
        business_date=day,
        name="lines",
        files=[NewFile("receipt_lines.csv", "\n".join(rows).encode(), lines)],
        produced_at=datetime.combine(day + timedelta(days=1), datetime.min.time(), UTC),
    )
    return folder / "receipt_lines.csv"


def speed(home: Path, folder: Path, lines: int, rounds: int, tell: Progress) -> list[Figure]:
    """B1: rows a second of one and of two streams, as a share of the floor's."""
    one, two = folder / "one", folder / "two"
    files = [land_lines(two, lines // 2, FIRST_DAY), land_lines(two, lines // 2, FIRST_DAY + timedelta(days=1))]
    shutil.copytree(two / "pos" / "receipt_lines" / str(FIRST_DAY), one / "pos" / "receipt_lines" / str(FIRST_DAY))
    settings = [prepared(home, folder) for _ in range(3)]
    tell(f"B1: {lines // 2:,} lines against a COPY of them, and {lines:,} in two streams; {rounds} rounds")
    times = in_turn(
        rounds,
        {
            "floor": lambda: _floor(settings[0], files[0]),
            "typed COPY, nothing checked": lambda: _typed(settings[0], files[0]),
            "one stream": lambda: load(settings[1], one, streams=1),
            "two streams": lambda: load(settings[2], two, streams=2),
        },
    )
    for each in settings:
        drop(each)
    floor = "COPY of the same file into an unlogged table of text"
    limit = median(ratios(times["floor"], times["typed COPY, nothing checked"]))
    remarks = f"the same COPY into typed columns, with bad rows skipped and nothing else done, reaches {limit:.2f} ×"
    return [
        Figure(
            "B1",
            "loading, 1 % bad, one stream: rows a second",
            floor,
            "×",
            ratios(times["floor"], times["one stream"]),
            0.5,
            at_most=False,
            seconds=times,
            remarks=remarks,
        ),
        Figure(
            "B1",
            "loading, 1 % bad, two streams: rows a second",
            floor,
            "×",
            ratios(times["floor"], times["two streams"], factor=2.0),
            0.8,
            at_most=False,
            seconds=times,
            remarks=remarks,
        ),
    ]


def land_events(root: Path, rows: int, seed: int = 1) -> Path:
    """A day's events of the app in one uncompressed file of JSON lines, one in a hundred bad; returns the file."""
    chance = random.Random(f"{seed} events")  # noqa: S311  (it has to be the same every time)
    lines = []
    for number in range(rows):
        moment = datetime.combine(FIRST_DAY, datetime.min.time(), UTC) + timedelta(seconds=number * 80_000 / rows)
        event = {
            "event_id": f"e{number:09d}",
            "account_id": f"a{chance.randrange(rows // 8 + 1)}",
            "name": chance.choice(("open", "view_product", "add_to_cart", "search", "share")),
            "at": moment.isoformat(),
            "properties": {"sku": f"{1_000_000 + chance.randrange(20_000)}", "seconds": chance.randrange(300)},
        }
        if chance.random() < 0.01:
            event["at"] = chance.choice(("yesterday", "2026-02-31T10:00:00+00:00"))
        lines.append(json.dumps(event))
    lines.append("")
    folder = write_batch(
        root,
        source="app",
        feed="events",
        business_date=FIRST_DAY,
        name="events",
        files=[NewFile("events.jsonl", "\n".join(lines).encode(), rows)],
        produced_at=datetime.combine(FIRST_DAY + timedelta(days=1), datetime.min.time(), UTC),
    )
    return folder / "events.jsonl"


def events(home: Path, folder: Path, rows: int, rounds: int, tell: Progress) -> list[Figure]:
    """B3: the app's events, against a COPY of the lines as jsonb and the extraction of typed columns from it."""
    landing = folder / "events"
    file = land_events(landing, rows)
    settings = prepared(home, folder)
    tell(f"B3: {rows:,} events against a COPY as jsonb and an extraction; {rounds} rounds")
    times = in_turn(
        rounds,
        {
            "jsonb": lambda: _extract_from_jsonb(settings, file),
            "memberhouse": lambda: load(settings, landing, streams=1),
        },
    )
    drop(settings)
    return [
        Figure(
            "B3",
            "loading the app's events, 1 % bad: rows a second",
            "COPY as jsonb, then typed columns from it, bad rows dropped",
            "×",
            ratios(times["jsonb"], times["memberhouse"]),
            0.5,
            at_most=False,
            seconds=times,
        )
    ]


def _extract_from_jsonb(settings: Settings, file: Path) -> float:
    with db.connect(settings, autocommit=True) as conn:
        conn.execute(
            "drop table if exists public.lines, public.events; create unlogged table public.lines (line jsonb);"
            " create table public.events (event_id text, account_id text, name text, at timestamptz, properties jsonb)"
        )
        copied = _copy(
            conn, file, r"copy public.lines from stdin (format csv, delimiter e'\x02', quote e'\x01', escape e'\x01')"
        )
        begun = time.perf_counter()
        conn.execute(
            "insert into public.events select line ->> 'event_id', line ->> 'account_id', line ->> 'name',"
            " (line ->> 'at')::timestamptz, line -> 'properties' from public.lines"
            " where pg_input_is_valid(line ->> 'at', 'timestamptz')"
        )
        return copied + time.perf_counter() - begun


def memory(home: Path, folder: Path, lines: int, tell: Progress) -> list[Figure]:
    """B4: the client's peak memory at a tenth, a third and all of the lines, above a client that loads nothing."""
    sizes = [lines // 10, lines // 3, lines]
    tell(f"B4: the client's memory at {', '.join(f'{size:,}' for size in sizes)} lines")
    peaks = []
    for size in [0, *sizes]:
        landing = folder / f"memory-{size}"
        land_stores(landing)
        if size:
            land_lines(landing, size)
        settings = prepared(home, folder)
        peaks.append(_peak(settings, landing))
        drop(settings)
    own = [peak - peaks[0] for peak in peaks[1:]]
    return [
        Figure(
            "B4",
            "client memory of a load",
            f"a client that loads the stores only ({peaks[0]:.0f} MB)",
            "MB",
            own,
            200,
            at_most=True,
            remarks=f"at {', '.join(f'{size:,}' for size in sizes)} lines",
        ),
        Figure(
            "B4",
            f"the same at {sizes[-1]:,} lines",
            f"at {sizes[0]:,} lines",
            "×",
            [peaks[-1] / peaks[1]],
            1.2,
            at_most=True,
            remarks="whole client, the interpreter and the libraries included",
        ),
    ]


def prepared(home: Path, folder: Path) -> Settings:
    """A new warehouse that knows the stores."""
    settings = Settings(home, postgres.create_database(home, f"bench_{next(_names)}"), PROJECT_ROOT)
    stores = folder / "stores"
    if not stores.exists():
        land_stores(stores)
    with db.connect(settings, autocommit=True) as conn:
        db.ensure_schema(conn)
        ensure_raw_tables(conn)
    load_landed(settings, stores)
    return settings


def drop(settings: Settings) -> None:
    """Remove the warehouse."""
    server, name = (settings.database_url or "").rsplit("/", 1)
    with db.connect(Settings(settings.home, f"{server}/postgres", PROJECT_ROOT), autocommit=True) as conn:
        conn.execute(f"drop database {name} with (force)".encode())


def _floor(settings: Settings, file: Path) -> float:
    columns = ", ".join(f"{name} text" for name in _COLUMNS.split(","))
    with db.connect(settings, autocommit=True) as conn:
        conn.execute(f"drop table if exists public.floor; create unlogged table public.floor ({columns})".encode())
        return _copy(conn, file, f"copy public.floor ({_COLUMNS}) from stdin (format csv, header)")


def _typed(settings: Settings, file: Path) -> float:
    """The floor of any loader that wants types and reports bad rows: one logged table, nothing checked."""
    with db.connect(settings, autocommit=True) as conn:
        conn.execute("drop table if exists public.typed; create table public.typed (like raw.pos__receipt_lines)")
        conn.execute("alter table public.typed drop _batch_id, drop _file_no, drop _line_no")
        return _copy(
            conn,
            file,
            f"copy public.typed ({_COLUMNS}) from stdin (format csv, header, on_error ignore, log_verbosity verbose)",
        )


def _copy(conn: psycopg.Connection, file: Path, statement: str) -> float:
    """Seconds for the file as it is."""
    begun = time.perf_counter()
    with conn.cursor().copy(statement.encode()) as copy, file.open("rb") as source:
        while piece := source.read(_PIECE):
            copy.write(piece)
    return time.perf_counter() - begun


def load(settings: Settings, landing: Path, streams: int) -> float:
    """Seconds for all that has landed, into tables that are empty again."""
    with db.connect(settings, autocommit=True) as conn:
        conn.execute(
            "truncate raw.pos__receipt_lines, raw.app__events, ops.batch, ops.load_balance, quarantine.rejected_row,"
            " quarantine.duplicate_row"
        )
    begun = time.perf_counter()
    report = load_landed(settings, landing, streams=streams)
    taken = time.perf_counter() - begun
    share = Decimal(report.rows_quarantined) / max(report.rows_in, 1)
    if report.refused or not Decimal("0.008") < share < Decimal("0.012"):
        raise RuntimeError(f"this is not what was to be measured: {report.summary()}")
    return taken


def _peak(settings: Settings, landing: Path) -> float:
    """The most memory that a process had which loaded `landing`, in MB."""
    program = (
        "import re, sys; from pathlib import Path; from memberhouse.load import load_landed;"
        " from memberhouse.settings import Settings;"
        " load_landed(Settings.from_env(), Path(sys.argv[1]));"
        # not getrusage: its figure begins with the memory of the process that started this one
        r" print(int(re.search(r'VmHWM:\s+(\d+)', Path('/proc/self/status').read_text())[1]) / 1024)"
    )
    environment = {
        **os.environ,
        "DATABASE_URL": settings.database_url or "",
        "MEMBERHOUSE_HOME": str(settings.home),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    output = subprocess.run(
        [sys.executable, "-c", program, str(landing)], env=environment, check=True, capture_output=True, text=True
    ).stdout
    return float(output)
