"""The managed scheduler's names: the same clients and the same worker, with other arguments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from durabletask import azuremanaged, task
from durabletask.azuremanaged.client import (
    AsyncDurableTaskSchedulerClient,
    DurableTaskSchedulerClient,
)
from durabletask.azuremanaged.worker import DurableTaskSchedulerWorker
from durabletask.client import AsyncTaskHubGrpcClient, TaskHubGrpcClient
from durabletask.worker import TaskHubGrpcWorker

KINDS = (
    DurableTaskSchedulerClient,
    AsyncDurableTaskSchedulerClient,
    DurableTaskSchedulerWorker,
)


class Credential:
    """As azure.identity has it; nobody asks for a token."""

    def get_token(self, *scopes: str) -> Any:
        raise AssertionError("a token was asked for")


@pytest.fixture
def arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("DURABLE_ASYNC_URL", f"sqlite:///{tmp_path}/x.db")
    return {
        "host_address": "https://scheduler.example:443",
        "taskhub": "orders",
        "token_credential": Credential(),
        "secure_channel": True,
    }


def hello(ctx: task.OrchestrationContext, name: str) -> Any:
    result = yield ctx.call_activity(greet, input=name)
    return result


def greet(ctx: task.ActivityContext, name: str) -> str:
    return f"Hello {name}!"


async def test_programs_for_the_scheduler_run(arguments: dict[str, Any]) -> None:
    with DurableTaskSchedulerWorker(**arguments) as worker:
        worker.add_orchestrator(hello)
        worker.add_activity(greet)
        worker.start()
        async with AsyncDurableTaskSchedulerClient(**arguments) as client:
            instance_id = await client.schedule_new_orchestration(hello, input="Tokyo")
            state = await client.wait_for_orchestration_completion(instance_id, timeout=60)
            assert state is not None
            assert state.get_output() == "Hello Tokyo!"
        with DurableTaskSchedulerClient(**arguments) as client2:
            assert client2.get_orchestration_state(instance_id) == state
        with DurableTaskSchedulerClient(**{**arguments, "taskhub": "other"}) as client3:
            assert client3.get_orchestration_state(instance_id) is None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("taskhub", ["", None])
def test_the_hub_has_to_be_named(kind: Any, taskhub: Any, arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="taskhub"):
        kind(**{**arguments, "taskhub": taskhub})


@pytest.mark.parametrize("kind", KINDS)
def test_the_audience_of_tokens_is_checked(kind: Any, arguments: dict[str, Any]) -> None:
    for fit in (None, "", "https://durabletask.io", " https://durabletask.io/.default "):
        kind(**arguments, resource_id=fit)
    for unfit in (" ", "//", "/.default"):
        with pytest.raises(ValueError, match="resource_id"):
            kind(**arguments, resource_id=unfit)


def test_they_are_the_same_kinds() -> None:
    assert issubclass(DurableTaskSchedulerClient, TaskHubGrpcClient)
    assert issubclass(AsyncDurableTaskSchedulerClient, AsyncTaskHubGrpcClient)
    assert issubclass(DurableTaskSchedulerWorker, TaskHubGrpcWorker)
    for kind in KINDS:
        assert getattr(azuremanaged, kind.__name__) is kind
    with pytest.raises(AttributeError, match="nothing"):
        azuremanaged.nothing  # noqa: B018
