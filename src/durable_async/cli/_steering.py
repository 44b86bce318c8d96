"""Steering orchestrations that are there: raise, suspend, resume, terminate, rewind."""

from __future__ import annotations

from typing import Annotated

import anyio
import typer

from durable_async import OrchestrationState, Status, TaskHub, ValidationError

from . import _documents
from ._each import Verb, ids_of, is_under_way, to_each
from ._existing import opened
from ._exits import NOT_DONE
from ._naming import Id, Ids
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
)
from ._terminal import say


def raise_event(
    instance: Id,
    event: Annotated[str, typer.Argument(metavar="EVENT", help="The event's name.")],
    value: Value = None,
    payload: Payload = None,
    as_json: AsJson = False,
    app: App = None,
    url: Url = None,
    hub: Hub = None,
) -> None:
    """Raise an external event on an orchestration; it is kept until the orchestration waits for it.

    Exit status: 0 it is in the mailbox, 1 the orchestration has ended, or is not there.
    """

    async def run() -> bool:
        async with opened(Where(app, url, hub)) as found:
            return await found.client.raise_event(
                instance, event, payload_of(said_once(value, payload))
            )

    is_delivered = anyio.run(run)
    if as_json:
        _documents.write({"id": instance, "event": event, "done": is_delivered})
    elif is_delivered:
        say(f"{instance}: event {event!r} was raised")
    else:
        say(f"{instance}: has ended, and takes no events", "red")
    raise typer.Exit(0 if is_delivered else NOT_DONE)


def suspend(
    ids: Ids,
    reason: Reason = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    app: App = None,
    url: Url = None,
    hub: Hub = None,
) -> None:
    """Stop orchestrations where they stand; what arrives is kept until they are resumed."""

    async def do(found: TaskHub, one: str) -> str:
        await found.client.suspend(one, reason)
        return "is to be suspended"

    verb = Verb("suspend", "running", is_under_way, do)
    _to_each(Where(app, url, hub), ids, verb, dry_run=dry_run, as_json=as_json)


def resume(
    ids: Ids,
    reason: Reason = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    app: App = None,
    url: Url = None,
    hub: Hub = None,
) -> None:
    """Let suspended orchestrations go on."""

    async def do(found: TaskHub, one: str) -> str:
        await found.client.resume(one, reason)
        return "is to go on"

    verb = Verb("resume", "running", is_under_way, do)
    _to_each(Where(app, url, hub), ids, verb, dry_run=dry_run, as_json=as_json)


def rewind(
    ids: Ids,
    reason: Reason = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    app: App = None,
    url: Url = None,
    hub: Hub = None,
) -> None:
    """Let failed orchestrations go on: what failed is done again, what succeeded is kept."""

    async def do(found: TaskHub, one: str) -> str:
        await found.client.rewind(one, reason)
        return "was rewound, and goes on"

    verb = Verb("rewind", "failed", _has_failed, do)
    _to_each(Where(app, url, hub), ids, verb, dry_run=dry_run, as_json=as_json)


def terminate(
    ids: Ids,
    reason: Annotated[
        str | None, typer.Option(help="A text for the record; it is kept as the output.")
    ] = None,
    output: Annotated[
        str | None,
        typer.Option("--output", metavar="JSON", help="Any other value as the output; as --input."),
    ] = None,
    recursive: Annotated[
        bool,
        typer.Option("--recursive/--alone", help="With their sub-orchestrations, or without."),
    ] = True,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    app: App = None,
    url: Url = None,
    hub: Hub = None,
) -> None:
    """End orchestrations from outside; their code is not asked, and running activities are cancelled."""
    if output is not None and reason is not None:
        raise ValidationError("--reason", "is what is kept as the output; say one of them")
    value = reason if output is None else payload_of(output, "--output")

    async def do(found: TaskHub, one: str) -> str:
        await found.client.terminate(one, value, recursive=recursive)
        return "is to be terminated"

    chosen = ids_of(ids)
    what = repr(chosen[0]) if len(chosen) == 1 else f"{len(chosen):,} orchestrations"
    status = anyio.run(
        lambda: to_each(
            Where(app, url, hub),
            chosen,
            Verb("terminate", "running", is_under_way, do),
            question=f"Terminate {what}?",
            yes=yes,
            dry_run=dry_run,
            as_json=as_json,
        )
    )
    raise typer.Exit(status)


def _has_failed(state: OrchestrationState) -> bool:
    return state.status is Status.FAILED


def _to_each(where: Where, ids: list[str], verb: Verb, *, dry_run: bool, as_json: bool) -> None:
    chosen = ids_of(ids)
    raise typer.Exit(
        anyio.run(lambda: to_each(where, chosen, verb, dry_run=dry_run, as_json=as_json))
    )
