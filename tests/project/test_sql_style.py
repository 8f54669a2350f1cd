"""The SQL of the dbt project is in the house style, as sqlfluff reads it through dbt."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from memberhouse import db
from memberhouse.settings import Settings

pytestmark = pytest.mark.services  # the dbt templater compiles through a real connection


def lint(root: Path, warehouse: Settings, where: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    parts = conninfo_to_dict(db.database_url(warehouse))
    environment = os.environ | {
        "MEMBERHOUSE_PG_HOST": str(parts["host"]),
        "MEMBERHOUSE_PG_PORT": str(parts["port"]),
        "MEMBERHOUSE_PG_USER": str(parts["user"]),
        "DBT_ENV_SECRET_MEMBERHOUSE_PG_PASSWORD": str(parts.get("password") or ""),
        "MEMBERHOUSE_PG_DBNAME": str(parts["dbname"]),
        "DBT_TARGET_PATH": str(folder / "target"),
        "DBT_LOG_PATH": str(folder / "logs"),
        "DO_NOT_TRACK": "1",
    }
    return subprocess.run(
        [sys.executable, "-m", "sqlfluff", "lint", "--disable-progress-bar", "--nocolor", str(where)],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
    )


def test_models_and_tests_are_in_the_house_style(root: Path, warehouse: Settings, tmp_path: Path) -> None:
    with db.connect(warehouse) as conn:
        db.ensure_schema(conn)
    for folder in ("models", "tests"):
        if not (root / "dbt_project" / folder).exists():
            continue
        result = lint(root, warehouse, root / "dbt_project" / folder, tmp_path)
        assert result.returncode == 0, result.stdout + result.stderr
