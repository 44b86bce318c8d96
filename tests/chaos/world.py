"""One scenario's world: a store, workers, customers, and the faults that fall on them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from audit import Audit, read_audit
from checker import Verdict, add_found, await_ends, check, check_leftovers
from faults import Fault, Loss, Times, times_to_resume
from fleet import Fleet, WorkerProcess, now_us
from ledger import Ledger
from load import Customers
from logs import count, surprises
from stores import Store
from stories import read_stories
from worker import Orders, open_hub

from durable_async import BackendUnavailableError, Client, Status, TaskHub
from durable_async.model.records import EntityFilter, InstanceFilter

_ALL = 100_000
_SECONDS_MAX = 20.0
_MOMENT_US = 500_000
_INSTANT_US = 20_000
_LOOK_SECONDS = 0.05
_TAIL_BYTES = 50_000


@dataclass
class Findings:
    """What a scenario showed."""

    verdict: Verdict
    times: Times
    faults: list[Fault]
    audit: Audit
    surprises: list[str]
    notes: dict[str, float]


@dataclass
class World:
    """Where a scenario takes place.

    Attributes:
        hub: The customers' way to the store.
        fleet: The workers.
        load: The customers.
        errands: How many of their errands are to be done at least.
        random: What decides when and whom a fault hits; the seed repeats the decisions, not the timing of processes.
        faults: What was done so far.
        losses: Answers that were lost.
        notes: What else is counted.
        is_slow: Whether some of the workers are slow at the moment, so that no time says anything.
    """

    folder: Path
    hub: TaskHub
    fleet: Fleet
    load: Customers
    errands: int
    random: random.Random
    faults: list[Fault] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    notes: dict[str, float] = field(default_factory=dict)
    is_slow: bool = False

    @property
    def ledger(self) -> Path:
        """The activities' file."""
        return self.folder / "ledger"

    async def owned_by(self, victims: Iterable[WorkerProcess]) -> frozenset[str]:
        """Return the running orchestrations and the entities that some workers own at the moment."""
        workers = {identity.worker_id for one in victims for identity in one.identities()}
        where = InstanceFilter(statuses=(Status.PENDING, Status.RUNNING))
        try:
            page = await self.hub.backend.query(where, limit=_ALL, page=None, payloads=False)
            entities = await self.hub.backend.query_entities(EntityFilter(), limit=_ALL, page=None)
        except BackendUnavailableError:
            return frozenset()  # another fault is under way
        owners = [(one.instance_id, one.owner) for one in page.items]
        owners += ((one.instance_id, one.owner) for one in entities.items)
        return frozenset(instance_id for instance_id, owner in owners if owner in workers)

    async def until_ready(self, *workers: WorkerProcess) -> None:
        """Wait until these workers are registered."""
        await self._until(lambda: all(one.identities() for one in workers))

    async def until_busy(self, since_us: int) -> None:
        """Wait until some worker has written to the ledger after a time."""
        await self._until(lambda: bool(self._busy_pids(since_us)))

    async def busy_worker(self) -> WorkerProcess:
        """Choose one of those that wrote to the ledger a moment ago; others may have nothing to lose."""
        return await self._choose(lambda: self._busy_pids(now_us() - _MOMENT_US), _LOOK_SECONDS)

    async def engaged_worker(self) -> WorkerProcess:
        """Choose one of those that have just begun an activity, and are in the midst of it."""
        return await self._choose(
            lambda: self._engaged_pids(now_us() - _INSTANT_US), _INSTANT_US / 4e6
        )

    async def _choose(self, pids: Callable[[], set[int]], look_seconds: float) -> WorkerProcess:
        found: list[WorkerProcess] = []

        def find() -> bool:
            known = pids()
            found[:] = (one for one in self.fleet.workers if one.pid in known)
            return bool(found)

        await self._until(find, look_seconds)
        return self.random.choice(found)

    async def _until(
        self, condition: Callable[[], bool], look_seconds: float = _LOOK_SECONDS
    ) -> None:
        async with asyncio.timeout(_SECONDS_MAX):
            while not condition():
                self.fleet.check()
                await asyncio.sleep(look_seconds)

    def _busy_pids(self, since_us: int) -> set[int]:
        return {pid for _, _, pid in self._written(since_us)}

    def _engaged_pids(self, since_us: int) -> set[int]:
        open_ones: dict[str, int] = {}
        for what, key, pid in self._written(since_us):
            if what == "began":
                open_ones[key] = pid
            else:
                open_ones.pop(key, None)
        return set(open_ones.values())

    def _written(self, since_us: int) -> list[tuple[str, str, int]]:
        """Return what activities wrote after a time, as far as it is among the last lines: what, whose, where."""
        if not self.ledger.exists():
            return []
        with self.ledger.open("rb") as lines:
            lines.seek(max(self.ledger.stat().st_size - _TAIL_BYTES, 0))
            lines.readline()
            words = (line.decode().split() for line in lines if line.endswith(b"\n"))
            return [
                (what, key, int(pid)) for what, key, at_us, pid in words if int(at_us) > since_us
            ]

    async def worker_of(self, key: str) -> WorkerProcess:
        """Wait until something has begun, and return the worker where it did."""
        found: list[WorkerProcess] = []

        def find() -> bool:
            pids = {pid for what, one, pid in self._written(0) if (what, one) == ("began", key)}
            found[:] = (one for one in self.fleet.workers if one.pid in pids)
            return bool(found)

        await self._until(find)
        return found[0]

    async def until_ended(self, key: str) -> None:
        """Wait until something has come to its end."""
        await self._until(
            lambda: any((what, one) == ("ended", key) for what, one, _ in self._written(0))
        )

    def note(self, what: str, number: float = 1) -> None:
        """Count something."""
        self.notes[what] = self.notes.get(what, 0) + number

    async def pause(self, shortest: float, longest: float) -> None:
        """Let it work for a while."""
        await asyncio.sleep(self.random.uniform(shortest, longest))

    async def settle(self, store: Store) -> Findings:
        """Wait for the ends, and check everything."""
        verdict = Verdict()
        acknowledged = self.load.acknowledged
        await await_ends(self.hub, acknowledged, verdict)
        audit = read_audit(await store.audit(), self.faults)
        stories = await read_stories(self.hub, audit.turns)
        ledger = Ledger.read(self.ledger)
        check(verdict, acknowledged, stories, ledger, self.faults)
        await check_leftovers(self.hub, verdict)
        found = await self.load.examine(self.hub, stories, self.faults)
        add_found(verdict, found)
        self.notes |= found.notes
        self.notes["deadlocks"] = deadlocks = await store.deadlocks()
        if deadlocks:
            verdict.stuck.append(f"{deadlocks} deadlocks in the store")
        landed = sum(audit.has_landed(loss.process, loss.at_us) for loss in self.losses)
        self.notes["answers_lost_and_landed"] = landed
        self.notes["answers_lost"] = len(self.losses)
        self.notes["fenced"] = count(self.logs(), "; going on under a new identity")
        self.notes["idle_at_first_max"] = ledger.idle_seconds(self.fleet.registered_us())
        times = times_to_resume(self.faults, stories, ledger)
        verdict.stuck += (f"{one}: never went on" for one in times.never)
        said = [line for log in self.logs() for line in surprises(log)]
        return Findings(verdict, times, self.faults, audit, said, self.notes)

    def logs(self) -> list[Path]:
        """Return the logs of all processes there ever were."""
        return sorted(self.folder.glob("*.log"))


async def run_in_world(
    folder: Path,
    store: Store,
    strike: Callable[[World], Awaitable[None]],
    *,
    workers: int,
    customers: Callable[[Client, str], Customers],
    errands: int,
    settings: dict[str, Any],
    seed: int,
    skews: Sequence[float] = (),
) -> Findings:
    """Run a scenario: workers under load, faults that ``strike`` brings, and the check.

    Args:
        folder: For all that is written meanwhile.
        store: Where the hub is.
        strike: Brings the faults, and returns when there were enough.
        workers: How many there are at a time.
        customers: Makes them, given a client and the activities' ledger.
        errands: How many of theirs are to be done at least.
        settings: Of the workers.
        seed: Decides when and whom a fault hits.
        skews: How far the clocks of the first workers are ahead, and of those that follow them.
    """
    folder.mkdir(parents=True)

    def orders(number: int, place: int) -> Orders:
        ordered = store.orders(number, place, str(folder / "identities"), settings)
        ordered.skew_seconds = skews[place] if place < len(skews) else 0.0
        return ordered

    fleet = Fleet(orders, folder)
    async with open_hub(store.client()) as hub:
        load = customers(hub.client, str(folder / "ledger"))
        await store.begin_audit()
        world = World(folder, hub, fleet, load, errands, random.Random(seed))
        try:
            await world.until_ready(*(fleet.spawn() for _ in range(workers)))
            async with asyncio.TaskGroup() as group:
                group.create_task(load.run())
                try:
                    if load.is_any:
                        await world.until_busy(0)
                    await strike(world)
                finally:
                    load.stop()
            return await world.settle(store)
        finally:
            fleet.close()
