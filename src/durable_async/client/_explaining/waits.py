"""What an orchestration waits for: the operations that its history leaves open, and those that they are about."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

from durable_async._engine.open_ends import Operation
from durable_async.backend import Backend
from durable_async.client._entities.state import lock_of
from durable_async.errors import CorruptHistoryError
from durable_async.model.explanation import SourceLine, Stand, Wait, WaitKind
from durable_async.model.moments import instant
from durable_async.model.records import EntityRecord, InstanceRecord
from durable_async.model.status import Status

from .story import Code

F = TypeVar("F")

READ_MAX = 500


def _lines(stands: Iterable[Stand]) -> tuple[dict[int, SourceLine], dict[str, SourceLine]]:
    """Return the lines that wait, by the number of the operation and by the name of the event."""
    by_seq: dict[int, SourceLine] = {}
    by_event: dict[str, SourceLine] = {}
    for stand in stands:
        if stand.lines:
            by_seq.update(dict.fromkeys(stand.seqs, stand.lines[-1]))
            by_event.update(dict.fromkeys(stand.events, stand.lines[-1]))
    return by_seq, by_event


async def waits_of(
    record: InstanceRecord, operations: Sequence[Operation], code: Code, backend: Backend
) -> list[Wait]:
    """Return the waits for operations that are not answered yet, and for events where the code tells of them."""
    by_seq, by_event = _lines(code.stands)
    children = await _read_all(
        _targets(operations, WaitKind.SUB_ORCHESTRATION),
        lambda ids: backend.read(ids, payloads=False),
    )
    entities = await _read_all(
        _targets(operations, WaitKind.ENTITY, WaitKind.LOCK), backend.read_entities
    )
    has_activities = any(one.kind is WaitKind.ACTIVITY for one in operations)
    queued = await backend.read_queued(record.instance_id) if has_activities else {}
    return [
        *(
            replace(
                _wait(record, operation, by_seq.get(operation.seq), children, entities),
                is_queued=operation.kind is WaitKind.ACTIVITY and operation.seq in queued,
                worker=_worker(record, operation, queued),
            )
            for operation in operations
        ),
        *(
            Wait(kind=WaitKind.EVENT, name=name, since=instant(since_us), line=by_event.get(name))
            for name, since_us in code.awaited_events
        ),
    ]


def _worker(
    record: InstanceRecord, operation: Operation, queued: Mapping[int, str | None]
) -> str | None:
    """Return where an attempt runs: where the orchestration is, unless it was queued."""
    if operation.kind is not WaitKind.ACTIVITY or operation.until_us is not None:
        return None
    return queued.get(operation.seq, record.owner)


async def _read_all(
    ids: Sequence[str], read: Callable[[Sequence[str]], Awaitable[Sequence[F | None]]]
) -> dict[str, F | None]:
    found: dict[str, F | None] = {}
    for first in range(0, len(ids), READ_MAX):
        some = ids[first : first + READ_MAX]
        found.update(zip(some, await read(some), strict=True))
    return found


def _targets(operations: Iterable[Operation], *kinds: WaitKind) -> list[str]:
    targets = (one.target for one in operations if one.kind in kinds)
    return list(dict.fromkeys(target for target in targets if target is not None))


def _wait(
    record: InstanceRecord,
    operation: Operation,
    line: SourceLine | None,
    children: dict[str, InstanceRecord | None],
    entities: dict[str, EntityRecord | None],
) -> Wait:
    target = operation.target or ""
    child = children.get(target)
    entity = entities.get(target)
    holder = None if entity is None else _holder(entity, record.instance_id)
    match operation.kind:
        case WaitKind.ACTIVITY:
            trouble = _trouble_of_activity(operation)
        case WaitKind.SUB_ORCHESTRATION:
            trouble = _trouble_of_child(child)
        case WaitKind.ENTITY | WaitKind.LOCK:
            trouble = _trouble_of_entity(entity)
        case _:
            trouble = None
    return Wait(
        kind=operation.kind,
        name=operation.name,
        seq=operation.seq,
        since=instant(operation.since_us),
        until=None if operation.until_us is None else instant(operation.until_us),
        attempt=operation.attempt,
        target=operation.target,
        status=None if child is None else child.status,
        holder=holder,
        trouble=trouble,
        line=line,
    )


def _trouble_of_activity(operation: Operation) -> str | None:
    if operation.failure is None:
        return None
    return f"the attempt before failed with {operation.failure}"


def _trouble_of_child(child: InstanceRecord | None) -> str | None:
    if child is None:
        return "there is no such instance: it was purged, or is about to be created"
    if child.parked is not None:
        return f"it is parked: {child.parked}"
    if child.status.is_terminal:
        return "it has ended, and what came of it is on the way"
    if child.status is Status.SUSPENDED:
        return "it is suspended"
    return None


def _trouble_of_entity(entity: EntityRecord | None) -> str | None:
    if entity is None:
        return "there is no such entity yet: a worker that registers it is wanted"
    if entity.parked is not None:
        return f"it is parked: {entity.parked}"
    if entity.letters and entity.owner is None:
        return f"{entity.letters:,} letters lie in its mailbox, and no worker has it"
    return None


def _holder(entity: EntityRecord, instance_id: str) -> str | None:
    """Return who else has an entity locked."""
    with suppress(CorruptHistoryError):
        lock = lock_of(entity)
        if lock is not None and lock.holder.instance_id != instance_id:
            return lock.holder.instance_id
    return None
