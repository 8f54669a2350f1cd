"""`memberhouse diff`: what changed from one release to another, either way."""

from __future__ import annotations

import csv
import io
import json

import pytest
from click.testing import CliRunner
from tests.shop import Shop

from memberhouse import cli, release
from memberhouse.errors import MemberhouseError

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def shop(server_home, tmp_path_factory) -> Shop:
    """Three releases: bread and milk change, tea goes, rice comes; then rice goes again and bread is as it was."""
    from memberhouse.local import postgres
    from memberhouse.settings import Settings

    url = postgres.create_database(server_home, "shop_of_differences")
    folder = tmp_path_factory.mktemp("differences")
    shop = Shop(Settings(home=folder, database_url=url, project_root=folder), folder)
    view = shop.settings.project_root / "dbt_project" / "models" / "shelf_list.sql"
    view.write_text(
        "{{ config(materialized='published_view', unique_key=['shelf']) }}"
        "select shelf, sum(units) as units from {{ ref('shelf_stock') }} group by shelf"
    )
    (view.parent / "_list.yml").write_text(
        "models: [{name: shelf_list, columns: [{name: shelf, data_type: text}, {name: units, data_type: bigint}]}]"
    )
    shop.declare_total()
    shop.stock(("A", "bread", 3), ("A", "milk", 5), ("B", "tea", 7), ("C", "salt", 1))
    shop.publish()
    shop.stock(("A", "bread", 4), ("A", "milk", 0), ("B", "rice", 7), ("C", "salt", 1))
    shop.publish(held="programme")
    shop.stock(("A", "bread", 3), ("A", "milk", 6), ("C", "salt", 1))
    shop.publish()
    return shop


def told(differences: list[release.TableDifference]) -> list[str]:
    return [line for difference in differences for line in map(str, [difference, *difference.cells])]


def test_rows_that_came_and_went_are_counted_and_changed_cells_are_told(shop: Shop) -> None:
    assert told(release.diff(shop.settings, 1, 2)) == [
        "shelf_stock: 1 rows came, 1 went, 2 changed",
        "shelf=A sku=bread  units: 3 → 4",
        "shelf=A sku=milk  units: 5 → 0",
        "shelf_list: 0 rows came, 0 went, 1 changed",
        "shelf=A  units: 8 → 4",
    ]


def test_the_other_way_round_is_the_reverse(shop: Shop) -> None:
    assert told(release.diff(shop.settings, 2, 1, table="shelf_stock")) == [
        "shelf_stock: 1 rows came, 1 went, 2 changed",
        "shelf=A sku=bread  units: 4 → 3",
        "shelf=A sku=milk  units: 0 → 5",
    ]


def test_what_came_and_went_in_between_is_no_difference(shop: Shop) -> None:
    assert told(release.diff(shop.settings, 1, 3, table="shelf_stock")) == [
        "shelf_stock: 0 rows came, 1 went, 1 changed",
        "shelf=A sku=milk  units: 5 → 6",
    ]
    assert [str(table) for table in release.diff(shop.settings, 1, 3, table="shelf_total")] == [
        "shelf_total: 0 rows came, 1 went, 1 changed"
    ]
    assert release.diff(shop.settings, 3, 3) == []


def test_a_limit_is_one_of_cells_and_counts_stay(shop: Shop) -> None:
    (stock,) = release.diff(shop.settings, 1, 2, table="shelf_stock", limit=1)
    assert (stock.changed, len(stock.cells)) == (2, 1)
    (stock,) = release.diff(shop.settings, 1, 2, table="shelf_stock", limit=None)
    assert len(stock.cells) == 2


@pytest.mark.parametrize(
    ("releases", "table", "message"),
    [((1, 9), None, "Release 9 can't be compared"), ((1, 2), "shelf", "no published table 'shelf'")],
)
def test_what_is_not_there_is_refused_by_name(shop: Shop, releases: tuple[int, int], table: str, message: str) -> None:
    with pytest.raises(MemberhouseError, match=message):
        release.diff(shop.settings, *releases, table=table)


def test_the_command_tells_it_as_text_csv_and_json(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", shop.settings.database_url or "")
    monkeypatch.setenv("MEMBERHOUSE_HOME", str(shop.settings.home))

    def say(*arguments: str) -> str:
        result = CliRunner().invoke(cli.cli, ["diff", *arguments, "--table", "shelf_stock"])
        assert result.exit_code == 0, result.output
        return result.output

    assert say("1", "2").splitlines()[:2] == [
        "shelf_stock: 1 rows came, 1 went, 2 changed",
        "  shelf=A sku=bread  units: 3 → 4",
    ]
    assert say("2", "2") == "Releases 2 and 2 answer alike.\n"
    (row, _) = csv.DictReader(io.StringIO(say("1", "2", "--format", "csv")))
    assert (row["table_name"], json.loads(row["grain_key"]), row["old_value"], row["new_value"]) == (
        "shelf_stock",
        {"shelf": "A", "sku": "bread"},
        "3",
        "4",
    )
    (table,) = json.loads(say("1", "2", "--format", "json"))
    assert (table["came"], table["went"], table["cells"][1]["column"]) == (1, 1, "units")
