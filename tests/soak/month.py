"""A month in virtual time: what comes and goes leaves nothing in any table, however long the store keeps it. Nobody purges anything."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import NamedTuple

import anyio
from insides import kept
from program import COUNTED, Account, Board, Count, chain, count, family, fan, race, registry, work

from durable_async import Client, OrchestrationContext, ReusePolicy, TaskHub
from durable_async.backend import Backend
from durable_async.backends.memory import MemoryBackend
from durable_async.backends.memory.store import MemoryStore
from durable_async.backends.sqlite import SqliteBackend
from durable_async.testing import VirtualEnvironment
from durable_async.testing.settings import CALM

DAY = 86_400.0
FORGOTTEN_DAYS = 62
"""After so long the store has forgotten everything: what ended is kept for 30 days by default, and then its number for as long."""

_ETERNAL = 3


@registry.orchestrator
async def patrol(ctx: OrchestrationContext, hours: float) -> None:
    """Go round for ever: wait, work, tell a board."""
    await asyncio.sleep(hours * 3600)
    await ctx.call_activity(work, ctx.execution)
    ctx.signal_entity(Board.entity_id("patrol"), Board.note, ctx.execution)
    ctx.continue_as_new(hours)


class Rows(NamedTuple):
    """Rows of each table: before, at the most, and after."""

    before: dict[str, int]
    most: dict[str, int]
    after: dict[str, int]

    def left(self) -> dict[str, int]:
        """Return how many rows more than before there are, where there are."""
        left = {name: count - self.before.get(name, 0) for name, count in self.after.items()}
        return {name: count for name, count in left.items() if count > 0}


class Month:
    """A hub that is used for some days, and then left alone.

    Args:
        env: Virtual time.
        folder: Where a SQLite file may be; without one the hub is in memory.
        days: How long it is used, and
        daily: how often each kind of thing is done a day.
    """

    def __init__(
        self, env: VirtualEnvironment, folder: Path | None, *, days: int, daily: int
    ) -> None:
        self._env = env
        self._file = None if folder is None else folder / "month.db"
        self._days = days
        self._daily = daily
        self._store = MemoryStore(env)

    async def run(self) -> Rows:
        """Use it, leave it alone, and return how many rows there were."""
        async with self._hub() as hub, hub.worker(settings=CALM):
            before = self._rows()
            most = dict(before)
            await self._begin(hub.client)
            for day in range(self._days):
                await self._spend(hub.client, day)
                most = {name: max(most.get(name, 0), rows) for name, rows in self._rows().items()}
                await hub.client.clean_entities()
            await self._end(hub.client)
            await anyio.sleep(FORGOTTEN_DAYS * DAY)
            return Rows(before, most, self._rows())

    @asynccontextmanager
    async def _hub(self) -> AsyncIterator[TaskHub]:
        backend: Backend = (
            MemoryBackend(self._store, environment=self._env)
            if self._file is None
            else SqliteBackend(self._file, environment=self._env, inline=True)
        )
        async with TaskHub.open(backend, registry=registry, environment=self._env) as hub:
            yield hub

    def _rows(self) -> dict[str, int]:
        if self._file is None:
            rows = kept([self._store])
            return {name: count for name, count in rows.items() if "Loop." not in name}
        with closing(sqlite3.connect(self._file)) as connection:
            names = connection.execute(
                "select name from sqlite_schema where type = 'table' and name not like 'sqlite%'"
            ).fetchall()
            return {
                name: connection.execute(f"select count(*) from {name}").fetchone()[0]
                for (name,) in names
            }

    async def _begin(self, client: Client) -> None:
        for number in range(_ETERNAL):
            await client.start(patrol, 2.0 + number, instance_id=f"patrol-{number}")

    async def _spend(self, client: Client, day: int) -> None:
        """Let a day pass, with something of every kind in each of its parts."""
        for part in range(self._daily):
            name = f"{day}-{part}"
            await client.start(chain, 3, instance_id=f"chain-{name}")
            await client.start(fan, 3, instance_id=f"fan-{name}", tags={"day": str(day)})
            await client.start(family, 2, instance_id=f"family-{name}")
            await client.start(race, DAY / 2, instance_id=f"race-{name}")
            await client.start(chain, 2, instance_id="again", reuse=ReusePolicy.REPLACE)
            counting = await client.start(count, Count([], COUNTED), instance_id=f"count-{name}")
            for value in range(COUNTED):
                await counting.raise_event("number", value)
            guest = Account.entity_id(f"guest-{name}")
            await client.signal_entity(guest, Account.move, 3)
            await client.call_entity(guest, Account.move, 4)
            await client.delete_entity(guest)
            await anyio.sleep(DAY / self._daily)

    async def _end(self, client: Client) -> None:
        """End all that never ends; the hub's retention deletes it in time."""
        for number in range(_ETERNAL):
            await client.terminate(f"patrol-{number}")
        await client.delete_entity(Board.entity_id("patrol"))
        await anyio.sleep(DAY)
        await client.clean_entities()
