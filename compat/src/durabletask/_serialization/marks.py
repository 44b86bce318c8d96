"""How the default converter marks, in plain JSON, what JSON has no form for.

A value is an object of two members, the mark and ``value``; a named tuple is an object of its fields and the mark::

    {"__durabletask_type__": "datetime", "value": "2026-03-01T09:00:00+01:00"}
    {"__durabletask_type__": "namedtuple", "approver": "manager@company.com"}

An object of the program's own that has a member of the mark's name is wrapped, as type ``object``, so that it comes back as it was. The names
of types are a closed list: nothing is looked up, imported or called by a name that a text holds.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Callable, Iterable, Mapping
from types import SimpleNamespace
from typing import Any

from .json_converter import LEGACY_OBJECT_MARKER, one_level_down
from .records import AttributeDict, NamedRecord, named_fields
from .values import value_type_named, value_type_of

TYPE_MARK = "__durabletask_type__"

_VALUE = "value"
_NAMED_TUPLE = "namedtuple"
_OBJECT = "object"
_SETS: Mapping[str, Callable[[Iterable[Any]], Any]] = {"set": set, "frozenset": frozenset}
_SCALARS = (str, int, float, type(None))


class Writer:
    """Makes plain JSON of one value.

    Args:
        marked: Whether what JSON has no form for is marked. If not, values are their texts, and sets and named tuples arrays.
    """

    def __init__(self, *, marked: bool) -> None:
        self._marked = marked
        self._around: set[int] = set()

    def plain(self, value: Any) -> Any:
        """Return what stands for a value in JSON, all the way down.

        Raises:
            TypeError: It holds something that is not written.
            ValueError: It holds itself.
        """
        if isinstance(value, _SCALARS):
            return value
        if id(value) in self._around:
            raise ValueError("Circular reference detected")
        self._around.add(id(value))
        try:
            return self._plain(value)
        finally:
            self._around.remove(id(value))

    def _plain(self, value: Any) -> Any:
        if isinstance(value, dict):
            members = {key: self.plain(item) for key, item in value.items()}
            return _mark(_OBJECT, members) if self._marked and TYPE_MARK in members else members
        if isinstance(value, tuple | list):
            fields = named_fields(value) if self._marked and isinstance(value, tuple) else None
            if fields is None:
                return [self.plain(item) for item in value]
            return {TYPE_MARK: _NAMED_TUPLE} | {name: self.plain(item) for name, item in fields}
        if isinstance(value, set | frozenset):
            return self._plain_set(value)
        return self._plain_object(value)

    def _plain_set(self, value: set[Any] | frozenset[Any]) -> Any:
        items = sorted((self.plain(item) for item in value), key=json.dumps)
        name = "set" if isinstance(value, set) else "frozenset"
        return _mark(name, items) if self._marked else items

    def _plain_object(self, value: Any) -> Any:
        entry = value_type_of(type(value))
        # A class of the program's own says first how it is written, also one derived from a type of values.
        if entry is None or hasattr(type(value), "to_json") or isinstance(value, enum.Enum):
            return self.plain(one_level_down(value))
        return _mark(entry.name, entry.write(value)) if self._marked else entry.write(value)


class Reader:
    """Makes values of plain JSON: marked ones are what they were, and other objects have their keys as attributes.

    Args:
        namespaces: Whether objects that releases up to 1.6 marked become namespaces, as they were, or are read as any other.
    """

    def __init__(self, *, namespaces: bool) -> None:
        self._namespaces = namespaces

    def revive(self, plain: Any) -> Any:
        """Return the value of what JSON holds. A mark that means nothing here is a key like any other."""
        if isinstance(plain, dict):
            if TYPE_MARK in plain:
                return self._revive_marked(plain)
            return self._revive_object(plain)
        if isinstance(plain, list):
            return [self.revive(item) for item in plain]
        return plain

    def _revive_object(self, plain: dict[str, Any]) -> Any:
        is_namespace = plain.get(LEGACY_OBJECT_MARKER, False)
        members = {k: self.revive(v) for k, v in plain.items() if k != LEGACY_OBJECT_MARKER}
        return (
            SimpleNamespace(**members)
            if is_namespace and self._namespaces
            else AttributeDict(members)
        )

    def _revive_marked(self, plain: dict[str, Any]) -> Any:
        name = plain[TYPE_MARK]
        if name == _NAMED_TUPLE:
            return NamedRecord((k, self.revive(v)) for k, v in plain.items() if k != TYPE_MARK)
        if plain.keys() == {TYPE_MARK, _VALUE}:
            try:
                return self._revive_value(name, plain[_VALUE])
            except (TypeError, ValueError, OverflowError):
                pass  # it was not written here
        return self._revive_object(plain)

    def _revive_value(self, name: Any, value: Any) -> Any:
        if name == _OBJECT and isinstance(value, dict):
            return self._revive_object(value)
        if name in _SETS and isinstance(value, list):
            return _set_of(_SETS[name], [self.revive(item) for item in value])
        entry = value_type_named(name)
        if entry is None:
            raise ValueError(name)
        return entry.read(value)


def _mark(name: str, value: Any) -> dict[str, Any]:
    return {TYPE_MARK: name, _VALUE: value}


def _set_of(make: Callable[[Iterable[Any]], Any], items: list[Any]) -> Any:
    """Return a set; a list if an item cannot be in one, as what was a frozen dataclass is an object now."""
    try:
        return make(map(_as_tuples, items))
    except TypeError:
        return items


def _as_tuples(item: Any) -> Any:
    """Return lists as tuples: only a tuple can have been in a set."""
    return tuple(map(_as_tuples, item)) if isinstance(item, list) else item
