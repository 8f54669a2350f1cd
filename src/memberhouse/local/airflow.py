"""Airflow on this machine: its four components on the embedded Postgres (or DATABASE_URL's server).

Under ``<home>/airflow``, which only its owner can enter::

    logs/<component>.log    what each component says; logs/tasks/ has a file a task
    run/<component>.json    who it is: pid, start time, what it was started with
    passwords.json          of the UI's account ``admin``
    secrets.json            generated once: the fernet key and the keys that sign tokens
    port                    of the UI and its API, on 127.0.0.1, chosen once

Airflow may run as root or not; tasks run as the account that started it.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import os
import secrets
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from memberhouse.errors import MemberhouseError
from memberhouse.local import postgres, processes
from memberhouse.local.files import log_end, write_private
from memberhouse.local.processes import Program
from memberhouse.settings import Settings

HOST = "127.0.0.1"
ADMIN = "admin"
DATABASE = "airflow"

# In the home: the environment variables that its data set needs, as a JSON object; they go before the caller's.
ENVIRONMENT_FILE = "environment.json"

# The name in Airflow's health answer; None: it is the one that answers.
COMPONENTS: Mapping[str, str | None] = {
    "api-server": None,
    "scheduler": "scheduler",
    "dag-processor": "dag_processor",
    "triggerer": "triggerer",
}

# How many resources of the app's back end are extracted at once.
APP_POOL = {"name": "app_backend", "slots": 2, "description": "requests to the app's back end"}

# How each is started. The logs of tasks are files here: nobody needs to serve them.
_COMMANDS = {
    "api-server": ["airflow", "api-server"],
    "scheduler": ["memberhouse.local.preload", "scheduler", "--skip-serve-logs"],
    "dag-processor": ["airflow", "dag-processor"],
    "triggerer": ["airflow", "triggerer", "--skip-serve-logs"],
}
_PORTS = range(8_080, 15_000)
_HEALTHY_TIMEOUT = 180.0  # seconds
_STOP_PATIENCE = 15.0  # seconds for running tasks to end; then they are killed, and retried after the start

Progress = Callable[[str], None]


def environment(
    settings: Settings, database: str, port: int, keys: Mapping[str, str], inherited: Mapping[str, str]
) -> dict[str, str]:
    """The whole configuration of the local Airflow, as environment variables.

    database: libpq conninfo of Airflow's own database. inherited: the caller's environment; Airflow
    settings in it belong to some other Airflow and are left out.
    """
    folder = settings.home / "airflow"
    of_data_set = settings.home / ENVIRONMENT_FILE
    kept = {name: value for name, value in inherited.items() if not name.startswith(("AIRFLOW_", "_AIRFLOW"))}
    landing = kept.get("MEMBERHOUSE_LANDING")
    if landing and "://" not in landing:
        kept["MEMBERHOUSE_LANDING"] = str(Path(landing).absolute())
    airflow: dict[str, dict[str, object]] = {
        "CORE": {
            "DAGS_FOLDER": settings.project_root / "dags",
            "LOAD_EXAMPLES": False,
            "DAGS_ARE_PAUSED_AT_CREATION": False,
            "EXECUTOR": "LocalExecutor",
            # Two cores: a build, and beside it an ingest or a report.
            "PARALLELISM": 4,
            "EXECUTION_API_SERVER_URL": f"http://{HOST}:{port}/execution/",
            "FERNET_KEY": keys["fernet"],
            "SIMPLE_AUTH_MANAGER_ALL_ADMINS": False,
            "SIMPLE_AUTH_MANAGER_USERS": f"{ADMIN}:admin",
            "SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": folder / "passwords.json",
        },
        "DATABASE": {
            "SQL_ALCHEMY_CONN": _sqlalchemy_url(database, "psycopg2"),
            "SQL_ALCHEMY_CONN_ASYNC": _sqlalchemy_url(database, "psycopg"),
            # `up` migrates when it is needed; four processes need not look again.
            "CHECK_MIGRATIONS": False,
        },
        "LOGGING": {
            "BASE_LOG_FOLDER": folder / "logs" / "tasks",
            "DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY": folder / "logs" / "parsing",
            "COLORED_CONSOLE_LOG": False,
            # They would fill the logs with a line a request, and hundreds a gate.
            "NAMESPACE_LEVELS": "http.access=WARNING httpx=WARNING great_expectations=WARNING",
        },
        "API": {
            "HOST": HOST,
            "PORT": port,
            "BASE_URL": f"http://{HOST}:{port}",
            "WORKERS": 1,
            "SECRET_KEY": keys["api"],
            "EXPOSE_CONFIG": False,
        },
        "API_AUTH": {"JWT_SECRET": keys["jwt"]},
        "SCHEDULER": {
            # Seconds between looks at what is due: a chain of short tasks waits for it at each link.
            "SCHEDULER_IDLE_SLEEP_TIME": 0.3,
            # A task whose worker was killed is retried after this many seconds, not after five minutes.
            "TASK_INSTANCE_HEARTBEAT_TIMEOUT": 60,
        },
        "DAG_PROCESSOR": {
            # Four files that seldom change: parsing them all the time costs half a core.
            "MIN_FILE_PROCESS_INTERVAL": 120,
            "REFRESH_INTERVAL": 60,
            "PARSING_PROCESSES": 1,
        },
    }
    return {
        **kept,
        "AIRFLOW_HOME": str(folder),
        **{
            f"AIRFLOW__{section}__{option}": str(value)
            for section, options in airflow.items()
            for option, value in options.items()
        },
        "MEMBERHOUSE_HOME": str(settings.home),
        "MEMBERHOUSE_PROJECT": str(settings.project_root),
        **({"DATABASE_URL": settings.database_url} if settings.database_url else {}),
        **({"MEMBERHOUSE_ALERT_WEBHOOK": settings.alert_webhook} if settings.alert_webhook else {}),
        **(json.loads(of_data_set.read_text()) if of_data_set.exists() else {}),
        # What a component said last stands last in its log, also when it ends.
        "PYTHONUNBUFFERED": "1",
        # Nothing phones home. (This Airflow has no usage reports to switch off.)
        "DO_NOT_TRACK": "1",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "GX_ANALYTICS_ENABLED": "false",
    }


@dataclass(frozen=True)
class Component:
    """One of Airflow's programs. state: ``up``, ``down``, or ``unwell`` (it runs, but no heartbeat yet)."""

    name: str
    state: str
    pid: int | None
    log: Path


@dataclass(frozen=True)
class Status:
    """What is known about a home's Airflow. As text: a few lines for a person."""

    components: tuple[Component, ...]
    url: str | None
    password_file: Path

    @property
    def healthy(self) -> bool:
        """Whether every component is up."""
        return all(component.state == "up" for component in self.components)

    def __str__(self) -> str:
        if all(component.state == "down" for component in self.components):
            return "Airflow: down"
        lines = [
            f"Airflow: {'up' if self.healthy else 'not healthy'}, {self.url},"
            f" account {ADMIN}, password in {self.password_file}"
        ]
        for component in self.components:
            pid = f", pid {component.pid}" if component.pid else ""
            log = "" if component.state == "up" else f", log {component.log}"
            lines.append(f"  {component.name:<14}{component.state}{pid}{log}")
        if not self.healthy:
            lines.append("  What to do: `memberhouse up --airflow` starts what is down.")
        return "\n".join(lines)


def up(settings: Settings, progress: Progress | None = None) -> Status:
    """Start what is not running of Airflow, wait until all of it is healthy, and say where it is.

    Components that run with the present settings are left alone; leftovers of killed ones are removed
    first. Raises MemberhouseError with the end of a component's log when one does not come up.
    """
    tell = progress or (lambda line: None)
    place = _Place(settings)
    with place.lock():
        database = _database(settings)
        env = environment(settings, database, place.port(), place.secrets(), os.environ)
        fingerprint = hashlib.sha256(json.dumps(sorted(_told_by_us(env).items())).encode()).hexdigest()
        _migrate(place, database, env, tell)
        started = [name for name in COMPONENTS if not place.runs(name, fingerprint)]
        _stop(place, started)
        for name in started:
            place.start(name, env, fingerprint)
        if started:
            tell(f"Airflow: starting {', '.join(started)}")
        _wait_until_healthy(place, started, tell)
        _ensure_pool(Api(settings), APP_POOL)
    return status(settings)


def _ensure_pool(api: Api, pool: Mapping[str, Any]) -> None:
    """Make the pool if it is missing: a task whose pool is not there never starts."""
    try:
        api.get(f"pools/{pool['name']}")
    except ApiError as error:
        if error.code != 404:
            raise
        api.post("pools", pool)


def down(settings: Settings) -> Status:
    """Stop all of Airflow. Fine when it is down. Running tasks get a few seconds to end."""
    place = _Place(settings)
    if any(place.program(name) for name in COMPONENTS):
        with place.lock():
            _stop(place, COMPONENTS)
    return status(settings)


def status(settings: Settings) -> Status:
    """Which components run, judged by their processes and by Airflow's own health answer."""
    place = _Place(settings)
    health = place.health()
    return Status(
        components=tuple(place.component(name, health) for name in COMPONENTS),
        url=place.url() if place.port_file.exists() else None,
        password_file=place.password_file,
    )


class Api:
    """Airflow's REST API, signed in as the local administrator."""

    def __init__(self, settings: Settings) -> None:
        place = _Place(settings)
        self.url = place.url()
        self._token: str | None = None
        self._password = place.password()

    def get(self, path: str, **query: str | int) -> Any:
        """GET ``/api/v2/<path>``; the decoded answer. Raises MemberhouseError for any other answer."""
        return self._call("GET", f"/api/v2/{path}" + (f"?{urlencode(query)}" if query else ""))

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """POST ``body`` as JSON to ``/api/v2/<path>``; the decoded answer."""
        return self._call("POST", f"/api/v2/{path}", body)

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        headers = {"Content-Type": "application/json"}
        if path != "/auth/token":
            if self._token is None:
                account = {"username": ADMIN, "password": self._password}
                self._token = self._call("POST", "/auth/token", account)["access_token"]
            headers["Authorization"] = f"Bearer {self._token}"
        request = urllib.request.Request(  # noqa: S310 - the address is our own
            self.url + path,
            data=None if body is None else json.dumps(body).encode(),
            headers=headers,
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310  (the scheme is ours)
                return json.load(response)
        except urllib.error.HTTPError as error:
            raise ApiError(
                f"Airflow answered {error.code} to {method} {path.partition('?')[0]}:"
                f" {error.read().decode(errors='replace')[:500]}",
                "`memberhouse status --airflow` says how Airflow is; its logs say more.",
                code=error.code,
            ) from error
        except OSError as error:
            raise MemberhouseError(
                f"Airflow's API at {self.url} does not answer ({error}).",
                "`memberhouse up --airflow` starts what is down.",
            ) from error


class ApiError(MemberhouseError):
    """Airflow refused a request. code: the HTTP status."""

    def __init__(self, message: str, next_action: str, code: int) -> None:
        super().__init__(message, next_action)
        self.code = code


class _Place:
    """The files of one home's Airflow, and what they say about it."""

    def __init__(self, settings: Settings) -> None:
        self._folder = settings.home.absolute() / "airflow"
        self.port_file = self._folder / "port"
        self.password_file = self._folder / "passwords.json"
        self.migrated_file = self._folder / "migrated.json"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """One process at a time starts and stops. Makes the folders."""
        for folder in (self._folder, self._folder / "run", self._folder / "logs"):
            folder.mkdir(parents=True, exist_ok=True)
        self._folder.chmod(0o700)
        with (self._folder / "lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def port(self) -> int:
        if not self.port_file.exists():
            self.port_file.write_text(f"{postgres.free_port(_PORTS)}\n")
        return int(self.port_file.read_text())

    def url(self) -> str:
        return f"http://{HOST}:{self.port()}"

    def secrets(self) -> dict[str, str]:
        """The keys, and the administrator's password; generated at the first call."""
        file = self._folder / "secrets.json"
        if not file.exists():
            keys = {
                "fernet": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
                "jwt": secrets.token_urlsafe(64),
                "api": secrets.token_urlsafe(32),
            }
            write_private(file, json.dumps(keys))
        if not self.password_file.exists():
            write_private(self.password_file, json.dumps({ADMIN: secrets.token_urlsafe(16)}))
        loaded: dict[str, str] = json.loads(file.read_text())
        return loaded

    def password(self) -> str:
        password: str = json.loads(self.password_file.read_text())[ADMIN]
        return password

    def record(self, name: str) -> Path:
        return self._folder / "run" / f"{name}.json"

    def log(self, name: str) -> Path:
        return self._folder / "logs" / f"{name}.log"

    def program(self, name: str) -> Program | None:
        return Program.recorded(self.record(name))

    def runs(self, name: str, fingerprint: str) -> bool:
        """Whether the component runs, with these settings."""
        program = self.program(name)
        return program is not None and program.alive() and program.fingerprint == fingerprint

    def start(self, name: str, env: Mapping[str, str], fingerprint: str) -> Program:
        return processes.start(
            [sys.executable, "-m", *_COMMANDS[name]],
            env=env,
            log=self.log(name),
            record=self.record(name),
            fingerprint=fingerprint,
        )

    def health(self) -> dict[str, Any]:
        """Airflow's health answer; empty when the API server does not answer."""
        if not self.port_file.exists():
            return {}
        try:
            with urllib.request.urlopen(f"{self.url()}/api/v2/monitor/health", timeout=10) as response:  # noqa: S310  (the scheme is ours)
                answer: dict[str, Any] = json.load(response)
                return answer
        except (OSError, ValueError):
            return {}

    def component(self, name: str, health: Mapping[str, Any]) -> Component:
        program = self.program(name)
        if program is None or not program.alive():
            return Component(name, "down", None, self.log(name))
        key = COMPONENTS[name]
        if key is None:
            well = health.get("metadatabase", {}).get("status") == "healthy"
        else:
            # A heartbeat from before its start is the one of a predecessor that was killed.
            heartbeat = health.get(key, {}).get(f"latest_{key}_heartbeat")
            well = (
                health.get(key, {}).get("status") == "healthy"
                and heartbeat is not None
                and datetime.fromisoformat(heartbeat) >= datetime.fromtimestamp(program.started_at, UTC)
            )
        return Component(name, "up" if well else "unwell", program.pid, self.log(name))


def _stop(place: _Place, names: Iterable[str]) -> None:
    """Stop components at the same time, with all that they started, also when they were killed before."""
    programs = {name: program for name in names if (program := place.program(name))}
    if programs:
        with ThreadPoolExecutor(len(programs)) as pool:
            list(pool.map(lambda program: program.stop(_STOP_PATIENCE), programs.values()))
        for name in programs:
            place.record(name).unlink(missing_ok=True)


def _wait_until_healthy(place: _Place, started: Collection[str], tell: Progress) -> None:
    begun = time.monotonic()
    while True:
        health = place.health()
        components = [place.component(name, health) for name in COMPONENTS]
        if all(component.state == "up" for component in components):
            if started:
                tell(f"Airflow: healthy after {time.monotonic() - begun:.0f} s")
            return
        for component in components:
            if component.state == "down":
                raise MemberhouseError(
                    f"Airflow's {component.name} ended while starting. {log_end(component.log)}",
                    "The log's last lines name the cause; then `memberhouse up --airflow` again.",
                )
        if time.monotonic() - begun > _HEALTHY_TIMEOUT:
            slow = next(component for component in components if component.state != "up")
            raise MemberhouseError(
                f"Airflow's {slow.name} is not healthy after {_HEALTHY_TIMEOUT:.0f} s. {log_end(slow.log)}",
                "It was left running: look at `memberhouse status --airflow` in a minute, then at the log.",
            )
        time.sleep(0.5)


def _database(settings: Settings) -> str:
    """The conninfo of Airflow's own database, which is made if it is missing."""
    if settings.database_url is None:
        return postgres.create_database(settings.home, DATABASE)
    with psycopg.connect(settings.database_url, autocommit=True) as connection:
        if not connection.execute("select 1 from pg_database where datname = %s", (DATABASE,)).fetchone():
            try:
                connection.execute(sql.SQL("create database {}").format(sql.Identifier(DATABASE)))
            except psycopg.errors.InsufficientPrivilege as error:
                raise MemberhouseError(
                    f"Airflow needs a database `{DATABASE}` on DATABASE_URL's server, and the account in"
                    " DATABASE_URL may not create one.",
                    f"Have an administrator run: create database {DATABASE} owner {connection.info.user}",
                ) from error
    return make_conninfo(settings.database_url, dbname=DATABASE)


def _migrate(place: _Place, database: str, env: Mapping[str, str], tell: Progress) -> None:
    """Bring Airflow's tables to the installed version, unless the last migration did and they are there."""
    installed = version("apache-airflow")
    if place.migrated_file.exists():
        last = json.loads(place.migrated_file.read_text())
        if last == {"airflow": installed, "revision": _revision(database)}:
            return
    tell("Airflow: preparing its database")
    done = subprocess.run(
        [sys.executable, "-m", "airflow", "db", "migrate"],
        env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    place.log("migrate").write_text(done.stdout + done.stderr)
    if done.returncode != 0:
        raise MemberhouseError(
            f"Airflow's database could not be prepared. {log_end(place.log('migrate'))}",
            "The log's last lines name the cause; then `memberhouse up --airflow` again.",
        )
    place.migrated_file.write_text(json.dumps({"airflow": installed, "revision": _revision(database)}))


def _revision(database: str) -> str | None:
    """The revision that Airflow's tables are at; None when there are none."""
    with psycopg.connect(database) as connection:
        try:
            row = connection.execute("select version_num from alembic_version").fetchone()
        except psycopg.errors.UndefinedTable:
            return None
    return str(row[0]) if row else None


def _sqlalchemy_url(conninfo: str, driver: str) -> str:
    parts = {name: str(value) for name, value in conninfo_to_dict(conninfo).items()}
    host = parts.pop("host", "")
    account = quote(parts.pop("user", ""), safe="")
    if password := parts.pop("password", None):
        account += f":{quote(password, safe='')}"
    port = parts.pop("port", "")
    name = quote(parts.pop("dbname", ""), safe="")
    if host.startswith("/"):  # a folder with a unix socket
        parts["host"], host = host, ""
    address = f"{host}:{port}" if port else host
    query = f"?{urlencode(parts)}" if parts else ""
    return f"postgresql+{driver}://{account}@{address}/{name}{query}"


def _told_by_us(env: Mapping[str, str]) -> dict[str, str]:
    """What makes a running component out of date when it differs."""
    prefixes = ("AIRFLOW_", "MEMBERHOUSE_", "DATABASE_URL")
    return {name: value for name, value in env.items() if name.startswith(prefixes)}
