"""The fold of commands about entities: letters in order, and the will."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parent.parent / "kernel"))

from driver import Driver

from durable_async._engine.fold import fold
from durable_async._kernel.orchestration import TurnResult
from durable_async.model.history import (
    EntityCallCompleted,
    EntityLocked,
    EntityLockRelease,
    EntityLockRequest,
    EntityOperation,
    ParentLink,
)
from durable_async.model.identity import EntityId
from durable_async.model.records import NO_WILL, TurnCommit, Will
from durable_async.model.status import Status
from durable_async.serialization.events import decode_letter, encode_letter

A = EntityId("account", "a@b")
B = EntityId("account", "b")
BOTH = (str(A), str(B))


def holder(seq: int, execution: int = 1) -> ParentLink:
    return ParentLink("test", execution, seq)


def committed(driver: Driver, result: TurnResult | None = None) -> TurnCommit:
    """Run a turn, unless one was run, and fold it."""
    result = driver.turn() if result is None else result
    commit, _ = fold(driver.live, result, turn=1, status=Status.RUNNING, now_us=driver.now_us)
    return commit


def letters(commit: TurnCommit) -> list[tuple[str, str | None, Any]]:
    return [(o.instance_id, o.opens, decode_letter("test", o.letter)) for o in commit.outbox]


def driver_of(function: Callable[[Any], Any]) -> Driver:
    return Driver(function, activities={"a": lambda x: x})


def test_signals_and_calls_are_letters_that_call_entities_into_being() -> None:
    async def orchestrator(ctx: Any) -> Any:
        ctx.signal_entity(A, "add", 1, at=60)
        await ctx.call_entity(B, "get")

    driver = driver_of(orchestrator)
    commit = committed(driver)
    assert letters(commit) == [
        (str(A), "@account", EntityOperation("add", b"1", due_us=driver.now_us + 60_000_000)),
        (str(B), "@account", EntityOperation("get", None, caller=holder(2))),
    ]
    assert [out.execution for out in commit.outbox] == [None, None]
    assert commit.will is None


def test_a_lock_request_goes_to_every_entity_and_into_the_will() -> None:
    async def orchestrator(ctx: Any) -> Any:
        await ctx.lock_entities([B, A], hold=2)

    commit = committed(driver_of(orchestrator))
    request = EntityLockRequest(holder(1), 2_000_000)
    assert letters(commit) == [(str(A), "@account", request), (str(B), "@account", request)]
    release = EntityLockRelease(holder(1), is_will=True)
    assert commit.will == Will(receivers=BOTH, letter=encode_letter(release))


def test_a_release_after_a_replay_still_knows_its_entities() -> None:
    async def orchestrator(ctx: Any) -> Any:
        async with ctx.lock_entities([A, B]):
            await ctx.call_entity(A, "get")
            await ctx.wait_for_external_event("end")
        await ctx.wait_for_external_event("end")

    driver = driver_of(orchestrator)
    driver.turn()
    for entity_id in BOTH:
        driver.answer(EntityLocked(1, entity_id))
    commit = committed(driver)
    operation = EntityOperation("get", None, caller=holder(2), section=1)
    assert letters(commit) == [(str(A), "@account", operation)]
    assert commit.will is None
    driver.live = driver.replayed()
    driver.raise_event("end")
    driver.answer(EntityCallCompleted(2, b"1"))
    commit = committed(driver)
    release = EntityLockRelease(holder(1))
    assert letters(commit) == [(str(A), None, release), (str(B), None, release)]
    assert commit.will == NO_WILL


def test_the_last_word_of_a_turn_is_its_will() -> None:
    async def orchestrator(ctx: Any) -> Any:
        ctx.lock_entities([A]).cancel()
        await ctx.lock_entities([B])

    commit = committed(driver_of(orchestrator))
    assert [(to, type(letter).__name__) for to, _, letter in letters(commit)] == [
        (str(A), "EntityLockRequest"),
        (str(A), "EntityLockRelease"),
        (str(B), "EntityLockRequest"),
    ]
    assert commit.will is not None
    assert commit.will.receivers == (str(B),)


def test_an_execution_that_ends_in_its_section_leaves_it_to_the_will() -> None:
    async def orchestrator(ctx: Any) -> Any:
        await ctx.lock_entities([A])
        ctx.continue_as_new()

    driver = driver_of(orchestrator)
    driver.turn()
    driver.answer(EntityLocked(1, str(A)))
    commit = committed(driver)
    assert commit.next_execution is not None
    assert (commit.outbox, commit.will) == ((), None)
