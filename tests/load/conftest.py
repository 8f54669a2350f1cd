"""A till that drops batches, sound and damaged, and a warehouse to load them into."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from memberhouse import db
from memberhouse.landing import NewFile, write_batch
from memberhouse.load import LoadReport, load_landed
from memberhouse.local import postgres
from memberhouse.settings import PROJECT_ROOT, Settings
from memberhouse.sources.feeds import FEEDS
from memberhouse.sources.raw_tables import ensure_raw_tables

DAY = date(2026, 3, 2)
LINE_HEADER = "store_id,register_id,business_date,receipt_no,receipt_type,line_no,sku,quantity,net_amount"


@dataclass
class Till:
    """Drops batches under `root` and loads them; `query` looks at what came of it."""

    root: Path
    warehouse: Settings
    names: Iterator[int] = field(default_factory=lambda: count(1))

    def drop(
        self,
        content: str | bytes,
        *,
        feed: str = "receipt_lines",
        source: str = "pos",
        day: date = DAY,
        store_id: str = "all",
        name: str | None = None,
        file: str | None = None,
        rows: int | None = None,
        amount_total: str | None = None,
        revision: int = 0,
        encoding: str = "utf-8",
        **extra: Any,
    ) -> Path:
        """Land one file as a batch; rows defaults to its lines without the header."""
        stored = content.encode() if isinstance(content, str) else content
        if rows is None:
            rows = max(stored.rstrip(b"\n").count(b"\n"), 0)
        return write_batch(
            self.root,
            source=source,
            feed=feed,
            business_date=day,
            store_id=store_id,
            name=name or f"b{next(self.names)}",
            files=[
                NewFile(
                    file or f"{feed}.csv.gz",
                    stored,
                    rows,
                    Decimal(amount_total) if amount_total is not None else None,
                )
            ],
            produced_at=datetime.combine(day + timedelta(days=1), datetime.min.time(), UTC),
            revision=revision,
            encoding=encoding,
            extra=extra,
        )

    def drop_stores(
        self,
        *ids: str,
        day: date = date(2026, 1, 1),
        zone: str = "Asia/Shanghai",
        cutoff: str = "00:00",
    ) -> Path:
        """Land a stores file."""
        lines = [f"{store_id},{zone},{cutoff}\n" for store_id in ids]
        return self.drop("store_id,timezone,day_cutoff\n" + "".join(lines), source="reference", feed="stores", day=day)

    def load(self, **options: Any) -> LoadReport:
        return load_landed(self.warehouse, self.root, **options)

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        with db.connect(self.warehouse) as conn:
            return conn.execute(statement.encode()).fetchall()

    def active_lines(self) -> list[tuple[Any, ...]]:
        return self.query(
            "select receipt_no, line_no, sku, net_amount from raw.pos__receipt_lines"
            " join ops.batch on batch_id = _batch_id and state = 'loaded' order by 1, 2"
        )

    def rejected(self) -> list[tuple[Any, ...]]:
        return self.query(
            "select line_no, reason_code, column_name, reason, raw_text from quarantine.rejected_row"
            " order by rejected_row_id"
        )


def loading_database(server_home: Path, name: str) -> Settings:
    """A database that is ready to be loaded into."""
    settings = Settings(
        home=server_home,
        database_url=postgres.create_database(server_home, name),
        project_root=PROJECT_ROOT,
    )
    with db.connect(settings, autocommit=True) as conn:
        db.ensure_schema(conn)
        ensure_raw_tables(conn)
    return settings


def empty(warehouse: Settings) -> Settings:
    """The same without a row: emptied, because a new database for each test takes longer."""
    with db.connect(warehouse) as conn:
        for feed in FEEDS.values():
            conn.execute(f"delete from raw.{feed.raw_table}".encode())
        for table in (
            "ops.known_store",
            "quarantine.duplicate_row",
            "quarantine.rejected_row",
            "ops.load_balance",
            "ops.batch",
            "ops.alert",
            "vault.personal_value",
        ):
            conn.execute(f"delete from {table}".encode())
    return warehouse


@pytest.fixture(scope="session")
def _load_database(server_home: Path) -> Settings:
    return loading_database(server_home, "load")


@pytest.fixture
def emptied_warehouse(_load_database: Settings) -> Settings:
    return empty(_load_database)


@pytest.fixture
def till(tmp_path: Path, emptied_warehouse: Settings) -> Till:
    """A till of a chain with the stores S1 and S2."""
    till = Till(tmp_path / "landing", emptied_warehouse)
    till.drop_stores("S1", "S2")
    return till


def line(receipt: int, number: int = 1, **other: Any) -> str:
    """One line of a sale; any column can be given another value."""
    values = {
        "store_id": "S1",
        "register_id": "1",
        "business_date": DAY.isoformat(),
        "receipt_no": f"R{receipt}",
        "receipt_type": "sale",
        "line_no": str(number),
        "sku": "A1",
        "quantity": "1",
        "net_amount": "10.00",
    }
    values.update({name: str(value) for name, value in other.items()})
    return ",".join(values.values()) + "\n"


def lines(n: int = 100, more: str = "", first: int = 1) -> str:
    """A file of n sound receipt lines with a header, 10.00 each; `more` lines behind them."""
    return LINE_HEADER + "\n" + "".join(line(receipt) for receipt in range(first, first + n)) + more


@pytest.fixture
def sound_lines() -> Callable[..., str]:
    return lines


@pytest.fixture
def one_line() -> Callable[..., str]:
    return line


def rewrite_manifest(folder: Path, file: dict[str, Any] | None = None, **top: Any) -> None:
    """Rewrite keys of a landed batch's manifest; `file` for keys of its first file."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["files"][0].update(file or {})
    manifest.update(top)
    path.write_text(json.dumps(manifest))


@pytest.fixture
def change_manifest() -> Callable[..., None]:
    return rewrite_manifest
