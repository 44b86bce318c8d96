"""Timers: relative and absolute, past and far, cancelled and chunked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from durabletask import task

from .book import scenario
from .stage import Stage

MOMENT = timedelta(milliseconds=100)


def flow(stage: Stage, orchestrator: Any, **options: Any) -> Any:
    stage.worker([orchestrator], **options)
    return [stage.run(orchestrator), stage.history()]


@scenario
def relative(stage: Stage) -> Any:
    def wait(ctx: task.OrchestrationContext, _: Any) -> Any:
        before = ctx.current_utc_datetime
        result = yield ctx.create_timer(MOMENT)
        return [result, ctx.current_utc_datetime - before >= MOMENT]

    return flow(stage, wait)


@scenario
def absolute(stage: Stage) -> Any:
    def wait(ctx: task.OrchestrationContext, _: Any) -> Any:
        due = ctx.current_utc_datetime + MOMENT
        yield ctx.create_timer(due)
        return ctx.current_utc_datetime >= due

    return flow(stage, wait)


@scenario
def aware(stage: Stage) -> Any:
    def wait(ctx: task.OrchestrationContext, _: Any) -> Any:
        zone = timezone(timedelta(hours=2))
        due = ctx.current_utc_datetime.replace(tzinfo=UTC) + MOMENT
        yield ctx.create_timer(due.astimezone(zone))
        return ctx.current_utc_datetime.replace(tzinfo=UTC) >= due

    return flow(stage, wait)


@scenario
def past(stage: Stage) -> Any:
    def wait(ctx: task.OrchestrationContext, _: Any) -> Any:
        yield ctx.create_timer(datetime(2020, 1, 1))
        yield ctx.create_timer(timedelta(seconds=-5))
        return "at once"

    return flow(stage, wait)


@scenario
def zero(stage: Stage) -> Any:
    def wait(ctx: task.OrchestrationContext, _: Any) -> Any:
        for _number in range(3):
            yield ctx.create_timer(timedelta(0))
        return "at once"

    return flow(stage, wait)


@scenario
def in_order_of_time(stage: Stage) -> Any:
    def wait(ctx: task.OrchestrationContext, _: Any) -> Any:
        waits = {name: ctx.create_timer(MOMENT * n) for name, n in (("c", 5), ("a", 1), ("b", 3))}
        order = []
        while waits:
            winner = yield task.when_any(list(waits.values()))
            for name, timer in list(waits.items()):
                if timer == winner:
                    order.append(name)
                    del waits[name]
        return order

    return flow(stage, wait)


@scenario
def all_of_several(stage: Stage) -> Any:
    def wait(ctx: task.OrchestrationContext, _: Any) -> Any:
        results = yield task.when_all([ctx.create_timer(MOMENT), ctx.create_timer(MOMENT * 2)])
        return len(results)

    return flow(stage, wait)


@scenario
def cancelled(stage: Stage) -> Any:
    def wait(ctx: task.OrchestrationContext, _: Any) -> Any:
        far = ctx.create_timer(timedelta(hours=1))
        near = ctx.create_timer(timedelta(milliseconds=20))
        yield near
        first, second = far.cancel(), far.cancel()
        answers = [first, second, far.is_complete, far.is_cancelled, far.is_failed]
        try:
            far.get_result()
        except task.TaskCancelledError:
            answers.append("TaskCancelledError")
        return answers

    return flow(stage, wait)


@scenario
def cancelled_in_its_own_turn(stage: Stage) -> Any:
    def wait(ctx: task.OrchestrationContext, _: Any) -> Any:
        ctx.create_timer(timedelta(hours=1)).cancel()
        yield ctx.create_timer(timedelta(milliseconds=20))
        return "done"

    return flow(stage, wait)


@scenario
def cancelled_after_it_fired(stage: Stage) -> Any:
    def wait(ctx: task.OrchestrationContext, _: Any) -> Any:
        timer = ctx.create_timer(timedelta(milliseconds=20))
        yield timer
        return [timer.cancel(), timer.is_cancelled, timer.is_complete]

    return flow(stage, wait)


@scenario
def cancelled_and_waited_for(stage: Stage) -> Any:
    def wait(ctx: task.OrchestrationContext, _: Any) -> Any:
        timer = ctx.create_timer(timedelta(hours=1))
        timer.cancel()
        try:
            yield timer
        except task.TaskCancelledError as error:
            return type(error).__name__

    stage.worker([wait])
    return stage.run(wait, timeout=6)


@scenario
def cancelled_when_the_other_won(stage: Stage) -> Any:
    def wait(ctx: task.OrchestrationContext, _: Any) -> Any:
        event = ctx.wait_for_external_event("go")
        timer = ctx.create_timer(timedelta(hours=1))
        winner = yield task.when_any([event, timer])
        if winner == event:
            timer.cancel()
        return [winner.get_result(), timer.is_cancelled]

    stage.worker([wait])
    stage.start(wait)
    stage.client.raise_orchestration_event("one", "go", data="gone")
    return stage.finish()


@scenario
def chunked(stage: Stage) -> Any:
    def wait(ctx: task.OrchestrationContext, _: Any) -> Any:
        before = ctx.current_utc_datetime
        yield ctx.create_timer(timedelta(milliseconds=1950))
        return ctx.current_utc_datetime - before >= timedelta(milliseconds=1950)

    return flow(stage, wait, maximum_timer_interval=timedelta(milliseconds=500))


@scenario
def chunked_and_cancelled(stage: Stage) -> Any:
    def wait(ctx: task.OrchestrationContext, _: Any) -> Any:
        timer = ctx.create_timer(timedelta(hours=1))
        yield ctx.create_timer(timedelta(milliseconds=50))
        return [timer.cancel(), timer.is_cancelled]

    stage.worker([wait], maximum_timer_interval=timedelta(milliseconds=200))
    return stage.run(wait)


@scenario
def not_chunked_without_a_limit(stage: Stage) -> Any:
    def wait(ctx: task.OrchestrationContext, _: Any) -> Any:
        yield ctx.create_timer(MOMENT * 3)
        return "done"

    return flow(stage, wait, maximum_timer_interval=None)


@scenario
def never_waited_for(stage: Stage) -> Any:
    def forget(ctx: task.OrchestrationContext, _: Any) -> Any:
        ctx.create_timer(timedelta(hours=1))
        yield ctx.create_timer(timedelta(milliseconds=20))
        return "done"

    return flow(stage, forget)


@scenario
def longer_than_a_worker_lives(stage: Stage) -> Any:
    def wait(ctx: task.OrchestrationContext, _: Any) -> Any:
        yield ctx.create_timer(timedelta(seconds=1.5))
        return "done"

    first = stage.worker([wait])
    stage.start(wait)
    stage.until(lambda: "TimerCreated" in stage.history())
    first.stop()
    stage.pause(1.6)
    before = stage.status()
    stage.worker([wait])
    return [before, stage.finish()]


@scenario
def clock_is_naive_and_stands_still_within_a_turn(stage: Stage) -> Any:
    def look(ctx: task.OrchestrationContext, _: Any) -> Any:
        first = ctx.current_utc_datetime
        stage.pause(0.05)
        second = ctx.current_utc_datetime
        yield ctx.create_timer(timedelta(milliseconds=20))
        third = ctx.current_utc_datetime
        return [first.tzinfo is None, first == second, third > first]

    return flow(stage, look)
