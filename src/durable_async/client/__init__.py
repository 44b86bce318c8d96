"""The client starts, watches and steers orchestrations; it needs no worker in its process.

Knows the port and the registry. Read `_client` first; what it stands on is in `_steering`, `_watching` and `_connection`.
"""

from __future__ import annotations

from ._client import Client
from ._handle import OrchestrationHandle
from ._state import OrchestrationState

__all__ = ("Client", "OrchestrationHandle", "OrchestrationState")
