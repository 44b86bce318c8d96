"""What a type hint means once its wrappings are taken off."""

from __future__ import annotations

import collections.abc
import typing
from typing import Any

LISTS = (
    list,
    collections.abc.Sequence,
    collections.abc.MutableSequence,
    collections.abc.Collection,
    collections.abc.Iterable,
)
MAPPINGS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)
SETS = {
    set: set,
    frozenset: frozenset,
    collections.abc.Set: frozenset,
    collections.abc.MutableSet: set,
}

_WRAPPINGS = (typing.Annotated, typing.Required, typing.NotRequired, typing.Final)


def unwrapped(hint: Any) -> Any:
    """Return the type inside ``Annotated``, ``NewType``, ``Required``, ``Final`` and aliases."""
    while True:
        if typing.get_origin(hint) in _WRAPPINGS:
            hint = typing.get_args(hint)[0]
        elif isinstance(hint, typing.NewType):
            hint = hint.__supertype__
        elif type(hint).__name__ == "TypeAliasType":  # the statement `type X = ...` of Python 3.12
            hint = hint.__value__
        else:
            return hint


def is_named_tuple(kind: Any) -> bool:
    """Tell whether a type is a named tuple's."""
    return (
        isinstance(kind, type)
        and issubclass(kind, tuple)
        and isinstance(getattr(kind, "_fields", None), tuple)
    )
