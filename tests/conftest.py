"""A warehouse for the tests that need one: a real Postgres, a fresh database a test, and the real sample.

`warehouse` is empty. `sample_until_the_eve` holds the sample up to 2017-12-30, published; a test gets its own copy.
`published_sample` holds all of it, published as of 2017-12-31, and is shared: read it only.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from datetime import date
from itertools import count
from pathlib import Path

import psycopg
import pytest

from memberhouse import gate, release
from memberhouse import warehouse as building
from memberhouse.load import load_landed
from memberhouse.local import postgres
from memberhouse.settings import PROJECT_ROOT, Settings
from memberhouse.simulate import complete_journey

EVE = date(2017, 12, 30)
LAST_DAY = date(2017, 12, 31)

_numbers = count(1)


@pytest.fixture(scope="session")
def server_home() -> Iterator[Path]:
    """The state folder of an embedded Postgres that lives as long as the test session."""
    home = Path(tempfile.mkdtemp(prefix="memberhouse-tests-"))
    home.chmod(0o755)
    postgres.ensure_running(home)
    yield home
    postgres.stop(home)
    shutil.rmtree(home)


@pytest.fixture
def warehouse(server_home: Path) -> Settings:
    """An empty database of its own."""
    return _settings(server_home, postgres.create_database(server_home, f"test_{next(_numbers)}"))


@pytest.fixture(scope="session")
def sample_landing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real sample as landed batches. Shared: copy what you change."""
    out = tmp_path_factory.mktemp("sample") / "landing"
    complete_journey.write_sample(out)
    return out


@pytest.fixture(scope="session")
def _eve_database(server_home: Path, sample_landing: Path) -> Settings:
    settings = _settings(server_home, postgres.create_database(server_home, "sample_until_the_eve"))
    load_landed(settings, sample_landing, until=EVE)
    _release(settings, EVE)
    return settings


@pytest.fixture
def sample_until_the_eve(server_home: Path, _eve_database: Settings) -> Settings:
    """A copy of its own of the sample up to 2017-12-30, published."""
    return copy_of(_eve_database, f"test_{next(_numbers)}")


@pytest.fixture(scope="session")
def published_sample(_eve_database: Settings, sample_landing: Path) -> Settings:
    """The whole sample, published as of 2017-12-31. Shared: read it only."""
    settings = copy_of(_eve_database, "published_sample")
    load_landed(settings, sample_landing)
    _release(settings, LAST_DAY)
    return settings


def copy_of(settings: Settings, name: str) -> Settings:
    """A database with the same content, on the same server."""
    admin = settings.database_url.rsplit("/", 1)[0] + "/postgres"
    source = settings.database_url.rsplit("/", 1)[1]
    with psycopg.connect(admin, autocommit=True) as conn:
        conn.execute(
            psycopg.sql.SQL("create database {} template {} strategy file_copy").format(
                psycopg.sql.Identifier(name), psycopg.sql.Identifier(source)
            )
        )
    return _settings(settings.home, settings.database_url.rsplit("/", 1)[0] + f"/{name}")


def _settings(home: Path, url: str) -> Settings:
    return Settings(home=home, database_url=url, project_root=PROJECT_ROOT)


def _release(settings: Settings, as_of: date) -> None:
    building.build(settings, as_of)
    (verdict,) = gate.evaluate(settings)
    assert verdict.verdict == "passed", verdict.reason
    release.publish(settings)
