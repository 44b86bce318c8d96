"""What a store of large payloads has to do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass


@dataclass
class LargePayloadStorageOptions:
    """Which payloads are large, and what is done with them.

    Attributes:
        threshold_bytes: Payloads of more bytes than these are kept in the store; 256 KiB by default.
        max_stored_payload_bytes: Payloads of more bytes than these are refused with ``ValueError``; 10 MiB by default. What counts is the
            size before compression.
        enable_compression: Whether the store compresses what it keeps. The store itself does that.
    """

    threshold_bytes: int = 256 * 1024
    max_stored_payload_bytes: int = 10 * 1024 * 1024
    enable_compression: bool = True


class PayloadStore(ABC):
    """Keeps payloads under tokens: short texts by which they are found again, and which it knows as its own.

    Workers and clients call the methods that do not block, on an event loop of their own; those that block are for programs.
    What was uploaded has to be kept at least an hour longer than the hub holds whatever it belongs to. Nothing tells the store when that is
    over, so let it delete by age.
    """

    @property
    @abstractmethod
    def options(self) -> LargePayloadStorageOptions:
        """Which payloads it is for."""

    @abstractmethod
    def upload(self, data: bytes, *, instance_id: str | None = None) -> str:
        """Keep a payload, and return its token.

        Args:
            data: The payload.
            instance_id: The orchestration that it belongs to, if that is known; payloads of one instance may be shared with others.
        """

    @abstractmethod
    async def upload_async(self, data: bytes, *, instance_id: str | None = None) -> str:
        """Keep a payload as `upload` does, without blocking."""

    @abstractmethod
    def download(self, token: str) -> bytes:
        """Return the payload of a token. ``LookupError`` or ``FileNotFoundError`` mean that it is lost, other errors that it may be had later."""

    @abstractmethod
    async def download_async(self, token: str) -> bytes:
        """Return a payload as `download` does, without blocking."""

    @abstractmethod
    def is_known_token(self, value: str) -> bool:
        """Tell whether a text is a token of such a store."""
