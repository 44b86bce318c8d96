"""Large payloads in a store of their own, outside of the hub's.

A client and a worker take a `PayloadStore` as ``payload_store=``; all of a hub's need the same one. What is larger than its threshold is kept
there: inputs, results, events, custom statuses, the states of entities. `LocalFolderPayloadStore` needs nothing but a folder that all of them
see; `durabletask.extensions.azure_blob_payloads` has one in a cloud.
"""

from __future__ import annotations

from .folder import LocalFolderPayloadStore
from .helpers import (
    deexternalize_payloads,
    deexternalize_payloads_async,
    externalize_payloads,
    externalize_payloads_async,
)
from .store import LargePayloadStorageOptions, PayloadStore

__all__ = [
    "LargePayloadStorageOptions",
    "LocalFolderPayloadStore",
    "PayloadStore",
    "deexternalize_payloads",
    "deexternalize_payloads_async",
    "externalize_payloads",
    "externalize_payloads_async",
]
