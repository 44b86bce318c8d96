"""Misuse and unusual use: arguments that are wrong, functions of unusual kinds, exceptions that are hard to tell of."""

from __future__ import annotations

import functools
from datetime import timedelta
from typing import Any

from durabletask import entities, task

from .book import scenario
from .cast import COUNTER, EntityId, counter
from .stage import Stage, attempt, told


def echo(ctx: task.ActivityContext, value: Any) -> Any:
    return value


def waits(ctx: task.OrchestrationContext, _: Any) -> Any:
    return (yield ctx.wait_for_external_event("go"))


def raised(how: Any) -> Any:
    """Return only what kind of failure it was."""
    return how.get("raised", how.get("refused", "accepted"))


def failed(outcome: Any) -> Any:
    """Return only status and type of failure."""
    return [outcome.get("status", outcome), outcome.get("failure", {}).get("type")]


# ---------------------------------------------------------------- functions


class Greeter:
    """Has a method that serves as an activity, and can be called itself."""

    def __init__(self, word: str) -> None:
        self.word = word

    def greet(self, ctx: task.ActivityContext, name: str) -> str:
        return f"{self.word} {name}"


@scenario
def methods_as_activities(stage: Stage) -> Any:
    greeter = Greeter("Hi")

    def flow(ctx: task.OrchestrationContext, _: Any) -> Any:
        by_reference = yield ctx.call_activity(greeter.greet, input="Ada")
        return [by_reference, (yield ctx.call_activity("greet", input="Grace"))]

    stage.worker([flow], [greeter.greet])
    return stage.run(flow)


@scenario
def wrapped_functions(stage: Stage) -> Any:
    def twice(function: Any) -> Any:
        @functools.wraps(function)
        def wrapper(ctx: Any, value: Any) -> Any:
            return [function(ctx, value), function(ctx, value)]

        return wrapper

    @twice
    def say(ctx: task.ActivityContext, value: Any) -> Any:
        return value

    def flow(ctx: task.OrchestrationContext, _: Any) -> Any:
        return (yield ctx.call_activity(say, input=1))

    stage.worker([flow], [say])
    return [task.get_name(say), stage.run(flow)]


@scenario
def functions_with_defaults(stage: Stage) -> Any:
    def add(ctx: task.ActivityContext, value: Any = 5, more: int = 1) -> Any:
        return None if value is None else value + more

    def flow(ctx: task.OrchestrationContext, _: Any = None) -> Any:
        return [(yield ctx.call_activity(add, input=1)), (yield ctx.call_activity(add))]

    stage.worker([flow], [add])
    return stage.run(flow)


@scenario
def activity_with_too_few_parameters(stage: Stage) -> Any:
    def lonely(ctx: task.ActivityContext) -> Any:
        return "alone"

    def flow(ctx: task.OrchestrationContext, _: Any) -> Any:
        try:
            return (yield ctx.call_activity(lonely))
        except task.TaskFailedError as error:
            return error.details.error_type

    stage.worker([flow], [lonely])
    return stage.run(flow)


@scenario
def orchestrator_with_too_few_parameters(stage: Stage) -> Any:
    def lonely(ctx: task.OrchestrationContext) -> Any:
        return "alone"

    stage.worker([lonely])
    return failed(stage.run(lonely))


@scenario
def names_beyond_ascii(stage: Stage) -> Any:
    def grüße(ctx: task.ActivityContext, name: str) -> str:  # noqa: PLC2401 - that is what it is about
        return f"Grüße, {name}"

    def ablauf_ä(ctx: task.OrchestrationContext, name: str) -> Any:  # noqa: PLC2401 - the same
        return (yield ctx.call_activity(grüße, input=name))

    stage.worker([ablauf_ä], [grüße])
    return stage.run("ablauf_ä", "Zoë")


@scenario
def coroutine_child_of_a_generator(stage: Stage) -> Any:
    async def child(ctx: task.OrchestrationContext, value: int) -> Any:
        results = [await ctx.call_activity(echo, input=n) for n in range(value)]  # type: ignore[misc]
        return [ctx.parent_instance_id, results]

    def parent(ctx: task.OrchestrationContext, _: Any) -> Any:
        return (yield ctx.call_sub_orchestrator(child, input=3))

    stage.worker([parent, child], [echo])
    return stage.run(parent, timeout=6)


@scenario
def a_generator_that_yields_nothing(stage: Stage) -> Any:
    def empty(ctx: task.OrchestrationContext, _: Any) -> Any:
        return
        yield

    stage.worker([empty])
    return stage.run(empty)


@scenario
def an_activity_that_returns_a_generator(stage: Stage) -> Any:
    def numbers(ctx: task.ActivityContext, _: Any) -> Any:
        yield 1
        yield 2

    def flow(ctx: task.OrchestrationContext, _: Any) -> Any:
        try:
            return (yield ctx.call_activity(numbers))
        except task.TaskFailedError as error:
            return error.details.error_type

    stage.worker([flow], [numbers])
    return stage.run(flow)


# ---------------------------------------------------------------- exceptions


class Mute(Exception):  # noqa: N818 - as unfriendly as it can be
    """Cannot be told of, nor made anew."""

    def __init__(self, one: int, other: int) -> None:
        super().__init__()

    def __str__(self) -> str:
        raise RuntimeError("no words")


def told_by(stage: Stage, error: BaseException) -> Any:
    def bad(ctx: task.ActivityContext, _: Any) -> Any:
        raise error

    def flow(ctx: task.OrchestrationContext, _: Any) -> Any:
        try:
            yield ctx.call_activity(bad)
        except task.TaskFailedError as caught:
            return told(caught.details)

    stage.worker([flow], [bad])
    return stage.run(flow, timeout=6)


@scenario
def an_exception_of_unusual_making(stage: Stage) -> Any:
    class Picky(Exception):  # noqa: N818 - a name of its own
        def __init__(self, one: int, other: int) -> None:
            super().__init__(f"{one} and {other}")

    return told_by(stage, Picky(1, 2))


@scenario
def an_exception_without_words(stage: Stage) -> Any:
    return told_by(stage, Mute(1, 2))


@scenario
def an_exception_with_several_arguments(stage: Stage) -> Any:
    return told_by(stage, ValueError("a", 1))


@scenario
def an_exception_group(stage: Stage) -> Any:
    return told_by(stage, ExceptionGroup("several", [ValueError("a"), KeyError("b")]))


@scenario
def a_task_failure_raised_by_an_activity(stage: Stage) -> Any:
    outcome = told_by(stage, task.TaskFailedError("by hand", ValueError("inside")))
    return outcome.get("output", outcome).get("type", outcome)


@scenario
def a_long_message(stage: Stage) -> Any:
    outcome = told_by(stage, ValueError("x" * 20_000))
    return len(outcome["output"]["message"])


@scenario
def an_exception_chain_of_twelve(stage: Stage) -> Any:
    def chain(depth: int) -> Exception:
        error = ValueError(f"at {depth}")
        if depth:
            error.__cause__ = chain(depth - 1)
        return error

    outcome = told_by(stage, chain(12))
    depth, details = 0, outcome["output"]
    while "inner" in details:
        depth, details = depth + 1, details["inner"]
    return [depth >= 9, outcome["output"]["message"]]


@scenario
def an_exception_that_causes_itself(stage: Stage) -> Any:
    error = ValueError("round")
    error.__cause__ = RuntimeError("and round")
    error.__cause__.__cause__ = error
    return told_by(stage, error)["output"]["message"]


# ---------------------------------------------------------------- wrong arguments


@scenario
def arguments_of_a_context(stage: Stage) -> Any:
    def flow(ctx: task.OrchestrationContext, _: Any) -> Any:
        context: Any = ctx
        return [
            raised(attempt(context.create_timer, "tomorrow")),
            raised(attempt(context.create_timer, None)),
            raised(attempt(context.call_entity, "counter", "add")),
            raised(attempt(context.set_custom_status, object())),
        ]

    stage.worker([flow])
    return stage.run(flow)


@scenario
def arguments_of_a_client(stage: Stage) -> Any:
    client: Any = stage.client
    return [
        raised(attempt(client.raise_orchestration_event, "one", "go", data=object())),
        raised(attempt(client.terminate_orchestration, "one", output=object())),
        raised(attempt(client.signal_entity, COUNTER, "add", input=object())),
        raised(attempt(client.signal_entity, "counter", "add")),
        raised(attempt(client.purge_orchestrations_by, timeout=timedelta(0))),
    ]


@scenario
def an_unserializable_custom_status(stage: Stage) -> Any:
    def flow(ctx: task.OrchestrationContext, _: Any) -> Any:
        ctx.set_custom_status(object())
        yield ctx.create_timer(timedelta(milliseconds=20))

    stage.worker([flow])
    return failed(stage.run(flow))


@scenario
def an_unserializable_input_of_a_child(stage: Stage) -> Any:
    def flow(ctx: task.OrchestrationContext, _: Any) -> Any:
        return (yield ctx.call_sub_orchestrator("flow", input=object()))

    stage.worker([flow])
    return failed(stage.run(flow))


@scenario
def an_unserializable_event(stage: Stage) -> Any:
    def flow(ctx: task.OrchestrationContext, _: Any) -> Any:
        return raised(attempt(ctx.send_event, "other", "go", data=object()))

    stage.worker([flow])
    return stage.run(flow)


@scenario
def an_unserializable_input_of_continue_as_new(stage: Stage) -> Any:
    def flow(ctx: task.OrchestrationContext, _: Any) -> Any:
        ctx.continue_as_new(object())

    stage.worker([flow])
    return failed(stage.run(flow, timeout=6))


@scenario
def use_of_a_task_of_another_kind(stage: Stage) -> Any:
    def flow(ctx: task.OrchestrationContext, _: Any) -> Any:
        yield ctx.create_timer(timedelta(milliseconds=20))
        yield [ctx.call_activity(echo)]

    stage.worker([flow], [echo])
    return failed(stage.run(flow))


@scenario
def groups_of_what_is_no_task(stage: Stage) -> Any:
    def flow(ctx: task.OrchestrationContext, _: Any) -> Any:
        return [raised(attempt(task.when_all, [1, 2])), raised(attempt(task.when_any, [None]))]

    stage.worker([flow])
    return stage.run(flow)


# ---------------------------------------------------------------- odd moments


@scenario
def a_failed_task_is_yielded_again(stage: Stage) -> Any:
    def bad(ctx: task.ActivityContext, _: Any) -> Any:
        raise ValueError("bad")

    def flow(ctx: task.OrchestrationContext, _: Any) -> Any:
        call = ctx.call_activity(bad)
        messages = []
        for _number in range(3):
            try:
                yield call
            except task.TaskFailedError as error:
                messages.append(error.details.message)
        return messages

    stage.worker([flow], [bad])
    return stage.run(flow, timeout=6)


@scenario
def all_with_a_cancelled_timer(stage: Stage) -> Any:
    def flow(ctx: task.OrchestrationContext, _: Any) -> Any:
        timer = ctx.create_timer(timedelta(hours=1))
        call = ctx.call_activity(echo, input=1)
        timer.cancel()
        try:
            return (yield task.when_all([call, timer]))
        except task.TaskCancelledError as error:
            return type(error).__name__

    stage.worker([flow], [echo])
    return stage.run(flow, timeout=6)


@scenario
def any_with_a_cancelled_timer(stage: Stage) -> Any:
    def flow(ctx: task.OrchestrationContext, _: Any) -> Any:
        timer = ctx.create_timer(timedelta(hours=1))
        timer.cancel()
        call = ctx.call_activity(echo, input=1)
        winner = yield task.when_any([call, timer])
        return "timer" if winner == timer else "call"

    stage.worker([flow], [echo])
    return stage.run(flow, timeout=6)


@scenario
def terminated_while_an_activity_runs(stage: Stage) -> Any:
    def slow(ctx: task.ActivityContext, _: Any) -> str:
        stage.note("begun")
        stage.pause(1.0)
        stage.note("ended")
        return "late"

    def flow(ctx: task.OrchestrationContext, _: Any) -> Any:
        return (yield ctx.call_activity(slow))

    stage.worker([flow], [slow])
    stage.start(flow)
    stage.until(lambda: stage.log)
    stage.client.terminate_orchestration("one", output="over")
    outcome = stage.finish()
    stage.until(lambda: len(stage.log) == 2)
    stage.pause(0.2)
    return [outcome, stage.log, stage.outcome_of()]


@scenario
def suspended_before_it_began(stage: Stage) -> Any:
    stage.start(waits)
    stage.client.suspend_orchestration("one")
    stage.client.raise_orchestration_event("one", "go", data="gone")
    stage.worker([waits])
    suspended = stage.until_status("SUSPENDED", timeout=6)
    stage.client.resume_orchestration("one")
    return [suspended, stage.finish(timeout=5)]


@scenario
def a_name_that_two_kinds_share(stage: Stage) -> Any:
    """An orchestrator, an activity and an entity of one name do not get into each other's way."""

    def make(kind: str) -> Any:
        def it(ctx: Any, value: Any) -> Any:
            return kind

        return it

    def flow(ctx: task.OrchestrationContext, _: Any) -> Any:
        child = yield ctx.call_sub_orchestrator("it")
        call = yield ctx.call_activity("it")
        return [child, call, (yield ctx.call_entity(EntityId("it", "a"), "x"))]

    stage.worker([flow, make("orchestrator")], [make("activity")], [make("entity")])
    return stage.run(flow)


@scenario
def ids_of_orchestrations_that_look_like_entities(stage: Stage) -> Any:
    stage.worker([waits], [], [counter])
    return raised(attempt(stage.start, "waits", id="@counter@mine"))


@scenario
def delete_of_a_function_entity(stage: Stage) -> Any:
    def box(ctx: entities.EntityContext, input: Any) -> Any:
        if ctx.operation == "put":
            ctx.set_state(input)
        return [ctx.operation, ctx.get_state()]

    def flow(ctx: task.OrchestrationContext, _: Any) -> Any:
        id = EntityId("box", "a")
        return [
            (yield ctx.call_entity(id, "put", 5)),
            (yield ctx.call_entity(id, "delete")),
            (yield ctx.call_entity(id, "get")),
        ]

    stage.worker([flow], [], [box])
    return stage.run(flow)


@scenario
def typed_inputs_of_methods(stage: Stage) -> Any:
    class Box(entities.DurableEntity):
        def number(self, value: int) -> Any:
            return [type(value).__name__, value]

        def optional(self, value: int | None = None) -> Any:
            return value

    def flow(ctx: task.OrchestrationContext, _: Any) -> Any:
        id = EntityId("box", "a")
        return [
            (yield ctx.call_entity(id, "number", "5")),
            (yield ctx.call_entity(id, "optional", 6)),
            (yield ctx.call_entity(id, "optional")),
        ]

    stage.worker([flow], [], [Box])
    return stage.run(flow)


@scenario
def private_methods_of_an_entity(stage: Stage) -> Any:
    class Box(entities.DurableEntity):
        def _hidden(self) -> str:
            return "hidden"

    def flow(ctx: task.OrchestrationContext, _: Any) -> Any:
        answers = []
        for operation in ("_hidden", "__init__", "get_state"):
            try:
                answers.append((yield ctx.call_entity(EntityId("box", "a"), operation)))
            except task.TaskFailedError as error:
                answers.append(error.details.inner_failure.error_type)
        return answers

    stage.worker([flow], [], [Box])
    return stage.run(flow)


@scenario
def a_worker_stopped_twice(stage: Stage) -> Any:
    worker = stage.worker([waits])
    worker.stop()
    worker.stop()
    never = stage.worker([waits], start=False)
    return [raised(attempt(worker.stop)), raised(attempt(never.stop))]


@scenario
def a_client_closed_twice(stage: Stage) -> Any:
    it = stage.new_client()
    it.schedule_new_orchestration("x", instance_id="one")
    it.close()
    return raised(attempt(it.close))
