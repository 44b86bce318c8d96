"""Payloads as text: what a value looks like, and how much of it is shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from durable_async.errors import DurableError

SHOWN_CHARS_MAX = 4_000
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


def shown(read: Callable[[], Any]) -> Shown:
    """Return a value as indented JSON, cut where it is long."""
    try:
        value = read()
    except DurableError as error:
        return Shown(str(error), is_error=True)
    if value is None:
        return ABSENT
    text = text_of(value)
    return Shown(text[:SHOWN_CHARS_MAX], is_cut=len(text) > SHOWN_CHARS_MAX)


def text_of(value: Any) -> str:
    """Return a value as indented JSON; what JSON does not have, as Python writes it."""
    try:
        return json.dumps(value, ensure_ascii=False, indent=2, default=repr)
    except (TypeError, ValueError, RecursionError):  # of a converter that knows more than JSON
        return repr(value)


def raw(value: Any) -> bytes:
    """Return all of it, on one line."""
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
