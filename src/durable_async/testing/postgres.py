"""Postgres in tests: a server for the length of a run, and hubs whose clock the test decides.

`ThrowawayPostgres` is a real server on a temporary folder. `PostgresLab` prepares a schema in it in which the one clock can be set, for each
hub by itself. `BridgedBackend` lets a hub live in virtual time on it: a verb takes no time at all.
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
import tempfile
import threading
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote, urlsplit

import asyncpg

from durable_async.backend import Hearing, Offer
from durable_async.backends.postgres import PostgresBackend
from durable_async.backends.postgres.embedded import EmbeddedPostgres
from durable_async.backends.postgres.schema import grants
from durable_async.environment import Environment, SystemEnvironment
from durable_async.model.records import (
    ClaimedInstance,
    CommitItem,
    CommitResult,
    Delivery,
    EntityFilter,
    EntityPage,
    EntityRecord,
    Fence,
    HistoryPage,
    HubStatistics,
    InstanceFilter,
    InstancePage,
    InstanceRecord,
    Mail,
    NewInstance,
    Outgoing,
    QueryOrder,
    Rewrite,
    StartOutcome,
    Work,
)
from durable_async.model.upkeep import Expired, Expiry, WorkerRecord

from ._kept import KeptBackend
from .loop import outside_the_loop

T = TypeVar("T")

SCHEMA = "durable_async"

_MOVABLE_CLOCK = """
create unlogged table if not exists public.clocks (name text primary key, us bigint not null);
create or replace function durable_async.clock_us() returns bigint
language plpgsql volatile as $$
begin
    return coalesce(
        (select c.us from public.clocks c where c.name = current_setting('durable_async.clock', true)),
        (extract(epoch from clock_timestamp()) * 1000000)::bigint
    );
end
$$;
"""
"""A session that names a clock goes by it; others by the server's."""

_MAKE_ROLE = """
select format('create role %I login password %L', $1::text, $2::text), format('grant select on public.clocks to %I', $1::text)
"""


class ThrowawayPostgres:
    """A server on a temporary folder, deleted at the end. It forgets what a power cut would take: tests kill processes, not machines."""

    def __init__(self, *, binaries: Path | None = None, **settings: str) -> None:
        """Start it.

        Args:
            binaries: The folder of its programs; what is installed by default.
            **settings: Settings of the server.
        """
        self._folder = Path(tempfile.mkdtemp(prefix="durable-async-pg-"))
        self.server = EmbeddedPostgres(
            self._folder,
            binaries=binaries,
            settings={"fsync": "off", "max_connections": "300", **settings},
        )
        try:
            self.server.start()
        except BaseException:
            self.close()
            raise

    @property
    def dsn(self) -> str:
        """Where it is."""
        return self.server.dsn

    def close(self) -> None:
        """End it, and delete its folder."""
        self.server.stop(immediately=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class _Bridge:
    """An event loop that runs in the thread of whoever waits for an answer; the loop that they are in stands still meanwhile."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._lock = threading.Lock()

    def call(self, job: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end."""
        with self._lock, outside_the_loop():
            return self._loop.run_until_complete(job)

    def close(self) -> None:
        """End it."""
        self._loop.close()


class PostgresLab:
    """A database with a schema in which each test has a hub of its own, and a clock if it wants one.

    Attributes:
        owner_dsn: Where it is, for whoever owns the schema.
        dsn: Where it is, for a role as applications should have it: it may run hubs, and cannot change a table.
        idle_connections: Those of hubs that were closed, for hubs to come.
    """

    def __init__(self, dsn: str) -> None:
        """Prepare the schema; ``dsn`` is of an empty database, and of a role that may create others."""
        self.owner_dsn = dsn
        self._role = f"app_{secrets.token_hex(4)}"
        self._password = secrets.token_urlsafe()
        host = urlsplit(dsn).netloc.rpartition("@")[2]
        self.dsn = urlsplit(dsn)._replace(netloc=f"{self._role}:{self._password}@{host}").geturl()
        self._bridge = _Bridge()
        self.idle_connections: list[Any] = []
        self._connection: Any = self._bridge.call(self._prepare())

    async def _prepare(self) -> Any:
        backend = PostgresBackend(self.owner_dsn, environment=SystemEnvironment())
        await backend.open()
        await backend.close()
        hurried = {
            "synchronous_commit": "off"
        }  # a clock is set thousands of times, and none survives its test
        connection: Any = await asyncpg.connect(self.owner_dsn, server_settings=hurried)
        await connection.execute(_MOVABLE_CLOCK)
        for role in await connection.fetchrow(_MAKE_ROLE, self._role, self._password):
            await connection.execute(role)
        await connection.execute(grants(SCHEMA, self._role))
        return connection

    def close(self) -> None:
        """Let go of it."""
        for connection in (*self.idle_connections, self._connection):
            self._bridge.call(connection.close())
        self._bridge.close()

    def execute(self, sql: str, *values: Any) -> None:
        """Run a statement, from anywhere."""
        self._bridge.call(self._connection.execute(sql, *values))

    def call(self, job: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the lab's own event loop, which runs in such calls only, and return what it returns."""
        return self._bridge.call(job)

    def set_clock(self, name: str, us: int) -> None:
        """Set a clock, for every session that goes by it."""
        self.execute(
            "insert into public.clocks values ($1, $2) on conflict (name) do update set us = excluded.us",
            name,
            us,
        )

    def dsn_with_clock(self, name: str) -> str:
        """Return the DSN of sessions that go by a clock."""
        return f"{self.dsn}?durable_async.clock={quote(name)}"


class LabClock:
    """A clock of the lab that stands still until it is moved."""

    def __init__(self, lab: PostgresLab, name: str, now_us: int) -> None:
        """Begin at a time."""
        self._lab = lab
        self.name = name
        self._now_us = now_us
        lab.set_clock(name, now_us)

    def now_us(self) -> int:
        """Return microseconds since the epoch, UTC."""
        return self._now_us

    def advance(self, seconds: float) -> None:
        """Move forward."""
        self._now_us += round(seconds * 1_000_000)
        self._lab.set_clock(self.name, self._now_us)


class BridgedOffer:
    """A worker's offer to the real backend: it is asked while its loop is blocked, and takes on that loop."""

    def __init__(self, offer: Offer, soon: Callable[[Callable[[], None]], None]) -> None:
        self.choose = offer.choose
        self._take = offer.take
        self._soon = soon

    def take(self, claimed: ClaimedInstance, *, is_told: bool) -> None:
        """Take an instance when the call has returned."""
        self._soon(lambda: self._take(claimed, is_told=is_told))


class BridgedBackend:
    """A Postgres hub for an event loop in virtual time.

    Each call blocks that loop until the server has answered, so that no virtual time passes; hints are given when the call returns.
    """

    def __init__(
        self, lab: PostgresLab, environment: Environment, clock: str, **options: Any
    ) -> None:
        """Describe it.

        Args:
            lab: Where the hub is.
            environment: The virtual one.
            clock: Name of the hub's clock in the lab.
            **options: Of `PostgresBackend`.
        """
        self._lab = lab
        self._environment = environment
        self._clock = clock
        self._set_us = -1
        self._hints: list[Callable[[], None]] = []
        self._real = KeptBackend(
            lab.dsn_with_clock(clock),
            clock=clock,
            idle=lab.idle_connections,
            environment=environment,
            **options,
        )

    def _run(self, job: Coroutine[Any, Any, T]) -> T:
        self._set_clock()
        return self._look(job)

    def _look(self, job: Coroutine[Any, Any, T]) -> T:
        """Run what has no use for the clock: to set it costs as much as to look."""
        try:
            return self._lab.call(job)
        finally:
            hints, self._hints = self._hints, []
            for hint in hints:
                hint()

    def _set_clock(self) -> None:
        now_us = self._environment.now_us()
        if now_us != self._set_us:
            self._set_us = now_us
            self._lab.set_clock(self._clock, now_us)

    @property
    def description(self) -> str:
        """What it is."""
        return self._real.description

    @property
    def letters_max(self) -> int:
        """How many letters a mailbox takes from clients."""
        return self._real.letters_max

    async def open(self) -> None:
        """Connect."""
        self._run(self._real.open())

    async def close(self) -> None:
        """Let go."""
        self._run(self._real.close())

    def now_us(self) -> int:
        """Return the virtual time, which the hub's clock follows."""
        return self._environment.now_us()

    async def statistics(self) -> HubStatistics:
        """As the real one."""
        return self._look(self._real.statistics())

    async def read_workers(self) -> list[WorkerRecord]:
        """As the real one."""
        return self._look(self._real.read_workers())

    async def register_worker(self, worker_id: str, lease_seconds: float) -> Fence:
        """As the real one."""
        return self._run(self._real.register_worker(worker_id, lease_seconds))

    def renew_lease(self, fence: Fence, lease_seconds: float) -> None:
        """As the real one."""
        self._set_clock()
        self._real.renew_lease(fence, lease_seconds)

    async def retire_worker(self, fence: Fence) -> None:
        """As the real one."""
        self._run(self._real.retire_worker(fence))

    async def take_over(self, fence: Fence) -> int:
        """As the real one."""
        return self._run(self._real.take_over(fence))

    async def read_fence(self, worker_id: str) -> Fence:
        """As the real one."""
        return self._look(self._real.read_fence(worker_id))

    async def fetch(self, fence: Fence, **wanted: Any) -> Work:
        """As the real one."""
        return self._run(self._real.fetch(fence, **wanted))

    async def withdraw(self, worker_id: str) -> None:
        """As the real one."""
        self._run(self._real.withdraw(worker_id))

    def offer(self, fence: Fence, offer: Offer) -> Callable[[], None]:
        """As the real one; what is taken is handed over as hints are given."""
        return self._real.offer(fence, BridgedOffer(offer, self._hand_on))

    def _hand_on(self, hint: Callable[[], None]) -> None:
        self._hints.append(hint)

    async def take_stock(self, fence: Fence, number: int) -> None:
        """As the real one."""
        self._run(self._real.take_stock(fence, number))

    async def commit(self, fence: Fence, items: Sequence[CommitItem]) -> CommitResult:
        """As the real one."""
        return self._run(self._real.commit(fence, items))

    async def unwanted_activities(self, worker_id: str, item_ids: Sequence[int]) -> frozenset[int]:
        """As the real one."""
        return self._look(self._real.unwanted_activities(worker_id, item_ids))

    async def read_history(self, instance_id: str, **wanted: Any) -> HistoryPage:
        """As the real one."""
        return self._look(self._real.read_history(instance_id, **wanted))

    async def create(self, instances: Sequence[NewInstance]) -> list[StartOutcome]:
        """As the real one."""
        return self._run(self._real.create(instances))

    async def send(self, letters: Sequence[Outgoing]) -> list[Delivery]:
        """As the real one."""
        return self._run(self._real.send(letters))

    async def read_answers(self, request_ids: Sequence[str]) -> list[bytes | None]:
        """As the real one."""
        return self._look(self._real.read_answers(request_ids))

    async def read_letters(self, instance_id: str, *, limit: int) -> list[Mail]:
        """As the real one."""
        return self._look(self._real.read_letters(instance_id, limit=limit))

    async def read_queued(self, instance_id: str) -> dict[int, str | None]:
        """As the real one."""
        return self._look(self._real.read_queued(instance_id))

    async def read(
        self, instance_ids: Sequence[str], *, payloads: bool
    ) -> list[InstanceRecord | None]:
        """As the real one."""
        return self._look(self._real.read(instance_ids, payloads=payloads))

    async def query(
        self,
        where: InstanceFilter,
        *,
        limit: int,
        page: str | None,
        payloads: bool,
        order: QueryOrder = QueryOrder.CREATED,
    ) -> InstancePage:
        """As the real one."""
        return self._look(
            self._real.query(where, limit=limit, page=page, payloads=payloads, order=order)
        )

    async def read_entities(self, instance_ids: Sequence[str]) -> list[EntityRecord | None]:
        """As the real one."""
        return self._look(self._real.read_entities(instance_ids))

    async def query_entities(
        self, where: EntityFilter, *, limit: int, page: str | None
    ) -> EntityPage:
        """As the real one."""
        return self._look(self._real.query_entities(where, limit=limit, page=page))

    async def discard_entities(self, instance_ids: Sequence[str]) -> list[str]:
        """As the real one."""
        return self._run(self._real.discard_entities(instance_ids))

    async def purge(self, instance_ids: Sequence[str]) -> list[str]:
        """As the real one."""
        return self._run(self._real.purge(instance_ids))

    async def expire(self, expiry: Expiry, **options: Any) -> Expired:
        """As the real one."""
        return self._run(self._real.expire(expiry, **options))

    async def rewrite(self, rewrites: Sequence[Rewrite]) -> bool:
        """As the real one."""
        return self._run(self._real.rewrite(rewrites))

    async def unpark(self, instance_ids: Sequence[str]) -> list[str]:
        """As the real one."""
        return self._run(self._real.unpark(instance_ids))

    @property
    def hearing(self) -> Hearing:
        """Tell that everything is heard: the loop's own calls are all there is."""
        return Hearing.ALWAYS

    def listen(
        self,
        on_work: Callable[[], None],
        on_changed: Callable[[frozenset[str] | None], None],
        on_progress: Callable[[frozenset[str] | None], None] | None = None,
    ) -> Callable[[], None]:
        """As the real one; called on the loop of the caller."""
        return self._real.listen(
            lambda: self._hints.append(on_work),
            lambda ids: self._hints.append(lambda: on_changed(ids)),
            None
            if on_progress is None
            else lambda ids: self._hints.append(lambda: on_progress(ids)),
        )
