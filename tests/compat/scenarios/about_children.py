"""Sub-orchestrations: ids, versions, failures, and what a parent's end means for them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from durabletask import task, worker

from .book import scenario
from .stage import Stage


@dataclass
class Result:
    value: int


DEFAULT_SEVEN = worker.VersioningOptions(
    default_version="7.0",
    match_strategy=worker.VersionMatchStrategy.NONE,
    failure_strategy=worker.VersionFailureStrategy.FAIL,
)


def who(ctx: task.OrchestrationContext, _: Any) -> Any:
    return [ctx.instance_id, ctx.parent_instance_id, ctx.version]


def waits(ctx: task.OrchestrationContext, _: Any) -> Any:
    return (yield ctx.wait_for_external_event("go"))


def calling(name: str = "who", count: int = 1, **options: Any) -> Any:
    def parent(ctx: task.OrchestrationContext, _: Any) -> Any:
        calls = [ctx.call_sub_orchestrator(name, **options) for _number in range(count)]
        return (yield task.when_all(calls))

    return parent


@scenario
def default_ids(stage: Stage) -> Any:
    parent = calling(count=3)
    stage.worker([parent, who])
    outcome = stage.run(parent)
    return [[answer[0] for answer in outcome["output"]], stage.history()]


@scenario
def default_ids_count_all_actions(stage: Stage) -> Any:
    def parent(ctx: task.OrchestrationContext, _: Any) -> Any:
        yield ctx.create_timer(timedelta(milliseconds=20))
        first = yield ctx.call_sub_orchestrator(who)
        yield ctx.create_timer(timedelta(milliseconds=20))
        return [first[0], (yield ctx.call_sub_orchestrator(who))[0]]

    stage.worker([parent, who])
    return stage.run(parent)


@scenario
def chosen_id(stage: Stage) -> Any:
    parent = calling(instance_id="my-child")
    stage.worker([parent, who])
    outcome = stage.run(parent)
    return [outcome["output"][0][0], stage.status("my-child")]


@scenario
def parent_id(stage: Stage) -> Any:
    parent = calling()
    stage.worker([parent, who])
    alone = stage.run(who, id="alone")
    return [alone["output"][1], stage.run(parent)["output"][0][1]]


@scenario
def chosen_version(stage: Stage) -> Any:
    parent = calling(version="3.1")
    stage.worker([parent, who])
    return [answer[2] for answer in stage.run(parent)["output"]]


@scenario
def version_of_the_parent_is_not_inherited(stage: Stage) -> Any:
    parent = calling()
    stage.worker([parent, who])
    return [answer[2] for answer in stage.run(parent, version="1.0")["output"]]


@scenario
def default_version_of_the_worker(stage: Stage) -> Any:
    parent = calling()
    stage.worker([parent, who], versioning=DEFAULT_SEVEN)
    return [answer[2] for answer in stage.run(parent, version="1.0")["output"]]


@scenario
def typed_result(stage: Stage) -> Any:
    def child(ctx: task.OrchestrationContext, _: Any) -> Any:
        return Result(5)

    def parent(ctx: task.OrchestrationContext, _: Any) -> Any:
        typed = yield ctx.call_sub_orchestrator(child, return_type=Result)
        raw = yield ctx.call_sub_orchestrator(child)
        return [type(typed).__name__, typed.value, raw == {"value": 5}]

    stage.worker([parent, child])
    return stage.run(parent)


@scenario
def typed_input(stage: Stage) -> Any:
    def child(ctx: task.OrchestrationContext, given: Result) -> Any:
        return [type(given).__name__, given.value]

    def parent(ctx: task.OrchestrationContext, _: Any) -> Any:
        return (yield ctx.call_sub_orchestrator(child, input=Result(9)))

    stage.worker([parent, child])
    return stage.run(parent)


@scenario
def failure_is_caught(stage: Stage) -> Any:
    def child(ctx: task.OrchestrationContext, _: Any) -> Any:
        raise KeyError("lost")

    def parent(ctx: task.OrchestrationContext, _: Any) -> Any:
        try:
            yield ctx.call_sub_orchestrator(child)
        except task.TaskFailedError as error:
            return [str(error), error.details.error_type, error.details.message]

    stage.worker([parent, child])
    return stage.run(parent)


@scenario
def failure_with_a_cause(stage: Stage) -> Any:
    def child(ctx: task.OrchestrationContext, _: Any) -> Any:
        raise RuntimeError("outer") from KeyError("inner")

    parent = calling("child")
    stage.worker([parent, child])
    return stage.run(parent)


@scenario
def child_returns_nothing(stage: Stage) -> Any:
    def child(ctx: task.OrchestrationContext, _: Any) -> Any:
        yield ctx.create_timer(timedelta(milliseconds=20))

    parent = calling("child")
    stage.worker([parent, child])
    return stage.run(parent)


@scenario
def child_waits_for_an_event(stage: Stage) -> Any:
    parent = calling("waits", instance_id="kid")
    stage.worker([parent, waits])
    stage.start(parent)
    stage.until_status("RUNNING", "kid")
    stage.client.raise_orchestration_event("kid", "go", data="news")
    return stage.finish()


@scenario
def child_is_terminated(stage: Stage) -> Any:
    parent = calling("waits", instance_id="kid")
    stage.worker([parent, waits])
    stage.start(parent)
    stage.until_status("RUNNING", "kid")
    stage.client.terminate_orchestration("kid")
    return [stage.finish("kid"), stage.finish(timeout=6)]


@scenario
def fire_and_forget(stage: Stage) -> Any:
    def child(ctx: task.OrchestrationContext, _: Any) -> Any:
        yield ctx.create_timer(timedelta(milliseconds=100))
        return "alone"

    def parent(ctx: task.OrchestrationContext, _: Any) -> Any:
        ctx.call_sub_orchestrator(child, instance_id="kid")
        return "gone"

    stage.worker([parent, child])
    outcome = stage.run(parent)
    stage.until(lambda: stage.status("kid"))
    return [outcome, stage.finish("kid"), stage.outcome_of()]


@scenario
def child_continues_as_new(stage: Stage) -> Any:
    def child(ctx: task.OrchestrationContext, count: int) -> Any:
        yield ctx.create_timer(timedelta(milliseconds=20))
        if count < 3:
            ctx.continue_as_new(count + 1)
            return None
        return [count, ctx.parent_instance_id]

    parent = calling("child", input=0)
    stage.worker([parent, child])
    return stage.run(parent)


@scenario
def three_generations(stage: Stage) -> Any:
    def tree(ctx: task.OrchestrationContext, depth: int) -> Any:
        if depth == 0:
            return [ctx.instance_id]
        below = [ctx.call_sub_orchestrator(tree, input=depth - 1) for _number in range(2)]
        return sum((yield task.when_all(below)), [ctx.instance_id])

    stage.worker([tree])
    return stage.run(tree, 2)


@scenario
def many(stage: Stage) -> Any:
    def child(ctx: task.OrchestrationContext, number: int) -> Any:
        yield ctx.create_timer(timedelta(milliseconds=20))
        return number

    def parent(ctx: task.OrchestrationContext, count: int) -> Any:
        calls = [ctx.call_sub_orchestrator(child, input=n) for n in range(count)]
        return (yield task.when_all(calls))

    stage.worker([parent, child])
    return stage.run(parent, 40)


@scenario
def generator_and_plain_and_activity_together(stage: Stage) -> Any:
    def plain(ctx: task.OrchestrationContext, value: int) -> int:
        return value + 1

    def add(ctx: task.ActivityContext, value: int) -> int:
        return value + 10

    def parent(ctx: task.OrchestrationContext, _: Any) -> Any:
        child, call = ctx.call_sub_orchestrator(plain, input=1), ctx.call_activity(add, input=1)
        return (yield task.when_all([child, call]))

    stage.worker([parent, plain], [add])
    return stage.run(parent)


@scenario
def terminated_with_its_children(stage: Stage) -> Any:
    parent = calling("waits", instance_id="kid")
    stage.worker([parent, waits])
    stage.start(parent)
    stage.until_status("RUNNING", "kid")
    stage.client.terminate_orchestration("one", output="over")
    ended = stage.until_status("TERMINATED", "kid", timeout=6)
    return [stage.finish(), ended]


@scenario
def terminated_without_its_children(stage: Stage) -> Any:
    parent = calling("waits", instance_id="kid")
    stage.worker([parent, waits])
    stage.start(parent)
    stage.until_status("RUNNING", "kid")
    stage.client.terminate_orchestration("one", recursive=False)
    outcome = stage.finish()
    stage.pause(0.2)
    return [outcome, stage.status("kid")]


@scenario
def purged_with_its_children(stage: Stage) -> Any:
    parent = calling("who", instance_id="kid")
    stage.worker([parent, who])
    stage.run(parent)
    count = stage.client.purge_orchestration("one").deleted_instance_count
    return [count, stage.status(), stage.status("kid")]


@scenario
def purged_without_its_children(stage: Stage) -> Any:
    parent = calling("who", instance_id="kid")
    stage.worker([parent, who])
    stage.run(parent)
    count = stage.client.purge_orchestration("one", recursive=False).deleted_instance_count
    return [count, stage.status(), stage.status("kid")]


@scenario
def id_of_a_running_orchestration(stage: Stage) -> Any:
    parent = calling("waits", instance_id="kid")
    stage.worker([parent, waits])
    stage.start(waits, id="kid")
    stage.until_status("RUNNING", "kid")
    outcome = stage.run(parent, timeout=6)
    if "failure" in outcome:
        return [outcome["status"], stage.status("kid")]
    return [outcome, stage.status("kid")]


@scenario
def id_of_a_finished_orchestration(stage: Stage) -> Any:
    parent = calling("who", instance_id="kid")
    stage.worker([parent, who])
    stage.run(who, id="kid")
    outcome = stage.run(parent, timeout=6)
    return outcome if "output" not in outcome else [outcome["output"][0][0], outcome["status"]]
