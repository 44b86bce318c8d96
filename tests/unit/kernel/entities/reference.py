"""An entity as one would explain it: a mailbox that is looked through from its beginning for each step. Slow, and short."""

from __future__ import annotations

from dataclasses import dataclass

from durable_async._kernel.entities import EntityTurn, OperationOutcome
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


@dataclass(eq=False)
class Lying:
    """A letter in the mailbox."""

    mail_id: int
    letter: Letter
    noticed: bool = False
    delayed: bool = False


class Reference:
    """The simple model."""

    def __init__(self, instance_id: str, snapshot: EntitySnapshot) -> None:
        self.instance_id = instance_id
        self.state = snapshot.state
        self.lock = snapshot.lock
        self.parked = list(snapshot.parked)
        self.retried = list(snapshot.retried)
        self.before = snapshot
        self.mailbox: list[Lying] = []
        self.ids: set[int] = set()
        self.consumed: list[int] = []
        self.replies: list[tuple[ParentLink, Letter]] = []
        self.answers: list[tuple[str, Letter]] = []
        self.signals: list[object] = []
        self.starts: list[object] = []

    @property
    def snapshot(self) -> EntitySnapshot:
        return EntitySnapshot(self.state, self.lock, tuple(self.parked), tuple(self.retried))

    def deliver(self, mail_id: int, letter: Letter) -> bool:
        if mail_id in self.ids:
            return False
        self.ids.add(mail_id)
        self.mailbox.append(Lying(mail_id, letter))
        return True

    # -- one step at a time

    def next_operation(self, now_us: int) -> EntityOperation | None:
        self.notice(now_us)
        while True:
            self.drop_what_is_idle()
            if self.lock is None and self.retried:
                return self.retried[0]
            lying = self.first()
            if lying is None:
                return None
            match lying.letter:
                case EntityOperation():
                    return lying.letter
                case EntityLockRequest(holder=holder, hold_us=hold_us):
                    self.take(lying)
                    self.lock = EntityLock(holder, now_us, now_us + hold_us if hold_us else 0)
                    self.tell_locked(holder)
                case EntityLockRelease():
                    self.take(lying)
                    self.lock = None
                case _:
                    self.take(lying)
                    self.retried += [parked.operation for parked in self.parked]
                    self.parked = []

    def notice(self, now_us: int) -> None:
        if self.lock is not None and 0 < self.lock.until_us <= now_us:
            self.lock = None
            self.drop_what_is_idle()
        waiting = [lying for lying in self.mailbox if lying.delayed]
        due = [lying for lying in waiting if lying.letter.due_us <= now_us]  # type: ignore[union-attr]
        due.sort(key=lambda lying: lying.letter.due_us)  # type: ignore[union-attr]
        for lying in due:
            lying.delayed = False
        new = [lying for lying in self.mailbox if not lying.noticed]
        old = [lying for lying in self.mailbox if lying.noticed and lying not in due]
        self.mailbox = [*old, *due, *new]
        for lying in new:
            lying.noticed = True
            letter = lying.letter
            if isinstance(letter, EntityOperation) and not letter.section:
                lying.delayed = letter.due_us > now_us

    def is_holders(self, letter: Letter) -> bool:
        if self.lock is None:
            return False
        if isinstance(letter, EntityLockRelease):
            return letter.holder == self.lock.holder
        if not isinstance(letter, EntityOperation) or letter.caller is None:
            return False
        holder, caller = self.lock.holder, letter.caller
        return (caller.instance_id, letter.section) == (holder.instance_id, holder.seq)

    def drop_what_is_idle(self) -> None:
        """Fail calls from sections that are over or never were, and forget requests that are not wanted."""
        for lying in list(self.mailbox):
            match lying.letter:
                case EntityOperation(section=section) if section:
                    if not self.is_holders(lying.letter):
                        lost = EntityLockLostError(self.instance_id, lying.letter.operation)
                        self.take(lying)
                        self.tell(lying.letter, FailureDetails.of(lost))
                case EntityLockRelease(holder, is_will) if not self.is_holders(lying.letter):
                    for other in self.mailbox[: self.mailbox.index(lying)]:
                        if (
                            isinstance(other.letter, EntityLockRequest)
                            and other.letter.holder == holder
                        ):
                            self.take(other)
                            if is_will:
                                self.tell_locked(holder)
                    self.take(lying)
                case (
                    EntityOperation()
                    | EntityLockRequest()
                    | EntityLockRelease()
                    | ParkedOperationsRetried()
                ):
                    pass
                case _:
                    self.take(lying)

    def first(self) -> Lying | None:
        for lying in self.mailbox:
            if not lying.delayed and (self.lock is None or self.is_holders(lying.letter)):
                return lying
        return None

    def tell_locked(self, holder: ParentLink) -> None:
        self.replies.append((holder, EntityLocked(holder.seq, self.instance_id)))

    def take(self, lying: Lying) -> None:
        self.mailbox.remove(lying)
        self.consumed.append(lying.mail_id)

    # -- what comes of it

    def conclude(self, now_us: int, outcome: OperationOutcome) -> None:
        operation, is_retried = self.settle(now_us)
        if outcome.failure is None:
            self.state = outcome.state
            self.signals += outcome.signals
            self.starts += outcome.starts
        if not is_retried:
            self.tell(operation, outcome.failure, outcome.result)

    def park(self, reason: str, now_us: int, attempts: int) -> EntityOperation | None:
        if self.next_operation(now_us) is None:
            return None
        operation, is_retried = self.settle(now_us)
        self.parked.append(ParkedOperation(operation, reason, now_us))
        if not is_retried:
            error = PoisonedOperationError(self.instance_id, operation.operation, attempts)
            self.tell(operation, FailureDetails.of(error))
        return operation

    def settle(self, now_us: int) -> tuple[EntityOperation, bool]:
        if self.lock is None and self.retried:
            return self.retried.pop(0), True
        lying = self.first()
        assert lying is not None
        assert isinstance(lying.letter, EntityOperation)
        self.take(lying)
        return lying.letter, False

    def tell(
        self,
        operation: EntityOperation,
        failure: FailureDetails | None,
        result: bytes | None = None,
    ) -> None:
        def letter(seq: int) -> Letter:
            if failure is None:
                return EntityCallCompleted(seq, result)
            return EntityCallFailed(seq, failure)

        if operation.caller is not None:
            self.replies.append((operation.caller, letter(operation.caller.seq)))
        elif operation.request_id is not None:
            self.answers.append((operation.request_id, letter(0)))

    def finish(self) -> EntityTurn:
        turn = EntityTurn(
            tuple(sorted(self.consumed)),
            self.snapshot,
            tuple(self.replies),
            tuple(self.answers),
            tuple(self.signals),  # type: ignore[arg-type]
            tuple(self.starts),  # type: ignore[arg-type]
        )
        self.consumed, self.replies, self.answers = [], [], []
        self.signals, self.starts = [], []
        return turn
