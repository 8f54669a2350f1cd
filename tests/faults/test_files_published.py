"""Bad files beside the real sample's good ones, through build, gate and publication: what readers see."""

from __future__ import annotations

import shutil
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest
from tests.conftest import EVE, LAST_DAY
from tests.conservation import assert_conserved
from tests.gate.conftest import LastDay
from tests.late_sales import land, land_late_sale

from memberhouse import db, gate, release
from memberhouse import warehouse as building
from memberhouse.landing import NewFile, write_batch
from memberhouse.load import load_landed
from memberhouse.settings import Settings

pytestmark = pytest.mark.services

FORTY_DAYS_BEFORE = EVE - timedelta(days=40)


@pytest.fixture
def last_day(tmp_path: Path, sample_landing: Path) -> LastDay:
    return LastDay(tmp_path / "landing", sample_landing)


def test_bad_batches_are_left_out_the_good_ones_published_and_a_day_that_is_missing_holds(
    sample_until_the_eve: Settings, published_sample: Settings, sample_landing: Path, last_day: LastDay
) -> None:
    settings, landing = sample_until_the_eve, last_day.landing
    eve, undisturbed = _content(settings), _content(published_sample)
    shutil.copytree(sample_landing / "app", landing / "app")
    _land_bad_batches_that_do_not_matter(landing, sample_landing)
    _land_with_bad_rows(last_day, "receipts", share=0.10)
    _land_with_bad_rows(last_day, "receipt_lines", share=0.01)

    report = load_landed(settings, landing)

    assert {result.batch.split("/", 1)[1]: result.code for result in report.refused} == {
        "tenders/2017-12-31/all/cut-short": "truncated_gzip",
        "z_totals/2017-12-31/all/empty": "empty_file",
        "receipts/2017-12-30/all/receipts-20171230": "changed_without_revision",
        "receipts/2017-12-31/all/receipts-r0": "too_many_bad_rows",
    }
    assert [result.batch for result in report.duplicates] == ["pos/receipt_lines/2017-12-30/all/again"]
    assert report.rows_quarantined == 50
    assert_conserved(settings)
    building.build(settings, LAST_DAY)
    (verdict,) = gate.evaluate(settings, group="core")
    assert verdict.verdict == "held"
    assert verdict.reason.startswith(
        "intermediate.int_audit__landing: is_open_refusal should be False, observed True (store_id all,"
        " business_date 2017-12-31, feed receipts, batch_name receipts-r0, reason receipts.csv.gz: at least 52 of"
        " 567 rows are bad, more than the allowed 5%. Most common: 52 × net_amount is 'NaN', which is no"
        " money (such as 1234.50)"
    ), verdict.reason
    with pytest.raises(release.ReleaseHeld, match="receipts-r0"):
        release.publish(settings)
    assert _content(settings) == eve
    with db.connect(settings) as conn:
        state, reason, as_of = conn.execute("select state, reason, as_of_date from bi.freshness").fetchone()
    assert (state, reason, as_of) == ("held", verdict.reason, EVE)

    # the sender mends the one batch that matters; all the other bad ones still lie there
    _land_with_bad_rows(last_day, "receipts", share=0.01)
    report = load_landed(settings, landing)
    assert (len(report.loaded), len(report.still_refused)) == (1, 3)
    assert_conserved(settings)
    _publish(settings, LAST_DAY)
    assert _content(settings) == undisturbed


def test_a_batch_forty_days_late_is_accepted_and_restates_its_day_and_week(
    sample_until_the_eve: Settings, tmp_path: Path
) -> None:
    settings, day = sample_until_the_eve, FORTY_DAYS_BEFORE
    week = day - timedelta(days=day.weekday())
    before, facts, weeks = _content(settings), _sales_by_day(settings), _kpi_by_week(settings)
    land_late_sale(tmp_path / "landing", settings, day, Decimal("1000.00"))

    report = load_landed(settings, tmp_path / "landing")
    assert (report.rows_loaded, report.rows_quarantined, report.refused) == (2, 0, [])
    assert_conserved(settings)
    with db.connect(settings) as conn:
        ((as_published,),) = conn.execute("select distinct release_id from release.current").fetchall()
    _publish(settings, EVE)

    now = _sales_by_day(settings)
    assert {touched for touched in now if now[touched] != facts[touched]} == {day}
    assert now[day] == (facts[day][0] + 1, facts[day][1] + 1, facts[day][2] + 1000)
    restated = _kpi_by_week(settings)
    assert {monday for monday in restated if restated[monday] != weeks[monday]} == {week}
    assert restated[week] == (weeks[week][0] + 1, weeks[week][1] + 1000)
    with db.connect(settings) as conn:
        conn.execute("select set_config('memberhouse.release', %s, false)", (str(as_published),))
        assert release.content_hash(conn) == before


def _publish(settings: Settings, as_of: date) -> None:
    building.build(settings, as_of)
    for verdict in gate.evaluate(settings):
        assert verdict.verdict == "passed", verdict.reason
    release.publish(settings)


def _content(settings: Settings) -> dict[str, str]:
    with db.connect(settings) as conn:
        return release.content_hash(conn)


# ---------------------------------------------------------------- what is landed


def _land_with_bad_rows(last_day: LastDay, feed: str, share: float) -> None:
    """The last day's real rows, and behind them so many that can't be read."""
    rows = last_day.rows(feed)
    bad = rows.head(round(len(rows) * share)).assign(net_amount="NaN")
    land(last_day.landing, feed, LAST_DAY, f"{feed}-r0", pd.concat([rows, bad]))


def _land_bad_batches_that_do_not_matter(landing: Path, sample: Path) -> None:
    folder = land(landing, "tenders", LAST_DAY, "cut-short", pd.DataFrame({"store_id": ["367"] * 500}))
    stored = (folder / "tenders.csv.gz").read_bytes()
    (folder / "tenders.csv.gz").write_bytes(stored[:-8])
    manifest = (folder / "manifest.json").read_text()
    (folder / "manifest.json").write_text(manifest.replace(f'"bytes": {len(stored)}', f'"bytes": {len(stored) - 8}'))
    write_batch(
        landing,
        source="pos",
        feed="z_totals",
        business_date=LAST_DAY,
        name="empty",
        produced_at=datetime(2018, 1, 1, 6, tzinfo=UTC),
        files=[NewFile("z_totals.csv", b"", rows=0)],
    )
    (receipts,) = (sample / "pos/receipts" / str(EVE)).glob("all/*/receipts.csv.gz")
    rows = pd.read_csv(receipts, dtype=str, keep_default_na=False)
    land(landing, "receipts", EVE, "receipts-20171230", rows.head(len(rows) // 2))
    (again,) = (sample / "pos/receipt_lines" / str(EVE)).glob("all/*")
    shutil.copytree(again, landing / "pos/receipt_lines" / str(EVE) / "all/again")


# ---------------------------------------------------------------- what is read


def _sales_by_day(settings: Settings) -> dict[date, tuple[int, int, Decimal]]:
    """Business date → receipts, lines, net amount of the lines."""
    with db.connect(settings) as conn:
        rows = conn.execute(
            "select business_date, count(distinct receipt_id), count(*), sum(net_amount)"
            " from bi.fct_receipt_line group by 1"
        ).fetchall()
    return {day: (receipts, lines, amount) for day, receipts, lines, amount in rows}


def _kpi_by_week(settings: Settings) -> dict[date, tuple[int, Decimal]]:
    """Monday → head office's sales: receipts, net amount."""
    with db.connect(settings) as conn:
        rows = conn.execute(
            "select week_start, sale_receipts, sale_net_amount from bi.kpi_weekly where level = 'hq'"
        ).fetchall()
    return {week: (receipts, amount) for week, receipts, amount in rows}
