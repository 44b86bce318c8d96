"""Workers' verb that makes things happen: the commit, the short way where a turn comes alone, otherwise as a batch."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from durable_async.backends._rows import encode_failure
from durable_async.errors import BackendError, FencedError
from durable_async.model.records import CommitItem, CommitResult, Fence, TurnCommit
from durable_async.model.status import Status

from .batch import Batch, Place, lone_turn
from .columns import Columns, numbers, values
from .failures import is_conflict
from .leases import PostgresLeases


class PostgresCommits(PostgresLeases):
    """Commits of workers."""

    async def commit(self, fence: Fence, items: Sequence[CommitItem]) -> CommitResult:
        """Make a batch durable, all or nothing."""
        turn = lone_turn(items)
        if turn is not None and await self._commit_alone(fence, turn):
            return CommitResult(fence=_moved(fence))
        batch = Batch(items)
        try:
            return await self._commit(fence, batch)
        except BackendError as error:
            if not is_conflict(error, "history_pkey"):
                raise
        # Some turn is written already; nothing of the batch is. Find it, and write the others.
        return await self._commit(fence, Batch(items, await self._written(fence, batch.places())))

    async def _commit_alone(self, fence: Fence, turn: TurnCommit) -> bool:
        """Commit a turn by a statement for such turns; returns whether it did. Why not is for ``commit_batch`` to find."""
        about = (self._hub, fence.worker_id, fence.epoch, fence.seq)
        row = (turn.instance_id, turn.execution, turn.turn, turn.events)
        try:
            if turn.status is None:
                return bool(await self._on(self._commits.run, "append_turn", about + row))
            return await self._show(turn, turn.status, about + row)
        except BackendError as error:
            if not is_conflict(error, "history_pkey"):
                raise
            return False

    async def _show(self, turn: TurnCommit, status: Status, values: tuple[Any, ...]) -> bool:
        """Append a turn that shows a status; returns whether it did."""
        is_end = status.is_terminal
        shown = (status.value, is_end, turn.output, encode_failure(turn.failure))
        [row] = await self._on(self._commits.run, "show_turn", values + shown)
        if not row["shown"]:
            return False
        about = {turn.instance_id}
        self._ears.give(
            row["brought_work"],
            about if is_end else set(),
            progress=set() if is_end else about,
        )
        return True

    async def _commit(self, fence: Fence, batch: Batch) -> CommitResult:
        [row] = await self._put(
            self._commits.run,
            "commit_batch",
            (
                self._hub,
                fence.worker_id,
                fence.epoch,
                fence.seq,
                *self._near.terms(),
                *batch.parameters(),
            ),
            lambda rows: self._near.tell(
                zip(rows[0]["near_worker"] or (), rows[0]["near_key"] or (), strict=True)
            ),
        )
        if row["fenced"]:
            # Perhaps only by its own first attempt, whose answer was lost: then the worker stands, and is not to be forgotten here.
            raise FencedError(fence.worker_id)
        dropped = batch.dropped.union(batch.subjects(row["dropped"] or ()))
        self._ears.give(row["brought_work"], batch.changed, batch.states, batch.progress)
        return CommitResult(
            fence=_moved(fence),
            dropped=frozenset(dropped),
        )

    async def _written(self, fence: Fence, places: Sequence[Place]) -> Collection[Place]:
        columns = Columns((values, numbers, numbers), places)
        rows = await self._on(
            self._commits.run, "written_turns", (self._hub, fence.worker_id, *columns.parameters())
        )
        return {(row["id"], row["execution"], row["turn"]) for row in rows}


def _moved(fence: Fence) -> Fence:
    return Fence(worker_id=fence.worker_id, epoch=fence.epoch, seq=fence.seq + 1)
