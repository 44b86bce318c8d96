"""What a client does to orchestrations: suspend, resume, terminate, purge, rewind, restart."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from durabletask import client, task

from .book import scenario
from .stage import Stage, attempt

COMPLETED = client.OrchestrationStatus.COMPLETED
FAILED = client.OrchestrationStatus.FAILED
TERMINATED = client.OrchestrationStatus.TERMINATED
RUNNING = client.OrchestrationStatus.RUNNING


def waits(ctx: task.OrchestrationContext, _: Any) -> Any:
    return (yield ctx.wait_for_external_event("go"))


def gives(ctx: task.OrchestrationContext, value: Any) -> Any:
    return value


def running(stage: Stage, *ids: str) -> None:
    stage.worker([waits, gives])
    for id in ids:
        stage.start(waits, id=id)
        stage.until_status("RUNNING", id)


# ---------------------------------------------------------------- suspend and resume


@scenario
def suspended_and_resumed(stage: Stage) -> Any:
    running(stage, "one")
    stage.client.suspend_orchestration("one", reason="lunch")
    suspended = stage.until_status("SUSPENDED")
    stage.client.raise_orchestration_event("one", "go", data="buffered")
    stage.pause(0.1)
    meanwhile = stage.status()
    stage.client.resume_orchestration("one", reason="back")
    return [suspended, meanwhile, stage.finish()]


@scenario
def suspended_twice(stage: Stage) -> Any:
    running(stage, "one")
    for _number in range(2):
        stage.client.suspend_orchestration("one")
    suspended = stage.until_status("SUSPENDED")
    stage.client.resume_orchestration("one")
    resumed = stage.until_status("RUNNING", timeout=6)
    stage.client.raise_orchestration_event("one", "go", data=1)
    return [suspended, resumed, stage.finish(timeout=6)]


@scenario
def resumed_without_being_suspended(stage: Stage) -> Any:
    running(stage, "one")
    stage.client.resume_orchestration("one")
    stage.client.raise_orchestration_event("one", "go", data=1)
    return stage.finish()


@scenario
def suspended_while_an_activity_runs(stage: Stage) -> Any:
    def slow(ctx: task.ActivityContext, name: str) -> str:
        stage.note(name)
        stage.pause(1.0)
        return name

    def two(ctx: task.OrchestrationContext, _: Any) -> Any:
        first = yield ctx.call_activity(slow, input="first")
        return [first, (yield ctx.call_activity(slow, input="second"))]

    stage.worker([two], [slow])
    stage.start(two)
    stage.until(lambda: stage.log)
    stage.client.suspend_orchestration("one")
    suspended = stage.until_status("SUSPENDED")
    stage.pause(1.3)
    meanwhile = list(stage.log)
    stage.client.resume_orchestration("one")
    return [suspended, meanwhile, stage.finish(), stage.log]


@scenario
def suspended_while_a_timer_runs(stage: Stage) -> Any:
    def wait(ctx: task.OrchestrationContext, _: Any) -> Any:
        yield ctx.create_timer(timedelta(seconds=1))
        return "done"

    stage.worker([wait])
    stage.start(wait)
    stage.until(lambda: "TimerCreated" in stage.history())
    stage.client.suspend_orchestration("one")
    suspended = stage.until_status("SUSPENDED")
    stage.pause(1.2)
    meanwhile = stage.status()
    stage.client.resume_orchestration("one")
    return [suspended, meanwhile, stage.finish()]


@scenario
def terminated_while_suspended(stage: Stage) -> Any:
    running(stage, "one")
    stage.client.suspend_orchestration("one")
    stage.until_status("SUSPENDED")
    stage.client.terminate_orchestration("one", output="over")
    return stage.finish(timeout=6)


@scenario
def verbs_on_nobody(stage: Stage) -> Any:
    return {
        name: attempt(getattr(stage.client, f"{name}_orchestration"), "nobody")
        for name in ("suspend", "resume", "terminate", "rewind", "restart")
    }


@scenario
def verbs_on_what_has_ended(stage: Stage) -> Any:
    stage.worker([gives])
    outcome = stage.run(gives, 5)
    answers = {
        name: attempt(getattr(stage.client, f"{name}_orchestration"), "one")
        for name in ("suspend", "resume", "terminate")
    }
    stage.pause(0.2)
    return [outcome, answers, stage.outcome_of()]


# ---------------------------------------------------------------- terminate


@scenario
def terminated_with_output(stage: Stage) -> Any:
    running(stage, "one", "two")
    stage.client.terminate_orchestration("one", output={"why": "enough"})
    stage.client.terminate_orchestration("two")
    return [stage.finish(), stage.finish("two"), stage.history()]


@scenario
def terminated_before_a_worker_came(stage: Stage) -> Any:
    stage.start("gives", 1)
    stage.client.terminate_orchestration("one", output="never began")
    stage.worker([gives])
    return stage.finish()


@scenario
def terminated_twice(stage: Stage) -> Any:
    running(stage, "one")
    stage.client.terminate_orchestration("one", output="first")
    first = stage.finish()
    second = attempt(stage.client.terminate_orchestration, "one", output="second")
    stage.pause(0.1)
    return [first, second, stage.outcome_of()]


# ---------------------------------------------------------------- purge


@scenario
def purged(stage: Stage) -> Any:
    stage.worker([gives])
    stage.run(gives, 5)
    result = stage.client.purge_orchestration("one")
    again = stage.client.purge_orchestration("one")
    return [result.deleted_instance_count, stage.status(), again.deleted_instance_count]


@scenario
def purged_while_running(stage: Stage) -> Any:
    running(stage, "one")
    result = attempt(lambda: stage.client.purge_orchestration("one").deleted_instance_count)
    return [result, stage.status()]


@scenario
def purged_by_status(stage: Stage) -> Any:
    running(stage, "r1")
    stage.run(gives, 1, id="c1")
    stage.run(gives, 1, id="c2")
    stage.start(waits, id="t1")
    stage.client.terminate_orchestration("t1")
    stage.finish("t1")
    first = stage.client.purge_orchestrations_by(runtime_status=[TERMINATED])
    second = stage.client.purge_orchestrations_by(runtime_status=[COMPLETED, FAILED])
    return [
        first.deleted_instance_count,
        second.deleted_instance_count,
        [stage.status(id) for id in ("r1", "c1", "c2", "t1")],
    ]


@scenario
def purged_by_time(stage: Stage) -> Any:
    stage.worker([gives])
    stage.run(gives, 1, id="a")
    created = stage.client.get_orchestration_state("a").created_at.replace(tzinfo=UTC)
    hour = timedelta(hours=1)
    before = stage.client.purge_orchestrations_by(created_time_to=created - hour)
    after = stage.client.purge_orchestrations_by(created_time_from=created + hour)
    around = stage.client.purge_orchestrations_by(created - hour, created + hour, [COMPLETED])
    return [
        before.deleted_instance_count,
        after.deleted_instance_count,
        around.deleted_instance_count,
        stage.status("a"),
    ]


@scenario
def purged_and_begun_again(stage: Stage) -> Any:
    stage.worker([gives])
    first = stage.run(gives, 1)
    stage.client.purge_orchestration("one")
    return [first, stage.run(gives, 2)]


# ---------------------------------------------------------------- rewind


class Repaired:
    """An orchestration whose second activity fails until it is repaired."""

    def __init__(self, stage: Stage) -> None:
        self.broken = True

        def step(ctx: task.ActivityContext, name: str) -> str:
            stage.note(name)
            if name == "second" and self.broken:
                raise ValueError("broken")
            return name

        def steps(ctx: task.OrchestrationContext, _: Any) -> Any:
            names = []
            for name in ("first", "second", "third"):
                names.append((yield ctx.call_activity(step, input=name)))  # noqa: PERF401
            return names

        def above(ctx: task.OrchestrationContext, _: Any) -> Any:
            return (yield ctx.call_sub_orchestrator(steps, instance_id="kid"))

        self.steps, self.above = steps, above
        stage.worker([steps, above], [step])


@scenario
def rewound(stage: Stage) -> Any:
    repaired = Repaired(stage)
    first = stage.run(repaired.steps)
    repaired.broken = False
    stage.client.rewind_orchestration("one", reason="repaired")
    stage.until_status("COMPLETED")
    return [first["status"], stage.finish(), stage.log]


@scenario
def rewound_and_failed_again(stage: Stage) -> Any:
    repaired = Repaired(stage)
    stage.run(repaired.steps)
    stage.client.rewind_orchestration("one")
    stage.until(lambda: len(stage.log) == 3)
    stage.until_status("FAILED")
    repaired.broken = False
    stage.client.rewind_orchestration("one")
    stage.until_status("COMPLETED")
    return [stage.finish(), stage.log]


@scenario
def rewound_with_its_child(stage: Stage) -> Any:
    repaired = Repaired(stage)
    first = stage.run(repaired.above)
    repaired.broken = False
    stage.client.rewind_orchestration("one")
    stage.until_status("COMPLETED")
    return [first["status"], stage.finish(), stage.status("kid"), stage.log]


@scenario
def rewound_without_a_failure(stage: Stage) -> Any:
    running(stage, "one")
    stage.run(gives, 1, id="two")
    return [attempt(stage.client.rewind_orchestration, id) for id in ("one", "two")]


# ---------------------------------------------------------------- restart


@scenario
def restarted(stage: Stage) -> Any:
    def count(ctx: task.OrchestrationContext, value: Any) -> Any:
        stage.note(ctx.version, value)
        return len(stage.log)

    stage.worker([count])
    first = stage.run(count, {"a": 1}, version="1.5")
    id = stage.client.restart_orchestration("one")
    stage.until(lambda: len(stage.log) == 2)
    stage.until_status("COMPLETED")
    return [first, id, stage.finish(), stage.log]


@scenario
def restarted_with_another_id(stage: Stage) -> Any:
    stage.worker([gives])
    stage.run(gives, 5)
    id = stage.client.restart_orchestration("one", restart_with_new_instance_id=True)
    return [id != "one", stage.finish(id), stage.outcome_of()]


@scenario
def restarted_while_running(stage: Stage) -> Any:
    running(stage, "one")
    return [attempt(stage.client.restart_orchestration, "one"), stage.status()]


@scenario
def restarted_after_a_failure(stage: Stage) -> Any:
    repaired = Repaired(stage)
    first = stage.run(repaired.steps)
    repaired.broken = False
    stage.client.restart_orchestration("one")
    stage.until_status("COMPLETED")
    return [first["status"], stage.finish(), stage.log]


@scenario
def times_of_a_state(stage: Stage) -> Any:
    stage.worker([gives])
    before = datetime.now(UTC).replace(tzinfo=None) - timedelta(seconds=2)
    stage.run(gives, 5)
    state = stage.client.get_orchestration_state("one")
    return [
        state.created_at.tzinfo is None,
        state.last_updated_at.tzinfo is None,
        before <= state.created_at <= state.last_updated_at,
        state.name,
        state.instance_id,
    ]
