"""A gate that proved nothing holds: an empty suite, an empty mart, an expectation that could not be evaluated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import psycopg
import pytest
from tests.conftest import copy_of

from memberhouse import db, gate, release
from memberhouse import warehouse as building
from memberhouse.load import load_landed
from memberhouse.settings import PROJECT_ROOT, Settings

pytestmark = pytest.mark.services

SUITE = """
import great_expectations.expectations as gxe
GROUP = "core"
SUITES = {suites}
"""
GOOD = 'gxe.ExpectColumnValuesToNotBeNull(column="stage_code", severity="critical")'


@pytest.fixture(scope="module")
def judged_later(server_home: Path, sample_landing: Path, _eve_database: Settings) -> Settings:
    """A candidate release that is built and not judged."""
    settings = copy_of(_eve_database)
    load_landed(settings, sample_landing)
    building.build(settings, date(2017, 12, 31))
    return settings


@pytest.fixture
def judged_by(judged_later: Settings, tmp_path: Path) -> Callable[[str], gate.Verdict]:
    """Judges the candidate by the suites given as source text, in place of the project's own."""

    def judge(suites: str) -> gate.Verdict:
        folder = tmp_path / "expectations"
        folder.mkdir(exist_ok=True)
        (folder / "core.py").write_text(SUITE.format(suites=suites), encoding="utf-8")
        (verdict,) = gate.evaluate(replace(judged_later, project_root=tmp_path), group="core")
        return verdict

    return judge


def test_a_demanding_suite_that_holds_passes(judged_by):
    assert judged_by(f'{{"marts.dim_stage": [{GOOD.replace("stage_code", "name_en")}]}}').verdict == "passed"


@pytest.mark.parametrize("suites", ["{}", '{"marts.dim_stage": []}'])
def test_an_empty_suite_holds(judged_by, suites):
    verdict = judged_by(suites)
    assert verdict.verdict == "held"
    assert "suite" in verdict.reason


def test_a_suite_that_only_warns_holds(judged_by):
    verdict = judged_by(f'{{"marts.dim_stage": [{GOOD.replace("critical", "warning")}]}}')
    assert verdict.verdict == "held"
    assert "no critical expectation" in verdict.reason


def test_an_expectation_that_errors_holds(judged_by):
    verdict = judged_by(
        f'{{"marts.dim_stage": [{GOOD}, gxe.ExpectColumnValuesToNotBeNull(column="no_such", severity="warning")]}}'
    )
    assert verdict.verdict == "held"
    assert "could not be evaluated" in verdict.reason
    assert "no_such" in verdict.reason


def test_a_suite_file_that_does_not_run_holds(judged_by):
    verdict = judged_by("no_such_name")
    assert verdict.verdict == "held"
    assert "no_such_name" in verdict.reason


def test_a_missing_suite_file_holds(judged_later, tmp_path):
    (tmp_path / "expectations").mkdir()
    (verdict,) = gate.evaluate(replace(judged_later, project_root=tmp_path), group="core")
    assert verdict.verdict == "held"


def test_a_failed_warning_is_told_and_published(judged_by):
    warning = 'gxe.ExpectColumnValuesToBeBetween(column="sort_order", max_value=3, severity="warning")'
    verdict = judged_by(f'{{"marts.dim_stage": [{GOOD}, {warning}]}}')
    assert verdict.verdict == "passed"
    assert "1 of them with a warning" in verdict.reason


def test_an_empty_mart_holds(judged_later, tmp_path):
    settings = copy_of(judged_later)
    with db.connect(settings) as conn:
        conn.execute("delete from history.stage_migration_weekly__open")
    (verdict,) = gate.evaluate(replace(settings, project_root=PROJECT_ROOT), group="core")
    assert verdict.verdict == "held"
    assert verdict.reason.startswith("marts.stage_migration_weekly: it has no rows")
    with pytest.raises(release.ReleaseHeld):
        release.publish(settings)


def test_the_database_itself_refuses_a_release_that_has_not_passed(judged_later, judged_by):
    held = judged_by("{}")
    assert held.verdict == "held"
    with db.connect(judged_later) as conn:
        before = conn.execute("select release_id from release.current").fetchone()
        for statement in (
            f"update release.current set release_id = {held.release_id}",
            f"update release.current set release_id = {held.release_id}, verdict = 'held'",
            "update release.current set release_id = 999999",
            "update release.verdict set verdict = 'passed' where verdict = 'held'",
            "update release.verdict set verdict = 'held' where release_id in (select release_id from release.current)",
            "delete from release.current",
        ):
            with (
                pytest.raises((psycopg.errors.IntegrityError, psycopg.errors.RaiseException)),
                conn.transaction(),
            ):
                conn.execute(statement)
        assert conn.execute("select release_id from release.current").fetchone() == before


def test_an_alert_is_raised_once_a_root_cause(judged_by, judged_later):
    judged_by("{}")
    with db.connect(judged_later) as conn:
        first = conn.execute("select count(*) from ops.alert where root_cause like %s", ("%no suites%",)).fetchone()
    judged_by("{}")
    with db.connect(judged_later) as conn:
        second = conn.execute("select count(*) from ops.alert where root_cause like %s", ("%no suites%",)).fetchone()
    assert first == second == (1,)


def test_a_mart_that_is_missing_holds(judged_later):
    settings = copy_of(judged_later)
    with db.connect(settings) as conn:
        conn.execute("drop view marts.dim_date cascade")
    (verdict,) = gate.evaluate(replace(settings, project_root=PROJECT_ROOT), group="core")
    assert verdict.verdict == "held"
    assert "dim_date" in verdict.reason
