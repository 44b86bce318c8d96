"""A worker takes of what its process starts what a fetch would claim; letters that come before it is adopted are kept for it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from durable_async.model.records import ClaimedInstance, Mail, NewInstance, Release
from durable_async.model.status import Status
from durable_async.testing.conformance.driver import ORCHESTRATOR, new
from durable_async.worker._fetches import Fetches
from durable_async.worker._starts import Starts
from durable_async.worker.settings import WorkerSettings


class Slots:
    def __init__(self) -> None:
        self.waiting = 0
        self.held = 0

    def __len__(self) -> int:
        return self.held


class World:
    """A line of starts, and what becomes of them."""

    def __init__(self, **settings: Any) -> None:
        self.slots = Slots()
        self.fetches = Fetches()
        self.adopted: list[tuple[str, int]] = []
        self.received: list[bytes] = []
        self.submitted: list[Any] = []
        self.names: frozenset[str] | None = frozenset({ORCHESTRATOR})
        self.may_adopt = anyio.Event()
        tools = SimpleNamespace(
            slots=self.slots,
            fetches=self.fetches,
            settings=WorkerSettings(**settings),
            registry=self,
            versions=SimpleNamespace(
                may_begin=lambda name, version: version != "other",
            ),
            backend=SimpleNamespace(now_us=lambda: 7),
            committer=SimpleNamespace(submit=lambda item, done: self.submitted.append(item)),
        )
        self.starts = Starts(tools, self._adopt, lambda mail: self.received.append(mail.letter))  # type: ignore[arg-type]
        self.starts.is_open = True

    async def _adopt(self, claimed: ClaimedInstance, speaks_after: int) -> None:
        await self.may_adopt.wait()
        self.adopted.append((claimed.instance_id, speaks_after))


def claimed(instance_id: str) -> ClaimedInstance:
    return ClaimedInstance(
        instance_id=instance_id,
        name=ORCHESTRATOR,
        version=None,
        status=Status.PENDING,
        execution=1,
        attempts=1,
        start_at_us=0,
        parent=None,
        history=(),
        more_history=False,
        mail=(),
    )


def mail(instance_id: str, body: bytes) -> Mail:
    return Mail(id=1, instance_id=instance_id, execution=None, letter=body)


def many(count: int) -> list[NewInstance]:
    return [new(f"i{number}") for number in range(count)]


def test_it_chooses_what_it_runs_and_what_is_due() -> None:
    starts = World().starts
    asked = [new("a"), new("b", name="foreign"), new("c", version="other"), new("d", start_at_us=9)]
    assert list(starts.choose(asked)) == [True, False, False, False]


def test_where_any_name_is_registered_it_takes_any() -> None:
    world = World()
    world.names = None
    assert list(world.starts.choose([new("b", name="foreign")])) == [True]


@pytest.mark.parametrize(
    ("settings", "waiting", "held", "room"),
    [
        ({"claim_batch": 3}, 0, 0, 3),
        ({"turns_ahead": 5}, 2, 0, 3),
        ({"instances_max": 10}, 0, 6, 4),
        ({"turns_ahead": 5}, 9, 0, 0),
    ],
)
def test_it_takes_no_more_than_there_is_room_for(
    settings: dict[str, int], waiting: int, held: int, room: int
) -> None:
    world = World(**settings)
    world.slots.waiting, world.slots.held = waiting, held
    assert sum(world.starts.choose(many(8))) == room
    for number in range(room):
        world.starts.take(claimed(f"a{number}"), is_told=True)
    assert not any(world.starts.choose(many(8)))


def test_room_is_kept_for_what_a_fetch_may_bring() -> None:
    world = World(instances_max=10)
    world.fetches.begin(7)
    assert sum(world.starts.choose(many(8))) == 3
    world.fetches.take()
    assert sum(world.starts.choose(many(8))) == 8


def test_nothing_is_taken_while_there_is_a_backlog() -> None:
    world = World()
    world.starts.is_open = False
    assert not any(world.starts.choose(many(2)))


def test_what_comes_after_the_end_is_handed_back() -> None:
    world = World()
    world.starts.close()
    assert not any(world.starts.choose(many(2)))
    world.starts.take(claimed("a"), is_told=True)
    assert world.submitted == [Release(instance_id="a", wake_at_us=7, execution=1)]
    assert len(world.starts) == 0


async def test_letters_are_kept_until_it_is_adopted() -> None:
    world = World()
    starts = world.starts
    world.fetches.begin()
    async with anyio.create_task_group() as group:
        group.start_soon(starts.run)
        starts.take(claimed("a"), is_told=True)
        starts.take(claimed("b"), is_told=False)
        await anyio.lowlevel.checkpoint()
        assert starts.receive(mail("a", b"1"))
        assert starts.receive(mail("b", b"2"))
        assert not starts.receive(mail("c", b"3"))
        assert world.received == []
        world.may_adopt.set()
        while starts:
            await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()
    assert world.adopted == [("a", 1), ("b", 2)]
    assert world.received == [b"1", b"2"]


async def test_one_that_is_replaced_while_it_is_adopted_comes_again() -> None:
    world = World()
    starts = world.starts
    async with anyio.create_task_group() as group:
        group.start_soon(starts.run)
        starts.take(claimed("a"), is_told=True)
        await anyio.lowlevel.checkpoint()
        starts.take(claimed("a"), is_told=True)
        world.may_adopt.set()
        while starts:
            await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()
    assert world.adopted == [("a", 0), ("a", 0)]
