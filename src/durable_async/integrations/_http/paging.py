"""Pages: so many of something as are asked for, and no more bytes than one answer should have; who wants the rest asks for the next page."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Sequence
from typing import TypeVar

import orjson

from durable_async.model.history import HistoryEvent

from . import query
from .documents import Document, event_document
from .messages import Answer, Call
from .problems import dump

T = TypeVar("T")

ANSWER_BYTES = 8 * 1024 * 1024
"""What is listed in one answer, unless a single one of it is larger."""

READ_AT_ONCE = 25
"""So many are read from the store at a time, for each may have a payload."""

Read = Callable[[int, str | None], Awaitable[tuple[list[T], str | None]]]


async def listed(
    call: Call, member: str, read: Read[T], document: Callable[[T], Document | None]
) -> Answer:
    """Return one page of a list.

    Args:
        call: Says how many are wanted, and from which place on.
        member: What they are called in the answer.
        read: Reads so many from a place on; returns them, and the next place.
        document: What is told of one; ``None`` for nothing.
    """
    documents, following = await _page(read, document, query.limit(call), query.text(call, "page"))
    return Answer(status=200, body=dump({member: documents, "nextPage": following}))


async def _page(
    read: Read[T], document: Callable[[T], Document | None], limit: int, page: str | None
) -> tuple[list[orjson.Fragment], str | None]:
    taken: list[bytes] = []
    while True:
        wanted = min(READ_AT_ONCE, limit)
        found, following = await read(wanted, page)
        parts = [_part(document(one)) for one in found]
        fitting = _fitting(parts, ANSWER_BYTES - sum(map(len, taken)), at_least=0 if taken else 1)
        if fitting == 0 and parts:
            break
        if fitting < len(parts):
            found, page = await read(fitting, page)  # for the place behind the last one that fits
            taken += [_part(document(one)) for one in found]
            break
        taken += parts
        limit -= len(found)
        page = following
        if page is None or limit <= 0 or len(found) < wanted:
            break
    return [orjson.Fragment(part) for part in taken if part], page


async def history_part(
    pages: AsyncIterable[Sequence[HistoryEvent]], first: int
) -> tuple[list[orjson.Fragment], int | None]:
    """Return the events of a history from a number on, as documents, and the number of the first that does not fit any more."""
    parts: list[orjson.Fragment] = []
    number = 0
    room = ANSWER_BYTES
    async for events in pages:
        for event in events:
            number += 1
            if number <= first:
                continue
            part = dump(event_document(event))
            room -= len(part)
            if room < 0 and parts:
                return parts, number - 1
            parts.append(orjson.Fragment(part))
    return parts, None


def _part(document: Document | None) -> bytes:
    return b"" if document is None else dump(document)


def _fitting(parts: Sequence[bytes], room: int, *, at_least: int) -> int:
    for count, part in enumerate(parts):
        room -= len(part)
        if room < 0:
            return max(count, at_least)
    return len(parts)
