"""The declarations hold together, and what is derived from them is what they say."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import psycopg
import pytest

from memberhouse import db
from memberhouse.settings import Settings
from memberhouse.sources import raw_tables
from memberhouse.sources.contract import Column, Feed
from memberhouse.sources.feeds import FEEDS
from memberhouse.sources.json_schema import json_schema, schema_files
from memberhouse.sources.page import contracts_page
from memberhouse.sources.raw_tables import ensure_raw_tables

all_feeds = pytest.mark.parametrize("feed", FEEDS.values(), ids=lambda feed: feed.raw_table)


def by_name(feed: Feed) -> dict[str, Column]:
    return {column.name: column for column in feed.columns}


@all_feeds
def test_a_column_that_names_a_member_says_so(feed: Feed) -> None:
    naming = re.compile(r"(.*_)?(card_no|account_id|member|referrer|referee)")
    assert [
        column.name for column in feed.columns if bool(naming.fullmatch(column.name)) != bool(column.names_member)
    ] == []


@all_feeds
def test_a_declaration_refers_to_columns_that_it_has(feed: Feed) -> None:
    columns = by_name(feed)
    assert len(columns) == len(feed.columns)
    # a key with an empty part is told apart all the same; the index of a feed that counts once needs text there
    assert feed.column(feed.key[0]) is not None
    assert [
        name
        for name in feed.identity
        if feed.once and not columns[name].required and columns[name].kind not in ("text", "timestamp")
    ] == []
    assert feed.money is None or columns[feed.money].kind == "money"
    assert feed.traded_at is None or columns[feed.traded_at].kind == "timestamp"
    assert feed.version is None or not columns[feed.version].personal
    assert {name for name in (feed.store, *(rule.column for rule in feed.rules)) if name} <= set(columns)
    assert [c.name for c in feed.columns if bool(c.choices) != (c.kind == "choice")] == []


@all_feeds
def test_the_json_schema_is_one(feed: Feed) -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema(feed))


def test_the_json_schema_tells_sound_rows_from_others() -> None:
    validator = jsonschema.Draft202012Validator(json_schema(FEEDS["app", "campaigns"]))
    sound = {"campaign_id": "C1", "starts_on": "2026-03-02", "intent": None, "anything": 1}
    assert validator.is_valid(sound)
    assert not validator.is_valid({**sound, "intent": "spam"})
    assert not validator.is_valid({**sound, "starts_on": None})
    assert not validator.is_valid({"campaign_id": "C1"})


def test_names_and_numbers_of_people_are_declared_personal() -> None:
    personal = {column.name for feed in FEEDS.values() for column in feed.columns if column.personal}
    assert personal == {"member_phone", "phone", "email", "wechat_openid", "name", "birthday"}


def test_the_page_of_the_contracts_is_current() -> None:
    page = Path(__file__).parents[2] / "docs" / "sources.md"
    assert page.read_text(encoding="utf-8") == contracts_page(), (
        "run: python -m memberhouse.sources.page docs/sources.md"
    )


def test_the_schemas_are_current() -> None:
    folder = Path(__file__).parents[2] / "docs" / "schemas"
    found = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}
    assert found == schema_files(), "run: python -m memberhouse.sources.json_schema docs/schemas"


# ---------------------------------------------------------------- in the database


@pytest.fixture
def raw(warehouse: Settings) -> Any:
    """A warehouse with its raw tables."""
    with db.connect(warehouse, autocommit=True) as conn:
        db.ensure_schema(conn)
        ensure_raw_tables(conn)
        yield conn


def columns_of(conn: psycopg.Connection[Any], table: str) -> dict[str, str]:
    return dict(
        conn.execute(
            "select attname, atttypid::regtype::text from pg_attribute"
            " where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped order by attnum",
            (f"raw.{table}",),
        ).fetchall()
    )


@pytest.mark.services
def test_raw_tables_have_the_declared_columns_and_tokens_for_the_personal_ones(raw: Any) -> None:
    for feed in FEEDS.values():
        columns = columns_of(raw, feed.raw_table)
        assert list(columns)[:3] == ["_batch_id", "_file_no", "_line_no"]
        assert set(list(columns)[3:]) == {f"{c.name}_token" if c.personal else c.name for c in feed.columns}


@pytest.mark.services
def test_a_column_declared_later_joins_the_table(raw: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    products = FEEDS["reference", "products"]
    widened = replace(products, columns=(*products.columns, Column("is_organic", "boolean")))
    monkeypatch.setattr(raw_tables, "FEEDS", {**FEEDS, ("reference", "products"): widened})
    ensure_raw_tables(raw)
    assert columns_of(raw, "reference__products")["is_organic"] == "boolean"


@pytest.mark.services
def test_looking_for_missing_tables_does_not_wait_for_a_load(raw: Any, warehouse: Settings) -> None:
    with db.connect(warehouse) as loading:
        loading.execute("insert into raw.pos__receipts (_batch_id, _file_no, _line_no) values (1, 1, 2)")
        raw.execute("set lock_timeout = '200ms'")
        ensure_raw_tables(raw)


@pytest.mark.services
@pytest.mark.parametrize(
    ("domain", "taken", "refused"),
    [
        (
            "money",
            ["1.5", "-3", "1.500", "999999999999.99"],
            ["NaN", "Infinity", "-Infinity", "1.005", "1e13"],
        ),
        ("price", ["0.0001", "1.23450"], ["0.00001", "NaN"]),
        ("quantity", ["0.125", "-1"], ["0.1234", "NaN", "1e10"]),
        (
            "iso_timestamp",
            ["2026-03-02T18:30", "2026-03-02 18:30:00.5+0800", "2026-03-02T18:30:00Z"],
            ["now", "2026-03-02", "2026-02-30T10:00", "2026-03-02T25:00", "02/03/2026 10:00", "infinity"],
        ),
        (
            "timezone",
            ["America/New_York", "UTC", "Etc/GMT+5"],
            ["Mars/Base", "", "UTC; x", "+08:00"],
        ),
    ],
)
def test_domains_take_and_refuse(raw: Any, domain: str, taken: list[str], refused: list[str]) -> None:
    for value, expected in [(value, True) for value in taken] + [(value, False) for value in refused]:
        answer = raw.execute("select pg_input_is_valid(%s, %s)", (value, f"raw.{domain}")).fetchone()
        assert (value, *answer) == (value, expected)
