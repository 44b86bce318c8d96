"""The bank's customers, its auditor, and others who talk to its accounts."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from faults import Fault
from load import Customers, Ended, Found, end_of
from stories import Story

from durable_async import Client, ReusePolicy, Status, TaskHub

from .accounts import KEYS, OPENING, Account
from .books import Expected, check_books, check_locks
from .transfers import MOVED_OR_NOT, OUTCOMES, STEPS, WAYS, Chat, Transfer

TOTAL = OPENING * len(KEYS)
MEETING = ["m0", "m1"]
_SHARES = {"paused": 6, "plain": 3, STEPS: 3}
"""How many of the ways there are in the hat, of those that are there more than once."""

_CHATTERS = 2
_TALKERS = 4
_CHAT_ROUNDS = 4


@dataclass
class Heard:
    """What customers heard.

    Attributes:
        transfers: By number: what was ordered, and what came of it.
        said: By account and sender: the last number that was acknowledged.
        ticks: By account: how many delayed signals were sent.
        audits: How many sums were right.
        ended: How many who sat on locks were ended.
        meetings: How often two had locked the same accounts at the same time, one after the other.
    """

    transfers: dict[int, tuple[Transfer, str]] = field(default_factory=dict)
    said: dict[str, dict[str, int]] = field(default_factory=lambda: {key: {} for key in KEYS})
    ticks: Counter[str] = field(default_factory=Counter)
    audits: int = 0
    ended: int = 0
    meetings: int = 0


class Bank(Customers):
    """Customers whose errands are transfers, and one each who audits, and who sits on locks and is ended."""

    def __init__(
        self, client: Client, ledger: str, *, customers: int, seed: int, name: str = ""
    ) -> None:
        super().__init__(client, ledger, customers=customers, seed=seed, name=name)
        self.heard = Heard()
        self._numbers = 0
        self._is_open = asyncio.Event()
        self._hat = [*WAYS, STEPS]
        for way, share in _SHARES.items():
            self._hat += [way] * (share - 1)

    def _lives(self) -> list[Coroutine[Any, Any, None]]:
        return [
            self._open(),
            *(self._order() for _ in range(self._customers)),
            *(self._chat(number) for number in range(_CHATTERS)),
            *(self._talk(f"talker-{number}") for number in range(_TALKERS)),
            self._audit(),
            self._sit(),
            self._meet(),
        ]

    async def examine(
        self, hub: TaskHub, stories: Mapping[str, Story], faults: list[Fault]
    ) -> Found:
        """Hold the books of accounts and journal against all that was acknowledged."""
        heard = self.heard
        found = Found()
        expected = Expected(TOTAL, heard.transfers, heard.said, heard.ticks)
        await check_books(hub.client, expected, found)
        await check_locks(hub.client, found)
        outcomes = Counter(outcome for _, outcome in heard.transfers.values())
        found.notes |= {
            "transfers": len(heard.transfers),
            **{f"transfers_{outcome}": count for outcome, count in sorted(outcomes.items())},
            "audits": heard.audits,
            "sitters": heard.ended,
            "meetings": heard.meetings,
            "said": sum(sum(one.values()) for one in heard.said.values()),
            "sections_hit": _hit(stories, faults, Story.is_in_section_at),
            "hit_between": _hit(stories, faults, _is_under_way),
        }
        return found

    # -- transfers

    async def _open(self) -> None:
        """Give each account its money, by a call."""
        for key in KEYS:
            handle = self._client.entity(Account.entity_id(key), request_id=f"open-{key}")
            balance = await self._insist(handle.call, Account.move, "open", 0, OPENING)
            if balance != OPENING:
                self.acknowledged.wrong.append(f"{key} opened with {balance!r}")
        for key in MEETING:  # what has no state would be cleaned
            handle = self._client.entity(Account.entity_id(key), request_id=f"open-{key}")
            await self._insist(handle.call, Account.note, "opener", 1)
        self._is_open.set()

    async def _order(self) -> None:
        await self._is_open.wait()
        while not self._is_over.is_set():
            self._numbers += 1
            await self._transfer(self._draw(self._numbers))
            self.done += 1

    def _draw(self, number: int) -> Transfer:
        chance = self._random
        way = chance.choice(self._hat)
        source, *targets = chance.sample(KEYS, chance.choice((2, 2, 3)))
        amount = chance.randint(1, 400)
        return Transfer(self._ledger, number, way, source, targets, amount)

    async def _transfer(self, order: Transfer) -> None:
        name = "transfer_in_steps" if order.way == STEPS else "transfer"
        end = await self._run(name, order, f"transfer-{order.number}")
        outcome = end.message if isinstance(end, Ended) else end
        is_right = isinstance(end, Ended) is order.way.startswith("fails")
        if is_right and outcome in OUTCOMES.get(order.way, MOVED_OR_NOT):
            self.heard.transfers[order.number] = (order, str(outcome))
        else:
            self.acknowledged.wrong.append(f"transfer-{order.number} ({order.way}): {end!r}")

    async def _run(self, name: str, order: Any, instance: str) -> object:
        """Start an orchestration, and return how it ended; it must stay so."""
        await self._begin(name, order, instance, instance)
        end = await self._insist(end_of, self._client, instance)
        self.acknowledged.results[instance] = end
        return end

    async def _begin(
        self,
        name: str,
        order: Any,
        instance: str,
        request: str,
        reuse: ReusePolicy = ReusePolicy.REJECT,
    ) -> None:
        start = self._client.start
        await self._insist(
            start, name, order, instance_id=instance, reuse=reuse, request_id=request
        )

    # -- others

    async def _audit(self) -> None:
        await self._is_open.wait()
        number = 0
        while not self._is_over.is_set():
            number += 1
            total = await self._run("audit", None, f"audit-{number}")
            if total != TOTAL:
                self.acknowledged.wrong.append(f"audit-{number}: {total!r} instead of {TOTAL}")
            self.heard.audits += total == TOTAL
            await asyncio.sleep(self._random.uniform(0.0, 2.0))

    async def _sit(self) -> None:
        """Somebody has locks, or waits for them, and is ended from outside, or replaced and then ended."""
        number = 0
        while not self._is_over.is_set():
            number += 1
            instance = f"sit-{number}"
            for life in range(self._random.choice((1, 1, 2))):
                keys = self._random.sample(KEYS, 2)
                request = f"{instance}/{life}"
                await self._begin("sit", keys, instance, request, ReusePolicy.REPLACE)
                await asyncio.sleep(self._random.uniform(0.0, 0.5))
            await self._insist(self._client.terminate, instance)
            end = await self._insist(end_of, self._client, instance)
            expected = self.acknowledged.results[instance] = Ended(Status.TERMINATED)
            if end != expected:
                self.acknowledged.wrong.append(f"{instance}: {end!r}")
            self.heard.ended += 1
            await asyncio.sleep(self._random.uniform(0.0, 1.0))

    async def _meet(self) -> None:
        """Two lock the same two accounts at the same time, over and over; nobody else does."""
        await self._is_open.wait()
        number = 0
        while not self._is_over.is_set():
            number += 1
            pair = [self._run("meet", MEETING, f"meet-{number}-{one}") for one in ("x", "y")]
            for end in await asyncio.gather(*pair):
                if end != len(MEETING):
                    self.acknowledged.wrong.append(f"meet-{number}: {end!r}")
            self.heard.meetings += 1
            await asyncio.sleep(self._random.uniform(0.0, 0.2))

    async def _chat(self, chatter: int) -> None:
        number = 0
        while not self._is_over.is_set():
            number += 1
            instance = f"chat-{chatter}-{number}"
            end = await self._run("chat", Chat(_CHAT_ROUNDS, {}, {}), instance)
            if not isinstance(end, dict):
                self.acknowledged.wrong.append(f"{instance}: {end!r}")
                continue
            for key, last in end["notes"].items():
                self.heard.said[key][instance] = last
            self.heard.ticks.update(end["ticks"])

    async def _talk(self, talker: str) -> None:
        """Say numbered things from outside, as signals and as calls."""
        numbers: Counter[str] = Counter()
        while not self._is_over.is_set():
            key = self._random.choice(KEYS)
            numbers[key] += 1
            number = numbers[key]
            entity = Account.entity_id(key)
            handle = self._client.entity(entity, request_id=f"{talker}-{key}-{number}")
            if self._random.randrange(4):
                await self._insist(handle.signal, Account.note, talker, number)
            else:
                answer = await self._insist(handle.call, Account.note, talker, number)
                if answer != number:
                    self.acknowledged.wrong.append(f"{talker} to {key}: {answer!r}, not {number}")
            self.heard.said[key][talker] = number
            await asyncio.sleep(self._random.uniform(0.0, 0.1))


def _hit(
    stories: Mapping[str, Story], faults: list[Fault], is_so: Callable[[Story, int], bool]
) -> int:
    """Count, over all faults, the orchestrations of a victim of which something was so just then."""
    return sum(
        is_so(stories[instance], fault.at_us)
        for fault in faults
        for instance in fault.owned
        if instance in stories
    )


def _is_under_way(story: Story, at_us: int) -> bool:
    """Whether money was taken from an account, and not all of it was given to others yet."""
    moves = [call for call in story.calls.values() if call.name == Account.move.__name__]
    done = [call for call in moves if not call.is_open_at(at_us) and call.asked_us <= at_us]
    return 0 < len(done) < len(moves)
