"""Large payloads elsewhere: a backend around another one, and what a store of payloads has to do.

A hub's store is made for many small things. With ``OffloadingBackend(backend, store)`` payloads above a size go to a store that is made for
few large ones, such as blobs in a cloud or files in a folder, and `TaskHub.open` takes the result like any backend.
"""

from __future__ import annotations

from .backend import OffloadingBackend
from .folder import FolderPayloads
from .store import MemoryPayloads, PayloadStore

__all__ = ("FolderPayloads", "MemoryPayloads", "OffloadingBackend", "PayloadStore")
