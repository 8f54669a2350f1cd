"""Each metric has a test that computes it a second time, and docs/proofs.md names it."""

from __future__ import annotations

from tests.reference import proofs


def test_the_page_is_current() -> None:
    assert proofs.PAGE.read_text(encoding="utf-8") == proofs.page(), "run: .venv/bin/python -m tests.reference.proofs"


def test_every_metric_has_a_test_that_is_there() -> None:
    tables = {table for row in proofs.metrics() for table in row["tables"].split()}
    assert tables == set(proofs.PROOFS)
    named = {(file, test) for tests in proofs.PROOFS.values() for _, file, test in tests}
    assert [(file, test) for file, test in named if test not in proofs.tests_of(file)] == []
