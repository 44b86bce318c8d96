"""After an outage: a worker does not replay all that it may have at once, and workers do not come at the same time."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from durable_async import OrchestrationContext, Registry
from durable_async.testing import VirtualEnvironment, virtual_time
from durable_async.worker import _adoption
from durable_async.worker._patience import LONGEST_SECONDS, Patience

from .hubs import opened

registry = Registry()


@registry.orchestrator
async def waits(ctx: OrchestrationContext) -> str:
    return str(await ctx.wait_for_external_event("go", str))


@virtual_time
async def test_a_worker_replays_one_after_the_other(
    env: VirtualEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many wait for it, and however long a history takes to be read."""
    at_once, most, replayed = 0, 0, 0
    rebuild = _adoption._rebuild

    async def slowly(*args: Any) -> Any:
        nonlocal at_once, most, replayed
        at_once += 1
        most = max(most, at_once)
        await anyio.sleep(0.01)
        try:
            return await rebuild(*args)
        finally:
            at_once -= 1
            replayed += 1

    monkeypatch.setattr(_adoption, "_rebuild", slowly)
    async with opened(env, registry) as (hub, _):
        for number in range(200):
            await hub.client.start(waits, instance_id=str(number))
        async with hub.worker():
            await anyio.sleep(10)
            assert (replayed, most) == (200, 1)


@virtual_time
async def test_pauses_differ_between_workers(env: VirtualEnvironment) -> None:
    """And they grow, to a bound at which a store that is back is noticed."""
    pauses: list[list[float]] = []
    for _ in range(20):
        patience, taken = Patience(env), []
        for _ in range(8):
            begun = env.monotonic()
            await patience.pause()
            taken.append(env.monotonic() - begun)
        pauses.append(taken)
    assert len({round(taken[0], 6) for taken in pauses}) == 20
    assert all(taken[0] < taken[-1] <= LONGEST_SECONDS for taken in pauses)
