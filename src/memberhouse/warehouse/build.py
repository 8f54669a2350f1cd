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
from memberhouse.sources.feeds import ensure_raw_tables
from memberhouse.warehouse import dbt

# One build, gate or publication at a time: a release's rows stand in tables that the next build tidies.
_BUILD_LOCK = 7_305_002


class BuildFailed(MemberhouseError):
    """The dbt project did not build; nothing of it is visible to readers."""


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
    full_refresh: bool = False,
    progress: dbt.Progress | None = None,
) -> int:
    """Build the candidate release for ``as_of`` and return its release_id.

    as_of: the last business date that counts; later rows are left out.
    full_refresh: compute every row anew, whatever was touched.

    First, whatever releases that were never published left in the release-versioned tables is
    discarded, so a held or failed build leaves no trace. Raises BuildFailed, naming the first model or
    test that failed, and DatabaseLost when the connection was what failed; readers see nothing of either.
    """
    with db.connect(settings) as conn:
        db.ensure_schema(conn)
        ensure_raw_tables(conn)
    with (
        build_lock(settings),
        db.connect(settings) as conn,
        ledger.step(settings, "build", f"as of {as_of}") as step,
    ):
        release_id = _open_release(conn, as_of, full_refresh, _project_sha256(settings.project_root))
        conn.commit()
        step.detail["release_id"] = release_id
        try:
            results = dbt.invoke(settings, "build", "--exclude-resource-type", "unit_test", progress=progress)
        except RuntimeError as error:
            _raise_if_lost(conn, release_id, [str(error)])
            _close_release(conn, release_id, "failed")
            raise BuildFailed(str(error), "docs/runbook.md, “Build failed”") from error
        wrong = [node for node in results if node.went_wrong]
        _raise_if_lost(conn, release_id, [node.message for node in wrong])
        _record(conn, release_id, results)
        _close_release(conn, release_id, "failed" if wrong or not results else "built")
        if wrong or not results:
            raise BuildFailed(_explain(release_id, wrong), "docs/runbook.md, “Build failed”")
        step.summary = f"release {release_id} built as of {as_of}: {len(results)} models, seeds and tests"
    return release_id


def _project_sha256(project_root: Path) -> str:
    """A fingerprint of everything in the dbt project that rows are computed by."""
    project = project_root / "dbt_project"
    digest = hashlib.sha256()
    for folder in ("models", "macros", "seeds"):
        for path in sorted((project / folder).rglob("*")):
            if path.suffix in {".sql", ".csv", ".yml"}:
                digest.update(path.relative_to(project).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _open_release(conn: psycopg.Connection, as_of: date, full_refresh: bool, project_sha256: str) -> int:
    conn.execute("update release.release set state = 'abandoned' where state = 'building'")
    conn.execute("call release.discard_all_unpublished()")
    row = conn.execute(
        "insert into release.release (as_of_date, full_refresh, project_sha256, batch_change_no)"
        " select %s, %s, %s, coalesce(max(change_no), 0) from ops.batch returning release_id",
        (as_of, full_refresh, project_sha256),
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
