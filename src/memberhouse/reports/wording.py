"""The report's words and number formats, in English and Chinese."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from importlib import resources
from typing import Any, Literal

import yaml

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")

MINUS = "\N{MINUS SIGN}"
MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]


@cache
def catalogue() -> dict[str, dict[str, Any]]:
    """Every text by its key, then by language."""
    text = (resources.files("memberhouse.reports") / "wording.yml").read_text(encoding="utf-8")
    loaded: dict[str, dict[str, Any]] = yaml.safe_load(text)
    return loaded


@dataclass(frozen=True)
class Wording:
    """Texts and formats of one language."""

    lang: Language

    def text(self, key: str, **values: object) -> str:
        """The text of ``key`` with its braces filled. KeyError: no such text, or a value is missing."""
        return str(catalogue()[key][self.lang]).format(**values)

    def texts(self, key: str) -> list[str]:
        """The paragraphs of ``key``."""
        return list(catalogue()[key][self.lang])

    def listed(self, items: Iterable[str]) -> str:
        """Items in a row, with the language's separator."""
        return self.text("list_separator").join(items)

    def clauses(self, items: Iterable[str]) -> str:
        """Longer items in a row."""
        return self.text("clause_separator").join(items)

    def caveats(self, caveats: str) -> str:
        """The warehouse's caveats (``subject: state; …``) in this language; an unknown one as it stands."""
        subjects, states = (catalogue()[key][self.lang] for key in ("caveat_subjects", "caveat_states"))
        sentences = []
        for caveat in filter(None, (part.strip() for part in caveats.split(";"))):
            subject, _, state = (part.strip() for part in caveat.partition(":"))
            if subject in subjects and state in states:
                sentences.append(self.text("caveat_sentence", subject=subjects[subject], state=states[state]))
            else:
                sentences.append(caveat)
        return self.listed(sentences)

    # ------------------------------------------------------------------------------------------- formats

    def count(self, number: int) -> str:
        """1234 → 1,234."""
        return _signed(f"{number:,}")

    def change_of_count(self, number: int) -> str:
        """5 → +5, 0 → 0."""
        return _signed(f"{number:+,}") if number else "0"

    def amount(self, amount: Decimal) -> str:
        """Money with two decimals, in the warehouse's currency, which has no sign here."""
        return _signed(f"{_rounded(amount, 2):,}")

    def rate(self, rate: Decimal, places: int = 1) -> str:
        """0.9417 → 94.2%."""
        return _signed(f"{_rounded(rate * 100, places):,}%")

    def change_of_rate(self, change: Decimal, places: int = 1) -> str:
        """0.0017 → +0.2 points; what rounds to nothing is no change."""
        points = _rounded(change * 100, places)
        return self.text("points", change=_signed(f"{points:+,}")) if points else self.text("unchanged")

    def relative_change(self, now: Decimal, before: Decimal) -> str:
        """(110, 100) → +10.0%. ``before`` is not 0."""
        change = _rounded((now - before) / abs(before) * 100, 1)
        return _signed(f"{change:+,}%") if change else self.text("unchanged")

    def day(self, day: date) -> str:
        """25 December 2017, 2017年12月25日."""
        if self.lang == "zh":
            return f"{day.year}年{day.month}月{day.day}日"
        return f"{day.day} {MONTHS[day.month - 1]} {day.year}"

    def days(self, first: date, last: date) -> str:
        """A span of days: 25–31 December 2017, 2017年12月25日—31日."""
        same_year, same_month = first.year == last.year, (first.year, first.month) == (last.year, last.month)
        if self.lang == "zh":
            end = f"{last.day}日" if same_month else f"{last.month}月{last.day}日"
            return f"{self.day(first)}—{end if same_year else self.day(last)}"
        if same_month:
            return f"{first.day}–{self.day(last)}"
        start = f"{first.day} {MONTHS[first.month - 1]}" if same_year else self.day(first)
        return f"{start} – {self.day(last)}"

    def moment(self, moment: datetime) -> str:
        """A moment in UTC, to the minute."""
        utc = moment.astimezone(UTC)
        return f"{self.day(utc.date())} {utc:%H:%M} UTC"


def _rounded(value: Decimal, places: int) -> Decimal:
    """Rounded half away from zero; never a negative zero."""
    rounded = Decimal(value).quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)
    return rounded if rounded else abs(rounded)


def _signed(number: str) -> str:
    return number.replace("-", MINUS)
