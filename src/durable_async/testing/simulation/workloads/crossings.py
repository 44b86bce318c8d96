"""Crossings: convoys that reach the same gates at the same moment, and lock sets of them that overlap.

Each stroke of the clock all convoys ask for their gates at once, whichever workers have those. Two that each got one of two gates would
wait for each other for ever, so all asks of a set have to be put in line as one. Afterwards each gate tells who passed, in which order.
"""

from __future__ import annotations

import asyncio
import random
from typing import Any, ClassVar

import msgspec

from durable_async import Client, Entity, OrchestrationContext, Registry, Status, TaskHub
from durable_async.testing.simulation.plan import Action
from durable_async.testing.simulation.serializability import Span, check_apart, serialize
from durable_async.testing.simulation.stage import Stage
from durable_async.testing.simulation.violations import Violation

from ._orders import Orders
from ._witness import check_clean, check_unlocked
from ._workload import Workload

SECONDS = 2.0
"""Within so long all convoys set out."""

STROKE_SECONDS = 0.5
"""All convoys meet at multiples of it."""

registry = Registry()


class Convoy(msgspec.Struct):
    """A convoy.

    Attributes:
        id: Its name.
        gates: Per stroke, the gates that it passes.
    """

    id: str
    gates: list[list[str]]

    def passage(self, stroke: int) -> str:
        """Return the name of what it does at a stroke."""
        return f"{self.id}.{stroke}"


@registry.entity(name="crossings_gate")
class Gate(Entity[list[str]]):
    """Notes who passed."""

    def initial_state(self) -> list[str]:
        """Begin with nobody."""
        return []

    def let_pass(self, passage: str) -> int:
        """Note a passage; tell how many there were."""
        self.state.append(passage)
        return len(self.state)


@registry.orchestrator(name="crossings_convoy")
async def convoy(ctx: OrchestrationContext, given: Convoy) -> list[list[int]]:
    """Wait for each stroke, and pass; tell where it stood at each gate."""
    told: list[list[int]] = []
    for stroke, keys in enumerate(given.gates):
        await asyncio.sleep(STROKE_SECONDS - ctx.now().timestamp() % STROKE_SECONDS)
        gates = [Gate.entity_id(key) for key in keys]
        async with ctx.lock_entities(gates):
            passage = given.passage(stroke)
            calls = [ctx.call_entity(gate, Gate.let_pass, passage) for gate in gates]
            told.append(await asyncio.gather(*calls))
    return told


class Crossings(Workload):
    """Convoys, and who calls them off."""

    name: ClassVar[str] = "crossings"
    registry: ClassVar[Registry] = registry

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self._orders = Orders(stage)

    @classmethod
    def draw(cls, chance: random.Random) -> list[Action]:
        """Draw a few convoys."""
        keys = [f"g{number}" for number in range(chance.randint(2, 4))]
        actions = []
        for number in range(chance.randint(2, 4)):
            id = f"crossings-{number}"
            sets = [_draw_set(chance, keys) for _ in range(chance.randint(2, 6))]
            at = chance.uniform(0, SECONDS)
            actions.append(_action(chance, at, "convoy", {"id": id, "gates": sets}))
            if chance.random() < 0.15:
                later = at + chance.uniform(0, 3)
                actions.append(_action(chance, later, "terminate", {"id": id}))
        return actions

    async def act(self, action: Action, client: Client) -> None:
        """Let one set out, or call it off."""
        given = action.args
        if action.kind == "terminate":
            await self._orders.steering.terminate(client, given["id"])
        else:
            order = msgspec.convert(given, Convoy)
            await self._orders.carry_out(client, convoy, order.id, order)

    async def check(self, hub: TaskHub) -> None:
        """All have passed, each where it was told that it had; and one at a time."""
        await self._orders.settle(hub)
        await check_clean(hub)
        passed: dict[str, list[str]] = {}
        async for found in hub.client.query_entities(Gate, name=Gate):
            await check_unlocked(hub, found.entity_id)
            passed[found.entity_id.key] = found.state or []
        spans: dict[str, Span] = {}
        for order in self._orders:
            if order.end is None:
                continue
            if order.end.status is Status.COMPLETED:
                check_told(order.given, order.end.output, passed)
            elif not order.is_chased:
                raise Violation("I1", "it failed", where=order.id, failure=order.end.failure)
            passages = map(order.given.passage, range(len(order.given.gates)))
            spans.update(dict.fromkeys(passages, Span(order.begun, order.ended)))
        check_passages(passed, spans)


def check_told(given: Convoy, told: list[list[int]], passed: dict[str, list[str]]) -> None:
    """Check that a convoy stood where it was told.

    Raises:
        Violation: It did not.
    """
    for stroke, (keys, places) in enumerate(zip(given.gates, told, strict=True)):
        for key, place in zip(keys, places, strict=True):
            if passed.get(key, [])[place - 1 : place] != [given.passage(stroke)]:
                what = "a convoy was told that it had passed"
                raise Violation("I7", what, where=key, convoy=given.id, stroke=stroke, place=place)


def check_passages(passed: dict[str, list[str]], spans: dict[str, Span]) -> None:
    """Check that each passed a gate once, and that all gates agree about who came first.

    Raises:
        Violation: They do not.
    """
    for key, passages in passed.items():
        if len(set(passages)) != len(passages):
            raise Violation("I7", "somebody passed twice", where=key, passages=passages)
    sections = {one: one for passages in passed.values() for one in passages}
    check_apart(passed, sections)
    serialize(passed, sections, spans)


def _draw_set(chance: random.Random, keys: list[str]) -> list[str]:
    return chance.sample(keys, chance.randint(2, len(keys)))


def _action(chance: random.Random, at: float, kind: str, given: dict[str, Any]) -> Action:
    return Action(round(at, 3), chance.randint(1, 3), Crossings.name, kind, given)
