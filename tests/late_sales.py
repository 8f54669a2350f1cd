"""A sale of the sample's chain that comes in days or weeks late."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd

from memberhouse import db
from memberhouse.landing import NewFile, write_batch
from memberhouse.settings import Settings


def land_late_sale(landing: Path, settings: Settings, day: date, amount: Decimal) -> None:
    """Land one sale of one unit to nobody in particular, at a store and of a product that sold that day."""
    with db.connect(settings) as conn:
        store_id, sku = conn.execute(
            "select store_id, sku from bi.fct_receipt_line where business_date = %s order by 1, 2 limit 1", (day,)
        ).fetchone()
    key: dict[str, Any] = {
        "store_id": store_id,
        "register_id": "late",
        "business_date": day,
        "receipt_no": "late",
        "receipt_type": "sale",
    }
    receipt = {**key, "sold_at": f"{day}T12:00:00", "gross_amount": amount, "net_amount": amount}
    line = {**key, "line_no": 1, "sku": sku, "quantity": 1, "unit_price": amount, "net_amount": amount}
    land(landing, "receipts", day, "late", pd.DataFrame([receipt]))
    land(landing, "receipt_lines", day, "late", pd.DataFrame([line]))


def land(landing: Path, feed: str, day: date, name: str, rows: pd.DataFrame) -> Path:
    """Land rows as a batch of the whole chain, produced after the sample's last day."""
    return write_batch(
        landing,
        source="pos",
        feed=feed,
        business_date=day,
        name=name,
        produced_at=datetime(2018, 1, 1, 6, tzinfo=UTC),
        files=[NewFile(f"{feed}.csv.gz", rows.to_csv(index=False).encode(), rows=len(rows))],
    )
