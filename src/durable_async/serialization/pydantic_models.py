"""Pydantic models become JSON and come back, without importing pydantic.

A model brings its own methods. Fields are written by their names, and read by name or alias, so
that a model whose aliases for reading and writing differ still comes back.
"""

from __future__ import annotations

import sys
import types
from math import isfinite
from typing import Any

import msgspec

from .paths import ROOT, index_step, key_step


class ModelMismatchError(ValueError):
    """Raised when JSON does not fit a model; it is told to the user as a ``DecodeError``."""

    def __init__(self, steps: str, reason: str) -> None:
        self.steps = steps
        self.reason = reason
        super().__init__(f"{reason} - at {ROOT}{steps}")


def is_model(kind: Any) -> bool:
    """Tell whether a type is a pydantic model (of version 2)."""
    return (
        isinstance(kind, type)
        and hasattr(kind, "__pydantic_validator__")
        and (hasattr(kind, "model_dump") and hasattr(kind, "model_validate_json"))
    )


def dump_model(model: Any) -> Any:
    """Return a model as JSON values, its sets in an order that every process agrees on.

    Raises:
        TypeError: A field's value would be lost on the way.
    """
    written = model.model_dump(mode="json", by_alias=False, round_trip=True)
    held = model.model_dump(mode="python", by_alias=False, round_trip=True, warnings=False)
    return _settled(written, held)


def load_model(model: Any, data: bytes) -> Any:
    """Return the model that JSON describes.

    Raises:
        ModelMismatchError: The JSON does not fit the model.
    """
    return _loaded(model.model_validate_json, data)


class _AnyInstance(type):
    def __instancecheck__(cls, instance: object) -> bool:
        # The decoder asks whether what it got is an instance; the members of the union are not.
        return True


class AdaptedUnion(metaclass=_AnyInstance):
    """Stands in an annotation for a union that pydantic has to decide; one subclass for each."""

    adapter: Any

    @classmethod
    def load(cls, data: bytes) -> Any:
        """Return the member of the union that JSON describes.

        Raises:
            ModelMismatchError: The JSON fits no member.
        """
        return _loaded(cls.adapter.validate_json, data)


def adapt_union(annotation: Any) -> type[AdaptedUnion]:
    """Return a class to put into an annotation instead of a union with models in it."""
    adapter = sys.modules["pydantic"].TypeAdapter(annotation)
    return types.new_class(
        "AdaptedUnion", (AdaptedUnion,), exec_body=lambda names: names.update(adapter=adapter)
    )


def _loaded(validate_json: Any, data: bytes) -> Any:
    try:
        return validate_json(data, by_alias=True, by_name=True)
    except ValueError as exc:
        mismatch: Any = exc  # pydantic's own ValidationError
        first = mismatch.errors(include_url=False, include_context=False, include_input=False)[0]
        steps = (index_step(s) if isinstance(s, int) else key_step(s) for s in first["loc"])
        raise ModelMismatchError("".join(steps), first["msg"]) from exc


def _settled(written: Any, held: Any) -> Any:
    """Compare what is written with what it was written for, which alone knows about sets."""
    match held:
        case float() if written is None:
            return held  # a number that JSON does not have: the encoder refuses it by its place
        case set() | frozenset() if isinstance(written, list):
            return sorted(_settled_members(written, held), key=msgspec.json.encode)
        case dict() if isinstance(written, dict):
            _refuse_lost_keys(written, held)
            pairs = zip(written.items(), held.values(), strict=False)
            return {key: _settled(value, was) for (key, value), was in pairs}
        case list() | tuple() if isinstance(written, list):
            return [_settled(value, was) for value, was in zip(written, held, strict=False)]
        case _ if hasattr(held, "get_secret_value"):
            message = "a pydantic secret would be stored as asterisks: pass a reference to it"
            raise TypeError(message)
        case _:
            return written


def _settled_members(written: list[Any], held: set[Any] | frozenset[Any]) -> list[Any]:
    # A copied set may iterate in another order, so members are not compared one by one.
    if None in written and (lost := [m for m in held if isinstance(m, float) and not isfinite(m)]):
        return lost
    if not all(isinstance(member, frozenset) for member in held):
        return written
    return [sorted(inner, key=msgspec.json.encode) for inner in written]


def _refuse_lost_keys(written: dict[str, Any], held: dict[Any, Any]) -> None:
    if len(written) < len(held) and len({str(key) for key in held}) < len(held):
        message = "two keys of a dict become the same text"
        raise TypeError(message)
