"""Looking into a hub: list, entities, show, stats."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from rich.console import Console

from durable_async import (
    ConfigurationError,
    EntityId,
    InstanceNotFoundError,
    TaskHub,
)
from durable_async.backend import Backend
from durable_async.client import EntityConditions
from durable_async.model.identity import ENTITY_MARK

from . import _render


def _refuse_new_file(url: str) -> None:
    parts = urlsplit(url)
    path = unquote(parts.path)[1:]
    if parts.scheme == "sqlite" and not Path(path).is_file():
        raise ConfigurationError(f"there is no file {path!r}")


@asynccontextmanager
async def _existing_hub(url: str, hub: str) -> AsyncGenerator[TaskHub, None]:
    """Open a hub to look at it: no file is made, no schema is made or upgraded, and in Postgres no hub."""
    _refuse_new_file(url)
    async with TaskHub.open(await _looked_at(url, hub), hub=hub) as opened:
        yield opened


async def _looked_at(url: str, hub: str) -> str | Backend:
    if not url.startswith(("postgresql://", "postgres://")):
        return url
    from durable_async.backends.postgres import PostgresBackend
    from durable_async.backends.postgres.address import parse_url
    from durable_async.backends.postgres.administration import Administration

    administration = Administration(url)
    names = await administration.hubs()
    if hub not in names:
        known = ", ".join(map(repr, names)) or "none"
        raise ConfigurationError(
            f"{administration.description} has no hub {hub!r}; what it has: {known}"
        )
    dsn, options = parse_url(url)
    options["migrate"] = False
    return PostgresBackend(dsn, hub=hub, **options)


async def list_instances(url: str, hub: str, limit: int, console: Console) -> None:
    """Print a table of instances."""
    async with _existing_hub(url, hub) as opened:
        states, more = await opened.client.query_page(limit=limit)
        description = opened.backend.description  # unlike the URL, it never holds a password
    if not states:
        console.print(f"There are no orchestrations in the hub {hub!r}: {description}.")
        return
    console.print(_render.instances(states))
    if more is not None:
        console.print(f"The first {limit}; --limit shows more.")


async def list_entities(
    url: str, hub: str, name: str | None, key_prefix: str, limit: int, console: Console
) -> None:
    """Print a table of entities."""
    conditions: EntityConditions = {"key_prefix": key_prefix}
    if name is not None:
        conditions["name"] = name
    async with _existing_hub(url, hub) as opened:
        states, more = await opened.client.query_entities_page(limit=limit, **conditions)
        description = opened.backend.description
    if not states:
        console.print(f"There are no such entities in the hub {hub!r}: {description}.")
        return
    console.print(_render.entities(states))
    if more is not None:
        console.print(f"The first {limit}; --limit shows more.")


async def show_instance(url: str, hub: str, instance_id: str, limit: int, console: Console) -> None:
    """Print an instance's state and history; of an entity, its state and locks."""
    if instance_id.startswith(ENTITY_MARK):
        await _show_entity(url, hub, EntityId.parse(instance_id), console)
        return
    async with _existing_hub(url, hub) as opened:
        state = await opened.client.get(instance_id)
        if state is None:
            raise InstanceNotFoundError(instance_id)
        history = await opened.client.history(instance_id)
    console.print(_render.state(state))
    console.print(_render.history(history[:limit]))
    if len(history) > limit:
        console.print(f"The first {limit} of {len(history):,} events; --limit shows more.")


async def _show_entity(url: str, hub: str, entity: EntityId, console: Console) -> None:
    async with _existing_hub(url, hub) as opened:
        state = await opened.client.get_entity(entity)
        if state is None:
            raise InstanceNotFoundError(str(entity))
        locks = await opened.client.entity_locks(entity)
    console.print(_render.entity(state, locks))


async def show_statistics(url: str, hub: str, console: Console) -> None:
    """Print what a hub holds."""
    async with _existing_hub(url, hub) as opened:
        counts = await opened.statistics()
    console.print(_render.statistics(counts))
