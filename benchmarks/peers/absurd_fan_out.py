"""Absurd: one task that gathers many no-op steps, which is faster than as many child tasks; it polls every 10 ms.

absurd_fan_out.py 1000
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from typing import Any

from absurd_sdk import AsyncAbsurd
from absurd_store import install
from common import Database, Meter, check, emit, finish, fresh_database
from items import per_item

POLL_SECONDS = 0.01
WARM_UP = 50


class Ran:
    """What this process has run so far."""

    steps = 0


async def noop() -> int:
    """Do nothing."""
    Ran.steps += 1
    return 1


def application(dsn: str) -> AsyncAbsurd:
    """Return a client or worker with a connection of its own."""
    absurd = AsyncAbsurd(dsn)

    @absurd.register_task("fan")
    async def fan(params: Any, ctx: Any) -> int:
        steps = [ctx.step("noop", noop) for _ in range(params["size"])]
        return sum(await asyncio.gather(*steps))

    return absurd


async def run(client: AsyncAbsurd, size: int) -> int:
    """Run one, from its start to the result."""
    task = (await client.spawn("fan", {"size": size}))["task_id"]
    while True:
        found = await client.fetch_task_result(task)
        if found is not None and found.state in ("completed", "failed", "cancelled"):
            check("its state", found.state, "completed")
            return int(found.result)
        await asyncio.sleep(POLL_SECONDS)


async def measure(database: Database, size: int) -> dict[str, float]:
    """Measure one after the warm-up."""
    client, worker = application(database.dsn), application(database.dsn)
    working = asyncio.create_task(worker.start_worker(concurrency=1, poll_interval=POLL_SECONDS))
    await run(client, WARM_UP)
    Ran.steps = 0
    meter = Meter(database)
    total = await run(client, size)
    used = meter.stop()
    check("the sum", total, size)
    check("steps that ran", Ran.steps, size)
    rows = database.value("select count(*) from absurd.c_default")
    check("steps in the database", rows, str(size + WARM_UP))
    working.cancel()
    with suppress(asyncio.CancelledError):
        await working
    return per_item(used, size, f"_{size}")


def main(size: int) -> None:
    """Print the figures."""
    with fresh_database() as database:
        install(database)
        figures = asyncio.run(measure(database, size))
    emit(figures)
    finish()


if __name__ == "__main__":
    main(int(sys.argv[1]))
