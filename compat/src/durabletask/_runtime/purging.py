"""Purging many orchestrations, as far as there is time."""

from __future__ import annotations

from typing import Any

import anyio

from durable_async import Client

PAGE = 1_000
PURGES_AT_ONCE = 32


class Purge:
    """A purge of many that can be stopped between any two of them, and knows how far it came.

    Attributes:
        count: How many orchestrations are gone.
    """

    def __init__(self, client: Client, *, recursive: bool) -> None:
        self._client = client
        self._recursive = recursive
        self.count = 0

    async def run(self, **conditions: Any) -> None:
        """Delete all that meet the conditions, which are those of durable_async, and have ended."""
        page: str | None = None
        while True:
            states, page = await self._client.query_page(limit=PAGE, page=page, **conditions)
            for at in range(0, len(states), PURGES_AT_ONCE):
                async with anyio.create_task_group() as group:
                    for state in states[at : at + PURGES_AT_ONCE]:
                        group.start_soon(self._purge, state.instance_id)
            if page is None:
                return

    async def _purge(self, instance_id: str) -> None:
        # Shielded: what was deleted is counted.
        with anyio.CancelScope(shield=True):
            gone = await self._client.purge(instance_id, recursive=self._recursive)
            self.count += gone  # read after the wait: others count meanwhile
