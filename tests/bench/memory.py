"""The most memory that processes had together while something ran."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

_LOOK = 0.2  # seconds


class Peak:
    """megabytes: of proportional set size, in which memory that processes share counts once."""

    megabytes = 0.0


@contextmanager
def peak_of(processes: Callable[[], list[psutil.Process]]) -> Iterator[Peak]:
    """Looks five times a second."""
    peak = Peak()
    done = threading.Event()

    def look() -> None:
        while not done.wait(_LOOK):
            together = 0.0
            for process in processes():
                with suppress(psutil.Error):
                    together += process.memory_full_info().pss / 2**20
            peak.megabytes = max(peak.megabytes, together)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()


def of_server(home: Path) -> Callable[[], list[psutil.Process]]:
    """The processes of the home's Postgres, its shared buffers included."""
    from memberhouse.local import postgres

    server = psutil.Process(postgres.status(home).pid)
    return lambda: [server, *server.children(recursive=True)]


def of_this_process() -> list[psutil.Process]:
    """This process alone."""
    return [psutil.Process()]
