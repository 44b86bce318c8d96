"""Bodies: no more of one is read than may be, whatever it says of its length."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator

import pytest

from durable_async.errors import PayloadTooLargeError
from durable_async.integrations._http.bodies import read_body

from .stage import call_for


@pytest.mark.parametrize("headers", [{}, {"content-length": "2"}, {"content-length": "²"}])
async def test_a_body_without_an_end_is_left(headers: dict[str, str]) -> None:
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield b"x" * 10

    call = dataclasses.replace(call_for({}, headers=headers), body=endless())
    with pytest.raises(PayloadTooLargeError):
        await read_body(call, 35)
    assert taken == 4


async def test_one_that_says_that_it_is_too_long_is_not_begun() -> None:
    async def untouched() -> AsyncIterator[bytes]:
        raise AssertionError("it was read")
        yield b""

    for length in ("36", "9" * 5_000):
        headers = {"content-length": length}
        call = dataclasses.replace(call_for({}, headers=headers), body=untouched())
        with pytest.raises(PayloadTooLargeError):
            await read_body(call, 35)
