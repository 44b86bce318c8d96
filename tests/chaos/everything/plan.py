"""Which strike comes when. Each of them has the fleet to itself, so that the times to recover from it are its own."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate

SECONDS = {
    "kills": 2.2,
    "zombies": 9.0,
    "cut-offs": 8.0,
    "half-openings": 7.0,
    "blocks": 8.5,
    "storms": 9.0,
    "held-locks": 3.0,
    "crashes": 4.5,
    "postmaster-kills": 6.0,
    "backend-kills": 5.0,
    "exhaustions": 8.0,
    "promotions": 12.0,
}
"""How long each takes, about, with the pause before it."""

_OF_SERVERS = frozenset(
    {"crashes", "postmaster-kills", "backend-kills", "exhaustions", "promotions"}
)
_OTHERS_FIRST = 0.5
"""Share of all other strikes that come before the server is touched: until then an idle transaction can go on, and connections be slow."""


@dataclass(frozen=True)
class Strike:
    """One strike.

    Attributes:
        kind: One of ``SECONDS``.
        at: When it begins at the earliest, as a share of the run.
    """

    kind: str
    at: float


def draw(quotas: Mapping[str, int], chance: random.Random) -> list[Strike]:
    """Draw an order, with pauses in proportion to what each strike takes."""
    kinds = [kind for kind in SECONDS for _ in range(quotas.get(kind, 0))]
    others = [kind for kind in kinds if kind not in _OF_SERVERS]
    chance.shuffle(others)
    first = round(len(others) * _OTHERS_FIRST)
    rest = [*others[first:], *(kind for kind in kinds if kind in _OF_SERVERS)]
    chance.shuffle(rest)
    ordered = [*others[:first], *rest]
    ends = list(accumulate(SECONDS[kind] for kind in ordered))
    return [
        Strike(kind, (end - SECONDS[kind]) / ends[-1])
        for kind, end in zip(ordered, ends, strict=True)
    ]


def first_server_strike(plan: list[Strike]) -> float:
    """Return when the server is struck first, as a share of the run."""
    return next((strike.at for strike in plan if strike.kind in _OF_SERVERS), 1.0)
