"""Looking into a hub: list, entities, show, stats."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from durable_async import CorruptHistoryError, EntityId, InstanceNotFoundError
from durable_async.client import Conditions, EntityConditions
from durable_async.model.history import HistoryEvent
from durable_async.model.identity import ENTITY_MARK

from . import _documents, _render
from ._existing import existing_hub


async def list_instances(
    url: str, hub: str, limit: int, console: Console, *, parked: bool, as_json: bool
) -> None:
    """Print a table of instances."""
    conditions: Conditions = {"parked": True} if parked else {}
    async with existing_hub(url, hub) as opened:
        states, more = await opened.client.query_page(limit=limit, **conditions)
        description = opened.backend.description  # unlike the URL, it never holds a password
    if as_json:
        for state in states:
            _documents.write(_documents.instance(state))
        if more is not None:
            _documents.say_more(_first(limit))
        return
    if not states:
        which = "parked orchestrations" if parked else "orchestrations"
        console.print(f"There are no {which} in the hub {hub!r}: {description}.")
        return
    console.print(_render.instances(states))
    if more is not None:
        console.print(_first(limit))


async def list_entities(
    url: str,
    hub: str,
    name: str | None,
    key_prefix: str,
    limit: int,
    console: Console,
    *,
    as_json: bool,
) -> None:
    """Print a table of entities."""
    conditions: EntityConditions = {"key_prefix": key_prefix}
    if name is not None:
        conditions["name"] = name
    async with existing_hub(url, hub) as opened:
        states, more = await opened.client.query_entities_page(limit=limit, **conditions)
        description = opened.backend.description
    if as_json:
        for state in states:
            _documents.write(_documents.entity(state))
        if more is not None:
            _documents.say_more(_first(limit))
        return
    if not states:
        console.print(f"There are no such entities in the hub {hub!r}: {description}.")
        return
    console.print(_render.entities(states))
    if more is not None:
        console.print(_first(limit))


async def show_instance(
    url: str, hub: str, instance_id: str, limit: int, console: Console, *, as_json: bool
) -> None:
    """Print an instance's state and history; of an entity, its state and locks."""
    if instance_id.startswith(ENTITY_MARK):
        await _show_entity(url, hub, EntityId.parse(instance_id), console, as_json=as_json)
        return
    history: list[HistoryEvent] = []
    damage: CorruptHistoryError | None = None
    async with existing_hub(url, hub) as opened:
        state = await opened.client.get(instance_id)
        if state is None:
            raise InstanceNotFoundError(instance_id)
        try:
            history = await opened.client.history(instance_id)
        except CorruptHistoryError as error:
            damage = error  # what else is known of it is still worth to be shown
    if as_json:
        document = _documents.state(state, history[:limit])
        _documents.write(document if damage is None else {**document, "damage": str(damage)})
        if len(history) > limit:
            _documents.say_more(_first_of(limit, history))
        return
    console.print(_render.state(state))
    if damage is not None:
        console.print(Text(str(damage), style="bold red"))
        return
    console.print(_render.history(history[:limit]))
    if len(history) > limit:
        console.print(_first_of(limit, history))


async def _show_entity(
    url: str, hub: str, entity: EntityId, console: Console, *, as_json: bool
) -> None:
    async with existing_hub(url, hub) as opened:
        state = await opened.client.get_entity(entity)
        if state is None:
            raise InstanceNotFoundError(str(entity))
        locks = await opened.client.entity_locks(entity)
    if as_json:
        _documents.write(_documents.entity(state, locks))
    else:
        console.print(_render.entity(state, locks))


async def show_statistics(url: str, hub: str, console: Console, *, as_json: bool) -> None:
    """Print what a hub holds."""
    async with existing_hub(url, hub) as opened:
        counts = await opened.statistics()
    if as_json:
        _documents.write(_documents.statistics(counts))
    else:
        console.print(_render.statistics(counts))


def _first(limit: int) -> str:
    return f"The first {limit}; --limit shows more."


def _first_of(limit: int, history: list[HistoryEvent]) -> str:
    return f"The first {limit} of {len(history):,} events; --limit shows more."
