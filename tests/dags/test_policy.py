"""What every DAG file must be: importable, documented, owned, small, and wired by assets."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest

from memberhouse.local import airflow

DAGS = Path(__file__).resolve().parents[2] / "dags"
FILES = sorted(path for path in DAGS.glob("*.py") if not path.name.startswith("_"))
HEADINGS = ("Purpose", "Schedule", "Inputs", "Outputs", "Triage", "Rerun safety")
LIGHT = {"__future__", "airflow", "datetime", "_shared"}


def test_every_file_is_a_dag_and_all_import_without_errors(bag: Any) -> None:
    assert bag.import_errors == {}
    assert sorted(bag.dags) == [path.stem for path in FILES]
    assert {"ingest_pos", "ingest_app", "build_warehouse", "weekly_member_report"} <= set(bag.dags)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
class TestEach:
    def test_its_id_is_its_file(self, bag: Any, path: Path) -> None:
        assert bag.dags[path.stem].relative_fileloc == path.name

    def test_it_is_documented_under_every_heading(self, bag: Any, path: Path) -> None:
        doc = bag.dags[path.stem].doc_md
        assert doc == ast.get_docstring(ast.parse(path.read_text()), clean=False)
        found = re.findall(r"^\*\*(.+?)\.\*\* \S", doc, flags=re.MULTILINE)
        assert tuple(found) == HEADINGS

    def test_it_has_an_owner_tags_and_tells_of_failures(self, bag: Any, shared: Any, path: Path) -> None:
        dag = bag.dags[path.stem]
        assert dag.tags
        assert not dag.catchup
        assert dag.max_active_runs == 1
        for task in dag.tasks:
            assert task.owner == "crm-data"
            assert task.retries > 0
            told = task.on_failure_callback  # of a mapped task not in a list
            assert told in ([shared.tell_failure], shared.tell_failure)

    def test_it_is_small_and_leaves_the_work_to_the_package(self, path: Path) -> None:
        source = path.read_text()
        assert len(source.splitlines()) <= 80
        assert not re.search(r"\b(select|insert|update|delete)\b.+\b(from|into|set)\b", source.split('"""')[2])

    def test_it_imports_nothing_heavy_when_parsed(self, path: Path) -> None:
        tree = ast.parse(path.read_text())
        imported = {
            name.split(".")[0]
            for node in tree.body
            for name in (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
        }
        assert imported <= LIGHT


def test_the_daily_dags_run_at_four_in_head_offices_zone_for_the_day_before(bag: Any) -> None:
    for dag_id in ("ingest_pos", "ingest_app"):
        schedule = bag.dags[dag_id].schedule
        assert type(schedule).__name__ == "CronDataIntervalTimetable"
        assert (schedule.expression, str(schedule.timezone)) == ("0 4 * * *", "Asia/Shanghai")


def test_assets_connect_the_dags(bag: Any) -> None:
    def starts(dag_id: str) -> set[str]:
        return {asset.name for asset in bag.dags[dag_id].schedule}

    def hands_on(dag_id: str) -> dict[str, list[str]]:
        tasks = bag.dags[dag_id].tasks
        return {task.task_id: [asset.name for asset in task.outlets] for task in tasks if task.outlets}

    assert hands_on("ingest_pos") == {"deliver": ["raw_pos"]}
    assert hands_on("ingest_app") == {"load": ["raw_app"]}
    assert {asset.name for asset in bag.dags["build_warehouse"].schedule.objects} == {"raw_pos", "raw_app"}
    assert type(bag.dags["build_warehouse"].schedule).__name__ == "AssetAny"
    assert hands_on("build_warehouse") == {
        f"release_{group}": [f"bi_{group}"] for group in ("core", "programme", "operations")
    }
    assert starts("weekly_member_report") == {"bi_core"}
    assert starts("fit_member_value") == {"bi_core"}


def test_each_group_is_built_judged_and_released_and_only_its_own_success_passes(bag: Any) -> None:
    dag = bag.dags["build_warehouse"]
    downstream = {task.task_id: task.downstream_task_ids for task in dag.tasks}
    assert downstream == {
        "build": {"gate_core"},
        "gate_core": {"release_core", "gate_programme"},
        "release_core": set(),
        "gate_programme": {"release_programme", "gate_operations"},
        "release_programme": set(),
        "gate_operations": {"release_operations"},
        "release_operations": set(),
    }
    # a group is judged whatever became of the one before, and only its own verdict lets it out
    rules = {task.task_id: task.trigger_rule for task in dag.tasks}
    assert [rules.pop(f"gate_{group}") for group in ("programme", "operations")] == ["all_done", "all_done"]
    assert set(rules.values()) == {"all_success"}


def test_each_resource_of_the_app_is_extracted_by_a_task_of_its_own_in_the_pool_before_the_load(bag: Any) -> None:
    dag = bag.dags["ingest_app"]
    extract = dag.get_task("extract")
    assert extract.is_mapped
    assert extract.downstream_task_ids == {"load"}
    assert extract.pool == airflow.APP_POOL["name"]
    assert extract.partial_kwargs["execution_timeout"] is not None
    # a resource that was not reached leaves the day unfinished; one that is not configured does not
    assert dag.get_task("load").trigger_rule == "none_failed"


def test_the_timetable_page_is_current(bag: Any) -> None:
    import _timetable

    assert _timetable.PAGE.read_text(encoding="utf-8") == _timetable.page(bag.dags.values()), (
        "docs/timetable.md is not what the DAGs say now: run `python dags/_timetable.py`"
    )
