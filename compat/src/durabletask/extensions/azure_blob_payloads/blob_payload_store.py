"""A payload store in a container of Azure Blob Storage."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import importlib
import uuid
from typing import Any, Self

from durabletask.payload import PayloadStore

from .options import BlobPayloadStoreOptions

try:
    _blob: Any = importlib.import_module("azure.storage.blob")
    _exceptions: Any = importlib.import_module("azure.core.exceptions")
except ModuleNotFoundError as error:
    raise ImportError(
        "payloads in Azure Blob Storage need a distribution that is not installed: "
        "pip install azure-storage-blob",
        name=error.name,
    ) from error

_TOKEN_PREFIX = "blob:v1:"  # noqa: S105 - the SDKs of all languages write tokens so
_GZIP = b"\x1f\x8b"  # payloads are UTF-8, in which this cannot be


class BlobPayloadStore(PayloadStore):
    """Keeps payloads in Azure Blob Storage, under the same names and tokens as the Durable Task SDKs of all languages.

    Payloads that were stored with compression are read also without it, and the other way round. The methods that do not block work in
    threads, so that a store may be used on any event loop, and on several.

    Args:
        options: Where to, and from which size on.

    Raises:
        ValueError: Neither a connection string nor an account is given.
    """

    def __init__(self, options: BlobPayloadStoreOptions) -> None:
        if not options.connection_string and not options.account_url:
            raise ValueError(
                "a BlobPayloadStore needs a connection_string, or an account_url with a credential"
            )
        self._options = options
        self._service = _service(options)
        self._is_container_there = False

    @property
    def options(self) -> BlobPayloadStoreOptions:
        """The options that it was made with."""
        return self._options

    # -- as a context manager

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *args: object) -> None:
        await self.close_async()

    def close(self) -> None:
        """Close its connections."""
        self._service.close()

    async def close_async(self) -> None:
        """Do what `close` does, without blocking."""
        await asyncio.to_thread(self.close)

    # -- payloads

    def upload(self, data: bytes, *, instance_id: str | None = None) -> str:
        """Store a payload in a blob of its own, and return the token that stands for it.

        Args:
            data: The payload.
            instance_id: Whose it is; the blob's name begins with it.
        """
        container = self._service.get_container_client(self._options.container_name)
        if not self._is_container_there:
            with contextlib.suppress(_exceptions.ResourceExistsError):
                container.create_container()
            self._is_container_there = True
        name = _new_name(instance_id)
        container.upload_blob(name=name, data=self._packed(data), overwrite=True)
        return self._token(name)

    async def upload_async(self, data: bytes, *, instance_id: str | None = None) -> str:
        """Do what `upload` does, without blocking."""
        return await asyncio.to_thread(self.upload, data, instance_id=instance_id)

    def download(self, token: str) -> bytes:
        """Return the payload that a token stands for.

        Raises:
            ValueError: It is no token of such a store.
        """
        container, name = _parsed(token)
        stored: bytes = self._service.get_container_client(container).download_blob(name).readall()
        return _unpacked(stored)

    async def download_async(self, token: str) -> bytes:
        """Do what `download` does, without blocking."""
        return await asyncio.to_thread(self.download, token)

    def is_known_token(self, value: str) -> bool:
        """Return whether a text is a token of such a store."""
        try:
            _parsed(value)
        except ValueError:
            return False
        return True

    def _packed(self, data: bytes) -> bytes:
        return gzip.compress(data) if self._options.enable_compression else data

    def _token(self, name: str) -> str:
        return f"{_TOKEN_PREFIX}{self._options.container_name}:{name}"


def _unpacked(stored: bytes) -> bytes:
    return gzip.decompress(stored) if stored.startswith(_GZIP) else stored


def _new_name(instance_id: str | None) -> str:
    unique = uuid.uuid4().hex
    return f"{instance_id}/{unique}" if instance_id else unique


def _parsed(token: str) -> tuple[str, str]:
    container, _, name = token.removeprefix(_TOKEN_PREFIX).partition(":")
    if not token.startswith(_TOKEN_PREFIX) or not container or not name:
        raise ValueError(f"this is no token of a payload in Azure Blob Storage: {token!r}")
    return container, name


def _service(options: BlobPayloadStoreOptions) -> Any:
    """Return a client of the account."""
    client = _blob.BlobServiceClient
    version = {"api_version": options.api_version} if options.api_version else {}
    if options.connection_string:
        return client.from_connection_string(options.connection_string, **version)
    return client(account_url=options.account_url, credential=options.credential, **version)
