"""Calls of activities: what goes in, what comes out, and what an orchestrator may be."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

from durabletask import task

from .book import scenario
from .stage import Stage, attempt


def echo(ctx: task.ActivityContext, value: Any) -> Any:
    return value


@scenario
def context(stage: Stage) -> Any:
    def who(ctx: task.ActivityContext, _: Any) -> Any:
        return [ctx.orchestration_id, ctx.task_id]

    def ask(ctx: task.OrchestrationContext, _: Any) -> Any:
        first = yield ctx.call_activity(who)
        yield ctx.create_timer(timedelta(milliseconds=20))
        return [first, (yield ctx.call_activity(who))]

    stage.worker([ask], [who])
    return stage.run(ask)


@scenario
def by_name(stage: Stage) -> Any:
    def ask(ctx: task.OrchestrationContext, value: Any) -> Any:
        return (yield ctx.call_activity("echo", input=value))

    stage.worker([ask], [echo])
    return stage.run("ask", {"a": [1, 2]})


@scenario
def without_input(stage: Stage) -> Any:
    def ask(ctx: task.OrchestrationContext, value: Any) -> Any:
        return [value, (yield ctx.call_activity(echo))]

    stage.worker([ask], [echo])
    return stage.run(ask)


@scenario
def falsy_values(stage: Stage) -> Any:
    def ask(ctx: task.OrchestrationContext, value: Any) -> Any:
        return (yield ctx.call_activity(echo, input=value))

    stage.worker([ask], [echo])
    values = [None, 0, "", False, [], {}, 0.0]
    return [stage.run(ask, value, id=f"v{number}") for number, value in enumerate(values)]


@scenario
def serialized_falsy_outputs(stage: Stage) -> Any:
    def give(ctx: task.OrchestrationContext, value: Any) -> Any:
        return value

    stage.worker([give])
    texts = []
    for number, value in enumerate([None, 0, "", False, [], {}]):
        stage.run(give, value, id=f"v{number}")
        state = stage.client.get_orchestration_state(f"v{number}")
        texts.append([state.serialized_input, state.serialized_output])
    return texts


@scenario
def unserializable_input(stage: Stage) -> Any:
    def ask(ctx: task.OrchestrationContext, _: Any) -> Any:
        return (yield ctx.call_activity(echo, input=object()))

    stage.worker([ask], [echo])
    outcome = stage.run(ask)
    return [outcome["status"], outcome["failure"]["type"]]


@scenario
def unserializable_result(stage: Stage) -> Any:
    def bad(ctx: task.ActivityContext, _: Any) -> Any:
        return object()

    def ask(ctx: task.OrchestrationContext, _: Any) -> Any:
        try:
            yield ctx.call_activity(bad)
        except task.TaskFailedError as error:
            return error.details.error_type

    stage.worker([ask], [bad])
    return stage.run(ask)


@scenario
def unserializable_output(stage: Stage) -> Any:
    def give(ctx: task.OrchestrationContext, _: Any) -> Any:
        return object()

    stage.worker([give])
    outcome = stage.run(give)
    return [outcome["status"], outcome["failure"]["type"].rpartition(".")[2]]


@scenario
def plain_function_as_orchestrator(stage: Stage) -> Any:
    def plain(ctx: task.OrchestrationContext, value: int) -> int:
        return value + 1

    stage.worker([plain])
    return [stage.run(plain, 41), stage.history()]


@scenario
def return_before_the_first_yield(stage: Stage) -> Any:
    def early(ctx: task.OrchestrationContext, value: int) -> Any:
        if value:
            return "early"
        yield ctx.call_activity(echo)
        return "late"

    stage.worker([early], [echo])
    return [stage.run(early, 1, id="a"), stage.run(early, 0, id="b")]


@scenario
def coroutine_orchestrator(stage: Stage) -> Any:
    async def modern(ctx: task.OrchestrationContext, value: Any) -> Any:
        return await ctx.call_activity(echo, input=value)  # type: ignore[misc]

    stage.worker([modern], [echo])
    return stage.run(modern, "hi", timeout=6)


@scenario
def coroutine_activity(stage: Stage) -> Any:
    async def modern(ctx: task.ActivityContext, value: Any) -> Any:
        return value * 2

    def ask(ctx: task.OrchestrationContext, value: Any) -> Any:
        return (yield ctx.call_activity(modern, input=value))

    stage.worker([ask], [modern])
    return stage.run(ask, 21, timeout=6)


@scenario
def fire_and_forget(stage: Stage) -> Any:
    def record(ctx: task.ActivityContext, value: Any) -> None:
        stage.note(value)

    def forget(ctx: task.OrchestrationContext, _: Any) -> Any:
        for value in range(3):
            ctx.call_activity(record, input=value)
        return "gone"

    stage.worker([forget], [record])
    outcome = stage.run(forget)
    stage.until(lambda: len(stage.log) == 3)
    stage.pause(0.1)
    return [outcome, sorted(stage.log), stage.status()]


@scenario
def in_parallel(stage: Stage) -> Any:
    meet = threading.Barrier(3, timeout=5)

    def wait_for_others(ctx: task.ActivityContext, value: int) -> int:
        meet.wait()
        return value

    def fan(ctx: task.OrchestrationContext, _: Any) -> Any:
        return (
            yield task.when_all([ctx.call_activity(wait_for_others, input=i) for i in range(3)])
        )

    stage.worker([fan], [wait_for_others])
    return stage.run(fan)


@scenario
def large_fan_out(stage: Stage) -> Any:
    def fan(ctx: task.OrchestrationContext, size: int) -> Any:
        results = yield task.when_all([ctx.call_activity(echo, input=i) for i in range(size)])
        return [len(results), results == list(range(size)), sum(results)]

    stage.worker([fan], [echo])
    return stage.run(fan, 200)


@scenario
def tags_are_accepted(stage: Stage) -> Any:
    def ask(ctx: task.OrchestrationContext, value: Any) -> Any:
        return (yield ctx.call_activity(echo, input=value, tags={"team": "red"}))

    stage.worker([ask], [echo])
    return stage.run(ask, 1, tags={"priority": "high"})


@scenario
def return_type(stage: Stage) -> Any:
    def ask(ctx: task.OrchestrationContext, _: Any) -> Any:
        number = yield ctx.call_activity("echo", input="5", return_type=int)
        text = yield ctx.call_activity("echo", input="5")
        return [number, text]

    stage.worker([ask], [echo])
    return stage.run(ask)


@scenario
def several_calls_before_the_first_yield(stage: Stage) -> Any:
    def note(ctx: task.ActivityContext, value: Any) -> Any:
        stage.note(value)
        return value

    def ask(ctx: task.OrchestrationContext, _: Any) -> Any:
        first, second = (ctx.call_activity(note, input=name) for name in "ab")
        later = yield second
        return [later, (yield first)]

    stage.worker([ask], [note])
    return [stage.run(ask), sorted(stage.log)]


@scenario
def ten_orchestrations_at_once(stage: Stage) -> Any:
    def ask(ctx: task.OrchestrationContext, value: int) -> Any:
        return (yield ctx.call_activity(echo, input=value)) * 10

    stage.worker([ask], [echo])
    ids = [stage.start(ask, number, id=f"n{number}") for number in range(10)]
    return [stage.finish(id)["output"] for id in ids]


@scenario
def fifty_steps(stage: Stage) -> Any:
    def steps(ctx: task.OrchestrationContext, count: int) -> Any:
        total = 0
        for number in range(count):
            total += yield ctx.call_activity(echo, input=number)
        return total

    stage.worker([steps], [echo])
    return stage.run(steps, 50)


@scenario
def large_payload(stage: Stage) -> Any:
    def ask(ctx: task.OrchestrationContext, value: str) -> Any:
        back = yield ctx.call_activity(echo, input=value)
        return [len(back), back == value]

    stage.worker([ask], [echo])
    return stage.run(ask, "é" * 200_000)


@scenario
def registration(stage: Stage) -> Any:
    def first(ctx: Any, _: Any) -> Any:
        return None

    def counter(ctx: Any, _: Any) -> Any:
        return None

    worker = stage.worker(start=False)
    names = [worker.add_orchestrator(first), worker.add_activity(first), worker.add_entity(counter)]
    twice = [
        attempt(worker.add_orchestrator, first),
        attempt(worker.add_activity, first),
        attempt(worker.add_entity, counter),
    ]
    nothing = [
        attempt(worker.add_orchestrator, None),
        attempt(worker.add_activity, None),
        attempt(worker.add_entity, None),
    ]
    return [names, [how["raised"] for how in twice], [how["raised"] for how in nothing]]


@scenario
def registration_while_running(stage: Stage) -> Any:
    worker = stage.worker([], [echo])
    return [
        attempt(worker.add_orchestrator, echo)["raised"],
        attempt(worker.add_activity, echo)["raised"],
        attempt(worker.add_entity, echo)["raised"],
        attempt(worker.start)["raised"],
    ]


@scenario
def lambdas_have_no_name(stage: Stage) -> Any:
    def ask(ctx: task.OrchestrationContext, _: Any) -> Any:
        try:
            yield ctx.call_activity(lambda ctx, value: value, input=1)
        except ValueError:
            return "refused"

    stage.worker([ask])
    return [
        stage.run(ask),
        attempt(stage.worker(start=False).add_activity, lambda ctx, value: value)["raised"],
        attempt(stage.client.schedule_new_orchestration, lambda ctx, value: value)["raised"],
    ]
