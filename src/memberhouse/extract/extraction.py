"""One extraction: the changes of a resource since its watermark, as landed batches.

Nothing is landed before the last page has come, and what is landed says in its manifest up to when it goes.
The watermark itself is no state of the extraction: ``ops.app_watermark`` reads it off the loaded batches.
"""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import json
import re
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import httpx

from memberhouse import db, ledger
from memberhouse.errors import ExtractionUnderWay, MemberhouseError
from memberhouse.extract.pages import Pages, Patience
from memberhouse.extract.resources import ORDER_RESOURCES, RESOURCES
from memberhouse.landing import AnyPath, Extract, WrittenFile, write_batch
from memberhouse.landing.manifest import EVERY_STORE
from memberhouse.settings import AppBackEnd, Settings
from memberhouse.sources.pos import APP_STORE

# In the state folder: rows on their way, which may become batches in object storage. A crash may leave some there.
_WORK = "extracting"
_HELD = 4 * 2**20  # bytes of rows in memory before they go to disk


@dataclass(frozen=True)
class Extraction:
    """What an extraction did. batches: the folders that it landed; none when there was no row."""

    resource: str
    updated_since: datetime | None
    as_of: datetime
    pages: int
    rows: int
    batches: tuple[AnyPath, ...]

    def summary(self) -> str:
        """One sentence for a person."""
        since = f"since {self.updated_since:%Y-%m-%d %H:%M:%S %Z}" if self.updated_since else "from the beginning"
        landed = f"landed {len(self.batches):,} batches" if self.batches else "landed nothing"
        return (
            f"{self.resource}: {self.rows:,} rows on {self.pages:,} pages, {since}, as of"
            f" {self.as_of:%Y-%m-%d %H:%M:%S %Z}: {landed}"
        )


def watermark(settings: Settings, resource: str) -> datetime | None:
    """Up to when the resource's changes are in the warehouse, by the back end's clock; None: none is."""
    with db.connect(settings) as conn:
        db.ensure_schema(conn)
        row = conn.execute("select watermark from ops.app_watermark where resource = %s", (resource,)).fetchone()
    return row[0].astimezone(UTC) if row else None


def extract(
    settings: Settings,
    landing: AnyPath,
    resource: str,
    business_date: date,
    *,
    since: datetime | None = None,
    patience: Patience | None = None,
    progress: Callable[[str], None] | None = None,
) -> Extraction:
    """Land what changed of a resource since its watermark, less the overlap.

    business_date: under which the rows are landed; orders are landed under their own. since: begin there
    instead, which must not leave a gap. patience: time-outs and limits. The same rows as of the same moment
    land the same batch. Raises what `Pages` raises, MemberhouseError when no back end is configured and when the
    back end's clock went back by more than the overlap, and ExtractionUnderWay when the resource is being extracted
    already.
    """
    app = _configured(settings)
    if resource not in RESOURCES:
        raise MemberhouseError(f"The app has no resource {resource!r}.", f"There are: {', '.join(RESOURCES)}.")
    reached = watermark(settings, resource)
    with ledger.step(settings, f"extract {resource}", app.url) as step:
        updated_since = _beginning(app, reached, since)
        with _alone(settings.home / _WORK, resource) as work:
            with httpx.Client(base_url=app.url, headers={"Authorization": f"Bearer {app.token}"}) as http:
                pages = Pages(http, resource, updated_since, patience or Patience())
                parts = _Parts(work, business_date, by_row=resource in ORDER_RESOURCES)
                for page in pages:
                    _refuse_a_clock_gone_back(resource, updated_since, page.as_of)
                    parts.begin(page.as_of)
                    for row in page.rows:
                        parts.add(row)
                    if progress and pages.count % 100 == 0:
                        progress(f"{resource}: {pages.count:,} pages")
            parts.flush()
            done = _land(landing, pages, parts)
        step.summary = done.summary()
    return done


def _configured(settings: Settings) -> AppBackEnd:
    app = settings.app
    if app is None:
        wrong = "MEMBERHOUSE_APP_URL is not set"
    elif not app.url.startswith(("http://", "https://")):
        wrong = "MEMBERHOUSE_APP_URL is no http(s) address"
    elif not re.fullmatch(r"[!-~]+", app.token):
        wrong = "MEMBERHOUSE_APP_TOKEN is empty, or has characters that no token has"
    elif app.overlap < timedelta(0):
        wrong = "MEMBERHOUSE_APP_OVERLAP_HOURS is negative"
    else:
        return app
    raise MemberhouseError(
        f"There is no app back end to extract from: {wrong}.",
        "Set MEMBERHOUSE_APP_URL and MEMBERHOUSE_APP_TOKEN, as docs/app-back-end.md says.",
    )


def _beginning(app: AppBackEnd, reached: datetime | None, since: datetime | None) -> datetime | None:
    if since is not None and (reached is None or since > reached):
        raise MemberhouseError(
            f"An extraction from {since.isoformat()} on would leave a gap: the watermark is"
            f" {reached.isoformat() if reached else 'at the beginning'}.",
            "Name a moment before the watermark, or none.",
        )
    return since or (reached - app.overlap if reached else None)


def _refuse_a_clock_gone_back(resource: str, updated_since: datetime | None, as_of: datetime) -> None:
    if updated_since is not None and as_of < updated_since:
        raise MemberhouseError(
            f"The clock of the app's back end is off: it says {as_of.isoformat()}, and {resource} was extracted up"
            f" to {updated_since.isoformat()} and the overlap by that clock already.",
            "Nothing was landed. See docs/runbook.md, “App clock is off”.",
        )


@contextmanager
def _alone(place: Path, resource: str) -> Iterator[Path]:
    """An empty folder to work in, for one extraction of the resource at a time; what a killed one left goes."""
    place.mkdir(parents=True, exist_ok=True)
    with (place / f"{resource}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ExtractionUnderWay(
                f"{resource} is being extracted already.", "Wait for the other extraction to end; it lands the same."
            ) from error
        work = place / resource
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        try:
            yield work
        finally:
            shutil.rmtree(work)


def forget_leftovers(settings: Settings) -> list[Path]:
    """Remove what killed extractions left. Returns the folders that one is working in, and which stay."""
    under_way = []
    for resource in RESOURCES:
        folder = settings.home / _WORK / resource
        if folder.exists():
            try:
                with _alone(folder.parent, resource):
                    pass
            except ExtractionUnderWay:
                under_way.append(folder)
    return under_way


class _Parts:
    """Rows on their way to disk, as gzipped JSON lines: a file a business date.

    by_row: each row's own date; a row without a readable one goes to `business_date`, where the loader will
    say what is wrong with it. digest: over all rows in their order, and `business_date`.

    The files carry the back end's clock as their time. So the same rows as of another moment are other files,
    and the loader looks at each row again: one that was from the future then may not be now.
    """

    def __init__(self, folder: Path, business_date: date, *, by_row: bool) -> None:
        self.rows: dict[date, int] = defaultdict(int)
        self.digest = hashlib.sha256(business_date.isoformat().encode())
        self._folder = folder
        self._business_date = business_date
        self._by_row = by_row
        self._time: int | None = None
        self._held: dict[date, list[bytes]] = defaultdict(list)
        self._held_bytes = 0

    def begin(self, as_of: datetime) -> None:
        """Take the time of the first page for that of the files."""
        if self._time is None:
            self._time = int(as_of.timestamp())

    def add(self, row: bytes) -> None:
        line = row + b"\n"
        day = _business_date_of(row) or self._business_date if self._by_row else self._business_date
        self.digest.update(line)
        self._held[day].append(line)
        self._held_bytes += len(line)
        if self._held_bytes > _HELD:
            self.flush()

    def flush(self) -> None:
        """Append to each file what is held for it, as a gzip member of its own."""
        for day, lines in self._held.items():
            with self.path(day).open("ab") as file:
                file.write(gzip.compress(b"".join(lines), compresslevel=6, mtime=self._time))
            self.rows[day] += len(lines)
        self._held.clear()
        self._held_bytes = 0

    def path(self, day: date) -> Path:
        return self._folder / day.isoformat()


def _business_date_of(row: bytes) -> date | None:
    try:
        return date.fromisoformat(json.loads(row)["business_date"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _land(landing: AnyPath, pages: Pages, parts: _Parts) -> Extraction:
    is_order = pages.resource in ORDER_RESOURCES
    name = f"{_compact(pages.updated_since)}--{_compact(pages.earliest)}-{parts.digest.hexdigest()[:8]}"
    what = Extract(
        resource=pages.resource,
        updated_since=pages.updated_since,
        # the earliest clock of all pages: what changed while they were read is read again next time
        watermark=pages.earliest,
        parts=max(len(parts.rows), 1),
    )
    batches = [
        write_batch(
            landing,
            source=RESOURCES[pages.resource].source,
            feed=pages.resource,
            business_date=day,
            store_id=APP_STORE if is_order else EVERY_STORE,
            name=name,
            files=[WrittenFile(f"{pages.resource}.jsonl.gz", parts.path(day), rows)],
            # the latest clock of all pages: rows that changed while they were read are not from the future
            produced_at=pages.latest,
            extra={"extract": what.model_dump(mode="json")},
        )
        for day, rows in sorted(parts.rows.items())
    ]
    return Extraction(
        pages.resource, pages.updated_since, pages.earliest, pages.count, sum(parts.rows.values()), tuple(batches)
    )


def _compact(moment: datetime | None) -> str:
    if moment is None:
        return "beginning"
    return f"{moment.astimezone(UTC):%Y%m%dT%H%M%S.%f}".removesuffix(".000000") + "Z"
