"""What all verbs share: the connections, the schema, the clock, and the hints that follow a commit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any, TypeAlias

import anyio

from durable_async.environment import Environment, SystemEnvironment
from durable_async.errors import (
    BackendError,
    BackendUnavailableError,
    ConfigurationError,
    SchemaVersionError,
)

from .address import SCHEMA, PostgresTarget, options_of
from .clock import ServerClock
from .connecting import connect
from .doubts import Doubts
from .ears import Ears
from .failures import DRIVER_ERRORS, is_turned_away, is_unknown, translate
from .inspection import inspect, warn
from .lifelines import Lifelines
from .link import ClientLinks, Link, close_gently
from .near import Near
from .rows import Row
from .schema import find_hub, prepare
from .statements import migrations_in, statements_in

_Run: TypeAlias = Callable[[Callable[[Any], Awaitable[list[Any]]]], Awaitable[list[Any]]]
"""Runs a job on a connection."""

_LETTERS_MAX = 10_000
_CLIENTS_MAX = 4


class PostgresCore:
    """An open hub: its connections and its clock."""

    def __init__(
        self,
        dsn: str,
        *,
        environment: Environment | None = None,
        hub: str = "default",
        schema: str | None = None,
        direct_dsn: str | None = None,
        pool: Any = None,
        letters_max: int | None = None,
        clients_max: int | None = None,
        migrate: bool | None = None,
    ) -> None:
        """Describe a hub in a database; nothing is opened yet.

        ``schema``, ``direct_dsn``, ``letters_max``, ``clients_max`` and ``migrate`` may stand in the DSN instead, as in
        ``postgresql://user@host/database?schema=billing&clients_max=8&migrate=false``; `TaskHub.open` takes the same text.

        Args:
            dsn: As asyncpg takes it, with several hosts (``postgresql://one,two/database``: the one that can be written is found) and
                TLS settings (``sslmode=verify-full&sslrootcert=ca.pem``) if need be.
            environment: Where time comes from; only tests change it.
            hub: Which of the schema's task hubs.
            schema: The schema that holds the tables, ``durable_async`` by default: lower-case letters, digits and underscores.
            direct_dsn: The same database without a pooler in between, for LISTEN and for the sign of life; ``dsn`` by default.
            pool: An ``asyncpg.Pool`` of yours for clients' verbs, in place of a small one of its own. It stays yours: open before
                the hub, and closed after it.
            letters_max: Most letters that clients may leave in one mailbox; 10,000 by default.
            clients_max: Most connections for clients' verbs; 4 by default. They are given back when they are not used for a while.
            migrate: Whether to upgrade the schema if that is needed and allowed, as by default; otherwise `SchemaVersionError` says
                what to do.

        Raises:
            ConfigurationError: The DSN or an option makes no sense.
        """
        address, options = options_of(
            dsn,
            {
                "schema": schema,
                "direct_dsn": direct_dsn,
                "letters_max": letters_max,
                "clients_max": clients_max,
                "migrate": migrate,
            },
        )
        chosen: str = options.get("schema", SCHEMA)
        self._target = PostgresTarget(
            dsn=address, schema=chosen, hub=hub, direct_dsn=options.get("direct_dsn")
        )
        self._environment = environment or SystemEnvironment()
        self._hub_name = hub
        self._letters_max: int = options.get("letters_max", _LETTERS_MAX)
        self._migrate: bool = options.get("migrate", True)
        self._sql = statements_in(chosen)
        self._schema_version = len(migrations_in(chosen))
        self._hub = 0
        self._is_open = False
        self._clock = ServerClock(self._environment)
        doubts = Doubts(self._target)
        self._commits = Link(self._target, "commits", doubts=doubts)
        self._work = Link(self._target, "work", doubts=doubts)
        self._clients = ClientLinks(
            self._target, options.get("clients_max", _CLIENTS_MAX), pool=pool, doubts=doubts
        )
        self._has_pool = pool is not None
        self._ears = Ears(self._target)
        self._lifelines = Lifelines(self._target)
        self._near = Near()

    @property
    def description(self) -> str:
        """The server, database, schema and hub; never a password."""
        return self._target.description

    @property
    def hub_name(self) -> str:
        """The name of the task hub."""
        return self._hub_name

    async def open(self) -> None:
        """Connect, create or upgrade the schema, create the hub if it is new.

        Raises:
            ConfigurationError: The server cannot be used: a standby, too old, or not in UTF-8.
            SchemaVersionError: The schema is newer than this release, or needs an upgrade that was not or could not be made.
            BackendUnavailableError: Nobody answers, or we are not let in.
        """
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
        """Let go of every connection and thread, of all of them also for who is cancelled: it takes seconds at most. Safe to repeat."""
        self._is_open = False
        self._near.clear()
        with anyio.CancelScope(shield=True):
            async with AsyncExitStack() as closing:  # what was pushed last is done first
                for one in (self._clients, self._commits, self._work, self._lifelines, self._ears):
                    closing.push_async_callback(one.close)

    def now_us(self) -> int:
        """Return the server's clock, as far as it is known to have come; it never goes back here."""
        return self._clock.now_us()

    async def _enter(self) -> Any:
        try:
            return await connect(self._target, "setup")
        except BackendUnavailableError as error:
            if is_turned_away(
                error
            ):  # at first it is a mistake; later it may be a password that is being changed
                raise ConfigurationError(str(error)) from error.__cause__
            raise

    async def _prepare(self) -> None:
        connection = await self._enter()
        try:
            warn(self._target, await inspect(connection, self._target))
            await prepare(connection, self._target.schema, may_upgrade=self._migrate)
            self._hub = await find_hub(connection, self._target.schema, self._hub_name)
            self._clock.hear(await connection.fetchval(self._sql["clock"]))
        except SchemaVersionError as error:
            raise SchemaVersionError(
                error.found, error.wanted, error.reason, store=self.description
            ) from error.__cause__
        except DRIVER_ERRORS as error:
            raise translate(error, self.description) from error
        finally:
            await close_gently(connection)
        if self._has_pool:
            await self._check_pool()

    async def _check_pool(self) -> None:
        """See to it that the caller's pool leads to the same hub."""
        try:
            rows = await self._ask("find_hub", self._hub_name)
        except BackendUnavailableError:
            raise
        except BackendError:
            rows = []
        if [row[0] for row in rows] != [self._hub]:
            raise ConfigurationError(
                f"the pool does not lead to {self.description}, or may not use it"
            )

    # -- for the verbs

    async def _ask(self, name: str, *values: Any) -> list[Any]:
        """Run a client's statement and return its rows."""
        return await self._on(self._clients.run, name, values)

    async def _do(self, name: str, *values: Any) -> list[Any]:
        """Run a worker's statement and return its rows."""
        return await self._on(self._work.run, name, values)

    async def _on(self, run: _Run, name: str, values: tuple[Any, ...]) -> list[Any]:
        sql = self._statement(name)
        return await run(lambda connection: connection.fetch(sql, *values))

    async def _put(
        self,
        run: _Run,
        name: str,
        values: tuple[Any, ...],
        note: Callable[[Sequence[Row]], bool],
        lose: Callable[[], None] | None = None,
    ) -> list[Any]:
        """Run a statement that may bring something to this process's own workers.

        Args:
            run: Where to.
            name: Of the statement.
            values: Its parameters.
            note: Notes what its rows bring, also if the caller has left by then; returns whether the workers are to look for it.
            lose: Notes that its rows were lost, if more is to be noted than that there may be letters.
        """
        sql = self._statement(name)

        async def job(connection: Any) -> list[Any]:
            try:
                rows: list[Any] = await connection.fetch(sql, *values)
            except BaseException as error:
                if self._may_have_landed(error):
                    if lose is not None:
                        lose()
                    if self._near.doubt():
                        self._ears.nudge()
                raise
            if note(rows):
                self._ears.nudge()
            return rows

        return await run(job)

    def _may_have_landed(self, error: BaseException) -> bool:
        known = isinstance(error, DRIVER_ERRORS)
        return not known or is_unknown(translate(error, self.description))

    def _statement(self, name: str) -> str:
        if not self._is_open:
            raise BackendError(f"{self.description} is not open")
        return self._sql[name]
