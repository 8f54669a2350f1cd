"""A backfill, the daily run and a run on the command line at the same moment, on the running scheduler."""

from __future__ import annotations

import pytest
from tests.conservation import assert_conserved
from tests.end_to_end.conftest import AtOnce, content, rows

from memberhouse import ledger

# two minutes of three runs at once; what they lean on is tested in tests/warehouse/test_two_runs.py each time
pytestmark = [pytest.mark.services, pytest.mark.full]


def test_readers_see_what_one_after_the_other_would_have_given(at_once: AtOnce) -> None:
    assert content(at_once.settings) == at_once.one_after_the_other
    late = "select business_date::text, net_amount::text from bi.fct_receipt where register_id = 'late' order by 1"
    assert rows(at_once.settings, late) == [("2017-12-28", "1.00"), ("2017-12-29", "2.00"), ("2017-12-30", "3.00")]
    assert rows(at_once.settings, "select state, as_of_date::text from bi.freshness where group_name = 'core'") == [
        ("fresh", "2017-12-31")
    ]
    assert_conserved(at_once.settings)


def test_the_run_that_was_overtaken_is_skipped_and_nobody_is_alarmed(at_once: AtOnce) -> None:
    assert "Published core" in at_once.command_line
    states = [states for _, states in at_once.builds]
    overtaken = {"build": "success", "gate_core": "skipped", "release_core": "skipped"}
    assert [run for run in states if overtaken.items() <= run.items()] != []
    assert {state for run in states for state in run.values()} <= {"success", "skipped"}
    assert ledger.last_trouble(at_once.settings) is None
    # the one of the day that was held before
    assert rows(at_once.settings, "select count(*) from ops.alert") == [(1,)]
