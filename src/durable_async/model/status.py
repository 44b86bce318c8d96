"""Runtime status of an orchestration."""

from __future__ import annotations

from enum import Enum


class Status(Enum):
    """Where an orchestration stands; the value is what the store holds."""

    PENDING = "pending"
    """Started, and no turn of it has been made yet."""
    RUNNING = "running"
    """Under way, also while it waits."""
    SUSPENDED = "suspended"
    """It stands still until somebody resumes it; what arrives is kept."""
    COMPLETED = "completed"
    """It returned a result."""
    FAILED = "failed"
    """It raised an error; it may be rewound."""
    TERMINATED = "terminated"
    """Somebody ended it from outside."""

    __hash__ = object.__hash__
    """A member is one object. What ``Enum`` has instead is a call of Python at each look into a set or a dict."""

    @property
    def is_terminal(self) -> bool:
        """Whether nothing more will happen by itself."""
        return self in TERMINAL


TERMINAL = frozenset({Status.COMPLETED, Status.FAILED, Status.TERMINATED})
