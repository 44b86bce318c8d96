"""Control: clients suspend, resume, terminate, purge, restart, rewind and replace what others start, under few ids, at any moment."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import anyio

from durable_async._kernel.context import OrchestrationContext
from durable_async.client import Client
from durable_async.hub import TaskHub
from durable_async.model.policy import ReusePolicy
from durable_async.registry import Registry
from durable_async.testing.simulation.plan import Action
from durable_async.testing.simulation.stage import Stage
from durable_async.testing.simulation.violations import StuckError, Violation

from ._asking import Questions, Start, created, done
from ._attempts import begin, check_attempts
from ._lives import DONE, NOT_FOUND, REFUSED, Answer, Nature
from ._workload import Workload

registry = Registry()

LATE_SECONDS = 10.0
"""So long after the last fault nothing that a client gave up takes effect any more."""


class BrokenError(Exception):
    """What fails an orchestration, until it is rewound often enough."""


@registry.activity(name="control.step")
async def step(label: str, what: str, fails: int) -> str:
    """Return something that is new whenever it runs; fail for so many times before that."""
    stage = begin(what, label=label)
    runs = [e for e in stage.ledger.entries if e.facts.get("label") == label]
    if sum(entry.facts["what"] == what for entry in runs) <= fails:
        raise BrokenError
    return stage.new_id()


@registry.orchestrator(name="control.job")
async def job(ctx: OrchestrationContext, given: dict[str, Any]) -> dict[str, Any]:
    """Take the steps, perhaps in several executions; publish what they returned so far, and in which execution all began."""
    goes_on = (
        given.get("next") == ctx.execution
    )  # and was not restarted with what it went on with once
    tokens: list[str] = given["tokens"] if goes_on else []
    origin: int = given["origin"] if goes_on else ctx.execution
    for number, part in enumerate(given["steps"]):
        match part["kind"]:
            case "rest":
                await ctx.create_timer(part["seconds"])
            case "event":
                await _event_or_time(ctx, part["seconds"])
            case _:
                tokens = [
                    *tokens,
                    await ctx.call_activity(step, given["label"], str(number), part["fails"]),
                ]
        ctx.set_custom_status({"origin": origin, "tokens": tokens})
    if given["renewals"]:
        again = {"next": ctx.execution + 1, "renewals": given["renewals"] - 1}
        ctx.continue_as_new({**given, **again, "tokens": tokens, "origin": origin})
    return {"origin": origin, "tokens": tokens}


async def _event_or_time(ctx: OrchestrationContext, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await ctx.wait_for_external_event("go")
    except TimeoutError:
        pass


class Look(NamedTuple):
    """What a client saw of the work of one life.

    Attributes:
        asked: When it began to look.
        told: When it had seen it.
        origin: In which execution the life began.
        tokens: What its steps returned.
    """

    asked: int
    told: int
    origin: int
    tokens: tuple[str, ...]


class Control(Workload):
    """Does everything to everybody."""

    name: ClassVar[str] = "control"
    registry: ClassVar[Registry] = registry

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self._questions = Questions(stage)
        self._looks: dict[str, list[Look]] = {}

    @classmethod
    def draw(cls, chance: random.Random) -> list[Action]:
        """Draw one or two ids, with two or three starts each and some calls of every kind."""
        actions: list[Action] = []
        for number in range(chance.randint(1, 2)):
            instance_id = f"control-{number}"
            for start in range(chance.randint(1, 3)):
                args = _draw_start(chance, instance_id, f"{number}.{start}", is_first=not start)
                at = chance.uniform(0, 1) if not start else chance.uniform(0, 9)
                actions.append(_action(chance, at, "start", args))
            for _ in range(chance.randint(3, 9)):
                at = chance.uniform(0.2, 10)
                args = {"id": instance_id, "recursive": chance.random() < 0.5}
                actions.append(_action(chance, at, chance.choice(KINDS), args))
        return actions

    async def act(self, action: Action, client: Client) -> None:
        """Ask as the action says."""
        if action.kind == "start":
            given = action.args["given"]
            fails = any(part.get("fails") for part in given["steps"])
            nature = Nature(fails, given["renewals"])
            await self._questions.start(Start(job, action.args, nature), client)
        else:
            await self._ask(action.kind, action.args["id"], client, action.args["recursive"])

    async def _ask(self, verb: str, instance_id: str, client: Client, recursive: bool) -> None:
        await self._questions.ask(
            verb, instance_id, lambda: self._call(verb, instance_id, client, recursive)
        )

    async def _call(self, verb: str, instance_id: str, client: Client, recursive: bool) -> Answer:
        match verb:
            case "suspend":
                return await done(client.suspend(instance_id))
            case "resume":
                return await done(client.resume(instance_id))
            case "terminate":
                return await done(client.terminate(instance_id, recursive=recursive))
            case "purge":
                return await client.purge(instance_id, recursive=recursive)
            case "restart":
                return await created(client.restart(instance_id))
            case "rewind":
                return await done(client.rewind(instance_id))
            case "raise":
                return DONE if await client.raise_event(instance_id, "go") else REFUSED
            case _:
                return await self._look(instance_id, client)

    async def _look(self, instance_id: str, client: Client) -> Answer:
        asked = self.stage.tick()
        state = await client.get(instance_id)
        if state is None:
            return NOT_FOUND
        work = state.output() or state.custom_status()
        if work is not None:
            seen = Look(asked, self.stage.tick(), work["origin"], tuple(work["tokens"]))
            self._looks.setdefault(instance_id, []).append(seen)
        return state.execution, state.status.value, state.input()["label"]

    async def wind_up(self, client: Client) -> None:
        """Find out what nobody knows, and resume whatever is suspended."""
        await anyio.sleep(LATE_SECONDS)
        await self._questions.find_out(client)
        for instance_id in self._questions.calls:
            await self._ask("resume", instance_id, client, recursive=False)

    async def check(self, hub: TaskHub) -> None:
        """Everything has ended, all answers go together, and work that was done stayed done."""
        for instance_id in self._questions.calls:
            state = await hub.client.get(instance_id)
            if state is not None and not state.is_ended:
                raise StuckError("it has not ended", where=instance_id, status=state.status)
            await self._ask("get", instance_id, hub.client, recursive=False)
        self._questions.check()
        for instance_id, looks in self._looks.items():
            check_looks(instance_id, looks)
        entries = self.stage.ledger.entries
        check_attempts(
            [e for e in entries if e.facts.get("instance") in self._questions.calls],
            is_calm=self.stage.is_calm,
        )


KINDS = ("suspend", "resume", "terminate", "purge", "restart", "rewind", "rewind", "raise", "get", "get")  # fmt: skip


def _action(chance: random.Random, at: float, kind: str, args: dict[str, Any]) -> Action:
    return Action(round(at, 3), chance.randint(1, 3), Control.name, kind, args)


def _draw_start(
    chance: random.Random, instance_id: str, label: str, *, is_first: bool
) -> dict[str, Any]:
    reuse = ReusePolicy.REJECT if is_first else chance.choice(list(ReusePolicy))
    return {
        "id": instance_id,
        "reuse": reuse.value,
        "request": f"control {label} {chance.getrandbits(32):08x}",
        "given": {
            "label": label,
            "steps": [_draw_step(chance) for _ in range(chance.randint(1, 4))],
            "renewals": chance.choice([0, 0, 0, 1, 2]),
        },
    }


def _draw_step(chance: random.Random) -> dict[str, Any]:
    kind = chance.choice(["work", "work", "rest", "event"])
    if kind == "work":
        return {"kind": kind, "fails": chance.choice([0, 0, 0, 1, 2])}
    return {"kind": kind, "seconds": round(chance.uniform(0.1, 2), 3)}


def check_looks(instance_id: str, looks: Sequence[Look]) -> None:
    """Check that what a client saw of the work of one life, later ones saw as well: it only grows, also over a rewind.

    Raises:
        Violation: It was not there any more, or another.
    """
    for earlier in looks:
        for later in looks:
            is_later = earlier.told < later.asked and earlier.origin == later.origin
            if is_later and later.tokens[: len(earlier.tokens)] != earlier.tokens:
                raise Violation(
                    "I18",
                    "work that was done is gone",
                    where=instance_id,
                    earlier=earlier,
                    later=later,
                )
