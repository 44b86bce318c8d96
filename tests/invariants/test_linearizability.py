"""The checker finds an order where there is one, and none where there is none."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
from hypothesis import given, strategies as st

from .linearizability import UNHEARD, Call, explain


def register(state: Any, operation: str, argument: Any) -> tuple[Any, Any]:
    """A register that is written and read, and a counter in it that tells what it was."""
    match operation:
        case "write":
            return argument, None
        case "read":
            return state, state
        case _:
            return state + argument, state


def write(value: int, begun: float, ended: float = math.inf, **more: Any) -> Call:
    answer = UNHEARD if ended == math.inf else None
    return Call("write", value, answer, begun, ended, **more)


def read(value: int, begun: float, ended: float, **more: Any) -> Call:
    return Call("read", None, value, begun, ended, **more)


def test_an_answered_write_is_seen() -> None:
    assert explain([write(1, 0, 1), read(1, 2, 3)], register, 0)
    assert explain([write(1, 0, 1), read(0, 2, 3)], register, 0) is None


def test_a_write_that_is_under_way_may_be_seen_or_not() -> None:
    assert explain([write(1, 0, 9), read(0, 1, 2), read(1, 3, 4)], register, 0)
    assert explain([write(1, 0, 9), read(1, 1, 2), read(0, 3, 4)], register, 0) is None


def test_what_nobody_heard_of_may_have_happened_or_not() -> None:
    assert explain([write(1, 0, is_certain=False), read(0, 1, 2)], register, 0)
    assert explain([write(1, 0, is_certain=False), read(0, 1, 2), read(1, 3, 4)], register, 0)
    unheard = write(1, 5, is_certain=False)
    assert explain([unheard, read(1, 1, 2)], register, 0) is None, "it was seen before it was asked"


def test_what_was_accepted_must_take_effect() -> None:
    assert explain([write(1, 0), read(0, 1, 2)], register, 0), "some time later"
    swap = Call("add", 1, 0, 3, 4)
    assert explain([write(7, 0), swap, read(1, 5, 6), read(1, 7, 8)], register, 0)
    late = read(1, 5, 6)
    assert explain([write(7, 0), swap, read(1, 7, 8, after=(late,)), late], register, 0)


def test_the_order_of_a_sender_is_kept() -> None:
    first = write(1, 0)
    assert explain([first, write(2, 0), read(2, 1, 2), read(1, 3, 4)], register, 0)
    second = write(2, 0, after=(first,))
    assert explain([first, second, read(2, 1, 2), read(1, 3, 4)], register, 0) is None


def test_nothing_is_explained_by_nothing() -> None:
    assert explain([], register, 0) == []


@given(st.integers(0, 2**32))
def test_whatever_one_register_did_is_explained(seed: int) -> None:
    calls, _ = improvised(random.Random(seed))
    order = explain(calls, register, 0)
    assert order is not None
    assert sorted(map(id, order)) == sorted(map(id, calls))


@given(st.integers(0, 2**32))
def test_a_counter_that_counts_one_twice_is_found_out(seed: int) -> None:
    chance = random.Random(seed)
    calls, total = improvised(chance, ["add"])
    calls.append(read(total + chance.randint(1, 5), 10_000, 10_001))
    assert explain(calls, register, 0) is None


def improvised(
    chance: random.Random, operations: tuple[str, ...] | list[str] = ("write", "read", "add")
) -> tuple[list[Call], Any]:
    """Let a register do things at moments, and say of each only from when to when it took."""
    calls: list[Call] = []
    state: Any = 0
    for moment in range(0, 100, 10):
        operation, argument = chance.choice(operations), chance.randint(1, 3)
        state, answer = register(state, operation, argument)
        begun, ended = moment - chance.randint(0, 40), moment + chance.randint(0, 40)
        calls.append(Call(operation, argument, answer, begun, ended))
    chance.shuffle(calls)
    return calls, state


@pytest.mark.parametrize("answers", [[1, 2], [0, 0], [2, 1]])
def test_two_that_add_at_once_do_so_one_after_the_other(answers: list[int]) -> None:
    calls = [Call("add", 1, answer, 0, 1) for answer in answers]
    assert explain(calls, register, 0) is None
    assert explain([Call("add", 1, 0, 0, 1), Call("add", 1, 1, 0, 1)], register, 0)
