"""The release-versioned mart: what a build writes, what readers see, what a held build leaves behind."""

from __future__ import annotations

import psycopg
import pytest

from memberhouse import db, release
from memberhouse.warehouse import BuildFailed, dbt

pytestmark = pytest.mark.services

OPEN = 2_147_483_647
BREAD, MILK, TEA = ("A", "bread", 3), ("A", "milk", 5), ("B", "tea", 7)


def test_readers_see_nothing_before_the_first_publication(shop):
    shop.stock(BREAD)
    shop.judge(shop.build())
    assert shop.read() == []
    release.publish(shop.settings)
    assert shop.read() == [BREAD]


def test_a_build_that_changes_nothing_writes_nothing(shop):
    shop.stock(BREAD, MILK)
    shop.publish()
    before = shop.sql("select ctid::text, xmin::text, * from history.shelf_stock__open order by sku")
    shop.publish()
    assert shop.sql("select ctid::text, xmin::text, * from history.shelf_stock__open order by sku") == before
    assert shop.sql("select * from history.shelf_stock__closed") == []


def test_changed_new_and_vanished_rows_are_valid_from_and_to_their_release(shop):
    shop.stock(BREAD, MILK)
    first = shop.publish()
    shop.stock(("A", "bread", 4), TEA)
    second = shop.publish()
    assert shop.history() == [
        (*BREAD, first, second),
        ("A", "bread", 4, second, OPEN),
        (*MILK, first, second),
        (*TEA, second, OPEN),
    ]
    assert shop.read() == [("A", "bread", 4), TEA]
    assert shop.read(first) == [BREAD, MILK]


def test_null_and_a_value_differ_and_null_and_null_do_not(shop):
    shop.stock(("A", "bread", None), MILK)
    first = shop.publish()
    shop.publish()
    shop.stock(("A", "bread", 1), ("A", "milk", None))
    shop.publish()
    assert shop.sql("select sku, _from_release from history.shelf_stock__closed order by sku") == [
        ("bread", first),
        ("milk", first),
    ]


@pytest.mark.parametrize("end", ["held", "not judged"])
def test_what_an_unpublished_build_wrote_leaves_no_trace(shop, end):
    shop.stock(BREAD, MILK)
    first = shop.publish()
    shop.stock(("A", "bread", 300), TEA)
    bad = shop.build()
    if end == "held":
        shop.judge(bad, "held")
        with pytest.raises(release.ReleaseHeld):
            release.publish(shop.settings)
    assert shop.read() == [BREAD, MILK]
    shop.stock(BREAD, MILK, TEA)
    good = shop.publish()
    assert shop.history() == [(*BREAD, first, OPEN), (*MILK, first, OPEN), (*TEA, good, OPEN)]


def test_a_scoped_build_leaves_rows_outside_its_scope_alone_and_removes_those_that_vanished_in_it(shop):
    shop.declare({"shelf": "text", "sku": "text", "units": "integer"}, scoped=True)
    shop.touch("A", "B")
    shop.stock(BREAD, MILK, TEA)
    first = shop.publish()
    # both shelves changed, only A is said to be touched
    shop.touch("A")
    shop.stock(BREAD, ("B", "tea", 700))
    second = shop.publish()
    assert shop.history() == [(*BREAD, first, OPEN), (*MILK, first, second), (*TEA, first, OPEN)]


def test_a_held_scoped_build_followed_by_a_good_one_with_another_scope_leaves_no_bad_rows(shop):
    shop.declare({"shelf": "text", "sku": "text", "units": "integer"}, scoped=True)
    shop.touch("A", "B")
    shop.stock(BREAD, TEA)
    first = shop.publish()
    shop.touch("A")
    shop.stock(("A", "bread", 300), TEA)
    shop.judge(shop.build(), "held")
    shop.touch("B")
    shop.stock(("A", "bread", 300), ("B", "tea", 8))
    second = shop.publish()
    assert shop.history() == [(*BREAD, first, OPEN), (*TEA, first, second), ("B", "tea", 8, second, OPEN)]


def test_a_full_refresh_takes_no_scope(shop):
    shop.declare({"shelf": "text", "sku": "text", "units": "integer"}, scoped=True)
    shop.touch("A", "B")
    shop.stock(BREAD, TEA)
    shop.publish()
    shop.touch("A")
    shop.stock(BREAD)
    shop.publish(full_refresh=True)
    assert shop.read() == [BREAD]


def test_a_new_column_is_added_and_a_dropped_one_leaves_the_views_but_not_history(shop):
    shop.stock(BREAD)
    first = shop.publish()
    shop.declare({"shelf": "text", "sku": "text", "price": "numeric(14,2)"}, select="shelf, sku, 2.50 as price")
    shop.publish()
    assert shop.read(columns="shelf, sku, price::text") == [("A", "bread", "2.50")]
    with pytest.raises(psycopg.errors.UndefinedColumn):
        shop.read(columns="units")
    assert shop.sql("select units from history.shelf_stock where _from_release = %s", (first,)) == [(3,)]


def test_a_retyped_column_is_refused(shop):
    shop.stock(BREAD)
    shop.publish()
    shop.declare({"shelf": "text", "sku": "text", "units": "bigint"}, select="shelf, sku, units::bigint as units")
    with pytest.raises(BuildFailed, match="units is integer in what was published and bigint now"):
        shop.build()
    assert shop.read() == [BREAD]


def test_a_model_that_breaks_its_contract_is_refused(shop):
    shop.stock(BREAD)
    shop.declare({"shelf": "text", "sku": "text", "units": "integer"}, select="shelf, sku, units::text as units")
    with pytest.raises(BuildFailed, match="contract"):
        shop.build()


@pytest.mark.parametrize(
    ("rows", "named"), [([BREAD, ("A", "bread", 9)], "A, bread, 2"), ([("A", None, 1)], "A, None")]
)
def test_a_key_that_is_double_or_null_is_refused_by_name(shop, rows, named):
    shop.stock(*rows)
    with pytest.raises(BuildFailed, match=named):
        shop.build()


def test_only_a_release_that_is_being_built_can_be_built(shop):
    shop.stock(BREAD)
    shop.publish()
    (result,) = dbt.invoke(shop.settings, "run", "--select", "shelf_stock")
    assert result.went_wrong
    assert "No release is being built" in result.message


def test_views_are_replaced_only_when_they_change(shop):
    shop.stock(BREAD)
    shop.publish()
    before = shop.sql("select 'bi.shelf_stock'::regclass::oid, 'marts.shelf_stock'::regclass::oid")
    shop.stock(MILK)
    shop.publish()
    assert shop.sql("select 'bi.shelf_stock'::regclass::oid, 'marts.shelf_stock'::regclass::oid") == before


def test_descriptions_reach_the_published_view(shop):
    shop.stock(BREAD)
    shop.publish()
    assert shop.sql("select obj_description('bi.shelf_stock'::regclass)") == [("One row per shelf and sku.",)]


def test_other_words_in_a_description_replace_no_view(shop):
    shop.stock(BREAD)
    shop.publish()
    before = shop.sql("select 'bi.shelf_stock'::regclass::oid, 'marts.shelf_stock'::regclass::oid")
    described = shop.settings.project_root / "dbt_project" / "models" / "_models.yml"
    described.write_text(described.read_text().replace("One row per shelf and sku.", "What lies where."))
    shop.publish()
    assert shop.sql("select obj_description('bi.shelf_stock'::regclass)") == [("What lies where.",)]
    assert shop.sql("select 'bi.shelf_stock'::regclass::oid, 'marts.shelf_stock'::regclass::oid") == before


def test_a_lookup_that_a_model_gains_is_made_in_the_next_build(shop):
    shop.stock(BREAD)
    shop.publish()
    on_sku = "select count(*) from pg_indexes where strpos(indexdef, 'history.shelf_stock USING btree (sku)') > 0"
    assert shop.sql(on_sku) == [(0,)]
    model = shop.settings.project_root / "dbt_project" / "models" / "shelf_stock.sql"
    model.write_text(model.read_text().replace("config(", "config(lookups=[['sku']], "))
    shop.publish()
    assert shop.sql(on_sku) == [(1,)]


def test_a_rollback_shows_the_older_release_and_pins_it(shop):
    shop.stock(BREAD)
    first = shop.publish()
    shop.stock(MILK)
    second = shop.publish()
    before = _hash(shop)
    release.rollback(shop.settings)
    assert shop.read() == [BREAD]
    shop.judge(shop.build())
    with pytest.raises(release.PublishRefused, match=f"pinned at release {first}"):
        release.publish(shop.settings)
    assert shop.read() == [BREAD]
    release.publish(shop.settings, unpin=True)
    assert _hash(shop) == before
    assert shop.read(second) == [MILK]
    log = shop.sql("select action, release_id from release.publication order by publication_id")
    assert log == [("publish", first), ("publish", second), ("rollback", first), ("publish", 3)]


def test_a_build_after_a_rollback_starts_from_the_highest_published_release(shop):
    shop.stock(BREAD)
    first = shop.publish()
    shop.stock(BREAD, MILK)
    second = shop.publish()
    release.rollback(shop.settings, first)
    shop.stock(BREAD, TEA)
    third = shop.publish()
    assert shop.history() == [(*BREAD, first, OPEN), (*MILK, second, third), (*TEA, third, OPEN)]
    assert shop.read(second) == [BREAD, MILK]


def test_only_published_releases_can_be_rolled_back_to_or_read(shop):
    shop.stock(BREAD)
    first = shop.publish()
    held = shop.build()
    shop.judge(held, "held")
    with pytest.raises(release.PublishRefused, match=f"can't go back to release {held}"):
        release.rollback(shop.settings, held)
    with pytest.raises(psycopg.errors.RaiseException, match="no such published release"):
        shop.read(held)
    with pytest.raises(release.PublishRefused, match="before"):
        release.rollback(shop.settings)
    assert shop.read(first) == [BREAD]


def test_publishing_twice_changes_nothing(shop):
    shop.stock(BREAD)
    shop.publish()
    before = shop.sql("select * from release.current"), shop.sql("select count(*) from release.publication")
    assert release.publish(shop.settings) == []
    assert (shop.sql("select * from release.current"), shop.sql("select count(*) from release.publication")) == before


def test_a_reader_has_bi_and_nothing_else(shop):
    shop.stock(BREAD)
    shop.publish()
    for statement in (
        "select * from marts.shelf_stock",
        "select * from history.shelf_stock",
        "select * from ops.batch",
        "update release.current set release_id = 1",
        "create table bi.mine (a integer)",
    ):
        with db.connect(shop.settings) as conn:
            db.as_bi_role(conn)
            with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction)):
                conn.execute(statement)


def _hash(shop) -> dict[str, str]:
    with db.connect(shop.settings) as conn:
        return release.content_hash(conn)
