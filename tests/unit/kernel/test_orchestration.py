"""Turns: letters, suspension, endings, retries, late starts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from durable_async._engine.rewind import rewound
from durable_async._kernel.orchestration import PYTHON, Orchestration
from durable_async.errors import (
    CorruptHistoryError,
    NonDeterminismError,
    SubOrchestrationFailedError,
)
from durable_async.failure import FailureDetails
from durable_async.model.history import (
    ActivityCancelRequested,
    ActivityCompleted,
    ActivityFailed,
    ActivityHeartbeat,
    ActivityRetried,
    ActivityScheduled,
    EventRaised,
    ExecutionCompleted,
    ExecutionResumed,
    ExecutionStarted,
    ExecutionSuspended,
    ExecutionTerminated,
    SubOrchestrationCompleted,
    SubOrchestrationFailed,
    TimerFired,
    TurnStarted,
)
from durable_async.model.policy import ActivityOptions, RetryPolicy

from .driver import START_US, Driver, commands, program

SECOND = 1_000_000


def failed(message: str = "no", kind: str = "builtins.ValueError") -> FailureDetails:
    return FailureDetails(kind, message)


def kinds(events: list[Any]) -> list[str]:
    return [type(event).__name__ for event in events]


def same_after_replay(driver: Driver) -> None:
    """Replay all, and go on with the new owner."""
    again = driver.replayed()
    assert again.wake_at_us == driver.live.wake_at_us
    assert again.suspended == driver.live.suspended
    for mail_id, execution, letter in driver.live.mailbox.arrived:
        again.deliver(mail_id, execution, letter)
    for queue in driver.live.mailbox.kept.values():
        for _, mail_id, event in queue:
            again.deliver(mail_id, None, event)
    assert driver.live.evict()
    driver.live = again


@pytest.fixture(params=[False, True], ids=["warm", "replayed"])
def between(request: pytest.FixtureRequest) -> Callable[[Driver], None]:
    """What happens between turns: nothing, or a change of owner."""
    return same_after_replay if request.param else lambda driver: None


Between = Callable[[Driver], None]


# -- events


async def collects(ctx: Any) -> Any:
    return [await ctx.wait_for_external_event("item") for _ in range(4)]


def test_events_come_in_order_and_none_is_lost(between: Between) -> None:
    driver = Driver(collects)
    driver.raise_event("item", 1)
    driver.raise_event("other", "kept")
    driver.raise_event("item", 2)
    driver.turn()
    between(driver)
    driver.raise_event("item", 3)
    driver.turn()
    between(driver)
    driver.raise_event("item", 4)
    result = driver.turn()
    assert driver.live.outcome == ExecutionCompleted(b"[1,2,3,4]")
    assert result.consumed == [driver.mail_id] if not between else True
    assert [e.payload for e in driver.history if isinstance(e, EventRaised)] == [
        b"1",
        b"2",
        b"3",
        b"4",
    ]


def test_an_event_that_came_first_is_shown_first() -> None:
    async def orchestrator(ctx: Any) -> Any:
        call, event = ctx.call_activity("a", 1), ctx.wait_for_external_event("go")
        done, _ = await asyncio.wait([call, event], return_when=asyncio.FIRST_COMPLETED)
        return event in done

    driver = Driver(orchestrator)
    driver.turn()
    driver.raise_event("go")
    driver.answer(ActivityCompleted(1, b"1"))
    driver.turn()
    assert driver.live.outcome == ExecutionCompleted(b"true")


def test_waiters_of_a_name_are_served_in_order_and_may_give_up() -> None:
    async def orchestrator(ctx: Any) -> Any:
        first, second, third = (ctx.wait_for_external_event("go") for _ in range(3))
        second.cancel()
        return [await third, await first]

    driver = Driver(orchestrator)
    driver.raise_event("go", "one")
    driver.raise_event("go", "two")
    driver.turn()
    assert driver.live.outcome == ExecutionCompleted(b'["two","one"]')
    driver.replayed()


def test_a_payload_of_null_is_not_a_timeout() -> None:
    async def orchestrator(ctx: Any) -> Any:
        try:
            return [await asyncio.wait_for(ctx.wait_for_external_event("go"), 5)]
        except TimeoutError:
            return "timeout"

    driver = Driver(orchestrator)
    driver.raise_event("go", None)
    driver.turn()
    assert driver.live.outcome == ExecutionCompleted(b"[null]")
    assert Driver(orchestrator).run() == ExecutionCompleted(b'"timeout"')


def test_the_same_letter_is_taken_once() -> None:
    driver = Driver(collects)
    assert driver.live.deliver(7, None, EventRaised("item", b"1"))
    assert not driver.live.deliver(7, None, EventRaised("item", b"1"))
    result = driver.turn()
    assert result.consumed == [7]
    assert not driver.live.deliver(7, None, EventRaised("item", b"1"))
    driver.live.mailbox.forget([7])
    assert driver.turn().events == []
    driver.live.evict()


def test_a_letter_of_another_execution_vanishes() -> None:
    async def orchestrator(ctx: Any) -> Any:
        return await ctx.call_activity("a", 1)

    driver = Driver(orchestrator)
    driver.turn()
    driver.live.deliver(1, 2, ActivityCompleted(1, b'"theirs"'))
    result = driver.turn()
    assert (result.events, result.consumed) == ([], [1])
    driver.live.deliver(2, 1, ActivityCompleted(1, b'"mine"'))
    driver.turn()
    assert driver.live.outcome == ExecutionCompleted(b'"mine"')


# -- suspend and resume


def test_suspending_keeps_inputs_from_the_code_and_stops_its_clock(between: Between) -> None:
    seen: list[Any] = []

    async def orchestrator(ctx: Any) -> Any:
        seen.clear()
        timer = asyncio.ensure_future(asyncio.sleep(10))
        seen.append(await ctx.call_activity("a", 1))
        seen.append(await ctx.wait_for_external_event("go"))
        moment = ctx.now()
        await timer
        return [*seen, (ctx.now() - moment).total_seconds()]

    driver = Driver(orchestrator)
    driver.turn()
    driver.live.deliver(1, None, ExecutionSuspended("pause"))
    driver.answer(ActivityCompleted(1, b'"result"'))
    driver.mail_id = 1
    driver.raise_event("go", "event")
    result = driver.turn()
    assert result.suspended
    assert driver.live.wake_at_us is None
    assert result.consumed == [1]
    assert seen == []
    between(driver)
    driver.now_us += 3_600 * SECOND
    assert driver.turn().events == []
    assert seen == []
    between(driver)
    driver.live.deliver(9, None, ExecutionResumed())
    result = driver.turn()
    assert kinds(result.events) == [
        "TurnStarted",
        "ExecutionResumed",
        "EventRaised",
        "TimerFired",
        "ExecutionCompleted",
    ]
    assert driver.live.outcome == ExecutionCompleted(b'["result","event",0.0]')
    assert not driver.live.suspended
    driver.replayed().evict()


def test_a_result_that_the_code_gives_up_while_others_are_shown_is_dropped(
    between: Between,
) -> None:
    async def orchestrator(ctx: Any) -> Any:
        calls = [ctx.call_activity("a", n) for n in (1, 2)]
        done, pending = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        for call in pending:
            call.cancel()
        return await ctx.call_activity("a", [call.result() for call in done])

    driver = Driver(orchestrator)
    driver.turn()
    driver.live.deliver(1, None, ExecutionSuspended())
    driver.answer(ActivityCompleted(2, b'"two"'))
    driver.answer(ActivityCompleted(1, b'"one"'))
    driver.turn()
    between(driver)
    driver.live.deliver(2, None, ExecutionResumed())
    driver.turn()
    assert commands(driver.history)[-2:] == [
        ActivityCancelRequested(1),
        ActivityScheduled(3, "a", b'["two"]'),
    ]
    between(driver)
    driver.answer(ActivityCompleted(3, b"3"))
    driver.turn()
    assert driver.live.outcome == ExecutionCompleted(b"3")


def test_suspending_twice_and_resuming_what_runs_changes_nothing() -> None:
    driver = Driver(collects)
    driver.turn()
    for number, letter in enumerate(
        [ExecutionResumed(), ExecutionSuspended(), ExecutionSuspended(), ExecutionResumed()]
    ):
        driver.live.deliver(number, None, letter)
    result = driver.turn()
    assert kinds(result.events) == ["TurnStarted", "ExecutionSuspended", "ExecutionResumed"]
    assert result.consumed == [0, 1, 2, 3]
    driver.live.evict()


def test_what_is_suspended_before_it_begins_begins_when_it_is_resumed() -> None:
    driver = Driver(collects)
    driver.live.deliver(1, None, ExecutionSuspended())
    driver.turn()
    driver.now_us += SECOND
    driver.live.deliver(2, None, ExecutionResumed())
    same_after_replay(driver)
    driver.turn()
    assert driver.live._journal.start_us == START_US + SECOND
    same_after_replay(driver)
    assert driver.live._journal.start_us == START_US + SECOND
    driver.live.evict()


def test_a_retry_that_came_due_while_suspended_waits() -> None:
    options = ActivityOptions(retry=RetryPolicy(first_delay=1))

    async def orchestrator(ctx: Any) -> Any:
        return await ctx.call_activity("a", 1, options=options)

    driver = Driver(orchestrator)
    driver.turn()
    driver.live.deliver(1, None, ExecutionSuspended())
    driver.answer(ActivityFailed(1, 1, failed()))
    driver.turn()
    assert list(driver.live.pending_activities()) == []
    driver.now_us += 60 * SECOND
    assert driver.turn().events == []
    driver.live.deliver(2, None, ExecutionResumed())
    driver.turn()
    assert driver.history[-1] == ActivityRetried(1, 2)
    driver.live.evict()


# -- terminate


def test_terminating_asks_nobody(between: Between) -> None:
    seen: list[str] = []

    async def orchestrator(ctx: Any) -> None:
        try:
            await ctx.call_activity("a", 1)
        finally:
            seen.append("unwound")

    driver = Driver(orchestrator)
    driver.turn()
    between(driver)
    seen.clear()
    end = ExecutionTerminated(b'"enough"')
    driver.live.deliver(1, None, ExecutionSuspended())
    driver.live.deliver(2, None, end)
    driver.live.deliver(3, None, EventRaised("late", None))
    result = driver.turn()
    assert (result.outcome, driver.live.wake_at_us) == (end, None)
    assert seen == []
    assert driver.live.evict()
    assert seen == ["unwound"]
    assert driver.replayed().outcome == end


def test_terminating_before_it_begins() -> None:
    driver = Driver(collects)
    driver.live.deliver(1, None, ExecutionTerminated())
    result = driver.turn()
    assert kinds(result.events) == ["ExecutionTerminated"]
    assert driver.replayed().outcome == ExecutionTerminated()


def test_an_ended_instance_takes_no_turn() -> None:
    driver = Driver(collects)
    driver.live.deliver(1, None, ExecutionTerminated())
    driver.turn()
    driver.raise_event("item", 1)
    result = driver.turn()
    assert (result.events, result.consumed) == ([], [])
    assert result.outcome == ExecutionTerminated()


# -- starting late, idle turns, versions


def late() -> Driver:
    driver = Driver(collects)
    driver.started = ExecutionStarted("collects", None, None, None, START_US + 10 * SECOND)
    driver.history = [driver.started]
    driver.live = driver.fresh()
    driver.live.replay(driver.history)
    return driver


def test_it_does_not_begin_before_its_time_and_a_replay_begins_it_at_the_same_time() -> None:
    driver = late()
    assert driver.live.wake_at_us == START_US + 10 * SECOND
    driver.raise_event("item", 1)
    driver.turn()
    assert driver.live.wake_at_us == START_US + 10 * SECOND
    driver.now_us += 1
    assert driver.turn().events == []
    driver.now_us = START_US + 11 * SECOND
    result = driver.turn()
    assert kinds(result.events) == ["TurnStarted", "EventRaised"]
    same_after_replay(driver)
    assert driver.live._journal.start_us == START_US + 11 * SECOND
    driver.live.evict()


def test_a_late_beginning_is_recorded_even_if_nothing_else_is() -> None:
    driver = late()
    driver.turn()
    driver.now_us = START_US + 11 * SECOND
    assert driver.turn().events == [TurnStarted(driver.now_us, PYTHON)]
    driver.now_us += SECOND
    assert driver.turn().events == []
    same_after_replay(driver)
    assert driver.live._journal.start_us == START_US + 11 * SECOND
    driver.live.evict()


def test_the_version_of_python_is_recorded_where_it_changes() -> None:
    driver = Driver(collects)
    assert driver.turn().events == [TurnStarted(START_US, PYTHON)]
    driver.history[1] = TurnStarted(START_US, "3.9/1")
    driver.live.evict()
    driver.live = driver.replayed()
    assert driver.turn().events == []
    driver.raise_event("item", 1)
    assert driver.turn().events[0] == TurnStarted(START_US, PYTHON)
    driver.raise_event("item", 2)
    assert driver.turn().events[0] == TurnStarted(START_US, "")

    async def other(ctx: Any) -> None:
        await ctx.call_activity("a", 1)

    driver.live.evict()
    with pytest.raises(
        NonDeterminismError, match=f"recorded by Python 3.9/1, running Python {PYTHON}"
    ):
        Orchestration("test", 1, driver.started, program(other)).replay(driver.history)


def test_the_custom_status_is_reported_when_it_changes() -> None:
    async def orchestrator(ctx: Any) -> None:
        ctx.set_custom_status({"step": 1})
        await ctx.call_activity("a", 1)
        ctx.set_custom_status({"step": 1})
        await ctx.call_activity("a", 2)
        ctx.set_custom_status(None)

    driver = Driver(orchestrator, activities={"a": lambda x: x})
    assert driver.turn().custom_status == b'{"step":1}'
    same_after_replay(driver)
    driver.answer(ActivityCompleted(1, b"1"))
    assert driver.turn().custom_status is None
    assert driver.turn().custom_status == b""


# -- results of activities and children


def test_late_and_doubled_results_are_ignored() -> None:
    options = ActivityOptions(retry=RetryPolicy(max_attempts=3, first_delay=1))

    async def orchestrator(ctx: Any) -> Any:
        return [await ctx.call_activity("a", 1, options=options), await ctx.create_timer(99)]

    driver = Driver(orchestrator)
    driver.turn()
    for letter in (
        ActivityFailed(1, 1, failed("first")),
        ActivityFailed(1, 1, failed("again")),
        ActivityFailed(1, 2, failed("not yet")),
        ActivityCompleted(9, b"1"),
        SubOrchestrationCompleted(1, b"1"),
        SubOrchestrationFailed(1, failed()),
        ActivityHeartbeat(9, b"1"),
    ):
        driver.answer(letter)
    result = driver.turn()
    assert kinds(result.events) == ["TurnStarted", "ActivityFailed"]
    driver.now_us += 2 * SECOND
    driver.turn()
    driver.answer(ActivityCompleted(1, b'"done"'))
    driver.answer(ActivityCompleted(1, b'"twice"'))
    driver.answer(ActivityFailed(1, 2, failed()))
    assert kinds(driver.turn().events) == ["TurnStarted", "ActivityCompleted", "TimerCreated"]
    driver.live.evict()


def test_a_heartbeat_is_kept_for_the_next_attempt() -> None:
    async def orchestrator(ctx: Any) -> Any:
        await ctx.call_activity("a", 1, options=ActivityOptions(retry=RetryPolicy(first_delay=0)))

    driver = Driver(orchestrator)
    driver.turn()
    driver.answer(ActivityHeartbeat(1, b"50"))
    driver.answer(ActivityFailed(1, 1, failed()))
    driver.turn()
    same_after_replay(driver)
    (future,) = driver.live.pending_activities()
    assert (future.attempt, future.heartbeat) == (2, b"50")
    assert driver.live.pending_activity(1) is future
    driver.live.evict()


def test_children_and_their_failures() -> None:
    async def orchestrator(ctx: Any) -> Any:
        mine = ctx.call_sub_orchestrator("child", 1)
        named = ctx.call_sub_orchestrator("child", input=2, instance_id="named", version="2")
        try:
            await named
        except SubOrchestrationFailedError as error:
            return [await mine, mine.instance_id, error.subject, error.failure.message]

    driver = Driver(orchestrator)
    driver.turn()
    derived, named = driver.live.pending_children()
    assert (derived.seq, named.seq, named.instance_id) == (1, 2, "named")
    driver.answer(SubOrchestrationFailed(2, failed("refused")))
    driver.answer(SubOrchestrationCompleted(1, b"7"))
    driver.turn()
    assert driver.live.outcome == ExecutionCompleted(
        orjson.dumps([7, derived.instance_id, "sub-orchestration 'child' (named)", "refused"])
    )
    driver.replayed()


def test_everything_due_is_taken_in_order_of_its_time() -> None:
    async def orchestrator(ctx: Any) -> Any:
        order: list[int] = []

        async def sleeper(seconds: int) -> None:
            await asyncio.sleep(seconds)
            order.append(seconds)

        await asyncio.gather(*map(sleeper, (3, 1, 2)))
        return order

    driver = Driver(orchestrator)
    driver.turn()
    driver.now_us += 60 * SECOND
    driver.turn()
    assert driver.live.outcome == ExecutionCompleted(b"[1,2,3]")
    assert [e.seq for e in driver.history if isinstance(e, TimerFired)] == [2, 3, 1]


def test_a_rewound_execution_goes_on_with_the_chance_it_has_drawn() -> None:
    async def orchestrator(ctx: Any) -> Any:
        await ctx.call_activity("a", [str(ctx.uuid4()), ctx.random().random(), ctx.execution])
        await ctx.call_activity("failing", 1)
        return [str(ctx.uuid4()), ctx.execution]

    driver = Driver(orchestrator, activities={"a": lambda x: x, "failing": lambda x: 1 / 0})
    driver.run()
    history = rewound(
        driver.history, execution=1, parent=None, children=frozenset(), reason="mended"
    )
    assert isinstance(history[0], ExecutionStarted)
    again = Orchestration("test", 2, history[0], driver.program)
    again.replay(history)
    (pending,) = again.pending_activities()
    assert (pending.name, again.outcome) == ("failing", None)
    again.deliver(None, 2, ActivityCompleted(pending.seq, b"1"))
    again.turn(driver.now_us)
    twice = rewound(history, execution=2, parent=None, children=frozenset(), reason=None)
    assert isinstance(twice[0], ExecutionStarted)
    assert twice[0].drawn_as == 1
    assert isinstance(again.outcome, ExecutionCompleted)
    assert orjson.loads(again.outcome.result or b"")[1] == 1


@pytest.mark.parametrize(
    "events",
    [
        [ActivityHeartbeat(1, None)],  # before anything has begun
        [TurnStarted(START_US), ExecutionSuspended(), EventRaised("go", None), ExecutionResumed()],
        [TurnStarted(2**62)],
    ],
)
def test_events_that_no_execution_leaves_are_damage(events: list[Any]) -> None:
    async def waits(ctx: Any) -> Any:
        ctx.now()
        return await ctx.wait_for_external_event("stop")

    started = ExecutionStarted("waits", None, None)
    instance = Orchestration("i", 1, started, program(waits))
    try:
        with pytest.raises((CorruptHistoryError, NonDeterminismError)):
            instance.replay([started, *events])
    finally:
        assert instance.evict()
