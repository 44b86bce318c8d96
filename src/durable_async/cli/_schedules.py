"""Schedules: list, show, create, update, pause, resume, trigger, backfill, delete."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Annotated, TypeVar

import anyio
import typer

from durable_async import ConfigurationError, TaskHub
from durable_async.schedules import IfExists, ScheduleChanges, ScheduleState

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
    payload_of,
    said_once,
    time_of,
)
from ._schedule_options import (
    At,
    CatchingUp,
    Cron,
    End,
    Every,
    Jitter,
    Overlapping,
    Removable,
    RunId,
    RunTags,
    Said,
    Start,
    Version,
    Window,
    Zone,
    without,
)
from ._terminal import console, lay_out, make_sure, note, say

T = TypeVar("T")

app = typer.Typer(
    no_args_is_help=True, help="Start orchestrations at times: look after the schedules of a hub."
)

Id = Annotated[str, typer.Argument(metavar="ID", help="The schedule's id.")]


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
        lay_out(_render.schedules(states))
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
    cron: Cron = None,
    every: Every = None,
    at: At = None,
    time_zone: Zone = None,
    start: Start = None,
    end: End = None,
    jitter: Jitter = None,
    overlap: Overlapping = None,
    catch_up: CatchingUp = None,
    catch_up_window: Window = None,
    version: Version = None,
    tag: RunTags = None,
    instance_id: RunId = None,
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
    options = Said(
        cron=cron,
        every=every,
        at=at,
        time_zone=time_zone,
        start=start,
        end=end,
        jitter=jitter,
        overlap=overlap,
        catch_up=catch_up,
        catch_up_window=catch_up_window,
        version=version,
        tag=tag,
        instance_id=instance_id,
    ).options()
    given = payload_of(said_once(value, payload))

    async def run(found: TaskHub) -> ScheduleState | None:
        if dry_run:
            _tell_ticks(schedule_id, found.schedules.preview(**options), as_json=as_json)
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
def update(
    schedule_id: Id,
    orchestrator: Annotated[
        str | None, typer.Option("--name", help="The orchestrator that it starts.")
    ] = None,
    payload: Payload = None,
    cron: Cron = None,
    every: Every = None,
    at: At = None,
    time_zone: Zone = None,
    start: Start = None,
    end: End = None,
    jitter: Jitter = None,
    overlap: Overlapping = None,
    catch_up: CatchingUp = None,
    catch_up_window: Window = None,
    version: Version = None,
    tag: RunTags = None,
    instance_id: RunId = None,
    removed: Annotated[
        list[Removable] | None,
        typer.Option("--without", help="Take it away; may be repeated."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be other, and the next ticks.")
    ] = False,
    as_json: AsJson = False,
    app: App = None,
    url: Url = None,
    hub: Hub = None,
) -> None:
    """Change what is said of a schedule, and nothing else; what runs is left alone."""
    said = Said(
        cron=cron,
        every=every,
        at=at,
        time_zone=time_zone,
        start=start,
        end=end,
        jitter=jitter,
        overlap=overlap,
        catch_up=catch_up,
        catch_up_window=catch_up_window,
        version=version,
        tag=tag,
        instance_id=instance_id,
    ).options()
    changes: ScheduleChanges = {**said, **without(removed, said)}
    if orchestrator is not None:
        changes["orchestrator"] = orchestrator
    if payload is not None:
        changes["input"] = payload_of(payload)
    if not changes:
        raise ConfigurationError("say what is to be changed, such as --every 1h")

    async def looked(found: TaskHub) -> tuple[ScheduleState, ScheduleState]:
        preview = found.schedules.preview_update
        return await preview(schedule_id), await preview(schedule_id, **changes)

    where = Where(app, url, hub)
    if not dry_run:
        state = _in(where, lambda found: found.schedules.update(schedule_id, **changes))
        _tell(state, as_json=as_json)
        return
    before, after = _in(where, looked)
    if as_json:
        _documents.write(_documents.schedule_change(before, after))
    else:
        lay_out(_render.schedule_change(before, after))


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
    first, last = time_of(start, "--from"), time_of(end, "--to")
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


def _tell_ticks(schedule_id: str, ticks: Sequence[datetime], *, as_json: bool) -> None:
    if as_json:
        _documents.write(_documents.next_ticks(schedule_id, ticks))
        return
    for tick in ticks:
        say(_documents.time_of(tick))


def _tell(state: ScheduleState, *, as_json: bool) -> None:
    if as_json:
        _documents.write(_documents.schedule(state))
    else:
        console().print(_render.schedule(state))
