"""Why a batch was not taken."""

from __future__ import annotations

from memberhouse.errors import MemberhouseError


class Refused(MemberhouseError):
    """The whole batch is refused: nothing of it is loaded.

    code: a short name for the kind of trouble, the same in every message of that kind.
    """

    def __init__(self, code: str, message: str, next_action: str) -> None:
        super().__init__(message, next_action)
        self.code = code
