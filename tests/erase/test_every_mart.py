"""A messy chain with every feed, three releases, and members who are erased: nothing names them, no number moves.

Whatever marts there are take part, and so will those to come: a mart that names members in a column of which nobody
says so fails here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.chain import Chain, publish
from tests.conftest import new_warehouse
from tests.erase.conftest import totals, where_left

from memberhouse import db, release
from memberhouse.erase import UnknownMember, erase
from memberhouse.load import load_landed
from memberhouse.reports import weekly
from memberhouse.settings import Settings
from memberhouse.simulate.chain import write_chain
from memberhouse.sources.feeds import FEEDS

pytestmark = pytest.mark.services

LAST_DAY = date(2026, 6, 30)


@dataclass
class World:
    settings: Settings
    landing: Path
    before: dict[tuple[int, str], tuple[Any, ...]]
    # of each member: ids, tokens, phones, addresses and open ids
    erased: dict[str, set[str]]

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        with db.connect(self.settings) as conn:
            return conn.execute(statement.encode()).fetchall()


def known_of(settings: Settings, member_id: str) -> set[str]:
    """What the warehouse knows of a member: ids and tokens by the bridge, values by the vault."""
    with db.connect(settings) as conn:
        names = {
            name
            for (name,) in conn.execute(
                "select identifier from history.bridge_identity where member_id = %s union select %s",
                (member_id, member_id),
            )
        }
        contacts = conn.execute(
            "select phone_token from raw.pos__enrolments where card_no = any(%(names)s)"
            " union select unnest(array[phone_token, email_token, wechat_openid_token]) from raw.app__accounts"
            " where account_id = any(%(names)s)",
            {"names": list(names)},
        ).fetchall()
        names |= {token for (token,) in contacts if token}
        # a number that others have, too, stays theirs
        names -= {
            token
            for (token,) in conn.execute(
                "select phone_token from raw.pos__enrolments where card_no <> all(%(names)s)"
                " union select unnest(array[phone_token, email_token, wechat_openid_token]) from raw.app__accounts"
                " where account_id <> all(%(names)s)",
                {"names": list(names)},
            ).fetchall()
        }
        values = conn.execute(
            "select token, what, value from vault.personal_value where token = any(%s)", (list(names),)
        ).fetchall()
    return names | {value for _, _, value in values}


def a_heavy_buyer(settings: Settings) -> str:
    """Who has a card, an account, a phone of its own, and bought most often."""
    with db.connect(settings) as conn:
        (member_id,) = conn.execute(
            "select r.member_id from bi.fct_receipt as r"
            " inner join bi.bridge_identity as b on b.member_id = r.member_id and b.identifier_kind = 'account'"
            " group by 1 order by count(distinct r.receipt_id) desc, 1 limit 1"
        ).fetchone()
    return member_id


def who_has_most_ids(settings: Settings, besides: str) -> str:
    with db.connect(settings) as conn:
        (member_id,) = conn.execute(
            "select member_id from bi.bridge_identity where member_id <> %s"
            " group by 1 order by count(distinct identifier) desc, 1 limit 1",
            (besides,),
        ).fetchone()
    return member_id


@pytest.fixture(scope="module")
def world(server_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    home = tmp_path_factory.mktemp("home")
    landing = tmp_path_factory.mktemp("landing")
    write_chain(landing, members=400, days=70, seed=5, messy=True)
    with new_warehouse(server_home) as database:
        settings = replace(database, home=home, vault_key="0123456789abcdef0123456789abcdef")
        for days in (20, 10, 0):
            load_landed(settings, landing, until=LAST_DAY - timedelta(days=days))
            publish(settings, LAST_DAY - timedelta(days=days))
        weekly.write(settings, LAST_DAY, home / "reports")
        before = totals(settings)
        erased = {}
        buyer = a_heavy_buyer(settings)
        for member_id in (buyer, who_has_most_ids(settings, besides=buyer)):
            erased[member_id] = known_of(settings, member_id)
            erase(settings, member_id)
        yield World(settings, landing, before, erased)


def test_who_was_erased_had_much_to_erase(world: World) -> None:
    assert len(world.erased) == 2
    for known in world.erased.values():
        assert len(known) >= 3, known
    assert {release_id for release_id, _ in world.before} == {1, 2, 3}


def test_nothing_names_the_members_any_more(world: World) -> None:
    words = set().union(*world.erased.values())
    # the chain's own truth is no delivery
    landed = [folder for folder in world.landing.iterdir() if folder.name != "truth"]
    assert where_left(world.settings, words, world.settings.home, *landed) == set()


def test_every_total_of_every_release_stands(world: World) -> None:
    assert totals(world.settings) == world.before


def test_every_text_column_that_holds_ids_of_members_says_so(world: World) -> None:
    ids = {
        value
        for feed in FEEDS.values()
        for column in feed.columns
        if column.names_member
        for (value,) in world.query(f"select distinct {column.name} from raw.{feed.raw_table}")
    } | {token for (token,) in world.query("select token from vault.personal_value")}
    ids.discard(None)
    silent = world.query(
        "select table_name, column_name from release.member_column where names_member is not true order by 1, 2"
    )
    assert len(silent) > 20
    naming = {
        f"{table}.{column}"
        for table, column in silent
        if ids & {value for (value,) in world.query(f'select distinct "{column}" from history."{table}"')}
    }
    assert naming == set(), "declare it: config: {meta: {names_member: true}}"


def test_the_same_folder_is_loaded_already(world: World) -> None:
    report = load_landed(world.settings, world.landing)
    assert (report.loaded, report.duplicates, report.refused) == ([], [], [])
    assert report.unchanged > 1000


def test_rebuilding_writes_not_one_row(world: World) -> None:
    chain = Chain.__new__(Chain)
    chain.settings = world.settings
    content = content_of(world.settings)
    for full_refresh in (False, True):
        release_id = publish(world.settings, LAST_DAY, full_refresh=full_refresh)
        assert chain.written_by(release_id) == {}
        assert content_of(world.settings) == content
    now = totals(world.settings)
    assert {key: now[key] for key in world.before} == world.before


def test_they_are_not_known_a_second_time(world: World) -> None:
    for known in world.erased.values():
        for name in known:
            with pytest.raises(UnknownMember):
                erase(world.settings, name)


def test_an_erasure_is_on_record_without_a_name(world: World) -> None:
    rows = world.query("select found, pending, finished_at is not null, proven_at is not null from ops.erasure")
    assert [row[1:] for row in rows] == [([], True, True)] * 2
    assert all(found["raw.app__accounts"] for found, *_ in rows)


def content_of(settings: Settings) -> dict[str, str]:
    with db.connect(settings) as conn:
        return release.content_hash(conn)
