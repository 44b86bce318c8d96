"""Orchestration: one instance in memory, taken from turn to turn.

`replay` brings it to where its history ends. `turn` takes letters and the time and gives a `TurnResult`: new history events and everything
that follows from them, of which nothing has happened yet. Whoever calls must commit a result before acting on it, and must drop
the instance (`evict`) if the commit did not succeed or a `DeterminismError` came out.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest
from typing import Any, assert_never

import msgspec

from durable_async.errors import CorruptHistoryError, DurableError, StalledOrchestrationError
from durable_async.model.history import (
    ActivityFailed,
    ActivityRetried,
    EntityCalled,
    EntityLocksRequested,
    EventRaised,
    ExecutionCompleted,
    ExecutionContinuedAsNew,
    ExecutionFailed,
    ExecutionResumed,
    ExecutionRewound,
    ExecutionStarted,
    ExecutionSuspended,
    ExecutionTerminated,
    HistoryEvent,
    Input,
    Letter,
    TimerFired,
    TurnStarted,
)
from durable_async.telemetry.logs import worker_facts

from . import admission, inputs
from .admission import is_under_way
from .context import OrchestrationContext, current_context
from .endings import Outcome, conclude, is_same
from .futures import ActivityFuture, EventFuture, SubOrchestrationFuture
from .journal import Due, Journal
from .letters import Mailbox
from .places import Place, place_in_full
from .program import Program
from .window import WINDOW_KINDS

LOGIC_VERSION = 1
"""Raised when the kernel's own order of doing things changes; recorded, and named in mismatches."""

PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}/{LOGIC_VERSION}"


class TurnResult(msgspec.Struct, eq=False):
    """What a turn asks to be made durable.

    Attributes:
        events: New history events, in order; empty if nothing happened.
        consumed: Ids of letters that were taken.
        outcome: How the execution ended, or ``None``.
        custom_status: The new custom status; ``None`` if unchanged, ``b""`` to clear.
        suspended: Whether it is suspended now.
        released: Entities of the lock requests that were released, by the request's sequence number.
        repeated: Calls and lock requests from before a rewind, whose answers went to the execution that failed: they are made again,
            before what is new.
    """

    events: list[HistoryEvent] = []
    consumed: list[int] = []
    outcome: Outcome | None = None
    custom_status: bytes | None = None
    suspended: bool = False
    released: dict[int, tuple[str, ...]] = {}
    repeated: list[EntityCalled | EntityLocksRequested] = []


class Orchestration:
    """One execution of one instance, live in memory.

    Args:
        instance_id: The instance.
        execution: The generation whose history this is.
        started: Its first event.
        program: The orchestrator's code.

    Attributes:
        history_length: How many events its history has, those of its last turn among them.
    """

    __slots__ = (
        "__weakref__",
        "_context",
        "_deferred",
        "_journal",
        "_loop",
        "_payloads",
        "_program",
        "_published",
        "_python",
        "_repeated",
        "_replayed_outcome",
        "_root",
        "_turn_at_us",
        "execution",
        "history_length",
        "instance_id",
        "mailbox",
        "outcome",
        "started",
        "suspended",
    )

    def __init__(
        self, instance_id: str, execution: int, started: ExecutionStarted, program: Program
    ) -> None:
        self.instance_id = instance_id
        self.execution = execution
        self.started = started
        self.suspended = False
        self.outcome: Outcome | None = None
        self.mailbox = Mailbox()
        self._program = program
        self._payloads = program.payloads
        self._python = ""
        self._turn_at_us = 0
        self.history_length = 0
        self._journal = Journal(instance_id, execution)
        self._loop = self._journal.loop
        self._root: Any = None
        self._replayed_outcome: Outcome | None = None
        self._deferred: list[Any] = []
        self._repeated: list[EntityCalled | EntityLocksRequested] = []
        self._published: bytes | None = None
        self._context = OrchestrationContext(
            self._journal,
            program.payloads,
            name=started.name,
            version=started.version,
            execution=started.drawn_as or execution,
            parent=started.parent,
        )
        self._loop.context.run(current_context.set, self._context)
        self._loop.context.run(worker_facts.set, worker_facts.get())  # for the log

    @property
    def begun_at_us(self) -> int | None:
        """When the code began, by the clock of its first turn; ``None`` before."""
        return None if self._root is None else self._journal.start_us

    # -- what is pending

    @property
    def wake_at_us(self) -> int | None:
        """When something is due although nothing arrives; ``None`` while suspended."""
        if self.suspended or self.outcome is not None:
            return None
        if self._root is None:
            return self.started.start_at_us
        if not self._journal.heap:
            return None
        first = self._journal.earliest()
        return None if first is None else first[0]

    def pending_activities(self) -> Iterator[ActivityFuture[Any]]:
        """Go through the activities with an attempt under way and no outcome in the mailbox: a new owner must start them again."""
        answers = self.mailbox.answers(self.execution)
        recorded = {getattr(event, "seq", 0) for event in self._journal.recorded}
        for operation in self._journal.pending.values():
            if not is_under_way(operation) or _is_answered(operation, answers):
                continue
            if operation.seq not in recorded:  # else it is not durable yet
                yield operation  # type: ignore[misc]

    def pending_activity(self, seq: int) -> ActivityFuture[Any] | None:
        """Return the activity, if an attempt of it is under way."""
        operation = self._journal.pending.get(seq)
        return operation if is_under_way(operation) else None  # type: ignore[return-value]

    def pending_children(self) -> list[SubOrchestrationFuture[Any]]:
        """Return the sub-orchestrations that have not reported."""
        return [
            operation
            for operation in self._journal.pending.values()
            if isinstance(operation, SubOrchestrationFuture) and not operation.settled
        ]

    def places(self) -> list[Place]:
        """Return where its tasks stand that have not ended, in order of their creation."""
        return list(map(place_in_full, self._loop.unfinished()))

    def awaited_events(self) -> list[EventFuture[Any]]:
        """Return the waits for external events, in order of their beginning for each name."""
        return [future for waiting in self._journal.waiters.values() for future in waiting]

    # -- replay

    def replay(self, events: Sequence[HistoryEvent]) -> None:
        """Take the code through a stretch of history, in order; call it again for the next stretch.

        A stretch must not end between an input and what it led to: whole turns do not.

        Raises:
            DeterminismError: The code and the history disagree; drop the instance.
            CorruptHistoryError: No execution leaves such a history; drop the instance.
        """
        try:
            self._replay(events)
        except DurableError:
            raise
        except Exception as error:
            reason = f"no execution leaves such events ({type(error).__name__}: {error})"
            raise CorruptHistoryError(self.instance_id, reason) from error
        self.history_length += len(events)

    def _replay(self, events: Sequence[HistoryEvent]) -> None:
        journal = self._journal
        journal.loop.silent = True
        journal.loop.enter()
        try:
            self._show_all(events, self._skip_what_was_new(events))
            journal.go_live()
            journal.loop.silent = False
            if self._replayed_outcome is not None:
                raise journal.diverge(None, self._replayed_outcome, None)
            if events and type(events[-1]) is ExecutionRewound:
                self._repeated = self._unanswered(events)
            self._published = self._context._status
        finally:
            journal.window.look_at(())
            journal.loop.leave()

    def _show_all(self, events: Sequence[HistoryEvent], index: int) -> None:
        """Show the code one input after the other, and check after each that it did what history holds.

        This loop is what a replay costs: it makes no call that the usual step can do without.
        """
        journal = self._journal
        window = journal.window
        before = self.history_length - 1
        count = len(events)
        begun = self._root is not None
        window.look_at(events)
        journal.replaying = True
        while index < count:
            event: Any = events[index]
            kind = type(event)
            if kind is TurnStarted and begun and not (self.suspended or event.python):
                index += 1
                self._turn_at_us = event.at_us
                journal.set_clock(event.at_us)
            elif kind in WINDOW_KINDS:  # the code did not take it
                window.cursor = index
                journal.check_window()
                index = window.cursor
            else:
                index += 1
                journal.position = before + index
                window.cursor = index
                self._show(event)
                index = window.cursor
                begun = begun or self._root is not None

    def _skip_what_was_new(self, events: Sequence[HistoryEvent]) -> int:
        """Find what the code did beyond a rewind at the head of the next stretch, where the turn after the rewind recorded it.

        Raises:
            NonDeterminismError: It did something else then.
        """
        journal = self._journal
        if not events:
            return 0
        recorded, journal.recorded = journal.recorded, []
        for event, new in zip_longest(events[: len(recorded)], recorded):
            if not is_same(event, new):
                raise journal.diverge(event, new, None)
        journal.released = {}
        self._repeated = []
        return len(recorded)

    def _unanswered(
        self, events: Sequence[HistoryEvent]
    ) -> list[EntityCalled | EntityLocksRequested]:
        return [
            event
            for event in events
            if isinstance(event, (EntityCalled, EntityLocksRequested))
            and event.seq in self._journal.pending
        ]

    # -- a turn

    def deliver(self, mail_id: int | None, execution: int | None, letter: Letter) -> bool:
        """Put a letter into the mailbox for the next turn; ``False`` if it is there already."""
        return self.mailbox.put(mail_id, execution, letter)

    def withdraw(self, mail_id: int) -> None:
        """Take back a letter that no turn has taken."""
        self.mailbox.withdraw(mail_id)

    def seen(self) -> tuple[int, ...]:
        """Return the ids of letters that are here and still in the store."""
        return self.mailbox.seen()

    @property
    def has_arrivals(self) -> bool:
        """Whether a turn would find something new."""
        return bool(self.mailbox.arrived)

    def turn(self, now_us: int) -> TurnResult:
        """Take everything that is in the mailbox or due, and run the code until it rests.

        Args:
            now_us: The store's clock.

        Raises:
            DeterminismError: Commit nothing; drop the instance.
        """
        journal = self._journal
        if self.outcome is not None:
            return self._result(idle=not journal.recorded)
        journal.position = self.history_length - 1
        had_begun, python = self._root is not None, self._python
        journal.loop.enter()
        try:
            if not had_begun:
                self._take_controls()
            if self.outcome is None:
                self._run(now_us)
        finally:
            journal.loop.leave()
        recorded = journal.recorded
        idle = (  # it only looked at the clock
            len(recorded) == 1
            and type(recorded[0]) is TurnStarted
            and had_begun == (self._root is not None)
            and not self._repeated
        )
        if idle:
            self._python = python
        return self._result(idle)

    def _run(self, now_us: int) -> None:
        journal = self._journal
        mailbox = self.mailbox
        python = PYTHON if self._python != PYTHON else ""
        start = TurnStarted(max(now_us, self._turn_at_us), python)
        journal.position += 1
        journal.recorded.append(start)
        self._on_turn(start)
        if mailbox.kept:
            self._hand_out_events()
        while mailbox.arrived:
            letter = mailbox.take(self.execution)
            if letter is None:
                break
            if type(letter) is not EventRaised:
                self._admit(letter)
            if mailbox.kept:
                self._hand_out_events()
            if self.outcome is not None:
                return  # what else arrived is left to the next execution, if there is one
        if journal.heap:
            self._run_due()
        if not journal.pending and not journal.waiters:
            self._check_stall()

    def _take_controls(self) -> None:
        """Before the code begins, suspend and terminate come first of all."""
        for letter in self.mailbox.take_controls():
            self._admit(letter)
            if self.outcome is not None:
                return

    def _run_due(self) -> None:
        while not self._is_at_rest:
            due = self._journal.earliest()
            if due is None or due[0] > self._journal.clock_us:
                return
            self._record(self._due_event(due[1], due[2]))
            self._hand_out_events()

    @property
    def _is_at_rest(self) -> bool:
        return self.outcome is not None or self.suspended or self._root is None

    def _hand_out_events(self) -> None:
        """Give kept events to those who wait for them, one at a time: a waiter may wait again."""
        while not self._is_at_rest:
            event = self.mailbox.next_event(self._journal.waiters)
            if event is None:
                return
            self._record(event)

    def _record(self, event: Any) -> None:
        journal = self._journal
        journal.position += 1
        journal.recorded.append(event)
        self._show(event)

    def _due_event(self, seq: int, kind: Due) -> Input:
        operation = self._journal.pending[seq]
        match kind:
            case Due.TIMER:
                return TimerFired(seq)
            case Due.RETRY:
                assert isinstance(operation, ActivityFuture)
                return ActivityRetried(seq, operation.attempt + 1)
            case Due.DEADLINE:
                assert isinstance(operation, ActivityFuture)
                return ActivityFailed(seq, operation.attempt, inputs.deadline_passed(operation))
            case _:
                assert_never(kind)

    # -- letters

    def _admit(self, letter: Any) -> None:
        """Turn a letter into history, unless it comes too late to matter."""
        admit = admission.admit.get(type(letter))
        if admit is not None:
            letter = admit(self._journal, letter, self._turn_at_us)
        elif not self._is_of_use(letter):
            return
        if letter is not None:
            self._record(letter)

    def _is_of_use(self, control: Any) -> bool:
        match control:
            case ExecutionTerminated():
                return True
            case ExecutionSuspended():
                return not self.suspended
            case ExecutionResumed():
                return self.suspended
            case _:
                return False

    # -- showing an event to the code: the same in a turn and in a replay

    def _show(self, event: Any) -> None:
        apply = inputs.apply.get(type(event))
        if apply is None:
            _lifecycle[type(event)](self, event)
        elif self._replayed_outcome is not None:
            raise self._journal.diverge(event, self._replayed_outcome, None)
        elif self.suspended:
            self._deferred.append(event)
            inputs.defer(self._journal, event)
        else:
            apply(self._journal, self._payloads, event)
            self._loop.drain()
            if self._root.done():
                self._conclude()

    def _on_started(self, event: ExecutionStarted | ExecutionRewound) -> None:
        """The code begins with the first turn, so that it has a clock."""

    def _on_turn(self, event: TurnStarted) -> None:
        journal = self._journal
        self._turn_at_us = event.at_us
        if event.python:
            self._python = event.python
            journal.versions = _versions(event.python)
        if self.suspended or self.started.start_at_us > event.at_us:
            return
        if self._root is None:
            journal.start_us = event.at_us
        journal.set_clock(event.at_us)
        if self._root is None:
            self._begin()

    def _begin(self) -> None:
        loop = self._loop
        self._root = loop.create_task(
            loop.context.run(self._program.begin, self._context, self.started.input),
            name=self.instance_id,
            context=loop.context,
        )
        self._rest()

    def _on_suspended(self, event: ExecutionSuspended) -> None:
        self.suspended = True

    def _on_resumed(self, event: ExecutionResumed) -> None:
        self.suspended = False
        if self._root is None:
            return
        self._journal.set_clock(self._turn_at_us)
        deferred, self._deferred = self._deferred, []
        for known in deferred:
            if known.seq not in self._journal.pending:
                continue  # what was shown before it made the code give this one up
            inputs.apply[type(known)](self._journal, self._payloads, known)
            self._rest()
            if self.outcome is not None or self._replayed_outcome is not None:
                return

    def _on_terminated(self, event: ExecutionTerminated) -> None:
        self.outcome = event

    def _on_outcome(self, event: Outcome) -> None:
        if not is_same(event, self._replayed_outcome):
            raise self._journal.diverge(event, self._replayed_outcome, self._journal.loop.where())
        self._replayed_outcome = None
        self.outcome = event

    def _rest(self) -> None:
        """Run the code until nothing is ready; take note if it ended."""
        self._loop.drain()
        if self._root.done():
            self._conclude()

    def _conclude(self) -> None:
        if self.outcome is not None or self._replayed_outcome is not None:
            return
        outcome = conclude(self._root, self._context._continue, self._program)
        if self._journal.replaying and not self._journal.window.goes_on:
            self._replayed_outcome = outcome
        else:
            self._journal.recorded.append(outcome)
            self.outcome = outcome

    def _check_stall(self) -> None:
        """Refuse to wait for ever, where nothing is pending and no event is waited for."""
        if not self._is_at_rest:
            raise StalledOrchestrationError(self.instance_id, self._loop.where())

    def _result(self, idle: bool) -> TurnResult:
        journal = self._journal
        events, journal.recorded = journal.recorded, []
        if idle:
            events = []
        self.history_length += len(events)
        if isinstance(self.outcome, ExecutionContinuedAsNew) and not self.outcome.keep_events:
            self.mailbox.drop_kept()
        status = self._context._status
        changed = status if status != self._published else None
        self._published = status
        result = TurnResult(
            events=events,
            consumed=self.mailbox.drain_consumed(),
            outcome=self.outcome,
            custom_status=changed,
            suspended=self.suspended,
        )
        if journal.released:
            result.released, journal.released = journal.released, {}
        if self._repeated:
            if self.outcome is None:
                result.repeated = self._repeated
            self._repeated = []
        return result

    # -- the end

    def evict(self) -> bool:
        """Unwind the code, so that nothing of it is left to the garbage collector; durable calls do nothing any more.

        Returns ``False`` if some task would not end within 20 rounds of cancellation: keep such an instance referenced.
        """
        journal = self._journal
        journal.evicting = True
        journal.go_live()
        return journal.loop.unwind()


@functools.lru_cache(maxsize=64)
def _versions(python: str) -> str:
    return f"recorded by Python {python}, running Python {PYTHON}"


def _is_answered(operation: Any, answers: dict[int, Any]) -> bool:
    letter = answers.get(operation.seq)
    if isinstance(letter, ActivityFailed):
        return bool(letter.attempt == operation.attempt)
    return letter is not None


_lifecycle: dict[type[Any], Callable[[Orchestration, Any], None]] = {
    ExecutionStarted: Orchestration._on_started,
    ExecutionRewound: Orchestration._on_started,
    TurnStarted: Orchestration._on_turn,
    ExecutionSuspended: Orchestration._on_suspended,
    ExecutionResumed: Orchestration._on_resumed,
    ExecutionTerminated: Orchestration._on_terminated,
    ExecutionCompleted: Orchestration._on_outcome,
    ExecutionFailed: Orchestration._on_outcome,
    ExecutionContinuedAsNew: Orchestration._on_outcome,
}
