"""Programs that chance wrote: steps of many kinds in each other, whose outcome does not depend on time.

A program is a list of steps in JSON, each interpreted by one orchestrator, which also serves as its own child.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from durabletask import entities, task

from .book import scenario
from .cast import EntityId
from .stage import Stage

PROGRAMS = int(os.environ.get("SCENARIOS_OF_CHANCE", "60"))
SOON = timedelta(milliseconds=20)
EVENTS = ("red", "green", "blue")
Step = list[Any]


# ---------------------------------------------------------------- writing them


def steps(chance: random.Random, depth: int, names: list[str], most: int = 4) -> list[Step]:
    """Write some steps; ``names`` are of events that were not waited for yet."""
    todo = [step(chance, depth, names) for _number in range(chance.randint(1, most))]
    # Few programs should end with their first failure.
    return [one if chance.random() < 0.2 else ["try", [one]] for one in todo]


def step(chance: random.Random, depth: int, names: list[str]) -> Step:
    """Write one step."""
    simple: list[Callable[[], Step]] = [
        lambda: ["act", chance.randint(0, 99)],
        lambda: ["act", "text"],
        lambda: ["fail", f"trouble {chance.randint(0, 9)}"],
        lambda: ["retry", chance.randint(0, 3), chance.randint(1, 3)],
        lambda: ["timer", chance.choice([0, 10, 30])],
        lambda: ["add", chance.choice("ab"), chance.randint(1, 9)],
        lambda: ["signal", chance.choice("ab"), chance.randint(1, 9)],
        lambda: ["refuse", chance.choice("ab")],
        lambda: ["status", chance.randint(0, 9)],
        lambda: ["echo", chance.randint(0, 99)],
        lambda: ["cancel"],
        lambda: ["event", names.pop(0)] if names else ["act", "no event left"],
    ]
    nested: list[Callable[[], Step]] = [
        lambda: ["all", [chance.choice(simple[:4])() for _number in range(chance.randint(1, 5))]],
        lambda: ["any", chance.choice(simple[:4])(), chance.choice(["first", "last"])],
        lambda: ["child", steps(chance, depth - 1, [])],
        lambda: ["children", [steps(chance, depth - 1, [], 2) for _n in range(3)]],
        lambda: ["try", steps(chance, depth - 1, names)],
        lambda: ["lock", [chance.choice("ab"), chance.choice("ab")], chance.randint(1, 9)],
        lambda: ["groups", chance.randint(1, 3), chance.randint(1, 3)],
    ]
    return chance.choice(simple + nested * 2 if depth > 0 else simple)()


def program(seed: int) -> tuple[list[list[Step]], list[str]]:
    """Write a program of one to three lives, and the events that it will find."""
    chance = random.Random(seed)
    events = [chance.choice(EVENTS) for _number in range(4)]
    names = list(events)
    lives = [steps(chance, 3, names) for _number in range(chance.randint(1, 3))]
    return lives, events


# ---------------------------------------------------------------- playing them


def box(ctx: entities.EntityContext, input: Any) -> Any:
    if ctx.operation == "refuse":
        ctx.set_state(-1)
        raise ValueError("refused")
    if ctx.operation == "add":
        ctx.set_state(ctx.get_state(int, 0) + input)
    return ctx.get_state(int, 0)


class Players:
    """The orchestrator and the activities of all programs, for one stage."""

    def __init__(self) -> None:
        self._tried: dict[str, int] = {}

    def act(self, ctx: task.ActivityContext, value: Any) -> Any:
        return value

    def fail(self, ctx: task.ActivityContext, message: str) -> Any:
        raise ValueError(message)

    def flaky(self, ctx: task.ActivityContext, given: list[Any]) -> Any:
        key, failures = given
        self._tried[key] = self._tried.get(key, 0) + 1
        if self._tried[key] <= failures:
            raise RuntimeError(f"attempt {self._tried[key]}")
        return self._tried[key]

    def play(self, ctx: task.OrchestrationContext, given: dict[str, Any]) -> Any:
        life, *others = given["lives"]
        said = given["said"] + (yield from self._steps(ctx, life))
        if others:
            ctx.continue_as_new({"lives": others, "said": said}, save_events=True)
            return None
        return said

    def _steps(self, ctx: task.OrchestrationContext, todo: list[Step]) -> Any:
        said = []
        for kind, *arguments in todo:
            said.append((yield from getattr(self, f"_{kind}")(ctx, *arguments)))
        return said

    def _call(self, ctx: task.OrchestrationContext, kind: str, *arguments: Any) -> task.Task[Any]:
        """Begin one of the steps that are a call of an activity."""
        if kind == "retry":
            failures, attempts = arguments
            policy = task.RetryPolicy(first_retry_interval=SOON, max_number_of_attempts=attempts)
            key = ctx.new_uuid()
            return ctx.call_activity(self.flaky, input=[key, failures], retry_policy=policy)
        return ctx.call_activity(getattr(self, kind), input=arguments[0])

    def _act(self, ctx: task.OrchestrationContext, value: Any) -> Any:
        return (yield self._call(ctx, "act", value))

    def _fail(self, ctx: task.OrchestrationContext, message: str) -> Any:
        return (yield self._call(ctx, "fail", message))

    def _retry(self, ctx: task.OrchestrationContext, failures: int, attempts: int) -> Any:
        return (yield self._call(ctx, "retry", failures, attempts))

    def _timer(self, ctx: task.OrchestrationContext, milliseconds: int) -> Any:
        before = ctx.current_utc_datetime
        yield ctx.create_timer(timedelta(milliseconds=milliseconds))
        return ctx.current_utc_datetime >= before + timedelta(milliseconds=milliseconds)

    def _box(self, ctx: task.OrchestrationContext, name: str) -> EntityId:
        return EntityId("box", f"{ctx.instance_id}-{name}")

    def _add(self, ctx: task.OrchestrationContext, name: str, number: int) -> Any:
        return (yield ctx.call_entity(self._box(ctx, name), "add", number))

    def _signal(self, ctx: task.OrchestrationContext, name: str, number: int) -> Any:
        ctx.signal_entity(self._box(ctx, name), "add", number)
        return (yield ctx.call_entity(self._box(ctx, name), "get"))

    def _refuse(self, ctx: task.OrchestrationContext, name: str) -> Any:
        return (yield ctx.call_entity(self._box(ctx, name), "refuse"))

    def _status(self, ctx: task.OrchestrationContext, value: int) -> Any:
        ctx.set_custom_status(value)
        return "status"
        yield

    def _echo(self, ctx: task.OrchestrationContext, value: int) -> Any:
        ctx.send_event(ctx.instance_id, f"Echo-{value}", data=value)
        return (yield ctx.wait_for_external_event(f"echo-{value}"))

    def _cancel(self, ctx: task.OrchestrationContext) -> Any:
        timer, event = ctx.create_timer(timedelta(hours=1)), ctx.wait_for_external_event("never")
        answers = [timer.cancel(), event.cancel(), timer.cancel()]
        return [*answers, (yield self._call(ctx, "act", "cancelled"))]

    def _event(self, ctx: task.OrchestrationContext, name: str) -> Any:
        return (yield ctx.wait_for_external_event(name.upper()))

    def _all(self, ctx: task.OrchestrationContext, calls: list[Step]) -> Any:
        tasks = [self._call(ctx, *call) for call in calls]
        try:
            return (yield task.when_all(tasks))
        except task.TaskFailedError:
            # Which of them failed first is a matter of time.
            return ["failed" if one.is_failed else one.get_result() for one in tasks]

    def _any(self, ctx: task.OrchestrationContext, call: Step, place: str) -> Any:
        quick, slow = self._call(ctx, *call), ctx.create_timer(timedelta(hours=1))
        group = [quick, slow] if place == "first" else [slow, quick]
        winner = yield task.when_any(group)
        slow.cancel()
        return ["won" if winner == quick else "lost", winner.is_failed]

    def _begin(self, ctx: task.OrchestrationContext, todo: list[Step]) -> task.Task[Any]:
        """Start a child that has not the id, nor the boxes, of one of an earlier life."""
        return ctx.call_sub_orchestrator(
            self.play,
            input={"lives": [todo], "said": []},
            instance_id=f"{ctx.instance_id}/{ctx.new_uuid()}",
        )

    def _child(self, ctx: task.OrchestrationContext, todo: list[Step]) -> Any:
        return (yield self._begin(ctx, todo))

    def _children(self, ctx: task.OrchestrationContext, each: list[list[Step]]) -> Any:
        calls = [self._begin(ctx, todo) for todo in each]
        try:
            return (yield task.when_all(calls))
        except task.TaskFailedError:
            return [call.is_failed for call in calls]

    def _try(self, ctx: task.OrchestrationContext, todo: list[Step]) -> Any:
        try:
            return (yield from self._steps(ctx, todo))
        except task.TaskFailedError as error:
            return f"caught: {error.details.message}"

    def _lock(self, ctx: task.OrchestrationContext, names: list[str], number: int) -> Any:
        boxes = [self._box(ctx, name) for name in names]
        with (yield ctx.lock_entities(boxes)):
            first = yield ctx.call_entity(boxes[0], "add", number)
            call = yield self._call(ctx, "act", "within")
            second = yield ctx.call_entity(boxes[1], "get")
        return [first, call, second, (yield ctx.call_entity(boxes[0], "get"))]

    def _groups(self, ctx: task.OrchestrationContext, outer: int, inner: int) -> Any:
        groups = [
            task.when_all([self._call(ctx, "act", 10 * n + m) for m in range(inner)])
            for n in range(outer)
        ]
        winner = yield task.when_any([task.when_all(groups), ctx.wait_for_external_event("never")])
        return winner.get_result()


def without_numbers(value: Any) -> Any:
    """Take out of messages how tasks are numbered."""
    match value:
        case str():
            return re.sub(r"#\d+", "#n", value)
        case dict():
            return {key: without_numbers(item) for key, item in value.items()}
        case list():
            return [without_numbers(item) for item in value]
        case _:
            return value


def played(stage: Stage, seed: int) -> Any:
    """Play a program; tell how it ended, and what is in its boxes."""
    lives, events = program(seed)
    stage.start("play", {"lives": lives, "said": []})
    for number, name in enumerate(events):
        stage.client.raise_orchestration_event("one", name, data=[name, number])
    players = Players()
    stage.worker([players.play], [players.act, players.fail, players.flaky], [box])
    outcome = stage.finish(timeout=30)
    if "failure" in outcome:
        outcome["failure"].pop("inner", None)
    boxes = [stage.state_of(EntityId("box", f"one-{name}")) for name in "ab"]
    return without_numbers([outcome, boxes])


def entered(seed: int) -> None:
    def play(stage: Stage) -> Any:
        return played(stage, seed)

    play.__name__ = f"program_{seed:02}"
    scenario(play)


for _seed in range(PROGRAMS):
    entered(_seed)
