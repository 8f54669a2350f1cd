"""A warehouse for the tests that need one: a real Postgres, a fresh database a test, and the real sample.

`warehouse` is empty. `sample_until_the_eve` holds the sample up to 2017-12-30, published; a test gets its own copy.
`published_sample` holds all of it, published as of 2017-12-31, and is shared: read it only. `shop` is a warehouse of
one small mart, for the tests of how marts are built and released.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from functools import wraps
from itertools import count
from pathlib import Path
from typing import Any

import jinja2
import psycopg
import pytest
from dbt_common.tests import enable_test_caching
from psycopg import sql
from tests.shop import Shop
from xdist.scheduler import LoadScopeScheduling

from memberhouse import gate, release
from memberhouse import warehouse as building
from memberhouse.load import load_landed
from memberhouse.local import postgres
from memberhouse.settings import PROJECT_ROOT, Settings
from memberhouse.simulate import complete_journey

# of two processes on two cores
os.environ.setdefault("MEMBERHOUSE_DBT_THREADS", "2")

EVE = date(2017, 12, 30)
LAST_DAY = date(2017, 12, 31)

# Names of databases that are free again, and new ones. dbt keeps what it parsed in a state folder, for one database:
# one that has the name, and so the folder, of another that has gone need not be parsed for ten seconds.
_free: list[str] = []
_names = (f"test_{number}" for number in count(1))
_VAULT_KEY = "a key for tests, which is long enough"
_AIRFLOW = ("tests/end_to_end/", "tests/local/test_airflow.py")
# who asks for the sample in a warehouse, which takes more than a minute to get there
_SAMPLE = (
    "tests/dbt_project/test_marts_against_reference.py",
    "tests/dbt_project/test_unit_tests.py",
    "tests/faults/test_files_published.py",
    "tests/gate/",
    "tests/notebooks/",
    "tests/reports/test_weekly.py",
    "tests/warehouse/test_reruns.py",
)


class _ByFile(LoadScopeScheduling):
    """In two processes a file's tests stay together, because they share what was set up for them. So do all that run
    Airflow, one of it at a time, with all that need the sample, which is built once."""

    def _split_scope(self, nodeid: str) -> str:
        return "Airflow and the sample" if nodeid.startswith(_AIRFLOW + _SAMPLE) else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    return _ByFile(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What runs Airflow or needs the sample is the longest job: of two processes it is the first, and the many short
    ones without services are the last, so that both end together. Of one process Airflow is the last, because it takes
    processor time from whatever is tested beside it."""
    for item in items:
        if "_eve_database" in getattr(item, "fixturenames", ()) and not item.nodeid.startswith(_AIRFLOW + _SAMPLE):
            raise pytest.UsageError(
                f"{item.nodeid} needs the sample in a warehouse: add its file to _SAMPLE in {__file__}"
            )
    if hasattr(config, "workerinput"):
        items.sort(
            key=lambda item: (
                not item.nodeid.startswith(_AIRFLOW),
                not item.nodeid.startswith(_SAMPLE),
                item.get_closest_marker("services") is None,
            )
        )
    else:
        items.sort(key=lambda item: item.nodeid.startswith(_AIRFLOW))


@pytest.fixture(scope="session")
def server_home() -> Iterator[Path]:
    """The state folder of an embedded Postgres that lives as long as the test session."""
    # of the hundred builds that follow in this process: what was parsed and compiled once is kept
    enable_test_caching()
    if not hasattr(jinja2.Environment.compile, "__wrapped__"):
        jinja2.Environment.compile = _once_each_source(jinja2.Environment.compile)
    home = Path(tempfile.mkdtemp(prefix="memberhouse-tests-", dir=_in_memory()))
    home.chmod(0o755)
    url = postgres.ensure_running(home)
    with psycopg.connect(url, autocommit=True) as conn:
        # nothing here has to survive a power cut, and shared disks are slow at it
        conn.execute("alter system set fsync = off")
        conn.execute("alter system set max_wal_size = '256MB'")
        conn.execute("select pg_reload_conf()")
    yield home
    postgres.stop(home)
    shutil.rmtree(home)


def _once_each_source(compile_: Callable[..., Any]) -> Callable[..., Any]:
    """jinja's compiler, which is asked for the same 500 templates in each build."""
    compiled: dict[Any, Any] = {}

    @wraps(compile_)
    def once(self: jinja2.Environment, source: Any, *arguments: Any, **named: Any) -> Any:
        key = (type(self), *sorted(self.extensions), source, *arguments, *sorted(named.items()))
        if key not in compiled:
            compiled[key] = compile_(self, source, *arguments, **named)
        return compiled[key]

    return once


def _in_memory() -> str | None:
    """A folder in memory, where there is plenty of it: builds of little data make and remove many small files."""
    folder, memory = Path("/dev/shm"), Path("/proc/meminfo")
    if not (folder.is_dir() and memory.exists()):
        return None
    kilobytes = dict(line.split()[:2] for line in memory.read_text(encoding="utf-8").splitlines())["MemAvailable:"]
    return str(folder) if min(shutil.disk_usage(folder).free, int(kilobytes) * 1024) > 16 * 2**30 else None


@pytest.fixture
def warehouse(server_home: Path) -> Iterator[Settings]:
    """An empty database of its own."""
    with new_warehouse(server_home) as settings:
        yield settings


@pytest.fixture
def shop(warehouse: Settings) -> Shop:
    """One small mart in an empty database, and a dbt project of its own that has another shop's place."""
    return Shop(warehouse, warehouse.home / "shop")


@pytest.fixture(scope="session")
def sample_landing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real sample as landed batches. Shared: copy what you change."""
    out = tmp_path_factory.mktemp("sample") / "landing"
    complete_journey.write_sample(out)
    return out


@pytest.fixture(scope="session")
def _eve_database(server_home: Path, sample_landing: Path) -> Settings:
    settings = _new(server_home)
    load_landed(settings, sample_landing, until=EVE)
    _release(settings, EVE)
    return settings


@pytest.fixture
def sample_until_the_eve(_eve_database: Settings) -> Iterator[Settings]:
    """A copy of its own of the sample up to 2017-12-30, published."""
    settings = copy_of(_eve_database)
    yield settings
    _drop(settings)


@pytest.fixture(scope="session")
def published_sample(_eve_database: Settings, sample_landing: Path) -> Settings:
    """The whole sample, published as of 2017-12-31. Shared: read it only."""
    settings = copy_of(_eve_database)
    load_landed(settings, sample_landing)
    _release(settings, LAST_DAY)
    return settings


@contextmanager
def new_warehouse(server_home: Path, project_root: Path = PROJECT_ROOT) -> Iterator[Settings]:
    """An empty database while it is needed."""
    settings = _new(server_home, project_root)
    yield settings
    _drop(settings)


def copy_of(settings: Settings) -> Settings:
    """A database with the same content, on the same server."""
    server, source = (settings.database_url or "").rsplit("/", 1)
    name = _free.pop() if _free else next(_names)
    with psycopg.connect(f"{server}/postgres", autocommit=True) as conn:
        conn.execute(
            sql.SQL("create database {} template {} strategy file_copy").format(
                sql.Identifier(name), sql.Identifier(source)
            )
        )
    return _settings(settings.home.parent / name, f"{server}/{name}")


def _new(server_home: Path, project_root: Path = PROJECT_ROOT) -> Settings:
    name = _free.pop() if _free else next(_names)
    return _settings(server_home / "homes" / name, postgres.create_database(server_home, name), project_root)


def _drop(settings: Settings) -> None:
    server, name = (settings.database_url or "").rsplit("/", 1)
    with psycopg.connect(f"{server}/postgres", autocommit=True) as conn:
        conn.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))
    _free.append(name)


def _settings(home: Path, url: str, project_root: Path = PROJECT_ROOT) -> Settings:
    home.mkdir(parents=True, exist_ok=True)
    # one for all, because a copy of a database has the tokens of its original
    (home / "vault.key").write_text(_VAULT_KEY, encoding="utf-8")
    return Settings(home=home, database_url=url, project_root=project_root)


def _release(settings: Settings, as_of: date) -> None:
    building.build(settings, as_of)
    for verdict in gate.evaluate(settings):
        assert verdict.verdict == "passed", verdict.reason
    release.publish(settings)
