"""The port on a store in memory, verb by verb."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import islice

import msgspec

from durable_async.backend import Hearing, Offer
from durable_async.environment import SystemEnvironment
from durable_async.errors import (
    BackendError,
    FencedError,
    InstanceNotFoundError,
)
from durable_async.model.records import (
    NO_ERRANDS,
    Census,
    ClaimedActivity,
    ClaimedInstance,
    CommitItem,
    CommitResult,
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
from durable_async.model.status import Status
from durable_async.model.upkeep import Expired, Expiry, Place, WorkerRecord

from .commits import apply_batch
from .hints import Listener
from .queries import find_expired, run_entity_query, run_query
from .rows import History, Instance, WorkerRow, counted
from .schedule import Wanted
from .state import HubState
from .store import Clock, MemoryStore

LETTERS_MAX = 10_000


class MemoryBackend:
    """A backend whose store is this process's memory.

    Several backends may share a store, each standing for a process of its own; closing one withdraws the sign of life of its
    workers. All verbs belong to one thread, except ``renew_lease``.
    """

    def __init__(
        self,
        store: MemoryStore | None = None,
        *,
        hub: str = "default",
        environment: Clock | None = None,
        letters_max: int = LETTERS_MAX,
    ) -> None:
        """Bind to a hub.

        Args:
            store: Where everything is; a fresh one if not given.
            hub: Name of the task hub.
            environment: Whose clock a fresh store goes by, by default the system's; a store that is given has its own.
            letters_max: How many letters a mailbox takes from clients.
        """
        self.store = store or MemoryStore(environment or SystemEnvironment())
        self._hub_name = hub
        self._letters_max = letters_max
        self._hub: HubState | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listeners: dict[Listener, None] = {}

    # -- TaskHubAdmin

    @property
    def description(self) -> str:
        """What it is, fit for logs."""
        return f"memory, hub {self._hub_name!r}"

    async def open(self) -> None:
        """Make the hub, if it is new, and remember the event loop for hints."""
        self._loop = asyncio.get_running_loop()
        self._hub = self.store.hub(self._hub_name)

    async def close(self) -> None:
        """Stop listening and withdraw the workers' sign of life. The store stays as it is. Safe to repeat."""
        hub, self._hub, self._loop = self._hub, None, None
        if hub is None:
            return
        for listener in self._listeners:
            hub.hints.remove(listener)
        self._listeners.clear()
        for row in hub.workers.values():
            if row.session is self:
                row.alive = False

    def now_us(self) -> int:
        """Return the store's clock."""
        return self.store.now_us()

    async def statistics(self) -> HubStatistics:
        """Count what the hub holds."""
        hub = self._opened()
        instances = hub.instances.values()
        counts = Counter(one.status for one in instances if not one.is_entity)
        return HubStatistics(
            by_status={status: counts[status] for status in Status},
            entities=len(hub.entities),
            parked=sum(instance.parked is not None for instance in instances),
            workers=len(hub.workers),
            letters=sum(len(instance.mailbox) for instance in instances),
            queued_activities=len(hub.activities),
        )

    async def read_workers(self) -> list[WorkerRecord]:
        """Return the workers that are registered, all of them of this process."""
        hub = self._opened()
        return [hub.workers[one].record(self.now_us()) for one in sorted(hub.workers)]

    # -- WorkQueue

    async def register_worker(self, worker_id: str, lease_seconds: float) -> Fence:
        """Announce a new worker; an id that is in use is refused as fenced."""
        hub = self._opened()
        row = hub.add_worker(worker_id, self.now_us(), self._lease_end(lease_seconds), self)
        return _fence_of(row)

    def renew_lease(self, fence: Fence, lease_seconds: float) -> None:
        """Extend the lease; may be called from any thread."""
        hub = self._opened()
        with self.store.lock:
            row = hub.worker(fence)
            if not row.alive or row.lease_until_us <= self.now_us():
                raise FencedError(fence.worker_id)
            row.lease_until_us = self._lease_end(lease_seconds)

    async def retire_worker(self, fence: Fence) -> None:
        """Hand everything back and forget the worker."""
        hub = self._opened()
        with self.store.lock:
            hub.remove_worker(hub.worker(fence), self.now_us(), attempts_stand=False)
        hub.hints.publish()

    async def withdraw(self, worker_id: str) -> None:
        """Let a worker look dead."""
        row = self._opened().workers.get(worker_id)
        if row is not None and row.session is self:
            row.alive = False

    async def take_over(self, fence: Fence) -> int:
        """Free what dead workers own."""
        hub = self._opened()
        me = hub.worker(fence)
        now_us = self.now_us()
        freed = 0
        with self.store.lock:
            for row in tuple(hub.workers.values()):
                if _is_dead(row, me, now_us):
                    freed += hub.remove_worker(row, now_us, attempts_stand=True)
        hub.forget_old(now_us)
        hub.hints.publish()
        return freed

    async def read_fence(self, worker_id: str) -> Fence:
        """Return where the worker's row stands."""
        row = self._opened().workers.get(worker_id)
        if row is None:
            raise FencedError(worker_id)
        return _fence_of(row)

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
        """Claim ready work and collect letters that have arrived since the last time."""
        hub = self._opened()
        row = hub.worker(fence)
        now_us = self.now_us()
        if errands.lease_seconds is not None:
            self.renew_lease(fence, errands.lease_seconds)
        census = _census(hub, row, now_us) if errands.looks_around else None
        if number <= row.fetched:
            return Work(census=census)
        row.fetched = number
        return Work(
            mail=_collect_mail(hub, row),
            claimed=_claim_instances(
                hub, row, now_us, instances, Wanted(names, passed_over), history_bytes_max
            ),
            activities=_claim_activities(hub, row, now_us, activities, Wanted(activity_names)),
            next_ready_us=hub.schedule.next_after(now_us),
            census=census,
        )

    def offer(self, fence: Fence, offer: Offer) -> Callable[[], None]:
        """Leave what is started to fetches, which cost nothing here."""
        return lambda: None

    async def take_stock(self, fence: Fence, number: int) -> None:
        """Undo a fetch, and refuse it if it is still to come."""
        hub = self._opened()
        hub.undo_fetch(hub.worker(fence), number, self.now_us())
        hub.hints.publish()

    async def commit(self, fence: Fence, items: Sequence[CommitItem]) -> CommitResult:
        """Make a batch durable, all or nothing."""
        hub = self._opened()
        result = apply_batch(hub, fence, items, self.now_us())
        hub.hints.publish()
        return result

    async def unwanted_activities(self, worker_id: str, item_ids: Sequence[int]) -> frozenset[int]:
        """Return those that the worker has no claim on."""
        row = self._opened().workers.get(worker_id)
        claimed = {} if row is None else row.activities
        return frozenset(item_id for item_id in item_ids if item_id not in claimed)

    async def read_history(
        self,
        instance_id: str,
        *,
        execution: int | None = None,
        after_turn: int = -1,
        bytes_max: int,
    ) -> HistoryPage:
        """Return rows of an execution; only the current one has any."""
        instance = self._opened().instances.get(instance_id)
        if instance is None:
            raise InstanceNotFoundError(instance_id)
        if execution not in {None, instance.execution}:
            return HistoryPage(execution=execution or 0, rows=())
        rows, more = instance.history.page(after_turn, bytes_max)
        return HistoryPage(execution=instance.execution, rows=rows, more=more)

    # -- InstanceStore

    @property
    def letters_max(self) -> int:
        """How many letters a mailbox takes from clients."""
        return self._letters_max

    async def create(self, instances: Sequence[NewInstance]) -> list[StartOutcome]:
        """Create instances, each according to its reuse policy."""
        hub = self._opened()
        now_us = self.now_us()
        outcomes = []
        for new in instances:
            outcome = hub.starts.get(new.request_id)
            if outcome is None:
                outcome = hub.create(new, now_us)
                hub.starts.put(new.request_id, outcome, now_us)
            outcomes.append(outcome)
        hub.execute_wills(now_us)
        hub.hints.publish()
        return outcomes

    async def send(self, letters: Sequence[Outgoing]) -> list[Delivery]:
        """Put letters into mailboxes."""
        hub = self._opened()
        now_us = self.now_us()
        answers = []
        for outgoing in letters:
            answer = hub.sends.get(outgoing.request_id)
            if answer is None:
                answer = hub.deliver(outgoing, now_us, self._letters_max)
                if answer is not Delivery.FULL:
                    hub.sends.put(outgoing.request_id, answer, now_us)
            answers.append(answer)
        hub.hints.publish()
        return answers

    async def read_answers(self, request_ids: Sequence[str]) -> list[bytes | None]:
        """Return the answers to requests in the order of the arguments."""
        answers = self._opened().answers
        return [answers.get(request_id) for request_id in request_ids]

    async def read_letters(self, instance_id: str, *, limit: int) -> list[Mail]:
        """Return the first letters in a mailbox."""
        instance = self._opened().instances.get(instance_id)
        return [] if instance is None else list(islice(instance.mailbox.values(), limit))

    async def read_queued(self, instance_id: str) -> dict[int, str | None]:
        """Return which activities of an instance are in the queue, and who has claimed each."""
        state = self._opened()
        instance = state.instances.get(instance_id)
        queued = {} if instance is None else instance.activities
        return {seq: state.activities[items[-1]].owner for seq, items in queued.items()}

    async def read(
        self, instance_ids: Sequence[str], *, payloads: bool
    ) -> list[InstanceRecord | None]:
        """Return instances in the order of the arguments."""
        found = self._opened().instances
        return [
            found[instance_id].record(payloads=payloads) if instance_id in found else None
            for instance_id in instance_ids
        ]

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
        return run_query(self._opened(), where, limit, page, order, payloads=payloads)

    async def read_entities(self, instance_ids: Sequence[str]) -> list[EntityRecord | None]:
        """Return entities in the order of the arguments."""
        found = (self._opened().instances.get(one) for one in instance_ids)
        return [one.entity_record() if one is not None and one.is_entity else None for one in found]

    async def query_entities(
        self, where: EntityFilter, *, limit: int, page: str | None
    ) -> EntityPage:
        """Return entities in byte order of their ids."""
        return run_entity_query(self._opened(), where, limit, page)

    async def discard_entities(self, instance_ids: Sequence[str]) -> list[str]:
        """Forget those that hold nothing."""
        return self._bury(
            instance_ids, lambda one: one.is_entity and one.state is None and not one.mailbox
        )

    async def purge(self, instance_ids: Sequence[str]) -> list[str]:
        """Delete those that have ended."""
        return self._bury(instance_ids, lambda one: one.status.is_terminal)

    async def expire(
        self, expiry: Expiry, *, limit: int, after: Place | None = None, deletes: bool = True
    ) -> Expired:
        """Delete those that ended long ago, of the next ones in order of completion."""
        found = find_expired(self._opened(), expiry, self.now_us(), limit, after)
        if deletes:
            self._bury(list(found.names), lambda one: True)
        return found

    async def rewrite(self, rewrites: Sequence[Rewrite]) -> bool:
        """Set failed instances going again, all or none."""
        hub = self._opened()
        now_us = self.now_us()
        found = {rewrite.instance_id: rewrite for rewrite in rewrites}
        if len(found) != len(rewrites) or not all(_is_as_read(hub, one) for one in rewrites):
            return False
        for rewrite in rewrites:
            _take_along(hub, hub.instances[rewrite.instance_id])
        for rewrite in rewrites:
            _rewrite(hub, hub.instances[rewrite.instance_id], rewrite, now_us)
            for outgoing in rewrite.outgoing():
                hub.deliver(outgoing, now_us, None)
        hub.hints.publish()
        return True

    async def unpark(self, instance_ids: Sequence[str]) -> list[str]:
        """Put parked instances back."""
        hub = self._opened()
        now_us = self.now_us()
        unparked = []
        for instance_id in instance_ids:
            instance = hub.instances.get(instance_id)
            if instance is not None and instance.parked is not None:
                instance.parked = None
                instance.attempts = 0
                instance.updated_at_us = now_us
                hub.make_ready(instance, now_us)
                hub.hints.changed[instance_id] = None
                unparked.append(instance_id)
        hub.hints.publish()
        return unparked

    # -- Wakeups

    @property
    def hearing(self) -> Hearing:
        """Tell that everything is heard: there is one process."""
        return Hearing.ALWAYS

    def listen(
        self,
        on_work: Callable[[], None],
        on_changed: Callable[[frozenset[str] | None], None],
        on_progress: Callable[[frozenset[str] | None], None] | None = None,
    ) -> Callable[[], None]:
        """Pass hints on, on the event loop that opened the backend."""
        hub = self._opened()
        assert self._loop is not None
        listener = Listener(self._loop, on_work, on_changed, on_progress)
        self._listeners[listener] = None
        hub.hints.add(listener)

        def stop() -> None:
            self._listeners.pop(listener, None)
            hub.hints.remove(listener)

        return stop

    # -- helpers

    def _opened(self) -> HubState:
        if self._hub is None:
            raise BackendError(f"{self.description}: not open")
        return self._hub

    def _bury(
        self, instance_ids: Sequence[str], condition: Callable[[Instance], bool]
    ) -> list[str]:
        hub = self._opened()
        now_us = self.now_us()
        buried = []
        for instance_id in instance_ids:
            instance = hub.instances.get(instance_id)
            if instance is not None and condition(instance):
                hub.bury(instance, now_us)
                buried.append(instance_id)
        hub.hints.publish()
        return buried

    def _lease_end(self, lease_seconds: float) -> int:
        return self.now_us() + round(lease_seconds * 1_000_000)


def _is_dead(row: WorkerRow, me: WorkerRow, now_us: int) -> bool:
    return row is not me and (not row.alive or row.lease_until_us <= now_us)


def _census(hub: HubState, me: WorkerRow, now_us: int) -> Census:
    rows = tuple(hub.workers.values())
    return Census(
        workers=len(rows),
        dead=sum(_is_dead(row, me, now_us) for row in rows),
        commits=sum(row.seq for row in rows),
    )


def _fence_of(row: WorkerRow) -> Fence:
    return Fence(worker_id=row.worker_id, epoch=row.epoch, seq=row.seq)


def _collect_mail(hub: HubState, row: WorkerRow) -> tuple[Mail, ...]:
    mail: list[Mail] = []
    for instance_id in row.marked:
        instance = hub.instances[instance_id]
        mail += instance.fresh.values()
        instance.fresh.clear()
    row.marked.clear()
    return tuple(mail)


def _claim_instances(
    hub: HubState,
    row: WorkerRow,
    now_us: int,
    quota: int,
    wanted: Wanted,
    history_bytes_max: int,
) -> tuple[ClaimedInstance, ...]:
    claimed: list[ClaimedInstance] = []
    while len(claimed) < quota:
        instance_id = hub.schedule.claim(now_us, wanted)
        if instance_id is None:
            break
        instance = hub.instances[instance_id]
        hub.own(instance, row)
        claimed.append(_claimed(instance, history_bytes_max))
    return tuple(claimed)


def _claimed(instance: Instance, history_bytes_max: int) -> ClaimedInstance:
    rows, more = instance.history.page(-1, history_bytes_max)
    return ClaimedInstance(
        instance_id=instance.instance_id,
        name=instance.name,
        version=instance.version,
        status=instance.status,
        execution=instance.execution,
        attempts=instance.attempts,
        start_at_us=instance.start_at_us,
        parent=instance.parent,
        history=rows,
        more_history=more,
        mail=tuple(instance.mailbox.values()),
        queued=tuple(instance.activities),
        state=instance.state,
    )


def _claim_activities(
    hub: HubState, row: WorkerRow, now_us: int, quota: int, wanted: Wanted
) -> tuple[ClaimedActivity, ...]:
    claimed: list[ClaimedActivity] = []
    while len(claimed) < quota:
        item_id = hub.activity_queue.claim(now_us, wanted)
        if item_id is None:
            break
        activity = hub.activities[item_id]
        activity.owner = row.worker_id
        activity.fetch = row.fetched
        activity.attempts = counted(activity.attempts)
        row.activities[item_id] = None
        claimed.append(
            ClaimedActivity(item_id=item_id, attempts=activity.attempts, activity=activity.activity)
        )
    return tuple(claimed)


def _is_as_read(hub: HubState, rewrite: Rewrite) -> bool:
    instance = hub.instances.get(rewrite.instance_id)
    return (
        instance is not None
        and instance.status is Status.FAILED
        and instance.execution == rewrite.execution
    )


def _take_along(hub: HubState, parent: Instance) -> None:
    for instance_id in hub.children.get(parent.instance_id, ()):
        child = hub.instances[instance_id]
        link = child.parent
        if link is not None and link.execution == parent.execution and child.status.is_terminal:
            child.parent = msgspec.structs.replace(link, execution=link.execution + 1)


def _rewrite(hub: HubState, instance: Instance, rewrite: Rewrite, now_us: int) -> None:
    hub.orphan(instance)
    hub.unlist_ended(instance)
    instance.parent = rewrite.parent
    hub.adopt(instance)
    instance.execution += 1
    instance.history = History(rewrite.events)
    instance.status = Status.RUNNING
    instance.output = instance.failure = None
    instance.updated_at_us = now_us
    hub.make_ready(instance, now_us)
    hub.hints.changed[instance.instance_id] = None
