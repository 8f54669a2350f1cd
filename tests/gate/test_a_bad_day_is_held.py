"""A day that every file check lets through and that no reader must see: from the landed files to `bi`."""

from __future__ import annotations

import os
import subprocess
import sys

import pandas as pd
import pytest
from tests.gate.conftest import LastDay, times_100

from memberhouse import db, release
from memberhouse.settings import Settings

pytestmark = pytest.mark.services

AMOUNTS = {
    "receipts": ["gross_amount", "discount_amount", "net_amount"],
    "receipt_lines": ["unit_price", "discount_amount", "net_amount"],
}


def test_a_store_that_sends_its_amounts_in_cents_is_held_and_its_correction_published(
    sample_until_the_eve: Settings, last_day: LastDay
):
    settings = sample_until_the_eve
    largest = last_day.store_by_sales(largest=True)
    before = _content(settings)
    last_day.land(lambda feed, rows: times_100(rows, largest, AMOUNTS[feed]))

    held = _memberhouse(settings, "run", str(last_day.landing), "--as-of", "2017-12-31")

    assert held.returncode == 3, held.stderr
    assert "int_audit__store_days" in held.stdout
    assert f"store_id {largest}, business_date 2017-12-31" in held.stdout
    assert "pos/receipt_lines/2017-12-31/all/receipt_lines-r0" in held.stdout
    assert _content(settings) == before
    with db.connect(settings) as conn:
        state, reason, as_of = conn.execute("select state, reason, as_of_date::text from bi.freshness").fetchone()
        assert (state, as_of) == ("held", "2017-12-30")
        assert largest in reason
        assert conn.execute("select count(*) from ops.alert").fetchone() == (1,)
    status = _memberhouse(settings, "status")
    assert "Last trouble: gate" in status.stdout
    assert largest in status.stdout
    assert "“Release held”" in status.stdout

    last_day.land(revision=1)
    published = _memberhouse(settings, "run", str(last_day.landing), "--as-of", "2017-12-31")

    assert published.returncode == 0, published.stderr
    with db.connect(settings) as conn:
        assert conn.execute("select state, reason, as_of_date::text from bi.freshness").fetchone() == (
            "fresh",
            None,
            "2017-12-31",
        )
        assert conn.execute("select sum(net_amount)::text from bi.fct_receipt_line").fetchone() == ("4596039.58",)
        assert conn.execute("select count(*) from bi.fct_receipt").fetchone() == (155_848,)
    assert "no step failed" in _memberhouse(settings, "status").stdout


@pytest.mark.parametrize(
    "columns", [pytest.param(["unit_price"], marks=pytest.mark.full), ["unit_price", "discount_amount", "net_amount"]]
)
def test_the_smallest_stores_prices_times_100_are_held(
    sample_until_the_eve: Settings, last_day: LastDay, columns: list[str]
):
    """One or two lines of 5,546: no total of the day shows it."""
    settings = sample_until_the_eve
    smallest = last_day.store_by_sales(largest=False)
    before = _content(settings)

    def tamper(feed: str, rows: pd.DataFrame) -> pd.DataFrame:
        wanted = columns if feed == "receipt_lines" else (AMOUNTS[feed] if len(columns) > 1 else [])
        return times_100(rows, smallest, wanted)

    last_day.land(tamper)

    held = _memberhouse(settings, "run", str(last_day.landing), "--as-of", "2017-12-31")

    assert held.returncode == 3, held.stderr
    assert f"store_id {smallest}" in held.stdout
    assert _content(settings) == before


def _content(settings: Settings) -> dict[str, str]:
    with db.connect(settings) as conn:
        return release.content_hash(conn)


def _memberhouse(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from memberhouse.cli import main; main()", *arguments],
        env={
            **os.environ,
            "DATABASE_URL": settings.database_url or "",
            "MEMBERHOUSE_HOME": str(settings.home),
        },
        capture_output=True,
        text=True,
        check=False,
    )
