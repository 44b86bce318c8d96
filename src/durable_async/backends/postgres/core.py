"""What all verbs share: the connections, the schema, the clock, and the hints that follow a commit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from durable_async.environment import Environment
from durable_async.errors import BackendError

from .address import PostgresTarget
from .clock import ServerClock
from .connecting import connect
from .ears import Ears
from .lifelines import Lifelines
from .link import ClientLinks, Link
from .schema import find_hub, prepare
from .statements import migrations_in, statements_in


class PostgresCore:
    """An open hub: its connections and its clock."""

    def __init__(
        self,
        dsn: str,
        *,
        environment: Environment,
        hub: str = "default",
        schema: str = "durable_async",
        direct_dsn: str | None = None,
        pool: Any = None,
        letters_max: int = 10_000,
        clients_max: int = 4,
        migrate: bool = True,
    ) -> None:
        """Describe a hub in a database; nothing is opened yet.

        Args:
            dsn: As asyncpg takes it, with several hosts and TLS settings if need be.
            environment: Where time comes from.
            hub: Which of the schema's task hubs.
            schema: The schema that holds the tables: lower-case letters, digits and underscores.
            direct_dsn: The same database without a pooler in between, for LISTEN and for the sign of life; ``dsn`` by default.
            pool: An ``asyncpg.Pool`` of yours for clients' verbs, in place of a small one of its own. It stays yours.
            letters_max: Most letters that clients may leave in one mailbox.
            clients_max: Most connections for clients' verbs.
            migrate: Upgrade the schema if that is needed and allowed; otherwise `SchemaVersionError` says what to do.
        """
        self._target = PostgresTarget(dsn=dsn, schema=schema, hub=hub, direct_dsn=direct_dsn)
        self._environment = environment
        self._hub_name = hub
        self._letters_max = letters_max
        self._migrate = migrate
        self._sql = statements_in(schema)
        self._schema_version = len(migrations_in(schema))
        self._hub = 0
        self._is_open = False
        self._clock = ServerClock(environment)
        self._commits = Link(self._target, "commits")
        self._work = Link(self._target, "work")
        self._clients = ClientLinks(self._target, clients_max, pool=pool)
        self._ears = Ears(self._target)
        self._lifelines = Lifelines(self._target)

    @property
    def description(self) -> str:
        """The server, database, schema and hub; never a password."""
        return self._target.description

    async def open(self) -> None:
        """Connect, create or upgrade the schema, create the hub if it is new."""
        if self._is_open:
            return
        self._is_open = True
        try:
            await self._prepare()
            await self._ears.open()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Let go of every connection and thread. Safe to repeat."""
        self._is_open = False
        await self._ears.close()
        await self._lifelines.close()
        for link in (self._work, self._commits, self._clients):
            await link.close()

    def now_us(self) -> int:
        """Return the server's clock, as far as it is known to have come; it never goes back here."""
        return self._clock.now_us()

    async def _prepare(self) -> None:
        connection = await connect(self._target, "setup")
        try:
            await prepare(connection, self._target.schema, may_upgrade=self._migrate)
            self._hub = await find_hub(connection, self._target.schema, self._hub_name)
            self._clock.hear(await connection.fetchval(self._sql["clock"]))
        finally:
            await connection.close()

    # -- for the verbs

    async def _ask(self, name: str, *values: Any) -> list[Any]:
        """Run a client's statement and return its rows."""
        return await self._on(self._clients.run, name, values)

    async def _do(self, name: str, *values: Any) -> list[Any]:
        """Run a worker's statement and return its rows."""
        return await self._on(self._work.run, name, values)

    async def _on(
        self,
        run: Callable[[Callable[[Any], Awaitable[list[Any]]]], Awaitable[list[Any]]],
        name: str,
        values: tuple[Any, ...],
    ) -> list[Any]:
        if not self._is_open:
            raise BackendError(f"{self.description} is not open")
        sql = self._sql[name]
        return await run(lambda connection: connection.fetch(sql, *values))
