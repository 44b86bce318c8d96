"""What a process starts can be its own worker's from the beginning; somebody runs it, once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.unit.backends.offers import Takes

from durable_async.backends.sqlite import SqliteBackend
from durable_async.model.history import ParentLink
from durable_async.model.policy import ReusePolicy
from durable_async.model.records import Outgoing
from durable_async.model.status import Status

from .support import fetch, new, opened, turn


class Process:
    """A process with a worker that offers to take what is started there, and another process."""

    def __init__(self, backend: SqliteBackend, far: SqliteBackend) -> None:
        self.backend = backend
        self.far = far
        self.offer = Takes()

    async def begin(self) -> None:
        self.fence = await self.backend.register_worker("worker", 30)
        self.withdraw = self.backend.offer(self.fence, self.offer)
        self.far_fence = await self.far.register_worker("far", 30)

    async def end(self, instance_id: str, execution: int = 1) -> None:
        self.fence = (
            await self.backend.commit(
                self.fence,
                [turn(instance_id, 1, execution=execution, status=Status.COMPLETED, output=b"o")],
            )
        ).fence

    async def claimable(self) -> set[str]:
        found = await fetch(self.far, self.far_fence)
        return {one.instance_id for one in found.claimed}


@pytest_asyncio.fixture(params=[False, True], ids=["threads", "inline"])
async def process(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Process]:
    file = tmp_path / "h.db"
    async with opened(file, inline=request.param) as backend, opened(file, inline=True) as far:
        process = Process(backend, far)
        await process.begin()
        yield process


async def test_it_is_owned_from_the_beginning_and_its_turn_is_written(process: Process) -> None:
    [outcome] = await process.backend.create([new("a")])
    assert (outcome.created, outcome.status, outcome.execution) == (True, Status.PENDING, 1)
    assert process.offer.ids() == ["a"]
    assert await process.claimable() == set()
    await process.end("a")
    [record] = await process.far.read(["a"], payloads=True)
    assert record is not None
    assert (record.status, record.output, record.owner) == (Status.COMPLETED, b"o", None)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"version": "1", "tags": {"k": "v"}},
        {"parent": ParentLink(instance_id="p", execution=1, seq=2, depth=3)},
    ],
)
async def test_what_is_taken_is_what_would_be_fetched(
    process: Process, fields: dict[str, Any]
) -> None:
    await process.backend.create([new("a", **fields)])
    await process.backend.retire_worker(process.fence)
    [fetched] = (await fetch(process.far, process.far_fence)).claimed
    assert process.offer.taken == [fetched]


async def test_what_is_not_chosen_is_left_to_fetches(process: Process) -> None:
    process.offer.chosen = lambda one: one.instance_id == "b"
    await process.backend.create([new("a"), new("b"), new("c")])
    assert process.offer.ids() == ["b"]
    assert await process.claimable() == {"a", "c"}


async def test_an_id_that_is_not_new_is_left_to_fetches(process: Process) -> None:
    await process.backend.create([new("a")])
    await process.end("a")
    again = new("a", reuse=ReusePolicy.REPLACE_TERMINAL)
    await process.backend.create([again])
    assert process.offer.ids() == ["a"]
    assert await process.claimable() == {"a"}


async def test_what_is_replaced_in_the_call_that_starts_it_is_not_taken(process: Process) -> None:
    await process.backend.create([new("a"), new("a", reuse=ReusePolicy.REPLACE)])
    assert process.offer.ids() == []
    assert await process.claimable() == {"a"}


async def test_a_purged_id_is_taken_at_its_next_execution(process: Process) -> None:
    await process.backend.create([new("a")])
    await process.end("a")
    await process.backend.purge(["a"])
    await process.backend.create([new("a")])
    assert [one.execution for one in process.offer.taken] == [1, 2]


async def test_a_request_that_is_repeated_takes_nothing_more(process: Process) -> None:
    first = new("a", request_id="r")
    [outcome] = await process.backend.create([first])
    assert await process.backend.create([first, first]) == [outcome, outcome]
    assert process.offer.ids() == ["a"]


async def test_nothing_is_taken_by_who_offers_no_more(process: Process) -> None:
    process.withdraw()
    process.withdraw()
    await process.backend.create([new("a")])
    assert process.offer.ids() == []
    assert await process.claimable() == {"a"}


async def test_nothing_is_taken_by_who_was_taken_over(process: Process) -> None:
    await process.backend.retire_worker(process.fence)
    await process.backend.create([new("a")])
    assert process.offer.ids() == []
    assert await process.claimable() == {"a"}


async def test_who_retires_leaves_it_to_others(process: Process) -> None:
    await process.backend.create([new("a")])
    await process.backend.retire_worker(process.fence)
    assert await process.claimable() == {"a"}
    [record] = await process.far.read(["a"], payloads=False)
    assert record is not None


async def test_it_is_said_whether_all_letters_before_it_were_told(process: Process) -> None:
    """For what it causes may not overtake them."""
    await process.backend.create([new("a")])
    await process.far.send([Outgoing(instance_id="a", execution=1, letter=b"l")])
    await process.backend.create([new("b")])
    await fetch(process.backend, process.fence)
    await process.backend.create([new("c")])
    assert process.offer.told == [True, False, True]


async def test_a_letter_to_it_is_told_by_the_next_fetch(process: Process) -> None:
    await process.backend.create([new("a")])
    await process.backend.send([Outgoing(instance_id="a", execution=1, letter=b"l")])
    [mail] = (await fetch(process.backend, process.fence)).mail
    assert (mail.instance_id, mail.letter) == ("a", b"l")


async def test_who_leaves_early_hands_over_all_the_same(tmp_path: Path) -> None:
    async with opened(tmp_path / "h.db") as backend:
        process = Process(backend, backend)
        process.fence = await backend.register_worker("worker", 30)
        backend.offer(process.fence, process.offer)
        start = asyncio.ensure_future(backend.create([new("a")]))
        await asyncio.sleep(0)
        start.cancel()
        with pytest.raises(asyncio.CancelledError):
            await start
        await backend.read_fence("worker")  # comes after it
        assert process.offer.ids() == ["a"]


async def test_a_client_on_another_loop_leaves_it_to_fetches(tmp_path: Path) -> None:
    """A hand-over there could come after a fetch here that tells of a letter."""
    async with opened(tmp_path / "h.db") as backend:
        offer = Takes()
        fence = await backend.register_worker("worker", 30)
        backend.offer(fence, offer)
        await asyncio.to_thread(lambda: asyncio.run(backend.create([new("a")])))
        assert offer.ids() == []
        assert [one.instance_id for one in (await fetch(backend, fence)).claimed] == ["a"]


async def test_a_start_that_is_taken_wakes_nobody(tmp_path: Path) -> None:
    async with opened(tmp_path / "h.db", inline=True) as backend:
        works: list[None] = []
        backend.listen(lambda: works.append(None), lambda changed: None)
        backend.offer(await backend.register_worker("worker", 30), Takes())
        await backend.create([new("a")])
        await asyncio.sleep(0)
        assert works == []
