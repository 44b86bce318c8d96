"""Groups: turns that answer each other are written together, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from durable_async.model.policy import ReusePolicy
from durable_async.model.records import Answer, ClaimedInstance, Will
from durable_async.model.status import Status

from .base import ConformanceBase
from .driver import (
    Driver,
    deliver,
    entity,
    entity_turn,
    history_of,
    letter,
    letters_of,
    new,
    operation,
    queued,
    read_entity,
    read_one,
    release,
    restart,
    start,
    turn,
)

Obstacle = Callable[[Driver, Driver, dict[str, ClaimedInstance]], Awaitable[object]]


async def replaced(worker: Driver, rival: Driver, claims: dict[str, ClaimedInstance]) -> None:
    """Replace the orchestration behind its owner's back."""
    await restart(rival.backend, "caller", ReusePolicy.REPLACE)


async def let_go(worker: Driver, rival: Driver, claims: dict[str, ClaimedInstance]) -> None:
    """Let the orchestration go, so that another worker has it."""
    await worker.commit(release("caller", wake_at_us=1))
    await rival.claim_one()


async def written(worker: Driver, rival: Driver, claims: dict[str, ClaimedInstance]) -> None:
    """Write the orchestration's turn before."""
    await worker.restate(claims["caller"], events=b"before")


async def forgotten(worker: Driver, rival: Driver, claims: dict[str, ClaimedInstance]) -> None:
    """Forget the entity that has nothing yet."""
    assert await rival.backend.discard_entities([entity("empty")]) == [entity("empty")]


OBSTACLES: tuple[Obstacle, ...] = (replaced, let_go, written, forgotten)


async def prepare(worker: Driver) -> dict[str, ClaimedInstance]:
    """Let a worker own two orchestrations, an entity with a letter, and one that has nothing."""
    await start(worker.backend, "caller", "other")
    await deliver(worker.backend, operation("full", b"call"), operation("empty", b"call"))
    claims = {one.instance_id: one for one in await worker.claim()}
    empty = claims[entity("empty")]
    await worker.commit(entity_turn(empty, consumed=(empty.mail[0].id,)))
    return claims


class GroupConformance(ConformanceBase):
    """All turns of a group are written, or none."""

    async def test_a_group_is_written_whole(self, worker: Driver) -> None:
        """As if its turns were alone, and the others of the batch with it."""
        claims = await prepare(worker)
        caller, full = claims["caller"], claims[entity("full")]
        taken = tuple(one.id for one in full.mail)
        result = await worker.commit(
            turn(caller, group=1, outbox=(operation("full", b"next"),)),
            entity_turn(full, group=1, state=b"state", consumed=taken),
            turn(claims["other"], group=2),
            entity_turn(claims[entity("empty")], state=b"state"),
            release("caller", wake_at_us=1),
        )
        assert result.dropped == frozenset()
        assert len(await history_of(worker.backend, "caller")) == 2
        assert len(await history_of(worker.backend, "other")) == 2
        assert await letters_of(worker.backend, entity("full")) == [b"next"]
        for key in ("full", "empty"):
            assert (await read_entity(worker.backend, key)).state == b"state"
        assert (await worker.claim_one()).instance_id == "caller"

    @pytest.mark.parametrize("obstacle", OBSTACLES)
    async def test_if_one_turn_is_dropped_nothing_of_its_group_happens(
        self, worker: Driver, rival: Driver, obstacle: Obstacle
    ) -> None:
        """Whichever it is, and wherever it stands; other groups and single turns do."""
        claims = await prepare(worker)
        await obstacle(worker, rival, claims)
        caller, other = claims["caller"], claims["other"]
        full, empty = claims[entity("full")], claims[entity("empty")]
        single = await worker.open("single")
        paired = await worker.open("paired")
        taken = tuple(one.id for one in full.mail)
        result = await worker.commit(
            entity_turn(single, state=b"state"),
            entity_turn(
                full,
                group=7,
                state=b"never",
                consumed=taken,
                outbox=(operation("opened", b"never"), letter("other", b"never")),
                answers=(Answer(request_id="never", answer=b"never"),),
                children=(new("never"),),
            ),
            turn(other, group=8),
            turn(caller, group=7, events=b"never", queued=(queued(caller),)),
            entity_turn(empty, group=7, state=b"never"),
            entity_turn(paired, group=8, state=b"state"),
        )
        assert result.dropped == {"caller", entity("full"), entity("empty")}
        backend = worker.backend
        record = await read_entity(backend, "full")
        assert (record.state, record.letters, record.owner) == (None, 1, "worker-1")
        [nothing] = await backend.read_entities([entity("empty")])
        assert nothing is None or nothing.state is None
        assert await backend.read_entities([entity("opened")]) == [None]
        assert await backend.read(["never"], payloads=False) == [None]
        assert await backend.read_answers(["never"]) == [None]
        assert await letters_of(backend, "other") == []
        assert b"never" not in [events for _, events in await history_of(backend, "caller")]
        assert (await rival.fetch_activities()).activities == ()
        for key in ("single", "paired"):
            assert (await read_entity(backend, key)).state == b"state"
        assert [number for number, _ in await history_of(backend, "other")] == [0, 1]

    async def test_what_follows_about_them_is_left_out_too(self, worker: Driver) -> None:
        """They stay owned, and their turns can be written afterwards."""
        claims = await prepare(worker)
        caller, full = claims["caller"], claims[entity("full")]
        await worker.restate(caller)
        result = await worker.commit(
            entity_turn(full, group=1, state=b"never"),
            release(entity("full"), wake_at_us=1),
            turn(caller, group=1, events=b"never", status=Status.COMPLETED),
            release("caller", wake_at_us=1),
        )
        assert result.dropped == {"caller", entity("full")}
        assert await worker.claim() == ()
        result = await worker.commit(
            entity_turn(full, group=1, state=b"state"), turn(caller, 2, group=1)
        )
        assert result.dropped == frozenset()
        assert (await read_entity(worker.backend, "full")).state == b"state"

    async def test_no_end_and_no_will_comes_of_a_dropped_group(self, worker: Driver) -> None:
        """Neither is a will executed, nor changed."""
        claims = await prepare(worker)
        caller, other = claims["caller"], claims["other"]
        receivers = (entity("empty"),)
        await worker.restate(caller, will=Will(receivers=receivers, letter=b"will"))
        await worker.restate(other)
        result = await worker.commit(
            turn(
                caller,
                2,
                group=1,
                will=Will(receivers=receivers, letter=b"never"),
                status=Status.COMPLETED,
            ),
            turn(other, 1, group=1),
        )
        assert result.dropped == {"caller", "other"}
        assert await letters_of(worker.backend, entity("empty")) == []
        assert (await read_one(worker.backend, "caller")).status is Status.PENDING
        await worker.restate(caller, number=2, status=Status.COMPLETED)
        assert await letters_of(worker.backend, entity("empty")) == [b"will"]

    async def test_one_that_is_absent_spoils_its_group(self, worker: Driver) -> None:
        """It is reported with the others."""
        claims = await prepare(worker)
        caller = claims["caller"]
        absent = entity_turn(
            ClaimedInstance(
                instance_id=entity("absent"),
                name="@counter",
                version=None,
                status=Status.RUNNING,
                execution=1,
                attempts=1,
                start_at_us=0,
                parent=None,
                history=(),
                more_history=False,
                mail=(),
            ),
            group=1,
            state=b"never",
        )
        result = await worker.commit(turn(caller, group=1), absent)
        assert result.dropped == {"caller", entity("absent")}
        assert await history_of(worker.backend, "caller") == [(0, b"started caller")]

    async def test_turns_without_a_group_stand_alone(self, worker: Driver) -> None:
        """Zero is none."""
        claims = await prepare(worker)
        await worker.restate(claims["caller"])
        result = await worker.commit(turn(claims["caller"], group=0), turn(claims["other"]))
        assert result.dropped == {"caller"}
        assert len(await history_of(worker.backend, "other")) == 2

    async def test_several_groups_may_fail_each_for_its_own_reason(
        self, worker: Driver, rival: Driver
    ) -> None:
        """And leave the one between them alone."""
        claims = await prepare(worker)
        await worker.restate(claims["caller"])
        await restart(rival.backend, "other", ReusePolicy.REPLACE)
        keys = ("one", "two", "three")
        one, two, three = [await worker.open(key) for key in keys]
        result = await worker.commit(
            entity_turn(one, group=1, state=b"never"),
            entity_turn(two, group=2, state=b"state"),
            entity_turn(three, group=3, state=b"never"),
            turn(claims["caller"], group=1),
            entity_turn(claims[entity("full")], group=2, state=b"state"),
            turn(claims["other"], group=3),
        )
        assert result.dropped == {"caller", "other", entity("one"), entity("three")}
        states = [(await read_entity(worker.backend, key)).state for key in (*keys, "full")]
        assert states == [None, b"state", None, b"state"]

    async def test_a_replacement_at_the_same_time_comes_before_it_all_or_after(
        self, worker: Driver, rival: Driver
    ) -> None:
        """Never in between."""
        full = await worker.open("full")
        for number in range(12):
            caller = await worker.start(f"i{number:02}")
            result, _ = await asyncio.gather(
                worker.commit(
                    turn(caller, group=1, outbox=(operation("log", b"%d" % number),)),
                    entity_turn(full, group=1, state=b"%d" % number),
                ),
                restart(rival.backend, caller.instance_id, ReusePolicy.REPLACE),
            )
            assert result.dropped in (frozenset(), {caller.instance_id, entity("full")})
            is_written = not result.dropped
            record = await read_entity(worker.backend, "full")
            assert (record.state == b"%d" % number) == is_written
            logged = await letters_of(worker.backend, entity("log"))
            assert (b"%d" % number in logged) == is_written
            await worker.claim()

    @pytest.mark.parametrize("is_before", [True, False])
    async def test_a_replacement_in_the_same_batch_does_not_split_it(
        self, worker: Driver, is_before: bool
    ) -> None:
        """A child of somebody else takes the place of one of its instances."""
        claims = await prepare(worker)
        caller, full = claims["caller"], claims[entity("full")]
        child = new("caller", events=b"child", reuse=ReusePolicy.REPLACE)
        replacing = turn(claims["other"], children=(child,))
        group = (
            turn(caller, group=1, outbox=(operation("log", b"written"),)),
            entity_turn(full, group=1, state=b"written"),
        )
        batch = (replacing, *group) if is_before else (*group, replacing)
        result = await worker.commit(*batch)
        assert result.dropped in (frozenset(), {"caller", entity("full")})
        is_written = not result.dropped
        state = (await read_entity(worker.backend, "full")).state
        assert (state == b"written") == is_written
        logged = await letters_of(worker.backend, entity("log"))
        assert (logged == [b"written"]) == is_written
        assert (await read_one(worker.backend, "caller")).execution == 2
