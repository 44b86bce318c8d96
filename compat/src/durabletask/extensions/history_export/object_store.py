"""ObjectStoreHistoryWriter: histories as objects of a store that speaks as S3 does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import quote


class ObjectStoreClient(Protocol):
    """What is asked of a client: one method, as boto3's S3 client has it. Threads share it, as boto3's clients allow."""

    def put_object(self, *, Bucket: str, Key: str, Body: bytes, **headers: Any) -> Any:  # noqa: N803 - the names are S3's
        """Put one object, in place of one of the same key."""
        ...


class ObjectStoreHistoryWriter:
    """Writes each history as an object.

    Args:
        client: Such as ``boto3.client("s3")``.
        bucket: Where all of them go. By default the job's container is the bucket.
        prefix: What keys begin with, before the job's own prefix.
    """

    def __init__(
        self, client: ObjectStoreClient, bucket: str | None = None, prefix: str = ""
    ) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix.strip("/")

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
        """Put one object; see `HistoryWriter.write`. Metadata beyond ASCII is percent-encoded, since headers are ASCII."""
        headers: dict[str, Any] = {"ContentType": content_type}
        if content_encoding is not None:
            headers["ContentEncoding"] = content_encoding
        if metadata:
            headers["Metadata"] = ascii_metadata(metadata)
        self._client.put_object(
            Bucket=self._bucket or container,
            Key=f"{self._prefix}/{blob_name}" if self._prefix else blob_name,
            Body=payload,
            **headers,
        )


def ascii_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return metadata as HTTP headers can carry them."""
    return {
        key: value if value.isascii() and value.isprintable() else quote(value, safe="/:@ ")
        for key, value in metadata.items()
    }


__all__ = ["ObjectStoreClient", "ObjectStoreHistoryWriter"]
