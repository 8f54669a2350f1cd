"""The DAGs as Airflow parses them: without a database, writing only to a temporary folder."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

# Before anything imports Airflow: where it puts its logs, and that it reads nobody's settings.
_HOME = tempfile.TemporaryDirectory(prefix="memberhouse-dags-")
for _name in [name for name in os.environ if name.startswith("AIRFLOW_")]:
    del os.environ[_name]
os.environ["AIRFLOW_HOME"] = _HOME.name
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"

DAGS = Path(__file__).resolve().parents[2] / "dags"
sys.path.append(str(DAGS))


@pytest.fixture(scope="session")
def bag() -> Any:
    """What Airflow finds in dags/."""
    import _timetable

    return _timetable.load()


@pytest.fixture(scope="session")
def shared() -> ModuleType:
    """dags/_shared.py."""
    import _shared

    return _shared
