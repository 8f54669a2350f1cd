"""The reference of the scorecard against quarters small enough to check by hand: the boundaries, at n−1, n, n+1."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from .campaigns import campaign_performance, last_day
from .scorecard import RATES, BenefitUse, Coupon, Line, cost_of_use, margin_rate, programme_scorecard_quarterly

Q4_BEFORE, Q1, Q2, Q3 = date(2017, 10, 1), date(2018, 1, 1), date(2018, 4, 1), date(2018, 7, 1)
IN_Q1, IN_Q2 = date(2018, 2, 10), date(2018, 5, 10)
END_OF_Q1, END_OF_Q2 = date(2018, 3, 31), date(2018, 6, 30)


def amount(text: str) -> Decimal:
    return Decimal(text)


def known(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


@dataclass
class Programme:
    """Collects what happened; ``rows(as_of)`` tells by quarter what the reference makes of it."""

    first_day: date = IN_Q1
    campaigns: dict[str, tuple[date, date | None]] = field(default_factory=dict)
    arms: list[dict[str, Any]] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    points_costs: dict[date, Decimal | None] = field(default_factory=dict)
    coupons: list[Coupon] = field(default_factory=list)
    uses: list[BenefitUse] = field(default_factory=list)
    kpis: dict[date, dict[str, Decimal | None]] = field(default_factory=dict)

    def runs(
        self,
        ends_on: date | None,
        treated: tuple[int, str] | None = (200, "1000.00"),
        held_out: tuple[int, str] | None = (200, "600.00"),
        starts_on: date = IN_Q1,
    ) -> Programme:
        """A campaign with the members of its arms and their money."""
        campaign_id = f"campaign {len(self.campaigns) + 1}"
        self.campaigns[campaign_id] = (starts_on, ends_on)
        for arm, told in (("hold_out", held_out), ("treated", treated)):
            if told is not None:
                self.arms.append(
                    {"campaign_id": campaign_id, "arm": arm, "members": told[0], "net_amount": amount(told[1])}
                )
        return self

    def sells(self, on: date, net: str, unit_cost: str | None = None, quantity: str = "1") -> Programme:
        self.lines.append((on, amount(net), amount(quantity), known(unit_cost)))
        return self

    def redeems(self, on: date, face_value: str | None, funding: str | None = None) -> Programme:
        self.coupons.append((on, known(face_value), funding))
        return self

    def uses_benefit(self, on: date, cost: str | None = None, unit_cost: str | None = None) -> Programme:
        self.uses.append((on, known(cost), known(unit_cost)))
        return self

    def rows(self, as_of: date = END_OF_Q2) -> dict[date, dict[str, Any]]:
        measured = [row | {"is_final": last_day(*self.campaigns[row["campaign_id"]]) <= as_of} for row in self.arms]
        table = programme_scorecard_quarterly(
            self.first_day,
            as_of,
            self.campaigns,
            measured,
            self.lines,
            self.points_costs,
            self.coupons,
            self.uses,
            self.kpis,
        )
        rows = [dict(zip(table.columns, row, strict=True)) for row in table.itertuples(index=False, name=None)]
        assert [row["quarter_start"] for row in rows] == sorted({row["quarter_start"] for row in rows})
        return {row["quarter_start"]: row for row in rows}

    def told(self, column: str, as_of: date = END_OF_Q2) -> dict[date, Any]:
        """By quarter, one of the columns."""
        return {quarter: row[column] for quarter, row in self.rows(as_of).items()}


@pytest.fixture
def story() -> Programme:
    return Programme()


# ------------------------------------------------------------------------------------------------------ the rows


def test_a_quarter_is_told_in_one_row(story: Programme) -> None:
    story.runs(date(2018, 5, 20), treated=(300, "9000.00"), held_out=(200, "5000.00"))  # 30 − 25 each: 1500
    story.runs(date(2018, 6, 20), treated=(199, "9000.00"))
    story.sells(IN_Q2, "100.00", "30", "2").sells(IN_Q2, "50.00", None).sells(IN_Q2, "-20.00", "30", "-1")  # 50 / 80
    story.points_costs = {date(2018, 4, 1): amount("10.10"), date(2018, 6, 1): amount("20.20")}
    story.redeems(IN_Q2, "100.00", "head_office").redeems(IN_Q2, "40.00", "brand")
    story.uses_benefit(IN_Q2, "7.00", "9").uses_benefit(IN_Q2, None, "9")
    story.kpis = {
        Q1: dict(zip(RATES, map(amount, ("0.100000", "0.200000", "0.300000", "50.00", "0.500000")), strict=True)),
        Q2: dict(zip(RATES, map(amount, ("0.150000", "0.180000", "0.300000", "51.25", "0.400000")), strict=True)),
    }
    row = story.rows()[Q2]
    assert row == {
        "quarter_start": Q2,
        "campaigns": 1,
        "campaigns_left_out": 1,
        "incremental_net_amount": amount("1500.00"),
        "margin_rate": amount("0.625000"),
        "incremental_margin_amount": amount("937.50"),
        "points_cost_amount": amount("30.30"),
        "coupon_cost_amount": amount("100.00"),
        "coupon_funded_amount": amount("40.00"),
        "benefit_cost_amount": amount("16.00"),
        "net_benefit_amount": amount("791.20"),  # 937.50 − 30.30 − 100 − 16
        "growth_rate": amount("0.150000"),
        "churn_rate": amount("0.180000"),
        "repurchase_rate": amount("0.300000"),
        "average_ticket_amount": amount("51.25"),
        "activity_rate": amount("0.400000"),
        "growth_rate_change": amount("0.050000"),
        "churn_rate_change": amount("-0.020000"),
        "repurchase_rate_change": amount("0.000000"),
        "average_ticket_amount_change": amount("1.25"),
        "activity_rate_change": amount("-0.100000"),
        "is_final": True,
    }
    assert str(row["incremental_net_amount"]) == "1500.00"
    assert str(row["margin_rate"]) == "0.625000"
    assert str(row["net_benefit_amount"]) == "791.20"


def test_a_quarter_in_which_nothing_happened_is_told_too(story: Programme) -> None:
    row = story.rows(IN_Q1)[Q1]
    nothing = amount("0.00")
    assert row == {
        "quarter_start": Q1,
        "campaigns": 0,
        "campaigns_left_out": 0,
        "incremental_net_amount": None,
        "margin_rate": None,
        "incremental_margin_amount": None,
        "points_cost_amount": nothing,
        "coupon_cost_amount": nothing,
        "coupon_funded_amount": nothing,
        "benefit_cost_amount": nothing,
        "net_benefit_amount": nothing,
        **{name: None for name in RATES},
        **{f"{name}_change": None for name in RATES},
        "is_final": False,
    }
    assert str(row["net_benefit_amount"]) == str(row["points_cost_amount"]) == "0.00"


@pytest.mark.parametrize(
    ("first_day", "as_of", "told"),
    [
        (date(2017, 12, 31), date(2018, 3, 31), [Q4_BEFORE, Q1]),
        (date(2018, 1, 1), date(2018, 3, 31), [Q1]),
        (date(2018, 1, 2), date(2018, 4, 1), [Q1, Q2]),
        (date(2018, 3, 31), date(2018, 4, 2), [Q1, Q2]),
        (date(2018, 4, 1), date(2018, 6, 30), [Q2]),
        (date(2017, 11, 5), date(2018, 7, 1), [Q4_BEFORE, Q1, Q2, Q3]),
        (IN_Q1, IN_Q1, [Q1]),
        (IN_Q1, IN_Q1 - timedelta(days=1), []),
    ],
)
def test_rows_go_from_the_quarter_of_the_first_day_to_that_of_the_as_of_date(
    first_day: date, as_of: date, told: list[date]
) -> None:
    assert list(Programme(first_day).rows(as_of)) == told


@pytest.mark.parametrize(
    ("as_of", "is_final"),
    [(date(2018, 3, 30), {Q1: False}), (END_OF_Q1, {Q1: True}), (Q2, {Q1: True, Q2: False})],
)
def test_a_quarter_is_final_when_its_last_day_is_over(
    story: Programme, as_of: date, is_final: dict[date, bool]
) -> None:
    assert story.told("is_final", as_of) == is_final


# ----------------------------------------------------------------------------------------------------- campaigns


@pytest.mark.parametrize(
    ("ends_on", "counted"),
    [
        (date(2017, 12, 31), {Q1: 0, Q2: 0}),
        (date(2018, 1, 1), {Q1: 1, Q2: 0}),  # before the first day, but in its quarter
        (date(2018, 3, 30), {Q1: 1, Q2: 0}),
        (date(2018, 3, 31), {Q1: 1, Q2: 0}),
        (date(2018, 4, 1), {Q1: 0, Q2: 1}),
        (date(2018, 6, 29), {Q1: 0, Q2: 1}),
        (date(2018, 6, 30), {Q1: 0, Q2: 1}),
        (date(2018, 7, 1), {Q1: 0, Q2: 0}),
    ],
)
@pytest.mark.parametrize(("treated", "column"), [(200, "campaigns"), (199, "campaigns_left_out")])
def test_a_campaign_is_of_the_quarter_of_its_last_day(
    story: Programme, ends_on: date, counted: dict[date, int], treated: int, column: str
) -> None:
    story.runs(ends_on, treated=(treated, "1000.00"), starts_on=date(2017, 12, 1))
    assert story.told(column) == counted


@pytest.mark.parametrize(
    ("starts_on", "quarter"),
    [(date(2018, 2, 28), Q1), (date(2018, 3, 1), Q1), (date(2018, 3, 2), Q2)],  # 30 days later: 30, 31 March, 1 April
)
def test_a_campaign_without_an_end_lasts_30_days_more(story: Programme, starts_on: date, quarter: date) -> None:
    story.runs(None, starts_on=starts_on)
    assert story.told("campaigns") == {Q1: 0, Q2: 0} | {quarter: 1}


@pytest.mark.parametrize(("as_of", "counted"), [(19, 0), (20, 1), (21, 1)])
def test_a_campaign_counts_when_its_last_day_is_over(story: Programme, as_of: int, counted: int) -> None:
    story.runs(date(2018, 5, 20)).runs(date(2018, 5, 20), held_out=(199, "0.00"))
    row = story.rows(date(2018, 5, as_of))[Q2]
    assert (row["campaigns"], row["campaigns_left_out"]) == (counted, counted)
    assert row["incremental_net_amount"] == (amount("400.00") if counted else None)


@pytest.mark.parametrize(
    ("treated", "held_out", "found"),
    [
        (199, 200, (0, 1)),
        (200, 199, (0, 1)),
        (199, 199, (0, 1)),
        (200, 200, (1, 0)),
        (200, 201, (1, 0)),
        (201, 200, (1, 0)),
        (5000, 1, (0, 1)),
        (None, 500, (0, 1)),
        (500, None, (0, 1)),
        (None, None, (0, 0)),
    ],
)
def test_both_arms_have_200_members_or_the_campaign_is_left_out(
    story: Programme, treated: int | None, held_out: int | None, found: tuple[int, int]
) -> None:
    story.runs(
        IN_Q2,
        None if treated is None else (treated, "1000.00"),
        None if held_out is None else (held_out, "600.00"),
    )
    row = story.rows()[Q2]
    assert (row["campaigns"], row["campaigns_left_out"]) == found
    assert (row["incremental_net_amount"] is None) == (row["campaigns"] == 0)


def test_what_the_treated_spent_is_held_against_what_as_many_held_out_spend(story: Programme) -> None:
    story.runs(IN_Q2, treated=(400, "8000.00"), held_out=(200, "3000.00"))  # 20 − 15: 2000 of 400
    assert story.told("incremental_net_amount") == {Q1: None, Q2: amount("2000.00")}
    story.runs(IN_Q2, treated=(200, "-100.00"), held_out=(250, "500.00"))  # −0.50 − 2: −500 of 200
    assert story.told("incremental_net_amount")[Q2] == amount("1500.00")
    story.runs(IN_Q2, treated=(199, "99999.00"))
    assert story.told("incremental_net_amount")[Q2] == amount("1500.00")


def test_a_campaign_that_brought_nothing_is_not_one_that_nobody_counts(story: Programme) -> None:
    story.runs(IN_Q2, treated=(300, "600.00"), held_out=(200, "400.00"))
    assert story.told("incremental_net_amount") == {Q1: None, Q2: amount("0.00")}


@pytest.mark.parametrize(
    ("held_out", "found"),
    [
        ((400, "0.01"), "-0.01"),  # half a cent of 200
        ((400, "-0.01"), "0.01"),
        ((401, "0.01"), "0.00"),
        ((399, "0.01"), "-0.01"),
    ],
)
def test_half_a_cent_is_rounded_away_from_zero(story: Programme, held_out: tuple[int, str], found: str) -> None:
    story.runs(IN_Q2, treated=(200, "0.00"), held_out=held_out)
    assert story.told("incremental_net_amount")[Q2] == amount(found)


def test_only_the_sum_of_campaigns_is_rounded(story: Programme) -> None:
    story.runs(IN_Q2, treated=(200, "0.00"), held_out=(400, "-0.01"))  # half a cent, twice
    story.runs(IN_Q2, treated=(200, "0.00"), held_out=(400, "-0.01"))
    assert story.told("incremental_net_amount")[Q2] == amount("0.01")


def test_performance_of_another_date_is_refused() -> None:
    arm = {"campaign_id": "spring", "arm": "treated", "members": 200, "net_amount": amount("1"), "is_final": False}
    campaigns = {"spring": (IN_Q1, IN_Q2)}
    before = IN_Q2 - timedelta(days=1)
    assert len(programme_scorecard_quarterly(IN_Q1, before, campaigns, [arm], [], {}, [], [], {})) == 2
    with pytest.raises(ValueError, match="spring"):
        programme_scorecard_quarterly(IN_Q1, IN_Q2, campaigns, [arm], [], {}, [], [], {})


@pytest.mark.parametrize(("held_out", "found"), [(199, (0, 1, None)), (200, (1, 0, amount("2000.00")))])
def test_the_table_of_campaigns_is_taken_as_it_is(held_out: int, found: tuple[int, int, Decimal | None]) -> None:
    # 200 treated buy for 10 within the campaign and once more after it; a treated member with a closed account is none
    campaigns = {"spring": (IN_Q1, IN_Q2)}
    treated = [f"T{number}" for number in range(200)]
    arms = [("treated", name) for name in treated] + [("hold_out", f"H{number}") for number in range(held_out)]
    arms.append(("treated", "closed"))
    performance = campaign_performance(
        campaigns,
        [("spring", name, arm, IN_Q1, name) for arm, name in arms],
        [],
        lambda member_id, _: "X" if member_id == "closed" else "S03",
        {name: {IN_Q2} for name in treated},
        {(name, IN_Q2 + timedelta(days=late)): amount("10.00") for name in [*treated, "closed"] for late in (0, 1)},
        END_OF_Q2,
    ).to_dict("records")
    row = programme_scorecard_quarterly(IN_Q2, END_OF_Q2, campaigns, performance, [], {}, [], [], {}).iloc[0]
    assert (row["campaigns"], row["campaigns_left_out"], row["incremental_net_amount"]) == found


# ------------------------------------------------------------------------------------------------------- margins


def test_the_margin_is_of_lines_whose_cost_is_known(story: Programme) -> None:
    story.sells(IN_Q1, "10.00", "2.5", "3")  # 2.50 of 10
    assert story.told("margin_rate") == {Q1: amount("0.250000"), Q2: None}
    story.sells(IN_Q1, "90.00", None)
    assert story.told("margin_rate")[Q1] == amount("0.250000")
    story.sells(IN_Q1, "10.00", "0")  # 12.50 of 20: a cost of 0 is known
    assert story.told("margin_rate")[Q1] == amount("0.625000")


def test_what_came_back_takes_its_margin_along(story: Programme) -> None:
    story.sells(IN_Q1, "30.00", "10", "1").sells(IN_Q1, "20.00", "10", "1")  # 30 of 50
    assert story.told("margin_rate")[Q1] == amount("0.600000")
    story.sells(IN_Q1, "-30.00", "10", "-1")  # 10 of 20
    assert story.told("margin_rate")[Q1] == amount("0.500000")


@pytest.mark.parametrize(
    ("returned", "rate"),
    [("-9.99", "101.000000"), ("-10.00", None), ("-10.01", "-99.000000")],
)
def test_without_money_there_is_no_margin_rate(story: Programme, returned: str, rate: str | None) -> None:
    story.sells(IN_Q1, "10.00", "4").sells(IN_Q1, returned, "5", "-1")
    assert story.told("margin_rate")[Q1] == known(rate)


def test_selling_below_cost_is_a_margin_below_zero(story: Programme) -> None:
    story.sells(IN_Q1, "3.00", "5")
    assert story.told("margin_rate")[Q1] == amount("-0.666667")


@pytest.mark.parametrize(("cost", "rate"), [("1.999999", "0.000001"), ("1.9999990001", "0.000000")])
def test_half_a_millionth_is_rounded_up(story: Programme, cost: str, rate: str) -> None:
    story.sells(IN_Q1, "2.00", cost)
    assert story.told("margin_rate")[Q1] == amount(rate)


def test_the_margin_of_what_was_brought_is_of_the_exact_numbers(story: Programme) -> None:
    story.runs(IN_Q1, treated=(200, "1000000.00"), held_out=(200, "0.00"))
    story.sells(IN_Q1, "3.00", "2")  # a third; of the rounded rate it would be 333333.00
    assert story.told("incremental_margin_amount")[Q1] == amount("333333.33")
    # half a cent brought, not the whole one that is published
    other = Programme().runs(IN_Q1, treated=(200, "0.00"), held_out=(400, "-0.01"))
    other.sells(IN_Q1, "2.00", "1").sells(IN_Q1, "-1.99", "98")
    row = other.rows()[Q1]
    # 2 − 1 − 1.99 − 98 = −98.99 of 0.01
    assert row["margin_rate"] == amount("-9899.000000")
    assert row["incremental_margin_amount"] == amount("-49.50")  # −49.495; of a whole cent −98.99


def test_what_was_brought_has_a_margin_where_both_are_known(story: Programme) -> None:
    story.runs(IN_Q1).sells(IN_Q2, "10.00", "5")
    assert story.told("incremental_net_amount") == {Q1: amount("400.00"), Q2: None}
    assert story.told("margin_rate") == {Q1: None, Q2: amount("0.500000")}
    assert story.told("incremental_margin_amount") == {Q1: None, Q2: None}
    story.sells(IN_Q1, "10.00", "5")
    assert story.told("incremental_margin_amount") == {Q1: amount("200.00"), Q2: None}


AMOUNTS = st.decimals(min_value=-1000, max_value=1000, places=2)
LINES = st.lists(st.tuples(st.just(IN_Q1), AMOUNTS, st.decimals(-9, 9, places=3), st.decimals(0, 99, places=4)))


@given(LINES, st.lists(st.tuples(st.just(IN_Q1), AMOUNTS, st.just(Decimal(1)), st.none())))
def test_a_sale_that_came_back_and_a_line_of_unknown_cost_change_no_margin(
    lines: list[Line], unknown: list[Line]
) -> None:
    sold: list[Line] = [(IN_Q1, amount("70.00"), amount("2"), amount("12.5"))]
    back: list[Line] = [(IN_Q1, amount("-70.00"), amount("-2"), amount("12.5"))]
    assert margin_rate([*sold, *unknown, *lines, *back]) == margin_rate(lines)


# --------------------------------------------------------------------------------------------------------- costs


@pytest.mark.parametrize(
    ("month", "quarter"),
    [
        (date(2017, 12, 1), None),
        (date(2018, 1, 1), Q1),
        (date(2018, 3, 1), Q1),
        (date(2018, 4, 1), Q2),
        (date(2018, 6, 1), Q2),
        (date(2018, 7, 1), None),
    ],
)
def test_points_cost_what_those_of_the_quarters_months_will(
    story: Programme, month: date, quarter: date | None
) -> None:
    story.points_costs = {date(2018, 2, 1): amount("1.00"), date(2018, 5, 1): amount("2.00"), month: amount("4.00")}
    expected = {Q1: amount("1.00"), Q2: amount("2.00")}
    if quarter is not None:
        expected[quarter] += amount("4.00")
    assert story.told("points_cost_amount") == expected


def test_a_month_of_points_of_unknown_cost_costs_nothing(story: Programme) -> None:
    story.points_costs = {date(2018, 1, 1): None, date(2018, 2, 1): amount("1.00"), date(2018, 4, 1): None}
    assert story.told("points_cost_amount") == {Q1: amount("1.00"), Q2: amount("0.00")}


@pytest.mark.parametrize(
    ("as_of", "cost"), [(date(2018, 4, 30), "1.00"), (date(2018, 5, 1), "3.00"), (date(2018, 5, 2), "3.00")]
)
def test_a_month_of_points_counts_when_it_has_begun(story: Programme, as_of: date, cost: str) -> None:
    story.points_costs = {date(2018, 4, 1): amount("1.00"), date(2018, 5, 1): amount("2.00")}
    assert story.told("points_cost_amount", as_of)[Q2] == amount(cost)


@pytest.mark.parametrize(
    ("funding", "cost", "funded"),
    [
        ("brand", "0.00", "5.50"),
        ("head_office", "5.50", "0.00"),
        ("store", "5.50", "0.00"),
        ("Brand", "5.50", "0.00"),
        ("", "5.50", "0.00"),
        (None, "5.50", "0.00"),
    ],
)
def test_the_chain_pays_for_coupons_that_no_brand_pays_for(
    story: Programme, funding: str | None, cost: str, funded: str
) -> None:
    story.redeems(IN_Q1, "5.50", funding).redeems(IN_Q1, None, funding)
    row = story.rows()[Q1]
    assert (row["coupon_cost_amount"], row["coupon_funded_amount"]) == (amount(cost), amount(funded))
    assert row["net_benefit_amount"] == -amount(cost)


def test_a_use_of_a_benefit_costs_what_it_says_or_else_what_its_tier_pays(story: Programme) -> None:
    assert cost_of_use(amount("3"), amount("8")) == 3
    assert cost_of_use(None, amount("8")) == 8
    assert cost_of_use(amount("0"), amount("8")) == 0
    assert cost_of_use(amount("3"), None) == 3
    assert cost_of_use(None, None) is None
    story.uses_benefit(IN_Q1, "3", "8").uses_benefit(IN_Q1, None, "8").uses_benefit(IN_Q1, "0", "8")
    story.uses_benefit(IN_Q1, None, None)
    assert story.told("benefit_cost_amount") == {Q1: amount("11.00"), Q2: amount("0.00")}


def test_only_the_sum_of_costs_is_rounded(story: Programme) -> None:
    story.uses_benefit(IN_Q1, None, "0.0025").uses_benefit(IN_Q1, None, "0.0024")
    assert story.told("benefit_cost_amount")[Q1] == amount("0.00")
    story.uses_benefit(IN_Q1, None, "0.0001")
    assert story.told("benefit_cost_amount")[Q1] == amount("0.01")


@pytest.mark.parametrize(
    ("on", "quarter"),
    [
        (date(2017, 12, 31), None),
        (date(2018, 1, 1), Q1),
        (date(2018, 3, 30), Q1),
        (date(2018, 3, 31), Q1),
        (date(2018, 4, 1), Q2),
        (date(2018, 4, 30), Q2),
        (date(2018, 5, 1), Q2),  # the as-of date
        (date(2018, 5, 2), None),
    ],
)
def test_what_happens_counts_in_the_quarter_of_its_day_and_not_after_the_as_of_date(
    story: Programme, on: date, quarter: date | None
) -> None:
    story.sells(on, "10.00", "5").redeems(on, "1.00").redeems(on, "2.00", "brand").uses_benefit(on, "3.00")
    columns = ("margin_rate", "coupon_cost_amount", "coupon_funded_amount", "benefit_cost_amount")
    nothing = (None, amount("0"), amount("0"), amount("0"))
    something = (amount("0.5"), amount("1"), amount("2"), amount("3"))
    found = story.rows(date(2018, 5, 1))
    assert {which: tuple(row[column] for column in columns) for which, row in found.items()} == {
        which: something if which == quarter else nothing for which in (Q1, Q2)
    }


def test_the_net_benefit_is_of_the_parts_as_they_are_published(story: Programme) -> None:
    # 0.005, 0.005, 0.005 and 0.005: each is a cent, exactly it would be −0.01
    story.runs(IN_Q1, treated=(200, "0.00"), held_out=(400, "-0.01")).sells(IN_Q1, "1.00", "0")
    story.points_costs = {date(2018, 2, 1): amount("0.005")}
    story.redeems(IN_Q1, "0.005").redeems(IN_Q1, "70.00", "brand").uses_benefit(IN_Q1, "0.005")
    row = story.rows()[Q1]
    parts = ("incremental_margin_amount", "points_cost_amount", "coupon_cost_amount", "benefit_cost_amount")
    assert [row[part] for part in parts] == [amount("0.01")] * 4
    assert row["net_benefit_amount"] == amount("-0.02")


def test_without_a_margin_the_net_benefit_is_what_it_has_cost(story: Programme) -> None:
    story.runs(IN_Q1).redeems(IN_Q1, "5.00").uses_benefit(IN_Q1, "2.00")
    assert story.told("incremental_margin_amount")[Q1] is None
    assert story.told("net_benefit_amount") == {Q1: amount("-7.00"), Q2: amount("0.00")}


COSTS = st.none() | st.decimals(min_value=0, max_value=1000, places=4)
DAYS = st.dates(min_value=date(2017, 12, 20), max_value=date(2018, 7, 10))


@given(
    st.lists(st.tuples(DAYS, COSTS, st.sampled_from(["brand", "store", None]))),
    st.lists(st.tuples(DAYS, COSTS, COSTS)),
    st.lists(st.tuples(DAYS, AMOUNTS, st.just(Decimal(1)), COSTS)),
    DAYS,
)
def test_the_net_benefit_ties_and_knows_nothing_of_what_comes_later(
    coupons: list[Coupon], uses: list[BenefitUse], lines: list[Line], as_of: date
) -> None:
    story = Programme(Q1, lines=lines, coupons=coupons, uses=uses).runs(IN_Q1)
    found = story.rows(as_of)
    for row in found.values():
        costs = row["points_cost_amount"] + row["coupon_cost_amount"] + row["benefit_cost_amount"]
        assert row["net_benefit_amount"] == (row["incremental_margin_amount"] or 0) - costs
    story.coupons = [coupon for coupon in coupons if coupon[0] <= as_of]
    story.uses = [use for use in uses if use[0] <= as_of]
    story.lines = [line for line in lines if line[0] <= as_of]
    assert story.rows(as_of) == found
    # a quarter that is over stays as it is
    later = story.rows(END_OF_Q2 + timedelta(days=20))
    assert all(later[quarter] == row for quarter, row in found.items() if row["is_final"])


# --------------------------------------------------------------------------------------------------------- rates


@pytest.mark.parametrize("name", RATES)
@pytest.mark.parametrize(
    ("before", "now", "change"),
    [
        ("0.100000", "0.250000", "0.150000"),
        ("0.250000", "0.100000", "-0.150000"),
        ("0.100000", "0.100000", "0.000000"),
        ("0.000000", "0.000000", "0.000000"),
        (None, "0.100000", None),
        ("0.100000", None, None),
        (None, None, None),
    ],
)
def test_a_change_is_held_against_the_quarter_before(
    story: Programme, name: str, before: str | None, now: str | None, change: str | None
) -> None:
    others: dict[str, Decimal | None] = dict.fromkeys(RATES, amount("0.500000"))
    story.kpis = {Q1: others | {name: known(before)}, Q2: others | {name: known(now)}}
    assert story.told(name) == {Q1: known(before), Q2: known(now)}
    assert story.told(f"{name}_change") == {Q1: None, Q2: known(change)}
    for other in set(RATES) - {name}:
        assert story.told(f"{other}_change")[Q2] == 0


def test_a_quarter_that_is_not_told_has_no_rates_and_no_change_goes_across_it(story: Programme) -> None:
    story.kpis = {Q1: dict.fromkeys(RATES, amount("0.1")), Q3: dict.fromkeys(RATES, amount("0.1"))}
    assert story.told("churn_rate", Q3) == {Q1: amount("0.1"), Q2: None, Q3: amount("0.1")}
    assert story.told("churn_rate_change", Q3) == {Q1: None, Q2: None, Q3: None}


def test_the_first_row_may_be_held_against_the_quarter_before_it(story: Programme) -> None:
    story.kpis = {Q4_BEFORE: dict.fromkeys(RATES, amount("0.1")), Q1: dict.fromkeys(RATES, amount("0.4"))}
    assert story.told("activity_rate_change", IN_Q1) == {Q1: amount("0.3")}
