"""The landing area's retention: batches that were taken long ago leave it, and with them the personal data."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from memberhouse import db, ledger
from memberhouse.landing import AnyPath, find_batches, remove_batch
from memberhouse.settings import Settings

_TAKEN = """
    select source, feed, business_date, store_id, batch_name, revision, content_sha256
    from ops.batch
    where state <> 'refused'
    group by source, feed, business_date, store_id, batch_name, revision, content_sha256
    having max(recorded_at) < clock_timestamp() - %s
"""


def expire(settings: Settings, root: AnyPath, keep: timedelta, progress: Callable[[str], None] | None = None) -> int:
    """Remove every landed batch that was taken longer ago than `keep`. Returns how many.

    What was refused, and what was not tried yet, stays: it is nowhere else; so does other content under the name of
    a batch that was taken. Quarantined rows of a removed batch can still be tried again; only their text in full is
    gone.
    """
    with ledger.step(settings, "expire", str(root)) as step:
        with db.connect(settings) as conn:
            db.ensure_schema(conn)
            taken = set(conn.execute(_TAKEN, (keep,)).fetchall())
        removed = 0
        for batch in find_batches(root):
            manifest = batch.manifest
            if manifest and (*batch.place, batch.name, manifest.revision, manifest.content_sha256()) in taken:
                remove_batch(batch.folder)
                removed += 1
                if progress and removed % 1_000 == 0:
                    progress(f"removed {removed:,} batches")
        step.summary = f"removed {removed:,} batches that were taken more than {keep.days} days ago"
    return removed
