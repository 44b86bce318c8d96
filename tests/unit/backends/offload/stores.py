"""A payload store that fails when it is told to."""

from __future__ import annotations

import asyncio

import anyio

from durable_async.backends.offload import MemoryPayloads
from durable_async.errors import BackendError


class ShakyPayloads(MemoryPayloads):
    """Counts, and fails.

    Attributes:
        uploads: What was asked to be kept, in order.
        downloads: What was asked for, in order.
        is_away: Whether it does not answer.
        hangs: Whether it never comes back.
        cancels: Whether its calls are cancelled from within.
        refuses: A payload that it can never keep.
    """

    def __init__(self, threshold_bytes: int = 10) -> None:
        super().__init__(threshold_bytes)
        self.uploads: list[bytes] = []
        self.downloads: list[str] = []
        self.is_away = False
        self.hangs = False
        self.cancels = False
        self.refuses: bytes | None = None

    async def upload(self, data: bytes) -> str:
        self.uploads.append(data)
        await self._answer()
        if data == self.refuses:
            raise BackendError("too large for me")
        return await super().upload(data)

    async def download(self, token: str) -> bytes:
        self.downloads.append(token)
        await self._answer()
        return await super().download(token)

    async def _answer(self) -> None:
        if self.hangs:
            await anyio.sleep_forever()
        if self.cancels:
            raise asyncio.CancelledError
        if self.is_away:
            raise ConnectionError("away")
