"""ScheduleRecord: what is stored of a schedule; the state of its entity."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from ._ticks import ticks_after
from .spec import Overlap, ScheduleSpec

FORMAT = 1
"""Raised by a release whose records an earlier one would spoil."""

RUNS_KEPT = 10
"""So many of the last runs are remembered."""

GOING_KEPT = 1_000
"""And so many that go on, where overlap counts."""


AHEAD_MAX = timedelta(minutes=1)
"""So far, or an interval if that is longer, ticks may have been dealt with that are yet to come; beyond, the store's clock was set back."""


@dataclass(slots=True, kw_only=True)
class RunRecord:
    """A run that a schedule started.

    Attributes:
        instance_id: The orchestration.
        tick: What it was started for; of one that was triggered, when that was.
        started_at: When it was started.
        is_triggered: Whether somebody asked for it, outside of the ticks.
        is_over: Whether it has been seen to have ended.
    """

    instance_id: str
    tick: datetime
    started_at: datetime
    is_triggered: bool = False
    is_over: bool = False


@dataclass(slots=True, kw_only=True)
class ScheduleRecord:
    """What is stored of a schedule. Other releases read it, so that a field which comes later has a default.

    Attributes:
        spec: What its user wants.
        created_at: When it was created.
        updated_at: When its user last changed something.
        anchor: From when an interval is counted.
        looked_until: All ticks up to this moment have been dealt with.
        paused: Whether ticks pass by.
        reason: Why, in its user's words.
        wake_at: When the signal comes that it sleeps on.
        next_tick: The next one, as far as is known.
        waiting: Ticks that wait for the end of a run.
        waiting_since: Since when they do, or since another of them was begun.
        runs: The last runs, and those before that go on, oldest first.
        started: How many runs were started.
        skipped: How many ticks were not, because of overlap.
        missed: How many ticks were not, because no worker was there in time.
        problem: What went wrong last, until something goes well.
        known_until: Ticks up to this moment may have runs from before the clock was set back.
        format: Which releases can carry it on.
    """

    spec: ScheduleSpec
    created_at: datetime
    updated_at: datetime
    anchor: datetime
    looked_until: datetime
    paused: bool = False
    reason: str | None = None
    wake_at: datetime | None = None
    next_tick: datetime | None = None
    waiting: list[datetime] = field(default_factory=list)
    waiting_since: datetime | None = None
    runs: list[RunRecord] = field(default_factory=list)
    started: int = 0
    skipped: int = 0
    missed: int = 0
    problem: str | None = None
    known_until: datetime | None = None
    format: int = FORMAT

    def ticks(self, after: datetime | None = None) -> Iterator[datetime]:
        """Yield the ticks after a moment, or those that have not been dealt with."""
        return ticks_after(self.spec, self.anchor, self.looked_until if after is None else after)

    @property
    def going(self) -> list[RunRecord]:
        """The runs that have not been seen to have ended."""
        return [run for run in self.runs if not run.is_over]

    def is_ahead(self, now: datetime) -> bool:
        """Say whether the clock was set back, so that it would do nothing for long."""
        return self.looked_until - now > max(AHEAD_MAX, self.spec.every or AHEAD_MAX)

    def begins_anew(self, spec: ScheduleSpec, now: datetime) -> bool:
        """Say whether with another specification ticks count from now on; not if only an end that is yet to come is another one."""
        end = self.spec.end
        return (end is not None and end < now) or (
            spec.timing != replace(self.spec, end=spec.end).timing
        )

    def take(self, spec: ScheduleSpec, now: datetime) -> None:
        """Take another specification over; what is due has been dealt with."""
        if self.begins_anew(spec, now):
            self.begin_at(now)
        if spec.every != self.spec.every:
            self.anchor = now
        self.spec = spec

    def begin_at(self, now: datetime) -> None:
        """Let ticks up to now be dealt with, and also those after it be yet to come if the clock was set back."""
        if self.is_ahead(now):
            self.known_until = max(self.looked_until, self.known_until or now)
            self.looked_until = now
        self.looked_until = max(self.looked_until, now)

    def forget_runs(self) -> bool:
        """Forget the oldest runs of which there are too many, those that are over first; say whether one was not, though overlap counts."""
        if self.spec.overlap is Overlap.ALLOW:
            self.runs = self.runs[-RUNS_KEPT:]
            return False
        surplus = len(self.runs) - RUNS_KEPT
        kept: list[RunRecord] = []
        for run in self.runs:
            if surplus > 0 and run.is_over:
                surplus -= 1
            else:
                kept.append(run)
        self.runs = kept[-GOING_KEPT:]
        return len(kept) > GOING_KEPT

    def forget_waiting(self) -> None:
        """Let what waits for the end of a run be skipped."""
        self.skipped += len(self.waiting)
        self.waiting = []
        self.waiting_since = None
