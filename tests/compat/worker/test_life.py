"""A worker's own life, in real time: started, stopped, started again, in an event loop, and before its store is there."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import anyio.to_thread
import pytest

from durable_async import BackendUnavailableError, ConfigurationError
from durabletask import task
from durabletask._runtime import serving
from durabletask.client import AsyncTaskHubGrpcClient, OrchestrationStatus, TaskHubGrpcClient
from durabletask.worker import (
    TaskHubGrpcWorker,
    VersioningOptions,
    WorkItemFilters,
)

LOG = logging.getLogger(__name__)
SECONDS = 30


def echo(ctx: task.ActivityContext, value: Any) -> Any:
    return value


def asks(ctx: task.OrchestrationContext, value: Any) -> Any:
    return (yield ctx.call_activity("echo", input=value))


def named(name: str, function: Any) -> Any:
    function.__name__ = name
    return function


def outcome(client: TaskHubGrpcClient, value: Any) -> Any:
    instance_id = client.schedule_new_orchestration(asks, input=value)
    state = client.wait_for_orchestration_completion(instance_id, timeout=SECONDS)
    assert state is not None
    assert state.runtime_status is OrchestrationStatus.COMPLETED
    return state.get_output()


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'hub.db'}"


def test_its_log_says_where_it_works(fresh_name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, LOG.name)
    address = f"memory://{fresh_name}"
    with (
        TaskHubGrpcClient(host_address=address, logger=LOG) as client,
        TaskHubGrpcWorker(host_address=address, logger=LOG) as worker,
    ):
        worker.add_orchestrator(asks)
        worker.add_activity(echo)
        worker.start()
        assert outcome(client, 1) == 1
    assert "working on memory, hub 'default'" in caplog.messages


def test_it_is_started_stopped_and_started_again(url: str) -> None:
    with (
        TaskHubGrpcClient(host_address=url, logger=LOG) as client,
        TaskHubGrpcWorker(host_address=url, logger=LOG) as worker,
    ):
        worker.add_orchestrator(asks)
        worker.add_activity(echo)
        worker.stop()
        worker.start()
        with pytest.raises(RuntimeError, match="already running"):
            worker.start()
        with pytest.raises(RuntimeError, match="while the worker is running"):
            worker.add_activity(asks)
        assert outcome(client, 1) == 1
        worker.stop()
        worker.stop()
        instance_id = client.schedule_new_orchestration(asks, input=2)
        worker.start()
        state = client.wait_for_orchestration_completion(instance_id, timeout=SECONDS)
        assert state is not None
        assert state.get_output() == 2


async def test_its_coroutines_run_on_the_loop_that_it_is_entered_in(fresh_name: str) -> None:
    here = asyncio.get_running_loop()
    lock = asyncio.Lock()  # what lives in a loop can be used in that loop alone

    async def waits(ctx: task.ActivityContext, value: Any) -> Any:
        async with lock:
            await asyncio.sleep(0)
            return [value, asyncio.get_running_loop() is here]

    async def asks_it(ctx: task.OrchestrationContext, value: Any) -> Any:
        return await ctx.call_activity(waits, input=value)

    worker = TaskHubGrpcWorker(host_address=f"memory://{fresh_name}", logger=LOG)
    worker.add_orchestrator(asks_it)
    worker.add_activity(waits)
    async with (
        AsyncTaskHubGrpcClient(host_address=f"memory://{fresh_name}", logger=LOG) as client,
        worker,
    ):
        instance_id = await client.schedule_new_orchestration(asks_it, input="x")
        state = await client.wait_for_orchestration_completion(instance_id, timeout=SECONDS)
    assert state is not None
    assert state.get_output() == ["x", True]


async def test_its_coroutines_run_on_a_loop_of_its_own_otherwise(fresh_name: str) -> None:
    here = asyncio.get_running_loop()

    async def waits(ctx: task.ActivityContext, value: Any) -> Any:
        return asyncio.get_running_loop() is here

    def asks_it(ctx: task.OrchestrationContext, value: Any) -> Any:
        return (yield ctx.call_activity(waits))

    worker = TaskHubGrpcWorker(host_address=f"memory://{fresh_name}", logger=LOG)
    worker.add_orchestrator(asks_it)
    worker.add_activity(waits)
    with worker:
        worker.start()
        async with AsyncTaskHubGrpcClient(
            host_address=f"memory://{fresh_name}", logger=LOG
        ) as client:
            instance_id = await client.schedule_new_orchestration(asks_it)
            state = await client.wait_for_orchestration_completion(instance_id, timeout=SECONDS)
    assert state is not None
    assert state.get_output() is False


def test_a_store_that_does_not_answer_is_tried_again(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    attach, refused = serving.attach, threading.Event()

    def attach_later(address: Any) -> Any:
        if not refused.is_set():
            refused.set()
            raise BackendUnavailableError("it is not there yet")
        return attach(address)

    monkeypatch.setattr(serving, "attach", attach_later)
    monkeypatch.setattr(serving, "RETRY_SECONDS", 0.01)
    with (
        TaskHubGrpcClient(host_address=url, logger=LOG) as client,
        TaskHubGrpcWorker(host_address=url, logger=LOG) as worker,
    ):
        worker.add_orchestrator(asks)
        worker.add_activity(echo)
        worker.start()
        assert refused.is_set()
        assert outcome(client, "at last") == "at last"


def test_stopping_ends_the_wait_for_a_store(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(address: Any) -> Any:
        raise BackendUnavailableError("it is never there")

    monkeypatch.setattr(serving, "attach", refuse)
    worker = TaskHubGrpcWorker(host_address=url, logger=LOG)
    worker.start()
    worker.stop()
    names = {thread.name for thread in threading.enumerate()}
    assert "durabletask worker start" not in names


def test_a_store_that_cannot_be_used_is_told_at_once() -> None:
    worker = TaskHubGrpcWorker(host_address="sqlite://", logger=LOG)
    with pytest.raises(ConfigurationError):
        worker.start()
    worker.stop()


def test_a_subclass_hears_of_activities(fresh_name: str) -> None:
    heard: list[tuple[str, str, int]] = []

    class Listening(TaskHubGrpcWorker):
        def _on_activity_execution_started(self, req: SimpleNamespace) -> None:
            heard.append(("started", req.name, req.taskId))

        def _on_activity_execution_completed(self, req: SimpleNamespace) -> None:
            heard.append(("completed", req.orchestrationInstance.instanceId, req.taskId))

    address = f"memory://{fresh_name}"
    with (
        TaskHubGrpcClient(host_address=address, logger=LOG) as client,
        Listening(host_address=address, logger=LOG) as worker,
    ):
        worker.add_orchestrator(asks)
        worker.add_activity(echo)
        worker.start()
        instance_id = client.schedule_new_orchestration(asks, input=1, instance_id="heard")
        client.wait_for_orchestration_completion(instance_id, timeout=SECONDS)
    assert heard == [("started", "echo", 1), ("completed", "heard", 1)]


def test_it_cannot_be_stopped_in_its_own_thread(fresh_name: str) -> None:
    address = f"memory://{fresh_name}"
    with (
        TaskHubGrpcClient(host_address=address, logger=LOG) as client,
        TaskHubGrpcWorker(host_address=address, logger=LOG) as worker,
    ):

        async def stops(ctx: task.ActivityContext, value: Any) -> str:
            try:
                worker.stop()
            except RuntimeError as error:
                return str(error)
            return "stopped"

        worker.add_orchestrator(asks)
        worker.add_activity(named("echo", stops))
        worker.start()
        assert "cannot be stopped" in outcome(client, 1)


def test_a_signal_may_stop_it_while_it_is_stopped(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = TaskHubGrpcWorker(host_address=url, logger=LOG)
    wait = concurrent.futures.wait

    def interrupted(*args: Any, **kwargs: Any) -> Any:
        worker.stop()  # as a signal's handler would, in the thread that waits
        return wait(*args, **kwargs)

    worker.start()
    monkeypatch.setattr(concurrent.futures, "wait", interrupted)
    worker.stop()
    monkeypatch.undo()
    with worker:
        worker.start()


async def test_it_is_stopped_also_where_its_block_is_cancelled(url: str) -> None:
    worker = TaskHubGrpcWorker(host_address=url, logger=LOG)
    async with AsyncTaskHubGrpcClient(host_address=url, logger=LOG) as client:
        with anyio.CancelScope() as scope:
            async with worker:
                await client.schedule_new_orchestration("nothing")
                scope.cancel()
                await anyio.sleep_forever()
        await worker.__aenter__()  # it is running no more
        with anyio.CancelScope() as scope:
            scope.cancel()
            await worker.__aexit__()
        worker.start()
        worker.stop()


async def test_what_began_is_stopped_if_nobody_waits_for_its_beginning(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = TaskHubGrpcWorker(host_address=url, logger=LOG)
    begin = serving.Serving.start
    may_begin, begins = threading.Event(), threading.Event()

    def slow(self: serving.Serving) -> None:
        begins.set()
        may_begin.wait(SECONDS)
        begin(self)

    monkeypatch.setattr(serving.Serving, "start", slow)
    entering = asyncio.create_task(worker.__aenter__())
    await anyio.to_thread.run_sync(begins.wait, SECONDS)
    entering.cancel()
    may_begin.set()
    with pytest.raises(asyncio.CancelledError):
        await entering
    monkeypatch.undo()
    worker.start()
    worker.stop()


FORKS = """
import os, sys
from durabletask.worker import TaskHubGrpcWorker

with TaskHubGrpcWorker(host_address=sys.argv[1]) as worker:
    worker.start()
    child = os.fork()
    if not child:
        sys.exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
def test_a_forked_child_leaves_its_block(url: str) -> None:
    command = [sys.executable, "-W", "ignore", "-c", FORKS, url]
    subprocess.run(command, check=True, timeout=SECONDS)


def test_what_is_wrong_is_refused() -> None:
    worker = TaskHubGrpcWorker(logger=LOG)
    with pytest.raises(ValueError, match="lambda"):
        worker.add_activity(lambda ctx, value: value)
    with pytest.raises(TypeError, match="WorkItemFilters"):
        worker.use_work_item_filters({"orchestrations": []})
    with pytest.raises(ValueError, match="cannot be combined"):
        TaskHubGrpcWorker(logger=LOG, log_handler=logging.NullHandler())
    with pytest.warns(DeprecationWarning, match="log_handler"):
        TaskHubGrpcWorker(log_handler=logging.NullHandler())
    worker.use_work_item_filters(WorkItemFilters())
    worker.use_versioning(VersioningOptions(version="1"))
    assert worker.maximum_timer_interval is not None
    assert worker.concurrency_options.maximum_thread_pool_workers > 4
