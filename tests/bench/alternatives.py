"""B2: the same load as B1's, against what people use. None of them checks anything, types a column that has a bad
value, keeps where a row came from, or knows the file when it comes again.

All read the same CSV file, one row in a hundred bad, and append it to a table as text, each by its own defaults.
"""

from __future__ import annotations

import csv
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.bench.figures import Figure, Progress, in_turn, ratios
from tests.bench.loading import FIRST_DAY, drop, land_lines, load, prepared

from memberhouse import db
from memberhouse.settings import Settings

# How many times as fast as each we want to be.
_GOALS = {"dlt": 10.0, "pandas to_sql": 10.0, "ADBC": 1.0}


def speed(home: Path, folder: Path, lines: int, rounds: int, tell: Progress) -> list[Figure]:
    """B2: how many times as long the others take for the same file."""
    landing = folder / "alternatives"
    file = land_lines(landing, lines, FIRST_DAY)
    settings = prepared(home, folder)
    tell(f"B2: {lines:,} lines by dlt, pandas and ADBC; {rounds} rounds")
    times = in_turn(
        rounds,
        {
            "memberhouse": lambda: load(settings, landing, streams=1),
            "dlt": lambda: _dlt(settings, file, folder / "dlt"),
            "pandas to_sql": lambda: _pandas(settings, file),
            "ADBC": lambda: _adbc(settings, file),
        },
    )
    drop(settings)
    return [
        Figure(
            "B2",
            f"loading with all checks, as many times as fast as {other}",
            f"{other}, its defaults, text, nothing checked",
            "×",
            ratios(times[other], times["memberhouse"]),
            goal,
            at_most=False,
            seconds=times,
            remarks=f"{lines:,} lines",
        )
        for other, goal in _GOALS.items()
    ]


def _dlt(settings: Settings, file: Path, folder: Path) -> float:
    os.environ |= {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "ERROR"}
    import dlt

    shutil.rmtree(folder, ignore_errors=True)
    _remove(settings, "bench_dlt")
    begun = time.perf_counter()
    pipeline = dlt.pipeline(
        "bench",
        pipelines_dir=str(folder),
        destination=dlt.destinations.postgres(db.database_url(settings)),
        dataset_name="bench_dlt",
    )
    pipeline.run(_rows(file), table_name="lines")
    taken = time.perf_counter() - begun
    _expect(settings, "bench_dlt.lines", file)
    return taken


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    with file.open(newline="") as lines:
        yield from csv.DictReader(lines)


def _pandas(settings: Settings, file: Path) -> float:
    import pandas as pd
    import sqlalchemy

    _remove(settings, "bench_pandas")
    begun = time.perf_counter()
    engine = sqlalchemy.create_engine(db.database_url(settings).replace("postgresql://", "postgresql+psycopg://"))
    pd.read_csv(file, dtype=str).to_sql("lines", engine, schema="bench_pandas", index=False)
    taken = time.perf_counter() - begun
    engine.dispose()
    _expect(settings, "bench_pandas.lines", file)
    return taken


def _adbc(settings: Settings, file: Path) -> float:
    import adbc_driver_postgresql.dbapi
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    _remove(settings, "bench_adbc")
    begun = time.perf_counter()
    header = file.open().readline().strip().split(",")
    text = arrow_csv.ConvertOptions(column_types=dict.fromkeys(header, pa.string()))
    with adbc_driver_postgresql.dbapi.connect(db.database_url(settings)) as conn, conn.cursor() as cursor:
        cursor.adbc_ingest(
            "lines", arrow_csv.open_csv(file, convert_options=text), mode="create", db_schema_name="bench_adbc"
        )
        conn.commit()
    taken = time.perf_counter() - begun
    _expect(settings, "bench_adbc.lines", file)
    return taken


def _remove(settings: Settings, schema: str) -> None:
    with db.connect(settings, autocommit=True) as conn:
        conn.execute(f"drop schema if exists {schema} cascade; create schema {schema}".encode())


def _expect(settings: Settings, table: str, file: Path) -> None:
    with file.open("rb") as lines:
        expected = sum(1 for _ in lines) - 1
    with db.connect(settings) as conn:
        ((found,),) = conn.execute(f"select count(*) from {table}".encode()).fetchall()
    if found != expected:
        raise RuntimeError(f"this is not what was to be measured: {table} has {found} rows of {expected}")
