"""Retries: decided once, from recorded time, and the same for every owner."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, strategies as st

from durable_async.errors import ActivityFailedError, ValidationError
from durable_async.failure import FailureDetails
from durable_async.model.history import (
    ActivityCompleted,
    ActivityFailed,
    ActivityRetried,
    ExecutionCompleted,
    ExecutionFailed,
)
from durable_async.model.policy import SECONDS_MAX, ActivityOptions, RetryPolicy

from .driver import START_US, Driver

SECOND = 1_000_000


def orchestrator(options: ActivityOptions) -> Any:
    async def calls(ctx: Any) -> Any:
        try:
            return await ctx.call_activity("a", 1, options=options)
        except ActivityFailedError as error:
            return error.failure.message

    return calls


def always_failing(options: ActivityOptions, error: Exception | None = None) -> Driver:
    def fail(_: Any) -> None:
        raise error or ValueError("no")

    driver = Driver(orchestrator(options), activities={"a": fail})
    driver.run()
    return driver


def attempts_at(driver: Driver) -> list[float]:
    """Return when each attempt began, in seconds since the first."""
    times = [0.0]
    for turn in driver.turns:
        times += [
            (turn[0].at_us - START_US) / SECOND
            for event in turn
            if isinstance(event, ActivityRetried)
        ]
    return times


def policy(**settings: Any) -> ActivityOptions:
    return ActivityOptions(retry=RetryPolicy(**settings))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (ActivityOptions(), [0]),
        (policy(max_attempts=1), [0]),
        (policy(max_attempts=4, first_delay=1, backoff=2), [0, 1, 3, 7]),
        (policy(max_attempts=5, first_delay=2, backoff=3, max_delay=10), [0, 2, 8, 18, 28]),
        (policy(max_attempts=3, first_delay=timedelta(minutes=1), backoff=1), [0, 60, 120]),
        (policy(max_attempts=3, first_delay=0), [0, 0, 0]),
        (policy(max_attempts=99, first_delay=4, backoff=1, max_elapsed=13), [0, 4, 8, 12]),
        (policy(max_attempts=99, first_delay=1e300, backoff=9, max_delay=5, max_elapsed=6), [0, 5]),
        (
            ActivityOptions(
                retry=RetryPolicy(max_attempts=99, first_delay=4, backoff=1), schedule_to_close=9
            ),
            [0, 4, 8],
        ),
    ],
)
def test_attempts_come_when_the_policy_says(
    options: ActivityOptions, expected: list[float]
) -> None:
    driver = always_failing(options)
    assert attempts_at(driver) == expected
    failures = [event for event in driver.history if isinstance(event, ActivityFailed)]
    assert [event.attempt for event in failures] == list(range(1, len(expected) + 1))
    assert [event.retry_at_us is None for event in failures] == [False] * (len(expected) - 1) + [
        True
    ]
    assert driver.live.outcome == ExecutionCompleted(b'"no"')
    assert driver.replayed().outcome == driver.live.outcome


@given(st.floats(0, 1), st.integers(1, 5))
def test_jitter_only_shortens_and_is_the_same_for_every_owner(jitter: float, attempts: int) -> None:
    options = policy(max_attempts=attempts, first_delay=8, backoff=1, jitter=jitter)
    driver = always_failing(options)
    times = attempts_at(driver)
    assert times == attempts_at(always_failing(options))
    for before, after in pairwise(times):
        assert 8 * (1 - jitter) - 1e-5 <= after - before <= 8
    driver.live.evict()


def test_jitter_differs_between_instances_and_attempts() -> None:
    options = policy(max_attempts=4, first_delay=1_000, backoff=1, jitter=1)
    delays = set()
    for number in range(5):
        driver = Driver(
            orchestrator(options), activities={"a": lambda _: 1 / 0}, instance_id=f"i{number}"
        )
        driver.run()
        times = attempts_at(driver)
        delays |= {after - before for before, after in pairwise(times)}
    assert len(delays) == 15


class CardDeclinedError(Exception):
    pass


class LostError(Exception):
    non_retryable = True


@pytest.mark.parametrize(
    ("kinds", "error"),
    [
        ((CardDeclinedError,), CardDeclinedError("no")),
        (("CardDeclinedError",), CardDeclinedError("no")),
        ((f"{__name__}.CardDeclinedError",), CardDeclinedError("no")),
        ((), LostError("no")),
    ],
)
def test_what_is_not_to_be_retried_is_final_at_once(kinds: Any, error: Exception) -> None:
    options = policy(max_attempts=5, non_retryable=kinds)
    assert attempts_at(always_failing(options, error)) == [0]
    assert len(attempts_at(always_failing(options, KeyError()))) == 5


def test_the_deadline_ends_an_attempt_that_says_nothing() -> None:
    driver = Driver(orchestrator(ActivityOptions(schedule_to_close=timedelta(seconds=30))))
    driver.turn()
    assert driver.live.wake_at_us == START_US + 30 * SECOND
    driver.live.evict()
    driver.live = driver.replayed()
    assert driver.live.wake_at_us == START_US + 30 * SECOND
    driver.now_us += 30 * SECOND
    driver.turn()
    assert isinstance(driver.live.outcome, ExecutionCompleted)
    assert b"within its schedule_to_close" in (driver.live.outcome.result or b"")
    driver.answer(ActivityCompleted(1, b'"late"'))
    assert driver.turn().events == []


def test_the_deadline_also_ends_the_wait_for_a_retry() -> None:
    options = ActivityOptions(
        retry=RetryPolicy(max_attempts=9, first_delay=20, backoff=1), schedule_to_close=25
    )
    driver = always_failing(options)
    assert attempts_at(driver) == [0, 20]
    (first, last) = [event for event in driver.history if isinstance(event, ActivityFailed)]
    assert (first.retry_at_us, last.retry_at_us) == (START_US + 20 * SECOND, None)


def test_a_changed_policy_does_not_change_what_was_decided() -> None:
    driver = always_failing(policy(max_attempts=3, first_delay=1))
    changed = Driver(orchestrator(policy(max_attempts=7, first_delay=50))).fresh()
    changed.replay(driver.history)
    assert changed.outcome == driver.live.outcome


def test_cancelling_while_a_retry_waits_ends_it() -> None:
    async def gives_up(ctx: Any) -> Any:
        call = ctx.call_activity("a", 1, options=policy(max_attempts=9, first_delay=60))
        await ctx.create_timer(5)
        call.cancel()
        await ctx.create_timer(500)

    driver = Driver(gives_up, activities={"a": lambda _: 1 / 0})
    assert driver.run() == ExecutionCompleted(b"null")
    assert attempts_at(driver) == [0]
    driver.replayed()


def test_a_failure_that_nobody_catches_fails_the_orchestration_with_its_cause() -> None:
    async def calls(ctx: Any) -> Any:
        await ctx.call_activity("a", 1)

    driver = Driver(calls)
    driver.turn()
    driver.answer(ActivityFailed(1, 1, FailureDetails("shop.Declined", "no card")))
    driver.turn()
    outcome = driver.live.outcome
    assert isinstance(outcome, ExecutionFailed)
    assert outcome.failure.error_type == "durable_async.errors.ActivityFailedError"
    assert outcome.failure.cause == FailureDetails("shop.Declined", "no card")


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"max_attempts": 1.5}, "max_attempts"),
        ({"max_attempts": "3"}, "max_attempts"),
        ({"backoff": float("inf")}, "backoff"),
        ({"backoff": float("nan")}, "backoff"),
        ({"jitter": "much"}, "jitter"),
        ({"first_delay": -1}, "first_delay"),
        ({"non_retryable": [ValueError]}, "non_retryable"),
        ({"non_retryable": (5,)}, "non_retryable"),
    ],
)
def test_a_policy_that_means_nothing(settings: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError, match=f"^{field}: "):
        RetryPolicy(**settings)


@pytest.mark.parametrize("long", [float("inf"), 10**400, 1e300, timedelta.max])
def test_what_is_longer_than_a_thousand_years_is_so_long(long: Any) -> None:
    lasting = RetryPolicy(max_attempts=3, first_delay=long, max_elapsed=long)
    assert lasting.delay_seconds(2, 0.0) == SECONDS_MAX
    options = ActivityOptions(retry=lasting, schedule_to_close=long)
    assert attempts_at(always_failing(options))[:1] == [0.0]


def test_no_delay_stays_none_however_often() -> None:
    assert RetryPolicy(max_attempts=5_000, first_delay=0).delay_seconds(4_999, 0.0) == 0.0
