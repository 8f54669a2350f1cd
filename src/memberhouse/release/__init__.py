"""What is out: publishing a release that passed, rolling back, and comparing what readers see."""

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

__all__ = [
    "Movement",
    "PublishRefused",
    "ReleaseHeld",
    "content_hash",
    "publish",
    "published_as_of",
    "releases",
    "rollback",
    "shown",
]
