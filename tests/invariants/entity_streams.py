"""Streams: several senders put items into several ledgers, and a ledger's list tells afterwards what was done, and in which order.

Since each item is put by one operation, and the answer tells its place, the lists are enough to check exactly-once, the order of each
sender, and that each ledger is linearizable: as with the appended lists of Elle (Kingsbury and Alvaro, 2020), nothing has to be searched.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import anyio

from durable_async import (
    Entity,
    EntityContext,
    EntityId,
    EntityLockTimeoutError,
    EntityOperationFailedError,
    OrchestrationContext,
    Registry,
    ReusePolicy,
    Status,
)

from .entity_stage import Stage, persist, states, suspend_for_a_while

LEDGERS = ("@ledger@a", "@ledger@b", "@slow@a", "@plain@a", "@patient@a")
CLIENTS, CLIENT_STEPS = 2, 8
NARRATORS, NARRATOR_STEPS, REPLACEMENTS_MAX = 4, 7, 4

registry = Registry()


class RefusedError(Exception):
    """What a ledger says to an item that it does not take."""


@registry.entity
class Ledger(Entity[list[str]]):
    def initial_state(self) -> list[str]:
        return []

    def put(self, item: str) -> int:
        self.state.append(item)
        return len(self.state)

    def relay(self, order: dict[str, str]) -> int:
        self.context.signal_entity(EntityId.parse(order["to"]), "put", order["item"] + ">")
        return self.put(order["item"])

    def refuse(self, item: str) -> int:
        self.relay({"item": item, "to": LEDGERS[0]})
        raise RefusedError(item)


@registry.entity
class Slow(Entity[list[str]]):
    """A ledger that takes its time."""

    def initial_state(self) -> list[str]:
        return []

    async def put(self, item: str) -> int:
        await anyio.sleep(len(item) % 3 * 0.02)
        self.state.append(item)
        await anyio.sleep(len(item) % 2 * 0.05)
        return len(self.state)

    async def relay(self, order: dict[str, str]) -> int:
        self.context.signal_entity(EntityId.parse(order["to"]), "put", order["item"] + ">")
        return await self.put(order["item"])

    async def refuse(self, item: str) -> int:
        await self.relay({"item": item, "to": LEDGERS[0]})
        raise RefusedError(item)


@registry.entity
def plain(ctx: EntityContext, given: Any) -> int:
    """A ledger that is a function."""
    item = given if isinstance(given, str) else given["item"]
    items = [*ctx.get_state(list[str], []), item]
    ctx.set_state(items)
    if ctx.operation == "relay":
        ctx.signal_entity(EntityId.parse(given["to"]), "put", item + ">")
    if ctx.operation == "refuse":
        raise RefusedError(item)
    return len(items)


@registry.entity
async def patient(ctx: EntityContext, given: Any) -> int:
    """The same as an ``async def``."""
    await anyio.sleep(0.01)
    try:
        return plain.code(ctx, given)  # type: ignore[no-any-return]
    finally:
        await anyio.sleep(0.01)


# -- senders that are orchestrations


Step = list[Any]
"""What to do, to whom, with what."""


class _Told:
    """What an orchestration tells at its end: where its items stand, and which were not taken."""

    def __init__(self, told: dict[str, Any] | None) -> None:
        self.places: dict[str, int] = told["places"] if told else {}
        self.lost: list[str] = told["lost"] if told else []

    def refused(self, error: EntityOperationFailedError, item: str) -> None:
        if not error.failure.error_type.endswith(("RefusedError", "EntityLockLostError")):
            raise error
        self.lost.append(item)

    @property
    def value(self) -> dict[str, Any]:
        return {"places": self.places, "lost": self.lost}


def _given(how: str, item: str) -> Any:
    return {"item": item, "to": LEDGERS[len(item) % 2]} if how == "relay" else item


async def narrate(ctx: OrchestrationContext, script: list[Step], told: _Told) -> None:
    for position, (how, whom, what) in enumerate(script):
        match how:
            case "signal":
                ctx.signal_entity(EntityId.parse(whom), "put", what)
            case "later":
                ctx.signal_entity(EntityId.parse(whom), "put", what, at=0.4)
            case "pause":
                await asyncio.sleep(what)
            case "again":
                ctx.continue_as_new([script[position + 1 :], told.value])
            case "lock":
                await _in_section(ctx, whom, what, told)
            case "withdraw":
                await _change_mind(ctx, whom, what)
            case _:
                await _call(ctx, how, whom, what, told)


async def _call(ctx: OrchestrationContext, how: str, whom: str, item: str, told: _Told) -> None:
    try:
        place = await ctx.call_entity(EntityId.parse(whom), how, _given(how, item))
    except EntityOperationFailedError as error:
        told.refused(error, item)
    else:
        told.places[item] = place


async def _in_section(
    ctx: OrchestrationContext, limits: dict[str, float], inside: list[Step], told: _Told
) -> None:
    calls = [step for step in inside if step[0] != "pause"]
    entities = [EntityId.parse(whom) for whom in dict.fromkeys(whom for _, whom, _ in calls)]
    try:
        async with ctx.lock_entities(entities, **limits):  # type: ignore[arg-type]
            await narrate(ctx, inside, told)
    except EntityLockTimeoutError:
        told.lost += [item for _, _, item in calls]


async def _change_mind(ctx: OrchestrationContext, ledgers: list[str], pause: float) -> None:
    """Ask for ledgers, and want them no more."""
    lock = ctx.lock_entities([EntityId.parse(whom) for whom in ledgers])
    if pause:
        await asyncio.sleep(pause)
    if not lock.cancel():
        (await lock).release()


@registry.orchestrator
async def narrator(ctx: OrchestrationContext, given: list[Any]) -> dict[str, Any]:
    script, before = given
    told = _Told(before)
    await narrate(ctx, script, told)
    return told.value


@registry.orchestrator
def teller(ctx: OrchestrationContext, given: list[Any]) -> Generator[Any, Any, dict[str, Any]]:
    """The same as a generator, in one execution, with sections that have no limits."""
    script, before = given
    told = _Told(before)
    for how, whom, what in script:
        if how in ("signal", "later"):
            at = 0.4 if how == "later" else None
            ctx.signal_entity(EntityId.parse(whom), "put", what, at=at)
        elif how == "lock":
            steps = [step for step in what if step[0] != "pause"]
            entities = [EntityId.parse(whom) for whom in {whom: None for _, whom, _ in steps}]
            with (yield ctx.lock_entities(entities)):
                for _, one, item in steps:
                    told.places[item] = yield ctx.call_entity(EntityId.parse(one), "put", item)
        elif how in ("put", "relay", "refuse"):
            try:
                place = yield ctx.call_entity(EntityId.parse(whom), how, _given(how, what))
                told.places[what] = place
            except EntityOperationFailedError as error:
                told.refused(error, what)
    return told.value


# -- what was sent


@dataclass(eq=False)
class Sent:
    """An item on its way into a ledger.

    Attributes:
        sender: Items of one sender to one ledger stay in order, but for delayed ones.
        begun: When it was sent, at the earliest.
        ended: When it was known that it was accepted, or, if it was asked for, taken; infinity for never.
        place: Where it stands, as far as anybody was told.
        copies: How often it may be there: from, to.
        section: The critical section in which it was put, if any.
    """

    item: str
    ledger: str
    sender: str
    begun: int
    is_delayed: bool = False
    ended: float = math.inf
    place: int | None = None
    copies: tuple[int, int] = (0, 1)
    section: str = ""


def accepted(sent: Sent) -> None:
    sent.copies = (1, 1)


def refused(sent: Sent) -> None:
    sent.copies = (0, 0)


class Streams:
    """The simulation."""

    registry = registry

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self.scripts: list[tuple[Any, list[Sent], int]] = []

    async def play(self, stage: Stage) -> None:
        async with anyio.create_task_group() as group:
            for number in range(CLIENTS):
                group.start_soon(self._client, stage, f"c{number}")
            for number in range(NARRATORS):
                group.start_soon(self._narrator, stage, f"o{number}")

    # -- clients that send

    async def _client(self, stage: Stage, name: str) -> None:
        client = await stage.client()
        generation = 0
        for number in range(CLIENT_STEPS):
            await stage.pause(0.2)
            how = stage.chance.choice(
                ["signal", "signal", "call", "call", "relay", "refuse", "later"]
            )
            ledger = stage.chance.choice(LEDGERS)
            sent = Sent(f"{name}.{number}", ledger, f"{name}/{generation}", stage.tick())
            self.sent.append(sent)
            patience = stage.chance.choice([0.05, 0.3]) if stage.toss(0.1) else math.inf
            with anyio.move_on_after(patience) as limit:
                await self._send(stage, client, how, sent)
            if limit.cancelled_caught:
                generation += 1  # it may still arrive, and come late

    async def _send(self, stage: Stage, client: Any, how: str, sent: Sent) -> None:
        entity, request = EntityId.parse(sent.ledger), stage.new_id()
        match how:
            case "signal" | "later":
                sent.is_delayed = how == "later"
                at = 0.4 if sent.is_delayed else None
                await persist(
                    lambda: client.signal_entity(
                        entity, "put", sent.item, at=at, request_id=request
                    )
                )
                accepted(sent)
            case _:
                operation = "put" if how == "call" else how
                try:
                    sent.place = await persist(
                        lambda: client.call_entity(
                            entity, operation, _given(operation, sent.item), request_id=request
                        )
                    )
                    accepted(sent)
                except EntityOperationFailedError as error:
                    if not error.failure.error_type.endswith("RefusedError"):
                        raise
                    refused(sent)
        sent.ended = stage.tick()

    # -- orchestrations that send

    async def _narrator(self, stage: Stage, name: str) -> None:
        client = await stage.client()
        generation = 0
        while True:
            await stage.pause(0.1)
            fate = stage.chance.choice(["end", "end", "replace", "replace", "terminate", "suspend"])
            script, sent = _script(stage, f"{name}.{generation}")
            self.sent += sent
            request = stage.new_id()
            orchestrator = narrator if stage.toss(0.7) else teller
            handle = await persist(
                lambda o=orchestrator, s=script, r=request: client.start(  # type: ignore[misc]
                    o, [s, None], instance_id=name, reuse=ReusePolicy.REPLACE, request_id=r
                )
            )
            if fate == "replace" and generation < REPLACEMENTS_MAX:
                generation += 1
                await stage.pause(stage.chance.choice([0.02, 0.1, 0.4]))
                continue
            if fate == "terminate":
                await stage.pause(0.4)
                await persist(lambda h=handle: client.terminate(h))  # type: ignore[misc]
            if fate == "suspend":
                await suspend_for_a_while(stage, client, handle)
            await self._hear(stage, client, handle, sent)
            return

    async def _hear(self, stage: Stage, client: Any, handle: Any, sent: list[Sent]) -> None:
        state = await persist(lambda: client.wait_for_end(handle, timeout=600))
        if state.status is not Status.COMPLETED:
            assert state.status is Status.TERMINATED, state.failure
            return
        told = state.output()
        moment = stage.tick()
        for one in sent:
            one.ended = moment
            one.place = told["places"].get(one.item)
            if one.item in told["lost"]:
                refused(one)
            else:
                accepted(one)

    # -- afterwards

    async def check(self, stage: Stage) -> None:
        found = await states(await stage.hub())
        lists = {str(key): items or [] for key, items in found.items()}
        self._follow_relays(lists)
        for ledger in LEDGERS:
            sent = [one for one in self.sent if one.ledger == ledger]
            check_ledger(lists.get(ledger, []), sent)

    def _follow_relays(self, lists: dict[str, list[str]]) -> None:
        """Know the items that ledgers sent on: each is at one other, in the order in which they were taken."""
        for source, items in lists.items():
            for item in items:
                everywhere = [
                    ledger for ledger, all_items in lists.items() if item + ">" in all_items
                ]
                for ledger in everywhere:
                    self.sent.append(Sent(item + ">", ledger, source, 0, copies=(1, 1)))


def check_ledger(items: list[str], sent: list[Sent]) -> None:
    """Look whether each item is where it should be."""
    counts = Counter(items)
    assert counts.keys() <= {one.item for one in sent}, "it holds what nobody sent"
    for one in sent:
        least, most = one.copies
        assert least <= counts[one.item] <= most, (one, items)
        if one.place is not None:
            assert items[one.place - 1] == one.item, (one, items)
    present = {one.item: one for one in sent if counts[one.item]}
    order = [present[item] for item in items]
    check_senders(order, sent)
    check_time(order)
    check_sections(order)


def check_senders(order: list[Sent], sent: list[Sent]) -> None:
    """What one sender sent stands in the order in which it was sent."""
    for sender in {one.sender for one in sent}:
        stands = [one.item for one in order if one.sender == sender and not one.is_delayed]
        asked = [one.item for one in sent if one.sender == sender and not one.is_delayed]
        assert stands == [item for item in asked if item in stands], sender


def check_time(order: list[Sent]) -> None:
    """What was accepted before another was sent stands before it."""
    begun_last = 0
    for one in order:
        if one.is_delayed:
            continue
        assert one.ended >= begun_last, (one, [each.item for each in order])
        begun_last = max(begun_last, one.begun)


def check_sections(order: list[Sent]) -> None:
    """What was put in one critical section stands together."""
    for section in {one.section for one in order if one.section}:
        places = [place for place, one in enumerate(order) if one.section == section]
        assert places == list(range(places[0], places[-1] + 1)), (section, order)


# -- scripts


def _script(stage: Stage, sender: str) -> tuple[list[Step], list[Sent]]:
    """Write what an orchestration is to do, and what it will have sent."""
    chance = stage.chance
    favourite = chance.choice(LEDGERS)
    script: list[Step] = []
    sent: list[Sent] = []

    def new(ledger: str, section: str = "") -> Sent:
        sent.append(Sent(f"{sender}.{len(sent)}", ledger, sender, stage.tick(), section=section))
        return sent[-1]

    for number in range(chance.randint(2, NARRATOR_STEPS)):
        how = chance.choice(
            [
                "signal",
                "put",
                "put",
                "put",
                "relay",
                "refuse",
                "later",
                "pause",
                "again",
                "lock",
                "lock",
                "withdraw",
            ]
        )
        if how == "pause":
            script.append([how, None, chance.choice([0.01, 0.3])])
        elif how == "again":
            script.append([how, None, None])
        elif how == "withdraw":
            ledgers = [favourite, *chance.sample(LEDGERS, chance.randint(0, 2))]
            script.append([how, list(dict.fromkeys(ledgers)), chance.choice([0, 0, 0.01, 0.3])])
        elif how == "lock":
            script.append(_section(stage, new, f"{sender}!{number}"))
        else:
            one = new(favourite if stage.toss(0.6) else chance.choice(LEDGERS))
            one.is_delayed = how == "later"
            script.append([how, one.ledger, one.item])
    return script, sent


def _section(stage: Stage, new: Any, name: str) -> Step:
    chance = stage.chance
    ledgers = chance.sample(LEDGERS, chance.randint(1, 3))
    inside: list[Step] = []
    for _ in range(chance.randint(1, 4)):
        if stage.toss(0.3):
            inside.append(["pause", None, chance.choice([0.01, 0.3])])
        one = new(chance.choice(ledgers), name)
        inside.append(["put", one.ledger, one.item])
    limits = {}
    if stage.toss(0.2):
        limits["timeout"] = chance.choice([0.1, 0.5])
    if stage.toss(0.2):
        limits["hold"] = chance.choice([0.1, 0.5])
    return ["lock", limits, inside]
