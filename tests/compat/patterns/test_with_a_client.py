"""The documented blocks that use a client, as they stand, with a real client and a real worker on all stores."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration.worlds import POSTGRES, SQLITE

from durabletask.client import OrchestrationStatus, TaskHubGrpcClient
from durabletask.worker import TaskHubGrpcWorker

from .documented import Program

LOG = logging.getLogger(__name__)
SECONDS = 30


@pytest.fixture
def url(backend: str, tmp_path: Path, fresh_name: str, request: pytest.FixtureRequest) -> str:
    if backend == POSTGRES:
        return str(request.getfixturevalue("postgres_lab").dsn)
    return f"sqlite:///{tmp_path / 'hub.db'}" if backend == SQLITE else f"memory://{fresh_name}"


@pytest.fixture
def options(url: str, fresh_name: str) -> dict[str, Any]:
    return {"host_address": url, "metadata": [("taskhub", fresh_name)], "logger": LOG}


@pytest.fixture
def client(options: dict[str, Any]) -> Iterator[TaskHubGrpcClient]:
    with TaskHubGrpcClient(**options) as client:
        yield client


@pytest.fixture
def program(client: TaskHubGrpcClient, options: dict[str, Any]) -> Iterator[Program]:
    program = Program(worker=TaskHubGrpcWorker(**options), client=client)
    with program.worker:
        yield program


def test_an_approval_is_raised(program: Program, client: TaskHubGrpcClient) -> None:
    program.execute("Human Interaction")
    program.register(
        orchestrators=("purchase_order_workflow",),
        activities=("send_approval_request", "place_order"),
    )
    program.worker.start()
    order = program.names["Order"](cost=2000, product="desk", quantity=2)
    program.names["instance_id"] = client.schedule_new_orchestration(
        program.names["purchase_order_workflow"], input=order
    )
    program.execute("Human Interaction", 1)
    state = client.wait_for_orchestration_completion(program.names["instance_id"], timeout=SECONDS)
    assert state is not None
    assert state.get_output() == "Approved by 'manager@company.com'"


def test_an_entity_is_signaled(program: Program, client: TaskHubGrpcClient) -> None:
    program.execute("Function-Based Entity")
    program.execute("Using Entities from Client")
    program.execute("Using Entities from Orchestrations")
    program.register(orchestrators=("workflow_with_entity",), entities=("counter",))
    program.worker.start()
    instance_id = client.schedule_new_orchestration(program.names["workflow_with_entity"])
    state = client.wait_for_orchestration_completion(instance_id, timeout=SECONDS)
    assert state is not None
    assert state.get_output() == "Counter value: 15"
    found = client.get_entity(program.names["entity_id"])
    assert found is not None
    assert found.get_typed_state(int) == 15


def test_an_eternal_orchestration_is_started(program: Program, client: TaskHubGrpcClient) -> None:
    program.names["periodic_work"] = periodic_work
    program.execute("Eternal Orchestrations (Continue-As-New)")
    program.register(orchestrators=("eternal_orchestration",), activities=("periodic_work",))
    program.worker.start()
    (state,) = client.get_all_orchestration_states()
    started = client.wait_for_orchestration_start(state.instance_id, timeout=SECONDS)
    assert started is not None
    assert started.runtime_status is OrchestrationStatus.RUNNING
    client.terminate_orchestration(state.instance_id, output="enough")
    ended = client.wait_for_orchestration_completion(state.instance_id, timeout=SECONDS)
    assert ended is not None
    assert ended.runtime_status is OrchestrationStatus.TERMINATED
    assert ended.get_output() == "enough"


def periodic_work(ctx: Any, iteration: int) -> None:
    assert iteration == 0


def say_hello(ctx: Any, name: str) -> str:
    return f"Hello {name}"


def say_goodbye(ctx: Any, name: str) -> str:
    return f"Goodbye {name}"


def test_a_version_is_set_when_scheduling(program: Program, client: TaskHubGrpcClient) -> None:
    program.names |= {"say_hello": say_hello, "say_goodbye": say_goodbye}
    program.execute("Version Comparison Helper")
    program.execute("Versioned Orchestration Example")
    program.register(
        orchestrators=("versioned_orchestration",), activities=("say_hello", "say_goodbye")
    )
    program.worker.start()
    program.execute("Setting Version When Scheduling")
    state = client.wait_for_orchestration_completion(program.names["instance_id"], timeout=SECONDS)
    assert state is not None
    assert state.get_output() == {
        "version": "2.0.0",
        "results": ["Hello data", "Goodbye data"],
    }
