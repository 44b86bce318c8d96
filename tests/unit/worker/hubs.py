"""Hubs in memory, on virtual time, with a store that can misbehave."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from durable_async import Registry, TaskHub
from durable_async.backends.memory import MemoryBackend
from durable_async.backends.memory.store import MemoryStore
from durable_async.errors import BackendUnavailableError, FencedError
from durable_async.model.records import CommitItem, CommitResult, Fence
from durable_async.telemetry import Telemetry
from durable_async.testing import VirtualEnvironment


class UnreliableBackend(MemoryBackend):
    """A memory backend whose commits can be told to fail.

    Attributes:
        plan: One entry for each of the next commits: ``"lost"`` (it lands, its answer does not come), ``"refused"`` (it does not land),
            ``"late"`` (it lands just before the commit after it), an exception to raise, or ``"ok"``.
        renew: Called instead of a renewal, if set.
        batches: Sizes of all batches that were sent.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.plan: list[Any] = []
        self._late: tuple[Fence, Sequence[CommitItem]] | None = None
        self.renew: Callable[[], None] | None = None
        self.batches: list[list[CommitItem]] = []

    async def commit(self, fence: Fence, items: Sequence[CommitItem]) -> CommitResult:
        self.batches.append(list(items))
        step = self.plan.pop(0) if self.plan else "ok"
        late, self._late = self._late, None
        if late is not None:
            with suppress(FencedError):  # nobody hears of it
                await super().commit(*late)
        if step == "late":
            self._late = (fence, items)
            raise BackendUnavailableError("under way still")
        if isinstance(step, Exception):
            raise step
        if step == "refused":
            raise BackendUnavailableError("not sent")
        result = await super().commit(fence, items)
        if step == "lost":
            raise BackendUnavailableError("sent, and no answer")
        return result

    def renew_lease(self, fence: Fence, lease_seconds: float) -> None:
        if self.renew is not None:
            self.renew()
        super().renew_lease(fence, lease_seconds)


@asynccontextmanager
async def opened(
    env: VirtualEnvironment,
    registry: Registry,
    store: MemoryStore | None = None,
    telemetry: Telemetry | None = None,
) -> AsyncIterator[tuple[TaskHub, UnreliableBackend]]:
    """Open a hub on an unreliable backend."""
    backend = UnreliableBackend(store or MemoryStore(env), environment=env)
    await backend.open()
    hub = TaskHub(backend, registry=registry, environment=env, telemetry=telemetry)
    try:
        yield hub, backend
    finally:
        hub.client.close()
        await backend.close()
