"""Where the simulated rows go: a batch a feed and date, or a batch a store on the last dates."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from memberhouse.landing.batches import NewFile, write_batch
from memberhouse.landing.manifest import EVERY_STORE
from memberhouse.simulate.chain.plan import Plan
from memberhouse.simulate.tables import csv_bytes, json_lines
from memberhouse.sources.feeds import FEEDS

Rows = Mapping[str, Any]


@dataclass(frozen=True)
class Landed:
    """A batch that was written. amount: of the feed's money column."""

    source: str
    feed: str
    business_date: date
    store_id: str
    name: str
    rows: int
    amount: Decimal | None


@dataclass
class Total:
    """What was written of a feed."""

    batches: int = 0
    rows: int = 0
    amount: Decimal = Decimal(0)


@dataclass
class Lander:
    """Writes batches under `out` and counts what it wrote."""

    out: Path
    plan: Plan
    totals: dict[tuple[str, str], Total] = field(default_factory=lambda: defaultdict(Total))
    landed: list[Landed] = field(default_factory=list)

    def chain(self, source: str, feed: str, day: int, rows: Rows) -> None:
        """One batch for every store, if there are rows."""
        table = _table(rows)
        if table.num_rows:
            self._write(source, feed, day, EVERY_STORE, table)

    def stores(self, feed: str, day: int, rows: Rows, store_ids: list[str]) -> None:
        """Rows of tills, in the order of stores: one batch, or on the last dates a batch a store, with a
        header alone where a store was closed."""
        table = _table(rows)
        if day < self.plan.days - self.plan.store_days:
            if table.num_rows:
                self._write("pos", feed, day, EVERY_STORE, table)
            return
        first: dict[str, int] = {}
        count: dict[str, int] = {}
        for place, store in enumerate(table["store_id"].to_pylist()):
            first.setdefault(store, place)
            count[store] = count.get(store, 0) + 1
        for store in store_ids:
            self._write("pos", feed, day, store, table.slice(first.get(store, 0), count.get(store, 0)))

    def _write(self, source: str, feed: str, day: int, store_id: str, table: pa.Table) -> None:
        business_date = self.plan.date_of(day)
        declared = FEEDS[source, feed]
        amount = (pc.sum(table[declared.money]).as_py() or Decimal(0)) if declared.money else None
        if source == "app":
            as_they_are = [column.name for column in declared.columns if column.kind == "json"]
            file = NewFile(f"{feed}.jsonl.gz", json_lines(table, as_they_are), table.num_rows)
        else:
            content = csv_bytes(table, quoted=source == "reference")
            file = NewFile(f"{feed}.csv.gz", content, table.num_rows, amount)
        name = batch_name(feed, business_date, store_id)
        write_batch(
            self.out,
            source=source,
            feed=feed,
            business_date=business_date,
            store_id=store_id,
            name=name,
            files=[file],
            produced_at=produced_at(business_date),
            durable=False,
        )
        self.landed.append(Landed(source, feed, business_date, store_id, name, table.num_rows, amount))
        total = self.totals[source, feed]
        total.batches += 1
        total.rows += table.num_rows
        total.amount += amount or Decimal(0)


def batch_name(feed: str, business_date: date, store_id: str) -> str:
    return f"{feed}-{business_date:%Y%m%d}" + ("" if store_id == EVERY_STORE else f"-{store_id}")


def produced_at(business_date: date) -> datetime:
    """06:00 in Shanghai on the next day: the last store has closed at 04:00 of its own clock."""
    return datetime(business_date.year, business_date.month, business_date.day, 22, tzinfo=UTC)


def delivered_later(business_date: date, days: int) -> datetime:
    """The usual moment, some days later."""
    return produced_at(business_date) + timedelta(days=days)


def _table(rows: Rows) -> pa.Table:
    """Columns that hold nothing are left out, unless the feed requires them: the caller sees to that."""
    return pa.table(dict(rows))
