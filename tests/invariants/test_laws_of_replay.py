"""The laws of replay, over random programs in random circumstances."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any

import pytest
from hypothesis import assume, given, settings, strategies as st

from durable_async.errors import DeterminismError
from durable_async.model.history import (
    COMMANDS,
    ActivityCompleted,
    EntityCallCompleted,
    EntityLocked,
    EventRaised,
    Letter,
    TimerCreated,
    TimerFired,
    TurnStarted,
)

from .programs import Tree, asynchronous, changes, generator, simple_trees, trees
from .world import (
    ENDINGS,
    Turn,
    World,
    improvised,
    let_all_go,
    plain,
    plain_history,
    regenerate,
    verdict,
)

Maker = Callable[[Tree, list[Any]], Callable[[Any], Any]]

programs = st.one_of(
    st.tuples(st.just(asynchronous), trees),
    st.tuples(st.just(asynchronous), trees),
    st.tuples(st.just(generator), simple_trees),
)
seeds = st.integers(0, 2**32)


@pytest.fixture(autouse=True)
def evicted() -> Iterator[None]:
    yield
    let_all_go()


law = settings(max_examples=150)


def orchestrator(
    program: tuple[Maker, Tree], trace: list[Any] | None = None
) -> Callable[[Any], Any]:
    make, tree = program
    return make(tree, [] if trace is None else trace)


@law
@given(programs, seeds)
def test_a_prefix_of_a_history_gives_a_prefix_of_its_commands(
    program: tuple[Maker, Tree], seed: int
) -> None:
    world = improvised(orchestrator(program), seed)
    whole = [plain(event) for event in regenerate(world)]
    assert [plain(world.started), *whole[1:]] == plain_history(world)
    inputs = [e for e in world.history if not isinstance(e, (*COMMANDS, *ENDINGS))]
    for count in random.Random(seed).choices(range(len(inputs) + 1), k=3):
        part = [plain(event) for event in regenerate(world, count)]
        assert part == whole[: len(part)]


@law
@given(programs, seeds)
def test_a_prefix_of_turns_can_be_replayed(program: tuple[Maker, Tree], seed: int) -> None:
    world = improvised(orchestrator(program), seed)
    for count in range(len(world.turns)):
        instance = world.fresh()
        instance.replay([event for turn in world.turns[:count] for event in turn])
        assert instance.evict()


@law
@given(programs, seeds)
def test_replaying_a_finished_run_changes_nothing(program: tuple[Maker, Tree], seed: int) -> None:
    world = improvised(orchestrator(program), seed)
    assume(world.outcome is not None)
    before = world.history
    instance = world.fresh()
    instance.replay(before)
    assert plain(instance.outcome) == plain(world.outcome)
    assert instance._context._status == world.live._context._status
    assert world.history == before
    result = instance.turn(world.now_us + 1)
    assert (result.events, result.consumed, result.custom_status) == ([], [], None)
    assert instance.evict()


def between_movements_of_time(script: list[Turn]) -> Iterator[list[Turn]]:
    """Group turns that might have been one: what is due is taken by a turn of its own, and so is the start."""
    for has_letters, turns in groupby(script, key=lambda turn: bool(turn[1])):
        run = list(turns)
        yield from [run] if has_letters else ([turn] for turn in run)


@law
@given(programs, seeds)
def test_batching_never_matters(program: tuple[Maker, Tree], seed: int) -> None:
    world = improvised(orchestrator(program), seed)
    together = [
        (turns[0][0], [letter for _, letters in turns for letter in letters])
        for turns in between_movements_of_time(world.script)
    ]
    alone = [
        (now_us, batch)
        for now_us, letters in world.script
        for batch in ([[letter] for letter in letters] or [[]])
    ]
    expected = plain_history(world, with_turns=False)
    for script in (together, alone):
        other = World(orchestrator(program)).play(script)
        assert plain_history(other, with_turns=False) == expected
        assert other.statuses[-1:] == world.statuses[-1:]


@law
@given(programs, seeds, st.floats(0.1, 1))
def test_a_change_of_owner_at_any_turn_never_matters(
    program: tuple[Maker, Tree], seed: int, share: float
) -> None:
    world = improvised(orchestrator(program), seed)
    chance = random.Random(seed)
    moments = {number for number in range(len(world.script)) if chance.random() < share}
    other = World(orchestrator(program)).play(world.script, hand_over_after=moments)
    assert plain_history(other) == plain_history(world)
    assert other.statuses == world.statuses
    assert other.letters == world.letters


@law
@given(programs, seeds)
def test_a_late_or_doubled_letter_never_matters(program: tuple[Maker, Tree], seed: int) -> None:
    world = improvised(orchestrator(program), seed)
    chance = random.Random(seed)
    sent: list[Letter] = []

    def besides(world: World, letters: list[Letter]) -> list[Letter]:
        late = [letter for letter in sent if chance.random() < 0.3]
        results = [
            letter
            for letter in letters
            if not isinstance(letter, EventRaised) and hasattr(letter, "seq")
        ]
        sent.extend(results)
        foreign = [
            EntityLocked(letter.seq, "@counter@other")
            for letter in letters
            if isinstance(letter, EntityLocked)
        ]
        unknown = [ActivityCompleted(9_999, b"1"), EntityCallCompleted(9_999, b"1")]
        return [*late, *foreign, *letters, *results, *late, *unknown]

    other = World(orchestrator(program)).play(world.script, besides=besides)
    assert plain_history(other) == plain_history(world)
    assert (
        other.letters
        == {
            mail_id: letter
            for mail_id, letter in other.letters.items()
            if isinstance(letter, EventRaised)
        }
        or other.outcome is not None
    )


@law
@given(programs, seeds)
def test_no_timer_fires_early_and_the_clock_never_goes_back(
    program: tuple[Maker, Tree], seed: int
) -> None:
    world = improvised(orchestrator(program), seed)
    due: dict[int, int] = {}
    clock = 0
    for event in world.history:
        match event:
            case TurnStarted():
                assert event.at_us >= clock
                clock = event.at_us
            case TimerCreated():
                assert event.fire_at_us > clock
                due[event.seq] = event.fire_at_us
            case TimerFired():
                assert due.pop(event.seq) <= clock
            case _:
                pass


def test_the_clock_of_the_store_may_go_back() -> None:
    world = World(asynchronous(("sequence", (("activity", "ok", 1, "once"), ("timer", 5))), []))
    world.turn()
    world.now_us -= 3_600_000_000
    world.turn(list(world.answers()))
    assert [e.at_us for e in world.history if isinstance(e, TurnStarted)] == [
        world.now_us + 3_600_000_000
    ] * 2
    assert world.live.wake_at_us == world.now_us + 3_605_000_000


# -- changed programs


def changed_programs(program: tuple[Maker, Tree]) -> Iterator[tuple[Maker, Tree]]:
    make, tree = program
    return ((make, changed) for changed in changes(tree))


@settings(max_examples=300)
@given(st.data(), programs, seeds)
def test_a_changed_program_is_noticed_before_it_does_anything_new(
    data: st.DataObject, program: tuple[Maker, Tree], seed: int
) -> None:
    trace: list[Any] = []
    world = improvised(orchestrator(program, trace), seed)
    variants = list(changed_programs(program))
    assume(variants)
    count = data.draw(st.integers(1, len(world.turns)), label="turns")
    recorded = [event for turn in world.turns[:count] for event in turn]
    instance = world.fresh()
    instance.replay(recorded)
    done = Counter(map(repr, trace))
    assert instance.evict()

    changed = data.draw(st.sampled_from(variants), label="changed")
    other = World(orchestrator(changed, trace)).fresh()
    error = verdict(lambda: other.replay(recorded))
    if error is None:
        assert Counter(map(repr, trace)) == done
        assert other._journal.recorded == []
    else:
        assert isinstance(error, DeterminismError)
    assert other.evict()


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        (("activity", "ok", 8, "once"), "code:    ActivityScheduled(seq=1, name='ok', input=8)"),
        (("timer", 1), "code:    TimerCreated"),
        (("event", "x"), "code:    nothing more"),
        (("gather", (("activity", "ok", 7, "once"), ("timer", 9))), "history: nothing more"),
    ],
)
def test_both_sides_of_a_mismatch_are_shown(changed: Tree, complaint: str) -> None:
    world = World(asynchronous(("sequence", (("activity", "ok", 7, "once"),)), []))
    world.turn()
    other = World(asynchronous(("sequence", (changed,)), [])).fresh()
    with pytest.raises(DeterminismError) as caught:
        other.replay(world.history)
    assert complaint in str(caught.value)
    assert other.evict()


def test_the_programs_are_worth_it() -> None:
    """Guard against laws that hold because nothing happens."""
    kinds: Counter[str] = Counter()

    @settings(max_examples=400, database=None, derandomize=True)
    @given(programs, seeds)
    def look(program: tuple[Maker, Tree], seed: int) -> None:
        world = improvised(orchestrator(program), seed)
        kinds.update({type(event).__name__ for event in world.history})
        kinds["ended"] += world.outcome is not None

    look()
    assert kinds["ended"] >= 320
    for name in (
        "ActivityFailed",
        "ActivityRetried",
        "ActivityCancelRequested",
        "TimerFired",
        "TimerCancelled",
        "EventRaised",
        "EventSent",
        "SubOrchestrationCompleted",
        "SubOrchestrationCancelRequested",
        "EntitySignaled",
        "EntityCallCompleted",
        "EntityCallFailed",
        "EntityCallAbandoned",
        "EntityLocked",
        "EntityLocksReleased",
        "ExecutionSuspended",
        "ExecutionResumed",
        "ExecutionFailed",
        "ExecutionCompleted",
    ):
        assert kinds[name] >= 3, (name, kinds)
