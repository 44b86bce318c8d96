"""A history for people: when each event happened, and what it is about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from durable_async import FailureDetails
from durable_async.model import history as h
from durable_async.model.moments import instant

from ._terminal import plain

PAYLOAD_CHARACTERS = 120


class Moment(NamedTuple):
    """An event of a history.

    Attributes:
        seconds: Since the first turn, where a turn begins; otherwise ``None``.
        event: The event.
        about: What it is about; its number, where it has one, leads from a call to what came of it.
    """

    seconds: float | None
    event: h.HistoryEvent
    about: str


class Timeline:
    """Goes through a history: answers have the names of the calls that they answer."""

    def __init__(self) -> None:
        self._names: dict[int, str] = {}
        self._begin_us: int | None = None

    def take(self, event: h.HistoryEvent) -> Moment:
        """Take the next event."""
        seconds = None
        if isinstance(event, h.TurnStarted):
            self._begin_us = event.at_us if self._begin_us is None else self._begin_us
            seconds = (event.at_us - self._begin_us) / 1e6
        if isinstance(event, h.ActivityScheduled | h.SubOrchestrationScheduled):
            self._names[event.seq] = event.name
        return Moment(seconds, event, plain(_about(event, self._names)))


def timeline(events: Iterable[h.HistoryEvent]) -> Iterator[Moment]:
    """Go through a whole history."""
    return map(Timeline().take, events)


def _about(event: h.HistoryEvent, names: dict[int, str]) -> str:
    match event:
        case h.ActivityScheduled():
            return f"#{event.seq} {event.name} {payload(event.input)}"
        case h.SubOrchestrationScheduled():
            return f"#{event.seq} {event.name} {event.instance_id} {payload(event.input)}"
        case h.ActivityCompleted() | h.SubOrchestrationCompleted():
            return f"#{event.seq} {names.get(event.seq, '')} {payload(event.result)}"
        case h.ActivityFailed() | h.SubOrchestrationFailed():
            return f"#{event.seq} {names.get(event.seq, '')} {failed(event.failure)}"
        case h.ActivityCancelRequested() | h.SubOrchestrationCancelRequested():
            return f"#{event.seq} {names.get(event.seq, '')}"
        case h.ActivityRetried():
            return f"#{event.seq} {names.get(event.seq, '')} attempt {event.attempt}"
        case h.ActivityHeartbeat():
            return f"#{event.seq} {names.get(event.seq, '')} {payload(event.details)}"
        case _:
            return _about_timers(event)


def _about_timers(event: h.HistoryEvent) -> str:
    match event:
        case h.TimerCreated():
            return f"#{event.seq} until {clock(event.fire_at_us)}"
        case h.TimerFired() | h.TimerCancelled():
            return f"#{event.seq}"
        case h.EventRaised():
            return f"{event.name} {payload(event.payload)}"
        case h.EventSent():
            return f"#{event.seq} {event.name} to {event.instance_id} {payload(event.payload)}"
        case _:
            return _about_its_life(event)


def _about_its_life(event: h.HistoryEvent) -> str:
    match event:
        case h.ExecutionStarted():
            return f"{event.name} {payload(event.input)}"
        case h.ExecutionCompleted():
            return payload(event.result)
        case h.ExecutionFailed():
            return failed(event.failure)
        case h.ExecutionTerminated():
            return payload(event.output)
        case h.ExecutionContinuedAsNew():
            return payload(event.input)
        case h.ExecutionSuspended() | h.ExecutionResumed() | h.ExecutionRewound():
            return event.reason or ""
        case _:
            return _about_entities(event)


def _about_entities(event: h.HistoryEvent) -> str:
    match event:
        case h.EntitySignaled() | h.EntityCalled():
            return f"#{event.seq} {event.operation} on {event.entity_id} {payload(event.input)}"
        case h.EntityCallCompleted():
            return f"#{event.seq} {payload(event.result)}"
        case h.EntityCallFailed():
            return f"#{event.seq} {failed(event.failure)}"
        case h.EntityLocksRequested():
            return f"#{event.seq} {', '.join(event.entity_ids)}"
        case h.EntityLocked():
            return f"#{event.seq} {event.entity_id}"
        case h.EntityCallAbandoned() | h.EntityLocksReleased():
            return f"#{event.seq}"
        case _:
            return ""


def failed(failure: FailureDetails) -> str:
    """Return a failure as one line."""
    text = f"{failure.error_type}: {failure.message}"
    if not failure.properties:
        return text
    return f"{text} {payload(msgspec.json.encode(failure.properties))}"


def payload(data: bytes | None) -> str:
    """Return a payload, cut to what fits in a line."""
    return "" if data is None else cut(data.decode("utf-8", "replace"))


def cut(text: str) -> str:
    """Return a text, cut to what fits in a line."""
    return text if len(text) <= PAYLOAD_CHARACTERS else text[: PAYLOAD_CHARACTERS - 1] + "…"


def clock(at_us: int) -> str:
    """Return a moment as tables have it, UTC."""
    return instant(at_us).strftime("%Y-%m-%d %H:%M:%S")
