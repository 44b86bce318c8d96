"""Watching: states, results, histories, queries."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar, Unpack, overload

from durable_async.errors import (
    InstanceNotFoundError,
    OrchestrationFailedError,
    OrchestrationTerminatedError,
    ValidationError,
    WaitTimeoutError,
)
from durable_async.model.history import HistoryEvent
from durable_async.model.records import InstanceRecord, QueryOrder
from durable_async.model.status import Status
from durable_async.serialization.events import decode_events

from ._conditions import Conditions, filter_of
from ._connection import Connection, Instance, id_of
from ._handle import OrchestrationHandle
from ._standing import instance_standing
from ._state import OrchestrationState

R = TypeVar("R")
T = TypeVar("T")

HISTORY_PAGE_BYTES = 4 * 1024 * 1024


class Watching(Connection):
    """The verbs that change nothing."""

    async def get(self, instance: Instance, *, payloads: bool = True) -> OrchestrationState | None:
        """Return an instance's state, or ``None`` if there is no such instance."""
        instance_id = id_of(instance)
        if payloads:
            record = await self._read.ask(instance_id)
        else:
            (record,) = await self._backend.read([instance_id], payloads=False)
        return None if record is None else OrchestrationState(record, self._payloads)

    @overload
    async def wait(
        self, instance: OrchestrationHandle[R], /, *, timeout: float | None = ...
    ) -> R: ...
    @overload
    async def wait(
        self, instance: Instance, result_type: type[T], /, *, timeout: float | None = ...
    ) -> T: ...
    @overload
    async def wait(
        self, instance: Instance, result_type: Any = ..., /, *, timeout: float | None = ...
    ) -> Any: ...
    async def wait(
        self, instance: Instance, result_type: Any = None, /, *, timeout: float | None = None
    ) -> Any:
        """Wait until an orchestration has ended, and return its result.

        Args:
            instance: An id or a handle.
            result_type: What the result is read into; a handle of a start knows it.
            timeout: Seconds to wait at most; ``None`` for ever. The orchestration goes on regardless.

        Raises:
            OrchestrationFailedError: It failed.
            OrchestrationTerminatedError: It was terminated.
            WaitTimeoutError: It has not ended in time.
            InstanceNotFoundError: There is no such instance.
        """
        state = await self.wait_for_end(instance, timeout=timeout)
        known = instance.result_type if isinstance(instance, OrchestrationHandle) else Any
        into = known if result_type is None else result_type
        match state.status:
            case Status.FAILED:
                assert state.failure is not None
                subject = f"orchestration {state.name!r} ({state.instance_id})"
                raise OrchestrationFailedError(subject, state.failure)
            case Status.TERMINATED:
                raise OrchestrationTerminatedError(state.instance_id, state.output())
            case _:
                return state.output(into)

    async def wait_for_end(
        self, instance: Instance, *, timeout: float | None = None
    ) -> OrchestrationState:
        """Wait until an orchestration has ended, in whichever way, and return its state."""
        return await self._reach(instance, lambda record: record.status.is_terminal, "end", timeout)

    async def wait_for_start(
        self, instance: Instance, *, timeout: float | None = None
    ) -> OrchestrationState:
        """Wait until an orchestration has begun to run, and return its state."""
        return await self._reach(
            instance, lambda record: record.status is not Status.PENDING, "start", timeout
        )

    async def _reach(
        self,
        instance: Instance,
        reached: Callable[[InstanceRecord], bool],
        what: str,
        timeout: float | None,
    ) -> OrchestrationState:
        """Return the state once ``reached`` holds; records without payloads are shown to ``reached``, too.

        Raises:
            InstanceNotFoundError: There is no such instance.
            WaitTimeoutError: It was not reached in time.
        """
        instance_id = id_of(instance)
        with self._instances.waiter(
            instance_id, lambda record: record is None or reached(record)
        ) as waiter:
            in_time = await self._instances.wait(waiter, timeout, look_first=True)
        record = waiter.found
        if not in_time:
            raise WaitTimeoutError(instance_id, what, timeout or 0.0, instance_standing(record))
        if record is None:
            raise InstanceNotFoundError(instance_id)
        return OrchestrationState(record, self._payloads)

    async def history(self, instance: Instance) -> list[HistoryEvent]:
        """Return the events of an instance's current execution, in order."""
        instance_id = id_of(instance)
        events: list[HistoryEvent] = []
        after = -1
        execution: int | None = None
        while True:
            page = await self._backend.read_history(
                instance_id, execution=execution, after_turn=after, bytes_max=HISTORY_PAGE_BYTES
            )
            for row in page.rows:
                events.extend(decode_events(instance_id, row.events))
                after = row.turn
            if not page.more:
                return events
            execution = page.execution

    async def query(
        self,
        *,
        payloads: bool = False,
        page_size: int = 100,
        order: QueryOrder = QueryOrder.CREATED,
        **conditions: Unpack[Conditions],
    ) -> AsyncIterator[OrchestrationState]:
        """Go through the instances that meet all conditions, page by page; see `Conditions`.

        Args:
            payloads: Whether inputs and outputs are wanted.
            page_size: How many are read at a time.
            order: Oldest first, or, of those that have ended, those first that ended first.
        """
        page: str | None = None
        while True:
            found, page = await self.query_page(
                limit=page_size, page=page, payloads=payloads, order=order, **conditions
            )
            for state in found:
                yield state
            if page is None:
                return

    async def query_page(
        self,
        *,
        limit: int = 100,
        page: str | None = None,
        payloads: bool = False,
        order: QueryOrder = QueryOrder.CREATED,
        **conditions: Unpack[Conditions],
    ) -> tuple[list[OrchestrationState], str | None]:
        """Return one page of instances, in the order of `query`, and what to pass for the next one; ``None`` after the last.

        Raises:
            ValidationError: A condition is refused, or ``page`` is of no query in this order.
        """
        if limit < 1:
            raise ValidationError("limit", f"must be 1 or more, not {limit}")
        if not isinstance(order, QueryOrder):
            raise ValidationError("order", f"must be a QueryOrder, not {order!r}")
        found = await self._backend.query(
            filter_of(conditions), limit=limit, page=page, payloads=payloads, order=order
        )
        return [OrchestrationState(item, self._payloads) for item in found.items], found.next_page
