"""What the simulation says of answers about one id: each rule of the id's life with answers that break it, and the races that it bears."""

from __future__ import annotations

import pytest

from durable_async.model.policy import ReusePolicy
from durable_async.testing.simulation.workloads._lives import (
    Answer,
    Call,
    Nature,
    unexplained,
)

NATURES = {"a": Nature(), "b": Nature(fails=True), "c": Nature(renewals=1)}
REPLACE, EXISTING = ReusePolicy.REPLACE, ReusePolicy.RETURN_EXISTING

Told = tuple[str, Answer]


def start(label: str = "a", reuse: ReusePolicy = ReusePolicy.REJECT) -> Call:
    return Call("start", 0, label, reuse)


def one_after_the_other(*told: tuple[Call | str, Answer | None]) -> list[Call]:
    """Return calls of which each is answered before the next; ``None`` stands for no answer at all."""
    calls = []
    for number, (asked, answer) in enumerate(told):
        call = Call(asked, 0) if isinstance(asked, str) else asked
        call.asked = 2 * number
        if answer is not None:
            call.tell(answer, 2 * number + 1)
        calls.append(call)
    return calls


def at_once(*told: tuple[Call | str, Answer | None]) -> list[Call]:
    """Return calls that all began before any was answered."""
    calls = one_after_the_other(*told)
    for call in calls:
        call.asked = -1
    return calls


@pytest.mark.parametrize(
    "told",
    [
        [("get", "not found"), (start(), "created"), ("get", (1, "pending", "a"))],
        [(start(), "created"), ("get", (1, "running", "a")), ("get", (1, "completed", "a"))],
        [(start(), "created"), ("terminate", "done"), ("get", (1, "terminated", "a"))],
        [(start(), "created"), ("terminate", "done"), ("get", (1, "completed", "a"))],
        [(start(), "created"), ("suspend", "done"), ("get", (1, "suspended", "a"))],
        [(start(), "created"), ("suspend", "refused"), ("purge", 1), ("get", "not found")],
        [(start("b"), "created"), ("rewind", "done"), ("get", (2, "running", "b"))],
        [(start("c"), "created"), ("get", (2, "running", "c"))],
        [(start("b"), "created"), ("rewind", "changing"), ("get", (1, "failed", "b"))],
        [
            (start("b"), "created"),
            (Call("rewind", 0, is_vague=True), "changing"),
            ("get", (2, "running", "b")),
        ],
        [(start(), "created"), ("restart", "created"), ("get", (2, "pending", "a"))],
        [(start(), "created"), (start("b", REPLACE), "created"), ("get", (2, "pending", "b"))],
        [(start(), "created"), (start("b", EXISTING), "found"), ("get", (1, "pending", "a"))],
        [(start(), "created"), (start("b"), ("exists", "completed"))],
        [(start(), None), ("get", (1, "completed", "a"))],
        [(start(), "created"), ("terminate", None), ("get", (1, "terminated", "a"))],
        [(start(), "created"), ("purge", None), ("get", "not found")],
        [("raise", "not found"), (start(), "created"), ("raise", "done"), ("raise", "refused")],
    ],
)
def test_answers_that_go_together(told: list[tuple[Call | str, Answer | None]]) -> None:
    assert unexplained(one_after_the_other(*told), NATURES) is None


@pytest.mark.parametrize(
    ("told", "wrong"),
    [
        ([(start(), "created"), (start("b"), "created")], 1),
        ([(start(), "created"), (start("b", EXISTING), "created")], 1),
        ([(start(), "created"), (start("b", REPLACE), ("exists", "pending"))], 1),
        ([(start(), "created"), ("get", "not found")], 1),
        ([(start(), "created"), ("get", (2, "pending", "a"))], 1),
        ([(start(), "created"), ("get", (1, "pending", "b"))], 1),
        ([(start(), "created"), ("get", (1, "failed", "a"))], 1),
        ([(start(), "created"), ("get", (1, "terminated", "a"))], 1),
        ([(start(), "created"), ("get", (1, "suspended", "a"))], 1),
        (
            [(start(), "created"), ("get", (1, "running", "a")), ("get", (1, "pending", "a"))],
            2,
        ),
        (
            [(start(), "created"), ("get", (1, "completed", "a")), ("get", (1, "running", "a"))],
            2,
        ),
        ([(start("c"), "created"), ("get", (2, "running", "c")), ("get", (1, "running", "c"))], 2),
        ([(start("c"), "created"), ("get", (3, "running", "c"))], 1),
        ([(start(), "created"), ("purge", 1), ("get", (1, "completed", "a"))], 2),
        (
            [
                (start(), "created"),
                ("purge", 1),
                (start("b"), "created"),
                ("get", (1, "running", "b")),
            ],
            3,
        ),
        ([(start(), "created"), ("rewind", "done")], 1),
        (
            [
                (start("b"), "created"),
                ("get", (1, "failed", "b")),
                ("rewind", "changing"),
                ("get", (2, "running", "b")),
            ],
            2,
        ),
        ([(start("b"), "created"), ("rewind", "done"), ("get", (1, "failed", "b"))], 2),
        (
            [
                (start(), "created"),
                ("suspend", "done"),
                ("get", (1, "suspended", "a")),
                ("get", (1, "completed", "a")),
            ],
            3,
        ),
        ([("terminate", "done")], 0),
        ([("purge", 1)], 0),
        ([(start(), "created"), ("terminate", "not found")], 1),
        ([(start(), "created"), ("raise", "refused"), ("raise", "done")], 2),
    ],
)
def test_answers_that_do_not_go_together(
    told: list[tuple[Call | str, Answer | None]], wrong: int
) -> None:
    calls = one_after_the_other(*told)
    assert unexplained(calls, NATURES) is calls[wrong]


def test_of_those_who_ask_at_once_one_may_be_the_first() -> None:
    told = [(start("b"), ("exists", "running")), (start("a"), "created"), ("get", "not found")]
    assert unexplained(at_once(*told), NATURES) is None


def test_of_those_who_ask_at_once_not_all_may_be_the_first() -> None:
    calls = at_once((start("a"), "created"), (start("b"), "created"))
    assert unexplained(calls, NATURES) is not None


def test_what_was_never_answered_does_not_happen_twice() -> None:
    calls = one_after_the_other(
        ("get", "not found"),
        (start(), None),
        ("get", (1, "completed", "a")),
        ("purge", 1),
        ("get", (2, "pending", "a")),
    )
    assert unexplained(calls, NATURES) is calls[4]
