"""Faults planted in a chain that was written clean, each written down with what it must come to.

Every planted row stands beside the sound ones, and every batch that is spoilt is delivered once more,
sound, as a later revision: what a warehouse holds in the end is what the clean chain holds.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import csv as arrow_csv
from pyarrow import parquet

from memberhouse.landing.batches import NewFile, write_batch
from memberhouse.landing.manifest import EVERY_STORE, MANIFEST_NAME
from memberhouse.simulate.chain.landing import Landed, Lander, batch_name, delivered_later, produced_at
from memberhouse.simulate.chain.plan import MESS, Plan
from memberhouse.simulate.chain.world import POP_UP, POP_UP_UNKNOWN_DAYS
from memberhouse.simulate.tables import csv_bytes
from memberhouse.sources.feeds import FEEDS

LEDGER = "ledger.csv"
# A batch with a twentieth of bad rows is still taken: one bad row needs so many good ones beside it.
ROOM_FOR_ONE = 20
_LATE_DAYS = (3, 17, 40)
_TILL_FEEDS = ("receipts", "receipt_lines", "tenders", "z_totals")

# A row's values by column, changed in place, as the bytes that are planted.
Change = Callable[[dict[str, Any]], bytes]


@dataclass(frozen=True)
class Fault:
    """A planted fault and what must become of it.

    line_no: of the planted row; empty: it is about the batch. key: whom or what it is about. outcome:
    loaded, superseded, duplicate, quarantined:<reason code> or refused:<refusal code>. amount: of the
    feed's money column. delivered_on: the date on which the batch arrives.
    """

    kind: str
    source: str
    feed: str
    business_date: date
    store_id: str
    batch: str
    file: str
    line_no: int | None
    key: str
    outcome: str
    rows: int
    amount: Decimal | None
    delivered_on: date
    remark: str = ""


class Mess:
    """Spoils some of the landed batches; each batch once."""

    def __init__(self, out: Path, plan: Plan, lander: Lander) -> None:
        self.out, self.plan, self.lander = out, plan, lander
        self.ledger: list[Fault] = []
        self.without_room: list[str] = []
        self._chance = plan.chance(MESS)
        self._used: set[tuple[str, str, date, str]] = set()

    def plant(self, popped_up: int) -> None:
        """All faults. popped_up: the day on which the pop-up store, unknown for a while, opens."""
        self._unknown_for_a_while(popped_up)
        self._late()
        self._late_store()
        self._late_enrolments()
        for kind, source, feed, code, change in _BAD_ROWS:
            self._bad_row(kind, source, feed, code, change)
        self._duplicate_row()
        self._overlap()
        self._accepted()
        self._spoilt()
        self._revised()
        self._resent()
        self._never_declared()

    def note(self, fault: Fault) -> None:
        self.ledger.append(fault)

    def write(self, folder: Path) -> None:
        """The ledger as CSV, in the order of planting."""
        names = [each.name for each in fields(Fault)]
        rows = {name: [getattr(fault, name) for fault in self.ledger] for name in names}
        rows["amount"] = [None if amount is None else str(amount) for amount in rows["amount"]]
        content = csv_bytes(pa.table({name: pa.array(values) for name, values in rows.items()}), quoted=True)
        (folder / LEDGER).write_bytes(content)

    # ---------------------------------------------------------------- batches

    def _pick(self, source: str, feed: str, rows: int = 1, store: str | None = EVERY_STORE) -> Landed | None:
        """A batch that is whole and has so many rows, not of the first date."""
        found = [
            batch
            for batch in self.lander.landed
            if (batch.source, batch.feed) == (source, feed)
            and batch.rows >= rows
            and (store is None or batch.store_id == store)
            and batch.business_date > self.plan.first_day
            and _place(batch) not in self._used
        ]
        if not found:
            return None
        batch = found[int(self._chance.integers(0, len(found)))]
        self._used.add(_place(batch))
        return batch

    def _folder(self, batch: Landed) -> Path:
        return self.out / batch.source / batch.feed / batch.business_date.isoformat() / batch.store_id / batch.name

    def _content(self, batch: Landed) -> bytes:
        return gzip.decompress((self._folder(batch) / _file_name(batch)).read_bytes())

    def rewrite(
        self,
        batch: Landed,
        content: bytes,
        *,
        rows: int | None = None,
        amount: Decimal | None = None,
        arrives: datetime | None = None,
        revision: int = 0,
        file_name: str = "",
        encoding: str = "utf-8",
        extra: Mapping[str, Any] | None = None,
    ) -> Path:
        folder = self._folder(batch)
        if folder.exists():
            shutil.rmtree(folder)
        file = NewFile(
            file_name or _file_name(batch),
            content,
            batch.rows if rows is None else rows,
            batch.amount if amount is None else amount,
        )
        return write_batch(
            self.out,
            source=batch.source,
            feed=batch.feed,
            business_date=batch.business_date,
            store_id=batch.store_id,
            name=batch.name,
            files=[file],
            produced_at=arrives or produced_at(batch.business_date),
            revision=revision,
            encoding=encoding,
            extra=extra,
            durable=False,
        )

    def _log(self, kind: str, batch: Landed, outcome: str, **other: Any) -> None:
        fault = Fault(
            kind=kind,
            source=batch.source,
            feed=batch.feed,
            business_date=batch.business_date,
            store_id=batch.store_id,
            batch=batch.name,
            file=_file_name(batch),
            line_no=None,
            key="",
            outcome=outcome,
            rows=batch.rows,
            amount=batch.amount,
            delivered_on=produced_at(batch.business_date).date() + timedelta(days=1),
        )
        self.note(replace(fault, **other))

    # ---------------------------------------------------------------- late, unknown

    def _late(self) -> None:
        """All till feeds of a date arrive days later."""
        for days in _LATE_DAYS:
            receipts = self._pick("pos", "receipts")
            if receipts is None:
                self.without_room.append("late_day")
                continue
            for batch in self._of_tills(receipts.business_date):
                self._used.add(_place(batch))
                arrives = delivered_later(batch.business_date, days)
                self.rewrite(batch, self._content(batch), arrives=arrives)
                self._log("late_day", batch, "loaded", delivered_on=arrives.date(), remark=f"{days} days late")

    def _late_enrolments(self) -> None:
        """Cards are used days before their enrolment arrives."""
        batch = self._pick("pos", "enrolments")
        if batch is None:
            self.without_room.append("late_enrolments")
            return
        arrives = delivered_later(batch.business_date, 12)
        self.rewrite(batch, self._content(batch), arrives=arrives)
        self._log("late_enrolments", batch, "loaded", delivered_on=arrives.date(), remark="12 days late")

    def _of_tills(self, day: date) -> list[Landed]:
        return [
            batch
            for batch in self.lander.landed
            if batch.business_date == day and batch.feed in _TILL_FEEDS and batch.store_id == EVERY_STORE
        ]

    def _late_store(self) -> None:
        """One store is missing in a date's files and comes by itself nine days later."""
        receipts = self._pick("pos", "receipts", 2)
        if receipts is None:
            self.without_room.append("late_store")
            return
        store = self._content(receipts).splitlines()[1].split(b",")[0].decode()
        arrives = delivered_later(receipts.business_date, 9)
        for batch in self._of_tills(receipts.business_date):
            self._used.add(_place(batch))
            header, *lines = self._content(batch).splitlines(keepends=True)
            mine = [line for line in lines if line.startswith(store.encode() + b",")]
            others = [line for line in lines if not line.startswith(store.encode() + b",")]
            amount = _amount(batch, header, mine)
            left = (batch.amount or Decimal(0)) - amount
            self.rewrite(batch, header + b"".join(others), rows=len(others), amount=left)
            alone = replace(
                batch,
                store_id=store,
                name=batch_name(batch.feed, batch.business_date, store),
                rows=len(mine),
                amount=amount,
            )
            self.rewrite(alone, header + b"".join(mine), arrives=arrives)
            self._log("late_store", alone, "loaded", delivered_on=arrives.date(), remark="9 days late")

    def _unknown_for_a_while(self, opened: int) -> None:
        """The pop-up's rows of the days before head office tells of it."""
        known_on = self.plan.date_of(opened + POP_UP_UNKNOWN_DAYS)
        for day in range(opened, opened + POP_UP_UNKNOWN_DAYS):
            for batch in self._of_tills(self.plan.date_of(day)):
                self._used.add(_place(batch))
                header, *lines = self._content(batch).splitlines()
                found = [place for place, line in enumerate(lines, 2) if line.startswith(POP_UP.encode() + b",")]
                if len(found) * ROOM_FOR_ONE > len(lines):
                    self._log("unknown_store_for_a_while", batch, "refused:unknown_stores", key=POP_UP)
                    continue
                for place in found:
                    self._log(
                        "unknown_store_for_a_while",
                        batch,
                        "quarantined:unknown_store",
                        line_no=place,
                        key=POP_UP,
                        rows=1,
                        amount=_amount(batch, header, [lines[place - 2]]),
                        remark=f"replayed when the stores file of {known_on} is in",
                    )

    # ---------------------------------------------------------------- rows

    def _bad_row(self, kind: str, source: str, feed: str, code: str, change: Change) -> None:
        """A copy of the last row, spoilt, as one row more."""
        batch = self._pick(source, feed, ROOM_FOR_ONE, None if source == "app" else EVERY_STORE)
        if batch is None:
            self.without_room.append(kind)
            return
        content = self._content(batch)
        lines = content.splitlines()
        if source == "app":
            planted, amount = change(json.loads(lines[-1])), None
            line_no = len(lines) + 1
        else:
            header = lines[0].decode().split(",")
            row = dict(zip(header, lines[-1].decode().split(","), strict=True))
            planted = change(row)
            amount = _readable(row, batch)
            line_no = len(lines) + 1
        self.rewrite(
            batch,
            content + planted + b"\n",
            rows=batch.rows + 1,
            amount=None if batch.amount is None else batch.amount + (amount or Decimal(0)),
        )
        self._log(kind, batch, f"quarantined:{code}", line_no=line_no, rows=1, amount=amount)

    def _duplicate_row(self) -> None:
        batch = self._pick("pos", "receipt_lines", ROOM_FOR_ONE)
        if batch is None:
            self.without_room.append("duplicate_row")
            return
        content = self._content(batch)
        header, *_, last = content.splitlines()
        amount = _amount(batch, header, [last])
        total = (batch.amount or Decimal(0)) + amount
        self.rewrite(batch, content + last + b"\n", rows=batch.rows + 1, amount=total)
        self._log("duplicate_row", batch, "duplicate", line_no=batch.rows + 2, rows=1, amount=amount)

    def _overlap(self) -> None:
        """An extract of the app that begins before the last one ended: rows of the day before come again."""
        batch = self._pick("app", "contact_states", ROOM_FOR_ONE)
        if batch is None:
            self.without_room.append("overlap")
            return
        before = next(
            each
            for each in reversed(self.lander.landed)
            if each.feed == batch.feed and each.business_date < batch.business_date and _place(each) not in self._used
        )
        self._used.add(_place(before))
        again = self._content(before).splitlines(keepends=True)[-3:]
        content = self._content(batch)
        self.rewrite(batch, content + b"".join(again), rows=batch.rows + len(again))
        for place in range(len(again)):
            self._log("overlap", batch, "duplicate", line_no=batch.rows + 1 + place, rows=1)

    # ---------------------------------------------------------------- accepted oddities

    def _accepted(self) -> None:
        for kind, feed, change, how in _ACCEPTED:
            batch = self._pick("pos", feed)
            if batch is None:
                self.without_room.append(kind)
                continue
            self.rewrite(batch, change(self._content(batch)), **how)
            self._log(kind, batch, "loaded", file=how.get("file_name", _file_name(batch)))
        batch = self._pick("pos", "z_totals", 2)
        if batch is not None:
            content = self._content(batch)
            half = content.index(b"\n") + 1
            folder = self.rewrite(batch, content)
            parts = gzip.compress(content[:half], mtime=0) + gzip.compress(content[half:], mtime=0)
            _store(folder, _file_name(batch), parts, told=True)
            self._log("gzip_of_two_members", batch, "loaded")
        notes = self._pick("reference", "ops_notes")
        if notes is not None:
            header, *rows = csv.reader(io.StringIO(self._content(notes).decode(), newline=""))
            place = header.index("text")
            rows[0][place] += '\n第二行，有"引号"'
            rows[1][place] = "=cmd()"
            self.rewrite(notes, _csv([header, *rows]))
            self._log("newline_and_formula_in_text", notes, "loaded")

    # ---------------------------------------------------------------- whole batches

    def _spoilt(self) -> None:
        """Batches that must be refused whole, each delivered again, sound, a day later as revision 1."""
        for code, source, feed, spoil in _SPOILT:
            batch = self._pick(source, feed, 2)
            if batch is None:
                self.without_room.append(code)
                continue
            content = self._content(batch)
            spoil(self, batch, content)
            self._log(f"spoilt_{code}", batch, f"refused:{code.partition('/')[0]}")
            self._again(batch, content, f"spoilt_{code}")

    def _again(self, batch: Landed, content: bytes, kind: str) -> None:
        again = replace(batch, name=f"{batch.name}-again")
        arrives = delivered_later(batch.business_date, 1)
        self.rewrite(again, content, revision=1, arrives=arrives)
        self._log(kind, again, "loaded", delivered_on=arrives.date(), remark=f"the sound revision of {batch.name}")

    def _revised(self) -> None:
        """A till first sends half of its rows, then all of them."""
        for feed in ("z_totals", "receipt_lines"):
            batch = self._pick("pos", feed, 4)
            if batch is None:
                self.without_room.append("revised")
                continue
            content = self._content(batch)
            header, *lines = content.splitlines(keepends=True)
            half = lines[: len(lines) // 2]
            amount = _amount(batch, header, half)
            self.rewrite(batch, header + b"".join(half), rows=len(half), amount=amount)
            self._log("revised", batch, "superseded", rows=len(half), amount=amount)
            self._again(batch, content, "revised")

    def _resent(self) -> None:
        """The same content under another name."""
        for source, feed in (("pos", "receipts"), ("app", "contacts")):
            batch = self._pick(source, feed)
            if batch is None:
                self.without_room.append("resent")
                continue
            twin = replace(batch, name=f"{batch.name}-resent")
            arrives = delivered_later(batch.business_date, 2)
            self.rewrite(twin, self._content(batch), arrives=arrives)
            self._log("resent", twin, "duplicate", delivered_on=arrives.date())

    def _never_declared(self) -> None:
        """A feed that no contract knows."""
        day = self.plan.date_of(self.plan.days // 2)
        batch = Landed("pos", "gift_cards", day, EVERY_STORE, batch_name("gift_cards", day, EVERY_STORE), 1, None)
        self.rewrite(batch, b"card_no,amount\n1,100.00\n")
        self._log("undeclared_feed", batch, "refused:unknown_feed")


# ---------------------------------------------------------------- bad rows


def _with(**values: str) -> Change:
    """The row with other values; the dictionary too, so that its money can be read."""

    def change(row: dict[str, Any]) -> bytes:
        row.update(values)
        return _line(row)

    return change


def _line(row: dict[str, Any]) -> bytes:
    return _csv([list(row.values())]).removesuffix(b"\n")


def _csv(rows: Sequence[Sequence[Any]]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue().encode()


def _shifted(column: str, days: int) -> Change:
    def change(row: dict[str, Any]) -> bytes:
        row[column] = (datetime.fromisoformat(row[column]) + timedelta(days=days)).isoformat()
        return _line(row)

    return change


def _ragged(row: dict[str, Any]) -> bytes:
    row.popitem()
    line = _line(row)
    row.clear()
    return line


def _in_gbk(row: dict[str, Any]) -> bytes:
    row["cashier_id"] = "王"
    return _line(row).decode().encode("gb18030")


def _badly_quoted(row: dict[str, Any]) -> bytes:
    row["cashier_id"] = "?"
    line = _line(row).replace(b",?,", b',"E1"x,')
    row.clear()
    return line


def _contradicting(row: dict[str, Any]) -> bytes:
    row["net_amount"] = str(Decimal(row["net_amount"]) - 1)
    return _line(row)


def _json(**values: Any) -> Change:
    return lambda row: json.dumps(row | values, ensure_ascii=False).encode()


_NEW = {"receipt_no": "999901"}
_SALE = {**_NEW, "receipt_type": "sale"}

# kind, source, feed, reason code, what is done to a copy of the last row
_BAD_ROWS: tuple[tuple[str, str, str, str, Change], ...] = (
    ("nan_money", "pos", "receipt_lines", "wrong_type", _with(**_NEW, net_amount="NaN")),
    ("infinite_money", "pos", "receipts", "wrong_type", _with(**_NEW, net_amount="Infinity")),
    ("thousands_separator", "pos", "tenders", "wrong_type", _with(**_NEW, amount="1,234.50")),
    ("impossible_date", "pos", "receipt_lines", "wrong_type", _with(**_NEW, business_date="2026-02-30")),
    ("nul_byte", "pos", "receipts", "nul_byte", _with(**_NEW, cashier_id="E0\x00")),
    ("ragged_row", "pos", "receipt_lines", "ragged_row", _ragged),
    ("oversized_field", "pos", "receipts", "oversized_field", _with(**_NEW, cashier_id="9" * 140_000)),
    ("unknown_store", "pos", "receipts", "unknown_store", _with(**_NEW, store_id="S999")),
    ("from_the_future", "pos", "receipts", "after_production", _shifted("sold_at", 3)),
    ("wrong_business_date", "pos", "receipts", "wrong_business_date", _shifted("sold_at", -5)),
    ("negative_sale", "pos", "receipt_lines", "negative_in_sale", _with(**_SALE, quantity="-1")),
    ("positive_return", "pos", "tenders", "positive_in_return", _with(**_NEW, receipt_type="return", amount="10.00")),
    ("no_product", "pos", "receipt_lines", "missing_value", _with(**_NEW, sku="")),
    ("unknown_tender", "pos", "tenders", "not_a_choice", _with(**_NEW, tender_type="bitcoin")),
    ("other_content", "pos", "receipt_lines", "contradicts_earlier_row", _contradicting),
    ("other_encoding", "pos", "receipts", "wrong_encoding", _in_gbk),
    ("badly_quoted", "pos", "receipts", "broken_quoting", _badly_quoted),
    ("hour_24", "pos", "footfall", "no_such_hour", _with(hour="24")),
    ("negative_visitors", "pos", "footfall", "negative_count", _with(hour="23", visitors="-3")),
    ("half_an_object", "app", "contact_states", "poison_json", lambda row: json.dumps(row).encode()[:-8]),
    (
        "deep_json",
        "app",
        "contact_states",
        "poison_json",
        lambda row: b'{"contact_id": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    ),
    ("lone_surrogate", "app", "contact_states", "poison_json", lambda row: b'{"contact_id": "\\ud800"}'),
    ("list_for_a_row", "app", "contact_states", "poison_json", lambda row: b'["not", "an", "object"]'),
    (
        "event_of_the_future",
        "app",
        "points_entries",
        "after_production",
        _json(entry_id="P0", at="2099-01-01T00:00:00Z"),
    ),
    ("unknown_state", "app", "contact_states", "not_a_choice", _json(state="teleported")),
    ("event_with_other_payload", "app", "events", "contradicts_earlier_row", _json(name="tampered")),
)


# ---------------------------------------------------------------- accepted


def _in_gb18030(content: bytes) -> bytes:
    return content.decode().encode("gb18030")


def _reordered(content: bytes) -> bytes:
    return b"".join(b",".join(reversed(line.split(b","))) + b"\n" for line in content.splitlines())


def _without_offset(content: bytes) -> bytes:
    """Times as the store's clock shows them, and no word of its zone."""
    return re.sub(rb"(T\d\d:\d\d:\d\d)[+-]\d\d:\d\d", rb"\1", content)


def _with_column(content: bytes) -> bytes:
    header, *lines = content.splitlines()
    return b"".join([header + b",promotion\n", *(line + b",SPRING\n" for line in lines)])


def _with_commas_for_points(content: bytes) -> bytes:
    """Amounts as 1.234,50."""
    header, *rows = csv.reader(io.StringIO(content.decode(), newline=""))
    place = header.index("amount")
    swapped = str.maketrans(",.", ".,")
    return _csv(
        [header, *([*row[:place], f"{Decimal(row[place]):,}".translate(swapped), *row[place + 1 :]] for row in rows)]
    )


def _as_parquet(content: bytes) -> bytes:
    names = content.partition(b"\n")[0].decode().split(",")
    texts = arrow_csv.ConvertOptions(column_types={name: pa.string() for name in names}, strings_can_be_null=True)
    out = io.BytesIO()
    parquet.write_table(arrow_csv.read_csv(io.BytesIO(content), convert_options=texts), out)
    return out.getvalue()


# kind, feed, what is done to the content, what the batch says of it
_ACCEPTED: tuple[tuple[str, str, Callable[[bytes], bytes], dict[str, Any]], ...] = (
    ("declared_gb18030", "enrolments", _in_gb18030, {"encoding": "gb18030"}),
    ("byte_order_mark", "receipts", lambda content: b"\xef\xbb\xbf" + content, {}),
    ("reordered_columns", "tenders", _reordered, {}),
    ("extra_column", "receipt_lines", _with_column, {}),
    ("no_offset", "receipts", _without_offset, {}),
    ("declared_numbers", "tenders", _with_commas_for_points, {"extra": {"number_format": "1.234,50"}}),
    ("parquet", "receipt_lines", _as_parquet, {"file_name": "receipt_lines.parquet"}),
)


# ---------------------------------------------------------------- whole batches

Spoil = Callable[[Mess, Landed, bytes], None]


def _store(folder: Path, name: str, stored: bytes, *, told: bool) -> None:
    """Put these bytes in the place of a file. told: the manifest says so."""
    (folder / name).write_bytes(stored)
    if told:
        manifest = json.loads((folder / MANIFEST_NAME).read_text())
        manifest["files"][0] |= {"bytes": len(stored), "sha256": hashlib.sha256(stored).hexdigest()}
        (folder / MANIFEST_NAME).write_text(json.dumps(manifest, indent=2) + "\n")


def _stored(change: Callable[[bytes], bytes], *, told: bool) -> Spoil:
    """The batch with its stored file changed."""

    def spoil(mess: Mess, batch: Landed, content: bytes) -> None:
        folder = mess.rewrite(batch, content)
        name = _file_name(batch)
        _store(folder, name, change((folder / name).read_bytes()), told=told)

    return spoil


def _changed(change: Callable[[bytes], bytes]) -> Spoil:
    """The batch with other content, of which its manifest tells the truth but for what the content says."""

    def spoil(mess: Mess, batch: Landed, content: bytes) -> None:
        mess.rewrite(batch, change(content))

    return spoil


def _said(**values: Any) -> Spoil:
    """The batch with a manifest that says something else."""

    def spoil(mess: Mess, batch: Landed, content: bytes) -> None:
        folder = mess.rewrite(batch, content)
        manifest = json.loads((folder / MANIFEST_NAME).read_text()) | values
        (folder / MANIFEST_NAME).write_text(json.dumps(manifest, indent=2) + "\n")

    return spoil


def _other_figures(rows: int, amount: int) -> Spoil:
    def spoil(mess: Mess, batch: Landed, content: bytes) -> None:
        total = None if batch.amount is None else batch.amount + amount
        mess.rewrite(batch, content, rows=batch.rows + rows, amount=total)

    return spoil


def _without_file(mess: Mess, batch: Landed, content: bytes) -> None:
    (mess.rewrite(batch, content) / _file_name(batch)).unlink()


def _altered_after(mess: Mess, batch: Landed, content: bytes) -> None:
    """Not compressed, and one digit other than when its checksum was taken."""
    name = f"{batch.feed}.csv"
    folder = mess.rewrite(batch, content, file_name=name)
    digit = content[-2:-1]
    other = b"7" if digit != b"7" else b"8"
    _store(folder, name, content[:-2] + other + b"\n", told=False)


def _flipped(stored: bytes) -> bytes:
    """A bit of the checksum at the end of a gzip stream turned over."""
    return stored[:-6] + bytes([stored[-6] ^ 1]) + stored[-5:]


def _chinese_header(content: bytes) -> bytes:
    header, *lines = content.decode().splitlines()
    return "\n".join([f"{header},备注", *(f"{line},老客" for line in lines), ""]).encode("gb18030")


def _open_quote(content: bytes) -> bytes:
    at = content.rindex(b",")
    return content[: at + 1] + b'"' + content[at + 1 :]


def _with_commas(content: bytes) -> bytes:
    """Every amount written as 1,234.50: far more than a twentieth of the rows is bad."""
    rows = list(csv.reader(io.StringIO(content.decode(), newline="")))
    place = rows[0].index("net_amount")
    return _csv([rows[0], *([*row[:place], f"1,{row[place]}", *row[place + 1 :]] for row in rows[1:])])


# refusal code (and a variant), source, feed, what is done to the batch
_SPOILT: tuple[tuple[str, str, str, Spoil], ...] = (
    ("checksum_differs", "pos", "z_totals", _altered_after),
    ("size_differs", "pos", "receipts", _stored(lambda stored: stored[: len(stored) * 3 // 5], told=False)),
    ("truncated_gzip", "pos", "tenders", _stored(lambda stored: stored[: len(stored) * 3 // 5], told=True)),
    ("damaged_gzip", "pos", "receipt_lines", _stored(_flipped, told=False)),
    ("trailing_garbage", "pos", "footfall", _stored(lambda stored: stored + b"and more", told=True)),
    ("row_count_differs", "pos", "receipts", _other_figures(1, 0)),
    ("amount_differs", "pos", "receipt_lines", _other_figures(0, 100)),
    ("empty_file", "pos", "member_tiers", _stored(lambda stored: b"", told=True)),
    ("missing_column", "pos", "tenders", _changed(lambda content: content.replace(b"amount,", b"amt,", 1))),
    ("duplicate_header", "pos", "receipts", _changed(lambda content: content.replace(b"revision", b"store_id", 1))),
    ("unclosed_quote", "pos", "receipts", _changed(_open_quote)),
    ("wrong_encoding", "pos", "enrolments", _changed(_chinese_header)),
    ("too_many_bad_rows/encoding", "pos", "enrolments", _changed(_in_gb18030)),
    ("too_many_bad_rows/money", "pos", "receipts", _changed(_with_commas)),
    ("file_missing", "app", "contacts", _without_file),
    ("bad_manifest", "app", "coupons", _said(revision="first")),
    ("manifest_misplaced", "app", "consents", _said(store_id="S001")),
)


def _place(batch: Landed) -> tuple[str, str, date, str]:
    return (batch.source, batch.feed, batch.business_date, batch.store_id)


def _file_name(batch: Landed) -> str:
    return f"{batch.feed}.{'jsonl' if batch.source == 'app' else 'csv'}.gz"


def _amount(batch: Landed, header: bytes, lines: Sequence[bytes]) -> Decimal:
    """The sum of the feed's money over lines without quotes."""
    declared = FEEDS[batch.source, batch.feed]
    if declared.money is None:
        return Decimal(0)
    place = header.decode().strip().split(",").index(declared.money)
    return sum((Decimal(line.decode().strip("\n").split(",")[place]) for line in lines), Decimal(0))


def _readable(row: dict[str, Any], batch: Landed) -> Decimal | None:
    """The planted row's money, where a loader can read it."""
    money = FEEDS[batch.source, batch.feed].money
    try:
        amount = Decimal(row[money or ""])
    except (KeyError, ArithmeticError):
        return None
    return amount if amount.is_finite() else None
