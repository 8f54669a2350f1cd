"""Extracts overlap: a row of the app counts once, on whatever date it comes again."""

from __future__ import annotations

import json
import random
import string
from datetime import date
from typing import Any

import pytest
from tests.conservation import assert_conserved

pytestmark = pytest.mark.services

MONDAY, TUESDAY = date(2026, 3, 2), date(2026, 3, 3)


def event(number: int, **other: Any) -> dict[str, Any]:
    return {"event_id": f"E{number}", "account_id": "A1", "name": "view", "at": "2026-03-02T08:00:00Z", **other}


def drop(till: Any, rows: list[Any], feed: str = "events", day: date = MONDAY, **options: Any) -> None:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    content = "".join(f"{line}\n" for line in lines)
    till.drop(content, source="app", feed=feed, day=day, file=f"{feed}.jsonl.gz", rows=len(rows), **options)


def test_a_row_that_comes_again_on_another_date_is_a_duplicate(till: Any) -> None:
    drop(till, [event(1), event(2)])
    till.load()
    drop(till, [event(2), event(3)], day=TUESDAY)
    report = till.load()
    assert (report.rows_loaded, report.rows_duplicate, report.rows_quarantined) == (1, 1, 0)
    assert till.query("select event_id from raw.app__events order by 1") == [("E1",), ("E2",), ("E3",)]
    assert_conserved(till.warehouse)


def test_the_same_event_with_another_payload_is_quarantined_the_first_kept_and_people_are_told(till: Any) -> None:
    drop(till, [event(n, properties={"sku": "K1"}) for n in range(40)])
    till.load()
    drop(
        till,
        [event(n, properties={"sku": "K1"}) for n in range(40, 80)] + [event(7, properties={"sku": "K2"})],
        day=TUESDAY,
    )
    till.load()
    assert [(row[1], row[3]) for row in till.rejected()] == [
        ("contradicts_earlier_row", "line 8 of batch 2 has the same event_id with other content")
    ] or till.rejected()[0][1] == "contradicts_earlier_row"
    assert till.query("select properties ->> 'sku' from raw.app__events where event_id = 'E7'") == [("K1",)]
    assert till.query("select root_cause from ops.alert") == [("rows contradict earlier ones: app/events",)]


def test_an_update_is_no_contradiction(till: Any) -> None:
    account = {"account_id": "A1", "created_at": "2026-03-01T00:00:00Z", "updated_at": "2026-03-02T01:00:00Z"}
    drop(till, [account], feed="accounts")
    drop(till, [account, account | {"updated_at": "2026-03-02T02:00:00Z", "city": "Suzhou"}], "accounts", TUESDAY)
    report = till.load()
    assert (report.rows_quarantined, report.rows_duplicate) == (0, 1)
    assert till.query("select updated_at, city from raw.app__accounts order by 1") == [
        ("2026-03-02T01:00:00Z", None),
        ("2026-03-02T02:00:00Z", "Suzhou"),
    ]


def test_keys_with_empty_parts_are_compared_as_well(till: Any) -> None:
    consent = {"card_no": "M1", "purpose": "news", "channel": "sms", "granted": True, "at": "2026-03-02T01:00:00Z"}
    drop(till, [consent], feed="consents")
    drop(till, [consent, consent | {"card_no": None, "account_id": "M1"}], "consents", TUESDAY)
    report = till.load()
    assert (report.rows_loaded, report.rows_duplicate) == (2 + 2, 1)


def test_a_revision_frees_the_rows_that_repeated_what_it_replaced(till: Any) -> None:
    drop(till, [event(1), event(2)], name="first")
    drop(till, [event(2), event(3)], day=TUESDAY)
    till.load()
    drop(till, [event(1)], name="second", revision=1)
    till.load()
    assert till.query(
        "select event_id from raw.app__events join ops.batch on batch_id = _batch_id and state = 'loaded' order by 1"
    ) == [("E1",), ("E2",), ("E3",)]
    assert_conserved(till.warehouse)


@pytest.mark.parametrize(
    ("poison", "code"),
    [
        ('{"event_id": "E99", ', "poison_json"),
        ("[1, 2]", "poison_json"),
        ('{"event_id": "E99", "name": NaN}', "poison_json"),
        ('{"event_id": "E99", "properties": ' + "[" * 32 + "]" * 32 + "}", "poison_json"),
        ("[" * 100_000, "poison_json"),
        ('{"event_id": "E99", "name": "a\\u0000b", "at": "2026-03-02T08:00:00Z"}', "nul_byte"),
        ('{"event_id": "E99", "name": {"a": 1}, "at": "2026-03-02T08:00:00Z"}', "wrong_type"),
        ('{"event_id": "E99", "name": "view", "at": "2026-03-03T00:10:01Z"}', "after_production"),
    ],
    ids=lambda value: value[:40],
)
def test_a_poisonous_row_is_put_aside_and_the_batch_goes_on(till: Any, poison: str, code: str) -> None:
    drop(till, [*(event(n) for n in range(30)), poison])
    report = till.load()
    assert (report.rows_loaded, report.rows_quarantined) == (1 * 2 + 30, 1)
    assert till.rejected()[0][:2] == (31, code)


def test_json_of_a_sane_depth_is_kept_with_its_types(till: Any) -> None:
    properties = {"a": [1, 2.5, "x", None, True, {"b": {"c": [0.1]}}], "n": 12345678901234567890}
    drop(till, [event(1, properties=properties)])
    till.load()
    assert till.query("select properties from raw.app__events") == [(properties,)]


@pytest.mark.parametrize(("receipt", "outcome"), [({}, (1, 0)), ({"business_date": "2026-03-01"}, (0, 1))])
def test_a_row_that_stands_twice_in_a_file_counts_once_whatever_its_date(
    till: Any, receipt: dict[str, str], outcome: tuple[int, int]
) -> None:
    entry = {"entry_id": "P1", "account_id": "A1", "type": "earn", "points": 100, "at": "2026-03-02T08:00:00Z"}
    drop(till, [entry, entry | receipt], feed="points_entries")
    report = till.load(bad_share=0.5)
    assert (report.rows_duplicate, report.rows_quarantined) == outcome
    assert till.query("select points from raw.app__points_entries") == [(100,)]
    assert_conserved(till.warehouse)


def test_a_number_beyond_all_size_is_put_aside(till: Any) -> None:
    huge = json.dumps(event(99)).replace('"view"', '"view", "n": 1e9999999999999999999')
    drop(till, [event(n) for n in range(40)] + [huge])
    till.load()
    assert [row[1] for row in till.rejected()] == ["poison_json"]


def test_a_key_that_no_index_can_hold_refuses_its_batch_and_no_other(till: Any) -> None:
    letters = random.Random(3)  # noqa: S311  (it has to be the same every time, and guards nothing)
    drop(till, [event(1) | {"event_id": "".join(letters.choices(string.printable[:62], k=9_000))}], name="long")
    drop(till, [event(2)], day=TUESDAY)
    report = till.load()
    assert [(result.batch.rpartition("/")[2], result.code) for result in report.refused] == [
        ("long", "database_refused")
    ]
    assert till.query("select event_id from raw.app__events") == [("E2",)]
