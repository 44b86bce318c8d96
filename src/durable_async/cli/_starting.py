"""Starting orchestrations, and waiting for what comes of them: start, restart, wait."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Any

import anyio
import typer

from durable_async import (
    InstanceNotFoundError,
    InstanceParkedError,
    OrchestrationFailedError,
    OrchestrationHandle,
    OrchestrationTerminatedError,
    Status,
    TaskHub,
)

from . import _completion, _documents, _render
from ._existing import opened
from ._exits import NOT_DONE
from ._naming import Id
from ._options import (
    App,
    AsJson,
    Hub,
    Payload,
    Timeout,
    Url,
    Value,
    Where,
    moment_of,
    payload_of,
    said_once,
    tags_of,
)
from ._terminal import note, notes, plain

WaitForIt = Annotated[
    bool, typer.Option("--wait", "-w", help="Wait until it has ended, and show what came of it.")
]


def start(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="The orchestrator's name.",
            autocompletion=_completion.orchestrators,
        ),
    ],
    value: Value = None,
    payload: Payload = None,
    instance_id: Annotated[
        str | None, typer.Option("--id", help="Its id; one that is made up by default.")
    ] = None,
    version: Annotated[
        str | None, typer.Option("--version", help="What it sees as ctx.version.")
    ] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option("--tag", metavar="KEY=VALUE", help="To find it by; may be repeated."),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Not to begin before 2026-01-31T12:00 (UTC), or before 15m are over.",
        ),
    ] = None,
    wait_for_it: WaitForIt = False,
    timeout: Timeout = None,
    as_json: AsJson = False,
    app: App = None,
    url: Url = None,
    hub: Hub = None,
) -> None:
    """Start an orchestration, and say its id.

    Exit status: 0 started, and completed with --wait; 1 it did not complete, or not in time; 2 refused, as an id that is taken.
    """
    given = payload_of(said_once(value, payload))
    tags, start_at = tags_of(tag), moment_of(at, "--at", ahead=True)

    async def run() -> int:
        async with opened(Where(app, url, hub)) as found:
            if app is not None:
                _check_input(found, name, given)
            handle = await found.client.start(
                name,
                given,
                instance_id=instance_id,
                version=version,
                tags=tags,
                start_at=start_at,
            )
            return await _tell(handle, wait_for_it, timeout, as_json=as_json)

    raise typer.Exit(anyio.run(run))


def _check_input(hub: TaskHub, name: str, given: Any) -> None:
    """Refuse an input that the orchestrator would not take, where it is known here.

    Raises:
        DecodeError: It is of another type.
    """
    orchestrator = hub.registry.find_orchestrator(name)
    if orchestrator is None:
        known = ", ".join(sorted(hub.registry.orchestrators)) or "none"
        note(f"No orchestrator {name!r} is registered in this program; what it has: {known}")
    elif given is not None and orchestrator.signature.parameters:
        where = f"orchestrator {name!r} input"
        data = hub.payloads.encode(given, where)
        hub.payloads.decode(data, orchestrator.signature.input_type, where)


def restart(
    instance: Id,
    instance_id: Annotated[
        str | None, typer.Option("--id", help="Another id for it; by default the same.")
    ] = None,
    wait_for_it: WaitForIt = False,
    timeout: Timeout = None,
    as_json: AsJson = False,
    app: App = None,
    url: Url = None,
    hub: Hub = None,
) -> None:
    """Start an orchestration that has ended once more, with the same name, input, version and tags.

    Exit status: as of start.
    """

    async def run() -> int:
        async with opened(Where(app, url, hub)) as found:
            handle = await found.client.restart(instance, instance_id=instance_id)
            return await _tell(handle, wait_for_it, timeout, as_json=as_json)

    raise typer.Exit(anyio.run(run))


def wait(
    instance: Id,
    timeout: Timeout = None,
    as_json: AsJson = False,
    app: App = None,
    url: Url = None,
    hub: Hub = None,
) -> None:
    """Wait until an orchestration has ended, and show what came of it.

    Exit status: 0 completed; 1 failed, terminated, parked, or not in time.
    """

    async def run() -> int:
        async with opened(Where(app, url, hub)) as found:
            return await _tell_end(found.client.handle(instance), timeout, as_json=as_json)

    raise typer.Exit(anyio.run(run))


async def _tell(
    handle: OrchestrationHandle[Any], wait_for_it: bool, timeout: float | None, *, as_json: bool
) -> int:
    if wait_for_it:
        note(f"{handle.instance_id}: was started, and goes on whether or not this waits", "dim")
        return await _tell_end(handle, timeout, as_json=as_json)
    if as_json:
        _documents.write({"id": handle.instance_id})
    else:
        typer.echo(plain(handle.instance_id))
    return 0


async def _tell_end(
    handle: OrchestrationHandle[Any], timeout: float | None, *, as_json: bool
) -> int:
    """Wait for an end, and show it: of one that completed the output alone, since that is what was asked for."""
    with suppress(OrchestrationFailedError, OrchestrationTerminatedError, InstanceParkedError):
        await handle.wait(timeout=timeout)
    state = await handle.get()
    if state is None:
        raise InstanceNotFoundError(handle.instance_id)
    if as_json:
        _documents.write(_documents.end(state))
    elif state.status is Status.COMPLETED:
        _documents.write_value(state.output)
    else:
        notes().print(_render.state(state))
    return 0 if state.status is Status.COMPLETED else NOT_DONE
