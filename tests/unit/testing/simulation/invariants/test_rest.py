"""I1, I14, I15, I19 and I20: what is left of a run is looked at, and what is wrong with it is noticed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import anyio
import msgspec
import pytest

from durable_async import OrchestrationContext, Registry, TaskHub
from durable_async._kernel.orchestration import Orchestration
from durable_async.backends.memory import MemoryBackend
from durable_async.model.history import (
    ActivityScheduled,
    EntityCalled,
    EntityLocksRequested,
    EventRaised,
    ExecutionTerminated,
    ParentLink,
    SubOrchestrationScheduled,
    TimerCreated,
)
from durable_async.model.records import QueuedActivity, Release, TurnCommit
from durable_async.model.status import Status
from durable_async.serialization.events import decode_events, encode_events
from durable_async.testing import VirtualEnvironment, run_virtual
from durable_async.testing.simulation.invariants import Inspector
from durable_async.testing.simulation.invariants.caches import check_warm, state_of
from durable_async.testing.simulation.violations import Violation
from durable_async.testing.simulation.witness import witnessed
from durable_async.worker import WorkerSettings

from .records import NOW_US, Story, begun, new, operation, to

LINK = ParentLink("i", 1, 1)


@pytest.fixture
def story() -> Story:
    story = Story(claim_batch=10, batch_turns_max=2, batch_bytes_max=200)
    story.start()
    story.fetch()
    return story


def noticed(invariant: str, text: str = "") -> Any:
    return pytest.raises(Violation, match=rf"^{invariant}\b.*{text}")


def settle(story: Story) -> None:
    story.clock.us += 60_000_000
    hub = TaskHub(story.backend, registry=Registry())
    story.inspector._check_refinement = lambda hub: None  # type: ignore[method-assign]
    try:
        asyncio.run(story.inspector.settled(hub, []))
    finally:
        hub.client.close()


# -- I14


@pytest.mark.parametrize(
    "command",
    [
        ActivityScheduled(1, "work", b"[]"),
        TimerCreated(1, NOW_US + 1),
        SubOrchestrationScheduled(1, "chain", "child", None, None),
        EntityCalled(1, "@counter@a", "add", None),
        EntityLocksRequested(1, ("@counter@a",)),
    ],
)
def test_what_nobody_does(story: Story, command: Any) -> None:
    story.commit(begun(command, status=Status.RUNNING))
    with noticed("I14", "waits for what nobody does"):
        settle(story)


def test_letters_that_nobody_takes(story: Story) -> None:
    story.commit(begun(status=Status.RUNNING))
    story.send("@counter@a", operation(), opens="@counter")
    with noticed("I14", "nobody takes"):
        settle(story)


def test_what_may_be_left(story: Story) -> None:
    child = SubOrchestrationScheduled(2, "chain", "child", None, None)
    story.commit(begun(TimerCreated(1, NOW_US + 10**12), child, status=Status.RUNNING))
    story.send("i", EventRaised("nobody waits", None))
    story.start("child", parent=ParentLink("i", 1, 2))
    settle(story)


# -- I15


def test_a_child_that_survives_its_parent_s_end(story: Story) -> None:
    child = SubOrchestrationScheduled(1, "chain", "child", None, None)
    story.commit(begun(child, status=Status.RUNNING))
    story.start("child", parent=LINK)
    story.commit(begun(ExecutionTerminated(), turn=2, status=Status.TERMINATED))
    with noticed("I15", "its parent has ended it"):
        settle(story)


def test_a_queued_activity_that_survives(story: Story) -> None:
    item = QueuedActivity(instance_id="i", execution=1, seq=1, attempt=1, name="work", input=b"[]")
    story.commit(begun(ActivityScheduled(1, "work", b"[]"), queued=(item,)))
    story.hub.drop_activities = lambda instance: None  # type: ignore[method-assign]
    with noticed("I15", "an activity of what has ended"):
        story.commit(begun(ExecutionTerminated(), turn=2, status=Status.TERMINATED))


# -- I19


def test_a_batch_with_too_many_turns(story: Story) -> None:
    releases = [Release(instance_id=name, wake_at_us=None) for name in "abc"]
    with noticed("I19", "units in a batch"):
        story.commit(*releases)


def test_a_batch_with_too_many_bytes(story: Story) -> None:
    story.start("j")
    story.fetch()
    large = EventRaised("x", b"1" * 200)
    with noticed("I19", "bytes in a batch"):
        story.commit(begun(large), begun(instance_id="j"))


def test_a_fetch_that_takes_more_than_was_asked_for(story: Story) -> None:
    for number in range(12):
        story.start(f"other-{number}")
    answer = story.backend
    claim = type(answer).fetch

    async def greedy(fence: Any, **options: Any) -> Any:
        return await claim(answer, fence, **(options | {"instances": 12}))

    answer.fetch = greedy  # type: ignore[method-assign]
    with noticed("I19", "claimed in one fetch"):
        story.fetch()


# -- I1 and I20, on what a real worker has done


registry = Registry()


@registry.activity
async def double(number: int) -> int:
    return 2 * number


@registry.orchestrator
async def chain(ctx: OrchestrationContext, size: int) -> int:
    total = 0
    for number in range(size):
        total += await ctx.call_activity(double, number)
        await ctx.create_timer(1)
    await ctx.wait_for_external_event("go")
    return total


Look = Callable[[Inspector, TaskHub, Any], None]


def after_a_run(look: Look, *, settles: bool = False) -> None:
    """Let a worker do something under an inspector, and then look."""

    async def main(env: VirtualEnvironment) -> None:
        store = MemoryBackend(environment=env)
        inspector = Inspector(
            store.now_us, WorkerSettings(), store.letters_max, store.store.hub("default")
        )
        seen = witnessed(store, lambda *call: inspector.applied("w1", *call))
        await store.open()
        hub = TaskHub(seen, registry=registry, environment=env)
        async with hub.worker() as worker:
            await hub.client.start(chain, 3, instance_id="rests")
            done = await hub.client.start(chain, 2, instance_id="done")
            await hub.client.raise_event("done", "go")
            assert await done.wait() == 2
            await anyio.sleep(30)
            look(inspector, hub, worker)
            if settles:
                await inspector.settled(hub, [worker])
        hub.client.close()

    run_virtual(main)


def test_a_sound_run_is_sound() -> None:
    def look(inspector: Inspector, hub: TaskHub, worker: Any) -> None:
        assert len(inspector._chronicle.executions) == 2

    after_a_run(look, settles=True)


@pytest.mark.parametrize("what", ["output", "children", "letters"])
def test_a_commit_that_is_not_what_the_code_gives(what: str) -> None:
    def look(inspector: Inspector, hub: TaskHub, worker: Any) -> None:
        execution = inspector._chronicle.executions["done", 1]
        changed: dict[str, Any] = {
            "output": {"output": b"3"},
            "children": {"children": (new("child"),)},
            "letters": {"outbox": (to("other", EventRaised("x", None)),)},
        }[what]
        execution.commits[-1] = msgspec.structs.replace(execution.commits[-1], **changed)

    with noticed("I1", f"gives other {what}"):
        after_a_run(look, settles=True)


def test_a_history_that_the_code_does_not_give() -> None:
    def look(inspector: Inspector, hub: TaskHub, worker: Any) -> None:
        execution = inspector._chronicle.executions["done", 1]
        for at, commit in enumerate(execution.commits):
            events = decode_events("done", commit.events)
            timers = [one for one in events if isinstance(one, TimerCreated)]
            if timers:
                events[events.index(timers[0])] = TimerCreated(timers[0].seq, 1)
                execution.commits[at] = msgspec.structs.replace(
                    commit, events=encode_events(events)
                )
                return

    with noticed("I1", "gives other events"):
        after_a_run(look, settles=True)


def test_a_warm_instance_that_is_behind() -> None:
    def look(inspector: Inspector, hub: TaskHub, worker: Any) -> None:
        slot = worker._session._tools.slots.get("rests")
        warm: Orchestration = slot.instance
        rows = inspector._chronicle.executions["rests", 1].rows
        program = hub.registry.find_orchestrator("chain").program(hub.payloads)  # type: ignore[union-attr]
        check_warm(warm, rows, program)
        assert state_of(warm)["waiting for"] == {"go": 1}
        with noticed("I20", "not what is stored"):
            check_warm(warm, rows[:-1], program)

    after_a_run(look)


def test_a_warm_instance_of_somebody_else() -> None:
    def look(inspector: Inspector, hub: TaskHub, worker: Any) -> None:
        assert inspector._rows is not None
        row = inspector._rows._known["rests"]
        inspector._rows._known["rests"] = msgspec.structs.replace(row, owner="another")
        with noticed("I20", "another's"):
            inspector._check_caches(worker, inspector._rows, hub)

    after_a_run(look)


def test_a_worker_that_holds_too_much() -> None:
    def look(inspector: Inspector, hub: TaskHub, worker: Any) -> None:
        inspector._bounds._settings = WorkerSettings(instances_max=1)
        worker._session._tools.slots._by_id["another"] = None
        try:
            with noticed("I19", "too many instances"):
                inspector.check_workers([worker])
        finally:
            del worker._session._tools.slots._by_id["another"]

    after_a_run(look)


def test_turns_that_write_nothing_are_looked_at_too() -> None:
    story = Story()
    story.start()
    story.fetch()
    story.commit(begun(ExecutionTerminated(), status=Status.TERMINATED))
    story.row().owner = "w"
    story.hub.workers["w"].owned["i"] = None
    empty = TurnCommit(instance_id="i", execution=1, turn=2, events=b"")
    with noticed("I(3|5)"):
        story.commit(empty)
