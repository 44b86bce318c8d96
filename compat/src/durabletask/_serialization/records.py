"""What JSON objects and named tuples are read as where no type is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NoReturn, Self


class AttributeDict(dict[str, Any]):
    """A ``dict`` whose keys are attributes as well: ``approval["approver"]`` is ``approval.approver``.

    It is equal to any ``dict`` of the same items, and is copied, pickled, unpacked and written as one. Names that ``dict`` has for itself,
    such as ``items`` or ``copy``, stay its methods: keys of those names are read by index only.
    """

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        # Names with two underscores are asked for by protocols, such as copying, and are no one's keys.
        if name in self and not _is_special(name):
            return self[name]
        raise AttributeError(
            f"the object has no {name!r}, only {sorted(self)}", name=name, obj=self
        )

    def __setattr__(self, name: str, value: Any) -> None:
        self._refuse_own(name)
        self[name] = value

    def __delattr__(self, name: str) -> None:
        self._refuse_own(name)
        if name not in self:
            raise AttributeError(f"the object has no {name!r}", name=name, obj=self)
        del self[name]

    def __dir__(self) -> Iterable[str]:
        return [*super().__dir__(), *(key for key in self if key.isidentifier())]

    def __reduce__(self) -> tuple[type[Self], tuple[dict[str, Any]]]:
        return type(self), (dict(self),)

    def copy(self) -> Self:
        """Return a copy with the same values, whose keys are attributes again."""
        return type(self)(self)

    def _refuse_own(self, name: str) -> None:
        if _is_special(name) or hasattr(dict, name):
            raise AttributeError(f"a dict has {name!r} for itself: write [{name!r}]", name=name)


class NamedRecord(tuple[Any, ...]):  # noqa: SLOT001 - the fields are its attributes
    """The fields of a named tuple: a tuple whose items have names, as they had in the program that sent it.

    ``record[0]``, ``record.approver`` and unpacking work, and it is equal to a tuple or a list of the same items. ``_fields``, ``_asdict()``
    and ``_replace()`` are those of a named tuple. It cannot be changed.
    """

    def __new__(cls, fields: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> Self:
        """Return a record of names and values in the order given."""
        named = dict(fields)
        record = super().__new__(cls, named.values())
        # Where a field is called like a method of tuples, such as count, the field is found first, as in a named tuple.
        record.__dict__.update(named)
        return record

    @property
    def _fields(self) -> tuple[str, ...]:
        return tuple(self.__dict__)

    def _asdict(self) -> dict[str, Any]:
        return dict(self.__dict__)

    def _replace(self, **changes: Any) -> Self:
        unknown = sorted(changes.keys() - self.__dict__.keys())
        if unknown:
            raise ValueError(f"the record has no {unknown}, only {list(self._fields)}")
        return type(self)(self.__dict__ | changes)

    def __eq__(self, other: object) -> bool:
        return super().__eq__(tuple(other) if isinstance(other, list) else other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return super().__hash__()

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(
            f"the record has no {name!r}, only {list(self._fields)}", name=name, obj=self
        )

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"a record cannot be changed; make another by _replace({name}=...)")

    def __delattr__(self, name: str) -> None:
        raise AttributeError("a record cannot be changed")

    def __reduce__(self) -> tuple[type[Self], tuple[dict[str, Any]]]:
        return type(self), (dict(self.__dict__),)

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in self.__dict__.items())
        return f"{type(self).__name__}({fields})"


def field_names(value: tuple[Any, ...]) -> tuple[str, ...] | None:
    """Return the names that a named tuple has for its items, or ``None`` for a tuple without names."""
    names = getattr(value, "_fields", None)
    return names if isinstance(names, tuple) and len(names) == len(value) else None


def _is_special(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")
