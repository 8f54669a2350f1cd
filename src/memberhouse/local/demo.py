"""The demo: a year of real loyalty data through the running scheduler, day by day, to published marts."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg

from memberhouse import db, ledger
from memberhouse.errors import MemberhouseError
from memberhouse.local import airflow, postgres
from memberhouse.release import published_as_of
from memberhouse.settings import Settings
from memberhouse.simulate.complete_journey import STORE_ZONE, write_sample

HISTORY_UNTIL = date(2017, 12, 23)
LAST_DAY = date(2017, 12, 31)
DAYS = [HISTORY_UNTIL + timedelta(days=n) for n in range((LAST_DAY - HISTORY_UNTIL).days + 1)]

_INGEST = ("ingest_pos", "ingest_app")
_DAY_BEGINS = 4  # o'clock: where the daily timetable of the ingest DAGs cuts
_POLL = 0.7  # seconds; each look takes the API server a few hundredths of one
_ENDED = ("success", "skipped", "failed", "upstream_failed", "removed")
_RUN_TIMEOUT = 1800.0  # seconds for one DAG run; the first one loads and builds the whole history
_REGISTERED_TIMEOUT = 90.0  # seconds for new DAG files to be seen

Progress = Callable[[str], None]


def _say(line: str) -> None:
    print(line, flush=True)


def run(settings: Settings, progress: Progress = _say) -> None:
    """Do everything that is not done yet, and say what there is to see. Leaves the services running.

    History up to 23 December 2017 is loaded by the first daily run; the days to 31 December follow one by
    one. Days that are published are skipped. Raises MemberhouseError, naming the task and the reason, when a
    run fails or is held.
    """
    landing = settings.home / "landing"
    if os.environ.get("MEMBERHOUSE_LANDING", str(landing)) != str(landing):
        raise MemberhouseError(
            f"The demo lands its sample in {landing}, but MEMBERHOUSE_LANDING names another folder.",
            "Unset MEMBERHOUSE_LANDING for the demo; your own data needs no demo.",
        )
    landing.mkdir(parents=True, exist_ok=True)
    tell = _clock(progress)
    tell("Postgres")
    _start_warehouse(settings, tell)
    # The sample ends; without this the scheduler would go on to today.
    settings.home.joinpath(airflow.LAST_BUSINESS_DATE_FILE).write_text(f"{LAST_DAY}\n")
    with ThreadPoolExecutor(1) as pool:  # Airflow's programs start meanwhile
        landed = pool.submit(_land_sample, landing, tell)
        airflow.up(settings, tell)
        landed.result()
    api = airflow.Api(settings)
    wait_for_dags(api, [*_INGEST, "build_warehouse", "weekly_member_report"])
    for run in _runs(api, "build_warehouse"):
        if run["state"] in ("queued", "running"):
            tell("a build that an interrupted demo left running")
            _finish(settings, api, "build_warehouse", run["dag_run_id"], tell)
    published = published_as_of(settings)
    to_do = [day for day in DAYS if published is None or day > published]
    if not to_do:
        tell(f"everything up to {published} is published already")
    for number, day in enumerate(to_do, 1):
        what = " (with all history before it)" if day == HISTORY_UNTIL else ""
        tell(f"business date {day}{what}: {number} of {len(to_do)}")
        run_day(settings, api, day, tell)
    report = _report(settings, api, tell, caused=bool(to_do))
    for line in _summary(settings, report):
        progress(line)


def _clock(progress: Progress) -> Progress:
    begun = time.monotonic()

    def tell(line: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - begun), 60)
        progress(f"[{minutes:2d}:{seconds:02d}] {line}")

    return tell


def _start_warehouse(settings: Settings, tell: Progress) -> None:
    with db.connect(settings) as connection:
        db.ensure_schema(connection)
    if settings.database_url is None:
        tell(f"  {postgres.status(settings.home)}")


def _land_sample(landing: Path, tell: Progress) -> None:
    done = landing / ".complete"
    if not done.exists():
        tell("the sample: a year of The Complete Journey as landed batches")
        write_sample(landing, progress=lambda line: tell(f"  {line}"))
        done.touch()


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


def run_day(settings: Settings, api: airflow.Api, day: date, tell: Progress) -> None:
    """Run the ingest DAGs for a business date and wait for the build, gate and release they cause."""
    begun = time.monotonic()
    known = {run["dag_run_id"] for run in _runs(api, "build_warehouse")}
    runs = [(dag_id, _trigger(api, dag_id, day)) for dag_id in _INGEST]
    for dag_id, run_id in runs:
        _finish(settings, api, dag_id, run_id, tell)
    built = False
    while not built:  # a run that found only one of the two delivered is skipped
        build_id = _caused(api, "build_warehouse", day, known)
        known.add(build_id)
        built = _finish(settings, api, "build_warehouse", build_id, tell)["build"] == "success"
    tell(f"  published as of {day} ({time.monotonic() - begun:.0f} s)")


def _trigger(api: airflow.Api, dag_id: str, day: date) -> str:
    """Start the daily run of a business date, or start it again if it ended before; return its id."""
    start = datetime(day.year, day.month, day.day, _DAY_BEGINS, tzinfo=ZoneInfo(STORE_ZONE))
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


def _runs(api: airflow.Api, dag_id: str) -> list[dict[str, Any]]:
    runs: list[dict[str, Any]] = api.get(f"dags/{dag_id}/dagRuns", order_by="-run_after", limit=20)["dag_runs"]
    return runs


def _caused(api: airflow.Api, dag_id: str, day: date, known: set[str]) -> str:
    """The id of the run that the assets of a business date started; ``known``: runs from before."""
    end = time.monotonic() + _RUN_TIMEOUT
    while time.monotonic() < end:
        for run in _runs(api, dag_id):
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


def _finish(settings: Settings, api: airflow.Api, dag_id: str, run_id: str, tell: Progress) -> dict[str, str]:
    """Wait until a run has ended, telling of each task that did; raise when it failed.

    Returns the states of its tasks.
    """
    end = time.monotonic() + _RUN_TIMEOUT
    told: set[str] = set()
    while time.monotonic() < end:
        tasks = api.get(f"dags/{dag_id}/dagRuns/{run_id}/taskInstances")["task_instances"]
        for task in sorted(tasks, key=lambda task: task["end_date"] or ""):
            if task["state"] in ("success", "skipped") and task["task_id"] not in told:
                told.add(task["task_id"])
                tell(f"  {dag_id}.{task['task_id']}: {task['state']} ({task['duration'] or 0:.1f} s)")
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


def _report(settings: Settings, api: airflow.Api, tell: Progress, *, caused: bool) -> Path:
    """The report of the last week; by the run that the last publication started, or by hand if it is gone."""
    name = f"{LAST_DAY:%G-W%V}"
    folder = settings.home / "reports"
    if caused:
        tell(f"the report of {name}")
        run_id = _caused(api, "weekly_member_report", LAST_DAY, set())
        _finish(settings, api, "weekly_member_report", run_id, tell)
    elif not _pages(folder, name):
        tell(f"the report of {name}")
        body = {"logical_date": None, "conf": {"week": str(LAST_DAY)}}
        run_id = api.post("dags/weekly_member_report/dagRuns", body)["dag_run_id"]
        _finish(settings, api, "weekly_member_report", run_id, tell)
    return _pages(folder, name)[-1]


def _pages(folder: Path, name: str) -> list[Path]:
    return sorted(folder.glob(f"*{name}*.html"))


def _summary(settings: Settings, report: Path) -> list[str]:
    """The key numbers, as the BI role reads them, and where everything is."""
    monday = LAST_DAY - timedelta(days=LAST_DAY.weekday())
    with db.connect(settings) as connection:
        db.as_bi_role(connection)
        lines, receipts, sales = _row(
            connection,
            "select (select count(*) from bi.fct_receipt_line), count(*), sum(net_amount) from bi.fct_receipt",
        )
        (members,) = _row(connection, "select count(*) from bi.dim_member")
        kpi = _row(
            connection,
            "select growth_rate, churn_rate, repurchase_rate, average_ticket_amount, activity_rate, caveats"
            " from bi.kpi_weekly where level = 'hq' and week_start = %s",
            monday,
        )
        stages = connection.execute(
            "select d.stage_code, d.name_en, sum(m.members) from bi.stage_mix_weekly as m"
            " inner join bi.dim_stage as d on m.stage_code = d.stage_code where m.week_start = %s"
            " group by d.stage_code, d.name_en, d.sort_order order by d.sort_order",
            (monday,),
        ).fetchall()
        release_id, as_of, state = _row(
            connection, "select release_id, as_of_date, state from bi.freshness order by group_name limit 1"
        )
    where = airflow.status(settings)
    database = (
        f'{postgres.HOST}:{postgres.status(settings.home).port}, `memberhouse query "select …"` reads it'
        if settings.database_url is None
        else "the one that DATABASE_URL names"
    )
    rates = ("member growth", "churn", "repurchase", "average ticket", "activity")
    return [
        "",
        f"Published: release {release_id} as of {as_of} ({state})",
        f"  {lines:,} receipt lines, {receipts:,} receipts, {members:,} members, net sales {sales:,}",
        f"Week {LAST_DAY:%G-W%V}, head office:",
        *(f"  {name:<16}{_shown(name, value)}" for name, value in zip(rates, kpi, strict=False)),
        *([f"  ({kpi[-1]})"] if kpi[-1] else []),
        "Members by stage at its close:",
        *(f"  {code} {name:<24}{count:>6,}" for code, name, count in stages),
        "",
        f"Report    {report}",
        f"Airflow   {where.url}  account {airflow.ADMIN}, password in {where.password_file}",
        f"Database  {database}",
        "",
        "Next: open the report and the UI;",
        "  memberhouse query \"select * from bi.kpi_weekly where level = 'hq' order by week_start\"",
        "  memberhouse releases     what was published, and when",
        "  memberhouse rollback     readers see the release before, at once",
        "  make down                stop everything",
    ]


def _row(connection: psycopg.Connection, query: str, *values: object) -> tuple[Any, ...]:
    row = connection.execute(query.encode(), values).fetchone()
    if row is None:
        raise MemberhouseError(f"Nothing is published that answers: {query}", "`memberhouse demo` again.")
    return row


def _shown(name: str, value: Decimal | None) -> str:
    if value is None:
        return "not observable yet"
    return f"{value:,.2f}" if name == "average ticket" else f"{value:.2%}"
