"""Clients inside activities, which run where the clients' own work is done; and in forked children."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from durabletask import task
from durabletask.client import AsyncTaskHubGrpcClient, TaskHubGrpcClient
from durabletask.worker import TaskHubGrpcWorker

QUIET = logging.getLogger("durabletask-test")


@pytest.fixture
def url() -> str:
    return f"memory://{uuid.uuid4().hex}"


def asking(ctx: task.OrchestrationContext, activity: str) -> Any:
    result = yield ctx.call_activity(activity, input=ctx.instance_id)
    return result


@pytest.fixture
def client(url: str) -> Iterator[TaskHubGrpcClient]:
    """A client of a hub whose activities use clients of the same hub."""
    blocking = TaskHubGrpcClient(host_address=url, logger=QUIET)
    awaiting = AsyncTaskHubGrpcClient(host_address=url, logger=QUIET)

    def ask(ctx: task.ActivityContext, instance_id: str) -> str:
        state = blocking.get_orchestration_state(instance_id)
        return str(state and state.name)

    async def ask_async(ctx: task.ActivityContext, instance_id: str) -> str:
        async with AsyncTaskHubGrpcClient(host_address=url, logger=QUIET) as another:
            await another.schedule_new_orchestration("asking", input="ask", instance_id="second")
        state = await awaiting.wait_for_orchestration_completion("second", timeout=60)
        return str(state and state.get_output())

    async def block_async(ctx: task.ActivityContext, instance_id: str) -> str:
        return str(blocking.get_orchestration_state(instance_id))

    with TaskHubGrpcWorker(host_address=url, logger=QUIET) as worker:
        worker.add_orchestrator(asking)
        for activity in (ask, ask_async, block_async):
            worker.add_activity(activity)
        worker.start()
        with blocking:
            yield blocking


def outcome(client: TaskHubGrpcClient, activity: str) -> Any:
    instance_id = client.schedule_new_orchestration(asking, input=activity)
    state = client.wait_for_orchestration_completion(instance_id, timeout=60)
    assert state is not None
    return state.failure_details or state.get_output()


def test_plain_functions_may_block(client: TaskHubGrpcClient) -> None:
    assert outcome(client, "ask") == "asking"


def test_coroutines_may_await(client: TaskHubGrpcClient) -> None:
    assert outcome(client, "ask_async") == "asking"


def test_coroutines_are_told_that_they_must_not_block(client: TaskHubGrpcClient) -> None:
    failure = outcome(client, "block_async")
    assert failure.inner_failure.error_type == "builtins.RuntimeError"
    assert "async client" in failure.message


FORKING = """
import os, sys
from durabletask.client import TaskHubGrpcClient

client = TaskHubGrpcClient(host_address="sqlite:///" + sys.argv[1])
client.schedule_new_orchestration("echo", instance_id="parent")
if os.fork() == 0:
    client.schedule_new_orchestration("echo", instance_id="child")
    client.close()
    sys.exit(0)
_, status = os.wait()
assert status == 0, status
print(*(state.instance_id for state in client.get_all_orchestration_states()))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
def test_a_forked_child_may_use_its_parents_client(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKING, str(tmp_path / "x.db")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "parent child\n"), done.stderr
