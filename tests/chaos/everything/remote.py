"""Customers in a process of their own, as the world sees them."""

from __future__ import annotations

import asyncio
import json
import pickle
import sys
from collections import Counter
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any

from clients import ClientOrders
from faults import Fault
from fleet import die_with_parent
from load import Customers, Found
from stories import Story

from durable_async import Client, TaskHub

_PROGRAM = Path(__file__).parents[1] / "clients.py"


class RemoteCustomers(Customers):
    """Begins the process, follows what it tells, and in the end takes over what its customers know.

    Attributes:
        operations: What was acknowledged so far, by kind.
        have_gone: When all is said and done there.
    """

    def __init__(self, client: Client, orders: ClientOrders, log: Path) -> None:
        customers = sum(party.customers for party in orders.parties)
        super().__init__(client, orders.ledger, customers=customers, seed=orders.seed)
        self._orders = orders
        self._log = log
        self._parties: list[Customers] = []
        self.operations: Counter[str] = Counter()
        self.have_gone = asyncio.Event()

    def _lives(self) -> list[Coroutine[Any, Any, None]]:
        return [self._follow()]

    async def _follow(self) -> None:
        with self._log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                str(_PROGRAM),
                env=self._orders.environment(),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                preexec_fn=die_with_parent,
            )
        assert process.stdin is not None
        assert process.stdout is not None
        async with asyncio.TaskGroup() as group:
            stopping = group.create_task(self._stop_it(process.stdin))
            async for line in process.stdout:
                told = json.loads(line)
                self.done, self.operations = told["done"], Counter(told["operations"])
            stopping.cancel()
        if await process.wait():
            said = self._log.read_text(errors="replace")[-2000:]
            raise RuntimeError(f"the clients' process ended: {said}")
        self._parties = pickle.loads(Path(self._orders.known).read_bytes())
        for party in self._parties:
            self.acknowledged.add(party.acknowledged)
        self.operations = self.acknowledged.operations
        self.have_gone.set()

    async def _stop_it(self, orders: asyncio.StreamWriter) -> None:
        await self._is_over.wait()
        orders.write(b"stop\n")
        await orders.drain()

    async def examine(
        self, hub: TaskHub, stories: Mapping[str, Story], faults: list[Fault]
    ) -> Found:
        """Let each kind of customers examine what it knows of."""
        found = Found()
        for party in self._parties:
            found.add(await party.examine(hub, stories, faults))
        return found
