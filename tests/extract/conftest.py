"""A back end with data, and a warehouse that it is extracted into."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.back_end import NOW, TOKEN, served
from tests.load.conftest import empty, loading_database

from memberhouse import db
from memberhouse.extract import RESOURCES, Extraction, Patience, extract, watermark
from memberhouse.load import LoadReport, load_landed
from memberhouse.settings import AppBackEnd as Address
from memberhouse.settings import Settings
from memberhouse.simulate.app_backend import AppBackEnd

QUICK = Patience(seconds=20, backoff=0.01, timeout=5, page_rows=10)
DAY = date(2026, 3, 2)


@pytest.fixture
def back_end() -> AppBackEnd:
    """A back end without a row, whose clock stands at `NOW` until it is moved."""
    return AppBackEnd(TOKEN, now=NOW)


@pytest.fixture
def address(back_end: AppBackEnd) -> Iterator[str]:
    with served(back_end) as url:
        yield url


@dataclass
class Road:
    """From a back end into a warehouse."""

    back_end: AppBackEnd
    settings: Settings
    landing: Path

    def extract(self, resource: str, day: date = DAY, patience: Patience = QUICK, **options: Any) -> Extraction:
        return extract(self.settings, self.landing, resource, day, patience=patience, **options)

    def load(self) -> LoadReport:
        return load_landed(self.settings, self.landing)

    def bring(self, *resources: str, day: date = DAY) -> LoadReport:
        """Extract and load."""
        for resource in resources:
            self.extract(resource, day)
        return self.load()

    def pass_time(self, **time: float) -> None:
        assert self.back_end.now
        self.back_end.now += timedelta(**time)

    def watermark(self, resource: str) -> Any:
        return watermark(self.settings, resource)

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        with db.connect(self.settings) as conn:
            return conn.execute(statement.encode()).fetchall()

    def rejected(self) -> list[tuple[Any, ...]]:
        return self.query("select reason_code, column_name from quarantine.rejected_row order by rejected_row_id")

    def held(self, resource: str) -> list[dict[str, Any]]:
        """The rows of the resource in the warehouse, the newest version of each key, as JSON by column."""
        feed = RESOURCES[resource]
        key, identity = ", ".join(feed.key), ", ".join(feed.identity)
        newest = f"{feed.version} desc nulls last," if feed.version else ""
        rows = self.query(
            f"select distinct on ({key}) to_jsonb(r) from (select r.* from raw.{feed.raw_table} as r"
            f" join ops.batch on batch_id = _batch_id where ops.batch.state = 'loaded') as r"
            f" order by {key}, {newest} {identity}"
        )
        return [row for (row,) in rows]

    def held_twice(self, resource: str) -> list[tuple[Any, ...]]:
        """Keys and versions that the warehouse has more than once."""
        feed = RESOURCES[resource]
        identity = ", ".join(feed.identity)
        return self.query(
            f"select {identity} from (select r.* from raw.{feed.raw_table} as r"
            f" join ops.batch on batch_id = _batch_id where ops.batch.state = 'loaded') as r"
            f" group by {identity} having count(*) > 1"
        )

    def served(self, resource: str) -> list[dict[str, Any]]:
        """The rows of the resource in the back end."""
        return [json.loads(row) for row in self.back_end.shelves[resource].current(self.back_end.moment())]

    def assert_same(self, resource: str, *columns: str) -> None:
        """The warehouse has what the back end has, once."""

        def told(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
            return sorted(tuple(str(row.get(column)) for column in columns) for row in rows)

        assert told(self.held(resource)) == told(self.served(resource))
        assert self.held_twice(resource) == []


@pytest.fixture(scope="session")
def _extract_database(server_home: Path) -> Settings:
    return loading_database(server_home, "extract")


@pytest.fixture
def road(tmp_path: Path, back_end: AppBackEnd, address: str, _extract_database: Settings) -> Road:
    settings = replace(empty(_extract_database), app=Address(address, TOKEN))
    landing = tmp_path / "landing"
    landing.mkdir()
    return Road(back_end, settings, landing)
