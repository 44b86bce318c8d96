"""The laws of critical sections, over random programs that call, signal and lock at every turn."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from durable_async._engine.fold import fold
from durable_async._kernel.orchestration import TurnResult
from durable_async.model.history import (
    EntityCallAbandoned,
    EntityCallCompleted,
    EntityCalled,
    EntityCallFailed,
    EntityLocked,
    EntityLockRelease,
    EntityLockRequest,
    EntityLocksReleased,
    EntityLocksRequested,
    EntityOperation,
    EntitySignaled,
    HistoryEvent,
    ParentLink,
)
from durable_async.model.identity import EntityId
from durable_async.model.records import NO_WILL, Outgoing, TurnCommit
from durable_async.model.status import Status
from durable_async.serialization.events import decode_letter

from .programs import Tree, asynchronous, generator, simple_trees, trees
from .world import World, let_all_go

programs = st.one_of(
    st.tuples(st.just(asynchronous), trees), st.tuples(st.just(generator), simple_trees)
)
seeds = st.integers(0, 2**32)
law = settings(max_examples=200)


@pytest.fixture(autouse=True)
def evicted() -> Iterator[None]:
    yield
    let_all_go()


class Folding(World):
    """Folds every turn, as a worker does."""

    def __init__(self, orchestrator: Any) -> None:
        self.commits: list[TurnCommit] = []
        self.results: list[TurnResult] = []
        super().__init__(orchestrator)

    def took(self, result: TurnResult) -> None:
        super().took(result)
        commit, _ = fold(
            self.live,
            result,
            turn=len(self.commits) + 1,
            status=Status.RUNNING,
            now_us=self.now_us,
        )
        self.results.append(result)
        self.commits.append(commit)


def improvised(program: Any, seed: int) -> Folding:
    make, tree = program
    world = Folding(make(tree, []))
    world.improvise(random.Random(seed))
    return world


@dataclass
class Section:
    """What an onlooker who reads history knows of the section that is asked for or held."""

    seq: int
    entity_ids: tuple[str, ...]
    locked: set[str] = field(default_factory=set)
    busy: dict[int, str] = field(default_factory=dict)

    @property
    def is_held(self) -> bool:
        return self.locked == set(self.entity_ids)


def check_rules(history: list[HistoryEvent]) -> Section | None:
    """Go through a history and find every rule kept; return the section that is left at its end."""
    section: Section | None = None
    for event in history:
        match event:
            case EntityLocksRequested():
                assert section is None
                assert sorted(set(event.entity_ids), key=str.encode) == list(event.entity_ids)
                section = Section(event.seq, event.entity_ids)
            case EntityLocked():
                assert section is not None
                assert section.seq == event.seq
                assert event.entity_id in section.entity_ids
                assert event.entity_id not in section.locked
                section.locked.add(event.entity_id)
            case EntityLocksReleased():
                assert section is not None
                assert section.seq == event.seq
                section = None
            case EntityCalled() if section is None:
                assert event.section == 0
            case EntityCalled():
                assert section is not None
                assert section.is_held
                assert event.section == section.seq
                assert event.entity_id in section.entity_ids
                assert event.entity_id not in section.busy.values()
                section.busy[event.seq] = event.entity_id
            case EntityCallCompleted() | EntityCallFailed() | EntityCallAbandoned():
                if section is not None:
                    section.busy.pop(event.seq, None)
            case EntitySignaled():
                assert section is None or event.entity_id not in section.entity_ids
            case _:
                pass
    return section


@law
@given(programs, seeds)
def test_no_program_gets_around_a_rule(program: tuple[Any, Tree], seed: int) -> None:
    world = improvised(program, seed)
    section = check_rules(world.history)
    if world.outcome is None:
        known = world.live._journal.section
        assert (known and known.seq) == (section and section.seq)


@law
@given(programs, seeds)
def test_the_will_unlocks_exactly_what_is_asked_for_or_held(
    program: tuple[Any, Tree], seed: int
) -> None:
    world = improvised(program, seed)
    will = NO_WILL
    history: list[HistoryEvent] = []
    for result, commit in zip(world.results, world.commits, strict=True):
        history += result.events
        will = will if commit.will is None else commit.will
        section = check_rules(history)
        assert will.receivers == (() if section is None else section.entity_ids)
        if section is not None:
            release = decode_letter("world", will.letter)
            holder = ParentLink("world", 1, section.seq)
            assert release == EntityLockRelease(holder, is_will=True)


def expected_letters(history: list[HistoryEvent]) -> Iterator[tuple[str, bool, Any]]:
    """Go through the letters that a history sends to entities: to whom, whether it may call it into being, and what."""
    sets: dict[int, tuple[str, ...]] = {}
    for event in history:
        match event:
            case EntitySignaled():
                letter = EntityOperation(event.operation, event.input, due_us=event.due_us)
                yield event.entity_id, True, letter
            case EntityCalled():
                caller = ParentLink("world", 1, event.seq)
                yield (
                    event.entity_id,
                    True,
                    EntityOperation(event.operation, event.input, caller, section=event.section),
                )
            case EntityLocksRequested():
                sets[event.seq] = event.entity_ids
                request = EntityLockRequest(ParentLink("world", 1, event.seq), event.hold_us)
                for entity_id in event.entity_ids:
                    yield entity_id, True, request
            case EntityLocksReleased():
                release = EntityLockRelease(ParentLink("world", 1, event.seq))
                for entity_id in sets[event.seq]:
                    yield entity_id, False, release
            case _:
                pass


@law
@given(programs, seeds)
def test_each_entity_gets_the_letters_of_history_in_their_order(
    program: tuple[Any, Tree], seed: int
) -> None:
    world = improvised(program, seed)
    sent = [out for commit in world.commits for out in commit.outbox if is_entity(out)]
    assert [
        (out.instance_id, out.opens is not None, decode_letter("world", out.letter)) for out in sent
    ] == list(expected_letters(world.history))
    for out in sent:
        assert out.execution is None
        assert out.opens in (None, EntityId.parse(out.instance_id).stored_name)


def is_entity(out: Outgoing) -> bool:
    return out.instance_id.startswith("@")
