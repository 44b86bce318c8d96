"""Small faults that go on beside the great ones, until they are told to stop."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import asyncpg
from faults import Fault, Loss
from fleet import now_us
from stores import PostgresStore, ProxiedPair
from world import World

from durable_async.backends.postgres.failures import DRIVER_ERRORS
from durable_async.testing.proxy import FaultProxy

_LOOK_SECONDS = 0.005
_WAIT_SECONDS = 2.0
_LANES = 3
_SHAKEN_US = 5_000_000


class Losses:
    """The server carries out what workers commit, or what clients ask for, and the connection is reset in place of the answer, every so often.

    Args:
        store: With the proxies.
        pause_seconds: From one to the next, on average, of workers and of clients.

    Attributes:
        of_clients: How many answers clients did not get.
    """

    def __init__(self, store: ProxiedPair, pause_seconds: tuple[float, float]) -> None:
        self._store = store
        self._pause_seconds = pause_seconds
        self.of_clients = 0

    async def __call__(self, world: World) -> None:
        """Lose them; who commits nothing for a moment holds up no other."""
        async with asyncio.TaskGroup() as group:
            for _ in range(_LANES):
                group.create_task(self._lose_of_workers(world))
            group.create_task(self._lose_of_clients(world))

    async def _lose_of_workers(self, world: World) -> None:
        while True:
            await world.pause(0.0, 2 * self._pause_seconds[0] * _LANES)
            victim = world.random.choice(world.fleet.workers)
            if await _is_lost(self._store.proxies[victim.place], "/commits"):
                world.losses.append(Loss(victim.number, now_us()))

    async def _lose_of_clients(self, world: World) -> None:
        while True:
            await world.pause(0.0, 2 * self._pause_seconds[1])
            self.of_clients += await _is_lost(world.random.choice(self._store.clients), "/client")


async def _is_lost(proxy: FaultProxy, role: str) -> bool:
    """Lose the next answer on a connection with a role, and tell whether there was one."""
    lost = proxy.lost
    proxy.lose_answers(1, role)
    with suppress(TimeoutError):
        async with asyncio.timeout(_WAIT_SECONDS):
            while proxy.lost == lost:
                await asyncio.sleep(_LOOK_SECONDS)
    return proxy.lost > lost


class Slowness:
    """All that two of the workers send and are sent takes 200 ms longer, and one piece of a hundred 5 s.

    Attributes:
        begin_seconds_max: How long it may wait until it begins.
        seconds: How long it went on so far.
        late: How many pieces took so long.
    """

    _DELAY_SECONDS, _SHARE, _SHARE_SECONDS = 0.2, 0.01, 5.0
    _PLACES = 2

    def __init__(self, store: ProxiedPair, seconds: float) -> None:
        self._store = store
        self._wanted = seconds
        self.begin_seconds_max = 0.0
        self.seconds = 0.0
        self.late = 0

    async def __call__(self, world: World) -> None:
        """Slow them down, and whoever takes their place, for so long."""
        await world.pause(0.0, self.begin_seconds_max)
        places = set(world.random.sample([one.place for one in world.fleet.workers], self._PLACES))
        proxies = [self._store.proxies[place] for place in places]
        fault = Fault(now_us(), kind="slow", is_measured=False)
        world.faults.append(fault)
        for proxy in proxies:
            proxy.delay(self._DELAY_SECONDS, share=self._SHARE, share_seconds=self._SHARE_SECONDS)
        world.is_slow = True
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            while self.seconds < self._wanted:
                fault.victims |= {one.pid for one in world.fleet.workers if one.place in places}
                await asyncio.sleep(_LOOK_SECONDS)
                self.seconds = loop.time() - began
                fault.until_us = now_us() + _SHAKEN_US
        finally:
            for proxy in proxies:
                proxy.delay(0.0)
            world.is_slow = False
            self.late = sum(proxy.late for proxy in proxies)


class DeafEars:
    """The connection by which a worker hears of news is half open: the server has forgotten it, and the worker does not know; or nothing comes down it any more.

    Attributes:
        times: How often that was so to the end.
    """

    _SECONDS = 20.0

    def __init__(self, store: ProxiedPair, number: int) -> None:
        self._store = store
        self._number = number
        self.times = 0

    async def __call__(self, world: World) -> None:
        """Deafen one after the other; who is killed meanwhile is deaf no more."""
        while self.times < self._number:
            await world.pause(0.5, 2.0)
            proxy = world.random.choice(list(self._store.proxies.values()))
            if self.times % 2:
                proxy.hold("/ears", way="down")
                await asyncio.sleep(self._SECONDS)
                proxy.release("/ears")
            elif proxy.sever("/ears"):
                await asyncio.sleep(self._SECONDS)
            else:
                continue
            self.times += 1


class PinnedXmin:
    """An idle transaction sees the database as it was, so that nothing that was deleted since can be cleaned.

    Attributes:
        seconds: How long the longest of them did so.
    """

    def __init__(self, store: PostgresStore) -> None:
        self._store = store
        self.seconds = 0.0

    async def __call__(self, world: World) -> None:
        """Keep one open, and open another if the server ends it."""
        loop = asyncio.get_running_loop()
        while True:
            with suppress(*DRIVER_ERRORS):
                connection = await asyncpg.connect(self._store.admin_dsn)
                try:
                    async with connection.transaction(isolation="repeatable_read"):
                        await connection.execute("select count(*) from durable_async.instances")
                        began = loop.time()
                        while not connection.is_closed():
                            await asyncio.sleep(0.1)
                            self.seconds = max(self.seconds, loop.time() - began)
                finally:
                    connection.terminate()
            await asyncio.sleep(0.1)
