"""Personal data goes to the vault and nowhere else."""

from __future__ import annotations

import json
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
        for row in till.query(f"select to_jsonb(t)::text from {table} as t")  # noqa: S608
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
    assert birthday not in everything_but_the_vault(till)


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
    assert [row[3] for row in till.rejected()] == ["net_amount is '13812345678x', which is no money (such as 1234.50)"]


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
