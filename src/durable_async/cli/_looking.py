"""Looking into a hub: list, show, stats."""

from __future__ import annotations

from typing import Annotated

import anyio
import typer

from durable_async import (
    CorruptHistoryError,
    EntityId,
    HubStatistics,
    InstanceNotFoundError,
    OrchestrationState,
    QueryOrder,
)
from durable_async.client import Conditions
from durable_async.errors import DurableError
from durable_async.model.history import HistoryEvent
from durable_async.model.identity import ENTITY_MARK

from . import _documents, _render
from ._entities import show_entity
from ._existing import opened
from ._follow import follow
from ._naming import AnyId, Names
from ._options import (
    App,
    AsJson,
    Filters,
    Hub,
    Moment,
    Parent,
    Parked,
    Prefix,
    Statuses,
    Tags,
    Url,
    Where,
)
from ._terminal import console, first_of, lay_out, say, say_more

LIMIT = 50


def list_instances(
    status: Statuses = None,
    name: Names = None,
    prefix: Prefix = "",
    tag: Tags = None,
    created_from: Moment = None,
    created_to: Moment = None,
    completed_from: Moment = None,
    completed_to: Moment = None,
    parent: Parent = None,
    parked: Parked = None,
    order: Annotated[
        QueryOrder,
        typer.Option(
            help="By when they were created, or ended (only those that have); the latter two begin with the last."
        ),
    ] = QueryOrder.CREATED,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit", "-n", min=1, help="How many at most; 50, and of --ids all, by default."
        ),
    ] = None,
    only_ids: Annotated[
        bool, typer.Option("--ids", help="Only the ids, one a line, for `-` of another command.")
    ] = False,
    as_json: AsJson = False,
    app: App = None,
    url: Url = None,
    hub: Hub = None,
) -> None:
    """List orchestrations, by default all of them, oldest first."""
    filters = Filters(
        statuses=status,
        names=name,
        prefix=prefix,
        tags=tag,
        created_from=created_from,
        created_to=created_to,
        completed_from=completed_from,
        completed_to=completed_to,
        parent=parent,
        parked=parked,
    )
    where = Where(app, url, hub)
    if only_ids and not as_json and limit is None:
        anyio.run(_all_ids, where, filters.conditions(), order)
        return
    limit = limit or LIMIT
    states, more, place = anyio.run(_instances, where, filters.conditions(), order, limit)
    if as_json:
        for state in states:
            _documents.write(_documents.instance(state))
    elif only_ids:
        for state in states:
            typer.echo(state.instance_id)
    elif states:
        lay_out(_render.instances(states))
    else:
        which = "such " if filters.conditions() else ""
        say(f"There are no {which}orchestrations in {place}.")
    if more:
        say_more(first_of(limit), aside=as_json or only_ids)


async def _all_ids(where: Where, conditions: Conditions, order: QueryOrder) -> None:
    """Print all ids, page by page: who hands them on to another command means all of them."""
    async with opened(where) as hub:
        async for state in hub.client.query(order=order, **conditions):
            typer.echo(state.instance_id)


async def _instances(
    where: Where, conditions: Conditions, order: QueryOrder, limit: int
) -> tuple[list[OrchestrationState], bool, str]:
    async with opened(where) as hub:
        states, more = await hub.client.query_page(limit=limit, order=order, **conditions)
        # Unlike the URL, the description never holds a password.
        return states, more is not None, hub.backend.description


def show(
    instance: AnyId,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="Events at most.")] = 200,
    follow_it: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on showing events, until it has ended.")
    ] = False,
    as_json: AsJson = False,
    app: App = None,
    url: Url = None,
    hub: Hub = None,
) -> None:
    """Show an orchestration and its history; or an entity, what waits in its mailbox, and who has it locked.

    Exit status: 0 shown, with --follow completed; 1 it is not there, with --follow it did not complete.
    """
    where = Where(app, url, hub)
    if instance.startswith(ENTITY_MARK):
        show_entity(where, EntityId.parse(instance), as_json=as_json)
    elif follow_it:
        raise typer.Exit(anyio.run(follow, where, instance, as_json))
    else:
        _show_orchestration(where, instance, limit, as_json=as_json)


def _show_orchestration(where: Where, instance_id: str, limit: int, *, as_json: bool) -> None:
    state, history, damage = anyio.run(_story, where, instance_id)
    if as_json:
        document = _documents.state(state, history[:limit])
        _documents.write(document if damage is None else {**document, "damage": str(damage)})
    else:
        console().print(_render.state(state))
        if damage is None:
            lay_out(_render.history(history[:limit]))
        else:
            say(str(damage), "bold red")
        if state.failure is not None:
            console().print(_render.trace(state.failure))
    if len(history) > limit:
        what = f"The first {limit} of {len(history):,} events; --limit shows more."
        say_more(what, aside=as_json)


async def _story(
    where: Where, instance_id: str
) -> tuple[OrchestrationState, list[HistoryEvent], DurableError | None]:
    async with opened(where) as hub:
        state = await hub.client.get(instance_id)
        if state is None:
            raise InstanceNotFoundError(instance_id)
        try:
            return state, await hub.client.history(instance_id), None
        except CorruptHistoryError as error:
            return state, [], error  # what else is known of it is still worth to be shown


def stats(as_json: AsJson = False, app: App = None, url: Url = None, hub: Hub = None) -> None:
    """Count what a hub holds."""
    counts = anyio.run(_counts, Where(app, url, hub))
    if as_json:
        _documents.write(_documents.statistics(counts))
    else:
        lay_out(_render.statistics(counts))


async def _counts(where: Where) -> HubStatistics:
    async with opened(where) as hub:
        return await hub.statistics()
