"""Whom an erasure is about: every id, token and personal value of one member, and what comes in their place."""

from __future__ import annotations

import csv
import json
import re
import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any

import psycopg
from psycopg import sql

from memberhouse.errors import MemberhouseError
from memberhouse.sources.contract import RECEIPT_KEY, Feed
from memberhouse.sources.feeds import FEEDS
from memberhouse.vault import Tokens
from memberhouse.vault.tokens import IDENTIFIERS, plain

PREFIX = "erased-"
# What comes in the place of a name in a text.
ERASED = "(erased)"
# A shorter id is not told from other numbers: it is looked for only where ids are declared to be.
SHORTEST_TELLING = 6

# What identifies a receipt, and the receipt that comes back: never changed, because totals and links hang on it.
RECEIPT_COLUMNS = frozenset({*RECEIPT_KEY, *(f"original_{name}" for name in RECEIPT_KEY)})
_STORES_AND_STAFF = {"cashier_id", "service_staff_id", "service_store_id"}


def _names_of_no_member() -> frozenset[str]:
    """The columns of feeds that name no member, but for those by which their rows tell more of a member's row."""
    with_members = [feed for feed in FEEDS.values() if any(column.names_member for column in feed.columns)]
    rows_of_members = {feed.key[0] for feed in with_members if len(feed.key) == 1}
    of_others = {column.name for feed in FEEDS.values() if feed not in with_members for column in feed.columns}
    return frozenset((of_others - rows_of_members) | _STORES_AND_STAFF | RECEIPT_COLUMNS)


# Keys of what belongs to the whole chain (receipts, products, staff): an id within one is a coincidence.
NEVER_RENAMED = _names_of_no_member()

_NO_EDGE_OF_WORD = "0-9A-Za-z"

# Ids that links in force connect, and the ids that links which have ended once connected with them. By the rules of
# staging: of what was recorded for a link the last word counts, and one that ends when it begins never was.
_CONNECTED = """
with recursive newest as (
    select distinct on (link.account_id, link.card_no, link.valid_from::timestamptz)
        link.account_id,
        link.card_no,
        nullif(link.survivor_account_id, link.account_id) as survivor_account_id,
        link.valid_from::timestamptz as linked_at,
        link.valid_to::timestamptz as ended_at
    from raw.app__identity_links as link
    inner join ops.batch as batch on link._batch_id = batch.batch_id and batch.state = 'loaded'
    order by
        link.account_id, link.card_no, link.valid_from::timestamptz,
        link.recorded_at::timestamptz desc, batch.business_date desc, link._batch_id desc, link._line_no desc
),

links as (
    select *, (ended_at::date <= %(as_of)s::date) is not true as is_in_force
    from newest
    where (ended_at::date <= linked_at::date) is not true
),

edges as (
    select account_id as id, other.id as other_id, is_in_force
    from links
    cross join lateral (values (card_no), (survivor_account_id)) as other (id)
    where other.id is not null
    union
    select other.id, account_id, is_in_force
    from links
    cross join lateral (values (card_no), (survivor_account_id)) as other (id)
    where other.id is not null
),

reached as (
    select unnest(%(ids)s::text[]) as id
    union
    select edges.other_id
    from reached
    inner join edges on reached.id = edges.id and edges.is_in_force
)

select
    (select array_agg(id order by id) from reached),
    (
        select coalesce(array_agg(distinct edges.other_id), '{}')
        from edges
        where edges.id in (select id from reached) and edges.other_id not in (select id from reached)
    )
"""


class UnknownMember(MemberhouseError):
    """Nobody is known by what was given, which the message does not repeat: it may be a phone number."""


@dataclass(frozen=True)
class Person:
    """One member, and the names that come in the place of its own.

    names: each id and token → its tombstone. Tombstones of the ids are in the order of the ids, so that what is
    decided by the order of one member's ids stays as it was.
    ids: card numbers and account ids. linked_before: ids that a link which has ended once connected with them; they
    are somebody's own, and are not erased. known_ids: those of the ids by which receipts find the member.
    shared: tokens that another person's enrolment or account has, too: they and their values stay there.
    values: phone numbers, addresses and open ids that are nobody else's, plain. own_values: names and birthdays;
    others have the same, so they are looked for only where a row is the member's own.
    """

    ids: tuple[str, ...]
    names: Mapping[str, str]
    known_ids: frozenset[str] = frozenset()
    linked_before: tuple[str, ...] = ()
    tokens: frozenset[str] = frozenset()
    shared: frozenset[str] = frozenset()
    values: frozenset[str] = frozenset()
    own_values: frozenset[str] = frozenset()
    # when a shared phone was the member's: by token, first and last day
    held: Mapping[str, Sequence[tuple[date, date]]] = field(default_factory=dict)
    # keys in the member's own rows that are made of an id and more: other rows may point there
    composed: frozenset[str] = frozenset()

    @cached_property
    def exclusive(self) -> frozenset[str]:
        """Tokens that nobody else has."""
        return self.tokens - self.shared

    @cached_property
    def contacts(self) -> tuple[str, ...]:
        """Tokens and values by which the member is found in any text."""
        return tuple(sorted(self.exclusive | {value for value in self.values if len(value) >= SHORTEST_TELLING}))

    @cached_property
    def telling_ids(self) -> tuple[str, ...]:
        """Ids long enough to be found in any text."""
        return tuple(name for name in self.ids if len(name) >= SHORTEST_TELLING)

    @cached_property
    def in_text(self) -> re.Pattern[str]:
        """Finds the member in any text."""
        return _pattern((*self.contacts, *self.telling_ids))

    @cached_property
    def contact_in_text(self) -> re.Pattern[str]:
        """Finds the member in a text that may hold other numbers like an id."""
        return _pattern(self.contacts)

    @cached_property
    def _in_own_text(self) -> re.Pattern[str]:
        return _pattern((*self.contacts, *self.ids, *self.own_values))

    def is_own(self, value: Any) -> bool:
        """Whether a value is one of the member's ids."""
        return value is not None and str(value) in self._ids

    def renamed(self, column: str, value: Any, *, own: bool) -> Any:
        """A key that is made of one of the member's ids and something else, such as a lot of points, with the
        tombstone in it; any other value as it is. A value that equals an id is a coincidence here, and so is an id
        in a key of the whole chain's, or in a row that is not the member's own."""
        if not isinstance(value, str) or self.is_own(value) or column in NEVER_RENAMED:
            return value
        if not own and value not in self.composed:
            return value
        return self._id_in_text.sub(lambda found: self._by_small_id[found[0].lower()], value)

    @cached_property
    def _id_in_text(self) -> re.Pattern[str]:
        return _pattern(self.telling_ids)

    @cached_property
    def _by_small_id(self) -> Mapping[str, str]:
        return {name.lower(): self.names[name] for name in self.ids}

    @cached_property
    def _ids(self) -> frozenset[str]:
        return frozenset(self.ids)

    def scrub(self, value: Any, *, own: bool = False) -> Any:
        """A text or JSON value without the member. own: it stands in a row of the member's."""
        if isinstance(value, str):
            return (self._in_own_text if own else self.in_text).sub(ERASED, value)
        if isinstance(value, bool) or value is None:
            return value
        if isinstance(value, int | float):
            return ERASED if self.in_text.search(str(value)) else value
        if isinstance(value, list):
            return [self.scrub(each, own=own) for each in value]
        if isinstance(value, dict):
            return {self.scrub(key, own=own): self.scrub(each, own=own) for key, each in value.items()}
        return value

    # ---------------------------------------------------------------- rows of a feed

    def owns(self, feed: Feed, row: Mapping[str, Any]) -> bool:
        """Whether a row is the member's own."""
        return any(self.is_own(row.get(column.name)) for column in feed.columns if column.names_member == "own")

    def erased_raw(self, feed: Feed, row: Mapping[str, Any]) -> dict[str, Any]:
        """Of a row as it lies in the raw table: the columns that change, with what they become."""
        own = self.owns(feed, row)
        changed: dict[str, Any] = {}
        for name, value in row.items():
            if value is None or name in ("_batch_id", "_file_no", "_line_no"):
                continue
            column = _raw_columns(feed).get(name)
            new = value
            if column is None:
                new = None if own else self.scrub(value)
            elif column.names_member:
                new = self.names.get(value, value) if self.is_own(value) else value
            elif column.personal:
                if value in self.exclusive or (value in self.shared and self._held_it(feed, row, value)):
                    new = self.names[value]
            elif column.kind in ("note", "json"):
                new = self.scrub(value, own=own)
            else:
                new = self.renamed(name, value, own=own)
            if new != value:
                changed[name] = new
        return changed

    def _held_it(self, feed: Feed, row: Mapping[str, Any], token: str) -> bool:
        """Whether a shared token means this member on a row: its enrolment or account; its receipt by a card or
        account, which finds the member without the phone; a receipt by nothing but the phone, when it was its."""
        if feed.is_register:
            return self.owns(feed, row)
        named = [row.get(column.name) for column in feed.columns if column.names_member == "own"]
        if any(str(value) in self.known_ids for value in named if value is not None):
            return True
        day = row.get("business_date")
        return (
            day is not None
            and not any(value is not None and not self.is_own(value) for value in named)
            and any(first <= date.fromisoformat(str(day)) < last for first, last in self.held.get(token, ()))
        )

    def erased_landed(self, feed: Feed, row: Mapping[str, Any]) -> dict[str, Any]:
        """Of a row as it lies in a landed file: the columns that change; an empty text is a blank."""
        own = self.owns(feed, row)
        changed: dict[str, Any] = {}
        for name, value in row.items():
            if value is None or value == "":
                continue
            column = feed.column(name)
            new: Any = value
            if column is None:
                new = "" if own else self.scrub(value)
            elif column.names_member:
                new = self.names[str(value)] if self.is_own(value) else value
            elif column.personal:
                if own or (column.personal in IDENTIFIERS and plain(column.personal, str(value)) in self.values):
                    new = ""
            elif column.kind in ("note", "json"):
                new = self.scrub(value, own=own)
            else:
                new = self.renamed(name, value, own=own)
            if new != value:
                changed[name] = new
        return changed

    def stands_in_fields(self, raw_text: str) -> bool:
        """Whether a line that can't be taken apart by its header has an id among its fields, or the member in it."""
        if self.in_text.search(raw_text):
            return True
        try:
            fields: list[Any] = next(csv.reader([raw_text]), [])
        except csv.Error:
            fields = raw_text.split(",")
        if raw_text.startswith("{"):
            try:
                row = json.loads(raw_text)
            except ValueError:
                row = {}
            fields = list(row.values())
        return any(self.is_own(value) for value in fields if isinstance(value, str | int))


def identify(conn: psycopg.Connection[Any], tokens: Tokens, member: str) -> Person:
    """Everything that belongs to the member whom `member` names: a member id, a card number, an account id, or a
    phone number or e-mail address in the vault.

    Connected are the ids that are one member as of the newest release's date. Raises UnknownMember for a tombstone,
    MemberhouseError for a phone or address that several members have. An id that nothing knows gives a person of that
    id alone: whether it is anywhere is for the search to say.
    """
    member = member.strip()
    if not member or member.startswith(PREFIX):
        raise UnknownMember(
            "What was given names nobody: it is empty, or what came in the place of somebody who was erased.",
            "name the member by a member id, card number, account id, phone number or e-mail address",
        )
    ids = [member]
    if not _is_id(conn, member):
        ids = _holders(conn, member) or ids
    connected, before = _connected(conn, ids)
    if len({frozenset(_connected(conn, [one])[0]) for one in ids}) > 1:
        raise MemberhouseError(
            f"What was given is of {len(ids)} ids that are not one member.",
            "name the member by a card number or an account id",
        )
    own_tokens, vaulted = _tokens(conn, tokens, connected)
    values = {(what, value) for what, value in vaulted if what in IDENTIFIERS}
    shared_values = _shared(conn, connected, vaulted)
    shared = frozenset(token for pair in shared_values for token in vaulted[pair])
    return Person(
        ids=tuple(connected),
        names=_tombstones(conn, connected) | {token: PREFIX + secrets.token_hex(16) for token in own_tokens},
        known_ids=frozenset(_in_bridge(conn, connected)),
        linked_before=tuple(before),
        tokens=frozenset(own_tokens),
        shared=shared,
        values=frozenset(value for what, value in values - shared_values),
        own_values=frozenset(value for what, value in vaulted if what not in IDENTIFIERS and len(value) > 1),
        held=_held(conn, connected, shared),
        composed=frozenset(_composed(conn, connected)),
    )


def member_feeds() -> Iterator[tuple[Feed, list[str]]]:
    """The feeds of which rows are members' own, with the columns that say whose."""
    for feed in FEEDS.values():
        columns = [column.name for column in feed.columns if column.names_member == "own"]
        if columns:
            yield feed, columns


def token_columns(feed: Feed) -> list[str]:
    """The columns of a raw table that hold tokens."""
    return [column.raw_name for column in feed.columns if column.personal]


def _raw_columns(feed: Feed) -> Mapping[str, Any]:
    return {column.raw_name: column for column in feed.columns}


def _pattern(words: Collection[str]) -> re.Pattern[str]:
    """Finds any of the words, not as parts of longer ones; nothing when there are none."""
    if not words:
        return re.compile(r"(?!)")
    # a word that begins within another must not hide it
    longest_first = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    return re.compile(rf"(?<![{_NO_EDGE_OF_WORD}])(?:{longest_first})(?![{_NO_EDGE_OF_WORD}])", re.IGNORECASE)


def _is_id(conn: psycopg.Connection[Any], member: str) -> bool:
    for feed, columns in member_feeds():
        if conn.execute(
            sql.SQL("select exists (select 1 from {} where %s in ({}))").format(
                sql.Identifier("raw", feed.raw_table), sql.SQL(", ").join(map(sql.Identifier, columns))
            ),
            (member,),
        ).fetchone() == (True,):
            return True
    return False


def _holders(conn: psycopg.Connection[Any], contact: str) -> list[str]:
    """The cards and accounts whose enrolment or account shows a phone number or an e-mail address."""
    wanted = {plain("phone", contact), plain("email", contact), contact}
    tokens = [
        token
        for (token,) in conn.execute(
            "select token from vault.personal_value where what in ('phone', 'email', 'openid') and value = any(%s)",
            (list(wanted),),
        )
    ]
    found: set[str] = set()
    for feed, _ in member_feeds():
        if feed.is_register:
            for column in token_columns(feed):
                found |= {
                    holder
                    for (holder,) in conn.execute(
                        sql.SQL("select distinct {} from {} where {} = any(%s)").format(
                            sql.Identifier(feed.key[0]),
                            sql.Identifier("raw", feed.raw_table),
                            sql.Identifier(column),
                        ),
                        (tokens,),
                    )
                }
    return sorted(found)


def _connected(conn: psycopg.Connection[Any], ids: Sequence[str]) -> tuple[list[str], list[str]]:
    with conn.transaction():
        zone = conn.execute(
            "select coalesce((select timezone from ops.known_store where store_id = 'APP'), 'Asia/Shanghai')"
        ).fetchone()
        conn.execute("select set_config('timezone', %s, true)", zone)
        as_of = conn.execute(
            "select coalesce((select max(as_of_date) from release.release where state = 'built'), current_date)"
        ).fetchone()
        assert as_of is not None  # noqa: S101  (a select without from has a row)
        row = conn.execute(_CONNECTED, {"ids": list(ids), "as_of": as_of[0]}).fetchone()
    assert row is not None  # noqa: S101  (the same)
    return row[0], row[1]


def _tokens(
    conn: psycopg.Connection[Any], tokens: Tokens, ids: Sequence[str]
) -> tuple[set[str], dict[tuple[str, str], set[str]]]:
    """The tokens of the ids, and what of them is in the vault: kind and value → its tokens, of all keys."""
    found: set[str] = set()
    for feed, columns in member_feeds():
        for token in token_columns(feed):
            found |= {
                value
                for (value,) in conn.execute(
                    sql.SQL(
                        "select {token} from {table} where {token} is not null and array[{own}] && %(ids)s::text[]"
                        " union"
                        " select row ->> {name} from quarantine.rejected_row where (source, feed) = (%(source)s,"
                        " %(feed)s) and row ->> {name} is not null and array[{in_row}] && %(ids)s::text[]"
                        " union"
                        " select twin.row ->> {name} from quarantine.duplicate_row as twin inner join ops.batch as b"
                        " on twin.batch_id = b.batch_id where (b.source, b.feed) = (%(source)s, %(feed)s)"
                        " and twin.row ->> {name} is not null and array[{in_twin}] && %(ids)s::text[]"
                    ).format(
                        token=sql.Identifier(token),
                        table=sql.Identifier("raw", feed.raw_table),
                        name=sql.Literal(token),
                        own=sql.SQL(", ").join(map(sql.Identifier, columns)),
                        in_row=sql.SQL(", ").join(sql.SQL("row ->> {}").format(sql.Literal(c)) for c in columns),
                        in_twin=sql.SQL(", ").join(sql.SQL("twin.row ->> {}").format(sql.Literal(c)) for c in columns),
                    ),
                    {"ids": list(ids), "source": feed.source, "feed": feed.name},
                )
            }
    vaulted: dict[tuple[str, str], set[str]] = {}
    rows = conn.execute(
        "with mine as (select * from vault.personal_value where token = any(%(tokens)s))"
        " select token, what, value from mine"
        # the same phone under another key
        " union select other.token, other.what, other.value from vault.personal_value as other"
        " inner join mine on other.what = mine.what and other.value = mine.value"
        " where mine.what = any(%(identifiers)s)",
        {"tokens": list(found), "identifiers": list(IDENTIFIERS)},
    ).fetchall()
    # names and birthdays of rows that got no further than the quarantine: nothing but the key leads to them
    with conn.transaction(), conn.cursor("names_and_birthdays") as cursor:
        cursor.execute(
            "select token, what, value from vault.personal_value where what <> all(%s)", (list(IDENTIFIERS),)
        )
        for token, what, value in cursor:
            if any(tokens.token(what, value, subject) == token for subject in ids):
                rows.append((token, what, value))
    for token, what, value in rows:
        vaulted.setdefault((what, value), set()).add(token)
        found.add(token)
    return found, vaulted


def _shared(
    conn: psycopg.Connection[Any], ids: Sequence[str], vaulted: Mapping[tuple[str, str], set[str]]
) -> set[tuple[str, str]]:
    """The values that an enrolment, an account or a member of staff besides these ids has, too."""
    wanted = {token: pair for pair, tokens in vaulted.items() if pair[0] in IDENTIFIERS for token in tokens}
    shared: set[tuple[str, str]] = set()
    for feed in FEEDS.values():
        if not feed.is_register:
            continue
        for column in token_columns(feed):
            shared |= {
                wanted[token]
                for (token,) in conn.execute(
                    sql.SQL("select distinct {token} from {table} where {token} = any(%s) and {key} <> all(%s)").format(
                        token=sql.Identifier(column),
                        table=sql.Identifier("raw", feed.raw_table),
                        key=sql.Identifier(feed.key[0]),
                    ),
                    (list(wanted), list(ids)),
                )
            }
    return shared


def _in_bridge(conn: psycopg.Connection[Any], ids: Sequence[str]) -> list[str]:
    if not _has_bridge(conn):
        return []
    return [
        name
        for (name,) in conn.execute(
            "select distinct identifier from history.bridge_identity__open where identifier = any(%s)", (list(ids),)
        )
    ]


def _held(
    conn: psycopg.Connection[Any], ids: Sequence[str], shared: Collection[str]
) -> dict[str, list[tuple[date, date]]]:
    held: dict[str, list[tuple[date, date]]] = {}
    if shared and _has_bridge(conn):
        for token, valid_from, valid_to in conn.execute(
            "select identifier, valid_from, valid_to from history.bridge_identity__open"
            " where identifier = any(%s) and member_id = any(%s)",
            (list(shared), list(ids)),
        ):
            held.setdefault(token, []).append((valid_from, valid_to))
    return held


def _composed(conn: psycopg.Connection[Any], ids: Sequence[str]) -> Iterator[str]:
    within = _pattern([name for name in ids if len(name) >= SHORTEST_TELLING])
    for feed, own in member_feeds():
        keys = [
            column.name
            for column in feed.columns
            if column.kind == "text"
            and not (column.names_member or column.personal)
            and column.name not in NEVER_RENAMED
        ]
        if keys:
            rows = conn.execute(
                sql.SQL("select distinct unnest(array[{}]) from {} where array[{}] && %s::text[]").format(
                    sql.SQL(", ").join(map(sql.Identifier, keys)),
                    sql.Identifier("raw", feed.raw_table),
                    sql.SQL(", ").join(map(sql.Identifier, own)),
                ),
                (list(ids),),
            )
            yield from (value for (value,) in rows if value is not None and within.search(value))


def _has_bridge(conn: psycopg.Connection[Any]) -> bool:
    return conn.execute("select to_regclass('history.bridge_identity__open') is not null").fetchone() == (True,)


def _tombstones(conn: psycopg.Connection[Any], ids: Sequence[str]) -> dict[str, str]:
    """A random name for each id, in the order of the ids as the database sorts them."""
    rows = conn.execute(
        "select id, tombstone from"
        " (select id, row_number() over (order by id) as place from unnest(%s::text[]) as id) as ids"
        " inner join (select tombstone, row_number() over (order by tombstone) as place"
        " from unnest(%s::text[]) as tombstone) as tombstones using (place)",
        (list(ids), [PREFIX + secrets.token_hex(16) for _ in ids]),
    ).fetchall()
    return dict(rows)
