"""OrchestrationState: an instance as it was when the client looked."""

from __future__ import annotations

from typing import Any, TypeVar, overload

from durable_async.failure import FailureDetails
from durable_async.model.moments import instant
from durable_async.model.records import InstanceRecord
from durable_async.model.status import Status
from durable_async.serialization import DataConverter
from durable_async.serialization.events import decode_start
from durable_async.telemetry import TraceParent

T = TypeVar("T")


class OrchestrationState:
    """What the store knew of an instance at one moment.

    Attributes:
        instance_id: Its id.
        name: The orchestrator's name.
        version: The version it was started with.
        status: Where it stands.
        execution: Which generation it is in, from 1.
        created_at: When it was started.
        updated_at: When its status last changed.
        completed_at: When it ended, or ``None``.
        tags: What it was tagged with.
        parent_instance_id: The orchestration that started it, or ``None``.
        parked: Why it was taken out of circulation, or ``None``; see ``Client.unpark``.
        failure: Why it failed, or ``None``.
        owner: The worker that holds it at the moment, or ``None``.
    """

    def __init__(self, record: InstanceRecord, payloads: DataConverter) -> None:
        self._record = record
        self._payloads = payloads
        self.instance_id = record.instance_id
        self.name = record.name
        self.version = record.version
        self.status: Status = record.status
        self.execution = record.execution
        self.created_at = instant(record.created_at_us)
        self.updated_at = instant(record.updated_at_us)
        self.completed_at = (
            None if record.completed_at_us is None else instant(record.completed_at_us)
        )
        self.tags = dict(record.tags)
        self.parent_instance_id = None if record.parent is None else record.parent.instance_id
        self.parked = record.parked
        self.failure: FailureDetails | None = record.failure
        self.owner = record.owner

    def __repr__(self) -> str:
        return f"<OrchestrationState {self.name} {self.instance_id!r} {self.status.value}>"

    @property
    def is_ended(self) -> bool:
        """Whether it completed, failed or was terminated."""
        return self.status.is_terminal

    @property
    def trace_id(self) -> str | None:
        """The trace that it belongs to, 32 hexadecimal digits; ``None`` if it is in none, or the state was read without payloads."""
        data = self._record.started_events
        origin = None if data is None else decode_start(self.instance_id, data).origin
        place = None if origin is None else TraceParent.parse(origin.traceparent)
        return None if place is None else f"{place.trace_id:032x}"

    @overload
    def input(self, type: type[T], /) -> T: ...
    @overload
    def input(self, type: Any = ..., /) -> Any: ...
    def input(self, type: Any = Any, /) -> Any:
        """Return its input; ``None`` if the state was read without payloads."""
        data = self._record.started_events
        if data is None:
            return None
        started = decode_start(self.instance_id, data)
        return self._payloads.decode(started.input, type, f"orchestrator {self.name!r} input")

    @overload
    def output(self, type: type[T], /) -> T: ...
    @overload
    def output(self, type: Any = ..., /) -> Any: ...
    def output(self, type: Any = Any, /) -> Any:
        """Return its result; ``None`` if there is none, or the state was read without payloads."""
        return self._payloads.decode(
            self._record.output, type, f"orchestrator {self.name!r} result"
        )

    @overload
    def custom_status(self, type: type[T], /) -> T | None: ...
    @overload
    def custom_status(self, type: Any = ..., /) -> Any: ...
    def custom_status(self, type: Any = Any, /) -> Any:
        """Return what it published last, or ``None``."""
        data = self._record.custom_status or None
        return self._payloads.decode(data, type, "custom status")
