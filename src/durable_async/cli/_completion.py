"""What a shell offers when Tab is pressed: ids and names of the hub that the words before it, or the environment, mean.

It is quick or says nothing: a store that does not answer, or a program that cannot be imported, is no answer to a Tab. Nor is an id in which a
shell would see more than a word: ids may come from whoever starts something, and shells take what is offered for what was typed, or evaluate it.
"""

from __future__ import annotations

import io
import re
from collections.abc import Awaitable, Callable
from contextlib import redirect_stderr, redirect_stdout

import anyio
import typer

from durable_async import EntityId, QueryOrder, TaskHub
from durable_async.client import EntityConditions
from durable_async.model.identity import ENTITY_MARK
from durable_async.registry import is_system_name

from ._existing import opened
from ._options import Where

SECONDS_MAX = 2.0
OFFERED_MAX = 100
LOOKED_AT = 500

_WORD = re.compile(r"[\w@][\w@%+=:,./-]*")
"""What no shell takes for anything but itself, and no command for an option."""


def ids(context: typer.Context, incomplete: str) -> list[str]:
    """Return ids of orchestrations that begin so; of entities, once their mark is typed."""
    if incomplete.startswith(ENTITY_MARK):
        return entities(context, incomplete)

    async def ask(hub: TaskHub) -> list[str]:
        found, _ = await hub.client.query_page(
            id_prefix=incomplete, order=QueryOrder.NEWEST, limit=OFFERED_MAX
        )
        return [one.instance_id for one in found]

    return _asked(context, ask)


def entities(context: typer.Context, incomplete: str) -> list[str]:
    """Return ids of entities that begin so."""

    async def ask(hub: TaskHub) -> list[str]:
        found, _ = await hub.client.query_entities_page(limit=LOOKED_AT, **_conditions(incomplete))
        return [
            str(one.entity_id)
            for one in found
            if str(one.entity_id).startswith(incomplete) and not is_system_name(one.entity_id.name)
        ]

    return _asked(context, ask)


def _conditions(incomplete: str) -> EntityConditions:
    if incomplete.count(ENTITY_MARK) < 2:
        return {}
    entity = EntityId.parse(incomplete)
    return {"name": entity.name, "key_prefix": entity.key}


def orchestrators(context: typer.Context, incomplete: str) -> list[str]:
    """Return names of orchestrators that begin so: those of the program, or else those that were started last."""

    async def ask(hub: TaskHub) -> list[str]:
        names = set(hub.registry.orchestrators)
        if not names:
            found, _ = await hub.client.query_page(order=QueryOrder.NEWEST, limit=LOOKED_AT)
            names = {one.name for one in found}
        return sorted(name for name in names if name.startswith(incomplete))

    return _asked(context, ask)


def _asked(context: typer.Context, ask: Callable[[TaskHub], Awaitable[list[str]]]) -> list[str]:
    said = context.params
    where = Where(said.get("app"), said.get("url"), said.get("hub"))

    async def run() -> list[str]:
        with anyio.move_on_after(SECONDS_MAX):
            async with opened(where) as hub:
                return [one for one in await ask(hub) if _WORD.fullmatch(one)][:OFFERED_MAX]
        return []

    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            return anyio.run(run)
    except Exception:  # noqa: BLE001 - whatever is wrong is said when the command runs
        return []
