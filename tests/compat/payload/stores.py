"""A payload store in memory, as programs write them."""

from __future__ import annotations

from durabletask.payload import LargePayloadStorageOptions, PayloadStore


class MemoryStore(PayloadStore):
    """Keeps payloads under numbers, and notes who asked for what."""

    def __init__(self, threshold_bytes: int = 100, max_stored_payload_bytes: int = 10_000) -> None:
        self._options = LargePayloadStorageOptions(threshold_bytes, max_stored_payload_bytes)
        self.kept: dict[str, bytes] = {}
        self.instance_ids: list[str | None] = []
        self.awaited = 0

    @property
    def options(self) -> LargePayloadStorageOptions:
        return self._options

    def upload(self, data: bytes, *, instance_id: str | None = None) -> str:
        token = f"number:{len(self.kept)}"
        self.kept[token] = data
        self.instance_ids.append(instance_id)
        return token

    async def upload_async(self, data: bytes, *, instance_id: str | None = None) -> str:
        self.awaited += 1
        return self.upload(data, instance_id=instance_id)

    def download(self, token: str) -> bytes:
        return self.kept[token]

    async def download_async(self, token: str) -> bytes:
        self.awaited += 1
        return self.download(token)

    def is_known_token(self, value: str) -> bool:
        return value.startswith("number:")
