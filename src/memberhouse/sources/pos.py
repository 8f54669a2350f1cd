"""What points of sale deliver: a batch a store and business date, or one for the whole chain.

Sales of the app come by the same feeds, with the store ``APP``.
"""

from __future__ import annotations

from memberhouse.sources.contract import (
    CHANNELS_OF_SALE,
    RECEIPT_KEY,
    RECEIPT_TYPES,
    Column,
    Feed,
    Rule,
    names_member,
    personal,
    required,
)

# The store of what the app sells.
APP_STORE = "APP"

_KEY_COLUMNS = (
    required("store_id"),
    required("register_id", meaning="the till"),
    required("business_date", "date", "the trading date, not the calendar date of the sale"),
    required("receipt_no"),
    required("receipt_type", "choice", choices=RECEIPT_TYPES),
)


def _positive_in_return(column: str) -> Rule:
    return Rule(
        code="positive_in_return",
        column=column,
        broken_when=f"receipt_type in ('return', 'void') and {column} > 0",
        sentence=f"a return or a void has a positive {column}; returns and voids carry values of 0 or less",
    )


FEEDS = (
    Feed(
        source="pos",
        name="receipts",
        meaning="one row per receipt",
        columns=(
            *_KEY_COLUMNS,
            Column("revision", "integer", meaning="0 or absent: the first issue of the receipt"),
            required("sold_at", "timestamp", "offset optional: then the store's zone"),
            Column("cashier_id"),
            names_member(Column("member_card_no")),
            personal("member_phone", "phone"),
            names_member(Column("account_id")),
            Column("channel", "choice", choices=CHANNELS_OF_SALE),
            Column("is_training", "boolean"),
            Column("is_staff_sale", "boolean"),
            Column("is_wholesale", "boolean"),
            Column("original_receipt_no"),
            Column("original_business_date", "date"),
            Column("original_store_id"),
            Column("original_register_id"),
            Column("gross_amount", "money", meaning="before discounts, tax-inclusive"),
            Column("discount_amount", "money"),
            required("net_amount", "money", "after all discounts, tax-inclusive"),
        ),
        key=RECEIPT_KEY,
        lookups=("member_card_no", "member_phone_token", "account_id", "original_receipt_no"),
        by_date=True,
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
            *_KEY_COLUMNS,
            required("line_no", "integer"),
            required("sku"),
            required("quantity", "quantity", "units; negative in returns"),
            Column("unit_price", "price", meaning="before discounts"),
            Column("discount_amount", "money"),
            required("net_amount", "money", "quantity × unit_price − discount_amount"),
            Column("staff_id"),
            Column("is_merchandise", "boolean", meaning="false for bags, deposits, gift cards, freight"),
            Column("returns_line_no", "integer", meaning="the line of the original receipt that comes back"),
        ),
        key=(*RECEIPT_KEY, "line_no"),
        by_date=True,
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
            *_KEY_COLUMNS,
            required("tender_no", "integer"),
            required(
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
            required("amount", "money"),
            Column("is_settled", "boolean"),
        ),
        key=(*RECEIPT_KEY, "tender_no"),
        by_date=True,
        money="amount",
        store="store_id",
        rules=(_positive_in_return("amount"),),
    ),
    Feed(
        source="pos",
        name="z_totals",
        meaning="one row per till and business date: the till's own closing totals",
        columns=(
            required("store_id"),
            required("register_id"),
            required("business_date", "date"),
            required("receipts", "integer", "sales, returns and exchanges; not voided, not training"),
            required("net_amount", "money"),
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
            names_member(required("card_no")),
            personal("phone", "phone"),
            required("enrolled_at", "timestamp"),
            required("store_id", meaning="the store that recruited the member"),
            Column("staff_id"),
            Column("channel", "choice", choices=CHANNELS_OF_SALE),
            Column("method", meaning="how the member joined; 'assumed' when it is derived from a purchase"),
            Column("offer_code"),
            personal("name", "name"),
            Column("gender"),
            personal("birthday", "birthday"),
            Column("city"),
        ),
        key=("card_no",),
        lookups=("card_no", "phone_token"),
        store="store_id",
    ),
    Feed(
        source="pos",
        name="member_status",
        meaning="one row per change of a member's status",
        columns=(
            names_member(required("card_no")),
            required(
                "status",
                "choice",
                choices=("closed", "reopened", "blocked", "unblocked", "staff", "not_staff", "test"),
            ),
            required("at", "timestamp"),
        ),
        key=("card_no", "status", "at"),
        lookups=("card_no",),
    ),
    Feed(
        source="pos",
        name="member_assignments",
        meaning="one row per member and store or staff in whose care the member came",
        columns=(
            names_member(required("card_no")),
            required("service_store_id", meaning="absent rows: the recruiting store"),
            Column("service_staff_id"),
            required("valid_from", "date"),
        ),
        key=("card_no", "valid_from"),
        lookups=("card_no",),
        store="service_store_id",
    ),
    Feed(
        source="pos",
        name="member_tiers",
        meaning="one row per change of a member's tier, as the source system has it",
        columns=(
            names_member(required("card_no")),
            required("tier"),
            required("valid_from", "date"),
            Column("reason"),
        ),
        key=("card_no", "valid_from"),
        lookups=("card_no", "tier", "valid_from"),
    ),
    Feed(
        source="pos",
        name="footfall",
        meaning="one row per store, business date and hour; optional",
        columns=(
            required("store_id"),
            required("business_date", "date"),
            required("hour", "integer", "0 to 23, of the store's clock"),
            required("visitors", "integer", "people who came in"),
        ),
        key=("store_id", "business_date", "hour"),
        store="store_id",
        rules=(
            Rule("no_such_hour", "hour", "hour not between 0 and 23", "hour is not between 0 and 23"),
            Rule("negative_count", "visitors", "visitors < 0", "visitors is negative"),
        ),
    ),
)
