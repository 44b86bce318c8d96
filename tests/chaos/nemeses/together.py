"""Several faults at the same time, as they come in bad nights."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from stores import ProxiedStore
from world import World

from .networks import CutOffs
from .processes import Kills, Zombies
from .servers import Crashes, Storms


class Together:
    """One chain of faults of workers, one of the server, and answers that get lost in between; nothing waits for anything else."""

    def __init__(self, number: int, lease_seconds: float, store: ProxiedStore) -> None:
        self._number = number
        self._store = store
        self._of_workers: list[Callable[[World], Awaitable[None]]] = [
            Kills(1),
            Kills(1),
            Zombies(1, lease_seconds),
            CutOffs(1, lease_seconds, store),
        ]
        self._of_servers: list[Callable[[World], Awaitable[None]]] = [
            Crashes(1, store),
            Storms(1, store),
        ]

    async def __call__(self, world: World) -> None:
        """Strike until there were enough faults of workers."""
        is_over = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._strike_servers(world, is_over))
            group.create_task(self._lose_answers(world, is_over))
            for _ in range(self._number):
                await world.random.choice(self._of_workers)(world)
            is_over.set()

    async def _strike_servers(self, world: World, is_over: asyncio.Event) -> None:
        while not is_over.is_set():
            await world.random.choice(self._of_servers)(world)

    async def _lose_answers(self, world: World, is_over: asyncio.Event) -> None:
        while not is_over.is_set():
            victim = world.random.choice(world.fleet.workers)
            self._store.proxies[victim.place].lose_answers(1, "/commits")
            await world.pause(0.2, 1.0)
