"""Files to COPY lines: nothing lost, nothing invented, whatever the quoting and the block size."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import tempfile
from datetime import UTC, date, datetime
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memberhouse.landing import FileEntry, Manifest
from memberhouse.load import reader as reader_module
from memberhouse.load.reader import FileReader, Located
from memberhouse.load.refused import Refused
from memberhouse.sources.feeds import FEEDS
from memberhouse.vault import Tokens, Values

LINES = FEEDS["pos", "receipt_lines"]
HEADER = [column.name for column in LINES.columns if column.required]
PLAIN = ["S1", "1", "2026-03-02", "R1", "sale", "1", "A1", "1", "10.00"]


def reader_of(folder: Path, content: bytes, name: str = "receipt_lines.csv", encoding: str = "utf-8") -> FileReader:
    (folder / name).write_bytes(content)
    entry = FileEntry(name=name, sha256=hashlib.sha256(content).hexdigest(), bytes=len(content), rows=0)
    manifest = Manifest(
        source="pos",
        feed="receipt_lines",
        store_id="all",
        business_date=date(2026, 3, 2),
        produced_at=datetime(2026, 3, 3, tzinfo=UTC),
        encoding=encoding,
        files=(entry,),
    )
    reader = FileReader(folder, entry, 1, manifest, LINES, Values(Tokens(b"a key for tests only", 1)))
    reader.open()
    return reader


def copied(reader: FileReader) -> list[list[str]]:
    text = b"".join(reader.copy_lines(7)).decode()
    return list(csv.reader(io.StringIO(text, newline="")))[1:]


def csv_bytes(rows: list[list[str]], **how: object) -> bytes:
    out = io.StringIO()
    csv.writer(out, **how).writerows(rows)
    return out.getvalue().encode()


fields = st.text(st.characters(codec="utf-8", exclude_characters="\0") | st.sampled_from(',"\n\r é中'), max_size=8)
tables = st.lists(st.lists(fields, min_size=len(HEADER), max_size=len(HEADER)), max_size=30)


@given(
    tables,
    st.sampled_from(
        [
            (csv.QUOTE_MINIMAL, "\n"),
            (csv.QUOTE_MINIMAL, "\r\n"),
            (csv.QUOTE_ALL, "\n"),
            (csv.QUOTE_ALL, "\r\n"),
        ]
    ),
    st.integers(min_value=1, max_value=200),
)
def test_every_field_arrives_as_it_was_written(rows: list[list[str]], style: tuple[int, str], block: int) -> None:
    quoting, newline = style
    if style == (csv.QUOTE_MINIMAL, "\n"):
        # this writer does not quote a lone carriage return, which is then no CSV any more
        rows = [[value.replace("\r", "") for value in row] for row in rows]
    content = csv_bytes([HEADER, *rows], quoting=quoting, lineterminator=newline)
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(reader_module, "_BLOCK", block),
        mock.patch.object(reader_module, "_PIECE", block),
    ):
        reader = reader_of(Path(folder), content)
        arrived = copied(reader)
    assert [row[3:] for row in arrived] == rows
    assert (reader.rows_in, reader.sent, reader.rejects) == (len(rows), len(rows), [])


@given(st.lists(st.binary(max_size=40).filter(lambda line: b"\n" not in line), max_size=30))
def test_whatever_lies_there_every_row_is_sent_put_aside_or_the_file_refused(lines: list[bytes]) -> None:
    content = (",".join(HEADER)).encode() + b"\n" + b"\n".join(lines)
    with tempfile.TemporaryDirectory() as folder, mock.patch.object(reader_module, "_BLOCK", 64):
        try:
            reader = reader_of(Path(folder), content)
            arrived = copied(reader)
        except Refused as refusal:
            assert refusal.code == "unclosed_quote"  # noqa: PT017  (either outcome is right)
            return
    assert reader.rows_in == len(arrived) + len(reader.rejects)
    assert all(len(row) == len(HEADER) + 3 for row in arrived)
    numbers = [int(row[2]) for row in arrived] + [reject.line_no for reject in reader.rejects]
    assert len(set(numbers)) == len(numbers)


@given(tables, st.integers(min_value=1, max_value=200))
def test_a_row_is_found_again_by_its_line_and_by_its_line_in_the_stream(rows: list[list[str]], block: int) -> None:
    ragged = [["too", "short"] if place % 5 == 4 else row for place, row in enumerate(rows)]
    content = csv_bytes([HEADER, *ragged], lineterminator="\n", quoting=csv.QUOTE_ALL)
    with tempfile.TemporaryDirectory() as folder, mock.patch.object(reader_module, "_BLOCK", block):
        reader = reader_of(Path(folder), content)
        stream = b"".join(reader.copy_lines(7)).decode()
        sent = list(csv.reader(io.StringIO(stream, newline="")))[1:]
        by_own = reader.locate(line_nos=[int(row[2]) for row in sent])
        copy_line, expected = 1, {}
        for row in sent:
            copy_line += 1 + sum(value.count("\n") for value in row)
            expected[copy_line] = row
        by_stream = reader.locate(copy_lines=expected)
    assert {line: cells(row) for line, row in by_own.items()} == {int(row[2]): row[3:] for row in expected.values()}
    assert {line: cells(row) for line, row in by_stream.items()} == {line: row[3:] for line, row in expected.items()}


def cells(row: Located) -> list[str]:
    return next(csv.reader(io.StringIO(row.raw_text, newline="")))


def test_line_numbers_are_those_of_the_file_behind_a_field_with_newlines(tmp_path: Path) -> None:
    rows = [PLAIN, [*PLAIN[:6], "A\n1", *PLAIN[7:]], PLAIN]
    reader = reader_of(tmp_path, csv_bytes([HEADER, *rows], lineterminator="\n"))
    assert [int(row[2]) for row in copied(reader)] == [2, 3, 5]


def test_columns_come_in_the_order_of_the_header(tmp_path: Path) -> None:
    header = [*reversed(HEADER), "Promo Code", "promo code"]
    reader = reader_of(tmp_path, csv_bytes([header, [*reversed(PLAIN), "x", "y"]]))
    assert reader.columns[: len(HEADER)] == list(reversed(HEADER))
    extras = reader.columns[len(HEADER) :]
    assert extras[0] == "x_promo_code"
    assert len(set(extras)) == 2
    assert copied(reader)[0][3:] == [*reversed(PLAIN), "x", "y"]


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (b"S1,1,2026-03-02,R2,sale,1,A1,1,10.00,", "ragged_row"),
        (b"S1,1,2026-03-02,R2,sale,1,A\r1,1,10.00", "broken_quoting"),
        (b'S1,1,2026-03-02,R2,sale,1,"A"1,1,10.00', "broken_quoting"),
        (b'S1,1,2026-03-02,R2,sale,1,"' + b"A" * 10_000_000 + b'",1,10.00', "oversized_field"),
    ],
    ids=["comma_at_the_end", "lone_carriage_return", "text_after_quote", "ten_megabytes_quoted"],
)
def test_what_copy_would_stop_at_is_put_aside(tmp_path: Path, bad: bytes, code: str) -> None:
    sound = ",".join(PLAIN).encode()
    reader = reader_of(tmp_path, b"\n".join([",".join(HEADER).encode(), sound, bad, sound, b""]))
    arrived = copied(reader)
    assert [int(row[2]) for row in arrived] == [2, 4]
    (reject,) = reader.rejects
    assert (reject.line_no, reject.code) == (3, code)
    assert len(reject.raw_text) < 11_000
    assert "\0" not in reject.raw_text


def test_blank_lines_are_no_rows(tmp_path: Path) -> None:
    content = ",".join(HEADER) + "\r\n\r\n" + ",".join(PLAIN) + "\r\n\r\n\r\n"
    reader = reader_of(tmp_path, content.encode())
    assert [row[2] for row in copied(reader)] == ["3"]
    assert reader.rows_in == 1


def test_declared_gb18030_is_read(tmp_path: Path) -> None:
    row = [*PLAIN[:6], "上衣,黑", *PLAIN[7:]]
    content = csv_bytes([HEADER, row]).decode().encode("gb18030")
    reader = reader_of(tmp_path, content, encoding="gb18030")
    assert copied(reader)[0][3:] == row


# ---------------------------------------------------------------- gzip

SOUND = csv_bytes([HEADER, *([PLAIN] * 5_000)], lineterminator="\n")


def test_all_members_of_a_gzip_file_are_read(tmp_path: Path) -> None:
    half = len(SOUND) // 2
    content = gzip.compress(SOUND[:half]) + gzip.compress(b"") + gzip.compress(SOUND[half:])
    reader = reader_of(tmp_path, content, "receipt_lines.csv.gz")
    assert len(copied(reader)) == 5_000


@pytest.mark.parametrize("cut", [1, 4, 8, 9, 100, 5_000])
def test_a_gzip_file_cut_short_is_refused(tmp_path: Path, cut: int) -> None:
    content = gzip.compress(SOUND, compresslevel=0)[:-cut]
    with pytest.raises(Refused, match="cut short"):
        copied(reader_of(tmp_path, content, "receipt_lines.csv.gz"))


@pytest.mark.parametrize("garbage", [b"\0" * 512, b"<html>", b"\x1f\x00rest"])
def test_something_behind_the_end_of_gzip_is_refused(tmp_path: Path, garbage: bytes) -> None:
    with pytest.raises(Refused) as refusal:
        copied(reader_of(tmp_path, gzip.compress(SOUND) + garbage, "receipt_lines.csv.gz"))
    assert refusal.value.code == "trailing_garbage"


def test_no_gzip_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="damaged"):
        copied(reader_of(tmp_path, SOUND, "receipt_lines.csv.gz"))


# ---------------------------------------------------------------- headers and quotes


@pytest.mark.parametrize(
    ("header", "code", "told"),
    [
        ([*HEADER[:-1], "netamount"], "missing_column", "net_amount (is it the column 'netamount'?)"),
        ([*HEADER[:-1], "zzz"], "missing_column", "net_amount. The header is"),
        ([*HEADER, "sku"], "duplicate_header", "sku more than once"),
        ([*HEADER, ""], "unnamed_column", "column 10"),
        ([*HEADER, *map(str, range(101))], "too_many_columns", "101 columns"),
    ],
)
def test_a_header_that_breaks_the_contract_is_refused(tmp_path: Path, header: list[str], code: str, told: str) -> None:
    with pytest.raises(Refused) as refusal:
        reader_of(tmp_path, csv_bytes([header, PLAIN]))
    assert refusal.value.code == code
    assert told in refusal.value.message


@pytest.mark.parametrize("behind", [b"", b"x\n" * 20_000_000], ids=["at_the_end", "far_from_the_end"])
def test_an_unclosed_quote_is_refused_without_reading_on_for_ever(tmp_path: Path, behind: bytes) -> None:
    content = SOUND + b'S1,1,2026-03-02,R2,sale,1,"A1,1,10.00\n' + behind
    with mock.patch.object(reader_module, "_BLOCK", 4096), pytest.raises(Refused) as refusal:
        copied(reader_of(tmp_path, content))
    assert refusal.value.message == (
        "receipt_lines.csv, line 5002, character 27: a quote is opened and never closed, or a record has more than"
        " 16 MB."
    )
