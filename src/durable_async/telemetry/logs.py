"""What every record of the engine's logger says beside its message: whose it is.

The attributes are ``hub`` and ``worker_id``, of the worker in whose tasks something is logged, and ``instance_id`` and ``execution`` where a
record is about one instance. A record has only those that apply.
"""

from __future__ import annotations

import logging
from contextvars import ContextVar
from typing import Any

LOGGER = "durable_async"

worker_facts: ContextVar[dict[str, str] | None] = ContextVar("durable_async_worker", default=None)
"""Of the worker whose task this is. Orchestrations, whose code has a context of its own, are given those of their worker."""


def about(instance_id: str, execution: int | None = None) -> dict[str, Any]:
    """Return the ``extra`` of a record about an instance."""
    if execution is None:
        return {"instance_id": instance_id}
    return {"instance_id": instance_id, "execution": execution}


def enter_worker(hub: str, worker_id: str) -> None:
    """Let this task, and all that is begun in it, log as this worker's."""
    worker_facts.set({"hub": hub, "worker_id": worker_id})


class WorkerFacts(logging.Filter):
    """Adds ``hub`` and ``worker_id`` to a record that is made in a worker's tasks; for handlers and loggers of your own, too."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add what is known; every record passes."""
        for name, value in (worker_facts.get() or {}).items():
            if not hasattr(record, name):
                setattr(record, name, value)
        return True


logging.getLogger(LOGGER).addFilter(WorkerFacts())
