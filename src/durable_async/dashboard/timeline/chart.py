"""The chart: lanes on an axis, as numbers and words that a template draws."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from durable_async.dashboard._slices import Slice
from durable_async.dashboard._times import duration, stamp
from durable_async.model.moments import instant

from .axis import Axis
from .lanes import Lane, Lanes, Look, Stretch

ROWS_MAX = 100
"""Lanes in one chart; a fan-out of thousands is looked at page by page."""

BARS_MAX = 200
"""Stretches of one lane that are drawn, the last ones."""

FOLD_LABEL_WIDTH = 6.0
BAR_WIDTH_MIN = 0.15
"""What took no time is seen all the same."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A stretch, in hundredths of the width.

    Attributes:
        left: Where it begins.
        width: How wide it is.
        style: Its class in the style sheet.
        title: What is said of it.
    """

    left: float
    width: float
    style: str
    title: str


@dataclass(frozen=True, slots=True)
class Dot:
    """A moment."""

    place: float
    title: str


@dataclass(frozen=True, slots=True)
class Row:
    """A lane.

    Attributes:
        kind: What it is.
        label: Its name.
        target: The instance or entity that it is about, or nothing.
        took: How long it took, or has taken so far.
        bars: Its stretches.
        dots: Its moments.
        said: All of that in words.
    """

    kind: str
    label: str
    target: str
    took: str
    bars: list[Bar]
    dots: list[Dot]
    said: str


@dataclass(frozen=True, slots=True)
class Chart:
    """All of them.

    Attributes:
        rows: The orchestration itself, and lanes under it.
        ticks: Places, and how long after the beginning they are.
        folds: Where, how wide and how long gaps are that are folded.
        suspended: Where it was suspended.
        looks: What the bars that are there mean: their classes in the style sheet, and what they are called.
        now: Where now is, if it still goes on.
        slice: Which lanes they are.
    """

    rows: list[Row]
    ticks: list[tuple[float, str]]
    folds: list[tuple[float, float, str]]
    suspended: list[Bar]
    looks: list[tuple[str, str]]
    now: float | None
    slice: Slice


def chart_of(found: Lanes, *, now_us: int | None, first: int = 0) -> Chart:
    """Return the chart of some lanes, from one of them on.

    Args:
        found: All lanes.
        now_us: What time it is, if it still goes on.
        first: Which lane comes first.
    """
    part = Slice.at(first, len(found.lanes), ROWS_MAX)
    lanes = [found.whole, *found.lanes[part.first : part.end]]
    axis = Axis(_moments(lanes, found.suspended))
    return Chart(
        rows=[_row(lane, axis) for lane in lanes],
        ticks=[(place, "+" + duration(us / 1e6) if us else "0") for place, us in axis.ticks()],
        folds=[
            (
                piece.left,
                piece.right - piece.left,
                duration((piece.end_us - piece.begin_us) / 1e6)
                if piece.right - piece.left >= FOLD_LABEL_WIDTH
                else "",
            )
            for piece in axis.pieces
            if piece.is_folded
        ],
        suspended=[_bar(stretch, axis) for stretch in found.suspended],
        looks=_looks(lanes, found.suspended),
        now=None if now_us is None else axis.place(now_us),
        slice=part,
    )


def _moments(lanes: list[Lane], suspended: list[Stretch]) -> Iterator[int]:
    for stretch in suspended:
        yield from (stretch.begin_us, stretch.end_us)
    for lane in lanes:
        yield from lane.moments_us
        for stretch in lane.stretches:
            yield from (stretch.begin_us, stretch.end_us)


def _looks(lanes: list[Lane], suspended: list[Stretch]) -> list[tuple[str, str]]:
    there = {one.look for lane in lanes for one in lane.stretches}
    there |= {one.look for one in suspended}
    return [(look.style, look.value) for look in Look if look in there]


def _row(lane: Lane, axis: Axis) -> Row:
    bars = [_bar(stretch, axis) for stretch in lane.stretches[-BARS_MAX:]]
    dots = [Dot(axis.place(at_us), _at(at_us, axis)) for at_us in lane.moments_us[-BARS_MAX:]]
    said = [bar.title for bar in bars if bar.title]
    if dots and lane.kind in ("event", "event sent", "signal"):
        said = [dot.title for dot in dots]
    return Row(
        kind=lane.kind,
        label=lane.label,
        target=lane.target,
        took=_took(lane),
        bars=bars,
        dots=dots,
        said="; ".join(said),
    )


def _bar(stretch: Stretch, axis: Axis) -> Bar:
    left, right = axis.place(stretch.begin_us), axis.place(stretch.end_us)
    is_repeated = stretch.attempt > 1 and stretch.look is not Look.RETRY
    attempt = f"attempt {stretch.attempt} " if is_repeated else ""
    length = duration((stretch.end_us - stretch.begin_us) / 1e6)
    title = f"{attempt}{stretch.look.value}, {length}, {_at(stretch.begin_us, axis)}"
    return Bar(left, max(right - left, BAR_WIDTH_MIN), stretch.look.style, title)


def _at(at_us: int, axis: Axis) -> str:
    after = duration((at_us - axis.begin_us) / 1e6)
    return f"at +{after} ({stamp(instant(at_us))})"


def _took(lane: Lane) -> str:
    past = [one for one in lane.stretches if one.look is not Look.AHEAD]
    if not past or lane.kind == "event":
        return ""
    return duration((past[-1].end_us - past[0].begin_us) / 1e6)
