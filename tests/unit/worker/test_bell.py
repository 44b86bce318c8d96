"""The bell wakes the task that waits, and nobody else."""

from __future__ import annotations

import asyncio

import anyio

from durable_async.testing import VirtualEnvironment, virtual_time
from durable_async.worker._bell import Bell


@virtual_time
async def test_a_ring_wakes_who_waits_and_a_second_one_is_nothing(env: VirtualEnvironment) -> None:
    bell, woken = Bell(), 0

    async def work() -> None:
        nonlocal woken
        while True:
            await bell.wait()
            woken += 1

    async with anyio.create_task_group() as group:
        group.start_soon(work)
        await anyio.sleep(1)
        bell.ring()
        bell.ring()
        await anyio.sleep(1)
        assert woken == 1
        bell.ring()
        await anyio.sleep(1)
        assert woken == 2
        group.cancel_scope.cancel()


@virtual_time
async def test_a_ring_that_nobody_waits_for_is_forgotten(env: VirtualEnvironment) -> None:
    bell = Bell()
    bell.ring()
    with anyio.move_on_after(1) as scope:
        await bell.wait()
    assert scope.cancelled_caught


@virtual_time
async def test_a_ring_comes_too_late_for_one_who_was_cancelled(env: VirtualEnvironment) -> None:
    bell = Bell()
    waits = bell.wait()
    await anyio.sleep(1)
    waits.cancel()
    bell.ring()
    await asyncio.wait([waits])
    assert waits.cancelled()
