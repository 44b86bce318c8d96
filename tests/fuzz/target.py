"""A target: one surface, what is given to it, and what it may answer.

A probe either returns, and has then read back what it wrote, or raises one of the target's refusals. Everything else that comes out of it is a
finding: another exception, an assertion about what was read back, more steps than a run may take.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis.strategies import SearchStrategy

ACCEPTED = "accepted"

MESSAGE_CHARS_MAX = 20_000
"""A message may quote what was given, and not all of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One surface.

    Attributes:
        name: What it is called on the command line.
        inputs: What is given to it.
        probe: Gives it one input, and checks what became of it.
        refusals: The errors that are documented for what cannot be accepted.
        is_raw: Whether its inputs are bytes that a fuzzer may make by itself.
        examples: How many inputs a run of the tests takes; few where one costs much.
        share: Its share of the inputs of all targets together, in a longer run.
        seeds: Valid inputs for a fuzzer to begin from, if they are raw.
    """

    name: str
    inputs: SearchStrategy[Any]
    probe: Callable[[Any], object]
    refusals: tuple[type[Exception], ...]
    is_raw: bool = False
    examples: int = 100
    share: int = 10
    seeds: Callable[[], list[bytes]] = list


@dataclass(slots=True)
class Tally:
    """How often a target answered what."""

    inputs: int = 0
    answers: Counter[str] = field(default_factory=Counter)

    def count(self, answer: str) -> None:
        """Count one input, and its answer."""
        self.inputs += 1
        self.answers[answer] += 1


def answer_of(target: Target, value: Any) -> str:
    """Give a target one input; return ``ACCEPTED`` or the name of the error that refused it.

    Raises:
        Exception: What the target must not raise.
    """
    try:
        target.probe(value)
    except target.refusals as error:
        check_message(error)
        return type(error).__name__
    return ACCEPTED


def check_message(error: Exception) -> None:
    """Check that a message can be printed and logged, whatever it quotes."""
    text = str(error)
    text.encode()
    assert len(text) <= MESSAGE_CHARS_MAX, f"a message of {len(text):,} characters"
