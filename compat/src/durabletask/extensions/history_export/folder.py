"""LocalFolderHistoryWriter: histories as files in a folder."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path


class LocalFolderHistoryWriter:
    """Writes each history as a file ``<folder>/<container>/<blob name>``. Folders are made as needed.

    A file appears whole or not at all, and is on the disk when `write` returns. Several threads and processes may write to one folder.

    Args:
        folder: Where to.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = Path(folder).resolve()

    @property
    def folder(self) -> Path:
        """Where files are written."""
        return self._folder

    def write(
        self,
        *,
        instance_id: str,
        container: str,
        blob_name: str,
        payload: bytes,
        content_type: str,
        content_encoding: str | None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        """Write one file, in place of one of the same name; see `HistoryWriter.write`.

        A file has nowhere to keep ``content_type``, ``content_encoding`` and ``metadata``: the name's ending says the format, and the
        content whose history it is.

        Raises:
            ValueError: The container or the name leads out of the folder.
            OSError: It cannot be written.
        """
        path = self._path(container, blob_name)
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(payload)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
        except BaseException:
            with suppress(OSError):
                Path(temporary).unlink()
            raise

    def _path(self, container: str, blob_name: str) -> Path:
        path = (self._folder / container / blob_name).resolve()
        if self._folder not in path.parents:
            raise ValueError(f"{container}/{blob_name} leads out of the folder {self._folder}")
        return path


__all__ = ["LocalFolderHistoryWriter"]
