"""What an operator does: each action, what it leaves in the audit log, and what it refuses."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

import pytest

from durable_async import (
    EntityId,
    InstanceParkedError,
    OrchestrationHandle,
    OrchestrationState,
    Status,
    TaskHub,
)
from durable_async.dashboard import AuditRecord
from durable_async.model.entities import EntitySnapshot, ParkedOperation
from durable_async.model.history import EntityOperation
from durable_async.serialization.events import encode_snapshot

from .house import Book, Browser, dashboard, hidden, opened, place, registry, until


async def state_of(handle: OrchestrationHandle[Any]) -> OrchestrationState:
    state = await handle.get()
    assert state is not None
    return state


async def has_status(handle: OrchestrationHandle[Any], status: Status) -> bool:
    return (await state_of(handle)).status is status


async def test_an_event_is_raised_and_what_waited_completes() -> None:
    book = Book()
    async with opened() as hub:
        handle = await hub.client.start("approval", None, instance_id="a")
        browser = Browser(dashboard(hub, audit=book))
        answer = await browser.do("raise-event", "a", name="approved", payload='{"by": "Mia"}')
        assert (answer.status_code, place(answer)) == (
            303,
            "/instance?id=a&done=raise-event",
        )
        assert await handle.wait() == {"by": "Mia"}
        assert "The event was raised" in await browser.get(answer.headers["location"])
    assert book.lines == [("Ada", "raise-event", "a", None, "done")]


async def test_a_form_that_is_sent_twice_raises_one_event() -> None:
    async with opened() as hub:
        await hub.client.start("approval", None, instance_id="a")
        await hub.client.suspend("a")
        browser = Browser(dashboard(hub))
        form = {**hidden(await browser.get("/do/raise-event", id="a")), "name": "other"}
        for _ in range(2):
            assert (await browser.post("/do/raise-event", form)).status_code == 303
        await hub.client.terminate("a")
        await hub.client.wait_for_end("a")
        raised = [one for one in await hub.client.history("a") if "EventRaised" in repr(one)]
    assert len(raised) <= 1


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": "approved", "payload": "{"}, "no JSON"),
        ({"name": "", "payload": "1"}, "event name"),
        ({"name": "x" * 300, "payload": ""}, "over the limit"),
    ],
)
async def test_what_cannot_be_an_event_is_said_and_kept_in_the_form(
    fields: dict[str, str], said: str
) -> None:
    book = Book()
    async with opened() as hub:
        await hub.client.start("approval", None, instance_id="a")
        browser = Browser(dashboard(hub, audit=book))
        answer = await browser.do("raise-event", "a", **fields)
    assert answer.status_code == 409
    assert said in answer.text
    assert fields["payload"] in answer.text
    assert said in book.records[0].outcome


async def test_suspend_resume_terminate(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "durable_async.audit")
    async with opened() as hub:
        handle = await hub.client.start("approval", None, instance_id="a")
        browser = Browser(dashboard(hub))
        for action, status in (
            ("suspend", Status.SUSPENDED),
            ("resume", Status.RUNNING),
            ("terminate", Status.TERMINATED),
        ):
            await hub.client.wait_for_start(handle)
            answer = await browser.do(action, "a", reason="it is\nnight")
            assert answer.status_code == 303
            await until(partial(has_status, handle, status))
        assert (await state_of(handle)).output() == "it is\nnight"
    (*_, last) = [one for one in caplog.records if one.name == "durable_async.audit"]
    assert last.getMessage() == "'Ada': terminate 'a': done"
    assert vars(last)["audit_operator"] == "Ada"
    assert vars(last)["audit_target"] == "a"
    assert vars(last)["audit_reason"] == "it is\nnight"


async def test_rewind_restart_and_purge() -> None:
    async with opened() as hub:
        handle = await hub.client.start("doomed", "why", instance_id="d")
        await hub.client.wait_for_end(handle)
        browser = Browser(dashboard(hub))
        assert (await browser.do("rewind", "d")).status_code == 303
        await hub.client.wait_for_end(handle)
        answer = await browser.do("restart", "d", new_id="d 2")
        assert place(answer) == "/instance?id=d%202&done=restart"
        await hub.client.wait_for_end("d 2")
        wrong = await browser.do("purge", "d 2", confirmation="d")
        assert wrong.status_code == 409
        assert await hub.client.get("d 2") is not None
        answer = await browser.do("purge", "d 2", confirmation="d 2")
        assert place(answer) == "/instances?done=purge"
        assert await hub.client.get("d 2") is None
        assert "It was purged" in await browser.get(answer.headers["location"])


async def test_what_makes_no_sense_is_neither_offered_nor_done() -> None:
    async with opened() as hub:
        await (await hub.client.start("welcome", "Mia", instance_id="a")).wait()
        browser = Browser(dashboard(hub))
        page = await browser.get("/instance", id="a")
        assert "/do/purge" in page
        assert "/do/suspend" not in page
        for action in ("suspend", "resume", "terminate", "rewind", "unpark", "raise-event"):
            await browser.get(f"/do/{action}", 409, id="a")
        await browser.get("/do/explode", 404, id="a")
        await browser.get("/do/suspend", 404, id="none")


async def test_what_is_parked_says_why_and_is_put_back() -> None:
    async with opened(instance_events_max=8) as hub:
        handle = await hub.client.start("many", 9, instance_id="a")
        with pytest.raises(InstanceParkedError):
            await handle.wait()
        browser = Browser(dashboard(hub))
        assert "LimitExceededError" in await browser.get("/instance", id="a")
        assert 'href="/instance?id=a"' in await browser.get("/instances", parked="yes")
        assert "cannot go on by themselves" in await browser.get("/")
        answer = await browser.do("unpark", "a")
        assert place(answer) == "/instance?id=a&done=unpark"


async def test_many_at_once_after_a_count() -> None:
    book = Book()
    async with opened() as hub:
        for number in range(3):
            await hub.client.start("approval", None, instance_id=f"a{number}")
        await (await hub.client.start("welcome", "Mia", instance_id="other")).wait()
        browser = Browser(dashboard(hub, audit=book))
        page = await browser.get("/bulk", action="terminate", prefix="a")
        assert "Terminate 3 instances" in page
        form = hidden(page)
        wrong = await browser.post("/bulk", {**form, "confirmation": "4", "reason": "too early"})
        assert wrong.status_code == 409
        assert 'value="too early"' in wrong.text
        await hub.client.start("approval", None, instance_id="a-later")
        answer = await browser.post("/bulk", {**form, "confirmation": "3", "reason": "too late"})
        assert place(answer) == ("/instances?prefix=a&changed=3&refused=0&done=bulk")
        for number in range(3):
            state = await hub.client.wait_for_end(f"a{number}")
            assert (state.status, state.output()) == (Status.TERMINATED, "too late")
        later = await hub.client.get("a-later")
        assert later is not None
        assert not later.is_ended
        assert "Done with 3" in await browser.get(answer.headers["location"])
    assert book.lines == [
        (
            "Ada",
            "terminate all",
            "prefix=a",
            "too early",
            "refused: What you typed is not their number. Nothing was done.",
        ),
        ("Ada", "terminate all", "prefix=a", "too late", "begun"),
        ("Ada", "terminate all", "prefix=a", "too late", "3 done"),
    ]


@pytest.mark.parametrize(
    "query", [{"action": "raise-event"}, {"action": ""}, {"action": "purge", "status": "unheard"}]
)
async def test_what_cannot_be_done_with_many(query: dict[str, str]) -> None:
    async with opened() as hub:
        await Browser(dashboard(hub)).get("/bulk", 400, **query)


async def test_a_broken_book_does_not_undo_what_was_done(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(record: AuditRecord) -> None:
        raise OSError("the disk is full")

    async with opened() as hub:
        await hub.client.start("approval", None, instance_id="a")
        browser = Browser(dashboard(hub, audit=broken))
        assert (await browser.do("terminate", "a")).status_code == 303
    assert "was not kept" in caplog.text


@pytest.mark.parametrize(
    "wrong",
    [
        {"since_us": "9" * 5_000},
        {"since_us": "-1"},
        {"since_us": "\u0663"},
        {"counted_us": "9" * 19},
        {"counted_us": ""},
        {"ids": ""},
        {"ids": "[" * 100_000},
        {"ids": '"a"'},
        {"ids": "[1]"},
    ],
)
async def test_numbers_that_no_form_of_ours_sends(wrong: dict[str, str]) -> None:
    async with opened() as hub:
        await hub.client.start("approval", None, instance_id="a")
        browser = Browser(dashboard(hub))
        form = hidden(await browser.get("/bulk", action="terminate"))
        form = {**form, **wrong}
        answer = await browser.post("/bulk", {**form, "confirmation": "1"})
        assert answer.status_code == 400
        state = await hub.client.get("a")
    assert state is not None
    assert not state.is_ended


async def test_a_schedule_is_paused_resumed_triggered_and_deleted() -> None:
    book = Book()
    async with opened() as hub:
        await hub.schedules.create("s", "welcome", "Mia", every=3_600)
        browser = Browser(dashboard(hub, audit=book))
        answer = await browser.do("pause-schedule", "s", reason="maintenance")
        assert place(answer) == "/schedule?id=s&done=pause-schedule"
        page = await browser.get(answer.headers["location"])
        assert "It is paused." in page
        assert "maintenance" in page
        assert (await browser.do("resume-schedule", "s")).status_code == 303
        assert (await browser.do("trigger", "s")).status_code == 303
        assert (await browser.do("delete-schedule", "s", confirmation="t")).status_code == 409
        answer = await browser.do("delete-schedule", "s", confirmation="s")
        assert place(answer) == "/schedules?done=delete-schedule"
        assert await hub.schedules.get("s") is None
    assert [line[1] for line in book.lines] == [
        "pause-schedule",
        "resume-schedule",
        "trigger",
        "delete-schedule",
        "delete-schedule",
    ]
    assert book.records[-2].outcome.startswith("refused")


async def test_an_orchestration_is_started_once_for_each_form() -> None:
    book = Book()
    async with opened() as hub:
        browser = Browser(dashboard(hub, audit=book))
        page = await browser.get("/start")
        assert '<option value="welcome">' in page
        form = {**hidden(page), "name": "welcome", "input": '"Mia"', "tags": "team=shop"}
        for _ in range(2):
            answer = await browser.post("/start", form)
            assert answer.status_code == 303
        assert await hub.client.wait(form["once"]) == "hello Mia"
        assert "It was started." in await browser.get(answer.headers["location"])
        states, _ = await hub.client.query_page(tags={"team": "shop"})
        assert len(states) == 1
        form = {**hidden(await browser.get("/start")), "name": "approval", "new_id": "a/b"}
        answer = await browser.post("/start", form)
        assert place(answer) == "/instance?id=a%2Fb&done=start"
        form = {**hidden(await browser.get("/start")), "name": "approval", "new_id": "a/b"}
        answer = await browser.post("/start", form)
        assert answer.status_code == 409
        assert 'value="a/b"' in answer.text
    assert [line[1] for line in book.lines] == ["start"] * 4
    assert book.records[-1].outcome != "done"


@pytest.mark.parametrize(
    "fields",
    [
        {"name": ""},
        {"name": "@counter"},
        {"name": "welcome", "input": "{"},
        {"name": "welcome", "input": "5"},  # it takes a text
        {"name": "welcome", "tags": "team"},
        {"name": "welcome", "new_id": "@a@b"},
        {"name": "welcome", "once": ""},
    ],
)
async def test_what_cannot_be_started_is_said(fields: dict[str, str]) -> None:
    async with opened() as hub:
        browser = Browser(dashboard(hub))
        form = {**hidden(await browser.get("/start")), **fields}
        answer = await browser.post("/start", form)
        assert answer.status_code == 409
        assert 'role="alert"' in answer.text
        assert await hub.client.query_page() == ([], None)


async def test_those_who_may_look_start_nothing() -> None:
    async with opened() as hub:
        viewer = Browser(dashboard(hub), user="vic")
        await viewer.get("/start", 403)
        assert (await viewer.post("/start", {"name": "welcome"})).status_code == 403
        assert "/start" not in await viewer.get("/instances")
        answer = await Browser(dashboard(hub)).post("/start", {"name": "welcome"})
        assert answer.status_code == 403  # without a token


async def test_an_entity_is_signaled() -> None:
    async with opened() as hub:
        mia = EntityId("basket", "mia")
        await hub.client.call_entity(mia, "put", "a pear")
        browser = Browser(dashboard(hub))
        answer = await browser.do("signal", "@basket@mia", operation="put", input='"a fig"')
        assert place(answer) == "/entity?id=%40basket%40mia&done=signal"
        assert await hub.client.call_entity(mia, "put", "a plum") == 3
        await hub.schedules.create("s", "welcome", "Mia", every=3_600)
        await browser.get("/do/signal", 409, id="@durable_async.schedule@s")


async def test_a_parked_entity_and_its_parked_operations_are_put_back() -> None:
    mia = EntityId("basket", "mia")
    parked = ParkedOperation(EntityOperation("put", b'"a pear"'), "it exploded", 1)
    async with TaskHub.open("memory://", registry=registry) as hub:
        await hub.client.signal_entity(mia, "put", "a fig")
        stored: Any = hub.backend
        row = stored.store.hub(hub.name).instances[str(mia)]
        row.parked = "workers died of it"
        row.state = encode_snapshot(EntitySnapshot(b"[]", None, (parked,), ()))
        browser = Browser(dashboard(hub))
        page = await browser.get("/entity", id=str(mia))
        assert "workers died of it" in page
        assert "it exploded" in page
        for action in ("unpark-entity", "retry"):
            answer = await browser.do(action, str(mia))
            assert place(answer) == f"/entity?id=%40basket%40mia&done={action}"
        await browser.get("/do/unpark-entity", 409, id=str(mia))
        async with hub.worker():
            assert await hub.client.call_entity(mia, "put", "a plum") == 3
