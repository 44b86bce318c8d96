"""Functions whose annotations are looked at, in the Durable Task SDK and here."""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Optional

if TYPE_CHECKING:
    from elsewhere import Unknown  # type: ignore[import-not-found]


@dataclass
class Order:
    id: int


class Entity:
    def add(self, order: Order) -> Order | None:
        return order

    def none(self) -> None:
        pass

    @staticmethod
    def fixed(context: Any, order: Order) -> None:
        pass

    value = 5


def plain(ctx: Any, order: Order) -> Order:
    return order


def optional(ctx: Any, order: Optional[Order] = None) -> list[Order]:
    return []


def forward(ctx: "Unknown", order: "Order") -> "Unknown":  # noqa: UP037 - twice a text
    return order


def unresolved(ctx: Any, order: Unknown) -> Order:
    return order


def bare(ctx, order):  # type: ignore[no-untyped-def]
    return order


def whatever(ctx: Any, order: Any) -> Any:
    return order


def number(ctx: Any, order: int) -> int:
    return order


def nothing(ctx: Any, order: None) -> None:
    pass


def only_context(ctx: Any) -> None:
    pass


def by_name(ctx: Any, *, order: Order) -> None:
    pass


def annotated(ctx: Any, order: Annotated[Order, "x"]) -> list[Annotated[Order, []]]:
    return [order]


def spread(ctx: Any, *orders: Order) -> None:
    pass


def generator(ctx: Any, order: Order) -> Generator[Any, Any, Order]:
    yield
    return order


@functools.wraps(plain)
def wrapped(*args: Any, **kwargs: Any) -> Any:
    return plain(*args, **kwargs)


class Activity:
    def __call__(self, ctx: Any, order: Order) -> Order:
        return order


class Unhashable:
    __hash__ = None  # type: ignore[assignment]

    def __call__(self, ctx: Any, order: Order) -> Order:
        return order


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "plain": plain,
    "optional": optional,
    "forward": forward,
    "unresolved": unresolved,
    "bare": bare,
    "whatever": whatever,
    "number": number,
    "nothing": nothing,
    "only_context": only_context,
    "by_name": by_name,
    "annotated": annotated,
    "spread": spread,
    "generator": generator,
    "wrapped": wrapped,
    "partial": functools.partial(plain),
    "callable": Activity(),
    "unhashable": Unhashable(),
    "lambda": lambda ctx, order: order,
    "built in": max,
}
