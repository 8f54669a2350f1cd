"""The member in the database: found in every table, and replaced, under rules that come from declarations.

What a column may hold decides what is done there:

    a member's id or token      compared as a whole, replaced by its tombstone
    free text, JSON             the member's ids, numbers and addresses in it are replaced by "(erased)"
    a receipt's key             never changed; a phone number or a token in it stops the erasure
    something else by contract  an id within a longer key of the member's own row gives way to its tombstone; one that
                                is the whole value is a coincidence, unless the row is the member's own; a phone number
                                or a token is none
    nobody said                 the same, and a value that is an id stops the erasure: a guess would break numbers or
                                miss a name
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

from memberhouse.erase.person import ERASED, NEVER_RENAMED, RECEIPT_COLUMNS, SHORTEST_TELLING, Person
from memberhouse.errors import MemberhouseError
from memberhouse.sources.contract import Feed
from memberhouse.sources.feeds import FEEDS

# Texts in ops by which other tables are joined: names of batches, tombstones.
_KEYS = {
    "batch": ("source", "feed", "store_id", "batch_name"),
    "erased_approval": ("card_no",),
}
# Ids and tokens in ops: of who still has a phone that an erased member had, too.
_IDS = {"erased_hold": ("token",)}
# How a column that names a member is called, where nobody says otherwise: as dbt's macros/member_columns.sql has it.
_NAMES_MEMBER = re.compile("(.*_)?(member_id|card_no|account_id|token)")
# Computed anew by each build.
_DERIVED = ("intermediate", "staging")
_JSON = ("json", "jsonb")

_TABLES = """
    select
        n.nspname,
        c.relname,
        array_agg(a.attname::text order by a.attnum),
        array_agg(t.typname::text order by a.attnum)
    from pg_class as c
    inner join pg_namespace as n on c.relnamespace = n.oid
    inner join pg_attribute as a on c.oid = a.attrelid and a.attnum > 0 and not a.attisdropped
    inner join pg_type as t on a.atttypid = t.oid
    where
        c.relkind in ('r', 'm')
        and n.nspname !~ '^(pg_|information_schema)'
        and t.typname in ('text', 'varchar', 'bpchar', '_text', 'json', 'jsonb')
    group by n.nspname, c.relname
    order by n.nspname, c.relname
"""


class Undeclared(MemberhouseError):
    """The member stands where nobody said that members do."""


@dataclass(frozen=True)
class Table:
    """A table and what its text columns may hold. types: column → its type. is_known: it is one of Memberhouse's."""

    schema: str
    name: str
    types: Mapping[str, str]
    ids: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    receipt: tuple[str, ...] = ()
    is_known: bool = True

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


@dataclass
class Found:
    """Where the member stands. rows: table → how many rows an erasure changes. left: columns in which it may not."""

    rows: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)


def search(conn: psycopg.Connection[Any], person: Person) -> Found:
    """Look everywhere in the database; change nothing."""
    return _sweep(conn, person, write=False)


def erase(conn: psycopg.Connection[Any], person: Person) -> Found:
    """Replace the member everywhere, in the caller's transaction. Raises Undeclared, after which the caller must
    not commit."""
    _keep_holds(conn, person)
    found = _sweep(conn, person, write=True)
    refuse_undeclared(found)
    _keep_approvals(conn, person)
    return found


def refuse_undeclared(found: Found) -> None:
    """Raise Undeclared when the member stands where it may not."""
    if found.left:
        raise Undeclared(
            "The member was found where nobody said that members are named:"
            f" {', '.join(sorted(found.left))}. Nothing was erased.",
            "docs/runbook.md, “Erasure refused”",
        )


def search_statistics(conn: psycopg.Connection[Any], person: Person) -> list[str]:
    """Columns of whose most common values, as the planner keeps them, the member is one."""
    looked_at = {
        f"{table}.{column}": column in table.texts
        for table in _tables(conn)
        for column in table.ids
        if table.types[column] != "_text"
    }
    return [
        f"statistics of {place}"
        for place, values in conn.execute(
            "select concat_ws('.', schemaname, tablename, attname),"
            " coalesce(most_common_vals::text::text[], '{}') || coalesce(histogram_bounds::text::text[], '{}')"
            " from pg_stats where concat_ws('.', schemaname, tablename, attname) = any(%s)",
            (list(looked_at),),
        )
        if any(
            value in person.ids or value in person.exclusive or (looked_at[place] and person.in_text.search(value))
            for value in values
        )
    ]


def vacuum(conn: psycopg.Connection[Any], places: Sequence[str]) -> None:
    """Take the old versions of changed rows out of their tables, and out of the planner's statistics. conn:
    autocommit."""
    for place in places:
        if conn.execute("select to_regclass(%s) is not null", (place,)).fetchone() == (True,):
            conn.execute(sql.SQL("vacuum (analyze) {}").format(sql.Identifier(*place.split(".", 1))))
    conn.execute("set client_min_messages = error")  # who does not own the catalog is told that it is left alone
    conn.execute("vacuum pg_catalog.pg_statistic")
    with suppress(psycopg.errors.InsufficientPrivilege):
        conn.execute("checkpoint")


def _sweep(conn: psycopg.Connection[Any], person: Person, *, write: bool) -> Found:
    found = Found()
    for table in _tables(conn):
        if str(table) == "vault.personal_value":
            rows = _vaulted(conn, person, write=write)
            if rows:
                found.rows[str(table)] = rows
            continue
        updates = []
        for ctid, changes, left in _changes(conn, table, person, write=write):
            if changes:
                found.rows[str(table)] += 1
                updates.append((ctid, changes))
            found.left.update(f"{table}.{column}" for column in left)
        if write:
            _update(conn, table, updates)
    return found


def _tables(conn: psycopg.Connection[Any]) -> list[Table]:
    declared: dict[str, dict[str, bool | None]] = {}
    written: dict[str, set[str]] = {}
    for table, column, names_member, is_free_text in conn.execute(
        "select table_name, column_name, names_member, is_free_text from release.member_column"
    ):
        declared.setdefault(table, {})[column] = names_member
        if is_free_text:
            written.setdefault(table, set()).add(column)
    # of a table that left the project no build will say it: its columns are told by their names
    versioned = {
        name
        for (name,) in conn.execute(
            "select table_name from release.versioned_table where coalesce(last_release_id, 0) >="
            " (select coalesce(max(release_id), 0) from release.release where state = 'built')"
        )
    }
    if silent := sorted(versioned - declared.keys() - _without_texts(conn, versioned)):
        raise Undeclared(
            f"Which columns of {', '.join(silent)} name members is not known yet. Nothing was erased.",
            "build a release, which writes it down, then erase",
        )
    return [
        _table(schema, name, dict(zip(columns, types, strict=True)), declared, written)
        for schema, name, columns, types in conn.execute(_TABLES).fetchall()
    ]


def _without_texts(conn: psycopg.Connection[Any], versioned: set[str]) -> set[str]:
    with_texts = {name.removesuffix("__open") for schema, name, *_ in conn.execute(_TABLES) if schema == "history"}
    return versioned - with_texts


def _table(
    schema: str,
    name: str,
    types: Mapping[str, str],
    declared: Mapping[str, Mapping[str, bool | None]],
    written: Mapping[str, set[str]],
) -> Table:
    receipt = tuple(column for column in types if column in RECEIPT_COLUMNS)
    rest = tuple(column for column in types if column not in receipt)
    if schema == "raw" and (feed := _feed_of(name)):
        return _raw_table(feed, types)
    if schema == "history":
        mart = name.removesuffix("__open").removesuffix("__closed")
        said = declared.get(mart)
        if said is None:
            said = {column: True for column in types if _NAMES_MEMBER.fullmatch(column)}
        texts = tuple(column for column in rest if column in written.get(mart, ()))
        return Table(
            schema,
            name,
            types,
            ids=tuple(column for column in types if said.get(column) is True),
            texts=texts,
            others=tuple(column for column in rest if said.get(column) is False),
            unknown=tuple(column for column in rest if said.get(column) is None and column not in texts),
            receipt=tuple(column for column in receipt if not said.get(column)),
        )
    if schema in _DERIVED:
        ids = tuple(column for column in rest if types[column] != "_text")
        return Table(schema, name, types, ids=ids, texts=rest, receipt=receipt)
    if (schema, name) == ("vault", "birth_month"):
        return Table(schema, name, types, ids=("token",))
    if schema == "scoring":
        return Table(
            schema,
            name,
            types,
            ids=tuple(column for column in types if _NAMES_MEMBER.fullmatch(column)),
            unknown=tuple(column for column in types if not _NAMES_MEMBER.fullmatch(column)),
        )
    if schema == "quarantine":
        return Table(schema, name, types, texts=tuple(types))
    if schema in ("ops", "release"):
        places, ids = _KEYS.get(name, ()), _IDS.get(name, ())
        return Table(
            schema,
            name,
            types,
            ids=ids,
            texts=tuple(column for column in rest if column not in (*places, *ids)),
            unknown=tuple(column for column in rest if column in places),
            receipt=receipt,
        )
    return Table(schema, name, types, unknown=tuple(types), is_known=False)


def _raw_table(feed: Feed, types: Mapping[str, str]) -> Table:
    ids, texts, others, receipt = [], [], [], []
    columns = {column.raw_name: column for column in feed.columns}
    for name in types:
        column = columns.get(name)
        if column is None or column.kind in ("note", "json"):
            texts.append(name)
        elif column.names_member or column.personal:
            ids.append(name)
        elif name in RECEIPT_COLUMNS:
            receipt.append(name)
        else:
            others.append(name)
    return Table("raw", feed.raw_table, types, tuple(ids), tuple(texts), tuple(others), receipt=tuple(receipt))


def _feed_of(raw_table: str) -> Feed | None:
    return next((feed for feed in FEEDS.values() if feed.raw_table == raw_table), None)


def _changes(
    conn: psycopg.Connection[Any], table: Table, person: Person, *, write: bool
) -> Iterator[tuple[str, dict[str, Any], list[str]]]:
    """Rows in which the member stands: where, what becomes of which column, in which columns it may not stand."""
    for ctid, row in _candidates(conn, table, person, write=write):
        own = any(person.is_own(row[column]) for column in table.ids)
        if table.schema == "raw" and (feed := _feed_of(table.name)):
            changes = person.erased_raw(feed, row)
            own = person.owns(feed, row)
        elif str(table) == "quarantine.rejected_row":
            changes = _rejected(person, row)
        elif str(table) == "quarantine.duplicate_row":
            changes = _duplicate(person, row)
        elif str(table) == "release.restatement":
            changes = _restated(person, row)
        else:
            changes = _by_kind_of_column(table, person, row, own=own)
        left = []
        for column in (*table.others, *table.unknown, *table.receipt):
            value = changes.get(column, row[column])
            is_id = person.is_own(value) and len(value) >= SHORTEST_TELLING and column not in table.receipt
            in_value = person.contact_in_text if isinstance(value, str) and table.is_known else person.in_text
            if _says(in_value, value) or (is_id and (own or column in table.unknown)):
                left.append(column)
        if changes or left:
            yield ctid, changes, left


def _by_kind_of_column(table: Table, person: Person, row: Mapping[str, Any], *, own: bool) -> dict[str, Any]:
    changes = {}
    for column, value in row.items():
        if column in table.receipt:
            continue
        new = value
        if column in table.ids and isinstance(value, str):
            new = person.names.get(value, value) if own or value not in person.shared else value
        if new == value and column in table.texts:
            new = person.scrub(value)
        elif new == value:
            new = person.renamed(column, value, own=own)
        if new != value:
            changes[column] = new
    return changes


def _candidates(
    conn: psycopg.Connection[Any], table: Table, person: Person, *, write: bool
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every row that may name the member: more, when a number stands in a longer one."""
    ids: list[sql.Composable] = [
        sql.SQL("t.{} = any(%(names)s)").format(sql.Identifier(column)) for column in table.ids
    ]
    texts = [_like(table, column, "texts") for column in (*table.texts, *table.others, *table.unknown, *table.receipt)]
    source = sql.SQL("{} as t").format(sql.Identifier(table.schema, table.name))
    columns: list[sql.Composable] = [_as_text(table, column) for column in table.types]
    names = list(table.types)
    if table.schema == "raw" and (feed := _feed_of(table.name)) and feed.column("business_date"):
        columns.append(sql.SQL("t.business_date::text"))
        names.append("business_date")
    if table.schema == "quarantine":
        in_row = sql.SQL(", ").join(sql.SQL("t.row ->> {}").format(sql.Literal(name)) for name in _names_in_raw())
        ids.append(sql.SQL("array[{}] && %(names)s::text[]").format(in_row))
    if str(table) == "release.restatement":
        ids.append(sql.SQL("t.old_value = any(%(names)s) or t.new_value = any(%(names)s)"))
        ids.append(sql.SQL("exists (select from jsonb_each_text(t.grain_key) as key where key.value = any(%(names)s))"))
    if str(table) == "quarantine.rejected_row":
        ids.append(sql.SQL("t.raw_text like any(%(ids)s)"))
    if str(table) == "quarantine.duplicate_row":
        source = sql.SQL("{} inner join ops.batch as batch using (batch_id)").format(source)
        columns += [sql.SQL("batch.source"), sql.SQL("batch.feed")]
        names += ["source", "feed"]
    statement = sql.SQL("select t.ctid::text, {} from {} where {}{}").format(
        sql.SQL(", ").join(columns),
        source,
        sql.SQL(" or ").join([*ids, *texts]),
        sql.SQL(" for update of t" if write else ""),
    )
    arguments = {
        "names": list(person.names),
        "ids": _likes(person.ids),
        "texts": _likes((*person.contacts, *person.telling_ids)),
    }
    for ctid, *values in conn.execute(statement, arguments).fetchall():
        row = dict(zip(names, values, strict=True))
        for column, type_name in table.types.items():
            if type_name in _JSON and row[column] is not None:
                row[column] = json.loads(row[column])
        yield ctid, row


def _rejected(person: Person, row: Mapping[str, Any]) -> dict[str, Any]:
    feed = FEEDS.get((row["source"], row["feed"]))
    held = row["row"]
    changes: dict[str, Any] = {}
    own = False
    if held is None:
        own = person.stands_in_fields(row["raw_text"])
    elif feed is not None:
        own = person.owns(feed, held)
        if changed := person.erased_raw(feed, held):
            changes["row"] = changed
    changes["raw_text"] = ERASED if own else person.scrub(row["raw_text"])
    changes["reason"] = person.scrub(row["reason"], own=own)
    return {column: value for column, value in changes.items() if value != row[column]}


def _duplicate(person: Person, row: Mapping[str, Any]) -> dict[str, Any]:
    feed = FEEDS.get((row["source"], row["feed"]))
    changed = person.erased_raw(feed, row["row"]) if feed else {}
    return {"row": changed} if changed else {}


def _restated(person: Person, row: Mapping[str, Any]) -> dict[str, Any]:
    """A cell of a mart, told with its column's name and the key of its row."""

    def erased(column: str, value: Any) -> Any:
        if _NAMES_MEMBER.fullmatch(column) and (person.is_own(value) or value in person.exclusive):
            return person.names[value]
        return value if column in NEVER_RENAMED else person.scrub(value)

    changes = {
        "grain_key": {column: erased(column, value) for column, value in row["grain_key"].items()},
        "old_value": erased(row["column_name"], row["old_value"]),
        "new_value": erased(row["column_name"], row["new_value"]),
        "cause": person.scrub(row["cause"]),
    }
    return {column: value for column, value in changes.items() if value != row[column]}


def _names_in_raw() -> list[str]:
    """The columns of raw tables that name a member or hold a token."""
    return sorted(
        {
            column.raw_name
            for feed in FEEDS.values()
            for column in feed.columns
            if column.names_member or column.personal
        }
    )


def _says(pattern: Any, value: Any) -> bool:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return value is not None and pattern.search(text) is not None


def _as_text(table: Table, column: str) -> sql.Composable:
    name = sql.SQL("t.{}").format(sql.Identifier(column))
    return name if table.types[column] == "text" else sql.SQL("{}::text").format(name)


def _like(table: Table, column: str, argument: str) -> sql.Composable:
    return sql.SQL("lower({}) like any({})").format(_as_text(table, column), sql.Placeholder(argument))


def _likes(words: Sequence[str]) -> list[str]:
    return ["%" + word.lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%" for word in words]


def _update(conn: psycopg.Connection[Any], table: Table, updates: Sequence[tuple[str, dict[str, Any]]]) -> None:
    with conn.cursor() as cursor:
        for columns in {tuple(changes) for _, changes in updates}:
            statement = sql.SQL("update {} set {} where ctid = %s::tid").format(
                sql.Identifier(table.schema, table.name),
                sql.SQL(", ").join(
                    # of a row in quarantine only what changes is written: numbers stay as they were sent
                    sql.SQL(
                        "{0} = {0} || %s::jsonb" if table.schema == "quarantine" and column == "row" else "{} = %s::{}"
                    ).format(sql.Identifier(column), _type(table.types[column]))
                    for column in columns
                ),
            )
            cursor.executemany(
                statement,
                [
                    (*(_stored(table.types[column], changes[column]) for column in columns), ctid)
                    for ctid, changes in updates
                    if tuple(changes) == columns
                ],
            )


def _type(type_name: str) -> sql.SQL:
    return sql.SQL("text[]" if type_name == "_text" else type_name)


def _stored(type_name: str, value: Any) -> str | None:
    return json.dumps(value, ensure_ascii=False) if type_name in _JSON and value is not None else value


def _vaulted(conn: psycopg.Connection[Any], person: Person, *, write: bool) -> int:
    """What the vault keeps of the member and nobody else."""
    cursor = conn.execute(
        "delete from vault.personal_value where token = any(%s)"
        if write
        else "select from vault.personal_value where token = any(%s)",
        (sorted(person.exclusive),),
    )
    return cursor.rowcount


def _keep_holds(conn: psycopg.Connection[Any], person: Person) -> None:
    """A phone that two members showed one after the other was the first one's until the other showed it: it stays so
    when the rows of one of them get another token."""
    if not person.shared:
        return
    conn.execute(
        """
        with periods as (
            select identifier as token, valid_from, valid_to, member_id = any(%(ids)s) as is_erased
            from history.bridge_identity__open
            where identifier = any(%(shared)s)
        )
        insert into ops.erased_hold (token, held_to)
        select case when this.is_erased then %(names)s::jsonb ->> this.token else this.token end, this.valid_to
        from periods as this
        where
            this.valid_to < date '9999-12-31'
            and (
                this.is_erased
                or exists (
                    select 1 from periods as other
                    where other.token = this.token and other.is_erased and other.valid_from = this.valid_to
                )
            )
        on conflict do nothing
        """,
        {
            "ids": list(person.ids),
            "shared": sorted(person.shared),
            "names": json.dumps({token: person.names[token] for token in person.shared}),
        },
    )


def _keep_approvals(conn: psycopg.Connection[Any], person: Person) -> None:
    """An enrolment that a person approved stays approved under its tombstone."""
    if conn.execute("select to_regclass('intermediate.approved_enrolments')").fetchone() != (None,):
        conn.execute(
            "insert into ops.erased_approval (card_no) select card_no from intermediate.approved_enrolments"
            " where card_no = any(%s) on conflict do nothing",
            (list(person.names.values()),),
        )
