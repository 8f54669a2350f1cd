"""The feeds: what a retailer sends, declared once.

Everything else about a feed is derived from its declaration here: the raw table, the loader's
checks, the JSON Schema and the page docs/sources.md. To add a feed, add a declaration.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import psycopg
from psycopg import sql

Kind = Literal[
    "text",
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
]

# Domains rather than numeric(14, 2): a type modifier rounds in silence, a domain's check refuses the
# value, and COPY reports a refused value with its line and column. NaN and the infinities are outside
# every range. scale() comes first because it is cheap; only 1.500 needs the rounding.
_DOMAINS: Mapping[str, str] = {
    "money": ("numeric check (value between -1e12 and 1e12 and (scale(value) <= 2 or value = round(value, 2)))"),
    "price": ("numeric check (value between -1e12 and 1e12 and (scale(value) <= 4 or value = round(value, 4)))"),
    "quantity": ("numeric check (value between -1e9 and 1e9 and (scale(value) <= 3 or value = round(value, 3)))"),
    "iso_timestamp": (
        r"text check (value ~ '^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d(:?\d\d)?)?$'"
        " and pg_input_is_valid(value, 'timestamptz'))"
    ),
    "timezone": (
        "text check (value ~ '^[A-Za-z_]+(/[A-Za-z0-9_+-]+)*$'"
        " and pg_input_is_valid('2000-01-01 00:00 ' || value, 'timestamptz'))"
    ),
}

# A batch's rows lie together, so the index on _batch_id is a BRIN: it costs a load next to nothing,
# where a b-tree took a quarter of its time.
_PAGES_PER_RANGE = 16

_SQL_TYPES: Mapping[Kind, str] = {
    "text": "text",
    "date": "date",
    "timestamp": "raw.iso_timestamp",
    "time": "time",
    "timezone": "raw.timezone",
    "integer": "integer",
    "money": "raw.money",
    "price": "raw.price",
    "quantity": "raw.quantity",
    "boolean": "boolean",
    "choice": "text",
}


@dataclass(frozen=True)
class Column:
    """One column of a feed.

    required: the file must have the column and every row a value.
    personal: personal data; it is not loaded into ``raw``.
    choices: the values a ``choice`` may have.
    may_be_future: a timestamp that is allowed to lie after the moment the batch was produced.
    """

    name: str
    kind: Kind = "text"
    required: bool = False
    personal: bool = False
    choices: tuple[str, ...] = ()
    may_be_future: bool = False
    meaning: str = ""


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

    key: the columns that identify a row within a business date.
    version: the column by which a later row of the same key replaces an earlier one (staging keeps
        the highest); without it a second row of the same key with other content is quarantined.
    money: the column that control totals are taken over.
    store: the column that must name a known store.
    traded_at: the timestamp that the business date must agree with.
    """

    source: str
    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    meaning: str
    version: str | None = None
    money: str | None = None
    store: str | None = None
    traded_at: str | None = None
    rules: tuple[Rule, ...] = ()

    @property
    def raw_table(self) -> str:
        """The table's name within the schema ``raw``."""
        return f"{self.source}__{self.name}"

    @property
    def batch_index(self) -> str:
        """The name of the raw table's index on ``_batch_id``."""
        return f"{self.raw_table}__batch"

    @property
    def loaded_columns(self) -> tuple[Column, ...]:
        """The columns that ``raw`` holds: all but the personal ones."""
        return tuple(column for column in self.columns if not column.personal)

    def column(self, name: str) -> Column | None:
        """The declared column of this name, or None."""
        return next((column for column in self.columns if column.name == name), None)


def _required(name: str, kind: Kind = "text", meaning: str = "", choices: tuple[str, ...] = ()) -> Column:
    return Column(name, kind, required=True, meaning=meaning, choices=choices)


def _personal(name: str, kind: Kind = "text") -> Column:
    return Column(name, kind, personal=True, meaning="personal data")


_RECEIPT_TYPES = ("sale", "return", "exchange", "void")
_RECEIPT_KEY = ("store_id", "register_id", "business_date", "receipt_no", "receipt_type")
_RECEIPT_KEY_COLUMNS = (
    _required("store_id"),
    _required("register_id", meaning="the till"),
    _required("business_date", "date", "the trading date, not the calendar date of the sale"),
    _required("receipt_no"),
    _required("receipt_type", "choice", choices=_RECEIPT_TYPES),
)


def _positive_in_return(column: str) -> Rule:
    return Rule(
        code="positive_in_return",
        column=column,
        broken_when=f"receipt_type in ('return', 'void') and {column} > 0",
        sentence=f"a return or a void has a positive {column}; returns and voids carry values of 0 or less",
    )


_ALL = (
    Feed(
        source="pos",
        name="receipts",
        meaning="one row per receipt",
        columns=(
            *_RECEIPT_KEY_COLUMNS,
            Column("revision", "integer", meaning="0 or absent: the first issue of the receipt"),
            _required("sold_at", "timestamp", "offset optional: then the store's zone"),
            Column("cashier_id"),
            Column("member_card_no"),
            _personal("member_phone"),
            Column("account_id"),
            Column("channel", "choice", choices=("store", "app", "mini_program")),
            Column("is_training", "boolean"),
            Column("is_staff_sale", "boolean"),
            Column("is_wholesale", "boolean"),
            Column("original_receipt_no"),
            Column("original_business_date", "date"),
            Column("original_store_id"),
            Column("original_register_id"),
            Column("gross_amount", "money", meaning="before discounts, tax-inclusive"),
            Column("discount_amount", "money"),
            _required("net_amount", "money", "after all discounts, tax-inclusive"),
        ),
        key=_RECEIPT_KEY,
        version="revision",
        money="net_amount",
        store="store_id",
        traded_at="sold_at",
        rules=(_positive_in_return("gross_amount"), _positive_in_return("net_amount")),
    ),
    Feed(
        source="pos",
        name="receipt_lines",
        meaning="one row per line of a receipt",
        columns=(
            *_RECEIPT_KEY_COLUMNS,
            _required("line_no", "integer"),
            _required("sku"),
            _required("quantity", "quantity", "units; negative in returns"),
            Column("unit_price", "price", meaning="before discounts"),
            Column("discount_amount", "money"),
            _required("net_amount", "money", "quantity × unit_price − discount_amount"),
            Column("staff_id"),
            Column("is_merchandise", "boolean", meaning="false for bags, deposits, gift cards, freight"),
            Column("returns_line_no", "integer", meaning="the line of the original receipt that comes back"),
        ),
        key=(*_RECEIPT_KEY, "line_no"),
        money="net_amount",
        store="store_id",
        rules=(
            Rule(
                code="negative_in_sale",
                column="quantity",
                broken_when="receipt_type = 'sale' and quantity < 0",
                sentence="a sale has a negative quantity; what comes back is a return or an exchange",
            ),
            _positive_in_return("quantity"),
            _positive_in_return("net_amount"),
        ),
    ),
    Feed(
        source="pos",
        name="tenders",
        meaning="one row per means of payment of a receipt",
        columns=(
            *_RECEIPT_KEY_COLUMNS,
            _required("tender_no", "integer"),
            _required(
                "tender_type",
                "choice",
                choices=(
                    "cash",
                    "card",
                    "wechat",
                    "alipay",
                    "points",
                    "stored_value",
                    "gift_card",
                    "voucher",
                ),
            ),
            _required("amount", "money"),
            Column("is_settled", "boolean"),
        ),
        key=(*_RECEIPT_KEY, "tender_no"),
        money="amount",
        store="store_id",
        rules=(_positive_in_return("amount"),),
    ),
    Feed(
        source="pos",
        name="z_totals",
        meaning="one row per till and business date: the till's own closing totals",
        columns=(
            _required("store_id"),
            _required("register_id"),
            _required("business_date", "date"),
            _required("receipts", "integer", "sales, returns and exchanges; not voided, not training"),
            _required("net_amount", "money"),
        ),
        key=("store_id", "register_id", "business_date"),
        money="net_amount",
        store="store_id",
    ),
    Feed(
        source="pos",
        name="enrolments",
        meaning="one row per member who joined",
        columns=(
            _required("card_no"),
            _personal("phone"),
            _required("enrolled_at", "timestamp"),
            _required("store_id", meaning="the store that recruited the member"),
            Column("staff_id"),
            Column("channel", "choice", choices=("store", "app", "mini_program")),
            Column("method", meaning="how the member joined; 'assumed' when it is derived from a purchase"),
            Column("offer_code"),
            _personal("name"),
            Column("gender"),
            _personal("birthday", "date"),
            Column("city"),
        ),
        key=("card_no",),
        store="store_id",
    ),
    Feed(
        source="pos",
        name="member_status",
        meaning="one row per change of a member's status",
        columns=(
            _required("card_no"),
            _required(
                "status",
                "choice",
                choices=("closed", "reopened", "blocked", "unblocked", "staff", "not_staff", "test"),
            ),
            _required("at", "timestamp"),
        ),
        key=("card_no", "status", "at"),
    ),
    Feed(
        source="reference",
        name="stores",
        meaning="one row per store, the whole list",
        columns=(
            _required("store_id"),
            Column("name"),
            Column("region"),
            Column("city"),
            Column("format"),
            _required("timezone", "timezone", "IANA name, for instance Asia/Shanghai"),
            _required("day_cutoff", "time", "sales before this time belong to yesterday"),
            Column("opened_on", "date"),
            Column("closed_on", "date"),
            Column("supervisor_id"),
        ),
        key=("store_id",),
    ),
    Feed(
        source="reference",
        name="store_closures",
        meaning="one row per store and closed period",
        columns=(
            _required("store_id"),
            _required("closed_from", "date", "the first closed day"),
            _required("closed_to", "date", "the last closed day"),
        ),
        key=("store_id", "closed_from"),
        store="store_id",
        rules=(
            Rule(
                code="ends_before_it_begins",
                column="closed_to",
                broken_when="closed_to < closed_from",
                sentence="closed_to is before closed_from",
            ),
        ),
    ),
    Feed(
        source="reference",
        name="products",
        meaning="one row per product, the whole list",
        columns=(
            _required("sku"),
            Column("name"),
            Column("category"),
            Column("subcategory"),
            Column("brand"),
            Column("size"),
            Column("colour"),
            Column("season"),
            Column("list_price", "money"),
            Column("unit_cost", "price"),
            Column("launched_on", "date"),
            Column("is_focus", "boolean"),
        ),
        key=("sku",),
    ),
    Feed(
        source="app",
        name="campaigns",
        meaning="one row per campaign",
        columns=(
            _required("campaign_id"),
            Column("name"),
            Column("type"),
            _required("starts_on", "date"),
            Column("ends_on", "date"),
            Column("intent", "choice", choices=("care", "sell")),
            Column("updated_at", "timestamp"),
        ),
        key=("campaign_id",),
        version="updated_at",
    ),
    Feed(
        source="app",
        name="campaign_assignments",
        meaning="one row per member put into a campaign",
        columns=(
            _required("campaign_id"),
            _required("member", meaning="card number or account id"),
            _required("arm", "choice", choices=("treated", "hold_out")),
            Column("assigned_at", "timestamp"),
        ),
        key=("campaign_id", "member"),
    ),
    Feed(
        source="app",
        name="coupons",
        meaning="one row per coupon issued, redeemed or both",
        columns=(
            _required("coupon_id"),
            Column("campaign_id"),
            Column("account_id"),
            Column("card_no"),
            Column("face_value", "money"),
            Column("funding"),
            Column("issued_at", "timestamp"),
            Column("valid_to", "date"),
            Column("redeemed_at", "timestamp"),
            Column("store_id"),
            Column("register_id"),
            Column("business_date", "date"),
            Column("receipt_no"),
            Column("receipt_type", "choice", choices=_RECEIPT_TYPES),
            Column("updated_at", "timestamp"),
        ),
        key=("coupon_id",),
        version="updated_at",
    ),
)

# In loading order within a business date: what others refer to comes first.
_SOURCE_ORDER = ("reference", "pos", "app")

FEEDS: Mapping[tuple[str, str], Feed] = {
    (feed.source, feed.name): feed for feed in sorted(_ALL, key=lambda feed: _SOURCE_ORDER.index(feed.source))
}


def ensure_raw_tables(conn: psycopg.Connection[Any]) -> None:
    """Create what is missing of ``raw.<source>__<feed>``: tables, columns, domains. Safe at any time.

    Each table has the feed's columns but the personal ones, and ``_batch_id``, ``_file_no`` (place of
    the file in its manifest, from 1) and ``_line_no`` (physical line in that file; the header is line 1).
    Undeclared columns of the files join the table as ``x_<name> text`` when first seen.
    """
    # Looked at before anything is touched: even "if not exists" waits for, and blocks, a running load.
    if _complete(conn):
        return
    with conn.transaction():
        conn.execute("select pg_advisory_xact_lock(hashtextextended('memberhouse raw tables', 0))")
        if _complete(conn):
            return
        conn.execute("set local client_min_messages = warning")
        for name, definition in _DOMAINS.items():
            if conn.execute("select to_regtype(%s)", (f"raw.{name}",)).fetchone() == (None,):
                conn.execute(f"create domain raw.{name} as {definition}".encode())
        for feed in FEEDS.values():
            table = sql.Identifier("raw", feed.raw_table)
            conn.execute(
                sql.SQL(
                    "create table if not exists {} (_batch_id bigint not null, _file_no smallint not null,"
                    " _line_no integer not null)"
                ).format(table)
            )
            conn.execute(
                sql.SQL(
                    "create index if not exists {} on {} using brin (_batch_id) with (pages_per_range = {})"
                ).format(sql.Identifier(feed.batch_index), table, sql.Literal(_PAGES_PER_RANGE))
            )
            for column in feed.loaded_columns:
                conn.execute(
                    sql.SQL("alter table {} add column if not exists {} {}").format(
                        table, sql.Identifier(column.name), sql.SQL(_SQL_TYPES[column.kind])
                    )
                )


def _complete(conn: psycopg.Connection[Any]) -> bool:
    present = _present_columns(conn)
    return all(
        {column.name for column in feed.loaded_columns} <= present.get(feed.raw_table, set()) for feed in FEEDS.values()
    )


def ensure_extra_columns(conn: psycopg.Connection[Any], feed: Feed, names: Mapping[str, str]) -> None:
    """Give the feed's raw table columns for what files hold beyond the contract.

    names: column name in the table → its SQL type.
    """
    present = _present_columns(conn).get(feed.raw_table, set())
    for name, sql_type in names.items():
        if name not in present:
            conn.execute(
                sql.SQL("alter table {} add column if not exists {} {}").format(
                    sql.Identifier("raw", feed.raw_table), sql.Identifier(name), sql.SQL(sql_type)
                )
            )


def _present_columns(conn: psycopg.Connection[Any]) -> dict[str, set[str]]:
    rows = conn.execute(
        "select c.relname, array_agg(a.attname::text) from pg_class as c"
        " join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped"
        " where c.relnamespace = to_regnamespace('raw') and c.relkind in ('r', 'p') group by c.relname"
    ).fetchall()
    return {table: set(columns) for table, columns in rows}


_JSON_TYPES: Mapping[Kind, dict[str, Any]] = {
    "text": {"type": "string"},
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
}


def json_schema(feed: Feed) -> dict[str, Any]:
    """The JSON Schema of one row of the feed (a JSON object by column name)."""
    properties: dict[str, Any] = {}
    for column in feed.columns:
        described = dict(_JSON_TYPES[column.kind])
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
