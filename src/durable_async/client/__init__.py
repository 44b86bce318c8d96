"""The client starts, watches and steers orchestrations; it needs no worker in its process.

Knows the port and the registry. Read `_client` first: one method a verb.
"""

from __future__ import annotations

from ._client import Client
from ._handle import OrchestrationHandle
from ._state import OrchestrationState

__all__ = ("Client", "OrchestrationHandle", "OrchestrationState")
