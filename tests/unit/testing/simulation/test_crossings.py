"""Crossings: what gates and convoys say goes together, or is noticed."""

from __future__ import annotations

import pytest

from durable_async.testing.simulation.serializability import Span
from durable_async.testing.simulation.violations import Violation
from durable_async.testing.simulation.workloads.crossings import Convoy, check_passages, check_told

GIVEN = Convoy("c", [["a", "b"], ["b"]])
SOUND = {"a": ["c.0"], "b": ["d.0", "c.0", "c.1"]}
TOLD = [[1, 2], [3]]


def test_what_was_told_is_noted() -> None:
    check_told(GIVEN, TOLD, SOUND)
    check_passages(SOUND, {})


@pytest.mark.parametrize("told", [[[1, 1], [3]], [[1, 2], [4]], [[1, 2], [2]]])
def test_a_place_where_somebody_else_stands_is_noticed(told: list[list[int]]) -> None:
    with pytest.raises(Violation, match="I7 at b: a convoy was told that it had passed"):
        check_told(GIVEN, told, SOUND)


def test_who_passes_twice_is_noticed() -> None:
    with pytest.raises(Violation, match="I7 at b: somebody passed twice"):
        check_passages(SOUND | {"b": ["c.0", "d.0", "c.0"]}, {})


def test_gates_that_disagree_are_noticed() -> None:
    with pytest.raises(Violation, match="I8"):
        check_passages({"a": ["c.0", "d.0"], "b": ["d.0", "c.0"]}, {})
    with pytest.raises(Violation, match="I8"):
        check_passages({"a": ["c.0", "d.0"]}, {"c.0": Span(5, 6), "d.0": Span(1, 2)})
