"""The example applications are driven as their users would, without a browser; `tests/browser/test_orders.py` does it with one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .markdown import ROOT, links
from .running import run_program

SHOP = ROOT / "examples" / "orders"

WALK = f"""
import asyncio, sys
sys.path.insert(0, {str(SHOP)!r})

async def walk(get, post):
    order = await post("/orders", dict(customer="Ada & Alan", product="lamp", quantity="2"))
    while "Waiting for approval" not in (page := await get(order)):
        await asyncio.sleep(0.02)
    assert "2 \u00d7 lamp for <bdi>Ada &amp; Alan</bdi>" in page
    assert "8 in stock" in await get("/")
    await post(f"{{order}}/decision", dict(decision="approve"))
    while "Shipped" not in await get(order):
        await asyncio.sleep(0.02)
    print("shipped")

STRANGE = {{"Sec-Fetch-Site": "cross-site"}}
REBOUND = {{"Host": "rebound.example"}}
"""

FASTAPI = """
from fastapi_app import app
from httpx import ASGITransport, AsyncClient

async def main():
    async with app.router.lifespan_context(app):
        async with AsyncClient(transport=ASGITransport(app), base_url="http://localhost") as client:
            async def get(path):
                return (await client.get(path)).raise_for_status().text

            async def post(path, form):
                return (await client.post(path, data=form)).headers["location"]

            await walk(get, post)
            for headers in STRANGE, REBOUND:
                print((await client.post("/orders", headers=headers)).status_code)
            print((await client.get("/api/instances", headers=REBOUND)).status_code)

asyncio.run(main())
"""

AIOHTTP = """
from aiohttp.test_utils import TestClient, TestServer
from aiohttp_app import application

async def main():
    async with TestClient(TestServer(application()), raise_for_status=True) as client:
        async def get(path):
            async with client.get(path) as answer:
                return await answer.text()

        async def post(path, form):
            async with client.post(path, data=form, allow_redirects=False) as answer:
                return answer.headers["location"]

        await walk(get, post)
        for headers in STRANGE, REBOUND:
            async with client.post("/orders", headers=headers, raise_for_status=False) as answer:
                print(answer.status)
        async with client.get("/api/instances", headers=REBOUND, raise_for_status=False) as answer:
            print(answer.status)

asyncio.run(main())
"""


@pytest.mark.parametrize("drive", [FASTAPI, AIOHTTP], ids=["fastapi", "aiohttp"])
def test_an_order_is_placed_and_approved_by_its_own_pages_alone(drive: str, tmp_path: Path) -> None:
    program = tmp_path / "walk.py"
    program.write_text(WALK + drive, encoding="utf-8")
    assert run_program(program, tmp_path) == "shipped\n403\n403\n400\n"
    assert (tmp_path / "orders.db").is_file()


def test_the_page_of_an_example_names_its_files() -> None:
    linked = set(links((SHOP / "README.md").read_text(encoding="utf-8")))
    assert {path.name for path in SHOP.glob("*.py")} <= linked


@pytest.mark.parametrize("example", sorted(SHOP.glob("*.py")), ids=lambda path: path.stem)
def test_an_example_says_its_idea_in_its_first_line(example: Path) -> None:
    first = example.read_text(encoding="utf-8").splitlines()[0]
    assert re.match(r'"""[A-Z].{20,}[.:;]', first), first
