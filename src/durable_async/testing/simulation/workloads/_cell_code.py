"""The code of `entity_life`: cells of three kinds, the cemetery for the notes of those that are deleted, and what cells start."""

from __future__ import annotations

from typing import Any

import anyio

from durable_async import Entity, EntityContext, OrchestrationContext, Registry
from durable_async.testing.simulation.linearizability import Refusal
from durable_async.testing.simulation.stage import current_stage

from ._cells import Asked, Life, Note, perform
from ._witness import RefusedError, Told

registry = Registry()


@registry.activity(name="life_greet")
async def greet(id: str) -> str:
    """Leave a trace in the world."""
    current_stage().ledger.write(trace_of(id))
    return id


def trace_of(id: str) -> str:
    """Return what a child of a cell leaves in the ledger."""
    return f"life:{id}"


@registry.orchestrator(name="life_child")
async def child(ctx: OrchestrationContext, id: str) -> str:
    """Be started by a cell."""
    return await ctx.call_activity(greet, id)


@registry.entity(name="life_cemetery")
class Cemetery(Entity[list[list[Note]]]):
    """Where the notes of a cell's former lives are."""

    def initial_state(self) -> list[list[Note]]:
        """Begin empty."""
        return []

    def bury(self, noted: list[Note]) -> None:
        """Keep the notes of a life."""
        self.state.append(noted)


@registry.entity(name="life_cell")
class Cell(Entity[Life]):
    """A cell that is a class."""

    def _perform(self, asked: Asked) -> Told:
        return perform(self.context, asked)

    def get(self, asked: Asked) -> Told:
        """Tell the number."""
        return self._perform(asked)

    def set(self, asked: Asked) -> Told:
        """Replace the number, and tell what it was."""
        return self._perform(asked)

    def add(self, asked: Asked) -> Told:
        """Add to the number, if there is one."""
        return self._perform(asked)

    def spoil(self, asked: Asked) -> Told:
        """Do everything, and fail."""
        return self._perform(asked)

    def bury(self, asked: Asked) -> Told:
        """Delete the state, and tell which number it held."""
        return self._perform(asked)

    def beget(self, asked: Asked) -> Told:
        """Start an orchestration."""
        return self._perform(asked)

    def pass_on(self, asked: Asked) -> Told:
        """Signal another cell."""
        return self._perform(asked)

    def postpone(self, asked: Asked) -> Told:
        """Signal itself, later."""
        return self._perform(asked)


@registry.entity(name="life_lazy")
async def lazy(ctx: EntityContext, asked: Asked) -> Told:
    """Be a cell that is a function, and takes its time."""
    await anyio.sleep(asked.value % 3 * 0.02)
    try:
        return perform(ctx, asked)
    finally:
        await anyio.sleep(asked.value % 2 * 0.02)


@registry.entity(name="life_bare")
class Bare(Entity[int]):
    """A cell that notes nothing."""

    def get(self) -> int | None:
        """Tell the number."""
        return self.get_state()

    def set(self, value: int) -> int | None:
        """Replace the number, and tell what it was."""
        before = self.get_state()
        self.state = value
        return before

    async def add(self, value: int) -> int:
        """Add to the number; without one this fails by itself."""
        before = self.state
        await anyio.sleep(0.03)
        self.state = before + value
        return self.state

    def spoil(self, value: int) -> None:
        """Change the number, and fail."""
        self.state = value
        raise RefusedError("", 0, "spoilt")


def bare(value: int | None, operation: str, given: int | None) -> tuple[int | None, Any]:
    """Say what a bare cell does."""
    match operation:
        case "get":
            return value, value
        case "set":
            return given, value
        case "add" if value is not None and given is not None:
            return value + given, value + given
        case "add":
            return value, Refusal("EntityStateAbsentError")
        case "spoil":
            return value, Refusal("RefusedError")
        case _:
            return None, None
