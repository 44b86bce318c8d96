"""Races: an event against a timer, timers that are due at one instant, timers that are called off, and delays of nothing or less."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar

from durable_async._kernel.context import OrchestrationContext
from durable_async.client import Client
from durable_async.errors import InstanceNotFoundError
from durable_async.hub import TaskHub
from durable_async.model.history import (
    HistoryEvent,
    TimerCancelled,
    TimerCreated,
    TimerFired,
    TurnStarted,
)
from durable_async.model.moments import EPOCH
from durable_async.model.status import Status
from durable_async.registry import Orchestrator, Registry
from durable_async.testing.simulation.plan import Action, Plan
from durable_async.testing.simulation.stage import Entry, Stage
from durable_async.testing.simulation.violations import StuckError, Violation

from ._attempts import begin, check_attempts
from ._workload import Workload

registry = Registry()

CALLED_OFF_SECONDS = 0.05
"""After so long timers are called off."""

LOST_SECONDS = 30.0
"""An event that was delivered and does not come for so long is lost."""


@registry.activity(name="races.look_at_the_clock")
async def look_at_the_clock(what: str, due_us: int) -> None:
    """Note what the clock of the store shows when a timer is said to have fired."""
    begin(what, due_us=due_us)


@registry.orchestrator(name="races.rounds")
async def rounds(ctx: OrchestrationContext, given: dict[str, Any]) -> list[str]:
    """Race an event against a timer, round after round; then take those events that came too late, and tell how each round went."""
    won: list[str] = []
    for number, round_ in enumerate(given["rounds"]):
        won.append(await RACES[round_["how"]](ctx, f"go {number}", round_["seconds"]))
    late = await ctx.wait_for_external_event("late", list[int])
    for number in late:
        if won[number] == "timer":
            async with asyncio.timeout(LOST_SECONDS):
                won[number] = await ctx.wait_for_external_event(f"go {number}", str)
    return won


async def _by_timeout(ctx: OrchestrationContext, name: str, seconds: float) -> str:
    try:
        async with asyncio.timeout(seconds):
            return await ctx.wait_for_external_event(name, str)
    except TimeoutError:
        return "timer"


async def _by_timer(ctx: OrchestrationContext, name: str, seconds: float) -> str:
    timer = ctx.create_timer(seconds)
    event = ctx.wait_for_external_event(name, str)
    both: list[asyncio.Future[Any]] = [timer, event]
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    if event.done():
        timer.cancel()
        return event.result()
    event.cancel()
    return "timer"


RACES = {"timeout": _by_timeout, "timer": _by_timer}


@registry.orchestrator(name="races.timers")
async def timers(ctx: OrchestrationContext, given: list[dict[str, Any]]) -> dict[str, Any]:
    """Set timers, of which some are due at one instant, some past, and some are called off; tell in which order they fired."""
    begun = ctx.now()
    fired: list[int] = []
    clock: list[datetime] = [begun]

    async def wait(number: int, timer: dict[str, Any]) -> None:
        due = timer["seconds"]
        await ctx.create_timer(begun + timedelta(seconds=due) if timer["is_absolute"] else due)
        fired.append(number)
        clock.append(ctx.now())
        due_us = _us(begun) + round(max(due, 0) * 1_000_000)
        await ctx.call_activity(look_at_the_clock, str(number), due_us)

    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(wait(number, timer)) for number, timer in enumerate(given)]
        await asyncio.sleep(CALLED_OFF_SECONDS)
        for task, timer in zip(waiting, given, strict=True):
            if timer["is_called_off"]:
                task.cancel()
    return {"fired": fired, "clock": [_us(at) for at in clock]}


def _us(at: datetime) -> int:
    return (at - EPOCH) // timedelta(microseconds=1)


class Races(Workload):
    """Starts races, and raises events at about the moment when a timer is due."""

    name: ClassVar[str] = "races"
    registry: ClassVar[Registry] = registry

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self._started: dict[str, dict[str, Any]] = {}
        self._acknowledged: set[str] = set()
        self._told: dict[str, dict[int, bool | None]] = defaultdict(dict)

    @classmethod
    def draw(cls, chance: random.Random) -> list[Action]:
        """Draw one or two races of rounds, with events for most of them, and one or two handfuls of timers."""
        actions: list[Action] = []
        for number in range(chance.randint(1, 2)):
            actions += _draw_rounds(chance, f"races-rounds-{number}")
        for number in range(chance.randint(0, 2)):
            args = {"id": f"races-timers-{number}", "timers": _draw_timers(chance)}
            actions.append(_action(chance, chance.uniform(0, 6), "timers", args))
        return actions

    async def act(self, action: Action, client: Client) -> None:
        """Do as the action says."""
        if action.kind == "go":
            await self._go(action.args["id"], action.args["round"], client, patient=False)
            return
        instance_id = action.args["id"]
        self._started[instance_id] = action.args
        await self._start(instance_id, client)

    async def _start(self, instance_id: str, client: Client) -> None:
        args = self._started[instance_id]
        code: Orchestrator[Any, Any] = timers if "timers" in args else rounds
        given = args["timers"] if "timers" in args else {"rounds": args["rounds"]}
        await self.stage.persist(
            lambda: client.start(code, given, instance_id=instance_id, request_id=instance_id)
        )
        self._acknowledged.add(instance_id)

    async def _go(self, instance_id: str, number: int, client: Client, *, patient: bool) -> None:
        told = self._told[instance_id]
        told.setdefault(number, None)

        async def call() -> bool:
            try:
                answer = await client.raise_event(
                    instance_id, f"go {number}", "event", request_id=f"{instance_id} go {number}"
                )
            except InstanceNotFoundError:
                answer = False
            if told[number] not in {None, answer}:
                raise Violation("I16", "one request has two answers", where=instance_id, go=number)
            told[number] = answer
            return answer

        await (self.stage.persist(call) if patient else self.stage.once(call))

    async def wind_up(self, client: Client) -> None:
        """Find out what nobody knows, and tell each race which events it has to wait for."""
        for instance_id, args in self._started.items():
            await self._start(instance_id, client)
            if "rounds" not in args:
                continue
            told = self._told[instance_id]
            for number in told:
                await self._go(instance_id, number, client, patient=True)
            late = sorted(number for number, delivered in told.items() if delivered)
            await client.raise_event(instance_id, "late", late, request_id=f"{instance_id} late")

    async def check(self, hub: TaskHub) -> None:
        """Each event was taken, early or late; no timer fired early, twice, or after it was called off."""
        entries = [e for e in self.stage.ledger.entries if e.facts.get("instance") in self._started]
        check_attempts(entries, is_calm=self.stage.is_calm)
        check_clock(entries, stepped_back_us=_stepped_back_us(self.stage.plan))
        for instance_id, args in self._started.items():
            state = await hub.client.get(instance_id)
            if state is None and instance_id not in self._acknowledged:
                continue
            if state is None or not state.is_ended:
                raise StuckError("it has not ended", where=instance_id, state=state)
            if state.status is not Status.COMPLETED:
                raise Violation(
                    "I12", "an event was lost", where=instance_id, failure=state.failure
                )
            check_history(instance_id, await hub.client.history(instance_id))
            if "timers" in args:
                check_timers(instance_id, args["timers"], state.output())
            else:
                check_rounds(instance_id, state.output(), self._told[instance_id])


def _action(chance: random.Random, at: float, kind: str, args: dict[str, Any]) -> Action:
    return Action(round(at, 3), chance.randint(1, 3), Races.name, kind, args)


def _draw_rounds(chance: random.Random, instance_id: str) -> list[Action]:
    at = chance.uniform(0, 4)
    drawn: list[dict[str, Any]] = [
        {
            "how": chance.choice(list(RACES)),
            "seconds": chance.choice([-1.0, 0.0, 0.1, 0.5, 1.0, 2.0]),
        }
        for _ in range(chance.randint(1, 4))
    ]
    actions = [_action(chance, at, "rounds", {"id": instance_id, "rounds": drawn})]
    for number, round_ in enumerate(drawn):
        at += max(round_["seconds"], 0.0)
        if chance.random() < 0.8:
            moment = max(at + chance.choice([0.0, chance.gauss(0, 0.1), chance.gauss(0, 1)]), 0.0)
            args = {"id": instance_id, "round": number}
            actions += [
                _action(chance, moment, "go", args) for _ in range(chance.choice([1, 1, 2]))
            ]
    return actions


def _draw_timers(chance: random.Random) -> list[dict[str, Any]]:
    return [
        {
            "seconds": chance.choice([-1.0, 0.0, 0.3, 0.3, 1.0, 2.0]),
            "is_absolute": chance.random() < 0.5,
            "is_called_off": chance.random() < 0.3,
        }
        for _ in range(chance.randint(2, 6))
    ]


def check_rounds(instance_id: str, won: Sequence[str], told: Mapping[int, bool | None]) -> None:
    """Check who won: an event, in the end, wherever one was delivered, and nowhere else.

    Raises:
        Violation: It is otherwise.
    """
    for number, winner in enumerate(won):
        delivered = told.get(number, False)
        if delivered is not None and (winner == "event") is not delivered:
            what = "an event was lost" if delivered else "an event came from nowhere"
            invariant = "I12" if delivered else "I2"
            raise Violation(invariant, what, where=instance_id, round=number, won=won)


def check_timers(instance_id: str, given: list[dict[str, Any]], told: dict[str, Any]) -> None:
    """Check in which order timers fired, and what the clock showed then.

    Raises:
        Violation: One fired before its time, out of order, although it was called off, or never.
    """
    dues = [max(timer["seconds"], 0.0) for timer in given]  # what is past fires at once
    expected = sorted(
        (number for number, timer in enumerate(given) if not _is_called_off(timer)),
        key=lambda number: (dues[number], number),
    )
    if told["fired"] != expected:
        raise Violation(
            "I13", "wrong timers, or in a wrong order", where=instance_id, told=told, given=given
        )
    begun_us, *clock = told["clock"]
    if clock != sorted(clock) or (clock and clock[0] < begun_us):
        raise Violation("I13", "the clock went back", where=instance_id, clock=told["clock"])
    for number, at_us in zip(expected, clock, strict=True):
        if at_us < begun_us + round(dues[number] * 1_000_000):
            raise Violation("I13", "a timer fired early", where=instance_id, timer=number)


def _is_called_off(timer: dict[str, Any]) -> bool:
    """Tell whether it is called off before it is due."""
    return bool(timer["is_called_off"]) and timer["seconds"] > CALLED_OFF_SECONDS


def _stepped_back_us(plan: Plan) -> int:
    """Return by how much the clock of the store went back in a run."""
    steps = [strike.amount for strike in plan.strikes if strike.kind == "clock"]
    return round(-1_000_000 * sum(step for step in steps if step < 0))


def check_clock(entries: Iterable[Entry], *, stepped_back_us: int = 0) -> None:
    """Check what the clock of the store showed when timers were said to have fired.

    Args:
        entries: What was noted then.
        stepped_back_us: By how much it may have gone back between the two.

    Raises:
        Violation: It was too early.
    """
    for entry in entries:
        if entry.at_us < entry.facts["due_us"] - stepped_back_us:
            raise Violation("I13", "a timer fired early", where=entry.key, entry=entry)


def check_history(instance_id: str, events: Sequence[HistoryEvent]) -> None:
    """Check the timers of a history.

    Raises:
        Violation: One fired early, out of order, more than once, or after it was called off.
    """
    due: dict[int, int] = {}
    now_us = last_us = 0
    for event in events:
        match event:
            case TurnStarted():
                now_us, last_us = event.at_us, 0
            case TimerCreated():
                due[event.seq] = event.fire_at_us
                last_us = min(last_us, event.fire_at_us)
            case TimerCancelled():
                del due[event.seq]
            case TimerFired():
                due_us = due.pop(event.seq, None)
                if due_us is None:
                    raise Violation("I13", "a timer fired that was not set", where=instance_id)
                if due_us > now_us or due_us < last_us:
                    raise Violation(
                        "I13", "a timer fired too early", where=instance_id, event=event
                    )
                last_us = due_us
            case _:
                pass
