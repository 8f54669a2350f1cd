"""What the tasks ask of the package, and how its answers become task states. The package is stood in for."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from memberhouse.errors import AppNotReached, DatabaseLost, ExtractionUnderWay, MemberhouseError
from memberhouse.extract import RESOURCES
from memberhouse.load import BatchResult, LoadReport
from memberhouse.warehouse import Overtaken


@pytest.fixture
def task(bag: Any) -> Callable[[str, str], Callable[..., Any]]:
    """The plain function behind a task."""
    return lambda dag_id, task_id: bag.dags[dag_id].get_task(task_id).python_callable


@pytest.fixture
def alerts(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = []

    def raise_alert(settings: Any, root_cause: str, message: str, next_action: str, detail: Any = None) -> bool:
        told.append({"root_cause": root_cause, "message": message, "next_action": next_action})
        return True

    monkeypatch.setattr("memberhouse.alerts.raise_alert", raise_alert)
    return told


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEMBERHOUSE_HOME", str(tmp_path))
    monkeypatch.delenv("MEMBERHOUSE_LANDING", raising=False)
    return tmp_path


def events(*dates: str) -> dict[str, list[Any]]:
    return {"an asset": [SimpleNamespace(extra={"as_of": day}) for day in dates]}


class OutletEvents(dict[Any, Any]):
    def __missing__(self, asset: Any) -> Any:
        self[asset] = SimpleNamespace(extra={})
        return self[asset]

    def extras(self) -> dict[str, dict[str, Any]]:
        return {asset.name: event.extra for asset, event in self.items()}


@pytest.mark.parametrize(
    ("start", "day"),
    [
        ("2017-12-24T09:00:00", date(2017, 12, 24)),  # 04:00 in winter
        ("2017-07-01T08:00:00", date(2017, 7, 1)),  # 04:00 in summer
        ("2017-03-11T09:00:00", date(2017, 3, 11)),  # the interval in which the clocks go forward
        ("2017-12-25T04:59:59", date(2017, 12, 24)),  # still the evening before in New York
        ("2017-12-25T05:00:00", date(2017, 12, 25)),
    ],
)
def test_the_business_date_is_head_offices_date_when_the_interval_begins(
    shared: ModuleType, monkeypatch: pytest.MonkeyPatch, start: str, day: date
) -> None:
    monkeypatch.setattr(shared, "HEAD_OFFICE_ZONE", "America/New_York")
    assert shared.business_date(datetime.fromisoformat(start).replace(tzinfo=UTC)) == day


CHRISTMAS_EVE = datetime(2017, 12, 24, 9, tzinfo=UTC)


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What was asked of the loader."""
    asked: list[dict[str, Any]] = []

    def load_landed(
        settings: Any, root: Path, *, until: date, sources: Any, progress: Any, part: tuple[int, int]
    ) -> LoadReport:
        asked.append({"root": root, "until": until, "sources": set(sources), "part": part})
        return LoadReport()

    monkeypatch.setattr("memberhouse.load.load_landed", load_landed)
    return asked


def test_the_app_is_loaded_up_to_the_business_date_and_says_which(
    task: Any, home: Path, loads: list[dict[str, Any]]
) -> None:
    outlets = OutletEvents()
    task("ingest_app", "load")(data_interval_start=CHRISTMAS_EVE, outlet_events=outlets)
    assert loads == [{"root": home / "landing", "until": date(2017, 12, 24), "sources": {"app"}, "part": (0, 1)}]
    assert outlets.extras() == {"raw_app": {"as_of": "2017-12-24"}}


def test_tills_are_loaded_in_parts_after_reference_data(
    task: Any, home: Path, loads: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memberhouse.load.parts_to_load", lambda settings, root, *, until, sources: 3)
    task("ingest_pos", "load_reference")(data_interval_start=CHRISTMAS_EVE)
    parts = task("ingest_pos", "find")(data_interval_start=CHRISTMAS_EVE)
    for part in parts:
        task("ingest_pos", "load")(part=list(part), data_interval_start=CHRISTMAS_EVE)
    assert [(load["sources"], load["part"]) for load in loads] == [
        ({"reference"}, (0, 1)),
        ({"pos"}, (0, 3)),
        ({"pos"}, (1, 3)),
        ({"pos"}, (2, 3)),
    ]
    delivered: list[Any] = []
    monkeypatch.setattr(
        "memberhouse.load.record_delivery", lambda settings, sources, until: delivered.append((set(sources), until))
    )
    outlets = OutletEvents()
    task("ingest_pos", "deliver")(data_interval_start=CHRISTMAS_EVE, outlet_events=outlets)
    assert delivered == [({"pos"}, date(2017, 12, 24))]
    assert outlets.extras() == {"raw_pos": {"as_of": "2017-12-24"}}


def test_ingest_goes_on_after_a_refused_batch_and_leaves_the_alert_to_the_loader(
    task: Any, home: Path, alerts: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = BatchResult("pos/receipts/2017-12-24/all/b1", "refused", reason="it is cut short", next_action="again")
    monkeypatch.setattr("memberhouse.load.load_landed", lambda *a, **k: LoadReport(refused=[refused]))
    said = task("ingest_pos", "load")(part=(0, 1), data_interval_start=CHRISTMAS_EVE)
    assert "refused 1: pos/receipts/2017-12-24/all/b1 (it is cut short)" in said
    assert alerts == []


def test_a_landing_root_in_object_storage_is_reached_by_airflows_connection(
    shared: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMBERHOUSE_LANDING", "s3://bucket/landing")
    monkeypatch.setenv("MEMBERHOUSE_LANDING_CONNECTION", "drops")
    root = shared.landing()
    assert (root.protocol, root.path, root.conn_id) == ("s3", "bucket/landing", "drops")


def test_what_is_set_to_nothing_is_not_set(shared: ModuleType, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HEAD_OFFICE_ZONE", "LAST_BUSINESS_DATE", "APP_URL", "LANDING_KEEP_DAYS", "LANDING"):
        monkeypatch.setenv(f"MEMBERHOUSE_{name}", "")
    anew = read_again(shared)
    assert (anew.HEAD_OFFICE_ZONE, anew.END, anew.APP_RESOURCES) == ("Asia/Shanghai", None, [])
    assert (anew.landing_keep_days(), anew.landing()) == (90, home / "landing")
    monkeypatch.setenv("MEMBERHOUSE_LANDING", "s3://bucket/landing")
    monkeypatch.setenv("MEMBERHOUSE_LANDING_CONNECTION", "")
    assert anew.landing().conn_id is None


@pytest.fixture
def shared_with_app(shared: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """dags/_shared.py as it is where a back end of the app is configured."""
    monkeypatch.setenv("MEMBERHOUSE_APP_URL", "http://app.example")
    return read_again(shared)


def read_again(shared: ModuleType) -> ModuleType:
    """dags/_shared.py as the environment makes it now."""
    spec = importlib.util.spec_from_file_location("_shared_with_app", str(shared.__file__))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_without_a_back_end_nothing_is_extracted(shared: ModuleType, bag: Any) -> None:
    assert shared.APP_RESOURCES == []
    assert bag.dags["ingest_app"].get_task("extract").op_kwargs_expand_input.value == {"resource": []}


def test_with_a_back_end_every_resource_is(shared_with_app: ModuleType) -> None:
    assert list(RESOURCES) == shared_with_app.APP_RESOURCES


def test_a_resource_is_extracted_into_the_landing_area_for_the_business_date(
    task: Any, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def extract(settings: Any, landing: Path, resource: str, day: date, *, progress: Any) -> Any:
        asked.append((landing, resource, day))
        return SimpleNamespace(summary=lambda: "coupons: 7 rows")

    monkeypatch.setattr("memberhouse.extract.extract", extract)
    start = datetime(2017, 12, 24, 9, tzinfo=UTC)
    assert task("ingest_app", "extract")("coupons", data_interval_start=start) == "coupons: 7 rows"
    assert asked == [(home / "landing", "coupons", date(2017, 12, 24))]


def test_with_a_back_end_orders_of_any_date_are_loaded_beside_the_app_and_are_not_called_deliveries_of_tills(
    shared_with_app: ModuleType, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def load_landed(settings: Any, root: Path, *, until: date | None, sources: Any, **how: Any) -> LoadReport:
        asked.append((until, tuple(sources)))
        return LoadReport()

    monkeypatch.setattr("memberhouse.load.load_landed", load_landed)
    shared_with_app.load_app_until(date(2017, 12, 24))
    assert asked == [(None, ("pos/APP",)), (date(2017, 12, 24), ("app",))]


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[tuple[date, bool]]:
    """The dates that were built, and whether a later one would do."""
    asked: list[tuple[date, bool]] = []

    def build(settings: Any, as_of: date, *, or_later: bool, progress: Any) -> int:
        asked.append((as_of, or_later))
        return 7

    monkeypatch.setattr("memberhouse.warehouse.build", build)
    monkeypatch.setattr("memberhouse.warehouse.as_of_date", lambda settings, release_id: date(2017, 12, 31))
    return asked


def delivered(monkeypatch: pytest.MonkeyPatch, until: date | None, *, news: bool = True) -> None:
    monkeypatch.setattr("memberhouse.load.delivered_until", lambda settings, sources: {("pos", "app"): until}[sources])
    monkeypatch.setattr("memberhouse.warehouse.has_news", lambda settings, as_of: news)


def test_build_is_as_of_the_day_that_every_source_has_delivered_or_a_later_one(
    task: Any, home: Path, monkeypatch: pytest.MonkeyPatch, built: list[Any]
) -> None:
    delivered(monkeypatch, date(2017, 12, 24))
    answer = task("build_warehouse", "build")(params={"as_of": None})
    assert built == [(date(2017, 12, 24), True)]
    assert answer == {"as_of": "2017-12-31", "release_id": 7}


def test_a_build_by_hand_is_as_of_the_date_asked_for_and_of_no_later_one(
    task: Any, home: Path, monkeypatch: pytest.MonkeyPatch, built: list[Any]
) -> None:
    delivered(monkeypatch, date(2017, 12, 24), news=False)
    task("build_warehouse", "build")(params={"as_of": "2017-11-30"})
    assert built == [(date(2017, 11, 30), False)]


@pytest.mark.parametrize(
    ("until", "told"), [(None, "Only one of the sources"), (date(2017, 12, 24), "Nothing that counts by 2017-12-24")]
)
def test_without_a_whole_day_or_with_nothing_new_the_build_is_skipped(
    task: Any, home: Path, monkeypatch: pytest.MonkeyPatch, built: list[Any], until: date | None, told: str
) -> None:
    from airflow.sdk.exceptions import AirflowSkipException

    delivered(monkeypatch, until, news=False)
    with pytest.raises(AirflowSkipException, match=told):
        task("build_warehouse", "build")(params={"as_of": None})
    assert built == []


BUILT = {"as_of": "2017-12-24", "release_id": 7}
TI = SimpleNamespace(xcom_pull=lambda task_ids: {"build": BUILT}[task_ids])


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The verdicts on release 7 by group, and what readers see."""
    verdicts: dict[str, Any] = {"shown": {}}

    def evaluate(settings: Any, release_id: int, *, group: str) -> list[Any]:
        assert release_id == 7
        return [verdicts[group]] if group in verdicts else []

    monkeypatch.setattr("memberhouse.gate.evaluate", evaluate)
    monkeypatch.setattr("memberhouse.release.shown", lambda settings: verdicts["shown"])
    return verdicts


def verdict(state: str, reason: str) -> Any:
    return SimpleNamespace(verdict=state, reason=reason, is_held_with_base=False)


def test_a_held_group_fails_its_own_gate_at_once_with_the_reason(task: Any, home: Path, judged: dict[str, Any]) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    judged |= {
        "core": verdict("held", "store 367: net sales 100 times the usual"),
        "programme": verdict("passed", "12 checks"),
    }
    with pytest.raises(AirflowFailException, match="store 367: net sales 100 times the usual"):
        task("build_warehouse", "gate_core")("core", ti=TI)
    assert task("build_warehouse", "gate_programme")("programme", ti=TI) == "programme: 12 checks"


def test_a_group_held_with_the_one_it_rests_on_is_skipped_so_that_one_cause_is_told_once(
    task: Any, home: Path, judged: dict[str, Any]
) -> None:
    from airflow.sdk.exceptions import AirflowSkipException

    judged["programme"] = verdict("held", "the group core is held")
    judged["programme"].is_held_with_base = True
    with pytest.raises(AirflowSkipException, match="the group core is held"):
        task("build_warehouse", "gate_programme")("programme", ti=TI)


def test_nothing_is_judged_when_nothing_was_built(task: Any, home: Path) -> None:
    from airflow.sdk.exceptions import AirflowSkipException

    with pytest.raises(AirflowSkipException, match="Nothing was built"):
        task("build_warehouse", "gate_programme")("programme", ti=SimpleNamespace(xcom_pull=lambda task_ids: None))


def test_a_group_without_marts_is_skipped_and_one_that_is_out_goes_on(
    task: Any, home: Path, judged: dict[str, Any]
) -> None:
    from airflow.sdk.exceptions import AirflowSkipException

    judged["shown"] = {"core": 7, "programme": 6}
    assert "published already" in task("build_warehouse", "gate_core")("core", ti=TI)
    with pytest.raises(AirflowSkipException, match="no marts of the group programme"):
        task("build_warehouse", "gate_programme")("programme", ti=TI)


@pytest.mark.parametrize("group", ["core", "programme"])
def test_release_publishes_its_group_and_hands_on_what_was_built(
    task: Any, home: Path, monkeypatch: pytest.MonkeyPatch, group: str
) -> None:
    asked: list[Any] = []

    def publish(settings: Any, release_id: int, *, groups: list[str]) -> list[str]:
        asked.append((release_id, groups))
        return [f"{group}: release 7"]

    monkeypatch.setattr("memberhouse.release.publish", publish)
    outlets = OutletEvents()
    task("build_warehouse", f"release_{group}")(group, ti=TI, outlet_events=outlets)
    assert asked == [(7, [group])]
    assert outlets.extras() == {f"bi_{group}": BUILT}


@pytest.mark.parametrize(
    ("task_id", "step"), [("gate_core", "memberhouse.gate.evaluate"), ("release_core", "memberhouse.release.publish")]
)
def test_a_run_that_was_overtaken_is_skipped_and_hands_nothing_on(
    task: Any, home: Path, monkeypatch: pytest.MonkeyPatch, task_id: str, step: str
) -> None:
    from airflow.sdk.exceptions import AirflowSkipException

    def overtaken(settings: Any, release_id: int, **which: Any) -> None:
        raise Overtaken("Release 7 was overtaken by release 8.", "nothing")

    monkeypatch.setattr(step, overtaken)
    outlets = OutletEvents()
    with pytest.raises(AirflowSkipException, match="Release 7 was overtaken by release 8"):
        task("build_warehouse", task_id)(
            "core", ti=TI, **({"outlet_events": outlets} if task_id == "release_core" else {})
        )
    assert outlets.extras() == {}


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[tuple[date, str]]:
    weeks: list[tuple[date, str]] = []

    def write(settings: Any, week: date, out: Path, lang: str) -> Path:
        weeks.append((week, lang))
        return out / "page"

    import memberhouse.reports.weekly

    monkeypatch.setattr(memberhouse.reports.weekly, "write", write)
    return weeks


class TestWeeklyReport:
    def run(self, task: Any, as_of: str | None = None, week: str | None = None) -> str:
        write = task("weekly_member_report", "write")
        return write(params={"week": week}, triggering_asset_events=events(as_of) if as_of else {})

    def test_a_sunday_closes_its_week(self, task: Any, home: Path, written: list[tuple[date, str]]) -> None:
        (home / "reports").mkdir()
        (home / "reports/member-report-2017-W52.en.html").touch()  # of an earlier release: written again
        self.run(task, as_of="2017-12-31")
        assert written == [(date(2017, 12, 31), "en"), (date(2017, 12, 31), "zh")]

    def test_a_missed_week_is_caught_up_by_the_next_publication(
        self, task: Any, home: Path, written: list[tuple[date, str]]
    ) -> None:
        self.run(task, as_of="2017-12-26")
        assert written == [(date(2017, 12, 24), "en"), (date(2017, 12, 24), "zh")]

    def test_in_the_week_nothing_is_written_when_the_last_report_is_there(
        self, task: Any, home: Path, written: list[tuple[date, str]]
    ) -> None:
        from airflow.sdk.exceptions import AirflowSkipException

        (home / "reports").mkdir()
        for lang in ("en", "zh"):
            (home / f"reports/member-report-2017-W51.{lang}.html").touch()
        with pytest.raises(AirflowSkipException, match="2017-W51"):
            self.run(task, as_of="2017-12-30")
        assert written == []

    def test_by_hand_for_any_date_of_a_week(self, task: Any, home: Path, written: list[tuple[date, str]]) -> None:
        self.run(task, week="2017-06-07")
        assert written == [(date(2017, 6, 7), "en"), (date(2017, 6, 7), "zh")]


class TestMemberValue:
    @pytest.fixture(autouse=True)
    def fitted(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[date] = []
        self.done: set[date] = set()
        self.version: int | None = 3

        def fit(settings: Any, as_of: date) -> Any:
            self.asked.append(as_of)
            return SimpleNamespace(model_version=self.version, summary=f"as of {as_of}")

        monkeypatch.setattr("memberhouse.value.fit", fit)
        monkeypatch.setattr("memberhouse.value.is_fitted", lambda settings, as_of: as_of in self.done)

    def run(self, task: Any, published: str | None = None, as_of: str | None = None) -> str:
        fit = task("fit_member_value", "fit")
        return fit(params={"as_of": as_of}, triggering_asset_events=events(published) if published else {})

    @pytest.mark.parametrize("published", ["2017-12-24", "2017-12-25", "2017-12-30"])
    def test_it_is_fitted_as_of_the_sunday_that_closed_the_newest_finished_week(
        self, task: Any, published: str
    ) -> None:
        assert self.run(task, published) == "as of 2017-12-24"

    def test_a_week_that_has_its_model_is_skipped_and_by_hand_it_is_not(self, task: Any) -> None:
        from airflow.sdk.exceptions import AirflowSkipException

        self.done = {date(2017, 12, 24)}
        with pytest.raises(AirflowSkipException, match="2017-12-24"):
            self.run(task, "2017-12-27")
        assert self.asked == []
        self.run(task, as_of="2017-12-24")
        assert self.asked == [date(2017, 12, 24)]

    def test_without_a_model_it_is_skipped_with_the_reason(self, task: Any) -> None:
        from airflow.sdk.exceptions import AirflowSkipException

        self.version = None
        with pytest.raises(AirflowSkipException, match="as of 2017-12-31"):
            self.run(task, "2017-12-31")

    def test_by_hand_it_needs_a_date(self, task: Any) -> None:
        from airflow.sdk.exceptions import AirflowFailException

        with pytest.raises(AirflowFailException, match="needs the parameter as_of"):
            self.run(task)


def failed(shared: ModuleType, error: BaseException) -> None:
    where = SimpleNamespace(dag_id="build_warehouse", task_id="build")
    shared.tell_failure({"task_instance": where, "exception": error, "run_id": "r"})


def test_a_failure_is_told_in_the_packages_own_words(
    shared: ModuleType, home: Path, alerts: list[dict[str, Any]]
) -> None:
    failed(shared, MemberhouseError("Model dim_member failed.", "Look at it."))
    assert alerts[0]["message"] == "build_warehouse.build failed: Model dim_member failed."
    assert alerts[0]["next_action"] == "Look at it."


def test_a_held_release_is_told_under_the_gates_own_root_cause(
    shared: ModuleType, home: Path, alerts: list[dict[str, Any]]
) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    failed(shared, AirflowFailException("release held: too much"))
    assert alerts[0]["root_cause"] == "release held: too much"


def test_what_memberhouse_reports_is_not_tried_again_and_anything_else_is(shared: ModuleType) -> None:
    policy = shared.TASK_DEFAULTS["retry_policy"]
    assert policy.evaluate(MemberhouseError("m", "n"), 1, 2).action.value == "fail"
    assert policy.evaluate(ConnectionError(), 1, 2).action.value == "default"
    for passes in (DatabaseLost, AppNotReached, ExtractionUnderWay):
        assert policy.evaluate(passes("m", "n"), 1, 2).action.value == "default"
