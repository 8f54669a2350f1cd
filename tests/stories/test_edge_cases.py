"""Edge cases with one right answer, each told as it came: what was known first, and what a later delivery said.

All stories live in one chain, each in a store of its own name, so that the store's key figures are the story's. There
are four releases: FIRST as of 18 January 2026, LATER as of 1 February with what came meanwhile, TAKEN BACK as of the
same day with what was undone, and a full build that must change nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.chain import STORES, Chain
from tests.conftest import new_warehouse
from tests.erase.conftest import totals, where_left
from tests.faults.evidence import seen_by_readers
from tests.reference import day_by_day

from memberhouse import db
from memberhouse.erase import erase

pytestmark = pytest.mark.services

OPENED = date(2025, 1, 6)
FIRST, LATER, TAKEN_BACK = 1, 2, 3
AS_OF = {FIRST: date(2026, 1, 18), LATER: date(2026, 2, 1), TAKEN_BACK: date(2026, 2, 1)}
OPEN = date(9999, 12, 31)
# Mondays
CHRISTMAS, NEW_YEAR, JAN_5, JAN_12, JAN_19, JAN_26 = (date(2025, 12, 22) + timedelta(days=7 * n) for n in range(6))


def jan(day: int) -> date:
    """A day of January 2026; those before it are 0 and less."""
    return date(2025, 12, 31) + timedelta(days=day)


def at(day: date, clock: str = "12:00:00") -> str:
    return f"{day}T{clock}+08:00"


def enrol(
    chain: Chain, store: str, *cards: str, day: date | None = None, entered: date | None = None, **more: Any
) -> None:
    """Enrolled on 2 January if nothing else is said."""
    day = day or jan(2)
    rows = [{"card_no": card, "store_id": store, "enrolled_at": at(day)} | more for card in cards]
    chain.deliver("pos", "enrolments", entered or day, *rows)


def account(chain: Chain, account_id: str, day: date | None = None, **more: Any) -> None:
    day = day or jan(2)
    row = {"account_id": account_id, "created_at": at(day), "updated_at": at(day)} | more
    chain.deliver("app", "accounts", day, row)


def link(chain: Chain, account_id: str, day: date, recorded: date | None = None, **more: Any) -> None:
    row = {"account_id": account_id, "valid_from": at(day), "recorded_at": at(recorded or day)}
    row |= {"method": "merge" if "survivor_account_id" in more else "scan"}
    chain.deliver("app", "identity_links", recorded or day, row | more)


def say(chain: Chain, card: str, status: str, day: date, entered: date) -> None:
    chain.deliver("pos", "member_status", entered, {"card_no": card, "status": status, "at": at(day)})


# ------------------------------------------------------------------------------------------ the stories


def first_purchase_refunded(chain: Chain, step: int) -> None:
    store = "refunded"
    if step == FIRST:
        enrol(chain, store, "only", "two", "part")
        chain.sell("only", jan(5), store=store, amount=100, member_card_no="only")
        chain.sell("two", jan(5), store=store, amount=50, member_card_no="two")
        chain.sell("two again", jan(12), store=store, amount=30, member_card_no="two")
        chain.sell("part", jan(5), store=store, amount=20, units=2, member_card_no="part")
    if step == LATER:
        for sold, amount in (("only", 100), ("two", 50), ("part", 20)):
            chain.take_back(f"{sold} back", jan(20), (sold, jan(5)), amount, store=store, member_card_no=sold)


def merged_after_purchases(chain: Chain, step: int) -> None:
    store = "merged"
    if step == FIRST:
        enrol(chain, store, "goes", day=jan(2))
        enrol(chain, store, "stays", day=jan(4))
        account(chain, "goes:A")
        account(chain, "stays:A")
        link(chain, "goes:A", jan(4), card_no="goes")
        link(chain, "stays:A", jan(4), card_no="stays")
        chain.sell("goes 1", jan(5), store=store, member_card_no="goes")
        chain.sell("goes 2", jan(12), store=store, member_card_no="goes")
        chain.sell("stays 1", jan(5), store=store, member_card_no="stays")
    if step == LATER:
        link(chain, "goes:A", jan(28), survivor_account_id="stays:A")
    if step == TAKEN_BACK:
        # recorded anew as one that ended when it began
        link(chain, "goes:A", jan(28), jan(30), survivor_account_id="stays:A", valid_to=at(jan(28)))


def late_file_of_last_week(chain: Chain, step: int) -> None:
    store = "late"
    if step == FIRST:
        enrol(chain, store, "asleep", "awake", day=date(2025, 2, 3))
        chain.sell("asleep 1", date(2025, 7, 1), store=store, member_card_no="asleep")
        chain.sell("awake 1", jan(6), store=store, member_card_no="awake")
    if step == LATER:
        # the tills of last week deliver by its own date, two weeks late
        chain.sell("asleep 2", jan(14), store=store, amount=70, member_card_no="asleep")
        chain.sell("awake 2", jan(14), store=store, amount=80, member_card_no="awake")


def app_and_card_linked_later(chain: Chain, step: int) -> None:
    store = "linked"
    if step == FIRST:
        enrol(chain, store, "card", day=jan(3))
        account(chain, "app", jan(1))
        chain.sell("by card", jan(6), store=store, member_card_no="card")
        chain.sell("by app", jan(13), store=store, account_id="app")
        for number in (30, 31):
            chain.sell(f"claimed on day {number}", jan(30 - number), store=store)
        chain.sell("like the others", jan(6), store=store)
    if step == LATER:
        link(chain, "app", jan(25), card_no="card")
        claims = [
            {
                "account_id": "app",
                "store_id": store,
                "register_id": "1",
                "business_date": jan(30 - number),
                "receipt_no": f"claimed on day {number}",
                "receipt_type": "sale",
                "claimed_at": at(jan(30)),
            }
            for number in (30, 31)
        ]
        chain.deliver("app", "receipt_claims", jan(30), *claims)


def phone_reassigned_by_the_carrier(chain: Chain, step: int) -> None:
    store = "phone"
    if step == FIRST:
        enrol(chain, store, "old holder", phone_token="number")
        for day in (5, 12):
            chain.sell(f"phone {day}", jan(day), store=store, member_phone_token="number")
    if step == LATER:
        account(chain, "new holder", jan(12), member_since=at(jan(12)), phone_token="number")
        chain.sell("phone 20", jan(20), store=store, member_phone_token="number")


def backdated_enrolment(chain: Chain, step: int) -> None:
    store = "backdated"
    if step == FIRST:
        chain.sell("before", jan(-5), store=store, member_card_no="27 days")
        chain.sell("since", jan(6), store=store, member_card_no="27 days")
        chain.sell("of the held", jan(6), store=store, member_card_no="31 days")
    if step == LATER:
        enrol(chain, store, "27 days", day=jan(-3), entered=jan(24))
        enrol(chain, store, "30 days", day=jan(-6), entered=jan(24))
        enrol(chain, store, "31 days", day=jan(-7), entered=jan(24))


def store_closes_and_moves(chain: Chain, step: int) -> None:
    store = "closed"
    if step == FIRST:
        for day in (5, 6, 9, 10, 11):  # not on 7 and 8 January
            chain.sell(f"open {day}", jan(day), store=store)
    if step == LATER:
        closed = {"store_id": store, "closed_from": jan(7), "closed_to": jan(8)}
        chain.deliver("reference", "store_closures", jan(20), closed)
        chain.deliver("reference", "stores", jan(20), _store(store) | {"region": "elsewhere"})


def midnight_and_clocks_set_back(chain: Chain, step: int) -> None:
    if step == FIRST:
        # half past midnight of 6 January is 5 January at a store whose day ends at four
        chain.deliver(
            "pos",
            "enrolments",
            jan(6),
            {"card_no": "night", "store_id": "night", "enrolled_at": at(jan(6), "00:30:00")},
        )
        chain.sell("at night", jan(11), store="night", sold_at=f"{jan(12)}T00:30:00", member_card_no="night")
        # 26 October 2025 has half past two twice, 30 March 2025 has none
        twice, never = date(2025, 10, 25), date(2025, 3, 29)
        chain.sell("first", twice, store="berlin", sold_at="2025-10-26T02:30:00+02:00")
        chain.sell("never", never, store="berlin", sold_at="2025-03-30T02:30:00")
    if step == LATER:
        chain.sell("second", date(2025, 10, 25), store="berlin", sold_at="2025-10-26T02:30:00+01:00")


def exchange_with_a_negative_quantity(chain: Chain, step: int) -> None:
    store = "exchange"
    if step == FIRST:
        enrol(chain, store, "exchanger")
        chain.sell("medium", jan(5), store=store, amount=100, member_card_no="exchanger")
    if step == LATER:
        given = {"quantity": -1, "unit_price": 100, "net_amount": -100}
        taken = {"quantity": 1, "unit_price": 120, "net_amount": 120}
        of_sale = {"original_receipt_no": "medium", "original_business_date": jan(5)}
        chain.ring("exchange", "large", jan(20), [given, taken], store=store, member_card_no="exchanger", **of_sale)
        negative = {"quantity": 1, "unit_price": 5, "net_amount": -5}
        chain.ring("sale", "negative", jan(21), [negative], store=store, member_card_no="exchanger")
        chain.take_back("unlinked", jan(22), None, 30, store=store, member_card_no="exchanger")


def split_tender(chain: Chain, step: int) -> None:
    store = "tender"
    if step == FIRST:
        enrol(chain, store, "payer")
        chain.sell("paid", jan(5), store=store, amount=100, member_card_no="payer")
    if step == LATER:
        key = {"store_id": store, "register_id": "1", "business_date": jan(5), "receipt_no": "paid"}
        tenders = [
            key | {"receipt_type": "sale", "tender_no": number, "tender_type": kind, "amount": amount}
            for number, (kind, amount) in enumerate((("cash", 20), ("points", 30), ("card", 50)), 1)
        ]
        chain.deliver("pos", "tenders", jan(5), *tenders, of_store=store)


def insiders(chain: Chain, step: int) -> None:
    store = "insiders"
    if step == FIRST:
        enrol(chain, store, "tester", "staff", "dealer")
        for card, amount in (("tester", 1), ("staff", 10), ("dealer", 100)):
            chain.sell(f"{card} 1", jan(6), store=store, amount=amount, member_card_no=card)
        chain.sell("dealer wholesale", jan(7), store=store, amount=1000, member_card_no="dealer", is_wholesale=True)
        chain.sell("staff sale", jan(7), store=store, amount=10000, member_card_no="staff", is_staff_sale=True)
    if step == LATER:
        say(chain, "tester", "test", jan(3), entered=jan(21))
        say(chain, "staff", "staff", jan(3), entered=jan(21))


def numbers_of_their_own(chain: Chain, step: int) -> None:
    """A till that numbers sales and returns separately: 4 is a sale, and the return of another one."""
    store = "numbers"
    if step == FIRST:
        enrol(chain, store, "buyer of 4", "buyer of 7")
        account(chain, "buyer of 7:A")
        chain.sell("7", jan(3), store=store, amount=70, units=2, account_id="buyer of 7:A")
        chain.sell("4", jan(6), store=store, amount=40, member_card_no="buyer of 4")
        chain.take_back("4", jan(6), ("7", jan(3)), 70, store=store)
        chain.take_back("9", jan(8), ("4", jan(6)), 40, store=store)
    if step == LATER:
        link(chain, "buyer of 7:A", jan(3), jan(20), card_no="buyer of 7")


def shared_card(chain: Chain, step: int) -> None:
    store = "shared"
    if step == FIRST:
        enrol(chain, store, "lent", "own")
        for number in range(8):
            chain.sell(f"lent {number}", jan(6), store=store, member_card_no="lent")
            chain.sell(f"own {number}", jan(6), store=store, member_card_no="own")
    if step == LATER:
        chain.sell("lent 8", jan(6), store=store, member_card_no="lent")


def tier_in_grace_and_reversed(chain: Chain, step: int) -> None:
    store = "tiers"
    if step == FIRST:
        enrol(chain, store, "grace", day=OPENED)
        enrol(chain, store, "day 30", "day 31", day=jan(-20))
        chain.sell("grace 1", OPENED + timedelta(days=1), store=store, amount=5000, member_card_no="grace")
        for number, sold in ((30, jan(-9)), (31, jan(-10))):
            chain.sell(f"day {number} 1", sold, store=store, amount=5000, member_card_no=f"day {number}")
    if step == LATER:
        for number, sold in ((30, jan(-9)), (31, jan(-10))):
            of_sale = (f"day {number} 1", sold)
            chain.take_back(f"day {number} back", jan(21), of_sale, 5000, store=store, member_card_no=f"day {number}")


def erased(chain: Chain, step: int) -> None:
    if step == FIRST:
        enrol(chain, "erased", "forget me", phone_token="phone of who is erased")
        account(chain, "forget me:A", phone_token="phone of who is erased")
        link(chain, "forget me:A", jan(3), card_no="forget me")
        chain.sell("of the erased", jan(6), store="erased", amount=70, member_card_no="forget me")
    if step == LATER:
        chain.sell("of the erased later", jan(21), store="erased", amount=30, account_id="forget me:A")


def transferred(chain: Chain, step: int) -> None:
    if step == FIRST:
        enrol(chain, "left", "mover")
        chain.sell("mover 1", jan(6), store="left", member_card_no="mover")
    if step == LATER:
        moved = {"card_no": "mover", "service_store_id": "entered", "valid_from": jan(14)}
        chain.deliver("pos", "member_assignments", jan(20), moved)
        chain.sell("mover 2", jan(21), store="left", member_card_no="mover")


STORIES = (
    first_purchase_refunded,
    merged_after_purchases,
    late_file_of_last_week,
    app_and_card_linked_later,
    phone_reassigned_by_the_carrier,
    backdated_enrolment,
    store_closes_and_moves,
    midnight_and_clocks_set_back,
    exchange_with_a_negative_quantity,
    split_tender,
    insiders,
    numbers_of_their_own,
    shared_card,
    tier_in_grace_and_reversed,
    erased,
    transferred,
)


def _store(name: str) -> dict[str, Any]:
    zones = {"night": ("Asia/Shanghai", "04:00"), "berlin": ("Europe/Berlin", "04:00")}
    timezone, day_cutoff = zones.get(name, ("Asia/Shanghai", "00:00"))
    return {"store_id": name, "region": f"region of {name}", "timezone": timezone, "day_cutoff": day_cutoff}


OWN_STORES = (
    *("refunded", "merged", "late", "linked", "phone", "backdated", "closed", "night", "berlin", "exchange", "tender"),
    *("insiders", "resent", "left", "entered", "shared", "tiers", "birthdays", "erased", "numbers"),
)

RESENT = {"store_id": "resent", "register_id": "1", "receipt_type": "sale", "sold_at": f"{jan(6)}T12:00:00"}


def resent_receipts(amounts: dict[str, int], **more: Any) -> pd.DataFrame:
    return pd.DataFrame(
        [
            RESENT
            | {"business_date": jan(6), "receipt_no": number, "net_amount": amount, "member_card_no": "resent"}
            | more
            for number, amount in amounts.items()
        ]
    )


def resent_lines(amounts: dict[str, int]) -> pd.DataFrame:
    key = {name: RESENT[name] for name in ("store_id", "register_id", "receipt_type")}
    return pd.DataFrame(
        [
            key
            | {"business_date": jan(6), "receipt_no": number, "line_no": 1, "sku": "shirt", "quantity": 1}
            | {"net_amount": amount}
            for number, amount in amounts.items()
        ]
    )


@pytest.fixture(scope="module")
def landing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("landing")


@pytest.fixture(scope="module")
def reports() -> dict[str, Any]:
    """What the loader said of the files that came again."""
    return {}


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    """Rows and sums of every view in every release, before and after the erasure."""
    return {}


@pytest.fixture(scope="module")
def published() -> dict[int, dict[str, str]]:
    """A fingerprint of every view, by release, taken when it was published."""
    return {}


@pytest.fixture(scope="module")
def chain(server_home, landing, reports, published, told) -> Iterator[Chain]:
    with new_warehouse(server_home) as settings:
        chain = Chain(settings, OPENED, [*STORES, *map(_store, OWN_STORES)])
        enrol(chain, "S1", "from before", day=date(2024, 11, 1), entered=OPENED)
        chain.sell("opening", OPENED)
        for step, as_of in AS_OF.items():
            for story in STORIES:
                story(chain, step)
            pos_resends(chain, step, landing, reports)
            birthdays(chain, step, landing)
            chain.releases.append(chain.publish(as_of))
            if step == LATER:
                told["before"] = totals(settings)
                erase(settings, "forget me")
                told["after"] = totals(settings)
                # other names, and nothing else
                published[FIRST] = seen_by_readers(settings, FIRST)
            published[step] = chain.content()
        yield chain


def birthdays(chain: Chain, step: int, landing: Path) -> None:
    """Through the loader, which takes personal data into the vault."""
    store = "birthdays"
    if step == FIRST:
        rows = [
            {"card_no": card, "store_id": store, "enrolled_at": at(jan(2)), "name": "Li Mei", "birthday": birthday}
            for card, birthday in (("leap day", "1992-02-29"), ("no year", "--02-29"), ("not told", ""))
        ]
        chain.land(landing, "enrolments", jan(2), pd.DataFrame(rows), name="birthdays")
        for card in ("leap day", "no year"):
            chain.sell(f"of {card}", jan(6), store=store, member_card_no=card)


def pos_resends(chain: Chain, step: int, landing: Path, reports: dict[str, Any]) -> None:
    """Through the loader, which is what knows a row again."""
    if step == FIRST:
        enrol(chain, "resent", "resent")
        amounts = {"same": 10, "revised": 20, "contradicted": 40}
        chain.land(landing, "receipts", jan(6), resent_receipts(amounts), name="first")
        chain.land(landing, "receipt_lines", jan(6), resent_lines(amounts), name="first")
    if step == LATER:
        whole = resent_receipts({"same": 10, "revised": 20, "contradicted": 40})
        reports["whole file"] = chain.land(landing, "receipts", jan(6), whole, name="whole file again")
        reports["same"] = chain.land(landing, "receipts", jan(6), resent_receipts({"same": 10}), name="same")
        # of a wholesale after all
        revised = resent_receipts({"revised": 20}, revision=1, is_wholesale=True)
        reports["revised"] = chain.land(landing, "receipts", jan(6), revised, name="revised")
        # one bad row of many; alone it would refuse the file
        contradicting = pd.concat(
            [
                resent_receipts({"contradicted": 41}),
                resent_receipts({f"other {number}": 1 for number in range(20)}, member_card_no=None),
            ]
        )
        reports["contradicted"] = chain.land(landing, "receipts", jan(6), contradicting, name="contradicted")


# ------------------------------------------------------------------------------------------ what readers see


def stages(chain: Chain, member: str, release: int | None = None) -> list[tuple[str, date, date]]:
    statement = "select stage_code, valid_from, valid_to from bi.member_stage_history where member_id = '{}' order by 2"
    return chain.read(statement.format(member), release)


def member(chain: Chain, member_id: str, columns: str, release: int | None = None) -> tuple[Any, ...] | None:
    rows = chain.read(f"select {columns} from bi.dim_member where member_id = '{member_id}'", release)
    return rows[0] if rows else None


def kpi(chain: Chain, store: str, week: date, columns: str, release: int | None = None) -> tuple[Any, ...]:
    """Columns of a store's week."""
    (row,) = chain.read(
        f"select {columns} from bi.kpi_weekly where level = 'store' and level_id = '{store}' and week_start = '{week}'",
        release,
    )
    return row


def receipts(chain: Chain, store: str, columns: str, release: int | None = None) -> dict[str, Any]:
    """By receipt number, of a store."""
    rows = chain.read(f"select receipt_no, {columns} from bi.fct_receipt where store_id = '{store}'", release)
    return {number: values[0] if len(values) == 1 else tuple(values) for number, *values in rows}


def stocktake(chain: Chain, store: str, week: date, release: int | None = None) -> dict[str, int]:
    """The lines of a store's week that are not 0."""
    columns = [*day_by_day.STOCKTAKE]
    (row,) = chain.read(
        f"select {', '.join(columns)} from bi.member_stocktake_weekly"
        f" where store_id = '{store}' and week_start = '{week}'",
        release,
    )
    return {column: count for column, count in zip(columns, row, strict=True) if count}


def mix(chain: Chain, store: str, week: date, release: int | None = None) -> dict[str, int]:
    rows = chain.read(
        f"select stage_code, sum(members)::int from bi.stage_mix_weekly where store_id = '{store}'"
        f" and week_start = '{week}' group by 1",
        release,
    )
    return dict(rows)


# ------------------------------------------------------------------------------------------ whatever the story


@pytest.mark.parametrize("release", [FIRST, LATER, TAKEN_BACK])
def test_what_was_published_stands(chain: Chain, published: dict[int, dict[str, str]], release: int) -> None:
    # products, stores and health of data are told as they are now
    seen = seen_by_readers(chain.settings, release)
    assert {view for view in seen if seen[view] != published[release][view]} == set()


def test_a_full_build_changes_nothing(chain: Chain) -> None:
    before = chain.content()
    release_id = chain.publish(AS_OF[TAKEN_BACK], full_refresh=True)
    assert chain.written_by(release_id) == {}
    assert chain.content() == before


# ------------------------------------------------------------------------------------------ 1: refunds


def test_a_refunded_first_purchase_counts_until_it_comes_back(chain: Chain) -> None:
    assert stages(chain, "only", FIRST) == [("S02", jan(2), jan(5)), ("S03", jan(5), OPEN)]
    assert stages(chain, "only") == [("S02", jan(2), jan(5)), ("S03", jan(5), jan(20)), ("S02", jan(20), OPEN)]
    # a part of it is kept
    assert stages(chain, "part") == [("S02", jan(2), jan(5)), ("S03", jan(5), OPEN)]


def test_the_first_purchase_is_then_the_next_one_that_stands_or_none(chain: Chain) -> None:
    columns = "first_purchase_on, purchase_days"
    assert [member(chain, who, columns, FIRST) for who in ("only", "two")] == [(jan(5), 1), (jan(5), 2)]
    assert [member(chain, who, columns) for who in ("only", "two")] == [(None, 0), (jan(12), 1)]
    assert [stage for stage, *_ in stages(chain, "two")] == ["S02", "S03", "S04", "S03"]


def test_money_stays_in_the_week_of_the_sale_and_comes_back_in_the_week_of_the_return(chain: Chain) -> None:
    columns = "sale_receipts, sale_net_amount, net_sales_amount, purchasing_members, active_members"
    sold = (3, Decimal("190.00"), Decimal("190.00"), 3, 3)
    assert kpi(chain, "refunded", JAN_5, columns, FIRST) == kpi(chain, "refunded", JAN_5, columns) == sold
    assert kpi(chain, "refunded", JAN_19, columns) == (0, Decimal("0.00"), Decimal("-170.00"), 0, 2)


# ------------------------------------------------------------------------------------------ 2: merges


def test_a_merge_unites_the_purchases_and_same_day_receipts_are_one_purchase_day(chain: Chain) -> None:
    columns = "enrolled_on, purchase_days, stage_code, merged_on"
    assert member(chain, "goes", columns, FIRST) == (jan(2), 2, "S04", None)
    assert member(chain, "stays", columns, FIRST) == (jan(4), 1, "S03", None)
    assert member(chain, "goes", columns, LATER) == (jan(2), 0, "X", jan(28))
    assert member(chain, "stays", columns, LATER) == (jan(2), 2, "S04", None)
    assert stages(chain, "stays", LATER) == [
        ("S02", jan(2), jan(5)),
        ("S03", jan(5), jan(12)),
        ("S04", jan(12), OPEN),
    ]
    assert set(receipts(chain, "merged", "member_id", LATER).values()) == {"stays"}


def test_merged_members_count_once_from_the_merge_on(chain: Chain) -> None:
    columns = "purchasing_members, valid_members, sale_receipts_member"
    assert kpi(chain, "merged", JAN_5, columns, FIRST) == (2, 2, 2)
    assert kpi(chain, "merged", JAN_5, columns, LATER) == (1, 2, 2)
    assert kpi(chain, "merged", JAN_26, columns, LATER) == (0, 1, 0)


def test_a_merge_is_a_line_of_the_stocktake(chain: Chain) -> None:
    assert stocktake(chain, "merged", NEW_YEAR) == {"enrolled": 2, "closing": 2}
    assert stocktake(chain, "merged", JAN_26, LATER) == {"opening": 2, "merged": 1, "closing": 1}
    assert stocktake(chain, "merged", JAN_26, TAKEN_BACK) == {"opening": 2, "closing": 2}


def test_an_unmerge_restores_exactly(chain: Chain) -> None:
    columns = "enrolled_on, purchase_days, stage_code, merged_on"
    for who in ("goes", "stays"):
        assert member(chain, who, columns, TAKEN_BACK) == member(chain, who, columns, FIRST)
        assert stages(chain, who, TAKEN_BACK) == stages(chain, who, FIRST)
    assert receipts(chain, "merged", "member_id", TAKEN_BACK) == receipts(chain, "merged", "member_id", FIRST)
    for week in (NEW_YEAR, JAN_5, JAN_12):
        assert kpi(chain, "merged", week, "*", TAKEN_BACK) == kpi(chain, "merged", week, "*", FIRST)


# ------------------------------------------------------------------------------------------ 3: late files


def test_a_late_file_restates_its_members_from_its_date_on(chain: Chain) -> None:
    assert stages(chain, "asleep", FIRST)[-1] == ("S09", date(2025, 12, 28), OPEN)
    assert stages(chain, "asleep")[-2:] == [("S09", date(2025, 12, 28), jan(14)), ("S07", jan(14), OPEN)]
    assert stages(chain, "awake", FIRST)[-1] == ("S03", jan(6), OPEN)
    assert stages(chain, "awake")[-2:] == [("S03", jan(6), jan(14)), ("S04", jan(14), OPEN)]


def test_a_late_file_restates_every_week_that_depends_on_it_and_no_other(chain: Chain) -> None:
    columns = "sale_receipts_member, net_sales_member_amount, purchasing_members, active_members"
    assert kpi(chain, "late", JAN_12, columns, FIRST) == (0, Decimal("0.00"), 0, 1)
    assert kpi(chain, "late", JAN_12, columns) == (2, Decimal("150.00"), 2, 2)
    assert kpi(chain, "late", JAN_5, "*", FIRST) == kpi(chain, "late", JAN_5, "*")
    assert mix(chain, "late", JAN_12, FIRST) == {"S03": 1, "S09": 1}
    assert mix(chain, "late", JAN_12) == {"S04": 1, "S07": 1}
    assert kpi(chain, "late", JAN_19, "active_members, repeat_purchasers_365") == (2, 2)


# ------------------------------------------------------------------------------------------ 4: who is who


def test_a_link_joins_the_accounts_history_to_the_members_in_latest_only(chain: Chain) -> None:
    named = {"by card": "card", "by app": "app", "like the others": None}
    assert {number: receipts(chain, "linked", "member_id", FIRST)[number] for number in named} == named
    assert stages(chain, "app", FIRST) == [("S01", jan(1), OPEN)]
    now = receipts(chain, "linked", "member_id")
    assert {number: now[number] for number in named} == named | {"by app": "card"}
    assert stages(chain, "app") == []
    # the account's purchase of the claim's date included
    assert [stage for stage, *_ in stages(chain, "card")] == ["S01", "S03", "S04"]
    assert kpi(chain, "linked", JAN_12, "purchasing_members", FIRST) == (0,)
    assert kpi(chain, "linked", JAN_12, "purchasing_members") == (1,)


def test_an_anonymous_receipt_attaches_by_a_claim_within_30_days_only(chain: Chain) -> None:
    claimed = {"claimed on day 30": "card", "claimed on day 31": None, "like the others": None}
    now = receipts(chain, "linked", "member_id")
    assert {number: now[number] for number in claimed} == claimed
    assert set(receipts(chain, "linked", "member_id", FIRST).values()) == {"card", "app", None}


def test_a_reassigned_phone_is_its_new_holders_from_then_on_and_nobody_is_merged(chain: Chain) -> None:
    assert receipts(chain, "phone", "member_id", FIRST) == {"phone 5": "old holder", "phone 12": "old holder"}
    assert receipts(chain, "phone", "member_id") == {
        "phone 5": "old holder",
        "phone 12": "new holder",
        "phone 20": "new holder",
    }
    assert member(chain, "old holder", "purchase_days, merged_on") == (1, None)
    assert member(chain, "new holder", "purchase_days, stage_code") == (2, "S04")
    assert kpi(chain, "phone", JAN_12, "purchasing_members", FIRST) == (1,)
    # the new holder is the app's
    assert kpi(chain, "phone", JAN_12, "purchasing_members, sale_receipts_member") == (0, 1)
    assert kpi(chain, "APP", JAN_12, "purchasing_members") == (1,)


# ------------------------------------------------------------------------------------------ 5: backdating


def test_a_backdated_enrolment_counts_on_its_date_or_waits_for_approval(chain: Chain) -> None:
    assert [member(chain, f"{late} days", "enrolled_on", FIRST) for late in (27, 30, 31)] == [None, None, None]
    assert [member(chain, f"{late} days", "enrolled_on") for late in (27, 30, 31)] == [(jan(-3),), (jan(-6),), None]
    with db.connect(chain.settings) as conn:
        held = conn.execute("select card_no from intermediate.int_audit__held_enrolments").fetchall()
    assert held == [("31 days",)]
    assert kpi(chain, "backdated", CHRISTMAS, "new_members, closing_members", FIRST) == (0, 0)
    assert kpi(chain, "backdated", CHRISTMAS, "new_members, closing_members") == (2, 2)


def test_purchases_before_enrolment_are_no_members_sales_and_stay_in_the_history(chain: Chain) -> None:
    assert receipts(chain, "backdated", "is_member_receipt, member_id") == {
        "before": (False, "27 days"),
        "since": (True, "27 days"),
        "of the held": (False, None),
    }
    assert set(receipts(chain, "backdated", "is_member_receipt", FIRST).values()) == {False}
    assert stages(chain, "27 days") == [("S03", jan(-3), jan(6)), ("S04", jan(6), OPEN)]
    columns = "sale_receipts, sale_receipts_member"
    assert kpi(chain, "backdated", CHRISTMAS, columns) == (1, 0)
    assert kpi(chain, "backdated", JAN_5, columns, FIRST) == (2, 0)
    assert kpi(chain, "backdated", JAN_5, columns) == (2, 1)


# ------------------------------------------------------------------------------------------ 6: closed stores


def test_closed_days_are_not_missing_files(chain: Chain) -> None:
    assert kpi(chain, "closed", JAN_5, "is_complete, sale_receipts", FIRST) == (False, 5)
    assert kpi(chain, "closed", JAN_5, "is_complete, sale_receipts") == (True, 5)
    # neither delivered nor closed
    assert kpi(chain, "closed", JAN_12, "is_complete") == (False,)


def test_a_store_that_moves_takes_its_history_to_its_new_region(chain: Chain) -> None:
    statement = f"select level_id, sale_receipts from bi.kpi_weekly where level = 'region' and week_start = '{JAN_5}'"
    assert dict(chain.read(statement, FIRST))["region of closed"] == 5
    now = dict(chain.read(statement))
    assert (now["elsewhere"], now.get("region of closed")) == (5, None)


# ------------------------------------------------------------------------------------------ 7: midnight, clocks


def test_half_past_midnight_is_yesterday_where_the_day_ends_at_four(chain: Chain) -> None:
    assert member(chain, "night", "enrolled_on, first_purchase_on") == (jan(5), jan(11))
    assert stages(chain, "night") == [("S02", jan(5), jan(11)), ("S03", jan(11), OPEN)]
    assert kpi(chain, "night", JAN_5, "new_members, sale_receipts_member") == (1, 1)
    assert kpi(chain, "night", JAN_12, "new_members, sale_receipts_member") == (0, 0)


def test_hours_that_are_repeated_or_missing_neither_drop_nor_double_a_receipt(chain: Chain) -> None:
    instants = receipts(chain, "berlin", "business_date, to_char(sold_at at time zone 'UTC', 'HH24:MI')")
    assert instants == {
        "first": (date(2025, 10, 25), "00:30"),
        "second": (date(2025, 10, 25), "01:30"),
        "never": (date(2025, 3, 29), "01:30"),
    }
    columns = "sale_receipts, net_sales_amount"
    assert kpi(chain, "berlin", date(2025, 10, 20), columns, FIRST) == (1, Decimal("10.00"))
    assert kpi(chain, "berlin", date(2025, 10, 20), columns) == (2, Decimal("20.00"))
    assert kpi(chain, "berlin", date(2025, 3, 24), columns) == (1, Decimal("10.00"))


# ------------------------------------------------------------------------------------------ 8: birthdays


def test_a_birthday_on_a_leap_day_or_without_a_year_is_kept_in_the_vault_and_its_member_counts(chain: Chain) -> None:
    with db.connect(chain.settings) as conn:
        kept = conn.execute(
            "select fed.card_no, vault.value from raw.pos__enrolments as fed"
            " join vault.personal_value as vault on vault.token = fed.birthday_token where fed.store_id = 'birthdays'"
        ).fetchall()
    assert dict(kept) == {"leap day": "1992-02-29", "no year": "--02-29"}
    assert set(receipts(chain, "birthdays", "member_id").values()) == {"leap day", "no year"}
    for card in ("leap day", "no year"):
        assert stages(chain, card) == [("S02", jan(2), jan(6)), ("S03", jan(6), OPEN)]
    assert stages(chain, "not told") == [("S02", jan(2), OPEN)]
    assert kpi(chain, "birthdays", NEW_YEAR, "new_members") == (3,)
    assert kpi(chain, "birthdays", JAN_5, "sale_receipts_member, valid_members") == (2, 3)


# ------------------------------------------------------------------------------------------ 9: tiers


def tier(chain: Chain, member: str, day: date, release: int | None = None) -> tuple[Any, ...]:
    """Expected tier, whether in grace, why, and until when, on a day."""
    (row,) = chain.read(
        "select expected_tier, in_grace, expected_reason, next_review_on from bi.tier_history"
        f" where member_id = '{member}' and valid_from <= '{day}' and valid_to > '{day}'",
        release,
    )
    return row


def test_in_grace_the_tier_is_kept(chain: Chain) -> None:
    # twelve months from 7 January 2025, to the end of the month, and 30 days of grace
    assert tier(chain, "grace", jan(18), FIRST) == ("gold", False, "upgraded", jan(31))
    assert tier(chain, "grace", jan(31)) == ("gold", False, "upgraded", jan(31))
    assert tier(chain, "grace", jan(32)) == ("gold", True, "grace", date(2026, 3, 2))


def test_the_order_that_brought_a_tier_reverses_it_within_30_days_from_its_return_on(chain: Chain) -> None:
    review = date(2026, 12, 31)
    for member, bought in (("day 30", jan(-9)), ("day 31", jan(-10))):
        assert tier(chain, member, jan(18), FIRST) == ("gold", False, "upgraded", date(2026, 12, 31))
        assert tier(chain, member, bought) == ("silver", False, "enrolled", None)
        assert tier(chain, member, jan(20)) == ("gold", False, "upgraded", review)
    assert tier(chain, "day 30", jan(21)) == ("silver", False, "reversed", None)
    # later, at the next review
    assert tier(chain, "day 31", jan(21)) == ("gold", False, "upgraded", review)
    # the same return to facts, stages and key figures
    assert receipts(chain, "tiers", "unqualified_on")["day 30 1"] == jan(21)
    assert stages(chain, "day 30") == [("S02", jan(-20), jan(-9)), ("S03", jan(-9), jan(21)), ("S02", jan(21), OPEN)]
    assert kpi(chain, "tiers", JAN_19, "net_sales_amount", FIRST + 1) == (Decimal("-10000.00"),)


# ------------------------------------------------------------------------------------------ 10: exchanges


def test_an_exchange_is_the_difference_in_money_and_no_purchase_day(chain: Chain) -> None:
    facts = receipts(chain, "exchange", "net_sales_amount, qualifies_at_sale, is_qualifying, is_sale_unknown")
    assert facts == {
        "medium": (Decimal("100.00"), True, True, False),
        "large": (Decimal("20.00"), False, False, False),
        "negative": (Decimal("-5.00"), False, False, False),
        "unlinked": (Decimal("-30.00"), False, False, True),
    }
    assert stages(chain, "exchanger", FIRST) == stages(chain, "exchanger")
    assert stages(chain, "exchanger") == [("S02", jan(2), jan(5)), ("S03", jan(5), OPEN)]
    assert member(chain, "exchanger", "purchase_days, net_sales_amount", FIRST) == (1, Decimal("100.00"))
    assert member(chain, "exchanger", "purchase_days, net_sales_amount") == (1, Decimal("85.00"))
    columns = "sale_receipts, sale_net_amount, net_sales_amount, purchasing_members, active_members"
    assert kpi(chain, "exchange", JAN_19, columns) == (0, Decimal("0.00"), Decimal("-15.00"), 0, 1)


def test_a_number_that_a_sale_and_a_return_share_stands_for_both(chain: Chain) -> None:
    for release in (FIRST, None):
        rows = chain.read(
            "select receipt_no, receipt_type, unqualified_on, is_sale_unknown from bi.fct_receipt"
            " where store_id = 'numbers' order by 1, 2",
            release,
        )
        assert rows == [
            ("4", "return", None, False),
            ("4", "sale", jan(8), False),
            ("7", "sale", None, False),
            ("9", "return", None, False),
        ]
        assert stages(chain, "buyer of 4", release)[-1] == ("S02", jan(8), OPEN)
    assert [stages(chain, "buyer of 7", release)[-1][0] for release in (FIRST, None)] == ["S02", "S03"]


# ------------------------------------------------------------------------------------------ 11: tenders


def test_a_receipt_paid_in_three_ways_is_one_receipt(chain: Chain) -> None:
    columns = "sale_receipts, sale_net_amount, net_sales_amount"
    paid = (1, Decimal("100.00"), Decimal("100.00"))
    assert kpi(chain, "tender", JAN_5, columns, FIRST) == kpi(chain, "tender", JAN_5, columns) == paid
    assert receipts(chain, "tender", "net_sales_amount, units") == {"paid": (Decimal("100.00"), Decimal("1.000"))}
    by_tender = chain.read("select tender_type, amount from bi.fct_tender where store_id = 'tender' order by amount")
    assert by_tender == [("cash", Decimal("20.00")), ("points", Decimal("30.00")), ("card", Decimal("50.00"))]
    assert stages(chain, "payer", FIRST) == stages(chain, "payer")


# ------------------------------------------------------------------------------------------ 12: resends


def test_the_loader_counts_what_comes_again_and_keeps_what_contradicts(chain: Chain, reports: dict[str, Any]) -> None:
    said = {
        name: (result.state, result.rows_loaded, result.rows_duplicate, result.rows_quarantined)
        for name, report in reports.items()
        for result in (*report.loaded, *report.duplicates)
    }
    assert said["whole file"] == ("duplicate", 0, 3, 0)
    assert said["same"] == ("loaded", 0, 1, 0)
    assert said["revised"] == ("loaded", 1, 0, 0)
    assert said["contradicted"] == ("loaded", 20, 0, 1)


def test_the_higher_revision_counts_and_a_resend_changes_nothing(chain: Chain) -> None:
    facts = receipts(chain, "resent", "net_sales_amount, qualifies_at_sale")
    assert {number: facts[number] for number in ("same", "revised", "contradicted")} == {
        "same": (Decimal("10.00"), True),
        "revised": (Decimal("20.00"), False),
        "contradicted": (Decimal("40.00"), True),
    }
    assert receipts(chain, "resent", "qualifies_at_sale", FIRST) == dict.fromkeys(
        ("same", "revised", "contradicted"), True
    )
    columns = "sale_receipts_member, sale_net_amount_member, net_sales_amount"
    assert kpi(chain, "resent", JAN_5, columns, FIRST) == (3, Decimal("70.00"), Decimal("70.00"))
    assert kpi(chain, "resent", JAN_5, columns) == (2, Decimal("50.00"), Decimal("70.00"))
    assert stages(chain, "resent", FIRST) == stages(chain, "resent")
    with db.connect(chain.settings) as conn:
        revisions = conn.execute(
            "select revision from raw.pos__receipts where receipt_no = 'revised' order by 1 nulls first"
        )
        assert revisions.fetchall() == [(None,), (1,)]


# ------------------------------------------------------------------------------------------ 13: insiders


def test_a_test_card_is_out_everywhere_and_staff_and_wholesale_are_store_sales_only(chain: Chain) -> None:
    columns = "sale_receipts, sale_receipts_member, net_sales_amount, net_sales_member_amount, valid_members"
    everything = Decimal("11111.00")
    assert kpi(chain, "insiders", JAN_5, columns, FIRST) == (3, 3, everything, Decimal("111.00"), 3)
    # the tester's 1 is gone, the staff's 10 is no member's any more
    assert kpi(chain, "insiders", JAN_5, columns) == (2, 1, Decimal("11110.00"), Decimal("100.00"), 1)
    assert "tester 1" in receipts(chain, "insiders", "member_id", FIRST)
    assert "tester 1" not in receipts(chain, "insiders", "member_id")
    assert member(chain, "dealer", "purchase_days, net_sales_amount") == (1, Decimal("100.00"))
    assert [member(chain, who, "stage_code", FIRST) for who in ("tester", "staff")] == [("S03",), ("S03",)]
    assert [member(chain, who, "stage_code") for who in ("tester", "staff")] == [("X",), ("X",)]


def test_staff_and_tests_leave_the_stock_by_their_own_line(chain: Chain) -> None:
    assert stocktake(chain, "insiders", NEW_YEAR, FIRST) == {"enrolled": 3, "closing": 3}
    assert stocktake(chain, "insiders", NEW_YEAR) == {"enrolled": 3, "excluded": 2, "closing": 1}


def test_a_card_with_more_than_eight_receipts_a_day_is_flagged_and_counts(chain: Chain) -> None:
    statement = "select member_id from bi.member_flags where is_suspect_shared and member_id in ('lent', 'own')"
    assert chain.read(statement, FIRST) == []
    assert chain.read(statement) == [("lent",)]
    assert kpi(chain, "shared", JAN_5, "sale_receipts_member, purchasing_members", FIRST) == (16, 2)
    assert kpi(chain, "shared", JAN_5, "sale_receipts_member, purchasing_members") == (17, 2)
    assert stages(chain, "lent") == stages(chain, "own") == [("S02", jan(2), jan(6)), ("S03", jan(6), OPEN)]


# ------------------------------------------------------------------------------------------ 14: erasure


def test_nobody_finds_who_was_erased(chain: Chain) -> None:
    words = {"forget me", "forget me:A", "phone of who is erased"}
    assert where_left(chain.settings, words) == set()


def test_no_total_of_any_release_changes_with_an_erasure(chain: Chain, told: dict[str, Any]) -> None:
    assert {release for release, _ in told["before"]} == {FIRST, LATER}
    assert told["after"] == told["before"]


def test_facts_stages_and_key_figures_of_the_erased_stand(chain: Chain) -> None:
    facts = receipts(chain, "erased", "business_date, net_sales_amount, member_id")
    assert {number: values[:2] for number, values in facts.items()} == {
        "of the erased": (jan(6), Decimal("70.00")),
        "of the erased later": (jan(21), Decimal("30.00")),
    }
    (tombstone,) = {values[2] for values in facts.values()}
    assert tombstone.startswith("erased-")
    assert stages(chain, tombstone, FIRST) == [("S02", jan(2), jan(6)), ("S03", jan(6), OPEN)]
    assert stages(chain, tombstone) == [("S02", jan(2), jan(6)), ("S03", jan(6), jan(21)), ("S04", jan(21), OPEN)]
    assert kpi(chain, "erased", JAN_19, "net_sales_member_amount, valid_members") == (Decimal("30.00"), 1)


# ------------------------------------------------------------------------------------------ transfers


def test_a_transfer_is_its_own_line_and_neither_growth_nor_churn(chain: Chain) -> None:
    assert stocktake(chain, "left", JAN_12, FIRST) == {"opening": 1, "closing": 1}
    assert stocktake(chain, "left", JAN_12) == {"opening": 1, "transfer_out": 1}
    assert stocktake(chain, "entered", JAN_12) == {"transfer_in": 1, "closing": 1}
    columns = "opening_members, new_members, closing_members, churn_base, active_members"
    assert kpi(chain, "left", JAN_12, columns, FIRST) == (1, 0, 1, 1, 1)
    assert kpi(chain, "left", JAN_12, columns) == (1, 0, 0, 1, 0)
    assert kpi(chain, "entered", JAN_12, columns) == (0, 0, 1, 0, 1)
    assert mix(chain, "left", JAN_5) == {"S03": 1}


def test_who_bought_counts_where_the_member_is_looked_after_and_money_where_it_was_paid(chain: Chain) -> None:
    columns = "purchasing_members, sale_receipts_member"
    assert kpi(chain, "left", JAN_19, columns) == (0, 1)
    assert kpi(chain, "entered", JAN_19, columns) == (1, 0)
