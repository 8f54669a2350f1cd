"""The figures of one weekly report: read from ``bi`` at one release, in one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from importlib import resources
from typing import TypeVar

import psycopg
from psycopg.rows import class_row

from memberhouse import db
from memberhouse.errors import MemberhouseError
from memberhouse.settings import Settings

WEEKS_SHOWN = 26

# A slice of fewer members could name a person.
SMALLEST_SLICE = 5

Row = TypeVar("Row")


@dataclass(frozen=True)
class Release:
    """A published release: what it holds, when it went out, what the gate looked at."""

    release_id: int
    as_of_date: date
    published_at: datetime
    checks_evaluated: int
    warnings: int


@dataclass(frozen=True)
class Kpi:
    """Head office's row of ``bi.kpi_weekly``. Rates are 0–1; ``None``: cannot be known, see ``caveats``."""

    week_start: date
    opening_members: int
    new_members: int
    closing_members: int
    churn_base: int
    churned_lapse: int | None
    churned_closed: int | None
    purchasers_365: int
    repeat_purchasers_365: int
    sale_receipts: int
    sale_receipts_member: int
    sale_net_amount: Decimal
    sale_net_amount_member: Decimal
    net_sales_amount: Decimal
    net_sales_member_amount: Decimal
    purchasing_members: int
    active_members: int
    valid_members: int
    growth_rate: Decimal | None
    churn_rate: Decimal | None
    repurchase_rate: Decimal | None
    average_ticket_amount: Decimal | None
    average_ticket_member_amount: Decimal | None
    activity_rate: Decimal | None
    days_elapsed: int
    is_complete: bool
    completeness_basis: str
    caveats: str


@dataclass(frozen=True)
class Stage:
    """A lifecycle stage's label and rule, in the order of ``bi.dim_stage``."""

    stage_code: str
    name_en: str
    name_zh: str
    rule_en: str
    rule_zh: str


@dataclass(frozen=True)
class StageCount:
    """Members of a stage at a week's close."""

    week_start: date
    stage_code: str
    members: int


@dataclass(frozen=True)
class Move:
    """Members who stood in ``from_stage`` at opening (NEW: nowhere) and in ``to_stage`` at close."""

    from_stage: str
    to_stage: str
    members: int


@dataclass(frozen=True)
class Store:
    """A store with sales in the week. ``buying_members`` bought there, wherever they are served."""

    store_id: str
    store_name: str
    net_sales_amount: Decimal
    net_sales_amount_before: Decimal | None
    sale_receipts: int
    average_ticket_amount: Decimal | None
    purchasers_365: int
    repurchase_rate: Decimal | None
    buying_members: int


@dataclass(frozen=True)
class WeeklyReport:
    """Everything the page says.

    kpis, mix: up to and with the week, at most `WEEKS_SHOWN` weeks, oldest first.
    last_year: the same week 52 weeks earlier; ``None`` when the data does not reach back so far.
    held_reason: why a build newer than this release was held back; ``None`` when none was.
    """

    monday: date
    release: Release
    held_reason: str | None
    kpis: tuple[Kpi, ...]
    last_year: Kpi | None
    stages: tuple[Stage, ...]
    mix: tuple[StageCount, ...]
    moves: tuple[Move, ...]
    stores: tuple[Store, ...]

    @property
    def kpi(self) -> Kpi:
        """The week's own row."""
        return self.kpis[-1]

    @property
    def last_week(self) -> Kpi | None:
        """The row of the week before; ``None`` when there is none."""
        before = self.monday - timedelta(days=7)
        return next((kpi for kpi in self.kpis if kpi.week_start == before), None)

    @property
    def iso_week(self) -> str:
        """The week's ISO name, as in ``2017-W52``."""
        return f"{self.monday:%G-W%V}"


def fetch(settings: Settings, week: date, release: int | None = None) -> WeeklyReport:
    """Read the report of the ISO week that holds ``week``.

    release: as published in this release, without news about later builds, so that it reads the same
    for ever; by default the release that is out, with the reason when a newer build was held back.

    Raises `MemberhouseError` when nothing (or not this release) is published, or the week is not in it.
    """
    with db.connect(settings) as conn:
        db.as_bi_role(conn)
        conn.commit()
        conn.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        with conn.transaction():
            return _read(conn, week - timedelta(days=week.weekday()), release)


def _query(conn: psycopg.Connection, row_class: type[Row], name: str, **values: date | int | None) -> list[Row]:
    statement = (resources.files("memberhouse.reports") / "sql" / f"{name}.sql").read_text(encoding="utf-8")
    with conn.cursor(row_factory=class_row(row_class)) as cursor:
        return cursor.execute(statement.encode(), values).fetchall()


def _read(conn: psycopg.Connection, monday: date, asked: int | None) -> WeeklyReport:
    release = _release(conn, asked)
    # from here on every view answers as published in this release, whatever is published meanwhile
    conn.execute("select set_config('memberhouse.release', %s, true)", (str(release.release_id),))
    kpis = _query(conn, Kpi, "weekly_kpi", monday=monday, weeks=WEEKS_SHOWN)
    if not kpis or kpis[-1].week_start != monday:
        raise _no_such_week(conn, monday, release)
    year_ago = monday - timedelta(days=364)
    return WeeklyReport(
        monday=monday,
        release=release,
        held_reason=_held_reason(conn) if asked is None else None,
        kpis=tuple(kpi for kpi in kpis if kpi.week_start != year_ago),
        last_year=next((kpi for kpi in kpis if kpi.week_start == year_ago), None),
        stages=tuple(_query(conn, Stage, "stages")),
        mix=tuple(_query(conn, StageCount, "weekly_stage_mix", monday=monday, weeks=WEEKS_SHOWN)),
        moves=tuple(_query(conn, Move, "weekly_movement", monday=monday)),
        stores=tuple(_query(conn, Store, "weekly_stores", monday=monday)),
    )


def _release(conn: psycopg.Connection, asked: int | None) -> Release:
    try:
        with conn.transaction():  # a warehouse that was never built has no views yet
            found = _query(conn, Release, "release", release=asked)
    except psycopg.errors.UndefinedTable:
        found = []
    if found:
        return found[0]
    what = "Nothing is published yet" if asked is None else f"Release {asked} was never published"
    raise MemberhouseError(
        f"{what}, so there is nothing to report on.",
        "load, build and publish first (`memberhouse run`); `memberhouse releases` lists what is published.",
    )


def _held_reason(conn: psycopg.Connection) -> str | None:
    row = conn.execute(
        "select coalesce(reason, '') from bi.freshness where group_name = 'core' and state = 'held'"
    ).fetchone()
    return row[0] if row else None


def _no_such_week(conn: psycopg.Connection, monday: date, release: Release) -> MemberhouseError:
    row = conn.execute("select min(week_start), max(week_start) from bi.kpi_weekly where level = 'hq'").fetchone()
    first, last = row if row else (None, None)
    weeks = f"it has the weeks {first:%G-W%V} to {last:%G-W%V}" if first else "it has no weeks at all"
    return MemberhouseError(
        f"Release {release.release_id} (as of {release.as_of_date}) has no week {monday:%G-W%V}: {weeks}.",
        "ask for one of those weeks, or build and publish a later as-of date first.",
    )
