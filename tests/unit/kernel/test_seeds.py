"""Chance: the same in every replay, apart for each instance, execution and name."""

from __future__ import annotations

from hypothesis import given, strategies as st

from durable_async._kernel.seeds import Streams


@given(st.text(min_size=1, max_size=9), st.integers(1, 9), st.text(max_size=9))
def test_a_stream_repeats(instance_id: str, execution: int, name: str) -> None:
    one, two = Streams(instance_id, execution), Streams(instance_id, execution)
    assert [one.random(name).random() for _ in range(5)] == [
        two.random(name).random() for _ in range(5)
    ]
    assert [one.uuid4(name) for _ in range(3)] == [two.uuid4(name) for _ in range(3)]
    assert 0 <= one.draw(1, 1) < 1


def test_the_numbers_are_those_of_every_python() -> None:
    """Kept for ever: an instance in flight must draw them again after an upgrade."""
    streams = Streams("order-7", 2)
    assert streams.random("dice").getrandbits(32) == 2863736936
    assert str(streams.uuid4("")) == "75d1fe49-4b40-40b0-b74c-6264393795b6"
    assert round(streams.draw(3, 1), 12) == 0.240306385433


def test_a_draw_under_one_name_shifts_nothing_under_another() -> None:
    alone, beside = Streams("i", 1), Streams("i", 1)
    beside.random("new").random()
    beside.uuid4("new")
    beside.uuid4("")
    assert alone.random("old").random() == beside.random("old").random()
    assert alone.uuid4("old") == beside.uuid4("old")


def test_instances_executions_and_names_are_apart() -> None:
    seen = {
        Streams(instance_id, execution).uuid4(name)
        for instance_id in ("a", "b", "a\0")
        for execution in (1, 2, 11)
        for name in ("", "x", "y")
    }
    assert len(seen) == 27
    assert all(value.version == 4 for value in seen)
