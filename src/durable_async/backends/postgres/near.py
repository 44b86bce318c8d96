"""What this process put into the mailboxes of its own workers and has not told them of yet.

A letter leaves a mark with its receiver's owner, so that the owner's next fetch asks for it. To mark costs the sender two writes and makes the fetch
write as well. Where the sender's process runs the owner, it remembers instead: the answer that says that the letter is there leads to a note here,
and the next fetch asks for what is noted. Which instance somebody owns, and which letters there are, is decided in the database all the same.

An answer that is lost leads to no note. Then the workers here are in doubt: their term is raised, so that nobody leaves out a mark who does not
know the new one, and what they own is marked before their next fetch.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field

from .rows import Row

_REPORTED_MAX = 10_000


@dataclass(slots=True)
class _Worker:
    """A worker of this process.

    Attributes:
        term: Under which its letters need no mark.
        is_in_doubt: Whether the database has still to be told of that term.
        news: Keys of instances with letters that no fetch has told of.
        reported: The last letter that a fetch told of, by the instance's key. What was forgotten is reported again.
    """

    term: int = 0
    is_in_doubt: bool = False
    news: dict[int, None] = field(default_factory=dict)
    reported: dict[int, int] = field(default_factory=dict)


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

    def tell(self, worker_id: str, key: int) -> None:
        """Note that a letter arrived for an instance that a worker owns."""
        worker = self._own().get(worker_id)
        if worker is not None:
            worker.news[key] = None

    def doubt(self) -> bool:
        """Note that a statement may have brought letters to anybody here; returns whether there is anybody."""
        for worker in self._own().values():
            worker.term += 1
            worker.is_in_doubt = True
        return bool(self._workers)

    def doubted(self, worker_id: str) -> int | None:
        """Return the term that the database is to be told of, if there is doubt."""
        worker = self._own().get(worker_id)
        return worker.term if worker is not None and worker.is_in_doubt else None

    def settle(self, worker_id: str, term: int) -> None:
        """Note that the database knows a term; by then there may be doubt again."""
        worker = self._own().get(worker_id)
        if worker is not None and worker.term == term:
            worker.is_in_doubt = False

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
        for key in taken:
            self.tell(worker_id, key)

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
