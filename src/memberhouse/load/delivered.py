"""Up to which day everything came that was asked for."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

from memberhouse import db
from memberhouse.settings import Settings


def delivered_until(settings: Settings, sources: Collection[str]) -> date | None:
    """The business date up to which each of these sources was loaded; None: one never was.

    Counts loads that were asked for a business date and came to their end, as the daily ones are.
    """
    with db.connect(settings) as conn:
        db.ensure_schema(conn)
        newest = conn.execute(
            """
            select source, max((step.detail ->> 'until')::date)
            from ops.step as step
            cross join jsonb_array_elements_text(step.detail -> 'sources') as source
            where step.step = 'load' and step.detail ->> 'until' is not null and source = any(%s)
            group by source
            """,
            (list(sources),),
        ).fetchall()
    return min(until for _, until in newest) if len(newest) == len(set(sources)) else None
