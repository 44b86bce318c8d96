"""Critical sections: a set of entities that one orchestration has to itself.

An orchestration has at most one, asked for or held. It begins when every entity of the set has said that it is locked, and ends when it
is released; any end of the execution releases it, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from enum import Enum
from types import TracebackType
from typing import Any, NoReturn, Protocol, Self

from durable_async.errors import EntityLockError, EntityLockTimeoutError

from .futures import DurableFuture, EntityCallFuture, FutureOwner


class SectionOwner(FutureOwner, Protocol):
    """Who records what becomes of a section."""

    @property
    def is_inside(self) -> bool:
        """Whether the orchestration's code is running."""
        ...

    def release(self, section: CriticalSection) -> None:
        """Record the end of a section that is held."""
        ...


class SectionState(Enum):
    """How far a critical section has come."""

    REQUESTED = "requested"
    HELD = "held"
    OVER = "over"


class CriticalSection:
    """Entities that are locked for this orchestration, until it is released; a context manager that does so at its end.

    While it is held, calls go to its entities only, one at a time to each, and signals to others only; there is no other section
    beside it. Activities, timers, events and sub-orchestrations are as ever.

    Attributes:
        entity_ids: The entities, as ``@name@key``, in byte order.
        seq: Sequence number of the request.
        state: How far it has come.
    """

    __slots__ = ("_busy", "_owner", "entity_ids", "seq", "state")

    def __init__(self, owner: SectionOwner, entity_ids: tuple[str, ...]) -> None:
        self.entity_ids = entity_ids
        self.seq = 0
        self.state = SectionState.REQUESTED
        self._owner = owner
        self._busy = dict.fromkeys(entity_ids, False)

    def __repr__(self) -> str:
        return f"<CriticalSection {', '.join(self.entity_ids)} {self.state.value}>"

    def release(self) -> None:
        """Unlock the entities; nothing happens if that was done already."""
        if self.state is SectionState.HELD:
            self._owner.release(self)

    def __enter__(self) -> Self:
        if self.state is SectionState.OVER:
            raise EntityLockError("entering a critical section that is over", "lock them again")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.leave()

    def leave(self) -> None:
        """Release it from code that is unwound; not from code that is garbage, and closed whenever it is collected."""
        if self._owner.is_inside:
            self.release()

    # -- rules

    def check_call(self, entity_id: str) -> None:
        """Refuse a call that may not be made beside this section, or in it.

        Raises:
            EntityLockError: It may not.
        """
        if self.state is SectionState.REQUESTED:
            raise EntityLockError(
                f"calling {entity_id} while entities are being locked", "await the lock first"
            )
        busy = self._busy.get(entity_id)
        if busy is None:
            raise EntityLockError(
                f"calling {entity_id} in a critical section that has not locked it",
                "lock it with the others, or call it after the section",
            )
        if busy:
            raise EntityLockError(
                f"calling {entity_id} twice at a time in a critical section",
                "await the other call first",
            )

    def check_signal(self, entity_id: str) -> None:
        """Refuse a signal that would wait for the end of the section.

        Raises:
            EntityLockError: It is to one of the section's entities.
        """
        if entity_id in self._busy:
            raise EntityLockError(
                f"signaling {entity_id} in the critical section that locks it",
                "call it, or signal it after the section",
            )

    def refuse_another(self) -> NoReturn:
        """Refuse a second section beside this one.

        Raises:
            EntityLockError: Always.
        """
        raise EntityLockError(
            "locking entities while others are locked or being locked",
            "lock all of them with one call",
        )

    # -- calls

    def begin(self, call: EntityCallFuture[Any]) -> None:
        """Note that an entity is being called from within."""
        self._busy[call.entity_id] = True

    def end(self, call: EntityCallFuture[Any]) -> None:
        """Note that a call is answered or given up; it may be one from before the section."""
        if call.section == self.seq:
            self._busy[call.entity_id] = False


class LockFuture(DurableFuture[CriticalSection]):
    """The critical section that is asked for: ``async with`` it, or ``with await`` it, or in a generator ``with (yield ...)`` it.

    Whoever is interrupted while awaiting it does not hold it afterwards, even if it was granted at that moment. ``cancel()`` withdraws the
    request.

    Attributes:
        section: What it will give.
        unheard: Entities of which history does not say yet that they are locked.
        unlocked: Entities that are not locked yet, as far as the code knows.
    """

    __slots__ = ("_timer", "section", "unheard", "unlocked")

    section: CriticalSection
    unheard: set[str]
    unlocked: set[str]
    _timer: asyncio.TimerHandle | None

    def __init__(
        self, loop: Any, order: int, owner: SectionOwner, entity_ids: tuple[str, ...]
    ) -> None:
        super().__init__(loop, order, owner)
        self.section = CriticalSection(owner, entity_ids)
        self.unheard = set(entity_ids)
        self.unlocked = set(entity_ids)
        self._timer = None

    def __await__(self) -> Generator[Any, None, CriticalSection]:
        try:
            return (yield from super().__await__())
        except BaseException:
            self.section.leave()
            raise

    async def __aenter__(self) -> CriticalSection:
        return (await self).__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.section.__exit__(kind, error, trace)

    def expire_after(self, seconds: float) -> None:
        """Withdraw the request if it is not granted in time."""
        self._timer = self.get_loop().call_later(seconds, self._expire, seconds)

    def _expire(self, seconds: float) -> None:
        if not self.done():
            assert self._owner is not None
            self._owner.give_up(self)
            self.set_exception(EntityLockTimeoutError(self.section.entity_ids, seconds))

    def stop_timer(self) -> None:
        """Forget the limit of time: it is granted, or not wanted any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
