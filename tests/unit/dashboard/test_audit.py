"""The audit log: what was asked for beside the target, and what was refused to whom; never a value."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import pytest

from durable_async import EntityId
from durable_async.dashboard import AuditRecord

from .house import Book, Browser, dashboard, hidden, opened

SECRET = '"4111 1111 1111 1111"'


async def test_it_keeps_names_and_never_values() -> None:
    book = Book()
    async with opened() as hub:
        await hub.client.start("approval", None, instance_id="a")
        await hub.client.call_entity(EntityId("basket", "mia"), "put", "a pear")
        browser = Browser(dashboard(hub, audit=book))
        form = hidden(await browser.get("/start"))
        wanted = {"name": "approval", "input": SECRET, "new_id": "b", "tags": "card=4111"}
        await browser.post("/start", {**form, **wanted})
        await browser.do("signal", "@basket@mia", operation="put", input=SECRET)
        await browser.do("raise-event", "a", name="approved", payload=SECRET)
        await hub.client.wait_for_end("a")
        await browser.do("restart", "a", new_id="c")
        await browser.do("terminate", "b", recursive="yes")
        await browser.do("terminate", "c")
    assert [dict(one.details) for one in book.records] == [
        {"orchestrator": "approval", "new_id": "b"},
        {"operation": "put"},
        {"event": "approved"},
        {"new_id": "c"},
        {"recursive": True},
        {"recursive": False},
    ]
    assert {one.outcome for one in book.records} == {"done"}
    assert "4111" not in repr(book.records)


async def test_of_many_there_is_a_record_before_and_one_after() -> None:
    book = Book()
    async with opened() as hub:
        for number in range(12):
            await hub.client.start("approval", None, instance_id=f"a{number}")
        browser = Browser(dashboard(hub, audit=book))
        form = hidden(await browser.get("/bulk", action="terminate"))
        await browser.post("/bulk", {**form, "confirmation": "12"})
    before, after = book.records
    assert (before.outcome, after.outcome) == ("begun", "12 done")
    assert (
        before.details
        == after.details
        == {
            "recursive": False,
            "count": 12,
            "first_ids": [f"a{number}" for number in range(11, 1, -1)],
        }
    )


@pytest.mark.parametrize("means", ["scope", "task"])
async def test_what_is_cancelled_in_the_midst_is_kept_for_it_may_have_been_done(
    monkeypatch: pytest.MonkeyPatch, means: str
) -> None:
    """As by a server that ends, or a middleware whose caller is gone."""
    records: list[AuditRecord] = []

    async def slowly(record: AuditRecord) -> None:
        await anyio.sleep(0)
        records.append(record)

    async with opened() as hub:
        await hub.client.start("approval", None, instance_id="a")
        terminate, begun, scope = hub.client.terminate, anyio.Event(), anyio.CancelScope()

        async def never_answered(*args: Any, **how: Any) -> None:
            await terminate(*args, **how)
            begun.set()
            await anyio.sleep_forever()

        monkeypatch.setattr(hub.client, "terminate", never_answered)
        browser = Browser(dashboard(hub, audit=slowly))
        form = hidden(await browser.get("/do/terminate", id="a"))

        async def send() -> None:
            with scope:
                await browser.post("/do/terminate", form)

        sending = asyncio.ensure_future(send())
        await begun.wait()
        if means == "scope":
            scope.cancel()
        else:
            sending.cancel()
        await asyncio.wait([sending])
    assert [(one.action, one.target, one.outcome) for one in records] == [
        ("terminate", "a", "cancelled: it may have been done")
    ]


async def test_what_is_refused_to_somebody_who_is_known_is_kept() -> None:
    book = Book()
    async with opened() as hub:
        await hub.client.start("approval", None, instance_id="a")
        app = dashboard(hub, audit=book)
        browser, viewer = Browser(app), Browser(app, user="vic")
        form = hidden(await browser.get("/do/terminate", id="a"))
        assert (await viewer.post("/do/terminate", form)).status_code == 403
        await browser.post("/do/terminate", {**form, "csrf": "guessed"})
        await browser.post("/do/rewind", form)
        await browser.post("/do/explode", form)
        await browser.post("/do/terminate", {**form, "id": "none"})
        await browser.post("/bulk", {**form, "action": "explode"})
        await browser.post("/start", {**form, "csrf": ""})
        await Browser(app, user="eve").post("/do/terminate", form)  # nobody knows her
    kept = [(one.operator, one.action, one.target) for one in book.records]
    assert kept == [
        ("Vic", "terminate", ""),
        ("Ada", "terminate", "a"),
        ("Ada", "rewind", "a"),
        ("Ada", "explode", "a"),
        ("Ada", "terminate", "none"),
        ("Ada", "bulk", "explode"),
        ("Ada", "start", ""),
    ]
    assert all(one.outcome.startswith("refused: ") for one in book.records)


async def test_a_wrong_confirmation_is_kept() -> None:
    book = Book()
    async with opened() as hub:
        await (await hub.client.start("welcome", "Mia", instance_id="a")).wait()
        browser = Browser(dashboard(hub, audit=book))
        await browser.do("purge", "a", confirmation="b")
    assert book.lines == [
        ("Ada", "purge", "a", None, "refused: What you typed is not its id. Nothing was done.")
    ]


async def test_what_breaks_is_kept() -> None:
    async def broken(instance: object, reason: object = None) -> None:
        raise OSError("the disk is full")

    book = Book()
    async with opened() as hub:
        await hub.client.start("approval", None, instance_id="a")
        browser = Browser(dashboard(hub, audit=book), raise_app_exceptions=False)
        form = hidden(await browser.get("/do/suspend", id="a"))
        hub.client.suspend = broken  # type: ignore[method-assign]
        assert (await browser.post("/do/suspend", form)).status_code == 500
    assert [one.outcome for one in book.records] == ["failed: OSError"]
