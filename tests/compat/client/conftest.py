"""Verbs over each store, in virtual time, with a worker of durable_async's own."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from tests.integration.worlds import World

from durable_async import Registry
from durable_async.testing import VirtualEnvironment
from durabletask._runtime.texts import TextPayloads
from durabletask._runtime.verbs import Verbs
from durabletask.serialization import DEFAULT_DATA_CONVERTER

Opener = Callable[..., AbstractAsyncContextManager[Verbs]]


@pytest.fixture
def opened(world: World) -> Opener:
    """Opens a hub, with a worker unless nothing is to run, and gives the verbs over it."""

    @asynccontextmanager
    async def opened(
        env: VirtualEnvironment,
        registry: Registry,
        *,
        working: bool = True,
        default_version: str | None = None,
    ) -> AsyncIterator[Verbs]:
        async with world.hub(env, registry, payloads=TextPayloads()) as hub:
            verbs = Verbs(
                hub,
                converter=DEFAULT_DATA_CONVERTER,
                logger=logging.getLogger("durabletask-test"),
                default_version=default_version,
            )
            if not working:
                yield verbs
                return
            async with hub.worker():
                yield verbs

    return opened
