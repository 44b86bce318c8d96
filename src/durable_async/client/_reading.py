"""Reading: states, histories, queries, the workers; what changes nothing and waits for nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterable
from typing import Unpack

from durable_async.errors import ValidationError, shown
from durable_async.model.arguments import check_flag, check_limit, check_page, check_several
from durable_async.model.history import HistoryEvent
from durable_async.model.records import InstanceRecord, QueryOrder
from durable_async.model.retention import Retention
from durable_async.model.upkeep import Place
from durable_async.serialization.events import decode_events

from ._conditions import Conditions, filter_of
from ._connection import Connection, IdOrHandle, id_of
from ._state import OrchestrationState
from ._worker_state import WorkerState, worker_state

HISTORY_PAGE_BYTES = 4 * 1024 * 1024
EXPIRED_PAGE = 1_000
STATES_AT_ONCE = 500


class Reading(Connection):
    """The verbs that look at orchestrations, and at who works on them."""

    async def get(
        self, instance: IdOrHandle, *, payloads: bool = True
    ) -> OrchestrationState | None:
        """Return an instance's state, or ``None`` if there is no such instance."""
        instance_id = id_of(instance)
        if check_flag(payloads, "payloads"):
            record = await self._read.ask(instance_id)
        else:
            (record,) = await self._backend.read([instance_id], payloads=False)
        return None if record is None else self._state_of(record)

    async def get_many(
        self, instances: Iterable[IdOrHandle], *, payloads: bool = True
    ) -> list[OrchestrationState | None]:
        """Return the states of instances in their order, ``None`` for those that are not there; hundreds in a round trip."""
        check_flag(payloads, "payloads")
        ids = [id_of(one) for one in check_several(instances, "instances", "ids")]
        found: list[OrchestrationState | None] = []
        for first in range(0, len(ids), STATES_AT_ONCE):
            batch = ids[first : first + STATES_AT_ONCE]
            records = await self._backend.read(batch, payloads=payloads)
            found += [None if one is None else self._state_of(one) for one in records]
        return found

    async def history(self, instance: IdOrHandle) -> list[HistoryEvent]:
        """Return the events of an instance's current execution, in order."""
        return [event async for events in self.history_pages(instance) for event in events]

    async def history_pages(self, instance: IdOrHandle) -> AsyncIterator[list[HistoryEvent]]:
        """Go through the events of an instance's current execution, a few at a time, for who does not want a long history as a whole."""
        instance_id = id_of(instance)
        after = -1
        execution: int | None = None
        while True:
            page = await self._backend.read_history(
                instance_id, execution=execution, after_turn=after, bytes_max=HISTORY_PAGE_BYTES
            )
            events: list[HistoryEvent] = []
            for row in page.rows:
                events.extend(decode_events(instance_id, row.events))
                after = row.turn
            yield events
            if not page.more:
                return
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
            order: Oldest first by default; see `QueryOrder`.
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
        check_limit(limit)
        check_flag(payloads, "payloads")
        if not isinstance(order, QueryOrder):
            raise ValidationError("order", f"must be a QueryOrder, not {shown(order)}")
        found = await self._backend.query(
            filter_of(conditions),
            limit=limit,
            page=check_page(page),
            payloads=payloads,
            order=order,
        )
        return [self._state_of(item) for item in found.items], found.next_page

    async def count_expired(self, retention: Retention) -> dict[str, int]:
        """Count what a retention would delete by now, by the names of orchestrators, in their order; nothing is deleted."""
        if not isinstance(retention, Retention):
            raise ValidationError("retention", f"must be a Retention, not {shown(retention)}")
        counts: Counter[str] = Counter()
        for expiry in retention.expiries():
            place: Place | None = None
            more = True
            while more:
                found = await self._backend.expire(
                    expiry, limit=EXPIRED_PAGE, after=place, deletes=False
                )
                counts.update(found.names.values())
                place, more = found.place, found.more
        return dict(sorted(counts.items()))

    def _state_of(self, record: InstanceRecord) -> OrchestrationState:
        return OrchestrationState(record, self._payloads)

    async def workers(self) -> list[WorkerState]:
        """Return the workers that are registered with the hub, in order of their ids."""
        return [worker_state(record) for record in await self._backend.read_workers()]
