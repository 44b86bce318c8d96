"""What `doctor` looks at, one function a matter; each tells what it found."""

from __future__ import annotations

import logging
import platform
import sys
from collections.abc import AsyncIterator, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from importlib import metadata

import anyio
from packaging.requirements import Requirement

from durable_async import (
    DurableError,
    EntityLockHolder,
    Status,
    TaskHub,
    WorkerState,
    __version__,
)
from durable_async.backend import Hearing
from durable_async.environment import SystemEnvironment
from durable_async.model.explanation import ObstacleKind

from ._existing import opened, program_of
from ._migrate import verdict_of
from ._options import Where

PYTHON_MIN = (3, 11)
SKEW_SECONDS_MAX = 2.0
HEARING_SECONDS = 3.0
PENDING_LOOKED_AT = 20
ENTITIES_LOOKED_AT = 10_000
EXTRAS_OF_DEVELOPERS = frozenset(("dev", "fuzz", "test", "types"))


class Level(Enum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look came to.

    Attributes:
        check: What was looked at.
        level: How bad it is.
        detail: What was found, and what to do about it.
    """

    check: str
    level: Level
    detail: str


async def examine(where: Where) -> AsyncIterator[Finding]:
    """Look at everything, and tell what is found as it comes."""
    yield _python()
    for finding in _extras():
        yield finding
    if where.app is None and where.url is None:
        yield Finding("store", Level.WARN, "not looked at: say --url or --app")
        return
    try:
        async for finding in _of_the_store(where):
            yield finding
    except DurableError as error:
        yield Finding("store", Level.FAIL, str(error))


# -- here


def _python() -> Finding:
    level = Level.OK if sys.version_info >= PYTHON_MIN else Level.FAIL
    detail = f"{platform.python_implementation()} {platform.python_version()}, durable_async {__version__}"
    return Finding("python", level, detail)


def _extras() -> Iterator[Finding]:
    """Tell of each extra whether its packages are there, and new enough."""
    try:
        lines = metadata.requires("durable-async") or []
    except metadata.PackageNotFoundError:
        yield Finding("extras", Level.WARN, "durable-async is not installed as a distribution")
        return
    needed = [Requirement(line) for line in lines]
    for extra in metadata.metadata("durable-async").get_all("Provides-Extra") or ():
        if extra in EXTRAS_OF_DEVELOPERS:
            continue
        packages = [one for one in needed if _is_of(one, extra) and one.name != "durable-async"]
        yield _extra(extra, packages)


def _is_of(requirement: Requirement, extra: str) -> bool:
    """Tell whether a package comes with an extra on this system, and not without it."""
    marker = requirement.marker
    return marker is not None and marker.evaluate({"extra": extra}) and not marker.evaluate()


def _extra(extra: str, packages: Sequence[Requirement]) -> Finding:
    found, missing, old = [], [], []
    for package in packages:
        try:
            version = metadata.version(package.name)
        except metadata.PackageNotFoundError:
            missing.append(package.name)
            continue
        found.append(f"{package.name} {version}")
        if not package.specifier.contains(version, prereleases=True):
            old.append(f"{package.name} {version} is not {package.specifier}")
    check = f"extra {extra}"
    if old:
        return Finding(check, Level.FAIL, "; ".join(old))
    if missing:
        detail = (
            f"without {', '.join(missing)}: pip install 'durable-async[{extra}]' if you want it"
        )
        return Finding(check, Level.OK, detail)
    return Finding(check, Level.OK, ", ".join(found))


# -- the store


async def _of_the_store(where: Where) -> AsyncIterator[Finding]:
    program = program_of(where)
    if where.url is not None and (program is None or program.hub is None):
        yield await _schema(where.url)
    environment = SystemEnvironment()
    began = environment.monotonic()
    with _warnings() as warnings:
        async with opened(where) as hub:
            seconds = environment.monotonic() - began
            detail = f"{hub.backend.description}: opened in {seconds:.2f} s"
            yield Finding("store", Level.OK, detail)
            yield _clock(hub, environment)
            yield await _hearing(hub)
            for text in dict.fromkeys(warnings):
                yield Finding("settings", Level.WARN, text)
            if not warnings:
                yield Finding("settings", Level.OK, "nothing unsafe was found")
            async for finding in _of_the_hub(hub):
                yield finding


async def _schema(url: str) -> Finding:
    verdict = await verdict_of(url)
    level = Level.OK if verdict.status == 0 else Level.FAIL
    return Finding("schema", level, verdict.text)


@contextmanager
def _warnings() -> Generator[list[str]]:
    """Collect what the engine warns of, such as unsafe settings of a server when a hub is opened."""
    found: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(record.getMessage())

    logger, collector = logging.getLogger("durable_async"), Collector(logging.WARNING)
    propagates, logger.propagate = logger.propagate, False
    logger.addHandler(collector)
    try:
        yield found
    finally:
        logger.removeHandler(collector)
        logger.propagate = propagates


def _clock(hub: TaskHub, environment: SystemEnvironment) -> Finding:
    skew = (hub.backend.now_us() - environment.now_us()) / 1e6
    if abs(skew) <= SKEW_SECONDS_MAX:
        return Finding("clock", Level.OK, f"{abs(skew):.3f} s from that of the store")
    way = "behind" if skew > 0 else "ahead of"
    detail = f"{abs(skew):,.1f} s {way} that of the store, which is the one that counts: set the clock of this machine by NTP"
    return Finding("clock", Level.WARN, detail)


async def _hearing(hub: TaskHub) -> Finding:
    """See whether this process hears what others do."""
    stop = hub.backend.listen(lambda: None, lambda _: None)
    try:
        with anyio.move_on_after(HEARING_SECONDS):
            while hub.backend.hearing is Hearing.NEVER:  # noqa: ASYNC110 - nobody tells
                await anyio.sleep(0.05)
        if hub.backend.hearing is Hearing.NEVER:
            detail = "nothing is heard of other processes, as behind a pooler: they look by themselves, up to four times a second"
            return Finding("wake-ups", Level.WARN, detail)
        return Finding("wake-ups", Level.OK, "other processes are heard at once")
    finally:
        stop()


# -- the hub


async def _of_the_hub(hub: TaskHub) -> AsyncIterator[Finding]:
    counts = await hub.statistics()
    yield _workers(await hub.client.workers())
    yield _parked(counts.parked)
    if counts.by_status.get(Status.PENDING, 0):
        yield await _pending(hub)
    yield await _locks(hub)


def _workers(workers: Sequence[WorkerState]) -> Finding:
    alive = sum(worker.is_alive for worker in workers)
    dead = [f"{one.worker_id} ({one.host}, {one.pid})" for one in workers if not one.is_alive]
    if alive and not dead:
        return Finding("workers", Level.OK, f"{alive:,} alive")
    if alive:
        detail = f"{alive:,} alive; others take over from {', '.join(dead)} in a moment"
        return Finding("workers", Level.OK, detail)
    detail = "none: nothing goes on before one is started, as with durable-async worker module:hub"
    return Finding("workers", Level.WARN, detail)


def _parked(count: int) -> Finding:
    if not count:
        return Finding("parked", Level.OK, "none")
    detail = f"{count:,}: durable-async list --parked says why, durable-async unpark puts them back"
    return Finding("parked", Level.WARN, detail)


async def _pending(hub: TaskHub) -> Finding:
    """Look at those that have waited longest to be begun."""
    states, _ = await hub.client.query_page(
        statuses=[Status.PENDING], parked=False, limit=PENDING_LOOKED_AT
    )
    for state in states:
        explanation = await hub.explain(state.instance_id)
        for obstacle in explanation.obstacles:
            if obstacle.kind in (ObstacleKind.NOT_TAKEN_UP, ObstacleKind.NO_WORKER):
                return Finding("pending", Level.WARN, f"{state.instance_id!r}: {obstacle}")
    return Finding("pending", Level.OK, "none waits to be begun")


async def _locks(hub: TaskHub) -> Finding:
    """Look for entities that are locked by an orchestration that has ended, which must not happen."""
    seen = 0
    async for entity in hub.client.query_entities(has_state=True, page_size=500):
        seen += 1
        if seen > ENTITIES_LOOKED_AT:
            break
        try:
            holder = entity.locked_by
        except DurableError as error:
            return Finding("locks", Level.WARN, str(error))
        if holder is None or await _is_alive(hub, holder):
            continue
        again = await hub.client.get_entity(entity.entity_id)
        if again is not None and again.locked_by == holder:
            detail = f"{str(entity.entity_id)!r} is locked by {holder.instance_id!r}, which has ended: client.clean_entities() unlocks it"
            return Finding("locks", Level.WARN, detail)
    of = f" among the first {ENTITIES_LOOKED_AT:,} entities" if seen > ENTITIES_LOOKED_AT else ""
    return Finding("locks", Level.OK, f"none was left behind{of}")


async def _is_alive(hub: TaskHub, holder: EntityLockHolder) -> bool:
    state = await hub.client.get(holder.instance_id, payloads=False)
    return state is not None and not state.is_ended and state.execution == holder.execution
