"""Tenders are held against their receipts: one that differs is told, a day of them holds the release."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from tests.chain import Chain

from memberhouse import gate
from memberhouse import warehouse as building
from memberhouse.settings import Settings

pytestmark = pytest.mark.services

OPENED = date(2026, 1, 5)
AS_OF = date(2026, 1, 11)


def pay(chain: Chain, receipt_no: str, day: date, *amounts: str) -> None:
    key = {"store_id": "S1", "register_id": "1", "business_date": day}
    key |= {"receipt_no": receipt_no, "receipt_type": "sale"}
    tenders = [{"tender_no": no, "tender_type": "cash", "amount": amount} for no, amount in enumerate(amounts, 1)]
    chain.deliver("pos", "tenders", day, *(key | tender for tender in tenders))


def outcomes(chain: Chain) -> dict[str, str]:
    """What the gate finds of each column of the audit; the example where a receipt differs."""
    building.build(chain.settings, AS_OF)
    (verdict,) = gate.evaluate(chain.settings, group="core")
    checks = [check for check in verdict.checks if check.table == "intermediate.int_audit__tenders"]
    return {
        check.expectation.partition("(")[2].rstrip(")"): ("holds" if check.holds else "told") + f": {check.sentence}"
        for check in checks
        if check.outcome != "passed"
    }


def test_a_receipt_that_differs_is_told_and_a_day_that_differs_is_held(warehouse: Settings) -> None:
    chain = Chain(warehouse, OPENED)
    for number in range(30):
        chain.sell(f"R{number}", AS_OF, amount=10)
        pay(chain, f"R{number}", AS_OF, "7", "3")
    # a store and a day of which no tenders were fed
    chain.sell("elsewhere", AS_OF, store="S2", amount=5000)
    chain.sell("before", AS_OF - timedelta(days=1), amount=5000)
    assert outcomes(chain) == {}

    chain.sell("rounded", AS_OF, amount=10)
    pay(chain, "rounded", AS_OF, "9.98")
    assert outcomes(chain) == {
        "gap_amount": "told: gap_amount should be between -0.01 and 0.01, observed -0.02"
        f" (store_id S1, business_date {AS_OF})"
    }

    chain.sell("paid twice", AS_OF, amount=60)
    pay(chain, "paid twice", AS_OF, "60", "60")
    # 60.02 of 370 that were sold
    assert outcomes(chain)["day_gap_rate"].startswith("holds: day_gap_rate should be at most 0.05, observed 0.1622")
