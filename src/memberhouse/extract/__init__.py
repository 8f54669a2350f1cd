"""From the app's back end to landed batches: what changed since the watermark, page by page."""

from memberhouse.extract.extraction import Extraction, extract, forget_leftovers, watermark
from memberhouse.extract.pages import Page, Pages, Patience
from memberhouse.extract.resources import ORDER_RESOURCES, RESOURCES

__all__ = [
    "ORDER_RESOURCES",
    "RESOURCES",
    "Extraction",
    "Page",
    "Pages",
    "Patience",
    "extract",
    "forget_leftovers",
    "watermark",
]
