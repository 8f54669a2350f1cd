"""Business dates through the running scheduler, one by one: triggered, waited for, and told of."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from memberhouse import ledger
from memberhouse.errors import MemberhouseError
from memberhouse.local import airflow
from memberhouse.release import published_as_of
from memberhouse.settings import Settings

_INGEST = ("ingest_pos", "ingest_app")
_DAY_BEGINS = 4  # o'clock: where the daily timetable of the ingest DAGs cuts
_POLL = 0.7  # seconds; each look takes the API server a few hundredths of one
_ENDED = ("success", "skipped", "failed", "upstream_failed", "removed")
_RUN_TIMEOUT = 3600.0  # seconds for one DAG run; the first one loads and builds the whole history
_REGISTERED_TIMEOUT = 90.0  # seconds for new DAG files to be seen

Progress = Callable[[str], None]


def wait_for_dags(api: airflow.Api, wanted: Iterable[str]) -> None:
    """Wait until Airflow has parsed these DAGs; raises MemberhouseError with the import errors if not."""
    end = time.monotonic() + _REGISTERED_TIMEOUT
    while True:
        known = {dag["dag_id"] for dag in api.get("dags", limit=100)["dags"] if not dag["is_stale"]}
        missing = sorted(set(wanted) - known)
        if not missing:
            return
        if time.monotonic() > end:
            errors = [error["stack_trace"] for error in api.get("importErrors")["import_errors"]]
            raise MemberhouseError(
                f"Airflow does not know the DAGs {', '.join(missing)} after {_REGISTERED_TIMEOUT:.0f} s."
                + "".join(f"\n{error}" for error in errors),
                "If an import error is shown, mend it; otherwise see the dag-processor's log.",
            )
        time.sleep(1)


def run_day(settings: Settings, api: airflow.Api, day: date, zone: str, tell: Progress) -> None:
    """Run the ingest DAGs for a business date and wait for the build, gate and release they cause.

    zone: head office's time zone, by which the DAGs' days begin. Raises MemberhouseError, naming the task and the
    reason, when a run fails or is held.
    """
    begun = time.monotonic()
    before = published_as_of(settings)
    known = {run["dag_run_id"] for run in runs(api, "build_warehouse")}
    triggered = [(dag_id, _trigger(api, dag_id, day, zone)) for dag_id in _INGEST]
    for dag_id, run_id in triggered:
        finish(settings, api, dag_id, run_id, tell)
    done = False
    while not done:  # a run that found only one of the two delivered is skipped, or restates the day before
        build_id = caused(api, "build_warehouse", day, known)
        known.add(build_id)
        states = finish(settings, api, "build_warehouse", build_id, tell)
        published = published_as_of(settings)
        # a run from before may have published the day meanwhile, so that this one found no news and was skipped
        is_new = states["build"] == "success" or before is None or before < day
        done = is_new and published is not None and published >= day
    tell(f"  published as of {day} ({time.monotonic() - begun:.0f} s)")


def _trigger(api: airflow.Api, dag_id: str, day: date, zone: str) -> str:
    """Start the daily run of a business date, or start it again if it ended before; return its id."""
    start = datetime(day.year, day.month, day.day, _DAY_BEGINS, tzinfo=ZoneInfo(zone))
    run_id = f"business_date__{day}"
    try:
        api.post(
            f"dags/{dag_id}/dagRuns",
            {
                "dag_run_id": run_id,
                "logical_date": start.isoformat(),
                "data_interval_start": start.isoformat(),
                "data_interval_end": (start + timedelta(days=1)).isoformat(),
            },
        )
    except airflow.ApiError as error:
        if error.code != 409:
            raise
        if api.get(f"dags/{dag_id}/dagRuns/{run_id}")["state"] in ("success", "failed"):
            api.post(f"dags/{dag_id}/dagRuns/{run_id}/clear", {"dry_run": False})
    return run_id


def runs(api: airflow.Api, dag_id: str) -> list[dict[str, Any]]:
    """The newest runs of a DAG, as Airflow's API tells them."""
    newest: list[dict[str, Any]] = api.get(f"dags/{dag_id}/dagRuns", order_by="-run_after", limit=20)["dag_runs"]
    return newest


def caused(api: airflow.Api, dag_id: str, day: date, known: set[str]) -> str:
    """The id of the run that the assets of a business date started; ``known``: runs from before."""
    end = time.monotonic() + _RUN_TIMEOUT
    while time.monotonic() < end:
        for run in runs(api, dag_id):
            run_id = run["dag_run_id"]
            if run_id in known:
                continue
            events = api.get(f"dags/{dag_id}/dagRuns/{run_id}/upstreamAssetEvents")["asset_events"]
            if any(event["extra"].get("as_of") == str(day) for event in events):
                return str(run_id)
        time.sleep(_POLL)
    raise MemberhouseError(
        f"Nothing started {dag_id} for {day}, although what it waits for is there.",
        "`memberhouse status --airflow` says whether the scheduler is up; then `memberhouse demo` again.",
    )


def finish(settings: Settings, api: airflow.Api, dag_id: str, run_id: str, tell: Progress) -> dict[str, str]:
    """Wait until a run has ended, telling of each task that did; raise when it failed.

    Returns the states of its tasks.
    """
    end = time.monotonic() + _RUN_TIMEOUT
    told: set[str] = set()
    while time.monotonic() < end:
        tasks = api.get(f"dags/{dag_id}/dagRuns/{run_id}/taskInstances", limit=100)["task_instances"]
        for task_id, outcome in _done(tasks):
            if task_id not in told:
                told.add(task_id)
                tell(f"  {dag_id}.{task_id}: {outcome}")
        if all(task["state"] in _ENDED for task in tasks):
            state = api.get(f"dags/{dag_id}/dagRuns/{run_id}")["state"]
            if state == "success":
                return {task["task_id"]: task["state"] for task in tasks}
            if state == "failed":
                raise _failure(settings, dag_id, run_id, tasks)
        time.sleep(_POLL)
    raise MemberhouseError(
        f"{dag_id} ({run_id}) has not ended after {_RUN_TIMEOUT / 60:.0f} minutes.",
        "Look at it in the UI (`memberhouse status --airflow` says where), then `memberhouse demo` again.",
    )


def _done(tasks: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """The tasks that have ended well, in the order of their ends, and how; a mapped one when all of it has."""
    by_id: dict[str, list[dict[str, Any]]] = {}
    for task in tasks:
        by_id.setdefault(task["task_id"], []).append(task)
    done = []
    for task_id, instances in by_id.items():
        states = {instance["state"] for instance in instances}
        if states <= {"success", "skipped"}:
            seconds = sum(instance["duration"] or 0 for instance in instances)
            times = f" × {len(instances)}" if len(instances) > 1 else ""
            ended_at = max(instance["end_date"] or "" for instance in instances)
            done.append((ended_at, task_id, f"{' and '.join(sorted(states))}{times} ({seconds:.1f} s)"))
    return [(task_id, outcome) for _, task_id, outcome in sorted(done)]


def _failure(settings: Settings, dag_id: str, run_id: str, tasks: list[dict[str, Any]]) -> MemberhouseError:
    failed = next((task for task in tasks if task["state"] == "failed"), None)
    where = f"{dag_id}.{failed['task_id']}" if failed else dag_id
    trouble = ledger.last_trouble(settings)
    why = f" {trouble.summary}" if trouble else ""
    logs = settings.home / "airflow/logs/tasks" / f"dag_id={dag_id}" / f"run_id={run_id}"
    return MemberhouseError(
        f"{where} failed in run {run_id}.{why} Its log is below {logs}.",
        f"{trouble.next_action if trouble else 'Mend what the log names'}; then `memberhouse demo` again:"
        " it goes on where it ended.",
    )
