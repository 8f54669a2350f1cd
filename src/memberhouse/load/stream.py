"""One connection that loads batches, one after the other, each in a transaction of its own.

A batch's entry in ``ops.batch``, its rows, its quarantined rows and its balances commit together or
not at all. The same batch again changes nothing; a higher revision takes the place of the batches of
the same source, feed, business date and store, whose rows stay in ``raw``.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from memberhouse.erase import journal
from memberhouse.landing import LandedBatch, Manifest
from memberhouse.landing.batches import observed_sha256
from memberhouse.load import accounts, beside, checks
from memberhouse.load.reader import FileReader, Located, Reject
from memberhouse.load.refused import Refused
from memberhouse.load.report import BatchResult, LoadReport
from memberhouse.sources.contract import Feed
from memberhouse.sources.feeds import FEEDS
from memberhouse.sources.raw_tables import ensure_extra_columns
from memberhouse.vault import Tokens, Values, mask

_REASONS_SHOWN = 3
CONTRADICTION = "contradicts_earlier_row"
# The second one: few enough rows would be bad if the list of stores had them all.
TOO_MANY_BAD_ROWS, UNKNOWN_STORES = "too_many_bad_rows", "unknown_stores"
# So many are put aside however few rows are beside them: orders come one batch a business date, and one that is
# refused for its only bad row comes again as it is, and holds the watermark, for ever.
BAD_ROWS_OF_AN_EXTRACTION = 20

# How values are written that senders write in many ways.
_EXAMPLES = {
    "money": "1234.50",
    "price": "1234.5000",
    "quantity": "-1.250",
    "date": "2026-03-02",
    "timestamp": "2026-03-02T18:30:00+08:00",
    "boolean": "true",
}

_NOTICE = re.compile(r'at line (\d+) for column "(.*?)": (?:"(.*)"|null input)$', re.DOTALL)

Place = tuple[str, str, date, str]
# Of a row that COPY skipped: the line of the stream on which it ended, the column, the value.
Notice = tuple[int, str, str | None]
# A batch to take, and a checksum over what lies there of it, where that was looked at already.
Waiting = tuple[LandedBatch, str | None]


@dataclass(frozen=True)
class _Entry:
    """A row of ``ops.batch``, as far as later batches depend on it."""

    batch_id: int
    store_id: str
    name: str
    revision: int
    content: str | None
    state: str
    observed: str | None
    refusal_code: str | None
    change_no: int


_ENTRY_COLUMNS = sql.SQL(
    "batch_id, store_id, batch_name, revision, content_sha256, state, observed_sha256, refusal_code, change_no"
)

_SELECT_DAY = sql.SQL("select {} from ops.batch where source = %s and feed = %s and business_date = %s").format(
    _ENTRY_COLUMNS
)

_COPY_BALANCE = (
    "copy ops.load_balance (batch_id, file_name, outcome, store_id, business_date, rows, amount,"
    " rows_without_amount) from stdin"
)

_COPY_REJECTED = (
    "copy quarantine.rejected_row (batch_id, source, feed, file_name, line_no, reason_code, column_name,"
    " reason, raw_text, row) from stdin"
)


def not_done_yet(conn: psycopg.Connection[Any], batches: Sequence[LandedBatch], report: LoadReport) -> list[Waiting]:
    """The batches to take, each with what its files hold where that was looked at already."""
    places: dict[Place, list[_Entry]] = defaultdict(list)
    rows = conn.execute(sql.SQL("select source, feed, business_date, {} from ops.batch").format(_ENTRY_COLUMNS))
    for source, feed, business_date, *columns in rows:
        entry = _Entry(*columns)
        places[source, feed, business_date, entry.store_id].append(entry)
    newest_stores = max(
        (
            entry.change_no
            for (source, feed, _, _), entries in places.items()
            if (source, feed) == ("reference", "stores")
            for entry in entries
            if entry.state == "loaded"
        ),
        default=0,
    )
    waiting: list[Waiting] = []
    for batch in batches:
        entries = places.get(batch.place, [])
        if _is_taken(batch, entries):
            report.unchanged += 1
            continue
        observed = None
        refusals = [entry for entry in entries if entry.name == batch.name and entry.state == "refused"]
        if refusals:
            last = max(refusals, key=lambda entry: entry.batch_id)
            observed = observed_sha256(batch)
            stores_came = last.refusal_code == UNKNOWN_STORES and newest_stores > last.change_no
            if last.observed == observed and not stores_came:
                report.still_refused.append(str(batch))
                continue
        waiting.append((batch, observed))
    return waiting


class Stream:
    """Loads batches one after the other over a connection of its own.

    erasures: how many there had been when the batches were looked for.
    """

    def __init__(self, conn: psycopg.Connection[Any], tokens: Tokens, bad_share: float, erasures: int) -> None:
        self._conn = conn
        self._erasures = erasures
        self._tokens = tokens
        self._bad_share = bad_share
        self._notices: list[Notice] = []
        for setting in (
            "set client_min_messages = notice",
            "set timezone = 'UTC'",
            "set datestyle = 'ISO, YMD'",
            # A batch whose commit a crash takes back is simply loaded again; the end of the load
            # waits for the disk, once for all of them.
            "set synchronous_commit = off",
            # The planner does not know yet how many rows a new batch has, nor how well they lie together.
            "set enable_seqscan = off",
            "set enable_sort = off",
            # Streams are as many processes as are wanted.
            "set max_parallel_workers_per_gather = 0",
        ):
            conn.execute(setting)
        conn.add_notice_handler(self._take_notice)
        if conn.execute("select from ops.known_store limit 1").fetchone() is None:
            checks.keep_stores(conn)

    def wait_for_the_disk(self) -> None:
        """Return when everything that was committed is on disk."""
        self._conn.execute("set synchronous_commit = on")
        self._conn.execute("select pg_logical_emit_message(true, 'memberhouse', 'load finished')")

    # ---------------------------------------------------------------- one batch

    def take(self, batch: LandedBatch, observed: str | None) -> BatchResult | None:
        """Load, or record why not. None: another loader was faster."""
        try:
            if batch.problem is not None or batch.manifest is None:
                problem = batch.problem
                raise Refused(
                    problem.code if problem else "bad_manifest",
                    problem.message if problem else "no manifest",
                    "Correct the manifest or its place, or have the batch delivered again.",
                )
            feed = FEEDS[batch.source, batch.feed]
            values = Values(self._tokens)
            readers = [
                FileReader(batch.folder, entry, file_no, batch.manifest, feed, values)
                for file_no, entry in enumerate(batch.manifest.files, 1)
            ]
            return self._load(batch, batch.manifest, feed, readers, values)
        except Refused as refusal:
            return self._refuse(batch, refusal, observed)
        except (
            psycopg.DataError,
            # a key too long for an index, JSON nested without end
            psycopg.errors.ProgramLimitExceeded,
            psycopg.errors.StatementTooComplex,
        ) as error:
            unloadable = Refused(
                "database_refused",
                f"The database would not take the batch: {str(error).splitlines()[0]}.",
                "Look at the named line of the file; if it seems right, this is a bug worth reporting.",
            )
            return self._refuse(batch, unloadable, observed)

    def _load(
        self, batch: LandedBatch, manifest: Manifest, feed: Feed, readers: Sequence[FileReader], values: Values
    ) -> BatchResult | None:
        for reader in readers:
            reader.open()
            # outside the batch's transaction: altering a table locks it until the transaction ends
            if reader.extra_columns:
                ensure_extra_columns(self._conn, feed, reader.extra_columns)
        with self._conn.transaction():
            day = self._lock_and_look(batch, feed)
            here = [entry for entry in day if entry.store_id == batch.store_id]
            if _is_taken(batch, here):
                return None
            content = manifest.content_sha256()
            _refuse_unrevised_change(batch, content, here)
            active = [entry for entry in here if entry.state == "loaded"]
            for entry in active:
                if entry.content == content and entry.revision >= manifest.revision:
                    return self._record_duplicate(batch, manifest, entry)
            superseded = [entry.batch_id for entry in active if entry.revision < manifest.revision]
            newer = next((entry for entry in active if entry.revision > manifest.revision), None)
            neighbours = []
            if newer is None:
                near = beside.batches_beside(self._conn, feed, batch.business_date, batch.store_id)
                neighbours = [batch_id for batch_id in near if batch_id not in superseded]
            work = _Work(batch, manifest, feed, readers, self._new_entry(batch, manifest, content))
            self._copy(work)
            values.store(self._conn, work.batch_id)
            self._check(work, neighbours)
            self._account(work)
            result = self._close(work, newer)
            self._supersede(work, superseded, neighbours)
            if (batch.source, batch.feed) == ("reference", "stores"):
                checks.keep_stores(self._conn)
        # outside the transaction: it locks the table against itself until the transaction ends
        self._conn.execute("select brin_summarize_new_values(%s::text::regclass)", (f"raw.{feed.batch_index}",))
        return result

    def _lock_and_look(self, batch: LandedBatch, feed: Feed) -> list[_Entry]:
        """Hold the batch's place until the transaction ends, and see what is there of its business date."""
        beside.hold(self._conn, batch.source, batch.feed, batch.business_date, feed)
        journal.refuse_if_erased_since(self._conn, self._erasures)
        rows = self._conn.execute(_SELECT_DAY, (batch.source, batch.feed, batch.business_date)).fetchall()
        return [_Entry(*row) for row in rows]

    def _new_entry(self, batch: LandedBatch, manifest: Manifest, content: str) -> int:
        row = self._conn.execute(
            "insert into ops.batch (source, feed, business_date, store_id, batch_name, revision,"
            " content_sha256, manifest, state) values (%s, %s, %s, %s, %s, %s, %s, %s::jsonb, 'loaded')"
            " returning batch_id",
            (*batch.place, batch.name, manifest.revision, content, batch.manifest_text),
        ).fetchone()
        assert row is not None  # noqa: S101  (an insert ... returning has a row)
        return int(row[0])

    def _copy(self, work: _Work) -> None:
        """All files into the raw table. Raises Refused."""
        for reader in work.readers:
            statement = _copy_statement(work.feed.raw_table, tuple(reader.columns))
            self._notices.clear()
            with self._conn.cursor() as cursor:
                with cursor.copy(statement) as copy:
                    for lines in reader.copy_lines(work.batch_id):
                        copy.write(lines)
                        self._give_up_if_hopeless(reader, work.manifest)
                copied = cursor.rowcount
            self._give_up_if_hopeless(reader, work.manifest)
            reader.verify()
            work.rejects.extend(reader.rejects)
            if len(self._notices) != reader.sent - copied:
                raise Refused(
                    "rows_unaccounted",
                    f"{reader.entry.name}: of {reader.sent:,} rows {copied:,} were loaded and"
                    f" {len(self._notices):,} reported as skipped.",
                    "The server must report skipped rows in English: set lc_messages to C there.",
                )
            work.skipped.append(list(self._notices))
            work.copied += copied

    def _check(self, work: _Work, neighbours: Sequence[int]) -> None:
        """Take rows that break a check out of the raw table, and rows that repeat another."""
        conn, feed = self._conn, work.feed
        with ThreadPoolExecutor(1) as meanwhile:
            survey = meanwhile.submit(checks.survey, conn, feed, work.batch_id, work.manifest, work.copied)
            for reader, skipped in zip(work.readers, work.skipped, strict=True):
                work.rejects.extend(_skipped(reader, skipped))
            seen = survey.result()
        found = checks.broken_rows(conn, feed, work.batch_id, work.manifest) if seen.broken else []
        checks.take_out(conn, feed, [finding.row_id for finding in found])
        repeats = checks.repeated_rows(conn, feed, work.batch_id, neighbours, within=seen.may_repeat)
        checks.take_out(conn, feed, [repeat.row_id for repeat in repeats])
        work.repeats = [repeat for repeat in repeats if repeat.identical]
        if found or repeats:
            held = work.copied - len(found) - len(repeats)
            seen = checks.survey(conn, feed, work.batch_id, work.manifest, held)
        work.groups = seen.groups
        found += [_contradiction(feed, repeat) for repeat in repeats if not repeat.identical]
        for reader in work.readers:
            mine = [finding for finding in found if finding.file_no == reader.file_no]
            if mine:
                located = reader.locate(line_nos={finding.line_no for finding in mine})
                work.rejects.extend(_rejected(finding, located[finding.line_no]) for finding in mine)
        rows_in = sum(reader.rows_in for reader in work.readers)
        if self._too_many(len(work.rejects), rows_in, work.manifest):
            raise self._too_many_bad_rows_of_batch(work, rows_in)

    # ---------------------------------------------------------------- the accounts

    def _account(self, work: _Work) -> None:
        """Write down where every row and every cent went, and refuse the batch if one is missing."""
        conn, feed = self._conn, work.feed
        names = {reader.file_no: reader.entry.name for reader in work.readers}
        aside = accounts.tally(feed, "quarantined", work.rejects)
        aside += accounts.tally(feed, "duplicate", [_as_reject(repeat) for repeat in work.repeats])
        balances = accounts.of_loaded(work.groups) + aside
        for reader in work.readers:
            accounts.refuse_unless_conserved(feed, reader, balances)
        with conn.cursor() as cursor:
            with cursor.copy(_COPY_BALANCE) as copy:
                for balance in balances:
                    copy.write_row(
                        (
                            work.batch_id,
                            names[balance.file_no],
                            balance.outcome,
                            balance.store_id,
                            balance.business_date,
                            balance.rows,
                            balance.amount,
                            balance.rows_without_amount,
                        )
                    )
            if work.rejects:
                with cursor.copy(_COPY_REJECTED) as copy:
                    for reject in work.rejects:
                        copy.write_row(
                            (
                                work.batch_id,
                                feed.source,
                                feed.name,
                                names[reject.file_no],
                                reject.line_no,
                                reject.code,
                                reject.column,
                                reject.reason,
                                reject.raw_text,
                                Jsonb(reject.row) if reject.row else None,
                            )
                        )
        checks.keep_repeats(self._conn, work.batch_id, work.repeats)

    def _close(self, work: _Work, newer: _Entry | None) -> BatchResult:
        rows_in = sum(reader.rows_in for reader in work.readers)
        quarantined, duplicate = len(work.rejects), len(work.repeats)
        state = "superseded" if newer else "loaded"
        self._conn.execute(
            "update ops.batch set state = %s, reason = %s, rows_in = %s, rows_loaded = %s,"
            " rows_quarantined = %s, rows_duplicate = %s where batch_id = %s",
            (
                state,
                f"revision {newer.revision} (batch {newer.batch_id}) was there before it" if newer else None,
                rows_in,
                rows_in - quarantined - duplicate,
                quarantined,
                duplicate,
                work.batch_id,
            ),
        )
        return BatchResult(
            batch=str(work.batch),
            state=state,
            rows_in=rows_in,
            rows_loaded=rows_in - quarantined - duplicate,
            rows_quarantined=quarantined,
            rows_duplicate=duplicate,
            contradictions=sum(reject.code == CONTRADICTION for reject in work.rejects),
            remarks=_remarks(work),
        )

    def _supersede(self, work: _Work, superseded: Sequence[int], neighbours: Sequence[int]) -> None:
        if not superseded:
            return
        self._conn.execute(
            "update ops.batch set state = 'superseded', change_no = nextval('ops.batch_change'),"
            " reason = %s where batch_id = any(%s)",
            (f"replaced by revision {work.manifest.revision} (batch {work.batch_id})", list(superseded)),
        )
        self._reinstate(work, superseded, neighbours)

    def _reinstate(self, work: _Work, superseded: Sequence[int], neighbours: Sequence[int]) -> None:
        """Rows of other batches that were left out as repeats of superseded rows take their place,
        unless the new batch or another one has them too."""
        freed: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for batch_id, row in self._conn.execute(
            "delete from quarantine.duplicate_row as twin using ops.batch as batch"
            " where twin.of_batch_id = any(%s) and batch.batch_id = twin.batch_id"
            " and batch.state = 'loaded' returning twin.batch_id, twin.row",
            (list(superseded),),
        ):
            freed[batch_id].append(row)
        for batch_id, rows in freed.items():
            self._conn.execute(
                sql.SQL("insert into {table} select * from jsonb_populate_recordset(null::{table}, %s)").format(
                    table=sql.Identifier("raw", work.feed.raw_table)
                ),
                (Jsonb(rows),),
            )
            others = [work.batch_id, *(other for other in neighbours if other != batch_id)]
            repeats = checks.repeated_rows(self._conn, work.feed, batch_id, others, within=True)
            # a row that the new batch has with other content stays out as well: the new batch is the
            # newer word on it
            checks.take_out(self._conn, work.feed, [repeat.row_id for repeat in repeats])
            checks.keep_repeats(self._conn, batch_id, repeats)
            again = {(repeat.file_no, repeat.line_no) for repeat in repeats}
            back = [row for row in rows if (row["_file_no"], row["_line_no"]) not in again]
            accounts.rebook(self._conn, work.feed, batch_id, back, "duplicate", "loaded")

    def _record_duplicate(self, batch: LandedBatch, manifest: Manifest, twin: _Entry) -> BatchResult:
        rows = sum(entry.rows for entry in manifest.files)
        reason = f"the same content as the batch {twin.name} (batch {twin.batch_id})"
        self._conn.execute(
            "insert into ops.batch (source, feed, business_date, store_id, batch_name, revision,"
            " content_sha256, manifest, state, reason, rows_in, rows_duplicate)"
            " values (%s, %s, %s, %s, %s, %s, %s, %s::jsonb, 'duplicate', %s, %s, %s)",
            (
                *batch.place,
                batch.name,
                manifest.revision,
                manifest.content_sha256(),
                batch.manifest_text,
                reason,
                rows,
                rows,
            ),
        )
        return BatchResult(str(batch), "duplicate", rows_in=rows, rows_duplicate=rows, reason=reason)

    # ---------------------------------------------------------------- refusals

    def _refuse(self, batch: LandedBatch, refusal: Refused, observed: str | None) -> BatchResult:
        manifest = batch.manifest
        self._conn.execute(
            "insert into ops.batch (source, feed, business_date, store_id, batch_name, revision,"
            " content_sha256, manifest, state, reason, refusal_code, observed_sha256)"
            " values (%s, %s, %s, %s, %s, %s, %s, %s, 'refused', %s, %s, %s)",
            (
                *batch.place,
                batch.name,
                batch.revision,
                manifest.content_sha256() if manifest else None,
                Jsonb(manifest.model_dump(mode="json")) if manifest else None,
                str(refusal),
                refusal.code,
                observed or observed_sha256(batch),
            ),
        )
        return BatchResult(
            str(batch),
            "refused",
            code=refusal.code,
            reason=refusal.message,
            next_action=refusal.next_action,
        )

    def _too_many(self, bad: int, rows: int, manifest: Manifest) -> bool:
        if manifest.extract is not None and bad <= BAD_ROWS_OF_AN_EXTRACTION:
            return False
        return bad > self._bad_share * rows

    def _give_up_if_hopeless(self, reader: FileReader, manifest: Manifest) -> None:
        """Refuse as soon as there are more bad rows than the whole file may have."""
        bad = len(reader.rejects) + len(self._notices)
        rows = max(reader.entry.rows, reader.rows_in)
        if self._too_many(bad, rows, manifest):
            # the place of a row that COPY skipped is looked up only when it is kept
            examples = [(reject.code, reject.column, _with_place(reader, reject)) for reject in reader.rejects]
            examples += [
                ("wrong_type", column, _not_readable(reader.feed, column, value)) for _, column, value in self._notices
            ]
            raise self._bad_rows_refusal(f"{reader.entry.name}: at least {bad:,}", rows, examples)

    def _too_many_bad_rows_of_batch(self, work: _Work, rows_in: int) -> Refused:
        examples = [
            (reject.code, reject.column, _with_place(work.readers[reject.file_no - 1], reject))
            for reject in sorted(work.rejects, key=lambda reject: (reject.file_no, reject.line_no))
        ]
        others = sum(reject.code != "unknown_store" for reject in work.rejects)
        code = TOO_MANY_BAD_ROWS if self._too_many(others, rows_in, work.manifest) else UNKNOWN_STORES
        return self._bad_rows_refusal(f"{len(work.rejects):,}", rows_in, examples, code)

    def _bad_rows_refusal(
        self, bad: str, rows: int, examples: Iterable[tuple[str, str | None, str]], code: str = TOO_MANY_BAD_ROWS
    ) -> Refused:
        """examples: code, column and reason of each bad row; one reason is told for each code and column."""
        kinds: dict[tuple[str, str | None], list[str]] = defaultdict(list)
        for kind, column, reason in examples:
            kinds[kind, column].append(reason)
        common = "; ".join(
            f"{len(reasons):,} × {reasons[0]}"
            for reasons in sorted(kinds.values(), key=len, reverse=True)[:_REASONS_SHOWN]
        )
        return Refused(
            code,
            f"{bad} of {rows:,} rows are bad, more than the allowed {self._bad_share:.0%}. Most common: {common}.",
            "Load the list with these stores: the batch is then tried again by itself."
            if code == UNKNOWN_STORES
            else "Correct the cause at the sender.",
        )

    def _take_notice(self, notice: psycopg.errors.Diagnostic) -> None:
        match = _NOTICE.search(notice.message_primary or "")
        if match:
            self._notices.append((int(match[1]), match[2], match[3]))


@dataclass
class _Work:
    """A batch on its way: what was read, put aside, found to repeat. skipped: by COPY, of each file; copied: rows."""

    batch: LandedBatch
    manifest: Manifest
    feed: Feed
    readers: Sequence[FileReader]
    batch_id: int
    skipped: list[list[Notice]] = field(default_factory=list)
    copied: int = 0
    rejects: list[Reject] = field(default_factory=list)
    repeats: list[checks.Repeat] = field(default_factory=list)
    groups: list[checks.Group] = field(default_factory=list)


def _is_taken(batch: LandedBatch, here: Iterable[_Entry]) -> bool:
    """Whether this very batch was taken before: name, revision and content."""
    if batch.manifest is None:
        return False
    content = batch.manifest.content_sha256()
    return any(
        entry.name == batch.name
        and entry.revision == batch.manifest.revision
        and entry.content == content
        and entry.state != "refused"
        for entry in here
    )


def _refuse_unrevised_change(batch: LandedBatch, content: str, here: Iterable[_Entry]) -> None:
    for entry in here:
        if (
            entry.name == batch.name
            and entry.state in ("loaded", "superseded")
            and entry.content != content
            and entry.revision >= batch.revision
        ):
            raise Refused(
                "changed_without_revision",
                f"A batch of this name was loaded with other content as revision {entry.revision}"
                f" (batch {entry.batch_id}); this one is revision {batch.revision}.",
                "Send changed content with a higher revision in the manifest.",
            )


@cache
def _copy_statement(table: str, columns: tuple[str, ...]) -> sql.Composed:
    names = map(sql.Identifier, ("_batch_id", "_file_no", "_line_no", *columns))
    return sql.SQL(
        "copy {} ({}) from stdin"
        " (format csv, header, force_null *, on_error ignore, log_verbosity verbose, encoding 'UTF8')"
    ).format(sql.Identifier("raw", table), sql.SQL(", ").join(names))


def _with_place(reader: FileReader, reject: Reject) -> str:
    return f"{reject.reason} ({reader.entry.name}, line {reject.line_no})"


def _not_readable(feed: Feed, column: str, value: str | None) -> str:
    declared = feed.column(column)
    kind = declared.kind if declared else "text"
    example = f" (such as {_EXAMPLES[kind]})" if kind in _EXAMPLES else ""
    return mask(f"{column} is {value!r}, which is no {kind}{example}")


def _skipped(reader: FileReader, notices: Sequence[Notice]) -> list[Reject]:
    """The rows that COPY skipped, found again in the file."""
    found = reader.locate(copy_lines={line for line, _, _ in notices}) if notices else {}
    return [_wrong_type(reader, found[copy_line], column, value) for copy_line, column, value in notices]


def _wrong_type(reader: FileReader, row: Located, column: str, value: str | None) -> Reject:
    return Reject(
        file_no=reader.file_no,
        line_no=row.line_no,
        code="wrong_type",
        column=column,
        reason=_not_readable(reader.feed, column, value),
        raw_text=row.raw_text,
        fields=row.fields,
    )


def _rejected(finding: checks.Finding, row: Located) -> Reject:
    return Reject(
        file_no=finding.file_no,
        line_no=finding.line_no,
        code=finding.code,
        column=finding.column,
        reason=mask(finding.reason),
        raw_text=row.raw_text,
        fields=row.fields,
        row=finding.row,
    )


def _contradiction(feed: Feed, repeat: checks.Repeat) -> checks.Finding:
    return checks.Finding(
        row_id=repeat.row_id,
        file_no=repeat.file_no,
        line_no=repeat.line_no,
        code=CONTRADICTION,
        column=None,
        reason=(
            f"line {repeat.of_line_no} of batch {repeat.of_batch_id} has the same"
            f" {', '.join(feed.identity)} with other content"
        ),
        row=repeat.row,
    )


def _as_reject(repeat: checks.Repeat) -> Reject:
    fields = {name: str(value) for name, value in repeat.row.items() if value is not None}
    return Reject(repeat.file_no, repeat.line_no, "duplicate", None, "", "", fields)


def _remarks(work: _Work) -> tuple[str, ...]:
    remarks = [f"manifest key {key!r} is not in the contract; kept" for key in work.manifest.unknown_keys()]
    withheld = set().union(*(reader.withheld_names for reader in work.readers))
    extra = sorted(set().union(*(reader.extra_names for reader in work.readers)) - withheld)
    remarks += [f"column {name!r} is not in the contract and sounds personal; withheld" for name in sorted(withheld)]
    remarks += [f"column {name!r} is not in the contract; kept" for name in extra]
    return tuple(remarks)
