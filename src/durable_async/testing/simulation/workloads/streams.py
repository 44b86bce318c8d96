"""Streams: several senders raise numbered events on orchestrations that go on and on as new ones, and each must be taken exactly once."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from durable_async._kernel.context import OrchestrationContext
from durable_async.client import Client
from durable_async.errors import InstanceNotFoundError, InvalidTransitionError, WaitTimeoutError
from durable_async.hub import TaskHub
from durable_async.model.status import Status
from durable_async.registry import Registry
from durable_async.testing.simulation.plan import Action
from durable_async.testing.simulation.stage import Stage, Unknown
from durable_async.testing.simulation.violations import StuckError, Violation

from ._attempts import begin, check_attempts
from ._workload import Workload

registry = Registry()

STOP = ["", 0]
"""The last item of all."""

Item = list[Any]
"""A sender, and a number of it."""


@registry.activity(name="streams.handle")
async def handle(what: str) -> None:
    """Do something with an item."""
    begin(what)


@registry.orchestrator(name="streams.collect")
async def collect(ctx: OrchestrationContext, given: dict[str, Any]) -> list[Item]:
    """Take items in order, a few an execution, until it is told to stop; returns all."""
    seen: list[Item] = given["seen"]
    for _ in range(given["each"]):
        items = await WAYS[given["how"]](ctx)
        for item in items:
            if item == STOP:
                return seen
            seen.append(item)
            if given["handles"]:
                await ctx.call_activity(handle, f"{item[0]} {item[1]}")
        ctx.set_custom_status(len(seen))
    ctx.continue_as_new({**given, "seen": seen})


async def _plainly(ctx: OrchestrationContext) -> list[Item]:
    """Wait for one item."""
    return [await ctx.wait_for_external_event("item", Item)]


async def _impatiently(ctx: OrchestrationContext) -> list[Item]:
    """Wait for one item, and give up again and again: what comes meanwhile must stay."""
    while True:
        try:
            async with asyncio.timeout(0.2):
                return [await ctx.wait_for_external_event("item", Item)]
        except TimeoutError:
            await ctx.create_timer(0.3)


async def _in_pairs(ctx: OrchestrationContext) -> list[Item]:
    """Wait for two at once: the first who waits gets the first item."""
    first = ctx.wait_for_external_event("item", Item)
    second = ctx.wait_for_external_event("item", Item)
    item = await first
    if item == STOP:
        second.cancel()
        return [item]
    return [item, await second]


WAYS = {"plain": _plainly, "impatient": _impatiently, "pairs": _in_pairs}


@registry.orchestrator(name="streams.tell")
async def tell(ctx: OrchestrationContext, given: dict[str, Any]) -> int:
    """Send numbered items to a collector from inside the engine; some at once, some after a while, some from the next execution."""
    for number in range(given["first"], given["count"]):
        ctx.send_event(given["to"], "item", [given["sender"], number])
        if number % 3 == 1:
            await ctx.create_timer(0.1)
        if number % 4 == 3:
            ctx.continue_as_new({**given, "first": number + 1})
    return int(given["count"])


class Collector:
    """A collector, and what its senders were told.

    Attributes:
        start: How it was started.
        is_known: Whether it is known to have been started.
        told: Of each item by sender and number: whether it was delivered; ``None`` while nobody knows.
        out_of_order: Items that may have arrived at any time after they were sent, for whoever sent them gave up.
        tellers: How many items each sends from inside the engine; whether it began after the collector was there.
    """

    def __init__(self) -> None:
        self.start: dict[str, Any] | None = None
        self.is_known = False
        self.told: dict[tuple[str, int], bool | None] = {}
        self.out_of_order: set[tuple[str, int]] = set()
        self.tellers: dict[str, tuple[int, bool]] = {}


class Streams(Workload):
    """Opens collectors, sends to them, suspends and resumes them."""

    name: ClassVar[str] = "streams"
    registry: ClassVar[Registry] = registry

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self._collectors: dict[str, Collector] = defaultdict(Collector)

    @classmethod
    def draw(cls, chance: random.Random) -> list[Action]:
        """Draw one or two collectors with some senders each; some senders are taken over by another client in the midst of it."""
        actions: list[Action] = []
        for number in range(chance.randint(1, 2)):
            to = f"streams-{number}"
            begin_at = chance.uniform(0, 2)
            given = {
                "how": chance.choice(list(WAYS)),
                "each": chance.randint(1, 4),
                "handles": chance.random() < 0.5,
                "seen": [],
            }
            actions.append(_action(chance, begin_at, "open", {"to": to, "given": given}))
            for sender in range(chance.randint(1, 3)):
                actions += _sending(chance, begin_at, to, f"{to}/{sender}")
            for _ in range(chance.choice([0, 0, 1, 2])):
                at = begin_at + chance.uniform(0, 8)
                actions.append(_action(chance, at, "suspend", {"to": to}))
                later = at + chance.expovariate(0.5)
                actions.append(_action(chance, later, "resume", {"to": to}))
        return actions

    async def act(self, action: Action, client: Client) -> None:
        """Do as the action says."""
        args = action.args
        match action.kind:
            case "open":
                self._collectors[args["to"]].start = args["given"]
                await self._open(args["to"], client)
            case "send":
                await self._send(args, client)
            case "tell":
                await self._tell(args, client)
            case kind:
                verb = client.suspend if kind == "suspend" else client.resume
                try:
                    await self.stage.persist(lambda: verb(args["to"]))
                except InstanceNotFoundError:
                    pass  # it may come later, or never
                except InvalidTransitionError:
                    raise Violation("I12", "it ended by itself", where=args["to"]) from None

    async def _open(self, to: str, client: Client) -> None:
        given = self._collectors[to].start or {}
        request = f"{to} open"
        await self.stage.persist(
            lambda: client.start(collect, given, instance_id=to, request_id=request)
        )
        self._collectors[to].is_known = True

    async def _send(self, args: dict[str, Any], client: Client) -> None:
        collector = self._collectors[args["to"]]
        for number in range(args["count"]):
            item = (args["sender"], number)
            collector.told.setdefault(item, None)
            answer = await self._raise(args["to"], item, client, patient=args["patient"])
            if isinstance(answer, Unknown):
                collector.out_of_order.add(item)
            await asyncio.sleep(args["pause"])

    async def _raise(
        self, to: str, item: tuple[str, int], client: Client, *, patient: bool
    ) -> bool | Unknown:
        """Raise an item, and note the answer, which must always be the same."""
        known = self._collectors[to].told

        async def call() -> bool:
            try:
                told = await client.raise_event(
                    to, "item", [*item], request_id=f"{item[0]} {item[1]}"
                )
            except InstanceNotFoundError:
                told = False
            if known[item] not in {None, told}:
                raise Violation("I16", "one request has two answers", where=to, item=item)
            known[item] = told
            return told

        return await (self.stage.persist(call) if patient else self.stage.once(call))

    async def _tell(self, args: dict[str, Any], client: Client) -> None:
        collector = self._collectors[args["to"]]
        sender = args["sender"]
        collector.tellers.setdefault(sender, (args["count"], collector.is_known))
        given = {"to": args["to"], "sender": sender, "first": 0, "count": args["count"]}
        await self.stage.persist(
            lambda: client.start(tell, given, instance_id=sender, request_id=sender)
        )

    async def wind_up(self, client: Client) -> None:
        """Find out what nobody knows; when all is sent, let the collectors stop."""
        for to, collector in self._collectors.items():
            if collector.start is None:
                continue
            await self._open(to, client)
            await client.resume(to)
            for item, told in collector.told.items():
                if told is None:
                    collector.out_of_order.add(item)
                    await self._raise(to, item, client, patient=True)
            for sender in collector.tellers:
                await self._await_teller(sender, client)
            await client.raise_event(to, "item", STOP, request_id=f"{to} stop")

    async def _await_teller(self, sender: str, client: Client) -> None:
        try:
            state = await client.wait_for_end(sender, timeout=60)
        except InstanceNotFoundError:
            return  # whoever was to start it was killed before
        except WaitTimeoutError as error:
            raise StuckError("it does not come to its end", where=sender) from error
        if state.status is not Status.COMPLETED:
            raise Violation("I11", "it failed", where=sender, failure=state.failure)

    async def check(self, hub: TaskHub) -> None:
        """Every collector has taken what was delivered, once, and in each sender's order."""
        check_attempts(
            [e for e in self.stage.ledger.entries if e.facts.get("instance") in self._collectors],
            is_calm=self.stage.is_calm,
        )
        for to, collector in self._collectors.items():
            state = await hub.client.get(to)
            if state is None and not collector.is_known:
                continue
            if state is None or not state.is_ended:
                raise StuckError("it never took the last item", where=to, state=state)
            if state.status is not Status.COMPLETED:
                raise Violation("I12", "it failed", where=to, failure=state.failure)
            taken = [(sender, number) for sender, number in state.output(list[Item])]
            check_taken(to, taken, collector.told, collector.out_of_order)
            for sender, (count, is_whole) in collector.tellers.items():
                if await hub.client.get(sender) is not None:
                    check_told(to, taken, sender, count, is_whole=is_whole)
            check_origin(to, taken, collector)


def _action(chance: random.Random, at: float, kind: str, args: dict[str, Any]) -> Action:
    return Action(round(at, 3), chance.randint(1, 3), Streams.name, kind, args)


def _sending(chance: random.Random, begin_at: float, to: str, sender: str) -> list[Action]:
    at = begin_at + chance.uniform(-0.3, 3)
    args = {"to": to, "sender": sender, "count": chance.randint(3, 8)}
    if chance.random() < 0.3:
        return [_action(chance, max(at, 0), "tell", args)]
    args |= {"pause": chance.choice([0, 0.05, 0.4]), "patient": chance.random() < 0.8}
    first = _action(chance, max(at, 0), "send", args)
    if chance.random() > 0.3:
        return [first]
    return [first, _action(chance, first.at + chance.uniform(0, 2), "send", args)]


def check_taken(
    to: str,
    taken: Sequence[tuple[str, int]],
    told: Mapping[tuple[str, int], bool | None],
    out_of_order: set[tuple[str, int]],
) -> None:
    """Check what a collector took of what clients sent.

    Raises:
        Violation: An item is missing, doubled, uncalled for, or out of order.
    """
    for item, delivered in told.items():
        count = taken.count(item)
        if count > 1:
            raise Violation("I2", "an event was taken twice", where=to, item=item, taken=taken)
        if delivered and not count:
            raise Violation("I12", "an event was lost", where=to, item=item, taken=taken)
        if delivered is False and count:
            raise Violation("I2", "an event was refused and taken", where=to, item=item)
    last: dict[str, int] = {}
    for sender, number in taken:
        item = (sender, number)
        if not told.get(item) or item in out_of_order:
            continue
        if number < last.get(sender, -1):
            raise Violation("I11", "an event overtook another", where=to, item=item, taken=taken)
        last[sender] = number


def check_told(
    to: str, taken: Sequence[tuple[str, int]], sender: str, count: int, *, is_whole: bool
) -> None:
    """Check what a collector took of what an orchestration sent: all, if it began after the collector; else all from some item on.

    Raises:
        Violation: It did not.
    """
    numbers = [number for by, number in taken if by == sender]
    first = 0 if is_whole else count - len(numbers)
    if numbers != list(range(first, count)):
        raise Violation("I11", "not what was sent", where=to, sender=sender, numbers=numbers)


def check_origin(to: str, taken: Sequence[tuple[str, int]], collector: Collector) -> None:
    """Check that somebody sent whatever was taken.

    Raises:
        Violation: Nobody did.
    """
    for item in taken:
        if item not in collector.told and item[0] not in collector.tellers:
            raise Violation("I2", "an event came from nowhere", where=to, item=item)
