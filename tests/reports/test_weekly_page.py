"""What the page says, without a database: both languages, all the awkward weeks."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from html.parser import HTMLParser

import pytest

from memberhouse.reports import charts
from memberhouse.reports.weekly_data import Kpi, Move, Store, WeeklyReport
from memberhouse.reports.weekly_page import render
from memberhouse.reports.wording import LANGUAGES, Language

_drawings: dict[str, str] = {}


@pytest.fixture(autouse=True)
def drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same chart is drawn once for all tests: drawing takes longer than everything else here."""
    for chart in ("stage_mix", "net_sales"):
        monkeypatch.setattr(charts, chart, _remembered(chart, getattr(charts, chart)))


def _remembered(chart: str, draw: Callable[..., str]) -> Callable[..., str]:
    def drawn(*content: object) -> str:
        key = f"{chart} {content}"
        if key not in _drawings:
            _drawings[key] = draw(*content)
        return _drawings[key]

    return drawn


class _Text(HTMLParser):
    """The words a reader meets, attributes that are read aloud included; quotations and style left out."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.silent += tag in ("style", "q")
        self.words.extend(value or "" for name, value in attrs if name in ("aria-label", "alt"))

    def handle_endtag(self, tag: str) -> None:
        self.silent -= tag in ("style", "q")

    def handle_data(self, data: str) -> None:
        if not self.silent:
            self.words.append(data)


def words_of(page: str) -> str:
    reader = _Text()
    reader.feed(page)
    return re.sub(r"\s+", " ", " ".join(reader.words))


def card(page: str, key: str) -> str:
    found = re.search(rf'<article class="card" id="{key}">(.*?)</article>', page, re.DOTALL)
    assert found
    return words_of(found.group(1))


@pytest.fixture(params=["ordinary_week", "first_year", "unfinished", "first_week_of_all", "held", "empty_chain"])
def any_week(request: pytest.FixtureRequest, ordinary_week: WeeklyReport) -> WeeklyReport:
    kpi = ordinary_week.kpi
    if request.param == "unfinished":
        last = replace(kpi, days_elapsed=4, is_complete=False)
        return replace(ordinary_week, kpis=(*ordinary_week.kpis[:-1], last))
    if request.param == "first_week_of_all":
        return replace(ordinary_week, kpis=(kpi,), mix=ordinary_week.mix[-8:], last_year=None)
    if request.param == "held":
        return replace(ordinary_week, held_reason="the largest store's sales rose 100-fold")
    if request.param == "empty_chain":
        counts = {name: 0 for name, value in vars(kpi).items() if type(value) is int}
        money = {name: Decimal(0) for name, value in vars(kpi).items() if type(value) is Decimal}
        rates = {name: None for name in money if name.endswith("_rate") or name.startswith("average")}
        empty = replace(kpi, **counts | money | rates | {"days_elapsed": 7})
        return replace(ordinary_week, kpis=(empty,), last_year=None, mix=(), moves=(), stores=())
    week: WeeklyReport = request.getfixturevalue(request.param)
    return week


# ------------------------------------------------------------------------------------------ both languages


def test_english_page_has_no_chinese(any_week: WeeklyReport) -> None:
    stores = tuple(replace(store, store_name=f"Store {store.store_id}") for store in any_week.stores)
    page = words_of(render(replace(any_week, stores=stores), "en"))
    assert re.findall(r"[\u3000-\u9fff\uff00-\uffef]+", page) == []


def test_chinese_page_has_no_english(any_week: WeeklyReport) -> None:
    page = words_of(render(any_week, "zh"))
    page = re.sub(r"memberhouse report --week [\d-]+ --release \d+ --lang zh|ISO|UTC|\bW\d\d\b", "", page)
    assert re.findall(r"[A-Za-z]{2,}", page) == []


@pytest.mark.parametrize("lang", LANGUAGES)
def test_no_number_is_missing(any_week: WeeklyReport, lang: Language) -> None:
    page = words_of(render(any_week, lang))
    assert re.findall(r"None|nan\b|NaN|Undefined|Infinity|[{}]|-\d+[.%]", page) == []


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_page_needs_nothing_from_outside(ordinary_week: WeeklyReport, lang: Language) -> None:
    page = render(ordinary_week, lang)
    links = re.findall(r"""(?:href|src|xlink:href)=["']([^"']*)|url\(([^)]*)\)|@import|<script""", page)
    assert [link for link in links if link != ("data:,", "")] == []
    # the only addresses are the names of SVG's vocabularies
    assert set(re.findall(r"https?://[^\s\"'<]+", page)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }


def test_the_page_names_its_week_its_release_and_its_as_of_date(ordinary_week: WeeklyReport) -> None:
    page = render(ordinary_week, "en")
    assert "<title>Member report 2017-W52 · 25–31 December 2017</title>" in page
    assert "Published 3 January 2018 04:05 UTC" in page
    # at the head, and beside each chart and table
    assert page.count("as of 2 January 2018 · release 12") == 4
    assert "数据截至 2018年1月2日 · 发布版本 12" in render(ordinary_week, "zh")


# -------------------------------------------------------------------------------------------- five metrics


def test_a_card_has_value_parts_last_week_change_and_last_year(ordinary_week: WeeklyReport) -> None:
    page = render(ordinary_week, "en")
    growth, churn, repurchase, ticket, activity = (
        card(page, key) for key in ("growth", "churn", "repurchase", "ticket", "activity")
    )
    assert "0.60% 12 new ÷ 1,990 valid members at opening" in growth
    assert "Net growth 0.50%: from 1,990 to 2,000 valid members" in growth
    assert "Last week 0.60% Change no change Last year 1.23%" in growth
    assert "0.46% 9 lapsed or closed ÷ 1,950 members" in churn
    assert "78.9% 1,500 members with two or more purchase days ÷ 1,900" in repurchase
    assert "Last week 79.0% Change −0.1 points" in repurchase
    assert "30.62 61,234.00 ÷ 2,000 member receipts" in ticket
    assert "All receipts: 31.82. Spend per buying member: 50.00" in ticket
    assert "94.0% 1,880 members in an active stage ÷ 2,000 valid members" in activity


@pytest.mark.parametrize(("lang", "unknown"), [("en", "not observable yet"), ("zh", "尚无法观察")])
def test_what_a_first_year_cannot_show_is_said_and_never_zero(
    first_year: WeeklyReport, lang: Language, unknown: str
) -> None:
    page = render(first_year, lang)
    assert card(page, "churn").count(unknown) == 4  # the value, last week, the change, last year
    for key in ("growth", "repurchase", "ticket", "activity"):
        assert card(page, key).count(unknown) == 1  # last year
    assert "0.00%" not in card(page, "churn")


def test_a_last_year_of_a_few_days_is_not_a_last_year(ordinary_week: WeeklyReport) -> None:
    assert ordinary_week.last_year is not None
    began = replace(ordinary_week.last_year, is_complete=False, opening_members=0, growth_rate=None)
    page = render(replace(ordinary_week, last_year=began), "en")
    for key in ("growth", "churn", "repurchase", "ticket", "activity"):
        assert "Last year not observable yet" in card(page, key)


def test_caveats_are_said_in_words(first_year: WeeklyReport) -> None:
    said = "churn (not observable yet), churn over 12 months (not observable yet)"
    assert f"Not in these figures: {said}, members engaged in the app (not computed)." in render(first_year, "en")
    assert "流失率（尚无法观察）、12 个月流失率（尚无法观察）、应用互动会员（未计算）" in render(first_year, "zh")


def test_a_base_of_nobody_is_not_a_rate_of_zero(ordinary_week: WeeklyReport) -> None:
    opened = replace(ordinary_week.kpi, opening_members=0, growth_rate=None, churn_base=0, churn_rate=None)
    page = render(replace(ordinary_week, kpis=(opened,)), "en")
    assert "nothing to measure: the base is 0" in card(page, "growth")
    assert "nothing to measure: the base is 0" in card(page, "churn")


# --------------------------------------------------------------------------- weeks that must not look final


def with_this_week(report: WeeklyReport, **changes: object) -> WeeklyReport:
    return replace(report, kpis=(*report.kpis[:-1], replace(report.kpi, **changes)))


def test_a_complete_week_has_no_banner(ordinary_week: WeeklyReport) -> None:
    assert 'class="banner"' not in render(ordinary_week, "en")


def test_an_unfinished_week_says_so_first_and_is_not_compared(ordinary_week: WeeklyReport) -> None:
    page = render(with_this_week(ordinary_week, days_elapsed=4, is_complete=False), "en")
    assert page.index("This week is not finished: 4 of 7 days") < page.index("Five key metrics")
    for key in ("growth", "churn", "repurchase", "ticket", "activity"):
        assert "not compared: a week is incomplete" in card(page, key)
    assert "fewer than last week" not in page
    assert "Week complete: no, 4 of 7 days seen" in page


def test_a_week_with_missing_files_says_so(ordinary_week: WeeklyReport) -> None:
    page = render(with_this_week(ordinary_week, is_complete=False), "zh")
    assert "本周数据不完整" in page
    assert "不作比较：有一周数据不完整" in card(page, "growth")


def test_an_incomplete_week_before_is_not_compared_either(ordinary_week: WeeklyReport) -> None:
    before = replace(ordinary_week.kpis[-2], is_complete=False)
    page = render(replace(ordinary_week, kpis=(before, ordinary_week.kpi)), "en")
    assert "not compared" in card(page, "ticket")
    assert 'class="banner"' not in page


def test_held_data_is_told_with_the_gates_reason(ordinary_week: WeeklyReport) -> None:
    page = render(replace(ordinary_week, held_reason="sales of store <7> rose 100-fold"), "zh")
    assert page.index("更新的数据未通过质量检查") < page.index("五项关键数据")
    assert '<q lang="en">sales of store &lt;7&gt; rose 100-fold</q>' in page


# -------------------------------------------------------------------------------------- charts and movement


def test_each_chart_says_its_numbers_in_words(ordinary_week: WeeklyReport) -> None:
    page = render(ordinary_week, "en")
    charts = re.findall(r'<svg [^>]*role="img" aria-label="([^"]*)"', page)
    assert len(charts) == page.count("<svg ") == 5 + 2 * 2  # trends; two charts in two sizes
    assert all(charts)
    assert (
        "Stacked bars, one a week. At the close of 2017-W52: enrolled, no purchase 1.0%, "
        "first-time buyer 4.0%, active 75.0%, loyal 15.0%, at risk 3.0%, dormant 1.5%, churned 0.5%."
    ) in charts
    assert (
        "Bars, one a week. In 2017-W52: members 60,000.00, anonymous 20,000.00. "
        "Highest week 2017-W27 with 105,000.00, lowest 2017-W52 with 80,000.00."
    ) in charts


def test_the_mix_is_of_valid_members_and_says_who_is_left_out(ordinary_week: WeeklyReport) -> None:
    page = words_of(render(ordinary_week, "en"))
    assert "Not in the chart: 6 excluded members" in page
    assert "The loyal threshold is set anew each quarter (1 October 2017)" in page


def test_moves_are_listed_largest_first_and_small_ones_summed(ordinary_week: WeeklyReport) -> None:
    page = words_of(render(ordinary_week, "en"))
    assert "1,500 members stayed in their stage; 39 changed it or joined." in page
    listed = (
        "active at risk slipping away 15 not a member yet first-time buyer joined 12 "
        "at risk active woken up 5 3 other kinds of move, 7 members in all"
    )
    assert listed in page


def test_the_balance_adds_up(ordinary_week: WeeklyReport) -> None:
    page = words_of(render(ordinary_week, "en"))
    assert "active 1,497 5 17 1,485 −12" in page  # opening + in − out = close
    assert "All members 1,527 12 0 1,539 +12" in page


def test_a_week_in_which_nobody_moved(ordinary_week: WeeklyReport) -> None:
    page = render(replace(ordinary_week, moves=(Move("S05", "S05", 10),)), "en")
    assert "Nobody changed stage this week." in page


# ---------------------------------------------------------------------------------------------------- stores


def store(name: str, buying_members: int, **changes: object) -> Store:
    row = Store(name, name, Decimal(777), None, 9, Decimal("86.33"), 50, Decimal("0.9"), buying_members)
    return replace(row, **changes)


def test_highest_and_lowest_stores(ordinary_week: WeeklyReport) -> None:
    page = words_of(render(ordinary_week, "en"))
    assert "The 8 highest Store Net sales Change Sale receipts Ticket Repurchase 店 1 29,000.00 +2,800.0%" in page
    assert "The 8 lowest" in page
    assert "店 20 10,000.00 +900.0% 40 25.00 50.0%" in page
    assert "店 9 " not in page  # neither among the highest nor the lowest


def test_a_few_stores_are_one_table(ordinary_week: WeeklyReport) -> None:
    page = words_of(render(replace(ordinary_week, stores=ordinary_week.stores[:16]), "en"))
    assert "All stores shown" in page
    assert "highest" not in page


def test_store_names_are_escaped(ordinary_week: WeeklyReport) -> None:
    page = render(replace(ordinary_week, stores=(store("<b>R&D</b>", 9),)), "en")
    assert "&lt;b&gt;R&amp;D&lt;/b&gt;" in page
    assert "<b>R&D</b>" not in page


@pytest.mark.parametrize(("buying_members", "shown"), [(0, True), (1, False), (4, False), (5, True)])
def test_a_store_where_under_five_members_bought_is_not_shown_by_itself(
    ordinary_week: WeeklyReport, buying_members: int, shown: bool
) -> None:
    page = render(replace(ordinary_week, stores=(store("Corner", buying_members),)), "en")
    assert ("Corner" in page) == shown
    assert ("777.00" in page) == shown


def test_small_stores_are_summed_when_the_sum_names_nobody(ordinary_week: WeeklyReport) -> None:
    together = render(replace(ordinary_week, stores=(store("a", 3), store("b", 2))), "en")
    assert "2 stores where fewer than 5 members bought, together 1,554.00" in together
    too_few = render(replace(ordinary_week, stores=(store("a", 2), store("b", 2))), "en")
    assert "2 stores where fewer than 5 members bought." in too_few
    assert "1,554.00" not in too_few


@pytest.mark.parametrize(("purchasers", "shown"), [(4, False), (5, True)])
def test_the_repurchase_of_under_five_is_not_shown(ordinary_week: WeeklyReport, purchasers: int, shown: bool) -> None:
    row = store("Corner", 9, purchasers_365=purchasers, repurchase_rate=Decimal("0.375"))
    page = words_of(render(replace(ordinary_week, stores=(row,)), "en"))
    assert ("37.5%" in page) == shown
    assert ("86.33 under 5" in page) != shown


def test_last_week_is_the_week_before_and_not_the_row_before(ordinary_week: WeeklyReport) -> None:
    earlier = ordinary_week.kpi.week_start - timedelta(days=14)
    rows: tuple[Kpi, ...] = (replace(ordinary_week.kpi, week_start=earlier), ordinary_week.kpi)
    page = render(replace(ordinary_week, kpis=rows), "en")
    assert "Last week not observable yet" in card(page, "ticket")
