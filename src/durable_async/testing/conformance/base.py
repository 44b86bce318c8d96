"""Fixtures of the suite: a store, several processes on it, workers, and a clock that the suite can move."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import ClassVar, Protocol

import pytest
import pytest_asyncio

from durable_async.backend import Backend

from .driver import SECOND_US, Driver

HUB = "conformance"
LETTERS_MAX = 10_000


class StoreClock(Protocol):
    """The clock by which the store under test compares due times and leases."""

    def now_us(self) -> int:
        """Return microseconds since the epoch, UTC."""
        ...

    def advance(self, seconds: float) -> None:
        """Let time pass, at once, for every backend on the store."""
        ...


class ManualClock:
    """A clock that stands still until it is moved."""

    def __init__(self, now_us: int = 1_750_000_000 * SECOND_US) -> None:
        self._now_us = now_us

    def now_us(self) -> int:
        """Return microseconds since the epoch, UTC."""
        return self._now_us

    def advance(self, seconds: float) -> None:
        """Move forward."""
        self._now_us += round(seconds * SECOND_US)


class Connect(Protocol):
    """Makes a backend on the test's store; each call stands for another process."""

    def __call__(self, *, hub: str = HUB, letters_max: int = LETTERS_MAX) -> Backend:
        """Return a backend that is not open yet."""
        ...


class Opener:
    """Opens backends, and closes them when the test is over."""

    def __init__(self, connect: Connect, stack: AsyncExitStack) -> None:
        self._connect = connect
        self._stack = stack

    async def __call__(self, *, hub: str = HUB, letters_max: int = LETTERS_MAX) -> Backend:
        """Return an open backend on the test's store."""
        backend = self._connect(hub=hub, letters_max=letters_max)
        self._stack.push_async_callback(backend.close)
        await backend.open()
        return backend


@pytest.mark.asyncio
class ConformanceBase:
    """What every part of the suite needs. A backend's test class overrides ``connect``, and ``clock`` if it has to.

    Attributes:
        life_ends_with_close: Whether closing a backend withdraws its workers' sign of life at once, as the end of a process does.
    """

    life_ends_with_close: ClassVar[bool] = False

    @pytest.fixture
    def clock(self) -> StoreClock:
        """Return the store's clock."""
        return ManualClock()

    @pytest.fixture
    def connect(self, clock: StoreClock) -> Connect:
        """Return what makes backends on one store that is new for this test."""
        raise NotImplementedError("override the fixture 'connect'")

    @pytest_asyncio.fixture
    async def opened(self, connect: Connect) -> AsyncIterator[Opener]:
        """Yield what opens further backends on the store."""
        async with AsyncExitStack() as stack:
            yield Opener(connect, stack)

    @pytest_asyncio.fixture
    async def backend(self, opened: Opener) -> Backend:
        """Return the backend under test."""
        return await opened()

    @pytest_asyncio.fixture
    async def second(self, opened: Opener, backend: Backend) -> Backend:
        """Return another process's backend on the same store."""
        return await opened()

    @pytest_asyncio.fixture
    async def worker(self, backend: Backend) -> Driver:
        """Return a registered worker."""
        return await Driver.register(backend, "worker-1")

    @pytest_asyncio.fixture
    async def rival(self, second: Backend) -> Driver:
        """Return another process's worker, with a lease that outlives that of the first."""
        return await Driver.register(second, "worker-2", lease_seconds=3600.0)
