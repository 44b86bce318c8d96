"""What a client asks with and is answered with: statuses, states, queries, pages and counts."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, overload

import durable_async
from durabletask._vocabulary.failures import FailureDetails
from durabletask.serialization import DEFAULT_DATA_CONVERTER, DataConverter

from .failures import from_native

if TYPE_CHECKING:
    from collections.abc import Iterable

T = TypeVar("T")
TItem = TypeVar("TItem")

_MODULE: Final = "durabletask.client"
"""An error is recorded by the name of its class, which programs compare with the documented one."""


class OrchestrationStatus(Enum):
    """Where an orchestration stands; the value is the number that the SDK's wire has for it.

    ``CONTINUED_AS_NEW`` is never the status of anything: an orchestration that continues as new is running.
    """

    RUNNING = 0
    COMPLETED = 1
    CONTINUED_AS_NEW = 2
    FAILED = 3
    TERMINATED = 5
    PENDING = 6
    SUSPENDED = 7

    def __str__(self) -> str:
        return self.name


_NATIVE: Final = {
    OrchestrationStatus.PENDING: durable_async.Status.PENDING,
    OrchestrationStatus.RUNNING: durable_async.Status.RUNNING,
    OrchestrationStatus.SUSPENDED: durable_async.Status.SUSPENDED,
    OrchestrationStatus.COMPLETED: durable_async.Status.COMPLETED,
    OrchestrationStatus.FAILED: durable_async.Status.FAILED,
    OrchestrationStatus.TERMINATED: durable_async.Status.TERMINATED,
}
_OF_NATIVE: Final = {native: status for status, native in _NATIVE.items()}


def status_of(native: durable_async.Status) -> OrchestrationStatus:
    """Return the SDK's name of a status."""
    return _OF_NATIVE[native]


def native_statuses(statuses: Iterable[OrchestrationStatus | int]) -> set[durable_async.Status]:
    """Return what durable_async calls some statuses; the SDK's numbers do as well, and those that it has no word for are left out."""
    numbers = {one.value if isinstance(one, OrchestrationStatus) else one for one in statuses}
    return {native for status, native in _NATIVE.items() if status.value in numbers}


@dataclass
class OrchestrationState:
    """An orchestration as it was when a client asked.

    Attributes:
        instance_id: Its id.
        name: The orchestrator's name.
        runtime_status: Where it stands.
        created_at: When it was started; UTC, naive.
        last_updated_at: When its status last changed; UTC, naive.
        serialized_input: Its input as the converter's text; ``None`` if there is none, or payloads were not asked for.
        serialized_output: Its output, likewise.
        serialized_custom_status: What it published last, or ``None``.
        failure_details: Why it failed, or ``None``.
    """

    instance_id: str
    name: str
    runtime_status: OrchestrationStatus
    created_at: datetime
    last_updated_at: datetime
    serialized_input: str | None
    serialized_output: str | None
    serialized_custom_status: str | None
    failure_details: FailureDetails | None
    _data_converter: DataConverter = field(
        default=DEFAULT_DATA_CONVERTER, compare=False, repr=False
    )

    @overload
    def get_input(self, expected_type: type[T]) -> T | None: ...
    @overload
    def get_input(self, expected_type: None = ...) -> Any: ...
    def get_input(self, expected_type: type | None = None) -> Any:
        """Return its input as the converter reads it, into a type if one is given; ``None`` if there is none."""
        return self._read(self.serialized_input, expected_type)

    @overload
    def get_output(self, expected_type: type[T]) -> T | None: ...
    @overload
    def get_output(self, expected_type: None = ...) -> Any: ...
    def get_output(self, expected_type: type | None = None) -> Any:
        """Return its output as the converter reads it, into a type if one is given; ``None`` if there is none."""
        return self._read(self.serialized_output, expected_type)

    @overload
    def get_custom_status(self, expected_type: type[T]) -> T | None: ...
    @overload
    def get_custom_status(self, expected_type: None = ...) -> Any: ...
    def get_custom_status(self, expected_type: type | None = None) -> Any:
        """Return what it published last as the converter reads it, into a type if one is given; ``None`` if there is nothing."""
        return self._read(self.serialized_custom_status, expected_type)

    def _read(self, text: str | None, into: type | None) -> Any:
        return None if text is None else self._data_converter.deserialize(text, into)

    def raise_if_failed(self) -> None:
        """Do nothing, unless it failed.

        Raises:
            OrchestrationFailedError: It failed.
        """
        failure = self.failure_details
        if failure is not None:
            raise OrchestrationFailedError(
                f"Orchestration '{self.instance_id}' failed: {failure.message}", failure
            )


def state_of(
    native: durable_async.OrchestrationState, converter: DataConverter, *, payloads: bool
) -> OrchestrationState:
    """Return an instance as durable_async tells of it in the words of the SDK.

    Args:
        native: The instance.
        converter: Reads its payloads.
        payloads: Whether its input and output are told.
    """
    return OrchestrationState(
        instance_id=native.instance_id,
        name=native.name,
        runtime_status=status_of(native.status),
        created_at=_naive(native.created_at),
        last_updated_at=_naive(native.updated_at),
        serialized_input=native.input() if payloads else None,
        serialized_output=native.output() if payloads else None,
        serialized_custom_status=native.custom_status(),
        failure_details=None if native.failure is None else from_native(native.failure),
        _data_converter=converter,
    )


def _naive(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(tzinfo=None)


class OrchestrationFailedError(Exception):
    """Raised by `OrchestrationState.raise_if_failed`."""

    __module__ = _MODULE

    def __init__(self, message: str, failure_details: FailureDetails) -> None:
        super().__init__(message)
        self._failure_details = failure_details

    @property
    def failure_details(self) -> FailureDetails:
        """Why the orchestration failed."""
        return self._failure_details

    def __reduce__(self) -> Any:
        return type(self), (str(self), self._failure_details)


@dataclass
class OrchestrationQuery:
    """Which orchestrations are asked for: all that is given must hold.

    Attributes:
        created_time_from: Started then or later; naive is UTC.
        created_time_to: Started before that; naive is UTC.
        runtime_status: In one of these; none, or an empty list, for any.
        max_instance_count: How many are read from the store at a time. All are returned, however many there are.
        fetch_inputs_and_outputs: Whether their inputs and outputs are told.
        instance_id_prefix: Their ids begin so.
    """

    created_time_from: datetime | None = None
    created_time_to: datetime | None = None
    runtime_status: list[OrchestrationStatus] | None = None
    max_instance_count: int | None = 2**31 - 1
    fetch_inputs_and_outputs: bool = False
    instance_id_prefix: str | None = None


@dataclass
class EntityQuery:
    """Which entities are asked for: all that is given must hold.

    Attributes:
        instance_id_starts_with: Their ids, ``@name@key``, begin so.
        last_modified_from: Something was written of them then or later; naive is UTC.
        last_modified_to: Before that; naive is UTC.
        include_state: Whether their states are told.
        include_transient: Whether those are told for which operations wait.
        page_size: How many are read from the store at a time. All are returned, however many there are.
    """

    instance_id_starts_with: str | None = None
    last_modified_from: datetime | None = None
    last_modified_to: datetime | None = None
    include_state: bool = True
    include_transient: bool = False
    page_size: int | None = None


@dataclass
class PurgeInstancesResult:
    """What a purge came to.

    Attributes:
        deleted_instance_count: How many orchestrations went.
        is_complete: Whether all that was meant went; ``False`` if there was no time for the rest.
    """

    deleted_instance_count: int
    is_complete: bool | None


@dataclass
class Page(Generic[TItem]):
    """Some of many.

    Attributes:
        items: They.
        continuation_token: What to ask for the next ones with; ``None`` after the last.
    """

    items: list[TItem]
    continuation_token: str | None


@dataclass
class CleanEntityStorageResult:
    """What cleaning up after entities came to.

    Attributes:
        empty_entities_removed: How many that held nothing were forgotten.
        orphaned_locks_released: How many locks that nobody would have given back are released.
    """

    empty_entities_removed: int
    orphaned_locks_released: int
