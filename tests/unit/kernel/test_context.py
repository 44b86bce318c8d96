"""The context: time, chance, names and arguments, as orchestrators see them."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from durable_async import OrchestrationContext, Registry, ReusePolicy
from durable_async.errors import OutsideOrchestrationError, ValidationError
from durable_async.model.history import (
    EventSent,
    ExecutionCompleted,
    TimerCreated,
)

from .driver import START_US, Driver, commands

START = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
SECOND = 1_000_000
ACTIVITIES: dict[str, Any] = {"a": lambda x: x}


def test_now_is_the_time_of_the_turn_and_of_the_timer_that_fired() -> None:
    seen: list[datetime] = []

    async def orchestrator(ctx: Any) -> None:
        seen.clear()
        seen.append(ctx.now())
        await ctx.create_timer(timedelta(hours=1))
        seen.append(ctx.now())
        await ctx.call_activity("a", 1)
        seen.append(ctx.now())
        assert ctx.current_utc_datetime == ctx.now().replace(tzinfo=None)

    driver = Driver(orchestrator, activities=ACTIVITIES)
    driver.run()
    assert seen == [START, START + timedelta(hours=1), START + timedelta(hours=1)]
    before = list(seen)
    driver.replayed()
    assert seen == before


@pytest.mark.parametrize(
    ("due", "seconds"),
    [
        (5, 5),
        (2.5, 2.5),
        (timedelta(minutes=1), 60),
        (START + timedelta(seconds=7), 7),
        ((START + timedelta(seconds=8)).replace(tzinfo=None), 8),
        ((START + timedelta(seconds=9)).astimezone(timezone(timedelta(hours=5))), 9),
    ],
)
def test_a_timer_takes_a_duration_or_a_time(due: Any, seconds: float) -> None:
    async def orchestrator(ctx: Any) -> None:
        await ctx.create_timer(due)

    driver = Driver(orchestrator)
    driver.run()
    assert commands(driver.history) == [TimerCreated(1, START_US + round(seconds * SECOND))]


@pytest.mark.parametrize(
    "due", [0, -1, timedelta(-1), START, START - timedelta(days=1), float("-inf")]
)
def test_what_is_past_fires_at_once_unrecorded(due: Any) -> None:
    async def orchestrator(ctx: Any) -> str:
        await ctx.create_timer(due)
        return "done"

    driver = Driver(orchestrator)
    driver.turn()
    assert driver.live.outcome == ExecutionCompleted(b'"done"')
    assert commands(driver.history) == []


async def ends(ctx: OrchestrationContext) -> None:
    """An orchestrator, and no activity."""


async def same(value: int) -> int:
    """An activity, and no orchestrator."""
    return value


BAD_CALLS: dict[str, Any] = {
    "nan": lambda ctx: ctx.create_timer(float("nan")),
    "text": lambda ctx: ctx.create_timer("5"),
    "nothing": lambda ctx: ctx.create_timer(None),
    "a function": lambda ctx: ctx.call_sub_orchestrator(len, 1),
    "an activity": lambda ctx: ctx.call_sub_orchestrator(Registry().activity(same), 1),
    "an orchestrator": lambda ctx: ctx.call_activity(Registry().orchestrator(ends)),
    "never": lambda ctx: ctx.create_timer(float("inf")),
    "too far": lambda ctx: ctx.create_timer(timedelta.max),
    "activity name": lambda ctx: ctx.call_activity(""),
    "not an activity": lambda ctx: ctx.call_activity(print),
    "event name": lambda ctx: ctx.wait_for_external_event(""),
    "orchestrator name": lambda ctx: ctx.call_sub_orchestrator(""),
    "child id": lambda ctx: ctx.call_sub_orchestrator("child", instance_id=""),
    "child reuse": lambda ctx: ctx.call_sub_orchestrator(
        "child", instance_id="x", reuse=ReusePolicy.REPLACE
    ),
    "no policy": lambda ctx: ctx.call_sub_orchestrator("child", reuse="replace_terminal"),
    "NUL in a version": lambda ctx: ctx.call_sub_orchestrator("child", version="a\0b"),
    "half an emoji as a version": lambda ctx: ctx.call_sub_orchestrator("child", version="\ud800"),
    "number as a version": lambda ctx: ctx.call_sub_orchestrator("child", version=5),
    "long version": lambda ctx: ctx.call_sub_orchestrator("child", version="v" * 2_000),
    "receiver": lambda ctx: ctx.send_event("", "go"),
}


@pytest.mark.parametrize("name", BAD_CALLS)
def test_a_bad_argument_is_refused_where_it_is_given_and_nothing_is_recorded(name: str) -> None:
    async def orchestrator(ctx: Any) -> str:
        with pytest.raises(ValidationError):
            BAD_CALLS[name](ctx)
        return "caught"

    driver = Driver(orchestrator)
    driver.turn()
    assert driver.live.outcome == ExecutionCompleted(b'"caught"')
    assert commands(driver.history) == []


def test_a_value_that_cannot_be_stored_is_refused_and_nothing_is_recorded() -> None:
    async def orchestrator(ctx: Any) -> str:
        for call in (
            lambda: ctx.call_activity("a", object()),
            lambda: ctx.call_sub_orchestrator("child", object()),
            lambda: ctx.send_event("other", "go", object()),
            lambda: ctx.set_custom_status(object()),
            lambda: ctx.continue_as_new(object()),
        ):
            with pytest.raises(TypeError):
                call()
        return "caught"

    driver = Driver(orchestrator)
    driver.turn()
    assert driver.live.outcome == ExecutionCompleted(b'"caught"')
    assert commands(driver.history) == []


def test_chance_is_repeated() -> None:
    async def orchestrator(ctx: Any) -> Any:
        drawn = [ctx.random("dice").randrange(6) for _ in range(9)]
        await ctx.call_activity("a", [drawn, str(ctx.uuid4())])
        return [ctx.random().random(), str(ctx.uuid4()), str(ctx.uuid4("x"))]

    driver = Driver(orchestrator, activities=ACTIVITIES)
    driver.run()
    assert driver.replayed().outcome == driver.live.outcome


def test_events_to_others_are_recorded_in_order() -> None:
    async def orchestrator(ctx: Any) -> None:
        ctx.send_event("one", "go", 1)
        ctx.send_event("two", "go")

    driver = Driver(orchestrator)
    driver.run()
    assert commands(driver.history) == [
        EventSent(1, "one", "go", b"1"),
        EventSent(2, "two", "go", b"null"),
    ]
    driver.replayed()


def test_the_logger_is_silent_in_a_replay(caplog: pytest.LogCaptureFixture) -> None:
    async def orchestrator(ctx: Any) -> bool:
        logger = ctx.logger(logging.getLogger("shop"))
        logger.info("before %d", 1, extra={"order": 7})
        await ctx.call_activity("a", 1)
        logger.info("after")
        return bool(ctx.is_replaying)

    driver = Driver(orchestrator, activities=ACTIVITIES)
    with caplog.at_level(logging.INFO, "shop"):
        driver.turn()
        driver.live.evict()
        driver.live = driver.replayed()
        driver._perform(driver.history[-1])
        driver.turn()
    assert [record.message for record in caplog.records] == ["before 1", "after"]
    assert {record.instance_id for record in caplog.records} == {"test"}  # type: ignore[attr-defined]
    assert caplog.records[0].order == 7  # type: ignore[attr-defined]
    assert driver.live.outcome == ExecutionCompleted(b"false")


def test_it_says_who_it_is() -> None:
    async def orchestrator(ctx: Any) -> Any:
        return [repr(ctx), ctx.parent_instance_id, ctx.version, ctx.name, ctx.execution]

    outcome = Driver(orchestrator).run()
    assert outcome == ExecutionCompleted(
        b'["<OrchestrationContext orchestrator \'test\' execution 1>",null,null,"orchestrator",1]'
    )


@pytest.mark.parametrize(
    "call",
    [
        lambda ctx: ctx.call_activity("a", 1),
        lambda ctx: ctx.create_timer(1),
        lambda ctx: ctx.call_sub_orchestrator("child"),
        lambda ctx: ctx.send_event("other", "go"),
        lambda ctx: ctx.wait_for_external_event("go"),
        lambda ctx: ctx.set_custom_status(1),
    ],
)
def test_a_context_that_was_kept_is_of_no_use_outside_of_a_turn(call: Any) -> None:
    kept: list[Any] = []

    async def orchestrator(ctx: Any) -> None:
        kept.append(ctx)
        await ctx.wait_for_external_event("go")

    async def other(ctx: Any) -> None:
        call(kept[0])

    driver = Driver(orchestrator)
    driver.turn()
    with pytest.raises(OutsideOrchestrationError, match="'test' from outside of its turn"):
        call(kept[0])
    outcome = Driver(other, instance_id="other").run()
    assert outcome.failure.error_type.endswith("OutsideOrchestrationError")
    driver.raise_event("go")
    result = driver.turn()
    assert [type(event).__name__ for event in result.events] == [
        "TurnStarted",
        "EventRaised",
        "ExecutionCompleted",
    ]
    assert result.custom_status is None
