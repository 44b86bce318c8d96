"""What the simulation says of fan-outs: each rule with a record that breaks it."""

from __future__ import annotations

from typing import Any

import pytest

from durable_async.testing.simulation.stage import Entry
from durable_async.testing.simulation.violations import Violation
from durable_async.testing.simulation.workloads.fan_out import (
    TRIES,
    Call,
    check_answers,
    check_beats,
)


def call(kind: str = "plain", number: int = 5, failures: int = 0) -> Call:
    return {"kind": kind, "number": number, "seconds": 0.0, "failures": failures}


def entry(attempt: int = 1, key: str = "k", **facts: Any) -> Entry:
    return Entry(key, attempt, "w1", 0, 0, facts)


def answers(
    calls: list[Call], told: list[int | str], attempts: list[int], *, how: str = "all"
) -> None:
    entries = [entry(count, what=str(number)) for number, count in enumerate(attempts)]
    check_answers({"id": "i", "how": how, "calls": calls}, told, entries, is_calm=True)


def test_answers_that_are_right() -> None:
    hopeless = call("flaky", failures=TRIES.max_attempts)
    answers([call()], [15], [1])
    answers([call("flaky", failures=2), hopeless], [15, "TryAgainError"], [3, TRIES.max_attempts])
    answers([call("hopeless"), call("hanging", failures=1)], ["HopelessError", 15], [1, 2])
    answers([call(), call("slow")], [15, "CancelledError"], [1, 1], how="first")


@pytest.mark.parametrize(
    ("calls", "told", "attempts", "how", "words"),
    [
        ([call()], [], [1], "all", "not one answer"),
        ([call()], [16], [1], "all", "a wrong answer"),
        ([call()], ["CancelledError"], [1], "all", "a wrong answer"),
        ([call("flaky", failures=1)], ["TryAgainError"], [1], "all", "a wrong answer"),
        ([call("hopeless")], [15], [1], "all", "a wrong answer"),
        ([call()], [15], [0], "all", "0 attempts, not 1"),
        ([call("hopeless")], ["HopelessError"], [2], "all", "2 attempts, not 1"),
        ([call("flaky", failures=1)], [15], [1], "all", "1 attempts, not 2"),
        ([call(), call()], ["CancelledError"] * 2, [1, 1], "first", "the first of all"),
    ],
)
def test_answers_that_are_wrong(
    calls: list[Call], told: list[int | str], attempts: list[int], how: str, words: str
) -> None:
    with pytest.raises(Violation, match=words):
        answers(calls, told, attempts, how=how)


def beat(number: int) -> Entry:
    return entry(key="k beat", beat=number)


def test_heartbeats_that_are_right() -> None:
    check_beats([entry(found=None), beat(1), entry(2, found=1), beat(2)], is_calm=True)
    check_beats([entry(found=None), beat(1), entry(found=None), beat(1)], is_calm=False)


@pytest.mark.parametrize(
    ("entries", "is_calm", "words"),
    [
        ([entry(found=1)], False, "nobody sent"),
        ([entry(found=None), entry(2, found=1), beat(1)], False, "nobody sent"),
        ([entry(found=None), beat(1), entry(2, found=None)], True, "was lost"),
        (
            [beat(1), beat(2), entry(found=None), entry(2, found=2), entry(3, found=1)],
            False,
            "was lost",
        ),
    ],
)
def test_heartbeats_that_are_wrong(entries: list[Entry], is_calm: bool, words: str) -> None:
    with pytest.raises(Violation, match=words):
        check_beats(entries, is_calm=is_calm)
