"""Fan-out: one orchestration calls up to 50 activities at once, of which some fail, some hang, and some take longer than a lease."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, ClassVar

import anyio

from durable_async._engine.activity import NonRetryableError, activity_context
from durable_async._kernel.context import OrchestrationContext
from durable_async._kernel.futures import DurableFuture
from durable_async.client import Client
from durable_async.errors import ActivityFailedError, InstanceNotFoundError
from durable_async.hub import TaskHub
from durable_async.model.policy import RetryPolicy
from durable_async.model.status import Status
from durable_async.registry import Registry
from durable_async.testing.simulation.plan import Action
from durable_async.testing.simulation.stage import Entry, Stage
from durable_async.testing.simulation.violations import StuckError, Violation

from ._attempts import begin, check_attempts
from ._workload import Workload

registry = Registry()

LEASES = 1.3
"""So long a slow activity takes: others may have taken over by then, if its worker does not renew."""

LONG_SHARE = 0.25
"""Share of fan-outs of which each call takes long."""

WIDE_SHARE = 0.1
"""Share of fan-outs with many calls."""

TRIES = RetryPolicy(max_attempts=4, first_delay=0.2, backoff=2.0, max_delay=1.0, jitter=0.5)

Call = dict[str, Any]
"""``kind`` is the activity; ``number`` what it is given; ``seconds`` how long it takes; ``failures`` how often it fails first."""


class TryAgainError(Exception):
    """What an activity raises that would come through another time."""


class HopelessError(NonRetryableError):
    """What an activity raises that will never come through."""


@registry.activity(name="fan_out.plain")
async def plain(call: Call, what: str) -> int:
    """Takes its time, or none."""
    begin(what)
    if call["seconds"]:
        await anyio.sleep(call["seconds"])
    return _value(call)


@registry.activity(name="fan_out.thread")
def thread(call: Call, what: str) -> int:
    """Runs in a thread."""
    begin(what)
    return _value(call)


@registry.activity(name="fan_out.slow")
async def slow(call: Call, what: str) -> int:
    """Takes longer than a lease."""
    stage = begin(what)
    await anyio.sleep(LEASES * stage.lease_seconds)
    return _value(call)


@registry.activity(name="fan_out.flaky", retry=TRIES)
async def flaky(call: Call, what: str) -> int:
    """Fails at first."""
    begin(what)
    return _after_failures(call)


@registry.activity(name="fan_out.flaky_thread", retry=TRIES)
def flaky_thread(call: Call, what: str) -> int:
    """Fails at first, in a thread."""
    begin(what)
    return _after_failures(call)


@registry.activity(name="fan_out.hopeless", retry=TRIES)
async def hopeless(call: Call, what: str) -> int:
    """Fails for good."""
    begin(what)
    raise HopelessError(what)


@registry.activity(name="fan_out.hanging", retry=TRIES, start_to_close=0.5)
async def hanging(call: Call, what: str) -> int:
    """Does not come back from its first attempts."""
    begin(what)
    if activity_context().attempt <= call["failures"]:
        await anyio.sleep_forever()
    return _value(call)


@registry.activity(name="fan_out.silent", retry=TRIES, heartbeat=0.4)
async def silent(call: Call, what: str) -> int:
    """Reports what it has done; in its first attempts it falls silent then."""
    context = activity_context()
    found = context.heartbeat_details(int)
    stage = begin(what, found=found)
    for beat in range(found or 0, TRIES.max_attempts + 1):
        await anyio.sleep(0.2)
        context.heartbeat(beat + 1)
        stage.ledger.write(f"{context.idempotency_key} beat", context.attempt, beat=beat + 1)
        if context.attempt <= call["failures"]:
            await anyio.sleep_forever()
    return _value(call)


def _value(call: Call) -> int:
    return 3 * int(call["number"])


def _after_failures(call: Call) -> int:
    if activity_context().attempt <= call["failures"]:
        raise TryAgainError
    return _value(call)


ACTIVITIES = {
    "plain": plain, "thread": thread, "slow": slow, "flaky": flaky, "flaky_thread": flaky_thread,
    "hopeless": hopeless, "hanging": hanging, "silent": silent,
}  # fmt: skip
RETRIED = ("flaky", "flaky_thread", "hanging", "silent")


@registry.orchestrator(name="fan_out.all")
async def take_all(ctx: OrchestrationContext, calls: list[Call]) -> list[int | str]:
    """Wait for every call, and tell what came of each."""
    answers = await asyncio.gather(*_ask(ctx, calls), return_exceptions=True)
    return [_told(answer) for answer in answers]


@registry.orchestrator(name="fan_out.first")
async def take_first(ctx: OrchestrationContext, calls: list[Call]) -> list[int | str]:
    """Wait for the first call that ends, and call off the others; then call once more."""
    asked = _ask(ctx, calls)
    await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
    for future in asked:
        future.cancel()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    await ctx.call_activity(plain, {"kind": "plain", "number": 0, "seconds": 0.0}, "last")
    return [_told(answer) for answer in answers]


def _ask(ctx: OrchestrationContext, calls: list[Call]) -> list[DurableFuture[int]]:
    return [
        ctx.call_activity(ACTIVITIES[call["kind"]], call, str(n)) for n, call in enumerate(calls)
    ]


def _told(answer: int | BaseException) -> int | str:
    if isinstance(answer, ActivityFailedError):
        return answer.failure.error_type.rpartition(".")[2]
    return type(answer).__name__ if isinstance(answer, BaseException) else answer


ORCHESTRATORS = {"all": take_all, "first": take_first}


class FanOut(Workload):
    """Starts fan-outs, and terminates some."""

    name: ClassVar[str] = "fan_out"
    registry: ClassVar[Registry] = registry

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self._started: dict[str, Action] = {}
        self._acknowledged: set[str] = set()
        self._terminated: set[str] = set()

    @classmethod
    def draw(cls, chance: random.Random) -> list[Action]:
        """Draw two to four fan-outs; some are wide, and some of calls that take long, so that others wait in line for them."""
        actions = []
        for number in range(chance.randint(2, 4)):
            at, client = round(chance.uniform(0, 8), 3), chance.randint(1, 3)
            instance_id = f"fan_out-{number}"
            args = {
                "id": instance_id,
                "how": chance.choice(["all", "all", "first"]),
                "calls": _draw_calls(chance),
                "request": f"{chance.getrandbits(64):016x}",
            }
            actions.append(Action(at, client, cls.name, "start", args))
            if chance.random() < 0.2:
                later = round(at + chance.expovariate(1.0), 3)
                actions.append(Action(later, client, cls.name, "terminate", {"id": instance_id}))
        return actions

    async def act(self, action: Action, client: Client) -> None:
        """Start one, or terminate one."""
        instance_id = action.args["id"]
        if action.kind == "terminate":
            await self._terminate(instance_id, client)
            return
        self._started[instance_id] = action
        await self.stage.persist(
            lambda: client.start(
                ORCHESTRATORS[action.args["how"]],
                action.args["calls"],
                instance_id=instance_id,
                request_id=action.args["request"],
            )
        )
        self._acknowledged.add(instance_id)

    async def _terminate(self, instance_id: str, client: Client) -> None:
        self._terminated.add(instance_id)
        was_there = instance_id in self._acknowledged
        try:
            await self.stage.persist(lambda: client.terminate(instance_id))
        except InstanceNotFoundError:
            if was_there:
                raise Violation(
                    "I2", "it was started, and is not there", where=instance_id
                ) from None

    async def check(self, hub: TaskHub) -> None:
        """Every call came to what it had to; every attempt was made as it had to be."""
        entries = [e for e in self.stage.ledger.entries if e.facts.get("instance") in self._started]
        check_attempts(entries, is_calm=self.stage.is_calm)
        check_beats(self.stage.ledger.entries, is_calm=self.stage.is_calm)
        for instance_id, action in self._started.items():
            state = await hub.client.get(instance_id)
            if state is None:
                if instance_id in self._acknowledged:
                    raise Violation("I2", "it was started, and is gone", where=instance_id)
                continue
            if not state.is_ended:
                raise StuckError("it has not ended", where=instance_id, status=state.status)
            if state.status is Status.TERMINATED and instance_id in self._terminated:
                continue
            if state.status is not Status.COMPLETED:
                raise Violation("I6", "it failed", where=instance_id, failure=state.failure)
            own = [entry for entry in entries if entry.facts["instance"] == instance_id]
            check_answers(action.args, state.output(), own, is_calm=self.stage.is_calm)


def _draw_calls(chance: random.Random) -> list[Call]:
    how = chance.random()
    if how < LONG_SHARE:
        kinds = chance.choices(["slow", "plain"], k=chance.randint(4, 12))
        return [{"kind": kind, "number": 1, "seconds": 1.0, "failures": 0} for kind in kinds]
    size = chance.randint(20, 50) if how > 1 - WIDE_SHARE else chance.randint(1, 8)
    return [draw_call(chance) for _ in range(size)]


def draw_call(chance: random.Random) -> Call:
    """Draw one call."""
    kind = chance.choice([*ACTIVITIES, "plain", "plain", "thread", "flaky"])
    return {
        "kind": kind,
        "number": chance.randint(0, 99),
        "seconds": chance.choice([0.0, 0.0, 0.01, 0.3]),
        "failures": chance.choice([0, 1, 1, 2, TRIES.max_attempts]) if kind in RETRIED else 0,
    }


def check_answers(
    args: dict[str, Any], answers: list[int | str], entries: Sequence[Entry], *, is_calm: bool
) -> None:
    """Check what one fan-out told of its calls.

    Raises:
        Violation: It is not what the activities gave, or they were not tried as often as that takes.
    """
    where = args["id"]
    calls = args["calls"]
    if len(answers) != len(calls):
        raise Violation("I6", "not one answer for each call", where=where, answers=answers)
    tried = _attempts_made(entries)
    first = args["how"] == "first"
    if first and all(answer == "CancelledError" for answer in answers):
        raise Violation("I6", "the first of all calls was called off", where=where)
    for number, (call, answer) in enumerate(zip(calls, answers, strict=True)):
        if first and answer == "CancelledError":
            continue
        outcome, attempts = expected(call)
        may_differ = call["kind"] == "silent" and not is_calm
        if may_differ and answer in {_value(call), "TimeoutError"}:
            continue  # what is frozen is silent, too
        if answer != outcome:
            raise Violation("I6", "a wrong answer", where=where, call=call, answer=answer)
        if tried[str(number)] != attempts:
            raise Violation(
                "I17", f"{tried[str(number)]} attempts, not {attempts}", where=where, call=call
            )


def expected(call: Call) -> tuple[int | str, int]:
    """Return what comes of a call, and how many attempts it takes."""
    if call["kind"] == "hopeless":
        return "HopelessError", 1
    if call["failures"] < TRIES.max_attempts:
        return _value(call), call["failures"] + 1
    timed_out = call["kind"] in {"hanging", "silent"}
    return ("TimeoutError" if timed_out else "TryAgainError"), TRIES.max_attempts


def _attempts_made(entries: Sequence[Entry]) -> dict[str, int]:
    made: dict[str, int] = defaultdict(int)
    for entry in entries:
        made[entry.facts["what"]] = max(made[entry.facts["what"]], entry.attempt)
    return made


def check_beats(entries: Sequence[Entry], *, is_calm: bool) -> None:
    """Check that each attempt found what one before it had reported, and no less than the one before it found.

    Raises:
        Violation: It did not.
    """
    beats: dict[str, set[int]] = defaultdict(set)
    highest: dict[str, tuple[int, int]] = {}
    for entry in entries:
        if "beat" in entry.facts:
            beats[entry.key.removesuffix(" beat")].add(entry.facts["beat"])
        if "found" not in entry.facts:
            continue
        found = entry.facts["found"] or 0
        attempt, least = highest.get(entry.key, (0, 0))
        if found and found not in beats[entry.key]:
            raise Violation(
                "I2", "it found a heartbeat that nobody sent", where=entry.key, found=found
            )
        if entry.attempt > attempt:
            lost = found != entry.attempt - 1 if is_calm else found < least
            if lost:
                raise Violation("I2", "a heartbeat was lost", where=entry.key, entry=entry)
            highest[entry.key] = (entry.attempt, found)
