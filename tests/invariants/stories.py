"""Stories: what clients do with orchestrations on a store that misbehaves, and how each must end.

Who plays them decides what fails; then the faults stop, and nothing may be left undone, done twice, or lying about.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from durable_async import (
    OrchestrationContext,
    OrchestrationHandle,
    Registry,
    RetryPolicy,
    ReusePolicy,
    Status,
    SubOrchestrationFailedError,
    TaskHub,
    activity_context,
)
from durable_async.backends.memory.store import MemoryStore
from durable_async.errors import BackendUnavailableError
from durable_async.model.history import (
    ActivityCompleted,
    ActivityFailed,
    ActivityScheduled,
    EventRaised,
    SubOrchestrationCompleted,
    TimerFired,
)
from durable_async.serialization.events import decode_events

from .faults import rows_of

SEEDS = 120
STORIES = 7
EVENTS = 6

registry = Registry()
world: list[Any] = [None, None]
"""The store and the chance of the run."""


def recorded(instance_id: str) -> list[Any]:
    """Return what is durable of an instance's current execution."""
    row = world[0].hub("default").instances.get(instance_id)
    if row is None:
        return []
    pages = row.history.page(-1, 1 << 30)[0]
    return [event for page in pages for event in decode_events(instance_id, page.events)]


def check_activity() -> None:
    """An activity begins after its call is durable, and not again after its outcome is."""
    context = activity_context()
    row = world[0].hub("default").instances.get(context.instance_id)
    if row is None or row.execution != context.execution or row.status.is_terminal:
        return  # it ended, or went on, just now; whoever runs this will hear of it
    seqs = Counter(
        type(event)
        for event in recorded(context.instance_id)
        if getattr(event, "seq", None) == context.seq
    )
    assert seqs[ActivityScheduled] == 1, "it began before its call was durable"
    assert not seqs[ActivityCompleted], "it began although its outcome is recorded"


@registry.activity
async def double(number: int) -> int:
    check_activity()
    await anyio.sleep(world[1].choice([0, 0, 0.1, 1]))
    return 2 * number


@registry.activity
def triple(number: int) -> int:
    check_activity()
    return 3 * number


@registry.activity(retry=RetryPolicy(max_attempts=50, first_delay=0.3, backoff=1.0))
async def flaky(number: int) -> int:
    check_activity()
    activity_context().heartbeat(number)
    if world[1].random() < 0.4:
        raise ConnectionError("try again")
    return number


@registry.orchestrator
async def chain(ctx: OrchestrationContext, size: int) -> int:
    total = 0
    for number in range(size):
        total += await ctx.call_activity(double, number)
        ctx.set_custom_status(number)
    return total


@registry.orchestrator
async def fan(ctx: OrchestrationContext, size: int) -> int:
    return sum(await asyncio.gather(*[ctx.call_activity(triple, n) for n in range(size)]))


@registry.orchestrator
async def tries(ctx: OrchestrationContext, size: int) -> int:
    return sum(await asyncio.gather(*[ctx.call_activity(flaky, n) for n in range(size)]))


@registry.orchestrator
async def parent(ctx: OrchestrationContext, size: int) -> int:
    calls = [ctx.call_sub_orchestrator(chain, n) for n in range(size)]
    try:
        return sum(await asyncio.gather(*calls)) + await ctx.call_sub_orchestrator(impatient, 1)
    except SubOrchestrationFailedError as error:
        raise AssertionError("a child failed") from error


@registry.orchestrator
async def impatient(ctx: OrchestrationContext, size: int) -> int:
    """Gives up activities, children and events, and waits in between."""
    gave_up = 0
    for _ in range(size + 1):
        try:
            async with asyncio.timeout(0.2):
                async with asyncio.TaskGroup() as group:
                    group.create_task(ctx.call_activity(double, 1))
                    group.create_task(ctx.call_sub_orchestrator(chain, 2))
                    group.create_task(ctx.wait_for_external_event("never"))
        except TimeoutError:
            gave_up += 1
        await ctx.create_timer(0.5)
    return gave_up


@registry.orchestrator
async def collect(ctx: OrchestrationContext, seen: list[int]) -> list[int]:
    """Takes numbered events in order, two an execution."""
    for _ in range(2):
        seen.append(await ctx.wait_for_external_event("number", int))
        await ctx.call_activity(triple, 1)
    if len(seen) < EVENTS:
        ctx.continue_as_new(seen)
    return seen


EXPECTED: dict[str, tuple[Any, Callable[[int], Any]]] = {
    "chain": (chain, lambda size: size * (size - 1)),
    "fan": (fan, lambda size: 3 * size * (size - 1) // 2),
    "tries": (tries, lambda size: size * (size - 1) // 2),
    "parent": (parent, lambda size: sum(n * (n - 1) for n in range(size)) + 2),
    "impatient": (impatient, lambda size: size + 1),
}


class Story:
    """What one client does with one orchestration, and how that must end."""

    def __init__(self, hub: TaskHub, chance: random.Random, number: int) -> None:
        self._client = hub.client
        self._chance = chance
        self._id = f"story-{number}"
        self._terminated = False
        self.name = chance.choice([*EXPECTED, "collect", "collect"])
        self.size = chance.randint(1, 5)
        self.handle: OrchestrationHandle[Any] | None = None

    async def run(self) -> None:
        await self._wait()
        self.handle = await self._start(ReusePolicy.REJECT)
        if self.name == "collect":
            await self._collect()
            return
        for _ in range(self._chance.randint(0, 3)):
            await self._wait()
            await self._chance.choice([self._pause, self._replace, self._terminate, self._again])()

    async def _wait(self) -> None:
        await anyio.sleep(self._chance.expovariate(1.0))

    async def _start(self, reuse: ReusePolicy) -> OrchestrationHandle[Any]:
        self._terminated = False
        orchestrator, given = (
            (collect, []) if self.name == "collect" else (EXPECTED[self.name][0], self.size)
        )
        request = f"{self._chance.getrandbits(64):x}"
        return await persist(
            lambda: self._client.start(
                orchestrator, given, instance_id=self._id, reuse=reuse, request_id=request
            )
        )

    async def _collect(self) -> None:
        for number in range(EVENTS):
            request = f"{self._id} event {number}"
            await persist(
                lambda n=number, r=request: self._client.raise_event(  # type: ignore[misc]
                    self._id, "number", n, request_id=r
                )
            )
            if self._chance.random() < 0.3:
                await self._pause()

    async def _pause(self) -> None:
        try:
            await persist(lambda: self._client.suspend(self._id))
            await self._wait()
            await persist(lambda: self._client.resume(self._id))
        except Exception as error:
            if not await self._is_ended():
                raise AssertionError("it can be suspended and resumed") from error

    async def _replace(self) -> None:
        self.handle = await self._start(ReusePolicy.REPLACE)

    async def _terminate(self) -> None:
        self._terminated = True
        await persist(lambda: self._client.terminate(self._id))

    async def _again(self) -> None:
        """Once it has ended: purge it and start it anew, or restart it."""
        await self.check()
        if self._chance.random() < 0.5:
            await persist(lambda: self._client.purge(self._id))
            self.handle = await self._start(ReusePolicy.REJECT)
        else:
            self._terminated = False
            await self._start(ReusePolicy.REPLACE_TERMINAL)

    async def _is_ended(self) -> bool:
        state = await persist(lambda: self._client.get(self._id))
        return state is not None and state.is_ended

    async def check(self) -> None:
        """Wait for the end, which must be the right one."""
        state = await persist(lambda: self._client.wait_for_end(self._id, timeout=600))
        if self._terminated and state.status is Status.TERMINATED:
            return
        assert state.status is Status.COMPLETED, (self._id, self.name, state.failure)
        expected = (
            list(range(EVENTS)) if self.name == "collect" else EXPECTED[self.name][1](self.size)
        )
        assert state.output() == expected, (self._id, self.name)


async def persist(call: Callable[[], Awaitable[Any]]) -> Any:
    """Ask again for as long as the store does not answer."""
    while True:
        try:
            return await call()
        except BackendUnavailableError:
            await anyio.sleep(0.1)


def check_histories(store: MemoryStore) -> None:
    """Each outcome was recorded once."""
    for row in rows_of(store):
        once = Counter(
            (type(event), event.seq)
            for event in recorded(row.instance_id)
            if isinstance(event, (ActivityCompleted, SubOrchestrationCompleted, TimerFired))
            or (isinstance(event, ActivityFailed) and event.retry_at_us is None)
        )
        assert not once or max(once.values()) == 1, (row.instance_id, once)
        numbers = [e.payload for e in recorded(row.instance_id) if isinstance(e, EventRaised)]
        assert numbers == sorted(numbers)


async def settle(hub: TaskHub, store: MemoryStore) -> None:
    """Wait until nothing is going on any more; children that were given up end as well."""
    with anyio.fail_after(600):
        while not all(row.status.is_terminal for row in rows_of(store)):
            await anyio.sleep(1)
    statistics = await hub.statistics()
    assert statistics.parked == 0
    assert statistics.letters == 0
    assert statistics.queued_activities == 0
