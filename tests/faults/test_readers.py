"""No query sees two releases; publishing never blocks a reader, nor a reader publishing."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.faults.readers import READERS, TwoMarts, Watched, watch

from memberhouse.settings import Settings

pytestmark = pytest.mark.services


@pytest.fixture
def shop(warehouse: Settings, tmp_path: Path) -> TwoMarts:
    """Two marts that must tie; nothing in them yet."""
    return TwoMarts(warehouse, tmp_path)


def check(watched: Watched, releases: int) -> None:
    print(watched)
    assert (watched.errors, watched.mixes, watched.lock_waits) == ([], [], [])
    assert len(watched.releases_seen) == len(READERS)
    *quick, slow = watched.releases_seen
    assert min(quick) >= releases * 0.9
    assert slow > 1


def test_readers_and_a_publisher_do_not_notice_each_other(shop: TwoMarts):
    check(watch(shop, releases=8), releases=8)


@pytest.mark.full
def test_readers_do_not_notice_fifty_releases_published_and_rolled_back(shop: TwoMarts):
    check(watch(shop, releases=50), releases=50)


def test_a_mart_that_does_not_wait_for_the_pointer_is_noticed(shop: TwoMarts):
    shop.stock_all(1)
    shop.publish()
    shop.sql("create or replace view bi.shelf_total as select shelf, units, skus from history.shelf_total__open")
    assert watch(shop, releases=3).mixes != []


def test_a_publisher_that_waits_for_readers_is_noticed(warehouse: Settings, tmp_path: Path):
    class ReplacesViews(TwoMarts):
        def stock_all(self, units: int) -> None:
            super().stock_all(units)
            self.sql("delete from release.view_fingerprint")

    assert watch(ReplacesViews(warehouse, tmp_path), releases=2).lock_waits != []
