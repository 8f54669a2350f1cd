"""Instants, as seconds since 1970 in UTC, and how the stores' clocks show them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from memberhouse.simulate.chain.plan import Array

HEAD_OFFICE = "Asia/Shanghai"
HOUR = 3600
DAY_SECONDS = 86_400


class Clock:
    """The zones of the chain. The head office's zone has the number 0."""

    def __init__(self, zones: Sequence[str], first: date, last: date) -> None:
        self.zones = [HEAD_OFFICE, *(zone for zone in zones if zone != HEAD_OFFICE)]
        self._changes = [_changes(zone, first, last) for zone in self.zones]
        self._offset_texts = _OFFSET_TEXTS

    def midnights(self, day: date) -> Array:
        """The instant at which the day begins, by zone."""
        return np.array(
            [int(datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).timestamp()) for zone in self.zones]
        )

    def iso(self, instants: Any, zone: Array | int = 0) -> pa.Array:
        """ISO 8601 with offset, to the second, as the zone's clock shows it; below zero: empty."""
        at = np.asarray(instants, dtype=np.int64)
        offsets = self._offsets(at, zone)
        texts = pa.array(np.datetime_as_string((at + offsets).astype("datetime64[s]")), mask=at < 0)
        quarters = pa.array(offsets // 900 + 48)
        return pc.binary_join_element_wise(texts, self._offset_texts.take(quarters), "")

    def _offsets(self, at: Array, zone: Array | int) -> Array:
        if isinstance(zone, int):
            begins, offset = self._changes[zone]
            return offset[np.searchsorted(begins, at, side="right") - 1]
        offsets = np.empty(len(at), dtype=np.int64)
        for number in np.unique(zone):
            mine = zone == number
            offsets[mine] = self._offsets(at[mine], int(number))
        return offsets


def _offset_text(quarters: int) -> str:
    hours, minutes = divmod(abs(quarters) * 15, 60)
    return f"{'-' if quarters < 0 else '+'}{hours:02d}:{minutes:02d}"


_OFFSET_TEXTS = pa.array([_offset_text(quarters - 48) for quarters in range(48 + 57)])


def _changes(zone: str, first: date, last: date) -> tuple[Array, Array]:
    """The instants at which the zone's offset changes, and the offset from each on (seconds)."""
    zone_info = ZoneInfo(zone)
    hour = datetime(first.year, first.month, first.day, tzinfo=UTC) - timedelta(days=4000)
    end = datetime(last.year, last.month, last.day, tzinfo=UTC) + timedelta(days=3)
    begins, offsets = [-(1 << 60)], [_offset(hour, zone_info)]
    while hour < end:
        tomorrow = hour + timedelta(days=1)
        if _offset(tomorrow, zone_info) != offsets[-1]:
            while _offset(hour, zone_info) == offsets[-1]:
                hour += timedelta(hours=1)
            begins.append(int(hour.timestamp()))
            offsets.append(_offset(hour, zone_info))
        hour = tomorrow
    return np.array(begins), np.array(offsets)


def _offset(instant: datetime, zone: ZoneInfo) -> int:
    offset = instant.astimezone(zone).utcoffset()
    assert offset is not None  # noqa: S101  (every zone has an offset)
    return int(offset.total_seconds())
