"""Failures: how they are told, caught, and passed on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from durabletask import client, task

from .book import scenario
from .stage import Stage, told


class BaseTrouble(Exception):  # noqa: N818 - any name is allowed
    """A family of errors."""


class Trouble(BaseTrouble):
    """One of them."""


def fail(ctx: task.ActivityContext, message: str) -> Any:
    raise Trouble(message)


def echo(ctx: task.ActivityContext, value: Any) -> Any:
    return value


def raising(stage: Stage, error: Exception | None = None, cause: Exception | None = None) -> Any:
    def raiser(ctx: task.OrchestrationContext, _: Any) -> Any:
        raise error from cause

    stage.worker([raiser])
    return stage.run(raiser)


@scenario
def orchestrator_raises(stage: Stage) -> Any:
    return raising(stage, ValueError("wrong"))


@scenario
def orchestrator_raises_its_own_type(stage: Stage) -> Any:
    return raising(stage, Trouble("mine"))


@scenario
def orchestrator_raises_from_a_cause(stage: Stage) -> Any:
    return raising(stage, RuntimeError("outer"), KeyError("inner"))


@scenario
def orchestrator_raises_nothing_to_say(stage: Stage) -> Any:
    return raising(stage, ValueError())


@scenario
def orchestrator_raises_while_handling(stage: Stage) -> Any:
    def raiser(ctx: task.OrchestrationContext, _: Any) -> Any:
        try:
            yield ctx.call_activity(fail, input="first")
        except task.TaskFailedError:
            raise RuntimeError("second")  # noqa: B904 - the context is what is told

    stage.worker([raiser], [fail])
    return stage.run(raiser)


@scenario
def activity_failure_is_caught(stage: Stage) -> Any:
    def catcher(ctx: task.OrchestrationContext, _: Any) -> Any:
        try:
            yield ctx.call_activity(fail, input="no luck")
        except task.TaskFailedError as error:
            return [str(error), told(error.details), error.details.stack_trace is not None]

    stage.worker([catcher], [fail])
    return stage.run(catcher)


@scenario
def activity_failure_is_not_caught(stage: Stage) -> Any:
    def careless(ctx: task.OrchestrationContext, _: Any) -> Any:
        yield ctx.call_activity(fail, input="no luck")

    stage.worker([careless], [fail])
    return stage.run(careless)


@scenario
def activity_fails_with_a_cause(stage: Stage) -> Any:
    def fail(ctx: task.ActivityContext, _: Any) -> Any:
        try:
            int("x")
        except ValueError as error:
            raise Trouble("cannot read") from error

    def careless(ctx: task.OrchestrationContext, _: Any) -> Any:
        yield ctx.call_activity(fail)

    stage.worker([careless], [fail])
    return stage.run(careless)


@scenario
def activity_fails_without_a_message(stage: Stage) -> Any:
    def catcher(ctx: task.OrchestrationContext, _: Any) -> Any:
        try:
            return ["no failure", (yield ctx.call_activity(fail, input=""))]
        except task.TaskFailedError as error:
            return told(error.details)

    stage.worker([catcher], [fail])
    return stage.run(catcher)


@scenario
def stack_trace_names_the_function(stage: Stage) -> Any:
    def catcher(ctx: task.OrchestrationContext, _: Any) -> Any:
        try:
            yield ctx.call_activity(fail, input="no luck")
        except task.TaskFailedError as error:
            return "in fail" in (error.details.stack_trace or "")

    stage.worker([catcher], [fail])
    return stage.run(catcher)


@scenario
def is_caused_by(stage: Stage) -> Any:
    def catcher(ctx: task.OrchestrationContext, _: Any) -> Any:
        try:
            yield ctx.call_activity(fail, input="no luck")
        except task.TaskFailedError as error:
            details = error.details
            asked: list[Any] = [
                Trouble,
                BaseTrouble,
                Exception,
                ValueError,
                "Trouble",
                "BaseTrouble",
                "other.Trouble",
                details.error_type,
            ]
            return [details.is_caused_by(one) for one in asked]

    stage.worker([catcher], [fail])
    return stage.run(catcher)


@scenario
def is_caused_by_asks_only_the_outer(stage: Stage) -> Any:
    def careless(ctx: task.OrchestrationContext, _: Any) -> Any:
        yield ctx.call_activity(fail, input="no luck")

    stage.worker([careless], [fail])
    stage.run(careless)
    details = stage.client.get_orchestration_state("one").failure_details
    inner = details.inner_failure
    return [
        details.is_caused_by(Trouble),
        details.is_caused_by(task.TaskFailedError),
        inner.is_caused_by(Trouble),
        inner.is_caused_by(BaseTrouble),
    ]


@scenario
def failure_details_by_hand(stage: Stage) -> Any:
    details = task.FailureDetails("message", "ValueError", None)
    dotted = task.FailureDetails("message", "builtins.ValueError", "trace", details)
    answers = [
        details.is_caused_by(ValueError),
        details.is_caused_by(Exception),
        dotted.is_caused_by("ValueError"),
        dotted.is_caused_by("builtins.ValueError"),
        dotted.is_caused_by("json.ValueError"),
        dotted.is_caused_by(LookupError),
    ]
    try:
        details.is_caused_by(7)  # type: ignore[arg-type]
    except TypeError:
        answers.append("TypeError")
    return answers


@scenario
def raise_if_failed(stage: Stage) -> Any:
    def careless(ctx: task.OrchestrationContext, fails: bool) -> Any:
        if fails:
            raise ValueError("wrong")
        return "right"

    stage.worker([careless])
    stage.run(careless, True, id="bad")
    stage.run(careless, False, id="good")
    stage.client.get_orchestration_state("good").raise_if_failed()
    try:
        stage.client.get_orchestration_state("bad").raise_if_failed()
    except client.OrchestrationFailedError as error:
        return [str(error), told(error.failure_details)]


@scenario
def one_of_several_fails(stage: Stage) -> Any:
    def perhaps(ctx: task.ActivityContext, value: int) -> int:
        stage.note(value)
        if value == 1:
            raise Trouble("not one")
        return value

    def fan(ctx: task.OrchestrationContext, _: Any) -> Any:
        return (yield task.when_all([ctx.call_activity(perhaps, input=i) for i in range(4)]))

    stage.worker([fan], [perhaps])
    outcome = stage.run(fan)
    history = stage.history()
    return [
        outcome,
        sorted(stage.log),
        history.count("TaskCompleted"),
        history.count("TaskFailed"),
    ]


@scenario
def compensation(stage: Stage) -> Any:
    def book(ctx: task.ActivityContext, what: str) -> str:
        stage.note("book", what)
        if what == "hotel":
            raise Trouble("full")
        return what

    def cancel(ctx: task.ActivityContext, what: str) -> None:
        stage.note("cancel", what)

    def trip(ctx: task.OrchestrationContext, _: Any) -> Any:
        done: list[str] = []
        try:
            for what in ("car", "flight", "hotel"):
                done.append((yield ctx.call_activity(book, input=what)))  # noqa: PERF401
        except task.TaskFailedError as error:
            for what in reversed(done):
                yield ctx.call_activity(cancel, input=what)
            return f"cancelled: {error.details.message}"
        return done

    stage.worker([trip], [book, cancel])
    return [stage.run(trip), stage.log]


@scenario
def orchestrator_not_registered(stage: Stage) -> Any:
    stage.worker([])
    return stage.run("nobody")


@scenario
def yields_what_is_no_task(stage: Stage) -> Any:
    def wrong(ctx: task.OrchestrationContext, _: Any) -> Any:
        yield ctx.call_activity(echo, input=1)
        yield 7

    stage.worker([wrong], [echo])
    outcome = stage.run(wrong)
    return [outcome["status"], outcome["failure"]["type"]]


@scenario
def first_yields_what_is_no_task(stage: Stage) -> Any:
    def wrong(ctx: task.OrchestrationContext, _: Any) -> Any:
        yield 7

    stage.worker([wrong])
    outcome = stage.run(wrong, timeout=6)
    return outcome if "still" in outcome else [outcome["status"], outcome["failure"]["type"]]


@scenario
def another_activity_on_replay(stage: Stage) -> Any:
    """The code changes between two turns: the recorded calls are a, b and now it calls a, c."""
    deployed = ["first"]

    def a(ctx: task.ActivityContext, _: Any) -> str:
        return "a"

    def b(ctx: task.ActivityContext, _: Any) -> str:
        return "b"

    def c(ctx: task.ActivityContext, _: Any) -> str:
        return "c"

    def flow(ctx: task.OrchestrationContext, _: Any) -> Any:
        yield ctx.call_activity(a)
        if deployed[0] == "second":
            yield ctx.call_activity(c)
        yield ctx.call_activity(b)
        yield ctx.wait_for_external_event("go")
        return "done"

    first = stage.worker([flow], [a, b, c])
    stage.start(flow)
    stage.until(lambda: stage.history().count("TaskCompleted") == 2)
    first.stop()
    deployed[0] = "second"
    stage.worker([flow], [a, b, c])
    stage.client.raise_orchestration_event("one", "go")
    outcome = stage.finish()
    failure = outcome.get("failure", {})
    told_what = all(word in failure.get("message", "") for word in ("'b'", "2"))
    return [outcome["status"], failure.get("type"), told_what]


@scenario
def a_step_was_removed(stage: Stage) -> Any:
    deployed = ["first"]

    def flow(ctx: task.OrchestrationContext, _: Any) -> Any:
        if deployed[0] == "first":
            yield ctx.call_activity(echo, input=1)
        yield ctx.wait_for_external_event("go")
        return "done"

    first = stage.worker([flow], [echo])
    stage.start(flow)
    stage.until(lambda: stage.history().count("TaskCompleted") == 1)
    first.stop()
    deployed[0] = "second"
    stage.worker([flow], [echo])
    stage.client.raise_orchestration_event("one", "go")
    outcome = stage.finish()
    return [outcome["status"], outcome.get("failure", {}).get("type")]


@scenario
def failure_in_finally(stage: Stage) -> Any:
    def careful(ctx: task.OrchestrationContext, _: Any) -> Any:
        try:
            yield ctx.call_activity(fail, input="first")
        finally:
            yield ctx.call_activity(echo, input="cleaned")

    stage.worker([careful], [fail, echo])
    outcome = stage.run(careful)
    return [outcome, stage.history()]


class Told:
    """Adds what an error knows to its failure."""

    def get_exception_properties(self, exception: Exception) -> Mapping[str, Any] | None:
        if isinstance(exception, Trouble):
            return {"retry": True, "code": 7, "who": "me", "more": {"a": [1, None]}}
        return None


@scenario
def exception_properties(stage: Stage) -> Any:
    def catcher(ctx: task.OrchestrationContext, _: Any) -> Any:
        try:
            yield ctx.call_activity(fail, input="no luck")
        except task.TaskFailedError as error:
            return error.details.properties

    stage.worker([catcher], [fail], exception_properties_provider=Told())
    return stage.run(catcher)


@scenario
def exception_properties_that_fail(stage: Stage) -> Any:
    class Broken:
        def get_exception_properties(self, exception: Exception) -> Mapping[str, Any] | None:
            raise RuntimeError("the provider is broken")

    def careless(ctx: task.OrchestrationContext, _: Any) -> Any:
        yield ctx.call_activity(fail, input="no luck")

    stage.worker([careless], [fail], exception_properties_provider=Broken())
    return stage.run(careless)


@scenario
def failure_in_a_grandchild(stage: Stage) -> Any:
    def grandchild(ctx: task.OrchestrationContext, _: Any) -> Any:
        yield ctx.call_activity(fail, input="deep")

    def child(ctx: task.OrchestrationContext, _: Any) -> Any:
        return (yield ctx.call_sub_orchestrator(grandchild))

    def parent(ctx: task.OrchestrationContext, _: Any) -> Any:
        return (yield ctx.call_sub_orchestrator(child))

    stage.worker([parent, child, grandchild], [fail])
    return stage.run(parent)


@scenario
def timeout_by_a_timer(stage: Stage) -> Any:
    def slow(ctx: task.ActivityContext, _: Any) -> str:
        stage.pause(1.0)
        return "slow"

    def impatient(ctx: task.OrchestrationContext, _: Any) -> Any:
        work = ctx.call_activity(slow)
        end = ctx.create_timer(timedelta(milliseconds=100))
        winner = yield task.when_any([work, end])
        return "timeout" if winner == end else "done"

    stage.worker([impatient], [slow])
    outcome = stage.run(impatient)
    stage.pause(1.2)
    return [outcome, stage.outcome_of()]
