"""What a client refuses, and what it says of an instance that does not get there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest

from durable_async import (
    Client,
    EntityId,
    InstanceParkedError,
    OrchestrationContext,
    OrchestrationTerminatedError,
    OverloadedError,
    Registry,
    Status,
    TaskHub,
    ValidationError,
    WaitTimeoutError,
)
from durable_async.testing import VirtualEnvironment, virtual_time
from durable_async.testing.postgres import ThrowawayPostgres

registry = Registry()
hubs: list[TaskHub] = []


@registry.orchestrator
async def waits(ctx: OrchestrationContext) -> str:
    return await ctx.wait_for_external_event("go", str)


@registry.orchestrator
async def stalls(ctx: OrchestrationContext) -> None:
    await asyncio.get_running_loop().create_future()


@registry.orchestrator
async def quick(ctx: OrchestrationContext) -> str:
    return "quick"


@registry.orchestrator
async def asks(ctx: OrchestrationContext, verb: str) -> None:
    client = hubs[-1].client
    match verb:
        case "start":
            await client.start(quick)
        case "get":
            await client.get("x")
        case "query":
            await client.query_page()
        case "signal_entity":
            await client.signal_entity(EntityId("counter", "a"), "add", 1)
        case "call_entity":
            await client.entity(EntityId("counter", "a")).call("get")
        case "get_entity":
            await client.get_entity(EntityId("counter", "a"))
        case "query_entities":
            await client.query_entities_page()
        case "clean_entities":
            await client.clean_entities()
        case "statistics":
            await hubs[-1].statistics()
        case _:
            raise ValueError(verb)


@registry.activity
async def start_another() -> str:
    handle = await hubs[-1].client.start(quick)
    return await handle.wait(timeout=30)


@registry.orchestrator
async def asks_through_an_activity(ctx: OrchestrationContext) -> str:
    return await ctx.call_activity(start_another)


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ({"status": [Status.FAILED]}, "status: there is no such condition; there are statuses,"),
        ({"statuses": ["failed"]}, "statuses: must be a list of Status"),
        ({"statuses": Status.FAILED}, "statuses: must be a list of Status"),
        ({"names": "quick"}, "names: must be a list of str, not 'quick'"),
        ({"names": None}, "names: must be a list of str, not None"),
        ({"names": ["\ud800"]}, "names: has the control character"),
        ({"id_prefix": 5}, "id_prefix: must be a str, not int"),
        ({"id_prefix": "\0"}, "id_prefix: has the control character"),
        ({"tags": {"\ud800": "x"}}, "tags: has the control character"),
        ({"tags": [1]}, "tags: must be a dict of texts"),
        ({"parked": "no"}, "parked: must be True or False, not 'no'"),
        ({"created_from": "yesterday"}, "created_from: must be a datetime, not 'yesterday'"),
    ],
)
async def test_a_misspelt_condition_purges_nothing(
    conditions: dict[str, Any], message: str
) -> None:
    async with TaskHub.open("memory://", registry=registry) as hub, hub.worker():
        await (await hub.client.start(quick)).wait(timeout=30)
        for verb in (hub.client.purge_where, hub.client.query_page):
            with pytest.raises(ValidationError, match=message):
                await verb(**conditions)
        assert len((await hub.client.query_page())[0]) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"start_at": "tomorrow"}, "start_at: must be seconds or a timedelta, not 'tomorrow'"),
        ({"start_at": 10**5000}, "start_at: lies 1,000 years ahead, or more: a int"),
        ({"start_at": datetime.max}, "start_at: lies 1,000 years ahead, or more"),
        ({"version": 5}, "version: must be a str, not int"),
        ({"tags": ["a"]}, "tags: must be a dict of texts, not list"),
        ({"tags": dict.fromkeys(map(str, range(33)), "")}, "tags: 33 is over the limit of 32"),
        ({"reuse": "replace"}, "reuse: must be a ReusePolicy, not 'replace'"),
    ],
)
async def test_a_start_that_means_nothing(arguments: dict[str, Any], message: str) -> None:
    async with TaskHub.open("memory://", registry=registry) as hub:
        with pytest.raises(ValidationError, match=message):
            await hub.client.start(quick, **arguments)
        assert (await hub.client.query_page())[0] == []


VERBS: list[tuple[Callable[[Client], Awaitable[Any]], str]] = [
    (lambda client: client.terminate("i", recursive="no"), "recursive: must be True or False"),  # type: ignore[arg-type]
    (lambda client: client.suspend("i", 5), "reason: must be a str, not 5"),  # type: ignore[arg-type]
    (lambda client: client.rewind("i", b"x"), "reason: must be a str, not b'x'"),  # type: ignore[arg-type]
    (lambda client: client.raise_events([("i", "go")]), "events: must be .* not .'i', 'go'."),  # type: ignore[list-item]
    (lambda client: client.raise_events(None), "events: must be a list of events, not None"),  # type: ignore[arg-type]
    (lambda client: client.start_many("a", "input"), "inputs: must be a list of inputs"),
    (lambda client: client.start_many("a", [1], instance_ids=5), "instance_ids: must be a list"),  # type: ignore[arg-type]
    (lambda client: client.start("@a"), "orchestrator: begins with '@'"),
    (lambda client: client.wait("i", timeout=float("nan")), "timeout: must be seconds or None"),
    (lambda client: client.wait("i", timeout="1"), "timeout: must be seconds or None, not '1'"),  # type: ignore[arg-type]
    (lambda client: client.get_many("i"), "instances: must be a list of ids, not 'i'"),
    (lambda client: client.get(Unprintable()), "instance_id: must be a str, not Unprintable"),  # type: ignore[arg-type]
    (lambda client: client.query_page(limit=2**64), "limit: must be a whole number"),
    (lambda client: client.query_page(limit=True), "limit: must be a whole number"),
    (lambda client: client.query_page(page=5), "page: is not the next_page"),  # type: ignore[arg-type]
    (lambda client: client.query_entities_page(page="\ud800"), "page: is not the next_page"),
    (lambda client: client.purge_where(batch=0), "batch: must be a whole number"),
    (lambda client: client.clean_entities(batch="5"), "batch: must be a whole number"),  # type: ignore[arg-type]
    (lambda client: client.call_entity(EntityId("a", "b"), "go", timeout=b""), "timeout: must be"),  # type: ignore[call-overload]
]


class Unprintable:
    def __repr__(self) -> str:
        raise ValueError

    __str__ = __repr__


@pytest.mark.parametrize(("verb", "message"), VERBS)
async def test_what_no_annotation_allows(
    verb: Callable[[Client], Awaitable[Any]], message: str, tmp_path: Path
) -> None:
    for url in ("memory://", f"sqlite:///{tmp_path / 'hub.db'}"):
        async with TaskHub.open(url, registry=registry) as hub:
            before = await hub.statistics()
            with pytest.raises(ValidationError, match=message):
                await verb(hub.client)
            assert await hub.statistics() == before


class Orchestrators(StrEnum):
    QUICK = "quick"


async def test_a_member_of_an_enumeration_is_the_text_that_it_is() -> None:
    async with TaskHub.open("memory://", registry=registry) as hub, hub.worker():
        handle = await hub.client.start(Orchestrators.QUICK, tags={Orchestrators.QUICK: "x"})
        assert await handle.wait(timeout=30) == "quick"
        found, _ = await hub.client.query_page(names=[Orchestrators.QUICK])
        assert [(type(state.name), state.tags) for state in found] == [(str, {"quick": "x"})]


@virtual_time
async def test_who_waits_in_vain_hears_where_it_stands(env: VirtualEnvironment) -> None:
    async with TaskHub.open("memory://", registry=registry, environment=env) as hub:
        handle = await hub.client.start(waits)
        with pytest.raises(WaitTimeoutError, match="pending; is a worker running that registers"):
            await handle.wait(timeout=1)
        later = await hub.client.start(waits, start_at=3600)
        with pytest.raises(WaitTimeoutError, match="was started with start_at"):
            await later.wait(timeout=1)
        async with hub.worker():
            with pytest.raises(WaitTimeoutError, match="within 1 s: it is running"):
                await handle.wait(timeout=1)
            await handle.suspend()
            with pytest.raises(WaitTimeoutError, match="it is suspended, until resume"):
                await handle.wait(timeout=1)
            stalled = await hub.client.start(stalls)
            with pytest.raises(WaitTimeoutError, match=r"(?s)it is parked, .*not durable.*stalls"):
                await hub.client.wait_for_end(stalled, timeout=60)


@virtual_time
async def test_nobody_waits_for_the_result_of_what_is_parked(env: VirtualEnvironment) -> None:
    """Whether it is parked before somebody waits, or meanwhile; put back, it can be waited for again."""
    async with TaskHub.open("memory://", registry=registry, environment=env) as hub:
        async with hub.worker():
            stalled = await hub.client.start(stalls)
            with pytest.raises(
                InstanceParkedError, match=r"(?s)is parked, until.*stalls"
            ) as caught:
                await stalled.wait()
            assert "not durable" in caught.value.reason
            assert env.monotonic() < 10
            with pytest.raises(InstanceParkedError):
                await hub.client.wait(stalled.instance_id, str)
        assert await hub.client.unpark(stalled)
        with pytest.raises(WaitTimeoutError):
            await stalled.wait(timeout=1)
        await stalled.terminate()
        async with hub.worker():
            with pytest.raises(OrchestrationTerminatedError):
                await stalled.wait()


@pytest.mark.parametrize(
    "verb",
    [
        "start",
        "get",
        "query",
        "signal_entity",
        "call_entity",
        "get_entity",
        "query_entities",
        "clean_entities",
        "statistics",
    ],
)
async def test_an_orchestrator_cannot_ask_the_client(
    verb: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The instance is tried again; the store's threads and everybody else go on."""
    url = f"sqlite:///{tmp_path}/hub.db"
    async with TaskHub.open(url, registry=registry) as hub, hub.worker(poll_seconds=0.01):
        hubs.append(hub)
        handle = await hub.client.start(asks, verb)
        while not caplog.records:
            await asyncio.sleep(0)
        assert handle.instance_id in caplog.records[0].getMessage()
        assert verb == "statistics" or "let an activity call the client" in caplog.text
        other = await hub.client.start(asks_through_an_activity)
        assert await other.wait(timeout=30) == "quick"
        count = len((await hub.client.query_page())[0])
    assert count == 3, "it started nothing"


async def test_a_full_mailbox_names_its_own_limit(
    postgres_server: ThrowawayPostgres, fresh_name: str
) -> None:
    async with TaskHub.open(f"{postgres_server.dsn}?letters_max=2", hub=fresh_name) as hub:
        handle = await hub.client.start("unknown")
        for number in range(2):
            await handle.raise_event("said", number)
        with pytest.raises(OverloadedError, match="limit of 2:"):
            await handle.raise_event("said")
