"""A dbt project of one versioned mart on one input table, built by the real macros on a real Postgres."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from memberhouse import db, release
from memberhouse import warehouse as building
from memberhouse.settings import PROJECT_ROOT, Settings

DAY = date(2026, 3, 2)

PROJECT = """
name: tiny
version: "1.0.0"
profile: memberhouse
models:
  tiny:
    +schema: marts
    +materialized: versioned
    +consistency_group: core
    +contract: {enforced: true}
    +persist_docs: {relation: true, columns: true}
    touched:
      +schema: intermediate
      +materialized: table
      +contract: {enforced: false}
"""
SOURCES = """
version: 2
sources:
  - name: public
    tables: [{name: shelf}, {name: touched}]
  - name: release
    tables: [{name: building}]
"""
MODEL = """
{{{{ config(unique_key={key}{scope}) }}}}
select {columns} from {{{{ source('public', 'shelf') }}}}
{where}
"""
SCHEMA = """
version: 2
models:
  - name: shelf_stock
    description: One row per shelf and sku.
    columns:
{columns}
"""
# A mart of another consistency group, computed for the shelves whose stock changed.
TOTAL = """
{{ config(
    unique_key=['shelf'], consistency_group='programme', scope={'columns': ['shelf'], 'relation': 'restocked'},
) }}
select shelf, sum(units)::integer as units from {{ ref('shelf_stock') }}
where {{ in_scope('shelf', 'restocked') }}
group by shelf
"""
RESTOCKED = """
{{ config(materialized='table', schema='intermediate', contract={'enforced': false}) }}
with changed as ({{ changes('shelf_stock', ['shelf']) }})
select distinct shelf from changed
"""
TOTAL_SCHEMA = """
version: 2
models:
  - name: shelf_total
    description: One row per shelf.
    columns: [{name: shelf, data_type: text}, {name: units, data_type: integer}]
"""
COLUMNS = {"shelf": "text", "sku": "text", "units": "integer"}


class Shop:
    """Shelves in a table, a mart of them, and the steps from one to the next release.

    Of a shop that was in the folder before only what dbt parsed is kept: it parses what differs.
    """

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = replace(settings, home=folder / "home", project_root=folder)
        parsed = self.settings.home / "dbt" / "target" / "partial_parse.msgpack"
        before = parsed.read_bytes() if parsed.exists() else None
        shutil.rmtree(folder, ignore_errors=True)
        if before:
            parsed.parent.mkdir(parents=True)
            parsed.write_bytes(before)
        project = folder / "dbt_project"
        shutil.copytree(PROJECT_ROOT / "dbt_project" / "macros", project / "macros")
        (project / "macros" / "parameter.sql").unlink()
        (project / "macros" / "active_rows.sql").unlink()
        shutil.copy(PROJECT_ROOT / "dbt_project" / "profiles.yml", project)
        (project / "models").mkdir()
        (project / "dbt_project.yml").write_text(PROJECT)
        (project / "models" / "_sources.yml").write_text(SOURCES)
        (project / "models" / "touched.sql").write_text("select shelf from {{ source('public', 'touched') }}")
        self._models = project / "models"
        self.declare(COLUMNS)
        with db.connect(self.settings) as conn:
            db.ensure_schema(conn)
            conn.execute("create table shelf (shelf text, sku text, units integer)")
            conn.execute("create table touched (shelf text)")

    def declare(self, columns: dict[str, str], *, select: str | None = None, scoped: bool = False) -> None:
        """(Re)write the model: its columns, what it selects, and whether it computes touched shelves only."""
        scope = ", scope={'columns': ['shelf'], 'relation': 'touched'}" if scoped else ""
        where = "where shelf in (select shelf from {{ ref('touched') }})" if scoped else ""
        (self._models / "shelf_stock.sql").write_text(
            MODEL.format(key=["shelf", "sku"], scope=scope, columns=select or ", ".join(columns), where=where)
        )
        entries = "\n".join(f"      - {{name: {name}, data_type: '{kind}'}}" for name, kind in columns.items())
        (self._models / "_models.yml").write_text(SCHEMA.format(columns=entries))

    def declare_total(self) -> None:
        """Write a second mart, `shelf_total`, of the group `programme`."""
        (self._models / "shelf_total.sql").write_text(TOTAL)
        (self._models / "restocked.sql").write_text(RESTOCKED)
        (self._models / "_total.yml").write_text(TOTAL_SCHEMA)

    def stock(self, *rows: tuple[str, str, int]) -> None:
        """What lies on the shelves now."""
        with db.connect(self.settings) as conn:
            conn.execute("truncate shelf")
            with conn.cursor() as cursor:
                cursor.executemany("insert into shelf values (%s, %s, %s)", rows)

    def touch(self, *shelves: str) -> None:
        with db.connect(self.settings) as conn:
            conn.execute("truncate touched")
            with conn.cursor() as cursor:
                cursor.executemany("insert into touched values (%s)", [(shelf,) for shelf in shelves])

    def build(self, *, full_refresh: bool = False) -> int:
        return building.build(self.settings, DAY, full_refresh=full_refresh)

    def judge(self, release_id: int, verdict: str = "passed", group: str = "core") -> None:
        with db.connect(self.settings) as conn:
            conn.execute(
                "insert into release.verdict (release_id, group_name, verdict, reason, checks_evaluated,"
                " checks_failed) values (%s, %s, %s, 'by hand', 1, %s)",
                (release_id, group, verdict, int(verdict == "held")),
            )

    def publish(self, *, full_refresh: bool = False, held: str | None = None) -> int:
        """Build, pass and publish a release; held: the group for which it does not pass."""
        release_id = self.build(full_refresh=full_refresh)
        groups = [name for (name,) in self.sql("select distinct group_name from release.versioned_table")]
        for group in groups:
            self.judge(release_id, "held" if group == held else "passed", group)
        release.publish(self.settings, groups=[group for group in groups if group != held], unpin=True)
        return release_id

    def read(
        self, release_id: int | None = None, columns: str = "shelf, sku, units", table: str = "shelf_stock"
    ) -> list[tuple[Any, ...]]:
        """What a BI reader sees, now or as published in a release."""
        with db.connect(self.settings) as conn:
            db.as_bi_role(conn)
            if release_id is not None:
                conn.execute("select set_config('memberhouse.release', %s, false)", (str(release_id),))
            return sorted(conn.execute(f"select {columns} from bi.{table}").fetchall())

    def history(self) -> list[tuple[Any, ...]]:
        """Every stored row with the releases it is valid for."""
        return self.sql(
            "select shelf, sku, units, _from_release, _to_release from history.shelf_stock order by 1, 2, 4"
        )

    def sql(self, statement: str, parameters: Iterable[Any] = ()) -> list[tuple[Any, ...]]:
        with db.connect(self.settings) as conn:
            cursor = conn.execute(statement, list(parameters))
            return cursor.fetchall() if cursor.description else []
