"""The real sample's last day, landed with a fault that only a look at the numbers can find."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest
from tests.conftest import LAST_DAY

from memberhouse.landing import NewFile, write_batch

Tamper = Callable[[str, pd.DataFrame], pd.DataFrame]


class LastDay:
    """Lands the sample's last day: as it was, or tampered with, under a manifest that fits."""

    def __init__(self, landing: Path, sample: Path) -> None:
        self.landing = landing
        self._sample = sample

    def land(self, tamper: Tamper | None = None, revision: int = 0) -> None:
        for source, feed in (("pos", "receipts"), ("pos", "receipt_lines")):
            rows = self.rows(feed)
            if tamper:
                rows = tamper(feed, rows)
            write_batch(
                self.landing,
                source=source,
                feed=feed,
                business_date=LAST_DAY,
                name=f"{feed}-r{revision}",
                revision=revision,
                produced_at=datetime(2018, 1, 1, 6, tzinfo=UTC),
                files=[
                    NewFile(
                        name=f"{feed}.csv.gz",
                        content=rows.to_csv(index=False).encode(),
                        rows=len(rows),
                        amount_total=sum(map(Decimal, rows["net_amount"]), Decimal(0)),
                    )
                ],
            )

    def rows(self, feed: str) -> pd.DataFrame:
        """The feed's rows of that day, every cell as its text."""
        (path,) = (self._sample / "pos" / feed / LAST_DAY.isoformat()).glob(f"all/*/{feed}.csv.gz")
        return pd.read_csv(path, dtype=str, keep_default_na=False)

    def store_by_sales(self, largest: bool) -> str:
        sales = self.rows("receipts").assign(amount=lambda rows: rows["net_amount"].map(Decimal))
        by_store = sales.groupby("store_id")["amount"].sum().sort_values()
        by_store = by_store[by_store > 0]
        return str(by_store.index[-1 if largest else 0])


def times_100(rows: pd.DataFrame, store_id: str, columns: list[str]) -> pd.DataFrame:
    """The store's values of these columns multiplied by 100."""
    tampered = rows.copy()
    hit = tampered["store_id"] == store_id
    for column in columns:
        tampered.loc[hit, column] = [str(Decimal(value) * 100) for value in rows.loc[hit, column]]
    assert hit.any()
    return tampered


@pytest.fixture
def last_day(tmp_path: Path, sample_landing: Path) -> LastDay:
    shutil.rmtree(tmp_path / "landing", ignore_errors=True)
    (tmp_path / "landing").mkdir()
    return LastDay(tmp_path / "landing", sample_landing)


__all__ = ["LastDay", "last_day", "times_100"]
