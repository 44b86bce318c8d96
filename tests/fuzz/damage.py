"""One damaged row: a worker and a client meet it, one instance is parked, and nothing else is affected."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import anyio
from hypothesis import strategies as st

from durable_async import EntityContext, EntityId, OrchestrationContext, Registry, Status, TaskHub
from durable_async.errors import DurableError
from durable_async.testing import CALM, VirtualEnvironment

from . import strategies as s
from .places import SQLITE, file, fresh_hub, run
from .stored import event_bytes, letter_bytes, snapshot_bytes
from .target import Target

registry = Registry()
SETTLED_SECONDS = 900.0
"""So long after the damage everything has been tried as often as it is tried, and parked."""

COUNTER = EntityId("counter", "victim")


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


def _cell(table: str, column: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.tuples(st.just(table), st.just(column), values)


_numbers = st.one_of(
    st.integers(-3, 5), st.sampled_from([2**31, 2**53, 2**62, 2**63 - 1, -(2**63)])
)
_texts = s.texts().filter(lambda text: not any(0xD800 <= ord(char) < 0xE000 for char in text))
_json = s.json_texts().map(lambda data: data[:5_000].decode(errors="replace"))
_bytes = s.json_texts().map(lambda data: data[:5_000])
_maybe = st.one_of(st.none(), _numbers)


def wounds() -> st.SearchStrategy[tuple[str, str, Any]]:
    """One cell of one table, and what is written there."""
    return st.one_of(
        _cell("history", "events", event_bytes()),
        _cell("history", "events", _bytes),
        _cell("history", "turn", st.integers(2, 9)),
        _cell("letters", "letter", letter_bytes()),
        _cell("letters", "execution", _maybe),
        _cell("instances", "state", snapshot_bytes()),
        _cell("instances", "output", _bytes),
        _cell("instances", "failure", _bytes),
        _cell("instances", "custom_status", _bytes),
        _cell("instances", "tags", _json),
        _cell("instances", "status", st.sampled_from([*[one.value for one in Status], "", "lost"])),
        _cell("instances", "created_at_us", _numbers),
        _cell("instances", "updated_at_us", _numbers),
        _cell("instances", "completed_at_us", _maybe),
        _cell("instances", "start_at_us", _numbers),
        _cell("instances", "execution", _numbers),
        _cell("instances", "version", _texts),
        _cell("instances", "parked", _texts),
        _cell("instances", "parent_id", _texts),
        _cell("instances", "will_letter", letter_bytes()),
        _cell("instances", "will_receivers", _json),
        _cell("queued_activities", "options", _bytes),
        _cell("queued_activities", "input", _bytes),
        _cell("queued_activities", "attempt", _numbers),
        _cell("queued_activities", "attempts", st.integers(0, 9)),
        _cell("queued_activities", "execution", _numbers),
        _cell("queued_activities", "seq", _numbers),
    )


VICTIMS = ("waiting", "ended", "queued", str(COUNTER))


async def _prepare(hub: TaskHub) -> None:
    """Bring instances to where they can be damaged: waiting with mail, ended, with an activity in the queue, an entity."""
    client = hub.client
    async with hub.worker(settings=CALM):
        waiting = await client.start(waits, 1, instance_id="waiting", tags={"a": "b"})
        ended = await client.start(waits, 1, instance_id="ended")
        await ended.raise_event("go", 1)
        await ended.wait(timeout=60)
        await client.call_entity(COUNTER, "add", 5, timeout=60)
        await client.wait_for_start(waiting, timeout=60)
        await anyio.sleep(5)
    async with hub.worker(elsewhere, settings=CALM):
        queued = await client.start("queues", 1, instance_id="queued")
        await client.wait_for_start(queued, timeout=60)
        await anyio.sleep(5)
    await client.raise_event("waiting", "go", 2)
    await client.signal_entity(COUNTER, "add", 1)


def _wound(hub: TaskHub, victim: str, wound: tuple[str, str, Any]) -> bool:
    """Damage a row; return whether there was one, and the file lets it be so."""
    table, column, value = wound
    with closing(sqlite3.connect(file())) as connection:
        where = "key = (select key from instances where id = ? and hub = (select hub from hubs where name = ?))"
        try:
            changed = connection.execute(
                f"update or ignore {table} set {column} = ? where rowid = (select rowid from {table} where {where} limit 1)"
                if table != "history"
                else f"update or ignore history set {column} = ? where {where} and turn = 1",
                (value, victim, hub.name),
            ).rowcount
        except (sqlite3.IntegrityError, OverflowError, sqlite3.OperationalError):
            return False
        connection.commit()
    return changed > 0


async def _meet(hub: TaskHub, env: VirtualEnvironment) -> None:
    """Let a worker and a client meet whatever is damaged, and do some work beside it."""
    client = hub.client
    both = Registry()
    for orchestrator in (waits, queues):
        both.add_orchestrator(orchestrator)
    both.add_activity(double)
    entity = registry.find_entity("@counter")
    assert entity is not None
    both.add_entity(entity)
    async with hub.worker(both, settings=CALM) as worker:
        before = worker.worker_id
        await anyio.sleep(SETTLED_SECONDS)
        neighbour = await client.start(waits, 4, instance_id="neighbour")
        await neighbour.raise_event("go", 3)
        assert await neighbour.wait(timeout=60) == [8, 3, 6], "a neighbour was harmed"
        total = await client.call_entity(EntityId("counter", "neighbour"), "add", 7, timeout=60)
        assert total == 7, "an entity beside it was harmed"
        assert worker.worker_id == before, "the worker lost its life"
        await _look(hub)
    for victim in VICTIMS[:3]:
        with _typed():
            await client.terminate(victim)
            await client.purge(victim)


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


def probe(case: tuple[str, tuple[str, str, Any]]) -> None:
    """Damage one row of one instance, and see what becomes of all."""
    victim, wound = case

    async def story(env: VirtualEnvironment) -> None:
        async with fresh_hub(env, SQLITE, registry) as hub:
            await _prepare(hub)
            if _wound(hub, victim, wound):
                await _meet(hub, env)

    run(story)


Make = Callable[[], Any]

TARGETS = (
    Target(
        name="damage",
        inputs=st.tuples(st.sampled_from(VICTIMS), wounds()),
        probe=probe,
        refusals=(),
        examples=25,
        share=1,
    ),
)
