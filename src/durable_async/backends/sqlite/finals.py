"""Final letters: which instances hold any, as the decisions of one transaction leave it."""

from __future__ import annotations

from collections.abc import Iterable

from .transaction import Statements, json_list


class FinalLetters:
    """The final letters in the mailboxes that one transaction touches; a letter that has no id yet is ``None``.

    They are few and seldom, so that they are loaded only for those instances that are known to hold some.
    """

    def __init__(self, tx: Statements) -> None:
        self._tx = tx
        self._held: dict[int, list[tuple[int | None, int | None]]] = {}

    def load(self, keys: Iterable[int]) -> None:
        """Load those of instances that hold some."""
        for key, letter_id, execution in self._tx.all("load_final_letters", keys=json_list(keys)):
            self._held.setdefault(key, []).append((letter_id, execution))

    def add(self, key: int, execution: int | None) -> None:
        """Note one that was put into a mailbox just now."""
        self._held.setdefault(key, []).append((None, execution))

    def consume(self, key: int, consumed: Iterable[int]) -> bool:
        """Let those go that a turn consumed; return whether any is left."""
        gone = set(consumed)
        return self._keep(key, [one for one in self._held.get(key, ()) if one[0] not in gone])

    def drop(self, key: int, before: int | None) -> bool:
        """Let all go, or with ``before`` those for earlier executions; return whether any is left."""
        held = self._held.get(key, ()) if before is not None else ()
        return self._keep(key, [one for one in held if not _is_for_earlier(one[1], before)])

    def _keep(self, key: int, held: list[tuple[int | None, int | None]]) -> bool:
        self._held[key] = held
        return bool(held)


def _is_for_earlier(execution: int | None, before: int | None) -> bool:
    return execution is not None and before is not None and execution < before
