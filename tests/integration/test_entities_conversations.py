"""Turns that answer each other in one commit: how many commits a call costs, and what holds whichever way a letter takes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest

from durable_async import (
    Entity,
    OrchestrationContext,
    Registry,
    ReusePolicy,
    TaskHub,
)
from durable_async.errors import BackendUnavailableError
from durable_async.model.records import CommitItem, CommitResult, Fence, TurnCommit
from durable_async.testing import VirtualEnvironment, virtual_time

from .worlds import ASYNC, GENERATOR, MINUTE, Styles, World

pytestmark = pytest.mark.pattern("entity conversations")

styles = Styles()
front = Styles()
"""Workers without entities."""
back = Registry()
"""A worker without orchestrations."""


@styles.entity
class Account(Entity[int]):
    def initial_state(self) -> int:
        return 0

    def balance(self) -> int:
        return self.state

    def move(self, amount: int) -> int:
        self.state += amount
        return self.state

    async def rest(self, seconds: float) -> int:
        await anyio.sleep(seconds)
        return self.state


_definition = styles[ASYNC].find_entity("@account")
assert _definition is not None
back.add_entity(_definition)
A, B = Account.entity_id("a"), Account.entity_id("b")


async def transfer(ctx: OrchestrationContext, amount: int) -> list[int]:
    async with ctx.lock_entities([A, B]):
        return [
            await ctx.call_entity(A, Account.move, -amount),
            await ctx.call_entity(B, Account.move, amount),
        ]


def transfer_in_steps(ctx: OrchestrationContext, amount: int) -> Generator[Any, Any, list[int]]:
    with (yield ctx.lock_entities([A, B])):
        left = yield ctx.call_entity(A, Account.move, -amount)
        right = yield ctx.call_entity(B, Account.move, amount)
        return [left, right]


async def reads(ctx: OrchestrationContext) -> int:
    return await ctx.call_entity(A, Account.balance)


def reads_in_steps(ctx: OrchestrationContext) -> Generator[Any, Any, int]:
    return (yield ctx.call_entity(A, Account.balance))


async def moves_and_reads(ctx: OrchestrationContext, amount: int) -> int:
    ctx.signal_entity(A, Account.move, amount)
    ctx.signal_entity(A, Account.move, amount)
    return await ctx.call_entity(A, Account.balance)


def moves_and_reads_in_steps(ctx: OrchestrationContext, amount: int) -> Generator[Any, Any, int]:
    ctx.signal_entity(A, Account.move, amount)
    ctx.signal_entity(A, Account.move, amount)
    return (yield ctx.call_entity(A, Account.balance))


async def keeps(ctx: OrchestrationContext) -> None:
    async with ctx.lock_entities([A]):
        await ctx.wait_for_external_event("go")


for _styles in (styles, front):
    _styles[ASYNC].orchestrator(keeps)
    _styles[GENERATOR].orchestrator(keeps)
    _styles.in_async("transfer")(transfer)
    _styles.in_generator("transfer")(transfer_in_steps)
    _styles.in_async("reads")(reads)
    _styles.in_generator("reads")(reads_in_steps)
    _styles.in_async("moves_and_reads")(moves_and_reads)
    _styles.in_generator("moves_and_reads")(moves_and_reads_in_steps)


Meddler = Callable[[Sequence[CommitItem]], Awaitable[None]]


@dataclass
class Commits:
    """What was committed, and what happens to what is to be.

    Attributes:
        batches: Those that were sent.
        before: What happens before the next one reaches the store.
        after: What happens before its answer comes back.
    """

    batches: list[list[CommitItem]] = field(default_factory=list)
    before: Meddler | None = None
    after: Meddler | None = None

    def turns_of(self, instance_id: Any) -> list[TurnCommit]:
        return [
            item
            for batch in self.batches
            for item in batch
            if isinstance(item, TurnCommit) and item.instance_id == str(instance_id)
        ]


@asynccontextmanager
async def watched(env: VirtualEnvironment, world: World) -> AsyncIterator[tuple[TaskHub, Commits]]:
    """Open a hub whose commits are watched."""
    async with world.hub(env, styles[ASYNC]) as hub:
        commits = Commits()
        real = hub.backend.commit

        async def commit(fence: Fence, items: Sequence[CommitItem]) -> CommitResult:
            commits.batches.append(list(items))
            before, commits.before = commits.before, None
            if before is not None:
                await before(items)
            result = await real(fence, items)
            after, commits.after = commits.after, None
            if after is not None:
                await after(items)
            return result

        hub.backend.commit = commit  # type: ignore[method-assign]
        yield hub, commits


async def warm_up(hub: TaskHub, times: int = 5) -> None:
    """Let the accounts become warm, and known to be quick."""
    for _ in range(times):
        await (await hub.client.start("transfer", 0)).wait(timeout=MINUTE)
        await (await hub.client.start("reads")).wait(timeout=MINUTE)


async def balances(hub: TaskHub) -> list[int]:
    return [await hub.client.call_entity(one, Account.balance) for one in (A, B)]


# -- how many commits


@virtual_time
async def test_a_transfer_between_warm_accounts_is_one_commit(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with watched(env, world) as (hub, commits), hub.worker(styles[style]):
        await warm_up(hub)
        for number in range(1, 4):
            commits.batches.clear()
            handle = await hub.client.start("transfer", 10)
            assert await handle.wait() == [-10 * number, 10 * number]
            await anyio.sleep(1)
            (batch,) = commits.batches
            assert len(batch) == 3
            assert len({item.group for item in batch if isinstance(item, TurnCommit)}) == 1


@virtual_time
async def test_a_read_of_a_warm_account_is_one_commit_of_the_reader_alone(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with watched(env, world) as (hub, commits), hub.worker(styles[style]):
        await hub.client.call_entity(A, Account.move, 7)
        await warm_up(hub)
        commits.batches.clear()
        assert await (await hub.client.start("reads")).wait() == 7
        await anyio.sleep(1)
        ((turn,),) = commits.batches
        assert isinstance(turn, TurnCommit)
        assert turn.group == 0


@virtual_time
async def test_a_transfer_between_cold_accounts(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with watched(env, world) as (hub, commits), hub.worker(styles[style]):
        handle = await hub.client.start("transfer", 10)
        assert await handle.wait() == [-10, 10]
        await anyio.sleep(1)
        # The request; both grants; the first call, to an account that may be slow; its answer; the other one, and all that follows.
        assert len(commits.batches) == 5
        assert await balances(hub) == [-10, 10]


@virtual_time
async def test_a_transfer_between_accounts_of_another_worker(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with (
        watched(env, world) as (hub, commits),
        hub.worker(front[style]),
        hub.worker(back),
    ):
        await warm_up(hub)
        commits.batches.clear()
        handle = await hub.client.start("transfer", 10)
        assert await handle.wait() == [-10, 10]
        await anyio.sleep(1)
        # There and back four times: for the locks, for each call, and to unlock.
        assert len(commits.batches) == 8
        assert len(commits.turns_of(handle.instance_id)) == 4
        assert not any(turn.group for turn in commits.turns_of(A))


# -- which way a letter takes


@virtual_time
async def test_what_a_busy_account_is_told_goes_through_the_store_in_order(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with watched(env, world) as (hub, commits), hub.worker(styles[style]):
        await warm_up(hub)
        async with anyio.create_task_group() as group:
            group.start_soon(hub.client.call_entity, A, Account.rest, MINUTE)
            await anyio.sleep(1)
            commits.batches.clear()
            handle = await hub.client.start("moves_and_reads", 5)
            await anyio.sleep(1)
            ((turn,),) = commits.batches
            assert isinstance(turn, TurnCommit)
            assert [letter.instance_id for letter in turn.outbox] == [str(A)] * 3
            assert await handle.wait() == 10
            assert await (await hub.client.start("moves_and_reads", 5)).wait() == 20


@virtual_time
async def test_what_was_signaled_first_is_seen_by_who_comes_later(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with watched(env, world) as (hub, _), hub.worker(styles[style]):
        for number in range(1, 20):  # cold, warm, quick, and now and then busy
            if number % 5 == 0:
                await hub.client.signal_entity(A, Account.rest, 0.5)
            await hub.client.signal_entity(A, Account.move, 1)
            handle = await hub.client.start("reads")
            assert await handle.wait(timeout=MINUTE) == 3 * number - 2
            handle = await hub.client.start("moves_and_reads", 1)
            assert await handle.wait(timeout=MINUTE) == 3 * number


@virtual_time
async def test_a_locked_account_takes_letters_when_it_is_unlocked(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with watched(env, world) as (hub, commits), hub.worker(styles[style]):
        await warm_up(hub)
        keeper = await hub.client.start("keeps")
        await anyio.sleep(1)
        commits.batches.clear()
        first = await hub.client.start("moves_and_reads", 1)
        second = await hub.client.start("transfer", 10)
        await anyio.sleep(1)
        assert not any(turn.group for turn in commits.turns_of(first.instance_id))
        assert [one.instance_id for one in (await hub.client.entity_locks(A)).waiting] == [
            second.instance_id
        ]
        held = (await hub.client.entity_locks(B)).held_by
        assert held is not None, "what was asked for through the store is given as it comes"
        assert held.instance_id == second.instance_id
        await hub.client.raise_event(keeper, "go")
        assert await first.wait(timeout=MINUTE) == 2
        assert await second.wait(timeout=MINUTE) == [-8, 10]


# -- what is dropped


@virtual_time
async def test_who_is_replaced_in_the_midst_leaves_nothing_half_done(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with watched(env, world) as (hub, commits), hub.worker(styles[style]):
        await warm_up(hub)

        async def replace(items: Sequence[CommitItem]) -> None:
            assert len(items) == 3, "it is about to be written"
            await hub.client.start("reads", instance_id="transfer", reuse=ReusePolicy.REPLACE)

        commits.before = replace
        await hub.client.start("transfer", 10, instance_id="transfer")
        await anyio.sleep(1)
        assert commits.before is None
        assert await hub.client.wait("transfer", timeout=MINUTE) == 0
        assert await balances(hub) == [0, 0]
        assert (await hub.client.entity_locks(A)).held_by is None
        assert await (await hub.client.start("transfer", 10)).wait(timeout=MINUTE) == [-10, 10]


@pytest.mark.parametrize("fate", ["lost on its way", "its answer lost"])
@virtual_time
async def test_a_commit_of_which_nothing_is_heard_counts_once(
    env: VirtualEnvironment, world: World, style: str, fate: str
) -> None:
    async with watched(env, world) as (hub, commits), hub.worker(styles[style]):
        await warm_up(hub)

        async def lose(items: Sequence[CommitItem]) -> None:
            assert len(items) == 3
            raise BackendUnavailableError(fate)

        if fate == "lost on its way":
            commits.before = lose
        else:
            commits.after = lose
        assert await (await hub.client.start("transfer", 10)).wait(timeout=MINUTE) == [-10, 10]
        assert await balances(hub) == [-10, 10]
        assert await (await hub.client.start("transfer", 10)).wait(timeout=MINUTE) == [-20, 20]


@virtual_time
async def test_what_was_forgotten_in_the_midst_is_done_again_as_a_whole(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with watched(env, world) as (hub, commits), hub.worker(styles[style]):
        await warm_up(hub)
        assert await balances(hub) == [0, 0]  # they hold nothing: an initial state is none
        for one in (A, B):
            await hub.client.call_entity(one, "delete")

        async def forget(items: Sequence[CommitItem]) -> None:
            assert len(items) == 3
            assert await hub.backend.discard_entities([str(B)]) == [str(B)]

        commits.before = forget
        assert await (await hub.client.start("transfer", 10)).wait(timeout=MINUTE) == [-10, 10]
        assert commits.before is None
        assert await balances(hub) == [-10, 10]
