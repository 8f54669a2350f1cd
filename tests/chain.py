"""A chain of two stores and an app whose rows are put into ``raw`` as the loader leaves them, tokens included; what
a file brings can be landed and loaded, too."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
from psycopg import sql
from psycopg.types.json import Jsonb

from memberhouse import db, release
from memberhouse import warehouse as building
from memberhouse.landing import NewFile, write_batch
from memberhouse.load import LoadReport, load_landed
from memberhouse.settings import Settings
from memberhouse.sources.raw_tables import ensure_raw_tables

STORES = [
    {"store_id": "S1", "region": "north", "timezone": "Asia/Shanghai", "day_cutoff": "00:00"},
    {"store_id": "S2", "region": "south", "timezone": "Asia/Shanghai", "day_cutoff": "04:00"},
    {"store_id": "APP", "region": "online", "timezone": "Asia/Shanghai", "day_cutoff": "00:00"},
]


class Chain:
    """Collects what was delivered; builds and publishes releases of it, and answers what readers see."""

    def __init__(self, settings: Settings, opened_on: date, stores: Sequence[Mapping[str, Any]] = STORES) -> None:
        self.settings = settings
        self.delivered: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.releases: list[int] = []
        with db.connect(settings) as conn:
            db.ensure_schema(conn)
            ensure_raw_tables(conn)
        self.deliver("reference", "stores", opened_on, *stores)

    def deliver(self, source: str, feed: str, day: date, *rows: Mapping[str, Any], of_store: str = "all") -> int | None:
        """A loaded batch of these rows for a business date, of one store or of the whole chain; its batch_id."""
        if not rows:
            return None
        self.delivered[feed].extend(dict(row) | {"entered_on": day} for row in rows)
        columns = sorted({column for row in rows for column in row})
        with db.connect(self.settings) as conn:
            (batch_id,) = conn.execute(
                "insert into ops.batch (source, feed, business_date, store_id, batch_name, state, rows_in, rows_loaded,"
                " manifest) values (%s, %s, %s, %s, 'by hand', 'loaded', %s, %s, %s) returning batch_id",
                (source, feed, day, of_store, len(rows), len(rows), Jsonb({"produced_at": _produced_at(day, rows)})),
            ).fetchone()
            copy = sql.SQL("copy {} (_batch_id, _file_no, _line_no, {}) from stdin").format(
                sql.Identifier("raw", f"{source}__{feed}"), sql.SQL(", ").join(map(sql.Identifier, columns))
            )
            with conn.cursor().copy(copy) as lines:
                for number, row in enumerate(rows, 2):
                    lines.write_row([batch_id, 1, number, *(row.get(column) for column in columns)])
        return int(batch_id)

    def supersede(self, batch_id: int) -> None:
        """A revision took the batch's place, and has none of its rows; `delivered` still does."""
        with db.connect(self.settings) as conn:
            conn.execute(
                "update ops.batch set state = 'superseded', change_no = nextval('ops.batch_change')"
                " where batch_id = %s",
                (batch_id,),
            )

    def land(
        self,
        landing: Path,
        feed: str,
        day: date,
        rows: pd.DataFrame,
        *,
        name: str,
        revision: int = 0,
    ) -> LoadReport:
        """A till's batch of a business date through the real loader, produced on the next day; what became of it."""
        write_batch(
            landing,
            source="pos",
            feed=feed,
            business_date=day,
            name=name,
            revision=revision,
            produced_at=datetime.combine(day + timedelta(days=1), time(12), UTC),
            files=[NewFile(f"{feed}.csv", rows.to_csv(index=False).encode(), len(rows))],
        )
        return load_landed(self.settings, landing)

    def sell(
        self,
        receipt_no: str,
        day: date,
        *,
        store: str = "S1",
        amount: int = 10,
        units: int = 1,
        delivered: date | None = None,
        **named: Any,
    ) -> None:
        """A sale of ``units`` at ``amount`` each; ``named`` says by what the member is named, and other columns of
        the receipt."""
        lines = [{"quantity": units, "unit_price": amount, "net_amount": units * amount}]
        self.ring("sale", receipt_no, day, lines, store=store, delivered=delivered, **named)

    def take_back(
        self,
        receipt_no: str,
        day: date,
        sold: tuple[str, date] | None,
        amount: int = 10,
        *,
        store: str = "S1",
        delivered: date | None = None,
        **named: Any,
    ) -> None:
        """A return of one unit; ``sold``: number and date of the sale that it names; ``named`` as in `sell`."""
        of_sale = {"original_receipt_no": sold[0], "original_business_date": sold[1]} if sold else {}
        lines = [{"quantity": -1, "unit_price": amount, "net_amount": -amount}]
        self.ring("return", receipt_no, day, lines, store=store, delivered=delivered, **(of_sale | named))

    def ring(
        self,
        receipt_type: str,
        receipt_no: str,
        day: date,
        lines: Sequence[Mapping[str, Any]],
        *,
        store: str = "S1",
        delivered: date | None = None,
        **more: Any,
    ) -> None:
        """A receipt of any type with its lines, in a batch of its store; ``more``: other columns of the receipt."""
        key = {
            "store_id": store,
            "register_id": "1",
            "business_date": day,
            "receipt_no": receipt_no,
            "receipt_type": receipt_type,
        }
        net_amount = sum(line["net_amount"] for line in lines)
        receipt = key | {"sold_at": f"{day}T12:00:00", "net_amount": net_amount} | more
        numbered = [key | {"line_no": number, "sku": "shirt"} | dict(line) for number, line in enumerate(lines, 1)]
        self.deliver("pos", "receipts", delivered or day, receipt, of_store=store)
        self.deliver("pos", "receipt_lines", delivered or day, *numbered, of_store=store)

    def publish(self, as_of: date, *, full_refresh: bool = False) -> int:
        """Build, pass and publish a release of what was delivered so far."""
        return publish(self.settings, as_of, full_refresh=full_refresh)

    def read(self, statement: str, release_id: int | None = None) -> list[tuple[Any, ...]]:
        """What a BI reader sees, now or as published in a release."""
        with db.connect(self.settings) as conn:
            db.as_bi_role(conn)
            if release_id is not None:
                conn.execute("select set_config('memberhouse.release', %s, false)", (str(release_id),))
            return conn.execute(statement.encode()).fetchall()

    def frame(self, feed: str, columns: tuple[str, ...] = ()) -> pd.DataFrame:
        """The delivered rows of a feed; ``columns`` are there even without a row."""
        return pd.DataFrame(self.delivered[feed], columns=list(columns) if not self.delivered[feed] else None)

    def content(self) -> dict[str, str]:
        """A fingerprint of each published view."""
        with db.connect(self.settings) as conn:
            return release.content_hash(conn)

    def written_by(self, release_id: int) -> dict[str, int]:
        """How many rows a release opened or closed, by table; tables without any are left out."""
        counts = {}
        with db.connect(self.settings) as conn:
            for (table,) in conn.execute("select table_name from release.versioned_table").fetchall():
                statement = sql.SQL("select count(*) from {} where %s in (_from_release, _to_release)").format(
                    sql.Identifier("history", table)
                )
                (counts[table],) = conn.execute(statement, (release_id,)).fetchone()
        return {table: count for table, count in counts.items() if count}


def _produced_at(day: date, rows: Sequence[Mapping[str, Any]]) -> str:
    """When a batch of these rows can have been produced: after all that it speaks of, but for ends that lie ahead."""
    moments = [
        datetime.fromisoformat(value)
        for row in rows
        for column, value in row.items()
        if column != "valid_to" and isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d", value)
    ]
    said = [moment if moment.tzinfo else moment.replace(tzinfo=UTC) for moment in moments]
    return max([datetime.combine(day, time(22), UTC), *said]).isoformat()


def publish(settings: Settings, as_of: date, *, full_refresh: bool = False) -> int:
    """Build a release, pass it by hand and publish it."""
    release_id = building.build(settings, as_of, full_refresh=full_refresh)
    with db.connect(settings) as conn:
        conn.execute(
            "insert into release.verdict (release_id, group_name, verdict, reason, checks_evaluated,"
            " checks_failed) select distinct %(release_id)s, group_name, 'passed', 'by hand', 1, 0"
            " from release.versioned_table where last_release_id = %(release_id)s",
            {"release_id": release_id},
        )
    release.publish(settings, unpin=True)
    return release_id
