"""Watch: what becomes of one orchestration, state after state."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

from durable_async.errors import InstanceNotFoundError
from durable_async.model.records import InstanceRecord

from ._arguments import check_timeout
from ._lookout import Waiter
from ._state import OrchestrationState

Wait = Callable[[Waiter[InstanceRecord], float | None, bool], Awaitable[bool]]
"""Waits until a wait is over, or for some seconds; looks at the store first, or not before there is news."""


class Watch:
    """What ``Client.watch`` gives: the states of an orchestration, as they change.

    It begins with the present state. A state that is followed by another before anybody looks is passed over; the last one is not. All
    who watch and wait in a process share their looks at the store.
    """

    def __init__(
        self,
        instance_id: str,
        now: float,
        wait: Wait,
        state_of: Callable[[InstanceRecord], OrchestrationState],
    ) -> None:
        self.instance_id = instance_id
        self._wait = wait
        self._state_of = state_of
        self._seen: tuple[object, ...] | None = None
        self._last: OrchestrationState | None = None
        self.waiter: Waiter[InstanceRecord] = Waiter(
            instance_id, self._is_news, now, in_progress=True
        )

    async def next(self, timeout: float | None = None) -> OrchestrationState | None:
        """Return the next state that differs from the last one, or ``None`` if there was none in time.

        What differs is the status, the custom status, the execution, or whether it is parked.

        Raises:
            InstanceNotFoundError: There is no such instance, or not any more.
        """
        in_time = await self._wait(self.waiter, check_timeout(timeout), self._seen is None)
        record = self.waiter.found
        if not in_time:
            return None
        if record is None:
            raise InstanceNotFoundError(self.instance_id)
        self._seen = _face(record)
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

    def _is_news(self, record: InstanceRecord | None) -> bool:
        return record is None or _face(record) != self._seen


def _face(record: InstanceRecord) -> tuple[object, ...]:
    return record.execution, record.status, record.custom_status, record.parked
