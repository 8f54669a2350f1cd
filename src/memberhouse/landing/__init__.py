"""Landed batches: files under a manifest, in folders that say what they are."""

from memberhouse.landing.batches import LandedBatch, NewFile, Problem, WrittenFile, find_batches, write_batch
from memberhouse.landing.manifest import Extract, FileEntry, Manifest

__all__ = [
    "Extract",
    "FileEntry",
    "LandedBatch",
    "Manifest",
    "NewFile",
    "Problem",
    "WrittenFile",
    "find_batches",
    "write_batch",
]
