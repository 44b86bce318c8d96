"""Poisons: code that does what no code should, until it is mended; and the neighbours that must not notice.

What a poison does is written into the ledger, which is outside the engine: how often its code began, and whether it is mended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import anyio
import msgspec

from durable_async import (
    ActivityFailedError,
    Entity,
    EntityOperationFailedError,
    FailureDetails,
    OrchestrationContext,
    Registry,
)
from durable_async.testing.simulation.stage import current_stage

OVERSIZE = 4 * 1024 * 1024
"""As many bytes as a payload may have; quotes are two more."""

CALLS_MAX = 40
"""So many durable calls may be made in one turn."""

FOREIGN = "foreign"
"""The version of an orchestrator that is left to other workers, of which there are none."""

REFUSED = "refused"
"""The version that fails."""


def accepts(name: str, version: str | None) -> bool | FailureDetails:
    """Say which versions are run here."""
    if version == REFUSED:
        return FailureDetails("poison.VersionRefused", f"{name} of version {version} is not run")
    return version != FOREIGN


registry = Registry(accepts=accepts)


class Case(msgspec.Struct):
    """What is wrong with an orchestration.

    Attributes:
        id: The instance.
        part: Which part of it is poisoned.
    """

    id: str
    part: str = ""


# -- what is known outside the engine


def begin(id: str) -> int:
    """Note that code begins which may do harm; returns how often it has."""
    stage = current_stage()
    stage.ledger.write(f"begun {id}")
    return len(stage.ledger.of(f"begun {id}"))


def mend(id: str) -> None:
    """From now on, deploy code that is sound."""
    current_stage().ledger.write(f"mended {id}")


def is_mended(id: str) -> bool:
    """Tell whether it was."""
    return bool(current_stage().ledger.of(f"mended {id}"))


# -- neighbours


@registry.activity(name="poison_work")
async def work(what: str) -> str:
    """Do something harmless."""
    current_stage().ledger.write(f"worked {what}")
    return what.rpartition(":")[2]


@registry.entity(name="poison_box")
class Box(Entity[list[str]]):
    """Keeps what it is given, and may choke on it."""

    def initial_state(self) -> list[str]:
        """Begin empty."""
        return []

    def note(self, text: str) -> list[str]:
        """Keep a text, and return all."""
        self.state.append(text)
        return self.state

    def swallow(self, text: str) -> list[str]:
        """Kill the process, unless this is mended."""
        _die_of(text)
        return self.note(text)

    async def sip(self, text: str) -> list[str]:
        """Do the same in a task."""
        if _die_of(text):
            await anyio.sleep_forever()
        return self.note(text)

    def swell(self, text: str) -> None:
        """Become larger than anything may be."""
        self.state.append(text)
        self.state.append("x" * OVERSIZE)

    def boast(self, text: str) -> str:
        """Answer more than anybody may."""
        self.state.append(text)
        return "x" * OVERSIZE


def _die_of(id: str) -> bool:
    begin(id)
    if is_mended(id):
        return False
    current_stage().die()
    return True


@registry.orchestrator(name="poison_neighbour")
async def neighbour(ctx: OrchestrationContext, id: str) -> list[str]:
    """Live next door: an activity, a timer, an entity."""
    first = await ctx.call_activity(work, f"{id}:a")
    await asyncio.sleep(1)
    noted = await ctx.call_entity(Box.entity_id(id), Box.note, id)
    return [first, *noted]


# -- orchestrators that do what they must not


@registry.orchestrator(name="poison_victim")
async def victim(ctx: OrchestrationContext, case: Case) -> str:
    """Do nothing wrong, for some seconds; the store does."""
    done = ""
    for step in "abc":
        done += await ctx.call_activity(work, f"poison:{step}")
        await asyncio.sleep(1)
    return done


@registry.orchestrator(name="poison_diverging")
async def diverging(ctx: OrchestrationContext, case: Case) -> str:
    """Do something else whenever it is replayed: what the first activity leaves behind shows that its call is in history."""
    wrote = current_stage().ledger.of(f"worked {case.id}:a")
    begin(case.id)
    done = await ctx.call_activity(
        work, f"{case.id}:{'a' if not wrote or is_mended(case.id) else 'x'}"
    )
    for step in "bc":
        await asyncio.sleep(1)
        done += await ctx.call_activity(work, f"{case.id}:{step}")
    return done


@registry.orchestrator(name="poison_lethal")
async def lethal(ctx: OrchestrationContext, case: Case) -> str:
    """Kill its process, in its own code or in an activity."""
    if case.part == "code":
        _die_of(case.id)
        return "survived"
    await ctx.call_activity(work, f"{case.id}:a")
    return await ctx.call_activity(kill, case.id)


@registry.activity(name="poison_kill")
async def kill(id: str) -> str:
    """Kill the process, unless this is mended."""
    if _die_of(id):
        await anyio.sleep_forever()
    return "survived"


@registry.orchestrator(name="poison_caller")
async def caller(ctx: OrchestrationContext, case: Case) -> str:
    """Call an entity that chokes on it."""
    box = Box.entity_id(case.id)
    try:
        await ctx.call_entity(box, case.part, case.id)
    except EntityOperationFailedError as error:
        return error.failure.error_type.rpartition(".")[2]
    return "survived"


@registry.orchestrator(name="poison_restless")
async def restless(ctx: OrchestrationContext, case: Case) -> str:
    """Never come to rest, or rest for ever, or do what is forbidden, or too much of what is not."""
    begin(case.id)
    if is_mended(case.id):
        return "survived"
    match case.part:
        case "spin":
            while not is_mended(case.id):  # noqa: ASYNC110 - that is the point
                await asyncio.sleep(0)
        case "stall":
            await asyncio.get_running_loop().create_future()
        case "forbidden":
            await _directly()
        case _:
            many = [ctx.call_activity(work, f"poison:{at}") for at in range(CALLS_MAX + 1)]
            await asyncio.gather(*many)
    return "never"


async def _directly() -> None:
    await work("poison:x")


@registry.orchestrator(name="poison_failing")
async def failing(ctx: OrchestrationContext, case: Case) -> str:
    """Have something fail for a reason that is documented, and tell which."""
    match case.part:
        case "oversize result":
            call: Awaitable[object] = ctx.call_activity(brag, case.id)
        case "undecodable input":
            call = ctx.call_activity("poison_count", "not a number")
        case _:
            call = ctx.call_activity("poison_nobody", case.id)
    try:
        await call
    except ActivityFailedError as error:
        return error.failure.error_type.rpartition(".")[2]
    return "survived"


@registry.activity(name="poison_brag")
async def brag(id: str) -> str:
    """Return more than anybody may."""
    return "x" * OVERSIZE


@registry.activity(name="poison_count")
async def count(number: int) -> int:
    """Take a number."""
    return number


@registry.orchestrator(name="poison_typed")
async def typed(ctx: OrchestrationContext, case: Case) -> str:
    """Take a case, and return too much."""
    return "x" * OVERSIZE
