"""Where large payloads go: what a store of them has to do, and one in memory."""

from __future__ import annotations

from typing import Protocol


class PayloadStore(Protocol):
    """Keeps large payloads for one or more hubs. Whoever makes it opens and closes it.

    What was uploaded must be found at least as long as its hub holds the instance, entity or letter that it belongs to, and an hour longer:
    nothing tells the store when a payload is not wanted any more. A rule that deletes what is older than that is enough. State and history of
    what goes on for ever are uploaded anew when they are written anew, but what an instance was started with is not.

    Calls may come in parallel, and again after one that failed or was not heard of.
    """

    @property
    def threshold_bytes(self) -> int:
        """Payloads of more bytes than these are kept here; all others stay in the hub's own store."""
        ...

    async def upload(self, data: bytes) -> str:
        """Keep a payload, and return a token by which it is found: a short text without secrets, which is stored and shown.

        Raises:
            BackendError: It cannot be kept, now or later: an instance whose turn needs it is parked.
            Exception: Any other one means that it may be tried again.
        """
        ...

    async def download(self, token: str) -> bytes:
        """Return the payload of a token.

        Raises:
            LookupError: There is none, and there will be none; ``FileNotFoundError`` means the same.
            Exception: Any other one means that it may be tried again.
        """
        ...


class MemoryPayloads:
    """Keeps payloads in this process's memory, for tests.

    Attributes:
        kept: The payloads by token.
    """

    def __init__(self, threshold_bytes: int) -> None:
        self.kept: dict[str, bytes] = {}
        self._threshold_bytes = threshold_bytes

    @property
    def threshold_bytes(self) -> int:
        """Payloads of more bytes than these are kept here."""
        return self._threshold_bytes

    async def upload(self, data: bytes) -> str:
        """Keep a payload, and return its number as a token."""
        token = f"memory:{len(self.kept) + 1}"
        self.kept[token] = data
        return token

    async def download(self, token: str) -> bytes:
        """Return the payload of a token; ``KeyError`` if there is none."""
        return self.kept[token]
