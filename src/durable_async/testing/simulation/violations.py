"""What a simulation finds: a promise of the engine that did not hold.

Violation (AssertionError)
├── StuckError          nothing was lost, perhaps, but it never came to an end
├── CrashedError        code of the engine raised what nobody handled
└── DivergedError       the same plan, played twice, did two things: the simulation itself is wrong
"""

from __future__ import annotations

from typing import Any


class Violation(AssertionError):  # noqa: N818 - it is what was looked for, not a mistake of the search
    """Raised when an invariant does not hold.

    Attributes:
        invariant: Which one, as ``"I7"``.
        what: What is wrong, in words.
        where: The instance, entity, node or table that it is about.
        facts: What there is to know besides, by name.
    """

    def __init__(self, invariant: str, what: str, *, where: str = "", **facts: Any) -> None:
        self.invariant = invariant
        self.what = what
        self.where = where
        self.facts = facts
        place = f" at {where}" if where else ""
        known = "".join(f"\n  {name}: {fact!r}" for name, fact in facts.items())
        super().__init__(f"{invariant}{place}: {what}{known}")


class StuckError(Violation):
    """Raised when work is left long after the last fault."""

    def __init__(self, what: str, *, where: str = "", **facts: Any) -> None:
        super().__init__("I14", what, where=where, **facts)


class CrashedError(Violation):
    """Raised when a worker, a client or background work ended with an error that is not one of its answers."""

    def __init__(self, what: str, *, where: str = "", **facts: Any) -> None:
        super().__init__("I0", what, where=where, **facts)


class DivergedError(Violation):
    """Raised when one plan gave two digests."""

    def __init__(self, what: str, *, where: str = "", **facts: Any) -> None:
        super().__init__("I22", what, where=where, **facts)
