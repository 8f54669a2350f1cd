"""Sales, the slow way: what a change is made of, through which channels, who came back and stayed, what events bring.

Nothing here knows the warehouse's SQL. It takes what `day_by_day` knows of receipts and members, goes through stores,
days and members one by one, and answers tables with the columns that are published.

How to use it::

    sales_decomposition_weekly(daily, facts, stores, uncovered)
    channel_mix_weekly(daily, facts, stores)
    reactivation_90d(daily, facts)
    member_day_effect(facts, stores, calendar, as_of, daily)

``uncovered`` holds (store_id, day) of each day on which an open store's files were not there. ``calendar`` holds the
rows of the newest list (date, event_type, event_name, scope). Days are ``datetime.date``, money and rates ``Decimal``
with the published places, rounded half away from zero; what is empty is None.

Readings of the words, fixed here:

* the as-of date is the last day of ``daily``, ``observed_from`` the first business date of a receipt that really
  happened; weeks run from the one to the other;
* a member's sale receipt qualified at sale and was, on its own date, a valid member's; that it came back later does
  not matter. Neither it nor any money is of a card that was marked as test on that day. Other money is that of the
  KPIs: net sales hold staff sales and wholesale, those of members don't;
* only stores of ``stores`` are counted, as in the KPIs: what was sold elsewhere, and whom another store looks after,
  is in no row, that of head office included;
* logarithms are taken with sixty digits, and what is half a cent to thirty places is half a cent: a growth of two by
  two, say, cuts a change exactly in two;
* a row of the channel mix that has no member and whose money adds up to nothing is not there, though there may have
  been money that cancels out;
* whatever is sold through another channel than the app and the mini program is sold in the store, also when nobody
  said through which;
* who enters S07 twice is two entrants. An entry is as ``daily`` saw it at the close of that day: it stays one when
  what was bought then came back later, and when the account was closed since;
* a scope is a region as it was fed, or a store; stores without a region are in no region's scope. An event is in the
  way of a baseline week by its date alone, whether or not the date is observed, and whatever its type;
* of an event the days before and after are seven each as they were, other events among them or not.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import pandas as pd

from .cohorts import A_WEEK, money, purchase_days, quotient, rounded, table_of
from .day_by_day import ONE_DAY, _standing, _stands_at, periods, regions, week_start

DISTANCES = {"last_week": timedelta(days=7), "last_year": timedelta(days=364)}
DIGITS = 60
PLACES = Decimal(1).scaleb(-30)

APP_CHANNELS = ("app", "mini_program")
MIXES = ("app_only", "store_only", "both", "none")
MIX_DAYS = timedelta(days=365)

KEPT_DAYS = 90

BASELINE_WEEKS = 4
WEEKS_BACK = 26


def _levels(stores: pd.DataFrame) -> list[tuple[str, str, list[str]]]:
    """(level, level_id, its stores): each store, each region, head office."""
    region_of = regions(stores)
    of_region = defaultdict(list)
    for store_id in sorted(region_of):
        of_region[region_of[store_id]].append(store_id)
    return [
        *(("store", store_id, [store_id]) for store_id in sorted(region_of)),
        *(("region", region, of_region[region]) for region in sorted(of_region)),
        *([("hq", "hq", sorted(region_of))] if region_of else []),
    ]


def _without_test_cards(facts: pd.DataFrame, daily: pd.DataFrame, as_of: date) -> pd.DataFrame:
    """The receipts up to the as-of date, but those of test cards, and of which kinds they are.

    is_sale: qualified at sale; is_members_sale: and was a member's; is_members_own: its money is a member's.
    """
    known = facts[facts["business_date"] <= as_of].reset_index(drop=True)
    known = known.assign(**_standing(known, daily))
    booked = known[~known["of_test_card"].astype(bool)]
    of_member = booked["of_member"].astype(bool)
    return booked.assign(
        is_sale=booked["qualifies_at_sale"].astype(bool),
        is_members_sale=booked["qualifies_at_sale"].astype(bool) & of_member,
        is_members_own=of_member & ~booked["is_staff_sale"].astype(bool) & ~booked["is_wholesale"].astype(bool),
    )


# ------------------------------------------------------------------------------------- what a change is made of


@dataclass(frozen=True)
class Sold:
    """What was sold: number of buyers, of members' sale receipts, net amount of these; net sales of members, of all."""

    buyers: int = 0
    receipts: int = 0
    sale_cents: int = 0
    member_cents: int = 0
    net_cents: int = 0


@dataclass(frozen=True)
class Effects:
    """The parts of a change of net sales, in cents."""

    buyers: int
    frequency: int
    ticket: int
    returns: int
    non_member: int


def effects(before: Sold, now: Sold) -> Effects:
    """What each part has changed net sales by."""
    change = now.sale_cents - before.sale_cents
    by_buyers = by_frequency = 0
    if before.buyers == 0 or now.buyers == 0:
        by_buyers = change
    elif before.sale_cents > 0 and now.sale_cents > 0:
        with localcontext(prec=DIGITS):
            mean = Decimal(before.sale_cents)
            if change != 0:
                mean = Decimal(change) / (Decimal(now.sale_cents) / Decimal(before.sale_cents)).ln()
            frequency_before = Decimal(before.receipts) / Decimal(before.buyers)
            frequency_now = Decimal(now.receipts) / Decimal(now.buyers)
            by_buyers = _whole_cents(mean * (Decimal(now.buyers) / Decimal(before.buyers)).ln())
            by_frequency = _whole_cents(mean * (frequency_now / frequency_before).ln())
    return Effects(
        by_buyers,
        by_frequency,
        change - by_buyers - by_frequency,
        (now.member_cents - now.sale_cents) - (before.member_cents - before.sale_cents),
        (now.net_cents - now.member_cents) - (before.net_cents - before.member_cents),
    )


def _whole_cents(cents: Decimal) -> int:
    """Half away from zero; of sixty digits the last ones are not to be trusted."""
    return int(rounded(Fraction(cents.quantize(PLACES)), 0))


def sales_decomposition_weekly(
    daily: pd.DataFrame, facts: pd.DataFrame, stores: pd.DataFrame, uncovered: Collection[tuple[str, date]]
) -> pd.DataFrame:
    """Week × level × what it is compared with, where there is a store-day that can be compared."""
    rows = []
    if len(daily) and len(facts):
        as_of, observed_from = daily["day"].max(), facts["business_date"].min()
        missing = set(uncovered)
        receipts: dict[tuple[str, date], list[Mapping[Any, Any]]] = defaultdict(list)
        for receipt in _without_test_cards(facts, daily, as_of).to_dict("records"):
            receipts[receipt["store_id"], receipt["business_date"]].append(receipt)

        def sold(store_days: Iterable[tuple[str, date]]) -> Sold:
            found = [receipt for store_day in store_days for receipt in receipts.get(store_day, ())]
            members_sales = [receipt for receipt in found if receipt["is_members_sale"]]
            return Sold(
                len({receipt["card_no"] for receipt in members_sales}),
                len(members_sales),
                sum(int(receipt["net_cents"]) for receipt in members_sales),
                sum(int(receipt["net_cents"]) for receipt in found if receipt["is_members_own"]),
                sum(int(receipt["net_cents"]) for receipt in found),
            )

        def is_there(store_id: str, day: date) -> bool:
            return observed_from <= day <= as_of and (store_id, day) not in missing

        weeks = periods(daily, "week", observed_from)
        mondays = {monday for monday, _, _ in weeks}
        for monday, _, close in weeks:
            days = [monday + timedelta(days=number) for number in range((close - monday).days + 1)]
            for compared_with, distance in DISTANCES.items():
                if monday - distance not in mondays:
                    continue
                for level, level_id, of_level in _levels(stores):
                    store_days = [(store_id, day) for store_id in of_level for day in days]
                    compared = [
                        (store_id, day)
                        for store_id, day in store_days
                        if is_there(store_id, day) and is_there(store_id, day - distance)
                    ]
                    if not compared:
                        continue
                    now = sold(compared)
                    before = sold((store_id, day - distance) for store_id, day in compared)
                    parts = effects(before, now)
                    rows.append(
                        {
                            "week_start": monday,
                            "level": level,
                            "level_id": level_id,
                            "compared_with": compared_with,
                            "compared_week_start": monday - distance,
                            "store_days_compared": len(compared),
                            "store_days_left_out": len(store_days) - len(compared),
                            "buyers": now.buyers,
                            "buyers_before": before.buyers,
                            "sale_receipts_member": now.receipts,
                            "sale_receipts_member_before": before.receipts,
                            "sale_net_amount_member": money(now.sale_cents),
                            "sale_net_amount_member_before": money(before.sale_cents),
                            "net_sales_amount": money(now.net_cents),
                            "net_sales_amount_before": money(before.net_cents),
                            "net_sales_change_amount": money(now.net_cents - before.net_cents),
                            "buyers_effect_amount": money(parts.buyers),
                            "frequency_effect_amount": money(parts.frequency),
                            "ticket_effect_amount": money(parts.ticket),
                            "returns_effect_amount": money(parts.returns),
                            "non_member_effect_amount": money(parts.non_member),
                        }
                    )
    return table_of(
        rows,
        [
            "week_start",
            "level",
            "level_id",
            "compared_with",
            "compared_week_start",
            "store_days_compared",
            "store_days_left_out",
            "buyers",
            "buyers_before",
            "sale_receipts_member",
            "sale_receipts_member_before",
            "sale_net_amount_member",
            "sale_net_amount_member_before",
            "net_sales_amount",
            "net_sales_amount_before",
            "net_sales_change_amount",
            "buyers_effect_amount",
            "frequency_effect_amount",
            "ticket_effect_amount",
            "returns_effect_amount",
            "non_member_effect_amount",
        ],
    )


# ------------------------------------------------------------------------------------------------------ channels


def channel_mix(channels: Collection[str]) -> str:
    """What the channels of a member's purchases have in common."""
    by_app = [channel in APP_CHANNELS for channel in channels]
    if not by_app:
        return "none"
    if all(by_app):
        return "app_only"
    return "both" if any(by_app) else "store_only"


def channel_mix_weekly(daily: pd.DataFrame, facts: pd.DataFrame, stores: pd.DataFrame) -> pd.DataFrame:
    """Week × level × channel mix of the member at the week's close, where there is a member or money."""
    rows = []
    if len(daily) and len(facts):
        as_of, observed_from = daily["day"].max(), facts["business_date"].min()
        booked = _without_test_cards(facts, daily, as_of)
        sales = booked[booked["is_sale"]]
        for monday, _, close in periods(daily, "week", observed_from):
            at_the_close = daily[(daily["day"] == close) & daily["is_valid"].astype(bool)]
            home_of = dict(zip(at_the_close["card_no"], at_the_close["service_store_id"], strict=True))
            year = sales[(sales["business_date"] > close - MIX_DAYS) & (sales["business_date"] <= close)]
            year = year[_stands_at(year["stopped_on"], close)]
            channels_of: dict[str, set[str]] = defaultdict(set)
            for card, channel in year[["card_no", "channel"]].itertuples(index=False):
                channels_of[card].add(channel)
            buyers = set(year.loc[year["business_date"] >= monday, "card_no"]) & set(home_of)
            members = Counter((home_of[card], channel_mix(channels_of.get(card, ()))) for card in buyers)
            cents: Counter[tuple[str, str]] = Counter()
            week = booked[booked["is_members_own"] & booked["business_date"].between(monday, close)]
            for card, store_id, net in week[["card_no", "store_id", "net_cents"]].itertuples(index=False):
                cents[store_id, channel_mix(channels_of.get(card, ()))] += int(net)

            for level, level_id, of_level in _levels(stores):
                for mix in MIXES:
                    here = sum(members[store_id, mix] for store_id in of_level)
                    net = sum(cents[store_id, mix] for store_id in of_level)
                    if here or net:
                        rows.append(
                            {
                                "week_start": monday,
                                "level": level,
                                "level_id": level_id,
                                "channel_mix": mix,
                                "purchasing_members": here,
                                "net_sales_member_amount": money(net),
                                "spend_per_member_amount": quotient(Fraction(net, 100), here, 2),
                            }
                        )
    return table_of(
        rows,
        [
            "week_start",
            "level",
            "level_id",
            "channel_mix",
            "purchasing_members",
            "net_sales_member_amount",
            "spend_per_member_amount",
        ],
    )


# -------------------------------------------------------------------------------------------------- reactivation


def reactivation_90d(daily: pd.DataFrame, facts: pd.DataFrame) -> pd.DataFrame:
    """Week of the entry into S07 by a purchase × service store on that day, where somebody entered."""
    rows = []
    if len(daily):
        as_of = daily["day"].max()
        bought = purchase_days(facts, as_of)
        reactivated = daily[daily["stage_code"] == "S07"]
        in_s07 = set(zip(reactivated["card_no"], reactivated["day"], strict=True))
        kept: dict[tuple[date, str], list[bool]] = defaultdict(list)
        for row in reactivated[reactivated["r"] == 0].to_dict("records"):
            card, entered_on = row["card_no"], row["day"]
            if (card, entered_on - ONE_DAY) not in in_s07:
                later = [(day - entered_on).days for day in bought.get(card, ())]
                came_again = any(1 <= days <= KEPT_DAYS for days in later)
                kept[week_start(entered_on), row["service_store_id"]].append(came_again)
        for (week, store_id), entrants in sorted(kept.items()):
            is_final = week + A_WEEK - ONE_DAY + timedelta(days=KEPT_DAYS) <= as_of
            rows.append(
                {
                    "cohort_week": week,
                    "store_id": store_id,
                    "entrants": len(entrants),
                    "kept_90d": sum(entrants),
                    "is_final": is_final,
                    "kept_rate": quotient(sum(entrants), len(entrants), 6) if is_final else None,
                }
            )
    return table_of(rows, ["cohort_week", "store_id", "entrants", "kept_90d", "is_final", "kept_rate"])


# --------------------------------------------------------------------------------------------------- member days


def _covered_by(scope: Any, stores: pd.DataFrame) -> set[str]:
    """The stores that a scope covers."""
    everywhere = scope is None or pd.isna(scope) or scope == ""
    return {
        str(row["store_id"])
        for row in stores.to_dict("records")
        if everywhere or str(scope) in (str(row["store_id"]), row.get("region"))
    }


def baseline_weeks(day: date, busy: Collection[date], observed_from: date) -> list[date] | None:
    """The Mondays of the four weeks that a store's event is held against, the latest first; None: there aren't four.

    busy: the days on which there is an event in the store, or nothing is told of it.
    """
    monday = week_start(day - A_WEEK)
    found = []
    for number in range(1, WEEKS_BACK + 1):
        start = monday - number * A_WEEK
        is_quiet = not any(start + timedelta(days=weekday) in busy for weekday in range(7))
        if start >= observed_from and is_quiet:
            found.append(start)
    return found[:BASELINE_WEEKS] if len(found) >= BASELINE_WEEKS else None


def member_day_effect(
    facts: pd.DataFrame,
    stores: pd.DataFrame,
    calendar: pd.DataFrame,
    as_of: date,
    daily: pd.DataFrame,
    untold: Collection[tuple[str, date]],
) -> pd.DataFrame:
    """Event × level with a store that it covers and that has a baseline: what it sold, and what it mostly sells.

    untold: (store_id, day) of the days on which a store was closed, or whose receipts were not all delivered. A week
    with such a day is in no baseline, and an event on such a day is not told of the store.
    """
    rows = []
    if len(facts):
        observed_from = facts["business_date"].min()
        sold: Counter[tuple[str, date]] = Counter()
        booked = _without_test_cards(facts, daily, as_of)
        for store_id, day, net in booked[["store_id", "business_date", "net_cents"]].itertuples(index=False):
            sold[store_id, day] += int(net)

        events: dict[tuple[date, str, str], set[str]] = defaultdict(set)
        busy: dict[str, set[date]] = defaultdict(set)
        for row in calendar.to_dict("records"):
            day = pd.Timestamp(row["date"]).date()
            covered = _covered_by(row.get("scope"), stores)
            events[day, str(row["event_type"]), str(row["event_name"])] |= covered
            for store_id in covered:
                busy[store_id].add(day)

        silent: dict[str, set[date]] = defaultdict(set)
        for store_id, day in untold:
            silent[store_id].add(day)

        for (day, event_type, event_name), covered in sorted(events.items()):
            if not observed_from <= day <= as_of:
                continue
            weeks_of = {
                store_id: mondays
                for store_id in covered
                if (store_id, day) not in untold
                and (mondays := baseline_weeks(day, busy[store_id] | silent[store_id], observed_from)) is not None
            }
            for level, level_id, of_level in _levels(stores):
                taking_part = [store_id for store_id in of_level if store_id in weeks_of]
                if not taking_part:
                    continue
                weeks = {store_id: weeks_of[store_id] for store_id in taking_part}
                week_before = [day - timedelta(days=number) for number in range(1, 8)]
                week_after = [day + timedelta(days=number) for number in range(1, 8)]
                net, usual = _net_and_usual(sold, weeks, [day])
                extra = net - usual
                before = _beyond_usual(sold, weeks, week_before)
                after = _beyond_usual(sold, weeks, week_after)
                is_final = day + A_WEEK <= as_of
                rows.append(
                    {
                        "event_date": day,
                        "event_type": event_type,
                        "event_name": event_name,
                        "level": level,
                        "level_id": level_id,
                        "stores": len(taking_part),
                        "net_sales_amount": money(net),
                        "baseline_amount": _amount(usual),
                        "effect_ratio": None if usual == 0 else rounded(net / usual, 6),
                        "extra_amount": _amount(extra),
                        "before_amount": _amount(before),
                        "after_amount": _amount(after) if is_final else None,
                        "net_effect_amount": _amount(extra + before + after) if is_final else None,
                        "is_final": is_final,
                    }
                )
    return table_of(
        rows,
        [
            "event_date",
            "event_type",
            "event_name",
            "level",
            "level_id",
            "stores",
            "net_sales_amount",
            "baseline_amount",
            "effect_ratio",
            "extra_amount",
            "before_amount",
            "after_amount",
            "net_effect_amount",
            "is_final",
        ],
    )


def _net_and_usual(
    sold: Mapping[tuple[str, date], int], weeks: Mapping[str, Sequence[date]], days: Sequence[date]
) -> tuple[int, Fraction]:
    """What the stores sold on the days, and what they sold on such weekdays of their baseline weeks, in cents.

    sold: cents by store and day; weeks: the baseline weeks of each store.
    """
    net, usual = 0, Fraction(0)
    for store_id, mondays in weeks.items():
        for day in days:
            net += sold[store_id, day]
            usual += Fraction(
                sum(sold[store_id, monday + timedelta(days=day.weekday())] for monday in mondays), len(mondays)
            )
    return net, usual


def _beyond_usual(
    sold: Mapping[tuple[str, date], int], weeks: Mapping[str, Sequence[date]], days: Sequence[date]
) -> Fraction:
    net, usual = _net_and_usual(sold, weeks, days)
    return net - usual


def _amount(cents: Fraction) -> Decimal:
    """An amount with two places."""
    return rounded(cents / 100, 2)
