"""What ``@entity`` makes of a class or a function: the operations it has, and how each is carried out."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, overload

from durable_async._kernel.entities.authoring import Entity, state_type
from durable_async._kernel.entities.context import EntityContext
from durable_async.errors import RegistrationError
from durable_async.model.identity import ENTITY_MARK, EntityId, check_entity_name
from durable_async.serialization import DataConverter, Signature
from durable_async.serialization.signatures import Arguments

from ._naming import name_of

P = ParamSpec("P")
R = TypeVar("R", covariant=True)
T = TypeVar("T")
E = TypeVar("E", bound=type[Entity[Any]])

DELETE = "delete"
"""The operation that every entity has: it deletes the state, unless the entity's own code does something else."""

_OVERRIDABLE = ("initial_state",)


class EntityMethod:
    """How an operation is carried out.

    Attributes:
        name: The operation's name; of a function, which has them all, its own.
        function: Gets the entity's object, or the context, and then the arguments.
        is_async: Whether it is an ``async def``.
        signature: What travels of its parameters.
        result_place: What its result is called in messages.
        in_thread: Whether it always runs in a thread, also if it is quick, because it may block, or look for the loop of its thread.
    """

    __slots__ = (
        "_input_place",
        "_is_lenient",
        "function",
        "in_thread",
        "is_async",
        "name",
        "result_place",
        "signature",
    )

    def __init__(
        self,
        name: str,
        function: Callable[..., Any],
        signature: Signature,
        place: str,
        *,
        is_lenient: bool,
        in_thread: bool = False,
    ) -> None:
        self.name = name
        self.function = function
        self.is_async = inspect.iscoroutinefunction(function)
        self.signature = signature
        self.result_place = f"{place} result"
        self._input_place = f"{place} input"
        self.in_thread = in_thread
        self._is_lenient = is_lenient

    def arguments(self, payloads: DataConverter, data: bytes | None) -> Arguments:
        """Return the arguments that an input stands for; of a function entity, ``None`` for no input is one always.

        Raises:
            DecodeError: It does not fit the parameters.
            TypeError: There is an input, and no parameter.
        """
        parameters = self.signature.parameters
        if data is None or data == b"null":
            if not parameters:
                return (), {}
            takes_defaults = not any(parameter.required for parameter in parameters)
            if self._is_lenient or (data is None and takes_defaults):
                return self.signature.decode(payloads, None, self._input_place)
            return self.signature.decode(payloads, data or b"null", self._input_place)
        if not parameters:
            raise TypeError(f"{self._input_place}: it takes none, and one was given")
        return self.signature.decode(payloads, data, self._input_place)


class EntityDefinition:
    """A kind of entity: its name, and its code.

    Attributes:
        name: Its registered name, in lower case.
        stored_name: What the store calls it: ``@`` and the name.
        code: The class or the function.
        state_type: What its state is read into; ``Any`` where the code says it in each place.
        state_place: What its state is called in messages.
    """

    def __init__(self, code: Callable[..., Any], name: str, state_type: Any) -> None:
        self.name = check_entity_name(name)
        self.stored_name = ENTITY_MARK + self.name
        self.code = code
        self.state_type = state_type
        self.state_place = f"entity {self.name!r} state"

    def __repr__(self) -> str:
        return f"<entity {self.name}>"

    @property
    def operations(self) -> Mapping[str, EntityMethod]:
        """The operations by name; none if the code decides itself what it knows."""
        return {}

    def find(self, operation: str) -> EntityMethod | None:
        """Return how an operation is carried out; ``None`` if its code says nothing about it."""
        return self.operations.get(operation)


class ClassEntity(EntityDefinition):
    """An entity that is a class.

    Attributes:
        kind: The class.
        initializes: Whether it has an ``__init__`` of its own.
    """

    def __init__(self, kind: type[Entity[Any]], name: str) -> None:
        super().__init__(kind, name, state_type(kind))
        self.kind = kind
        self.initializes = kind.__init__ is not object.__init__
        self._operations = _operations(kind, self.name)
        _refuse_arguments(kind)
        _name(kind, self.name)

    @property
    def operations(self) -> Mapping[str, EntityMethod]:
        """The operations by name."""
        return self._operations

    def find(self, operation: str) -> EntityMethod | None:
        """Return how an operation is carried out; ``None`` if there is none of this name."""
        return self._operations.get(operation)


class FunctionEntity(EntityDefinition, Generic[P, R]):
    """An entity that is a function; made by ``@entity``. Calling it runs the plain function, which is handy in tests."""

    def __init__(self, function: Callable[..., Any], name: str) -> None:
        super().__init__(function, name, Any)
        signature = Signature.of(function, skip_first=True)
        self.method = EntityMethod(
            self.name, function, signature, f"entity {self.name!r}", is_lenient=True
        )
        self.__doc__ = function.__doc__

    def __call__(self, context: EntityContext, /, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Run the plain function."""
        return self.code(context, *args, **kwargs)

    def entity_id(self, key: str) -> EntityId:
        """Return the id of the entity of this kind with a key; ``ValidationError`` if the key is empty, or too long."""
        return EntityId(self.name, key)

    def find(self, operation: str) -> EntityMethod:
        """Return the function, whatever the operation."""
        return self.method

    def _result(self) -> R:
        raise NotImplementedError("only tells type checkers what the function returns")


class EntityDecorator:
    """Makes entities of classes and functions, and registers them."""

    def __init__(self, add: Callable[[EntityDefinition], None], name: str | None) -> None:
        self._add = add
        self._name = name

    @overload
    def __call__(self, code: E, /) -> E: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(
        self, code: Callable[Concatenate[EntityContext, P], Coroutine[Any, Any, T]], /
    ) -> FunctionEntity[P, T]: ...
    @overload
    def __call__(
        self, code: Callable[Concatenate[EntityContext, P], T], /
    ) -> FunctionEntity[P, T]: ...
    def __call__(self, code: Any, /) -> Any:
        """Make and register one; a class stays what it is."""
        name = name_of(code, self._name)
        if inspect.isclass(code):
            if not issubclass(code, Entity):
                raise RegistrationError(code.__qualname__, "it is not derived from Entity")
            self._add(ClassEntity(code, name))
            return code
        _refuse_generator(code)
        definition: FunctionEntity[..., Any] = FunctionEntity(code, name)
        self._add(definition)
        return definition


def _operations(kind: type[Entity[Any]], name: str) -> dict[str, EntityMethod]:
    found: dict[str, EntityMethod] = {}
    for attribute in dir(kind):
        if attribute.startswith("_") or attribute in _OVERRIDABLE:
            continue
        code = inspect.getattr_static(kind, attribute)
        if hasattr(Entity, attribute):
            if code is not inspect.getattr_static(Entity, attribute):
                raise RegistrationError(
                    kind.__qualname__, f"its {attribute} hides that of Entity: give it another name"
                )
        elif inspect.isfunction(code):
            _refuse_generator(code)
            place = f"operation {attribute!r} of entity {name!r}"
            found[attribute] = EntityMethod(
                attribute, code, Signature.of_method(code), place, is_lenient=False
            )
    return found


def _refuse_generator(code: Callable[..., Any]) -> None:
    if inspect.isgeneratorfunction(code) or inspect.isasyncgenfunction(code):
        raise RegistrationError(
            getattr(code, "__qualname__", repr(code)),
            "it is a generator, and an operation returns one result",
        )


def _refuse_arguments(kind: type[Entity[Any]]) -> None:
    parameters = list(inspect.signature(kind.__init__).parameters.values())[1:]
    needed = [
        parameter.name
        for parameter in parameters
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    if needed:
        raise RegistrationError(
            kind.__qualname__,
            f"its __init__ needs {', '.join(needed)}, and each operation makes an object without arguments",
        )


def _name(kind: type[Entity[Any]], name: str) -> None:
    named = kind.__dict__.get("__durable_entity_name__")
    if named not in (None, name):
        raise RegistrationError(name, f"{kind.__qualname__} is an entity already, named {named!r}")
    kind.__durable_entity_name__ = name
