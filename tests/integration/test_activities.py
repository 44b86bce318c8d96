"""Activities: how they are called, tried again, and told apart."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Any

import anyio
import pytest

from durable_async import (
    ActivityFailedError,
    ActivityOptions,
    NonRetryableError,
    OrchestrationContext,
    OrchestrationFailedError,
    OutsideOrchestrationError,
    Registry,
    RetryPolicy,
    ValidationError,
    activity_context,
)
from durable_async.model.history import ActivityFailed
from durable_async.testing import VirtualEnvironment, virtual_time

from .worlds import MINUTE, World, doomed, ran, recorded, until, until_recorded

registry = Registry()


@dataclass
class Item:
    name: str
    price: float = 1.5


class CardDeclinedError(Exception):
    pass


class ExpiredCardError(CardDeclinedError):
    pass


class GivenUpError(NonRetryableError):
    pass


class MarkedError(Exception):
    non_retryable = True


KINDS: dict[str, type[Exception]] = {
    "declined": CardDeclinedError,
    "expired": ExpiredCardError,
    "given up": GivenUpError,
    "marked": MarkedError,
    "value": ValueError,
    "exit": SystemExit,  # type: ignore[dict-item]
}


@registry.activity
async def several(item: Item, count: int = 2, *, tag: str = "none") -> dict[str, Any]:
    return {"name": item.name, "price": item.price, "count": count, "tag": tag}


@registry.activity
def blocking(number: int) -> list[Any]:
    return [number + 1, threading.current_thread() is threading.main_thread()]


@registry.activity
async def nothing() -> None:
    ran.append("nothing")


@registry.activity
async def flaky(kind: str, fails: int) -> str:
    context = activity_context()
    ran.append((context.attempt, round(anyio.current_time(), 3), context.idempotency_key))
    if context.attempt <= fails:
        raise KINDS[kind](f"attempt {context.attempt}")
    return f"done at attempt {context.attempt}"


@registry.activity(name="shop.charge", retry=RetryPolicy(max_attempts=2, first_delay=1))
async def charge(kind: str) -> str:
    ran.append(activity_context().attempt)
    raise KINDS[kind]("no")


@registry.activity
async def about_me() -> dict[str, Any]:
    context = activity_context()
    return {
        "name": context.name,
        "instance": context.instance_id,
        "execution": context.execution,
        "seq": context.seq,
        "attempt": context.attempt,
        "key": context.idempotency_key,
        "deadline": context.deadline,
        "cancelled": context.is_cancelled,
    }


@registry.activity
async def unstorable() -> object:
    ran.append("unstorable")
    return object()


def policy(**options: Any) -> RetryPolicy:
    return RetryPolicy(**{"max_attempts": 5, "first_delay": 1.0, "backoff": 2.0, **options})


POLICIES: dict[str, RetryPolicy] = {
    "plain": policy(),
    "capped": policy(max_delay=3.0, max_attempts=6),
    "as timedeltas": policy(first_delay=timedelta(seconds=1), max_delay=timedelta(seconds=3)),
    "jittered": policy(jitter=1.0, first_delay=100.0, backoff=1.0),
    "elapsed": policy(max_attempts=100, max_elapsed=14.0),
    "not declined": policy(non_retryable=(CardDeclinedError,)),
    "not by full name": policy(non_retryable=(f"{__name__}.CardDeclinedError",)),
    "not by name": policy(non_retryable=("CardDeclinedError",)),
    "once": policy(max_attempts=1),
}


@registry.orchestrator
async def call_flaky(ctx: OrchestrationContext, call: tuple[str, str, int]) -> str:
    name, kind, fails = call
    return await ctx.call_activity(flaky.with_options(retry=POLICIES[name]), kind, fails)


@registry.orchestrator
async def call_charge(ctx: OrchestrationContext, kind: str) -> str:
    return await ctx.call_activity(charge, kind)


@registry.orchestrator
async def call_all(ctx: OrchestrationContext) -> list[Any]:
    await ctx.call_activity(nothing)
    return [
        await ctx.call_activity(several, Item("pen")),
        await ctx.call_activity(several, Item("ink", 2.0), 5, tag="blue"),
        await ctx.call_activity(several, item=Item("nib"), count=1),
        await ctx.call_activity("several", {"item": Item("by name"), "count": 9}),
        await ctx.call_activity("blocking", 1, result_type=list[Any]),
    ]


@registry.orchestrator
async def call_by_name(ctx: OrchestrationContext) -> str:
    options = ActivityOptions(retry=policy())
    arguments = {"kind": "value", "fails": 2}
    return await ctx.call_activity("flaky", arguments, result_type=str, options=options)


@registry.orchestrator
async def call_about_me(ctx: OrchestrationContext) -> list[dict[str, Any]]:
    return [
        await ctx.call_activity(about_me),
        await ctx.call_activity(about_me.with_options(start_to_close=30)),
    ]


@registry.orchestrator
async def call_wrongly(ctx: OrchestrationContext, how: str) -> str:
    call: Any = ctx.call_activity
    try:
        match how:
            case "too few":
                await call(several)
            case "too many":
                await call(several, Item("a"), 1, "x", "y")
            case "unknown keyword":
                await call(several, Item("a"), colour="red")
            case "not an activity":
                await call(print, "x")
            case "not storable":
                await call(blocking, object())
            case _:
                await call("", 1)
    except (ValidationError, TypeError) as error:
        return f"{type(error).__name__}: {error}"
    return "it was accepted"


@registry.orchestrator
async def call_unstorable(ctx: OrchestrationContext) -> None:
    await ctx.call_activity(unstorable.with_options(retry=policy()))


@registry.orchestrator
async def call_mistyped(ctx: OrchestrationContext) -> str:
    try:
        await ctx.call_activity("blocking", "not a number")
    except ActivityFailedError as error:
        return f"{error.failure.error_type}, final: {error.failure.non_retryable}"
    return "it was accepted"


@virtual_time
async def test_every_way_to_call_one(env: VirtualEnvironment, world: World) -> None:
    async with world.running(env, registry) as hub:
        handle = await hub.client.start(call_all)
        results = await handle.wait()
    assert results == [
        {"name": "pen", "price": 1.5, "count": 2, "tag": "none"},
        {"name": "ink", "price": 2.0, "count": 5, "tag": "blue"},
        {"name": "nib", "price": 1.5, "count": 1, "tag": "none"},
        {"name": "by name", "price": 1.5, "count": 9, "tag": "none"},
        [2, True],  # virtual time has no threads
    ]
    assert ran == ["nothing"]


async def test_a_plain_function_runs_in_a_thread(world: World) -> None:
    async with world.real_hub(registry) as hub, hub.worker():
        handle = await hub.client.start(call_all)
        assert (await handle.wait(30))[-1] == [2, False]


@virtual_time
async def test_what_one_sees_of_itself(env: VirtualEnvironment, world: World) -> None:
    async with world.running(env, registry) as hub:
        handle = await hub.client.start(call_about_me, instance_id="I")
        first, second = await handle.wait()
    assert first == {
        "name": "about_me",
        "instance": "I",
        "execution": 1,
        "seq": 1,
        "attempt": 1,
        "key": "default/I/1/1",
        "deadline": None,
        "cancelled": False,
    }
    assert second["seq"] == 2
    assert second["deadline"].startswith("2026-01-01T00:00:3")


def test_there_is_no_context_outside() -> None:
    with pytest.raises(OutsideOrchestrationError, match="outside an activity"):
        activity_context()


async def test_the_plain_function_can_be_called_in_tests() -> None:
    assert await several(Item("pen"), 3) == {"name": "pen", "price": 1.5, "count": 3, "tag": "none"}
    assert blocking(1)[0] == 2


@pytest.mark.parametrize(
    ("name", "pauses"),
    [
        ("plain", [1, 2, 4, 8]),
        ("capped", [1, 2, 3, 3, 3]),
        ("as timedeltas", [1, 2, 3, 3]),
        ("elapsed", [1, 2, 4]),
        ("once", []),
    ],
)
@virtual_time
async def test_pauses_between_attempts(
    env: VirtualEnvironment, world: World, name: str, pauses: list[float]
) -> None:
    async with world.running(env, registry) as hub:
        handle = await hub.client.start(call_flaky, (name, "value", 1000))
        with pytest.raises(OrchestrationFailedError) as caught:
            await handle.wait()
    times = [at for _, at, _ in ran]
    assert [attempt for attempt, _, _ in ran] == list(range(1, len(pauses) + 2))
    assert [later - before for before, later in pairwise(times)] == [
        pytest.approx(pause, abs=0.2) for pause in pauses
    ]
    cause = caught.value.failure.cause
    assert cause is not None
    assert cause.message == f"attempt {len(pauses) + 1}"  # the last failure is the one that is told


@virtual_time
async def test_a_later_attempt_may_succeed(env: VirtualEnvironment, world: World) -> None:
    async with world.running(env, registry) as hub:
        handle = await hub.client.start(call_flaky, ("plain", "exit", 2))
        assert await handle.wait() == "done at attempt 3"
        kinds = await recorded(hub, handle)
    assert kinds.count("ActivityScheduled") == 1
    assert kinds.count("ActivityFailed") == kinds.count("ActivityRetried") == 2


@virtual_time
async def test_all_attempts_of_one_call_share_a_key_and_no_other_call_has_it(
    env: VirtualEnvironment, world: World
) -> None:
    async with world.running(env, registry) as hub:
        for _ in range(2):
            await (await hub.client.start(call_flaky, ("plain", "value", 3))).wait()
    keys = [key for _, _, key in ran]
    assert len(keys) == 8
    assert len(set(keys[:4])) == len(set(keys[4:])) == 1
    assert keys[0] != keys[4]


@virtual_time
async def test_jitter_shortens_pauses_and_is_drawn_once(
    env: VirtualEnvironment, world: World
) -> None:
    async with world.hub(env, registry) as hub:
        handle = await hub.client.start(call_flaky, ("jittered", "value", 3), instance_id="J")
        async with doomed(hub):
            await until_recorded(hub, handle, "ActivityFailed")
        first = [e for e in await hub.client.history(handle) if isinstance(e, ActivityFailed)]
        async with hub.worker():
            assert await handle.wait() == "done at attempt 4"
        later = [e for e in await hub.client.history(handle) if isinstance(e, ActivityFailed)]
    assert later[0].retry_at_us == first[0].retry_at_us  # replayed, not drawn again
    times = [at for _, at, _ in ran]
    pauses = [after - before for before, after in pairwise(times)]
    assert len({round(pause) for pause in pauses[1:]}) > 1
    assert all(pause < 100.1 for pause in pauses[1:])


@pytest.mark.parametrize(
    ("name", "kind", "attempts"),
    [
        ("not declined", "declined", 1),
        ("not declined", "value", 5),
        ("not by full name", "declined", 1),
        ("not by name", "declined", 1),
        ("not by name", "value", 5),
        ("plain", "given up", 1),
        ("plain", "marked", 1),
    ],
)
@virtual_time
async def test_errors_that_are_final_at_once(
    env: VirtualEnvironment, world: World, name: str, kind: str, attempts: int
) -> None:
    async with world.running(env, registry) as hub:
        handle = await hub.client.start(call_flaky, (name, kind, 1000))
        with pytest.raises(OrchestrationFailedError):
            await handle.wait()
    assert len(ran) == attempts


@virtual_time
async def test_retries_by_the_decorators_options(env: VirtualEnvironment, world: World) -> None:
    async with world.running(env, registry) as hub:
        handle = await hub.client.start(call_charge, "value")
        with pytest.raises(OrchestrationFailedError, match=r"shop\.charge"):
            await handle.wait()
    assert ran == [1, 2]


@virtual_time
async def test_retries_by_name(env: VirtualEnvironment, world: World) -> None:
    async with world.running(env, registry) as hub:
        handle = await hub.client.start(call_by_name)
        assert await handle.wait() == "done at attempt 3"


@virtual_time
async def test_a_pause_goes_on_over_a_crash(env: VirtualEnvironment, world: World) -> None:
    async with world.hub(env, registry) as hub:
        handle = await hub.client.start(call_flaky, ("plain", "value", 2))
        async with doomed(hub):
            await until_recorded(hub, handle, "ActivityFailed", times=2)
        async with hub.worker():
            assert await handle.wait() == "done at attempt 3"
    assert [attempt for attempt, _, _ in ran] == [1, 2, 3]


@virtual_time
async def test_an_attempt_that_a_crash_cut_off_is_begun_again(
    env: VirtualEnvironment, world: World
) -> None:
    async with world.hub(env, registry) as hub:
        handle = await hub.client.start(call_flaky, ("plain", "value", 0))
        async with doomed(hub) as die:
            await until(lambda: ran)
            die()
        async with hub.worker():
            assert await handle.wait() == "done at attempt 1"
    assert [attempt for attempt, _, _ in ran] in ([1], [1, 1])
    assert len({key for _, _, key in ran}) == 1


@pytest.mark.parametrize(
    ("how", "text"),
    [
        ("too few", "item"),
        ("too many", "argument"),
        ("unknown keyword", "colour"),
        ("not an activity", "@activity"),
        ("not storable", "EncodeError: activity 'blocking' input at $"),
        ("empty name", "is empty"),
    ],
)
@virtual_time
async def test_a_wrong_call_raises_where_it_is_made(
    env: VirtualEnvironment, world: World, how: str, text: str
) -> None:
    async with world.running(env, registry) as hub:
        handle = await hub.client.start(call_wrongly, how)
        assert text in await handle.wait(timeout=MINUTE)
        assert "ActivityScheduled" not in await recorded(hub, handle)


@virtual_time
async def test_a_result_that_cannot_be_stored_is_not_tried_again(
    env: VirtualEnvironment, world: World
) -> None:
    async with world.running(env, registry) as hub:
        handle = await hub.client.start(call_unstorable)
        with pytest.raises(OrchestrationFailedError, match="EncodeError"):
            await handle.wait()
    assert ran == ["unstorable"]


@virtual_time
async def test_an_input_that_does_not_fit_is_final(env: VirtualEnvironment, world: World) -> None:
    async with world.running(env, registry) as hub:
        handle = await hub.client.start(call_mistyped)
        assert await handle.wait() == "durable_async.errors.DecodeError, final: True"
