"""Metering: signals as numbers. Which metrics there are is one table, which exporters and the documentation read.

A label never takes a value that a caller makes up: names are those that workers of this process register, all others count as ``other``.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

from ._listening import Ongoing, Telemetry
from ._values import (
    ActivityRun,
    BatchCommitted,
    ClientCall,
    ExecutionBegan,
    ExecutionEnded,
    HubCounted,
    InstanceParked,
    InstancesPurged,
    LeaseLost,
    OperationRun,
    Outcome,
    RunningWorker,
    TicksMissed,
    TurnCommitted,
    WorkerLoad,
    WorkFetched,
)

OTHER = "other"
SECONDS_BUCKETS = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
    60.0,
    300.0,
    3600.0,
    86_400.0,
)
ITEMS_BUCKETS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0)


class Metric(NamedTuple):
    """One metric.

    Attributes:
        name: Its parts with dots; exporters make of it what is usual with them.
        kind: ``total`` only grows; ``histogram`` counts observations by size; ``gauge`` is what is now.
        unit: ``seconds``, or nothing for what is counted.
        labels: What it is told apart by.
        meaning: One sentence.
    """

    name: str
    kind: Literal["total", "histogram", "gauge"]
    unit: Literal["", "seconds"]
    labels: tuple[str, ...]
    meaning: str

    @property
    def buckets(self) -> tuple[float, ...]:
        """Of a histogram: the sizes up to which observations are counted together."""
        return SECONDS_BUCKETS if self.unit == "seconds" else ITEMS_BUCKETS


CLIENT_CALLS = Metric(
    "client.calls",
    "histogram",
    "seconds",
    ("hub", "verb", "outcome"),
    "Calls of the client, until the store has answered; those of entities, until the entity has.",
)
ORCHESTRATIONS_STARTED = Metric(
    "orchestrations.started",
    "total",
    "",
    ("hub", "name"),
    "Executions whose code began here; each one that continues as new is followed by another.",
)
ORCHESTRATIONS_ENDED = Metric(
    "orchestrations.ended",
    "total",
    "",
    ("hub", "name", "status"),
    "Executions that ended here: completed, failed, terminated, or continued as new.",
)
ORCHESTRATION_SECONDS = Metric(
    "orchestration.duration",
    "histogram",
    "seconds",
    ("hub", "name", "status"),
    "From an execution's first step to its end.",
)
START_DELAY = Metric(
    "orchestration.start.delay",
    "histogram",
    "seconds",
    ("hub", "name"),
    "From the start, or the time that it was to begin at, to the first step.",
)
TURN_SECONDS = Metric(
    "turn.duration",
    "histogram",
    "seconds",
    ("hub", "name"),
    "How long the code of an orchestration held the event loop in a turn.",
)
TIMERS_FIRED = Metric("timers.fired", "total", "", ("hub",), "Durable timers that fired.")
ACTIVITY_ATTEMPTS = Metric(
    "activity.attempts",
    "total",
    "",
    ("hub", "name", "outcome"),
    "Attempts of activities that ended here: completed, failed or cancelled.",
)
ACTIVITY_SECONDS = Metric(
    "activity.duration",
    "histogram",
    "seconds",
    ("hub", "name", "outcome"),
    "How long an attempt of an activity ran.",
)
OPERATION_SECONDS = Metric(
    "entity.operation.duration",
    "histogram",
    "seconds",
    ("hub", "name", "outcome"),
    "How long an operation of an entity ran.",
)
INSTANCES_PARKED = Metric(
    "instances.parked",
    "total",
    "",
    ("hub", "kind"),
    "Orchestrations and entities that were parked here.",
)
COMMIT_SECONDS = Metric(
    "commit.duration",
    "histogram",
    "seconds",
    ("hub",),
    "How long a commit took, repetitions included.",
)
COMMIT_ITEMS = Metric(
    "commit.size", "histogram", "", ("hub",), "How many turns and other items a commit held."
)
FETCH_SECONDS = Metric(
    "fetch.duration",
    "histogram",
    "seconds",
    ("hub",),
    "How long a worker's question for work took.",
)
WORK_CLAIMED = Metric(
    "work.claimed",
    "total",
    "",
    ("hub", "kind"),
    "Instances and queued activities that were claimed here, and letters that were brought.",
)
LEASES_LOST = Metric(
    "leases.lost", "total", "", ("hub",), "Workers of this process that were taken over."
)
INSTANCES_PURGED = Metric(
    "instances.purged", "total", "", ("hub",), "Instances that retention purged."
)
TICKS_MISSED = Metric(
    "schedule.ticks.missed",
    "total",
    "",
    ("hub",),
    "Ticks of schedules that had no run of their own.",
)
WORKERS = Metric("workers", "gauge", "", ("hub",), "Workers that run in this process.")
OWNED = Metric("worker.instances", "gauge", "", ("hub",), "Instances that they own, warm.")
TURNS_WAITING = Metric(
    "worker.turns.waiting", "gauge", "", ("hub",), "Instances in line for a turn."
)
ACTIVITIES_RUNNING = Metric(
    "worker.activities", "gauge", "", ("hub",), "Attempts of activities that run."
)
ACTIVITIES_WAITING = Metric(
    "worker.activities.waiting", "gauge", "", ("hub",), "Attempts of activities in line."
)
ACTIVITIES_FREE = Metric(
    "worker.activities.free", "gauge", "", ("hub",), "How many more activities could run at once."
)
OPERATIONS_RUNNING = Metric(
    "worker.operations", "gauge", "", ("hub",), "Entities in an operation that takes its time."
)
COMMITS_WAITING = Metric(
    "worker.commits.waiting", "gauge", "", ("hub",), "Items in line for the next commit."
)

HUB_ORCHESTRATIONS = Metric(
    "hub.orchestrations",
    "gauge",
    "",
    ("hub", "status"),
    "Orchestrations of the whole hub, when `hub.statistics()` was last asked here.",
)
HUB_ENTITIES = Metric("hub.entities", "gauge", "", ("hub",), "The same of its entities.")
HUB_PARKED = Metric("hub.parked", "gauge", "", ("hub",), "The same of what is parked.")
HUB_WORKERS = Metric("hub.workers", "gauge", "", ("hub",), "The same of its workers.")
HUB_LETTERS = Metric("hub.letters", "gauge", "", ("hub",), "The same of letters in mailboxes.")
HUB_QUEUED = Metric(
    "hub.activities.queued", "gauge", "", ("hub",), "The same of activities in its queue."
)

METRICS = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
"""All of them, in the order in which they are documented."""


class Metering(Telemetry):
    """Turns signals into numbers; what becomes of these, `add` and `record` say."""

    def __init__(self) -> None:
        self._workers: dict[str, RunningWorker] = {}
        self._counted: dict[str, HubCounted] = {}
        self._lock = threading.Lock()  # gauges are read by other threads
        self._orchestrators: frozenset[str] = frozenset()
        self._activities: frozenset[str] = frozenset()
        self._entities: frozenset[str] = frozenset()

    def add(self, metric: Metric, labels: tuple[str, ...], amount: int = 1) -> None:
        """Count up; ``labels`` are the values of the metric's, in order."""
        raise NotImplementedError

    def record(self, metric: Metric, labels: tuple[str, ...], value: float) -> None:
        """Take an observation."""
        raise NotImplementedError

    def gauges(self) -> Iterator[tuple[Metric, tuple[str, ...], int]]:
        """Go through what is now, from any thread."""
        with self._lock:
            workers = list(self._workers.values())
            counted = list(self._counted.values())
        for hub in dict.fromkeys(worker.hub for worker in workers):
            loads = [worker.load() for worker in workers if worker.hub == hub]
            for metric, value in _sums(loads).items():
                yield metric, (hub,), value
        for one in counted:
            for status, count in one.by_status.items():
                yield HUB_ORCHESTRATIONS, (one.hub, status), count
            for metric, value in _of_hub(one).items():
                yield metric, (one.hub,), value

    # -- what takes time

    def client_call_began(self, call: ClientCall) -> Ongoing | None:
        """Time it."""
        return _Measured(self, (CLIENT_CALLS,), (call.hub, call.verb))

    def activity_began(self, run: ActivityRun) -> Ongoing | None:
        """Time it, and count it when it ends."""
        labels = (run.hub, _bounded(run.name, self._activities))
        return _Measured(self, (ACTIVITY_ATTEMPTS, ACTIVITY_SECONDS), labels)

    def operation_began(self, run: OperationRun) -> Ongoing | None:
        """Time it."""
        return _Measured(self, (OPERATION_SECONDS,), (run.hub, _bounded(run.name, self._entities)))

    # -- what is durable

    def execution_began(self, began: ExecutionBegan) -> None:
        """Count it, and how long it had to wait."""
        labels = (began.hub, _bounded(began.name, self._orchestrators))
        self.add(ORCHESTRATIONS_STARTED, labels)
        if began.waited_seconds is not None:
            self.record(START_DELAY, labels, began.waited_seconds)

    def turn_committed(self, turn: TurnCommitted) -> None:
        """Note how long the code ran, and count timers."""
        labels = (turn.hub, _bounded(turn.name, self._orchestrators))
        self.record(TURN_SECONDS, labels, turn.seconds)
        fired = sum(act.kind == "timer" for act in turn.acts)
        if fired:
            self.add(TIMERS_FIRED, (turn.hub,), fired)

    def execution_ended(self, ended: ExecutionEnded) -> None:
        """Count it, and how long it took."""
        labels = (ended.hub, _bounded(ended.name, self._orchestrators), ended.status)
        self.add(ORCHESTRATIONS_ENDED, labels)
        self.record(ORCHESTRATION_SECONDS, labels, (ended.ended_us - ended.begun_us) / 1e6)

    def instance_parked(self, parked: InstanceParked) -> None:
        """Count it."""
        self.add(INSTANCES_PARKED, (parked.hub, parked.kind))

    # -- what a worker does

    def worker_began(self, worker: RunningWorker) -> None:
        """Take it among those that are asked what they hold, and its names among the labels."""
        with self._lock:
            self._workers[worker.worker_id] = worker
        self._orchestrators |= worker.orchestrators
        self._activities |= worker.activities
        self._entities |= worker.entities

    def worker_ended(self, worker: RunningWorker) -> None:
        """Ask it no more."""
        with self._lock:
            self._workers.pop(worker.worker_id, None)

    def batch_committed(self, batch: BatchCommitted) -> None:
        """Note how long it took, and its size."""
        self.record(COMMIT_SECONDS, (batch.hub,), batch.seconds)
        self.record(COMMIT_ITEMS, (batch.hub,), batch.items)

    def work_fetched(self, fetch: WorkFetched) -> None:
        """Note how long it took, and count what it brought."""
        self.record(FETCH_SECONDS, (fetch.hub,), fetch.seconds)
        claimed: Mapping[str, int] = {
            "instance": fetch.instances,
            "activity": fetch.activities,
            "letter": fetch.letters,
        }
        for kind, count in claimed.items():
            if count:
                self.add(WORK_CLAIMED, (fetch.hub, kind), count)

    def lease_lost(self, lost: LeaseLost) -> None:
        """Count it."""
        self.add(LEASES_LOST, (lost.hub,))

    # -- upkeep

    def hub_counted(self, counted: HubCounted) -> None:
        """Keep it until the next one."""
        with self._lock:
            self._counted[counted.hub] = counted

    def instances_purged(self, purged: InstancesPurged) -> None:
        """Count them."""
        self.add(INSTANCES_PURGED, (purged.hub,), purged.count)

    def ticks_missed(self, missed: TicksMissed) -> None:
        """Count them."""
        self.add(TICKS_MISSED, (missed.hub,), missed.count)


class _Measured(Ongoing):
    """Counts something that ended, by its outcome."""

    def __init__(
        self, metering: Metering, metrics: tuple[Metric, ...], labels: tuple[str, ...]
    ) -> None:
        self._metering = metering
        self._metrics = metrics
        self._labels = labels

    def ended(self, outcome: Outcome) -> None:
        labels = (*self._labels, outcome.status)
        for metric in self._metrics:
            if metric.kind == "total":
                self._metering.add(metric, labels)
            else:
                self._metering.record(metric, labels, outcome.seconds)


def _bounded(name: str, known: frozenset[str]) -> str:
    return name if name in known else OTHER


def _sums(loads: list[WorkerLoad]) -> dict[Metric, int]:
    return {
        WORKERS: len(loads),
        OWNED: sum(one.instances for one in loads),
        TURNS_WAITING: sum(one.turns_waiting for one in loads),
        ACTIVITIES_RUNNING: sum(one.activities for one in loads),
        ACTIVITIES_WAITING: sum(one.activities_waiting for one in loads),
        ACTIVITIES_FREE: sum(one.activities_free for one in loads),
        OPERATIONS_RUNNING: sum(one.operations for one in loads),
        COMMITS_WAITING: sum(one.commits_waiting for one in loads),
    }


def _of_hub(counted: HubCounted) -> dict[Metric, int]:
    return {
        HUB_ENTITIES: counted.entities,
        HUB_PARKED: counted.parked,
        HUB_WORKERS: counted.workers,
        HUB_LETTERS: counted.letters,
        HUB_QUEUED: counted.queued_activities,
    }
