"""When a business date is done. The scheduler is stood in for; the running one is in tests/end_to_end."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any
from unittest.mock import Mock

import pytest

from memberhouse.local import airflow, daily
from memberhouse.settings import PROJECT_ROOT, Settings

DAY = date(2026, 6, 24)
BEFORE = DAY - timedelta(days=1)


@pytest.mark.parametrize(
    ("builds", "published", "waited_for"),
    [
        (["success"], [BEFORE, DAY], 1),
        (["skipped", "success"], [BEFORE, BEFORE, DAY], 2),  # it came when only one source had delivered
        (["success", "success"], [None, BEFORE, DAY], 2),  # it restated the day before
        (["skipped"], [BEFORE, DAY], 1),  # one from before the run published the day meanwhile
        (["skipped"], [None, DAY], 1),
        (["skipped", "success"], [DAY, DAY, DAY], 2),  # the day is run again, with news
    ],
)
def test_a_day_is_done_when_it_is_published_by_whichever_build(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any, builds: list[str], published: list[date | None], waited_for: int
) -> None:
    waited: list[str] = []
    states, moments = iter(builds), iter(published)

    def finish(settings: Any, api: Any, dag_id: str, run_id: str, tell: Any) -> dict[str, str]:
        if dag_id != "build_warehouse":
            return {}
        waited.append(run_id)
        return {"build": next(states)}

    monkeypatch.setattr(daily, "runs", lambda api, dag_id: [])
    monkeypatch.setattr(daily, "_trigger", lambda *arguments: "triggered")
    monkeypatch.setattr(daily, "caused", lambda api, dag_id, day, known: f"build {len(known)}")
    monkeypatch.setattr(daily, "finish", finish)
    monkeypatch.setattr(daily, "published_as_of", lambda settings: next(moments))
    said: list[str] = []
    settings = Settings(tmp_path, None, PROJECT_ROOT)
    daily.run_day(settings, Mock(spec=airflow.Api), DAY, "Asia/Shanghai", said.append)
    assert len(waited) == waited_for
    assert "published as of 2026-06-24" in said[-1]
