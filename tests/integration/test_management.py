"""Watching and steering: custom status, suspend, resume, terminate, purge, wait."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import anyio
import pytest

from durable_async import (
    InstanceNotFoundError,
    InvalidTransitionError,
    OrchestrationContext,
    OrchestrationFailedError,
    OrchestrationTerminatedError,
    Registry,
    Status,
    WaitTimeoutError,
)
from durable_async.testing import VirtualEnvironment, virtual_time

from .worlds import DAY, HOUR, MINUTE, World, doomed, elapsed, ran, recorded, until, until_recorded

registry = Registry()


@dataclass
class Progress:
    done: int
    of: int


@registry.activity
async def work(seconds: float) -> str:
    ran.append("begun")
    try:
        await anyio.sleep(seconds)
    except asyncio.CancelledError:
        ran.append("cleaned up")
        raise
    ran.append("ended")
    return "worked"


@registry.orchestrator
async def progressing(ctx: OrchestrationContext, of: int) -> str:
    for done in range(of):
        ctx.set_custom_status(Progress(done, of))
        await ctx.create_timer(MINUTE)
    ctx.set_custom_status(None)
    await ctx.create_timer(MINUTE)
    ctx.set_custom_status("last words")
    return "done"


@registry.orchestrator
async def working(ctx: OrchestrationContext, seconds: float) -> str:
    first = await ctx.call_activity(work, seconds)
    await ctx.create_timer(MINUTE)
    return first + await ctx.wait_for_external_event("end", str)


@registry.orchestrator
async def waiting(ctx: OrchestrationContext) -> str:
    return await ctx.wait_for_external_event("go", str)


@registry.orchestrator
async def failing(ctx: OrchestrationContext) -> None:
    raise LookupError("lost")


@registry.orchestrator
async def family(ctx: OrchestrationContext, depth: int) -> int:
    if depth == 0:
        return await ctx.call_activity(work, HOUR) and 1
    children = [
        ctx.call_sub_orchestrator(family, depth - 1, instance_id=f"{ctx.instance_id}.{number}")
        for number in range(2)
    ]
    return sum(await asyncio.gather(*children))


async def status_of(handle: Any) -> Status:
    state = await handle.get()
    assert state is not None
    status: Status = state.status
    return status


@virtual_time
async def test_custom_status(env: VirtualEnvironment, world: World) -> None:
    async with world.running(env, registry) as hub:
        handle = await hub.client.start(progressing, 3)
        seen: list[Any] = []
        for _ in range(4):
            await anyio.sleep(30)
            state = await handle.get()
            assert state is not None
            seen.append(state.custom_status() and state.custom_status(Progress))
            await anyio.sleep(30)
        assert seen == [Progress(0, 3), Progress(1, 3), Progress(2, 3), None]
        assert await handle.wait() == "done"
        state = await handle.get()
        assert state is not None
        assert state.custom_status(str) == "last words"


@virtual_time
async def test_custom_status_after_a_crash(env: VirtualEnvironment, world: World) -> None:
    async with world.hub(env, registry) as hub:
        handle = await hub.client.start(progressing, 3)
        async with doomed(hub):
            await anyio.sleep(1.5 * MINUTE)
        state = await handle.get()
        assert state is not None
        assert state.custom_status(Progress) == Progress(1, 3)
        async with hub.worker():
            assert await handle.wait() == "done"


@virtual_time
async def test_suspended_nothing_of_its_code_runs(env: VirtualEnvironment, world: World) -> None:
    async with world.running(env, registry) as hub:
        handle = await hub.client.start(working, 10.0)
        await until(lambda: ran)
        await hub.client.suspend(handle, "a break")
        await hub.client.raise_event(handle, "end", "!")
        await anyio.sleep(DAY)
        assert await status_of(handle) is Status.SUSPENDED
        assert ran == ["begun", "ended"]  # what runs goes on; its result waits
        assert "TimerCreated" not in await recorded(hub, handle)
        await hub.client.resume(handle, "break's over")
        await until_recorded(hub, handle, "TimerCreated")
        assert await status_of(handle) is Status.RUNNING
        assert await handle.wait() == "worked!"
        assert DAY + MINUTE <= elapsed(env) < DAY + MINUTE + 20
    assert ran == ["begun", "ended"]


@virtual_time
async def test_a_timer_that_is_due_waits_for_the_end_of_a_suspension(
    env: VirtualEnvironment, world: World
) -> None:
    async with world.running(env, registry) as hub:
        handle = await hub.client.start(working, 1.0)
        await until_recorded(hub, handle, "TimerCreated")
        await handle.suspend()
        await handle.suspend()  # twice is once
        await anyio.sleep(DAY)
        assert "TimerFired" not in await recorded(hub, handle)
        await handle.resume()
        await handle.resume()
        await until_recorded(hub, handle, "TimerFired")
        await handle.raise_event("end", "?")
        assert await handle.wait() == "worked?"
        kinds = await recorded(hub, handle)
        assert kinds.count("ExecutionSuspended") == kinds.count("ExecutionResumed") == 1


@virtual_time
async def test_suspension_before_the_start_and_over_a_crash(
    env: VirtualEnvironment, world: World
) -> None:
    async with world.hub(env, registry) as hub:
        handle = await hub.client.start(working, 1.0)
        await handle.suspend()
        async with doomed(hub):
            await anyio.sleep(HOUR)
            assert await status_of(handle) is Status.SUSPENDED
        async with hub.worker():
            await anyio.sleep(HOUR)
            assert ran == []
            await handle.raise_event("end", "...")
            await handle.resume()
            assert await handle.wait() == "worked..."


@virtual_time
async def test_a_suspended_one_can_be_terminated(env: VirtualEnvironment, world: World) -> None:
    async with world.running(env, registry) as hub:
        handle = await hub.client.start(working, HOUR)
        await until(lambda: ran)
        await handle.suspend()
        await anyio.sleep(1)
        await handle.terminate()
        with pytest.raises(OrchestrationTerminatedError):
            await handle.wait(timeout=MINUTE)
        await anyio.sleep(1)
    assert ran == ["begun", "cleaned up"]


@virtual_time
async def test_what_has_ended_is_not_suspended(env: VirtualEnvironment, world: World) -> None:
    async with world.running(env, registry) as hub:
        handle = await hub.client.start(failing)
        await hub.client.wait_for_end(handle)
        for verb in (hub.client.suspend, hub.client.resume):
            with pytest.raises(InvalidTransitionError, match="ended"):
                await verb(handle)
        await hub.client.terminate(handle)  # nothing happens
        assert await status_of(handle) is Status.FAILED


@virtual_time
async def test_the_missing(env: VirtualEnvironment, world: World) -> None:
    async with world.running(env, registry) as hub:
        client = hub.client
        assert await client.get("missing") is None
        assert await client.purge("missing") == 0
        assert await client.unpark("missing") is False
        for call in (
            client.suspend,
            client.resume,
            client.terminate,
            client.rewind,
            client.restart,
            client.history,
            client.wait,
            client.wait_for_start,
            client.wait_for_end,
        ):
            with pytest.raises(InstanceNotFoundError, match="'missing'"):
                await call("missing")


@virtual_time
async def test_termination_before_the_start(env: VirtualEnvironment, world: World) -> None:
    async with world.hub(env, registry) as hub:
        handle = await hub.client.start(working, 1.0)
        await handle.terminate({"why": "changed my mind"})
        async with hub.worker():
            with pytest.raises(OrchestrationTerminatedError) as caught:
                await handle.wait(timeout=MINUTE)
    assert caught.value.output == {"why": "changed my mind"}
    assert ran == []


@virtual_time
async def test_termination_of_what_is_put_off(env: VirtualEnvironment, world: World) -> None:
    async with world.running(env, registry) as hub:
        handle = await hub.client.start(working, 1.0, start_at=DAY)
        await anyio.sleep(1)
        await handle.terminate()
        with pytest.raises(OrchestrationTerminatedError):
            await handle.wait(timeout=MINUTE)


@virtual_time
async def test_termination_of_a_family_cancels_all_its_activities(
    env: VirtualEnvironment, world: World
) -> None:
    async with world.running(env, registry) as hub:
        handle = await hub.client.start(family, 2, instance_id="F")
        await until(lambda: len(ran) == 4)
        await handle.terminate()
        for instance_id in ("F", "F.0", "F.1", "F.0.0", "F.0.1", "F.1.0", "F.1.1"):
            state = await hub.client.wait_for_end(instance_id, timeout=MINUTE)
            assert state.status is Status.TERMINATED
        await anyio.sleep(1)
    assert ran == ["begun"] * 4 + ["cleaned up"] * 4


@pytest.mark.parametrize("recursive", [True, False])
@virtual_time
async def test_purge(env: VirtualEnvironment, world: World, recursive: bool) -> None:
    async with world.running(env, registry) as hub:
        handle = await hub.client.start(family, 2, instance_id="F")
        assert await hub.client.purge(handle) == 0  # it has not ended
        assert await handle.wait() == 4
        assert await hub.client.purge(handle, recursive=recursive) == (7 if recursive else 1)
        assert await hub.client.get("F") is None
        left = [state.instance_id async for state in hub.client.query()]
        assert len(left) == (0 if recursive else 6)
        with pytest.raises(InstanceNotFoundError):
            await hub.client.history("F")


@virtual_time
async def test_a_purged_id_goes_on_at_a_higher_execution(
    env: VirtualEnvironment, world: World
) -> None:
    async with world.running(env, registry) as hub:
        for execution in range(1, 4):
            handle = await hub.client.start(waiting, instance_id="again")
            await handle.raise_event("go", "!")
            assert await handle.wait() == "!"
            state = await handle.get()
            assert state is not None
            assert state.execution == execution
            assert await hub.client.purge("again") == 1


@virtual_time
async def test_purge_of_many(env: VirtualEnvironment, world: World) -> None:
    async with world.running(env, registry) as hub:
        ended = await hub.client.start_many(working, [0.0] * 7, tags={"batch": "old"})
        for handle in ended:
            await handle.raise_event("end", "")
            await handle.wait()
        alive = await hub.client.start(waiting, tags={"batch": "old"})
        other = await hub.client.start(failing, tags={"batch": "new"})
        await hub.client.wait_for_end(other)
        assert await hub.client.purge_where(batch=3, tags={"batch": "old"}) == 7
        assert await status_of(alive) is Status.RUNNING
        assert await status_of(other) is Status.FAILED


@virtual_time
async def test_waiting(env: VirtualEnvironment, world: World) -> None:
    async with world.hub(env, registry) as hub:
        handle = await hub.client.start(waiting)
        with pytest.raises(WaitTimeoutError, match="did not start within 60 s") as caught:
            await hub.client.wait_for_start(handle, timeout=MINUTE)
        assert isinstance(caught.value, TimeoutError)
        async with hub.worker():
            state = await hub.client.wait_for_start(handle, timeout=MINUTE)
            assert state.status is Status.RUNNING
            with pytest.raises(WaitTimeoutError, match="did not end within 60 s"):
                await handle.wait(timeout=MINUTE)
            async with anyio.create_task_group() as group:
                results: list[str] = []

                async def wait() -> None:
                    results.append(await handle.wait())

                for _ in range(20):
                    group.start_soon(wait)
                await anyio.sleep(HOUR)
                heard_from = env.monotonic()
                await handle.raise_event("go", "gone")
            assert results == ["gone"] * 20
            assert env.monotonic() - heard_from < 1  # by a hint, not by looking again
            assert (await hub.client.wait_for_start(handle)).status is Status.COMPLETED


@virtual_time
async def test_what_a_failure_tells(env: VirtualEnvironment, world: World) -> None:
    async with world.running(env, registry) as hub:
        handle = await hub.client.start(failing, instance_id="sad")
        with pytest.raises(OrchestrationFailedError) as caught:
            await hub.client.wait("sad")
        state = await hub.client.wait_for_end(handle)
    assert "orchestration 'failing' (sad) failed: LookupError: lost" in str(caught.value)
    assert "raise LookupError" in caught.value.failure.stack_trace
    assert state.failure == caught.value.failure
    assert state.is_ended


@virtual_time
async def test_states_and_handles(env: VirtualEnvironment, world: World) -> None:
    async with world.running(env, registry) as hub:
        handle = await hub.client.start(
            working, 5.0, instance_id="S", version="1", tags={"who": "me"}
        )
        assert handle.created
        await until(lambda: ran)
        state = await hub.client.get("S")
        assert state is not None
        assert (state.name, state.version, state.tags) == ("working", "1", {"who": "me"})
        assert state.input(float) == 5.0
        assert state.output() is None
        assert state.completed_at is None
        assert state.created_at.year == 2026
        assert not state.is_ended
        lean = await hub.client.get("S", payloads=False)
        assert lean is not None
        assert lean.input() is None
        again = hub.client.handle("S", str)
        await again.raise_event("end", "")
        assert await again.wait() == "worked"
        assert await hub.client.wait("S", str) == "worked"
        ended = await again.get()
        assert ended is not None
        assert ended.completed_at is not None
        assert (ended.completed_at - ended.created_at).total_seconds() == pytest.approx(65, abs=1)
        assert ended.output(str) == "worked"
