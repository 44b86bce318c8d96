"""Arguments become one payload and arguments again, and wrong calls are refused as Python would."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, Optional

import pytest
from hypothesis import given, strategies as st

from durable_async.errors import DecodeError, EncodeError, RegistrationError, ValidationError
from durable_async.serialization import JsonConverter, Signature

from .shapes import Item, Tag

if TYPE_CHECKING:
    from somewhere import Hidden  # type: ignore[import-not-found]

CONVERTER = JsonConverter()
WHERE = "activity 'charge' input"


def of(fn: Callable[..., Any], *, skip_first: bool = False) -> Signature:
    return Signature.of(fn, skip_first=skip_first)


def encode(signature: Signature, *args: Any, **kwargs: Any) -> bytes:
    return signature.encode(CONVERTER, args, kwargs, WHERE)


def decode(signature: Signature, data: bytes | None) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return signature.decode(CONVERTER, data, WHERE)


def nothing() -> None: ...
def one(item: Item) -> Item: ...  # type: ignore[empty-body]
def one_default(item: Item = Item("d", 1.0)) -> None: ...  # noqa: B008 - a value, never changed
def one_only_named(*, count: int) -> None: ...
def one_only_placed(count: int, /) -> None: ...
def implicit_optional(count: int = None) -> None: ...  # type: ignore[assignment]  # noqa: RUF013 - people write it
def two(item: Item, count: int) -> list[Item]: ...  # type: ignore[empty-body]
async def three(a: int, b: Item | None = None, *, c: str = "x") -> str: ...  # type: ignore[empty-body]
def untyped(a, b=2): ...  # type: ignore[no-untyped-def]
def orchestrator(ctx: Any, item: Item) -> int: ...  # type: ignore[empty-body]
def orchestrator_default(ctx: Any, item: Item = Item("d", 1.0)) -> int: ...  # type: ignore[empty-body]  # noqa: B008
def orchestrator_alone(ctx: Any) -> None: ...
def orchestrator_any(ctx, data): ...  # type: ignore[no-untyped-def]
def orchestrator_optional(ctx: Any, item: Item | None) -> None: ...
def orchestrator_named(ctx: Any, *, item: Item) -> None: ...


# -- one payload for all arguments


@pytest.mark.parametrize(
    ("fn", "args", "kwargs", "data"),
    [
        (nothing, (), {}, b"null"),
        (one, (Item("a", 1.0),), {}, b'{"name":"a","price":1.0,"color":"red"}'),
        (one, (), {"item": Item("a", 1.0)}, b'{"name":"a","price":1.0,"color":"red"}'),
        (one_default, (), {}, b'{"name":"d","price":1.0,"color":"red"}'),
        (one_only_named, (), {"count": 3}, b"3"),
        (one_only_placed, (3,), {}, b"3"),
        (implicit_optional, (), {}, b"null"),
        (two, (1, 2), {}, b'{"item":1,"count":2}'),
        (two, (), {"count": 2, "item": 1}, b'{"item":1,"count":2}'),
        (two, (1,), {"count": 2}, b'{"item":1,"count":2}'),
        (three, (1,), {}, b'{"a":1}'),
        (three, (), {"c": "y", "a": 1}, b'{"a":1,"c":"y"}'),
        (untyped, (1,), {}, b'{"a":1}'),
    ],
)
def test_arguments_become_one_payload(
    fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], data: bytes
) -> None:
    assert of(fn).encode(CONVERTER, args, kwargs, WHERE) == data


@pytest.mark.parametrize(
    ("fn", "data", "expected"),
    [
        (nothing, b"null", ((), {})),
        (nothing, None, ((), {})),
        (one, b'{"name":"a","price":1}', ((Item("a", 1.0),), {})),
        (one_default, None, ((Item("d", 1.0),), {})),
        (one, None, ((None,), {})),
        (one_only_named, b"3", ((), {"count": 3})),
        (one_only_placed, b"3", ((3,), {})),
        (implicit_optional, b"null", ((None,), {})),
        (
            two,
            b'{"item":{"name":"a","price":1},"count":2}',
            ((), {"item": Item("a", 1.0), "count": 2}),
        ),
        (three, b'{"a":1}', ((), {"a": 1})),
        (three, b'{"a":1,"b":null,"later":3}', ((), {"a": 1, "b": None})),
        (untyped, b'{"a":{"x":1}}', ((), {"a": {"x": 1}})),
    ],
)
def test_a_payload_becomes_arguments(
    fn: Callable[..., Any], data: bytes | None, expected: tuple[Any, Any]
) -> None:
    assert decode(of(fn), data) == expected


@given(st.integers(-9, 9), st.none() | st.builds(Item, st.text(), st.floats(0, 1)), st.text())
def test_arguments_come_back_however_they_are_given(a: int, b: Item | None, c: str) -> None:
    signature = of(three)
    by_name = encode(signature, a=a, b=b, c=c)
    assert by_name == encode(signature, a, b, c=c) == encode(signature, a, c=c, b=b)
    args, kwargs = decode(signature, by_name)
    bound = inspect.signature(three).bind(*args, **kwargs)
    assert bound.arguments == {"a": a, "b": b, "c": c}


# -- calls that Python would refuse


@pytest.mark.parametrize(
    ("fn", "args", "kwargs", "field", "part"),
    [
        (nothing, (1,), {}, "arguments", "takes 0 by position, and 1 were given"),
        (nothing, (), {"a": 1}, "a", "no such argument"),
        (one, (), {}, "item", "missing"),
        (one, (1, 2), {}, "arguments", "takes 1 by position, and 2 were given"),
        (one, (1,), {"item": 2}, "item", "by position and by name"),
        (one, (1,), {"other": 2}, "other", "no such argument"),
        (one_only_named, (1,), {}, "arguments", "takes 0 by position"),
        (one_only_placed, (), {"count": 1}, "count", "no such argument by name"),
        (two, (1,), {}, "count", "missing"),
        (two, (1, 2, 3), {}, "arguments", "takes 2 by position, and 3 were given"),
        (three, (1, 2, 3), {}, "arguments", "takes 2 by position, and 3 were given"),
        (three, (1,), {"a": 1}, "a", "by position and by name"),
    ],
)
def test_wrong_calls_are_refused_before_anything_is_written(
    fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], field: str, part: str
) -> None:
    with pytest.raises(TypeError):
        inspect.signature(fn).bind(*args, **kwargs)
    with pytest.raises(ValidationError) as caught:
        of(fn).encode(CONVERTER, args, kwargs, WHERE)
    assert caught.value.field == field
    assert part in caught.value.reason
    assert WHERE in str(caught.value)


def test_values_that_are_no_json_keep_their_place() -> None:
    with pytest.raises(EncodeError) as caught:
        encode(of(two), Item("a", 1.0), [1j])
    assert caught.value.path == "$.count[0]"


@pytest.mark.parametrize(
    ("fn", "data", "path", "part"),
    [
        (one, b'{"name":1}', "$.name", "Expected `str`"),
        (two, b'{"item":{"name":"a","price":1},"count":"x"}', "$.count", "Expected `int`"),
        (two, b'{"count":1}', "$", "missing required field `item`"),
        (two, b"null", "$", "Expected `object`"),
        (two, None, "$", "the argument 'item' is missing"),
    ],
)
def test_payloads_that_do_not_fit_are_refused(
    fn: Callable[..., Any], data: bytes | None, path: str, part: str
) -> None:
    with pytest.raises(DecodeError) as caught:
        decode(of(fn), data)
    assert caught.value.path == path
    assert part in caught.value.reason


# -- orchestrators


def test_the_context_does_not_travel() -> None:
    signature = of(orchestrator, skip_first=True)
    assert [p.name for p in signature.parameters] == ["item"]
    assert encode(signature, Item("a", 1.0)) == b'{"name":"a","price":1.0,"color":"red"}'
    assert decode(signature, b'{"name":"a","price":1}') == ((Item("a", 1.0),), {})
    with pytest.raises(ValidationError, match=r"item: .* missing"):
        encode(signature)


@pytest.mark.parametrize("fn", [orchestrator_any, orchestrator_optional, orchestrator_alone])
def test_an_absent_input_is_none_where_none_is_welcome(fn: Callable[..., Any]) -> None:
    signature = of(fn, skip_first=True)
    given = (None,) if fn is not orchestrator_alone else ()
    assert encode(signature) == b"null"
    assert decode(signature, b"null") == (given, {})
    assert decode(signature, None) == (given, {})


def test_an_absent_input_is_the_default_if_there_is_one() -> None:
    signature = of(orchestrator_default, skip_first=True)
    assert decode(signature, None) == ((Item("d", 1.0),), {})
    assert decode(signature, encode(signature)) == ((Item("d", 1.0),), {})


def test_an_input_by_name_only() -> None:
    signature = of(orchestrator_named, skip_first=True)
    assert decode(signature, encode(signature, item=Item("a", 1.0))) == (
        (),
        {"item": Item("a", 1.0)},
    )


# -- functions that cannot be registered


def many(*items: int) -> None: ...
def named(**items: int) -> None: ...
def placed(a: int, /, b: int) -> None: ...
def star_context(*ctx: Any) -> None: ...
def named_context(*, ctx: Any) -> None: ...
def two_inputs(ctx: Any, a: int, b: int) -> None: ...
def star_input(ctx: Any, *a: int) -> None: ...


@pytest.mark.parametrize(
    ("fn", "skip_first", "part"),
    [
        (many, False, "*items has no place in a payload: take a list"),
        (named, False, "**items has no place in a payload: take a dict"),
        (placed, False, "a is positional-only"),
        (nothing, True, "first parameter must be the context"),
        (star_context, True, "first parameter must be the context"),
        (named_context, True, "first parameter must be the context"),
        (two_inputs, True, "also b: put them into one input, such as a dataclass"),
        (star_input, True, "*a has no place"),
        (5, False, "cannot be read"),
        (dict.fromkeys, False, ""),
    ],
)
def test_parameters_that_cannot_travel_are_refused(fn: Any, skip_first: bool, part: str) -> None:
    with pytest.raises(RegistrationError) as caught:
        of(fn, skip_first=skip_first)
    assert part in caught.value.reason
    assert caught.value.name == getattr(fn, "__qualname__", "5")


# -- types


class Service:
    def method(self, item: Item) -> Item: ...  # type: ignore[empty-body]

    def __call__(self, item: Item) -> Tag: ...  # type: ignore[empty-body]


@functools.wraps(one)
def wrapped(*args: Any, **kwargs: Any) -> Any: ...


def unresolvable(a: Hidden, b: Item, c: Nowhere) -> Hidden: ...  # type: ignore[name-defined]  # noqa: F821
def coroutine_hint(a: int) -> Coroutine[Any, Any, Item]: ...  # type: ignore[empty-body]
def awaitable_hint(a: int) -> Awaitable[Item]: ...  # type: ignore[empty-body]
async def nested_hint(a: int) -> Awaitable[Item]: ...  # type: ignore[empty-body]
def never(a: int) -> NoReturn: ...  # type: ignore[misc]


@pytest.mark.parametrize(
    ("fn", "input_type", "result_type"),
    [
        (nothing, Any, type(None)),
        (one, Item, Item),
        (three, None, str),
        (untyped, None, Any),
        (implicit_optional, Optional[int], type(None)),
        (Service().method, Item, Item),
        (Service(), Item, Tag),
        (wrapped, Item, Item),
        (functools.partial(two, Item("a", 1.0)), int, list[Item]),
        (coroutine_hint, int, Item),
        (awaitable_hint, int, Item),
        (nested_hint, int, Awaitable[Item]),
        (never, int, NoReturn),
    ],
)
def test_types_are_resolved(fn: Callable[..., Any], input_type: Any, result_type: Any) -> None:
    signature = of(fn)
    assert signature.result_type == result_type
    if input_type is not None:
        assert signature.input_type == input_type


def test_names_that_are_not_found_are_anything() -> None:
    signature = of(unresolvable)
    assert [p.annotation for p in signature.parameters] == [Any, Item, Any]
    assert signature.result_type is Any
    assert decode(signature, b'{"a":[1],"b":{"name":"x","price":1},"c":2}')[1]["b"] == Item(
        "x", 1.0
    )


def test_local_types_are_found_while_their_function_runs() -> None:
    class Local(Tag):
        pass

    def activity(a: Local, b: Hidden) -> list[Local]: ...  # type: ignore[empty-body]

    signature = of(activity)
    assert [p.annotation for p in signature.parameters] == [Local, Any]
    assert signature.result_type == list[Local]


def outer() -> Callable[..., Any]:
    class Gone:
        pass

    def activity(a: Gone, b: Item) -> None: ...

    return activity


def test_local_types_are_anything_once_their_function_is_over() -> None:
    assert [p.annotation for p in of(outer()).parameters] == [Any, Item]


def test_metadata_is_kept() -> None:
    def activity(a: Annotated[int, "note"]) -> None: ...

    assert of(activity).input_type == Annotated[int, "note"]


def test_an_own_converter_sees_values_and_types() -> None:
    seen: list[tuple[Any, str]] = []

    class Recorder:
        def encode(self, value: Any, where: str) -> bytes:
            seen.append((value, where))
            return b"x"

        def decode(self, data: bytes | None, into: Any, where: str) -> Any:
            seen.append((into, where))
            return {"item": 1, "count": 2}

    assert of(one).encode(Recorder(), (1,), {}, WHERE) == b"x"
    assert of(two).encode(Recorder(), (1, 2), {}, WHERE) == b"x"
    assert of(two).decode(Recorder(), b"x", WHERE) == ((), {"item": 1, "count": 2})
    assert seen[:2] == [(1, WHERE), ({"item": 1, "count": 2}, WHERE)]
    assert seen[2][0].__annotations__ == {"item": Item, "count": int}


# -- methods of entities


class Account:
    def move(self, item: Item, count: int = 1) -> list[Item]: ...  # type: ignore[empty-body]
    async def look(self, /) -> int: ...  # type: ignore[empty-body]
    def no_object() -> None: ...  # type: ignore[misc]
    def only_named(*, self: Any) -> None: ...  # type: ignore[misc]
    def many(self, *items: Item) -> None: ...


def test_the_object_of_a_method_does_not_travel() -> None:
    move, look = Signature.of_method(Account.move), Signature.of_method(Account.look)
    assert [p.name for p in move.parameters] == ["item", "count"]
    assert (move.result_type, look.result_type, look.parameters) == (list[Item], int, ())
    data = encode(move, Item("a", 1.0), count=5)
    assert decode(move, data) == ((), {"item": Item("a", 1.0), "count": 5})
    assert encode(look) == b"null"


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (Account.no_object, "its first parameter must be self"),
        (Account.only_named, "its first parameter must be self"),
        (Account.many, "has no place in a payload"),
    ],
)
def test_methods_that_cannot_be_operations(method: Callable[..., Any], message: str) -> None:
    with pytest.raises(RegistrationError, match=message):
        Signature.of_method(method)
