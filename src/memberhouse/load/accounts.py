"""The accounts of a batch: where every row and every cent of its files went."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import psycopg
from psycopg import sql

from memberhouse.load import checks
from memberhouse.load.reader import FileReader, Reject
from memberhouse.load.refused import Refused
from memberhouse.sources.contract import Feed


@dataclass(frozen=True)
class Balance:
    """Rows of one file, outcome, store and day, and their money."""

    file_no: int
    outcome: str
    store_id: str | None
    business_date: date | None
    rows: int
    amount: Decimal | None
    rows_without_amount: int


def of_loaded(groups: Iterable[checks.Group]) -> list[Balance]:
    return [
        Balance(group.file_no, "loaded", group.store_id, group.business_date, group.rows, group.amount, 0)
        for group in groups
    ]


def tally(feed: Feed, outcome: str, rejects: Iterable[Reject]) -> list[Balance]:
    groups: dict[tuple[int, str | None, date | None], list[Decimal | None]] = defaultdict(list)
    for reject in rejects:
        groups[reject.file_no, reject.store_id(feed), reject.business_date(feed)].append(reject.amount(feed))
    tallied = []
    for (file_no, store_id, business_date), amounts in groups.items():
        readable = [amount for amount in amounts if amount is not None]
        tallied.append(
            Balance(
                file_no=file_no,
                outcome=outcome,
                store_id=store_id,
                business_date=business_date,
                rows=len(amounts),
                amount=sum(readable, Decimal(0)) if readable else None,
                rows_without_amount=len(amounts) - len(readable) if feed.money else 0,
            )
        )
    return tallied


def refuse_unless_conserved(feed: Feed, reader: FileReader, of_batch: Iterable[Balance]) -> None:
    """What lies in the raw table of a file and what was put aside must be what was read, in rows and in money."""
    balances = [balance for balance in of_batch if balance.file_no == reader.file_no]
    accounted = sum(balance.rows for balance in balances)
    if accounted != reader.rows_in:
        raise Refused(
            "rows_not_conserved",
            f"{reader.entry.name}: {reader.rows_in:,} rows were read, {accounted:,} are accounted for.",
            "This is a bug of the loader: report it with the file.",
        )
    stated = reader.entry.amount_total
    if stated is None or feed.money is None or any(balance.rows_without_amount for balance in balances):
        # nothing stated, or rows whose amount cannot be read: their number is in ops.load_balance
        return
    total = sum((balance.amount or Decimal(0) for balance in balances), Decimal(0))
    if total != stated:
        raise Refused(
            "amount_differs",
            f"{reader.entry.name}: {feed.money} sums to {total:,}, its manifest says {stated:,}.",
            "Ask the sender which is right, and for a batch in which both agree.",
        )


def rebook(
    conn: psycopg.Connection[Any], feed: Feed, batch_id: int, rows: Sequence[dict[str, Any]], of: str, to: str
) -> None:
    """Book rows of the raw table over from one outcome to another, and tell the next build that the batch
    changed."""
    if not rows:
        return
    conn.execute(
        sql.SQL(
            "update ops.batch set {to} = {to} + %(rows)s, {of} = {of} - %(rows)s,"
            " change_no = nextval('ops.batch_change') where batch_id = %(batch_id)s"
        ).format(to=sql.Identifier(f"rows_{to}"), of=sql.Identifier(f"rows_{of}")),
        {"rows": len(rows), "batch_id": batch_id},
    )
    with conn.cursor() as cursor:
        cursor.executemany(
            "insert into ops.load_balance"
            " (batch_id, file_name, outcome, store_id, business_date, rows, amount)"
            " select batch_id, manifest #>> array['files', (%(file_no)s - 1)::text, 'name'], outcome,"
            " %(store_id)s, %(business_date)s, sign, sign * %(amount)s::numeric"
            " from ops.batch, (values (%(of)s, -1), (%(to)s, 1)) as entry (outcome, sign)"
            " where batch_id = %(batch_id)s",
            [
                {
                    "batch_id": batch_id,
                    "of": of,
                    "to": to,
                    "file_no": row["_file_no"],
                    "store_id": row.get(feed.store or ""),
                    "business_date": row.get("business_date"),
                    "amount": row.get(feed.money or ""),
                }
                for row in rows
            ],
        )
