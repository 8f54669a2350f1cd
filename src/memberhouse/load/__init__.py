"""Landed batches into ``raw``: whole or not at all, every row accounted for."""

from memberhouse.load.loader import BatchResult, LoadReport, load_landed
from memberhouse.load.refused import Refused

__all__ = ["BatchResult", "LoadReport", "Refused", "load_landed"]
