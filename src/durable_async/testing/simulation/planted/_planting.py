"""How a fault is put into the engine for one run, and taken out again."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, TypeVar

import msgspec

Plant = Callable[["Patch"], None]
P = TypeVar("P", bound=Plant)

_ABSENT = object()


def answers(value: Any) -> Callable[..., Any]:
    """Return a function that takes anything, does nothing, and returns a value."""

    def answer(*_args: Any, **_options: Any) -> Any:
        return value

    return answer


class Patch:
    """Attributes of classes and modules that are other ones for a while."""

    def __init__(self) -> None:
        self._put: list[tuple[Any, str, Any, Any]] = []

    def put(self, owner: Any, name: str, new: Any) -> Any:
        """Put something in the place of an attribute, and return what was there."""
        old = vars(owner).get(name, _ABSENT)
        self._put.append((owner, name, old, new))
        setattr(owner, name, new)
        return old

    def take_out(self) -> None:
        """Put everything back."""
        for owner, name, old, _ in reversed(self._put):
            if old is _ABSENT:
                delattr(owner, name)
            else:
                setattr(owner, name, old)

    def put_in(self) -> None:
        """Put everything in again."""
        for owner, name, _, new in self._put:
            setattr(owner, name, new)


class Planted(msgspec.Struct, frozen=True):
    """A fault that the simulation has to find.

    Attributes:
        name: Its name on the command line.
        breaks: What is wrong with an engine that has it.
        rule: Which of the engine's rules it breaks.
        caught_by: The invariants that should notice.
        first_seed: The first seed that found it; ``None`` if none has yet.
        plant: Puts it in.
    """

    name: str
    breaks: str
    rule: str
    caught_by: tuple[str, ...]
    first_seed: int | None
    plant: Plant


PLANTED: dict[str, Planted] = {}
"""All of them, by name."""

_in_place: list[Patch] = []


def plants(
    name: str, *, breaks: str, rule: str, caught_by: str, first_seed: int | None
) -> Callable[[P], P]:
    """Register a fault; the function that is decorated puts it in."""

    def register(plant: P) -> P:
        assert name not in PLANTED, name
        PLANTED[name] = Planted(name, breaks, rule, tuple(caught_by.split()), first_seed, plant)
        return plant

    return register


@contextmanager
def planted(name: str | None) -> Generator[None, None, None]:
    """Run a block with a fault in the engine of this process; without a name, as it is."""
    if name is None:
        yield
        return
    patch = Patch()
    PLANTED[name].plant(patch)
    _in_place.append(patch)
    try:
        yield
    finally:
        _in_place.remove(patch)
        patch.take_out()


@contextmanager
def lifted() -> Generator[None, None, None]:
    """Run a block with the engine as it is, in the midst of a run with a fault: what is looked at then is judged by sound code."""
    for patch in reversed(_in_place):
        patch.take_out()
    try:
        yield
    finally:
        for patch in _in_place:
            patch.put_in()
