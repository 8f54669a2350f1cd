"""Runs dbt in this process, on the warehouse that the settings name."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg.conninfo import conninfo_to_dict

from memberhouse import db
from memberhouse.settings import Settings

if TYPE_CHECKING:
    from dbt.adapters.sql import SQLConnectionManager
    from dbt.cli.main import dbtRunnerResult

Progress = Callable[[str], None]


@dataclass(frozen=True)
class NodeResult:
    """How one model, seed or test went.

    status: dbt's word for it: success, pass, warn, fail, error, skipped.
    """

    node_id: str
    resource_type: str
    status: str
    seconds: float
    rows_affected: int | None
    message: str

    @property
    def name(self) -> str:
        """The model's or test's own name."""
        return self.node_id.split(".")[3 if self.resource_type == "unit_test" else 2]

    @property
    def went_wrong(self) -> bool:
        """Failed on its own account; what was skipped because of it is not counted."""
        return self.status in {"error", "fail", "runtime error"}


def invoke(
    settings: Settings, *arguments: str, building: Mapping[str, Any] | None = None, progress: Progress | None = None
) -> list[NodeResult]:
    """Run a dbt command such as ``build`` and return a result a node.

    building: the row of release.building, and the marts that are stored, for the macro of that name; without it,
    the macro asks the database.
    Raises RuntimeError when dbt did not get as far as running nodes (a parse error, no connection).
    The target and log folders are ``<home>/dbt``; the parsed project is kept there, which makes the
    next start a matter of a second.
    """
    from dbt.adapters.base import impl
    from dbt.adapters.postgres.connections import PostgresConnectionManager
    from dbt.cli.main import dbtRunner

    PostgresConnectionManager.release = _keep_connection
    _word_what_is_heard()
    _parse_no_dates_in_words()
    # dbt-adapters adds a flag to its defaults with each run, and goes through the whole stack for each of them: after
    # a hundred runs in one process that is most of the time.
    default_flags = list(impl.DEFAULT_BASE_BEHAVIOR_FLAGS)
    # dbt's own start-up message and usage statistics
    os.environ["DO_NOT_TRACK"] = "1"
    with _environment(settings, building):
        runner = dbtRunner(callbacks=[_reporter(progress)] if progress else [])
        result = runner.invoke(
            [
                "--no-send-anonymous-usage-stats",
                "--no-version-check",
                # A logger words every event, whatever its level: a fifth of a small build. What went wrong is in the
                # results, the SQL in target.
                "--log-level",
                "none",
                "--log-level-file",
                "none",
                *arguments,
                "--project-dir",
                str(settings.project_root / "dbt_project"),
                "--profiles-dir",
                str(settings.project_root / "dbt_project"),
                "--target-path",
                str(settings.home / "dbt" / "target"),
                "--log-path",
                str(settings.home / "dbt" / "logs"),
            ]
        )
    impl.DEFAULT_BASE_BEHAVIOR_FLAGS[:] = default_flags
    if result.exception is not None and not _nodes(result):
        raise RuntimeError(f"dbt {arguments[0]}: {result.exception}") from result.exception
    return [
        NodeResult(
            node_id=node.node.unique_id,
            resource_type=str(node.node.resource_type),
            status=str(node.status),
            seconds=node.execution_time,
            rows_affected=_rows_affected(node.adapter_response),
            message=(node.message or "").strip(),
        )
        for node in _nodes(result)
    ]


def _keep_connection(manager: SQLConnectionManager) -> None:
    """Keep a thread's connection for its next node, as dbt-snowflake can.

    dbt-postgres makes one a node, and a new one has read nothing of the catalogue yet: of a small build that was three
    quarters of the server's work. Always rolls back: psycopg2 does not know of the commits that dbt sends as text.
    """
    connection = manager.get_if_exists()
    if connection is not None and connection.state == "open":
        manager._rollback_handle(connection)
        connection.transaction_open = False
        if connection.handle.closed:
            manager.close(connection)


def _word_what_is_heard() -> None:
    """Leave out what nobody hears of dbt's events: those for debugging, some twenty a node.

    Each was put into two messages before anybody looked at its level: a fifth of a small build.
    """
    from dbt_common.events import base_types, event_manager

    of_event: Any = base_types.BaseEvent
    of_manager: Any = event_manager.EventManager
    if hasattr(of_event, "_said"):
        return
    word, get, fire = of_event.__init__, of_event.__getattr__, of_manager.fire_event

    def said(event: Any, *args: Any, **kwargs: Any) -> None:
        vars(event)["_said"] = (args, kwargs)

    def attribute(event: Any, name: str) -> Any:
        if "_said" in vars(event):
            args, kwargs = vars(event).pop("_said")
            word(event, *args, **kwargs)
            return getattr(event, name)
        return get(event, name)

    def fire_event(
        manager: Any,
        e: Any,
        level: base_types.EventLevel | None = None,
        node: Any = None,
        force_warn_or_error_handling: bool = False,
    ) -> None:
        is_debug = (level or e.level_tag()) == base_types.EventLevel.DEBUG and not force_warn_or_error_handling
        # a reporter listens to what nodes came to, whoever else listens to everything
        if not is_debug or any(not getattr(callback, "is_reporter", False) for callback in manager.callbacks):
            fire(manager, e, level, node, force_warn_or_error_handling)

    of_event._said = ()
    of_event.__init__ = said
    of_event.__getattr__ = attribute
    of_manager.fire_event = fire_event


def _parse_no_dates_in_words() -> None:
    """Make agate's parser of dates in words once, and not four times for each result of a query: a tenth of a small
    build, and no date here is in words."""
    import parsedatetime

    if not hasattr(parsedatetime.Constants, "cache_info"):
        parsedatetime.Constants = functools.cache(parsedatetime.Constants)


def _nodes(result: dbtRunnerResult) -> list[Any]:
    return list(getattr(result.result, "results", None) or [])


def _rows_affected(response: dict[str, Any]) -> int | None:
    rows = response.get("rows_affected")
    return int(rows) if isinstance(rows, int | str) and str(rows).isdigit() else None


def _reporter(progress: Progress) -> Callable[[Any], None]:
    """Turn dbt's events into a line a finished node."""

    def report(event: Any) -> None:
        if event.info.name in {"LogModelResult", "LogSeedResult"}:
            data = event.data
            progress(
                f"  {data.index}/{data.total} {data.node_info.node_name}: {data.status.lower()}"
                f" in {data.execution_time:.1f} s"
            )

    report.is_reporter = True  # type: ignore[attr-defined]  # see _word_what_is_heard
    return report


@contextmanager
def _environment(settings: Settings, building: Mapping[str, Any] | None) -> Iterator[None]:
    """``profiles.yml`` reads the connection from MEMBERHOUSE_PG_*; a var instead would have dbt parse all anew."""
    parts = conninfo_to_dict(db.database_url(settings))
    wanted = {
        "MEMBERHOUSE_PG_HOST": str(parts.get("host") or "localhost"),
        "MEMBERHOUSE_PG_PORT": str(parts.get("port") or 5432),
        "MEMBERHOUSE_PG_USER": str(parts.get("user") or ""),
        # dbt scrubs from its logs every variable with this prefix
        "DBT_ENV_SECRET_MEMBERHOUSE_PG_PASSWORD": str(parts.get("password") or ""),
        "MEMBERHOUSE_PG_DBNAME": str(parts.get("dbname") or ""),
        "MEMBERHOUSE_BUILDING": json.dumps(building) if building else "",
        # dbt's manifest and run_results, which nobody reads after a build: a tenth of a small one
        "DBT_WRITE_JSON": os.environ.get("DBT_WRITE_JSON", "false"),
    }
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
