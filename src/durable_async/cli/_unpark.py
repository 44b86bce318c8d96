"""Putting back what was parked: unpark."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from rich.console import Console
from rich.text import Text

from durable_async import EntityId, TaskHub, ValidationError
from durable_async.model.identity import ENTITY_MARK, check_instance_id

from . import _documents
from ._existing import existing_hub

EXIT_NOT_ALL = 1
BATCH = 500

Parked = Mapping[str, str | None]
"""Reasons by id; none where it is not parked, or is not there."""


async def unpark(
    url: str,
    hub: str,
    ids: Sequence[str],
    console: Console,
    *,
    everything: bool,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Put orchestrations and entities back, and say which; return the exit status."""
    if bool(ids) == everything:
        raise ValidationError("ID", "name what to put back, or say --all, not both")
    async with existing_hub(url, hub) as opened:
        parked = await (_all_parked(opened) if everything else _named(opened, ids))
        chosen = [one for one, reason in parked.items() if reason is not None]
        back = chosen if dry_run else await _put_back(opened, chosen)
    if as_json:
        _write(parked, back, dry_run=dry_run)
    else:
        _say(parked, back, console, dry_run=dry_run)
    return EXIT_NOT_ALL if len(back) < len(parked) else 0


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
    for batch in _batches(ids):
        back += await hub.backend.unpark(batch)
    return back


def _batches(ids: Sequence[str]) -> Iterator[list[str]]:
    rest = iter(ids)
    while batch := list(islice(rest, BATCH)):
        yield batch


def _write(parked: Parked, back: Sequence[str], *, dry_run: bool) -> None:
    were_back = set() if dry_run else set(back)
    for one, reason in parked.items():
        _documents.write({"id": one, "put_back": one in were_back, "parked": reason})


def _say(parked: Parked, back: Sequence[str], console: Console, *, dry_run: bool) -> None:
    were_back = set(back)
    for one, reason in parked.items():
        console.print(
            Text(f"{one}: {reason if one in were_back else 'is not parked, or not there'}")
        )
    verb = "would be put back" if dry_run else "put back"
    console.print(f"{len(back):,} of {len(parked):,} {verb}.", highlight=False)
