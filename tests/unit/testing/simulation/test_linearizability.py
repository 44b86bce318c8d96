"""The checker finds an order where there is one, and none where there is none; and it finds out a witness that lies."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
from hypothesis import given, strategies as st

from durable_async.testing.simulation.linearizability import (
    UNHEARD,
    Call,
    Refusal,
    check_linearizable,
    check_witness,
    explain,
    resolve,
)
from durable_async.testing.simulation.violations import Violation


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
    return Call("", "write", value, answer, None, begun, ended, **more)


def read(value: int, begun: float, ended: float, **more: Any) -> Call:
    return Call("", "read", None, value, None, begun, ended, **more)


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
    swap = Call("", "add", 1, 0, None, 3, 4)
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
        calls.append(Call("", operation, argument, answer, None, begun, ended))
    chance.shuffle(calls)
    return calls, state


@pytest.mark.parametrize("answers", [[1, 2], [0, 0], [2, 1]])
def test_two_that_add_at_once_do_so_one_after_the_other(answers: list[int]) -> None:
    calls = [Call("", "add", 1, answer, None, 0, 1) for answer in answers]
    assert explain(calls, register, 0) is None
    assert explain(
        [Call("", "add", 1, 0, None, 0, 1), Call("", "add", 1, 1, None, 0, 1)], register, 0
    )


# -- the witness


def box(state: Any, operation: str, argument: Any) -> tuple[Any, Any]:
    """A counter that refuses to fall below zero."""
    after = state + (argument or 0)
    return (state, Refusal("empty")) if after < 0 else (after, after)


def history() -> list[Call]:
    """Two senders at one counter: what they asked for, and what they were told."""
    first = Call("a1", "add", 5, 5, 1, begun=1, ended=4)
    second = Call("a2", "add", -3, 2, 3, begun=5, ended=8, after=(first,))
    return [
        first,
        Call("b1", "add", 0, 5, 2, begun=2, ended=7),
        second,
        Call("b2", "add", -9, Refusal("empty"), 3, begun=9, ended=10),
        Call("b3", "add", 1, begun=11, is_certain=False),
        Call("b4", "add", 1, 3, 4, begun=12, ended=13),
    ]


NOTED = ["a1", "b1", "a2", "b4"]


def violation(calls: list[Call], noted: list[str]) -> str:
    with pytest.raises(Violation) as caught:
        check_linearizable("box", calls, noted, box, 0)
    return f"{caught.value.invariant}: {caught.value.what}"


def test_what_was_told_fits() -> None:
    check_linearizable("box", history(), NOTED, box, 0)
    with_unheard = history()
    with_unheard[-1].answer, with_unheard[-1].place = 4, 5
    check_linearizable("box", with_unheard, ["a1", "b1", "a2", "b3", "b4"], box, 0)


@pytest.mark.parametrize(
    ("noted", "says"),
    [
        (["a1", "a1", "b1", "a2", "b4"], "I7: operations took effect twice"),
        (["a1", "b1", "b4"], "I7: an operation was lost after it was answered"),
        ([*NOTED, "ghost"], "I7: operations took effect that nobody asked for"),
        (["a1", "b1", "b2", "a2", "b4"], "I7: an operation took effect although it was refused"),
        (["a1", "a2", "b1", "b4"], "I8: an operation does not stand where its answer said"),
        (["b3", "a1", "b1", "a2", "b4"], "I8: an answer is not what the order of operations"),
    ],
)
def test_a_witness_that_lies_is_found_out(noted: list[str], says: str) -> None:
    assert violation(history(), noted).startswith(says)


def test_an_accepted_operation_is_not_forgotten() -> None:
    lost = Call("s", "add", 1, begun=3)
    assert violation([*history(), lost], NOTED) == "I7: an operation was accepted, and lost"
    may_be_refused = Call("s", "add", -9, begun=3)
    check_linearizable("box", [*history(), may_be_refused], NOTED, box, 0)


def test_a_rejected_operation_took_no_effect() -> None:
    rejected = Call("r", "add", 0, begun=5, ended=6, is_rejected=True)
    check_linearizable("box", [*history(), rejected], NOTED, box, 0)
    assert "although it was refused" in violation([*history(), rejected], ["r", *NOTED])


def test_a_read_saw_a_state_that_was_there() -> None:
    read = Call("look", "add", 0, 2, begun=9, ended=10, is_look=True)
    check_linearizable("box", [*history(), read], NOTED, box, 0)
    stale = Call("look", "add", 0, 0, begun=9, ended=10, is_look=True)
    assert violation([*history(), stale], NOTED).startswith("I8")
    never = Call("look", "add", 0, 77, begun=9, ended=10, is_look=True)
    misplaced = Call("look", "add", 0, 2, 1, begun=0, is_look=True)
    assert violation([*history(), misplaced], NOTED) == "I8: no state explains an answer"
    assert violation([*history(), never], NOTED) == "I8: no state explains an answer"


def test_time_and_senders_are_looked_at_apart_from_answers() -> None:
    def nothing(state: Any, operation: str, argument: Any) -> tuple[Any, Any]:
        return state, None

    early = Call("early", "x", None, None, 2, begun=1, ended=2)
    late = Call("late", "x", None, None, 1, begun=3, ended=4)
    with pytest.raises(Violation, match="asked for when it had been accepted"):
        check_witness("box", [early, late], ["late", "early"], nothing, 0)
    accepted = Call("accepted", "x", begun=1, accepted=2)
    with pytest.raises(Violation, match="asked for when it had been accepted"):
        check_witness("box", [accepted, late], ["late", "accepted"], nothing, 0)
    first = Call("first", "x", begun=1)
    second = Call("second", "x", begun=1, after=(first,))
    with pytest.raises(Violation, match="operations of one sender changed places"):
        check_witness("box", [first, second], ["second", "first"], nothing, 0)


def test_the_black_box_is_told_what_became_of_the_unheard() -> None:
    unheard, lost = Call("u", "write", 1, is_certain=False), Call("l", "write", 2, is_certain=False)
    (known,) = resolve([unheard, lost], ["u"])
    assert (known.id, known.is_certain) == ("u", True)


@given(st.integers(0, 2**32))
def test_two_methods_agree(seed: int) -> None:
    """Wherever an answer is false, the black box finds no order, and the witness is contradicted."""
    chance = random.Random(seed)
    calls: list[Call] = []
    state = 0
    for place in range(1, 9):
        argument = chance.randint(1, 3)
        state += argument
        begun, ended = place - chance.random() * 3, place + chance.random() * 3
        calls.append(Call(f"c{place}", "add", argument, state, place, begun, ended))
    noted = [call.id for call in calls]
    chance.shuffle(calls)
    check_witness("box", calls, noted, box, 0)
    assert explain(calls, box, 0)
    chance.choice(calls).answer += 20
    with pytest.raises(Violation):
        check_witness("box", calls, noted, box, 0)
    assert explain(calls, box, 0) is None
