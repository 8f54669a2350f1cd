"""Moves the release pointer. Readers follow it from their next statement on; nothing waits for them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from memberhouse import db, ledger
from memberhouse.errors import MemberhouseError
from memberhouse.settings import Settings
from memberhouse.warehouse import build_lock, refuse_if_overtaken

# Views that tell of the pointer itself, and so change when it moves.
_STATUS_VIEWS = ("freshness", "release_history", "data_health", "data_health_reason")


class PublishRefused(MemberhouseError):
    """The pointer stays where it is, for a reason that is no verdict of the gate."""


class ReleaseHeld(PublishRefused):
    """The gate held the release: readers keep the one before it."""


@dataclass(frozen=True)
class Movement:
    """The pointer of one consistency group went from ``previous_release_id`` (None: first) to ``release_id``."""

    group_name: str
    release_id: int
    previous_release_id: int | None

    def __str__(self) -> str:
        before = f" (before: release {self.previous_release_id})" if self.previous_release_id else ""
        return f"{self.group_name}: release {self.release_id}{before}"


def publish(settings: Settings, release_id: int | None = None, *, unpin: bool = False) -> list[Movement]:
    """Point every consistency group at a release, and return what moved.

    release_id: None means the newest. A group that is there already is left alone, so publishing twice
    changes nothing. In the same transaction the loyal thresholds that the release used are frozen.
    unpin: lift the pin that a rollback set. Raises ReleaseHeld when the gate held the release for a group,
    PublishRefused when it was not judged or the group is pinned (groups that can be published are, all the
    same), and Overtaken, which leaves no step in the ledger, when a newer release was begun since.
    """
    with build_lock(settings), db.connect(settings) as conn:
        if release_id is not None:
            refuse_if_overtaken(conn, release_id)
        return _publish(settings, conn, release_id, unpin)


def _publish(settings: Settings, conn: psycopg.Connection, asked: int | None, unpin: bool) -> list[Movement]:
    with ledger.step(settings, "publish", f"release {asked or 'newest'}") as step:
        release_id = _built(conn, asked)
        step.detail["release_id"] = release_id
        moved: list[Movement] = []
        refused: list[PublishRefused] = []
        for (group_name,) in conn.execute(
            "select group_name from release.consistency_group order by group_name"
        ).fetchall():
            try:
                movement = _movement(conn, group_name, release_id, unpin)
            except PublishRefused as error:
                refused.append(error)
            else:
                moved += [movement] if movement else []
        freezing = {movement.group_name for movement in moved if _has_lifecycle(conn, movement.group_name)}
        # reading needs no transaction, because nobody else moves the pointer now; the pointer's own is short
        conn.commit()
        for movement in moved:
            _point(conn, movement, freeze=movement.group_name in freezing)
        conn.commit()
        if refused:
            raise refused[0]
        step.summary = "; ".join(map(str, moved)) or f"release {release_id} was published already"
    return moved


def rollback(settings: Settings, release_id: int | None = None) -> list[Movement]:
    """Point every group back at an earlier published release, and pin it there until unpinned.

    release_id: None means the one published before the current one. Raises PublishRefused when there is
    no such published release.
    """
    with (
        build_lock(settings),
        db.connect(settings) as conn,
        ledger.step(settings, "rollback", f"to release {release_id or 'before'}") as step,
    ):
        moved: list[Movement] = []
        for group_name, current in conn.execute(
            "select group_name, release_id from release.current order by group_name for update"
        ).fetchall():
            target = release_id or _published_before(conn, group_name, current)
            published = conn.execute(
                "select 1 from release.publication where group_name = %s and release_id = %s",
                (group_name, target),
            ).fetchone()
            if target is None or not published:
                raise PublishRefused(
                    f"Group {group_name} can't go back to release {target or 'before ' + str(current)}: "
                    "it was never published.",
                    "“memberhouse releases” lists what was; docs/runbook.md, “Pointer refused”",
                )
            conn.execute(
                "update release.current set release_id = %s, published_at = clock_timestamp(), is_pinned = true"
                " where group_name = %s",
                (target, group_name),
            )
            moved.append(Movement(group_name, target, current))
        if not moved:
            raise PublishRefused(
                "Nothing is published, so there is nothing to go back from.",
                "“memberhouse run” publishes; docs/runbook.md, “Pointer refused”",
            )
        conn.commit()
        step.summary = "; ".join(map(str, moved)) + "; pinned"
    return moved


def published_as_of(settings: Settings) -> date | None:
    """The latest as-of date that readers see in any group; None: nothing is published."""
    with db.connect(settings) as conn:
        row = conn.execute(
            "select max(r.as_of_date) from release.current as c"
            " inner join release.release as r on c.release_id = r.release_id"
        ).fetchone()
    return row[0] if row else None


def releases(conn: psycopg.Connection, limit: int = 20) -> list[dict[str, Any]]:
    """The newest releases, a row each and group: id, as-of date, build state, verdict, when published."""
    with conn.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            """
            select
                r.release_id, r.as_of_date, r.state as build_state, v.group_name,
                v.verdict, v.checks_evaluated, v.checks_failed,
                (select max(p.at) from release.publication as p
                 where p.group_name = v.group_name and p.release_id = r.release_id) as published_at,
                c.release_id is not null as is_current,
                coalesce(c.is_pinned, false) as is_pinned,
                v.reason
            from release.release as r
            left join release.verdict as v on r.release_id = v.release_id
            left join release.current as c on v.group_name = c.group_name and v.release_id = c.release_id
            order by r.release_id desc, v.group_name
            limit %s
            """,
            (limit,),
        ).fetchall()


def content_hash(conn: psycopg.Connection, schema: str = "bi") -> dict[str, str]:
    """A fingerprint a view of what it answers now, whatever the order of its rows.

    Two equal fingerprints mean the same rows (a 64-bit hash a row, summed, with the row count). Views that
    tell of the release pointer itself are left out.
    """
    names = conn.execute(
        "select table_name from information_schema.views where table_schema = %s and table_name <> all(%s)"
        " order by table_name",
        (schema, list(_STATUS_VIEWS)),
    ).fetchall()
    fingerprints: dict[str, str] = {}
    for (name,) in names:
        row = conn.execute(
            sql.SQL(
                "select count(*)::text || ':' || coalesce(sum(hashtextextended(t::text, 0)::numeric), 0)::text"
                " from {} as t"
            ).format(sql.Identifier(schema, name))
        ).fetchone()
        fingerprints[name] = row[0] if row else ""
    return fingerprints


def _built(conn: psycopg.Connection, asked: int | None) -> int:
    """The release that was asked for, or the newest."""
    row = conn.execute(
        "select release_id, state from release.release where release_id = coalesce(%s, release_id)"
        " order by release_id desc limit 1",
        (asked,),
    ).fetchone()
    if row is None or row[1] != "built":
        what = "There is no release." if row is None else f"Release {row[0]} is {row[1]}, not built."
        raise PublishRefused(f"{what} Nothing was published.", "build first: “memberhouse build --as-of DATE”")
    return int(row[0])


def _movement(conn: psycopg.Connection, group_name: str, release_id: int, unpin: bool) -> Movement | None:
    """How the group's pointer has to move to the release; None: it is there. Raises PublishRefused."""
    verdict = conn.execute(
        "select verdict, reason from release.verdict where group_name = %s and release_id = %s",
        (group_name, release_id),
    ).fetchone()
    if verdict is None:
        raise PublishRefused(
            f"Release {release_id} was not judged for the group {group_name}.",
            "“memberhouse gate” judges it; docs/runbook.md, “Pointer refused”",
        )
    if verdict[0] == "held":
        raise ReleaseHeld(
            f"Release {release_id} is held for the group {group_name}: {verdict[1]}",
            "docs/runbook.md, “Release held”",
        )
    current = conn.execute(
        "select release_id, is_pinned from release.current where group_name = %s", (group_name,)
    ).fetchone()
    if current and current[1] and not unpin:
        raise PublishRefused(
            f"Group {group_name} is pinned at release {current[0]} by a rollback;"
            f" release {release_id} passed and waits.",
            "“memberhouse publish --unpin” when the cause of the rollback is gone",
        )
    if current and current[0] == release_id:
        return None
    return Movement(group_name, release_id, current[0] if current else None)


def _point(conn: psycopg.Connection, movement: Movement, *, freeze: bool) -> None:
    """Move the pointer. freeze: the loyal thresholds too, because what a published number rests on does not
    move any more."""
    if freeze:
        conn.execute(
            "insert into release.frozen_loyal_threshold (quarter_start, loyal_threshold_amount, release_id)"
            " select quarter_start, loyal_threshold_amount, %s from marts.loyal_threshold"
            " on conflict (quarter_start) do nothing",
            (movement.release_id,),
        )
    conn.execute(
        "insert into release.current (group_name, release_id) values (%s, %s)"
        " on conflict (group_name) do update set release_id = excluded.release_id,"
        " published_at = clock_timestamp(), is_pinned = false",
        (movement.group_name, movement.release_id),
    )


def _has_lifecycle(conn: psycopg.Connection, group_name: str) -> bool:
    row = conn.execute(
        "select 1 from release.versioned_table where table_name = 'loyal_threshold' and group_name = %s",
        (group_name,),
    ).fetchone()
    return row is not None


def _published_before(conn: psycopg.Connection, group_name: str, current: int) -> int | None:
    row = conn.execute(
        "select max(release_id) from release.publication where group_name = %s and release_id < %s",
        (group_name, current),
    ).fetchone()
    return row[0] if row else None
