"""The schema of a database, for whoever looks after it: where it stands, what is missing, and how that is applied."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from durable_async.backends._migrations import Migration
from durable_async.errors import SchemaVersionError

from . import schema
from .address import PostgresTarget, parse_url
from .connecting import connect
from .failures import DRIVER_ERRORS, translate
from .schema import Standing
from .statements import migrations_in, statements_in

DEFAULT_SCHEMA = "durable_async"


class Administration:
    """A schema in a database. Nothing is changed but by `upgrade`."""

    def __init__(self, url: str) -> None:
        """Take the URL of a hub; a password in it is shown nowhere."""
        dsn, options = parse_url(url)
        self._target = PostgresTarget(
            dsn=dsn,
            schema=options.get("schema", DEFAULT_SCHEMA),
            direct_dsn=options.get("direct_dsn"),
        )

    @property
    def schema(self) -> str:
        """Its name."""
        return self._target.schema

    @property
    def description(self) -> str:
        """Server, database and schema; never a password."""
        return f"postgres {self._target.place} (schema {self.schema!r})"

    @property
    def known(self) -> int:
        """The schema version of this release."""
        return len(migrations_in(self.schema))

    async def standing(self) -> Standing:
        """Look where the schema stands.

        Raises:
            BackendError: The server does not answer, or does not let us look.
        """
        async with self._connection() as connection:
            return await schema.standing_of(connection, self.schema)

    async def look(self) -> tuple[Standing, str | None]:
        """Look where the schema stands and, if its number is this release's or a later one, what it lacks nevertheless, in words.

        Raises:
            BackendError: The server does not answer, or does not let us look.
        """
        async with self._connection() as connection:
            standing = await schema.standing_of(connection, self.schema)
            if standing.version < self.known:
                return standing, None
            return standing, await schema.lack_of(connection, self.schema)

    async def hubs(self) -> list[str]:
        """Return the names of the hubs in the schema, in order.

        Raises:
            BackendError: The server does not answer, or does not let us look.
            SchemaVersionError: There is no schema.
        """
        async with self._connection() as connection:
            if not (await schema.standing_of(connection, self.schema)).version:
                raise SchemaVersionError(0, self.known, store=self.description)
            rows = await connection.fetch(statements_in(self.schema)["hub_names"])
        return [row["name"] for row in rows]

    async def upgrade(self) -> list[Migration]:
        """Apply what is missing, and return it.

        Raises:
            BackendError: The server does not answer, or the role may not change the schema.
            BackendUnavailableError: The schema is in use. What was applied stays; try again.
            SchemaVersionError: It is too new, or another one of the same number, or workers run that the next step would break.
        """
        async with self._connection() as connection:
            return await schema.upgrade(connection, self.schema)

    @asynccontextmanager
    async def _connection(self) -> AsyncGenerator[Any, None]:
        connection = await connect(self._target, "migrate", direct=True)
        try:
            yield connection
        except DRIVER_ERRORS as error:
            raise translate(error, self.description) from error
        finally:
            await connection.close()


def check_schema_name(name: str) -> str:
    """Return a name that may stand in a script.

    Raises:
        ConfigurationError: It may not.
    """
    return PostgresTarget(dsn="postgresql:///", schema=name).schema
