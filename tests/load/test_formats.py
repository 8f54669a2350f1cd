"""Other ways to write the same: Parquet, numbers of another locale, times that were on the clock twice."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet
from tests.conservation import assert_conserved

pytestmark = pytest.mark.services

HEADER = "store_id,register_id,business_date,receipt_no,receipt_type,line_no,sku,quantity,net_amount"


def as_parquet(table: pa.Table) -> bytes:
    out = io.BytesIO()
    parquet.write_table(table, out)
    return out.getvalue()


def line_table(receipts: int = 40, **other: Any) -> pa.Table:
    columns = {
        "store_id": ["S1"] * receipts,
        "register_id": ["1"] * receipts,
        "business_date": [date(2026, 3, 2)] * receipts,
        "receipt_no": [f"R{n}" for n in range(receipts)],
        "receipt_type": ["sale"] * receipts,
        "line_no": pa.array([1] * receipts, pa.int32()),
        "sku": ['A,"1"'] * receipts,
        "quantity": [1.5] * receipts,
        "is_merchandise": [True] * receipts,
        "staff_id": pa.array([None] * receipts, pa.string()),
        "net_amount": pa.array([Decimal("10.00")] * receipts, pa.decimal128(14, 2)),
    }
    return pa.table(columns | other)


def test_parquet_is_loaded_like_the_csv_that_says_the_same(till: Any) -> None:
    till.drop(as_parquet(line_table()), file="receipt_lines.parquet", rows=40, amount_total="400.00")
    assert till.load().rows_loaded == 2 + 40
    assert till.query(
        "select distinct business_date, sku, quantity, is_merchandise, staff_id, net_amount from raw.pos__receipt_lines"
    ) == [(date(2026, 3, 2), 'A,"1"', Decimal("1.5"), True, None, Decimal("10.00"))]
    assert till.query("select min(_line_no), max(_line_no) from raw.pos__receipt_lines") == [(2, 41)]
    assert_conserved(till.warehouse)


def test_a_bad_row_of_a_parquet_file_is_named_by_its_place(till: Any) -> None:
    amounts = [10.0] * 39 + [float("nan")]
    till.drop(as_parquet(line_table(net_amount=amounts)), file="receipt_lines.parquet", rows=40)
    till.load()
    assert [(row[0], row[1], row[2]) for row in till.rejected()] == [(41, "wrong_type", "net_amount")]


def test_times_of_parquet(till: Any) -> None:
    at = pa.array([datetime(2026, 3, 2, 12, 0, tzinfo=UTC)], pa.timestamp("ns", "UTC"))
    table = pa.table({"card_no": ["M1"], "status": ["closed"], "at": at})
    till.drop(as_parquet(table), feed="member_status", file="member_status.parquet", rows=1)
    till.load()
    assert till.query("select at::timestamptz from raw.pos__member_status") == [(datetime(2026, 3, 2, 12, tzinfo=UTC),)]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"PAR1 and nothing more", "can't be read as Parquet"),
        (as_parquet(line_table())[:-200], "can't be read as Parquet"),
        (as_parquet(line_table(sku=[["A1"]] * 40)), "can't be read as Parquet"),
    ],
    ids=["no parquet", "cut short", "nested"],
)
def test_a_broken_parquet_file_is_refused(till: Any, content: bytes, told: str) -> None:
    till.drop(content, file="receipt_lines.parquet", rows=40)
    (refused,) = till.load().refused
    assert refused.code == "damaged_parquet"
    assert told in refused.reason


@pytest.mark.parametrize(
    ("number_format", "good", "bad"),
    [
        ("1234.50", ["1234.50", "-0.5"], ["1,234.50", "1.234,50", "12,50"]),
        ("1,234.50", ["1,234.50", "1234.50", "12", "-1,234,567.5"], ["1.234,50", "12,50", "1,23", "1,2345"]),
        ("1.234,50", ["1.234,50", "1234,50", "12", "-1.234.567,5"], ["1,234.50", "12.50", "1.23", "1.2345"]),
    ],
)
def test_numbers_are_read_as_the_manifest_says_and_otherwise_not_at_all(
    till: Any, number_format: str, good: list[str], bad: list[str]
) -> None:
    plain = [f"S1,1,2026-03-02,R{n},sale,1,A1,1,10" for n in range(100)]
    plain += [f'S1,1,2026-03-02,G{n},sale,1,A1,1,"{value}"' for n, value in enumerate(good)]
    plain += [f'S1,1,2026-03-02,B{n},sale,1,A1,1,"{value}"' for n, value in enumerate(bad)]
    till.drop("\n".join([HEADER, *plain, ""]), number_format=number_format)
    till.load()
    canonical = [
        Decimal(value.replace(".", "").replace(",", ".") if number_format == "1.234,50" else value.replace(",", ""))
        for value in good
    ]
    assert till.query(
        "select net_amount from raw.pos__receipt_lines where receipt_no like 'G%' order by receipt_no"
    ) == [(value,) for value in canonical]
    assert [(row[0], row[1]) for row in till.rejected()] == [
        (102 + len(good) + n, "wrong_type") for n in range(len(bad))
    ]
    assert all(value in row[3] for row, value in zip(till.rejected(), bad, strict=True))
    assert_conserved(till.warehouse)


@pytest.mark.parametrize(
    ("sold_at", "code"),
    [
        ("2026-11-01T00:59:59", None),
        ("2026-11-01T01:00:00", "ambiguous_time"),
        ("2026-11-01T01:59:59", "ambiguous_time"),
        ("2026-11-01T01:30:00-04:00", None),
        ("2026-11-01T01:30:00-05:00", None),
        ("2026-11-01T02:00:00", None),
        # not on the clock at all: it counts as an hour later, and no row is lost
        ("2026-03-08T02:30:00", None),
    ],
)
def test_a_time_that_was_twice_is_quarantined_unless_it_says_which(till: Any, sold_at: str, code: str | None) -> None:
    day = date.fromisoformat(sold_at[:10])
    till.drop_stores("NY", day=date(2026, 1, 2), zone="America/New_York")
    rows = [f"NY,1,{day},R{n},sale,{day}T12:00:00Z,10.00" for n in range(30)]
    rows.append(f"NY,1,{day},R99,sale,{sold_at},10.00")
    till.drop(
        "\n".join(["store_id,register_id,business_date,receipt_no,receipt_type,sold_at,net_amount", *rows, ""]),
        feed="receipts",
        day=day,
    )
    till.load()
    assert [row[1] for row in till.rejected()] == ([code] if code else [])


def test_json_over_several_lines_of_a_csv_file_moves_no_line_number(till: Any) -> None:
    pretty = '"{\n  ""sku"": ""K1"",\n  ""seconds"": 3\n}"'
    rows = "".join(f"E{n},view,2026-03-02T08:00:00Z,{pretty}\n" for n in range(40))
    bad = f"E99,view,soon,{pretty}\n"
    till.drop(
        "event_id,name,at,properties\n" + rows + bad + "E100,view,2026-03-02T08:00:00Z,\n",
        source="app",
        feed="events",
        rows=42,
    )
    assert till.load().rows_quarantined == 1
    ((line_no, code, column, _, raw_text),) = till.rejected()
    assert (line_no, code, column) == (2 + 40 * 4, "wrong_type", "at")
    assert raw_text.startswith("E99,view,soon,")


def test_the_amount_of_a_row_whose_fields_are_not_under_their_names_is_unknown(till: Any, sound_lines: Any) -> None:
    ragged = "S1,1,2026-03-02,R900,sale,1,A1,red,1,100.00\n"
    till.drop(sound_lines(99) + ragged)
    assert till.load().rows_quarantined == 1
    assert till.query("select amount, rows_without_amount from ops.load_balance where outcome = 'quarantined'") == [
        (None, 1)
    ]


def test_a_number_that_is_not_written_as_declared_has_no_amount(till: Any, sound_lines: Any) -> None:
    till.drop(sound_lines(99) + 'S1,1,2026-03-02,R900,sale,1,A1,1,"12,50"\n', number_format="1,234.50")
    assert till.load().rows_quarantined == 1
    assert till.query("select amount, rows_without_amount from ops.load_balance where outcome = 'quarantined'") == [
        (None, 1)
    ]


def test_a_revision_beyond_the_largest_number_is_a_bad_manifest_and_stops_nothing(till: Any, sound_lines: Any) -> None:
    till.drop(sound_lines(), revision=20260302123000, name="huge")
    till.drop(sound_lines(first=500), name="other")
    report = till.load()
    assert [result.code for result in report.refused] == ["bad_manifest"]
    assert len(till.active_lines()) == 100
