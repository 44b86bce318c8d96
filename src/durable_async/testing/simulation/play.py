"""Play a plan from its beginning to its end, and look at what became of it."""

from __future__ import annotations

import asyncio
import functools
import gc
import logging
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from typing import Any, TypeVar

import anyio
import anyio.lowlevel
import msgspec

from durable_async.failure import FailureDetails
from durable_async.hub import TaskHub
from durable_async.registry import Registry
from durable_async.testing.failures import RunawayError, VirtualTimeError
from durable_async.worker import WorkerSettings, _entities

from .loop import SimulationLoop
from .plan import Loss, Plan
from .planted import lifted, planted as _planted
from .rest import BOUND_SECONDS, settle
from .stage import Stage, on_stage
from .violations import CrashedError, StuckError, Violation
from .workloads import WORKLOADS, Workload
from .world import World

T = TypeVar("T")

STEPS_MAX = 600_000
SECONDS_MAX = 3_600.0
BEFORE_WIND_UP_SECONDS = 20.0
"""So long clients may go on by themselves, before workloads release those who wait for somebody who is gone."""
CLEANUP_STEPS_MAX = 300_000
CLEANUP_SECONDS_MAX = 600.0
MOMENT = 1e-6

SETTINGS: dict[str, Any] = {
    "instances_max": 50,
    "activities_max": 20,
    "backlog_max": 10,
    "claim_batch": 10,
    "batch_turns_max": 20,
    "lease_seconds": 3.0,
    "heartbeat_seconds": 0.5,
    "sweep_seconds": 0.5,
    "poll_seconds": 0.75,
    "attempts_max": 10_000,
    "shutdown_seconds": 2.0,
    "stall_seconds_max": 20.0,
}
"""Of the workers, where a plan says nothing else: times are short, so that leases run out and others take over."""


class Report(msgspec.Struct, frozen=True):
    """What came of a run.

    Attributes:
        seed: That of the plan.
        digest: Of every step; the same whenever the same plan is played.
        steps: How many there were.
        seconds: How much virtual time passed.
        counts: What was injected, and how many calls were acknowledged, by name.
        calls: How many calls each process had made when the clients were done.
        losses: What became of single calls.
        invariant: The one that does not hold, if one does not.
        violation: What is wrong, in words.
    """

    seed: int
    digest: str
    steps: int
    seconds: float
    counts: dict[str, int]
    calls: dict[str, int]
    losses: tuple[Loss, ...]
    invariant: str = ""
    violation: str = ""

    @property
    def acknowledged(self) -> int:
        """How many calls were acknowledged."""
        return sum(n for name, n in self.counts.items() if name.startswith("answered "))

    @property
    def injected(self) -> int:
        """How many faults there were."""
        kept = ("answered ", "actions")
        return sum(n for name, n in self.counts.items() if not name.startswith(kept))


@functools.cache
def merged(workloads: tuple[type[Workload], ...]) -> Registry:
    """Return a registry of all that workloads need; the same for the same, since to read their code costs more than to run it."""
    all_theirs = [workload.registry for workload in workloads]
    registry = Registry(accepts=_verdict(all_theirs))
    for theirs in all_theirs:
        for name in theirs.orchestrators:
            registry.add_orchestrator(_there(theirs.find_orchestrator(name)))
        for name in theirs.activities:
            registry.add_activity(_there(theirs.find_activity(name)))
        for name in theirs.entities:
            registry.add_entity(_there(theirs.find_entity(name)))
    return registry


def _verdict(
    registries: Iterable[Registry],
) -> Callable[[str, str | None], bool | FailureDetails] | None:
    """Return what says which versions are run, if anything does: each registry of its own orchestrators."""
    picky = {
        name: registry.accepts
        for registry in registries
        if registry.accepts is not None
        for name in registry.orchestrators
    }
    if not picky:
        return None
    return lambda name, version: name not in picky or picky[name](name, version)


def _there(found: T | None) -> T:
    assert found is not None
    return found


def play(
    plan: Plan, *, planted: str | None = None, trace: Callable[[str], None] | None = None
) -> Report:
    """Play a plan. What is found is in the report; nothing is raised.

    Args:
        plan: What happens.
        planted: Name of a fault that is put into the engine for the run.
        trace: Told each step before it runs.
    """
    with _planted(planted):
        return _play(plan, trace)


def _play(plan: Plan, trace: Callable[[str], None] | None) -> Report:
    loop = SimulationLoop(seed=plan.seed, steps_max=STEPS_MAX)
    loop.allow(seconds=SECONDS_MAX)
    loop.trace = trace
    kinds = tuple(one for one in WORKLOADS if one.name in plan.workloads)
    settings = WorkerSettings(**_settings(plan, kinds))
    world = World(plan, loop, merged(kinds), settings)
    stage = Stage(world.env, plan, world, settings.lease_seconds)
    world.workloads = {kind.name: kind(stage) for kind in kinds}
    loop.set_exception_handler(lambda _, context: _unhandled(world, context))
    with _rest_of_the_world(plan, world), on_stage(stage):
        try:
            _run(loop, world)
            return _report(plan, loop, world)
        finally:
            _clean_up(loop, world)


def _settings(plan: Plan, kinds: Iterable[type[Workload]]) -> dict[str, Any]:
    settings = dict(SETTINGS)
    for kind in kinds:
        settings |= kind.settings
    return settings | plan.settings


def _run(loop: SimulationLoop, world: World) -> None:
    main = loop.create_task(_main(world), name="simulation")
    try:
        loop.run_until_complete(main)
    except Violation as violation:
        world.accuse(violation)
    except RunawayError as error:
        world.accuse(StuckError(str(error)))
    except VirtualTimeError as error:
        world.accuse(StuckError(str(error)))
    except Exception as error:  # noqa: BLE001 - a run that found something is stopped, one that broke has found something
        if world.violation is None:
            crash = CrashedError(f"the run ended with {type(error).__name__}: {error}")
            crash.__cause__ = error
            world.accuse(crash)


async def _main(world: World) -> None:
    await world.begin()
    await anyio.sleep(world.ends_at())
    world.calm()
    await anyio.lowlevel.checkpoint()
    await _let_clients_begin(world)
    await _let_clients_finish(world, seconds=BEFORE_WIND_UP_SECONDS)
    world.calls = {name: process.calls for name, process in world.processes.items()}
    hub = TaskHub(world.judge, registry=world.registry, environment=world.env)
    for workload in world.workloads.values():
        await workload.wind_up(hub.client)
    if left := await _let_clients_finish(world, seconds=BOUND_SECONDS):
        raise StuckError("a client hears no answer", where=left[0], left=left)
    await settle(world)
    with lifted():
        await world.inspector.settled(hub, world.workers())
    for workload in world.workloads.values():
        await workload.check(hub)
    hub.client.close()


async def _let_clients_begin(world: World) -> None:
    """Wait for processes that are yet to come back to life, and have something to do then."""
    with anyio.move_on_after(BEFORE_WIND_UP_SECONDS):
        while world.to_begin:  # noqa: ASYNC110 - a life begins by a timer
            await anyio.sleep(0.1)


async def _let_clients_finish(world: World, *, seconds: float) -> list[str]:
    """Wait for what clients of living processes are about to hear, and return what they still wait for."""
    waiting = [task for task, life in world.acting.items() if not life.is_dead]
    if not waiting:
        return []
    _, left = await asyncio.wait(waiting, timeout=seconds)
    return [task.get_name() for task in waiting if task in left and not world.acting[task].is_dead]


def _report(plan: Plan, loop: SimulationLoop, world: World) -> Report:
    for loss in world.fates.struck:
        world.counts[f"lost {loss.kind}"] += 1
    violation = world.violation
    return Report(
        seed=plan.seed,
        digest=loop.digest(),
        steps=loop.steps,
        seconds=loop.time(),
        counts=dict(sorted(world.counts.items())),
        calls=world.calls,
        losses=tuple(world.fates.struck),
        invariant="" if violation is None else violation.invariant,
        violation="" if violation is None else str(violation),
    )


def _unhandled(world: World, context: dict[str, Any]) -> None:
    error = context.get("exception")
    if isinstance(error, Exception):
        crash = CrashedError(f"nobody handled {type(error).__name__}: {error}")
        crash.__cause__ = error
        world.accuse(crash)


def _clean_up(loop: SimulationLoop, world: World) -> None:
    """Let all tasks end, the dead's as well; the store answers nobody any more."""
    world.is_over = True
    loop.trace = None
    loop.allow(seconds=CLEANUP_SECONDS_MAX, steps=CLEANUP_STEPS_MAX)
    loop.resurrect()
    try:
        while tasks := sorted(asyncio.all_tasks(loop), key=hash):
            loop.run_until_complete(asyncio.sleep(MOMENT))  # all begin, or some are never awaited
            for task in tasks:
                task.cancel()
            loop.run_until_complete(asyncio.wait(tasks))
        loop.run_until_complete(world.judge.close())
    except VirtualTimeError:
        pass  # what does not end is left alone
    finally:
        world.home.close()
        loop.close()


@contextmanager
def _rest_of_the_world(plan: Plan, world: World) -> Generator[None, None, None]:
    """Keep the garbage collector and the log from having a say, and listen for complaints that nobody may have."""
    was_enabled = gc.isenabled()
    gc.disable()
    logger = logging.getLogger("durable_async")
    ear = _Ear(world)
    before = (logger.level, logger.propagate, list(logger.handlers), _entities.QUICK_RUNS)
    logger.setLevel(logging.WARNING)
    logger.propagate = False
    logger.handlers = [ear]
    if not plan.is_trusting:
        _set_quick_runs(0)
    try:
        yield
    finally:
        logger.level, logger.propagate, logger.handlers = before[0], before[1], before[2]
        _set_quick_runs(before[3])
        if was_enabled:
            gc.enable()


def _set_quick_runs(count: int) -> None:
    setattr(_entities, "QUICK_RUNS", count)  # noqa: B010 - a constant of another module


class _Ear(logging.Handler):
    """Hears complaints of histories that are corrupt, and of code that diverges from them: only poison may cause any."""

    def __init__(self, world: World) -> None:
        super().__init__(logging.WARNING)
        self._world = world

    def emit(self, record: logging.LogRecord) -> None:
        said = record.getMessage()
        if ("Determinism" in said or "Corrupt" in said) and "poison" not in said:
            self._world.accuse(CrashedError(f"a worker complained: {said}"))
