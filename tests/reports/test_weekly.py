"""The report from a published warehouse: one release, the same bytes, clear refusals, and a real browser."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest
from psycopg.types.json import Jsonb

from memberhouse import db
from memberhouse.errors import MemberhouseError
from memberhouse.reports import weekly, weekly_data
from memberhouse.reports.wording import LANGUAGES
from memberhouse.settings import Settings

CHROMIUM = Path(os.environ.get("MEMBERHOUSE_CHROMIUM", "/usr/bin/chromium"))
W52 = date(2017, 12, 28)

pytestmark = pytest.mark.services


def releases(settings: Settings) -> list[int]:
    with db.connect(settings) as conn:
        rows = conn.execute(
            "select distinct release_id from bi.release_history where published_at is not null order by release_id"
        ).fetchall()
    return [row[0] for row in rows]


def test_the_real_week_is_written_in_both_languages(published_sample: Settings, tmp_path: Path) -> None:
    for lang in LANGUAGES:
        path = weekly.write(published_sample, W52, tmp_path, lang=lang)
        assert path == tmp_path / f"member-report-2017-W52.{lang}.html"
        assert "80,829.17" in path.read_text(encoding="utf-8")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "member-report-2017-W52.en.html",
        "member-report-2017-W52.zh.html",
    ]


def test_any_day_of_the_week_and_any_time_give_the_same_bytes(published_sample: Settings, tmp_path: Path) -> None:
    monday = weekly.write(published_sample, date(2017, 12, 25), tmp_path / "monday").read_bytes()
    sunday = weekly.write(published_sample, date(2017, 12, 31), tmp_path / "sunday").read_bytes()
    newest = releases(published_sample)[-1]
    again = weekly.write(published_sample, W52, tmp_path / "again", release=newest).read_bytes()
    assert monday == sunday == again


def test_an_old_release_is_reported_as_it_was_published(published_sample: Settings, tmp_path: Path) -> None:
    the_eve, the_end = releases(published_sample)[-2:]
    old = weekly.write(published_sample, W52, tmp_path / "old", release=the_eve).read_text(encoding="utf-8")
    new = weekly.write(published_sample, W52, tmp_path / "new").read_text(encoding="utf-8")
    assert "This week is not finished: 6 of 7 days" in old
    assert set(re.findall(r"[Rr]elease (\d+)", old)) == {str(the_eve)}
    assert "not finished" not in new
    assert set(re.findall(r"[Rr]elease (\d+)", new)) == {str(the_end)}


def test_a_publication_during_the_reading_changes_nothing(
    published_sample: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every query of one page runs in one transaction that sees one release, set for it alone."""
    seen: list[tuple[str, str, str]] = []
    query = weekly_data._query

    def watching(conn: psycopg.Connection, *args: object, **values: object) -> list[object]:
        row = conn.execute(
            "select current_setting('transaction_isolation'), current_user,"
            " coalesce(current_setting('memberhouse.release', true), '')"
        ).fetchone()
        assert row is not None
        seen.append(row)
        return query(conn, *args, **values)

    monkeypatch.setattr(weekly_data, "_query", watching)
    weekly_data.fetch(published_sample, W52)
    newest = str(releases(published_sample)[-1])
    assert {row[:2] for row in seen} == {("repeatable read", db.BI_ROLE)}
    assert [row[2] for row in seen][1:] == [newest] * (len(seen) - 1)
    assert len(seen) == 6


def test_the_figures_are_those_of_bi(published_sample: Settings) -> None:
    report = weekly_data.fetch(published_sample, W52)
    assert report.kpi.net_sales_amount == Decimal("80829.17")
    assert len(report.kpis) == weekly_data.WEEKS_SHOWN
    # the data begins on the last day of the week a year before: it is there, and it is not complete
    assert report.last_year is not None
    assert report.last_year.week_start == date(2016, 12, 26)
    assert not report.last_year.is_complete
    this_week = [row for row in report.mix if row.week_start == report.monday]
    assert sum(row.members for row in this_week if row.stage_code != "X") == report.kpi.valid_members
    assert sum(move.members for move in report.moves if move.from_stage not in ("NEW", "X")) == (
        report.kpi.opening_members
    )
    assert sum(store.net_sales_amount for store in report.stores) == report.kpi.net_sales_amount


def test_held_data_is_told_on_the_current_page_only(sample_until_the_eve: Settings, tmp_path: Path) -> None:
    (published,) = releases(sample_until_the_eve)
    with db.connect(sample_until_the_eve) as conn:
        held = published + 1
        conn.execute(
            "insert into release.release select (jsonb_populate_record(r, %s)).* from release.release as r"
            " where release_id = %s",
            (Jsonb({"release_id": held, "as_of_date": "2017-12-31"}), published),
        )
        conn.execute(
            "insert into release.verdict"
            " (release_id, group_name, verdict, reason, checks_evaluated, checks_failed)"
            " values (%s, 'core', 'held', 'net sales of a store rose 100-fold', 30, 1)",
            (held,),
        )
    current = weekly.write(sample_until_the_eve, W52, tmp_path / "a").read_text(encoding="utf-8")
    archive = weekly.write(sample_until_the_eve, W52, tmp_path / "b", release=published)
    assert "Newer data was held back" in current
    assert "net sales of a store rose 100-fold" in current
    assert "held back" not in archive.read_text(encoding="utf-8")


def refusal(write: Callable[[], object]) -> str:
    with pytest.raises(MemberhouseError) as caught:
        write()
    return str(caught.value)


def test_a_week_without_data_says_which_weeks_there_are(published_sample: Settings, tmp_path: Path) -> None:
    said = refusal(lambda: weekly.write(published_sample, date(2018, 2, 1), tmp_path))
    assert "has no week 2018-W05: it has the weeks 2016-W52 to 2017-W52" in said
    assert list(tmp_path.iterdir()) == []


def test_a_release_that_was_never_published_is_refused(published_sample: Settings, tmp_path: Path) -> None:
    assert "Release 9999 was never published" in refusal(
        lambda: weekly.write(published_sample, W52, tmp_path, release=9999)
    )


def test_an_empty_warehouse_is_refused_in_words(warehouse: Settings, tmp_path: Path) -> None:
    with db.connect(warehouse) as conn:
        db.ensure_schema(conn)
    assert "Nothing is published yet" in refusal(lambda: weekly.write(warehouse, W52, tmp_path))


def test_another_language_is_refused_in_words(published_sample: Settings, tmp_path: Path) -> None:
    assert "choose one of en, zh" in refusal(lambda: weekly.write(published_sample, W52, tmp_path, lang="de"))


@pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no browser at {CHROMIUM}: apt-get install chromium")
@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_page_in_a_browser(published_sample: Settings, tmp_path: Path, lang: str, width: int) -> None:
    from playwright.sync_api import sync_playwright

    path = weekly.write(published_sample, W52, tmp_path, lang=lang)
    complaints: list[str] = []
    requests: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": 900}, java_script_enabled=True)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(path.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") == width
        images = page.locator("svg[role=img]:visible")
        labels = [image.get_attribute("aria-label") for image in images.all()]
        assert len(labels) >= 2 + 4  # two charts, and a trend in each card that has one
        assert all(labels)
        browser.close()
    assert complaints == []
    assert [url for url in requests if url not in (path.as_uri(), "data:,")] == []
