"""Extractions into a real warehouse: in the end it has what the back end has, and the watermark never leaves a gap."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
from contextlib import nullcontext, suppress
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.back_end import MINUTE, NOW, coupon, event, fail, receipt
from tests.conservation import assert_conserved
from tests.extract.conftest import DAY, QUICK, Road
from tests.load.conftest import empty

from memberhouse.errors import AppNotReached, ExtractionUnderWay, MemberhouseError
from memberhouse.extract import RESOURCES
from memberhouse.landing import find_batches, write_batch
from memberhouse.landing.batches import NewFile
from memberhouse.settings import Settings
from memberhouse.simulate.app_backend import AppBackEnd

pytestmark = pytest.mark.services

OVERLAP = timedelta(hours=6)


def fill(back_end: AppBackEnd, coupons: int = 25) -> None:
    for number in range(coupons):
        back_end.put("coupons", coupon(number, NOW - MINUTE * (coupons - number)), NOW - MINUTE * (coupons - number))


def test_first_everything_then_what_changed_since(road: Road) -> None:
    fill(road.back_end)
    first = road.extract("coupons")
    assert (first.updated_since, first.as_of, first.rows, first.pages) == (None, NOW, 25, 3)
    (folder,) = first.batches
    assert folder.parent == road.landing / "app/coupons/2026-03-02/all"
    assert road.load().rows_loaded == 25
    road.pass_time(days=1)
    road.back_end.put("coupons", coupon(3, NOW + MINUTE, funding="store"), NOW + MINUTE)
    second = road.extract("coupons", day=DAY + timedelta(days=1))
    assert second.updated_since == NOW - OVERLAP
    assert second.rows == 25  # 24 of the overlap, and the one that changed
    road.load()
    road.assert_same("coupons", "coupon_id", "funding", "updated_at")
    assert_conserved(road.settings)


def test_it_may_be_the_first_thing_that_a_new_warehouse_sees(road: Road, warehouse: Settings) -> None:
    fill(road.back_end)
    road.settings = replace(warehouse, app=road.settings.app)
    assert road.bring("coupons").rows_loaded == 25


def test_the_overlap_can_be_chosen(road: Road) -> None:
    fill(road.back_end)
    road.bring("coupons")
    app = road.settings.app
    assert app is not None
    road.settings = replace(road.settings, app=replace(app, overlap=timedelta(minutes=10)))
    road.pass_time(days=1)
    assert road.extract("coupons").rows == 10


class TestTheWatermark:
    def test_moves_with_the_load_and_not_before(self, road: Road) -> None:
        fill(road.back_end)
        road.extract("coupons")
        assert road.watermark("coupons") is None
        road.load()
        assert road.watermark("coupons") == NOW
        assert road.watermark("events") is None

    def test_does_not_move_when_the_batch_is_refused(self, road: Road) -> None:
        fill(road.back_end)
        road.bring("coupons")
        road.pass_time(days=1)
        for number in range(21):
            road.back_end.put("coupons", coupon(100 + number, NOW, face_value="a lot"))
        assert [result.code for result in road.bring("coupons").refused] == ["too_many_bad_rows"]
        assert road.watermark("coupons") == NOW
        # corrected: the next extraction begins where the refused one did, and brings its rows again
        for number in range(21):
            road.back_end.put("coupons", coupon(100 + number, NOW, face_value=5))
        assert road.extract("coupons").updated_since == NOW - OVERLAP
        road.load()
        assert road.watermark("coupons") == NOW + timedelta(days=1)
        road.assert_same("coupons", "coupon_id", "updated_at")

    def test_moves_past_twenty_bad_rows_however_few_are_beside_them(self, road: Road) -> None:
        for number in range(20):
            road.back_end.put("coupons", coupon(number, NOW, face_value="a lot"))
        report = road.bring("coupons")
        assert (report.refused, report.rows_quarantined) == ([], 20)
        assert road.watermark("coupons") == NOW
        assert_conserved(road.settings)

    def test_moves_past_a_line_that_is_alone_on_its_day_and_contradicts_an_earlier_one(self, road: Road) -> None:
        line = {**receipt(1, "2026-03-01"), "line_no": 1, "sku": "A", "quantity": 1}
        del line["sold_at"]
        road.back_end.put("receipt_lines", line)
        road.bring("receipt_lines")
        road.pass_time(hours=1)
        road.back_end.put("receipt_lines", line | {"net_amount": 99})
        assert road.bring("receipt_lines").refused == []
        assert road.rejected() == [("contradicts_earlier_row", None)]
        assert road.watermark("receipt_lines") == NOW + timedelta(hours=1)
        assert [row["net_amount"] for row in road.held("receipt_lines")] == [10.5]

    def test_counts_an_extraction_of_orders_when_the_batches_of_all_its_days_are_taken(self, road: Road) -> None:
        for number, day in enumerate(["2026-03-01", "2026-03-02"]):
            road.back_end.put("receipts", receipt(number, day))
        done = road.extract("receipts")
        assert [folder.parts[-3:-1] for folder in done.batches] == [("2026-03-01", "APP"), ("2026-03-02", "APP")]
        (done.batches[1] / "receipts.jsonl.gz").write_bytes(b"damaged")
        report = road.load()
        assert (len(report.loaded), len(report.refused)) == (1, 1)
        assert road.watermark("receipts") is None
        road.bring("receipts")
        assert road.watermark("receipts") == NOW
        road.assert_same("receipts", "business_date", "receipt_no")

    def test_is_the_newest_and_so_leaves_no_gap_after_a_clock_ran_ahead(self, road: Road) -> None:
        fill(road.back_end)
        road.back_end.clock_off = timedelta(days=300)
        road.bring("coupons")
        road.back_end.clock_off = timedelta(0)
        with pytest.raises(MemberhouseError, match="clock of the app's back end is off") as caught:
            road.extract("coupons")
        assert "“App clock is off”" in caught.value.next_action
        road.extract("coupons", since=NOW - timedelta(days=1))
        road.load()
        assert road.watermark("coupons") == NOW

    def test_is_not_moved_by_batches_that_others_landed(self, road: Road) -> None:
        line = json.dumps(coupon(1, NOW)).encode() + b"\n"
        write_batch(
            road.landing, source="app", feed="coupons", business_date=DAY, name="by hand",
            files=[NewFile("coupons.jsonl", line, 1)], produced_at=NOW,
        )  # fmt: skip
        road.load()
        assert road.watermark("coupons") is None

    def test_an_extraction_that_would_leave_a_gap_is_refused(self, road: Road) -> None:
        fill(road.back_end)
        with pytest.raises(MemberhouseError, match="would leave a gap"):
            road.extract("coupons", since=NOW)
        road.bring("coupons")
        with pytest.raises(MemberhouseError, match="would leave a gap"):
            road.extract("coupons", since=NOW + MINUTE)


class TestTheSameAgain:
    def test_the_same_window_lands_the_same_batch(self, road: Road) -> None:
        fill(road.back_end)
        first = road.extract("coupons")
        kept = {path.name: path.read_bytes() for path in first.batches[0].iterdir()}
        again = road.extract("coupons")
        assert again.batches == first.batches
        assert {path.name: path.read_bytes() for path in again.batches[0].iterdir()} == kept
        assert len(road.load().loaded) == 1
        # since the watermark: a window of its own, with rows that are there; and then the same window again
        reports = [road.bring("coupons"), road.bring("coupons")]
        assert [(report.rows_loaded, report.rows_duplicate) for report in reports] == [(0, 25), (0, 0)]

    def test_the_same_moment_with_other_rows_lands_another_one(self, road: Road) -> None:
        """A back end that tells the time in whole hours, for instance."""
        fill(road.back_end)
        road.bring("coupons")
        for number in (100, 101):
            road.back_end.put("coupons", coupon(number, NOW))
            assert road.bring("coupons").refused == []
        road.assert_same("coupons", "coupon_id", "updated_at")

    def test_no_row_lands_nothing(self, road: Road) -> None:
        done = road.extract("coupons")
        assert (done.rows, done.batches) == (0, ())
        assert find_batches(road.landing) == []
        assert "landed nothing" in done.summary()

    def test_one_extraction_of_a_resource_at_a_time(self, road: Road) -> None:
        fill(road.back_end)
        road.extract("coupons")
        with (road.settings.home / "extracting/coupons.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with pytest.raises(ExtractionUnderWay, match="coupons is being extracted already"):
                road.extract("coupons")


class TestInterrupted:
    def test_an_extraction_that_breaks_off_lands_nothing_and_says_so_in_the_ledger(self, road: Road) -> None:
        fill(road.back_end)
        road.back_end.while_paged = lambda resource: (
            fail(road.back_end, "same_cursor") if road.back_end.requests == 2 else None
        )
        with pytest.raises(MemberhouseError, match="a second time"):
            road.extract("coupons")
        assert find_batches(road.landing) == []
        assert [path.name for path in (road.settings.home / "extracting").glob("coupons*")] == ["coupons.lock"]
        ((step, state, summary),) = road.query(
            "select step, state, summary from ops.step order by step_id desc limit 1"
        )
        assert (step, state) == ("extract coupons", "failed")
        assert "a second time" in summary

    def test_killed_in_the_middle_and_run_again(self, road: Road) -> None:
        fill(road.back_end, coupons=200)
        program = (
            "import sys; from dataclasses import replace; from datetime import date; from pathlib import Path\n"
            "from memberhouse.extract import Patience, extract; from memberhouse.settings import Settings\n"
            "from memberhouse.extract import extraction; extraction._HELD = 0  # every row goes to disk at once\n"
            "few = Patience(page_rows=10)\n"
            "extract(Settings.from_env(), Path(sys.argv[1]), 'coupons', date(2026, 3, 2), patience=few)"
        )
        assert road.settings.app is not None
        for page in (1, 7, 19):
            road.back_end.requests = 0
            process = subprocess.Popen(
                [sys.executable, "-c", program, str(road.landing)],
                env={
                    **os.environ,
                    "DATABASE_URL": road.settings.database_url or "",
                    "MEMBERHOUSE_HOME": str(road.settings.home),
                    "MEMBERHOUSE_APP_URL": road.settings.app.url,
                    "MEMBERHOUSE_APP_TOKEN": road.settings.app.token,
                },
            )

            def kill(resource: str, page: int = page, process: Any = process) -> None:
                if road.back_end.requests == page:
                    process.send_signal(signal.SIGKILL)
                    process.wait()

            road.back_end.while_paged = kill
            assert process.wait(timeout=60) == -signal.SIGKILL
            assert find_batches(road.landing) == []
        road.back_end.while_paged = lambda resource: None
        assert road.bring("coupons").rows_loaded == 200
        road.assert_same("coupons", "coupon_id", "updated_at")
        assert not (road.settings.home / "extracting/coupons").exists()

    def test_not_reached_keeps_the_watermark(self, road: Road) -> None:
        fill(road.back_end)
        road.bring("coupons")
        fail(road.back_end, "server_error", times=10_000)
        with pytest.raises(AppNotReached):
            road.extract("coupons", patience=replace(QUICK, seconds=0.2))
        assert road.watermark("coupons") == NOW


class TestClocks:
    @pytest.mark.parametrize("minutes", [10, -10], ids=["fast", "slow"])
    def test_a_clock_ten_minutes_off_loses_nothing(self, road: Road, minutes: int) -> None:
        """Only what it calls now is off: rows are stamped by a clock that is right."""
        back_end = road.back_end
        back_end.clock_off = timedelta(minutes=minutes)
        for number in range(40):
            back_end.put("events", event(number, back_end.moment()))
            road.pass_time(minutes=3)
            if number % 5 == 4:
                road.bring("events")
        back_end.clock_off = timedelta(0)
        back_end.put("events", event(40, back_end.moment()))
        road.bring("events")
        road.assert_same("events", "event_id", "at")
        assert road.rejected() == []

    def test_what_was_committed_after_its_own_time_is_found_within_the_overlap(self, road: Road) -> None:
        fill(road.back_end)
        road.bring("coupons")
        road.back_end.put("coupons", coupon(100, NOW - 5 * MINUTE), NOW - 5 * MINUTE)
        road.pass_time(days=1)
        road.bring("coupons")
        road.assert_same("coupons", "coupon_id", "updated_at")

    def test_a_row_of_the_future_is_quarantined_and_comes_when_its_time_has_come(self, road: Road) -> None:
        for number in range(30):
            road.back_end.put("events", event(number, NOW))
        road.back_end.put("events", event(30, NOW + 11 * MINUTE))
        road.bring("events")
        assert road.rejected() == [("after_production", "at")]
        road.pass_time(minutes=2)
        road.bring("events")
        road.assert_same("events", "event_id", "at")

    def test_a_resource_that_changes_while_it_is_paged_for_long(self, road: Road) -> None:
        """What changes on the way is later than the first page's clock, and not from the future for that."""
        fill(road.back_end)

        def change(resource: str) -> None:
            road.pass_time(minutes=20)
            if road.back_end.requests <= 3:
                moment = road.back_end.moment()
                road.back_end.put("coupons", coupon(road.back_end.requests, moment))
                road.back_end.put("coupons", coupon(100 + road.back_end.requests, moment, issued_at=moment.isoformat()))

        road.back_end.while_paged = change
        done = road.extract("coupons")
        assert done.as_of == NOW
        road.load()
        assert road.rejected() == []
        assert {"C101", "C102"} <= {row["coupon_id"] for row in road.held("coupons")}
        assert road.watermark("coupons") == NOW
        road.bring("coupons")
        road.assert_same("coupons", "coupon_id", "updated_at")


class TestWhatIsWrongWithARow:
    """It is the loader's business: the row is put aside with its reason, and the others are loaded."""

    def sound(self, road: Road) -> None:
        for number in range(30):
            road.back_end.put("events", event(number, NOW))

    @pytest.mark.parametrize(
        "row",
        [
            b'{"event_id": "E99", "name": "tap", "at": NaN}',
            b'{"event_id": "E99", "name": "tap", "at": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
            b'{"event_id": "E99", tap}',
        ],
        ids=["NaN", "nested 50,000 deep", "not JSON"],
    )
    def test_poison(self, road: Road, row: bytes) -> None:
        self.sound(road)
        road.back_end.put("events", row)
        assert road.bring("events").rows_loaded == 30
        assert [code for code, _ in road.rejected()] == ["poison_json"]
        assert_conserved(road.settings)

    def test_the_same_event_with_another_payload(self, road: Road) -> None:
        self.sound(road)
        road.bring("events")
        road.pass_time(hours=1)
        road.back_end.put("events", event(7, NOW, name="something_else"))
        road.bring("events")
        assert [code for code, _ in road.rejected()] == ["contradicts_earlier_row"]
        assert {row["name"] for row in road.held("events")} == {"open_app"}

    def test_an_unknown_store(self, road: Road) -> None:
        for number in range(30):
            contact = {"contact_id": f"K{number}", "channel": "wechat", "intent": "care", "created_at": NOW.isoformat()}
            road.back_end.put("contacts", {**contact, "store_id": "nowhere" if number == 29 else None})
        road.bring("contacts")
        assert road.rejected() == [("unknown_store", "store_id")]

    def test_an_order_without_a_date(self, road: Road) -> None:
        for number in range(30):
            road.back_end.put("receipts", receipt(number, "2026-03-02"))
        road.back_end.put("receipts", receipt(30, "someday"))
        assert road.bring("receipts").rows_loaded == 30
        assert road.rejected() == [("wrong_type", "business_date")]
        assert road.watermark("receipts") == NOW

    def test_an_order_of_another_store(self, road: Road) -> None:
        for number in range(30):
            road.back_end.put("receipts", receipt(number, "2026-03-02"))
        road.back_end.put("receipts", receipt(30, "2026-03-02", store_id="S1"))
        road.bring("receipts")
        assert [code for code, _ in road.rejected()] == ["unknown_store"]


def test_orders_land_whole(road: Road) -> None:
    back_end = road.back_end
    for number in range(30):
        day = f"2026-02-{1 + number % 20:02d}"
        back_end.put("receipts", receipt(number, day))
        key = {
            k: receipt(number, day)[k]
            for k in ("store_id", "register_id", "business_date", "receipt_no", "receipt_type")
        }
        for line in range(1, 3):
            back_end.put("receipt_lines", {**key, "line_no": line, "sku": "A", "quantity": 1, "net_amount": 5.25})
        back_end.put("tenders", {**key, "tender_no": 1, "tender_type": "wechat", "amount": 10.5})
    report = road.bring("receipts", "receipt_lines", "tenders")
    assert (report.rows_loaded, report.rows_quarantined) == (30 + 60 + 30, 0)
    assert road.query("select sum(net_amount) from raw.pos__receipt_lines") == road.query(
        "select sum(amount) from raw.pos__tenders"
    )
    assert_conserved(road.settings)


@pytest.mark.parametrize("resource", RESOURCES)
def test_every_resource_has_a_road(road: Road, resource: str) -> None:
    road.back_end.put(resource, {})
    assert road.extract(resource).rows == 1
    assert road.extract(resource).batches[0].is_relative_to(road.landing / RESOURCES[resource].source / resource)


def test_what_is_not_configured_is_named(road: Road, tmp_path: Path) -> None:
    app = road.settings.app
    assert app is not None
    for wrong, told in (
        (None, "MEMBERHOUSE_APP_URL is not set"),
        (replace(app, token=""), "MEMBERHOUSE_APP_TOKEN is empty"),
        (replace(app, token="two\nlines"), "MEMBERHOUSE_APP_TOKEN is empty, or has characters"),
        (replace(app, url="app.example"), "no http"),
        (replace(app, overlap=timedelta(hours=-1)), "MEMBERHOUSE_APP_OVERLAP_HOURS is negative"),
    ):
        road.settings = replace(road.settings, app=wrong)
        with pytest.raises(MemberhouseError, match=told):
            road.extract("coupons")
    road.settings = replace(road.settings, app=app)
    with pytest.raises(MemberhouseError, match="no resource 'orders'"):
        road.extract("orders")


def test_a_token_is_never_shown(road: Road) -> None:
    assert road.settings.app is not None
    assert road.settings.app.token not in repr(road.settings)


# ---------------------------------------------------------------- whatever happens between and during extractions

_FAULTS = st.lists(
    st.sampled_from(["too_many_requests", "server_error", "cut", "malformed", "same_cursor"]), max_size=3
)
_CHANGES = st.lists(
    st.tuples(st.sampled_from(["coupons", "contact_states", "receipts"]), st.integers(0, 30)), max_size=25
)
_STEP = st.tuples(_CHANGES, _FAULTS, st.integers(1, 30 * 60), st.sampled_from([-10, 0, 10]), st.booleans())


@given(steps=st.lists(_STEP, min_size=1, max_size=5))
@settings(
    max_examples=15,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_in_the_end_the_warehouse_has_what_the_back_end_has(
    road: Road, steps: list[Any], tmp_path_factory: Any
) -> None:
    """steps: what changes, what goes wrong with the extraction, the minutes that pass, how many its clock is off,
    whether it is loaded."""
    empty(road.settings)
    road.landing = tmp_path_factory.mktemp("landing")
    road.back_end.__init__(road.back_end.token, now=NOW)  # type: ignore[misc]
    moves = 0
    for changes, faults, minutes, clock_off, loaded in [*steps, ([], [], 60, 0, True)]:
        for resource, number in changes:
            moves += 1
            road.pass_time(seconds=1)
            moment = road.back_end.moment()
            if resource == "coupons":
                road.back_end.put(resource, coupon(number, moment, funding=f"change {moves}"))
            elif resource == "contact_states":
                state = {"contact_id": f"K{number}", "state": "sent", "at": moment.isoformat()}
                road.back_end.put(resource, state)
            else:
                day = date(2026, 3, 1) + timedelta(days=number % 2)
                road.back_end.put(resource, receipt(number, day.isoformat(), revision=moves))
        road.back_end.clock_off = timedelta(minutes=clock_off)
        for resource in ("coupons", "contact_states", "receipts"):
            for fault in faults:
                fail(road.back_end, fault)
            hopeless = "same_cursor" in faults or faults.count("malformed") == 3
            with suppress(MemberhouseError) if hopeless else nullcontext():
                road.extract(resource, day=road.back_end.moment().date())
            road.back_end.faults.clear()
        road.pass_time(minutes=minutes)
        if loaded:
            assert road.load().refused == []
    road.assert_same("coupons", "coupon_id", "funding", "updated_at")
    road.assert_same("contact_states", "contact_id", "at")
    road.assert_same("receipts", "receipt_no", "revision")
    assert road.rejected() == []
    assert_conserved(road.settings)
