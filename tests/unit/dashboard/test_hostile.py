"""Hostile strings in every field: they are text, wherever they are shown."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest

from durable_async import EntityId

from .house import Browser, dashboard, hidden, opened

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg onload=alert(1)>",
    "javascript:alert(1)",
    "../../etc/passwd",
    "..",
    "%00%2e%2e/",
    "a?b=c&d#e",
    "{{ 7*7 }}{% raise %}",
    "\u202eevil\u2066",
    "\N{PARTY POPPER}" * 50,
    "</textarea><script>alert(1)</script>",
    " spaces ",
    "x" * 256,
]

TAGS = {"script": {"src", "defer"}}


class Strict(HTMLParser):
    """Refuses what no page of ours has."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = {name for name, _ in attrs}
        given = dict(attrs)
        if tag in ("img", "iframe", "object", "style") or "style" in names:
            self.found.append(tag)
        if tag == "script" and (names != TAGS["script"] or "/static/" not in str(given["src"])):
            self.found.append(str(attrs))
        if any(name.startswith("on") for name in names):
            self.found.append(str(attrs))
        for name in ("href", "src", "action", "hx-get"):
            if name in given and not str(given[name]).startswith(("/", "#")):
                self.found.append(str(given[name]))


def offences(page: str) -> list[str]:
    """Return what a page should not have in it."""
    strict = Strict()
    strict.feed(page)
    strict.close()
    return strict.found


@pytest.mark.parametrize("text", HOSTILE)
async def test_in_every_field_of_an_instance(text: str) -> None:
    async with opened() as hub:
        browser = Browser(dashboard(hub, title=text))
        value = {text: [text]}
        waits = await hub.client.start(
            "approval", value, instance_id=text, tags={text: text}, version=text[:200]
        )
        await hub.client.wait_for_start(waits)
        await hub.client.suspend(text, text)
        await hub.client.resume(text, text)
        await see(browser, "/instance", id=text)
        await waits.raise_event("approved", value)
        await waits.wait()
        await hub.client.start(text[:200], None, instance_id="nobody registers it")
        await hub.client.raise_event("nobody registers it", text[:200], text)
        await hub.client.wait_for_end(await hub.client.start("raising", text, instance_id="f"))
        await hub.client.wait_for_end(await hub.client.start("doomed", text, instance_id="d"))
        for path, query in (
            ("/", {}),
            ("/instances", {}),
            ("/instances", {"prefix": text}),
            ("/instances", {"tags": f"{text}={text}"}),
            ("/instances", {"status": text}),
            ("/instance", {"id": text}),
            ("/instance", {"id": text, "done": text}),
            ("/instance", {"id": "f"}),
            ("/instance", {"id": "nobody registers it"}),
            ("/instance", {"id": "d"}),
            ("/do/purge", {"id": text}),
            ("/do/restart", {"id": text}),
            ("/do/" + "x", {"id": text}),
            ("/bulk", {"action": "purge", "name": text}),
            ("/bulk", {"action": "purge", "prefix": text}),
        ):
            await see(browser, path, **query)
        refused = await browser.do("purge", text, confirmation=text + "!", reason=text)
        assert offences(refused.text) == []
        page = await browser.get("/instance", id=text)
        links = re.findall(r'href="(/do/purge[^"]*)"', page)
        assert "Type its id" in await browser.get(links[0].replace("&amp;", "&"))
        assert (await browser.do("purge", text, confirmation=text)).status_code == 303
        assert await hub.client.get(text) is None


async def see(browser: Browser, path: str, **query: Any) -> None:
    answer = await browser.client.get(path, params=query, follow_redirects=True)
    assert answer.status_code in (200, 400, 404, 409), path
    assert offences(answer.text) == [], path


@pytest.mark.parametrize("text", HOSTILE)
async def test_in_every_field_of_an_entity(text: str) -> None:
    async with opened() as hub:
        browser = Browser(dashboard(hub))
        entity = EntityId("basket", text[:200])
        await hub.client.call_entity(entity, "put", {text: text})
        for path, query in (
            ("/entities", {}),
            ("/entities", {"name": text}),
            ("/entities", {"name": "basket", "prefix": text}),
            ("/entity", {"id": str(entity)}),
        ):
            await see(browser, path, **query)


@pytest.mark.parametrize("text", HOSTILE)
async def test_in_every_field_of_a_schedule(text: str) -> None:
    async with opened() as hub:
        browser = Browser(dashboard(hub))
        name = text[:200]
        await hub.schedules.create(name, "welcome", text, every=3_600, tags={text: text})
        await hub.schedules.pause(name, text)
        for path in ("/schedules", "/schedule", "/do/delete-schedule"):
            await see(browser, path, id=name)
        assert (await browser.do("trigger", name)).status_code == 303


async def test_what_is_typed_comes_back_as_text() -> None:
    async with opened() as hub:
        await hub.client.start("approval", None, instance_id="a")
        browser = Browser(dashboard(hub))
        form = hidden(await browser.get("/do/raise-event", id="a"))
        for text in HOSTILE:
            sent = {**form, "name": text, "payload": text}
            answer = await browser.post("/do/raise-event", sent)
            assert offences(answer.text) == []


async def test_half_a_surrogate_pair_is_shown_somehow() -> None:
    async with opened() as hub:
        browser = Browser(dashboard(hub))
        form = hidden(await browser_form(browser, hub))
        answer = await browser.post(
            "/do/raise-event", {**form, "name": "approved", "payload": '"\\ud800"'}
        )
        assert answer.status_code in (303, 409)
        await browser.get("/instance", id="a")


async def browser_form(browser: Browser, hub: Any) -> str:
    await hub.client.start("approval", None, instance_id="a")
    return await browser.get("/do/raise-event", id="a")
