"""The contracts as JSON Schema: one file a feed, under docs/schemas.

``python -m memberhouse.sources.json_schema docs/schemas`` writes them; a test fails when one is not current.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from memberhouse.sources.contract import Feed, Kind
from memberhouse.sources.feeds import FEEDS

_TYPES: Mapping[Kind, dict[str, Any]] = {
    "text": {"type": "string"},
    "note": {"type": "string"},
    "date": {"type": "string", "format": "date"},
    "timestamp": {
        "type": "string",
        "pattern": r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d(:?\d\d)?)?$",
    },
    "time": {"type": "string", "pattern": r"^\d\d:\d\d(:\d\d)?$"},
    "timezone": {"type": "string"},
    "integer": {"type": "integer"},
    # no multipleOf: validators divide binary fractions, and 4.35 is no multiple of 0.01 then
    "money": {"type": "number"},
    "price": {"type": "number"},
    "quantity": {"type": "number"},
    "boolean": {"type": "boolean"},
    "choice": {"type": "string"},
    "json": {"type": "object"},
}


def json_schema(feed: Feed) -> dict[str, Any]:
    """The JSON Schema of one row of the feed (a JSON object by column name)."""
    properties: dict[str, Any] = {}
    for column in feed.columns:
        described = dict(_TYPES[column.kind])
        if column.choices:
            described["enum"] = [*column.choices, *([] if column.required else [None])]
        if not column.required:
            described["type"] = [described["type"], "null"]
        if column.meaning:
            described["description"] = column.meaning
        properties[column.name] = described
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"{feed.source} {feed.name}",
        "description": feed.meaning,
        "type": "object",
        "properties": properties,
        "required": [column.name for column in feed.columns if column.required],
    }


def schema_files() -> dict[str, str]:
    """Every schema's text by its file name."""
    return {
        f"{feed.source}.{feed.name}.schema.json": json.dumps(json_schema(feed), indent=2, ensure_ascii=False) + "\n"
        for feed in FEEDS.values()
    }


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in schema_files().items():
        (folder / name).write_text(text, encoding="utf-8")
