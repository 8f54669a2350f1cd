"""Up to which day everything came that was asked for."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from typing import Any

from memberhouse import db, ledger
from memberhouse.settings import Settings


def delivered_until(settings: Settings, sources: Collection[str]) -> date | None:
    """The business date up to which each of these sources was loaded; None: one never was.

    Counts loads that were asked for a business date and came to their end, as the daily ones are, and what
    `record_delivery` wrote. A load of one of several parts is no delivery.
    """
    with db.connect(settings) as conn:
        db.ensure_schema(conn)
        newest = conn.execute(
            """
            select source, max((step.detail ->> 'until')::date)
            from ops.step as step
            cross join jsonb_array_elements_text(step.detail -> 'sources') as source
            where step.step in ('load', 'deliver') and step.detail ->> 'until' is not null and source = any(%s)
            group by source
            """,
            (list(sources),),
        ).fetchall()
    return min(until for _, until in newest) if len(newest) == len(set(sources)) else None


def record_delivery(settings: Settings, sources: Collection[str], until: date) -> None:
    """Write down that these sources were loaded up to a business date: of a load in parts, when all of them ended.

    A step of its own kind: it says nothing of how the loads went.
    """
    with ledger.step(settings, "deliver", ", ".join(sorted(sources))) as step:
        step.summary = f"Delivered until {until}."
        step.detail = delivery(sources, until)


def delivery(sources: Collection[str], until: date | None) -> dict[str, Any]:
    """What a step has in its detail when it is a delivery; `until`: None when it is none."""
    return {"until": str(until) if until else None, "sources": sorted(sources)}
