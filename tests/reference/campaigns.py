"""Campaigns, the slow way: each member that was put into one, what it bought then, and what the campaign has changed.

Nothing here knows the warehouse's SQL. It goes through campaigns and members one by one, looks at every day of a
member's window, and answers a table with the columns that are published.

How to use it::

    campaign_performance(campaigns, assignments, contacts, stage_on, purchase_days, spent, as_of)
    uplift({"S03": (members treated, their purchasers, members held out, their purchasers), ...})

``campaigns`` holds (starts_on, ends_on or None) by campaign_id. ``assignments`` holds (campaign_id, identifier, arm,
assigned_on, member_id or None), those assigned by the as-of date; an arm is ``treated`` or ``hold_out``. ``contacts``
holds (campaign_id, member_id) of the contacts that were made by then. ``stage_on(member_id, day)`` tells the stage at
the close of a day, None where there is none. ``purchase_days`` holds by member the days with a purchase that still
counts, ``spent`` the net sales by (member_id, day).

Days are ``datetime.date``, money and rates ``Decimal`` with the published places, rounded half away from zero; what is
empty is None.

Readings of the words, fixed here:

* which assignment of a member counts is settled before anything else is looked at: who is left out by the stage of
  that one is not taken in again by another;
* a campaign that has yet to begin is in no row;
* who was assigned after the campaign's end has an empty window: it is a member of its arm and has bought nothing;
* a contact counts whenever it was made, within the window or not;
* money is all that the arm's members spent, also of those who only brought something back: it may be negative;
* strata are put together within a campaign. What was put together is one stratum, however small; also when only one
  stratum was too small;
* bounds are made from the exact uplift, not from the rounded one, and are not cut off at −1 and 1.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal, localcontext
from fractions import Fraction

import pandas as pd

from .cohorts import quotient, rounded, table_of
from .day_by_day import ONE_DAY

TREATED, HOLD_OUT = "treated", "hold_out"
ARMS = (HOLD_OUT, TREATED)
CLOSED = "X"
NO_STAGE = "none"

DAYS_WITHOUT_END = timedelta(days=30)

SMALLEST_ARM_OF_A_STRATUM = 30
FEWEST_MEMBERS = 200
NORMAL_97_5 = Decimal("1.959964")
DIGITS = 40

# members treated, purchasers among them, members held out, purchasers among them
Stratum = tuple[int, int, int, int]

Assignment = tuple[str, str, str, date, str | None]


# -------------------------------------------------------------------------------------------------- the estimate


@dataclass(frozen=True)
class Uplift:
    """By how much treated members buy more often than those held out, and the interval; not rounded."""

    uplift: Fraction
    low: Fraction
    high: Fraction


def strata_that_count(strata: Mapping[str, Stratum]) -> list[Stratum]:
    """Those that are large enough, and, where it has members of both arms, one of all the others."""
    counted = []
    together = (0, 0, 0, 0)
    for stratum in strata.values():
        treated, _, held_out, _ = stratum
        if min(treated, held_out) < SMALLEST_ARM_OF_A_STRATUM:
            together = (
                together[0] + stratum[0],
                together[1] + stratum[1],
                together[2] + stratum[2],
                together[3] + stratum[3],
            )
        else:
            counted.append(stratum)
    treated, _, held_out, _ = together
    if treated >= 1 and held_out >= 1:
        counted.append(together)
    return counted


def uplift(strata: Mapping[str, Stratum]) -> Uplift | None:
    """The mean over the strata, weighted by their members; None where too few members would say it."""
    counted = strata_that_count(strata)
    all_treated = sum(treated for treated, _, _, _ in counted)
    all_held_out = sum(held_out for _, _, held_out, _ in counted)
    if all_treated < FEWEST_MEMBERS or all_held_out < FEWEST_MEMBERS:
        return None
    mean, variance = Fraction(0), Fraction(0)
    for treated, treated_purchasers, held_out, held_out_purchasers in counted:
        weight = Fraction(treated + held_out, all_treated + all_held_out)
        p_treated = Fraction(treated_purchasers, treated)
        p_held_out = Fraction(held_out_purchasers, held_out)
        mean += weight * (p_treated - p_held_out)
        variance += weight**2 * (p_treated * (1 - p_treated) / treated + p_held_out * (1 - p_held_out) / held_out)
    with localcontext(prec=DIGITS):
        half_width = NORMAL_97_5 * (Decimal(variance.numerator) / Decimal(variance.denominator)).sqrt()
    return Uplift(mean, mean - Fraction(half_width), mean + Fraction(half_width))


# ------------------------------------------------------------------------------------------------- the campaigns


@dataclass(frozen=True)
class Participant:
    """A member that counts in a campaign, and what is known of it."""

    arm: str
    stratum: str
    is_contacted: bool
    has_purchased: bool
    spent: Fraction


def last_day(starts_on: date, ends_on: date | None) -> date:
    """The last day of a campaign."""
    return starts_on + DAYS_WITHOUT_END if ends_on is None else ends_on


def counting_assignments(assignments: Iterable[Assignment], campaign_id: str) -> dict[str, tuple[date, str]]:
    """By member: when it was put into the campaign, and into which arm."""
    of_member: dict[str, list[tuple[date, str, str]]] = defaultdict(list)
    for assigned_to, identifier, arm, assigned_on, member_id in assignments:
        if assigned_to == campaign_id and member_id is not None:
            of_member[member_id].append((assigned_on, arm, identifier))
    counting = {}
    for member_id, found in of_member.items():
        assigned_on, arm, _ = min(found)
        counting[member_id] = (assigned_on, arm)
    return counting


def window(begins_on: date, ends_on: date, as_of: date) -> list[date]:
    """The days from the one to the other, both included, that are not after the as-of date."""
    days = []
    day = begins_on
    while day <= min(ends_on, as_of):
        days.append(day)
        day += ONE_DAY
    return days


def campaign_performance(
    campaigns: Mapping[str, tuple[date, date | None]],
    assignments: Sequence[Assignment],
    contacts: Iterable[tuple[str, str]],
    stage_on: Callable[[str, date], str | None],
    purchase_days: Mapping[str, set[date]],
    spent: Mapping[tuple[str, date], Decimal],
    as_of: date,
) -> pd.DataFrame:
    """Campaign × arm with a member: who bought, and on the row of the treated what the campaign has changed."""
    contacted = set(contacts)
    rows = []
    for campaign_id, (starts_on, ends_on) in sorted(campaigns.items()):
        if starts_on > as_of:
            continue
        ends = last_day(starts_on, ends_on)
        participants = []
        for member_id, (assigned_on, arm) in counting_assignments(assignments, campaign_id).items():
            begins = max(starts_on, assigned_on)
            stage = stage_on(member_id, begins - ONE_DAY)
            if stage == CLOSED:
                continue
            days = window(begins, ends, as_of)
            participants.append(
                Participant(
                    arm,
                    NO_STAGE if stage is None else stage,
                    (campaign_id, member_id) in contacted,
                    any(day in purchase_days.get(member_id, ()) for day in days),
                    sum((Fraction(spent.get((member_id, day), 0)) for day in days), Fraction(0)),
                )
            )
        found = uplift(strata_of(participants))
        for arm in ARMS:
            of_arm = [participant for participant in participants if participant.arm == arm]
            if not of_arm:
                continue
            purchasers = sum(participant.has_purchased for participant in of_arm)
            told = found if arm == TREATED else None
            rows.append(
                {
                    "campaign_id": campaign_id,
                    "arm": arm,
                    "members": len(of_arm),
                    "contacted": sum(participant.is_contacted for participant in of_arm),
                    "purchasers": purchasers,
                    "net_amount": rounded(sum((participant.spent for participant in of_arm), Fraction(0)), 2),
                    "purchase_rate": quotient(purchasers, len(of_arm), 6),
                    "uplift": None if told is None else rounded(told.uplift, 6),
                    "ci_low": None if told is None else rounded(told.low, 6),
                    "ci_high": None if told is None else rounded(told.high, 6),
                    "is_final": ends <= as_of,
                }
            )
    return table_of(
        rows,
        [
            "campaign_id",
            "arm",
            "members",
            "contacted",
            "purchasers",
            "net_amount",
            "purchase_rate",
            "uplift",
            "ci_low",
            "ci_high",
            "is_final",
        ],
    )


def strata_of(participants: Iterable[Participant]) -> dict[str, Stratum]:
    """By stratum: members treated, purchasers among them, members held out, purchasers among them."""
    members: dict[str, list[Participant]] = defaultdict(list)
    for participant in participants:
        members[participant.stratum].append(participant)
    strata: dict[str, Stratum] = {}
    for stratum, of_stratum in members.items():
        treated = [participant for participant in of_stratum if participant.arm == TREATED]
        held_out = [participant for participant in of_stratum if participant.arm == HOLD_OUT]
        strata[stratum] = (
            len(treated),
            sum(participant.has_purchased for participant in treated),
            len(held_out),
            sum(participant.has_purchased for participant in held_out),
        )
    return strata
