"""Workers of the documented name on a hub in virtual time, and a client that speaks their payloads."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.integration.worlds import World

from durable_async import OrchestrationState, TaskHub
from durable_async.testing import VirtualEnvironment
from durabletask._runtime.texts import TextPayloads
from durabletask.serialization import DEFAULT_DATA_CONVERTER
from durabletask.worker import TaskHubGrpcWorker


class Running:
    """A worker at work."""

    def __init__(self, hub: TaskHub) -> None:
        self.hub = hub

    async def start(self, function: Any, value: Any = None, **options: Any) -> str:
        """Start an orchestration."""
        name = function if isinstance(function, str) else function.__name__
        text = DEFAULT_DATA_CONVERTER.serialize(value)
        return (await self.hub.client.start(name, text, **options)).instance_id

    async def ended(self, instance_id: str) -> OrchestrationState:
        """Wait until an orchestration has ended."""
        return await self.hub.client.wait_for_end(instance_id)

    async def outcome(self, function: Any, value: Any = None, **options: Any) -> Any:
        """Run an orchestration, and return its output."""
        state = await self.ended(await self.start(function, value, **options))
        assert state.failure is None, state.failure
        return DEFAULT_DATA_CONVERTER.deserialize(state.output())

    async def failure(self, function: Any, value: Any = None, **options: Any) -> tuple[str, str]:
        """Run an orchestration that fails, and return how."""
        state = await self.ended(await self.start(function, value, **options))
        assert state.failure is not None
        return state.failure.error_type, state.failure.message

    async def raise_event(self, instance_id: str, name: str, value: Any = None) -> None:
        """Raise an event as the documented client does."""
        text = DEFAULT_DATA_CONVERTER.serialize(value)
        await self.hub.client.raise_event(instance_id, name.casefold(), text)

    async def recorded(self, instance_id: str) -> list[str]:
        """Return the kinds of events in a history."""
        return [type(event).__name__ for event in await self.hub.client.history(instance_id)]


@asynccontextmanager
async def running(
    world: World, env: VirtualEnvironment, worker: TaskHubGrpcWorker
) -> AsyncIterator[Running]:
    """Run a worker's code in virtual time."""
    registry = worker._native_registry()
    settings = worker._settings()
    async with (
        world.hub(env, registry, payloads=TextPayloads()) as hub,
        hub.worker(registry, divergence=settings.divergence),
    ):
        yield Running(hub)
