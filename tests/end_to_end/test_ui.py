"""Airflow's UI in a real headless browser: what a person sees after a day was published."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from tests.end_to_end.conftest import Day

from memberhouse.local import airflow

CHROMIUM = Path("/usr/bin/chromium")

# Pages of a loaded machine take their time.
expect.set_options(timeout=60_000)

pytestmark = [
    pytest.mark.services,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no browser: {CHROMIUM} is not installed"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # Chromium's own sandbox does not work for root, nor in most containers.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def url(published_day: Day) -> str:
    return str(airflow.status(published_day.settings).url)


@pytest.fixture(scope="module")
def _page(browser: Browser, url: str, published_day: Day) -> Page:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(url)
    page.get_by_label("Username").fill(airflow.ADMIN)
    page.get_by_label("Password").fill(airflow._Place(published_day.settings).password())
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda address: "/login" not in address)
    return page


@pytest.fixture
def page(_page: Page, tmp_path: Path) -> Iterator[Page]:
    """Signed in. Where a test ended is kept as a picture in its temporary folder."""
    yield _page
    _page.screenshot(path=tmp_path / "page.png")


def test_without_signing_in_there_is_only_the_login_page(browser: Browser, url: str) -> None:
    stranger = browser.new_page()
    stranger.goto(f"{url}/dags")
    stranger.wait_for_url("**/auth/login*")
    expect(stranger.get_by_label("Password")).to_be_visible()


def test_the_list_shows_every_dag(page: Page, url: str) -> None:
    page.goto(f"{url}/dags")
    for dag_id in ("ingest_pos", "ingest_app", "build_warehouse", "weekly_member_report"):
        expect(page.get_by_role("link", name=dag_id, exact=True).first).to_be_visible()


def test_the_documentation_is_rendered(page: Page, url: str) -> None:
    page.goto(f"{url}/dags/build_warehouse")
    page.get_by_role("button", name="Dag Docs").click()
    documentation = page.get_by_role("dialog")
    for heading in ("Purpose.", "Schedule.", "Inputs.", "Outputs.", "Triage.", "Rerun safety."):
        expect(documentation.locator("strong", has_text=heading)).to_be_visible()


def test_the_graph_of_a_published_day_is_green(page: Page, url: str, published_day: Day) -> None:
    run_id, _ = published_day.newest_build()
    page.goto(f"{url}/dags/build_warehouse/runs/{run_id}")
    page.get_by_role("button", name="Show Graph").click()
    for task_id in ("build", "gate_core", "release_core", "gate_programme", "gate_operations", "release_operations"):
        expect(page.get_by_test_id(f"rf__node-{task_id}")).to_contain_text("success")
    expect(page.locator(".react-flow__edge")).to_have_count(6)
