"""A history as lanes: one for each thing that the orchestration began or waited for, from when to when, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

from durable_async.dashboard._times import duration
from durable_async.model import history as h


class Look(Enum):
    """How a stretch of time looks; the value is its class in the style sheet, and what it is called."""

    RUN = "running"
    DONE = "done"
    FAILED = "failed"
    RETRY = "waiting for the next attempt"
    WAIT = "waiting"
    AHEAD = "still to come"
    HELD = "locked"
    DROPPED = "given up"
    SUSPENDED = "suspended"

    @property
    def style(self) -> str:
        """Return its class in the style sheet."""
        return self.name.lower()


@dataclass(slots=True)
class Stretch:
    """Some time in which a lane looked the same.

    Attributes:
        begin_us: From when.
        end_us: To when.
        look: How.
        attempt: Which attempt of an activity it was; 0 for what has none.
    """

    begin_us: int
    end_us: int
    look: Look
    attempt: int = 0


@dataclass(slots=True)
class Lane:
    """One thing that the orchestration began or waited for.

    Attributes:
        kind: What it is.
        label: Its name.
        target: The instance or entity that it is about, or nothing.
        stretches: What happened, in order.
        moments_us: When something happened that takes no time.
        is_open: Whether it still goes on.
        until_us: When it ends at the latest, if that is known.
        missing: How many locks are not granted yet.
    """

    kind: str
    label: str
    target: str = ""
    stretches: list[Stretch] = field(default_factory=list)
    moments_us: list[int] = field(default_factory=list)
    is_open: bool = True
    until_us: int = 0
    missing: int = 0

    def begin(self, at_us: int, look: Look, attempt: int = 0) -> None:
        """Let it look so from now on."""
        self.stretches.append(Stretch(at_us, at_us, look, attempt))

    def turn(self, at_us: int, look: Look | None = None) -> None:
        """End what is going on, and say what it was."""
        last = self.stretches[-1]
        last.end_us = max(at_us, last.begin_us)
        last.look = last.look if look is None else look

    def close(self, at_us: int, look: Look) -> None:
        """End all of it."""
        if self.is_open:
            self.turn(at_us, look)
            self.is_open = False


@dataclass(slots=True)
class Lanes:
    """All lanes of one execution.

    Attributes:
        whole: The orchestration itself.
        lanes: The others, in the order in which they began.
        suspended: When it was suspended.
    """

    whole: Lane
    lanes: list[Lane]
    suspended: list[Stretch]


DONE = (
    h.ActivityCompleted,
    h.TimerFired,
    h.SubOrchestrationCompleted,
    h.EntityCallCompleted,
    h.EntityLocksReleased,
)
FAILED = (h.ActivityFailed, h.SubOrchestrationFailed, h.EntityCallFailed)
DROPPED = (
    h.ActivityCancelRequested,
    h.TimerCancelled,
    h.SubOrchestrationCancelRequested,
    h.EntityCallAbandoned,
)
ENDS: dict[type[h.HistoryEvent], Look] = {
    h.ExecutionCompleted: Look.DONE,
    h.ExecutionFailed: Look.FAILED,
    h.ExecutionTerminated: Look.DROPPED,
    h.ExecutionContinuedAsNew: Look.DONE,
}


def lanes_of(
    name: str, created_us: int, events: Iterable[h.HistoryEvent], now_us: int, ended_us: int | None
) -> Lanes:
    """Return the lanes of a history; what goes on ends now.

    Args:
        name: The orchestrator's.
        created_us: When it was started.
        events: Its history.
        now_us: What time it is.
        ended_us: When it ended, or ``None``.
    """
    reader = _Reader(name, created_us)
    for event in events:
        reader.read(event)
    return reader.end(now_us, ended_us)


class _Reader:
    """Goes through a history."""

    def __init__(self, name: str, created_us: int) -> None:
        self._at_us = self._turn_before_us = created_us
        self._whole = Lane("orchestration", name)
        self._whole.begin(created_us, Look.WAIT)
        self._lanes: list[Lane] = []
        self._by_seq: dict[int, Lane] = {}
        self._events: dict[str, Lane] = {}
        self._suspended: list[Stretch] = []

    def read(self, event: h.HistoryEvent) -> None:
        """Take one event into account."""
        match event:
            case h.TurnStarted():
                self._turn(event.at_us)
            case h.ExecutionSuspended():
                self._suspended.append(Stretch(self._at_us, 0, Look.SUSPENDED))
            case h.ExecutionResumed():
                self._resume()
            case h.EventRaised():
                self._raised(event.name)
            case _ if type(event) in ENDS:
                self._whole.close(self._at_us, ENDS[type(event)])
            case _:
                self._operation(event)

    def end(self, now_us: int, ended_us: int | None) -> Lanes:
        """Return all that was found."""
        end_us = now_us if ended_us is None else ended_us
        self._whole.close(max(end_us, self._at_us), Look.RUN)
        for lane in self._lanes:
            if lane.is_open and lane.stretches:
                lane.turn(end_us, None if ended_us is None else Look.DROPPED)
                lane.is_open = ended_us is None
                if lane.is_open and lane.until_us > now_us:
                    lane.stretches.append(Stretch(now_us, lane.until_us, Look.AHEAD))
        for stretch in self._suspended:
            stretch.end_us = stretch.end_us or end_us
        return Lanes(self._whole, self._lanes, self._suspended)

    def _turn(self, at_us: int) -> None:
        if self._whole.stretches[-1].look is Look.WAIT:  # it was pending until now
            self._whole.turn(at_us)
            self._whole.begin(at_us, Look.RUN)
        self._turn_before_us, self._at_us = self._at_us, max(at_us, self._at_us)

    def _resume(self) -> None:
        if self._suspended and not self._suspended[-1].end_us:
            self._suspended[-1].end_us = self._at_us

    def _raised(self, name: str) -> None:
        """An event was taken. Since when the code waited is not written down: since the turn before, or longer."""
        lane = self._events.get(name)
        if lane is None:
            lane = self._events[name] = self._add(Lane("event", name, is_open=False))
        lane.stretches.append(Stretch(self._turn_before_us, self._at_us, Look.WAIT))
        lane.moments_us.append(self._at_us)

    def _operation(self, event: h.HistoryEvent) -> None:
        opened = _opened(event)
        if opened is not None:
            self._open(event, opened)
            return
        lane = self._by_seq.get(getattr(event, "seq", -1))
        if lane is None or not lane.is_open:
            return
        match event:
            case h.ActivityFailed(retry_at_us=int(), attempt=attempt):
                lane.turn(self._at_us, Look.FAILED)
                lane.begin(self._at_us, Look.RETRY, attempt)
            case h.ActivityRetried():
                lane.turn(self._at_us)
                lane.begin(self._at_us, Look.RUN, event.attempt)
            case h.ActivityHeartbeat():
                lane.moments_us.append(self._at_us)
            case h.EntityLocked():
                self._locked(lane)
            case _ if isinstance(event, FAILED):
                lane.close(self._at_us, Look.FAILED)
            case _ if isinstance(event, DROPPED):
                lane.close(self._at_us, Look.DROPPED)
            case _ if isinstance(event, DONE):
                held = lane.stretches[-1].look is Look.HELD
                lane.close(self._at_us, Look.HELD if held else Look.DONE)
            case _:
                pass

    def _open(self, event: h.HistoryEvent, lane: Lane) -> None:
        self._add(lane)
        self._by_seq[getattr(event, "seq", -1)] = lane
        if isinstance(event, h.TimerCreated):
            lane.label = f"timer {duration((event.fire_at_us - self._at_us) / 1e6)}"
        if isinstance(event, h.EventSent | h.EntitySignaled):
            lane.moments_us.append(self._at_us)
            lane.is_open = False
        elif isinstance(event, h.TimerCreated | h.EntityLocksRequested):
            lane.begin(self._at_us, Look.WAIT)
        else:
            lane.begin(self._at_us, Look.RUN, 1 if isinstance(event, h.ActivityScheduled) else 0)

    def _locked(self, lane: Lane) -> None:
        lane.missing -= 1
        if not lane.missing:
            lane.turn(self._at_us)
            lane.begin(self._at_us, Look.HELD)

    def _add(self, lane: Lane) -> Lane:
        self._lanes.append(lane)
        return lane


def _opened(event: h.HistoryEvent) -> Lane | None:
    """Return the lane that a command begins."""
    match event:
        case h.ActivityScheduled():
            return Lane("activity", event.name)
        case h.TimerCreated():
            return Lane("timer", "timer", until_us=event.fire_at_us)
        case h.SubOrchestrationScheduled():
            return Lane("child", event.name, event.instance_id)
        case h.EventSent():
            return Lane("event sent", event.name, event.instance_id)
        case h.EntitySignaled():
            return Lane("signal", event.operation, event.entity_id)
        case h.EntityCalled():
            return Lane("call", event.operation, event.entity_id)
        case h.EntityLocksRequested():
            ids = event.entity_ids
            return Lane("lock", ", ".join(ids), missing=len(ids))
        case _:
            return None
