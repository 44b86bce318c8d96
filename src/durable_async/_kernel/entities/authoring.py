"""Entity: the base of entities that are classes."""

from __future__ import annotations

import sys
import types
import typing
from typing import Any, ClassVar, Generic, TypeVar, overload

from durable_async.errors import (
    EntityStateAbsentError,
    OutsideOrchestrationError,
    RegistrationError,
)
from durable_async.model.identity import EntityId
from durable_async.serialization import JsonConverter

from .context import EntityContext
from .state import StateCell

S = TypeVar("S")
T = TypeVar("T")
D = TypeVar("D")


class Entity(Generic[S]):
    """Base of a class whose public methods are the operations of an entity with a state of type ``S``.

        @entity
        class Counter(Entity[int]):
            def initial_state(self) -> int:
                return 0

            def add(self, amount: int) -> int:
                self.state += amount
                return self.state

    Each operation gets an object of its own: what is to last belongs into the state. Operations are ``def`` or ``async def``, and one
    entity carries out one at a time. An exception undoes what the operation did to the state, and what it sent. ``delete`` is there
    unless the class has its own: it deletes the state. ``__init__`` takes no arguments; a state that it sets is kept if there was none.

    Outside of a worker, as in a test of the class alone, an object has a state of its own from ``initial_state()`` on.
    """

    __durable_entity_name__: ClassVar[str | None] = None

    # Set before __init__ by whoever carries out an operation.
    _durable_cell: StateCell | None = None
    _durable_context: EntityContext | None = None

    def initial_state(self) -> S:
        """Return the state of an entity that has none yet: override it. Looking at it does not store it; changing it does."""
        raise EntityStateAbsentError(type(self).__qualname__)

    @property
    def state(self) -> S:
        """The operation's own copy of the state: change it or replace it, and it is stored if the operation succeeds."""
        cell = self._durable_cell or self._durable_work()
        state: S = cell.working_copy(self.initial_state)
        return state

    @state.setter
    def state(self, value: S) -> None:
        cell = self._durable_cell or self._durable_work()
        cell.replace_copy(value)

    @overload
    def get_state(self) -> S | None: ...
    @overload
    def get_state(self, *, default: D) -> S | D: ...
    @overload
    def get_state(self, type: type[T]) -> T | None: ...
    @overload
    def get_state(self, type: type[T], default: D) -> T | D: ...
    @overload
    def get_state(self, type: Any = ..., default: Any = ...) -> Any: ...
    def get_state(self, type: Any = None, default: Any = None) -> Any:
        """Return the state, a fresh copy each time; ``default`` if there is none. See `EntityContext.get_state`."""
        return self._durable_work().get(type, default)

    def set_state(self, value: Any) -> None:
        """Replace the state; it is encoded now, so later changes of the value do not count. ``None`` deletes it."""
        self._durable_work().set(value)

    def delete_state(self) -> None:
        """Delete the state; the next operation finds none."""
        self._durable_work().set(None)

    @property
    def context(self) -> EntityContext:
        """The operation: who called, and whom to signal."""
        if self._durable_context is None:
            raise OutsideOrchestrationError(
                f"the context of a {type(self).__qualname__} that no worker made",
                "only its state works here; call it through a client or an orchestration",
            )
        return self._durable_context

    @classmethod
    def entity_id(cls, key: str) -> EntityId:
        """Return the id of the entity of this class with a key.

        Raises:
            RegistrationError: The class is not registered.
            ValidationError: The key is empty, or too long.
        """
        name = cls.__dict__.get("__durable_entity_name__")
        if name is None:
            raise RegistrationError(
                cls.__qualname__, "it is not an entity yet: decorate it with @entity"
            )
        return EntityId(name, key)

    def _durable_work(self) -> StateCell:
        if self._durable_cell is None:
            kind = type(self)
            where = f"entity {kind.__qualname__!r} state"
            self._durable_cell = StateCell(None, state_type(kind), JsonConverter(), where)
        return self._durable_cell


def state_type(kind: type[Entity[Any]]) -> Any:
    """Return what ``S`` stands for in a class; ``Any`` if it does not say, or names what cannot be found."""
    found, module = _argument(kind)
    holder = types.SimpleNamespace(__annotations__={"state": found})
    try:
        hint = typing.get_type_hints(holder, vars(sys.modules[module]), include_extras=True)
    except Exception:  # noqa: BLE001 - a name may stand for anything, or for nothing
        return Any
    return Any if isinstance(hint["state"], TypeVar) else hint["state"]


def _argument(kind: type[Any]) -> tuple[Any, str]:
    """Return what a class says of ``S``, and in which module it says so."""
    for base in kind.__dict__.get("__orig_bases__", kind.__bases__):
        origin, given = typing.get_origin(base) or base, typing.get_args(base)
        if origin is Entity:
            return (given[0] if given else Any), kind.__module__
        if isinstance(origin, type) and issubclass(origin, Entity):
            inner, module = _argument(origin)
            bound: dict[Any, Any] = dict(
                zip(getattr(origin, "__parameters__", ()), given, strict=False)
            )
            if isinstance(inner, TypeVar):
                return bound.get(inner, Any), kind.__module__
            open_ones = getattr(inner, "__parameters__", ())
            if open_ones:
                return inner[tuple(bound.get(one, Any) for one in open_ones)], kind.__module__
            return inner, module
    return Any, kind.__module__


def make(
    kind: type[Entity[Any]], cell: StateCell, context: EntityContext, initializes: bool
) -> Entity[Any]:
    """Return an object for one operation, which has its state and its context already in ``__init__``."""
    made = kind.__new__(kind)
    made._durable_cell = cell
    made._durable_context = context
    if initializes:
        cell.seed(made.__init__)  # type: ignore[misc]
    return made
