"""The run ledger: every step leaves a row in ``ops.step`` that says how it went and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from memberhouse import db
from memberhouse.errors import MemberhouseError
from memberhouse.settings import Settings


@dataclass
class Step:
    """What the step has to say of itself; filled while it runs.

    state: ``done`` unless the step sets ``held``; an exception makes it ``failed``.
    """

    summary: str | None = None
    next_action: str | None = None
    state: str = "done"
    detail: dict[str, Any] = field(default_factory=dict)


@contextmanager
def step(settings: Settings, name: str, subject: str) -> Iterator[Step]:
    """Record one step. The row is written on its own connection, so it survives a rollback.

    A row that is left ``running`` belongs to a process that was killed.
    """
    report = Step()
    with db.connect(settings, autocommit=True) as conn:
        row = conn.execute(
            "insert into ops.step (step, subject) values (%s, %s) returning step_id", (name, subject)
        ).fetchone()
        assert row is not None  # noqa: S101  (an insert ... returning has a row)
    step_id = row[0]
    try:
        yield report
    except BaseException as error:
        report.state = "failed"
        if isinstance(error, MemberhouseError):
            report.summary, report.next_action = error.message, error.next_action
        else:
            report.summary = f"{type(error).__name__}: {error}".strip()
            report.next_action = (
                "docs/runbook.md, “Database not reached”"
                if isinstance(error, psycopg.OperationalError)
                else "docs/runbook.md, “Unexpected error”"
            )
        with suppress(psycopg.OperationalError):  # that there is no database to tell must not hide what went wrong
            _close(settings, step_id, report)
        raise
    _close(settings, step_id, report)


def _close(settings: Settings, step_id: int, report: Step) -> None:
    with db.connect(settings, autocommit=True) as conn:
        conn.execute(
            "update ops.step set state = %s, finished_at = clock_timestamp(), summary = %s,"
            " next_action = %s, detail = %s where step_id = %s",
            (report.state, report.summary, report.next_action, Jsonb(report.detail), step_id),
        )


@dataclass(frozen=True)
class Trouble:
    """The newest step that did not end well, or was never finished."""

    step: str
    subject: str
    state: str
    started_at: str
    summary: str
    next_action: str


def last_trouble(settings: Settings) -> Trouble | None:
    """The newest failed or held step that no later good one of its kind has put right; None if all is well.

    A step that a later one of its kind found still ``running`` was killed; it counts as failed.
    """
    with db.connect(settings) as conn:
        row = conn.execute(
            """
            select step, coalesce(subject, ''), case state when 'running' then 'killed' else state end,
                   to_char(started_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI "UTC"'),
                   coalesce(summary, ''), coalesce(next_action, '')
            from ops.step as s
            where (
                s.state in ('failed', 'held')
                or s.state = 'running' and exists (
                    select 1 from ops.step as later where later.step = s.step and later.step_id > s.step_id
                )
            ) and exists (
                  -- a step may be about some consistency groups only: what went well with others puts nothing right
                  select 1
                  from jsonb_array_elements_text(coalesce(s.detail -> 'groups', '["any"]')) as about(group_name)
                  where not exists (
                      select 1 from ops.step as later
                      where
                          later.step = s.step and later.state = 'done' and later.step_id > s.step_id
                          and (about.group_name = 'any' or coalesce(later.detail -> 'groups' ? about.group_name, true))
                  )
              )
            order by s.step_id desc
            limit 1
            """
        ).fetchone()
    return Trouble(*row) if row else None
