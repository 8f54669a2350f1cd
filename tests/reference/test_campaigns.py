"""The reference of campaigns against some small enough to check by hand: the boundaries, at n−1, n, n+1."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from .campaigns import Assignment, Stratum, Uplift, campaign_performance, strata_that_count, uplift
from .stories import day

STARTS, ENDS = day(10), day(20)
LATER = day(100)


@dataclass
class Campaigns:
    """Collects campaigns and what members did; ``rows(as_of)`` tells what the reference makes of them."""

    campaigns: dict[str, tuple[date, date | None]] = field(default_factory=lambda: {"spring": (STARTS, ENDS)})
    assignments: list[Assignment] = field(default_factory=list)
    contacts: list[tuple[str, str]] = field(default_factory=list)
    stages: dict[tuple[str, date], str] = field(default_factory=dict)
    purchases: dict[str, set[date]] = field(default_factory=dict)
    spent: dict[tuple[str, date], Decimal] = field(default_factory=dict)

    def puts(
        self, member: str | None, arm: str = "treated", on: date = STARTS, campaign: str = "spring", card: str = ""
    ) -> Campaigns:
        self.assignments.append((campaign, card or f"card of {member}", arm, on, member))
        return self

    def is_in(self, member: str, stage: str, first: date, last: date | None = None) -> Campaigns:
        """The stage at the close of these days."""
        for number in range(((last or first) - first).days + 1):
            self.stages[member, first + timedelta(days=number)] = stage
        return self

    def buys(self, member: str, on: date, amount: str = "10") -> Campaigns:
        self.purchases.setdefault(member, set()).add(on)
        return self.pays(member, on, amount)

    def pays(self, member: str, on: date, amount: str) -> Campaigns:
        self.spent[member, on] = self.spent.get((member, on), Decimal(0)) + Decimal(amount)
        return self

    def rows(self, as_of: date = LATER) -> dict[tuple[str, str], dict[str, Any]]:
        """By campaign and arm."""
        table = campaign_performance(
            self.campaigns,
            self.assignments,
            self.contacts,
            lambda member, on: self.stages.get((member, on)),
            self.purchases,
            self.spent,
            as_of,
        )
        rows = [dict(zip(table.columns, row, strict=True)) for row in table.itertuples(index=False, name=None)]
        assert [(row["campaign_id"], row["arm"]) for row in rows] == sorted(
            {(row["campaign_id"], row["arm"]) for row in rows}
        )
        return {(row["campaign_id"], row["arm"]): row for row in rows}

    def row(self, arm: str = "treated", as_of: date = LATER) -> dict[str, Any]:
        return self.rows(as_of)["spring", arm]


@pytest.fixture
def story() -> Campaigns:
    return Campaigns()


# ----------------------------------------------------------------------------------------------------- the rows


def test_a_campaign_has_a_row_for_each_arm_with_a_member(story: Campaigns) -> None:
    story.campaigns |= {"nobody": (STARTS, ENDS), "only_held_out": (STARTS, None)}
    story.puts("bought", card="1").puts("bought_for_nothing").puts("did_not_buy")
    story.puts("held_out", "hold_out").puts("bought", "hold_out", campaign="only_held_out")
    story.buys("bought", day(12), "10.10").buys("bought", day(13), "5").buys("bought_for_nothing", day(14), "0")
    story.contacts += [("spring", "bought"), ("spring", "did_not_buy"), ("only_held_out", "held_out")]
    assert story.rows(ENDS) == {
        ("spring", "treated"): {
            "campaign_id": "spring",
            "arm": "treated",
            "members": 3,
            "contacted": 2,
            "purchasers": 2,
            "net_amount": Decimal("15.10"),
            "purchase_rate": Decimal("0.666667"),
            "uplift": None,
            "ci_low": None,
            "ci_high": None,
            "is_final": True,
        },
        ("spring", "hold_out"): {
            "campaign_id": "spring",
            "arm": "hold_out",
            "members": 1,
            "contacted": 0,
            "purchasers": 0,
            "net_amount": Decimal("0.00"),
            "purchase_rate": Decimal("0.000000"),
            "uplift": None,
            "ci_low": None,
            "ci_high": None,
            "is_final": True,
        },
        ("only_held_out", "hold_out"): {
            "campaign_id": "only_held_out",
            "arm": "hold_out",
            "members": 1,
            "contacted": 0,
            "purchasers": 1,
            "net_amount": Decimal("15.10"),
            "purchase_rate": Decimal("1.000000"),
            "uplift": None,
            "ci_low": None,
            "ci_high": None,
            "is_final": False,
        },
    }
    assert str(story.row()["net_amount"]) == "15.10"
    assert str(story.row()["purchase_rate"]) == "0.666667"


def test_nobody_knows_whom_the_card_is_and_nobody_knows_the_campaign(story: Campaigns) -> None:
    story.puts(None).puts("a_member", campaign="never_fed")
    assert story.rows() == {}
    story.puts("a_member")
    assert {key: row["members"] for key, row in story.rows().items()} == {("spring", "treated"): 1}


# ---------------------------------------------------------------------------------------------------- the window


@pytest.mark.parametrize(
    ("bought", "purchasers"),
    [(day(9), 0), (day(10), 1), (day(11), 1), (day(19), 1), (day(20), 1), (day(21), 0)],
)
def test_the_window_is_the_campaigns_days_both_included(story: Campaigns, bought: date, purchasers: int) -> None:
    story.puts("a_member", on=day(0)).buys("a_member", bought)
    assert (story.row()["purchasers"], story.row()["net_amount"]) == (purchasers, 10 * purchasers)


@pytest.mark.parametrize(("bought", "purchasers"), [(day(39), 1), (day(40), 1), (day(41), 0)])
def test_a_campaign_without_an_end_lasts_for_thirty_days_more(story: Campaigns, bought: date, purchasers: int) -> None:
    story.campaigns["spring"] = (STARTS, None)
    story.puts("a_member").buys("a_member", bought)
    assert (story.row()["purchasers"], story.row()["net_amount"]) == (purchasers, 10 * purchasers)


@pytest.mark.parametrize(
    ("assigned", "bought", "purchasers"),
    [
        (day(9), day(9), 0),
        (day(9), day(10), 1),
        (day(10), day(9), 0),
        (day(10), day(10), 1),
        (day(11), day(10), 0),
        (day(11), day(11), 1),
        (day(20), day(20), 1),
    ],
)
def test_who_was_put_in_later_begins_later(story: Campaigns, assigned: date, bought: date, purchasers: int) -> None:
    story.puts("a_member", on=assigned).buys("a_member", bought)
    assert (story.row()["purchasers"], story.row()["net_amount"]) == (purchasers, 10 * purchasers)


@pytest.mark.parametrize(("as_of", "purchasers"), [(day(14), 0), (day(15), 1), (day(16), 1)])
def test_what_is_after_the_as_of_date_has_not_happened(story: Campaigns, as_of: date, purchasers: int) -> None:
    story.puts("a_member").buys("a_member", day(15))
    assert (story.row(as_of=as_of)["purchasers"], story.row(as_of=as_of)["net_amount"]) == (purchasers, 10 * purchasers)


def test_who_was_put_in_after_the_end_has_no_day_to_buy_on(story: Campaigns) -> None:
    story.puts("too_late", on=day(21))
    for number in range(9, 30):
        story.buys("too_late", day(number))
    assert [story.row()[column] for column in ("members", "purchasers", "net_amount")] == [1, 0, 0]


@pytest.mark.parametrize(("as_of", "is_final"), [(day(19), False), (day(20), True), (day(21), True)])
def test_a_campaign_is_final_when_its_last_day_is_over(story: Campaigns, as_of: date, is_final: bool) -> None:
    story.puts("a_member").puts("held_out", "hold_out")
    assert [row["is_final"] for row in story.rows(as_of).values()] == [is_final, is_final]
    story.campaigns["spring"] = (day(-10), None)
    assert [row["is_final"] for row in story.rows(as_of).values()] == [is_final, is_final]


# ----------------------------------------------------------------------------------------------------- the stage


@pytest.mark.parametrize(
    ("closed_from", "closed_to", "members"),
    [(day(8), day(8), 1), (day(8), day(9), 0), (day(9), day(9), 0), (day(10), day(20), 1)],
)
def test_who_is_closed_on_the_day_before_the_window_is_left_out(
    story: Campaigns, closed_from: date, closed_to: date, members: int
) -> None:
    story.is_in("a_member", "S03", day(0), LATER).is_in("a_member", "X", closed_from, closed_to)
    story.puts("a_member", on=day(5)).puts("somebody_else").buys("a_member", day(10))
    story.contacts.append(("spring", "a_member"))
    row = story.row()
    assert (row["members"] - 1, row["contacted"], row["purchasers"]) == (members, members, members)
    assert row["net_amount"] == 10 * members


@pytest.mark.parametrize(("closed_on", "members"), [(day(13), 1), (day(14), 0), (day(15), 1)])
def test_the_day_before_is_that_of_the_members_own_window(story: Campaigns, closed_on: date, members: int) -> None:
    story.is_in("a_member", "S03", day(0), LATER).is_in("a_member", "X", closed_on)
    story.puts("a_member", on=day(15))
    assert len(story.rows()) == members


@pytest.mark.parametrize(("days_to_go", "rows"), [(1, 0), (0, 1), (-1, 1)])
def test_a_campaign_is_told_of_from_its_first_day_on(story: Campaigns, days_to_go: int, rows: int) -> None:
    story.is_in("a_member", "S03", day(0), day(9)).puts("a_member", on=day(3)).buys("a_member", day(4))
    starts_on, _ = story.campaigns["spring"]
    assert len(story.rows(starts_on - timedelta(days=days_to_go))) == rows


# --------------------------------------------------------------------------------------------- more than one card


def arms_of(story: Campaigns) -> list[str]:
    return [arm for (_, arm), row in story.rows().items() for _ in range(row["members"])]


@pytest.mark.parametrize("is_turned", [False, True])
@pytest.mark.parametrize(
    ("treated_on", "held_out_on", "arm"),
    [
        (day(11), day(12), "treated"),
        (day(12), day(12), "hold_out"),
        (day(12), day(11), "hold_out"),
    ],
)
def test_who_was_put_into_both_arms_is_in_the_first(
    story: Campaigns, treated_on: date, held_out_on: date, arm: str, is_turned: bool
) -> None:
    story.puts("a_member", "treated", treated_on, card="1").puts("a_member", "hold_out", held_out_on, card="2")
    if is_turned:
        story.assignments.reverse()
    assert arms_of(story) == [arm]


def test_who_was_put_in_twice_counts_once_from_the_first_time(story: Campaigns) -> None:
    story.puts("a_member", on=day(15), card="1").puts("a_member", on=day(12), card="2")
    story.buys("a_member", day(11), "1").buys("a_member", day(12), "2").buys("a_member", day(16), "4")
    story.contacts += [("spring", "a_member"), ("spring", "a_member")]
    row = story.row()
    assert (row["members"], row["contacted"], row["purchasers"], row["net_amount"]) == (1, 1, 1, 6)


def test_who_is_left_out_is_not_taken_in_by_another_card(story: Campaigns) -> None:
    story.is_in("a_member", "X", day(9)).is_in("a_member", "S03", day(10), LATER)
    story.puts("a_member", on=day(10), card="1").puts("a_member", on=day(12), card="2")
    assert story.rows() == {}


def test_campaigns_know_nothing_of_each_other(story: Campaigns) -> None:
    story.campaigns["summer"] = (day(30), day(40))
    story.puts("a_member").puts("a_member", "hold_out", day(30), campaign="summer").buys("a_member", day(35))
    story.contacts.append(("summer", "a_member"))
    found = {key: (row["contacted"], row["purchasers"]) for key, row in story.rows().items()}
    assert found == {("spring", "treated"): (0, 0), ("summer", "hold_out"): (1, 1)}


# -------------------------------------------------------------------------------------------- contacts and money


def test_who_was_held_out_and_contacted_by_mistake_stays_held_out(story: Campaigns) -> None:
    story.puts("treated").puts("by_mistake", "hold_out").puts("held_out", "hold_out").buys("by_mistake", day(12))
    story.contacts += [("spring", "by_mistake"), ("spring", "never_put_in")]
    found = {arm: (row["members"], row["contacted"], row["purchasers"]) for (_, arm), row in story.rows().items()}
    assert found == {"treated": (1, 0, 0), "hold_out": (2, 1, 1)}


def test_money_is_that_of_all_members_of_the_arm(story: Campaigns) -> None:
    story.puts("bought").puts("brought_back").buys("bought", day(12), "10.50").pays("bought", day(21), "1000")
    story.pays("brought_back", day(13), "-30.25").pays("not_put_in", day(13), "500")
    assert (story.row()["purchasers"], story.row()["net_amount"]) == (1, Decimal("-19.75"))


# -------------------------------------------------------------------------------------------------- the estimate


def rounded_to_six(found: Uplift | None) -> list[float] | None:
    return None if found is None else [round(float(bound), 6) for bound in (found.uplift, found.low, found.high)]


def test_one_stratum_is_the_difference_of_its_rates() -> None:
    # 0.5 − 0.2; √(0.25 / 200 + 0.16 / 200) = 0.0452769; × 1.959964 = 0.0887411
    assert rounded_to_six(uplift({"S03": (200, 100, 200, 40)})) == [0.3, 0.211259, 0.388741]


def test_strata_are_weighted_by_their_members() -> None:
    # 0.4 × (0.3 − 0.2) + 0.6 × (0.2 − 0.3) = −0.02
    # 0.16 × (0.21 / 300 + 0.16 / 100) + 0.36 × (0.16 / 500 + 0.21 / 100) = 0.0012392; its root is 0.0352023
    found = uplift({"S03": (300, 90, 100, 20), "S04": (500, 100, 100, 30)})
    assert found is not None
    assert found.uplift == Fraction(-2, 100)
    assert rounded_to_six(found) == [-0.02, -0.088995, 0.048995]


def test_a_campaign_that_changes_nothing_is_not_credited_with_whom_it_chose() -> None:
    # frequent buyers are nearly all treated, rare ones held out: 0.7545 of the treated buy, 0.2455 of the others
    strata: dict[str, Stratum] = {"S04": (1000, 800, 100, 80), "S08": (100, 30, 1000, 300)}
    found = uplift(strata)
    assert found is not None
    assert found.uplift == 0
    assert found.low < 0 < found.high


def test_where_everybody_or_nobody_buys_the_interval_is_a_point() -> None:
    found = uplift({"S03": (200, 200, 200, 0), "S04": (100, 0, 100, 0)})
    assert found == Uplift(Fraction(2, 3), Fraction(2, 3), Fraction(2, 3))


@pytest.mark.parametrize("treated_are_few", [False, True])
@pytest.mark.parametrize(("few", "counted"), [(29, 1), (30, 2), (31, 2)])
def test_strata_with_too_few_of_an_arm_are_put_together(few: int, counted: int, treated_are_few: bool) -> None:
    here: Stratum = (few, 3, 400, 5) if treated_are_few else (400, 5, few, 3)
    there: Stratum = (50, 10, 20, 2)
    assert len(strata_that_count({"S03": here, "S04": there})) == counted
    if counted == 1:
        assert strata_that_count({"S03": here, "S04": there}) == [tuple(np.add(here, there))]


def test_what_was_put_together_counts_however_small() -> None:
    large: Stratum = (300, 30, 300, 30)
    found = strata_that_count({"S03": large, "S04": (1, 1, 0, 0), "S08": (0, 0, 1, 0)})
    assert found == [large, (1, 1, 1, 0)]
    # 0 × 600 / 602 + 1 × 2 / 602
    changed = uplift({"S03": large, "S04": (1, 1, 0, 0), "S08": (0, 0, 1, 0)})
    assert changed is not None
    assert changed.uplift == Fraction(2, 602)


@pytest.mark.parametrize("alone", [(500, 400, 0, 0), (0, 0, 500, 400)])
def test_strata_of_one_arm_only_do_not_count(alone: Stratum) -> None:
    large: Stratum = (300, 60, 300, 30)
    assert strata_that_count({"S03": large, "S04": alone}) == [large]
    assert uplift({"S03": large, "S04": alone}) == uplift({"S03": large})


def test_a_stratum_that_is_too_small_counts_alone_when_it_has_both_arms() -> None:
    assert strata_that_count({"S03": (300, 60, 1, 1)}) == [(300, 60, 1, 1)]
    assert strata_that_count({}) == []


@pytest.mark.parametrize(("few", "is_told"), [(199, False), (200, True), (201, True)])
def test_an_uplift_takes_two_hundred_of_each_arm(few: int, is_told: bool) -> None:
    assert (uplift({"S03": (few, 10, 900, 10)}) is not None) == is_told
    assert (uplift({"S03": (900, 10, few, 10)}) is not None) == is_told
    # they may be of several strata, small ones too, but only of such as count
    assert (uplift({"S03": (few - 50, 10, 190, 10), "S04": (50, 10, 10, 1)}) is not None) == is_told
    assert (uplift({"S03": (900, 10, few - 10, 10), "S04": (40, 10, 10, 1)}) is not None) == is_told
    assert uplift({"S03": (199, 10, 900, 10), "S04": (few, 10, 0, 0)}) is None


def test_no_members_no_uplift() -> None:
    assert uplift({}) is None


@st.composite
def large_strata(draw: st.DrawFn) -> dict[str, Stratum]:
    """Strata that all count by themselves."""
    strata: dict[str, Stratum] = {}
    for stratum in draw(st.sets(st.sampled_from(["S03", "S04", "S05", "S08", "none"]), min_size=1)):
        treated, held_out = (draw(st.integers(min_value=200, max_value=5000)) for _ in range(2))
        purchasers = draw(st.integers(min_value=0, max_value=treated))
        strata[stratum] = (treated, purchasers, held_out, draw(st.integers(min_value=0, max_value=held_out)))
    return strata


@given(large_strata())
def test_the_other_way_round_it_is_the_same_with_the_other_sign(strata: dict[str, Stratum]) -> None:
    there = uplift(strata)
    back = uplift({key: (held, bought, treated, k) for key, (treated, k, held, bought) in strata.items()})
    assert there is not None
    assert back == Uplift(-there.uplift, -there.high, -there.low)


@given(large_strata())
def test_the_mean_lies_among_the_strata_and_in_the_middle_of_its_interval(strata: dict[str, Stratum]) -> None:
    found = uplift(strata)
    alone = [one.uplift for one in (uplift({key: strata[key]}) for key in strata) if one is not None]
    assert found is not None
    assert min(alone) <= found.uplift <= max(alone)
    assert found.low <= found.uplift <= found.high
    assert found.high - found.uplift == found.uplift - found.low


@given(large_strata())
def test_twice_the_members_tell_the_same_with_half_the_variance(strata: dict[str, Stratum]) -> None:
    once = uplift(strata)
    doubled = uplift({key: (2 * n_t, 2 * k_t, 2 * n_h, 2 * k_h) for key, (n_t, k_t, n_h, k_h) in strata.items()})
    apart = uplift({f"{key} {half}": stratum for key, stratum in strata.items() for half in (1, 2)})
    assert once is not None
    assert doubled is not None
    assert apart is not None
    assert once.uplift == doubled.uplift == apart.uplift
    assert float((once.high - once.low) ** 2) == pytest.approx(2 * float((doubled.high - doubled.low) ** 2))
    # the same strata in two halves each: rates are as before, and so is what they tell
    assert float(apart.high) == pytest.approx(float(doubled.high))


# ---------------------------------------------------------------------------------------- a campaign of many members


STAGES_OF_MANY = ("S03", "S04", None)
MEMBERS = np.array([1500, 1000, 500])
RATES_HELD_OUT = np.array([0.10, 0.30, 0.20])
PLANTED = np.array([0.04, 0.10, 0.00])  # by which treated members buy more often


def drawn(random: np.random.Generator) -> dict[str, Stratum]:
    """Each member is held out with a chance of one tenth, and buys or does not."""
    held_out = random.binomial(MEMBERS, 0.1)
    treated = MEMBERS - held_out
    bought_held_out = random.binomial(held_out, RATES_HELD_OUT)
    bought_treated = random.binomial(treated, RATES_HELD_OUT + PLANTED)
    counts = np.stack([treated, bought_treated, held_out, bought_held_out], axis=1).tolist()
    return {
        str(stage): (n_t, k_t, n_h, k_h) for stage, (n_t, k_t, n_h, k_h) in zip(STAGES_OF_MANY, counts, strict=True)
    }


def test_nineteen_of_twenty_intervals_hold_what_was_planted() -> None:
    random = np.random.default_rng(20180110)
    planted = Fraction(float(MEMBERS @ PLANTED / MEMBERS.sum()))
    found = [uplift(drawn(random)) for _ in range(500)]
    told = [one for one in found if one is not None]
    assert len(told) == 500
    covered = sum(one.low <= planted <= one.high for one in told)
    assert 0.93 * 500 <= covered <= 0.97 * 500
    # the mean of five hundred is right to three of its standard errors
    assert sum(float(one.uplift) for one in told) / 500 == pytest.approx(float(planted), abs=0.0032)


def test_members_one_by_one_tell_what_their_counts_tell(story: Campaigns) -> None:
    strata = drawn(np.random.default_rng(7))
    for stage, (treated, treated_purchasers, held_out, held_out_purchasers) in strata.items():
        for arm, members, purchasers in (
            ("treated", treated, treated_purchasers),
            ("hold_out", held_out, held_out_purchasers),
        ):
            for number in range(members):
                name = f"{stage} {arm} {number}"
                story.puts(name, arm, day(10 + number % 3))
                if stage != "None":
                    # the stage of the day before, whatever it is on the others
                    story.is_in(name, "S09", day(5), day(25)).is_in(name, stage, day(9 + number % 3))
                if number < purchasers:
                    story.buys(name, day(12 + number % 9))
    n_t, k_t, n_h, k_h = np.array(list(strata.values()), dtype=float).T
    weight = (n_t + n_h) / (n_t + n_h).sum()
    p_t, p_h = k_t / n_t, k_h / n_h
    mean = (weight * (p_t - p_h)).sum()
    half_width = 1.959964 * np.sqrt((weight**2 * (p_t * (1 - p_t) / n_t + p_h * (1 - p_h) / n_h)).sum())
    row, held_out_row = story.row(), story.row("hold_out")
    assert (row["members"], row["purchasers"]) == (n_t.sum(), k_t.sum())
    assert (held_out_row["members"], held_out_row["purchasers"]) == (n_h.sum(), k_h.sum())
    assert [str(row[column]) for column in ("uplift", "ci_low", "ci_high")] == [
        f"{bound:.6f}" for bound in (mean, mean - half_width, mean + half_width)
    ]
    assert [held_out_row[column] for column in ("uplift", "ci_low", "ci_high")] == [None, None, None]
