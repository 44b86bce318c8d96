"""Carrying out one operation of an entity: its code runs on a view of the state, and what comes of it is a value."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any

import anyio

from durable_async._kernel.entities import EntityInstance, OperationOutcome
from durable_async._kernel.entities.authoring import make
from durable_async._kernel.entities.context import EntityContext, current_entity
from durable_async._kernel.entities.state import StateCell
from durable_async.errors import UnknownOperationError
from durable_async.failure import FailureDetails
from durable_async.model.history import EntityOperation
from durable_async.registry.entities import DELETE, ClassEntity, EntityDefinition, EntityMethod
from durable_async.serialization import DataConverter


class Operation:
    """An operation that is to be carried out, once. Nothing that its code does is seen before its outcome is concluded.

    Attributes:
        letter: What asked for it.
        is_async: Whether it needs the event loop; call ``run_async`` then, ``run`` otherwise.
        in_thread: Whether ``run`` is to be called in a thread in any case.
    """

    __slots__ = (
        "_cell",
        "_context",
        "_definition",
        "_method",
        "_payloads",
        "in_thread",
        "is_async",
        "letter",
    )

    def __init__(
        self,
        definition: EntityDefinition,
        instance: EntityInstance,
        letter: EntityOperation,
        payloads: DataConverter,
        now_us: int,
        new_id: Callable[[], str],
    ) -> None:
        """Get ready to carry out an operation.

        Args:
            definition: The entity's code.
            instance: The entity; its state is read now.
            letter: What asks for the operation.
            payloads: The converter for input, result and state.
            now_us: The store's clock, which the code sees.
            new_id: Makes ids for what the code starts.
        """
        self.letter = letter
        self._definition = definition
        self._method = method = definition.find(letter.operation)
        self._cell = cell = StateCell(
            instance.state, definition.state_type, payloads, definition.state_place
        )
        self._context = EntityContext(instance.entity_id, letter, cell, payloads, now_us, new_id)
        self._payloads = payloads
        self.is_async = method is not None and method.is_async
        self.in_thread = method is not None and method.in_thread

    def begin_trace(self, header: str) -> None:
        """Let what its code asks for belong to a trace that begins with it; before it is carried out."""
        self._context.begin_trace(header)

    def run(self) -> OperationOutcome:
        """Carry out a ``def`` operation, on whichever thread this is called. Whatever its code raises is the outcome."""
        token = current_entity.set(self._context)
        try:
            method = self._method
            if method is None:
                return self._without_code()
            return self._succeeded(method, self._call(method))
        except (Exception, SystemExit, asyncio.CancelledError) as error:  # noqa: BLE001 - user code may raise anything
            return _failed(error)
        finally:
            current_entity.reset(token)

    async def run_async(self) -> OperationOutcome:
        """Carry out an ``async def`` operation. Whatever its code raises is the outcome, but for the caller's own cancellation."""
        token = current_entity.set(self._context)
        try:
            method = self._method
            assert method is not None
            return self._succeeded(method, await self._call(method))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - user code may raise anything
            return _failed(error)
        except asyncio.CancelledError as error:
            if _is_cancelled():
                raise
            # Nobody cancelled it: it awaited something that was cancelled, which is its own failure.
            return _failed(error)
        finally:
            current_entity.reset(token)

    def _call(self, method: EntityMethod) -> Any:
        definition = self._definition
        subject: Any = self._context
        if isinstance(definition, ClassEntity):
            subject = make(definition.kind, self._cell, self._context, definition.initializes)
        args, kwargs = method.arguments(self._payloads, self.letter.input)
        return method.function(subject, *args, **kwargs)

    def _succeeded(self, method: EntityMethod, value: Any) -> OperationOutcome:
        result = self._payloads.encode(value, method.result_place)
        cell = self._cell
        state = cell.save()
        if (
            self.letter.operation == DELETE
            and not cell.is_written
            and not isinstance(self._definition, ClassEntity)
        ):
            state = None
        return OperationOutcome(result, None, state, *self._context.sent())

    def _without_code(self) -> OperationOutcome:
        operation = self.letter.operation
        if operation == DELETE:
            return OperationOutcome(result=b"null")
        known = sorted({*self._definition.operations, DELETE})
        raise UnknownOperationError(str(self._context.entity_id), operation, known)


def _failed(error: BaseException) -> OperationOutcome:
    return OperationOutcome(failure=FailureDetails.of(error))


def _is_cancelled() -> bool:
    if anyio.current_effective_deadline() == -math.inf:
        return True
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
