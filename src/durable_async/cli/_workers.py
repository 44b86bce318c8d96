"""workers: who runs a hub, where, and what they hold."""

from __future__ import annotations

from collections.abc import Sequence

import anyio
import typer

from durable_async import WorkerState

from . import _documents, _render
from ._existing import opened
from ._exits import NOT_DONE
from ._options import App, AsJson, Hub, Url, Where
from ._terminal import lay_out, note, say


def workers(as_json: AsJson = False, app: App = None, url: Url = None, hub: Hub = None) -> None:
    """List the workers of a hub: host, process, until when they hold their lease, and what they have.

    Exit status: 0 at least one is alive, 1 none is.
    """
    found = anyio.run(_workers, Where(app, url, hub))
    if as_json:
        for worker in found:
            _documents.write(_documents.worker(worker))
    elif found:
        lay_out(_render.workers(found))
    if not any(worker.is_alive for worker in found):
        (note if as_json else say)(
            "No worker is alive in this hub: durable-async worker module:hub starts one."
        )
        raise typer.Exit(NOT_DONE)


async def _workers(where: Where) -> Sequence[WorkerState]:
    async with opened(where) as hub:
        return await hub.client.workers()
