"""Explaining: what an orchestration waits for, by its history, its mailbox, and those that it waits for."""

from __future__ import annotations

from typing import Any

from durable_async._engine.open_ends import OpenEnds
from durable_async._engine.reenactment import WatchTurn
from durable_async.backend import Backend
from durable_async.client._connection import IdOrHandle, id_of
from durable_async.errors import InstanceNotFoundError
from durable_async.model.explanation import Explanation, Obstacle, ObstacleKind
from durable_async.model.moments import instant
from durable_async.model.records import InstanceRecord
from durable_async.registry import Registry
from durable_async.serialization import DataConverter

from .obstacles import lack_of_workers, own_obstacles
from .story import Code, Story, read_mail, read_story, reenact
from .waits import waits_of


async def explain(
    instance: IdOrHandle,
    backend: Backend,
    registry: Registry,
    payloads: DataConverter,
    watch: WatchTurn,
) -> Explanation:
    """Say what an orchestration waits for; see ``TaskHub.explain``. Its code is run by ``watch``."""
    instance_id = id_of(instance)
    (record,) = await backend.read([instance_id], payloads=False)
    if record is None:
        raise InstanceNotFoundError(instance_id)
    if record.status.is_terminal:
        return _ended(record, backend.now_us())
    story = await read_story(instance_id, backend)
    code = await reenact(instance_id, story, registry, payloads, watch)
    try:
        return await _of_one_under_way(record, story, code, backend, registry)
    finally:
        code.close()


async def _of_one_under_way(
    record: InstanceRecord, story: Story, code: Code, backend: Backend, registry: Registry
) -> Explanation:
    open_ends = OpenEnds(event for turn in story.turns for event in turn)
    operations = [*open_ends.operations.values(), *open_ends.wanted_locks()]
    waits = await waits_of(record, operations, code, backend)
    letters, raised = await read_mail(record.instance_id, story.execution, backend)
    for name, _ in code.awaited_events:
        raised.pop(name, None)  # its next turn takes it
    obstacles = own_obstacles(record, open_ends, story, code, backend.now_us())
    if not obstacles:
        workers = await backend.read_workers()
        obstacles += lack_of_workers(record, letters, workers, registry)
    return _explanation(
        record,
        backend.now_us(),
        moved_at=instant(open_ends.turn_at_us) if open_ends.turn_at_us else None,
        obstacles=tuple(obstacles),
        waits=tuple(sorted(waits, key=lambda wait: (wait.since, wait.seq))),
        holds=open_ends.held,
        stands=code.stands,
        code=code.unknown,
        unclaimed=tuple(sorted(raised.items())),
        letters=letters,
    )


def _explanation(record: InstanceRecord, now_us: int, **facts: Any) -> Explanation:
    return Explanation(
        instance_id=record.instance_id,
        name=record.name,
        version=record.version,
        status=record.status,
        at=instant(now_us),
        owner=record.owner,
        **facts,
    )


def _ended(record: InstanceRecord, now_us: int) -> Explanation:
    ended_at = None if record.completed_at_us is None else instant(record.completed_at_us)
    text = f"it has ended, and is {record.status.value}"
    if record.failure is not None:
        text += f": {record.failure.error_type}: {record.failure.message}"
    ended = Obstacle(kind=ObstacleKind.ENDED, text=text, since=ended_at)
    return _explanation(record, now_us, moved_at=ended_at, obstacles=(ended,))
