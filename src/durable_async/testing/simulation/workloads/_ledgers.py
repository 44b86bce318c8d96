"""Ledgers: entities that are lists of items, in every style; and orchestrations that put items into them by a script."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any

import anyio
import msgspec

from durable_async import (
    Entity,
    EntityContext,
    EntityId,
    EntityLockTimeoutError,
    EntityOperationFailedError,
    OrchestrationContext,
    Registry,
)

LEDGERS = (
    "@appends_ledger@a",
    "@appends_ledger@b",
    "@appends_slow@a",
    "@appends_plain@a",
    "@appends_patient@a",
)

LATER_SECONDS = 0.4
"""So much later is put what is put later."""

registry = Registry()


class RefusedError(Exception):
    """What a ledger says to an item that it does not take."""


def relayed(item: str) -> str:
    """Return the item that a ledger sends on when it is given another one to relay."""
    return f"{item}>"


def relay_of(item: str) -> str:
    """Return the ledger that an item is sent on to."""
    return LEDGERS[len(item) % 2]


def _relay(ctx: EntityContext, item: str) -> None:
    ctx.signal_entity(EntityId.parse(relay_of(item)), "put", relayed(item))


@registry.entity(name="appends_ledger")
class Ledger(Entity[list[str]]):
    """A ledger that is a class."""

    def initial_state(self) -> list[str]:
        """Begin empty."""
        return []

    def put(self, item: str) -> list[str]:
        """Append an item, and return all."""
        self.state.append(item)
        return self.state

    def relay(self, item: str) -> list[str]:
        """Do so, and send something on."""
        _relay(self.context, item)
        return self.put(item)

    def refuse(self, item: str) -> list[str]:
        """Do all of that, and take it back."""
        self.relay(item)
        raise RefusedError(item)


@registry.entity(name="appends_slow")
class SlowLedger(Entity[list[str]]):
    """The same, but for the time that it takes."""

    def initial_state(self) -> list[str]:
        """Begin empty."""
        return []

    async def put(self, item: str) -> list[str]:
        """Append an item, and return all."""
        await anyio.sleep(len(item) % 3 * 0.02)
        self.state.append(item)
        await anyio.sleep(len(item) % 2 * 0.05)
        return self.state

    async def relay(self, item: str) -> list[str]:
        """Do so, and send something on."""
        _relay(self.context, item)
        return await self.put(item)

    async def refuse(self, item: str) -> list[str]:
        """Do all of that, and take it back."""
        await self.relay(item)
        raise RefusedError(item)


@registry.entity(name="appends_plain")
def plain(ctx: EntityContext, item: str) -> list[str]:
    """Be a ledger that is a function."""
    items = [*ctx.get_state(list[str], []), item]
    ctx.set_state(items)
    if ctx.operation != "put":
        _relay(ctx, item)
    if ctx.operation == "refuse":
        raise RefusedError(item)
    return items


@registry.entity(name="appends_patient")
async def patient(ctx: EntityContext, item: str) -> list[str]:
    """Be the same as an ``async def``."""
    await anyio.sleep(0.01)
    try:
        items: list[str] = plain(ctx, item)
    finally:
        await anyio.sleep(0.01)
    return items


# -- orchestrations


class Step(msgspec.Struct):
    """One line of a script.

    Attributes:
        how: What to do: ``put``, ``relay`` or ``refuse`` are called, ``signal`` and ``later`` signaled; ``pause``, ``again`` for going
            on as new, ``lock`` for a section, ``withdraw`` for one that is not wanted any more.
        where: The ledger.
        item: What to put there.
        seconds: How long to pause.
        inside: What is done in a section.
        limits: Of a section.
        ledgers: What to lock, and not to want.
    """

    how: str
    where: str = ""
    item: str = ""
    seconds: float = 0.0
    inside: list[Step] = msgspec.field(default_factory=list)
    limits: dict[str, float] = msgspec.field(default_factory=dict)
    ledgers: list[str] = msgspec.field(default_factory=list)


class Script(msgspec.Struct):
    """What an orchestration does.

    Attributes:
        sender: Its name, which no other script has.
        steps: What is left to do.
        told: What it was told up to now.
    """

    sender: str
    steps: list[Step]
    told: Told


class Told(msgspec.Struct):
    """What an orchestration was told, and tells at its end.

    Attributes:
        sender: Its name.
        lists: By item, what the ledger held after it.
        refused: Items that their ledgers refused.
        lost: Items that were not put, because no lock was had, or because it was lost.
    """

    sender: str
    lists: dict[str, list[str]] = msgspec.field(default_factory=dict)
    refused: list[str] = msgspec.field(default_factory=list)
    lost: list[str] = msgspec.field(default_factory=list)

    def fail(self, item: str, error: EntityOperationFailedError) -> None:
        """Take down a failure that was to be expected; any other one goes on."""
        if error.failure.is_type("RefusedError"):
            self.refused.append(item)
        elif error.failure.is_type("EntityLockLostError"):
            self.lost.append(item)
        else:
            raise error


async def _narrate(ctx: OrchestrationContext, script: Script) -> None:
    told = script.told
    while script.steps:
        step = script.steps.pop(0)
        match step.how:
            case "signal":
                ctx.signal_entity(EntityId.parse(step.where), "put", step.item)
            case "later":
                ctx.signal_entity(EntityId.parse(step.where), "put", step.item, at=LATER_SECONDS)
            case "pause":
                await asyncio.sleep(step.seconds)
            case "again":
                ctx.continue_as_new(script)
            case "lock":
                await _in_section(ctx, step, told)
            case "withdraw":
                await _change_mind(ctx, step)
            case _:
                await _call(ctx, step, told)


async def _call(ctx: OrchestrationContext, step: Step, told: Told) -> None:
    call = ctx.call_entity(EntityId.parse(step.where), step.how, step.item, result_type=list[str])
    try:
        told.lists[step.item] = await call
    except EntityOperationFailedError as error:
        told.fail(step.item, error)


def entities_of(section: Step) -> list[EntityId]:
    """Return what a section locks."""
    wanted = dict.fromkeys(step.where for step in section.inside if step.item)
    return [EntityId.parse(where) for where in wanted]


async def _in_section(ctx: OrchestrationContext, section: Step, told: Told) -> None:
    try:
        async with ctx.lock_entities(entities_of(section), **section.limits):
            await _narrate(ctx, Script(told.sender, list(section.inside), told))
    except EntityLockTimeoutError:
        told.lost += [step.item for step in section.inside if step.item]


async def _change_mind(ctx: OrchestrationContext, step: Step) -> None:
    """Ask for ledgers, and want them no more."""
    lock = ctx.lock_entities([EntityId.parse(where) for where in step.ledgers])
    if step.seconds:
        await asyncio.sleep(step.seconds)
    if not lock.cancel():
        (await lock).release()


@registry.orchestrator(name="appends_narrator")
async def narrator(ctx: OrchestrationContext, script: Script) -> Told:
    """Follow a script."""
    await _narrate(ctx, script)
    return script.told


@registry.orchestrator(name="appends_teller")
def teller(ctx: OrchestrationContext, script: Script) -> Generator[Any, Any, Told]:
    """Follow a script as a generator, in one execution, with sections that have no limits."""
    told = script.told
    for step in script.steps:
        if step.how in ("signal", "later"):
            at = LATER_SECONDS if step.how == "later" else None
            ctx.signal_entity(EntityId.parse(step.where), "put", step.item, at=at)
        elif step.how == "lock":
            with (yield ctx.lock_entities(entities_of(step))):
                for each in step.inside:
                    if each.item:
                        yield from _call_in_steps(ctx, each, told)
        elif step.how in ("put", "relay", "refuse"):
            yield from _call_in_steps(ctx, step, told)
    return told


def _call_in_steps(ctx: OrchestrationContext, step: Step, told: Told) -> Generator[Any, Any, None]:
    call = ctx.call_entity(EntityId.parse(step.where), step.how, step.item, result_type=list[str])
    try:
        told.lists[step.item] = yield call
    except EntityOperationFailedError as error:
        told.fail(step.item, error)
