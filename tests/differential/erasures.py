"""Members who are erased on the way, and what the reference is to know of their rows from then on."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from tests.differential.comparison import Mismatch
from tests.differential.deliveries import Batch
from tests.differential.histories import SHOP, Row
from tests.erase.conftest import totals

from memberhouse.erase import erase
from memberhouse.settings import Settings
from memberhouse.sources.feeds import FEEDS


def families_to_erase(
    conn: psycopg.Connection, dice: random.Random, rows: Sequence[Row], number: int
) -> dict[str, str]:
    """By family, a member of it who is published."""
    of_family = {
        str(row.content["card_no" if row.feed == "enrolments" else "account_id"]): row.family
        for row in rows
        if row.feed in ("enrolments", "accounts") and row.family != SHOP
    }
    members: dict[str, str] = {}
    for (member_id,) in conn.execute("select member_id from bi.dim_member order by member_id").fetchall():
        if member_id in of_family:
            members.setdefault(of_family[member_id], member_id)
    return {family: members[family] for family in dice.sample(sorted(members), number)}


def erase_all(settings: Settings, members: Collection[str]) -> list[Mismatch]:
    """Erase them; answers the totals of published releases that are others afterwards."""
    before = totals(settings)
    for member_id in members:
        erase(settings, member_id)
    after = totals(settings)
    moved = [place for place in before.keys() | after.keys() if before.get(place) != after.get(place)]
    if not moved:
        return []
    told = [f"{place}: {before.get(place)} before, {after.get(place)} after" for place in sorted(moved)]
    return [Mismatch("an erasure changed totals", len(moved), told)]


def as_stored(
    conn: psycopg.Connection, in_force: Sequence[tuple[Row, Batch]], families: Collection[str]
) -> list[tuple[Row, Batch]]:
    """The rows, those of these families with the ids and tokens by which the warehouse knows them now."""
    # the position of a row in its batch tells its line
    found = []
    positions: dict[int, int] = defaultdict(int)
    stored: dict[int, dict[int, dict[str, Any]]] = {}
    for row, batch in in_force:
        position = positions[id(batch)]
        positions[id(batch)] += 1
        if row.family in families:
            if id(batch) not in stored:
                stored[id(batch)] = _names(conn, batch)
            header = 0 if batch.source == "app" else 1
            names = stored[id(batch)].get(position + 1 + header)
            if names is None:  # repeated in its batch, or put aside
                continue
            row = Row(row.source, row.feed, row.delivered_on, row.content | names, row.family)
        found.append((row, batch))
    return found


def _names(conn: psycopg.Connection, batch: Batch) -> dict[int, dict[str, Any]]:
    """By line, the columns that name a member or have a token of theirs, by their names in the feed."""
    feed = FEEDS[batch.source, batch.feed]
    columns = [column for column in feed.columns if column.names_member or column.personal]
    statement = sql.SQL(
        "select _line_no {} from raw.{} as r join ops.batch as b on r._batch_id = b.batch_id where b.state = 'loaded'"
        " and (b.source, b.feed, b.business_date, b.store_id, b.batch_name, b.revision) = (%s, %s, %s, %s, %s, %s)"
    ).format(
        sql.SQL("").join(
            sql.SQL(", r.{} as {}").format(sql.Identifier(column.raw_name), sql.Identifier(column.name))
            for column in columns
        ),
        sql.Identifier(feed.raw_table),
    )
    place = (batch.source, batch.feed, batch.business_date, batch.store_id, batch.name, batch.revision)
    with conn.cursor(row_factory=dict_row) as cursor:
        return {row.pop("_line_no"): row for row in cursor.execute(statement, place).fetchall()}
