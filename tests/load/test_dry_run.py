"""A dry run says what a load would do, and does nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import psycopg
import pytest

from memberhouse import db
from memberhouse.errors import MemberhouseError
from memberhouse.load import validate

pytestmark = pytest.mark.services

Make = Callable[..., str]


def databases(till: Any) -> set[str]:
    return {name for (name,) in till.query("select datname from pg_database")}


def test_it_tells_every_kind_of_fault_and_leaves_no_trace(till: Any, sound_lines: Make, one_line: Make) -> None:
    till.drop(sound_lines(60, one_line(80, store_id="S9") + one_line(81, net_amount="x") + one_line(1)))
    till.drop(sound_lines(5), rows=6, name="short", day=date(2026, 3, 3))
    before = databases(till)
    found = validate(till.warehouse, till.root)
    assert not found.is_sound
    assert found.feeds == {"pos/receipt_lines": (1, 63, 60, 2, 1), "reference/stores": (1, 2, 2, 0, 0)}
    assert [(c.feed, c.reason_code, c.column, c.rows) for c in found.complaints] == [
        ("pos/receipt_lines", "unknown_store", "store_id", 1),
        ("pos/receipt_lines", "wrong_type", "net_amount", 1),
    ]
    text = "\n".join(found.lines())
    assert "receipt_lines.csv.gz, line 62: no loaded stores file has the store 'S9'" in text
    assert "receipt_lines.csv.gz has 5 rows, its manifest says 6." in text
    assert "What to do: Ask the sender which is right" in text
    assert databases(till) == before
    assert till.query("select count(*) from ops.batch") == [(0,)]


def test_a_sound_folder_is_called_sound(till: Any, sound_lines: Make) -> None:
    till.drop(sound_lines())
    found = validate(till.warehouse, till.root)
    assert found.is_sound
    assert list(found.lines())[-1] == "\nThe folder meets the contracts."


def test_stores_that_the_warehouse_knows_are_known(till: Any, sound_lines: Make) -> None:
    till.load()
    till.drop(sound_lines(), name="alone")
    only = till.root.parent / "only lines"
    (only / "pos").mkdir(parents=True)
    (till.root / "pos" / "receipt_lines").rename(only / "pos" / "receipt_lines")
    assert validate(till.warehouse, only).is_sound


def test_a_role_that_may_not_create_databases_is_told_what_to_do(till: Any) -> None:
    with db.connect(till.warehouse, autocommit=True) as conn:
        conn.execute("drop role if exists loads_only")
        conn.execute("create role loads_only login password 'x'")
    url = psycopg.conninfo.make_conninfo(till.warehouse.database_url, user="loads_only", password="x")  # noqa: S106  (a throw-away role)
    with pytest.raises(MemberhouseError, match="which this role may not: permission denied") as raised:
        validate(replace(till.warehouse, database_url=url), till.root)
    assert "grant it createdb" in raised.value.next_action
