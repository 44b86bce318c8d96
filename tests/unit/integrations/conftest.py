"""A shop that is served in each of the three ways."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from durable_async import TaskHub

from .stage import WAYS, Serve, registry


@pytest.fixture(params=WAYS)
def serve(request: pytest.FixtureRequest) -> Serve:
    return WAYS[request.param]


@pytest.fixture
def hub() -> TaskHub:
    return TaskHub.at("memory://", registry=registry)


@pytest.fixture
async def shop(serve: Serve, hub: TaskHub) -> AsyncIterator[httpx.AsyncClient]:
    """An open shop. It lives in a task of its own, for a worker ends in the task in which it began, and the two ends of a fixture are not one."""
    opened: asyncio.Future[httpx.AsyncClient] = asyncio.get_running_loop().create_future()
    closing = asyncio.Event()

    async def life() -> None:
        async with serve(hub) as client:
            client.base_url = client.base_url.join("/durable/")
            opened.set_result(client)
            await closing.wait()

    living = asyncio.ensure_future(life())
    await asyncio.wait([living, opened], return_when=asyncio.FIRST_COMPLETED)
    if living.done():
        await living
    yield await opened
    closing.set()
    await living
