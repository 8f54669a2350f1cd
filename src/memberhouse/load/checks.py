"""What is checked on a batch's rows once they lie in the raw table, set by set.

COPY has seen to the types. Here: required values, choices, dates and times that cannot be, unknown
stores, the feed's own rules, and rows that repeat or contradict another row.

`survey` reads the batch once and says what is there and whether anything is wrong; only then are the
wrong rows looked for.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from memberhouse.landing import Manifest
from memberhouse.sources.contract import Feed
from memberhouse.sources.feeds import FEEDS
from memberhouse.sources.pos import APP_STORE
from memberhouse.sources.raw_tables import PAGES_PER_RANGE, identity_terms

log = logging.getLogger(__name__)

_APP_ZONE = "Asia/Shanghai"  # unless the list of stores has a store APP, which says otherwise


@dataclass(frozen=True)
class Finding:
    """A row that a check took out. row: its values by the raw table's column names."""

    row_id: str
    file_no: int
    line_no: int
    code: str
    column: str | None
    reason: str
    row: dict[str, Any]


@dataclass(frozen=True)
class Repeat:
    """A row whose key was there before. identical: the content too."""

    row_id: str
    file_no: int
    line_no: int
    identical: bool
    of_batch_id: int
    of_line_no: int
    row: dict[str, Any]


@dataclass(frozen=True)
class Group:
    """Rows of one file, store and business date that lie in the raw table.

    store_id, business_date: None where the feed or the row has none. amount: of the feed's money column.
    """

    file_no: int
    store_id: str | None
    business_date: date | None
    rows: int
    amount: Decimal | None


@dataclass(frozen=True)
class Survey:
    """What lies in the raw table of a batch.

    broken: rows that break a check. may_repeat: a key may stand there twice; if not, none does.
    """

    groups: list[Group]
    broken: int
    may_repeat: bool


def keep_stores(conn: psycopg.Connection[Any]) -> None:
    """Write down the known stores: those of all loaded reference batches, each as its newest batch has
    it, and ``APP``, with their zone and the time of day at which their day begins."""
    with conn.transaction():
        conn.execute("lock table ops.known_store in share row exclusive mode")
        conn.execute("delete from ops.known_store")
        conn.execute(
            "insert into ops.known_store"
            " select distinct on (store.store_id) store.store_id, store.timezone, store.day_cutoff"
            " from raw.reference__stores as store"
            " join ops.batch as batch on batch.batch_id = store._batch_id and batch.state = 'loaded'"
            " order by store.store_id, batch.business_date desc, batch.revision desc, batch.batch_id desc"
        )
        conn.execute(
            "insert into ops.known_store values (%s, %s, '00:00') on conflict do nothing",
            (APP_STORE, _APP_ZONE),
        )


@dataclass(frozen=True)
class _Check:
    code: str
    column: str
    broken_when: str
    sentence: str


def _local(column: str) -> str:
    """The local wall-clock time of a timestamp column."""
    return (
        f"case when right(r.{column}, 6) ~ '[-+Z]' then r.{column}::timestamptz at time zone"
        f" store.timezone else r.{column}::timestamp end"
    )


def _instant(column: str, zone: str) -> str:
    return (
        f"case when right(r.{column}, 6) ~ '[-+Z]' then r.{column}::timestamptz"
        f" else r.{column}::timestamp at time zone {zone} end"
    )


def _was_twice(column: str, zone: str) -> str:
    """Whether a local time without an offset was on the clock twice. PostgreSQL takes the second time."""
    local = f"r.{column}::timestamp"
    earlier = f"({local} at time zone {zone} - interval '1 hour') at time zone {zone} = {local}"
    return f"right(r.{column}, 6) !~ '[-+Z]' and {earlier}"


def _checks(feed: Feed) -> list[_Check]:
    """The feed's checks in the order in which they speak: a row gets its first broken one."""
    checks = [
        _Check("missing_value", column.name, f"r.{column.name} is null", f"{column.name} is empty")
        for column in feed.columns
        if column.required
    ]
    for column in feed.columns:
        if column.personal:
            continue
        if column.kind == "choice":
            allowed = ", ".join(f"'{choice}'" for choice in column.choices)
            checks.append(
                _Check(
                    "not_a_choice",
                    column.name,
                    f"r.{column.name} not in ({allowed})",
                    f"{column.name} is {{value!r}}; it may be {', '.join(column.choices)}",
                )
            )
        elif column.kind == "date":
            checks.append(
                _Check(
                    "impossible_date",
                    column.name,
                    f"r.{column.name} not between '1900-01-01' and '9999-12-31'",
                    f"{column.name} is {{value}}: not between 1900 and 9999",
                )
            )
    if feed.store:
        checks.append(
            _Check(
                "unknown_store",
                feed.store,
                f"r.{feed.store} is not null and store.store_id is null",
                "no loaded stores file has the store {value!r}",
            )
        )
        checks.append(
            _Check(
                "other_store",
                feed.store,
                f"%(store_id)s <> 'all' and r.{feed.store} <> %(store_id)s",
                "the row is of store {value!r}, its batch of another",
            )
        )
    app_zone = f"(select timezone from ops.known_store where store_id = '{APP_STORE}')"  # noqa: S608  (a constant)
    zone = f"coalesce(store.timezone, {app_zone})" if feed.store else app_zone
    for column in feed.columns:
        if column.kind == "timestamp":
            checks.append(
                _Check(
                    "ambiguous_time",
                    column.name,
                    _was_twice(column.name, zone),
                    f"{column.name} is {{value}} without an offset: as clocks were set back, it was that time twice",
                )
            )
        if column.kind == "timestamp" and not column.may_be_future:
            checks.append(
                _Check(
                    "after_production",
                    column.name,
                    f"{_instant(column.name, zone)} > %(produced_at)s + interval '10 minutes'",
                    f"{column.name} is {{value}}: more than 10 minutes after the batch was produced",
                )
            )
    if feed.traded_at and feed.store:
        day = f"({_local(feed.traded_at)} - store.day_cutoff)::date"
        checks.append(
            _Check(
                "wrong_business_date",
                "business_date",
                f"abs(r.business_date - {day}) > 1",
                f"business_date is {{value}}: more than a day from {feed.traded_at} in the store's zone",
            )
        )
    checks.extend(_Check(rule.code, rule.column, f"({rule.broken_when})", rule.sentence) for rule in feed.rules)
    return checks


@cache
def _broken(source: str, feed_name: str) -> tuple[str, str, tuple[_Check, ...]]:
    """The feed's checks as one expression over the row ``r``, which gives the place of the first broken
    one or null; the join that it needs; and the checks."""
    feed = FEEDS[source, feed_name]
    checks = tuple(_checks(feed))
    cases = "\n".join(f"when {check.broken_when} then {place}" for place, check in enumerate(checks))
    stores = f"left join ops.known_store as store on store.store_id = r.{feed.store}" if feed.store else ""
    return f"case {cases} end", stores, checks


@cache
def _survey_statement(source: str, feed_name: str) -> bytes:
    feed = FEEDS[source, feed_name]
    broken, stores, _ = _broken(source, feed_name)
    key = list(feed.identity)
    last = feed.column(key[-1])
    if last is not None and last.kind == "integer":
        # The lines of a receipt: a bit each. As many bits as rows means no line twice; more than 64 lines
        # may share a bit, and are then looked at more closely.
        *key, counter = key
        may_repeat = (
            f"bit_count(bit_or(1::bigint << (coalesce(r.{counter}, -1) & 63))::bit(64)) is distinct from count(*)"
        )
    else:
        may_repeat = "count(*) > 1"
    store = f"r.{feed.store}" if feed.store else "null::text"
    day = "r.business_date" if feed.column("business_date") else "null::date"
    money = f"sum(r.{feed.money})" if feed.money else "null::numeric"
    others = [f"r.{name}" for name in key if f"r.{name}" not in (store, day)]
    return f"""
        select file_no, store_id, case when sum(broken) = 0 then business_date end, sum(row_count)::bigint,
               sum(amount), sum(broken)::bigint, bool_or(may_repeat)
        from (
            select r._file_no as file_no, {store} as store_id, {day} as business_date,
                   count(*) as row_count, {money} as amount, count({broken}) as broken, {may_repeat} as may_repeat
            from raw.{feed.raw_table} as r {stores}
            where r._batch_id = %(batch_id)s
            group by {", ".join(["r._file_no", store, day, *others])}
        ) as of_key
        group by file_no, store_id, business_date
    """.encode()  # noqa: S608  (made of the feeds' declarations alone)


def survey(
    conn: psycopg.Connection[Any],
    feed: Feed,
    batch_id: int,
    manifest: Manifest,
    held: int,
) -> Survey:
    """Read the batch's rows once: how many and how much money by file, store and day, how many break a
    check, and whether a key may be there twice.

    held: how many rows lie there. Twice in some thirty thousand batches, with two streams, the index on
    ``_batch_id`` did not find a range of pages (PostgreSQL 18.4; the cause is not known). Then its summaries
    are thrown away, so that everybody reads all pages until they are made anew, and the rows are read again.
    The business date of a group with broken rows is left out: it may be one that only Postgres can hold.
    """
    seen = _read(conn, feed, batch_id, manifest)
    if sum(group.rows for group in seen.groups) == held:
        return seen
    log.warning(
        "The index %s finds %s of %s rows of batch %s; its summaries are made anew.",
        feed.batch_index,
        sum(group.rows for group in seen.groups),
        held,
        batch_id,
    )
    conn.execute(
        "select brin_desummarize_range(index, block) from (values (%s::regclass, %s::regclass)) as of (index, heap),"
        " generate_series(0, pg_relation_size(heap) / current_setting('block_size')::int, %s) as block",
        (f"raw.{feed.batch_index}", f"raw.{feed.raw_table}", PAGES_PER_RANGE),
    )
    return _read(conn, feed, batch_id, manifest)


def _splits_keys(feed: Feed) -> bool:
    """Whether rows of one key can be of several stores or days, and are then counted apart."""
    counted_by = [feed.store, "business_date" if feed.column("business_date") else None]
    return not {name for name in counted_by if name} <= set(feed.identity)


def _read(conn: psycopg.Connection[Any], feed: Feed, batch_id: int, manifest: Manifest) -> Survey:
    rows = conn.execute(
        _survey_statement(feed.source, feed.name),
        {"batch_id": batch_id, "store_id": manifest.store_id, "produced_at": manifest.produced_at},
    ).fetchall()
    return Survey(
        groups=[Group(*row[:5]) for row in rows],
        broken=sum(row[5] for row in rows),
        # a key can be in two files, stores or days, which were looked at one by one
        may_repeat=any(row[6] for row in rows)
        or len({row[0] for row in rows}) > 1
        or (len(rows) > 1 and _splits_keys(feed)),
    )


@cache
def _broken_rows_statement(source: str, feed_name: str) -> bytes:
    broken, stores, _ = _broken(source, feed_name)
    return f"""
        select judged.row_id::text, judged._file_no, judged._line_no, judged.broken, judged.row
        from (
            select r.ctid as row_id, r._file_no, r._line_no, to_jsonb(r) as row, {broken} as broken
            from raw.{FEEDS[source, feed_name].raw_table} as r {stores}
            where r._batch_id = %(batch_id)s
        ) as judged
        where judged.broken is not null
        order by judged._file_no, judged._line_no
    """.encode()  # noqa: S608  (made of the feeds' declarations alone)


def broken_rows(
    conn: psycopg.Connection[Any],
    feed: Feed,
    batch_id: int,
    manifest: Manifest,
) -> list[Finding]:
    """The batch's rows that break a check, each with the first check that it breaks."""
    *_, checks = _broken(feed.source, feed.name)
    rows = conn.execute(
        _broken_rows_statement(feed.source, feed.name),
        {"batch_id": batch_id, "store_id": manifest.store_id, "produced_at": manifest.produced_at},
    ).fetchall()
    findings = []
    for row_id, file_no, line_no, broken, row in rows:
        check = checks[broken]
        reason = check.sentence.format(value=row.get(check.column))
        findings.append(Finding(row_id, file_no, line_no, check.code, check.column, reason, row))
    return findings


def _same(feed: Feed) -> str:
    """The condition that the rows `mine` and `other` are the same row."""
    if feed.once:  # in the terms of the raw table's index
        pairs = zip(identity_terms(feed, "mine."), identity_terms(feed, "other."), strict=True)
        return " and ".join(f"{mine} = {other}" for mine, other in pairs)
    return " and ".join(f"other.{name} is not distinct from mine.{name}" for name in feed.identity)


@cache
def _repeats_elsewhere_statement(source: str, feed_name: str) -> bytes:
    feed = FEEDS[source, feed_name]
    table = f"raw.{feed.raw_table}"
    # offset 0: looked up row by row in the index, however the planner would like to join
    return f"""
        select 1 from {table} as mine
        where mine._batch_id = %(batch_id)s and exists (
            select 1 from {table} as other where other._batch_id = any(%(others)s) and {_same(feed)}
            {"offset 0" if feed.once else ""}
        ) limit 1
    """.encode()  # noqa: S608  (names of ours)


@cache
def _repeated_rows_statement(source: str, feed_name: str) -> bytes:
    feed = FEEDS[source, feed_name]
    table = f"raw.{feed.raw_table}"
    if feed.once:
        candidates = f"""
            select row_id, row from (
                select r.ctid as row_id, r as row from {table} as r where r._batch_id = %(batch_id)s
                union
                select other.row_id, other.row from {table} as mine
                cross join lateral (
                    select other.ctid as row_id, other as row from {table} as other
                    where other._batch_id = any(%(others)s) and {_same(feed)}
                    offset 0
                ) as other
                where mine._batch_id = %(batch_id)s
            ) as candidate
        """  # noqa: S608  (names of ours)
    else:
        candidates = f"select r.ctid as row_id, r as row from {table} as r where r._batch_id = any(%(all)s)"  # noqa: S608  (names of ours)
    same_key = ", ".join(f"(candidate.row).{name}" for name in feed.identity)
    places = "array['_batch_id', '_file_no', '_line_no']"
    original = "original.row"
    for name in (column.raw_name for column in feed.columns if column.personal):
        # tokens made with two keys do not tell whether the value is the same
        of_two_keys = f"split_part(mine.row ->> '{name}', '-', 1) <> split_part(original.row ->> '{name}', '-', 1)"
        mine = f"jsonb_build_object('{name}', mine.row -> '{name}')"
        original = f"({original} || case when {of_two_keys} then {mine} else '{{}}' end)"
    return f"""
        with pool as (
            select candidate.row_id, (candidate.row)._batch_id, (candidate.row)._file_no, (candidate.row)._line_no,
                   row_number() over same_key as place,
                   first_value(candidate.row_id) over same_key as first_id,
                   to_jsonb(candidate.row) as row
            from ({candidates}) as candidate
            window same_key as (
                partition by {same_key}
                order by ((candidate.row)._batch_id = %(batch_id)s), (candidate.row)._batch_id,
                         (candidate.row)._file_no, (candidate.row)._line_no
            )
        )
        select mine.row_id::text, mine._file_no, mine._line_no,
               mine.row - {places} = {original} - {places},
               original._batch_id, original._line_no, mine.row
        from pool as mine
        join pool as original on original.row_id = mine.first_id
        where mine._batch_id = %(batch_id)s and mine.place > 1
        order by mine._file_no, mine._line_no
    """.encode()  # noqa: S608  (names of ours)


def repeated_rows(
    conn: psycopg.Connection[Any], feed: Feed, batch_id: int, others: Sequence[int], *, within: bool
) -> list[Repeat]:
    """The batch's rows whose key (and version) an earlier row of it, or a row of `others`, has.

    within: whether an earlier row of its own can have it.
    """
    values = {"batch_id": batch_id, "others": list(others), "all": [batch_id, *others]}
    if not within:
        elsewhere = _repeats_elsewhere_statement(feed.source, feed.name)
        if not others or conn.execute(elsewhere, values).fetchone() is None:
            return []
    rows = conn.execute(_repeated_rows_statement(feed.source, feed.name), values).fetchall()
    return [Repeat(*row) for row in rows]


def take_out(conn: psycopg.Connection[Any], feed: Feed, row_ids: Sequence[str]) -> None:
    """Take rows out of the raw table."""
    if row_ids:
        conn.execute(
            sql.SQL("delete from {} where ctid = any(%s::tid[])").format(sql.Identifier("raw", feed.raw_table)),
            (list(row_ids),),
        )


def keep_repeats(conn: psycopg.Connection[Any], batch_id: int, repeats: Sequence[Repeat]) -> None:
    """Keep rows that repeat another batch's: a revision may take that one away."""
    elsewhere = [repeat for repeat in repeats if repeat.of_batch_id != batch_id]
    if not elsewhere:
        return
    with conn.cursor() as cursor:
        cursor.executemany(
            "insert into quarantine.duplicate_row (batch_id, file_no, line_no, of_batch_id, row)"
            " values (%s, %s, %s, %s, %s)",
            [
                (
                    batch_id,
                    repeat.file_no,
                    repeat.line_no,
                    repeat.of_batch_id,
                    Jsonb(repeat.row | {"_batch_id": batch_id}),
                )
                for repeat in elsewhere
            ],
        )
