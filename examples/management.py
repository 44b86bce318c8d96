"""Management: start once under an id of your own, find, suspend, resume, restart, rewind, purge."""

from __future__ import annotations

import asyncio

from durable_async import (
    OrchestrationContext,
    OrchestrationFailedError,
    ReusePolicy,
    Status,
    TaskHub,
    activity,
    orchestrator,
)

broken = {"printer"}


@activity
async def use(machine: str) -> str:
    if machine in broken:
        raise RuntimeError(f"the {machine} is broken")
    return f"used the {machine}"


@orchestrator
async def errand(ctx: OrchestrationContext, machine: str) -> str:
    await ctx.wait_for_external_event("go")
    return await ctx.call_activity(use, machine)


async def main() -> None:
    async with TaskHub.open("memory://") as hub, hub.worker():
        client = hub.client
        first = await client.start(errand, "press", instance_id="job-1", tags={"team": "blue"})
        again = await client.start(
            errand, "press", instance_id="job-1", reuse=ReusePolicy.RETURN_EXISTING
        )
        print(f"created: {first.created}, then {again.created}")

        await client.suspend("job-1", reason="lunch")
        await client.raise_event("job-1", "go")  # kept until it goes on
        await client.resume("job-1")
        print(await first.wait())

        failing = await client.start(errand, "printer", instance_id="job-2", tags={"team": "blue"})
        await failing.raise_event("go")
        try:
            await failing.wait()
        except OrchestrationFailedError as error:
            print(f"failed: {error.failure.cause and error.failure.cause.message}")
        broken.clear()
        await client.rewind(failing)  # what failed is done again, what succeeded is kept
        print(await failing.wait())

        found = client.query(statuses=[Status.COMPLETED], tags={"team": "blue"})
        print([state.instance_id async for state in found])
        print(f"purged: {await client.purge('job-1')}, left: {await client.get('job-1')}")


if __name__ == "__main__":
    asyncio.run(main())
