"""Types of every kind that a program may send or ask for.

Nothing but what the Durable Task SDK has is used, as `cases` are run under it too.
"""

from __future__ import annotations

import collections
import enum
from dataclasses import InitVar, dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, NewType, Optional, TypedDict


class Colour(enum.Enum):
    RED = "red"
    BLUE = 2
    NONE = None


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Word(str, enum.Enum):  # noqa: UP042 - programs have it
    YES = "yes"


class Bits(enum.Flag):
    A = 1
    B = 2


@dataclass
class Line:
    sku: str
    count: int = 1


@dataclass
class Order:
    id: int
    lines: list[Line] = field(default_factory=list)
    gift: Line | None = None
    by_sku: dict[str, Line] = field(default_factory=dict)
    pair: tuple[Line, int] | None = None


@dataclass
class Tree:
    name: str
    children: list[Tree] = field(default_factory=list)
    parent: Optional[Tree] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    x: int
    y: float = 0.5


@dataclass
class Computed:
    a: int
    total: int = field(init=False, default=7)

    def __post_init__(self) -> None:
        self.total = self.a * 2


@dataclass(init=False)
class OwnInit:
    a: int
    b: int = field(init=False, default=0)

    def __init__(self, a: int, b: int = 5) -> None:
        self.a = a
        self.b = b


@dataclass(init=False)
class AnyInit:
    a: int
    me: int = field(init=False, default=0)
    b: int = field(init=False, default=0)

    def __init__(me, **kwargs: int) -> None:  # noqa: N805
        object.__setattr__(me, "seen", sorted(kwargs))
        me.a = kwargs["a"]
        me.b = kwargs.get("b", -1)

    def __repr__(self) -> str:
        return f"AnyInit({self.a}, {self.b}, {self.seen})"  # type: ignore[attr-defined]


@dataclass(init=False)
class StaticInit:
    a: int = field(init=False, default=0)

    @staticmethod
    def __init__(a: Any = None, **kwargs: Any) -> None:
        pass

    def __repr__(self) -> str:
        return "StaticInit"


@dataclass
class WithInitVar:
    a: int
    scale: InitVar[int] = 1

    def __post_init__(self, scale: int) -> None:
        self.a *= scale


@dataclass
class OfUnknown:
    a: int
    b: Missing  # type: ignore[name-defined]  # noqa: F821


@dataclass
class Picky:
    a: int

    def __post_init__(self) -> None:
        if self.a < 0:
            raise RuntimeError("negative")


@dataclass
class Hooked:
    when: datetime

    def to_json(self) -> Any:
        return {"when": self.when.isoformat()}

    @classmethod
    def from_json(cls, value: Any) -> Hooked:
        return cls(datetime.fromisoformat(value["when"]))


class Money:
    def __init__(self, cents: int) -> None:
        self.cents = cents

    def __repr__(self) -> str:
        return f"Money({self.cents})"

    @staticmethod
    def to_json(value: Any) -> Any:
        return value.cents

    @classmethod
    def from_json(cls, value: Any) -> Money:
        return cls(value + 0)


class Basket:
    def __init__(self, lines: Any, by: str = "") -> None:
        self.lines = lines
        self.by = by

    def __repr__(self) -> str:
        return f"Basket({self.lines}, {self.by!r})"

    def to_json(self) -> Any:
        return {"lines": self.lines}

    @classmethod
    def from_json(cls, value: Any, converter: Any) -> Basket:
        return cls(converter.coerce(value["lines"], list[Line]), type(converter).__name__)


class Strict:
    """Its second parameter is its own."""

    def __init__(self, value: Any, strict: Any) -> None:
        self.value = value
        self.strict = strict

    def __repr__(self) -> str:
        return f"Strict({self.value}, {self.strict})"

    @classmethod
    def from_json(cls, value: Any, strict: bool = False) -> Strict:
        return cls(value, strict)


class KeywordConverter(Strict):
    @classmethod
    def from_json(cls, value: Any, *, converter: Any = None) -> KeywordConverter:  # type: ignore[override]
        return cls(value, converter)


class Greatest:
    """Its hook tells nobody what parameters it has."""

    from_json = staticmethod(max)


class Secretive:
    __signature__ = "none"

    def __call__(self, value: Any = None, **fields: Any) -> None:
        self.given = fields


@dataclass(init=False)
class SecretiveInit:
    a: int = field(init=False)

    __init__ = Secretive()  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"SecretiveInit({self.__init__.given})"  # type: ignore[misc]


class Failing:
    @classmethod
    def from_json(cls, value: Any) -> Failing:
        raise LookupError("no")


class WritesNonsense:
    def to_json(self) -> Any:
        return object()


class NotAHook:
    to_json = 5


class Text(str):  # noqa: SLOT000
    def to_json(self) -> Any:
        return "never asked"


class HookedDict(dict[str, Any]):
    def to_json(self) -> Any:
        return "never asked"


class HookedEnum(enum.Enum):
    A = 1

    def to_json(self) -> Any:
        return self.name


class Point(NamedTuple):
    x: int
    y: int = 0


Single = collections.namedtuple("Single", "approver")  # noqa: PYI024
Person = NewType("Person", int)


class HookedPoint(NamedTuple):
    x: int

    def to_json(self) -> Any:
        return "never asked"

    @classmethod
    def from_json(cls, value: Any) -> HookedPoint:
        return cls(*value)


class Movie(TypedDict):
    name: str
    year: int


class Opaque:
    pass


class Wrapped:
    def __init__(self, value: Any) -> None:
        self.value = value

    def __repr__(self) -> str:
        return f"Wrapped({self.value!r})"
