"""What a warehouse holds, told so that two of them can be compared, and what must be true of each.

Numbers that a crash may skip (batch, row and release ids) are replaced by what they stand for.
"""

from __future__ import annotations

import time

import psycopg
from tests import conservation

from memberhouse import db, ledger, release
from memberhouse.settings import Settings
from memberhouse.sources.feeds import FEEDS

_BATCH = "concat_ws('/', b.source, b.feed, b.business_date, b.store_id, b.batch_name)"
_LOADED = {
    "batches": f"select {_BATCH}, b.revision, b.state, b.refusal_code, b.rows_in, b.rows_loaded,"
    " b.rows_quarantined, b.rows_duplicate from ops.batch as b",
    "balances": f"select {_BATCH}, a.file_name, a.outcome, a.store_id, a.business_date, sum(a.rows), sum(a.amount),"
    " sum(a.rows_without_amount) from ops.load_balance as a join ops.batch as b using (batch_id)"
    " group by 1, 2, 3, 4, 5",
    "quarantine": f"select {_BATCH}, q.file_name, q.line_no, q.reason_code, q.column_name, q.raw_text"
    " from quarantine.rejected_row as q join ops.batch as b using (batch_id)",
    "repeats": f"select {_BATCH}, q.file_no, q.line_no, q.row - '_batch_id'"
    " from quarantine.duplicate_row as q join ops.batch as b using (batch_id)",
}
_NOTHING_HALF_DONE = {
    "a release that is still being built": "select release_id from release.release where state = 'building'",
    "what dbt leaves when it is killed": "select oid::regclass from pg_class where relname ~ '__dbt_(tmp|backup)'",
    "a pointer that is not at the newest release that passed": """
        select c.group_name, c.release_id from release.current as c
        where c.is_pinned or c.release_id <> (
            select max(v.release_id) from release.verdict as v
            where v.group_name = c.group_name and v.verdict = 'passed'
        )
    """,
    "a step that did not end well and that no later one put right": """
        select step, state from ops.step as s
        where step_id = (select max(step_id) from ops.step where step = s.step) and state <> 'done'
    """,
}
_MOVEMENTS_DO_NOT_ADD_UP = """
    with movement as (
        select group_name, release_id, previous_release_id,
            lag(release_id) over of_group as before,
            row_number() over (partition by group_name order by publication_id desc) = 1 as is_last
        from release.publication
        window of_group as (partition by group_name order by publication_id)
    )
    select m.* from movement as m
    left join release.current as c on m.group_name = c.group_name
    where m.before is distinct from m.previous_release_id or m.is_last and m.release_id is distinct from c.release_id
"""


def seen_by_readers(settings: Settings, release_id: int | None = None) -> dict[str, str]:
    """What a BI reader is answered: now, or as published in a release."""
    with db.connect(settings) as conn:
        db.as_bi_role(conn)
        if release_id is not None:
            conn.execute("select set_config('memberhouse.release', %s, false)", (str(release_id),))
        return release.content_hash(conn)


def loaded(settings: Settings) -> dict[str, str]:
    """Everything that the loads left: rows in raw, batches, balances, rows put aside."""
    with db.connect(settings) as conn:
        told = {name: _fingerprint(conn, statement) for name, statement in _LOADED.items()}
        for feed in FEEDS.values():
            told[feed.raw_table] = _fingerprint(
                conn,
                f"select {_BATCH}, to_jsonb(r) - '_batch_id' from raw.{feed.raw_table} as r"
                " join ops.batch as b on b.batch_id = r._batch_id",
            )
    return told


def published(settings: Settings) -> dict[str, str]:
    """History, each row with the first and last publication that it was part of, and what publication fixed."""
    with db.connect(settings) as conn:
        conn.execute(
            "create temporary table nth as select release_id, row_number() over (order by min(publication_id)) as nth"
            " from release.publication group by 1"
        )
        told = {
            "thresholds": _fingerprint(
                conn,
                "select quarter_start, loyal_threshold_amount, nth from release.frozen_loyal_threshold"
                " join nth using (release_id)",
            ),
            "publications": _fingerprint(
                conn,
                "select group_name, action, a.nth, b.nth from release.publication as p"
                " join nth as a on a.release_id = p.release_id"
                " left join nth as b on b.release_id = p.previous_release_id",
            ),
        }
        for (name,) in conn.execute("select table_name from release.versioned_table").fetchall():
            told[f"history.{name}"] = _fingerprint(
                conn,
                "select to_jsonb(h) - '_from_release' - '_to_release', a.nth, coalesce(b.nth, -h._to_release)"
                f" from history.{name} as h left join nth as a on a.release_id = h._from_release"
                " left join nth as b on b.release_id = h._to_release",
            )
    return told


def broken_books(settings: Settings) -> list[str]:
    """Rows or money that are not where the ledger says; empty at any moment, also right after a crash."""
    with db.connect(settings) as conn:
        wrong = conservation.losses(conn)
        if conn.execute(_MOVEMENTS_DO_NOT_ADD_UP.encode()).fetchone():
            wrong.append("release.publication does not lead to where release.current points")
    return wrong


def half_done(settings: Settings) -> list[str]:
    """What an interrupted attempt left behind that an attempt that ended well should have put right."""
    with db.connect(settings) as conn:
        wrong = [
            f"{what}: {rows}"
            for what, statement in _NOTHING_HALF_DONE.items()
            if (rows := conn.execute(statement.encode()).fetchall())
        ]
    trouble = ledger.last_trouble(settings)
    return wrong + ([f"the ledger still tells of trouble: {trouble}"] if trouble else [])


def left_over(settings: Settings, patience: float = 10.0) -> list[str]:
    """Sessions, locks and temporary tables that nobody has any more; a session gets a moment to end."""
    end = time.monotonic() + patience
    while True:
        with db.connect(settings, autocommit=True) as conn:
            wrong = [
                f"a session: {row}"
                for row in conn.execute(
                    "select pid, state, query from pg_stat_activity where datname = current_database()"
                    " and backend_type = 'client backend' and pid <> pg_backend_pid()"
                )
            ]
            wrong += [
                f"a lock: {row}"
                for row in conn.execute("select pid, objid from pg_locks where locktype = 'advisory'").fetchall()
            ]
            wrong += [
                f"a temporary table: {row}"
                for row in conn.execute("select oid::regclass from pg_class where relpersistence = 't'").fetchall()
            ]
        if not wrong or time.monotonic() > end:
            return wrong
        time.sleep(0.05)


def steps(settings: Settings) -> list[tuple[str, str]]:
    """The ledger's steps and their states, the oldest first."""
    with db.connect(settings) as conn:
        return conn.execute("select step, state from ops.step order by step_id").fetchall()


def _fingerprint(conn: psycopg.Connection, statement: str) -> str:
    row = conn.execute(
        "select count(*) || ':' || coalesce(sum(hashtextextended(t::text, 0)::numeric), 0)"
        f" from ({statement}) as t".encode()
    ).fetchone()
    assert row is not None
    return str(row[0])
