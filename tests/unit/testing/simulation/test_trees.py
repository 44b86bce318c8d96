"""What the simulation says of trees of orchestrations: each rule with a record that breaks it, and two with an engine that does."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from durable_async._engine import fold
from durable_async.client import _lineage
from durable_async.model.status import Status
from durable_async.testing.simulation.plan import Action, Plan
from durable_async.testing.simulation.play import play
from durable_async.testing.simulation.stage import Entry
from durable_async.testing.simulation.violations import Violation
from durable_async.testing.simulation.workloads.trees import (
    FAILED,
    SHARED_IDS,
    TAKEN,
    TERMINATED,
    Node,
    check_end,
    check_runs,
    walk,
)


def node(
    label: str = "r", *children: Node, kind: str = "work", how: str = "await", id: str | None = None
) -> Node:
    return {"label": label, "kind": kind, "id": id, "how": how, "children": list(children)}


def ended(status: Status = Status.COMPLETED, *told: Any, label: str = "r") -> Any:
    output = {"label": label, "children": list(told)} if status is Status.COMPLETED else None
    return SimpleNamespace(instance_id=label, status=status, failure=None, output=lambda: output)


LEAF = {"label": "c", "children": []}
GOOD, BAD, GONE = ended(label="c"), ended(Status.FAILED, label="c"), ended(Status.TERMINATED)


def end(tree: Node, state: Any, *, child: Any = None, may_be_terminated: bool = False) -> None:
    states = {"r": state} if child is None else {"r": state, "c": child}
    check_end(tree, state, states, may_be_terminated=may_be_terminated)


def test_ends_that_are_right() -> None:
    end(node("r", node("c")), ended(Status.COMPLETED, LEAF), child=GOOD)
    end(node("r", node("c", kind="fail")), ended(Status.COMPLETED, FAILED), child=BAD)
    end(node("r", node("c")), ended(Status.COMPLETED, TERMINATED), child=GONE)
    end(node("r", node("c", id=SHARED_IDS[0])), ended(Status.COMPLETED, TAKEN))
    end(node("r", node("c", how="leave behind")), ended(Status.COMPLETED, None), child=BAD)
    end(node("r", kind="fail"), ended(Status.FAILED))
    end(node("r", node("c")), ended(Status.TERMINATED), may_be_terminated=True)


@pytest.mark.parametrize(
    ("tree", "state", "child"),
    [
        (node(), ended(Status.FAILED), None),
        (node(), ended(Status.TERMINATED), None),
        (node(kind="fail"), ended(), None),
        (node("r", node("c")), ended(Status.COMPLETED, FAILED), GOOD),
        (node("r", node("c")), ended(Status.COMPLETED, LEAF), BAD),
        (node("r", node("c")), ended(Status.COMPLETED, LEAF), None),
        (node("r", node("c")), ended(Status.COMPLETED, TAKEN), None),
        (node("r", node("c", id=SHARED_IDS[0])), ended(Status.COMPLETED, TAKEN), GOOD),
        (node("r", node("c")), ended(Status.COMPLETED, {"label": "x", "children": []}), GOOD),
    ],
)
def test_ends_that_are_wrong(tree: Node, state: Any, child: Any) -> None:
    with pytest.raises(Violation):
        end(tree, state, child=child)


def test_a_node_runs_as_one_instance() -> None:
    def ran(instance: str, execution: int = 1) -> Entry:
        facts = {"label": "a", "instance": instance, "execution": execution}
        return Entry("k", 1, "w1", 0, 0, facts)

    check_runs([ran("i"), ran("i")])
    for other in (ran("j"), ran("i", 2)):
        with pytest.raises(Violation, match="started twice"):
            check_runs([ran("i"), other])


def test_all_of_a_tree_is_walked() -> None:
    assert [one["label"] for one in walk(node("a", node("b", node("c")), node("d")))] == [*"abcd"]


TREE = node("0", node("0.0", node("0.0.0", kind="wait")), id="trees-0")
ACTIONS = (
    Action(0.0, 1, "trees", "start", {"node": TREE}),
    Action(2.0, 1, "trees", "terminate", {"id": "trees-0", "recursive": True}),
)


def invariant(*actions: Action) -> str:
    plan = Plan(seed=1, workers=1, clients=1, workloads=("trees",), actions=actions)
    return play(plan).invariant


def test_a_sound_engine_passes() -> None:
    assert invariant(*ACTIONS) == ""


def test_an_end_that_does_not_reach_the_children_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fold.Orchestration, "pending_children", lambda self: [])
    assert invariant(*ACTIONS) != ""


def test_a_purge_that_leaves_children_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nobody(*_: Any) -> list[str]:
        return []

    monkeypatch.setattr(_lineage, "descendants", nobody)
    assert invariant(ACTIONS[0]) == "I15"
