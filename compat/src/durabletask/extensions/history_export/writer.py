"""HistoryWriter: where histories are put, as far as an export job needs to know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable


@runtime_checkable
class HistoryWriter(Protocol):
    """Puts one file somewhere. Called from several threads at once, so it must allow that."""

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
        """Put one file there, in place of one of the same name; return when it is safe.

        Args:
            instance_id: Whose history it is.
            container: Container, bucket or folder, as the job's destination names it. A writer for one place only may ignore it.
            blob_name: Name within it, prefix included; parts are separated by ``/``.
            payload: The file's content, compressed if the format is.
            content_type: Its media type, such as ``application/json``.
            content_encoding: ``gzip``, or ``None``.
            metadata: A few short texts to keep with it; a place that cannot may ignore them.

        Raises:
            Exception: It is not there. The job tries again, and in the end records the failure.
        """
        ...


__all__ = ["HistoryWriter"]
