"""Retention by workers that are killed and a store that loses calls and answers: what is old enough goes, and nothing else ever does."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import anyio
import pytest

from durable_async import OrchestrationContext, Registry, Retention, Status, TaskHub, WorkerSettings
from durable_async.backends.memory.rows import Instance
from durable_async.backends.memory.state import HubState
from durable_async.backends.memory.store import MemoryStore
from durable_async.testing import VirtualEnvironment, run_virtual

from .faults import Faults, FaultyBackend

SEEDS = 8
MINUTE = 60.0
AGE, FAILED = 5 * MINUTE, 9 * MINUTE
BY_NAME = {"ping": 2 * MINUTE, "audit": 14 * MINUTE, "deed": None}
RETENTION = Retention(age=AGE, failed=FAILED, by_name=BY_NAME, batch=3)
SETTINGS = WorkerSettings(
    lease_seconds=30.0, heartbeat_seconds=10.0, sweep_seconds=5.0, poll_seconds=5.0
)

registry = Registry()


async def ends(ctx: OrchestrationContext, fails: bool) -> None:
    await asyncio.sleep(1)
    if fails:
        raise ValueError("as it was told")


for _name in (*BY_NAME, "plain"):
    registry.orchestrator(name=_name)(ends)


@registry.orchestrator(name="family")
async def family(ctx: OrchestrationContext, minutes: float) -> None:
    """A parent that goes on for longer than anybody is kept."""
    await ctx.call_sub_orchestrator("plain", False, instance_id=f"{ctx.instance_id}-child")
    await asyncio.sleep(minutes * MINUTE)


def kept_seconds(instance: Instance) -> float | None:
    if instance.name in BY_NAME:
        return BY_NAME[instance.name]
    return FAILED if instance.status is Status.FAILED else AGE


class Watch:
    """Looks at each deletion, right before it."""

    def __init__(self, hub: HubState) -> None:
        self.gone: Counter[str] = Counter()
        self._hub = hub
        self._bury = hub.bury
        hub.bury = self.bury  # type: ignore[method-assign]

    def bury(self, instance: Instance, now_us: int) -> None:
        seconds = kept_seconds(instance)
        assert instance.status.is_terminal
        assert instance.completed_at_us is not None
        assert seconds is not None, f"{instance.name} is kept for ever"
        assert now_us - instance.completed_at_us >= seconds * 1e6
        parent = self._hub.instances.get(instance.parent.instance_id) if instance.parent else None
        assert parent is None or parent.status.is_terminal
        self.gone[instance.name] += 1
        self._bury(instance, now_us)


async def live(env: VirtualEnvironment, store: MemoryStore, faults: Faults) -> None:
    """Be a process with a worker for a while, and die in one of several ways."""
    backend = FaultyBackend(store, env, faults)
    await backend.open()
    hub = TaskHub(backend, registry=registry, environment=env, retention=RETENTION)
    worker = hub.worker(settings=SETTINGS)
    with anyio.CancelScope() as life:
        async with anyio.create_task_group() as group:
            group.start_soon(worker.run)
            await anyio.sleep(faults.chance.expovariate(1 / (4 * MINUTE)))
            if faults.chance.random() < 0.3:
                await worker.stop()
            else:
                backend.is_dead = True
                await backend.close()
                life.cancel()
    hub.client.close()
    await backend.close()


async def play(env: VirtualEnvironment, seed: int) -> None:
    chance = random.Random(seed)
    store = MemoryStore(env)
    watch = Watch(store.hub("default"))
    faults = Faults(chance)
    is_over = False

    async def lives() -> None:
        while not is_over:
            await live(env, store, faults)

    async with TaskHub.open(
        FaultyBackend(store, env, Faults(random.Random(0))), registry=registry, environment=env
    ) as client:
        async with anyio.create_task_group() as fleet:
            for _ in range(3):
                fleet.start_soon(lives)
            for number in range(60):
                name = chance.choice([*BY_NAME, "plain", "family"])
                given = chance.choice([6, 600]) if name == "family" else chance.random() < 0.3
                await client.client.start(name, given, instance_id=f"{name}-{number}")
                await anyio.sleep(chance.expovariate(1 / 20))
            await anyio.sleep(10 * MINUTE)
            is_over = True
        await check_after_a_while(env, store, watch)


async def check_after_a_while(env: VirtualEnvironment, store: MemoryStore, watch: Watch) -> None:
    """Let one sound worker live for long enough, and see that exactly the rest is left."""
    sound = FaultyBackend(store, env, Faults(random.Random(0)))
    async with (
        TaskHub.open(sound, registry=registry, environment=env, retention=RETENTION) as hub,
        hub.worker(settings=SETTINGS),
    ):
        await anyio.sleep(32 * MINUTE)
    going = {one.instance_id for one in rows(store) if not one.status.is_terminal}
    for one in rows(store):
        is_kept = one.parent is not None and one.parent.instance_id in going
        assert one.name == "deed" or one.instance_id in going or is_kept, one.instance_id
    assert watch.gone["deed"] == 0
    assert set(watch.gone) == {"ping", "audit", "plain", "family"}


def rows(store: MemoryStore) -> list[Instance]:
    return list(store.hub("default").instances.values())


@pytest.mark.parametrize("seed", range(SEEDS))
def test_exactly_what_is_old_enough_goes(seed: int) -> None:
    run_virtual(
        lambda env: play(env, seed),
        seed=seed,
        timeout_virtual_seconds=5 * 3_600,
        steps_max=3_000_000,
    )
