"""The watchdog interrupts what takes too long, and nothing else, at whatever moment it looks."""

from __future__ import annotations

import sys
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest

from durable_async.environment import SystemEnvironment
from durable_async.errors import TurnBudgetError
from durable_async.worker._watchdog import TurnInterruptedError, Watchdog


class Stepping(SystemEnvironment):
    """A clock that jumps a minute whenever it is asked, and lets the watchdog look at that moment."""

    watchdog: Watchdog | None = None
    seconds = 0.0

    def monotonic(self) -> float:
        self.seconds += 60.0
        watchdog, self.watchdog = self.watchdog, None
        if watchdog is not None:
            watchdog._look()
        return self.seconds


class Late:
    """A lock at which an interruption arrives, once."""

    def __init__(self, lock: Any) -> None:
        self._lock = lock
        self._arrived = False

    def __enter__(self) -> None:
        if not self._arrived:
            self._arrived = True
            raise TurnInterruptedError
        self._lock.__enter__()

    def __exit__(self, *how: object) -> None:
        self._lock.__exit__(*how)


def test_a_look_at_the_very_beginning_does_not_find_the_turn_before() -> None:
    clock = Stepping()
    watchdog = Watchdog(clock, 5.0)
    assert watchdog.watch("first", lambda: 1) == 1
    clock.watchdog = watchdog
    assert watchdog.watch("second", lambda: 2) == 2


def test_a_turn_that_takes_too_long_is_interrupted_where_it_stands() -> None:
    watchdog = Watchdog(Stepping(), 5.0)

    def turn() -> None:
        watchdog._look()
        pytest.fail("it was not interrupted")

    with pytest.raises(TurnBudgetError, match="more than 5 s"):
        watchdog.watch("slow", turn)
    assert watchdog.watch("next", lambda: 3) == 3


def test_code_that_swallows_the_interruption_has_taken_too_long_all_the_same() -> None:
    watchdog = Watchdog(Stepping(), 5.0)

    def turn() -> int:
        with suppress(BaseException):
            watchdog._look()
        return 4

    with pytest.raises(TurnBudgetError):
        watchdog.watch("stubborn", turn)


def test_code_that_goes_on_in_its_handlers_is_interrupted_again() -> None:
    watchdog = Watchdog(Stepping(), 5.0)
    reached: list[str] = []

    def turn() -> None:
        try:
            watchdog._look()
            reached.append("after the first")
        finally:
            reached.append("the handler")
            watchdog._look()
            reached.append("after the second")

    with pytest.raises(TurnBudgetError):
        watchdog.watch("endless", turn)
    assert reached == ["the handler"]
    assert watchdog.watch("next", lambda: 7) == 7


def test_an_interruption_that_arrives_after_the_turn_does_not_leave_the_watchdog() -> None:
    """It would end the whole worker: nobody above expects it."""
    watchdog = Watchdog(Stepping(), 5.0)
    lock = watchdog._lock
    watchdog._lock = Late(lock)  # type: ignore[assignment]
    with pytest.raises(TurnBudgetError):
        watchdog.watch("just over", lambda: 5)
    assert watchdog.watch("next", lambda: 6) == 6


def test_code_can_be_traced_after_an_interruption() -> None:
    """Python 3.11 hung there: a withdrawn interruption was looked for at each step."""
    watchdog = Watchdog(Stepping(), 5.0)

    def turn() -> None:
        watchdog._look()
        pytest.fail("it was not interrupted")

    with pytest.raises(TurnBudgetError):
        watchdog.watch("late", turn)
    lines: list[int] = []

    def trace(frame: Any, event: str, arg: Any) -> Any:
        lines.append(frame.f_lineno)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        sum(number for number in range(100))
    finally:
        sys.settrace(before)
    assert len(lines) >= 100


def test_a_turn_that_blocks_for_long_is_warned_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    times = iter([0.0, 1.9, 10.0, 12.1])
    environment = SimpleNamespace(monotonic=lambda: next(times))
    watchdog = Watchdog(environment, 5.0)  # type: ignore[arg-type]
    assert watchdog.watch("quick", lambda: 1) == 1
    assert caplog.messages == []
    assert watchdog.watch("slow", lambda: 2) == 2
    (warning,) = caplog.messages
    assert "a turn of slow blocked the event loop for 2.1 s" in warning
