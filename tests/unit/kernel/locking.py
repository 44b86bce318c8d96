"""Orchestrators that ask for critical sections, and how a test grants them."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from durable_async.model.history import EntityLocked, EntityLocksReleased, EntityLocksRequested
from durable_async.model.identity import EntityId

from .driver import Driver

A = EntityId("account", "a")
B = EntityId("account", "b")
C = EntityId("account", "c")
BOTH = ("@account@a", "@account@b")
SECOND = 1_000_000
REQUESTED = EntityLocksRequested(1, BOTH)
RELEASED = EntityLocksReleased(1)


def locked(driver: Driver, seq: int = 1, entity_ids: tuple[str, ...] = BOTH) -> None:
    """Let every entity of a request say that it is locked."""
    for entity_id in entity_ids:
        driver.answer(EntityLocked(seq, entity_id))


def run_through(driver: Driver) -> Any:
    """Run the first turn, grant the first request, run to the end; a replay gives the same."""
    driver.turn()
    locked(driver)
    outcome = driver.run()
    again = driver.replayed()
    assert again.outcome == outcome
    assert repr(again._journal.section) == repr(driver.live._journal.section)
    return outcome


async def with_async(ctx: Any) -> Any:
    async with ctx.lock_entities([B, A]) as section:
        return section.state.value


async def with_await(ctx: Any) -> Any:
    with await ctx.lock_entities([B, A]) as section:
        return section.state.value


def with_yield(ctx: Any) -> Generator[Any, Any, Any]:
    with (yield ctx.lock_entities([B, A])) as section:
        return section.state.value


async def holds_async(ctx: Any) -> Any:
    async with ctx.lock_entities([B, A], timeout=60):
        await ctx.call_activity("work")


async def holds_await(ctx: Any) -> Any:
    with await ctx.lock_entities([B, A], timeout=60):
        await ctx.call_activity("work")


def holds_yield(ctx: Any) -> Generator[Any, Any, Any]:
    with (yield ctx.lock_entities([B, A], timeout=60)):
        yield ctx.call_activity("work")


HOLDING = pytest.mark.parametrize("orchestrator", [holds_async, holds_await, holds_yield])
FORMS = pytest.mark.parametrize("orchestrator", [with_async, with_await, with_yield])
