"""Retries of activities and sub-orchestrations: counted by attempts, not measured by a clock."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from durabletask import task

from .book import scenario
from .stage import Stage, attempt

SOON = timedelta(milliseconds=20)


def policy(attempts: int, **more: Any) -> task.RetryPolicy:
    return task.RetryPolicy(
        **{"first_retry_interval": SOON, "max_number_of_attempts": attempts, **more}
    )


def retried(stage: Stage, succeeds_at: int, retry_policy: task.RetryPolicy) -> Any:
    """Call an activity that succeeds at an attempt; return the outcome, the attempts and the history."""

    def flaky(ctx: task.ActivityContext, _: Any) -> Any:
        stage.note(ctx.task_id)
        if len(stage.log) < succeeds_at:
            raise ValueError(f"attempt {len(stage.log)}")
        return len(stage.log)

    def ask(ctx: task.OrchestrationContext, _: Any) -> Any:
        return (yield ctx.call_activity(flaky, retry_policy=retry_policy))

    stage.worker([ask], [flaky])
    outcome = stage.run(ask)
    return [outcome, stage.log, stage.history()]


@scenario
def succeeds_at_the_third(stage: Stage) -> Any:
    return retried(stage, 3, policy(5))


@scenario
def succeeds_at_once(stage: Stage) -> Any:
    return retried(stage, 1, policy(5))


@scenario
def exhausted(stage: Stage) -> Any:
    return retried(stage, 9, policy(3))


@scenario
def only_one_attempt(stage: Stage) -> Any:
    return retried(stage, 9, policy(1))


@scenario
def backoff(stage: Stage) -> Any:
    more = {"backoff_coefficient": 2.0, "max_retry_interval": timedelta(milliseconds=60)}
    return retried(stage, 5, policy(5, **more))


@scenario
def without_an_interval(stage: Stage) -> Any:
    return retried(stage, 3, policy(3, first_retry_interval=timedelta(0)))


@scenario
def timeout_before_the_first_retry(stage: Stage) -> Any:
    return retried(stage, 9, policy(9, retry_timeout=timedelta(0)))


@scenario
def timeout_that_is_long(stage: Stage) -> Any:
    return retried(stage, 3, policy(9, retry_timeout=timedelta(minutes=5)))


@scenario
def success_survives_the_retry_timeout(stage: Stage) -> Any:
    """An activity succeeded in time. A turn long after its retry timeout replays it: it still succeeded."""

    def flaky(ctx: task.ActivityContext, _: Any) -> Any:
        stage.note("attempt")
        if len(stage.log) < 2:
            raise ValueError("not yet")
        return "succeeded"

    def ask(ctx: task.OrchestrationContext, _: Any) -> Any:
        limited = policy(3, retry_timeout=timedelta(seconds=2))
        result = yield ctx.call_activity(flaky, retry_policy=limited)
        yield ctx.create_timer(timedelta(seconds=2.5))
        return result

    stage.worker([ask], [flaky])
    return [stage.run(ask), len(stage.log)]


@scenario
def in_a_fan_out(stage: Stage) -> Any:
    tried: dict[int, int] = {}

    def flaky(ctx: task.ActivityContext, item: int) -> int:
        tried[item] = tried.get(item, 0) + 1
        if tried[item] <= item:
            raise ValueError(f"{item} not yet")
        return item

    def fan(ctx: task.OrchestrationContext, _: Any) -> Any:
        calls = [ctx.call_activity(flaky, input=i, retry_policy=policy(4)) for i in range(4)]
        return (yield task.when_all(calls))

    stage.worker([fan], [flaky])
    return [stage.run(fan), tried]


@scenario
def exhausted_in_a_fan_out(stage: Stage) -> Any:
    def flaky(ctx: task.ActivityContext, item: int) -> int:
        stage.note(item)
        if item == 1:
            raise ValueError("never")
        return item

    def fan(ctx: task.OrchestrationContext, _: Any) -> Any:
        calls = [ctx.call_activity(flaky, input=i, retry_policy=policy(2)) for i in range(3)]
        return (yield task.when_all(calls))

    stage.worker([fan], [flaky])
    return [stage.run(fan), sorted(stage.log)]


@scenario
def against_a_timer(stage: Stage) -> Any:
    def never(ctx: task.ActivityContext, _: Any) -> Any:
        raise ValueError("never")

    def impatient(ctx: task.OrchestrationContext, _: Any) -> Any:
        slow = policy(9, first_retry_interval=timedelta(hours=1))
        call = ctx.call_activity(never, retry_policy=slow)
        end = ctx.create_timer(timedelta(milliseconds=100))
        winner = yield task.when_any([call, end])
        return "gave up" if winner == end else "done"

    stage.worker([impatient], [never])
    return stage.run(impatient)


@scenario
def activity_that_is_not_registered(stage: Stage) -> Any:
    def ask(ctx: task.OrchestrationContext, _: Any) -> Any:
        return (yield ctx.call_activity("nobody", retry_policy=policy(2)))

    stage.worker([ask])
    return [stage.run(ask), stage.history()]


@scenario
def sub_orchestration(stage: Stage) -> Any:
    def child(ctx: task.OrchestrationContext, _: Any) -> Any:
        if not ctx.is_replaying:
            stage.note(ctx.instance_id)
        if len(stage.log) < 3:
            raise ValueError("not yet")
        return "at last"

    def parent(ctx: task.OrchestrationContext, _: Any) -> Any:
        return (yield ctx.call_sub_orchestrator(child, retry_policy=policy(4)))

    stage.worker([parent, child])
    return [stage.run(parent), stage.log]


@scenario
def sub_orchestration_exhausted(stage: Stage) -> Any:
    def child(ctx: task.OrchestrationContext, _: Any) -> Any:
        stage.note(ctx.instance_id)
        raise ValueError("never")

    def parent(ctx: task.OrchestrationContext, _: Any) -> Any:
        call = ctx.call_sub_orchestrator(child, instance_id="kid", retry_policy=policy(2))
        return (yield call)

    stage.worker([parent, child])
    return [stage.run(parent), stage.log]


@scenario
def sub_orchestration_keeps_its_version(stage: Stage) -> Any:
    def child(ctx: task.OrchestrationContext, _: Any) -> Any:
        stage.note(ctx.version)
        if len(stage.log) < 2:
            raise ValueError("not yet")
        return ctx.version

    def parent(ctx: task.OrchestrationContext, _: Any) -> Any:
        return (yield ctx.call_sub_orchestrator(child, version="2.1", retry_policy=policy(3)))

    stage.worker([parent, child])
    return [stage.run(parent), stage.log]


@scenario
def input_of_every_attempt(stage: Stage) -> Any:
    def flaky(ctx: task.ActivityContext, value: Any) -> Any:
        stage.note(value)
        if len(stage.log) < 3:
            raise ValueError("not yet")
        return value

    def ask(ctx: task.OrchestrationContext, value: Any) -> Any:
        return (yield ctx.call_activity(flaky, input=value, retry_policy=policy(3)))

    stage.worker([ask], [flaky])
    return [stage.run(ask, {"a": [1]}), stage.log]


@scenario
def sequence_of_retried_calls(stage: Stage) -> Any:
    tried: dict[str, int] = {}

    def flaky(ctx: task.ActivityContext, name: str) -> Any:
        tried[name] = tried.get(name, 0) + 1
        stage.note(name, ctx.task_id)
        if tried[name] < 2:
            raise ValueError("not yet")
        return name

    def ask(ctx: task.OrchestrationContext, _: Any) -> Any:
        first = yield ctx.call_activity(flaky, input="a", retry_policy=policy(2))
        second = yield ctx.call_activity(flaky, input="b", retry_policy=policy(2))
        return [first, second]

    stage.worker([ask], [flaky])
    return [stage.run(ask), stage.log]


@scenario
def policies_that_are_refused(stage: Stage) -> Any:
    wrong: list[dict[str, Any]] = [
        {"first_retry_interval": timedelta(seconds=-1)},
        {"max_number_of_attempts": 0},
        {"backoff_coefficient": 0.5},
        {"max_retry_interval": timedelta(seconds=-1)},
        {"retry_timeout": timedelta(seconds=-1)},
    ]
    return [
        attempt(policy, 3, **more)["raised"]
        if "max_number_of_attempts" not in more
        else attempt(policy, 0)["raised"]
        for more in wrong
    ]


@scenario
def policy_attributes(stage: Stage) -> Any:
    it = policy(3)
    other = policy(3, max_retry_interval=SOON, retry_timeout=SOON, backoff_coefficient=1.5)
    return [
        it.first_retry_interval == SOON,
        it.max_number_of_attempts,
        it.backoff_coefficient,
        it.max_retry_interval,
        it.retry_timeout,
        other.max_retry_interval == SOON,
        other.retry_timeout == SOON,
        other.backoff_coefficient,
    ]
