"""A statement that was sent comes to its end, whoever leaves; a link that broke is made anew."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any, Self

import asyncpg
import pytest

from durable_async.backends.postgres.address import PostgresTarget
from durable_async.backends.postgres.doubts import Doubts
from durable_async.backends.postgres.failures import RolledBackError
from durable_async.backends.postgres.link import ClientLinks, Link
from durable_async.errors import BackendError, BackendUnavailableError
from durable_async.testing.postgres import ThrowawayPostgres
from durable_async.testing.proxy import FaultProxy

PATIENCE = 30.0
KEY = 4711


@pytest.fixture
async def direct(postgres_server: ThrowawayPostgres) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(postgres_server.dsn)
    yield connection
    await connection.close()


@pytest.fixture
async def link(target: PostgresTarget) -> AsyncIterator[Link]:
    link = Link(target, "work")
    yield link
    await link.close()


@pytest.fixture
async def clients(target: PostgresTarget) -> AsyncIterator[ClientLinks]:
    links = ClientLinks(target, 2)
    yield links
    await links.close()


@pytest.fixture(params=["link", "clients", "pool"])
async def runner(request: pytest.FixtureRequest, target: PostgresTarget) -> AsyncIterator[Any]:
    """Whatever runs jobs keeps the same promises."""
    if request.param == "pool":
        async with asyncpg.create_pool(target.dsn, min_size=1, max_size=2) as pool:
            links: Any = ClientLinks(target, pool=pool)
            yield links
            await links.close()
    else:
        runs: Any = Link(target, "work") if request.param == "link" else ClientLinks(target, 2)
        yield runs
        await runs.close()


def fetch(sql: str, *values: Any) -> Callable[[Any], Awaitable[Any]]:
    return lambda connection: connection.fetchval(sql, *values)


async def until(direct: Any, sql: str, *values: Any) -> None:
    """Wait until something is true in the server."""
    async with asyncio.timeout(PATIENCE):
        while not await direct.fetchval(sql, *values):
            await asyncio.sleep(0.005)


WAITS = "select exists (select from pg_locks where objid = $1 and not granted)"


class Gate:
    """A statement that waits in the server until it is let through, then writes."""

    def __init__(self, direct: Any, table: str) -> None:
        self.direct = direct
        self.table = table

    async def __aenter__(self) -> Self:
        await self.direct.execute(f"create table {self.table} (n int primary key)")
        await self.direct.execute("select pg_advisory_lock(4711)")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.direct.execute("select pg_advisory_unlock_all()")
        await self.direct.execute(f"drop table {self.table}")

    async def open(self) -> None:
        await self.direct.execute("select pg_advisory_unlock_all()")

    async def write(self, connection: Any) -> Any:
        return await connection.fetchval(
            f"insert into {self.table} select 1 from (select pg_advisory_xact_lock_shared({KEY})) w returning n"
        )

    async def is_written(self) -> bool:
        return bool(await self.direct.fetchval(f"select exists (select from {self.table})"))


async def test_a_cancelled_caller_leaves_and_its_statement_comes_to_its_end(
    runner: Any, direct: Any, proxy: FaultProxy, fresh_name: str
) -> None:
    async with Gate(direct, fresh_name) as gate:
        caller = asyncio.ensure_future(runner.run(gate.write))
        await until(direct, WAITS, KEY)
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        assert not await gate.is_written()
        await gate.open()
        await until(direct, f"select exists (select from {fresh_name})")
        assert await runner.run(fetch("select 7")) == 7
    assert proxy.cancels == 0


async def test_a_limit_of_time_of_the_callers_is_such_a_cancellation(
    runner: Any, direct: Any, proxy: FaultProxy, fresh_name: str
) -> None:
    async with Gate(direct, fresh_name) as gate:
        limits: list[asyncio.Timeout] = []

        async def limited() -> None:
            async with asyncio.timeout(PATIENCE) as limit:
                limits.append(limit)
                await runner.run(gate.write)

        caller = asyncio.ensure_future(limited())
        await until(direct, WAITS, KEY)
        limits[0].reschedule(asyncio.get_running_loop().time())
        with pytest.raises(TimeoutError):
            await caller
        await gate.open()
        await until(direct, f"select exists (select from {fresh_name})")
    assert proxy.cancels == 0


async def test_closing_lets_a_statement_end(
    link: Link, direct: Any, proxy: FaultProxy, fresh_name: str
) -> None:
    async with Gate(direct, fresh_name) as gate:
        caller = asyncio.ensure_future(link.run(gate.write))
        await until(direct, WAITS, KEY)
        caller.cancel()
        closing = asyncio.ensure_future(link.close())
        await asyncio.sleep(0)
        await gate.open()
        await closing
        assert await gate.is_written()
    assert proxy.cancels == 0


async def test_jobs_of_a_link_run_one_after_the_other(link: Link) -> None:
    running = 0

    async def job(connection: Any) -> int:
        nonlocal running
        running += 1
        assert running == 1
        pid = await connection.fetchval("select pg_backend_pid()")
        running -= 1
        return int(pid)

    pids = await asyncio.gather(*(link.run(job) for _ in range(20)))
    assert len(set(pids)) == 1


async def broken_by_termination(proxy: FaultProxy, direct: Any, hub: str) -> None:
    pattern = f"durable_async/{hub}/%"
    await direct.fetch(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name like $1",
        pattern,
    )


async def broken_by_reset(proxy: FaultProxy, direct: Any, hub: str) -> None:
    assert proxy.reset(f"/{hub}/") > 0


@pytest.mark.parametrize("breaks", [broken_by_termination, broken_by_reset])
@pytest.mark.parametrize("kind", ["link", "clients"])
async def test_a_connection_that_broke_at_rest_is_made_anew(
    breaks: Any, kind: str, target: PostgresTarget, proxy: FaultProxy, direct: Any
) -> None:
    runner: Any = Link(target, "work") if kind == "link" else ClientLinks(target, 2)
    first = await runner.run(fetch("select pg_backend_pid()"))
    await breaks(proxy, direct, target.hub)
    await until(direct, "select not exists (select from pg_stat_activity where pid = $1)", first)
    again: list[int] = []
    async with asyncio.timeout(PATIENCE):
        while not again:
            try:
                again.append(await runner.run(fetch("select pg_backend_pid()")))
            except BackendUnavailableError:  # the news had not arrived yet
                continue
    assert again[0] != first
    await runner.close()


async def test_who_is_cancelled_while_he_closes_lets_go_of_all(
    target: PostgresTarget, direct: Any
) -> None:
    links = ClientLinks(target, 3)
    busy = fetch("select pg_backend_pid() from pg_sleep(0.1)")
    used = await asyncio.gather(*(links.run(busy) for _ in range(3)))
    closing = asyncio.ensure_future(links.close())
    await asyncio.sleep(0)
    closing.cancel()  # by asyncio's own means, which no shield holds
    await asyncio.wait([closing])
    gone = "select not exists (select from pg_stat_activity where pid = any($1::int[]))"
    await until(direct, gone, used)


@pytest.mark.parametrize("breaks", [broken_by_termination, broken_by_reset])
async def test_what_broke_under_way_is_unknown(
    breaks: Any, link: Link, target: PostgresTarget, proxy: FaultProxy, direct: Any, fresh_name: str
) -> None:
    async with Gate(direct, fresh_name) as gate:
        caller = asyncio.ensure_future(link.run(gate.write))
        await until(direct, WAITS, KEY)
        await breaks(proxy, direct, target.hub)
        with pytest.raises(BackendUnavailableError) as failure:
            await caller
        assert not isinstance(failure.value, RolledBackError)
        await gate.open()
    assert await link.run(fetch("select 1")) == 1


async def test_a_lost_answer_is_unknown_and_the_write_is_there(
    runner: Any, direct: Any, proxy: FaultProxy, fresh_name: str
) -> None:
    await direct.execute(f"create table {fresh_name} (n int)")
    for lost in range(1, 6):
        proxy.lose_answers()
        with pytest.raises(BackendUnavailableError):
            await runner.run(fetch(f"insert into {fresh_name} values ($1)", lost))
        assert await direct.fetchval(f"select count(*) from {fresh_name}") == lost
        assert await runner.run(fetch("select 1")) == 1
    await direct.execute(f"drop table {fresh_name}")


async def test_a_silent_server_is_given_up_by_the_watchdog(
    target: PostgresTarget, proxy: FaultProxy
) -> None:
    link = Link(target, "work", limit_seconds=0.2)
    assert await link.run(fetch("select 1")) == 1
    proxy.hold()
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(BackendUnavailableError):
            await link.run(fetch("select 1"))
    proxy.release()
    assert await link.run(fetch("select 1")) == 1
    await link.close()
    assert proxy.cancels == 0


@pytest.mark.parametrize("kind", ["link", "clients"])
async def test_a_connection_that_the_server_has_forgotten_is_given_up_soon(
    target: PostgresTarget, proxy: FaultProxy, kind: str
) -> None:
    doubts = Doubts(target, after_seconds=0.05)
    link: Any = Link(target, "client", doubts=doubts)
    if kind == "clients":
        link = ClientLinks(target, 2, doubts=doubts)
    assert await link.run(fetch("select 6")) == 6
    assert proxy.sever("/client") == 1
    with pytest.raises(BackendUnavailableError):
        async with asyncio.timeout(PATIENCE / 2):  # half of what the limit would be
            await link.run(fetch("select 7"))
    assert await link.run(fetch("select 8")) == 8
    await link.close()


async def test_what_never_reached_the_server_is_given_up_soon(
    target: PostgresTarget, proxy: FaultProxy
) -> None:
    link = Link(target, "work", doubts=Doubts(target, after_seconds=0.05))
    assert await link.run(fetch("select 6")) == 6
    proxy.hold("/work")
    with pytest.raises(BackendUnavailableError):
        async with asyncio.timeout(PATIENCE / 2):
            await link.run(fetch("select 7"))
    proxy.release()
    assert await link.run(fetch("select 8")) == 8
    await link.close()


class Certain(Doubts):
    """Finds every time that the server has nothing to do, as it has when an answer is on its way for long."""

    async def is_working_for(self, pid: int) -> bool:
        return False


async def test_an_answer_that_is_long_on_its_way_arrives_in_the_end(target: PostgresTarget) -> None:
    """Each time that it is given up, it is waited for twice as long; not by those who come later."""
    link = Link(target, "work", doubts=Certain(target, after_seconds=0.02))
    tries = 0
    async with asyncio.timeout(PATIENCE):
        while True:
            tries += 1
            try:
                assert await link.run(fetch("select 8 from pg_sleep(0.6)")) == 8
                break
            except BackendUnavailableError:
                assert await link.run(fetch("select 7")) == 7  # as whoever asks again does
    assert tries > 1
    await link.close()


async def test_what_the_server_works_on_is_waited_for(
    target: PostgresTarget, direct: Any, fresh_name: str, proxy: FaultProxy
) -> None:
    link = Link(target, "work", doubts=Doubts(target, after_seconds=0.02))
    async with Gate(direct, fresh_name) as gate:
        caller = asyncio.ensure_future(link.run(gate.write))
        await until(direct, WAITS, KEY)
        known = proxy.accepted
        await asyncio.to_thread(proxy.wait_until, lambda proxy: proxy.accepted >= known + 2)
        assert not caller.done()
        await gate.open()
        assert await caller == 1
    await link.close()


class Slow(Doubts):
    """Lets the connection be lost while it asks for the first time."""

    lose: Callable[[], object]
    has_answered = False

    async def is_working_for(self, pid: int) -> bool:
        self.lose()
        answer = await super().is_working_for(pid)
        self.has_answered = True
        return answer


async def test_a_connection_may_be_lost_while_somebody_asks(target: PostgresTarget) -> None:
    doubts = Slow(target, after_seconds=0.02)
    link = Link(target, "work", doubts=doubts)
    complaints: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: complaints.append(context))

    async def job(connection: Any) -> Any:
        doubts.lose = connection.terminate
        return await connection.fetchval("select pg_sleep(60)")

    with pytest.raises(BackendUnavailableError):
        await link.run(job)
    async with asyncio.timeout(PATIENCE):
        while link._doubting is not None:
            await asyncio.sleep(0)
    assert await link.run(fetch("select 8")) == 8
    await link.close()
    gc.collect()
    assert doubts.has_answered
    assert not complaints


async def test_where_nobody_can_be_asked_the_limit_remains(
    target: PostgresTarget, proxy: FaultProxy
) -> None:
    doubts = Doubts(target, after_seconds=0.02)
    link = Link(target, "work", limit_seconds=0.3, doubts=doubts)
    assert await link.run(fetch("select 6")) == 6
    proxy.refuse()
    proxy.sever("/work")
    began = asyncio.get_running_loop().time()
    with pytest.raises(BackendUnavailableError):
        await link.run(fetch("select 7"))
    assert asyncio.get_running_loop().time() >= began + 0.3
    proxy.accept()
    await link.close()


async def test_the_watchdog_leaves_quick_jobs_in_peace(target: PostgresTarget) -> None:
    link = Link(target, "work", limit_seconds=0.05)
    pids = set()
    for _ in range(30):
        pids.add(await link.run(fetch("select pg_backend_pid() from (select pg_sleep(0.005)) w")))
    assert len(pids) == 1
    await link.close()


async def test_collisions_are_tried_again(
    runner: Any, target: PostgresTarget, direct: Any, fresh_name: str
) -> None:
    await direct.execute(f"create sequence {fresh_name}")
    sql = (
        f"do $$ begin if nextval('{fresh_name}') < 4 then"
        " raise exception using errcode = '40P01'; end if; end $$"
    )
    await runner.run(lambda connection: connection.execute(sql))
    assert await direct.fetchval(f"select last_value from {fresh_name}") == 4
    await direct.execute(f"drop sequence {fresh_name}")


async def test_collisions_without_end_are_told(runner: Any) -> None:
    sql = "do $$ begin raise exception using errcode = '40001'; end $$"
    with pytest.raises(RolledBackError):
        await runner.run(lambda connection: connection.execute(sql))


async def test_the_servers_own_limit_is_known_to_have_rolled_back(
    target: PostgresTarget, proxy: FaultProxy
) -> None:
    link = Link(replace(target, statement_seconds=0.1), "work")
    with pytest.raises(RolledBackError, match="statement timeout"):
        await link.run(fetch("select pg_sleep(60)"))
    assert await link.run(fetch("select 1")) == 1
    await link.close()


async def test_a_jobs_own_fault_leaves_the_connection_alone(runner: Any) -> None:
    first = await runner.run(fetch("select pg_backend_pid()"))
    with pytest.raises(BackendError) as failure:
        await runner.run(fetch("select 1/0"))
    assert not isinstance(failure.value, BackendUnavailableError)
    with pytest.raises(BackendError, match="refused"):
        await runner.run(fetch("select $1::int", "text"))
    assert await runner.run(fetch("select pg_backend_pid()")) == first


async def until_unavailable(runner: Link | ClientLinks) -> None:
    """Ask until nobody answers: a backend may outlive its postmaster for a moment."""
    async with asyncio.timeout(20):
        with pytest.raises(BackendUnavailableError):
            while True:
                await runner.run(fetch("select 1"))


async def test_a_restart_of_the_server_is_survived() -> None:
    with ThrowawayPostgres() as server:
        target = PostgresTarget(server.dsn)
        link, clients = Link(target, "work"), ClientLinks(target)
        assert await link.run(fetch("select 1")) == await clients.run(fetch("select 1")) == 1
        for stop in (lambda: server.server.stop(immediately=True), server.server.kill):
            stop()
            for runner in (link, clients):
                await until_unavailable(runner)
            server.server.start()
            assert await link.run(fetch("select 1")) == await clients.run(fetch("select 1")) == 1
        await link.close()
        await clients.close()


async def test_clients_take_as_many_connections_as_they_need_and_no_more(
    clients: ClientLinks, direct: Any, proxy: FaultProxy, fresh_name: str
) -> None:
    for _ in range(5):
        await clients.run(fetch("select 1"))
    assert len(proxy.names()) == 1
    async with Gate(direct, fresh_name) as gate:
        pids = [
            asyncio.ensure_future(
                clients.run(
                    fetch(
                        f"select pg_backend_pid() from (select pg_advisory_xact_lock_shared({KEY})) w"
                    )
                )
            )
            for _ in range(5)
        ]
        await until(
            direct, "select count(*) = 2 from pg_locks where objid = $1 and not granted", KEY
        )
        assert len(proxy.names()) == 2
        await gate.open()
        assert len(set(await asyncio.gather(*pids))) == 2


async def test_nobody_waits_for_the_statement_of_one_who_left(
    clients: ClientLinks, direct: Any, fresh_name: str
) -> None:
    async with Gate(direct, fresh_name) as gate:
        leaver = asyncio.ensure_future(clients.run(gate.write))
        await until(direct, WAITS, KEY)
        leaver.cancel()
        await asyncio.wait({leaver})
        async with asyncio.timeout(PATIENCE):
            for _ in range(5):
                assert await clients.run(fetch("select 1")) == 1
        await gate.open()


async def test_idle_connections_are_given_back(
    target: PostgresTarget, proxy: FaultProxy, direct: Any
) -> None:
    clients = ClientLinks(target, 3, idle_seconds=0.05)
    mine = "select count(*) from pg_stat_activity where application_name = $1"
    name = f"durable_async/{target.hub}/client"
    for _ in range(3):
        await asyncio.gather(*(clients.run(fetch("select 1")) for _ in range(3)))
        await until(direct, f"select ({mine}) = 0", name)
    assert await clients.run(fetch("select 7")) == 7
    await clients.close()
    await clients.close()


async def test_a_connection_in_use_is_not_idle(target: PostgresTarget) -> None:
    clients = ClientLinks(target, 3, idle_seconds=0.01)
    pids = set()
    for _ in range(10):
        pids.add(await clients.run(fetch("select pg_backend_pid() from (select pg_sleep(0.05)) w")))
    assert await clients.run(fetch("select 1")) == 1
    await clients.close()


async def test_a_pool_stays_its_owners(target: PostgresTarget, direct: Any) -> None:
    async with asyncpg.create_pool(target.dsn, min_size=1, max_size=1) as pool:
        clients = ClientLinks(target, pool=pool)
        pid = await clients.run(fetch("select pg_backend_pid()"))
        assert pid == await pool.fetchval("select pg_backend_pid()")
        await clients.close()
        assert await pool.fetchval("select 1") == 1
    with pytest.raises(BackendUnavailableError):
        await clients.run(fetch("select 1"))


def in_a_child(job: Callable[[], Any]) -> int:
    """Run something in a forked process that leaves without a goodbye, and return its status."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            job()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("closes", [True, False])
async def test_a_forked_child_leaves_its_parents_connections_alone(
    closes: bool, target: PostgresTarget
) -> None:
    link, clients = Link(target, "work"), ClientLinks(target)
    own = fetch("select pg_backend_pid()")
    before = await link.run(own), await clients.run(own)

    async def live() -> None:
        here = await link.run(own), await clients.run(own)
        assert not set(here) & set(before)
        await link.close()
        await clients.close()

    async def end() -> None:
        await link.close()
        await clients.close()

    assert in_a_child(lambda: asyncio.run(end() if closes else live())) == 0
    assert (await link.run(own), await clients.run(own)) == before
    await link.close()
    await clients.close()
