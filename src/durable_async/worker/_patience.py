"""Patience: pauses between attempts to reach a store that does not answer."""

from __future__ import annotations

import anyio

from durable_async.environment import Environment

FIRST_SECONDS = 0.05
LONGEST_SECONDS = 0.5
"""A store that is back is noticed within this time."""


class Patience:
    """Pauses that grow, and differ between workers, so that they do not all come at once."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._seconds = FIRST_SECONDS

    async def pause(self) -> None:
        """Wait before the next attempt."""
        await anyio.sleep(self._seconds * (0.5 + self._environment.random().random() / 2))
        self._seconds = min(self._seconds * 2, LONGEST_SECONDS)
