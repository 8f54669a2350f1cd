"""Landed batches: files under a manifest, in folders that say what they are."""

from memberhouse.landing.batches import (
    LandedBatch,
    NewFile,
    Problem,
    WrittenFile,
    find_batches,
    remove_batch,
    write_batch,
)
from memberhouse.landing.manifest import Extract, FileEntry, Manifest
from memberhouse.landing.root import AnyPath, landing_root

__all__ = [
    "AnyPath",
    "Extract",
    "FileEntry",
    "LandedBatch",
    "Manifest",
    "NewFile",
    "Problem",
    "WrittenFile",
    "find_batches",
    "landing_root",
    "remove_batch",
    "write_batch",
]
