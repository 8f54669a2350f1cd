"""The feeds: what a retailer sends, declared once.

Everything else about a feed is derived from its declaration: the raw table, the loader's checks, the JSON
Schema and the page docs/sources.md. To add a feed, add a declaration to its source's module.
"""

from __future__ import annotations

from collections.abc import Mapping

from memberhouse.sources import app, pos, reference
from memberhouse.sources.contract import Feed

# In loading order within a business date: what others refer to comes first.
FEEDS: Mapping[tuple[str, str], Feed] = {
    (feed.source, feed.name): feed for feed in (*reference.FEEDS, *pos.FEEDS, *app.FEEDS)
}
