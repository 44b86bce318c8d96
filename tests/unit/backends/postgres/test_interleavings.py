"""What comes between two statements of one call: each is held up by somebody's lock at the place where it could go wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest

from durable_async.backends.postgres import PostgresBackend, link
from durable_async.backends.postgres.failures import RolledBackError
from durable_async.model.policy import ReusePolicy
from durable_async.model.status import Status
from durable_async.testing.conformance.driver import (
    Driver,
    bodies,
    deliver,
    ids,
    letter,
    new,
    queued,
    restart,
    start,
    turn,
)
from durable_async.testing.postgres import ThrowawayPostgres

PATIENCE = 30.0

LOCK = "select from durable_async.instances where hub = $1 and id = $2 for update"
TRY_TO_LOCK = LOCK + " nowait"
MARK = """
insert into durable_async.marks (hub, owner, key) select hub, owner, key from durable_async.instances where hub = $1 and id = $2
"""
LOCK_ACTIVITY = """
select from durable_async.queued_activities q join durable_async.instances i on i.hub = q.hub and i.key = q.key
where i.hub = $1 and i.id = $2 for update of q
"""
WAITING_AT_ALL = """
select count(*) from pg_stat_activity where wait_event_type = 'Lock' and application_name like 'durable_async/' || $1 || '/%'
"""
WAITING = "select count(*) from pg_stat_activity where $1 = any (pg_blocking_pids(pid))"


@dataclass
class Scene:
    """A hub with two processes, and somebody who holds them up."""

    hub: str
    one: PostgresBackend
    other: PostgresBackend
    connect: Callable[[], Awaitable[Any]]
    looker: Any

    @property
    def number(self) -> int:
        """The hub, as rows have it."""
        return self.one._hub

    async def hold(self, sql: str, *values: Any) -> Any:
        """Run a statement in a transaction that stays open as long as the connection that is returned."""
        connection = await self.connect()
        await connection.execute("begin")
        await connection.execute(sql, self.number, *values)
        return connection

    async def until_waited_for(self, holder: Any) -> None:
        """Return when somebody waits for what this connection holds."""
        pid = holder.get_server_pid()
        async with asyncio.timeout(PATIENCE):
            while await self.looker.fetchval(WAITING, pid) == 0:
                await asyncio.sleep(0.005)

    async def until_waiting(self, count: int) -> None:
        """Return when so many statements of the hub wait for a lock."""
        async with asyncio.timeout(PATIENCE):
            while await self.looker.fetchval(WAITING_AT_ALL, self.hub) < count:
                await asyncio.sleep(0.005)


@asynccontextmanager
async def scene(server: ThrowawayPostgres, hub: str) -> AsyncIterator[Scene]:
    connections: list[Any] = []

    async def connect() -> Any:
        connections.append(await asyncpg.connect(server.dsn))
        return connections[-1]

    one, other = PostgresBackend(server.dsn, hub=hub), PostgresBackend(server.dsn, hub=hub)
    await one.open()
    await other.open()
    try:
        yield Scene(hub, one, other, connect, await connect())
    finally:
        for connection in connections:
            await connection.close()
        await one.close()
        await other.close()


async def send_by_client(backend: PostgresBackend) -> None:
    await deliver(backend, letter("held up"), letter("newcomer"))


async def send_by_turn(backend: PostgresBackend) -> None:
    sender = await Driver.register(backend, "sender")
    claimed = await sender.start("one that sends")
    await sender.restate(claimed, outbox=(letter("held up"), letter("newcomer")))


@pytest.mark.parametrize("is_there_before", [False, True], ids=["created", "replaced"])
@pytest.mark.parametrize("send", [send_by_client, send_by_turn])
async def test_a_letter_to_whoever_comes_meanwhile_is_seen_by_whoever_claims_it(
    postgres_server: ThrowawayPostgres,
    fresh_name: str,
    send: Callable[[PostgresBackend], Awaitable[None]],
    is_there_before: bool,
) -> None:
    """The receiver comes after the sender has begun to lock, and is claimed before the sender has committed."""
    async with scene(postgres_server, fresh_name) as on:
        worker = await Driver.register(on.other, "worker")
        await worker.start("held up")
        if is_there_before:
            await worker.start("newcomer")
        locker = await on.hold(LOCK, "held up")
        marker = await on.hold(MARK, "held up")
        async with asyncio.TaskGroup() as group:
            group.create_task(send(on.one))
            await on.until_waited_for(locker)
            await restart(on.other, "newcomer", ReusePolicy.REPLACE)
            await locker.close()
            await on.until_waited_for(marker)
            seen = await worker.fetch()
            await marker.close()

        again = await worker.fetch()
        claimed = (*seen.claimed, *again.claimed)
        mail = [*seen.mail, *again.mail, *(one for each in claimed for one in each.mail)]
        assert ids(claimed) == ["newcomer"]
        assert bodies(one for one in mail if one.instance_id == "newcomer") == [b"hello"]


async def test_a_fetch_is_undone_in_the_one_order_of_locks(
    postgres_server: ThrowawayPostgres, fresh_name: str
) -> None:
    """What was claimed in it is not locked before what was owned already."""
    async with scene(postgres_server, fresh_name) as on:
        worker = await Driver.register(on.one, "worker")
        await worker.start("a")
        await worker.start("b")
        holder = await on.hold(LOCK, "a")
        async with asyncio.TaskGroup() as group:
            group.create_task(on.one.take_stock(worker.fence, worker.fetches))
            await on.until_waited_for(holder)
            await holder.execute(TRY_TO_LOCK, on.number, "b")
            await holder.close()
        assert ids((await worker.fetch()).claimed) == ["b"]


async def test_a_lease_is_renewed_while_a_fetch_waits_for_a_lock(
    postgres_server: ThrowawayPostgres, fresh_name: str
) -> None:
    """A fetch that waits for long gives way: it would cost the lease, and with it all that is owned."""
    async with scene(postgres_server, fresh_name) as on:
        worker = await Driver.register(on.one, "worker", 15.0)
        await worker.start("held up")
        await deliver(on.other, letter("held up"))
        holder = await on.hold(LOCK, "held up")
        async with asyncio.TaskGroup() as group:
            fetching = group.create_task(gives_way(worker.fetch_mail()))
            await on.until_waited_for(holder)
            await worker.renew(15.0)
        assert fetching.result()
        await holder.close()
        assert bodies(await worker.fetch_mail()) == [b"hello"]


async def gives_way(call: Awaitable[Any]) -> bool:
    try:
        await call
    except RolledBackError:
        return True
    return False


async def test_whoever_comes_meanwhile_is_replaced_in_the_one_order_of_locks(
    postgres_server: ThrowawayPostgres, fresh_name: str
) -> None:
    """It could not be locked with the others, and is not waited for while they are: that would be a deadlock with whoever has it."""
    async with scene(postgres_server, fresh_name) as on:
        await start(on.one, "b")
        holder = await on.hold(LOCK, "b")
        wanted = [new(one, reuse=ReusePolicy.REPLACE) for one in ("a", "b")]
        async with asyncio.TaskGroup() as group:
            creating = group.create_task(on.one.create(wanted))
            await on.until_waited_for(holder)
            await start(on.other, "a")
            late = await on.hold(LOCK, "a")
            await holder.close()
            await on.until_waited_for(late)
            await late.execute(TRY_TO_LOCK, on.number, "b")
            await late.close()
        assert [outcome.execution for outcome in creating.result()] == [2, 2]


async def test_claimed_activities_are_handed_back_while_others_delete_them(
    postgres_server: ThrowawayPostgres, fresh_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch takes them in its own order, so both come to them by way of their instances."""
    monkeypatch.setattr(link, "_COLLISIONS_MAX", 0)
    async with scene(postgres_server, fresh_name) as on:
        owner = await Driver.register(on.one, "owner")
        claims = [await owner.start(one) for one in ("a", "b", "c")]
        for claimed in claims:
            await owner.restate(claimed, queued=(queued(claimed),))
        runner = await Driver.register(on.other, "runner")
        assert len((await runner.fetch_activities()).activities) == 3
        holder = await on.hold(LOCK_ACTIVITY, "b")
        async with asyncio.TaskGroup() as group:
            group.create_task(on.other.retire_worker(runner.fence))
            await on.until_waited_for(holder)
            ends = [turn(one, 2, status=Status.COMPLETED) for one in (claims[2], claims[0])]
            committing = group.create_task(owner.commit(*ends))
            await on.until_waiting(2)
            await holder.close()
        assert committing.result().dropped == frozenset()
