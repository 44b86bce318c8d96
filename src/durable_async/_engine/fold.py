"""The fold: what a turn decided becomes one commit, and what may happen after it.

A function of values; it runs no user code and touches no store.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, assert_never

import msgspec

from durable_async._kernel.endings import Outcome
from durable_async._kernel.futures import ActivityFuture, SubOrchestrationFuture
from durable_async._kernel.orchestration import Orchestration, TurnResult
from durable_async.failure import FailureDetails
from durable_async.model.history import (
    ActivityCancelRequested,
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
    Origin,
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
from durable_async.telemetry.traceparent import passed_on

from . import entity_letters
from .termination import taken_failure, terminate_letter, terminated_failure


class Effects(msgspec.Struct, eq=False):
    """What may happen once the turn is durable.

    Attributes:
        start: Activities to begin an attempt of.
        stop: Sequence numbers of activities whose outcome nobody waits for any more.
        next_started: First event of the next execution, after continue-as-new.
    """

    start: list[ActivityFuture[Any]] = []
    stop: list[int] = []
    next_started: ExecutionStarted | None = None


class _Course(msgspec.Struct, eq=False):
    """A turn, and what has been found so far to follow from it."""

    instance: Orchestration
    result: TurnResult
    now_us: int
    effects: Effects
    origin: Origin | None
    outbox: list[Outgoing] = []
    children: list[NewInstance] = []
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
    effects = Effects()
    course = _Course(instance, result, now_us, effects, instance.started.origin)
    for command in result.repeated:
        _follow[type(command)](course, command)
    for event in result.events:
        follow = _follow.get(type(event))
        if follow is not None:
            follow(course, event)
    ending = _GOES_ON if result.outcome is None else _end(course, result.outcome)
    new_status, following = ending.status, ending.following
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
            output=ending.output,
            failure=ending.failure,
            custom_status=result.custom_status if following is None else b"",
            outbox=tuple(course.outbox),
            children=tuple(course.children),
            next_execution=following,
            will=course.will,
        ),
        effects,
    )


# -- what follows from an event


def _begin(course: _Course, event: ActivityScheduled | ActivityRetried) -> None:
    future = course.instance.pending_activity(event.seq)
    if future is not None and course.instance.outcome is None:
        course.effects.start.append(future)


def _stop_failed(course: _Course, event: ActivityFailed) -> None:
    if event.retry_at_us is None:
        course.effects.stop.append(event.seq)


def _stop(course: _Course, event: ActivityCancelRequested) -> None:
    course.effects.stop.append(event.seq)


def _start_child(course: _Course, event: SubOrchestrationScheduled) -> None:
    course.children.append(_child(course, event))


def _terminate_child(course: _Course, event: SubOrchestrationCancelRequested) -> None:
    course.outbox.append(_terminate(course.instance, event))


def _send_event(course: _Course, event: EventSent) -> None:
    course.outbox.append(_to(event.instance_id, EventRaised(event.name, event.payload)))


def _signal(course: _Course, event: EntitySignaled) -> None:
    origin = None if course.origin is None else _passed_on(course, course.origin, event.seq)
    course.outbox.append(entity_letters.signal(event, origin))


def _call(course: _Course, event: EntityCalled) -> None:
    origin = None if course.origin is None else _passed_on(course, course.origin, event.seq)
    course.outbox.append(entity_letters.call(event, _link(course.instance, event.seq), origin))


def _request_locks(course: _Course, event: EntityLocksRequested) -> None:
    holder = _link(course.instance, event.seq)
    course.outbox += entity_letters.requests(event, holder)
    course.will = entity_letters.will(event.entity_ids, holder)


def _release_locks(course: _Course, event: EntityLocksReleased) -> None:
    holder = _link(course.instance, event.seq)
    course.outbox += entity_letters.releases(course.result.released[event.seq], holder)
    course.will = NO_WILL


_follow: dict[type[Any], Callable[[_Course, Any], None]] = {
    ActivityScheduled: _begin,
    ActivityRetried: _begin,
    ActivityFailed: _stop_failed,
    ActivityCancelRequested: _stop,
    SubOrchestrationScheduled: _start_child,
    SubOrchestrationCancelRequested: _terminate_child,
    EventSent: _send_event,
    EntitySignaled: _signal,
    EntityCalled: _call,
    EntityLocksRequested: _request_locks,
    EntityLocksReleased: _release_locks,
}
"""From all other events nothing follows outside of the code: they only told it something, or when it is."""


def _link(instance: Orchestration, seq: int) -> ParentLink:
    return ParentLink(instance.instance_id, instance.execution, seq)


def _passed_on(course: _Course, origin: Origin, seq: int) -> Origin:
    """Return what an operation belongs to."""
    instance = course.instance
    header = passed_on(origin.traceparent, instance.instance_id, instance.execution, seq)
    return Origin(header, course.now_us)


def _child(course: _Course, event: SubOrchestrationScheduled) -> NewInstance:
    instance = course.instance
    above = instance.started.parent
    depth = 1 if above is None else above.depth + 1
    parent = ParentLink(instance.instance_id, instance.execution, event.seq, depth)
    taken = taken_failure(event.instance_id, event.reuse)
    origin = None if course.origin is None else _passed_on(course, course.origin, event.seq)
    started = ExecutionStarted(event.name, event.version, event.input, parent, origin=origin)
    return NewInstance(
        instance_id=event.instance_id,
        name=event.name,
        version=event.version,
        events=encode_events([started]),
        created_at_us=course.now_us,
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


# -- what follows from the end


class _Ending(msgspec.Struct, eq=False, frozen=True):
    status: Status | None = None
    output: bytes | None = None
    failure: FailureDetails | None = None
    following: NextExecution | None = None


_GOES_ON = _Ending()


def _end(course: _Course, outcome: Outcome) -> _Ending:
    started = course.instance.started
    parent = started.parent
    seq = 0 if parent is None else parent.seq
    match outcome:
        case ExecutionCompleted():
            _report(course, SubOrchestrationCompleted(seq, outcome.result))
            return _Ending(Status.COMPLETED, output=outcome.result)
        case ExecutionFailed():
            _report(course, SubOrchestrationFailed(seq, outcome.failure))
            return _Ending(Status.FAILED, failure=outcome.failure)
        case ExecutionTerminated():
            if outcome.recursive:
                for child in course.instance.pending_children():
                    course.outbox.append(_terminate(course.instance, child))
            terminated = terminated_failure(course.instance.instance_id)
            _report(course, SubOrchestrationFailed(seq, terminated))
            return _Ending(Status.TERMINATED, output=outcome.output)
        case ExecutionContinuedAsNew():
            origin = course.origin
            if origin is not None:
                origin = Origin(origin.traceparent, course.now_us)
            first = ExecutionStarted(
                started.name, outcome.version, outcome.input, parent, origin=origin
            )
            course.effects.next_started = first
            following = NextExecution(events=encode_events([first]), version=outcome.version)
            return _Ending(following=following)
        case _:
            assert_never(outcome)


def _report(course: _Course, letter: Letter) -> None:
    parent = course.instance.started.parent
    if parent is not None:
        course.outbox.append(_to(parent.instance_id, letter, execution=parent.execution))


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
