"""The committer: one per worker. While a commit is on its way, the next batch gathers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Sequence
from itertools import takewhile

import anyio
import msgspec

from durable_async.backend import Backend
from durable_async.environment import Environment
from durable_async.errors import BackendError, BackendUnavailableError, FencedError
from durable_async.model.records import (
    Abandon,
    CommitItem,
    CommitResult,
    Fence,
    InstanceRecord,
    Release,
    TurnCommit,
)

from ._bell import Bell
from ._parking import park
from ._patience import Patience
from .settings import WorkerSettings

ITEM_BYTES = 64
"""What an item counts for in a batch's bytes, besides its events and state."""


LONERS_MAX = 10_000
"""So many are remembered; one that was forgotten is found again."""


class Entry(msgspec.Struct, eq=False):
    """An item on its way.

    Attributes:
        done: Called after it is durable, or with ``True`` if it was dropped and nothing of it happened.
        instance_id: Which instance it is about; nothing if it is about an activity in the queue.
        turn_of: The same if it is a turn, which may be dropped.
        group: The group that it belongs to; 0 for none.
        size: Its share of a batch's bytes, about.
    """

    item: CommitItem
    done: Callable[[bool], None]
    instance_id: str
    turn_of: str | None = None
    group: int = 0
    size: int = ITEM_BYTES


class Committer:
    """Commits what is submitted, in order, in batches; owns the fence.

    Nothing that was submitted has happened before its ``done`` was called. An unknown outcome is resolved by reading the fence
    back: moved by one, the batch landed, and the instances tell which turns were left out; unmoved, it is sent again; anything
    else, the worker was fenced.

    Attributes:
        fence: Where it stands.
        commits: How many there were.
        loners: Instances whose turns could not be stored together with others'.

    Args:
        tell: Told what was committed, and when that began, if anybody listens.
    """

    def __init__(
        self,
        backend: Backend,
        environment: Environment,
        settings: WorkerSettings,
        fence: Fence,
        tell: Callable[[Sequence[CommitItem], float], None] | None = None,
    ) -> None:
        self.fence = fence
        self.commits = 0
        self.loners: set[str] = set()
        self._backend = backend
        self._environment = environment
        self._settings = settings
        self._tell = tell
        self._waiting: deque[Entry] = deque()
        self._bell = Bell()
        self._busy = False

    @property
    def is_idle(self) -> bool:
        """Whether everything that was submitted has been answered."""
        return not self._waiting and not self._busy

    @property
    def waiting(self) -> int:
        """How many items are in line for the next commit."""
        return len(self._waiting)

    def submit(self, item: CommitItem, done: Callable[[bool], None]) -> None:
        """Put an item into the next batch that has room; bounded by the callers, who submit one item an instance at a time.

        The items of a group are submitted one right after the other, and come into one batch.
        """
        if isinstance(item, TurnCommit):
            instance_id = item.instance_id
            size = ITEM_BYTES + len(item.events) + len(item.state or b"")
            entry = Entry(item, done, instance_id, instance_id, item.group, size)
        else:
            entry = Entry(item, done, getattr(item, "instance_id", ""))
        if not self._waiting:
            self._bell.ring()
        self._waiting.append(entry)

    async def run(self) -> None:
        """Commit until cancelled.

        Raises:
            FencedError: Another worker took over; nothing of the last batch was written.
        """
        while True:
            if not self._waiting:
                await self._bell.wait()
            batch = self._next_batch()
            self._busy = True
            try:
                await self._commit(batch)
            finally:
                self._busy = False

    def _next_batch(self) -> list[Entry]:
        waiting, bytes_max = self._waiting, self._settings.batch_bytes_max
        batch: list[Entry] = []
        about: set[str] = set()
        size = 0
        while waiting and len(batch) < self._settings.batch_turns_max:
            first = waiting[0]
            unit = self._group_of(first) if first.group else (first,)
            # One that was replaced may have a turn of its former life on its way: what is left out of that must not take this along.
            clashes = first.turn_of in about or (first.group and _has_turn_of(unit, about))
            if batch and (clashes or size + first.size > bytes_max):
                break
            for entry in unit:
                waiting.popleft()
                about.add(entry.instance_id)
                size += entry.size
            batch += unit
        return batch

    def _group_of(self, first: Entry) -> list[Entry]:
        """Return those that come next and cannot be parted."""
        return list(takewhile(lambda entry: entry.group == first.group, self._waiting))

    async def _commit(self, batch: Sequence[Entry]) -> None:
        try:
            result = await self._send([entry.item for entry in batch])
        except FencedError:
            raise
        except BackendError as error:
            if error.retryable:
                raise
            await self._bisect(batch, error)
            return
        dropped = result.dropped
        for entry in batch:
            entry.done(entry.turn_of in dropped)

    async def _bisect(self, batch: Sequence[Entry], error: BackendError) -> None:
        """Find the item that cannot be written; it is left out and its instance parked, the rest is committed."""
        middle = _middle(batch)
        if middle:
            await self._commit(batch[:middle])
            await self._commit(batch[middle:])
            return
        if len(batch) > 1:
            if len(self.loners) >= LONERS_MAX:
                self.loners.clear()
            for entry in batch:  # one of a group: the next time, each has its turn for itself
                self.loners.add(entry.item.instance_id)  # type: ignore[union-attr]
                entry.done(True)
            return
        (entry,) = batch
        if isinstance(entry.item, (TurnCommit, Release, Abandon)):
            reason = f"its turn cannot be stored: {error}"
            parked = park(entry.item.instance_id, entry.item.execution, reason)
            await self._send([parked])
        entry.done(True)

    async def _send(self, items: Sequence[CommitItem]) -> CommitResult:
        patience: Patience | None = None  # only a store that does not answer asks for any
        begun_at = 0.0 if self._tell is None else self._environment.monotonic()
        while True:
            fence = self.fence
            result: CommitResult | None = None
            try:
                with anyio.CancelScope(shield=True):  # a commit is never cancelled
                    result = await self._backend.commit(fence, items)
            except BackendUnavailableError:
                result = await self._look_up(fence, items)
            except FencedError:
                # An attempt before may have been on its way still when the fence was read, and may have moved it since.
                result = await self._look_up(fence, items) if patience is not None else None
                if result is None:
                    raise
            if result is not None:
                self.fence = result.fence
                self.commits += 1
                if self._tell is not None:
                    self._tell(items, begun_at)
                return result
            patience = patience or Patience(self._environment)
            await patience.pause()

    async def _look_up(self, fence: Fence, items: Sequence[CommitItem]) -> CommitResult | None:
        """Read the fence back: what the lost answer told, or ``None`` if the batch has not landed."""
        found = await self._read_fence(fence)
        if found.seq == fence.seq:
            return None
        if found.seq != fence.seq + 1:
            raise FencedError(fence.worker_id)
        return CommitResult(fence=found, dropped=await self._find_dropped(items))

    async def _find_dropped(self, items: Sequence[CommitItem]) -> frozenset[str]:
        """Find what the lost answer told: the instances that are not as their turns left them."""
        turns = {item.instance_id: item for item in items if isinstance(item, TurnCommit)}
        if not turns:
            return frozenset()
        patience = Patience(self._environment)
        while True:
            try:
                records = await self._backend.read(list(turns), payloads=False)
            except BackendUnavailableError:
                await patience.pause()
                continue
            moved = {
                turn.instance_id
                for turn, record in zip(turns.values(), records, strict=True)
                if record is None or not _is_as_left(record, turn, self.fence.worker_id)
            }
            return _with_their_groups(moved, turns.values())

    async def _read_fence(self, fence: Fence) -> Fence:
        """Ask where the fence stands until the store answers; the lease bounds how long that is of use."""
        patience = Patience(self._environment)
        while True:
            try:
                found = await self._backend.read_fence(fence.worker_id)
            except BackendUnavailableError:
                await patience.pause()
                continue
            if found.epoch != fence.epoch:
                raise FencedError(fence.worker_id)
            return found


def _has_turn_of(unit: Sequence[Entry], instance_ids: Collection[str]) -> bool:
    """Tell whether one of these instances has a turn in it."""
    return any(entry.turn_of in instance_ids for entry in unit)


def _middle(batch: Sequence[Entry]) -> int:
    """Return where to cut a batch in two, so that no group is; 0 if that cannot be."""
    cuts = [
        at
        for at in range(1, len(batch))
        if not batch[at].group or batch[at].group != batch[at - 1].group
    ]
    return min(cuts, key=lambda at: abs(2 * at - len(batch)), default=0)


def _with_their_groups(ids: set[str], turns: Collection[TurnCommit]) -> frozenset[str]:
    groups = {turn.group for turn in turns if turn.group and turn.instance_id in ids}
    return frozenset(ids) | {turn.instance_id for turn in turns if turn.group in groups}


def _is_as_left(record: InstanceRecord, turn: TurnCommit, worker_id: str) -> bool:
    """Tell whether an instance stands where a turn of this worker left it: replaced, it has moved on."""
    if record.execution != turn.execution + (turn.next_execution is not None):
        return False
    ends = turn.status is not None and turn.status.is_terminal
    return record.status is turn.status if ends else record.owner == worker_id
