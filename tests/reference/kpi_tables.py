"""What the published KPI tables must say, by the slow references: one frame a table, and the columns of its key."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
from tests.reference import cohorts, day_by_day, month_ends, sales

from memberhouse.settings import PROJECT_ROOT

_SEEDS = PROJECT_ROOT / "dbt_project" / "seeds"
PERIODS = {"week": "kpi_weekly", "month": "kpi_monthly", "quarter": "kpi_quarterly", "year": "kpi_yearly"}
_MONTH_AND_LEVEL = ["month_start", "level", "level_id"]


def kpi_tables(
    daily: pd.DataFrame,
    facts: pd.DataFrame,
    stores: pd.DataFrame,
    recruited_by: Mapping[str, str],
    sold_at: Mapping[tuple[Any, ...], pd.Timestamp],
    landed: set[tuple[str, date]],
    closures: pd.DataFrame,
    calendar: pd.DataFrame,
    deeds: Collection[tuple[str, date]] = (),
    profiles: day_by_day.ProfilesOn | None = None,
) -> Iterator[tuple[str, pd.DataFrame, list[str]]]:
    """Each table's name, what it must say in the columns of the published one, and its key.

    daily, facts: as ``day_by_day`` computes them; recruited_by: the recruiting store of each member; sold_at: the
    moment of each receipt by its key; landed: (store or ``all``, business date) of which receipts and lines are there;
    closures, calendar: as fed, the newest calendar; deeds: (member, day) of deliberate events and replies;
    profiles: the profiles of members at the close of a day.
    """
    as_of, observed_from = daily["day"].max(), min(facts["business_date"])
    of_periods = day_by_day.kpis(daily, facts, stores, PERIODS, deeds=deeds, profiles=profiles)
    for table, said in zip(PERIODS.values(), of_periods, strict=True):
        yield table, day_by_day.as_published(said), day_by_day.KPI_KEY
    members = cohorts.lives(daily, facts, observed_from, recruited_by, sold_at)
    yield "cohort_retention", cohorts.cohort_retention(members, as_of), ["cohort_month", "month_number"]
    yield "cohort_value", cohorts.cohort_value(members, as_of), ["cohort_month"]
    yield "purchase_ladder", cohorts.purchase_ladder(members), ["cohort_month", "step"]
    yield "new_member_90d", cohorts.new_member_90d(members, as_of), ["cohort_week", "store_id"]
    yield "second_purchase_90d", cohorts.second_purchase_90d(members, as_of), ["cohort_week", "store_id"]
    rfm = month_ends.rfm_grid(daily, _seed("rfm_scores"), _seed("rfm_groups"), observed_from)
    yield "rfm_grid", rfm, ["as_of_date", "r_score", "f_score", "m_score"]
    concentration = month_ends.member_concentration_monthly(daily, stores, observed_from)
    yield "member_concentration_monthly", concentration, _MONTH_AND_LEVEL
    cycle = month_ends.purchase_cycle_monthly(daily, facts, stores, observed_from)
    yield "purchase_cycle_monthly", cycle, _MONTH_AND_LEVEL
    missing = day_by_day.uncovered(landed, stores, closures, observed_from, as_of)
    decomposition = sales.sales_decomposition_weekly(daily, facts, stores, missing)
    yield "sales_decomposition_weekly", decomposition, ["week_start", "level", "level_id", "compared_with"]
    mix = sales.channel_mix_weekly(daily, facts, stores)
    yield "channel_mix_weekly", mix, ["week_start", "level", "level_id", "channel_mix"]
    yield "reactivation_90d", sales.reactivation_90d(daily, facts), ["cohort_week", "store_id"]
    untold = missing | day_by_day.closed(stores, closures, observed_from, as_of)
    effect = sales.member_day_effect(facts, stores, calendar, as_of, daily, untold)
    yield "member_day_effect", effect, ["event_date", "event_type", "event_name", "level", "level_id"]


def _seed(name: str) -> pd.DataFrame:
    path: Path = _SEEDS / f"{name}.csv"
    with path.open(encoding="utf-8", newline="") as file:
        return pd.DataFrame(list(csv.DictReader(file)), dtype=object)
