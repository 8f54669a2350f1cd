"""What the app's back end serves: the app's feeds, and its orders by the feeds of the tills."""

from __future__ import annotations

from collections.abc import Mapping

from memberhouse.sources import app, pos
from memberhouse.sources.contract import Feed

ORDER_RESOURCES: Mapping[str, Feed] = {
    feed.name: feed for feed in pos.FEEDS if feed.name in ("receipts", "receipt_lines", "tenders")
}

# In the order in which they are extracted: what others refer to comes first.
RESOURCES: Mapping[str, Feed] = {**{feed.name: feed for feed in app.FEEDS}, **ORDER_RESOURCES}
