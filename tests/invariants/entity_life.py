"""Life of entities: they come into being with their first operation, are deleted, forgotten, and come again, in the midst of everything.

What everybody was told of one cell, and when, must be explained by one order of its operations.
"""

from __future__ import annotations

import math
from typing import Any

import anyio

from durable_async import (
    Client,
    Entity,
    EntityId,
    EntityOperationFailedError,
    OrchestrationContext,
    Registry,
    ReusePolicy,
    Status,
)

from .entity_stage import SETTLE_SECONDS, Stage, persist, states
from .linearizability import UNHEARD, Call, explain

CELLS = ("@cell@a", "@cell@b", "@lazycell@a")
CLIENTS, STEPS, CALLERS = 2, 5, 10
ABSENT = "EntityStateAbsentError"

registry = Registry()


class SpoiltError(Exception):
    """What a cell says after it has set its state, so that this is undone."""


@registry.entity
class Cell(Entity[int]):
    def get(self) -> int | None:
        return self.get_state()

    def set(self, value: int) -> int | None:
        """Set the state, and return what it was."""
        before = self.get_state()
        self.state = value
        return before

    def add(self, value: int) -> int:
        self.state += value
        return self.state

    def spoil(self, value: int) -> None:
        self.state = value
        self.context.signal_entity(self.context.entity_id, "set", value)
        raise SpoiltError


@registry.entity
class LazyCell(Entity[int]):
    """The same, but for the time that it takes."""

    async def get(self) -> int | None:
        await anyio.sleep(0)
        return self.get_state()

    async def set(self, value: int) -> int | None:
        before = self.get_state()
        await anyio.sleep(0.03)
        self.state = value
        return before

    async def add(self, value: int) -> int:
        before = self.state
        await anyio.sleep(0.03)
        self.state = before + value
        return self.state

    async def spoil(self, value: int) -> None:
        self.state = value
        self.context.signal_entity(self.context.entity_id, "set", value)
        await anyio.sleep(0.03)
        raise SpoiltError


def cell(state: int | None, operation: str, value: Any) -> tuple[int | None, Any]:
    """Say what a cell does."""
    match operation:
        case "get":
            return state, state
        case "set":
            return value, state
        case "add":
            return (None, ABSENT) if state is None else (state + value, state + value)
        case "spoil":
            return state, "SpoiltError"
        case _:
            return None, None


@registry.orchestrator
async def caller(ctx: OrchestrationContext, steps: list[list[Any]]) -> list[Any]:
    """Do things with cells, one after the other, and tell what they said."""
    answers: list[Any] = []
    for whom, operation, value, is_signal in steps:
        entity = EntityId.parse(whom)
        given = () if value is None else (value,)
        if is_signal:
            ctx.signal_entity(entity, operation, *given)
            answers.append(None)
            continue
        try:
            answers.append(await ctx.call_entity(entity, operation, *given))
        except EntityOperationFailedError as error:
            answers.append(_name(error))
    return answers


def _name(error: EntityOperationFailedError) -> str:
    return error.failure.error_type.rpartition(".")[2]


class Life:
    """The simulation."""

    registry = registry

    def __init__(self) -> None:
        self.calls: dict[str, list[Call]] = {one: [] for one in CELLS}

    async def play(self, stage: Stage) -> None:
        async with anyio.create_task_group() as group:
            for _ in range(CLIENTS):
                group.start_soon(self._client, stage)
            for number in range(CALLERS):
                group.start_soon(self._caller, stage, f"o{number}")
            for _ in range(2):
                group.start_soon(self._cleaner, stage)

    async def _cleaner(self, stage: Stage) -> None:
        client = await stage.client()
        for _ in range(25):
            await stage.pause(0.1)
            cleaned = await persist(client.clean_entities)
            assert cleaned.orphaned_locks == ()

    # -- clients

    async def _client(self, stage: Stage) -> None:
        client = await stage.client()
        last: dict[str, tuple[Call, ...]] = {}
        for _ in range(STEPS):
            await stage.pause(0.2)
            whom = stage.chance.choice(CELLS)
            how = stage.chance.choice(
                ["call", "call", "signal", "signal", "later", "look", "give up"]
            )
            operation, value = _operation(stage)
            if how == "look":
                self.calls[whom].append(await self._look(stage, client, whom))
                continue
            after = last.get(whom, ()) if how != "later" else ()
            call = await self._do(stage, client, how, whom, operation, value, after)
            self.calls[whom].append(call)
            if how in ("call", "signal"):
                last[whom] = (*last.get(whom, ()), call)

    async def _look(self, stage: Stage, client: Client, whom: str) -> Call:
        begun = stage.tick()
        state = await persist(lambda: client.get_entity(EntityId.parse(whom), Cell))
        answer = None if state is None else state.state
        return Call("get", None, answer, begun, stage.tick())

    async def _do(
        self,
        stage: Stage,
        client: Client,
        how: str,
        whom: str,
        operation: str,
        value: Any,
        after: tuple[Call, ...],
    ) -> Call:
        entity, request, begun = EntityId.parse(whom), stage.new_id(), stage.tick()
        if how in ("signal", "later"):
            at = 0.4 if how == "later" else None
            await persist(
                lambda: client.signal_entity(entity, operation, value, at=at, request_id=request)
            )
            return Call(operation, value, UNHEARD, begun, after=after)
        answer: Any = UNHEARD
        with anyio.move_on_after(0.05 if how == "give up" else math.inf):
            try:
                answer = await persist(
                    lambda: client.call_entity(entity, operation, value, request_id=request)
                )
            except EntityOperationFailedError as error:
                answer = _name(error)
        if answer is UNHEARD:
            return Call(operation, value, UNHEARD, begun, is_certain=False)
        return Call(operation, value, answer, begun, stage.tick(), after=after)

    # -- orchestrations

    async def _caller(self, stage: Stage, name: str) -> None:
        client = await stage.client()
        await stage.pause(1)
        steps: list[list[Any]] = []
        for _ in range(stage.chance.randint(1, 3)):
            operation, value = _operation(stage)
            steps.append([stage.chance.choice(CELLS), operation, value, stage.toss(0.3)])
        request, begun = stage.new_id(), stage.tick()
        handle = await persist(
            lambda: client.start(
                caller, steps, instance_id=name, reuse=ReusePolicy.REPLACE, request_id=request
            )
        )
        state = await persist(lambda: client.wait_for_end(handle, timeout=SETTLE_SECONDS))
        assert state.status is Status.COMPLETED, state.failure
        self._note(steps, state.output(), begun, stage.tick())

    def _note(self, steps: list[list[Any]], answers: list[Any], begun: int, ended: int) -> None:
        last: dict[str, tuple[Call, ...]] = {}
        for (whom, operation, value, is_signal), answer in zip(steps, answers, strict=True):
            after = last.get(whom, ())
            if is_signal:
                call = Call(operation, value, UNHEARD, begun, after=after)
            else:
                call = Call(operation, value, answer, begun, ended, after=after)
            self.calls[whom].append(call)
            last[whom] = (*after, call)

    # -- afterwards

    async def check(self, stage: Stage) -> None:
        found = await states(await stage.hub())
        now = stage.tick()
        for whom, calls in self.calls.items():
            certain = tuple(call for call in calls if call.is_certain)
            last = Call("get", None, found.get(EntityId.parse(whom)), now, now + 1, after=certain)
            assert explain([*calls, last], cell, None), _story([*calls, last])


def _operation(stage: Stage) -> tuple[str, int | None]:
    operation = stage.chance.choice(
        ["get", "set", "set", "add", "add", "spoil", "delete", "delete"]
    )
    value = None if operation in ("get", "delete") else stage.chance.randint(1, 1_000)
    return operation, value


def _story(calls: list[Call]) -> str:
    line = sorted(calls, key=lambda call: call.begun)
    number = {call: place for place, call in enumerate(line)}
    return "\n".join(
        f"{number[one]}: {one.operation}({one.argument}) = {one.answer!r} from {one.begun} to {one.ended}"
        f" after {[number[before] for before in one.after]}{'' if one.is_certain else ', or not at all'}"
        for one in line
    )
