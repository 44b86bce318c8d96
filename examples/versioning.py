"""Versions: new code goes on with old histories, because it branches on the version that an instance was started with.

Without the branch, an instance that began before the deployment would be found out of step with its history and be parked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any

from packaging.version import Version

from durable_async import OrchestrationContext, TaskHub, activity, orchestrator


@activity
async def say(word: str, name: str) -> str:
    return f"{word} {name}"


def is_at_least(version: str | None, wanted: str) -> bool:
    return version is not None and Version(version) >= Version(wanted)


@orchestrator
async def greeting(ctx: OrchestrationContext, name: str) -> list[str]:
    """1.0: says hello. 2.0: says goodbye, too."""
    said = [await ctx.call_activity(say, "hello", name)]
    if is_at_least(ctx.version, "2.0"):
        said.append(await ctx.call_activity(say, "goodbye", name))
    return said


@orchestrator
def greeting_with_yield(ctx: OrchestrationContext, name: str) -> Generator[Any, Any, list[str]]:
    said = [(yield ctx.call_activity(say, "hello", name))]
    if is_at_least(ctx.version, "2.0"):
        said.append((yield ctx.call_activity(say, "goodbye", name)))
    return said


async def main() -> None:
    async with TaskHub.open("memory://") as hub, hub.worker():
        for orchestration in (greeting, greeting_with_yield):
            for version in (None, "1.0", "2.0", "10.0"):
                handle = await hub.client.start(orchestration, "Ada", version=version)
                print(f"{orchestration.name} {version}: {await handle.wait()}")


if __name__ == "__main__":
    asyncio.run(main())
