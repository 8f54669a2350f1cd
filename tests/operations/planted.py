"""Chains with a planted weakness: in one store few first-time buyers come again, in another few buy a second piece.

Each seed is a chain of its own, a region of six stores of one format; all of them share a warehouse, because nothing
of one region is compared with another.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
from tests.chain import Chain

FIRST_MONDAY, WEEKS, STORES = date(2025, 6, 2), 28, 6
LAST_MONDAY = FIRST_MONDAY + timedelta(weeks=WEEKS - 1)
AS_OF = LAST_MONDAY + timedelta(days=6)
SECOND_PURCHASE, ATTACH = "second_purchase_rate", "attach_rate"
# store number -> the lever that is weak there
PLANTED = {1: SECOND_PURCHASE, 2: ATTACH}

_STRANGERS, _NEWCOMERS = 40, 7
_COMES_AGAIN, _SELDOM_COMES_AGAIN = 0.45, 0.15
_SECOND_PIECE, _SELDOM_A_SECOND_PIECE = 0.45, 0.25
_PRICES = (59, 79, 99, 129, 199)


@dataclass(frozen=True)
class Store:
    """One of a chain's."""

    seed: int
    number: int

    @property
    def name(self) -> str:
        return f"{self.seed}-{self.number}"

    @property
    def planted(self) -> str | None:
        return PLANTED.get(self.number)


def stores(seeds: Iterable[int]) -> list[Store]:
    return [Store(seed, number) for seed in seeds for number in range(1, STORES + 1)]


def deliver(chain: Chain, seeds: Iterable[int]) -> None:
    """What the chains of these seeds sold and whom they enrolled, a batch a day and feed."""
    days: dict[tuple[str, int], list[dict[str, Any]]] = defaultdict(list)
    for store in stores(seeds):
        for feed, day, row in _lived(store):
            days[feed, day].append(row)
    for (feed, day), rows in days.items():
        chain.deliver("pos", feed, FIRST_MONDAY + timedelta(days=day), *rows)


def named(chain: Chain) -> dict[str, str]:
    """Store -> the lever that the compass of the last week names; stores without one are left out."""
    found = chain.read(
        f"select store_id, indicator from bi.store_compass_weekly where week_start = '{LAST_MONDAY}' and is_weakest"
    )
    return dict(found)


def _lived(store: Store) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Feed, day number and row of what happened in a store."""
    chance = np.random.default_rng([store.seed, store.number])
    again = _SELDOM_COMES_AGAIN if store.planted == SECOND_PURCHASE else _COMES_AGAIN
    visits: list[tuple[int, str | None]] = []
    for week in range(WEEKS):
        visits += [(7 * week + int(day), None) for day in chance.integers(0, 7, chance.poisson(_STRANGERS))]
        for number, weekday in enumerate(chance.integers(0, 7, chance.poisson(_NEWCOMERS))):
            card, day = f"{store.name}/{week}/{number}", 7 * week + int(weekday)
            enrolled = f"{FIRST_MONDAY + timedelta(days=day)}T11:00:00"
            yield "enrolments", day, {"card_no": card, "store_id": store.name, "enrolled_at": enrolled}
            visits.append((day, card))
            if chance.random() < again:
                day += int(chance.integers(7, 85))
                visits.append((day, card))
                while chance.random() < 0.6:
                    day += int(chance.integers(14, 90))
                    visits.append((day, card))
    for number, (day, card) in enumerate(visits):
        if day < 7 * WEEKS:
            yield from _receipt(store, chance, number, day, card)


def _receipt(
    store: Store, chance: np.random.Generator, number: int, day: int, card: str | None
) -> Iterator[tuple[str, int, dict[str, Any]]]:
    second = _SELDOM_A_SECOND_PIECE if store.planted == ATTACH else _SECOND_PIECE
    pieces = 1
    while chance.random() < second and pieces < 5:
        pieces += 1
    price = int(chance.choice(_PRICES))
    discount = price * pieces // 10 if chance.random() < 0.3 else 0
    business_date = FIRST_MONDAY + timedelta(days=day)
    key = {
        "store_id": store.name,
        "register_id": "1",
        "business_date": business_date,
        "receipt_no": str(number),
        "receipt_type": "sale",
    }
    amounts = {"discount_amount": discount, "net_amount": price * pieces - discount}
    yield "receipts", day, key | amounts | {"sold_at": f"{business_date}T12:00:00", "member_card_no": card}
    yield "receipt_lines", day, key | amounts | {"line_no": 1, "sku": "shirt", "quantity": pieces, "unit_price": price}
