"""Workers that take what their process starts, in virtual time: answers that are lost, late or nobody's lose no start and double none.

The store in memory leaves starts to fetches. Here each process claims on it as `Near` and the functions of the schema do on Postgres.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Any

import anyio
import pytest

from durable_async import TaskHub
from durable_async.backend import Offer
from durable_async.backends._rows import started
from durable_async.backends.memory.store import MemoryStore
from durable_async.backends.postgres.near import Near, Taking
from durable_async.errors import BackendError, BackendUnavailableError, FencedError
from durable_async.model.records import Fence, NewInstance, StartOutcome, Work
from durable_async.testing import VirtualEnvironment, run_virtual

from . import stories
from .faults import Faults, FaultyBackend, Fleet

SEEDS = 40
LATE_STARTS = 20


class Claiming(FaultyBackend):
    """A process that claims what it starts for a worker of its own, if that takes it."""

    def __init__(
        self, store: MemoryStore, env: VirtualEnvironment, faults: Faults, terms: dict[str, int]
    ) -> None:
        """``terms``: those that the store knows, by worker."""
        super().__init__(store, env, faults)
        self._near = Near()
        self._terms = terms
        self._under_way: set[asyncio.Task[Any]] = set()

    @property
    def has_gone(self) -> bool:
        return self._hub is None

    async def register_worker(self, worker_id: str, lease_seconds: float) -> Fence:
        fence = await super().register_worker(worker_id, lease_seconds)
        self._terms[worker_id] = 0
        self._near.add(worker_id)
        return fence

    def offer(self, fence: Fence, offer: Offer) -> Callable[[], None]:
        self._near.offer(fence, offer)
        return lambda: self._near.take_back(fence.worker_id)

    async def retire_worker(self, fence: Fence) -> None:
        self._near.forget(fence.worker_id)
        await super().retire_worker(fence)

    async def withdraw(self, worker_id: str) -> None:
        self._near.forget(worker_id)
        await super().withdraw(worker_id)

    async def fetch(self, fence: Fence, **quotas: Any) -> Work:
        doubt = self._near.doubted(fence.worker_id)
        if doubt is not None:
            await self._pass(lambda: self._mark_unheard(fence, doubt.term, doubt.lost))
            self._near.settle(fence.worker_id, doubt)
        try:
            return await super().fetch(fence, **quotas)
        except FencedError:
            self._near.forget(fence.worker_id)
            raise

    async def _mark_unheard(self, fence: Fence, term: int, lost: Sequence[int]) -> None:
        hub = self.store.hub("default")
        row = hub.worker(fence)
        self._terms[fence.worker_id] = max(self._terms[fence.worker_id], term)
        for number in lost:
            fetched = row.fetched
            hub.undo_fetch(row, number, self.now_us())
            row.fetched = fetched
        hub.hints.publish()

    async def create(self, instances: Sequence[NewInstance]) -> list[StartOutcome]:
        taking = self._near.taking(instances)
        if taking is None:
            return await super().create(instances)
        job = asyncio.ensure_future(self._create_and_claim(instances, taking))
        self._under_way.add(job)
        job.add_done_callback(self._ended)
        return await asyncio.shield(job)

    def _ended(self, job: asyncio.Task[Any]) -> None:
        self._under_way.discard(job)
        if not job.cancelled():
            job.exception()

    async def _create_and_claim(
        self, instances: Sequence[NewInstance], taking: Taking
    ) -> list[StartOutcome]:
        try:
            self._check()
            await self._faults.pause()
            self._check()
            try:
                self._faults.strike("not sent, or late")
            except BackendUnavailableError:
                if self._faults.chance.random() < 0.5:
                    later = self._faults.chance.random()
                    loop = asyncio.get_running_loop()
                    loop.call_later(later, self._land, instances, taking)
                raise
            outcomes, taken = self._land(instances, taking)
            await self._faults.pause()
            self._check()
            self._faults.strike("sent, and no answer")
        except BackendUnavailableError:
            self._near.lose(taking)
            self._near.doubt()
            self.store.hub("default").hints.work = True
            raise
        found = self._near.hand_over(taking.worker_id, ())
        if found is not None:
            offer, is_told = found
            for new, outcome in taken:
                self._tell_again(new.instance_id)
                offer.take(started(new, outcome.execution), is_told=is_told)
        return outcomes

    def _land(
        self, instances: Sequence[NewInstance], taking: Taking
    ) -> tuple[list[StartOutcome], list[tuple[NewInstance, StartOutcome]]]:
        hub = self.store.hub("default")
        row = hub.workers.get(taking.worker_id)
        stands = (
            row is not None
            and row.epoch == taking.epoch
            and self._terms[taking.worker_id] == taking.term
            and not row.marked
        )
        fresh = [
            new.instance_id not in hub.instances and hub.starts.get(new.request_id) is None
            for new in instances
        ]
        outcomes: list[StartOutcome] = []
        taken: list[tuple[NewInstance, StartOutcome]] = []
        now_us = self.now_us()
        for new in instances:
            outcome = hub.starts.get(new.request_id)
            if outcome is None:
                outcome = hub.create(new, now_us)
                hub.starts.put(new.request_id, outcome, now_us)
            outcomes.append(outcome)
        hub.execute_wills(now_us)
        for new, outcome, wanted, is_fresh in zip(
            instances, outcomes, taking.taken, fresh, strict=True
        ):
            if stands and wanted and is_fresh and outcome.created:
                assert row is not None
                instance = hub.instances[new.instance_id]
                hub.schedule.remove(new.instance_id)
                hub.own(instance, row)
                instance.fetch = taking.number
                taken.append((new, outcome))
        hub.hints.publish()
        return outcomes, taken

    def _tell_again(self, instance_id: str) -> None:
        hub = self.store.hub("default")
        instance = hub.instances.get(instance_id)
        if instance is not None and instance.owner is not None and instance.mailbox:
            instance.fresh = dict(instance.mailbox)
            hub.workers[instance.owner].marked[instance_id] = None
            hub.hints.work = True
            hub.hints.publish()


class Processes(Fleet):
    """A fleet whose workers' processes start things, too."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._terms: dict[str, int] = {}
        self._all: list[Claiming] = []

    @property
    def alive(self) -> list[Claiming]:
        self._all = [one for one in self._all if not one.has_gone]
        return self._all

    def process(self) -> Claiming:
        return Claiming(self._store, self._env, self._faults, self._terms)

    def _backend(self) -> Claiming:
        one = self.process()
        self._all.append(one)
        return one


class Somewhere(FaultyBackend):
    """A client whose starts are those of one of the processes, or of none."""

    fleet: Processes

    async def create(self, instances: Sequence[NewInstance]) -> list[StartOutcome]:
        alive = self.fleet.alive
        if alive and self._faults.chance.random() < 0.9:
            one = self._faults.chance.choice(alive)
            try:
                return await one.create(instances)
            except BackendError as error:
                if one.has_gone:
                    raise BackendUnavailableError("the process has gone") from error
                raise
        return await super().create(instances)


async def play(env: VirtualEnvironment, seed: int) -> None:
    chance = random.Random(seed)
    store = MemoryStore(env)
    stories.world[:] = [store, chance]
    faults = Faults(chance)
    fleet = Processes(store, env, stories.registry, faults)
    backend = Somewhere(store, env, faults)
    backend.fleet = fleet
    await backend.open()
    hub = TaskHub(backend, registry=stories.registry, environment=env)
    told = [stories.Story(hub, chance, number) for number in range(stories.STORIES)]
    async with anyio.create_task_group() as group:
        group.start_soon(fleet.run, chance.randint(1, 3))
        async with anyio.create_task_group() as clients:
            for story in told:
                clients.start_soon(story.run)
        fleet.is_over = True
        faults.rate = 0.0
    last = fleet.process()
    await last.open()
    sound = TaskHub(last, registry=stories.registry, environment=env)
    async with sound.worker():
        await anyio.sleep(1)
        faults.rate = 0.3
        async with anyio.create_task_group() as starts:  # nobody else takes over what is lost here
            for number in range(LATE_STARTS):
                starts.start_soon(late_start, sound, number)
        faults.rate = 0.0
        for story in told:
            await story.check()
        await stories.settle(hub, store)
    stories.check_histories(store)
    hub.client.close()
    sound.client.close()
    await backend.close()
    await last.close()


async def late_start(hub: TaskHub, number: int) -> None:
    await anyio.sleep(number / 10)
    await stories.persist(
        lambda: hub.client.start(
            stories.chain, 2, instance_id=f"late-{number}", request_id=f"late-{number}"
        )
    )


@pytest.mark.parametrize("seed", range(SEEDS))
def test_no_start_is_lost_or_doubled(seed: int) -> None:
    run_virtual(
        lambda env: play(env, seed), seed=seed, timeout_virtual_seconds=3_600, steps_max=3_000_000
    )
