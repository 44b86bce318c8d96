"""Fates: what becomes of each call and each hint, by who makes it and its number, and by nothing else.

So a call keeps its fate when others are taken out of the plan, and what befell the calls of a run can be written down as a list.
"""

from __future__ import annotations

import struct
from hashlib import blake2b
from typing import NamedTuple

from .plan import Loss, LossKind, Plan, Profile

_NUMBERS = struct.Struct("<8I")
_WHOLE = 2.0**32
_LATE_SECONDS = 4.0


class Fate(NamedTuple):
    """What becomes of a call.

    Attributes:
        loss: How it is lost, if it is.
        seconds: Of the loss, as in `Loss`.
        there: Seconds that it is on its way.
        back: Seconds that its answer is.
        luck: Decides what else there may be to decide, between 0 and 1.
    """

    loss: LossKind | None
    seconds: float
    there: float
    back: float
    luck: float


class HintFate(NamedTuple):
    """What becomes of a hint: how many times it comes, and how many seconds late."""

    times: int
    seconds: float


class Fates:
    """All fates of a run.

    Attributes:
        struck: Losses so far.
        is_calm: Whether nothing is lost and nothing takes time any more.
    """

    def __init__(self, plan: Plan) -> None:
        self._seed = plan.seed
        self._profile: Profile = plan.profile
        self._listed = None
        if plan.losses is not None:
            self._listed = {(loss.node, loss.call): loss for loss in plan.losses}
        self.struck: list[Loss] = []
        self.is_calm = False

    @property
    def loses_hints(self) -> bool:
        """Whether some hints never come."""
        return self._profile.hints_lost > 0

    def of_call(self, node: str, call: int) -> Fate:
        """Return the fate of a call of a process."""
        if self.is_calm:
            return Fate(None, 0.0, 0.0, 0.0, 0.0)
        kind, luck, seconds, *ways = self._draw(f"{node}:{call}")
        loss = self._listed_loss(node, call)
        if loss is None and self._listed is None:
            name = self._loss(kind)
            if name is not None:
                loss = Loss(node, call, name, _LATE_SECONDS * seconds if name == "late" else 0.0)
        if loss is not None:
            self.struck.append(loss)
        there, back = self._delay(ways[0], ways[1]), self._delay(ways[2], ways[3])
        if loss is None:
            return Fate(None, 0.0, there, back, luck)
        return Fate(loss.kind, loss.seconds, there, back, luck)

    def of_hint(self, node: str, number: int) -> HintFate:
        """Return the fate of a hint to a process."""
        profile = self._profile
        if self.is_calm:
            return HintFate(1, 0.0)
        lost, doubled, late, seconds, *_ = self._draw(f"{node}:hint:{number}")
        if lost < profile.hints_lost:
            return HintFate(0, 0.0)
        times = 2 if doubled < profile.hints_doubled else 1
        return HintFate(
            times, seconds * profile.hints_late_seconds if late < profile.hints_late else 0.0
        )

    def _listed_loss(self, node: str, call: int) -> Loss | None:
        return None if self._listed is None else self._listed.get((node, call))

    def _loss(self, number: float) -> LossKind | None:
        profile = self._profile
        shares: tuple[tuple[LossKind, float], ...] = (
            ("before", profile.before),
            ("after", profile.after),
            ("reset", profile.reset),
            ("late", profile.late),
        )
        for kind, share in shares:
            if number < share:
                return kind
            number -= share
        return None

    def _delay(self, usual: float, rare: float) -> float:
        profile = self._profile
        if rare < profile.tail:
            return usual * profile.tail_seconds
        return usual * profile.latency

    def _draw(self, what: str) -> list[float]:
        drawn = blake2b(f"{self._seed}:{what}".encode(), digest_size=32).digest()
        return [number / _WHOLE for number in _NUMBERS.unpack(drawn)]
