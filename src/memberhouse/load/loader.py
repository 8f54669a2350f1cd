"""The loader: landed batches into ``raw``, over one connection or several."""

from __future__ import annotations

import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from datetime import date
from itertools import groupby
from queue import SimpleQueue
from typing import Any

import psycopg

from memberhouse import db, ledger
from memberhouse.alerts import raise_alert
from memberhouse.erase import journal
from memberhouse.landing import LandedBatch, find_batches
from memberhouse.landing.root import AnyPath
from memberhouse.load.delivered import delivery
from memberhouse.load.replay import REASONS_OF_STORES, replay
from memberhouse.load.report import BatchResult, LoadReport
from memberhouse.load.stream import UNKNOWN_STORES, Stream, Waiting, not_done_yet
from memberhouse.settings import Settings
from memberhouse.sources.feeds import FEEDS
from memberhouse.sources.raw_tables import ensure_raw_tables
from memberhouse.vault import tokens_of

DEFAULT_BAD_SHARE = 0.05
_PROGRESS_SECONDS = 2.0
_BATCHES_OF_A_PART = 200
_MOST_PARTS = 8


def load_landed(
    settings: Settings,
    root: AnyPath,
    *,
    until: date | None = None,
    sources: Collection[str] | None = None,
    progress: Callable[[str], None] | None = None,
    bad_share: float = DEFAULT_BAD_SHARE,
    streams: int = 1,
    part: tuple[int, int] = (0, 1),
) -> LoadReport:
    """Load every landed batch under `root` that is not loaded yet.

    until: the last business date wanted. sources: only these. progress: told every few seconds how far
    the load is. bad_share: a batch with a larger share of bad rows is refused. streams: how many
    connections load at once; batches of one feed and business date, and reference data, keep their order.
    part: which of how many parts of the batches, for loads that share them; batches that must keep their order
    are in one part. When all parts have ended, `record_delivery` says that the whole was delivered.
    A refused batch does not stop the others: it is in the report and in ``ops.batch``. A second load at
    the same time is safe. Raises what the database connection raises, and MemberhouseError when a member is being
    erased or was meanwhile.
    """
    number, parts = part
    with db.connect(settings, autocommit=True) as conn:
        db.ensure_schema(conn)
        ensure_raw_tables(conn)
        # an erasure looks through every folder that this table names
        with ledger.step(settings, "load", str(root.absolute())) as step:
            erasures = journal.erasures(conn)
            batches = [
                batch for batch in find_batches(root, until=until, sources=sources) if _part(batch, parts) == number
            ]
            with ExitStack() as connections:
                others = [connections.enter_context(db.connect(settings, autocommit=True)) for _ in range(1, streams)]
                tokens = tokens_of(settings, conn)
                load_streams = [Stream(each, tokens, bad_share, erasures) for each in (conn, *others)]
                report = _run(conn, load_streams, batches, progress)
                if any(result.batch.startswith("reference/stores/") for result in report.loaded):
                    report.replayed = replay(conn, REASONS_OF_STORES)
                    if report.still_refused or any(result.code == UNKNOWN_STORES for result in report.refused):
                        # of a store that came with a later date, perhaps, or only now
                        report.follow(_run(conn, load_streams, batches, progress))
            step.summary = report.summary()
            # one of several parts is no delivery: the others may not have ended
            step.detail = delivery(sources or (), until if parts == 1 else None)
            if report.refused:
                step.state, step.next_action = "failed", report.refused[0].next_action
    for code, refused in groupby(sorted(report.refused, key=_refusal_code), key=_refusal_code):
        _alert(settings, code, list(refused))
    _alert_contradictions(settings, report)
    return report


def parts_to_load(
    settings: Settings, root: AnyPath, *, until: date | None = None, sources: Collection[str] | None = None
) -> int:
    """In how many parts the batches that wait can well be loaded side by side; 1 if none waits."""
    batches = find_batches(root, until=until, sources=sources)
    with db.connect(settings, autocommit=True) as conn:
        db.ensure_schema(conn)
        waiting = not_done_yet(conn, batches, LoadReport())
    return max(1, min(_MOST_PARTS, len(waiting) // _BATCHES_OF_A_PART))


def _part(batch: LandedBatch, parts: int) -> int:
    return zlib.crc32(_lane(batch).encode()) % parts


def _lane(batch: LandedBatch) -> str:
    """Batches with the same one keep their order: those of a feed and business date, or of a whole feed if
    its rows count once on whatever date."""
    feed = FEEDS.get((batch.source, batch.feed))
    return f"{batch.source}/{batch.feed}/{'' if feed and feed.once else batch.business_date}"


def _refusal_code(result: BatchResult) -> str:
    return result.code or ""


def _alert(settings: Settings, code: str, refused: Sequence[BatchResult]) -> None:
    first = refused[0]
    more = f" ({len(refused) - 1:,} more batches for the same kind of reason)" if len(refused) > 1 else ""
    raise_alert(
        settings,
        root_cause=f"load refused: {code}: {', '.join(result.batch for result in refused)[:500]}",
        message=f"Refused {first.batch}, nothing of it was loaded: {first.reason}{more}",
        next_action=first.next_action or "",
        detail={"batches": [result.batch for result in refused]},
    )


def _alert_contradictions(settings: Settings, report: LoadReport) -> None:
    """A row that is only ever sent once came again as another: something is wrong where it is made."""
    rows: dict[str, int] = defaultdict(int)
    for result in report.loaded:
        source, feed_name, *_ = result.batch.split("/")
        if result.contradictions and FEEDS[source, feed_name].once:
            rows[f"{source}/{feed_name}"] += result.contradictions
    for feed, count in rows.items():
        raise_alert(
            settings,
            root_cause=f"rows contradict earlier ones: {feed}",
            message=f"{count:,} rows of {feed} have the key of an earlier row and say something else. The earlier"
            " rows were kept, these are in quarantine.",
            next_action="Ask the sender which is right: docs/runbook.md, “Rows contradict earlier ones”",
        )


def _run(
    conn: psycopg.Connection[Any],
    streams: Sequence[Stream],
    batches: Sequence[LandedBatch],
    progress: Callable[[str], None] | None,
) -> LoadReport:
    report = LoadReport()
    waiting = not_done_yet(conn, batches, report)
    rows = 0
    told = time.monotonic()
    for done, result in enumerate(_results(streams, waiting), 1):
        if result is None:
            report.unchanged += 1
        elif result.state == "refused":
            report.refused.append(result)
        elif result.state == "duplicate":
            report.duplicates.append(result)
        else:
            report.loaded.append(result)
            rows += result.rows_loaded
        if progress and (time.monotonic() - told > _PROGRESS_SECONDS or done == len(waiting)):
            progress(f"loaded {done:,} of {len(waiting):,} batches, {rows:,} rows")
            told = time.monotonic()
    for stream in streams:
        stream.wait_for_the_disk()
    return report


def _results(streams: Sequence[Stream], waiting: Sequence[Waiting]) -> Iterator[BatchResult | None]:
    """Take the batches and give what became of each; with several streams not always in their order."""
    if len(streams) == 1:
        yield from (streams[0].take(*each) for each in waiting)
        return
    free: SimpleQueue[Stream] = SimpleQueue()
    for stream in streams:
        free.put(stream)

    def take_in_turn(lane: Sequence[Waiting]) -> list[BatchResult | None]:
        stream = free.get()
        try:
            return [stream.take(*each) for each in lane]
        finally:
            free.put(stream)

    with ThreadPoolExecutor(len(streams)) as pool:
        for lanes in _side_by_side(waiting):
            for finished in as_completed([pool.submit(take_in_turn, lane) for lane in lanes]):
                yield from finished.result()


def _side_by_side(waiting: Iterable[Waiting]) -> Iterator[list[list[Waiting]]]:
    """What may be loaded at once, as lanes: a lane's batches follow one another. Reference data goes
    alone, because what comes after it refers to it."""
    for is_reference, some in groupby(waiting, key=lambda each: each[0].source == "reference"):
        if is_reference:
            yield [list(some)]
            continue
        lanes: dict[str, list[Waiting]] = defaultdict(list)
        for batch, observed in some:
            lanes[_lane(batch)].append((batch, observed))
        yield list(lanes.values())
