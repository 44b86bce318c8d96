"""Schedules: an orchestration that is started at times, paused, changed, triggered and caught up with while it lives.

In a service, `cron="0 9 * * MON-FRI", time_zone="Europe/Berlin"` is more like it than three times a second.
"""

from __future__ import annotations

import asyncio

from durable_async import OrchestrationContext, TaskHub, activity, orchestrator
from durable_async.schedules import IfExists, Overlap


@activity
async def write(text: str) -> str:
    return f"wrote {text}"


@orchestrator
async def report(ctx: OrchestrationContext, about: str) -> str:
    return await ctx.call_activity(write, f"about {about}")


async def main() -> None:
    async with TaskHub.open("memory://") as hub, hub.worker():
        schedules = hub.schedules
        # Said at each start of the program, in each of its processes: the first one creates it, the others find it.
        for _ in range(2):
            await schedules.create(
                "sales",
                report,
                "sales",
                every=0.3,
                overlap=Overlap.BUFFER_ONE,
                if_exists=IfExists.UPDATE,
            )

        await asyncio.sleep(0.75)  # two ticks
        paused = await schedules.pause("sales", "the quarter is over")
        print(f"paused because {paused.reason}, next tick: {paused.next_tick}")
        for run in reversed(paused.runs):
            print(f"at a tick: {await hub.client.wait(run.instance_id)}")

        run_now = await schedules.trigger("sales")  # also while it is paused
        print(f"when asked for: {await run_now.wait()}")

        await schedules.update("sales", cron="0 9 * * MON-FRI", time_zone="Europe/Berlin")
        resumed = await schedules.resume("sales")
        is_workday = resumed.next_tick is not None and resumed.next_tick.weekday() < 5
        print(f"from now on at {resumed.spec.cron}; the next one is on a workday: {is_workday}")
        await schedules.delete("sales")
        print([one.schedule_id async for one in schedules.list()])


if __name__ == "__main__":
    asyncio.run(main())
