"""The slow, obviously right reference: every member, every day, then counted.

Nothing here knows the warehouse's SQL, its event points or its intervals. It walks the calendar one day
at a time, looks at what is known to have happened by the close of that day, and applies the rules as they
are written down in words. The warehouse's marts are compared with it.

How to use it::

    facts = judge_receipts(receipts, lines)
    daily = stages_by_day(facts, enrolments, member_status, stores, as_of)
    intervals(daily), stage_mix_weekly(daily), stage_migration_weekly(daily)
    kpi(daily, facts, stores, kind), kpi_weekly(daily, facts, stores), stocktake_weekly(daily, stores)
    adaptive_by_day(daily, facts, lines, products, category_cycles)

Inputs are frames with the columns of the landed feeds (``receipts``, ``receipt_lines``, ``enrolments``,
``member_status``, ``stores``, ``store_closures``, ``member_assignments``), holding the rows that are in
force: no superseded batch, no quarantined row. Missing optional columns are fine. Members are known by
``card_no``, which is the member's id where ``identity`` says who is who. Days in the results are
``datetime.date``; money is whole cents (``*_cents``), so that sums are exact.

Readings of the rules that the words leave open, fixed here:

* net sales of a receipt are its merchandise lines' net amounts; a line says it is merchandise unless
  ``is_merchandise`` is false;
* a sale whose merchandise total is negative is no sale receipt;
* a return without ``original_store_id`` or ``original_register_id`` refers to its own store or register;
* an enrolment and a status event happen on the business date of the recruiting store;
* total store sales hold staff sales (a flagged receipt or a member who is staff) and wholesale, as the
  tills' own totals do; never voided or training receipts, nor those of cards marked ``test`` that day;
* a purchase that is returned after a week's close was still a purchase at that close;
* a member who leaves the churn base in two ways within one period leaves it by the first; on the same
  day, by closing;
* the trailing twelve months are the 365 days that end with the close;
* a member's service store is that of the newest assignment, dated by then, of any card that is the member's; of two of
  one date that of the card by which the member is known, else of the lower number; before the first one, the
  recruiting store;
* what a member says of itself and whether it may be contacted is that of the close (see `profiles`), counted where it
  is served then; who says nothing has no field filled;
* the category of a purchase day is the one with the highest net amount of merchandise on the day's receipts that
  qualify at sale; of two with the same amount the first by name; what is in no category does not count.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from .identity import FLAGS, OPEN_END, Identity, Member, Said, local_day
from .profiles import FIELDS, Profile

ONE_DAY = timedelta(days=1)
STAGES = ("X", "S01", "S02", "S03", "S04", "S05", "S06", "S07", "S08", "S09", "S10")
ACTIVE_STAGES = ("S03", "S04", "S05", "S06", "S07")
NEVER = -1  # in arrays of day numbers


# ------------------------------------------------------------------------------------------------ receipts


def _texts(frame: pd.DataFrame, column: str) -> pd.Series:
    """A key column as text, missing values as the empty text."""
    if column not in frame:
        return pd.Series("", index=frame.index, dtype=object)
    values = frame[column].astype(object)
    return values.where(values.notna(), "").astype(str)


def _flags(frame: pd.DataFrame, column: str, missing: bool) -> pd.Series:
    """A true/false column; a missing value means ``missing``."""
    if column not in frame:
        return pd.Series(missing, index=frame.index)
    return frame[column].astype(object).map(lambda value: missing if pd.isna(value) else bool(value))


def _days(values: pd.Series) -> pd.Series:
    return pd.Series([value for value in pd.to_datetime(values).dt.date], index=values.index, dtype=object)


def _whole(values: pd.Series, per_unit: int) -> pd.Series:
    """Amounts as whole cents (per_unit=100) or thousandths of a unit (1000): sums are exact."""
    numbers = pd.to_numeric(values.astype(object), errors="raise").astype(float).fillna(0.0)
    return (numbers * per_unit).round().astype("int64")


def _money(frame: pd.DataFrame, column: str) -> pd.Series:
    """An optional column of amounts in whole cents, nothing where it is missing."""
    return _whole(frame[column], 100) if column in frame else pd.Series(0, index=frame.index)


RECEIPT_KEY = ["store_id", "register_id", "business_date", "receipt_no", "receipt_type"]
PLACE_KEY = ["store_id", "register_id", "business_date", "receipt_no"]  # a void repeats it, type aside


def judge_receipts(receipts: pd.DataFrame, lines: pd.DataFrame) -> pd.DataFrame:
    """One row a receipt that really happened: training, voids and voided receipts are out.

    Columns: the key, card_no (empty: anonymous), units (merchandise, thousandths), paid_units (those on lines that
    cost something), net_cents (merchandise), gross_cents and discount_cents (as the till says them), is_staff_sale,
    is_wholesale, channel (empty: nobody said), qualifies_at_sale, and stopped_on: the date from which a qualifying
    receipt no longer qualifies because all its merchandise units came back (None: it still does).
    """
    heads = pd.DataFrame(
        {
            "store_id": _texts(receipts, "store_id"),
            "register_id": _texts(receipts, "register_id"),
            "business_date": _days(receipts["business_date"]),
            "receipt_no": _texts(receipts, "receipt_no"),
            "receipt_type": _texts(receipts, "receipt_type"),
            "card_no": _texts(receipts, "member_card_no"),
            "revision": pd.to_numeric(receipts["revision"]).fillna(0) if "revision" in receipts else 0,
            "is_training": _flags(receipts, "is_training", missing=False),
            "is_staff_sale": _flags(receipts, "is_staff_sale", missing=False),
            "is_wholesale": _flags(receipts, "is_wholesale", missing=False),
            "channel": _texts(receipts, "channel"),
            "gross_cents": _money(receipts, "gross_amount"),
            "discount_cents": _money(receipts, "discount_amount"),
        }
    )
    original = pd.DataFrame(
        {
            "store_id": _texts(receipts, "original_store_id"),
            "register_id": _texts(receipts, "original_register_id"),
            "business_date": (
                _days(receipts["original_business_date"]) if "original_business_date" in receipts else None
            ),
            "receipt_no": _texts(receipts, "original_receipt_no"),
        },
        index=receipts.index,
    )
    for column in ("store_id", "register_id"):
        original[column] = original[column].where(original[column] != "", heads[column])
    heads = pd.concat([heads, original.add_prefix("original_")], axis=1)

    heads = heads.sort_values("revision", kind="stable").drop_duplicates(RECEIPT_KEY, keep="last")
    heads = heads[~heads["is_training"]]
    voided = heads.loc[heads["receipt_type"] == "void", PLACE_KEY].drop_duplicates().assign(is_voided=True)
    heads = heads.merge(voided, on=PLACE_KEY, how="left")
    heads = heads[heads["is_voided"].isna()].drop(columns=["is_voided", "is_training", "revision"])

    sold = pd.DataFrame(
        {
            "store_id": _texts(lines, "store_id"),
            "register_id": _texts(lines, "register_id"),
            "business_date": _days(lines["business_date"]),
            "receipt_no": _texts(lines, "receipt_no"),
            "receipt_type": _texts(lines, "receipt_type"),
            "units": _whole(lines["quantity"], 1000),
            "net_cents": _whole(lines["net_amount"], 100),
        }
    )[_flags(lines, "is_merchandise", missing=True).to_numpy()]
    sold["paid_units"] = sold["units"].where(sold["net_cents"] != 0, 0)
    sums = sold.groupby(RECEIPT_KEY, as_index=False)[["units", "net_cents", "paid_units"]].sum()
    facts = heads.merge(sums, on=RECEIPT_KEY, how="left")
    summed = ["units", "net_cents", "paid_units"]
    facts[summed] = facts[summed].fillna(0).astype("int64")
    facts["qualifies_at_sale"] = (
        (facts["receipt_type"] == "sale")
        & ~facts["is_staff_sale"]
        & ~facts["is_wholesale"]
        & (facts["units"] > 0)
        & (facts["net_cents"] >= 0)
    )

    stopped_on: list[date | None] = [None] * len(facts)
    sale_at: dict[tuple[Any, ...], int] = {
        tuple(key): row
        for row, (key, qualifies) in enumerate(
            zip(facts[PLACE_KEY].to_numpy(), facts["qualifies_at_sale"], strict=True)
        )
        if qualifies
    }
    returns = facts[(facts["receipt_type"] == "return") & ~facts["is_staff_sale"] & ~facts["is_wholesale"]]
    came_back: dict[int, int] = {}
    for back in returns.sort_values("business_date", kind="stable").itertuples():
        row = sale_at.get(tuple(getattr(back, f"original_{column}") for column in PLACE_KEY))
        if row is None:
            continue  # an unlinked return counts in money and leaves behaviour alone
        came_back[row] = came_back.get(row, 0) - int(back.units)
        if stopped_on[row] is None and came_back[row] >= int(facts["units"].iat[row]):
            stopped_on[row] = max(back.business_date, facts["business_date"].iat[row])
    facts["stopped_on"] = pd.Series(stopped_on, index=facts.index, dtype=object)
    return facts.drop(columns=[f"original_{column}" for column in PLACE_KEY])


# ------------------------------------------------------------------------------------------------- members


def _stores_by_id(stores: pd.DataFrame) -> dict[str, dict[str, Any]]:
    return {str(row["store_id"]): row for row in stores.to_dict("records")}


def regions(stores: pd.DataFrame) -> dict[str, str]:
    """The region of each store; of a store without one it is ``not_fed``."""
    told = {str(row["store_id"]): row.get("region") for row in stores.to_dict("records")}
    return {
        store_id: "not_fed" if pd.isna(region) or region == "" else str(region) for store_id, region in told.items()
    }


def _members(enrolments: pd.DataFrame, stores: pd.DataFrame) -> list[Member]:
    """One member a card, enrolled by its earliest enrolment; in the order of their cards."""
    places = _stores_by_id(stores)
    first: dict[str, Member] = {}
    for row in enrolments.to_dict("records"):
        card, store = str(row["card_no"]), str(row["store_id"])
        day = local_day(row["enrolled_at"], places.get(store))
        if card not in first or day < first[card].enrolled_on:
            first[card] = Member(card, day, day, store)
    return [first[card] for card in sorted(first)]


def _said(member_status: pd.DataFrame, members: list[Member], stores: pd.DataFrame) -> list[Said]:
    """What was said about which card on a day, in the order in which it was said."""
    if not len(member_status):
        return []
    places = _stores_by_id(stores)
    home = {member.member_id: places.get(member.service_store_id) for member in members}
    return [
        Said(local_day(row["at"], home[card]), card, ("card", card), *SETS[row["status"]])
        for row in member_status.sort_values("at", kind="stable").to_dict("records")
        if (card := str(row["card_no"])) in home
    ]


def _assigned(member_assignments: pd.DataFrame | None, identity: Identity | None) -> list[tuple[str, date, str]]:
    """(member_id, day, store) of every assignment, in the order in which they take effect.

    A card that was merged away is the survivor's; its own row, too, is in the store that the card was assigned to.
    """
    found = []
    for row in [] if member_assignments is None else member_assignments.to_dict("records"):
        card, day = str(row["card_no"]), pd.Timestamp(row["valid_from"]).date()
        owners = {card, identity.member_of(("card", card)) or card} if identity else {card}
        found += [(card, day, owner, str(row["service_store_id"])) for owner in owners]
    # what takes effect last on a day counts
    found.sort(key=lambda entry: entry[0], reverse=True)
    found.sort(key=lambda entry: (entry[1], entry[0] == entry[2]))
    return [(owner, day, store) for _, day, owner, store in found]


SETS = {"closed": ("closed", True), "reopened": ("closed", False), "blocked": ("blocked", True)}
SETS |= {"unblocked": ("blocked", False), "staff": ("staff", True), "not_staff": ("staff", False)}
SETS |= {"test": ("test", True)}


# ---------------------------------------------------------------------------------------------- the stages


DAILY_COLUMNS = (
    "day",
    "card_no",
    "stage_code",
    "is_valid",
    "is_closed",
    "is_blocked",
    "is_staff",
    "is_test",
    "r",
    "n",
    "n365",
    "spend365_cents",
    "long_gap_days",
    "long_gap_end",
    "loyal_threshold_cents",
    "enrolled_on",
    "merged_on",
    "service_store_id",
)


def percentile_80_cents(spend_cents: list[int]) -> int | None:
    """percentile_cont(0.8) of whole cents, exactly, rounded half away from zero; None of nothing."""
    if not spend_cents:
        return None
    ordered = sorted(spend_cents)
    place = Fraction(4, 5) * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    value = ordered[below] + (place - below) * (ordered[above] - ordered[below])
    rounded = int(abs(value) + Fraction(1, 2))
    return rounded if value >= 0 else -rounded


def quarter_start(day: date) -> date:
    """The first day of the calendar quarter that holds ``day``."""
    return date(day.year, 3 * ((day.month - 1) // 3) + 1, 1)


def week_start(day: date) -> date:
    """The Monday of the ISO week that holds ``day``."""
    return day - timedelta(days=day.weekday())


def stages_by_day(
    facts: pd.DataFrame,
    enrolments: pd.DataFrame,
    member_status: pd.DataFrame,
    stores: pd.DataFrame,
    as_of: date,
    *,
    member_assignments: pd.DataFrame | None = None,
    frozen_thresholds: Mapping[date, int | None] | None = None,
    identity: Identity | None = None,
) -> pd.DataFrame:
    """One row per member per day from the day it is known to ``as_of``: the day at its close.

    Columns: day, card_no, stage_code, is_valid, is_closed, is_blocked, is_staff, is_test, r (days since the last
    purchase day; missing: none), n, n365, spend365_cents, long_gap_days and long_gap_end (the latest gap of at least
    180 days; missing: none), loyal_threshold_cents (of the day's quarter; missing: none), enrolled_on,
    merged_on (9999-12-31: never), service_store_id.

    frozen_thresholds: quarter start to cents, for quarters whose threshold is given, not computed.
    identity: who is who; ``card_no`` then is the member's id, and enrolled_on 9999-12-31 for a prospect. Without it
    each card is a member.
    """
    members = identity.members() if identity else _members(enrolments, stores)
    place_of = {member.member_id: row for row, member in enumerate(members)}
    changes: dict[date, list[Said]] = {}
    for said in identity.said(member_status) if identity else _said(member_status, members, stores):
        if said.member_id in place_of:
            changes.setdefault(said.day, []).append(said)
    frozen = dict(frozen_thresholds or {})

    known = facts[facts["card_no"].isin(list(place_of)) & (facts["business_date"] <= as_of)]
    starts = [member.known_from for member in members] + list(known["business_date"])
    starts += list(changes)
    if not members or min(starts) > as_of:
        return pd.DataFrame(columns=list(DAILY_COLUMNS))
    first_day = min(starts)
    count = (as_of - first_day).days + 1

    # What happens on which day: purchases that begin to qualify, that stop to, and money.
    begins: dict[date, list[tuple[int, int]]] = {}
    stops: dict[date, list[tuple[int, int]]] = {}
    money = np.zeros((len(members), count), dtype=np.int64)
    for receipt in known.itertuples():
        member_row, column = place_of[receipt.card_no], (receipt.business_date - first_day).days
        if receipt.receipt_type in ("sale", "return", "exchange") and not (
            receipt.is_staff_sale or receipt.is_wholesale
        ):
            money[member_row, column] += receipt.net_cents
        if receipt.qualifies_at_sale:
            begins.setdefault(receipt.business_date, []).append((member_row, column))
            if receipt.stopped_on is not None:
                stops.setdefault(receipt.stopped_on, []).append((member_row, column))

    service = [member.service_store_id for member in members]
    moves: dict[date, list[tuple[int, str]]] = {}
    for member_id, day, store in _assigned(member_assignments, identity):
        if member_id in place_of:
            moves.setdefault(max(day, first_day), []).append((place_of[member_id], store))

    cards = np.array([member.member_id for member in members], dtype=object)
    known_from = np.array([member.known_from for member in members], dtype=object)
    enrolled_on = np.array([member.enrolled_on for member in members], dtype=object)
    merged_on = np.array([member.merged_on for member in members], dtype=object)
    # by which ids the flag is set: a member has it while one of them has
    flagged_by: dict[tuple[str, int], set[tuple[str, str]]] = {}
    flags = {name: np.zeros(len(members), dtype=bool) for name in FLAGS}
    # qualifying[m, p]: how many receipts of day p qualify for member m, as it is known at today's close
    qualifying = np.zeros((len(members), count), dtype=np.int16)
    day_numbers = np.arange(count, dtype=np.int32)
    calendar = np.array([first_day + timedelta(days=number) for number in range(count)], dtype=object)
    threshold: int | None = frozen.get(quarter_start(first_day))
    columns: dict[str, list[Any]] = {name: [] for name in DAILY_COLUMNS}

    for today in range(count):
        day = first_day + timedelta(days=today)
        if day == quarter_start(day) and day in frozen:
            threshold = frozen[day]
        for said in changes.get(day, []):
            place = place_of[said.member_id]
            ids = flagged_by.setdefault((said.flag, place), set())
            (ids.add if said.is_set else ids.discard)(said.of)
            flags[said.flag][place] = bool(ids)
        for member_row, store in moves.get(day, []):
            service[member_row] = store
        for member_row, column in begins.get(day, []):
            qualifying[member_row, column] += 1
        for member_row, column in stops.get(day, []):
            qualifying[member_row, column] -= 1

        bought = qualifying[:, : today + 1] > 0
        n = bought.sum(axis=1)
        n365 = bought[:, max(0, today - 364) :].sum(axis=1)
        spend365 = money[:, max(0, today - 364) : today + 1].sum(axis=1)
        # the latest purchase day up to and including each day; NEVER where there was none yet
        latest = np.maximum.accumulate(np.where(bought, day_numbers[: today + 1], NEVER), axis=1)
        last = latest[:, -1]
        r = today - last
        before = np.concatenate([np.full((len(members), 1), NEVER), latest[:, :-1]], axis=1)
        gap = np.where(bought & (before != NEVER), day_numbers[: today + 1] - before, 0)
        long_gap_end = np.where(gap >= 180, day_numbers[: today + 1], NEVER).max(axis=1)
        long_gap_days = np.where(long_gap_end != NEVER, gap[np.arange(len(members)), np.maximum(long_gap_end, 0)], 0)

        enrolled = enrolled_on <= day
        excluded = flags["closed"] | flags["blocked"] | flags["staff"] | flags["test"] | (merged_on <= day)
        valid = enrolled & ~excluded
        loyal_spend = np.zeros(len(members), dtype=bool) if threshold is None else spend365 >= threshold
        stage = np.select(
            [
                excluded,
                ~enrolled,
                n == 0,
                r >= 365,
                r >= 180,
                r >= 90,
                (long_gap_end != NEVER) & (today - long_gap_end < 90),
                n == 1,
                (n365 >= 4) & loyal_spend,
                n365 >= 4,
            ],
            ["X", "S01", "S02", "S10", "S09", "S08", "S07", "S03", "S06", "S05"],
            default="S04",
        )
        close_of_day = {
            "day": np.full(len(members), day, dtype=object),
            "card_no": cards,
            "stage_code": stage,
            "is_valid": valid,
            "is_closed": flags["closed"],
            "is_blocked": flags["blocked"],
            "is_staff": flags["staff"],
            "is_test": flags["test"],
            "r": np.where(n > 0, r, np.nan),
            "n": n,
            "n365": n365,
            "spend365_cents": spend365,
            "long_gap_days": np.where(long_gap_end != NEVER, long_gap_days, np.nan),
            "long_gap_end": np.where(long_gap_end != NEVER, calendar[long_gap_end], None),
            "loyal_threshold_cents": np.full(len(members), np.nan if threshold is None else threshold),
            "enrolled_on": enrolled_on,
            "merged_on": merged_on,
            "service_store_id": np.array(service, dtype=object),
        }
        for name, values in close_of_day.items():
            columns[name].append(values[known_from <= day])
        tomorrow = day + ONE_DAY
        if tomorrow == quarter_start(tomorrow) and tomorrow not in frozen:
            threshold = percentile_80_cents(spend365[valid & (n365 >= 1)].tolist())
    return pd.DataFrame({name: np.concatenate(values) for name, values in columns.items()})


# ------------------------------------------------------------------------------------- what is read from it


def intervals(daily: pd.DataFrame, column: str = "stage_code") -> pd.DataFrame:
    """card_no, stage_code, valid_from, valid_to (exclusive; 9999-12-31 when open): equal days joined.

    column: what is looked at in the place of the stage.
    """
    rows: list[tuple[str, Any, date, date]] = []
    for card, days in daily.sort_values(["card_no", "day"], kind="stable").groupby("card_no", sort=True):
        values, dates = days[column].tolist(), days["day"].tolist()
        turns = [0, *(i for i in range(1, len(values)) if values[i] != values[i - 1]), len(values)]
        for begin, end in pairwise(turns):
            until = OPEN_END if end == len(values) else dates[end]
            rows.append((str(card), values[begin], dates[begin], until))
    return pd.DataFrame(rows, columns=["card_no", column, "valid_from", "valid_to"])


def weeks(daily: pd.DataFrame, first: date | None = None) -> list[tuple[date, date]]:
    """(Monday, close) of every week from ``first`` (else: with a member) to the last day known."""
    first, last = min(first or OPEN_END, daily["day"].min()), daily["day"].max()
    starts = [week_start(first) + timedelta(days=7 * i) for i in range((last - week_start(first)).days // 7 + 1)]
    return [(start, min(start + timedelta(days=6), last)) for start in starts]


def _by_day(daily: pd.DataFrame) -> dict[date, pd.DataFrame]:
    """The rows of each day, by card; a day on which nobody was enrolled is not in it."""
    return {day: rows.set_index("card_no") for day, rows in daily.groupby("day", sort=True)}


NEXT = {"week": pd.Timedelta(days=7)} | {
    kind: pd.DateOffset(months=months) for kind, months in (("month", 1), ("quarter", 3), ("year", 12))
}


def periods(daily: pd.DataFrame, kind: str, since: date) -> list[tuple[date, date, date]]:
    """(first day, last day, the close that is measured) of every period of a kind since the one of a day."""
    as_of = daily["day"].max()
    start = {
        "week": week_start(since),
        "month": since.replace(day=1),
        "quarter": quarter_start(since),
        "year": date(since.year, 1, 1),
    }[kind]
    found = []
    while start <= as_of:
        following = (pd.Timestamp(start) + NEXT[kind]).date()
        found.append((start, following - ONE_DAY, min(following - ONE_DAY, as_of)))
        start = following
    return found


def stage_mix_weekly(daily: pd.DataFrame) -> pd.DataFrame:
    """week_start, store_id (service store at the close), stage_code, members at the week's close."""
    at = _by_day(daily)
    parts = [
        at[close]
        .groupby(["service_store_id", "stage_code"])
        .size()
        .reset_index(name="members")
        .assign(week_start=monday)
        for monday, close in weeks(daily)
    ]
    mix = pd.concat(parts, ignore_index=True).rename(columns={"service_store_id": "store_id"})
    return mix[["week_start", "store_id", "stage_code", "members"]]


def stage_migration_weekly(daily: pd.DataFrame) -> pd.DataFrame:
    """week_start, from_stage (day before the week; NEW: not enrolled then), to_stage, members."""
    at = _by_day(daily)
    parts = []
    for monday, close in weeks(daily):
        now = at[close]["stage_code"]
        opening = at.get(monday - ONE_DAY)
        before = now.map(lambda _: "NEW") if opening is None else opening["stage_code"].reindex(now.index)
        pairs = pd.DataFrame({"from_stage": before.fillna("NEW"), "to_stage": now})
        parts.append(
            pairs.groupby(["from_stage", "to_stage"]).size().reset_index(name="members").assign(week_start=monday)
        )
    moved = pd.concat(parts, ignore_index=True)
    return moved[["week_start", "from_stage", "to_stage", "members"]]


COUNTS = [
    "opening_members",
    "new_members",
    "net_transfers",
    "closing_members",
    "churn_base",
    "churned_lapse",
    "churned_closed",
    "churn_base_12m",
    "churned_12m",
    "purchasers_365",
    "repeat_purchasers_365",
    "sale_receipts",
    "sale_receipts_member",
    "sale_receipts_anonymous",
    "sale_receipts_multi_unit",
    "sale_units",
    "sale_net_cents",
    "sale_net_member_cents",
    "sale_gross_cents",
    "sale_discount_cents",
    "net_sales_cents",
    "net_sales_member_cents",
    "purchasing_members",
    "active_members",
    "valid_members",
    "engaged_members_30",
    "contactable_members",
    "filled_fields",
]


@dataclass(frozen=True)
class _Leaving:
    """By day (rows) and card (columns), whether the account is closed (``closed``) and whether the last purchase is a
    year ago (``lapse``)."""

    closed: pd.DataFrame
    lapse: pd.DataFrame


def _leaving(daily: pd.DataFrame) -> _Leaving:
    def table(values: pd.Series) -> pd.DataFrame:
        long = pd.DataFrame({"day": daily["day"], "card_no": daily["card_no"], "value": values.astype(bool)})
        return long.pivot(index="day", columns="card_no", values="value").eq(True)

    return _Leaving(table(daily["is_closed"]), table(daily["r"] >= 365))


def _churn(at: Mapping[date, pd.DataFrame], leaving: _Leaving, opening_day: date, close: date) -> pd.DataFrame:
    """The churn base at ``opening_day``'s close: one row a card with its store and how it left, if it did.

    Base: valid, n ≥ 1, r < 365. Left: on the first day after the opening and up to ``close`` on which the
    account is closed (``closed``) or no purchase is left within 365 days (``lapse``).
    """
    opening = at.get(opening_day)
    if opening is None:
        return pd.DataFrame({"store_id": [], "left": []})
    base = opening[opening["is_valid"] & (opening["n"] >= 1) & (opening["r"] < 365)]

    def first_day(table: pd.DataFrame) -> list[date]:
        window = table.loc[opening_day + ONE_DAY : close, base.index]
        days = list(window.index)
        return [days[column.argmax()] if column.any() else OPEN_END for column in window.to_numpy().T]

    left = [
        "" if closed == lapse == OPEN_END else "closed" if closed <= lapse else "lapse"
        for closed, lapse in zip(first_day(leaving.closed), first_day(leaving.lapse), strict=True)
    ]
    return pd.DataFrame({"store_id": base["service_store_id"], "left": pd.Series(left, index=base.index, dtype=object)})


ProfilesOn = Callable[[date], Mapping[str, Profile]]


def kpi_weekly(
    daily: pd.DataFrame, facts: pd.DataFrame, stores: pd.DataFrame, since: date | None = None
) -> pd.DataFrame:
    """``kpi`` of weeks, whose start is ``week_start``, too."""
    table = kpi(daily, facts, stores, "week", since)
    return table.assign(week_start=table["period_start"])


def kpi(
    daily: pd.DataFrame,
    facts: pd.DataFrame,
    stores: pd.DataFrame,
    kind: str,
    since: date | None = None,
    deeds: Collection[tuple[str, date]] = (),
    profiles: ProfilesOn | None = None,
) -> pd.DataFrame:
    """One row per period of a kind (week, month, quarter, year) × level (store, region, hq) × level_id.

    Every store is in every period (from ``since``). deeds: (card_no, day) of deliberate events and replies.
    profiles: the profiles by card_no at the close of a day. Counts are whole numbers, money whole cents (``*_cents``),
    rates floats; what cannot be known is missing: churned_lapse, churn_rate, churn_base_12m and churned_12m before a
    year of data, rates with a zero denominator. Regions: a store without one is in ``not_fed``.
    """
    (table,) = kpis(daily, facts, stores, [kind], since, deeds, profiles)
    return table


def kpis(
    daily: pd.DataFrame,
    facts: pd.DataFrame,
    stores: pd.DataFrame,
    kinds: Iterable[str],
    since: date | None = None,
    deeds: Collection[tuple[str, date]] = (),
    profiles: ProfilesOn | None = None,
) -> Iterator[pd.DataFrame]:
    """``kpi`` of several kinds of period, one after the other."""
    at, leaving = _by_day(daily), _leaving(daily)
    nobody = daily.iloc[:0].set_index("card_no")
    as_of = daily["day"].max()
    first_day = facts["business_date"].min()
    facts = facts[facts["business_date"] <= as_of].reset_index(drop=True)
    facts = facts.assign(**_standing(facts, daily))
    region_of = regions(stores)

    moved = movements(daily)
    anonymous = facts["card_no"] == ""
    for kind in kinds:
        parts = []
        for start, last, close in periods(daily, kind, first_day):
            if since is not None and start < since:
                continue
            week = pd.DataFrame(0, index=sorted(region_of), columns=COUNTS)

            def put(column: str, by_store: pd.Series, week: pd.DataFrame = week) -> None:
                week[column] = by_store.reindex(week.index).fillna(0).astype("int64")

            closing = at.get(close, nobody)
            valid = closing[closing["is_valid"]]
            home = "service_store_id"
            opening = at.get(start - ONE_DAY)
            if opening is not None:
                put("opening_members", opening[opening["is_valid"]].groupby(home).size())
            here = moved[moved["day"].between(start, close)]
            put("new_members", closing.loc[here.loc[here["movement"] == "enrolled", "card_no"]].groupby(home).size())
            came = here[here["movement"] == "transfer_in"].groupby("store_id").size()
            went = here[here["movement"] == "transfer_out"].groupby("store_id").size()
            put("net_transfers", came.sub(went, fill_value=0))
            put("closing_members", valid.groupby(home).size())
            put("valid_members", valid.groupby(home).size())
            put("active_members", valid[valid["stage_code"].isin(ACTIVE_STAGES)].groupby(home).size())
            put("purchasers_365", valid[valid["n365"] >= 1].groupby(home).size())
            put("repeat_purchasers_365", valid[valid["n365"] >= 2].groupby(home).size())

            lately = {card for card, day in deeds if close - timedelta(days=30) < day <= close}
            put("engaged_members_30", valid[valid.index.isin(lately)].groupby(home).size())

            profile_of = profiles(close) if profiles else {}
            contactable = {card for card, profile in profile_of.items() if profile.is_contactable}
            put("contactable_members", valid[valid.index.isin(contactable)].groupby(home).size())
            filled = [len(profile_of[card].filled) if card in profile_of else 0 for card in valid.index]
            put("filled_fields", valid.assign(filled=filled).groupby(home)["filled"].sum())

            churn = _churn(at, leaving, start - ONE_DAY, close)
            put("churn_base", churn.groupby("store_id").size())
            put("churned_lapse", churn[churn["left"] == "lapse"].groupby("store_id").size())
            put("churned_closed", churn[churn["left"] == "closed"].groupby("store_id").size())
            year_ago = close - timedelta(days=365)
            if year_ago + ONE_DAY >= first_day + timedelta(days=365):
                year = _churn(at, leaving, year_ago, close)
                put("churn_base_12m", year.groupby("store_id").size())
                put("churned_12m", year[year["left"] != ""].groupby("store_id").size())

            sold = facts[(facts["business_date"] >= start) & (facts["business_date"] <= close)]
            sales = sold[sold["qualifies_at_sale"] & ~sold["of_test_card"]]
            put("sale_receipts", sales.groupby("store_id").size())
            put("sale_receipts_member", sales[sales["of_member"]].groupby("store_id").size())
            put("sale_receipts_anonymous", sales[anonymous[sales.index]].groupby("store_id").size())
            put("sale_receipts_multi_unit", sales[sales["paid_units"] >= 2000].groupby("store_id").size())
            put("sale_units", sales.groupby("store_id")["paid_units"].sum())
            put("sale_gross_cents", sales.groupby("store_id")["gross_cents"].sum())
            put("sale_discount_cents", sales.groupby("store_id")["discount_cents"].sum())
            put("sale_net_cents", sales.groupby("store_id")["net_cents"].sum())
            put("sale_net_member_cents", sales[sales["of_member"]].groupby("store_id")["net_cents"].sum())
            booked = sold[~sold["of_test_card"]]
            members_own = booked[booked["of_member"] & ~booked["is_staff_sale"] & ~booked["is_wholesale"]]
            put("net_sales_cents", booked.groupby("store_id")["net_cents"].sum())
            put("net_sales_member_cents", members_own.groupby("store_id")["net_cents"].sum())
            standing = sales[_stands_at(sales["stopped_on"], close)]
            buyers = valid.index.intersection(standing["card_no"])
            put("purchasing_members", valid.loc[buyers].groupby(home).size())

            by_region = week.groupby(week.index.map(region_of)).sum()
            hq = week.sum().to_frame().T.set_axis(["hq"])
            for level, level_rows in (("store", week), ("region", by_region), ("hq", hq)):
                parts.append(
                    level_rows.rename_axis("level_id")
                    .reset_index()
                    .assign(level=level, period_start=start, close=close, is_over=last == close)
                )
        yield _told(pd.concat(parts, ignore_index=True), first_day)


def _told(table: pd.DataFrame, first_day: date) -> pd.DataFrame:
    """The counts and sums with what is computed of them, and without what can't be known."""
    table["days_elapsed"] = [
        (close - start).days + 1 for start, close in zip(table["period_start"], table["close"], strict=True)
    ]

    day_of_a_year = first_day + timedelta(days=365)
    lapse_unknown = table["period_start"] < day_of_a_year
    year_unknown = table["close"].map(lambda close: close - timedelta(days=364)) < day_of_a_year
    table = table.astype({column: "Int64" for column in COUNTS})
    table.loc[lapse_unknown, "churned_lapse"] = pd.NA
    table.loc[year_unknown, ["churn_base_12m", "churned_12m"]] = pd.NA

    def rate(over: pd.Series, under: pd.Series) -> pd.Series:
        return over.astype("Float64") / under.where(under != 0).astype("Float64")

    table["growth_rate"] = rate(table["new_members"], table["opening_members"])
    table["churn_rate"] = rate(table["churned_lapse"] + table["churned_closed"], table["churn_base"])
    table["repurchase_rate"] = rate(table["repeat_purchasers_365"], table["purchasers_365"])
    table["average_ticket_cents"] = rate(table["sale_net_cents"], table["sale_receipts"])
    table["average_ticket_member_cents"] = rate(table["sale_net_member_cents"], table["sale_receipts_member"])
    table["activity_rate"] = rate(table["active_members"], table["valid_members"])
    table["net_growth_rate"] = rate(
        table["closing_members"] - table["opening_members"] - table["net_transfers"], table["opening_members"]
    )
    table["churn_rate_12m"] = rate(table["churned_12m"], table["churn_base_12m"])
    table["spend_per_member_cents"] = rate(table["net_sales_member_cents"], table["purchasing_members"])
    table["engagement_rate"] = rate(table["engaged_members_30"], table["valid_members"])
    table["consent_reach"] = rate(table["contactable_members"], table["valid_members"])
    table["info_completeness"] = rate(table["filled_fields"], table["valid_members"] * len(FIELDS))
    table["member_sales_share"] = rate(table["net_sales_member_cents"], table["net_sales_cents"])
    table["member_receipt_share"] = rate(table["sale_receipts_member"], table["sale_receipts"])
    table["anonymous_rate"] = rate(table["sale_receipts_anonymous"], table["sale_receipts"])
    table["units_per_receipt"] = rate(table["sale_units"], table["sale_receipts"] * 1000)
    table["attach_rate"] = rate(table["sale_receipts_multi_unit"], table["sale_receipts"])
    table["discount_rate"] = rate(table["sale_discount_cents"], table["sale_gross_cents"])
    return table


KPI_MONEY = {
    "sale_net_amount": "sale_net_cents",
    "sale_net_amount_member": "sale_net_member_cents",
    "sale_gross_amount": "sale_gross_cents",
    "sale_discount_amount": "sale_discount_cents",
    "net_sales_amount": "net_sales_cents",
    "net_sales_member_amount": "net_sales_member_cents",
    "average_ticket_amount": "average_ticket_cents",
    "average_ticket_member_amount": "average_ticket_member_cents",
    "spend_per_member_amount": "spend_per_member_cents",
}
KPI_RATES = (
    "growth_rate",
    "net_growth_rate",
    "churn_rate",
    "churn_rate_12m",
    "repurchase_rate",
    "activity_rate",
    "engagement_rate",
    "consent_reach",
    "info_completeness",
    "member_sales_share",
    "member_receipt_share",
    "anonymous_rate",
    "attach_rate",
    "discount_rate",
)
KPI_KEY = ["period_start", "level", "level_id"]


def rounded(value: Fraction | float | int, divisor: int, places: int) -> Decimal:
    """As Postgres rounds a numeric quotient; a float here is far more exact than the last place."""
    return (Decimal(repr(float(value))) / divisor).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)


def as_published(table: pd.DataFrame) -> pd.DataFrame:
    """What ``kpi`` says, in the columns and types of the published KPI tables."""
    said = table[KPI_KEY + ["days_elapsed"]].copy()
    cents = set(KPI_MONEY.values())
    for column in COUNTS:
        if column not in cents and column != "sale_units":
            said[column] = table[column]
    for column, of_cents in KPI_MONEY.items():
        said[column] = table[of_cents].map(lambda value: rounded(value, 100, 2), na_action="ignore")
    for column in KPI_RATES:
        said[column] = table[column].map(lambda value: rounded(value, 1, 6), na_action="ignore")
    said["sale_units"] = table["sale_units"].map(lambda value: rounded(value, 1000, 3))
    said["units_per_receipt"] = table["units_per_receipt"].map(lambda value: rounded(value, 1, 4), na_action="ignore")
    return said


def _stands_at(stopped_on: pd.Series, day: date) -> pd.Series:
    return stopped_on.map(lambda stop: pd.isna(stop) or stop > day).astype(bool)


def _standing(facts: pd.DataFrame, daily: pd.DataFrame) -> dict[str, list[bool]]:
    """Whose receipt it was on its own date: a valid member's, a test card's."""
    that_day = facts[["card_no", "business_date"]].merge(
        daily[["card_no", "day", "is_valid", "is_test"]],
        left_on=["card_no", "business_date"],
        right_on=["card_no", "day"],
        how="left",
    )
    return {
        "of_member": [value is True or value == 1 for value in that_day["is_valid"].tolist()],
        "of_test_card": [value is True or value == 1 for value in that_day["is_test"].tolist()],
    }


def week_is_complete(
    monday: date, landed: set[tuple[str, date]], stores: pd.DataFrame, closures: pd.DataFrame, as_of: date
) -> bool:
    """Whether every store open on each of the week's seven days is covered by a batch of that day."""
    sunday = monday + timedelta(days=6)
    return sunday <= as_of and not uncovered(landed, stores, closures, monday, sunday)


def uncovered(
    landed: set[tuple[str, date]], stores: pd.DataFrame, closures: pd.DataFrame, first: date, last: date
) -> set[tuple[str, date]]:
    """(store_id, day) of the days on which a store was open, and whose receipts were not all delivered.

    landed: (store_id or ``all``, business_date) of the receipt batches in force.
    """
    shut = closed(stores, closures, first, last)
    return {
        (store_id, day)
        for store_id in stores["store_id"].map(str)
        for day in _calendar(first, last)
        if not {("all", day), (store_id, day)} & landed and (store_id, day) not in shut
    }


def closed(stores: pd.DataFrame, closures: pd.DataFrame, first: date, last: date) -> set[tuple[str, date]]:
    """(store_id, day) of the days on which a store was not open.

    A store's opening and closing day are days on which it is open, a closure's both ends days on which it
    is not.
    """
    shut: dict[str, list[tuple[date, date]]] = {}
    for row in closures.to_dict("records"):
        until = OPEN_END if pd.isna(row["closed_to"]) else pd.Timestamp(row["closed_to"]).date()
        shut.setdefault(str(row["store_id"]), []).append((pd.Timestamp(row["closed_from"]).date(), until))

    def is_open(store: Mapping[str, Any], day: date) -> bool:
        for column, outside in (("opened_on", "before"), ("closed_on", "after")):
            value = store.get(column)
            if value is None or pd.isna(value):
                continue
            edge = pd.Timestamp(value).date()
            if (outside == "before" and day < edge) or (outside == "after" and day > edge):
                return False
        return not any(start <= day <= until for start, until in shut.get(str(store["store_id"]), ()))

    return {
        (str(store["store_id"]), day)
        for store in stores.to_dict("records")
        for day in _calendar(first, last)
        if not is_open(store, day)
    }


def _calendar(first: date, last: date) -> list[date]:
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


# ----------------------------------------------------------------------------------------------- the stocktake


BECOMES_VALID = ("enrolled", "reopened", "included", "transfer_in")
CEASES_TO_BE = ("closed", "merged", "excluded", "transfer_out")
STOCKTAKE = ["opening", *BECOMES_VALID, *CEASES_TO_BE, "closing"]


def movements(daily: pd.DataFrame) -> pd.DataFrame:
    """One row per day, store and movement of one valid member into the store or out of it.

    Each member's close is held against the one of the day before, (valid, service store) on both. Becoming valid:
    ``enrolled`` on the enrolment day, else ``reopened`` when it was closed the day before and is not any more, else
    ``included``. Ceasing: ``merged`` on the day of the merge, else ``closed`` when it is closed, else ``excluded``.
    Valid in another store: ``transfer_out`` of the old one, ``transfer_in`` of the new one.
    """
    found: list[tuple[date, str, str, str]] = []
    by_member = daily.sort_values(["card_no", "day"], kind="stable").groupby("card_no", sort=True)
    for card, days in by_member:
        was_valid, was_closed, old_store = False, False, ""
        for day, valid, closed, enrolled_on, merged_on, store in zip(
            days["day"],
            days["is_valid"],
            days["is_closed"],
            days["enrolled_on"],
            days["merged_on"],
            days["service_store_id"],
            strict=True,
        ):
            if valid and not was_valid:
                reopened = "reopened" if was_closed and not closed else "included"
                found.append((day, store, "enrolled" if day == enrolled_on else reopened, str(card)))
            elif was_valid and not valid:
                excluded = "closed" if closed else "excluded"
                found.append((day, old_store, "merged" if day == merged_on else excluded, str(card)))
            elif valid and store != old_store:
                found += [(day, old_store, "transfer_out", str(card)), (day, store, "transfer_in", str(card))]
            was_valid, was_closed, old_store = valid, closed, store
    return pd.DataFrame(found, columns=["day", "store_id", "movement", "card_no"])


def stocktake_weekly(daily: pd.DataFrame, stores: pd.DataFrame, since: date | None = None) -> pd.DataFrame:
    """week_start, store_id and the columns STOCKTAKE: every store in every week (from ``since``), gross, day by day."""
    at = _by_day(daily)
    nobody = daily.iloc[:0].set_index("card_no")
    moved = movements(daily)
    moved = moved.assign(week_start=moved["day"].map(week_start))
    counts = moved.groupby(["week_start", "store_id", "movement"]).size()
    rows = []
    for monday, close in weeks(daily, since):
        if since is not None and monday < since:
            continue
        opening, closing = at.get(monday - ONE_DAY, nobody), at.get(close, nobody)
        for store in sorted(str(row["store_id"]) for row in stores.to_dict("records")):
            rows.append(
                {
                    "week_start": monday,
                    "store_id": store,
                    "opening": int((opening["is_valid"] & (opening["service_store_id"] == store)).sum()),
                    **{
                        movement: int(counts.get((monday, store, movement), 0))
                        for movement in (*BECOMES_VALID, *CEASES_TO_BE)
                    },
                    "closing": int((closing["is_valid"] & (closing["service_store_id"] == store)).sum()),
                }
            )
    return pd.DataFrame(rows, columns=["week_start", "store_id", *STOCKTAKE])


# ------------------------------------------------------------------------------------------- the adaptive band


ADAPTIVE_COLUMNS = ("day", "card_no", "adaptive_band", "cycle_days", "cycle_basis")
DEFAULT_CYCLE_DAYS = Fraction(45)
OWN_CYCLE_FROM = 4  # purchase days


def _times(cycle: Fraction, factor: int, low: int, high: int) -> int:
    """factor × cycle in whole days, a half day up, at least low and at most high."""
    return min(max(int(cycle * factor + Fraction(1, 2)), low), high)


def band_edges(cycle: Fraction) -> tuple[int, int, int]:
    """Since how many days without a purchase a member who buys every ``cycle`` days is at risk, dormant, churned."""
    return _times(cycle, 2, 45, 180), _times(cycle, 4, 90, 365), _times(cycle, 8, 180, 730)


def band_at(r: int, edges: tuple[int, int, int]) -> str:
    """The band r days after the last purchase."""
    return ("active", "at_risk", "dormant", "churned")[sum(r >= edge for edge in edges)]


def _median(numbers: list[int]) -> Fraction:
    ordered = sorted(numbers)
    middle = len(ordered) // 2
    return Fraction(ordered[middle]) if len(ordered) % 2 else Fraction(ordered[middle - 1] + ordered[middle], 2)


def adaptive_by_day(
    daily: pd.DataFrame,
    facts: pd.DataFrame,
    lines: pd.DataFrame,
    products: pd.DataFrame,
    category_cycles: Mapping[str, int],
    default_cycle: Fraction = DEFAULT_CYCLE_DAYS,
) -> pd.DataFrame:
    """One row per member and day with a band: day, card_no, adaptive_band, cycle_days (a Fraction), cycle_basis.

    The cycle is the median gap between the purchase days that count at the day's close when there are four of them
    (``own``), else the one of the category of the last of them (``category``), else ``default_cycle`` (``default``).
    A member who is excluded, not enrolled or has not bought has no band, and no row.
    """
    category_of = dict(zip(products["sku"], products["category"], strict=True)) if len(products) else {}
    spent: dict[tuple[Any, ...], dict[str, int]] = {}
    merchandise = lines[_flags(lines, "is_merchandise", missing=True).to_numpy()] if len(lines) else lines
    for row in merchandise.to_dict("records"):
        category = category_of.get(row.get("sku"))
        if category is not None and not pd.isna(category):
            by_category = spent.setdefault(tuple(str(row[column]) for column in RECEIPT_KEY), {})
            cents = round(float(row["net_amount"]) * 100)
            by_category[category] = by_category.get(category, 0) + cents
    bought: dict[str, list[tuple[date, date]]] = {}  # by card: a day and the day on which it stops to count
    bought_on: dict[tuple[str, date], dict[str, int]] = {}  # by card and day: cents by category
    for receipt in facts[facts["qualifies_at_sale"]].to_dict("records"):
        card, day = receipt["card_no"], receipt["business_date"]
        bought.setdefault(card, []).append((day, OPEN_END if pd.isna(receipt["stopped_on"]) else receipt["stopped_on"]))
        of_day = bought_on.setdefault((card, day), {})
        for category, cents in spent.get(tuple(str(receipt[column]) for column in RECEIPT_KEY), {}).items():
            of_day[category] = of_day.get(category, 0) + cents

    def cycle_on(card: str, day: date) -> tuple[list[date], Fraction, str]:
        days = sorted({on for on, until in bought.get(card, []) if on <= day < until})
        if len(days) >= OWN_CYCLE_FROM:
            return days, _median([(later - earlier).days for earlier, later in pairwise(days)]), "own"
        totals = bought_on[card, days[-1]] if days else {}
        favourite = min(totals, key=lambda category: (-totals[category], category)) if totals else None
        if favourite in category_cycles:
            return days, Fraction(category_cycles[favourite]), "category"
        return days, default_cycle, "default"

    rows: list[tuple[date, str, str, Fraction, str]] = []
    for card, member_days in daily[daily["is_valid"]].groupby("card_no", sort=True):
        turns = {day for entry in bought.get(str(card), []) for day in entry}  # it can change only on these days
        seen = date.min
        for day in member_days["day"]:
            if seen == date.min or any(seen < turn <= day for turn in turns):
                days, cycle, basis = cycle_on(str(card), day)
                edges = band_edges(cycle)
            seen = day
            if days:
                rows.append((day, str(card), band_at((day - days[-1]).days, edges), cycle, basis))
    return pd.DataFrame(rows, columns=list(ADAPTIVE_COLUMNS))
