"""What a worker tells, and when: after it is durable, once, and with nothing of what passes through."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import anyio
import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from durable_async import (
    ActivityFailedError,
    EntityContext,
    OrchestrationContext,
    OrchestrationFailedError,
    OrchestrationTerminatedError,
    Registry,
    TaskHub,
)
from durable_async.errors import BackendError, FencedError
from durable_async.telemetry import (
    ActivityRun,
    BatchCommitted,
    ClientCall,
    ExecutionBegan,
    ExecutionEnded,
    InstanceParked,
    LeaseLost,
    Ongoing,
    OperationRun,
    Outcome,
    RunningWorker,
    Telemetry,
    TurnCommitted,
    WorkFetched,
)
from durable_async.testing import VirtualEnvironment, run_virtual, virtual_time

from .hubs import UnreliableBackend, opened

T = TypeVar("T")

registry = Registry()
hindrances: list[Any] = []
"""What the next activity does to the store."""


class _Watch(Ongoing):
    def __init__(self, ears: Ears, began: Any) -> None:
        self.ears = ears
        self.began = began

    def ended(self, outcome: Outcome) -> None:
        self.ears.ended.append((self.began, outcome))

    def recorded(self) -> None:
        self.ears.recorded.append(self.began)


class Ears(Telemetry):
    """Hears everything."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.ended: list[tuple[Any, Outcome]] = []
        self.recorded: list[Any] = []

    def of(self, kind: type[T]) -> list[T]:
        return [one for one in self.told if isinstance(one, kind)]

    def outcomes(self, kind: type[Any]) -> list[tuple[str, str]]:
        return [
            (outcome.status, outcome.error)
            for began, outcome in self.ended
            if isinstance(began, kind)
        ]

    def hear(self, told: Any) -> None:
        self.told.append(told)

    def watch(self, began: Any) -> Ongoing:
        self.told.append(began)
        return _Watch(self, began)

    client_call_began = activity_began = operation_began = watch  # type: ignore[assignment]
    execution_began = turn_committed = execution_ended = instance_parked = hear  # type: ignore[assignment]
    worker_began = worker_ended = batch_committed = work_fetched = lease_lost = hear  # type: ignore[assignment]


@asynccontextmanager
async def working(
    env: VirtualEnvironment, **settings: Any
) -> AsyncIterator[tuple[TaskHub, UnreliableBackend, Ears]]:
    ears = Ears()
    async with opened(env, registry, telemetry=ears) as (hub, backend):
        async with hub.worker(**settings):
            yield hub, backend, ears


@registry.activity
async def double(number: int) -> int:
    while hindrances:
        hindrances.pop()()
    await anyio.sleep(1)
    return 2 * number


@registry.activity(start_to_close=2)
async def endless() -> None:
    await anyio.sleep_forever()


@registry.orchestrator
async def doubling(ctx: OrchestrationContext, number: int) -> int:
    return await ctx.call_activity(double, number)


@virtual_time
async def test_a_whole_life(env: VirtualEnvironment) -> None:
    async with working(env) as (hub, _, ears):
        handle = await hub.client.start(doubling, 4, instance_id="i", start_at=60)
        assert await handle.wait() == 8
    kinds = [type(one) for one in ears.told if not isinstance(one, (WorkFetched, BatchCommitted))]
    assert kinds == [
        RunningWorker,
        ClientCall,
        ExecutionBegan,
        TurnCommitted,
        ActivityRun,
        TurnCommitted,
        ExecutionEnded,
        RunningWorker,
    ]
    (began,), (ended,) = ears.of(ExecutionBegan), ears.of(ExecutionEnded)
    assert (began.instance_id, began.name, began.execution) == ("i", "doubling", 1)
    assert began.waited_seconds is not None
    assert began.waited_seconds < 2  # since it was to begin, not since it was started
    assert (ended.status, ended.error, ended.parent_id) == ("completed", "", "")
    assert ended.begun_us == began.begun_us
    assert ended.ended_us - ended.begun_us == pytest.approx(1e6, rel=0.2)
    first, second = ears.of(TurnCommitted)
    assert (first.turn, second.turn) == (1, 2)
    assert first.ended_us <= second.begun_us
    ((run, outcome),) = [one for one in ears.ended if isinstance(one[0], ActivityRun)]
    assert (run.seq, run.attempt, run.was_queued, run.input_bytes) == (1, 1, False, 1)
    assert outcome.status == "completed"
    assert outcome.seconds == pytest.approx(1, rel=0.2)
    assert run in ears.recorded
    assert sum(one.instances for one in ears.of(WorkFetched)) == 1
    assert sum(one.items for one in ears.of(BatchCommitted)) >= 2


@virtual_time
async def test_what_is_lost_is_not_recorded_and_what_replaces_it_is(
    env: VirtualEnvironment,
) -> None:
    """The activity's result is refused by the store: its worker was taken over, and another one runs it again."""
    async with working(env) as (hub, backend, ears):
        hindrances.append(lambda: backend.plan.append(FencedError("w")))
        handle = await hub.client.start(doubling, 4)
        assert await handle.wait() == 8
    runs = ears.of(ActivityRun)
    assert [(run.seq, run.attempt) for run in runs] == [(1, 1), (1, 1)]
    assert runs[0].worker_id != runs[1].worker_id
    assert [one for one in ears.recorded if isinstance(one, ActivityRun)] == [runs[1]]
    assert [one.turn for one in ears.of(TurnCommitted)] == [1, 2]
    assert len(ears.of(ExecutionBegan)) == len(ears.of(ExecutionEnded)) == 1
    assert [one.worker_id for one in ears.of(LeaseLost)] == [runs[0].worker_id]
    began_and_ended = ears.of(RunningWorker)
    assert began_and_ended[0] is began_and_ended[1]
    assert began_and_ended[2] is began_and_ended[3]


@virtual_time
async def test_what_came_through_the_queue_is_told(env: VirtualEnvironment) -> None:
    async with working(env, activities_max=1, backlog_max=1) as (hub, _, ears):
        handles = [await hub.client.start(doubling, number) for number in range(5)]
        assert [await handle.wait() for handle in handles] == [0, 2, 4, 6, 8]
    runs = ears.of(ActivityRun)
    assert {run.was_queued for run in runs} == {True, False}
    assert sorted(run.instance_id for run in ears.recorded if isinstance(run, ActivityRun)) == (
        sorted(handle.instance_id for handle in handles)
    )


@registry.orchestrator
async def giving_up(ctx: OrchestrationContext) -> str:
    slow = ctx.call_activity(double, 1)
    await ctx.create_timer(0.5)
    slow.cancel()
    await ctx.create_timer(5)
    try:
        await ctx.call_activity(endless)
    except ActivityFailedError as error:
        return type(error).__name__
    return "no failure"


@virtual_time
async def test_outcomes_of_activities(env: VirtualEnvironment) -> None:
    async with working(env) as (hub, _, ears):
        assert await (await hub.client.start(giving_up)).wait() == "ActivityFailedError"
    assert ears.outcomes(ActivityRun) == [
        ("cancelled", ""),
        ("failed", "builtins.TimeoutError"),
    ]
    assert len([one for one in ears.recorded if isinstance(one, ActivityRun)]) == 2
    acts = [act for turn in ears.of(TurnCommitted) for act in turn.acts]
    assert [(act.kind, act.seq) for act in acts] == [("timer", 2), ("timer", 3)]
    fired = [turn.begun_us for turn in ears.of(TurnCommitted) if turn.acts]
    waits = [at - act.begun_us for at, act in zip(fired, acts, strict=True)]
    assert waits == [pytest.approx(0.5e6, rel=0.2), pytest.approx(5e6, rel=0.2)]


@registry.orchestrator
async def twice(ctx: OrchestrationContext, left: int) -> str:
    if left:
        ctx.continue_as_new(left - 1)
    raise ValueError("a secret")


@virtual_time
async def test_ends_of_all_kinds(env: VirtualEnvironment) -> None:
    async with working(env) as (hub, _, ears):
        with pytest.raises(OrchestrationFailedError):
            await (await hub.client.start(twice, 1, instance_id="i")).wait()
        waiting = await hub.client.start(doubling, 1, instance_id="j", start_at=1_000)
        await hub.client.terminate(waiting)
        with pytest.raises(OrchestrationTerminatedError):
            await waiting.wait()
    ends = [
        (one.instance_id, one.execution, one.status, one.error) for one in ears.of(ExecutionEnded)
    ]
    assert ends == [
        ("i", 1, "continued_as_new", ""),
        ("i", 2, "failed", "builtins.ValueError"),
        ("j", 1, "terminated", ""),
    ]
    assert [(one.instance_id, one.execution) for one in ears.of(ExecutionBegan)] == [
        ("i", 1),
        ("i", 2),
    ]


@registry.entity
def keeper(ctx: EntityContext, text: str) -> None:
    if ctx.operation == "fail":
        raise ValueError(text)
    ctx.set_state(text)


@virtual_time
async def test_operations_of_entities(env: VirtualEnvironment) -> None:
    async with working(env) as (hub, _, ears):
        entity = keeper.entity_id("k")
        for _ in range(5):  # in a thread first, then between other turns
            await hub.client.call_entity(entity, "put", "x")
        with pytest.raises(Exception, match="failed"):
            await hub.client.call_entity(entity, "fail", "x")
    runs = ears.of(OperationRun)
    assert {(run.name, run.instance_id) for run in runs} == {("keeper", "@keeper@k")}
    assert ears.outcomes(OperationRun) == [("completed", "")] * 5 + [
        ("failed", "builtins.ValueError")
    ]
    assert [one for one in ears.recorded if isinstance(one, OperationRun)] == runs
    assert ears.outcomes(ClientCall)[-1] == (
        "failed",
        "durable_async.errors.EntityOperationFailedError",
    )


@virtual_time
async def test_what_is_parked_is_told(env: VirtualEnvironment) -> None:
    async with working(env) as (hub, backend, ears):
        backend.plan.append(BackendError("cannot be stored"))
        handle = await hub.client.start(doubling, 4, instance_id="i")
        while not ears.of(InstanceParked):
            await anyio.sleep(1)
        state = await handle.get()
        assert state is not None
        assert state.parked
    (parked,) = ears.of(InstanceParked)
    assert (parked.instance_id, parked.kind) == ("i", "orchestration")


@virtual_time
async def test_the_load_of_a_worker(env: VirtualEnvironment) -> None:
    async with working(env, activities_max=3) as (hub, _, ears):
        (worker,) = ears.of(RunningWorker)
        assert worker.orchestrators >= {"doubling"}
        assert worker.activities == {"double", "endless"}
        assert worker.entities == {"keeper"}
        handles = [await hub.client.start(doubling, number) for number in range(5)]
        await anyio.sleep(0.5)
        load = worker.load()
        assert (load.instances, load.activities, load.activities_waiting) == (5, 3, 2)
        assert load.activities_free == 0
        await asyncio.gather(*(handle.wait() for handle in handles))
        load = worker.load()
        assert (load.instances, load.activities, load.activities_free) == (0, 0, 3)


steps = st.sampled_from(["ok", "lost", "refused", "late", "fenced"])


@given(st.lists(steps, max_size=12))
@settings(max_examples=60)
def test_nothing_is_told_twice_whatever_becomes_of_commits(plan: list[str]) -> None:
    """What a fenced worker had written before it heard of its end may be told by nobody: at most once."""
    ears = Ears()

    async def run(env: VirtualEnvironment) -> None:
        async with opened(env, registry, telemetry=ears) as (hub, backend), hub.worker():
            backend.plan = [FencedError("w") if step == "fenced" else step for step in plan]
            handles = [await hub.client.start(doubling, number) for number in range(3)]
            assert [await handle.wait() for handle in handles] == [0, 2, 4]

    run_virtual(run)
    for told in (
        [(one.instance_id, one.turn) for one in ears.of(TurnCommitted)],
        [one.instance_id for one in ears.of(ExecutionBegan)],
        [one.instance_id for one in ears.of(ExecutionEnded)],
        [
            (one.instance_id, one.seq, one.attempt)
            for one in ears.recorded
            if isinstance(one, ActivityRun)
        ],
    ):
        assert len(told) == len(set(told))
    if "fenced" not in plan and "late" not in plan:
        assert len(ears.of(ExecutionEnded)) == 3
        assert len(ears.of(TurnCommitted)) == 6


def test_no_signal_has_room_for_a_payload() -> None:
    """Bytes and free values are what payloads come as."""
    signals = [
        ActivityRun,
        BatchCommitted,
        ClientCall,
        ExecutionBegan,
        ExecutionEnded,
        InstanceParked,
        LeaseLost,
        OperationRun,
        Outcome,
        TurnCommitted,
        WorkFetched,
    ]
    for signal in signals:
        for field in msgspec.structs.fields(signal):
            assert field.type not in (bytes, Any, object), (signal, field.name)
