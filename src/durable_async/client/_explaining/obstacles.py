"""What is in an orchestration's way, as its row, its history and the workers of the hub tell."""

from __future__ import annotations

from collections.abc import Sequence

from durable_async._engine.open_ends import OpenEnds
from durable_async.client._timeouts import PARKED
from durable_async.model.explanation import Obstacle, ObstacleKind, moment
from durable_async.model.moments import instant
from durable_async.model.records import InstanceRecord
from durable_async.model.status import Status
from durable_async.model.upkeep import WorkerRecord
from durable_async.registry import Registry

from .story import Code, Story


def own_obstacles(
    record: InstanceRecord, open_ends: OpenEnds, story: Story, code: Code, now_us: int
) -> list[Obstacle]:
    """Return what its own row and history tell."""
    found: list[Obstacle] = []
    if record.parked is not None:
        found.append(Obstacle(kind=ObstacleKind.PARKED, text=f"{PARKED}: {record.parked}"))
    if record.status is Status.SUSPENDED:
        found.append(_suspension(open_ends))
    if record.status is Status.PENDING and record.start_at_us > now_us:
        begins_at = instant(record.start_at_us)
        text = f"it was started to begin at {moment(begins_at)}"
        found.append(Obstacle(kind=ObstacleKind.NOT_YET, text=text, until=begins_at))
    if story.damage is not None:
        found.append(Obstacle(kind=ObstacleKind.DAMAGED, text=story.damage))
    if code.error is not None:
        found.append(Obstacle(kind=ObstacleKind.DIVERGENT, text=code.error))
    return found


def _suspension(open_ends: OpenEnds) -> Obstacle:
    since_us, reason = open_ends.suspended or (0, None)
    why = "" if reason is None else f" ({reason})"
    return Obstacle(
        kind=ObstacleKind.SUSPENDED,
        text=f"it is suspended{why}, until resume is called",
        since=instant(since_us) if since_us else None,
    )


def lack_of_workers(
    record: InstanceRecord, letters: int, workers: Sequence[WorkerRecord], registry: Registry
) -> list[Obstacle]:
    """Return why no worker has it, if it is one that a worker should have."""
    alive = [worker.worker_id for worker in workers if worker.is_alive]
    if not alive:
        text = "no worker is alive in this hub: nothing goes on before one is started"
        return [Obstacle(kind=ObstacleKind.NO_WORKER, text=text)]
    if record.owner in alive:
        return []
    if record.owner is not None:
        text = f"the worker that has it, {record.owner}, is not alive: another one takes over in a moment"
        return [Obstacle(kind=ObstacleKind.NOT_TAKEN_UP, text=text)]
    if record.status is not Status.PENDING and not letters:
        return []  # it waits for a time to come, or for something that is not there yet
    what = repr(record.name) if record.version is None else f"{record.name!r} {record.version!r}"
    here = "is" if record.name in registry.orchestrators else "is not"
    many = "1 worker is alive" if len(alive) == 1 else f"{len(alive):,} workers are alive"
    text = (
        f"{many}, and none has taken it up: does one register {what}, which {here} registered in this process,"
        " and does its log tell of trouble?"
    )
    since_us = max(record.created_at_us, record.start_at_us)
    since = instant(since_us) if record.status is Status.PENDING else None
    return [Obstacle(kind=ObstacleKind.NOT_TAKEN_UP, text=text, since=since)]
