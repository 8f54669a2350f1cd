"""Why a batch was not taken."""

from __future__ import annotations

from memberhouse.errors import MemberhouseError


class Refused(MemberhouseError):
    """The whole batch is refused: nothing of it is loaded.

    code: a short name for the kind of trouble, the same in every message of that kind.
    next_action: one sentence; where to read on is added to it.
    """

    def __init__(self, code: str, message: str, next_action: str) -> None:
        super().__init__(message, f"{next_action} See docs/runbook.md, “Batch refused”.")
        self.code = code
