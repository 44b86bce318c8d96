"""What the simulation says of starts and results: each rule with a record that breaks it."""

from __future__ import annotations

import pytest

from durable_async.testing.simulation.stage import Entry
from durable_async.testing.simulation.violations import Violation
from durable_async.testing.simulation.workloads._lives import CREATED, FOUND, Answer, Call
from durable_async.testing.simulation.workloads.clients import Result, check_results, check_runs


def start(label: str, answer: Answer | None) -> Call:
    call = Call("start", 0, label)
    if answer is not None:
        call.tell(answer, 1)
    return call


CALLS = {
    "i": [
        start("a", CREATED),
        start("b", FOUND),
        start("c", ("exists", "running")),
        start("d", None),
    ]
}


def ran(label: str, execution: int = 1) -> Entry:
    facts = {"label": label, "instance": "i", "execution": execution}
    return Entry("k", 1, "w1", 0, 0, facts)


def test_starts_that_ran_as_they_should() -> None:
    check_runs([ran("a"), ran("a"), ran("d", 2)], CALLS)


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([ran("b")], "refused and ran"),
        ([ran("c")], "refused and ran"),
        ([ran("z")], "refused and ran"),
        ([ran("a"), ran("a", 2)], "one start ran twice"),
        ([ran("d"), ran("d", 2)], "one start ran twice"),
    ],
)
def test_starts_that_ran_as_they_should_not(entries: list[Entry], words: str) -> None:
    with pytest.raises(Violation, match=words):
        check_runs(entries, CALLS)


def test_results_that_agree() -> None:
    check_results([Result("i", "a", "a 1"), Result("i", "a", "a 1"), Result("i", "b", "b 1")])


@pytest.mark.parametrize("second", [Result("i", "a", "a 2"), Result("i", "a", "b 1")])
def test_results_that_do_not_agree(second: Result) -> None:
    with pytest.raises(Violation, match="two results"):
        check_results([Result("i", "a", "a 1"), second])
