"""A real browser: Chromium without a screen, and a page that must not complain."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

sys.path.append(str(Path(__file__).parent))  # so that tests here find what they share

NAMES = ("chromium", "chromium-browser", "google-chrome")
EXPECTED = "DURABLE_ASYNC_EXPECT_CHROMIUM"
"""Where this is set, a browser that is missing is a failure."""

SECONDS_MAX = 30
"""So long is waited for what a page is expected to show: machines of CI are slow, and it is seen at once."""

expect.set_options(timeout=SECONDS_MAX * 1000)

QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture
def chromium() -> Iterator[Browser]:
    """A browser of this test's own: as long as one is there its driver runs an event loop, beside which no asynchronous test of this process can."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        if os.environ.get(EXPECTED):
            pytest.fail("Chromium is expected here, and is not installed")
        pytest.skip("Chromium is not installed; on Debian: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture
def complaints() -> list[str]:
    """What the page's console said in anger; a test that expects some empties it."""
    return []


@pytest.fixture
def page(chromium: Browser, complaints: list[str]) -> Iterator[Page]:
    """A page in a profile of its own. The test fails if a script of it did, or its console showed an error."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(SECONDS_MAX * 1000)
    page = context.new_page()
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
    yield page
    context.close()
    assert complaints == []
