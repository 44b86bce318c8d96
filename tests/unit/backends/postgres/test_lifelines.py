"""A sign of life is there as long as the process is, whatever blocks its loop or cuts its connection."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from durable_async.backends.postgres.address import PostgresTarget
from durable_async.backends.postgres.lifelines import Lifelines
from durable_async.errors import BackendError, BackendUnavailableError
from durable_async.testing.postgres import ThrowawayPostgres
from durable_async.testing.proxy import FaultProxy

PATIENCE = 30.0

HELD = (
    "select count(*) from pg_locks where locktype = 'advisory' and granted"
    " and ((classid::bigint << 32) | objid::bigint) = $1"
)


@pytest.fixture
async def lifelines(target: PostgresTarget) -> AsyncIterator[Lifelines]:
    lifelines = Lifelines(target)
    yield lifelines
    await lifelines.close()


class Watcher:
    """Looks into the server from outside."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    async def is_held(self, key: int | None) -> bool:
        return bool(await self.connection.fetchval(HELD, key))

    async def until_held(self, key: int | None) -> None:
        await self._until(key, is_held=True)

    async def until_free(self, key: int | None) -> None:
        await self._until(key, is_held=False)

    async def _until(self, key: int | None, *, is_held: bool) -> None:
        async with asyncio.timeout(PATIENCE):
            while await self.is_held(key) != is_held:
                await asyncio.sleep(0.005)


@pytest.fixture
async def watcher(postgres_server: ThrowawayPostgres) -> AsyncIterator[Watcher]:
    connection = await asyncpg.connect(postgres_server.dsn)
    yield Watcher(connection)
    await connection.close()


async def test_a_sign_is_given_and_withdrawn(lifelines: Lifelines, watcher: Watcher) -> None:
    one, other = await lifelines.hold("one"), await lifelines.hold("other")
    assert one != other
    assert await lifelines.hold("one") == one
    assert await watcher.is_held(one)
    assert await watcher.is_held(other)
    await lifelines.drop("one")
    await lifelines.drop("one")
    await lifelines.drop("nobody")
    assert not await watcher.is_held(one)
    assert await watcher.is_held(other)
    await lifelines.close()
    await watcher.until_free(other)
    await lifelines.close()
    assert await lifelines.hold("one") == one  # it can be used again


async def test_two_processes_do_not_share_a_sign(target: PostgresTarget, watcher: Watcher) -> None:
    first, second = Lifelines(target), Lifelines(target)
    key = await first.hold("one")
    assert key is not None
    assert await second.hold("one") is None
    await first.close()
    await watcher.until_free(key)
    assert await second.hold("one") == key
    await second.close()


async def test_statements_run_for_any_thread_also_while_the_loop_is_blocked(
    lifelines: Lifelines, watcher: Watcher
) -> None:
    key = await lifelines.hold("one")
    answers: list[Any] = []

    def ask() -> None:
        row = lifelines.call("select $1::int + 1", 41, timeout_seconds=PATIENCE)
        answers.append(row[0])

    threads = [threading.Thread(target=ask) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()  # blocks this loop
    assert answers == [42] * 5
    assert lifelines.call("select where false", timeout_seconds=PATIENCE) is None
    assert await watcher.is_held(key)


@pytest.mark.parametrize("breaks", ["termination", "reset"])
async def test_a_cut_connection_is_made_anew_at_once_with_all_signs(
    breaks: str,
    lifelines: Lifelines,
    target: PostgresTarget,
    proxy: FaultProxy,
    watcher: Watcher,
) -> None:
    keys = [await lifelines.hold(f"worker {number}") for number in range(5)]
    before = lifelines.call("select pg_backend_pid()", timeout_seconds=PATIENCE)[0]
    if breaks == "reset":
        assert proxy.reset("/lifeline") == 1
    else:
        await watcher.connection.execute(f"select pg_terminate_backend({before})")
    async with asyncio.timeout(PATIENCE):
        while await watcher.connection.fetchval(
            "select exists (select from pg_stat_activity where pid = $1)", before
        ):
            await asyncio.sleep(0.005)
    for key in keys:
        await watcher.until_held(key)  # nobody has asked for anything meanwhile
    assert lifelines.call("select pg_backend_pid()", timeout_seconds=PATIENCE)[0] != before


async def test_a_server_that_hangs_is_waited_for_no_longer_than_was_said(
    lifelines: Lifelines, proxy: FaultProxy, watcher: Watcher
) -> None:
    key = await lifelines.hold("one")
    proxy.hold("/lifeline")
    with pytest.raises(BackendUnavailableError, match="within"):
        await asyncio.to_thread(lifelines.call, "select 1", timeout_seconds=0.1)
    proxy.release()
    await watcher.until_held(key)
    row = await asyncio.to_thread(lifelines.call, "select 1", timeout_seconds=PATIENCE)
    assert row[0] == 1


async def test_a_fault_of_the_statement_costs_nobody_the_sign(
    lifelines: Lifelines, watcher: Watcher
) -> None:
    key = await lifelines.hold("one")
    pid = lifelines.call("select pg_backend_pid()", timeout_seconds=PATIENCE)[0]
    with pytest.raises(BackendError) as failure:
        lifelines.call("select 1/0", timeout_seconds=PATIENCE)
    assert not isinstance(failure.value, BackendUnavailableError)
    assert lifelines.call("select pg_backend_pid()", timeout_seconds=PATIENCE)[0] == pid
    assert await watcher.is_held(key)


async def test_who_cannot_reach_the_server_is_told(lifelines: Lifelines, proxy: FaultProxy) -> None:
    proxy.refuse()
    with pytest.raises(BackendUnavailableError):
        await lifelines.hold("one")
    with pytest.raises(BackendUnavailableError):
        await asyncio.to_thread(lifelines.call, "select 1", timeout_seconds=PATIENCE)
    proxy.accept()
    assert await lifelines.hold("one") is not None


async def test_a_cancelled_caller_does_not_cut_the_connection(
    lifelines: Lifelines, watcher: Watcher, proxy: FaultProxy
) -> None:
    key = await lifelines.hold("one")
    pid = lifelines.call("select pg_backend_pid()", timeout_seconds=PATIENCE)[0]
    proxy.hold("/lifeline")
    caller = asyncio.ensure_future(lifelines.hold("other"))
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    proxy.release()
    other = await lifelines.hold("other")
    assert await watcher.is_held(key)
    assert await watcher.is_held(other)
    row = await asyncio.to_thread(
        lifelines.call, "select pg_backend_pid()", timeout_seconds=PATIENCE
    )
    assert row[0] == pid
    assert proxy.cancels == 0


async def test_a_restart_of_the_server_is_survived() -> None:
    with ThrowawayPostgres() as server:
        lifelines = Lifelines(PostgresTarget(server.dsn))
        key = await lifelines.hold("one")
        server.server.stop(immediately=True)
        server.server.start()
        connection = await asyncpg.connect(server.dsn)
        await Watcher(connection).until_held(key)
        await connection.close()
        await lifelines.close()


HOLDS_AND_WAITS = """
import asyncio, sys
from durable_async.backends.postgres.address import PostgresTarget
from durable_async.backends.postgres.lifelines import Lifelines

async def main() -> None:
    lifelines = Lifelines(PostgresTarget(sys.argv[1], hub=sys.argv[2]))
    print(await lifelines.hold("one"), flush=True)
    sys.stdin.read()

asyncio.run(main())
"""


async def test_the_server_withdraws_the_sign_of_a_process_that_was_killed(
    target: PostgresTarget, watcher: Watcher
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS_AND_WAITS, target.dsn, target.hub],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        key = int(await asyncio.to_thread(process.stdout.readline))
        assert await watcher.is_held(key)
        process.kill()
        await watcher.until_free(key)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
async def test_a_forked_child_has_signs_of_its_own(lifelines: Lifelines, watcher: Watcher) -> None:
    key = await lifelines.hold("parent")

    async def live() -> None:
        assert await lifelines.hold("parent") is None
        assert await lifelines.hold("child") is not None
        await lifelines.drop("parent")
        await lifelines.close()

    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            asyncio.run(live())
            status = 0
        finally:
            os._exit(status)
    _, status = await asyncio.to_thread(os.waitpid, pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert await watcher.is_held(key)
    assert lifelines.call("select 7", timeout_seconds=PATIENCE)[0] == 7
