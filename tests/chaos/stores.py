"""The stores that faults happen on: a SQLite file, a Postgres server, one behind proxies, a primary with its standby."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import asyncpg
from audit import DDL
from worker import Orders

from durable_async.backends.postgres.embedded import EmbeddedPostgres, find_binaries
from durable_async.testing.proxy import FaultProxy

HUB = "chaos"
_SETTINGS = {"max_connections": "120"}
_SYNC_SECONDS = 30.0
_AUDIT = """
select a.*, coalesce(i.id, a.key::text) as instance from chaos.audit a
left join durable_async.instances i on i.hub = a.hub and i.key = a.key order by a.id
"""
_DEADLOCKS = "select coalesce(sum(deadlocks), 0)::int from pg_stat_database"
_COLLISIONS = (
    "a receiver came or went while others were waited for",
    "the id came or went while it was looked at",
)
"""Ends of errors that the schema raises so that a statement is undone and made again: it would have waited in another order."""

_CONFIGURATION = "postgresql.auto.conf"


class Store(Protocol):
    """Where a hub is, for workers and customers."""

    name: str

    async def open(self) -> None:
        """Start what there is to start."""
        ...

    def close(self) -> None:
        """End it."""
        ...

    def orders(self, number: int, place: int, identities: str, settings: dict[str, Any]) -> Orders:
        """Say what a worker process does."""
        ...

    def client(self) -> Orders:
        """Say where the customers' hub is."""
        ...

    async def begin_audit(self) -> None:
        """Let the store keep a ledger of its own, if it can."""
        ...

    async def audit(self) -> list[Any]:
        """Read that ledger."""
        ...

    def errors(self) -> list[str]:
        """Return what the store logged as an error."""
        ...

    async def deadlocks(self) -> int:
        """Return how many it had to resolve since it was started last."""
        ...


class SqliteStore:
    """A file."""

    name = "sqlite"

    def __init__(self, folder: Path) -> None:
        self.file = folder / "hub.db"
        self._url = f"sqlite:///{self.file}"

    async def open(self) -> None:
        """Nothing runs."""

    async def begin_audit(self) -> None:
        """A file keeps no ledger of its own."""

    async def audit(self) -> list[Any]:
        """Return nothing: see above."""
        return []

    def close(self) -> None:
        """Nothing runs."""

    def errors(self) -> list[str]:
        """Nothing is logged."""
        return []

    async def deadlocks(self) -> int:
        """There is one lock."""
        return 0

    def orders(self, number: int, place: int, identities: str, settings: dict[str, Any]) -> Orders:
        """Say what a worker does."""
        return Orders(self._url, identities, HUB, settings=settings)

    def client(self) -> Orders:
        """Say where the customers' hub is."""
        return Orders(self._url, "", HUB)

    def remote_client(self) -> Orders:
        """Say where the hub is for a client in another process."""
        return self.client()


class PostgresStore:
    """A server of its own, that syncs to the disk as a real one does."""

    name = "postgres"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = EmbeddedPostgres(folder / "server", settings=_SETTINGS)

    @property
    def dsn(self) -> str:
        """Where it is."""
        return self.server.dsn

    async def open(self) -> None:
        """Start it."""
        self.server.start()

    def close(self) -> None:
        """End it."""
        self.server.stop(immediately=True)

    def orders(self, number: int, place: int, identities: str, settings: dict[str, Any]) -> Orders:
        """Say what a worker does; the server is told which process it is."""
        return Orders(f"{self.dsn}?chaos.process={number}", identities, HUB, settings=settings)

    def client(self) -> Orders:
        """Say where the customers' hub is."""
        return Orders(self.dsn, "", HUB)

    @property
    def admin_dsn(self) -> str:
        """Where the administrator goes: to the primary, past everything."""
        return self.server.dsn

    async def begin_audit(self) -> None:
        """Let the server keep a ledger of its own, in a schema that is there."""
        await self.execute(DDL.read_text())

    async def audit(self) -> list[Any]:
        """Read that ledger."""
        connection = await asyncpg.connect(self.admin_dsn)
        try:
            return list(await connection.fetch(_AUDIT))
        finally:
            await connection.close()

    async def execute(self, *statements: str) -> int:
        """Run statements as the administrator; returns the last one's only value, if it is a number."""
        connection = await asyncpg.connect(self.admin_dsn)
        try:
            for statement in statements[:-1]:
                await connection.execute(statement)
            if statements[-1].lstrip().startswith("select"):
                return int(await connection.fetchval(statements[-1]))
            await connection.execute(statements[-1])
            return 0
        finally:
            await connection.close()

    async def deadlocks(self) -> int:
        """Return how many the server had to resolve since it was started last."""
        return await self.execute(_DEADLOCKS)

    def errors(self) -> list[str]:
        """Return what the server logged as an error."""
        return self._errors_in(self.server)

    @staticmethod
    def _errors_in(server: EmbeddedPostgres) -> list[str]:
        log = server.folder / "log"
        text = log.read_text(errors="replace") if log.exists() else ""
        return [
            line
            for line in text.splitlines()
            if " ERROR: " in line and not line.endswith(_COLLISIONS)
        ]


class ProxiedStore(PostgresStore):
    """A server, and a proxy before it for each place in the fleet."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.proxies: dict[int, FaultProxy] = {}

    def orders(self, number: int, place: int, identities: str, settings: dict[str, Any]) -> Orders:
        """Say what a worker does, through the proxy of its place."""
        if place not in self.proxies:
            self.proxies[place] = FaultProxy(self.server.port)
        orders = super().orders(number, place, identities, settings)
        orders.url = self.proxies[place].through(orders.url)
        return orders

    def close(self) -> None:
        """End proxies and server."""
        for proxy in self.proxies.values():
            proxy.close()
        super().close()


class PostgresPair(PostgresStore):
    """A primary and a synchronous standby, on two ports that stay; the DSN names both."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._binaries = find_binaries()
        self._standby = EmbeddedPostgres(folder / "standby", settings=_SETTINGS)
        self._earlier_errors: list[str] = []

    @property
    def dsn(self) -> str:
        """Both, and whoever of them is the primary at the moment."""
        parts = urlsplit(self.server.dsn)
        user = parts.netloc.rpartition("@")[0]
        ports = sorted((self.server.port, self._standby.port))
        hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
        return f"postgresql://{user}@{hosts}{parts.path}"

    async def open(self) -> None:
        """Start both."""
        self.server.start()
        await self.add_standby()

    def close(self) -> None:
        """End both."""
        super().close()
        self._standby.stop(immediately=True)

    def kill_primary(self) -> None:
        """Kill it with SIGKILL."""
        self.server.kill()

    async def promote(self) -> None:
        """Make the standby the primary, which then waits for nobody."""
        self.server, self._standby = self._standby, self.server
        connection = await asyncpg.connect(self.admin_dsn)
        try:
            if not await connection.fetchval("select pg_promote(true, 30)"):
                raise RuntimeError("the standby was not promoted")
        finally:
            await connection.close()

    async def add_standby(self) -> None:
        """Make the other server anew as a copy of the primary, and let each commit wait for it from then on."""
        folder = self._standby.folder
        self._earlier_errors += self._errors_in(self._standby)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        shutil.copy(self.server.folder / "password", folder / "password")
        await asyncio.to_thread(self._copy, folder / "data")
        self._standby.start()
        await self.execute(
            "alter system set synchronous_standby_names = 'standby'", "select pg_reload_conf()::int"
        )
        async with asyncio.timeout(_SYNC_SECONDS):
            while not await self.execute(
                "select count(*) from pg_stat_replication where sync_state = 'sync'"
            ):
                await asyncio.sleep(0.05)

    def errors(self) -> list[str]:
        """Return what either of them logged as an error, also before it was made anew."""
        return [*self._earlier_errors, *super().errors(), *self._errors_in(self._standby)]

    def _copy(self, data: Path) -> None:
        parts = urlsplit(self.server.dsn)
        source = (
            f"host=127.0.0.1 port={self.server.port} user={parts.username} password={parts.password}"
            " application_name=standby"
        )
        command = [str(self._binaries / "pg_basebackup"), "-D", str(data), "-R", "-X", "stream"]
        subprocess.run([*command, "-c", "fast", "-d", source], check=True, capture_output=True)
        # What the primary waits for must not be what its copy waits for.
        configuration = data / _CONFIGURATION
        lines = configuration.read_text().splitlines()
        kept = [line for line in lines if not line.startswith("synchronous_standby_names")]
        configuration.write_text("\n".join(kept) + "\n")


class ProxiedPair(PostgresPair):
    """A server and, now and then, its standby; each place in the fleet and each client has a proxy of its own, which follows a promotion."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.proxies: dict[int, FaultProxy] = {}
        self.clients: list[FaultProxy] = []

    async def open(self) -> None:
        """Start the one; the standby comes when it is needed."""
        self.server.start()

    def close(self) -> None:
        """End proxies and servers."""
        for proxy in (*self.proxies.values(), *self.clients):
            proxy.close()
        super().close()

    def orders(self, number: int, place: int, identities: str, settings: dict[str, Any]) -> Orders:
        """Say what a worker does, through the proxy of its place."""
        if place not in self.proxies:
            self.proxies[place] = FaultProxy(self.server.port)
        url = self.proxies[place].through(f"{self.server.dsn}?chaos.process={number}")
        return Orders(url, identities, HUB, settings=settings)

    def remote_client(self) -> Orders:
        """Say where the hub is for a client in another process."""
        return self.client()

    def client(self) -> Orders:
        """Say where the customers' hub is, through a proxy of their own, which follows a promotion."""
        proxy = FaultProxy(self.server.port)
        self.clients.append(proxy)
        return Orders(proxy.through(self.server.dsn), "", HUB)

    async def promote(self) -> None:
        """Make the standby the primary, and lead everybody there."""
        await super().promote()
        for proxy in (*self.proxies.values(), *self.clients):
            proxy.redirect(self.server.port)
