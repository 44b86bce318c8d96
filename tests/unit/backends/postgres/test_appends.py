"""A batch of one bare turn has a statement of its own, which leaves what the function for all batches would leave, and tells as much."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Any, ClassVar

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from durable_async.backends.postgres import PostgresBackend
from durable_async.errors import BackendUnavailableError, FencedError
from durable_async.failure import FailureDetails
from durable_async.model.policy import ReusePolicy
from durable_async.model.records import (
    CommitResult,
    Fence,
    QueuedActivity,
    Recount,
    TurnCommit,
    Will,
)
from durable_async.model.status import Status
from durable_async.testing.conformance.driver import Driver, letter, new
from durable_async.testing.postgres import PostgresLab, ThrowawayPostgres

from .schemas import connected

TABLES = (
    "select i.id, h.execution, h.turn, h.events from durable_async.history h join durable_async.instances i using (hub, key)",
    (
        "select id, execution, attempts, ending, owner, status, marked, ready_at_us is null, completed_at_us = updated_at_us, output, failure,"
        " custom_status, will_to, will_letter from durable_async.instances"
    ),
    "select i.id, q.seq, q.name from durable_async.queued_activities q join durable_async.instances i using (hub, key)",
    "select i.id, l.letter, l.final from durable_async.letters l join durable_async.instances i using (hub, key)",
    "select id, seq from durable_async.workers",
)


class Watched(PostgresBackend):
    """Notes by which statements it commits; one that goes the long way only has no other."""

    goes_the_long_way = False

    def __init__(self, dsn: str, **options: Any) -> None:
        super().__init__(dsn, **options)
        self.statements: list[str] = []
        self.hints: list[tuple[Any, ...]] = []
        give = self._ears.give

        def noting(
            brought_work: bool, changed: Any, states: Any = frozenset(), progress: Any = frozenset()
        ) -> None:
            if brought_work or changed or states or progress:
                self.hints.append((bool(brought_work), set(changed), set(states), set(progress)))
            give(brought_work, changed, states, progress)

        self._ears.give = noting  # type: ignore[method-assign]

    async def _commit_alone(self, fence: Fence, turn: TurnCommit) -> bool:
        return False if self.goes_the_long_way else await super()._commit_alone(fence, turn)

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


async def test_a_turn_that_shows_a_status_is_one_statement(one: Watched) -> None:
    driver = await claimed(one)
    one.statements.clear()
    await driver.commit(append(2, status=Status.RUNNING))
    await driver.commit(append(3, status=Status.COMPLETED, output=b"1"))
    assert one.statements == ["show_turn", "show_turn"]
    assert (await one.read_fence("worker")) == driver.fence
    [found] = await one.read(["a"], payloads=True)
    assert found is not None
    assert (found.status, found.output, found.owner) == (Status.COMPLETED, b"1", None)


async def test_a_will_that_goes_out_and_an_end_that_comes_are_for_the_long_way(
    one: Watched,
) -> None:
    driver = await claimed(one)
    await one.send([letter("a", final=True)])
    await driver.commit(append(2, status=Status.RUNNING))
    assert one.statements[-2:] == ["show_turn", "commit_batch"]
    await driver.commit(append(3, will=Will(receivers=("b",), letter=b"bye")))
    await driver.commit(append(4, status=Status.COMPLETED))
    assert one.statements[-2:] == ["show_turn", "commit_batch"]
    assert (await one.read_fence("worker")) == driver.fence


@pytest.mark.parametrize("status", [None, Status.RUNNING, Status.COMPLETED])
@pytest.mark.parametrize(
    "turn", [append(1), append(2, execution=2), append(2, instance_id="stranger")]
)
async def test_what_may_not_be_written_is_left_out(
    one: Watched, turn: TurnCommit, status: Status | None
) -> None:
    driver = await claimed(one)
    turn = msgspec.structs.replace(turn, status=status)
    result = await driver.commit(turn)
    assert result.dropped == {turn.instance_id}
    assert (await one.read_fence("worker")) == driver.fence
    assert (await driver.commit(append(2))).dropped == frozenset()


@pytest.mark.parametrize("status", [None, Status.RUNNING, Status.COMPLETED])
async def test_a_fenced_worker_appends_nothing(one: Watched, status: Status | None) -> None:
    driver = await claimed(one)
    late = driver.fence
    await driver.commit(append(2))
    with pytest.raises(FencedError):
        await one.commit(late, [append(3, status=status)])
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

SHOWN = (
    {"status": Status.RUNNING},
    {"status": Status.COMPLETED, "output": b"1"},
    {"status": Status.FAILED, "failure": FailureDetails(error_type="E", message="broken")},
)
EXTRA: dict[str, dict[str, Any]] = {
    "will": {"will": Will(receivers=("a", "stranger"), letter=b"bye")},
    "queue": {
        "queued": (
            QueuedActivity(instance_id="a", execution=1, seq=1, attempt=1, name="x", input=b"1"),
        )
    },
}
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(0, 2), st.integers(1, 2)),
        st.tuples(st.just("append"), st.just(1), st.just(1)),
        st.tuples(st.just("consume"), st.just(1), st.just(1)),
        st.tuples(st.just("show"), st.integers(0, 2), st.integers(1, 2), st.sampled_from(SHOWN)),
        st.tuples(st.just("show"), st.just(1), st.just(1), st.sampled_from(SHOWN)),
        st.tuples(
            st.sampled_from(
                ["letter", "final", "recount", "replace", "claim", "late", "will", "queue"]
            )
        ),
    ),
    max_size=12,
)


class World:
    """A hub with a worker, in which steps are done; two of them are to stay the same but for the way."""

    kinds: ClassVar = (Watched, LongWay)

    def __init__(self, backend: Watched) -> None:
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
            case ["show", ahead, execution, shown]:
                return await self.commit(self.written + ahead, execution, (), **shown)
            case ["will" | "queue" as what]:
                return await self.commit(self.written + 1, 1, (), **EXTRA[what])
            case ["letter" | "final" as what]:
                return await self.backend.send([letter("a", final=what == "final")])
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

    async def commit(
        self, turn: int, execution: int, consumed: tuple[int, ...], **effects: Any
    ) -> Any:
        result = await self.driver.commit(
            append(turn, execution=execution, consumed=consumed, **effects)
        )
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
            assert worlds[0].backend.hints == worlds[1].backend.hints
        finally:
            for world in worlds:
                await world.backend.close()

    asyncio.run(live())
