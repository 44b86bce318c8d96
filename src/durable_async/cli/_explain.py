"""explain: what an orchestration waits for, since when, and where its code stands."""

from __future__ import annotations

import anyio
import typer

from durable_async import EntityId
from durable_async.model.explanation import Explanation
from durable_async.model.identity import ENTITY_MARK

from . import _documents, _render
from ._entities import show_entity
from ._existing import opened
from ._exits import NOT_DONE
from ._naming import AnyId
from ._options import App, AsJson, Hub, Url, Where
from ._terminal import console


def explain(
    instance: AnyId,
    as_json: AsJson = False,
    app: App = None,
    url: Url = None,
    hub: Hub = None,
) -> None:
    """Say what an orchestration waits for, since when, and what is in its way; with --app also at which lines of its code.

    That code runs through the history once more; a turn that does not come back is interrupted after 5 seconds, or what your hub says.

    Exit status: 0 it goes on by itself, or has ended; 1 something is in its way, or it is not there.
    """
    where = Where(app, url, hub)
    if instance.startswith(ENTITY_MARK):
        show_entity(where, EntityId.parse(instance), as_json=as_json)
        return
    found = anyio.run(_explain, where, instance)
    if as_json:
        _documents.write(_documents.explanation(found))
    else:
        console().print(_render.explanation(found))
    if found.obstacles and not found.status.is_terminal:
        raise typer.Exit(NOT_DONE)


async def _explain(where: Where, instance_id: str) -> Explanation:
    async with opened(where) as hub:
        return await hub.explain(instance_id)
