"""A Postgres hub for one process in a test: connections go from hub to hub, and nobody else is told of anything."""

from __future__ import annotations

from typing import Any, cast

from durable_async.backends.postgres import PostgresBackend
from durable_async.backends.postgres.ears import Ears
from durable_async.backends.postgres.link import ClientLinks, Link

_GO_BY = "select set_config('durable_async.clock', $1, false)"


class _KeptLink(Link):
    """A link whose connection can be taken over from another one."""

    def adopt(self, connection: Any) -> None:
        """Use a connection."""
        self._connection = connection

    def part(self) -> Any:
        """Return the connection, if there is one, and use it no more."""
        connection, self._connection = self._connection, None
        return None if connection is None or connection.is_closed() else connection


class _NearEars(Ears):
    """Hears what this process says, and nothing else."""

    async def open(self) -> None:
        """Leave the server alone."""


class KeptBackend(PostgresBackend):
    """A hub that begins with the connections of hubs that were closed: what a session has learned costs more than most tests."""

    def __init__(self, dsn: str, *, clock: str, idle: list[Any], **options: Any) -> None:
        """Describe it.

        Args:
            dsn: Where it is.
            clock: Name of its clock.
            idle: Connections of hubs that were closed.
            **options: Of `PostgresBackend`.
        """
        super().__init__(dsn, **options)
        self._clock_name = clock
        self._idle = idle
        self._ears = _NearEars(self._target)
        self._kept = [_KeptLink(self._target, role) for role in ("work", "commits", "client")]
        self._work, self._commits = self._kept[:2]
        self._clients = cast("ClientLinks", self._kept[2])  # calls come one at a time

    async def open(self) -> None:
        """Open it with connections that are there."""
        for link in self._kept:
            if self._idle:
                connection = self._idle.pop()
                await connection.execute(_GO_BY, self._clock_name)
                link.adopt(connection)
        await super().open()

    async def close(self) -> None:
        """Close it, and leave its connections to others."""
        self._idle += [one for one in (link.part() for link in self._kept) if one is not None]
        await super().close()
