"""A batch of one turn that only appends has a statement of its own, which leaves what the function for all batches would leave."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings, strategies as st

from durable_async.backends.postgres import PostgresBackend
from durable_async.errors import BackendUnavailableError, FencedError
from durable_async.model.policy import ReusePolicy
from durable_async.model.records import CommitResult, Fence, Recount, TurnCommit
from durable_async.testing.conformance.driver import Driver, letter, new
from durable_async.testing.postgres import PostgresLab, ThrowawayPostgres

from .schemas import connected

TABLES = (
    "select i.id, h.execution, h.turn, h.events from durable_async.history h join durable_async.instances i using (hub, key)",
    "select id, execution, attempts, ending, owner, status from durable_async.instances",
    "select i.id, l.letter, l.final from durable_async.letters l join durable_async.instances i using (hub, key)",
    "select id, seq from durable_async.workers",
)


class Watched(PostgresBackend):
    """Notes by which statements it commits; one that goes the long way only has no other."""

    goes_the_long_way = False

    def __init__(self, dsn: str, **options: Any) -> None:
        super().__init__(dsn, **options)
        self.statements: list[str] = []

    async def _append(self, fence: Fence, turn: TurnCommit) -> bool:
        return False if self.goes_the_long_way else await super()._append(fence, turn)

    async def _on(self, run: Any, name: str, values: tuple[Any, ...]) -> list[Any]:
        self.statements.append(name)
        return await super()._on(run, name, values)

    async def _put(self, run: Any, name: str, values: tuple[Any, ...], told_of: Any) -> list[Any]:
        self.statements.append(name)
        return await super()._put(run, name, values, told_of)


class LongWay(Watched):
    goes_the_long_way = True


@pytest.fixture
async def one(postgres_server: ThrowawayPostgres, fresh_name: str) -> AsyncIterator[Watched]:
    backend = Watched(postgres_server.dsn, hub=fresh_name)
    await backend.open()
    yield backend
    await backend.close()


def append(turn: int, **fields: Any) -> TurnCommit:
    about: dict[str, Any] = {"instance_id": "a", "execution": 1, "events": b"turn %d" % turn}
    return TurnCommit(turn=turn, **(about | fields))


async def claimed(backend: PostgresBackend) -> Driver:
    """Have a worker that owns ``a`` and has written its first turn."""
    driver = await Driver.register(backend, "worker")
    await driver.start("a")
    await driver.commit(append(1))
    return driver


async def test_it_is_one_statement(one: Watched) -> None:
    driver = await claimed(one)
    one.statements.clear()
    await driver.commit(append(2))
    assert one.statements == ["append_turn"]
    assert (await one.read_fence("worker")) == driver.fence


@pytest.mark.parametrize(
    "turn", [append(1), append(2, execution=2), append(2, instance_id="stranger")]
)
async def test_what_may_not_be_written_is_left_out(one: Watched, turn: TurnCommit) -> None:
    driver = await claimed(one)
    result = await driver.commit(turn)
    assert result.dropped == {turn.instance_id}
    assert (await one.read_fence("worker")) == driver.fence
    assert (await driver.commit(append(2))).dropped == frozenset()


async def test_a_fenced_worker_appends_nothing(one: Watched) -> None:
    driver = await claimed(one)
    late = driver.fence
    await driver.commit(append(2))
    with pytest.raises(FencedError):
        await one.commit(late, [append(3)])
    assert (await driver.commit(append(3))).dropped == frozenset()


async def test_attempts_and_an_end_that_comes_are_for_the_long_way(one: Watched) -> None:
    driver = await claimed(one)
    await driver.commit(Recount(instance_id="a", attempts=2))
    await driver.commit(append(2))
    assert one.statements[-1] == "commit_batch"
    await one.send([letter("a", final=True)])
    await driver.commit(append(3))
    assert one.statements[-1] == "commit_batch"


async def test_the_fence_tells_of_an_append_whose_answer_was_lost(
    one: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = await claimed(one)
    with monkeypatch.context() as patch:
        run = one._commits.run

        async def lossy(job: Any) -> Any:
            await run(job)
            raise BackendUnavailableError("lost")

        patch.setattr(one._commits, "run", lossy)
        with pytest.raises(BackendUnavailableError):
            await driver.commit(append(2))
    found = await one.read_fence("worker")
    assert found.seq == driver.fence.seq + 1
    with pytest.raises(FencedError):  # sent again as it was, it would be nobody's
        await one.commit(driver.fence, [append(2)])
    assert (await one.commit(found, [append(2)])).dropped == {"a"}


# -- the law

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(0, 2), st.integers(1, 2)),
        st.tuples(st.just("append"), st.just(1), st.just(1)),
        st.tuples(st.just("consume"), st.just(1), st.just(1)),
        st.tuples(st.sampled_from(["final", "recount", "replace", "claim", "late"])),
    ),
    max_size=12,
)


class World:
    """A hub with a worker, in which steps are done; two of them are to stay the same but for the way."""

    kinds: ClassVar = (Watched, LongWay)

    def __init__(self, backend: PostgresBackend) -> None:
        self.backend = backend
        self.written = 1

    async def begin(self) -> None:
        await self.backend.open()
        self.driver = await claimed(self.backend)

    async def do(self, step: tuple[Any, ...]) -> Any:
        match step:
            case ["append" | "consume" as what, ahead, execution]:
                mail = await self.backend.read_letters("a", limit=1) if what == "consume" else ()
                consumed = tuple(one.id for one in mail)
                return await self.commit(self.written + ahead, execution, consumed)
            case ["final"]:
                return await self.backend.send([letter("a", final=True)])
            case ["recount"]:
                return _outcome(await self.driver.commit(Recount(instance_id="a", attempts=3)))
            case ["replace"]:
                return await self.backend.create(
                    [new("a", events=b"again", reuse=ReusePolicy.REPLACE)]
                )
            case ["claim"]:
                return [(one.instance_id, one.attempts) for one in await self.driver.claim()]
            case ["late"]:
                fence = self.driver.fence
                late = Fence(worker_id="worker", epoch=fence.epoch, seq=fence.seq - 1)
                with pytest.raises(FencedError):
                    await self.backend.commit(late, [append(self.written + 1)])
        return None

    async def commit(self, turn: int, execution: int, consumed: tuple[int, ...]) -> Any:
        result = await self.driver.commit(append(turn, execution=execution, consumed=consumed))
        if not result.dropped:
            self.written = max(turn, self.written)
        return _outcome(result)

    async def look(self, dsn: str) -> list[list[tuple[Any, ...]]]:
        """Return what the hub's tables hold, but for numbers that are nobody's business."""
        async with connected(dsn) as connection:
            return [
                sorted(
                    map(tuple, await connection.fetch(f"{sql} where hub = $1", self.backend._hub))
                )
                for sql in TABLES
            ]


def _outcome(result: CommitResult) -> Any:
    return result.fence.seq, result.dropped


@settings(max_examples=25)
@given(STEPS)
def test_both_ways_leave_the_same(postgres_lab: PostgresLab, steps: list[tuple[Any, ...]]) -> None:
    async def live() -> None:
        dsn = postgres_lab.dsn
        worlds = [World(kind(dsn, hub=f"way{os.urandom(6).hex()}")) for kind in World.kinds]
        try:
            for world in worlds:
                await world.begin()
            for step in steps:
                short, long = [await world.do(step) for world in worlds]
                assert short == long
            short, long = [await world.look(dsn) for world in worlds]
            assert short == long
        finally:
            for world in worlds:
                await world.backend.close()

    asyncio.run(live())
