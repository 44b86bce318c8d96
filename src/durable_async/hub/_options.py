"""HubOptions: what can be said of a hub, beside where its store is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, TypedDict

from durable_async.environment import Environment
from durable_async.model.retention import Retention
from durable_async.registry import Registry
from durable_async.serialization import DataConverter
from durable_async.telemetry import Telemetry
from durable_async.worker import WorkerSettings

if TYPE_CHECKING:
    from durable_async.backends.offload import PayloadStore


class HubOptions(TypedDict, total=False):
    """What `TaskHub.at` and `TaskHub.open` take by name; see there."""

    hub: str | None
    registry: Registry | None
    payloads: DataConverter | None
    payload_store: PayloadStore | None
    default_version: str | None
    pending_max: int | None
    settings: WorkerSettings | None
    telemetry: Telemetry | Iterable[Telemetry] | None
    retention: Retention | None
    environment: Environment | None
