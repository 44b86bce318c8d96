"""The names of the Durable Task Python SDK, on durable_async: in process, on SQLite or Postgres.

Importing this package alone loads none of its modules: each name below is looked up in its home when it is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .exception_properties import ExceptionPropertiesProvider
    from .grpc_options import GrpcChannelOptions, GrpcRetryPolicyOptions
    from .payload import LargePayloadStorageOptions, PayloadStore
    from .worker import (
        ActivityWorkItemFilter,
        ConcurrencyOptions,
        EntityWorkItemFilter,
        OrchestrationWorkItemFilter,
        VersioningOptions,
        WorkItemFilters,
    )

__all__ = [
    "ActivityWorkItemFilter",
    "ConcurrencyOptions",
    "EntityWorkItemFilter",
    "ExceptionPropertiesProvider",
    "GrpcChannelOptions",
    "GrpcRetryPolicyOptions",
    "LargePayloadStorageOptions",
    "OrchestrationWorkItemFilter",
    "PayloadStore",
    "VersioningOptions",
    "WorkItemFilters",
]

PACKAGE_NAME = "durabletask"

_HOMES = {
    "exception_properties": ["ExceptionPropertiesProvider"],
    "grpc_options": ["GrpcChannelOptions", "GrpcRetryPolicyOptions"],
    "payload": ["LargePayloadStorageOptions", "PayloadStore"],
    "worker": [
        "ActivityWorkItemFilter",
        "ConcurrencyOptions",
        "EntityWorkItemFilter",
        "OrchestrationWorkItemFilter",
        "VersioningOptions",
        "WorkItemFilters",
    ],
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

# What can be had as an attribute without an import of its own; `client` is not among them, as in the SDK.
_MODULES = {"entities", "grpc_options", "internal", "payload", "serialization", "task", "worker"}


def __getattr__(name: str) -> Any:
    """Return one of the names above, or a module of the package, at its first use."""
    if name in _HOME_OF:
        value = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    elif name in _MODULES:
        value = import_module(f"{__name__}.{name}")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value  # from here on without this function
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES})
