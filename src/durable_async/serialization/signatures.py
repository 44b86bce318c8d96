"""How the arguments of an activity or an orchestrator become one payload, and arguments again."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NotRequired, TypedDict

from durable_async.errors import DecodeError, RegistrationError, ValidationError

from .converter import DataConverter
from .hints import hints_of, result_hint
from .paths import ROOT

Arguments = tuple[tuple[Any, ...], dict[str, Any]]

_NULL: Final = b"null"
_ABSENT: Final = inspect.Parameter.empty
_BY_POSITION: Final = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter that travels in the payload.

    Attributes:
        name: Its name.
        annotation: What a stored value is read into; ``Any`` if nothing is known.
        default: Its default, or ``inspect.Parameter.empty``.
        by_position: Whether an argument may be given by position.
        by_name: Whether an argument may be given by name.
    """

    name: str
    annotation: Any
    default: Any
    by_position: bool
    by_name: bool

    @property
    def required(self) -> bool:
        """Tell whether a call has to give the argument."""
        return self.default is _ABSENT


class Signature:
    """The payload side of a function.

    No parameter is the payload ``null``; one is the bare value; several are an object by parameter
    name, which holds only what the call gave: for the rest, the defaults of the worker's code
    apply. The only parameter's default is stored by the caller.

    Attributes:
        parameters: The parameters that travel; an orchestrator's context is not among them.
        input_type: What the payload as a whole is read into.
        result_type: What the function's result is read into; of a coroutine, what it returns.
    """

    __slots__ = ("_required", "_single", "input_type", "parameters", "result_type")

    def __init__(self, parameters: tuple[Parameter, ...], result_type: Any) -> None:
        self.parameters = parameters
        self.result_type = result_type
        self._single = parameters[0] if len(parameters) == 1 else None
        self._required = tuple(p.name for p in parameters if p.required)
        self.input_type = _input_type(parameters)

    @classmethod
    def of(cls, fn: Callable[..., Any], skip_first: bool) -> Signature:
        """Return the signature of a function.

        Args:
            fn: An activity or an orchestrator.
            skip_first: Whether the first parameter is the orchestrator's context; then one more
                parameter may follow, its input.

        Raises:
            RegistrationError: The function has parameters that cannot travel.
        """
        name = getattr(fn, "__qualname__", repr(fn))
        hints = hints_of(fn)
        found = _declared(fn, name)
        if found and found[0].name in ("self", "cls"):
            raise RegistrationError(
                name, "it is a method, which has no object when a worker runs it: use a function"
            )
        if skip_first:
            found = _without_context(found, name)
        return cls._made_of(fn, found, hints, name, is_input=skip_first)

    @classmethod
    def of_method(cls, method: Callable[..., Any]) -> Signature:
        """Return the signature of an entity's operation; its object, the first parameter, does not travel.

        Raises:
            RegistrationError: The method has no first parameter, or others that cannot travel.
        """
        name = getattr(method, "__qualname__", repr(method))
        found = _declared(method, name)
        if not found or found[0].kind not in _BY_POSITION:
            raise RegistrationError(name, "its first parameter must be self")
        return cls._made_of(method, found[1:], hints_of(method), name, is_input=False)

    @classmethod
    def _made_of(
        cls,
        fn: Callable[..., Any],
        found: list[inspect.Parameter],
        hints: Mapping[str, Any],
        name: str,
        *,
        is_input: bool,
    ) -> Signature:
        for parameter in found:
            _refuse_what_cannot_travel(parameter, len(found), name)
        parameters = tuple(_parameter(parameter, hints, is_input) for parameter in found)
        return cls(parameters, result_hint(fn, hints))

    def encode(
        self,
        converter: DataConverter,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        where: str,
    ) -> bytes:
        """Return the payload of a call.

        Raises:
            ValidationError: The arguments do not fit, as Python would refuse them at the call.
            EncodeError: An argument does not become bytes.
            PayloadTooLargeError: The bytes are too many.
        """
        single = self._single
        if single is not None and len(args) == 1 and not kwargs and single.by_position:
            return converter.encode(args[0], where)
        given = self._bind(args, kwargs, where)
        if single is not None:
            return converter.encode(given.get(single.name, single.default), where)
        return converter.encode(given, where) if self.parameters else _NULL

    def decode(self, converter: DataConverter, data: bytes | None, where: str) -> Arguments:
        """Return the arguments to call the function with; of an orchestrator, those after the context.

        Where nothing was stored (``data`` is ``None``), a single parameter gets its default, or
        ``None`` if it has none.

        Raises:
            DecodeError: The payload does not fit the parameters.
        """
        single = self._single
        if single is not None:
            value = single.default
            if data is not None or value is _ABSENT:
                value = converter.decode(data, single.annotation, where)
            return ((value,), {}) if single.by_position else ((), {single.name: value})
        if not self.parameters:
            return (), {}
        given = {} if data is None else converter.decode(data, self.input_type, where)
        for name in self._required:
            if name not in given:
                raise DecodeError(where, ROOT, f"the argument {name!r} is missing")
        return (), given

    def _bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], where: str) -> dict[str, Any]:
        positional = [p.name for p in self.parameters if p.by_position]
        if len(args) > len(positional):
            takes = f"takes {len(positional)} by position, and {len(args)} were given"
            raise ValidationError("arguments", f"{where} {takes}")
        given = dict(zip(positional, args, strict=False))
        named = {p.name for p in self.parameters if p.by_name}
        for name, value in kwargs.items():
            if name not in named:
                raise ValidationError(name, f"{where} has no such argument by name")
            if name in given:
                raise ValidationError(name, f"{where} got it by position and by name")
            given[name] = value
        for name in self._required:
            if name not in given:
                raise ValidationError(name, f"{where} needs this argument, and it is missing")
        # In the order of declaration, so that equal calls have equal bytes.
        return {p.name: given[p.name] for p in self.parameters if p.name in given}


def _declared(fn: Callable[..., Any], name: str) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(fn).parameters.values())
    except (TypeError, ValueError) as exc:
        raise RegistrationError(name, f"its parameters cannot be read ({exc})") from exc


def _without_context(found: list[inspect.Parameter], name: str) -> list[inspect.Parameter]:
    if not found or found[0].kind not in _BY_POSITION:
        raise RegistrationError(name, "its first parameter must be the context")
    if len(found) > 2:
        extra = ", ".join(parameter.name for parameter in found[2:])
        reason = f"it takes the context and one input, and also {extra}: put them into one input"
        raise RegistrationError(name, f"{reason}, such as a dataclass")
    return found[1:]


def _refuse_what_cannot_travel(parameter: inspect.Parameter, count: int, name: str) -> None:
    match parameter.kind:
        case inspect.Parameter.VAR_POSITIONAL:
            reason = f"*{parameter.name} has no place in a payload: take a list"
        case inspect.Parameter.VAR_KEYWORD:
            reason = f"**{parameter.name} has no place in a payload: take a dict"
        case inspect.Parameter.POSITIONAL_ONLY if count > 1:
            reason = f"{parameter.name} is positional-only, and several arguments travel by name"
        case _:
            return
    raise RegistrationError(name, reason)


def _parameter(parameter: inspect.Parameter, hints: Mapping[str, Any], is_input: bool) -> Parameter:
    annotation = hints.get(parameter.name, Any)
    default = parameter.default
    if is_input and default is _ABSENT and _admits_none(annotation):
        default = None  # an orchestration may be started without input
    if default is None and not _admits_none(annotation):
        annotation = typing.Optional[annotation]  # noqa: UP045 - known at run time only
    return Parameter(
        name=parameter.name,
        annotation=annotation,
        default=default,
        by_position=parameter.kind is not inspect.Parameter.KEYWORD_ONLY,
        by_name=parameter.kind is not inspect.Parameter.POSITIONAL_ONLY,
    )


def _admits_none(annotation: Any) -> bool:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return any(map(_admits_none, typing.get_args(annotation)))
    return annotation in (Any, None, type(None), object)


def _input_type(parameters: tuple[Parameter, ...]) -> Any:
    if not parameters:
        return Any
    if len(parameters) == 1:
        return parameters[0].annotation
    fields = {p.name: p.annotation if p.required else NotRequired[p.annotation] for p in parameters}
    return TypedDict("Arguments", fields)  # type: ignore[operator]
