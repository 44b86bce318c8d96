"""What a worker's log tells of its work, and of the engine's."""

from __future__ import annotations

import io
import logging
from typing import Any

import pytest

from durabletask import task
from durabletask._runtime.engine_logs import ENGINE, passed_on
from durabletask.client import TaskHubGrpcClient
from durabletask.worker import TaskHubGrpcWorker

SECONDS = 30


@pytest.fixture
def written(fresh_name: str) -> tuple[logging.Logger, io.StringIO]:
    """A logger that nobody else hears, and what it writes."""
    stream = io.StringIO()
    logger = logging.getLogger(fresh_name)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(logging.StreamHandler(stream))
    return logger, stream


def breaks(ctx: task.ActivityContext, _: Any) -> None:
    raise LookupError("no such thing")


def good(ctx: task.OrchestrationContext, _: Any) -> Any:
    yield ctx.create_timer(ctx.current_utc_datetime)
    return "fine"


def bad(ctx: task.OrchestrationContext, _: Any) -> Any:
    yield ctx.call_activity(breaks)


def renews(ctx: task.OrchestrationContext, life: int) -> None:
    if life < 2:
        ctx.continue_as_new(life + 1)


def test_it_tells_once_how_orchestrations_end_and_what_failed(
    written: tuple[logging.Logger, io.StringIO], fresh_name: str
) -> None:
    logger, stream = written
    address = f"memory://{fresh_name}"
    with (
        TaskHubGrpcClient(host_address=address, logger=logging.getLogger(__name__)) as client,
        TaskHubGrpcWorker(host_address=address, logger=logger) as worker,
    ):
        for orchestrator in (good, bad, renews):
            worker.add_orchestrator(orchestrator)
        worker.add_activity(breaks)
        worker.start()
        for orchestrator in (good, bad, renews):
            name = orchestrator.__name__
            client.schedule_new_orchestration(orchestrator, input=1, instance_id=f"the-{name}")
            client.wait_for_orchestration_completion(f"the-{name}", timeout=SECONDS)
    lines = stream.getvalue().splitlines()
    assert lines.count("the-good: orchestration good completes") == 1
    assert lines.count("the-bad: activity breaks (task #1) failed: no such thing") == 1
    assert "LookupError: no such thing" in lines
    told = "the-bad: Activity task #1 failed: no such thing"
    assert (
        lines.count(f"the-bad: orchestration bad fails: durabletask.task.TaskFailedError: {told}")
        == 1
    )
    assert lines.count("the-renews: orchestration renews continues as new") == 1
    assert lines.count("the-renews: orchestration renews completes") == 1


def test_what_the_engine_says_is_passed_on_where_nobody_else_hears_it(
    written: tuple[logging.Logger, io.StringIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    logger, stream = written
    monkeypatch.setattr(ENGINE, "propagate", False)  # pytest hears all that comes further
    with passed_on(logger):
        ENGINE.warning("first")
        with passed_on(logging.getLogger("another worker's")):
            ENGINE.warning("second")
        hears = logging.StreamHandler(io.StringIO())
        ENGINE.addHandler(hears)
        ENGINE.warning("third")
        ENGINE.removeHandler(hears)
    assert stream.getvalue().splitlines() == ["first", "second"]
    assert not ENGINE.handlers


def test_what_the_engine_says_is_passed_on_also_when_the_first_worker_has_stopped(
    written: tuple[logging.Logger, io.StringIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    logger, stream = written
    monkeypatch.setattr(ENGINE, "propagate", False)
    first, second = passed_on(logging.getLogger("the first worker's")), passed_on(logger)
    first.__enter__()
    second.__enter__()
    ENGINE.warning("for the first")
    first.__exit__(None, None, None)
    ENGINE.warning("for the second")
    second.__exit__(None, None, None)
    assert stream.getvalue().splitlines() == ["for the second"]
    assert not ENGINE.handlers
