"""The demo: a chain's history and then its last days through the running scheduler, to published marts."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg

from memberhouse import db
from memberhouse.errors import MemberhouseError
from memberhouse.extract.resources import ORDER_RESOURCES
from memberhouse.local import airflow, app_backend, postgres
from memberhouse.local.daily import Progress, caused, finish, run_day, runs, wait_for_dags
from memberhouse.local.files import write_private
from memberhouse.release import published_as_of
from memberhouse.reports import weekly
from memberhouse.reports.wording import LANGUAGES
from memberhouse.settings import Settings
from memberhouse.simulate import complete_journey
from memberhouse.simulate.chain import write_chain
from memberhouse.simulate.chain.landing import produced_at
from memberhouse.sources.pos import APP_STORE

_LANDED = ".landed"  # in the landing folder, when all of it is there: the name of the data set


@dataclass(frozen=True)
class DataSet:
    """What a demo shows.

    history_until: all days up to it are loaded by the first daily run. last_day: a Sunday; the days between come
    one by one. zone: head office's time zone. land: writes the batches into a folder, and tells. has_app: whether
    what the app knows of the last days is extracted from its back end (the stand-in) and not landed as files.
    """

    name: str
    history_until: date
    last_day: date
    zone: str
    land: Callable[[Path, Progress], object]
    has_app: bool = False

    @property
    def days(self) -> list[date]:
        """The business dates of the daily runs."""
        return [self.history_until + timedelta(days=n) for n in range((self.last_day - self.history_until).days + 1)]


def simulated_chain(members: int = 20_000, days: int = 900, daily: int = 2) -> DataSet:
    """A simulated chain of `members` over `days`, of which the last `daily` come one by one."""
    last_day = date(2026, 6, 28)
    return DataSet(
        name=f"a simulated chain of {members:,} members over {days} days",
        history_until=last_day - timedelta(days=daily),
        last_day=last_day,
        zone="Asia/Shanghai",
        land=lambda folder, tell: write_chain(
            folder, members=members, days=days, seed=1, until=last_day, store_days=daily, progress=tell
        ),
        has_app=True,
    )


DATA_SETS: Mapping[str, Callable[[], DataSet]] = {
    "chain": simulated_chain,
    "complete-journey": lambda: DataSet(
        name="a year of The Complete Journey",
        history_until=date(2017, 12, 23),
        last_day=date(2017, 12, 31),
        zone=complete_journey.STORE_ZONE,
        land=lambda folder, tell: complete_journey.write_sample(folder, progress=tell),
    ),
}


def _say(line: str) -> None:
    print(line, flush=True)


def run(settings: Settings, data_set: DataSet, progress: Progress = _say) -> None:
    """Do everything that is not done yet, and say what there is to see. Leaves the services running.

    The history is loaded by the first daily run; the days after it follow one by one. Days that are published are
    skipped. Raises MemberhouseError, naming the task and the reason, when a run fails or is held.
    """
    landing = _landing(settings, data_set)
    tell = _clock(progress)
    tell("Postgres")
    _start_warehouse(settings, tell)
    _write_environment(settings, data_set)
    with ThreadPoolExecutor(1) as pool:  # Airflow's programs start meanwhile
        landed = pool.submit(_land, settings, data_set, landing, tell)
        airflow.up(settings, tell)
        landed.result()
    if data_set.has_app:
        # its clock first: by the real time it would serve days that have not come yet
        app_backend.set_clock(settings, produced_at(min(_to_do(settings, data_set), default=data_set.last_day)))
        app_backend.up(settings)
    api = airflow.Api(settings)
    wait_for_dags(api, ["ingest_pos", "ingest_app", "build_warehouse", "weekly_member_report"])
    for unfinished in runs(api, "build_warehouse"):
        if unfinished["state"] in ("queued", "running"):
            tell("a build that an interrupted demo left running")
            finish(settings, api, "build_warehouse", unfinished["dag_run_id"], tell)
    to_do = _to_do(settings, data_set)
    if not to_do:
        tell(f"everything up to {published_as_of(settings)} is published already")
    for number, day in enumerate(to_do, 1):
        if day not in _to_do(settings, data_set):
            tell(f"business date {day} was published meanwhile")
            continue
        what = " (with all history before it)" if day == data_set.history_until else ""
        tell(f"business date {day}{what}: {number} of {len(to_do)}")
        if data_set.has_app:
            app_backend.set_clock(settings, produced_at(day))
        run_day(settings, api, day, data_set.zone, tell)
    reports = _reports(settings, data_set, api, tell, caused_by_build=bool(to_do))
    for line in _summary(settings, data_set, reports):
        progress(line)


def _to_do(settings: Settings, data_set: DataSet) -> list[date]:
    """The days that are not published yet."""
    published = published_as_of(settings)
    return [day for day in data_set.days if published is None or day > published]


def _landing(settings: Settings, data_set: DataSet) -> Path:
    """The landing folder of the demo's home. Raises MemberhouseError when it is for other data."""
    landing = settings.home / "landing"
    if (os.environ.get("MEMBERHOUSE_LANDING") or str(landing)) != str(landing):
        raise MemberhouseError(
            f"The demo lands its data in {landing}, but MEMBERHOUSE_LANDING names another folder.",
            "Unset MEMBERHOUSE_LANDING for the demo; your own data needs no demo.",
        )
    done = landing / _LANDED
    if landing.is_dir() and any(landing.iterdir()) and (not done.exists() or done.read_text() != data_set.name):
        raise MemberhouseError(
            f"{landing} holds other data than {data_set.name}.",
            "Give the demo a home of its own (MEMBERHOUSE_HOME=…), or remove this one (`make clean` removes all).",
        )
    return landing


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


def _write_environment(settings: Settings, data_set: DataSet) -> None:
    """What Airflow must know of the data set, now and whenever it is started in this home."""
    environment = {
        "MEMBERHOUSE_HEAD_OFFICE_ZONE": data_set.zone,
        # The data ends; without this the scheduler would go on to today.
        "MEMBERHOUSE_LAST_BUSINESS_DATE": f"{data_set.last_day}",
    }
    if data_set.has_app:
        back_end = app_backend.address(settings)
        environment |= {"MEMBERHOUSE_APP_URL": back_end.url, "MEMBERHOUSE_APP_TOKEN": back_end.token}
    write_private(settings.home / airflow.ENVIRONMENT_FILE, json.dumps(environment))


def _land(settings: Settings, data_set: DataSet, landing: Path, tell: Progress) -> None:
    """Have all batches in their places: a folder that is not whole never becomes the landing folder."""
    if (landing / _LANDED).exists():
        return
    tell(f"{data_set.name} as landed batches")
    unfinished = settings.home / "landing.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    data_set.land(unfinished, lambda line: tell(f"  {line}"))
    if data_set.has_app:
        _give_to_back_end(unfinished, app_backend.folder(settings), data_set)
        app_backend.down(settings)  # one that runs has read what lay there before
    (unfinished / _LANDED).write_text(data_set.name)
    unfinished.replace(landing)


def _give_to_back_end(landing: Path, back_end: Path, data_set: DataSet) -> None:
    """Move what the app knows of the days after the history to where the stand-in serves it from."""
    for day in data_set.days[1:]:
        of_app = [
            *landing.glob(f"app/*/{day}"),
            *(landing / f"pos/{feed}/{day}/{APP_STORE}" for feed in ORDER_RESOURCES),
        ]
        for folder in of_app:
            place = back_end / folder.relative_to(landing)
            shutil.rmtree(place, ignore_errors=True)
            place.parent.mkdir(parents=True, exist_ok=True)
            folder.replace(place)


def _reports(
    settings: Settings, data_set: DataSet, api: airflow.Api, tell: Progress, *, caused_by_build: bool
) -> list[Path]:
    """The report of the last week in each language; by the run that the last publication started, or by hand if they
    are gone."""
    pages = [weekly.page(settings.home / "reports", data_set.last_day, lang) for lang in LANGUAGES]
    if caused_by_build or not all(page.exists() for page in pages):
        tell(f"the report of {data_set.last_day:%G-W%V}")
        if caused_by_build:
            run_id = caused(api, "weekly_member_report", data_set.last_day, set())
        else:
            body = {"logical_date": None, "conf": {"week": str(data_set.last_day)}}
            run_id = api.post("dags/weekly_member_report/dagRuns", body)["dag_run_id"]
        finish(settings, api, "weekly_member_report", run_id, tell)
    return pages


def _summary(settings: Settings, data_set: DataSet, reports: list[Path]) -> list[str]:
    """The key numbers, as the BI role reads them, and where everything is."""
    monday = data_set.last_day - timedelta(days=6)
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
        f"Week {data_set.last_day:%G-W%V}, head office:",
        *(f"  {name:<16}{_shown(name, value)}" for name, value in zip(rates, kpi, strict=False)),
        *([f"  ({kpi[-1]})"] if kpi[-1] else []),
        "Members by stage at its close:",
        *(f"  {code} {name:<24}{count:>6,}" for code, name, count in stages),
        "",
        *(f"Report    {report}" for report in reports),
        f"Airflow   {where.url}  account {airflow.ADMIN}, password in {where.password_file}",
        f"Database  {database}",
        "",
        "Next: open the report and the UI;",
        *([f"  export MEMBERHOUSE_HOME={settings.home}"] if "MEMBERHOUSE_HOME" in os.environ else []),
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
