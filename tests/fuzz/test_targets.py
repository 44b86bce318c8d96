"""Nothing that is given to a surface comes out of it as anything but an answer or a documented error."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from .target import answer_of
from .targets import TARGETS

FACTOR = int(os.environ.get("DURABLE_ASYNC_FUZZ_FACTOR", "1"))
"""How many times as many inputs as usual."""


@pytest.mark.parametrize("name", TARGETS)
def test_every_input_is_answered(name: str) -> None:
    target = TARGETS[name]

    @settings(
        max_examples=target.examples * FACTOR,
        suppress_health_check=list(HealthCheck),
        deadline=None,
        database=None,
        phases=[
            Phase.explicit,
            Phase.generate,
        ],  # shrinking takes minutes where an input takes a hundredth of a second
    )
    @given(target.inputs)
    def answers(value: Any) -> None:
        answer_of(target, value)

    answers()
