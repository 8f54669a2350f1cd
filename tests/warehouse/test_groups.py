"""Two consistency groups: what holds one up leaves the other alone, and nothing that came meanwhile is missed."""

from __future__ import annotations

import pytest
from tests.shop import Shop

from memberhouse import db, gate, ledger, release
from memberhouse.errors import MemberhouseError

pytestmark = pytest.mark.services

BREAD, MILK, TEA = ("A", "bread", 3), ("A", "milk", 5), ("B", "tea", 7)


@pytest.fixture
def two_groups(shop: Shop) -> Shop:
    """`shelf_stock` of the group core and `shelf_total` of the group programme, published once."""
    shop.declare_total()
    shop.stock(BREAD, TEA)
    shop.publish()
    return shop


def totals(shop: Shop, release_id: int | None = None) -> list[tuple[str, int]]:
    return shop.read(release_id, "shelf, units", "shelf_total")


def test_a_held_group_stays_and_the_other_goes_on(two_groups: Shop) -> None:
    two_groups.stock(BREAD, MILK, TEA)
    second = two_groups.publish(held="programme")
    assert two_groups.read() == [BREAD, MILK, TEA]
    assert totals(two_groups) == [("A", 3), ("B", 7)]
    assert release.shown(two_groups.settings) == {"core": second, "programme": second - 1}


def test_what_came_while_a_group_was_held_is_computed_when_it_no_longer_is(two_groups: Shop) -> None:
    """Shelf A changed in a release that only core published: its total must change in the next one, which alone saw
    shelf B change."""
    two_groups.stock(BREAD, MILK, TEA)
    two_groups.publish(held="programme")
    two_groups.stock(BREAD, MILK, ("B", "tea", 8))
    third = two_groups.publish()
    assert totals(two_groups) == [("A", 8), ("B", 8)]
    assert two_groups.sql("select full_because from release.release where release_id = %s", [third]) == [(None,)]
    before = two_groups.sql("select * from history.shelf_total order by 1, 2")
    two_groups.publish(full_refresh=True)
    assert two_groups.sql("select * from history.shelf_total order by 1, 2") == before


def test_a_release_that_was_published_in_one_group_only_names_the_one_before_it_in_the_other(two_groups: Shop) -> None:
    two_groups.stock(BREAD, MILK, TEA)
    second = two_groups.publish(held="programme")
    two_groups.stock(MILK, TEA)
    third = two_groups.publish(held="core")
    assert (two_groups.read(second), totals(two_groups, second)) == ([BREAD, MILK, TEA], [("A", 3), ("B", 7)])
    assert (two_groups.read(third), totals(two_groups, third)) == ([BREAD, MILK, TEA], [("A", 5), ("B", 7)])
    assert totals(two_groups, second - 1) == [("A", 3), ("B", 7)]


def test_a_group_answers_nothing_for_a_release_before_its_first(shop: Shop) -> None:
    shop.stock(BREAD)
    first = shop.publish()
    shop.declare_total()
    shop.publish()
    assert totals(shop) == [("A", 3)]
    assert totals(shop, first) == []


def test_a_new_group_is_computed_whole_until_it_is_published(shop: Shop) -> None:
    shop.stock(BREAD, TEA)
    shop.publish()
    shop.declare_total()
    shop.publish(held="programme")
    shop.publish()
    because = shop.sql("select full_because from release.release order by release_id")
    assert because == [
        ("nothing is published yet",),
        ("the dbt project changed",),
        ("nothing of the group programme is published yet",),
    ]
    assert totals(shop) == [("A", 3), ("B", 7)]


def test_a_rollback_of_one_group_pins_that_one(two_groups: Shop) -> None:
    first = release.shown(two_groups.settings)["core"]
    two_groups.stock(BREAD, MILK, TEA)
    second = two_groups.publish()
    release.rollback(two_groups.settings, group="programme")
    assert release.shown(two_groups.settings) == {"core": second, "programme": first}
    third = two_groups.build()
    for group in ("core", "programme"):
        two_groups.judge(third, group=group)
    with pytest.raises(release.PublishRefused, match=f"programme is pinned at release {first}.*Published: core"):
        release.publish(two_groups.settings)
    assert release.shown(two_groups.settings) == {"core": third, "programme": first}
    release.publish(two_groups.settings, groups=["programme"], unpin=True)
    assert release.shown(two_groups.settings) == {"core": third, "programme": third}


def test_a_rollback_of_all_goes_back_to_one_state(two_groups: Shop) -> None:
    """The group that was held in the newest release has that state already, and is pinned there with the other."""
    first = release.shown(two_groups.settings)["core"]
    two_groups.stock(BREAD, MILK, TEA)
    second = two_groups.publish(held="programme")
    moved = release.rollback(two_groups.settings)
    assert [str(movement) for movement in moved] == [
        f"core: release {first} (before: release {second})",
        f"programme: stays at release {first}",
    ]
    assert two_groups.sql("select distinct is_pinned from release.current") == [(True,)]
    with pytest.raises(release.PublishRefused, match="before"):
        release.rollback(two_groups.settings, group="programme")


def test_no_rollback_takes_a_group_forward(two_groups: Shop) -> None:
    first = release.shown(two_groups.settings)["core"]
    for stock in ((BREAD, MILK, TEA), (BREAD, TEA), (TEA,)):
        two_groups.stock(*stock)
        newest = two_groups.publish()
    release.rollback(two_groups.settings, first, group="programme")
    release.rollback(two_groups.settings)
    assert release.shown(two_groups.settings) == {"core": newest - 1, "programme": first}
    with pytest.raises(release.PublishRefused, match="see an older release than"):
        release.rollback(two_groups.settings, newest, group="programme")


def test_a_pin_at_the_newest_release_is_lifted(two_groups: Shop) -> None:
    newest = release.shown(two_groups.settings)["core"]
    release.rollback(two_groups.settings, newest)
    assert two_groups.sql("select distinct is_pinned from release.current") == [(True,)]
    assert release.publish(two_groups.settings, unpin=True) == []
    assert two_groups.sql("select distinct is_pinned from release.current") == [(False,)]


def test_what_is_made_of_facts_that_were_not_judged_is_not_judged_either(judged: Shop) -> None:
    judged.build()
    with pytest.raises(MemberhouseError, match="was not judged for the group core, of whose facts programme is made"):
        gate.evaluate(judged.settings, group="programme")
    verdicts = gate.evaluate(judged.settings)
    assert [verdict.group_name for verdict in verdicts] == ["core", "programme"]


def test_only_groups_with_marts_in_the_project_are_judged(shop: Shop) -> None:
    shop.stock(BREAD)
    shop.build()
    assert [verdict.group_name for verdict in gate.evaluate(shop.settings)] == ["core"]


SUITES = """
import great_expectations.expectations as gxe
GROUP = "{group}"
SUITES = {{"marts.{table}": [gxe.ExpectColumnValuesToNotBeNull(column="shelf", severity="critical")]}}
"""


@pytest.fixture
def judged(two_groups: Shop) -> Shop:
    folder = two_groups.settings.project_root / "expectations"
    folder.mkdir()
    for group, table in (("core", "shelf_stock"), ("programme", "shelf_total")):
        (folder / f"{group}.py").write_text(SUITES.format(group=group, table=table))
    return two_groups


def fed_by(shop: Shop, *feeds: str) -> None:
    """The total says by which raw tables it is fed, and there are no rows for it."""
    model = shop.settings.project_root / "dbt_project" / "models" / "shelf_total.sql"
    text = model.read_text().replace("unique_key", f"fed_by={list(feeds)}, unique_key")
    model.write_text(text.replace("group by", "and false group by"))


def programme(shop: Shop) -> gate.Verdict:
    shop.build()
    return {verdict.group_name: verdict for verdict in gate.evaluate(shop.settings)}["programme"]


def test_a_mart_that_was_never_fed_proves_nothing_and_holds_nothing_up(judged: Shop) -> None:
    fed_by(judged, "app__points_entries")
    alone = programme(judged)
    assert (alone.verdict, alone.reason) == ("held", "programme: nothing of the group was ever fed.")

    beside = judged.settings.project_root / "dbt_project" / "models" / "shelf_list.sql"
    beside.write_text(
        "{{ config(unique_key=['shelf'], consistency_group='programme') }}"
        " select distinct shelf from {{ ref('shelf_stock') }}"
    )
    (beside.parent / "_list.yml").write_text("models: [{name: shelf_list, columns: [{name: shelf, data_type: text}]}]")
    verdict = programme(judged)
    assert (verdict.verdict, verdict.reason) == ("passed", "2 checks passed; not fed: shelf_total")

    with db.connect(judged.settings) as conn:
        conn.execute(
            "insert into ops.batch (source, feed, business_date, store_id, batch_name, state, rows_in, rows_loaded)"
            " values ('app', 'points_entries', '2026-03-02', 'all', 'b', 'superseded', 1, 1)"
        )
    verdict = programme(judged)
    assert verdict.reason == "marts.shelf_total: it has no rows, though app__points_entries was fed."


@pytest.mark.parametrize(
    ("feeds", "reason"),
    [((), "an empty mart is never published"), (("app__point_entries",), "“app__point_entries”, by which it says")],
)
def test_an_empty_mart_that_says_nothing_or_nonsense_of_its_feeds_is_held(
    judged: Shop, feeds: tuple[str, ...], reason: str
) -> None:
    fed_by(judged, *feeds)
    verdict = programme(judged)
    assert verdict.verdict == "held"
    assert reason in verdict.reason


def test_a_held_group_is_told_until_that_group_passes(judged: Shop) -> None:
    fed_by(judged)
    judged.build()
    for group in ("core", "programme"):
        gate.evaluate(judged.settings, group=group)
    release.publish(judged.settings, groups=["core"])
    trouble = ledger.last_trouble(judged.settings)
    assert trouble is not None
    assert (trouble.step, trouble.state) == ("gate", "held")
    assert "shelf_total" in trouble.summary
    assert judged.sql("select count(*) from ops.alert where message like '%%for the group programme%%'") == [(1,)]
    (judged.settings.project_root / "dbt_project" / "models" / "shelf_total.sql").unlink()
    (judged.settings.project_root / "dbt_project" / "models" / "_total.yml").unlink()
    judged.declare_total()
    judged.build()
    gate.evaluate(judged.settings, group="core")
    assert ledger.last_trouble(judged.settings) is not None
    gate.evaluate(judged.settings, group="programme")
    assert ledger.last_trouble(judged.settings) is None


def test_a_group_that_left_the_project_is_not_judged_and_stays_as_it_was(two_groups: Shop) -> None:
    models = two_groups.settings.project_root / "dbt_project" / "models"
    for name in ("shelf_total.sql", "restocked.sql", "_total.yml"):
        (models / name).unlink()
    two_groups.stock(MILK)
    second = two_groups.build()
    two_groups.judge(second)
    release.publish(two_groups.settings)
    assert totals(two_groups) == [("A", 3), ("B", 7)]
    two_groups.build()
    assert two_groups.sql("select full_because from release.release order by release_id desc limit 1") == [(None,)]
