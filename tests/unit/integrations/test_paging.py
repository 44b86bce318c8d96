"""A list in pages: each of it is told once, in order, and no answer is longer than it should be."""

from __future__ import annotations

import asyncio
from unittest import mock

import orjson
from hypothesis import given, strategies as st

from durable_async.integrations._http import paging
from durable_async.integrations._http.documents import Document
from durable_async.integrations._http.paging import listed

from .stage import call_for

BYTES_MAX = 60


@given(st.lists(st.integers(0, 2 * BYTES_MAX), max_size=30), st.integers(1, 12), st.integers(1, 5))
def test_all_is_told_once_in_answers_that_are_not_too_long(
    sizes: list[int], limit: int, at_once: int
) -> None:
    async def read(wanted: int, page: str | None) -> tuple[list[int], str | None]:
        first = int(page or 0)
        following = first + wanted
        numbers = list(range(len(sizes)))[first:following]
        return numbers, str(following) if following < len(sizes) else None

    def document(number: int) -> Document | None:
        return {"n": number, "x": "x" * sizes[number]} if sizes[number] else None

    async def walk() -> list[int]:
        told: list[int] = []
        page: str | None = None
        for _ in range(len(sizes) + 1):
            query = [("limit", str(limit)), *([("page", page)] if page else [])]
            answer = await listed(call_for({}, query=query), "items", read, document)
            body = orjson.loads(answer.body)
            items, page = body["items"], body["nextPage"]
            assert len(items) <= limit
            assert len(items) <= 1 or sum(len(orjson.dumps(one)) for one in items) <= BYTES_MAX
            told += [item["n"] for item in items]
            if page is None:
                return told
        raise AssertionError("a page led nowhere")

    with (
        mock.patch.object(paging, "ANSWER_BYTES", BYTES_MAX),
        mock.patch.object(paging, "READ_AT_ONCE", at_once),
    ):
        assert asyncio.run(walk()) == [number for number, size in enumerate(sizes) if size]
