"""retention: how long what has ended is kept, and what its workers would delete by now."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

import anyio
import typer

from durable_async import Retention

from . import _documents, _render
from ._existing import opened
from ._options import App, AsJson, Hub, Url, Where, length_of
from ._terminal import console, lay_out, say


def retention(
    age: Annotated[
        str | None, typer.Option(metavar="SPAN", help="Try another age, such as 7d.")
    ] = None,
    failed: Annotated[
        str | None, typer.Option(metavar="SPAN", help="Try another age of those that failed.")
    ] = None,
    as_json: AsJson = False,
    app: App = None,
    url: Url = None,
    hub: Hub = None,
) -> None:
    """Say how long what has ended is kept, and what would be deleted by now; nothing is. Of --app it is that of your program, else the default."""
    changes: dict[str, Any] = {}
    if age is not None:
        changes["age"] = length_of(age, "--age")
    if failed is not None:
        changes["failed"] = length_of(failed, "--failed")

    async def run() -> tuple[Retention, dict[str, int]]:
        async with opened(Where(app, url, hub)) as found:
            policy = dataclasses.replace(found.retention, **changes)
            return policy, await found.count_expired(policy)

    policy, expired = anyio.run(run)
    if as_json:
        _documents.write(_documents.retention(policy, expired))
        return
    console().print(_render.retention(policy))
    if expired:
        lay_out(_render.expired(expired))
    else:
        say("Nothing would be deleted now.")
