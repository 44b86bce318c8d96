"""A backend that keeps large payloads elsewhere, around one that keeps everything else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from durable_async.backend import Backend, Hearing, Offer
from durable_async.environment import Environment, SystemEnvironment
from durable_async.model.records import (
    CommitItem,
    CommitResult,
    Delivery,
    EntityFilter,
    EntityPage,
    EntityRecord,
    Fence,
    HistoryPage,
    HubStatistics,
    InstanceFilter,
    InstancePage,
    InstanceRecord,
    Mail,
    NewInstance,
    Outgoing,
    Rewrite,
    StartOutcome,
    Work,
)
from durable_async.model.upkeep import Expired, Expiry, Place, WorkerRecord

from .delivering import Deliveries, bounded_page
from .resolving import Offloading
from .store import PayloadStore
from .transfers import Transfers

TRANSFER_SECONDS_MAX = 60.0
CACHE_BYTES = 16 * 1024 * 1024


class OffloadingBackend:
    """Keeps payloads above a size in a payload store, and a small reference to each in the hub's own store.

    Inputs, results, events, custom statuses, outputs, and the states of entities are uploaded before the call that stores them, and
    downloaded before the engine or a client sees them: code, replay and clients have whole payloads always. What has no large payload is
    passed on as it is. Every process of a hub must use the same payload store, or it finds references in place of payloads.

    If the payload store does not answer, a commit is repeated as if the hub's store did not, and what is uploaded by then is not
    uploaded again. An instance whose payloads cannot be downloaded is tried later, and what has been sent to it stays in its mailbox; an
    instance whose payloads are lost is parked, and an activity whose input is lost fails. Clients get `BackendUnavailableError`, or
    `BackendError`.

    Payloads are never deleted: see `PayloadStore`.
    """

    def __init__(
        self,
        backend: Backend,
        store: PayloadStore,
        *,
        environment: Environment | None = None,
        transfer_seconds_max: float = TRANSFER_SECONDS_MAX,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        """Put a payload store beside a backend that is not open yet.

        Args:
            backend: The hub's own store; it is opened and closed here.
            store: Where large payloads go; whoever made it closes it.
            environment: Where time comes from; only tests change it.
            transfer_seconds_max: How long an upload or a download may take.
            cache_bytes: How many bytes of the payloads that were used last are kept in memory.
        """
        self._backend = backend
        transfers = Transfers(
            store,
            environment or SystemEnvironment(),
            seconds_max=transfer_seconds_max,
            cache_bytes=cache_bytes,
        )
        self._offloading = Offloading(transfers, store.threshold_bytes)
        self._deliveries = Deliveries(self._offloading)

    # -- the hub as a whole

    @property
    def description(self) -> str:
        """What the hub's own store is and where."""
        return self._backend.description

    @property
    def hub_name(self) -> str | None:
        """The name of the task hub, if its backend tells."""
        return getattr(self._backend, "hub_name", None)

    @property
    def letters_max(self) -> int:
        """How many letters a mailbox takes from clients."""
        return self._backend.letters_max

    @property
    def hearing(self) -> Hearing:
        """Tell how much depends on polling just now."""
        return self._backend.hearing

    async def open(self) -> None:
        """Open the hub's own store."""
        await self._backend.open()

    async def close(self) -> None:
        """Close the hub's own store."""
        await self._backend.close()

    def now_us(self) -> int:
        """Return the store's clock."""
        return self._backend.now_us()

    async def statistics(self) -> HubStatistics:
        """Count what the hub holds."""
        return await self._backend.statistics()

    async def read_workers(self) -> list[WorkerRecord]:
        """Return the workers that are registered."""
        return await self._backend.read_workers()

    def listen(
        self,
        on_work: Callable[[], None],
        on_changed: Callable[[frozenset[str] | None], None],
        on_progress: Callable[[frozenset[str] | None], None] | None = None,
    ) -> Callable[[], None]:
        """Call back when something happened elsewhere; returns how to stop."""
        return self._backend.listen(on_work, on_changed, on_progress)

    # -- workers

    async def register_worker(self, worker_id: str, lease_seconds: float) -> Fence:
        """Announce a new worker and give it a lease."""
        return await self._backend.register_worker(worker_id, lease_seconds)

    def renew_lease(self, fence: Fence, lease_seconds: float) -> None:
        """Extend the lease; no payload is in its way."""
        self._backend.renew_lease(fence, lease_seconds)

    async def retire_worker(self, fence: Fence) -> None:
        """Hand back everything the worker owns."""
        self._deliveries.forget(fence.worker_id)
        await self._backend.retire_worker(fence)

    async def withdraw(self, worker_id: str) -> None:
        """Withdraw the sign of life of a worker of this process that gave up."""
        self._deliveries.forget(worker_id)
        await self._backend.withdraw(worker_id)

    async def take_over(self, fence: Fence) -> int:
        """Free what dead workers own."""
        return await self._backend.take_over(fence)

    async def read_fence(self, worker_id: str) -> Fence:
        """Return where the worker's row stands."""
        return await self._backend.read_fence(worker_id)

    async def fetch(self, fence: Fence, *, number: int, **quotas: Any) -> Work:
        """Claim ready work and collect letters, with their payloads, as far as they can be had.

        Activities whose input cannot be had are kept back, claimed, and told of by a later fetch. Instances whose history, state or letters
        cannot be had are told of all the same: reading those fails, and the worker gives them back for later.
        """
        quotas["activities"] = self._deliveries.room(fence.worker_id, quotas["activities"])
        work = await self._backend.fetch(fence, number=number, **quotas)
        return await self._deliveries.delivered(
            work, fence.worker_id, number, quotas["history_bytes_max"]
        )

    def offer(self, fence: Fence, offer: Offer) -> Callable[[], None]:
        """Leave what is started to fetches: what was created has references in place of payloads."""
        return lambda: None

    async def take_stock(self, fence: Fence, number: int) -> None:
        """Undo the fetch of this number, whose answer was lost."""
        self._deliveries.forget(fence.worker_id, number)
        await self._backend.take_stock(fence, number)

    async def commit(self, fence: Fence, items: Sequence[CommitItem]) -> CommitResult:
        """Upload large payloads, then make a batch durable."""
        return await self._backend.commit(fence, await self._offloading.offloaded(items))

    async def unwanted_activities(self, worker_id: str, item_ids: Sequence[int]) -> frozenset[int]:
        """Return those of these queued activities that the worker has no claim on."""
        return await self._backend.unwanted_activities(worker_id, item_ids)

    async def read_history(
        self,
        instance_id: str,
        *,
        execution: int | None = None,
        after_turn: int = -1,
        bytes_max: int,
    ) -> HistoryPage:
        """Return rows of an execution; ``bytes_max`` bounds them with their payloads."""
        page = await self._backend.read_history(
            instance_id, execution=execution, after_turn=after_turn, bytes_max=bytes_max
        )
        return await self._offloading.resolved(bounded_page(page, bytes_max))

    # -- clients

    async def create(self, instances: Sequence[NewInstance]) -> list[StartOutcome]:
        """Create instances, each according to its reuse policy."""
        return await self._backend.create(await self._offloading.offloaded(instances))

    async def send(self, letters: Sequence[Outgoing]) -> list[Delivery]:
        """Put letters into mailboxes and mark the receivers ready."""
        return await self._backend.send(await self._offloading.offloaded(letters))

    async def read_answers(self, request_ids: Sequence[str]) -> list[bytes | None]:
        """Return the answers to requests in the order of the arguments."""
        return await self._offloading.resolved_bodies(await self._backend.read_answers(request_ids))

    async def read_letters(self, instance_id: str, *, limit: int) -> list[Mail]:
        """Return the letters that lie in a mailbox."""
        mail = await self._backend.read_letters(instance_id, limit=limit)
        return list(await self._offloading.resolved_each(mail))

    async def read_queued(self, instance_id: str) -> dict[int, str | None]:
        """Return which activities of an instance are in the queue, and who has claimed each."""
        return await self._backend.read_queued(instance_id)

    async def read(
        self, instance_ids: Sequence[str], *, payloads: bool
    ) -> list[InstanceRecord | None]:
        """Return instances in the order of the arguments. Without payloads, a custom status that is lost is left out, too."""
        return await self._resolved(
            await self._backend.read(instance_ids, payloads=payloads), payloads
        )

    async def query(
        self, where: InstanceFilter, *, limit: int, page: str | None, payloads: bool, **order: Any
    ) -> InstancePage:
        """Return orchestrations in order. Without payloads, a custom status that is lost is left out, too."""
        found = await self._backend.query(where, limit=limit, page=page, payloads=payloads, **order)
        items = await self._resolved(found.items, payloads)
        return msgspec.structs.replace(found, items=tuple(items))

    async def _resolved(
        self, records: Sequence[InstanceRecord | None], payloads: bool
    ) -> list[InstanceRecord | None]:
        if payloads:
            return await self._offloading.resolved_some(records)
        return await self._offloading.resolved_without_payloads(records)

    async def read_entities(self, instance_ids: Sequence[str]) -> list[EntityRecord | None]:
        """Return entities in the order of the arguments."""
        records = await self._backend.read_entities(instance_ids)
        return await self._offloading.resolved_some(records)

    async def query_entities(
        self, where: EntityFilter, *, limit: int, page: str | None
    ) -> EntityPage:
        """Return entities in byte order of their ids."""
        found = await self._backend.query_entities(where, limit=limit, page=page)
        return await self._offloading.resolved(found)

    async def discard_entities(self, instance_ids: Sequence[str]) -> list[str]:
        """Forget those entities that hold neither state nor letters."""
        return await self._backend.discard_entities(instance_ids)

    async def purge(self, instance_ids: Sequence[str]) -> list[str]:
        """Delete those that have ended; their payloads stay in the payload store."""
        return await self._backend.purge(instance_ids)

    async def expire(
        self, expiry: Expiry, *, limit: int, after: Place | None = None, deletes: bool = True
    ) -> Expired:
        """Delete those that ended long ago; their payloads stay in the payload store."""
        return await self._backend.expire(expiry, limit=limit, after=after, deletes=deletes)

    async def rewrite(self, rewrites: Sequence[Rewrite]) -> bool:
        """Set failed instances going again with another history, all or none."""
        return await self._backend.rewrite(await self._offloading.offloaded(rewrites))

    async def unpark(self, instance_ids: Sequence[str]) -> list[str]:
        """Put parked instances back."""
        return await self._backend.unpark(instance_ids)
