"""All who wait share one look: a lost hint costs a second at most, and ten thousand waiters are no load."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import anyio
import pytest

from durable_async import OrchestrationContext, Registry, TaskHub, WaitTimeoutError
from durable_async.backend import Hearing
from durable_async.backends.memory import MemoryBackend
from durable_async.errors import BackendUnavailableError, InstanceNotFoundError
from durable_async.model.records import InstanceRecord
from durable_async.testing import VirtualEnvironment, virtual_time

registry = Registry()


@registry.orchestrator
async def waits(ctx: OrchestrationContext) -> str:
    return await ctx.wait_for_external_event("go", str)


class Deaf(MemoryBackend):
    """Gives no hints that it does not want to, counts looks, and is silent when it is told to be."""

    says = Hearing.MOSTLY
    is_silent = False

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.may_look = anyio.Event()
        self.may_look.set()
        self.looks: list[int] = []
        self.reads = 0
        self.told: list[Any] = []

    @property
    def hearing(self) -> Hearing:
        return self.says

    def listen(self, on_work: Any, on_changed: Any, on_progress: Any = None) -> Any:
        self.told.append(on_changed)
        return super().listen(on_work, lambda changed: None)

    async def read(
        self, instance_ids: Sequence[str], *, payloads: bool
    ) -> list[InstanceRecord | None]:
        if self.is_silent:
            raise BackendUnavailableError("silent")
        if payloads:
            self.reads += len(instance_ids)
        else:
            self.looks.append(len(instance_ids))
            await self.may_look.wait()
        return await super().read(instance_ids, payloads=payloads)


class World:
    """A hub whose client hears nothing."""

    def __init__(self, env: VirtualEnvironment) -> None:
        self.env = env
        self.backend = Deaf(environment=env)

    async def __aenter__(self) -> Self:
        await self.backend.open()
        self.hub = TaskHub(self.backend, registry=registry, environment=self.env)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.hub.client.close()
        await self.backend.close()


@pytest.mark.parametrize(("hearing", "late"), [(Hearing.MOSTLY, 1.0), (Hearing.NEVER, 0.3)])
@pytest.mark.parametrize("waited", [0.1, 3.0, 60.0, 3_600.0])
@virtual_time
async def test_a_lost_hint_costs_a_second_at_most(
    env: VirtualEnvironment, hearing: Hearing, late: float, waited: float
) -> None:
    async with World(env) as world:
        world.backend.says = hearing
        handle = await world.hub.client.start(waits)
        async with world.hub.worker(), anyio.create_task_group() as group:

            async def end() -> None:
                await anyio.sleep(waited)
                await handle.raise_event("go", "gone")

            group.start_soon(end)
            # By its id: to who waits by the handle, the worker brings the end.
            assert await world.hub.client.wait(handle.instance_id) == "gone"
            assert waited <= env.monotonic() <= waited + late + 0.1


@virtual_time
async def test_many_waiters_are_one_look_a_second(env: VirtualEnvironment) -> None:
    many = 900
    async with World(env) as world, anyio.create_task_group() as group:
        for number in range(many):
            await world.hub.client.start(waits, instance_id=f"i{number}")

        async def wait(number: int) -> None:
            await anyio.sleep(number / many * 10)  # they do not come together
            with pytest.raises(WaitTimeoutError):
                await world.hub.client.wait(f"i{number}", timeout=60.0)

        for number in range(many):
            group.start_soon(wait, number)
        await anyio.sleep(20)
        world.backend.looks.clear()
        await anyio.sleep(30)
        assert len(world.backend.looks) <= 41
        assert sum(world.backend.looks) <= 41 * many
        assert world.backend.reads == many


@virtual_time
async def test_in_a_quiet_hub_there_are_fewer_looks_until_something_is_heard(
    env: VirtualEnvironment,
) -> None:
    async with World(env) as world, anyio.create_task_group() as group:
        for name in "ab":
            await world.hub.client.start(waits, instance_id=name)
        group.start_soon(world.hub.client.wait, "a")
        await anyio.sleep(100)
        world.backend.looks.clear()
        await anyio.sleep(3_600)
        assert len(world.backend.looks) <= 2_400
        for told in world.backend.told:
            told(frozenset({"b"}))
        world.backend.looks.clear()
        await anyio.sleep(30)
        assert 30 <= len(world.backend.looks) <= 34
        group.cancel_scope.cancel()


@virtual_time
async def test_who_leaves_while_he_looks_for_all_leaves_the_others_in_line(
    env: VirtualEnvironment,
) -> None:
    async with World(env) as world, world.hub.worker(), anyio.create_task_group() as group:
        client = world.hub.client
        for name in "abc":
            await client.start(waits, instance_id=name)
        ended: list[str] = []

        async def wait(name: str) -> None:
            ended.append(await client.wait(name))

        async def leave() -> None:
            with pytest.raises(WaitTimeoutError):
                await client.wait("c", timeout=1.0)

        group.start_soon(leave)  # the first one looks for all
        await anyio.sleep(0.1)
        for name in "ab":
            group.start_soon(wait, name)
        await anyio.sleep(0.1)
        world.backend.may_look = anyio.Event()
        await anyio.sleep(1.0)
        assert world.backend.looks
        world.backend.may_look.set()
        for name in "ab":
            await client.raise_event(name, "go", name)
        await anyio.sleep(1.1)
        assert sorted(ended) == ["a", "b"]
        group.cancel_scope.cancel()


@virtual_time
async def test_there_is_a_bound_to_a_look_and_nobody_is_forgotten(env: VirtualEnvironment) -> None:
    many = 2_500
    async with World(env) as world, world.hub.worker():
        for number in range(many):
            await world.hub.client.start(waits, instance_id=f"i{number}")
        ended: list[float] = []

        async def wait(number: int) -> None:
            await world.hub.client.wait(f"i{number}")
            ended.append(env.monotonic())

        async with anyio.create_task_group() as group:
            for number in range(many):
                group.start_soon(wait, number)
            await anyio.sleep(10)
            for number in range(many):
                await world.hub.client.raise_event(f"i{number}", "go", "gone")
            began = env.monotonic()
        assert max(world.backend.looks) <= 1_000
        assert len(ended) == many
        assert max(ended) <= began + 2.0


@virtual_time
async def test_whoever_looks_for_all_may_leave(env: VirtualEnvironment) -> None:
    async with World(env) as world, world.hub.worker():
        handle = await world.hub.client.start(waits)
        scopes: list[anyio.CancelScope] = []
        ended: list[int] = []

        async def wait(number: int) -> None:
            with anyio.CancelScope() as scope:
                scopes.append(scope)
                await handle.wait()
                ended.append(number)

        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(wait, number)
                await anyio.sleep(0.07)
            for scope in scopes[:19]:
                scope.cancel()
                await anyio.sleep(0.13)
            await handle.raise_event("go", "gone")
            began = env.monotonic()
        assert ended == [19]
        assert env.monotonic() <= began + 1.1


@virtual_time
async def test_a_silent_store_is_waited_for_a_while(env: VirtualEnvironment) -> None:
    async with World(env) as world, world.hub.worker():
        handle = await world.hub.client.start(waits)
        async with anyio.create_task_group() as group:

            async def be_silent() -> None:
                await anyio.sleep(2)
                world.backend.is_silent = True
                await anyio.sleep(10)
                world.backend.is_silent = False
                await handle.raise_event("go", "gone")

            group.start_soon(be_silent)
            assert await handle.wait() == "gone"
        other = await world.hub.client.start(waits)
        began = env.monotonic()
        async with anyio.create_task_group() as group:

            async def fall_silent() -> None:
                await anyio.sleep(2)
                world.backend.is_silent = True

            group.start_soon(fall_silent)
            with pytest.raises(BackendUnavailableError):
                await other.wait()
        assert 15 <= env.monotonic() - began <= 40
        world.backend.is_silent = False


@virtual_time
async def test_who_watches_goes_on_when_the_store_is_back(env: VirtualEnvironment) -> None:
    async with World(env) as world, world.hub.worker():
        handle = await world.hub.client.start(waits)
        await world.hub.client.wait_for_start(handle)
        with world.hub.client.watch(handle) as watch:
            assert await watch.next() is not None
            world.backend.is_silent = True
            for _ in range(2):
                began = env.monotonic()
                with pytest.raises(BackendUnavailableError):
                    await watch.next()
                assert env.monotonic() - began >= 10, "each time it waits for a while"
            world.backend.is_silent = False
            await handle.raise_event("go", "gone")
            state = await watch.next(timeout=60)
            while state is not None and not state.is_ended:
                state = await watch.next(timeout=60)
            assert state is not None
            assert state.output() == "gone"
            assert await watch.next(timeout=5) is None


@virtual_time
async def test_an_instance_that_is_purged_is_waited_for_no_more(env: VirtualEnvironment) -> None:
    async with World(env) as world, world.hub.worker(), anyio.create_task_group() as group:
        handle = await world.hub.client.start(waits)

        async def wait() -> None:
            with pytest.raises(InstanceNotFoundError):
                await handle.wait()

        group.start_soon(wait)
        await anyio.sleep(10)
        await handle.terminate()
        while not await world.backend.purge([handle.instance_id]):
            await anyio.sleep(0.001)


@virtual_time
async def test_news_of_anything_lets_many_look_once(env: VirtualEnvironment) -> None:
    many = 300
    async with World(env) as world, world.hub.worker():
        for number in range(many):
            await world.hub.client.start(waits, instance_id=f"i{number}")
        async with anyio.create_task_group() as group:
            for number in range(many):
                group.start_soon(world.hub.client.wait, f"i{number}")
            await anyio.sleep(5)
            await world.hub.client.raise_event("i7", "go", "gone")
            await anyio.sleep(0.01)
            world.backend.looks.clear()
            world.backend.reads = 0
            [on_changed] = world.backend.told[:1]
            on_changed(None)
            await anyio.sleep(0.15)
            assert world.backend.looks[:1] == [many]
            assert world.backend.reads == 1  # i7's own
            group.cancel_scope.cancel()


@virtual_time
async def test_many_are_looked_at_in_their_order_some_hundreds_at_a_time(
    env: VirtualEnvironment,
) -> None:
    backend = Deaf(environment=env)
    async with TaskHub.open(backend, registry=registry, environment=env) as hub:
        handles = [await hub.client.start(waits, instance_id=f"i-{n}") for n in range(3)]
        backend.looks.clear()
        nobody = [f"nobody-{n}" for n in range(499)]
        found = await hub.client.get_many([handles[2], *nobody, "i-0"], payloads=False)
        assert backend.looks == [500, 1]
        states = [state for state in found if state is not None]
        assert [state.instance_id for state in states] == ["i-2", "i-0"]
        assert found.index(states[-1]) == 500
        assert backend.reads == 0
        assert len(await hub.client.get_many(["i-1"])) == backend.reads == 1
        assert await hub.client.get_many([]) == []
