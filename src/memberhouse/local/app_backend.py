"""The stand-in for the app's back end as a program beside the local Airflow, with a clock of its own.

Under ``<home>/app-back-end``: the batches that it serves (``app/``, ``pos/``), ``port`` and ``token``, chosen once,
``record.json`` (who it is) and ``log``.
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
        (place / "port").write_text(f"{postgres.free_port(_PORTS)}\n")
        write_private(place / "token", secrets.token_urlsafe(32))
    return AppBackEnd(f"http://{_HOST}:{int((place / 'port').read_text())}", (place / "token").read_text())


def up(settings: Settings) -> None:
    """Start it unless it runs, and wait until it answers.

    Raises MemberhouseError with the end of its log when it does not come up.
    """
    place, back_end = folder(settings), address(settings)
    program = Program.recorded(place / "record.json")
    if program is None or not program.alive():
        port = back_end.url.rpartition(":")[2]
        program = processes.start(
            [sys.executable, "-m", "memberhouse.cli", "app-backend", str(place), "--host", _HOST, "--port", port],
            env={**os.environ, "MEMBERHOUSE_APP_TOKEN": back_end.token},
            log=place / "log",
            record=place / "record.json",
            fingerprint="",
        )
    end = time.monotonic() + _HEALTHY_TIMEOUT
    while not _answers(back_end):
        if not program.alive() or time.monotonic() > end:
            raise MemberhouseError(
                f"The app's stand-in at {back_end.url} does not answer. {log_end(place / 'log')}",
                "The log's last lines name the cause.",
            )
        time.sleep(0.2)


def set_clock(settings: Settings, now: datetime) -> None:
    """What happened by `now`, and nothing later, is there to be extracted."""
    back_end = address(settings)
    answer = httpx.put(
        f"{back_end.url}/control",
        json={"now": now.isoformat()},
        headers={"Authorization": f"Bearer {back_end.token}"},
    )
    answer.raise_for_status()


def down(settings: Settings) -> None:
    """Stop it. Fine when there is none."""
    record = folder(settings) / "record.json"
    if program := Program.recorded(record):
        program.stop(_STOP_PATIENCE)
        record.unlink()


def _answers(back_end: AppBackEnd) -> bool:
    try:
        return httpx.get(f"{back_end.url}/health", timeout=5).is_success
    except httpx.HTTPError:
        return False
