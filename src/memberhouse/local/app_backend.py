"""The stand-in for the app's back end as a program beside the local Airflow, with a clock of its own.

Under ``<home>/app-back-end``: the batches that it serves (``app/``, ``pos/``), ``token`` and ``port``, chosen once,
``now`` (what time it is for it), ``record.json`` (who it is) and ``log``.
"""

from __future__ import annotations

import os
import secrets
import sys
import time
from datetime import datetime
from pathlib import Path

import httpx

from memberhouse.errors import MemberhouseError
from memberhouse.local import postgres, processes
from memberhouse.local.files import log_end, write_private
from memberhouse.local.processes import Program
from memberhouse.settings import AppBackEnd, Settings

_HOST = "127.0.0.1"
_PORTS = range(15_000, 20_000)
_HEALTHY_TIMEOUT = 60.0  # seconds; it reads its batches first
_STOP_PATIENCE = 5.0


def folder(settings: Settings) -> Path:
    """Where the batches lie that it serves."""
    return settings.home / "app-back-end"


def address(settings: Settings) -> AppBackEnd:
    """Its address and token, chosen at the first call."""
    place = folder(settings)
    place.mkdir(parents=True, exist_ok=True)
    if not (place / "port").exists():
        write_private(place / "token", secrets.token_urlsafe(32))
        _write(place / "port", f"{postgres.free_port(_PORTS)}\n")  # last: where it is, the token is
    return AppBackEnd(f"http://{_HOST}:{int((place / 'port').read_text())}", (place / "token").read_text())


def up(settings: Settings) -> None:
    """Start it at the moment that its clock was set to, unless it runs, and wait until it answers.

    Raises MemberhouseError when its clock was never set: by the real time it would serve all that it has. Raises
    it with the end of its log when it does not come up.
    """
    place, back_end = folder(settings), address(settings)
    program = _running(place)
    if program is None:
        now = clock(settings)
        if now is None:
            raise MemberhouseError(
                f"The app's stand-in has no time to start at: there is no {place / 'now'}.",
                "`memberhouse demo` sets its clock and starts it.",
            )
        address_of_it = ["--host", _HOST, "--port", back_end.url.rpartition(":")[2]]
        program = processes.start(
            [sys.executable, "-m", "memberhouse.cli", "app-backend", str(place), *address_of_it, "--now", now],
            env={**os.environ, "MEMBERHOUSE_APP_TOKEN": back_end.token},
            log=place / "log",
            record=place / "record.json",
            fingerprint="",
        )
    _wait_until_it_answers(place, program, back_end)


def clock(settings: Settings) -> str | None:
    """The moment that its clock was set to, ISO 8601; None: it never was."""
    file = folder(settings) / "now"
    return file.read_text() if file.exists() else None


def set_clock(settings: Settings, now: datetime) -> None:
    """What happened by `now`, and nothing later, is there to be extracted: from it if it runs, and whenever it is
    started. Raises MemberhouseError when it runs and can't be told."""
    place, back_end = folder(settings), address(settings)
    _write(place / "now", now.isoformat())
    program = _running(place)
    if program is None:
        return
    _wait_until_it_answers(place, program, back_end)
    try:
        httpx.put(
            f"{back_end.url}/control",
            json={"now": now.isoformat()},
            headers={"Authorization": f"Bearer {back_end.token}"},
        ).raise_for_status()
    except httpx.HTTPError as error:
        raise MemberhouseError(
            f"The app's stand-in at {back_end.url} was not told that it is {now.isoformat()}:"
            f" {str(error).partition(chr(10))[0]}.",
            "`memberhouse down`, then `memberhouse demo` again: it starts at that time.",
        ) from error


def down(settings: Settings) -> None:
    """Stop it. Fine when there is none."""
    record = folder(settings) / "record.json"
    if program := Program.recorded(record):
        program.stop(_STOP_PATIENCE)
        record.unlink()


def _running(place: Path) -> Program | None:
    program = Program.recorded(place / "record.json")
    return program if program and program.alive() else None


def _wait_until_it_answers(place: Path, program: Program, back_end: AppBackEnd) -> None:
    end = time.monotonic() + _HEALTHY_TIMEOUT
    while not _answers(back_end):
        if not program.alive() or time.monotonic() > end:
            raise MemberhouseError(
                f"The app's stand-in at {back_end.url} does not answer. {log_end(place / 'log')}",
                "The log's last lines name the cause.",
            )
        time.sleep(0.2)


def _write(path: Path, text: str) -> None:
    """All of it or nothing, whenever this process is killed."""
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(text)
    unfinished.replace(path)


def _answers(back_end: AppBackEnd) -> bool:
    try:
        return httpx.get(f"{back_end.url}/health", timeout=5).is_success
    except httpx.HTTPError:
        return False
