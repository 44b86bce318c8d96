"""From the bytes of a fuzzer to the input of a target: as they are, or by way of what its strategy draws from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings

from .target import Target


def reader_of(target: Target, give: Callable[[Any, bytes], None]) -> Callable[[bytes], None]:
    """Return a function that makes an input of bytes, and hands over both."""
    if target.is_raw:
        return lambda data: give(data, data)
    current = b""

    @settings(deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(target.inputs)
    def drawn(value: Any) -> None:
        give(value, current)

    draw = drawn.hypothesis.fuzz_one_input

    def read(data: bytes) -> None:
        nonlocal current
        current = data
        draw(data)

    return read
