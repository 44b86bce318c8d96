"""How entities lie in the file: ranges of ids, what a turn costs, and what is swept."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from durable_async.backends.sqlite import SqliteBackend
from durable_async.backends.sqlite.entities import end_of_prefix
from durable_async.backends.sqlite.transaction import Statements
from durable_async.environment import SystemEnvironment
from durable_async.model.records import (
    Answer,
    ClaimedInstance,
    CommitItem,
    EntityFilter,
    Fence,
    InstanceFilter,
    Mail,
    NextExecution,
    Park,
    Recount,
    TurnCommit,
    Will,
)
from durable_async.model.status import Status

from .support import fetch, new, opened, signal, turn

LAST_CHAR = "\U0010ffff"

chars = st.one_of(
    st.sampled_from(["a", "b", "\x7f", "\ud7ff", "\ue000", "\uffff", "\U00010000", LAST_CHAR]),
    st.characters(exclude_categories=("Cs", "Cc")),
)
keys = st.text(chars, max_size=4)


@given(prefix=keys, other=keys)
def test_a_prefix_is_a_range_in_byte_order(prefix: str, other: str) -> None:
    begin, entity_id = f"@{prefix}", f"@{other}"
    in_range = begin.encode() <= entity_id.encode() < end_of_prefix(begin).encode()
    assert in_range == entity_id.startswith(begin)


@settings(max_examples=15)
@given(
    ids=st.sets(keys.filter(bool).map("@n@".__add__), max_size=8),
    prefix=keys.map("@n@".__add__),
    size=st.integers(1, 3),
)
def test_pages_of_a_prefix_hold_each_of_its_entities_once_in_byte_order(
    ids: set[str], prefix: str, size: int
) -> None:
    async def pages(path: Path) -> list[str]:
        found: list[str] = []
        async with opened(path, inline=True) as backend:
            await backend.create([new(one[1:]) for one in ids])
            await backend.send([signal(one) for one in ids])
            page: str | None = None
            while True:
                got = await backend.query_entities(
                    EntityFilter(id_prefix=prefix), limit=size, page=page
                )
                assert len(got.items) <= size
                found += [one.instance_id for one in got.items]
                page = got.next_page
                if page is None:
                    return found

    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(pages(Path(folder) / "hub.db"))
    assert found == sorted(
        (one for one in ids if one.startswith(prefix)), key=lambda one: one.encode()
    )


class Work:
    """One worker in one process, whose fence goes on by itself."""

    def __init__(self, backend: SqliteBackend, fence: Fence) -> None:
        self.backend = backend
        self.fence = fence

    async def claim(self) -> dict[str, ClaimedInstance]:
        return {one.instance_id: one for one in (await fetch(self.backend, self.fence)).claimed}

    async def mail(self) -> tuple[Mail, ...]:
        return (await fetch(self.backend, self.fence)).mail

    async def commit(self, *items: CommitItem) -> frozenset[str]:
        result = await self.backend.commit(self.fence, items)
        self.fence = result.fence
        return result.dropped

    async def letters(self, instance_id: str) -> list[bytes]:
        return [one.letter for one in await self.backend.read_letters(instance_id, limit=99)]


@pytest.fixture
async def work(tmp_path: Path) -> AsyncIterator[Work]:
    async with opened(tmp_path / "hub.db", inline=True) as backend:
        yield Work(backend, await backend.register_worker("w", 30))


def entity_turn(entity_id: str, execution: int = 1, **fields: object) -> TurnCommit:
    return TurnCommit(
        instance_id=entity_id,
        execution=execution,
        turn=1,
        events=b"",
        **fields,  # type: ignore[arg-type]
    )


async def test_a_million_entities_are_in_nobodys_way(work: Work) -> None:
    """The index that lists orchestrations holds no entity."""
    await work.backend.send([signal(f"@n@{number}") for number in range(50)])
    await work.backend.create([new("a")])
    writer = work.backend._connections["writer"]
    sizes = "select count(*) from instances indexed by {} where hub = 1 and created_at_us > 0 {}"
    assert writer.execute(
        sizes.format("instances_by_creation", "and is_entity = 0")
    ).fetchone() == (1,)
    page = await work.backend.query(InstanceFilter(), limit=10, page=None, payloads=False)
    assert [one.instance_id for one in page.items] == ["a"]


async def test_a_recount_after_a_turn_of_an_entity_counts(work: Work) -> None:
    """The turn forgets attempts in a statement of its own, which comes before."""
    await work.backend.send([signal("@n@k")])
    assert (await work.claim())["@n@k"].attempts == 1
    await work.commit(entity_turn("@n@k", state=b"s"), Recount(instance_id="@n@k", attempts=3))
    await work.backend.retire_worker(work.fence)  # which takes the present claim off
    work.fence = await work.backend.register_worker("later", 30)
    assert (await work.claim())["@n@k"].attempts == 3


async def test_a_group_is_one_also_if_the_primary_key_refuses_one_of_its_turns(work: Work) -> None:
    await work.backend.create([new("a"), new("b")])
    await work.backend.send([signal("@n@k")])
    await work.claim()
    await work.commit(turn("a", 1))
    dropped = await work.commit(
        turn("b", 1),
        entity_turn("@n@k", state=b"s", group=7, answers=(Answer(request_id="r", answer=b"x"),)),
        TurnCommit(instance_id="a", execution=1, turn=1, events=b"again", group=7),
    )
    assert dropped == {"@n@k", "a"}
    assert await work.backend.read_answers(["r"]) == [None]
    assert len((await work.backend.read_history("b", bytes_max=99)).rows) == 2


async def test_many_wills_cost_as_many_statements_as_one(work: Work, calls: Counter[str]) -> None:
    """Those in the file and those of the batch itself; a will that stands costs nothing."""
    ids = [f"i{number}" for number in range(9)]
    receivers = tuple(f"@n@{number}" for number in range(3))
    await work.backend.create([new(one) for one in ids])
    await work.backend.send([signal(one) for one in receivers])
    await work.claim()
    await work.commit(
        *[with_will(one, 1, Will(receivers=receivers, letter=one.encode())) for one in ids]
    )

    async def cost(*items: CommitItem) -> Counter[str]:
        await work.mail()
        calls.clear()
        assert await work.commit(*items) == frozenset()
        return Counter(calls)

    assert (await cost(turn("i8", 2)))["load_wills"] == 0
    one = await cost(renewed("i0", 2))
    assert one["load_wills"] == 1
    many = await cost(
        *[renewed(one, 2) for one in ids[1:7]],
        Park(instance_id="i7", reason="parked"),
        renewed("i8", 3, Will(receivers=receivers, letter=b"newer")),
    )
    assert many == one
    said = [b"op", *[one.encode() for one in ids[:8]], b"newer"]
    for entity_id in receivers:
        assert await work.letters(entity_id) == said
    writer = work.backend._connections["writer"]
    assert writer.execute("select count(will_letter) from instances").fetchone() == (0,)


async def test_what_waits_in_a_mailbox_is_not_read_again_with_each_letter_that_arrives(
    work: Work,
) -> None:
    """Otherwise a locked entity with a long queue would cost its square."""
    await work.backend.send([signal("@n@k", b"1"), signal("@n@k", b"2")])
    assert len((await work.claim())["@n@k"].mail) == 2
    for number in (b"3", b"4"):
        await work.backend.send([signal("@n@k", number)])
        assert [one.letter for one in await work.mail()] == [number]
    assert await work.mail() == ()


async def test_a_letter_that_comes_with_a_start_while_a_fetch_waits_for_the_lock_is_reported_with_it(
    work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one moment of the clock. What was seen without the lock is out of date when the fetch has it."""
    moment_us = work.backend.now_us() + 1
    monkeypatch.setattr(SystemEnvironment, "now_us", lambda _: moment_us)
    await work.backend.send([signal("@n@k", b"1")])
    await work.claim()
    await work.backend.create([new("ready")])
    async with opened(tmp_path / "hub.db", inline=True) as other:

        async def overtake() -> None:
            await other.send([signal("@n@k", b"the cause")])
            await other.create([new("effect")])

        @contextmanager
        def overtaken(tx: Statements) -> Iterator[None]:
            if not caused:
                caused.append(True)
                with pytest.raises(StopIteration):
                    overtake().send(None)  # an inline backend never waits
            with transaction(tx):
                yield

        caused: list[bool] = []
        transaction = Statements.transaction
        monkeypatch.setattr(Statements, "transaction", overtaken)
        found = await fetch(work.backend, work.fence)
    assert {one.instance_id for one in found.claimed} == {"ready", "effect"}
    assert [one.letter for one in found.mail] == [b"the cause"]


async def test_a_life_after_being_discarded_has_nothing_of_the_one_before(work: Work) -> None:
    """Not even if it comes to lie in the same place of the file."""
    await work.backend.send([signal("@n@k")])
    [mail] = (await work.claim())["@n@k"].mail
    await work.commit(entity_turn("@n@k", consumed=(mail.id,), state=b"s"))
    assert await work.backend.discard_entities(["@n@k"]) == []
    await work.commit(entity_turn("@n@k", state=b""))
    assert await work.backend.discard_entities(["@n@k", "@n@k", "@n@none"]) == ["@n@k"]
    await work.backend.send([signal("@n@k", b"later")])
    assert await work.commit(entity_turn("@n@k", state=b"late")) == {"@n@k"}
    claimed = (await work.claim())["@n@k"]
    assert (claimed.execution, claimed.state) == (2, None)
    assert [one.letter for one in claimed.mail] == [b"later"]


async def test_answers_do_not_stay_for_ever(tmp_path: Path) -> None:
    environment = Later()
    backend = SqliteBackend(tmp_path / "hub.db", environment=environment, inline=True)
    await backend.open()
    work = Work(backend, await backend.register_worker("w", 30 * 3600))
    await backend.send([signal("@n@k")])
    await work.claim()
    await work.commit(entity_turn("@n@k", answers=(Answer(request_id="old", answer=b"a"),)))
    environment.hours = 23
    await backend.take_over(work.fence)
    await work.commit(entity_turn("@n@k", answers=(Answer(request_id="new", answer=b"b"),)))
    assert await backend.read_answers(["new", "old", "none"]) == [b"b", b"a", None]
    environment.hours = 25
    await backend.take_over(work.fence)
    assert await backend.read_answers(["new", "old"]) == [b"b", None]
    await backend.close()


class Later(SystemEnvironment):
    hours = 0

    def now_us(self) -> int:
        return super().now_us() + self.hours * 3600 * 1_000_000


def with_will(instance_id: str, number: int, will: Will) -> TurnCommit:
    return TurnCommit(
        instance_id=instance_id,
        execution=1,
        turn=number,
        events=b"e",
        status=Status.RUNNING,
        will=will,
    )


def renewed(instance_id: str, number: int, will: Will | None = None) -> TurnCommit:
    return TurnCommit(
        instance_id=instance_id,
        execution=1,
        turn=number,
        events=b"e",
        will=will,
        next_execution=NextExecution(events=b"next", version=None),
    )
