"""Columns of files that are landed: money from whole units, constants, CSV and JSON lines."""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

PLAIN = arrow_csv.WriteOptions(quoting_style="none", quoting_header="none", batch_size=65_536)
QUOTED = arrow_csv.WriteOptions(quoting_style="needed", quoting_header="none")

# JSON writes these without quotes.
_BARE = (pa.types.is_integer, pa.types.is_boolean, pa.types.is_decimal)


def money(units: Any, unit: Decimal = Decimal("0.01")) -> pa.Array:
    """Whole units (cents) as decimals: no float comes near the money."""
    return pc.multiply(pa.array(units).cast(pa.decimal128(19, 0)), pa.scalar(unit))


def constant(value: Any, rows: int) -> pa.Array:
    """The same value in every row."""
    return pa.repeat(value, rows)


def csv_bytes(table: pa.Table, *, quoted: bool = False) -> bytes:
    """The table as CSV with a header. quoted: texts stand in quotes and may hold anything; without it
    they must be free of quotes, commas and newlines, and the loader has its fastest way."""
    content = pa.BufferOutputStream()
    arrow_csv.write_csv(table, content, QUOTED if quoted else PLAIN)
    written: bytes = content.getvalue().to_pybytes()
    return written


def json_lines(table: pa.Table, as_they_are: Collection[str] = ()) -> bytes:
    """The table as one JSON object a line; an empty value leaves its key out.

    Texts must need no escape in JSON. as_they_are: text columns that hold JSON already.
    """
    fields = []
    for name, column in zip(table.column_names, table.columns, strict=True):
        start = f'"{name}": '
        bare = name in as_they_are or any(is_a(column.type) for is_a in _BARE)
        quote = "" if bare else '"'
        fields.append(pc.binary_join_element_wise(start + quote, column.cast(pa.string()), quote, ""))
    objects = pc.binary_join_element_wise(*fields, ", ", null_handling="skip")
    text = "\n".join(f"{{{fields}}}" for fields in objects.to_pylist())
    return (text + "\n").encode() if text else b""
