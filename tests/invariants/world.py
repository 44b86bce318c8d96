"""A world around one instance: a store of letters, a clock, and a script of what happens.

A script is a list of turns: the time, and the letters that arrive before it. ``improvise`` writes one by chance, and the same
script can then be played in other ways: with evictions, in other batches, with letters doubled.
"""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import orjson

from durable_async._engine.rewind import rewound
from durable_async._kernel.futures import ActivityFuture, EntityCallFuture
from durable_async._kernel.orchestration import Orchestration, TurnResult
from durable_async._kernel.program import Program
from durable_async._kernel.sections import LockFuture
from durable_async.errors import DurableError, EntityLockLostError
from durable_async.failure import FailureDetails
from durable_async.model.history import (
    COMMANDS,
    ActivityCompleted,
    ActivityFailed,
    EntityCallCompleted,
    EntityCalled,
    EntityCallFailed,
    EntityLocked,
    EntityLocksReleased,
    EntityLocksRequested,
    EventRaised,
    ExecutionCompleted,
    ExecutionContinuedAsNew,
    ExecutionFailed,
    ExecutionResumed,
    ExecutionStarted,
    ExecutionSuspended,
    HistoryEvent,
    Letter,
    SubOrchestrationCompleted,
    SubOrchestrationFailed,
    TurnStarted,
)

START_US = 1_700_000_000_000_000
ENDINGS = (ExecutionCompleted, ExecutionFailed, ExecutionContinuedAsNew)
STEPS_MAX = 300

Turn = tuple[int, list[Letter]]

_made: list[Orchestration] = []


def outcome_of_activity(name: str, value: Any, attempt: int) -> Any:
    """Stand for the outside world: the same call has the same outcome."""
    if name == "broken" or (name == "flaky" and attempt < 3):
        raise ValueError(f"{name} {value}")
    return [name, value]


class Json:
    """A converter without types."""

    def encode(self, value: Any, where: str) -> bytes:
        return orjson.dumps(value)

    def decode(self, data: bytes | None, into: Any, where: str) -> Any:
        return None if data is None else orjson.loads(data)


class World:
    """One instance, its stored history turn by turn, its stored letters, and who owns it now."""

    def __init__(self, orchestrator: Callable[[Any], Any]) -> None:
        self.program = Program("program", lambda ctx, data: orchestrator(ctx), Json())
        self.started = ExecutionStarted("program", None, None)
        self.execution = 1
        self.turns: list[list[HistoryEvent]] = [[self.started]]
        self.asked: Counter[int] = Counter()
        self.mended = False
        self.script: list[Turn] = []
        self.letters: dict[int, Letter] = {}
        self.statuses: list[bytes] = []
        self.now_us = START_US
        self.mail_id = 0
        self.live = self.adopt()

    @property
    def history(self) -> list[HistoryEvent]:
        return [event for turn in self.turns for event in turn]

    @property
    def outcome(self) -> Any:
        return self.live.outcome

    def fresh(self) -> Orchestration:
        instance = Orchestration("world", self.execution, self.started, self.program)
        _made.append(instance)
        return instance

    def adopt(self) -> Orchestration:
        """Rebuild the instance from what is stored, as a new owner does."""
        owner = self.fresh()
        for turn in self.turns:
            owner.replay(turn)
        for mail_id, letter in self.letters.items():
            owner.deliver(mail_id, self.addressed(letter), letter)
        return owner

    def addressed(self, letter: Letter) -> int | None:
        is_for_any = isinstance(letter, (EventRaised, ExecutionSuspended, ExecutionResumed))
        return None if is_for_any else self.execution

    def turn(self, letters: Sequence[Letter] = ()) -> None:
        """Let letters arrive, run a turn, and store what it gave."""
        self.script.append((self.now_us, list(letters)))
        for letter in letters:
            self.mail_id += 1
            self.letters[self.mail_id] = letter
            assert self.live.deliver(self.mail_id, self.addressed(letter), letter)
        result = self.live.turn(self.now_us)
        if result.events:
            self.turns.append(result.events)
        for mail_id in result.consumed:
            del self.letters[mail_id]
        self.live.mailbox.forget(result.consumed)
        if result.custom_status is not None:
            self.statuses.append(result.custom_status)
        self.took(result)
        assert result.suspended == self.live.suspended

    def took(self, result: TurnResult) -> None:
        """Look at what a turn gave."""
        sets = {e.seq: e.entity_ids for e in self.history if isinstance(e, EntityLocksRequested)}
        over = [e.seq for e in result.events if isinstance(e, EntityLocksReleased)]
        assert result.released == {seq: sets[seq] for seq in over}
        assert result.repeated == [] or self.execution > 1
        for event in (*result.repeated, *result.events):
            if isinstance(event, (EntityCalled, EntityLocksRequested)):
                self.asked[event.seq] += 1

    def rewind(self) -> None:
        """Let the failed execution go on as the next one, in a world where nothing fails any more."""
        failed = frozenset(
            event.seq for event in self.history if isinstance(event, SubOrchestrationFailed)
        )
        history = rewound(
            self.history, execution=self.execution, parent=None, children=failed, reason=None
        )
        started = history[0]
        assert isinstance(started, ExecutionStarted)
        assert self.live.evict()
        self.started = started
        self.execution += 1
        self.turns = [history]
        self.asked.clear()
        self.letters.clear()
        self.mended = True
        self.live = self.adopt()

    def hand_over(self) -> None:
        """Evict the instance, and let another owner rebuild it."""
        old = self.live
        with silence():
            assert old.evict()
        self.live = self.adopt()
        assert state_of(self.live) == state_of(old)

    def improvise(
        self,
        chance: random.Random,
        suspensions: int = 2,
        patience: float = 0.7,
        unrest: float = 0,
    ) -> None:
        """Let things happen in some order until the instance ends; at a patience of 1, activities take no time, at an unrest of 1, each turn has another owner."""
        self.turn()
        for step in range(STEPS_MAX):
            if self.outcome is not None:
                return
            if unrest and chance.random() < unrest:
                self.hand_over()
            answers = list(self.answers())
            if self.live.suspended and (not answers or chance.random() < 0.2):
                self.turn([ExecutionResumed()])
            elif suspensions and chance.random() < 0.05:
                suspensions -= 1
                self.turn([ExecutionSuspended()])
            elif answers and chance.random() < patience:
                chance.shuffle(answers)
                self.turn(answers[: chance.randint(1, 3)])
            elif self.live.wake_at_us is not None and chance.random() < 0.7:
                late = chance.choice([0, 0, 0, 1, 500_000, 3_000_000])
                self.now_us = max(self.now_us, self.live.wake_at_us + late)
                self.turn()
            else:
                self.turn([EventRaised(chance.choice("xy"), orjson.dumps(step))])

    def answers(self) -> Iterator[Letter]:
        """Go through what the outside could answer now."""
        for future in self.live.pending_activities():
            try:
                value = self.outcome_of(future)
            except ValueError as error:
                yield ActivityFailed(future.seq, future.attempt, FailureDetails.of(error))
            else:
                yield ActivityCompleted(future.seq, orjson.dumps(value))
        for child in self.live.pending_children():
            yield SubOrchestrationCompleted(child.seq, orjson.dumps(["child", child.instance_id]))
        for operation in self.live._journal.pending.values():
            match operation:
                case LockFuture() if operation.seq in self.asked:
                    for entity_id in sorted(operation.unheard):
                        yield EntityLocked(operation.seq, entity_id)
                case EntityCallFuture(settled=False) if operation.seq in self.asked:
                    yield self.answer_of_entity(operation)
                case _:
                    pass

    def outcome_of(self, activity: ActivityFuture[Any]) -> Any:
        name = "ok" if self.mended else activity.name
        return outcome_of_activity(name, orjson.loads(activity.input), activity.attempt)

    def answer_of_entity(self, call: EntityCallFuture[Any]) -> Letter:
        if call.section and call.section not in self.asked:
            lost = EntityLockLostError(call.entity_id, call.name)
            return EntityCallFailed(call.seq, FailureDetails.of(lost))
        if call.name == "refuse" and not self.mended:
            return EntityCallFailed(call.seq, FailureDetails.of(ValueError(call.entity_id)))
        return EntityCallCompleted(call.seq, orjson.dumps([call.name, call.entity_id]))

    def play(
        self,
        script: Sequence[Turn],
        *,
        hand_over_after: Collection[int] = (),
        besides: Callable[[World, list[Letter]], list[Letter]] = lambda world, letters: letters,
    ) -> World:
        """Play a script; after some of its turns another owner takes over."""
        for number, (now_us, letters) in enumerate(script):
            self.now_us = now_us
            self.turn(besides(self, letters))
            if number in hand_over_after:
                self.hand_over()
        return self


def let_all_go() -> None:
    """Evict every instance that was made: nothing may be left to the garbage collector, and nothing is logged."""
    with silence():
        while _made:
            assert _made.pop().evict()


def improvised(
    orchestrator: Callable[[Any], Any], seed: int, suspensions: int = 2, patience: float = 0.7
) -> World:
    world = World(orchestrator)
    world.improvise(random.Random(seed), suspensions, patience)
    return world


def state_of(instance: Orchestration) -> Any:
    """Return all that an owner can see of an instance between turns."""
    return (
        instance.wake_at_us,
        instance.suspended,
        plain(instance.outcome),
        instance._context.now(),
        sorted((f.seq, f.name, f.input, f.attempt) for f in instance.pending_activities()),
        sorted((f.seq, f.instance_id) for f in instance.pending_children()),
        sorted(instance._journal.pending),
        {name: len(queue) for name, queue in instance._journal.waiters.items()},
        instance._journal.next_seq,
        repr(instance._journal.section),
        instance._journal.section and instance._journal.section._busy,
    )


def plain(event: Any) -> Any:
    """Leave out what may differ between two runs that are the same: stacks."""
    if isinstance(event, ExecutionFailed):
        return ("failed", event.failure.error_type, event.failure.message)
    return event


def plain_history(world: World, *, with_turns: bool = True) -> list[Any]:
    return [
        plain(event) for event in world.history if with_turns or not isinstance(event, TurnStarted)
    ]


def regenerate(world: World, count: int | None = None) -> list[HistoryEvent]:
    """Show the code the inputs of a history, or the first few, and return the whole history that comes of it."""
    instance = world.fresh()
    journal = instance._journal
    inputs = [e for e in world.history if not isinstance(e, (*COMMANDS, *ENDINGS))]
    journal.loop.enter()
    try:
        for event in inputs[:count]:
            instance._record(event)
        return journal.recorded
    finally:
        journal.loop.leave()
        with silence():
            instance.evict()


class NoiseError(AssertionError):
    """Something was logged where nothing may be."""


class _Alarm(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        raise NoiseError(record.getMessage())


class silence:  # noqa: N801 - reads as a statement
    """Fail if asyncio or the kernel logs an error meanwhile."""

    def __enter__(self) -> None:
        self._alarm = _Alarm()
        for name in ("asyncio", "durable_async"):
            logging.getLogger(name).addHandler(self._alarm)

    def __exit__(self, *args: object) -> None:
        for name in ("asyncio", "durable_async"):
            logging.getLogger(name).removeHandler(self._alarm)


def verdict(work: Callable[[], Any]) -> DurableError | None:
    """Return the error that some work ends with, if it is one of ours."""
    try:
        work()
    except DurableError as error:
        return error
    return None
