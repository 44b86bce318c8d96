"""Tasks and their combinations: all of several, any of several, and what a task says of itself."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from durabletask import task

from .book import scenario
from .stage import Stage, attempt, told

MOMENT = timedelta(milliseconds=50)


def echo(ctx: task.ActivityContext, value: Any) -> Any:
    return value


def fail(ctx: task.ActivityContext, value: Any) -> Any:
    raise ValueError(f"failed {value}")


def flow(stage: Stage, orchestrator: Any, timeout: float = 20.0) -> Any:
    stage.worker([orchestrator], [echo, fail])
    return stage.run(orchestrator, timeout=timeout)


@scenario
def all_in_order_of_arguments(stage: Stage) -> Any:
    def combine(ctx: task.OrchestrationContext, _: Any) -> Any:
        late = ctx.wait_for_external_event("late")
        early = ctx.call_activity(echo, input="early")
        timer = ctx.create_timer(MOMENT)
        return (yield task.when_all([late, early, timer]))

    stage.start("combine")
    stage.client.raise_orchestration_event("one", "late", data="late")
    stage.worker([combine], [echo])
    return stage.finish()


@scenario
def all_of_nothing(stage: Stage) -> Any:
    def combine(ctx: task.OrchestrationContext, _: Any) -> Any:
        return (yield task.when_all([]))

    return flow(stage, combine, timeout=6)


@scenario
def any_of_nothing(stage: Stage) -> Any:
    def combine(ctx: task.OrchestrationContext, _: Any) -> Any:
        return (yield task.when_any([]))

    outcome = flow(stage, combine, timeout=6)
    return outcome if "still" in outcome else [outcome["status"], outcome["failure"]["type"]]


@scenario
def all_waits_for_all(stage: Stage) -> Any:
    def combine(ctx: task.OrchestrationContext, _: Any) -> Any:
        before = ctx.current_utc_datetime
        bad, timer = ctx.call_activity(fail, input=1), ctx.create_timer(MOMENT * 4)
        try:
            yield task.when_all([bad, timer])
        except task.TaskFailedError as error:
            waited = ctx.current_utc_datetime - before >= MOMENT * 4
            return [error.details.message, timer.is_complete, waited]

    return flow(stage, combine)


@scenario
def all_raises_the_first_in_time(stage: Stage) -> Any:
    def combine(ctx: task.OrchestrationContext, _: Any) -> Any:
        slow, quick = ctx.call_sub_orchestrator("slow"), ctx.call_activity(fail, input="quick")
        try:
            yield task.when_all([slow, quick])
        except task.TaskFailedError as error:
            return error.details.message

    def slow(ctx: task.OrchestrationContext, _: Any) -> Any:
        yield ctx.create_timer(MOMENT * 4)
        raise ValueError("failed slowly")

    stage.worker([combine, slow], [fail])
    return stage.run(combine)


@scenario
def any_of_several(stage: Stage) -> Any:
    def combine(ctx: task.OrchestrationContext, _: Any) -> Any:
        never = ctx.wait_for_external_event("never")
        quick = ctx.call_activity(echo, input="quick")
        winner = yield task.when_any([never, quick])
        return [winner == quick, winner is quick, winner.get_result(), never.is_complete]

    return flow(stage, combine)


@scenario
def any_with_a_failure(stage: Stage) -> Any:
    def combine(ctx: task.OrchestrationContext, _: Any) -> Any:
        never = ctx.wait_for_external_event("never")
        bad = ctx.call_activity(fail, input=1)
        winner = yield task.when_any([never, bad])
        answers = [winner == bad, winner.is_failed, told(winner.get_exception().details)]
        try:
            winner.get_result()
        except task.TaskFailedError as error:
            answers.append(error.details.message)
        return answers

    return flow(stage, combine)


@scenario
def losers_go_on(stage: Stage) -> Any:
    def combine(ctx: task.OrchestrationContext, _: Any) -> Any:
        quick, slow = ctx.create_timer(MOMENT), ctx.create_timer(MOMENT * 4)
        winner = yield task.when_any([slow, quick])
        first = winner == quick
        yield slow
        return [first, slow.is_complete]

    return flow(stage, combine)


@scenario
def any_of_what_is_complete(stage: Stage) -> Any:
    def combine(ctx: task.OrchestrationContext, _: Any) -> Any:
        first = ctx.call_activity(echo, input="first")
        yield first
        never = ctx.wait_for_external_event("never")
        winner = yield task.when_any([never, first])
        return [winner == first, (yield first), (yield first)]

    return flow(stage, combine, timeout=6)


@scenario
def all_of_what_is_complete(stage: Stage) -> Any:
    def combine(ctx: task.OrchestrationContext, _: Any) -> Any:
        first = ctx.call_activity(echo, input="first")
        second = ctx.call_activity(echo, input="second")
        yield first
        yield second
        return (yield task.when_all([second, first]))

    return flow(stage, combine, timeout=6)


@scenario
def the_same_task_twice(stage: Stage) -> Any:
    def combine(ctx: task.OrchestrationContext, _: Any) -> Any:
        one = ctx.call_activity(echo, input=1)
        return (yield task.when_all([one, one]))

    return flow(stage, combine, timeout=6)


@scenario
def shared_between_groups(stage: Stage) -> Any:
    def combine(ctx: task.OrchestrationContext, _: Any) -> Any:
        a, b, c = (ctx.call_activity(echo, input=name) for name in "abc")
        left, right = task.when_all([a, b]), task.when_all([b, c])
        return [(yield left), (yield right)]

    return flow(stage, combine)


@scenario
def all_of_alls(stage: Stage) -> Any:
    def combine(ctx: task.OrchestrationContext, _: Any) -> Any:
        groups = [
            task.when_all([ctx.call_activity(echo, input=10 * n + m) for m in range(2)])
            for n in range(3)
        ]
        return (yield task.when_all(groups))

    return flow(stage, combine)


@scenario
def any_of_alls(stage: Stage) -> Any:
    def combine(ctx: task.OrchestrationContext, _: Any) -> Any:
        never = task.when_all([ctx.call_activity(echo), ctx.wait_for_external_event("never")])
        both = task.when_all([ctx.call_activity(echo, input=n) for n in (1, 2)])
        winner = yield task.when_any([never, both])
        return [winner == both, winner.get_result()]

    return flow(stage, combine)


@scenario
def all_of_anys(stage: Stage) -> Any:
    def combine(ctx: task.OrchestrationContext, _: Any) -> Any:
        def race(value: Any) -> Any:
            call = ctx.call_activity(echo, input=value)
            return task.when_any([call, ctx.wait_for_external_event("never")])

        winners = yield task.when_all([race("a"), race("b")])
        return [winner.get_result() for winner in winners]

    return flow(stage, combine)


@scenario
def before_and_after(stage: Stage) -> Any:
    def ask(ctx: task.OrchestrationContext, _: Any) -> Any:
        call = ctx.call_activity(echo, input=5)
        before = [call.is_complete, call.is_failed, attempt(call.get_result)]
        yield call
        return [before, call.is_complete, call.is_failed, call.get_result(), call.result]

    return flow(stage, ask)


@scenario
def exception_of_a_success(stage: Stage) -> Any:
    def ask(ctx: task.OrchestrationContext, _: Any) -> Any:
        call = ctx.call_activity(echo, input=5)
        before = attempt(call.get_exception)
        yield call
        return [before["raised"], attempt(call.get_exception)["raised"]]

    return flow(stage, ask)


@scenario
def caught_and_gone_on(stage: Stage) -> Any:
    def ask(ctx: task.OrchestrationContext, _: Any) -> Any:
        answers = []
        for name in (fail, echo, fail, echo):
            try:
                answers.append((yield ctx.call_activity(name, input=len(answers))))
            except task.TaskFailedError as error:
                answers.append(error.details.message)
        return answers

    return flow(stage, ask)


@scenario
def parts_of_a_group(stage: Stage) -> Any:
    def ask(ctx: task.OrchestrationContext, _: Any) -> Any:
        calls = [ctx.call_activity(echo, input=n) for n in range(3)]
        group = task.when_all(calls)
        before = [group.get_completed_tasks(), group.pending_tasks, len(group.get_tasks())]
        yield group
        return [before, group.get_completed_tasks(), group.pending_tasks, group.is_complete]

    return flow(stage, ask)


@scenario
def first_two_of_three(stage: Stage) -> Any:
    def quorum(ctx: task.OrchestrationContext, _: Any) -> Any:
        votes = [ctx.wait_for_external_event(f"vote{n}") for n in range(3)]
        seen = []
        while len(seen) < 2:
            winner = yield task.when_any([vote for vote in votes if vote not in seen])
            seen.append(winner)
        return [vote.get_result() for vote in seen]

    stage.worker([quorum])
    stage.start(quorum)
    for name in ("vote2", "vote0"):
        stage.client.raise_orchestration_event("one", name, data=name)
    return stage.finish()


@scenario
def yield_from_a_helper(stage: Stage) -> Any:
    def twice(ctx: task.OrchestrationContext, value: Any) -> Any:
        first = yield ctx.call_activity(echo, input=value)
        second = yield ctx.call_activity(echo, input=value)
        return [first, second]

    def ask(ctx: task.OrchestrationContext, _: Any) -> Any:
        left = yield from twice(ctx, "l")
        return left + (yield from twice(ctx, "r"))

    return flow(stage, ask)
