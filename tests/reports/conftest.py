"""Weeks of a small chain, made up: what the page is to say of them is known beforehand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from memberhouse.reports.weekly_data import (
    WEEKS_SHOWN,
    Kpi,
    Move,
    Release,
    Stage,
    StageCount,
    Store,
    WeeklyReport,
)

MONDAY = date(2017, 12, 25)

STAGES = (
    Stage("S02", "enrolled, no purchase", "入会未购", "rule of enrolled, no purchase", "入会未购的规则"),
    Stage("S03", "first-time buyer", "首购新客", "rule of first-time buyer", "首购新客的规则"),
    Stage("S05", "active", "活跃", "rule of active", "活跃的规则"),
    Stage("S06", "loyal", "忠诚", "rule of loyal", "忠诚的规则"),
    Stage("S08", "at risk", "边缘", "rule of at risk", "边缘的规则"),
    Stage("S09", "dormant", "沉睡", "rule of dormant", "沉睡的规则"),
    Stage("S10", "churned", "流失", "rule of churned", "流失的规则"),
    Stage("X", "excluded", "排除", "rule of excluded", "排除的规则"),
)


def week_row(weeks_ago: int) -> Kpi:
    """Head office's row; every week sold a little less than the one before it, in reverse."""
    return Kpi(
        week_start=MONDAY - timedelta(days=7 * weeks_ago),
        opening_members=1_990,
        new_members=12,
        closing_members=2_000,
        churn_base=1_950,
        churned_lapse=7,
        churned_closed=2,
        purchasers_365=1_900,
        repeat_purchasers_365=1_500 + weeks_ago,
        sale_receipts=2_540,
        sale_receipts_member=2_000,
        sale_net_amount=Decimal("80829.17"),
        sale_net_amount_member=Decimal("61234.00"),
        net_sales_amount=Decimal("80000.00") + 1000 * weeks_ago,
        net_sales_member_amount=Decimal("60000.00") + 1000 * weeks_ago,
        purchasing_members=1_200 + 10 * weeks_ago,
        active_members=1_880,
        valid_members=2_000,
        growth_rate=Decimal("0.006030"),
        churn_rate=Decimal("0.004615"),
        repurchase_rate=Decimal(1_500 + weeks_ago) / 1_900,
        average_ticket_amount=Decimal("31.82"),
        average_ticket_member_amount=Decimal("30.62"),
        activity_rate=Decimal("0.94"),
        days_elapsed=7,
        is_complete=True,
        completeness_basis="files",
        caveats="engaged members: not computed",
    )


@pytest.fixture
def ordinary_week() -> WeeklyReport:
    """A complete week with a year behind it, read from release 12."""
    weeks = [MONDAY - timedelta(days=7 * n) for n in reversed(range(WEEKS_SHOWN))]
    members = {"S02": 20, "S03": 80, "S05": 1_500, "S06": 300, "S08": 60, "S09": 30, "S10": 10, "X": 6}
    return WeeklyReport(
        monday=MONDAY,
        release=Release(12, date(2018, 1, 2), datetime(2018, 1, 3, 4, 5, tzinfo=UTC), 31, 1),
        held_reason=None,
        kpis=tuple(week_row(n) for n in reversed(range(WEEKS_SHOWN))),
        last_year=replace(week_row(0), week_start=MONDAY - timedelta(days=364), growth_rate=Decimal("0.0123")),
        stages=STAGES,
        mix=tuple(StageCount(week, stage, count) for week in weeks for stage, count in members.items()),
        moves=(
            Move("NEW", "S03", 12),
            Move("S02", "S02", 20),
            Move("S05", "S05", 1_480),
            Move("S05", "S08", 15),
            Move("S08", "S05", 5),
            Move("S08", "S09", 4),
            Move("S09", "S10", 1),
            Move("S05", "X", 2),
        ),
        stores=tuple(
            Store(
                store_id=str(number),
                store_name=f"店 {number}",
                net_sales_amount=Decimal(1000 * (30 - number)),
                net_sales_amount_before=Decimal(1000),
                sale_receipts=40,
                average_ticket_amount=Decimal("25.00"),
                purchasers_365=100,
                repurchase_rate=Decimal("0.5"),
                buying_members=30,
            )
            for number in range(1, 21)
        ),
    )


@pytest.fixture
def first_year(ordinary_week: WeeklyReport) -> WeeklyReport:
    """The same week where the data began less than a year ago: churn and last year cannot be known."""
    unseen = "churn: not observable yet; churn over 12 months: not observable yet; engaged members: not computed"
    kpis = tuple(replace(kpi, churned_lapse=None, churn_rate=None, caveats=unseen) for kpi in ordinary_week.kpis)
    return replace(ordinary_week, kpis=kpis, last_year=None)
