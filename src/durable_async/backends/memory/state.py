"""One task hub: its rows, its indexes, and the small operations that every verb is made of."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable

from durable_async.backends._rows import REQUESTS_KEPT_US, TOMBSTONES_KEPT_US
from durable_async.errors import FencedError
from durable_async.model.policy import ReusePolicy
from durable_async.model.records import (
    NO_WILL,
    Answer,
    Delivery,
    Fence,
    Mail,
    NewInstance,
    Outgoing,
    QueuedActivity,
    StartOutcome,
    uncounted,
)
from durable_async.model.status import Status

from .hints import Hints
from .requests import Remembered
from .rows import ActivityRow, History, Instance, WorkerRow, counted
from .schedule import ANY_KIND, Schedule


class HubState:
    """Everything that one hub holds.

    Invariants: an instance is in ``schedule`` only while it is free, going, and either not parked or about to end; an owner's row exists and lists what it
    owns; ``order`` holds every orchestration once, ``ended`` each that has ended, ``entities`` every entity; ``tombstones`` holds ids that have no instance.
    """

    def __init__(self) -> None:
        self.instances: dict[str, Instance] = {}
        self.order: list[tuple[int, str]] = []
        self.ended: list[tuple[int, str]] = []
        self.entities: list[str] = []
        self.children: dict[str, dict[str, None]] = {}
        self.tombstones: Remembered[int] = Remembered(TOMBSTONES_KEPT_US)
        self.schedule: Schedule[str] = Schedule()
        self.workers: dict[str, WorkerRow] = {}
        self.activities: dict[int, ActivityRow] = {}
        self.activity_queue: Schedule[int] = Schedule()
        self.starts: Remembered[StartOutcome] = Remembered(REQUESTS_KEPT_US)
        self.sends: Remembered[Delivery] = Remembered(REQUESTS_KEPT_US)
        self.answers: Remembered[bytes] = Remembered(REQUESTS_KEPT_US)
        self.hints = Hints()
        self._bequests: list[Outgoing] = []
        self._last_epoch = 0
        self._last_letter = 0
        self._last_item = 0

    # -- workers

    def add_worker(
        self, worker_id: str, now_us: int, lease_until_us: int, session: object
    ) -> WorkerRow:
        """Register a worker at an epoch that no worker had before."""
        if worker_id in self.workers:
            raise FencedError(worker_id)
        self._last_epoch += 1
        row = WorkerRow(
            worker_id=worker_id,
            epoch=self._last_epoch,
            seq=0,
            registered_at_us=now_us,
            lease_until_us=lease_until_us,
            session=session,
        )
        self.workers[worker_id] = row
        return row

    def worker(self, fence: Fence) -> WorkerRow:
        """Return the row that a fence speaks for; ``FencedError`` if its epoch is over."""
        row = self.workers.get(fence.worker_id)
        if row is None or row.epoch != fence.epoch:
            raise FencedError(fence.worker_id)
        return row

    def remove_worker(self, row: WorkerRow, now_us: int, *, attempts_stand: bool) -> int:
        """Free everything that a worker owns, ready now, and forget it; return the number of instances."""
        freed = list(row.owned)
        left = _as_it_is if attempts_stand else _one_less
        self._hand_back(freed, row.activities, now_us, left)
        del self.workers[row.worker_id]
        return len(freed)

    def undo_fetch(self, row: WorkerRow, number: int, now_us: int) -> None:
        """Hand back what was claimed in a fetch, and mark what has letters; it cannot come any more."""
        row.fetched = max(row.fetched, number)
        unheard = [one for one in row.owned if self.instances[one].fetch == number]
        items = [one for one in row.activities if self.activities[one].fetch == number]
        self._hand_back(unheard, items, now_us, uncounted)
        for item_id in items:
            del row.activities[item_id]
        for instance_id in row.owned:
            instance = self.instances[instance_id]
            if instance.mailbox:
                instance.fresh = dict(instance.mailbox)
                row.marked[instance_id] = None
                self.hints.work = True

    def _hand_back(
        self,
        instance_ids: Iterable[str],
        item_ids: Iterable[int],
        now_us: int,
        left: Callable[[int], int],
    ) -> None:
        for instance_id in sorted(instance_ids):
            instance = self.instances[instance_id]
            instance.attempts = left(instance.attempts)
            self.free(instance, now_us)
        for item_id in item_ids:
            activity = self.activities[item_id]
            activity.attempts = left(activity.attempts)
            self.give_back(activity)

    # -- owning and letting go

    def own(self, instance: Instance, row: WorkerRow) -> None:
        """Give a free instance to a worker, and count the attempt, if it is one of the first."""
        instance.owner = row.worker_id
        instance.fetch = row.fetched
        instance.attempts = counted(instance.attempts)
        instance.hold_until_us = 0
        instance.parked = None
        instance.fresh.clear()
        row.owned[instance.instance_id] = None

    def free(self, instance: Instance, ready_at_us: int | None) -> None:
        """Take an instance from its owner, if it has one, and schedule it."""
        self.disown(instance)
        self.make_ready(instance, ready_at_us)

    def disown(self, instance: Instance) -> None:
        """Take an instance from its owner, if it has one."""
        if instance.owner is not None:
            row = self.workers[instance.owner]
            row.owned.pop(instance.instance_id)
            row.marked.pop(instance.instance_id, None)
            instance.owner = None

    def make_ready(self, instance: Instance, at_us: int | None) -> None:
        """Schedule a free instance at a time, or for no time."""
        if at_us is None:
            self.schedule.remove(instance.instance_id)
        else:
            kind = ANY_KIND if instance.final else (instance.name, instance.version or "")
            self.schedule.put(instance.instance_id, kind, at_us)
            self.hints.work = True

    # -- letters

    def deliver(self, outgoing: Outgoing, now_us: int, letters_max: int | None) -> Delivery:
        """Put a letter into a mailbox and mark the receiver ready."""
        instance = self.instances.get(outgoing.instance_id)
        if instance is None and outgoing.opens is not None:
            instance = self._open_entity(outgoing.instance_id, outgoing.opens, now_us)
        if instance is None or not _is_meant(outgoing, instance):
            return Delivery.NOT_FOUND
        if instance.status.is_terminal:
            return Delivery.TERMINAL
        is_first_final = outgoing.final and not instance.final
        is_full = letters_max is not None and len(instance.mailbox) >= letters_max
        if is_full and not is_first_final:
            return Delivery.FULL
        self._last_letter += 1
        mail = Mail(
            id=self._last_letter,
            instance_id=instance.instance_id,
            execution=outgoing.execution,
            letter=outgoing.letter,
        )
        instance.mailbox[mail.id] = mail
        if outgoing.final:
            instance.final.add(mail.id)
        self.hints.work = True
        if instance.owner is not None:
            instance.fresh[mail.id] = mail
            self.workers[instance.owner].marked[instance.instance_id] = None
        elif outgoing.final:
            self._wake(instance, now_us)
        elif instance.parked is None:
            start_at_us = 0 if outgoing.urgent else instance.start_at_us
            self._wake(instance, max(now_us, instance.hold_until_us, start_at_us))
        return Delivery.DELIVERED

    def _wake(self, instance: Instance, at_us: int) -> None:
        known = self.schedule.time_of(instance.instance_id)
        self.make_ready(instance, at_us if known is None else min(known, at_us))

    @staticmethod
    def take_letters(instance: Instance, letter_ids: Iterable[int]) -> None:
        """Delete letters of this instance."""
        for letter_id in letter_ids:
            instance.mailbox.pop(letter_id, None)
            instance.fresh.pop(letter_id, None)
            instance.final.discard(letter_id)

    # -- answers and wills

    def answer(self, answer: Answer, now_us: int) -> None:
        """Keep an answer to a request; the first one stands."""
        if self.answers.get(answer.request_id) is None:
            self.answers.put(answer.request_id, answer.answer, now_us)
            self.hints.changed[answer.request_id] = None

    def bequeath(self, instance: Instance) -> None:
        """Let an instance's will be executed: it ends."""
        will, instance.will = instance.will, NO_WILL
        self._bequests += [
            Outgoing(instance_id=receiver, execution=None, letter=will.letter)
            for receiver in will.receivers
        ]

    def execute_wills(self, now_us: int) -> None:
        """Send what those have left that ended since the last time."""
        bequests, self._bequests = self._bequests, []
        for outgoing in bequests:
            self.deliver(outgoing, now_us, None)

    # -- instances

    def create(self, new: NewInstance, now_us: int) -> StartOutcome:
        """Create an instance, according to its reuse policy if the id is taken."""
        existing = self.instances.get(new.instance_id)
        if existing is None:
            execution = (self.tombstones.pop(new.instance_id) or 0) + 1
        elif _may_replace(new.reuse, existing):
            execution = existing.execution + 1
            self.bequeath(existing)
            self.remove(existing)
        else:
            return StartOutcome(created=False, status=existing.status, execution=existing.execution)
        instance = self._insert(new, execution, now_us)
        return StartOutcome(created=True, status=instance.status, execution=execution)

    def _insert(self, new: NewInstance, execution: int, now_us: int) -> Instance:
        instance = Instance(
            instance_id=new.instance_id,
            name=new.name,
            version=new.version,
            execution=execution,
            history=History(new.events),
            created_at_us=new.created_at_us,
            updated_at_us=now_us,
            start_at_us=new.start_at_us,
            tags=dict(new.tags),
            parent=new.parent,
        )
        self.instances[new.instance_id] = instance
        insort(self.order, instance.sort_key)
        self.adopt(instance)
        self.make_ready(instance, max(now_us, new.start_at_us))
        return instance

    def _open_entity(self, entity_id: str, name: str, now_us: int) -> Instance:
        instance = Instance(
            instance_id=entity_id,
            name=name,
            version=None,
            execution=(self.tombstones.pop(entity_id) or 0) + 1,
            history=History(),
            created_at_us=now_us,
            updated_at_us=now_us,
            start_at_us=0,
            tags={},
            parent=None,
            status=Status.RUNNING,
        )
        self.instances[entity_id] = instance
        insort(self.entities, entity_id)
        return instance

    def bury(self, instance: Instance, now_us: int) -> None:
        """Delete an instance, so that a later one of its id goes on at the next execution."""
        self.remove(instance)
        self.tombstones.put(instance.instance_id, instance.execution, now_us)

    def forget_old(self, now_us: int) -> None:
        """Let go of what was remembered for long enough."""
        for remembered in (self.starts, self.sends, self.answers, self.tombstones):
            remembered.forget(now_us)

    def remove(self, instance: Instance) -> None:
        """Delete an instance with all that belongs to it."""
        self.disown(instance)
        self.schedule.remove(instance.instance_id)
        self.drop_activities(instance)
        self.orphan(instance)
        if instance.is_entity:
            del self.entities[bisect_left(self.entities, instance.instance_id)]
        else:
            del self.order[bisect_left(self.order, instance.sort_key)]
        self.unlist_ended(instance)
        del self.instances[instance.instance_id]
        self.hints.changed[instance.instance_id] = None

    def list_ended(self, instance: Instance, now_us: int) -> None:
        """Note when an instance ended."""
        self.unlist_ended(instance)
        instance.completed_at_us = now_us
        insort(self.ended, (now_us, instance.instance_id))

    def unlist_ended(self, instance: Instance) -> None:
        """Note that an instance is gone, or goes on after all."""
        if instance.completed_at_us is not None:
            place = (instance.completed_at_us, instance.instance_id)
            del self.ended[bisect_left(self.ended, place)]
            instance.completed_at_us = None

    def adopt(self, instance: Instance) -> None:
        """Index an instance under its parent."""
        if instance.parent is not None:
            siblings = self.children.setdefault(instance.parent.instance_id, {})
            siblings[instance.instance_id] = None

    def orphan(self, instance: Instance) -> None:
        """Take an instance out of its parent's index."""
        if instance.parent is not None:
            siblings = self.children[instance.parent.instance_id]
            del siblings[instance.instance_id]
            if not siblings:
                del self.children[instance.parent.instance_id]

    # -- activities

    def queue(self, activity: QueuedActivity, instance: Instance) -> None:
        """Put an activity into the queue."""
        self._last_item += 1
        row = ActivityRow(item_id=self._last_item, activity=activity)
        self.activities[row.item_id] = row
        instance.activities.setdefault(activity.seq, []).append(row.item_id)
        self.give_back(row)

    def give_back(self, row: ActivityRow) -> None:
        """Put a queued activity where every worker may claim it."""
        row.owner = None
        self.activity_queue.put(row.item_id, (row.activity.name, ""), 0)
        self.hints.work = True

    def drop_activity(self, row: ActivityRow) -> None:
        """Delete a queued activity, whoever claimed it."""
        instance = self.instances[row.activity.instance_id]
        items = instance.activities[row.activity.seq]
        items.remove(row.item_id)
        if not items:
            del instance.activities[row.activity.seq]
        self._forget_item(row.item_id)

    def cancel_activities(self, instance: Instance, seq: int) -> None:
        """Delete an instance's queued activities under a sequence number."""
        for item_id in instance.activities.pop(seq, ()):
            self._forget_item(item_id)

    def drop_activities(self, instance: Instance) -> None:
        """Delete all queued activities of an instance."""
        for seq in list(instance.activities):
            self.cancel_activities(instance, seq)

    def _forget_item(self, item_id: int) -> None:
        row = self.activities.pop(item_id)
        self.activity_queue.remove(item_id)
        if row.owner is not None:
            self.workers[row.owner].activities.pop(item_id)
            self.hints.work = True  # whoever runs it is to stop


def _as_it_is(attempts: int) -> int:
    return attempts


def _one_less(attempts: int) -> int:
    return max(0, attempts - 1)


def _is_meant(outgoing: Outgoing, instance: Instance) -> bool:
    if outgoing.execution not in {None, instance.execution}:
        return False
    wanted, parent = outgoing.parent, instance.parent
    return wanted is None or (parent is not None and parent.is_same_operation(wanted))


def _may_replace(policy: ReusePolicy, existing: Instance) -> bool:
    match policy:
        case ReusePolicy.REPLACE:
            return not existing.is_entity
        case ReusePolicy.REPLACE_TERMINAL:
            return existing.status.is_terminal
        case ReusePolicy.REJECT | ReusePolicy.RETURN_EXISTING:
            return False
