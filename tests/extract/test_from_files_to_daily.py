"""Who was a member before, with tier and points, comes once as files; from then on the app is asked every day. In the
end the warehouse holds what it would hold if all of it had come as files: no seam, nothing lost, nothing twice.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.back_end import TOKEN, served
from tests.conftest import new_warehouse
from tests.conservation import assert_conserved

from memberhouse import db
from memberhouse.extract import ORDER_RESOURCES, RESOURCES, extract
from memberhouse.landing import LandedBatch, find_batches
from memberhouse.load import load_landed
from memberhouse.settings import AppBackEnd as Address
from memberhouse.settings import Settings
from memberhouse.simulate.app_backend import AppBackEnd, read_landed
from memberhouse.simulate.chain import write_chain
from memberhouse.simulate.chain.landing import produced_at
from memberhouse.sources.feeds import FEEDS

pytestmark = pytest.mark.services

LAST_DAY = date(2026, 6, 28)
FILES_UNTIL = LAST_DAY - timedelta(days=20)
_RARE = ("benefit_uses", "receipt_claims", "member_status")  # so few members have none
LOADS = [FILES_UNTIL + timedelta(days=number) for number in (1, 2, 9, 20)]  # a week and more was missed


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A chain with 300 members; of the last 20 days each store's batches, the app's too, lie apart."""
    folder = tmp_path_factory.mktemp("opening") / "files"
    write_chain(folder, members=300, days=40, seed=5, until=LAST_DAY, store_days=20)
    return folder


@pytest.fixture(scope="module")
def by_files(files: Path, server_home: Path) -> Iterator[Settings]:
    """A warehouse to which everything came as files."""
    with new_warehouse(server_home) as settings:
        load_landed(settings, files)
        yield settings


@pytest.fixture(scope="module")
def by_road(files: Path, server_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """One to which the app's rows came as files first and were extracted later. The back end knows all of them."""
    landing = tmp_path_factory.mktemp("opening") / "landing"
    back_end = AppBackEnd(TOKEN, read_landed(files), now=produced_at(FILES_UNTIL))
    with new_warehouse(server_home) as settings, served(back_end) as url:
        settings = replace(settings, app=Address(url, TOKEN))
        for batch in find_batches(files, until=FILES_UNTIL):
            shutil.copytree(batch.folder, landing / Path(batch.folder).relative_to(files))
        load_landed(settings, landing)
        for day in LOADS:
            back_end.now = produced_at(day)
            for batch in find_batches(files, until=day):
                if batch.business_date > FILES_UNTIL and not _from_the_app(batch):
                    place = landing / Path(batch.folder).relative_to(files)
                    shutil.copytree(batch.folder, place, dirs_exist_ok=True)
            for resource in RESOURCES:
                extract(settings, landing, resource, day)
            report = load_landed(settings, landing)
            assert not report.refused
        yield settings


def _from_the_app(batch: LandedBatch) -> bool:
    return batch.source == "app" or (batch.store_id == "APP" and batch.feed in ORDER_RESOURCES)


@pytest.mark.parametrize(("source", "feed"), sorted(FEEDS))
def test_there_is_no_seam(by_files: Settings, by_road: Settings, source: str, feed: str) -> None:
    expected = _newest(by_files, source, feed)
    assert expected or feed in _RARE
    assert _newest(by_road, source, feed) == expected


def test_balances_and_tiers_go_on_from_where_they_were(by_road: Settings) -> None:
    opening, later, negative = _rows(
        by_road,
        "select sum(points) filter (where type = 'adjust'), count(*) filter (where type <> 'adjust'),"
        " (select count(*) from (select 1 from raw.app__points_entries group by account_id, card_no"
        "  having sum(points) < 0) as balance) from raw.app__points_entries",
    )[0]
    assert opening > 0
    assert later > 0
    assert negative == 0
    changes = _rows(
        by_road,
        "select reason, count(*), count(*) filter (where valid_from = since) from (select card_no, reason, valid_from,"
        " min(valid_from) over (partition by card_no) as since from raw.pos__member_tiers) as change group by reason",
    )
    first = {reason: (number, of_them_first) for reason, number, of_them_first in changes}
    assert first["opening"][0] == first["opening"][1] > 50
    assert first["enrolled"][0] == first["enrolled"][1] > 0
    assert all(
        of_them_first == 0 for reason, (_, of_them_first) in first.items() if reason not in ("opening", "enrolled")
    )


def test_nothing_was_put_aside_and_every_row_is_accounted_for(by_road: Settings) -> None:
    assert _rows(by_road, "select reason from quarantine.rejected_row") == []
    assert_conserved(by_road)


def test_the_opening_sent_again_under_another_name_is_nothing_new(
    by_road: Settings, files: Path, tmp_path: Path
) -> None:
    before = _rows(by_road, "select count(*), sum(points) from raw.app__points_entries")
    batch = next(batch for batch in find_batches(files) if batch.feed == "points_entries")
    folder = Path(batch.folder)
    again = tmp_path / Path(folder).relative_to(files).with_name("sent-again")
    shutil.copytree(folder, again)
    report = load_landed(by_road, tmp_path)
    assert len(report.duplicates) == 1
    assert _rows(by_road, "select count(*), sum(points) from raw.app__points_entries") == before


def _newest(settings: Settings, source: str, name: str) -> list[tuple[Any, ...]]:
    """The newest version of each row of the feed; that no version stands twice is seen on the way."""
    feed = FEEDS[source, name]
    newest = f"{feed.version} desc nulls last," if feed.version else ""
    rows = _rows(
        settings,
        f"select distinct on ({', '.join(feed.key)})"
        " to_jsonb(one) - '{_batch_id,_file_no,_line_no,_extra}'::text[]"
        f" from raw.{feed.raw_table} as one where _batch_id in (select batch_id from ops.batch where state = 'loaded')"
        f" order by {', '.join(feed.key)}, {newest} _batch_id desc, _line_no desc",
    )
    if feed.once:
        assert (
            _rows(
                settings, f"select 1 from raw.{feed.raw_table} group by {', '.join(feed.identity)} having count(*) > 1"
            )
            == []
        )
    return rows


def _rows(settings: Settings, query: str) -> list[tuple[Any, ...]]:
    with db.connect(settings) as conn:
        return conn.execute(query.encode()).fetchall()
