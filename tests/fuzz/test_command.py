"""What a run of the fuzzer exits with."""

from __future__ import annotations

import pytest

from .command import BROKEN, IDLE, Row, exit_code


def row(inputs: int, unhandled: dict[str, int] | None = None) -> Row:
    return Row("url", inputs, inputs, {}, unhandled or {}, 0)


@pytest.mark.parametrize(
    ("given", "asked", "expected"),
    [
        (row(100), 100, 0),
        (row(99), 100, IDLE),
        (row(100, {"KeyError": 1}), 100, BROKEN),
        (row(5, {"KeyError": 1}), 100, BROKEN),
        (row(5), 0, 0),
        (row(0), 0, IDLE),
    ],
)
def test_too_few_inputs_prove_nothing(given: Row, asked: int, expected: int) -> None:
    assert exit_code([given], {"url": asked}) == expected
