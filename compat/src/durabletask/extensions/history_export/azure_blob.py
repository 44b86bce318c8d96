"""AzureBlobHistoryExportWriter: histories as blobs. It needs the package ``azure-storage-blob``."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Self

from .object_store import ascii_metadata

try:
    _blob: Any = import_module("azure.storage.blob")
    _errors: Any = import_module("azure.core.exceptions")
except ImportError as error:
    raise ImportError(
        "AzureBlobHistoryExportWriter needs the package 'azure-storage-blob', which is not installed"
    ) from error


@dataclass
class AzureBlobHistoryExportWriterOptions:
    """Which container, and how to get there: by a connection string, or by an account's URL and a credential.

    Attributes:
        container_name: Where all blobs go, whatever container a job names.
        connection_string: Of the storage account.
        account_url: Of the storage account.
        credential: What proves who asks, such as one of ``azure.identity``; not shown.
        api_version: Of the storage service; by default the package's own.
        create_container_if_not_exists: Whether to do so, at the first blob.
        overwrite: Whether a blob of the same name is replaced. Otherwise an orchestration is exported once, and failures tell of the rest.

    Raises:
        ValueError: There is no container name, or not one way to get there.
    """

    container_name: str
    connection_string: str | None = None
    account_url: str | None = None
    credential: Any = field(default=None, repr=False)
    api_version: str | None = None
    create_container_if_not_exists: bool = True
    overwrite: bool = True

    def __post_init__(self) -> None:
        if not self.container_name:
            raise ValueError("container_name is required")
        if self.connection_string and self.account_url:
            raise ValueError("'connection_string' and 'account_url' are mutually exclusive")
        if not self.connection_string and not self.account_url:
            raise ValueError(
                "Either 'connection_string' or 'account_url' (with 'credential') must be provided"
            )
        if self.account_url and self.credential is None:
            raise ValueError("'credential' is required when 'account_url' is provided")


class AzureBlobHistoryExportWriter:
    """Writes each history as a blob. Close it when nothing is exported any more.

    Args:
        options: Where to.
    """

    def __init__(self, options: AzureBlobHistoryExportWriterOptions) -> None:
        self._options = options
        self._service: Any = _service(options)
        self._lock = threading.Lock()
        self._has_container = not options.create_container_if_not_exists

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._service.close()

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
        """Upload one blob; see `HistoryWriter.write`. ``container`` is not looked at: the options name it."""
        self._ensure_container()
        headers = {"content_type": content_type}
        if content_encoding is not None:
            headers["content_encoding"] = content_encoding
        self._service.get_container_client(self._options.container_name).upload_blob(
            name=blob_name,
            data=payload,
            overwrite=self._options.overwrite,
            content_settings=_blob.ContentSettings(**headers),
            metadata=ascii_metadata(metadata) if metadata else None,
        )

    def _ensure_container(self) -> None:
        with self._lock:
            if self._has_container:
                return
            with suppress(_errors.ResourceExistsError):
                self._service.create_container(self._options.container_name)
            self._has_container = True


def _service(options: AzureBlobHistoryExportWriterOptions) -> Any:
    more = {} if options.api_version is None else {"api_version": options.api_version}
    if options.connection_string:
        return _blob.BlobServiceClient.from_connection_string(options.connection_string, **more)
    return _blob.BlobServiceClient(
        account_url=options.account_url, credential=options.credential, **more
    )


__all__ = ["AzureBlobHistoryExportWriter", "AzureBlobHistoryExportWriterOptions"]
