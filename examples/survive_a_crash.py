"""Survive a crash: the program starts itself as a child, kills it in the middle, and goes on where it was.

The child is killed with SIGKILL: no handler runs, nothing is flushed. All that is left is the SQLite file and a log of what ran.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from durable_async import OrchestrationContext, ReusePolicy, TaskHub, activity, orchestrator

STEPS = 10


@activity
def step(log: str, number: int) -> int:
    with Path(log).open("a") as file:
        file.write(f"{number}\n")
    time.sleep(0.03)
    return number


@orchestrator
async def ten_steps(ctx: OrchestrationContext, log: str) -> int:
    total = 0
    for number in range(STEPS):
        total += await ctx.call_activity(step, log, number)
    return total


async def run(folder: Path) -> int:
    async with TaskHub.open(f"sqlite:///{folder / 'crash.db'}") as hub, hub.worker():
        handle = await hub.client.start(
            ten_steps,
            str(folder / "log.txt"),
            instance_id="the-one",
            reuse=ReusePolicy.RETURN_EXISTING,  # the same program starts it and goes on with it
        )
        return await handle.wait()


def lines(folder: Path) -> list[str]:
    log = folder / "log.txt"
    return log.read_text().splitlines() if log.exists() else []


def start_and_kill(folder: Path) -> None:
    child = subprocess.Popen([sys.executable, __file__, str(folder)])  # noqa: S603 - ourselves
    while len(lines(folder)) < STEPS // 2 and child.poll() is None:
        time.sleep(0.005)
    child.kill()
    child.wait()


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        start_and_kill(folder)
        print(f"killed when {len(lines(folder))} of {STEPS} were begun")
        total = asyncio.run(run(folder))
        print(f"finished with the right sum: {total == sum(range(STEPS))}")
        print(f"begun twice, as it ran when the process died: {len(lines(folder)) - STEPS}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(run(Path(sys.argv[1])))
    else:
        main()
