"""Every example of docs/as-published.md is run, as a BI reader."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy
from tests.chain import Chain
from tests.conftest import new_warehouse

from memberhouse import db
from memberhouse.settings import PROJECT_ROOT

PAGE = (PROJECT_ROOT / "docs" / "as-published.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


COMMANDS = [
    line.partition("#")[0].strip() for block in blocks("bash") for line in block.splitlines() if "memberhouse " in line
]


def test_there_are_examples() -> None:
    assert len(blocks("sql")) >= 5
    assert len(COMMANDS) >= 4
    assert len(blocks("python")) == 1


@pytest.fixture(scope="module")
def chain(server_home: Path) -> Iterator[Chain]:
    """Two releases; the second restates the first."""
    with new_warehouse(server_home) as settings:
        chain = Chain(settings, date(2025, 6, 2))
        chain.sell("1", date(2025, 6, 3))
        chain.publish(date(2025, 7, 6))
        chain.sell("2", date(2025, 6, 4), delivered=date(2025, 7, 6))
        chain.publish(date(2025, 7, 6))
        yield chain


@pytest.mark.services
@pytest.mark.parametrize("example", blocks("sql"), ids=lambda text: " ".join(text.split())[:40])
def test_each_query_answers(chain: Chain, example: str) -> None:
    answers = []
    with db.connect(chain.settings) as conn:
        db.as_bi_role(conn)
        for statement in filter(None, map(str.strip, example.split(";"))):
            cursor = conn.execute(statement.encode())
            if cursor.description:
                answers = cursor.fetchall()
    if "published_at <=" not in example:  # nothing was published that early here
        assert answers != []
    if statement == "reset memberhouse.release":
        assert [receipts for _, receipts, _ in answers][0] == 1


@pytest.mark.services
@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_runs(chain: Chain, command: str) -> None:
    words = shlex.split(command)
    settings = [word for word in words if re.match(r"[A-Z_]+=", word)]
    program, *arguments = words[len(settings) :]
    assert program == "memberhouse"
    done = subprocess.run(
        [sys.executable, "-c", "from memberhouse.cli import main; main()", *arguments],
        env=os.environ
        | dict(setting.split("=", 1) for setting in settings)
        | {"DATABASE_URL": chain.settings.database_url or "", "MEMBERHOUSE_HOME": str(chain.settings.home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.mark.services
def test_the_example_in_pandas_reads_the_release_that_it_names(chain: Chain) -> None:
    (example,) = blocks("python")
    url = sqlalchemy.make_url(chain.settings.database_url or "").set(drivername="postgresql+psycopg")
    names: dict[str, object] = {"url": url}
    exec(example, names)  # noqa: S102  (the page's own example)
    weeks = names["weeks"]
    assert isinstance(weeks, pd.DataFrame)
    assert weeks["sale_receipts"].sum() == 1
    assert chain.read("select sum(sale_receipts)::integer from bi.kpi_weekly where level = 'hq'") == [(2,)]
