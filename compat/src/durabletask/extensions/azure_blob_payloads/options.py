"""Where payloads in Azure Blob Storage go."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from durabletask.payload import LargePayloadStorageOptions


@dataclass
class BlobPayloadStoreOptions(LargePayloadStorageOptions):
    """Which payloads are large, and the storage account and container that they go to.

    Attributes:
        container_name: The container; it is created when the first payload goes there.
        connection_string: Names the account and opens it. It goes before ``account_url``.
        account_url: Names the account that ``credential`` opens.
        credential: A key, a signature, or an object of ``azure.identity``. It is not shown by ``repr``.
        api_version: The version of Azure's interface, where a server, such as an emulator, does not know the newest.
    """

    container_name: str = "durabletask-payloads"
    connection_string: str | None = None
    account_url: str | None = None
    credential: Any = field(default=None, repr=False)
    api_version: str | None = None
