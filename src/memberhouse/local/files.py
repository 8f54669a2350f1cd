"""Small files of the local services: secrets, and the ends of logs."""

from __future__ import annotations

import os
from pathlib import Path


def write_private(path: Path, text: str, owner: tuple[int, int] | None = None) -> None:
    """Write a file anew with mode 0600; ``owner``: uid and gid to give it to."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as handle:
        handle.write(text)
    if owner is not None:
        os.chown(path, *owner)


def log_end(log: Path, lines: int = 15) -> str:
    """A sentence for an error message that names the log and quotes its end."""
    if not log.exists():
        return f"There is no log yet ({log})."
    end = log.read_text(errors="replace").splitlines()[-lines:]
    return f"Its log {log} ends with:\n" + "".join(f"    {line}\n" for line in end)
