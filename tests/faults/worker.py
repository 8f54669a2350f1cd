"""The process that the faults happen to.

`python -m tests.faults.worker` imports dbt, Great Expectations and the rest once, then forks a process for every
attempt it is asked for on its standard input, so that a try does not pay for the imports. An attempt runs the
command line, command by command, with failpoints put in at seams of the libraries.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Any

import psutil
import psycopg
from psycopg import pq
from psycopg.copy import LibpqWriter, QueuedLibpqWriter
from tests.faults.plans import POSTGRES, SESSIONS, WORKER, Fault
from tests.faults.world import World

from memberhouse.local.preload import LIBRARIES

NEVER_REACHED = 77
PATIENCE = 300.0  # seconds an attempt may take before it counts as stuck

_PHASE_OF = {"load_landed": "load", "build": "build", "evaluate": "gate", "publish": "publish", "rollback": "rollback"}


class Failpoints:
    """Counts how often each site is passed, and strikes where the fault says."""

    def __init__(self, fault: Fault | None, url: str, data: Path, events: Path, whole: bool) -> None:
        self._fault, self._url, self._data, self._whole = fault, url, data, whole
        self._events = os.open(events, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._lock = threading.Lock()
        self._phase = "land"
        self.passed: Counter[str] = Counter()
        self.struck = False

    def tell(self, **event: Any) -> None:
        os.write(self._events, json.dumps(event).encode() + b"\n")

    def passing(self, site: str) -> None:
        with self._lock:
            self.passed[site] += 1
            fault = self._fault
            if fault is None or fault.site != site or fault.nth != self.passed[site]:
                return
        if fault.delay:
            timer = threading.Timer(fault.delay / 1000, self._strike, [fault])
            timer.daemon = True
            timer.start()
        else:
            self._strike(fault)

    def _strike(self, fault: Fault) -> None:
        self.struck = True
        self.tell(reached=str(fault), in_phase=self._phase)
        if fault.kind == WORKER:
            os.killpg(0, signal.SIGKILL)
        elif fault.kind == POSTGRES:
            server = psutil.Process(int((self._data / "postmaster.pid").read_text().split()[0]))
            for process in (server, *server.children(recursive=True)):
                with suppress(psutil.NoSuchProcess):  # a session ended meanwhile
                    process.kill()
        elif fault.kind == SESSIONS:
            server_url, name = self._url.rsplit("/", 1)
            with psycopg.connect(f"{server_url}/postgres", autocommit=True) as conn:
                conn.execute("select pg_terminate_backend(pid, 2000) from pg_stat_activity where datname = %s", (name,))

    # ---------------------------------------------------------------- where the sites are

    def install(self) -> None:
        self._in_landing()
        self._in_phases()
        self._in_connections()
        self._in_dbt()
        self._in_great_expectations()

    def _in_landing(self) -> None:
        replace = Path.replace

        def watched(path: Path, target: Any) -> Path:
            if self._phase == "land" and path.name.endswith(".part"):
                self.passing("mid-landing")
            return replace(path, target)

        Path.replace = watched  # type: ignore[method-assign]

    def _in_phases(self) -> None:
        from memberhouse import gate, load, release, warehouse

        for module in (load, warehouse, gate, release):
            for name, phase in _PHASE_OF.items():
                if hasattr(module, name):
                    setattr(module, name, self._phase_of(getattr(module, name), phase))

    def _phase_of(self, step: Callable[..., Any], phase: str) -> Callable[..., Any]:
        @wraps(step)
        def watched(*args: Any, **options: Any) -> Any:
            self._phase = phase
            if phase in ("load", "build"):
                self.passing(f"{phase}ing")
            result = step(*args, **options)
            if self._whole and phase in ("load", "build", "gate"):
                self.passing(f"after-{phase}")
            return result

        return watched

    def _in_connections(self) -> None:
        for writer in (LibpqWriter, QueuedLibpqWriter):
            writer.write = self._copying(writer.write)
        begin, commit = psycopg.Connection.transaction, psycopg.Connection.commit

        @contextmanager
        def transaction(conn: psycopg.Connection, *args: Any, **options: Any) -> Iterator[Any]:
            with begin(conn, *args, **options) as it:
                yield it
                # inside another transaction this one commits nothing yet
                outermost = conn.autocommit
                sites = self._before_commit(conn) if outermost else None
            self._after_commit(sites)

        def commit_(conn: psycopg.Connection) -> None:
            sites = self._before_commit(conn)
            commit(conn)
            self._after_commit(sites)
            if self._phase == "publish" and sites is None:
                # what was read to decide; the pointer's own transaction comes next
                self.passing("before-pointer")

        psycopg.Connection.transaction = transaction  # type: ignore[method-assign, assignment]
        psycopg.Connection.commit = commit_  # type: ignore[method-assign]

    def _copying(self, write: Callable[..., None]) -> Callable[..., None]:
        def watched(writer: Any, data: Any) -> None:
            write(writer, data)
            if self._phase == "load":
                self.passing("mid-copy")

        return watched

    def _before_commit(self, conn: psycopg.Connection) -> str | None:
        """Pass the site before this commit, if it commits what is watched; returns the site after it."""
        table, before, after = {
            "load": ("ops.batch", "before-manifest-commit", "after-manifest-commit"),
            "build": ("release.release", "before-build-commit", None),
            "gate": ("release.verdict", "before-verdict-commit", "after-verdict-commit"),
            "publish": ("release.current", "pointer-not-committed", "pointer-committed"),
            "rollback": ("release.current", "pointer-not-committed", "pointer-committed"),
        }.get(self._phase, (None, None, None))
        if table is None or conn.info.transaction_status != pq.TransactionStatus.INTRANS:
            return None
        # a row that is visible and whose transaction goes on is this one's
        wrote = f"select from {table} where pg_xact_status(xmin::text::xid8) = 'in progress'"
        if conn.execute(wrote.encode()).fetchone() is None:
            return None
        self.passing(str(before))
        return after

    def _after_commit(self, site: str | None) -> None:
        if site:
            self.passing(site)

    def _in_dbt(self) -> None:
        import dbt.cli.main

        def watch(event: Any) -> None:
            if event.info.name == "NodeStart":
                self.passing("node-start")
                self.passing("in-node")
            elif event.info.name == "NodeFinished":
                self.passing("node-finish")

        class Runner(dbt.cli.main.dbtRunner):
            def __init__(self, manifest: Any = None, callbacks: Any = None) -> None:
                super().__init__(manifest, [*(callbacks or []), watch])

        dbt.cli.main.dbtRunner = Runner

    def _in_great_expectations(self) -> None:
        from great_expectations.expectations.expectation import Expectation

        validate = Expectation.metrics_validate

        def watched(expectation: Any, *args: Any, **options: Any) -> Any:
            self.passing("mid-check")
            return validate(expectation, *args, **options)

        Expectation.metrics_validate = watched  # type: ignore[method-assign]


def run(order: dict[str, Any], failpoints: Failpoints | None = None) -> int:
    """Run the commands of an order one after the other, in this process; returns the first exit code that is not 0."""
    from memberhouse import cli

    landing = Path(order["landing"])
    for command in order["commands"]:
        if command == "land":
            world: World = pickle.loads(Path(order["world"]).read_bytes())  # noqa: S301  (we wrote it)
            for batch in getattr(world, order["what"]):
                batch.land(landing)
            if failpoints:
                failpoints.tell(finished=command)
                failpoints.passing("after-landing")
            continue
        arguments = [str(landing) if part == "LANDING" else part for part in command.split()]
        sys.argv = ["memberhouse", *arguments]
        try:
            cli.main()
        except SystemExit as end:
            if end.code:
                return int(end.code)
        if failpoints:
            failpoints.tell(finished=command)
            failpoints.passing(f"after-{arguments[0]}")
    return 0


def _attempt(order: dict[str, Any]) -> None:
    """In the forked process: run, report how often each site was passed, end."""
    os.setsid()
    output = os.open(order["output"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(output, stream)
    fault = Fault(**order["fault"]) if order["fault"] else None
    failpoints = Failpoints(fault, order["url"], Path(order["data"]), Path(order["events"]), order["whole"])
    failpoints.install()
    code = 1
    try:
        code = run(order, failpoints)
    except BaseException:
        traceback.print_exc()
    failpoints.tell(passed=failpoints.passed)
    sys.stdout.flush()
    missed = fault is not None and not failpoints.struck
    too_late = fault is not None and fault.delay > 0 and code == 0  # its time had not come when all was done
    os._exit(NEVER_REACHED if missed and not too_late else code)


def _forked(order: dict[str, Any]) -> int:
    """Run the order in a process of its own; returns its exit code, or minus the signal that ended it."""
    assert threading.active_count() == 1, threading.enumerate()
    pid = os.fork()
    if pid == 0:
        _attempt(order)
    end = time.monotonic() + PATIENCE
    while (done := os.waitpid(pid, os.WNOHANG))[0] == 0:
        if time.monotonic() > end:
            os.killpg(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return -signal.SIGALRM
        time.sleep(0.01)
    return os.waitstatus_to_exitcode(done[1])


def main() -> None:
    """Read orders from standard input, one JSON object a line, and answer each with how it ended."""
    orders, answers = sys.stdin, os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the commands print goes to the log
    for library in LIBRARIES:
        import_module(library)
    import tqdm

    tqdm.tqdm.monitor_interval = 0  # no thread that watches progress bars: this process forks
    for line in orders:
        order = json.loads(line)
        os.environ.update(order["environment"])
        # here: what this process learns by it (dbt's compiled macros) is there in every fork
        code = run(order) if order["here"] else _forked(order)
        print(json.dumps({"code": code}), file=answers, flush=True)


if __name__ == "__main__":
    main()
