"""Opening the hub that is meant: one that is there already, whose file, schema and name are not made here; or one of the user's own program."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from durable_async import ConfigurationError, Registry, TaskHub
from durable_async.backend import Backend

from ._modules import Program, load
from ._options import Where, is_said

NOWHERE = (
    "which hub is meant? say --url sqlite:///file.db (or DURABLE_ASYNC_URL), or --app module:hub"
)
DEFAULT_HUB = "default"


@asynccontextmanager
async def opened(where: Where) -> AsyncGenerator[TaskHub, None]:
    """Open the hub that the options mean, to look at it or to see to it.

    Raises:
        ConfigurationError: Nothing says which, or there is no such file, hub or program.
    """
    program = program_of(where)
    if program is not None and program.hub is not None:
        async with program.hub:
            yield program.hub
        return
    if where.url is None:
        raise ConfigurationError(NOWHERE)
    registry = None if program is None else program.registry
    async with existing_hub(where.url, where.hub or DEFAULT_HUB, registry) as hub:
        yield hub


def program_of(where: Where) -> Program | None:
    """Return the user's program, if it is meant: what is said on the command line counts more than what the environment says.

    Raises:
        ConfigurationError: It is not there; or it is a hub, and another one is said beside it.
    """
    is_elsewhere = is_said(where.url, "DURABLE_ASYNC_URL") or is_said(
        where.hub, "DURABLE_ASYNC_HUB"
    )
    if where.app is None or (is_elsewhere and not is_said(where.app, "DURABLE_ASYNC_APP")):
        return None
    program = load(where.app)
    if program.hub is not None and is_elsewhere:
        raise ConfigurationError(
            f"{program.spec!r} is a TaskHub, which knows its store: leave out --url and --hub"
        )
    return program


@asynccontextmanager
async def existing_hub(
    url: str, hub: str, registry: Registry | None = None
) -> AsyncGenerator[TaskHub, None]:
    """Open a hub by its address.

    Raises:
        ConfigurationError: There is no such file or hub.
    """
    async with TaskHub.open(await _existing(url, hub), hub=hub, registry=registry) as found:
        yield found


async def _existing(url: str, hub: str) -> str | Backend:
    if url.startswith(("postgresql://", "postgres://")):
        return await _existing_in_postgres(url, hub)
    parts = urlsplit(url)
    if parts.scheme == "memory":
        raise ConfigurationError(
            "memory:// lives and dies with the process that opens it, so there is nothing in it here: say where the hub's store is"
        )
    if parts.scheme == "sqlite" and parts.path[1:]:  # without, it is refused when it is opened
        _check_file(Path(unquote(parts.path)[1:]), hub)
    return url


def _check_file(path: Path, hub: str) -> None:
    if not path.is_file():
        raise ConfigurationError(
            f"there is no file {str(path.absolute())!r}: whoever opens a hub in it makes it, such as durable-async worker"
        )
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
