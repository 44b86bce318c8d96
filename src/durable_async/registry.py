"""Authoring: `@orchestrator` and `@activity`, and the registry that finds functions by their names."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Generic, ParamSpec, TypeVar, overload

from durable_async._kernel import guard
from durable_async._kernel.context import OrchestrationContext, current_context
from durable_async._kernel.guard import GuardPolicy
from durable_async._kernel.program import Program
from durable_async.errors import ForbiddenOperationError, RegistrationError
from durable_async.model.identity import check_name
from durable_async.model.policy import (
    DEFAULT_ACTIVITY_OPTIONS,
    ActivityOptions,
    RetryPolicy,
    Seconds,
)
from durable_async.serialization import DataConverter, Signature

P = ParamSpec("P")
R = TypeVar("R", covariant=True)
In = TypeVar("In", contravariant=True)
T = TypeVar("T")


class Activity(Generic[P, R]):
    """A function that may do anything, run at least once; made by ``@activity``.

    Calling it runs the plain function, which is handy in tests; inside an orchestrator that is refused: use ``ctx.call_activity``.

    Attributes:
        name: Its registered name.
        function: The plain function.
        options: How it is run.
        is_async: Whether it runs on the event loop; otherwise in a thread.
    """

    def __init__(self, function: Callable[P, Any], name: str, options: ActivityOptions) -> None:
        self.name = check_name(name, "activity")
        self.function = function
        self.options = options
        self.is_async = inspect.iscoroutinefunction(function)
        self.signature = Signature.of(function, skip_first=False)
        self.__doc__ = function.__doc__
        self.__durable_activity__ = True
        self._input = f"activity {name!r} input"

    def __repr__(self) -> str:
        return f"<activity {self.name}>"

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Run the plain function, outside of orchestrators."""
        if current_context.get(None) is not None:
            raise ForbiddenOperationError(
                f"calling activity {self.name}() directly",
                f"use await ctx.call_activity({self.name}, ...)",
            )
        return self.function(*args, **kwargs)

    @property
    def result_type(self) -> Any:
        """The annotation of its result."""
        return self.signature.result_type

    def with_options(
        self,
        *,
        retry: RetryPolicy | None = None,
        start_to_close: Seconds | None = None,
        schedule_to_close: Seconds | None = None,
        heartbeat: Seconds | None = None,
    ) -> Activity[P, R]:
        """Return the same activity with other options, for one call; what is not given stays."""
        given = {
            "retry": retry,
            "start_to_close": start_to_close,
            "schedule_to_close": schedule_to_close,
            "heartbeat": heartbeat,
        }
        changed = {key: value for key, value in given.items() if value is not None}
        return Activity(self.function, self.name, dataclasses.replace(self.options, **changed))  # type: ignore[arg-type]

    def encode_input(self, payloads: DataConverter, *args: P.args, **kwargs: P.kwargs) -> bytes:
        """Return a call's arguments as one payload."""
        return self.signature.encode(payloads, args, kwargs, self._input)

    def _result(self) -> R:
        raise NotImplementedError("only tells type checkers what the activity returns")


class Orchestrator(Generic[In, R]):
    """A function that coordinates; made by ``@orchestrator``.

    Attributes:
        name: Its registered name.
        function: The plain function.
    """

    def __init__(self, function: Callable[..., Any], name: str) -> None:
        self.name = check_name(name, "orchestrator")
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

        return Program(self.name, call, payloads)

    def _signature(self, value: In) -> R:
        raise NotImplementedError("only tells type checkers what goes in and comes out")


_Ctx = OrchestrationContext


class Registry:
    """Orchestrators and activities by name. A worker runs those of one registry.

    Args:
        guard: What is done about orchestrator code that looks at what may differ at a replay, such as ``os.environ``: ``WARN``
            says so, when the orchestrator is registered and when it happens, ``RAISE`` refuses. Clocks, chance, files, threads and
            sockets are refused under both; ``OFF`` does not read the code at registration, and refuses those when they happen.
    """

    def __init__(self, *, guard: GuardPolicy = GuardPolicy.WARN) -> None:
        self.guard = guard
        self._activities: dict[str, Activity[Any, Any]] = {}
        self._orchestrators: dict[str, Orchestrator[Any, Any]] = {}

    @property
    def activities(self) -> frozenset[str]:
        """The names of the activities."""
        return frozenset(self._activities)

    @property
    def orchestrators(self) -> frozenset[str]:
        """The names of the orchestrators."""
        return frozenset(self._orchestrators)

    def find_activity(self, name: str) -> Activity[Any, Any] | None:
        """Return the activity of a name."""
        return self._activities.get(name)

    def find_orchestrator(self, name: str) -> Orchestrator[Any, Any] | None:
        """Return the orchestrator of a name."""
        return self._orchestrators.get(name)

    @overload
    def activity(self, function: Callable[P, Coroutine[Any, Any, T]], /) -> Activity[P, T]: ...
    @overload
    def activity(self, function: Callable[P, T], /) -> Activity[P, T]: ...
    @overload
    def activity(
        self,
        /,
        *,
        name: str | None = None,
        retry: RetryPolicy | None = None,
        start_to_close: Seconds | None = None,
        schedule_to_close: Seconds | None = None,
        heartbeat: Seconds | None = None,
    ) -> _ActivityDecorator: ...
    def activity(self, function: Any = None, /, **options: Any) -> Any:
        """Register a function as an activity, under its own name or another.

        An ``async def`` runs on the worker's event loop, a ``def`` in a thread. Options: see `ActivityOptions`.

        Raises:
            RegistrationError: The name is taken, or the parameters cannot travel.
        """
        decorator = _ActivityDecorator(self, options.pop("name", None), options)
        return decorator if function is None else decorator(function)

    @overload
    def orchestrator(
        self, function: Callable[[_Ctx, In], Coroutine[Any, Any, T]], /
    ) -> Orchestrator[In, T]: ...
    @overload
    def orchestrator(
        self, function: Callable[[_Ctx], Coroutine[Any, Any, T]], /
    ) -> Orchestrator[None, T]: ...
    @overload
    def orchestrator(
        self, function: Callable[[_Ctx, In], Generator[Any, Any, T]], /
    ) -> Orchestrator[In, T]: ...
    @overload
    def orchestrator(
        self, function: Callable[[_Ctx], Generator[Any, Any, T]], /
    ) -> Orchestrator[None, T]: ...
    @overload
    def orchestrator(self, /, *, name: str) -> _OrchestratorDecorator: ...
    def orchestrator(self, function: Any = None, /, *, name: str | None = None) -> Any:
        """Register a function as an orchestrator, under its own name or another.

        It takes the context and at most one input. It is ``async def``, or a generator that yields what the context's calls return.

        Raises:
            RegistrationError: The name is taken, or the parameters do not fit.
        """
        decorator = _OrchestratorDecorator(self, name)
        return decorator if function is None else decorator(function)

    def add_activity(self, activity: Activity[Any, Any]) -> None:
        """Register an activity; the same function may come again, as when its module is reloaded."""
        _refuse_another(activity, self._activities.get(activity.name))
        self._activities[activity.name] = activity

    def add_orchestrator(self, orchestrator: Orchestrator[Any, Any]) -> None:
        """Register an orchestrator; the same function may come again, as when its module is reloaded."""
        _refuse_another(orchestrator, self._orchestrators.get(orchestrator.name))
        if self.guard is not GuardPolicy.OFF:
            guard.check(orchestrator.function, self.guard)
        self._orchestrators[orchestrator.name] = orchestrator


class _ActivityDecorator:
    def __init__(self, registry: Registry, name: str | None, options: dict[str, Any]) -> None:
        self._registry = registry
        self._name = name
        self._options = options

    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, T]], /) -> Activity[P, T]: ...
    @overload
    def __call__(self, function: Callable[P, T], /) -> Activity[P, T]: ...
    def __call__(self, function: Callable[..., Any], /) -> Activity[Any, Any]:
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise RegistrationError(
                function.__qualname__, "it is a generator, and an activity returns one result"
            )
        options = ActivityOptions(**self._options) if self._options else DEFAULT_ACTIVITY_OPTIONS
        activity: Activity[Any, Any] = Activity(function, _name_of(function, self._name), options)
        self._registry.add_activity(activity)
        return activity


class _OrchestratorDecorator:
    def __init__(self, registry: Registry, name: str | None) -> None:
        self._registry = registry
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
        if inspect.isasyncgenfunction(function):
            raise RegistrationError(
                function.__qualname__,
                "it is an async generator: use await in an async def, or yield in a plain def",
            )
        orchestrator: Orchestrator[Any, Any] = Orchestrator(
            function, _name_of(function, self._name)
        )
        self._registry.add_orchestrator(orchestrator)
        return orchestrator


def _name_of(function: Callable[..., Any], name: str | None) -> str:
    if not callable(function):
        raise RegistrationError(repr(function), "it is not a function")
    own = name or getattr(function, "__name__", "")
    if not own or own == "<lambda>":
        raise RegistrationError(own or repr(function), "it has no name of its own: pass name=...")
    return own


def _refuse_another(new: Any, old: Any) -> None:
    if old is not None and _place(old) != _place(new):
        raise RegistrationError(
            new.name, f"the name is taken by {_place(old)}; pass name=... or use another Registry"
        )


def _place(definition: Any) -> str:
    function = definition.function
    return f"{function.__module__}.{getattr(function, '__qualname__', function)}"


default_registry = Registry()
"""Where the module-level decorators register, and what a hub's worker runs unless told otherwise."""

activity = default_registry.activity
orchestrator = default_registry.orchestrator
