"""The axis: moments as places between 0 and 100, with long times in which nothing happens folded."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

FOLD_FACTOR = 10
"""A gap is folded that is so many times as long as all shorter ones together: beside it, they could not be seen."""

FOLD_US_MIN = 3_000_000
"""Shorter ones are not folded: what takes a moment is seen as it was."""

FOLDS_SHARE = 50.0
"""So much of the width goes to folded gaps at most."""

FOLD_WIDTH_MAX = 22.0
TICK_WIDTH_MIN = 11.0
STEPS_US = tuple(
    round(unit * step)
    for unit, steps in (
        (1, (1, 2, 5, 10, 20, 50, 100, 200, 500)),
        (1e3, (1, 2, 5, 10, 20, 50, 100, 200, 500)),
        (1e6, (1, 2, 5, 10, 15, 30)),
        (60e6, (1, 2, 5, 10, 15, 30)),
        (3_600e6, (1, 2, 3, 6, 12)),
        (86_400e6, (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 10_000, 100_000)),
    )
    for step in steps
)


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the axis on which time goes evenly.

    Attributes:
        begin_us: From when.
        end_us: To when.
        left: From where.
        right: To where.
        is_folded: Whether it is a gap that is shorter than it would be.
    """

    begin_us: int
    end_us: int
    left: float
    right: float
    is_folded: bool


class Axis:
    """Where moments are."""

    def __init__(self, moments_us: Iterable[int]) -> None:
        points = sorted(set(moments_us))
        assert points, "nothing happened"
        if len(points) == 1:
            points.append(points[0] + 1)
        self.begin_us, self.end_us = points[0], points[-1]
        self.pieces = _pieces(points)
        self._begins = [piece.begin_us for piece in self.pieces]

    def place(self, at_us: int) -> float:
        """Return the place of a moment, from 0 to 100."""
        piece = self.pieces[max(0, bisect_right(self._begins, at_us) - 1)]
        share = (at_us - piece.begin_us) / max(1, piece.end_us - piece.begin_us)
        return min(100.0, max(0.0, piece.left + share * (piece.right - piece.left)))

    def ticks(self) -> list[tuple[float, int]]:
        """Return places to mark, and how long after the beginning they are."""
        found: list[tuple[float, int]] = []
        for piece in self.pieces:
            if piece.is_folded:
                continue
            step = _step(piece)
            first = -(-(piece.begin_us - self.begin_us) // step)
            last = (piece.end_us - self.begin_us) // step
            for number in range(first, min(last, first + 100) + 1):
                place = self.place(self.begin_us + number * step)
                if place > min(piece.right, 100.0) - TICK_WIDTH_MIN / 2:
                    continue  # what it says would run into what is beside it
                if not found or place - found[-1][0] >= TICK_WIDTH_MIN * 0.6:
                    found.append((place, number * step))
        return found


def _pieces(points: list[int]) -> list[Piece]:
    gaps = [after - before for before, after in pairwise(points)]
    fold_from = _fold_from(gaps)
    folds = sum(gap >= fold_from for gap in gaps)
    fold_width = min(FOLD_WIDTH_MAX, FOLDS_SHARE / folds) if folds else 0.0
    even_us = sum(gap for gap in gaps if gap < fold_from)
    scale = (100.0 - folds * fold_width) / max(1, even_us)
    pieces: list[Piece] = []
    left = 0.0
    for (begin_us, end_us), gap in zip(pairwise(points), gaps, strict=True):
        is_folded = gap >= fold_from
        right = left + (fold_width if is_folded else gap * scale)
        before = pieces[-1] if pieces else None
        if before is not None and not is_folded and not before.is_folded:
            pieces[-1] = Piece(before.begin_us, end_us, before.left, right, is_folded=False)
        else:
            pieces.append(Piece(begin_us, end_us, left, right, is_folded))
        left = right
    return pieces


def _fold_from(gaps: list[int]) -> float:
    """Return how long a gap is that is folded; half of them are not, at least."""
    shorter = 0
    for place, gap in enumerate(sorted(gaps)):
        is_long = gap >= FOLD_US_MIN and gap > FOLD_FACTOR * shorter
        if is_long and place >= len(gaps) - place:
            return gap
        shorter += gap
    return float("inf")


def _step(piece: Piece) -> int:
    """Return how far ticks are apart, so that they have room for what they say."""
    width = max(piece.right - piece.left, 0.001)
    wanted = (piece.end_us - piece.begin_us) * TICK_WIDTH_MIN / width
    return next((step for step in STEPS_US if step >= wanted), STEPS_US[-1])
