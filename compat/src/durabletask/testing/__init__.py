"""For tests: a store in this process's memory, which clients and workers find by a port."""

from __future__ import annotations

from .in_memory_backend import InMemoryOrchestrationBackend, create_test_backend

__all__ = ["InMemoryOrchestrationBackend", "create_test_backend"]
