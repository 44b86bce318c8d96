"""From bytes to values of an annotated type: one decoder a type, and what a mismatch is called."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Callable
from functools import partial
from pathlib import PurePath
from typing import Any

import msgspec

from durable_async.errors import DecodeError

from .paths import ROOT, type_name
from .pydantic_models import AdaptedUnion, ModelMismatchError, adapt_union, is_model, load_model

Decoder = Callable[[bytes], Any]

_MISMATCH = re.compile(r"(?P<reason>.*) - at `(?P<key>key` in `)?(?P<path>\$[^`]*)`", re.DOTALL)
_ADVICE = (
    "annotate a dataclass, TypedDict, NamedTuple, pydantic model, msgspec.Struct, str, int or "
    "another type that has one form in JSON"
)
_DECODERS_MAX = 1024
DECODERS: dict[Any, Decoder] = {}
"""The decoders that were made, by what they read into."""


class _UnsupportedTypeError(TypeError):
    """Raised for an annotation that no JSON can be read into."""


def decoder_for(into: Any) -> Decoder:
    """Return the function that reads JSON into an annotated type; made once for each type.

    Raises:
        TypeError: Nothing can be read into the type.
    """
    try:
        return DECODERS[into]
    except KeyError:
        decoder = _make_decoder(into)
    except TypeError:
        return _make_decoder(into)  # cannot be hashed, so it cannot be looked up either
    if len(DECODERS) >= _DECODERS_MAX:
        DECODERS.clear()
    DECODERS[into] = decoder
    return decoder


def no_decoder(error: Exception, into: Any, where: str) -> DecodeError:
    """Return what to tell the user about an exception from ``decoder_for``."""
    name = type_name(into)
    if isinstance(error, NameError):
        reason = f"{name!r} names a type that is not found ({error}): define it at module level"
    else:
        reason = f"nothing can be read into {name!r} ({error}): {_ADVICE}"
    return DecodeError(where, ROOT, reason)


def refusal(error: Exception, into: Any, where: str) -> DecodeError:
    """Return what to tell the user about an exception from a decoder."""
    match error:
        case ModelMismatchError():
            return DecodeError(where, ROOT + error.steps, error.reason)
        case msgspec.ValidationError():
            return _mismatch(error, where)
        case msgspec.DecodeError():
            return DecodeError(where, ROOT, f"not valid JSON: {error}")
        case UnicodeDecodeError():
            return DecodeError(where, ROOT, f"not UTF-8: {error.reason} in byte {error.start}")
        case RecursionError():
            return DecodeError(where, ROOT, "nested too deeply to be read")
        case _:
            reason = f"{type_name(into)!r} refused the data: {type(error).__name__}: {error}"
            return DecodeError(where, ROOT, reason)


def _mismatch(error: msgspec.ValidationError, where: str) -> DecodeError:
    found = _MISMATCH.fullmatch(str(error))
    path = found["path"] if found else ROOT
    reason = found["reason"] if found else str(error)
    match error.__cause__:
        case ModelMismatchError() as cause:
            return DecodeError(where, path + cause.steps, cause.reason)
        case _:
            of_key = " (a key of the object)" if found and found["key"] else ""
            return DecodeError(where, path, reason + of_key)


def _make_decoder(into: Any) -> Decoder:
    if is_model(into):
        return partial(load_model, into)
    into = _simplified(into)
    try:
        return msgspec.json.Decoder(into, dec_hook=_read_custom).decode
    except TypeError:
        adapted = _with_unions_adapted(into)
        if adapted is into:
            raise
        return msgspec.json.Decoder(adapted, dec_hook=_read_custom).decode


def _simplified(into: Any) -> Any:
    # What never returns has no result that could misfit.
    return Any if into is typing.NoReturn or into is typing.Never else into


def _read_custom(kind: Any, value: Any) -> Any:
    if kind is object:
        return value
    if is_model(kind):
        return load_model(kind, msgspec.json.encode(value))
    if not isinstance(kind, type):
        pass
    elif issubclass(kind, AdaptedUnion):
        return kind.load(msgspec.json.encode(value))
    elif issubclass(kind, PurePath) or _is_own_scalar(kind, value):
        make: Any = kind
        return make(value)
    raise _UnsupportedTypeError(f"nothing can be read into {type_name(kind)!r}: {_ADVICE}")


def _is_own_scalar(kind: type, value: Any) -> bool:
    """Tell whether a type is a user's str, int or float, and the value is fit to make one."""
    return any(issubclass(kind, base) and type(value) is base for base in (str, int, float))


def _with_unions_adapted(into: Any) -> Any:
    """Let pydantic decide the unions that hold its models, wherever generics hold such a union.

    Only unions of models and of what both libraries write alike are given away.
    """
    origin, args = typing.get_origin(into), typing.get_args(into)
    if origin is typing.Annotated and _is_union(args[0]):
        return adapt_union(into) if _is_for_pydantic(args[0]) else into
    if _is_union(into):
        return _union_adapted(into, args)
    if not args or origin is typing.Literal:
        return into
    adapted = tuple(_with_unions_adapted(arg) for arg in args)
    unchanged = all(new is old for new, old in zip(adapted, args, strict=True))
    return (
        into
        if unchanged
        else into.copy_with(adapted)
        if hasattr(into, "copy_with")
        else origin[adapted]
    )


def _union_adapted(into: Any, args: tuple[Any, ...]) -> Any:
    if _is_for_pydantic(into):
        return adapt_union(into)
    adapted = tuple(_with_unions_adapted(arg) for arg in args)
    unchanged = all(new is old for new, old in zip(adapted, args, strict=True))
    return into if unchanged else typing.Union[adapted]  # noqa: UP007 - members known at run time


def _is_union(into: Any) -> bool:
    return typing.get_origin(into) in (typing.Union, types.UnionType)


def _is_for_pydantic(into: Any) -> bool:
    members = typing.get_args(into)
    alike = (str, int, float, bool, type(None))
    return any(map(is_model, members)) and all(is_model(m) or m in alike for m in members)
