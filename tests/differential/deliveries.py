"""Orders of arrival: the same rows cut into batches in another way, that arrive at other times.

An order has steps: what arrives, then a build as of a date. Most batches arrive in the step whose date reaches theirs,
some steps too late, some too early. Some are sent twice: wrong in revision 0, right in revision 1, in any order. After
the last step every order has delivered the same.
"""

from __future__ import annotations

import csv
import io
import json
import random
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from itertools import accumulate
from pathlib import Path
from typing import Any

from tests.differential.histories import FIRST, LAST, SHOPS, Row, days

from memberhouse.landing import NewFile, write_batch
from memberhouse.sources.feeds import FEEDS

DECOYS = 0.06  # share of the batches that come in two revisions
LATE, EARLY = 0.12, 0.06


@dataclass(frozen=True)
class Batch:
    """A batch as it is landed. step: in which step of its order it arrives."""

    source: str
    feed: str
    business_date: date
    store_id: str
    name: str
    revision: int
    rows: tuple[Row, ...]
    step: int

    @property
    def place(self) -> tuple[str, str, date, str]:
        """What a revision replaces."""
        return self.source, self.feed, self.business_date, self.store_id

    def __str__(self) -> str:
        return f"{self.source}/{self.feed}/{self.business_date}/{self.store_id}/{self.name} r{self.revision}"


@dataclass(frozen=True)
class Order:
    """as_of: the date of each step's build; batches: each with its step."""

    seed: int
    number: int
    as_of: tuple[date, ...]
    batches: tuple[Batch, ...]

    def arriving(self, step: int) -> list[Batch]:
        return [batch for batch in self.batches if batch.step == step]

    def without(self, families: Collection[str], step: int) -> Order:
        """The same, but for these families, of whom nothing is told any more after a step."""
        batches = []
        for batch in self.batches:
            if batch.step > step:
                batch = replace(batch, rows=tuple(row for row in batch.rows if row.family not in families))
            if batch.rows:
                batches.append(batch)
        return replace(self, batches=tuple(batches))

    def in_force(self, step: int) -> list[tuple[Row, Batch]]:
        """The rows that count after a step: of what arrived so far, each place's highest revision."""
        arrived = [batch for batch in self.batches if batch.step <= step]
        highest: dict[Any, int] = defaultdict(int)
        for batch in arrived:
            highest[batch.place] = max(highest[batch.place], batch.revision)
        return [(row, batch) for batch in arrived if batch.revision == highest[batch.place] for row in batch.rows]


def order_of(seed: int, number: int, rows: Sequence[Row], steps: int = 5) -> Order:
    """The ``number``-th order of arrival of these rows; the same for the same arguments."""
    of_order = f"{seed}/order {number}"
    as_of = _dates(_dice(of_order), steps)
    batches: list[Batch] = []
    places: dict[tuple[str, str, date], list[Row]] = defaultdict(list)
    for row in rows:
        places[row.source, row.feed, row.delivered_on].append(row)
    for (source, feed, day), of_day in sorted(places.items()):
        natural = next((step for step, reached in enumerate(accumulate(as_of, max)) if reached >= day), steps - 1)
        # dice of its own, so that a batch has the same luck whatever other families there are
        place = f"{of_order}/{source}/{feed}/{day}"
        for store_id, name, revision, part in _cut(_dice(place), source, feed, of_day):
            # without its stores a chain is none
            is_first = source == "reference" and day == FIRST
            arrived = 0 if is_first else _arrival(_dice(f"{place}/{store_id}/{name}"), natural, steps)
            batches.append(Batch(source, feed, day, store_id, name, revision, tuple(part), arrived))
    return Order(seed, number, tuple(as_of), tuple(batches))


def _dice(name: str) -> random.Random:
    return random.Random(name)  # noqa: S311  (seeded, no secret)


def _dates(dice: random.Random, steps: int) -> list[date]:
    """As-of dates that step on to the last day: by nothing, a day, a week, months; one may step back."""
    dates = [FIRST + days(dice.randint(200, 500))]
    for _ in range(steps - 3):
        dates.append(min(LAST, dates[-1] + days(dice.choice((0, 1, 7, 30, 92, 180, 250)))))
    back = dates[-1] - days(dice.randint(1, 60))
    dates.append(back if dice.random() < 0.25 else min(LAST, dates[-1] + days(dice.choice((1, 7, 120)))))
    return [*dates, LAST]


def _arrival(dice: random.Random, natural: int, steps: int) -> int:
    luck = dice.random()
    if luck < LATE:
        return min(steps - 1, natural + dice.randint(1, steps - 1))
    return max(0, natural - (luck > 1 - EARLY))


def _cut(dice: random.Random, source: str, feed: str, rows: list[Row]) -> Iterator[tuple[str, str, int, list[Row]]]:
    """(store, name, revision, rows) of the batches of a feed's date."""
    luck = dice.random()
    rows = dice.sample(rows, len(rows))
    store = FEEDS[source, feed].store
    if luck < DECOYS and source != "reference":
        if wrong := _wrong(dice, feed, rows):
            yield "all", "first", 0, wrong
        yield "all", "again", 1, rows
    elif luck < 0.35 and store and all(row.content.get(store) for row in rows):
        for of_store in sorted({row.content[store] for row in rows}):
            yield of_store, "own", 0, [row for row in rows if row.content[store] == of_store]
    elif luck < 0.5 and len(rows) > 1 and source != "reference":
        middle = dice.randrange(1, len(rows))
        yield "all", "one", 0, rows[:middle]
        yield "all", "two", 0, rows[middle:]
    else:
        yield "all", "whole", 0, rows


def _wrong(dice: random.Random, feed: str, rows: list[Row]) -> list[Row]:
    """What was sent by mistake: rows that are missing, other than they should be, or of nothing that happened."""
    found = []
    # a row that is there twice is wrong in the same way twice
    mistakes: dict[str, dict[str, Any] | None] = {}
    for row in rows:
        told = str(row)
        if told not in mistakes:
            mistakes[told] = None if dice.random() < 0.3 else dict(row.content) | _mistake(dice, feed, row)
        if (content := mistakes[told]) is not None:
            found.append(Row(row.source, feed, row.delivered_on, content, row.family))
    row = dice.choice(rows)
    invented: dict[str, Any] | None = None
    if feed == "receipts":
        invented = row.content | {"receipt_no": f"{row.family}-invented"}
    elif feed == "member_status":
        invented = {"card_no": f"{row.family}C0", "status": "closed", "at": f"{row.delivered_on}T07:07:07"}
    elif feed == "identity_links":
        moment = f"{row.delivered_on}T07:07:07+08:00"
        invented = row.content | {"valid_from": moment, "recorded_at": moment, "valid_to": None}
    if invented:
        found.append(Row(row.source, feed, row.delivered_on, invented, row.family))
    return found


def _mistake(dice: random.Random, feed: str, row: Row) -> dict[str, Any]:
    if dice.random() < 0.4:
        return {}
    if feed == "receipts":
        return dice.choice(({"member_card_no": f"{row.family}C0"}, {"is_staff_sale": True}))
    if feed == "receipt_lines" and row.content["quantity"] > 0:
        return {"quantity": row.content["quantity"] + 1, "net_amount": round(row.content["net_amount"] + 50, 2)}
    if feed in ("enrolments", "member_assignments"):
        return {"store_id" if feed == "enrolments" else "service_store_id": dice.choice(SHOPS)}
    return {}


# ----------------------------------------------------------------------------------------------- landing


def land(batches: Iterable[Batch], root: Path) -> None:
    """Land batches: tills and head office write CSV, the app JSON lines."""
    for batch in batches:
        contents = [row.content for row in batch.rows]
        if batch.source == "app":
            name, text = f"{batch.feed}.jsonl", "".join(json.dumps(row, default=str) + "\n" for row in contents)
        else:
            name, text = f"{batch.feed}.csv.gz", _csv(contents)
        write_batch(
            root,
            source=batch.source,
            feed=batch.feed,
            business_date=batch.business_date,
            store_id=batch.store_id,
            name=batch.name,
            revision=batch.revision,
            # a revision is made later than what it replaces
            produced_at=datetime.combine(batch.business_date + days(1), time(12 + batch.revision), UTC),
            files=[NewFile(name, text.encode(), len(contents))],
            durable=False,
        )


def _csv(rows: Sequence[dict[str, Any]]) -> str:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([str(row.get(name)).lower() if row.get(name) is True else row.get(name) for name in columns])
    return text.getvalue()
