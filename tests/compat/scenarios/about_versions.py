"""Versions that a worker takes, and work that its filters let in."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from durabletask import task, worker
from durabletask.worker import VersionFailureStrategy as Failure, VersionMatchStrategy as Match

from .book import scenario
from .stage import Stage, attempt

SOON = 2.5


def version(ctx: task.OrchestrationContext, _: Any) -> Any:
    return ctx.version


def asked_for(
    stage: Stage,
    own: str | None,
    match: Match | None,
    failure: Failure | None,
    versions: list[str | None],
    timeout: float = 5.0,
) -> Any:
    """Run an orchestration of each version on a worker; tell its status, its version and its type of failure."""
    options = worker.VersioningOptions(version=own, match_strategy=match, failure_strategy=failure)
    stage.worker([version], versioning=options)
    answers = []
    for number, asked in enumerate(versions):
        outcome = stage.run(version, id=f"v{number}", version=asked, timeout=timeout)
        if "still" in outcome:
            answers.append("not taken")
        elif "failure" in outcome:
            answers.append(["FAILED", outcome["failure"]["type"]])
        else:
            answers.append([outcome["status"], outcome.get("output")])
    return answers


@scenario
def none_takes_all(stage: Stage) -> Any:
    return asked_for(stage, "1.0", Match.NONE, Failure.FAIL, ["1.0", "2.0", "abc", None])


@scenario
def strict_fails_others(stage: Stage) -> Any:
    asked = ["1.0.0", "1.0", "2.0.0", "0.9", None]
    return asked_for(stage, "1.0.0", Match.STRICT, Failure.FAIL, asked)


@scenario
def strict_without_a_version(stage: Stage) -> Any:
    return asked_for(stage, None, Match.STRICT, Failure.FAIL, [None, "1.0"])


@scenario
def current_or_older(stage: Stage) -> Any:
    asked = ["2.0.0", "1.9", "1.10", "10", "2.0.1", None, "abc"]
    return asked_for(stage, "2.0.0", Match.CURRENT_OR_OLDER, Failure.FAIL, asked)


@scenario
def current_or_older_without_a_version(stage: Stage) -> Any:
    return asked_for(stage, None, Match.CURRENT_OR_OLDER, Failure.FAIL, [None, "1"])


@scenario
def strict_rejects_others(stage: Stage) -> Any:
    return asked_for(stage, "1.0", Match.STRICT, Failure.REJECT, ["1.0", "2.0"], timeout=SOON)


@scenario
def another_worker_takes_what_one_rejects(stage: Stage) -> Any:
    def taken_by(name: str) -> Any:
        def taken(ctx: task.OrchestrationContext, _: Any) -> Any:
            return [name, ctx.version]

        return taken

    for own in ("1.0", "2.0"):
        options = worker.VersioningOptions(
            version=own, match_strategy=Match.STRICT, failure_strategy=Failure.REJECT
        )
        stage.worker([taken_by(own)], versioning=options)
    asked = ["1.0", "2.0", "1.0", "2.0"]
    return [
        stage.run("taken", id=f"v{number}", version=one, timeout=8)
        for number, one in enumerate(asked)
    ]


@scenario
def failure_strategy_left_out(stage: Stage) -> Any:
    return asked_for(stage, "1.0", Match.STRICT, None, ["1.0", "2.0"], timeout=SOON)


@scenario
def match_strategy_left_out(stage: Stage) -> Any:
    return asked_for(stage, "1.0", None, Failure.FAIL, ["1.0", "2.0"], timeout=SOON)


@scenario
def in_flight_while_the_next_version_comes(stage: Stage) -> Any:
    """The worker is deployed anew with code for both versions; what is in flight keeps its path."""

    def hello(ctx: task.ActivityContext, _: Any) -> str:
        return "hello"

    def goodbye(ctx: task.ActivityContext, _: Any) -> str:
        return "goodbye"

    def first_code() -> Any:
        def flow(ctx: task.OrchestrationContext, _: Any) -> Any:
            said = [(yield ctx.call_activity(hello))]
            yield ctx.wait_for_external_event("go")
            return said

        return flow

    def second_code() -> Any:
        def flow(ctx: task.OrchestrationContext, _: Any) -> Any:
            said = [(yield ctx.call_activity(hello))]
            yield ctx.wait_for_external_event("go")
            if ctx.version == "2.0":
                said.append((yield ctx.call_activity(goodbye)))
            return said

        return flow

    before = stage.worker([first_code()], [hello])
    stage.start("flow", id="old", version="1.0")
    stage.until(lambda: "TaskCompleted" in stage.history("old"))
    before.stop()
    stage.worker([second_code()], [hello, goodbye])
    stage.start("flow", id="new", version="2.0")
    for id in ("old", "new"):
        stage.client.raise_orchestration_event(id, "go")
    return [stage.finish("old"), stage.finish("new")]


# ---------------------------------------------------------------- filters


def echo(ctx: task.ActivityContext, value: Any) -> Any:
    return value


def calls(ctx: task.OrchestrationContext, value: Any) -> Any:
    return (yield ctx.call_activity(echo, input=value))


def other(ctx: task.OrchestrationContext, _: Any) -> Any:
    return "other"


def filtered(stage: Stage, *filters: Any, **options: Any) -> worker.TaskHubGrpcWorker:
    it = stage.worker([calls, other], [echo], start=False, **options)
    it.use_work_item_filters(*filters)
    it.start()
    return it


@scenario
def filters_made_from_what_is_registered(stage: Stage) -> Any:
    filtered(stage)
    stage.start("nobody", id="nobody")
    outcome = stage.run(calls, 5)
    stage.pause(0.3)
    return [outcome, stage.status("nobody")]


@scenario
def filters_of_some_orchestrations(stage: Stage) -> Any:
    only = worker.WorkItemFilters(
        orchestrations=[worker.OrchestrationWorkItemFilter("calls")],
        activities=[worker.ActivityWorkItemFilter("echo")],
    )
    filtered(stage, only)
    stage.start(other, id="other")
    outcome = stage.run(calls, 5)
    stage.pause(0.3)
    return [outcome, stage.status("other")]


@scenario
def filters_without_activities(stage: Stage) -> Any:
    only = worker.WorkItemFilters(orchestrations=[worker.OrchestrationWorkItemFilter("calls")])
    filtered(stage, only)
    return [stage.run(calls, 5, timeout=1), stage.history()]


@scenario
def filters_of_versions(stage: Stage) -> Any:
    only = worker.WorkItemFilters(
        orchestrations=[worker.OrchestrationWorkItemFilter("other", ["1.0", ""])]
    )
    filtered(stage, only)
    stage.start(other, id="two", version="2.0")
    answers = [stage.run(other, id="one", version="1.0"), stage.run(other, id="none")]
    stage.pause(0.3)
    return [answers, stage.status("two")]


@scenario
def filters_cleared(stage: Stage) -> Any:
    it = stage.worker([other], start=False)
    it.use_work_item_filters(worker.WorkItemFilters())
    it.use_work_item_filters(None)
    it.start()
    return stage.run(other)


@scenario
def filters_of_another_type(stage: Stage) -> Any:
    it = stage.worker([other], start=False)
    return attempt(it.use_work_item_filters, {"orchestrations": ["other"]})["raised"]


@scenario
def filters_share_the_work_of_two_workers(stage: Stage) -> Any:
    def heavy(ctx: task.ActivityContext, _: Any) -> str:
        stage.note("heavy")
        return "heavy"

    def light(ctx: task.ActivityContext, _: Any) -> str:
        stage.note("light")
        return "light"

    def both(ctx: task.OrchestrationContext, _: Any) -> Any:
        return (yield task.when_all([ctx.call_activity(heavy), ctx.call_activity(light)]))

    for orchestrators, activities in (([both], [light]), ([], [heavy])):
        it = stage.worker(orchestrators, activities, start=False)
        it.use_work_item_filters()
        it.start()
    return [stage.run(both), sorted(stage.log)]


@scenario
def filters_strict_with_a_version(stage: Stage) -> Any:
    options = worker.VersioningOptions(
        version="1.0", match_strategy=Match.STRICT, failure_strategy=Failure.FAIL
    )
    filtered(stage, versioning=options)
    stage.start(other, id="two", version="2.0")
    outcome = stage.run(other, version="1.0")
    stage.pause(0.3)
    return [outcome, stage.status("two")]


@scenario
def few_activities_at_a_time(stage: Stage) -> Any:
    """A limit on activities bounds how many run at once, and all of them run."""
    running: list[int] = []
    most = [0]

    def slow(ctx: task.ActivityContext, number: int) -> int:
        running.append(number)
        most[0] = max(most[0], len(running))
        stage.pause(0.03)
        running.remove(number)
        return number

    def fan(ctx: task.OrchestrationContext, _: Any) -> Any:
        return (yield task.when_all([ctx.call_activity(slow, input=n) for n in range(8)]))

    limits = worker.ConcurrencyOptions(
        maximum_concurrent_activity_work_items=2, maximum_thread_pool_workers=8
    )
    stage.worker([fan], [slow], concurrency_options=limits)
    return [stage.run(fan), most[0] <= 2]


@scenario
def one_thread_is_enough(stage: Stage) -> Any:
    def nap(ctx: task.ActivityContext, number: int) -> int:
        stage.pause(0.01)
        return number

    def fan(ctx: task.OrchestrationContext, _: Any) -> Any:
        yield ctx.create_timer(timedelta(milliseconds=20))
        return (yield task.when_all([ctx.call_activity(nap, input=n) for n in range(6)]))

    limits = worker.ConcurrencyOptions(maximum_thread_pool_workers=1)
    stage.worker([fan], [nap], concurrency_options=limits)
    return stage.run(fan)
