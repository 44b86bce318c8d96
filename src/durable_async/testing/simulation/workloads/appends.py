"""Appends: many senders put items into a few ledgers, and each operation returns the whole list.

So every answer tells the order of all that came before it, as with the appended lists of Elle (Kingsbury and Alvaro, 2020): whatever was
lost, doubled or reordered shows in a list that is not the beginning of the last one, and nothing has to be searched. Senders are clients,
orchestrations that are replaced, terminated, suspended and continued as new, in sections and without, and ledgers that send on.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import anyio
import msgspec

from durable_async import (
    Client,
    EntityId,
    EntityOperationFailedError,
    Registry,
    ReusePolicy,
    Status,
    TaskHub,
)
from durable_async.testing.simulation.linearizability import UNHEARD, Call, Refusal, check_witness
from durable_async.testing.simulation.plan import Action
from durable_async.testing.simulation.serializability import Span, check_apart, serialize
from durable_async.testing.simulation.stage import Stage
from durable_async.testing.simulation.violations import StuckError, Violation

from ._ledgers import (
    LATER_SECONDS,
    LEDGERS,
    Script,
    Step,
    Told,
    narrator,
    registry,
    relay_of,
    relayed,
    teller,
)
from ._orders import Steering
from ._witness import check_clean, check_unlocked
from ._workload import Workload

SECONDS = 10.0
"""Within so long clients ask for everything."""

IMPATIENCE_SECONDS = 0.05
"""So long waits who gives up."""

Items = tuple[str, ...]


def ledger(items: Items, operation: str, item: str) -> tuple[Items, Any]:
    """Say what a ledger does."""
    if operation == "refuse":
        return items, Refusal("RefusedError")
    return (*items, item), (*items, item)


@dataclass(eq=False)
class Story:
    """A script that an orchestration was given.

    Attributes:
        instance_id: The orchestration; others may replace it under this id.
        script: What it does.
        begun: When it was asked for.
        accepted: When that was acknowledged; infinity for never.
        ended: When a client was told of its end; infinity for never.
        told: What it told at its end.
    """

    instance_id: str
    script: Script
    begun: int
    accepted: float = math.inf
    ended: float = math.inf
    told: Told | None = None


class Appends(Workload):
    """Clients and orchestrations that put items into ledgers."""

    name: ClassVar[str] = "appends"
    registry: ClassVar[Registry] = registry

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self._steering = Steering(stage)
        self._calls: dict[str, list[Call]] = {where: [] for where in LEDGERS}
        self._stories: list[Story] = []
        self._sections: dict[str, str] = {}

    # -- what clients do

    @classmethod
    def draw(cls, chance: random.Random) -> list[Action]:
        """Draw single operations of clients, and scripts."""
        return sorted(_draw(chance), key=lambda action: action.at)

    async def act(self, action: Action, client: Client) -> None:
        """Do one of them."""
        given = action.args
        match action.kind:
            case "narrator" | "teller":
                await self._narrate(client, action.kind, given["id"], given["script"])
            case "terminate":
                await self._steering.terminate(client, given["id"])
            case "suspend":
                await self._steering.suspend(client, given["id"], given["seconds"])
            case "signal" | "later":
                await self._signal(client, action.kind, given["where"], given["item"])
            case "give up":
                with anyio.move_on_after(IMPATIENCE_SECONDS):
                    await self._call(client, "put", given["where"], given["item"])
            case operation:
                await self._call(client, operation, given["where"], given["item"])

    async def _signal(self, client: Client, how: str, where: str, item: str) -> None:
        call = self._begin(where, "put", item)
        entity, request = EntityId.parse(where), self.stage.new_id()
        at = LATER_SECONDS if how == "later" else None
        await self.stage.persist(
            lambda: client.signal_entity(entity, "put", item, at=at, request_id=request)
        )
        call.is_certain = True
        if how == "signal":
            call.accepted = self.stage.tick()

    async def _call(self, client: Client, operation: str, where: str, item: str) -> None:
        call = self._begin(where, operation, item)
        entity, request = EntityId.parse(where), self.stage.new_id()
        try:
            items = await self.stage.persist(
                lambda: client.call_entity(entity, operation, item, request_id=request)
            )
            call.answer, call.place = tuple(items), len(items)
        except EntityOperationFailedError as error:
            call.answer = Refusal(error.failure.error_type.rpartition(".")[2])
        call.is_certain, call.ended = True, self.stage.tick()

    def _begin(self, where: str, operation: str, item: str) -> Call:
        call = Call(item, operation, item, begun=self.stage.tick(), is_certain=False)
        self._calls[where].append(call)
        return call

    async def _narrate(self, client: Client, how: str, instance_id: str, given: Any) -> None:
        story = Story(instance_id, msgspec.convert(given, Script), self.stage.tick())
        self._stories.append(story)
        orchestrator: Any = narrator if how == "narrator" else teller
        request = self.stage.new_id()
        handle = await self.stage.persist(
            lambda: client.start(
                orchestrator,
                story.script,
                instance_id=instance_id,
                reuse=ReusePolicy.REPLACE,
                request_id=request,
            )
        )
        story.accepted = self.stage.tick()
        state = await self.stage.persist(lambda: client.wait_for_end(handle), repeats=False)
        if state.status is Status.COMPLETED:
            self._hear(state.output(Told), self.stage.tick())

    def _hear(self, told: Told, ended: float) -> None:
        """Note what a script told at its end; it may be another one than was waited for, which replaced it."""
        for story in self._stories:
            if story.script.sender == told.sender:
                if story.told not in (None, told):
                    what = "a client was told of another end"
                    raise Violation("I18", what, where=story.instance_id, told=[story.told, told])
                story.told, story.ended = told, min(story.ended, ended)

    # -- afterwards

    async def wind_up(self, client: Client) -> None:
        """Resume what was left suspended."""
        await self._steering.wind_up(client)

    async def check(self, hub: TaskHub) -> None:
        """Look at scripts, locks and lists."""
        await check_clean(hub)
        await self._settle(hub)
        lists: dict[str, list[str]] = {}
        for where in LEDGERS:
            await check_unlocked(hub, EntityId.parse(where))
            found = await hub.client.get_entity(EntityId.parse(where), list[str])
            lists[where] = (found and found.state) or []
        for story in self._stories:
            self._note(story)
        self.check_lists(lists)

    async def _settle(self, hub: TaskHub) -> None:
        """Learn how the last script of each orchestration ended."""
        for instance_id in dict.fromkeys(story.instance_id for story in self._stories):
            state = await hub.client.get(instance_id)
            stories = [one for one in self._stories if one.instance_id == instance_id]
            if state is None:
                if any(story.accepted < math.inf for story in stories):
                    raise Violation("I2", "a start was accepted, and lost", where=instance_id)
                continue
            if not state.is_ended:
                raise StuckError("it has not ended", where=instance_id, parked=state.parked)
            if state.status is Status.COMPLETED:
                self._hear(state.output(Told), math.inf)
            elif state.status is Status.FAILED:
                what = "it failed as its code does not"
                raise Violation("I1", what, where=instance_id, failure=state.failure)
            elif instance_id not in self._steering.chased:
                raise Violation("I15", "it was terminated by nobody", where=instance_id)

    def _note(self, story: Story) -> None:
        """Take down what a script did, as far as it tells; if it does not, each item may be there or not."""
        last: dict[str, tuple[Call, ...]] = {}
        for step, section in _items(story.script):
            operation = "put" if step.how in ("signal", "later") else step.how
            call = Call(step.item, operation, step.item, begun=story.begun, is_certain=False)
            if step.how != "later":
                call.after = last.get(step.where, ())
                last[step.where] = (call,)
            if story.told is not None:
                self._fill_in(call, step, story.told, story.ended)
            if section:
                self._sections[step.item] = section
            self._calls[step.where].append(call)

    @staticmethod
    def _fill_in(call: Call, step: Step, told: Told, ended: float) -> None:
        """Say of an item of a script that came to its end what became of it."""
        call.is_certain = True
        if step.how != "later":
            call.accepted = ended
        if step.how in ("signal", "later"):
            return
        call.ended = ended
        if step.item in told.lists:
            items = told.lists[step.item]
            call.answer, call.place = tuple(items), len(items)
        elif step.item in told.refused:
            call.answer = Refusal("RefusedError")
        else:
            call.is_rejected = True

    def check_lists(self, lists: Mapping[str, Sequence[str]]) -> None:
        """Hold everybody to what the ledgers hold.

        Raises:
            Violation: An item is lost or doubled (I7), out of order (I8, I11), or in the midst of a section (I9).
        """
        self._follow_relays(lists)
        for where, items in lists.items():
            check_beginnings(where, self._calls[where], items)
            check_witness(where, self._calls[where], items, ledger, ())
        check_apart(lists, self._sections)
        calls = [call for line in self._calls.values() for call in line]
        spans = {
            self._sections.get(call.id, call.id): Span(call.begun, call.ended) for call in calls
        }
        serialize(lists, self._sections, spans)

    def _follow_relays(self, lists: Mapping[str, Sequence[str]]) -> None:
        """Expect what ledgers sent on: each item once, in the order in which they took those that led to it."""
        for where, items in lists.items():
            relays = {one.id: one for one in self._calls[where] if one.operation == "relay"}
            former: dict[str, tuple[Call, ...]] = {}
            for item in items:
                if item in relays:
                    target, id = relay_of(item), relayed(item)
                    call = Call(id, "put", id, begun=relays[item].begun)
                    call.after = former.get(target, ())
                    former[target] = (call,)
                    self._calls[target].append(call)


def check_beginnings(where: str, calls: Sequence[Call], items: Sequence[str]) -> None:
    """Check that every list that anybody was told is the beginning of the last one, and ends with what was put.

    Raises:
        Violation: I7.
    """
    for call in calls:
        if call.answer is UNHEARD or isinstance(call.answer, Refusal):
            continue
        if call.answer != tuple(items[: len(call.answer)]):
            what = "a list that was told is not the beginning of the last one"
            raise Violation("I7", what, where=where, told=call.answer, items=list(items))
        if call.answer[-1:] != (call.id,):
            what = "a list that was told does not end with what was put"
            raise Violation("I7", what, where=where, told=call.answer, item=call.id)


def _items(script: Script) -> Iterator[tuple[Step, str]]:
    """Go through all steps that put an item, with the section they are in, if any."""
    for number, step in enumerate(script.steps):
        if step.item:
            yield step, ""
        for inside in step.inside:
            if inside.item:
                yield inside, f"{script.sender}!{number}"


# -- drawing


def _draw(chance: random.Random) -> Iterator[Action]:
    def action(kind: str, **given: Any) -> Action:
        at = round(chance.uniform(0, SECONDS), 3)
        return Action(at, chance.randint(1, 2), Appends.name, kind, given)

    kinds = ["signal", "signal", "put", "put", "relay", "refuse", "later", "give up"]
    for number in range(chance.randint(3, 8)):
        yield action(chance.choice(kinds), where=chance.choice(LEDGERS), item=f"c.{number}")
    instances = [f"appends-{number}" for number in range(chance.randint(1, 3))]
    for number in range(chance.randint(2, 4)):
        script = _draw_script(chance, f"s{number}")
        kind = chance.choice(["narrator", "narrator", "teller"])
        yield action(kind, id=chance.choice(instances), script=msgspec.to_builtins(script))
    for kind in chance.choices(["terminate", "suspend"], k=chance.randint(0, 2)):
        seconds = chance.choice([0.2, 1.0, 3.0])
        yield action(kind, id=chance.choice(instances), seconds=seconds)


def _draw_script(chance: random.Random, sender: str) -> Script:
    favourite = chance.choice(LEDGERS)
    steps = [
        _draw_step(chance, favourite, f"{sender}.{number}")
        for number in range(chance.randint(2, 6))
    ]
    return Script(sender, steps, Told(sender))


def _draw_step(chance: random.Random, favourite: str, item: str) -> Step:
    kinds = ["put", "put", "relay", "refuse", "signal", "signal", "later", "pause", "again"]
    how = chance.choice([*kinds, "lock", "lock", "withdraw"])
    match how:
        case "pause":
            return Step(how, seconds=chance.choice([0.01, 0.3]))
        case "again":
            return Step(how)
        case "withdraw":
            ledgers = [favourite, *chance.sample(LEDGERS, chance.randint(0, 2))]
            seconds = chance.choice([0, 0, 0.01, 0.3])
            return Step(how, seconds=seconds, ledgers=list(dict.fromkeys(ledgers)))
        case "lock":
            return _draw_section(chance, item)
        case _:
            where = favourite if chance.random() < 0.6 else chance.choice(LEDGERS)
            return Step(how, where, item)


def _draw_section(chance: random.Random, name: str) -> Step:
    ledgers = chance.sample(LEDGERS, chance.randint(1, 3))
    inside: list[Step] = []
    for number in range(chance.randint(1, 3)):
        if chance.random() < 0.3:
            inside.append(Step("pause", seconds=chance.choice([0.01, 0.3])))
        inside.append(Step("put", chance.choice(ledgers), f"{name}.{number}"))
    limits: dict[str, float] = {}
    if chance.random() < 0.2:
        limits["timeout"] = chance.choice([0.1, 0.5])
    if chance.random() < 0.2:
        limits["hold"] = chance.choice([0.1, 0.5])
    return Step("lock", inside=inside, limits=limits)
