"""Continue-as-new: from coroutines, groups, clean-up and generators."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from durable_async._kernel.orchestration import Orchestration
from durable_async.errors import ValidationError
from durable_async.model.history import (
    ExecutionCompleted,
    ExecutionContinuedAsNew,
    ExecutionFailed,
    ExecutionSuspended,
)

from .driver import Driver, commands


async def plainly(ctx: Any, n: int) -> None:
    ctx.continue_as_new(n + 1)


async def in_a_group(ctx: Any, n: int) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(ctx.call_activity("endless", 1))
        await asyncio.sleep(0)
        ctx.continue_as_new(n + 1)


async def by_a_child(ctx: Any, n: int) -> None:
    async def child() -> None:
        ctx.continue_as_new(n + 1)

    async with asyncio.TaskGroup() as group:
        group.create_task(ctx.call_activity("endless", 1))
        group.create_task(child())


async def cleaning_up(ctx: Any, n: int) -> None:
    try:
        ctx.continue_as_new(n + 1)
    finally:
        await ctx.call_activity("a", "clean")


async def catching_everything(ctx: Any, n: int) -> None:
    try:
        ctx.continue_as_new(n + 1)
    except BaseException:  # noqa: BLE001 - as users do
        await ctx.call_activity("a", "caught")


def in_a_generator(ctx: Any, n: int) -> Any:
    yield ctx.call_activity("a", 1)
    try:
        ctx.continue_as_new(n + 1)
    except Exception:  # noqa: BLE001 - as users do
        yield ctx.call_activity("a", "not here")


@pytest.mark.parametrize(
    "function",
    [plainly, in_a_group, by_a_child, cleaning_up, catching_everything, in_a_generator],
)
def test_an_execution_continues_as_new(function: Callable[..., Any]) -> None:
    driver = Driver(function, 4, activities={"a": lambda x: x})
    assert driver.run() == ExecutionContinuedAsNew(b"5", None, True)
    assert b"not here" not in [getattr(c, "input", None) for c in commands(driver.history)]
    assert driver.replayed().outcome == driver.live.outcome
    driver.live.evict()


def test_code_that_fails_on_its_way_out_has_failed() -> None:
    async def orchestrator(ctx: Any) -> None:
        try:
            ctx.continue_as_new(1)
        finally:
            raise ValueError("on the way")

    outcome = Driver(orchestrator).run()
    assert isinstance(outcome, ExecutionFailed)
    assert outcome.failure.message == "on the way"


@pytest.mark.parametrize("keep", [True, False])
def test_events_are_kept_for_the_next_execution_if_asked(keep: bool) -> None:
    async def orchestrator(ctx: Any) -> None:
        ctx.continue_as_new(keep_events=keep)

    driver = Driver(orchestrator)
    driver.raise_event("early", 1)
    driver.raise_event("early", 2)
    assert sorted(driver.turn().consumed) == ([] if keep else [1, 2])


NO_VERSIONS = ["a\0b", "\ud800", 5, True, b"1", "v" * 2_000]


@pytest.mark.parametrize(
    "asked",
    [
        *[{"version": version} for version in NO_VERSIONS],
        *[{"keep_events": keep} for keep in (None, 0, 1, "no", [])],
    ],
    ids=repr,
)
def test_what_cannot_be_asked_for_is_refused_and_forgotten(asked: dict[str, Any]) -> None:
    async def orchestrator(ctx: Any) -> str:
        with pytest.raises(ValidationError) as caught:
            ctx.continue_as_new(1, **asked)
        return str(caught.value)

    outcome = Driver(orchestrator).run()
    assert isinstance(outcome, ExecutionCompleted), "it went on as a new execution"
    assert outcome.result is not None
    assert next(iter(asked)) in outcome.result.decode()


@pytest.mark.parametrize(("asked", "expected"), [(None, None), ("", None), ("2", "2")])
def test_a_version_that_is_empty_is_none(asked: str | None, expected: str | None) -> None:
    async def orchestrator(ctx: Any) -> None:
        ctx.continue_as_new(1, version=asked)

    outcome = Driver(orchestrator).run()
    assert isinstance(outcome, ExecutionContinuedAsNew)
    assert outcome.version == expected


def test_what_arrives_as_it_continues_is_left_to_the_next_execution() -> None:
    async def orchestrator(ctx: Any) -> None:
        await ctx.wait_for_external_event("go")
        ctx.continue_as_new()

    driver = Driver(orchestrator)
    driver.turn()
    driver.raise_event("go")
    driver.live.deliver(2, None, ExecutionSuspended("not lost"))
    result = driver.turn()
    assert isinstance(result.outcome, ExecutionContinuedAsNew)
    assert result.consumed == [1]
    following = Orchestration("test", 2, driver.started, driver.program)
    following.mailbox = driver.live.mailbox
    assert following.turn(driver.now_us).suspended
