"""How often a schedule asks the store: not more often for having more to ask about."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio

from durable_async import OrchestrationContext, Registry, TaskHub
from durable_async.backends.memory import MemoryBackend
from durable_async.backends.memory.store import MemoryStore
from durable_async.testing import VirtualEnvironment, virtual_time

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
registry = Registry()


@registry.orchestrator
async def long(ctx: OrchestrationContext) -> None:
    await ctx.create_timer(timedelta(days=1))


class Counting(MemoryBackend):
    """Counts looks at orchestrations."""

    reads = 0

    async def read(self, instance_ids: Sequence[str], **options: Any) -> Any:
        self.reads += 1
        return await super().read(instance_ids, **options)


@virtual_time
async def test_a_thousand_runs_are_looked_at_as_ten_are(env: VirtualEnvironment) -> None:
    backend = Counting(MemoryStore(env), environment=env)
    async with TaskHub.open(backend, registry=registry, environment=env) as hub, hub.worker():

        async def reads_of(coroutine: Any) -> int:
            before = backend.reads
            await coroutine
            return backend.reads - before

        await hub.schedules.create("s", long, every=60.0, start=BEGIN - timedelta(days=1))
        until = BEGIN - timedelta(minutes=1)
        few, many = until - timedelta(minutes=9), until - timedelta(minutes=909)
        dry = hub.schedules.backfill("s", many, until, dry_run=True)
        assert await reads_of(dry) <= 3
        assert await reads_of(hub.schedules.backfill("s", few, until)) <= 2
        assert await reads_of(hub.schedules.describe("s")) <= 2
        assert await reads_of(hub.schedules.backfill("s", many, until)) <= 10 * 2 + 2
        at_a_tick = await reads_of(anyio.sleep(61))
        state = await hub.schedules.get("s")
        assert state is not None
        assert (state.started, state.skipped) == (910, 1)
        assert at_a_tick <= 3
