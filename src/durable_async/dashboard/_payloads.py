"""Payloads as text: what a value looks like, and how much of it is shown."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

import anyio.to_thread
import msgspec

from durable_async.errors import DurableError

P = ParamSpec("P")
T = TypeVar("T")

SHOWN_CHARS_MAX = 4_000
INDENTED_BYTES_MAX = 16 * SHOWN_CHARS_MAX
PREVIEW_CHARS_MAX = 160


@dataclass(frozen=True, slots=True)
class Shown:
    """A value as it is shown.

    Attributes:
        text: It, or why it cannot be read.
        is_cut: Whether there is more of it.
        is_error: Whether it cannot be read.
        is_absent: Whether there is none.
    """

    text: str
    is_cut: bool = False
    is_error: bool = False
    is_absent: bool = False


ABSENT = Shown("", is_absent=True)


async def formatted(of: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Read and format values off the event loop: how long it takes is up to whoever stored them."""
    return await anyio.to_thread.run_sync(functools.partial(of, *args, **kwargs))


def shown(read: Callable[[], Any]) -> Shown:
    """Return a value as indented JSON, cut where it is long; of very long stored bytes, the beginning as it is stored."""
    try:
        value = read()
        if isinstance(value, msgspec.Raw):
            return _shown_bytes(bytes(value))
    except DurableError as error:
        return Shown(str(error), is_error=True)
    if value is None:
        return ABSENT
    return _cut(text_of(value))


def _shown_bytes(data: bytes) -> Shown:
    if data == b"null":
        return ABSENT
    if len(data) > INDENTED_BYTES_MAX:
        return Shown(data[: SHOWN_CHARS_MAX * 4].decode("utf-8", "replace")[:SHOWN_CHARS_MAX], True)
    try:
        return _cut(msgspec.json.format(data, indent=2).decode("utf-8", "replace"))
    except (msgspec.DecodeError, RecursionError):
        return _cut(data.decode("utf-8", "replace"))


def _cut(text: str) -> Shown:
    return Shown(text[:SHOWN_CHARS_MAX], is_cut=len(text) > SHOWN_CHARS_MAX)


def text_of(value: Any) -> str:
    """Return a value as indented JSON; what JSON does not have, as Python writes it."""
    try:
        return json.dumps(value, ensure_ascii=False, indent=2, default=repr)
    except (TypeError, ValueError, RecursionError):  # of a converter that knows more than JSON
        return repr(value)


def raw(value: Any) -> bytes:
    """Return all of it: stored bytes as they are, other values as JSON on one line."""
    if isinstance(value, msgspec.Raw):
        return bytes(value)
    try:
        text = json.dumps(value, ensure_ascii=False, default=repr)
    except (TypeError, ValueError, RecursionError):
        text = json.dumps(repr(value), ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace")  # half a surrogate pair, as JSON writes it


def preview(data: bytes | None) -> str:
    """Return the beginning of stored bytes on one line."""
    if data is None:
        return ""
    text = data[: PREVIEW_CHARS_MAX * 4].decode("utf-8", "replace")
    is_whole = len(text) <= PREVIEW_CHARS_MAX and len(data) <= PREVIEW_CHARS_MAX * 4
    return text if is_whole else text[: PREVIEW_CHARS_MAX - 1] + "…"
