"""Airflow's UI in a real headless browser: what a person sees after a day was published."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright
from tests.end_to_end.conftest import Day

from memberhouse.local import airflow

CHROMIUM = Path("/usr/bin/chromium")

pytestmark = [
    pytest.mark.services,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no browser: {CHROMIUM} is not installed"),
]


@pytest.fixture(scope="module")
def browser_page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        # Chromium's own sandbox does not work for root, nor in most containers.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(60_000)
        yield page
        browser.close()


@pytest.fixture
def page(browser_page: Page, tmp_path: Path) -> Iterator[Page]:
    """The browser; where it ended is kept as a picture in the test's temporary folder."""
    yield browser_page
    browser_page.screenshot(path=tmp_path / "page.png")


@pytest.fixture
def signed_in(page: Page, published_day: Day) -> Page:
    """At the list of DAGs, signed in."""
    url = airflow.status(published_day.settings).url
    page.goto(f"{url}/dags")
    if "/login" in page.url:
        page.locator("input[name=username]").fill(airflow.ADMIN)
        page.locator("input[name=password]").fill(airflow._Place(published_day.settings).password())
        page.keyboard.press("Enter")
        page.wait_for_url(lambda address: "/login" not in address)
        page.goto(f"{url}/dags")
    return page


def test_without_signing_in_there_is_only_the_login_page(page: Page, published_day: Day) -> None:
    page.goto(f"{airflow.status(published_day.settings).url}/dags")
    page.wait_for_url("**/auth/login*")
    expect(page.locator("input[name=password]")).to_be_visible()


def test_the_list_shows_every_dag(signed_in: Page) -> None:
    for dag_id in ("ingest_pos", "ingest_app", "build_warehouse", "weekly_member_report"):
        expect(signed_in.get_by_role("link", name=dag_id, exact=True).first).to_be_visible()


def test_the_documentation_is_rendered(signed_in: Page) -> None:
    signed_in.get_by_role("link", name="build_warehouse", exact=True).first.click()
    signed_in.get_by_role("button", name="Dag Docs").click()
    documentation = signed_in.get_by_role("dialog")
    for heading in ("Purpose.", "Schedule.", "Inputs.", "Outputs.", "Triage.", "Rerun safety."):
        expect(documentation.locator("strong", has_text=heading)).to_be_visible()


def test_the_graph_of_a_published_day_is_green(signed_in: Page, published_day: Day) -> None:
    run_id, _ = published_day.newest_build()
    url = airflow.status(published_day.settings).url
    signed_in.goto(f"{url}/dags/build_warehouse/runs/{run_id}")
    signed_in.get_by_role("button", name="Show Graph").click()
    for task_id in ("build", "gate", "release"):
        expect(signed_in.get_by_test_id(f"rf__node-{task_id}")).to_contain_text("success")
    expect(signed_in.locator(".react-flow__edge")).to_have_count(2)
