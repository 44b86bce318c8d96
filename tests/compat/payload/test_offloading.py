"""Clients and workers with a payload store: whole payloads at both ends, small ones in the hub's store."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from durable_async import (
    BackendError,
    BackendUnavailableError,
    OrchestrationFailedError,
    PayloadTooLargeError,
    Registry,
    TaskHub,
)
from durable_async.backends.memory import MemoryBackend, MemoryStore as MemoryHub
from durable_async.testing import VirtualEnvironment, virtual_time
from durabletask import entities, task
from durabletask._runtime.offloading import BoundedTexts, offloading
from durabletask.client import AsyncTaskHubGrpcClient, OrchestrationStatus, TaskHubGrpcClient
from durabletask.payload import LargePayloadStorageOptions, LocalFolderPayloadStore
from durabletask.worker import TaskHubGrpcWorker

from .stores import MemoryStore

LOG = logging.getLogger(__name__)
SECONDS = 30
LARGE = "abc" * 1_000


# -- as a program has it


def double(ctx: task.ActivityContext, text: str) -> str:
    return text + text


def doubles(ctx: task.OrchestrationContext, text: str) -> Generator[Any, Any, str]:
    ctx.set_custom_status(text)
    event = yield ctx.wait_for_external_event("more")
    kept = yield ctx.call_entity(entities.EntityInstanceId("keeper", "k"), "keep", event)
    result: str = yield ctx.call_activity("double", input=kept)
    return result


def keeper(ctx: entities.EntityContext, text: str) -> str:
    ctx.set_state(text)
    return text


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'hub.db'}"


@pytest.fixture
def store(tmp_path: Path) -> LocalFolderPayloadStore:
    return LocalFolderPayloadStore(tmp_path / "payloads", LargePayloadStorageOptions(500))


def test_a_program_sees_whole_payloads(
    url: str, store: LocalFolderPayloadStore, tmp_path: Path
) -> None:
    with (
        TaskHubGrpcClient(host_address=url, logger=LOG, payload_store=store) as client,
        TaskHubGrpcWorker(host_address=url, logger=LOG, payload_store=store) as worker,
    ):
        worker.add_orchestrator(doubles)
        worker.add_activity(double)
        worker.add_entity(keeper)
        worker.start()
        instance_id = client.schedule_new_orchestration(doubles, input=LARGE)
        client.raise_orchestration_event(instance_id, "more", data=LARGE.upper())
        state = client.wait_for_orchestration_completion(instance_id, timeout=SECONDS)
        assert state is not None
        assert state.runtime_status is OrchestrationStatus.COMPLETED
        assert state.get_output() == LARGE.upper() * 2
        assert state.get_input() == LARGE
        assert state.get_custom_status() == LARGE
        entity = client.get_entity(entities.EntityInstanceId("keeper", "k"))
        assert entity is not None
        assert LARGE.upper() in str(entity.get_state(str))
    assert len(list((tmp_path / "payloads").glob("*/*"))) == 3
    assert LARGE.encode() not in everything(tmp_path / "hub.db")
    assert LARGE.upper().encode() not in everything(tmp_path / "hub.db")


def everything(path: Path) -> bytes:
    with closing(sqlite3.connect(path)) as connection:
        return "\n".join(connection.iterdump()).encode()


async def test_the_async_client_has_it_too(url: str, store: LocalFolderPayloadStore) -> None:
    async with AsyncTaskHubGrpcClient(host_address=url, logger=LOG, payload_store=store) as client:
        instance_id = await client.schedule_new_orchestration("nobody", input=LARGE)
        state = await client.get_orchestration_state(instance_id)
        assert state is not None
        assert state.get_input() == LARGE


# -- the same in virtual time, closer to the store


async def echo(ctx: Any, text: str) -> str:
    return text


async def grow(text: str) -> str:
    return text * 100


async def grows(ctx: Any, text: str) -> str:
    return str(await ctx.call_activity("grow", text))


def registry() -> Registry:
    made = Registry()
    made.orchestrator(echo)
    made.orchestrator(grows)
    made.activity(grow)
    return made


@asynccontextmanager
async def opened(env: VirtualEnvironment, store: MemoryStore) -> AsyncIterator[TaskHub]:
    backend = offloading(MemoryBackend(MemoryHub(env)), store)
    opening = TaskHub.open(
        backend, registry=registry(), payloads=BoundedTexts(store), environment=env
    )
    async with opening as hub, hub.worker():
        yield hub


@virtual_time
async def test_payloads_go_to_the_store_and_come_from_it(env: VirtualEnvironment) -> None:
    store = MemoryStore()
    async with opened(env, store) as hub:
        assert await (await hub.client.start("echo", LARGE)).wait() == LARGE
        assert await (await hub.client.start("echo", "x" * 100)).wait() == "x" * 100
        assert await (await hub.client.start("echo", "number:0")).wait() == "number:0"
    assert list(store.kept.values()) == [LARGE.encode()]
    assert store.awaited > 0


@virtual_time
async def test_what_is_too_large_is_refused_where_it_is_made(env: VirtualEnvironment) -> None:
    store = MemoryStore(max_stored_payload_bytes=5_000)
    async with opened(env, store) as hub:
        with pytest.raises(ValueError, match="5,000") as refused:
            await hub.client.start("echo", "x" * 5_001)
        assert isinstance(refused.value, PayloadTooLargeError)
        with pytest.raises(OrchestrationFailedError) as failed:
            await (await hub.client.start("grows", "x" * 99)).wait()
        assert failed.value.failure.root.is_type("PayloadTooLargeError")


@virtual_time
async def test_what_comes_around_that_limit_is_not_stored(env: VirtualEnvironment) -> None:
    store = MemoryStore(max_stored_payload_bytes=200)
    backend = offloading(MemoryBackend(MemoryHub(env)), store)
    async with TaskHub.open(backend, payloads=BoundedTexts(MemoryStore()), environment=env) as hub:
        with pytest.raises(BackendError, match="201 bytes") as caught:
            await hub.client.start("echo", "x" * 201)
        assert not caught.value.retryable


def test_a_threshold_above_the_limit_refuses_nothing_below_it() -> None:
    texts = BoundedTexts(MemoryStore(threshold_bytes=300, max_stored_payload_bytes=200))
    assert len(texts.encode("x" * 300, "input")) == 300
    with pytest.raises(ValueError, match="300"):
        texts.encode("x" * 301, "input")


class CloudError(Exception):
    def __init__(self, status_code: int) -> None:
        super().__init__(f"status {status_code}")
        self.status_code = status_code


class Clouded(MemoryStore):
    """Fails as clouds do."""

    status_code = 0

    async def download_async(self, token: str) -> bytes:
        if self.status_code:
            raise CloudError(self.status_code)
        return await super().download_async(token)


@pytest.mark.parametrize(
    ("status_code", "is_lost"), [(404, True), (410, True), (500, False), (403, False)]
)
@virtual_time
async def test_what_is_lost_is_told_from_what_is_away(
    env: VirtualEnvironment, status_code: int, is_lost: bool
) -> None:
    store = Clouded()
    backend = offloading(MemoryBackend(MemoryHub(env)), store)
    async with TaskHub.open(backend, payloads=BoundedTexts(store), environment=env) as hub:
        await hub.client.start("echo", LARGE, instance_id="i")
        await hub.client.start("echo", LARGE + "2", instance_id="j")
        store.status_code = status_code
        fresh = offloading(hub.backend._backend, store)  # type: ignore[attr-defined]
        with pytest.raises(BackendError, match=f"status {status_code}") as caught:
            await fresh.read(["i"], payloads=True)
        assert isinstance(caught.value, BackendUnavailableError) is not is_lost


@virtual_time
async def test_another_kind_of_store_does_not_read_what_is_not_its_own(
    env: VirtualEnvironment, tmp_path: Path
) -> None:
    inner = MemoryBackend(MemoryHub(env))
    store = MemoryStore()
    async with TaskHub.open(
        offloading(inner, store), payloads=BoundedTexts(store), environment=env
    ) as hub:
        await hub.client.start("echo", LARGE, instance_id="i")
        other = offloading(inner, LocalFolderPayloadStore(tmp_path))
        with pytest.raises(BackendError, match="LocalFolderPayloadStore knows no such tokens"):
            await other.read(["i"], payloads=True)
