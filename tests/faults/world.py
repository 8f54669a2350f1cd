"""A small real world for the kill campaign: a slice of the sample, through the real project, gate and database.

History is every twentieth card with all its receipts and lines up to 2017-12-30, in a few batches: loaded, built,
judged and published. The step under test is what the next night brings: the last day, one store's receipts of
ten days earlier that come late, rows that must go to quarantine and rows that repeat.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pandas as pd

from memberhouse.landing import NewFile, write_batch

EVE = date(2017, 12, 30)
LAST_DAY = date(2017, 12, 31)
LATE_DAY = date(2017, 12, 20)

# every twentieth: of fewer members the days differ more than the gate believes of a chain
_CARDS = slice(3, None, 20)
_SALES = ("receipts", "receipt_lines")


@dataclass(frozen=True)
class Batch:
    """One file to land as a batch of its own, before its manifest is written."""

    source: str
    feed: str
    business_date: date
    name: str
    content: str
    rows: int
    amount_total: Decimal | None = None
    revision: int = 0

    def land(self, landing: Path) -> None:
        write_batch(
            landing,
            source=self.source,
            feed=self.feed,
            business_date=self.business_date,
            name=self.name,
            produced_at=datetime.combine(self.business_date + timedelta(days=1), datetime.min.time(), UTC)
            + timedelta(hours=6),
            revision=self.revision,
            files=[NewFile(f"{self.feed}.csv.gz", self.content.encode(), self.rows, self.amount_total)],
            durable=False,
        )


@dataclass(frozen=True)
class World:
    """What is landed before, and what the step under test lands.

    wrong_night: the same with a last day of a hundred times the amounts, which the gate holds. corrected_night: what
    is sent when that was noticed.
    """

    history: list[Batch]
    last_night: list[Batch]
    wrong_night: list[Batch]
    corrected_night: list[Batch]


def cut(sample: Path) -> World:
    """The slice of the landed sample, with totals that fit it."""
    enrolments = _read(sample, "pos", "enrolments")
    cards = sorted(enrolments["card_no"].unique(), key=int)[_CARDS]
    enrolments = enrolments[enrolments["card_no"].isin(cards)]
    receipts = _read(sample, "pos", "receipts")
    receipts = receipts[receipts["member_card_no"].isin(cards)]
    lines = _read(sample, "pos", "receipt_lines")
    lines = lines[lines["receipt_no"].isin(receipts["receipt_no"])]
    products = _read(sample, "reference", "products")
    sales = {"receipts": receipts, "receipt_lines": lines}

    of_late_day = receipts[receipts["business_date"] == LATE_DAY.isoformat()]
    late_store = of_late_day["store_id"].mode()[0]
    late = of_late_day.loc[of_late_day["store_id"] == late_store, "receipt_no"]

    history = [
        _batch("reference", "stores", date(2017, 1, 1), _read(sample, "reference", "stores")),
        _batch("reference", "store_closures", date(2017, 1, 1), _read(sample, "reference", "store_closures")),
        _batch("reference", "products", date(2017, 1, 1), products[products["sku"].isin(lines["sku"])]),
        _batch("pos", "enrolments", EVE, enrolments),
    ]
    last_night, wrong_night = [], []
    for feed, rows in sales.items():
        day, is_late = rows["business_date"], rows["receipt_no"].isin(late)
        history.append(_batch("pos", feed, EVE - timedelta(days=1), rows[(day < EVE.isoformat()) & ~is_late]))
        history.append(_batch("pos", feed, EVE, rows[day == EVE.isoformat()]))
        of_last_day = rows[day == LAST_DAY.isoformat()]
        came_late = _batch("pos", feed, LATE_DAY, rows[is_late], name=f"{feed}-late")
        last_night += [_batch("pos", feed, LAST_DAY, _with_bad_rows(of_last_day)), came_late]
        wrong_night += [_batch("pos", feed, LAST_DAY, _times_100(of_last_day)), came_late]
    corrected_night = [replace(batch, revision=1) for batch in last_night if batch.business_date == LAST_DAY]
    return World(history, last_night, wrong_night, corrected_night)


def _times_100(rows: pd.DataFrame) -> pd.DataFrame:
    """Every amount of the day a hundred times too high, and receipts still the sum of their lines."""
    wrong = rows.copy()
    for column in {"unit_price", "gross_amount", "discount_amount", "net_amount"} & set(rows.columns):
        wrong[column] = [str(Decimal(value) * 100) for value in rows[column]]
    return wrong


def _with_bad_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """The day's rows, one of them twice, and a receipt of a store that nobody knows."""
    of_nowhere = rows.tail(1).assign(store_id="9999", receipt_no="of a store that nobody knows")
    return pd.concat([rows, rows.head(1), of_nowhere])


def _read(sample: Path, source: str, feed: str) -> pd.DataFrame:
    """All landed rows of a feed, every cell as its text."""
    paths = sorted((sample / source / feed).glob(f"*/*/*/{feed}.csv.gz"))
    return pd.concat([pd.read_csv(path, dtype=str, keep_default_na=False) for path in paths], ignore_index=True)


def _batch(source: str, feed: str, day: date, rows: pd.DataFrame, name: str | None = None) -> Batch:
    assert len(rows) > 0, f"the slice has no {feed} for {day}"
    money = sum(map(Decimal, rows["net_amount"]), Decimal(0)) if feed in _SALES else None
    return Batch(source, feed, day, name or f"{feed}-{day:%Y%m%d}", rows.to_csv(index=False), len(rows), money)
