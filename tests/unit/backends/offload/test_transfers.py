"""Uploads and downloads: not twice, not for ever, and each failure as what it is."""

from __future__ import annotations

from itertools import pairwise

import anyio
import pytest

from durable_async.backends.offload.references import Reference
from durable_async.backends.offload.transfers import REUSED_MAX, REUSED_SECONDS, Transfers
from durable_async.errors import BackendError, BackendUnavailableError
from durable_async.testing import VirtualEnvironment, virtual_time

from .stores import ShakyPayloads

A, B = b"a" * 20, b"b" * 20


def transfers(env: VirtualEnvironment, store: ShakyPayloads, cache_bytes: int = 0) -> Transfers:
    return Transfers(store, env, seconds_max=5.0, cache_bytes=cache_bytes)


@virtual_time
async def test_the_same_payload_is_uploaded_once_an_hour(env: VirtualEnvironment) -> None:
    store = ShakyPayloads()
    there = transfers(env, store)

    first = await there.upload([A, B, bytes(A)])
    assert await there.upload([A]) == {A: first[A]}
    assert sorted(store.uploads) == [A, B]
    await anyio.sleep(REUSED_SECONDS - 1)
    await there.upload([A])
    assert len(store.uploads) == 2
    await anyio.sleep(2)
    await there.upload([A])
    assert len(store.uploads) == 3


@virtual_time
async def test_what_was_uploaded_is_not_uploaded_again_after_a_failure(
    env: VirtualEnvironment,
) -> None:
    store = ShakyPayloads()
    there = transfers(env, store)
    await there.upload([A])
    store.is_away = True
    with pytest.raises(
        BackendUnavailableError, match="cannot keep a payload: ConnectionError: away"
    ):
        await there.upload([A, B])
    store.is_away = False

    await there.upload([A, B])

    assert store.uploads == [A, B, B]


@virtual_time
async def test_a_payload_that_can_never_be_kept_is_told_of_first(env: VirtualEnvironment) -> None:
    store = ShakyPayloads()
    store.refuses = A
    there = transfers(env, store)
    with pytest.raises(BackendError, match="too large") as caught:
        await there.upload([B, A])
    assert not caught.value.retryable


@virtual_time
async def test_a_store_that_hangs_is_given_up_and_left_alone_for_a_while(
    env: VirtualEnvironment,
) -> None:
    store = ShakyPayloads()
    store.hangs = True
    there = transfers(env, store)
    asked = []
    for _ in range(400):
        began = env.monotonic()
        with pytest.raises(BackendUnavailableError):
            await there.upload([A])
        if env.monotonic() > began:
            asked.append(began)
        await anyio.sleep(1)
    assert [later - sooner for sooner, later in pairwise(asked)] == [10, 15, 25, 45, 85, 165]
    store.hangs = False
    await anyio.sleep(300)
    await there.upload([A])
    store.hangs = True
    for _ in range(2):
        began = env.monotonic()
        with pytest.raises(BackendUnavailableError):
            await there.upload([B])
        assert env.monotonic() == pytest.approx(began + 5)
        await anyio.sleep(6)


@virtual_time
async def test_a_call_that_cancels_itself_has_failed(env: VirtualEnvironment) -> None:
    store = ShakyPayloads()
    there = transfers(env, store)
    reference = Reference.to(A, await store.upload(A))
    store.cancels = True
    with pytest.raises(BackendUnavailableError):
        await there.upload([A])
    assert (await there.download([reference]))[1][reference].retryable


@virtual_time
async def test_each_failed_download_is_told_of(env: VirtualEnvironment) -> None:
    store = ShakyPayloads()
    there = transfers(env, store)
    good = Reference.to(A, await store.upload(A))
    gone = Reference.to(B, "nowhere")
    spoilt = Reference.to(B, good.token)

    found, failed = await there.download([good, gone, spoilt])
    assert found == {good: A}
    assert [failed[one].retryable for one in (gone, spoilt)] == [False, False]

    store.is_away = True
    found, failed = await there.download([good])
    assert found == {}
    assert isinstance(failed[good], BackendUnavailableError)


@virtual_time
async def test_what_was_used_last_is_kept_in_memory(env: VirtualEnvironment) -> None:
    store = ShakyPayloads()
    there = transfers(env, store, cache_bytes=100)
    payloads = [bytes([letter]) * 20 for letter in b"abcdef"]
    stored = [Reference.to(one, await store.upload(one)) for one in payloads]

    for one in stored:
        await there.download([one])
    await there.download(stored[1:])  # of six there is room for five
    assert len(store.downloads) == 6
    await there.download(stored[:1])
    assert len(store.downloads) == 7


@virtual_time
async def test_what_is_large_beside_the_memory_for_it_is_not_kept(env: VirtualEnvironment) -> None:
    store = ShakyPayloads()
    there = transfers(env, store, cache_bytes=79)
    reference = Reference.to(A, await store.upload(A))
    for _ in range(2):
        await there.download([reference])
    assert len(store.downloads) == 2


@virtual_time
async def test_what_was_sent_is_remembered_within_bounds(env: VirtualEnvironment) -> None:
    store = ShakyPayloads()
    there = transfers(env, store)
    many = [b"%020d" % number for number in range(REUSED_MAX + 1)]
    await there.upload(many)
    await there.upload([many[0]])
    assert len(store.uploads) == REUSED_MAX + 2
