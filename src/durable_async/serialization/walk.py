"""The slow way through a value: finds the first fault and its place, and makes dict keys text.

The encoder takes it only when the fast way has refused a value, or when a ``null`` in the bytes
may have been a number that JSON does not have.
"""

from __future__ import annotations

from enum import Enum
from math import isfinite
from typing import Any
from uuid import UUID

import orjson

from durable_async.errors import EncodeError

from .paths import ANY_MEMBER, ROOT, index_step, key_step, type_name
from .plain import plain

_INT_MIN = -(2**63)
_INT_MAX = 2**64 - 1
_KEYS_ADVICE = "use str keys, or a list of pairs"


def holds_non_finite(value: Any) -> bool:
    """Tell whether a value that was encoded holds NaN or an infinity, which became ``null``."""
    rest = [value]
    while rest:
        item = rest.pop()
        kind = type(item)
        if kind is str or kind is int or kind is bool or item is None:
            continue
        if kind is orjson.Fragment:  # JSON already, which has no such numbers
            continue
        if isinstance(item, float):
            if not isfinite(item):
                return True
        elif isinstance(item, dict):
            rest.extend(item.values())
        elif isinstance(item, list | tuple | set | frozenset):
            rest.extend(item)
        elif not isinstance(item, str | int | UUID) or isinstance(item, Enum):
            rest.append(plain(item))
    return False


def plain_throughout(value: Any, where: str, depth_max: int) -> Any:
    """Return a value made of JSON types only, with text for keys at every level.

    Raises:
        EncodeError: It names the first place that does not become JSON.
    """
    walk = _Walk(where, depth_max)
    try:
        return walk.down(value)
    except RecursionError:
        raise walk.too_deep() from None


class _Walk:
    """One way down: the steps to where it is, and the containers that are open there."""

    def __init__(self, where: str, depth_max: int) -> None:
        self._where = where
        self._depth_max = depth_max
        self._steps: list[str] = []
        self._open: list[int] = []

    def down(self, value: Any) -> Any:
        source = value
        while not isinstance(value, _NATIVE) or isinstance(value, Enum):
            value = self._plain(value)
        match value:
            case None | bool():
                return value
            case str():
                return self._checked_text(value)
            case int():
                return self._checked_int(value)
            case float():
                return self._checked_float(value)
            case _:
                return self._container(value, id(source))

    def _container(self, value: Any, identity: int) -> Any:
        self._open.append(identity)
        if len(self._open) > self._depth_max:
            raise self.too_deep()
        made = self._dict(value) if isinstance(value, dict) else self._list(value)
        self._open.pop()
        return made

    def too_deep(self) -> EncodeError:
        if len(set(self._open)) < len(self._open):
            return self._fault("the value contains itself")
        if len(self._open) <= self._depth_max:
            return self._fault("nested deeper than what is left of the stack")
        return self._fault(f"nested deeper than {self._depth_max} levels")

    def _plain(self, value: Any) -> Any:
        try:
            return value.value if isinstance(value, Enum) else plain(value)
        except Exception as exc:
            raise self._fault(str(exc) or type(exc).__name__) from exc

    def _list(self, values: Any) -> list[Any]:
        unordered = isinstance(values, set | frozenset)
        made: list[Any] = []
        for index, value in enumerate(values):
            self._steps.append(ANY_MEMBER if unordered else index_step(index))
            made.append(self.down(value))
            self._steps.pop()
        if unordered:
            made.sort(key=orjson.dumps)
        return made

    def _dict(self, values: dict[Any, Any]) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for key, value in values.items():
            text = key if type(key) is str else self._key_text(key)
            if text in made:
                raise self._fault(
                    f"two keys of a dict become the same text {text!r}: {_KEYS_ADVICE}"
                )
            self._checked_text(text, "a dict key")
            self._steps.append(key_step(text))
            made[text] = self.down(value)
            self._steps.pop()
        return made

    def _key_text(self, key: Any) -> str:
        plain_key = key
        while not isinstance(plain_key, _NATIVE) or isinstance(plain_key, Enum):
            plain_key = self._plain(plain_key)
        match plain_key:
            case str():
                return str.__str__(plain_key)
            case int() if not isinstance(plain_key, bool):
                return str(self._checked_int(plain_key))
            case float():
                return orjson.dumps(self._checked_float(plain_key)).decode()
            case _:
                name = type_name(type(key))
                raise self._fault(
                    f"a dict key of type {name!r} does not become text: {_KEYS_ADVICE}"
                )

    def _checked_text(self, text: str, what: str = "the text") -> str:
        if not text.isascii():
            try:
                text.encode()
            except UnicodeEncodeError as exc:
                found = f"U+{ord(text[exc.start]):04X} at position {exc.start}"
                reason = f"{what} holds a lone surrogate ({found}), which UTF-8 does not have"
                raise self._fault(reason) from exc
        return text

    def _checked_int(self, number: int) -> int:
        if not _INT_MIN <= number <= _INT_MAX:
            raise self._fault("an integer beyond 64 bits: use a str or a Decimal")
        return int(number)

    def _checked_float(self, number: float) -> float:
        if not isfinite(number):
            raise self._fault(f"JSON has no {number}: use None, or a str")
        return float(number)

    def _fault(self, reason: str) -> EncodeError:
        return EncodeError(self._where, ROOT + "".join(self._steps), reason)


_NATIVE = (str, int, float, dict, list, tuple, set, frozenset, type(None))
