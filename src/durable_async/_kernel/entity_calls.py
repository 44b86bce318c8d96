"""The part of the orchestration context that is about entities: calls, signals, critical sections."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any, Concatenate, ParamSpec, TypeVar, overload

from durable_async.errors import ValidationError, shown
from durable_async.model.identity import EntityId
from durable_async.model.policy import Seconds, seconds_of

from .futures import DurableFuture, EntityCallFuture
from .journal import MICROSECONDS, Journal
from .loop import NEVER_SECONDS
from .operations import check_entity, encode_operation
from .program import Payloads
from .sections import LockFuture
from .times import due_us

P = ParamSpec("P")
T = TypeVar("T")


class EntityCalls:
    """What an orchestration can do with entities."""

    def __init__(self, journal: Journal, payloads: Payloads) -> None:
        self._journal = journal
        self._payloads = payloads

    # -- calls

    @overload
    def call_entity(
        self,
        entity: EntityId,
        operation: Callable[Concatenate[Any, P], Coroutine[Any, Any, T]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> DurableFuture[T]: ...
    @overload
    def call_entity(
        self,
        entity: EntityId,
        operation: Callable[Concatenate[Any, P], T],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> DurableFuture[T]: ...
    @overload
    def call_entity(
        self,
        entity: EntityId,
        operation: str,
        input: Any = None,
        /,
        *,
        result_type: type[T],
    ) -> DurableFuture[T]: ...
    @overload
    def call_entity(
        self,
        entity: EntityId,
        operation: str,
        input: Any = None,
        /,
        *,
        result_type: Any = ...,
    ) -> DurableFuture[Any]: ...
    def call_entity(
        self, entity: EntityId, operation: Any, /, *args: Any, **kwargs: Any
    ) -> DurableFuture[Any]:
        """Let an entity do something and tell what came out; it begins to exist with the first operation.

        By a method of the entity's class the arguments are those of the method. By name there is one input, where ``None`` stands
        for none, and ``result_type`` is a keyword.

        Raises:
            EntityLockError: A rule of critical sections forbids it: see `lock_entities`.
            EncodeError: An argument cannot be stored. Nothing was recorded.
            EntityOperationFailedError: Through the future, when the operation failed.
        """
        entity_id = check_entity(entity)
        journal = self._journal
        if journal.section is not None and not journal.evicting:
            journal.section.check_call(entity_id)
        given = kwargs.pop("result_type", None) if isinstance(operation, str) else None
        call = encode_operation(self._payloads, operation, args, kwargs)
        into = call.result_type if given is None else given
        loop = journal.loop
        future: EntityCallFuture[Any] = EntityCallFuture(
            loop, loop.next_order(), journal, entity_id, call.name, into
        )
        if not journal.evicting:
            journal.call_entity(future, call.input)
        return future

    # -- signals

    @overload
    def signal_entity(
        self,
        entity: EntityId,
        operation: Callable[Concatenate[Any, P], Any],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> None: ...
    @overload
    def signal_entity(
        self,
        entity: EntityId,
        operation: str,
        input: Any = None,
        /,
        *,
        at: datetime | Seconds | None = None,
    ) -> None: ...
    def signal_entity(self, entity: EntityId, operation: Any, /, *args: Any, **kwargs: Any) -> None:
        """Let an entity do something, without waiting for it; whether it succeeds is not told.

        The forms are those of `call_entity`. With a name, ``at`` says when, as in `signal_entity_at`.

        Raises:
            EntityLockError: A critical section locks the entity: see `lock_entities`.
            EncodeError: An argument cannot be stored. Nothing was recorded.
        """
        at = kwargs.pop("at", None) if isinstance(operation, str) else None
        self._signal(entity, operation, args, kwargs, at)

    @overload
    def signal_entity_at(
        self,
        due: datetime | Seconds,
        entity: EntityId,
        operation: Callable[Concatenate[Any, P], Any],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> None: ...
    @overload
    def signal_entity_at(
        self,
        due: datetime | Seconds,
        entity: EntityId,
        operation: str,
        input: Any = None,
        /,
    ) -> None: ...
    def signal_entity_at(
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
            **kwargs: Its arguments.

        Raises:
            ValidationError: ``due`` is not a number, or more than 1,000 years ahead.
            EntityLockError: As for `signal_entity`.
            EncodeError: As for `signal_entity`.
        """
        self._signal(entity, operation, args, kwargs, due)

    def _signal(
        self,
        entity: EntityId,
        operation: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        due: datetime | Seconds | None,
    ) -> None:
        entity_id = check_entity(entity)
        journal = self._journal
        if journal.section is not None and not journal.evicting:
            journal.section.check_signal(entity_id)
        call = encode_operation(self._payloads, operation, args, kwargs)
        if not journal.evicting:
            moment_us = 0 if due is None else due_us(due, journal.clock_us)
            later_us = moment_us if moment_us > journal.clock_us else 0
            journal.signal_entity(entity_id, call.name, call.input, later_us)

    # -- critical sections

    def lock_entities(
        self,
        entities: Sequence[EntityId],
        *,
        timeout: Seconds | None = None,
        hold: Seconds | None = None,
    ) -> LockFuture:
        """Ask for a critical section: some entities that nobody else calls or signals meanwhile.

        ``async with ctx.lock_entities([a, b]):`` waits until all of them are locked, and unlocks them at the end of the block. So
        does ``with await ctx.lock_entities([a, b]):``, and in a generator ``with (yield ctx.lock_entities([a, b])):``. Any end of
        the execution unlocks them, too. Sets that overlap are locked in one order everywhere, so nothing waits in a circle.

        From the request to the end of the section the other entities can be signaled, but not these. Until all are locked no
        entity can be called; then these can, one call at a time to each, and no others. There is no second section beside it. All
        else is as ever. What breaks a rule raises `EntityLockError` where it is called, and changes nothing.

        Args:
            entities: Which, in any order.
            timeout: How long to wait for them at most.
            hold: How long each may stay locked at most, whatever becomes of the orchestration; then calls to it fail with an
                `EntityLockLostError` within.

        Raises:
            ValidationError: There are none, one is there twice, or a duration is not one.
            EntityLockError: A section is held or asked for already.
            EntityLockTimeoutError: Through the future: they were not all locked in time, and are not wanted any more.
        """
        entity_ids = _checked_set(entities)
        journal = self._journal
        loop = journal.loop
        lock = LockFuture(loop, loop.next_order(), journal, entity_ids)
        if journal.evicting:
            return lock
        if journal.section is not None:
            journal.section.refuse_another()
        hold_us = _hold_us(hold)
        seconds = None if timeout is None else seconds_of(timeout, "timeout")
        journal.lock_entities(lock, hold_us)
        if seconds is not None:
            lock.expire_after(seconds)
        return lock


def _checked_set(entities: Sequence[EntityId]) -> tuple[str, ...]:
    if isinstance(entities, (str, EntityId)) or not isinstance(entities, Iterable):
        raise ValidationError("entities", f"must be a list of entities, not {shown(entities)}")
    entity_ids = tuple(sorted(map(check_entity, entities), key=str.encode))
    if not entity_ids:
        raise ValidationError("entities", "is empty: there is nothing to lock")
    for before, after in pairwise(entity_ids):
        if before == after:
            raise ValidationError("entities", f"{after} is in it twice")
    return entity_ids


def _hold_us(hold: Seconds | None) -> int:
    if hold is None:
        return 0
    seconds = seconds_of(hold, "hold")
    hold_us = round(seconds * MICROSECONDS) if seconds < NEVER_SECONDS else 0
    if hold_us == 0:
        raise ValidationError(
            "hold", f"must be more than 0, and less than 1,000 years, not {shown(hold)}"
        )
    return hold_us
