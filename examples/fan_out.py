"""Fan-out, fan-in: many activities at once, then one answer from all results.

The calls are recorded together, in one turn. A crash in the middle repeats only those that have not finished.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any

from durable_async import OrchestrationContext, TaskHub, activity, orchestrator, when_all


@activity
async def list_files(folder: str) -> list[str]:
    return [f"{folder}/{number}.txt" for number in range(10)]


@activity
async def count_words(path: str) -> int:
    return len(path)


@orchestrator
async def word_count(ctx: OrchestrationContext, folder: str) -> int:
    paths = await ctx.call_activity(list_files, folder)
    counts = await asyncio.gather(*(ctx.call_activity(count_words, path) for path in paths))
    return sum(counts)


@orchestrator
async def word_count_in_a_group(ctx: OrchestrationContext, folder: str) -> int:
    """The same with a task group: the first failure cancels the others."""
    paths = await ctx.call_activity(list_files, folder)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(ctx.call_activity(count_words, path)) for path in paths]
    return sum(task.result() for task in tasks)


@orchestrator
def word_count_with_yield(ctx: OrchestrationContext, folder: str) -> Generator[Any, Any, int]:
    paths = yield ctx.call_activity(list_files, folder)
    counts = yield when_all([ctx.call_activity(count_words, path) for path in paths])
    return sum(counts)


async def main() -> None:
    async with TaskHub.open("memory://") as hub, hub.worker():
        for orchestration in (word_count, word_count_in_a_group, word_count_with_yield):
            handle = await hub.client.start(orchestration, "inbox")
            print(f"{orchestration.name}: {await handle.wait()}")


if __name__ == "__main__":
    asyncio.run(main())
