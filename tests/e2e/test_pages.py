"""The dashboard in a real browser: it shows the flow, loads nothing from elsewhere, and reports no error."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import sync_playwright
from support.pipe import Pipe, completion, until

CHROMIUM = shutil.which("chromium")


@pytest.fixture
def page() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("needs system package chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser.new_page(viewport={"width": 1200, "height": 900})
        browser.close()


def test_the_dashboard_shows_the_live_flow(pipe: Pipe, page: Any) -> None:
    pipe.send([completion("dashboard")])
    pipe.fate("dashboard-0")
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on(
        "request",
        lambda request: errors.append(request.url) if not request.url.startswith((pipe.url, "data:")) else None,
    )
    page.goto(f"{pipe.url}/dashboard")
    for _ in until("the dashboard to count a credential"):
        if "Construction site safety" in page.inner_text("#by-achievement"):
            break
        page.wait_for_timeout(200)
    assert page.inner_text("#issued").replace(",", "").isdecimal()
    assert page.locator("[data-processor] em").all_inner_texts()
    assert errors == []
