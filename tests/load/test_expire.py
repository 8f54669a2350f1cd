"""Batches that were taken long ago leave the landing area; what is nowhere else stays."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest

from memberhouse import db
from memberhouse.load import expire

pytestmark = pytest.mark.services

Make = Callable[..., str]


def taken_ago(till: Any, days: float) -> None:
    with db.connect(till.warehouse) as conn:
        conn.execute("update ops.batch set recorded_at = clock_timestamp() - %s", (timedelta(days=days),))


def landed(till: Any) -> set[str]:
    return {path.parent.name for path in till.root.rglob("manifest.json")}


@pytest.mark.parametrize(("days", "stays"), [(89.999, True), (90.001, False)])
def test_a_batch_stays_for_as_long_as_was_said(till: Any, sound_lines: Make, days: float, stays: bool) -> None:
    till.drop(sound_lines(), name="lines")
    till.load()
    taken_ago(till, days)
    assert expire(till.warehouse, till.root, timedelta(days=90)) == (0 if stays else 2)
    assert ("lines" in landed(till)) == stays
    assert till.load().loaded == []
    assert len(till.active_lines()) == 100


def test_what_was_refused_or_not_tried_stays(till: Any, sound_lines: Make) -> None:
    till.drop(sound_lines(), rows=1, name="refused")
    till.load()
    taken_ago(till, 1_000)
    till.drop(sound_lines(first=500), name="new", day=date(2026, 3, 3))
    assert expire(till.warehouse, till.root, timedelta(days=90)) == 1
    assert landed(till) == {"refused", "new"}


def test_a_batch_that_was_taken_after_it_was_refused_goes(
    till: Any, sound_lines: Make, change_manifest: Callable[..., None]
) -> None:
    folder = till.drop(sound_lines(), name="mended")
    change_manifest(folder, {"rows": 1})
    till.load()
    change_manifest(folder, {"rows": 100})
    till.load()
    taken_ago(till, 91)
    expire(till.warehouse, till.root, timedelta(days=90))
    assert landed(till) == set()


def test_a_quarantined_row_can_be_tried_again_when_its_file_is_gone(
    till: Any, sound_lines: Make, one_line: Make
) -> None:
    till.drop(sound_lines(50, one_line(90, store_id="S3")))
    till.load()
    taken_ago(till, 91)
    expire(till.warehouse, till.root, timedelta(days=90))
    till.drop_stores("S1", "S2", "S3", day=date(2026, 3, 3))
    assert till.load().replayed.loaded == 1


def test_other_content_under_the_name_of_a_batch_that_was_taken_stays(till: Any, sound_lines: Make) -> None:
    till.drop(sound_lines(), name="lines")
    till.load()
    taken_ago(till, 91)
    till.drop(sound_lines(101), name="lines", revision=1)  # as of today, and not tried yet
    assert expire(till.warehouse, till.root, timedelta(days=90)) == 1  # the stores
    assert till.load().rows_loaded == 101
