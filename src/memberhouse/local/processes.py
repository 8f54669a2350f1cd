"""Programs that outlive their starter: each in a session of its own, known again by pid and start time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

_LOG_LIMIT = 10 * 1024 * 1024  # bytes

_children: list[subprocess.Popen[bytes]] = []


@dataclass(frozen=True)
class Program:
    """A program that was started.

    pid: of its leading process, which is the number of its session too. started_at: that process's
    start time, because pids are given out again. fingerprint: of what it was started with.
    """

    pid: int
    started_at: float
    fingerprint: str

    @classmethod
    def recorded(cls, record: Path) -> Program | None:
        """What `start` wrote to ``record``, or None."""
        try:
            return cls(**json.loads(record.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def alive(self) -> bool:
        """Whether its leading process runs."""
        reap()
        try:
            process = psutil.Process(self.pid)
            return process.create_time() == self.started_at and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    def stop(self, patience: float) -> None:
        """Ask the leading process to end; after ``patience`` seconds kill what is left of its session."""
        if self.alive():
            os.kill(self.pid, signal.SIGTERM)
            end = time.monotonic() + patience
            while self.alive() and time.monotonic() < end:
                time.sleep(0.1)
        members = self._session()
        for member in members:
            try:
                member.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(members, timeout=10)

    def _session(self) -> list[psutil.Process]:
        """The running processes of its session: also those whose leading process was killed."""
        try:
            if psutil.Process(self.pid).create_time() != self.started_at:
                return []  # the number belongs to another program, so nobody of the session is left
        except psutil.NoSuchProcess:
            pass
        members = []
        for process in psutil.process_iter():
            try:
                if os.getsid(process.pid) == self.pid and process.status() != psutil.STATUS_ZOMBIE:
                    members.append(process)
            except (ProcessLookupError, PermissionError, psutil.NoSuchProcess):
                continue
        return members


def start(command: Sequence[str], *, env: Mapping[str, str], log: Path, record: Path, fingerprint: str) -> Program:
    """`spawn` a program and write down who it is."""
    child = spawn(command, log, env=env)
    program = Program(child.pid, psutil.Process(child.pid).create_time(), fingerprint)
    unfinished = record.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(asdict(program)))
    unfinished.rename(record)
    return program


def spawn(command: Sequence[str | Path], log: Path, **options: Any) -> subprocess.Popen[bytes]:
    """Start a program that outlives this process: its own session, its output appended to ``log``.

    A log that has grown long is set aside first. options: further ones of Popen.
    """
    if log.exists() and log.stat().st_size > _LOG_LIMIT:
        log.replace(log.with_suffix(".log.1"))
    with log.open("ab") as output:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            start_new_session=True,
            **options,
        )
    _children.append(child)
    return child


def reap() -> None:
    """Let go of programs started by this process that have ended; until then they look alive to others."""
    for child in _children:
        child.poll()
