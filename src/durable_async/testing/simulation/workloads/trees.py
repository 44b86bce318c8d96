"""Trees: orchestrations with children to the third depth, of which some are awaited, some left behind, and some ids are fought over."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, ClassVar

import anyio

from durable_async._kernel.context import OrchestrationContext
from durable_async.client import Client, OrchestrationState
from durable_async.errors import (
    InstanceExistsError,
    InstanceNotFoundError,
    SubOrchestrationFailedError,
)
from durable_async.hub import TaskHub
from durable_async.model.history import ExecutionTerminated
from durable_async.model.status import Status
from durable_async.registry import Registry
from durable_async.testing.simulation.plan import Action
from durable_async.testing.simulation.stage import Entry, Stage
from durable_async.testing.simulation.violations import StuckError, Violation

from ._attempts import begin, check_attempts
from ._workload import Workload

registry = Registry()

Node = dict[str, Any]
"""``label`` tells it from all others; ``kind`` is what it does itself: work, wait to be released, or fail; ``id`` is its own, or none;
``how`` its parent treats it: await, leave behind, or call off; ``children`` are nodes."""

Told = dict[str, Any]
"""What a node says at its end: its label, and what came of those children that it waited for: what they said, or why they did not."""

TAKEN, FAILED, TERMINATED = "InstanceExistsError", "FellError", "OrchestrationTerminatedError"

RELEASE_ROUNDS = 40


class FellError(Exception):
    """What a node that is to fail raises."""


@registry.activity(name="trees.work")
async def work(label: str) -> None:
    """Say that a node ran."""
    begin(label, label=label)


@registry.orchestrator(name="trees.node")
async def grow(ctx: OrchestrationContext, node: Node) -> Told:
    """Do what the node says, and tell what came of it."""
    await ctx.call_activity(work, node["label"])
    asked = [
        (child, ctx.call_sub_orchestrator(grow, child, instance_id=child["id"]))
        for child in node["children"]
    ]
    told: list[Told | str | None] = []
    for child, future in asked:
        if child["how"] == "await":
            try:
                told.append(await future)
            except SubOrchestrationFailedError as error:
                told.append(error.failure.root.error_type.rpartition(".")[2])
            continue
        told.append(None)
        if child["how"] == "call off":
            await ctx.create_timer(0.3)
            future.cancel()
    if node["kind"] == "wait":
        await ctx.wait_for_external_event("release")
    if node["kind"] == "fail":
        raise FellError
    return {"label": node["label"], "children": told}


class Trees(Workload):
    """Starts trees, ends some of them from outside, and starts others under the ids of their children."""

    name: ClassVar[str] = "trees"
    registry: ClassVar[Registry] = registry

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self._roots: dict[str, Node] = {}
        self._created: dict[str, bool | None] = {}
        self._terminated: set[str] = set()

    @classmethod
    def draw(cls, chance: random.Random) -> list[Action]:
        """Draw one to three trees, an end for some, and somebody who wants an id of theirs."""
        actions: list[Action] = []
        for number in range(chance.randint(1, 3)):
            root = _draw_node(chance, f"{number}", depth=0)
            root["id"] = f"trees-{number}"
            at = chance.uniform(0, 4)
            actions.append(_action(chance, at, "start", {"node": root}))
            if chance.random() < 0.4:
                args = {"id": root["id"], "recursive": chance.random() < 0.7}
                actions.append(_action(chance, at + chance.expovariate(0.7), "terminate", args))
        if chance.random() < 0.4:
            taker = _draw_node(chance, "taker", depth=3)
            taker["id"] = chance.choice(SHARED_IDS)
            actions.append(_action(chance, chance.uniform(0, 6), "start", {"node": taker}))
        return actions

    async def act(self, action: Action, client: Client) -> None:
        """Start a tree, or end one."""
        if action.kind == "terminate":
            await self._terminate(action.args["id"], client, recursive=action.args["recursive"])
            return
        node = action.args["node"]
        self._roots[node["label"]] = node
        self._created.setdefault(node["label"], None)
        await self._start(node, client)

    async def _terminate(self, instance_id: str, client: Client, *, recursive: bool) -> None:
        self._terminated.add(instance_id)
        with suppress(InstanceNotFoundError):  # it may be started later, or by nobody
            await self.stage.persist(lambda: client.terminate(instance_id, recursive=recursive))

    async def _start(self, node: Node, client: Client) -> None:
        async def call() -> bool:
            try:
                await client.start(
                    grow, node, instance_id=node["id"], request_id=f"trees {node['label']}"
                )
            except InstanceExistsError:
                return False
            return True

        answer = await self.stage.persist(call)
        if self._created[node["label"]] not in {None, answer}:
            raise Violation("I16", "one request has two answers", where=node["id"])
        self._created[node["label"]] = answer

    async def wind_up(self, client: Client) -> None:
        """Release those who wait, but for those who are to be ended from above."""
        for node in self._roots.values():
            if self._created[node["label"]] is None:
                await self._start(node, client)
        for _ in range(RELEASE_ROUNDS):
            waiting = [one async for one in self._states(client) if not one.is_ended]
            for state in waiting:
                if not await _is_to_be_terminated(state, client):
                    await client.raise_event(state.instance_id, "release")
            if not waiting:
                return
            await anyio.sleep(1)

    @staticmethod
    async def _states(client: Client) -> AsyncIterator[OrchestrationState]:
        async for state in client.query(names=["trees.node"], payloads=True):
            yield state

    async def check(self, hub: TaskHub) -> None:
        """Every node ran once, ended as it had to, and was told of as it was; a purge leaves nothing."""
        client = hub.client
        states = {one.instance_id: one async for one in self._states(client)}
        for state in states.values():
            if not state.is_ended:
                raise StuckError("it has not ended", where=state.instance_id, status=state.status)
        entries = [e for e in self.stage.ledger.entries if e.facts.get("instance") in states]
        check_attempts(entries, is_calm=self.stage.is_calm)
        check_runs(entries)
        nodes = {one["label"]: one for root in self._roots.values() for one in walk(root)}
        by_label = {state.input()["label"]: state for state in states.values()}
        for label, created in self._created.items():
            if created and label not in by_label:
                raise Violation("I2", "it was started, and is not there", where=label)
        for label, state in by_label.items():
            is_root = label in self._roots
            may_end = state.instance_id in self._terminated or not is_root
            check_end(nodes[label], state, by_label, may_be_terminated=may_end)
        await self._purge(client, states)

    async def _purge(self, client: Client, states: Mapping[str, OrchestrationState]) -> None:
        """Purge all trees, and see that nothing is left of them, nor comes back."""
        for state in states.values():
            if state.parent_instance_id is None:
                await client.purge(state.instance_id)
        await anyio.sleep(2 * self.stage.lease_seconds)
        left = [one.instance_id async for one in self._states(client)]
        if left:
            raise Violation("I15", "a purge left something behind", where=left[0], left=left)


async def _is_to_be_terminated(state: OrchestrationState, client: Client) -> bool:
    """Tell whether the end of one above it is to end it, too: its parent's, or, if that still lives, one above that."""
    if state.parent_instance_id is None:
        return False
    parent = await client.get(state.parent_instance_id)
    if parent is None:
        return False
    if not parent.is_ended:
        return await _is_to_be_terminated(parent, client)
    last = (await client.history(parent.instance_id))[-1]
    return isinstance(last, ExecutionTerminated) and last.recursive


SHARED_IDS = ("trees-shared-0", "trees-shared-1")


def _action(chance: random.Random, at: float, kind: str, args: dict[str, Any]) -> Action:
    return Action(round(at, 3), chance.randint(1, 3), Trees.name, kind, args)


def _draw_node(chance: random.Random, label: str, *, depth: int) -> Node:
    count = chance.choice([1, 2, 3]) if depth == 0 else chance.choice([0, 0, 1, 2])
    children = range(0 if depth == 3 else count)
    own_id = chance.choice([None, None, None, f"trees-own-{label}", chance.choice(SHARED_IDS)])
    return {
        "label": label,
        "kind": chance.choice(["work", "work", "work", "wait", "fail"]),
        "id": own_id,
        "how": chance.choice(["await", "await", "await", "leave behind", "call off"]),
        "children": [_draw_node(chance, f"{label}.{n}", depth=depth + 1) for n in children],
    }


def walk(node: Node) -> Iterator[Node]:
    """Go through a node and all below it."""
    yield node
    for child in node["children"]:
        yield from walk(child)


def check_runs(entries: Iterable[Entry]) -> None:
    """Check that no node ran as two instances.

    Raises:
        Violation: One did.
    """
    ran: dict[str, set[tuple[str, int]]] = defaultdict(set)
    for entry in entries:
        runs = ran[entry.facts["label"]]
        runs.add((entry.facts["instance"], entry.facts["execution"]))
        if len(runs) > 1:
            raise Violation("I6", "a child was started twice", where=entry.key, runs=sorted(runs))


def check_end(
    node: Node,
    state: OrchestrationState,
    states: Mapping[str, OrchestrationState],
    *,
    may_be_terminated: bool,
) -> None:
    """Check how a node ended, and what it told of its children.

    Args:
        node: The node.
        state: How it ended.
        states: How all ended, by label.
        may_be_terminated: Whether somebody may have ended it from outside, or from above.

    Raises:
        Violation: It ended otherwise than it had to, or told something else than was the case.
    """
    where = state.instance_id
    if state.status is Status.TERMINATED and may_be_terminated:
        return
    expected = Status.FAILED if node["kind"] == "fail" else Status.COMPLETED
    if state.status is not expected:
        raise Violation("I6", f"it is {state.status.value}", where=where, failure=state.failure)
    if expected is Status.FAILED:
        return
    for child, told in zip(node["children"], state.output()["children"], strict=True):
        if child["how"] != "await":
            continue
        was = states.get(child["label"])
        right = _answers(child, was)
        if told not in right:
            raise Violation("I6", "a wrong answer of a child", where=where, told=told, right=right)


def _answers(child: Node, was: OrchestrationState | None) -> list[Any]:
    """Return what a child may have said: how it ended, or that its id was taken, if nothing is there of it."""
    if was is None:
        return [TAKEN] if child["id"] in SHARED_IDS else []
    match was.status:
        case Status.COMPLETED:
            return [was.output()]
        case Status.FAILED:
            return [FAILED]
        case _:
            return [TERMINATED]
