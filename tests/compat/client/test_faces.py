"""Both clients, over hubs of their own, in real time: the same words, and what becomes of who waits."""

from __future__ import annotations

import asyncio
import inspect
import logging
import sys
import threading
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from durabletask import client as faces
from durabletask._runtime.hosts import Host, attach, resolve
from durabletask._runtime.rpc import RpcError, StatusCode
from durabletask._runtime.verbs import Verbs
from durabletask.azuremanaged.client import DurableTaskSchedulerClient
from durabletask.client import (
    AsyncTaskHubGrpcClient,
    OrchestrationFailedError,
    OrchestrationStatus,
    TaskHubGrpcClient,
)
from durabletask.entities import EntityInstanceId
from durabletask.internal.shared import get_grpc_channel
from durabletask.payload import LargePayloadStorageOptions, PayloadStore
from durabletask.serialization import JsonDataConverter
from durabletask.worker import TaskHubGrpcWorker

from .programs import registry

QUIET = logging.getLogger("durabletask-test")


@pytest.fixture
def url() -> str:
    return f"memory://{uuid.uuid4().hex}"


@pytest.fixture
def worker(url: str) -> Iterator[Host]:
    """A worker of durable_async's own, on the clients' hub."""
    host = attach(resolve(url))
    begun, stop = threading.Event(), asyncio.Event()

    async def work() -> None:
        async with host.task_hub(registry).worker():
            begun.set()
            await stop.wait()

    async def end() -> None:
        stop.set()

    working = host.submit(work())
    assert begun.wait(60)
    yield host
    host.run(end())
    working.result()
    host.detach()


async def echo(ctx: Any, value: Any) -> Any:
    """Named as the one that the worker has."""


def test_a_program_that_waits_in_its_thread(url: str, worker: Host) -> None:
    with TaskHubGrpcClient(host_address=url, logger=QUIET) as client:
        instance_id = client.schedule_new_orchestration(echo, input=[1, "two"])
        state = client.wait_for_orchestration_completion(instance_id)
        assert state is not None
        assert state.get_output() == [1, "two"]
        assert client.get_orchestration_state(instance_id) == state
        assert client.wait_for_orchestration_start(instance_id) is not None
        assert [one.instance_id for one in client.get_all_orchestration_states()] == [instance_id]
        assert client.list_instance_ids().items == [instance_id]
        assert len(client.get_orchestration_history(instance_id)) >= 4
        assert client.restart_orchestration(instance_id) == instance_id
        client.wait_for_orchestration_completion(instance_id)
        client.schedule_new_orchestration("waiting", instance_id="w")
        client.wait_for_orchestration_start("w")
        client.suspend_orchestration("w")
        client.resume_orchestration("w", reason="enough")
        client.raise_orchestration_event("w", "go", data=1)
        client.wait_for_orchestration_completion("w")
        client.schedule_new_orchestration("failing", instance_id="f")
        failed = client.wait_for_orchestration_completion("f")
        assert failed is not None
        with pytest.raises(OrchestrationFailedError):
            failed.raise_if_failed()
        client.rewind_orchestration("f")
        client.terminate_orchestration("f", output="over")
        client.wait_for_orchestration_completion("f")
        assert client.purge_orchestration("w").deleted_instance_count == 1
        purged = client.purge_orchestrations_by(timeout=timedelta(seconds=60))
        assert purged.deleted_instance_count == 2
        entity = EntityInstanceId("counter", "a")
        client.signal_entity(entity, "add", 2)
        assert client.get_entity(entity) is not None
        assert client.get_all_entities() is not None
        assert client.clean_entity_storage() is not None


def test_all_that_is_purged_is_counted(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'hub.db'}"
    with TaskHubGrpcClient(host_address=url, logger=QUIET) as client:
        ids = [client.schedule_new_orchestration("gone") for _ in range(50)]
        with TaskHubGrpcWorker(host_address=url, logger=QUIET) as worker:
            worker.start()  # what it does not know fails
            for instance_id in ids:
                client.wait_for_orchestration_completion(instance_id)
        assert client.purge_orchestrations_by().deleted_instance_count == 50


async def test_a_program_that_awaits(url: str, worker: Host) -> None:
    async with AsyncTaskHubGrpcClient(host_address=url, logger=QUIET) as client:
        instance_id = await client.schedule_new_orchestration(echo, input=[1, "two"])
        state = await client.wait_for_orchestration_completion(instance_id)
        assert state is not None
        assert state.runtime_status is OrchestrationStatus.COMPLETED
        assert state.get_output() == [1, "two"]
        several = [client.schedule_new_orchestration(echo, input=n) for n in range(20)]
        ids = await asyncio.gather(*several)
        ended = await asyncio.gather(*map(client.wait_for_orchestration_completion, ids))
        assert [one and one.get_output() for one in ended] == list(range(20))


async def test_both_share_what_there_is_and_the_same_errors(url: str) -> None:
    blocking = TaskHubGrpcClient(host_address=url, logger=QUIET)
    awaiting = AsyncTaskHubGrpcClient(host_address=url, logger=QUIET)
    await awaiting.schedule_new_orchestration("echo", instance_id="x")
    assert blocking.get_orchestration_state("x") is not None
    with pytest.raises(RpcError) as first:
        blocking.schedule_new_orchestration("echo", instance_id="x")
    with pytest.raises(RpcError) as second:
        await awaiting.schedule_new_orchestration("echo", instance_id="x")
    for caught in (first, second):
        assert caught.value.status is StatusCode.ALREADY_EXISTS
    with pytest.raises(TimeoutError):
        blocking.wait_for_orchestration_start("x", timeout=0.01)
    with pytest.raises(TimeoutError):
        await awaiting.wait_for_orchestration_start("x", timeout=0.01)
    assert awaiting.emit_trace_spans
    blocking.close()
    await awaiting.close()


def test_nothing_is_opened_before_the_first_call(tmp_path: Path) -> None:
    client = TaskHubGrpcClient(host_address=f"sqlite:///{tmp_path}/x.db", logger=QUIET)
    assert list(tmp_path.iterdir()) == []
    assert client.get_orchestration_state("x") is None
    assert (tmp_path / "x.db").exists()
    client.close()


def test_hubs_are_named_by_metadata(tmp_path: Path) -> None:
    def make(hub: str) -> TaskHubGrpcClient:
        return TaskHubGrpcClient(
            host_address=f"sqlite:///{tmp_path}/x.db", metadata=[("taskhub", hub)], logger=QUIET
        )

    with make("one") as one, make("two") as two, make("one") as again:
        one.schedule_new_orchestration("echo", instance_id="x")
        assert two.get_orchestration_state("x") is None
        assert again.get_orchestration_state("x") is not None


@pytest.mark.parametrize("kind", [TaskHubGrpcClient, AsyncTaskHubGrpcClient])
async def test_a_closed_client_says_so(kind: Any, url: str) -> None:
    client = kind(host_address=url, logger=QUIET)
    for _ in range(2):
        closing = client.close()
        if closing is not None:
            await closing
    with pytest.raises(RuntimeError, match="closed"):
        asked = client.get_orchestration_state("x")
        await asked


def test_who_waits_when_the_client_is_closed_hears_of_it(url: str) -> None:
    client = TaskHubGrpcClient(host_address=url, logger=QUIET)
    client.schedule_new_orchestration("echo", instance_id="x")
    caught: list[BaseException] = []

    def wait() -> None:
        try:
            client.wait_for_orchestration_completion("x")
        except RpcError as error:
            caught.append(error)

    waiter = threading.Thread(target=wait)
    waiter.start()
    # It waits as soon as the verb runs; closing before that is refused as well, with another error.
    while waiter.is_alive() and not any(
        "wait_for_orchestration_completion" in repr(task) for task in tasks_of(client)
    ):
        pass
    client.close()
    waiter.join(60)
    [error] = caught
    assert isinstance(error, RpcError)
    assert error.status is StatusCode.CANCELLED


def tasks_of(client: TaskHubGrpcClient) -> set[Any]:
    async def tasks() -> set[Any]:
        return asyncio.all_tasks()

    host = client._connection._host
    assert host is not None
    return host.run(tasks())


async def test_cancelling_who_awaits_cancels_the_wait(url: str) -> None:
    async with AsyncTaskHubGrpcClient(host_address=url, logger=QUIET) as client:
        await client.schedule_new_orchestration("echo", instance_id="x")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await client.wait_for_orchestration_completion("x")
        assert await client.get_orchestration_state("x") is not None


def test_a_store_that_does_not_answer_is_unavailable() -> None:
    with TaskHubGrpcClient(
        host_address="postgresql://nobody@127.0.0.1:1/none", logger=QUIET
    ) as client:
        with pytest.raises(RpcError) as caught:
            client.get_orchestration_state("x")
        assert caught.value.status is StatusCode.UNAVAILABLE


def test_a_converter_of_the_programs_own_is_used(url: str) -> None:
    class Shouting(JsonDataConverter):
        def serialize(self, value: Any) -> str | None:
            return str(value).upper()

        def deserialize(self, data: str | None, target_type: type | None = None) -> Any:
            return f"{data}!"

    with TaskHubGrpcClient(host_address=url, logger=QUIET, data_converter=Shouting()) as client:
        client.schedule_new_orchestration("echo", input="hello", instance_id="x")
        state = client.get_orchestration_state("x")
        assert state is not None
        assert (state.serialized_input, state.get_input()) == ("HELLO", "HELLO!")


def test_arguments_about_logging_are_checked_and_used(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    handler = logging.StreamHandler(sys.stdout)
    with pytest.raises(ValueError, match="logger"):
        TaskHubGrpcClient(logger=QUIET, log_handler=handler)
    with pytest.warns(DeprecationWarning, match="log_handler") as warned:
        client = TaskHubGrpcClient(host_address=url, log_handler=handler)
    assert warned[0].filename == __file__
    client.schedule_new_orchestration("echo", instance_id="x")
    client.close()
    assert "'x'" in capsys.readouterr().out


def test_a_warning_names_the_line_that_makes_the_client(url: str) -> None:
    with pytest.warns(DeprecationWarning, match="log_handler") as warned:
        DurableTaskSchedulerClient(
            host_address=url,
            taskhub="hub",
            token_credential=None,
            log_handler=logging.NullHandler(),
        )
    assert warned[0].filename == __file__


def test_a_channel_may_tell_the_address(url: str) -> None:
    with TaskHubGrpcClient(host_address=url, logger=QUIET) as client:
        client.schedule_new_orchestration("echo", instance_id="x")
        channel = get_grpc_channel(url)
        with TaskHubGrpcClient(
            host_address="memory://other", channel=channel, logger=QUIET
        ) as same:
            assert same.get_orchestration_state("x") is not None


class Store(PayloadStore):
    """Keeps payloads in a dict."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    @property
    def options(self) -> LargePayloadStorageOptions:
        return LargePayloadStorageOptions(threshold_bytes=100, max_stored_payload_bytes=10_000)

    def upload(self, data: bytes, *, instance_id: str | None = None) -> str:
        token = f"kept:{len(self.kept)}"
        self.kept[token] = data
        return token

    def download(self, token: str) -> bytes:
        return self.kept[token]

    async def upload_async(self, data: bytes, *, instance_id: str | None = None) -> str:
        return self.upload(data, instance_id=instance_id)

    async def download_async(self, token: str) -> bytes:
        return self.download(token)

    def is_known_token(self, value: str) -> bool:
        return value.startswith("kept:")


async def test_large_payloads_are_kept_in_the_programs_store(url: str) -> None:
    store = Store()
    with TaskHubGrpcClient(host_address=url, logger=QUIET, payload_store=store) as client:
        client.schedule_new_orchestration("echo", input="small", instance_id="s")
        assert store.kept == {}
        client.schedule_new_orchestration("echo", input="x" * 1000, instance_id="x")
        assert store.kept != {}
        state = client.get_orchestration_state("x")
        assert state is not None
        assert state.get_input() == "x" * 1000
        with pytest.raises(ValueError, match="over the limit"):
            client.schedule_new_orchestration("echo", input="x" * 20_000)
    async with AsyncTaskHubGrpcClient(
        host_address=url, logger=QUIET, payload_store=store
    ) as awaiting:
        again = await awaiting.get_orchestration_state("x")
        assert again == state


def test_what_concerns_a_connection_is_accepted(url: str) -> None:
    with TaskHubGrpcClient(
        host_address=url,
        logger=QUIET,
        channel=object(),
        secure_channel=True,
        interceptors=[object()],
        channel_options=faces.GrpcChannelOptions(),
        resiliency_options=faces.GrpcClientResiliencyOptions(),
        emit_trace_spans=False,
    ) as client:
        assert not client.emit_trace_spans
        assert client.get_orchestration_state("x") is None


def verbs() -> list[str]:
    return [name for name, _ in inspect.getmembers(Verbs, callable) if not name.startswith("_")]


@pytest.mark.parametrize("name", verbs())
def test_both_clients_have_every_verb_with_the_same_parameters(name: str) -> None:
    blocking, awaiting = getattr(TaskHubGrpcClient, name), getattr(AsyncTaskHubGrpcClient, name)
    assert inspect.signature(blocking) == inspect.signature(awaiting)
    assert blocking.__doc__ == awaiting.__doc__
    assert inspect.iscoroutinefunction(awaiting)
    names = list(inspect.signature(getattr(Verbs, name)).parameters)
    assert list(inspect.signature(blocking).parameters) == names


def test_a_default_version_is_the_clients(url: str, worker: Host) -> None:
    with TaskHubGrpcClient(host_address=url, logger=QUIET, default_version="1.0") as client:
        seen = []
        for given in (None, "", "2.0"):
            instance_id = client.schedule_new_orchestration("versioned", version=given)
            state = client.wait_for_orchestration_completion(instance_id)
            seen.append(state and state.get_output())
        assert seen == ["1.0", "1.0", "2.0"]
        assert client.default_version == "1.0"
