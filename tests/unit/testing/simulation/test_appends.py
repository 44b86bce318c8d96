"""Lists of items tell what was lost, doubled or reordered, and what came into the midst of a section."""

from __future__ import annotations

from typing import cast

import pytest

from durable_async.testing.simulation.linearizability import Call
from durable_async.testing.simulation.stage import Stage
from durable_async.testing.simulation.violations import Violation
from durable_async.testing.simulation.workloads._ledgers import LEDGERS, Script, Step, Told
from durable_async.testing.simulation.workloads.appends import Appends, Story, check_beginnings

HERE, THERE = LEDGERS[:2]

LISTS = {HERE: ["c", "s.0", "s.1.0", "s.1.1", "d"], THERE: ["s.1.2"]}

SCRIPT = Script(
    "s",
    [
        Step("put", HERE, "s.0"),
        Step(
            "lock",
            inside=[
                Step("put", HERE, "s.1.0"),
                Step("put", HERE, "s.1.1"),
                Step("put", THERE, "s.1.2"),
            ],
        ),
        Step("refuse", HERE, "s.2"),
    ],
    Told("s"),
)


def told() -> Told:
    made = Told("s", refused=["s.2"])
    for items in LISTS.values():
        made.lists |= {
            item: items[: at + 1] for at, item in enumerate(items) if item.startswith("s")
        }
    return made


def appends(said: Told | None) -> Appends:
    """A client's item that was accepted, a script, and another client's item that nobody heard of."""
    made = Appends(cast("Stage", None))
    accepted, unheard = Call("c", "put", "c", begun=1, accepted=2), Call("d", "put", "d", begun=9)
    unheard.is_certain = False
    made._calls[HERE] += [accepted, unheard]
    made._note(Story("appends-0", SCRIPT, 3, 4, 8, said))
    return made


def test_lists_fit() -> None:
    appends(told()).check_lists(LISTS)
    appends(told()).check_lists({**LISTS, HERE: LISTS[HERE][:-1]})
    appends(None).check_lists({HERE: ["c", "s.0"], THERE: []})


@pytest.mark.parametrize(
    ("here", "says"),
    [
        (["s.0", "s.1.0", "s.1.1"], "I7: a list that was told is not the beginning"),
        (["c", "s.0", "s.1.0", "s.1.0", "s.1.1"], "I7: a list that was told is not the beginning"),
        ([*LISTS[HERE], "s.2"], "I7: an operation took effect although it was refused"),
        ([*LISTS[HERE], "d"], "I7: operations took effect twice"),
        ([*LISTS[HERE], "ghost"], "I7: operations took effect that nobody asked for"),
    ],
)
def test_what_was_told_stays_true(here: list[str], says: str) -> None:
    with pytest.raises(Violation) as caught:
        appends(told()).check_lists({**LISTS, HERE: here})
    assert f"{caught.value.invariant}: {caught.value.what}".startswith(says)


@pytest.mark.parametrize(
    ("here", "says"),
    [
        (["s.0"], "I7: an operation was accepted, and lost"),
        (["c", "s.1.0", "s.0"], "I11: operations of one sender changed places"),
        (["s.0", "c"], "I8: an operation stands behind one that was asked for"),
        (["c", "s.1.0", "d", "s.1.1"], "I9: somebody came between operations of section"),
    ],
)
def test_what_nobody_told_is_held_to_its_order(here: list[str], says: str) -> None:
    with pytest.raises(Violation) as caught:
        appends(None).check_lists({**LISTS, HERE: here})
    assert f"{caught.value.invariant}: {caught.value.what}".startswith(says)


def test_a_list_ends_with_what_was_put() -> None:
    with pytest.raises(Violation, match="does not end with what was put"):
        check_beginnings(HERE, [Call("b", "put", "b", ("a",), 1)], ["a", "b"])


def test_two_ends_of_one_script_are_one_too_many() -> None:
    made = Appends(cast("Stage", None))
    made._stories.append(Story("appends-0", SCRIPT, 1))
    made._hear(told(), 5)
    with pytest.raises(Violation, match="I18 at appends-0"):
        made._hear(Told("s"), 6)


def test_what_a_ledger_sends_on_arrives_once() -> None:
    def check(there: list[str]) -> None:
        made = Appends(cast("Stage", None))
        made._calls[LEDGERS[2]].append(Call("c", "relay", "c", ("c",), 1, begun=1, ended=2))
        made.check_lists({LEDGERS[2]: ["c"], THERE: there})

    check(["c>"])
    with pytest.raises(Violation, match="an operation was accepted, and lost"):
        check([])
    with pytest.raises(Violation, match="operations took effect twice"):
        check(["c>", "c>"])
