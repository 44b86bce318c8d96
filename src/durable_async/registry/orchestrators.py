"""Orchestrator: what ``@orchestrator`` makes of a function."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Generic, TypeVar, overload

from durable_async._kernel.context import OrchestrationContext
from durable_async._kernel.program import Program
from durable_async.errors import RegistrationError
from durable_async.model.identity import check_orchestrator_name
from durable_async.serialization import DataConverter, Signature

from ._naming import name_of

R = TypeVar("R", covariant=True)
In = TypeVar("In", contravariant=True)
T = TypeVar("T")

_Ctx = OrchestrationContext


class Orchestrator(Generic[In, R]):
    """A function that coordinates; made by ``@orchestrator``.

    Attributes:
        name: Its registered name.
        function: The plain function.
    """

    def __init__(self, function: Callable[..., Any], name: str) -> None:
        self.name = check_orchestrator_name(name)
        self.function = function
        self.signature = Signature.of(function, skip_first=True)
        self.__doc__ = function.__doc__
        self.__durable_orchestrator__ = True
        self._input = f"orchestrator {name!r} input"

    def __repr__(self) -> str:
        return f"<orchestrator {self.name}>"

    @property
    def result_type(self) -> Any:
        """The annotation of its result; of a generator, of what it returns."""
        return self.signature.result_type

    def encode_input(self, payloads: DataConverter, value: Any) -> bytes:
        """Return the input as a payload; ``None`` stands for no input, and takes the parameter's default."""
        args = () if value is None else (value,)
        return self.signature.encode(payloads, args, {}, self._input)

    def program(self, payloads: DataConverter) -> Program:
        """Return what the kernel needs to run it."""
        signature, function, where = self.signature, self.function, self._input

        def call(context: OrchestrationContext, data: bytes | None) -> Any:
            args, kwargs = signature.decode(payloads, data, where)
            return function(context, *args, **kwargs)

        return Program(self.name, call, payloads, inspect.iscoroutinefunction(function))

    def _signature(self, value: In) -> R:
        raise NotImplementedError("only tells type checkers what goes in and comes out")


class OrchestratorDecorator:
    """Makes orchestrators of functions, and registers them."""

    def __init__(self, add: Callable[[Orchestrator[Any, Any]], None], name: str | None) -> None:
        self._add = add
        self._name = name

    @overload
    def __call__(
        self, function: Callable[[_Ctx, In], Coroutine[Any, Any, T]], /
    ) -> Orchestrator[In, T]: ...
    @overload
    def __call__(
        self, function: Callable[[_Ctx], Coroutine[Any, Any, T]], /
    ) -> Orchestrator[None, T]: ...
    @overload
    def __call__(
        self, function: Callable[[_Ctx, In], Generator[Any, Any, T]], /
    ) -> Orchestrator[In, T]: ...
    @overload
    def __call__(
        self, function: Callable[[_Ctx], Generator[Any, Any, T]], /
    ) -> Orchestrator[None, T]: ...
    def __call__(self, function: Callable[..., Any], /) -> Orchestrator[Any, Any]:
        """Make and register one."""
        if inspect.isasyncgenfunction(function):
            raise RegistrationError(
                function.__qualname__,
                "it is an async generator: use await in an async def, or yield in a plain def",
            )
        orchestrator: Orchestrator[Any, Any] = Orchestrator(function, name_of(function, self._name))
        self._add(orchestrator)
        return orchestrator
