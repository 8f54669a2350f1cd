"""The night that the faults strike in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.faults.campaign import Night, night


@pytest.fixture(scope="session")
def the_night(sample_landing: Path) -> Iterator[Night]:
    """A small world before its nightly step, on a server of its own, at every stage of it."""
    with night(sample_landing) as prepared:
        yield prepared
