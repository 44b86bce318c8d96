"""Answers: what came of a request, for the client that waits for it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from durable_async.backend import Backend
from durable_async.model.policy import ReusePolicy
from durable_async.model.records import Answer

from .base import ConformanceBase
from .driver import (
    EVERY_BYTE,
    HOSTILE_IDS,
    Driver,
    bodies,
    deliver,
    entity,
    entity_turn,
    new,
    operation,
    start,
    turn,
)
from .wakeups import Listener


def answer(request_id: str, body: bytes = b"answer") -> Answer:
    """Describe an answer."""
    return Answer(request_id=request_id, answer=body)


class AnswerConformance(ConformanceBase):
    """Answers are written with the turn that gives them."""

    @pytest_asyncio.fixture
    async def listener(self, backend: Backend) -> AsyncIterator[Listener]:
        """Yield one that listens to the backend under test."""
        listener = Listener()
        stop = backend.listen(listener.on_work, listener.on_changed, listener.on_progress)
        yield listener
        stop()

    async def test_there_is_none_before(self, worker: Driver, rival: Driver) -> None:
        """A client sends, a worker takes and answers, the client reads."""
        await deliver(rival.backend, operation("a", b"call", request_id="r"))
        assert await rival.backend.read_answers(["r"]) == [None]
        claimed = await worker.claim_one()
        assert await rival.backend.read_answers(["r"]) == [None]
        taken = tuple(one.id for one in claimed.mail)
        await worker.commit(
            entity_turn(claimed, consumed=taken, answers=(answer("r", EVERY_BYTE),))
        )
        assert await rival.backend.read_answers(["r"]) == [EVERY_BYTE]
        assert await rival.backend.read_answers(["r"]) == [EVERY_BYTE]

    async def test_they_stand_in_the_order_of_the_arguments(self, worker: Driver) -> None:
        """With ``None`` where there is none, and doubles for doubles."""
        claimed = await worker.open("a")
        given = (answer("r1", b"1"), answer("r2", b""), answer("r3", b"x" * 100_000))
        await worker.commit(entity_turn(claimed, answers=given))
        asked = ["r3", "nobody", "r1", "r2", "r1"]
        assert await worker.backend.read_answers(asked) == [b"x" * 100_000, None, b"1", b"", b"1"]
        assert await worker.backend.read_answers([]) == []

    async def test_hostile_request_ids_come_through_unharmed(self, worker: Driver) -> None:
        """Each has its own answer."""
        claimed = await worker.open("a")
        given = tuple(answer(one, one.encode()) for one in HOSTILE_IDS)
        await worker.commit(entity_turn(claimed, answers=given))
        found = await worker.backend.read_answers(HOSTILE_IDS)
        assert found == [one.encode() for one in HOSTILE_IDS]

    async def test_orchestrations_answer_as_entities_do(self, worker: Driver) -> None:
        """Several turns of one batch, too."""
        await start(worker.backend, "one", "two")
        one, two = await worker.claim()
        await worker.commit(
            turn(one, answers=(answer("r1", b"1"),)), turn(two, answers=(answer("r2", b"2"),))
        )
        assert await worker.backend.read_answers(["r1", "r2"]) == [b"1", b"2"]

    async def test_the_first_one_stands(self, worker: Driver) -> None:
        """What a client has read does not change."""
        claimed = await worker.open("a")
        await worker.commit(entity_turn(claimed, answers=(answer("r", b"1"), answer("r", b"2"))))
        assert await worker.backend.read_answers(["r"]) == [b"1"]
        await worker.commit(entity_turn(claimed, answers=(answer("r", b"3"), answer("s", b"4"))))
        assert await worker.backend.read_answers(["r", "s"]) == [b"1", b"4"]

    async def test_a_dropped_turn_gives_none(self, worker: Driver, rival: Driver) -> None:
        """Nobody is told of what did not happen."""
        claimed = await worker.open("a")
        late = entity_turn(claimed, answers=(answer("r"),))
        assert (await rival.commit(late)).dropped == frozenset({entity("a")})
        assert await worker.backend.read_answers(["r"]) == [None]

    async def test_they_are_apart_from_what_starts_and_letters_got(self, worker: Driver) -> None:
        """The same request may be repeated after it was answered, and is still the same."""
        call = operation("a", b"call", request_id="r")
        wanted = new("i", request_id="r", reuse=ReusePolicy.REPLACE)
        await deliver(worker.backend, call)
        [first] = await worker.backend.create([wanted])
        claims = {one.instance_id: one for one in await worker.claim()}
        claimed = claims[entity("a")]
        taken = tuple(one.id for one in claimed.mail)
        await worker.commit(entity_turn(claimed, consumed=taken, answers=(answer("r"),)))
        await deliver(worker.backend, call)
        assert await worker.backend.create([wanted]) == [first]
        assert bodies(await worker.fetch_mail()) == []
        assert await worker.backend.read_answers(["r"]) == [b"answer"]

    async def test_one_answered_before_it_is_sent_is_sent_all_the_same(
        self, worker: Driver
    ) -> None:
        """An answer says nothing of whether a letter was delivered."""
        claimed = await worker.open("a")
        taken = tuple(one.id for one in claimed.mail)
        await worker.commit(entity_turn(claimed, consumed=taken, answers=(answer("r"),)))
        await deliver(worker.backend, operation("a", b"call", request_id="r"))
        assert bodies(await worker.fetch_mail()) == [b"call"]

    async def test_an_answer_is_announced_when_it_can_be_read(
        self, worker: Driver, listener: Listener
    ) -> None:
        """To whoever waits for the request."""
        claimed = await worker.open("a")
        await listener.until_work()
        listener.forget()
        await worker.commit(entity_turn(claimed, answers=(answer("r"),)))
        await listener.until_changed("r")
        assert await worker.backend.read_answers(["r"]) == [b"answer"]

    async def test_a_new_state_is_announced_when_it_can_be_read(
        self, worker: Driver, listener: Listener
    ) -> None:
        """To whoever watches the entity."""
        claimed = await worker.open("a")
        await listener.until_work()
        for state, expected in ((b"state", b"state"), (b"", None)):
            listener.forget()
            await worker.commit(entity_turn(claimed, state=state))
            await listener.until_changed(entity("a"))
            [record] = await worker.backend.read_entities([entity("a")])
            assert record is not None
            assert record.state == expected
