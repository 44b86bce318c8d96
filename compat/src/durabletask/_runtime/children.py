"""Sub-orchestrations: their ids, and how a failed one is started again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any

import durable_async
from durable_async import ReusePolicy
from durabletask.task import CompletableTask, RetryPolicy, Task

from .retries import delay_after

if TYPE_CHECKING:
    from .contexts import RuntimeContext


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """A sub-orchestration to be started.

    Attributes:
        name: Its orchestrator.
        text: Its input.
        instance_id: Its id.
        version: Its version, if the code gives one.
        default_version: Its version otherwise, ``""`` for none; it belongs to the worker, and may be another one in a replay.
        number: Number of the call.
    """

    name: str
    text: str | None
    instance_id: str
    version: str | None
    default_version: str
    number: int


def id_of(parent: durable_async.OrchestrationContext, number: int) -> str:
    """Return the id of a child that was given none: the documented one, and in later executions of the parent one that is not used yet."""
    if parent.execution == 1:
        return f"{parent.instance_id}:{number:04x}"
    return f"{parent.instance_id}:{parent.execution}:{number:04x}"


def start(context: RuntimeContext, child: Child, task: CompletableTask[Any]) -> None:
    """Start a child, in place of one of the same id that has ended; its outcome is the task's."""
    future = context.native.call_sub_orchestrator(
        child.name,
        child.text,
        instance_id=child.instance_id,
        version=child.version,
        default_version=child.default_version,
        reuse=ReusePolicy.REPLACE_TERMINAL,
    )
    context.connect(future, task, context.told(f"Sub-orchestration task #{child.number}"))


def start_repeatedly(
    context: RuntimeContext, child: Child, task: CompletableTask[Any], policy: RetryPolicy
) -> None:
    """Start a child, and start it again under the same id while it fails and its policy allows that."""
    begun = context.current_utc_datetime

    def attempt(number: int) -> None:
        one: CompletableTask[Any] = CompletableTask(task.expected_type)
        start(context, child, one)
        one.on_completed(lambda one: ended(one, number))

    def ended(one: Task[Any], number: int) -> None:
        if not one.is_failed:
            task.settle(one.get_result(), None)
            return
        now = context.current_utc_datetime
        delay = delay_after(policy, number, now - begun)
        if delay is None:
            task.settle(None, one.get_exception())
            return
        wait(delay, number)

    def wait(delay: timedelta, number: int) -> None:
        due = context.current_utc_datetime + delay
        context.count()
        future = context.native.create_timer(due.replace(tzinfo=UTC), may_change=True)
        future.add_done_callback(lambda fired: None if fired.cancelled() else attempt(number + 1))

    attempt(1)
