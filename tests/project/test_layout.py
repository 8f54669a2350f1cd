"""The tree keeps the shape that CONTRIBUTING.md describes."""

from __future__ import annotations

import ast
import re
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import yaml

TOP_LEVEL = {
    ".ci",
    ".dockerignore",
    ".env.example",
    ".gitignore",
    ".pre-commit-config.yaml",
    ".sqlfluff",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Dockerfile",
    "LICENSE",
    "Makefile",
    "README.md",
    "README.zh-CN.md",
    "dags",
    "dbt_project",
    "docker-compose.yml",
    "docs",
    "expectations",
    "metabase",
    "notebooks",
    "pyproject.toml",
    "requirements.lock",
    "src",
    "tests",
}

# Words of the technology, not of the business.
TECHNICAL = re.compile(
    r"client_(min_messages|encoding|addr|connection_check_interval)|http\.client|httpx\.Client|current_user|session_user"
)
MEMBER_BY_ANOTHER_NAME = re.compile(
    r"(?i)(?<![a-z])(customers?|clients?)(?![a-z])|(?<![a-z])(user|customer|client)_?(id|no|key)s?(?![a-z])"
)


def python_imports(source: str) -> set[str]:
    """The top-level packages that a module imports, wherever the import stands."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


def other_names(text: str) -> set[str]:
    return {match.group() for match in MEMBER_BY_ANOTHER_NAME.finditer(TECHNICAL.sub("", text))}


def test_nothing_stands_at_the_top_that_has_no_place_there(project_files: list[Path]) -> None:
    assert {path.parts[0] for path in project_files} - TOP_LEVEL == set()


def test_only_dags_import_airflow(root: Path, project_files: list[Path]) -> None:
    modules = [path for path in project_files if path.suffix == ".py" and path.parts[0] in {"src", "expectations"}]
    assert len(modules) > 10
    assert [path for path in modules if "airflow" in python_imports((root / path).read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize(
    "source", ["import airflow.sdk", "from airflow import sdk", "def f():\n    from airflow.sdk import dag"]
)
def test_an_import_of_airflow_is_seen(source: str) -> None:
    assert "airflow" in python_imports(source)


def test_a_member_is_called_a_member(root: Path, project_files: list[Path]) -> None:
    rooms = {"src", "dags", "dbt_project", "expectations"}
    suffixes = {".py", ".sql", ".yml", ".csv"}
    # how others name their columns
    foreign = {Path("src/memberhouse/vault/masking.py")}
    found = {
        path: names
        for path in project_files
        if path.parts[0] in rooms
        and path not in foreign
        and path.suffix in suffixes
        and (names := other_names((root / path).read_text(encoding="utf-8")))
    }
    assert found == {}


@pytest.mark.parametrize(
    "text",
    [
        "customer_no",
        "select user_id",
        "the client bought",
        "dim_customer",
        "UserId",
        "customerKey",
        "Customers",
    ],
)
def test_another_name_for_a_member_is_seen(text: str) -> None:
    assert other_names(text) != set()


@pytest.mark.parametrize(
    "text", ["set local client_min_messages = warning", "current_user", "psycopg.ClientCursor", "httpx.Client"]
)
def test_a_technical_word_is_none(text: str) -> None:
    assert other_names(text) == set()


def test_no_file_names_the_machine_it_was_written_on(root: Path, project_files: list[Path]) -> None:
    # the paths inside the image are its own; /tmp and / are everybody's
    inside_the_image = {"Dockerfile", "docker-compose.yml"}
    places = {root, Path.home(), root.parent} - {Path("/"), Path("/tmp"), Path("/opt"), Path("/srv")}
    marks = [f"{place}/" for place in places] + ["file:" + "//"]
    found = []
    for path in project_files:
        if path.name in inside_the_image:
            continue
        try:
            text = (root / path).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [(path, mark) for mark in marks if mark in text]
    assert found == []


def test_every_yaml_file_reads_and_says_nothing_twice(root: Path, project_files: list[Path]) -> None:
    files = [path for path in project_files if path.suffix in {".yml", ".yaml"}]
    assert Path("docker-compose.yml") in files
    for path in files:
        yaml.load((root / path).read_text(encoding="utf-8"), Loader=StrictLoader)  # noqa: S506  (a safe loader)


class StrictLoader(yaml.SafeLoader):
    """Refuses a mapping that has a key twice; plain YAML quietly takes the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value if key.value != "<<"]
        twice = {key for key in keys if keys.count(key) > 1}
        if twice:
            raise yaml.constructor.ConstructorError(None, None, f"said twice: {twice}", node.start_mark)
        return super().construct_mapping(node, deep)


def test_a_key_said_twice_is_seen() -> None:
    with pytest.raises(yaml.constructor.ConstructorError, match="said twice"):
        yaml.load("models:\n  - name: a\n    name: b\n", Loader=StrictLoader)  # noqa: S506  (a safe loader)


def test_nothing_phones_home(root: Path) -> None:
    for name in ("Makefile", "Dockerfile", "docker-compose.yml"):
        text = (root / name).read_text(encoding="utf-8")
        for switch, value in (
            ("DO_NOT_TRACK", "1"),
            ("DBT_SEND_ANONYMOUS_USAGE_STATS", "false"),
            ("GX_ANALYTICS_ENABLED", "false"),
        ):
            assert re.search(rf"{switch}\s*[:=]+\s*\"?{value}", text), f"{name} does not say {switch}={value}"
    dbt = yaml.safe_load((root / "dbt_project/dbt_project.yml").read_text(encoding="utf-8"))
    assert dbt["flags"]["send_anonymous_usage_stats"] is False
    compose = yaml.safe_load((root / "docker-compose.yml").read_text(encoding="utf-8"))
    assert compose["services"]["metabase"]["environment"]["MB_ANON_TRACKING_ENABLED"] == "false"
    # this Airflow counts nothing; one that does again must be told not to
    airflow = resources.files("airflow").joinpath("config_templates/config.yml").read_text(encoding="utf-8")
    assert "usage_data_collection" not in yaml.safe_load(airflow)
