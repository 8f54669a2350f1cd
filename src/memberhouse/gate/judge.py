"""The gate: runs the suites of ``expectations/`` on a candidate release and decides, a consistency group at a time.

A group passes when its suites ran at least one critical check on each table they name, every one of its marts has
rows, nothing raised, and no critical check failed. Everything else holds the release: an empty suite, an empty mart
or an expectation that could not be evaluated is no proof that the numbers are right. One thing may be empty: a mart
that says by which feeds it is fed, when none of them ever brought a row; it proves nothing either, so some other mart
of the group must have rows. A group that has no marts in the project is not judged. A held group holds those that
rest on it.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import psycopg.sql
from psycopg.types.json import Jsonb

from memberhouse import alerts, db, ledger
from memberhouse.errors import MemberhouseError
from memberhouse.settings import Settings
from memberhouse.warehouse import build_lock, refuse_if_overtaken

if TYPE_CHECKING:
    from great_expectations.expectations.expectation import Expectation

Suites = Mapping[str, Sequence["Expectation"]]

# How many of a failed check's rows are looked up to name where it happened.
_EXAMPLES = 3
# Columns that say where a row belongs, in the order in which they are told.
_PLACE_COLUMNS = (
    "store_id",
    "business_date",
    "week_start",
    "level",
    "level_id",
    "reconciliation",
    "feed",
    "batch_name",
    "reason",
)


@dataclass(frozen=True)
class Check:
    """One expectation's outcome.

    outcome: passed, failed, error (it could not be evaluated, which counts as failed) or not_fed (an empty mart whose
    feeds never came: neither passed nor failed).
    sentence: what was observed against what was expected, and where; empty when it passed.
    business_date: of the first row that failed, where the table has one.
    """

    table: str
    expectation: str
    severity: str
    outcome: str
    sentence: str = ""
    rationale: str = ""
    business_date: str | None = None

    @property
    def holds(self) -> bool:
        """Whether this outcome keeps the release from being published."""
        return self.outcome == "error" or (self.outcome == "failed" and self.severity == "critical")


@dataclass(frozen=True)
class Verdict:
    """The gate's decision on one release and consistency group; verdict: ``passed`` or ``held``.

    is_held_with_base: the group whose facts it is made of is held, and that is the reason.
    """

    release_id: int
    group_name: str
    verdict: str
    reason: str
    checks: list[Check] = field(default_factory=list)
    is_held_with_base: bool = False


def evaluate(settings: Settings, release_id: int | None = None, *, group: str | None = None) -> list[Verdict]:
    """Judge a built release for every consistency group with marts, record the verdicts and return them.

    release_id: None means the newest. group: only this one. A verdict that was published is not given again. Each
    held group raises one alert, unless it is held with the one it rests on. Raises MemberhouseError when there is no
    built release to judge, and Overtaken, which leaves no step in the ledger, when a newer one was begun since.
    """
    with build_lock(settings), db.connect(settings) as conn:
        if release_id is not None:
            refuse_if_overtaken(conn, release_id)
        return _evaluate(settings, conn, release_id, group)


def _evaluate(settings: Settings, conn: psycopg.Connection, asked: int | None, group: str | None) -> list[Verdict]:
    subject = f"release {asked or 'newest'}" + (f", {group}" if group else "")
    with ledger.step(settings, "gate", subject) as step:
        release_id, groups = _to_judge(conn, asked)
        step.detail["release_id"] = release_id
        verdicts = []
        for group_name in groups:
            if group is None or group == group_name:
                verdict = _held_with_base(conn, release_id, group_name) or _judge(
                    settings, conn, release_id, group_name
                )
                _record(conn, verdict)
                verdicts.append(verdict)
        conn.commit()
        held = [verdict for verdict in verdicts if verdict.verdict == "held"]
        step.detail["groups"] = [verdict.group_name for verdict in held or verdicts]
        step.summary = "; ".join(f"{verdict.group_name} {verdict.verdict}: {verdict.reason}" for verdict in verdicts)
        if held:
            step.state = "held"
            step.next_action = "docs/runbook.md, “Release held”"
        for verdict in held:
            if verdict.is_held_with_base:  # the one cause was told with the other group
                continue
            alerts.raise_alert(
                settings,
                f"release held: {verdict.reason}",
                f"Release {release_id} is held for the group {verdict.group_name}: {verdict.reason} Readers of this"
                " group keep the release before it.",
                "docs/runbook.md, “Release held”",
                {"release_id": release_id, "groups": [verdict.group_name]},
            )
    return verdicts


def _to_judge(conn: psycopg.Connection, asked: int | None) -> tuple[int, list[str]]:
    """The release, and the groups with marts in it that do not show it yet."""
    row = conn.execute(
        "select release_id, state from release.release where release_id = coalesce(%s, release_id)"
        " order by release_id desc limit 1",
        (asked,),
    ).fetchone()
    if row is None or row[1] != "built":
        what = "There is no release" if row is None else f"Release {row[0]} is {row[1]}, not built"
        raise MemberhouseError(f"{what}: there is nothing to judge.", "“memberhouse build --as-of DATE”")
    groups = conn.execute(
        "select g.group_name from release.consistency_group as g where exists ("
        "select 1 from release.versioned_table as t where t.group_name = g.group_name"
        " and t.last_release_id = %(release_id)s)"
        " and not exists (select 1 from release.current as c where c.group_name = g.group_name"
        " and c.release_id = %(release_id)s) order by g.rests_on nulls first, g.group_name",
        {"release_id": row[0]},
    ).fetchall()
    return row[0], [name for (name,) in groups]


def _held_with_base(conn: psycopg.Connection, release_id: int, group_name: str) -> Verdict | None:
    """The verdict on a group whose base was held in this release: what is made of doubtful facts is doubtful.

    Raises MemberhouseError when the base has marts in the release and was not judged.
    """
    row = conn.execute(
        """
        select g.rests_on, v.verdict, v.reason
        from release.consistency_group as g
        left join release.verdict as v on v.group_name = g.rests_on and v.release_id = %(release_id)s
        where g.group_name = %(group)s and exists (
            select 1 from release.versioned_table as t
            where t.group_name = g.rests_on and t.last_release_id = %(release_id)s
        )
        """,
        {"release_id": release_id, "group": group_name},
    ).fetchone()
    if row is None or row[1] == "passed":
        return None
    if row[1] is None:
        raise MemberhouseError(
            f"Release {release_id} was not judged for the group {row[0]}, of whose facts {group_name} is made.",
            "“memberhouse gate” judges all groups; in Airflow clear the gate of that group",
        )
    row = row[0], row[2]
    reason = f"the group {row[0]}, of whose facts it is made, is held: {row[1]}"
    return Verdict(release_id, group_name, "held", reason, is_held_with_base=True)


def _judge(settings: Settings, conn: psycopg.Connection, release_id: int, group_name: str) -> Verdict:
    try:
        with conn.transaction():  # an error in here must not keep the verdict from being written
            suites = _suites(settings.project_root / "expectations", group_name)
            checks = [
                *_nothing_is_empty(conn, release_id, group_name),
                *_suites_are_demanding(suites),
                *_run(conn, db.database_url(settings), suites),
            ]
    except Exception as error:  # noqa: BLE001  (whatever went wrong, it must hold the release)
        checks = [
            Check(
                f"expectations/{group_name}.py",
                "suite",
                "critical",
                "error",
                f"its suites could not be run: {type(error).__name__}: {' '.join(str(error).split())}",
            )
        ]
    holding = [check for check in checks if check.holds]
    warnings = sum(check.outcome == "failed" and not check.holds for check in checks)
    if holding:
        first = holding[0]
        others = f" {len(holding) - 1} more checks failed." if len(holding) > 1 else ""
        reason = f"{first.table}: {first.sentence}{_cause(conn, group_name, first)}.{others}"
    else:
        not_fed = [check.table.removeprefix("marts.") for check in checks if check.outcome == "not_fed"]
        reason = (
            f"{len(checks) - len(not_fed)} checks passed"
            + (f", {warnings} of them with a warning" if warnings else "")
            + (f"; not fed: {', '.join(not_fed)}" if not_fed else "")
        )
    return Verdict(release_id, group_name, "held" if holding else "passed", reason, checks)


def _suites(folder: Path, group_name: str) -> Suites:
    """The suites of the file that declares ``GROUP = group_name``."""
    for path in sorted(folder.glob("*.py")):
        spec = importlib.util.spec_from_file_location(f"expectations_{path.stem}", path)
        if spec is None or spec.loader is None:
            continue
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        if getattr(module, "GROUP", None) == group_name:
            suites: Suites = module.SUITES
            return suites
    raise MemberhouseError(
        f"No file in {folder} declares GROUP = “{group_name}”.", "add its suites: expectations/README.md"
    )


def _nothing_is_empty(conn: psycopg.Connection, release_id: int, group_name: str) -> list[Check]:
    """Every mart of the group has rows, was never fed or may be empty: most expectations are content with no rows."""
    tables = conn.execute(
        "select table_name, fed_by from release.versioned_table where group_name = %s and is_published"
        " and not may_be_empty and last_release_id = %s order by table_name",
        (group_name, release_id),
    ).fetchall()
    checks = [_is_filled(conn, name, fed_by) for name, fed_by in tables]
    if checks and all(check.outcome == "not_fed" for check in checks):
        checks.append(Check(group_name, "has rows", "critical", "failed", "nothing of the group was ever fed"))
    return checks


def _is_filled(conn: psycopg.Connection, name: str, fed_by: Sequence[str]) -> Check:
    def outcome(outcome: str, sentence: str = "") -> Check:
        return Check(f"marts.{name}", "has rows", "critical", outcome, sentence)

    row = conn.execute(
        psycopg.sql.SQL("select exists (select 1 from {})").format(psycopg.sql.Identifier("marts", name))
    ).fetchone()
    if row and row[0]:
        return outcome("passed")
    if not fed_by:
        return outcome("failed", "it has no rows, and an empty mart is never published")
    for feed, is_known, came in conn.execute(
        "select fed.name, to_regclass('raw.' || quote_ident(fed.name)) is not null,"
        " exists (select 1 from ops.batch as b"
        " where b.source || '__' || b.feed = fed.name and b.rows_loaded > 0) from unnest(%s::text[]) as fed (name)",
        (list(fed_by),),
    ).fetchall():
        if not is_known:
            return outcome("error", f"it has no rows, and “{feed}”, by which it says it is fed, is no raw table")
        if came:
            return outcome("failed", f"it has no rows, though {feed} was fed")
    return outcome("not_fed", f"it has no rows, because none of {', '.join(fed_by)} was ever fed")


def _suites_are_demanding(suites: Suites) -> list[Check]:
    """Each suite has a critical expectation; one without proves nothing."""
    if not suites:
        return [Check("expectations", "suite", "critical", "failed", "the group has no suites")]
    return [
        Check(table, "suite", "critical", "failed", "its suite has no critical expectation")
        for table, expectations in suites.items()
        if not any(expectation.severity == "critical" for expectation in expectations)
    ]


def _run(conn: psycopg.Connection, url: str, suites: Suites) -> list[Check]:
    """Run the suites through Great Expectations and turn every result into a check."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig
    from sqlalchemy import make_url

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    checks = []
    for table, expectations in suites.items():
        if not expectations:
            continue
        schema, name = table.split(".")
        # a source a schema: the schema of a table asset is deprecated
        source = context.data_sources.add_or_update_postgres(
            schema,
            connection_string=make_url(url)
            .set(drivername="postgresql+psycopg2")
            .update_query_dict({"options": f"-csearch_path={schema}"})
            .render_as_string(hide_password=False),
        )
        batch = source.add_table_asset(name, table_name=name).add_batch_definition_whole_table("all").get_batch()
        columns = conn.execute(
            "select column_name from information_schema.columns where table_schema = %s and table_name = %s",
            (schema, name),
        ).fetchall()
        places = [column for column in _PLACE_COLUMNS if (column,) in columns]
        results = batch.validate(
            gx.ExpectationSuite(table, expectations=list(expectations)),
            result_format={
                "result_format": "SUMMARY",
                "unexpected_index_column_names": places,
                "partial_unexpected_count": _EXAMPLES,
            },
        ).results
        # its connections would outlive this function
        batch.data.execution_engine.close()
        source.get_engine().dispose()
        if len(results) != len(expectations):
            checks.append(
                Check(
                    table,
                    "suite",
                    "critical",
                    "error",
                    f"{len(expectations)} expectations gave {len(results)} results",
                )
            )
        checks += [_check(table, result, places) for result in results]
    return checks


def _check(table: str, result: Any, places: list[str]) -> Check:
    config = result.expectation_config
    bounds = {
        name: value for name, value in config.kwargs.items() if name not in {"batch_id", "column"} and value is not None
    }
    name = f"{config.type}({config.kwargs.get('column', '')})"
    raised = result.exception_info or {}
    if "raised_exception" not in raised:  # one entry a metric
        raised = next((entry for entry in raised.values() if entry.get("raised_exception")), {})
    if raised.get("raised_exception"):
        message = " ".join(str(raised.get("exception_message")).split())[:300]
        outcome, sentence = "error", f"{name} could not be evaluated: {message}"
    elif result.success:
        outcome, sentence = "passed", ""
    else:
        outcome = "failed"
        sentence = (
            f"{config.kwargs.get('column') or config.type} should be {_words(bounds)},"
            f" observed {_observed(result.result, places)}"
        )
    examples = (result.result or {}).get("partial_unexpected_index_list") or [{}]
    day = examples[0].get("business_date")
    return Check(
        table,
        name,
        config.severity.value,
        outcome,
        sentence,
        str(config.notes or ""),
        str(day) if day else None,
    )


def _words(bounds: Mapping[str, Any]) -> str:
    low, high = bounds.get("min_value"), bounds.get("max_value")
    if low is not None and high is not None:
        return f"between {low} and {high}"
    if high is not None:
        return f"at most {high}"
    if low is not None:
        return f"at least {low}"
    if "value_set" in bounds:
        return " or ".join(map(str, bounds["value_set"]))
    return ", ".join(f"{name} {value}" for name, value in sorted(bounds.items())) or "true"


def _observed(result: Mapping[str, Any], places: list[str]) -> str:
    """The worst that was seen, where and how often."""
    values = result.get("partial_unexpected_list") or []
    examples = result.get("partial_unexpected_index_list") or []
    if not values:
        return str(result.get("observed_value", "something else"))
    where = ""
    if examples:
        where = " (" + ", ".join(f"{name} {examples[0][name]}" for name in places if name in examples[0]) + ")"
    count = result.get("unexpected_count") or len(values)
    return f"{values[0]}{where}" + (f" and {count - 1} more" if count > 1 else "")


def _cause(conn: psycopg.Connection, group_name: str, check: Check) -> str:
    """The batches, refused ones too, that came since the group's newest published release for the day that failed."""
    rows = conn.execute(
        """
        select source || '/' || feed || '/' || business_date || '/' || store_id || '/' || batch_name
        from ops.batch
        where state in ('loaded', 'refused') and change_no > coalesce((
            select max(r.batch_change_no) from release.publication as p
            inner join release.release as r on p.release_id = r.release_id
            where p.group_name = %(group_name)s
        ), 0) and (%(day)s::date is null or (business_date = %(day)s::date and source = 'pos'))
        order by batch_id
        """,
        {"day": check.business_date, "group_name": group_name},
    ).fetchall()
    named = ", ".join(name for (name,) in rows[:3])
    more = f" and {len(rows) - 3} more" if len(rows) > 3 else ""
    return f"; among the batches that came since the last release: {named}{more}" if rows else ""


def _record(conn: psycopg.Connection, verdict: Verdict) -> None:
    """Write the verdict. A second judgement of the same release replaces the first."""
    evaluated = [check for check in verdict.checks if check.outcome != "not_fed"]
    holding = sum(check.holds for check in evaluated)
    failed = sum(check.outcome != "passed" for check in evaluated)
    conn.execute(
        "insert into release.verdict (release_id, group_name, verdict, reason, checks_evaluated, checks_failed,"
        " warnings, detail) values (%s, %s, %s, %s, %s, %s, %s, %s)"
        " on conflict (release_id, group_name) do update set verdict = excluded.verdict, reason = excluded.reason,"
        " checks_evaluated = excluded.checks_evaluated, checks_failed = excluded.checks_failed,"
        " warnings = excluded.warnings, detail = excluded.detail, decided_at = clock_timestamp()",
        (
            verdict.release_id,
            verdict.group_name,
            verdict.verdict,
            verdict.reason,
            len(evaluated),
            holding,
            failed - holding,
            Jsonb([asdict(check) for check in verdict.checks]),
        ),
    )
