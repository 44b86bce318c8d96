"""What a notification says, in few bytes, and what waits to be said."""

from __future__ import annotations

import hashlib
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import orjson

_BYTES_MAX = 1000
_IDS_MAX = 256


@dataclass(frozen=True, slots=True)
class Hint:
    """There may be work; these instances, or any (``None``), may have changed."""

    brought_work: bool
    changed: frozenset[str] | None


ANYTHING = Hint(brought_work=True, changed=None)


class Pending:
    """Hints that wait to go out together: some at once, and some that can wait. Bounded: many instances become any."""

    def __init__(self) -> None:
        self._brought_work = False
        self._changed: set[str] | None = set()
        self._later: set[str] | None = set()

    def __bool__(self) -> bool:
        return self._brought_work or self._changed is None or bool(self._changed)

    @property
    def has_later(self) -> bool:
        """Whether there is something that can wait."""
        return self._later is None or bool(self._later)

    def add(
        self, brought_work: bool, changed: AbstractSet[str], later: AbstractSet[str] = frozenset()
    ) -> None:
        """Take in what a commit brought."""
        self._brought_work = self._brought_work or brought_work
        self._changed = _union(self._changed, changed)
        self._later = _union(self._later, later)

    def take(self) -> Hint:
        """Return all of it, and begin anew."""
        changed = None if self._later is None else _union(self._changed, self._later)
        hint = Hint(self._brought_work, None if changed is None else frozenset(changed))
        self._brought_work, self._changed, self._later = False, set(), set()
        return hint


def _union(some: set[str] | None, more: AbstractSet[str]) -> set[str] | None:
    if some is None:
        return None
    some |= more
    return None if len(some) > _IDS_MAX else some


def channel_of(schema: str, hub: str) -> str:
    """Return the channel of a hub: its name may be longer than an identifier."""
    digest = hashlib.blake2b(f"{schema}\n{hub}".encode(), digest_size=8).hexdigest()
    return f"durable_async_{digest}"


def encode(hint: Hint) -> str:
    """Return a hint as text; many instances become any."""
    mark = "w" if hint.brought_work else "-"
    if hint.changed is None:
        return mark + "*"
    if not hint.changed:
        return mark
    text = orjson.dumps(sorted(hint.changed))
    return mark + ("*" if len(text) > _BYTES_MAX else text.decode())


def decode(text: str) -> Hint:
    """Read a hint; what cannot be read may mean anything, such as the words of a later release."""
    mark, rest = text[:1], text[1:]
    if mark not in ("w", "-"):
        return ANYTHING
    if rest in ("", "*"):
        return Hint(brought_work=mark == "w", changed=None if rest else frozenset())
    try:
        ids = orjson.loads(rest)
    except orjson.JSONDecodeError:
        return ANYTHING
    if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids):
        return ANYTHING
    return Hint(brought_work=mark == "w", changed=frozenset(ids))
