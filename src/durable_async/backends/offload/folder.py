"""A payload store in a folder, for hubs whose processes share a disk."""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import tempfile
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from durable_async.environment import Environment, SystemEnvironment
from durable_async.errors import shown

THRESHOLD_BYTES = 256 * 1024

_PREFIX = "file:v1:"
_NAME = re.compile(r"[0-9a-f]{64}(?:\.gz)?")
_PART_PREFIX = "part-"
_LEVEL = 6


class FolderPayloads:
    """Keeps each payload in a file named after its content, so that the same payload is kept once.

    Files appear whole or not at all, and survive a crash of the machine once they are there. Any number of processes may use a folder.

    Attributes:
        folder: Where the files are; it is created when the first payload comes.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        threshold_bytes: int = THRESHOLD_BYTES,
        compress: bool = True,
        environment: Environment | None = None,
    ) -> None:
        """Keep payloads in a folder.

        Args:
            folder: Where. All processes of a hub need the same.
            threshold_bytes: Payloads of more bytes than these are kept here.
            compress: Whether they are compressed. What was stored otherwise is read all the same.
            environment: Where time and threads come from; only tests change it.
        """
        self.folder = Path(folder)
        self._threshold_bytes = threshold_bytes
        self._compress = compress
        self._environment = environment or SystemEnvironment()

    @property
    def threshold_bytes(self) -> int:
        """Payloads of more bytes than these are kept here."""
        return self._threshold_bytes

    async def upload(self, data: bytes) -> str:
        """Keep a payload, and return its token."""
        return await self._environment.run_in_thread(self.put, data)

    async def download(self, token: str) -> bytes:
        """Return the payload of a token.

        Raises:
            LookupError: It is no token of such a store.
            FileNotFoundError: There is no such payload here.
        """
        return await self._environment.run_in_thread(self.get, token)

    def put(self, data: bytes, *, compress: bool | None = None) -> str:
        """Keep a payload, and return its token; blocking.

        Args:
            data: The payload.
            compress: Whether it is compressed, if otherwise than most.
        """
        is_compressed = self._compress if compress is None else compress
        name = hashlib.sha256(data).hexdigest() + (".gz" if is_compressed else "")
        path = self._path(name)
        try:
            os.utime(path)  # it is as young now as if it had been written
        except FileNotFoundError:
            _write(path, gzip.compress(data, _LEVEL, mtime=0) if is_compressed else data)
        return _PREFIX + name

    def get(self, token: str) -> bytes:
        """Return the payload of a token, blocking; raises what `download` raises."""
        name = _name_of(token)
        if name is None:
            raise LookupError(f"this is no token of a payload in a folder: {shown(token)}")
        stored = self._path(name).read_bytes()
        return gzip.decompress(stored) if name.endswith(".gz") else stored

    def knows(self, token: str) -> bool:
        """Tell whether a text is a token of such a store, whether or not there is a payload of it."""
        return _name_of(token) is not None

    def prune(self, older_than: timedelta) -> int:
        """Delete payloads that were last uploaded longer ago, and return how many; blocking.

        Nobody looks whether one is still needed: choose a time that is longer than anything in the hub is kept, by an hour at least.
        """
        oldest = self._environment.now_us() / 1e6 - older_than.total_seconds()
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
