"""Answers of the store that come late, twice, or never."""

from __future__ import annotations

from typing import Any

import anyio
import msgspec
import pytest

from durable_async import OrchestrationContext, Registry, Status, TaskHub
from durable_async.errors import BackendUnavailableError
from durable_async.model.records import Fence, Work
from durable_async.testing import VirtualEnvironment, virtual_time
from durable_async.worker import Worker, _session

from .hubs import UnreliableBackend

registry = Registry()


@registry.orchestrator
async def collect(ctx: OrchestrationContext, size: int) -> list[int]:
    return [await ctx.wait_for_external_event("number", int) for _ in range(size)]


class Slow(UnreliableBackend):
    """Its answers to fetches can be late, or get lost.

    Attributes:
        late: Seconds.
        lost: How many more are lost.
    """

    late = 0.0
    lost = 0

    async def fetch(self, fence: Fence, **quotas: Any) -> Work:
        work = await super().fetch(fence, **quotas)
        found = self.store.hub("default").instances
        marked = dict.fromkeys(mail.instance_id for mail in work.mail)
        mail = [one for instance_id in marked for one in found[instance_id].mailbox.values()]
        if self.late:
            await anyio.sleep(self.late)
        if self.lost and (work.mail or work.claimed):
            self.lost -= 1
            raise BackendUnavailableError("sent, and no answer")
        return msgspec.structs.replace(work, mail=tuple(mail))


async def hub_on(env: VirtualEnvironment) -> tuple[TaskHub, Slow]:
    backend = Slow(environment=env)
    await backend.open()
    return TaskHub(backend, registry=registry, environment=env), backend


@virtual_time
async def test_a_letter_that_is_told_of_again_after_it_was_taken_is_not_taken_twice(
    env: VirtualEnvironment,
) -> None:
    """The answer was on its way when the turn that took the letter became durable."""
    hub, backend = await hub_on(env)
    async with hub.worker():
        handle = await hub.client.start(collect, 4)
        await anyio.sleep(1)
        commit = backend.commit

        async def commit_slowly(*args: Any) -> Any:
            await anyio.sleep(0.1)
            return await commit(*args)

        backend.commit = commit_slowly  # type: ignore[method-assign]
        backend.late = 0.15
        for number in range(4):
            await handle.raise_event("number", number)
            await anyio.sleep(0.17)
        assert await handle.wait(timeout=60) == [0, 1, 2, 3]
    hub.client.close()
    await backend.close()


@virtual_time
async def test_letters_of_an_answer_that_was_lost_are_not_overtaken(
    env: VirtualEnvironment,
) -> None:
    """It is undone, and its letters are told again in their order; the worker keeps what it has."""
    hub, backend = await hub_on(env)
    async with hub.worker() as worker:
        handle = await hub.client.start(collect, 2)
        await anyio.sleep(1)
        identity = worker.worker_id
        backend.lost = 1
        await handle.raise_event("number", 0)
        await anyio.sleep(0.5)
        await handle.raise_event("number", 1)
        assert await handle.wait(timeout=60) == [0, 1]
        assert worker.worker_id == identity
    hub.client.close()
    await backend.close()


@virtual_time
async def test_an_instance_that_was_claimed_with_an_answer_that_was_lost_does_not_hang(
    env: VirtualEnvironment,
) -> None:
    hub, backend = await hub_on(env)
    async with hub.worker():
        await anyio.sleep(1)
        backend.lost = 1
        handle = await hub.client.start(collect, 0)
        assert await handle.wait(timeout=60) == []
    hub.client.close()
    await backend.close()


@virtual_time
async def test_what_is_to_end_outlives_a_store_that_is_silent_while_its_history_is_read(
    env: VirtualEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So does the worker."""
    monkeypatch.setattr(_session, "HISTORY_BYTES_PER_CLAIM", 1)
    hub, backend = await hub_on(env)
    async with hub.worker():
        handle = await hub.client.start(collect, 2)
        await handle.raise_event("number", 0)
        await anyio.sleep(1)
    await handle.terminate("enough")
    read = backend.read_history
    silent = 2

    async def read_history(*args: Any, **wanted: Any) -> Any:
        nonlocal silent
        silent -= 1
        if silent >= 0:
            raise BackendUnavailableError("no answer")
        return await read(*args, **wanted)

    monkeypatch.setattr(backend, "read_history", read_history)
    async with hub.worker():
        await anyio.sleep(30)
        state = await handle.get()
    assert state is not None
    assert (state.status, silent < 0) == (Status.TERMINATED, True)
    hub.client.close()
    await backend.close()


class Peeking(UnreliableBackend):
    """Looks, while a fetch is on its way, how much room its worker has for activities."""

    worker: Worker
    rooms: list[int]

    async def fetch(self, fence: Fence, **quotas: Any) -> Work:
        self.rooms.append(room_of(self.worker))
        return await super().fetch(fence, **quotas)


def room_of(worker: Worker) -> int:
    session = worker._session
    assert session is not None
    runner = session._turns.calls.runner
    assert runner is not None
    return runner.room


@virtual_time
async def test_activities_that_a_fetch_may_bring_have_their_room(env: VirtualEnvironment) -> None:
    backend = Peeking(environment=env)
    backend.rooms = []
    await backend.open()
    hub = TaskHub(backend, registry=registry, environment=env)
    backend.worker = hub.worker(activities_max=3, backlog_max=5)
    async with backend.worker:
        await anyio.sleep(10)
        assert set(backend.rooms) == {5}
        assert room_of(backend.worker) == 8
    hub.client.close()
    await backend.close()
