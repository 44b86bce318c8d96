"""Instances that are replaced while a worker has them: the former life ends in silence, the next is nobody's prey."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import anyio
import pytest

from durable_async import OrchestrationContext, Registry, ReusePolicy, TaskHub
from durable_async.model.records import CommitItem, CommitResult, Fence, Outgoing
from durable_async.testing import VirtualEnvironment, run_virtual, virtual_time

from .hubs import UnreliableBackend, opened

registry = Registry()
ran: list[str] = []
stopped: list[str] = []


@registry.activity
async def work(life: str) -> str:
    ran.append(life)
    try:
        await asyncio.sleep(1)
    except asyncio.CancelledError:
        stopped.append(life)
        raise
    return life


@registry.orchestrator
async def works_when_told(ctx: OrchestrationContext, life: str) -> str:
    await ctx.wait_for_external_event("go")
    return await ctx.call_activity(work, life)


@pytest.fixture(autouse=True)
def forget() -> None:
    ran.clear()
    stopped.clear()


async def replace(hub: TaskHub, life: str) -> None:
    await hub.client.start(
        works_when_told, life, instance_id="one", reuse=ReusePolicy.REPLACE, request_id=life
    )


def replace_before_the_next_commit(
    hub: TaskHub, backend: UnreliableBackend, life: str, outcome: str
) -> None:
    commit = backend.commit

    async def replace_first(fence: Fence, items: Sequence[CommitItem]) -> CommitResult:
        backend.commit = commit  # type: ignore[method-assign]
        await replace(hub, life)
        backend.plan.append(outcome)
        return await commit(fence, items)

    backend.commit = replace_first  # type: ignore[method-assign]


@pytest.mark.parametrize("outcome", ["ok", "lost", "refused"])
def test_a_turn_that_was_left_out_has_no_effect(outcome: str) -> None:
    """Also if the answer that says so is lost: nothing leaves before it is durable."""

    async def main(env: VirtualEnvironment) -> None:
        async with opened(env, registry) as (hub, backend), hub.worker():
            await replace(hub, "first")
            await anyio.sleep(1)
            replace_before_the_next_commit(hub, backend, "second", outcome)
            await hub.client.raise_event("one", "go")
            await anyio.sleep(5)
            assert ran == []
            await hub.client.raise_event("one", "go")
            assert await hub.client.wait("one", str, timeout=60) == "second"
        assert ran == ["second"]

    run_virtual(main)


@virtual_time
async def test_what_runs_for_the_former_life_is_stopped_when_the_next_is_claimed(
    env: VirtualEnvironment,
) -> None:
    async with opened(env, registry) as (hub, _), hub.worker():
        await replace(hub, "first")
        await hub.client.raise_event("one", "go")
        await anyio.sleep(0.5)
        await replace(hub, "second")
        await hub.client.raise_event("one", "go")
        assert await hub.client.wait("one", str, timeout=60) == "second"
        statistics = await hub.statistics()
    assert (ran, stopped) == (["first", "second"], ["first"])
    assert statistics.letters == statistics.queued_activities == 0


@registry.orchestrator
async def restless(ctx: OrchestrationContext, lap: int) -> str:
    if lap:
        return await ctx.wait_for_external_event("go", str)
    call = asyncio.ensure_future(ctx.call_activity(work, "first"))
    await ctx.wait_for_external_event("next")
    call.cancel()
    ctx.continue_as_new(1)


@virtual_time
async def test_one_given_up_while_it_begins_anew_is_let_go(env: VirtualEnvironment) -> None:
    """A letter that cannot be read, and a result that only this process knows, while continue-as-new is on its way."""
    async with opened(env, registry) as (hub, backend), hub.worker():
        handle = await hub.client.start(restless, 0, instance_id="one")
        await anyio.sleep(0.99)
        commit = backend.commit

        async def commit_slowly(fence: Fence, items: Sequence[CommitItem]) -> CommitResult:
            backend.commit = commit  # type: ignore[method-assign]
            await anyio.sleep(0.1)
            return await commit(fence, items)

        backend.commit = commit_slowly  # type: ignore[method-assign]
        await handle.raise_event("next")
        await anyio.sleep(0.05)
        broken = Outgoing(instance_id="one", execution=None, letter=b"\xff")
        await backend.send([broken])
        await anyio.sleep(1)
        [row] = backend.store.hub("default").instances.values()
        assert (row.execution, row.owner) == (2, None)
