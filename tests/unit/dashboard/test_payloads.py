"""Payloads: what is shown of them, without holding up the event loop, and what is served as a file."""

from __future__ import annotations

import json
import threading
from typing import Any

import msgspec
import pytest

from durable_async import EntityId
from durable_async.dashboard import _payloads
from durable_async.dashboard._payloads import ABSENT, SHOWN_CHARS_MAX, raw, shown
from durable_async.errors import DecodeError

from .house import Browser, dashboard, opened


def stored(data: bytes) -> Any:
    return msgspec.Raw(data)


def test_json_is_indented_and_its_numbers_are_kept() -> None:
    data = b'{"a":12345678901234567890123.50,"b":[1e400]}'
    found = shown(lambda: stored(data))
    assert found.text == '{\n  "a": 12345678901234567890123.50,\n  "b": [\n    1e400\n  ]\n}'
    assert not found.is_cut
    assert raw(stored(data)) == data


def test_what_is_long_is_cut_before_it_is_formatted(monkeypatch: pytest.MonkeyPatch) -> None:
    data = json.dumps(["ß" * 9] * 200_000, ensure_ascii=False).encode()
    monkeypatch.setattr(msgspec.json, "format", None)
    found = shown(lambda: stored(data))
    assert (len(found.text), found.is_cut) == (SHOWN_CHARS_MAX, True)
    assert data.decode().startswith(found.text)


def test_what_is_a_little_long_is_cut_as_it_is_indented() -> None:
    found = shown(lambda: stored(b"[" + b"1," * 4_000 + b"1]"))
    assert found.text.startswith("[\n  1,\n  1,")
    assert (len(found.text), found.is_cut) == (SHOWN_CHARS_MAX, True)


def test_nothing_is_nothing_and_damage_is_said() -> None:
    def damaged() -> Any:
        raise DecodeError("input", "$", "it is damaged")

    assert shown(lambda: stored(b"null")) == ABSENT
    assert shown(lambda: None) == ABSENT
    assert shown(damaged).is_error
    assert shown(lambda: stored(b"[" * 20_000)).text.startswith("[[")


def test_other_converters_give_values() -> None:
    assert shown(lambda: {1, 2}).text == '"{1, 2}"'
    assert raw({"a": 1}) == b'{"a": 1}'


async def test_files_hold_the_stored_bytes() -> None:
    async with opened() as hub:
        handle = await hub.client.start("approval", {"a": [1.0, "ß"]}, instance_id="a")
        await handle.raise_event("approved", {"b": 2})
        await handle.wait()
        mia = EntityId("basket", "mia")
        await hub.client.call_entity(mia, "put", {"c": 3})
        browser = Browser(dashboard(hub))
        assert await browser.get("/payload", id="a", what="input") == '{"a":[1.0,"ß"]}'
        assert await browser.get("/payload", id="a", what="output") == '{"b":2}'
        assert await browser.get("/payload", id="a", what="status") == '{"waits for":"approved"}'
        assert await browser.get("/payload", id=str(mia)) == '[{"c":3}]'


@pytest.mark.parametrize("event", ["x", "-1", "9" * 20, "1.5"])
async def test_what_is_no_number_of_an_event_is_said(event: str) -> None:
    async with opened() as hub:
        await (await hub.client.start("welcome", "Mia", instance_id="a")).wait()
        browser = Browser(dashboard(hub))
        await browser.get("/payload", 400, id="a", event=event)
        await browser.get("/payload", 404, id="a", event="999")


async def test_a_page_of_schedules_that_is_none_is_said() -> None:
    async with opened() as hub:
        page = await Browser(dashboard(hub)).get("/schedules", 400, page="\0none")
    assert 'role="alert"' in page


async def test_values_are_formatted_off_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[int] = []

    def noted(value: object) -> str:
        threads.append(threading.get_ident())
        return json.dumps(repr(value))

    def noted_bytes(value: object) -> bytes:
        return noted(value).encode()

    def noted_shown(data: bytes) -> _payloads.Shown:
        return _payloads.Shown(noted(data))

    monkeypatch.setattr(_payloads, "_shown_bytes", noted_shown)
    monkeypatch.setattr(_payloads, "text_of", noted)
    monkeypatch.setattr("durable_async.dashboard.pages.entities.raw", noted_bytes)
    monkeypatch.setattr("durable_async.dashboard.pages.payload.raw", noted_bytes)
    async with opened() as hub:
        await (await hub.client.start("welcome", "Mia", instance_id="a")).wait()
        await hub.client.call_entity(EntityId("basket", "mia"), "put", "a pear")
        await hub.schedules.create("s", "welcome", "Mia", every=3_600)
        browser = Browser(dashboard(hub))
        for path in (
            "/instance?id=a",
            "/entities",
            "/entity?id=@basket@mia",
            "/schedule?id=s",
            "/payload?id=a&what=input",
            "/payload?id=@basket@mia",
        ):
            before = len(threads)
            await browser.get(path)
            assert len(threads) > before, path
    assert threading.get_ident() not in threads


async def test_a_list_of_entities_that_takes_long_is_looked_at_less_often() -> None:
    async with opened() as hub:
        browser = Browser(dashboard(hub))
        assert 'data-live="3"' in await browser.get("/entities")
        clock = iter(range(10**6))
        hub.backend.now_us = lambda: next(clock) * 10**6  # type: ignore[method-assign]
        page = await browser.get("/entities")
    assert 'data-live="20"' in page
