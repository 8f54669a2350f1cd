"""After a whole run, no personal value of any member is anywhere but in the landing area and the vault."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import psycopg
import pytest

from memberhouse.landing import find_batches
from memberhouse.local import postgres
from memberhouse.simulate.chain import write_chain
from memberhouse.sources.feeds import FEEDS

pytestmark = pytest.mark.services

LAST_DAY = "2026-06-30"
KEY = "a key for tests of the vault"


def personal_values(landing: Path) -> dict[str, set[str]]:
    """What people are known by in the landed files, by kind; values that other texts hold by chance left out."""
    found: dict[str, set[str]] = {"phone": set(), "email": set(), "openid": set(), "name": set(), "birthday": set()}
    for batch in find_batches(landing):
        feed = FEEDS.get((batch.source, batch.feed))
        columns = {column.name: column.personal for column in feed.columns if column.personal} if feed else {}
        for entry in batch.manifest.files if columns and batch.manifest else ():
            try:
                rows = _rows(batch.folder / entry.name)
            except (OSError, EOFError, ValueError):  # a planted fault: sound rows come again in another file
                continue
            for column, what in columns.items():
                if column in rows:
                    found[what].update(rows[column].dropna().astype(str))
    found["name"] = {name for name in found["name"] if len(name) > 2}
    found["birthday"] = {day for day in found["birthday"] if "1901" < day < "2000"}
    return found


def _rows(path: Path) -> pd.DataFrame:
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    if ".jsonl" in path.name:
        return pd.DataFrame([json.loads(line) for line in content.splitlines() if line.strip()])
    return pd.read_csv(io.BytesIO(content), dtype=str)


def texts(home: Path, server_home: Path, url: str) -> Iterator[tuple[str, str]]:
    """Everything that the run left outside the landing area and the vault: where, and what."""
    with psycopg.connect(url) as conn:
        relations = conn.execute(
            "select format('%I.%I', n.nspname, c.relname) from pg_class as c"
            " join pg_namespace as n on n.oid = c.relnamespace"
            " where c.relkind in ('r', 'p', 'v', 'm') and n.nspname !~ '^(pg_|information_schema|vault)'"
        ).fetchall()
        for (relation,) in relations:
            for (row,) in conn.execute(f"select t::text from {relation} as t".encode()):
                yield relation, row
    files = [path for path in home.rglob("*") if path.is_file()]
    files += (server_home / "postgres").glob("*log*")
    for path in files:
        if path.is_file():
            yield str(path), path.read_bytes().decode(errors="replace")


@pytest.fixture
def run(tmp_path: Path, server_home: Path) -> Iterator[tuple[Path, Path, str]]:
    """A messy chain through `memberhouse run` and the report; its landing, its home, its database."""
    landing, home = tmp_path / "landing", tmp_path / "home"
    write_chain(landing, members=1500, days=60, seed=11, messy=True)
    url = postgres.create_database(server_home, "leaks")
    env = {
        **os.environ,
        "MEMBERHOUSE_HOME": str(home),
        "DATABASE_URL": url,
        "MEMBERHOUSE_VAULT_KEY": KEY,
    }
    home.mkdir()
    for number, command in enumerate(
        (
            ["validate", str(landing)],
            ["run", str(landing), "--as-of", LAST_DAY],
            ["quarantine", "list", "--rows", "500"],
            ["quarantine", "replay"],
            ["report", "--week", LAST_DAY, "--out", str(home / "reports")],
            ["query", "select * from data_health_reason"],
        )
    ):
        done = subprocess.run(
            [sys.executable, "-c", "from memberhouse.cli import main; main()", *command],
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        home.joinpath(f"said-{number}-{command[0]}.log").write_text(done.stdout + done.stderr)
        assert done.returncode == (1 if command[0] == "validate" else 0), done.stdout + done.stderr
    yield landing, home, url
    with psycopg.connect(postgres.ensure_running(server_home), autocommit=True) as conn:
        conn.execute("drop database leaks with (force)")


def test_no_value_of_any_member_is_outside_the_landing_area_and_the_vault(
    run: tuple[Path, Path, str], server_home: Path
) -> None:
    landing, home, url = run
    values = personal_values(landing)
    assert min(map(len, values.values())) > 50
    with psycopg.connect(url) as conn:
        vaulted = {value for (value,) in conn.execute("select value from vault.personal_value")}
    assert len(values["name"] & vaulted) > 0.9 * len(values["name"])
    wanted = {value: what for what, known in values.items() for value in known}
    leaks = {
        f"{wanted[value]} {value!r} in {where}"
        for where, text in texts(home, server_home, url)
        for value in candidates(text) & wanted.keys()
    }
    assert leaks == set()
    assert list((home / "reports").glob("*.html"))


def candidates(text: str) -> set[str]:
    """Whatever in a text could be a personal value: words, dates, eleven digits in a row, three Chinese characters."""
    found = set(re.findall(r"[\w.+@-]+", text))
    found |= set(re.findall(r"(?=(\d{4}-\d\d-\d\d))", text))
    found |= set(re.findall(r"(?=(\d{11}))", text))
    found |= set(re.findall(r"(?=([\u4e00-\u9fff]{3}))", text))
    return found


@pytest.mark.parametrize("text", ["x13812345678y", "（李敏静）", "a li.mei@example.com, b", "born1990-03-02", "oX1-Ab"])
def test_a_value_within_other_text_is_a_candidate(text: str) -> None:
    assert candidates(text) & {"13812345678", "李敏静", "li.mei@example.com", "1990-03-02", "oX1-Ab"}
