"""The verbs of the port on a Postgres database."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from durable_async.backend import Hearing
from durable_async.backends._rows import STATUSES, damaged_answer, encode_parent, started
from durable_async.errors import BackendError, InstanceNotFoundError
from durable_async.model.records import (
    NO_ERRANDS,
    Delivery,
    EntityFilter,
    EntityPage,
    EntityRecord,
    Errands,
    Fence,
    HistoryPage,
    HubStatistics,
    InstanceFilter,
    InstancePage,
    InstanceRecord,
    Mail,
    NewInstance,
    Outgoing,
    QueryOrder,
    Rewrite,
    StartOutcome,
    Work,
)
from durable_async.model.upkeep import Expired, Expiry, Place, WorkerRecord

from .claims import any_or, census_of, pairs_or_none, work_of
from .columns import Columns, numbers, values
from .commits import PostgresCommits
from .failures import is_conflict
from .leases import microseconds
from .near import NO_TAKING, Taking
from .reads import (
    entity_page,
    entity_query_values,
    expired_of,
    expiry_values,
    history_page,
    page_of,
    query_name,
    query_values,
    statistics_of,
    worker_of,
)
from .requests import Requests
from .rows import (
    INSTANCE,
    LETTER,
    PARENT,
    Row,
    entity_record,
    instance_columns,
    instance_record,
    letter_columns,
    mail_of,
)

_NOTHING_MORE: tuple[Any, ...] = (0, [], None, None, 0, [], 0)
"""Limits of a fetch that claims nothing."""

_DELIVERIES = {delivery.value: delivery for delivery in Delivery}

_REPETITIONS = 3
"""A repeated request that met its first attempt in flight asks again; more than once only if requests are repeated in a storm."""


class PostgresBackend(PostgresCommits):
    """A task hub in a Postgres database, for any number of processes.

    Every verb is one statement in a transaction of its own, so that nothing that a client does or fails to do can hold a lock. What was
    acknowledged survives whatever the server survives: ``synchronous_commit`` is on, and with synchronous standbys that includes their promotion.
    """

    # -- TaskHubAdmin: open, close and now_us are the core's

    async def statistics(self) -> HubStatistics:
        """Count what the hub holds."""
        [row] = await self._ask("statistics", self._hub)
        return statistics_of(row)

    async def read_workers(self) -> list[WorkerRecord]:
        """Return the workers that are registered, in byte order of their ids."""
        return [worker_of(row) for row in await self._ask("read_workers", self._hub)]

    # -- WorkQueue: the rest is in PostgresLeases and PostgresCommits

    async def fetch(
        self,
        fence: Fence,
        *,
        number: int,
        instances: int,
        activities: int,
        names: frozenset[str] | None,
        activity_names: frozenset[str] | None,
        history_bytes_max: int,
        passed_over: frozenset[tuple[str, str]] = frozenset(),
        errands: Errands = NO_ERRANDS,
    ) -> Work:
        """Claim ready work and collect letters for what is owned."""
        await self._resolve_doubt(fence)
        limits = (
            instances,
            any_or(names),
            *pairs_or_none(passed_over),
            activities,
            any_or(activity_names),
            history_bytes_max,
        )
        hub, *rows = await self._fetch(fence, number, limits, errands)
        if "instance" in [row["kind"] for row in rows]:
            await asyncio.sleep(0)  # an answer that came with this one has been taken in then
            if self._near.has_news(fence.worker_id):
                # Perhaps of what caused that something was there to claim. Nothing else is looked for under the same number.
                rows += (await self._fetch(fence, number, _NOTHING_MORE, NO_ERRANDS))[1:]
        return work_of(rows, hub["at_us"], census_of(hub) if errands.looks_around else None)

    async def _fetch(
        self, fence: Fence, number: int, limits: tuple[Any, ...], errands: Errands
    ) -> list[Any]:
        worker_id = fence.worker_id
        told = self._near.take(worker_id)
        asked = (list(told), list(told.values())) if told else (None, None)
        lease = errands.lease_seconds
        along = (None if lease is None else microseconds(lease), errands.looks_around)
        try:
            rows = await self._do(
                "claim_work", self._hub, worker_id, fence.epoch, number, *limits, *asked, *along
            )
        except BaseException:
            self._near.put_back(worker_id, told)
            raise
        self._clock.hear(rows[0]["n"])
        if rows[0]["flag"]:
            raise self._fenced(worker_id)
        self._near.report(worker_id, [row for row in rows if row["kind"] == "letter"])
        return rows

    async def unwanted_activities(self, worker_id: str, item_ids: Sequence[int]) -> frozenset[int]:
        """Return those that the worker has no claim on."""
        rows = await self._do("claimed_activities", self._hub, worker_id, list(item_ids))
        return frozenset(item_ids).difference(row["id"] for row in rows)

    async def read_history(
        self,
        instance_id: str,
        *,
        execution: int | None = None,
        after_turn: int = -1,
        bytes_max: int,
    ) -> HistoryPage:
        """Return rows of an execution after a turn, at least one if there is any."""
        rows = await self._ask(
            "history_after", self._hub, instance_id, execution, after_turn, bytes_max
        )
        if not rows:
            raise InstanceNotFoundError(instance_id)
        return history_page(rows)

    # -- InstanceStore

    @property
    def letters_max(self) -> int:
        """How many letters a mailbox takes from clients."""
        return self._letters_max

    async def create(self, instances: Sequence[NewInstance]) -> list[StartOutcome]:
        """Create instances, each according to its reuse policy."""
        requests = Requests("start", instances)
        news = [
            (*instance_columns(new), request)
            for new, request in zip(requests.distinct, requests.ids, strict=True)
        ]
        if not news:
            return []
        rows = await self._once(lambda: self._create(requests.distinct, news))
        outcomes = {row["place"]: row for row in rows}
        answers = [
            StartOutcome(
                created=row["created"], status=STATUSES[row["status"]], execution=row["execution"]
            )
            for row in (outcomes[place + 1] for place in range(len(news)))
        ]
        self._ears.give(any(row["created"] and row["taken"] is None for row in rows), set())
        return requests.answers(answers)

    async def _create(
        self, instances: Sequence[NewInstance], news: Sequence[tuple[Any, ...]]
    ) -> list[Any]:
        if len(news) == 1 and instances[0].parent is None:
            rows = await self._start(instances, news[0])
            if rows:
                return rows
        parameters = Columns((*INSTANCE, values), news).parameters()
        taking = self._near.taking(instances)
        return await self._take(
            "create_instances", instances, parameters + (taking or NO_TAKING), taking
        )

    async def _start(self, instances: Sequence[NewInstance], new: tuple[Any, ...]) -> list[Any]:
        """Create an orchestration whose id is new; no row if it is not, or if the request is known, which is for ``create_instances``."""
        *row, _reuse, _, _, _, _, request = new
        taking = self._near.taking(instances)
        *by, _taken = taking or NO_TAKING
        return await self._take("start_instance", instances, (*row, request, *by), taking)

    async def _take(
        self,
        name: str,
        instances: Sequence[NewInstance],
        parameters: tuple[Any, ...],
        taking: Taking | None,
    ) -> list[Any]:
        """Run a statement that creates; what a worker of this process takes is handed over, also if the caller has left by then."""
        if taking is None:
            return await self._ask(name, self._hub, *parameters)

        def hand_over(rows: Sequence[Row]) -> bool:
            return self._hand_over(taking.worker_id, instances, rows)

        return await self._put(
            self._clients.run,
            name,
            (self._hub, *parameters),
            hand_over,
            lambda: self._near.lose(taking),
        )

    def _hand_over(
        self, worker_id: str, instances: Sequence[NewInstance], rows: Sequence[Row]
    ) -> bool:
        """Hand over what was taken; returns whether there is anything else to tell the workers here."""
        taken = [row for row in rows if row["taken"] is not None]
        found = self._near.hand_over(worker_id, (row["taken"] for row in taken))
        if found is None:
            return False  # it is about to retire, or was taken over: what it owns is freed with all else
        offer, is_told = found
        for row in taken:
            offer.take(started(instances[row["place"] - 1], row["execution"]), is_told=is_told)
        return not is_told

    async def send(self, letters: Sequence[Outgoing]) -> list[Delivery]:
        """Put letters into mailboxes and mark the receivers ready."""
        requests = Requests("send", letters)
        rows = [
            (*letter_columns(out), request)
            for out, request in zip(requests.distinct, requests.ids, strict=True)
        ]
        if not rows:
            return []
        # What is sent alone goes by a statement of plain values.
        if len(rows) == 1:
            name, parameters = "send_letter", rows[0]
        else:
            name, parameters = "send_letters", Columns((*LETTER, values), rows).parameters()
        found = await self._once(
            lambda: self._put(
                self._clients.run,
                name,
                (self._hub, self._letters_max, *self._near.terms(), *parameters),
                self._tell_receivers,
            )
        )
        verdicts = {row["place"]: row["verdict"] for row in found}
        answers = [
            _delivery(out.instance_id, verdicts[place])
            for place, out in enumerate(requests.distinct, 1)
        ]
        brought_work = [row for row in found if row["key"] is not None and row["near"] is None]
        self._ears.give(bool(brought_work), set())
        return requests.answers(answers)

    def _tell_receivers(self, rows: Sequence[Row]) -> bool:
        """Note who of the workers here has got letters; returns whether anybody has."""
        return self._near.tell(
            [(row["near"], row["key"]) for row in rows if row["near"] is not None]
        )

    async def read_answers(self, request_ids: Sequence[str]) -> list[bytes | None]:
        """Return the answers to requests in the order of the arguments."""
        rows = await self._ask("read_answers", self._hub, list(request_ids))
        found: dict[str, bytes] = {row["id"]: row["answer"] for row in rows}
        return [found.get(request_id) for request_id in request_ids]

    async def read_letters(self, instance_id: str, *, limit: int) -> list[Mail]:
        """Return the first letters in a mailbox."""
        rows = await self._ask("read_letters", self._hub, instance_id, limit)
        return [mail_of(row) for row in rows]

    async def read_queued(self, instance_id: str) -> dict[int, str | None]:
        """Return which activities of an instance are in the queue, and who has claimed each."""
        rows = await self._ask("read_queued", self._hub, instance_id)
        return {row["seq"]: row["owner"] for row in rows}

    async def read(
        self, instance_ids: Sequence[str], *, payloads: bool
    ) -> list[InstanceRecord | None]:
        """Return instances in the order of the arguments."""
        rows = await self._ask("read_instances", self._hub, payloads, list(instance_ids))
        found = {row["id"]: instance_record(row) for row in rows}
        return [found.get(instance_id) for instance_id in instance_ids]

    async def query(
        self,
        where: InstanceFilter,
        *,
        limit: int,
        page: str | None,
        payloads: bool,
        order: QueryOrder = QueryOrder.CREATED,
    ) -> InstancePage:
        """Return orchestrations in an order."""
        values = query_values(where, limit, page, order, payloads=payloads)
        return page_of(await self._ask(query_name(where, order), self._hub, *values), limit, order)

    async def read_entities(self, instance_ids: Sequence[str]) -> list[EntityRecord | None]:
        """Return entities in the order of the arguments."""
        rows = await self._ask("read_entities", self._hub, list(instance_ids))
        found = {row["id"]: entity_record(row) for row in rows}
        return [found.get(instance_id) for instance_id in instance_ids]

    async def query_entities(
        self, where: EntityFilter, *, limit: int, page: str | None
    ) -> EntityPage:
        """Return entities in byte order of their ids."""
        values = entity_query_values(where, limit, page)
        return entity_page(await self._ask("query_entities", self._hub, *values), limit)

    async def discard_entities(self, instance_ids: Sequence[str]) -> list[str]:
        """Forget those that hold neither state nor letters."""
        return await self._forget("discard_entities", instance_ids)

    async def purge(self, instance_ids: Sequence[str]) -> list[str]:
        """Delete those that have ended: history, letters, outputs."""
        return await self._forget("purge_instances", instance_ids)

    async def expire(
        self, expiry: Expiry, *, limit: int, after: Place | None = None, deletes: bool = True
    ) -> Expired:
        """Delete those that ended long ago, of the next ones in order of completion."""
        values = expiry_values(expiry, limit, after)
        rows = await self._ask("expire_instances", self._hub, *values, deletes)
        found = expired_of(rows, limit, after)
        if deletes:
            self._ears.give(False, set(found.names))
        return found

    async def _forget(self, name: str, instance_ids: Sequence[str]) -> list[str]:
        rows = await self._ask(name, self._hub, list(instance_ids))
        forgotten = {row[0] for row in rows}
        self._ears.give(False, forgotten)
        return [one for one in dict.fromkeys(instance_ids) if one in forgotten]

    async def rewrite(self, rewrites: Sequence[Rewrite]) -> bool:
        """Set failed instances going again with another history, all or none."""
        instances = Columns((values, numbers, values, *PARENT))
        letters = Columns((values, numbers, values))
        for one in rewrites:
            instances.add(one.instance_id, one.execution, one.events, *encode_parent(one.parent))
            for out in one.outgoing():
                letters.add(out.instance_id, out.execution, out.letter)
        if not instances:
            return True
        [row] = await self._ask(
            "rewrite_instances", self._hub, *instances.parameters(), *letters.parameters()
        )
        if row[0]:
            self._ears.give(True, {one.instance_id for one in rewrites})
        return bool(row[0])

    async def unpark(self, instance_ids: Sequence[str]) -> list[str]:
        """Put parked instances back, ready at once with no attempts counted."""
        rows = await self._ask("unpark_instances", self._hub, list(instance_ids))
        unparked = {row[0] for row in rows}
        self._ears.give(bool(unparked), unparked)
        return [one for one in dict.fromkeys(instance_ids) if one in unparked]

    # -- Wakeups

    @property
    def hearing(self) -> Hearing:
        """Tell whether notifications arrive."""
        return Hearing.MOSTLY if self._ears.hears else Hearing.NEVER

    def listen(
        self,
        on_work: Callable[[], None],
        on_changed: Callable[[frozenset[str] | None], None],
        on_progress: Callable[[frozenset[str] | None], None] | None = None,
    ) -> Callable[[], None]:
        """Call when there may be work, or when something changed; returns how to stop."""
        return self._ears.listen(on_work, on_changed, on_progress)

    # -- requests

    async def _once(self, ask: Callable[[], Awaitable[list[Any]]]) -> list[Any]:
        """Run a verb that answers each request once, again if its own repetition was faster."""
        for _ in range(_REPETITIONS):
            try:
                return await ask()
            except BackendError as error:
                if not is_conflict(error, "requests_pkey"):
                    raise
        return await ask()


def _delivery(instance_id: str, verdict: str) -> Delivery:
    """Return what became of a letter, as a statement tells it; a repeated request is told what was kept."""
    if verdict not in _DELIVERIES:
        raise damaged_answer(instance_id, verdict)
    return _DELIVERIES[verdict]
