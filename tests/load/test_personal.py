"""Personal data goes to the vault and nowhere else."""

from __future__ import annotations

import json
import re
from typing import Any

import psycopg
import pytest

from memberhouse import db

pytestmark = pytest.mark.services

ENROLMENTS = "card_no,phone,name,birthday,enrolled_at,store_id\n"
LI_MEI = "M1,138 1234 5678,Li Mei,1990-03-02,2026-03-02T10:00:00,S1\n"
WANG_WEI = 'M2,+8613900000000,"Wang, Wei",--02-29,2026-03-02T10:00:00,S1\n'


def everything_but_the_vault(till: Any) -> str:
    """All tables but those of the vault, as one text."""
    tables = till.query(
        "select format('%I.%I', schemaname, tablename) from pg_tables"
        " where schemaname not in ('vault', 'pg_catalog', 'information_schema')"
    )
    return "\n".join(
        str(row)
        for (table,) in tables
        for row in till.query(f"select to_jsonb(t)::text from {table} as t")  # noqa: S608  (our own names)
    )


def test_values_go_to_the_vault_and_tokens_into_raw(till: Any) -> None:
    till.drop(ENROLMENTS + LI_MEI + WANG_WEI, feed="enrolments")
    assert till.load().loaded[1].remarks == ()
    assert till.query("select what, value from vault.personal_value order by 1, 2") == [
        ("birthday", "--02-29"),
        ("birthday", "1990-03-02"),
        ("name", "Li Mei"),
        ("name", "Wang, Wei"),
        ("phone", "13812345678"),
        ("phone", "13900000000"),
    ]
    assert till.query(
        "select fed.card_no, phone.value, name.value, birthday.value from raw.pos__enrolments as fed"
        " join vault.personal_value as phone on phone.token = fed.phone_token"
        " join vault.personal_value as name on name.token = fed.name_token"
        " join vault.personal_value as birthday on birthday.token = fed.birthday_token order by 1"
    ) == [("M1", "13812345678", "Li Mei", "1990-03-02"), ("M2", "13900000000", "Wang, Wei", "--02-29")]
    left = everything_but_the_vault(till)
    assert [value for value in ("1234 5678", "13812345678", "Li Mei", "Wang", "1990-03-02") if value in left] == []


def test_a_phone_has_the_same_token_in_every_feed(till: Any) -> None:
    till.drop(ENROLMENTS + LI_MEI, feed="enrolments")
    till.drop(
        "store_id,register_id,business_date,receipt_no,receipt_type,sold_at,net_amount,member_phone\n"
        "S1,1,2026-03-02,R1,sale,2026-03-02T12:00:00,10.00,+86 13812345678\n"
        "S1,1,2026-03-02,R2,sale,2026-03-02T12:00:00,10.00,\n",
        feed="receipts",
    )
    till.drop(
        json.dumps(
            {
                "account_id": "A1",
                "phone": 13812345678,
                "created_at": "2026-03-02T08:00:00Z",
                "updated_at": "2026-03-02T08:00:00Z",
            }
        )
        + "\n",
        source="app",
        feed="accounts",
        file="accounts.jsonl.gz",
        rows=1,
    )
    till.load()
    assert till.query(
        "select receipt_no, member_phone_token = (select phone_token from raw.pos__enrolments),"
        " member_phone_token = (select phone_token from raw.app__accounts) from raw.pos__receipts order by 1"
    ) == [("R1", True, True), ("R2", None, None)]
    assert till.query("select count(*) from vault.personal_value where what = 'phone'") == [(1,)]


@pytest.mark.parametrize("birthday", ["02.03.1990", "1990-02-30", "--02-30", "1987", "0000-00-00"])
def test_a_birthday_that_is_none_is_quarantined_and_not_shown(till: Any, birthday: str) -> None:
    rows = "".join(f"M{n},,,,2026-03-02T10:00:00,S1\n" for n in range(3, 40))
    till.drop(ENROLMENTS + rows + LI_MEI.replace("1990-03-02", birthday), feed="enrolments")
    till.load()
    ((line_no, code, _, reason, raw_text),) = till.rejected()
    assert (line_no, code) == (39, "wrong_type")
    assert reason.startswith("birthday is no date (such as 1990-03-02")
    assert raw_text == "M1,(personal),(personal),(personal),2026-03-02T10:00:00,S1"
    # by itself: a checksum or a time of day may happen to have the four digits of a year within
    assert not re.search(rf"(?<![\w.]){re.escape(birthday)}(?!\w)", everything_but_the_vault(till))


def test_a_refused_batch_leaves_nothing_in_the_vault(till: Any) -> None:
    till.drop(ENROLMENTS + LI_MEI, feed="enrolments", rows=2)
    assert till.load().refused[0].code == "row_count_differs"
    assert till.query("select count(*) from vault.personal_value") == [(0,)]


def test_columns_that_nobody_declared_are_withheld_when_they_sound_personal_and_masked_otherwise(till: Any) -> None:
    till.drop(
        "card_no,enrolled_at,store_id,Mobile Phone,Remark\n"
        "M1,2026-03-02T10:00:00,S1,13812345678,call 13812345678 after six\n"
        "M2,2026-03-02T10:00:00,S1,,\n",
        feed="enrolments",
    )
    assert till.load().loaded[1].remarks == (
        "column 'Mobile Phone' is not in the contract and sounds personal; withheld",
        "column 'Remark' is not in the contract; kept",
    )
    assert till.query("select card_no, x_remark from raw.pos__enrolments order by 1") == [
        ("M1", "call (withheld) after six"),
        ("M2", None),
    ]
    assert "13812345678" not in everything_but_the_vault(till)


def test_json_that_nobody_declared_is_masked(till: Any) -> None:
    event = {
        "event_id": "E1",
        "account_id": "A1",
        "name": "view",
        "at": "2026-03-02T08:00:00Z",
        "properties": {
            "sku": "K1",
            "price": 12.5,
            "contact": {"phone": "13812345678"},
            "asked": "is 13812345678 yours",
        },
        "email": "li.mei@example.com",
        "screen": {"width": 390},
    }
    till.drop(json.dumps(event) + "\n", source="app", feed="events", file="events.jsonl.gz", rows=1)
    till.load()
    assert till.query("select properties, _extra from raw.app__events") == [
        (
            {"sku": "K1", "price": 12.5, "contact": {"phone": "(withheld)"}, "asked": "is (withheld) yours"},
            {"email": "(withheld)", "screen": {"width": 390}},
        )
    ]


def test_notes_and_reasons_hold_no_numbers_of_people(till: Any, sound_lines: Any, one_line: Any) -> None:
    till.drop(
        "store_id,week_start,phase,text\nS1,2026-03-02,plan,call Li on 13812345678\n",
        source="reference",
        feed="ops_notes",
    )
    till.drop(sound_lines(50, one_line(99, net_amount="13812345678x")))
    till.load()
    assert till.query("select text from raw.reference__ops_notes") == [("call Li on (withheld)",)]
    assert [row[3] for row in till.rejected()] == ["net_amount is '(withheld)x', which is no money (such as 1234.50)"]


def test_many_people_wait_outside_memory(till: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memberhouse.vault.values._IN_MEMORY", 1_000)
    monkeypatch.setattr("memberhouse.vault.values._REMEMBERED", 10)
    rows = "".join(f"M{n},139{n % 300:08},,,2026-03-02T10:00:00,S1\n" for n in range(1_000))
    till.drop(ENROLMENTS + rows, feed="enrolments")
    till.load()
    assert till.query("select count(*), count(distinct value) from vault.personal_value") == [(300, 300)]


def test_readers_of_bi_cannot_look_into_the_vault(till: Any) -> None:
    with db.connect(till.warehouse) as conn:
        db.as_bi_role(conn)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute("select value from vault.personal_value")


def test_the_one_role_that_may_reads_the_vault_and_nothing_else(till: Any) -> None:
    with db.connect(till.warehouse) as conn:
        db.as_bi_role(conn, "memberhouse_vault")
        conn.execute("select value from vault.personal_value")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute("select * from raw.pos__enrolments")


STAFF = "staff_id,name,store_id,valid_from\n"
SECRETS = ("Zhang", "Sanfeng", "张三丰", "13812345678", "1990-01-02")


@pytest.mark.parametrize(
    "content",
    [
        "S1,张三丰,13812345678,1990-01-02\nS2,李四,13912345678,1991-01-02\n",
        "S1,张三丰,张三丰,1990-01-02\nS2,李四,李四,1991-01-02\n",
        ENROLMENTS + 'M1,13812345678,"张三丰,1990-01-02,2026-03-02T10:00:00,S1\n',
    ],
    ids=["no_header", "no_header_and_a_name_twice", "unclosed_quote"],
)
@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_a_refusal_does_not_quote_the_file(till: Any, content: str, encoding: str) -> None:
    till.drop(content.encode(encoding), feed="enrolments")
    assert len(till.load().refused) == 1
    assert [secret for secret in SECRETS if secret in everything_but_the_vault(till)] == []


def test_a_row_with_a_comma_too_many_is_not_shown_because_nothing_stands_under_its_name(till: Any) -> None:
    rows = "".join(f"M{n},,,,2026-03-02T10:00:00,S1\n" for n in range(3, 40))
    ragged = "M1,13812345678,Zhang, Sanfeng,1990-01-02,2026-03-02T10:00:00,S1\n"
    till.drop(ENROLMENTS + rows + ragged, feed="enrolments")
    till.load()
    assert [row[1] for row in till.rejected()] == ["ragged_row"]
    assert [secret for secret in SECRETS if secret in everything_but_the_vault(till)] == []


def test_a_bad_row_of_json_is_shown_without_what_sounds_personal(till: Any) -> None:
    events = [{"event_id": f"E{n}", "name": "view", "at": "2026-03-02T08:00:00Z"} for n in range(40)]
    bad = {
        "event_id": "E99",
        "name": "view",
        "at": "soon",
        "real_name": "张三丰",
        "properties": {"birthday": "1990-01-02"},
    }
    unreadable = '{"event_id": "E98", "real_name": "张三丰", '
    content = "".join(
        f"{line}\n" for line in [*map(json.dumps, events), json.dumps(bad, ensure_ascii=False), unreadable]
    )
    till.drop(content, source="app", feed="events", file="events.jsonl.gz", rows=42)
    till.load()
    shown = {row[1]: row[4] for row in till.rejected()}
    assert shown["poison_json"].startswith("(withheld")
    assert json.loads(shown["wrong_type"]) == {
        "event_id": "E99",
        "name": "view",
        "at": "soon",
        "real_name": "(withheld)",
        "properties": {"birthday": "(withheld)"},
    }
    assert [secret for secret in SECRETS if secret in everything_but_the_vault(till)] == []


@pytest.mark.parametrize(
    "properties",
    ['{"phone":"13812345678","n":' + "7" * 5_000 + "}", "[" * 10_000],
    ids=["a number with 5,000 digits", "nested without end"],
)
def test_json_in_a_csv_file_that_cannot_be_read_is_not_taken_as_it_is(till: Any, properties: str) -> None:
    quoted = properties.replace('"', '""')
    rows = "".join(f"E{n},view,2026-03-02T08:00:00Z,\n" for n in range(40))
    till.drop(
        "event_id,name,at,properties\n" + rows + f'E99,view,2026-03-02T08:00:00Z,"{quoted}"\n',
        source="app",
        feed="events",
    )
    report = till.load()
    assert (len(report.refused), report.rows_quarantined) == (0, 1)
    assert [secret for secret in SECRETS if secret in everything_but_the_vault(till)] == []


def test_the_same_row_with_tokens_of_another_key_is_no_contradiction(till: Any) -> None:
    account = {
        "account_id": "A1",
        "phone": "13812345678",
        "created_at": "2026-03-02T08:00:00Z",
        "updated_at": "2026-03-02T08:00:00Z",
    }
    for city in ("Suzhou", "Suzhou", "Wuxi"):
        till.drop(json.dumps(account | {"city": city}) + "\n", source="app", feed="accounts", file="a.jsonl.gz", rows=1)
        report = till.load(bad_share=1.0)
        with db.connect(till.warehouse) as conn:  # as if the key had been changed since
            conn.execute("update raw.app__accounts set phone_token = '7-' || split_part(phone_token, '-', 2)")
        if city == "Suzhou":
            assert report.rows_quarantined == 0
    assert [row[1] for row in till.rejected()] == ["contradicts_earlier_row"]
    assert till.query("select count(*), min(city) from raw.app__accounts") == [(1, "Suzhou")]
