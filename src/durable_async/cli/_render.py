"""Tables for the terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import zip_longest
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from durable_async import (
    DurableError,
    EntityLocks,
    EntityState,
    FailureDetails,
    HubStatistics,
    OrchestrationState,
    Retention,
    Status,
    WorkerState,
)
from durable_async.model import history as h
from durable_async.model.explanation import Explanation, Stand
from durable_async.model.policy import Seconds, seconds_of
from durable_async.schedules import ScheduleSpec, ScheduleState

from ._events import Moment, clock, cut, failed, payload, timeline
from ._findings import Finding, Level
from ._terminal import words, words_of_lines

STANDS_MAX = 20

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
    table = _table("id", "orchestrator", "status", "created (UTC)", "seconds", "remarks")
    table.columns[0].no_wrap = True
    table.columns[5].overflow = "fold"
    for state in states:
        table.add_row(
            words(state.instance_id),
            words(state.name),
            _status(state),
            _time(state.created_at),
            _seconds(state),
            words("" if state.parked is None else cut(f"parked: {state.parked}")),
        )
    return table


def entities(states: list[EntityState[Any]]) -> Table:
    """Return a table with a row for each entity."""
    table = _table("id", "state", "waiting", "changed (UTC)", "remarks")
    table.columns[0].no_wrap = True
    table.columns[1].overflow = table.columns[4].overflow = "fold"
    table.columns[2].justify = "right"
    for one in states:
        entity, changed = words(str(one.entity_id)), _time(one.updated_at)
        try:
            shown = words(cut(_json(one.state))) if one.has_state else Text("")
            table.add_row(entity, shown, f"{one.backlog:,}", changed, words(_remarks(one)))
        except DurableError as error:
            table.add_row(entity, words(str(error), "bold red"), "", changed, "")
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


def entity(
    one: EntityState[Any], locks: EntityLocks, operations: Sequence[h.EntityOperation] = ()
) -> Table:
    """Return a grid of what is known of an entity."""
    grid = _grid()
    grid.add_row("id", words(str(one.entity_id)))
    grid.add_row("state", _value(lambda: one.state) or Text("null") if one.has_state else "none")
    grid.add_row("created", f"{_time(one.created_at)} UTC")
    grid.add_row("changed", f"{_time(one.updated_at)} UTC")
    grid.add_row("waiting", _backlog(one.backlog))
    if (holder := locks.held_by) is not None:
        until = "" if holder.until is None else f", until {_time(holder.until)} UTC at most"
        since = f"since {_time(holder.since)} UTC{until}"
        grid.add_row("locked by", words(f"{holder.instance_id}, {since}"))
    for place, waiter in enumerate(locks.waiting, 1):
        grid.add_row(f"{place}. in line", words(waiter.instance_id))
    for waits in operations:
        due = f" not before {clock(waits.due_us)} UTC" if waits.due_us else ""
        grid.add_row("in its mailbox", words(f"{waits.operation} {payload(waits.input)}{due}"))
    for parked in one.parked_operations:
        what = f"{parked.operation}, {_time(parked.at)} UTC: {parked.reason}"
        grid.add_row("parked operation", words(what))
    if one.parked is not None:
        grid.add_row("parked", words(one.parked))
    grid.add_row("worker", Text(one.owner or "none has it in memory"))
    return grid


def _backlog(letters: int) -> str:
    if letters == 0:
        return "nothing"
    noun = "letter" if letters == 1 else "letters"
    return f"{letters:,} {noun}, requests for its lock among them"


def _value(read: Callable[[], Any]) -> Text | None:
    """Return a value as JSON, or why it cannot be read; nothing for ``None``."""
    try:
        value = read()
    except DurableError as error:
        return words(str(error), "bold red")
    return None if value is None else words(cut(_json(value)))


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _grid() -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    return grid


def state(one: OrchestrationState) -> Table:
    """Return a grid of what is known of an instance."""
    grid = _grid()
    grid.add_row("id", words(one.instance_id))
    grid.add_row(
        "orchestrator", words(one.name if one.version is None else f"{one.name} {one.version}")
    )
    grid.add_row("status", _status(one))
    grid.add_row("created", f"{_time(one.created_at)} UTC")
    if one.completed_at is not None:
        grid.add_row("ended", f"{_time(one.completed_at)} UTC, after {_seconds(one)} s")
    if one.parent_instance_id is not None:
        grid.add_row("parent", words(one.parent_instance_id))
    if one.trace_id is not None:
        grid.add_row("trace", words(one.trace_id))
    for label, read in (("custom status", one.custom_status), ("output", one.output)):
        value = _value(read)
        if value is not None:
            grid.add_row(label, value)
    if one.failure is not None:
        grid.add_row("failure", words(failed(one.failure)))
    if one.parked is not None:
        grid.add_row("parked", words(one.parked))
    return grid


def trace(failure: FailureDetails) -> Group:
    """Return where a failure was raised, and where what caused it was."""
    shown: list[RenderableType] = [Text()]
    for place, one in enumerate(failure.chain):
        shown.append(words(f"{'caused by ' if place else ''}{failed(one)}", "bold red"))
        shown.append(words_of_lines(one.stack_trace.rstrip("\n")))
    return Group(*shown)


def explanation(one: Explanation) -> Group:
    """Return what an orchestration waits for, in sentences, and where its code stands."""
    grid = _grid()
    grid.add_row("id", words(one.instance_id))
    name = one.name if one.version is None else f"{one.name} {one.version}"
    grid.add_row("orchestrator", words(name))
    status = Text(one.status.value, style=COLOURS[one.status])
    if one.moved_at is not None:
        status.append(f", last turn {_time(one.moved_at)} UTC")
    grid.add_row("status", status)
    grid.add_row("worker", words(one.owner or "none has it in memory"))
    obstacles = [_item(str(obstacle), "bold red") for obstacle in one.obstacles]
    rest = [_item(sentence) for sentence in one.sentences[len(obstacles) :]]
    return Group(grid, Text(), *obstacles, *rest, *_code(one))


def _item(text: str, style: str = "") -> Padding:
    return Padding(words_of_lines(text, style), (0, 0, 0, 2), expand=False)


def _code(one: Explanation) -> list[RenderableType]:
    if one.code is not None:
        return [Text(), words(f"Where its code stands is not known: {one.code}.", "dim")]
    shown = [block for stand in one.stands[:STANDS_MAX] for block in _stand(one, stand)]
    if len(one.stands) > STANDS_MAX:
        shown.append(words(f"and {len(one.stands) - STANDS_MAX:,} more tasks", "dim"))
    return [Text(), *shown]


def _stand(one: Explanation, stand: Stand) -> list[RenderableType]:
    task = "the orchestrator" if stand.task == one.instance_id else f"task {stand.task}"
    awaited = [f"#{seq}" for seq in stand.seqs] + list(map(repr, stand.events))
    what = f" waits for {cut(', '.join(awaited))}" if awaited else " waits"
    shown: list[RenderableType] = [words(f"{task}{what}", "bold")]
    for place in stand.lines:
        shown.append(_item(str(replace(place, file=_from_here(place.file)))))
        if place.text:
            shown.append(Padding(words(place.text, "cyan"), (0, 0, 0, 6), expand=False))
    return shown


def _from_here(file: str) -> str:
    """Return a path as somebody in the current folder would type it, if it lies below."""
    here = Path.cwd()
    return str(Path(file).relative_to(here)) if Path(file).is_relative_to(here) else file


LEVELS = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "bold red"}


def findings(found: Sequence[Finding]) -> Table:
    """Return a table of what `doctor` found."""
    table = _table("", "check", "found")
    table.columns[1].no_wrap = True
    table.columns[2].overflow = "fold"
    for one in found:
        level = Text(one.level.value, style=LEVELS[one.level])
        table.add_row(level, words(one.check), words_of_lines(one.detail))
    return table


def workers(found: Sequence[WorkerState]) -> Table:
    """Return a table with a row for each worker."""
    table = _table("id", "host", "process", "lease until (UTC)", "instances", "activities", "")
    for column in (2, 4, 5):
        table.columns[column].justify = "right"
    for one in found:
        remark = Text("") if one.is_alive else Text("not alive", style="bold red")
        table.add_row(
            words(one.worker_id),
            words(one.host),
            str(one.pid),
            _time(one.lease_until),
            f"{one.instances:,}",
            f"{one.activities:,}",
            remark,
        )
    return table


def schedules(found: Sequence[ScheduleState]) -> Table:
    """Return a table with a row for each schedule."""
    table = _table("id", "orchestrator", "when", "next (UTC)", "runs", "remarks")
    table.columns[0].no_wrap = True
    table.columns[5].overflow = "fold"
    table.columns[4].justify = "right"
    for one in found:
        table.add_row(
            words(one.schedule_id),
            words(one.spec.orchestrator),
            words(_when(one.spec)),
            "" if one.next_tick is None else _time(one.next_tick),
            f"{one.started:,}",
            words(cut(_remarks_on(one))),
        )
    return table


def schedule(one: ScheduleState) -> Table:
    """Return a grid of what is known of a schedule."""
    grid = _grid()
    grid.add_row("id", words(one.schedule_id))
    for label, text in _given(one.spec).items():
        if text:
            grid.add_row(label, words(text))
    if remarks := _remarks_on(one):
        grid.add_row("remarks", words(remarks))
    for tick in one.next_ticks:
        grid.add_row("next", f"{_time(tick)} UTC")
    for run in one.runs:
        status = "" if run.status is None else f", {run.status.value}"
        grid.add_row("run", words(f"{run.instance_id}{status}"))
    counts = f"{one.started:,} started, {one.skipped:,} skipped, {one.missed:,} missed"
    grid.add_row("ticks", counts)
    return grid


def schedule_change(before: ScheduleState, after: ScheduleState) -> Table:
    """Return a table of what a change of a schedule would do: what would be other, and the next ticks."""
    table = _table("", "before", "after")
    was, is_now = _given(before.spec), _given(after.spec)
    was["input"], is_now["input"] = _input(before), _input(after)
    for label, text in was.items():
        if text != is_now[label]:
            table.add_row(label, words(cut(text)), words(cut(is_now[label])))
    for old, new in zip_longest(before.next_ticks, after.next_ticks):
        table.add_row("next (UTC)", "" if old is None else _time(old), _time(new) if new else "")
    return table


def _given(spec: ScheduleSpec) -> dict[str, str]:
    """Return what a schedule was created with, or changed to, in lines; those of what is as it mostly is are empty."""
    usual = ScheduleSpec(orchestrator="")
    return {
        "orchestrator": spec.orchestrator,
        "when": _when(spec),
        "start": _time_or_nothing(spec.start),
        "end": _time_or_nothing(spec.end),
        "jitter": f"{spec.jitter}" if spec.jitter else "",
        "overlap": spec.overlap.value,
        "catch up": spec.catch_up.value,
        "window": ""
        if spec.catch_up_window == usual.catch_up_window
        else f"{spec.catch_up_window}",
        "version": spec.version or "",
        "tags": ", ".join(f"{key}={value}" for key, value in spec.tags.items()),
        "ids": "" if spec.instance_id == usual.instance_id else spec.instance_id,
    }


def _input(one: ScheduleState) -> str:
    return _json(one.spec.input)


def _time_or_nothing(at: datetime | None) -> str:
    return "" if at is None else f"{_time(at)} UTC"


def _when(spec: ScheduleSpec) -> str:
    if spec.cron is not None:
        return f"{spec.cron} ({spec.time_zone})"
    if spec.every is not None:
        return f"every {spec.every}"
    return "never" if spec.at is None else f"at {_time(spec.at)} UTC"


def _remarks_on(one: ScheduleState) -> str:
    remarks = []
    if one.paused:
        remarks.append("paused" if one.reason is None else f"paused: {one.reason}")
    if one.problem is not None:
        remarks.append(one.problem)
    if one.waiting:
        remarks.append(f"{len(one.waiting):,} ticks wait")
    return ", ".join(remarks)


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


def retention(one: Retention) -> Table:
    """Return a grid of how long what has ended is kept."""
    grid = _grid()
    grid.add_row("kept", words(_length(one.age)))
    grid.add_row("if it failed", words(_length(one.failed)))
    for name, age in sorted(one.by_name.items()):
        grid.add_row(words(name), words(_length(age)))
    return grid


def expired(counts: Mapping[str, int]) -> Table:
    """Return a table of what a retention would delete by now."""
    table = _table("orchestrator", "would be deleted now")
    table.columns[1].justify = "right"
    for name, count in sorted(counts.items()):
        table.add_row(words(name), f"{count:,}")
    return table


def _length(age: Seconds | None) -> str:
    if age is None:
        return "for ever"
    return str(timedelta(seconds=seconds_of(age, "age"))).removesuffix(", 0:00:00")


def history(events: Sequence[h.HistoryEvent]) -> Table:
    """Return a history as a timeline: seconds since the first turn, event, what it is about."""
    table = _table("seconds", "event", "about")
    table.columns[0].justify = "right"
    table.columns[2].overflow = "fold"
    for moment in timeline(events):
        table.add_row(_since(moment), type(moment.event).__name__, moment.about, style=_dim(moment))
    return table


def line(moment: Moment) -> Text:
    """Return one event as a line of its own, for those that come one by one."""
    text = f"{_since(moment):>12}  {type(moment.event).__name__:<26} {moment.about}"
    return Text(text, style=_dim(moment), overflow="fold")


def _since(moment: Moment) -> str:
    return "" if moment.seconds is None else f"{moment.seconds:.3f}"


def _dim(moment: Moment) -> str:
    return "dim" if isinstance(moment.event, h.TurnStarted) else ""


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
