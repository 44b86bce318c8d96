"""The shop of examples/orders, as its customers use it: both applications, end to end."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from serving import address_of, begin, end, listen, serve, wait_for

ROOT = Path(__file__).resolve().parents[2]
SHOP = ROOT / "examples" / "orders"
IMAGES = os.environ.get("DURABLE_ASYNC_SCREENSHOTS")
"""A folder to put pictures for the docs into, such as docs/images; with ``-k fastapi``."""

AIOHTTP = f"""
import socket, sys
sys.path.insert(0, {str(SHOP)!r})
from aiohttp import web
from aiohttp_app import application
web.run_app(application(), sock=socket.socket(fileno=int(sys.argv[1])))
"""
COMMANDS = {
    "fastapi": ["-m", "uvicorn", "--app-dir", str(SHOP), "--fd", "{fd}", "fastapi_app:app"],
    "aiohttp": ["-c", AIOHTTP, "{fd}"],
}
HOSTILE = [
    "<script>document.title = 'owned'</script>",
    """"><img src=x onerror="document.title = 'owned'">' {{ 7 * 7 }} {% raw %} ../../etc/passwd %00""",
    "\u202egnirts desrever \u2066 \U0001f4a5 \u0000 &amp; " + "x" * 150,
]

both = pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS, indirect=True)


@pytest.fixture(scope="module")
def command(request: pytest.FixtureRequest) -> list[str]:
    found: list[str] = request.param
    return found


@pytest.fixture(scope="module")
def shop(command: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serve(command, cwd=tmp_path_factory.mktemp("shop")) as address:
        yield address


def order(page: Page, address: str, *, product: str = "lamp", customer: str = "Ada") -> None:
    page.goto(address)
    page.locator(".product", has_text=product).click()
    page.get_by_label("Your name").fill(customer)
    page.get_by_role("button", name="Order").click()


def see(page: Page, text: str) -> None:
    expect(page.locator(".timeline")).to_contain_text(text)


def picture(page: Page, name: str, *, height: int, after: float = 0) -> None:
    if IMAGES:
        page.set_viewport_size({"width": 1280, "height": height})
        page.wait_for_timeout(after * 1000)
        page.screenshot(path=Path(IMAGES) / f"orders-{name}.png")


@both
def test_an_order_is_placed_and_approved(page: Page, shop: str) -> None:
    order(page, shop, product="desk")
    see(page, "Waiting for approval")
    expect(page.locator(".countdown")).to_have_text(re.compile(r"[12]:\d\d"))
    expect(page.locator("aside")).to_contain_text('ctx.wait_for_external_event("decision", bool)')
    picture(page, "waiting", height=600, after=12)
    page.get_by_role("button", name="Approve").click()
    see(page, "Shipped")
    expect(page.get_by_role("button", name="Approve")).to_have_count(0)
    expect(page.locator(".badge")).to_have_text("shipped")
    picture(page, "shipped", height=440)


@pytest.mark.parametrize("command", [COMMANDS["fastapi"]], ids=["fastapi"], indirect=True)
def test_the_dashboard_shows_it(page: Page, shop: str) -> None:
    order(page, shop, product="desk")
    page.get_by_role("button", name="Approve").click()
    see(page, "Shipped")
    page.get_by_role("link", name="See it in the dashboard").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("order-")
    expect(page.locator("body")).to_contain_text("process_order")
    picture(page, "dashboard", height=640)


@both
def test_one_that_is_rejected_is_taken_back(page: Page, shop: str) -> None:
    order(page, shop, product="chair")
    page.get_by_role("button", name="Reject").click()
    see(page, "Money refunded, goods back in stock")
    order(page, shop, customer="Grace")
    see(page, "Waiting for approval")
    page.goto(shop)
    expect(page.locator(".product", has_text="chair")).to_contain_text("10 in stock")
    expect(page.locator(".product", has_text="lamp")).to_contain_text("9 in stock")
    expect(page.locator(".orders li").first).to_contain_text("waiting")
    expect(page.locator(".orders li").nth(1)).to_contain_text("rejected")
    picture(page, "home", height=460)


@both
def test_what_others_do_is_seen_at_once(page: Page, shop: str) -> None:
    order(page, shop)
    page.get_by_role("button", name="Approve").focus()
    other = page.context.new_page()
    other.goto(page.url)
    other.get_by_role("button", name="Approve").click()
    page.bring_to_front()
    see(page, "Shipped")
    expect(page.get_by_role("status")).to_contain_text("Shipped")
    expect(page.get_by_role("heading", level=1)).to_be_focused()


@both
def test_one_that_nobody_approves_times_out(page: Page, command: list[str], tmp_path: Path) -> None:
    with serve(command, cwd=tmp_path, environment={"ORDERS_APPROVAL_SECONDS": "1"}) as address:
        order(page, address)
        see(page, "Timed out")
        see(page, "Money refunded, goods back in stock")


@both
def test_an_order_survives_a_kill(
    page: Page, command: list[str], tmp_path: Path, complaints: list[str]
) -> None:
    """The page stays open, and is answered by another process."""
    with closing(listen()) as listening:
        address = address_of(listening)
        first = begin(command, listening, cwd=tmp_path)
        try:
            wait_for(first, address, tmp_path)
            order(page, address)
            see(page, "Waiting for approval")
        finally:
            first.kill()
            first.wait()
        second = begin(command, listening, cwd=tmp_path)
        try:
            expect(page.locator("aside")).to_contain_text(f"kill -9 {second.pid}")
            page.get_by_role("button", name="Approve").click()
            see(page, "Shipped")
            assert page.locator(".timeline").inner_text().count("charged") == 1
            page.goto("about:blank")
        finally:
            end(second)
    complaints.clear()  # a connection was lost, which the console tells


@both
def test_it_works_without_javascript(chromium: Browser, shop: str) -> None:
    with closing(chromium.new_context(java_script_enabled=False)) as context:
        page = context.new_page()
        order(page, shop)
        see(page, "Waiting for approval")  # the page reloads itself
        expect(page.locator(".countdown")).to_contain_text("until")
        page.get_by_role("button", name="Approve").click()
        see(page, "Shipped")


@both
def test_a_name_is_a_name(page: Page, shop: str) -> None:
    for name in HOSTILE:
        order(page, shop, customer=name)
        see(page, "Waiting for approval")
        expect(page.get_by_role("heading", level=1)).to_contain_text(name[:16])
        assert page.title() != "owned"
    page.goto(shop)
    for name in HOSTILE:
        expect(page.locator(".orders")).to_contain_text(name[:16])
    assert page.title() == "Orders"
    assert page.locator("main :is(script, img)").count() == 0


@both
def test_the_keyboard_is_enough(page: Page, shop: str) -> None:
    page.goto(shop)
    page.keyboard.press("Tab")  # the name of the shop
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("radio", name="chair")).to_be_checked()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.type("Grace")
    page.keyboard.press("Enter")
    see(page, "Waiting for approval")
    while page.evaluate("document.activeElement.id") != "approve":
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    see(page, "Shipped")
    expect(page.get_by_role("heading", level=1)).to_contain_text("chair for Grace")


@both
def test_what_cannot_be_ordered_is_said(page: Page, shop: str, complaints: list[str]) -> None:
    page.goto(shop)
    page.get_by_label("How many?").fill("50")
    page.get_by_role("button", name="Order").click()
    see(page, "Not enough in stock")
    start = f"{shop}/api/orchestrators/process_order"
    for product, quantity in (("unicorn", 1), ("desk", -1), ("desk", "many")):
        wrong = {"customer": "Ada", "product": product, "quantity": quantity}
        assert page.request.post(start, data=wrong).status == 422
        form = {name: str(value) for name, value in wrong.items()}
        assert page.request.post(f"{shop}/orders", form=form).status == 400
    for path in ("nobody", "x" * 500, "%00", "@stock@desk", "..%2F..", "<script>"):
        answer = page.goto(f"{shop}/orders/{path}")
        assert answer is not None
        assert answer.status in (400, 404), path
    page.goto(shop)  # the console has told of each by then
    complaints.clear()
