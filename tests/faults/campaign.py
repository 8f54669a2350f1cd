"""The kill campaign: a fault in the nightly step, what readers see, the step again, and whether anything is amiss."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from tests.faults import evidence
from tests.faults.plans import BETWEEN_STEPS, NEW, OLD, OUTSIDE_STEPS, PHASES, POSTGRES, SITES, WORKER, Fault, Plan
from tests.faults.worker import NEVER_REACHED
from tests.faults.world import EVE, LAST_DAY, World, cut

from memberhouse.errors import MemberhouseError
from memberhouse.local import postgres
from memberhouse.settings import PROJECT_ROOT, Settings

# every attempt works on the database of this name, so that dbt's parsed project, which depends on it, is kept
_DATABASE = "night"
_COMMANDS = {
    "land": "land",
    "load": "load LANDING",
    "build": f"build --as-of {LAST_DAY}",
    "gate": "gate",
    "publish": "publish",
}


class Violated(AssertionError):
    """A promise that was not kept."""


@dataclass
class Tried:
    """A plan and what came of it. seen: the release that readers saw right after each fault."""

    plan: Plan
    reached: list[str] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)
    outcome: str = "held"
    seconds: float = 0.0

    @property
    def held(self) -> bool:
        return self.outcome == "held"

    def record(self) -> dict[str, Any]:
        """For the log: with the plan in words, too."""
        told = asdict(self)
        return {**told.pop("plan"), "plan": str(self.plan), **told}

    def __str__(self) -> str:
        seed = "" if self.plan.seed is None else f"seed {self.plan.seed}: "
        seen = ", ".join(self.seen)
        return f"{seed}{self.plan}; readers saw: {seen}; {self.outcome} [{self.seconds:.1f} s]"


class Night:
    """The world before the nightly step, at every stage of it, and the process in which it runs."""

    def __init__(self, folder: Path, world: World) -> None:
        """folder: for the server, dbt and everything that is landed."""
        self.folder = folder
        self.home = folder / "home"
        url = postgres.ensure_running(self.home)
        with psycopg.connect(url, autocommit=True) as conn:
            # a killed server loses nothing that was committed without it; only a power cut would
            conn.execute("alter system set fsync = off")
            conn.execute("select pg_reload_conf()")
        self.settings = Settings(self.home, f"{url.rsplit('/', 1)[0]}/{_DATABASE}", PROJECT_ROOT)
        self._world = folder / "world.pickle"
        self._world.write_bytes(pickle.dumps(world))
        self._tries = 0
        self._worker = self._start_worker()

    def close(self) -> None:
        if self._worker.stdin:
            self._worker.stdin.close()
        self._worker.wait(60)
        postgres.stop(self.home)

    def _start_worker(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.faults.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(self.folder / "worker.log").open("w"),
            text=True,
            cwd=PROJECT_ROOT,
            # one thread: it forks
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        )

    def prepare(self) -> None:
        """History, published; and the undisturbed night, kept at each of its stages."""
        self.begin(None)
        history = ["land", "load LANDING", f"build --as-of {EVE}", "gate", "publish"]
        assert self.attempt(history, what="history", here=True).code == 0, self.log()
        self.old = evidence.seen_by_readers(self.settings)
        self._keep("before_land")
        # one step after the other, and each stage kept: faults in a step start there
        self.passed: Counter[str] = Counter()
        for phase, after in zip(PHASES, ("load", "build", "gate", "publish", None), strict=True):
            attempt = self.attempt([_COMMANDS[phase]], landing="undisturbed")
            assert attempt.code == 0, self.log()
            self.passed.update(attempt.passed)
            if after:
                self._keep(f"before_{after}")
            if after == "build":
                self.loaded = evidence.loaded(self.settings)
        self.new = evidence.seen_by_readers(self.settings)
        self.published = evidence.published(self.settings)
        assert self.new != self.old

    # ---------------------------------------------------------------- one plan

    def try_plan(self, plan: Plan) -> Tried:
        """Carry it out and check everything; what is amiss is in the outcome."""
        tried = Tried(plan)
        begun = time.monotonic()
        try:
            self._carry_out(plan, tried)
        except Violated as violation:
            tried.outcome = f"VIOLATED: {violation}"
        except (psycopg.Error, MemberhouseError) as error:
            tried.outcome = f"VIOLATED: {type(error).__name__}: {error}"
        tried.seconds = round(time.monotonic() - begun, 1)
        return tried

    def _carry_out(self, plan: Plan, tried: Tried) -> None:
        phase = "land" if plan.whole else plan.faults[0].phase
        self.begin(f"before_{phase}")
        self._tries += 1
        landing = f"landing-{self._tries}"
        (self.folder / landing).mkdir()
        if phase == "load":
            shutil.copytree(self.folder / "undisturbed", self.folder / landing, dirs_exist_ok=True)
        for fault in plan.faults:
            attempt = self.attempt(self._commands(plan, phase), fault=fault, landing=landing)
            tried.ended.append(attempt.code)
            tried.reached += attempt.reached
            # the step ended before the fault's time came: nothing happened, and all must be well
            late = fault.delay > 0 and not attempt.reached and attempt.code == 0
            if not late:
                if not attempt.reached or attempt.code == NEVER_REACHED:
                    raise Violated(f"the test is wrong: {fault} was never reached; {self.log()}")
                self._check_end(plan, fault, attempt)
            self.restart_if_down()
            survived = attempt.code == 0  # a session that was done with its work may be ended without harm
            tried.seen.append(self._check_readers(fault, NEW if survived and plan.through else None))
            if not survived:
                self._check_ledger(fault)
            _refuse(evidence.broken_books(self.settings), "right after the fault")
            phase = self._next_phase(plan, phase, attempt)
        attempt = self.attempt(self._commands(plan, phase), landing=landing)
        tried.ended.append(attempt.code)
        if attempt.code != 0:
            raise Violated(f"the attempt without a fault ended with {attempt.code}: {self.log()}")
        self._check_all(plan, tried)
        shutil.rmtree(self.folder / landing)

    def _commands(self, plan: Plan, phase: str) -> list[str]:
        """The commands of an attempt that begins with this phase."""
        if plan.whole:
            return ["land", f"run LANDING --as-of {LAST_DAY}"]
        last = PHASES if plan.through else PHASES[: PHASES.index("load") + 1]
        return [_COMMANDS[name] for name in last[PHASES.index(phase) :]]

    def _next_phase(self, plan: Plan, phase: str, attempt: Attempt) -> str:
        """Where the next attempt begins: with the step that did not end, as a scheduler has it."""
        if plan.whole:
            return phase
        done = attempt.finished
        return PHASES[min(PHASES.index(phase) + done, len(PHASES) - 1)]

    # ---------------------------------------------------------------- what must be true

    def _check_end(self, plan: Plan, fault: Fault, attempt: Attempt) -> None:
        if fault.kind == WORKER:
            if attempt.code != -9:
                raise Violated(f"the killed worker ended with {attempt.code}: {self.log()}")
        elif attempt.code < 0:
            raise Violated(f"after {fault} the worker was stuck: {self.log()}")
        elif plan.whole and fault.site in BETWEEN_STEPS and attempt.code == 0:
            raise Violated(f"after {fault} the run went on, without the build lock: {self.log()}")
        elif attempt.code != 0:
            # what dbt said before is its own
            told = attempt.output.rpartition("Error: ")[2]
            if "What to do: " not in told or "Traceback" in told:
                raise Violated(f"after {fault} it was not said what to do: {attempt.output[-2000:]}")

    def _check_readers(self, fault: Fault, expected: str | None) -> str:
        seen = evidence.seen_by_readers(self.settings)
        name = {json.dumps(self.old): OLD, json.dumps(self.new): NEW}.get(json.dumps(seen))
        if name is None:
            raise Violated(f"readers see neither the old nor the new release: {_difference(seen, self.old)}")
        expected = expected or (SITES[fault.site].readers if fault.delay == 0 else None)
        if expected and name != expected:
            raise Violated(f"readers see the {name} release after {fault}")
        return name

    def _check_ledger(self, fault: Fault) -> None:
        """A step that was killed is there, and it is not said to have ended well."""
        if fault.site in OUTSIDE_STEPS:
            return
        step, state = evidence.steps(self.settings)[-1]
        expected = ("running",) if fault.kind == WORKER else ("running", "failed")
        if step != fault.phase or state not in expected:
            raise Violated(f"after {fault} the ledger's last entry is {step}: {state}")

    def _check_all(self, plan: Plan, tried: Tried) -> None:
        _refuse(evidence.broken_books(self.settings), "after the rerun")
        _compare(evidence.loaded(self.settings), self.loaded, "what is loaded")
        steps = evidence.steps(self.settings)
        if plan.through:
            _compare(evidence.seen_by_readers(self.settings), self.new, "what readers see")
            _compare(evidence.seen_by_readers(self.settings, 1), self.old, "the old release, asked for by its number")
            published = evidence.published(self.settings)
            if plan.whole and NEW in tried.seen:
                # the same night again, whole: the same content as one more release
                published["publications"] = self.published["publications"]
            _compare(published, self.published, "history and publications")
            _refuse(evidence.half_done(self.settings), "after the rerun")
        elif steps[-1] != ("load", "done"):
            raise Violated(f"the ledger's last step is {steps[-1]}")
        crashed = any(fault.kind == POSTGRES for fault in plan.faults)
        left = [
            what
            for what in evidence.left_over(self.settings, patience=1.0 if crashed else 10.0)
            # Postgres itself removes those of a crash: when their number is given out again, or in passing
            if not (crashed and what.startswith("a temporary table"))
        ]
        _refuse(left, "after the rerun")

    # ---------------------------------------------------------------- databases and attempts

    def restart_if_down(self) -> None:
        """The server again, if a fault killed it."""
        postgres.ensure_running(self.home)

    def _admin(self) -> psycopg.Connection:
        url = postgres.ensure_running(self.home)
        return psycopg.connect(f"{url.rsplit('/', 1)[0]}/postgres", autocommit=True)

    def begin(self, stage: str | None) -> None:
        """The database of the next attempt: as it was at a stage, or empty."""
        copy = sql.SQL(" template {} strategy file_copy").format(sql.Identifier(stage)) if stage else sql.SQL("")
        with self._admin() as conn:
            conn.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(_DATABASE)))
            conn.execute(sql.SQL("create database {}").format(sql.Identifier(_DATABASE)) + copy)

    def _keep(self, stage: str) -> None:
        with self._admin() as conn:
            conn.execute(
                sql.SQL("create database {} template {} strategy file_copy").format(
                    sql.Identifier(stage), sql.Identifier(_DATABASE)
                )
            )

    def attempt(
        self,
        commands: Sequence[str],
        *,
        landing: str = "landing",
        what: str = "last_night",
        fault: Fault | None = None,
        here: bool = False,
    ) -> Attempt:
        """Run commands in a process of their own (here: in the worker itself)."""
        output, events = self.folder / "output", self.folder / "events"
        for path in (output, events):
            path.write_text("")
        order = {
            "commands": commands,
            "landing": str(self.folder / landing),
            "what": what,
            "world": str(self._world),
            "fault": asdict(fault) if fault else None,
            "url": self.settings.database_url,
            "data": str(postgres.status(self.home).data),
            "output": str(output),
            "events": str(events),
            "here": here,
            "whole": any(command.startswith("run ") for command in commands),
            "environment": {
                "DATABASE_URL": self.settings.database_url,
                "MEMBERHOUSE_HOME": str(self.home),
                "DO_NOT_TRACK": "1",
                "GX_ANALYTICS_ENABLED": "false",
            },
        }
        assert self._worker.stdin is not None
        assert self._worker.stdout is not None
        print(json.dumps(order), file=self._worker.stdin, flush=True)
        answer = self._worker.stdout.readline()
        assert answer, self.log()
        told = [json.loads(line) for line in events.read_text().splitlines()]
        return Attempt(
            code=json.loads(answer)["code"],
            output=output.read_text(),
            reached=[event["reached"] for event in told if "reached" in event],
            finished=sum("finished" in event for event in told),
            passed=next((event["passed"] for event in told if "passed" in event), {}),
        )

    def log(self) -> str:
        """The end of what the last attempt said, or else the process that forks them."""
        output, worker = ((self.folder / name).read_text() for name in ("output", "worker.log"))
        return (output or worker)[-3000:]


@dataclass(frozen=True)
class Attempt:
    """How a process ended: its exit code, or minus the signal that killed it, and what it said and passed."""

    code: int
    output: str
    reached: list[str]
    finished: int
    passed: Mapping[str, int]


@contextmanager
def night(sample: Path) -> Iterator[Night]:
    """A night on a server of its own, cut from the landed sample; everything of it is removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="memberhouse-faults-"))
    folder.chmod(0o755)
    try:
        with closing(Night(folder, cut(sample))) as prepared:
            prepared.prepare()
            yield prepared
    finally:
        shutil.rmtree(folder)


def _refuse(wrong: Sequence[str], when: str) -> None:
    if wrong:
        raise Violated(f"{when}: {'; '.join(wrong)}")


def _compare(found: Mapping[str, str], expected: Mapping[str, str], what: str) -> None:
    if found != expected:
        raise Violated(f"{what} differs from the undisturbed night: {_difference(found, expected)}")


def _difference(found: Mapping[str, str], expected: Mapping[str, str]) -> dict[str, tuple[str | None, str | None]]:
    return {
        name: (found.get(name), expected.get(name))
        for name in sorted(found.keys() | expected.keys())
        if found.get(name) != expected.get(name)
    }
