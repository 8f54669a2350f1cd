"""The catalogue is whole in both languages, and numbers look as they should in each."""

from __future__ import annotations

import re
import string
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib import resources

import pytest

from memberhouse.reports.wording import LANGUAGES, Language, Wording, catalogue


def placeholders(text: object) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(str(text)) if name}


@pytest.mark.parametrize("key", sorted(catalogue()))
def test_every_text_stands_in_both_languages_with_the_same_blanks(key: str) -> None:
    texts = catalogue()[key]
    assert set(texts) == set(LANGUAGES)
    assert len(texts["en"]) > 0
    assert len(texts["zh"]) > 0
    if isinstance(texts["en"], str):
        assert placeholders(texts["en"]) == placeholders(texts["zh"])
    else:
        assert len(texts["en"]) == len(texts["zh"])


@pytest.mark.parametrize("key", sorted(catalogue()))
def test_every_text_is_used(key: str) -> None:
    folder = resources.files("memberhouse.reports")
    code = "".join(
        (folder / name).read_text(encoding="utf-8") for name in ("weekly_page.py", "wording.py", "weekly.html.j2")
    )
    assert re.search(rf"""["']{key}["']""", code) or key.startswith("basis_")


@pytest.mark.parametrize(
    ("lang", "first", "last", "written"),
    [
        ("en", date(2017, 12, 25), date(2017, 12, 31), "25–31 December 2017"),
        ("en", date(2017, 11, 27), date(2017, 12, 3), "27 November – 3 December 2017"),
        ("en", date(2016, 12, 26), date(2017, 1, 1), "26 December 2016 – 1 January 2017"),
        ("zh", date(2017, 12, 25), date(2017, 12, 31), "2017年12月25日—31日"),
        ("zh", date(2017, 11, 27), date(2017, 12, 3), "2017年11月27日—12月3日"),
        ("zh", date(2016, 12, 26), date(2017, 1, 1), "2016年12月26日—2017年1月1日"),
    ],
)
def test_a_week_is_written_as_people_write_it(lang: Language, first: date, last: date, written: str) -> None:
    assert Wording(lang).days(first, last) == written


@pytest.mark.parametrize(
    ("rate", "written"),
    [
        ("0.9417", "94.2%"),
        ("0.00049", "0.0%"),
        ("0.0005", "0.1%"),
        ("-0.0721", "−7.2%"),
        ("12.5", "1,250.0%"),
    ],
)
def test_rates(rate: str, written: str) -> None:
    assert Wording("en").rate(Decimal(rate)) == written


@pytest.mark.parametrize(
    ("change", "written"),
    [("0.002", "+0.2 points"), ("-0.002", "−0.2 points"), ("0.0004", "no change"), ("-0.0004", "no change")],
)
def test_a_change_that_rounds_to_nothing_is_no_change(change: str, written: str) -> None:
    assert Wording("en").change_of_rate(Decimal(change)) == written


@pytest.mark.parametrize(
    ("now", "before", "written"),
    [
        ("110", "100", "+10.0%"),
        ("90", "100", "−10.0%"),
        ("100.001", "100", "no change"),
        ("-50", "100", "−150.0%"),
    ],
)
def test_relative_change(now: str, before: str, written: str) -> None:
    assert Wording("en").relative_change(Decimal(now), Decimal(before)) == written


def test_money_counts_and_moments() -> None:
    wording = Wording("zh")
    assert wording.amount(Decimal("-1234567.005")) == "−1,234,567.01"
    assert wording.amount(Decimal("-0.001")) == "0.00"
    assert wording.count(-1234) == "−1,234"
    assert wording.moment(datetime(2018, 1, 3, 23, 59, 59, tzinfo=UTC)) == "2018年1月3日 23:59 UTC"


def test_a_caveat_that_nobody_translated_is_not_swallowed() -> None:
    said = Wording("zh").caveats("churn: not observable yet; footfall: counter broken")
    assert said == "流失率（尚无法观察）、footfall: counter broken"
