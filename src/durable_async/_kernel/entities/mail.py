"""The letters of one entity in memory: which are here, and which were taken."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from durable_async.model.history import Letter


class Waiting:
    """A letter that no turn has taken yet.

    Attributes:
        mail_id: Its id in the store; ``None`` if it is not there.
        retried: Whether it is an operation that was parked before; then it is in the snapshot, and nobody waits for it.
        withdrawn: Whether it is to be skipped where it stands.
    """

    __slots__ = ("letter", "mail_id", "retried", "withdrawn")

    def __init__(self, mail_id: int | None, letter: Letter, *, retried: bool = False) -> None:
        self.mail_id = mail_id
        self.letter = letter
        self.retried = retried
        self.withdrawn = False


class EntityMail:
    """Letters by their ids in the store; those of local senders have none.

    Attributes:
        arrived: What has arrived and is not put in line yet.
    """

    __slots__ = ("_consumed", "_ids", "_local", "arrived")

    def __init__(self) -> None:
        self.arrived: deque[Waiting] = deque()
        self._ids: set[int] = set()
        self._consumed: list[int] = []
        self._local: dict[int, Waiting] = {}

    def put(self, mail_id: int | None, letter: Letter) -> bool:
        """Add a letter; ``False`` if it is here already."""
        waiting = Waiting(mail_id, letter)
        if mail_id is None:
            self._local[id(letter)] = waiting
        elif mail_id in self._ids:
            return False
        else:
            self._ids.add(mail_id)
        self.arrived.append(waiting)
        return True

    def withdraw(self, letter: Letter) -> bool:
        """Take back a local letter, this very object; ``False`` if it is not here, or was taken."""
        waiting = self._local.pop(id(letter), None)
        if waiting is None:
            return False
        waiting.withdrawn = True
        return True

    def take(self, waiting: Waiting) -> None:
        """Rule out that a letter is withdrawn: it is being acted upon."""
        if waiting.mail_id is None:
            self._local.pop(id(waiting.letter), None)

    def consume(self, waiting: Waiting) -> None:
        """Count a letter as done with; its row may be deleted with the turn."""
        if waiting.mail_id is None:
            self._local.pop(id(waiting.letter), None)
        else:
            self._consumed.append(waiting.mail_id)

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
