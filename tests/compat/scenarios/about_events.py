"""External events: from clients and from other orchestrations, before and after they are waited for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from durabletask import task

from .book import scenario
from .stage import Stage, attempt


@dataclass
class Answer:
    text: str
    number: int = 0


def raise_events(stage: Stage, *events: tuple[str, Any], id: str = "one") -> None:
    for name, data in events:
        stage.client.raise_orchestration_event(id, name, data=data)


def waits_for(*names: str) -> Any:
    def wait(ctx: task.OrchestrationContext, _: Any) -> Any:
        results = []
        for name in names:
            results.append((yield ctx.wait_for_external_event(name)))  # noqa: PERF401
        return results

    return wait


@scenario
def waited_for(stage: Stage) -> Any:
    wait = waits_for("go")
    stage.worker([wait])
    stage.start(wait)
    stage.until(stage.history)
    raise_events(stage, ("go", {"a": 1}))
    return [stage.finish(), stage.history()]


@scenario
def buffered_before_the_worker(stage: Stage) -> Any:
    wait = waits_for("b", "a")
    stage.start("wait")
    raise_events(stage, ("a", 1), ("b", 2))
    stage.worker([wait])
    return stage.finish()


@scenario
def any_case(stage: Stage) -> Any:
    wait = waits_for("Approval", "STRASSE")
    stage.worker([wait])
    stage.start(wait)
    raise_events(stage, ("aPPROVAL", 1), ("straße", 2))
    return stage.finish()


@scenario
def in_order_of_arrival(stage: Stage) -> Any:
    wait = waits_for(*["go"] * 20)
    stage.worker([wait])
    stage.start(wait)
    raise_events(stage, *(("go", number) for number in range(20)))
    return stage.finish()


@scenario
def several_waiters_in_order(stage: Stage) -> Any:
    def wait(ctx: task.OrchestrationContext, _: Any) -> Any:
        waits = [ctx.wait_for_external_event("go") for _ in range(3)]
        return (yield task.when_all(waits))

    stage.worker([wait])
    stage.start(wait)
    raise_events(stage, ("go", "a"), ("go", "b"), ("go", "c"))
    return stage.finish()


@scenario
def different_names_at_once(stage: Stage) -> Any:
    def wait(ctx: task.OrchestrationContext, _: Any) -> Any:
        waits = [ctx.wait_for_external_event(name) for name in "abc"]
        return (yield task.when_all(waits))

    stage.worker([wait])
    stage.start(wait)
    raise_events(stage, ("c", 3), ("a", 1), ("b", 2))
    return stage.finish()


@scenario
def without_data(stage: Stage) -> Any:
    wait = waits_for("go", "go")
    stage.worker([wait])
    stage.start(wait)
    stage.client.raise_orchestration_event("one", "go")
    raise_events(stage, ("go", None))
    return stage.finish()


@scenario
def falsy_data(stage: Stage) -> Any:
    wait = waits_for(*["go"] * 5)
    stage.worker([wait])
    stage.start(wait)
    raise_events(stage, *(("go", value) for value in (0, "", False, [], {})))
    return stage.finish()


@scenario
def typed_data(stage: Stage) -> Any:
    def wait(ctx: task.OrchestrationContext, _: Any) -> Any:
        answer = yield ctx.wait_for_external_event("go", data_type=Answer)
        number = yield ctx.wait_for_external_event("count", data_type=int)
        return [type(answer).__name__, answer.text, answer.number, number]

    stage.worker([wait])
    stage.start(wait)
    raise_events(stage, ("count", "5"), ("go", Answer("yes", 3)))
    return stage.finish()


@scenario
def two_types_of_one_name(stage: Stage) -> Any:
    def wait(ctx: task.OrchestrationContext, _: Any) -> Any:
        one = yield ctx.wait_for_external_event("go", data_type=Answer)
        two = yield ctx.wait_for_external_event("go")
        return [type(one).__name__, two == {"text": "b", "number": 2}]

    stage.start("wait")
    raise_events(stage, ("go", Answer("a", 1)), ("go", Answer("b", 2)))
    stage.worker([wait])
    return stage.finish()


@scenario
def cancelled_wait_takes_nothing(stage: Stage) -> Any:
    def wait(ctx: task.OrchestrationContext, _: Any) -> Any:
        first = ctx.wait_for_external_event("go")
        cancelled = first.cancel()
        second = ctx.wait_for_external_event("go")
        result = yield second
        return [cancelled, first.is_cancelled, first.is_complete, result]

    stage.worker([wait])
    stage.start(wait)
    raise_events(stage, ("go", "only"))
    return stage.finish()


@scenario
def completed_wait_cannot_be_cancelled(stage: Stage) -> Any:
    def wait(ctx: task.OrchestrationContext, _: Any) -> Any:
        event = ctx.wait_for_external_event("go")
        yield event
        return [event.cancel(), event.is_cancelled]

    stage.worker([wait])
    stage.start(wait)
    raise_events(stage, ("go", 1))
    return stage.finish()


@scenario
def unused_events(stage: Stage) -> Any:
    wait = waits_for("go")
    stage.worker([wait])
    stage.start(wait)
    raise_events(stage, ("other", 1), ("other", 2), ("go", "done"))
    return stage.finish()


@scenario
def after_the_end(stage: Stage) -> Any:
    def end(ctx: task.OrchestrationContext, _: Any) -> Any:
        stage.note("turn")
        return "ended"

    stage.worker([end])
    outcome = stage.run(end)
    raised = attempt(stage.client.raise_orchestration_event, "one", "go", data=1)
    stage.pause(0.2)
    return [outcome, raised, stage.outcome_of(), stage.log]


@scenario
def to_nobody(stage: Stage) -> Any:
    return attempt(stage.client.raise_orchestration_event, "nobody", "go")


@scenario
def event_before_a_timer(stage: Stage) -> Any:
    def wait(ctx: task.OrchestrationContext, _: Any) -> Any:
        event = ctx.wait_for_external_event("go")
        timer = ctx.create_timer(timedelta(hours=1))
        winner = yield task.when_any([timer, event])
        return "event" if winner == event else "timer"

    stage.start("wait")
    raise_events(stage, ("go", 1))
    stage.worker([wait])
    return stage.finish()


@scenario
def timer_before_an_event(stage: Stage) -> Any:
    def wait(ctx: task.OrchestrationContext, _: Any) -> Any:
        event = ctx.wait_for_external_event("go")
        timer = ctx.create_timer(timedelta(milliseconds=50))
        winner = yield task.when_any([timer, event])
        first = "event" if winner == event else "timer"
        return [first, (yield event)]

    stage.worker([wait])
    stage.start(wait)
    stage.until(lambda: "TimerFired" in stage.history())
    raise_events(stage, ("go", "late"))
    return stage.finish()


@scenario
def between_orchestrations(stage: Stage) -> Any:
    def listen(ctx: task.OrchestrationContext, _: Any) -> Any:
        return (yield ctx.wait_for_external_event("Hello"))

    def speak(ctx: task.OrchestrationContext, target: str) -> Any:
        ctx.send_event(target, "hello", data={"from": ctx.instance_id})
        yield ctx.create_timer(timedelta(milliseconds=20))
        return "sent"

    stage.worker([listen, speak])
    stage.start(listen, id="listener")
    spoken = stage.run(speak, "listener")
    return [spoken, stage.finish("listener"), stage.history()]


@scenario
def sent_in_the_last_turn(stage: Stage) -> Any:
    def listen(ctx: task.OrchestrationContext, _: Any) -> Any:
        return (yield ctx.wait_for_external_event("hello"))

    def speak(ctx: task.OrchestrationContext, target: str) -> Any:
        ctx.send_event(target, "hello")
        return "sent"

    stage.worker([listen, speak])
    stage.start(listen, id="listener")
    return [stage.run(speak, "listener"), stage.finish("listener")]


@scenario
def sent_to_nobody(stage: Stage) -> Any:
    def speak(ctx: task.OrchestrationContext, target: str) -> Any:
        ctx.send_event(target, "hello")
        yield ctx.create_timer(timedelta(milliseconds=50))
        return "sent"

    stage.worker([speak])
    return stage.run(speak, "nobody")


@scenario
def sent_wrongly(stage: Stage) -> Any:
    def speak(ctx: task.OrchestrationContext, _: Any) -> Any:
        wrong = [("", "hello"), ("  ", "hello"), ("target", ""), ("@counter@a", "hello")]
        return [attempt(ctx.send_event, *arguments)["raised"] for arguments in wrong]

    stage.worker([speak])
    return stage.run(speak)


@scenario
def sent_to_itself(stage: Stage) -> Any:
    def talk(ctx: task.OrchestrationContext, _: Any) -> Any:
        ctx.send_event(ctx.instance_id, "echo", data="heard")
        return (yield ctx.wait_for_external_event("echo"))

    stage.worker([talk])
    return stage.run(talk)


@scenario
def a_conversation(stage: Stage) -> Any:
    def ping(ctx: task.OrchestrationContext, rounds: int) -> Any:
        heard = []
        for number in range(rounds):
            ctx.send_event("pong", "ping", data=[ctx.instance_id, number])
            heard.append((yield ctx.wait_for_external_event("pong")))
        ctx.send_event("pong", "ping", data=[ctx.instance_id, None])
        return heard

    def pong(ctx: task.OrchestrationContext, _: Any) -> Any:
        count = 0
        while True:
            sender, number = yield ctx.wait_for_external_event("ping")
            if number is None:
                return count
            count += 1
            ctx.send_event(sender, "pong", data=number * 10)

    stage.worker([ping, pong])
    stage.start(pong, id="pong")
    return [stage.run(ping, 5, id="ping"), stage.finish("pong")]


@scenario
def many_events_while_an_activity_runs(stage: Stage) -> Any:
    def slow(ctx: task.ActivityContext, _: Any) -> str:
        stage.note("begun")
        stage.pause(0.3)
        return "slow"

    def collect(ctx: task.OrchestrationContext, _: Any) -> Any:
        result = yield ctx.call_activity(slow)
        events = []
        for _number in range(5):
            events.append((yield ctx.wait_for_external_event("go")))  # noqa: PERF401
        return [result, events]

    stage.worker([collect], [slow])
    stage.start(collect)
    stage.until(lambda: stage.log)
    raise_events(stage, *(("go", number) for number in range(5)))
    return stage.finish()
