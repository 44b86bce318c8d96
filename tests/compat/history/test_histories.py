"""What durable_async recorded, told in the words of the Durable Task SDK."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest

from durable_async import (
    EntityContext,
    EntityId,
    OrchestrationContext,
    OrchestrationFailedError,
    OrchestrationTerminatedError,
    Registry,
    RetryPolicy,
    TaskHub,
    when_all,
)
from durable_async.backends.memory import MemoryBackend
from durable_async.backends.memory.store import MemoryStore
from durable_async.testing import CALM, VirtualEnvironment, virtual_time
from durabletask import history as h
from durabletask._runtime.histories import history_of
from durabletask._runtime.texts import TextPayloads

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
STARTED, ENDED = "OrchestratorStarted", "OrchestratorCompleted"
registry = Registry()
failing: list[str] = []


@registry.activity
async def act(text: str | None) -> str | None:
    return text


@registry.activity(retry=RetryPolicy(max_attempts=3, first_delay=5.0))
async def shaky(text: str) -> str:
    if failing:
        raise ValueError(failing.pop())
    return text


@registry.orchestrator
async def chain(ctx: OrchestrationContext, text: str | None) -> str | None:
    return await ctx.call_activity(act, text)


@registry.orchestrator
async def tried(ctx: OrchestrationContext, text: str) -> str:
    return await ctx.call_activity(shaky, text)


@registry.orchestrator
async def fan(ctx: OrchestrationContext, text: str) -> str:
    await when_all([ctx.call_activity(act, each) for each in text])
    return text


@registry.orchestrator
async def parent(ctx: OrchestrationContext, text: str) -> str | None:
    return await ctx.call_sub_orchestrator(chain, text, instance_id="child")


@registry.orchestrator
async def reckless(ctx: OrchestrationContext, text: str) -> str | None:
    return await ctx.call_sub_orchestrator(tried, text)


@registry.orchestrator
async def waits(ctx: OrchestrationContext, text: str | None) -> Any:
    return await ctx.wait_for_external_event("go")


@registry.orchestrator
async def sends(ctx: OrchestrationContext, text: str) -> None:
    ctx.send_event(text, "go", '{"n": 1}')
    await ctx.create_timer(timedelta(seconds=2))


@registry.orchestrator
async def eternal(ctx: OrchestrationContext, text: str) -> str:
    if len(text) < 3:
        ctx.continue_as_new(text + "x")
    return text


@registry.entity
def counter(ctx: EntityContext[Any], text: str | None) -> str:
    if ctx.operation == "fail":
        raise ValueError("no")
    return "3"


@registry.orchestrator
async def with_entities(ctx: OrchestrationContext, text: str) -> None:
    one, other = EntityId("counter", "b"), EntityId("counter", "a")
    ctx.signal_entity(one, "add", text, at=BEGIN + timedelta(days=1))
    async with ctx.lock_entities([one, other]):
        await ctx.call_entity(one, "add", "2")
    try:
        await ctx.call_entity(one, "fail")
    except Exception:  # noqa: BLE001
        return


@asynccontextmanager
async def running(env: VirtualEnvironment) -> AsyncIterator[TaskHub]:
    backend = MemoryBackend(MemoryStore(env))
    await backend.open()
    hub = TaskHub(backend, registry=registry, environment=env, payloads=TextPayloads())
    async with hub.worker(settings=CALM):
        yield hub
    hub.client.close()
    await backend.close()


async def told(hub: TaskHub, instance_id: str) -> list[h.HistoryEvent]:
    state = await hub.client.get(instance_id)
    events = await hub.client.history(instance_id)
    assert state is not None
    return history_of(events, instance_id=instance_id, execution=state.execution, state=state)


def names(events: list[h.HistoryEvent]) -> list[str]:
    return [type(event).__name__.removesuffix("Event") for event in events]


def only(events: list[h.HistoryEvent], kind: type[Any]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


@virtual_time
async def test_a_chain_is_told_in_turns(env: VirtualEnvironment) -> None:
    async with running(env) as hub:
        await hub.client.start(chain, '"a"', instance_id="i", tags={"k": "v"}, version="1.0")
        await hub.client.wait("i")
        events = await told(hub, "i")
    assert names(events) == [
        STARTED,
        "ExecutionStarted",
        "TaskScheduled",
        ENDED,
        STARTED,
        "TaskCompleted",
        ENDED,
        "ExecutionCompleted",
    ]
    (begun,) = only(events, h.ExecutionStartedEvent)
    assert (begun.name, begun.version, begun.input) == ("chain", "1.0", '"a"')
    assert begun.orchestration_instance == h.OrchestrationInstance("i", "1")
    assert (begun.parent_instance, begun.tags) == (None, {"k": "v"})
    (scheduled,) = only(events, h.TaskScheduledEvent)
    assert (scheduled.event_id, scheduled.name, scheduled.input) == (1, "act", '"a"')
    (completed,) = only(events, h.TaskCompletedEvent)
    assert (completed.event_id, completed.task_scheduled_id) == (-1, 1)
    assert completed.result == '"a"'
    end = events[-1]
    assert isinstance(end, h.ExecutionCompletedEvent)
    assert (end.orchestration_status, end.result, end.failure_details) == (1, '"a"', None)
    assert all(event.timestamp.tzinfo is UTC for event in events)
    assert events[0].timestamp >= BEGIN
    assert [event.timestamp for event in events] == sorted(e.timestamp for e in events)


@virtual_time
async def test_no_payload_is_told_as_none(env: VirtualEnvironment) -> None:
    async with running(env) as hub:
        await hub.client.start(chain, None, instance_id="i")
        await hub.client.wait("i")
        events = await told(hub, "i")
    assert only(events, h.ExecutionStartedEvent)[0].input is None
    assert only(events, h.TaskCompletedEvent)[0].result is None
    assert only(events, h.ExecutionCompletedEvent)[0].result is None
    assert only(events, h.ExecutionStartedEvent)[0].tags is None


@virtual_time
async def test_an_activity_that_is_tried_again_is_told_with_timers_in_between(
    env: VirtualEnvironment,
) -> None:
    failing[:] = ["second", "first"]
    async with running(env) as hub:
        await hub.client.start(tried, '"a"', instance_id="i")
        await hub.client.wait("i")
        events = await told(hub, "i")
    body = [name for name in names(events) if name not in (STARTED, ENDED)]
    again = ["TaskScheduled", "TaskFailed", "TimerCreated", "TimerFired"]
    end = ["TaskScheduled", "TaskCompleted", "ExecutionCompleted"]
    assert body == ["ExecutionStarted", *again, *again, *end]
    assert [one.event_id for one in only(events, h.TaskScheduledEvent)] == [1, 1, 1]
    created, fired = only(events, h.TimerCreatedEvent), only(events, h.TimerFiredEvent)
    assert [one.event_id for one in created] == [one.timer_id for one in fired] == [-2, -3]
    assert [one.fire_at for one in created] == [one.fire_at for one in fired]
    failures = [one.failure_details for one in only(events, h.TaskFailedEvent)]
    assert [f.message for f in failures] == ["first", "second"]
    assert {f.error_type for f in failures} == {"builtins.ValueError"}


@virtual_time
async def test_children_name_their_parents_and_parents_their_children(
    env: VirtualEnvironment,
) -> None:
    async with running(env) as hub:
        await hub.client.start(parent, '"a"', instance_id="i")
        await hub.client.wait("i")
        events, of_child = await told(hub, "i"), await told(hub, "child")
    (created,) = only(events, h.SubOrchestrationInstanceCreatedEvent)
    assert (created.event_id, created.instance_id, created.name) == (1, "child", "chain")
    assert created.input == '"a"'
    (done,) = only(events, h.SubOrchestrationInstanceCompletedEvent)
    assert (done.task_scheduled_id, done.result) == (1, '"a"')
    (begun,) = only(of_child, h.ExecutionStartedEvent)
    assert begun.parent_instance == h.ParentInstanceInfo(
        1, orchestration_instance=h.OrchestrationInstance("i", "1")
    )


@virtual_time
async def test_failures_of_children_and_of_executions_are_told_whole(
    env: VirtualEnvironment,
) -> None:
    failing[:] = ["c", "b", "a"]
    async with running(env) as hub:
        await hub.client.start(reckless, '"a"', instance_id="i")
        with pytest.raises(OrchestrationFailedError):
            await hub.client.wait("i")
        events = await told(hub, "i")
    (of_child,) = only(events, h.SubOrchestrationInstanceFailedEvent)
    assert of_child.task_scheduled_id == 1
    end = events[-1]
    assert isinstance(end, h.ExecutionCompletedEvent)
    assert (end.orchestration_status, end.result) == (3, None)
    assert end.failure_details is not None
    assert end.failure_details.inner_failure is not None


@virtual_time
async def test_a_rewound_execution_goes_on_in_its_history(env: VirtualEnvironment) -> None:
    failing[:] = ["c", "b", "a"]
    async with running(env) as hub:
        await hub.client.start(tried, '"a"', instance_id="i")
        with pytest.raises(OrchestrationFailedError):
            await hub.client.wait("i")
        await hub.client.rewind("i", reason="mended")
        await hub.client.wait("i")
        events = await told(hub, "i")
    place = names(events).index("ExecutionRewound")
    assert names(events)[place - 2 : place] == [ENDED, STARTED]
    assert only(events, h.ExecutionRewoundEvent)[0].reason == "mended"
    assert only(events, h.TaskFailedEvent) == []
    assert names(events)[-3:] == ["TaskCompleted", ENDED, "ExecutionCompleted"]
    instance = only(events, h.ExecutionStartedEvent)[0].orchestration_instance
    assert instance == h.OrchestrationInstance("i", "2")


@virtual_time
async def test_events_suspend_and_resume(env: VirtualEnvironment) -> None:
    async with running(env) as hub:
        await hub.client.start(waits, None, instance_id="i")
        await hub.client.wait_for_start("i")
        await hub.client.suspend("i", reason="lunch")
        await anyio.sleep(5)
        await hub.client.resume("i", reason="back")
        await hub.client.start(sends, "i", instance_id="s")
        assert await hub.client.wait("i") == '{"n": 1}'
        await hub.client.wait("s")
        events, of_sender = await told(hub, "i"), await told(hub, "s")
    assert only(events, h.ExecutionSuspendedEvent)[0].input == "lunch"
    assert only(events, h.ExecutionResumedEvent)[0].input == "back"
    (raised,) = only(events, h.EventRaisedEvent)
    assert (raised.event_id, raised.name, raised.input) == (-1, "go", '{"n": 1}')
    (sent,) = only(of_sender, h.EventSentEvent)
    assert (sent.event_id, sent.instance_id, sent.name) == (1, "i", "go")
    assert sent.input == '{"n": 1}'
    (created,), (fired,) = (
        only(of_sender, h.TimerCreatedEvent),
        only(of_sender, h.TimerFiredEvent),
    )
    assert created.event_id == fired.timer_id == 2
    assert created.fire_at == fired.fire_at == created.timestamp + timedelta(seconds=2)


@pytest.mark.parametrize("begun", [True, False])
@virtual_time
async def test_terminate(env: VirtualEnvironment, begun: bool) -> None:
    start_at = None if begun else BEGIN + timedelta(days=1)
    async with running(env) as hub:
        await hub.client.start(waits, None, instance_id="i", start_at=start_at)
        if begun:
            await hub.client.wait_for_start("i")
        await hub.client.terminate("i", output='"bye"')
        with pytest.raises(OrchestrationTerminatedError):
            await hub.client.wait("i")
        events = await told(hub, "i")
    (ended,) = only(events, h.ExecutionTerminatedEvent)
    assert (ended.input, ended.recurse) == ('"bye"', True)
    assert isinstance(events[-1], h.ExecutionCompletedEvent)
    assert (events[-1].orchestration_status, events[-1].result) == (5, '"bye"')
    assert only(events, h.ExecutionStartedEvent)[0].scheduled_start_timestamp == start_at
    assert names(events).count(STARTED) == names(events).count(ENDED)


@virtual_time
async def test_one_that_has_not_begun_is_told_by_its_start(env: VirtualEnvironment) -> None:
    async with running(env) as hub:
        await hub.client.start(waits, None, instance_id="i", start_at=BEGIN + timedelta(days=1))
        events = await told(hub, "i")
        state = await hub.client.get("i")
    assert "ExecutionStarted" in names(events)
    assert only(events, h.ExecutionStartedEvent)[0].timestamp == state.created_at  # type: ignore[union-attr]


@virtual_time
async def test_continue_as_new_begins_again(env: VirtualEnvironment) -> None:
    async with running(env) as hub:
        await hub.client.start(eternal, "x", instance_id="i")
        await hub.client.wait("i")
        events = await told(hub, "i")
    (begun,) = only(events, h.ExecutionStartedEvent)
    assert begun.input == "xxx"
    assert begun.orchestration_instance == h.OrchestrationInstance("i", "3")


@virtual_time
async def test_entities_and_locks(env: VirtualEnvironment) -> None:
    async with running(env) as hub:
        await hub.client.start(with_entities, "1", instance_id="i")
        await hub.client.wait("i")
        events = await told(hub, "i")
    (signaled,) = only(events, h.EntityOperationSignaledEvent)
    assert (signaled.event_id, signaled.operation, signaled.input) == (1, "add", "1")
    assert signaled.scheduled_time == BEGIN + timedelta(days=1)
    assert signaled.target_instance_id == "@counter@b"
    (requested,) = only(events, h.EntityLockRequestedEvent)
    (granted,) = only(events, h.EntityLockGrantedEvent)
    released = only(events, h.EntityUnlockSentEvent)
    assert requested.lock_set == ["@counter@a", "@counter@b"]
    assert (requested.position, requested.parent_instance_id) == (0, "i")
    section = requested.critical_section_id
    assert {granted.critical_section_id, *(r.critical_section_id for r in released)} == {section}
    assert [r.target_instance_id for r in released] == requested.lock_set
    add, fail = only(events, h.EntityOperationCalledEvent)
    (done,) = only(events, h.EntityOperationCompletedEvent)
    (failed,) = only(events, h.EntityOperationFailedEvent)
    assert (add.request_id, done.output) == (done.request_id, "3")
    assert (add.parent_instance_id, add.target_instance_id) == ("i", "@counter@b")
    assert fail.request_id == failed.request_id != add.request_id
    assert failed.failure_details.message == "no"


@virtual_time
async def test_the_same_history_is_always_told_the_same(env: VirtualEnvironment) -> None:
    async with running(env) as hub:
        await hub.client.start(with_entities, "1", instance_id="i")
        await hub.client.wait("i")
        assert await told(hub, "i") == await told(hub, "i")
        events = await hub.client.history("i")
        bare = history_of(events, instance_id="i", execution=1, state=None)
    assert names(bare)[:2] == [STARTED, "ExecutionStarted"]
