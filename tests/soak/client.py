"""The client: as fast as it can for a while, then at a steady share of that, and it purges what has ended."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from insides import keep_diary
from orders import HUB, Orders
from outsides import cpu_seconds
from program import (
    ACCOUNTS,
    CHAIN,
    COUNTED,
    FAN,
    Account,
    Board,
    Count,
    Life,
    Transfer,
    chain,
    count,
    eternal,
    family,
    fan,
    race,
    registry,
    transfer,
)
from worker import keep_for

from durable_async import Client, ReusePolicy, Status, TaskHub

_ETERNAL = 20
_CUSTOMERS = 48
_UNDER_WAY_MAX = 100
_WAIT_SECONDS = 60.0
_PURGE_SECONDS = 2.0
_CLEAN_SECONDS = 20.0
_ENDED = [status for status in Status if status.is_terminal]


class Shop:
    """What customers do, one errand after the other; each kind in turn.

    Attributes:
        done: How many errands are done.
        wrong: Those that ended otherwise than they must; the first few.
        failed: Errors that customers saw, by kind.
        left_out: Errands that were not begun, because too many were under way.
        purged: How many instances were purged.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._begun = 0
        self._under_way: set[asyncio.Task[None]] = set()
        self._kinds: list[Callable[[str, int], Awaitable[None]]] = [
            self._chain,
            self._fan,
            self._family,
            self._count,
            self._race,
            self._transfer,
            self._visit,
            self._talk,
        ]
        self.done = 0
        self.wrong: list[str] = []
        self.failed: Counter[str] = Counter()
        self.left_out = 0
        self.purged = 0

    def figures(self) -> dict[str, Any]:
        """Tell how it goes."""
        return {
            "done": self.done,
            "wrong": self.wrong,
            "failed": dict(self.failed),
            "left_out": self.left_out,
            "under_way": len(self._under_way),
            "purged": self.purged,
        }

    async def open(self) -> None:
        """Begin those that never end."""
        for number in range(_ETERNAL):
            await self._client.start(
                eternal,
                Life(number),
                instance_id=f"eternal-{number}",
                reuse=ReusePolicy.RETURN_EXISTING,
            )

    async def hurry(self, seconds: float) -> float:
        """Serve so many customers as fast as they come; returns errands a second."""
        began, before = time.monotonic(), self.done
        until = began + seconds

        async def customer() -> None:
            while time.monotonic() < until:
                await self._errand()

        await asyncio.gather(*(customer() for _ in range(_CUSTOMERS)))
        return (self.done - before) / (time.monotonic() - began)

    async def pace(self, rate: float) -> None:
        """Begin errands at a steady rate, until cancelled."""
        due = time.monotonic()
        while True:
            due += 1 / rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if len(self._under_way) >= _UNDER_WAY_MAX:
                self.left_out += 1
                due = time.monotonic()
                continue
            task = asyncio.create_task(self._errand())
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def purge(self, retention_seconds: float) -> None:
        """Delete what has ended some time ago, and entities that hold nothing, until cancelled."""
        cleaned = time.monotonic()
        while True:
            await asyncio.sleep(_PURGE_SECONDS)
            before = datetime.now(UTC) - timedelta(seconds=retention_seconds)
            try:
                self.purged += await self._client.purge_where(statuses=_ENDED, completed_to=before)
                if time.monotonic() - cleaned > _CLEAN_SECONDS:
                    cleaned = time.monotonic()
                    await self._client.clean_entities()
            except Exception as error:  # noqa: BLE001 - counted, and the next round does what this did not
                self.failed[f"purge: {type(error).__name__}"] += 1

    async def _errand(self) -> None:
        self._begun += 1
        number = self._begun
        kind = self._kinds[number % len(self._kinds)]
        try:
            await kind(f"{os.getpid()}-{number}", number)
        except Exception as error:  # noqa: BLE001 - counted, and judged at the end
            self.failed[f"{kind.__name__.strip('_')}: {type(error).__name__}"] += 1
        else:
            self.done += 1

    def _check(self, what: str, found: object, expected: object) -> None:
        if found != expected and len(self.wrong) < 10:
            self.wrong.append(f"{what}: {found!r} instead of {expected!r}")

    async def _chain(self, name: str, number: int) -> None:
        handle = await self._client.start(chain, CHAIN, instance_id=f"chain-{name}")
        self._check(name, await handle.wait(timeout=_WAIT_SECONDS), CHAIN)

    async def _fan(self, name: str, number: int) -> None:
        handle = await self._client.start(fan, FAN, instance_id=f"fan-{name}")
        self._check(name, await handle.wait(timeout=_WAIT_SECONDS), sum(range(FAN)))

    async def _family(self, name: str, number: int) -> None:
        handle = await self._client.start(family, 3, instance_id=f"family-{name}")
        self._check(name, await handle.wait(timeout=_WAIT_SECONDS), 1 + 3 + 6)

    async def _count(self, name: str, number: int) -> None:
        handle = await self._client.start(
            count, Count([], COUNTED), instance_id=f"count-{name}", tags={"kind": "count"}
        )
        for value in range(COUNTED):
            await handle.raise_event("number", value)
        self._check(name, await handle.wait(timeout=_WAIT_SECONDS), list(range(COUNTED)))

    async def _race(self, name: str, number: int) -> None:
        is_event = number // len(self._kinds) % 2 == 0
        seconds = 30.0 if is_event else 0.2
        handle = await self._client.start(race, seconds, instance_id=f"race-{name}")
        if is_event:
            await handle.raise_event("now")
        result = await handle.wait(timeout=_WAIT_SECONDS)
        self._check(name, result, "event" if is_event else "timer")

    async def _transfer(self, name: str, number: int) -> None:
        source = ACCOUNTS[number // len(self._kinds) % len(ACCOUNTS)]
        target = ACCOUNTS[(number // len(self._kinds) * 7 + 3) % len(ACCOUNTS)]
        if source == target:
            target = ACCOUNTS[(ACCOUNTS.index(source) + 1) % len(ACCOUNTS)]
        order = Transfer(source, target, 1)
        handle = await self._client.start(transfer, order, instance_id=f"transfer-{name}")
        self._check(name, await handle.wait(timeout=_WAIT_SECONDS), 1)

    async def _visit(self, name: str, number: int) -> None:
        """An entity that comes and goes."""
        entity = Account.entity_id(f"guest-{name}")
        await self._client.signal_entity(entity, Account.move, 3)
        self._check(name, await self._client.call_entity(entity, Account.move, 4), 7)
        await self._client.delete_entity(entity)

    async def _talk(self, name: str, number: int) -> None:
        entity = Board.entity_id(f"wall-{number % 7}")
        await self._client.signal_entity(entity, Board.note, number)
        answer = await self._client.call_entity(entity, Board.note, number)
        self._check(name, answer, number)


async def run(orders: Orders) -> None:
    """Serve until killed."""
    keep_for(orders.kept_seconds)
    async with (
        TaskHub.open(orders.url, hub=HUB, registry=registry) as hub,
        asyncio.TaskGroup() as group,
    ):
        shop = Shop(hub.client)
        phase: dict[str, Any] = {}
        group.create_task(
            keep_diary(
                Path(orders.diary),
                orders.every_seconds,
                lambda: (hub,),
                pid=os.getpid(),
                shop=shop.figures,
                phase=lambda: dict(phase),
            )
        )
        group.create_task(shop.purge(orders.retention_seconds))
        await shop.open()
        phase["rate"] = orders.rate or await _measure(shop, orders, phase)
        await shop.pace(phase["rate"])


async def _measure(shop: Shop, orders: Orders, phase: dict[str, Any]) -> float:
    """Return the rate that is the share asked for of the fastest, and leaves room on the processors for others."""
    began, cpu = time.monotonic(), cpu_seconds(os.getppid())
    phase["fastest"] = await shop.hurry(orders.measure_seconds)
    cores = (cpu_seconds(os.getppid()) - cpu) / (time.monotonic() - began)
    phase["cores_at_fastest"] = cores
    return max(1.0, phase["fastest"] * min(orders.share, orders.cores_max / cores))


if __name__ == "__main__":
    logging.basicConfig(
        level=logging.WARNING, format=f"%(asctime)s.%(msecs)03d {os.getpid()} %(message)s"
    )
    asyncio.run(run(Orders.read()))
