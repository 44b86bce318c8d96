"""How much of everything a run has to bring, and to bear."""

from __future__ import annotations

import math
from collections.abc import Mapping

TEN_MINUTES = 10.0

POSTGRES: Mapping[str, int] = {
    "kills": 100,
    "zombies": 15,
    "cut-offs": 3,
    "half-openings": 6,
    "blocks": 5,
    "storms": 6,
    "crashes": 8,
    "postmaster-kills": 2,
    "backend-kills": 3,
    "exhaustions": 1,
    "promotions": 3,
    "deaf-ears": 3,
    "lost-answers": 500,
    "lost-replies": 100,
    "lost-wakeups": 24,
    "slow-seconds": 120,
    "pinned-seconds": 180,
    "fenced": 10,
    "operations": 100_000,
}
"""In ten minutes. An answer that a worker did not get counts only if the server shows that what it told of was committed; replies are those that
clients did not get."""

SQLITE: Mapping[str, int] = {
    "kills": 100,
    "zombies": 15,
    "blocks": 5,
    "held-locks": 10,
    "reader-seconds": 180,
    "fenced": 10,
    "operations": 100_000,
}


def scaled(quotas: Mapping[str, int], minutes: float) -> dict[str, int]:
    """Return what a run of so many minutes has to bring: what is rare may be missing in a short one."""
    return {
        name: math.floor(number * minutes / TEN_MINUTES + 0.5) for name, number in quotas.items()
    }
