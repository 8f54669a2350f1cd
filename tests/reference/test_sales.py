"""The reference of the sales tables against histories small enough to check by hand: the boundaries, at n−1, n, n+1."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from .day_by_day import judge_receipts, kpi
from .sales import (
    Effects,
    Sold,
    baseline_weeks,
    channel_mix,
    channel_mix_weekly,
    effects,
    member_day_effect,
    reactivation_90d,
    sales_decomposition_weekly,
)
from .stories import DAY_0, Story, day

FIRST = date(2018, 1, 8)  # the Monday of the week of day 0, which is a Wednesday
BEFORE, NOW = date(2018, 1, 15), date(2018, 1, 22)  # the Mondays of two whole weeks
SUNDAY = date(2018, 1, 28)  # of the second


@pytest.fixture
def story() -> Story:
    """Somebody nobody knows gets something for nothing on day 0, the first business date."""
    story = Story()
    story.buys("", DAY_0, 0)
    return story


def rows_of(table: pd.DataFrame) -> list[tuple[Any, ...]]:
    return list(table.itertuples(index=False, name=None))


def amount(text: str) -> Decimal:
    return Decimal(text)


def kpis_of_weeks(story: Story, as_of: date) -> dict[tuple[Any, ...], dict[Any, Any]]:
    """By week and level: what the KPIs say."""
    table = kpi(story.daily(as_of), story.facts, story.store_frame, "week")
    return {(row["period_start"], row["level"], row["level_id"]): row for row in table.to_dict("records")}


def amounts(*texts: str) -> list[Decimal]:
    return [Decimal(text) for text in texts]


# ------------------------------------------------------------------------------------------------------ channels


def test_a_receipt_says_its_channel_or_nothing(story: Story) -> None:
    story.buys("", DAY_0, channel="app")
    story.buys("", DAY_0, channel=None)
    assert list(story.facts["channel"]) == ["", "app", ""]
    receipts = pd.DataFrame(story.receipts).drop(columns="channel")
    assert list(judge_receipts(receipts, pd.DataFrame(story.lines))["channel"]) == ["", "", ""]


# ------------------------------------------------------------------------------------- what a change is made of


def test_a_change_is_made_of_buyers_frequency_and_ticket() -> None:
    # 1 buyer × 2 receipts × 10.00 and 2 buyers × 3 receipts × 15.00: 20.00 and 90.00
    # 70 / ln 4.5 = 46.5402; × ln 2 = 32.2592; × ln 1.5 = 18.8704; the ticket, × ln 1.5, too, is what is left
    found = effects(Sold(1, 2, 2000, 2000, 2000), Sold(2, 6, 9000, 9000, 9000))
    assert found == Effects(3226, 1887, 1887, 0, 0)


def test_with_the_same_money_before_and_after_what_was_won_was_lost_elsewhere() -> None:
    # 20.00 both; 1 buyer × 1 × 20.00 and 2 buyers × 2 × 5.00; 20 × ln 2 = 13.8629
    assert effects(Sold(1, 1, 2000, 2000, 2000), Sold(2, 4, 2000, 2000, 2000)) == Effects(1386, 1386, -2772, 0, 0)
    assert effects(Sold(1, 1, 2000, 2000, 2000), Sold(1, 1, 2000, 2000, 2000)) == Effects(0, 0, 0, 0, 0)


def test_one_cent_more_is_almost_the_same_money() -> None:
    # (20.01 − 20) / ln (20.01 / 20) = 20.005; × ln 2 = 13.8664; L is between both
    assert effects(Sold(1, 1, 2000, 2000, 2000), Sold(2, 4, 2001, 2001, 2001)) == Effects(1387, 1387, -2773, 0, 0)


def test_half_a_cent_is_rounded_away_from_zero() -> None:
    # 1.01 and 4.04, buyers doubled and tickets doubled: each is exactly half of 3.03
    few, many = Sold(1, 1, 101, 101, 101), Sold(2, 2, 404, 404, 404)
    assert effects(few, many) == Effects(152, 0, 151, 0, 0)
    assert effects(many, few) == Effects(-152, 0, -151, 0, 0)
    # buyers × 2, frequency × 2, ticket × 2, of 1 and 8 cents: 7 / 3 = 2.33
    assert effects(Sold(1, 1, 1, 1, 1), Sold(2, 4, 8, 8, 8)) == Effects(2, 2, 3, 0, 0)
    # buyers × 3, frequency × 3, ticket × 1: half of 9 × 1.01 − 1.01 = 8.08, which is 4.04
    assert effects(Sold(1, 1, 101, 101, 101), Sold(3, 9, 909, 909, 909)) == Effects(404, 404, 0, 0, 0)


@pytest.mark.parametrize(
    ("before", "now", "found"),
    [
        ((0, 0, 0), (2, 3, 500), (500, 0, 0)),  # nobody bought before
        ((2, 3, 500), (0, 0, 0), (-500, 0, 0)),
        ((0, 0, 0), (0, 0, 0), (0, 0, 0)),
        ((0, 0, 0), (1, 1, 0), (0, 0, 0)),
        ((1, 1, 0), (2, 3, 500), (0, 0, 500)),  # who bought got it for nothing
        ((2, 3, 500), (1, 1, 0), (0, 0, -500)),
        ((1, 1, 0), (2, 3, 0), (0, 0, 0)),
        ((1, 1, 1), (1, 1, 500), (0, 0, 499)),  # for a cent, then for more
    ],
)
def test_from_nothing_and_to_nothing(
    before: tuple[int, int, int], now: tuple[int, int, int], found: tuple[int, int, int]
) -> None:
    money_before, money_now = before[2], now[2]
    parts = effects(Sold(*before, money_before, money_before), Sold(*now, money_now, money_now))
    assert parts == Effects(*found, 0, 0)


CENTS = st.integers(min_value=-(10**9), max_value=10**9)


@st.composite
def sold(draw: st.DrawFn) -> Sold:
    """What can have been sold: who buys has a receipt, and perhaps paid nothing."""
    buyers = draw(st.integers(min_value=0, max_value=10**6))
    more_receipts = draw(st.integers(min_value=0, max_value=10**6))
    cents = draw(st.integers(min_value=0, max_value=10**11))
    has_any = buyers > 0
    return Sold(buyers, has_any * (buyers + more_receipts), has_any * cents, draw(CENTS), draw(CENTS))


@given(sold(), sold())
def test_the_parts_add_up_to_the_change_and_back_again(before: Sold, now: Sold) -> None:
    parts = effects(before, now)
    total = parts.buyers + parts.frequency + parts.ticket + parts.returns + parts.non_member
    assert total == now.net_cents - before.net_cents
    back = effects(now, before)
    assert back == Effects(-parts.buyers, -parts.frequency, -parts.ticket, -parts.returns, -parts.non_member)
    if before.buyers == now.buyers:
        assert parts.buyers == 0


def decomposition(
    story: Story, as_of: date, compared_with: str = "last_week", uncovered: Iterable[tuple[str, date]] = ()
) -> dict[tuple[Any, ...], dict[str, Any]]:
    """By week and level: the rows."""
    table = sales_decomposition_weekly(story.daily(as_of), story.facts, story.store_frame, set(uncovered))
    rows = [dict(zip(table.columns, row, strict=True)) for row in rows_of(table)]
    return {
        (row["week_start"], row["level"], row["level_id"]): row for row in rows if row["compared_with"] == compared_with
    }


EFFECTS = ["buyers", "frequency", "ticket", "returns", "non_member"]


def parts_of(row: dict[str, Any]) -> list[Decimal]:
    return [row[f"{part}_effect_amount"] for part in EFFECTS]


def days_of(row: dict[str, Any]) -> tuple[int, int]:
    return row["store_days_compared"], row["store_days_left_out"]


def test_a_week_is_held_against_the_one_before(story: Story) -> None:
    for name in ("came_both_weeks", "came_in_the_second"):
        story.enrols(name, DAY_0)
    story.buys("came_both_weeks", BEFORE, 8)
    story.buys("came_both_weeks", BEFORE, 12)
    story.gives_back("came_both_weeks", "unknown", day(-9), BEFORE, 5)
    story.buys("", BEFORE, 7)
    for name in ("came_both_weeks", "came_in_the_second"):
        for number in range(3):
            story.buys(name, NOW + timedelta(days=number), 15)
    story.buys("came_both_weeks", NOW, 100, is_staff_sale=True)
    story.buys("", SUNDAY, 3)
    found = decomposition(story, SUNDAY)
    # members bought for 20 and 90, as above; their returns were −5 and 0; others spent 7 and 3 + 100
    assert found[NOW, "store", "A"] == {
        "week_start": NOW,
        "level": "store",
        "level_id": "A",
        "compared_with": "last_week",
        "compared_week_start": BEFORE,
        "store_days_compared": 7,
        "store_days_left_out": 0,
        "buyers": 2,
        "buyers_before": 1,
        "sale_receipts_member": 6,
        "sale_receipts_member_before": 2,
        "sale_net_amount_member": amount("90"),
        "sale_net_amount_member_before": amount("20"),
        "net_sales_amount": amount("193"),
        "net_sales_amount_before": amount("22"),
        "net_sales_change_amount": amount("171"),
        "buyers_effect_amount": amount("32.26"),
        "frequency_effect_amount": amount("18.87"),
        "ticket_effect_amount": amount("18.87"),
        "returns_effect_amount": amount("5"),
        "non_member_effect_amount": amount("96"),
    }
    assert str(found[NOW, "store", "A"]["returns_effect_amount"]) == "5.00"
    # nothing happened in the other store, which is in a row all the same
    assert parts_of(found[NOW, "store", "B"]) == [0] * 5
    assert days_of(found[NOW, "hq", "hq"]) == (14, 0)
    assert parts_of(found[NOW, "hq", "hq"]) == parts_of(found[NOW, "region", "north"])


def test_a_week_says_what_the_kpis_say(story: Story) -> None:
    story.stores.append({"store_id": "C", "region": "north", "timezone": "Asia/Shanghai", "day_cutoff": "04:00"})
    for name in ("regular", "closed_in_between", "marked_as_test"):
        story.enrols(name, DAY_0)
    story.enrols("came_later", NOW, store="B")
    story.says("closed_in_between", "closed", NOW + timedelta(days=1)).says("marked_as_test", "test", NOW)
    for number in range(14):
        for place, name in enumerate(("regular", "closed_in_between", "marked_as_test", "came_later", "")):
            story.buys(name, BEFORE + timedelta(days=number), 1 + number + place / 10, store="ABC"[number % 3])
    story.buys("regular", NOW, 500, is_wholesale=True)
    story.gives_back("regular", "unknown", day(-9), NOW, 4)
    said = kpis_of_weeks(story, SUNDAY)
    found = decomposition(story, SUNDAY)
    assert len(found) == 2 * 6  # two weeks; three stores, two regions, head office
    for row in [found[key] for key in found if key[0] == NOW]:
        for week, ending in ((NOW, ""), (BEFORE, "_before")):
            kpis = said[week, row["level"], row["level_id"]]
            assert row[f"sale_receipts_member{ending}"] == kpis["sale_receipts_member"]
            assert row[f"sale_net_amount_member{ending}"] * 100 == int(kpis["sale_net_member_cents"])
            assert row[f"net_sales_amount{ending}"] * 100 == int(kpis["net_sales_cents"])
        assert sum(parts_of(row)) == row["net_sales_change_amount"]


@pytest.mark.parametrize(("bought", "buyers"), [(-1, 0), (0, 1), (1, 1)])
def test_a_buyer_is_a_member_on_the_day(story: Story, bought: int, buyers: int) -> None:
    enrolled = NOW + timedelta(days=2)
    story.enrols("enrolled_on_wednesday", enrolled)
    story.buys("enrolled_on_wednesday", enrolled + timedelta(days=bought), 10)
    row = decomposition(story, SUNDAY)[NOW, "hq", "hq"]
    assert (row["buyers"], row["sale_receipts_member"]) == (buyers, buyers)
    assert parts_of(row) == [10 * buyers, 0, 0, 0, 10 * (1 - buyers)]


def test_a_purchase_that_came_back_was_one_and_the_return_is_another_matter(story: Story) -> None:
    story.enrols("returned_it_the_same_week", DAY_0)
    bought = story.buys("returned_it_the_same_week", NOW, 10)
    story.gives_back("returned_it_the_same_week", bought, NOW, SUNDAY, 10)
    row = decomposition(story, SUNDAY)[NOW, "hq", "hq"]
    assert (row["buyers"], row["net_sales_change_amount"]) == (1, 0)
    assert parts_of(row) == [10, 0, 0, -10, 0]


def test_who_buys_in_two_stores_is_one_buyer_of_the_region(story: Story) -> None:
    story.stores.append({"store_id": "C", "region": "north", "timezone": "Asia/Shanghai", "day_cutoff": "04:00"})
    story.enrols("bought_in_three_stores", DAY_0)
    for store in "ABC":
        story.buys("bought_in_three_stores", NOW, 10, store=store)
    found = decomposition(story, SUNDAY)
    counted = {key[1:]: (row["buyers"], row["sale_receipts_member"]) for key, row in found.items() if key[0] == NOW}
    assert counted == {
        ("store", "A"): (1, 1),
        ("store", "B"): (1, 1),
        ("store", "C"): (1, 1),
        ("region", "north"): (1, 2),
        ("region", "not_fed"): (1, 1),
        ("hq", "hq"): (1, 3),
    }
    assert days_of(found[NOW, "region", "north"]) == (14, 0)


@pytest.mark.parametrize(
    "uncovered",
    [
        [("A", NOW + timedelta(days=1))],
        [("A", BEFORE + timedelta(days=1))],
        [("A", NOW + timedelta(days=1)), ("A", BEFORE + timedelta(days=1))],
    ],
)
def test_a_store_day_that_is_missing_on_one_side_is_left_out_on_both(
    story: Story, uncovered: list[tuple[str, date]]
) -> None:
    story.enrols("came_on_tuesdays", DAY_0).enrols("came_on_wednesdays", DAY_0)
    for week, spent in ((BEFORE, 10), (NOW, 40)):
        story.buys("came_on_tuesdays", week + timedelta(days=1), spent)
        story.buys("came_on_tuesdays", week + timedelta(days=1), spent + 1, store="B")
        story.buys("came_on_wednesdays", week + timedelta(days=2), spent + 2)
    found = decomposition(story, SUNDAY, uncovered=uncovered)
    here, there, everywhere = (
        found[NOW, level, level_id] for level, level_id in (("store", "A"), ("store", "B"), ("hq", "hq"))
    )
    assert [days_of(row) for row in (here, there, everywhere)] == [(6, 1), (7, 0), (13, 1)]
    assert (here["buyers"], here["buyers_before"]) == (1, 1)
    assert (here["net_sales_amount"], here["net_sales_amount_before"]) == (42, 12)
    assert (there["net_sales_amount"], there["net_sales_amount_before"]) == (41, 11)
    assert (everywhere["net_sales_amount"], everywhere["net_sales_amount_before"]) == (83, 23)


def test_a_store_of_which_no_day_can_be_compared_is_in_no_row(story: Story) -> None:
    story.enrols("a_member", DAY_0)
    six = [("A", NOW + timedelta(days=number)) for number in range(6)]
    found = decomposition(story, SUNDAY, uncovered=six)
    assert days_of(found[NOW, "store", "A"]) == days_of(found[NOW, "region", "north"]) == (1, 6)
    found = decomposition(story, SUNDAY, uncovered=[*six, ("A", BEFORE + timedelta(days=6))])
    assert {key[1:] for key in found if key[0] == NOW} == {("store", "B"), ("region", "not_fed"), ("hq", "hq")}
    assert days_of(found[NOW, "hq", "hq"]) == (7, 7)


@pytest.mark.parametrize(("days", "before"), [(1, 1), (2, 3), (3, 7), (7, 127)])
def test_the_unfinished_week_is_held_against_the_same_days(story: Story, days: int, before: int) -> None:
    for number in range(7):
        story.buys("", BEFORE + timedelta(days=number), 2**number)
    story.enrols("a_member", DAY_0)
    row = decomposition(story, NOW + timedelta(days=days - 1))[NOW, "hq", "hq"]
    assert days_of(row) == (2 * days, 0)
    assert (row["net_sales_amount"], row["net_sales_amount_before"]) == (0, before)
    assert parts_of(row) == [0, 0, 0, 0, -before]


@pytest.mark.parametrize(
    ("as_of", "days"),
    [
        (BEFORE, None),  # Monday and Tuesday were not observed a week ago
        (BEFORE + timedelta(days=1), None),
        (BEFORE + timedelta(days=2), (1, 2)),
        (BEFORE + timedelta(days=6), (5, 2)),
    ],
)
def test_what_was_not_observed_yet_is_left_out(story: Story, as_of: date, days: tuple[int, int] | None) -> None:
    story.enrols("a_member", DAY_0)
    found = decomposition(story, as_of)
    assert {key for key in found if key[0] == FIRST} == set()
    assert (days_of(found[BEFORE, "store", "A"]) if found else None) == days


@pytest.mark.parametrize(("later", "compared"), [(363, 0), (364, 1), (365, 2)])
def test_the_same_week_of_last_year_is_52_weeks_ago(story: Story, later: int, compared: int) -> None:
    story.enrols("a_member", DAY_0)
    story.buys("a_member", DAY_0, 10)
    story.buys("a_member", day(364), 30)
    story.buys("a_member", day(365), 7)
    found = decomposition(story, day(later), "last_year")
    assert len(found) == (5 if compared else 0)
    if compared:
        row = found[date(2019, 1, 7), "store", "A"]
        assert row["compared_week_start"] == FIRST
        assert days_of(row) == (compared, 2)
        assert (row["net_sales_amount"], row["net_sales_amount_before"]) == (30 + 7 * (compared - 1), 10)


# -------------------------------------------------------------------------------------------------- channel mix


@pytest.mark.parametrize(
    ("channels", "mix"),
    [
        ([], "none"),
        (["app"], "app_only"),
        (["mini_program"], "app_only"),
        (["app", "mini_program"], "app_only"),
        (["store"], "store_only"),
        ([""], "store_only"),
        (["store", "app"], "both"),
        (["", "mini_program"], "both"),
    ],
)
def test_a_mix_is_what_all_channels_are(channels: list[str], mix: str) -> None:
    assert channel_mix(channels) == mix


def mixes(story: Story, as_of: date, week: date, **more: Any) -> dict[tuple[str, str, str], tuple[Any, ...]]:
    """By level and mix: members, money, money per member, of a week."""
    table = channel_mix_weekly(story.daily(as_of, **more), story.facts, story.store_frame)
    return {row[1:4]: row[4:] for row in rows_of(table) if row[0] == week}


@pytest.mark.parametrize(("ago", "mix"), [(363, "both"), (364, "both"), (365, "store_only"), (366, "store_only")])
def test_a_purchase_is_looked_at_for_365_days(story: Story, ago: int, mix: str) -> None:
    sunday = date(2019, 1, 20)
    story.enrols("once_used_the_app", DAY_0)
    story.buys("once_used_the_app", sunday - timedelta(days=ago), channel="app")
    story.buys("once_used_the_app", sunday, 10.01, channel="store")
    expected = (1, amount("10.01"), amount("10.01"))
    for as_of in (sunday, sunday + timedelta(days=1)):
        assert mixes(story, as_of, date(2019, 1, 14)) == {
            (level, level_id, mix): expected for level, level_id in (("store", "A"), ("region", "north"), ("hq", "hq"))
        }


@pytest.mark.parametrize(("returned", "mix"), [(-1, "store_only"), (0, "store_only"), (1, "both")])
def test_a_purchase_that_came_back_after_the_close_was_one_at_the_close(story: Story, returned: int, mix: str) -> None:
    name = "returned_what_the_app_sold"
    story.enrols(name, DAY_0)
    by_app = story.buys(name, NOW, 10, channel="app")
    story.buys(name, NOW, 4, channel="store")
    story.gives_back(name, by_app, NOW, SUNDAY + timedelta(days=returned), 10)
    as_of = SUNDAY + timedelta(days=2)
    net = amount("14" if returned == 1 else "4")
    assert mixes(story, as_of, NOW)["hq", "hq", mix] == (1, net, net)
    # in the week after there is only the money of the return, if that
    week_after = mixes(story, as_of, SUNDAY + timedelta(days=1))
    assert week_after.get(("hq", "hq", "store_only")) == ((0, amount("-10"), None) if returned == 1 else None)
    assert len(week_after) == (3 if returned == 1 else 0)


def test_who_only_gave_back_has_no_mix(story: Story) -> None:
    story.enrols("gave_back_what_nobody_knows", DAY_0)
    story.gives_back("gave_back_what_nobody_knows", "unknown", day(-9), NOW, 10)
    story.enrols("bought_and_gave_it_back", DAY_0)
    bought = story.buys("bought_and_gave_it_back", NOW, 5, channel="app")
    story.gives_back("bought_and_gave_it_back", bought, NOW, NOW, 3)
    assert mixes(story, SUNDAY, NOW)["hq", "hq", "none"] == (0, amount("-8"), None)
    # what cancels out is no row
    story.gives_back("bought_and_gave_it_back", "unknown", day(-9), NOW, -8)
    assert mixes(story, SUNDAY, NOW) == {}


def test_members_are_where_they_are_looked_after_and_money_where_it_was_spent(story: Story) -> None:
    story.enrols("of_A", DAY_0).enrols("of_A_too", DAY_0)
    story.buys("of_A", NOW, 10, store="B", channel="app")
    story.buys("of_A_too", NOW, 15.01, store="B", channel="app")
    found = mixes(story, SUNDAY, NOW)
    assert found == {
        ("store", "A", "app_only"): (2, amount("0"), amount("0")),
        ("store", "B", "app_only"): (0, amount("25.01"), None),
        ("region", "north", "app_only"): (2, amount("0"), amount("0")),
        ("region", "not_fed", "app_only"): (0, amount("25.01"), None),
        ("hq", "hq", "app_only"): (2, amount("25.01"), amount("12.51")),  # half a cent up
    }
    assert str(found["store", "A", "app_only"][2]) == "0.00"
    moved = pd.DataFrame([("of_A", "B", SUNDAY)], columns=["card_no", "service_store_id", "valid_from"])
    found = mixes(story, SUNDAY, NOW, member_assignments=moved)
    assert [found["store", store, "app_only"][0] for store in "AB"] == [1, 1]


def test_what_was_bought_before_the_enrolment_is_looked_at_and_what_does_not_qualify_is_not(story: Story) -> None:
    story.enrols("used_the_app_before_it_enrolled", NOW).enrols("bought_as_staff_by_app", DAY_0)
    story.buys("used_the_app_before_it_enrolled", BEFORE, channel="app")
    story.buys("used_the_app_before_it_enrolled", NOW, 10, channel="store")
    story.buys("bought_as_staff_by_app", NOW, 99, channel="app", is_staff_sale=True)
    story.buys("bought_as_staff_by_app", NOW, 99, channel="app", is_wholesale=True)
    story.gives_back("bought_as_staff_by_app", "unknown", day(-9), NOW, 1, channel="app")
    story.buys("bought_as_staff_by_app", NOW, 5)
    found = {mix: row for (level, _, mix), row in mixes(story, SUNDAY, NOW).items() if level == "hq"}
    assert found == {
        "both": (1, amount("10"), amount("10")),
        "store_only": (1, amount("4"), amount("4")),
    }


def test_the_unfinished_week_closes_with_the_as_of_date(story: Story) -> None:
    story.enrols("used_the_app_on_sunday", DAY_0)
    story.buys("used_the_app_on_sunday", NOW, channel="store")
    story.buys("used_the_app_on_sunday", SUNDAY, channel="mini_program")
    found = [set(mixes(story, as_of, NOW)) for as_of in (SUNDAY - timedelta(days=1), SUNDAY)]
    assert [{mix for *_, mix in keys} for keys in found] == [{"store_only"}, {"both"}]


def test_mixes_add_up_to_what_the_kpis_say(story: Story) -> None:
    for name in ("by_app", "both_ways", "closed_in_between", "marked_as_test"):
        story.enrols(name, DAY_0)
    story.enrols("came_later", NOW + timedelta(days=3), store="B")
    story.says("closed_in_between", "closed", NOW + timedelta(days=1)).says("marked_as_test", "test", NOW)
    for number in range(14):
        on = BEFORE + timedelta(days=number)
        for place, name in enumerate(("by_app", "both_ways", "closed_in_between", "marked_as_test", "came_later", "")):
            channel = "app" if name == "by_app" or number % 2 else "store"
            story.buys(name, on, 1 + number + place / 10, store="AB"[number % 2], channel=channel)
    story.gives_back("by_app", "unknown", day(-9), NOW, 4)
    said = kpis_of_weeks(story, SUNDAY)
    table = channel_mix_weekly(story.daily(SUNDAY), story.facts, story.store_frame)
    assert set(table["channel_mix"]) == {"app_only", "both"}
    for week in (FIRST, BEFORE, NOW):
        for level, level_id in (("store", "A"), ("store", "B"), ("region", "north"), ("hq", "hq")):
            kpis = said[week, level, level_id]
            here = table[(table["week_start"] == week) & (table["level_id"] == level_id)]
            assert sum(here["purchasing_members"]) == kpis["purchasing_members"]
            assert sum(here["net_sales_member_amount"]) * 100 == int(kpis["net_sales_member_cents"])


# -------------------------------------------------------------------------------------------------- reactivation

BACK = day(180)  # 9 July 2018, a Monday


def came_back(story: Story, as_of: date, **more: Any) -> list[tuple[Any, ...]]:
    return rows_of(reactivation_90d(story.daily(as_of, **more), story.facts))


@pytest.fixture
def returner(story: Story) -> Story:
    """It bought on day 0, and after 180 days again."""
    story.enrols("returner", DAY_0)
    story.buys("returner", DAY_0)
    story.buys("returner", BACK)
    return story


@pytest.mark.parametrize(("gap", "entrants"), [(179, 0), (180, 1), (181, 1), (365, 1), (700, 1)])
def test_who_comes_after_180_days_is_back(story: Story, gap: int, entrants: int) -> None:
    story.enrols("bought_twice", DAY_0).buys("bought_twice", DAY_0)
    story.buys("bought_twice", day(gap))
    story.buys("bought_twice", day(gap))  # twice on the day
    found = came_back(story, day(gap + 3))
    week = day(gap) - timedelta(days=day(gap).weekday())
    assert found == ([(week, "A", 1, 0, False, None)] if entrants else [])


@pytest.mark.parametrize(("later", "kept"), [(0, 0), (1, 1), (89, 1), (90, 1), (91, 0)])
def test_who_buys_again_within_90_days_is_kept(returner: Story, later: int, kept: int) -> None:
    returner.buys("returner", day(180 + later))
    assert came_back(returner, day(300)) == [(BACK, "A", 1, kept, True, amount(str(kept)))]


@pytest.mark.parametrize(("as_of", "is_final"), [(95, False), (96, True), (97, True)])
def test_reactivations_are_final_90_days_after_the_weeks_sunday(returner: Story, as_of: int, is_final: bool) -> None:
    for name in ("kept_at_once", "not_kept"):
        returner.enrols(name, DAY_0)
        returner.buys(name, DAY_0)
        returner.buys(name, BACK + timedelta(days=6))  # the week's Sunday
    returner.buys("kept_at_once", BACK + timedelta(days=7))
    rate = amount("0.333333") if is_final else None
    assert came_back(returner, BACK + timedelta(days=as_of)) == [(BACK, "A", 3, 1, is_final, rate)]


def test_an_entrant_enters_once_and_belongs_to_the_store_of_that_day(returner: Story) -> None:
    for number in (181, 185, 190):
        returner.buys("returner", day(number), store="B")
    moved = pd.DataFrame([("returner", "B", day(181))], columns=["card_no", "service_store_id", "valid_from"])
    assert came_back(returner, day(200), member_assignments=moved) == [(BACK, "A", 1, 1, False, None)]
    moved["valid_from"] = [BACK]
    assert came_back(returner, day(200), member_assignments=moved) == [(BACK, "B", 1, 1, False, None)]


def test_who_stayed_away_twice_enters_twice(returner: Story) -> None:
    returner.buys("returner", day(360))
    assert [row[:4] for row in came_back(returner, day(400))] == [(BACK, "A", 1, 0), (day(355), "A", 1, 0)]


@pytest.mark.parametrize(("enrolled", "entrants"), [(179, 1), (180, 1), (181, 0)])
def test_who_is_first_known_on_the_day_of_the_purchase_enters_on_it(story: Story, enrolled: int, entrants: int) -> None:
    story.enrols("had_the_card_before", day(enrolled))
    story.buys("had_the_card_before", DAY_0)
    story.buys("had_the_card_before", BACK)
    assert story.stage("had_the_card_before", day(181)) == "S07"
    assert sum(row[2] for row in came_back(story, day(185))) == entrants


@pytest.mark.parametrize(("unblocked", "entrants"), [(179, 1), (180, 1), (181, 0)])
def test_who_is_let_back_without_buying_does_not_enter(returner: Story, unblocked: int, entrants: int) -> None:
    returner.says("returner", "blocked", day(100)).says("returner", "unblocked", day(unblocked))
    assert sum(row[2] for row in came_back(returner, day(185))) == entrants


def test_an_entry_stays_one_when_it_came_back_later_and_what_kept_is_what_still_counts(story: Story) -> None:
    story.enrols("returned_it", DAY_0).buys("returned_it", DAY_0)
    entry = story.buys("returned_it", BACK)
    kept_by = story.buys("returned_it", day(190))
    story.gives_back("returned_it", entry, BACK, day(200))
    story.gives_back("returned_it", kept_by, day(190), day(210))
    assert [came_back(story, day(on))[0][2:4] for on in (195, 205, 209, 210, 300)] == [
        (1, 1),
        (1, 1),
        (1, 1),
        (1, 0),
        (1, 0),
    ]


def test_an_entry_that_came_back_the_same_day_never_was_and_a_new_one_is_another(story: Story) -> None:
    story.enrols("tried_again", DAY_0).buys("tried_again", DAY_0)
    same_day = story.buys("tried_again", BACK)
    story.gives_back("tried_again", same_day, BACK, BACK)
    next_day = story.buys("tried_again", day(181))
    assert came_back(story, day(181)) == [(BACK, "A", 1, 0, False, None)]
    story.gives_back("tried_again", next_day, day(181), day(182))
    story.buys("tried_again", day(184))
    # in the same week it went away and came again; the second entry keeps the first
    assert came_back(story, day(184)) == [(BACK, "A", 2, 1, False, None)]


# --------------------------------------------------------------------------------------------------- member days

NEW_YEAR = date(2018, 1, 1)  # a Monday
THURSDAY = date(2018, 2, 15)  # seven days before it is 8 February; the weeks of 29, 22, 15 and 8 January


def calendar(*rows: tuple[date, str] | tuple[date, str, str | None]) -> pd.DataFrame:
    """(date, name, scope) of each event."""
    return pd.DataFrame(
        [(row[0], "member_day", row[1], row[2] if len(row) == 3 else None) for row in rows],
        columns=["date", "event_type", "event_name", "scope"],
    )


def sells(story: Story, amounts_from: dict[date, float], store: str = "A") -> None:
    for on, spent in amounts_from.items():
        story.buys("", on, spent, store=store)


def effect(
    story: Story, events: pd.DataFrame, as_of: date, untold: Collection[tuple[str, date]] = ()
) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """By date, name and level: the columns from ``stores`` on."""
    table = member_day_effect(story.facts, story.store_frame, events, as_of, story.daily(as_of), untold)
    assert set(table["event_type"]) <= {"member_day"}
    return {(row[0], row[2], row[3], row[4]): row[5:] for row in rows_of(table)}


@pytest.fixture
def shop() -> Story:
    """From the first Monday of the year on, store A sells on Thursdays for 1, 2, 4, 8, 16, 32 and 64."""
    story = Story()
    story.buys("", NEW_YEAR, 0)
    sells(story, {NEW_YEAR + timedelta(days=3 + 7 * number): 2**number for number in range(7)})
    return story


@pytest.mark.parametrize(
    ("event", "weeks"),
    [
        (date(2018, 2, 4), None),  # of 28 January, a Sunday: the weeks of 15, 8 and 1 January only
        (date(2018, 2, 5), [22, 15, 8, 1]),
        (date(2018, 2, 11), [22, 15, 8, 1]),
        (date(2018, 2, 12), [29, 22, 15, 8]),
    ],
)
def test_the_four_weeks_end_before_the_seventh_day_before(event: date, weeks: list[int] | None) -> None:
    found = baseline_weeks(event, set(), NEW_YEAR)
    assert (None if found is None else [monday.day for monday in found]) == weeks


@pytest.mark.parametrize(("observed_from", "is_there"), [(31, True), (1, True), (2, False)])
def test_a_baseline_week_is_observed_from_its_monday(observed_from: int, is_there: bool) -> None:
    since = date(2017, 12, 31) if observed_from == 31 else date(2018, 1, observed_from)
    assert (baseline_weeks(date(2018, 2, 5), set(), since) is not None) is is_there


@pytest.mark.parametrize(("farthest", "is_there"), [(25, True), (26, True), (27, False)])
def test_quiet_weeks_are_searched_for_26_weeks(farthest: int, is_there: bool) -> None:
    event = date(2019, 3, 14)
    monday = date(2019, 3, 4)  # of 7 March
    quiet = {monday - timedelta(days=7 * number) for number in (1, 2, 24, farthest)}
    every = {monday - timedelta(days=7 * number) for number in range(1, 60)}
    busy = {start + timedelta(days=number % 7) for number, start in enumerate(sorted(every - quiet))}
    found = baseline_weeks(event, busy, NEW_YEAR)
    assert found == (sorted(quiet, reverse=True) if is_there else None)


def test_a_week_with_a_day_that_nobody_told_of_is_in_no_baseline(shop: Story) -> None:
    sells(shop, {THURSDAY: 0.5})
    events = calendar((THURSDAY, "the day"))
    of_the_store = (THURSDAY, "the day", "store", "A")
    whole = effect(shop, events, THURSDAY)[of_the_store][2]
    # 29 January to 4 February sold 16 on its Thursday; the week of 1 January, with 1, stands in for it
    missing = {("A", date(2018, 1, 30))}
    assert effect(shop, events, THURSDAY, missing)[of_the_store][2] == whole - amount("3.75")
    assert of_the_store not in effect(shop, events, THURSDAY, missing | {("A", date(2018, 1, 1))})
    assert of_the_store not in effect(shop, events, THURSDAY, {("A", THURSDAY)})


def test_an_event_is_held_against_the_same_weekday_of_four_weeks(shop: Story) -> None:
    # the Thursdays of 11, 18, 25 January and 1 February sold 2, 4, 8, 16: 7.50. The day sold 64, 56.50 more.
    # The days before it hold 8 February, which sold 32: 24.50 more. After it there is nothing: 7.50 less
    sells(shop, {THURSDAY - timedelta(days=1): 0.25, THURSDAY + timedelta(days=7): 7.25})
    more = (1, amount("64"), amount("7.5"), amount("8.533333"), amount("56.5"), amount("24.75"))
    events = calendar((THURSDAY, "the day"))
    for later, told in (
        (6, (None, None, False)),
        (7, (amount("-0.25"), amount("81"), True)),
        (8, (amount("-0.25"), amount("81"), True)),
    ):
        found = effect(shop, events, THURSDAY + timedelta(days=later))
        assert found[THURSDAY, "the day", "store", "A"] == more + told
        # the other store sold nothing, on that day as always
        nothing = (amount("0"), None if told[0] is None else amount("0"), None if told[1] is None else amount("0"))
        assert found[THURSDAY, "the day", "store", "B"] == (
            (1, amount("0"), amount("0"), None, amount("0")) + nothing + (told[2],)
        )
        assert found[THURSDAY, "the day", "hq", "hq"] == (2, *more[1:], *told)
        assert len(found) == 5


def test_amounts_are_rounded_once_half_away_from_zero(shop: Story) -> None:
    # 30.02 / 4 = 7.505; of 3.00 it is 4.505 more than was sold; and what is missing after it is 7.505 again
    sells(shop, {date(2018, 2, 1): 0.02, THURSDAY: -61})
    found = effect(shop, calendar((THURSDAY, "the day")), THURSDAY + timedelta(days=7))
    _, net, usual, ratio, extra, before, after, total, _ = found[THURSDAY, "the day", "store", "A"]
    assert [net, usual, extra] == amounts("3", "7.51", "-4.51")
    assert ratio == amount("0.399734")  # 3 / 7.505 = 0.3997335
    assert [before, after] == amounts("24.5", "-7.51")  # 32 − 7.505 = 24.495
    assert total == amount("12.49")  # −4.505 + 24.495 − 7.505 = 12.485


@pytest.mark.parametrize(
    ("other", "usual"),
    [
        (date(2018, 1, 14), "7.25"),  # Sunday of the first of the four weeks: (16 + 8 + 4 + 1) / 4
        (date(2018, 1, 15), "6.75"),  # (16 + 8 + 2 + 1) / 4
        (date(2018, 1, 21), "6.75"),
        (date(2018, 1, 22), "5.75"),  # (16 + 4 + 2 + 1) / 4
        (date(2018, 2, 4), "3.75"),  # (8 + 4 + 2 + 1) / 4
        (date(2018, 2, 5), "7.5"),  # in the week of the seventh day before
        (date(2018, 2, 14), "7.5"),
    ],
)
def test_a_week_with_another_event_is_no_baseline(shop: Story, other: date, usual: str) -> None:
    found = effect(shop, calendar((THURSDAY, "the day"), (other, "another")), THURSDAY)
    assert found[THURSDAY, "the day", "store", "A"][2] == amount(usual)
    # one for another region is not in the way
    found = effect(shop, calendar((THURSDAY, "the day"), (other, "another", "south")), THURSDAY)
    assert found[THURSDAY, "the day", "store", "A"][2] == amount("7.5")
    assert {key[1] for key in found} == {"the day"}


def test_a_store_with_three_weeks_takes_no_part(shop: Story) -> None:
    quiet = calendar((THURSDAY, "the day"), (date(2018, 1, 20), "another", "A"))
    busy = calendar((THURSDAY, "the day"), (date(2018, 1, 20), "another", "A"), (date(2018, 1, 3), "New Year", "A"))
    with_both, with_one = (
        {key[2:]: row[0] for key, row in effect(shop, events, THURSDAY).items() if key[1] == "the day"}
        for events in (quiet, busy)
    )
    assert with_both == {
        ("store", "A"): 1,
        ("store", "B"): 1,
        ("region", "north"): 1,
        ("region", "not_fed"): 1,
        ("hq", "hq"): 2,
    }
    assert with_one == {("store", "B"): 1, ("region", "not_fed"): 1, ("hq", "hq"): 1}


@pytest.mark.parametrize(
    ("scopes", "covered"),
    [
        ([None], "AB"),
        ([""], "AB"),
        ([float("nan")], "AB"),
        (["north"], "A"),
        (["A"], "A"),
        (["B"], "B"),
        (["north", "B"], "AB"),
        (["north", "A"], "A"),
        (["south"], ""),
        (["not_fed"], ""),
    ],
)
def test_an_event_is_for_everywhere_a_region_or_a_store(shop: Story, scopes: list[Any], covered: str) -> None:
    events = calendar(*((THURSDAY, "the day", scope) for scope in scopes))
    found = effect(shop, events, THURSDAY)
    assert "".join(sorted(level_id for _, _, level, level_id in found if level == "store")) == covered
    if covered:
        assert found[THURSDAY, "the day", "hq", "hq"][0] == len(covered)
        assert found[THURSDAY, "the day", "hq", "hq"][1] == amount("64" if "A" in covered else "0")


@pytest.mark.parametrize(("as_of", "is_there"), [(-1, False), (0, True), (1, True)])
def test_an_event_has_a_row_from_its_day_on(shop: Story, as_of: int, is_there: bool) -> None:
    found = effect(shop, calendar((THURSDAY, "the day")), THURSDAY + timedelta(days=as_of))
    assert bool(found) is is_there


def test_two_events_of_a_day_are_told_apart(shop: Story) -> None:
    events = calendar((THURSDAY, "one", "A"), (THURSDAY, "two", "B"))
    found = effect(shop, events, THURSDAY)
    assert {key[1:] for key in found if key[2] == "store"} == {("one", "store", "A"), ("two", "store", "B")}


def test_sales_are_the_kpis_net_sales(shop: Story) -> None:
    shop.enrols("a_member", NEW_YEAR).enrols("a_test_card", NEW_YEAR)
    shop.says("a_test_card", "test", THURSDAY)
    shop.buys("a_member", THURSDAY, 100, is_staff_sale=True)
    shop.buys("a_member", THURSDAY, 200, is_wholesale=True)
    shop.gives_back("a_member", "unknown", day(-9), THURSDAY, 9)
    shop.buys("a_test_card", THURSDAY, 1000)
    found = effect(shop, calendar((THURSDAY, "the day")), THURSDAY)
    assert found[THURSDAY, "the day", "hq", "hq"][1] == amount("355")  # 64 + 100 + 200 − 9


# ------------------------------------------------------------------------------------------------------- nothing


def test_without_anybody_there_are_columns_and_no_rows() -> None:
    nobody = Story()
    as_of = day(3)
    daily, facts, stores = nobody.daily(as_of), nobody.facts, nobody.store_frame
    for table, columns in (
        (sales_decomposition_weekly(daily, facts, stores, set()), 21),
        (channel_mix_weekly(daily, facts, stores), 7),
        (reactivation_90d(daily, facts), 6),
        (member_day_effect(facts, stores, calendar((DAY_0, "the day")), as_of, daily, set()), 14),
    ):
        assert (len(table), len(table.columns)) == (0, columns)
