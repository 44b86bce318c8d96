"""External events: kept until somebody waits, in order, as annotated."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import anyio
import pytest

from durable_async import (
    DecodeError,
    InstanceNotFoundError,
    OrchestrationContext,
    ValidationError,
    when_all,
    when_any,
)
from durable_async.model.history import EventRaised
from durable_async.testing import VirtualEnvironment, virtual_time

from .worlds import DAY, MINUTE, Styles, World, doomed, recorded, until_recorded

styles = Styles()


@dataclass
class Payment:
    amount: int
    at: datetime


class Point(NamedTuple):
    x: int
    y: int


@styles.in_async("collect")
async def collect(ctx: OrchestrationContext, count: int) -> list[int]:
    return [await ctx.wait_for_external_event("number", int) for _ in range(count)]


@styles.in_generator("collect")
def collect_generator(ctx: OrchestrationContext, count: int) -> Generator[Any, Any, list[int]]:
    numbers: list[int] = []
    while len(numbers) < count:
        numbers += [(yield ctx.wait_for_external_event("number", int))]
    return numbers


@styles.in_async("many_waiters")
async def many_waiters(ctx: OrchestrationContext) -> list[int]:
    waits = [ctx.wait_for_external_event("number", int) for _ in range(3)]
    return await asyncio.gather(*waits)


@styles.in_generator("many_waiters")
def many_waiters_generator(ctx: OrchestrationContext) -> Generator[Any, Any, list[int]]:
    waits = [ctx.wait_for_external_event("number", int) for _ in range(3)]
    return (yield when_all(waits))


@styles.in_async("one_or_time_out")
async def one_or_time_out(ctx: OrchestrationContext) -> list[Any]:
    try:
        async with asyncio.timeout(MINUTE):
            return ["event", await ctx.wait_for_external_event("maybe")]
    except TimeoutError:
        return ["timeout", None]


@styles.in_generator("one_or_time_out")
def one_or_time_out_generator(ctx: OrchestrationContext) -> Generator[Any, Any, list[Any]]:
    event = ctx.wait_for_external_event("maybe")
    timer = ctx.create_timer(MINUTE)
    winner = yield when_any([event, timer])  # type: ignore[list-item]
    return ["timeout", None] if winner is timer else ["event", event.result()]


@styles.in_async("given_back")
async def given_back(ctx: OrchestrationContext) -> int:
    first = ctx.wait_for_external_event("number", int)
    second = ctx.wait_for_external_event("number", int)
    await ctx.create_timer(1)
    first.cancel()
    return await second


@styles.in_generator("given_back")
def given_back_generator(ctx: OrchestrationContext) -> Generator[Any, Any, int]:
    first = ctx.wait_for_external_event("number", int)
    second = ctx.wait_for_external_event("number", int)
    yield ctx.create_timer(1)
    first.cancel()
    return (yield second)


@styles.in_async("typed")
async def typed(ctx: OrchestrationContext) -> list[str]:
    payment = await ctx.wait_for_external_event("payment", Payment)
    point = await ctx.wait_for_external_event("point", Point)
    numbers = await ctx.wait_for_external_event("numbers", set[int])
    anything = await ctx.wait_for_external_event("anything")
    return [repr(type(one)) for one in (payment, payment.at, point)] + [
        str(point.x + point.y),
        str(sorted(numbers)),
        str(anything),
    ]


@styles.in_generator("typed")
def typed_generator(ctx: OrchestrationContext) -> Generator[Any, Any, list[str]]:
    payment = yield ctx.wait_for_external_event("payment", Payment)
    point = yield ctx.wait_for_external_event("point", Point)
    numbers = yield ctx.wait_for_external_event("numbers", set[int])
    anything = yield ctx.wait_for_external_event("anything")
    return [repr(type(one)) for one in (payment, payment.at, point)] + [
        str(point.x + point.y),
        str(sorted(numbers)),
        str(anything),
    ]


@styles.in_async("misread")
async def misread(ctx: OrchestrationContext) -> str:
    try:
        await ctx.wait_for_external_event("number", int)
    except DecodeError as error:
        return f"refused {error.where}, then {await ctx.wait_for_external_event('number', int)}"
    return "accepted"


@styles.in_generator("misread")
def misread_generator(ctx: OrchestrationContext) -> Generator[Any, Any, str]:
    try:
        yield ctx.wait_for_external_event("number", int)
    except DecodeError as error:
        return f"refused {error.where}, then {(yield ctx.wait_for_external_event('number', int))}"
    return "accepted"


@styles.in_async("sender")
async def sender(ctx: OrchestrationContext, receiver: str) -> str:
    for number in range(3):
        ctx.send_event(receiver, "number", number)
    await ctx.create_timer(1)
    return "sent"


@styles.in_generator("sender")
def sender_generator(ctx: OrchestrationContext, receiver: str) -> Generator[Any, Any, str]:
    for number in range(3):
        ctx.send_event(receiver, "number", number)
    yield ctx.create_timer(1)
    return "sent"


@styles.in_async("ping")
async def ping(ctx: OrchestrationContext, other: str | None) -> int:
    if other is None:
        sender_id = await ctx.wait_for_external_event("ping", str)
        ctx.send_event(sender_id, "pong", 42)
        return 0
    ctx.send_event(other, "ping", ctx.instance_id)
    return await ctx.wait_for_external_event("pong", int)


@styles.in_generator("ping")
def ping_generator(ctx: OrchestrationContext, other: str | None) -> Generator[Any, Any, int]:
    if other is None:
        sender_id = yield ctx.wait_for_external_event("ping", str)
        ctx.send_event(sender_id, "pong", 42)
        return 0
    ctx.send_event(other, "ping", ctx.instance_id)
    return (yield ctx.wait_for_external_event("pong", int))


@virtual_time
async def test_before_the_wait_and_after_in_order(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with world.hub(env, styles[style]) as hub:
        handle = await hub.client.start("collect", 20)
        for number in range(10):
            await hub.client.raise_event(handle, "number", number)
            await hub.client.raise_event(handle, "other", -number)
        async with hub.worker():
            await until_recorded(hub, handle, "EventRaised", times=10)
            await hub.client.raise_events([(handle, "number", number) for number in range(10, 20)])
            assert await handle.wait() == list(range(20))


@virtual_time
async def test_waiters_are_served_in_order(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with world.running(env, styles[style]) as hub:
        handle = await hub.client.start("many_waiters")
        await hub.client.wait_for_start(handle)
        for number in range(3):
            await hub.client.raise_event(handle, "number", number)
        assert await handle.wait() == [0, 1, 2]


@pytest.mark.parametrize("payload", [None, 0, False, "", [], {}])
@virtual_time
async def test_a_payload_of_nothing_is_no_time_out(
    env: VirtualEnvironment, world: World, style: str, payload: object
) -> None:
    async with world.running(env, styles[style]) as hub:
        handle = await hub.client.start("one_or_time_out")
        await hub.client.raise_event(handle, "maybe", payload)
        assert await handle.wait() == ["event", payload]
        assert env.monotonic() < MINUTE
        other = await hub.client.start("one_or_time_out")
        assert await other.wait() == ["timeout", None]


@virtual_time
async def test_a_wait_that_is_given_back_takes_no_event(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with world.running(env, styles[style]) as hub:
        handle = await hub.client.start("given_back")
        await anyio.sleep(2)
        await hub.client.raise_event(handle, "number", 7)
        assert await handle.wait(timeout=MINUTE) == 7


@virtual_time
async def test_they_arrive_as_annotated(env: VirtualEnvironment, world: World, style: str) -> None:
    async with world.running(env, styles[style]) as hub:
        handle = await hub.client.start("typed")
        await handle.raise_event("payment", Payment(7, datetime(2026, 1, 1)))
        await handle.raise_event("point", Point(3, 4))
        await handle.raise_event("numbers", {3, 1, 2})
        await handle.raise_event("anything", Point(1, 2))
        results = await handle.wait()
    assert "Payment" in results[0]
    assert "datetime" in results[1]
    assert "Point" in results[2]
    assert results[3:] == ["7", "[1, 2, 3]", "[1, 2]"]


@virtual_time
async def test_a_payload_that_does_not_fit_fails_the_wait_alone(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with world.running(env, styles[style]) as hub:
        handle = await hub.client.start("misread")
        await handle.raise_event("number", "seven")
        await handle.raise_event("number", 7)
        assert await handle.wait(timeout=MINUTE) == "refused event 'number' payload, then 7"


@virtual_time
async def test_they_are_kept_over_suspension_and_a_crash(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with world.hub(env, styles[style]) as hub:
        handle = await hub.client.start("collect", 4)
        async with doomed(hub):
            await hub.client.raise_event(handle, "number", 0)
            await until_recorded(hub, handle, "EventRaised")
            await handle.suspend()
            await hub.client.raise_event(handle, "number", 1)
            await until_recorded(hub, handle, "ExecutionSuspended")
            await anyio.sleep(1)
        await hub.client.raise_event(handle, "number", 2)
        async with hub.worker():
            await anyio.sleep(DAY)
            await hub.client.raise_event(handle, "number", 3)
            assert (await recorded(hub, handle)).count("EventRaised") == 1
            await handle.resume()
            assert await handle.wait() == [0, 1, 2, 3]


@virtual_time
async def test_between_orchestrations(env: VirtualEnvironment, world: World, style: str) -> None:
    async with world.running(env, styles[style]) as hub:
        receiver = await hub.client.start("collect", 3, instance_id="receiver")
        assert await (await hub.client.start("sender", "receiver")).wait() == "sent"
        assert await receiver.wait() == [0, 1, 2]
        await hub.client.start("ping", None, instance_id="other")
        asker = await hub.client.start("ping", "other")
        assert await asker.wait() == 42


@virtual_time
async def test_an_orchestration_may_send_to_nobody_and_to_the_dead(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with world.running(env, styles[style]) as hub:
        await (await hub.client.start("collect", 0, instance_id="dead")).wait()
        for receiver in ("dead", "nobody"):
            assert await (await hub.client.start("sender", receiver)).wait() == "sent"
        assert await hub.client.get("nobody") is None


@virtual_time
async def test_a_client_hears_of_the_missing_and_the_dead(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with world.running(env, styles[style]) as hub:
        dead = await hub.client.start("collect", 0)
        await dead.wait()
        assert await hub.client.raise_event(dead, "number", 1) is False
        with pytest.raises(InstanceNotFoundError, match="'missing'"):
            await hub.client.raise_event("missing", "number", 1)
        alive = await hub.client.start("collect", 1)
        events = [("missing", "number", 1), (dead, "number", 1), (alive, "number", 5)]
        assert await hub.client.raise_events(events) == [False, False, True]
        assert await alive.wait() == [5]


@virtual_time
async def test_a_request_id_raises_it_once(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with world.running(env, styles[style]) as hub:
        handle = await hub.client.start("collect", 2)
        for _ in range(3):
            assert await hub.client.raise_event(handle, "number", 1, request_id="R") is True
        await anyio.sleep(MINUTE)
        await hub.client.raise_event(handle, "number", 2)
        assert await handle.wait() == [1, 2]
        told = [e for e in await hub.client.history(handle) if isinstance(e, EventRaised)]
        assert len(told) == 2


@virtual_time
async def test_names_tell_upper_from_lower_case(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    """Durable Task folds the case of event names; here a name is what it is."""
    async with world.running(env, styles[style]) as hub:
        handle = await hub.client.start("collect", 1)
        await hub.client.raise_event(handle, "NUMBER", 1)
        await hub.client.raise_event(handle, "number", 2)
        assert await handle.wait() == [2]


@virtual_time
async def test_a_bad_name_is_refused(env: VirtualEnvironment, world: World, style: str) -> None:
    async with world.hub(env, styles[style]) as hub:
        handle = await hub.client.start("collect", 1)
        for name in ("", "a\0b", "x" * 201, "\ud800"):
            with pytest.raises(ValidationError, match="event name"):
                await hub.client.raise_event(handle, name)
