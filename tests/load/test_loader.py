"""The loader's promises: whole or not at all, once, every row and every cent accounted for."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.conservation import assert_conserved

from memberhouse.load import LoadReport, checks, parts_to_load
from memberhouse.load.reader import FileReader

pytestmark = pytest.mark.services

Make = Callable[..., str]


def till_day(offset: int) -> date:
    """A business date, by its distance from the till's own."""
    return date(2026, 3, 2) + timedelta(days=offset)


LINE_COLUMNS = [
    "store_id",
    "register_id",
    "business_date",
    "receipt_no",
    "receipt_type",
    "line_no",
    "sku",
    "quantity",
    "net_amount",
]


def only_refusal(report: LoadReport) -> tuple[str, str]:
    (refused,) = report.refused
    assert refused.next_action
    return refused.code or "", refused.reason or ""


# ---------------------------------------------------------------- sound batches


def test_a_sound_batch_is_loaded_typed_and_booked(till: Any, sound_lines: Make) -> None:
    till.drop(sound_lines(100), amount_total="1000.00")
    report = till.load()
    assert (report.rows_in, report.rows_loaded) == (102, 102)
    assert till.query("select count(*), sum(net_amount), min(_line_no) from raw.pos__receipt_lines") == [
        (100, Decimal("1000.00"), 2)
    ]
    assert till.query("select rows_in, amount_in from ops.load_file where amount_in is not null") == [
        (100, Decimal("1000.00"))
    ]
    assert_conserved(till.warehouse)


def test_until_and_sources_leave_the_rest_for_later(till: Any, sound_lines: Make) -> None:
    till.drop(sound_lines())
    assert till.load(sources=["app"]).loaded == []
    assert len(till.load(sources=["reference"]).loaded) == 1
    assert till.load(until=till_day(-1)).loaded == []
    assert len(till.load(until=till_day(0)).loaded) == 1


def test_parts_share_the_batches_and_none_is_taken_twice(till: Any, sound_lines: Make) -> None:
    for n in range(12):
        till.drop(sound_lines(3), day=till_day(-n))
    till.load(sources=["reference"])
    reports = [till.load(sources=["pos"], part=(number, 3)) for number in range(3)]
    assert sum(len(report.loaded) for report in reports) == 12
    assert max(len(report.loaded) for report in reports) < 12
    assert till.load().loaded == []


@pytest.mark.parametrize(("batches", "parts"), [(0, 1), (399, 1), (400, 2), (401, 2), (4_000, 8)])
def test_there_are_as_many_parts_as_there_are_batches_for(
    till: Any, monkeypatch: pytest.MonkeyPatch, batches: int, parts: int
) -> None:
    monkeypatch.setattr("memberhouse.load.loader.not_done_yet", lambda *_: [None] * batches)
    assert parts_to_load(till.warehouse, till.root) == parts


def test_extra_columns_are_kept(till: Any) -> None:
    till.drop(
        "card_no,name,enrolled_at,store_id,Shoe Size\n"
        'M1,"Li, Mei",2026-03-02T10:00:00,S1,38\n'
        "M2,Wang Wei,2026-03-02T10:00:00+08:00,S1,43\n",
        feed="enrolments",
    )
    report = till.load()
    assert "column 'Shoe Size' is not in the contract; kept" in report.loaded[1].remarks
    assert till.query("select card_no, x_shoe_size from raw.pos__enrolments order by 1") == [
        ("M1", "38"),
        ("M2", "43"),
    ]


def test_a_rejected_row_keeps_no_personal_data(till: Any) -> None:
    good = "".join(f"M{n},Wang,2026-03-02T10:00:00,S1\n" for n in range(100))
    till.drop(
        "card_no,name,enrolled_at,store_id\n"
        + good
        + "M100,Li Mei,not a time,S1\nM101,Li Mei,2026-03-02T10:00:00,S9\nM102,Li Mei\n",
        feed="enrolments",
    )
    till.load()
    assert [(row[1], row[4]) for row in till.rejected()] == [
        (
            "ragged_row",
            "(withheld: the row holds personal data and cannot be taken apart; see the landed file)",
        ),
        ("wrong_type", "M100,(personal),not a time,S1"),
        ("unknown_store", "M101,(personal),2026-03-02T10:00:00,S9"),
    ]


def test_unknown_manifest_keys_are_kept_and_reported(till: Any, sound_lines: Make) -> None:
    till.drop(sound_lines(), till_version="7.1")
    report = till.load()
    assert "manifest key 'till_version' is not in the contract; kept" in report.loaded[1].remarks
    assert till.query("select manifest ->> 'till_version' from ops.batch where feed = 'receipt_lines'") == [("7.1",)]


# ---------------------------------------------------------------- quarantine


@pytest.mark.parametrize(
    ("change", "code", "column", "told"),
    [
        ({"line_no": "x"}, "wrong_type", "line_no", "line_no is 'x', which is no integer"),
        ({"net_amount": "10.005"}, "wrong_type", "net_amount", "10.005"),
        ({"net_amount": '"1,234.50"'}, "wrong_type", "net_amount", "1,234.50"),
        ({"business_date": "2026-02-31"}, "wrong_type", "business_date", "2026-02-31"),
        ({"business_date": "infinity"}, "impossible_date", "business_date", "not between"),
        ({"sku": '""'}, "missing_value", "sku", "sku is empty"),
        ({"receipt_type": "gift"}, "not_a_choice", "receipt_type", "'gift'; it may be sale, return"),
        ({"store_id": "S9"}, "unknown_store", "store_id", "the store 'S9'"),
        ({"receipt_type": "return"}, "positive_in_return", "quantity", "positive quantity"),
        (
            {"receipt_type": "void", "quantity": "-1"},
            "positive_in_return",
            "net_amount",
            "positive net_amount",
        ),
    ],
    ids=lambda value: "-".join(f"{k}={v}" for k, v in value.items()) if isinstance(value, dict) else "",
)
def test_a_bad_row_is_quarantined_with_reason_line_and_text(
    till: Any,
    sound_lines: Make,
    one_line: Make,
    change: dict[str, str],
    code: str,
    column: str,
    told: str,
) -> None:
    bad = one_line(500, **change)
    till.drop(sound_lines(50, bad + one_line(501)))
    report = till.load()
    assert (report.rows_loaded, report.rows_quarantined) == (2 + 51, 1)
    ((line_no, got_code, got_column, reason, raw_text),) = till.rejected()
    assert (line_no, got_code, got_column, raw_text) == (52, code, column, bad.rstrip("\n"))
    assert told in reason
    assert_conserved(till.warehouse)


RECEIPT_HEADER = "store_id,register_id,business_date,receipt_no,receipt_type,sold_at,net_amount"


@pytest.mark.parametrize(
    ("sold_at", "business_date", "code"),
    [
        ("2026-03-02T23:59:59+08:00", "2026-03-02", None),
        ("2026-03-02 12:00", "2026-03-02", None),
        # the batch was produced at 2026-03-03 00:00 UTC, 08:00 in the store
        ("2026-03-03T00:10:00Z", "2026-03-02", None),
        ("2026-03-03T00:10:01Z", "2026-03-02", "after_production"),
        ("2026-03-01T00:00:00", "2026-03-02", None),
        ("2026-02-28T23:59:59", "2026-03-02", "wrong_business_date"),
        # 16:00 UTC is the next day in the store
        ("2026-02-28T16:00:00Z", "2026-03-02", None),
        ("2026-02-28T15:59:59Z", "2026-03-02", "wrong_business_date"),
        ("2026-01-21T12:00:00", "2026-01-21", None),
        ("today", "2026-03-02", "wrong_type"),
        ("2026-02-30T12:00:00", "2026-03-02", "wrong_type"),
        ("infinity", "2026-03-02", "wrong_type"),
        ("1772424000", "2026-03-02", "wrong_type"),
    ],
)
def test_times_at_their_edges(till: Any, sold_at: str, business_date: str, code: str | None) -> None:
    rows = [f"S1,1,2026-03-02,R{n},sale,2026-03-02T12:00:00,10.00" for n in range(30)]
    rows.append(f"S1,1,{business_date},R99,sale,{sold_at},10.00")
    till.drop("\n".join([RECEIPT_HEADER, *rows, ""]), feed="receipts")
    till.load()
    assert [row[1] for row in till.rejected()] == ([code] if code else [])


@pytest.mark.parametrize(
    ("sold_at", "code"),
    [("2026-03-01T04:00:00", None), ("2026-03-01T03:59:59", "wrong_business_date")],
)
def test_a_day_that_begins_at_four(till: Any, sold_at: str, code: str | None) -> None:
    till.drop_stores("S1", "S2", day=till_day(-1), cutoff="04:00")
    rows = [f"S1,1,2026-03-02,R{n},sale,2026-03-02T12:00:00,10.00" for n in range(30)]
    rows.append(f"S1,1,2026-03-02,R99,sale,{sold_at},10.00")
    till.drop("\n".join([RECEIPT_HEADER, *rows, ""]), feed="receipts")
    till.load()
    assert [row[1] for row in till.rejected()] == ([code] if code else [])


def test_line_ends_within_quotes_are_kept(till: Any, sound_lines: Make, one_line: Make) -> None:
    odd = [one_line(200 + n, sku=f'"A{end}1"') for n, end in enumerate(("\n", "\r\n", "\r"))]
    till.drop(sound_lines(0, "".join(odd) + one_line(300, net_amount="x")), rows=4)
    till.load(bad_share=0.5)
    assert [row[2] for row in till.active_lines()] == ["A\n1", "A\r\n1", "A\r1"]
    assert [row[0] for row in till.rejected()] == [7]


def test_an_index_that_does_not_find_all_rows_is_made_anew(
    till: Any, sound_lines: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    read, looks = checks._read, []

    def short_sighted(*args: Any) -> checks.Survey:
        looks.append(read(*args))
        return looks[-1] if len(looks) != 2 else replace(looks[-1], groups=[])

    monkeypatch.setattr(checks, "_read", short_sighted)
    till.drop(sound_lines(500))
    report = till.load()
    assert (report.rows_loaded, report.refused) == (502, [])
    assert "The index pos__receipt_lines__batch finds 0 of 500 rows of batch" in caplog.text
    assert len(looks) == 3
    assert_conserved(till.warehouse)


def test_skipped_rows_that_nobody_names_refuse_the_batch(
    till: Any, sound_lines: Make, one_line: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that reports in another language must not lose a row in silence."""
    monkeypatch.setattr("memberhouse.load.stream._NOTICE", re.compile("Zeile"))
    till.drop(sound_lines(50, one_line(99, net_amount="x")))
    code, reason = only_refusal(till.load())
    assert code == "rows_unaccounted"
    assert "of 51 rows 50 were loaded and 0 reported" in reason


def test_a_row_of_another_store_than_its_batch(till: Any, sound_lines: Make, one_line: Make) -> None:
    till.drop(sound_lines(50, one_line(90, store_id="S2")), store_id="S1")
    till.load()
    assert [row[1] for row in till.rejected()] == ["other_store"]


def test_a_file_of_unreadable_rows_is_given_up_early(
    till: Any, sound_lines: Make, one_line: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rows are not looked for again, one by one."""
    monkeypatch.delattr(FileReader, "locate")
    bad = "".join(one_line(n, net_amount="x") for n in range(1_000))
    till.drop(sound_lines(10, bad))
    code, reason = only_refusal(till.load())
    assert code == "too_many_bad_rows"
    assert "at least 1,000 of 1,010" in reason
    assert "1,000 × net_amount is 'x', which is no money" in reason


def test_refused_for_unknown_stores_is_tried_again_when_stores_came(
    till: Any, sound_lines: Make, one_line: Make
) -> None:
    till.drop(sound_lines(10, "".join(one_line(n, store_id="S3") for n in range(20, 30))))
    code, reason = only_refusal(till.load())
    assert code == "unknown_stores"
    assert "no loaded stores file has the store 'S3'" in reason
    assert len(till.load().still_refused) == 1
    till.drop_stores("S1", "S2", "S3", day=till_day(1))
    report = till.load()
    assert (report.still_refused, report.refused, report.rows_loaded) == ([], [], 3 + 20)
    assert len(till.active_lines()) == 20


def test_stores_that_come_with_a_later_date_of_the_same_load_are_enough(
    till: Any, sound_lines: Make, one_line: Make
) -> None:
    till.drop(sound_lines(10, "".join(one_line(n, store_id="S3") for n in range(20, 30))))
    till.drop_stores("S1", "S2", "S3", day=till_day(1))
    report = till.load()
    assert (report.refused, report.rows_loaded) == ([], 2 + 3 + 20)
    assert till.query("select count(*) from ops.alert") == [(0,)]
    assert_conserved(till.warehouse)


# ---------------------------------------------------------------- refusals


def test_a_file_that_did_not_come_is_named(till: Any, sound_lines: Make, change_manifest: Callable[..., None]) -> None:
    change_manifest(till.drop(sound_lines(100)), {"name": "elsewhere.csv"})
    assert only_refusal(till.load()) == ("file_missing", "elsewhere.csv is in the manifest and not in the folder.")


def test_a_refused_batch_is_tried_again_only_when_its_content_changed(till: Any, sound_lines: Make) -> None:
    folder = till.drop(sound_lines())
    path = folder / "receipt_lines.csv.gz"
    whole = path.read_bytes()
    path.write_bytes(whole[:100])
    assert only_refusal(till.load())[0] == "size_differs"
    assert (till.load().refused, till.load().still_refused[0][-2:]) == ([], "b2")
    path.write_bytes(whole)
    assert till.load().rows_loaded == 100
    assert till.load().still_refused == []
    assert till.query("select state from ops.batch where feed = 'receipt_lines' order by batch_id") == [
        ("refused",),
        ("loaded",),
    ]


@pytest.mark.parametrize(
    ("top", "code", "told"),
    [
        ({"files": []}, "bad_manifest", "files"),
        ({"encoding": "latin-1"}, "bad_manifest", "encoding"),
        ({"produced_at": "2026-03-03T00:00:00"}, "bad_manifest", "timezone"),
        ({"store_id": "S2"}, "manifest_misplaced", "store_id is S2 in the manifest and all in the folder"),
        ({"note": "a \u0000 NUL"}, "bad_manifest", "NUL"),
    ],
)
def test_an_unsound_manifest_is_refused(
    till: Any,
    sound_lines: Make,
    change_manifest: Callable[..., None],
    top: dict[str, Any],
    code: str,
    told: str,
) -> None:
    change_manifest(till.drop(sound_lines()), **top)
    got, reason = only_refusal(till.load())
    assert got == code
    assert told in reason
    assert till.load().refused == []


def test_an_unknown_feed_is_refused(till: Any, sound_lines: Make) -> None:
    till.drop(sound_lines(), feed="receipt_line")
    assert only_refusal(till.load())[0] == "unknown_feed"


# ---------------------------------------------------------------- revisions, repeats


def test_other_content_under_the_same_name_is_taken_as_a_revision(till: Any, sound_lines: Make) -> None:
    till.drop(sound_lines(10), name="a")
    till.load()
    till.drop(sound_lines(11), name="a", revision=1)
    till.load()
    assert len(till.active_lines()) == 11


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["in_order", "late"])
def test_the_highest_revision_counts_in_whatever_order_it_comes(
    till: Any, sound_lines: Make, order: tuple[int, int]
) -> None:
    changes = []
    for revision in order:
        till.drop(sound_lines(10 + revision), name=f"r{revision}", revision=revision)
        till.load()
        changes.append(till.query("select max(change_no) from ops.batch")[0][0])
    assert len(till.active_lines()) == 11
    assert till.query("select count(*) from raw.pos__receipt_lines") == [(21,)]
    assert till.query("select revision, state from ops.batch where feed = 'receipt_lines' order by revision") == [
        (0, "superseded"),
        (1, "loaded"),
    ]
    assert changes[1] > changes[0]
    assert till.load().loaded == []
    assert_conserved(till.warehouse)


def test_a_revision_of_one_store_leaves_the_others(till: Any, sound_lines: Make, one_line: Make) -> None:
    till.drop(sound_lines(10), store_id="S1")
    header = sound_lines(0)
    till.drop(header + "".join(one_line(n, store_id="S2") for n in range(10)), store_id="S2")
    till.drop(sound_lines(3), store_id="S1", revision=1)
    till.load()
    assert len(till.active_lines()) == 13


def test_rows_that_repeat_are_counted_once(till: Any, sound_lines: Make, one_line: Make) -> None:
    till.drop(sound_lines(10, one_line(3) + one_line(3)), name="a", amount_total="120.00")
    till.drop(sound_lines(15), name="b")
    report = till.load()
    assert report.rows_duplicate == 2 + 10
    assert len(till.active_lines()) == 15
    assert_conserved(till.warehouse)


def test_a_row_that_contradicts_an_earlier_one_is_quarantined(till: Any, sound_lines: Make, one_line: Make) -> None:
    till.drop(sound_lines(50, one_line(3, net_amount="11.00")))
    till.load()
    ((line_no, code, _, reason, raw_text),) = till.rejected()
    assert (line_no, code) == (52, "contradicts_earlier_row")
    assert "line 4 of batch" in reason
    assert raw_text == one_line(3, net_amount="11.00").strip()
    assert till.query("select net_amount from raw.pos__receipt_lines where receipt_no = 'R3'") == [(Decimal("10.00"),)]


def test_both_revisions_of_a_receipt_stay_for_staging(till: Any) -> None:
    header = "store_id,register_id,business_date,receipt_no,receipt_type,revision,sold_at,net_amount\n"
    row = "S1,1,2026-03-02,R1,sale,{},2026-03-02T12:00:00,{}\n"
    till.drop(header + row.format(0, "10.00") + row.format(1, "9.00") + row.format(1, "9.00"), feed="receipts")
    report = till.load()
    assert report.rows_duplicate == 1
    assert till.query("select revision, net_amount from raw.pos__receipts order by 1") == [
        (0, Decimal("10.00")),
        (1, Decimal("9.00")),
    ]


def test_a_repeat_in_the_whole_chain_s_batch_comes_back_when_the_store_s_own_is_revised(
    till: Any, sound_lines: Make
) -> None:
    till.drop(sound_lines(10), name="own", store_id="S1")
    till.load()
    till.drop(sound_lines(12), name="chain")
    assert till.load().rows_duplicate == 10
    ((before,),) = till.query("select change_no from ops.batch where batch_name = 'chain'")
    till.drop(sound_lines(4), name="own2", store_id="S1", revision=1)
    till.load()
    # 4 from the store's revision, 8 of the chain's: each receipt once, none lost
    assert Counter(row[0] for row in till.active_lines()) == {f"R{n}": 1 for n in range(1, 13)}
    ((after,),) = till.query("select change_no from ops.batch where batch_name = 'chain'")
    assert after > before
    assert_conserved(till.warehouse)


# ---------------------------------------------------------------- JSON lines


def test_json_lines_with_poison_among_them(till: Any) -> None:
    sound = [
        {"campaign_id": "C1", "member": f"M{n}", "arm": "treated", "assigned_at": "2026-03-01T00:00:00Z"}
        for n in range(100)
    ]
    lines = [json.dumps(row) for row in sound]
    lines[3] = json.dumps({**sound[3], "channel": {"kind": "sms", "text": 'say "hi"\n'}})
    poison = [
        "[" * 100_000,
        "{",
        '{"campaign_id": NaN}',
        '"text"',
    ]
    till.drop(
        "\n".join([*lines, *poison, ""]),
        source="app",
        feed="campaign_assignments",
        file="campaign_assignments.jsonl.gz",
        rows=104,
    )
    report = till.load()
    assert (report.rows_loaded, report.rows_quarantined) == (102, 4)
    assert [row[:2] for row in till.rejected()] == [(101 + n, "poison_json") for n in range(4)]
    assert till.query("select _extra from raw.app__campaign_assignments where _extra is not null") == [
        ({"channel": {"kind": "sms", "text": 'say "hi"\n'}},)
    ]


def test_a_wrong_value_in_json_lines_is_quarantined(till: Any) -> None:
    rows = [{"campaign_id": f"C{n}", "starts_on": "2026-03-01"} for n in range(60)]
    rows += [
        {"campaign_id": "C60", "starts_on": "2026-13-01"},
        {"campaign_id": "C\u000061", "starts_on": None},
    ]
    till.drop("\n".join(map(json.dumps, rows)), source="app", feed="campaigns", file="campaigns.jsonl", rows=62)
    till.load()
    assert [(row[0], row[1]) for row in till.rejected()] == [(62, "nul_byte"), (61, "wrong_type")]


# ---------------------------------------------------------------- properties

numbers = count(1)
values = st.one_of(
    st.sampled_from(["1", "10.00", "-3", "NaN", "1e3", "", "S1", "S2", "S9", "sale", "2026-03-02", "x,y", '"', "\n"]),
    st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=5),
)
sound_row = st.builds(
    lambda receipt, cents, store: [
        store,
        "1",
        "2026-03-02",
        f"R{receipt}",
        "sale",
        "1",
        "A1",
        "1",
        f"{cents / 100:.2f}",
    ],
    st.integers(1, 12),
    st.integers(0, 500),
    st.sampled_from(["S1", "S2"]),
)


@st.composite
def some_rows(draw: st.DrawFn) -> list[list[str]]:
    rows = draw(st.lists(sound_row, max_size=25))
    for row in rows:
        if draw(st.integers(0, 3)) == 0:
            row[draw(st.integers(0, len(row) - 1))] = draw(values)
        if draw(st.integers(0, 9)) == 0:
            row.append("one too many")
    return rows


def by_line(content: str) -> dict[int, list[str]]:
    """The rows by the line that they begin on, without the header."""
    records = csv.reader(line + "\n" for line in content.removesuffix("\n").split("\n"))
    rows, begins = {}, 1
    for row in records:
        rows[begins] = row
        begins = records.line_num + 1
    del rows[1]
    return rows


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(rows=some_rows(), quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
def test_no_row_and_no_cent_is_lost_whatever_comes(till: Any, rows: list[list[str]], quoting: int) -> None:
    out = io.StringIO()
    csv.writer(out, quoting=quoting).writerows([LINE_COLUMNS, *rows])
    day = till_day(-next(numbers))
    content = out.getvalue().replace("2026-03-02", day.isoformat())
    till.drop(content, day=day, rows=len(rows))
    report = till.load(bad_share=1.0)
    assert report.refused == []
    assert report.rows_in - (2 if len(report.loaded) > 1 else 0) == len(rows)
    assert_conserved(till.warehouse)
    written = by_line(content)
    # every row is where its line says, in raw and in quarantine
    for line_no, sku in till.query(
        f"select _line_no, sku from raw.pos__receipt_lines join ops.batch on batch_id = _batch_id"
        f" where batch.business_date = '{day}'"
    ):
        assert written[line_no][6] == sku
    for line_no, raw_text in till.query(
        f"select line_no, raw_text from quarantine.rejected_row join ops.batch using (batch_id)"
        f" where batch.business_date = '{day}'"
    ):
        assert next(csv.reader(io.StringIO(raw_text, newline=""))) == written[line_no]
    # money: every row whose amount can be read, wherever it went
    readable = []
    for row in written.values():
        if len(row) != len(LINE_COLUMNS):
            continue  # no telling which field is the amount
        try:
            amount = Decimal(row[8])
        except ArithmeticError:
            continue
        if amount.is_finite():
            readable.append(amount)
    ((booked,),) = till.query(
        f"select coalesce(sum(amount), 0) from ops.load_balance join ops.batch using (batch_id)"
        f" where batch.business_date = '{day}' and feed = 'receipt_lines'"
    )
    assert booked == sum(readable, Decimal(0))


def test_two_loaders_at_once_load_everything_once(till: Any, sound_lines: Make) -> None:
    for offset in range(12):
        content = sound_lines(200).replace("2026-03-02", till_day(offset).isoformat())
        till.drop(content, day=till_day(offset))
    till.load(sources=["reference"])
    reports: list[LoadReport] = []
    threads = [threading.Thread(target=lambda: reports.append(till.load())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(len(report.loaded) for report in reports) == 12
    assert all(report.refused == report.duplicates == [] for report in reports)
    assert till.query("select count(*) from raw.pos__receipt_lines") == [(2_400,)]
    assert_conserved(till.warehouse)


def test_streams_load_the_same_as_one(till: Any, sound_lines: Make, one_line: Make) -> None:
    """Each lane in its order: a revision finds its batch, and a batch the stores file before it."""
    for offset in range(6):
        day = till_day(offset)
        for revision in (0, 1):
            content = sound_lines(100, one_line(3, sku="x") + one_line(500 + revision, quantity="y"))
            till.drop(content.replace("2026-03-02", day.isoformat()), day=day, revision=revision)
    late = till_day(6)
    till.drop_stores("S1", "S2", "S3", day=late)
    content = sound_lines(1, "".join(one_line(n, store_id="S3") for n in range(100, 200)))
    till.drop(content.replace("2026-03-02", late.isoformat()), day=late)
    report = till.load(streams=3)
    assert (report.refused, report.duplicates) == ([], [])
    assert till.query("select state, count(*) from ops.batch group by 1 order by 1") == [
        ("loaded", 9),
        ("superseded", 6),
    ]
    assert len(till.active_lines()) == 6 * 100 + 101
    assert len(till.rejected()) == 12 * 2
    assert_conserved(till.warehouse)


def test_a_lost_connection_in_one_stream_ends_the_load_and_the_next_one_finishes_it(
    till: Any, sound_lines: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    for offset in range(8):
        till.drop(sound_lines(200).replace("2026-03-02", till_day(offset).isoformat()), day=till_day(offset))
    copy_lines = FileReader.copy_lines

    def cut_off(reader: FileReader, batch_id: int) -> Iterator[bytes]:
        yield from copy_lines(reader, batch_id)
        if f"/{till_day(5)}/" in str(reader._path):
            till.query(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and query like 'copy%raw%' and pid <> pg_backend_pid()"
            )

    monkeypatch.setattr(FileReader, "copy_lines", cut_off)
    with pytest.raises(psycopg.OperationalError):
        till.load(streams=2)
    monkeypatch.undo()
    till.load(streams=2)
    assert till.query("select count(*), count(distinct business_date) from raw.pos__receipt_lines") == [(1_600, 8)]
    assert_conserved(till.warehouse)


def test_progress_is_told(till: Any, sound_lines: Make) -> None:
    till.drop(sound_lines(100))
    told: list[str] = []
    till.load(progress=told.append)
    assert told == ["loaded 2 of 2 batches, 102 rows"]


def test_a_damaged_file_in_a_batch_of_two_takes_both_back(
    till: Any, sound_lines: Make, change_manifest: Callable[..., None]
) -> None:
    folder = till.drop(sound_lines(10))
    (folder / "more.csv.gz").write_bytes(gzip.compress(sound_lines(10, first=100).encode())[:-3])
    manifest = json.loads((folder / "manifest.json").read_text())
    size = (folder / "more.csv.gz").stat().st_size
    change_manifest(
        folder,
        files=[*manifest["files"], {"name": "more.csv.gz", "sha256": "0" * 64, "bytes": size, "rows": 10}],
    )
    assert only_refusal(till.load())[0] == "truncated_gzip"
    assert till.query("select count(*) from raw.pos__receipt_lines") == [(0,)]
