"""What can be set about a worker, with the defaults."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypedDict

from durable_async.errors import ConfigurationError, shown

SECONDS_LIMIT = 10 * 365 * 86_400.0
COUNT_LIMIT = 2**31
_MAY_BE_ENDLESS = "unregistered_grace_seconds"

SLICE_SECONDS = 0.002
"""Longest time for which the worker holds the event loop, about. It is no setting: nobody would know a better one."""


class Divergence(Enum):
    """What becomes of an orchestration whose code does something else than its history says."""

    PARK = "park"
    """It is tried again some times, and then parked until somebody puts it back, as after a deployment that is undone."""
    FAIL = "fail"
    """It fails with a ``NonDeterminismError``; a rewind with code that fits lets it go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """Bounds and times of one worker.

    Attributes:
        instances_max: Instances owned at a time, kept warm between their turns; the least recently used idle one goes first.
        history_bytes_max: Bytes of history of all warm instances together, about what they need in memory.
        activities_max: Attempts running at a time; further ones wait in order.
        backlog_max: Attempts waiting at a time; further ones go to the hub's queue, for any worker.
        threads_max: ``def`` activities running at a time, and as many ``def`` operations of entities.
        operations_max: Entities at a time in the midst of an operation that waits, or runs in a thread; further ones wait in order.
        claim_batch: Instances claimed in one round trip; of queued activities, four times as many.
        turns_ahead: While so many instances wait for a turn here, hardly any more is claimed: others may come to it sooner.
        batch_turns_max: Turns in one commit.
        batch_bytes_max: Bytes of events in one commit, about.
        lease_seconds: After this long without a renewal others take over.
        heartbeat_seconds: Between renewals.
        stall_seconds_max: How long the event loop may be blocked, as by an activity that computes, before the worker lets its lease run out.
        sweep_seconds: Between looks for dead workers; longer in a hub in which nothing has happened for a minute.
        poll_seconds: Longest time between looks for work when nothing is heard; longer in a hub in which nothing has happened for a minute.
            Where nothing can be heard it begins at a fiftieth of that, and ends at a fourth.
        attempts_max: Attempts at an instance in a row that did not come through, after which it is parked; at a queued activity, after which it fails.
        instance_events_max: Events in the history of one orchestration, beyond which it is parked; from a fifth of it on, a warning.
        instance_bytes_max: The same of its bytes.
        turn_calls_max: Durable calls that one turn may begin: activities, timers, sub-orchestrations, events, calls and signals of entities.
        turn_seconds_max: Longest that one turn's code may block the event loop, before it is interrupted.
        unregistered_grace_seconds: How long an activity that nobody here registers waits for another worker, before it fails; longer than
            the workers that register it are ever away, as during a deployment; ``math.inf`` for ever, and without a warning.
        divergence: What becomes of orchestrations whose code does not fit their history.
        shutdown_seconds: How long running activities may go on when the worker stops.
    """

    instances_max: int = 5_000
    history_bytes_max: int = 256 * 1024 * 1024
    activities_max: int = 10_000
    backlog_max: int = 20_000
    threads_max: int = 64
    operations_max: int = 1_000
    claim_batch: int = 50
    turns_ahead: int = 50
    batch_turns_max: int = 500
    batch_bytes_max: int = 4 * 1024 * 1024
    lease_seconds: float = 15.0
    heartbeat_seconds: float = 3.0
    stall_seconds_max: float = 60.0
    sweep_seconds: float = 1.0
    poll_seconds: float = 0.75
    attempts_max: int = 5
    instance_events_max: int = 50_000
    instance_bytes_max: int = 50 * 1024 * 1024
    turn_calls_max: int = 10_000
    turn_seconds_max: float = 5.0
    unregistered_grace_seconds: float = 300.0
    shutdown_seconds: float = 5.0
    divergence: Divergence = Divergence.PARK

    def __post_init__(self) -> None:
        if not isinstance(self.divergence, Divergence):
            raise ConfigurationError(
                f"divergence must be a Divergence, not {shown(self.divergence)}"
            )
        for name in self.__slots__:
            if name != "divergence":
                _check(name, getattr(self, name))
        if self.heartbeat_seconds * 3 > self.lease_seconds:
            raise ConfigurationError(
                f"lease_seconds ({self.lease_seconds:g}) must be three heartbeats or more "
                f"({self.heartbeat_seconds:g} s each)"
            )


class WorkerChanges(TypedDict, total=False):
    """Single `WorkerSettings` by name."""

    instances_max: int
    history_bytes_max: int
    activities_max: int
    backlog_max: int
    threads_max: int
    operations_max: int
    claim_batch: int
    turns_ahead: int
    batch_turns_max: int
    batch_bytes_max: int
    lease_seconds: float
    heartbeat_seconds: float
    stall_seconds_max: float
    sweep_seconds: float
    poll_seconds: float
    attempts_max: int
    instance_events_max: int
    instance_bytes_max: int
    turn_calls_max: int
    turn_seconds_max: float
    unregistered_grace_seconds: float
    shutdown_seconds: float
    divergence: Divergence


def _check(name: str, value: object) -> None:
    """Refuse what is no number, no positive one, or one with which no clock and no store can count."""
    is_time = "seconds" in name
    limit = SECONDS_LIMIT if is_time else COUNT_LIMIT
    if not isinstance(value, (int, float) if is_time else int) or not value > 0:
        kind = "a number" if is_time else "a whole number"
        raise ConfigurationError(f"{name} must be {kind} above 0, not {shown(value)}")
    if value >= limit and name != _MAY_BE_ENDLESS:
        raise ConfigurationError(f"{name} must be below {limit:,.0f}, not {shown(value)}")
