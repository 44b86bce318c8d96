"""Entities of a program, as durable_async carries them out: texts come in, texts go out, and failures are recorded as the SDK would."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from durable_async import EntityContext as NativeContext, FailureDetails, Registry
from durable_async.registry.entities import DELETE, EntityDefinition, EntityMethod
from durable_async.serialization import Signature
from durabletask.entities import DurableEntity, EntityContext, EntityInstanceId
from durabletask.internal.entity_state_shim import Action, SendSignal, StateShim
from durabletask.internal.type_discovery import entity_input_type
from durabletask.serialization import DataConverter

from .entity_ids import of_native, to_native
from .failures import RecordedError

Failures = Callable[[BaseException], FailureDetails]
"""Tells how a failure is recorded."""

_ABSENT: Final[Any] = object()


def add_entity(
    registry: Registry, name: str, code: Any, converter: DataConverter, failures: Failures
) -> None:
    """Register a program's entity.

    Args:
        registry: Where to.
        name: Its name; case does not matter.
        code: A class derived from `DurableEntity`, or a function of a context and an input; ``def`` or ``async def``.
        converter: Reads inputs and states, writes states and results.
        failures: Tells how a failure is recorded.

    Raises:
        RegistrationError: The name is taken.
        ValidationError: There can be no entity of this name.
    """
    is_class = isinstance(code, type) and issubclass(code, DurableEntity)
    kind = _ClassEntity if is_class else _ProgramEntity
    registry.add_entity(kind(name, code, converter, failures))


def unregistered_entity(name: str, error: type[Exception], failures: Failures) -> EntityDefinition:
    """Return an entity that nobody registered: each of its operations fails.

    Args:
        name: Its name, with or without the ``@`` that durable_async stores it with.
        error: The class of the failures.
        failures: Tells how a failure is recorded.
    """
    return _UnregisteredEntity(name.removeprefix("@"), error, failures)


class _TextEntity(EntityDefinition):
    """An entity that takes a text and gives one; what it does in between says a subclass."""

    def __init__(self, name: str, code: Callable[..., Any], failures: Failures) -> None:
        super().__init__(code, name, Any)
        place = f"entity {self.name!r}"
        self._failures = failures
        # In a thread, where it may block: on the blocking client, for one, or by an event loop of its own.
        self._in_one_go = EntityMethod(
            name, self.run, _SIGNATURE, place, is_lenient=True, in_thread=True
        )
        self._awaited = EntityMethod(name, self.run_async, _SIGNATURE, place, is_lenient=True)

    def find(self, operation: str) -> EntityMethod:
        """Return how an operation is carried out: all of them are."""
        return self._awaited if self.is_async(operation) else self._in_one_go

    def is_async(self, operation: str) -> bool:
        """Return whether an operation is an ``async def``."""
        return False

    def run(self, native: NativeContext, text: str | None) -> str | None:
        """Carry out a ``def`` operation, and return its result."""
        raise NotImplementedError

    async def run_async(self, native: NativeContext, text: str | None) -> str | None:
        """Carry out an ``async def`` operation, and return its result."""
        raise NotImplementedError

    def failed(self, error: Exception) -> RecordedError:
        """Return what to raise for an error, so that it is recorded as it should be."""
        return RecordedError(self._failures(error))


def _takes_text(context: NativeContext, input: str | None) -> None:
    """Has the parameters of all entities here."""


_SIGNATURE = Signature.of(_takes_text, skip_first=True)


class _UnregisteredEntity(_TextEntity):
    def __init__(self, name: str, error: type[Exception], failures: Failures) -> None:
        super().__init__(name, error, failures)

    def run(self, native: NativeContext, text: str | None) -> str | None:
        raise self.failed(self.code(f"Entity function named '{self.name}' was not registered!"))


class _ProgramEntity(_TextEntity):
    """A function of a context and an input."""

    def __init__(
        self, name: str, code: Callable[..., Any], converter: DataConverter, failures: Failures
    ) -> None:
        super().__init__(name, code, failures)
        self._converter = converter
        # Found out now, while the names around a nested function can still be seen.
        self._types = self._input_types()

    def is_async(self, operation: str) -> bool:
        return _is_async(self.code)

    def run(self, native: NativeContext, text: str | None) -> str | None:
        try:
            state = _State(native, self._converter)
            value = self._prepare(native, state, text)()
            return self._finish(native, state, value)
        except Exception as error:
            raise self.failed(error) from error

    async def run_async(self, native: NativeContext, text: str | None) -> str | None:
        try:
            state = _State(native, self._converter)
            value = await self._prepare(native, state, text)()
            return self._finish(native, state, value)
        except Exception as error:
            raise self.failed(error) from error

    def _prepare(
        self, native: NativeContext, state: StateShim, text: str | None
    ) -> Callable[[], Any]:
        entity_id = of_native(native.entity_id)
        context = EntityContext(str(entity_id), native.operation, state, entity_id, self._converter)
        return self._call(context, state, text)

    def _call(
        self, context: EntityContext, state: StateShim, text: str | None
    ) -> Callable[[], Any]:
        value = self._input(self.name, text)
        return lambda: self.code(context, value)

    def _input_types(self) -> dict[str, Any]:
        return {self.name: entity_input_type(self.code, self.name, self._converter)}

    def _input(self, known_as: str, text: str | None) -> Any:
        if text is None:
            return None
        return self._converter.deserialize(text, self._types.get(known_as))

    def _finish(self, native: NativeContext, state: StateShim, value: Any) -> str | None:
        _refuse_awaitable(value, native.operation)
        if native.operation == DELETE:
            # Where code says nothing about the state, durable_async would delete it; here only code does.
            native.set_state(state.encode_state())
        return self._converter.serialize(value)


class _ClassEntity(_ProgramEntity):
    """A class, of which each operation has an object of its own."""

    def __init__(
        self, name: str, code: Callable[..., Any], converter: DataConverter, failures: Failures
    ) -> None:
        super().__init__(name, code, converter, failures)
        self._needs_input: dict[str, bool] = {}

    def _input_types(self) -> dict[str, Any]:
        return {
            operation: entity_input_type(self.code, operation, self._converter)
            for operation in dir(self.code)
            if not _is_special(operation)
        }

    def is_async(self, operation: str) -> bool:
        return _is_async(getattr(self.code, operation, None))

    def _call(
        self, context: EntityContext, state: StateShim, text: str | None
    ) -> Callable[[], Any]:
        operation = context.operation
        method = self._method(_made(self.code, context, state), context)
        value = self._input(operation, text)
        if operation not in self._needs_input:
            self._needs_input[operation] = _needs_input(method)
        if value is None and not self._needs_input[operation]:
            return method
        return lambda: method(value)

    @staticmethod
    def _method(entity: Any, context: EntityContext) -> Callable[..., Any]:
        operation = context.operation
        if _is_special(operation) or not hasattr(entity, operation):
            raise AttributeError(
                f"Entity '{context.entity_id}' does not have operation '{operation}'"
            )
        method: Any = getattr(entity, operation)
        if not callable(method):
            raise TypeError(f"Entity operation '{operation}' is not callable")
        return method  # type: ignore[no-any-return]


class _State(StateShim):
    """A state that an operation has from durable_async, and what it sends; all goes there at once, and is kept or taken back there."""

    def __init__(self, native: NativeContext, converter: DataConverter) -> None:
        stored = native.get_state(default=_ABSENT)
        # The text null comes back as None, and is a state all the same.
        text = None if stored is _ABSENT else "null" if stored is None else stored
        super().__init__(text, converter, is_serialized=True)
        self._native = native

    def now(self) -> datetime:
        """Return the store's time at which the operation began, aware, UTC."""
        return self._native.now()

    def _put(self, text: str | None) -> None:
        super()._put(text)
        self._native.set_state(text)

    def add_operation_action(self, action: Action) -> None:
        """Send something, if the operation succeeds."""
        native = self._native
        if isinstance(action, SendSignal):
            entity = to_native(EntityInstanceId.parse(action.entity_id))
            native.signal_entity(entity, action.operation, action.input, at=action.due)
        else:
            native.start_orchestration(action.name, action.input, instance_id=action.instance_id)
        super().add_operation_action(action)


def _made(kind: Any, context: EntityContext, state: StateShim) -> Any:
    """Make an entity's object, which has its context before its ``__init__`` begins."""
    entity = kind.__new__(kind)
    if not isinstance(entity, kind):
        return entity  # as a call of the class would
    entity._initialize_entity_context(context)  # noqa: SLF001 - the SDK's own seam
    with state.seeding():
        entity.__init__()
    return entity


def _is_special(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


def _is_async(code: Any) -> bool:
    called = getattr(code, "__call__", None)  # noqa: B004 - whether that is async is the question
    return inspect.iscoroutinefunction(code) or inspect.iscoroutinefunction(called)


def _needs_input(method: Callable[..., Any]) -> bool:
    by_position = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
    try:
        parameters = inspect.signature(method).parameters.values()
    except (TypeError, ValueError):
        return False
    return any(
        parameter.default is parameter.empty and parameter.kind not in by_position
        for parameter in parameters
    )


def _refuse_awaitable(value: Any, operation: str) -> None:
    if inspect.isawaitable(value):
        if inspect.iscoroutine(value):
            value.close()
        raise TypeError(
            f"Entity operation '{operation}' returned what has to be awaited: make it an async def"
        )
