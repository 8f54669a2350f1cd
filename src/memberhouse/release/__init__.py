"""What is out: publishing a release that passed, rolling back, comparing releases, and removing old ones."""

from memberhouse.release.difference import Cell, TableDifference, diff
from memberhouse.release.pointer import (
    Movement,
    PublishRefused,
    ReleaseHeld,
    content_hash,
    publish,
    published_as_of,
    releases,
    rollback,
    shown,
)
from memberhouse.release.retention import Pruned, prune

__all__ = [
    "Cell",
    "Movement",
    "Pruned",
    "PublishRefused",
    "ReleaseHeld",
    "TableDifference",
    "content_hash",
    "diff",
    "prune",
    "publish",
    "published_as_of",
    "releases",
    "rollback",
    "shown",
]
