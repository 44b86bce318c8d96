"""Bank, the client: opens three accounts, makes many transfers at once, and counts the money."""

from __future__ import annotations

import asyncio
import os
from collections import Counter

from durabletask.client import AsyncTaskHubGrpcClient
from durabletask.entities import EntityInstanceId

ADDRESS = os.environ.get("DURABLE_TASK_ADDRESS", "localhost:4001")
NAMES = ("ada", "grace", "mary")
ROUNDS = 4


async def balance(client: AsyncTaskHubGrpcClient, name: str) -> int | None:
    account = await client.get_entity(EntityInstanceId("account", name))
    return None if account is None else account.get_typed_state(int)


async def main() -> None:
    async with AsyncTaskHubGrpcClient(host_address=ADDRESS) as client:
        for name in NAMES:
            await client.signal_entity(EntityInstanceId("account", name), "deposit", input=10_000)
        while [await balance(client, name) for name in NAMES] != [10_000] * len(NAMES):  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.05)
        print("opened three accounts", flush=True)

        pairs = [(one, other) for one in NAMES for other in NAMES if one != other]
        orders = [{"source": a, "target": b, "cents": 700} for a, b in pairs * ROUNDS]
        orders.append({"source": "ada", "target": "mary", "cents": 1_000_000})
        ids = [await client.schedule_new_orchestration("transfer", input=one) for one in orders]
        states = [await client.wait_for_orchestration_completion(id, timeout=60) for id in ids]
        results = Counter(state.get_output().partition(":")[0] for state in states)

        print(f"transfers: {results['done']} done, {results['refused']} refused", flush=True)
        print("balances:", *[await balance(client, name) for name in NAMES], flush=True)


if __name__ == "__main__":
    asyncio.run(main())
