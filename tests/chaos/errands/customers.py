"""Who uses all that, and knows what must come of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from bank.accounts import Ear
from faults import Fault
from load import Customers, Found, end_of
from stories import Story

from durable_async import Client, TaskHub

from .hiring import ids_of
from .programs import DEPTH, Scroll, Stream, Task, attempts_of, nodes_of

_SENDERS = 4
_SAID = 10
_LINES = 8
_READ_AT_ONCE = 50
_PAUSE_SECONDS = 0.1


class Errands(Customers):
    """Customers who each do one errand of each kind after the other.

    Attributes:
        lines: By scroll and sender: how many lines were acknowledged.
        seen: By scroll: what somebody read there.
    """

    def __init__(
        self, client: Client, ledger: str, *, customers: int, seed: int, name: str = ""
    ) -> None:
        super().__init__(client, ledger, customers=customers, seed=seed, name=name)
        self.lines: dict[str, Counter[str]] = {}
        self.seen: dict[str, list[list[str]]] = {}

    def _lives(self) -> list[Coroutine[Any, Any, None]]:
        return [self._serve(f"{self._name}errand-{number}") for number in range(self._customers)]

    def _kinds(self) -> Sequence[Callable[[str, int], Coroutine[Any, Any, None]]]:
        return (self._stream, self._retry, self._grow, self._hire, self._write)

    async def _serve(self, customer: str) -> None:
        number = 0
        while not self._is_over.is_set():
            number += 1
            for kind in self._kinds():
                await kind(f"{customer}-{kind.__name__.strip('_')}-{number}", number)
                self.done += 1
                await asyncio.sleep(self._random.uniform(0.0, _PAUSE_SECONDS))

    # -- orchestrations

    async def _stream(self, instance: str, number: int) -> None:
        """Several senders at once, each of which says one thing after the other."""
        senders = [f"sender-{one}" for one in range(_SENDERS)]
        expected = Ear(dict.fromkeys(senders, _SAID))
        await self._begin("stream", Stream(_SENDERS * _SAID), instance)
        await asyncio.gather(*(self._say(instance, sender) for sender in senders))
        await self._expect(instance, _plain(expected))

    async def _say(self, instance: str, sender: str) -> None:
        for number in range(1, _SAID + 1):
            request = f"{instance}/{sender}/{number}"
            said = (sender, number)
            send = self._client.raise_event
            delivered = await self._insist(send, instance, "said", said, request_id=request)
            if delivered is not True:
                self.acknowledged.wrong.append(f"{request}: {delivered!r}")
            self.acknowledged.events += 1

    async def _retry(self, instance: str, number: int) -> None:
        await self._begin("retries", Task(self._ledger, number), instance)
        await self._expect(instance, attempts_of(number))

    async def _grow(self, instance: str, number: int) -> None:
        depth = number % (DEPTH + 1)
        await self._begin("tree", Task(self._ledger, depth), instance)
        await self._expect(instance, nodes_of(depth))

    async def _hire(self, instance: str, number: int) -> None:
        await self._begin("boss", Task(self._ledger, number), instance)
        for one, hired in enumerate(ids_of(instance)):
            self.acknowledged.results[hired] = one
        await self._expect(instance, ids_of(instance))

    async def _begin(self, name: str, value: object, instance: str) -> None:
        start = self._client.start
        await self._insist(start, name, value, instance_id=instance, request_id=instance)

    async def _expect(self, instance: str, result: object) -> None:
        self.acknowledged.results[instance] = result
        end = await self._insist(end_of, self._client, instance)
        if end != result:
            self.acknowledged.wrong.append(f"{instance}: {end!r} instead of {result!r}")

    # -- scrolls

    async def _write(self, name: str, number: int) -> None:
        """Append lines as signals to a scroll to which all customers of this object write, and read it."""
        key = f"{self._name}{number}"
        scroll = Scroll.entity_id(key)
        said = self.lines.setdefault(key, Counter())
        for line in range(1, _LINES + 1):
            handle = self._client.entity(scroll, request_id=f"{name}/{line}")
            await self._insist(handle.signal, Scroll.append, name, line)
            said[name] = line
        handle = self._client.entity(scroll, request_id=f"{name}/read")
        read = await self._insist(handle.call, Scroll.read)
        self.seen.setdefault(key, []).append(read)
        mine = [f"{name} {line}" for line in range(1, _LINES + 1)]
        if not isinstance(read, list) or [one for one in read if one in mine] != mine:
            self.acknowledged.wrong.append(f"{name} reads {read!r}")

    async def examine(
        self, hub: TaskHub, stories: Mapping[str, Story], faults: list[Fault]
    ) -> Found:
        """Hold each scroll in the end against what was acknowledged, and against what was read on the way."""
        found = Found()
        keys = list(self.lines)
        for at in range(0, len(keys), _READ_AT_ONCE):
            some = keys[at : at + _READ_AT_ONCE]
            states = await asyncio.gather(
                *(hub.client.get_entity(Scroll.entity_id(key), Scroll) for key in some)
            )
            for key, state in zip(some, states, strict=True):
                self._compare(key, [] if state is None else state.state or [], found)
        found.notes["lines_on_scrolls"] = sum(one.total() for one in self.lines.values())
        return found

    def _compare(self, key: str, text: list[str], found: Found) -> None:
        for sender, last in self.lines[key].items():
            theirs = [line for line in text if line.startswith(f"{sender} ")]
            due = [f"{sender} {number}" for number in range(1, last + 1)]
            if theirs != due:
                kind = found.lost if set(due) - set(theirs) else found.doubled
                kind.append(f"scroll {key}: {theirs} instead of {due}")
        for read in self.seen.get(key, []):
            if text[: len(read)] != read:
                found.doubled.append(f"scroll {key}: {read} was read, and now there is {text}")


def _plain(ear: Ear) -> dict[str, Any]:
    """Return it as a client without a type sees it."""
    return {"last": ear.last, "disorder": ear.disorder}
