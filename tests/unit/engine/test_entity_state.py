"""What operations do to the state of their entity, and what they do not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import pytest

from durable_async import Entity, EntityId, EntityStateAbsentError, ValidationError

from .entity_world import World, registry

OTHER = EntityId("other", "1")

T = TypeVar("T")


@dataclass
class Cart:
    items: list[str] = field(default_factory=list)
    note: str = ""


@registry.entity(name="Shop.Cart")
class CartEntity(Entity[Cart]):
    shared = Cart()

    def initial_state(self) -> Cart:
        return self.shared

    def add(self, item: str) -> int:
        self.state.items.append(item)
        return len(self.state.items)

    def add_and_fail(self, item: str) -> None:
        self.state.items.append(item)
        self.context.signal_entity(OTHER, "x")
        self.context.start_orchestration("y")
        raise LookupError(item)

    def add_too_much(self) -> None:
        self.state.note = "x" * 500

    def set_too_much(self) -> str:
        try:
            self.set_state(Cart(note="x" * 500))
        except ValidationError as error:
            return error.field
        raise AssertionError

    def return_what_is_none(self) -> object:
        self.state.items.append("x")
        return object()

    def mixed(self) -> list[Any]:
        self.state.items.append("a")
        copy = self.get_state()
        assert copy is not None
        copy.items.append("of the copy alone")
        self.state.note = "b"
        seen = [self.get_state(), self.get_state(dict), self.get_state(Cart).items]  # type: ignore[union-attr]
        self.set_state(Cart(["c"]))
        seen.append(self.state)
        self.state.items.append("d")
        return seen

    def nothing(self) -> list[Any]:
        self.state = None  # type: ignore[assignment]
        return [self.get_state(), self.get_state(default=5), self.get_state(Cart, "none")]

    def set_none(self) -> bool:
        self.set_state(None)
        return self.get_state() is None

    def delete_and_begin_anew(self) -> None:
        self.delete_state()
        self.state.items.append("new")

    def look(self) -> Cart:
        return self.state

    def put_back(self) -> None:
        cart = self.state
        self.state = cart


def test_the_working_copy_is_kept_when_the_code_changed_it_in_place() -> None:
    world = World(CartEntity)
    assert world.result("add", b'"a"') == b"1"
    assert world.result("add", b'"b"') == b"2"
    assert world.state == b'{"items":["a","b"],"note":""}'


def test_nothing_of_one_operation_is_in_the_memory_of_the_next() -> None:
    world = World(CartEntity, b'{"items":["a"],"note":""}')
    assert world.failure("add_and_fail", b'"b"') == "LookupError: b"
    assert world.result("look") == b'{"items":["a"],"note":""}'


def test_what_cannot_be_stored_fails_the_operation() -> None:
    world = World(CartEntity, b'{"items":[],"note":""}')
    assert world.failure("add_too_much").startswith(
        "PayloadTooLargeError: entity 'shop.cart' state"
    )
    assert world.failure("return_what_is_none").startswith(
        "EncodeError: operation 'return_what_is_none' of entity 'shop.cart' result"
    )
    assert world.result("set_too_much") == b"\"entity 'shop.cart' state\"", (
        "it hits the code at once"
    )


@registry.entity
class Mistaken(Entity[int]):
    def replace(self) -> None:
        self.state = "five"  # type: ignore[assignment]

    def write(self) -> None:
        self.set_state("five")  # type: ignore[arg-type]

    def look_away(self) -> str:
        return "fine"


@pytest.mark.parametrize("operation", ["replace", "write"])
def test_a_state_of_another_type_fails_the_operation_and_not_those_after_it(operation: str) -> None:
    world = World(Mistaken, b"5")
    assert world.failure(operation).startswith(
        "DecodeError: entity 'mistaken' state at $: Expected `int`"
    )
    assert world.state == b"5"


def test_a_stored_state_that_does_not_fit_harms_nobody_who_does_not_look_at_it() -> None:
    world = World(Mistaken, b'"of an earlier release"')
    assert world.result("look_away") == b'"fine"'
    assert world.state == b'"of an earlier release"'


def test_reads_are_fresh_copies_and_see_what_the_code_changed() -> None:
    world = World(CartEntity, b'{"items":[],"note":""}')
    whole = b'{"items":["a"],"note":"b"}'
    assert world.result("mixed") == b"[%b,%b,%b,%b]" % (
        whole,
        whole,
        b'["a"]',
        b'{"items":["c","d"],"note":""}',
    )
    assert world.state == b'{"items":["c","d"],"note":""}'


@pytest.mark.parametrize(
    ("operation", "result"), [("nothing", b'[null,5,"none"]'), ("set_none", b"true")]
)
def test_none_is_no_state(operation: str, result: bytes) -> None:
    world = World(CartEntity, b'{"items":["a"],"note":""}')
    assert world.result(operation) == result
    assert world.state is None


def test_a_state_that_is_not_changed_is_not_written_anew() -> None:
    stored = b'{"items":["a"],"note":""}'
    world = World(CartEntity, stored)
    assert world.run("look").state is stored
    assert world.run("put_back").state == stored


# -- __init__


@registry.entity
class Seeded(Entity[int]):
    def __init__(self) -> None:
        self.set_state(10)
        self.extra = "own"

    def get(self) -> int | None:
        return self.get_state(int, 0)

    def add(self, amount: int) -> int:
        self.state += amount
        return self.state

    def fail(self) -> None:
        raise RuntimeError(self.extra)

    def who(self) -> str:
        return f"{self.context.entity_id} {self.context.operation} {self.extra}"


def test_init_seeds_an_absent_state_and_never_resets_one() -> None:
    world = World(Seeded)
    assert world.failure("fail") == "RuntimeError: own"
    assert world.state is None, "only with an operation that succeeds"
    assert world.result("get") == b"10"
    assert world.state == b"10"
    assert world.result("add", b"5") == b"15"
    assert world.result("get") == b"15"
    assert world.result("delete") == b"null"
    assert world.state is None
    assert world.result("add", b"1") == b"11"
    assert world.result("who") == b'"@seeded@x who own"'


def test_init_does_not_reset_a_falsy_state() -> None:
    assert World(Seeded, b"0").result("get") == b"0"


@registry.entity
class SeededInPlace(Entity[list[int]]):
    def __init__(self) -> None:
        self.state.append(1)

    def initial_state(self) -> list[int]:
        return []

    def get(self) -> list[int]:
        return self.state


def test_what_init_does_to_a_state_that_is_there_is_not_seen() -> None:
    world = World(SeededInPlace)
    assert [world.result("get"), world.result("get"), world.state] == [b"[1]", b"[1]", b"[1]"]


# -- state types


class Typed(Entity[T], Generic[T]):
    def kind(self) -> str:
        return type(self.state).__name__


@registry.entity
class TypedByBase(Typed[Cart]):
    pass


@registry.entity
class TypedInside(Typed[list[T]], Generic[T]):
    pass


@registry.entity
class TypedTwice(TypedInside[Cart]):
    def kind(self) -> str:
        return type(self.state[0]).__name__


@registry.entity
class TypedLater(Entity["DefinedLater"]):
    def kind(self) -> str:
        return type(self.state).__name__


@registry.entity
class Untyped(Entity):  # type: ignore[type-arg]
    def kind(self) -> str:
        return type(self.state).__name__


class DefinedLater:
    pass


@pytest.mark.parametrize(
    ("kind", "state", "result"),
    [
        (TypedByBase, b'{"items":[]}', b'"Cart"'),
        (TypedInside, b"[1]", b'"list"'),
        (TypedTwice, b'[{"items":[]}]', b'"Cart"'),
        (TypedLater, b'{"items":[]}', b'"dict"'),
        (Untyped, b"[1]", b'"list"'),
    ],
)
def test_the_state_is_read_into_the_type_that_the_class_says(
    kind: Any, state: bytes, result: bytes
) -> None:
    assert World(kind, state).result("kind") == result


def test_an_absent_state_without_an_initial_one_is_an_error_that_says_what_to_do() -> None:
    assert World(Untyped).failure("kind") == (
        "EntityStateAbsentError: an entity of Untyped has no state yet: "
        "define initial_state(), or use get_state(default=...)"
    )


def test_an_object_of_ones_own_begins_like_an_entity_that_is_new() -> None:
    assert Seeded().get() == 10
    assert CartEntity().add("a") == 1
    with pytest.raises(EntityStateAbsentError):
        _ = Untyped().state
