"""The check that nothing was lost would notice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.conservation import assert_conserved

from memberhouse import db

pytestmark = pytest.mark.services


@pytest.mark.parametrize(
    "damage",
    [
        "delete from raw.pos__receipt_lines where receipt_no = 'R7'",
        "update raw.pos__receipt_lines set net_amount = 10.01 where receipt_no = 'R7'",
        "update raw.pos__receipt_lines set business_date = '2026-03-01' where receipt_no = 'R7'",
        "update raw.pos__receipt_lines set _batch_id = 0 where receipt_no = 'R7'",
        "delete from quarantine.rejected_row",
        "update ops.load_balance set rows = rows + 1 where outcome = 'quarantined'",
        "update ops.load_balance set amount = amount + 1 where outcome = 'quarantined'",
        "update ops.batch set rows_in = 0, rows_loaded = 0, rows_quarantined = 0 where feed = 'receipt_lines'",
        "update ops.batch set state = 'refused' where feed = 'receipt_lines'",
    ],
)
def test_a_lost_row_or_cent_is_seen(till: Any, sound_lines: Callable[..., str], one_line: Any, damage: str) -> None:
    till.drop(sound_lines(50, one_line(99, sku="")), amount_total="510.00")
    till.load()
    assert_conserved(till.warehouse)
    with db.connect(till.warehouse) as conn:
        assert conn.execute(damage.encode()).rowcount == 1
    with pytest.raises(AssertionError):
        assert_conserved(till.warehouse)
