"""Entities of the SDK's names on a hub in virtual time, and a client that speaks JSON to them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tests.integration.worlds import World

from durable_async import EntityOperationFailedError, FailureDetails, Registry, TaskHub
from durable_async.testing import VirtualEnvironment
from durabletask._runtime.entity_ids import to_native
from durabletask._runtime.entity_operations import add_entity
from durabletask._runtime.failures import to_native as recorded
from durabletask._runtime.texts import TextPayloads
from durabletask.entities import EntityInstanceId
from durabletask.serialization import DataConverter, JsonDataConverter

CONVERTER: DataConverter = JsonDataConverter()


@dataclass
class Stage:
    """A hub with a worker of entities.

    Attributes:
        hub: The hub.
    """

    hub: TaskHub

    async def call(self, entity: EntityInstanceId, operation: str, input: Any = None) -> Any:
        """Let an entity do something, and return what came out."""
        text = None if input is None else json.dumps(input)
        answer = await self.hub.client.call_entity(to_native(entity), operation, text)
        return None if answer is None else json.loads(answer)

    async def failure(
        self, entity: EntityInstanceId, operation: str, input: Any = None
    ) -> FailureDetails:
        """Let an entity do something that fails, and return what is recorded of it."""
        try:
            await self.call(entity, operation, input)
        except EntityOperationFailedError as error:
            return error.failure
        raise AssertionError(f"{operation} of {entity} did not fail")

    async def signal(self, entity: EntityInstanceId, operation: str, input: Any = None) -> None:
        """Let an entity do something, and do not wait."""
        text = None if input is None else json.dumps(input)
        await self.hub.client.signal_entity(to_native(entity), operation, text)

    async def state(self, entity: EntityInstanceId) -> str | None:
        """Return the text of an entity's state; ``None`` if there is none."""
        found = await self.hub.client.get_entity(to_native(entity))
        return found.state if found is not None and found.has_state else None


def registry_of(**entities: Any) -> Registry:
    """Return a registry of entities by name."""
    registry = Registry()
    for name, code in entities.items():
        add_entity(registry, name, code, CONVERTER, recorded)
    return registry


@asynccontextmanager
async def staged(env: VirtualEnvironment, world: World, registry: Registry) -> AsyncIterator[Stage]:
    """Open the world's hub with a worker."""
    async with world.hub(env, registry, payloads=TextPayloads()) as hub, hub.worker():
        yield Stage(hub)
