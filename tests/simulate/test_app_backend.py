"""The stand-in for the app's back end keeps its own contract, and serves landed batches as of any moment."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
from click.testing import CliRunner
from tests.back_end import NOW, TOKEN, coupon, event, served

from memberhouse.cli import cli
from memberhouse.errors import MemberhouseError
from memberhouse.extract import RESOURCES
from memberhouse.landing.batches import NewFile, write_batch
from memberhouse.simulate.app_backend import AppBackEnd, read_landed


@pytest.fixture
def back_end() -> AppBackEnd:
    return AppBackEnd(TOKEN, now=NOW)


@pytest.fixture
def http(back_end: AppBackEnd) -> Iterator[httpx.Client]:
    with served(back_end) as url, httpx.Client(base_url=url, headers={"Authorization": f"Bearer {TOKEN}"}) as http:
        yield http


class TestTheContract:
    def test_its_document_is_openapi_3_1_and_has_every_resource(self, http: httpx.Client) -> None:
        document = http.get("/openapi.json").json()
        assert document["openapi"].startswith("3.1")
        assert set(document["paths"]) == {f"/v1/{name}" for name in RESOURCES}
        coupons = document["paths"]["/v1/coupons"]["get"]
        assert {parameter["name"] for parameter in coupons["parameters"]} == {"updated_since", "cursor", "limit"}
        assert {"200", "401", "429"} <= set(coupons["responses"])
        assert coupons["security"] != []
        for name in RESOURCES:
            jsonschema.Draft202012Validator.check_schema(page_schema(document, name))

    def test_its_pages_are_what_its_document_says(self, http: httpx.Client, back_end: AppBackEnd) -> None:
        back_end.put("coupons", coupon(1, NOW, face_value=5.5, store_id=None))
        page = http.get("/v1/coupons").json()
        schema = page_schema(http.get("/openapi.json").json(), "coupons")
        validator = jsonschema.Draft202012Validator(schema)
        assert list(validator.iter_errors(page)) == []
        assert page["data"] != []
        del page["data"][0]["coupon_id"]
        assert [error.message for error in validator.iter_errors(page)] == ["'coupon_id' is a required property"]

    @pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}])
    def test_without_the_token_there_is_nothing(self, http: httpx.Client, headers: dict[str, str]) -> None:
        with httpx.Client(base_url=http.base_url, headers=headers) as stranger:
            answers = [stranger.get("/v1/coupons"), stranger.put("/control", json={})]
        assert [answer.status_code for answer in answers] == [401, 401]
        assert answers[0].headers["WWW-Authenticate"] == "Bearer"

    @pytest.mark.parametrize(
        ("query", "status"),
        [
            ({"limit": 0}, 422),
            ({"limit": 1001}, 422),
            ({"updated_since": "yesterday"}, 422),
            ({"updated_since": "2026-03-02T00:00:00"}, 422),
            ({"cursor": "made up"}, 400),
            ({"limit": 1000, "updated_since": "2026-03-02T00:00:00+08:00"}, 200),
        ],
    )
    def test_what_is_asked_is_checked(self, http: httpx.Client, query: dict[str, Any], status: int) -> None:
        assert http.get("/v1/coupons", params=query).status_code == status

    def test_what_it_has_none_of_it_does_not_serve(self, http: httpx.Client) -> None:
        assert http.get("/v1/orders").status_code == 404

    def test_the_caller_sets_the_time_and_what_goes_wrong(self, http: httpx.Client, back_end: AppBackEnd) -> None:
        back_end.put("coupons", coupon(1, NOW))
        earlier = {"now": (NOW - timedelta(days=1)).isoformat(), "clock_off_seconds": 600}
        assert http.put("/control", json=earlier).status_code == 204
        page = http.get("/v1/coupons").json()
        assert (page["data"], page["as_of"]) == ([], (NOW - timedelta(days=1) + timedelta(minutes=10)).isoformat())
        http.put("/control", json={"faults": [{"kind": "too_many_requests", "times": 2, "retry_after": 7}]})
        answers = [http.get("/v1/coupons") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [429, 429, 200]
        assert answers[0].headers["Retry-After"] == "7"
        http.put("/control", json={"faults": [{"kind": "cut"}]})
        with pytest.raises(httpx.RemoteProtocolError):
            http.get("/v1/coupons")


def page_schema(document: dict[str, Any], resource: str) -> dict[str, Any]:
    answer = document["paths"][f"/v1/{resource}"]["get"]["responses"]["200"]
    schema: dict[str, Any] = answer["content"]["application/json"]["schema"]
    return schema


def land(root: Path, feed: str, name: str, produced_at: datetime, *rows: Any, **options: Any) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    file = NewFile(options.pop("file", f"{feed}.jsonl.gz"), "".join(f"{line}\n" for line in lines).encode(), len(lines))
    options = {"source": "app", "business_date": date(2026, 3, 2), **options}
    return write_batch(root, feed=feed, name=name, files=[file], produced_at=produced_at, **options)


class TestLandedBatches:
    def rows(self, shelves: Any, resource: str, now: datetime) -> list[Any]:
        return [json.loads(row) for row in shelves[resource].current(now)]

    def test_a_row_is_as_it_was_at_the_moment(self, tmp_path: Path) -> None:
        old, new = coupon(1, NOW, funding="brand"), coupon(1, NOW, funding="store")
        other = coupon(2, NOW)
        # landed out of order, and with a later business date first
        land(tmp_path, "coupons", "b2", NOW + timedelta(days=1), new)
        land(tmp_path, "coupons", "b1", NOW, old, other, business_date=date(2026, 3, 5))
        shelves = read_landed(tmp_path)
        assert self.rows(shelves, "coupons", NOW - timedelta(seconds=1)) == []
        assert self.rows(shelves, "coupons", NOW) == [old, other]
        assert self.rows(shelves, "coupons", NOW + timedelta(days=1)) == [other, new]

    def test_rows_keep_their_text_and_lines_that_are_no_json_are_left_out(self, tmp_path: Path) -> None:
        text = '{"event_id": "E1",  "points": 1.50, "properties": {"a": "\\u00e9"}}'
        land(tmp_path, "events", "b1", NOW, text, "poison {", "[1]", '"text"', event(2, NOW))
        rows = read_landed(tmp_path)["events"].current(NOW)
        assert rows[0] == text.encode()
        assert len(rows) == 2

    def test_batches_that_are_not_what_they_say_are_left_out(self, tmp_path: Path) -> None:
        folder = land(tmp_path, "events", "b1", NOW, event(1, NOW))
        (folder / "events.jsonl.gz").write_bytes(b"cut")
        (land(tmp_path, "events", "b2", NOW, event(2, NOW)) / "manifest.json").write_text("{")
        (land(tmp_path, "events", "b3", NOW, event(3, NOW)) / "manifest.json").unlink()
        assert read_landed(tmp_path)["events"].current(NOW) == []

    def test_orders_are_the_receipts_of_the_store_app_with_values_of_their_kind(self, tmp_path: Path) -> None:
        header = "store_id,register_id,business_date,receipt_no,receipt_type,sold_at,is_training,net_amount,revision,x"
        row = "APP,1,2026-03-02,R1,sale,2026-03-02T12:00:00+08:00,false,10.50,,0042"
        options: dict[str, Any] = {"source": "pos", "file": "receipts.csv.gz"}
        land(tmp_path, "receipts", "b1", NOW, header, row, store_id="APP", **options)
        land(
            tmp_path,
            "receipts",
            "b2",
            NOW,
            header,
            row.replace("APP", "S1").replace("R1", "R2"),
            store_id="S1",
            **options,
        )
        (receipt,) = self.rows(read_landed(tmp_path), "receipts", NOW)
        told = {name: receipt[name] for name in ("store_id", "is_training", "net_amount", "revision", "x")}
        assert told == {"store_id": "APP", "is_training": False, "net_amount": 10.5, "revision": None, "x": "0042"}
        assert receipt["business_date"] == "2026-03-02"

    def test_from_a_day_on(self, tmp_path: Path) -> None:
        land(tmp_path, "events", "b1", NOW, event(1, NOW), business_date=date(2026, 3, 1))
        land(tmp_path, "events", "b2", NOW, event(2, NOW), business_date=date(2026, 3, 2))
        (row,) = self.rows(read_landed(tmp_path, date(2026, 3, 2)), "events", NOW)
        assert row["event_id"] == "E2"


def test_a_real_time_is_the_default() -> None:
    assert abs(AppBackEnd(TOKEN).moment() - datetime.now(UTC)) < timedelta(seconds=5)


def test_there_is_no_default_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MEMBERHOUSE_APP_TOKEN", raising=False)
    done = CliRunner().invoke(cli, ["app-backend", str(tmp_path)])
    assert isinstance(done.exception, MemberhouseError)
    assert "MEMBERHOUSE_APP_TOKEN" in done.exception.message
