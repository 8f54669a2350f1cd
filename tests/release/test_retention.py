"""Pruning: what is kept answers as before, to the row; what is not is gone, and nobody can point at it or read it."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.conftest import copy_of
from tests.shop import DAY, Shop

from memberhouse import db, release
from memberhouse.settings import Retention, Settings

pytestmark = pytest.mark.services

OPEN = 2_147_483_647
BREAD, MILK, TEA = ("A", "bread", 3), ("A", "milk", 5), ("B", "tea", 7)
NOW = datetime(2026, 9, 1, tzinfo=UTC)
TABLES = {"core": "shelf_stock", "programme": "shelf_total"}


class Past:
    """Releases that follow one another in a shop of two groups, written as the materialization writes them."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self.published: dict[str, dict[int, tuple[date, datetime]]] = {"core": {}, "programme": {}}
        with db.connect(shop.settings) as conn:
            conn.execute("alter table release.publication disable trigger all")
            conn.execute("update release.publication set at = %s", (NOW - timedelta(days=150),))
        for group in self.published:
            self.published[group][1] = (DAY, NOW - timedelta(days=150))

    def step(self, as_of: date, at: datetime, stock: dict[str, int], held: str | None) -> int:
        """A release with this stock (shelf -> units), published at a moment in every group that is not held."""
        with db.connect(self._shop.settings) as conn:
            (release_id,) = conn.execute(
                "insert into release.release (as_of_date, state, batch_change_no, project_sha256)"
                " values (%s, 'built', 0, '') returning release_id",
                (as_of,),
            ).fetchone()
            for group, table in TABLES.items():
                if group == held:
                    continue
                more = ", sku" if group == "core" else ""
                conn.execute("create temporary table stage (shelf text, units integer) on commit drop")
                conn.cursor().executemany("insert into stage values (%s, %s)", list(stock.items()))
                conn.execute(
                    f"with gone as (delete from history.{table}__open as o where not exists"
                    " (select 1 from stage as s where (s.shelf, s.units) = (o.shelf, o.units)) returning o.*)"
                    f" insert into history.{table}__closed (shelf, units{more}, _from_release, _to_release)"
                    f" select shelf, units{more}, _from_release, {release_id} from gone"
                )
                conn.execute(
                    f"insert into history.{table}__open (shelf, units{more}, _from_release, _to_release)"
                    f" select shelf, units{', shelf' if more else ''}, {release_id}, {OPEN} from stage as s"
                    f" where not exists (select 1 from history.{table}__open as o where o.shelf = s.shelf)"
                )
                conn.execute("drop table stage")
                conn.execute(
                    "insert into release.verdict (release_id, group_name, verdict, reason, checks_evaluated,"
                    " checks_failed) values (%s, %s, 'passed', 'by hand', 1, 0)",
                    (release_id, group),
                )
                conn.execute(
                    "insert into release.current (group_name, release_id) values (%s, %s)"
                    " on conflict (group_name) do update set release_id = excluded.release_id",
                    (group, release_id),
                )
                conn.execute("update release.publication set at = %s where release_id = %s", (at, release_id))
                self.published[group][release_id] = (as_of, at)
        return release_id

    def names(self) -> list[int]:
        return sorted({release_id for group in self.published.values() for release_id in group})

    def kept(self, retention: Retention, current: dict[str, int]) -> set[int]:
        """The releases that must stay readable, by the words of the rule."""
        kept = set(current.values())
        for group in self.published.values():
            kept.add(max(group))
            kept |= {n for n, (_, at) in group.items() if at > NOW - timedelta(days=retention.days)}
            newest = max(as_of for as_of, _ in group.values())
            weeks: dict[date, int] = {}
            for release_id, (as_of, _) in group.items():
                monday = as_of - timedelta(days=as_of.weekday())
                weeks[monday] = max(release_id, weeks.get(monday, 0))
            years = retention.weekly_years
            newest = max(as_of for other in self.published.values() for as_of, _ in other.values())
            first = date.min if years is None else newest.replace(year=newest.year - years)
            kept |= {release_id for monday, release_id in weeks.items() if monday > first}
        return kept


@pytest.fixture(scope="module")
def template(server_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    from memberhouse.local import postgres

    url = postgres.create_database(server_home, "shop_of_releases")
    shop = Shop(
        Settings(home=server_home, database_url=url, project_root=server_home), tmp_path_factory.mktemp("releases")
    )
    shop.declare_total()
    shop.stock(BREAD, TEA)
    shop.publish()
    return shop


def copied(template: Shop) -> Shop:
    shop = object.__new__(Shop)
    shop.__dict__ = dict(template.__dict__)
    shop.settings = replace(
        copy_of(template.settings), home=template.settings.home, project_root=template.settings.project_root
    )
    return shop


def answers(shop: Shop, release_id: int) -> dict[str, Any]:
    """What each view answers for a release; the error where it answers none."""
    found: dict[str, Any] = {}
    for table in TABLES.values():
        try:
            found[table] = shop.read(release_id, "*", table)
        except psycopg.errors.RaiseException as error:
            found[table] = error.diag.message_primary
    return found


@pytest.mark.parametrize("seed", range(12))
def test_every_kept_release_answers_as_before_and_no_row_stays_for_another(template: Shop, seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311  (seeded, no secret)
    shop = copied(template)
    past = Past(shop)
    as_of, at, stock = DAY, NOW - timedelta(days=149), {"A": 3, "B": 7}
    for _ in range(40):
        as_of += timedelta(days=dice.choice((-3, 0, 1, 1, 2, 5)))
        at += timedelta(days=dice.choice((0, 1, 3, 5)), hours=dice.randrange(20))
        stock = {shelf: dice.choice((1, 2, 3)) for shelf in "ABCDE" if dice.random() < 0.7} or stock
        past.step(as_of, at, stock, dice.choice((None, None, None, "core", "programme")))
    if dice.random() < 0.5:
        release.rollback(shop.settings, dice.choice(past.names()[-8:]))
    retention = Retention(days=dice.choice((0, 5, 20)), weekly_years=dice.choice((None, 1)))
    settings = replace(shop.settings, retention=retention)
    before = {release_id: answers(shop, release_id) for release_id in past.names()}
    stored = {table: shop.sql(f"select count(*) from history.{table}__closed")[0][0] for table in TABLES.values()}
    with db.connect(shop.settings) as conn:  # the rollback of the story is not dated by the story
        conn.execute("update release.publication set at = %s where action = 'rollback'", (NOW - timedelta(days=100),))

    foreseen = release.prune(settings, now=NOW, dry_run=True).releases
    assert {release_id: answers(shop, release_id) for release_id in past.names()} == before
    done = release.prune(settings, now=NOW)

    assert done.releases == foreseen
    kept = past.kept(retention, release.shown(shop.settings))
    for release_id in past.names():
        after = answers(shop, release_id)
        if release_id in kept:
            assert after == before[release_id]
        else:
            assert after != before[release_id]
            # right or refused, never wrong
            for table, answer in after.items():
                assert answer == before[release_id][table] or "was pruned" in answer
    for group, table in TABLES.items():
        wanted = {max(own) for n in kept if (own := [i for i in past.published[group] if i <= n])}
        seen = " or ".join(f"({n} >= _from_release and {n} < _to_release)" for n in wanted)
        (count,) = shop.sql(f"select count(*) filter (where ({seen}) is not true) from history.{table}__closed")[0]
        assert count == 0
        (left,) = shop.sql(f"select count(*) from history.{table}__closed")[0]
        assert stored[table] - left == done.rows.get(table, 0)
    assert sum(done.rows.values()) > 0
    assert release.prune(settings, now=NOW) == release.Pruned([], {})


@pytest.fixture
def pruned(shop: Shop) -> Shop:
    """Four releases of one week, the first three of them pruned."""
    shop.declare_total()
    for stock in ((BREAD,), (BREAD, MILK), (BREAD, TEA), (MILK, TEA)):
        shop.stock(*stock)
        shop.publish()
    shop.settings = replace(shop.settings, retention=Retention(days=0))
    pruned = release.prune(shop.settings, now=datetime.now(UTC) + timedelta(days=1))
    assert pruned.releases == [(group, number) for group in TABLES for number in (1, 2, 3)]
    assert str(pruned).startswith("Pruned core 1, core 2, core 3, programme 1, programme 2 and 1 more: ")
    return shop


def test_nobody_reads_points_at_or_compares_a_pruned_release(pruned: Shop) -> None:
    with pytest.raises(psycopg.errors.RaiseException, match='release 2 of the group "core" was pruned'):
        pruned.read(2)
    with pytest.raises(release.PublishRefused, match="Release 2 of the group core was pruned on"):
        release.rollback(pruned.settings, 2)
    with pytest.raises(release.PublishRefused, match="before 4"):
        release.rollback(pruned.settings)
    with pytest.raises(psycopg.errors.RaiseException, match='release 3 of the group "core" was pruned'):
        pruned.sql("update release.current set release_id = 3 where group_name = 'core'")
    with pytest.raises(Exception, match=r"Release 3 can't be compared: .* was pruned"):
        release.diff(pruned.settings, 3, 4)
    assert pruned.read() == [MILK, TEA]
    assert pruned.sql("select count(*) from history.shelf_stock__closed") == [(0,)]


def test_builds_after_pruning_give_what_a_full_one_gives(pruned: Shop) -> None:
    pruned.stock(MILK, ("B", "tea", 8))
    pruned.publish(held="programme")
    pruned.stock(BREAD, ("B", "tea", 8))
    pruned.publish()
    # the release that the group that stayed behind started from was needed, and kept
    release.prune(pruned.settings, now=datetime.now(UTC) + timedelta(days=1))
    pruned.stock(BREAD, ("B", "tea", 9))
    pruned.publish()
    before = pruned.sql("select * from history.shelf_total order by 1, 2, 3"), pruned.history()
    pruned.publish(full_refresh=True)
    assert (pruned.sql("select * from history.shelf_total order by 1, 2, 3"), pruned.history()) == before
    assert pruned.read(None, "shelf, units", "shelf_total") == [("A", 3), ("B", 9)]


def test_what_a_group_that_is_held_starts_from_is_kept(shop: Shop) -> None:
    """Core goes on for long while programme is held: what core published when programme last was is needed to find
    what changed since."""
    shop.declare_total()
    shop.stock(BREAD, TEA)
    shop.publish()
    for units in (4, 5, 6):
        shop.stock(("A", "bread", units), TEA)
        shop.publish(held="programme")
    settings = replace(shop.settings, retention=Retention(days=0))
    assert release.prune(settings, now=datetime.now(UTC) + timedelta(days=1)).releases == [("core", 2), ("core", 3)]
    shop.stock(("A", "bread", 6), ("B", "tea", 8))
    shop.publish()
    assert shop.read(None, "shelf, units", "shelf_total") == [("A", 6), ("B", 8)]


def test_a_prune_that_was_killed_after_marking_is_finished_by_the_next(shop: Shop) -> None:
    for stock in ((BREAD,), (MILK,), (TEA,)):
        shop.stock(*stock)
        shop.publish()
    shop.sql("insert into release.pruned (group_name, release_id) values ('core', 1)")
    done = release.prune(shop.settings)
    assert done == release.Pruned([], {"shelf_stock": 1})
    assert shop.read(2) == [MILK]
