"""Life of entities: they come into being with their first operation, are deleted, forgotten, and come again, in the midst of everything.

Before a cell deletes its state it sends its notes to a cemetery, so that the order of all operations of all its lives is known afterwards.
Cells also start orchestrations, signal each other and, later, themselves, and fail after having done all of that, of which nothing may be
seen. Bare cells hold nothing but a number, and are deleted as every entity can be; some order must explain what was told of them.
"""

from __future__ import annotations

import math
import random
from typing import Any, ClassVar

import anyio
import msgspec

from durable_async import (
    Client,
    EntityId,
    EntityOperationFailedError,
    OrchestrationContext,
    Registry,
    Status,
    TaskHub,
)
from durable_async.testing.simulation.linearizability import (
    Call,
    SearchTooLongError,
    explain,
    story,
)
from durable_async.testing.simulation.plan import Action
from durable_async.testing.simulation.stage import Stage
from durable_async.testing.simulation.violations import Violation

from ._cell_code import Cemetery, bare, registry, trace_of
from ._cells import Asked, Cells, Life, Note, cemetery_of, child_of
from ._orders import Order, Orders
from ._witness import Told, answer, check_clean, hear, told_by
from ._workload import Workload

SECONDS = 8.0
"""Within so long clients ask for everything."""

IMPATIENCE_SECONDS = 0.05
DELAY_SECONDS = 0.4

CELLS = ("@life_cell@a", "@life_cell@b", "@life_lazy@a")
BARE = ("@life_bare@a", "@life_bare@b")


class Step(msgspec.Struct):
    """One thing that an orchestration does with a cell."""

    where: str
    operation: str
    id: str
    value: int
    is_signal: bool

    @property
    def is_bare(self) -> bool:
        """Whether it is about a cell that notes nothing."""
        return self.where in BARE

    @property
    def given(self) -> Any:
        """What the operation is given."""
        if not self.is_bare:
            return Asked(self.id, self.value)
        return None if self.operation in ("get", "delete") else self.value


@registry.orchestrator(name="life_caller")
async def caller(ctx: OrchestrationContext, steps: list[Step]) -> list[Told | None]:
    """Do things with cells, one after the other, and tell what they said."""
    told: list[Told | None] = []
    for step in steps:
        entity = EntityId.parse(step.where)
        if step.is_signal:
            ctx.signal_entity(entity, step.operation, step.given)
            told.append(None)
        elif step.is_bare:
            told.append(await _ask_bare(ctx, entity, step))
        else:
            call = ctx.call_entity(entity, step.operation, step.given, result_type=Told)
            told.append(await answer(step.id, call))
    return told


async def _ask_bare(ctx: OrchestrationContext, entity: EntityId, step: Step) -> Told:
    try:
        said = await ctx.call_entity(entity, step.operation, step.given)
    except EntityOperationFailedError as error:
        return _refused_by_bare(step.id, error)
    return Told(step.id, 0, said)


def _refused(id: str, error: EntityOperationFailedError) -> Told:
    return told_by(id, error.failure)


def _refused_by_bare(id: str, error: EntityOperationFailedError) -> Told:
    return Told(id, 0, refused=error.failure.error_type.rpartition(".")[2])


class EntityLife(Workload):
    """Clients and orchestrations that ask cells for things, and somebody who cleans up."""

    name: ClassVar[str] = "entity_life"
    registry: ClassVar[Registry] = registry

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self._orders = Orders(stage)
        self._cells = Cells()
        self._bare: dict[str, list[Call]] = {}

    # -- what clients do

    @classmethod
    def draw(cls, chance: random.Random) -> list[Action]:
        """Draw single steps of clients, orchestrations of some steps, and cleaning."""
        actions: list[Action] = []
        for number in range(chance.randint(6, 12)):
            kind = chance.choice(
                ["call", "call", "signal", "signal", "later", "look", "give up", "clean"]
                + ["steps"] * 3
            )
            count = chance.randint(1, 3) if kind == "steps" else 1
            steps = [_draw_step(chance, f"{number}.{at}") for at in range(count)]
            given = {"id": str(number), "steps": [msgspec.to_builtins(step) for step in steps]}
            at = round(chance.uniform(0, SECONDS), 3)
            actions.append(Action(at, chance.randint(1, 2), cls.name, kind, given))
        return actions

    async def act(self, action: Action, client: Client) -> None:
        """Do one of them."""
        steps = msgspec.convert(action.args["steps"], list[Step])
        match action.kind:
            case "steps":
                id = f"life-caller-{action.args['id']}"
                await self._orders.carry_out(client, caller, id, steps)
            case "look":
                await self._look(client, steps[0])
            case "clean":
                cleaned = await self.stage.persist(client.clean_entities)
                if cleaned.orphaned_locks:
                    raise Violation("I10", "a lock outlived its holder", cleaned=cleaned)
            case "signal" | "later":
                await self._signal(client, steps[0], is_later=action.kind == "later")
            case _:
                with anyio.move_on_after(
                    IMPATIENCE_SECONDS if action.kind == "give up" else math.inf
                ):
                    await self._call(client, steps[0])

    async def _look(self, client: Client, step: Step) -> None:
        kind = int if step.is_bare else Life
        begun = self.stage.tick()
        found = await self.stage.persist(
            lambda: client.get_entity(EntityId.parse(step.where), kind), repeats=False
        )
        state: Any = None if found is None else found.state
        value = state.value if isinstance(state, Life) else state
        look = Call(f"look {step.id}", "get", 0, value, None, begun, self.stage.tick())
        look.is_look = True
        self._line(step).append(look)

    async def _signal(self, client: Client, step: Step, *, is_later: bool) -> None:
        call = self._begin(step, self.stage.tick())
        entity, request = EntityId.parse(step.where), self.stage.new_id()
        at = DELAY_SECONDS if is_later else None
        if is_later:
            self._cells.due_us[step.id] = self.stage.now_us() + round(DELAY_SECONDS * 1e6)
        await self.stage.persist(
            lambda: client.signal_entity(
                entity, step.operation, step.given, at=at, request_id=request
            )
        )
        call.is_certain = True
        if not is_later:
            call.accepted = self.stage.tick()

    async def _call(self, client: Client, step: Step) -> None:
        call = self._begin(step, self.stage.tick())
        entity, request = EntityId.parse(step.where), self.stage.new_id()
        try:
            said = await self.stage.persist(
                lambda: client.call_entity(entity, step.operation, step.given, request_id=request)
            )
        except EntityOperationFailedError as error:
            refused_by = _refused_by_bare if step.is_bare else _refused
            told = refused_by(step.id, error)
        else:
            told = Told(step.id, 0, said) if step.is_bare else msgspec.convert(said, Told)
        hear(call, told, self.stage.tick())

    def _begin(self, step: Step, begun: int) -> Call:
        """Note that a step was asked for; what was accepted by then comes before it."""
        call = Call(step.id, step.operation, step.value, begun=begun, is_certain=False)
        line = self._line(step)
        if step.is_bare:
            call.after = tuple(one for one in line if one.accepted < begun)
        line.append(call)
        return call

    def _line(self, step: Step) -> list[Call]:
        lines = self._bare if step.is_bare else self._cells.calls
        return lines.setdefault(step.where, [])

    # -- afterwards

    async def check(self, hub: TaskHub) -> None:
        """Look at orders, children and cells."""
        await self._orders.settle(hub)
        await check_clean(hub)
        for order in self._orders:
            self._note(order)
        lives: dict[str, list[list[Note]]] = {}
        values: dict[str, int | None] = {}
        for where in CELLS:
            buried = await hub.client.get_entity(cemetery_of(EntityId.parse(where)), Cemetery)
            found = await hub.client.get_entity(EntityId.parse(where), Life)
            lives[where] = (buried and buried.state) or []
            life = found.state if found is not None else None
            lives[where].append(life.noted if life is not None else [])
            values[where] = life.value if life is not None else None
        self._cells.check(lives, values)
        await self._check_children(
            hub, {note.id for each in lives.values() for life in each for note in life}
        )
        for where, calls in self._bare.items():
            number = await hub.client.get_entity(EntityId.parse(where), int)
            self.check_bare(where, calls, None if number is None else number.state)

    def _note(self, order: Order) -> None:
        """Take down what an orchestration did."""
        if order.end is None:
            return
        if order.end.status is not Status.COMPLETED:
            raise Violation("I1", "it failed as its code does not", where=order.id, end=order.end)
        steps: list[Step] = order.given
        last: dict[str, tuple[Call, ...]] = {}
        for step, told in zip(
            steps, msgspec.convert(order.end.output, list[Told | None]), strict=True
        ):
            call = self._begin(step, order.begun)
            call.after = (*call.after, *last.get(step.where, ()))
            last[step.where] = (call,)
            if told is not None:
                hear(call, told, order.ended)
            call.is_certain, call.accepted = True, order.ended

    async def _check_children(self, hub: TaskHub, noted: set[str]) -> None:
        """Check that cells have started what they say, and nothing else."""
        calls = [call for line in self._cells.calls.values() for call in line]
        for call in calls:
            state = await hub.client.get(child_of(call.id))
            is_due = call.operation == "beget" and call.id in noted
            if is_due and (state is None or state.status is not Status.COMPLETED):
                what = "an entity started an orchestration that did not run"
                raise Violation("I2", what, where=child_of(call.id), state=state)
            traces = self.stage.ledger.of(trace_of(call.id))
            if is_due != bool(traces) or is_due != (state is not None):
                what = "an orchestration ran if and only if it should not have"
                raise Violation("I7", what, where=child_of(call.id), traces=traces, call=call)

    @staticmethod
    def check_bare(where: str, calls: list[Call], value: int | None) -> None:
        """Check that some order explains what was told of a bare cell.

        Raises:
            Violation: I8.
        """
        certain = tuple(call for call in calls if call.is_certain)
        last = Call("the end", "get", None, value, begun=math.inf, after=certain)
        try:
            order = explain([*calls, last], bare, None)
        except SearchTooLongError:
            return
        if order is None:
            what = "no order explains what was told"
            raise Violation("I8", what, where=where, story=story([*calls, last]))


def _draw_step(chance: random.Random, id: str) -> Step:
    where = chance.choice([*CELLS, *CELLS, *BARE])
    if where in BARE:
        operations = ["get", "set", "set", "add", "add", "spoil", "delete", "delete"]
    else:
        operations = ["get", "set", "set", "add", "add", "spoil", "bury", "bury"]
        operations += ["beget", "pass_on", "postpone"]
    return Step(
        where, chance.choice(operations), id, chance.randint(1, 1_000), chance.random() < 0.3
    )
