"""DBOS: one workflow that gathers many no-op steps; asynchronous, with its defaults, LISTEN and NOTIFY on.

dbos_fan_out.py 1000
"""

from __future__ import annotations

import asyncio
import sys

from common import Database, Meter, check, emit, finish, fresh_database
from dbos import DBOS
from items import per_item

WARM_UP = 50


class Ran:
    """What this process has run so far."""

    steps = 0


@DBOS.step()
async def noop(number: int) -> int:
    """Do nothing."""
    Ran.steps += 1
    return number


@DBOS.workflow()
async def fan(size: int) -> int:
    """Run the step for each number."""
    return sum(await asyncio.gather(*[noop(number) for number in range(size)]))


async def measure(database: Database, size: int) -> dict[str, float]:
    """Run one, from its start to the result."""
    DBOS(
        config={"name": "bench", "system_database_url": database.dsn, "log_level": "CRITICAL"},
    )
    DBOS.launch()
    await (await DBOS.start_workflow_async(fan, WARM_UP)).get_result()
    Ran.steps = 0
    meter = Meter(database)
    total = await (await DBOS.start_workflow_async(fan, size)).get_result()
    used = meter.stop()
    check("the sum", total, size * (size - 1) // 2)
    check("steps that ran", Ran.steps, size)
    rows = database.value("select count(*) from dbos.operation_outputs")
    check("steps in the database", rows, str(size + WARM_UP))
    DBOS.destroy()
    return per_item(used, size, f"_{size}")


def main(size: int) -> None:
    """Print the figures."""
    with fresh_database() as database:
        figures = asyncio.run(measure(database, size))
    emit(figures)
    finish()


if __name__ == "__main__":
    main(int(sys.argv[1]))
