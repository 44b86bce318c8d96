"""Opening a hub that is there already: no file is made, no schema is made or upgraded, and no hub."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from durable_async import ConfigurationError, TaskHub
from durable_async.backend import Backend


@asynccontextmanager
async def existing_hub(url: str, hub: str) -> AsyncGenerator[TaskHub, None]:
    """Open a hub to look at it or to see to it.

    Raises:
        ConfigurationError: There is no such file or hub.
    """
    async with TaskHub.open(await _existing(url, hub), hub=hub) as opened:
        yield opened


async def _existing(url: str, hub: str) -> str | Backend:
    if url.startswith(("postgresql://", "postgres://")):
        return await _existing_in_postgres(url, hub)
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        _check_file(Path(unquote(parts.path)[1:]), hub)
    return url


def _check_file(path: Path, hub: str) -> None:
    from durable_async.backends.sqlite.administration import hubs_of

    _check_name(f"sqlite {path}", hub, hubs_of(path))


async def _existing_in_postgres(url: str, hub: str) -> Backend:
    from durable_async.backends.postgres import PostgresBackend
    from durable_async.backends.postgres.address import parse_url
    from durable_async.backends.postgres.administration import Administration

    administration = Administration(url)
    _check_name(administration.description, hub, await administration.hubs())
    dsn, options = parse_url(url)
    options["migrate"] = False
    return PostgresBackend(dsn, hub=hub, **options)


def _check_name(store: str, hub: str, names: Sequence[str]) -> None:
    if hub not in names:
        known = ", ".join(map(repr, names)) or "none"
        raise ConfigurationError(f"{store} has no hub {hub!r}; what it has: {known}")
