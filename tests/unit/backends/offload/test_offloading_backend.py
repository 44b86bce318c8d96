"""What a hub's store holds instead of payloads, and what becomes of calls when the payload store fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

from durable_async.backends.memory import MemoryBackend, MemoryStore
from durable_async.backends.offload import OffloadingBackend
from durable_async.backends.offload.references import MARK
from durable_async.backends.sqlite import SqliteBackend
from durable_async.environment import SystemEnvironment
from durable_async.errors import BackendError, BackendUnavailableError, CorruptHistoryError
from durable_async.model.history import (
    EventRaised,
    ExecutionStarted,
    ExecutionTerminated,
    HistoryEvent,
)
from durable_async.model.records import ClaimedInstance, InstanceFilter, Work
from durable_async.model.status import Status
from durable_async.serialization.events import (
    decode_events,
    decode_letter,
    decode_snapshot,
    encode_events,
    encode_letter,
)
from durable_async.testing import VirtualEnvironment, virtual_time
from durable_async.testing.conformance.driver import (
    ENTITY,
    Driver,
    deliver,
    entity_turn,
    history_of,
    letter,
    new,
    operation,
    queued,
    read_one,
    start,
    turn,
)

from .stores import ShakyPayloads

LARGE, OTHER = b"L" * 400, b"O" * 400
EVENT = EventRaised("e", LARGE)
STARTED: list[HistoryEvent] = [ExecutionStarted("checkout", None, LARGE)]


def encode_letter_with(payload: bytes) -> bytes:
    return encode_letter(EventRaised("e", payload))


def mail_ids(claimed: ClaimedInstance) -> tuple[int, ...]:
    return tuple(mail.id for mail in claimed.mail)


class Bench:
    """A hub over a store in memory, and the same store as it is underneath.

    Attributes:
        store: Where large payloads go.
        inner: What the hub's own store holds.
        backend: What everybody else sees.
        worker: A worker.
    """

    def __init__(self, env: VirtualEnvironment) -> None:
        self.store = ShakyPayloads(threshold_bytes=100)
        self.inner = MemoryBackend(MemoryStore(env))
        self.backend = OffloadingBackend(
            self.inner, self.store, environment=env, transfer_seconds_max=5.0, cache_bytes=0
        )
        self.worker: Driver

    async def open(self) -> Bench:
        await self.backend.open()
        self.worker = await Driver.register(self.backend, "w", 3600.0)
        return self

    async def claim_with_payload(self) -> Any:
        return await self.worker.start("a", events=encode_events(STARTED))

    async def fetch_for_all(self) -> Work:
        return await self.worker.fetch(activities=10)


async def bench(env: VirtualEnvironment) -> Bench:
    return await Bench(env).open()


# -- what is stored


@virtual_time
async def test_the_store_holds_references_and_everybody_sees_payloads(
    env: VirtualEnvironment,
) -> None:
    there = await bench(env)
    claimed = await there.claim_with_payload()
    assert decode_events("a", claimed.history[0].events) == STARTED

    await there.worker.commit(
        turn(
            claimed,
            custom_status=OTHER,
            queued=(queued(claimed, input=LARGE),),
            outbox=(letter("a", msgspec.msgpack.encode([40, "e", OTHER])),),
        )
    )
    for stored in (there.inner, there.backend):
        record = await read_one(stored, "a")
        (mail,) = await stored.read_letters("a", limit=9)
        is_whole = stored is there.backend
        assert (record.custom_status == OTHER) is is_whole
        assert (LARGE in (record.started_events or b"")) is is_whole
        assert (OTHER in mail.letter) is is_whole
    (_, raw), *_ = await history_of(there.inner, "a")
    (event,) = decode_events("a", raw)
    assert isinstance(event, ExecutionStarted)
    assert event.name == "checkout"
    assert event.input is not None
    assert event.input.startswith(MARK)
    work = await there.worker.fetch_activities()
    assert [one.activity.input for one in work.activities] == [LARGE]
    assert sorted(there.store.uploads) == [LARGE, OTHER]


@virtual_time
async def test_entities_and_answers(env: VirtualEnvironment) -> None:
    there = await bench(env)
    claimed = await there.worker.open("k", encode_letter_with(LARGE))
    assert decode_letter("k", claimed.mail[0].letter) == EVENT
    await there.worker.commit(entity_turn(claimed, state=msgspec.msgpack.encode([OTHER])))
    (record,) = await there.backend.read_entities([claimed.instance_id])
    assert record is not None
    assert decode_snapshot("k", record.state).state == OTHER
    (raw,) = await there.inner.read_entities([claimed.instance_id])
    assert raw is not None
    assert OTHER not in (raw.state or b"")


# -- failing uploads


@virtual_time
async def test_a_commit_whose_payload_cannot_be_uploaded_writes_nothing(
    env: VirtualEnvironment,
) -> None:
    there = await bench(env)
    claimed = await there.worker.start("a")
    there.store.is_away = True
    item = turn(claimed, custom_status=LARGE)
    with pytest.raises(BackendUnavailableError):
        await there.worker.commit(item)
    assert await there.backend.read_fence("w") == there.worker.fence
    there.store.is_away = False

    await there.worker.commit(item)

    assert (await read_one(there.backend, "a")).custom_status == LARGE


@virtual_time
async def test_a_commit_that_is_repeated_uploads_nothing_again(env: VirtualEnvironment) -> None:
    there = await bench(env)
    claimed = await there.worker.start("a")
    commit = there.inner.commit

    async def lost(*_: Any) -> Any:
        raise BackendUnavailableError("not sent")

    there.inner.commit = lost  # type: ignore[method-assign]
    for _ in range(3):
        with pytest.raises(BackendUnavailableError):
            await there.worker.commit(turn(claimed, custom_status=LARGE))
    there.inner.commit = commit  # type: ignore[method-assign]
    await there.worker.commit(turn(claimed, custom_status=LARGE))
    assert there.store.uploads == [LARGE]


@virtual_time
async def test_a_payload_that_can_never_be_kept_is_an_error_of_its_own(
    env: VirtualEnvironment,
) -> None:
    there = await bench(env)
    there.store.refuses = LARGE
    with pytest.raises(BackendError, match="too large") as caught:
        await start(there.backend, "a", events=encode_events(STARTED))
    assert not caught.value.retryable


# -- failing downloads


@virtual_time
async def test_an_instance_whose_history_cannot_be_had_is_told_of_as_unreadable_for_now(
    env: VirtualEnvironment,
) -> None:
    there = await bench(env)
    order = encode_letter(ExecutionTerminated())
    await there.backend.create([new("a", events=encode_events(STARTED)), new("b")])
    await deliver(there.backend, letter("a", order), letter("a", encode_letter_with(LARGE)))
    there.store.is_away = True

    claimed = {one.instance_id: one for one in (await there.fetch_for_all()).claimed}

    assert claimed["b"].history[0].events == b"started b"
    assert [one.letter for one in claimed["a"].mail] == [order]
    with pytest.raises(BackendUnavailableError, match="away"):
        decode_events("a", claimed["a"].history[0].events)


@virtual_time
async def test_an_entity_whose_state_cannot_be_had_is_unreadable_for_now(
    env: VirtualEnvironment,
) -> None:
    there = await bench(env)
    claimed = await there.worker.open("k")
    await there.worker.commit(
        entity_turn(claimed, state=msgspec.msgpack.encode([LARGE]), consumed=mail_ids(claimed)),
    )
    await there.backend.retire_worker(there.worker.fence)
    there.worker = await Driver.register(there.backend, "w2", 3600.0)
    await deliver(there.backend, operation("k"))
    there.store.is_away = True
    (again,) = (await there.worker.fetch(names=frozenset({ENTITY}))).claimed
    with pytest.raises(BackendUnavailableError, match="away"):
        decode_snapshot("k", again.state)


@virtual_time
async def test_what_is_lost_is_unreadable_for_good_and_nothing_else_is(
    env: VirtualEnvironment,
) -> None:
    there = await bench(env)
    await start(there.backend, "a", events=encode_events(STARTED))
    await deliver(there.backend, letter("a", encode_letter_with(OTHER)))
    there.store.kept = {token: one for token, one in there.store.kept.items() if one == LARGE}

    claimed = await there.worker.claim_one()

    assert decode_events("a", claimed.history[0].events) == STARTED
    with pytest.raises(CorruptHistoryError, match="payload store does not return"):
        decode_letter("a", claimed.mail[0].letter)
    with pytest.raises(BackendError, match="payload store does not return"):
        await there.backend.read_letters("a", limit=9)


@virtual_time
async def test_letters_of_what_is_owned_stay_where_they_are(env: VirtualEnvironment) -> None:
    there = await bench(env)
    await there.worker.start("a")
    there.store.is_away = False
    await deliver(there.backend, letter("a", encode_letter_with(LARGE)))
    there.store.is_away = True
    (mail,) = await there.worker.fetch_mail()
    with pytest.raises(BackendUnavailableError, match="away"):
        decode_letter("a", mail.letter)
    there.store.is_away = False
    assert [one.letter for one in await there.backend.read_letters("a", limit=9)] == [
        encode_letter_with(LARGE)
    ]


async def with_queued(there: Bench, *inputs: bytes) -> None:
    claimed = await there.worker.start("a")
    await there.worker.commit(
        turn(
            claimed,
            queued=tuple(queued(claimed, seq, input=one) for seq, one in enumerate(inputs, 1)),
        )
    )


@virtual_time
async def test_activities_are_kept_back_until_their_input_can_be_had(
    env: VirtualEnvironment,
) -> None:
    there = await bench(env)
    await with_queued(there, LARGE, b"small", OTHER)
    there.store.is_away = True
    work = await there.fetch_for_all()
    assert [one.activity.input for one in work.activities] == [b"small"]
    assert (await there.fetch_for_all()).activities == ()
    there.store.is_away = False

    work = await there.fetch_for_all()

    assert [one.activity.input for one in work.activities] == [LARGE, OTHER]
    assert [one.attempts for one in work.activities] == [1, 1]
    assert (await there.fetch_for_all()).activities == ()


@virtual_time
async def test_no_more_are_claimed_than_may_be_kept_back(env: VirtualEnvironment) -> None:
    there = await bench(env)
    await with_queued(there, *[b"%0200d" % number for number in range(40)])
    there.store.is_away = True
    for _ in range(9):
        assert (await there.worker.fetch_activities(4)).activities == ()
    there.store.is_away = False
    for _ in range(9):
        assert len((await there.worker.fetch_activities(4)).activities) == 4


@virtual_time
async def test_a_fetch_that_is_undone_takes_back_what_was_kept_back(
    env: VirtualEnvironment,
) -> None:
    there = await bench(env)
    await with_queued(there, LARGE)
    there.store.is_away = True
    await there.fetch_for_all()
    await there.backend.take_stock(there.worker.fence, there.worker.fetches)
    there.store.is_away = False
    assert [one.attempts for one in (await there.fetch_for_all()).activities] == [1]
    assert (await there.fetch_for_all()).activities == ()


@virtual_time
async def test_a_worker_that_goes_takes_nothing_along(env: VirtualEnvironment) -> None:
    there = await bench(env)
    await with_queued(there, LARGE)
    there.store.is_away = True
    await there.fetch_for_all()
    await there.backend.retire_worker(there.worker.fence)
    there.store.is_away = False
    there.worker = await Driver.register(there.backend, "w2", 3600.0)
    assert [one.activity.input for one in (await there.fetch_for_all()).activities] == [LARGE]


@virtual_time
async def test_an_activity_whose_input_is_lost_is_told_of_all_the_same(
    env: VirtualEnvironment,
) -> None:
    there = await bench(env)
    await with_queued(there, LARGE)
    there.store.kept.clear()
    (item,) = (await there.fetch_for_all()).activities
    assert b"payload store does not return" in item.activity.input


@virtual_time
async def test_what_is_read_without_payloads_needs_none(env: VirtualEnvironment) -> None:
    there = await bench(env)
    claimed = await there.claim_with_payload()
    await there.worker.commit(turn(claimed, custom_status=OTHER, status=Status.RUNNING))
    there.store.kept.clear()
    (record,) = await there.backend.read(["a"], payloads=False)
    assert record is not None
    assert (record.status, record.custom_status) == (Status.RUNNING, None)
    page = await there.backend.query(InstanceFilter(), limit=9, page=None, payloads=False)
    assert page.items == (record,)
    with pytest.raises(BackendError):
        await there.backend.read(["a"], payloads=True)


# -- bounds


@virtual_time
async def test_histories_are_bounded_with_their_payloads_in_them(env: VirtualEnvironment) -> None:
    there = await bench(env)
    claimed = await there.claim_with_payload()
    for number in range(1, 5):
        events = msgspec.msgpack.encode([[40, "e", bytes([number]) * 400]])
        await there.worker.commit(turn(claimed, number, events=events))
    page = await there.backend.read_history("a", bytes_max=900)
    assert [row.turn for row in page.rows] == [0, 1]
    assert page.more
    page = await there.backend.read_history("a", after_turn=3, bytes_max=10)
    assert [row.turn for row in page.rows] == [4]
    assert not page.more
    await there.backend.retire_worker(there.worker.fence)
    worker = await Driver.register(there.backend, "w2", 3600.0)
    await deliver(there.backend, letter("a"))
    (again,) = (await worker.fetch(history_bytes_max=900)).claimed
    assert [row.turn for row in again.history] == [0, 1]
    assert again.more_history


@virtual_time
async def test_a_store_that_hangs_holds_nobody_for_ever(env: VirtualEnvironment) -> None:
    there = await bench(env)
    there.store.hangs = True
    with anyio.fail_after(10), pytest.raises(BackendUnavailableError):
        await start(there.backend, "a", events=encode_events(STARTED))


def test_it_tells_the_name_of_its_hub(tmp_path: Path) -> None:
    inner = SqliteBackend(tmp_path / "hub.db", hub="billing", environment=SystemEnvironment())
    assert OffloadingBackend(inner, ShakyPayloads()).hub_name == "billing"
    assert OffloadingBackend(MemoryBackend(), ShakyPayloads()).hub_name is None
