"""What lies beside a batch: other batches whose rows could be its own, and the locks that keep them still."""

from __future__ import annotations

from datetime import date
from typing import Any

import psycopg

from memberhouse import db
from memberhouse.landing.manifest import EVERY_STORE
from memberhouse.sources.contract import Feed


def hold(conn: psycopg.Connection[Any], source: str, feed_name: str, day: date, feed: Feed | None) -> None:
    """Hold a feed's business date until the transaction ends; the whole feed, if its rows count once on
    whatever date.

    Waits for a build that is going on: it would see the batch in some of its models and not in others.
    """
    conn.execute("select pg_advisory_xact_lock_shared(%s)", (db.RAW_LOCK,))
    conn.execute(
        "select pg_advisory_xact_lock(hashtextextended(%s, 0))",
        (f"memberhouse load {source}/{feed_name}/{'' if feed and feed.once else day}",),
    )


def batches_beside(conn: psycopg.Connection[Any], feed: Feed, day: date, store_id: str) -> list[int]:
    """The loaded batches that may hold the same rows as one of this place."""
    if feed.once:
        rows = conn.execute(
            "select batch_id from ops.batch where source = %s and feed = %s and state = 'loaded'",
            (feed.source, feed.name),
        ).fetchall()
    else:
        rows = conn.execute(
            "select batch_id from ops.batch where source = %s and feed = %s and business_date = %s"
            " and state = 'loaded' and (%s in (store_id, %s) or store_id = %s)",
            (feed.source, feed.name, day, store_id, EVERY_STORE, EVERY_STORE),
        ).fetchall()
    return [batch_id for (batch_id,) in rows]
