"""Landed batches into ``raw``: whole or not at all, every row accounted for."""

from memberhouse.load.delivered import delivered_until, record_delivery
from memberhouse.load.dry_run import Validation, validate
from memberhouse.load.expire import expire
from memberhouse.load.loader import load_landed, parts_to_load
from memberhouse.load.refused import Refused
from memberhouse.load.replay import Replayed, replay
from memberhouse.load.report import BatchResult, LoadReport

__all__ = [
    "BatchResult",
    "LoadReport",
    "Refused",
    "Replayed",
    "Validation",
    "delivered_until",
    "expire",
    "load_landed",
    "parts_to_load",
    "record_delivery",
    "replay",
    "validate",
]
