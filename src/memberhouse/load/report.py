"""What a load did, a batch each and in sum, and how it is said to a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from memberhouse.load.replay import Replayed

_REASONS_SHOWN = 3
_REMARKS_SHOWN = 5


@dataclass(frozen=True)
class BatchResult:
    """What became of one batch.

    state: ``loaded``, ``superseded`` (a newer revision was there before it), ``duplicate``, ``refused``.
    contradictions: quarantined rows that say otherwise than an earlier row of the same key. remarks: what was
    kept or left out beyond the contract. code, reason, next_action: of a refusal.
    """

    batch: str
    state: str
    rows_in: int = 0
    rows_loaded: int = 0
    rows_quarantined: int = 0
    rows_duplicate: int = 0
    contradictions: int = 0
    remarks: tuple[str, ...] = ()
    code: str | None = None
    reason: str | None = None
    next_action: str | None = None


@dataclass
class LoadReport:
    """What a load did. still_refused: batches refused before and unchanged since (not tried again)."""

    loaded: list[BatchResult] = field(default_factory=list)
    duplicates: list[BatchResult] = field(default_factory=list)
    refused: list[BatchResult] = field(default_factory=list)
    still_refused: list[str] = field(default_factory=list)
    unchanged: int = 0
    replayed: Replayed = field(default_factory=Replayed)

    @property
    def rows_in(self) -> int:
        """Rows of the batches that were taken, without headers."""
        return sum(result.rows_in for result in [*self.loaded, *self.duplicates])

    @property
    def rows_loaded(self) -> int:
        """Rows that are now in ``raw``."""
        return sum(result.rows_loaded for result in self.loaded)

    @property
    def rows_quarantined(self) -> int:
        """Rows put aside with a reason."""
        return sum(result.rows_quarantined for result in self.loaded)

    @property
    def rows_duplicate(self) -> int:
        """Rows that were there already."""
        return sum(result.rows_duplicate for result in [*self.loaded, *self.duplicates])

    def follow(self, again: LoadReport) -> None:
        """Add what another try of the same batches did."""
        tried = {result.batch for result in [*again.loaded, *again.duplicates, *again.refused]}
        self.refused = [result for result in self.refused if result.batch not in tried] + again.refused
        self.still_refused = [batch for batch in self.still_refused if batch not in tried]
        self.loaded += again.loaded
        self.duplicates += again.duplicates

    def summary(self) -> str:
        """One sentence for a person."""
        look = " (docs/runbook.md, “Rows quarantined”)" if self.rows_quarantined else ""
        parts = [
            f"loaded {len(self.loaded):,} batches ({self.rows_loaded:,} of {self.rows_in:,} rows,"
            f" {self.rows_quarantined:,} quarantined{look}, {self.rows_duplicate:,} duplicates)"
        ]
        if self.replayed.tried:
            parts.append(f"{self.replayed.loaded:,} of {self.replayed.tried:,} quarantined rows could be loaded now")
        if self.unchanged:
            parts.append(f"{self.unchanged:,} were loaded before")
        if self.duplicates:
            parts.append(f"{len(self.duplicates):,} repeated a batch: {_with_reasons(self.duplicates)}")
        if self.refused:
            parts.append(f"refused {len(self.refused):,}: {_with_reasons(self.refused)}")
        if self.still_refused:
            parts.append(f"{len(self.still_refused):,} refused before and unchanged since")
        remarks = Counter(remark for result in self.loaded for remark in result.remarks)
        parts += [f"{remark} ({count:,} batches)" for remark, count in remarks.most_common(_REMARKS_SHOWN)]
        return ", ".join(parts)


def _with_reasons(results: Sequence[BatchResult]) -> str:
    return "; ".join(f"{result.batch} ({result.reason})" for result in results[:_REASONS_SHOWN])
