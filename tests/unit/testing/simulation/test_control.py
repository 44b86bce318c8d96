"""What the simulation says of work that clients saw: what was done stays done."""

from __future__ import annotations

import pytest

from durable_async.testing.simulation.violations import Violation
from durable_async.testing.simulation.workloads.control import Look, check_looks


def look(asked: int, *tokens: str, origin: int = 1) -> Look:
    return Look(asked, asked + 1, origin, tokens)


def test_work_grows() -> None:
    check_looks("i", [look(0), look(2, "x"), look(4, "x"), look(6, "x", "y")])
    check_looks("i", [look(0, "x"), look(2, "y", origin=2)])
    check_looks("i", [look(0, "x"), look(0)])  # who looked first is not known


@pytest.mark.parametrize(
    "looks",
    [
        [look(0, "x"), look(2)],
        [look(0, "x"), look(2, "y", "x")],
        [look(0, "x", "y"), look(2, "x", "z")],
        [look(2, "y"), look(0, "x")],
    ],
)
def test_work_does_not_shrink(looks: list[Look]) -> None:
    with pytest.raises(Violation, match="gone"):
        check_looks("i", looks)
