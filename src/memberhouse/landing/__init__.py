"""Landed batches: files under a manifest, in folders that say what they are."""

from memberhouse.landing.batches import LandedBatch, NewFile, Problem, find_batches, write_batch
from memberhouse.landing.manifest import FileEntry, Manifest

__all__ = ["FileEntry", "LandedBatch", "Manifest", "NewFile", "Problem", "find_batches", "write_batch"]
