"""dbt's unit tests: the rules at the day before, on and after each boundary."""

from __future__ import annotations

import pytest

from memberhouse.settings import Settings
from memberhouse.warehouse import dbt

pytestmark = pytest.mark.services


def test_every_dbt_unit_test_passes(published_sample: Settings):
    results = dbt.invoke(published_sample, "test", "--select", "test_type:unit")
    assert len(results) >= 7
    failed = [f"{result.name}: {result.message}" for result in results if result.status != "pass"]
    assert not failed, "\n".join(failed)
