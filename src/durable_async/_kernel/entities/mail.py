"""The letters of one entity in memory: which are here, and which were taken."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import msgspec

from durable_async.model.history import Letter


class Waiting(msgspec.Struct, eq=False):
    """A letter that no turn has taken yet.

    Attributes:
        mail_id: Its id in the store; below 0 if it was passed on here and is not there.
        retried: Whether it is an operation that was parked before; then it is in the snapshot, and nobody waits for it.
        withdrawn: Whether it is to be skipped where it stands.
    """

    mail_id: int
    letter: Letter
    retried: bool = False
    withdrawn: bool = False


class EntityMail:
    """Letters by their ids: in the store above 0, below 0 those that were passed on here.

    Attributes:
        arrived: What has arrived and is not put in line yet.
    """

    __slots__ = ("_consumed", "_ids", "_passed_on", "arrived")

    def __init__(self) -> None:
        self.arrived: deque[Waiting] = deque()
        self._ids: set[int] = set()
        self._consumed: list[int] = []
        self._passed_on: dict[int, Waiting] = {}

    def put(self, mail_id: int, letter: Letter) -> bool:
        """Add a letter; ``False`` if it is here already."""
        if mail_id in self._ids:
            return False
        self._ids.add(mail_id)
        waiting = Waiting(mail_id, letter)
        if mail_id < 0:
            self._passed_on[mail_id] = waiting
        self.arrived.append(waiting)
        return True

    def withdraw(self, mail_id: int) -> Waiting | None:
        """Take back a letter that was passed on, and return it; ``None`` if a turn has taken it."""
        waiting = self._passed_on.pop(mail_id, None)
        if waiting is not None:
            waiting.withdrawn = True
            self._ids.discard(mail_id)
        return waiting

    def consume(self, waiting: Waiting) -> None:
        """Count a letter as done with; its row may be deleted with the turn."""
        self._consumed.append(waiting.mail_id)
        self._passed_on.pop(waiting.mail_id, None)

    def drain_consumed(self) -> tuple[int, ...]:
        """Return the ids consumed since the last call."""
        consumed, self._consumed = tuple(self._consumed), []
        return consumed

    def forget(self, mail_ids: Iterable[int]) -> None:
        """Forget ids whose rows are gone."""
        self._ids.difference_update(mail_ids)

    def seen(self) -> tuple[int, ...]:
        """Return the ids of letters that are here and still in the store."""
        return tuple(self._ids)
