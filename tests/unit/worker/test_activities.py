"""Where activities run: here, in line, or through the hub's queue."""

from __future__ import annotations

import asyncio
from collections import Counter

import anyio
import pytest

from durable_async import (
    ActivityFailedError,
    OrchestrationContext,
    OrchestrationFailedError,
    Registry,
    RetryPolicy,
    Status,
    activity_context,
)
from durable_async.backends.memory.store import MemoryStore
from durable_async.testing import VirtualEnvironment, run_virtual, virtual_time

from .hubs import opened

registry = Registry()
runs: Counter[int] = Counter()
peak: list[int] = [0, 0]
stopped: list[int] = []


@registry.activity
async def work(number: int) -> int:
    runs[number] += 1
    peak[0] += 1
    peak[1] = max(peak)
    try:
        await asyncio.sleep(1)
    except asyncio.CancelledError:
        stopped.append(number)
        raise
    finally:
        peak[0] -= 1
    return number


@registry.orchestrator
async def fan_out(ctx: OrchestrationContext, size: int) -> int:
    return sum(await asyncio.gather(*[ctx.call_activity(work, number) for number in range(size)]))


@registry.orchestrator
async def first_of(ctx: OrchestrationContext, size: int) -> str:
    try:
        async with asyncio.timeout(0.5):
            await asyncio.gather(*[ctx.call_activity(work, number) for number in range(size)])
    except TimeoutError:
        return "gave up"
    return "done"


@registry.orchestrator
async def calls_elsewhere(ctx: OrchestrationContext) -> str:
    return await ctx.call_activity("only_there", "x", result_type=str)


@pytest.fixture(autouse=True)
def forget() -> None:
    runs.clear()
    stopped.clear()
    peak[:] = [0, 0]


@virtual_time
async def test_no_more_run_than_the_bound_and_the_rest_wait_in_line(
    env: VirtualEnvironment,
) -> None:
    """Each runs once; 40 of a second each, 4 at a time, take 10 seconds."""
    async with opened(env, registry) as (hub, _), hub.worker(activities_max=4):
        begin = env.monotonic()
        handle = await hub.client.start(fan_out, 40)
        assert await handle.wait(timeout=60) == sum(range(40))
        assert 10 <= env.monotonic() - begin < 12

    assert set(runs.values()) == {1}
    assert len(runs) == 40
    assert peak[1] == 4


@virtual_time
async def test_what_exceeds_the_line_goes_through_the_queue(env: VirtualEnvironment) -> None:
    """Two workers share it; each activity still runs once."""
    store = MemoryStore(env)
    bounds = {"activities_max": 3, "backlog_max": 5}
    async with (
        opened(env, registry, store) as (hub, _),
        opened(env, registry, store) as (other, _),
        hub.worker(**bounds),
        other.worker(**bounds),
    ):
        handle = await hub.client.start(fan_out, 60)
        await anyio.sleep(0.5)
        assert (await hub.statistics()).queued_activities > 0
        assert await handle.wait(timeout=120) == sum(range(60))
        assert (await hub.statistics()).queued_activities == 0

    assert set(runs.values()) == {1}
    assert len(runs) == 60


@virtual_time
async def test_calls_that_are_on_their_way_to_the_store_have_their_room(
    env: VirtualEnvironment,
) -> None:
    """Several that fan out at one moment do not each take all the room that there is."""
    bounds = {"activities_max": 3, "backlog_max": 5}
    async with opened(env, registry) as (hub, _), hub.worker(**bounds) as worker:
        handles = [await hub.client.start(fan_out, 10) for _ in range(4)]
        session = worker._session
        assert session is not None
        runner = session._turns.calls.runner
        assert runner is not None
        most = 0
        while (await hub.statistics()).by_status[Status.COMPLETED] < 4:
            most = max(most, runner.running + len(runner._line))
            await anyio.lowlevel.checkpoint() if most < 8 else await anyio.sleep(1)
        for handle in handles:
            assert await handle.wait(timeout=1) == sum(range(10))
        assert most == 8
        assert runner.promised == 0


@virtual_time
async def test_giving_up_stops_what_runs_and_takes_back_what_is_queued(
    env: VirtualEnvironment,
) -> None:
    """Nothing that was not begun is begun later."""
    async with opened(env, registry) as (hub, _), hub.worker(activities_max=2, backlog_max=2):
        handle = await hub.client.start(first_of, 10)
        assert await handle.wait(timeout=60) == "gave up"
        await anyio.sleep(30)
        assert (await hub.statistics()).queued_activities == 0

    assert len(runs) == 2
    assert sorted(stopped) == sorted(runs)


@virtual_time
async def test_an_activity_that_only_another_worker_knows_runs_there(
    env: VirtualEnvironment,
) -> None:
    """It goes through the queue, and its result comes back."""
    elsewhere = Registry()

    @elsewhere.activity
    async def only_there(text: str) -> str:
        return f"{text} from there"

    store = MemoryStore(env)
    async with (
        opened(env, registry, store) as (hub, _),
        opened(env, elsewhere, store) as (other, _),
        hub.worker(),
        other.worker(),
    ):
        handle = await hub.client.start(calls_elsewhere)
        assert await handle.wait(timeout=60) == "x from there"


@virtual_time
async def test_an_activity_that_nobody_knows_fails_after_the_grace_time(
    env: VirtualEnvironment,
) -> None:
    """With the name, and what to do."""
    async with opened(env, registry) as (hub, _), hub.worker(unregistered_grace_seconds=5):
        begin = env.monotonic()
        handle = await hub.client.start(calls_elsewhere)
        with pytest.raises(OrchestrationFailedError) as caught:
            await handle.wait(timeout=60)
        assert 5 <= env.monotonic() - begin < 7
        assert (await hub.statistics()).queued_activities == 0

    failure = caught.value.failure
    assert failure.is_type(ActivityFailedError.__name__)
    assert failure.cause is not None
    assert failure.cause.is_type("NotRegisteredError")
    assert "only_there" in failure.cause.message


@virtual_time
async def test_what_was_said_right_before_a_failure_reaches_the_next_attempt(
    env: VirtualEnvironment,
) -> None:
    """The failure does not overtake the heartbeat."""
    own = Registry()
    found: list[int | None] = []

    @own.activity(retry=RetryPolicy(max_attempts=3, first_delay=1.0))
    async def climbing() -> int:
        step = activity_context().heartbeat_details(int)
        found.append(step)
        activity_context().heartbeat((step or 0) + 7)
        if len(found) < 3:
            raise ConnectionError("try again")
        return len(found)

    @own.orchestrator
    async def climb(ctx: OrchestrationContext) -> int:
        return await ctx.call_activity(climbing)

    async with opened(env, own) as (hub, _), hub.worker():
        assert await (await hub.client.start(climb)).wait(timeout=60) == 3

    assert found == [None, 7, 14]


@virtual_time
async def test_a_cancellation_that_nobody_asked_for_is_the_activitys_own_failure(
    env: VirtualEnvironment,
) -> None:
    """Awaiting what somebody else cancelled, say; it neither goes unheard nor ends the worker."""
    own = Registry()

    @own.activity(retry=RetryPolicy(max_attempts=3, first_delay=1.0))
    async def awaits_what_is_cancelled() -> None:
        runs[activity_context().attempt] += 1
        inner = asyncio.ensure_future(asyncio.sleep(10))
        inner.cancel()
        await inner

    @own.orchestrator
    async def call(ctx: OrchestrationContext) -> None:
        await ctx.call_activity(awaits_what_is_cancelled)

    async with opened(env, own) as (hub, _), hub.worker() as worker:
        identity = worker.worker_id
        with pytest.raises(OrchestrationFailedError) as caught:
            await (await hub.client.start(call)).wait(timeout=60)
        assert worker.worker_id == identity

    assert caught.value.failure.root.is_type("CancelledError")
    assert runs == {1: 1, 2: 1, 3: 1}


@virtual_time
async def test_one_that_runs_on_another_worker_is_not_given_up(env: VirtualEnvironment) -> None:
    """However long it takes there; the grace time is for what nobody has claimed."""
    elsewhere = Registry()

    @elsewhere.activity
    async def only_there(text: str) -> str:
        await asyncio.sleep(60)
        return f"{text} from there"

    store = MemoryStore(env)
    async with (
        opened(env, registry, store) as (hub, _),
        opened(env, elsewhere, store) as (other, _),
        hub.worker(unregistered_grace_seconds=5),
        other.worker(),
    ):
        handle = await hub.client.start(calls_elsewhere)
        assert await handle.wait(timeout=90) == "x from there"
        assert (await hub.statistics()).queued_activities == 0


@pytest.mark.parametrize("is_let_go", [False, True])
def test_one_that_nobody_runs_any_more_fails_whoever_owns_its_caller_by_then(
    is_let_go: bool,
) -> None:
    """The worker that ran it is gone, and the caller was handed to another, or let go by its own."""

    async def main(env: VirtualEnvironment) -> None:
        store = MemoryStore(env)
        limits = {"unregistered_grace_seconds": 5.0}
        async with opened(env, registry, store) as (hub, _):
            async with hub.worker(**limits) as worker:
                handle = await hub.client.start(calls_elsewhere)
                await asyncio.sleep(1)
                if is_let_go:
                    session = worker._session
                    assert session is not None
                    [slot] = session._tools.slots
                    session._release(slot)
                    with pytest.raises(OrchestrationFailedError, match="only_there"):
                        await handle.wait(timeout=30)
                    return
            async with hub.worker(**limits):
                with pytest.raises(OrchestrationFailedError, match="only_there"):
                    await handle.wait(timeout=30)

    run_virtual(main)


@virtual_time
async def test_a_deployment_fails_nothing_that_another_worker_runs(
    env: VirtualEnvironment, caplog: pytest.LogCaptureFixture
) -> None:
    """The only worker that registers it is away for a minute; a warning tells so at once, and only once."""
    elsewhere = Registry()

    @elsewhere.activity
    async def only_there(text: str) -> str:
        return f"{text} from there"

    store = MemoryStore(env)
    async with opened(env, registry, store) as (hub, _), hub.worker():
        handles = [await hub.client.start(calls_elsewhere) for _ in range(3)]
        await asyncio.sleep(60)
        assert sum("not registered here" in one for one in caplog.messages) == 1
        async with opened(env, elsewhere, store) as (other, _), other.worker():
            for handle in handles:
                assert await handle.wait(timeout=10) == "x from there"
