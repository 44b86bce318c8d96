"""Schedules: list, show, create, pause, resume, trigger, backfill, delete."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Annotated, Any, TypeVar

import anyio
import typer

from durable_async import TaskHub, ValidationError
from durable_async.schedules import (
    CatchUp,
    IfExists,
    Overlap,
    ScheduleOptions,
    ScheduleState,
)

from . import _documents, _render
from ._existing import opened
from ._options import (
    App,
    AsJson,
    DryRun,
    Hub,
    Payload,
    Reason,
    Url,
    Value,
    Where,
    Yes,
    moment_of,
    payload_of,
    said_once,
    span_of,
    tags_of,
)
from ._terminal import console, make_sure, note, say

T = TypeVar("T")

app = typer.Typer(
    no_args_is_help=True, help="Start orchestrations at times: look after the schedules of a hub."
)

Id = Annotated[str, typer.Argument(metavar="ID", help="The schedule's id.")]
Time = Annotated[
    str | None, typer.Option(metavar="TIME", help="Such as 2026-01-31T12:00, or 15m from now on.")
]


@app.command("list")
def list_schedules(
    prefix: Annotated[str, typer.Option(help="Only those whose ids begin so.")] = "",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many at most.")] = 50,
    as_json: AsJson = False,
    app: App = None,
    url: Url = None,
    hub: Hub = None,
) -> None:
    """List the schedules of a hub: what they start, when next, and whether they are paused."""

    async def run(found: TaskHub) -> tuple[list[ScheduleState], bool]:
        states: list[ScheduleState] = []
        async for state in found.schedules.list(prefix=prefix):
            if len(states) == limit:
                return states, True
            states.append(state)
        return states, False

    states, more = _in(Where(app, url, hub), run)
    if as_json:
        for state in states:
            _documents.write(_documents.schedule(state))
    elif states:
        console().print(_render.schedules(states))
    else:
        say("There are no such schedules.")
    if more:
        (note if as_json else say)(f"The first {limit}; --limit shows more.")


@app.command()
def show(
    schedule_id: Id,
    ticks: Annotated[int, typer.Option(min=0, max=1_000, help="How many of the next ones.")] = 5,
    as_json: AsJson = False,
    app: App = None,
    url: Url = None,
    hub: Hub = None,
) -> None:
    """Show a schedule, its next ticks, and what became of its last runs."""
    state = _in(
        Where(app, url, hub), lambda found: found.schedules.describe(schedule_id, ticks=ticks)
    )
    _tell(state, as_json=as_json)


@app.command()
def create(
    schedule_id: Id,
    orchestrator: Annotated[str, typer.Argument(metavar="NAME", help="What it starts.")],
    value: Value = None,
    payload: Payload = None,
    cron: Annotated[
        str | None, typer.Option(help="Five fields, such as '0 9 * * MON-FRI', or @daily.")
    ] = None,
    every: Annotated[str | None, typer.Option(metavar="SPAN", help="Such as 90s, 15m, 1d.")] = None,
    at: Time = None,
    time_zone: Annotated[str, typer.Option(help="In which --cron is meant.")] = "UTC",
    start: Time = None,
    end: Time = None,
    jitter: Annotated[
        str | None, typer.Option(metavar="SPAN", help="Begin so much later at most.")
    ] = None,
    overlap: Annotated[Overlap, typer.Option(help="At a tick while a run goes on.")] = Overlap.SKIP,
    catch_up: Annotated[
        CatchUp, typer.Option(help="With ticks at which no worker was there.")
    ] = CatchUp.LAST,
    version: Annotated[str | None, typer.Option("--version", help="Of the runs.")] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option("--tag", metavar="KEY=VALUE", help="Of the runs; may be repeated."),
    ] = None,
    if_exists: Annotated[IfExists, typer.Option(help="If the id is taken.")] = IfExists.REJECT,
    paused: Annotated[bool, typer.Option("--paused", help="Begin paused.")] = False,
    reason: Reason = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say when the next ticks would be.")
    ] = False,
    as_json: AsJson = False,
    app: App = None,
    url: Url = None,
    hub: Hub = None,
) -> None:
    """Create a schedule: exactly one of --cron, --every and --at."""
    options = _options(cron, every, at, start, end, jitter)
    options["time_zone"] = time_zone
    options["overlap"], options["catch_up"] = overlap, catch_up
    options["version"], options["tags"] = version, tags_of(tag)
    given = payload_of(said_once(value, payload))

    async def run(found: TaskHub) -> ScheduleState | None:
        if dry_run:
            ticks = found.schedules.preview(**options)
            for tick in ticks:
                say(_documents.time_of(tick))
            return None
        return await found.schedules.create(
            schedule_id,
            orchestrator,
            given,
            if_exists=if_exists,
            paused=paused,
            reason=reason,
            **options,
        )

    state = _in(Where(app, url, hub), run)
    if state is not None:
        _tell(state, as_json=as_json)


@app.command()
def pause(
    schedule_id: Id,
    reason: Reason = None,
    as_json: AsJson = False,
    app: App = None,
    url: Url = None,
    hub: Hub = None,
) -> None:
    """Let ticks pass by until it is resumed; what runs goes on."""
    state = _in(Where(app, url, hub), lambda found: found.schedules.pause(schedule_id, reason))
    _tell(state, as_json=as_json)


@app.command()
def resume(
    schedule_id: Id,
    as_json: AsJson = False,
    app: App = None,
    url: Url = None,
    hub: Hub = None,
) -> None:
    """Let a paused schedule go on with its next tick."""
    state = _in(Where(app, url, hub), lambda found: found.schedules.resume(schedule_id))
    _tell(state, as_json=as_json)


@app.command()
def trigger(
    schedule_id: Id,
    request_id: Annotated[
        str | None,
        typer.Option(
            metavar="ID", help="Of your own: repeating the command with it starts nothing more."
        ),
    ] = None,
    as_json: AsJson = False,
    app: App = None,
    url: Url = None,
    hub: Hub = None,
) -> None:
    """Start a run now, and say its id; the ticks stay as they are."""
    handle = _in(
        Where(app, url, hub),
        lambda found: found.schedules.trigger(schedule_id, request_id=request_id),
    )
    if as_json:
        _documents.write({"id": handle.instance_id})
    else:
        say(handle.instance_id)


@app.command()
def backfill(
    schedule_id: Id,
    start: Annotated[
        str, typer.Option("--from", metavar="TIME", help="Inclusive; or how long ago.")
    ],
    end: Annotated[
        str, typer.Option("--to", metavar="TIME", help="Inclusive; or how long ago.")
    ] = "0s",
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    app: App = None,
    url: Url = None,
    hub: Hub = None,
) -> None:
    """Start the runs of past ticks that have none in the store. They are counted before."""
    first, last = moment_of(start, "--from"), moment_of(end, "--to")
    assert first is not None
    assert last is not None
    where = Where(app, url, hub)
    ids = _in(where, lambda found: found.schedules.backfill(schedule_id, first, last, dry_run=True))
    if not dry_run and ids:
        make_sure(f"Start {len(ids):,} orchestrations?", yes=yes)
        ids = _in(where, lambda found: found.schedules.backfill(schedule_id, first, last))
    for one in ids:
        if as_json:
            _documents.write({"id": one, "dry_run": dry_run})
        else:
            say(one)
    if not as_json:
        say(f"{len(ids):,} would be started." if dry_run else f"{len(ids):,} started.")


@app.command()
def delete(
    schedule_id: Id,
    yes: Yes = False,
    as_json: AsJson = False,
    app: App = None,
    url: Url = None,
    hub: Hub = None,
) -> None:
    """End a schedule; what runs goes on."""
    make_sure(f"Delete the schedule {schedule_id!r}?", yes=yes)
    _in(Where(app, url, hub), lambda found: found.schedules.delete(schedule_id))
    if as_json:
        _documents.write(_documents.done(schedule_id, None))
    else:
        say(f"{schedule_id}: was deleted")


def _in(where: Where, call: Callable[[TaskHub], Awaitable[T]]) -> T:
    """Open the hub, do something in it, and return what came of it."""

    async def run() -> T:
        async with opened(where) as hub:
            return await call(hub)

    return anyio.run(run)


def _tell(state: ScheduleState, *, as_json: bool) -> None:
    if as_json:
        _documents.write(_documents.schedule(state))
    else:
        console().print(_render.schedule(state))


def _options(
    cron: str | None,
    every: str | None,
    at: str | None,
    start: str | None,
    end: str | None,
    jitter: str | None,
) -> ScheduleOptions:
    """Return when, as the options say it; what was not said is left out."""
    found: dict[str, Any] = {"cron": cron, "every": _span(every, "--every")}
    for name, text in (("at", at), ("start", start), ("end", end)):
        found[name] = moment_of(text, f"--{name}", ahead=True)
    found["jitter"] = _span(jitter, "--jitter")
    options: ScheduleOptions = {}
    options.update({name: value for name, value in found.items() if value is not None})  # type: ignore[typeddict-item]
    return options


def _span(text: str | None, field: str) -> timedelta | None:
    if text is None:
        return None
    span = span_of(text)
    if span is None:
        raise ValidationError(field, f"{text!r} is no duration, such as 90s, 15m, 2h or 1d")
    return span
