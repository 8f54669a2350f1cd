"""Where batches land: a local folder, or a place in object storage."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, cast

from upath import UPath

# Both have what is needed of a path. Airflow's ObjectStoragePath is a UPath that knows Airflow's connections.
AnyPath = Path | UPath


def landing_root(place: str | Path) -> AnyPath:
    """The folder, or for a URL such as ``s3://bucket/landing`` the place in object storage.

    How to reach it is read from the environment, as the storage's own tools do.
    """
    return UPath(place) if "://" in str(place) else Path(place)


def forget_listings(root: AnyPath) -> None:
    """Look anew: object storage is listed from memory otherwise, and what landed since would not be seen."""
    if isinstance(root, UPath):
        root.fs.invalidate_cache()


def sha256_of(path: AnyPath) -> bytes:
    """The SHA-256 of a file as it lies there."""
    with path.open("rb") as file:
        return hashlib.file_digest(cast(Any, file), "sha256").digest()
