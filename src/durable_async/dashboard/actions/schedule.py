"""What can be done with a schedule."""

from __future__ import annotations

from durable_async.hub import TaskHub
from durable_async.schedules import ScheduleState

from .action import REASON, Action, Form, Kind, reason_of


async def _pause(hub: TaskHub, schedule_id: str, form: Form) -> str:
    await hub.schedules.pause(schedule_id, reason_of(form))
    return schedule_id


async def _resume(hub: TaskHub, schedule_id: str, _: Form) -> str:
    await hub.schedules.resume(schedule_id)
    return schedule_id


async def _trigger(hub: TaskHub, schedule_id: str, form: Form) -> str:
    await hub.schedules.trigger(schedule_id, request_id=form.get("once", ""))
    return schedule_id


async def _delete(hub: TaskHub, schedule_id: str, _: Form) -> None:
    await hub.schedules.delete(schedule_id)


async def _find(hub: TaskHub, schedule_id: str) -> tuple[str, ScheduleState | None]:
    return schedule_id, await hub.schedules.get(schedule_id)


SCHEDULES = Kind(
    "/schedule",
    "/schedules",
    _find,
    Action(
        name="trigger",
        label="Trigger now",
        means="A run is started at once, also if another one is going on. Its ticks stay as they are.",
        done="A run was started.",
        applies=lambda _: True,
        carry_out=_trigger,
        is_repeatable=True,
    ),
    Action(
        name="pause-schedule",
        label="Pause",
        means="Its ticks pass by until it is resumed. What runs goes on.",
        done="It is paused.",
        applies=lambda schedule: not schedule.paused,
        carry_out=_pause,
    ),
    Action(
        name="resume-schedule",
        label="Resume",
        means="It goes on with the next tick.",
        done="It goes on.",
        applies=lambda schedule: schedule.paused,
        carry_out=_resume,
    ),
    Action(
        name="delete-schedule",
        label="Delete",
        means="There are no more ticks. What runs goes on.",
        done="It was deleted.",
        applies=lambda _: True,
        carry_out=_delete,
        fields=(REASON,),
        is_grave=True,
        is_typed=True,
    ),
)
