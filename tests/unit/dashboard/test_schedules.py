"""Schedules from the dashboard: created, edited and backfilled, each after a look at what that would do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from durable_async import TaskHub, WaitTimeoutError
from durable_async.schedules import CatchUp, Overlap, ScheduleState

from .house import Book, Browser, dashboard, hidden, opened, place
from .test_hostile import HOSTILE, offences

HOUR = timedelta(hours=1)


async def looked(browser: Browser, path: str, /, of: str = "", **fields: str) -> httpx.Response:
    """Fill a form in, and look at what it would do."""
    page = await browser.get(path, **({"id": of} if of else {}))
    return await browser.post(path, {**hidden(page), **fields})


async def done(browser: Browser, path: str, seen: httpx.Response, **fields: str) -> httpx.Response:
    """Do what was looked at."""
    assert seen.status_code == 200, seen.text
    return await browser.post(path, {**hidden(seen.text), "step": "do", **fields})


async def schedule_of(hub: TaskHub, schedule_id: str = "s") -> ScheduleState:
    return await hub.schedules.describe(schedule_id)


NEW = {"id": "s", "orchestrator": "welcome", "input": '"Mia"', "kind": "every", "when": "6h"}


async def test_a_schedule_is_created_after_a_look_at_its_ticks() -> None:
    book = Book()
    async with opened() as hub:
        browser = Browser(dashboard(hub, audit=book))
        assert "/create-schedule" in await browser.get("/schedules")
        seen = await looked(
            browser,
            "/create-schedule",
            **{**NEW, "kind": "cron", "when": "0 9 * * MON-FRI", "time_zone": "Europe/Berlin"},
            overlap="allow",
            catch_up="none",
            end="2999-01-01T00:00",
            jitter="5m",
            tags="team=shop",
            reason="the new year",
        )
        assert seen.text.count("09:00 CE") == 5
        assert await hub.schedules.get("s") is None
        assert book.records == []
        answer = await done(browser, "/create-schedule", seen)
        assert place(answer) == "/schedule?id=s&done=create-schedule"
        assert "It was created." in await browser.get(answer.headers["location"])
        spec = (await schedule_of(hub)).spec
        assert (spec.orchestrator, spec.input, spec.cron) == ("welcome", "Mia", "0 9 * * MON-FRI")
        assert (spec.overlap, spec.catch_up) == (Overlap.ALLOW, CatchUp.NONE)
        assert spec.end == datetime(2998, 12, 31, 23, tzinfo=UTC)
        assert (spec.jitter, spec.tags) == (timedelta(minutes=5), {"team": "shop"})
        again = await done(browser, "/create-schedule", seen)
        assert again.status_code == 409
        assert "was sent before" in again.text
    assert book.lines[0] == ("Ada", "create-schedule", "s", "the new year", "done")
    details = book.records[0].details
    assert (details["orchestrator"], details["when"]) == ("welcome", "0 9 * * MON-FRI")
    assert "Mia" not in str(details)


async def test_one_that_begins_paused_says_why() -> None:
    async with opened() as hub:
        browser = Browser(dashboard(hub))
        seen = await looked(browser, "/create-schedule", **NEW, paused="yes", reason="not yet")
        assert "It begins paused" in seen.text
        await done(browser, "/create-schedule", seen)
        state = await schedule_of(hub)
    assert (state.paused, state.reason, state.spec.every) == (True, "not yet", 6 * HOUR)


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({"id": ""}, "id", "is empty"),
        ({"id": "taken"}, "id", "is taken"),
        ({"orchestrator": ""}, "orchestrator", "is empty"),
        ({"orchestrator": "@x"}, "orchestrator", "kept for entities"),
        ({"input": "{"}, "input", "no JSON"),
        ({"input": "5"}, "input", "input"),
        ({"when": "soon"}, "when", "no duration"),
        ({"when": ""}, "when", "no duration"),
        ({"kind": "cron", "when": "soon"}, "when", "no cron expression"),
        ({"kind": "cron", "when": ""}, "when", "is empty"),
        ({"kind": "at", "when": "soon"}, "when", "no time"),
        ({"kind": "at", "when": "2000-01-01"}, "when", "yet to come"),
        ({"kind": "never"}, "when", "choose"),
        ({"time_zone": "Mars"}, "time_zone", "time zones"),
        ({"end": "later"}, "end", "no time"),
        ({"start": "0001-01-01T00:00+14:00"}, "start", "beyond the calendar"),
        ({"overlap": "x"}, "overlap", "choose"),
        ({"jitter": "-1s"}, "jitter", "no duration"),
        ({"catch_up_window": "999999999w"}, "catch_up_window", "no duration"),
        ({"tags": "team"}, "tags", "key=value"),
        ({"tags": "a=b, c=\x07"}, "tags", "control character"),
        ({"tags": "schedule=x"}, "tags", "schedule"),
        ({"instance_id": "{schedule}"}, "instance_id", "{tick}"),
    ],
)
async def test_what_cannot_be_is_said_beside_its_field(
    fields: dict[str, str], field: str, said: str
) -> None:
    async with opened() as hub:
        await hub.schedules.create("taken", "welcome", every=HOUR)
        browser = Browser(dashboard(hub))
        answer = await looked(browser, "/create-schedule", **{**NEW, **fields})
        assert answer.status_code == 409
        assert f'href="#a-{field}"' in answer.text
        beside = answer.text.partition(f'id="w-{field}">')[2].partition("</p>")[0]
        assert said in beside
        assert f'aria-describedby="w-{field}' in answer.text
        assert answer.text.count('aria-invalid="true"') == 1
        assert [one.schedule_id async for one in hub.schedules.list()] == ["taken"]


async def test_all_that_cannot_be_is_said_at_once() -> None:
    async with opened() as hub:
        wrong = {"input": "{", "kind": "cron", "when": "soon", "end": "later"}
        answer = await looked(Browser(dashboard(hub)), "/create-schedule", **{**NEW, **wrong})
        assert [name for name in wrong if f'id="w-{name}"' in answer.text] == ["input", "end"]
        wrong["end"] = ""
        answer = await looked(Browser(dashboard(hub)), "/create-schedule", **{**NEW, **wrong})
        assert [name for name in wrong if f'id="w-{name}"' in answer.text] == ["input", "when"]


async def test_what_was_typed_is_there_when_one_goes_back() -> None:
    async with opened() as hub:
        browser = Browser(dashboard(hub))
        seen = await looked(browser, "/create-schedule", **NEW, tags="a=b", paused="yes")
        answer = await browser.post(
            "/create-schedule", {**hidden(seen.text), "step": "change", "csrf": token(seen.text)}
        )
        assert answer.status_code == 200
        for shown in ('value="s"', 'value="6h"', 'value="a=b"', "checked", "&#34;Mia&#34;"):
            assert shown in answer.text
        assert '<option value="every" selected>' in answer.text
        assert "<details open>" in answer.text


def token(page: str) -> str:
    return hidden(page)["csrf"]


async def test_an_edit_changes_what_was_typed_and_nothing_else() -> None:
    book = Book()
    async with opened() as hub:
        await hub.schedules.create(
            "s", "welcome", "Mia", every=HOUR, tags={"a, b": "c"}, end=datetime(2999, 1, 1)
        )
        before = await schedule_of(hub)
        browser = Browser(dashboard(hub, audit=book))
        assert "/edit-schedule?id=s" in await browser.get("/schedule", id="s")
        page = await browser.get("/edit-schedule", id="s")
        assert 'value="1h"' in page
        assert "2999-01-01T00:00:00+00:00" in page
        seen = await looked(browser, "/edit-schedule", "s", when="2h", end="", reason="slower")
        for text in ("every 1h", "every 2h", "nothing", "Its next ticks now"):
            assert text in seen.text
        assert ">Tags<" not in seen.text
        assert (await schedule_of(hub)).spec == before.spec
        answer = await done(browser, "/edit-schedule", seen)
        assert place(answer) == "/schedule?id=s&done=edit-schedule"
        after = (await schedule_of(hub)).spec
        assert (after.every, after.end) == (2 * HOUR, None)
        assert (after.tags, after.input) == (before.spec.tags, "Mia")
    assert book.lines == [("Ada", "edit-schedule", "s", "slower", "done")]
    assert book.records[0].details == {"changed": ["end", "kind", "when"], "when": "2h"}


async def test_an_edit_of_the_input_alone() -> None:
    async with opened() as hub:
        await hub.schedules.create("s", "welcome", "Mia", cron="0 9 * * *")
        browser = Browser(dashboard(hub))
        for input, said in (("5", "input"), ("{", "no JSON")):
            wrong = await looked(browser, "/edit-schedule", "s", input=input)
            assert wrong.status_code == 409
            assert said in wrong.text.partition('id="w-input">')[2]
        seen = await looked(browser, "/edit-schedule", "s", input='"Ada"')
        await done(browser, "/edit-schedule", seen)
        state = await schedule_of(hub)
        assert (state.spec.input, state.spec.cron) == ("Ada", "0 9 * * *")
        for fields in ({}, {"input": ' "Ada"\n '}, {"when": "@daily", "kind": "cron"}):
            await hub.schedules.update("s", cron="@daily")
            same = await looked(browser, "/edit-schedule", "s", **fields)
            assert same.status_code == 409
            assert "Nothing is other than it is." in same.text


async def test_what_somebody_else_changed_meanwhile_is_not_overwritten_unseen() -> None:
    book = Book()
    async with opened() as hub:
        await hub.schedules.create("s", "welcome", "Mia", every=HOUR)
        browser = Browser(dashboard(hub, audit=book))
        seen = await looked(browser, "/edit-schedule", "s", when="2h")
        await hub.schedules.update("s", every=3 * HOUR)
        answer = await done(browser, "/edit-schedule", seen)
        assert answer.status_code == 409
        assert "changed meanwhile" in answer.text
        assert (await schedule_of(hub)).spec.every == 3 * HOUR
        await hub.schedules.delete("s")
        assert (await browser.post("/edit-schedule", hidden(seen.text))).status_code == 404
    assert "changed meanwhile" in book.records[0].outcome


async def past(hub: TaskHub, hours: int) -> datetime:
    """Make a schedule with ticks at each of the last hours, and return when the first of them was."""
    begin = datetime.now(UTC).replace(microsecond=0) - hours * HOUR + timedelta(minutes=1)
    await hub.schedules.create("s", "welcome", "Mia", every=HOUR, start=begin)
    return begin


async def test_a_backfill_is_counted_before() -> None:
    book = Book()
    async with opened() as hub:
        begin = await past(hub, 8)
        browser = Browser(dashboard(hub, audit=book))
        assert "/backfill?id=s" in await browser.get("/schedule", id="s")
        seen = await looked(browser, "/backfill", "s", start=begin.isoformat(), reason="lost")
        assert "Start 8 runs" in seen.text
        assert "and 2 more, up to" in seen.text
        wrong = await done(browser, "/backfill", seen, confirmation="9")
        assert wrong.status_code == 409
        assert (await schedule_of(hub)).started == 0
        form = {**hidden(wrong.text), "step": "do", "confirmation": "8"}
        answer = await browser.post("/backfill", form)
        assert place(answer) == "/schedule?id=s&changed=8&done=backfill"
        assert "Started 8." in await browser.get(answer.headers["location"])
        assert (await schedule_of(hub)).started == 8
        assert "was sent before" in (await browser.post("/backfill", form)).text
        none = await looked(browser, "/backfill", "s", start=begin.isoformat())
        assert none.status_code == 409
        assert "All ticks of that time have their runs" in none.text
    assert [line[3:] for line in book.lines[:2]] == [
        ("lost", "refused: What you typed is not their number. Nothing was started."),
        ("lost", "begun"),
    ]
    assert book.records[2].outcome == "8 started"
    assert book.records[2].details["count"] == "8"


async def test_a_backfill_that_was_not_answered_may_have_begun(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with opened() as hub:
        begin = await past(hub, 3)
        browser = Browser(dashboard(hub))
        seen = await looked(browser, "/backfill", "s", start=begin.isoformat())

        async def silent(*_: Any, **__: Any) -> None:
            raise WaitTimeoutError("@durable_async.schedule@s", "answer", 30.0)

        monkeypatch.setattr(hub.schedules, "backfill", silent)
        answer = await done(browser, "/backfill", seen, confirmation="3")
    assert answer.status_code == 409
    assert "Some may have been started: count again." in answer.text


async def test_ticks_of_other_times_are_counted_anew() -> None:
    async with opened() as hub:
        begin = await past(hub, 8)
        browser = Browser(dashboard(hub))
        seen = await looked(browser, "/backfill", "s", start=begin.isoformat())
        await hub.schedules.update("s", every=2 * HOUR)
        answer = await done(browser, "/backfill", seen, confirmation="8")
        assert answer.status_code == 409
        assert "Start 4 runs" in answer.text
        assert (await schedule_of(hub)).started == 0


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({"start": ""}, "start", "is empty"),
        ({"start": "x"}, "start", "no time"),
        ({"start": "2999-01-01"}, "start", "yet to come"),
        ({"start": "2000-01-01", "end": "x"}, "end", "no time"),
        ({"start": "0001-01-01T00:00+14:00"}, "start", "beyond the calendar"),
    ],
)
async def test_times_that_cannot_be_backfilled(
    fields: dict[str, str], field: str, said: str
) -> None:
    async with opened() as hub:
        await past(hub, 1)
        answer = await looked(Browser(dashboard(hub)), "/backfill", "s", **fields)
        assert answer.status_code == 409
        assert said in answer.text.partition(f'id="w-{field}">')[2].partition("</p>")[0]


async def test_too_many_at_a_time() -> None:
    async with opened() as hub:
        await past(hub, 10_002)
        answer = await looked(Browser(dashboard(hub)), "/backfill", "s", start="2000-01-01")
        assert answer.status_code == 409
        assert "one part after the other" in answer.text


@pytest.mark.parametrize("path", ["/create-schedule", "/edit-schedule", "/backfill"])
async def test_those_who_may_look_change_nothing(path: str) -> None:
    book = Book()
    async with opened() as hub:
        await hub.schedules.create("s", "welcome", "Mia", every=HOUR)
        app = dashboard(hub, audit=book)
        viewer = Browser(app, user="vic")
        await viewer.get(path, 403, id="s")
        for page in (await viewer.get("/schedules"), await viewer.get("/schedule", id="s")):
            assert path not in page
        forged: list[dict[str, Any]] = [{"csrf": ""}, {"csrf": "x", "id": "s", "step": "do"}]
        for form in forged:
            assert (await viewer.post(path, form)).status_code == 403
            assert (await Browser(app).post(path, form)).status_code == 403
    assert len(book.records) == 4
    assert all("refused" in one.outcome for one in book.records)


async def test_what_is_not_there() -> None:
    async with opened() as hub:
        browser = Browser(dashboard(hub))
        for path in ("/edit-schedule", "/backfill"):
            await browser.get(path, 404, id="none")
            await browser.get(path, 400)


@pytest.mark.parametrize("text", HOSTILE)
async def test_hostile_words_are_text(text: str) -> None:
    async with opened() as hub:
        browser = Browser(dashboard(hub))
        names = ("id", "orchestrator", "input", "kind", "when", "time_zone", "start", "end")
        for name in (*names, "overlap", "jitter", "tags", "instance_id", "reason", "seen", "step"):
            answer = await looked(browser, "/create-schedule", **{**NEW, name: text})
            assert answer.status_code in (200, 409)
            assert offences(answer.text) == []
        name = text[:200]
        await hub.schedules.create(
            name, text[:200], {text: text}, every=HOUR, tags={text[:50]: text}, version=text[:200]
        )
        for path, fields in (
            ("/edit-schedule", {"when": "2h"}),
            ("/edit-schedule", {"when": text, "tags": text}),
            ("/backfill", {"start": text, "end": text}),
        ):
            answer = await looked(browser, path, name, **fields)
            assert offences(answer.text) == []
        seen = await looked(browser, "/edit-schedule", name, when="2h")
        answer = await done(browser, "/edit-schedule", seen)
        assert answer.status_code == 303
        spec = (await hub.schedules.describe(name)).spec
        assert (spec.every, spec.input, spec.tags) == (2 * HOUR, {text: text}, {text[:50]: text})
