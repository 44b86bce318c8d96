"""The laws of rewinding, over random programs whose mistakes are mended."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from itertools import takewhile

import pytest
from hypothesis import assume, given, settings, strategies as st

from durable_async.model.history import (
    COMMANDS,
    EntityCallAbandoned,
    EntityCallCompleted,
    EntityCalled,
    EntityCallFailed,
    EntityLocked,
    EntityLocksReleased,
    EntityLocksRequested,
    ExecutionFailed,
    ExecutionRewound,
    HistoryEvent,
)

from .programs import Tree, asynchronous, crashing_trees
from .world import ENDINGS, World, let_all_go

seeds = st.integers(0, 2**32)
law = settings(max_examples=150)
QUESTIONS = (EntityCalled, EntityLocksRequested)
ANSWERS = (
    EntityCallCompleted,
    EntityCallFailed,
    EntityCallAbandoned,
    EntityLocked,
    EntityLocksReleased,
)
GOOD_REASONS = ("is not locked for this caller any more", "within its schedule_to_close")
"""What is over is over: sections, and limits of time."""


@pytest.fixture(autouse=True)
def evicted() -> Iterator[None]:
    yield
    let_all_go()


def rewound(tree: Tree, seed: int, unrest: float = 0) -> World:
    """Return a world whose program failed and went on without its mistakes, as far as it got."""
    world = World(asynchronous(tree, [], lambda: world.mended))
    chance = random.Random(seed)
    world.improvise(chance)
    assume(isinstance(world.outcome, ExecutionFailed))
    world.rewind()
    world.improvise(chance, unrest=unrest)
    return world


@law
@given(crashing_trees, seeds, st.sampled_from([0, 0.5]))
def test_mended_code_goes_on_to_an_end(tree: Tree, seed: int, unrest: float) -> None:
    world = rewound(tree, seed, unrest)
    assert world.outcome is not None
    if isinstance(world.outcome, ExecutionFailed):
        assert any(reason in world.outcome.failure.message for reason in GOOD_REASONS)


@law
@given(crashing_trees, seeds)
def test_what_was_recorded_after_a_rewind_can_be_replayed(tree: Tree, seed: int) -> None:
    world = rewound(tree, seed)
    in_rows, at_once = world.fresh(), world.fresh()
    for turn in world.turns:
        in_rows.replay(turn)
    at_once.replay(world.history)
    for again in (in_rows, at_once):
        assert type(again.outcome) is type(world.outcome)
        assert again._journal.recorded == []


@law
@given(crashing_trees, seeds, st.sampled_from([0, 0.5]))
def test_what_entities_did_not_answer_is_asked_once_more(
    tree: Tree, seed: int, unrest: float
) -> None:
    world = rewound(tree, seed, unrest)
    assert set(world.asked.values()) <= {1}
    before, after = around_the_rewind(world)
    ended_at_once = isinstance(world.turns[1][-1], ENDINGS)
    beyond = list(takewhile(lambda event: isinstance(event, COMMANDS), after))
    answered = {event.seq for event in (*before, *beyond) if isinstance(event, ANSWERS)}
    asked = {event.seq for event in before if isinstance(event, QUESTIONS)} - answered
    new = {event.seq for event in after if isinstance(event, QUESTIONS)}
    assert {*world.asked} == (new if ended_at_once else new | asked)


def around_the_rewind(world: World) -> tuple[list[HistoryEvent], list[HistoryEvent]]:
    history = world.history
    at = max(i for i, event in enumerate(history) if isinstance(event, ExecutionRewound))
    return history[:at], history[at + 1 :]


def test_the_programs_are_worth_it() -> None:
    """Guard against laws that hold because nothing happens."""
    kinds: Counter[str] = Counter()

    @settings(max_examples=400, database=None, derandomize=True)
    @given(crashing_trees, seeds)
    def look(tree: Tree, seed: int) -> None:
        world = rewound(tree, seed)
        kinds[type(world.outcome).__name__] += 1
        before, after = around_the_rewind(world)
        again = {event.seq: event for event in before if isinstance(event, QUESTIONS)}
        kinds.update(type(again[seq]).__name__ for seq in world.asked if seq in again)
        kinds["beyond"] += isinstance(after[0], COMMANDS)

    look()
    assert kinds["ExecutionCompleted"] >= 300
    assert kinds["EntityCalled"] >= 15
    assert kinds["EntityLocksRequested"] >= 10
    assert kinds["beyond"] >= 100
