"""A payload store in a folder, for hubs whose processes share a disk."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import anyio.to_thread

from durable_async.backends.offload import FolderPayloads

from .store import LargePayloadStorageOptions, PayloadStore


class LocalFolderPayloadStore(PayloadStore):
    """Keeps each payload in a file named after its content, so that the same payload is kept once.

    Files appear whole or not at all, and survive a crash of the machine once they are there. Any number of processes may use the folder.

    Args:
        folder: Where the files are; it is created when the first payload comes.
        options: Which payloads are large, and whether they are compressed.
    """

    def __init__(
        self, folder: str | os.PathLike[str], options: LargePayloadStorageOptions | None = None
    ) -> None:
        self._files = FolderPayloads(folder)
        self._options = options or LargePayloadStorageOptions()

    @property
    def folder(self) -> Path:
        """Where the files are."""
        return self._files.folder

    @property
    def options(self) -> LargePayloadStorageOptions:
        """Which payloads it is for."""
        return self._options

    def upload(self, data: bytes, *, instance_id: str | None = None) -> str:
        """Keep a payload, and return its token. ``instance_id`` makes no difference here."""
        return self._files.put(data, compress=self._options.enable_compression)

    async def upload_async(self, data: bytes, *, instance_id: str | None = None) -> str:
        """Keep a payload as `upload` does, in a thread."""
        return await anyio.to_thread.run_sync(self.upload, data)

    def download(self, token: str) -> bytes:
        """Return the payload of a token.

        Raises:
            ValueError: It is no token of such a store.
            FileNotFoundError: There is no such payload here.
        """
        if not self.is_known_token(token):
            raise ValueError(f"this is no token of a payload in a folder: {token!r}")
        return self._files.get(token)

    async def download_async(self, token: str) -> bytes:
        """Return a payload as `download` does, in a thread."""
        return await anyio.to_thread.run_sync(self.download, token)

    def is_known_token(self, value: str) -> bool:
        """Tell whether a text is a token of such a store."""
        return self._files.knows(value)

    def prune(self, older_than: timedelta) -> int:
        """Delete payloads that were last uploaded longer ago; return how many.

        Nobody looks whether one is still needed: choose a time that is longer than anything in the hub is kept, by an hour at least.
        """
        return self._files.prune(older_than)
