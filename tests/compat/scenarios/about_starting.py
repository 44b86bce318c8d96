"""Starting orchestrations, waiting for them, reading their state: by blocking and by async clients, and by several workers."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from durabletask import client, task
from durabletask.internal import orchestrator_service_pb2 as pb

from .book import scenario
from .stage import Stage, attempt


@dataclass
class Point:
    x: int
    y: int = 0


def gives(ctx: task.OrchestrationContext, value: Any) -> Any:
    return value


def waits(ctx: task.OrchestrationContext, _: Any) -> Any:
    return (yield ctx.wait_for_external_event("go"))


@scenario
def id_made_by_the_client(stage: Stage) -> Any:
    stage.worker([gives])
    ids = [stage.client.schedule_new_orchestration(gives) for _number in range(2)]
    states = [stage.client.wait_for_orchestration_completion(id, timeout=10) for id in ids]
    return [
        ids[0] != ids[1],
        len(ids[0]),
        [state.instance_id for state in states] == ids,
        int(ids[0], 16) > 0,
    ]


@scenario
def before_the_worker(stage: Stage) -> Any:
    stage.start(gives, 5)
    before = stage.status()
    stage.worker([gives])
    return [before, stage.finish()]


@scenario
def the_same_id_twice(stage: Stage) -> Any:
    stage.worker([waits, gives])
    stage.start(waits, id="running")
    stage.run(gives, 1, id="done")
    again = [
        attempt(stage.client.schedule_new_orchestration, gives, instance_id=id)
        for id in ("running", "done")
    ]
    return [again, stage.outcome_of("done")]


@scenario
def reused_id_of_what_is_done(stage: Stage) -> Any:
    policy = pb.OrchestrationIdReusePolicy(
        replaceableStatus=[pb.ORCHESTRATION_STATUS_COMPLETED, pb.ORCHESTRATION_STATUS_FAILED]
    )
    stage.worker([waits, gives])
    first = stage.run(gives, 1)
    second = stage.run(gives, 2, reuse_id_policy=policy)
    stage.start(waits, id="running")
    stage.until_status("RUNNING", "running")
    third = attempt(
        stage.client.schedule_new_orchestration,
        gives,
        instance_id="running",
        reuse_id_policy=policy,
    )
    return [first, second, third]


@scenario
def reused_id_of_what_is_running(stage: Stage) -> Any:
    policy = pb.OrchestrationIdReusePolicy(replaceableStatus=[pb.ORCHESTRATION_STATUS_RUNNING])
    stage.worker([waits, gives])
    stage.start(waits)
    stage.until_status("RUNNING")
    return attempt(stage.run, gives, 2, reuse_id_policy=policy)


@scenario
def later(stage: Stage) -> Any:
    stage.worker([gives])
    begun = datetime.now(UTC)
    stage.start(gives, 5, start_at=begun + timedelta(seconds=1))
    stage.pause(0.2)
    before = stage.status()
    outcome = stage.finish()
    waited = datetime.now(UTC) - begun >= timedelta(seconds=0.95)
    return [before, outcome, waited]


@scenario
def at_a_past_time(stage: Stage) -> Any:
    stage.worker([gives])
    return stage.run(gives, 5, start_at=datetime(2020, 1, 1))


@scenario
def wait_for_the_start(stage: Stage) -> Any:
    stage.worker([waits])
    stage.start(waits, {"a": 1})
    without = stage.client.wait_for_orchestration_start("one", timeout=5)
    with_payloads = stage.client.wait_for_orchestration_start("one", fetch_payloads=True, timeout=5)
    return [
        without.runtime_status.name,
        without.serialized_input,
        with_payloads.get_input(),
    ]


@scenario
def wait_in_vain(stage: Stage) -> Any:
    stage.start(waits)
    start = attempt(stage.client.wait_for_orchestration_start, "one", timeout=0.3)
    stage.worker([waits])
    completion = attempt(stage.client.wait_for_orchestration_completion, "one", timeout=0.3)
    return [start["raised"], completion["raised"]]


@scenario
def wait_for_nobody(stage: Stage) -> Any:
    """Whether the client says at once that there is no such orchestration."""
    begun = time.monotonic()
    attempt(stage.client.wait_for_orchestration_completion, "nobody", timeout=4)
    attempt(stage.client.wait_for_orchestration_start, "nobody", timeout=4)
    return "at once" if time.monotonic() - begun < 3 else "after the timeout"


@scenario
def state_of_nobody(stage: Stage) -> Any:
    return [stage.client.get_orchestration_state("nobody")]


@scenario
def state_without_payloads(stage: Stage) -> Any:
    def flow(ctx: task.OrchestrationContext, value: Any) -> Any:
        ctx.set_custom_status("working")
        return value

    stage.worker([flow])
    stage.run(flow, 5)
    state = stage.client.get_orchestration_state("one", fetch_payloads=False)
    return [
        state.runtime_status.name,
        state.serialized_input,
        state.serialized_output,
        state.get_custom_status(),
    ]


@scenario
def failure_without_payloads(stage: Stage) -> Any:
    def flow(ctx: task.OrchestrationContext, value: Any) -> Any:
        raise ValueError("wrong")

    stage.worker([flow])
    stage.run(flow)
    state = stage.client.get_orchestration_state("one", fetch_payloads=False)
    return state.failure_details.message


@scenario
def typed_state(stage: Stage) -> Any:
    def flow(ctx: task.OrchestrationContext, point: Point) -> Any:
        ctx.set_custom_status(Point(point.x + 1))
        return Point(point.x + 2)

    stage.worker([flow])
    stage.run(flow, Point(1))
    state = stage.client.get_orchestration_state("one")
    typed = [state.get_input(Point), state.get_custom_status(Point), state.get_output(Point)]
    raw = [state.get_input(), state.get_custom_status(), state.get_output()]
    return [
        [type(one).__name__ for one in typed],
        [one.x for one in typed],
        [one == {"x": n, "y": 0} for n, one in enumerate(raw, 1)],
    ]


@scenario
def custom_status(stage: Stage) -> Any:
    def flow(ctx: task.OrchestrationContext, _: Any) -> Any:
        for status in ("first", {"step": 2}, None):
            ctx.set_custom_status(status)
            yield ctx.wait_for_external_event("next")

    stage.worker([flow])
    stage.start(flow)
    seen = []
    for expected in ("first", {"step": 2}, None):
        stage.until(lambda expected=expected: stage.custom_status() == expected, timeout=3)
        seen.append(stage.custom_status())
        stage.client.raise_orchestration_event("one", "next")
    return [seen, stage.finish()]


@scenario
def custom_status_of_the_last_turn(stage: Stage) -> Any:
    def flow(ctx: task.OrchestrationContext, fails: bool) -> Any:
        ctx.set_custom_status("first")
        yield ctx.create_timer(timedelta(milliseconds=20))
        ctx.set_custom_status("last")
        if fails:
            raise ValueError("wrong")
        return "done"

    stage.worker([flow])
    return [stage.run(flow, False, id="a"), stage.run(flow, True, id="b")]


@scenario
def by_an_async_client(stage: Stage) -> Any:
    stage.worker([waits, gives])

    async def act() -> Any:
        async with stage.async_client() as it:
            id = await it.schedule_new_orchestration(waits, instance_id="one")
            started = await it.wait_for_orchestration_start(id, timeout=5)
            await it.suspend_orchestration(id)
            await it.resume_orchestration(id)
            await it.raise_orchestration_event(id, "go", data={"a": 1})
            ended = await it.wait_for_orchestration_completion(id, timeout=5)
            nobody = await it.get_orchestration_state("nobody")
            states = await it.get_all_orchestration_states()
            purged = await it.purge_orchestration(id)
            return [
                started is not None,
                stage.outcome(ended),
                nobody,
                [state.instance_id for state in states],
                purged.deleted_instance_count,
            ]

    return asyncio.run(act())


@scenario
def async_client_waits_in_vain(stage: Stage) -> Any:
    stage.worker([waits])

    async def act() -> Any:
        async with stage.async_client() as it:
            await it.schedule_new_orchestration(waits, instance_id="one")
            try:
                await it.wait_for_orchestration_completion("one", timeout=0.3)
            except TimeoutError:
                await it.terminate_orchestration("one", output="too slow")
            return stage.outcome(await it.wait_for_orchestration_completion("one", timeout=5))

    return asyncio.run(act())


@scenario
def twenty_wait_before_the_worker_comes(stage: Stage) -> Any:
    async def act() -> Any:
        async with stage.async_client() as it:
            ids = [await it.schedule_new_orchestration(gives, input=n) for n in range(20)]
            waits = asyncio.gather(
                *(it.wait_for_orchestration_completion(id, timeout=8) for id in ids)
            )
            await asyncio.sleep(0)  # they have asked
            stage.worker([gives])
            return [state.get_output() for state in await waits]

    return attempt(asyncio.run, act())


@scenario
def several_clients(stage: Stage) -> Any:
    stage.worker([waits])
    first, second = stage.new_client(), stage.new_client()
    first.schedule_new_orchestration(waits, instance_id="one")
    second.raise_orchestration_event("one", "go", data="from the second")
    return stage.outcome(first.wait_for_orchestration_completion("one", timeout=10))


@scenario
def several_workers(stage: Stage) -> Any:
    def who(ctx: task.ActivityContext, number: int) -> int:
        return number

    def fan(ctx: task.OrchestrationContext, _: Any) -> Any:
        return (yield task.when_all([ctx.call_activity(who, input=n) for n in range(30)]))

    for _number in range(3):
        stage.worker([fan], [who])
    ids = [stage.start(fan, id=f"n{number}") for number in range(5)]
    return [stage.finish(id)["output"] == list(range(30)) for id in ids]


@scenario
def worker_restarted(stage: Stage) -> Any:
    def step(ctx: task.ActivityContext, name: str) -> str:
        stage.note(name)
        return name

    def steps(ctx: task.OrchestrationContext, _: Any) -> Any:
        first = yield ctx.call_activity(step, input="first")
        go = yield ctx.wait_for_external_event("go")
        return [first, go, (yield ctx.call_activity(step, input="second"))]

    worker = stage.worker([steps], [step])
    stage.start(steps)
    stage.until(lambda: "TaskCompleted" in stage.history())
    worker.stop()
    stage.client.raise_orchestration_event("one", "go", data="went")
    worker.start()
    return [stage.finish(), stage.log]


@scenario
def worker_with_a_block(stage: Stage) -> Any:
    with stage.worker([gives], start=False) as worker:
        worker.start()
        outcome = stage.run(gives, 5)
    stage.start(gives, 6, id="two")
    stage.pause(0.2)
    return [outcome, stage.status("two")]


@scenario
def default_version_of_the_client(stage: Stage) -> Any:
    def version(ctx: task.OrchestrationContext, _: Any) -> Any:
        return ctx.version

    stage.worker([version])
    it = stage.new_client(default_version="4.2")
    versions = []
    for number, asked in enumerate([None, "", "1.0"]):
        id = it.schedule_new_orchestration(version, instance_id=f"n{number}", version=asked)
        versions.append(it.wait_for_orchestration_completion(id, timeout=5).get_output())
    return versions


@scenario
def status_as_text(stage: Stage) -> Any:
    return {str(status): status.value for status in client.OrchestrationStatus}
