"""Each page says what is there."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from durable_async import EntityId, Status, TaskHub

from .house import Browser, dashboard, hidden, opened, registry, until


async def is_locked(hub: TaskHub, entity: EntityId) -> bool:
    return (await hub.client.entity_locks(entity)).held_by is not None


async def test_the_overview_counts_and_tells_what_failed() -> None:
    async with opened() as hub:
        await (await hub.client.start("welcome", "Mia", instance_id="fine")).wait()
        await hub.client.start("approval", {"cost": 5}, instance_id="waits")
        failed = await hub.client.start("doomed", "no such place", instance_id="gone")
        await hub.client.wait_for_end(failed)
        page = await Browser(dashboard(hub, title="Shop")).get("/")
    assert "<title>Overview · Shop</title>" in page
    assert "3 started" in page
    assert "1 completed" in page
    assert "1 failed" in page
    assert 'href="/instance?id=gone"' in page
    assert "no such place" in page


async def test_the_overview_says_that_nobody_works() -> None:
    async with TaskHub.at("memory://", registry=registry) as hub:
        page = await Browser(dashboard(hub)).get("/")
    assert "No worker runs" in page
    assert "Nothing has failed" in page


async def test_instances_are_filtered_and_found() -> None:
    async with opened() as hub:
        for number in range(3):
            await hub.client.start(
                "welcome", "Mia", instance_id=f"w/{number}", tags={"team": "shop"}
            )
        await hub.client.wait_for_end(await hub.client.start("doomed", "why", instance_id="d"))
        browser = Browser(dashboard(hub))
        page = await browser.get("/instances")
        assert page.index("id=d") < page.index("id=w%2F2") < page.index("id=w%2F0")
        for conditions, found in (
            ({"status": "failed"}, {"d"}),
            ({"name": "doomed"}, {"d"}),
            ({"prefix": "w/"}, {"w%2F0", "w%2F1", "w%2F2"}),
            ({"tags": "team=shop"}, {"w%2F0", "w%2F1", "w%2F2"}),
            ({"from": "2100-01-01T00:00"}, set()),
            ({"to": "2100-01-01T00:00", "status": "failed"}, {"d"}),
            ({"ended_from": "2000-01-01T00:00", "status": "failed"}, {"d"}),
            ({"ended_from": "2100-01-01T00:00"}, set()),
            ({"ended_to": "2000-01-01T00:00"}, set()),
            ({"parked": "yes"}, set()),
            ({"q": "w/"}, {"w%2F0", "w%2F1", "w%2F2"}),
        ):
            page = await browser.get("/instances", **conditions)
            assert {
                one for one in ("d", "w%2F0", "w%2F1", "w%2F2") if f'id={one}"' in page
            } == found
        exact = await browser.client.get("/instances", params={"q": "w/1"})
        assert exact.headers["location"] == "/instance?id=w%2F1"
        entity = await browser.client.get("/instances", params={"q": "@basket@mia"})
        assert entity.headers["location"] == "/entity?id=%40basket%40mia"


@pytest.mark.parametrize(
    "conditions",
    [
        {"status": "unheard"},
        {"tags": "team"},
        {"from": "yesterday"},
        {"ended_to": "yesterday"},
        {"prefix": "x" * 600},
        {"page": "nonsense"},
    ],
)
async def test_what_is_no_condition_is_said(conditions: dict[str, str]) -> None:
    async with opened() as hub:
        page = await Browser(dashboard(hub)).get("/instances", 400, **conditions)
    assert 'role="alert"' in page


async def test_instances_come_in_pages() -> None:
    async with opened() as hub:
        await hub.client.start_many(
            "welcome", ["Mia"] * 60, instance_ids=[f"i{number:02}" for number in range(60)]
        )
        browser = Browser(dashboard(hub))
        first = await browser.get("/instances", name="welcome")
        older = first.split('rel="next"')[0].rpartition('href="')[2].split('"')[0]
        second = await browser.get(older.replace("&amp;", "&"))
    assert first.count('class="id" href="/instance') == 50
    assert second.count('class="id" href="/instance') == 10
    assert "data-live" not in second


async def test_one_instance_with_all_that_is_known() -> None:
    async with opened() as hub:
        handle = await hub.client.start(
            "approval", {"product": "a desk"}, instance_id="order-1", tags={"team": "shop"}
        )
        await hub.client.wait_for_start(handle)
        browser = Browser(dashboard(hub))
        page = await browser.get("/instance", id="order-1")
        for said in ("a desk", "waits for", "team", "Timeline", "timer", "Timer created"):
            assert said in page
        assert 'data-live="2"' in page
        await handle.raise_event("approved", "Mia")
        await handle.wait()
        page = await browser.get("/instance", id="order-1")
        assert "data-live" not in page
        assert "Event raised" in page
        output = await browser.client.get("/payload", params={"id": "order-1", "what": "output"})
        assert json.loads(output.text) == "Mia"
        assert output.headers["content-type"] == "application/json"
        assert output.headers["content-disposition"].startswith("attachment")


async def test_a_failure_with_its_trace_and_attempts() -> None:
    async with opened() as hub:
        await hub.client.wait_for_end(
            await hub.client.start("doomed", "no such place", instance_id="d")
        )
        page = await Browser(dashboard(hub)).get("/instance", id="d")
    assert "LookupError" in page
    assert "in refuse" in page
    assert "waiting for the next attempt" in page
    assert "attempt 2 failed" in page


async def test_parents_and_children_lead_to_each_other() -> None:
    async with opened() as hub:
        await (await hub.client.start("parent", "c", instance_id="p")).wait()
        browser = Browser(dashboard(hub))
        assert "Child of" in await browser.get("/instance", id="c")
        page = await browser.get("/instance", id="p")
        children = await browser.get("/instances", parent="p")
    assert page.count('href="/instance?id=c"') == 2  # in the timeline, and in the list
    assert re.findall('class="id" href="/instance.id=(.*?)"', children) == ["c"]


async def test_what_is_not_there_is_said() -> None:
    async with opened() as hub:
        browser = Browser(dashboard(hub))
        for path, params, status in (
            ("/instance", {"id": "none"}, 404),
            ("/instance", {"id": ""}, 400),
            ("/instance", {"id": "a\0b"}, 400),
            ("/instance", {"id": "@basket@mia"}, 400),
            ("/entity", {"id": "@basket@none"}, 404),
            ("/entity", {"id": "none"}, 400),
            ("/payload", {"id": "none", "what": "input"}, 404),
            ("/payload", {"id": "@basket@none"}, 404),
            ("/nowhere", {}, 404),
            ("/static/../_access.py", {}, 404),
        ):
            await browser.get(path, status, **params)


async def test_history_comes_in_pages() -> None:
    async with opened() as hub:
        handle = await hub.client.start("approval", None, instance_id="a")
        await hub.client.wait_for_start(handle)
        for _ in range(60):
            await hub.client.suspend("a")
            await hub.client.resume("a")
        await handle.raise_event("approved", 1)
        await handle.wait()
        browser = Browser(dashboard(hub))
        last = await browser.get("/instance", id="a")
        first = await browser.get("/instance", id="a", event="0")
        far = await browser.get("/instance", id="a", event="999999999", lane="999999999")
    assert "Execution completed" in last
    assert "Execution completed" in far
    assert "Execution started" in first
    assert "Execution completed" not in first


async def test_entities_with_their_states_and_locks() -> None:
    async with opened() as hub:
        mia = EntityId("basket", "mia")
        await hub.client.call_entity(mia, "put", "an apple")
        await hub.client.start("shopper", "mia", instance_id="shopper-1")
        await until(partial(is_locked, hub, mia))
        browser = Browser(dashboard(hub))
        listed = await browser.get("/entities", name="Basket")
        page = await browser.get("/entity", id="@basket@mia")
        state = await browser.client.get("/payload", params={"id": "@basket@mia"})
        assert "There are none" in await browser.get("/entities", name="other")
        await browser.get("/entities", 400, prefix="m")
    assert "an apple" in listed
    assert "shopper-1" in listed
    assert "Held by" in page
    assert 'href="/instance?id=shopper-1"' in page
    assert json.loads(state.text)[0] == "an apple"


async def test_those_who_may_look_are_offered_nothing_to_do() -> None:
    async with opened() as hub:
        await hub.client.start("approval", None, instance_id="a")
        operator, viewer = Browser(dashboard(hub)), Browser(dashboard(hub), user="vic")
        for path in ("/instance?id=a", "/instances"):
            assert "/do/" in await operator.get(path) or "/bulk" in await operator.get(path)
            page = await viewer.get(path)
            assert "/do/" not in page
            assert "/bulk" not in page
            assert "may look" in page
        form = hidden(await operator.get("/do/terminate", id="a"))
        for path in ("/do/terminate?id=a", "/bulk?action=terminate"):
            await viewer.get(path, 403)
        assert (await viewer.post("/do/terminate", form)).status_code == 403
        assert (await viewer.post("/bulk", form)).status_code == 403
        state = await hub.client.get("a")
    assert state is not None
    assert state.status is not Status.TERMINATED


async def test_schedules_with_their_ticks_and_runs() -> None:
    async with opened() as hub:
        await hub.schedules.create("nightly", "welcome", "Mia", cron="30 2 * * *")
        await (await hub.schedules.trigger("nightly")).wait()
        browser = Browser(dashboard(hub))
        listed = await browser.get("/schedules")
        page = await browser.get("/schedule", id="nightly")
        assert "There are none." in await browser.get("/entities")  # which are not for its own
        await browser.get("/schedule", 404, id="none")
    assert "30 2 * * *" in listed
    assert 'href="/schedule?id=nightly"' in listed
    for said in ("welcome", "Mia", "triggered", "completed", ":30:00"):
        assert said in page


async def test_workers_with_their_leases() -> None:
    async with opened() as hub:
        [worker] = await hub.client.workers()
        page = await Browser(dashboard(hub)).get("/workers")
    assert worker.worker_id in page
    assert f"pid {worker.pid}" in page
    assert "alive" in page


async def test_a_tag_leads_to_those_that_have_it_whatever_is_in_it() -> None:
    async with opened() as hub:
        tags = {"a=b": "c, d"}
        await hub.client.start("approval", None, instance_id="a", tags={"k": "c, d", "l": ""})
        await hub.client.start("approval", None, instance_id="b", tags={"k": "c"})
        await hub.client.start("approval", None, instance_id="c", tags=tags)
        browser = Browser(dashboard(hub))
        page = await browser.get("/instance", id="a")
        links = re.findall(r'class="tag" href="([^"]*)"', page)
        assert len(links) == 2
        for link in links:
            page = await browser.get(link)
            assert "id=a" in page
            assert "id=b" not in page


async def test_what_is_damaged_is_said_and_hides_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "hub.db"
    async with TaskHub.open(f"sqlite:///{file}", registry=registry) as hub:
        async with hub.worker():
            await (await hub.client.start("welcome", "Mia", instance_id="a")).wait()
            await hub.client.call_entity(EntityId("basket", "mia"), "put", "a pear")
        with closing(sqlite3.connect(file)) as store, store:
            store.execute("update history set events = x'ff'")
            store.execute("update instances set state = x'ff' where is_entity = 1")
        browser = Browser(dashboard(hub))
        for path in ("/instance?id=a", "/entity?id=@basket@mia", "/entities"):
            assert "cannot be read" in await browser.get(path)
        assert 'href="/instance?id=a"' in await browser.get("/instances")
        for path in ("/payload?id=a&what=input", "/payload?id=@basket@mia"):
            await browser.get(path, 500)
