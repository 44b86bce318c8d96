"""Health: what a process can say of itself to whoever decides whether it gets work, or is started anew."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How a hub was in this process when it was asked.

    Attributes:
        is_live: Whether the process can go on at all; if not, start it anew: its event loop is blocked, or a worker of the hub ended with
            an exception. A store that is away is no reason to: that would help nobody.
        is_ready: Whether the store answers, and each worker of this process is registered, holds its lease, and is not about to stop.
        problems: What stands against either, for people: never a password, nor anything that a user has put into the hub.
        details: The same and more for programs, as JSON can hold it.
    """

    is_live: bool
    is_ready: bool
    problems: tuple[str, ...]
    details: dict[str, Any]
