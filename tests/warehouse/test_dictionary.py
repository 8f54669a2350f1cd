"""docs/metrics.md says what the models say, and they say it in English and in Chinese."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from memberhouse.settings import PROJECT_ROOT
from memberhouse.warehouse import dictionary

MARTS = PROJECT_ROOT / "dbt_project" / "models" / "marts"


def descriptions() -> Iterator[tuple[str, str]]:
    """Every published table and column (``table``, ``table.column``) with its description."""
    for path in sorted(MARTS.rglob("_*__models.yml")):
        for table in dictionary.described(path):
            yield table["name"], table.get("description", "")
            for column in table["columns"]:
                yield f"{table['name']}.{column['name']}", column.get("description", "")


def is_in_both_languages(description: str) -> bool:
    """One line without Chinese characters, then one with some."""
    lines = description.split("\n")
    return all(map(str.strip, lines)) and [bool(re.search("[\u3400-\u9fff]", line)) for line in lines] == [False, True]


@pytest.mark.parametrize(
    ("file", "content"),
    [
        (dictionary.PAGE, dictionary.page),
        (dictionary.GLOSSARY, dictionary.glossary),
        (dictionary.DOC_BLOCKS, dictionary.doc_blocks),
    ],
)
def test_what_is_generated_is_current(file: Path, content: Callable[[], str]):
    assert file.read_text(encoding="utf-8") == content(), "run: .venv/bin/python -m memberhouse.warehouse.dictionary"


def test_the_column_of_a_metric_is_described_by_its_definition_and_no_other_is():
    refers = {}
    for path in MARTS.rglob("_*__models.yml"):
        for table in yaml.safe_load(path.read_text(encoding="utf-8"))["models"]:
            for column in table["columns"]:
                if "doc(" in column.get("description", ""):
                    refers[table["name"], column["name"]] = column["description"]
    with (dictionary.PROJECT / "seeds" / "metrics.csv").open(encoding="utf-8", newline="") as file:
        wanted = {
            (table, row["column_name"]): f"{{{{ doc('metric_{row['metric_id']}') }}}}"
            for row in csv.DictReader(file)
            for table in row["tables"].split()
        }
    assert refers == wanted


def test_everything_published_is_described_in_both_languages():
    described = dict(descriptions())
    assert {name for name in described if "." not in name} == {path.stem for path in MARTS.rglob("*.sql")}
    assert [name for name, text in described.items() if not is_in_both_languages(text)] == [], (
        "a description has two lines: English, then Chinese (CONTRIBUTING.md, Style)"
    )


@pytest.mark.parametrize(
    "description",
    [
        "",
        "The day.",
        "\n日期。",
        "日期。",
        "日期。\nThe day.",
        "The day.\n",
        "The day.\n\n日期。",
        "The day (日期).\n日期。",
    ],
)
def test_a_description_that_lacks_a_language_is_seen(description: str):
    assert not is_in_both_languages(description)
