"""The errors a person is meant to read."""

from __future__ import annotations


class MemberhouseError(Exception):
    """Something a person can mend.

    message: what was wrong and where, in one sentence.
    next_action: what to do next; it names a heading of docs/runbook.md where there is one.
    """

    def __init__(self, message: str, next_action: str) -> None:
        super().__init__(message)
        self.message = message
        self.next_action = next_action

    def __str__(self) -> str:
        return f"{self.message} What to do: {self.next_action}"


class DatabaseLost(MemberhouseError):
    """The database went away in the middle of a step. The same step again is all it takes."""


class AppNotReached(MemberhouseError):
    """The app's back end did not answer, or only with errors that pass. Later it may."""


class ExtractionUnderWay(MemberhouseError):
    """Another extraction of the same resource has not ended. When it has, nothing is in the way."""
