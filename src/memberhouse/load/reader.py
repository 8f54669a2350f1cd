"""From a landed file to lines that PostgreSQL's COPY takes, in one pass and flat memory.

The file is read in blocks of whole records. What COPY would stop at (a ragged row, a NUL byte, bytes of
another encoding, an oversized field) is put aside here; values of a wrong type are left to COPY, which
skips and names them. Every good line goes out with its place in front: batch, file, line.

A damaged or deceitful file raises `Refused`, at the latest when its end has been read: the caller must
not commit before.
"""

from __future__ import annotations

import bisect
import csv
import difflib
import hashlib
import io
import itertools
import json
import re
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from functools import cached_property, partial
from operator import add
from typing import Any, NamedTuple

import orjson

from memberhouse.landing.manifest import FileEntry, Manifest
from memberhouse.landing.root import AnyPath, sha256_of
from memberhouse.load.refused import Refused
from memberhouse.sources.contract import Feed
from memberhouse.vault import Values, mask, masked, sounds_personal

# A longer field is no field of a till or an app, and COPY's error handling would repeat it.
MAX_FIELD = 131_072
_PIECE = 1 << 18
_BLOCK = 1 << 20
# A record that does not end within this is an unclosed quote, or no text file at all.
_MAX_RECORD = 16 << 20
_MAX_EXTRA_COLUMNS = 100
_MAX_RAW_TEXT = 10_000
_EMPTY = "Ask the sender for the file again; a store that sold nothing sends a header and no rows."
WITHHELD = "(withheld: the row holds personal data and cannot be taken apart; see the landed file)"
PERSONAL = "(personal)"
JSON_EXTRAS = "_extra"
# Sent to COPY, which puts the row aside, for JSON that cannot be read and so not be masked.
_NO_JSON = "(no readable JSON)"
# Deeper JSON is no message of an app.
_MAX_DEPTH = 32
# A birthday: a date, or one without its year.
_BIRTHDAY = re.compile(r"(\d{4}|-)-\d\d-\d\d")
# How numbers look in the other ways of writing them that a manifest may declare, and how they become plain.
_NUMBERS: Mapping[str, tuple[re.Pattern[str], Callable[[str], str]]] = {
    "1,234.50": (
        re.compile(r"[-+]?(\d{1,3}(,\d{3})+|\d+)(\.\d+)?"),
        lambda text: text.replace(",", ""),
    ),
    "1.234,50": (
        re.compile(r"[-+]?(\d{1,3}(\.\d{3})+|\d+)(,\d+)?"),
        lambda text: text.replace(".", "").replace(",", "."),
    ),
}
# Of a column, as programs write it; people's names have capitals or no Latin letters.
_LOOKS_LIKE_A_NAME = re.compile(r"[a-z]\w*_\w+|[A-Z]?[a-z]+([A-Z][a-z]+)+", re.ASCII)
_NUMERIC_KINDS = ("money", "price", "quantity")
# COPY counts newlines within quotes only when it knows how lines end: a first line without quotes tells it.
_STREAM_HEADER = b"header\n"
# The last three digits of a line's number, and the comma behind them.
_THOUSANDTHS = tuple(b"%03d," % number for number in range(1000))


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that was not loaded: why, and what is known of it.

    fields: what the accounts need of it (store, business date, money) by column name, where the row could
    be taken apart. Not all of the row: a large file can have many bad ones.
    row: the row as it lay in the raw table, where it got that far: it can be tried again.
    """

    file_no: int
    line_no: int
    code: str
    column: str | None
    reason: str
    raw_text: str
    fields: dict[str, str]
    row: dict[str, Any] | None = None

    def business_date(self, feed: Feed) -> date | None:
        """The row's business date, where it has a readable one."""
        try:
            return date.fromisoformat(self.fields["business_date"]) if feed.column("business_date") else None
        except (KeyError, ValueError):
            return None

    def amount(self, feed: Feed) -> Decimal | None:
        """The row's money, where it has a readable amount."""
        try:
            amount = Decimal(self.fields[feed.money or ""])
        except (KeyError, InvalidOperation):
            return None
        return amount if amount.is_finite() else None

    def store_id(self, feed: Feed) -> str | None:
        """The row's store, where it names one."""
        return self.fields.get(feed.store or "") or None


@dataclass(frozen=True)
class _Block:
    """Whole records as UTF-8, without the last line's end.

    quoted: there are quotes, a record may span lines. plain: no quotes, no NUL, no lone carriage return.
    undecodable: places in `lines` that had bytes of another encoding.
    """

    first_line: int
    content: bytes
    quoted: bool
    plain: bool
    undecodable: frozenset[int] = frozenset()

    @cached_property
    def lines(self) -> list[bytes]:
        return self.content.split(b"\n") if self.content else []

    @property
    def text_lines(self) -> list[str]:
        return self.content.decode().split("\n") if self.content else []

    def without_first(self, lines: int) -> _Block:
        """The block from a later line on."""
        rest = self.content.split(b"\n", lines)[lines:]
        return _Block(
            self.first_line + lines,
            rest[0] if rest else b"",
            self.quoted,
            self.plain,
            frozenset(place - lines for place in self.undecodable),
        )


class _Record(NamedTuple):
    """One record: where it starts, its text, and its fields or what is wrong with it."""

    line_no: int
    raw: str
    fields: list[str]
    wrong: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Located:
    """A row found again: the line it starts on, its text, and its fields as in a `Reject`."""

    line_no: int
    raw_text: str
    fields: dict[str, str]


class FileReader:
    """Reads one file of a batch. `open`, then `copy_lines` to its end, then the figures are true.

    columns: the raw table's columns in the order of the lines. extra_columns: those beyond the contract,
    with their SQL types. rows_in: records read, without the header. rejects: rows put aside.
    sent: rows given to COPY.
    """

    def __init__(
        self, folder: AnyPath, entry: FileEntry, file_no: int, manifest: Manifest, feed: Feed, values: Values
    ) -> None:
        self.entry = entry
        self.file_no = file_no
        self.feed = feed
        self.columns: list[str] = []
        self.extra_columns: dict[str, str] = {}
        self.extra_names: set[str] = set()
        self.withheld_names: set[str] = set()
        self.rows_in = 0
        self.sent = 0
        self.rejects: list[Reject] = []
        self._path = folder / entry.name
        self._is_json = ".jsonl" in entry.name
        self._is_parquet = entry.name.endswith(".parquet")
        self._encoding = "utf-8" if manifest.encoding == "utf-8-sig" or self._is_parquet else manifest.encoding
        self._manifest = manifest
        self._personal = values
        self._names: list[str] = []
        # by the column's place in the file: what becomes of its values on their way to COPY
        self._treated: dict[int, Callable[[str, str], str]] = {}
        self._left_out: frozenset[int] = frozenset()
        self._personal_places: frozenset[int] = frozenset()
        self._json_places: frozenset[int] = frozenset()
        self._birthdays: list[int] = []
        self._numbers: list[int] = []
        self._subject = 0
        self._stored_sha256 = hashlib.sha256()
        # of each block that was copied, whether it was clean
        self._clean: list[bool] = []
        # the first block, read for the header, and what follows it
        self._head: list[bytes] = []
        self._tail: Iterator[bytes] = iter(())

    # ---------------------------------------------------------------- the file as a whole

    def open(self) -> None:
        """Look at the file and its header. Raises Refused."""
        name = self.entry.name
        if not self._path.is_file():
            raise Refused(
                "file_missing",
                f"{name} is in the manifest and not in the folder.",
                "Deliver the file, or a manifest without it.",
            )
        size = self._path.stat().st_size
        if size == 0:
            raise Refused("empty_file", f"{name} has zero bytes.", _EMPTY)
        if size != self.entry.bytes:
            raise Refused(
                "size_differs",
                f"{name} has {size:,} bytes, its manifest says {self.entry.bytes:,}.",
                "Ask the sender for the file again: it was cut or changed on its way.",
            )
        self._tail = self._byte_blocks()
        self._head = list(itertools.islice(self._tail, 1))
        if self._is_json:
            self._names = [column.name for column in self.feed.columns]
            self.columns = [*(column.raw_name for column in self.feed.columns), JSON_EXTRAS]
            self.extra_columns = {JSON_EXTRAS: "jsonb"}
            self._treat_columns()
        else:
            self._take_header(self._read_header())

    def verify(self) -> None:
        """After the last line: the file is what its manifest says. Raises Refused."""
        if self._stored_sha256.hexdigest() != self.entry.sha256.lower():
            raise Refused(
                "checksum_differs",
                f"{self.entry.name} does not have the SHA-256 of its manifest.",
                "Ask the sender for the file again: it was changed on its way.",
            )
        if self.rows_in != self.entry.rows:
            raise Refused(
                "row_count_differs",
                f"{self.entry.name} has {self.rows_in:,} rows, its manifest says {self.entry.rows:,}.",
                "Ask the sender which is right, and for a batch in which both agree.",
            )

    # ---------------------------------------------------------------- rows to COPY

    def copy_lines(self, batch_id: int) -> Iterator[bytes]:
        """CSV lines for COPY: a header, then batch, file number, line number and `columns`."""
        yield _STREAM_HEADER
        for block in self._body():
            clean = self._is_clean(block)
            self._clean.append(clean)
            if clean:
                self.rows_in += len(block.lines)
                self.sent += len(block.lines)
                yield self._numbered(block, b"%d,%d," % (batch_id, self.file_no))
                continue
            out = io.StringIO()
            # all quoted: the csv module leaves a lone carriage return bare, at which COPY would stop
            writer = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL)
            for record in self._records(block):
                self.rows_in += 1
                if record.wrong is not None:
                    self.rejects.append(self._reject(record))
                    continue
                self.sent += 1
                writer.writerow([batch_id, self.file_no, record.line_no, *self._values(record)])
            if out.tell():
                yield out.getvalue().encode()

    def _numbered(self, block: _Block, prefix: bytes) -> bytes:
        """The lines of a clean block with `prefix` and their number in front.

        A thousand lines have all but the last three digits in common: those are joined in between, which
        takes a third of the time of formatting line by line.
        """
        lines = block.lines
        if self._treated or self._left_out:
            lines = [self._treated_line(line) for line in lines]
        pieces: list[bytes] = []
        done = 0
        while done < len(lines):
            thousand, first = divmod(block.first_line + done, 1000)
            some = lines[done : done + 1000 - first]
            start = prefix + b"%d" % thousand
            pieces.append(start + (b"\n" + start).join(map(add, _THOUSANDTHS[first:], some)) + b"\n")
            done += len(some)
        return b"".join(pieces)

    def _treated_line(self, line: bytes) -> bytes:
        """A clean line as it goes to COPY: personal values replaced, columns that are left out gone."""
        fields = line.split(b",")
        subject = fields[self._subject].decode()
        for place, treat in self._treated.items():
            if fields[place]:
                fields[place] = treat(fields[place].decode(), subject).encode()
        if self._left_out:
            fields = [field for place, field in enumerate(fields) if place not in self._left_out]
        return b",".join(fields)

    def locate(self, *, copy_lines: Collection[int] = (), line_nos: Collection[int] = ()) -> dict[int, Located]:
        """Read the file again, after `copy_lines`, to find rows: by the line of the COPY stream on which
        they ended, as COPY's notices count, or by their own line. Returns them by the number they were
        asked for."""
        found: dict[int, Located] = {}
        wanted_copy, wanted_own = sorted(copy_lines), sorted(line_nos)
        wanted_copy_set, wanted_own_set = set(wanted_copy), set(wanted_own)
        copy_line = 1
        put_aside = {reject.line_no for reject in self.rejects}
        reader = FileReader(self._path.parent, self.entry, self.file_no, self._manifest, self.feed, self._personal)
        reader.open()
        for block, clean in zip(reader._body(), self._clean, strict=True):
            if clean:
                for number in _within(wanted_copy, copy_line + 1, len(block.lines)):
                    found[number] = reader._located(block, number - copy_line - 1)
                for number in _within(wanted_own, block.first_line, len(block.lines)):
                    found[number] = reader._located(block, number - block.first_line)
                copy_line += len(block.lines)
                continue
            if self._is_json:
                # most lines need not be read for it: a value has a newline only where there is an escape
                for place, line in enumerate(block.text_lines):
                    line_no = block.first_line + place
                    if line_no in put_aside or not line.strip():
                        continue
                    copy_line += 1
                    escaped = "\\n" in line or "\\u" in line
                    if escaped or copy_line in wanted_copy_set or line_no in wanted_own_set:
                        record = reader._json_record(line_no, line, undecodable=False)
                        copy_line += reader._newlines_copied(record)
                        if copy_line in wanted_copy_set:
                            found[copy_line] = reader._found(record)
                        if line_no in wanted_own_set:
                            found[line_no] = reader._found(record)
                continue
            for record in reader._records(block):
                if record.wrong is not None:
                    continue
                copy_line += 1 + reader._newlines_copied(record)
                if copy_line in wanted_copy_set:
                    found[copy_line] = reader._found(record)
                if record.line_no in wanted_own_set:
                    found[record.line_no] = reader._found(record)
        return found

    # ---------------------------------------------------------------- bytes

    def _stored(self) -> Iterator[bytes]:
        with self._path.open("rb") as file:
            while piece := file.read(_PIECE):
                self._stored_sha256.update(piece)
                yield piece

    def _content(self) -> Iterator[bytes]:
        """The file's bytes as text, decompressed: every member, to the end, checksums verified."""
        if self._is_parquet:
            yield from self._parquet_as_csv()
            return
        if not self.entry.name.endswith(".gz"):
            yield from self._stored()
            return
        members = 0
        inflater = None
        try:
            for stored in self._stored():
                piece = stored
                while piece:
                    if inflater is None:
                        inflater = zlib.decompressobj(wbits=31)
                    out = inflater.decompress(piece, _BLOCK)
                    yield out
                    while not inflater.eof and (inflater.unconsumed_tail or len(out) == _BLOCK):
                        out = inflater.decompress(inflater.unconsumed_tail, _BLOCK)
                        yield out
                    piece = b""
                    if inflater.eof:
                        members += 1
                        piece, inflater = inflater.unused_data, None
        except zlib.error as error:
            if members and "header" in str(error):
                raise self._broken("trailing_garbage", "has something that is not gzip after its end") from error
            raise self._broken("damaged_gzip", f"is damaged ({str(error).rpartition(': ')[2]})") from error
        if inflater is not None:
            raise self._broken("truncated_gzip", "ends before its gzip stream does: it is cut short")

    def _parquet_as_csv(self) -> Iterator[bytes]:
        """A Parquet file's rows as the CSV that says the same; a row's line is its number and 1."""
        import pyarrow as pa
        from pyarrow import csv as arrow_csv
        from pyarrow import parquet

        for _ in self._stored():  # for the checksum
            pass
        try:
            with self._path.open("rb") as file, parquet.ParquetFile(file) as rows:
                header = io.StringIO(newline="")
                csv.writer(header, lineterminator="\n").writerow(rows.schema_arrow.names)
                yield header.getvalue().encode()
                for batch in rows.iter_batches():
                    out = pa.BufferOutputStream()
                    arrow_csv.write_csv(
                        pa.table([_as_texts(column) for column in batch.columns], names=batch.schema.names),
                        out,
                        arrow_csv.WriteOptions(include_header=False),
                    )
                    yield out.getvalue().to_pybytes()
        except (pa.ArrowException, OSError) as error:
            raise self._broken("damaged_parquet", f"can't be read as Parquet ({str(error)[:120]})") from error

    def _broken(self, code: str, what: str) -> Refused:
        """A file that can't be decompressed, and where it broke: its checksum tells."""
        as_sent = sha256_of(self._path).hex() == self.entry.sha256.lower()
        return Refused(
            code,
            f"{self.entry.name} {what}. "
            + ("It was sent so: it has its manifest's SHA-256." if as_sent else "It was changed on its way."),
            "Ask the sender to make the file anew: sent again, it would be as broken."
            if as_sent
            else "Ask the sender for the file again.",
        )

    def _byte_blocks(self) -> Iterator[bytes]:
        """The content cut at ends of records: at newlines outside quotes. A BOM is taken off."""
        held = b""
        first = True
        lines_before = 0
        for piece in self._content():
            held += piece
            if first and len(held) >= 3:
                held = held.removeprefix(b"\xef\xbb\xbf")
                first = False
            if len(held) < _BLOCK:
                continue
            end = self._end_of_records(held)
            if end:
                lines_before += held.count(b"\n", 0, end)
                yield held[:end]
                held = held[end:]
            elif len(held) > _MAX_RECORD:
                raise self._unclosed_quote(held, lines_before)
        if first:
            held = held.removeprefix(b"\xef\xbb\xbf")
        if held:
            if not self._is_json and held.count(b'"') % 2:
                raise self._unclosed_quote(held, lines_before)
            yield held

    def _end_of_records(self, held: bytes) -> int:
        """Where the last whole record in `held` ends; 0 if there is none."""
        end = held.rfind(b"\n") + 1
        if self._is_json:
            return end
        quotes = held.count(b'"', 0, end)
        while quotes % 2:
            # inside quotes: back to the newline before the quote that opened them
            before = held.rfind(b'"', 0, end)
            end = held.rfind(b"\n", 0, before) + 1
            quotes = held.count(b'"', 0, end)
        return end

    def _unclosed_quote(self, held: bytes, lines_before: int) -> Refused:
        """`held`: what follows the last whole record, `lines_before` lines into the file."""
        lines = held.split(b"\n")
        place = next((place for place, line in enumerate(lines) if line.count(b'"') % 2), 0)
        column = lines[place].rfind(b'"') + 1
        return Refused(
            "unclosed_quote",
            f"{self.entry.name}, line {lines_before + place + 1}, character {column}: a quote is opened and never"
            f" closed, or a record has more than {_MAX_RECORD >> 20} MB.",
            "Ask the sender for the file again; a quote inside a field must be doubled.",
        )

    # ---------------------------------------------------------------- lines and records

    def _blocks(self) -> Iterator[_Block]:
        line_no = 1
        for stored in itertools.chain(self._head, self._tail):
            content = stored.removesuffix(b"\n")
            quoted = not self._is_json and b'"' in content
            if not quoted and b"\r" in content:
                content = content.removesuffix(b"\r").replace(b"\r\n", b"\n")
            undecodable: frozenset[int] = frozenset()
            try:
                text = content.decode(self._encoding)
            except UnicodeDecodeError:
                content, undecodable = self._decode_lines(content)
            else:
                if self._encoding != "utf-8":
                    content = text.encode()
            plain = not (quoted or undecodable or b"\0" in content or b"\r" in content)
            yield _Block(line_no, content, quoted, plain, undecodable)
            line_no += content.count(b"\n") + 1

    def _decode_lines(self, content: bytes) -> tuple[bytes, frozenset[int]]:
        """The content as UTF-8, with escapes for bytes of another encoding, and the places of those lines."""
        lines, undecodable = [], []
        for place, line in enumerate(content.split(b"\n")):
            try:
                lines.append(line.decode(self._encoding))
            except UnicodeDecodeError:
                lines.append(line.decode(self._encoding, "backslashreplace"))
                undecodable.append(place)
        return "\n".join(lines).encode(), frozenset(undecodable)

    def _body(self) -> Iterator[_Block]:
        """The blocks without the header."""
        blocks = self._blocks()
        if self._is_json:
            yield from blocks
            return
        for block in blocks:
            yield block.without_first(self._header_lines(block))
            break
        yield from blocks

    @staticmethod
    def _header_lines(block: _Block) -> int:
        if not block.quoted:
            return 1
        reader = csv.reader(line + "\n" for line in block.text_lines)
        next(reader, None)
        return reader.line_num

    def _is_clean(self, block: _Block) -> bool:
        """Whether every line is one plain record that can go to COPY as it is."""
        if self._is_json or not block.plain or self._birthdays or self._numbers:
            return False
        commas = list(map(bytes.count, block.lines, itertools.repeat(b",")))
        return commas.count(len(self._names) - 1) == len(commas) and max(map(len, block.lines), default=0) <= MAX_FIELD

    def _records(self, block: _Block) -> Iterator[_Record]:
        if self._is_json:
            for place, line in enumerate(block.text_lines):
                if line.strip():
                    yield self._json_record(block.first_line + place, line, place in block.undecodable)
            return
        start = 0
        lines = block.text_lines
        reader = csv.reader((line + "\n" for line in lines), strict=True)
        while True:
            unreadable: str | None = None
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                fields = []
                unreadable = str(error)
            end = reader.line_num
            raw = "\n".join(lines[start:end])
            wrong = self._csv_error(unreadable, raw) if unreadable else None
            if raw.strip("\r"):
                if block.undecodable and not block.undecodable.isdisjoint(range(start, end)):
                    hint = "; it may be GB18030: then the manifest must say so" if self._encoding == "utf-8" else ""
                    wrong = ("wrong_encoding", f"the row is not {self._encoding}{hint}")
                yield _Record(block.first_line + start, raw, fields, wrong or self._wrong_fields(fields, raw))
            start = end

    def _wrong_fields(self, fields: list[str], raw: str) -> tuple[str, str] | None:
        if len(fields) != len(self._names):
            hint = "; a comma inside a value needs quotes" if len(fields) > len(self._names) else ""
            return ("ragged_row", f"the row has {len(fields)} fields, the header {len(self._names)}{hint}")
        if "\0" in raw:
            name = next((name for name, value in zip(self._names, fields, strict=True) if "\0" in value), "the row")
            return ("nul_byte", f"{name} has a NUL byte")
        longest, name = max(zip(map(len, fields), self._names, strict=True))
        if longest > MAX_FIELD:
            return ("oversized_field", f"{name} has {longest:,} characters, at most {MAX_FIELD:,} are read")
        return self._wrong_value(fields)

    def _wrong_value(self, fields: list[str]) -> tuple[str, str] | None:
        """What is wrong with a value that COPY does not get to see as it is."""
        for place in self._numbers:
            if fields[place] and not self._is_number(fields[place]):
                return (
                    "wrong_type",
                    f"{self._names[place]} is {fields[place]!r}; the manifest says that numbers are written like"
                    f" {self._manifest.number_format}",
                )
        for place in self._birthdays:
            if fields[place] and not _is_birthday(fields[place]):
                return (
                    "wrong_type",
                    f"{self._names[place]} is no date (such as 1990-03-02, or --03-02 without the year);"
                    " the value is personal and not shown",
                )
        return None

    def _is_number(self, value: str) -> bool:
        looks, _ = _NUMBERS[self._manifest.number_format]
        return looks.fullmatch(value) is not None

    def _csv_error(self, message: str, raw: str) -> tuple[str, str]:
        if "field limit" in message:
            # without quotes it is plain which field it is
            named = None if '"' in raw else self._wrong_fields(raw.split(","), raw)
            return named or ("oversized_field", f"a field has more than {MAX_FIELD:,} characters")
        return ("broken_quoting", f"the row breaks the rules of CSV: {message}")

    def _values(self, record: _Record) -> list[str]:
        """The record's fields as they go to COPY."""
        if not self._treated and not self._left_out:
            return record.fields
        subject = record.fields[self._subject]
        return [
            self._treated[place](value, subject) if value and place in self._treated else value
            for place, value in enumerate(record.fields)
            if place not in self._left_out
        ]

    def _newlines_copied(self, record: _Record) -> int:
        lines = 0
        for place, value in enumerate(record.fields):
            if "\n" in value and place not in self._personal_places | self._left_out:
                sent = self._treated[place](value, "") if place in self._treated else value
                lines += sent.count("\n")
        return lines

    # ---------------------------------------------------------------- JSON lines

    def _json_record(self, line_no: int, line: str, undecodable: bool) -> _Record:
        if undecodable:
            return _Record(line_no, line, [], ("wrong_encoding", f"the row is not {self._encoding}"))
        if len(line) > MAX_FIELD:
            return _Record(line_no, line, [], ("oversized_field", f"the row has {len(line):,} characters"))
        try:
            row = _json_value(line)
        except ValueError as error:
            return _Record(line_no, line, [], ("poison_json", f"the row is no readable JSON: {error}"))
        if not isinstance(row, dict):
            return _Record(line_no, line, [], ("poison_json", "the row is not a JSON object"))
        if _may_be_deep(line) and _depth(row) > _MAX_DEPTH:
            return _Record(line_no, line, [], ("poison_json", f"the row is nested deeper than {_MAX_DEPTH} levels"))
        values: list[str] = []
        for column in self.feed.columns:
            value = row.pop(column.name, None)
            if column.kind == "json" and isinstance(value, dict | list):
                values.append(_as_json(masked(value)))
            elif isinstance(value, dict | list):
                return _Record(line_no, line, [], ("wrong_type", f"{column.name} holds a nested value"))
            else:
                values.append(_as_text(value))
        if row:
            self.extra_names.update(row)
            self.withheld_names.update(filter(sounds_personal, row))
        values.append(_as_json(masked(row)) if row else "")
        if "\\u" in line:  # only an escape can name what a text of the database cannot hold
            if any("\0" in value for value in values) or "\\u0000" in line:
                return _Record(line_no, line, [], ("nul_byte", "the row has a NUL character"))
            try:
                "".join(values).encode()
            except UnicodeEncodeError:
                return _Record(line_no, line, [], ("poison_json", "the row has a lone surrogate"))
        return _Record(line_no, line, values, self._wrong_value(values))

    # ---------------------------------------------------------------- the header

    def _read_header(self) -> list[str]:
        if not self._head:
            raise Refused("empty_file", f"{self.entry.name} holds nothing, not even a header.", _EMPTY)
        content = self._head[0]
        line = content.split(b"\n", 1)[0]
        try:
            line.decode(self._encoding)
        except UnicodeDecodeError:
            raise Refused(
                "wrong_encoding",
                f"{self.entry.name}, line 1: the header is not {self._encoding}.{_gb18030_hint(line)}",
                "Declare the file's encoding in its manifest, or send UTF-8.",
            ) from None
        text = content.decode(self._encoding, "backslashreplace")
        return next(csv.reader(io.StringIO(text, newline="")), [])

    def _take_header(self, header: list[str]) -> None:
        names = [name.strip() for name in header]
        where = self.entry.name
        if "" in names:
            raise Refused(
                "unnamed_column",
                f"{where}, line 1: column {names.index('') + 1} of the header has no name.",
                "Send the file with a name for every column.",
            )
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise Refused(
                "duplicate_header",
                f"{where}, line 1: the header has {', '.join(map(self._told, repeated))} more than once.",
                "Send the file with each column once.",
            )
        unknown = [name for name in names if self.feed.column(name) is None]
        required = [column.name for column in self.feed.columns if column.required]
        missing = [name for name in required if name not in names]
        if missing:
            hints = []
            for name in missing:
                similar = _most_similar(name, unknown)
                hints.append(f"{name} (is it the column {similar!r}?)" if similar else name)
            raise Refused(
                "missing_column",
                f"{where}, line 1: required column missing: {', '.join(hints)}. The header is:"
                f" {', '.join(map(self._told, names))}.",
                "Send the file with the column under its contract name (docs/sources.md).",
            )
        if len(unknown) > _MAX_EXTRA_COLUMNS:
            raise Refused(
                "too_many_columns",
                f"{where}, line 1: {len(unknown)} columns are not in the contract, more than {_MAX_EXTRA_COLUMNS}.",
                "Check the delimiter, or send fewer columns.",
            )
        self._names = names
        self.extra_names = set(unknown)
        self.withheld_names = set(filter(sounds_personal, unknown))
        raw_names = _raw_names([name for name in unknown if name not in self.withheld_names])
        self.extra_columns = dict.fromkeys(raw_names.values(), "text")
        raw_names.update({column.name: column.raw_name for column in self.feed.columns})
        self.columns = [raw_names[name] for name in names if name in raw_names]
        self._treat_columns()

    def _told(self, name: str) -> str:
        """A column's name as it is told. What looks like no name may be a value: of a file without a header."""
        return name if self.feed.column(name) or _LOOKS_LIKE_A_NAME.fullmatch(name) else "(not a name)"

    def _treat_columns(self) -> None:
        """Decide, column by column, what becomes of its values on their way to COPY."""
        self._subject = self._names.index(self.feed.key[0]) if self.feed.key[0] in self._names else 0
        self._left_out = frozenset(map(self._names.index, self.withheld_names))
        personal: set[int] = set()
        for place, name in enumerate(self._names):
            column = self.feed.column(name)
            if column is None:
                if place not in self._left_out:
                    self._treated[place] = _masked_text
            elif column.personal:
                personal.add(place)
                self._treated[place] = partial(self._personal.note, column.personal)
                if column.personal == "birthday":
                    self._birthdays.append(place)
            elif column.kind == "note":
                self._treated[place] = _masked_text
            elif column.kind == "json" and not self._is_json:
                self._treated[place] = _masked_json
            elif column.kind in _NUMERIC_KINDS and self._manifest.number_format in _NUMBERS:
                self._numbers.append(place)
                self._treated[place] = partial(_as_plain_number, _NUMBERS[self._manifest.number_format][1])
        self._personal_places = frozenset(personal)
        self._json_places = frozenset(place for place, treat in self._treated.items() if treat is _masked_json)

    # ---------------------------------------------------------------- what was put aside

    def _located(self, block: _Block, place: int) -> Located:
        line = block.lines[place].decode()
        return self._found(_Record(block.first_line + place, line, line.split(",")))

    def _found(self, record: _Record) -> Located:
        return Located(record.line_no, self._safe_text(record), self._accounted(record))

    def _reject(self, record: _Record) -> Reject:
        assert record.wrong is not None  # noqa: S101  (only records with something wrong come here)
        code, reason = record.wrong
        return Reject(
            file_no=self.file_no,
            line_no=record.line_no,
            code=code,
            column=None,
            reason=mask(reason),
            raw_text=self._safe_text(record),
            fields=self._accounted(record),
        )

    def _accounted(self, record: _Record) -> dict[str, str]:
        if not self._is_whole(record):
            return {}
        wanted = (self.feed.store, "business_date", self.feed.money)
        return {
            name: self._treated[place](value, "") if place in self._numbers else value
            for place, (name, value) in enumerate(zip(self._names, record.fields, strict=False))
            if name in wanted and (place not in self._numbers or self._is_number(value))
        }

    def _is_whole(self, record: _Record) -> bool:
        """Whether each field stands under its name."""
        return len(record.fields) == len(self._names) + self._is_json  # of JSON, the extras come last

    def _safe_text(self, record: _Record) -> str:
        """The row's text for the quarantine, which holds no personal data."""
        if self._is_json:
            text = self._safe_json(record.raw)
        elif not (hidden := self._personal_places | self._left_out) and not self._json_places:
            # beyond the cut, so that no number is cut in two before it is seen
            text = mask(record.raw[: _MAX_RAW_TEXT + 100])
        elif self._is_whole(record):
            out = io.StringIO()
            csv.writer(out, lineterminator="").writerow(
                PERSONAL if place in hidden and value else self._safe_field(place, value)
                for place, value in enumerate(record.fields)
            )
            text = out.getvalue()
        else:
            text = WITHHELD
        text = text.replace("\0", "\\x00")
        if len(text) > _MAX_RAW_TEXT:
            text = f"{text[:_MAX_RAW_TEXT]}… ({len(record.raw):,} characters)"
        return text.encode(errors="backslashreplace").decode()

    def _safe_field(self, place: int, value: str) -> str:
        return _masked_json(value, "") if value and place in self._json_places else mask(value)

    def _safe_json(self, raw: str) -> str:
        try:
            row = _json_value(raw)
        except ValueError:
            return WITHHELD
        if not isinstance(row, dict):
            return WITHHELD
        shown: dict[str, Any] = {}
        for name, value in row.items():
            column = self.feed.column(name)
            if column is None:
                shown |= masked({name: value})
            else:
                shown[name] = PERSONAL if column.personal and value else masked(value)
        return mask(raw) if shown == row else _as_json(shown)


def _within(ordered: list[int], first: int, count: int) -> list[int]:
    return ordered[bisect.bisect_left(ordered, first) : bisect.bisect_left(ordered, first + count)]


def _masked_text(value: str, subject: str) -> str:
    return mask(value)


def _masked_json(value: str, subject: str) -> str:
    try:
        read = _json_value(value)
    except ValueError:
        return _NO_JSON
    if _may_be_deep(value) and _depth(read) > _MAX_DEPTH:
        return _NO_JSON
    return _as_json(masked(read))


def _json_value(text: str) -> Any:
    """What a JSON text says, its numbers as written. Raises ValueError."""
    if not _LONG_NUMBER.search(text):  # a shorter one is the same as a double
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            pass  # the other one says why, or is less strict
    try:
        return _DECODER.decode(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    except ArithmeticError as error:
        raise ValueError("a number beyond all size") from error


def _as_plain_number(plain: Callable[[str], str], value: str, subject: str) -> str:
    return plain(value)


def _as_texts(column: Any) -> Any:
    """An Arrow column as text, written as in a CSV file."""
    import pyarrow as pa

    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", column.type.tz))
    return column.cast(pa.string())


def _is_birthday(text: str) -> bool:
    if not _BIRTHDAY.fullmatch(text):
        return False
    try:
        # 1904: a leap year
        date.fromisoformat(f"1904{text[1:]}" if text.startswith("--") else text)
    except ValueError:
        return False
    return True


def _depth(value: Any) -> int:
    """How many levels of objects and lists a JSON value has, looked at no further than it matters."""
    level, depth = [value], 0
    while level and depth <= _MAX_DEPTH:
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        depth += 1
    return depth


def _may_be_deep(text: str) -> bool:
    """Whether there are brackets enough for more levels than a message of an app has."""
    return text.count("{") + text.count("[") > _MAX_DEPTH


def _as_json(value: Any) -> str:
    try:
        return orjson.dumps(value, default=float).decode()
    except TypeError:  # a number of more than 64 bits, half a character
        return _ENCODER.encode(value)


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON value")


_LONG_NUMBER = re.compile(r"\d{16}")
# made once: json.loads and json.dumps make them anew for each call
_DECODER = json.JSONDecoder(parse_float=Decimal, parse_constant=_refuse_constant)
_ENCODER = json.JSONEncoder(ensure_ascii=False, default=float)


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _most_similar(name: str, candidates: Collection[str]) -> str | None:
    folded = {re.sub(r"[\W_]+", "", candidate).casefold(): candidate for candidate in candidates}
    close = difflib.get_close_matches(re.sub(r"[\W_]+", "", name).casefold(), folded, n=1, cutoff=0.6)
    return folded[close[0]] if close else None


def _raw_names(names: Collection[str]) -> dict[str, str]:
    """Undeclared column → its name in the raw table: ``x_`` and the name in lower case, made plain."""
    plain: dict[str, str] = {}
    for name in names:
        candidate = "x_" + re.sub(r"\W+", "_", name.lower())
        # identifiers end at 63 bytes; a shortened or repeated one gets a mark of its own
        if len(candidate.encode()) > 63 or candidate in plain.values():
            mark = hashlib.sha256(name.encode()).hexdigest()[:8]
            candidate = candidate.encode()[:50].decode(errors="ignore") + "_" + mark
        plain[name] = candidate
    return plain


def _gb18030_hint(header: bytes) -> str:
    try:
        header.decode("gb18030")
    except UnicodeDecodeError:
        return ""
    return " It can be read as GB18030: then the manifest must say so."
