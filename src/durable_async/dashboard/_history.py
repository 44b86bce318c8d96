"""A history as rows of a table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from durable_async.failure import FailureDetails
from durable_async.model import history as h
from durable_async.model.moments import instant

from ._slices import Slice

ROWS_MAX = 100

_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
_PAYLOADS = ("input", "result", "payload", "details", "output")
_SUBJECTS = ("name", "operation", "reason")
_TARGETS = ("instance_id", "entity_id")


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Some rows of a history, and which ones they are."""

    rows: list[HistoryRow]
    slice: Slice


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """An event.

    Attributes:
        number: Its place in the history, from 0.
        at: When the turn began that wrote it; ``None`` before the first.
        label: What happened, such as ``Activity scheduled``.
        tone: Its class in the style sheet: ``failed``, ``done``, or nothing.
        seq: The number of the operation that it is about, or ``None``.
        subject: The name of what it is about.
        target: The instance or entity that it is about.
        payload: The value that it carries, or ``None``.
        failure: Why something failed, or ``None``.
    """

    number: int
    at: datetime | None
    label: str
    tone: str
    seq: int | None
    subject: str
    target: str
    payload: bytes | None
    failure: FailureDetails | None


def page_of(events: Sequence[h.HistoryEvent], wanted: int) -> HistoryPage:
    """Return the rows from one on. When turns began is not a row of its own: it is the time of those that follow."""
    count = sum(not isinstance(event, h.TurnStarted) for event in events)
    part = Slice.at(wanted, count, ROWS_MAX)
    return HistoryPage(_rows(events, part), part)


def _rows(events: Sequence[h.HistoryEvent], part: Slice) -> list[HistoryRow]:
    """Return the rows of a slice, without making all others."""
    names: dict[int, str] = {}
    at: datetime | None = None
    rows: list[HistoryRow] = []
    place = 0
    for number, event in enumerate(events):
        if isinstance(event, h.TurnStarted):
            at = instant(event.at_us)
            continue
        seq: int | None = getattr(event, "seq", None)
        if seq is not None and seq not in names:
            names[seq] = _first(event, _SUBJECTS)
        if place >= part.first:
            rows.append(_row(number, at, event, seq, names))
        place += 1
        if place == part.end:
            break
    return rows


def payload_of(event: h.HistoryEvent) -> bytes | None:
    """Return the value that an event carries."""
    return next((data for name in _PAYLOADS if (data := getattr(event, name, None))), None)


def _row(
    number: int,
    at: datetime | None,
    event: h.HistoryEvent,
    seq: int | None,
    names: dict[int, str],
) -> HistoryRow:
    subject = _first(event, _SUBJECTS) if seq is None else names[seq]
    return HistoryRow(
        number=number,
        at=at,
        label=_HUMP.sub(" ", type(event).__name__).capitalize(),
        tone=_tone(event),
        seq=seq,
        subject=subject + _more(event),
        target=_first(event, _TARGETS) or ", ".join(getattr(event, "entity_ids", ())),
        payload=payload_of(event),
        failure=getattr(event, "failure", None),
    )


def _first(event: h.HistoryEvent, names: Sequence[str]) -> str:
    return next((text for name in names if (text := getattr(event, name, None))), "")


def _more(event: h.HistoryEvent) -> str:
    match event:
        case h.ActivityRetried() | h.ActivityFailed():
            return f", attempt {event.attempt}"
        case h.TimerCreated():
            return f"until {instant(event.fire_at_us):%Y-%m-%d %H:%M:%S}"
        case _:
            return ""


def _tone(event: h.HistoryEvent) -> str:
    name = type(event).__name__
    if name.endswith("Failed"):
        return "failed"
    return "done" if name.endswith(("Completed", "Fired")) else ""
