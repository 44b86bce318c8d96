"""However the holder of a critical section ends, nobody holds it afterwards, and the next in line gets it; also if it was waiting only."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio
import pytest

from durable_async import (
    Client,
    Entity,
    EntityOperationFailedError,
    OrchestrationContext,
    OrchestrationHandle,
    Registry,
    ReusePolicy,
    Status,
    TaskHub,
    when_any,
)
from durable_async.testing import VirtualEnvironment, virtual_time

from .worlds import ASYNC, GENERATOR, HOUR, MINUTE, Styles, World, doomed

pytestmark = pytest.mark.pattern("entity lock release")

styles = Styles()
changed = Styles()
"""The next release of the same code, in which the holder does something else."""
entities_only = Registry()
"""A worker that does not know the holder's code."""


@styles.entity
class Seat(Entity[list[str]]):
    def initial_state(self) -> list[str]:
        return []

    def sit(self, name: str) -> None:
        self.state.append(name)


_definition = styles[ASYNC].find_entity("@seat")
assert _definition is not None
for _registry in (changed[ASYNC], changed[GENERATOR], entities_only):
    _registry.add_entity(_definition)

SEATS = [Seat.entity_id("a"), Seat.entity_id("b")]


@styles.both
async def blocker(ctx: OrchestrationContext) -> None:
    """Holds one seat until it is told to go."""
    async with ctx.lock_entities(SEATS[1:]):
        await ctx.wait_for_external_event("go")


@styles.both
async def follower(ctx: OrchestrationContext) -> str:
    """Is next in line."""
    async with ctx.lock_entities(SEATS):
        for seat in SEATS:
            await ctx.call_entity(seat, Seat.sit, "follower")
    return "sat"


for _registry in (changed[ASYNC], changed[GENERATOR]):
    _registry.add_orchestrator(blocker)
    _registry.add_orchestrator(follower)


class EndedError(Exception):
    """What a holder raises."""


broken: list[str] = []
"""What makes the next activity fail."""


@styles.activity
async def work() -> str:
    if broken:
        raise EndedError(broken.pop())
    return "worked"


async def _sit(ctx: OrchestrationContext, name: str) -> str:
    try:
        await ctx.call_entity(SEATS[0], Seat.sit, name)
    except EntityOperationFailedError as error:
        return error.failure.error_type.rpartition(".")[2]
    return "sat"


def _sit_in_steps(ctx: OrchestrationContext, name: str) -> Generator[Any, Any, str]:
    try:
        yield ctx.call_entity(SEATS[0], Seat.sit, name)
    except EntityOperationFailedError as error:
        return error.failure.error_type.rpartition(".")[2]
    return "sat"


@styles.in_async("worker")
async def worker(ctx: OrchestrationContext, leaves: bool) -> list[str]:
    """Work in a critical section, which is left properly or not, and sit down; then do so once more."""
    told = []
    for _ in range(2):
        section = await ctx.lock_entities(SEATS)
        if leaves:
            with section:
                told += [await ctx.call_activity(work), await _sit(ctx, "worker")]
        else:
            told += [await ctx.call_activity(work), await _sit(ctx, "worker")]
            section.release()
    return told


@styles.in_generator("worker")
def worker_in_steps(ctx: OrchestrationContext, leaves: bool) -> Generator[Any, Any, list[str]]:
    told = []
    for _ in range(2):
        section = yield ctx.lock_entities(SEATS)
        if leaves:
            with section:
                told.append((yield ctx.call_activity(work)))
                told.append((yield from _sit_in_steps(ctx, "worker")))
        else:
            told.append((yield ctx.call_activity(work)))
            told.append((yield from _sit_in_steps(ctx, "worker")))
            section.release()
    return told


@styles.in_async("holder")
async def holder(ctx: OrchestrationContext, order: str) -> str:
    """Hold two seats, or wait for them, until an event says how to end."""
    if order == "rest":
        return await ctx.wait_for_external_event("go", str)
    lock = ctx.lock_entities(SEATS)
    event = ctx.wait_for_external_event("go", str)
    if order == "waits":
        await when_any([lock, event])
        return await _end(ctx, await event)
    section = await lock
    await ctx.call_entity(SEATS[0], Seat.sit, "holder")
    what = await event
    if what == "leave":
        with section:
            return what
    if what == "leave by exception":
        with section:
            raise EndedError
    return await _end(ctx, what)


async def _end(ctx: OrchestrationContext, what: str) -> str:
    if what == "raise":
        raise EndedError
    if what == "continue as new":
        ctx.continue_as_new("rest")
    if what == "call":
        return await _sit(ctx, "too late")
    return what


@styles.in_generator("holder")
def holder_in_steps(ctx: OrchestrationContext, order: str) -> Generator[Any, Any, str]:
    if order == "rest":
        return (yield ctx.wait_for_external_event("go", str))
    lock = ctx.lock_entities(SEATS)
    event = ctx.wait_for_external_event("go", str)
    if order == "waits":
        yield when_any([lock, event])
        return (yield from _end_in_steps(ctx, (yield event)))
    section = yield lock
    yield ctx.call_entity(SEATS[0], Seat.sit, "holder")
    what = yield event
    if what == "leave":
        with section:
            return str(what)
    if what == "leave by exception":
        with section:
            raise EndedError
    return (yield from _end_in_steps(ctx, what))


def _end_in_steps(ctx: OrchestrationContext, what: str) -> Generator[Any, Any, str]:
    if what == "raise":
        raise EndedError
    if what == "continue as new":
        ctx.continue_as_new("rest")
    if what == "call":
        return (yield from _sit_in_steps(ctx, "too late"))
    return what


@styles.in_async("patient")
async def patient(ctx: OrchestrationContext) -> str:
    async with ctx.lock_entities(SEATS):
        return await _sit(ctx, "patient")


@styles.in_generator("patient")
def patient_in_steps(ctx: OrchestrationContext) -> Generator[Any, Any, str]:
    with (yield ctx.lock_entities(SEATS)):
        return (yield from _sit_in_steps(ctx, "patient"))


@changed.in_async("patient")
async def changed_patient(ctx: OrchestrationContext) -> str:
    await ctx.create_timer(1)
    return "something else"


@changed.in_generator("patient")
def changed_patient_in_steps(ctx: OrchestrationContext) -> Generator[Any, Any, str]:
    yield ctx.create_timer(1)
    return "something else"


@changed.in_async("holder")
async def changed_holder(ctx: OrchestrationContext, order: str) -> str:
    await ctx.create_timer(1)
    return "something else"


@changed.in_generator("holder")
def changed_holder_in_steps(ctx: OrchestrationContext, order: str) -> Generator[Any, Any, str]:
    yield ctx.create_timer(1)
    return "something else"


# -- the stage


async def until_parked(hub: TaskHub, handle: OrchestrationHandle[Any]) -> None:
    with anyio.fail_after(HOUR):
        while (state := await hub.client.get(handle)) is None or state.parked is None:
            await anyio.sleep(1)


@dataclass
class Story:
    """A holder, and a follower who waits for it.

    Attributes:
        role: Whether the holder ``holds`` the seats, or ``waits`` for them: one is given to it, and not the other.
    """

    hub: TaskHub
    style: str
    role: str
    holder: OrchestrationHandle[Any]
    follower: OrchestrationHandle[Any]
    blocker: OrchestrationHandle[Any] | None

    @property
    def client(self) -> Client:
        return self.hub.client

    async def tell(self, what: str) -> None:
        await self.client.raise_event(self.holder, "go", what)

    async def standing(self) -> list[tuple[str | None, list[str]]]:
        """Return who holds each seat, and who waits for it."""
        found = []
        for seat in SEATS:
            locks = await self.client.entity_locks(seat)
            by = None if locks.held_by is None else locks.held_by.instance_id
            found.append((by, [one.instance_id for one in locks.waiting]))
        return found

    async def until_parked(self) -> None:
        await until_parked(self.hub, self.holder)

    async def follower_gets_it(self) -> None:
        """Look who holds what at the end."""
        if self.blocker is not None:
            await self.client.raise_event(self.blocker, "go")
        assert await self.follower.wait(timeout=MINUTE) == "sat"
        assert await self.standing() == [(None, []), (None, [])]
        state = await self.client.get_entity(SEATS[1], Seat)
        assert state is not None
        assert state.state == ["follower"]
        assert (await self.client.clean_entities()).orphaned_locks == ()


@asynccontextmanager
async def begun(hub: TaskHub, style: str, role: str) -> AsyncIterator[Story]:
    """Let a holder come so far; the worker that saw to that is gone."""
    client = hub.client
    async with hub.worker(styles[style]):
        blocking = None
        if role == "waits":
            blocking = await client.start(blocker, instance_id="blocker")
            await anyio.sleep(1)
        first = await client.start("holder", role, instance_id="holder")
        await anyio.sleep(1)
        second = await client.start(follower, instance_id="follower")
        await anyio.sleep(1)
        story = Story(hub, style, role, first, second, blocking)
        assert await story.standing() == [
            ("holder", ["follower"]),
            ("blocker", ["holder", "follower"]) if blocking else ("holder", ["follower"]),
        ]
    yield story


# -- ends


async def leave(story: Story) -> None:
    await story.tell("leave")
    assert await story.holder.wait(timeout=MINUTE) == "leave"


async def leave_by_exception(story: Story) -> None:
    await story.tell("leave by exception")
    assert (await story.client.wait_for_end(story.holder, timeout=MINUTE)).status is Status.FAILED


async def return_inside(story: Story) -> None:
    await story.tell("return")
    assert await story.holder.wait(timeout=MINUTE) == "return"


async def raise_inside(story: Story) -> None:
    await story.tell("raise")
    assert (await story.client.wait_for_end(story.holder, timeout=MINUTE)).status is Status.FAILED


async def continue_as_new(story: Story) -> None:
    await story.tell("continue as new")
    await anyio.sleep(1)
    state = await story.client.get(story.holder)
    assert state is not None
    assert state.status is Status.RUNNING
    assert state.execution == 2


async def terminate(story: Story) -> None:
    await story.client.terminate(story.holder)
    state = await story.client.wait_for_end(story.holder, timeout=MINUTE)
    assert state.status is Status.TERMINATED


async def terminate_and_purge(story: Story) -> None:
    await terminate(story)
    assert await story.client.purge(story.holder) == 1


async def replace(story: Story) -> None:
    await story.client.start("holder", "rest", instance_id="holder", reuse=ReusePolicy.REPLACE)


async def terminate_while_suspended(story: Story) -> None:
    await story.client.suspend(story.holder)
    await anyio.sleep(MINUTE)
    (held, waiting), _ = await story.standing()
    assert (held, waiting) == ("holder", ["follower"]), "who is suspended keeps what it has"
    await terminate(story)


ENDS: dict[str, Callable[[Story], Awaitable[None]]] = {
    "return": return_inside,
    "raise": raise_inside,
    "continue as new": continue_as_new,
    "terminate": terminate,
    "terminate and purge": terminate_and_purge,
    "replace": replace,
    "terminate while suspended": terminate_while_suspended,
}
PROPER: dict[str, Callable[[Story], Awaitable[None]]] = {
    "leave": leave,
    "leave by exception": leave_by_exception,
}
CASES = [("holds", end) for end in (*PROPER, *ENDS)] + [("waits", end) for end in ENDS]


@pytest.mark.parametrize(("role", "end"), CASES)
@virtual_time
async def test_every_end_of_the_holder_gives_back_what_it_has(
    env: VirtualEnvironment, world: World, style: str, role: str, end: str
) -> None:
    async with world.hub(env, styles[style]) as hub, begun(hub, style, role) as story:
        async with hub.worker():
            await ({**PROPER, **ENDS}[end])(story)
            await story.follower_gets_it()


@pytest.mark.parametrize(("role", "end"), CASES)
@virtual_time
async def test_it_does_so_also_if_its_worker_dies_in_the_midst(
    env: VirtualEnvironment, world: World, role: str, end: str
) -> None:
    async with world.hub(env, styles[ASYNC]) as hub, begun(hub, ASYNC, role) as story:
        async with doomed(hub):
            await anyio.sleep(1)
        async with hub.worker(sweep_seconds=1):
            await anyio.sleep(HOUR)
            await ({**PROPER, **ENDS}[end])(story)
            await story.follower_gets_it()


@pytest.mark.parametrize("role", ["holds", "waits"])
@virtual_time
async def test_whoever_terminates_it_need_not_know_its_code(
    env: VirtualEnvironment, world: World, style: str, role: str
) -> None:
    async with world.hub(env, styles[style]) as hub, begun(hub, style, role) as story:
        async with hub.worker(entities_only):
            await terminate(story)
        async with hub.worker():
            await story.follower_gets_it()


@pytest.mark.parametrize("role", ["holds", "waits"])
@virtual_time
async def test_it_is_replaced_while_nobody_is_there(
    env: VirtualEnvironment, world: World, style: str, role: str
) -> None:
    async with world.hub(env, styles[style]) as hub, begun(hub, style, role) as story:
        await replace(story)
        async with hub.worker():
            await story.follower_gets_it()


@pytest.mark.parametrize("role", ["holds", "waits"])
@virtual_time
async def test_a_holder_whose_code_diverges_is_parked_and_gives_back_what_it_has(
    env: VirtualEnvironment, world: World, style: str, role: str
) -> None:
    async with world.hub(env, styles[style]) as hub, begun(hub, style, role) as story:
        async with hub.worker(changed[style]):
            await story.until_parked()
            await story.follower_gets_it()


@virtual_time
async def test_a_parked_holder_that_is_put_back_is_told_that_its_lock_is_lost(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with world.hub(env, styles[style]) as hub, begun(hub, style, "holds") as story:
        async with hub.worker(changed[style]):
            await story.until_parked()
            await story.follower_gets_it()
        async with hub.worker():
            assert await hub.client.unpark(story.holder)
            await story.tell("call")
            assert await story.holder.wait(timeout=MINUTE) == "EntityLockLostError"
            assert await story.standing() == [(None, []), (None, [])]


@virtual_time
async def test_who_was_parked_while_it_waited_and_is_put_back_does_not_wait_for_ever(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with world.hub(env, styles[style]) as hub:
        async with hub.worker():
            blocking = await hub.client.start(blocker)
            await anyio.sleep(1)
            waiting = await hub.client.start("patient")
            await anyio.sleep(1)
            assert len((await hub.client.entity_locks(SEATS[1])).waiting) == 1
        async with hub.worker(changed[style]):
            await until_parked(hub, waiting)
            assert (await hub.client.entity_locks(SEATS[1])).waiting == ()
        async with hub.worker():
            assert await hub.client.unpark(waiting)
            assert await waiting.wait(timeout=MINUTE) == "EntityLockLostError"
            await hub.client.raise_event(blocking, "go")
            assert await (await hub.client.start("patient")).wait(timeout=MINUTE) == "sat"


@pytest.mark.parametrize("leaves", [True, False])
@virtual_time
async def test_a_holder_that_failed_and_is_rewound_is_told_that_its_lock_is_lost(
    env: VirtualEnvironment, world: World, style: str, leaves: bool
) -> None:
    broken[:] = ["once"]
    async with world.running(env, styles[style]) as hub:
        handle = await hub.client.start("worker", leaves)
        assert (await hub.client.wait_for_end(handle, timeout=MINUTE)).status is Status.FAILED
        second = await hub.client.start(follower)
        assert await second.wait(timeout=MINUTE) == "sat"
        await hub.client.rewind(handle)
        told = await handle.wait(timeout=MINUTE)
        assert told == ["worked", "EntityLockLostError", "worked", "sat"]
        for seat in SEATS:
            assert (await hub.client.entity_locks(seat)).held_by is None
