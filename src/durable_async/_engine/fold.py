"""The fold: what a turn decided becomes one commit, and what may happen after it.

A function of values; it runs no user code and touches no store.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from durable_async._kernel.futures import ActivityFuture, SubOrchestrationFuture
from durable_async._kernel.orchestration import Orchestration, TurnResult
from durable_async.failure import FailureDetails
from durable_async.model.history import (
    ActivityCancelRequested,
    ActivityCompleted,
    ActivityFailed,
    ActivityRetried,
    ActivityScheduled,
    EntityCalled,
    EntityLocksReleased,
    EntityLocksRequested,
    EntitySignaled,
    EventRaised,
    EventSent,
    ExecutionCompleted,
    ExecutionContinuedAsNew,
    ExecutionFailed,
    ExecutionStarted,
    ExecutionTerminated,
    Letter,
    ParentLink,
    SubOrchestrationCancelRequested,
    SubOrchestrationCompleted,
    SubOrchestrationFailed,
    SubOrchestrationScheduled,
)
from durable_async.model.records import (
    NO_WILL,
    NewInstance,
    NextExecution,
    Outgoing,
    QueuedActivity,
    TurnCommit,
    Will,
)
from durable_async.model.status import Status
from durable_async.serialization.events import encode_events, encode_letter

from . import entity_letters
from .termination import taken_failure, terminate_letter, terminated_failure


@dataclass(slots=True)
class Effects:
    """What may happen once the turn is durable.

    Attributes:
        start: Activities to begin an attempt of.
        stop: Sequence numbers of activities whose outcome nobody waits for any more.
        next_started: First event of the next execution, after continue-as-new.
    """

    start: list[ActivityFuture[Any]] = field(default_factory=list)
    stop: list[int] = field(default_factory=list)
    next_started: ExecutionStarted | None = None


@dataclass(slots=True)
class _Draft:
    outbox: list[Outgoing] = field(default_factory=list)
    children: list[NewInstance] = field(default_factory=list)
    will: Will | None = None


def fold(
    instance: Orchestration,
    result: TurnResult,
    *,
    turn: int,
    status: Status,
    now_us: int,
) -> tuple[TurnCommit, Effects]:
    """Return the commit of a turn, and its effects.

    Args:
        instance: The instance after the turn.
        result: What the turn gave.
        turn: Number of the turn.
        status: What the store holds.
        now_us: The store's clock.
    """
    draft = _Draft()
    effects = Effects()
    for command in result.repeated:
        _follow_to_entities(instance, command, draft, result)
    for event in result.events:
        _follow(instance, event, draft, effects, result, now_us)
    started = instance.started
    new_status, output, failure, following = _ending(instance, result, draft, effects)
    if new_status is None:
        current = Status.SUSPENDED if result.suspended else Status.RUNNING
        new_status = current if current is not status else None
    return (
        TurnCommit(
            instance_id=instance.instance_id,
            execution=instance.execution,
            turn=turn,
            events=encode_events(result.events) if result.events and following is None else b"",
            consumed=tuple(result.consumed),
            status=new_status,
            output=output,
            failure=failure,
            custom_status=_custom_status(result),
            outbox=tuple(draft.outbox),
            children=tuple(draft.children),
            next_execution=_next(following, started),
            will=draft.will,
        ),
        effects,
    )


def _custom_status(result: TurnResult) -> bytes | None:
    if isinstance(result.outcome, ExecutionContinuedAsNew):
        return b""
    return result.custom_status


def _follow(
    instance: Orchestration,
    event: Any,
    draft: _Draft,
    effects: Effects,
    result: TurnResult,
    now_us: int,
) -> None:
    match event:
        case ActivityScheduled() | ActivityRetried():
            future = instance.pending_activity(event.seq)
            if future is not None and instance.outcome is None:
                effects.start.append(future)
        case ActivityCompleted():
            pass
        case ActivityFailed():
            if event.retry_at_us is None:
                effects.stop.append(event.seq)
        case ActivityCancelRequested():
            effects.stop.append(event.seq)
        case SubOrchestrationScheduled():
            draft.children.append(_child(instance, event, now_us))
        case SubOrchestrationCancelRequested():
            draft.outbox.append(_terminate(instance, event))
        case EventSent():
            draft.outbox.append(_to(event.instance_id, EventRaised(event.name, event.payload)))
        case _:
            _follow_to_entities(instance, event, draft, result)


def _follow_to_entities(
    instance: Orchestration, event: Any, draft: _Draft, result: TurnResult
) -> None:
    match event:
        case EntitySignaled():
            draft.outbox.append(entity_letters.signal(event))
        case EntityCalled():
            draft.outbox.append(entity_letters.call(event, _link(instance, event.seq)))
        case EntityLocksRequested():
            holder = _link(instance, event.seq)
            draft.outbox += entity_letters.requests(event, holder)
            draft.will = entity_letters.will(event.entity_ids, holder)
        case EntityLocksReleased():
            holder = _link(instance, event.seq)
            draft.outbox += entity_letters.releases(result.released[event.seq], holder)
            draft.will = NO_WILL
        case _:
            pass


def _link(instance: Orchestration, seq: int) -> ParentLink:
    return ParentLink(instance.instance_id, instance.execution, seq)


def _child(instance: Orchestration, event: SubOrchestrationScheduled, now_us: int) -> NewInstance:
    above = instance.started.parent
    depth = 1 if above is None else above.depth + 1
    parent = ParentLink(instance.instance_id, instance.execution, event.seq, depth)
    taken = taken_failure(event.instance_id, event.reuse)
    return NewInstance(
        instance_id=event.instance_id,
        name=event.name,
        version=event.version,
        events=encode_events([ExecutionStarted(event.name, event.version, event.input, parent)]),
        created_at_us=now_us,
        reuse=event.reuse,
        parent=parent,
        refusal=encode_letter(SubOrchestrationFailed(event.seq, taken)),
    )


def _terminate(
    instance: Orchestration, child: SubOrchestrationCancelRequested | SubOrchestrationFuture[Any]
) -> Outgoing:
    return terminate_letter(child.instance_id, _link(instance, child.seq))


def _to(instance_id: str, letter: Letter, *, execution: int | None = None) -> Outgoing:
    return Outgoing(instance_id=instance_id, execution=execution, letter=encode_letter(letter))


def _report(instance: Orchestration, draft: _Draft, letter: Letter) -> None:
    parent = instance.started.parent
    if parent is not None:
        draft.outbox.append(_to(parent.instance_id, letter, execution=parent.execution))


def _ending(
    instance: Orchestration, result: TurnResult, draft: _Draft, effects: Effects
) -> tuple[Status | None, bytes | None, FailureDetails | None, ExecutionContinuedAsNew | None]:
    outcome = result.outcome
    parent = instance.started.parent
    seq = 0 if parent is None else parent.seq
    match outcome:
        case None:
            return None, None, None, None
        case ExecutionCompleted():
            _report(instance, draft, SubOrchestrationCompleted(seq, outcome.result))
            return Status.COMPLETED, outcome.result, None, None
        case ExecutionFailed():
            _report(instance, draft, SubOrchestrationFailed(seq, outcome.failure))
            return Status.FAILED, None, outcome.failure, None
        case ExecutionTerminated():
            if outcome.recursive:
                for child in instance.pending_children():
                    draft.outbox.append(_terminate(instance, child))
            _report(
                instance,
                draft,
                SubOrchestrationFailed(seq, terminated_failure(instance.instance_id)),
            )
            return Status.TERMINATED, outcome.output, None, None
        case ExecutionContinuedAsNew():
            effects.next_started = ExecutionStarted(
                instance.started.name, outcome.version, outcome.input, parent
            )
            return None, None, None, outcome


def _next(
    following: ExecutionContinuedAsNew | None, started: ExecutionStarted
) -> NextExecution | None:
    if following is None:
        return None
    first = ExecutionStarted(started.name, following.version, following.input, started.parent)
    return NextExecution(events=encode_events([first]), version=following.version)


def queued(instance: Orchestration, future: ActivityFuture[Any], options: bytes) -> QueuedActivity:
    """Return an activity as an item for any worker."""
    return QueuedActivity(
        instance_id=instance.instance_id,
        execution=instance.execution,
        seq=future.seq,
        attempt=future.attempt,
        name=future.name,
        input=future.input,
        options=options,
    )
