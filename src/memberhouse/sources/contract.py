"""The words in which a feed is declared: its columns, its key, its rules."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Kind = Literal[
    "text",
    "note",
    "date",
    "timestamp",
    "time",
    "timezone",
    "integer",
    "money",
    "price",
    "quantity",
    "boolean",
    "choice",
    "json",
]

Personal = Literal["phone", "email", "openid", "name", "birthday"]
Whose = Literal["own", "other"]


@dataclass(frozen=True)
class Column:
    """One column of a feed.

    required: the file must have the column and every row a value.
    personal: what of a person it is; the value goes to the vault, ``raw`` has a token in ``<name>_token``.
    names_member: it holds a card number or an account id: of the member whom the row is about (own), or of another
        one whom it mentions. An erasure goes by it.
    choices: the values a ``choice`` may have.
    may_be_future: a timestamp that is allowed to lie after the moment the batch was produced.
    """

    name: str
    kind: Kind = "text"
    required: bool = False
    personal: Personal | None = None
    names_member: Whose | None = None
    choices: tuple[str, ...] = ()
    may_be_future: bool = False
    meaning: str = ""

    @property
    def raw_name(self) -> str:
        """The column's name in the raw table."""
        return f"{self.name}_token" if self.personal else self.name


@dataclass(frozen=True)
class Rule:
    """A format rule over one row: rows for which `broken_when` is true are quarantined.

    broken_when: an SQL condition over the feed's columns; NULL counts as kept.
    """

    code: str
    column: str
    broken_when: str
    sentence: str


@dataclass(frozen=True)
class Feed:
    """A declared feed.

    key: the columns that identify a row within a business date; the first one is the row's subject.
    version: the column by which a later row of the same key replaces an earlier one (staging keeps
        the highest); without it a second row of the same key with other content is quarantined.
    once: a row (its key and version) counts once, however many deliveries have it, on whatever dates:
        incremental extracts overlap.
    money: the column that control totals are taken over.
    store: the column that must name a known store.
    traded_at: the timestamp that the business date must agree with.
    lookups: columns by whose values builds look rows up; each gets an index, of rows that have a value.
    by_date: builds look rows up by business_date, and rows of a date lie together.
    """

    source: str
    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    meaning: str
    version: str | None = None
    once: bool = False
    money: str | None = None
    store: str | None = None
    traded_at: str | None = None
    rules: tuple[Rule, ...] = ()
    lookups: tuple[str, ...] = ()
    by_date: bool = False

    @property
    def raw_table(self) -> str:
        """The table's name within the schema ``raw``."""
        return f"{self.source}__{self.name}"

    @property
    def is_register(self) -> bool:
        """Whether a row says what belongs to a person (an enrolment, an account): its key is that person."""
        return len(self.key) == 1 and any(column.personal for column in self.columns)

    @property
    def batch_index(self) -> str:
        """The name of the raw table's index on ``_batch_id``."""
        return f"{self.raw_table}__batch"

    @property
    def identity(self) -> tuple[str, ...]:
        """The columns by which two rows are the same row: the key, and the version if there is one."""
        return (*self.key, *([self.version] if self.version else []))

    def column(self, name: str) -> Column | None:
        """The declared column of this name, or None."""
        return next((column for column in self.columns if column.name == name), None)


def required(name: str, kind: Kind = "text", meaning: str = "", choices: tuple[str, ...] = ()) -> Column:
    """A column that every row must have a value in."""
    return Column(name, kind, required=True, meaning=meaning, choices=choices)


def personal(name: str, what: Personal) -> Column:
    """A column of personal values; what: the kind of value, by which feeds agree on a phone or an address."""
    return Column(name, "date" if what == "birthday" else "text", personal=what, meaning="personal: in the vault")


def names_member(column: Column, whose: Whose = "own") -> Column:
    """The column, declared to hold a card number or an account id."""
    return replace(column, names_member=whose)


RECEIPT_TYPES = ("sale", "return", "exchange", "void")
RECEIPT_KEY = ("store_id", "register_id", "business_date", "receipt_no", "receipt_type")
CHANNELS_OF_SALE = ("store", "app", "mini_program")


def receipt_reference() -> tuple[Column, ...]:
    """The columns with which a row of the app points at a receipt; all empty: at none."""
    return (
        Column("store_id"),
        Column("register_id"),
        Column("business_date", "date"),
        Column("receipt_no"),
        Column("receipt_type", "choice", choices=RECEIPT_TYPES),
    )
