"""A timeline in characters: rows of bars over one axis, on which long idle times are folded."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise

FOLDED_COLUMNS = 8
LEVELS = " ▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True)
class Span:
    """From one moment to another, in microseconds."""

    begin_us: int
    end_us: int

    @property
    def us(self) -> int:
        """Its length."""
        return self.end_us - self.begin_us


def merged(spans: list[Span]) -> list[Span]:
    """Return the spans in which anything happened, in order and without overlaps."""
    found: list[Span] = []
    for span in sorted(spans, key=lambda one: one.begin_us):
        if found and span.begin_us <= found[-1].end_us:
            found[-1] = Span(found[-1].begin_us, max(found[-1].end_us, span.end_us))
        else:
            found.append(span)
    return found


class Axis:
    """Maps time to columns: busy spans in proportion, what lies between them too unless it is long; then it is folded.

    Attributes:
        columns: How many there are.
        folded: Idle spans that take a fixed number of columns.
    """

    def __init__(self, busy: list[Span], columns: int) -> None:
        assert busy, "nothing happened"
        busy_us = max(1, sum(span.us for span in busy))
        idle = [Span(a.end_us, b.begin_us) for a, b in pairwise(busy)]
        self.columns = columns
        self.folded = [span for span in idle if span.us * 4 > busy_us]
        free = max(1, columns - FOLDED_COLUMNS * len(self.folded))
        shown_us = busy[-1].end_us - busy[0].begin_us - sum(span.us for span in self.folded)
        self._scale = free / max(1, shown_us)
        self._knots: list[tuple[int, float]] = [(busy[0].begin_us, 0.0)]
        for span in self.folded:
            self._knots.append((span.begin_us, self._place(span.begin_us)))
            self._knots.append((span.end_us, self._knots[-1][1] + FOLDED_COLUMNS))

    def column(self, at_us: int) -> int:
        """Return the column of a moment, from 0."""
        return min(self.columns - 1, max(0, int(self._place(at_us))))

    def _place(self, at_us: int) -> float:
        index = max(0, bisect_right(self._knots, (at_us, float("inf"))) - 1)
        knot_us, place = self._knots[index]
        for span in self.folded:
            if span.begin_us == knot_us and at_us < span.end_us and index + 1 < len(self._knots):
                return place + FOLDED_COLUMNS * (at_us - knot_us) / max(1, span.us)
        return place + (at_us - knot_us) * self._scale

    def bar(self, span: Span, *, busy: list[Span], at_work: str = "█", waiting: str = "░") -> str:
        """Draw a span: one character where a busy span covers it, another where nobody worked on it."""
        row = [" "] * self.columns
        for column in range(self.column(span.begin_us), self.column(span.end_us) + 1):
            row[column] = waiting
        for work in busy:
            begin, end = max(span.begin_us, work.begin_us), min(span.end_us, work.end_us)
            if begin <= end:
                for column in range(self.column(begin), self.column(end) + 1):
                    row[column] = at_work
        return "".join(row)

    def marks(self, moments_us: list[int]) -> str:
        """Write seconds since the beginning under their columns, as many as there is room for."""
        row = ""
        for at_us in moments_us:
            label = f"{(at_us - self._knots[0][0]) / 1e6:,.1f}"
            place = min(self.column(at_us), self.columns - len(label))
            if not row or place > len(row):
                row = row.ljust(place) + label
        return row.ljust(self.columns)

    def density(self, moments_us: list[int]) -> str:
        """Draw how many moments fall into each column."""
        counts = [0] * self.columns
        for at_us in moments_us:
            counts[self.column(at_us)] += 1
        most = max(counts) or 1
        return "".join(LEVELS[-(-count * (len(LEVELS) - 1) // most)] for count in counts)
