"""Telemetry: override what you want to hear. And the switchboard, which knows for each signal whether anybody does.

Where nobody listens, nothing is made to be told: the engine looks at an attribute, finds ``None``, and goes on.
"""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from durable_async.errors import ConfigurationError, shown

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
    WorkFetched,
)

T = TypeVar("T")

_log = logging.getLogger("durable_async")


class Ongoing:
    """What a listener makes of something that takes time.

    Attributes:
        traceparent: Where what this causes belongs to; empty for nowhere. Of a client's call always asked for, of an entity's operation
            if what asks for it belongs to no trace; an activity's clients look at their own surroundings.
    """

    traceparent: str = ""

    def ended(self, outcome: Outcome) -> None:
        """Take note of its end; in the context in which it began, right after its code."""

    def recorded(self) -> None:
        """Take note that its outcome is durable, after its end. What is lost with its process is never recorded, and begins again elsewhere."""


class Telemetry:
    """Hears what happens in a hub's clients and workers of this process. Each method does nothing, until you override it.

    Whatever is told has happened: what is committed is told after the commit returned, and nothing is told of a replay. Methods are called
    on the event loop, in the middle of the work: be quick, do no I/O, hand over to a thread or a queue. What they raise is
    logged once and changes nothing, and so is what they return that is no `Ongoing`.
    """

    def parts(self) -> Sequence[Telemetry]:
        """Return who listens: itself, or those that it consists of."""
        return (self,)

    # -- what takes time

    def client_call_began(self, call: ClientCall) -> Ongoing | None:
        """A client asks for something; what is returned says which trace that belongs to. It is recorded when the store has it."""

    def activity_began(self, run: ActivityRun) -> Ongoing | None:
        """An attempt of an activity begins. It is recorded when its result is."""

    def operation_began(self, run: OperationRun) -> Ongoing | None:
        """An operation of an entity begins. It is recorded when its effects are."""

    # -- what is durable

    def execution_began(self, began: ExecutionBegan) -> None:
        """The code of an orchestration took its first step."""

    def turn_committed(self, turn: TurnCommitted) -> None:
        """A turn of an orchestration is durable."""

    def execution_ended(self, ended: ExecutionEnded) -> None:
        """An orchestration ended, or continued as new."""

    def instance_parked(self, parked: InstanceParked) -> None:
        """An orchestration or an entity waits for an operator."""

    # -- what a worker does

    def worker_began(self, worker: RunningWorker) -> None:
        """A worker registered."""

    def worker_ended(self, worker: RunningWorker) -> None:
        """It is over; what it held is others'."""

    def batch_committed(self, batch: BatchCommitted) -> None:
        """A commit returned."""

    def work_fetched(self, fetch: WorkFetched) -> None:
        """A worker asked for work."""

    def lease_lost(self, lost: LeaseLost) -> None:
        """A worker was taken over."""

    # -- upkeep

    def hub_counted(self, counted: HubCounted) -> None:
        """Somebody asked what the hub holds."""

    def instances_purged(self, purged: InstancesPurged) -> None:
        """Retention purged a batch."""

    def ticks_missed(self, missed: TicksMissed) -> None:
        """A schedule passes over ticks. It is told before that is durable, so that after the death of a worker it may be told again."""


class Signals:
    """Whom to tell what: a function for each method of `Telemetry`, or ``None`` where nobody listens."""

    def __init__(self, listeners: Sequence[Telemetry]) -> None:
        self.client_call_began: Callable[[ClientCall], Ongoing | None] | None
        self.activity_began: Callable[[ActivityRun], Ongoing | None] | None
        self.operation_began: Callable[[OperationRun], Ongoing | None] | None
        self.execution_began: Callable[[ExecutionBegan], None] | None
        self.turn_committed: Callable[[TurnCommitted], None] | None
        self.execution_ended: Callable[[ExecutionEnded], None] | None
        self.instance_parked: Callable[[InstanceParked], None] | None
        self.worker_began: Callable[[RunningWorker], None] | None
        self.worker_ended: Callable[[RunningWorker], None] | None
        self.batch_committed: Callable[[BatchCommitted], None] | None
        self.work_fetched: Callable[[WorkFetched], None] | None
        self.lease_lost: Callable[[LeaseLost], None] | None
        self.hub_counted: Callable[[HubCounted], None] | None
        self.instances_purged: Callable[[InstancesPurged], None] | None
        self.ticks_missed: Callable[[TicksMissed], None] | None
        for name in SIGNALS:
            begins = name in _ONGOING
            heard = [_guarded(one, name, begins=begins) for one in listeners if _listens(one, name)]
            setattr(self, name, _told(heard, begins=begins) if heard else None)


SIGNALS = tuple(name for name in vars(Telemetry) if not name.startswith("_") and name != "parts")
"""The names of all signals."""
_ONGOING = frozenset({"client_call_began", "activity_began", "operation_began"})


def signals_for(telemetry: Telemetry | Iterable[Telemetry] | None) -> Signals | None:
    """Return whom to tell what; ``None`` if nobody listens.

    Raises:
        ConfigurationError: Something else than listeners was given.
    """
    if telemetry is None:
        return None
    listeners = [telemetry] if isinstance(telemetry, Telemetry) else list(telemetry)
    for one in listeners:
        if not isinstance(one, Telemetry):
            raise ConfigurationError(f"telemetry must be a Telemetry, not {shown(one)}")
    parts = [part for one in listeners for part in one.parts()]
    return Signals(parts) if parts else None


def _listens(one: Telemetry, name: str) -> bool:
    return getattr(type(one), name) is not getattr(Telemetry, name)


def _told(heard: list[Callable[[Any], Any]], *, begins: bool) -> Callable[[Any], Any]:
    if begins:
        return lambda value: _together([one(value) for one in heard])
    if len(heard) == 1:
        return heard[0]

    def tell(value: Any) -> None:
        for one in heard:
            one(value)

    return tell


def _together(begun: list[Ongoing | None]) -> Ongoing | None:
    ongoing = [one for one in begun if one is not None]
    return _Several(ongoing) if ongoing else None


class _Several(Ongoing):
    """What all listeners made of one thing, ended in the opposite order: each may have put something into the context."""

    def __init__(self, ongoing: list[Ongoing]) -> None:
        self._ongoing = ongoing
        headers = (_tried(one, "traceparent", _header, one) for one in ongoing)
        self.traceparent = next(filter(None, headers), "")

    def ended(self, outcome: Outcome) -> None:
        for one in reversed(self._ongoing):
            _tried(one, "ended", one.ended, outcome)

    def recorded(self) -> None:
        for one in self._ongoing:
            _tried(one, "recorded", one.recorded)


def _guarded(one: Telemetry, name: str, *, begins: bool) -> Callable[[Any], Any]:
    """Return a method that cannot do harm. Of one whose result is used, what is no `Ongoing` counts as none."""
    method: Callable[[Any], Any] = getattr(one, name)
    if not begins:
        return functools.partial(_tried, one, name, method)

    def begin(value: Any) -> Ongoing | None:
        return _checked(method(value))

    return functools.partial(_tried, one, name, begin)


def _tried(one: object, name: str, call: Callable[..., T], *args: Any) -> T | None:
    """Let a listener do something; what it raises is logged the first time, and the work goes on."""
    try:
        return call(*args)
    except Exception:  # noqa: BLE001 - it may be anything
        _complain(one, name)
        return None


def _checked(made: Any) -> Ongoing | None:
    if made is None or isinstance(made, Ongoing):
        return made
    if inspect.iscoroutine(made):
        made.close()  # nobody awaits it
    raise TypeError(f"it returned something of type {type(made).__name__}, which is no Ongoing")


def _header(one: Ongoing) -> str:
    """Return where it says that it belongs to."""
    header: Any = one.traceparent
    if isinstance(header, str):
        return header
    raise TypeError(f"it is of type {type(header).__name__}, and no text")


_broken: set[tuple[type[Any], str]] = set()
"""Methods that raised; bounded by the program's code."""


def _complain(one: object, name: str) -> None:
    key = (type(one), name)
    if key not in _broken:
        _broken.add(key)
        _log.exception("%s.%s failed; it is not logged again", type(one).__name__, name)
