"""DBOS: workflows that wait for a message each; they are started, sent it (all in one transaction), and complete.

dbos_events.py 500
"""

from __future__ import annotations

import asyncio
import sys

from common import Database, Meter, check, emit, finish, fresh_database
from dbos import DBOS, SendMessage, SetWorkflowID
from items import per_item

STARTS_AT_ONCE = 20
TOPIC = "go"
WARM_UP = 40


class Ran:
    """The workflows of this process that have come to wait."""

    waiting: set[str] = set()  # noqa: RUF012 - of the process, on purpose


@DBOS.workflow()
async def waiter(name: str) -> list[str]:
    """Return the own name, and what the message says."""
    Ran.waiting.add(name)
    return [name, await DBOS.recv_async(TOPIC, timeout_seconds=600)]


async def run(prefix: str, instances: int) -> None:
    """Start them; when all wait, send; and wait for each result."""
    names = [f"{prefix}{number}" for number in range(instances)]
    gate = asyncio.Semaphore(STARTS_AT_ONCE)

    async def start(name: str):
        async with gate:
            with SetWorkflowID(name):
                return await DBOS.start_workflow_async(waiter, name)

    handles = await asyncio.gather(*[start(name) for name in names])
    while not Ran.waiting.issuperset(names):  # noqa: ASYNC110 - another loop fills it
        await asyncio.sleep(0.005)
    await DBOS.send_bulk_async([SendMessage(name, name, TOPIC) for name in names])
    results = await asyncio.gather(*[handle.get_result() for handle in handles])
    check("results", results, [[name, name] for name in names])


async def measure(database: Database, instances: int) -> dict[str, float]:
    """Measure it after the warm-up."""
    DBOS(config={"name": "bench", "system_database_url": database.dsn, "log_level": "CRITICAL"})
    DBOS.launch()
    await run("warm", WARM_UP)
    meter = Meter(database)
    await run("go", instances)
    used = meter.stop()
    rows = database.value("select count(*) from dbos.workflow_status where status = 'SUCCESS'")
    check("workflows in the database", rows, str(instances + WARM_UP))
    DBOS.destroy()
    return per_item(used, instances)


def main(instances: int) -> None:
    """Print the figures."""
    with fresh_database() as database:
        figures = asyncio.run(measure(database, instances))
    emit(figures)
    finish()


if __name__ == "__main__":
    main(int(sys.argv[1]))
