"""Tables for the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import msgspec
from rich.table import Table
from rich.text import Text

from durable_async import (
    DurableError,
    EntityLocks,
    EntityState,
    FailureDetails,
    HubStatistics,
    OrchestrationState,
    Status,
)
from durable_async.model import history as h
from durable_async.model.moments import instant

PAYLOAD_CHARACTERS = 120

COLOURS = {
    Status.PENDING: "yellow",
    Status.RUNNING: "cyan",
    Status.SUSPENDED: "yellow",
    Status.COMPLETED: "green",
    Status.FAILED: "red",
    Status.TERMINATED: "magenta",
}


def instances(states: list[OrchestrationState]) -> Table:
    """Return a table with a row for each instance."""
    table = _table("instance", "orchestrator", "status", "created (UTC)", "seconds", "remarks")
    table.columns[0].no_wrap = True  # it is there to be copied, so it is not cut either
    table.columns[0].min_width = max(len(state.instance_id) for state in states)
    for state in states:
        table.add_row(
            Text(state.instance_id),
            Text(state.name),
            _status(state),
            _time(state.created_at),
            _seconds(state),
            Text("" if state.parked is None else _cut(f"parked: {state.parked}")),
        )
    return table


def entities(states: list[EntityState[Any]]) -> Table:
    """Return a table with a row for each entity."""
    table = _table("entity", "state", "waiting", "changed (UTC)", "remarks")
    table.columns[0].no_wrap = True
    table.columns[0].min_width = max(len(str(state.entity_id)) for state in states)
    table.columns[2].justify = "right"
    for one in states:
        entity, changed = Text(str(one.entity_id)), _time(one.updated_at)
        try:
            shown = Text(_cut(repr(one.state))) if one.has_state else Text("")
            table.add_row(entity, shown, f"{one.backlog:,}", changed, Text(_remarks(one)))
        except DurableError as error:
            table.add_row(entity, Text(str(error), style="bold red"), "", changed, "")
    return table


def _remarks(one: EntityState[Any]) -> str:
    remarks = []
    if one.locked_by is not None:
        remarks.append(f"locked by {one.locked_by.instance_id}")
    if one.parked_operations:
        remarks.append(f"{len(one.parked_operations)} parked operations")
    if one.parked is not None:
        remarks.append(f"parked: {one.parked}")
    return ", ".join(remarks)


def entity(one: EntityState[Any], locks: EntityLocks) -> Table:
    """Return a grid of what is known of an entity."""
    grid = _grid()
    grid.add_row("entity", Text(str(one.entity_id)))
    grid.add_row("state", _value(lambda: one.state) or Text("None") if one.has_state else "none")
    grid.add_row("created", f"{_time(one.created_at)} UTC")
    grid.add_row("changed", f"{_time(one.updated_at)} UTC")
    grid.add_row("waiting", f"{one.backlog:,} letters, the requests for its lock among them")
    if (holder := locks.held_by) is not None:
        until = "" if holder.until is None else f", until {_time(holder.until)} UTC at most"
        since = f"since {_time(holder.since)} UTC{until}"
        grid.add_row("locked by", Text(f"{holder.instance_id}, {since}"))
    for place, waiter in enumerate(locks.waiting, 1):
        grid.add_row(f"{place}. in line", Text(waiter.instance_id))
    for parked in one.parked_operations:
        what = f"{parked.operation}, {_time(parked.at)} UTC: {parked.reason}"
        grid.add_row("parked operation", Text(what))
    if one.parked is not None:
        grid.add_row("parked", Text(one.parked))
    grid.add_row("worker", Text(one.owner or "none has it in memory"))
    return grid


def _value(read: Callable[[], Any]) -> Text | None:
    """Return a value as text, or why it cannot be read; nothing for ``None``."""
    try:
        value = read()
    except DurableError as error:
        return Text(str(error), style="bold red")
    return None if value is None else Text(_cut(repr(value)))


def _grid() -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    return grid


def state(one: OrchestrationState) -> Table:
    """Return a grid of what is known of an instance."""
    grid = _grid()
    grid.add_row("instance", Text(one.instance_id))
    grid.add_row(
        "orchestrator", Text(one.name if one.version is None else f"{one.name} {one.version}")
    )
    grid.add_row("status", _status(one))
    grid.add_row("created", f"{_time(one.created_at)} UTC")
    if one.completed_at is not None:
        grid.add_row("ended", f"{_time(one.completed_at)} UTC, after {_seconds(one)} s")
    if one.parent_instance_id is not None:
        grid.add_row("parent", Text(one.parent_instance_id))
    for label, read in (("custom status", one.custom_status), ("output", one.output)):
        value = _value(read)
        if value is not None:
            grid.add_row(label, value)
    if one.failure is not None:
        grid.add_row("failure", Text(_failure(one.failure)))
    if one.parked is not None:
        grid.add_row("parked", Text(one.parked))
    return grid


def statistics(counts: HubStatistics) -> Table:
    """Return a table of counts."""
    table = _table("what", "count")
    for status in Status:
        table.add_row(
            Text(status.value, style=COLOURS[status]), f"{counts.by_status.get(status, 0):,}"
        )
    for label, count in (
        ("entities", counts.entities),
        ("parked", counts.parked),
        ("workers", counts.workers),
        ("letters in mailboxes", counts.letters),
        ("queued activities", counts.queued_activities),
    ):
        table.add_row(label, f"{count:,}")
    table.columns[1].justify = "right"
    return table


def history(events: list[h.HistoryEvent]) -> Table:
    """Return a history as a timeline: seconds since the first turn, event, what it is about."""
    table = _table("seconds", "event", "about")
    table.columns[0].justify = "right"
    table.columns[2].overflow = "fold"
    for seconds, event, about in timeline(events):
        style = "dim" if isinstance(event, h.TurnStarted) else ""
        shown = "" if seconds is None else f"{seconds:.3f}"
        table.add_row(shown, type(event).__name__, Text(about), style=style)
    return table


def timeline(events: list[h.HistoryEvent]) -> Iterator[tuple[float | None, h.HistoryEvent, str]]:
    """Yield the seconds since the first turn where a turn begins, the event, and what it is about."""
    names: dict[int, str] = {}
    begin_us: int | None = None
    for event in events:
        seconds = None
        if isinstance(event, h.TurnStarted):
            begin_us = event.at_us if begin_us is None else begin_us
            seconds = (event.at_us - begin_us) / 1e6
        yield seconds, event, _about(event, names)


def _about(event: h.HistoryEvent, names: dict[int, str]) -> str:
    match event:
        case h.ActivityScheduled() | h.SubOrchestrationScheduled():
            names[event.seq] = event.name
            return f"#{event.seq} {event.name} {_payload(event.input)}"
        case h.ActivityCompleted() | h.SubOrchestrationCompleted():
            return f"#{event.seq} {names.get(event.seq, '')} {_payload(event.result)}"
        case h.ActivityFailed() | h.SubOrchestrationFailed():
            return f"#{event.seq} {names.get(event.seq, '')} {_failure(event.failure)}"
        case h.ActivityCancelRequested() | h.SubOrchestrationCancelRequested():
            return f"#{event.seq} {names.get(event.seq, '')}"
        case h.TimerCreated():
            return f"#{event.seq} until {_time(instant(event.fire_at_us))}"
        case h.TimerFired() | h.TimerCancelled():
            return f"#{event.seq}"
        case _:
            return _about_messages(event)


def _about_messages(event: h.HistoryEvent) -> str:
    match event:
        case h.ExecutionStarted():
            return f"{event.name} {_payload(event.input)}"
        case h.ExecutionCompleted():
            return _payload(event.result)
        case h.ExecutionFailed():
            return _failure(event.failure)
        case h.EventRaised():
            return f"{event.name} {_payload(event.payload)}"
        case h.EventSent():
            return f"#{event.seq} {event.name} to {event.instance_id} {_payload(event.payload)}"
        case h.ActivityRetried():
            return f"#{event.seq} attempt {event.attempt}"
        case _:
            return _about_entities(event)


def _about_entities(event: h.HistoryEvent) -> str:
    match event:
        case h.EntitySignaled() | h.EntityCalled():
            return f"#{event.seq} {event.operation} on {event.entity_id} {_payload(event.input)}"
        case h.EntityCallCompleted():
            return f"#{event.seq} {_payload(event.result)}"
        case h.EntityCallFailed():
            return f"#{event.seq} {_failure(event.failure)}"
        case h.EntityLocksRequested():
            return f"#{event.seq} {', '.join(event.entity_ids)}"
        case h.EntityLocked():
            return f"#{event.seq} {event.entity_id}"
        case h.EntityCallAbandoned() | h.EntityLocksReleased():
            return f"#{event.seq}"
        case _:
            return ""


def _failure(failure: FailureDetails) -> str:
    text = f"{failure.error_type}: {failure.message}"
    if not failure.properties:
        return text
    return f"{text} {_payload(msgspec.json.encode(failure.properties))}"


def _table(*columns: str) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column)
    return table


def _status(state: OrchestrationState) -> Text:
    text = Text(state.status.value, style=COLOURS[state.status])
    if state.parked is not None:
        text.append(", parked", style="bold red")
    return text


def _time(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S")


def _seconds(state: OrchestrationState) -> str:
    if state.completed_at is None:
        return ""
    return f"{(state.completed_at - state.created_at).total_seconds():,.3f}"


def _payload(data: bytes | None) -> str:
    return "" if data is None else _cut(data.decode("utf-8", "replace"))


def _cut(text: str) -> str:
    return text if len(text) <= PAYLOAD_CHARACTERS else text[: PAYLOAD_CHARACTERS - 1] + "…"
