"""The weekly head-office report: one self-contained HTML page, from ``bi`` at one release."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from memberhouse.errors import MemberhouseError
from memberhouse.reports.weekly_data import fetch
from memberhouse.reports.weekly_page import render
from memberhouse.reports.wording import LANGUAGES, Language
from memberhouse.settings import Settings


def write(settings: Settings, week: date, out: Path, lang: str = "en", release: int | None = None) -> Path:
    """Write the report of the ISO week that holds ``week`` into the folder ``out``; answers the file.

    lang: ``en`` or ``zh``. release: as published in this release; by default the one that is out.
    The same week, release and language give the same bytes: nothing on the page comes from the clock.
    Only a page of the current release (``release`` not given) says when newer data was held back.

    Raises `MemberhouseError` for another language, an unpublished release, or a week that is not in it.
    """
    language = _language(lang)
    report = fetch(settings, week, release)
    path = page(out, report.monday, language)
    out.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    unfinished.write_text(render(report, language), encoding="utf-8", newline="\n")
    unfinished.replace(path)
    return path


def page(out: Path, week: date, lang: str) -> Path:
    """Where the report of the ISO week that holds ``week`` is written to."""
    return out / f"member-report-{week:%G-W%V}.{lang}.html"


def _language(lang: str) -> Language:
    for language in LANGUAGES:
        if language == lang:
            return language
    raise MemberhouseError(f"The report is not written in {lang!r}.", f"choose one of {', '.join(LANGUAGES)}.")
