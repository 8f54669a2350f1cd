"""Quarantined rows whose cause is gone are loaded; the accounts follow them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from tests.conservation import assert_conserved

from memberhouse import db
from memberhouse.load import Replayed, replay

pytestmark = pytest.mark.services

Make = Callable[..., str]
DAY_BEFORE = date(2026, 3, 1)
DAY_AFTER = date(2026, 3, 3)


def replay_all(till: Any, *reasons: str) -> Replayed:
    with db.connect(till.warehouse, autocommit=True) as conn:
        return replay(conn, reasons or None)


def waiting(till: Any) -> list[Any]:
    return [
        row[0]
        for row in till.query(
            "select reason_code from quarantine.rejected_row where replayed_at is null order by rejected_row_id"
        )
    ]


def test_rows_of_a_store_are_loaded_when_the_store_is_known(till: Any, sound_lines: Make, one_line: Make) -> None:
    till.drop(sound_lines(50, one_line(90, store_id="S3") + one_line(91, net_amount="x")))
    till.load()
    assert waiting(till) == ["wrong_type", "unknown_store"]
    before = till.query("select change_no from ops.batch where feed = 'receipt_lines'")
    till.drop_stores("S1", "S2", "S3", day=DAY_AFTER)
    report = till.load()
    assert report.replayed == Replayed(tried=1, loaded=1)
    assert "1 of 1 quarantined rows could be loaded now" in report.summary()
    assert waiting(till) == ["wrong_type"]
    assert till.query("select rows_in, rows_loaded, rows_quarantined from ops.batch where feed = 'receipt_lines'") == [
        (52, 51, 1)
    ]
    assert till.query("select _line_no, store_id from raw.pos__receipt_lines where receipt_no = 'R90'") == [(52, "S3")]
    # the next build has to look at the batch again
    assert till.query("select change_no from ops.batch where feed = 'receipt_lines'") > before
    assert_conserved(till.warehouse)


def test_a_row_whose_cause_remains_stays_and_trying_again_changes_nothing(
    till: Any, sound_lines: Make, one_line: Make
) -> None:
    till.drop(sound_lines(50, one_line(90, store_id="S3")))
    till.load()
    for _ in range(2):
        assert replay_all(till) == Replayed(tried=1)
    assert waiting(till) == ["unknown_store"]
    assert len(till.active_lines()) == 50
    assert_conserved(till.warehouse)


def test_a_row_that_came_again_meanwhile_is_a_duplicate(till: Any, sound_lines: Make, one_line: Make) -> None:
    till.drop(sound_lines(50, one_line(90, store_id="S3")), name="first")
    till.load()
    till.drop(sound_lines(1, one_line(90, store_id="S3"), first=60), name="again")
    till.drop_stores("S1", "S2", "S3", day=DAY_BEFORE)
    # the stores come first, so the second file's row is loaded before the first one's is tried again
    report = till.load()
    assert report.replayed == Replayed(tried=1, duplicate=1)
    assert len(till.active_lines()) == 52
    assert_conserved(till.warehouse)


def test_two_waiting_rows_of_one_key_do_not_both_come_in(till: Any, sound_lines: Make, one_line: Make) -> None:
    twice = one_line(90, store_id="S3")
    other = one_line(90, store_id="S3", net_amount="11.00")
    till.drop(sound_lines(100, twice + twice + other))
    till.load()
    till.drop_stores("S1", "S2", "S3", day=DAY_AFTER)
    assert till.load().replayed == Replayed(tried=3, loaded=1, duplicate=1)
    assert waiting(till) == ["unknown_store"]
    assert_conserved(till.warehouse)


def test_rows_of_a_superseded_batch_are_left_alone(till: Any, sound_lines: Make, one_line: Make) -> None:
    till.drop(sound_lines(50, one_line(90, store_id="S3")), name="first")
    till.load()
    till.drop(sound_lines(49), name="second", revision=1)
    till.drop_stores("S1", "S2", "S3", day=DAY_AFTER)
    assert till.load().replayed == Replayed()
    assert replay_all(till) == Replayed()


def test_only_the_reason_asked_for_is_tried(till: Any, sound_lines: Make, one_line: Make) -> None:
    till.drop(sound_lines(50, one_line(90, store_id="S3") + one_line(91, quantity="-1")))
    till.load()
    assert replay_all(till, "negative_in_sale") == Replayed(tried=1)
    assert replay_all(till) == Replayed(tried=2)
