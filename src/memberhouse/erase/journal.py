"""What is written down of erasures: that they happened, and which landed files still wait for their turn.

The database and the landing area can't change in one transaction. New files are prepared beside the old ones; the
transaction that erases the rows also writes down which files they are to replace; then they take their place. A process
that is killed in between leaves that list, and whoever runs the command again works it off. Loads wait for it: a file
and what the warehouse knows of it do not agree meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.types.json import Jsonb
from upath import UPath

from memberhouse.errors import MemberhouseError
from memberhouse.landing import landing_root, remove_batch

UNFINISHED = "“memberhouse erase” without a member finishes it; docs/runbook.md, “Erasure not finished”"


@dataclass(frozen=True)
class Change:
    """A landed file or folder. prepared: what takes its place; None: it goes. area: the landing area it lies in."""

    place: str
    prepared: str | None
    area: str


def begin(conn: psycopg.Connection[Any], found: Mapping[str, int], changes: Sequence[Change]) -> int:
    """Write down an erasure, in the transaction that does it. Returns its erasure_id."""
    row = conn.execute(
        "insert into ops.erasure (found, pending) values (%s, %s) returning erasure_id",
        (Jsonb(dict(found)), Jsonb([[change.place, change.prepared, change.area] for change in changes])),
    ).fetchone()
    assert row is not None  # noqa: S101  (an insert ... returning has a row)
    return int(row[0])


def finish(conn: psycopg.Connection[Any], tidy: Callable[[Collection[str]], None]) -> int:
    """Put all files that wait into their places, then tidy the tables that were changed. Returns of how many erasures.
    Safe to repeat at any point. Raises MemberhouseError when a landing area is not there: its files go on waiting.

    tidy: is given what was found, by place, and takes the old versions of changed rows away.
    """
    unfinished = conn.execute(
        "select erasure_id, found, pending from ops.erasure where finished_at is null order by erasure_id"
    ).fetchall()
    conn.commit()  # or it would hold old versions of rows itself
    for erasure_id, found, pending in unfinished:
        missing = {change.area for change in (Change(*each) for each in pending) if not _apply(change)}
        if missing:
            raise MemberhouseError(
                f"An erasure is not finished: files wait in {', '.join(sorted(missing))}, which is not there.",
                "make the landing area reachable again, then “memberhouse erase” without a member;"
                " docs/runbook.md, “Erasure not finished”",
            )
        tidy(found)
        conn.execute(
            "update ops.erasure set finished_at = clock_timestamp(), pending = '[]' where erasure_id = %s",
            (erasure_id,),
        )
        conn.commit()
    return len(unfinished)


def prove(conn: psycopg.Connection[Any], erasure_id: int) -> None:
    """Write down that everything was searched and nothing found."""
    conn.execute("update ops.erasure set proven_at = clock_timestamp() where erasure_id = %s", (erasure_id,))
    conn.commit()


def erasures(conn: psycopg.Connection[Any]) -> int:
    """How many there have been. Raises MemberhouseError while one is not finished."""
    row = conn.execute("select count(*), count(*) filter (where finished_at is null) from ops.erasure").fetchone()
    assert row is not None  # noqa: S101  (an aggregate has a row)
    if row[1]:
        raise MemberhouseError("The erasure of a member was begun and not finished; nothing was loaded.", UNFINISHED)
    return int(row[0])


def refuse_if_erased_since(conn: psycopg.Connection[Any], before: int) -> None:
    """Raise MemberhouseError when there was an erasure since there were `before`: what was read by then may hold
    what was erased."""
    if erasures(conn) != before:
        raise MemberhouseError(
            "A member was erased while this load ran. What it had read by then may name the member, and was not"
            " taken; batches that were loaded before are whole.",
            "load again",
        )


def _apply(change: Change) -> bool:
    """Make a change that was not made yet. Returns False when there is no telling, because the area is not there."""
    place = landing_root(change.place)
    if change.prepared is None:
        if place.is_file():
            place.unlink()
        elif place.exists():
            remove_batch(place)
        else:
            return _is_there(change)
        return True
    prepared = landing_root(change.prepared)
    if not prepared.exists():  # it took its place before
        return place.exists() or _is_there(change)
    if isinstance(prepared, UPath):
        prepared.fs.mv(prepared.path, UPath(change.place).path)
    else:
        prepared.replace(change.place)
    return True


def _is_there(change: Change) -> bool:
    """Whether the landing area has the change's source: a folder that something is to be mounted on is empty."""
    source = change.place.removeprefix(change.area).strip("/").split("/", 1)[0]
    return (landing_root(change.area) / source).exists()
