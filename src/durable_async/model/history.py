"""History events: what happened to an orchestration, in the past tense.

Two kinds share one history. **Inputs** come from outside (a result, a timer that fired, an event that was raised). **Commands**
are what the orchestrator's code did in answer (an activity scheduled, a timer created). A turn records each input followed
by its commands; a replay feeds the inputs and checks that the same commands come back.

Tags and the order of fields are stored for ever: append fields with defaults, never reuse a tag.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

import msgspec

from durable_async.failure import FailureDetails
from durable_async.model.policy import ReusePolicy

Ordinal: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Attempt: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
Microseconds: TypeAlias = Annotated[int, msgspec.Meta(ge=-(2**62), le=2**62)]
"""Numbers as every store can hold them. What is read is held to that: a damaged row is not to lead to others that cannot be written."""


class ParentLink(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Where a sub-orchestration or an entity reports to: the operation ``seq`` of one execution of an orchestration."""

    instance_id: str
    execution: Ordinal
    seq: Ordinal
    depth: Ordinal = 1

    def is_same_operation(self, other: ParentLink) -> bool:
        """Tell whether both mean the same call, whatever they say of its depth."""
        mine = (self.instance_id, self.execution, self.seq)
        return mine == (other.instance_id, other.execution, other.seq)


class Origin(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What something was asked for in, noted where somebody listens (`durable_async.telemetry`). Nothing that is decided depends on it.

    Attributes:
        traceparent: A W3C ``traceparent``; empty for none. It is whatever the store gives, so whoever uses it parses it.
        sent_at_us: When it was asked for.
    """

    traceparent: str = ""
    sent_at_us: Microseconds = 0


class _Event(msgspec.Struct, frozen=True, array_like=True, gc=False):
    pass


# -- life of an execution (inputs)


class ExecutionStarted(_Event, tag=1, frozen=True, array_like=True, gc=False):
    """The first event: which orchestrator runs, on what.

    Attributes:
        start_at_us: Not to start before; 0 for at once.
        drawn_as: The execution whose chance and number the code sees, where a rewind gave it another; 0 for its own.
        origin: The trace that it belongs to, and when it was asked for, if somebody listened.
    """

    name: str
    version: str | None
    input: bytes | None
    parent: ParentLink | None = None
    start_at_us: Microseconds = 0
    drawn_as: Ordinal = 0
    origin: Origin | None = None


class TurnStarted(_Event, tag=2, frozen=True, array_like=True, gc=False):
    """The clock of all that follows, until the next one. The code begins at the first that is not before its start time.

    Attributes:
        python: Minor version of Python and logic version of the kernel, such as ``3.11/1``, where they differ from the turn before.
    """

    at_us: Microseconds
    python: str = ""


class ExecutionSuspended(_Event, tag=3, frozen=True, array_like=True, gc=False):
    """From here on inputs are recorded and not shown to the code."""

    reason: str | None = None


class ExecutionResumed(_Event, tag=4, frozen=True, array_like=True, gc=False):
    """The inputs recorded since the suspension are shown to the code now, in order."""

    reason: str | None = None


class ExecutionTerminated(_Event, tag=5, frozen=True, array_like=True, gc=False):
    """Ended from outside; the code is not asked."""

    output: bytes | None = None
    recursive: bool = True


class ExecutionCompleted(_Event, tag=6, frozen=True, array_like=True, gc=False):
    """The code returned."""

    result: bytes | None


class ExecutionFailed(_Event, tag=7, frozen=True, array_like=True, gc=False):
    """The code raised."""

    failure: FailureDetails


class ExecutionContinuedAsNew(_Event, tag=8, frozen=True, array_like=True, gc=False):
    """The code asked for a fresh execution; the next history begins with this input."""

    input: bytes | None
    version: str | None
    keep_events: bool = True


class ExecutionRewound(_Event, tag=9, frozen=True, array_like=True, gc=False):
    """A failed execution goes on; its failed operations were taken out of the history above.

    Attributes:
        reason: For the record.
        request_id: Of the request that asked for it: whose answer is lost finds here that it was done.
    """

    reason: str | None = None
    request_id: str | None = None


# -- activities


class ActivityScheduled(_Event, tag=10, frozen=True, array_like=True, gc=False):
    """Command: run an activity."""

    seq: Ordinal
    name: str
    input: bytes


class ActivityCompleted(_Event, tag=11, frozen=True, array_like=True, gc=False):
    """Input: the activity returned."""

    seq: Ordinal
    result: bytes | None


class ActivityFailed(_Event, tag=12, frozen=True, array_like=True, gc=False):
    """Input: an attempt failed.

    Attributes:
        retry_at_us: When the next attempt is due, or ``None`` if this failure is final. Decided once, when it was recorded.
    """

    seq: Ordinal
    attempt: Attempt
    failure: FailureDetails
    retry_at_us: Microseconds | None = None


class ActivityRetried(_Event, tag=13, frozen=True, array_like=True, gc=False):
    """Input: the next attempt became due."""

    seq: Ordinal
    attempt: Attempt


class ActivityHeartbeat(_Event, tag=14, frozen=True, array_like=True, gc=False):
    """Input: progress that the next attempt can go on from; not shown to the orchestrator."""

    seq: Ordinal
    details: bytes | None


class ActivityCancelRequested(_Event, tag=15, frozen=True, array_like=True, gc=False):
    """Command: stop the activity; the code no longer waits for it."""

    seq: Ordinal


# -- timers


class TimerCreated(_Event, tag=20, frozen=True, array_like=True, gc=False):
    """Command: wake me at that time."""

    seq: Ordinal
    fire_at_us: Microseconds


class TimerFired(_Event, tag=21, frozen=True, array_like=True, gc=False):
    """Input: the time came."""

    seq: Ordinal


class TimerCancelled(_Event, tag=22, frozen=True, array_like=True, gc=False):
    """Command: never mind."""

    seq: Ordinal


# -- sub-orchestrations


class SubOrchestrationScheduled(_Event, tag=30, frozen=True, array_like=True, gc=False):
    """Command: start a child.

    Attributes:
        reuse: What to do if the id is taken.
    """

    seq: Ordinal
    name: str
    instance_id: str
    version: str | None
    input: bytes | None
    reuse: ReusePolicy = ReusePolicy.REJECT


class SubOrchestrationCompleted(_Event, tag=31, frozen=True, array_like=True, gc=False):
    """Input: the child returned."""

    seq: Ordinal
    result: bytes | None


class SubOrchestrationFailed(_Event, tag=32, frozen=True, array_like=True, gc=False):
    """Input: the child failed, was terminated, or could not be started."""

    seq: Ordinal
    failure: FailureDetails


class SubOrchestrationCancelRequested(_Event, tag=33, frozen=True, array_like=True, gc=False):
    """Command: terminate the child; the code no longer waits for it."""

    seq: Ordinal
    instance_id: str


# -- external events


class EventRaised(_Event, tag=40, frozen=True, array_like=True, gc=False):
    """Input: an external event, recorded when a waiter took it."""

    name: str
    payload: bytes | None


class EventSent(_Event, tag=41, frozen=True, array_like=True, gc=False):
    """Command: raise an event on another instance."""

    seq: Ordinal
    instance_id: str
    name: str
    payload: bytes | None


# -- entities, as an orchestration sees them; ids are those of the store, ``@name@key``


class EntitySignaled(_Event, tag=50, frozen=True, array_like=True, gc=False):
    """Command: let an entity do something; nobody waits for it.

    Attributes:
        due_us: Not before this time; 0 for at once.
    """

    seq: Ordinal
    entity_id: str
    operation: str
    input: bytes | None
    due_us: Microseconds = 0


class EntityCalled(_Event, tag=51, frozen=True, array_like=True, gc=False):
    """Command: let an entity do something, and tell what came out.

    Attributes:
        section: Sequence number of the lock request under which it is made, 0 outside a critical section.
    """

    seq: Ordinal
    entity_id: str
    operation: str
    input: bytes | None
    section: Ordinal = 0


class EntityCallCompleted(_Event, tag=52, frozen=True, array_like=True, gc=False):
    """Input: the operation returned."""

    seq: Ordinal
    result: bytes | None


class EntityCallFailed(_Event, tag=53, frozen=True, array_like=True, gc=False):
    """Input: the operation failed; the entity's state is as before."""

    seq: Ordinal
    failure: FailureDetails


class EntityCallAbandoned(_Event, tag=54, frozen=True, array_like=True, gc=False):
    """Command: the code no longer waits for an operation, which is carried out all the same."""

    seq: Ordinal


class EntityLocksRequested(_Event, tag=55, frozen=True, array_like=True, gc=False):
    """Command: lock these entities, which are in order of their ids, for a critical section.

    Attributes:
        hold_us: How long each may stay locked, in microseconds; 0 for as long as it takes.
    """

    seq: Ordinal
    entity_ids: tuple[str, ...]
    hold_us: Microseconds = 0


class EntityLocked(_Event, tag=56, frozen=True, array_like=True, gc=False):
    """Input: one of the entities of a lock request is locked now. The section begins with the last of them."""

    seq: Ordinal
    entity_id: str


class EntityLocksReleased(_Event, tag=57, frozen=True, array_like=True, gc=False):
    """Command: the critical section is over, or is not wanted any more. Any end of the execution does the same unsaid."""

    seq: Ordinal


# -- letters to entities


class EntityOperation(_Event, tag=60, frozen=True, array_like=True, gc=False):
    """An operation to carry out, once, in the order of arrival.

    Attributes:
        caller: Whose call it is, if it is an orchestration's, to be answered there.
        request_id: Under which the answer is kept for the client that called.
        section: With a caller: the sequence number of its lock request, of a call from within a critical section; else 0.
        due_us: Not before this time; 0 for at once.
        origin: The trace that it belongs to, and when it was asked for, if somebody listened.
    """

    operation: str
    input: bytes | None
    caller: ParentLink | None = None
    request_id: str | None = None
    section: Ordinal = 0
    due_us: Microseconds = 0
    origin: Origin | None = None


class EntityLockRequest(_Event, tag=61, frozen=True, array_like=True, gc=False):
    """Lock the entity when all that arrived before is done, and tell the holder.

    Attributes:
        holder: The lock request of an orchestration.
        hold_us: How long it may stay locked, in microseconds; 0 for as long as it takes.
    """

    holder: ParentLink
    hold_us: Microseconds = 0


class EntityLockRelease(_Event, tag=62, frozen=True, array_like=True, gc=False):
    """Unlock the entity, or forget that it was to be locked. Nothing happens if it is not locked by this holder.

    Attributes:
        is_will: Whether the store sends it for a holder that ended or was parked. One that waits for the lock is told that it has it,
            since it may be put back, and would wait for ever: it learns that it has lost it as others do, who held it.
    """

    holder: ParentLink
    is_will: bool = False


class ParkedOperationsRetried(_Event, tag=63, frozen=True, array_like=True, gc=False):
    """Put the operations that were parked back in line."""


LifecycleEvent: TypeAlias = (
    ExecutionStarted
    | TurnStarted
    | ExecutionSuspended
    | ExecutionResumed
    | ExecutionTerminated
    | ExecutionCompleted
    | ExecutionFailed
    | ExecutionContinuedAsNew
    | ExecutionRewound
)
Input: TypeAlias = (
    ActivityCompleted
    | ActivityFailed
    | ActivityRetried
    | ActivityHeartbeat
    | TimerFired
    | SubOrchestrationCompleted
    | SubOrchestrationFailed
    | EventRaised
    | EntityCallCompleted
    | EntityCallFailed
    | EntityLocked
)
Command: TypeAlias = (
    ActivityScheduled
    | ActivityCancelRequested
    | TimerCreated
    | TimerCancelled
    | SubOrchestrationScheduled
    | SubOrchestrationCancelRequested
    | EventSent
    | EntitySignaled
    | EntityCalled
    | EntityCallAbandoned
    | EntityLocksRequested
    | EntityLocksReleased
)
HistoryEvent: TypeAlias = LifecycleEvent | Input | Command

EntityLetter: TypeAlias = (
    EntityOperation | EntityLockRequest | EntityLockRelease | ParkedOperationsRetried
)
"""What can lie in an entity's mailbox."""

Letter: TypeAlias = (
    ActivityCompleted
    | ActivityFailed
    | ActivityHeartbeat
    | SubOrchestrationCompleted
    | SubOrchestrationFailed
    | EventRaised
    | ExecutionSuspended
    | ExecutionResumed
    | ExecutionTerminated
    | EntityCallCompleted
    | EntityCallFailed
    | EntityLocked
    | EntityLetter
)
"""What can lie in an instance's mailbox: for an orchestration, a fact that its next turns will record."""

COMMANDS: tuple[type[Command], ...] = (
    ActivityScheduled,
    ActivityCancelRequested,
    TimerCreated,
    TimerCancelled,
    SubOrchestrationScheduled,
    SubOrchestrationCancelRequested,
    EventSent,
    EntitySignaled,
    EntityCalled,
    EntityCallAbandoned,
    EntityLocksRequested,
    EntityLocksReleased,
)
