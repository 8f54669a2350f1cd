"""A build: one candidate release, from the batches loaded so far, as of a date."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import date
from pathlib import Path

import psycopg

from memberhouse import db, ledger
from memberhouse.errors import DatabaseLost, MemberhouseError
from memberhouse.settings import Settings
from memberhouse.sources.raw_tables import ensure_raw_tables
from memberhouse.warehouse import dbt
from memberhouse.warehouse.restatement import record_restatements

# One build, gate or publication at a time: a release's rows stand in tables that the next build tidies.
_BUILD_LOCK = 7_305_002


class BuildFailed(MemberhouseError):
    """The dbt project did not build; nothing of it is visible to readers."""


class Overtaken(MemberhouseError):
    """A newer build has discarded the candidate: nothing is wrong, the newer one holds all that it held."""


# How libpq and the server put it that a connection is gone: dbt hands on the words, not the error.
_LOST = re.compile(
    r"server closed the connection|terminating connection|connection to server .*failed|connection already closed"
    r"|connection has been closed|EOF detected|could not receive data"
    r"|the database system is (starting up|shutting down|in recovery)",
    re.DOTALL,
)

_held: ContextVar[psycopg.Connection | None] = ContextVar("build_lock_held", default=None)


@contextmanager
def build_lock(settings: Settings) -> Iterator[None]:
    """Hold the warehouse's build lock; waits for whoever holds it. A killed holder lets go.

    Whoever holds it already just goes on: `memberhouse run` holds it from build to publication, and
    each of the steps takes it when called alone. Raises psycopg.OperationalError when the connection that
    held it was lost meanwhile: somebody else may hold it now.
    """
    held = _held.get()
    if held is not None:
        held.execute("select 1")
        yield
        return
    with db.connect(settings, autocommit=True) as conn:
        conn.execute("select pg_advisory_lock(%s)", (_BUILD_LOCK,))
        token = _held.set(conn)
        try:
            yield
        finally:
            _held.reset(token)


def build(
    settings: Settings,
    as_of: date,
    *,
    or_later: bool = False,
    full_refresh: bool = False,
    progress: dbt.Progress | None = None,
) -> int:
    """Build the candidate release for ``as_of`` and return its release_id.

    as_of: the last business date that counts; later rows are left out. or_later: take a later date if
    readers see one or a candidate on its way to them has one, so that late data takes nobody back.
    full_refresh: compute every row anew, whatever was touched.

    First, whatever releases that were never published left in the release-versioned tables is
    discarded, so a held or failed build leaves no trace. Raises BuildFailed, naming the first model or
    test that failed, and DatabaseLost when the connection was what failed; readers see nothing of either.
    Loads wait while the models are computed.
    """
    with db.connect(settings) as conn:
        db.ensure_schema(conn)
        ensure_raw_tables(conn)
    with build_lock(settings), db.connect(settings) as conn:
        if or_later:
            as_of = max(as_of, _latest_as_of(conn) or as_of)
        return _build(settings, conn, as_of, full_refresh, progress)


def has_news(settings: Settings, as_of: date) -> bool:
    """Whether a build as of this date may end otherwise than the newest, which was published or held: with a
    later date, a batch that came, was refused or replaced since and counts by then, or another dbt project. A newer
    model of member value alone is none: its scores come with the next day's build."""
    with db.connect(settings) as conn:
        db.ensure_schema(conn)
        row = conn.execute(
            """
            select
                r.as_of_date >= %(as_of)s
                and r.project_sha256 = %(project_sha256)s
                and not exists (
                    select 1 from ops.batch as b
                    where
                        b.change_no > r.batch_change_no
                        and b.state <> 'duplicate'
                        and b.business_date <= r.as_of_date
                        -- what the overlap of an extraction brought again
                        and not (
                            b.state = 'loaded' and b.manifest ? 'extract'
                            and b.rows_in = b.rows_duplicate
                        )
                )
            from release.release as r
            where
                r.release_id = (select max(newest.release_id) from release.release as newest)
                and (
                    exists (select 1 from release.publication as p where p.release_id = r.release_id)
                    or exists (
                        select 1 from release.verdict as v where v.release_id = r.release_id and v.verdict = 'held'
                    )
                )
            """,
            {"as_of": as_of, "project_sha256": _project_sha256(settings.project_root)},
        ).fetchone()
    return not (row and row[0])


def as_of_date(settings: Settings, release_id: int) -> date:
    """The business date that a release was built for."""
    with db.connect(settings) as conn:
        row = conn.execute("select as_of_date from release.release where release_id = %s", (release_id,)).fetchone()
    assert row is not None  # noqa: S101  (asked of releases that were built)
    as_of: date = row[0]
    return as_of


def refuse_if_overtaken(conn: psycopg.Connection, release_id: int) -> None:
    """Raise Overtaken when a build was begun after the release's own and discarded its rows.

    A release that every consistency group with marts shows can't be overtaken any more.
    """
    newer = conn.execute(
        """
        select r.release_id, r.as_of_date
        from release.release as r
        where
            r.release_id > %(release_id)s
            and exists (
                select 1 from release.base_group as g
                where not exists (
                    select 1 from release.current as c
                    where c.group_name = g.group_name and c.release_id = %(release_id)s
                )
            )
        order by r.release_id desc
        limit 1
        """,
        {"release_id": release_id},
    ).fetchone()
    if newer:
        raise Overtaken(
            f"Release {release_id} was overtaken by release {newer[0]} as of {newer[1]}, which was built from the"
            " same batches and later ones.",
            "nothing; “memberhouse releases” says how the newer one fared",
        )


def _build(
    settings: Settings, conn: psycopg.Connection, as_of: date, full_refresh: bool, progress: dbt.Progress | None
) -> int:
    with ledger.step(settings, "build", f"as of {as_of}") as step:
        # until this connection ends: which batches are in the release is settled, and stays so
        conn.execute("select pg_advisory_lock(%s)", (db.RAW_LOCK,))
        project_sha256 = _project_sha256(settings.project_root)
        seeds_stand = not full_refresh and _last_build_loaded_seeds(conn, project_sha256)
        release_id = _open_release(conn, as_of, full_refresh, project_sha256)
        ((building,),) = conn.execute(
            "select to_jsonb(b) || jsonb_build_object('stored', (select jsonb_agg(t.table_name)"
            " from release.versioned_table as t)) from release.building as b"
        ).fetchall()
        conn.commit()
        step.detail["release_id"] = release_id
        left_out = ["--exclude", "resource_type:seed"] if seeds_stand else []
        try:
            results = dbt.invoke(
                settings,
                "build",
                "--exclude-resource-type",
                "unit_test",
                *left_out,
                building=building,
                progress=progress,
            )
        except RuntimeError as error:
            _raise_if_lost(conn, release_id, [str(error)])
            _close_release(conn, release_id, "failed")
            raise BuildFailed(str(error), "docs/runbook.md, “Build failed”") from error
        wrong = [node for node in results if node.went_wrong]
        _raise_if_lost(conn, release_id, [node.message for node in wrong])
        _record(conn, release_id, results)
        if results and not wrong:
            try:
                step.detail["restated_cells"] = record_restatements(conn, release_id)
            except psycopg.Error as error:
                with suppress(psycopg.OperationalError):
                    conn.rollback()
                _raise_if_lost(conn, release_id, [str(error)])
                _close_release(conn, release_id, "failed")
                raise BuildFailed(
                    f"Release {release_id} was not built: what it restates could not be told:"
                    f" {' '.join(str(error).split())}",
                    "docs/runbook.md, “Build failed”",
                ) from error
        _close_release(conn, release_id, "failed" if wrong or not results else "built")
        if wrong or not results:
            raise BuildFailed(_explain(release_id, wrong), "docs/runbook.md, “Build failed”")
        step.summary = f"release {release_id} built as of {as_of}: {len(results)} models, seeds and tests"
    return release_id


def _project_sha256(project_root: Path) -> str:
    """A fingerprint of everything in the dbt project that rows are computed by."""
    project = project_root / "dbt_project"
    digest = hashlib.sha256((project / "dbt_project.yml").read_bytes())
    for folder in ("models", "macros", "seeds"):
        for path in sorted((project / folder).rglob("*")):
            if path.suffix in {".sql", ".csv", ".yml"}:
                digest.update(path.relative_to(project).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _latest_as_of(conn: psycopg.Connection) -> date | None:
    """The latest of the dates that readers see and of the newest candidate that may yet be published."""
    row = conn.execute(
        """
        with published as (
            select r.as_of_date
            from release.current as c
            inner join release.release as r on c.release_id = r.release_id
        ),
        candidate as (
            select r.as_of_date
            from release.release as r
            where
                r.state = 'built'
                and r.release_id > coalesce((select max(p.release_id) from release.publication as p), 0)
                and not exists (
                    select 1 from release.verdict as v where v.release_id = r.release_id and v.verdict = 'held'
                )
            order by r.release_id desc
            limit 1
        )
        select max(as_of_date) from (table published union all table candidate) as dates
        """
    ).fetchone()
    return row[0] if row else None


def _last_build_loaded_seeds(conn: psycopg.Connection, project_sha256: str) -> bool:
    """Whether the build before this one ended well with the same project: its seeds stand, and passed their tests."""
    row = conn.execute(
        "select project_sha256 = %s and state = 'built' from release.release order by release_id desc limit 1",
        (project_sha256,),
    ).fetchone()
    return bool(row and row[0])


def _open_release(conn: psycopg.Connection, as_of: date, full_refresh: bool, project_sha256: str) -> int:
    conn.execute("update release.release set state = 'abandoned' where state = 'building'")
    conn.execute("call release.discard_all_unpublished()")
    row = conn.execute(
        """
        with published as (
            -- what the release-versioned tables hold: of each group the rows of its highest published release
            select r.*
            from release.base_group as g
            inner join release.release as r on g.release_id = r.release_id
        ),
        clocks as (
            select coalesce(jsonb_object_agg(s.store_id, concat_ws(' ', s.timezone, s.day_cutoff)), '{}') as now
            from ops.known_store as s
        ),
        first_enrolments as (
            select min(b.business_date) as on_date
            from ops.batch as b
            where b.source = 'pos' and b.feed = 'enrolments' and b.state = 'loaded' and b.rows_loaded > 0
        )
        insert into release.release (
            as_of_date, full_refresh, full_because, project_sha256, store_clocks, first_enrolments_on, batch_change_no,
            value_model_version
        )
        select
            %(as_of)s,
            %(full_refresh)s,
            case
                when %(full_refresh)s then 'it was asked for'
                when not exists (select 1 from release.base) then coalesce(
                    (
                        select 'nothing of the group ' || min(g.group_name) || ' is published yet'
                        from release.base_group as g
                        where g.release_id is null and exists (select 1 from published)
                    ),
                    'nothing is published yet'
                )
                when exists (select 1 from published as p where p.project_sha256 <> %(project_sha256)s)
                    then 'the dbt project changed'
                when exists (
                    select 1
                    from published as p
                    cross join jsonb_each_text(p.store_clocks) as before
                    where clocks.now ->> before.key is distinct from before.value
                ) then 'the clock of a store changed'
                when exists (select 1 from published as p where p.first_enrolments_on <> first_enrolments.on_date)
                    then 'the first list of members is another one'
            end,
            %(project_sha256)s,
            clocks.now,
            first_enrolments.on_date,
            coalesce((select max(b.change_no) from ops.batch as b), 0),
            -- settled here, so that all of the build has the same scores
            (
                select m.model_version
                from scoring.model as m
                where m.as_of_date <= %(as_of)s and exists (
                    select 1 from scoring.member_score as s where s.model_version = m.model_version
                )
                order by m.as_of_date desc, m.model_version desc
                limit 1
            )
        from clocks
        cross join first_enrolments
        returning release_id
        """,
        {"as_of": as_of, "full_refresh": full_refresh, "project_sha256": project_sha256},
    ).fetchone()
    assert row is not None  # noqa: S101  (an insert ... returning has a row)
    return int(row[0])


def _close_release(conn: psycopg.Connection, release_id: int, state: str) -> None:
    conn.execute(
        "update release.release set state = %s, built_at = clock_timestamp() where release_id = %s",
        (state, release_id),
    )
    conn.commit()


def _raise_if_lost(conn: psycopg.Connection, release_id: int, messages: Sequence[str]) -> None:
    """Tell a lost connection from a model that does not compute: only the first may pass by itself."""
    lost = next((message for message in messages if _LOST.search(message)), "")
    try:
        conn.execute("select 1")
    except psycopg.OperationalError as error:
        lost = lost or str(error)
    if lost:
        with suppress(psycopg.OperationalError):  # the next build sets it aside, too
            _close_release(conn, release_id, "failed")
        raise DatabaseLost(
            f"Release {release_id} was not built, because the connection to the database was lost:"
            f" {' '.join(lost.split())}. Readers keep the release before it.",
            "build again when the database answers, which Airflow does by itself;"
            " docs/runbook.md, “Database not reached”",
        )


def _record(conn: psycopg.Connection, release_id: int, results: list[dbt.NodeResult]) -> None:
    with conn.cursor() as cursor:
        cursor.executemany(
            "insert into ops.model_result"
            " (release_id, node_id, resource_type, status, seconds, rows_affected, message)"
            " values (%s, %s, %s, %s, %s, %s, %s)",
            [
                (
                    release_id,
                    node.node_id,
                    node.resource_type,
                    node.status,
                    node.seconds,
                    node.rows_affected,
                    node.message,
                )
                for node in results
            ],
        )


def _explain(release_id: int, wrong: list[dbt.NodeResult]) -> str:
    if not wrong:
        return f"Release {release_id}: dbt ran nothing."
    first = wrong[0]
    message = " ".join(first.message.split())
    others = f" {len(wrong) - 1} more failed." if len(wrong) > 1 else ""
    return f"Release {release_id} was not built: {first.resource_type} {first.name}: {message}.{others}"
