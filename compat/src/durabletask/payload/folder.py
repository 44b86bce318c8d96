"""A payload store in a folder, for hubs whose processes share a disk."""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import tempfile
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import anyio.to_thread

from .store import LargePayloadStorageOptions, PayloadStore

_PREFIX = "file:v1:"
_NAME = re.compile(r"[0-9a-f]{64}(?:\.gz)?")
_PART_PREFIX = "part-"


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
        self.folder = Path(folder)
        self._options = options or LargePayloadStorageOptions()

    @property
    def options(self) -> LargePayloadStorageOptions:
        """Which payloads it is for."""
        return self._options

    def upload(self, data: bytes, *, instance_id: str | None = None) -> str:
        """Keep a payload, and return its token. ``instance_id`` makes no difference here."""
        is_compressed = self._options.enable_compression
        name = hashlib.sha256(data).hexdigest() + (".gz" if is_compressed else "")
        path = self._path(name)
        try:
            os.utime(path)  # it is as young now as if it had been written
        except FileNotFoundError:
            _write(path, gzip.compress(data, 6, mtime=0) if is_compressed else data)
        return _PREFIX + name

    async def upload_async(self, data: bytes, *, instance_id: str | None = None) -> str:
        """Keep a payload as `upload` does, in a thread."""
        return await anyio.to_thread.run_sync(self.upload, data)

    def download(self, token: str) -> bytes:
        """Return the payload of a token.

        Raises:
            ValueError: It is no token of such a store.
            FileNotFoundError: There is no such payload here.
        """
        name = _name_of(token)
        if name is None:
            raise ValueError(f"this is no token of a payload in a folder: {token!r}")
        stored = self._path(name).read_bytes()
        return gzip.decompress(stored) if name.endswith(".gz") else stored

    async def download_async(self, token: str) -> bytes:
        """Return a payload as `download` does, in a thread."""
        return await anyio.to_thread.run_sync(self.download, token)

    def is_known_token(self, value: str) -> bool:
        """Tell whether a text is a token of such a store."""
        return _name_of(value) is not None

    def prune(self, older_than: timedelta) -> int:
        """Delete payloads that were last uploaded longer ago; return how many.

        Nobody looks whether one is still needed: choose a time that is longer than anything in the hub lives.
        """
        oldest = time.time() - older_than.total_seconds()
        deleted = 0
        for path in self.folder.glob("*/*"):
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < oldest:
                    path.unlink()
                    deleted += not path.name.startswith(_PART_PREFIX)
        return deleted

    def _path(self, name: str) -> Path:
        return self.folder / name[:2] / name


def _name_of(token: str) -> str | None:
    name = token.removeprefix(_PREFIX)
    return name if token.startswith(_PREFIX) and _NAME.fullmatch(name) else None


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(dir=path.parent, prefix=_PART_PREFIX)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(part).replace(path)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    if not hasattr(os, "O_DIRECTORY"):
        return  # Windows has no way to do that, and needs none
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
