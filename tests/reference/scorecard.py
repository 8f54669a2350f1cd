"""The programme's scorecard, the slow way: what it has brought in each quarter, what it has cost, and how members are.

Nothing here knows the warehouse's SQL. It goes through the quarters one by one, picks of each list what lies in the
quarter, adds it up, and answers a table with the columns that are published.

How to use it::

    performance = campaign_performance(campaigns, ..., as_of).to_dict("records")
    programme_scorecard_quarterly(
        first_day, as_of, campaigns, performance, lines, points_costs, coupons, benefit_uses, kpis
    )

``first_day`` lies in the quarter of the first row, ``as_of`` in that of the last one. ``campaigns`` holds (starts_on,
ends_on or None) by campaign_id, ``performance`` the rows of `campaign_performance` of the same as-of date, of which
campaign_id, arm, members, net_amount and is_final are looked at.

``lines`` holds (business_date, net_amount, quantity, unit_cost or None) of each line of a member's receipt that counts
as net sales; what came back has a negative amount and quantity. ``points_costs`` holds cost_amount of points_cohort by
month_start. ``coupons`` holds (redeemed_on, face_value or None, funding or None) of each coupon that was redeemed.
``benefit_uses`` holds (used_on, cost or None, unit_cost or None) of each use of a tier's benefit: its own cost, and
that of this benefit for the tier that the member had on that day. ``kpis`` holds by quarter_start what kpi_quarterly
publishes of head office, by the names in ``RATES``.

Days are ``datetime.date``, amounts, quantities and rates ``Decimal``, in the table with the published places, rounded
half away from zero; what is empty is None.

Readings of the words, fixed here:

* a quarter is looked at as a whole, also the one of ``first_day``: what lies in it before that day counts in it. What
  lies before that quarter is in no row;
* a campaign counts with all it brought, in the quarter of its last day, whenever it began; one that is said to end
  before it begins, too, unless it has yet to begin: then it is not in campaign_performance;
* a campaign with one arm only is left out, however many it has; one without any member is neither counted nor left out;
* money of an arm is that of campaign_performance as it is published, with two places;
* a unit cost of 0 is known, and so is a cost of 0 that a use of a benefit tells of itself;
* the margin rate is there whether or not a campaign counts. It may be negative or above 1, and where more came back
  than was sold it is simply the quotient;
* the margin of what campaigns brought is made of the exact amount and the exact rate; net_benefit_amount is made of
  the four amounts as they are published;
* a month of points counts from its first day on; a month whose cost nobody knows costs nothing here;
* only the very word ``brand`` says that a brand pays; what a brand pays is in no cost and in no benefit;
* rates are passed on as they came, and a change is the difference of the two as they are published. The quarter before
  the first row may be in ``kpis``: then the first row has changes; a quarter that is not in ``kpis`` has no rates.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pandas as pd

from .campaigns import FEWEST_MEMBERS, HOLD_OUT, TREATED, last_day
from .cohorts import last_day_of, months_later, rounded, table_of
from .day_by_day import quarter_start

MONTHS_OF_A_QUARTER = 3
BRAND = "brand"

RATES = ("growth_rate", "churn_rate", "repurchase_rate", "average_ticket_amount", "activity_rate")

Campaigns = Mapping[str, tuple[date, date | None]]
# business_date, net_amount, quantity, unit_cost
Line = tuple[date, Decimal, Decimal, Decimal | None]
# redeemed_on, face_value, funding
Coupon = tuple[date, Decimal | None, str | None]
# used_on, its own cost, unit_cost of its benefit for the tier
BenefitUse = tuple[date, Decimal | None, Decimal | None]
Kpis = Mapping[date, Mapping[str, Decimal | None]]
# members, net_amount
Arm = tuple[int, Fraction]


# ------------------------------------------------------------------------------------------------------ quarters


def last_day_of_quarter(quarter: date) -> date:
    return last_day_of(months_later(quarter, MONTHS_OF_A_QUARTER - 1))


def quarters(first_day: date, as_of: date) -> list[date]:
    """The first day of each quarter from the one to the other, both included."""
    found = []
    quarter = quarter_start(first_day)
    while first_day <= as_of and quarter <= as_of:
        found.append(quarter)
        quarter = months_later(quarter, MONTHS_OF_A_QUARTER)
    return found


def lies_in(day: date, quarter: date, as_of: date) -> bool:
    """In the quarter, and not after the as-of date."""
    return quarter <= day <= last_day_of_quarter(quarter) and day <= as_of


# ----------------------------------------------------------------------------------------------------- campaigns


def arms_by_campaign(performance: Iterable[Mapping[Any, Any]]) -> dict[str, dict[str, Arm]]:
    """By campaign and arm: its members and their money."""
    arms: dict[str, dict[str, Arm]] = {}
    for row in performance:
        arms.setdefault(row["campaign_id"], {})[row["arm"]] = (int(row["members"]), Fraction(row["net_amount"]))
    return arms


def is_large_enough(arms: Mapping[str, Arm]) -> bool:
    """Whether both arms are there and neither of them is too small."""
    return all(arm in arms and arms[arm][0] >= FEWEST_MEMBERS for arm in (TREATED, HOLD_OUT))


def brought(arms: Mapping[str, Arm]) -> Fraction:
    """By how much the treated spent more than they would have spent as those held out did."""
    treated, net_treated = arms[TREATED]
    held_out, net_held_out = arms[HOLD_OUT]
    return (net_treated / treated - net_held_out / held_out) * treated


def assert_of_the_same_date(campaigns: Campaigns, performance: Iterable[Mapping[Any, Any]], as_of: date) -> None:
    """What was measured at another date would be other money."""
    for row in performance:
        ends = last_day(*campaigns[row["campaign_id"]])
        if row["is_final"] != (ends <= as_of):
            raise ValueError(f"campaign {row['campaign_id']} ends on {ends}, but was not measured as of {as_of}")


# -------------------------------------------------------------------------------------------- margins and costs


def margin_rate(lines: Iterable[Line]) -> Fraction | None:
    """Of the lines whose cost is known: the part of the money that is not cost."""
    margin = net = Fraction(0)
    for _, net_amount, quantity, unit_cost in lines:
        if unit_cost is None:
            continue
        margin += Fraction(net_amount) - Fraction(unit_cost) * Fraction(quantity)
        net += Fraction(net_amount)
    return None if net == 0 else margin / net


def _sum(amounts: Iterable[Decimal | None]) -> Decimal:
    """With two places; what nobody knows is nothing."""
    total = Fraction(0)
    for amount in amounts:
        if amount is not None:
            total += Fraction(amount)
    return rounded(total, 2)


def cost_of_use(cost: Decimal | None, unit_cost: Decimal | None) -> Decimal | None:
    """What a use of a benefit cost: what it tells of itself goes before what such a use costs in general."""
    return unit_cost if cost is None else cost


# --------------------------------------------------------------------------------------------------------- rates


def rate_of(kpis: Kpis, quarter: date, name: str) -> Decimal | None:
    return kpis[quarter][name] if quarter in kpis else None


def change_of(kpis: Kpis, quarter: date, name: str) -> Decimal | None:
    """This quarter's minus that of the quarter before."""
    now = rate_of(kpis, quarter, name)
    before = rate_of(kpis, months_later(quarter, -MONTHS_OF_A_QUARTER), name)
    return None if now is None or before is None else now - before


# ----------------------------------------------------------------------------------------------------- the table


def programme_scorecard_quarterly(
    first_day: date,
    as_of: date,
    campaigns: Campaigns,
    performance: Sequence[Mapping[Any, Any]],
    lines: Sequence[Line],
    points_costs: Mapping[date, Decimal | None],
    coupons: Sequence[Coupon],
    benefit_uses: Sequence[BenefitUse],
    kpis: Kpis,
) -> pd.DataFrame:
    """Every quarter: what campaigns brought, what points, coupons and benefits cost, and head office's rates."""
    assert_of_the_same_date(campaigns, performance, as_of)
    arms_of = arms_by_campaign(performance)
    rows = []
    for quarter in quarters(first_day, as_of):
        over = [
            arms_of[campaign_id]
            for campaign_id, (starts_on, ends_on) in campaigns.items()
            if campaign_id in arms_of and lies_in(last_day(starts_on, ends_on), quarter, as_of)
        ]
        counted = [arms for arms in over if is_large_enough(arms)]
        incremental_net = sum((brought(arms) for arms in counted), Fraction(0)) if counted else None
        margin = margin_rate(line for line in lines if lies_in(line[0], quarter, as_of))
        incremental_margin = None
        if incremental_net is not None and margin is not None:
            incremental_margin = rounded(incremental_net * margin, 2)

        points_cost = _sum(cost for month, cost in points_costs.items() if lies_in(month, quarter, as_of))
        redeemed = [coupon for coupon in coupons if lies_in(coupon[0], quarter, as_of)]
        coupon_cost = _sum(face_value for _, face_value, funding in redeemed if funding != BRAND)
        coupon_funded = _sum(face_value for _, face_value, funding in redeemed if funding == BRAND)
        benefit_cost = _sum(
            cost_of_use(cost, unit_cost)
            for used_on, cost, unit_cost in benefit_uses
            if lies_in(used_on, quarter, as_of)
        )
        benefit = Decimal("0.00") if incremental_margin is None else incremental_margin
        rows.append(
            {
                "quarter_start": quarter,
                "campaigns": len(counted),
                "campaigns_left_out": len(over) - len(counted),
                "incremental_net_amount": None if incremental_net is None else rounded(incremental_net, 2),
                "margin_rate": None if margin is None else rounded(margin, 6),
                "incremental_margin_amount": incremental_margin,
                "points_cost_amount": points_cost,
                "coupon_cost_amount": coupon_cost,
                "coupon_funded_amount": coupon_funded,
                "benefit_cost_amount": benefit_cost,
                "net_benefit_amount": benefit - points_cost - coupon_cost - benefit_cost,
                **{name: rate_of(kpis, quarter, name) for name in RATES},
                **{f"{name}_change": change_of(kpis, quarter, name) for name in RATES},
                "is_final": last_day_of_quarter(quarter) <= as_of,
            }
        )
    return table_of(
        rows,
        [
            "quarter_start",
            "campaigns",
            "campaigns_left_out",
            "incremental_net_amount",
            "margin_rate",
            "incremental_margin_amount",
            "points_cost_amount",
            "coupon_cost_amount",
            "coupon_funded_amount",
            "benefit_cost_amount",
            "net_benefit_amount",
            *RATES,
            *(f"{name}_change" for name in RATES),
            "is_final",
        ],
    )
