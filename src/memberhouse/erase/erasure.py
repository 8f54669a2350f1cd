"""An erasure from end to end: find, prepare, replace, prove.

Alone with the warehouse: under the build lock and the lock that loads share. What may take long or fail comes first
and changes nothing that anybody reads. One transaction replaces the member in the database and writes down which landed
files are to follow; then they take their places. Killed before that transaction, nothing is erased; killed after it,
`finish` does the rest without knowing who it was, because nobody does any more.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import psycopg

from memberhouse import db, ledger
from memberhouse.erase import database, files, journal, landed
from memberhouse.erase.person import Person, UnknownMember, identify
from memberhouse.errors import MemberhouseError
from memberhouse.extract import forget_leftovers
from memberhouse.landing import AnyPath, landing_root
from memberhouse.settings import Settings
from memberhouse.sources.raw_tables import ensure_raw_tables
from memberhouse.vault import tokens_of
from memberhouse.warehouse import build_lock

Progress = Callable[[str], None]

# Where somebody must stand to be known: not in a log, which may say the same word of something else.
_KNOWN_BY = ("raw.", "quarantine.", "history.", "vault.")
_LANDED = "landed "
_OTHER_FILES = "files"


def _is_table(place: str) -> bool:
    return not place.startswith((_LANDED, "/")) and place != _OTHER_FILES


class NotAllErased(MemberhouseError):
    """The search after an erasure found the member once more."""


@dataclass
class Erasure:
    """What an erasure did, or with `dry_run` would do.

    found: rows, landed rows and places in files, by table, feed and file. ids: of the member; in a dry run only.
    linked_before: ids that were once linked with them and are not erased; in a dry run only. shared: how many phone
    numbers, addresses and open ids stay because another person has them, too. not_searched: landing areas that were
    loaded from and are not reached, and extractions under way. finished: how many interrupted erasures were finished
    first.
    """

    found: Counter[str] = field(default_factory=Counter)
    ids: Sequence[str] = ()
    linked_before: Sequence[str] = ()
    shared: int = 0
    not_searched: list[str] = field(default_factory=list)
    finished: int = 0

    def lines(self) -> list[str]:
        """What was done, for a person."""
        said = [f"{number:>9,}  {place}" for place, number in sorted(self.found.items())]
        if self.finished:
            said.insert(0, f"Finished what an interrupted erasure had left ({self.finished}).")
            if not self.found:
                return said
        if self.ids:
            said.append(f"The ids of the member: {', '.join(self.ids)}.")
            if self.linked_before:
                said.append(
                    f"Linked with them once, and not erased: {', '.join(self.linked_before)}. The same person? Erase"
                    " them, too."
                )
            said.append(f"Would be erased: {self.summary()}. Nothing was changed.")
        else:
            said.append(f"Erased: {self.summary()}. Everything was searched once more, and nothing found.")
        if self.shared:
            said.append(
                f"{self.shared} phone numbers, addresses or open ids stay, because another person has them, too."
            )
        said += [f"Not searched, because it is not reached: {place}" for place in self.not_searched]
        if not self.ids:
            said.append(
                "Sources must have erased the member, too: no trace of who it was is kept, so whoever they deliver"
                " again comes back as somebody new. Backups and archived log files of the database: docs/runbook.md,"
                " “Erasing a member”."
            )
        return said

    def summary(self) -> str:
        """One sentence that names nobody."""
        rows = sum(number for place, number in self.found.items() if _is_table(place))
        landed_rows = sum(number for place, number in self.found.items() if place.startswith(_LANDED))
        in_files = sum(self.found.values()) - rows - landed_rows
        return (
            f"{rows:,} rows in the database, {landed_rows:,} rows in landed files, {in_files:,} places in other files"
        )


def erase(
    settings: Settings,
    member: str,
    *,
    landing: Collection[AnyPath] = (),
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Erasure:
    """Erase the member whom `member` names: a member id, card number, account id, phone number or e-mail address.

    landing: landing areas to look through besides those that were ever loaded from. dry_run: find, and change nothing.
    Raises UnknownMember, MemberhouseError for a number that several members have, database.Undeclared (nothing was
    changed), and NotAllErased when the search afterwards finds something. No message names the member.
    """
    with _alone(settings, dry_run=dry_run) as conn:
        finished = 0 if dry_run else journal.finish(conn, partial(_tidy, settings))
        person = identify(conn, tokens_of(settings, conn), member)
        erasure = Erasure(shared=len(person.shared), finished=finished)
        roots = list(_landing_roots(conn, settings, landing, erasure))
        conn.commit()
        if dry_run:
            erasure.ids, erasure.linked_before = person.ids, person.linked_before
            _find(conn, settings, person, roots, erasure, prepare=False)
            return erasure
        erasure.not_searched += [f"{folder} (an extraction is under way)" for folder in forget_leftovers(settings)]
        try:
            areas = _find(conn, settings, person, roots, erasure, prepare=True)
        except UnknownMember:
            if finished:  # whoever it was: the same command again has done what the first one left
                return erasure
            raise
        with ledger.step(settings, "erase", "a member") as step:
            try:
                erasure_id = _replace(conn, settings, person, areas, erasure)
            except psycopg.OperationalError:
                # it may have been committed: what is prepared stays for `finish`, or for the next erasure to tidy
                raise
            except Exception:
                conn.rollback()
                for area in areas:
                    landed.discard(area)
                raise
            journal.finish(conn, partial(_tidy, settings))
            if progress:
                progress("Erased. Everything is searched once more.")
            _prove(conn, settings, person, roots)
            journal.prove(conn, erasure_id)
            step.summary = f"a member was erased from {erasure.summary()}; a search found nothing left"
    return erasure


def finish(settings: Settings) -> int:
    """Finish erasures that were interrupted. Returns how many."""
    with _alone(settings, dry_run=False) as conn:
        return journal.finish(conn, partial(_tidy, settings))


@contextmanager
def _alone(settings: Settings, *, dry_run: bool) -> Iterator[psycopg.Connection[Any]]:
    """A connection while nobody loads or builds; in a dry run, which changes nothing, beside everyone."""
    with db.connect(settings) as conn:
        db.ensure_schema(conn)
        ensure_raw_tables(conn)
        conn.commit()
        if dry_run:
            yield conn
            return
        with build_lock(settings):
            conn.execute("select pg_advisory_lock(%s)", (db.RAW_LOCK,))
            conn.commit()
            yield conn


def _landing_roots(
    conn: psycopg.Connection[Any], settings: Settings, given: Collection[AnyPath], erasure: Erasure
) -> Iterator[AnyPath]:
    """The landing areas: those given, that of the DAGs, and every one that was ever loaded from."""
    loaded = conn.execute("select distinct subject from ops.step where step = 'load' order by subject").fetchall()
    seen: set[str] = set()
    for place in [*map(str, given), settings.landing_place, *(subject for (subject,) in loaded)]:
        root = landing_root(place)
        if isinstance(root, Path):
            root = root.absolute()
        if str(root) in seen:
            continue
        seen.add(str(root))
        try:
            if root.is_dir():
                yield root
            elif place != settings.landing_place:
                erasure.not_searched.append(f"{root} (not there)")
        except Exception as error:  # noqa: BLE001  (whatever a storage's own tools raise)
            erasure.not_searched.append(f"{root} ({type(error).__name__})")


def _find(
    conn: psycopg.Connection[Any],
    settings: Settings,
    person: Person,
    roots: Sequence[AnyPath],
    erasure: Erasure,
    *,
    prepare: bool,
) -> list[landed.Landed]:
    """Look everywhere. prepare: write the new landed files beside the old ones. Raises UnknownMember, Undeclared."""
    in_database = database.search(conn, person)
    conn.commit()
    database.refuse_undeclared(in_database)
    erasure.found.update(in_database.rows)
    areas = []
    try:
        for root in roots:
            areas.append(landed.search(root, person, prepare=prepare))
            erasure.found.update({f"{_LANDED}{feed}": rows for feed, rows in areas[-1].rows.items()})
        if not any(place.startswith((*_KNOWN_BY, _LANDED)) for place in erasure.found):
            raise UnknownMember(
                "Nobody is known by what was given, and nothing of anybody by that name is left.",
                "name the member by a member id, card number, account id, phone number or e-mail address;"
                " one who was erased is not known any more",
            )
        for path in files.places(conn, settings, [root for root in roots if isinstance(root, Path)]):
            try:
                number = files.search(path, person, overwrite=False)
            except OSError as error:
                erasure.not_searched.append(f"{path} ({error.strerror})")
                continue
            if number:
                erasure.found[str(path)] = number
    except BaseException:
        for area in areas:
            landed.discard(area)
        raise
    return areas


def _replace(
    conn: psycopg.Connection[Any],
    settings: Settings,
    person: Person,
    areas: Sequence[landed.Landed],
    erasure: Erasure,
) -> int:
    # first, because nobody would know afterwards what to look for
    for place in erasure.found:
        if place.startswith("/"):
            try:
                files.search(Path(place), person, overwrite=True)
            except OSError as error:
                raise MemberhouseError(
                    f"{place} names the member and can't be changed ({error.strerror}). The database was not changed.",
                    "remove the file or let this account write to it, then erase again",
                ) from error
    conn.commit()  # whatever was read until now was another transaction
    database.erase(conn, person)
    for area in areas:
        landed.update_batches(conn, area)
    changes = [change for area in areas for change in area.changes]
    erasure_id = journal.begin(conn, _by_kind(erasure.found), changes)
    conn.commit()
    return erasure_id


def _by_kind(found: Counter[str]) -> dict[str, int]:
    """Counts for the record: files as one, because their names say when somebody was looked at."""
    kinds: Counter[str] = Counter()
    for place, number in found.items():
        kinds[_OTHER_FILES if place.startswith("/") else place] += number
    return dict(kinds)


def _tidy(settings: Settings, found: Collection[str]) -> None:
    with db.connect(settings, autocommit=True) as conn:
        database.vacuum(conn, [place for place in found if _is_table(place)])


def _prove(conn: psycopg.Connection[Any], settings: Settings, person: Person, roots: Sequence[AnyPath]) -> None:
    """Search everything once more. Raises NotAllErased."""
    in_database = database.search(conn, person)
    left = [*in_database.rows, *in_database.left, *database.search_statistics(conn, person)]
    for root in roots:
        left += [f"{root}: {feed}" for feed in landed.search(root, person, prepare=False).rows]
    for path in files.places(conn, settings, [root for root in roots if isinstance(root, Path)]):
        with suppress(OSError):  # told before
            if files.search(path, person, overwrite=False):
                left.append(str(path))
    left += _approvals(settings, person)
    conn.commit()
    if left:
        raise NotAllErased(
            f"The member was erased, and is named once more in: {', '.join(left)}.",
            "docs/runbook.md, “Erasure incomplete”",
        )


def _approvals(settings: Settings, person: Person) -> list[str]:
    """The seed that names cards: part of the project, so a person has to change it."""
    seed = settings.project_root / "dbt_project" / "seeds" / "approved_enrolments.csv"
    with seed.open(newline="", encoding="utf-8") as file:
        named = any(person.is_own(row["card_no"]) for row in csv.DictReader(file))
    return [str(seed)] if named else []
