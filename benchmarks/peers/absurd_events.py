"""Absurd: tasks that wait for an event each; they are spawned, sent it, and complete.

As tuned as was found: eight workers on eight connections in one process, as many clients on their own, polls of 10 ms.

absurd_events.py 500
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from absurd_sdk import AsyncAbsurd
from absurd_store import install
from common import Database, Meter, check, emit, finish, fresh_database
from items import per_item

CONCURRENCY = 200
CONNECTIONS = 8
POLL_SECONDS = 0.01
WARM_UP = 40


def application(dsn: str) -> AsyncAbsurd:
    """Return a client or worker with a connection of its own."""
    absurd = AsyncAbsurd(dsn)

    @absurd.register_task("waiter")
    async def waiter(params: Any, ctx: Any) -> Any:
        return [params["name"], await ctx.await_event(params["name"])]

    return absurd


async def spread(
    clients: Sequence[AsyncAbsurd],
    names: Sequence[str],
    call: Callable[[AsyncAbsurd, str], Awaitable[Any]],
) -> None:
    """Do something for each name, with all clients side by side."""

    async def one(client: AsyncAbsurd, own: Sequence[str]) -> None:
        for name in own:
            await call(client, name)

    shares = [names[place :: len(clients)] for place in range(len(clients))]
    await asyncio.gather(*[one(*pair) for pair in zip(clients, shares)])  # noqa: B905 - old interpreters


async def counted(database: Database, state: str, instances: int) -> None:
    """Wait until so many tasks are in a state."""
    statement = f"select count(*) from absurd.t_default where state = '{state}'"
    while int(await asyncio.to_thread(database.value, statement) or 0) < instances:  # noqa: ASYNC110 - the database tells nobody
        await asyncio.sleep(POLL_SECONDS)


async def run(
    database: Database, clients: Sequence[AsyncAbsurd], prefix: str, instances: int, done: int
) -> None:
    """Spawn, wait until all sleep, send, and wait for all beside those that were done before."""
    names = [f"{prefix}{number}" for number in range(instances)]
    await spread(clients, names, lambda client, name: client.spawn("waiter", {"name": name}))
    await counted(database, "sleeping", instances)
    await spread(clients, names, lambda client, name: client.emit_event(name, name))
    await counted(database, "completed", done + instances)


async def measure(database: Database, instances: int) -> dict[str, float]:
    """Measure it after the warm-up."""
    clients = [application(database.dsn) for _ in range(CONNECTIONS)]
    workers = [application(database.dsn) for _ in range(CONNECTIONS)]
    working = [
        asyncio.create_task(
            worker.start_worker(concurrency=CONCURRENCY // CONNECTIONS, poll_interval=POLL_SECONDS)
        )
        for worker in workers
    ]
    await run(database, clients, "warm", WARM_UP, 0)
    meter = Meter(database)
    await run(database, clients, "go", instances, WARM_UP)
    used = meter.stop()
    right = database.value(
        "select count(*) from absurd.t_default where params->>'name' like 'go%'"
        " and completed_payload = jsonb_build_array(params->'name', params->'name')"
    )
    check("right results", right, str(instances))
    for task in working:
        task.cancel()
    await asyncio.gather(*working, return_exceptions=True)
    return per_item(used, instances)


def main(instances: int) -> None:
    """Print the figures."""
    with fresh_database() as database:
        install(database)
        figures = asyncio.run(measure(database, instances))
    emit(figures)
    finish()


if __name__ == "__main__":
    main(int(sys.argv[1]))
