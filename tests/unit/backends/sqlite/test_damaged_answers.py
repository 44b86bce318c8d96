"""What a request was answered may be damaged: whoever repeats it is told so, nothing is done twice, and nobody else is harmed."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from durable_async import CorruptHistoryError, Registry, TaskHub
from durable_async.environment import SystemEnvironment
from durable_async.model.records import Delivery, Outgoing

from .support import new, opened

NO_OUTCOMES = ["", "[", "{}", "[1]", "null", '["yes", [], {}]', "[" * 5_000, "[true, 1, 2]"]


def damage(file: Path, answer: str) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        assert connection.execute("update requests set answer = ?", (answer,)).rowcount == 1


@pytest.mark.parametrize("answer", NO_OUTCOMES)
async def test_a_repeated_start_is_refused(tmp_path: Path, answer: str) -> None:
    file = tmp_path / "h.db"
    async with opened(file, inline=True) as backend:
        await backend.create([new("a", request_id="r")])
        damage(file, answer)
        with pytest.raises(CorruptHistoryError, match="what a request was answered") as caught:
            await backend.create([new("a", request_id="r")])
        assert caught.value.instance_id == "a"
        [other] = await backend.create([new("b", request_id="s")])
        assert other.created


@pytest.mark.parametrize("answer", ["", "lost", "full of it"])
async def test_a_repeated_letter_is_not_put_twice(tmp_path: Path, answer: str) -> None:
    file = tmp_path / "h.db"
    letter = Outgoing(instance_id="a", execution=None, letter=b"l", request_id="r")
    async with opened(file, inline=True) as backend:
        await backend.create([new("a")])
        assert await backend.send([letter]) == [Delivery.DELIVERED]
        damage(file, answer)
        with pytest.raises(CorruptHistoryError):
            await backend.send([letter])
        assert len(await backend.read_letters("a", limit=9)) == 1


async def test_those_who_start_along_with_it_are_started(tmp_path: Path) -> None:
    file = tmp_path / "h.db"
    async with opened(file, inline=True) as backend:
        hub = TaskHub(backend, name="default", registry=Registry(), environment=SystemEnvironment())
        client = hub.client
        await client.start("o", instance_id="a", request_id="r")
        damage(file, "[")
        refused = []

        async def start(instance_id: str, request_id: str) -> None:
            try:
                await client.start("o", instance_id=instance_id, request_id=request_id)
            except CorruptHistoryError:
                refused.append(instance_id)

        async with anyio.create_task_group() as tasks:
            for instance_id, request_id in (("first", "q"), ("a", "r"), ("b", "s"), ("c", "t")):
                tasks.start_soon(start, instance_id, request_id)
        assert refused == ["a"]
        assert {one.instance_id async for one in client.query()} == {"a", "b", "c", "first"}
        client.close()
