"""What a process starts can be its own worker's from the beginning; whatever answer is lost, somebody runs it, once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from tests.unit.backends.offers import Takes

from durable_async.backends.postgres import PostgresBackend
from durable_async.errors import BackendUnavailableError, FencedError
from durable_async.model.policy import ReusePolicy
from durable_async.model.records import ClaimedInstance, NewInstance
from durable_async.model.status import Status
from durable_async.testing.conformance.driver import (
    Driver,
    bodies,
    deliver,
    entity_turn,
    ids,
    letter,
    new,
    operation,
    turn,
)
from durable_async.testing.postgres import ThrowawayPostgres
from durable_async.testing.proxy import FaultProxy

from .schemas import backend, connected

PATIENCE = 30.0

ANSWER = """
insert into durable_async.requests (hub, id, answer, answered_at_us)
select hub, $2, 'true pending 1', 0 from durable_async.hubs where name = $1
"""
LEASE = "select from durable_async.leases l join durable_async.hubs h using (hub) where h.name = $1 and worker = 'worker' for update of l"
FETCHED = "select fetched from durable_async.leases l join durable_async.hubs h using (hub) where h.name = $1 and worker = 'worker'"
PURGE = (
    "select durable_async.purge_instances(h.hub, '{a}') from durable_async.hubs h where h.name = $1"
)
EXECUTIONS = """
select array[i.execution, h.execution] from durable_async.instances i
join durable_async.history h using (hub, key)
join durable_async.hubs b using (hub)
where b.name = $1 and i.id = 'a'
"""
WAITING = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and application_name like 'durable_async/' || $1 || '/%'"


class Process:
    """A process with a worker that offers to take what is started there, and another process."""

    def __init__(self, dsn: str, proxy: FaultProxy, hub: str) -> None:
        self.dsn = dsn
        self.proxy = proxy
        self.hub = hub
        self.backend = backend(proxy.through(dsn), hub=hub)
        self.far = backend(dsn, hub=hub)
        self.offer = Takes()

    async def begin(self) -> None:
        await self.backend.open()
        await self.far.open()
        await self.backend.create(
            [new("before", name="another")]
        )  # so that what is lost is no preparation
        self.worker = await Driver.register(self.backend, "worker")
        self.stop = self.backend.offer(self.worker.fence, self.offer)

    async def end(self) -> None:
        await self.backend.close()
        await self.far.close()

    async def ask(self, sql: str, *values: Any) -> Any:
        async with connected(self.dsn) as connection:
            return await connection.fetchval(sql, self.hub, *values)

    async def until_waiting(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while await self.ask(WAITING) < count:
                await asyncio.sleep(0.005)

    async def owner(self, instance_id: str) -> str | None:
        [record] = await self.far.read([instance_id], payloads=False)
        return None if record is None else record.owner

    async def create_and_lose(self, *instances: NewInstance) -> None:
        self.proxy.lose_answers(1, "/client")
        with pytest.raises(BackendUnavailableError):
            await self.backend.create(instances)


@pytest.fixture
async def process(
    postgres_server: ThrowawayPostgres, proxy: FaultProxy, fresh_name: str
) -> AsyncIterator[Process]:
    one = Process(postgres_server.dsn, proxy, fresh_name)
    await one.begin()
    yield one
    await one.end()


async def test_it_is_owned_from_the_beginning_and_its_turn_is_written(process: Process) -> None:
    [outcome] = await process.backend.create([new("a")])
    assert outcome.created
    assert process.offer.ids() == ["a"]
    assert process.offer.told == [True]
    assert await process.owner("a") == "worker"
    assert await process.ask(FETCHED) == 0
    assert (await process.worker.fetch()).claimed == ()
    [claimed] = process.offer.taken
    assert not (await process.worker.commit(turn(claimed, status=Status.COMPLETED))).dropped
    assert await process.owner("a") is None


@pytest.mark.parametrize(
    "one",
    [
        new("a"),
        new("a", version="7", tags={"some": "tag"}, request_id="r"),
        new("a", created_at_us=5),
    ],
)
async def test_what_is_taken_is_what_would_be_fetched(process: Process, one: NewInstance) -> None:
    await process.backend.create([one])
    await process.far.create([msgspec.structs.replace(one, instance_id="b", request_id=None)])
    [fetched] = await process.worker.claim()
    [taken] = process.offer.taken
    assert taken == msgspec.structs.replace(fetched, instance_id="a")


async def test_what_is_not_chosen_is_left_to_fetches(process: Process) -> None:
    process.offer.chosen = lambda one: one.instance_id in ("b", "c")
    await process.backend.create([new(name) for name in "abcd"])
    assert process.offer.ids() == ["b", "c"]
    assert ids(await process.worker.claim()) == ["a", "d"]


async def test_an_id_that_is_not_new_is_left_to_fetches(process: Process) -> None:
    await process.far.create([new("a"), new("b")])
    outcomes = await process.backend.create(
        [new("a", reuse=ReusePolicy.REPLACE), new("b", reuse=ReusePolicy.RETURN_EXISTING), new("c")]
    )
    assert [one.created for one in outcomes] == [True, False, True]
    assert process.offer.ids() == ["c"]
    assert sorted(ids(await process.worker.claim())) == ["a", "b"]


async def test_a_purged_id_is_taken_at_its_next_execution(process: Process) -> None:
    await process.backend.create([new("a")])
    await process.worker.commit(turn(process.offer.taken[0], status=Status.COMPLETED))
    assert await process.backend.purge(["a"]) == ["a"]
    await process.backend.create([new("a")])
    assert [one.execution for one in process.offer.taken] == [1, 2]


async def test_a_request_that_is_repeated_takes_nothing_more(process: Process) -> None:
    for _ in range(2):
        [outcome] = await process.backend.create([new("a", request_id="r")])
        assert outcome.created
    assert process.offer.ids() == ["a"]


async def test_nothing_is_taken_by_who_offers_no_more(process: Process) -> None:
    process.stop()
    await process.backend.create([new("a")])
    assert process.offer.taken == []
    assert ids(await process.worker.claim()) == ["a"]


# -- what was sent before the start is told before what comes of it


async def open_entity(process: Process) -> ClaimedInstance:
    claimed = await process.worker.open("e")
    await process.worker.commit(entity_turn(claimed, consumed=(claimed.mail[0].id,)))
    return claimed


async def test_while_a_letter_from_elsewhere_is_not_told_nothing_is_taken(process: Process) -> None:
    await open_entity(process)
    await deliver(process.far, operation("e", b"1"))
    await process.backend.create([new("a")])
    assert process.offer.taken == []
    work = await process.worker.fetch()
    assert (ids(work.claimed), bodies(work.mail)) == (["a"], [b"1"])
    await process.backend.create([new("b")])
    assert process.offer.ids() == ["b"]


async def test_a_letter_from_here_that_is_not_told_is_reported(process: Process) -> None:
    await open_entity(process)
    await deliver(process.backend, operation("e", b"1"))
    await process.backend.create([new("a")])
    assert process.offer.told == [False]
    assert bodies(await process.worker.fetch_mail()) == [b"1"]
    await process.backend.create([new("b")])
    assert process.offer.told == [False, True]


async def test_a_letter_that_was_told_before_the_start_was_known_is_told_again(
    process: Process,
) -> None:
    process.proxy.hold("/client", way="down")
    starting = asyncio.create_task(process.backend.create([new("a")]))
    async with asyncio.timeout(PATIENCE):
        while await process.owner("a") is None:
            await asyncio.sleep(0.005)
    await deliver(process.far, letter("a", b"early"))
    assert bodies(await process.worker.fetch_mail()) == [b"early"]
    assert process.offer.taken == []
    process.proxy.release()
    await starting
    assert process.offer.ids() == ["a"]
    assert bodies(await process.worker.fetch_mail()) == [b"early"]


# -- answers that are lost, and workers that go


async def test_what_is_taken_without_an_answer_is_given_back(process: Process) -> None:
    await process.backend.create([new("known")])
    await process.create_and_lose(new("a", request_id="r"))
    assert await process.owner("a") == "worker"
    [claimed] = await process.worker.claim()
    assert (claimed.instance_id, claimed.attempts) == ("a", 1)
    assert await process.owner("known") == "worker"
    await process.backend.create([new("a", request_id="r"), new("b")])
    assert process.offer.ids() == ["known", "b"]


async def test_nothing_is_taken_while_there_is_doubt(process: Process) -> None:
    await process.create_and_lose(new("a"))
    await process.backend.create([new("b")])
    assert process.offer.taken == []
    assert sorted(ids(await process.worker.claim())) == ["a", "b"]


async def test_a_start_that_outlives_its_connection_is_waited_for(process: Process) -> None:
    async with connected(process.dsn) as holder:
        await holder.execute("begin")
        await holder.execute(ANSWER, process.hub, "start r")
        starting = asyncio.create_task(process.backend.create([new("a", request_id="r")]))
        await process.until_waiting(1)
        process.proxy.reset("/client")
        with pytest.raises(BackendUnavailableError):
            await starting
        fetching = asyncio.create_task(process.worker.claim())
        await process.until_waiting(2)
        await holder.execute("rollback")
        assert ids(await fetching) == ["a"]
    assert process.offer.taken == []


async def test_a_start_that_comes_after_its_doubt_was_settled_is_not_taken(
    process: Process,
) -> None:
    async with connected(process.dsn) as holder:
        await holder.execute("begin")
        await holder.fetch(LEASE, process.hub)
        starting = asyncio.create_task(process.backend.create([new("a")]))
        await process.until_waiting(1)
        process.proxy.reset("/client")
        with pytest.raises(BackendUnavailableError):
            await starting
        await holder.execute("update durable_async.leases set term = 1 where worker = 'worker'")
        await holder.execute("commit")
        async with asyncio.timeout(PATIENCE):
            while not (claimed := await process.worker.claim()):
                await asyncio.sleep(0.005)
    assert ids(claimed) == ["a"]


async def test_who_leaves_early_hands_over_all_the_same(process: Process) -> None:
    async with connected(process.dsn) as holder:
        await holder.execute("begin")
        await holder.fetch(LEASE, process.hub)
        starting = asyncio.create_task(process.backend.create([new("a")]))
        await process.until_waiting(1)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        await holder.execute("rollback")
        async with asyncio.timeout(PATIENCE):
            while process.offer.ids() != ["a"]:
                await asyncio.sleep(0.005)
    assert process.proxy.cancels == 0


@pytest.mark.parametrize("way", ["retires", "is taken over"])
async def test_who_goes_while_it_is_started_leaves_it_to_others(process: Process, way: str) -> None:
    successor = await Driver.register(process.far, "successor")
    async with connected(process.dsn) as holder:
        await holder.execute("begin")
        await holder.execute(ANSWER, process.hub, "start r")
        starting = asyncio.create_task(process.backend.create([new("a", request_id="r")]))
        await process.until_waiting(1)
        going = asyncio.create_task(leave(process, successor, way))
        await process.until_waiting(2)
        await holder.execute("rollback")
        await going
        await starting
    assert ids(await successor.claim()) == ["a"]


async def leave(process: Process, successor: Driver, way: str) -> None:
    if way == "retires":
        await process.backend.retire_worker(process.worker.fence)
        return
    await process.ask(
        "update durable_async.leases l set until_us = 0 from durable_async.hubs h"
        " where h.hub = l.hub and h.name = $1 and worker = 'worker'"
    )
    assert await successor.backend.take_over(successor.fence) == 1


async def test_who_has_gone_takes_nothing(process: Process) -> None:
    await process.backend.retire_worker(process.worker.fence)
    assert isinstance(process.backend, PostgresBackend)
    await process.backend.create([new("a")])
    assert process.offer.taken == []
    assert await process.owner("a") is None


async def test_who_was_only_overtaken_by_its_own_commit_is_not_forgotten(process: Process) -> None:
    """A commit that is sent again after a lost answer finds the fence moved, by itself; its worker goes on."""
    sent_again = process.worker.fence
    await process.worker.commit()
    with pytest.raises(FencedError):
        await process.backend.commit(sent_again, ())
    await process.create_and_lose(new("lost"))
    await process.backend.create([new("lost")])
    assert ids(await process.worker.claim()) == ["lost"]
    await process.backend.create([new("a")])
    assert process.offer.ids() == ["a"]
    await deliver(process.backend, letter("a"))
    assert bodies(await process.worker.fetch_mail()) == [b"hello"]


async def test_a_start_that_waits_for_a_purge_is_the_next_execution(process: Process) -> None:
    """The execution is part of what calls are told apart by."""
    await process.backend.create([new("a")])
    await process.worker.commit(turn(process.offer.taken[0], status=Status.COMPLETED))
    async with connected(process.dsn) as purging:
        await purging.execute("begin")
        await purging.execute(PURGE, process.hub)
        starting = asyncio.create_task(process.backend.create([new("a")]))
        await process.until_waiting(1)
        await purging.execute("commit")
        [outcome] = await starting
    assert (outcome.created, outcome.execution) == (True, 2)
    assert await process.ask(EXECUTIONS) == [2, 2]
