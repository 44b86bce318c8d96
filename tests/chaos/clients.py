"""The program that holds the clients: several, each with customers of several kinds, until it is told to stop. It outlives all faults.

On its standard input it reads ``stop``; on its standard output it tells now and then how far it is; at the end it leaves what its customers know in a
file. What to do stands in an environment variable, for DSNs hold passwords.
"""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import sys
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bank.customers import Bank
from crowds.customers import Crowd
from errands.customers import Errands
from load import Customers, Load
from worker import Orders, begin_log, open_somehow

VARIABLE = "DURABLE_ASYNC_CHAOS_CLIENTS"
KINDS: dict[str, type[Customers]] = {"bank": Bank, "crowd": Crowd, "errands": Errands, "load": Load}
_TELL_SECONDS = 0.2
_PATIENCE_SECONDS = 90.0


@dataclass
class Party:
    """Customers of one kind.

    Attributes:
        kind: One of ``KINDS``.
        client: The number of the client that they share with others.
        customers: How many they are.
    """

    kind: str
    client: int
    customers: int


@dataclass
class ClientOrders:
    """What the process is told.

    Attributes:
        hubs: A client's way to the store, each.
        parties: Who uses them.
        ledger: For activities.
        seed: Of what customers draw.
        known: A file for what they know in the end.
    """

    hubs: list[Orders]
    parties: list[Party]
    ledger: str
    seed: int
    known: str

    def environment(self) -> dict[str, str]:
        """Return the environment of the process."""
        return {**os.environ, VARIABLE: json.dumps(asdict(self))}

    @classmethod
    def read(cls) -> ClientOrders:
        """Read it there."""
        told: dict[str, Any] = json.loads(os.environ[VARIABLE])
        told["hubs"] = [Orders(**one) for one in told["hubs"]]
        told["parties"] = [Party(**one) for one in told["parties"]]
        return cls(**told)


async def serve(orders: ClientOrders) -> None:
    """Let all customers live until told to stop, and write down what they know."""
    async with AsyncExitStack() as stack:
        clients = [(await open_somehow(stack, one)).client for one in orders.hubs]
        parties = [
            KINDS[party.kind](
                clients[party.client],
                orders.ledger,
                customers=party.customers,
                seed=orders.seed + number,
                name=f"c{number}-",
            )
            for number, party in enumerate(orders.parties)
        ]
        async with asyncio.TaskGroup() as group:
            telling = group.create_task(_tell(parties))
            lives = {group.create_task(party.run()): party for party in parties}
            await _be_told_to_stop()
            for party in parties:
                party.stop()
            _, late = await asyncio.wait(lives, timeout=_PATIENCE_SECONDS)
            for life in late:  # for an answer that never comes
                name = type(lives[life]).__name__
                lives[life].acknowledged.stuck.append(f"{name} did not come to an end")
                life.cancel()
            telling.cancel()
    Path(orders.known).write_bytes(pickle.dumps(parties))


async def _be_told_to_stop() -> None:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    if not await reader.readline():
        os._exit(1)  # whoever would have said it is gone


async def _tell(parties: list[Customers]) -> None:
    while True:
        operations: Counter[str] = Counter()
        for party in parties:
            operations += party.acknowledged.operations
        done = sum(party.done for party in parties)
        print(json.dumps({"done": done, "operations": operations}), flush=True)
        await asyncio.sleep(_TELL_SECONDS)


if __name__ == "__main__":
    begin_log()
    asyncio.run(serve(ClientOrders.read()))
