"""How fast something grows: a straight line through measured points, and how sure it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

_HOUR = 3600.0
_SURE = 2.0
"""So many standard errors away from what it is compared with, a slope is it beyond doubt."""
_LIKENESS_MAX = 0.99


@dataclass(frozen=True)
class Slope:
    """A line by least squares.

    Attributes:
        hourly: How much it rises in an hour.
        error: The standard error of that; infinite if there are too few points.
        mean: The mean of all values.
        hours: From the first point to the last.
        likeness: How much what the line leaves over of a point resembles what it leaves of the next, from 0 to 1. Rows that wait to be
            vacuumed rise and fall for minutes; each sample of them tells less than one that knows nothing of its neighbour.
    """

    hourly: float
    error: float
    mean: float
    hours: float
    likeness: float = 0.0

    @property
    def growth(self) -> float:
        """How much it rises from the first point to the last."""
        return self.hourly * self.hours

    def is_above(self, limit: float) -> bool:
        """Tell whether it rises faster than this an hour, beyond doubt.

        The error is that of as many points as there would be if none resembled its neighbour (Quenouille, Associated Measurements, 1952).
        """
        wider = math.sqrt((1 + self.likeness) / (1 - self.likeness))
        return self.hourly - _SURE * self.error * wider > limit


def fit(points: Sequence[tuple[float, float]]) -> Slope:
    """Return the line through points of seconds and values."""
    if not points:
        return Slope(0.0, math.inf, 0.0, 0.0)
    count = len(points)
    seconds = [point[0] for point in points]
    values = [point[1] for point in points]
    middle, mean = sum(seconds) / count, sum(values) / count
    spread = sum((one - middle) ** 2 for one in seconds)
    hours = (seconds[-1] - seconds[0]) / _HOUR
    if count < 3 or spread == 0:
        return Slope(0.0, math.inf, mean, hours)
    slope = sum((s - middle) * (v - mean) for s, v in points) / spread
    left = [v - mean - slope * (s - middle) for s, v in points]
    rest = sum(one**2 for one in left)
    error = math.sqrt(rest / (count - 2) / spread)
    alike = sum(one * after for one, after in pairwise(left))
    likeness = min(max(alike / rest, 0.0), _LIKENESS_MAX) if rest else 0.0
    return Slope(slope * _HOUR, error * _HOUR, mean, hours, likeness)
