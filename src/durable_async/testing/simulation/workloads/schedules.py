"""Schedules: each tick has one run, whatever strikes and whatever its user does meanwhile.

It plays alone: what it waits for is not what the others take for rest.
"""

from __future__ import annotations

import contextlib
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, ClassVar, TypeVar

import anyio

from durable_async import (
    Client,
    JsonConverter,
    OrchestrationContext,
    OrchestrationState,
    Registry,
    ScheduleError,
    TaskHub,
    ValidationError,
    WaitTimeoutError,
)
from durable_async.model.moments import instant
from durable_async.schedules import (
    CatchUp,
    IfExists,
    Overlap,
    Schedules as Verbs,
    ScheduleState,
)
from durable_async.testing.simulation.plan import Action
from durable_async.testing.simulation.stage import Stage
from durable_async.testing.simulation.violations import StuckError, Violation

from ._attempts import begin, check_attempts
from ._workload import Workload

T = TypeVar("T")

_WAITS = {Overlap.SKIP, Overlap.BUFFER_ONE, Overlap.BUFFER_ALL}
"""With these, a run begins when the one before is over."""

registry = Registry()

SECONDS = 6.0
"""Within so long clients ask for everything."""

LIFE_SECONDS = 12.0
"""So long a schedule has ticks."""

REST_SECONDS = 120.0
"""So long after the last fault it must have dealt with all of them."""


@registry.activity(name="schedules.note")
async def note(run: str) -> None:
    """Leave a trace of a run."""
    begin(run)


@registry.orchestrator(name="schedules.run")
async def run(ctx: OrchestrationContext, seconds: float) -> None:
    """Be what a schedule starts."""
    await ctx.call_activity(note, ctx.instance_id)
    await ctx.create_timer(seconds)


class Schedules(Workload):
    """Clients that create schedules, edit them, ask for runs, and look."""

    name: ClassVar[str] = "schedules"
    registry: ClassVar[Registry] = registry
    is_alone: ClassVar[bool] = True

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self._edited: set[str] = set()

    # -- what clients do

    @classmethod
    def draw(cls, chance: random.Random) -> list[Action]:
        """Draw some schedules, and what becomes of them."""
        actions = [
            Action(
                round(chance.uniform(0, 2), 3),
                chance.randint(1, 2),
                cls.name,
                "create",
                {
                    "id": id,
                    "every": chance.choice([0.3, 1.0, 2.7]),
                    "lasts": chance.choice([0.0, 0.2, 1.5]),
                    "overlap": chance.choice([one.value for one in Overlap]),
                    "catch_up": chance.choice(["all", "all", "last", "none"]),
                },
            )
            for id in "ab"
        ]
        verbs = ["pause", "resume", "update", "trigger", "backfill", "look"]
        for _ in range(chance.choice([0, 3, 8])):
            given = {"id": chance.choice("ab"), "every": chance.choice([0.4, 1.0])}
            at = round(chance.uniform(0.5, SECONDS), 3)
            action = Action(at, chance.randint(1, 2), cls.name, chance.choice(verbs), given)
            actions.append(action)
        return actions

    async def act(self, action: Action, client: Client) -> None:
        """Do one of them; an edit that was not answered may have happened."""
        verbs, id = self._verbs(client), action.args["id"]
        if action.kind == "create":
            await self._patiently(lambda: self._create(verbs, action.args))
            return
        if action.kind != "look":
            self._edited.add(id)
        with contextlib.suppress(ScheduleError):  # it is not there yet
            match action.kind:
                case "pause":
                    await self._patiently(lambda: verbs.pause(id, "drawn"))
                case "resume":
                    await self._patiently(lambda: verbs.resume(id))
                case "update":
                    with contextlib.suppress(ValidationError):  # its last tick is over by now
                        await self._patiently(lambda: verbs.update(id, every=action.args["every"]))
                case "trigger":
                    await self._patiently(lambda: verbs.trigger(id))
                case "backfill":
                    now = self._now()
                    begun = now - timedelta(seconds=3)
                    await self._patiently(lambda: verbs.backfill(id, begun, now))
                case _:
                    await self._patiently(lambda: verbs.describe(id))

    async def _create(self, verbs: Verbs, given: dict[str, Any]) -> None:
        await verbs.create(
            given["id"],
            run,
            given["lasts"],
            if_exists=IfExists.KEEP,
            every=given["every"],
            end=self._now() + timedelta(seconds=LIFE_SECONDS),
            overlap=Overlap(given["overlap"]),
            catch_up=CatchUp(given["catch_up"]),
        )

    async def _patiently(self, call: Callable[[], Awaitable[T]]) -> None:
        with contextlib.suppress(WaitTimeoutError):  # no worker lived long enough
            await self.stage.persist(call, repeats=False)

    def _verbs(self, client: Client) -> Verbs:
        """Return a hub's schedules, as a process has them that may bring no worker of its own."""
        stage = self.stage
        return Verbs(client, JsonConverter(), stage.now_us, stage.new_id, contextlib.nullcontext)

    def _now(self) -> datetime:
        return instant(self.stage.now_us())

    # -- afterwards

    async def wind_up(self, client: Client) -> None:
        """Let those go on that are paused, until all of their ticks are past."""
        verbs = self._verbs(client)
        for id in "ab":
            if await verbs.get(id) is not None:
                await verbs.resume(id)
        deadline = self._now() + timedelta(seconds=REST_SECONDS)
        while not await self._are_through(verbs):
            if self._now() > deadline:
                raise StuckError("a schedule does not deal with its ticks", where="ab")
            await anyio.sleep(1)

    @staticmethod
    async def _are_through(verbs: Verbs) -> bool:
        states = [await verbs.get(id) for id in "ab"]
        there = [state for state in states if state is not None]
        return all(state.next_tick is None and not state.waiting for state in there)

    async def check(self, hub: TaskHub) -> None:
        """Check that each run that was started ran once, and each tick has one or was counted."""
        check_attempts(self.stage.ledger.entries, is_calm=self.stage.is_calm)
        for id in "ab":
            state = await hub.schedules.get(id)
            if state is not None:
                self._check_runs(
                    state, [one async for one in hub.client.query(tags={"schedule": id})]
                )

    def _check_runs(self, state: ScheduleState, found: list[OrchestrationState]) -> None:
        where = state.schedule_id
        if any(one.execution != 1 for one in found) or len(found) != state.started:
            what = "the runs of a schedule are not those that it started"
            raise Violation("I23", what, where=where, state=state, found=found)
        first_attempts = Counter(
            entry.facts["what"] for entry in self.stage.ledger.entries if entry.attempt == 1
        )
        silent = [one for one in found if one.is_ended and not first_attempts[one.instance_id]]
        if silent and state.spec.overlap is not Overlap.TERMINATE_PREVIOUS:
            raise Violation("I2", "a run ended and did nothing", where=where, silent=silent)
        if where in self._edited or state.spec.every is None or state.spec.end is None:
            return
        self._check_overlap(state, found)
        lasted = max(
            state.spec.end - state.created_at, timedelta(0)
        )  # it may have come into being late
        due = lasted // state.spec.every
        if due != state.started + state.skipped + state.missed:
            what = "a tick is neither run nor counted"
            raise Violation("I23", what, where=where, state=state, due=due)
        if state.spec.catch_up is CatchUp.ALL and state.missed:
            raise Violation("I23", "a tick was not caught up with", where=where, state=state)

    @staticmethod
    def _check_overlap(state: ScheduleState, found: list[OrchestrationState]) -> None:
        if state.spec.overlap not in _WAITS:
            return
        for before, after in pairwise(sorted(found, key=lambda one: one.created_at)):
            if before.completed_at is None or after.created_at < before.completed_at:
                what = "a run began before the one that it had to wait for was over"
                facts = {"before": before.instance_id, "after": after.instance_id}
                raise Violation("I23", what, where=state.schedule_id, **facts)
