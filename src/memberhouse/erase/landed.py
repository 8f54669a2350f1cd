"""The member in the landing area: files are written anew without it, and take the old ones' places later.

A batch stays what it was: as many rows in the same order under the same name. The member's ids become their
tombstones, its values blanks; all other lines are copied as they are. What `ops.batch` knows of the batch's content
changes with it, so that a batch that was taken stays taken.

A file that can't be read (cut, damaged, of no declared feed) was refused, and nothing of it is in the warehouse. When
the member shows in it, its batch goes altogether. So does what a killed delivery left: a folder without a manifest, a
file that the manifest does not list.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from memberhouse.erase.journal import Change
from memberhouse.erase.person import ERASED, Person
from memberhouse.landing import AnyPath, LandedBatch, find_batches, landing_root
from memberhouse.landing.batches import observed_sha256, write_whole
from memberhouse.landing.manifest import MANIFEST_NAME, FileEntry
from memberhouse.sources.contract import Feed
from memberhouse.sources.feeds import FEEDS

_SUFFIX = ".erased"
_GZIP = b"\x1f\x8b"
_PARQUET = b"PAR1"
# What people write between the digits of a phone number.
_BETWEEN_DIGITS = re.compile(rb"[\s().-]|\xe2\x80[\x90-\x95]")


@dataclass(frozen=True)
class _Content:
    """A batch's content as ops.batch knows it: by the manifest, and as it lay there."""

    manifest: str
    sha256: str | None
    observed: str


@dataclass
class Landed:
    """The member in the landing area `area`. rows: by feed. changes: to make when the database has been changed.

    batches: of what the database knows of a batch, before and after.
    """

    area: str
    rows: Counter[str] = field(default_factory=Counter)
    changes: list[Change] = field(default_factory=list)
    batches: list[tuple[LandedBatch, _Content, _Content]] = field(default_factory=list)

    def goes(self, feed: str, place: AnyPath) -> None:
        """A file or folder shows the member and can't be written anew."""
        self.rows[feed] += 1
        self.changes.append(Change(str(place), None, self.area))


def search(root: AnyPath, person: Person, *, prepare: bool) -> Landed:
    """Look through every landed batch. prepare: write what is to take the place of files that name the member, beside
    them, under names that no loader looks at."""
    landed = Landed(str(root))
    batches = find_batches(root)
    for batch in batches:
        if prepare:
            _forget_what_was_prepared(batch.folder)
        _look(batch, person, landed, prepare=prepare)
    known = {str(batch.folder) for batch in batches}
    for source, feed, folder in _folders_of_batches(root):
        if str(folder) not in known and _shows_in(_files_within(folder), person):
            landed.goes(f"{source}/{feed}", folder)
    return landed


def _folders_of_batches(root: AnyPath) -> Iterator[tuple[str, str, AnyPath]]:
    """Whatever lies where batches do: source, feed and folder."""
    for source in _folders(root):
        for feed in _folders(source):
            for day in _folders(feed):
                for store in _folders(day):
                    for folder in _folders(store):
                        yield source.name, feed.name, folder


def _folders(folder: AnyPath) -> list[AnyPath]:
    return [path for path in folder.iterdir() if path.is_dir()]


def _files_within(folder: AnyPath) -> Iterator[AnyPath]:
    for path in folder.iterdir():
        if path.is_dir():
            yield from _files_within(path)
        else:
            yield path


def update_batches(conn: psycopg.Connection[Any], landed: Landed) -> None:
    """Let the database know the changed batches by their new content; no build takes them for changed."""
    for batch, before, after in landed.batches:
        conn.execute(
            "update ops.batch set"
            " manifest = case when content_sha256 is not distinct from %(before)s then %(manifest)s else manifest end,"
            " content_sha256 = case when content_sha256 = %(before)s then %(after)s else content_sha256 end,"
            " observed_sha256 = case when observed_sha256 = %(observed_before)s then %(observed_after)s"
            " else observed_sha256 end"
            " where (source, feed, business_date, store_id, batch_name) = (%(source)s, %(feed)s, %(day)s, %(store)s,"
            " %(name)s) and manifest is not null",
            {
                "before": before.sha256,
                "after": after.sha256,
                "manifest": Jsonb(json.loads(after.manifest)),
                "observed_before": before.observed,
                "observed_after": after.observed,
                "source": batch.source,
                "feed": batch.feed,
                "day": batch.business_date,
                "store": batch.store_id,
                "name": batch.name,
            },
        )


def discard(landed: Landed) -> None:
    """Remove what was prepared and is not wanted."""
    for change in landed.changes:
        if change.prepared is not None:
            landing_root(change.prepared).unlink()


def _forget_what_was_prepared(folder: AnyPath) -> None:
    """What an erasure that never was left behind."""
    for file in folder.iterdir():
        if file.name.startswith(".") and file.name.endswith(_SUFFIX):
            file.unlink()


def _look(batch: LandedBatch, person: Person, landed: Landed, *, prepare: bool) -> None:
    feed = FEEDS.get((batch.source, batch.feed))
    where = f"{batch.source}/{batch.feed}"
    if batch.manifest is None or feed is None:
        if _shows_in(_files_within(batch.folder), person):
            landed.goes(where, batch.folder)
        return
    new: dict[str, bytes] = {}
    for entry in batch.manifest.files:
        path = batch.folder / entry.name
        if not path.is_file():
            continue
        stored = path.read_bytes()
        try:
            content = gzip.decompress(stored) if entry.name.endswith(".gz") else stored
            rows, changed = _rewritten(content, entry, batch.manifest.encoding, feed, person)
        except (OSError, EOFError, zlib.error, ValueError):  # pyarrow's errors are of these kinds
            if _shows_in([path], person):
                landed.goes(where, batch.folder)
                return
            continue
        if rows:
            landed.rows[where] += rows
            new[entry.name] = gzip.compress(changed, mtime=0) if entry.name.endswith(".gz") else changed
    listed = {str(batch.folder / name) for name in (MANIFEST_NAME, *(entry.name for entry in batch.manifest.files))}
    for file in _files_within(batch.folder):
        if str(file) not in listed and _shows_in([file], person):
            landed.goes(where, file)
    if new and prepare:
        _prepare(batch, new, landed)


def _prepare(batch: LandedBatch, new: Mapping[str, bytes], landed: Landed) -> None:
    """Write the files, then the manifest, beside those that they are to replace."""
    assert batch.manifest is not None  # noqa: S101  (only of batches with one)
    manifest = json.loads(batch.manifest_text)
    for entry in manifest["files"]:
        content = new.get(entry["name"])
        if content is None:
            continue
        stored = (batch.folder / entry["name"]).read_bytes()
        # a file that was not what its manifest says stays so
        if hashlib.sha256(stored).hexdigest() == entry["sha256"].lower() and len(stored) == entry["bytes"]:
            entry["sha256"] = hashlib.sha256(content).hexdigest()
            entry["bytes"] = len(content)
        landed.changes.append(_prepared(batch.folder / entry["name"], content, landed.area))
    text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
    landed.changes.append(_prepared(batch.folder / MANIFEST_NAME, text.encode(), landed.area))
    after = batch.manifest.model_validate_json(text)
    landed.batches.append(
        (
            batch,
            _Content(batch.manifest_text, batch.manifest.content_sha256(), observed_sha256(batch)),
            _Content(text, after.content_sha256(), observed_sha256(batch, manifest_text=text, instead=new)),
        )
    )


def _prepared(place: AnyPath, content: bytes, area: str) -> Change:
    prepared = place.with_name(f".{place.name}{_SUFFIX}")
    write_whole(prepared, io.BytesIO(content), durable=True)
    return Change(str(place), str(prepared), area)


# ------------------------------------------------------------------------------------------ one file


def _rewritten(content: bytes, entry: FileEntry, encoding: str, feed: Feed, person: Person) -> tuple[int, bytes]:
    """How many rows name the member, and the file without it. Raises ValueError for what is no such file."""
    if entry.name.endswith(".parquet"):
        return _parquet(content, feed, person)
    if not _may_show(content, encoding, person):
        return 0, content
    # bytes of another encoding go out as they came
    text = content.decode(encoding, errors="surrogateescape")
    rows, text = _json_lines(text, feed, person) if ".jsonl" in entry.name else _csv(text, feed, person)
    return rows, text.encode(encoding, errors="surrogateescape")


def _may_show(content: bytes, encoding: str, person: Person) -> bool:
    """A quick look: most files hold nothing of one member."""
    words = [*person.ids, *person.values, *person.exclusive]
    if not all(word.isascii() for word in words):
        return True
    squeezed = _BETWEEN_DIGITS.sub(b"", content).lower()
    small = content.lower()
    return any(word.lower().encode() in small or word.lower().encode() in squeezed for word in words)


def _csv(text: str, feed: Feed, person: Person) -> tuple[int, str]:
    lines = text.split("\n")
    names: list[str] | None = None
    out: list[str] = []
    rows = 0
    start = 0
    reader = csv.reader((line + "\n" for line in lines), strict=True)
    while True:
        fields: list[str] | None
        try:
            fields = next(reader)
        except StopIteration:
            break
        except csv.Error:
            fields = None
        end = reader.line_num
        record = "\n".join(lines[start:end])
        start = end
        if names is None:
            names = [name.strip().removeprefix("\ufeff") for name in fields or ()]
            out.append(record)
            continue
        new = _csv_record(record, names, fields, feed, person)
        rows += new != record
        out.append(new)
    return rows, "\n".join(out)


def _csv_record(record: str, names: Sequence[str], fields: list[str] | None, feed: Feed, person: Person) -> str:
    if not record.strip("\r"):
        return record
    carriage_return = "\r" if record.endswith("\r") else ""
    if fields is None or len(fields) != len(names):
        # stays a row that can't be taken apart
        return ERASED + carriage_return if person.stands_in_fields(record) else record
    changed = person.erased_landed(feed, dict(zip(names, fields, strict=True)))
    if not changed:
        return record
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(
        changed.get(name, value) for name, value in zip(names, fields, strict=True)
    )
    return out.getvalue() + carriage_return


def _json_lines(text: str, feed: Feed, person: Person) -> tuple[int, str]:
    lines = text.split("\n")
    rows = 0
    for place, line in enumerate(lines):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            if person.stands_in_fields(line):
                lines[place] = json.dumps(ERASED)  # stays a line that is no row
                rows += 1
            continue
        changed = person.erased_landed(feed, row)
        if changed:
            row |= {name: None if value == "" else value for name, value in changed.items()}
            lines[place] = json.dumps(row, ensure_ascii=False)
            rows += 1
    return rows, "\n".join(lines)


def _parquet(content: bytes, feed: Feed, person: Person) -> tuple[int, bytes]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        table = parquet.read_table(io.BytesIO(content))
        rows = table.to_pylist()
        changes = [person.erased_landed(feed, row) for row in rows]
        number = sum(map(bool, changes))
        if not number:
            return 0, content
        touched = set().union(*changes)
        schema = pa.schema(
            # a number gives way to a name
            [pa.field(each.name, pa.string()) if _is_id(feed, each.name) and each.name in touched else each
             for each in table.schema]
        )  # fmt: skip
        for row, changed in zip(rows, changes, strict=True):
            row |= {name: value if value != "" else None for name, value in changed.items()}
            row |= {name: str(row[name]) for name in touched if _is_id(feed, name) and row[name] is not None}
        out = io.BytesIO()
        parquet.write_table(pa.Table.from_pylist(rows, schema), out)
    except pa.ArrowException as error:
        raise ValueError("no readable Parquet file") from error
    return number, out.getvalue()


def _is_id(feed: Feed, name: str) -> bool:
    column = feed.column(name)
    return column is not None and column.names_member is not None


# ------------------------------------------------------------------------------------------ what can't be read


def _shows_in(files: Iterable[AnyPath], person: Person) -> bool:
    return any(_shows(_as_far_as_readable(file.read_bytes()), person) for file in files)


def _as_far_as_readable(stored: bytes) -> bytes:
    """By what a file begins with: half a file has another name."""
    if stored.startswith(_PARQUET):
        return _parquet_as_lines(stored)
    if not stored.startswith(_GZIP):
        return stored
    readable = b""
    while stored:  # a file may be several, one after the other
        inflater = zlib.decompressobj(wbits=31)
        begin = 0
        try:
            while begin < len(stored) and not inflater.eof:
                readable += inflater.decompress(stored[begin : begin + (1 << 10)])
                begin += 1 << 10
        except zlib.error:
            break
        stored = inflater.unused_data + stored[begin:]
    return readable


def _parquet_as_lines(stored: bytes) -> bytes:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        rows = parquet.read_table(io.BytesIO(stored)).to_pylist()
    except (pa.ArrowException, OSError):
        return stored
    return "\n".join(json.dumps(row, ensure_ascii=False, default=str) for row in rows).encode()


def _shows(content: bytes, person: Person) -> bool:
    """Whether a text that can't be taken apart names the member; short ids are fields of their own there."""
    text = content.decode("utf-8", errors="replace")
    if person.in_text.search(text):
        return True
    return any(person.stands_in_fields(line) for line in text.splitlines())
