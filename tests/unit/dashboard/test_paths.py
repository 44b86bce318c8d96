"""Where it is mounted: behind a proxy that takes a prefix off, and below names of any kind."""

from __future__ import annotations

import re
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount

from .house import Browser, dashboard, opened


@pytest.mark.parametrize(
    "root", ["/t/x; Domain=evil", "/größe", "/a b", "/x\r\nSet-Cookie: a=b", "/t/"]
)
async def test_the_cookie_is_for_the_place_where_it_is_mounted(root: str) -> None:
    async with opened() as hub:
        await hub.client.start("approval", None, instance_id="a")
        browser = Browser(dashboard(hub), root_path=root)
        answer = await browser.client.get("/do/suspend", params={"id": "a"})
        assert answer.status_code == 200
        (cookie,) = answer.headers.get_list("set-cookie")
        attributes = [part.strip() for part in cookie.split(";")]
        (path,) = [one for one in attributes if one.lower().startswith("path=")]
        assert re.fullmatch(r"(?:/[A-Za-z0-9%._=-]+)+", path[len("path=") :])
        assert not any(one.lower().startswith("domain") for one in attributes)
        page = answer.text
        assert f'action="{path[len("path=") :]}/do/suspend"' in page


async def test_a_mount_with_a_parameter_puts_nothing_into_the_cookie() -> None:
    async with opened() as hub:
        await hub.client.start("approval", None, instance_id="a")
        app = Starlette(routes=[Mount("/t/{tenant}", dashboard(hub))])
        for tenant in ("x;%20Domain=evil", "x%0d%0aSet-Cookie:%20a=b", "gr%C3%B6%C3%9Fe"):
            answer = await Browser(app).client.get(f"/t/{tenant}/do/suspend?id=a")
            (cookie,) = answer.headers.get_list("set-cookie")
            assert "domain=" not in cookie.lower().replace("%20domain", "")
            assert "Path=/t/" in cookie
            assert cookie.isascii()
            assert " Domain" not in cookie
            assert "\n" not in cookie


async def pages_of(app: Any, prefix: str, **transport: Any) -> None:
    browser = Browser(app, **transport)
    for path in ("/", "/instances", "/static/dashboard.css"):
        assert (await browser.client.get(prefix + path)).status_code == 200, path


async def test_a_proxy_may_take_the_prefix_off() -> None:
    async with opened() as hub:
        await pages_of(dashboard(hub), "", root_path="/ops")
        await pages_of(dashboard(hub), "", root_path="/ops/")
        await pages_of(dashboard(hub), "/ops", root_path="/ops")
        page = await Browser(dashboard(hub), root_path="/ops").get("/instances")
        assert 'href="/ops/static/dashboard.css"' in page
        assert 'href="/ops/instances" aria-current="page"' in page


async def test_a_proxy_may_take_the_prefix_of_the_application_off() -> None:
    async with opened() as hub:
        app = FastAPI()
        app.mount("/durable", dashboard(hub))
        await pages_of(app, "/durable", root_path="/api")
        await pages_of(app, "/api/durable", root_path="/api")
        page = await Browser(app, root_path="/api").get("/durable/")
        assert 'href="/api/durable/instances"' in page


async def test_a_path_that_only_begins_like_the_root_is_not_below_it() -> None:
    async with opened() as hub:
        await Browser(dashboard(hub), root_path="/inst").get("/instances")
