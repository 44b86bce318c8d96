"""A worker's life: leases, takeover, bounded memory, and ends of every kind."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import anyio
import pytest

from durable_async import OrchestrationContext, Registry, Status, TaskHub, TurnBudgetError
from durable_async.backends.memory.store import MemoryStore
from durable_async.errors import BackendUnavailableError, FencedError
from durable_async.model.records import CommitItem, CommitResult, Fence, HistoryRow
from durable_async.testing import VirtualEnvironment, virtual_time

from .hubs import UnreliableBackend, opened

registry = Registry()
active: list[float] = []
"""Activities that are running."""


@registry.activity
async def slow(seconds: float) -> str:
    active.append(seconds)
    try:
        await asyncio.sleep(seconds)
    finally:
        active.remove(seconds)
    return "done"


@registry.orchestrator
async def sleeper(ctx: OrchestrationContext, seconds: float) -> float:
    await asyncio.sleep(seconds)
    return seconds


@registry.orchestrator
async def waiter(ctx: OrchestrationContext, name: str) -> int:
    total = 0
    for _ in range(3):
        total += await ctx.wait_for_external_event(name, int)
    return total


@registry.orchestrator
async def patient(ctx: OrchestrationContext, seconds: float) -> str:
    return await ctx.call_activity(slow, seconds)


@registry.orchestrator
async def spinner(ctx: OrchestrationContext) -> None:
    number = 0
    while True:
        number += 1


@virtual_time
async def test_sleepers_hold_no_memory_beyond_the_bound(env: VirtualEnvironment) -> None:
    """Of 200 sleeping instances 20 are warm, and all wake up."""
    async with opened(env, registry) as (hub, _):
        async with hub.worker(instances_max=20, claim_batch=10) as worker:
            handles = await hub.client.start_many(sleeper, [50.0 + n / 10 for n in range(200)])
            await anyio.sleep(30)
            session = worker._session
            assert session is not None
            assert len(session._tools.slots) <= 20
            states = [await handle.get() for handle in handles]
            assert all(state is not None and state.status is Status.RUNNING for state in states)
            results = [await handle.wait(timeout=200) for handle in handles]

    assert results == [50.0 + n / 10 for n in range(200)]


@virtual_time
async def test_events_reach_instances_that_were_let_go(env: VirtualEnvironment) -> None:
    """Each event is taken once, whether its instance is warm or cold when it comes."""
    async with opened(env, registry) as (hub, _), hub.worker(instances_max=5, claim_batch=2):
        handles = await hub.client.start_many(waiter, ["e"] * 40)
        for number in range(3):
            await anyio.sleep(1)
            await hub.client.raise_events([(handle, "e", number + 1) for handle in handles])
        results = [await handle.wait(timeout=300) for handle in handles]

    assert results == [6] * 40


@virtual_time
async def test_stopping_hands_everything_back_at_once(env: VirtualEnvironment) -> None:
    """The next worker goes on without waiting for a lease, and nothing counts as an attempt."""
    store = MemoryStore(env)
    async with opened(env, registry, store) as (hub, _):
        async with hub.worker():
            handle = await hub.client.start(sleeper, 10.0)
            await hub.client.wait_for_start(handle)
        state = await handle.get()
        assert state is not None
        assert state.owner is None
        begin = env.monotonic()
        async with hub.worker():
            assert await handle.wait(timeout=30) == 10.0
        assert env.monotonic() - begin < 11


@virtual_time
async def test_running_activities_get_the_grace_time(env: VirtualEnvironment) -> None:
    """One that ends in time is recorded; one that does not is cancelled, and begun again by the next worker."""
    async with opened(env, registry) as (hub, _):
        async with hub.worker(shutdown_seconds=2.0):
            short = await hub.client.start(patient, 1.0)
            long = await hub.client.start(patient, 60.0)
            await anyio.sleep(0.5)
            assert active == [1.0, 60.0]
        assert active == []
        state = await short.get()
        assert state is not None
        assert state.status is Status.COMPLETED
        async with hub.worker():
            assert await long.wait(timeout=100) == "done"


@virtual_time
async def test_what_only_waits_is_handed_back_before_what_is_busy(env: VirtualEnvironment) -> None:
    """Another worker goes on with it while an activity uses its grace time."""
    store = MemoryStore(env)
    async with opened(env, registry, store) as (hub, _), opened(env, registry, store) as (other, _):
        async with hub.worker(shutdown_seconds=5.0) as worker:
            busy = await hub.client.start(patient, 4.0)
            idle = await hub.client.start(waiter, "e")
            await anyio.sleep(1)
            async with other.worker(), anyio.create_task_group() as group:
                group.start_soon(worker.stop)
                for number in range(3):
                    await idle.raise_event("e", number)
                assert await idle.wait(timeout=1) == 3
                working = await busy.get()
                assert working is not None
                assert working.owner == worker.worker_id
                assert await busy.wait(timeout=100) == "done"
    assert active == []


@virtual_time
async def test_a_lost_lease_means_a_new_identity(env: VirtualEnvironment) -> None:
    """It drops what it held and claims again."""
    async with opened(env, registry) as (hub, backend), hub.worker() as worker:
        first = worker.worker_id
        handle = await hub.client.start(sleeper, 30.0)
        await anyio.sleep(1)

        def fenced() -> None:
            backend.renew = None
            raise FencedError(first or "")

        backend.renew = fenced
        assert await handle.wait(timeout=100) == 30.0
        assert worker.worker_id != first


@virtual_time
async def test_the_block_begins_when_the_store_answers(env: VirtualEnvironment) -> None:
    """The first registration fails; the worker works, and says so."""
    async with opened(env, registry) as (hub, backend):
        register = backend.register_worker

        async def fail_once(worker_id: str, lease_seconds: float) -> Fence:
            backend.register_worker = register  # type: ignore[method-assign]
            raise BackendUnavailableError("not yet")

        backend.register_worker = fail_once  # type: ignore[method-assign]
        async with asyncio.timeout(30), hub.worker():
            handle = await hub.client.start(sleeper, 1.0)
            assert await handle.wait(timeout=10) == 1.0


@virtual_time
async def test_who_slept_longer_than_the_lease_begins_nothing(env: VirtualEnvironment) -> None:
    """The commit that scheduled an activity was answered before the process was frozen; it thaws when others have taken over."""
    async with opened(env, registry) as (hub, backend), hub.worker() as worker:
        first = worker.worker_id
        commit = backend.commit
        begun_by: list[str | None] = []

        async def commit_and_sleep(fence: Fence, items: Sequence[CommitItem]) -> CommitResult:
            result = await commit(fence, items)
            assert worker._session is not None
            if worker.worker_id == first:
                worker._session._rhythm._renewed_at -= 100.0  # so long ago is the last renewal
            return result

        backend.commit = commit_and_sleep  # type: ignore[method-assign]
        handle = await hub.client.start(patient, 2.0)
        while not active:
            await anyio.sleep(0.1)
        begun_by.append(worker.worker_id)
        assert await handle.wait(timeout=100) == "done"
    assert begun_by != [first]


@virtual_time
async def test_an_error_in_the_block_comes_out_as_it_is(env: VirtualEnvironment) -> None:
    """Not inside a group."""
    async with opened(env, registry) as (hub, _):
        with pytest.raises(KeyError, match="mine"):
            async with hub.worker():
                await hub.client.start(sleeper, 30.0)
                raise KeyError("mine")


@virtual_time
async def test_cancelling_the_block_hands_back_too(env: VirtualEnvironment) -> None:
    """A time-out around the block is a graceful end."""
    async with opened(env, registry) as (hub, _):
        with anyio.move_on_after(5):
            async with hub.worker():
                handle = await hub.client.start(sleeper, 60.0)
                await anyio.sleep(100)
        state = await handle.get()
        assert state is not None
        assert state.owner is None
        assert (await hub.statistics()).workers == 0


@virtual_time
async def test_an_unknown_orchestrator_waits_for_a_worker_that_knows_it(
    env: VirtualEnvironment,
) -> None:
    """It fails nobody, blocks nobody, and is not counted out however long that takes."""
    later = Registry()

    @later.orchestrator
    async def unknown(ctx: OrchestrationContext) -> str:
        return "known"

    async with opened(env, registry) as (hub, _):
        async with hub.worker():
            handle = await hub.client.start("unknown")
            assert await (await hub.client.start(sleeper, 600.0)).wait(timeout=700) == 600.0
            state = await handle.get()
            assert state is not None
            assert (state.status, state.parked) == (Status.PENDING, None)
        async with hub.worker(later):
            assert await handle.wait(timeout=10) == "known"


@virtual_time
async def test_a_corrupt_history_parks_one_instance(env: VirtualEnvironment) -> None:
    """The neighbours do not notice."""
    async with opened(env, registry) as (hub, backend):
        async with hub.worker():
            bad = await hub.client.start(sleeper, 50.0)
            good = await hub.client.start(sleeper, 51.0)
            await anyio.sleep(1)
        _corrupt(backend, bad.instance_id)
        async with hub.worker():
            assert await good.wait(timeout=100) == 51.0
            state = await bad.get()
            assert state is not None
            assert state.parked is not None
            assert "CorruptHistoryError" in state.parked


def _corrupt(backend: UnreliableBackend, instance_id: str) -> None:
    assert backend._hub is not None
    rows = backend._hub.instances[instance_id].history._rows
    rows[-1] = HistoryRow(turn=rows[-1].turn, events=b"\xc1 not a history")


@pytest.mark.slow
def test_code_that_does_not_come_back_is_interrupted_named_and_parked(tmp_path) -> None:  # type: ignore[no-untyped-def]
    """The worker goes on with the others. In real time: it is about a loop that spins."""

    async def main() -> tuple[str, float]:
        async with TaskHub.open("memory://", registry=registry) as hub:
            async with hub.worker(turn_seconds_max=0.2):
                bad = await hub.client.start(spinner)
                good = await hub.client.start(sleeper, 0.05)
                result = await good.wait(timeout=20)
                while True:
                    state = await bad.get()
                    assert state is not None
                    if state.parked:
                        return state.parked, result
                    with anyio.move_on_after(0.05):
                        await anyio.Event().wait()

    reason, result = asyncio.run(main())
    assert result == 0.05
    assert TurnBudgetError.__name__ in reason
    assert "spinner" in reason


@virtual_time
async def test_a_loop_that_is_stuck_for_good_lets_its_lease_run_out(
    env: VirtualEnvironment, caplog: pytest.LogCaptureFixture
) -> None:
    """Its own thread could renew for ever, and nobody would go on with what it owns."""
    async with opened(env, registry) as (hub, backend), hub.worker(stall_seconds_max=10) as worker:
        await anyio.sleep(100)
        session = worker._session
        assert session is not None
        row = backend.store.hub("default").workers[session.worker_id]
        session._rhythm._renewed_at -= 5  # no fetch has extended it along the way
        before = row.lease_until_us
        session._moved_at = env.monotonic() - 11
        session._renew()
        assert row.lease_until_us == before
        assert "event loop is blocked" in caplog.text
        await anyio.sleep(5)  # it moves again
        session._renew()
        assert row.lease_until_us > before
