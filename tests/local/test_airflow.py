"""The real Airflow on an embedded Postgres: started, killed in part, repaired, stopped."""

from __future__ import annotations

import json
import os
import shutil
import stat
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from memberhouse.errors import MemberhouseError
from memberhouse.local import airflow, postgres
from memberhouse.settings import PROJECT_ROOT, Settings

KEYS = {"fernet": "f", "jwt": "j", "api": "a"}


class TestEnvironment:
    """The configuration, without starting anything."""

    def test_settings_of_another_airflow_on_the_machine_are_left_out(self, tmp_path: Path) -> None:
        others = {
            "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
            "AIRFLOW__SMTP__SMTP_HOST": "mail",
            "PATH": "/bin",
        }
        env = airflow.environment(Settings(tmp_path, None, PROJECT_ROOT), "dbname=airflow", 8080, KEYS, others)
        assert env["AIRFLOW__CORE__EXECUTOR"] == "LocalExecutor"
        assert "AIRFLOW__SMTP__SMTP_HOST" not in env
        assert env["PATH"] == "/bin"

    def test_nothing_phones_home_and_nobody_is_admin_without_a_password(self, tmp_path: Path) -> None:
        env = airflow.environment(Settings(tmp_path, None, PROJECT_ROOT), "dbname=airflow", 8080, KEYS, {})
        assert env["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS"] == "False"
        assert env["AIRFLOW__CORE__LOAD_EXAMPLES"] == "False"
        assert (env["DO_NOT_TRACK"], env["GX_ANALYTICS_ENABLED"]) == ("1", "false")
        assert env["AIRFLOW__API__HOST"] == "127.0.0.1"

    @pytest.mark.parametrize(
        ("conninfo", "url"),
        [
            ("postgresql://m:p@127.0.0.1:5433/airflow", "postgresql+psycopg2://m:p@127.0.0.1:5433/airflow"),
            (
                "host=db user=m password='p@:/ ' dbname=airflow",
                "postgresql+psycopg2://m:p%40%3A%2F%20@db/airflow",
            ),
            ("postgresql://m@/airflow?host=/run/pg", "postgresql+psycopg2://m@/airflow?host=%2Frun%2Fpg"),
            (
                "postgresql://m:p@db/airflow?sslmode=require",
                "postgresql+psycopg2://m:p@db/airflow?sslmode=require",
            ),
        ],
    )
    def test_any_way_to_name_a_database_reaches_airflow(self, tmp_path: Path, conninfo: str, url: str) -> None:
        env = airflow.environment(Settings(tmp_path, None, PROJECT_ROOT), conninfo, 8080, KEYS, {})
        assert env["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] == url

    def test_a_data_set_that_has_ended_has_a_last_business_date(self, tmp_path: Path) -> None:
        settings = Settings(tmp_path, None, PROJECT_ROOT)
        name = "MEMBERHOUSE_LAST_BUSINESS_DATE"
        assert name not in airflow.environment(settings, "dbname=airflow", 8080, KEYS, {})
        (tmp_path / airflow.ENVIRONMENT_FILE).write_text(json.dumps({name: "2017-12-31"}))
        assert airflow.environment(settings, "dbname=airflow", 8080, KEYS, {})[name] == "2017-12-31"

    @pytest.mark.parametrize(
        ("given", "passed_on"),
        [("s3://bucket/landing", "s3://bucket/landing"), ("tills", f"{Path('tills').absolute()}")],
    )
    def test_a_landing_root_reaches_the_tasks_wherever_they_run(
        self, tmp_path: Path, given: str, passed_on: str
    ) -> None:
        settings = Settings(tmp_path, None, PROJECT_ROOT)
        env = airflow.environment(settings, "dbname=airflow", 8080, KEYS, {"MEMBERHOUSE_LANDING": given})
        assert env["MEMBERHOUSE_LANDING"] == passed_on


def test_before_anything_was_started_all_is_down_and_stopping_is_fine(tmp_path: Path) -> None:
    settings = Settings(tmp_path / "home", None, PROJECT_ROOT)
    assert str(airflow.down(settings)) == "Airflow: down"
    assert not (tmp_path / "home").exists()


@pytest.fixture(scope="module")
def settings() -> Iterator[Settings]:
    folder = Path(tempfile.mkdtemp(prefix="memberhouse-test-"))
    folder.chmod(0o755)
    settings = Settings(folder / "home", None, PROJECT_ROOT)
    yield settings
    airflow.down(settings)
    postgres.stop(settings.home)
    shutil.rmtree(folder)


@pytest.fixture
def up(settings: Settings) -> airflow.Status:
    """Airflow, healthy; started by the first test that needs it."""
    return airflow.up(settings)


def pids(status: airflow.Status) -> dict[str, int | None]:
    return {component.name: component.pid for component in status.components}


def states(status: airflow.Status) -> dict[str, str]:
    return {component.name: component.state for component in status.components}


@pytest.mark.services
class TestRunning:
    def test_all_of_it_is_healthy_and_each_has_its_own_session(self, settings: Settings, up: airflow.Status) -> None:
        assert set(states(up)) == {"api-server", "scheduler", "dag-processor", "triggerer"}
        assert set(states(up).values()) == {"up"}
        assert {os.getsid(pid) for pid in pids(up).values() if pid} == set(pids(up).values())
        assert str(up.password_file) in str(up)
        with psycopg.connect(postgres.ensure_running(settings.home), dbname="airflow") as connection:
            assert connection.execute("select count(*) from dag").fetchone()

    def test_a_second_start_changes_nothing(self, settings: Settings, up: airflow.Status) -> None:
        said: list[str] = []
        assert pids(airflow.up(settings, said.append)) == pids(up)
        assert said == []

    def test_the_pool_of_the_app_is_there_and_keeps_the_size_that_someone_gave_it(
        self, settings: Settings, up: airflow.Status
    ) -> None:
        api = airflow.Api(settings)
        assert api.get("pools/app_backend")["slots"] == airflow.APP_POOL["slots"]
        airflow._ensure_pool(api, {**airflow.APP_POOL, "slots": 7})
        assert api.get("pools/app_backend")["slots"] == airflow.APP_POOL["slots"]

    def test_the_secrets_are_private(self, settings: Settings, up: airflow.Status) -> None:
        folder = settings.home / "airflow"
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        for name in ("passwords.json", "secrets.json"):
            assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
        said = "".join(log.read_text(errors="replace") for log in (folder / "logs").glob("*.log"))
        assert airflow._Place(settings).password() not in said

    def test_nobody_gets_in_without_the_password(self, settings: Settings, up: airflow.Status) -> None:
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{up.url}/api/v2/dags", timeout=30)  # noqa: S310  (always http)
        assert refused.value.code == 401
        api = airflow.Api(settings)
        assert "dags" in api.get("dags")
        api._token, api._password = None, "wrong"
        with pytest.raises(MemberhouseError, match="401"):
            api.get("dags")

    def test_after_kill_9_status_is_honest_and_up_repairs_only_what_died(
        self, settings: Settings, up: airflow.Status
    ) -> None:
        before = pids(up)
        family = [psutil.Process(before["scheduler"]), *psutil.Process(before["scheduler"]).children(True)]
        assert len(family) > 1, "the scheduler has workers, which must not outlive the repair"
        killed = [psutil.Process(before[name]) for name in ("scheduler", "triggerer")]
        for process in killed:
            process.kill()
        psutil.wait_procs(killed, timeout=10)
        seen = airflow.status(settings)
        assert states(seen) == {
            "api-server": "up",
            "scheduler": "down",
            "dag-processor": "up",
            "triggerer": "down",
        }
        assert not seen.healthy
        assert "memberhouse up --airflow" in str(seen)

        after = airflow.up(settings)
        assert after.healthy
        assert {name for name in before if pids(after)[name] != before[name]} == {"scheduler", "triggerer"}
        assert not [process for process in family if process.is_running()]

    def test_a_recycled_pid_is_not_taken_for_a_component_and_never_killed(
        self, settings: Settings, up: airflow.Status
    ) -> None:
        record = settings.home / "airflow/run/triggerer.json"
        kept = record.read_text()
        me = airflow.Program(os.getpid(), psutil.Process().create_time() - 100, "x")
        record.write_text(airflow.processes.json.dumps(vars(me)))
        try:
            assert states(airflow.status(settings))["triggerer"] == "down"
            airflow._Place(settings).program("triggerer").stop(0)  # this test would end here
        finally:
            record.write_text(kept)

    def test_a_component_that_ends_at_once_is_explained_by_its_log(
        self, settings: Settings, up: airflow.Status, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        killed = psutil.Process(pids(up)["triggerer"])
        killed.kill()
        killed.wait(10)  # until then "up" may still find it, and tell of the killed one's end
        monkeypatch.setitem(airflow._COMMANDS, "triggerer", ["airflow", "triggerer", "--no-such-option"])
        with pytest.raises(MemberhouseError, match=r"triggerer ended while starting(.|\n)*no-such-option"):
            airflow.up(settings)

    def test_down_leaves_nothing_running(self, settings: Settings, up: airflow.Status) -> None:
        families = [
            process
            for pid in pids(up).values()
            for process in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        ]
        assert str(airflow.down(settings)) == "Airflow: down"
        assert not [process for process in families if process.is_running()]
        assert postgres.status(settings.home).running
