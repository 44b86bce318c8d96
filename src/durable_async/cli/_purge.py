"""purge: deleting what has ended, by id, or all that a filter finds, counted before."""

from __future__ import annotations

from typing import Annotated

import anyio
import typer

from durable_async import TaskHub, ValidationError
from durable_async.client import Conditions

from . import _completion, _documents
from ._each import Verb, ids_of, to_each
from ._existing import opened
from ._naming import Names
from ._options import (
    App,
    AsJson,
    DryRun,
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
    Yes,
)
from ._terminal import make_sure, progress, say

BATCH = 500


def purge(
    ids: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ID]...",
            help="Ids; - reads them from standard input.",
            autocompletion=_completion.ids,
        ),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="All that have ended, in place of ids or filters.")
    ] = False,
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
    recursive: Annotated[
        bool,
        typer.Option("--recursive/--alone", help="Of ids: with sub-orchestrations, or without."),
    ] = True,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    app: App = None,
    url: Url = None,
    hub: Hub = None,
) -> None:
    """Delete orchestrations that have ended, with their histories: by id, or all that are found. They are counted before.

    Exit status: 0 deleted, 1 one of the ids had not ended or was not there, 2 refused.
    """
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
    where, conditions = Where(app, url, hub), filters.conditions()
    if sum((bool(ids), everything, bool(conditions))) != 1:
        raise ValidationError("ID", "say ids, or filters such as --completed-to 30d, or --all")
    if ids:
        raise typer.Exit(
            _purge_ids(where, ids, recursive=recursive, yes=yes, dry_run=dry_run, as_json=as_json)
        )
    count = anyio.run(_count, where, conditions)
    if dry_run:
        _tell(0, count, as_json=as_json)
        return
    if count:
        make_sure(f"Purge {count:,} orchestrations that have ended?", yes=yes)
    _tell(anyio.run(_purge_all, where, conditions, count), count, as_json=as_json)


def _purge_ids(
    where: Where, ids: list[str], *, recursive: bool, yes: bool, dry_run: bool, as_json: bool
) -> int:
    chosen = ids_of(ids)
    what = repr(chosen[0]) if len(chosen) == 1 else f"{len(chosen):,} orchestrations"

    async def do(hub: TaskHub, one: str) -> str:
        count = await hub.client.purge(one, recursive=recursive)
        return "was purged" if count <= 1 else f"was purged, with {count - 1:,} more below it"

    return anyio.run(
        lambda: to_each(
            where,
            chosen,
            Verb("purge", "ended", lambda state: state.is_ended, do),
            question=f"Purge {what}?",
            yes=yes,
            dry_run=dry_run,
            as_json=as_json,
        )
    )


async def _count(where: Where, conditions: Conditions) -> int:
    """Count those that have ended; the store is read page by page."""
    async with opened(where) as hub:
        return sum([one.is_ended async for one in hub.client.query(page_size=BATCH, **conditions)])


async def _purge_all(where: Where, conditions: Conditions, expected: int) -> int:
    count = 0
    async with opened(where) as hub:
        with progress("purging", expected) as tell:
            page: str | None = None
            while True:
                states, page = await hub.client.query_page(limit=BATCH, page=page, **conditions)
                ended = [one.instance_id for one in states if one.is_ended]
                if ended:
                    count += len(await hub.backend.purge(ended))
                    tell(count)
                if page is None:
                    return count


def _tell(purged: int, found: int, *, as_json: bool) -> None:
    if as_json:
        _documents.write({"found": found, "purged": purged})
    elif purged or not found:
        say(f"{purged:,} of {found:,} purged.")
    else:
        say(f"{found:,} would be purged.")
