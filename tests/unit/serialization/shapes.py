"""Types that the converter's tests send through it; at module level, so that hints resolve."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, ClassVar, Generic, Literal, NamedTuple, NotRequired, TypedDict, TypeVar
from uuid import UUID

import msgspec
import pydantic

T = TypeVar("T")


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = -1
    HIGH = 2


class Kind(enum.StrEnum):
    A = "a"
    B = "b"


class Right(enum.Flag):
    READ = 1
    WRITE = 2


class Ratio(enum.Enum):
    HALF = 0.5


class Email(str):
    __slots__ = ()


class Cents(int):
    pass


class Ounces(float):
    pass


class Point(NamedTuple):
    x: int
    y: float = 0.0


class Address(TypedDict):
    city: str
    street: NotRequired[str]


@dataclass
class Item:
    name: str
    price: float
    color: Color = Color.RED


@dataclass(frozen=True, slots=True)
class Tag:
    text: str


@dataclass
class Node:
    value: int
    children: list[Node] = field(default_factory=list)
    parent: Node | None = None


@dataclass
class Order:
    limit: ClassVar[int] = 3
    order_id: UUID
    items: list[Item]
    placed: datetime
    mode: Literal["fast", "slow"] = "fast"
    tags: set[str] = field(default_factory=set)
    _secret: int = 1
    total: float = field(init=False, default=0.0)

    @cached_property
    def count(self) -> int:
        return len(self.items)


@dataclass
class Box(Generic[T]):
    content: T


@dataclass
class Empty:
    pass


class Cat(msgspec.Struct, tag=True):
    name: str
    lives: int = 9


class Dog(msgspec.Struct, tag="dog", rename="camel"):
    full_name: str
    tricks: set[str] = msgspec.field(default_factory=set)
    note: str | msgspec.UnsetType = msgspec.UNSET


class Pair(msgspec.Struct, array_like=True):
    left: int
    right: str


class TaggedPair(msgspec.Struct, array_like=True, tag="pair"):
    left: int


class Customer(pydantic.BaseModel):
    name: str
    tags: set[str] = set()
    groups: frozenset[frozenset[str]] = frozenset()
    since: datetime | None = None
    scores: dict[str, list[float]] = {}


class Renamed(pydantic.BaseModel):
    both: int = pydantic.Field(alias="bothAlias")
    out: int = pydantic.Field(serialization_alias="outAlias")
    into: int = pydantic.Field(validation_alias="inAlias")

    @pydantic.computed_field
    @property
    def double(self) -> int:
        return self.both * 2


class Page(pydantic.BaseModel, Generic[T]):
    rows: list[T]


class Strict(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(strict=True)
    at: datetime
    members: tuple[int, ...]


class Names(pydantic.RootModel[list[str]]):
    pass


class Card(pydantic.BaseModel):
    kind: Literal["card"] = "card"
    number: str


class Cash(pydantic.BaseModel):
    kind: Literal["cash"] = "cash"
    amount: int


class Vault(pydantic.BaseModel):
    key: pydantic.SecretStr


class Loose(pydantic.BaseModel):
    anything: Any = None


class Measure(pydantic.BaseModel):
    size: float


@dataclass
class Invoice:
    customer: Customer
    pages: Page[int] | None = None
