"""What a notification says, in few bytes, and what waits to be said."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Set as AbstractSet
from dataclasses import dataclass

import orjson

_BYTES_MAX = 1000
_IDS_MAX = 256


@dataclass(frozen=True, slots=True)
class Hint:
    """There may be work; these instances, or any (``None``), may have changed, or have made progress."""

    brought_work: bool
    changed: frozenset[str] | None
    progress: frozenset[str] | None = frozenset()


ANYTHING = Hint(brought_work=True, changed=None, progress=None)


class Pending:
    """Hints that wait to go out together: some at once, and some that can wait. Bounded: many instances become any."""

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self._brought_work = False
        self._changed: set[str] | None = set()
        self._states: set[str] | None = set()
        self._progress: set[str] | None = set()

    def __bool__(self) -> bool:
        return self._brought_work or self._changed is None or bool(self._changed)

    @property
    def has_later(self) -> bool:
        """Whether there is something that can wait."""
        return (
            self._states is None
            or self._progress is None
            or bool(self._states)
            or bool(self._progress)
        )

    def add(
        self,
        brought_work: bool,
        changed: AbstractSet[str],
        states: AbstractSet[str] = frozenset(),
        progress: AbstractSet[str] = frozenset(),
    ) -> None:
        """Take in what a commit brought; states and progress can wait."""
        self._brought_work = self._brought_work or brought_work
        self._changed = _union(self._changed, changed)
        self._states = _union(self._states, states)
        self._progress = _union(self._progress, progress)

    def take(self) -> Hint:
        """Return all of it, and begin anew."""
        changed = None if self._states is None else _union(self._changed, self._states)
        hint = Hint(self._brought_work, _frozen(changed), _frozen(self._progress))
        self._clear()
        return hint


def _union(some: set[str] | None, more: AbstractSet[str]) -> set[str] | None:
    if some is None:
        return None
    some |= more
    return None if len(some) > _IDS_MAX else some


def _frozen(some: Iterable[str] | None) -> frozenset[str] | None:
    return None if some is None else frozenset(some)


def channel_of(schema: str, hub: str) -> str:
    """Return the channel of a hub: its name may be longer than an identifier."""
    digest = hashlib.blake2b(f"{schema}\n{hub}".encode(), digest_size=8).hexdigest()
    return f"durable_async_{digest}"


def encode(hint: Hint) -> str:
    """Return a hint as text; many instances become any."""
    mark = "w" if hint.brought_work else "-"
    if hint.changed or hint.progress or hint.changed is None or hint.progress is None:
        return f"{mark}[{_list_of(hint.changed)},{_list_of(hint.progress)}]"
    return mark


def _list_of(ids: frozenset[str] | None) -> str:
    text = b"null" if ids is None else orjson.dumps(sorted(ids))
    return "null" if len(text) > _BYTES_MAX else text.decode()


def decode(text: str) -> Hint:
    """Read a hint; what cannot be read may mean anything, such as the words of a later release."""
    mark, rest = text[:1], text[1:]
    if mark not in ("w", "-"):
        return ANYTHING
    if not rest:
        return Hint(brought_work=mark == "w", changed=frozenset())
    try:
        changed, progress = orjson.loads(rest)
    except (ValueError, TypeError):  # other JSON than two lists
        return ANYTHING
    if not _is_list_of_ids(changed) or not _is_list_of_ids(progress):
        return ANYTHING
    return Hint(mark == "w", _frozen(changed), _frozen(progress))


def _is_list_of_ids(found: object) -> bool:
    return found is None or (isinstance(found, list) and all(isinstance(one, str) for one in found))
