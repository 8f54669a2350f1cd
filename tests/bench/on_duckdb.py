"""The models of a full build on DuckDB: the SQL that dbt compiled, on a copy of the same tables.

What sqlglot does not translate by itself is rewritten here, a function a construct, each with its reason.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import sqlglot
from psycopg import sql
from sqlglot import exp

from memberhouse import db
from memberhouse.settings import Settings


@dataclass(frozen=True)
class Model:
    """A model as a build ran it.

    kind: rebuilt, kept_view, versioned or published_view. begun, ended: when it was executed.
    """

    name: str
    schema: str
    kind: str
    sql: str
    begun: datetime
    ended: datetime

    @property
    def seconds(self) -> float:
        return (self.ended - self.begun).total_seconds()

    @property
    def is_view(self) -> bool:
        return self.kind in ("kept_view", "published_view")


def models_of_last_build(target: Path) -> list[Model]:
    """The models of dbt's last run, in an order in which each comes after those it reads."""
    nodes = json.loads((target / "manifest.json").read_text())["nodes"]
    results = json.loads((target / "run_results.json").read_text())["results"]
    models = []
    for result in results:
        node = nodes[result["unique_id"]]
        if node["resource_type"] == "model":
            begun, ended = next(
                (datetime.fromisoformat(timing["started_at"]), datetime.fromisoformat(timing["completed_at"]))
                for timing in result["timing"]
                if timing["name"] == "execute"
            )
            models.append(
                Model(
                    node["alias"], node["schema"], node["config"]["materialized"], result["compiled_code"], begun, ended
                )
            )
    return sorted(models, key=lambda model: model.ended)


# DuckDB's decimals have a scale, those of the raw domains have a range.
_DOMAINS = {"money": "decimal(14, 2)", "price": "decimal(14, 4)", "quantity": "decimal(14, 3)"}
_TYPES = {
    "jsonb": "json",
    "ARRAY": "bigint[]",
    "timestamp with time zone": "timestamptz",
    "text": "varchar",
    "integer": "integer",
}


def copy_inputs(settings: Settings, conn: duckdb.DuckDBPyConnection, target: Path, folder: Path) -> None:
    """What the models read that no model made: sources and seeds, as they stand right after the build."""
    prepare(conn)
    manifest = json.loads((target / "manifest.json").read_text())
    used = {parent for node in manifest["nodes"].values() for parent in node["depends_on"].get("nodes", [])}
    inputs = sorted(
        (node["schema"], node["name"])
        for key, node in (manifest["sources"] | manifest["nodes"]).items()
        if key in used and node["resource_type"] in ("source", "seed")
    )
    with db.connect(settings) as source:
        # as it was while the models were computed; taken back at the end
        source.execute(
            "update release.release set state = 'building'"
            " where release_id = (select max(release_id) from release.release)"
        )
        for schema, table in inputs:
            _copy_table(source, conn, schema, table, folder / "table.csv")
        source.rollback()


def prepare(conn: duckdb.DuckDBPyConnection) -> None:
    """What translated SQL takes for granted."""
    conn.execute("set timezone = 'UTC'")
    conn.execute(_RANGES)
    conn.execute(_QUOTIENT)
    conn.execute(_NUM_NULLS)
    # it knows one kind of JSON
    conn.execute("create macro to_jsonb(of_row) as to_json(of_row)")
    # nothing is published yet
    conn.execute("create schema release; create macro release.visible(of_group) as 0")


def _copy_table(
    source: psycopg.Connection, conn: duckdb.DuckDBPyConnection, schema: str, table: str, file: Path
) -> None:
    columns = source.execute(
        "select column_name, data_type, domain_name, numeric_precision, numeric_scale from information_schema.columns"
        " where table_schema = %s and table_name = %s order by ordinal_position",
        (schema, table),
    ).fetchall()
    definitions = ", ".join(
        f'"{name}" {_duckdb_type(data_type, domain, precision, scale)}'
        for name, data_type, domain, precision, scale in columns
    )
    conn.execute(f'create schema if not exists "{schema}"; create table "{schema}"."{table}" ({definitions})')
    statement = sql.SQL(r"copy (select {} from {}) to stdout (format csv, null '\N')").format(
        # arrays are batches behind restatements, of which a first build has none
        sql.SQL(", ").join(sql.SQL("null") if kind == "ARRAY" else sql.Identifier(name) for name, kind, *_ in columns),
        sql.Identifier(schema, table),
    )
    with file.open("wb") as out, source.cursor().copy(statement) as rows:
        for piece in rows:
            out.write(piece)
    conn.execute(
        f"""copy "{schema}"."{table}" from '{file}' (format csv, auto_detect false, header false, nullstr '\\N',"""
        " delim ',', quote '\"', escape '\"')"
    )
    file.unlink()


def _duckdb_type(data_type: str, domain: str | None, precision: int | None, scale: int | None) -> str:
    if domain in _DOMAINS:
        return _DOMAINS[domain]
    if data_type == "numeric":
        return f"decimal({precision or 18}, {scale if precision else 6})"
    return _TYPES.get(data_type, data_type)


def settings(conn: duckdb.DuckDBPyConnection) -> str:
    """What decides about its speed, in words."""
    names = ("threads", "memory_limit")
    values = [conn.execute(f"select current_setting('{name}')").fetchall()[0][0] for name in names]
    return f"DuckDB {duckdb.__version__} in a file, " + ", ".join(
        map(" ".join, zip(names, map(str, values), strict=True))
    )


def bytes_of(conn: duckdb.DuckDBPyConnection) -> int:
    """How large its file is."""
    conn.execute("checkpoint")
    size, used = conn.execute("select block_size, used_blocks from pragma_database_size()").fetchall()[0]
    return int(size) * int(used)


def run(models: Sequence[Model], conn: duckdb.DuckDBPyConnection) -> dict[str, float]:
    """Make every model; return the seconds of each."""
    ((release_id,),) = conn.execute("select release_id from release.building").fetchall()
    seconds = {}
    for model in models:
        statements = list(_statements(model, release_id, lambda select: conn.execute(select).fetchall()[0][0]))
        begun = time.perf_counter()
        for statement in statements:
            try:
                conn.execute(statement)
            except duckdb.Error as error:
                error.add_note(f"DuckDB was making {model.name}.")
                raise
        seconds[model.name] = time.perf_counter() - begun
    return seconds


def _statements(model: Model, release_id: int, constant: Callable[[str], Any]) -> Iterator[str]:
    select = translate(model.sql, constant)
    place = f'"{model.schema}"."{model.name}"'
    yield f'create schema if not exists "{model.schema}"'
    if model.is_view:
        yield f"create view {place} as {select}"
        return
    yield f"create table {place} as {select}"
    if model.kind == "versioned":
        # as later models look at what this build changed: in a full build everything is new
        validity = f"{release_id} as _from_release, 2147483647 as _to_release"
        yield "create schema if not exists history"
        yield f'create view history."{model.name}" as select *, {validity} from {place}'
        yield f'create view history."{model.name}__open" as select *, {validity} from {place}'
        yield f'create view history."{model.name}__closed" as select *, {validity} from {place} where false'


# Quotients are doubles in DuckDB: an exact half lies now above and now below itself, until it is pushed away from zero.
_QUOTIENT = "create macro quotient(a, b) as a / b + sign(a) * sign(b) * 1e-9;"

# A macro has a fixed number of parameters, and may stand for several numbers of them.
_NUM_NULLS = "create macro num_nulls" + ", ".join(
    f"({', '.join(names)}) as {' + '.join(f'({name} is null)::integer' for name in names)}"
    for names in ("abcdefgh"[:count] for count in range(1, 9))
)

# DuckDB has no ranges: a range of dates is a struct here, several are a list of them in their order.
_RANGES = """
create macro daterange(a, b) as {'lower': a, 'upper': b};
create macro range_starts(many) as list_sort(list_distinct([
    one.lower for one in many if len([1 for other in many if other.lower < one.lower and other.upper >= one.lower]) = 0
]));
create macro range_ends(many) as list_sort(list_distinct([
    one.upper for one in many if len([1 for other in many if other.upper > one.upper and other.lower <= one.upper]) = 0
]));
create macro range_merge(many) as list_transform(
    list_zip(range_starts(many), range_ends(many)), lambda pair: {'lower': pair[1], 'upper': pair[2]}
);
create macro range_agg(one) as range_merge(list(one));
create macro ranges_hold(many, day) as
    len([1 for one in many if one.lower <= day and one.upper > day]) > 0;
create macro range_minus(one, many) as list_filter(
    list_transform(
        range(len(many) + 1),
        lambda place: {
            'lower': greatest(one.lower, coalesce(many[nullif(place, 0)].upper, one.lower)),
            'upper': least(one.upper, coalesce(many[place + 1].lower, one.upper))
        }
    ),
    lambda piece: piece.lower < piece.upper
);
"""


def translate(text: str, constant: Callable[[str], Any]) -> str:
    """The PostgreSQL SELECT in DuckDB's SQL. constant: the value of a scalar sub-select in DuckDB's SQL."""
    tree = sqlglot.parse_one(text, read="postgres")
    for rewrite in (
        *(_any_of_array, _time_of_day, _percentile, _ranges, _contains),
        *(_cardinality, _series, _iso_week, _division),
    ):
        tree = rewrite(tree, constant)
    return tree.sql(dialect="duckdb", unsupported_level=sqlglot.ErrorLevel.RAISE)


def _any_of_array(tree: exp.Expr, constant: Callable[[str], Any]) -> exp.Expr:
    """One of an array of a sub-select's rows: there the array would be one of the values."""
    for equal in list(tree.find_all(exp.EQ)):
        array = equal.expression.this.unnest() if isinstance(equal.expression, exp.Any) else None
        select = array.find(exp.Query) if isinstance(array, exp.Array) else None
        if select:
            equal.replace(exp.In(this=equal.this, query=select.subquery()))
    return tree


def _time_of_day(tree: exp.Expr, constant: Callable[[str], Any]) -> exp.Expr:
    """A timestamp less a time of day: DuckDB takes off intervals only."""
    for node in list(tree.find_all(exp.Sub)):
        if isinstance(node.this, exp.AtTimeZone):
            node.set("expression", exp.cast(exp.cast(node.expression, "varchar"), "interval"))
    return tree


def _percentile(tree: exp.Expr, constant: Callable[[str], Any]) -> exp.Expr:
    """PostgreSQL's percentile_cont is of doubles, DuckDB's of decimals would be rounded; and which percentile has to
    be a constant there."""
    for node in list(tree.find_all(exp.WithinGroup)):
        if isinstance(node.this, exp.PercentileCont):
            share = node.this.this.find(exp.Subquery)
            if share:
                node.this.set("this", exp.Literal.number(constant(share.this.sql(dialect="duckdb"))))
            for ordered in node.expression.expressions:
                ordered.set("this", exp.cast(ordered.this, "double"))
    return tree


def _ranges(tree: exp.Expr, constant: Callable[[str], Any]) -> exp.Expr:
    """Ranges and multiranges, by the macros of _RANGES."""
    if not any(node.name == "daterange" for node in tree.find_all(exp.Anonymous)):
        return tree
    for difference in list(tree.find_all(exp.Sub)):
        if isinstance(difference.this, exp.Anonymous) and difference.this.name == "datemultirange":
            (one,) = difference.this.expressions
            many = difference.expression
            if isinstance(many, exp.Coalesce):
                many.set("expressions", [exp.array()])
            difference.replace(exp.func("range_minus", one, many))
    for side in list(tree.find_all(exp.Lower, exp.Upper)):
        side.replace(exp.Dot(this=side.this, expression=exp.to_identifier(side.key)))
    return tree


def _contains(tree: exp.Expr, constant: Callable[[str], Any]) -> exp.Expr:
    """Whether one of several ranges holds a day."""
    for node in list(tree.find_all(exp.ArrayContainsAll)):
        node.replace(exp.func("ranges_hold", node.this, node.expression))
    return tree


def _cardinality(tree: exp.Expr, constant: Callable[[str], Any]) -> exp.Expr:
    """Of arrays, which are lists there; their length is unsigned, which no series counts to."""
    for node in list(tree.find_all(exp.Anonymous)):
        if node.name.lower() == "cardinality":
            node.replace(exp.cast(exp.func("len", *node.expressions), "bigint"))
    return tree


def _series(tree: exp.Expr, constant: Callable[[str], Any]) -> exp.Expr:
    """Numbers of a series are bigints there, and no bigint can be taken off a date."""
    series = {
        table.alias
        for table in tree.find_all(exp.Table)
        if isinstance(table.this, exp.GenerateSeries) and isinstance(table.this.args["start"], exp.Literal)
    }
    for column in list(tree.find_all(exp.Column)):
        if column.table in series:
            column.replace(exp.cast(column.copy(), "integer"))
    return tree


def _iso_week(tree: exp.Expr, constant: Callable[[str], Any]) -> exp.Expr:
    """sqlglot takes the year for the ISO year, and the week for that of the first Monday."""
    for node in list(tree.find_all(exp.TimeToStr)):
        if "W" in node.args["format"].name:
            node.replace(exp.func("strftime", node.this, exp.Literal.string("%G-W%V")))
    return tree


def _division(tree: exp.Expr, constant: Callable[[str], Any]) -> exp.Expr:
    """Quotients that are rounded to decimals: PostgreSQL divides decimals exactly."""
    for cast in list(tree.find_all(exp.Cast)):
        quotient = cast.this.unnest()
        if cast.is_type("decimal") and isinstance(quotient, exp.Div):
            quotient.replace(exp.func("quotient", quotient.this, quotient.expression))
    return tree


def differences(settings: Settings, conn: duckdb.DuckDBPyConnection, models: Sequence[Model]) -> list[str]:
    """How the marts differ: in their rows, or in a sum over a column (of texts: of their lengths and last letters)."""
    found = []
    with db.connect(settings) as postgres:
        for model in models:
            if model.kind == "versioned":
                columns = conn.execute(
                    "select column_name, data_type from information_schema.columns"
                    " where table_catalog = current_catalog() and table_schema = ? and table_name = ?"
                    " order by ordinal_position",
                    (model.schema, model.name),
                ).fetchall()
                measures = ", ".join(["count(*)", *(_measure(name, data_type) for name, data_type in columns)])
                statement = f'select {measures} from "{model.schema}"."{model.name}"'
                here = conn.execute(statement).fetchall()[0]
                there = postgres.execute(statement.encode()).fetchall()[0]
                found += [
                    f"{model.name}.{column}: {ours} in PostgreSQL, {theirs} in DuckDB"
                    for column, ours, theirs in zip(["rows", *(name for name, _ in columns)], there, here, strict=True)
                    if ours != theirs
                ]
    return found


def _measure(name: str, data_type: str) -> str:
    if data_type == "DATE":
        return f"sum({name} - date '2000-01-01')"
    if data_type == "BOOLEAN":
        return f"sum({name}::integer)"
    if data_type == "VARCHAR":
        return f"sum(length({name}) + ascii(right({name}, 1)))"
    if data_type.startswith("TIMESTAMP"):
        return f"sum(extract(epoch from {name})::bigint)"
    if data_type == "UUID":
        return f"count({name})"
    return f"sum({name}::numeric(18, 4))"
