"""Clients: many start something under one id at once, repeat each other's requests, wait for results, and look again and again."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, NamedTuple

import anyio

from durable_async._kernel.context import OrchestrationContext
from durable_async.client import Client
from durable_async.errors import InstanceNotFoundError, WaitTimeoutError
from durable_async.hub import TaskHub
from durable_async.model.policy import ReusePolicy
from durable_async.registry import Registry
from durable_async.testing.simulation.plan import Action
from durable_async.testing.simulation.stage import Entry, Stage
from durable_async.testing.simulation.violations import StuckError, Violation

from ._asking import Questions, Start
from ._attempts import begin, check_attempts
from ._lives import CREATED, NOT_FOUND, Answer, Call, Nature
from ._workload import Workload

registry = Registry()

PATIENCE_SECONDS = 20.0


@registry.activity(name="clients.work")
async def work(label: str, seconds: float) -> str:
    """Return something that is new whenever it runs."""
    token = f"{label} {len(begin(label, label=label).ledger.entries)}"
    await anyio.sleep(seconds)
    return token


@registry.orchestrator(name="clients.job")
async def job(ctx: OrchestrationContext, given: dict[str, Any]) -> dict[str, str]:
    """Say whose life it was, and what was worked."""
    token = await ctx.call_activity(work, given["label"], given["seconds"])
    return {"label": given["label"], "token": token}


class Result(NamedTuple):
    """What somebody who waited was told.

    Attributes:
        instance_id: Of what.
        label: Of which life.
        token: What it had worked.
    """

    instance_id: str
    label: str
    token: str


class Clients(Workload):
    """Starts few things often."""

    name: ClassVar[str] = "clients"
    registry: ClassVar[Registry] = registry

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self._questions = Questions(stage)
        self._results: list[Result] = []

    @classmethod
    def draw(cls, chance: random.Random) -> list[Action]:
        """Draw one or two ids, each with some starts, of which some come at once and some twice, with waits, looks and purges."""
        actions: list[Action] = []
        for number in range(chance.randint(1, 2)):
            instance_id = f"clients-{number}"
            at = chance.uniform(0, 2)
            for start in range(chance.randint(2, 4)):
                at += chance.choice([0.0, 0.0, chance.expovariate(0.5)])
                args = _draw_start(chance, instance_id, f"{number}.{start}")
                actions.append(_action(chance, at, "start", args))
                if (
                    chance.random() < 0.4
                ):  # somebody else asks the same, of a process that may be gone
                    later = at + chance.choice([0.0, chance.expovariate(1.0)])
                    actions.append(_action(chance, later, "start", args))
            for _ in range(chance.randint(2, 5)):
                kind = chance.choice(["wait", "look", "look", "purge"])
                args = {"id": instance_id, "times": chance.randint(1, 3)}
                actions.append(_action(chance, chance.uniform(0, 9), kind, args))
        return actions

    async def act(self, action: Action, client: Client) -> None:
        """Ask as the action says."""
        instance_id = action.args["id"]
        match action.kind:
            case "start":
                await self._start(action.args, client)
            case "wait":
                await self._wait(instance_id, client)
            case "purge":
                await self._questions.ask("purge", instance_id, lambda: client.purge(instance_id))
            case _:
                for _ in range(action.args["times"]):
                    await self._look(instance_id, client)
                    await anyio.sleep(0.3)

    async def _start(self, args: dict[str, Any], client: Client) -> None:
        handle = await self._questions.start(Start(job, args, Nature()), client)
        if handle is None or not args["waits"]:
            return
        try:
            result = await handle.wait(timeout=PATIENCE_SECONDS)
        except (InstanceNotFoundError, WaitTimeoutError):
            return  # it was purged, or the workers are away for long
        self._results.append(Result(handle.instance_id, result["label"], result["token"]))

    async def _wait(self, instance_id: str, client: Client) -> None:
        """Wait for the end; the state at the end is one more thing that was seen."""
        asked = Call("get", self.stage.tick())
        try:
            state = await client.wait_for_end(instance_id, timeout=PATIENCE_SECONDS)
        except WaitTimeoutError:
            return
        except InstanceNotFoundError:
            asked.tell(NOT_FOUND, self.stage.tick())
        else:
            answer = (state.execution, state.status.value, state.input()["label"])
            asked.tell(answer, self.stage.tick())
            output = state.output()
            self._results.append(Result(instance_id, output["label"], output["token"]))
        self._questions.calls[instance_id].append(asked)

    async def _look(self, instance_id: str, client: Client) -> None:
        async def call() -> Answer:
            state = await client.get(instance_id)
            if state is None:
                return NOT_FOUND
            return state.execution, state.status.value, state.input()["label"]

        await self._questions.ask("get", instance_id, call)

    async def wind_up(self, client: Client) -> None:
        """Find out what nobody knows."""
        await self._questions.find_out(client)

    async def check(self, hub: TaskHub) -> None:
        """All answers go together, each life ran once or not at all, and all who waited for one were told the same."""
        for instance_id in self._questions.calls:
            state = await hub.client.get(instance_id)
            if state is not None and not state.is_ended:
                raise StuckError("it has not ended", where=instance_id, status=state.status)
            await self._look(instance_id, hub.client)
        self._questions.check()
        entries = [
            entry
            for entry in self.stage.ledger.entries
            if entry.facts.get("instance") in self._questions.calls
        ]
        check_attempts(entries, is_calm=self.stage.is_calm)
        check_runs(entries, self._questions.calls)
        check_results(self._results)


def _action(chance: random.Random, at: float, kind: str, args: dict[str, Any]) -> Action:
    return Action(round(at, 3), chance.randint(1, 3), Clients.name, kind, args)


def _draw_start(chance: random.Random, instance_id: str, label: str) -> dict[str, Any]:
    return {
        "id": instance_id,
        "reuse": chance.choice(list(ReusePolicy)).value,
        "request": f"clients {label} {chance.getrandbits(32):08x}",
        "waits": chance.random() < 0.4,
        "given": {"label": label, "seconds": chance.choice([0.0, 0.0, 0.2, 1.0])},
    }


def check_runs(entries: Iterable[Entry], calls: Mapping[str, Iterable[Call]]) -> None:
    """Check that of each start that was carried out one execution ran at most, and of the others none.

    Raises:
        Violation: It is otherwise.
    """
    carried_out = {
        call.label
        for asked in calls.values()
        for call in asked
        if call.verb == "start" and call.answer in {None, CREATED}
    }
    ran: dict[str, tuple[str, int]] = {}
    for entry in entries:
        label = entry.facts["label"]
        run = (entry.facts["instance"], entry.facts["execution"])
        if label not in carried_out:
            raise Violation("I16", "a start was refused and ran", where=run[0], label=label)
        if ran.setdefault(label, run) != run:
            raise Violation(
                "I16", "one start ran twice", where=run[0], label=label, runs=[ran[label], run]
            )


def check_results(results: Iterable[Result]) -> None:
    """Check that all who waited for one life were told the same, and of their own.

    Raises:
        Violation: They were not.
    """
    tokens: dict[tuple[str, str], set[str]] = defaultdict(set)
    for result in results:
        told = tokens[result.instance_id, result.label]
        told.add(result.token)
        is_its_own = result.token.startswith(f"{result.label} ")
        if len(told) > 1 or not is_its_own:
            raise Violation(
                "I18", "two results of one life", where=result.instance_id, told=sorted(told)
            )
