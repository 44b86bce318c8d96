"""A call of an entity is carried out once, and its answer found, with hints and without; who waits in vain hears why."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from hypothesis import given, strategies as st

from durable_async import EntityOperationFailedError, WaitTimeoutError
from durable_async.errors import BackendUnavailableError
from durable_async.model.entities import EntityLock, EntitySnapshot
from durable_async.model.history import EntityOperation, ParentLink
from durable_async.model.records import Park
from durable_async.testing import VirtualEnvironment, run_virtual, virtual_time

from .hands import COUNTER, Counter, World, opened


async def answered(
    world: World, call: Any, do: Callable[[EntityOperation], Any], after: float = 1.0
) -> Any:
    """Make a call, and carry it out some seconds later."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(call)
        await anyio.sleep(after)
        await world.carry_out(do)
    return task.result()


def twelve(operation: EntityOperation) -> bytes:
    return b"12"


def refuses(operation: EntityOperation) -> bytes:
    raise ValueError("not twelve")


# -- answers


@virtual_time
async def test_a_call_returns_what_the_operation_returned(env: VirtualEnvironment) -> None:
    async with opened(env) as world:
        client = world.client
        assert await answered(world, client.call_entity(COUNTER, Counter.add, 1), twelve) == 12
        assert await answered(world, client.call_entity(COUNTER, "add", 1), twelve) == 12
        by_name = client.call_entity(COUNTER, "add", 1, result_type=str | float)
        assert isinstance(await answered(world, by_name, twelve), float)
        handle = client.entity(COUNTER, timeout=5)
        assert await answered(world, handle.call(Counter.get), twelve) == 12
        by_name = handle.call("get", result_type=float)
        assert isinstance(await answered(world, by_name, twelve), float)
        assert await answered(world, handle.call("get"), lambda _: None) is None


@virtual_time
async def test_a_call_raises_what_became_of_an_operation_that_failed(
    env: VirtualEnvironment,
) -> None:
    async with opened(env) as world:
        with pytest.raises(ExceptionGroup) as raised:
            await answered(world, world.client.call_entity(COUNTER, Counter.get), refuses)
        [error] = raised.value.exceptions
        assert isinstance(error, EntityOperationFailedError)
        assert (error.entity_id, error.operation) == ("@counter@a", "get")
        assert (error.failure.error_type, error.failure.message) == (
            "builtins.ValueError",
            "not twelve",
        )


@virtual_time
async def test_where_hints_arrive_a_call_reads_its_answer_once(env: VirtualEnvironment) -> None:
    async with opened(env) as world:
        call = world.client.call_entity(COUNTER, Counter.get)
        assert await answered(world, call, twelve, after=0.1) == 12
        assert world.store.asked["read_answers"] == [1]


@virtual_time
async def test_an_answer_that_comes_before_the_call_is_acknowledged_is_heard(
    env: VirtualEnvironment,
) -> None:
    """The worker is quicker than the store's answer to the sender."""
    async with opened(env) as world:

        async def quick_worker() -> None:
            await world.carry_out(twelve)
            await anyio.sleep(5)

        world.store.meanwhile = quick_worker
        assert await world.client.call_entity(COUNTER, Counter.get) == 12
        assert env.monotonic() == pytest.approx(5)
        assert world.store.asked["read_answers"] == [1]


@pytest.mark.parametrize("waited", [0.1, 3.0, 60.0])
@virtual_time
async def test_a_lost_hint_costs_a_second_at_most(env: VirtualEnvironment, waited: float) -> None:
    async with opened(env) as world:
        world.store.is_deaf = True
        async with asyncio.TaskGroup() as group:
            call = group.create_task(world.client.call_entity(COUNTER, Counter.get))
            await anyio.sleep(waited)
            await world.carry_out(twelve)
            assert await call == 12
        assert waited <= env.monotonic() <= waited + 1.1


@virtual_time
async def test_many_callers_are_one_look_a_second(env: VirtualEnvironment) -> None:
    many = 900
    async with opened(env) as world:
        world.store.is_deaf = True
        async with asyncio.TaskGroup() as group:
            calls = [
                group.create_task(world.client.call_entity(COUNTER, "add", number))
                for number in range(many)
            ]
            await anyio.sleep(30)
            looks = world.store.asked["read_answers"]
            looks.clear()
            await anyio.sleep(30)
            assert len(looks) <= 41
            await world.carry_out(lambda operation: operation.input)
        assert [call.result() for call in calls] == list(range(many))


@given(
    silences=st.lists(st.sampled_from(["ok", "before", "after"]), max_size=6),
    is_deaf=st.booleans(),
    senders=st.integers(1, 5),
)
def test_each_caller_gets_the_answer_to_its_own_call_and_each_is_carried_out_once(
    silences: list[str], is_deaf: bool, senders: int
) -> None:
    async def main(env: VirtualEnvironment) -> None:
        async with opened(env) as world:
            world.store.silences, world.store.is_deaf = silences, is_deaf
            carried_out: list[bytes | None] = []

            def note(operation: EntityOperation) -> bytes | None:
                carried_out.append(operation.input)
                return operation.input

            async def send(sender: int) -> None:
                for number in range(3):
                    given = [sender, number]
                    assert await world.client.call_entity(COUNTER, "echo", given) == given

            async def work() -> None:
                while True:
                    await anyio.sleep(0.3)
                    if await world.letters():
                        await world.carry_out(note)

            async with anyio.create_task_group() as working:
                working.start_soon(work)
                await asyncio.gather(*map(send, range(senders)))
                working.cancel_scope.cancel()
            assert sorted(carried_out) == [
                b"[%d,%d]" % (sender, number) for sender in range(senders) for number in range(3)
            ]

    run_virtual(main)


@virtual_time
async def test_the_same_request_gets_the_same_answer_and_is_carried_out_once(
    env: VirtualEnvironment,
) -> None:
    async with opened(env) as world:
        again = world.client.entity(COUNTER, request_id="r1")
        assert await answered(world, again.call(Counter.get), twelve) == 12
        assert await again.call(Counter.get) == 12
        assert await world.client.call_entity(COUNTER, "get", request_id="r1") == 12
        assert await world.letters() == []
        assert env.monotonic() == pytest.approx(1)  # nobody waited for a hint


@virtual_time
async def test_a_store_that_is_silent_for_a_while_is_borne_with(env: VirtualEnvironment) -> None:
    async with opened(env) as world:
        call = asyncio.ensure_future(world.client.call_entity(COUNTER, Counter.get))
        await anyio.sleep(2)
        world.store.is_silent = True
        await world.carry_out(twelve)
        await anyio.sleep(10)
        world.store.is_silent = False
        assert await call == 12
        call = asyncio.ensure_future(world.client.call_entity(COUNTER, Counter.get))
        await anyio.sleep(2)
        world.store.is_silent = True
        with pytest.raises(BackendUnavailableError):
            await call
        world.store.is_silent = False


# -- in vain


@pytest.mark.parametrize("how", ["cancelled", "timed out"])
@virtual_time
async def test_who_waits_no_more_leaves_nothing_behind_but_the_operation(
    env: VirtualEnvironment, how: str
) -> None:
    async with opened(env) as world:
        if how == "cancelled":
            with anyio.move_on_after(3) as scope:
                await world.client.call_entity(COUNTER, Counter.add, 1)
            assert scope.cancelled_caught
        else:
            with pytest.raises(WaitTimeoutError) as raised:
                await world.client.entity(COUNTER, timeout=3).call(Counter.add, 1)
            assert isinstance(raised.value, TimeoutError)
            assert raised.value.instance_id == "@counter@a"
        assert env.monotonic() == pytest.approx(3)
        assert world.client._answers._by_key == {}
        assert len(await world.operations()) == 1


@virtual_time
async def test_who_waits_in_vain_hears_where_the_entity_stands(env: VirtualEnvironment) -> None:
    async with opened(env) as world:

        async def hears(message: str) -> None:
            with pytest.raises(WaitTimeoutError, match=message):
                await world.client.call_entity(COUNTER, "get", timeout=1)

        later = "did not answer 'get' within 1 s: it does so later, for "
        await hears(later + "no worker has it; is one running that registers the entity 'counter'")
        await world.save(EntitySnapshot(b"1"))
        await hears(later + "2 letters lie in its mailbox")
        lock = EntityLock(ParentLink("transfer", 1, 3), 0)
        await world.save(EntitySnapshot(b"1", lock))
        await hears(later + "it is locked by 'transfer'")
        await world.driver.commit(Park(instance_id=str(COUNTER), reason="its code is broken"))
        await hears(later + "it is parked, until .*: its code is broken")
        call = asyncio.ensure_future(world.client.call_entity(COUNTER, "get", timeout=1))
        await anyio.sleep(0.1)
        world.store.is_silent = True
        with pytest.raises(WaitTimeoutError, match=r"within 1 s$"):
            await call
        world.store.is_silent = False
