"""The compass finds the weakness that was planted, and does not find it where it was not."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.chain import Chain
from tests.conftest import new_warehouse
from tests.operations import planted

pytestmark = pytest.mark.services


def chains(home: Path, seeds: range) -> dict[str, str]:
    """What the compass names in chains of these seeds."""
    with new_warehouse(home) as settings:
        given = [
            {
                "store_id": store.name,
                "region": f"chain {store.seed}",
                "format": "mall",
                "timezone": "Asia/Shanghai",
                "day_cutoff": "00:00",
                "opened_on": planted.FIRST_MONDAY,
            }
            for store in planted.stores(seeds)
        ]
        chain = Chain(settings, planted.FIRST_MONDAY, given)
        planted.deliver(chain, seeds)
        chain.publish(planted.AS_OF)
        return planted.named(chain)


def test_the_planted_lever_is_named_and_elsewhere_it_is_not(server_home: Path) -> None:
    named = chains(server_home, range(3))
    for store in planted.stores(range(3)):
        if store.planted:
            assert named.get(store.name) == store.planted, named
        else:
            assert named.get(store.name) not in planted.PLANTED.values(), named
