"""Putting back what was parked: unpark."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Annotated

import anyio
import typer

from durable_async import EntityId, TaskHub, ValidationError
from durable_async.model.identity import ENTITY_MARK, check_instance_id

from . import _documents
from ._existing import opened
from ._exits import NOT_DONE
from ._options import App, AsJson, Hub, Url, Where
from ._terminal import progress, say

BATCH = 500

Parked = Mapping[str, str | None]
"""Reasons by id; none where it is not parked, or is not there."""


def unpark(
    ids: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ID]...", help="Ids of orchestrations, and of entities: @name@key."
        ),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="All that are parked, in place of ids.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say which they are, and why they are parked.")
    ] = False,
    as_json: AsJson = False,
    app: App = None,
    url: Url = None,
    hub: Hub = None,
) -> None:
    """Put back what was parked, once the cause is gone: it is ready at once, with no attempts counted.

    Exit status: 0 all are put back, 1 some are not parked (any more), or not there, 2 refused.
    """
    if bool(ids) == everything:
        raise ValidationError("ID", "name what to put back, or say --all, not both")
    parked, back = anyio.run(_unpark, Where(app, url, hub), ids or [], dry_run)
    if as_json:
        _write(parked, back, dry_run=dry_run)
    else:
        _say(parked, back, dry_run=dry_run)
    raise typer.Exit(NOT_DONE if len(back) < len(parked) else 0)


async def _unpark(where: Where, ids: Sequence[str], dry_run: bool) -> tuple[Parked, list[str]]:
    """Return what was asked for with the reasons, and what is put back, or would be."""
    async with opened(where) as hub:
        parked = await (_named(hub, ids) if ids else _all_parked(hub))
        chosen = [one for one, reason in parked.items() if reason is not None]
        return parked, chosen if dry_run else await _put_back(hub, chosen)


async def _all_parked(hub: TaskHub) -> Parked:
    found = {one.instance_id: one.parked async for one in hub.client.query(parked=True)}
    async for entity in hub.client.query_entities():
        if entity.parked is not None:
            found[str(entity.entity_id)] = entity.parked
    return found


async def _named(hub: TaskHub, ids: Sequence[str]) -> Parked:
    found: dict[str, str | None] = {}
    for one in ids:
        if one.startswith(ENTITY_MARK):
            entity = await hub.client.get_entity(EntityId.parse(one))
            found[one] = None if entity is None else entity.parked
        else:
            state = await hub.client.get(check_instance_id(one), payloads=False)
            found[one] = None if state is None else state.parked
    return found


async def _put_back(hub: TaskHub, ids: Sequence[str]) -> list[str]:
    """Return those that were still parked; the others were put back by somebody else meanwhile."""
    back: list[str] = []
    with progress("putting back", len(ids)) as tell:
        for batch in _batches(ids):
            back += await hub.backend.unpark(batch)
            tell(len(back))
    return back


def _batches(ids: Sequence[str]) -> Iterator[list[str]]:
    rest = iter(ids)
    while batch := list(islice(rest, BATCH)):
        yield batch


def _write(parked: Parked, back: Sequence[str], *, dry_run: bool) -> None:
    were_back = set() if dry_run else set(back)
    for one, reason in parked.items():
        _documents.write({"id": one, "put_back": one in were_back, "parked": reason})


def _say(parked: Parked, back: Sequence[str], *, dry_run: bool) -> None:
    were_back = set(back)
    for one, reason in parked.items():
        said = reason if one in were_back else "is not parked, or not there"
        say(f"{one}: {said}")
    verb = "would be put back" if dry_run else "put back"
    say(f"{len(back):,} of {len(parked):,} {verb}.")
