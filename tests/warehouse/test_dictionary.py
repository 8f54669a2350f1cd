"""docs/metrics.md says what the models say."""

from __future__ import annotations

from memberhouse.warehouse import dictionary


def test_the_dictionary_is_current():
    assert dictionary.PAGE.read_text(encoding="utf-8") == dictionary.page(), (
        "run: .venv/bin/python -m memberhouse.warehouse.dictionary"
    )


def test_every_published_column_is_described():
    rows = [line for line in dictionary.page().splitlines() if line.startswith("| `")]
    assert len(rows) > 100
    assert not [row for row in rows if row.split("|")[-2].strip() == ""]
