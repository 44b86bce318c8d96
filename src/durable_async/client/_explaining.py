"""Explaining: what an orchestration waits for, by its history, its mailbox, and those that it waits for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import anyio.lowlevel

from durable_async._engine.open_ends import OpenEnds, Operation
from durable_async._engine.reenactment import Reenactment
from durable_async.backend import Backend
from durable_async.errors import CorruptHistoryError, InstanceNotFoundError
from durable_async.model.explanation import (
    Explanation,
    Obstacle,
    ObstacleKind,
    SourceLine,
    Stand,
    Wait,
    WaitKind,
    moment,
)
from durable_async.model.history import EventRaised, ExecutionStarted, HistoryEvent
from durable_async.model.moments import instant
from durable_async.model.records import EntityRecord, InstanceRecord
from durable_async.model.status import Status
from durable_async.model.upkeep import WorkerRecord
from durable_async.registry import Registry
from durable_async.serialization import DataConverter
from durable_async.serialization.events import decode_events, decode_letter

from ._connection import Instance, id_of
from ._entity_state import lock_of

LETTERS_MAX = 1_000
READ_MAX = 500
HISTORY_PAGE_BYTES = 4 * 1024 * 1024
TURNS_AT_ONCE = 50
"""So many turns are replayed before other tasks get a chance."""


@dataclass(slots=True)
class Story:
    """The history of one execution, turn by turn, as far as it can be read."""

    execution: int = 1
    turns: list[list[HistoryEvent]] = field(default_factory=list)
    damage: str | None = None

    @property
    def started(self) -> ExecutionStarted | None:
        """What it begins with."""
        first = self.turns[0][0] if self.turns and self.turns[0] else None
        return first if isinstance(first, ExecutionStarted) else None


@dataclass(slots=True)
class Code:
    """What today's code says to a history: where it stands, or why that cannot be told."""

    unknown: str | None = None
    error: str | None = None
    reenactment: Reenactment | None = None


async def explain(
    instance: Instance, backend: Backend, registry: Registry, payloads: DataConverter
) -> Explanation:
    """Say what an orchestration waits for; see ``TaskHub.explain``."""
    instance_id = id_of(instance)
    (record,) = await backend.read([instance_id], payloads=False)
    if record is None:
        raise InstanceNotFoundError(instance_id)
    if record.status.is_terminal:
        return _ended(record, backend.now_us())
    story = await _read_story(instance_id, backend)
    code = await _reenact(instance_id, story, registry, payloads)
    try:
        return await _of_one_under_way(record, story, code, backend, registry)
    finally:
        if code.reenactment is not None:
            code.reenactment.close()


async def _of_one_under_way(
    record: InstanceRecord, story: Story, code: Code, backend: Backend, registry: Registry
) -> Explanation:
    open_ends = OpenEnds(event for turn in story.turns for event in turn)
    operations = [*open_ends.operations.values(), *open_ends.wanted_locks()]
    stands = () if code.reenactment is None else code.reenactment.stands()
    by_seq, by_event = _lines(stands)
    waits = await _waits(record, operations, by_seq, backend)
    events = [] if code.reenactment is None else code.reenactment.awaited_events()
    waits += [
        Wait(kind=WaitKind.EVENT, name=name, since=instant(since_us), line=by_event.get(name))
        for name, since_us in events
    ]
    letters, raised = await _mail(record.instance_id, story.execution, backend)
    for name in dict(events):
        raised.pop(name, None)  # its next turn takes it
    obstacles = _own_obstacles(record, open_ends, story, code, backend.now_us())
    if not obstacles:
        workers = await backend.read_workers()
        obstacles += _lack_of_workers(record, letters, workers, registry)
    return _explanation(
        record,
        backend.now_us(),
        moved_at=instant(open_ends.turn_at_us) if open_ends.turn_at_us else None,
        obstacles=tuple(obstacles),
        waits=tuple(sorted(waits, key=lambda wait: (wait.since, wait.seq))),
        holds=open_ends.held,
        stands=stands,
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


# -- what is read


async def _read_story(instance_id: str, backend: Backend) -> Story:
    story = Story()
    after, more, execution = -1, True, None
    while more:
        page = await backend.read_history(
            instance_id, execution=execution, after_turn=after, bytes_max=HISTORY_PAGE_BYTES
        )
        story.execution = execution = page.execution
        for row in page.rows:
            after = row.turn
            try:
                story.turns.append(decode_events(instance_id, row.events))
            except CorruptHistoryError as error:
                story.damage = str(error)
                return story
        more = page.more
    return story


async def _mail(instance_id: str, execution: int, backend: Backend) -> tuple[int, Counter[str]]:
    """Return how many letters lie in a mailbox, and how often which event is among them."""
    mail = await backend.read_letters(instance_id, limit=LETTERS_MAX)
    raised: Counter[str] = Counter()
    for one in mail:
        with suppress(CorruptHistoryError):
            letter = decode_letter(instance_id, one.letter)
            if isinstance(letter, EventRaised) and one.execution in (None, execution):
                raised[letter.name] += 1
    return len(mail), raised


async def _reenact(
    instance_id: str, story: Story, registry: Registry, payloads: DataConverter
) -> Code:
    started = story.started
    if story.damage is not None or started is None:
        return Code(unknown="its history cannot be read")
    if started.name not in registry.orchestrators:
        return Code(unknown=f"no orchestrator {started.name!r} is registered in this process")
    if registry.accepts is not None and registry.accepts(started.name, started.version) is not True:
        return Code(unknown=f"the version {started.version!r} is none that runs in this process")
    if len(story.turns) < 2:
        return Code(unknown="its code has not begun")
    orchestrator = registry.find_orchestrator(started.name)
    assert orchestrator is not None
    reenactment = Reenactment(instance_id, story.execution, started, orchestrator.program(payloads))
    try:
        for number, turn in enumerate(story.turns):
            reenactment.show(turn)
            if number % TURNS_AT_ONCE == TURNS_AT_ONCE - 1:
                await anyio.lowlevel.checkpoint()
    except BaseException:
        reenactment.close()
        raise
    if reenactment.error is not None:
        error = reenactment.error
        reenactment.close()
        return Code(
            unknown="its code does not fit its history", error=f"{type(error).__name__}: {error}"
        )
    return Code(reenactment=reenactment)


# -- what is in its way


def _own_obstacles(
    record: InstanceRecord, open_ends: OpenEnds, story: Story, code: Code, now_us: int
) -> list[Obstacle]:
    """Return what its own row and history tell."""
    found: list[Obstacle] = []
    if record.parked is not None:
        text = f"it is parked, until the cause is gone and unpark is called: {record.parked}"
        found.append(Obstacle(kind=ObstacleKind.PARKED, text=text))
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


def _lack_of_workers(
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


# -- what it waits for


def _lines(stands: Iterable[Stand]) -> tuple[dict[int, SourceLine], dict[str, SourceLine]]:
    """Return the lines that wait, by the number of the operation and by the name of the event."""
    by_seq: dict[int, SourceLine] = {}
    by_event: dict[str, SourceLine] = {}
    for stand in stands:
        if stand.lines:
            by_seq.update(dict.fromkeys(stand.seqs, stand.lines[-1]))
            by_event.update(dict.fromkeys(stand.events, stand.lines[-1]))
    return by_seq, by_event


async def _waits(
    record: InstanceRecord,
    operations: Sequence[Operation],
    lines: Mapping[int, SourceLine],
    backend: Backend,
) -> list[Wait]:
    children = await _children(operations, backend)
    entities = await _entities(operations, backend)
    has_activities = any(one.kind is WaitKind.ACTIVITY for one in operations)
    queued = await backend.read_queued(record.instance_id) if has_activities else {}
    return [
        replace(
            _wait(record, operation, lines.get(operation.seq), children, entities),
            is_queued=operation.kind is WaitKind.ACTIVITY and operation.seq in queued,
            worker=_worker(record, operation, queued),
        )
        for operation in operations
    ]


def _worker(
    record: InstanceRecord, operation: Operation, queued: Mapping[int, str | None]
) -> str | None:
    """Return where an attempt runs: where the orchestration is, unless it was queued."""
    if operation.kind is not WaitKind.ACTIVITY or operation.until_us is not None:
        return None
    return queued.get(operation.seq, record.owner)


async def _children(
    operations: Iterable[Operation], backend: Backend
) -> dict[str, InstanceRecord | None]:
    ids = _targets(operations, WaitKind.SUB_ORCHESTRATION)
    found: dict[str, InstanceRecord | None] = {}
    for first in range(0, len(ids), READ_MAX):
        some = ids[first : first + READ_MAX]
        found.update(zip(some, await backend.read(some, payloads=False), strict=True))
    return found


async def _entities(
    operations: Iterable[Operation], backend: Backend
) -> dict[str, EntityRecord | None]:
    ids = _targets(operations, WaitKind.ENTITY, WaitKind.LOCK)
    found: dict[str, EntityRecord | None] = {}
    for first in range(0, len(ids), READ_MAX):
        some = ids[first : first + READ_MAX]
        found.update(zip(some, await backend.read_entities(some), strict=True))
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
