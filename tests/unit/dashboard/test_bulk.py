"""Many at once: those that were counted and shown, never others."""

from __future__ import annotations

import json

import pytest

from durable_async import TaskHub
from durable_async.dashboard.actions import bulk

from .house import Browser, dashboard, hidden, opened


async def ended(hub: TaskHub, *ids: str) -> None:
    for one in ids:
        await (await hub.client.start("welcome", "Mia", instance_id=one)).wait()


async def are_there(hub: TaskHub, *ids: str) -> list[str]:
    return [one for one in ids if await hub.client.get(one) is not None]


async def test_what_came_into_the_filter_after_the_count_is_not_purged() -> None:
    async with opened() as hub:
        waits = await hub.client.start("approval", None, instance_id="waits")
        await ended(hub, "a", "b")
        browser = Browser(dashboard(hub))
        page = await browser.get("/bulk", action="purge")
        assert "Purge 2 instances" in page
        form = hidden(page)
        assert sorted(json.loads(form["ids"])) == ["a", "b"]
        await hub.client.purge("a")
        await waits.raise_event("approved", None)  # was there, and is of that kind only now
        await waits.wait()
        answer = await browser.post("/bulk", {**form, "confirmation": "2"})
        assert "changed=1&refused=1" in answer.headers["location"]
        assert await are_there(hub, "waits", "a", "b") == ["waits"]


async def test_one_that_was_started_anew_under_its_id_is_another() -> None:
    async with opened() as hub:
        await ended(hub, "a")
        browser = Browser(dashboard(hub))
        form = hidden(await browser.get("/bulk", action="purge"))
        await (await hub.client.restart("a")).wait()
        answer = await browser.post("/bulk", {**form, "confirmation": "1"})
        assert "changed=0&refused=1" in answer.headers["location"]
        assert await are_there(hub, "a") == ["a"]


async def test_ids_that_do_not_meet_the_filter_are_left_alone() -> None:
    async with opened() as hub:
        await ended(hub, "a1", "b1")
        browser = Browser(dashboard(hub))
        form = hidden(await browser.get("/bulk", action="purge", prefix="a"))
        sent = {**form, "ids": '["a1", "b1", "none"]', "confirmation": "3"}
        answer = await browser.post("/bulk", sent)
        assert "changed=1&refused=2" in answer.headers["location"]
        assert await are_there(hub, "a1", "b1") == ["b1"]


@pytest.mark.parametrize(("ticked", "left"), [({}, ["child"]), ({"recursive": "yes"}, [])])
async def test_children_go_only_if_somebody_says_so(
    ticked: dict[str, str], left: list[str]
) -> None:
    async with opened() as hub:
        await (await hub.client.start("parent", "child", instance_id="top")).wait()
        browser = Browser(dashboard(hub))
        page = await browser.get("/bulk", action="purge", prefix="top")
        assert "They stay, unless you tick the box" in page
        assert 'name="recursive" value="yes">' in page
        await browser.post("/bulk", {**hidden(page), **ticked, "confirmation": "1"})
        assert await are_there(hub, "top", "child") == left


async def test_what_happens_to_children_is_said_of_each_action() -> None:
    async with opened() as hub:
        browser = Browser(dashboard(hub))
        for action in bulk.BULK_ACTIONS:
            page = await browser.get("/bulk", action=action)
            assert "ub-orchestrations" in page
            assert 'name="recursive"' not in page  # there are none


async def test_ids_of_any_kind_come_back_as_they_are() -> None:
    ids = ['"', "a b", "\N{PARTY POPPER}", "a,b", " "]
    async with opened() as hub:
        await ended(hub, *ids)
        browser = Browser(dashboard(hub))
        form = hidden(await browser.get("/bulk", action="purge"))
        await browser.post("/bulk", {**form, "confirmation": " 5 "})
        assert await are_there(hub, *ids) == []


async def test_a_form_holds_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "PAGE", 2)
    async with opened() as hub:
        await ended(hub, *"abcde")
        browser = Browser(dashboard(hub))
        monkeypatch.setattr(bulk, "INSTANCES_MAX", 3)
        page = await browser.get("/bulk", action="purge")
        assert "there are more, these are the newest" in page
        assert json.loads(hidden(page)["ids"]) == ["e", "d", "c"]
        monkeypatch.setattr(bulk, "IDS_BYTES_MAX", 25)
        assert json.loads(hidden(await browser.get("/bulk", action="purge"))["ids"]) == ["e", "d"]


async def test_a_number_may_be_typed_as_it_is_shown() -> None:
    assert bulk.typed_number({"confirmation": " 1,234 "}) == "1234"
