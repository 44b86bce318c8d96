"""Asking a schedule's entity for something, also where no worker is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, Concatenate, ParamSpec, TypeVar

import anyio

from durable_async.client import Client
from durable_async.errors import (
    BackendUnavailableError,
    EntityOperationFailedError,
    WaitTimeoutError,
)
from durable_async.model.identity import EntityId

from ._entity import ScheduleEntity

P = ParamSpec("P")
T = TypeVar("T")

FIRST_SECONDS = 0.3
"""So long a verb waits for the workers that are there; then it brings one of its own."""

ANSWER_SECONDS = 30.0


class Asking:
    """Lets schedules do things, each once.

    Args:
        client: The hub's.
        new_id: Makes ids of requests.
        serve: Makes a worker that takes nothing but schedules.
    """

    def __init__(
        self,
        client: Client,
        new_id: Callable[[], str],
        serve: Callable[[], AbstractAsyncContextManager[object]],
    ) -> None:
        self._client = client
        self._new_id = new_id
        self._serve = serve
        self._serving = anyio.Lock()

    async def ask(
        self,
        entity: EntityId,
        verb: Callable[Concatenate[ScheduleEntity, P], Coroutine[Any, Any, T]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Let a schedule do something, and return what came out.

        Raises:
            WaitTimeoutError: It was not answered; it may be carried out still.
            BackendUnavailableError: The store did not answer; nothing was done if it was the operation that asked it.
        """
        return await self.ask_once(self._new_id(), entity, verb, *args, **kwargs)

    async def ask_once(
        self,
        request_id: str,
        entity: EntityId,
        verb: Callable[Concatenate[ScheduleEntity, P], Coroutine[Any, Any, T]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Do as `ask`; whoever asks again with the same id is given the same answer, and nothing more is done."""

        async def call(seconds: float) -> T:
            handle = self._client.entity(entity, timeout=seconds, request_id=request_id)
            try:
                return await handle.call(verb, *args, **kwargs)
            except EntityOperationFailedError as error:
                if error.failure.is_type("BackendUnavailableError"):
                    raise BackendUnavailableError(error.failure.message) from None
                raise

        try:
            return await call(FIRST_SECONDS)
        except WaitTimeoutError:
            return await self._ask_our_own(call)

    async def _ask_our_own(self, call: Callable[[float], Awaitable[T]]) -> T:
        """Bring a worker, one at a time for all who ask."""
        was_first = not self._serving.locked()
        async with self._serving:
            if not was_first:
                try:
                    return await call(FIRST_SECONDS)  # the one before may have answered this, too
                except WaitTimeoutError:
                    pass
            async with self._serve():
                return await call(ANSWER_SECONDS)
