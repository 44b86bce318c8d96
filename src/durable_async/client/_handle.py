"""OrchestrationHandle: an instance id that knows its client and the type of its result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ._state import OrchestrationState

if TYPE_CHECKING:
    from ._client import Client

R = TypeVar("R", covariant=True)


class OrchestrationHandle(Generic[R]):
    """What ``Client.start`` returns; `Client.handle` makes one for an id.

    Attributes:
        instance_id: The instance.
        created: Whether the start created it, and did not find it.
        result_type: What the result is read into.
    """

    def __init__(
        self, client: Client, instance_id: str, result_type: Any = Any, *, created: bool = False
    ) -> None:
        self._client = client
        self.instance_id = instance_id
        self.result_type = result_type
        self.created = created

    def __repr__(self) -> str:
        return f"<OrchestrationHandle {self.instance_id!r}>"

    async def wait(self, timeout: float | None = None) -> R:
        """Return the result when it is there; see ``Client.wait``."""
        return await self._client.wait(self, timeout=timeout)

    async def get(self) -> OrchestrationState | None:
        """Return its state now."""
        return await self._client.get(self)

    async def raise_event(self, name: str, payload: Any = None) -> bool:
        """Raise an event on it; see ``Client.raise_event``."""
        return await self._client.raise_event(self, name, payload)

    async def suspend(self, reason: str | None = None) -> None:
        """Suspend it."""
        await self._client.suspend(self, reason)

    async def resume(self, reason: str | None = None) -> None:
        """Resume it."""
        await self._client.resume(self, reason)

    async def terminate(self, output: Any = None, *, recursive: bool = True) -> None:
        """Terminate it; see ``Client.terminate``."""
        await self._client.terminate(self, output, recursive=recursive)
