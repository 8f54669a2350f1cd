"""Removes the rows of releases that nobody needs to read any more."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

import psycopg
from psycopg import sql

from memberhouse import db, ledger
from memberhouse.settings import Retention, Settings
from memberhouse.warehouse import build_lock

# Which published releases are kept. A release names a state of every group: of one in which it was not published, the
# newest release before it, which is kept for it.
_KEPT = """
with published as (
    select p.group_name, p.release_id, r.as_of_date, max(p.at) as last_at
    from release.publication as p
    inner join release.release as r on p.release_id = r.release_id
    group by p.group_name, p.release_id, r.as_of_date
),

-- a week's close is the last release as of one of its days
closes as (
    select group_name, max(release_id) as release_id, date_trunc('week', as_of_date::timestamp)::date as week_start
    from published
    group by group_name, date_trunc('week', as_of_date::timestamp)
),

named as (
    select release_id from published
    where last_at > %(now)s::timestamptz - make_interval(days => %(days)s)
    union
    select release_id from closes
    where
        %(weekly_years)s::integer is null
        or week_start > (select max(as_of_date) from published) - make_interval(years => %(weekly_years)s)
    union
    select release_id from release.current
    union
    -- what the next build starts from
    select max(release_id) from published
    group by group_name
)

select published.group_name, max(published.release_id) as release_id
from named
inner join published on named.release_id >= published.release_id
where named.release_id is not null
group by named.release_id, published.group_name
"""


@dataclass(frozen=True)
class Pruned:
    """What was removed, or in a dry run would be.

    releases: the group and id of each; rows: row versions by table of ``history``.
    """

    releases: list[tuple[str, int]]
    rows: dict[str, int] = field(default_factory=dict)
    dry_run: bool = False

    def __str__(self) -> str:
        if not self.releases:
            return "Nothing to prune: every published release is kept."
        named = ", ".join(f"{group} {release_id}" for group, release_id in self.releases[:5])
        more = f" and {len(self.releases) - 5} more" if len(self.releases) > 5 else ""
        if self.dry_run:
            return f"Would prune {named}{more}. Nothing was changed."
        return f"Pruned {named}{more}: {sum(self.rows.values()):,} row versions in {len(self.rows)} tables."


def prune(settings: Settings, *, now: datetime | None = None, dry_run: bool = False) -> Pruned:
    """Remove the row versions that no release sees which is kept, and mark the others as pruned.

    What is kept: ``settings.retention``, what readers see, and the newest published release of each group. now: by
    which the days are counted, with its zone; None: the clock. dry_run: only say which releases would go.

    Marked first, in a transaction of its own: from then on the database refuses to read or point at a pruned release,
    so that nobody sees half of one. A run that was killed is finished by the next. Readers whose statement or
    transaction began before are not disturbed.
    """
    with (
        build_lock(settings),
        db.connect(settings, autocommit=True) as conn,
        ledger.step(settings, "prune", "dry run" if dry_run else "releases") as step,
    ):
        releases = _mark(conn, settings.retention, now or datetime.now(UTC), dry_run)
        pruned = Pruned(releases, {} if dry_run else _remove_rows(conn), dry_run)
        step.summary = str(pruned)
    return pruned


def _mark(conn: psycopg.Connection, retention: Retention, now: datetime, dry_run: bool) -> list[tuple[str, int]]:
    with conn.transaction(force_rollback=dry_run):
        rows = conn.execute(
            f"""
            insert into release.pruned (group_name, release_id)
            select distinct p.group_name, p.release_id
            from release.publication as p
            where not exists (
                select 1 from ({_KEPT}) as kept
                where kept.group_name = p.group_name and kept.release_id = p.release_id
            )
            on conflict do nothing
            returning group_name, release_id
            """,  # noqa: S608  (a constant of this module)
            {"now": now, "days": retention.days, "weekly_years": retention.weekly_years},
        ).fetchall()
    return sorted((group_name, release_id) for group_name, release_id in rows)


def _remove_rows(conn: psycopg.Connection) -> dict[str, int]:
    """Remove closed rows that are valid in no release which can be read; return how many, by table."""
    removed = {}
    for name, group_name in conn.execute(
        "select table_name, group_name from release.versioned_table order by table_name"
    ).fetchall():
        table = sql.Identifier("history", f"{name}__closed")
        # a row is seen by the first readable release from its own on, or by none
        count = conn.execute(
            sql.SQL(
                """
                with readable as (
                    select distinct p.release_id
                    from release.publication as p
                    where
                        p.group_name = %(group_name)s
                        and not exists (
                            select 1 from release.pruned as gone
                            where gone.group_name = p.group_name and gone.release_id = p.release_id
                        )
                ),
                spans as materialized (
                    -- from after one readable release to the next: rows that live in between are seen by none
                    select
                        coalesce(lag(release_id) over (order by release_id), 0) as after_id,
                        release_id as until_id
                    from readable
                )
                delete from {table} as closed
                using spans
                where
                    closed._from_release > spans.after_id
                    and closed._from_release <= spans.until_id
                    and closed._to_release <= spans.until_id
                """
            ).format(table=table),
            {"group_name": group_name},
        ).rowcount
        if count:
            removed[name] = count
            conn.execute(sql.SQL("vacuum (analyze) {}").format(table))
    return removed
