"""A chain's history of any size for B5 to B8: put into ``raw`` by SQL as the loader leaves it, later days as files.

Members enrol, buy each at its own rate, and stop one day without a word; seven sales in ten name a member, three
returns come to a hundred receipts. The draws are hashes (`history.sql`): the same size gives the same rows.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from psycopg import sql
from tests.bench.figures import Progress

from memberhouse import db
from memberhouse.landing import NewFile, write_batch
from memberhouse.load import load_landed
from memberhouse.settings import Settings
from memberhouse.sources.raw_tables import ensure_raw_tables

# In the middle of a week, a month and a quarter: what their first days bring besides is not of a day's work.
LAST_DATE = date(2026, 5, 19)
_DAYS_AT_ONCE = 10
_PRODUCTS = 5_000
_CATEGORIES = 40

# What a later day brings, by feed: from what, which columns of the file.
_FILES = {
    ("pos", "enrolments"): ("bench.enrolment", "card_no, enrolled_at, store_id, channel"),
    ("app", "accounts"): ("bench.account", "account_id, created_at, created_at as updated_at, 'active' as status"),
    ("app", "identity_links"): (
        "(select * from bench.account where card_no is not null) as linked",
        "account_id, card_no, created_at as valid_from, created_at as recorded_at, 'scan' as method",
    ),
    ("pos", "member_status"): ("bench.status", "card_no, status, at"),
    ("pos", "member_assignments"): ("bench.assignment", "card_no, service_store_id, valid_from"),
    ("pos", "receipts"): (
        "bench.receipts(%(day)s, %(day)s + 1)",
        "store_id, register_id, business_date, receipt_no, receipt_type, sold_at, member_card_no, account_id, channel,"
        " original_receipt_no, original_business_date, gross_amount, discount_amount, net_amount",
    ),
    ("pos", "receipt_lines"): (
        "bench.lines(%(day)s, %(day)s + 1)",
        "store_id, '1' as register_id, business_date, receipt_no, receipt_type, line_no, sku, quantity, unit_price,"
        " discount_amount, quantity * unit_price - discount_amount as net_amount",
    ),
}


@dataclass(frozen=True)
class Size:
    """lines: of receipts in the history. days: that it covers. extra_days: that come after it. late_days: so late
    comes a tenth of their sales at most. A member for twenty lines."""

    lines: int
    days: int
    extra_days: int
    late_days: int

    @classmethod
    def of(cls, lines: int, extra_days: int) -> Size:
        """20,000 lines a day; in a small history fewer, so that a tenth of it still has ten days."""
        days = max(100, lines // 20_000)
        return cls(lines, days, extra_days, min(30, days // 10 - 1))

    @property
    def tenth(self) -> Size:
        """A tenth of the lines, days and members: the days that come after it are as large, and as late."""
        return Size(self.lines // 10, self.days // 10, self.extra_days, self.late_days)

    @property
    def members(self) -> int:
        return self.lines // 20

    @property
    def stores(self) -> int:
        return min(200, max(5, self.lines // self.days // 100))

    def __str__(self) -> str:
        return f"{self.lines:,} lines, {self.members:,} members, {self.days:,} days, {self.stores} stores"


def fill(settings: Settings, folder: Path, size: Size, tell: Progress) -> None:
    """Give an empty warehouse a history of this size, up to LAST_DATE, in ``raw``; folder: for landed files."""
    tell(f"a history of {size}")
    with db.connect(settings, autocommit=True) as conn:
        db.ensure_schema(conn)
        ensure_raw_tables(conn)
    _land_reference(folder / "reference", size)
    load_landed(settings, folder / "reference")
    with db.connect(settings, autocommit=True) as conn:
        conn.execute("create schema bench")
        conn.execute(
            "create table bench.size as select %s::date as first_date, %s as days, %s as all_days,"
            " %s::bigint as members, %s::bigint as sales, %s as stores, %s as late_days, %s as products",
            (
                _first_date(size),
                size.days,
                size.days + size.extra_days,
                size.members,
                # 2.5 lines a receipt; returns, which are 3 % of the receipts, have fewer
                int(size.lines / 2.5 * 0.97 * (size.days + size.extra_days) / size.days),
                size.stores,
                size.late_days,
                _PRODUCTS,
            ),
        )
        conn.execute(Path(__file__).with_name("history.sql").read_bytes())
        indexes = conn.execute(
            "select indexname from pg_indexes where schemaname = 'raw' and tablename = 'pos__receipts'"
            " and indexname like '%%\\_\\_by\\_%%'"
        ).fetchall()
        # cheaper to make on rows that are there
        for (name,) in indexes:
            conn.execute(sql.SQL("drop index {}").format(sql.Identifier("raw", name)))
        for day in range(0, size.days, _DAYS_AT_ONCE):
            conn.execute("call bench.deliver(%s, %s)", (day, min(day + _DAYS_AT_ONCE, size.days)))
        ensure_raw_tables(conn)
        for source, feed in _FILES:
            table = sql.Identifier("raw", f"{source}__{feed}")
            conn.execute(
                sql.SQL(
                    "update ops.batch set rows_in = fed.rows, rows_loaded = fed.rows"
                    " from (select _batch_id, count(*) as rows from {} group by _batch_id) as fed"
                    " where batch.batch_id = fed._batch_id"
                ).format(table)
            )
            conn.execute(sql.SQL("vacuum (freeze, analyze) {}").format(table))
        conn.execute("vacuum (analyze) ops.batch")


def land_day(settings: Settings, root: Path, size: Size, number: int) -> date:
    """Land what comes on the `number`-th day after the history (from 0) as files, and return its date."""
    day = _first_date(size) + timedelta(days=size.days + number)
    with db.connect(settings) as conn:
        for (source, feed), (relation, columns) in _FILES.items():
            where = "" if "%(day)s" in relation else "where day = %(day)s"
            cursor = conn.execute(f"select {columns} from {relation} {where}".encode(), {"day": size.days + number})
            rows = cursor.fetchall()
            text = io.StringIO()
            writer = csv.writer(text, lineterminator="\n")
            writer.writerow(column.name for column in cursor.description or ())
            writer.writerows(rows)
            _land(root, source, feed, day, text.getvalue(), len(rows))
    return day


def _first_date(size: Size) -> date:
    return LAST_DATE - timedelta(days=size.days - 1)


def _land_reference(root: Path, size: Size) -> None:
    day = _first_date(size)
    stores = "".join(f"S{number:03d},region {number % 5},Asia/Shanghai,00:00\n" for number in range(size.stores))
    _land(root, "reference", "stores", day, f"store_id,region,timezone,day_cutoff\n{stores}", size.stores)
    products = "".join(
        f"{1_000_000 + number},product {number},category {number % _CATEGORIES}\n" for number in range(_PRODUCTS)
    )
    _land(root, "reference", "products", day, f"sku,name,category\n{products}", _PRODUCTS)


def _land(root: Path, source: str, feed: str, day: date, text: str, rows: int) -> None:
    write_batch(
        root,
        source=source,
        feed=feed,
        business_date=day,
        name=feed,
        files=[NewFile(f"{feed}.csv", text.encode(), rows)],
        produced_at=datetime.combine(day + timedelta(days=1), datetime.min.time(), UTC) + timedelta(hours=2),
    )
