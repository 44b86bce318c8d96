"""What the memory backend does beyond the promises of the port."""

from __future__ import annotations

import asyncio
import threading

import pytest

from durable_async.backends.memory import MemoryBackend, MemoryStore
from durable_async.backends.memory.requests import Remembered
from durable_async.errors import BackendError, FencedError, ValidationError
from durable_async.model.policy import ReusePolicy
from durable_async.model.records import Answer, InstanceFilter, Rewrite
from durable_async.model.status import Status
from durable_async.testing.conformance import Driver, ManualClock
from durable_async.testing.conformance.driver import entity_turn, ids, new, start, turn
from durable_async.testing.conformance.wakeups import Listener


async def opened(store: MemoryStore | None = None) -> MemoryBackend:
    backend = MemoryBackend(store, environment=ManualClock())
    await backend.open()
    return backend


async def test_a_backend_without_a_store_has_one_of_its_own() -> None:
    one, two = await opened(), await opened()
    await start(one, "a")
    assert await two.read(["a"], payloads=False) == [None]
    three = await opened(one.store)
    assert await three.read(["a"], payloads=True) == await one.read(["a"], payloads=True)


async def test_a_backend_that_is_not_open_says_so() -> None:
    backend = MemoryBackend(environment=ManualClock(), hub="shop")
    with pytest.raises(BackendError, match="hub 'shop': not open"):
        await backend.read([], payloads=False)
    await backend.open()
    await backend.close()
    with pytest.raises(BackendError, match="not open"):
        await backend.statistics()


async def test_the_clock_never_goes_back() -> None:
    clock = ManualClock()
    backend = MemoryBackend(environment=clock)
    before = backend.now_us()
    clock.advance(-3600)
    assert backend.now_us() == before
    clock.advance(3601)
    assert backend.now_us() == before + 1_000_000


async def test_epochs_are_never_used_twice() -> None:
    backend = await opened()
    first = await Driver.register(backend, "w")
    claimed = await first.start("a")
    await backend.retire_worker(first.fence)
    second = await Driver.register(backend, "w")
    assert second.fence.epoch > first.fence.epoch
    assert ids(await second.claim()) == ["a"]
    with pytest.raises(FencedError):
        await first.commit(turn(claimed))


async def test_a_workers_id_cannot_be_taken_twice() -> None:
    backend = await opened()
    await backend.register_worker("w", 30)
    with pytest.raises(FencedError):
        await backend.register_worker("w", 30)


async def test_a_page_of_another_query_is_refused() -> None:
    backend = await opened()
    with pytest.raises(ValidationError, match="page"):
        await backend.query(InstanceFilter(), limit=1, page="nonsense", payloads=False)


async def test_two_rewrites_of_one_instance_are_refused() -> None:
    worker = await Driver.register(await opened(), "w")
    await worker.restate(await worker.start("a"), status=Status.FAILED)
    rewrite = Rewrite(instance_id="a", execution=1, events=b"x", parent=None)
    assert not await worker.backend.rewrite([rewrite, rewrite])
    assert await worker.backend.rewrite([rewrite])
    assert await worker.backend.rewrite([])


async def test_the_callers_tags_stay_the_callers() -> None:
    backend = await opened()
    tags = {"k": "v"}
    await backend.create([new("a", tags=tags)])
    tags["k"] = "changed"
    [record] = await backend.read(["a"], payloads=False)
    assert record is not None
    record.tags["k"] = "changed as well"
    [again] = await backend.read(["a"], payloads=False)
    assert again is not None
    assert again.tags == {"k": "v"}


def test_answers_are_forgotten_after_their_time() -> None:
    answers: Remembered[str] = Remembered(100)
    answers.put("r1", "one", 0)
    answers.put("r2", "two", 99)
    assert answers.get("r1") == "one"
    answers.put("r3", "three", 100)
    assert [answers.get(key) for key in ("r1", "r2", "r3")] == [None, "two", "three"]
    answers.put(None, "never kept", 0)
    assert answers.get(None) is None
    assert answers.pop("r2") == "two"
    answers.forget(200)
    assert [answers.get(key) for key in ("r2", "r3")] == [None, None]


async def test_a_request_may_be_repeated_within_a_day() -> None:
    clock = ManualClock()
    backend = MemoryBackend(environment=clock)
    await backend.open()
    wanted = new("a", request_id="r", reuse=ReusePolicy.REPLACE)
    await backend.create([wanted])
    clock.advance(24 * 3600 + 1)
    await backend.create([new("b", request_id="r2")])
    [outcome] = await backend.create([wanted])
    assert outcome.execution == 2


async def test_answers_of_turns_are_forgotten_after_a_day() -> None:
    clock = ManualClock()
    backend = MemoryBackend(environment=clock)
    await backend.open()
    worker = await Driver.register(backend, "w", lease_seconds=10**6)
    claimed = await worker.open("a")

    async def answer(request_id: str) -> None:
        await worker.commit(
            entity_turn(claimed, answers=(Answer(request_id=request_id, answer=b"answer"),))
        )

    await answer("r1")
    clock.advance(24 * 3600 - 1)
    await answer("r2")
    assert await backend.read_answers(["r1", "r2"]) == [b"answer", b"answer"]
    clock.advance(2)
    await answer("r3")
    assert await backend.read_answers(["r1", "r2", "r3"]) == [None, b"answer", b"answer"]


async def test_hints_before_the_loop_turns_are_merged() -> None:
    backend = await opened()
    listener = Listener()
    backend.listen(listener.on_work, listener.on_changed)
    for number in range(100):
        await start(backend, f"i{number}")
    await listener.until_work()
    assert listener.works == 1
    worker = await Driver.register(backend, "worker")
    claimed = (await worker.fetch(instances=100)).claimed
    for one in claimed:
        await worker.restate(one, status=Status.COMPLETED)
    await listener.until_changed("i99")
    assert listener.changes == [frozenset(f"i{number}" for number in range(100))]


async def test_a_closed_backend_hears_nothing() -> None:
    store = MemoryStore(ManualClock())
    backend, other = await opened(store), await opened(store)
    deaf, listener = Listener(), Listener()
    backend.listen(deaf.on_work, deaf.on_changed)
    other.listen(listener.on_work, listener.on_changed)
    await backend.close()
    await start(other, "a")
    await listener.until_work()
    assert (deaf.works, deaf.changes) == (0, [])


async def test_a_listener_on_another_loop_is_called_there() -> None:
    store = MemoryStore(ManualClock())
    backend = await opened(store)
    listening, heard = threading.Event(), threading.Event()

    async def listen_elsewhere() -> None:
        other = await opened(store)
        called = asyncio.Event()
        other.listen(called.set, lambda _: None)
        listening.set()
        await called.wait()
        heard.set()
        await other.close()

    thread = threading.Thread(target=lambda: asyncio.run(listen_elsewhere()))
    thread.start()
    assert await asyncio.to_thread(listening.wait, 20)
    await start(backend, "a")
    assert await asyncio.to_thread(heard.wait, 20)
    await asyncio.to_thread(thread.join)
