"""The reference against histories small enough to check by hand: the boundaries, at n−1, n and n+1."""

from __future__ import annotations

from datetime import date, timedelta
from fractions import Fraction

import pandas as pd
import pytest

from .day_by_day import (
    BECOMES_VALID,
    CEASES_TO_BE,
    OPEN_END,
    adaptive_by_day,
    band_at,
    band_edges,
    intervals,
    kpi_weekly,
    percentile_80_cents,
    stage_migration_weekly,
    stage_mix_weekly,
    stocktake_weekly,
    week_is_complete,
)
from .stories import DAY_0, Story, day


@pytest.fixture
def bought_once() -> Story:
    story = Story().enrols("m", DAY_0)
    story.buys("m", DAY_0)
    return story


# ------------------------------------------------------------------------------------- recency boundaries


@pytest.mark.parametrize(
    ("days_since", "stage"),
    [
        (0, "S03"),
        (89, "S03"),
        (90, "S08"),
        (91, "S08"),
        (179, "S08"),
        (180, "S09"),
        (181, "S09"),
        (364, "S09"),
        (365, "S10"),
        (366, "S10"),
    ],
)
def test_a_single_purchase_ages(bought_once: Story, days_since: int, stage: str) -> None:
    assert bought_once.stage("m", day(days_since)) == stage


def test_day_365_counts_days_across_29_february() -> None:
    story = Story().enrols("m", date(2019, 6, 1))
    story.buys("m", date(2019, 6, 1))
    assert story.stage("m", date(2020, 5, 30)) == "S09"  # 364 days: the year holds a 29 February
    assert story.stage("m", date(2020, 5, 31)) == "S10"


def test_a_purchase_on_29_february_is_a_day_like_any_other() -> None:
    story = Story().enrols("m", date(2020, 2, 28))
    for on in (date(2020, 2, 28), date(2020, 2, 29), date(2020, 3, 1)):
        story.buys("m", on)
    today = story.daily(date(2020, 3, 1)).iloc[-1]
    assert (today["n"], today["n365"], today["r"]) == (3, 3, 0)


@pytest.mark.parametrize(("gap", "stage"), [(90, "S04"), (179, "S04"), (180, "S07"), (181, "S07")])
def test_a_second_purchase_after_a_gap(bought_once: Story, gap: int, stage: str) -> None:
    bought_once.buys("m", day(gap))
    assert bought_once.stage("m", day(gap)) == stage


@pytest.mark.parametrize(("days_after", "stage"), [(0, "S07"), (89, "S07"), (90, "S04"), (91, "S04")])
def test_reactivated_for_90_days_after_the_gap(bought_once: Story, days_after: int, stage: str) -> None:
    bought_once.buys("m", day(200))
    bought_once.buys("m", day(250))
    assert bought_once.stage("m", day(200 + days_after)) == stage


def test_reactivated_counts_from_the_latest_long_gap(bought_once: Story) -> None:
    bought_once.buys("m", day(200))
    bought_once.buys("m", day(400))
    assert bought_once.path("m", day(500)) == [
        ("S03", day(0)),
        ("S08", day(90)),
        ("S09", day(180)),
        ("S07", day(200)),
        ("S08", day(290)),
        ("S09", day(380)),
        ("S07", day(400)),
        ("S08", day(490)),
    ]


def test_churned_then_returned(bought_once: Story) -> None:
    bought_once.buys("m", day(370))
    assert bought_once.path("m", day(372))[-2:] == [("S10", day(365)), ("S07", day(370))]


# -------------------------------------------------------------------------------------- enrolment, exclusion


def test_enrolled_without_a_purchase_stays_s02() -> None:
    story = Story().enrols("m", DAY_0)
    story.buys("", DAY_0)
    assert story.path("m", day(400)) == [("S02", DAY_0)]


def test_before_enrolment_there_is_no_stage_but_the_purchase_is_remembered() -> None:
    story = Story().enrols("m", day(10))
    story.buys("m", DAY_0)
    story.buys("m", day(10))
    assert story.stage("m", day(9), as_of=day(10)) is None
    assert story.stage("m", day(10)) == "S04"


def test_enrolled_at_half_past_midnight_belongs_to_the_day_before_when_the_cut_off_is_four() -> None:
    story = Story()
    story.enrolments.append({"card_no": "m", "store_id": "A", "enrolled_at": "2018-01-10T00:30:00"})
    story.enrolments.append({"card_no": "z", "store_id": "A", "enrolled_at": "2018-01-09T20:30:00+00:00"})
    story.buys("m", DAY_0)
    daily = story.daily(DAY_0)
    assert daily.groupby("card_no")["day"].min().to_dict() == {"m": date(2018, 1, 9), "z": date(2018, 1, 10)}


@pytest.mark.parametrize(("out", "back"), [("closed", "reopened"), ("blocked", "unblocked"), ("staff", "not_staff")])
def test_excluded_from_the_day_it_is_said_until_the_day_it_is_lifted(bought_once: Story, out: str, back: str) -> None:
    bought_once.says("m", out, day(5)).says("m", back, day(8))
    assert bought_once.path("m", day(10)) == [("S03", day(0)), ("X", day(5)), ("S03", day(8))]


def test_two_reasons_for_exclusion_need_both_lifted(bought_once: Story) -> None:
    bought_once.says("m", "closed", day(5)).says("m", "blocked", day(6)).says("m", "reopened", day(7))
    assert bought_once.stage("m", day(9)) == "X"


def test_a_test_card_is_excluded_for_good(bought_once: Story) -> None:
    bought_once.says("m", "test", day(2)).says("m", "reopened", day(3))
    assert bought_once.path("m", day(9)) == [("S03", day(0)), ("X", day(2))]


# -------------------------------------------------------------------------------------------- purchase days


def test_first_purchase_refunded() -> None:
    story = Story().enrols("m", date(2018, 1, 2))
    receipt = story.buys("m", date(2018, 1, 5))
    story.gives_back("m", receipt, date(2018, 1, 5), date(2018, 1, 20))
    assert story.path("m", date(2018, 2, 1)) == [
        ("S02", date(2018, 1, 2)),
        ("S03", date(2018, 1, 5)),
        ("S02", date(2018, 1, 20)),
    ]


def test_after_a_refund_the_first_purchase_is_the_next_surviving_one() -> None:
    story = Story().enrols("m", DAY_0)
    receipt = story.buys("m", DAY_0)
    story.buys("m", day(3))
    story.gives_back("m", receipt, DAY_0, day(6))
    assert story.path("m", day(9)) == [("S03", day(0)), ("S04", day(3)), ("S03", day(6))]


@pytest.mark.parametrize(("returned", "stage"), [(1, "S03"), (2, "S03"), (3, "S02")])
def test_a_receipt_qualifies_until_all_its_units_came_back(returned: int, stage: str) -> None:
    story = Story().enrols("m", DAY_0)
    receipt = story.buys("m", DAY_0, units=3)
    for i in range(returned):
        story.gives_back("m", receipt, DAY_0, day(1 + i), amount=3)
    assert story.stage("m", day(20)) == stage


def test_bags_and_gifts_are_not_units() -> None:
    story = Story().enrols("m", DAY_0)
    bag = {"quantity": 5, "net_amount": 2.5, "is_merchandise": False}
    story.buys("m", DAY_0, lines=[bag])
    receipt = story.buys("m", day(1), lines=[{"quantity": 1, "net_amount": 10}, bag])
    story.gives_back("m", receipt, day(1), day(4))
    assert story.path("m", day(5)) == [("S02", day(0)), ("S03", day(1)), ("S02", day(4))]
    assert story.daily(day(3)).iloc[-1]["spend365_cents"] == 1000


def test_a_voided_receipt_has_never_been() -> None:
    story = Story().enrols("m", DAY_0)
    story.voids(story.buys("m", day(1), amount=99), day(1))
    assert story.path("m", day(5)) == [("S02", day(0))]
    assert story.daily(day(5)).iloc[-1]["spend365_cents"] == 0


def test_a_voided_return_gives_the_purchase_back() -> None:
    story = Story().enrols("m", DAY_0)
    receipt = story.buys("m", DAY_0)
    story.voids(story.gives_back("m", receipt, DAY_0, day(3)), day(3))
    assert story.path("m", day(5)) == [("S03", day(0))]


@pytest.mark.parametrize("kind", ["is_training", "is_staff_sale", "is_wholesale"])
def test_training_staff_and_wholesale_receipts_are_no_purchase_and_no_spend(kind: str) -> None:
    story = Story().enrols("m", DAY_0)
    story.buys("m", day(1), **{kind: True})
    today = story.daily(day(1)).iloc[-1]
    assert (today["stage_code"], today["spend365_cents"]) == ("S02", 0)


def test_a_receipt_without_units_is_money_but_no_purchase_day() -> None:
    story = Story().enrols("m", DAY_0)
    story.buys("m", day(1), units=0, amount=7)
    today = story.daily(day(1)).iloc[-1]
    assert (today["stage_code"], today["spend365_cents"]) == ("S02", 700)


def test_an_exchange_is_no_purchase_day_and_the_original_survives() -> None:
    story = Story().enrols("m", DAY_0)
    story.buys("m", DAY_0, amount=20)
    story.exchanges("m", day(3), given=20, taken=25)
    today = story.daily(day(3)).iloc[-1]
    assert (today["n"], today["r"], today["spend365_cents"]) == (1, 3, 2500)


def test_an_unlinked_return_is_money_only() -> None:
    story = Story().enrols("m", DAY_0)
    story.buys("m", DAY_0)
    story.gives_back("m", "no such receipt", DAY_0, day(1), amount=4)
    today = story.daily(day(1)).iloc[-1]
    assert (today["stage_code"], today["spend365_cents"]) == ("S03", 600)


def test_two_receipts_on_a_day_are_one_purchase_day() -> None:
    story = Story().enrols("m", DAY_0)
    first = story.buys("m", DAY_0)
    story.buys("m", DAY_0)
    assert story.daily(DAY_0).iloc[-1]["n"] == 1
    story.gives_back("m", first, DAY_0, day(2))
    assert story.stage("m", day(2)) == "S03"


def test_the_higher_revision_of_a_receipt_wins() -> None:
    story = Story().enrols("m", DAY_0)
    number = story.buys("m", DAY_0, revision=1)
    story.receipts.append(story.receipts[-1] | {"revision": 0, "is_training": True})
    assert story.stage("m", DAY_0) == "S03"
    story.receipts.append(story.receipts[-1] | {"revision": 2, "receipt_no": number})
    assert story.stage("m", DAY_0) == "S02"


def test_spend_leaves_after_365_days() -> None:
    story = Story().enrols("m", DAY_0)
    story.buys("m", DAY_0, amount=12.34)
    spend = story.daily(day(365)).set_index("day")["spend365_cents"]
    assert (spend[day(364)], spend[day(365)]) == (1234, 0)


# --------------------------------------------------------------------------------- growing, active and loyal


@pytest.fixture
def loyal_line_at_42() -> Story:
    """In Q1 2019 the line stands at the 80th percentile of a, b, c, d, e: 10, 20, 30, 40, 50 → 42.00."""
    story = Story()
    for card, amount in zip("abcde", (10, 20, 30, 40, 50), strict=True):
        story.enrols(card, date(2018, 11, 1))
        story.buys(card, date(2018, 11, 1), amount=amount)
    return story


def test_the_loyal_line_is_drawn_the_day_before_the_quarter(
    loyal_line_at_42: Story,
) -> None:
    daily = loyal_line_at_42.daily(date(2019, 4, 1))
    line = daily.drop_duplicates("day").set_index("day")["loyal_threshold_cents"]
    assert pd.isna(line[date(2018, 12, 31)])
    assert line[date(2019, 1, 1)] == line[date(2019, 3, 31)] == line[date(2019, 4, 1)] == 4200


@pytest.mark.parametrize(("spend", "stage"), [(41.99, "S05"), (42.00, "S06"), (42.01, "S06")])
def test_loyal_at_the_line(loyal_line_at_42: Story, spend: float, stage: str) -> None:
    story = loyal_line_at_42.enrols("m", date(2019, 1, 2))
    for number in range(4):
        story.buys("m", date(2019, 1, 2 + number), amount=1)
    story.buys("m", date(2019, 1, 5), amount=round(spend - 4, 2))
    assert story.stage("m", date(2019, 1, 5)) == stage


def test_loyal_ends_where_the_next_quarters_line_is_higher(
    loyal_line_at_42: Story,
) -> None:
    story = loyal_line_at_42.enrols("m", date(2019, 1, 2))
    for number in range(4):
        story.buys("m", date(2019, 3, 27 + number), amount=11)
    for card in "abcde":
        story.buys(card, date(2019, 3, 30), amount=100)
    assert story.path("m", date(2019, 4, 2))[-2:] == [("S06", date(2019, 3, 30)), ("S05", date(2019, 4, 1))]


def test_the_excluded_do_not_draw_the_line(loyal_line_at_42: Story) -> None:
    story = loyal_line_at_42.says("e", "staff", date(2018, 12, 31))
    daily = story.daily(date(2019, 1, 1))
    assert daily["loyal_threshold_cents"].iloc[-1] == 3400  # of 10, 20, 30, 40: 30 + 0.4 × 10


def test_a_frozen_line_is_taken_as_given(loyal_line_at_42: Story) -> None:
    daily = loyal_line_at_42.daily(date(2019, 1, 1), frozen_thresholds={date(2019, 1, 1): 999})
    assert daily["loyal_threshold_cents"].iloc[-1] == 999


def test_nobody_is_loyal_before_anybody_bought() -> None:
    story = Story().enrols("m", date(2019, 1, 1))
    for number in range(5):
        story.buys("m", date(2019, 1, 1 + number), amount=1000)
    assert story.path("m", date(2019, 1, 6)) == [
        ("S03", date(2019, 1, 1)),
        ("S04", date(2019, 1, 2)),
        ("S05", date(2019, 1, 4)),
    ]


@pytest.mark.parametrize(("purchase_days", "stage"), [(3, "S04"), (4, "S05"), (5, "S05")])
def test_active_from_the_fourth_purchase_day_in_365(purchase_days: int, stage: str) -> None:
    story = Story().enrols("m", DAY_0)
    for number in range(purchase_days):
        story.buys("m", day(number))
    assert story.stage("m", day(purchase_days)) == stage


@pytest.mark.parametrize(("days_after_first", "stage"), [(363, "S05"), (364, "S05"), (365, "S04")])
def test_active_ends_when_the_fourth_purchase_day_leaves_the_365(days_after_first: int, stage: str) -> None:
    story = Story().enrols("m", DAY_0).enrols("spends more", DAY_0)
    story.buys("spends more", DAY_0, amount=9999)
    for number in (0, 150, 290, 300):
        story.buys("m", day(number))
    assert story.stage("m", day(days_after_first)) == stage


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], None),
        ([700], 700),
        ([0, 1], 1),
        ([0, 2], 2),
        ([100, 200], 180),
        ([-3, 0], -1),
        ([5, 4, 3, 2, 1], 4),
    ],
)
def test_percentile_interpolates_and_rounds_half_away_from_zero(values: list[int], expected: int | None) -> None:
    assert percentile_80_cents(values) == expected


# ------------------------------------------------------------------------------------- intervals and weeks


def test_intervals_join_equal_days_and_leave_the_last_one_open(bought_once: Story) -> None:
    rows = intervals(bought_once.daily(day(100)))
    assert rows.to_numpy().tolist() == [["m", "S03", day(0), day(90)], ["m", "S08", day(90), OPEN_END]]


MONDAY = date(2018, 1, 8)


def test_mix_and_migration_of_a_finished_and_an_unfinished_week() -> None:
    story = Story().enrols("m", MONDAY).enrols("late", MONDAY + timedelta(days=8), store="B")
    story.buys("m", MONDAY + timedelta(days=7))
    daily = story.daily(MONDAY + timedelta(days=9))
    mix = stage_mix_weekly(daily).to_numpy().tolist()
    assert mix == [
        [MONDAY, "A", "S02", 1],
        [MONDAY + timedelta(days=7), "A", "S03", 1],
        [MONDAY + timedelta(days=7), "B", "S02", 1],
    ]
    assert stage_migration_weekly(daily).to_numpy().tolist() == [
        [MONDAY, "NEW", "S02", 1],
        [MONDAY + timedelta(days=7), "NEW", "S02", 1],
        [MONDAY + timedelta(days=7), "S02", "S03", 1],
    ]


@pytest.fixture
def two_stores_two_weeks() -> Story:
    story = Story().enrols("a", MONDAY).enrols("b", MONDAY, store="B").enrols("c", MONDAY + timedelta(days=9))
    story.buys("a", MONDAY, amount=10)
    receipt = story.buys("b", MONDAY + timedelta(days=7), amount=20, store="A")
    story.buys("", MONDAY + timedelta(days=8), amount=5, store="B")
    story.gives_back("b", receipt, MONDAY + timedelta(days=7), MONDAY + timedelta(days=10), amount=20, store="A")
    story.buys("c", MONDAY + timedelta(days=8), amount=7)  # a day before the enrolment: not a member's sale
    story.says("a", "closed", MONDAY + timedelta(days=11))
    return story


def test_members_count_where_they_are_served_and_money_where_it_is_sold(
    two_stores_two_weeks: Story,
) -> None:
    second = two_stores_two_weeks.kpi(MONDAY + timedelta(days=13)).set_index(["level", "level_id"])
    expected = {
        ("store", "A"): (1, 1, 1, 1, 1, 1, 2, 1, 2700, 700, 1),
        ("store", "B"): (1, 0, 1, 0, 0, 0, 1, 0, 500, 500, 0),
        ("region", "north"): (1, 1, 1, 1, 1, 1, 2, 1, 2700, 700, 1),
        ("region", "not_fed"): (1, 0, 1, 0, 0, 0, 1, 0, 500, 500, 0),
        ("hq", "hq"): (2, 1, 2, 1, 1, 1, 3, 1, 3200, 1200, 1),
    }
    columns = [
        "opening_members",
        "new_members",
        "closing_members",
        "churn_base",
        "churned_closed",
        "purchasers_365",
        "sale_receipts",
        "sale_receipts_member",
        "sale_net_cents",
        "net_sales_cents",
        "purchasing_members",
    ]
    got = {key: tuple(int(row[column]) for column in columns) for key, row in second.iterrows()}
    assert got == expected
    hq = second.loc[("hq", "hq")]
    assert hq["growth_rate"] == 0.5
    assert hq["days_elapsed"] == 7
    assert pd.isna(hq["churned_lapse"])
    assert pd.isna(hq["churn_rate"])


@pytest.mark.parametrize(("days_before", "known"), [(364, False), (365, True), (366, True)])
def test_churn_is_known_after_a_year_of_data_before_the_week(days_before: int, known: bool) -> None:
    monday = date(2019, 1, 7)
    story = Story().enrols("m", monday - timedelta(days=days_before))
    story.buys("m", monday - timedelta(days=days_before))
    last = story.kpi(monday + timedelta(days=6)).iloc[-1]
    assert pd.notna(last["churned_lapse"]) == known
    assert pd.isna(last["churned_12m"])


def test_a_lapse_counts_in_the_week_that_reaches_day_365_even_when_the_member_returns() -> None:
    story = Story().enrols("lapses", DAY_0).enrols("returns", DAY_0).enrols("closes", DAY_0).enrols("saved", DAY_0)
    story.buys("", day(-7))  # more than a year of data
    for card in ("lapses", "returns", "closes", "saved"):
        story.buys(card, DAY_0)
    story.buys("returns", day(367))
    story.says("closes", "closed", day(364))
    story.buys("saved", day(364))
    week = story.kpi(day(368)).iloc[-1]
    assert week["week_start"] <= day(363)  # everything happens within this week
    assert (week["churn_base"], week["churned_lapse"], week["churned_closed"]) == (4, 2, 1)
    assert week["churn_rate"] == pytest.approx(0.75)


@pytest.mark.parametrize(("days_before_sunday", "lapsed"), [(364, 0), (365, 1), (366, 1), (371, 1), (372, 0)])
def test_a_lapse_at_the_edges_of_the_week(days_before_sunday: int, lapsed: int) -> None:
    sunday = date(2020, 3, 8)
    story = Story().enrols("m", date(2019, 3, 1))
    story.buys("", date(2019, 2, 1))  # more than a year of data
    story.buys("m", sunday - timedelta(days=days_before_sunday))
    hq = story.kpi(sunday).iloc[-1]
    assert (hq["churned_lapse"], hq["churn_base"]) == (lapsed, 0 if days_before_sunday == 372 else 1)


def test_a_return_after_the_close_leaves_the_weeks_purchasers_alone() -> None:
    story = Story().enrols("m", MONDAY)
    receipt = story.buys("m", MONDAY)
    story.gives_back("m", receipt, MONDAY, MONDAY + timedelta(days=7))
    kpi = kpi_weekly(story.daily(MONDAY + timedelta(days=8)), story.facts, story.store_frame)
    hq = kpi[kpi["level"] == "hq"]
    assert hq[["purchasing_members", "purchasers_365"]].to_numpy().tolist() == [[1, 1], [0, 0]]


def test_twelve_month_churn_opens_a_year_before_the_close() -> None:
    story = Story().enrols("m", DAY_0).enrols("k", DAY_0)
    story.buys("", DAY_0)  # the first day of any data
    story.buys("m", day(1))
    story.buys("k", day(300))
    story.buys("k", day(600))
    before, after = story.kpi(day(728)), story.kpi(day(729))
    assert pd.isna(before.iloc[-1]["churn_base_12m"])
    # on day 364 both had bought within a year; m's purchase turns 365 days old on day 366
    assert (after.iloc[-1]["churn_base_12m"], after.iloc[-1]["churned_12m"]) == (2, 1)


def test_staff_and_wholesale_are_in_store_sales_only_and_a_test_card_nowhere() -> None:
    story = Story().enrols("m", MONDAY).enrols("s", MONDAY).enrols("t", MONDAY)
    story.says("s", "staff", MONDAY).says("t", "test", MONDAY)
    for card, amount in (("m", 1), ("s", 10), ("t", 100)):
        story.buys(card, MONDAY, amount=amount)
    story.buys("m", MONDAY, amount=1000, is_wholesale=True)
    story.buys("m", MONDAY, amount=10000, is_training=True)
    hq = story.kpi(MONDAY).iloc[-1]
    assert (hq["net_sales_cents"], hq["net_sales_member_cents"]) == (101100, 100)
    assert (hq["sale_receipts"], hq["sale_receipts_member"]) == (2, 1)


def test_a_week_is_complete_when_every_open_store_landed_every_day() -> None:
    stores = pd.DataFrame(Story().stores)
    closures = pd.DataFrame([{"store_id": "B", "closed_from": MONDAY, "closed_to": MONDAY}])
    days = [MONDAY + timedelta(days=i) for i in range(7)]
    landed = {("A", MONDAY)} | {("all", d) for d in days[1:]}
    assert week_is_complete(MONDAY, landed, stores, closures, as_of=days[6])
    assert not week_is_complete(MONDAY, landed, stores, closures.iloc[:0], as_of=days[6])
    assert not week_is_complete(MONDAY, landed - {("all", days[3])}, stores, closures, as_of=days[6])
    assert not week_is_complete(MONDAY, landed, stores, closures, as_of=days[5])


# ------------------------------------------------------------------------------------- stores and the stocktake


NEXT_MONDAY = MONDAY + timedelta(days=7)


def assigned(*rows: tuple[str, str, date]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["card_no", "service_store_id", "valid_from"])


def stocktake_of(story: Story, as_of: date, assignments: pd.DataFrame | None = None) -> dict[str, dict[str, int]]:
    """By store the week's lines that are not 0."""
    daily = story.daily(as_of, member_assignments=assignments)
    table = stocktake_weekly(daily, story.store_frame, since=NEXT_MONDAY)
    rows = table[table["week_start"] == NEXT_MONDAY].set_index("store_id").drop(columns="week_start")
    return {str(store): {name: int(n) for name, n in row.items() if n} for store, row in rows.iterrows()}


def test_a_transfer_takes_a_member_to_its_new_store_from_its_day_on() -> None:
    story = Story().enrols("m", DAY_0)
    story.buys("", DAY_0)
    moved = assigned(("m", "B", NEXT_MONDAY + timedelta(days=2)))
    daily = story.daily(NEXT_MONDAY + timedelta(days=6), member_assignments=moved)
    assert daily.groupby("service_store_id")["day"].min()["B"] == NEXT_MONDAY + timedelta(days=2)
    assert stocktake_of(story, NEXT_MONDAY + timedelta(days=6), moved) == {
        "A": {"opening": 1, "transfer_out": 1},
        "B": {"transfer_in": 1, "closing": 1},
    }
    kpi = kpi_weekly(daily, story.facts, story.store_frame, since=NEXT_MONDAY).set_index("level_id")
    assert (kpi.loc["A", "opening_members"], kpi.loc["B", "opening_members"]) == (1, 0)
    assert (kpi.loc["A", "closing_members"], kpi.loc["B", "closing_members"]) == (0, 1)


def test_of_assignments_the_newest_by_its_own_date_counts() -> None:
    story = Story().enrols("m", DAY_0)
    moves = assigned(("m", "B", day(9)), ("m", "A", day(3)))
    daily = story.daily(day(12), member_assignments=moves)
    assert daily.set_index("day")["service_store_id"].loc[[day(2), day(3), day(9), day(12)]].tolist() == [*"AABB"]


def test_the_stocktake_is_gross_and_day_by_day() -> None:
    story = Story().enrols("left and came back", DAY_0).enrols("staff", DAY_0).enrols("new", NEXT_MONDAY)
    story.says("left and came back", "closed", NEXT_MONDAY).says(
        "left and came back", "reopened", NEXT_MONDAY + timedelta(days=3)
    )
    story.says("staff", "staff", NEXT_MONDAY + timedelta(days=1)).says(
        "staff", "not_staff", NEXT_MONDAY + timedelta(days=2)
    )
    story.enrols("never counted", NEXT_MONDAY).says("never counted", "test", NEXT_MONDAY)
    assert stocktake_of(story, NEXT_MONDAY + timedelta(days=6)) == {
        "A": {
            "opening": 2,
            "enrolled": 1,
            "reopened": 1,
            "included": 1,
            "closed": 1,
            "excluded": 1,
            "closing": 3,
        },
        "B": {},
    }


def test_the_stocktake_adds_up() -> None:
    story = (
        Story()
        .enrols("m", DAY_0)
        .enrols("k", NEXT_MONDAY, store="B")
        .says("k", "blocked", NEXT_MONDAY + timedelta(days=4))
    )
    table = stocktake_weekly(story.daily(NEXT_MONDAY + timedelta(days=30)), story.store_frame)
    came, went = (table[list(columns)].sum(axis=1) for columns in (BECOMES_VALID, CEASES_TO_BE))
    assert (table["opening"] + came - went == table["closing"]).all()


# ------------------------------------------------------------------------------------- the adaptive band


@pytest.mark.parametrize(
    ("cycle", "edges"),
    [
        (Fraction(10), (45, 90, 180)),
        (Fraction(45, 2), (45, 90, 180)),
        (Fraction(23), (46, 92, 184)),
        (Fraction(45), (90, 180, 360)),
        (Fraction(100), (180, 365, 730)),
    ],
)
def test_the_adaptive_edges_are_multiples_of_the_cycle_within_bounds(cycle: Fraction, edges: tuple[int, ...]) -> None:
    assert band_edges(cycle) == edges
    at_edges = [(band_at(edge - 1, edges), band_at(edge, edges)) for edge in edges]
    assert at_edges == [("active", "at_risk"), ("at_risk", "dormant"), ("dormant", "churned")]


def adaptive(story: Story, as_of: date) -> list[tuple[str, int, str]]:
    """(band, cycle, its basis) at the close of a day, if there is one."""
    products = pd.DataFrame({"sku": ["milk", "coat"], "category": ["baby", "clothing"]})
    daily = story.daily(as_of)
    rows = adaptive_by_day(daily, story.facts, pd.DataFrame(story.lines), products, {"baby": 30})
    last = rows[rows["day"] == as_of]
    return list(zip(last["adaptive_band"], last["cycle_days"].map(int), last["cycle_basis"], strict=True))


def test_the_cycle_is_the_members_own_from_four_purchase_days_on() -> None:
    story = Story().enrols("m", DAY_0)
    for number, on in enumerate((0, 10, 40, 100), 1):
        story.buys("m", day(on), lines=[{"quantity": 1, "net_amount": 10, "sku": "milk"}])
        expected = ("active", 30, "own" if number == 4 else "category")
        assert adaptive(story, day(on)) == [expected]
    assert adaptive(story, day(159)) == [("active", 30, "own")]
    assert adaptive(story, day(160)) == [("at_risk", 30, "own")]


def test_the_category_is_that_on_which_most_was_spent() -> None:
    story = Story().enrols("m", DAY_0)
    story.buys("m", DAY_0, lines=[{"quantity": 1, "net_amount": 10, "sku": "milk"}])
    story.buys("m", DAY_0, lines=[{"quantity": 1, "net_amount": 11, "sku": "coat"}])
    assert adaptive(story, DAY_0) == [("active", 45, "default")]


def test_a_return_takes_the_own_cycle_back_and_who_is_excluded_has_none() -> None:
    story = Story().enrols("m", DAY_0)
    receipts = [story.buys("m", day(on)) for on in (0, 10, 20, 30)]
    story.gives_back("m", receipts[3], day(30), day(33))
    story.says("m", "closed", day(35))
    assert adaptive(story, day(32)) == [("active", 10, "own")]
    assert adaptive(story, day(33)) == [("active", 45, "default")]
    assert adaptive(story, day(35)) == []
