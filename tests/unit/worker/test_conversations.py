"""Turns that answer each other: what one of them may rest on."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from durable_async import Entity, OrchestrationContext, Registry, TaskHub
from durable_async.backends.memory import MemoryBackend
from durable_async.model.entities import EntitySnapshot
from durable_async.model.history import EntityOperation
from durable_async.model.records import CommitItem, Outgoing, TurnCommit
from durable_async.serialization.events import encode_letter, encode_snapshot
from durable_async.testing import VirtualEnvironment, virtual_time
from durable_async.worker import _conversations
from durable_async.worker._suspects import SUSPECT_ATTEMPTS

from .hubs import opened

registry = Registry()


@registry.entity
class Cell(Entity[int]):
    def get(self) -> int | None:
        return self.get_state()


@registry.orchestrator
async def reads(ctx: OrchestrationContext) -> int | None:
    return await ctx.call_entity(Cell.entity_id("a"), Cell.get)


@registry.orchestrator
async def reads_later(ctx: OrchestrationContext) -> int | None:
    await ctx.wait_for_external_event("now")
    return await ctx.call_entity(Cell.entity_id("a"), Cell.get)


def groups_of(batches: list[list[CommitItem]]) -> list[list[bool]]:
    """Tell of each commit's turns whether they are of a group."""
    turns = [[item for item in batch if isinstance(item, TurnCommit)] for batch in batches]
    return [[bool(turn.group) for turn in some] for some in turns if some]


async def in_another_life(backend: MemoryBackend, cell: str, state: bytes) -> Any:
    """Forget an entity, and begin it anew at another worker; returns that one's fence. All of it happens at one moment."""
    assert await backend.discard_entities([cell]) == [cell]
    letter = encode_letter(EntityOperation("set", state))
    await backend.send([Outgoing(instance_id=cell, execution=None, letter=letter, opens="@cell")])
    other = await backend.register_worker("other", 1_000)
    work = await backend.fetch(
        other,
        number=1,
        instances=1,
        activities=0,
        names=frozenset(["@cell"]),
        activity_names=frozenset(),
        history_bytes_max=1,
    )
    (claimed,) = work.claimed
    turn = TurnCommit(
        instance_id=cell,
        execution=claimed.execution,
        turn=0,
        events=b"",
        consumed=(claimed.mail[0].id,),
        state=encode_snapshot(EntitySnapshot(state)),
    )
    return (await backend.commit(other, [turn])).fence


async def warm_up(hub: TaskHub) -> None:
    """Let a worker have the entity, and find out that its operation is quick."""
    for _ in range(5):
        assert await (await hub.client.start(reads)).wait() is None


@virtual_time
async def test_an_entity_that_was_forgotten_is_not_read_where_it_was(
    env: VirtualEnvironment,
) -> None:
    async with opened(env, registry) as (hub, backend), hub.worker():
        await warm_up(hub)
        other = await in_another_life(backend, str(Cell.entity_id("a")), b"7")
        handle = await hub.client.start(reads)
        await anyio.sleep(0.1)
        await backend.retire_worker(other)
        assert await handle.wait(timeout=10) == 7


@pytest.mark.parametrize("claims", [0, SUSPECT_ATTEMPTS])
@virtual_time
async def test_what_a_suspect_asks_goes_through_the_store_so_that_it_is_not_blamed_for_others(
    env: VirtualEnvironment, claims: int
) -> None:
    async with opened(env, registry) as (hub, backend), hub.worker() as worker:
        await warm_up(hub)
        handle = await hub.client.start(reads_later)
        await anyio.sleep(0.1)
        slot = worker._session._tools.slots.get(handle.instance_id)
        slot.claims, slot.is_suspect = claims, claims >= SUSPECT_ATTEMPTS
        backend.batches.clear()
        await hub.client.raise_event(handle, "now")
        assert await handle.wait() is None
        turns = [
            item for batch in backend.batches for item in batch if isinstance(item, TurnCommit)
        ]
        grouped = [bool(turn.group) for turn in turns]
        assert grouped == ([False, True, True] if claims else [True, True])  # it came through


@registry.entity
class Door(Entity[int]):
    def initial_state(self) -> int:
        return 0

    async def knock(self) -> None:
        self.state += 1


@registry.orchestrator
async def keeps_it_shut(ctx: OrchestrationContext) -> None:
    async with ctx.lock_entities([Door.entity_id("a")]):
        await ctx.wait_for_external_event("open")


@virtual_time
async def test_the_end_of_a_section_is_taken_with_it_also_if_what_waited_for_that_takes_longer(
    env: VirtualEnvironment,
) -> None:
    async with opened(env, registry) as (hub, backend), hub.worker():
        handle = await hub.client.start(keeps_it_shut)
        await anyio.sleep(1)
        await hub.client.signal_entity(Door.entity_id("a"), Door.knock)
        await anyio.sleep(1)
        backend.batches.clear()
        await hub.client.raise_event(handle, "open")
        await handle.wait()
        await anyio.sleep(1)
        turns = [
            item for batch in backend.batches for item in batch if isinstance(item, TurnCommit)
        ]
        end, unlocked, knocked = turns
        assert end.outbox == ()
        assert end.group == unlocked.group > 0
        assert unlocked.state == b""
        assert len(knocked.consumed) == 1


@virtual_time
async def test_a_conversation_that_takes_long_goes_on_through_the_store(
    env: VirtualEnvironment,
) -> None:
    async with opened(env, registry) as (hub, backend), hub.worker():
        await warm_up(hub)
        for seconds, groups in ((0.01, [[True, True]]), (-1.0, [[True, True], [False]])):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(_conversations, "TALK_SECONDS", seconds)
                backend.batches.clear()
                assert await (await hub.client.start(reads)).wait() is None
                assert groups_of(backend.batches) == groups
