"""A warehouse of one small mart, for the tests of how releases are kept and compared."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.shop import Shop

from memberhouse.settings import Settings


@pytest.fixture
def shop(warehouse: Settings, tmp_path: Path) -> Shop:
    return Shop(warehouse, tmp_path)
