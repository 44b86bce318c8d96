"""The crowd itself."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine, Mapping
from typing import Any

from bank.accounts import Ear
from bank.books import compare_talk
from faults import Fault
from load import Customers, Found, end_of
from stories import Story

from durable_async import Client, TaskHub

from .tallies import KEYS, Tally

_BRIEF_AT_ONCE = 8
_PAUSE_SECONDS = 0.2


class Crowd(Customers):
    """Customers who each send one signal to every tally at once, wait for the answer of one of them, and let brief orchestrations run, over and over."""

    def __init__(
        self, client: Client, ledger: str, *, customers: int, seed: int, name: str = ""
    ) -> None:
        super().__init__(client, ledger, customers=customers, seed=seed, name=name)
        self.said: dict[str, Counter[str]] = {}

    def _lives(self) -> list[Coroutine[Any, Any, None]]:
        return [self._send(f"{self._name}crowd-{number}") for number in range(self._customers)]

    async def _send(self, sender: str) -> None:
        said = self.said[sender] = Counter()
        while not self._is_over.is_set():
            await asyncio.gather(*(self._signal(sender, key, said) for key in KEYS))
            await asyncio.gather(self._ask(sender, said), self._let_run(sender))
            self.done += 1
            await asyncio.sleep(self._random.uniform(0.0, 2 * _PAUSE_SECONDS))

    async def _signal(self, sender: str, key: str, said: Counter[str]) -> None:
        number = said[key] + 1
        request = f"{sender}-{key}-{number}"
        handle = self._client.entity(Tally.entity_id(key), request_id=request)
        await self._insist(handle.signal, Tally.hear, sender, number)
        said[key] = number

    async def _ask(self, sender: str, said: Counter[str]) -> None:
        """Call one of them, which answers when it has taken in all that came before: who sends faster than that waits here."""
        key = self._random.choice(KEYS)
        number = said[key] + 1
        request = f"{sender}-{key}-{number}"
        handle = self._client.entity(Tally.entity_id(key), request_id=request)
        answer = await self._insist(handle.call, Tally.hear, sender, number)
        if answer != number:
            self.acknowledged.wrong.append(f"{sender} to {key}: {answer!r}, not {number}")
        said[key] = number

    async def _let_run(self, sender: str) -> None:
        ids = [f"{sender}-brief-{self.done}-{number}" for number in range(_BRIEF_AT_ONCE)]
        await asyncio.gather(*(self._run(instance, self.done) for instance in ids))

    async def _run(self, instance: str, number: int) -> None:
        start = self._client.start
        await self._insist(start, "brief", number, instance_id=instance, request_id=instance)
        self.acknowledged.results[instance] = number
        end = await self._insist(end_of, self._client, instance)
        if end != number:
            self.acknowledged.wrong.append(f"{instance}: {end!r} instead of {number}")

    async def examine(
        self, hub: TaskHub, stories: Mapping[str, Story], faults: list[Fault]
    ) -> Found:
        """Hold what each tally heard of these senders against what was acknowledged to them."""
        found = Found()
        for key in KEYS:
            state = await hub.client.get_entity(Tally.entity_id(key), Tally)
            ear = Ear() if state is None or state.state is None else state.state
            said = {sender: numbers[key] for sender, numbers in self.said.items()}
            last = {sender: number for sender, number in ear.last.items() if sender in said}
            disorder = [one for one in ear.disorder if any(f" {name} " in one for name in said)]
            compare_talk(key, Ear(last, disorder), said, found)
        found.notes["said_by_crowds"] = sum(one.total() for one in self.said.values())
        return found
