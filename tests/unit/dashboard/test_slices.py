"""Slices: every row stands on exactly one page, and each page leads to those beside it."""

from __future__ import annotations

from hypothesis import given, strategies as st

from durable_async.dashboard._slices import LAST, Slice


@given(st.integers(0, 1_000), st.integers(1, 100))
def test_from_the_first_to_the_last_and_back_all_rows_are_seen_once(count: int, size: int) -> None:
    seen: list[int] = []
    here: int | None = 0
    while here is not None:
        part = Slice.at(here, count, size)
        seen += range(part.first, part.end)
        assert part.before == (None if here == 0 else here - size)
        here = part.after
    assert seen == list(range(count))
    assert part == Slice.at(LAST, count, size)


def test_a_slice_may_begin_anywhere() -> None:
    part = Slice.at(7, 250, 100)
    assert (part.first, part.end, part.before, part.after) == (7, 107, 0, 107)
