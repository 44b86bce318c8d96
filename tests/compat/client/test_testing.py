"""The backend for tests: found by its port, emptied, stopped and started again; and no port is opened."""

from __future__ import annotations

import gc
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from durabletask import task
from durabletask.client import OrchestrationStatus, TaskHubGrpcClient
from durabletask.entities import EntityInstanceId
from durabletask.testing import InMemoryOrchestrationBackend, create_test_backend
from durabletask.worker import TaskHubGrpcWorker

PORT = 50_871
ADDRESS = f"localhost:{PORT}"


@pytest.fixture
def backend() -> Iterator[InMemoryOrchestrationBackend]:
    backend = create_test_backend(port=PORT)
    yield backend
    backend.stop()
    backend.reset()


def echo(ctx: task.OrchestrationContext, value: Any) -> Any:
    return value


def waiting(ctx: task.OrchestrationContext, _: Any) -> Any:
    value = yield ctx.wait_for_external_event("go")
    return value


def counter(ctx: Any, amount: int) -> None:
    ctx.set_state(ctx.get_state(int, 0) + amount)


def worker() -> TaskHubGrpcWorker:
    made = TaskHubGrpcWorker(host_address=f"http://{ADDRESS}")
    made.add_orchestrator(echo)
    made.add_orchestrator(waiting)
    made.add_entity(counter)
    return made


def test_clients_and_workers_find_it_by_its_port(backend: InMemoryOrchestrationBackend) -> None:
    with worker() as running, TaskHubGrpcClient(host_address=ADDRESS) as client:
        running.start()
        instance_id = client.schedule_new_orchestration(echo, input="hello")
        state = client.wait_for_orchestration_completion(instance_id, timeout=60)
        assert state is not None
        assert state.get_output() == "hello"


def test_no_port_is_opened(backend: InMemoryOrchestrationBackend) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", PORT))


def test_whatever_hub_they_name_all_share_it(backend: InMemoryOrchestrationBackend) -> None:
    one = TaskHubGrpcClient(host_address=ADDRESS, metadata=[("taskhub", "one")])
    two = TaskHubGrpcClient(host_address=ADDRESS)
    one.schedule_new_orchestration("echo", instance_id="x")
    assert two.get_orchestration_state("x") is not None
    one.close()
    two.close()


def test_it_can_be_emptied_while_it_runs(backend: InMemoryOrchestrationBackend) -> None:
    with (
        ThreadPoolExecutor(1) as pool,
        worker() as running,
        TaskHubGrpcClient(host_address=ADDRESS) as client,
    ):
        running.start()
        entity = EntityInstanceId("counter", "a")
        for _ in range(3):
            client.schedule_new_orchestration(waiting, instance_id="x")
            client.schedule_new_orchestration("not there", instance_id="y")
            client.signal_entity(entity, "add", 1)
            client.wait_for_orchestration_start("x", timeout=60)
            gone = pool.submit(client.wait_for_orchestration_completion, "x", timeout=60)
            backend.reset()
            assert gone.result() is None
            assert client.get_all_orchestration_states() == []
            assert client.get_all_entities() == []
        client.schedule_new_orchestration(waiting, instance_id="x")
        client.raise_orchestration_event("x", "go", data="on")
        state = client.wait_for_orchestration_completion("x", timeout=60)
        assert state is not None
        assert state.runtime_status is OrchestrationStatus.COMPLETED


def test_what_is_in_it_is_there_after_a_stop(backend: InMemoryOrchestrationBackend) -> None:
    with TaskHubGrpcClient(host_address=ADDRESS) as client:
        client.schedule_new_orchestration("echo", instance_id="x")
    backend.stop(grace=1)
    backend.stop()
    assert backend.start() == backend.start() == ADDRESS
    with TaskHubGrpcClient(host_address=ADDRESS) as client:
        assert client.get_orchestration_state("x") is not None
        backend.reset()
        assert client.get_orchestration_state("x") is None


def test_each_is_a_store_of_its_own(backend: InMemoryOrchestrationBackend) -> None:
    with InMemoryOrchestrationBackend(max_history_size=10, port=PORT + 1):
        other = TaskHubGrpcClient(host_address=f"localhost:{PORT + 1}")
        other.schedule_new_orchestration("echo", instance_id="x")
        with TaskHubGrpcClient(host_address=ADDRESS) as client:
            assert client.get_orchestration_state("x") is None
        other.close()
    with pytest.raises(RuntimeError, match=str(PORT)):
        create_test_backend(port=PORT)


def test_one_that_nobody_holds_runs_on() -> None:
    create_test_backend(port=PORT + 2)
    gc.collect()
    with TaskHubGrpcClient(host_address=f"localhost:{PORT + 2}") as client:
        client.schedule_new_orchestration("echo", instance_id="x")
    with TaskHubGrpcClient(host_address=f"localhost:{PORT + 2}") as client:
        assert client.get_orchestration_state("x") is not None
