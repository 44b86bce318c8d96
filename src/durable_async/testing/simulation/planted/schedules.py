"""Faults of a schedule: which ticks it forgets, which runs it does not see, and how it oversleeps."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from durable_async.schedules import _due, _entity
from durable_async.schedules._due import Look
from durable_async.schedules._entity import ScheduleEntity
from durable_async.schedules._record import ScheduleRecord
from durable_async.schedules.spec import ScheduleSpec

from ._planting import Patch, answers, plants


@plants(
    "late-ticks-pass-by",
    breaks="of several ticks that are due a schedule deals with the last one, and counts none of the others",
    rule="P43",
    caught_by="I23",
    first_seed=18,
)
def _late_ticks_pass_by(patch: Patch) -> None:
    look = vars(_due)["look"]

    def look_at_the_last(record: ScheduleRecord, now: datetime) -> Look:
        seen: Look = look(record, now)
        return seen._replace(chosen=seen.chosen[-1:])

    patch.put(_due, "look", look_at_the_last)


@plants(
    "runs-overlap",
    breaks="a run that another one must wait for is taken to be over",
    rule="P43",
    caught_by="I23",
    first_seed=18,
)
def _runs_overlap(patch: Patch) -> None:
    async def see_none(_self: ScheduleEntity, record: ScheduleRecord) -> None:
        for run in record.runs:
            run.is_over = True

    patch.put(ScheduleEntity, "_see_ends", see_none)


@plants(
    "schedule-oversleeps",
    breaks="what waits for the end of a run is looked at when the next tick is due, and not before",
    rule="P43",
    caught_by="I14",
    first_seed=18,
)
def _schedule_oversleeps(patch: Patch) -> None:
    patch.put(_due, "check_at", answers(None))


@plants(
    "runs-without-ticks-name",
    breaks="the id of a run says which of the schedule's runs it is, and not which tick it is for",
    rule="P43",
    caught_by="I23",
    first_seed=18,
)
def _runs_without_ticks_name(patch: Patch) -> None:
    def by_position(_spec: ScheduleSpec, schedule_id: str, tick: datetime) -> Any:
        return f"{schedule_id}:{tick.second}"

    patch.put(_entity, "run_id", by_position)
