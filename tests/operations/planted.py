"""Chains with a planted weakness: in one store few first-time buyers come again, in another few buy a second piece.

Each seed is a chain of its own, a region of six stores of one format; all of them share a warehouse, because nothing
of one region is compared with another.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from tests.chain import Chain
from tests.conftest import new_warehouse

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


def campaign(home: Path, seeds: Iterable[int]) -> dict[Store, str | None]:
    """What the compass names in each store of the chains of these seeds, all published as one release."""
    shops = stores(seeds)
    with new_warehouse(home) as settings:
        given = [
            {
                "store_id": store.name,
                "region": f"chain {store.seed}",
                "format": "mall",
                "timezone": "Asia/Shanghai",
                "day_cutoff": "00:00",
                "opened_on": FIRST_MONDAY,
            }
            for store in shops
        ]
        chain = Chain(settings, FIRST_MONDAY, given)
        deliver(chain, shops)
        chain.publish(AS_OF)
        named = chain.read(
            f"select store_id, indicator from bi.store_compass_weekly where week_start = '{LAST_MONDAY}' and is_weakest"
        )
        weakest = dict(named)
    return {store: weakest.get(store.name) for store in shops}


def wrong(found: Mapping[Store, str | None]) -> dict[str, str | None]:
    """Stores whose planted lever is not named, and healthy ones of which a planted one is."""
    return {
        store.name: lever
        for store, lever in found.items()
        if (lever != store.planted if store.planted else lever in PLANTED.values())
    }


def page(found: Mapping[Store, str | None], day: date) -> str:
    """The evidence page: of each kind of store, what the compass named how often."""
    seeds = len({store.seed for store in found})
    named = Counter((store.planted or "nothing", lever or "no lever") for store, lever in found.items())
    rows = "\n".join(
        f"| {planted} | {lever} | {count} | {count / (seeds * _stores_with(planted)):.0%} |"
        for (planted, lever), count in sorted(named.items(), key=lambda item: (item[0][0], -item[1]))
    )
    return f"""# The store compass and planted weaknesses, {day}

{seeds} chains of {STORES} stores of one format and region, {WEEKS} weeks each; per store and week about
{_STRANGERS} receipts of strangers and {_NEWCOMERS} new members. In one store of each chain
{_SELDOM_COMES_AGAIN:.0%} of first-time buyers come again, elsewhere {_COMES_AGAIN:.0%}; in another
{_SELDOM_A_SECOND_PIECE:.0%} of receipts get a second piece, elsewhere {_SECOND_PIECE:.0%}.
What the compass of the last week names as the weakest lever:

| Planted | Named | Stores | Of those stores |
|---|---|---|---|
{rows}

`pytest tests/operations -m full` writes this page.
"""


def _stores_with(planted: str) -> int:
    return list(PLANTED.values()).count(planted) or STORES - len(PLANTED)


def deliver(chain: Chain, shops: Iterable[Store]) -> None:
    """What the stores sold and whom they enrolled, a batch a day and feed."""
    days: dict[tuple[str, int], list[dict[str, Any]]] = defaultdict(list)
    for store in shops:
        for feed, day, row in _lived(store):
            days[feed, day].append(row)
    for (feed, day), rows in days.items():
        chain.deliver("pos", feed, FIRST_MONDAY + timedelta(days=day), *rows)


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
