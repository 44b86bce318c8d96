"""Events between orchestrations: two instances play ping-pong through their mailboxes.

An event is stored with the turn that sent it, and waits in the receiver's mailbox until it is asked for.
"""

from __future__ import annotations

import asyncio

from durable_async import OrchestrationContext, TaskHub, orchestrator


@orchestrator
async def player(ctx: OrchestrationContext, opponent: str) -> list[int]:
    seen: list[int] = []
    if opponent == "pong":  # this one serves
        ctx.send_event(opponent, "ball", 1)
    while True:
        ball = await ctx.wait_for_external_event("ball", int)
        seen.append(ball)
        if ball < 6:
            ctx.send_event(opponent, "ball", ball + 1)
        if ball >= 5:
            return seen


async def main() -> None:
    async with TaskHub.open("memory://") as hub, hub.worker():
        pong = await hub.client.start(player, "ping", instance_id="pong")
        ping = await hub.client.start(player, "pong", instance_id="ping")
        print(f"ping saw {await ping.wait()}")
        print(f"pong saw {await pong.wait()}")


if __name__ == "__main__":
    asyncio.run(main())
