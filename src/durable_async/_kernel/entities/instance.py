"""EntityInstance: an entity in memory. It says which operation is next, and who has the entity to itself."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable
from typing import TypeAlias

from durable_async.errors import EntityLockLostError, PoisonedOperationError
from durable_async.failure import FailureDetails
from durable_async.model.entities import EntityLock, EntitySnapshot, ParkedOperation
from durable_async.model.history import (
    EntityCallCompleted,
    EntityCallFailed,
    EntityLocked,
    EntityLockRelease,
    EntityLockRequest,
    EntityOperation,
    Letter,
    ParentLink,
    ParkedOperationsRetried,
)
from durable_async.model.identity import EntityId

from .mail import EntityMail, Waiting
from .outcome import EntitySignal, EntityTurn, OperationOutcome, OrchestrationStart

PARKED_MAX = 100
PARKED_BYTES_MAX = 1024 * 1024

_Section: TypeAlias = tuple[str, int, int]


class EntityInstance:
    """One entity between turns and in one.

    In a turn, alternate ``next_operation`` and ``conclude`` until there is none or it is enough, then ``finish``. Letters stand in
    three lines: that of the lock's holder, which is the only one that moves while the entity is locked; that of all others; and
    the delayed ones, by the time they are due. A letter changes lines at most once, so the work is linear in the letters.

    Attributes:
        instance_id: ``@name@key``.
        execution: Its life; letters for another one are dropped.
        outcome: Always ``None``: entities do not end.
        suspended: Always ``False``: entities cannot be.
        state: That after the last operation that was concluded; ``None`` for none.
    """

    __slots__ = (
        "_answers",
        "_changed",
        "_current",
        "_delayed",
        "_entity_id",
        "_holders_line",
        "_line",
        "_lock",
        "_mail",
        "_order",
        "_parked",
        "_replies",
        "_requests",
        "_retried",
        "_signals",
        "_starts",
        "execution",
        "instance_id",
        "state",
    )

    outcome = None
    suspended = False

    def __init__(self, instance_id: str, execution: int, snapshot: EntitySnapshot) -> None:
        self.instance_id = instance_id
        self.execution = execution
        self._entity_id: EntityId | None = None
        self.state = snapshot.state
        self._lock = snapshot.lock
        self._parked = list(snapshot.parked)
        self._retried = deque(snapshot.retried)
        self._changed = False
        self._mail = EntityMail()
        self._line: deque[Waiting] = deque()
        self._holders_line: deque[Waiting] = deque()
        self._delayed: list[tuple[int, int, Waiting]] = []
        self._order = 0
        self._requests: dict[_Section, Waiting] = {}
        self._current: Waiting | None = None
        self._replies: list[tuple[ParentLink, Letter]] = []
        self._answers: list[tuple[str, Letter]] = []
        self._signals: list[EntitySignal] = []
        self._starts: list[OrchestrationStart] = []

    def __repr__(self) -> str:
        return f"<EntityInstance {self.instance_id!r}>"

    @property
    def entity_id(self) -> EntityId:
        """The id, taken apart."""
        if self._entity_id is None:
            self._entity_id = EntityId.parse(self.instance_id)
        return self._entity_id

    @property
    def lock(self) -> EntityLock | None:
        """Who holds it."""
        return self._lock

    @property
    def snapshot(self) -> EntitySnapshot:
        """What would be stored of it now."""
        return EntitySnapshot(self.state, self._lock, tuple(self._parked), tuple(self._retried))

    # -- mail

    def deliver(self, mail_id: int, execution: int | None, letter: Letter) -> bool:
        """Add a letter, in order of arrival; ``False`` if it is here already.

        Args:
            mail_id: Its id in the store; below 0 if it comes from a turn that will be committed together with the one that takes it.
            execution: The life that it is for; ``None`` for whichever is current.
            letter: The letter; one that is not for entities is taken by the next turn and ignored.
        """
        if not self._mail.put(mail_id, letter):
            return False
        if execution is not None and execution != self.execution:
            stale = self._mail.arrived.pop()
            self._mail.consume(stale)
        return True

    def withdraw(self, mail_id: int) -> bool:
        """Take back a letter that was passed on, also if it was begun and not concluded; ``False`` if a turn has taken it."""
        waiting = self._mail.withdraw(mail_id)
        if waiting is not None and waiting is self._current:
            self._current = None
        return waiting is not None

    def forget(self, mail_ids: Iterable[int]) -> None:
        """Forget ids whose rows are gone."""
        self._mail.forget(mail_ids)

    def seen(self) -> tuple[int, ...]:
        """Return the ids of letters that are here and still in the store."""
        return self._mail.seen()

    @property
    def has_arrivals(self) -> bool:
        """Whether a turn might find something to do, whatever the time."""
        if self._mail.arrived or self._current is not None:
            return True
        if self._lock is not None:
            return bool(self._holders_line)
        return bool(self._retried or self._line)

    @property
    def wake_at_us(self) -> int | None:
        """When a turn will find something to do though nothing arrives."""
        if self._lock is not None:
            return self._lock.until_us or None  # what becomes due meanwhile has to wait for its end
        return self._delayed[0][0] if self._delayed else None

    # -- a turn

    def next_operation(self, now_us: int) -> EntityOperation | None:
        """Return the operation to carry out; ``None`` if there is none at this time.

        What stands before it in line is done on the way: locks are given, ended and taken back, calls from sections that hold
        the entity no more fail. Until it is concluded, the same one is returned.
        """
        current = self._current
        if current is None:
            if self._mail.arrived or self._delayed or self._lock is not None:
                self._arrange(now_us)
            current = self._current = self._take_next(now_us)
            if current is None:
                return None
        operation = current.letter
        assert isinstance(operation, EntityOperation)
        return operation

    def conclude(self, outcome: OperationOutcome) -> None:
        """Note what came of the operation that ``next_operation`` returned."""
        done = self._settle()
        if outcome.failure is not None:
            self._fail(done, outcome.failure)
            return
        if outcome.state != self.state:
            self.state = outcome.state
            self._changed = True
        if outcome.signals:
            self._signals.extend(outcome.signals)
        if outcome.starts:
            self._starts.extend(outcome.starts)
        caller, request_id = _asker(done)
        if caller is not None:
            self._replies.append((caller, EntityCallCompleted(caller.seq, outcome.result)))
        elif request_id is not None:
            self._answers.append((request_id, EntityCallCompleted(0, outcome.result)))

    @property
    def can_park(self) -> bool:
        """Whether another operation can be kept in the snapshot; it is written as a whole whenever something changes."""
        size = sum(len(parked.operation.input or b"") for parked in self._parked)
        return len(self._parked) < PARKED_MAX and size < PARKED_BYTES_MAX

    def park(self, reason: str, now_us: int, attempts: int) -> EntityOperation | None:
        """Take the operation that is next out of line, keep it in the snapshot, and tell its caller; return it, if there is one.

        Args:
            reason: For people.
            now_us: The store's clock.
            attempts: How often it was begun, for its caller.
        """
        if self.next_operation(now_us) is None:
            return None
        done = self._settle()
        operation = _operation(done)
        self._parked.append(ParkedOperation(operation, reason, now_us))
        self._changed = True
        error = PoisonedOperationError(self.instance_id, operation.operation, attempts)
        self._fail(done, FailureDetails.of(error))
        return operation

    def finish(self) -> EntityTurn:
        """Return what the operations concluded since the last call lead to. One that is not concluded is part of the next turn."""
        turn = EntityTurn(
            consumed=self._mail.drain_consumed(),
            snapshot=self.snapshot if self._changed else None,
            replies=tuple(self._replies),
            answers=tuple(self._answers),
            signals=tuple(self._signals),
            starts=tuple(self._starts),
        )
        self._changed = False
        for kept in (self._replies, self._answers, self._signals, self._starts):
            kept.clear()
        return turn

    # -- putting in line

    def _arrange(self, now_us: int) -> None:
        if self._lock is not None and 0 < self._lock.until_us <= now_us:
            self._unlock()
        while self._delayed and self._delayed[0][0] <= now_us:
            self._line.append(heapq.heappop(self._delayed)[2])
        arrived = self._mail.arrived
        while arrived:
            waiting = arrived.popleft()
            if not waiting.withdrawn:
                self._put_in_line(waiting, now_us)

    def _put_in_line(self, waiting: Waiting, now_us: int) -> None:
        letter = waiting.letter
        match letter:
            case EntityOperation(caller=ParentLink() as caller) if letter.section:
                section = (caller.instance_id, caller.execution, letter.section)
                if section == self._holder:
                    self._holders_line.append(waiting)
                else:
                    self._lose(waiting)
            case EntityOperation() if letter.due_us > now_us:
                self._order += 1
                heapq.heappush(self._delayed, (letter.due_us, self._order, waiting))
            case EntityOperation() | ParkedOperationsRetried():
                self._line.append(waiting)
            case EntityLockRequest():
                self._requests[_section(letter.holder)] = waiting
                self._line.append(waiting)
            case EntityLockRelease():
                self._put_release(waiting, letter)
            case _:
                self._mail.consume(waiting)

    def _put_release(self, waiting: Waiting, release: EntityLockRelease) -> None:
        section = _section(release.holder)
        if section == self._holder:
            self._holders_line.append(waiting)
            return
        self._mail.consume(waiting)
        request = self._requests.pop(section, None)
        if request is not None and not request.withdrawn:
            request.withdrawn = True
            self._mail.consume(request)
            if release.is_will:
                self._tell_locked(release.holder)

    @property
    def _holder(self) -> _Section | None:
        return None if self._lock is None else _section(self._lock.holder)

    # -- taking

    def _take_next(self, now_us: int) -> Waiting | None:
        while True:
            # None are left when a lock is given, so no lock is in their way.
            if self._retried:
                return Waiting(0, self._retried[0], retried=True)
            line = self._line if self._lock is None else self._holders_line
            if not line:
                return None
            waiting = line.popleft()
            if waiting.withdrawn:
                continue
            if isinstance(waiting.letter, EntityOperation):
                return waiting
            self._mail.consume(waiting)
            self._obey(waiting.letter, now_us)

    def _obey(self, letter: Letter, now_us: int) -> None:
        match letter:
            case EntityLockRequest():
                self._requests.pop(_section(letter.holder), None)
                until_us = now_us + letter.hold_us if letter.hold_us else 0
                self._lock = EntityLock(letter.holder, now_us, until_us)
                self._changed = True
                self._tell_locked(letter.holder)
            case EntityLockRelease():
                self._unlock()
            case _:
                self._retry_parked()

    def _unlock(self) -> None:
        self._lock = None
        self._changed = True
        while self._holders_line:
            waiting = self._holders_line.popleft()
            if waiting.withdrawn:
                continue
            if isinstance(waiting.letter, EntityOperation):
                self._lose(waiting)
            else:
                self._mail.consume(waiting)

    def _retry_parked(self) -> None:
        if self._parked:
            self._retried.extend(parked.operation for parked in self._parked)
            self._parked.clear()
            self._changed = True

    # -- telling

    def _settle(self) -> Waiting:
        done = self._current
        if done is None:
            raise RuntimeError("no operation was begun: call next_operation first")
        self._current = None
        if done.retried:
            self._retried.popleft()
            self._changed = True
        else:
            self._mail.consume(done)
        return done

    def _tell_locked(self, holder: ParentLink) -> None:
        self._replies.append((holder, EntityLocked(holder.seq, self.instance_id)))

    def _lose(self, waiting: Waiting) -> None:
        self._mail.consume(waiting)
        lost = EntityLockLostError(self.instance_id, _operation(waiting).operation)
        self._fail(waiting, FailureDetails.of(lost))

    def _fail(self, done: Waiting, failure: FailureDetails) -> None:
        caller, request_id = _asker(done)
        if caller is not None:
            self._replies.append((caller, EntityCallFailed(caller.seq, failure)))
        elif request_id is not None:
            self._answers.append((request_id, EntityCallFailed(0, failure)))


def _operation(waiting: Waiting) -> EntityOperation:
    assert isinstance(waiting.letter, EntityOperation)
    return waiting.letter


def _asker(done: Waiting) -> tuple[ParentLink | None, str | None]:
    operation = done.letter
    if done.retried or not isinstance(operation, EntityOperation):
        return None, None
    return operation.caller, operation.request_id


def _section(holder: ParentLink) -> _Section:
    return (holder.instance_id, holder.execution, holder.seq)
