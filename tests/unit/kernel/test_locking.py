"""Waiting for critical sections, and code that goes away in them."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Generator
from typing import Any

import pytest

from durable_async._kernel.program import drive
from durable_async._kernel.sections import SectionState
from durable_async.errors import (
    EntityLockTimeoutError,
    OutsideOrchestrationError,
    ValidationError,
)
from durable_async.model.history import (
    EntityCallCompleted,
    EntityCalled,
    EntityLocked,
    EntityLocksReleased,
    EntityLocksRequested,
    EntitySignaled,
    ExecutionCompleted,
    ExecutionResumed,
    ExecutionSuspended,
    TimerCancelled,
    TimerCreated,
    TimerFired,
)

from .driver import START_US, Driver, commands
from .locking import (
    BOTH,
    FORMS,
    HOLDING,
    RELEASED,
    REQUESTED,
    SECOND,
    A,
    B,
    C,
    locked,
    run_through,
    with_async,
)

# -- asking for it


@pytest.mark.parametrize(
    ("entities", "why"),
    [
        *[(wrong, "must be a list of entities") for wrong in (1, None, "@account@a", A, 3.5)],
        *[([wrong], "EntityId") for wrong in (1, None, "@account@a")],
        ([], "is empty"),
        ([A, B, A], "is in it twice"),
    ],
    ids=repr,
)
def test_what_is_no_set_of_entities_is_refused_and_asked_of_nobody(entities: Any, why: str) -> None:
    async def orchestrator(ctx: Any) -> str:
        with pytest.raises(ValidationError, match=why):
            ctx.lock_entities(entities)
        async with ctx.lock_entities([B, A]):  # and nothing is in the way of those that are one
            return "locked"

    driver = Driver(orchestrator)
    assert run_through(driver) == ExecutionCompleted(b'"locked"')
    assert [one for one in driver.history if isinstance(one, EntityLocksRequested)] == [REQUESTED]


# -- waiting for it


def test_letters_count_once_and_only_from_entities_that_were_asked() -> None:
    async def orchestrator(ctx: Any) -> Any:
        async with ctx.lock_entities([A, B]):
            await ctx.wait_for_external_event("end")

    driver = Driver(orchestrator)
    driver.turn()
    for entity_id in ("@account@a", "@account@a", "@account@c"):
        driver.answer(EntityLocked(1, entity_id))
    driver.answer(EntityLocked(9, "@account@b"))
    assert driver.turn().events[1:] == [EntityLocked(1, "@account@a")]
    locked(driver)
    locked(driver)
    assert driver.turn().events[1:] == [EntityLocked(1, "@account@b")]
    locked(driver)
    assert driver.turn().events == []
    driver.raise_event("end")
    assert driver.run() == ExecutionCompleted(b"null")
    assert driver.replayed().outcome == driver.live.outcome


def test_locks_are_taken_note_of_while_suspended_and_shown_afterwards() -> None:
    entered: list[str] = []

    async def orchestrator(ctx: Any) -> Any:
        entered.clear()
        async with ctx.lock_entities([A, B]):
            entered.append("held")

    driver = Driver(orchestrator)
    driver.turn()
    driver.answer(EntityLocked(1, BOTH[0]))
    driver.turn()
    driver.live.deliver(1, None, ExecutionSuspended())
    locked(driver)
    locked(driver)
    result = driver.turn()
    assert result.events[2:] == [EntityLocked(1, BOTH[1])]
    assert entered == []
    again = driver.replayed()
    assert again._journal.pending[1].unheard == set()  # type: ignore[union-attr]
    driver.live.deliver(2, None, ExecutionResumed())
    assert driver.run() == ExecutionCompleted(b"null")
    assert entered == ["held"]
    assert driver.replayed().outcome == driver.live.outcome


def test_one_that_waits_for_a_lock_is_not_stalled() -> None:
    driver = Driver(with_async)
    driver.turn()
    assert driver.live.wake_at_us is None
    assert driver.turn().events == []


def test_a_request_that_takes_too_long_is_withdrawn() -> None:
    async def orchestrator(ctx: Any) -> Any:
        try:
            async with ctx.lock_entities([A, B], timeout=5):
                raise AssertionError
        except EntityLockTimeoutError as error:
            ctx.signal_entity(A, "add")
            return [*error.entity_ids, error.seconds]

    driver = Driver(orchestrator)
    driver.turn()
    driver.answer(EntityLocked(1, BOTH[0]))
    driver.turn()
    driver.now_us = START_US + 5 * SECOND
    result = driver.turn()
    assert result.outcome == ExecutionCompleted(b'["@account@a","@account@b",5.0]')
    assert result.released == {1: BOTH}
    assert driver.history[-4:-1] == [
        TimerFired(2),
        RELEASED,
        EntitySignaled(3, "@account@a", "add", None),
    ]
    assert driver.replayed().outcome == driver.live.outcome


def test_the_limit_ends_when_all_are_locked() -> None:
    async def orchestrator(ctx: Any) -> Any:
        async with ctx.lock_entities([A, B], timeout=5):
            await ctx.create_timer(60)

    driver = Driver(orchestrator)
    driver.turn()
    assert commands(driver.history) == [REQUESTED, TimerCreated(2, START_US + 5 * SECOND)]
    locked(driver)
    driver.now_us = START_US + 5 * SECOND  # what arrived goes before what is due
    driver.turn()
    assert TimerCancelled(2) in driver.history
    assert driver.run() == ExecutionCompleted(b"null")
    assert driver.replayed().outcome == driver.live.outcome


def test_a_limit_of_no_time_and_one_of_ages() -> None:
    async def orchestrator(ctx: Any) -> Any:
        with pytest.raises(EntityLockTimeoutError):
            await ctx.lock_entities([A, B], timeout=0)
        await ctx.lock_entities([A, B], timeout=1e12)

    driver = Driver(orchestrator)
    driver.turn()
    assert commands(driver.history) == [REQUESTED, RELEASED, EntityLocksRequested(2, BOTH)]


@FORMS
def test_being_cancelled_while_waiting_withdraws_the_request(
    orchestrator: Callable[[Any], Any],
) -> None:
    async def waits(ctx: Any) -> Any:
        part = orchestrator(ctx)
        try:
            async with asyncio.timeout(5):
                await (drive(part) if isinstance(part, Generator) else part)
        except TimeoutError:
            return await ctx.call_entity(C, "get")

    driver = Driver(waits)
    driver.turn()
    driver.answer(EntityLocked(2, BOTH[0]))
    driver.turn()
    driver.now_us += 5 * SECOND
    result = driver.turn()
    assert commands(result.events) == [
        EntityLocksReleased(2),
        EntityCalled(3, "@account@c", "get", None),
    ]
    assert result.released == {2: BOTH}
    driver.answer(EntityLocked(2, BOTH[1]))
    assert driver.turn().events == []
    driver.answer(EntityCallCompleted(3, b"3"))
    assert driver.run() == ExecutionCompleted(b"3")
    assert driver.replayed().outcome == driver.live.outcome


@FORMS
def test_a_cancellation_at_the_moment_of_the_lock_does_not_leak_it(
    orchestrator: Callable[[Any], Any],
) -> None:
    class Cancelling:
        def __init__(self, ctx: Any) -> None:
            self.ctx = ctx

        def lock_entities(self, entities: Any) -> Any:
            lock = self.ctx.lock_entities(entities)
            task = asyncio.current_task()
            assert task is not None
            lock.add_done_callback(lambda _: task.cancel())
            return lock

    async def part(ctx: Any) -> Any:
        inner = orchestrator(Cancelling(ctx))
        return await (drive(inner) if isinstance(inner, Generator) else inner)

    async def outer(ctx: Any) -> Any:
        task = asyncio.create_task(part(ctx))
        await asyncio.wait([task])
        ctx.signal_entity(A, "add")
        return task.cancelled()

    driver = Driver(outer)
    assert run_through(driver) == ExecutionCompleted(b"true")
    assert commands(driver.history) == [
        REQUESTED,
        RELEASED,
        EntitySignaled(2, "@account@a", "add", None),
    ]


def test_a_request_can_be_withdrawn_by_its_future() -> None:
    async def orchestrator(ctx: Any) -> Any:
        lock = ctx.lock_entities([A, B], timeout=9)
        assert lock.cancel()
        assert not lock.cancel()
        async with ctx.lock_entities([C]):
            assert not lock.cancel()

    driver = Driver(orchestrator)
    driver.turn()
    assert commands(driver.history) == [
        REQUESTED,
        TimerCreated(2, START_US + 9 * SECOND),
        RELEASED,
        TimerCancelled(2),
        EntityLocksRequested(3, ("@account@c",)),
    ]
    locked(driver, 3, ("@account@c",))
    assert driver.run() == ExecutionCompleted(b"null")
    assert driver.replayed().outcome == driver.live.outcome


# -- whose code goes away


@HOLDING
@pytest.mark.parametrize("granted", [False, True], ids=["waiting", "holding"])
def test_an_eviction_records_nothing(orchestrator: Callable[[Any], Any], granted: bool) -> None:
    driver = Driver(orchestrator)
    driver.turn()
    if granted:
        locked(driver)
        driver.turn()
    before = list(driver.history)
    assert driver.live.evict()
    assert driver.live._journal.recorded == []
    assert driver.live._journal.released == {}
    assert driver.history == before
    assert driver.live._journal.loop.unfinished() == []


@HOLDING
@pytest.mark.parametrize("granted", [False, True], ids=["waiting", "holding"])
def test_code_that_is_collected_records_nothing(
    orchestrator: Callable[[Any], Any], granted: bool
) -> None:
    driver = Driver(orchestrator)
    driver.turn()
    if granted:
        locked(driver)
        driver.turn()
    journal = driver.live._journal
    coroutine = driver.live._root.get_coro()
    coroutine.close()
    gc.collect()
    assert journal.recorded == []
    assert journal.released == {}


def test_a_generator_that_is_closed_by_the_code_unlocks() -> None:
    async def orchestrator(ctx: Any) -> Any:
        async def inside() -> Any:
            async with ctx.lock_entities([A, B]):
                yield 1

        held = inside()
        async for _ in held:
            break
        await held.aclose()
        ctx.signal_entity(A, "add")

    driver = Driver(orchestrator)
    assert run_through(driver) == ExecutionCompleted(b"null")
    assert RELEASED in driver.history


def test_a_release_from_outside_of_the_turn_is_refused() -> None:
    kept: list[Any] = []

    async def orchestrator(ctx: Any) -> Any:
        async with ctx.lock_entities([A, B]) as section:
            kept.append(section)
            await ctx.wait_for_external_event("never")

    driver = Driver(orchestrator)
    driver.turn()
    locked(driver)
    driver.turn()
    with pytest.raises(OutsideOrchestrationError):
        kept[0].release()
    assert kept[0].state is SectionState.HELD
    assert driver.turn().events == []
    driver.live.evict()
    kept[0].release()
