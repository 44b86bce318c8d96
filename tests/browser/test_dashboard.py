"""The dashboard in a browser: a walk through it, hostile strings, without JavaScript, with the keyboard alone."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from dashboard_shop import HOSTILE
from playwright.sync_api import Browser, Page, expect
from serving import serve

PROGRAM = Path(__file__).with_name("dashboard_shop.py")
IMAGES = os.environ.get("DURABLE_ASYNC_SCREENSHOTS")
"""A folder to put pictures for the docs into, such as docs/images; with ``-k pictured``, since nothing hostile is there then."""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A shop in which things happened, and its dashboard."""
    folder = tmp_path_factory.mktemp("shop")
    command = [str(PROGRAM), "{fd}", *(["past"] if IMAGES else [])]
    with serve(command, cwd=folder, path="/durable/") as served:
        yield f"{served}/durable"


def picture(page: Page, name: str, *, height: int = 900) -> None:
    if IMAGES:
        page.set_viewport_size({"width": 1280, "height": height})
        page.screenshot(path=Path(IMAGES) / f"dashboard-{name}.png")


def instance(address: str, instance_id: str) -> str:
    return f"{address}/instance?id={quote(instance_id, safe='')}"


def test_from_the_overview_to_an_order_that_is_approved_pictured(page: Page, address: str) -> None:
    """A wait is seen in the timeline, its event is raised, and the page tells by itself that it is done."""
    page.goto(f"{address}/")
    expect(page.get_by_role("heading", name="The last hour")).to_be_visible()
    expect(page.get_by_role("table", name="Instances that failed last")).to_contain_text(
        "the card was reported stolen"
    )
    page.get_by_role("searchbox").fill("order-7311")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("order-7311")
    expect(page.get_by_role("heading", name="What it waits for")).to_be_visible()
    expect(page.locator(".lanes")).to_contain_text("timer")
    picture(page, "waits")
    page.get_by_role("link", name="Raise approved").click()
    expect(page.get_by_label("Name of the event")).to_have_value("approved")
    page.get_by_label("Value").fill('{"by": "Mia"}')
    page.get_by_role("button", name="Raise event").click()
    expect(page.get_by_text("The event was raised.")).to_be_visible()
    expect(page.locator(".sub .status")).to_have_text("completed")
    expect(page.locator("#news")).to_have_text("completed")
    expect(page.locator(".lanes")).to_contain_text("waiting for the next attempt")
    expect(page.locator("svg.bars .stretch.failed").first).to_be_visible()
    picture(page, "timeline", height=1000)
    page.locator(".lanes").get_by_role("link", name="ship").click()
    expect(page.get_by_text("Child of order-7311")).to_be_visible()
    page.get_by_role("link", name="Overview").click()
    expect(page.get_by_role("heading", name="The last hour")).to_be_visible()
    picture(page, "overview")


def test_hostile_strings_are_text(page: Page, address: str, complaints: list[str]) -> None:
    """No dialog, no script, nothing that the policy has to stop; and each page can be read, on a telephone as well."""
    page.set_viewport_size({"width": 390, "height": 900})
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    for path in (
        "/",
        "/instances",
        f"/instances?prefix={quote(HOSTILE)}&tag={quote(f'{HOSTILE}={HOSTILE}')}",
        f"/instances?status={quote(HOSTILE)}&done={quote(HOSTILE)}",
        f"/instance?id={quote(HOSTILE)}&done={quote(HOSTILE)}",
        f"/instance?id={quote(f'broken {HOSTILE}')}",
        f"/do/terminate?id={quote(HOSTILE)}",
        f"/do/raise-event?id={quote(HOSTILE)}&name={quote(HOSTILE)}",
        f"/bulk?action=terminate&prefix={quote(HOSTILE)}",
        "/entities",
        f"/entity?id={quote(f'@stock@{HOSTILE[:100]}')}",
        "/schedules",
        f"/create-schedule?name={quote(HOSTILE)}",
        "/workers",
        f"/instance?id={quote('none' + HOSTILE)}",
    ):
        answer = page.goto(f"{address}{path}")
        assert answer is not None
        assert answer.status in (200, 400, 404), path
        expect(page.locator("h1")).to_be_visible()
        assert page.locator("img, iframe, main script").count() == 0, path
        assert page.evaluate("document.documentElement.scrollWidth") == 390, path
        if answer.status != 200:
            complaints[:] = [one for one in complaints if "Failed to load resource" not in one]
        assert complaints == [], path
    page.goto(instance(address, HOSTILE))
    expect(page.locator("h1 bdi")).to_have_text(HOSTILE)


def test_a_click_on_a_hostile_link_leads_to_its_page(page: Page, address: str) -> None:
    page.goto(f"{address}/instances?name=waits")
    page.get_by_role("row").filter(has_text="waits").get_by_role("link").first.click()
    expect(page.locator("h1 bdi")).to_have_text(HOSTILE)


def test_everything_works_without_javascript(chromium: Browser, address: str) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}/instances")
    page.get_by_label("Status").select_option("suspended")
    page.get_by_role("button", name="Show").click()
    page.get_by_role("link", name="order-7312").click()
    expect(page.get_by_role("button", name="Live")).to_be_hidden()
    page.get_by_role("link", name="Terminate").click()
    page.get_by_label("Reason").fill("the customer left")
    page.get_by_role("button", name="Terminate").click()
    expect(page.get_by_text("It is being terminated.")).to_be_visible()
    for _ in range(20):
        page.reload()
        if page.locator(".sub .status").inner_text() == "terminated":
            break
    expect(page.locator(".sub .status")).to_have_text("terminated")
    expect(page.locator(".values")).to_contain_text("the customer left")
    context.close()


def test_a_schedule_is_looked_after_without_javascript_pictured(
    chromium: Browser, address: str
) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}/schedules")
    page.get_by_role("link", name="Create").click()
    page.get_by_label("Id", exact=True).fill("stocktaking")
    page.get_by_label("Orchestrator").fill("nightly")
    page.get_by_label("When", exact=True).fill("0 9 * * MON-FRY")
    page.get_by_label("Time zone").fill("Europe/Berlin")
    look = page.get_by_role("button", name="See its next ticks")
    look.click()
    wrong = page.get_by_label("When", exact=True)
    expect(wrong).to_have_accessible_description(re.compile("no cron expression"))
    wrong.fill("0 9 * * MON-FRI")
    look.click()
    expect(page.locator(".ticks li")).to_have_count(5)
    page.get_by_role("button", name="Create it").click()
    expect(page.get_by_text("It was created.")).to_be_visible()
    page.get_by_role("link", name="Edit").click()
    page.get_by_label("When", exact=True).fill("30 9 * * *")
    page.get_by_label("If no worker was there").select_option("start each one that was missed")
    look.click()
    expect(page.get_by_role("row", name="When cron 0 9 * * MON-FRI")).to_be_visible()
    picture(page, "schedule", height=680)
    page.get_by_role("button", name="Change it").click()
    expect(page.get_by_text("It was changed.")).to_be_visible()
    page.get_by_role("link", name="Backfill").click()
    page.get_by_label("From").fill("2026-01-05T00:00+01:00")
    page.get_by_label("To", exact=True).fill("2026-01-06T00:00+01:00")
    page.get_by_role("button", name="Count them").click()
    page.get_by_label("Type their number to confirm: 1").fill("1")
    page.get_by_role("button", name="Start 1").click()
    expect(page.get_by_text("Started 1.")).to_be_visible()
    expect(page.get_by_role("table", name="Last runs")).to_contain_text("2026-01-05T08:30:00Z")
    context.close()


def test_the_keyboard_is_enough(page: Page, address: str) -> None:
    """From the first Tab: the skip link, the navigation, a row, and an action, each with a focus that can be seen."""
    page.goto(f"{address}/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.get_by_role("navigation", name="Pages").get_by_role("link", name="Schedules").focus()
    page.keyboard.press("Enter")
    page.get_by_role("link", name="heartbeat").focus()
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Pause").focus()
    page.keyboard.press("Enter")
    page.get_by_label("Reason").focus()
    page.keyboard.type("maintenance")
    page.keyboard.press("Enter")
    expect(page.get_by_text("It is paused.", exact=True)).to_be_visible()
    expect(page.locator("main")).to_contain_text("maintenance")


def test_updates_wait_for_whoever_reads(page: Page, address: str) -> None:
    """Not while something has the focus, not after they were switched off, and not in a tab that is hidden."""
    page.clock.install()
    page.goto(f"{address}/workers", wait_until="networkidle")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.locator("main .scroll").focus()
    page.clock.run_for(10_000)
    page.get_by_role("button", name="Live").click()
    expect(page.get_by_role("button", name="Paused")).to_have_attribute("aria-pressed", "false")
    page.clock.run_for(10_000)
    assert asked == []
    page.get_by_role("button", name="Paused").click()
    hidden = "Object.defineProperty(document, 'hidden', {configurable: true, get: () => %s})"
    page.evaluate(hidden % "true")
    page.clock.run_for(10_000)
    assert asked == []
    page.evaluate(hidden % "false")
    with page.expect_request(f"{address}/workers"):
        page.clock.run_for(5_000)


def test_in_the_dark_pictured(chromium: Browser, address: str) -> None:
    context = chromium.new_context(color_scheme="dark", viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(f"{address}/instances?name=checkout")
    ink, paper = page.evaluate(
        "[getComputedStyle(document.documentElement).color, getComputedStyle(document.documentElement).backgroundColor]"
    )
    assert ink == "rgb(230, 232, 235)"
    assert paper == "rgb(19, 22, 27)"
    picture(page, "dark")
    context.close()
