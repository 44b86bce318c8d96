"""The names of the SDK's package for the managed scheduler: its clients and its worker, on the store that this process uses."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .client import AsyncDurableTaskSchedulerClient, DurableTaskSchedulerClient
    from .worker import DurableTaskSchedulerWorker

__all__ = [
    "AsyncDurableTaskSchedulerClient",
    "DurableTaskSchedulerClient",
    "DurableTaskSchedulerWorker",
]

_HOME_OF = {
    "AsyncDurableTaskSchedulerClient": "client",
    "DurableTaskSchedulerClient": "client",
    "DurableTaskSchedulerWorker": "worker",
}


def __getattr__(name: str) -> Any:
    """Return one of the names above at its first use."""
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
