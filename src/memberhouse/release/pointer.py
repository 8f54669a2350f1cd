"""Moves the release pointer. Readers follow it from their next statement on; nothing waits for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
_STATUS_VIEWS = ("freshness", "release_history", "restatement_log", "data_health", "data_health_reason")


class PublishRefused(MemberhouseError):
    """The pointer stays where it is, for a reason that is no verdict of the gate."""


class ReleaseHeld(PublishRefused):
    """The gate held the release: readers keep the one before it."""


@dataclass(frozen=True)
class Movement:
    """The pointer of one consistency group went from ``previous_release_id`` (None: first) to ``release_id``.

    The two are equal when a rollback left the group where it was, and pinned it there.
    """

    group_name: str
    release_id: int
    previous_release_id: int | None

    def __str__(self) -> str:
        if self.release_id == self.previous_release_id:
            return f"{self.group_name}: stays at release {self.release_id}"
        before = f" (before: release {self.previous_release_id})" if self.previous_release_id else ""
        return f"{self.group_name}: release {self.release_id}{before}"


def publish(
    settings: Settings, release_id: int | None = None, *, groups: Sequence[str] | None = None, unpin: bool = False
) -> list[Movement]:
    """Point consistency groups at a release, in one transaction, and return what moved.

    release_id: None means the newest. groups: only these; None: every group that has marts in the release. A group
    that is there already is left alone, so publishing twice changes nothing. In the same transaction the loyal
    thresholds that the release used are frozen. unpin: lift the pin that a rollback set. Raises ReleaseHeld when the
    gate held the release for a group, PublishRefused when it was not judged or the group is pinned (groups that can
    be published are, all the same), and Overtaken, which leaves no step in the ledger, when a newer release was begun
    since.
    """
    with build_lock(settings), db.connect(settings) as conn:
        if release_id is not None:
            refuse_if_overtaken(conn, release_id)
        return _publish(settings, conn, release_id, groups, unpin)


def _publish(
    settings: Settings, conn: psycopg.Connection, asked: int | None, groups: Sequence[str] | None, unpin: bool
) -> list[Movement]:
    subject = f"release {asked or 'newest'}" + (f", {', '.join(groups)}" if groups else "")
    with ledger.step(settings, "publish", subject) as step:
        release_id = _built(conn, asked)
        step.detail["release_id"] = release_id
        moved: list[Movement] = []
        refused: dict[str, PublishRefused] = {}
        groups = groups or _groups(conn, release_id)
        for group_name in groups:
            try:
                movement = _movement(conn, group_name, release_id, unpin)
            except PublishRefused as error:
                refused[group_name] = error
            else:
                moved += [movement] if movement else []
        step.detail["groups"] = list(refused or groups)
        freezing = {movement.group_name for movement in moved if _has_lifecycle(conn, movement.group_name)}
        # reading needs no transaction, because nobody else moves the pointer now; the pointer's own is short
        conn.commit()
        for movement in moved:
            _point(conn, movement, freeze=movement.group_name in freezing)
        if unpin:
            # of a group that is at the release already, too
            conn.execute("update release.current set is_pinned = false where group_name = any(%s)", (list(groups),))
        conn.commit()
        for refusal in refused.values():
            refusal.message += f" Published: {'; '.join(map(str, moved))}." if moved else ""
            raise refusal
        step.summary = "; ".join(map(str, moved)) or f"release {release_id} was published already"
    return moved


def rollback(settings: Settings, release_id: int | None = None, *, group: str | None = None) -> list[Movement]:
    """Point groups back at what they showed as of an earlier published release, and pin them there until unpinned.

    release_id: None means the one published before the newest that readers see. No group goes forward by it. A group
    that was not published in that release, because it was held then, goes to its newest published one before it; so
    does a session that sets memberhouse.release. group: only this one. Raises PublishRefused when there is no such
    published release; a group of which nothing was published by then is left alone.
    """
    with (
        build_lock(settings),
        db.connect(settings) as conn,
        ledger.step(
            settings, "rollback", f"to release {release_id or 'before'}" + (f", {group}" if group else "")
        ) as step,
    ):
        current: dict[str, int] = dict(
            conn.execute(
                "select group_name, release_id from release.current where group_name = coalesce(%s, group_name)"
                " order by group_name for update",
                (group,),
            ).fetchall()
        )
        if not current:
            raise PublishRefused(
                f"Nothing{f' of the group {group}' if group else ''} is published: there is nothing to go back from.",
                "“memberhouse run” publishes; docs/runbook.md, “Pointer refused”",
            )
        asked = release_id or _published_before(conn, list(current), max(current.values()))
        # never forwards: a group that was rolled back further stays there
        targets = {
            group_name: target
            for group_name, target in (_published_by(conn, list(current), asked) if asked else {}).items()
            if target <= current[group_name]
        }
        _refuse_pruned(conn, targets)
        if not asked or not _was_published(conn, asked):
            raise PublishRefused(
                f"Readers{f' of the group {group}' if group else ''} can't go back to release"
                f" {asked or f'before {max(current.values())}'}: it was never published.",
                "“memberhouse releases” lists what was; docs/runbook.md, “Pointer refused”",
            )
        if not targets:
            raise PublishRefused(
                f"Readers{f' of the group {group}' if group else ''} see an older release than {asked} already.",
                "“memberhouse publish --unpin” goes forward; docs/runbook.md, “Pointer refused”",
            )
        moved = []
        for group_name, target in targets.items():
            conn.execute(
                "update release.current set release_id = %s, published_at = clock_timestamp(), is_pinned = true"
                " where group_name = %s",
                (target, group_name),
            )
            moved.append(Movement(group_name, target, current[group_name]))
        conn.commit()
        step.summary = "; ".join(map(str, moved)) + "; pinned"
    return moved


def shown(settings: Settings) -> dict[str, int]:
    """Consistency group -> the release that its readers see; groups of which nothing is published are left out."""
    with db.connect(settings) as conn:
        return dict(conn.execute("select group_name, release_id from release.current order by group_name").fetchall())


def published_as_of(settings: Settings) -> date | None:
    """The latest as-of date that readers see in any group; None: nothing is published."""
    with db.connect(settings) as conn:
        row = conn.execute(
            "select max(r.as_of_date) from release.current as c"
            " inner join release.release as r on c.release_id = r.release_id"
        ).fetchone()
    return row[0] if row else None


def releases(conn: psycopg.Connection, limit: int = 20) -> list[dict[str, Any]]:
    """The newest ``limit`` releases, a row each and group: id, as-of date, build state, verdict, when published."""
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
                exists (
                    select 1 from release.pruned as gone
                    where gone.group_name = v.group_name and gone.release_id = v.release_id
                ) as is_pruned,
                v.reason
            from release.release as r
            left join release.verdict as v on r.release_id = v.release_id
            left join release.current as c on v.group_name = c.group_name and v.release_id = c.release_id
            where r.release_id in (select newest.release_id from release.release as newest order by 1 desc limit %s)
            order by r.release_id desc, v.group_name
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


def _groups(conn: psycopg.Connection, release_id: int) -> list[str]:
    """The groups with marts in a release, and those that were judged for it."""
    return [
        name
        for (name,) in conn.execute(
            "select group_name from release.versioned_table where last_release_id = %(release_id)s"
            " union select group_name from release.verdict where release_id = %(release_id)s order by group_name",
            {"release_id": release_id},
        ).fetchall()
    ]


def _published_before(conn: psycopg.Connection, groups: Sequence[str], release_id: int) -> int | None:
    """The newest release before this one that was published in one of the groups and is kept."""
    row = conn.execute(
        "select max(p.release_id) from release.publication as p where p.group_name = any(%s) and p.release_id < %s"
        " and not exists (select 1 from release.pruned as gone"
        " where gone.group_name = p.group_name and gone.release_id = p.release_id)",
        (list(groups), release_id),
    ).fetchone()
    return row[0] if row else None


def _was_published(conn: psycopg.Connection, release_id: int) -> bool:
    row = conn.execute(
        "select exists (select 1 from release.publication where release_id = %s)", (release_id,)
    ).fetchone()
    return bool(row and row[0])


def _published_by(conn: psycopg.Connection, groups: Sequence[str], release_id: int) -> dict[str, int]:
    """Group -> its newest published release up to this one, which is what the group answers for it."""
    return dict(
        conn.execute(
            "select group_name, max(release_id) from release.publication"
            " where group_name = any(%s) and release_id <= %s group by group_name order by group_name",
            (list(groups), release_id),
        ).fetchall()
    )


def _refuse_pruned(conn: psycopg.Connection, targets: Mapping[str, int]) -> None:
    """Raise PublishRefused when the rows of one of these releases (by group) were removed."""
    for group_name, release_id in targets.items():
        row = conn.execute(
            "select pruned_at from release.pruned where group_name = %s and release_id = %s", (group_name, release_id)
        ).fetchone()
        if row:
            raise PublishRefused(
                f"Release {release_id} of the group {group_name} was pruned on {row[0]:%Y-%m-%d}: its rows are gone.",
                "“memberhouse releases” lists what is kept; docs/runbook.md, “Pointer refused”",
            )
