"""Reading entities: states, queries, locks; and cleaning up after them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest
from hypothesis import given, strategies as st

from durable_async import (
    CorruptHistoryError,
    DecodeError,
    Entity,
    EntityId,
    RegistrationError,
    ValidationError,
)
from durable_async.client import CleanedEntities, Client, EntityLockHolder
from durable_async.model.entities import EntityLock, EntitySnapshot, ParkedOperation
from durable_async.model.history import (
    EntityLockRelease,
    EntityLockRequest,
    EntityOperation,
    ParentLink,
)
from durable_async.model.records import NewInstance, NextExecution, Outgoing, Park
from durable_async.model.status import Status
from durable_async.serialization.events import encode_letter, encode_snapshot
from durable_async.testing import VirtualEnvironment, run_virtual, virtual_time
from durable_async.testing.conformance.driver import turn

from .hands import COUNTER, Counter, World, opened, registry

SECOND_US = 1_000_000
KEYS = st.text("ab@é%_'", min_size=1, max_size=3)
TRANSFER = ParentLink("transfer", 1, 3)
AUDIT = ParentLink("audit", 1, 5)


@registry.entity
def ledger(ctx: Any, entry: str) -> None: ...


async def knock(world: World, *entities: EntityId) -> None:
    """Let entities begin to exist, and do nothing but that."""
    for entity in entities:
        await world.client.signal_entity(entity, "knock")
        await world.turn(entity, await world.store.read_letters(str(entity), limit=1))


async def post(world: World, *letters: Any, to: EntityId = COUNTER) -> None:
    """Put letters of orchestrations into a mailbox."""
    for letter in letters:
        await world.store.send(
            [
                Outgoing(
                    instance_id=str(to),
                    execution=None,
                    letter=encode_letter(letter),
                    opens=to.stored_name,
                )
            ]
        )


# -- states


@pytest.mark.parametrize(
    ("stored", "state_type", "state"),
    [
        (b"12", Counter, 12),
        (b"12", int, 12),
        (b"12", float, 12.0),
        (b"12", Any, 12),
        (b'"2026-01-01T00:00:00Z"', datetime, datetime(2026, 1, 1, tzinfo=UTC)),
        (b"0", Counter, 0),
        (b'""', str, ""),
        (b"{}", dict[str, int], {}),
        (b"null", Any, None),
    ],
)
@virtual_time
async def test_a_state_is_read_into_what_is_asked_for(
    env: VirtualEnvironment, stored: bytes, state_type: Any, state: Any
) -> None:
    async with opened(env) as world:
        await knock(world, COUNTER)
        await world.save(EntitySnapshot(stored))
        found = await world.client.get_entity(COUNTER, state_type)
        assert found is not None
        assert found.has_state
        assert found.state == state
        assert type(found.state) is type(state)
        again = await world.client.entity(COUNTER).get(state_type)
        assert again is not None
        assert again.state == state


@virtual_time
async def test_a_state_is_a_fresh_copy_and_what_does_not_fit_is_said_when_it_is_read(
    env: VirtualEnvironment,
) -> None:
    async with opened(env) as world:
        await knock(world, COUNTER)
        await world.save(EntitySnapshot(b"[1]"))
        found = await world.client.get_entity(COUNTER, list[int])
        assert found is not None
        assert found.state is not None
        found.state.append(2)
        assert found.state == [1]
        wrong = await world.client.get_entity(COUNTER, Counter)
        assert wrong is not None
        with pytest.raises(DecodeError, match="state of entity @counter@a"):
            _ = wrong.state


@virtual_time
async def test_an_entity_tells_all_that_is_known_of_it(env: VirtualEnvironment) -> None:
    async with opened(env) as world:
        client = world.client
        assert await client.get_entity(COUNTER) is None
        begun_us = world.store.now_us()
        await knock(world, COUNTER)
        found = await client.get_entity(COUNTER, Counter)
        assert found is not None
        assert (found.has_state, found.state, found.backlog) == (False, None, 0)
        assert found.entity_id == COUNTER
        assert (found.created_at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(
            microseconds=1
        ) == begun_us
        parked = ParkedOperation(EntityOperation("explode", b"1"), "it exploded", 7 * SECOND_US)
        await world.save(
            EntitySnapshot(
                None,
                EntityLock(TRANSFER, 5 * SECOND_US, 6 * SECOND_US),
                (parked,),
                (EntityOperation("again", None),),
            )
        )
        await client.signal_entity(COUNTER, Counter.add, 1)
        await world.driver.commit(Park(instance_id=str(COUNTER), reason="broken"))
        found = await client.get_entity(COUNTER, Counter)
        assert found is not None
        assert (found.has_state, found.state, found.backlog) == (False, None, 2)
        assert found.locked_by == EntityLockHolder(
            instance_id="transfer",
            execution=1,
            since=datetime(1970, 1, 1, 0, 0, 5, tzinfo=UTC),
            until=datetime(1970, 1, 1, 0, 0, 6, tzinfo=UTC),
        )
        [operation] = found.parked_operations
        assert (operation.operation, operation.reason) == ("explode", "it exploded")
        assert operation.at == datetime(1970, 1, 1, 0, 0, 7, tzinfo=UTC)
        assert (found.parked, found.owner) == ("broken", None)
        assert await client.unpark(COUNTER) is True
        assert await client.unpark(COUNTER) is False
        found = await client.get_entity(COUNTER, Counter)
        assert found is not None
        assert found.parked is None


# -- queries


@given(
    entities=st.dictionaries(
        st.builds(EntityId, st.sampled_from(["counter", "Ledger", "count"]), KEYS),
        st.booleans(),
        max_size=12,
    ),
    name=st.sampled_from([None, "counter", "COUNT", Counter, ledger]),
    key_prefix=st.one_of(st.just(""), KEYS),
    has_state=st.sampled_from([None, True, False]),
    page_size=st.integers(1, 5),
)
def test_a_query_finds_exactly_what_meets_all_conditions_in_order_of_ids(
    entities: dict[EntityId, bool],
    name: Any,
    key_prefix: str,
    has_state: bool | None,
    page_size: int,
) -> None:
    async def main(env: VirtualEnvironment) -> None:
        async with opened(env) as world:
            await knock_any(world, entities)
            conditions: dict[str, Any] = {"has_state": has_state}
            if name is not None:
                conditions |= {"name": name, "key_prefix": key_prefix}
            named = {None: None, Counter: "counter", ledger: "ledger"}.get(name, name)
            wanted = [
                entity
                for entity, has_one in sorted(
                    entities.items(), key=lambda item: str(item[0]).encode()
                )
                if named is None
                or (entity.name == named.lower() and entity.key.startswith(key_prefix))
                if has_state in (None, has_one)
            ]
            found = [
                one async for one in world.client.query_entities(page_size=page_size, **conditions)
            ]
            assert [one.entity_id for one in found] == wanted
            assert [one.has_state for one in found] == [entities[one] for one in wanted]
            page, rest = await world.client.query_entities_page(limit=page_size, **conditions)
            assert [one.entity_id for one in page] == wanted[:page_size]
            assert (rest is None) == (len(wanted) <= page_size)

    run_virtual(main)


async def knock_any(world: World, entities: dict[EntityId, bool]) -> None:
    for entity, has_state in entities.items():
        names = frozenset({entity.stored_name for entity in entities})
        await world.client.signal_entity(entity, "knock")
        [claimed] = (await world.driver.fetch(names=names)).claimed
        state = encode_snapshot(EntitySnapshot(b"1" if has_state else None))
        await world.driver.commit(
            turn(claimed, events=b"", consumed=[one.id for one in claimed.mail], state=state)
        )


@virtual_time
async def test_a_query_by_time_and_type(env: VirtualEnvironment) -> None:
    async with opened(env) as world:
        ids = [Counter.entity_id(key) for key in "abc"]
        times = []
        for number, entity in enumerate(ids):
            await anyio.sleep(60)
            await knock(world, entity)
            await world.save(EntitySnapshot(b"%d" % number), entity)
            found = await world.client.get_entity(entity)
            assert found is not None
            times.append(found.updated_at)
        later = world.client.query_entities(Counter, updated_from=times[1])
        assert [one.state async for one in later] == [1, 2]
        between = world.client.query_entities(float, updated_from=times[0], updated_to=times[2])
        states = [one.state async for one in between]
        assert states == [0.0, 1.0]
        assert {type(state) for state in states} == {float}


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ({"names": "counter"}, "names: there is no such condition; there are name, key_prefix"),
        ({"key_prefix": "a"}, "key_prefix: needs the name"),
        ({"name": "a@b"}, "name: .*'@'"),
        ({"name": ""}, "name: is empty"),
        ({"name": 5}, "name: must be a name or what @entity made, not 5"),
        ({"name": "counter", "key_prefix": "\x00"}, "key_prefix: has the control character"),
        ({"limit": 0}, "limit: must be a whole number, 1 to"),
    ],
)
@virtual_time
async def test_a_condition_that_means_nothing(
    env: VirtualEnvironment, conditions: dict[str, Any], message: str
) -> None:
    async with opened(env) as world:
        with pytest.raises(ValidationError, match=message):
            await world.client.query_entities_page(**conditions)


@virtual_time
async def test_a_class_that_is_no_entity_yet_has_none(env: VirtualEnvironment) -> None:
    class Unregistered(Entity[int]): ...

    async with opened(env) as world:
        with pytest.raises(RegistrationError, match="decorate it with @entity"):
            await world.client.query_entities_page(name=Unregistered)


# -- locks


@virtual_time
async def test_who_holds_an_entity_and_who_waits_stand_in_order(env: VirtualEnvironment) -> None:
    async with opened(env) as world:
        nobody = await world.client.entity_locks(COUNTER)
        assert (nobody.held_by, nobody.waiting) == (None, ())
        await knock(world, COUNTER)
        await world.save(EntitySnapshot(lock=EntityLock(TRANSFER, 5 * SECOND_US)))
        given_up = ParentLink("impatient", 2, 4)
        await post(
            world,
            EntityLockRequest(given_up),
            EntityLockRequest(AUDIT),
            EntityOperation("add", b"1"),
            EntityLockRequest(ParentLink("audit", 2, 5)),
            EntityLockRelease(given_up),
        )
        locks = await world.client.entity(COUNTER).locks()
        assert locks == await world.client.entity_locks(COUNTER)
        assert locks.held_by is not None
        assert (locks.held_by.instance_id, locks.held_by.until) == ("transfer", None)
        waiting = [(one.instance_id, one.execution) for one in locks.waiting]
        assert waiting == [("audit", 1), ("audit", 2)]


# -- cleaning up


async def start(world: World, instance_id: str) -> Any:
    await world.store.create(
        [
            NewInstance(
                instance_id=instance_id, name="any", version=None, events=b"", created_at_us=0
            )
        ]
    )
    [claimed] = (await world.driver.fetch(names=frozenset({"any"}))).claimed
    return claimed


@virtual_time
async def test_cleaning_up_forgets_what_holds_nothing_and_nothing_else(
    env: VirtualEnvironment,
) -> None:
    async with opened(env) as world:
        empty = [Counter.entity_id(f"empty{number}") for number in range(7)]
        await knock(world, *empty)
        kept = [Counter.entity_id(key) for key in ("state", "lock", "parked", "letter")]
        await knock(world, *kept)
        await start(world, "transfer")
        operation = EntityOperation("explode", None)
        await world.save(EntitySnapshot(b"null"), kept[0])
        await world.save(EntitySnapshot(lock=EntityLock(TRANSFER, 0)), kept[1])
        await world.save(EntitySnapshot(parked=(ParkedOperation(operation, "", 0),)), kept[2])
        await world.client.signal_entity(kept[3], "get")
        cleaned = await world.client.clean_entities(batch=3)
        assert cleaned == CleanedEntities(discarded=7, orphaned_locks=())
        left = {one.entity_id async for one in world.client.query_entities()}
        assert left == set(kept)
        assert await world.letters(kept[1]) == []


@virtual_time
async def test_one_entity_that_is_damaged_hides_no_other(env: VirtualEnvironment) -> None:
    async with opened(env) as world:
        damaged, empty = Counter.entity_id("damaged"), Counter.entity_id("empty")
        await knock(world, damaged, empty)
        await world.turn(damaged, (), state=b"nonsense")
        found = [one async for one in world.client.query_entities(Counter)]
        assert [one.entity_id for one in found] == [damaged, empty]
        with pytest.raises(CorruptHistoryError, match="@counter@damaged"):
            _ = found[0].state
        cleaned = await world.client.clean_entities()
        assert cleaned == CleanedEntities(discarded=1, orphaned_locks=())


@pytest.mark.parametrize("end", ["never was", "failed", "next execution", "parked"])
@virtual_time
async def test_a_lock_that_was_left_behind_is_released_and_reported(
    env: VirtualEnvironment, end: str
) -> None:
    """No store leaves one behind; here the holder leaves no will."""
    async with opened(env) as world:
        await knock(world, COUNTER)
        await world.save(EntitySnapshot(lock=EntityLock(TRANSFER, 0)))
        await let_it_end(world, end)
        cleaned = await world.client.clean_entities()
        assert cleaned.discarded == 0
        [orphaned] = cleaned.orphaned_locks
        assert (orphaned.entity_id, orphaned.holder.instance_id) == (COUNTER, "transfer")
        assert await world.letters() == [EntityLockRelease(TRANSFER)]
        again = await world.client.clean_entities()
        assert again.orphaned_locks == (), "its release is on its way"


async def let_it_end(world: World, end: str) -> None:
    if end == "never was":
        return
    claimed = await start(world, "transfer")
    match end:
        case "failed":
            await world.driver.commit(turn(claimed, status=Status.FAILED))
        case "parked":
            await world.driver.commit(Park(instance_id="transfer", reason="broken"))
        case _:
            following = NextExecution(events=b"", version=None)
            await world.driver.commit(turn(claimed, next_execution=following))


@pytest.mark.parametrize("taken", ["later", "at once", "meanwhile"])
@virtual_time
async def test_a_lock_that_is_being_released_is_none_that_was_left_behind(
    env: VirtualEnvironment, taken: str
) -> None:
    """Its holder ends while the hub is looked through; the entity takes the release before, between or after what is read of it."""
    async with opened(env) as world:
        await knock(world, COUNTER)
        await world.save(EntitySnapshot(lock=EntityLock(TRANSFER, 0)))

        async def take() -> None:
            mail = await world.store.read_letters(str(COUNTER), limit=10)
            await world.turn(COUNTER, mail, state=b"")

        async def end() -> None:
            await post(world, EntityLockRelease(TRANSFER))
            if taken == "at once":
                await take()
            elif taken == "meanwhile":
                world.store.once_read = take

        world.store.before_reading_instances = end
        cleaned = await world.client.clean_entities()
        assert cleaned == CleanedEntities(discarded=0, orphaned_locks=())
        assert await world.letters() == ([EntityLockRelease(TRANSFER)] if taken == "later" else [])


# -- the wrong verb


@pytest.mark.parametrize(
    "asks",
    [
        lambda client, entity: client.get(entity),
        lambda client, entity: client.get_many([entity]),
        lambda client, entity: client.wait(entity),
        lambda client, entity: client.wait_for_start(entity),
        lambda client, entity: client.history(entity),
        lambda client, entity: client.raise_event(entity, "go"),
        lambda client, entity: client.suspend(entity),
        lambda client, entity: client.resume(entity),
        lambda client, entity: client.terminate(entity),
        lambda client, entity: client.rewind(entity),
        lambda client, entity: client.restart(entity),
        lambda client, entity: client.purge(entity),
        lambda client, entity: client.query_page(parent=entity),
    ],
)
@pytest.mark.parametrize("entity", [COUNTER, str(COUNTER)])
@virtual_time
async def test_verbs_for_orchestrations_say_what_to_use_for_entities(
    env: VirtualEnvironment, asks: Callable[[Client, Any], Any], entity: Any
) -> None:
    async with opened(env) as world:
        with pytest.raises(ValidationError, match="is an entity: use call_entity, signal_entity"):
            await asks(world.client, entity)
        with pytest.raises(ValidationError, match="is an entity"):
            world.client.handle(entity)
