"""What the kernel needs to know of an orchestrator: how to begin it, and how to store what it returns."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass
from typing import Any, Protocol

from durable_async.errors import OutsideOrchestrationError, shown


class Payloads(Protocol):
    """The converter, as far as the kernel uses it."""

    def encode(self, value: Any, where: str) -> bytes:
        """Return a value's bytes, or raise ``EncodeError`` naming the place."""
        ...

    def decode(self, data: bytes | None, into: Any, where: str) -> Any:
        """Return the value as annotated, or raise ``DecodeError`` naming the place."""
        ...


@dataclass(frozen=True, slots=True)
class Program:
    """An orchestrator, ready to be begun.

    Attributes:
        name: Its registered name.
        call: Calls the function with the context and the stored input; what comes back is a coroutine, a generator, or the result.
        payloads: The converter for everything that this program passes on.
        is_async: Whether the function is an ``async def``, so that to call it runs none of its code.
    """

    name: str
    call: Callable[[Any, bytes | None], Any]
    payloads: Payloads
    is_async: bool = False

    def begin(self, context: Any, payload: bytes | None) -> Coroutine[Any, Any, Any]:
        """Return a coroutine that runs it, whichever of the three forms it has; of an ``async def`` its own, with nothing around it."""
        if not self.is_async:
            return self._begin(context, payload)
        try:
            return self.call(context, payload)  # type: ignore[no-any-return]
        except Exception as error:  # noqa: BLE001 - an input that cannot be read is how it ends
            return _raise(error)

    async def _begin(self, context: Any, payload: bytes | None) -> Any:
        outcome = self.call(context, payload)
        if inspect.isgenerator(outcome):
            return await drive(outcome)
        if inspect.isawaitable(outcome):
            return await outcome
        return outcome


async def _raise(error: Exception) -> None:
    raise error


async def drive(generator: Generator[Any, Any, Any]) -> Any:
    """Run a generator orchestrator: await what it yields, send it the result, throw it the error."""
    step: Callable[[], Any] = lambda: next(generator)  # noqa: E731
    while True:
        try:
            yielded = step()
        except StopIteration as stop:
            return stop.value
        if not isinstance(yielded, asyncio.Future) and not inspect.isawaitable(yielded):
            step = _thrower(generator, _not_awaitable(yielded))
            continue
        try:
            value = await yielded
        except GeneratorExit:
            generator.close()
            raise
        except BaseException as error:  # noqa: BLE001 - cancellation too is the generator's to handle
            step = _thrower(generator, error)
        else:
            step = _sender(generator, value)


def _sender(generator: Generator[Any, Any, Any], value: Any) -> Callable[[], Any]:
    return lambda: generator.send(value)


def _thrower(generator: Generator[Any, Any, Any], error: BaseException) -> Callable[[], Any]:
    return lambda: generator.throw(error)


def _not_awaitable(yielded: Any) -> OutsideOrchestrationError:
    instead = "yield what ctx.call_activity, ctx.create_timer, when_all ... return"
    if yielded is None:
        instead += "; what is not waited for, such as ctx.signal_entity, is called without yield"
    return OutsideOrchestrationError(f"the orchestrator yielded {shown(yielded)}", instead)
