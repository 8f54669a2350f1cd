"""A member grows a year older on the first day of the month of birth, with nothing new delivered."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from tests.chain import Chain
from tests.conftest import new_warehouse

from memberhouse import db

pytestmark = pytest.mark.services

OPENED = date(2026, 3, 1)


def test_who_turns_eighteen_in_april_is_in_another_band_from_the_first_of_april_on(server_home: Path) -> None:
    with new_warehouse(server_home) as settings:
        chain = Chain(settings, OPENED)
        with db.connect(settings) as conn:
            conn.execute("insert into vault.birth_month values ('T1', 2008, 4), ('T2', null, 4), ('T3', 2008, 5)")
        for card, token in (("April", "T1"), ("no year", "T2"), ("May", "T3"), ("not told", None)):
            enrolment = {"card_no": card, "store_id": "S1", "enrolled_at": f"{OPENED}T09:00:00"}
            chain.deliver("pos", "enrolments", OPENED, enrolment | {"birthday_token": token})
        chain.sell("1", OPENED)

        def bands(as_of: date, *, full_refresh: bool = False) -> list[tuple[str, str, int | None]]:
            chain.publish(as_of, full_refresh=full_refresh)
            return chain.read("select member_id, age_band, birth_month from bi.dim_member order by member_id")

        others = [("May", "under 18", 5), ("no year", "unknown", 4), ("not told", "unknown", None)]
        assert bands(date(2026, 3, 31)) == [("April", "under 18", 4), *others]
        assert bands(date(2026, 4, 1)) == [("April", "18-24", 4), *others]
        assert bands(date(2026, 4, 1), full_refresh=True) == [("April", "18-24", 4), *others]
        assert bands(date(2026, 3, 31)) == [("April", "under 18", 4), *others]
