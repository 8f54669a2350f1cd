"""What the DAG files share: the assets between them, the daily schedule, and how a failure is told."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pendulum
from airflow.sdk import (
    Asset,
    CronDataIntervalTimetable,
    ExceptionRetryPolicy,
    ObjectStoragePath,
    RetryAction,
    RetryRule,
)
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from memberhouse.errors import AppNotReached, DatabaseLost, ExtractionUnderWay, MemberhouseError
from memberhouse.extract.resources import RESOURCES

RAW_POS = Asset("raw_pos")
RAW_APP = Asset("raw_app")
# What is published, a consistency group each.
BI = {group: Asset(f"bi_{group}") for group in ("core", "programme", "operations")}

# A business date begins and ends by head office's clock.
HEAD_OFFICE_ZONE = os.environ.get("MEMBERHOUSE_HEAD_OFFICE_ZONE") or "Asia/Shanghai"

# The interval of business date D is [D 04:00, D+1 04:00): every till has delivered by then, and no change
# of the clocks falls on that hour.
DAILY = CronDataIntervalTimetable("0 4 * * *", timezone=HEAD_OFFICE_ZONE)
START = pendulum.datetime(2017, 1, 1, tz=HEAD_OFFICE_ZONE)

# A data set that has ended, such as the sample, has a last business date: no day after it is scheduled.
_LAST = os.environ.get("MEMBERHOUSE_LAST_BUSINESS_DATE")
END = pendulum.parse(_LAST, tz=HEAD_OFFICE_ZONE).end_of("day") if _LAST else None


# What is extracted from the app's back end: nothing, where none is configured.
APP_RESOURCES = list(RESOURCES) if os.environ.get("MEMBERHOUSE_APP_URL") else []


def tell_failure(context: Mapping[str, Any]) -> None:
    """Raise one alert for a task that failed for good: ``on_failure_callback`` of every task.

    A root cause is told once: tasks that did not run because of it never get here, and what the gate has
    told already has the same words.
    """
    from memberhouse.alerts import raise_alert
    from memberhouse.settings import Settings

    task, error = context["task_instance"], context["exception"]
    where = f"{task.dag_id}.{task.task_id}"
    known = isinstance(error, MemberhouseError)
    raise_alert(
        Settings.from_env(),
        root_cause=error.message if known else str(error) or f"{where}: {type(error).__name__}",
        message=f"{where} failed: {error.message if known else error}",
        next_action=error.next_action if known else "docs/runbook.md, “Unexpected error”",
        detail={"dag_id": task.dag_id, "task_id": task.task_id, "run_id": context["run_id"]},
    )


# For every task: who owns it, and more tries where the cause may pass (a lost connection, a restart). What
# Memberhouse itself reports names its cause and what to do: another try would only tell it again.
TASK_DEFAULTS: dict[str, Any] = {
    "owner": "crm-data",
    "retries": 2,
    "retry_delay": timedelta(seconds=30),
    "retry_policy": ExceptionRetryPolicy(
        rules=[
            RetryRule(DatabaseLost, action=RetryAction.DEFAULT),
            RetryRule(AppNotReached, action=RetryAction.DEFAULT),
            RetryRule(ExtractionUnderWay, action=RetryAction.DEFAULT),
            RetryRule(MemberhouseError, action=RetryAction.FAIL),
        ]
    ),
    "on_failure_callback": tell_failure,
}


def business_date(data_interval_start: datetime) -> date:
    """The business date that a daily run is for."""
    return data_interval_start.astimezone(ZoneInfo(HEAD_OFFICE_ZONE)).date()


def latest_as_of(triggering_asset_events: Mapping[Any, Any]) -> date | None:
    """The latest business date that the events which started this run speak of; None: started by hand."""
    dates = [event.extra["as_of"] for events in triggering_asset_events.values() for event in events]
    return date.fromisoformat(max(dates)) if dates else None


def delivered_with_news(settings: Any) -> date:
    """The business date up to which every source has delivered; skips the task when nothing new counts by then."""
    from memberhouse.load import delivered_until
    from memberhouse.warehouse import has_news

    as_of = delivered_until(settings, ("pos", "app"))
    if as_of is None:
        raise AirflowSkipException("Only one of the sources has delivered yet.")
    if not has_news(settings, as_of):
        raise AirflowSkipException(f"Nothing that counts by {as_of} came since the last publication.")
    return as_of


@contextmanager
def skipped_if_overtaken() -> Iterator[None]:
    """Skip the task, and with it those after it, when a newer release took over: that is no failure."""
    from memberhouse.warehouse import Overtaken

    try:
        yield
    except Overtaken as overtaken:
        raise AirflowSkipException(overtaken.message) from overtaken


def judge_group(group: str, release_id: int) -> str:
    """Judge a release for one consistency group, and return what was found. Fails the task when it is held; skips it
    when the group has no marts, or is held only because the one that it rests on is."""
    from memberhouse.gate import evaluate
    from memberhouse.release import shown
    from memberhouse.settings import Settings

    settings = Settings.from_env()
    with skipped_if_overtaken():
        verdicts = evaluate(settings, release_id, group=group)
    for verdict in verdicts:
        if verdict.is_held_with_base:
            raise AirflowSkipException(f"release held: {verdict.reason}")
        if verdict.verdict != "passed":
            raise AirflowFailException(f"release held: {verdict.reason}")
        return f"{group}: {verdict.reason}"
    if shown(settings).get(group) != release_id:
        raise AirflowSkipException(f"The project has no marts of the group {group}.")
    return f"{group}: release {release_id} is published already"


def publish_group(group: str, release_id: int) -> None:
    """Point readers of one consistency group at a release that passed."""
    from memberhouse.release import publish
    from memberhouse.settings import Settings

    with skipped_if_overtaken():
        print(*publish(Settings.from_env(), release_id, groups=[group]), sep="\n")


def landing_keep_days() -> int:
    """How many days a landed batch stays after it was taken; 0: for ever."""
    return int(os.environ.get("MEMBERHOUSE_LANDING_KEEP_DAYS") or 90)


def landing() -> Any:
    """The landing root: a folder, or a place in object storage that one of Airflow's connections reaches."""
    from memberhouse.settings import Settings

    place = Settings.from_env().landing_place
    if "://" in place:
        return ObjectStoragePath(place, conn_id=os.environ.get("MEMBERHOUSE_LANDING_CONNECTION") or None)
    return Path(place)


def extract_from_app(resource: str, day: date) -> str:
    """Land what changed of a resource of the app's back end since it was loaded last. Returns one sentence."""
    from memberhouse.extract import extract
    from memberhouse.settings import Settings

    return extract(Settings.from_env(), landing(), resource, day, progress=print).summary()


def load_app_until(day: date) -> str:
    """`load_landed_until` for the app; and where its orders are extracted, those of any date: an extraction
    counts as loaded when all of it is, and it has orders of the day that has just begun."""
    orders = [load_landed_until(None, sources=("pos/APP",))] if APP_RESOURCES else []
    return "; ".join([*orders, load_landed_until(day, sources=("app",))])


def load_landed_until(day: date | None, sources: Collection[str], part: tuple[int, int] = (0, 1)) -> str:
    """Load every batch of ``sources`` that has landed for ``day`` or before (None: any) and is not loaded yet.

    part: which of how many parts of them. A refused batch does not stop the others; the loader raises the
    alert. Returns one sentence.
    """
    from memberhouse.load import load_landed
    from memberhouse.settings import Settings

    report = load_landed(Settings.from_env(), landing(), until=day, sources=sources, progress=print, part=part)
    return report.summary()


def parts_to_load_until(day: date, sources: Collection[str]) -> list[tuple[int, int]]:
    """The parts in which those batches can be loaded side by side: which, of how many."""
    from memberhouse.load import parts_to_load
    from memberhouse.settings import Settings

    parts = parts_to_load(Settings.from_env(), landing(), until=day, sources=sources)
    return [(number, parts) for number in range(parts)]


def record_delivery_until(day: date, sources: Collection[str]) -> None:
    """Write down that ``sources`` were loaded up to ``day``, all parts of them."""
    from memberhouse.load import record_delivery
    from memberhouse.settings import Settings

    record_delivery(Settings.from_env(), sources, day)
