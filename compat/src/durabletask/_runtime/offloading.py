"""A program's payload store beneath its clients and workers: the hub's backend, around which large payloads go there."""

from __future__ import annotations

from durable_async import BackendError, PayloadTooLargeError
from durable_async.backend import Backend
from durable_async.backends.offload import OffloadingBackend
from durabletask.payload import PayloadStore
from durabletask.payload.helpers import refuse_too_large

from .texts import TextPayloads

_GONE = (404, 410)


def offloading(backend: Backend, store: PayloadStore) -> OffloadingBackend:
    """Return a backend that keeps large payloads in a store. It is open as far as the other one is."""
    return OffloadingBackend(backend, _Payloads(store))


class BoundedTexts(TextPayloads):
    """Texts that are not larger than a payload store takes: what is, is refused where it is made, in the code that made it."""

    def __init__(self, store: PayloadStore) -> None:
        self._store = store

    def encode(self, value: object, where: str) -> bytes:
        """Return a text's bytes.

        Raises:
            EncodeError: It is not a text, or holds what UTF-8 cannot.
            PayloadTooLargeError: It is larger than the store takes.
        """
        data = super().encode(value, where)
        options = self._store.options
        limit = max(options.max_stored_payload_bytes, options.threshold_bytes)
        if len(data) > limit:
            raise PayloadTooLargeError(where, len(data), limit)
        return data


class _Payloads:
    """The store as durable_async sees it. The store compresses itself, and makes its own tokens."""

    def __init__(self, store: PayloadStore) -> None:
        self._store = store

    @property
    def threshold_bytes(self) -> int:
        """Payloads of more bytes than these go to the store."""
        return self._store.options.threshold_bytes

    async def upload(self, data: bytes) -> str:
        """Keep a payload, and return its token.

        Raises:
            BackendError: It is larger than the store takes.
        """
        try:
            refuse_too_large(len(data), self._store)
        except ValueError as error:
            raise BackendError(str(error)) from error
        return await self._store.upload_async(data)

    async def download(self, token: str) -> bytes:
        """Return the payload of a token.

        Raises:
            LookupError: It is a token of another kind of store, or the payload is lost.
        """
        if not self._store.is_known_token(token):
            raise LookupError(f"{type(self._store).__name__} knows no such tokens")
        try:
            return await self._store.download_async(token)
        except Exception as error:
            if getattr(error, "status_code", None) in _GONE:  # as errors of clouds tell it
                raise LookupError(str(error)) from error
            raise
