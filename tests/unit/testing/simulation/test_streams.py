"""What the simulation says of numbered events: each rule with a record that breaks it."""

from __future__ import annotations

import pytest

from durable_async.testing.simulation.violations import Violation
from durable_async.testing.simulation.workloads.streams import (
    Collector,
    check_origin,
    check_taken,
    check_told,
)

A0, A1, A2, B0 = ("a", 0), ("a", 1), ("a", 2), ("b", 0)


def test_what_was_taken_is_right() -> None:
    told = {A0: True, A1: False, A2: True, B0: None}
    check_taken("to", [A0, A2], told, set())
    check_taken("to", [B0, A0, A2], told, {B0})
    check_taken("to", [A2, A0], told, {A0})


@pytest.mark.parametrize(
    ("taken", "told", "invariant", "words"),
    [
        ([A0, A1, A0], {A0: True, A1: True}, "I2", "taken twice"),
        ([A0, A0], {A0: None}, "I2", "taken twice"),
        ([A1], {A0: True, A1: True}, "I12", "was lost"),
        ([A0], {A0: False}, "I2", "refused and taken"),
        ([A1, A0], {A0: True, A1: True}, "I11", "overtook"),
        ([A0, A2, B0, A1], dict.fromkeys([A0, A1, A2, B0], True), "I11", "overtook"),
    ],
)
def test_what_was_taken_is_wrong(
    taken: list[tuple[str, int]],
    told: dict[tuple[str, int], bool | None],
    invariant: str,
    words: str,
) -> None:
    with pytest.raises(Violation, match=words) as found:
        check_taken("to", taken, told, set())
    assert found.value.invariant == invariant


def test_what_an_orchestration_sent_is_right() -> None:
    check_told("to", [A0, B0, A1, A2], "a", 3, is_whole=True)
    check_told("to", [A1, A2], "a", 3, is_whole=False)
    check_told("to", [], "a", 3, is_whole=False)


@pytest.mark.parametrize(
    ("taken", "is_whole"),
    [
        ([A1, A2], True),
        ([A0, A1], False),
        ([A0, A2], False),
        ([A0, A1, A1, A2], True),
        ([A0, A2, A1], True),
    ],
)
def test_what_an_orchestration_sent_is_wrong(taken: list[tuple[str, int]], is_whole: bool) -> None:
    with pytest.raises(Violation, match="not what was sent"):
        check_told("to", taken, "a", 3, is_whole=is_whole)


def test_nothing_comes_from_nowhere() -> None:
    collector = Collector()
    collector.told[A0] = True
    collector.tellers["b"] = (1, True)
    check_origin("to", [A0, B0], collector)
    with pytest.raises(Violation, match="nowhere"):
        check_origin("to", [A0, A1], collector)
