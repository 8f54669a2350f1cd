"""One member with two cards, two accounts and a past, erased beside its neighbours; and what may go wrong meanwhile."""

from __future__ import annotations

import csv
import fcntl
import gzip
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet
from tests.chain import Chain, publish
from tests.conftest import copy_of, new_warehouse
from tests.erase.conftest import rows_of, totals, where_left

from memberhouse import db
from memberhouse.alerts import raise_alert
from memberhouse.erase import UnknownMember, erase, finish
from memberhouse.erase.database import Undeclared
from memberhouse.errors import MemberhouseError
from memberhouse.landing import NewFile, write_batch
from memberhouse.load import load_landed, loader
from memberhouse.settings import Settings

pytestmark = pytest.mark.services

KEY = "0123456789abcdef0123456789abcdef"
RELEASES = (date(2026, 1, 31), date(2026, 2, 28), date(2026, 3, 31))
LATER = date(2026, 4, 10)

# the member: known by the first of two cards that were enrolled at the same moment
CARDS = ("8800000001", "8800000002")
ACCOUNTS = ("acct-000001", "acct-000002")
IDS = {*CARDS, *ACCOUNTS}
PHONE, EMAIL, OPENID = "13911112222", "ouyang.xm@example.com", "oxOUYANGxm"
NAME, BIRTHDAY = "欧阳晓明", "1987-03-09"
WORDS = IDS | {PHONE, EMAIL, OPENID, NAME, BIRTHDAY}
# the number that the second account had until a neighbour got it
SECOND_PHONE = "13955556666"
NEIGHBOUR, NEIGHBOURS_ACCOUNT, NEIGHBOURS_PHONE = "8800000003", "acct-000003", "13933334444"
HEIR = "8800000004"
STRANGER = "8800000005"
SHORT = ("4711", "4712")

_numbers = count(1)


def at(day: date, clock: str = "12:00:00") -> str:
    return f"{day}T{clock}+08:00"


def receipt(number: str, day: date, store: str = "S1", amount: str = "100.00", **named: str) -> dict[str, str]:
    columns = {
        "store_id": store,
        "register_id": "1",
        "business_date": str(day),
        "receipt_no": number,
        "receipt_type": "sale",
        "sold_at": at(day),
        "member_card_no": "",
        "member_phone": "",
        "account_id": "",
        "net_amount": amount,
        "till_note": "",
    }
    return columns | named


def line(of: Mapping[str, str]) -> dict[str, str]:
    key = {name: of[name] for name in ("store_id", "register_id", "business_date", "receipt_no", "receipt_type")}
    return key | {"line_no": "1", "sku": "shirt", "quantity": "1", "net_amount": of["net_amount"]}


def as_csv(rows: Sequence[Mapping[str, str]], encoding: str = "utf-8", more: str = "") -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, rows[0].keys(), lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    return (out.getvalue() + more).encode(encoding)


def as_json_lines(rows: Sequence[Mapping[str, Any]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def as_parquet(rows: Sequence[Mapping[str, Any]]) -> bytes:
    out = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist([dict(row) for row in rows]), out)
    return out.getvalue()


@dataclass
class Story:
    """A warehouse, its state folder, its landing area; `before`: the totals of all releases."""

    settings: Settings
    landing: Path
    before: dict[tuple[int, str], tuple[Any, ...]]

    def land(
        self, source: str, feed: str, day: date, content: bytes, rows: int, file: str, encoding: str = "utf-8"
    ) -> Path:
        return write_batch(
            self.landing,
            source=source,
            feed=feed,
            business_date=day,
            name=f"b{next(_numbers)}",
            files=[NewFile(file, content, rows)],
            produced_at=datetime.combine(day, time(23), UTC),
            encoding=encoding,
        )

    def sell(self, day: date, *receipts: Mapping[str, str]) -> None:
        self.land("pos", "receipts", day, as_csv(receipts), len(receipts), "receipts.csv.gz")
        lines = [line(each) for each in receipts]
        self.land("pos", "receipt_lines", day, as_csv(lines), len(lines), "receipt_lines.csv.gz")

    def load(self, until: date) -> Any:
        return load_landed(self.settings, self.landing, until=until, bad_share=1)

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        with db.connect(self.settings) as conn:
            return conn.execute(statement.encode()).fetchall()

    def execute(self, statement: str) -> None:
        with db.connect(self.settings) as conn:
            conn.execute(statement.encode())

    def left(self, words: set[str] = WORDS) -> set[str]:
        return where_left(self.settings, words, self.settings.home, self.landing)

    def written_by_a_build(self, *, full_refresh: bool = False) -> dict[str, int]:
        chain = Chain.__new__(Chain)
        chain.settings = self.settings
        return chain.written_by(publish(self.settings, RELEASES[-1], full_refresh=full_refresh))


def deliver(story: Story) -> None:
    """Three months: the member and its neighbours, in every format that can be landed."""
    day = date(2026, 1, 5)
    stores = [{"store_id": store, "timezone": "Asia/Shanghai", "day_cutoff": "00:00"} for store in ("S1", "S2", "APP")]
    story.land("reference", "stores", day, as_csv(stores), 3, "stores.csv")
    person = {"phone": PHONE, "name": NAME, "birthday": BIRTHDAY}
    others = {"phone": NEIGHBOURS_PHONE, "name": "李四", "birthday": "1990-01-01"}
    enrolments = [
        {"card_no": card, "enrolled_at": at(day), "store_id": store, **who}
        for card, store, who in (
            (CARDS[1], "S2", person),
            (CARDS[0], "S1", person),
            (NEIGHBOUR, "S1", others),
            (STRANGER, "S1", others | {"phone": "13977778888"}),
        )
    ]
    story.land("pos", "enrolments", day, as_csv(enrolments, "gb18030"), 4, "enrolments.csv.gz", encoding="gb18030")
    accounts = [
        {"account_id": ACCOUNTS[0], "phone": PHONE, "email": EMAIL.title(), "wechat_openid": OPENID, "name": NAME,
         "created_at": at(day), "updated_at": at(day), "member_since": at(day), "nickname": NAME},
        {"account_id": ACCOUNTS[1], "phone": SECOND_PHONE, "created_at": at(day), "updated_at": at(day),
         "member_since": at(day)},
        {"account_id": NEIGHBOURS_ACCOUNT, "phone": NEIGHBOURS_PHONE, "created_at": at(day), "updated_at": at(day),
         "referrer_account_id": ACCOUNTS[0]},
    ]  # fmt: skip
    story.land("app", "accounts", day, as_json_lines(accounts), 3, "accounts.jsonl.gz")
    for when, number in ((day, 0), (date(2026, 2, 10), 1)):
        links = [{"account_id": ACCOUNTS[number], "card_no": CARDS[number], "valid_from": at(when),
                  "recorded_at": at(when), "method": "scan"}]  # fmt: skip
        if number == 1:
            links += [{"account_id": ACCOUNTS[1], "survivor_account_id": ACCOUNTS[0], "valid_from": at(when),
                       "recorded_at": at(when), "method": "merge"}]  # fmt: skip
        story.land("app", "identity_links", when, as_json_lines(links), len(links), "links.jsonl")
    heir = [{"card_no": HEIR, "enrolled_at": at(date(2026, 2, 20)), "store_id": "S2", "phone": SECOND_PHONE,
             "name": "王五", "birthday": "1991-02-02"}]  # fmt: skip
    story.land("pos", "enrolments", date(2026, 2, 20), as_csv(heir), 1, "enrolments.csv")
    for number in range(12):
        on = day + timedelta(days=2 + 7 * number)
        story.sell(
            on,
            receipt(f"{number}a", on, member_card_no=CARDS[0], till_note=f"called {PHONE}"),
            receipt(f"{number}b", on, "S2", "30.00", member_card_no=CARDS[1], member_phone=SECOND_PHONE),
            receipt(f"{number}c", on, "APP", "20.00", account_id=ACCOUNTS[number % 2]),
            receipt(f"{number}d", on, "S2", "15.00", member_phone=f"+86 {PHONE[:3]}-{PHONE[3:]}"),
            receipt(f"{number}e", on, "S2", "25.00", member_phone=SECOND_PHONE),
            receipt(f"{number}f", on, "S1", "50.00", member_card_no=NEIGHBOUR, member_phone=NEIGHBOURS_PHONE),
            receipt(f"{number}g", on, "S1", "70.00", member_card_no=STRANGER),
            receipt(f"{number}h", on, "S1", "12.00"),
        )
    on = date(2026, 3, 3)
    bad = [
        receipt("in a store to come", on, "S9", member_card_no=CARDS[0], till_note=NAME),
        receipt("no amount", on, "S1", "much", member_card_no=CARDS[0], member_phone=PHONE),
        receipt("sound", on, "S1", member_card_no=STRANGER),
    ]
    ragged = f"S1,1,{on},ragged,sale,{at(on)},{CARDS[0]},{PHONE}\r\n"
    story.land("pos", "receipts", on, as_csv(bad, more=ragged), 4, "receipts.csv")
    story.land("pos", "receipt_lines", on, as_csv([line(each) for each in bad[2:]]), 1, "receipt_lines.csv")
    points = [
        {"entry_id": f"P{number}", "card_no": card, "type": "earn", "points": 10, "lot_id": f"{card}-202602",
         "at": at(date(2026, 2, 2))}
        for number, card in enumerate((*CARDS, NEIGHBOUR))
    ]  # fmt: skip
    for when in (date(2026, 2, 2), date(2026, 2, 3)):  # the second time: repeated
        story.land("app", "points_entries", when, as_json_lines(points), 3, "points.jsonl")
    consents = [
        {"account_id": account, "purpose": "marketing", "channel": "sms", "granted": True, "at": at(day)}
        for account in (ACCOUNTS[0], NEIGHBOURS_ACCOUNT)
    ]
    story.land("app", "consents", day, as_parquet(consents), 2, "consents.parquet")
    events = [
        {"event_id": "E1", "account_id": ACCOUNTS[0], "name": "shared", "at": at(day),
         "properties": {"from": CARDS[0], "page": 7}},
        {"event_id": "E2", "account_id": NEIGHBOURS_ACCOUNT, "name": "shared", "at": at(day),
         "properties": {"with": f"card {CARDS[1]}!", "page": 1.5}},
    ]  # fmt: skip
    story.land("app", "events", day, as_json_lines(events), 2, "events.jsonl")
    referrals = [{"referral_id": "F1", "referrer": CARDS[0], "referee": NEIGHBOUR, "at": at(day)}]
    story.land("app", "referrals", day, as_json_lines(referrals), 1, "referrals.jsonl")
    # who is known by so short an id that it is no more than a number, and by an account that is linked later
    first = date(2026, 1, 6)
    enrolment = {
        "card_no": SHORT[0],
        "enrolled_at": at(first),
        "store_id": "S1",
        "phone": "",
        "name": "",
        "birthday": "",
    }
    story.land("pos", "enrolments", first, as_csv([enrolment]), 1, "enrolments.csv")
    account = {"account_id": SHORT[1], "created_at": at(first), "updated_at": at(first), "member_since": at(first)}
    story.land("app", "accounts", first, as_json_lines([account]), 1, "accounts.jsonl")
    story.sell(date(2026, 1, 9), receipt("short", date(2026, 1, 9), "APP", "4.00", account_id=SHORT[1]))
    later = date(2026, 2, 9)
    link = {"account_id": SHORT[1], "card_no": SHORT[0], "valid_from": at(first), "recorded_at": at(later)}
    story.land("app", "identity_links", later, as_json_lines([link | {"method": "scan"}]), 1, "links.jsonl")
    cut = story.land("pos", "receipts", date(2026, 3, 4), b"", 2, "receipts.csv.gz")
    whole = gzip.compress(as_csv([receipt("cut", on, member_card_no=CARDS[0])] * 200))
    (cut / "receipts.csv.gz").write_bytes(whole[:-20])
    # not taken yet
    story.sell(LATER, receipt("late a", LATER, member_card_no=CARDS[1]), receipt("late b", LATER, member_phone=PHONE))


@pytest.fixture(scope="module")
def published(server_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Three releases of the chain; shared: take a copy."""
    folder = tmp_path_factory.mktemp("story")
    with new_warehouse(server_home) as database:
        settings = replace(database, home=folder / "home", vault_key=KEY)
        story = Story(settings, folder / "landing", {})
        deliver(story)
        for day in RELEASES:
            story.load(day)
            publish(settings, day)
        raise_alert(settings, f"card {CARDS[0]}", f"{PHONE} complained", "call back", {"account": [ACCOUNTS[1]]})
        for name in ("reports/said.html", "airflow/logs/task.log"):
            (settings.home / name).parent.mkdir(parents=True, exist_ok=True)
            (settings.home / name).write_text(f"card {CARDS[0]}, {EMAIL}, card {NEIGHBOUR}")
        story.before = totals(settings)
        yield story


@pytest.fixture
def story(published: Story, tmp_path: Path) -> Story:
    """A copy of the chain of its own."""
    landing, home = tmp_path / "landing", tmp_path / "home"
    shutil.copytree(published.landing, landing)
    shutil.copytree(published.settings.home, home)
    copied = copy_of(published.settings)
    settings = replace(copied, home=home, vault_key=KEY)
    with db.connect(settings) as conn:
        conn.execute("update ops.step set subject = %s where step = 'load'", (str(landing),))
    return Story(settings, landing, published.before)


def test_nothing_of_the_member_is_left_and_every_number_stands(story: Story) -> None:
    assert len(story.left()) > 50
    done = erase(story.settings, CARDS[1])
    assert story.left() == set()
    assert totals(story.settings) == story.before
    assert (done.shared, done.not_searched) == (1, [])
    assert story.written_by_a_build() == {}
    assert story.written_by_a_build(full_refresh=True) == {}
    now = totals(story.settings)
    assert {key: now[key] for key in story.before} == story.before


def test_the_member_stays_one_with_its_two_cards_apart(story: Story) -> None:
    erase(story.settings, CARDS[0])
    (member_id, other), (_, merged_into) = story.query(
        "select member_id, merged_into from bi.dim_member where member_id like 'erased-%'"
        " order by merged_into nulls first"
    )
    assert (other, merged_into) == (None, member_id)
    assert story.query(
        "select identifier_kind, count(*) from bi.bridge_identity where identifier like 'erased-%' and member_id ="
        f" '{member_id}' group by 1 order by 1"
    ) == [("account", 2), ("card", 2), ("openid_token", 1), ("phone_token", 2)]
    # the sales by card, account and both phones: the second one until its heir showed it
    assert story.query(
        f"select count(*), sum(net_amount) from bi.fct_receipt where member_id = '{member_id}'"
    ) == story.query("select 12 * 4 + 7, 12 * 165 + 7 * 25.00")
    assert story.query(f"select count(*) from bi.fct_receipt where member_id = '{HEIR}'") == [(5,)]


def test_neighbours_keep_what_is_theirs(story: Story) -> None:
    erase(story.settings, CARDS[0])
    kept = {value for (value,) in story.query("select value from vault.personal_value")}
    assert {NEIGHBOURS_PHONE, SECOND_PHONE, "李四", "王五", "1990-01-01"} <= kept
    (folder,) = (story.landing / "app/accounts/2026-01-05/all").iterdir()
    first, second, third = rows_of(folder / "accounts.jsonl.gz")
    assert third["phone"] == NEIGHBOURS_PHONE
    assert third["referrer_account_id"] == first["account_id"] != second["account_id"]
    assert (first["phone"], first["nickname"], second["phone"]) == (None, None, None)
    (folder,) = (story.landing / "app/points_entries/2026-02-02/all").iterdir()
    assert rows_of(folder / "points.jsonl")[2]["lot_id"] == f"{NEIGHBOUR}-202602"
    assert (story.settings.home / "reports/said.html").read_text() == (
        f"card {'*' * len(CARDS[0])}, {'*' * len(EMAIL)}, card {NEIGHBOUR}"
    )


def test_what_was_taken_stays_taken_and_what_comes_later_counts_for_nobody_known(story: Story) -> None:
    erase(story.settings, PHONE)
    report = story.load(RELEASES[-1])
    assert (report.loaded, report.duplicates, report.refused) == ([], [], [])
    report = story.load(LATER)
    assert (report.rows_loaded, report.refused) == (4, [])
    assert story.query(
        "select member_card_no like 'erased-%', member_phone_token is null from raw.pos__receipts"
        f" where business_date = '{LATER}' order by receipt_no"
    ) == [(True, True), (None, True)]


def test_a_row_in_quarantine_is_loaded_later_as_nobodys(story: Story) -> None:
    erase(story.settings, ACCOUNTS[1])
    stores = [{"store_id": "S9", "timezone": "Asia/Shanghai", "day_cutoff": "00:00"}]
    story.land("reference", "stores", RELEASES[-1], as_csv(stores), 1, "stores.csv")
    assert story.load(RELEASES[-1]).replayed.loaded == 1
    ((card, note),) = story.query("select member_card_no, x_till_note from raw.pos__receipts where store_id = 'S9'")
    assert note is None
    assert story.query(f"select count(*) from raw.pos__enrolments where card_no = '{card}'") == [(1,)]
    assert story.left() == set()


def test_the_landing_area_of_the_settings_is_searched_though_nothing_was_loaded_from_it(story: Story) -> None:
    story.execute("delete from ops.step where step = 'load'")
    erase(replace(story.settings, landing=str(story.landing)), CARDS[0])
    assert story.left() == set()


def test_a_dry_run_tells_and_changes_nothing(story: Story) -> None:
    files = {path: path.read_bytes() for path in story.landing.rglob("*") if path.is_file()}
    rows = story.query("select x::text from raw.pos__receipts as x order by 1")
    told = erase(story.settings, CARDS[0], dry_run=True)
    assert set(told.ids) == IDS
    assert told.found["raw.pos__enrolments"] == 2
    assert told.found["landed pos/enrolments"] == 2
    assert told.found["quarantine.rejected_row"] == 2  # of the third nothing was kept
    assert told.found["quarantine.duplicate_row"] == 2
    assert told.found[str(story.settings.home / "airflow/logs/task.log")] == 2
    assert {path: path.read_bytes() for path in story.landing.rglob("*") if path.is_file()} == files
    assert story.query("select x::text from raw.pos__receipts as x order by 1") == rows
    assert story.query("select count(*) from ops.erasure") == [(0,)]


@pytest.mark.parametrize("nobody", ["8800009999", "13900000000", "complained", "", "erased-00"])
def test_nobody_is_known_by_another_name(story: Story, nobody: str) -> None:
    with pytest.raises(UnknownMember) as error:
        erase(story.settings, nobody)
    assert not nobody or nobody not in str(error.value)
    assert story.query("select count(*) from ops.alert where message like '%complained%'") == [(1,)]


def test_a_number_that_two_members_have_names_neither(story: Story) -> None:
    with pytest.raises(MemberhouseError, match="of 2 ids that are not one member") as refused:
        erase(story.settings, SECOND_PHONE)
    assert not any(name in f"{refused.value.message} {refused.value.next_action}" for name in IDS | {HEIR})
    assert len(story.left()) > 50


@pytest.mark.parametrize("first", [CARDS[0], HEIR], ids=["the first holder first", "the heir first"])
def test_two_who_had_a_number_one_after_the_other_are_both_erased(story: Story, first: str) -> None:
    (second,) = {CARDS[0], HEIR} - {first}
    erase(story.settings, first)
    erase(story.settings, second)
    assert story.left(WORDS | {HEIR, SECOND_PHONE, "王五", "1991-02-02"}) == set()
    assert story.query("select count(*) from ops.erased_hold where token not like 'erased-%'") == [(0,)]
    assert totals(story.settings) == story.before
    assert story.written_by_a_build(full_refresh=True) == {}


def test_a_short_id_goes_from_the_log_of_restatements(story: Story) -> None:
    named = (
        "select count(*) filter (where grain_key ->> 'member_id' in {0}),"
        " count(*) filter (where column_name = 'member_id' and (old_value in {0} or new_value in {0}))"
        " from release.restatement"
    )
    ((keys, cells),) = story.query(named.format(SHORT))
    assert (keys > 0, cells > 0) == (True, True)
    rows = story.query("select count(*) from release.restatement")
    erase(story.settings, SHORT[0])
    assert story.query(named.format(SHORT)) == [(0, 0)]
    told = story.query(
        "select distinct old_value, new_value from release.restatement where column_name = 'member_id'"
        " and new_value like 'erased-%'"
    )
    assert told == story.query(
        "select account_id, card_no from raw.app__identity_links where method = 'scan' and card_no like 'erased-%'"
    )
    assert story.query("select count(*) from release.restatement") == rows
    assert totals(story.settings) == story.before


def test_what_only_looks_like_the_member_stays(story: Story) -> None:
    on, card = date(2026, 3, 30), CARDS[0]
    sold = [
        receipt(f"T1-{card}", on, member_card_no=STRANGER),
        receipt(card, on, member_card_no=STRANGER),
        receipt(f"T2-{card}", on, member_card_no=card),
        receipt(card, on, "S2", member_card_no=card),
    ]
    story.land("pos", "receipts", on, as_csv(sold), 4, "receipts.csv")
    lines = [line(each) | {"sku": f"AB-{card}"} for each in sold]
    story.land("pos", "receipt_lines", on, as_csv(lines), 4, "receipt_lines.csv")
    contacts = [
        {"contact_id": f"{who}-{card}", "member": member, "channel": "sms", "intent": "care", "created_at": at(on)}
        for who, member in (("own", card), ("others", STRANGER))
    ]
    story.land("app", "contacts", on, as_json_lines(contacts), 2, "contacts.jsonl")
    states = [{"contact_id": each["contact_id"], "state": "sent", "at": at(on)} for each in contacts]
    story.land("app", "contact_states", on, as_json_lines(states), 2, "states.jsonl")
    assert story.load(RELEASES[-1]).refused == []
    publish(story.settings, RELEASES[-1])
    before = totals(story.settings)
    numbers = "select store_id, receipt_no from raw.pos__receipts union select store_id, receipt_no from bi.fct_receipt"
    kept = set(story.query(numbers))
    assert ("S1", f"T1-{card}") in kept

    erase(story.settings, card)

    assert totals(story.settings) == before
    assert set(story.query(numbers)) == kept
    (folder,) = (story.landing / f"pos/receipts/{on}/all").iterdir()
    landed = list(csv.DictReader((folder / "receipts.csv").read_text().splitlines()))
    assert [row["receipt_no"] for row in landed] == [row["receipt_no"] for row in sold]
    assert [row["member_card_no"].startswith("erased-") for row in landed] == [False, False, True, True]
    for table in ("raw.pos__receipt_lines", "bi.fct_receipt_line"):
        assert story.query(f"select count(*) from {table} where sku = 'AB-{card}'") == [(4,)]
    assert story.query(
        "select replace(contact_id, member_id, 'card'), state from bi.fct_contact"
        f" where created_at::date = '{on}' order by contact_id"
    ) == [(f"others-{card}", "sent"), ("own-card", "sent")]
    assert story.written_by_a_build(full_refresh=True) == {}


def test_who_is_erased_twice_is_not_known(story: Story) -> None:
    erase(story.settings, CARDS[0])
    rows = story.query("select x::text from raw.pos__receipts as x order by 1")
    for name in (CARDS[0], ACCOUNTS[1], PHONE, EMAIL):
        with pytest.raises(UnknownMember):
            erase(story.settings, name)
    assert story.query("select x::text from raw.pos__receipts as x order by 1") == rows


def test_a_column_of_which_nobody_said_that_it_names_members_stops_it(story: Story) -> None:
    story.execute("update release.member_column set names_member = null where column_name = 'merged_into'")
    with pytest.raises(Undeclared, match=r"history\.dim_member__open\.merged_into"):
        erase(story.settings, CARDS[0])
    assert len(story.left()) > 50
    assert not list(story.landing.rglob("*.erased"))


def test_a_mart_that_left_the_project_before_anybody_said_what_names_members(story: Story) -> None:
    story.execute(
        "insert into release.versioned_table (table_name, group_name, last_release_id) values ('gone', 'core', 1);"
        "create table history.gone__open (referrer_card_no text, word text);"
        f"insert into history.gone__open values ('{CARDS[0]}', 'mouse'), ('{STRANGER}', 'cat')"
    )
    erase(story.settings, CARDS[0])
    assert story.left() == set()
    assert story.query("select referrer_card_no like 'erased-%', word from history.gone__open order by 2") == [
        (False, "cat"),
        (True, "mouse"),
    ]


def test_of_a_mart_that_is_new_a_build_says_what_names_members(story: Story) -> None:
    story.execute("delete from release.member_column where table_name = 'dim_member'")
    with pytest.raises(Undeclared, match="columns of dim_member name"):
        erase(story.settings, CARDS[0])


def test_an_approved_enrolment_stays_approved(story: Story) -> None:
    story.execute(f"insert into intermediate.approved_enrolments values ('{CARDS[0]}', '2026-02-01', 'the office')")
    erase(story.settings, CARDS[0])
    assert story.query(
        "select count(*) from ops.erased_approval inner join raw.pos__enrolments using (card_no)"
    ) == [(1,)]  # fmt: skip


def said(story: Story, *arguments: str, given: str = "") -> tuple[int, str]:
    """What `memberhouse erase` says on the command line."""
    done = subprocess.run(
        [sys.executable, "-c", "from memberhouse.cli import main; main()", "erase", *arguments],
        env=environment(story),
        input=given,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def environment(story: Story) -> dict[str, str]:
    return {
        **os.environ,
        "MEMBERHOUSE_HOME": str(story.settings.home),
        "DATABASE_URL": str(story.settings.database_url),
        "MEMBERHOUSE_VAULT_KEY": KEY,
    }


def test_on_the_command_line(story: Story) -> None:
    assert said(story) == (0, "No erasure was interrupted.\n")
    code, text = said(story, EMAIL, "--dry-run")
    assert (code, "Nothing was changed." in text) == (0, True)
    assert all(name in text for name in IDS)
    code, text = said(story, "-", given=f"{EMAIL}\n")
    assert (code, "nothing found." in text, "comes back as somebody new" in text) == (0, True, True)
    assert not any(word in text for word in WORDS)
    code, text = said(story, EMAIL)
    assert code == 1
    assert "not known any more" in text
    assert story.left() == set()
    steps = story.query("select state, summary from ops.step where step = 'erase'")
    assert [state for state, _ in steps] == ["done"]


KILLED = """
import os, sys
from memberhouse.erase import database, erasure, journal
from memberhouse.settings import Settings
real = getattr({module}, "{name}")
calls = 0
def killed(*args, **options):
    global calls
    calls += 1
    if calls < {call}:
        return real(*args, **options)
    {before}
    os._exit(9)
setattr({module}, "{name}", killed)
erasure.erase(Settings.from_env(), sys.argv[1])
"""


def killed_at(story: Story, module: str, name: str, call: int = 1, before: str = "") -> None:
    """Run an erasure in a process of its own that ends at the named function's n-th call."""
    code = KILLED.format(module=module, name=name, call=call, before=before)
    done = subprocess.run(
        [sys.executable, "-c", code, CARDS[0]], env=environment(story), capture_output=True, check=False
    )
    assert done.returncode == 9, done.stderr.decode()


@pytest.mark.parametrize(
    ("module", "name", "before"),
    [
        pytest.param("database", "erase", "", id="when all files are prepared"),
        pytest.param("journal", "begin", "real(*args, **options)", id="before the commit"),
    ],
)
def test_killed_before_the_commit_nothing_is_erased_and_again_all(
    story: Story, module: str, name: str, before: str
) -> None:
    killed_at(story, module, name, before=before)
    assert totals(story.settings) == story.before
    assert story.query(f"select count(*) from raw.pos__enrolments where card_no = '{CARDS[0]}'") == [(1,)]
    assert story.load(RELEASES[-1]).refused == []
    erase(story.settings, CARDS[0])
    assert story.left() == set()
    assert not list(story.landing.rglob(".*.erased"))
    assert story.load(RELEASES[-1]).refused == []


@pytest.mark.parametrize(
    "files",
    [pytest.param(0, marks=pytest.mark.full), 1, pytest.param(4, marks=pytest.mark.full)],
    ids="{} files".format,
)
def test_killed_after_the_commit_loads_wait_and_again_it_is_finished(story: Story, files: int) -> None:
    killed_at(story, "journal", "_apply", call=files + 1)
    # but for what the planner remembers
    assert {place for place in where_left(story.settings, IDS) if "pg_stats" not in place} == set()
    assert len(story.left()) > 10
    with pytest.raises(MemberhouseError, match="begun and not finished"):
        story.load(RELEASES[-1])
    if files == 1:
        assert erase(story.settings, CARDS[0]).finished == 1  # the same command again
    else:
        assert finish(story.settings) == 1
    assert story.left() == set()
    assert story.query("select pending, finished_at is not null from ops.erasure") == [([], True)]
    assert story.load(RELEASES[-1]).refused == []
    assert story.written_by_a_build() == {}


def test_files_wait_until_their_landing_area_is_there(story: Story, tmp_path: Path) -> None:
    killed_at(story, "journal", "_apply", call=2)
    away = tmp_path / "away"
    story.landing.rename(away)
    for mounted in (False, True):
        if mounted:
            story.landing.mkdir()
        with pytest.raises(MemberhouseError, match=str(story.landing)):
            finish(story.settings)
        assert story.query("select pending <> '[]', finished_at from ops.erasure") == [(True, None)]
        with pytest.raises(MemberhouseError, match="begun and not finished"):
            story.load(RELEASES[-1])
    story.landing.rmdir()
    away.rename(story.landing)
    assert finish(story.settings) == 1
    assert story.left() == set()


def test_leftovers_in_the_landing_area_and_of_extractions(story: Story) -> None:
    cut = max((story.landing / "pos/receipts/2026-03-04/all").iterdir(), key=lambda folder: int(folder.name[1:]))
    (readable,) = (story.landing / "app/accounts/2026-01-05/all").iterdir()
    being_written = story.landing / "pos/receipts/2026-03-09/S1/b-killed"
    others = story.landing / "pos/receipts/2026-03-09/S2/b-killed"
    work = story.settings.home / "extracting/accounts"
    mine, theirs = (as_csv([receipt("x", LATER, member_card_no=card)]) for card in (CARDS[0], STRANGER))
    for folder in (cut / "tried", readable / "old", being_written, others, work):
        folder.mkdir(parents=True)
    (cut / "tried/receipts.csv").write_bytes(mine)
    (readable / "old/accounts.csv").write_bytes(mine)
    (readable / "accounts-1.csv.gz").write_bytes(gzip.compress(mine))
    (readable / "accounts-2.csv.gz").write_bytes(gzip.compress(theirs))
    (readable / ".accounts.jsonl.gz.part").write_bytes(gzip.compress(mine)[:-9])
    (being_written / "receipts.csv.gz").write_bytes(gzip.compress(mine))
    (others / "receipts.csv.gz").write_bytes(gzip.compress(theirs))
    (work / "2026-03-09").write_bytes(gzip.compress(mine))
    under_way = work.with_name("events")
    under_way.mkdir()
    with work.with_name("events.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = erase(story.settings, CARDS[0])
    assert done.not_searched == [f"{under_way} (an extraction is under way)"]
    assert story.left() == set()
    assert not cut.exists()
    assert not being_written.exists()
    assert not work.exists()
    assert sorted(path.name for path in readable.rglob("*") if path.is_file()) == [
        "accounts-2.csv.gz",
        "accounts.jsonl.gz",
        "manifest.json",
    ]
    assert (others / "receipts.csv.gz").is_file()
    assert story.load(RELEASES[-1]).refused == []


def test_a_load_that_listed_its_files_before_takes_none_of_them_after(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    find: Callable[..., Any] = loader.find_batches

    def erased_meanwhile(*args: Any, **options: Any) -> Any:
        batches = find(*args, **options)
        erase(story.settings, CARDS[0])
        return batches

    monkeypatch.setattr(loader, "find_batches", erased_meanwhile)
    with pytest.raises(MemberhouseError, match="erased while this load ran"):
        story.load(LATER)
    monkeypatch.undo()
    assert story.left() == set()
    assert story.load(LATER).refused == []
    assert story.left() == set()
