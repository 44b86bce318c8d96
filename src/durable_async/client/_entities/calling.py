"""Signals and calls to entities."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import datetime
from typing import Any, Concatenate, ParamSpec, TypeVar, assert_never, overload

import anyio
import msgspec

from durable_async._kernel.entities.context import current_entity
from durable_async._kernel.operations import OperationCall, encode_operation
from durable_async._kernel.times import due_us
from durable_async.client._connection import entity_id_of
from durable_async.client._timeouts import entity_standing
from durable_async.errors import (
    BackendError,
    BackendUnavailableError,
    EntityOperationFailedError,
    OutsideOrchestrationError,
    OverloadedError,
    WaitTimeoutError,
)
from durable_async.model.arguments import check_timeout
from durable_async.model.history import (
    EntityCallCompleted,
    EntityCallFailed,
    EntityLetter,
    EntityOperation,
    Origin,
)
from durable_async.model.identity import EntityId
from durable_async.model.policy import Seconds
from durable_async.model.records import Delivery, Outgoing
from durable_async.serialization.events import decode_letter, encode_letter

from .handle import EntityHandle, OperationOptions
from .reading import EntityReading

P = ParamSpec("P")
T = TypeVar("T")

STANDING_SECONDS = 1.0
"""So long a call that was not answered in time tries to find out why."""

_NO_OPTIONS = OperationOptions()


class EntityCalling(EntityReading):
    """The verbs that let entities do something.

    They are spelled as an orchestration spells them, with the entity's id first: what is a method's argument and what is the client's
    business can then not be confused, and code moves between them unchanged. What only a client can say, and has no place among a
    method's arguments, `entity` takes.
    """

    def entity(
        self, entity: EntityId, /, *, timeout: float | None = None, request_id: str | None = None
    ) -> EntityHandle:
        """Return a handle for an entity, with what there is to say beside an operation's arguments; the store is not asked.

            total = await client.entity(Counter.entity_id("a"), timeout=5).call(Counter.add, 1)

        Args:
            entity: Its id.
            timeout: Seconds that each call waits for its answer at most; ``None`` for ever. The operation is carried out all
                the same.
            request_id: That of the one operation that is sent through this handle: repeating it with the same one gives the same
                answer and does nothing more.
        """
        entity_id_of(entity)
        options = OperationOptions(timeout=timeout, request_id=request_id)
        return EntityHandle(self, entity, options, self._signal, self._call)

    # -- signals

    @overload
    async def signal_entity(
        self,
        entity: EntityId,
        operation: Callable[Concatenate[Any, P], Any],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> None: ...
    @overload
    async def signal_entity(
        self,
        entity: EntityId,
        operation: str,
        input: Any = None,
        /,
        *,
        at: datetime | Seconds | None = None,
        request_id: str | None = None,
    ) -> None: ...
    async def signal_entity(
        self, entity: EntityId, operation: Any, /, *args: Any, **kwargs: Any
    ) -> None:
        """Let an entity do something, without waiting for it; it is durable when this returns.

        It is carried out once, after all that this client sent the entity before. Whether it succeeds is not told. The entity
        begins to exist with the first operation.

        By a method of the entity's class the arguments are those of the method. By name there is one input, where ``None`` stands
        for none, and ``at`` says when, as in `signal_entity_at`; with ``request_id``, repeating the signal does nothing more.

        Raises:
            ValidationError: An argument is refused; nothing was written.
            EncodeError: An argument cannot be stored.
            OverloadedError: The entity's mailbox is full.
        """
        options, kwargs = _parted(operation, kwargs, ("at", "request_id"))
        await self._signal(entity, operation, args, kwargs, options)

    @overload
    async def signal_entity_at(
        self,
        due: datetime | Seconds,
        entity: EntityId,
        operation: Callable[Concatenate[Any, P], Any],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> None: ...
    @overload
    async def signal_entity_at(
        self,
        due: datetime | Seconds,
        entity: EntityId,
        operation: str,
        input: Any = None,
        /,
        *,
        request_id: str | None = None,
    ) -> None: ...
    async def signal_entity_at(
        self,
        due: datetime | Seconds,
        entity: EntityId,
        operation: Any,
        /,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """Let an entity do something at a time or after a duration; else as `signal_entity`.

        Args:
            due: Seconds or a ``timedelta`` from now, or a ``datetime``; a naive one is UTC. What is past is done at once.
            entity: The entity.
            operation: A method of its class, or a name.
            *args: Its arguments.
            **kwargs: Its arguments; by name, ``request_id``.

        Raises:
            ValidationError: An argument is refused; ``due`` is not a number, or more than 1,000 years ahead.
            EncodeError: An argument cannot be stored.
            OverloadedError: The entity's mailbox is full.
        """
        options, kwargs = _parted(operation, kwargs, ("request_id",))
        await self._signal(entity, operation, args, kwargs, replace(options, at=due))

    def _signal(
        self,
        entity: EntityId,
        operation: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: OperationOptions,
    ) -> Coroutine[Any, Any, None]:
        """Encode an operation, and return what is left to await: a signal goes through enough coroutines."""
        entity_id = entity_id_of(entity)
        call = encode_operation(self._payloads, operation, args, kwargs)
        letter = EntityOperation(call.name, call.input, due_us=self._due_us(options.at))
        request_id = self._request_id(options.request_id)
        if self._teller is None:
            return self._post(entity_id, letter, opens=entity.stored_name, request_id=request_id)
        return self._teller.around(
            "signal_entity",
            entity.name,
            entity_id,
            lambda origin: self._post(
                entity_id,
                msgspec.structs.replace(letter, origin=origin),
                opens=entity.stored_name,
                request_id=request_id,
            ),
            operation=call.name,
        )

    # -- calls

    @overload
    async def call_entity(
        self,
        entity: EntityId,
        operation: Callable[Concatenate[Any, P], Coroutine[Any, Any, T]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T: ...
    @overload
    async def call_entity(
        self,
        entity: EntityId,
        operation: Callable[Concatenate[Any, P], T],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T: ...
    @overload
    async def call_entity(
        self,
        entity: EntityId,
        operation: str,
        input: Any = None,
        /,
        *,
        result_type: type[T],
        timeout: float | None = None,
        request_id: str | None = None,
    ) -> T: ...
    @overload
    async def call_entity(
        self,
        entity: EntityId,
        operation: str,
        input: Any = None,
        /,
        *,
        result_type: Any = ...,
        timeout: float | None = None,
        request_id: str | None = None,
    ) -> Any: ...
    async def call_entity(
        self, entity: EntityId, operation: Any, /, *args: Any, **kwargs: Any
    ) -> Any:
        """Let an entity do something, and return what came out.

        It is carried out once, after all that this client sent the entity before; also if nobody waits for it any more. Until it is,
        this waits: as long as the entity is locked, or no worker knows it. With ``asyncio.timeout``, with `entity`, or by name with
        ``timeout`` it gives up.

        By a method of the entity's class the arguments are those of the method. By name there is one input, where ``None`` stands
        for none, and the rest are keywords.

        Raises:
            EntityOperationFailedError: The operation failed; the entity's state is as before.
            WaitTimeoutError: The answer did not come in time.
            ValidationError: An argument is refused; nothing was written.
            EncodeError: An argument cannot be stored.
            OverloadedError: The entity's mailbox is full.
        """
        options, kwargs = _parted(operation, kwargs, ("result_type", "timeout", "request_id"))
        return await self._call(entity, operation, args, kwargs, options)

    async def _call(
        self,
        entity: EntityId,
        operation: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: OperationOptions,
        origin: Origin | None = None,
    ) -> Any:
        entity_id = entity_id_of(entity)
        timeout = check_timeout(options.timeout)
        _refuse_itself(entity)
        call = encode_operation(self._payloads, operation, args, kwargs)
        if self._teller is not None and origin is None:  # once more, with what it belongs to
            do = functools.partial(self._call, entity, operation, args, kwargs, options)
            return await self._teller.around(
                "call_entity", entity.name, entity_id, do, operation=call.name
            )
        request_id = self._request_id(options.request_id)
        letter = EntityOperation(
            call.name,
            call.input,
            request_id=request_id,
            due_us=self._due_us(options.at),
            origin=origin,
        )
        # It listens before it asks, so that it need not look before it hears something; only what is asked again may be answered.
        with self._answers.waiter(request_id, lambda answer: answer is not None) as waiter:
            await self._post(entity_id, letter, opens=entity.stored_name, request_id=request_id)
            in_time = await self._answers.wait(
                waiter, timeout, look_first=options.request_id is not None
            )
        if not in_time or waiter.found is None:
            standing = await self._entity_standing(entity, entity_id)
            what = f"answer {call.name!r}"
            raise WaitTimeoutError(entity_id, what, timeout or 0.0, standing)
        into = call.result_type if options.result_type is None else options.result_type
        return self._outcome(entity_id, call, waiter.found, into)

    def _outcome(self, entity_id: str, call: OperationCall, answer: bytes, into: Any) -> Any:
        match decode_letter(entity_id, answer):
            case EntityCallCompleted(result=result):
                where = f"operation {call.name!r} on entity {entity_id} result"
                return self._payloads.decode(result, into, where)
            case EntityCallFailed(failure=failure):
                raise EntityOperationFailedError(entity_id, call.name, failure)
            case other:
                raise BackendError(f"a call of {entity_id} was answered by {other!r}")

    async def _entity_standing(self, entity: EntityId, entity_id: str) -> str:
        """Return where an entity stands that did not answer; nothing if that cannot be found out at once."""
        with anyio.move_on_after(STANDING_SECONDS):
            try:
                (record,) = await self._store.read_entities([entity_id])
            except BackendUnavailableError:
                return ""
            return entity_standing(entity, record)
        return ""

    # -- letters

    async def _post(
        self, entity_id: str, letter: EntityLetter, *, opens: str | None, request_id: str
    ) -> None:
        """Put a letter into an entity's mailbox; it vanishes if there is no such entity, and it does not open it."""
        outgoing = Outgoing(
            instance_id=entity_id,
            execution=None,
            letter=encode_letter(letter),
            opens=opens,
            request_id=request_id,
        )
        delivery = await self._persist(lambda: self._send.ask(outgoing))
        match delivery:
            case Delivery.DELIVERED | Delivery.NOT_FOUND:
                return
            case Delivery.FULL:
                raise OverloadedError(f"the mailbox of entity {entity_id}", self._store.letters_max)
            case Delivery.TERMINAL:
                raise BackendError(f"the store says that entity {entity_id} has ended")
            case _:
                assert_never(delivery)

    def _due_us(self, at: datetime | Seconds | None) -> int:
        """Return when something is due; 0 for at once."""
        if at is None:
            return 0
        now_us = self._store.now_us()
        moment_us = due_us(at, now_us)
        return moment_us if moment_us > now_us else 0


def _parted(
    operation: object, kwargs: dict[str, Any], ours: tuple[str, ...]
) -> tuple[OperationOptions, dict[str, Any]]:
    """Return the options among the keywords of an operation by name, and the rest, which is one too many.

    By a method of the entity's class all of them are the method's.
    """
    if not kwargs or not isinstance(operation, str):
        return _NO_OPTIONS, kwargs
    options = {name: value for name, value in kwargs.items() if name in ours}
    rest = {name: value for name, value in kwargs.items() if name not in ours}
    return OperationOptions(**options), rest


def _refuse_itself(entity: EntityId) -> None:
    """Refuse that an operation waits for one that waits for it."""
    context = current_entity.get(None)
    if context is not None and context.entity_id == entity:
        raise OutsideOrchestrationError(
            f"an operation of {entity} calls {entity}, which would wait for itself",
            "call the method directly, or signal it",
        )
