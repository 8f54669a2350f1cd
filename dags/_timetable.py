"""Writes docs/timetable.md from the DAGs' own docstrings and schedules: `python dags/_timetable.py`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from airflow.dag_processing.dagbag import BundleDagBag
from airflow.sdk import DAG, Asset, AssetAny, CronDataIntervalTimetable

FOLDER = Path(__file__).resolve().parent
PAGE = FOLDER.parent / "docs" / "timetable.md"


def load() -> BundleDagBag:
    """The DAGs as Airflow itself finds and parses them; needs no database."""
    return BundleDagBag(FOLDER, bundle_path=FOLDER, bundle_name="dags-folder")


def page(dags: Iterable[DAG]) -> str:
    """The timetable page (Markdown): what runs when, what it hands on, and each DAG's documentation."""
    in_order = sorted(dags, key=lambda dag: (not isinstance(dag.schedule, CronDataIntervalTimetable), dag.dag_id))
    lines = [
        "# Timetable",
        "",
        "<!-- Generated from dags/ by `python dags/_timetable.py`; a test fails when it is not current. -->",
        "",
        "| DAG | Starts | Tasks | Hands on | Owner |",
        "|---|---|---|---|---|",
    ]
    for dag in in_order:
        tasks = " → ".join(f"`{task.task_id}`" for task in dag.topological_sort())
        outlets = ", ".join(
            f"`{outlet.name}`" for task in dag.tasks for outlet in task.outlets if isinstance(outlet, Asset)
        )
        lines.append(f"| [`{dag.dag_id}`](#{dag.dag_id}) | {_starts(dag)} | {tasks} | {outlets} | {dag.owner} |")
    for dag in in_order:
        title, _, body = (dag.doc_md or "").strip().partition("\n")
        lines += ["", f"## {dag.dag_id}", "", f"*{title}*", *([body.rstrip()] if body else [])]
    return "\n".join(lines) + "\n"


def _starts(dag: DAG) -> str:
    if isinstance(dag.schedule, CronDataIntervalTimetable):
        return f"cron `{dag.schedule.expression}` in {dag.schedule.timezone}"
    either = isinstance(dag.schedule, AssetAny)
    assets = dag.schedule.objects if either else dag.schedule
    return "when " + (" or " if either else " and ").join(f"`{asset.name}`" for asset in assets) + " came"


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(load().dags.values()), encoding="utf-8")
