"""Critical sections: several entities for one orchestration alone, in an order that cannot deadlock."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Generator
from typing import Any

import anyio
import pytest

from durable_async import (
    Entity,
    EntityId,
    EntityLockError,
    EntityLockTimeoutError,
    EntityOperationFailedError,
    OrchestrationContext,
    TaskHub,
    ValidationError,
)
from durable_async.testing import VirtualEnvironment, virtual_time

from .worlds import HOUR, MINUTE, Styles, World, elapsed, ran, until

pytestmark = pytest.mark.pattern("entity locks")

styles = Styles()


@styles.entity
class Account(Entity[int]):
    def initial_state(self) -> int:
        return 0

    def get_balance(self) -> int:
        return self.state

    def deposit(self, amount: int) -> int:
        self.state += amount
        return self.state

    def withdraw(self, amount: int) -> int:
        return self.deposit(-amount)

    async def deposit_slowly(self, amount: int) -> int:
        await anyio.sleep(1)
        return self.deposit(amount)


@styles.entity
class Register(Entity[list[str]]):
    """Tells who was here, in order."""

    def initial_state(self) -> list[str]:
        return []

    def sign(self, name: str) -> int:
        self.state.append(name)
        return len(self.state)

    def read(self) -> list[str]:
        return self.state


@styles.activity
async def note(what: str) -> None:
    ran.append(what)


A, B, C = (Account.entity_id(key) for key in ("account-1", "account-2", "account-3"))


@styles.in_async("transfer")
async def transfer(ctx: OrchestrationContext, order: list[Any]) -> str:
    giver, taker, amount = Account.entity_id(order[0]), Account.entity_id(order[1]), order[2]
    async with ctx.lock_entities([giver, taker]):
        before = await asyncio.gather(
            ctx.call_entity(giver, Account.get_balance), ctx.call_entity(taker, Account.get_balance)
        )
        await ctx.call_entity(giver, Account.withdraw, amount)
        after = await ctx.call_entity(taker, Account.deposit, amount)
        assert after == before[1] + amount, "somebody else was here"
    return "Transfer complete"


@styles.in_generator("transfer")
def transfer_in_steps(ctx: OrchestrationContext, order: list[Any]) -> Generator[Any, Any, str]:
    giver, taker, amount = Account.entity_id(order[0]), Account.entity_id(order[1]), order[2]
    with (yield ctx.lock_entities([giver, taker])):
        yield ctx.call_entity(giver, "get_balance")
        before = yield ctx.call_entity(taker, "get_balance")
        yield ctx.call_entity(giver, "withdraw", amount)
        after = yield ctx.call_entity(taker, "deposit", amount)
        assert after == before + amount, "somebody else was here"
    return "Transfer complete"


@styles.in_async("holds")
async def holds(ctx: OrchestrationContext, order: list[Any]) -> str:
    """Hold some registers until an event comes; sign before and after."""
    name, keys, limits = order
    registers = [Register.entity_id(key) for key in keys]
    try:
        async with ctx.lock_entities(registers, **limits):
            for register in registers:
                await ctx.call_entity(register, Register.sign, f"{name} comes")
            await ctx.call_activity(note, name)
            await ctx.wait_for_external_event("go")
            for register in registers:
                await ctx.call_entity(register, Register.sign, f"{name} goes")
    except EntityLockTimeoutError:
        return "not in time"
    except EntityOperationFailedError as error:
        return error.failure.error_type.rpartition(".")[2]
    return "done"


@styles.in_generator("holds")
def holds_in_steps(ctx: OrchestrationContext, order: list[Any]) -> Generator[Any, Any, str]:
    name, keys, limits = order
    registers = [Register.entity_id(key) for key in keys]
    try:
        with (yield ctx.lock_entities(registers, **limits)):
            for register in registers:
                yield ctx.call_entity(register, Register.sign, f"{name} comes")
            yield ctx.call_activity(note, name)
            yield ctx.wait_for_external_event("go")
            for register in registers:
                yield ctx.call_entity(register, Register.sign, f"{name} goes")
    except EntityLockTimeoutError:
        return "not in time"
    except EntityOperationFailedError as error:
        return error.failure.error_type.rpartition(".")[2]
    return "done"


def _rule(broken: Any) -> str:
    try:
        broken()
    except (EntityLockError, ValidationError) as error:
        return str(error).partition(":")[0]
    return "allowed"


def _rules_outside(ctx: OrchestrationContext) -> list[str]:
    return [
        _rule(lambda: ctx.lock_entities([])),
        _rule(lambda: ctx.lock_entities([A, B, A])),
        _rule(lambda: ctx.lock_entities([A], hold=0)),
    ]


def _rules_while_waiting(ctx: OrchestrationContext) -> list[str]:
    return [
        _rule(lambda: ctx.call_entity(A, Account.get_balance)),
        _rule(lambda: ctx.call_entity(C, Account.get_balance)),
        _rule(lambda: ctx.signal_entity(A, Account.deposit, 1)),
        _rule(lambda: ctx.signal_entity(C, Account.deposit, 1)),
        _rule(lambda: ctx.lock_entities([C])),
    ]


def _rules_inside(ctx: OrchestrationContext) -> list[str]:
    return [
        _rule(lambda: ctx.call_entity(C, Account.get_balance)),
        _rule(lambda: ctx.signal_entity(A, Account.deposit, 1)),
        _rule(lambda: ctx.signal_entity(C, Account.deposit, 1)),
        _rule(lambda: ctx.lock_entities([C])),
        _rule(lambda: ctx.call_entity(A, Account.get_balance)),  # while another one is under way
    ]


RULES = [
    ["entities", "entities", "hold"],
    [
        f"calling {A} while entities are being locked",
        f"calling {C} while entities are being locked",
        f"signaling {A} in the critical section that locks it",
        "allowed",
        "locking entities while others are locked or being locked",
    ],
    [
        f"calling {C} in a critical section that has not locked it",
        f"signaling {A} in the critical section that locks it",
        "allowed",
        "locking entities while others are locked or being locked",
        f"calling {A} twice at a time in a critical section",
    ],
]


@styles.in_async("breaks_rules")
async def breaks_rules(ctx: OrchestrationContext) -> list[Any]:
    told: list[Any] = [_rules_outside(ctx)]
    lock = ctx.lock_entities([B, A])
    told.append(_rules_while_waiting(ctx))
    async with lock:
        call = ctx.call_entity(A, Account.deposit, 7)
        told.append(_rules_inside(ctx))
        told.append([await call, await ctx.call_entity(A, Account.get_balance)])
        await ctx.call_activity(note, "activities may be called")
        await ctx.create_timer(1)
    told.append(await ctx.call_entity(C, Account.get_balance))
    return told


@styles.in_generator("breaks_rules")
def breaks_rules_in_steps(ctx: OrchestrationContext) -> Generator[Any, Any, list[Any]]:
    told: list[Any] = [_rules_outside(ctx)]
    lock = ctx.lock_entities([B, A])
    told.append(_rules_while_waiting(ctx))
    with (yield lock):
        call = ctx.call_entity(A, Account.deposit, 7)
        told.append(_rules_inside(ctx))
        first = yield call
        second = yield ctx.call_entity(A, Account.get_balance)
        told.append([first, second])
        yield ctx.call_activity(note, "activities may be called")
        yield ctx.create_timer(1)
    told.append((yield ctx.call_entity(C, Account.get_balance)))
    return told


async def balance(hub: TaskHub, entity: EntityId) -> int:
    return await hub.client.call_entity(entity, Account.get_balance)


async def signed(hub: TaskHub, key: str) -> list[str]:
    return await hub.client.call_entity(Register.entity_id(key), Register.read)


async def nobody_holds(hub: TaskHub, *entities: EntityId) -> None:
    for entity in entities:
        locks = await hub.client.entity_locks(entity)
        assert (locks.held_by, locks.waiting) == (None, ())
    assert (await hub.client.clean_entities()).orphaned_locks == ()


# -- exclusive


@virtual_time
async def test_a_transfer_between_two_accounts(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with world.running(env, styles[style]) as hub:
        handle = await hub.client.start("transfer", ["account-1", "account-2", 100])
        assert await handle.wait() == "Transfer complete"
        assert (await balance(hub, A), await balance(hub, B)) == (-100, 100)
        await nobody_holds(hub, A, B)


@virtual_time
async def test_transfers_to_and_fro_never_block_each_other(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    chance = random.Random(0)
    async with world.running(env, styles[style]) as hub, hub.worker():
        orders = [[*chance.sample("abcd", 2), chance.randint(1, 9)] for _ in range(40)]
        handles = await hub.client.start_many("transfer", orders)
        for handle in handles:
            assert await handle.wait(timeout=HOUR) == "Transfer complete"
        assert sum([await balance(hub, Account.entity_id(key)) for key in "abcd"]) == 0
        await nobody_holds(hub, *map(Account.entity_id, "abcd"))


@virtual_time
async def test_others_wait_until_the_section_is_over_and_keep_their_order(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    register = Register.entity_id("a")
    async with world.running(env, styles[style]) as hub:
        first = await hub.client.start("holds", ["first", ["a", "b"], {}])
        await until(lambda: ran)
        await hub.client.signal_entity(register, Register.sign, "a signal")
        second = await hub.client.start("holds", ["second", ["a"], {}])
        await anyio.sleep(1)
        await hub.client.signal_entity(register, Register.sign, "after the second")
        locks = await hub.client.entity_locks(register)
        assert locks.held_by is not None
        assert locks.held_by.instance_id == first.instance_id
        assert [one.instance_id for one in locks.waiting] == [second.instance_id]
        assert (await hub.client.entity_locks(Register.entity_id("b"))).waiting == ()
        for handle in (second, first):
            await hub.client.raise_event(handle, "go")
        assert await first.wait() == await second.wait() == "done"
        assert await signed(hub, "a") == [
            "first comes",
            "first goes",
            "a signal",
            "second comes",
            "second goes",
            "after the second",
        ]
        await nobody_holds(hub, register, Register.entity_id("b"))


@virtual_time
async def test_locks_are_given_in_the_order_in_which_they_were_asked_for(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with world.running(env, styles[style]) as hub:
        handles = []
        for name, keys in [("1", "abc"), ("2", "cd"), ("3", "da"), ("4", "b"), ("5", "cab")]:
            handles.append(await hub.client.start("holds", [name, list(keys), {}]))
            await hub.client.raise_event(handles[-1], "go")
            await anyio.sleep(0.1)
        for handle in handles:
            assert await handle.wait(timeout=HOUR) == "done"
        orders = {key: [line.split()[0] for line in await signed(hub, key)][::2] for key in "abcd"}
        assert orders == {
            "a": ["1", "3", "5"],
            "b": ["1", "4", "5"],
            "c": ["1", "2", "5"],
            "d": ["2", "3"],
        }


@virtual_time
async def test_a_section_outlives_its_worker(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    register = Register.entity_id("a")
    async with world.hub(env, styles[style]) as hub:
        async with hub.worker():
            handle = await hub.client.start("holds", ["first", ["a", "b"], {}])
            await until(lambda: ran)
        await hub.client.signal_entity(register, Register.sign, "a signal")
        await hub.client.raise_event(handle, "go")
        async with hub.worker():
            assert await handle.wait() == "done"
            assert await signed(hub, "a") == ["first comes", "first goes", "a signal"]
            await nobody_holds(hub, register)


# -- rules


@virtual_time
async def test_what_is_against_the_rules_is_refused_and_the_section_goes_on(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with world.running(env, styles[style]) as hub:
        handle = await hub.client.start("breaks_rules")
        assert await handle.wait() == [*RULES, [7, 7], 2]
        assert ran == ["activities may be called"]
        await nobody_holds(hub, A, B, C)


# -- limits


@virtual_time
async def test_a_lock_that_is_not_given_in_time(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    a, b = Register.entity_id("a"), Register.entity_id("b")
    async with world.running(env, styles[style]) as hub:
        first = await hub.client.start("holds", ["first", ["a"], {}])
        await until(lambda: ran)
        begun = elapsed(env)
        second = await hub.client.start("holds", ["second", ["a", "b"], {"timeout": MINUTE}])
        await anyio.sleep(1)
        held = await hub.client.entity_locks(b)
        assert held.held_by is not None, "it holds one, and waits for the other"
        third = await hub.client.start("holds", ["third", ["a", "b"], {}])
        assert await second.wait(timeout=HOUR) == "not in time"
        assert elapsed(env) - begun == pytest.approx(MINUTE, abs=1)
        for handle in (first, third):
            await hub.client.raise_event(handle, "go")
            assert await handle.wait(timeout=MINUTE) == "done"
        assert await signed(hub, "b") == ["third comes", "third goes"]
        await nobody_holds(hub, a, b)


@virtual_time
async def test_a_lock_that_is_held_for_too_long(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    register = Register.entity_id("a")
    async with world.running(env, styles[style]) as hub:
        first = await hub.client.start("holds", ["first", ["a", "b"], {"hold": MINUTE}])
        await until(lambda: ran)
        held = (await hub.client.entity_locks(register)).held_by
        assert held is not None
        assert held.until is not None
        assert (held.until - held.since).total_seconds() == MINUTE
        second = await hub.client.start("holds", ["second", ["a"], {}])
        await hub.client.raise_event(second, "go")
        assert await second.wait(timeout=HOUR) == "done"
        assert elapsed(env) == pytest.approx(MINUTE, abs=2)
        await hub.client.raise_event(first, "go")
        assert await first.wait(timeout=MINUTE) == "EntityLockLostError"
        assert await signed(hub, "a") == ["first comes", "second comes", "second goes"]
        await nobody_holds(hub, register, Register.entity_id("b"))


@virtual_time
async def test_the_time_of_a_lock_runs_out_also_when_nobody_is_there(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with world.hub(env, styles[style]) as hub:
        async with hub.worker():
            await hub.client.start("holds", ["first", ["a"], {"hold": MINUTE}])
            await until(lambda: ran)
            await hub.client.signal_entity(Register.entity_id("a"), Register.sign, "a signal")
        await anyio.sleep(HOUR)
        async with hub.worker():
            assert await signed(hub, "a") == ["first comes", "a signal"]
            await nobody_holds(hub, Register.entity_id("a"))
