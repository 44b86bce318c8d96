"""What comes between two statements of one call: each is held up by somebody's lock at the place where it could go wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest

from durable_async.backends.postgres import PostgresBackend, link
from durable_async.backends.postgres.failures import RolledBackError
from durable_async.model.policy import ReusePolicy
from durable_async.model.records import Outgoing
from durable_async.model.status import Status
from durable_async.testing.conformance.driver import (
    Driver,
    bodies,
    deliver,
    entity,
    entity_turn,
    ids,
    letter,
    new,
    operation,
    queued,
    release,
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
LOCK_LEASE = "select from durable_async.leases where hub = $1 and worker = $2 for update"
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


async def send_by_client(backend: PostgresBackend, *letters: Outgoing) -> None:
    await deliver(backend, *letters)


async def send_by_turn(backend: PostgresBackend, *letters: Outgoing) -> None:
    sender = await Driver.register(backend, "sender")
    claimed = await sender.start("one that sends")
    await sender.restate(claimed, outbox=letters)


Send = Callable[..., Coroutine[Any, Any, None]]


@pytest.mark.parametrize("is_there_before", [False, True], ids=["created", "replaced"])
@pytest.mark.parametrize("send", [send_by_client, send_by_turn])
async def test_a_letter_to_whoever_comes_meanwhile_is_seen_by_whoever_claims_it(
    postgres_server: ThrowawayPostgres,
    fresh_name: str,
    send: Send,
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
            group.create_task(send(on.one, letter("held up"), letter("newcomer")))
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


async def test_a_fetch_waits_for_nobody_and_tells_what_there_is(
    postgres_server: ThrowawayPostgres, fresh_name: str
) -> None:
    """Whose row somebody has locked stays marked, so that what is about to arrive is told, too."""
    async with scene(postgres_server, fresh_name) as on:
        worker = await Driver.register(on.one, "worker")
        await worker.start("held up")
        await deliver(on.other, letter("held up"))
        holder = await on.hold(LOCK, "held up")
        assert bodies(await worker.fetch_mail()) == [b"hello"]
        assert bodies(await worker.fetch_mail()) == [b"hello"]
        await holder.close()
        assert bodies(await worker.fetch_mail()) == [b"hello"]
        assert bodies(await worker.fetch_mail()) == []


@pytest.mark.parametrize("is_near", [False, True], ids=["marked", "handed over"])
async def test_a_letter_is_told_with_what_it_caused(
    postgres_server: ThrowawayPostgres, fresh_name: str, is_near: bool
) -> None:
    """It arrives after the fetch has looked whether anything is marked, and what it causes can be claimed before the fetch claims."""
    async with scene(postgres_server, fresh_name) as on:
        other = await Driver.register(on.other, "other")
        await other.start("caused")
        worker = await Driver.register(on.one, "worker")
        await worker.start("informed")
        await start(on.other, "caused before")
        renewal = await on.hold(LOCK_LEASE, "worker")
        async with asyncio.TaskGroup() as group:
            fetching = group.create_task(worker.fetch())
            await on.until_waited_for(renewal)
            await deliver(on.one if is_near else on.other, letter("informed"))
            await other.commit(release("caused", wake_at_us=1))
            await renewal.close()
        work = fetching.result()
        assert sorted(ids(work.claimed)) == ["caused", "caused before"]
        assert bodies(work.mail) == [b"hello"]


async def test_a_lease_is_renewed_while_stock_is_taken_and_waits_for_a_lock(
    postgres_server: ThrowawayPostgres, fresh_name: str
) -> None:
    """What waits for long gives way: it would cost the lease, and with it all that is owned."""
    async with scene(postgres_server, fresh_name) as on:
        worker = await Driver.register(on.one, "worker", 15.0)
        await worker.start("held up")
        await deliver(on.other, letter("held up"))
        holder = await on.hold(LOCK, "held up")
        async with asyncio.TaskGroup() as group:
            stock = on.one.take_stock(worker.fence, worker.fetches + 1)
            taking = group.create_task(gives_way(stock))
            await on.until_waited_for(holder)
            await worker.renew(15.0)
        assert taking.result()
        await holder.close()
        assert bodies(await worker.fetch_mail()) == [b"hello"]


@pytest.mark.parametrize("send", [send_by_client, send_by_turn])
async def test_an_entity_that_is_discarded_meanwhile_is_opened_again(
    postgres_server: ThrowawayPostgres,
    fresh_name: str,
    send: Send,
) -> None:
    """It is there when the sender looks, and gone when the sender has its lock; the letter finds its next life."""
    async with scene(postgres_server, fresh_name) as on:
        worker = await Driver.register(on.other, "worker")
        claimed = await worker.open("a")
        await worker.commit(entity_turn(claimed, consumed=(claimed.mail[0].id,)))
        holder = await on.hold(LOCK, entity("a"))
        async with asyncio.TaskGroup() as group:
            discarding = group.create_task(on.other.discard_entities([entity("a")]))
            await on.until_waiting(1)
            group.create_task(send(on.one, operation("a")))
            await on.until_waiting(2)
            await holder.close()
        assert discarding.result() == [entity("a")]
        again = await worker.claim_one()
        assert (again.instance_id, again.execution) == (entity("a"), 2)
        assert bodies(again.mail) == [b"add"]


async def test_an_entity_with_a_letter_on_its_way_is_not_discarded(
    postgres_server: ThrowawayPostgres, fresh_name: str
) -> None:
    """The sender has its lock, and has not written yet."""
    async with scene(postgres_server, fresh_name) as on:
        worker = await Driver.register(on.other, "worker")
        claimed = await worker.open("a")
        await worker.commit(entity_turn(claimed, consumed=(claimed.mail[0].id,)))
        await worker.start("held up")
        holder = await on.hold(LOCK, "held up")
        async with asyncio.TaskGroup() as group:
            # The entity comes first in the order of locks.
            group.create_task(deliver(on.one, operation("a"), letter("held up")))
            await on.until_waited_for(holder)
            discarding = group.create_task(on.other.discard_entities([entity("a")]))
            await on.until_waiting(2)
            await holder.close()
        assert discarding.result() == []
        assert sorted(bodies(await worker.fetch_mail())) == [b"add", b"hello"]


async def test_what_a_dropped_turn_would_have_opened_is_gone_again(
    postgres_server: ThrowawayPostgres, fresh_name: str
) -> None:
    """Its instance is replaced between the opening and the lock."""
    async with scene(postgres_server, fresh_name) as on:
        worker = await Driver.register(on.one, "worker")
        claimed = await worker.start("replaced")
        holder = await on.hold(LOCK, "replaced")
        async with asyncio.TaskGroup() as group:
            replacing = group.create_task(restart(on.other, "replaced", ReusePolicy.REPLACE))
            await on.until_waiting(1)
            late = turn(claimed, outbox=(operation("a"), letter("replaced")))
            committing = group.create_task(worker.commit(late))
            await on.until_waiting(2)
            await holder.close()
        assert replacing.result().created
        assert committing.result().dropped == {"replaced"}
        assert await on.other.read_entities([entity("a")]) == [None]


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
