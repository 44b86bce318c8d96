"""The book of scenarios: what each one is called, and how long it may take.

A scenario is a function of a `Stage` that returns an outcome in JSON's types, in which neither ids nor times matter: the same
program must tell the same story on every store, and on the Durable Task SDK itself.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PREFIX = "about_"
LIMIT_SECONDS = 45.0


@dataclass(frozen=True)
class Scenario:
    """One story.

    Attributes:
        name: Its topic and the function's name, ``events.buffered``.
        play: Tells it.
        limit: Seconds of real time after which it counts as timed out.
    """

    name: str
    play: Callable[[Any], Any]
    limit: float


_book: dict[str, Scenario] = {}


def scenario(play: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Enter a function into the book."""
    topic = play.__module__.rpartition(".")[2].removeprefix(PREFIX)
    name = f"{topic}.{play.__name__}"
    if name in _book:
        raise ValueError(f"two scenarios are called {name}")
    _book[name] = Scenario(name, play, LIMIT_SECONDS)
    return play


def topics() -> list[str]:
    """List the topics by name."""
    here = Path(__file__).parent
    return sorted(path.stem.removeprefix(PREFIX) for path in here.glob(f"{PREFIX}*.py"))


def load(topic: str) -> None:
    """Read the scenarios of a topic into the book."""
    importlib.import_module(f".{PREFIX}{topic}", __package__)


def book() -> dict[str, Scenario]:
    """Return all scenarios by name."""
    for topic in topics():
        load(topic)
    return dict(_book)


def loaded() -> dict[str, Scenario]:
    """Return what has been read so far."""
    return dict(_book)
