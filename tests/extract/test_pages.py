"""Pages over HTTP: every row once when the back end stumbles, a clear end when it breaks its contract."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.back_end import MINUTE, NOW, TOKEN, coupon, fail
from tests.extract.conftest import QUICK

from memberhouse.errors import AppNotReached, MemberhouseError
from memberhouse.extract import Page, Pages, Patience
from memberhouse.extract.pages import read_page
from memberhouse.simulate.app_backend import AppBackEnd

PAGE = {"data": [{"coupon_id": "C1"}], "next_cursor": None, "as_of": "2026-03-03T04:00:00Z"}


@pytest.fixture
def fifty_coupons(back_end: AppBackEnd) -> AppBackEnd:
    for number in range(50):
        back_end.put("coupons", coupon(number, NOW - MINUTE * (50 - number)), NOW - MINUTE * (50 - number))
    return back_end


Walk = Callable[..., list[str]]


@pytest.fixture
def walk(address: str) -> Walk:
    """The ids of the coupons on all pages."""

    def walk(since: datetime | None = None, token: str = TOKEN, **patience: Any) -> list[str]:
        with httpx.Client(base_url=address, headers={"Authorization": f"Bearer {token}"}) as http:
            pages = Pages(http, "coupons", since, replace(QUICK, **patience))
            return [json.loads(row)["coupon_id"] for page in pages for row in page.rows]

    return walk


ALL = [f"C{number}" for number in range(50)]


def test_every_row_once_in_the_order_of_changes(fifty_coupons: AppBackEnd, walk: Walk) -> None:
    assert walk() == ALL
    assert fifty_coupons.requests == 5


def test_updated_since_is_the_first_moment_that_counts(fifty_coupons: AppBackEnd, walk: Walk) -> None:
    assert walk(since=NOW - 10 * MINUTE) == ALL[40:]
    assert walk(since=NOW) == []


@pytest.mark.parametrize("kind", ["too_many_requests", "server_error", "cut"])
def test_a_back_end_that_stumbles_is_asked_again_and_no_row_is_lost_or_twice(
    fifty_coupons: AppBackEnd, walk: Walk, kind: str
) -> None:
    fail(fifty_coupons, kind, times=6)
    assert walk() == ALL
    assert fifty_coupons.requests == 5 + 6


def test_a_storm_on_every_page(fifty_coupons: AppBackEnd, walk: Walk) -> None:
    def storm(resource: str) -> None:
        fail(fifty_coupons, "too_many_requests", times=3)
        fail(fifty_coupons, "cut")

    fifty_coupons.while_paged = storm
    # a page that is cut has been paged, and brings the next storm
    with pytest.raises(AppNotReached, match="connection|429"):
        walk(seconds=0.3)
    fifty_coupons.faults.clear()
    fifty_coupons.while_paged = lambda resource: fail(fifty_coupons, "too_many_requests", times=3)
    assert walk() == ALL


@pytest.mark.parametrize("as_date", [False, True], ids=["seconds", "HTTP date"])
def test_what_the_back_end_asks_for_is_waited(fifty_coupons: AppBackEnd, walk: Walk, as_date: bool) -> None:
    fail(fifty_coupons, "too_many_requests", retry_after=2, as_date=as_date)
    begun = time.monotonic()
    assert walk() == ALL
    assert 0.9 < time.monotonic() - begun < 10


def test_a_wait_beyond_all_patience_is_not_begun(fifty_coupons: AppBackEnd, walk: Walk) -> None:
    fail(fifty_coupons, "too_many_requests", retry_after=3600)
    begun = time.monotonic()
    with pytest.raises(AppNotReached, match=r"/v1/coupons, page 1: it answered 429\."):
        walk()
    assert time.monotonic() - begun < 5


def test_patience_ends(fifty_coupons: AppBackEnd, walk: Walk) -> None:
    fail(fifty_coupons, "server_error", times=10_000)
    with pytest.raises(AppNotReached, match="it answered 500"):
        walk(seconds=0.3)


def test_nobody_there(walk: Walk) -> None:
    with httpx.Client(base_url="http://127.0.0.1:9") as http, pytest.raises(AppNotReached, match="page 1"):
        list(Pages(http, "coupons", None, replace(QUICK, seconds=0.2)))


def test_an_expired_token_is_told_at_once(fifty_coupons: AppBackEnd, walk: Walk) -> None:
    asked: list[str] = []
    fifty_coupons.while_paged = asked.append
    begun = time.monotonic()
    with pytest.raises(MemberhouseError, match="refused the token") as caught:
        walk(token="expired")
    assert "refuses the token" in caught.value.next_action
    assert (asked, time.monotonic() - begun < 5) == ([], True)
    assert "expired" not in caught.value.message


def test_a_token_that_expires_on_the_way(fifty_coupons: AppBackEnd, walk: Walk) -> None:
    def expire(resource: str) -> None:
        fifty_coupons.token = "the next one"

    fifty_coupons.while_paged = expire
    with pytest.raises(MemberhouseError, match="refused the token"):
        walk()
    assert fifty_coupons.requests == 1


@pytest.mark.parametrize("times", [1, 10_000], ids=["twice", "for ever"])
def test_a_cursor_that_comes_back_is_refused(fifty_coupons: AppBackEnd, walk: Walk, times: int) -> None:
    fifty_coupons.while_paged = lambda resource: (
        fail(fifty_coupons, "same_cursor", times=times) if fifty_coupons.requests == 2 else None
    )
    with pytest.raises(MemberhouseError, match="handed out a cursor a second time, after 3 pages"):
        walk()


def test_more_pages_and_larger_ones_than_can_be_are_refused(fifty_coupons: AppBackEnd, walk: Walk) -> None:
    assert walk(pages=5) == ALL
    with pytest.raises(MemberhouseError, match="more than 4 pages"):
        walk(pages=4)
    with pytest.raises(MemberhouseError, match="a page of more than 300 bytes"):
        walk(page_bytes=300)


def test_half_a_page_is_read_again_and_refused_when_it_stays_so(fifty_coupons: AppBackEnd, walk: Walk) -> None:
    fail(fifty_coupons, "server_error", times=5)
    fail(fifty_coupons, "malformed", times=2)
    assert walk() == ALL
    fail(fifty_coupons, "malformed", times=10_000)
    before = fifty_coupons.requests
    with pytest.raises(MemberhouseError, match="gave an answer that is no page") as caught:
        walk()
    assert fifty_coupons.requests - before == 3
    assert "breaks its contract" in caught.value.next_action


def test_a_row_that_changes_while_it_is_paged_comes_in_its_new_form(fifty_coupons: AppBackEnd, walk: Walk) -> None:
    def change(resource: str) -> None:
        assert fifty_coupons.now
        fifty_coupons.now += MINUTE
        if fifty_coupons.requests == 2:
            fifty_coupons.put("coupons", coupon(0, fifty_coupons.now))  # was on page 1
            fifty_coupons.put("coupons", coupon(45, fifty_coupons.now))  # would be on page 5

    fifty_coupons.while_paged = change
    found = walk()
    assert sorted(set(found)) == sorted(ALL)
    assert found[-2:] == ["C0", "C45"]


# ---------------------------------------------------------------- against answers made by hand


def answers(*given: httpx.Response, patience: Patience = QUICK) -> tuple[Pages, list[httpx.Request]]:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return given[min(len(asked), len(given)) - 1]

    http = httpx.Client(base_url="http://app.example", transport=httpx.MockTransport(answer))
    return Pages(http, "coupons", None, patience), asked


@pytest.mark.parametrize(
    ("page", "told"),
    [
        ([PAGE], "no JSON object"),
        ("data", "no JSON object"),
        ({**PAGE, "data": {"coupon_id": "C1"}}, "data is not a list of objects"),
        ({**PAGE, "data": [1, "two"]}, "data is not a list of objects"),
        ({**PAGE, "data": [{"coupon_id": "C1"}, ["C2"]]}, "data is not a list of objects"),
        ({**PAGE, "data": None}, "data is not a list of objects"),
        ({**PAGE, "others": [{}]}, "data is not a list of objects"),
        ({"page": PAGE}, "data is not a list of objects"),
        ({name: value for name, value in PAGE.items() if name != "next_cursor"}, "next_cursor"),
        ({**PAGE, "next_cursor": 7}, "next_cursor"),
        ({**PAGE, "next_cursor": ""}, "next_cursor"),
        ({name: value for name, value in PAGE.items() if name != "as_of"}, "as_of"),
        ({**PAGE, "as_of": "2026-03-03T04:00:00"}, "as_of"),
        ({**PAGE, "as_of": "today"}, "as_of"),
    ],
)
def test_json_that_is_no_page_is_refused_at_once(page: Any, told: str) -> None:
    pages, asked = answers(httpx.Response(200, json=page))
    with pytest.raises(MemberhouseError, match=told):
        list(pages)
    assert len(asked) == 1


def test_what_is_told_of_a_page_has_nothing_of_its_rows() -> None:
    for page in ({"data": [{"phone": "13800138000"}], "next_cursor": None}, '{"data": [{"phone": "13800138000"}'):
        pages, _ = answers(httpx.Response(200, text=page if isinstance(page, str) else json.dumps(page)))
        with pytest.raises(MemberhouseError, match="no page") as caught:
            list(pages)
        assert "13800138000" not in str(caught.value)


@pytest.mark.parametrize("status", [302, 400, 404, 410])
def test_another_answer_is_told_with_what_it_says(status: int) -> None:
    pages, asked = answers(httpx.Response(status, text="no such thing", headers={"Location": "http://elsewhere"}))
    with pytest.raises(MemberhouseError, match=f"answered {status}: 'no such thing'"):
        list(pages)
    assert len(asked) == 1


def test_a_date_to_wait_for_is_one_of_the_back_ends_own_clock() -> None:
    in_the_past = {"Date": "Mon, 02 Mar 2026 04:00:00 GMT", "Retry-After": "Mon, 02 Mar 2026 04:00:01 GMT"}
    pages, asked = answers(httpx.Response(429, headers=in_the_past), httpx.Response(200, json=PAGE))
    begun = time.monotonic()
    assert len(list(pages)) == 1
    assert 0.9 < time.monotonic() - begun < 10


@pytest.mark.parametrize("asked_for", ["soon", "-5", "1.5", "", "Mon, 99 Foo 2026"])
def test_a_wait_that_nobody_understands_is_a_short_one(asked_for: str) -> None:
    pages, _ = answers(httpx.Response(503, headers={"Retry-After": asked_for}), httpx.Response(200, json=PAGE))
    begun = time.monotonic()
    assert len(list(pages)) == 1
    assert time.monotonic() - begun < 5


def test_the_clock_of_all_pages_is_kept() -> None:
    first, second = ({**PAGE, "next_cursor": "c", "as_of": "2026-03-03T04:00:00+08:00"}, PAGE)
    pages, _ = answers(httpx.Response(200, json=first), httpx.Response(200, json=second))
    assert len(list(pages)) == 2
    assert (pages.earliest, pages.latest) == (NOW - timedelta(hours=8), NOW)
    assert pages.earliest.tzinfo == UTC


# ---------------------------------------------------------------- what is in a page

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(
    rows=st.lists(st.dictionaries(st.text(), _JSON), max_size=5),
    cursor=st.none() | st.text(min_size=1),
    indent=st.none() | st.integers(0, 2),
    as_is=st.booleans(),
    reverse=st.booleans(),
)
def test_any_page_is_read_as_a_json_reader_reads_it(
    rows: list[dict[str, Any]], cursor: str | None, indent: int | None, as_is: bool, reverse: bool
) -> None:
    page: dict[str, Any] = {"data": rows, "next_cursor": cursor, "as_of": "2026-03-03T04:00:00Z", "more": {"a": [[]]}}
    keys = sorted(page, reverse=reverse)
    text = json.dumps({key: page[key] for key in keys}, indent=indent, ensure_ascii=not as_is)
    found = read_page(text.encode("utf-8", "surrogatepass"))
    assert isinstance(found, Page)
    assert [json.loads(row.decode("utf-8", "surrogatepass")) for row in found.rows] == rows
    assert (found.next_cursor, found.as_of) == (cursor, NOW)
    assert b"\n" not in b"".join(found.rows)


@pytest.mark.parametrize(
    "row",
    [
        b'{"coupon_id": "C1", "face_value": NaN}',
        b'{"coupon_id": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"coupon_id": "C1", "coupon_id": "C2"}',
        b'{"coupon_id": "\\u0000"}',
        b'{"coupon_id": "\xff\xfe"}',
        b"{coupon_id}",
    ],
    ids=["NaN", "nested 100,000 deep", "a key twice", "NUL", "not UTF-8", "not JSON"],
)
def test_a_row_that_is_wrong_is_passed_on_and_its_neighbours_too(row: bytes) -> None:
    page = read_page(b'{"data": [{"a": 1}, ' + row + b', {"b": 2}], "next_cursor": null, "as_of": "2026-03-03T04:00Z"}')
    assert isinstance(page, Page)
    assert page.rows == [b'{"a": 1}', row, b'{"b": 2}']
