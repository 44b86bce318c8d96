"""What this process put into the mailboxes of its own workers and has not told them of yet.

A letter leaves a mark with its receiver's owner, so that the owner's next fetch asks for it. To mark costs the sender two writes and makes the fetch
write as well. Where the sender's process runs the owner, it remembers instead: the answer that says that the letter is there leads to a note here,
and the next fetch asks for what is noted. Which instance somebody owns, and which letters there are, is decided in the database all the same.

An answer that is lost leads to no note. Then the workers here are in doubt: their term is raised, so that nobody leaves out a mark who does not
know the new one, and what they own is marked before their next fetch.

What is started here can be a worker's of this process from the beginning, if it offers to take it: it is claimed where it is created, under a number that
counts down as fetches count up, and handed over with the answer. After a lost answer the number is told to the database together with
the new term, and what was claimed under it is given back.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from durable_async.backend import Offer
from durable_async.model.records import Fence, NewInstance

from .rows import Row

_REPORTED_MAX = 10_000


class Taking(NamedTuple):
    """What a worker of this process is to own of a call's instances, if they are new.

    Attributes:
        number: Stands for the call, below zero.
        taken: For each instance, in their order, whether it is one.
    """

    worker_id: str
    epoch: int
    term: int
    number: int
    taken: Sequence[bool]


NO_TAKING = (None, None, None, None, None)
"""The parameters of a call of which nothing is taken."""


class Doubt(NamedTuple):
    """What the database is to be told when answers were lost.

    Attributes:
        term: From which on is heard what is said.
        lost: Numbers of calls that may have taken something.
    """

    term: int
    lost: tuple[int, ...]


@dataclass(slots=True)
class _Worker:
    """A worker of this process.

    Attributes:
        term: Under which its letters need no mark.
        is_in_doubt: Whether the database has still to be told of that term.
        news: Keys of instances with letters that no fetch has told of.
        reported: The last letter that a fetch told of, by the instance's key. What was forgotten is reported again.
        offer: What it offers to take of what is started here, if it does.
        epoch: That of its fence, with the offer.
        takings: How many calls there were of which it was to take something.
        lost: Numbers of those whose answer was lost.
    """

    term: int = 0
    is_in_doubt: bool = False
    news: dict[int, None] = field(default_factory=dict)
    reported: dict[int, int] = field(default_factory=dict)
    offer: Offer | None = None
    epoch: int = 0
    takings: int = 0
    lost: set[int] = field(default_factory=set)


class Near:
    """The workers that were registered here. In a forked child there are none."""

    def __init__(self) -> None:
        self._workers: dict[str, _Worker] = {}
        self._pid = os.getpid()

    def add(self, worker_id: str) -> None:
        """Take in a worker that has just been registered."""
        self._own()[worker_id] = _Worker()

    def forget(self, worker_id: str) -> None:
        """Leave a worker to itself: it has retired or was taken over."""
        self._own().pop(worker_id, None)

    def clear(self) -> None:
        """Forget all."""
        self._workers.clear()

    def terms(self) -> tuple[list[str] | None, list[int] | None]:
        """Return the workers and their terms as two parameters."""
        workers = self._own()
        if not workers:
            return None, None
        return list(workers), [worker.term for worker in workers.values()]

    # -- what a statement brought

    def tell(self, letters: Iterable[tuple[str, int]]) -> bool:
        """Note for which instances, by their keys, that are a worker's, letters arrived; returns whether there are any."""
        workers = self._own()
        told = False
        for worker_id, key in letters:
            told = True
            worker = workers.get(worker_id)
            if worker is not None:
                worker.news[key] = None
        return told

    def doubt(self) -> bool:
        """Note that a statement may have brought letters to anybody here; returns whether there is anybody."""
        for worker in self._own().values():
            worker.term += 1
            worker.is_in_doubt = True
        return bool(self._workers)

    def doubted(self, worker_id: str) -> Doubt | None:
        """Return what the database is to be told of, if there is doubt."""
        worker = self._own().get(worker_id)
        if worker is None or not worker.is_in_doubt:
            return None
        return Doubt(worker.term, tuple(worker.lost))

    def settle(self, worker_id: str, doubt: Doubt) -> None:
        """Note that the database knows; by then there may be doubt again."""
        worker = self._own().get(worker_id)
        if worker is None:
            return
        worker.lost.difference_update(doubt.lost)
        if worker.term == doubt.term:
            worker.is_in_doubt = False

    # -- starts

    def offer(self, fence: Fence, offer: Offer) -> None:
        """Note what a worker offers to take of what is started here."""
        worker = self._own().get(fence.worker_id)
        if worker is not None:
            worker.offer, worker.epoch = offer, fence.epoch

    def take_back(self, worker_id: str) -> None:
        """Have nothing taken for a worker any more."""
        worker = self._own().get(worker_id)
        if worker is not None:
            worker.offer = None

    def taking(self, instances: Sequence[NewInstance]) -> Taking | None:
        """Return what is to be taken of instances that are about to be created. While there is doubt, and news would be missed, nothing is."""
        for worker_id, worker in self._own().items():
            if worker.offer is None or worker.is_in_doubt:
                continue
            taken = worker.offer.choose(instances)
            if any(taken):
                worker.takings += 1
                return Taking(worker_id, worker.epoch, worker.term, -worker.takings, taken)
        return None

    def lose(self, taking: Taking) -> None:
        """Note that it is not known whether something was taken; there is doubt, or will be."""
        worker = self._own().get(taking.worker_id)
        if worker is not None:
            worker.lost.add(taking.number)

    def hand_over(self, worker_id: str, keys: Iterable[int]) -> tuple[Offer, bool] | None:
        """Return who takes what was taken, and whether he has been told of all else that was known here; ``None`` if he is gone.

        A letter to what was taken may have been told of, before anybody here knew what that is: then it is told of again.
        """
        worker = self._own().get(worker_id)
        if worker is None or worker.offer is None:
            return None
        for key in keys:
            if worker.reported.pop(key, None) is not None:
                worker.news[key] = None
        return worker.offer, not (worker.news or worker.is_in_doubt)

    # -- fetches

    def has_news(self, worker_id: str) -> bool:
        """Tell whether a fetch would find something noted here."""
        worker = self._own().get(worker_id)
        return worker is not None and bool(worker.news)

    def take(self, worker_id: str) -> dict[int, int]:
        """Take out what a fetch is to ask for: the last letter reported, by the instance's key."""
        worker = self._own().get(worker_id)
        if worker is None:
            return {}
        news, worker.news = worker.news, {}
        return {key: worker.reported.get(key, 0) for key in news}

    def put_back(self, worker_id: str, taken: Iterable[int]) -> None:
        """Put back what a fetch was to ask for that failed."""
        self.tell([(worker_id, key) for key in taken])

    def report(self, worker_id: str, letters: Iterable[Row]) -> None:
        """Note which letters a fetch has told of; all that came before them, it or an earlier one has."""
        worker = self._own().get(worker_id)
        if worker is None:
            return
        reported = worker.reported
        for row in letters:
            reported.pop(row["key"], None)  # the latest come last
            reported[row["key"]] = row["n"]
        while len(reported) > _REPORTED_MAX:
            del reported[next(iter(reported))]

    def forget_reports(self, worker_id: str) -> None:
        """Have everything reported again: an answer did not reach the worker."""
        worker = self._own().get(worker_id)
        if worker is not None:
            worker.reported.clear()

    def _own(self) -> dict[str, _Worker]:
        if self._pid != os.getpid():
            self._workers.clear()  # they are the parent's, which would never hear
            self._pid = os.getpid()
        return self._workers
