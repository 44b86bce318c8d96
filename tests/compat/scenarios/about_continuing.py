"""Continue-as-new: a new life with the same id, and what it takes with it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from durabletask import task

from .book import scenario
from .stage import Stage

MOMENT = timedelta(milliseconds=20)


@scenario
def counts_to_five(stage: Stage) -> Any:
    def count(ctx: task.OrchestrationContext, number: int) -> Any:
        yield ctx.create_timer(MOMENT)
        if number < 5:
            ctx.continue_as_new(number + 1)
            return "ignored"
        return [number, ctx.instance_id]

    stage.worker([count])
    return [stage.run(count, 0), stage.history()]


@scenario
def in_a_plain_function(stage: Stage) -> Any:
    def count(ctx: task.OrchestrationContext, number: int) -> Any:
        if number < 3:
            ctx.continue_as_new(number + 1)
            return None
        return number

    stage.worker([count])
    return stage.run(count, 0)


@scenario
def input_of_the_last_life(stage: Stage) -> Any:
    def count(ctx: task.OrchestrationContext, value: Any) -> Any:
        yield ctx.create_timer(MOMENT)
        if value["n"] < 2:
            ctx.continue_as_new({"n": value["n"] + 1})

    stage.worker([count])
    outcome = stage.run(count, {"n": 0})
    return [outcome, stage.client.get_orchestration_state("one").get_input()]


def collecting(stage: Stage, save: bool, per_life: int = 1) -> Any:
    """Take one event a life; the events were all there before the first."""

    def collect(ctx: task.OrchestrationContext, seen: list[Any]) -> Any:
        for _number in range(per_life):
            event = ctx.wait_for_external_event("go")
            timer = ctx.create_timer(timedelta(milliseconds=300))
            winner = yield task.when_any([event, timer])
            if winner == timer:
                return seen
            seen = [*seen, event.get_result()]
        ctx.continue_as_new(seen, save_events=save)

    stage.start("collect", [])
    for number in range(5):
        stage.client.raise_orchestration_event("one", "go", data=number)
    stage.worker([collect])
    return stage.finish()


@scenario
def events_are_kept(stage: Stage) -> Any:
    return collecting(stage, True)


@scenario
def events_are_dropped(stage: Stage) -> Any:
    return collecting(stage, False)


@scenario
def events_are_kept_two_by_two(stage: Stage) -> Any:
    return collecting(stage, True, per_life=2)


@scenario
def events_are_kept_in_order_of_arrival(stage: Stage) -> Any:
    def collect(ctx: task.OrchestrationContext, life: int) -> Any:
        if life == 0:
            yield ctx.wait_for_external_event("start")
            ctx.continue_as_new(1, save_events=True)
            return None
        names = ["b", "a", "b"]
        waits = [ctx.wait_for_external_event(name) for name in names]
        return (yield task.when_all(waits))

    stage.start("collect", 0)
    for name, data in (("b", 1), ("a", 2), ("b", 3), ("start", None)):
        stage.client.raise_orchestration_event("one", name, data=data)
    stage.worker([collect])
    return stage.finish()


@scenario
def events_between_lives_survive(stage: Stage) -> Any:
    def collect(ctx: task.OrchestrationContext, seen: list[Any]) -> Any:
        event = yield ctx.wait_for_external_event("go")
        seen = [*seen, event]
        if len(seen) == 3:
            return seen
        ctx.continue_as_new(seen)

    stage.worker([collect])
    stage.start(collect, [])
    for number in range(3):
        stage.until(
            lambda number=number: (
                len(stage.client.get_orchestration_state("one").get_input()) == number
            )
        )
        stage.client.raise_orchestration_event("one", "go", data=number)
    return stage.finish()


@scenario
def custom_status_is_gone(stage: Stage) -> Any:
    def flow(ctx: task.OrchestrationContext, life: int) -> Any:
        if life == 0:
            ctx.set_custom_status("first life")
            yield ctx.create_timer(MOMENT)
            ctx.continue_as_new(1)
            return None
        yield ctx.create_timer(MOMENT)
        return "second life"

    stage.worker([flow])
    return stage.run(flow, 0)


@scenario
def return_value_is_ignored(stage: Stage) -> Any:
    def flow(ctx: task.OrchestrationContext, life: int) -> Any:
        yield ctx.create_timer(MOMENT)
        if life == 0:
            ctx.continue_as_new(1)
        return f"life {life}"

    stage.worker([flow])
    return stage.run(flow, 0)


@scenario
def second_call_is_ignored(stage: Stage) -> Any:
    def flow(ctx: task.OrchestrationContext, life: str) -> Any:
        yield ctx.create_timer(MOMENT)
        if life == "first":
            ctx.continue_as_new("second")
            ctx.continue_as_new("third")
        return life

    stage.worker([flow])
    return stage.run(flow, "first")


@scenario
def actions_of_the_last_turn_are_sent(stage: Stage) -> Any:
    def note(ctx: task.ActivityContext, value: Any) -> None:
        stage.note(value)

    def listen(ctx: task.OrchestrationContext, _: Any) -> Any:
        return (yield ctx.wait_for_external_event("news"))

    def flow(ctx: task.OrchestrationContext, life: int) -> Any:
        yield ctx.create_timer(MOMENT)
        if life == 0:
            ctx.call_activity(note, input="before")
            ctx.send_event("listener", "news", data="from the first life")
            ctx.continue_as_new(1)
            ctx.call_activity(note, input="after")
        return life

    stage.worker([flow, listen], [note])
    stage.start(listen, id="listener")
    outcome = stage.run(flow, 0)
    stage.until(lambda: len(stage.log) == 2, timeout=2)
    return [outcome, sorted(stage.log), stage.finish("listener")]


@scenario
def late_results_are_dropped(stage: Stage) -> Any:
    def slow(ctx: task.ActivityContext, life: int) -> str:
        stage.pause(0.2 if life == 0 else 0.4)
        return f"result of life {life}"

    def flow(ctx: task.OrchestrationContext, life: int) -> Any:
        call = ctx.call_activity(slow, input=life)
        if life == 0:
            yield ctx.create_timer(MOMENT)
            ctx.continue_as_new(1)
            return None
        return (yield call)

    stage.worker([flow], [slow])
    return stage.run(flow, 0)


@scenario
def a_new_version(stage: Stage) -> Any:
    def flow(ctx: task.OrchestrationContext, seen: list[Any]) -> Any:
        yield ctx.create_timer(MOMENT)
        seen = [*seen, ctx.version]
        if len(seen) == 1:
            ctx.continue_as_new(seen, new_version="2.0")
        elif len(seen) == 2:
            ctx.continue_as_new(seen)
        else:
            return seen

    stage.worker([flow])
    return stage.run(flow, [], version="1.0")


@scenario
def history_starts_anew(stage: Stage) -> Any:
    def flow(ctx: task.OrchestrationContext, life: int) -> Any:
        for _number in range(3):
            yield ctx.create_timer(timedelta(milliseconds=20))
        if life < 3:
            ctx.continue_as_new(life + 1)

    stage.worker([flow])
    return [stage.run(flow, 0), stage.history().count("TimerFired")]


@scenario
def terminated_between_lives(stage: Stage) -> Any:
    def forever(ctx: task.OrchestrationContext, life: int) -> Any:
        yield ctx.create_timer(MOMENT)
        ctx.continue_as_new(life + 1)

    stage.worker([forever])
    stage.start(forever, 0)
    stage.until(lambda: stage.client.get_orchestration_state("one").get_input() > 2)
    stage.client.terminate_orchestration("one", output="enough")
    outcome = stage.finish()
    before = stage.client.get_orchestration_state("one").get_input()
    stage.pause(0.2)
    return [outcome, stage.client.get_orchestration_state("one").get_input() == before]


@scenario
def children_of_each_life(stage: Stage) -> Any:
    def child(ctx: task.OrchestrationContext, _: Any) -> Any:
        return ctx.instance_id

    def flow(ctx: task.OrchestrationContext, seen: list[str]) -> Any:
        seen = [*seen, (yield ctx.call_sub_orchestrator(child))]
        if len(seen) == 3:
            return seen
        ctx.continue_as_new(seen)

    stage.worker([flow, child])
    return stage.run(flow, [])


@scenario
def a_monitor_with_an_end(stage: Stage) -> Any:
    def check(ctx: task.ActivityContext, number: int) -> str:
        stage.note(number)
        return "healthy" if number < 4 else "down"

    def monitor(ctx: task.OrchestrationContext, number: int) -> Any:
        status = yield ctx.call_activity(check, input=number)
        ctx.set_custom_status({"checks": number + 1, "status": status})
        if status == "down":
            return f"down after {number} checks"
        yield ctx.create_timer(MOMENT)
        ctx.continue_as_new(number + 1)

    stage.worker([monitor], [check])
    return [stage.run(monitor, 0), stage.log]
