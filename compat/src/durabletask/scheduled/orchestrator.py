"""The orchestrator that clients ask schedules with, so as to hear whether what they asked for was done."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Self

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

    def to_json(self) -> dict[str, Any]:
        """Return what is sent."""
        return {
            "entity_id": self.entity_id,
            "operation_name": self.operation_name,
            "input": self.input,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Return what was sent, with the input as JSON has it."""
        return cls(data["entity_id"], data["operation_name"], data.get("input"))


def execute_schedule_operation_orchestrator(
    ctx: OrchestrationContext, request: ScheduleOperationRequest
) -> Generator[Task[Any], Any, Any]:
    """Let a schedule do something, and end when it has, or fail as it does."""
    entity_id = EntityInstanceId.parse(request.entity_id)
    return (yield ctx.call_entity(entity_id, request.operation_name, request.input))
