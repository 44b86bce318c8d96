"""What listeners are told: ids, names, sizes and times. Times are microseconds since the epoch on the store's clock, durations are seconds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec


class _Value(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    pass


class Outcome(_Value, frozen=True, kw_only=True, gc=False):
    """How something ended.

    Attributes:
        status: ``cancelled`` if it was stopped, by whoever waited for it or by the end of its process.
        error: The type of what it raised; nothing of its message, which may quote a payload.
        seconds: How long it took.
        acts: What an operation of an entity asked for.
    """

    status: Literal["completed", "failed", "cancelled"]
    seconds: float
    error: str = ""
    acts: tuple[Act, ...] = ()


# -- what takes time, told when it begins


ClientVerb = Literal["start", "raise_event", "signal_entity", "call_entity"]


class ClientCall(_Value, frozen=True, kw_only=True, gc=False):
    """A client asks for something.

    Attributes:
        begun_us: When.
        name: Of the orchestrator, the event or the entity.
        instance_id: Whom it is about; an entity's id is that of the store, ``@name@key``.
        operation: Of an entity; else empty.
    """

    hub: str
    begun_us: int
    verb: ClientVerb
    name: str
    instance_id: str
    operation: str = ""


class ActivityRun(_Value, frozen=True, kw_only=True, gc=False):
    """An attempt of an activity, told in the context in which its code runs.

    Attributes:
        begun_us: When.
        traceparent: The trace that its orchestration was started in; empty for none.
        input_bytes: Size of its arguments.
        was_queued: Whether it came through the hub's queue.
    """

    hub: str
    worker_id: str
    begun_us: int
    instance_id: str
    execution: int
    seq: int
    attempt: int
    name: str
    traceparent: str
    input_bytes: int
    was_queued: bool


class OperationRun(_Value, frozen=True, kw_only=True, gc=False):
    """An operation of an entity, told in the context in which its code runs.

    Attributes:
        begun_us: When.
        instance_id: The entity's, ``@name@key``.
        traceparent: Of the letter that asks for it; empty for none.
        caller: The orchestration that called it; empty for a signal, or a client's call.
    """

    hub: str
    worker_id: str
    begun_us: int
    instance_id: str
    name: str
    operation: str
    traceparent: str
    caller: str
    input_bytes: int


# -- what is durable


class Act(_Value, frozen=True, kw_only=True, gc=False):
    """Something that a turn did or heard, or that an operation of an entity did.

    Attributes:
        kind: ``timer``: one fired; the others say what the code asked for.
        seq: Its number in the execution; among what an operation of an entity did, its place, from 0.
        name: Of the orchestrator, the event or the operation; empty for a timer.
        target: Who is addressed; empty for a timer.
        begun_us: When it was asked for.
        traceparent: Its own place in the trace, which whoever is addressed was told; empty for none.
    """

    kind: Literal["timer", "start", "raise_event", "signal_entity", "call_entity"]
    seq: int
    name: str
    target: str
    begun_us: int
    traceparent: str


class ExecutionBegan(_Value, frozen=True, kw_only=True, gc=False):
    """The code of an execution took its first step.

    Attributes:
        waited_seconds: Since it was started, or since the time that it was to begin at; ``None`` if whoever started it had no listener.
    """

    hub: str
    worker_id: str
    instance_id: str
    name: str
    execution: int
    traceparent: str
    begun_us: int
    waited_seconds: float | None


class TurnCommitted(_Value, frozen=True, kw_only=True, gc=False):
    """A turn of an orchestration is durable; or several, which were committed as one.

    Attributes:
        turn: Its place in the history of the execution.
        begun_us: When the code began to run.
        ended_us: When the commit had returned.
        seconds: How long the code ran.
        events: How many events it recorded.
        event_bytes: Their size.
        acts: What it did and heard, in order.
    """

    hub: str
    worker_id: str
    instance_id: str
    name: str
    execution: int
    turn: int
    traceparent: str
    begun_us: int
    ended_us: int
    seconds: float
    events: int
    event_bytes: int
    acts: tuple[Act, ...]


class ExecutionEnded(_Value, frozen=True, kw_only=True, gc=False):
    """An execution of an orchestration ended, durably.

    Attributes:
        error: The type of its failure; empty if it did not fail.
        begun_us: When its code began; when it ended, if it never did.
        parent_id: The orchestration that it reports to; empty at top level.
    """

    hub: str
    worker_id: str
    instance_id: str
    name: str
    execution: int
    traceparent: str
    status: Literal["completed", "failed", "terminated", "continued_as_new"]
    error: str
    begun_us: int
    ended_us: int
    parent_id: str


class InstanceParked(_Value, frozen=True, kw_only=True, gc=False):
    """An orchestration or an entity was taken out of circulation. The reason is in its row and in the log, for it may quote a payload."""

    hub: str
    worker_id: str
    instance_id: str
    kind: Literal["orchestration", "entity"]


# -- what a worker does


class BatchCommitted(_Value, frozen=True, kw_only=True, gc=False):
    """A commit returned.

    Attributes:
        items: How many turns and other items were in it.
        seconds: From the first attempt to the answer.
    """

    hub: str
    worker_id: str
    items: int
    seconds: float


class WorkFetched(_Value, frozen=True, kw_only=True, gc=False):
    """A fetch returned.

    Attributes:
        instances: How many were claimed.
        activities: How many were claimed from the hub's queue.
        letters: How many it brought for instances that are here.
    """

    hub: str
    worker_id: str
    instances: int
    activities: int
    letters: int
    seconds: float


class LeaseLost(_Value, frozen=True, kw_only=True, gc=False):
    """A worker drops all that it holds: another one took over, or may have."""

    hub: str
    worker_id: str


class WorkerLoad(_Value, frozen=True, kw_only=True, gc=False):
    """What a worker holds at a moment.

    Attributes:
        instances: Owned, warm.
        turns_waiting: Instances in line for a turn.
        activities: Attempts that run.
        activities_waiting: Attempts in line.
        activities_free: How many more could run at once.
        operations: Entities in the midst of an operation that takes its time.
        commits_waiting: Items in line for the next commit.
    """

    instances: int
    turns_waiting: int
    activities: int
    activities_waiting: int
    activities_free: int
    operations: int
    commits_waiting: int


class RunningWorker(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A worker that registered; it is told once more when it is over.

    Attributes:
        orchestrators: Names that it registers.
        activities: Names that it registers.
        entities: Names that it registers.
        load: Says what it holds now; may be asked by any thread, until it is over.
    """

    hub: str
    worker_id: str
    orchestrators: frozenset[str]
    activities: frozenset[str]
    entities: frozenset[str]
    load: Callable[[], WorkerLoad]


# -- upkeep


class HubCounted(_Value, frozen=True, kw_only=True, gc=False):
    """Somebody asked ``hub.statistics()``: what the whole hub holds, in all processes.

    Attributes:
        by_status: Orchestrations.
        entities: Entities, also those that hold nothing.
        parked: Orchestrations and entities.
    """

    hub: str
    by_status: dict[str, int]
    entities: int
    parked: int
    workers: int
    letters: int
    queued_activities: int


class InstancesPurged(_Value, frozen=True, kw_only=True, gc=False):
    """Retention purged instances that ended long ago."""

    hub: str
    count: int


class TicksMissed(_Value, frozen=True, kw_only=True, gc=False):
    """Ticks of a schedule passed without a run of their own. How many it were in all is what the schedule's state says; this may be told twice."""

    hub: str
    schedule_id: str
    count: int
