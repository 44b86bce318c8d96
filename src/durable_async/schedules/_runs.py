"""What became of runs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from durable_async.client import Client, OrchestrationState


async def states_of(client: Client, instance_ids: Iterable[str]) -> list[OrchestrationState | None]:
    """Return what the store knows of some runs, however many, in a few round trips; ``None`` for those that are not there."""
    return await asyncio.gather(*[client.get(one, payloads=False) for one in instance_ids])
