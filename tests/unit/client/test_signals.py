"""What a client sends an entity arrives once, in order, whatever the store does; what cannot be sent is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, strategies as st

from durable_async import EncodeError, EntityId, OverloadedError, ValidationError
from durable_async.client import Client
from durable_async.errors import BackendUnavailableError
from durable_async.model.history import EntityOperation, ParkedOperationsRetried
from durable_async.testing import VirtualEnvironment, run_virtual, virtual_time

from .hands import COUNTER, Counter, opened

MINUTE_US = 60_000_000


@given(
    streams=st.lists(st.integers(1, 8), min_size=1, max_size=6),
    silences=st.lists(st.sampled_from(["ok", "before", "after"]), max_size=12),
    seed=st.integers(0, 1_000),
)
def test_every_signal_arrives_once_and_in_the_order_of_its_sender(
    streams: list[int], silences: list[str], seed: int
) -> None:
    async def main(env: VirtualEnvironment) -> None:
        async with opened(env) as world:
            world.store.silences = silences

            async def send(sender: int, count: int) -> None:
                for number in range(count):
                    await world.client.signal_entity(COUNTER, Counter.add, sender, number)

            await asyncio.gather(*(send(*stream) for stream in enumerate(streams)))
            inputs = [operation.input for operation in await world.operations()]
            assert len(inputs) == sum(streams)
            for sender, count in enumerate(streams):
                sent = [b'{"amount":%d,"times":%d}' % (sender, one) for one in range(count)]
                assert [one for one in inputs if one in sent] == sent

    run_virtual(main, seed=seed)


@virtual_time
async def test_fifty_senders_on_a_hundred_entities_share_every_call(
    env: VirtualEnvironment,
) -> None:
    async with opened(env) as world:
        world.store.latency = 1.0

        async def send(sender: int) -> None:
            for number in range(20):
                entity = Counter.entity_id(str((sender * 20 + number) % 100))
                await world.client.signal_entity(entity, Counter.add, 1)

        await asyncio.gather(*map(send, range(50)))
        assert world.store.asked["send"] == [1] + [50] * 19 + [49]


@pytest.mark.parametrize(
    ("send", "stored"),
    [
        (
            lambda c: c.signal_entity(COUNTER, Counter.add, 5),
            EntityOperation("add", b'{"amount":5}'),
        ),
        (
            lambda c: c.signal_entity(COUNTER, Counter.add, amount=5, times=2),
            EntityOperation("add", b'{"amount":5,"times":2}'),
        ),
        (lambda c: c.signal_entity(COUNTER, Counter.get), EntityOperation("get", b"null")),
        (lambda c: c.signal_entity(COUNTER, "get"), EntityOperation("get", None)),
        (lambda c: c.signal_entity(COUNTER, "get", None), EntityOperation("get", None)),
        (lambda c: c.signal_entity(COUNTER, "add", [0]), EntityOperation("add", b"[0]")),
        (lambda c: c.entity(COUNTER).signal("add", 0), EntityOperation("add", b"0")),
        (lambda c: c.entity(COUNTER).signal(Counter.fail, "x"), EntityOperation("fail", b'"x"')),
        (lambda c: c.delete_entity(COUNTER), EntityOperation("delete", None)),
        (lambda c: c.entity(COUNTER).delete(), EntityOperation("delete", None)),
    ],
)
@virtual_time
async def test_a_signal_has_either_form(
    env: VirtualEnvironment, send: Callable[[Client], Any], stored: EntityOperation
) -> None:
    async with opened(env) as world:
        await send(world.client)
        assert await world.letters() == [stored]


@virtual_time
async def test_a_signal_can_be_for_later(env: VirtualEnvironment) -> None:
    async with opened(env) as world:
        client, now_us = world.client, world.store.now_us()
        at = datetime.fromtimestamp((now_us + MINUTE_US) / 1e6, UTC)
        await client.signal_entity_at(60, COUNTER, Counter.add, 1)
        await client.signal_entity_at(timedelta(minutes=1), COUNTER, "add", 1)
        await client.signal_entity(COUNTER, "add", 1, at=at)
        await client.entity(COUNTER).signal_at(at.replace(tzinfo=None), Counter.add, 1)
        await client.signal_entity_at(-1, COUNTER, Counter.add, 1)
        await client.signal_entity_at(at - timedelta(hours=1), COUNTER, Counter.add, 1)
        due = [operation.due_us for operation in await world.operations()]
        assert due == [now_us + MINUTE_US] * 4 + [0, 0]


@virtual_time
async def test_a_request_id_makes_a_repetition_harmless(env: VirtualEnvironment) -> None:
    async with opened(env) as world:
        for _ in range(3):
            await world.client.signal_entity(COUNTER, "add", 1, request_id="r1")
            await world.client.signal_entity_at(5, COUNTER, "add", 2, request_id="r2")
            await world.client.entity(COUNTER, request_id="r3").signal(Counter.add, 3)
            await world.client.delete_entity(COUNTER, request_id="r4")
        assert len(await world.letters()) == 4


@virtual_time
async def test_a_full_mailbox_says_so_and_takes_nothing(env: VirtualEnvironment) -> None:
    async with opened(env, letters_max=3) as world:
        for number in range(3):
            await world.client.signal_entity(COUNTER, Counter.add, number)
        for send in (
            world.client.signal_entity(COUNTER, Counter.add, 3),
            world.client.call_entity(COUNTER, Counter.get),
            world.client.delete_entity(COUNTER),
            world.client.retry_parked_operations(COUNTER),
        ):
            with pytest.raises(
                OverloadedError, match="mailbox of entity @counter@a is at its limit of 3"
            ):
                await send
        await world.client.signal_entity(Counter.entity_id("b"), Counter.add, 3)
        assert len(await world.letters()) == 3


@virtual_time
async def test_a_store_that_stays_silent_is_the_callers_concern(env: VirtualEnvironment) -> None:
    async with opened(env) as world:
        world.store.is_silent = True
        with pytest.raises(BackendUnavailableError):
            await world.client.signal_entity(COUNTER, Counter.add, 1)
        assert 10 <= env.monotonic() <= 30
        world.store.is_silent = False


@pytest.mark.parametrize(
    "refused",
    [
        lambda c: c.signal_entity("@counter@a", Counter.add, 1),
        lambda c: c.signal_entity(COUNTER, Counter().get),
        lambda c: c.signal_entity(COUNTER, 5, 1),
        lambda c: c.signal_entity(COUNTER, Counter.add),
        lambda c: c.signal_entity(COUNTER, Counter.add, 1, 2, 3),
        lambda c: c.signal_entity(COUNTER, Counter.add, 1, at=5),
        lambda c: c.signal_entity(COUNTER, ""),
        lambda c: c.signal_entity(COUNTER, "a\x00b"),
        lambda c: c.signal_entity(COUNTER, "add", 1, request_id=""),
        lambda c: c.signal_entity(COUNTER, "add", 1, at="tomorrow"),
        lambda c: c.signal_entity_at(1e99, COUNTER, "add", 1),
        lambda c: c.call_entity("@counter@a", Counter.get),
    ],
)
@virtual_time
async def test_what_means_nothing_is_refused_and_nothing_is_written(
    env: VirtualEnvironment, refused: Callable[[Client], Any]
) -> None:
    async with opened(env) as world:
        with pytest.raises(ValidationError):
            await refused(world.client)
        assert world.store.asked["send"] == []


@pytest.mark.parametrize(
    "refused",
    [
        lambda c: c.signal_entity(COUNTER, "add", 1, 2),
        lambda c: c.signal_entity(COUNTER, "add", 1, timeout=5),
        lambda c: c.signal_entity_at(5, COUNTER, "add", 1, at=5),
        lambda c: c.call_entity(COUNTER, "add", 1, 2),
        lambda c: c.call_entity(COUNTER, "add", 1, at=5),
        lambda c: c.entity(COUNTER).signal("add", 1, result_type=int),
        lambda c: c.entity(COUNTER).call("add", 1, at=5),
    ],
)
@virtual_time
async def test_what_does_not_fit_a_name_is_refused(
    env: VirtualEnvironment, refused: Callable[[Client], Any]
) -> None:
    async with opened(env) as world:
        with pytest.raises(ValidationError):
            await refused(world.client)
        assert world.store.asked["send"] == []


@virtual_time
async def test_what_cannot_be_stored_is_refused_and_nothing_is_written(
    env: VirtualEnvironment,
) -> None:
    async with opened(env) as world:
        for send in (
            world.client.signal_entity(COUNTER, "add", object()),
            world.client.call_entity(COUNTER, Counter.add, object()),  # type: ignore[arg-type]
        ):
            with pytest.raises(EncodeError):
                await send
        assert world.store.asked["send"] == []


@pytest.mark.parametrize("key", ["", "a\x00", "\ud800", "x" * 300, "é" * 256])
def test_a_hostile_id_is_no_id(key: str) -> None:
    with pytest.raises(ValidationError):
        EntityId("counter", key)


@virtual_time
async def test_parked_operations_are_put_back_by_a_letter_that_opens_nothing(
    env: VirtualEnvironment,
) -> None:
    async with opened(env) as world:
        await world.client.retry_parked_operations(COUNTER)
        assert await world.client.get_entity(COUNTER) is None
        await world.client.signal_entity(COUNTER, Counter.add, 1)
        await world.client.retry_parked_operations(COUNTER)
        assert (await world.letters())[1:] == [ParkedOperationsRetried()]
