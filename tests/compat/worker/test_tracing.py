"""Spans of clients and workers with the SDK's names; that a trace goes on over processes, and through a kill, is in `tests/integration`."""

from __future__ import annotations

import logging
import sys
from collections.abc import Generator, Iterator
from typing import Any

import pytest
from opentelemetry import trace
from tests.integration.tracing import Recorder, check_one_trace, tree

from durabletask._runtime.tracing import tracing
from durabletask.client import TaskHubGrpcClient
from durabletask.task import ActivityContext, OrchestrationContext
from durabletask.worker import TaskHubGrpcWorker

QUIET = logging.getLogger("tests.quiet")

WHOLE = """\
POST /orders
  create_orchestration:checkout
    orchestration:checkout
      activity:charge
""".splitlines()


def charge(ctx: ActivityContext, amount: int) -> int:
    return amount


def checkout(ctx: OrchestrationContext, amount: int) -> Generator[Any, Any, int]:
    charged: int = yield ctx.call_activity(charge, input=amount)
    return charged


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    """What the global provider writes, for the length of a test."""
    recorder = Recorder()
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: recorder.provider)
    tracing.cache_clear()
    yield recorder
    tracing.cache_clear()


@pytest.mark.parametrize(
    ("client_emits", "worker_emits", "expected"),
    [(True, True, WHOLE), (True, False, WHOLE[:2]), (False, False, WHOLE[:1])],
)
def test_what_is_asked_for_in_a_request_is_in_its_trace(
    recorder: Recorder, fresh_name: str, client_emits: bool, worker_emits: bool, expected: list[str]
) -> None:
    where: Any = {"host_address": f"memory://{fresh_name}", "logger": QUIET}
    with (
        TaskHubGrpcClient(**where, emit_trace_spans=client_emits) as client,
        TaskHubGrpcWorker(**where, emit_trace_spans=worker_emits) as worker,
    ):
        worker.add_orchestrator(checkout)
        worker.add_activity(charge)
        worker.start()
        with recorder.provider.get_tracer("web").start_as_current_span("POST /orders"):
            instance = client.schedule_new_orchestration(checkout, input=5)
        client.wait_for_orchestration_completion(instance, timeout=30)
    check_one_trace(recorder.spans)
    assert tree(recorder.spans) == expected


def test_without_opentelemetry_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    monkeypatch.delitem(sys.modules, "durable_async.integrations.opentelemetry", raising=False)
    tracing.cache_clear()
    assert tracing() is None
    tracing.cache_clear()
