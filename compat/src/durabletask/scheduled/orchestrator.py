"""The orchestrator that clients ask schedules with, so as to hear whether what they asked for was done."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from durabletask.entities import EntityInstanceId
from durabletask.task import OrchestrationContext, Task


@dataclass
class ScheduleOperationRequest:
    """What a schedule is asked for.

    Attributes:
        entity_id: The schedule's entity, as ``@name@key``.
        operation_name: The operation.
        input: Its input.
    """

    entity_id: str
    operation_name: str
    input: Any | None = None


def execute_schedule_operation_orchestrator(
    ctx: OrchestrationContext, request: ScheduleOperationRequest
) -> Generator[Task[Any], Any, Any]:
    """Let a schedule do something, and end when it has, or fail as it does."""
    entity_id = EntityInstanceId.parse(request.entity_id)
    return (yield ctx.call_entity(entity_id, request.operation_name, request.input))
