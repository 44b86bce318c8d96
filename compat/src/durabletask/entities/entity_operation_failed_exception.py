"""EntityOperationFailedException: what an orchestration is told of an operation that failed."""

from __future__ import annotations

from typing import Any

from .entity_instance_id import EntityInstanceId


class EntityOperationFailedException(Exception):  # noqa: N818 - the SDK's name
    """Stands for an operation that failed, in the failure of whoever called it.

    Attributes:
        entity_instance_id: The entity.
        operation_name: The operation.
        failure_details: What its code raised: a `durabletask.task.FailureDetails`, or anything that has its message.
    """

    def __init__(
        self, entity_instance_id: EntityInstanceId, operation_name: str, failure_details: Any
    ) -> None:
        super().__init__(entity_instance_id, operation_name, failure_details)
        self.entity_instance_id = entity_instance_id
        self.operation_name = operation_name
        self.failure_details = failure_details

    def __str__(self) -> str:
        details = self.failure_details
        # What comes over the SDK's wire calls it errorMessage.
        message = getattr(details, "message", None) or getattr(details, "errorMessage", details)
        return (
            f"Operation '{self.operation_name}' on entity '{self.entity_instance_id}' "
            f"failed with error: {message}"
        )
