"""OrchestrationHandle: an instance id that knows its client and the type of its result."""

from __future__ import annotations

from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from ._state import OrchestrationState
from ._waiters import News

R = TypeVar("R", covariant=True)


class Verbs(Protocol):
    """What a handle asks of its client."""

    async def wait(self, handle: OrchestrationHandle[Any], /, *, timeout: float | None) -> Any:
        """Return the result when it is there."""
        ...

    async def get(self, handle: OrchestrationHandle[Any], /) -> OrchestrationState | None:
        """Return the state now."""
        ...

    async def raise_event(
        self, handle: OrchestrationHandle[Any], /, name: str, payload: Any
    ) -> bool:
        """Raise an event."""
        ...

    async def suspend(self, handle: OrchestrationHandle[Any], /, reason: str | None) -> None:
        """Suspend it."""
        ...

    async def resume(self, handle: OrchestrationHandle[Any], /, reason: str | None) -> None:
        """Resume it."""
        ...

    async def terminate(
        self, handle: OrchestrationHandle[Any], /, output: Any, *, recursive: bool
    ) -> None:
        """Terminate it."""
        ...


class Since(NamedTuple):
    """What a client knows of the instance of its own start.

    Attributes:
        execution: At which execution it was then.
        news: What has been heard of it since.
    """

    execution: int
    news: News


class OrchestrationHandle(Generic[R]):
    """What ``Client.start`` returns; `Client.handle` makes one for an id.

    Attributes:
        instance_id: The instance.
        created: Whether the start created it, and did not find it.
        result_type: What the result is read into.
    """

    def __init__(
        self,
        client: Verbs,
        instance_id: str,
        result_type: Any = Any,
        *,
        created: bool = False,
        since: Since | None = None,
    ) -> None:
        self._client = client
        self._since = since
        self.instance_id = instance_id
        self.result_type = result_type
        self.created = created

    def __repr__(self) -> str:
        return f"<OrchestrationHandle {self.instance_id!r}>"

    def _since_of(self, client: object) -> Since | None:
        """Return what a client knows of its own start; nothing if it is another's, or was no start."""
        return self._since if client is self._client else None

    async def wait(self, timeout: float | None = None) -> R:
        """Return the result when it is there; see ``Client.wait``."""
        result: R = await self._client.wait(self, timeout=timeout)
        return result

    async def get(self) -> OrchestrationState | None:
        """Return its state now; see ``Client.get``."""
        return await self._client.get(self)

    async def raise_event(self, name: str, payload: Any = None) -> bool:
        """Raise an event on it; see ``Client.raise_event``."""
        return await self._client.raise_event(self, name, payload)

    async def suspend(self, reason: str | None = None) -> None:
        """Stop it where it stands; see ``Client.suspend``."""
        await self._client.suspend(self, reason)

    async def resume(self, reason: str | None = None) -> None:
        """Let it go on; see ``Client.resume``."""
        await self._client.resume(self, reason)

    async def terminate(self, output: Any = None, *, recursive: bool = True) -> None:
        """End it from outside; see ``Client.terminate``."""
        await self._client.terminate(self, output, recursive=recursive)
