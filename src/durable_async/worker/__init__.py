"""The worker keeps work moving: it claims instances, runs their turns, commits them in groups, and runs activities.

Knows the engine and the port. Read `_session` first: one identity's life, from its lease to its last commit.
"""

from __future__ import annotations

from ._health import health_of
from ._watchdog import Watchdog
from ._worker import Worker
from .settings import Divergence, WorkerSettings

__all__ = ("Divergence", "Watchdog", "Worker", "WorkerSettings", "health_of")
