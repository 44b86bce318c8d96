"""A form that is sent twice does its work once, and says afterwards only what was done."""

from __future__ import annotations

import re

import pytest
from starlette.exceptions import HTTPException

from durable_async.dashboard import _forms
from durable_async.dashboard._forms import SentForms

from .house import Browser, dashboard, hidden, opened


async def test_a_schedule_is_triggered_once_in_whatever_process() -> None:
    async with opened() as hub:
        await hub.schedules.create("s", "welcome", "Mia", every=3_600)
        browser, elsewhere = Browser(dashboard(hub)), Browser(dashboard(hub))
        form = hidden(await browser.get("/do/trigger", id="s"))
        elsewhere.client.cookies = browser.client.cookies
        for one in (browser, browser, elsewhere):
            assert (await one.post("/do/trigger", form)).status_code == 303
        without = await browser.post("/do/trigger", {**form, "once": ""})
        assert without.status_code == 409
        schedule = await hub.schedules.get("s")
        assert schedule is not None
        assert schedule.started == 1


async def test_a_form_that_says_something_else_the_second_time_is_another() -> None:
    """As after a step back in the browser: what is said to be done is done, and so the audit log says."""
    async with opened() as hub:
        browser = Browser(dashboard(hub))
        form = hidden(await browser.get("/start"))
        for new_id in ("a", "a", "b"):
            answer = await browser.post("/start", {**form, "name": "approval", "new_id": new_id})
            assert answer.status_code == 303
        started = [state.instance_id async for state in hub.client.query()]
        assert sorted(started) == ["a", "b"]

        await hub.client.suspend("a")
        form = {**hidden(await browser.get("/do/raise-event", id="a")), "name": "hint"}
        for value in ("1", "1", "2"):
            answer = await browser.post("/do/raise-event", {**form, "payload": value})
            assert answer.status_code == 303
        explanation = await hub.explain("a")
        assert explanation.unclaimed == (("hint", 2),)

        form = {**hidden(await browser.get("/start")), "name": "welcome"}
        assert (await browser.post("/start", {**form, "input": '"Mia"'})).status_code == 303
        other = await browser.post("/start", {**form, "input": '"Ada"'})
        assert (other.status_code, "exists" in other.text) == (409, True)


async def test_what_has_no_request_id_is_refused_the_second_time() -> None:
    async with opened() as hub:
        await (await hub.client.start("welcome", "Mia", instance_id="a")).wait()
        browser = Browser(dashboard(hub))
        form = {**hidden(await browser.get("/do/restart", id="a")), "new_id": "b"}
        assert (await browser.post("/do/restart", form)).status_code == 303
        again = await browser.post("/do/restart", form)
        assert again.status_code == 409
        assert "was sent before" in again.text


async def test_a_form_without_its_token_does_nothing() -> None:
    async with opened() as hub:
        await hub.client.start("approval", None, instance_id="a")
        browser = Browser(dashboard(hub))
        for wrong in ("", "x" * 65):
            assert (await browser.do("terminate", "a", once=wrong)).status_code == 400
        state = await hub.client.get("a")
    assert state is not None
    assert not state.is_ended


async def test_many_are_done_once() -> None:
    async with opened() as hub:
        await hub.client.start("approval", None, instance_id="a")
        browser = Browser(dashboard(hub))
        form = {**hidden(await browser.get("/bulk", action="suspend")), "confirmation": "1"}
        assert (await browser.post("/bulk", form)).status_code == 303
        assert (await browser.post("/bulk", form)).status_code == 409


def test_so_many_forms_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_forms, "REMEMBERED_MAX", 2)
    sent = SentForms()
    for token in "abc":
        sent.remember(token)
    for token in "bc":
        with pytest.raises(HTTPException):
            sent.remember(token)
    sent.remember("a")


async def test_what_is_restarted_gets_an_id_of_its_own_unless_the_same_is_typed() -> None:
    async with opened() as hub:
        await (await hub.client.start("welcome", "Mia", instance_id="a")).wait()
        browser = Browser(dashboard(hub))
        page = await browser.get("/do/restart", id="a")
        assert "that cannot be undone" in page
        (new_id,) = re.findall(r'name="new_id" value="(a-[0-9a-f]{8})"', page)
        await browser.post("/do/restart", {**hidden(page), "new_id": new_id})
        await hub.client.wait_for_end(new_id)
        assert (await browser.do("restart", "a", new_id=" ")).status_code == 409
        before = await hub.client.get("a")
        assert (await browser.do("restart", "a", new_id="a")).status_code == 303
        after = await hub.client.wait_for_end("a")
        assert before is not None
        assert after.created_at > before.created_at


async def test_no_link_makes_the_dashboard_say_that_something_was_done() -> None:
    async with opened() as hub:
        await hub.client.start("approval", None, instance_id="a")
        browser, other = Browser(dashboard(hub)), Browser(dashboard(hub))
        answer = await browser.do("suspend", "a")
        true = answer.headers["location"]
        assert "It is being suspended." in await browser.get(true)
        assert "It is being suspended." not in await other.get(true)
        for link in (
            "/instance?id=a&done=suspend",
            true.replace("done=suspend", "done=terminate"),
            re.sub("seal=.*", "seal=", true),
            re.sub("seal=.*", "seal=%C3%9F", true),
        ):
            assert 'class="notice good"' not in await browser.get(link)
        form = hidden(await browser.get("/bulk", action="terminate"))
        answer = await browser.post("/bulk", {**form, "confirmation": "1"})
        true = answer.headers["location"]
        assert "Done with 1." in await browser.get(true)
        for link in (
            "/instances?done=bulk&changed=9999&refused=0",
            true.replace("changed=1", "changed=9999"),
        ):
            assert "Done with" not in await browser.get(link)
        assert "seal" not in "".join(re.findall('hx-get="[^"]*"', await browser.get(true)))
