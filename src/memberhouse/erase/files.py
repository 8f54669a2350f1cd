"""The member in files that Memberhouse wrote: logs, reports, dbt's target.

By design they name nobody. What is found all the same is overwritten where it stands, byte for byte, so that a program
that has the file open goes on writing to it.
"""

from __future__ import annotations

import mmap
import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import psycopg

from memberhouse.erase.person import Person
from memberhouse.settings import Settings
from memberhouse.vault.key import KEY_FILE

# Of a database's own folder: what is in it is the database's.
_DATABASE = "PG_VERSION"


def places(conn: psycopg.Connection[Any], settings: Settings, landing: Collection[Path]) -> Iterator[Path]:
    """Every file under the state folder, every report wherever it was written, and in the landing areas what is in no
    batch; not the database's own files, not the batches."""
    seen: set[Path] = set()
    for folder in (settings.home, *landing):
        for path in _files(folder.absolute(), {root.absolute() for root in landing}):
            if path not in seen and path.name != KEY_FILE:
                seen.add(path)
                yield path
    for (summary,) in conn.execute("select distinct summary from ops.step where step = 'report' and state = 'done'"):
        path = Path(summary)
        if path.is_file() and path.absolute() not in seen:
            yield path.absolute()


def search(path: Path, person: Person, *, overwrite: bool) -> int:
    """How often the member stands in a file. overwrite: put asterisks there. Raises OSError."""
    if path.stat().st_size == 0:
        return 0
    with path.open("r+b" if overwrite else "rb") as file:
        access = mmap.ACCESS_WRITE if overwrite else mmap.ACCESS_READ
        with mmap.mmap(file.fileno(), 0, access=access) as content:
            spans = [match.span() for match in _in_bytes(person).finditer(content)]
            if overwrite:
                for begin, end in spans:
                    content[begin:end] = b"*" * (end - begin)
                content.flush()
    return len(spans)


def _in_bytes(person: Person) -> re.Pattern[bytes]:
    return re.compile(person.in_text.pattern.encode(), re.IGNORECASE)


def _files(folder: Path, landing: Collection[Path]) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        here = Path(parent)
        root = next((root for root in landing if here.is_relative_to(root)), None)
        # <root>/<source>/<feed>/<date>/<store>/<batch>: the landing area's own matter
        in_batch = root is not None and len(here.relative_to(root).parts) == 5
        if _DATABASE in names or in_batch:
            folders.clear()
            continue
        for name in names:
            path = here / name
            if path.is_file() and not path.is_symlink():
                yield path
