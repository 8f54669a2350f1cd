"""B5 to B8: builds, full ones and those of one more day, on a history made by `history`.

The extra day comes as files and goes by the real steps: load, build, gate, publish.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from statistics import median
from typing import TypeVar

import duckdb
import psutil
from tests.bench import history, memory, on_duckdb, weekly_rows
from tests.bench.figures import Figure, Progress, ratios
from tests.bench.on_duckdb import Model

from memberhouse import db, gate, release, warehouse
from memberhouse.load import load_landed
from memberhouse.local import postgres
from memberhouse.settings import PROJECT_ROOT, Settings

T = TypeVar("T")

PARTS = ("B5", "B6", "B7", "B8")
_MOST_ROUNDS = 3
_SLOWEST = 10


@dataclass(frozen=True)
class Run:
    """What a build with its gate and publication took. steps: seconds by name. models: as dbt ran them. proven: how
    many tests and checks it passed, in words."""

    steps: Mapping[str, float]
    models: Sequence[Model]
    proven: str = ""

    @property
    def seconds(self) -> float:
        """From the first step to published."""
        return sum(self.steps.values())

    @property
    def model_seconds(self) -> float:
        """While at least one model was computed: several are at once, so their own seconds add up to more."""
        taken, until = 0.0, None
        for model in sorted(self.models, key=lambda each: each.begun):
            begun = model.begun if until is None else max(model.begun, until)
            if model.ended > begun:
                taken += (model.ended - begun).total_seconds()
                until = model.ended
        return taken

    def seconds_of(self, name: str) -> float:
        """A step's or a model's own seconds."""
        return self.steps.get(name, sum(model.seconds for model in self.models if model.name == name))


class Place:
    """A warehouse with a history of some size, in a home of its own: dbt keeps one parsed project a home."""

    def __init__(self, server: Path, folder: Path, name: str, size: history.Size, tell: Progress) -> None:
        self.size = size
        self.name = name
        self._folder = folder / name
        home = self._folder / "home"
        home.mkdir(parents=True)
        self.settings = Settings(home, postgres.create_database(server, f"bench_{name}"), PROJECT_ROOT)
        self._steps: dict[str, float] = {}
        # what was built, for `models_of_last_build`
        os.environ["DBT_WRITE_JSON"] = "true"
        history.fill(self.settings, self._folder, size, tell)

    @property
    def target(self) -> Path:
        """Where dbt left what it did last."""
        return self.settings.home / "dbt" / "target"

    def build(self, as_of: date, *, full: bool = False) -> Run:
        """A candidate release."""
        self._timed("build", lambda: warehouse.build(self.settings, as_of, full_refresh=full))
        return self._taken()

    def publish(self) -> Run:
        """The candidate judged and published; the run that began with its build."""
        verdicts = self._timed("gate", lambda: gate.evaluate(self.settings))
        for verdict in verdicts:
            if verdict.verdict != "passed":
                raise RuntimeError(f"this is not what was to be measured: the release is held, {verdict.reason}")
        self._timed("publish", lambda: release.publish(self.settings))
        with db.connect(self.settings) as conn:
            ((tests,),) = conn.execute(
                "select count(*) from ops.model_result where release_id = %s and resource_type = 'test'",
                (verdicts[0].release_id,),
            ).fetchall()
        checks = sum(len(verdict.checks) for verdict in verdicts)
        run = replace(self._taken(), proven=f"{tests} dbt tests and {checks} checks of the gate passed")
        self._steps = {}
        return run

    def extra_day(self, number: int) -> Run:
        """The `number`-th day after the history, from files to published."""
        root = self._folder / f"day {number}"
        day = history.land_day(self.settings, root, self.size, number)
        report = self._timed("load", lambda: load_landed(self.settings, root))
        if report.refused or report.rows_quarantined:
            raise RuntimeError(f"this is not what was to be measured: {report.summary()}")
        self.build(day)
        shutil.rmtree(root)
        return self.publish()

    def _taken(self) -> Run:
        return Run(dict(self._steps), on_duckdb.models_of_last_build(self.target))

    def _timed(self, step: str, run: Callable[[], T]) -> T:
        begun = time.perf_counter()
        result = run()
        self._steps[step] = time.perf_counter() - begun
        return result


def compare(server: Path, folder: Path, lines: int, rounds: int, parts: Sequence[str], tell: Progress) -> list[Figure]:
    """B5 to B8, as far as they are asked for."""
    rounds = min(rounds, _MOST_ROUNDS)
    size = history.Size.of(lines, extra_days=rounds)
    whole = Place(server, folder, "whole", size, tell)
    tell("the full build")
    with memory.peak_of(memory.of_server(server)) as peak:
        built = whole.build(history.LAST_DATE, full=True)
    figures: list[Figure] = []
    if "B5" in parts:
        figures += _against_duckdb(whole, built, peak.megabytes, folder, tell)
    tell("its gate and publication")
    full = whole.publish()
    if "B6" in parts:
        figures += weekly_rows.compare(whole.settings, whole.target, tell)
    if "B7" in parts:
        tenth = Place(server, folder, "tenth", size.tenth, tell)
        tell("the full build of a tenth")
        tenth.build(history.LAST_DATE, full=True)
        tenth.publish()
        days, days_of_tenth = _extra_days([whole, tenth], rounds, tell)
        figures += against_tenth(size, days, days_of_tenth)
    elif "B8" in parts:
        (days,) = _extra_days([whole], rounds, tell)
    if "B8" in parts:
        figures += _against_full(full, days)
    return figures


def _extra_days(places: Sequence[Place], rounds: int, tell: Progress) -> list[list[Run]]:
    """The days after the history, by place, in turn. What a first run finds cold, the full builds have warmed."""
    runs: list[list[Run]] = [[] for _ in places]
    for number in range(rounds):
        tell(f"extra day {number + 1} of {rounds}")
        for place, own in zip(places, runs, strict=True):
            own.append(place.extra_day(number))
    return runs


def _against_duckdb(place: Place, built: Run, peak: float, folder: Path, tell: Progress) -> list[Figure]:
    """B5: the models of the full build, there and here."""
    tell("B5: the same tables and models in DuckDB")
    file = folder / f"bench_{place.name}.duckdb"
    # dbt names the database in its SQL, DuckDB calls a database by its file
    with duckdb.connect(str(file)) as conn:
        on_duckdb.copy_inputs(place.settings, conn, place.target, folder)
        settings = on_duckdb.settings(conn)
        before = psutil.Process().memory_full_info().pss / 2**20
        with memory.peak_of(memory.of_this_process) as own:
            seconds = on_duckdb.run(built.models, conn)
        differing = on_duckdb.differences(place.settings, conn, built.models)
        written = on_duckdb.bytes_of(conn)
    file.unlink()
    if differing:
        raise RuntimeError(f"the two sides differ, which is no comparison: {'; '.join(differing[:5])}")
    there = sum(seconds.values())
    slowest = sorted(built.models, key=lambda model: -model.seconds)[:_SLOWEST]
    return [
        Figure(
            "B5",
            "full build, its models",
            "the same models on the same data in DuckDB",
            "×",
            [built.model_seconds / there],
            7,
            at_most=True,
            seconds={
                "PostgreSQL, while a model was computed": [built.model_seconds],
                "PostgreSQL, models one by one": [sum(model.seconds for model in built.models)],
                "PostgreSQL, the whole build with its tests": [built.steps["build"]],
                "DuckDB": [there],
            },
            remarks=f"{place.size}; {len(built.models)} models, {len(seconds)} of them in DuckDB, marts equal in rows"
            f" and sums; peak memory {peak:,.0f} MB in PostgreSQL, shared buffers included,"
            f" {own.megabytes - before:,.0f} MB in DuckDB; {written / 2**20:,.0f} MB written by DuckDB;"
            f" {settings}; PostgreSQL: four models at a time",
            details=[
                ("slowest models, seconds", "PostgreSQL", "DuckDB"),
                *((model.name, f"{model.seconds:.2f}", f"{seconds[model.name]:.2f}") for model in slowest),
            ],
        )
    ]


def against_tenth(size: history.Size, days: Sequence[Run], days_of_tenth: Sequence[Run]) -> list[Figure]:
    """B7: the extra day, after all of the history and after a tenth of it."""
    sides = {"all": days, "a tenth": days_of_tenth}
    names = sorted(
        {model.name for run in days for model in run.models},
        key=lambda name: -median(run.seconds_of(name) for run in days),
    )[:_SLOWEST]
    details = [
        ("median seconds", *sides),
        *(
            (name, *(f"{median(run.seconds_of(name) for run in runs):.2f}" for runs in sides.values()))
            for name in [*days[0].steps, *names]
        ),
    ]
    remarks = (
        f"{size.lines // size.days:,} lines, a tenth of the sales up to {size.late_days} days late, after {size}"
        f" and after {size.tenth}"
    )
    return [
        Figure(
            "B7",
            "one more day, from files to published",
            "the same day at a tenth of the history",
            "×",
            ratios([run.seconds for run in days], [run.seconds for run in days_of_tenth]),
            1.2,
            at_most=True,
            seconds={side: [run.seconds for run in runs] for side, runs in sides.items()},
            remarks=remarks,
            details=details,
        ),
        Figure(
            "B7",
            "one more day, its models alone",
            "the same day at a tenth of the history",
            "×",
            ratios([run.model_seconds for run in days], [run.model_seconds for run in days_of_tenth]),
            1.2,
            at_most=True,
            seconds={f"{side}, models": [run.model_seconds for run in runs] for side, runs in sides.items()},
            remarks=remarks,
        ),
    ]


def _against_full(full: Run, days: Sequence[Run]) -> list[Figure]:
    """B8: the extra day against computing everything anew."""
    return [
        Figure(
            "B8",
            "full build to published, as many times as long as",
            "one more day, from files to published",
            "×",
            [full.seconds / run.seconds for run in days],
            25,
            at_most=False,
            seconds={"full build": [full.seconds], "one more day": [run.seconds for run in days]},
            remarks=f"the full build: {full.proven}; a day's: {days[0].proven}",
        ),
        Figure(
            "B8",
            "the models of a full build, as many times as long as",
            "those of one more day",
            "×",
            [full.model_seconds / run.model_seconds for run in days],
            25,
            at_most=False,
            seconds={"models, full": [full.model_seconds], "models, one more day": [run.model_seconds for run in days]},
        ),
    ]
