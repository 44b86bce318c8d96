"""One damaged row: a worker and a client meet it, one instance is parked, and nothing else is affected."""

from __future__ import annotations

from typing import Any

import anyio
from hypothesis import strategies as st

from durable_async import (
    Client,
    EntityContext,
    EntityId,
    OrchestrationContext,
    OrchestrationHandle,
    Registry,
    TaskHub,
)
from durable_async.errors import DurableError
from durable_async.testing import CALM, VirtualEnvironment
from durable_async.testing.postgres import PostgresLab

from .fates import COUNTER, check_fates
from .places import MEMORY, SQLITE, fresh_hub, run
from .target import Target
from .wounds import Wound, inflict, wounds, wounds_in_memory

registry = Registry()
SETTLED_SECONDS = 900.0
"""So long after the damage everything has been tried as often as it is tried, and parked."""


@registry.orchestrator
async def waits(ctx: OrchestrationContext, value: int = 0) -> Any:
    """Wait for an event between two activities."""
    first = await ctx.call_activity("double", value)
    got = await ctx.wait_for_external_event("go", int)
    return [first, got, await ctx.call_activity("double", got)]


@registry.activity
async def double(value: int) -> int:
    """Return twice as much."""
    return value * 2


@registry.entity
def counter(ctx: EntityContext, value: int = 0) -> int:
    """Count."""
    ctx.set_state(ctx.get_state(int, 0) + value)
    return ctx.get_state(int, 0)


elsewhere = Registry()


@elsewhere.orchestrator(name="queues")
async def queues(ctx: OrchestrationContext, value: int = 0) -> Any:
    """Call an activity that this registry lacks, so that it is queued for others."""
    return await ctx.call_activity("double", value)


VICTIMS = ("waiting", "ended", "queued", str(COUNTER))


async def _prepare(hub: TaskHub) -> None:
    """Bring instances to where they can be damaged: waiting with mail, ended, with an activity in the queue, an entity."""
    client = hub.client
    async with hub.worker(settings=CALM):
        waiting = await _start_waiting(client)
        ended = await client.start(waits, 1, instance_id="ended", request_id="ended")
        await ended.raise_event("go", 1)
        await ended.wait(timeout=60)
        await _add(client)
        await client.wait_for_start(waiting, timeout=60)
        await anyio.sleep(5)
    async with hub.worker(elsewhere, settings=CALM):
        queued = await client.start("queues", 1, instance_id="queued", request_id="queued")
        await client.wait_for_start(queued, timeout=60)
        await anyio.sleep(5)
    await _go(client)
    await client.signal_entity(COUNTER, "add", 1)


async def _start_waiting(client: Client) -> OrchestrationHandle[Any]:
    return await client.start(waits, 1, instance_id="waiting", request_id="waiting")


async def _go(client: Client) -> None:
    await client.raise_event("waiting", "go", 2, request_id="waiting")


async def _add(client: Client) -> Any:
    return await client.call_entity(COUNTER, "add", 5, timeout=60, request_id=str(COUNTER))


async def _meet(hub: TaskHub, victim: str, wound: Wound) -> None:
    """Let a worker and a client meet whatever is damaged, and do some work beside it."""
    client = hub.client
    async with hub.worker(_everything(), settings=CALM) as worker:
        before = worker.worker_id
        await _repeat(client)
        await anyio.sleep(SETTLED_SECONDS)
        neighbour = await client.start(waits, 4, instance_id="neighbour")
        await neighbour.raise_event("go", 3)
        assert await neighbour.wait(timeout=60) == [8, 3, 6], "a neighbour was harmed"
        total = await client.call_entity(EntityId("counter", "neighbour"), "add", 7, timeout=60)
        assert total == 7, "an entity beside it was harmed"
        assert worker.worker_id == before, "the worker lost its life"
        await _look(hub)
        await check_fates(hub, victim, wound)
    for one in VICTIMS[:3]:
        with _typed():
            await client.terminate(one)
            await client.purge(one)


def _everything() -> Registry:
    both = Registry()
    for orchestrator in (waits, queues):
        both.add_orchestrator(orchestrator)
    both.add_activity(double)
    entity = registry.find_entity(COUNTER.stored_name)
    assert entity is not None
    both.add_entity(entity)
    return both


async def _repeat(client: Client) -> None:
    """Make requests again whose answers were kept, and may be damaged: nothing is to be done twice for it."""
    for again in (_start_waiting, _go, _add):
        with _typed():
            await again(client)


async def _look(hub: TaskHub) -> None:
    """Look at everything as a client does: one damaged row hides no other."""
    client = hub.client
    listed = [state.instance_id async for state in client.query(payloads=True)]
    assert "neighbour" in listed, "a damaged row hides others"
    entities = [str(one.entity_id) async for one in client.query_entities()]
    assert "@counter@neighbour" in entities, "a damaged entity hides others"
    await hub.statistics()
    for victim in VICTIMS[:3]:
        with _typed():
            state = await client.get(victim)
            if state is not None:
                for read in (state.input, state.output, state.custom_status):
                    with _typed():
                        read()
        with _typed():
            await client.history(victim)
        with _typed():
            await client.wait(victim, timeout=1)
    with _typed():
        one = await client.get_entity(COUNTER)
        assert one is not None
        _ = one.state, one.locked_by, one.parked_operations
    with _typed():
        await client.entity_locks(COUNTER)


class _typed:  # noqa: N801 - reads like contextlib.suppress
    """Let errors pass that say on purpose what is wrong."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> bool:
        return kind is not None and issubclass(kind, DurableError)


def probe(case: tuple[str, Wound], kind: str = SQLITE, lab: PostgresLab | None = None) -> bool:
    """Damage one row of one instance, and see what becomes of all; return whether there was such a row."""
    victim, wound = case

    async def story(env: VirtualEnvironment) -> bool:
        async with fresh_hub(env, kind, registry, lab) as hub:
            await _prepare(hub)
            is_hit = inflict(hub, victim, wound, lab)
            if is_hit:
                await _meet(hub, victim, wound)
            return is_hit

    return run(story)


TARGETS = (
    Target(
        name="damage",
        inputs=st.tuples(st.sampled_from(VICTIMS), wounds()),
        probe=probe,
        refusals=(),
        examples=25,
        share=1,
    ),
    Target(
        name="damage-memory",
        inputs=st.tuples(st.sampled_from(VICTIMS), wounds_in_memory()),
        probe=lambda case: probe(case, MEMORY),
        refusals=(),
        examples=25,
        share=1,
    ),
)
