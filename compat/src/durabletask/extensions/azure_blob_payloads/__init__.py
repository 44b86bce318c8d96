"""Large payloads in Azure Blob Storage; `durabletask.payload` tells when a payload is large.

This needs the distribution ``azure-storage-blob``. Without it the import fails, as it does in the Durable Task SDK.
"""

from __future__ import annotations

from .blob_payload_store import BlobPayloadStore
from .options import BlobPayloadStoreOptions

__all__ = ["BlobPayloadStore", "BlobPayloadStoreOptions"]
