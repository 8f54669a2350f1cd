"""The DAG ingest_app over a back end: what changed there is in the warehouse, and half of it never is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from tests.back_end import NOW, TOKEN, event, fail, receipt, served
from tests.end_to_end.conftest import rows

from memberhouse.extract import RESOURCES
from memberhouse.settings import PROJECT_ROOT, Settings
from memberhouse.simulate.app_backend import AppBackEnd

pytestmark = pytest.mark.services

# In a process of its own, whose Airflow is configured by its environment.
_RUN = """
import json, sys
from datetime import datetime
from pathlib import Path
from airflow.dag_processing.dagbag import BundleDagBag

folder = Path(sys.argv[1])
sys.path.append(str(folder))
dag = BundleDagBag(folder, bundle_path=folder, bundle_name="dags-folder").dags["ingest_app"]
run = dag.test(logical_date=datetime.fromisoformat(sys.argv[2]))
states = {task.rendered_map_index or task.task_id: task.state for task in run.get_task_instances()}
print("STATES", json.dumps(states))
"""


class Ingest:
    """Runs ingest_app, and gives the states of its tasks: of the mapped ones by their resource."""

    def __init__(self, home: Path, settings: Settings, url: str) -> None:
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW_", "MEMBERHOUSE_"))},
            "AIRFLOW_HOME": str(home / "airflow"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT_ROOT / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "MEMBERHOUSE_HOME": str(home),
            "DATABASE_URL": settings.database_url or "",
            "MEMBERHOUSE_APP_URL": url,
            "MEMBERHOUSE_APP_TOKEN": TOKEN,
        }
        (home / "landing").mkdir()
        self._python("-m", "airflow", "db", "migrate")

    def run(self, at: datetime) -> dict[str, str]:
        said = self._python("-c", _RUN, str(PROJECT_ROOT / "dags"), at.isoformat())
        (states,) = (line.removeprefix("STATES ") for line in said.splitlines() if line.startswith("STATES "))
        found: dict[str, str] = json.loads(states)
        return found

    def _python(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments], env=self._environment, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout


@pytest.fixture
def back_end() -> AppBackEnd:
    back_end = AppBackEnd(TOKEN, now=NOW)
    for number in range(30):
        back_end.put("events", event(number, NOW, properties={"page": number}))
        # of the day that has just begun, too
        back_end.put("receipts", receipt(number, "2026-03-02" if number % 2 else "2026-03-03"))
    return back_end


@pytest.fixture
def address(back_end: AppBackEnd) -> Iterator[str]:
    with served(back_end) as url:
        yield url


def test_a_day_is_loaded_when_every_resource_is_extracted(
    tmp_path: Path, warehouse: Settings, back_end: AppBackEnd, address: str
) -> None:
    ingest = Ingest(tmp_path, warehouse, address)
    fail(back_end, "misshapen")
    states = ingest.run(NOW)
    assert set(states) == {*RESOURCES, "load"}
    assert sorted(state for name, state in states.items() if name != "load") == ["failed"] + ["success"] * 18
    assert states["load"] == "upstream_failed"
    assert rows(warehouse, "select message from ops.alert")[0][0].startswith(
        "ingest_app.extract failed: The app's back"
    )
    assert rows(warehouse, "select 1 from ops.batch") == []

    assert set(ingest.run(NOW.replace(hour=5)).values()) == {"success"}
    loaded = "select feed, sum(rows_loaded), sum(rows_quarantined) from ops.batch group by 1 order by 1"
    assert rows(warehouse, loaded) == [("events", 30, 0), ("receipts", 30, 0)]
    assert rows(warehouse, "select sum((properties ->> 'page')::integer) from raw.app__events") == [(435,)]
    moved = "select resource, watermark from ops.app_watermark order by 1"
    assert rows(warehouse, moved) == [("events", NOW), ("receipts", NOW)]
