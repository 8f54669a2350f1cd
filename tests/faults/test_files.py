"""Bad files, one by one: what becomes of each, and what a data engineer is told about it at night."""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from tests.conservation import assert_conserved
from tests.load.conftest import DAY, LINE_HEADER, Till, empty, line, lines, loading_database, rewrite_manifest

from memberhouse import db
from memberhouse.load import BatchResult
from memberhouse.settings import Settings

pytestmark = pytest.mark.services

FILE = "receipt_lines.csv.gz"
HEADER_LISTED = LINE_HEADER.replace(",", ", ")
AGAIN = "Ask the sender for the file again."
ANEW = "Ask the sender to make the file anew: sent again, it would be as broken."
EMPTY = "Ask the sender for the file again; a store that sold nothing sends a header and no rows."
WHICH_IS_RIGHT = "Ask the sender which is right, and for a batch in which both agree."
BAD_ROWS = "Correct the cause at the sender."
AS_SENT = "It was sent so: it has its manifest's SHA-256."
ON_ITS_WAY = "It was changed on its way."


@dataclass(frozen=True)
class Fault:
    """A bad file and what it gets.

    land: drops it as the batch "bad". code: of the refusal or the quarantined row. told: the exact words,
    numbers of batches as N. next_action: what a refusal says to do, before it names the runbook's heading.
    line: of the first quarantined row. rows: how many of the batch are loaded; skus: of these rows.
    """

    land: Callable[[Till], Any]
    outcome: Literal["accepted", "no-op", "refused", "quarantined"]
    code: str = ""
    told: str = ""
    next_action: str = ""
    line: int = 0
    rows: int = 0
    skus: frozenset[str] = frozenset({"A1"})


# ---------------------------------------------------------------- how the faults come about


def dropped(content: str | bytes, **how: Any) -> Callable[[Till], Any]:
    return lambda till: till.drop(content, name="bad", **how)


def delivered(first: dict[str, Any], then: dict[str, Any]) -> Callable[[Till], Any]:
    """Two batches, the first loaded before the other comes."""

    def land(till: Till) -> None:
        till.drop(**first)
        till.load()
        till.drop(**then)

    return land


def changed_at_the_sender(change: Callable[[bytes], bytes]) -> Callable[[Till], Any]:
    """The file was bad when its manifest was written: size and checksum agree with it."""

    def land(till: Till) -> None:
        folder = till.drop(lines(2_000), name="bad")
        stored = change((folder / FILE).read_bytes())
        (folder / FILE).write_bytes(stored)
        rewrite_manifest(folder, {"bytes": len(stored), "sha256": hashlib.sha256(stored).hexdigest()})

    return land


def changed_on_its_way(change: Callable[[bytes], bytes]) -> Callable[[Till], Any]:
    """The manifest tells of the file as it was before."""

    def land(till: Till) -> None:
        path = till.drop(lines(2_000), name="bad") / FILE
        path.write_bytes(change(path.read_bytes()))

    return land


def flip(place: float) -> Callable[[bytes], bytes]:
    """Flip a bit at this share of the file's length."""

    def change(stored: bytes) -> bytes:
        changed = bytearray(stored)
        changed[int(len(stored) * place)] ^= 0x01
        return bytes(changed)

    return change


def two_members(stored: bytes) -> bytes:
    content = gzip.decompress(stored)
    half = len(content) // 2
    return gzip.compress(content[:half]) + gzip.compress(content[half:])


def manifest_says(**what: Any) -> Callable[[Till], Any]:
    """A sound file of 100 rows and 1,000.00 under a manifest that says something else of it."""
    return lambda till: rewrite_manifest(till.drop(lines(100), name="bad", amount_total="1000.00"), what)


def one_row(**other: Any) -> Callable[[Till], Any]:
    """A hundred rows; the last but one, on line 100, has another value."""
    return dropped(lines(98, line(500, **other) + line(501)))


def last_receipt(sold_at: str) -> Callable[[Till], Any]:
    """Fifty receipts of a batch that was produced on 3 March at 08:00 by the store's clock."""
    header = "store_id,register_id,business_date,receipt_no,receipt_type,sold_at,net_amount"
    times = [f"{DAY}T12:00:00"] * 49 + [sold_at]
    rows = [f"S1,1,{DAY},R{number},sale,{time},10.00" for number, time in enumerate(times)]
    return dropped("\n".join([header, *rows, ""]), feed="receipts")


def reversed_columns(content: str) -> str:
    return "".join(",".join(reversed(row.split(","))) + "\n" for row in content.splitlines())


def with_column(content: str, name: str, value: str) -> str:
    header, *rows = content.splitlines()
    return "\n".join([f"{header},{name}", *(f"{row},{value}" for row in rows), ""])


COAT = "黑色上衣"

# ---------------------------------------------------------------- the table

FAULTS = {
    "the_same_file_twice": Fault(
        delivered({"content": lines(10), "name": "bad"}, {"content": lines(10), "name": "bad"}), "no-op", rows=10
    ),
    "the_same_name_with_other_content": Fault(
        delivered({"content": lines(10), "name": "bad"}, {"content": lines(11), "name": "bad"}),
        "refused",
        "changed_without_revision",
        "A batch of this name was loaded with other content as revision 0 (batch N); this one is revision 0.",
        "Send changed content with a higher revision in the manifest.",
        rows=10,
    ),
    "the_same_content_under_another_name": Fault(
        delivered({"content": lines(10), "name": "first"}, {"content": lines(10), "name": "bad"}),
        "no-op",
        told="the same content as the batch first (batch N)",
    ),
    "gzip_cut_short_on_its_way": Fault(
        changed_on_its_way(lambda stored: stored[:-100]),
        "refused",
        "size_differs",
        f"{FILE} has 4,976 bytes, its manifest says 5,076.",
        "Ask the sender for the file again: it was cut or changed on its way.",
    ),
    "gzip_cut_short_at_the_sender": Fault(
        changed_at_the_sender(lambda stored: stored[:-100]),
        "refused",
        "truncated_gzip",
        f"{FILE} ends before its gzip stream does: it is cut short. {AS_SENT}",
        ANEW,
    ),
    "gzip_with_a_bit_flipped_on_its_way": Fault(
        changed_on_its_way(flip(0.5)),
        "refused",
        "damaged_gzip",
        f"{FILE} is damaged (incorrect data check). {ON_ITS_WAY}",
        AGAIN,
    ),
    "gzip_with_a_bit_flipped_at_the_sender": Fault(
        changed_at_the_sender(flip(0.5)),
        "refused",
        "damaged_gzip",
        f"{FILE} is damaged (incorrect data check). {AS_SENT}",
        ANEW,
    ),
    "a_bit_flipped_that_gzip_does_not_mind": Fault(
        changed_on_its_way(flip(0.001)),
        "refused",
        "checksum_differs",
        f"{FILE} does not have the SHA-256 of its manifest.",
        "Ask the sender for the file again: it was changed on its way.",
    ),
    # every row comes out of it before the end is missed: the refusal takes them back
    "gzip_without_its_trailer": Fault(
        changed_at_the_sender(lambda stored: stored[:-8]),
        "refused",
        "truncated_gzip",
        f"{FILE} ends before its gzip stream does: it is cut short. {AS_SENT}",
        ANEW,
    ),
    "gzip_of_two_members": Fault(changed_at_the_sender(two_members), "accepted", rows=2_000),
    "gzip_with_something_behind_it": Fault(
        changed_at_the_sender(lambda stored: stored + b"<html>"),
        "refused",
        "trailing_garbage",
        f"{FILE} has something that is not gzip after its end. {AS_SENT}",
        ANEW,
    ),
    # the last row still has all its fields, and an amount of 1 instead of 10.00
    "last_line_cut_inside_a_number": Fault(
        dropped(lines(100)[:-5], rows=100, amount_total="1000.00"),
        "refused",
        "amount_differs",
        f"{FILE}: net_amount sums to 991.00, its manifest says 1,000.00.",
        WHICH_IS_RIGHT,
    ),
    "fewer_rows_than_the_manifest_says": Fault(
        manifest_says(rows=101),
        "refused",
        "row_count_differs",
        f"{FILE} has 100 rows, its manifest says 101.",
        WHICH_IS_RIGHT,
    ),
    "other_money_than_the_manifest_says": Fault(
        manifest_says(amount_total="1000.01"),
        "refused",
        "amount_differs",
        f"{FILE}: net_amount sums to 1,000.00, its manifest says 1,000.01.",
        WHICH_IS_RIGHT,
    ),
    "zero_bytes": Fault(
        dropped(b"", file="receipt_lines.csv"), "refused", "empty_file", "receipt_lines.csv has zero bytes.", EMPTY
    ),
    "zero_bytes_gzipped": Fault(
        dropped(b""), "refused", "empty_file", f"{FILE} holds nothing, not even a header.", EMPTY
    ),
    "header_only_of_a_closed_store": Fault(dropped(lines(0), amount_total="0"), "accepted"),
    "byte_order_mark": Fault(dropped(b"\xef\xbb\xbf" + lines(10).encode()), "accepted", rows=10),
    "declared_gb18030": Fault(
        dropped(lines(9, line(500, sku=COAT)).encode("gb18030"), encoding="gb18030"),
        "accepted",
        rows=10,
        skus=frozenset({"A1", COAT}),
    ),
    "undeclared_gbk": Fault(
        dropped(lines(10, "".join(line(number, sku=COAT) for number in range(20, 30))).encode("gbk")),
        "refused",
        "too_many_bad_rows",
        f"{FILE}: at least 10 of 20 rows are bad, more than the allowed 5%. Most common: 10 × the row is not utf-8;"
        f" it may be GB18030: then the manifest must say so ({FILE}, line 12).",
        BAD_ROWS,
    ),
    "undeclared_gbk_in_the_header": Fault(
        dropped(with_column(lines(10), "备注", "x").encode("gbk")),
        "refused",
        "wrong_encoding",
        f"{FILE}, line 1: the header is not utf-8. It can be read as GB18030: then the manifest must say so.",
        "Declare the file's encoding in its manifest, or send UTF-8.",
    ),
    "mixed_encodings": Fault(
        dropped(lines(98).encode() + line(500, sku=COAT).encode("gbk") + line(501, sku=COAT).encode()),
        "quarantined",
        "wrong_encoding",
        "the row is not utf-8; it may be GB18030: then the manifest must say so",
        line=100,
        rows=99,
        skus=frozenset({"A1", COAT}),
    ),
    "nul_byte": Fault(one_row(sku="A\0001"), "quarantined", "nul_byte", "sku has a NUL byte", line=100, rows=99),
    "columns_in_another_order": Fault(dropped(reversed_columns(lines(10))), "accepted", rows=10),
    "required_column_renamed": Fault(
        dropped(lines(10).replace("net_amount", "NetAmt")),
        "refused",
        "missing_column",
        f"{FILE}, line 1: required column missing: net_amount (is it the column 'NetAmt'?). The header is:"
        f" {HEADER_LISTED.replace('net_amount', 'NetAmt')}.",
        "Send the file with the column under its contract name (docs/sources.md).",
    ),
    "extra_column": Fault(
        dropped(with_column(lines(10), "Shoe Size", "38")),
        "accepted",
        told="column 'Shoe Size' is not in the contract; kept",
        rows=10,
    ),
    "a_column_twice_in_the_header": Fault(
        dropped(lines(10).replace("quantity", "sku")),
        "refused",
        "duplicate_header",
        f"{FILE}, line 1: the header has sku more than once.",
        "Send the file with each column once.",
    ),
    "too_few_fields": Fault(
        dropped(lines(98, f"S1,1,{DAY},R500,sale\n" + line(501))),
        "quarantined",
        "ragged_row",
        "the row has 5 fields, the header 9",
        line=100,
        rows=99,
    ),
    "too_many_fields": Fault(
        one_row(sku="A1,red"),
        "quarantined",
        "ragged_row",
        "the row has 10 fields, the header 9; a comma inside a value needs quotes",
        line=100,
        rows=99,
    ),
    "unclosed_quote": Fault(
        dropped(lines(50, line(500, sku='"A1') + line(501, sku='"A2"'))),
        "refused",
        "unclosed_quote",
        f"{FILE}, line 52, character 29: a quote is opened and never closed, or a record has more than 16 MB.",
        "Ask the sender for the file again; a quote inside a field must be doubled.",
    ),
    "newline_inside_quotes": Fault(
        dropped(lines(9, line(500, sku='"A\n1"')), rows=10), "accepted", rows=10, skus=frozenset({"A1", "A\n1"})
    ),
    "field_of_ten_megabytes": Fault(
        one_row(sku="A" * 10_000_000),
        "quarantined",
        "oversized_field",
        "sku has 10,000,000 characters, at most 131,072 are read",
        line=100,
        rows=99,
    ),
    "not_a_number": Fault(
        one_row(net_amount="NaN"),
        "quarantined",
        "wrong_type",
        "net_amount is 'NaN', which is no money (such as 1234.50)",
        line=100,
        rows=99,
    ),
    "infinity": Fault(
        one_row(net_amount="Infinity"),
        "quarantined",
        "wrong_type",
        "net_amount is 'Infinity', which is no money (such as 1234.50)",
        line=100,
        rows=99,
    ),
    "negative_quantity_in_a_sale": Fault(
        one_row(quantity="-1"),
        "quarantined",
        "negative_in_sale",
        "a sale has a negative quantity; what comes back is a return or an exchange",
        line=100,
        rows=99,
    ),
    "negative_quantity_in_a_return": Fault(
        one_row(receipt_type="return", quantity="-1", net_amount="-10.00"), "accepted", rows=100
    ),
    "ten_minutes_after_the_batch_was_produced": Fault(last_receipt("2026-03-03T08:10:00"), "accepted", rows=50),
    "later_after_the_batch_was_produced": Fault(
        last_receipt("2026-03-03T08:10:01"),
        "quarantined",
        "after_production",
        "sold_at is 2026-03-03T08:10:01: more than 10 minutes after the batch was produced",
        line=51,
        rows=49,
    ),
    "as_many_bad_rows_as_allowed": Fault(
        dropped(lines(95, "".join(line(500 + number, sku="") for number in range(5)))),
        "quarantined",
        "missing_value",
        "sku is empty",
        line=97,
        rows=95,
    ),
    "more_bad_rows_than_allowed": Fault(
        dropped(lines(94, "".join(line(500 + number, sku="") for number in range(6)))),
        "refused",
        "too_many_bad_rows",
        f"6 of 100 rows are bad, more than the allowed 5%. Most common: 6 × sku is empty ({FILE}, line 96).",
        BAD_ROWS,
    ),
}


@pytest.fixture(scope="module")
def _database(server_home: Path) -> Settings:
    return loading_database(server_home, "file_faults")


@pytest.fixture
def till(tmp_path: Path, _database: Settings) -> Till:
    """A till of a chain with the stores S1 and S2, and a good batch of the day after that waits."""
    till = Till(tmp_path / "landing", empty(_database))
    till.drop_stores("S1", "S2")
    till.drop(lines(3).replace(str(DAY), "2026-03-03"), day=DAY.replace(day=3), name="good")
    return till


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_bad_file_gets_what_is_due_to_it_and_the_good_one_beside_it_is_loaded(till: Till, fault: Fault) -> None:
    fault.land(till)
    report = till.load()

    assert _rows_in_raw(till, "good") == 3
    assert _rows_in_raw(till, "bad") == fault.rows
    assert {sku for _, _, sku, _ in till.active_lines()} == fault.skus
    assert_conserved(till.warehouse)
    alerts = till.query("select message, next_action from ops.alert")
    if fault.outcome == "refused":
        (refused,) = report.refused
        next_action = f"{fault.next_action} See docs/runbook.md, “Batch refused”."
        assert (refused.code, _numberless(refused.reason), refused.next_action) == (
            fault.code,
            fault.told,
            next_action,
        )
        ((message, alerted_action),) = alerts
        assert _numberless(message) == f"Refused {refused.batch}, nothing of it was loaded: {fault.told}"
        assert alerted_action == next_action
        assert fault.told in _numberless(report.summary())
    else:
        assert report.refused == []
        assert alerts == []
    quarantined = [(code, reason) for _, code, _, reason, _ in till.rejected()]
    if fault.outcome == "quarantined":
        assert set(quarantined) == {(fault.code, fault.told)}
        assert "“Rows quarantined”" in report.summary()
        assert min(line_no for line_no, *_ in till.rejected()) == fault.line
    else:
        assert quarantined == []
    if fault.outcome == "accepted":
        (taken,) = _of_bad(report.loaded)
        assert taken.remarks == ((fault.told,) if fault.told else ())
        assert fault.told in report.summary()
    if fault.outcome == "no-op":
        assert _of_bad(report.loaded) == []
        assert [_numberless(twin.reason) for twin in report.duplicates] == ([fault.told] if fault.told else [])
        assert fault.told in _numberless(report.summary())

    before = _everything(till)
    again = till.load()
    assert (again.loaded, again.duplicates, again.refused) == ([], [], [])
    assert _everything(till) == before


def _of_bad(results: list[BatchResult]) -> list[BatchResult]:
    return [result for result in results if result.batch.endswith("/bad")]


def _numberless(text: str | None) -> str:
    return re.sub(r"\(batch \d+\)", "(batch N)", text or "")


def _rows_in_raw(till: Till, batch_name: str) -> int:
    ((count,),) = till.query(
        "select (select count(*) from raw.pos__receipt_lines where _batch_id = any(ids))"
        " + (select count(*) from raw.pos__receipts where _batch_id = any(ids))"
        f" from (select array_agg(batch_id) as ids from ops.batch where batch_name = '{batch_name}') as batches"
    )
    return int(count or 0)


def _everything(till: Till) -> list[Any]:
    with db.connect(till.warehouse) as conn:
        return [
            conn.execute(f"select * from {table} order by 1, 2, 3".encode()).fetchall()
            for table in (
                "ops.batch",
                "ops.load_balance",
                "ops.alert",
                "quarantine.rejected_row",
                "raw.pos__receipt_lines",
            )
        ]
