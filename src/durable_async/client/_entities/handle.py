"""EntityHandle: an entity that knows its client, and what there is to say beside an operation's arguments."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, overload

from durable_async._kernel.entities.authoring import Entity
from durable_async.model.identity import EntityId
from durable_async.model.policy import Seconds
from durable_async.registry.entities import DELETE

from .state import EntityLocks, EntityState

P = ParamSpec("P")
S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationOptions:
    """What there is to say of an operation beside its arguments.

    Attributes:
        at: Not before this time, or not before this duration has passed.
        timeout: Seconds to wait for the answer to a call at most.
        request_id: Repeating an operation with the same one gives the same answer and does nothing more.
        result_type: What the answer to a call by name is read into.
    """

    at: datetime | Seconds | None = None
    timeout: float | None = None
    request_id: str | None = None
    result_type: Any = None


Send = Callable[[EntityId, Any, tuple[Any, ...], dict[str, Any], OperationOptions], Awaitable[Any]]
"""Sends an operation: entity, operation, arguments, options."""


class Verbs(Protocol):
    """What a handle asks of its client."""

    async def get_entity(self, entity: EntityId, state_type: Any, /) -> EntityState[Any] | None:
        """Return the state now."""
        ...

    async def entity_locks(self, entity: EntityId) -> EntityLocks:
        """Return who holds it, and who waits."""
        ...


class EntityHandle:
    """What ``Client.entity`` returns.

    Attributes:
        entity_id: The entity.
    """

    def __init__(
        self,
        client: Verbs,
        entity_id: EntityId,
        options: OperationOptions,
        signal: Send,
        call: Send,
    ) -> None:
        self.entity_id = entity_id
        self._client = client
        self._options = options
        self._send_signal = signal
        self._send_call = call

    def __repr__(self) -> str:
        return f"<EntityHandle {self.entity_id}>"

    @overload
    async def signal(
        self,
        operation: Callable[Concatenate[Any, P], Any],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> None: ...
    @overload
    async def signal(self, operation: str, input: Any = None, /) -> None: ...
    async def signal(self, operation: Any, /, *args: Any, **kwargs: Any) -> None:
        """Let it do something, without waiting for it; see ``Client.signal_entity``."""
        await self._send_signal(self.entity_id, operation, args, kwargs, self._options)

    @overload
    async def signal_at(
        self,
        due: datetime | Seconds,
        operation: Callable[Concatenate[Any, P], Any],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> None: ...
    @overload
    async def signal_at(
        self, due: datetime | Seconds, operation: str, input: Any = None, /
    ) -> None: ...
    async def signal_at(
        self, due: datetime | Seconds, operation: Any, /, *args: Any, **kwargs: Any
    ) -> None:
        """Let it do something at a time or after a duration; see ``Client.signal_entity_at``."""
        options = dataclasses.replace(self._options, at=due)
        await self._send_signal(self.entity_id, operation, args, kwargs, options)

    @overload
    async def call(
        self,
        operation: Callable[Concatenate[Any, P], Coroutine[Any, Any, T]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T: ...
    @overload
    async def call(
        self, operation: Callable[Concatenate[Any, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T: ...
    @overload
    async def call(self, operation: str, input: Any = None, /, *, result_type: type[T]) -> T: ...
    @overload
    async def call(
        self, operation: str, input: Any = None, /, *, result_type: Any = ...
    ) -> Any: ...
    async def call(self, operation: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Let it do something, and return what came out; see ``Client.call_entity``."""
        options = self._options
        if isinstance(operation, str) and "result_type" in kwargs:
            options = dataclasses.replace(options, result_type=kwargs.pop("result_type"))
        return await self._send_call(self.entity_id, operation, args, kwargs, options)

    @overload
    async def get(self, state_type: type[Entity[S]], /) -> EntityState[S] | None: ...
    @overload
    async def get(self, state_type: type[T], /) -> EntityState[T] | None: ...
    @overload
    async def get(self, state_type: Any = ..., /) -> EntityState[Any] | None: ...
    async def get(self, state_type: Any = Any, /) -> EntityState[Any] | None:
        """Return it as it is now; see ``Client.get_entity``."""
        return await self._client.get_entity(self.entity_id, state_type)

    async def delete(self) -> None:
        """Let it delete its state; see ``Client.delete_entity``."""
        await self.signal(DELETE)

    async def locks(self) -> EntityLocks:
        """Return who has it to itself, and who waits for that."""
        return await self._client.entity_locks(self.entity_id)
