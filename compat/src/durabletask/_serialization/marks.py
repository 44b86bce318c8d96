"""How the default converter marks, in plain JSON, what JSON has no form for.

A value is an object of two members, the mark and ``value``; a named tuple is an object of its fields and the mark::

    {"__durabletask_type__": "datetime", "value": "2026-03-01T09:00:00+01:00"}
    {"__durabletask_type__": "namedtuple", "approver": "manager@company.com"}

A key of the program's own that is called like the mark is written with a ``~`` before it, one more for each that it has already. The names of
types are a closed list: nothing is looked up, imported or called by a name that a text holds.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Callable, Iterable, Mapping
from types import SimpleNamespace
from typing import Any

from durable_async.serialization.pydantic_models import dump_model, is_model

from .hooks import write_hook
from .json_converter import LEGACY_OBJECT_MARKER, one_level_down, parsed
from .records import AttributeDict, NamedRecord, field_names
from .values import ValueType, value_type_named, value_type_of

TYPE_MARK = "__durabletask_type__"

_VALUE = "value"
_NAMED_TUPLE = "namedtuple"
_ESCAPE = "~"
_SETS: Mapping[str, Callable[[Iterable[Any]], Any]] = {"set": set, "frozenset": frozenset}
_SCALARS = (str, int, float)
_PLAIN = frozenset((str, int, float, bool, type(None)))


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
        if type(value) in _PLAIN or isinstance(value, _SCALARS):
            return value
        if id(value) in self._around:
            raise ValueError("Circular reference detected")
        self._around.add(id(value))
        # One frame a level, so that nothing is too deep here that is not too deep for the encoder.
        made: Any
        if isinstance(value, dict):
            made = {}
            for key, item in value.items():
                made[_escaped(key)] = item if type(item) in _PLAIN else self.plain(item)
        elif isinstance(value, list | tuple | set | frozenset):
            made = []
            for item in value:
                made.append(self.plain(item))
            made = self._as_written(value, made)
        elif (entry := _value_type(value)) is None:
            made = self.plain(_one_level_down(value))
        else:
            text = entry.write(value)
            made = {TYPE_MARK: entry.name, _VALUE: text} if self._marked else text
        self._around.remove(id(value))
        return made

    def _as_written(self, value: Any, items: list[Any]) -> Any:
        """Return the items of a list, a tuple or a set as they are written."""
        if isinstance(value, set | frozenset):
            items.sort(key=json.dumps)
            name = "set" if isinstance(value, set) else "frozenset"
            return {TYPE_MARK: name, _VALUE: items} if self._marked else items
        names = field_names(value) if self._marked and isinstance(value, tuple) else None
        if names is None:
            return items
        return {TYPE_MARK: _NAMED_TUPLE} | dict(zip(names, items, strict=True))


def _value_type(value: Any) -> ValueType | None:
    """Return the entry of a value, unless its class says itself how it is written."""
    kind = type(value)
    entry = value_type_of(kind)
    if entry is None or write_hook(kind) is not None or isinstance(value, enum.Enum):
        return None
    return entry


def _one_level_down(value: Any) -> Any:
    kind = type(value)
    if is_model(kind) and write_hook(kind) is None:
        return dump_model(value)
    return one_level_down(value)


def read_marked(data: str, *, namespaces: bool) -> Any:
    """Return the value of a JSON text: what is marked as it was, and other objects with their keys as attributes.

    A mark that means nothing here is a key like any other.

    Args:
        data: The text.
        namespaces: Whether objects that releases up to 1.6 marked become namespaces, as they were, or are read as any other.

    Raises:
        ValueError: The text is not JSON.
    """
    has_escapes = _ESCAPE + TYPE_MARK in data

    def value_of(members: dict[str, Any]) -> Any:
        is_namespace = members.pop(LEGACY_OBJECT_MARKER, False)
        if TYPE_MARK in members:
            try:
                return _marked_value(members)
            except (TypeError, ValueError, OverflowError):
                pass  # it was not written here
        if has_escapes:
            members = {_unescaped(key): item for key, item in members.items()}
        if is_namespace and namespaces:
            return SimpleNamespace(**members)
        return AttributeDict(members)

    return parsed(data, value_of)


def _marked_value(members: dict[str, Any]) -> Any:
    name = members[TYPE_MARK]
    if name == _NAMED_TUPLE:
        return NamedRecord((key, item) for key, item in members.items() if key != TYPE_MARK)
    if len(members) != 2:
        raise ValueError("a value has two members")
    value = members.get(_VALUE)
    if name in _SETS and isinstance(value, list):
        return _set_of(_SETS[name], value)
    entry = value_type_named(name)
    if entry is None or not isinstance(value, str):
        raise ValueError("there is no such type, or no such value of it")
    return entry.read(value)


def _set_of(make: Callable[[Iterable[Any]], Any], items: list[Any]) -> Any:
    """Return a set; a list if an item cannot be in one, as what was a frozen dataclass is an object now."""
    try:
        return make(map(_as_tuples, items))
    except TypeError:
        return items


def _as_tuples(item: Any) -> Any:
    """Return lists as tuples: only a tuple can have been in a set."""
    return tuple(map(_as_tuples, item)) if isinstance(item, list) else item


def _escaped(key: Any) -> Any:
    is_like_it = isinstance(key, str) and key.endswith(TYPE_MARK)
    return _ESCAPE + key if is_like_it and key.lstrip(_ESCAPE) == TYPE_MARK else key


def _unescaped(key: str) -> str:
    is_escaped = key.startswith(_ESCAPE) and key.lstrip(_ESCAPE) == TYPE_MARK
    return key[1:] if is_escaped else key
