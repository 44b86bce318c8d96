"""Entities: which there are, what one holds, and letting one do something: entities, show, signal, call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import anyio
import typer

from durable_async import EntityId, EntityLocks, EntityState, InstanceNotFoundError, ValidationError
from durable_async.client import EntityConditions
from durable_async.errors import shown
from durable_async.model.history import EntityOperation
from durable_async.model.identity import ENTITY_MARK
from durable_async.registry import is_system_name
from durable_async.serialization.events import decode_letter

from . import _completion, _documents, _render
from ._existing import opened
from ._options import (
    App,
    AsJson,
    Hub,
    Limit,
    Payload,
    Timeout,
    Url,
    Value,
    Where,
    moment_of,
    payload_of,
    said_once,
)
from ._terminal import console, first_of, lay_out, note, say, say_more

PAGE = 100
OPERATIONS_SHOWN = 20

Entity = Annotated[
    str,
    typer.Argument(
        metavar="ENTITY", help="Its id, @name@key.", autocompletion=_completion.entities
    ),
]
Operation = Annotated[str, typer.Argument(metavar="OPERATION", help="The operation's name.")]
RequestId = Annotated[
    str | None,
    typer.Option(
        metavar="ID", help="Of your own: repeating the command with it does nothing more."
    ),
]


def list_entities(
    name: Annotated[str | None, typer.Option(help="Only those of this name.")] = None,
    key_prefix: Annotated[str, typer.Option(help="Only those whose keys begin so.")] = "",
    system: Annotated[
        bool, typer.Option("--system", help="Also those of durable_async itself.")
    ] = False,
    limit: Limit = 50,
    as_json: AsJson = False,
    app: App = None,
    url: Url = None,
    hub: Hub = None,
) -> None:
    """List entities, in order of their ids, with their states."""
    conditions: EntityConditions = {"key_prefix": key_prefix}
    if name is not None:
        conditions["name"] = name
    wanted = None if system or name is not None else _is_users
    states, more, place = anyio.run(_entities, Where(app, url, hub), conditions, limit, wanted)
    if as_json:
        for state in states:
            _documents.write(_documents.entity(state))
    elif states:
        lay_out(_render.entities(states))
    else:
        say(f"There are no such entities in {place}.")
    if more:
        say_more(first_of(limit), aside=as_json)


def _is_users(state: EntityState[object]) -> bool:
    return not is_system_name(state.entity_id.name)


async def _entities(
    where: Where,
    conditions: EntityConditions,
    limit: int,
    wanted: Callable[[EntityState[object]], bool] | None,
) -> tuple[list[EntityState[object]], bool, str]:
    states: list[EntityState[object]] = []
    async with opened(where) as hub:
        place = hub.backend.description
        async for state in hub.client.query_entities(page_size=PAGE, **conditions):
            if wanted is not None and not wanted(state):
                continue
            if len(states) == limit:
                return states, True, place
            states.append(state)
    return states, False, place


def show_entity(where: Where, entity: EntityId, *, as_json: bool) -> None:
    """Show an entity, what waits in its mailbox, who has it locked, and who waits for that."""
    state, locks, operations = anyio.run(_entity, where, entity)
    if as_json:
        _documents.write(_documents.entity(state, locks, operations))
    else:
        console().print(_render.entity(state, locks, operations))


async def _entity(
    where: Where, entity: EntityId
) -> tuple[EntityState[object], EntityLocks, list[EntityOperation]]:
    async with opened(where) as hub:
        state = await hub.client.get_entity(entity)
        if state is None:
            raise InstanceNotFoundError(str(entity))
        locks = await hub.client.entity_locks(entity)
        one = str(state.entity_id)
        mail = await hub.backend.read_letters(one, limit=OPERATIONS_SHOWN)
        letters = [decode_letter(one, each.letter) for each in mail]
        return state, locks, [each for each in letters if isinstance(each, EntityOperation)]


def signal(
    entity: Entity,
    operation: Operation,
    value: Value = None,
    payload: Payload = None,
    at: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Not before 2026-01-31T12:00 (UTC), or 15m from now."),
    ] = None,
    request_id: RequestId = None,
    as_json: AsJson = False,
    app: App = None,
    url: Url = None,
    hub: Hub = None,
) -> None:
    """Let an entity do something, without waiting for it; it begins to exist with the first operation.

    Exit status: 0 it is in the mailbox, 2 refused.
    """
    found, given = entity_of(entity), payload_of(said_once(value, payload))
    due = moment_of(at, "--at", ahead=True)

    async def run() -> None:
        async with opened(Where(app, url, hub)) as there:
            await there.client.signal_entity(found, operation, given, at=due, request_id=request_id)

    anyio.run(run)
    if as_json:
        _documents.write({"id": str(found), "operation": operation, "done": True})
    else:
        say(f"{found}: operation {operation!r} is in its mailbox")


def call(
    entity: Entity,
    operation: Operation,
    value: Value = None,
    payload: Payload = None,
    timeout: Timeout = None,
    request_id: RequestId = None,
    as_json: AsJson = False,
    app: App = None,
    url: Url = None,
    hub: Hub = None,
) -> None:
    """Let an entity do something, wait for it, and show what came out. A worker that has the entity must run.

    Exit status: 0 done, 1 the operation failed, or its answer did not come in time, 2 refused.
    """
    found, given = entity_of(entity), payload_of(said_once(value, payload))

    async def run() -> object:
        async with opened(Where(app, url, hub)) as there:
            if timeout is None and not any(one.is_alive for one in await there.client.workers()):
                note("No worker is alive in this hub: it waits for one.")
            return await there.client.call_entity(
                found, operation, given, timeout=timeout, request_id=request_id
            )

    result = anyio.run(run)
    if as_json:
        _documents.write({"id": str(found), "operation": operation, "result": result})
    else:
        _documents.write_value(lambda: result)


def entity_of(text: str) -> EntityId:
    """Return the entity that is meant.

    Raises:
        ValidationError: It is none, or one of durable_async's own.
    """
    if not text.startswith(ENTITY_MARK):
        raise ValidationError(
            "ENTITY",
            f"{shown(text)} is none, @name@key; `raise` sends an event to an orchestration",
        )
    entity = EntityId.parse(text)
    if is_system_name(entity.name):
        raise ValidationError("ENTITY", f"{shown(text)} is durable_async's own, and only looked at")
    return entity
