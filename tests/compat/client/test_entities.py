"""Signaling, reading, finding and cleaning up entities, on each store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest

from durable_async.testing import VirtualEnvironment, virtual_time
from durabletask._runtime.states import EntityQuery
from durabletask._runtime.verbs import Verbs
from durabletask.entities import EntityInstanceId, EntityMetadata
from durabletask.serialization import DEFAULT_DATA_CONVERTER

from .conftest import Opener
from .programs import registry


def counter(key: str) -> EntityInstanceId:
    return EntityInstanceId("Counter", key)


async def until_at(verbs: Verbs, key: str, total: int | None) -> None:
    with anyio.fail_after(3600):
        while True:
            found = await verbs.get_entity(counter(key))
            if found is not None and found.get_typed_state(int) == total:
                return
            await anyio.sleep(0.1)


async def ids(verbs: Verbs, **conditions: Any) -> list[str]:
    return [str(one.id) for one in await verbs.get_all_entities(EntityQuery(**conditions))]


def test_a_type_that_does_not_take_the_states_text_is_told_what_reads_it() -> None:
    found = EntityMetadata(
        counter("a"), datetime.now(UTC), 0, "", True, '{"n": 1}', DEFAULT_DATA_CONVERTER
    )
    with pytest.raises(TypeError, match=r"@counter@a is no dict: .*; get_typed_state reads it"):
        found.get_state(dict)
    assert found.get_typed_state(dict) == {"n": 1}


def test_signals_are_carried_out_and_the_state_is_read(opened: Opener) -> None:
    async def story(env: VirtualEnvironment) -> None:
        async with opened(env, registry) as verbs:
            assert await verbs.get_entity(counter("a")) is None
            await verbs.signal_entity(counter("a"), "add", 5)
            await verbs.signal_entity(counter("a"), "add")
            await until_at(verbs, "a", 6)
            found = await verbs.get_entity(counter("a"))
            assert found is not None
            assert str(found.id) == "@counter@a"
            assert found.includes_state
            assert found.get_typed_state(int) == 6
            assert found.get_state(int) == 6
            assert found.backlog_queue_size == 0
            assert found.get_locked_by() is None
            assert found.last_modified.utcoffset() == timedelta()
            bare = await verbs.get_entity(counter("a"), include_state=False)
            assert bare is not None
            assert not bare.includes_state
            assert bare.get_typed_state(int) is None

    virtual_time(story)


def test_a_signal_may_be_later(opened: Opener) -> None:
    async def story(env: VirtualEnvironment) -> None:
        naive = datetime.fromtimestamp(env.now_us() / 1e6, UTC).replace(tzinfo=None)
        async with opened(env, registry) as verbs:
            await verbs.signal_entity(
                counter("a"), "add", 1, signal_time=naive + timedelta(seconds=60)
            )
            await anyio.sleep(50)
            assert await ids(verbs) == []
            assert await ids(verbs, include_transient=True) == ["@counter@a"]
            await until_at(verbs, "a", 1)
            assert 60 <= env.monotonic() < 120

    virtual_time(story)


def test_entities_are_found_by_prefix_and_time(opened: Opener) -> None:
    async def story(env: VirtualEnvironment) -> None:
        async with opened(env, registry) as verbs:
            for key in ("shop-1", "shop-2", "Other"):
                await verbs.signal_entity(counter(key), "add")
                await until_at(verbs, key, 1)
            await anyio.sleep(60)
            middle = datetime.fromtimestamp(env.now_us() / 1e6, UTC)
            await verbs.signal_entity(counter("shop-2"), "add")
            await until_at(verbs, "shop-2", 2)

            everything = ["@counter@Other", "@counter@shop-1", "@counter@shop-2"]
            assert [str(one.id) for one in await verbs.get_all_entities()] == everything
            for prefix in ("@counter@", "@Counter@", "@coun", "@COUN", "@", ""):
                assert await ids(verbs, instance_id_starts_with=prefix) == everything
            shops = everything[1:]
            assert await ids(verbs, instance_id_starts_with="@Counter@shop") == shops
            for none in ("@count@", "counter", "counter@shop", "@@", "@counter@shop@"):
                assert await ids(verbs, instance_id_starts_with=none) == []
            assert await ids(verbs, instance_id_starts_with="@counter@other") == []
            assert await ids(verbs, page_size=1) == everything
            assert await ids(verbs, last_modified_from=middle) == ["@counter@shop-2"]
            assert await ids(verbs, last_modified_to=middle) == everything[:2]
            [bare] = await verbs.get_all_entities(
                EntityQuery(instance_id_starts_with="@counter@shop-1", include_state=False)
            )
            assert bare.get_state() is None

    virtual_time(story)


def test_who_holds_an_entity_is_told(opened: Opener) -> None:
    async def story(env: VirtualEnvironment) -> None:
        async with opened(env, registry) as verbs:
            await verbs.schedule_new_orchestration("holding", instance_id="h")
            with anyio.fail_after(3600):
                while True:
                    found = await verbs.get_entity(counter("held"))
                    if found is not None and found.locked_by == "h":
                        break
                    await anyio.sleep(0.1)
            assert found.get_locked_by() is None
            await verbs.signal_entity(counter("held"), "add")
            await anyio.sleep(60)
            held = await verbs.get_entity(counter("held"))
            assert held is not None
            assert held.backlog_queue_size == 1
            await verbs.raise_orchestration_event("h", "go")
            await until_at(verbs, "held", 1)

    virtual_time(story)


def test_cleaning_up_forgets_what_is_empty(opened: Opener) -> None:
    async def story(env: VirtualEnvironment) -> None:
        async with opened(env, registry) as verbs:
            for key in "ab":
                await verbs.signal_entity(counter(key), "add")
                await until_at(verbs, key, 1)
            await verbs.signal_entity(counter("b"), "clear")
            await until_at(verbs, "b", None)
            nothing = await verbs.clean_entity_storage(remove_empty_entities=False)
            assert (nothing.empty_entities_removed, nothing.orphaned_locks_released) == (0, 0)
            assert len(await ids(verbs)) == 2
            with anyio.fail_after(3600):
                while not (await verbs.clean_entity_storage()).empty_entities_removed:
                    await anyio.sleep(1)
            assert await ids(verbs) == ["@counter@a"]

    virtual_time(story)
