"""Watch: what becomes of one orchestration, state after state."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator
from contextlib import contextmanager

from durable_async.errors import InstanceNotFoundError
from durable_async.model.arguments import check_timeout
from durable_async.model.records import InstanceRecord

from ._lookout import Waiter
from ._state import OrchestrationState
from ._waiters import Waiters

StateOf = Callable[[InstanceRecord], OrchestrationState]


class _Seen:
    """What was seen last of an orchestration."""

    def __init__(self) -> None:
        self.face: tuple[object, ...] | None = None

    def is_old(self, record: InstanceRecord) -> bool:
        return _face(record) == self.face


class Watch:
    """What ``Client.watch`` gives: the states of an orchestration, as they change.

    It begins with the present state. A state that is followed by another before anybody looks is passed over; the last one is not. All
    who watch and wait in a process share their looks at the store.
    """

    def __init__(
        self,
        waiter: Waiter[InstanceRecord],
        waiters: Waiters[InstanceRecord],
        seen: _Seen,
        state_of: StateOf,
    ) -> None:
        self.instance_id = waiter.key
        self._waiter = waiter
        self._waiters = waiters
        self._seen = seen
        self._state_of = state_of
        self._last: OrchestrationState | None = None

    async def next(self, timeout: float | None = None) -> OrchestrationState | None:
        """Return the next state that differs from the last one, or ``None`` if there was none in time.

        What differs is the status, the custom status, the execution, or whether it is parked.

        Raises:
            InstanceNotFoundError: There is no such instance, or not any more.
        """
        is_first = self._seen.face is None
        in_time = await self._waiters.wait(
            self._waiter, check_timeout(timeout), look_first=is_first
        )
        record = self._waiter.found
        if not in_time:
            return None
        if record is None:
            raise InstanceNotFoundError(self.instance_id)
        self._seen.face = _face(record)
        self._last = self._state_of(record)
        return self._last

    def __aiter__(self) -> AsyncIterator[OrchestrationState]:
        return self

    async def __anext__(self) -> OrchestrationState:
        """Return the next state; the one in which it has ended is the last."""
        if self._last is not None and self._last.is_ended:
            raise StopAsyncIteration
        state = await self.next()
        assert state is not None  # without a timeout there is one
        return state


@contextmanager
def watching(
    instance_id: str, waiters: Waiters[InstanceRecord], state_of: StateOf
) -> Generator[Watch]:
    """Hear of an orchestration from now on."""
    seen = _Seen()
    with waiters.waiter(
        instance_id, lambda record: record is None or not seen.is_old(record), in_progress=True
    ) as waiter:
        yield Watch(waiter, waiters, seen, state_of)


def _face(record: InstanceRecord) -> tuple[object, ...]:
    return record.execution, record.status, record.custom_status, record.parked
