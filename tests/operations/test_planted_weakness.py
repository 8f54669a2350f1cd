"""The compass finds the weakness that was planted, and does not find it where it was not."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.operations import planted

from memberhouse.settings import PROJECT_ROOT

pytestmark = pytest.mark.services


def test_the_planted_lever_is_named_and_elsewhere_it_is_not(server_home: Path) -> None:
    assert planted.wrong(planted.campaign(server_home, range(3))) == {}


@pytest.mark.full
def test_how_often_over_fifty_chains(server_home: Path) -> None:
    """Writes the page docs/evidence/compass-<date>.md."""
    found = planted.campaign(server_home, range(50))
    today = datetime.now(UTC).date()
    page = PROJECT_ROOT / "docs" / "evidence" / f"compass-{today}.md"
    page.write_text(planted.page(found, today), encoding="utf-8")
    missed = [store for store, lever in found.items() if store.planted not in (None, lever)]
    assert len(missed) <= 5, missed
    by_chance = [store for store, lever in found.items() if not store.planted and lever in planted.PLANTED.values()]
    assert len(by_chance) <= 4, by_chance
