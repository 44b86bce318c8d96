"""Faults of a store: fences, claims, mailboxes, ids. They are put into the store in memory."""

from __future__ import annotations

from typing import Any

import msgspec

from durable_async.backends.memory import backend as verbs, state
from durable_async.backends.memory.backend import MemoryBackend
from durable_async.backends.memory.commits import _Batch
from durable_async.backends.memory.requests import Remembered
from durable_async.backends.memory.rows import Instance, WorkerRow
from durable_async.backends.memory.state import HubState
from durable_async.errors import FencedError
from durable_async.model.records import (
    CommitResult,
    Fence,
    Park,
    Release,
    TurnCommit,
)

from ._planting import Patch, answers, plants


def _apply(hub: HubState, row: WorkerRow, items: Any, now_us: int) -> CommitResult:
    """Apply a batch without looking at the fence."""
    row.seq += 1
    batch = _Batch(hub, row, now_us)
    batch.run(items)
    moved = Fence(worker_id=row.worker_id, epoch=row.epoch, seq=row.seq)
    return CommitResult(fence=moved, dropped=frozenset(batch.dropped))


@plants(
    "no-fence",
    breaks="a commit is not compared with the worker's row: who was taken over writes all the same",
    rule="P1",
    caught_by="I4 I5",
    first_seed=3,
)
def _no_fence(patch: Patch) -> None:
    def apply(hub: HubState, fence: Fence, items: Any, now_us: int) -> CommitResult:
        row = hub.workers.get(fence.worker_id) or WorkerRow(
            worker_id=fence.worker_id,
            epoch=fence.epoch,
            seq=fence.seq,
            registered_at_us=now_us,
            lease_until_us=0,
            session=None,
        )
        return _apply(hub, row, items, now_us)

    def mine(batch: _Batch, instance_id: str) -> Instance | None:
        return None if instance_id in batch.dropped else batch._hub.instances.get(instance_id)

    patch.put(verbs, "apply_batch", apply)
    patch.put(_Batch, "_mine", mine)


@plants(
    "epoch-only",
    breaks="the fence has no number: what is sent again after a lost answer is applied twice",
    rule="P2",
    caught_by="I2 I4 I5",
    first_seed=3,
)
def _epoch_only(patch: Patch) -> None:
    def apply(hub: HubState, fence: Fence, items: Any, now_us: int) -> CommitResult:
        return _apply(hub, hub.worker(fence), items, now_us)

    patch.put(verbs, "apply_batch", apply)


@plants(
    "number-only",
    breaks="the fence has no epoch: any worker whose number is right may write",
    rule="P3",
    caught_by="I5",
    first_seed=0,
)
def _number_only(patch: Patch) -> None:
    def worker(hub: HubState, fence: Fence) -> WorkerRow:
        row = hub.workers.get(fence.worker_id)
        if row is not None:
            return row
        if hub.workers:  # the row of whoever is there now
            return next(iter(hub.workers.values()))
        raise FencedError(fence.worker_id)

    patch.put(HubState, "worker", worker)


@plants(
    "renewal-revives",
    breaks="a lease that has run out can be extended",
    rule="P17",
    caught_by="I5",
    first_seed=4,
)
def _renewal_revives(patch: Patch) -> None:
    def renew(store: MemoryBackend, fence: Fence, lease_seconds: float) -> None:
        store._opened().worker(fence).lease_until_us = store._lease_end(lease_seconds)

    patch.put(MemoryBackend, "renew_lease", renew)


@plants(
    "take-over-forgets",
    breaks="what a dead worker owned is freed, and not made ready for anybody",
    rule="P35",
    caught_by="I14",
    first_seed=0,
)
def _take_over_forgets(patch: Patch) -> None:
    remove = vars(HubState)["remove_worker"]

    def remove_worker(hub: HubState, row: WorkerRow, now_us: int, *, attempts_stand: bool) -> int:
        owned = list(row.owned)
        freed: int = remove(hub, row, now_us, attempts_stand=attempts_stand)
        if attempts_stand:
            for instance_id in owned:
                hub.schedule.remove(instance_id)
        return freed

    patch.put(HubState, "remove_worker", remove_worker)


@plants(
    "lost-fetches-stay",
    breaks="what was claimed with an answer that was lost stays with a worker that never heard of it",
    rule="P5",
    caught_by="I14",
    first_seed=2,
)
def _lost_fetches_stay(patch: Patch) -> None:
    def undo(hub: HubState, row: WorkerRow, number: int, now_us: int) -> None:
        row.fetched = max(row.fetched, number)

    patch.put(HubState, "undo_fetch", undo)


@plants(
    "whole-mailbox",
    breaks="a turn deletes all letters of its instance, and not those that it was given",
    rule="P3",
    caught_by="I2",
    first_seed=0,
)
def _whole_mailbox(patch: Patch) -> None:
    def take(instance: Instance, letter_ids: Any) -> None:
        if list(letter_ids):
            instance.mailbox.clear()
            instance.fresh.clear()
            instance.final.clear()

    patch.put(HubState, "take_letters", staticmethod(take))


@plants(
    "letters-stay",
    breaks="letters that were taken stay in the mailbox, and come again",
    rule="P11",
    caught_by="I2",
    first_seed=0,
)
def _letters_stay(patch: Patch) -> None:
    patch.put(HubState, "take_letters", staticmethod(answers(None)))


@plants(
    "letter-wakes-nobody",
    breaks="a letter does not make a free receiver ready",
    rule="P13",
    caught_by="I14",
    first_seed=0,
)
def _letter_wakes_nobody(patch: Patch) -> None:
    patch.put(HubState, "_wake", answers(None))


@plants(
    "letter-is-not-told",
    breaks="the owner of a receiver is not told of a letter",
    rule="P13",
    caught_by="I14",
    first_seed=1,
)
def _letter_is_not_told(patch: Patch) -> None:
    deliver = vars(HubState)["deliver"]

    def deliver_quietly(hub: HubState, outgoing: Any, now_us: int, letters_max: Any) -> Any:
        answer = deliver(hub, outgoing, now_us, letters_max)
        instance = hub.instances.get(outgoing.instance_id)
        if instance is not None and instance.owner is not None:
            hub.workers[instance.owner].marked.pop(instance.instance_id, None)
        return answer

    patch.put(HubState, "deliver", deliver_quietly)


@plants(
    "release-without-looking",
    breaks="an instance is let go without a look at letters that came meanwhile",
    rule="P13",
    caught_by="I14",
    first_seed=0,
)
def _release_without_looking(patch: Patch) -> None:
    apply = vars(_Batch)["_apply_to_owned"]

    def apply_blindly(batch: _Batch, instance: Instance, item: Any) -> None:
        if isinstance(item, Release):
            item = msgspec.structs.replace(item, seen=tuple(instance.mailbox))
        apply(batch, instance, item)

    patch.put(_Batch, "_apply_to_owned", apply_blindly)


@plants(
    "stale-letters-accepted",
    breaks="a letter for an execution that is over reaches the next one",
    rule="P22",
    caught_by="I2",
    first_seed=5,
)
def _stale_letters_accepted(patch: Patch) -> None:
    patch.put(state, "_is_meant", answers(True))


@plants(
    "letters-double",
    breaks="a letter that is sent in a commit is put into the mailbox twice",
    rule="P2",
    caught_by="I2",
    first_seed=0,
)
def _letters_double(patch: Patch) -> None:
    apply = vars(_Batch)["_apply_turn"]

    def apply_twice(batch: _Batch, turn: TurnCommit) -> None:
        before = len(batch._letters)
        apply(batch, turn)
        batch._letters += batch._letters[before:][:1]

    patch.put(_Batch, "_apply_turn", apply_twice)


@plants(
    "continue-as-new-empties",
    breaks="continue-as-new empties the mailbox, and events that nobody has waited for are lost",
    rule="P23",
    caught_by="I2 I12",
    first_seed=0,
)
def _continue_as_new_empties(patch: Patch) -> None:
    go_on = vars(_Batch)["_continue_as_new"]

    def go_on_empty(batch: _Batch, instance: Instance, following: Any) -> None:
        go_on(batch, instance, following)
        HubState.take_letters(instance, list(instance.mailbox))

    patch.put(_Batch, "_continue_as_new", go_on_empty)


@plants(
    "requests-forgotten",
    breaks="a request that is repeated is carried out again",
    rule="P21",
    caught_by="I16",
    first_seed=0,
)
def _requests_forgotten(patch: Patch) -> None:
    patch.put(Remembered, "put", answers(None))


@plants(
    "replace-keeps-execution",
    breaks="an instance that replaces another one has its execution number",
    rule="P22",
    caught_by="I3 I16",
    first_seed=3,
)
def _replace_keeps_execution(patch: Patch) -> None:
    insert = vars(HubState)["_insert"]

    def insert_again(hub: HubState, new: Any, execution: int, now_us: int) -> Instance:
        instance: Instance = insert(hub, new, max(1, execution - 1), now_us)
        return instance

    patch.put(HubState, "_insert", insert_again)


@plants(
    "no-tombstones",
    breaks="a purge leaves nothing: a later instance of the id begins at execution 1 again",
    rule="P25",
    caught_by="I16",
    first_seed=5,
)
def _no_tombstones(patch: Patch) -> None:
    def bury(hub: HubState, instance: Instance, *_when: int) -> None:
        hub.remove(instance)

    patch.put(HubState, "bury", bury)


@plants(
    "no-wills",
    breaks="what ends while it holds locks does not release them, but for its own code",
    rule="P29",
    caught_by="I2 I9 I10",
    first_seed=6,
)
def _no_wills(patch: Patch) -> None:
    patch.put(HubState, "bequeath", answers(None))


@plants(
    "attempts-not-counted",
    breaks="an attempt is not counted when it is claimed, so that nobody remembers a worker that died",
    rule="P34",
    caught_by="I17",
    first_seed=0,
)
def _attempts_not_counted(patch: Patch) -> None:
    own = vars(HubState)["own"]

    def own_uncounted(hub: HubState, instance: Instance, row: WorkerRow) -> None:
        own(hub, instance, row)
        instance.attempts -= 1

    patch.put(HubState, "own", own_uncounted)


@plants(
    "parks-neighbours",
    breaks="where one instance is parked, all that its worker owns are",
    rule="P34",
    caught_by="I17",
    first_seed=35,
)
def _parks_neighbours(patch: Patch) -> None:
    apply = vars(_Batch)["_apply_to_owned"]

    def apply_to_all(batch: _Batch, instance: Instance, item: Any) -> None:
        if not isinstance(item, Park):
            apply(batch, instance, item)
            return
        for neighbour in list(batch._row.owned):
            apply(batch, batch._hub.instances[neighbour], item)

    patch.put(_Batch, "_apply_to_owned", apply_to_all)


@plants(
    "queued-activities-survive",
    breaks="activities in the queue stay there when their instance has ended",
    rule="P27",
    caught_by="I15",
    first_seed=42,
)
def _queued_activities_survive(patch: Patch) -> None:
    patch.put(HubState, "drop_activities", answers(None))
