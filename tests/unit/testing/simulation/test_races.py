"""What the simulation says of timers and of events that race against them: each rule with a record that breaks it."""

from __future__ import annotations

from typing import Any

import pytest

from durable_async.model.history import (
    HistoryEvent,
    TimerCancelled,
    TimerCreated,
    TimerFired,
    TurnStarted,
)
from durable_async.testing.simulation.stage import Entry
from durable_async.testing.simulation.violations import Violation
from durable_async.testing.simulation.workloads.races import (
    check_clock,
    check_history,
    check_rounds,
    check_timers,
)


def test_rounds_that_are_right() -> None:
    check_rounds("i", ["event", "timer", "timer"], {0: True, 1: False})
    check_rounds("i", ["event"], {0: None})
    check_rounds("i", ["timer"], {0: None})


@pytest.mark.parametrize(
    ("won", "told", "invariant"),
    [
        (["timer"], {0: True}, "I12"),
        (["event"], {0: False}, "I2"),
        (["event"], {}, "I2"),
    ],
)
def test_rounds_that_are_wrong(
    won: list[str], told: dict[int, bool | None], invariant: str
) -> None:
    with pytest.raises(Violation) as found:
        check_rounds("i", won, told)
    assert found.value.invariant == invariant


def timer(seconds: float, *, called_off: bool = False) -> dict[str, Any]:
    return {"seconds": seconds, "is_absolute": False, "is_called_off": called_off}


THREE = [timer(1.0), timer(0.0), timer(1.0), timer(2.0, called_off=True)]
AT_ONCE, IN_A_SECOND = 5_000_000, 6_000_000


def test_timers_that_are_right() -> None:
    clock = [AT_ONCE, AT_ONCE, IN_A_SECOND, IN_A_SECOND + 3]
    check_timers("i", THREE, {"fired": [1, 0, 2], "clock": clock})
    check_timers(
        "i",
        [timer(-1.0), timer(0.0, called_off=True)],
        {"fired": [0, 1], "clock": [AT_ONCE] * 3},
    )


@pytest.mark.parametrize(
    ("fired", "clock", "words"),
    [
        ([1, 0], [0, 0, 1_000_000], "wrong timers"),
        ([1, 2, 0], [0, 0, 1_000_000, 1_000_000], "wrong timers"),
        ([1, 0, 2, 3], [0, 0, 1_000_000, 1_000_000, 2_000_000], "wrong timers"),
        ([1, 0, 0, 2], [0, 0, 1_000_000, 1_000_000, 1_000_000], "wrong timers"),
        ([1, 0, 2], [0, 0, 1_000_000, 999_999], "the clock went back"),
        ([1, 0, 2], [5, 4, 1_000_005, 1_000_005], "the clock went back"),
        ([1, 0, 2], [0, 0, 999_999, 1_000_000], "fired early"),
    ],
)
def test_timers_that_are_wrong(fired: list[int], clock: list[int], words: str) -> None:
    with pytest.raises(Violation, match=words):
        check_timers("i", THREE, {"fired": fired, "clock": clock})


def test_the_clock_of_the_store_counts() -> None:
    check_clock([Entry("k", 1, "w1", 7, 0, {"due_us": 7})])
    check_clock([Entry("k", 1, "w1", 4, 0, {"due_us": 7})], stepped_back_us=3)
    with pytest.raises(Violation, match="fired early"):
        check_clock([Entry("k", 1, "w1", 6, 0, {"due_us": 7})])


BEGIN = [TurnStarted(10), TimerCreated(1, 20), TimerCreated(2, 30), TimerCreated(3, 5)]


def test_a_history_that_is_right() -> None:
    check_history("i", [*BEGIN, TurnStarted(30), TimerFired(3), TimerFired(1), TimerFired(2)])
    check_history("i", [*BEGIN, TimerFired(3), TurnStarted(20), TimerFired(1), TimerCancelled(2)])


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ([TurnStarted(19), TimerFired(1)], "too early"),
        ([TurnStarted(30), TimerFired(2), TimerFired(1)], "too early"),
        ([TurnStarted(30), TimerFired(1), TimerFired(1)], "was not set"),
        ([TurnStarted(30), TimerCancelled(1), TimerFired(1)], "was not set"),
        ([TurnStarted(30), TimerFired(9)], "was not set"),
    ],
)
def test_a_history_that_is_wrong(events: list[HistoryEvent], words: str) -> None:
    with pytest.raises(Violation, match=words):
        check_history("i", [*BEGIN, *events])
