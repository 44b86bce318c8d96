"""Activity: what ``@activity`` makes of a function."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Coroutine
from typing import Any, Generic, ParamSpec, TypeVar, overload

from durable_async._kernel.context import current_context
from durable_async.errors import ForbiddenOperationError, RegistrationError, ValidationError
from durable_async.model.identity import check_name
from durable_async.model.policy import (
    DEFAULT_ACTIVITY_OPTIONS,
    ActivityOptions,
    RetryPolicy,
    Seconds,
)
from durable_async.serialization import DataConverter, Signature
from durable_async.serialization.signatures import Arguments

from ._naming import name_of

P = ParamSpec("P")
R = TypeVar("R", covariant=True)
T = TypeVar("T")

_OPTIONS = tuple(field.name for field in dataclasses.fields(ActivityOptions))


class Activity(Generic[P, R]):
    """A function that may do anything, run at least once; made by ``@activity``.

    Calling it runs the plain function, which is handy in tests; inside an orchestrator that is refused: use ``ctx.call_activity``.

    Attributes:
        name: Its registered name.
        function: The plain function.
        options: How it is run.
        is_async: Whether it runs on the event loop; otherwise in a thread.
        signature: What goes in and comes out.
        result_type: The annotation of its result.
        input_place: What its payload is called in errors.
    """

    def __init__(self, function: Callable[P, Any], name: str, options: ActivityOptions) -> None:
        self.name = check_name(name, "activity")
        self.function = function
        self.options = options
        self.is_async = inspect.iscoroutinefunction(function)
        self.signature = Signature.of(function, skip_first=False)
        self.result_type = self.signature.result_type
        self.__doc__ = function.__doc__
        self.__durable_activity__ = True
        self.input_place = f"activity {name!r} input"
        self._output = f"activity {name!r} result"

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
        try:
            return self.signature.encode(payloads, args, kwargs, self.input_place)
        except ValidationError as error:
            if error.field not in _OPTIONS or error.field not in kwargs:
                raise
            raise ValidationError(
                error.field,
                f"{self.name}() has no such argument; what holds for one call stands in {self.name}.with_options({error.field}=...)",
            ) from None

    def decode_input(self, payloads: DataConverter, data: bytes) -> Arguments:
        """Return the arguments that a payload holds."""
        return self.signature.decode(payloads, data, self.input_place)

    def encode_result(self, payloads: DataConverter, value: Any) -> bytes:
        """Return what the function returned as a payload."""
        return payloads.encode(value, self._output)

    def _result(self) -> R:
        raise NotImplementedError("only tells type checkers what the activity returns")


class ActivityDecorator:
    """Makes activities of functions, with options, and registers them."""

    def __init__(
        self,
        add: Callable[[Activity[Any, Any]], None],
        name: str | None,
        options: dict[str, Any],
    ) -> None:
        self._add = add
        for option in options:
            if option not in _OPTIONS:
                known = ", ".join(("name", *_OPTIONS))
                raise ValidationError(
                    option, f"there is no such option of an activity; there are {known}"
                )
        self._name = name
        self._options = options

    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, T]], /) -> Activity[P, T]: ...
    @overload
    def __call__(self, function: Callable[P, T], /) -> Activity[P, T]: ...
    def __call__(self, function: Callable[..., Any], /) -> Activity[Any, Any]:
        """Make and register one."""
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise RegistrationError(
                function.__qualname__, "it is a generator, and an activity returns one result"
            )
        options = ActivityOptions(**self._options) if self._options else DEFAULT_ACTIVITY_OPTIONS
        activity: Activity[Any, Any] = Activity(function, name_of(function, self._name), options)
        self._add(activity)
        return activity
