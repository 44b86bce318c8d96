"""ScheduleState: a schedule as it was when somebody looked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from durable_async.model.status import Status

from ._record import RUNS_KEPT, RunRecord, ScheduleRecord
from .spec import ScheduleSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleRun:
    """A run that a schedule started.

    Attributes:
        instance_id: The orchestration.
        tick: What it was started for, UTC; of one that was triggered, when that was.
        started_at: When it was started, UTC.
        is_triggered: Whether somebody asked for it, outside of the ticks.
        status: What became of it, where that was asked for (`Schedules.describe`); ``None`` otherwise, and if it was purged.
    """

    instance_id: str
    tick: datetime
    started_at: datetime
    is_triggered: bool
    status: Status | None = None

    @classmethod
    def of(cls, record: RunRecord) -> ScheduleRun:
        """Return what is stored of a run."""
        return cls(
            instance_id=record.instance_id,
            tick=record.tick,
            started_at=record.started_at,
            is_triggered=record.is_triggered,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleState:
    """What the store knew of a schedule at one moment. All times are UTC.

    Attributes:
        schedule_id: Its id.
        spec: What it starts, and when.
        paused: Whether ticks pass by.
        reason: Why it is paused, in the words of who paused it.
        created_at: When it was created.
        updated_at: When somebody last changed something.
        next_tick: The next one, ``None`` if it is paused or there is none any more; it may be past for a moment, or as long as no worker is there.
        next_ticks: The next ones, as many as were asked for (`Schedules.describe`).
        waiting: Ticks that wait for the end of a run.
        runs: The last ten runs, the latest first; those that are over make room for those that go on.
        started: How many runs it has started.
        skipped: How many ticks had no run of their own because another was going on.
        missed: How many because no worker was there in time.
        problem: What keeps it from looking at its ticks, or ``None``; it tries again every half a minute, unless it is parked or the clock was set back.
    """

    schedule_id: str
    spec: ScheduleSpec
    paused: bool
    reason: str | None
    created_at: datetime
    updated_at: datetime
    next_tick: datetime | None
    next_ticks: tuple[datetime, ...]
    waiting: tuple[datetime, ...]
    runs: tuple[ScheduleRun, ...]
    started: int
    skipped: int
    missed: int
    problem: str | None

    @classmethod
    def of(cls, schedule_id: str, record: ScheduleRecord) -> ScheduleState:
        """Return what is stored of a schedule."""
        return cls(
            schedule_id=schedule_id,
            spec=record.spec,
            paused=record.paused,
            reason=record.reason,
            created_at=record.created_at,
            updated_at=record.updated_at,
            next_tick=record.next_tick,
            next_ticks=() if record.next_tick is None else (record.next_tick,),
            waiting=tuple(record.waiting),
            runs=tuple(ScheduleRun.of(run) for run in reversed(record.runs[-RUNS_KEPT:])),
            started=record.started,
            skipped=record.skipped,
            missed=record.missed,
            problem=record.problem,
        )
