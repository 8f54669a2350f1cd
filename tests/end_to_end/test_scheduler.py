"""A business date through the running scheduler: held when it is wrong, published when it is corrected."""

from __future__ import annotations

import time

import pytest
from tests.end_to_end.conftest import Day, rows

from memberhouse.local import airflow

pytestmark = pytest.mark.services


def test_a_wrong_day_fails_the_gate_and_the_release_does_not_run(held_day: Day) -> None:
    _, states = held_day.newest_build()
    held = {"build": "success", "gate_core": "failed", "release_core": "upstream_failed"}
    assert held.items() <= states.items()


def test_the_dag_run_the_readers_and_the_caller_are_told_the_same_reason(held_day: Day) -> None:
    assert held_day.before == held_day.after
    told = "select group_name, state, as_of_date::text, reason from bi.freshness order by 1"
    core, *others = rows(held_day.settings, told)
    assert core[:3] == ("core", "held", "2017-12-30")
    # what is made of doubtful facts waits with them
    reason = core[3]
    assert [other[:3] for other in others] == [
        ("operations", "held", "2017-12-30"),
        ("programme", "held", "2017-12-30"),
    ]
    assert all(other[3].endswith(reason) for other in others)
    assert held_day.largest in reason
    assert held_day.error is not None
    assert "build_warehouse.gate_core failed" in held_day.error.message
    assert reason in held_day.error.message
    run_id, _ = held_day.newest_build()
    folder = held_day.settings.home / "airflow/logs/tasks/dag_id=build_warehouse" / f"run_id={run_id}"
    assert f"release held: {reason}" in (folder / "task_id=gate_core/attempt=1.log").read_text().replace('\\"', '"')
    assert str(folder) in held_day.error.message


def test_one_alert_names_the_one_root_cause(held_day: Day) -> None:
    alerts = rows(held_day.settings, "select root_cause, next_action from ops.alert")
    assert len(alerts) == 1
    assert alerts[0][0].startswith("release held: ")
    assert held_day.largest in alerts[0][0]
    assert "Release held" in alerts[0][1]


def test_the_corrected_day_is_published(published_day: Day) -> None:
    assert published_day.error is None
    assert published_day.before != published_day.after
    _, states = published_day.newest_build()
    assert set(states.values()) == {"success"}
    told = "select group_name, state, as_of_date::text, reason from bi.freshness order by 1"
    assert rows(published_day.settings, told) == [
        ("core", "fresh", "2017-12-31", None),
        ("operations", "fresh", "2017-12-31", None),
        ("programme", "fresh", "2017-12-31", None),
    ]
    totals = "select count(*), sum(net_amount)::text from bi.fct_receipt_line"
    assert rows(published_day.settings, totals) == [(1_469_307, "4596039.58")]


def test_a_published_sunday_leaves_the_weeks_report(published_day: Day) -> None:
    page = published_day.settings.home / "reports/member-report-2017-W52.en.html"
    end = time.monotonic() + 120
    while not page.exists() and time.monotonic() < end:
        time.sleep(1)
    assert "2017-W52" in page.read_text(encoding="utf-8")


def test_a_published_sunday_leaves_the_weeks_model(published_day: Day) -> None:
    fitted = "select as_of_date::text, members > 2000, holdout_weeks from scoring.model"
    end = time.monotonic() + 120
    while not rows(published_day.settings, fitted) and time.monotonic() < end:
        time.sleep(1)
    assert rows(published_day.settings, fitted) == [("2017-12-31", True, 26)]


def test_no_later_day_is_scheduled_for_data_that_has_ended(published_day: Day) -> None:
    api = airflow.Api(published_day.settings)
    for dag_id in ("ingest_pos", "ingest_app"):
        assert api.get(f"dags/{dag_id}/details")["next_dagrun_logical_date"] is None
        assert api.get(f"dags/{dag_id}/dagRuns", run_type="scheduled")["dag_runs"] == []
